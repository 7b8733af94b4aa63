"""
What a running daemon has read, asked about real processes.
"""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys
import threading
import time

import pytest
from _waiting import DEADLINE
from sshtrail_lib.base import processes
from support import require_root


@pytest.fixture
def daemon():
    """A living process (subprocess.Popen) that stands for a daemon."""
    with subprocess.Popen([sys.executable, "-c", "import sys; sys.stdin.read()"], stdin=subprocess.PIPE) as process:
        yield process
        process.stdin.close()


@pytest.fixture
def file(tmp_path):
    """A file that was there before the daemon."""
    path = tmp_path / "file"
    path.write_text("one")
    # The start time of a process counts in ticks of the kernel's clock.
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    return str(path)


@pytest.fixture
def run(tmp_path):
    """The directory of the marks (str)."""
    return str(tmp_path / "run")


def _write(path, text):
    with open(path, "w", encoding="utf-8") as handle:
        handle.write(text)


def test_without_a_mark_the_start_counts(file, run, daemon):
    assert processes.has_read(daemon.pid, [file], run)
    assert processes.marked(daemon.pid, run) is None
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    _write(file, "two")
    assert not processes.has_read(daemon.pid, [file], run)


def test_a_mark_counts_by_content(file, run, daemon):
    _write(file, "two")
    processes.mark(daemon.pid, [file], run, b"two\nlines\n")
    assert processes.has_read(daemon.pid, [file], run)
    assert processes.marked(daemon.pid, run) == b"two\nlines\n"
    _write(file, "three")
    assert not processes.has_read(daemon.pid, [file], run)
    _write(file, "two")
    assert processes.has_read(daemon.pid, [file], run)


def test_a_mark_from_before_the_last_reading_tells_nothing(file, run, daemon):
    """Somebody had it read something else, and put the file back: its content is what it was."""
    processes.mark(daemon.pid, [file], run)
    marked = os.stat(processes.mark_path(daemon.pid, run)).st_ctime
    assert processes.has_read(daemon.pid, [file], run, again=marked)
    assert processes.has_read(daemon.pid, [file], run, again=marked + 1), "read again, and the file is older"
    # A file's time is that of the kernel's last clock tick: in the same one nothing tells which came first.
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    os.utime(file)
    changed = os.stat(file).st_ctime
    assert not processes.has_read(daemon.pid, [file], run, again=changed)


def test_another_process_with_the_same_pid_left_no_mark(file, run, daemon):
    _write(file, "two")
    processes.mark(daemon.pid, [file], run, b"kept")
    path = os.path.join(run, f"read-{daemon.pid}")
    with open(path, "rb") as handle:
        content = handle.read()
    with open(path, "wb") as handle:
        handle.write(b"1" + content)
    assert processes.marked(daemon.pid, run) is None
    assert not processes.has_read(daemon.pid, [file], run)


def test_a_directory_counts_by_its_names(tmp_path, run, daemon):
    directory = tmp_path / "conf.d"
    directory.mkdir()
    processes.mark(daemon.pid, [str(directory)], run)
    assert processes.has_read(daemon.pid, [str(directory)], run)
    (directory / "new").touch()
    assert not processes.has_read(daemon.pid, [str(directory)], run)


def test_a_missing_file_counts_as_empty(tmp_path, run, daemon):
    missing = str(tmp_path / "missing")
    assert processes.has_read(daemon.pid, [missing], run)
    processes.mark(daemon.pid, [missing], run)
    _write(missing, "there")
    assert not processes.has_read(daemon.pid, [missing], run)


def test_the_process_of_a_pid_file(tmp_path, daemon):
    pidfile = tmp_path / "pid"
    name = os.path.basename(os.path.realpath(f"/proc/{daemon.pid}/exe"))[:15]
    pidfile.write_text(f"{daemon.pid}\n")
    assert processes.process(str(pidfile), ["other"]) is None
    with open(f"/proc/{daemon.pid}/comm", encoding="utf-8") as handle:
        comm = handle.read().strip()
    assert processes.process(str(pidfile), [comm, name]) == daemon.pid


