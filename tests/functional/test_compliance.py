"""
Controls on this host, against an independent reading: auditctl, sshd itself and stat; each seen failing when broken.
"""

import contextlib
import os
import subprocess

import pytest
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.compliance import look
from sshtrail_lib.policy import arguments as policy_arguments
from sshtrail_lib.policy import pillar as policy_pillar
from sshtrail_lib.policy.controls import CONTROLS
from sshtrail_lib.rules import privileged
from support import require_root

#: What no rule can do: the lock, and that the files are the kernel's.
UNRULED = ("rule-immutable", "rule-same")
GROUPS = {"scope": True, "delete": True, "identity": True, "ssh_commands": True}


class Host:
    """This host's files below a directory, and what is told of them: ``host(control)`` is the row of a control."""

    def __init__(self, tmp_path, loaders, minion_opts):
        self.sshd, self.auditd = tmp_path / "sshd_config", tmp_path / "audit" / "auditd.conf"
        self.rules = tmp_path / "audit" / "rules.d"
        self.rules.mkdir(parents=True)
        self.sshd.write_text("UsePAM yes\nPermitRootLogin no\n")
        self.auditd.write_text(f"log_file = {tmp_path}/audit.log\ndisk_full_action = halt\n")
        (tmp_path / "audit" / "audit.rules").write_text("-e 1\n")
        os.chmod(tmp_path / "audit" / "audit.rules", 0o640)
        opts = {**minion_opts, "cachedir": str(tmp_path / "cache"), "file_client": "local"}
        self.minion = Minion(loaders.modules, opts, {}, {"os_family": "Debian", "os": "Debian", "osrelease": "12"})

    def policy(self, rules=None, **compliance):
        places = {"sshd": {"path": str(self.sshd)}, "auditd": {"path": str(self.auditd)}}
        rules = {"file": str(self.rules / "zz-sshtrail.rules"), "groups": rules or GROUPS}
        asked = {"environment": "test", **places, "rules": rules, "compliance": compliance}
        return policy_pillar.build({"sshtrail": asked}, "Debian")

    def rows(self, framework="cis", **compliance):
        found = look.compliance(self.minion, self.policy(**compliance), framework, None)
        return {row["id"]: row for row in found}

    def status(self, control, framework="cis"):
        row = self.rows(framework)[control]
        return row["status"], row["layer"]


@pytest.fixture
def host(tmp_path, loaders, minion_opts, separation, monkeypatch):
    require_root()
    # The search takes seconds, and is tried by itself.
    monkeypatch.setattr(privileged, "programs", lambda: ["/usr/bin/passwd"])
    return Host(tmp_path, loaders, minion_opts)


@contextlib.contextmanager
def loaded(*lines):
    """Have the kernel hold these rules, by the installed auditctl, and audit; it is as it was when this ends."""
    subprocess.run(["auditctl", "-e", "1"], check=True, capture_output=True)
    for line in lines:
        subprocess.run(["auditctl", *line.split()], check=True, capture_output=True)
    try:
        yield
    finally:
        subprocess.run(["auditctl", "-D"], check=True, capture_output=True)


DELETES = [
    f"-a always,exit -F arch={arch} -S unlink,unlinkat,rename,renameat,renameat2 -F auid>=1000 -F auid!=unset -k delete"
    for arch in ("b64", "b32")
]


def test_files_are_right_and_the_kernel_is_wrong(host, audit):
    (host.rules / "10-scope.rules").write_text("-w /etc/sudoers -p wa -k scope\n-w /etc/sudoers.d -p wa -k scope\n")
    with loaded(*DELETES):
        rows = host.rows()
        assert rows["6.2.3.13"]["status"] == "pass" and "in the kernel: " in rows["6.2.3.13"]["evidence"]
        assert (rows["6.2.3.1"]["status"], rows["6.2.3.1"]["layer"]) == ("fail", "kernel")
        assert f"{host.rules}/10-scope.rules line 1" in rows["6.2.3.1"]["evidence"]
        assert "state.apply sshtrail" in rows["6.2.3.1"]["remedy"]
    with loaded("-w /etc/sudoers -p wa -k scope", "-w /etc/sudoers.d -p wa -k scope"):
        rows = host.rows()
        assert rows["6.2.3.1"]["status"] == "pass" and rows["6.2.3.13"]["status"] == "fail"
    with loaded("-A never,exit -F arch=b64 -S unlink", *DELETES):
        # The first that matches decides, and -A stands before.
        assert "is hidden by" in host.rows()["6.2.3.13"]["evidence"]


