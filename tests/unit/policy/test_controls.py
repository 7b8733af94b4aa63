"""The table of controls: whole, without contradictions, and right where its sources were read by a person."""

import re

import pytest
from sshtrail_lib.policy import controls

IDENTIFIERS = {
    "CIS": r"\d+(\.\d+)+",
    "STIG Ubuntu 22.04": r"UBTU-22-\d{6}",
    "STIG Ubuntu 24.04": r"UBTU-24-\d{6}",
    "STIG RHEL 9": r"RHEL-09-\d{6}",
    "PCI DSS": r"\d+(\.\d+)+",
    "NIST 800-53": r"[A-Z]{2}-\d+(\(\d+\))?",
    "ISO 27001": r"A\.\d+\.\d+|\d+\.\d+",
    "SOC 2": r"[A-Z]+\d+\.\d+",
}
# The identifiers of each edition where they differ: LogLevel, UsePAM, sudoers, lastlog, and the immutable rules.
EDITIONS = {
    "CIS Debian 12": ("1.1.0", "5.1.14", "5.1.22", "6.2.3.1", "6.2.3.12", "6.2.3.20"),
    "CIS Ubuntu 22.04": ("2.0.0", "5.1.14", "5.1.22", "6.3.3.1", "6.3.3.12", "6.3.3.20"),
    "CIS Ubuntu 24.04": ("1.0.0", "5.1.14", "5.1.22", "6.2.3.1", "6.2.3.12", "6.2.3.20"),
    "CIS RHEL 9": ("2.0.0", "5.1.15", "5.1.22", "6.3.3.1", "6.3.3.12", "6.3.3.20"),
}
CHECKS = ("sshd-loglevel", "sshd-pam", "rule-sudoers", "rule-logins", "rule-immutable")


@pytest.mark.parametrize("framework", controls.CONTROLS)
def test_a_framework_is_whole(framework):
    pattern = next(pattern for name, pattern in IDENTIFIERS.items() if framework.startswith(name))
    entries = controls.CONTROLS[framework]
    names = [entry.id for entry in entries]
    assert len(names) == len(set(names)) and [name for name in names if not re.fullmatch(pattern, name)] == []
    for entry in entries:
        assert set(entry.checks) <= set(controls.CHECKS)
        assert bool(entry.checks) != ((framework, entry.id) in controls.REQUIREMENTS)


def test_every_check_is_asked_for_and_every_edition_is_named():
    asked = {check for entries in controls.CONTROLS.values() for entry in entries for check in entry.checks}
    assert asked == set(controls.CHECKS) and len(asked) == 75
    assert set(controls.EDITIONS) == set(controls.CONTROLS)


@pytest.mark.parametrize("framework", EDITIONS)
def test_identifiers_of_an_edition(framework):
    edition, *identifiers = EDITIONS[framework]
    by_check = {check: entry.id for entry in controls.CONTROLS[framework] for check in entry.checks}
    assert (controls.EDITIONS[framework], [by_check[check] for check in CHECKS]) == (edition, identifiers)
