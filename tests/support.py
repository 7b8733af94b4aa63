"""
What tests share: who may run, and the machine's one audit subsystem.
"""

import contextlib
import fcntl
import os
import subprocess

import pytest

# One kernel, one audit subsystem: whoever touches it holds this lock, whichever checkout the tests run from.
AUDIT_LOCK = "/tmp/sshtrail-audit-subsystem.lock"
RESTORE = {
    "backlog_limit": "-b",
    "failure": "-f",
    "rate_limit": "-r",
    "backlog_wait_time": "--backlog_wait_time",
    "enabled": "-e",
}


def require_root():
    """Skip unless this is root: real daemons and the kernel's audit subsystem need it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts real daemons or changes the kernel's audit rules")


@contextlib.contextmanager
def holding(path):
    """Hold an exclusive lock on the file at ``path``."""
    with open(path, "a+", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@contextlib.contextmanager
def audit_subsystem():
    """
    Have the machine's audit subsystem alone; its status is as it was when this ends.

    Whoever uses it must delete his own rules: this fails when one is left.
    """
    require_root()
    with holding(AUDIT_LOCK):
        rules, status = auditctl("-l"), audit_status()
        try:
            yield
        finally:
            now = audit_status()
            for key, option in RESTORE.items():
                if now[key] != status[key]:
                    auditctl(option, status[key])
        assert auditctl("-l") == rules, "the test left audit rules in the kernel"


def auditctl(*args):
    """Run auditctl and return what it printed (str)."""
    return subprocess.run(["auditctl", *args], capture_output=True, text=True, check=True).stdout


def audit_status():
    """Return the kernel's audit status as auditctl prints it (dict of str)."""
    return dict(line.split(maxsplit=1) for line in auditctl("-s").splitlines() if " " in line)
