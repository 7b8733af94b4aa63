"""
Many hosts and their policies: how each stands, and what a person is shown.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping

from sshtrail_lib.base import text
from sshtrail_lib.drift import difference

Row = dict[str, typing.Any]

IN_POLICY = "in policy"
REBOOT = "waits for a reboot"
#: In its policy, and records can be lost: nothing that a repair could do.
AT_RISK = "at risk"
DIFFERS = "differs"
FULL = "sshd is full"
NOT_WATCHED = "not watched"
NO_POLICY = "no policy"
NO_MODULES = "no modules"
SILENT = "no answer"

COLUMNS = ("minion", "environment", "policy", "standing", "looked", "proven", "differences")


def row(answer: typing.Any) -> Row:
    """
    Return how a minion stands to its policy (dict).

    answer
        What ``sshtrail.condition`` returned there: a dict, or whatever else came back; None for no answer at all.

    Keys: ``environment`` and ``digest`` (str or None), ``standing`` (one of this module's constants), ``proof`` (dict:
    ``time``, ``holds`` and ``lost_at`` of the last login that was followed to the log, or None) and ``differences``
    (list of str, each one what a person needs to know).
    """
    if answer is None:
        return _row(None, SILENT, [])
    if not isinstance(answer, Mapping):
        return _row(None, NO_MODULES, [str(answer).strip().splitlines()[-1] if str(answer).strip() else "no data"])
    if answer["error"]:
        return _row(answer, NO_POLICY, [answer["error"]])
    silent = [answer["silent"]] if answer["silent"] else []
    differences = [difference.sentence(entry) for entry in answer["drift"]] + silent
    if silent or any(difference.fails(entry) for entry in answer["drift"]):
        return _row(answer, DIFFERS, differences)
    if answer.get("full"):
        return _row(answer, FULL, [answer["full"]])
    if differences:
        return _row(answer, AT_RISK, differences)
    return _row(answer, REBOOT if answer["reboot"] else IN_POLICY, [])


def _row(answer: Mapping | None, standing: str, differences: list[str]) -> Row:
    known = answer or {}
    found = {key: known.get(key) for key in ("environment", "digest", "proof")}
    return {**found, "standing": standing, "differences": differences}


def good(row: Row) -> bool:
    """Return whether a minion needs nothing more (bool): it is in its policy, or will be after the next reboot."""
    return row["standing"] in (IN_POLICY, REBOOT, AT_RISK)


def settled(row: Row) -> bool:
    """Return whether nothing is known to be wrong (bool): a sshd that is full may answer in a moment, and lives."""
    return good(row) or row["standing"] == FULL


def table(rows: Mapping[str, Row]) -> str:
    """
    Return rows (dict of minion id to :func:`row`) as a table for a person to read (str), sorted by id.

    The first difference stands in the row, with how many more there are.
    """
    lines = [COLUMNS, *(_cells(name, rows[name]) for name in sorted(rows))]
    if not any("looked" in row for row in rows.values()):
        lines = [(*line[:4], *line[5:]) for line in lines]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]) - 1)]
    counts = ", ".join(f"{count} {standing}" for standing, count in _counts(rows).items())
    total = "1 minion" if len(rows) == 1 else f"{len(rows)} minions"
    return "\n".join([*(_line(line, widths) for line in lines), "", f"{total}: {counts or 'none'}"])


def _cells(name: str, row: Row) -> tuple[str, ...]:
    told = row["differences"]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    known = (name, row["environment"] or "-", row["digest"] or "-", row["standing"])
    return (*known, _ago(row.get("looked")), _proven(row["proof"]), (told[0] + more) if told else "")


def _ago(seconds: int | None) -> str:
    return "-" if seconds is None else f"{text.span(seconds)} ago"


def _proven(proof: Mapping | None) -> str:
    if not proof:
        return "-"
    return proof["time"][:16].replace("T", " ") if proof["holds"] else f"lost at {proof['lost_at']}"


def _line(cells: tuple[str, ...], widths: list[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells[:-1], widths, strict=True)]
    return "  ".join([*padded, cells[-1]]).rstrip()


def _counts(rows: Mapping[str, Row]) -> dict[str, int]:
    standings = [row["standing"] for row in rows.values()]
    order = (IN_POLICY, REBOOT, AT_RISK, FULL, NOT_WATCHED, DIFFERS, NO_POLICY, NO_MODULES, SILENT)
    return {standing: standings.count(standing) for standing in order if standing in standings}