@pytest.mark.parametrize("content", ["", "x", "0", "-1", "99999999999"])
def test_a_pid_file_without_a_process(tmp_path, content):
    pidfile = tmp_path / "pid"
    pidfile.write_text(content)
    assert processes.process(str(pidfile), ["any"]) is None
    assert processes.process(str(tmp_path / "none"), ["any"]) is None


# prctl(PR_SET_NAME), which anybody may call for himself.
RENAMED = """
import ctypes, os, sys
assert ctypes.CDLL(None).prctl(15, os.fsencode(sys.argv[1]), 0, 0, 0) == 0
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.fixture
def named():
    """Start a process that calls itself as it likes: ``named(NAME, …)`` returns it (subprocess.Popen)."""
    started = []

    def start(name, *arguments):
        command = [sys.executable, "-c", RENAMED, name, *arguments]
        started.append(subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE))
        assert started[-1].stdout.readline() == b"ready\n"
        return started[-1]

    yield start
    for process in started:
        # Closes its input, at which it ends, and waits for it.
        process.__exit__(None, None, None)


@pytest.mark.parametrize(
    "name", ["sshd", "a b", ") Z 1 (", "sshd\n", "\n", os.fsdecode(b"\xff\xfe"), "exactly-fifteen"]
)
def test_a_process_may_be_called_anything(named, name, tmp_path):
    process, pidfile = named(name), tmp_path / "pid"
    pidfile.write_text(str(process.pid))
    assert processes.comm(process.pid) == os.fsencode(name)
    assert processes.lives(process.pid)
    assert processes.birth(process.pid).isdigit()
    assert processes.process(str(pidfile), [name]) == process.pid
    assert processes.process(str(pidfile), ["sshd"]) == (process.pid if name == "sshd" else None)


def test_a_long_name_is_compared_as_far_as_the_kernel_keeps_it(named, tmp_path):
    process, pidfile = named("a-name-of-more-than-fifteen"), tmp_path / "pid"
    pidfile.write_text(str(process.pid))
    assert processes.comm(process.pid) == b"a-name-of-more-"
    assert processes.process(str(pidfile), ["a-name-of-more-than-fifteen"]) == process.pid


@pytest.mark.parametrize("words", [("", "a b", "\n"), (os.fsdecode(b"\xff"),), ("",)])
def test_a_command_line_keeps_its_words(named, words):
    process = named("any", *words)
    assert processes.argv(process.pid) == (sys.executable, "-c", RENAMED, "any", *words)


def test_a_process_that_ended_does_not_live(named):
    process = named("sshd")
    process.stdin.close()
    # Until somebody waits for it, it is a zombie and has a name, but no command line.
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    assert not processes.lives(process.pid)
    assert processes.argv(process.pid) == ()
    assert processes.comm(process.pid) == b"sshd"
    process.wait()
    assert not processes.lives(process.pid)
    assert (processes.comm(process.pid), processes.argv(process.pid)) == (b"", ())
    assert processes.birth(process.pid) == b"gone"


def test_what_is_forgotten_is_not_known(file, run, daemon):
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    _write(file, "two")
    processes.forget(daemon.pid, run)
    processes.mark(daemon.pid, [file], run, b"two")
    processes.forget(daemon.pid, run)
    assert processes.marked(daemon.pid, run) is None
    assert not processes.has_read(daemon.pid, [file], run)


@pytest.mark.parametrize("change", ["nothing", "moved", "deleted"])
def test_a_process_writes_the_file_that_it_holds(tmp_path, change):
    path = tmp_path / "audit.log"
    with open(path, "w", encoding="ascii"):
        if change == "moved":
            path.rename(tmp_path / "audit.log.1")
        elif change == "deleted":
            path.unlink()
        assert processes.writes(os.getpid(), str(path))
        assert not processes.writes(os.getpid(), str(tmp_path / "udit.log"))
    assert not processes.writes(os.getpid(), str(path))


def test_a_process_that_reads_a_file_does_not_write_it(tmp_path):
    path = tmp_path / "audit.log"
    path.touch()
    with open(path, encoding="ascii"):
        assert not processes.writes(os.getpid(), str(path))
    assert not processes.writes(2**22 + 1, str(path))


def test_a_process_that_was_stopped_is_seen():
    with subprocess.Popen(["sleep", "60"]) as process:
        assert not processes.stopped(process.pid)
        process.send_signal(signal.SIGSTOP)
        os.waitid(os.P_PID, process.pid, os.WSTOPPED | os.WNOWAIT)
        assert processes.stopped(process.pid)
        process.kill()


def test_another_mode_is_nothing_that_a_daemon_would_read_again(file, daemon):
    os.chmod(file, 0o600)
    assert not processes.rewritten(daemon.pid, [file, "/nothing"])
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    _write(file, "two")
    assert processes.rewritten(daemon.pid, [file])
    # It was told to read again since.
    assert not processes.rewritten(daemon.pid, [file], again=time.time() + 1)


@pytest.fixture
def foreign(monkeypatch):
    """Let every process be that of somebody with a number of his own, which is also the process's."""
    monkeypatch.setattr(processes, "owner", lambda pid: pid)
    monkeypatch.setattr(processes, "PATIENCE", 0.2)
    monkeypatch.setattr(processes, "_HUNG", {})