@pytest.mark.parametrize("framework", ["cis", "pci_dss"])
def test_the_ready_groups_keep_what_they_claim(host, audit, states, framework):
    """Brought here by the state, every control on rules passes or is not applicable; without them none passes."""
    asked = policy_arguments.rules(host.policy(rules={framework: True, "ssh_commands": True}))
    with loaded():
        before = host.rows(framework)
        assert states.audit_rules.managed(**asked).result is True
        after = host.rows(framework, rules={framework: True, "ssh_commands": True})
    rules = [one.id for one in CONTROLS[before_name(before)] if is_about_rules(one, framework)]
    assert {before[control]["status"] for control in rules} <= {"fail", "not applicable"}
    wrong = {control: after[control]["evidence"] for control in rules if after[control]["status"] == "fail"}
    assert wrong == {}


def before_name(rows):
    return next(iter(rows.values()))["framework"]


def is_about_rules(control, framework):
    if framework == "cis":
        return any(check.startswith("rule-") and check not in UNRULED for check in control.checks)
    return control.id in ("10.2.1.1", "10.2.1.2", "10.2.1.3", "10.2.1.7", "10.6.3")


def test_sshd_is_judged_by_what_it_does(host):
    def dumped():
        return subprocess.run(["sshd", "-T", "-f", host.sshd], capture_output=True, text=True, check=True).stdout

    rows = host.rows()
    assert rows["5.1.20"]["status"] == "pass" and "permitrootlogin no" in dumped()
    host.sshd.write_text("UsePAM yes\nPermitRootLogin yes\nPermitRootLogin no\n")
    rows = host.rows()
    assert rows["5.1.20"]["status"] == "fail" and "permitrootlogin yes" in dumped()
    assert f"PermitRootLogin yes ({host.sshd} line 2)" in rows["5.1.20"]["evidence"]
    host.sshd.write_text("UsePAM yes\nPermitRootLogin no\nMatch User bob\nMaxSessions 20\n")
    rows = host.rows()
    assert rows["5.1.20"]["status"] == "pass" and "for Match User bob" in rows["5.1.17"]["evidence"]
    host.sshd.write_text("NoSuchKeyword\n")
    assert {host.rows()[control]["status"] for control in ("5.1.14", "5.1.17", "5.1.20", "5.1.21")} == {"unknown"}


def test_modes_and_owners_are_those_of_stat(host):
    os.chmod(host.sshd, 0o600)
    os.chmod(host.auditd, 0o640)
    rows = host.rows()
    assert rows["5.1.1"]["status"] == "pass" and rows["6.2.4.5"]["status"] == "pass"
    os.chmod(host.sshd, 0o644)
    (host.rules / "10-open.rules").write_text("")
    os.chmod(host.rules / "10-open.rules", 0o666)
    os.chown(host.auditd, 65534, 0)
    rows = host.rows()
    assert f"{host.sshd} is 0644 root:root" in rows["5.1.1"]["evidence"]
    assert "10-open.rules is 0666 root:root" in rows["6.2.4.5"]["evidence"]
    assert f"{host.auditd} is 0640 nobody:root" in rows["6.2.4.6"]["evidence"]


def test_auditd_is_judged_by_the_line_that_counts(host, audit):
    host.auditd.write_text("disk_full_action = halt\ndisk_full_action = suspend\ndisk_error_action = halt\n")
    row = host.rows()["6.2.2.3"]
    assert row["status"] == "fail" and f"disk_full_action = suspend ({host.auditd} line 2)" in row["evidence"]
    assert row["remedy"] == "sshtrail:auditd:config:disk_full_action: halt"
    host.auditd.unlink()
    assert host.rows()["6.2.2.3"]["status"] == "unknown"


def test_what_somebody_took_upon_him_is_accepted_until_its_day(host):
    name = "CIS Debian 12 5.1.1"
    os.chmod(host.sshd, 0o644)
    given = {"reason": "read by the monitoring", "by": "alice", "until": "2999-12-31"}
    row = host.rows(accepted={name: given})["5.1.1"]
    assert row["status"] == "accepted" and row["exception"] == {**given, "expired": False}
    row = host.rows(accepted={name: {**given, "until": "2020-12-31"}})["5.1.1"]
    assert row["status"] == "fail" and row["exception"]["expired"]


def test_since_when_it_is_so_stays(host):
    first = host.rows()["5.1.1"]
    assert host.rows()["5.1.1"]["since"] == first["since"]
    os.chmod(host.sshd, 0o600)
    assert host.rows()["5.1.1"]["since"] > first["since"]


def test_a_search_for_setuid_programs_stands_for_a_day(host, monkeypatch):
    assert host.rows()["6.2.3.6"]["status"] != "unknown"
    monkeypatch.setattr(privileged, "programs", lambda: pytest.fail("searched again"))
    rows = look.compliance(host.minion, host.policy(), "cis", None, search=False)
    assert next(row for row in rows if row["id"] == "6.2.3.6")["status"] != "unknown"


def test_nothing_on_the_host_changes(host):
    before = {path: (path.read_bytes(), path.stat()) for path in (host.sshd, host.auditd)}
    host.rows(framework=None)
    assert {path: (path.read_bytes(), path.stat()) for path in before} == before
