"""What the ready groups claim: of the right edition, with nothing missing, and kept by the rules of the group."""

import re

import pytest
from sshtrail_lib.policy import claims, controls
from sshtrail_lib.policy import groups as policy_groups
from sshtrail_lib.rules import language

ALL = [(group, framework) for group in policy_groups.GROUPS for framework in controls.CONTROLS]
# Grains as Salt has them, and whose editions these hosts have.
HOSTS = [
    ("Debian", "Debian", "12", "CIS Debian 12", "STIG Ubuntu 22.04"),
    ("Debian", "Debian", "13", "CIS Debian 12", "STIG Ubuntu 24.04"),
    ("Ubuntu", "Debian", "22.04", "CIS Ubuntu 22.04", "STIG Ubuntu 22.04"),
    ("Ubuntu", "Debian", "24.04", "CIS Ubuntu 24.04", "STIG Ubuntu 24.04"),
    ("Ubuntu", "Debian", "25.04", "CIS Ubuntu 24.04", "STIG Ubuntu 24.04"),
    ("Linux Mint", "Debian", "22", "CIS Debian 12", "STIG Ubuntu 24.04"),
    ("CentOS Stream", "RedHat", "9", "CIS RHEL 9", "STIG RHEL 9"),
    ("Rocky", "RedHat", "9.4", "CIS RHEL 9", "STIG RHEL 9"),
]
# A few, read by a person: (group, distribution, what it claims).
CLAIMS = [
    ("scope", "Debian 12", "CIS Debian 12 v1.1.0 6.2.3.1"),
    ("scope", "Ubuntu 22.04", "CIS Ubuntu 22.04 v2.0.0 6.3.3.1"),
    ("scope", "RedHat 9.4", "CIS RHEL 9 v2.0.0 6.3.3.1"),
    ("scope", "Ubuntu 22.04", "STIG Ubuntu 22.04 V2R8 UBTU-22-654225"),
    ("perm_mod", "Ubuntu 22.04", "STIG Ubuntu 22.04 V2R8 UBTU-22-654180"),
    ("root_commands", "Ubuntu 22.04", "STIG Ubuntu 22.04 V2R8 UBTU-22-654230"),
    ("cron", "Ubuntu 22.04", "STIG Ubuntu 22.04 V2R8 UBTU-22-654041"),
    ("journal", "Ubuntu 22.04", "STIG Ubuntu 22.04 V2R8 UBTU-22-654190"),
    *(
        (group, "Ubuntu 22.04", f"STIG Ubuntu 22.04 V2R8 UBTU-22-654{number}")
        for group, numbers in {
            "privileged_tools": ("030", "065", "090", "095", "100", "115"),
            "privileged": ("030", "065", "095", "100", "115"),
        }.items()
        for number in numbers
    ),
    ("audit_config", None, "PCI DSS v4.0.1 10.2.1.3"),
]
# What is in the table about rules, and no group has: the end of the file, the kernel's status, and its being the same.
NO_GROUP = {"rule-immutable", "rule-same", "rule-failure", "rule-loginuid-immutable"}
# The calls that a rule of the source is about, by the end of its name where that is none of the kernel's names.
CALLS = {"delete": "delete_module", "init": "init_module", "finit": "finit_module"}
# System calls that no kernel of this century has.
GONE = {"create", "query"}
# What a rule of the source is about, by its name.
ABOUT = [
    (r"audit_rules_(?:dac_modification|file_deletion_events|unsuccessful_file_modification)_(\w+)", "call"),
    (r"audit_rules_kernel_module_loading_(\w+)", "call"),
    (r"audit_rules_time_(adjtimex|settimeofday|clock_settime)", "call"),
    (r"audit_(?:rules_)?(?:privileged_commands|execution)_(\w+)", "program"),
    (r"audit_rules_(?:session|login)_events_(\w+)", "file"),
    (r"audit_rules_usergroup_modification_(\w+)", "file"),
    (r"audit_rules_(sudoers(?:_d)?)", "file"),
    (r"audit_rules_time_watch_(localtime)", "file"),
    (r"audit_rules_mac_modification_(etc_apparmor(?:_d)?)", "file"),
    (r"audit_rules_(etc_cron_d|var_spool_cron|var_log_journal)", "file"),
]


