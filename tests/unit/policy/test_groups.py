"""The ready groups: well formed, without a warning, and each compiled by this host's libaudit."""

import re

import pytest
from sshtrail_lib.policy import groups as policy_groups
from sshtrail_lib.rules import check as rules_check
from sshtrail_lib.rules import wish as rules_wish

CONTROL = re.compile(r"CIS 6\.2\.\d+(\.\d+)?|STIG UBTU-22-\d{6}|PCI DSS 10\.2\.1\.[1-7]")
# What a rule may be told: that a file or a directory of it is not on this host, or is a link to one that counts too.
HOST = re.compile(r"does not exist|^(/etc/localtime|/usr/bin/sudoedit) is a symbolic link")


@pytest.mark.parametrize("name", policy_groups.GROUPS)
def test_a_group_is_well_formed_and_says_what_it_means(name):
    group = policy_groups.GROUPS[name]
    assert set(group) == {"title", "controls", "rules"} and group["title"] and group["rules"]
    assert [control for control in group["controls"] if not CONTROL.fullmatch(control)] == []
    problems = [problem.reason for problem in rules_check.problems(group["rules"])]
    assert [reason for reason in problems if not HOST.search(reason)] == []


def test_all_groups_together_compile_and_keep_each_rule_once():
    groups = [{"name": name, **group} for name, group in policy_groups.GROUPS.items()]
    rules = [str(rule) for group in rules_wish.read_groups(groups) for rule in group["rules"]]
    assert len(rules) == len(set(rules))


def test_the_recipes_keys_are_there():
    for key in ("sshd", "session", "ssh_commands"):
        assert all(line.endswith(f"-F key={key}") for line in policy_groups.GROUPS[key]["rules"])


@pytest.mark.parametrize("name, member", [("cis", "identity"), ("stig", "privileged"), ("pci_dss", "ssh_commands")])
def test_sets_are_composed_of_groups(name, member):
    assert member in policy_groups.SETS[name] and set(policy_groups.SETS[name]) <= set(policy_groups.GROUPS)


@pytest.mark.parametrize("name", policy_groups.GROUPS)
def test_the_documentation_knows_the_group(root, name):
    group = policy_groups.GROUPS[name]
    row = next(
        line for line in (root / "docs" / "audit-rules.md").read_text().splitlines() if line.startswith(f"| `{name}` |")
    )
    assert group["title"] in row and all(control.rpartition(" ")[2] in row for control in group["controls"])
