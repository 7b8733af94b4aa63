"""What the service manager and init's settings give; stand-ins answer, the functional tests ask a real process."""

import json
import os

import pytest
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.sshd import started

EIC = ["-o", "AuthorizedKeysCommand /usr/share/eic_run_authorized_keys %u %f", "-o", "AuthorizedKeysCommandUser eic"]


class Systemd:
    """A systemd with one unit, of ``start`` (words of ExecStart), and what ``busctl`` was asked."""

    def __init__(self, start, files, own=()):
        self.asked = []
        found = [[["/usr/sbin/sshd", start, False, 0, 0, 0, 0, 0, 0, 0]], [[path, True] for path in files], list(own)]
        self.answer = "".join(json.dumps({"type": "x", "data": one}) + "\n" for one in found)
        self.minion = Minion({}, {}, {}, {}, self.run)

    def run(self, argv, *_how):
        self.asked.append(argv)
        return {"retcode": 0, "stdout": self.answer, "stderr": ""}


@pytest.fixture
def booted(monkeypatch):
    monkeypatch.setattr(started.salt.utils.systemd, "booted", lambda context: True)
    monkeypatch.setattr(started.salt.utils.path, "which", lambda name: name)
    monkeypatch.setattr(started, "unit_of", lambda pid: "ssh.service")


@pytest.mark.parametrize(
    ("start", "settings", "own", "words"),
    [
        (["/usr/sbin/sshd", "-D", "$SSHD_OPTS"], "SSHD_OPTS=\n", [], ["-D"]),
        (["/usr/sbin/sshd", "-D", "$SSHD_OPTS"], "SSHD_OPTS=-o LogLevel=ERROR\n", [], ["-D", "-o", "LogLevel=ERROR"]),
        (["/usr/sbin/sshd", "-D", *EIC, "$SSHD_OPTS"], None, [], ["-D", *EIC]),
        (
            ["/usr/sbin/sshd", "-D", "$OPTIONS"],
            None,
            ["OPTIONS=-4 -o 'Banner /a b'"],
            ["-D", "-4", "-o", "Banner /a b"],
        ),
        (["/usr/sbin/sshd", "-f${CONF}"], "CONF=/etc/a b\n", [], ["-f/etc/a b"]),
    ],
)
def test_the_words_of_the_unit(booted, tmp_path, start, settings, own, words):
    path = tmp_path / "ssh"
    if settings is not None:
        path.write_text(settings)
    systemd = Systemd(start, [str(path)], own)
    assert started._by_unit(systemd.minion, 7) == [["/usr/sbin/sshd", *words]]
    assert systemd.asked[0][3] == "org.freedesktop.systemd1" and systemd.asked[0][4].endswith("/unit/ssh_2eservice")


@pytest.mark.parametrize("answer", ["", "null\n", '{"data": 1}\n', "{}\n{}\n{}\n", "Failed to connect\n"])
def test_a_systemd_that_does_not_answer(booted, answer):
    systemd = Systemd([], [])
    systemd.answer = answer
    assert started._by_unit(systemd.minion, 7) == []


def test_the_settings_of_init_scripts(monkeypatch, tmp_path):
    path = tmp_path / "ssh"
    path.write_text("SSHD_OPTS='-4 -o LogLevel=ERROR'\n")
    monkeypatch.setattr(started, "SETTINGS", {str(path): "SSHD_OPTS"})
    monkeypatch.setattr(started.oracle, "binary", lambda: "/s")
    assert started._by_settings() == [
        ["/s", "-4", "-o", "LogLevel=ERROR"],
        ["/s", "-D", "-4", "-o", "LogLevel=ERROR"],
    ]


def test_this_process_is_no_sshd():
    assert not started.genuine(os.getpid())
    assert not started.genuine(2**22 + 1)
