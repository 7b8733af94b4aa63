"""compliance.rules: what the kernel records, and each demand seen failing when its rule is gone."""

import pytest
from sshtrail_lib.compliance import demands, rules
from sshtrail_lib.rules import target

from unit.compliance.known import audit, compiled, facts

ALL = audit()
NAMES = [name for name in demands.DEMANDS if any(one.needs for one in ALL.asked[name])]


@pytest.mark.parametrize("name", NAMES)
def test_a_demand_is_met_by_its_rules_and_by_nothing_less(name):
    assert rules.demand(facts(audit=ALL), name).status == "pass"
    own = {need.rule for one in ALL.asked[name] for need in one.needs if not one.absent}
    found = rules.demand(facts(audit=ALL._replace(rules=tuple(rule for rule in ALL.rules if rule not in own))), name)
    if not own:
        assert found.status in ("pass", "not applicable")
    elif found.status == "fail":
        assert found.layer == "kernel" and "the kernel holds no rule that records" in found.evidence
    else:
        # Another demand's rule is wider, and stands for it.
        assert found.status == "pass"


@pytest.mark.parametrize("name", NAMES)
def test_an_empty_kernel_meets_no_demand(name):
    found = rules.demand(facts(audit=ALL._replace(rules=())), name)
    assert found.status in ("fail", "not applicable")
    assert (found.status == "not applicable") == all(one.absent for one in ALL.asked[name])


def test_files_that_are_right_do_not_help_a_kernel_that_is_wrong():
    rule = compiled("-w /etc/sudoers -p wa -k scope")
    known = ALL._replace(rules=(), filed={rule: "/etc/audit/rules.d/10-x.rules line 3"})
    found = rules.demand(facts(audit=known), "audit_rules_sudoers")
    assert (found.status, found.layer) == ("fail", "kernel")
    assert "the files ask for it, and it is not loaded: /etc/audit/rules.d/10-x.rules line 3" in found.evidence
    assert found.about == (target.describe(rule),)


def test_the_group_that_would_do_it_is_named():
    rule = compiled("-w /etc/sudoers -p wa -k scope")
    known = ALL._replace(rules=(), offered={rule: "scope"})
    assert rules.demand(facts(audit=known), "audit_rules_sudoers").remedy == "sshtrail:rules:groups:scope: true"
    known = known._replace(chosen=("scope",))
    assert rules.demand(facts(audit=known), "audit_rules_sudoers").remedy == "state.apply sshtrail"


def test_what_a_never_hides_fails_and_is_named():
    never = compiled("-a never,exit -F arch=b64 -S unlink")
    found = rules.demand(
        facts(audit=ALL._replace(rules=(never, *ALL.rules))), "audit_rules_file_deletion_events_unlink"
    )
    assert found.status == "fail" and "is hidden by -a never,exit -F arch=b64 -S unlink" in found.evidence


def test_a_kernel_that_is_off_records_nothing():
    known = ALL._replace(status={**ALL.status, "enabled": 0})
    assert "enabled is 0" in rules.demand(facts(audit=known), "audit_rules_sudoers").evidence


def test_a_kernel_that_does_not_answer_is_unknown_and_never_a_pass():
    known = ALL._replace(error="This is a container.")
    looks = (rules.immutable, rules.failure, rules.fixed_logins, rules.same, rules.backlog)
    assert {look(facts(audit=known)).status for look in looks} == {"unknown"}
    assert rules.demand(facts(audit=known), "audit_rules_sudoers").status == "unknown"
    assert rules.demand(facts(audit=ALL._replace(asked={})), "audit_rules_sudoers").status == "unknown"


def test_a_call_that_no_kernel_has_is_not_applicable():
    name = "audit_rules_kernel_module_loading_create"
    assert rules.demand(facts(audit=ALL), name).status == "not applicable"


STATES = [
    (rules.immutable, {}, "pass"),
    (rules.immutable, {"status": {"enabled": 1}}, "fail"),
    (rules.immutable, {"last_line": "-e2"}, "pass"),
    (rules.immutable, {"last_line": "-e 1"}, "fail"),
    (rules.immutable, {"last_line": "-w /etc/x -p wa"}, "fail"),
    (rules.failure, {}, "pass"),
    (rules.failure, {"status": {"failure": 1}}, "fail"),
    (rules.fixed_logins, {}, "pass"),
    (rules.fixed_logins, {"features": {"loginuid_immutable": {"on": True, "locked": False}}}, "fail"),
    (rules.fixed_logins, {"features": {}}, "unknown"),
    (rules.same, {}, "pass"),
    (rules.same, {"differs": ("without -w /etc/x -p wa",)}, "fail"),
    (rules.same, {"differs": None}, "unknown"),
    (rules.backlog, {}, "pass"),
    (rules.backlog, {"status": {"backlog_limit": 64}}, "fail"),
]


@pytest.mark.parametrize(("look", "changes", "status"), STATES)
def test_the_kernels_settings(look, changes, status):
    changes = {**changes, "status": {**ALL.status, **changes.get("status", {})}}
    assert look(facts(audit=ALL._replace(**changes))).status == status


BOOTS = [
    ({}, "pass"),
    ({"boot": ("quiet",)}, "fail"),
    ({"boot": ("audit=1", "audit=0")}, "fail"),
    ({"boot": ("audit=0", "audit=on")}, "pass"),
    ({"boot": ("audit=off",)}, "fail"),
    ({"entries": {"grub.cfg line 1": ("audit=1", "audit=0")}}, "fail"),
    ({"entries": {"grub.cfg line 1": ("audit=0", "audit=1")}}, "pass"),
    ({"entries": {}}, "unknown"),
    # What stands behind -- is for init.
    ({"boot": ("audit=0", "--", "audit=1")}, "fail"),
    ({"boot": ("audit=1", "--", "audit=0")}, "pass"),
    ({"entries": {"grub.cfg line 1": ("quiet", "--", "audit=1")}}, "fail"),
    ({"entries": {"grub.cfg line 1": ("quiet",), "grub.cfg line 2": ("audit=1",)}}, "fail"),
]


NUMBERS = [
    ("8192", "pass"), ("8191", "fail"), ("0x2000", "pass"), ("0X1FFF", "fail"), ("020000", "pass"), ("08192", "fail"),
    ("8_192", "fail"), ("-8192", "fail"), ("8192k", "fail"), ("", "fail"), ("٨١٩٢", "fail"),
]  # fmt: skip


@pytest.mark.parametrize(("number", "status"), NUMBERS)
def test_a_number_on_the_kernel_s_command_line(number, status):
    assert rules.backlog(facts(audit=ALL, boot=("audit=1", f"audit_backlog_limit={number}"))).status == status


@pytest.mark.parametrize(("changes", "status"), BOOTS)
def test_auditing_from_boot_on(changes, status):
    assert rules.from_boot(facts(audit=ALL, **changes)).status == status
