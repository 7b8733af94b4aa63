"""
sshtrail_service without the machine's own services, as far as its decisions go.

Salt's ``service`` module is a stand-in: the machines that these tests run on need not have systemd. tests/vm asks it.
"""

import importlib.util
import os

import psutil
import pytest


@pytest.fixture
def module(root, monkeypatch):
    """The execution module without a loader, on a host that booted with systemd; ``up`` holds the units that are."""
    spec = importlib.util.spec_from_file_location("sshtrail_service_alone", root / "_modules" / "sshtrail_service.py")
    loaded = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(loaded)
    monkeypatch.setattr(loaded.salt.utils.systemd, "booted", lambda _context: True)
    loaded.up = set()
    loaded.__context__, loaded.__grains__ = {}, {"os_family": "Debian"}
    loaded.__salt__ = dict.fromkeys(("service.status", "service.enabled"), loaded.up.__contains__)
    return loaded


@pytest.mark.parametrize("ask", ["status", "enabled"])
@pytest.mark.parametrize(
    ("units", "is_so"),
    [((), False), (("ssh",), True), (("ssh.socket",), True), (("auditd",), False)],
)
def test_a_socket_stands_for_its_service(module, ask, units, is_so):
    module.up.update(units)
    assert getattr(module, ask)("ssh") is is_so


@pytest.fixture
def scripted(module, monkeypatch, tmp_path):
    """The same on a host with init scripts: ``answers`` are their exit statuses, ``pidfile`` names this process."""
    monkeypatch.setattr(module.salt.utils.systemd, "booted", lambda _context: False)
    module.pidfile, module.answers, module.asked = tmp_path / "sshd.pid", {"retcode": 0}, []
    module.pidfile.write_text(str(os.getpid()))
    names = [psutil.Process().name()]
    monkeypatch.setattr(module, "PROCESSES", {"ssh": (str(module.pidfile), names)})
    module.__salt__["cmd.run_all"] = lambda argv, **_options: module.asked.append(argv) or module.answers
    return module


def test_a_script_is_asked_once_while_its_process_lives(scripted):
    assert [scripted.status("ssh") for _ in range(3)] == [True] * 3
    assert len(scripted.asked) == 1


def _ends(module, _monkeypatch):
    module.pidfile.unlink()


def _is_another(module, _monkeypatch):
    module.pidfile.write_text(str(os.getppid()))


def _has_its_pid_reused(module, monkeypatch):
    monkeypatch.setattr(module.processes, "birth", lambda _pid: b"later")


@pytest.mark.parametrize("happens", [_ends, _is_another, _has_its_pid_reused])
def test_a_process_that_is_gone_is_asked_about(scripted, monkeypatch, happens):
    assert scripted.status("ssh")
    happens(scripted, monkeypatch)
    scripted.answers["retcode"] = 3
    assert not scripted.status("ssh")


def test_a_script_that_said_no_is_asked_again(scripted):
    scripted.answers["retcode"] = 3
    assert not scripted.status("ssh")
    scripted.answers["retcode"] = 0
    assert scripted.status("ssh")


def test_a_service_whose_process_nothing_names_is_always_asked_about(scripted):
    assert scripted.status("cron")
    scripted.answers["retcode"] = 3
    assert not scripted.status("cron")
