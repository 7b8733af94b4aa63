"""
A run that is killed leaves nothing behind: no process, no daemon of the kernel's, no rule; and the lock is free.
"""

import contextlib
import os
import subprocess
import sys
import tempfile

import pytest
from _keeper import identity, inhabitants
from _kernel import LOCK_DEADLINE, RESTORE, audit_rules, audit_status
from _site import below
from _waiting import wait_for
from support import audit_subsystem, require_root

PYTEST = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "tests/integration/killed_run.py"]


@contextlib.contextmanager
def started(root, command, output, **environ):
    """Start a command that writes to a file; gives its process, which is gone in the end."""
    with (
        output.open("wb") as file,
        subprocess.Popen(command, cwd=root, stdout=file, stderr=file, env={**os.environ, **environ}) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


def subsystem():
    """Return what is to be as before (dict and list), with nobody else at work."""
    with audit_subsystem():
        status = audit_status()
        return {key: status[key] for key in (*RESTORE, "pid")}, audit_rules()


def killed(process):
    """Kill a run, and nobody else of it; wait until nobody lives in its namespaces."""
    ours = identity(os.stat("/proc/self/ns/uts"))
    namespaces = set()
    for pid in below(process.pid):
        with contextlib.suppress(OSError):
            namespaces.add(identity(os.stat(f"/proc/{pid}/ns/uts")))
    namespaces -= {ours}
    assert len(inhabitants(namespaces)) > 3
    process.kill()
    process.wait()
    wait_for(lambda: not inhabitants(namespaces), "the end of what a killed run has left")


def come(process, condition, output):
    """Wait until a run is where it is to be killed; it may have to wait for the audit subsystem."""
    wait_for(lambda: condition() or process.poll() is not None, "the run", LOCK_DEADLINE)
    assert process.poll() is None, output.read_text()


@pytest.mark.parametrize("workers", [[], ["-n", "1"]], ids=["alone", "with a worker"])
def test_the_tests(root, tmp_path, workers):
    require_root()
    before, ready, output = subsystem(), tmp_path / "ready", tmp_path / "output"
    with started(root, [*PYTEST, *workers], output, SSHTRAIL_TEST_READY=str(ready)) as process:
        come(process, ready.exists, output)
        assert audit_status()["pid"] != "0"
        killed(process)
    assert subsystem() == before


def test_the_demo(root, tmp_path):
    require_root()
    before, output = subsystem(), tmp_path / "output"
    # Sockets lie below it, whose paths must be short.
    with tempfile.TemporaryDirectory(prefix="demo-") as below_it:
        with started(root, [root / "bin" / "demo"], output, TMPDIR=below_it) as process:
            come(process, lambda: b"prod-1: 14 of 14 states succeeded" in output.read_bytes(), output)
            assert os.listdir(below_it)
            killed(process)
        assert subsystem() == before
        assert os.listdir(below_it) == []
