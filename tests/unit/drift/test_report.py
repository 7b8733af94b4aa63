"""
drift.report: a row fails exactly where the search for drift finds a difference.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sshtrail_lib.drift import look, report
from sshtrail_lib.policy import pillar as policy_pillar

from unit.drift.hosts import LOWERED, Host, in_matches, key_of, wishes
from unit.drift.test_look import POLICY, RULE, WRONG

KEYWORDS = {"LogLevel": "VERBOSE", "loglevel": "DEBUG", "X11Forwarding": False, "maxauthtries": 3, "PermitTTY": None}
MATCHES = ["User bob", "user bob,alice", "Group ops Address 192.0.2.0/24", "Host  *.example.org", "User Bob"]
AUDITD = {"max_log_file": 50, "Space_Left": "25%", "num_logs": 5}
GROUPS = ["sshd", "session", "ssh_commands"]
STATUS = {"enabled": 1, "failure": 1, "backlog_limit": 8192}
FUNCTIONS = [
    *("pkg.version", "sshd_config.diff", "sshd_config.effective", "sshd_config.get", "sshd_config.listening"),
    *("auditd_conf.diff", "auditd_conf.get", "audit_rules.plan", "audit_rules.diff"),
    *("audit_rules.status", "sshtrail_service.status", "sshtrail_service.enabled"),
]


def some(values):
    """Some of a mapping's entries."""
    return st.sets(st.sampled_from(sorted(values))).map(lambda names: {name: values[name] for name in sorted(names)})


config = some(KEYWORDS).filter(lambda found: len({name.lower() for name in found}) == len(found))
policies = st.fixed_dictionaries(
    {
        "environment": st.just("prod"),
        "audit": st.booleans(),
        "sshd": st.fixed_dictionaries(
            {
                "config": config,
                "matches": st.dictionaries(st.sampled_from(MATCHES), config).map(
                    lambda found: [{match: values} for match, values in found.items()]
                ),
            }
        ),
        "auditd": st.fixed_dictionaries({"config": some(AUDITD)}),
        "rules": st.fixed_dictionaries(
            {
                "groups": st.sets(st.sampled_from(GROUPS), min_size=1).map(lambda names: dict.fromkeys(names, True)),
                "status": some(STATUS),
            }
        ),
    }
).map(lambda own: policy_pillar.build({"sshtrail": own}, "Debian"))


def can_be_wrong(policy):
    """Whatever can be wrong with a host that has this policy, and what it cannot know (list of str)."""
    sshd = [key_of(*wish) for wish in [*wishes(None, policy["sshd"]["config"]), *in_matches(policy["sshd"]["matches"])]]
    rules = [rule for group in policy["rules"]["groups"] for rule in group["rules"]]
    services = [f"{name} {what}" for name in ("ssh", "auditd") for what in ("running", "enabled")]
    auditd = [keyword.lower() for keyword in policy["auditd"]["config"]]
    others = ["openssh-server", "auditd", "sshd", LOWERED, "a file", "a stranger", "locked", "deaf sshd", "deaf auditd"]
    others += ["a way"]
    return [*sshd, *auditd, *rules, *policy["rules"]["status"], *services, *others, *FUNCTIONS, "another host's"]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_a_report_fails_exactly_where_drift_sees_something(data):
    policy = data.draw(policies)
    wrong = data.draw(st.sets(st.sampled_from(can_be_wrong(policy)), max_size=6))
    minion = Host(wrong).minion()
    for part in look.parts(minion, policy):
        rows, found = list(report.rows_of(minion, policy, part)), part.differences()
        assert any(row["holds"] is False for row in rows) == bool(found), (part.name, rows, found)
    every = report.rows(minion, policy)
    assert any(row["holds"] is False for row in every) == bool(look.differences(minion, policy))
    assert all(isinstance(row["asked"], str) and isinstance(row["now"], str) for row in every)


def failing(*wrong):
    return [(row["asked"], row["now"]) for row in report.rows(Host(wrong).minion(), POLICY) if row["holds"] is False]


