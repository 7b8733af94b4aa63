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
NONSENSE = "answers nonsense"
SILENT = "no answer"

#: What is said of a host that is there, and whose answer is not in the mine.
LACKING = "it is there, and does not answer: its modules are not this project's; run saltutil.sync_all"
#: How many differences of a host are told, and characters of one.
MOST, LONGEST = 100, 5 * text.LONGEST
MISSING = object()
#: The parts of a condition, of a difference and of a proof, with the types that each may have.
PARTS: dict[str, tuple[type, ...]] = {
    **{"environment": (str, type(None)), "digest": (str, type(None)), "error": (str, type(None))},
    **{"drift": (list,), "reboot": (dict,), "silent": (str,), "full": (str,), "more": (int,)},
    **{"proof": (dict, type(None)), "watch": (dict,)},
}
DIFFERENCE: dict[str, tuple[type, ...]] = {
    **{"layer": (str,), "what": (str,), "since": (str, type(None)), "hides": (bool,)}
}
PROOF: dict[str, tuple[type, ...]] = {"time": (str,), "holds": (bool,), "lost_at": (str, type(None))}
#: What hosts of an older day leave out.
LEFT_OUT: dict[str, typing.Any] = {**{"full": "", "more": 0, "proof": None, "watch": {}, "since": None, "hides": True}}

COLUMNS = ("minion", "environment", "policy", "standing", "looked", "proven", "differences")


class NonsenseError(ValueError):
    """A minion's answer is none; the message says what of it."""


def row(answer: typing.Any) -> Row:
    """
    Return how a minion stands to its policy (dict): what it says, of bounded length and printable, whatever it says.

    answer
        What ``sshtrail.condition`` returned there: a dict, or whatever else came back; None for no answer at all.

    Keys: ``environment`` and ``digest`` (str or None), ``standing`` (one of this module's constants), ``proof`` (dict:
    ``time``, ``holds`` and ``lost_at`` of the last login that was followed to the log, or None), ``watch`` (dict:
    ``interval`` and ``heartbeat``, as its policy has it watched, or empty) and ``differences`` (list of str, each one
    what a person needs to know).
    """
    if answer is None:
        return _row({}, SILENT, [])
    if isinstance(answer, str):
        return _row({}, NO_MODULES, [text.line(answer.strip().splitlines()[-1]) if answer.strip() else "no data"])
    try:
        return _stands(answer)
    except NonsenseError as exc:
        return _row({}, NONSENSE, [f"its answer makes no sense: {exc}"])
    except RecursionError:
        return _row({}, NONSENSE, ["its answer makes no sense"])


def _stands(answer: typing.Any) -> Row:
    known = _known(answer)
    if known["error"]:
        return _row(known, NO_POLICY, [text.line(known["error"], LONGEST)])
    silent = [text.line(known["silent"], LONGEST)] if known["silent"] else []
    told = [text.line(difference.sentence(entry), LONGEST) for entry in known["drift"][:MOST]]
    more = len(known["drift"]) - len(told) + known["more"]
    told += [*([f"and {more} more"] if more else []), *silent]
    if silent or any(difference.fails(entry) for entry in known["drift"]):
        return _row(known, DIFFERS, told)
    if known["full"]:
        return _row(known, FULL, [text.line(known["full"], LONGEST)])
    return _row(known, AT_RISK if told else REBOOT if known["reboot"] else IN_POLICY, told)


def _row(known: Mapping, standing: str, differences: list[str]) -> Row:
    found = {key: None if (value := known.get(key)) is None else text.line(value) for key in ("environment", "digest")}
    return {
        **{**found, "proof": known.get("proof"), "watch": known.get("watch") or {}},
        **{"standing": standing, "differences": differences},
    }


def _known(answer: typing.Any) -> dict[str, typing.Any]:
    """Return the parts of an answer, each of the kind that it has to be."""
    if not isinstance(answer, Mapping):
        raise NonsenseError("it is no condition")
    for name, allowed in PARTS.items():
        _check(name, answer.get(name, LEFT_OUT.get(name, MISSING)), allowed)
    known = {name: answer.get(name, LEFT_OUT.get(name)) for name in PARTS}
    for entry in known["drift"]:
        _check("a difference", entry, (dict,))
        for name, allowed in DIFFERENCE.items():
            _check(f"a difference's {name}", entry.get(name, LEFT_OUT.get(name, MISSING)), allowed)
        if not {"expected", "actual"} <= set(entry):
            raise NonsenseError("a difference has no values")
    return {**known, "proof": _proof(known["proof"]), "watch": _watch(known["watch"])}


def _check(what: str, value: typing.Any, allowed: tuple[type, ...]) -> None:
    # True is a number for isinstance, and none here.
    if type(value) not in allowed or (type(value) is int and not 0 <= value < 2**31):
        raise NonsenseError(f"{what} is {'missing' if value is MISSING else 'nothing that it can be'}")


def _proof(proof: typing.Any) -> dict[str, typing.Any] | None:
    if proof is None:
        return None
    for name, allowed in PROOF.items():
        _check(f"the proof's {name}", proof.get(name, MISSING), allowed)
    lost = proof["lost_at"]
    return {"time": text.line(proof["time"]), "holds": proof["holds"], "lost_at": lost and text.line(lost)}


def _watch(watch: typing.Any) -> dict[str, int]:
    agreed = {name: watch.get(name, 0) for name in ("interval", "heartbeat")} if watch else {}
    for name, value in agreed.items():
        _check(f"the {name}", value, (int,))
    return agreed


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
    known = (text.line(name), row["environment"] or "-", row["digest"] or "-", row["standing"])
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
    order = (IN_POLICY, REBOOT, AT_RISK, FULL, NOT_WATCHED, DIFFERS, NONSENSE, NO_POLICY, NO_MODULES, SILENT)
    return {standing: standings.count(standing) for standing in order if standing in standings}
