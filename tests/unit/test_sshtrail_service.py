"""
sshtrail_service with systemd, as far as its decisions go.

Salt's ``service`` module is a stand-in: the machines that these tests run on need not have systemd. tests/vm asks it.
"""

import importlib.util

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
