"""compliance.rows: each control once, and what people said of it."""

import pytest
from sshtrail_lib.compliance import rows
from sshtrail_lib.policy.controls import CONTROLS, EDITIONS

from unit.compliance.known import POLICY, audit, facts

NOW = "2026-11-25T12:00:00.000Z"
HELD = audit(())
FULL = "CIS Debian 12 6.2.3.20"
ACCEPTED = {"reason": "one disk only", "by": "alice", "until": "2026-11-25"}


def sentence(by):
    return f"by {by['user']}"


def told(frameworks=("CIS Debian 12",), known=(), asked=None, **changes):
    policy = {**POLICY, "compliance": asked or {}}
    found = rows.rows(facts(audit=HELD, policy=policy, **changes), frameworks, sentence, dict(known), NOW)
    return {row["control"]: row for row in found}, found


@pytest.mark.parametrize("framework", EDITIONS)
def test_each_control_is_there_once(framework):
    by_name, found = told([framework])
    assert [row["id"] for row in found] == [one.id for one in CONTROLS[framework]]
    assert len(by_name) == len(found)
    assert all(row["status"] in rows.STATUSES and row["evidence"] and row["title"] for row in found)


def test_a_requirement_without_checks_is_shown_for_a_person():
    row = told(["PCI DSS"])[0]["PCI DSS 10.4.1"]
    assert row["status"] == "manual" and "nothing here looks at it" in row["evidence"]


def test_what_is_looked_at_in_part_is_no_pass():
    row = told(["SOC 2"])[0]["SOC 2 CC6.2"]
    assert row["status"] == "manual" and row["evidence"].startswith("as far as it is looked at here: ")


def test_the_difference_tells_since_when_and_by_whom():
    drift = (
        {
            "layer": "kernel",
            "what": "enabled",
            "since": "2026-11-20T00:00:00Z",
            "by": {"user": "bob"},
            "actual": 1,
            "expected": 2,
        },
    )
    wrong = HELD._replace(status={**HELD.status, "enabled": 1})
    found = rows.rows(facts(audit=wrong, drift=drift), ["CIS Debian 12"], sentence, {}, NOW)
    row = next(row for row in found if row["control"] == FULL)
    assert (row["status"], row["since"], row["by"]) == ("fail", "2026-11-20T00:00:00Z", "by bob")
    assert row["remedy"] == "sshtrail:rules:immutable: true"


def test_since_when_it_is_so_is_remembered():
    first = told()[1]
    known = rows.remembered(first)
    known[FULL][1] = "2026-01-01T00:00:00.000Z"
    assert told(known=known)[0][FULL]["since"] == "2026-01-01T00:00:00.000Z"
    known[FULL][0] = "fail"
    assert told(known=known)[0][FULL]["since"] == NOW


FAILS = "CIS Debian 12 6.2.3.1"
MANUAL = "CIS Debian 12 6.1.1.3"
SAID = [
    ({"accepted": {FAILS: ACCEPTED}}, FAILS, "accepted", False),
    ({"accepted": {FAILS: {**ACCEPTED, "until": "2026-11-24"}}}, FAILS, "fail", True),
    ({"accepted": {FULL: ACCEPTED}}, FULL, "pass", False),
    ({"accepted": {MANUAL: ACCEPTED}}, MANUAL, "accepted", False),
    ({"verdicts": {MANUAL: {**ACCEPTED, "status": "pass"}}}, MANUAL, "pass", False),
    ({"verdicts": {MANUAL: {**ACCEPTED, "status": "fail"}}}, MANUAL, "fail", False),
    ({"verdicts": {MANUAL: {**ACCEPTED, "status": "not applicable"}}}, MANUAL, "not applicable", False),
    ({"verdicts": {MANUAL: {**ACCEPTED, "status": "pass", "until": "2026-11-24"}}}, MANUAL, "fail", True),
    *(({"verdicts": {MANUAL: {**ACCEPTED, "status": word, "until": judged}},
        "accepted": {MANUAL: {**ACCEPTED, "until": until}}}, MANUAL, status, expired)
      for word, judged, until, status, expired in (
        ("fail", "2026-11-25", "2026-11-25", "accepted", False),
        ("pass", "2026-11-24", "2026-11-25", "accepted", False),
        ("pass", "2026-11-25", "2026-11-24", "pass", False),
        ("fail", "2026-11-25", "2026-11-24", "fail", False),
        ("pass", "2026-11-24", "2026-11-24", "fail", True),
    )),
    # A person's word is no answer where a program has seen it wrong.
    ({"verdicts": {FAILS: {**ACCEPTED, "status": "pass"}}}, FAILS, "fail", False),
]  # fmt: skip


@pytest.mark.parametrize(("asked", "control", "status", "expired"), SAID)
def test_what_people_said(asked, control, status, expired):
    row = told(asked=asked)[0][control]
    assert row["status"] == status
    assert row["exception"]["expired"] is expired and row["exception"]["by"] == "alice"


def test_unknown_is_never_accepted_away():
    unknown = HELD._replace(error="This is a container.")
    policy = {**POLICY, "compliance": {"accepted": {FAILS: ACCEPTED}}}
    found = rows.rows(facts(audit=unknown, policy=policy), ["CIS Debian 12"], sentence, {}, NOW)
    assert next(row for row in found if row["control"] == FAILS)["status"] == "unknown"


def test_hostile_evidence_is_a_printable_line():
    row = told(accounts=(("root", 0), ("a\x1b[31m\u202e<script>" * 500, 0)))[0]["CIS Debian 12 7.2.5"]
    assert row["status"] == "fail" and row["evidence"].isprintable() and len(row["evidence"]) <= rows.LONGEST


def test_the_summary_counts_nothing_as_nothing():
    assert rows.summary([]) == {}
    row = {"framework": "x", "version": "1", "status": "not applicable"}
    assert rows.summary([row])["x"]["percent"] is None
    assert rows.summary([row, {**row, "status": "unknown"}])["x"]["percent"] == 0
    assert rows.summary([{**row, "status": "pass"}, {**row, "status": "accepted"}])["x"]["percent"] == 50
