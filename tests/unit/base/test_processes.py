"""
What a running daemon has read, asked about real processes.
"""

import os
import subprocess
import sys
import time

import pytest
from sshtrail_lib.base import processes


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
