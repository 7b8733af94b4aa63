"""
What was executed, when a line is not whole: no argument that lacks a part is told as if it was all.
"""

import gzip
import lzma
import pathlib
import re

import pytest
from sshtrail_lib.trail import scan

DATA = pathlib.Path(__file__).resolve().parents[2] / "data"
LOGS = [
    gzip.decompress((DATA / "sessions" / "audit.log.1.gz").read_bytes()),
    lzma.decompress((DATA / "sessions-trixie" / "audit.log.2.xz").read_bytes()),
]
# An event whose last argument is written in hexadecimal digits, and its title as the kernel gives it.
LAST = re.compile(rb"type=EXECVE msg=audit\([0-9.]+:([0-9]+)\): argc=[^\n]* a[0-9]+=((?:[0-9A-F]{2})+)\n")


def commands(log):
    return {call.serial: call for found in scan.calls(log).values() for call in found if call.argv is not None}


def slowly(monkeypatch, log):
    """Have each record taken apart by itself, as where others lie between those of an event."""
    monkeypatch.setattr(scan, "WHOLE", re.compile(rb"(?!)"))
    return commands(log)


def title_of(log, serial):
    return bytes.fromhex(re.search(rb":%d\): proctitle=((?:[0-9A-F]{2})*)" % serial, log)[1].decode())


def ends():
    """Return for each event (int) whose arguments end in digits where these are (dict of log, from and to)."""
    return {int(one[1]): (log, *one.span(2)) for log in LOGS for one in LAST.finditer(log)}


@pytest.mark.parametrize("log", LOGS, ids=["bookworm", "trixie"])
def test_what_is_whole_is_told_to_be(monkeypatch, log):
    known = commands(log)
    assert len(known) > 100 and all(call.whole for call in known.values() if call.success)
    assert all(call.whole for call in slowly(monkeypatch, log).values() if call.success)


@pytest.mark.parametrize("way", ["in one piece", "by lines"])
def test_an_argument_that_was_cut_between_two_bytes_is_seen(monkeypatch, way):
    read = commands if way == "in one piece" else lambda log: slowly(monkeypatch, log)
    tried, known = 0, {id(log): commands(log) for log in LOGS}
    for serial, (log, begin, end) in ends().items():
        whole = known[id(log)].get(serial)
        # Of more the title does not tell, nor where it is that of what the process was before.
        if not whole or not title_of(log, serial).startswith("\0".join(whole.argv).encode()):
            continue
        at, behind = log.rfind(b"type=SYSCALL", 0, begin), log.rfind(b":%d)" % serial)
        behind = log.find(b"\n", behind) + 1
        for left in range(begin + 2, end, 2):
            tried += 1
            found = read(log[at:left] + log[end:behind])
            # White space at the end the kernel leaves out of a title.
            rest = bytes.fromhex(log[left:end].decode()).strip()
            assert found[serial].whole == (not rest), (serial, found[serial].argv)
    assert tried > 100


# One event, whose program, directory and title are written as they are.
ONE = re.compile(
    rb"type=SYSCALL[^\n]*exe=\"[^\n]*\ntype=EXECVE[^\n]* a2=[0-9A-F]{8,40}\ntype=CWD[^\n]*\n(?:type=P[^\n]*\n)+"
)
EVENT = next(one for one in ONE.findall(LOGS[0]) if commands(one))
STARTED = LAST.search(EVENT)


@pytest.mark.parametrize("left", [2, 4, 0])
def test_a_log_that_ends_in_an_argument(left):
    """A log is read while it is written, and a copy of it ends where somebody copied it."""
    log = EVENT[: STARTED.end(2) - left]
    assert not commands(log)[int(STARTED[1])].whole
    assert commands(log + b"\n" + EVENT[STARTED.end() :])[int(STARTED[1])].whole == (not left)


@pytest.mark.parametrize("field", ["exe", "cwd"])
def test_a_name_that_was_cut_is_not_known(field):
    where = EVENT.find(f'{field}="'.encode()) + len(field) + 5
    [found] = commands(EVENT[:where] + EVENT[EVENT.find(b"\n", where) :]).values()
    assert getattr(found, field) is None
