"""
bin/_own_kernel.py: a command has a kernel, and with it an audit subsystem, of its own, and this machine stays as it is.
"""

import os
import pathlib
import signal
import subprocess
import sys

import _own_kernel
import pytest
from _waiting import DEADLINE, wait_for
from support import audit_status, require_root

# No line of the library is in it.
pytestmark = pytest.mark.usefixtures("unmeasured")
KINDS = [([0, 0], 0), ([0, 5], 0), ([5, 5], 5), ([0, 1], 1), ([1, 0], 1), ([2, 1], 2)]


@pytest.fixture
def run(tmp_path):
    """Runs a shell's line in a kernel of its own; what has ended is returned."""
    require_root()
    return lambda line: subprocess.run(
        _own_kernel.around(["sh", "-c", line], 0), capture_output=True, text=True, check=False, cwd=tmp_path
    )


def test_its_audit_subsystem_is_locked_and_this_one_is_not(run):
    before = audit_status()
    done = run("auditctl -w /etc/passwd -p wa -k own && auditctl -e 2 && auditctl -D; auditctl -l; exit 9")
    assert done.returncode == 9, done.stderr
    assert "Error deleting rule (Operation not permitted)" in done.stdout
    assert done.stdout.endswith("-w /etc/passwd -p wa -k own\n")
    assert audit_status()["enabled"] == before["enabled"]


def test_it_reads_this_machines_files_and_changes_none(run, tmp_path):
    mine = tmp_path / "mine"
    mine.write_text("before\n")
    done = run("cat mine; echo after > mine; cat mine; pwd; id -u; ip -o address show dev lo | wc -l")
    assert done.stdout.splitlines() == ["before", "after", str(tmp_path), "0", "2"]
    assert mine.read_text() == "before\n"


def test_a_kernel_that_ends_before_the_command_is_a_failure(run):
    done = run("echo o > /proc/sysrq-trigger; sleep 60")
    assert done.returncode == 1
    assert "the kernel of its own ended before the command did; it said last:" in done.stderr
    assert "Power down" in done.stderr


def test_nothing_is_left_of_one_that_was_killed(tmp_path):
    require_root()
    before = words()
    command = _own_kernel.around(["sh", "-c", "echo begun; sleep 1000"], 0)
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        while process.stdout.readline() != "begun\n":
            assert process.poll() is None
        place = next(word for word in words() - before if word.startswith("said="))
        process.send_signal(signal.SIGKILL)
    wait_for(lambda: place not in words(), "the end of the kernel", DEADLINE)
    wait_for(lambda: not os.path.exists(place.removeprefix("said=")), "the end of its directory", DEADLINE)


def words():
    """Return the words of the command lines of all processes that run here (set of str)."""
    found = set()
    for path in pathlib.Path("/proc").glob("[0-9]*/cmdline"):
        try:
            found.update(path.read_bytes().decode(errors="replace").split("\0"))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("statuses, expected", KINDS)
def test_all_must_pass_and_some_may_have_nothing_to_run(monkeypatch, statuses, expected):
    told = []
    monkeypatch.setattr(_own_kernel, "wanted", lambda: True)
    monkeypatch.setattr(
        _own_kernel, "around", lambda command, one: [sys.executable, "-c", f"raise SystemExit({statuses[1]})"]
    )
    assert _own_kernel.tested(["pytest"], lambda more: told.append(more) or statuses[0], 2) == expected
    assert told == [["--audit=without"]]


def test_where_nothing_is_locked_all_run_here(monkeypatch):
    monkeypatch.setattr(_own_kernel, "wanted", lambda: False)
    assert _own_kernel.tested(["pytest"], lambda more: 3 if more == [] else 1, 2) == 3
