"""
What tests share: who may run, and the machine's one audit subsystem.
"""

import contextlib
import ctypes
import os
import pathlib
import shutil
import signal
import subprocess
import time

import pytest
from _kernel import AUDIT_LOCK, audit_status, auditctl, restore
from _prepare import locked
from sshtrail_lib.base import kernel


def require_root():
    """Skip unless this is root: real daemons and the kernel's audit subsystem need it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts real daemons or changes the kernel's audit rules")


@contextlib.contextmanager
def audit_subsystem():
    """
    Have the machine's audit subsystem alone; its status is as it was when this ends.

    Whoever uses it must delete his own rules: this fails when one is left.
    """
    require_root()
    with locked(AUDIT_LOCK):
        rules, status = auditctl("-l"), audit_status()
        try:
            yield
        finally:
            restore(status)
        assert auditctl("-l") == rules, "the test left audit rules in the kernel"


# --- The host's own configuration, daemon and rules, set aside while the tests run ------------------------------

CLONE_NEWNS = 0x00020000
# What the packages install, on a host where somebody has changed it: the tests begin there.
PRISTINE = {
    "/etc/ssh/sshd_config": "/usr/share/openssh/sshd_config",
    "/etc/audit/auditd.conf": str(pathlib.Path(__file__).parent / "data" / "auditd" / "debian-12.conf"),
}
OURS = ["/etc/audit/rules.d/zz-sshtrail.rules", "/etc/audit/rules.d/zz-local.rules"]


@contextlib.contextmanager
def host_aside(base):
    """
    Run the tests as on a host that was just installed, also where a highstate has been.

    ``/etc/ssh`` and ``/etc/audit`` are private copies in a mount namespace of the tests' own; an auditd that runs
    is stopped, and started again in the end, with the rules that the kernel held.
    """
    outside = os.open("/proc/self/ns/mnt", os.O_RDONLY)
    assert ctypes.CDLL(None, use_errno=True).unshare(CLONE_NEWNS) == 0, os.strerror(ctypes.get_errno())
    subprocess.run(["mount", "--make-rprivate", "/"], check=True)
    for directory in ("/etc/ssh", "/etc/audit"):
        copy = base / directory.rpartition("/")[2]
        shutil.copytree(directory, copy)
        shutil.copystat(directory, copy)
        subprocess.run(["mount", "--bind", copy, directory], check=True)
    for path, pristine in PRISTINE.items():
        pathlib.Path(path).write_bytes(pathlib.Path(pristine).read_bytes())
    for path in OURS:
        pathlib.Path(path).unlink(missing_ok=True)
    subprocess.run(["augenrules"], check=True, capture_output=True)
    with _audit_aside(f"/proc/{os.getpid()}/fd/{outside}"):
        yield


@contextlib.contextmanager
def _audit_aside(outside):
    with locked(AUDIT_LOCK):
        status, rules = audit_status(), kernel.rules()
        _stop_auditd(int(status["pid"]))
        for rule in kernel.rules():
            kernel.delete(rule)
    try:
        yield
    finally:
        with locked(AUDIT_LOCK):
            if status["pid"] != "0":
                subprocess.run(["nsenter", f"--mount={outside}", "service", "auditd", "start"], check=False)
            held = kernel.rules()
            for rule in rules:
                if rule not in held:
                    kernel.add(rule)
            restore(status)


def _stop_auditd(pid):
    if pid:
        os.kill(pid, signal.SIGTERM)
        while os.path.exists(f"/proc/{pid}"):
            time.sleep(0.1)
