"""
drift.look: each part of a policy is compared with the arguments of its state, and what fails to compare is told.
"""

import pytest
from sshtrail_lib.drift import look
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy import pillar as policy_pillar

from unit.drift.hosts import NEVER, Host

PILLAR = {
    "sshtrail": {
        "environment": "prod",
        "sshd": {
            "config": {"LogLevel": "VERBOSE"},
            "matches": [{"User bob": {"LogLevel": "DEBUG"}}],
            "shadowed": "drop_in",
            "admins": ["alice"],
        },
        "auditd": {"config": {"max_log_file": 50}},
        "rules": {"groups": {"sshd": True}, "status": {"failure": 1}},
    }
}
POLICY = policy_pillar.build(PILLAR, "Debian")
UNAUDITED = policy_pillar.build({"sshtrail": {**PILLAR["sshtrail"], "audit": False}}, "Debian")
[RULE] = POLICY["rules"]["groups"][0]["rules"]
MANAGED = "/etc/audit/rules.d/zz-sshtrail.rules"

# What is wrong with a host, and the layer and the name of the difference.
WRONG = [
    ("openssh-server", "package", "openssh-server"),
    ("LogLevel", "effective", "LogLevel"),
    ("LogLevel (Match User bob)", "effective", "LogLevel (Match User bob)"),
    ("sshd", "daemon", "sshd"),
    ("sshd_config.diff", "effective", "condition"),
    ("max_log_file", "file", "max_log_file"),
    ("auditd_conf.diff", "file", "condition"),
    (RULE, "kernel", RULE),
    ("failure", "kernel", "failure"),
    ("a file", "file", MANAGED),
    ("audit_rules.plan", "kernel", "condition"),
    ("ssh running", "service", "ssh running"),
    ("auditd enabled", "service", "auditd enabled"),
    ("deaf sshd", "daemon", "sshd listens"),
    ("deaf auditd", "daemon", "auditd receives"),
    ("another auditd", "daemon", "auditd receives"),
    ("auditd pid file", "service", "auditd pid file"),
    ("a way", "trail", "auditd-stopped"),
    ("sshtrail_coverage.findings", "trail", "condition"),
    ("proof", "trail", "proof"),
    ("schedule sshtrail drift", "service", "schedule sshtrail drift"),
]


@pytest.mark.parametrize("wrong,layer,what", WRONG)
def test_what_is_wrong_is_named_with_its_layer(wrong, layer, what):
    found = look.differences(Host({wrong}).minion(), POLICY)
    assert [(one["layer"], one["what"]) for one in found] == [(layer, what)]


def test_rules_that_hide_are_differences_wherever_they_are():
    found = look.differences(Host({"hiding rules"}).minion(), POLICY)
    assert [(one["layer"], one["what"], one["expected"], one["actual"]) for one in found] == [
        ("kernel", "-a never,task", None, "loaded"),
        ("file", NEVER, "no rule that hides records", "line 3: -a never,task"),
    ]


def test_nothing_differs():
    assert look.differences(Host().minion(), POLICY) == []


def test_a_host_without_audit_is_not_asked_about_it():
    host = Host({"max_log_file", RULE, "auditd running", "deaf auditd"})
    assert look.differences(host.minion(), UNAUDITED) == []
    assert not [name for name, _, _ in host.asked if name.startswith("audit")]
    assert look.reboot(host.minion(), UNAUDITED) == {}


@pytest.mark.parametrize(
    ("part", "wrong"),
    [
        ("sshd", {"openssh-server", "LogLevel", "sshd", "sshd_config.diff", "ssh running", "deaf sshd"}),
        ("auditd", {"auditd", "max_log_file", "auditd_conf.diff", "auditd enabled", "deaf auditd"}),
        ("rules", {RULE, "failure", "a file", "audit_rules.plan"}),
    ],
)
def test_what_another_tool_manages_is_not_compared(part, wrong):
    policy = policy_pillar.build({"sshtrail": {**PILLAR["sshtrail"], part: False}}, "Debian")
    assert look.differences(Host(wrong).minion(), policy) == []
    if part == "sshd":
        minion = Host(wrong).minion()._replace(grains={"os_family": "Debian"})
        assert look.condition(minion, {"sshtrail": {**PILLAR["sshtrail"], part: False}})["silent"] == ""


def test_what_is_compared_is_what_the_states_are_given():
    host = Host()
    look.differences(host.minion(), POLICY)
    asked = {name: kwargs for name, _, kwargs in host.asked if kwargs}
    wanted = arguments.states(POLICY)
    sshd, auditd = (
        wanted[about][state]
        for about, state in (("sshd config", "sshd_config.managed"), ("auditd config", "auditd_conf.managed"))
    )
    assert asked["sshd_config.diff"] == {"path": sshd.pop("name"), **sshd}
    assert asked["auditd_conf.diff"] == {"path": auditd.pop("name"), **auditd}
    assert asked["audit_rules.plan"] == wanted["rules"]["audit_rules.managed"]


def test_what_a_locked_kernel_waits_for_is_no_difference():
    minion = Host({RULE, "locked"}).minion()
    assert look.differences(minion, POLICY) == []
    assert look.reboot(minion, POLICY) == {"kernel": {"old": [], "new": [RULE]}}


def condition(*wrong, pillar=PILLAR, cachedir="/nonexistent"):
    minion = Host(wrong).minion(cachedir=str(cachedir))._replace(grains={"os_family": "Debian"})
    return look.condition(minion, pillar)


def test_the_condition_of_a_host(tmp_path):
    digest = policy_pillar.digest(PILLAR)
    whole = {"environment": "prod", "digest": digest, "drift": [], "reboot": {}, "silent": "", "error": None}
    whole |= {"full": "", "watch": {"interval": 10, "heartbeat": 300}}
    proof = {"time": "2026-11-25T19:35:23.000Z", "holds": True, "lost_at": None}
    assert condition() == {**whole, "proof": proof}
    assert condition("sshtrail.proof")["proof"] is None
    found = condition("LogLevel", cachedir=tmp_path)["drift"]
    assert [(one["what"], one["by"]) for one in found] == [("LogLevel", 0.0)]
    assert condition("deaf sshd", cachedir=tmp_path)["silent"] == "no SSH-2.0 greeting from 127.0.0.1:1"
    # What cannot be told is among the differences already, or nowhere.
    assert condition("audit_rules.plan", "sshd_config.effective", cachedir=tmp_path)["reboot"] == {}


def test_the_condition_of_a_host_without_a_policy():
    found = condition(pillar={"sshtrail": {"environment": "prod", "sshd": {"confg": {}}}})
    assert (found["environment"], found["digest"], found["drift"]) == (None, None, [])
    assert "sshtrail:sshd:confg is unknown" in found["error"]
