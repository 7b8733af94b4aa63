"""
A rollout: the steps in which it goes, when it stops, and what it comes to.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Iterable, Mapping, Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.fleet import standing
from sshtrail_lib.fleet.standing import Row
from sshtrail_lib.policy.kinds import allowed

#: The name and the minions of each step.
Stages = list[tuple[str, list[str]]]
Summary = dict[str, typing.Any]
#: Characters of why a host failed, and what is said of an answer that is none.
LONGEST = 5 * text.LONGEST
NONSENSE = "its answer makes no sense"
WAS_THERE, UNTOUCHED = "was there", "not touched"


class ArgumentError(SaltInvocationError):
    """An argument of a fleet command cannot be what it is; the message names it and what is allowed."""


def known(argument: str, value: object, names: Sequence[str]) -> None:
    """Raise :class:`ArgumentError`, which names the ``argument`` (str), unless its value is one of ``names``."""
    if value not in names:
        raise ArgumentError(f"{argument} is {value!r}; {allowed(value, names)}.")


def seconds(argument: str, value: object) -> None:
    """Raise :class:`ArgumentError`, which names the ``argument`` (str), for what is no time to wait."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or value <= 0:
        raise ArgumentError(f"{argument} is {value!r}; allowed is a number of seconds above 0.")


def check(
    environments: Iterable[object], minions: list[str], canary: int | str | list[str], batch: int | str, timeout: int
) -> None:
    """
    Raise :class:`ArgumentError` for what no rollout can be made of.

    environments
        Their names (list of str).
    minions
        All that the target has (list of str).
    canary, batch, timeout
        As for :func:`stages`, and the seconds that a step may take (int).
    """
    for environment in environments:
        if not isinstance(environment, str) or not environment.strip():
            raise ArgumentError(f"environment is {environment!r}; allowed is a name, or a list of names.")
    seconds("timeout", timeout)
    amount("batch", batch, len(minions))
    if not isinstance(canary, list):
        amount("canary", canary, len(minions))
        return
    strangers = [str(name) for name in canary if name not in minions]
    if strangers:
        raise ArgumentError(f"canary names {', '.join(strangers)}, and the target has no such minion.")


def stages(minions: Iterable[str], canary: int | str | list[str] = 1, batch: int | str = "25%") -> Stages:
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
    size = amount("batch", batch, len(ordered))
    batches = [rest[start : start + size] for start in range(0, len(rest), size)]
    numbered = [(f"batch {number} of {len(batches)}", names) for number, names in enumerate(batches, start=1)]
    return [("canary", first)] * bool(first) + numbered


def _canaries(ordered: list[str], canary: int | str | list[str]) -> list[str]:
    if not isinstance(canary, list):
        return ordered[: amount("canary", canary, len(ordered))]
    # In a run that goes on after a stop, the named ones may be done already.
    return [name for name in ordered if name in canary]


def amount(argument: str, value: int | str, total: int) -> int:
    """
    Return how many (int, from 1) of a ``total`` (int) a value means: a number, or a share such as ``25%``.

    Raises :class:`ArgumentError`, which names the ``argument`` (str), for what is neither.
    """
    text = str(value)
    number = text.removesuffix("%")
    if isinstance(value, bool) or not number.isdigit() or int(number) == 0:
        raise ArgumentError(f"{argument} is {value!r}; allowed are a number from 1 and a share such as '25%'.")
    return max(1, math.ceil(total * int(number) / 100)) if text.endswith("%") else int(number)


def failures(
    before: Iterable[str], expected: Mapping[str, str], answers: Mapping[str, Row], states: Mapping[str, typing.Any]
) -> dict[str, str]:
    """
    Return why the minions of one step are not where they should be (dict of minion id to str), empty when all are.

    before
        The step's minions (list of str).
    expected
        The digest of each minion's policy on the master (dict).
    answers
        The :func:`sshtrail_lib.fleet.standing.row` of each after the step (dict).
    states
        What ``state.apply`` returned for each (dict).
    """
    found = {name: _failure(expected[name], answers[name], states.get(name)) for name in before}
    return {name: why for name, why in found.items() if why}


def _failure(digest: str, row: Row, states: typing.Any) -> str:
    why = _failed_states(states)
    # A sshd that is full was asked again already, and is no failure.
    if not why and not standing.settled(row):
        why = f"{row['standing']}: {'; '.join(row['differences'])}".rstrip(": ")
    if not why and row["digest"] != digest:
        why = f"it has the policy {row['digest']}, and the master's pillar says {digest}"
    return why


