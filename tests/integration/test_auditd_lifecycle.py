"""
The distribution's own auditd service on a private copy of /etc/audit: started, reloaded, restarted by a Salt call.
"""

import json
import os

import psutil
import pytest
from sandbox import Machine


@pytest.fixture
def machine(tmp_path, root, audit):
    """A machine with an auditd of its own, and the kernel's audit subsystem."""
    if os.path.isdir("/run/systemd/system"):
        pytest.skip("systemd starts services in its own mount namespace: the virtual machine's tests do this there")
    machine = Machine(tmp_path, root)
    yield machine
    machine.close()


@pytest.fixture
def host(machine):
    """Call Salt on a host of its own; ``host(function, *arguments)`` returns what it returned."""
    return machine.call


def _state(returned):
    [state] = returned.values()
    return state


def _managed(host, config, *arguments):
    name = "name=/etc/audit/auditd.conf"
    return _state(host("state.single", "auditd_conf.managed", name, f"config={json.dumps(config)}", *arguments))


def test_the_service_is_reloaded_where_that_serves_and_restarted_where_not(host, machine):
    before = _managed(host, {"max_log_file": 50})
    assert before["result"] is True, before
    assert before["comment"] == "Only the file /etc/audit/auditd.conf counts here. auditd is not running."

    assert host("sshtrail_service.start", "auditd") is True
    started = host("auditd_conf.status")
    assert (started["reads"], started["current"]) == (True, True)
    assert _managed(host, {"max_log_file": 50})["changes"] == {}

    reloaded = _managed(host, {"max_log_file": 60})
    assert (reloaded["result"], reloaded["changes"]["auditd"]["new"]) == (True, "reloaded"), reloaded
    assert host("auditd_conf.status")["pid"] == started["pid"]

    foreseen = _managed(host, {"priority_boost": 5}, "test=True")
    restarted = _managed(host, {"priority_boost": 5})
    assert restarted["result"] is True, restarted
    assert restarted["changes"] == foreseen["changes"]
    assert restarted["changes"]["auditd"]["new"] == "restarted"
    pid = host("auditd_conf.status")["pid"]
    assert pid != started["pid"]
    assert psutil.Process(pid).nice() == -5
    assert "text=sshtrail-" in machine.read("/var/log/audit/audit.log").decode()
    assert _managed(host, {"priority_boost": 5})["changes"] == {}
