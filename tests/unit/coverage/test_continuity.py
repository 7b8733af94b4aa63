"""
coverage.continuity: what files and the kernel's own log tell of a log that goes on.
"""

import os
import socket

import pytest
from sshtrail_lib.coverage import continuity

MESSAGES = [
    b"6,1,2,-;audit: type=1300 audit(20.500:7): arch=c000003e syscall=59 auid=1001 uid=0\n SUBSYSTEM=x\n",
    b"6,1,2,-;audit: type=1309 audit(20.500:7): argc=1 a0=id\n",
    b"6,1,2,-;audit: type=1006 audit(20.600:8): pid=7 uid=0 old-auid=4294967295 auid=1001 tty=(none) res=1\n",
    b"6,1,2,-;audit: type=1006 audit(20.600:9): pid=7 uid=0 old-auid=1001 auid=4294967295 tty=(none) res=1\n",
    b"6,1,2,-;audit: type=1300 audit(20.500:8): arch=c000003e syscall=59 auid=4294967295 uid=0\n",
    b"6,1,2,-;audit: type=1300 audit(9.500:9): arch=c000003e syscall=59 auid=1001 uid=0\n",
    # Whoever writes to that log himself.
    b"12,1,2,-;x audit: type=1300 audit(20.500:10): auid=1001 \n",
]
TOLD = {
    b"audit(20.500:7)": True,
    b"audit(20.600:8)": True,
    b"audit(20.600:9)": False,
    b"audit(20.500:8)": False,
}


def test_what_the_kernel_printed_for_want_of_an_auditd(tmp_path, monkeypatch):
    near, far = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with near, far:
        for one in MESSAGES:
            near.send(one)
        near.shutdown(socket.SHUT_WR)
        monkeypatch.setattr(continuity.os, "open", lambda path, flags: os.dup(far.fileno()))
        assert continuity.printed(10.0) == TOLD
    monkeypatch.undo()
    # Where there is no such device, the buffer is read as a whole.
    whole = b"".join(b"<5>[   20.5] " + one.partition(b";")[2] for one in MESSAGES)
    monkeypatch.setattr(continuity, "_buffer", lambda: whole)
    assert continuity.printed(10.0, str(tmp_path / "none")) == TOLD


def test_the_buffer_of_the_kernel():
    """As root there is something in it; nobody else may read it everywhere."""
    assert isinstance(continuity._buffer(), bytes)


def test_digests_of_how_a_file_begins(tmp_path):
    path = tmp_path / "log"
    path.write_bytes(b"x" * 3_000_000)
    short, long = continuity.digests(str(path), 5, 2_500_000)
    assert short == continuity.digests(str(path), 5)[0] != long
    assert continuity.digests(str(path), 5, 3_000_001) == [short, ""]
    assert continuity.digests(str(tmp_path / "none"), 0, 5) == ["", ""]


def test_parts_of_a_log_that_was_rotated(tmp_path):
    log, older = tmp_path / "audit.log", tmp_path / "audit.log.2"
    older.write_bytes(b"type=A\n" * 9)
    (tmp_path / "audit.log.1").write_bytes(b"type=B\n")
    log.write_bytes(b"type=C\n")
    was = (older.stat().st_ino, 14, "")
    assert continuity.parts(str(log), was) == [(str(older), 14), (f"{log}.1", 0), (str(log), 0)]
    assert b"".join(continuity.pieces(continuity.parts(str(log), was))) == b"type=A\n" * 7 + b"type=B\ntype=C\n"
    assert continuity.parts(str(log), (log.stat().st_ino, 100, "")) == [(str(log), 0)]
    assert continuity.parts(str(log), (0, 0, "")) == []
    other = older.rename(tmp_path / "audit.log-20260101")
    assert continuity.parts(str(log), was) == [(str(other), 14), (str(log), 0)]
    assert not continuity.too_long(continuity.parts(str(log), was))


@pytest.mark.parametrize(
    "text,newest",
    [
        ("type=A msg=audit(1.000:7): x\ntype=A msg=audit(1.000:9): x\n", 9),
        # Another boot began with numbers of its own.
        ("type=A msg=audit(1.000:700): x\ntype=DAEMON_START msg=audit(2.000:88): x\ntype=A msg=audit(2.000:9): x\n", 9),
        ("type=A msg=audit(1.000:7): x\n" * 9000 + "type=A msg=audit(1.000:9): x\n", 9),
        ("type=A msg=audit(1.000:7): x\ntype=A msg=audit(1.000:4100000000): x\n", 7),
        ("", 0),
    ],
)
def test_the_last_number(tmp_path, text, newest):
    log = tmp_path / "audit.log"
    log.write_text(text)
    assert continuity.newest(str(log)) == newest
    assert continuity.newest(str(tmp_path / "none")) == 0


@pytest.mark.parametrize(
    "text,somebody",
    [
        (b"type=A msg=audit(1.000:7): auid=1001 ses=3\n", True),
        (b"type=A msg=audit(1.000:7): auid=0\n", True),
        (b"type=LOGIN msg=audit(1.000:7): old-auid=4294967295 auid=1001 old-ses=4294967295\n", True),
        (b"type=A msg=audit(1.000:7): auid=4294967295 ses=3\n", False),
        (b"type=LOGIN msg=audit(1.000:7): old-auid=1001 auid=4294967295 old-ses=4294967295\n", False),
        (b"type=DAEMON_END msg=audit(1.000:7): op=terminate auid=0 uid=0 ses=4294967295\n", False),
        (b"node=a type=DAEMON_END msg=audit(1.000:7): op=terminate auid=0 uid=0 ses=4294967295\n", False),
        (b"type=EOE msg=audit(1.000:7):\ntype=A msg=audit(1.000:7): auid=1001\n", True),
        (b"", False),
    ],
)
def test_whether_anybody_has_logged_in(tmp_path, monkeypatch, text, somebody):
    monkeypatch.setattr(continuity, "_login", lambda pid: False)
    log = tmp_path / "audit.log"
    log.write_bytes(text)
    assert continuity.by_somebody([(str(log), 0)]) == somebody


def test_what_lies_beside_a_log(tmp_path):
    log, rotated, packed = (tmp_path / name for name in ("audit.log", "audit.log.1", "audit.log.2.gz"))
    for one in (log, rotated, tmp_path / "other.log.1"):
        one.write_bytes(b"node=web1 type=A msg=audit(1.000:7): x\n")
    packed.write_bytes(b"\x1f\x8b")
    # An administrator's own.
    (tmp_path / "audit.log.sha256").write_text(f"{64 * 'a'}  {log}\n" * 3)
    (tmp_path / "audit.log.2").symlink_to(log)
    # However its path is written, a log is not beside itself: it grows.
    for path in (str(log), f"{tmp_path}//audit.log", f"{tmp_path}/./audit.log"):
        assert set(continuity.rotated(path)) == {str(one.stat().st_ino) for one in (rotated, packed)}
