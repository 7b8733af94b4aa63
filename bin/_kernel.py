"""
The machine's one audit subsystem, for a while: its lock, its status, and that both are as before in the end.

Standard library only.
"""

import contextlib
import fcntl
import os
import shlex
import subprocess

from _prepare import LOCK_DEADLINE, Failed, cache, opened
from _waiting import stop, wait_for

# One kernel, one audit subsystem: whoever touches it holds this lock, whichever checkout he runs from. It lies where
# only root can put anything: in /tmp, or in /run/lock, anybody could hold it first.
AUDIT_LOCK = os.path.join(cache(), "audit-subsystem.lock")
NO_RULES = "No rules"
#: What "enabled" is where nobody may change anything until the next boot (auditctl(8)).
LOCKED = "2"
RESTORE = {
    "backlog_limit": "-b",
    "failure": "-f",
    "rate_limit": "-r",
    "backlog_wait_time": "--backlog_wait_time",
    "enabled": "-e",
}


def auditctl(*args):
    """Run auditctl and return what it printed (str)."""
    return subprocess.run(["auditctl", *args], capture_output=True, text=True, check=True).stdout


def audit_status():
    """Return the kernel's audit status as auditctl prints it (dict of str)."""
    return dict(line.split(maxsplit=1) for line in auditctl("-s").splitlines() if " " in line)


def audit_rules():
    """Return the kernel's rules as auditctl lists them (list of str)."""
    return [line for line in auditctl("-l").splitlines() if line != NO_RULES]


def auditd_ended():
    """Wait until the kernel has no audit daemon any more."""
    wait_for(lambda: audit_status()["pid"] == "0", "the end of the kernel's audit daemon")


@contextlib.contextmanager
def audit_lock(seconds=LOCK_DEADLINE):
    """
    Have the machine's audit subsystem alone; gives the file descriptor (int) that holds the lock.

    seconds
        How long to wait for others (float); :class:`_prepare.Failed` is raised then.
    """
    os.makedirs(os.path.dirname(AUDIT_LOCK), mode=0o755, exist_ok=True)
    lock = opened(AUDIT_LOCK)
    try:
        # Who waits in the kernel's queue gets it after those who have waited longer, and before those who come later.
        command = ["flock", "--exclusive", "--timeout", str(seconds), str(lock)]
        if subprocess.run(command, pass_fds=[lock], check=False).returncode:
            raise Failed(f"in vain waited {seconds} s for the lock {AUDIT_LOCK}, which somebody else holds")
        yield lock
    finally:
        # Who guards this run may have the same open file.
        fcntl.flock(lock, fcntl.LOCK_UN)
        os.close(lock)


def restore(status):
    """Give the kernel's audit settings the values of ``status`` (dict of str) again."""
    now = audit_status()
    for key, option in RESTORE.items():
        if now[key] != status[key]:
            auditctl(option, status[key])


def bring_back(status, rules):
    """
    Give the kernel the settings and the rules that it had when nobody is left who changes them.

    status, rules
        As :func:`audit_status` and :func:`audit_rules` told them. An audit daemon that was not there is ended.
    """
    now = audit_status()
    if now["pid"] != status["pid"]:
        stop(int(now["pid"]), "auditd")
        forget_auditd()
    if audit_rules() != rules:
        auditctl("-D")
        for rule in rules:
            auditctl(*shlex.split(rule))
    restore(status)


def bring_host_back(status, rules):
    """Start the host's own audit daemon again where one ran, and have the kernel's settings and rules as they were."""
    if status["pid"] != "0":
        subprocess.run(["service", "auditd", "start"], check=False, stdout=subprocess.DEVNULL)
    bring_back({**status, "pid": audit_status()["pid"]}, rules)


def forget_auditd():
    """Let the kernel notice that its audit daemon has gone: one that was killed could not tell it."""
    status = audit_status()
    if status["pid"] != "0":
        # It notices when it has something to send, and sends nothing while it is switched off.
        if status["enabled"] == "0":
            auditctl("-e", "1")
        auditctl("-m", "sshtrail: is the audit daemon there?")
    auditd_ended()
    restore(status)
