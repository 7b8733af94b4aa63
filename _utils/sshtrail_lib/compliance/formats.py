"""
What auditors are handed: the rows of hosts as a table, as CSV, as OCSF Compliance Findings, and as a STIG checklist.
"""

from __future__ import annotations

import csv
import io
import json
import typing
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.compliance.finding import (
    ACCEPTED,
    FAIL,
    MANUAL,
    NOT_APPLICABLE,
    PASS,
    STATUSES,
    UNKNOWN,
)
from sshtrail_lib.compliance.rows import Row, summary

#: Each host's rows (list of dict), or why there are none (str).
Hosts = Mapping[str, "Sequence[Row] | str"]
COLUMNS = (
    *("host", "control", "version", "level", "title", "status", "evidence", "layer", "since", "by", "remedy"),
    *("exception_reason", "exception_by", "exception_until", "exception_expired"),
)
#: Characters of a cell.
LONGEST = 4000
#: OCSF, object compliance: 1 Pass, 2 Warning, 3 Fail, 0 Unknown, 99 Other.
STATUS_ID = {PASS: 1, ACCEPTED: 2, MANUAL: 99, FAIL: 3, UNKNOWN: 0, NOT_APPLICABLE: 99}
STATUS_NAME = {0: "Unknown", 1: "Pass", 2: "Warning", 3: "Fail", 99: "Other"}
SEVERITY_ID = {"low": 2, "medium": 3, "high": 4}
#: The namespace of the names that checklists and findings go by: the same control of the same host has the same one.
NAMESPACE = uuid.UUID("6f0d7c9e-43a5-5c0e-9a49-6f5ae7b0d6a1")
OCSF_VERSION, VIEWER_VERSION = "1.5.0", "1.0"
#: What the STIG viewers know; an accepted deviation is open still, and says who accepted it.
CHECKLIST = {
    **{PASS: "not_a_finding", FAIL: "open", ACCEPTED: "open", NOT_APPLICABLE: "not_applicable"},
    **{MANUAL: "not_reviewed", UNKNOWN: "not_reviewed"},
}


def table(hosts: Hosts) -> str:
    """
    Return who meets what (str), for a person: each framework of each host, and then each control that is not met.

    hosts
        Each host's rows, or why there are none (dict).
    """
    lines: list[Sequence[str]] = [("minion", "framework", "version", *STATUSES, "passed")]
    for host, found in sorted(hosts.items()):
        if isinstance(found, str):
            lines.append((text.line(host), text.line(found)))
        else:
            lines += [(text.line(host), *_counted(name, one)) for name, one in summary(found).items()]
    return "\n".join([*_aligned(lines), "", *_unmet(hosts)])


def _counted(name: str, counts: Mapping) -> tuple[str, ...]:
    percent = "-" if counts["percent"] is None else f"{counts['percent']} %"
    return (text.line(name), text.line(counts["version"]), *(str(counts[status]) for status in STATUSES), percent)


def _unmet(hosts: Hosts) -> list[str]:
    """Return the controls that are not met anywhere, with the hosts and what was seen at the first of them."""
    wrong: dict[tuple[str, str], list[tuple[str, Row]]] = {}
    for host, found in sorted(hosts.items()):
        for row in found if not isinstance(found, str) else ():
            if row["status"] in (FAIL, UNKNOWN):
                wrong.setdefault((row["control"], row["status"]), []).append((host, row))
    lines = [("control", "status", "hosts", "evidence")] if wrong else []
    for (control, status), several in wrong.items():
        host, row = several[0]
        names = text.line(host) if len(several) == 1 else f"{text.line(host)} and {len(several) - 1} more"
        lines.append((text.line(control), status, names, text.line(row["evidence"])))
    return _aligned(lines)


def _aligned(lines: Sequence[Sequence[str]]) -> list[str]:
    widths: dict[int, int] = {}
    for line in lines:
        for at, cell in enumerate(line[:-1]):
            widths[at] = max(widths.get(at, 0), len(cell))
    return [
        "  ".join([*(cell.ljust(widths[at]) for at, cell in enumerate(line[:-1])), line[-1]]).rstrip()
        for line in lines
        if line
    ]


def as_csv(hosts: Hosts) -> str:
    """Return all rows of all ``hosts`` (dict) as CSV (str, RFC 4180), with headings; silent ones have a row too."""
    said = io.StringIO()
    writer = csv.writer(said)
    writer.writerow(COLUMNS)
    for host, found in sorted(hosts.items()):
        rows = [{"status": UNKNOWN, "evidence": found}] if isinstance(found, str) else found
        for row in rows:
            writer.writerow([_cell(host if name == "host" else _valued(row, name)) for name in COLUMNS])
    return said.getvalue()


def _valued(row: Mapping, name: str) -> typing.Any:
    exception = row.get("exception") or {}
    return exception.get(name.removeprefix("exception_")) if name.startswith("exception_") else row.get(name)


def _cell(value: typing.Any) -> str:
    return "" if value is None else text.cell(str(value), LONGEST)


# --- OCSF ---------------------------------------------------------------------------------------------------------


def ocsf(hosts: Hosts, now: float) -> str:
    """
    Return all rows as OCSF Compliance Findings (class 2003), one JSON object a line (str).

    hosts
        As for :func:`table`; one without rows has a finding that says so.
    now
        The present (float, seconds since the epoch).
    """
    return "".join(json.dumps(one) + "\n" for one in findings(hosts, now))


def findings(hosts: Hosts, now: float) -> Iterator[dict[str, typing.Any]]:
    """Yield the same as dict; arguments are those of :func:`ocsf`."""
    for host, found in sorted(hosts.items()):
        for row in found if not isinstance(found, str) else [_silent(found)]:
            yield _finding(host, row, now)


