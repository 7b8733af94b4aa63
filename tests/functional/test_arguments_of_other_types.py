"""Whatever an argument is given, the answer is what was asked for or one sentence, never a traceback."""

import pytest
from salt.exceptions import SaltException

JUNK = (None, 5, -1, True, 1.5, b"x", "", "x\0y", "\ud800", "x" * 5000, ("a",), [], ["x"], [[1]], {}, {"a": 1}, {1: 2})
WATCH = "-w /etc/passwd -p wa -k x"
SSHD = {"config": {"MaxAuthTries": 3}, "path": "SSHD", "force": True}
RULES = {"name": "RULES/zz.rules", "rules_dir": "RULES", "compiled": "RULES/compiled"}
# What is given besides the argument that is no such: SSHD, AUDITD and RULES stand for paths of the test's own.
CALLS = {
    "sshd_config.get": {"keyword": "LogLevel", "match": None, "path": "SSHD"},
    "sshd_config.effective": dict.fromkeys(("user", "host", "addr", "laddr", "lport")) | {"path": "SSHD"},
    "sshd_config.check": {"path": "SSHD"},
    "sshd_config.set": {"keyword": "MaxAuthTries", "value": 4, "match": None, "exact": True, "path": "SSHD"},
    "sshd_config.unset": {"keyword": "MaxAuthTries", "match": None, "admins": None, "path": "SSHD"},
    "sshd_config.diff": {**SSHD, "matches": None, "shadowed": "fix", "lowered": "keep", "remember": False},
    "sshd_config.apply": {**SSHD, "admins": None, "beside": None, "exact": True},
    "sshd_config.forget": {"path": "SSHD"},
    "sshd_config.reload": {"path": "SSHD"},
    "sshd_config.listening": {"path": "SSHD"},
    "sshd_config.sources": {"path": "SSHD"},
    "auditd_conf.get": {"keyword": "flush", "path": "AUDITD"},
    "auditd_conf.check": {"path": "AUDITD"},
    "auditd_conf.diff": {"config": {"flush": "data"}, "path": "AUDITD"},
    "auditd_conf.set": {"keyword": "flush", "value": "data", "path": "AUDITD"},
    "auditd_conf.forget": {"path": "AUDITD"},
    "auditd_conf.reload": {"path": "AUDITD"},
    "auditd_conf.status": {"path": "AUDITD"},
    "auditd_conf.suspended": {"path": "AUDITD"},
    "audit_rules.check": {"rules": [WATCH]},
    "audit_rules.diff": {"rules": [WATCH]},
    "audit_rules.groups": {"groups": []},
    "audit_rules.compare": {**RULES, "groups": (), "status": None, "allowed": (), "unknown": "report"},
    "audit_rules.plan_rule": {"rule": WATCH, "path": "RULES/x.rules", "rules_dir": "RULES", "compiled": "RULES/made"},
    "audit_rules.sources": RULES,
}


@pytest.mark.parametrize("function", CALLS)
def test_an_argument_of_another_type(function, server, conf, modules, tmp_path):
    rules = tmp_path / "rules.d"
    rules.mkdir()
    places = {"SSHD": str(server.path), "AUDITD": conf, "RULES": str(rules)}
    given = CALLS[function]
    for name, path in places.items():
        given = {key: one.replace(name, path) if isinstance(one, str) else one for key, one in given.items()}
    for name in given:
        # Without a path it would be the host's own.
        for junk in JUNK if "path" not in name else JUNK[1:]:
            try:
                modules[function](**{**given, name: junk})
            except SaltException as exc:
                assert str(exc), (name, junk)
