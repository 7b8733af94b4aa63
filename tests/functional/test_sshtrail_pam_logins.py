"""
What the wing of PAM takes for granted of sshd: which stacks count, and that a session which PAM refuses runs nothing.
"""

import re
import shutil

import pytest
from _sandbox import Sandbox
from _waiting import wait_for
from conftest import require_root
from sshtrail_lib.pam import session
from support import audit_subsystem

PASSWORD = "for the moment only"
LINE = "session required pam_loginuid.so\n"
SSH = ["ssh", "-F", "none", "-o", "Port=2222", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
SSH += ["-o", "UserKnownHostsFile=/dev/null", "-i", "/etc/ssh/for-the-test"]
CONFIG = """\
Port 2222
ListenAddress 127.0.0.1
HostKey /etc/ssh/for-the-test
AuthorizedKeysFile /etc/ssh/for-the-test.pub
StrictModes no
UsePAM yes
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication yes
Subsystem sftp internal-sftp
"""


class Server:
    """A sshd in a sandbox; :meth:`login` returns the loginuid that a command saw (str), empty when none ran."""

    def __init__(self, sandbox):
        self._sandbox, self._etc = sandbox, sandbox.inside("/etc")
        self._stock = re.sub(r".*pam_loginuid.*\n", "", (self._etc / "pam.d/sshd").read_text())
        sandbox.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/etc/ssh/for-the-test")
        sandbox.run("mkdir", "-p", "/run/sshd")
        (self._etc / "ssh/for-the-test.conf").write_text(CONFIG)
        hashed = sandbox.run("openssl", "passwd", "-6", "-stdin", input=PASSWORD, stdin=None).stdout.strip()
        shadow = self._etc / "shadow"
        shadow.write_text(re.sub(r"(?m)^root:[^:]*", lambda found: f"root:{hashed}", shadow.read_text()))
        (self._etc / "askpass").write_text(f"#!/bin/sh\necho '{PASSWORD}'\n")
        (self._etc / "askpass").chmod(0o755)
        sandbox.run("/usr/sbin/sshd", "-f", "/etc/ssh/for-the-test.conf", "-E", "/dev/null")
        ask = ["ssh-keyscan", "-p", "2222", "127.0.0.1"]
        wait_for(lambda: sandbox.run(*ask, check=False).stdout, "sshd")

    def stack(self, *lines):
        """Put lines (str) before the host's own stack, which has no pam_loginuid.so."""
        (self._etc / "pam.d/sshd").write_text("".join(lines) + self._stock)

    def login(self, method, command="cat /proc/self/loginuid"):
        """Log in by a method (str) as the host's ssh does, and run a command there."""
        ask = ["env", "DISPLAY=none", "SSH_ASKPASS=/etc/askpass", "SSH_ASKPASS_REQUIRE=force"]
        options = ["-o", f"PreferredAuthentications={method}"]
        done = self._sandbox.run(*ask, *SSH, *options, "root@127.0.0.1", command, check=False)
        return done.stdout.strip()

    def sftp(self):
        """Tell whether sftp works (bool)."""
        command = ["sftp", *SSH[3:], "-b", "-", "root@127.0.0.1"]
        return self._sandbox.run(*command, check=False, input="pwd\n", stdin=None).returncode == 0


METHODS = ["publickey", "password", "keyboard-interactive"]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    require_root()
    if not all(map(shutil.which, ("ssh", "openssl"))):
        pytest.skip("needs ssh and openssl: it logs in by key and by password")
    # A host whose audit is looked at meanwhile would tell of these sessions: they have no login id.
    with audit_subsystem():
        sandbox = Sandbox(tmp_path_factory.mktemp("sandbox"))
        try:
            yield Server(sandbox)
        finally:
            sandbox.close()


@pytest.mark.parametrize("method", METHODS)
def test_the_line_makes_every_login_somebodys(server, method):
    server.stack()
    assert server.login(method) == session.UNSET
    server.stack(LINE)
    assert server.login(method) == "0"


def test_the_account_stack_does_not_count(server):
    server.stack(LINE.replace("session", "account"))
    assert [server.login(method) for method in METHODS] == ["0", "0", session.UNSET]


@pytest.mark.parametrize("method", METHODS)
def test_a_session_that_pam_refuses_runs_nothing(server, method):
    server.stack("session requisite pam_deny.so\n")
    assert server.login(method) == ""


def test_nor_does_it_run_a_subsystem(server):
    server.stack("session requisite pam_deny.so\n")
    assert not server.sftp()
    server.stack(LINE)
    assert server.sftp()
