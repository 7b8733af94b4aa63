"""
fleet.lease: one works; who is stopped is told of and replaced, and does nothing more when he wakes up.
"""

import contextlib
import os
import signal
import subprocess
import sys
import time

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import locks
from sshtrail_lib.fleet import lease

HOLDER = """
import sys, time
from sshtrail_lib.base import locks
from sshtrail_lib.fleet import lease
path, fence, where = sys.argv[1:]
with lease.held(path, fence) as turn:
    assert turn
    if where == "fence":
        with turn.sure():
            print("held", flush=True)
            sys.stdin.readline()
    print("held", flush=True)
    for line in sys.stdin:
        try:
            turn.sign()
            with turn.sure():
                print("acts", flush=True)
        except lease.LostError as exc:
            print(exc.message, flush=True)
"""


class Worker:
    """Another process that holds the lock, and acts once for each line that it is sent."""

    def __init__(self, place, where="work"):
        library = os.path.dirname(os.path.dirname(os.path.dirname(lease.__file__)))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
        environ = {**os.environ, "PYTHONPATH": library}
        self.process = subprocess.Popen([sys.executable, "-c", HOLDER, *place, where], env=environ, **pipes)
        assert self.process.stdout.readline() == "held\n"

    def acts(self):
        self.process.stdin.write("go\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def signal(self, number):
        self.process.send_signal(number)
        while (number == signal.SIGSTOP) != (state(self.process.pid) == "T"):
            time.sleep(0.01)

    def end(self):
        self.process.kill()
        self.process.communicate()


def state(pid):
    with open(f"/proc/{pid}/stat") as handle:
        return handle.read().rpartition(")")[2].split()[0]


@pytest.fixture
def place(tmp_path, monkeypatch):
    """A lock and its fence, with times that a test can wait for."""
    for name, seconds in {"STOPPED": 0.5, "SILENT": 1.5, "WATCHED": 0.3, "DEADLINE": 0.5}.items():
        monkeypatch.setattr(lease, name, seconds)
    return str(tmp_path / "run" / "work.lock"), str(tmp_path / "run" / "records.lock")


@pytest.fixture
def worker(place):
    with contextlib.closing(Closing(Worker(place))) as found:
        yield found.worker


class Closing:
    def __init__(self, worker):
        self.worker, self.close = worker, worker.end


def test_who_works_is_left_alone(place, worker):
    for _ in range(20):
        assert worker.acts() == "acts" and lease.stuck(place[0]) is None
        with lease.held(*place) as turn:
            assert not turn and turn.stuck is None
        time.sleep(0.1)


def test_who_was_stopped_is_told_of_and_does_nothing_more(place, worker):
    worker.signal(signal.SIGSTOP)
    with lease.held(*place) as turn:
        assert not turn and turn.stuck is None, "a moment is none"
    time.sleep(0.6)
    assert lease.stuck(place[0]).pid == worker.process.pid
    with lease.held(*place) as turn:
        assert turn and turn.stuck.pid == worker.process.pid and "which is stopped" in turn.stuck.said()
        with turn.sure():
            pass
        worker.signal(signal.SIGCONT)
        assert worker.acts().startswith("Another run has taken over")
        # Nobody else comes in, and he who is awake again keeps nobody out when he ends.
        with lease.held(*place) as third:
            assert not third and third.stuck is None
        worker.end()
        with lease.held(*place) as third:
            assert not third
    with lease.held(*place) as turn:
        assert turn and turn.stuck is None


def test_who_hangs_otherwise_is_replaced_after_longer(place, worker):
    """It waits for a line: for a disk or a lock it would be the same."""
    time.sleep(0.8)
    assert lease.stuck(place[0]) is None
    time.sleep(1)
    with lease.held(*place) as turn:
        assert turn and turn.stuck.pid == worker.process.pid and "stopped" not in turn.stuck.said()


@pytest.mark.parametrize("way", ["killed", "awake"])
def test_nobody_takes_over_from_one_who_was_stopped_in_the_middle_of_an_act(place, way):
    with contextlib.closing(Closing(Worker(place, "fence"))) as found:
        worker = found.worker
        worker.signal(signal.SIGSTOP)
        time.sleep(0.6)
        with lease.held(*place) as turn:
            assert not turn and turn.stuck.pid == worker.process.pid
        if way == "killed":
            worker.end()
            with lease.held(*place) as turn:
                assert turn and turn.stuck is None
        else:
            worker.signal(signal.SIGCONT)
            assert worker.acts() == "held" and worker.acts() == "acts"
            assert lease.stuck(place[0]) is None


def test_two_that_come_at_once_do_not_both_take_over(place, worker):
    worker.signal(signal.SIGSTOP)
    time.sleep(0.6)
    code = (
        "import sys, time\nfrom sshtrail_lib.fleet import lease\nlease.STOPPED, lease.WATCHED = 0.5, 0.3\n"
        "with lease.held(*sys.argv[1:]) as turn:\n    print(bool(turn), flush=True)\n    time.sleep(3)"
    )
    library = os.path.dirname(os.path.dirname(os.path.dirname(lease.__file__)))
    environ = {**os.environ, "PYTHONPATH": library}
    command = [sys.executable, "-c", code, *place]
    others = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environ) for _ in range(4)]
    said = sorted(other.communicate()[0].strip() for other in others)
    assert said == ["False", "False", "False", "True"]


