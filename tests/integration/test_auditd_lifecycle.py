"""
The distribution's own auditd service on a private copy of /etc/audit: started, reloaded, restarted by a Salt call.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time

import psutil
import pytest
from support import audit_status, require_root

# Runs a command where the host's configuration, logs and pid files are private copies.
INSIDE = """
import os, subprocess, sys
for source, target in zip(sys.argv[1:7:2], sys.argv[2:7:2]):
    subprocess.run(["mount", "--bind", source, target], check=True)
os.execvp(sys.argv[7], sys.argv[7:])
"""


@pytest.fixture
def host(tmp_path, root, audit):
    """Call Salt on a host of its own; ``host(function, *arguments)`` returns what it returned."""
    require_root()
    if os.path.isdir("/run/systemd/system"):
        pytest.skip("systemd starts services in its own mount namespace: the virtual machine's tests do this there")
    shutil.copytree("/etc/audit", tmp_path / "audit")
    for name in ("log", "run", "minion"):
        (tmp_path / name).mkdir()
    mounts = [tmp_path / "audit", "/etc/audit", tmp_path / "log", "/var/log/audit", tmp_path / "run", "/run"]
    (tmp_path / "minion" / "minion").write_text(f"file_client: local\nroot_dir: {tmp_path}/minion\nid: test\n")
    salt = ["salt-call", "--local", "--out=json", "-m", root, "-c", tmp_path / "minion", "-l", "error"]
    salt[0] = os.path.join(os.path.dirname(sys.executable), "salt-call")

    def call(*arguments):
        command = ["unshare", "--mount", sys.executable, "-c", INSIDE, *mounts, *salt, *arguments]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        assert done.stdout, done.stderr
        return json.loads(done.stdout)["local"]

    yield call
    pid = int(audit_status()["pid"])
    if pid:
        os.kill(pid, signal.SIGTERM)
        deadline = time.monotonic() + 30
        while psutil.pid_exists(pid) and time.monotonic() < deadline:
            time.sleep(0.05)


def _state(returned):
    [state] = returned.values()
    return state


def _managed(host, config, *arguments):
    name = "name=/etc/audit/auditd.conf"
    return _state(host("state.single", "auditd_conf.managed", name, f"config={json.dumps(config)}", *arguments))


def test_the_service_is_reloaded_where_that_serves_and_restarted_where_not(host, tmp_path):
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
    assert "text=sshtrail-" in (tmp_path / "log" / "audit.log").read_text()
    assert _managed(host, {"priority_boost": 5})["changes"] == {}
