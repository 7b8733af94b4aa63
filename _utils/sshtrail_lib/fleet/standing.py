"""
Many hosts and their policies: how each stands, what a person is shown, and in which steps a rollout goes.
"""

import math
from collections.abc import Mapping

from salt.exceptions import SaltInvocationError

from sshtrail_lib.drift import difference

IN_POLICY = "in policy"
REBOOT = "waits for a reboot"
DIFFERS = "differs"
NO_POLICY = "no policy"
NO_MODULES = "no modules"
SILENT = "no answer"

COLUMNS = ("minion", "environment", "policy", "standing", "differences")


class ArgumentError(SaltInvocationError):
    """An argument of a fleet command cannot be what it is; the message names it and what is allowed."""


def row(answer):
    """
    Return how a minion stands to its policy (dict).

    answer
        What ``sshtrail.condition`` returned there: a dict, or whatever else came back; None for no answer at all.

    Keys: ``environment`` and ``digest`` (str or None), ``standing`` (one of this module's constants) and
    ``differences`` (list of str, each one what a person needs to know).
    """
    if answer is None:
        return _row(None, SILENT, [])
    if not isinstance(answer, Mapping):
        return _row(None, NO_MODULES, [str(answer).strip().splitlines()[-1] if str(answer).strip() else "no data"])
    if answer["error"]:
        return _row(answer, NO_POLICY, [answer["error"]])
    differences = [difference.sentence(entry) for entry in answer["drift"]] + [answer["silent"]] * bool(
        answer["silent"]
    )
    if differences:
        return _row(answer, DIFFERS, differences)
    return _row(answer, REBOOT if answer["reboot"] else IN_POLICY, [])


def _row(answer, standing, differences):
    known = answer or {}
    found = {key: known.get(key) for key in ("environment", "digest")}
    return {**found, "standing": standing, "differences": differences}


def good(row):
    """Return whether a minion needs nothing more (bool): it is in its policy, or will be after the next reboot."""
    return row["standing"] in (IN_POLICY, REBOOT)


def table(rows):
    """
    Return rows (dict of minion id to :func:`row`) as a table for a person to read (str), sorted by id.

    The first difference stands in the row, with how many more there are.
    """
    lines = [COLUMNS, *(_cells(name, rows[name]) for name in sorted(rows))]
    widths = [max(len(line[column]) for line in lines) for column in range(len(COLUMNS) - 1)]
    counts = ", ".join(f"{count} {standing}" for standing, count in _counts(rows).items())
    total = "1 minion" if len(rows) == 1 else f"{len(rows)} minions"
    return "\n".join([*(_line(line, widths) for line in lines), "", f"{total}: {counts or 'none'}"])


def _cells(name, row):
    told = row["differences"]
    more = f" (and {len(told) - 1} more)" if len(told) > 1 else ""
    return (name, row["environment"] or "-", row["digest"] or "-", row["standing"], (told[0] + more) if told else "")


def _line(cells, widths):
    padded = [cell.ljust(width) for cell, width in zip(cells[:-1], widths, strict=True)]
    return "  ".join([*padded, cells[-1]]).rstrip()


def _counts(rows):
    standings = [row["standing"] for row in rows.values()]
    order = (IN_POLICY, REBOOT, DIFFERS, NO_POLICY, NO_MODULES, SILENT)
    return {standing: standings.count(standing) for standing in order if standing in standings}


# --- The steps of a rollout -----------------------------------------------------------------------------------


def stages(minions, canary=1, batch="25%"):
    """
    Return the steps in which ``minions`` (list of str) are brought to their policy: ``[(name, [minion, …]), …]``.

    canary
        How many go first (int), or which (list of str).
    batch
        How many of the rest go at a time: a number (int) or a share of all (str, such as ``25%``).

    Raises :class:`ArgumentError` for what is neither.
    """
    ordered = sorted(minions)
    first = _canaries(ordered, canary)
    rest = [name for name in ordered if name not in first]
    size = _size("batch", batch, len(ordered))
    batches = [rest[start : start + size] for start in range(0, len(rest), size)]
    numbered = [(f"batch {number} of {len(batches)}", names) for number, names in enumerate(batches, start=1)]
    return [("canary", first)] * bool(first) + numbered


def _canaries(ordered, canary):
    if not isinstance(canary, list):
        return ordered[: _size("canary", canary, len(ordered))]
    # In a run that goes on after a stop, the named ones may be done already.
    return [name for name in ordered if name in canary]


def _size(argument, value, total):
    text = str(value)
    number = text.removesuffix("%")
    if isinstance(value, bool) or not number.isdigit() or int(number) == 0:
        raise ArgumentError(f"{argument} is {value!r}; allowed are a number from 1 and a share such as '25%'.")
    return max(1, math.ceil(total * int(number) / 100)) if text.endswith("%") else int(number)


def failures(before, expected, answers, states):
    """
    Return why the minions of one step are not where they should be (dict of minion id to str), empty when all are.

    before
        The step's minions (list of str).
    expected
        The digest of each minion's policy on the master (dict).
    answers
        The :func:`row` of each after the step (dict).
    states
        What ``state.apply`` returned for each (dict).
    """
    found = {name: _failure(expected[name], answers[name], states.get(name)) for name in before}
    return {name: why for name, why in found.items() if why}


def _failure(digest, row, states):
    why = _failed_states(states)
    if not why and not good(row):
        why = f"{row['standing']}: {'; '.join(row['differences'])}".rstrip(": ")
    if not why and row["digest"] != digest:
        why = f"it has the policy {row['digest']}, and the master's pillar says {digest}"
    return why


def _failed_states(states):
    if states is None:
        return "it gave no answer to state.apply"
    if not isinstance(states, Mapping):
        said = [states] if isinstance(states, str) else states
        return " ".join(str(line) for line in said)
    failed = [state for state in states.values() if state["result"] is False]
    return "; ".join(f"{state.get('__id__', state['name'])}: {state['comment']}" for state in failed)


def told(summary):
    """Return a rollout's summary (dict, as the runner returns it) as text for a person to read (str)."""
    title = f"Rollout of {summary['environment']}: {'complete' if summary['result'] else 'stopped'}"
    lines = [f"{title}. {summary['why']}".rstrip()]
    width = max((len(name) for name in summary["minions"]), default=0)
    for name, entry in sorted(summary["minions"].items()):
        lines.append(f"  {name.ljust(width)}  {entry['step']:<14}  {entry['policy']}")
    return "\n".join(lines)
