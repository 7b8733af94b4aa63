"""
From controls and what was found to one row for each control, with exceptions and verdicts of people.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.compliance import checks
from sshtrail_lib.compliance.facts import Facts
from sshtrail_lib.compliance.finding import (
    ACCEPTED,
    FAIL,
    MANUAL,
    NOT_APPLICABLE,
    PASS,
    STATUSES,
    UNKNOWN,
    Finding,
    combined,
)
from sshtrail_lib.policy.controls import CHECKS, CONTROLS, EDITIONS, REQUIREMENTS, Check, Control

Row = dict[str, typing.Any]
#: Characters of a row's evidence, and of its remedy.
LONGEST, REMEDY = 600, 300


def rows(
    facts: Facts,
    frameworks: Iterable[str],
    sentence: Callable[[Mapping | None], str],
    known: Mapping[str, typing.Any],
    now: str,
) -> list[Row]:
    """
    Return one row for each control (list of dict), as ``sshtrail.compliance`` tells it.

    facts
        What is known of the host (:class:`Facts`).
    frameworks
        Which are asked for (iterable of str), as the table of the controls has them.
    sentence
        Who did something, for a person (callable: dict or None → str).
    known
        Since when each control is as it was when it was last looked at (dict of its name to ``[status, time]``).
    now
        The present (str, ISO 8601 in UTC).
    """
    found: dict[tuple[str, str], Finding] = {}
    told = _Told(facts, facts.policy.get("compliance", {}), sentence, known, now)
    return [
        _row(told, framework, one, _found(facts, framework, one, found))
        for framework in frameworks
        for one in CONTROLS[framework]
    ]


class _Told(typing.NamedTuple):
    """What rows are made of beside what was found: the arguments of :func:`rows`, and what people said (dict)."""

    facts: Facts
    asked: Mapping[str, typing.Any]
    sentence: Callable[[Mapping | None], str]
    known: Mapping[str, typing.Any]
    now: str


def _found(facts: Facts, framework: str, control: Control, found: dict[tuple[str, str], Finding]) -> Finding:
    answered, names = checks.looks(framework, control)
    kind = framework.split()[0]
    for name in names:
        if (name, kind) not in found:
            found[name, kind] = checks.look(facts, name, kind)
    if not names:
        return Finding(MANUAL, f"nothing here looks at it: {_asked(framework, control).look}", "")
    one = combined([found[name, kind] for name in names])
    if not answered and one.status in (PASS, NOT_APPLICABLE):
        return one._replace(status=MANUAL, evidence=f"as far as it is looked at here: {one.evidence}")
    return one


def _asked(framework: str, control: Control) -> Check:
    return CHECKS[control.checks[0]] if control.checks else REQUIREMENTS[framework, control.id]


def _row(told: _Told, framework: str, control: Control, found: Finding) -> Row:
    name = f"{framework} {control.id}"
    status, exception = _decided(found, name, told.asked, told.now)
    drift = [one for one in told.facts.drift or () if one["what"] in found.about] if status in (FAIL, ACCEPTED) else []
    since = next((one["since"] for one in drift if one["since"]), None)
    by = next((one["by"] for one in drift if one["by"]), None)
    before = told.known.get(name) or [None, None]
    return {
        **{"control": name, "framework": framework, "version": EDITIONS[framework]},
        **{"id": control.id, "level": control.level},
        "title": "; ".join(CHECKS[check].title for check in control.checks) or _asked(framework, control).title,
        "checks": list(control.checks),
        "status": status,
        "evidence": text.line(found.evidence, LONGEST),
        "layer": found.layer,
        "since": since or (before[1] if before[0] == status else told.now),
        "by": told.sentence(by) if by else None,
        "remedy": text.line(found.remedy, REMEDY) if status != PASS else "",
        "exception": exception,
    }


def _decided(found: Finding, name: str, asked: Mapping, now: str) -> tuple[str, dict[str, typing.Any] | None]:
    """Return the status (str) once people have said what they have to say, and that (dict or None)."""
    accepted, verdict = asked.get("accepted", {}).get(name), asked.get("verdicts", {}).get(name)
    status, given = found.status, accepted or verdict
    if status == MANUAL and verdict:
        status, given = (verdict["status"] if _valid(verdict, now) else FAIL), verdict
    elif status == MANUAL and accepted:
        status = FAIL
    # Who has taken it upon himself has done so as well where a person has judged that it fails.
    if status == FAIL and accepted and (_valid(accepted, now) or given is not verdict):
        status, given = (ACCEPTED if _valid(accepted, now) else FAIL), accepted
    return status, _told(given, now) if given else None


def _valid(given: Mapping, now: str) -> bool:
    # The last day counts.
    return str(given["until"]) >= now[:10]


def _told(given: Mapping, now: str) -> dict[str, typing.Any]:
    told = {name: given.get(name) for name in ("status", "reason", "by", "until") if given.get(name) is not None}
    return {**told, "expired": not _valid(given, now)}


def remembered(found: Sequence[Row]) -> dict[str, list[str]]:
    """Return what :func:`rows` wants to know next time (dict of the control to its status and since when)."""
    return {row["control"]: [row["status"], row["since"]] for row in found}


def summary(found: Iterable[Mapping]) -> dict[str, dict[str, typing.Any]]:
    """
    Return how many controls of each framework have which status (dict of framework to dict).

    ``percent`` (int) is the share of those that apply which pass, None where none applies: nothing looked at is no
    100 %. What is accepted, manual or unknown is no pass.
    """
    counts: dict[str, dict[str, typing.Any]] = {}
    for row in found:
        one = counts.setdefault(row["framework"], {"version": row["version"], **dict.fromkeys(STATUSES, 0)})
        one[row["status"]] += 1
    for one in counts.values():
        applies = sum(one[status] for status in (PASS, FAIL, ACCEPTED, MANUAL, UNKNOWN))
        one["percent"] = 100 * one[PASS] // applies if applies else None
    return counts
