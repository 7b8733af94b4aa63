"""
What a host answers to the master's question: in the mine, where the master has authenticated who says it.

A minion can send a return or an event under another's name, and hears the number of each job. What lies in the mine was
put there by the minion of that name alone. An answer names the job that it is for, and has a bounded size.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Callable, Iterator, Mapping

from sshtrail_lib.base import text
from sshtrail_lib.drift import event

VERSION = 1
#: The returner that puts an answer into the mine.
RETURNER = "sshtrail_mine"
#: What a host can be asked, so that nothing else comes into the mine; each answer replaces the one before.
APPLY, CONDITION, JOB = "state.apply", "sshtrail.condition", "sshtrail_answer.job"
SYNC = "saltutil.sync_all"
#: A job's metadata that ask for a host's condition too, once its policy was applied: another job for that would cost
#: the master as much again.
LOOKING = {"sshtrail": CONDITION}
#: Salt's own: what a host that has nothing of this project can put into its mine.
THERE = "mine.send"
#: These are told as they are, or not at all.
COMPLIANCE, OVERVIEW = "sshtrail.compliance", "sshtrail.overview"
SESSIONS, SESSION = "sshtrail_trail.sessions", "sshtrail_trail.session"
WHOLE = (COMPLIANCE, OVERVIEW, SESSIONS, SESSION)
FUNCTIONS = (APPLY, CONDITION, JOB, SYNC, *WHOLE)
#: Bytes of an answer, the failed states that are told, and how many answers a host keeps.
LARGEST, MOST_STATES, KEPT = 65536, 20, 8
#: Bytes of an answer that is told as it is.
LARGEST_WHOLE = 5 * LARGEST
#: Characters of what a state says.
LONGEST = 5 * text.LONGEST
#: What is told of a state.
STATE = ("__id__", "name", "comment")

Answer = dict[str, typing.Any]


class Job(typing.NamedTuple):
    """
    What a host says of a job.

    running
        Whether it is at work on it, or will be (bool).
    answer
        What it has answered (as it stands in the mine), None for nothing.
    """

    running: bool
    answer: Answer | None


def key(function: str) -> str:
    """Return the name (str) of the answer of a function (str) in the mine."""
    return f"sshtrail_answer {function}"


def looks(ret: Mapping[str, typing.Any]) -> bool:
    """Return whether a job (mapping, as Salt hands it to returners) asks for the host's condition too (bool)."""
    return ret.get("fun") == APPLY and ret.get("metadata") == LOOKING


def packed(jid: str, function: str, value: typing.Any, condition: Mapping | None = None) -> Answer:
    """
    Return what stands for an answer in the mine (dict).

    jid, function
        The job's number and its function (str).
    value
        What that returned (anything).
    condition
        How the host stands afterwards (mapping), None where that was not asked for.
    """
    if function in WHOLE:
        told = _whole(value)
    else:
        told = PACKERS[function](value) if isinstance(value, Mapping) else _sentences(value)
    also = {} if condition is None else {"condition": _condition(condition)}
    return {"version": VERSION, "jid": jid, "value": told, **also}


def parse(value: typing.Any, jid: str) -> tuple[typing.Any] | None:
    """
    Return what a host answered to the job ``jid`` (str), alone in a tuple, None while it has not.

    value
        What it has put into the mine (anything).
    """
    good = isinstance(value, dict) and value.get("version") == VERSION and value.get("jid") == jid
    return (value.get("value"),) if good else None


def job(value: typing.Any) -> Job:
    """Return the :class:`Job` in what a host has answered of one (anything)."""
    said = value if isinstance(value, dict) else {}
    kept = said.get("answer")
    return Job(said.get("running") is True, kept if isinstance(kept, dict) else None)


def kept(stored: typing.Any, jid: str) -> Answer | None:
    """Return the answer to a job among those that a host keeps (anything that was stored), None for none."""
    found = [one for one in _list(stored) if isinstance(one, dict) and one.get("jid") == jid]
    return found[-1] if found else None


def keep(stored: typing.Any, answer: Answer) -> list[Answer]:
    """Return the answers that a host keeps (list), with another one."""
    return [*_list(stored), answer][-KEPT:]


def _list(stored: typing.Any) -> list[typing.Any]:
    return stored if isinstance(stored, list) else []


def _sentences(value: typing.Any) -> typing.Any:
    """Return what a function returned that could not do its work: sentences, most often."""
    if isinstance(value, (list, tuple)):
        return [text.line(str(one), LONGEST) for one in value[:MOST_STATES]]
    return value if value is None or isinstance(value, bool) else text.line(str(value), LONGEST)


def _whole(value: typing.Any) -> typing.Any:
    size = len(json.dumps(value, default=str))
    return value if size <= LARGEST_WHOLE else f"its answer is too large: {size} bytes of at most {LARGEST_WHOLE}"


def _states(states: Mapping) -> Answer:
    """Return which states failed, and why."""
    failed = {tag: state for tag, state in states.items() if not isinstance(state, Mapping) or not _good(state)}
    return {text.line(str(tag)): _state(failed[tag]) for tag in list(failed)[:MOST_STATES]}


def _good(state: Mapping) -> bool:
    return state.get("result") is not False


def _state(state: typing.Any) -> Answer:
    told = state if isinstance(state, Mapping) else {"name": "state", "comment": str(state)}
    return {"result": False, **{key: text.line(str(told[key]), LONGEST) for key in STATE if key in told}}


def _condition(found: Mapping) -> Answer:
    """Return a condition of bounded size: the first differences with short values, and how many there are more."""
    told = {name: event.short(value) for name, value in found.items() if name not in ("drift", "reboot")}
    if found.get("error"):
        # It says what is allowed too.
        told["error"] = text.line(str(found["error"]), LONGEST)
    differences = [event.short_all(entry) for entry in found.get("drift") or []]
    said: Answer = {**told, "reboot": dict.fromkeys(found.get("reboot") or {}, True), "drift": differences}
    for most in _fewer(len(differences)):
        said = {**said, "drift": differences[:most], "more": len(differences) - most}
        if len(json.dumps(said)) <= LARGEST:
            break
    return said


def _fewer(count: int) -> Iterator[int]:
    yield count
    while count:
        count //= 2
        yield count


def _job(found: Mapping) -> Answer:
    return dict(found)


def _synced(found: Mapping) -> Answer:
    return {}


PACKERS: dict[str, Callable[[Mapping], Answer]] = {**{APPLY: _states, CONDITION: _condition, JOB: _job, SYNC: _synced}}
