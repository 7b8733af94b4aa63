"""
What tests share: who may run, the machine's one audit subsystem, and the host's own configuration set aside.
"""

import contextlib
import ctypes
import functools
import itertools
import os
import pathlib
import shutil
import subprocess
import sys
import time

import _keeper
import pytest
from _kernel import audit_rules, audit_status, auditctl, auditd_ended
from sshtrail_lib.rules import compile, language

__all__ = [
    "audit_status",
    "audit_subsystem",
    "auditctl",
    "auditd_ended",
    "host_aside",
    "lock_nothing",
    "of_the_pillar",
    "program",
    "require_root",
    "spent",
]


#: By how much a process of tests is nicer (nice(2)) than one that has the audit subsystem.
BEHIND = 5
#: Numbers that nobody has had before, for rules that nobody has compiled before.
NUMBERS = itertools.count(1_000_000)


def require_root():
    """Skip unless this is root: real daemons and the kernel's audit subsystem need it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts real daemons or changes the kernel's audit rules")


def program(name):
    """Return one of Salt's commands (str, path), of the Salt that runs the tests."""
    return str(pathlib.Path(sys.executable).parent / name)


def of_the_pillar(paths):
    """Return those of the paths that a master serves (iterable of str) that hold what only the master may read."""
    return [path for path in paths if "pillar" in pathlib.PurePosixPath(path).parent.parts or "common.sls" in path]


def spent(work, *args):
    """
    Return what ``work(*args)`` returns, and for how long it had the processor (float).

    The unit is what this process takes now to read and compile two thousand rules, a tenth of a second on a common
    processor: what makes one slow, be it the machine or ``coverage``, makes the other slow. Not always as slow: what
    moves much memory took two and a half times as many units on a busy machine. A test allows some ten times what
    the work takes, which is still far from what it takes where each of thousands is compared with each other.
    """
    begun = time.process_time()
    done = work(*args)
    ended = time.process_time()
    for number in itertools.islice(NUMBERS, 2000):
        compile.compile(language.parse_rule(f"-a always,exit -F arch=b64 -S openat -F auid={number} -k n{number}"))
    return done, (ended - begun) / (time.process_time() - ended)


class Library(ctypes.CDLL):
    """
    A library of C as every test has it: libaudit locks nothing, for only a reboot would unlock it.

    A test that plays a lock replaces functions of ours, and ours are read anew when a file of theirs changes.
    """

    def __getattr__(self, name):
        found = super().__getattr__(name)
        if name == "audit_set_loginuid_immutable":
            found = _refused
        elif name == "audit_set_enabled":
            found = functools.partial(_unlocked, found)
        # Where the original was kept a moment ago.
        setattr(self, name, found)
        return found


def _refused(*_arguments):
    raise AssertionError("a test would have locked this kernel until the next reboot")


def _unlocked(function, handle, value):
    return _refused() if getattr(value, "value", value) not in (0, 1) else function(handle, value)


def lock_nothing():
    """Have this process, and what is forked from it, lock no kernel."""
    ctypes.CDLL = Library


@contextlib.contextmanager
def audit_subsystem():
    """
    Have the machine's audit subsystem alone; it is as it was when this ends, or when the tests are killed.

    Whoever uses it must delete his own rules: this fails when one is left.
    """
    require_root()
    with _keeper.audit_subsystem() as (_, rules), ahead():
        yield
        assert audit_rules() == rules, "the test left audit rules in the kernel"


@contextlib.contextmanager
def ahead():
    """Be served by the processors before those who stand behind: what others wait for is done first."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    os.setpriority(os.PRIO_PROCESS, 0, max(0, before - BEHIND))
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def stand_behind():
    """Leave the processors to who is :func:`ahead`; who is started from here on does too."""
    os.nice(BEHIND)


# --- The host's own configuration, daemon and rules, set aside while the tests run ------------------------------

CLONE_NEWNS, CLONE_NEWUTS = 0x00020000, 0x04000000
# What the packages install, on a host where somebody has changed it: the tests begin there.
PRISTINE = {
    "/etc/ssh/sshd_config": "/usr/share/openssh/sshd_config",
    "/etc/audit/auditd.conf": str(pathlib.Path(__file__).parent / "data" / "auditd" / "debian-12.conf"),
}
OURS = ["/etc/audit/rules.d/zz-sshtrail.rules", "/etc/audit/rules.d/zz-local.rules"]


@contextlib.contextmanager
def host_aside(base, audited=True):
    """
    Run the tests as on a host that was just installed, also where a highstate has been.

    ``/etc/ssh`` and ``/etc/audit`` are private copies (below ``base``, a pathlib.Path) in namespaces of the tests' own;
    an auditd that runs is stopped, and started again in the end, with the rules that the kernel held. What tests leave
    behind in these namespaces ends with them.

    audited
        Whether the audit subsystem is set aside too (bool): nobody can where it is locked.
    """
    keeper = _keeper.Keeper()
    unshare(CLONE_NEWNS | CLONE_NEWUTS)
    keeper.sandbox(os.getpid())
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for directory in ("/etc/ssh", "/etc/audit"):
        copy = base / directory.rpartition("/")[2]
        shutil.copytree(directory, copy)
        shutil.copystat(directory, copy)
        subprocess.run(["mount", "--bind", copy, directory], check=True)
    os.makedirs("/var/lib/sshtrail", mode=0o700, exist_ok=True)
    subprocess.run(["mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", "/var/lib/sshtrail"], check=True)
    for path, pristine in PRISTINE.items():
        pathlib.Path(path).write_bytes(pathlib.Path(pristine).read_bytes())
    for path in OURS:
        pathlib.Path(path).unlink(missing_ok=True)
    subprocess.run(["augenrules"], check=True, capture_output=True)
    if audited:
        keeper.audit_aside()
    try:
        yield
    finally:
        keeper.close()


def unshare(namespaces):
    """Give this process namespaces of its own."""
    if ctypes.CDLL(None, use_errno=True).unshare(namespaces):
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
