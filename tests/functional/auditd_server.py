"""
An auditd of the tests' own, which works with a file in a directory of its own.
"""

import contextlib
import os
import subprocess
import time

from _waiting import stop, wait_for
from sshtrail_lib.auditd import daemon

BASE = """\
# own comment
log_file = {directory}/log/audit.log
log_group = root
write_logs = yes
flush = INCREMENTAL_ASYNC
freq = 50
max_log_file = 8
num_logs = 5
name_format = NONE
##name = mydomain
max_log_file_action = ROTATE
space_left = 2
admin_space_left = 1
plugin_dir = {directory}/plugins.d
"""


def configured(directory):
    """Write a file for auditd to a directory (pathlib.Path), with what it names; return its path (str)."""
    for name in ("log", "plugins.d"):
        (directory / name).mkdir(mode=0o700)
    path = directory / "auditd.conf"
    path.write_text(BASE.format(directory=directory))
    path.chmod(0o640)
    return str(path)


def running(path):
    """Return the auditd that works with the file at ``path`` (Daemon), or None."""
    found = daemon.find(path)
    return found if found.reads else None


@contextlib.contextmanager
def started(path, *prefix):
    """Have an auditd that works with the file at ``path`` (str), by the command ``prefix`` if there is one."""
    command = [*prefix, "auditd", "-n", "-c", os.path.dirname(path)]
    # A process that starts in the tick of the file's last change may have read it or not.
    time.sleep(2 / os.sysconf("SC_CLK_TCK"))
    with subprocess.Popen(command, stdin=subprocess.DEVNULL):
        try:
            wait_for(lambda: running(path), "the start of auditd")
            yield path
        finally:
            # Another one, if it was restarted.
            found = running(path)
            stop(found and found.pid, "auditd")
