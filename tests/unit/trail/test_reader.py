"""
trail.reader: the end of a log that may be long, rotated away, or not there; and who is who on this host.
"""

import os
import pathlib
import pwd
import re

import pytest
from sshtrail_lib.drift.difference import entry
from sshtrail_lib.rules import watches
from sshtrail_lib.trail import reader

DATA = pathlib.Path(__file__).resolve().parents[2] / "data" / "author"
ENRICHED = DATA / "debian-12-auditd-3.0.9-linux-6.18-enriched.log"
KEYS = DATA / "debian-12-auditd-3.0.9-linux-6.18-keys.log"


def serials(events):
    return [event.id[3] for event in events]


def test_the_events_that_can_explain_something():
    found = reader.events(str(ENRICHED), ["/etc/audit/auditd.conf"])
    everything = reader.events(str(ENRICHED), [""])
    kinds = ("CONFIG_CHANGE", "DAEMON_START", "DAEMON_END")
    config = [event.id[3] for event in everything if any(map(event.first, kinds))]
    assert config and set(config) < set(serials(found)) < set(serials(everything))
    # Somebody changed auditd.conf, and somebody else sshd's configuration.
    assert 6656 in serials(found) and 6652 not in serials(found)


@pytest.mark.parametrize(
    "path, log, serial",
    [
        ("/etc/ssh/my site.conf", KEYS, 5342),
        # Named from the directory that it stands in.
        ("/etc/ssh/sshd_config.d/50 site.conf", ENRICHED, 6654),
        ("/etc/ssh/sshd_config", ENRICHED, 6651),
    ],
)
def test_a_name_with_a_space_is_found_in_its_digits(path, log, serial):
    assert serial in serials(reader.events(str(log), [path]))
    assert serial not in serials(reader.events(str(log), []))


def test_rotated_logs_are_read_as_one(tmp_path):
    lines = ENRICHED.read_bytes().splitlines(keepends=True)
    whole = reader.events(str(ENRICHED), ["/etc/ssh/sshd_config"])
    parts = {"audit.log": lines[200:], "audit.log.1": lines[90:200], "audit.log.2": lines[:90]}
    for name, part in parts.items():
        (tmp_path / name).write_bytes(b"".join(part))
    assert reader.events(str(tmp_path / "audit.log"), ["/etc/ssh/sshd_config"]) == whole


def test_of_a_long_log_only_the_end_is_read(tmp_path, monkeypatch):
    log = tmp_path / "audit.log"
    log.write_bytes(ENRICHED.read_bytes())
    last = reader.events(str(log), [""])[-1]
    monkeypatch.setattr(reader, "MOST", 2000)
    found = reader.events(str(log), [""])
    assert found[-1] == last and 1 <= len(found) < 20


def flood(tmp_path, megabytes, rotated=False):
    """Return a log in which somebody has changed sshd's configuration, and then hides that behind a long command."""
    old = ENRICHED.read_bytes()
    last = max(float(when) for when in re.findall(rb"msg=audit\((\d+\.\d+):", old))
    long = b"type=EXECVE msg=audit(%f:9999): argc=2 a0=77 a1=%s\n" % (last + 1, b"41" * 2**19)
    log = tmp_path / "audit.log"
    if rotated:
        (tmp_path / "audit.log.1").write_bytes(old + long * (megabytes // 2))
        log.write_bytes(long * (megabytes // 2))
    else:
        log.write_bytes(old + long * megabytes)
    return str(log), last


@pytest.mark.parametrize("rotated", [False, True])
def test_a_long_command_hides_nobody(tmp_path, rotated):
    log, last = flood(tmp_path, 12, rotated)
    whole = reader.events(str(ENRICHED), ["/etc/ssh/sshd_config"])
    assert reader.events(log, ["/etc/ssh/sshd_config"], last - 3600) == whole
    # When that look was is not known: the end of the log has to do.
    assert reader.events(log, ["/etc/ssh/sshd_config"]) == []


def test_no_log_is_read_without_end(tmp_path, monkeypatch):
    log, _ = flood(tmp_path, 12)
    monkeypatch.setattr(reader, "LARGEST", 8 * 2**20)
    assert reader.events(log, ["/etc/ssh/sshd_config"], 1.0) == []


def test_a_log_that_is_not_there_holds_nothing(tmp_path):
    assert reader.events(str(tmp_path / "audit.log"), ["/etc/ssh/sshd_config"]) == []
    assert reader.events(str(tmp_path), ["/etc/ssh/sshd_config"]) == []


def test_accounts_and_files(tmp_path):
    assert reader.name_of(0) == pwd.getpwuid(0).pw_name
    assert reader.name_of(4242424) is None and reader.name_of(2**70) is None
    assert reader.changed(str(tmp_path)) == os.stat(tmp_path).st_ctime
    assert reader.changed(str(tmp_path / "none")) is None


@pytest.mark.parametrize(
    "logs, user",
    [([str(KEYS)], "alice"), ([], None), (["/nowhere/audit.log"], None), (["/nowhere/audit.log", str(KEYS)], "alice")],
)
def test_a_difference_is_attributed(logs, user):
    line = "-a always,exit -F arch=b64 -S execve -F auid!=unset -F key=ssh_commands -F key=sshtrail"
    places = reader.Places(["/etc/ssh/sshd_config"], "/etc/audit/auditd.conf", logs)
    found = [entry("kernel", line, "loaded", None)]
    [told] = reader.attribute(found, places, watches.watches([]), watches.keys, 0.0)
    assert (told["by"] and told["by"]["user"]) == user
