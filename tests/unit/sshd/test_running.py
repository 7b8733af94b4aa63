"""
A sshd whose socket systemd holds.

systemctl is a stand-in here: the machines that these tests run on need not have systemd, and the order of the commands
is what matters (systemd refuses a socket whose service is up).
"""

import socket

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import programs
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.sshd import running


class Systemd:
    """What is run, and the ``status`` that it answers with."""

    def __init__(self):
        self.asked, self.status = [], 0
        self.minion = Minion({}, {}, {}, {}, self.run)

    def run(self, argv, *_how):
        self.asked.append(argv)
        return {"retcode": self.status, "stdout": "", "stderr": "no such unit\n"}


@pytest.fixture
def systemd():
    return Systemd()


@pytest.mark.parametrize(
    ("moved", "commands"),
    [
        (True, [["daemon-reload"], ["stop", "ssh.service"], ["restart", "ssh.socket"]]),
        (False, [["stop", "ssh.service"]]),
    ],
)
def test_the_commands(systemd, moved, commands):
    running.restart_socket(systemd.minion, "ssh.socket", [], moved)
    assert systemd.asked == [["systemctl", *command] for command in commands]


def test_a_command_that_fails(systemd):
    systemd.status = 5
    with pytest.raises(CommandExecutionError, match="systemctl daemon-reload fails: no such unit"):
        running.restart_socket(systemd.minion, "ssh.socket", [])


def silent_endpoint(closed):
    closed.bind(("127.0.0.1", 0))
    return f"127.0.0.1:{closed.getsockname()[1]}"


def test_silence(systemd, monkeypatch):
    monkeypatch.setattr(running, "DEADLINE", 0.1)
    with socket.socket() as closed:
        endpoint = silent_endpoint(closed)
        with pytest.raises(running.ListenerError, match="no SSH-2.0 greeting"):
            running.restart_socket(systemd.minion, "ssh.socket", [endpoint])


def test_what_is_missing_when_the_old_files_are_back(systemd, monkeypatch):
    monkeypatch.setattr(running, "DEADLINE", 0.1)
    with socket.socket() as closed:
        endpoint = silent_endpoint(closed)
        found = running.Running(systemd.minion, None, "ssh.socket", [endpoint])
        assert f"no SSH-2.0 greeting from {endpoint}" in found.bring_back(None)


def test_nothing_runs(systemd):
    found = running.Running(systemd.minion, None, None, [])
    assert not found and found.endpoints_with(None) == [] and found.bring_back(None) == ""
    found.take_up(None, [])
    assert systemd.asked == []


def test_a_systemctl_that_hangs_is_a_listener_that_does_not_answer(systemd):
    """Then the old files come back, as for one that fails."""

    def hangs(*_how):
        raise programs.LateError("systemctl did not end within 200 seconds; it was killed.")

    minion = systemd.minion._replace(program=hangs)
    with pytest.raises(running.ListenerError, match="^systemctl .* fails: systemctl did not end within 200 seconds"):
        running.restart_socket(minion, "ssh.socket", ["127.0.0.1:1"])
    assert running._revive_socket(minion, "ssh.socket", ["127.0.0.1:1"]).startswith("systemctl ")