@pytest.mark.parametrize("seconds", [-7200, 7200])
def test_a_clock_that_jumped_makes_nobody_late_who_works(place, worker, seconds):
    now = time.time() + seconds
    os.utime(place[0], (now, now))
    end, acts = time.monotonic() + 0.3, []
    while time.monotonic() < end:
        acts.append(worker.acts())
    assert lease.stuck(place[0]) is None and set(acts) == {"acts"}


@pytest.mark.parametrize("left", [b"", b"\0" * 60, b"x y\n", b"999999999 1\n", b"1 1\n", b"-1 -1\n", b"9" * 4000])
def test_what_another_version_left_in_a_lock_names_nobody(place, worker, left):
    with open(place[0], "r+b") as handle:
        handle.truncate()
        handle.write(left)
    os.utime(place[0], (1, 1))
    worker.signal(signal.SIGSTOP)
    with lease.held(*place) as turn:
        assert not turn and turn.stuck is None


def test_a_lock_that_is_free_has_no_holder_though_he_lives(place):
    with lease.held(*place):
        assert locks.holder(place[0]).pid == os.getpid()
    os.utime(place[0], (1, 1))
    assert locks.holder(place[0]) is None and lease.stuck(place[0]) is None


def test_a_lock_that_was_replaced_while_it_was_waited_for_does_not_count(tmp_path):
    """Who had opened the old one gets it when he who was stopped ends: he then has to wait for the new one."""
    path = str(tmp_path / "some.lock")
    with locks.lock(path) as old, locks.lock(f"{path}.new"):
        os.rename(f"{path}.new", path)
        assert not locks.is_there(old, path)
        with pytest.raises(locks.Busy), locks.lock(path, 0.2):
            pytest.fail("two hold it")


def test_the_sentence_names_who_holds_a_lock(place, worker):
    worker.signal(signal.SIGSTOP)
    said = rf"It is process {worker.process.pid} \(.*, which is stopped"
    with pytest.raises(locks.Busy, match=said), locks.lock(place[0], 0):
        pytest.fail("two hold it")


def test_a_disk_that_takes_no_new_lock_is_told(place, worker, monkeypatch, caplog):
    worker.signal(signal.SIGSTOP)
    time.sleep(0.6)

    def full(*_paths):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(lease.os, "rename", full)
    with lease.held(*place) as turn:
        assert not turn and turn.stuck.pid == worker.process.pid
    assert "No space left on device" in caplog.text


def test_what_goes_wrong_in_a_turn_ends_it(place):
    with pytest.raises(CommandExecutionError, match="odd"), lease.held(*place):
        raise CommandExecutionError("odd")
    with lease.held(*place) as turn:
        assert turn
