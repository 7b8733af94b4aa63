"""bin/_controls.py: the table of controls from two lists of facts."""

import _controls

HEADINGS = (
    "framework",
    "version",
    "id",
    "level",
    "check",
    "check_type",
    "description",
    "what_to_check",
    "source_rules",
)


def row(*cells):
    return dict(zip(HEADINGS, cells, strict=True))


ROWS = [
    row("CIS X 1", "1.0", "6.1", "l1s", "audit-package", "package", "It is there", "auditd", "package_a"),
    row("CIS X 1", "1.0", "6.1", "l1s", "audit-service", "service", "It runs", "the unit", "package_a,service_a"),
    row("DISA STIG X 1", "V1", "X-1", "high", "rule-a", "rule", "It is recorded", "a rule", "a," * 149 + "cut"),
    row("SOC 2 (TSC)", "2017", "CC1", "", "hand", "report", "Somebody reads it", "a report", "public summaries"),
]


def test_each_control_comes_once_with_all_its_checks():
    assert _controls.controls(ROWS)["CIS X 1"] == [
        ("6.1", "l1s", ("audit-package", "audit-service"), ("package_a", "service_a"))
    ]


def test_a_name_that_was_cut_is_left_out():
    assert _controls.controls(ROWS)["STIG X 1"] == [("X-1", "high", ("rule-a",), ("a",))]


def test_a_requirement_without_checks_stays_and_says_what_it_asks():
    assert _controls.controls(ROWS)["SOC 2"] == [("CC1", "", (), ())]
    written = {}
    exec(_controls.text(ROWS, ROWS[:3]), written)
    assert written["REQUIREMENTS"] == {("SOC 2", "CC1"): ("report", "Somebody reads it", "a report")}
    assert written["EDITIONS"] == {"CIS X 1": "1.0", "STIG X 1": "V1", "SOC 2": "2017"}
    assert set(written["CHECKS"]) == {"audit-package", "audit-service", "rule-a"}
