"""
coverage.pulse: what a tick sees change, and what it leaves alone.
"""

import json
import os
import resource
import socket
import subprocess
import sys
import time

import pytest
from sshtrail_lib.coverage import pulse
from sshtrail_lib.coverage.pulse import Watched

STATUS = {"pid": os.getpid(), "lost": 0, "backlog": 1, "backlog_limit": 100}


@pytest.fixture
def watched(tmp_path, monkeypatch):
    # What others open meanwhile on this machine is none of these tests' business.
    monkeypatch.setattr(pulse.sockets, "listening", list)
    (tmp_path / "audit").mkdir()
    (tmp_path / "audit" / "audit.log").write_text("type=DAEMON_START\n")
    return Watched(str(tmp_path / "audit" / "audit.log"), "0", "")


def take(watched, **more):
    return json.loads(json.dumps(pulse.take(watched, {**STATUS, **more})))


def test_nothing_has_changed(watched):
    before = take(watched)
    # A log that grows, and a queue that is in use, are what a host is like.
    with open(watched.log, "a") as log:
        log.write("type=USER\n")
    assert pulse.same(before, take(watched, backlog=60), time.time())


def replaced(path):
    os.rename(path, f"{path}.1")
    with open(path, "w"):
        pass


CHANGES = {
    "deleted": os.unlink,
    "replaced": replaced,
    "everybody's": lambda path: os.chmod(path, 0o666),
    "the directory is everybody's": lambda path: os.chmod(os.path.dirname(path), 0o777),
}


@pytest.mark.parametrize("bits,same", [(0x10, False), (0x20, False), (0x30, False), (0, True), (0x80000, True)])
def test_a_log_that_nobody_may_write_any_more(watched, monkeypatch, bits, same):
    before = take(watched)
    # 0x80000: its blocks are extents, as those of each file of ext4.
    monkeypatch.setattr(
        pulse.opening.fcntl, "ioctl", lambda handle, what, data: bits.to_bytes(4, sys.byteorder) + bytes(4)
    )
    assert pulse.same(before, take(watched), time.time()) == same


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_log_that_changes_hands(watched, change):
    before = take(watched)
    change(watched.log)
    assert not pulse.same(before, take(watched), time.time())


@pytest.mark.parametrize("more", [{"lost": 1}, {"backlog": 90}, {"pid": 0}], ids=str)
def test_a_kernel_that_loses(watched, more):
    assert not pulse.same(take(watched), take(watched, **more), time.time())


def test_a_socket_of_systemds_that_no_network_reaches():
    with socket.socket(socket.AF_UNIX) as one:
        one.bind("\0sshtrail-test")
        before = pulse._of_systemd(os.getpid())
        one.listen()
        assert [found for found in pulse._of_systemd(os.getpid()) if found not in before] == [
            [0, os.fstat(one.fileno()).st_ino]
        ]


def test_an_audit_daemon_that_stops(watched):
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    try:
        before = take(watched, pid=child.pid)
        child.send_signal(19)
        os.waitpid(child.pid, os.WUNTRACED)
        assert not pulse.same(before, take(watched, pid=child.pid), time.time())
    finally:
        child.kill()
        child.wait()


def test_an_audit_daemon_whose_files_may_hardly_grow(watched):
    with subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE) as child:
        size = os.stat(watched.log).st_size
        for limit, little in ((size + 2 * pulse.LITTLE, False), (size + 100, True), (size, True)):
            resource.prlimit(child.pid, resource.RLIMIT_FSIZE, (limit, limit))
            now = take(watched, pid=child.pid)
            # What it wrote by the last look is no promise that it can write more.
            assert pulse.same(now, now, time.time()) is not little


def test_a_log_that_does_not_move_while_people_come(watched):
    now, ticks = time.time(), os.sysconf("SC_CLK_TCK")
    begun = [int((time.clock_gettime(time.CLOCK_BOOTTIME) - back) * ticks) for back in (10, 100)]
    os.utime(watched.log, (now, now - 5))
    assert pulse._unwritten(begun, watched.log) == 0
    os.utime(watched.log, (now, now - 50))
    newest = pulse._unwritten(begun, watched.log)
    assert newest == pytest.approx(now - 10, abs=1)
    # It matters once: the look that follows tells what is wrong.
    assert not pulse.same({"newest": 0}, {"newest": newest}, now - 20)
    assert pulse.same({"newest": 0}, {"newest": newest}, now - 5)


