"""
What :mod:`test_killed` has pytest run, and kills in the middle: a host with a real sshd and the kernel's audit daemon.
"""

import os
import pathlib
import signal

from _kernel import audit_status, auditctl
from sandbox import Host
from support import audit_subsystem


def test_that_never_ends(root, tmp_path):
    with audit_subsystem():
        host = Host(tmp_path, root)
        done = host.highstate()
        assert done.returncode == 0, done.stdout + done.stderr
        auditctl("-b", "4321")
        assert host.pid("auditd.pid") == int(audit_status()["pid"]) and host.pid("sshd.pid")
        pathlib.Path(os.environ["SSHTRAIL_TEST_READY"]).touch()
        signal.pause()