def told_apart(text):
    """A path, or its end, in the letters of the source's names."""
    return re.sub(r"\W", "_", text).strip("_")


def rules(group):
    return [language.parse_rule(line) for line in policy_groups.GROUPS[group]["rules"]]


def kept(group, name):
    """Whether the rules of ``group`` do what a rule of the source asks; None where its name does not say what."""
    pattern, kind = next(((one, kind) for one, kind in ABOUT if re.fullmatch(one, name)), (None, None))
    if pattern is None:
        return None
    asked = re.fullmatch(pattern, name)[1]
    if kind == "call":
        calls = {call for rule in rules(group) for call in rule.syscalls}
        return asked in GONE or CALLS.get(asked, asked) in calls
    if kind == "program" and group == "privileged":
        return asked in claims.SETUID
    if asked == "modprobe":
        # A link to kmod, whose execution it is.
        asked = "kmod"
    places = [rule.field("path") or rule.field("dir") for rule in rules(group)]
    return any(f"_{told_apart(place.value)}".endswith(f"_{asked}") for place in places if place)


@pytest.mark.parametrize(("group", "framework"), ALL)
def test_a_group_keeps_what_it_claims(group, framework):
    for control in claims.answered(group, framework):
        assert [name for name in control.rules if kept(group, name) is False] == [], control.id


@pytest.mark.parametrize("framework", [name for name in controls.CONTROLS if name.startswith(("CIS", "STIG"))])
def test_every_control_about_rules_is_claimed(framework):
    claimed = {control.id for group in policy_groups.GROUPS for control in claims.answered(group, framework)}
    about = [one for one in controls.CONTROLS[framework] if any(check.startswith("rule-") for check in one.checks)]
    assert [one.id for one in about if one.id not in claimed and not set(one.checks) <= NO_GROUP] == []


def test_every_requirement_about_rules_is_claimed():
    claimed = {number for numbers in claims.PCI_DSS.values() for number in numbers}
    asked = {
        number for (name, number), check in controls.REQUIREMENTS.items() if name == "PCI DSS" and check.kind == "rule"
    }
    assert asked <= claimed <= {control.id for control in controls.CONTROLS["PCI DSS"]}


@pytest.mark.parametrize(("name", "family", "release", "cis", "stig"), HOSTS)
def test_the_editions_of_a_distribution(name, family, release, cis, stig):
    grains = {"os": name, "os_family": family, "osrelease": release}
    assert claims.frameworks(claims.distribution(grains)) == (cis, stig, "PCI DSS")


@pytest.mark.parametrize("distribution", [None, "", "Suse 15.6", "Arch rolling"])
def test_no_edition_is_claimed_for_a_distribution_that_has_none(distribution):
    assert claims.frameworks(distribution) == ("PCI DSS",)
    assert claims.told("scope", distribution) == ["PCI DSS v4.0.1 10.2.1.5"]


@pytest.mark.parametrize(("group", "distribution", "claim"), CLAIMS)
def test_a_claim(group, distribution, claim):
    assert claim in claims.told(group, distribution)


def test_what_is_not_claimed():
    """Modes and owners are no rules; a rule about euid and auid is not the one about euid=0."""
    assert not [one for one in claims.told("audit_config", "Debian 12") if "CIS" in one]
    assert not [one for one in claims.told("user_emulation", "Ubuntu 22.04") if "STIG" in one]


def test_sets_are_composed_of_groups():
    for name, member in (
        ("cis", "identity"),
        ("cis", "privileged"),
        ("stig", "privileged"),
        ("pci_dss", "ssh_commands"),
    ):
        assert member in claims.SETS[name] and set(claims.SETS[name]) <= set(policy_groups.GROUPS)