def test_a_log_whose_time_was_set(watched, monkeypatch):
    """It does not move either, whatever it says: touch(1)."""
    now = time.time()
    os.utime(watched.log, (now, now + 86400))
    monkeypatch.setattr(time, "time", lambda: now + 20)
    assert pulse._later([now + 10], watched.log) == now + 10
    assert pulse._later([now + 1], watched.log) == 0


def test_a_log_that_does_not_move_while_syslog_tells_of_logins(watched, tmp_path):
    auth, now = tmp_path / "auth.log", time.time()
    auth.write_text("sshd[7]: Accepted publickey for alice\n")
    watched = watched._replace(spoken=[str(auth), str(tmp_path / "none")])
    os.utime(auth, (now, now - 10))
    os.utime(watched.log, (now, now - 11))
    assert take(watched)["spoken"] == 0
    before = take(watched)
    os.utime(watched.log, (now, now - 50))
    assert take(watched)["spoken"] == pytest.approx(now - 10, abs=1)
    assert not pulse.same(before, take(watched), now - 80)
    # Not at every line.
    assert pulse.same(before, take(watched), now - 30)


def test_a_port_that_somebody_without_rights_opens(watched, monkeypatch):
    now, own = time.time(), [(22, 0), (8080, 1001)]

    def listening(*more):
        return [pulse.sockets.Listening("::", port, uid, port) for port, uid in (*own, *more)]

    monkeypatch.setattr(pulse.sockets, "listening", listening)
    before = take(watched)
    monkeypatch.setattr(pulse.sockets, "listening", lambda: listening((2222, 1001)))
    opened = take(watched)
    assert not pulse.same(before, opened, now - pulse.APART - 1)
    # He can do so as often as he likes: what looks cost is bounded.
    assert pulse.same(before, opened, now - pulse.APART + 5)
    # Who has known of it before, and whoever closes one, opens nothing.
    assert pulse.same(opened, opened, now - 300) and pulse.same(opened, before, now - 300)
    monkeypatch.setattr(pulse.sockets, "listening", lambda: listening((2222, 0)))
    assert not pulse.same(before, take(watched), now)


def test_a_log_that_was_cut(watched):
    before = take(watched)
    os.truncate(watched.log, 3)
    assert not pulse.same(before, take(watched), time.time())


OFF = b"type=CONFIG_CHANGE msg=audit(1.0:2): op=set audit_enabled=0 old=1 auid=1001 ses=3 res=1\n"


@pytest.mark.parametrize("grown,tells", [(b"", False), (b"type=USER x\n", False), (OFF, True), (b"x" * 2**23, True)])
def test_a_log_that_tells_of_an_interruption(watched, grown, tells):
    before = take(watched)
    with open(watched.log, "ab") as log:
        log.write(grown)
    after = take(watched)
    assert pulse.same(before, after, time.time())
    assert pulse.tells(watched.log, before, after) is tells
    # What was there before is told already.
    assert not pulse.tells(watched.log, after, take(watched))


def test_a_log_that_is_a_pipe_keeps_nobody_waiting(watched):
    before = take(watched)
    os.unlink(watched.log)
    os.mkfifo(watched.log)
    assert not pulse.same(before, take(watched), time.time())


def test_how_much_room_there_is(tmp_path):
    place = str(tmp_path)
    assert pulse.room(place, "0") == pulse.room(place, "1%") == ""
    assert pulse.room(place, "99999999") == pulse.room(place, "100%") == "low"
    assert pulse.room("/nonexistent", "1%") == pulse.room(place, "x") == ""


def test_a_host_without_an_audit_of_its_own(watched):
    assert set(pulse.take(watched, None)) == {"doors", "others", "at"}