def test_who_never_tells_his_command_line_is_asked_once(foreign, monkeypatch):
    asked, over = [], threading.Event()

    def hung(pid, name):
        asked.append(pid)
        if pid == 7001:
            over.wait(3600)
        return b"a\0b\0"

    monkeypatch.setattr(processes, "_proc", hung)
    started = time.monotonic()
    try:
        assert [processes.argv(pid) for pid in (7001, 7001, 7001, 7002)] == [(), (), (), ("a", "b")]
    finally:
        over.set()
    assert time.monotonic() - started < DEADLINE and asked == [7001, 7002]


def test_the_command_line_of_somebody_else_has_an_end(foreign, monkeypatch):
    monkeypatch.setattr(processes, "_proc", lambda pid, name: b"a\0" * 10**6)
    assert len(processes.cmdline(7003)) == processes.LONGEST_CMDLINE
    assert set(processes.argv(7003)) == {"a"}


def test_the_open_files_of_somebody_else_have_an_end(tmp_path, monkeypatch):
    path = tmp_path / "file"
    path.touch()
    with contextlib.ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(path.open())
        assert processes.links(os.getpid()).count(str(path)) == 50
        monkeypatch.setattr(processes, "owner", lambda pid: 65534)
        monkeypatch.setattr(processes, "MOST_FILES", 20)
        assert len(processes.links(os.getpid())) == 20
    assert processes.links(2**22 + 5) == []


@pytest.mark.parametrize("uid", [0, 65534])
def test_whether_a_process_is_roots_alone(uid):
    require_root()
    with subprocess.Popen(["sleep", "60"], user=uid) as process:
        assert processes.of_root_alone(process.pid) is (uid == 0)
        process.kill()
    assert not processes.of_root_alone(2**22 + 5)


def test_a_process_has_an_owner_while_it_lives():
    assert processes.owner(os.getpid()) == os.geteuid() and processes.owner(2**22 + 5) == -1


def test_what_is_written_is_seen_where_it_was_deleted(tmp_path):
    log = tmp_path / "audit.log"
    with log.open("w") as handle:
        handle.write("held")
        handle.flush()
        log.unlink()
        [seen] = processes.written(os.getpid(), str(log))
        assert pathlib.Path(seen).read_text() == "held"
    assert processes.written(os.getpid(), str(log)) == []