def _silent(why: str) -> Row:
    told = {
        "control": "answer",
        "framework": "saltext-sshtrail",
        "version": "",
        "title": "the host answers",
        "level": "",
    }
    return {**told, "status": UNKNOWN, "evidence": why, "layer": "", "checks": [], "remedy": "", "exception": None}


def _finding(host: str, row: Row, now: float) -> dict[str, typing.Any]:
    time, product = int(now * 1000), {"name": "saltext-sshtrail", "vendor_name": "saltext-sshtrail"}
    remedy = {"remediation": {"desc": row["remedy"]}} if row["remedy"] else {}
    return {
        **{"activity_id": 1, "activity_name": "Create", "category_uid": 2, "category_name": "Findings"},
        **{"class_uid": 2003, "class_name": "Compliance Finding", "type_uid": 200301},
        "type_name": "Compliance Finding: Create",
        "time": time,
        "severity_id": _severity(row),
        "metadata": {"version": OCSF_VERSION, "product": product},
        "finding_info": {
            **{"uid": _named(f"{host}/{row['control']}"), "title": row["title"], "created_time": time},
        },
        "compliance": _compliance(row),
        "evidences": [{"data": {"layer": row["layer"], "seen": row["evidence"], "since": row.get("since")}}],
        "resources": [{"name": host, "type": "host"}],
        **remedy,
    }


def _compliance(row: Row) -> dict[str, typing.Any]:
    status = STATUS_ID[row["status"]]
    return {
        **{"control": row["control"], "standards": [f"{row['framework']} {row['version']}".strip()]},
        **{"requirements": [row["control"]], "status_id": status},
        "status": row["status"] if status in (0, 99) else STATUS_NAME[status],
        "status_details": [row["evidence"], *_excepted(row)],
        "checks": [{"uid": name, "name": name, "status_id": status} for name in row["checks"]],
    }


def _severity(row: Row) -> int:
    # Informational where nothing is wrong.
    return SEVERITY_ID.get(row["level"], 3) if row["status"] in (FAIL, UNKNOWN) else 1


def _excepted(row: Row) -> list[str]:
    given = row["exception"]
    if not given:
        return []
    ended = "ended" if given["expired"] else "until"
    return [f"{given['by']}: {given['reason']} ({ended} {given['until']})"]


# --- The checklist of the STIG viewers ----------------------------------------------------------------------------


def checklist(host: str, rows: Iterable[Row]) -> dict[str, typing.Any]:
    """
    Return a host's STIG rows as the checklist (dict) of STIG Viewer 3 (``.cklb``).

    host
        Its name (str).
    rows
        Its rows (iterable of dict); those of other frameworks are left out.
    """
    stigs: dict[str, list[Row]] = {}
    for row in rows:
        if row["framework"].startswith("STIG "):
            stigs.setdefault(row["framework"], []).append(row)
    target = {
        **{"target_type": "Computing", "host_name": host, "ip_address": "", "mac_address": "", "fqdn": host},
        **{"comments": "", "role": "None", "is_web_database": False, "technology_area": "", "web_db_site": ""},
        **{"web_db_instance": "", "classification": None},
    }
    return {
        **{"title": f"{host}: {', '.join(stigs) or 'no STIG fits this host'}", "id": _named(host)},
        **{"active": False, "mode": 1, "has_path": False, "target_data": target, "cklb_version": VIEWER_VERSION},
        "stigs": [_stig(host, name, found) for name, found in stigs.items()],
    }


def _stig(host: str, name: str, found: Sequence[Row]) -> dict[str, typing.Any]:
    version, _, release = found[0]["version"].removeprefix("V").partition("R")
    system = name.removeprefix("STIG ")
    own = _named(f"{host}/{name}")
    return {
        "stig_name": f"{system} Security Technical Implementation Guide",
        "display_name": system,
        "stig_id": f"{system.replace(' ', '_').replace('.', '-')}_STIG",
        **{"release_info": f"Release: {release}", "version": version, "uuid": own, "reference_identifier": ""},
        **{"size": len(found), "rules": [_rule(host, own, row) for row in found]},
    }


def _rule(host: str, stig: str, row: Row) -> dict[str, typing.Any]:
    unsaid = ("false_positives", "false_negatives", "security_override_guidance", "potential_impacts")
    more = ("third_party_tools", "ia_controls", "responsibility", "mitigations", "mitigation_control")
    # The viewer finds a rule by its version; the numbers of its groups are not in the table.
    return {
        **{"group_id_src": row["id"], "group_id": row["id"], "group_title": row["title"]},
        "group_tree": [{"id": row["id"], "title": row["title"], "description": ""}],
        **{"rule_id_src": row["id"], "rule_id": row["id"], "rule_version": row["id"], "rule_title": row["title"]},
        **{"severity": row["level"] or "medium", "weight": "10.0", "classification": "NF"},
        **{"fix_text": row["remedy"], "check_content": "; ".join(row["checks"]), "discussion": row["title"]},
        **{"check_content_ref": {"href": "", "name": "M"}, "documentable": "false"},
        **dict.fromkeys((*unsaid, *more), ""),
        **{"legacy_ids": [], "ccis": [], "overrides": {}, "reference_identifier": ""},
        **{"uuid": _named(f"{host}/{row['control']}"), "stig_uuid": stig},
        "status": CHECKLIST[row["status"]],
        "finding_details": f"{row['status']} since {row['since']}: {row['evidence']}",
        "comments": "; ".join(_excepted(row)),
    }


def _named(name: str) -> str:
    return str(uuid.uuid5(NAMESPACE, name))
