"""compliance.formats: the same rows for people, spreadsheets, collectors and STIG viewers."""

import csv
import io
import json

import pytest
from sshtrail_lib.compliance import formats, rows

from unit.compliance.known import POLICY, audit, facts

NOW = "2026-11-25T12:00:00.000Z"
EXCEPTION = {"reason": "=cmd()", "by": "alice", "until": "2027-01-31"}
POLICY_ = {**POLICY, "compliance": {"accepted": {"STIG RHEL 9 RHEL-09-654215": EXCEPTION}}}
FOUND = rows.rows(facts(audit=audit(()), policy=POLICY_), ["STIG RHEL 9", "PCI DSS"], str, {}, NOW)
HOSTS = {"web1": FOUND, "web2\x1b[31m": "no answer"}


def test_the_table_names_every_host_and_what_is_not_met():
    lines = formats.table(HOSTS).splitlines()
    assert lines[0].split()[:3] == ["minion", "framework", "version"]
    assert any(line.startswith("web1") and "STIG RHEL 9" in line for line in lines)
    assert any(line.startswith("web2\\x1b[31m") and line.endswith("no answer") for line in lines)
    assert any(line.startswith("STIG RHEL 9 RHEL-09-654240") and "fail" in line for line in lines)
    assert all(line.isprintable() for line in lines)


@pytest.mark.parametrize("name", ["framework", "version", "control", "evidence"])
def test_no_row_of_a_table_is_another_hosts(name):
    """What a host tells may have line ends, and be as long as its mine."""
    lie = {**FOUND[0], "status": "fail", name: "x\nprod-1  CIS  1.0  9  0  0  0  0  0  100 %\t" + "y" * 300_000}
    told = formats.table({"liar": [lie], **HOSTS})
    assert not any(line.startswith("prod-1") for line in told.splitlines())
    assert len(told.splitlines()) <= len(formats.table(HOSTS).splitlines()) + 2 and "\t" not in told
    assert max(map(len, told.splitlines())) < 2000


def test_nobody_asked_is_a_table_without_rows():
    assert formats.table({}).split() == formats.table({}).split()[:12] and "%" not in formats.table({})


def test_csv_has_every_row_and_no_formula():
    found = list(csv.DictReader(io.StringIO(formats.as_csv(HOSTS))))
    assert len(found) == len(FOUND) + 1
    assert found[-1]["status"] == "unknown" and found[-1]["evidence"] == "no answer"
    excepted = next(row for row in found if row["exception_by"] == "alice")
    assert excepted["status"] == "accepted" and excepted["exception_reason"] == "'=cmd()"


@pytest.mark.parametrize("begun", ["=", "+", "-", "@", "\t=", "\r=", "\uff1d", "\uff0b", "\uff0d", "\uff20", "  ="])
def test_no_cell_of_a_csv_begins_a_formula(begun):
    row = {**FOUND[0], "evidence": f'{begun}HYPERLINK("http://x")', "by": f"{begun}1"}
    [found] = csv.DictReader(io.StringIO(formats.as_csv({f"{begun}host": [row]})))
    assert not [value for value in found.values() if value.startswith(begun)]


def test_ocsf_has_a_finding_for_every_row():
    found = [json.loads(line) for line in formats.ocsf(HOSTS, 1.5).splitlines()]
    assert len(found) == len(FOUND) + 1 and len({one["finding_info"]["uid"] for one in found}) == len(found)
    by_status = {row["status"]: row["control"] for row in FOUND}
    ids = {one["compliance"]["control"]: one["compliance"]["status_id"] for one in found}
    for status, number in (("pass", 1), ("accepted", 2), ("fail", 3), ("unknown", 0), ("manual", 99)):
        if status in by_status:
            assert ids[by_status[status]] == number
    assert {one["class_uid"] for one in found} == {2003} and found[0]["time"] == 1500


def test_ocsf_is_valid_by_the_public_model():
    model = pytest.importorskip("py_ocsf_models.events.findings.compliance_finding")
    for one in formats.findings(HOSTS, 1.5):
        model.ComplianceFinding(**one)


def test_a_checklist_has_the_rules_of_the_stig_alone():
    found = formats.checklist("web1", FOUND)
    [stig] = found["stigs"]
    wanted = [row for row in FOUND if row["framework"] == "STIG RHEL 9"]
    assert stig["size"] == len(stig["rules"]) == len(wanted)
    assert (stig["version"], stig["release_info"], stig["stig_id"]) == ("2", "Release: 9", "RHEL_9_STIG")
    status = {rule["rule_version"]: rule["status"] for rule in stig["rules"]}
    assert status["RHEL-09-654240"] == "open" and status["RHEL-09-654215"] == "open"
    assert status["RHEL-09-654275"] == "not_a_finding"
    accepted = next(rule for rule in stig["rules"] if rule["rule_version"] == "RHEL-09-654215")
    assert accepted["comments"] == "alice: =cmd() (until 2027-01-31)"
    assert {rule["stig_uuid"] for rule in stig["rules"]} == {stig["uuid"]}
    assert json.dumps(found)


#: The fields that STIG Viewer 3.2 writes itself, each with its kind; a reader may ask for any of them.
TARGET = {
    **dict.fromkeys(("target_type", "host_name", "ip_address", "mac_address", "fqdn", "comments", "role"), str),
    **{"is_web_database": bool, "classification": type(None)},
    **dict.fromkeys(("technology_area", "web_db_site", "web_db_instance"), str),
}
STIG = {
    **dict.fromkeys(("stig_name", "display_name", "stig_id", "release_info", "version", "uuid"), str),
    **{"reference_identifier": str, "size": int, "rules": list},
}
RULE = {
    **dict.fromkeys(("group_id_src", "group_id", "severity", "group_title", "rule_id_src", "rule_id"), str),
    **dict.fromkeys(("rule_version", "rule_title", "fix_text", "weight", "check_content", "classification"), str),
    **dict.fromkeys(("discussion", "false_positives", "false_negatives", "documentable", "potential_impacts"), str),
    **dict.fromkeys(("security_override_guidance", "third_party_tools", "ia_controls", "responsibility"), str),
    **dict.fromkeys(("mitigations", "mitigation_control", "reference_identifier", "uuid", "stig_uuid"), str),
    **dict.fromkeys(("status", "comments", "finding_details"), str),
    **{"group_tree": list, "check_content_ref": dict, "legacy_ids": list, "ccis": list, "overrides": dict},
}


def test_a_checklist_has_what_the_viewer_itself_writes():
    found = json.loads(json.dumps(formats.checklist("web1", FOUND)))
    assert {name: type(value) for name, value in found["target_data"].items()} == TARGET
    for stig in found["stigs"]:
        assert {name: type(value) for name, value in stig.items()} == STIG
        assert all({name: type(value) for name, value in rule.items()} == RULE for rule in stig["rules"])
        assert {rule["status"] for rule in stig["rules"]} <= {"not_reviewed", "open", "not_a_finding", "not_applicable"}
        assert {rule["severity"] for rule in stig["rules"]} <= {"low", "medium", "high"}
    assert set(found) == {"title", "id", "stigs", "active", "mode", "has_path", "target_data", "cklb_version"}


def test_a_checklist_of_a_host_that_no_stig_fits_says_so():
    assert formats.checklist("web1", [])["title"] == "web1: no STIG fits this host"
