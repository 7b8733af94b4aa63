"""
A sshd whose socket systemd holds.

systemctl is a stand-in here: the machines that these tests run on need not have systemd, and the order of the commands
is what matters (systemd refuses a socket whose service is up).
"""

import importlib.util
import socket

import pytest
from salt.exceptions import CommandExecutionError


@pytest.fixture
def module(root):
    """The execution module without a loader, with a ``cmd.run_all`` that notes what it is asked."""
    spec = importlib.util.spec_from_file_location("sshd_config_alone", root / "_modules" / "sshd_config.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    loaded.asked, loaded.status = [], 0

    def run_all(argv, **_options):
        loaded.asked.append(argv)
        return {"retcode": loaded.status, "stdout": "", "stderr": "no such unit\n"}

    loaded.__salt__ = {"cmd.run_all": run_all}
    return loaded


@pytest.mark.parametrize(
    ("moved", "commands"),
    [
        (True, [["daemon-reload"], ["stop", "ssh.service"], ["restart", "ssh.socket"]]),
        (False, [["stop", "ssh.service"]]),
    ],
)
def test_the_commands(module, moved, commands):
    module._restart_socket("ssh.socket", [], moved)
    assert module.asked == [["systemctl", *command] for command in commands]


def test_a_command_that_fails(module):
    module.status = 5
    with pytest.raises(CommandExecutionError, match="systemctl daemon-reload fails: no such unit"):
        module._restart_socket("ssh.socket", [])


def test_silence(module):
    module.DEADLINE = 0.1
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        with pytest.raises(module.ListenerError, match="no SSH-2.0 greeting"):
            module._restart_socket("ssh.socket", [f"127.0.0.1:{closed.getsockname()[1]}"])