def _failed_states(states: typing.Any) -> str:
    """Return why a state run failed (str), "" when it did not, by what a minion says: anything."""
    if states is None:
        return "it gave no answer to state.apply"
    if isinstance(states, Mapping):
        return "; ".join(_failed_state(tag, state) for tag, state in states.items() if _fails(state))[:LONGEST]
    lines = [states] if isinstance(states, str) else states if isinstance(states, list) else [NONSENSE]
    return " ".join(text.line(one, LONGEST) if isinstance(one, str) else NONSENSE for one in lines)[:LONGEST]


def _fails(state: typing.Any) -> bool:
    return not isinstance(state, Mapping) or state.get("result", False) not in (True, None)


def _failed_state(tag: typing.Any, state: typing.Any) -> str:
    told = state if isinstance(state, Mapping) else {}
    name, why = told.get("__id__", told.get("name", tag)), told.get("comment", NONSENSE)
    return f"{text.line(str(name))}: {text.line(str(why), LONGEST)}"


class Progress:
    """Who is on which policy, while a rollout goes on."""

    def __init__(self, environment: str, digests: Mapping[str, str]) -> None:
        """
        environment
            Its name (str).
        digests
            The digest of each host's policy, as the master has it (dict by id).
        """
        self.environment, self.digests = environment, digests
        self.steps: dict[str, tuple[str, Row | None]] = dict.fromkeys(digests, (UNTOUCHED, None))

    def begin(self, rows: Mapping[str, Row]) -> list[str]:
        """Take in how the minions stand before; return which have to be brought to their policy (list of str)."""
        done = [name for name, row in rows.items() if standing.settled(row) and row["digest"] == self.digests[name]]
        for name, row in rows.items():
            self.steps[name] = (WAS_THERE if name in done else UNTOUCHED, row)
        return [name for name, row in rows.items() if name not in done and row["standing"] != standing.SILENT]

    def stepped(self, step: str, rows: Mapping[str, Row]) -> None:
        """Take in how the minions stand after a step (its name, str)."""
        self.steps |= {name: (step, row) for name, row in rows.items()}

    def refused(self, wrong: Mapping[str, str]) -> Summary:
        """Return the summary of a rollout that found ``wrong`` pillars (dict of id to why)."""
        return self.stopped("Nothing was touched: " + " ".join(f"{name}: {why}" for name, why in wrong.items()))

    def failed(self, step: str, found: Mapping[str, str]) -> Summary:
        """Return the summary of a rollout of which a step was the last, with what :func:`failures` found."""
        return self.stopped(f"Stopped at {step}: " + "; ".join(f"{name}: {why}" for name, why in found.items()))

    def stopped(self, why: str) -> Summary:
        """Return the summary of a rollout that did not complete."""
        return self._summary(False, why)

    def finished(self) -> Summary:
        """Return the summary of a rollout that went through all of its steps."""
        silent = sorted(name for name, (_, row) in self.steps.items() if row and row["standing"] == standing.SILENT)
        return self._summary(not silent, f"No answer from {', '.join(silent)}: run it again." if silent else "")

    def _summary(self, result: bool, why: str) -> Summary:
        minions = {name: {"step": step, "policy": self._policy(name, row)} for name, (step, row) in self.steps.items()}
        # An id is what its minion calls itself.
        return {"environment": self.environment, "result": result, "why": text.plain(why), "minions": minions}

    def _policy(self, name: str, row: Row | None) -> str:
        if row and standing.settled(row):
            return f"{row['environment']} {row['digest']}, {row['standing']}"
        stands = row["standing"] if row else "not asked"
        return f"not on {self.environment} {self.digests[name]}: {stands}"


def told(summary: Summary) -> str:
    """Return a rollout's summary (dict, as the runner returns it) as text for a person to read (str)."""
    title = f"Rollout of {summary['environment']}: {'complete' if summary['result'] else 'stopped'}"
    lines = [f"{title}. {summary['why']}".rstrip()]
    width = max((len(name) for name in summary["minions"]), default=0)
    for name, entry in sorted(summary["minions"].items()):
        lines.append(f"  {text.line(name).ljust(width)}  {entry['step']:<14}  {entry['policy']}")
    return "\n".join(lines)


def complete(done: Mapping[str, Summary]) -> bool:
    """Return whether all rollouts went through all of their steps (bool)."""
    return all(summary["result"] for summary in done.values())


def answer(done: Mapping[str, Summary], several: bool) -> dict[str, typing.Any]:
    """
    Return what the runner returns for rollouts (dict).

    done
        The summary of each environment, in order (dict by its name).
    several
        Whether a list of environments was asked for (bool): then the answer is a dict of summaries.
    """
    found = dict(done) if several else dict(next(iter(done.values())))
    errors = [summary["why"] for summary in done.values() if not summary["result"]]
    return {**found, "Error": errors[0]} if errors else found