ROWS = {
    "openssh-server": ("package openssh-server", "not installed"),
    "LogLevel": ("sshd LogLevel VERBOSE", "x (sshd's default)"),
    "LogLevel (Match User bob)": ("sshd LogLevel DEBUG (Match User bob)", "x (/etc/ssh/sshd_config line 7)"),
    LOWERED: ("effective LogLevel (Match User nobody) the asked", "another"),
    "sshd": ("daemon sshd the asked", "another"),
    "sshd_config.diff": ("sshd configuration", "sshd_config.diff cannot be told"),
    "max_log_file": ("auditd max_log_file 50", "not set"),
    RULE: ("audit rules sshd", "0 of 1 in the kernel"),
    "a stranger": ("kernel a stranger absent", "loaded"),
    "failure": ("audit failure 1", "9"),
    "ssh running": ("sshd running", "not running"),
    "auditd enabled": ("auditd starts at boot", "no"),
    "proof": ("a login is recorded", "It was lost. (2026-11-25T19:35:23.000Z)"),
    "deaf sshd": ("daemon sshd listens yes", "not at 127.0.0.1:1"),
    "a way": ("trail auditd-stopped: recorded", "auditd is stopped: pid 7"),
}


@pytest.mark.parametrize("wrong", ROWS)
def test_the_row_of_what_is_wrong(wrong):
    assert failing(wrong) == [ROWS[wrong]]


@pytest.mark.parametrize("wrong,layer,what", WRONG)
def test_each_difference_has_its_row(wrong, layer, what):
    assert len(failing(wrong)) == 1


def test_a_host_in_its_policy():
    rows = report.rows(Host().minion(), POLICY)
    assert {row["holds"] for row in rows} == {True}
    told = {row["asked"]: row["now"] for row in rows}
    assert told["sshd running"] == "listens, pid 7"
    assert told["auditd running"] == "receives the kernel's records, pid 9"
    assert told["audit rules sshd"] == "1 of 1 in the kernel"
    assert told["audit failure 1"] == "1"
    assert told["trail: what people do is recorded"] == "no way is open by which it would not be"


@pytest.mark.parametrize("hidden,holds", [(True, None), (False, True)])
def test_what_cannot_be_told_is_not_told_as_well(hidden, holds):
    host = Host()
    findings = host.do_sshtrail_coverage__findings(POLICY)
    hides = {"session-older": hidden, "files-untold": False}
    unknown = [{"check": name, "holds": None, "hides": hides[name]} for name in hides]
    host.do_sshtrail_coverage__findings = lambda policy: [*findings, *unknown]
    told = {row["asked"]: row for row in report.rows(host.minion(), POLICY)}["trail: what people do is recorded"]
    assert told["now"] == "no way is open by which it would not be; not told here: session-older, files-untold"
    assert told["holds"] is holds


def test_a_part_of_another_tool_is_not_well_and_not_failing():
    policy = {**POLICY, "sshd": {**POLICY["sshd"], "managed": False}}
    [left] = [row for row in report.rows(Host().minion(), policy) if "another tool" in row["asked"]]
    assert left == {"asked": "sshd left to another tool", "now": "not looked at", "holds": None}


def test_what_waits_for_a_reboot_is_neither_there_nor_a_failure():
    rows = report.rows(Host({RULE, "locked"}).minion(), POLICY)
    waiting = {row["asked"]: row["now"] for row in rows if row["holds"] is None}
    assert waiting == {
        "audit rules sshd": "0 of 1 in the kernel",
        "audit rules of the files": "locked until the next reboot: 1 rules come then, 0 go",
    }
    assert {row["holds"] for row in rows} == {True, None}


def test_what_a_highstate_came_to():
    ran = {
        "b": {"__run_num__": 2, "__id__": "two", "name": "x", "result": False, "changes": {}, "comment": "no"},
        "a": {"__run_num__": 1, "name": "one", "result": True, "changes": {"x": 1}, "comment": "", "duration": 1.5},
    }
    done = report.outcome(ran, lambda: ["row"])
    assert (done["result"], done["errors"], done["report"]) == (False, [], ["row"])
    assert [state["id"] for state in done["states"]] == ["one", "two"]
    assert done["states"][0] == {
        **{"id": "one", "name": "one", "result": True, "changes": {"x": 1}, "comment": "", "duration": 1.5}
    }


def test_what_kept_a_highstate_from_running():
    done = report.outcome(["Rendering SLS failed", 7], lambda: pytest.fail("the host was not touched"))
    assert done == {"result": False, "errors": ["Rendering SLS failed", "7"], "states": [], "report": []}
