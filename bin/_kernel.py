"""
The machine's one audit subsystem, for a while: its lock, its status, and that both are as before in the end.
"""

import subprocess

# One kernel, one audit subsystem: whoever touches it holds this lock, whichever checkout he runs from.
AUDIT_LOCK = "/tmp/sshtrail-audit-subsystem.lock"
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


def restore(status):
    """Give the kernel's audit settings the values of ``status`` (dict of str) again."""
    now = audit_status()
    for key, option in RESTORE.items():
        if now[key] != status[key]:
            auditctl(option, status[key])
