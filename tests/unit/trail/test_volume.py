"""
What fills an audit log, from a recorded one, and from one that somebody floods.
"""

import gzip
import pathlib

import pytest
from sshtrail_lib.trail import blocks, volume, weigh

LOG = pathlib.Path(__file__).resolve().parents[2] / "data" / "sessions" / "audit.log.1.gz"
DATA = gzip.decompress(LOG.read_bytes())
EVENT = (
    "type=SYSCALL msg=audit({when}.000:{serial}): arch=c000003e syscall=59 success=yes ppid=1 pid=2 auid=4294967295 "
    'uid=0 ses=4294967295 comm="x" exe="{exe}" key="flood"\x1dAUID="unset"\n'
    'type=EXECVE msg=audit({when}.000:{serial}): argc=1 a0="x"\n'
)


def flood(number, exe="/usr/bin/noisy", start=1795000000):
    return "".join(EVENT.format(when=start + at * 60, serial=at, exe=exe) for at in range(number)).encode()


def test_every_byte_and_event_is_counted_once(tmp_path):
    (tmp_path / "audit.log").write_bytes(DATA)
    found = volume.volume([str(tmp_path / "audit.log")])
    whole = weigh.weight(DATA)
    assert sum(size for _, size in whole.by.values()) == len(DATA)
    events = {line.partition(b"audit(")[2].partition(b")")[0] for line in DATA.splitlines()}
    assert sum(events for events, _ in whole.by.values()) == len(events)
    assert {"ssh_commands", "watched", "LOGIN"} <= {one["name"] for one in found["by_key"]}
    assert {"ana", "root", "deploy"} <= {one["name"] for one in found["by_person"]}
    assert abs(sum(one["share"] for one in found["by_person"]) - 1) < 0.01


def test_the_rate_tells_when_the_disk_is_full(tmp_path):
    data = flood(2 * 1440 + 1)
    (tmp_path / "audit.log").write_bytes(data)
    found = volume.volume([str(tmp_path)], free=10 * len(data))
    assert found["days"] == 2.0 and found["oldest"] == "2026-11-18T11:06:40.000Z"
    assert found["events_per_day"] == round((2 * 1440 + 1) / 2) and found["bytes_per_day"] == round(len(data) / 2)
    assert found["full_in_days"] == 20.0
    [advice] = found["advice"]
    assert "100%" in advice and "flood" in advice and "-F exe=/usr/bin/noisy" in advice


def test_only_the_last_days_are_looked_at(tmp_path):
    (tmp_path / "audit.log").write_bytes(flood(3 * 1440, "/usr/bin/old") + flood(1440, "/usr/bin/new", 1796000000))
    found = volume.volume([str(tmp_path)], since=1795990000)
    assert [one["name"] for one in found["by_program"]][0] == "/usr/bin/new"
    assert found["oldest"] == "2026-11-18T11:06:40.000Z"


@pytest.mark.parametrize("wrong", [5, 978307200, 2145916800], ids=["1970", "2001", "2038"])
@pytest.mark.parametrize("at", [0, 700])
def test_a_clock_that_was_wrong_spoils_no_rate(tmp_path, wrong, at):
    lines = flood(2 * 1440 + 1).splitlines(True)
    odd = flood(1, start=wrong).replace(b":0)", b":9999)")
    (tmp_path / "audit.log").write_bytes(b"".join([*lines[: 2 * at], odd, *lines[2 * at :]]))
    found = volume.volume([str(tmp_path)], free=10**9, until=1796000000)
    assert found["days"] == 2.0 and found["oldest"] == "2026-11-18T11:06:40.000Z"
    assert found["newest"] == "2026-11-20T11:06:40.000Z" and found["events_per_day"] == 1441


def test_a_host_without_a_clock_has_no_rate(tmp_path):
    (tmp_path / "audit.log").write_bytes(flood(100, start=5))
    found = volume.volume([str(tmp_path)], free=10**9)
    assert (found["oldest"], found["days"], found["full_in_days"]) == (None, None, None)
    assert found["by_key"] == [{"name": "flood", "bytes": 0, "events": 0, "share": 1.0}]


def test_names_without_end_take_no_memory_without_end():
    data = b"".join(flood(1, f"/tmp/{number}", 1795000000 + number) for number in range(5000))
    found = weigh.weight(data)
    assert len(found.by) <= weigh.MOST + 2
    assert sum(size for _, size in found.by.values()) == len(data)


def test_an_empty_log_tells_nothing(tmp_path):
    (tmp_path / "audit.log").write_bytes(b"")
    found = volume.volume([str(tmp_path)])
    assert found["oldest"] is None and found["full_in_days"] is None and found["by_key"] == [] and found["advice"] == []
    assert blocks.rotated(str(tmp_path / "audit.log")) == [str(tmp_path / "audit.log")]
