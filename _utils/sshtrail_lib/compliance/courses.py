"""
What can become of a message in rsyslog's rulesets: where what is asked for is done with it, whatever it says.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Mapping, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.compliance import filters
from sshtrail_lib.compliance.rsyslog import Known, Statement

#: What an action says where it takes not every message: only one that another could not take, or one of several.
SELDOM = ("execonlywhenpreviousissuspended", "execonlyeverynthtime", "execonlyonceeveryinterval")
#: What has become of a message: whether what is asked for was done with it (bool), and where, or why not (str).
Ends = dict[bool, str]
#: Where an action does what is asked for (str), empty where it does not, None where that is not known here.
Does = Callable[[Statement], str | None]


def ends(told: Known, entries: Iterable[str], message: filters.Message, does: Does) -> Ends:
    """
    Return what can become of a message (dict) that comes to one of the rulesets ``entries`` (iterable of str).

    told
        The configuration (Known).
    message
        What is known of it (Message).
    does
        Where an action does what is asked for (callable).
    """
    found: Ends = {}
    for name in entries:
        for each in _Walk(told, message, does).of(told.rulesets.get(name, ()), {False: ""}):
            found = _either(found, each)
    return found


def _either(one: Ends, other: Ends) -> Ends:
    return {key: one.get(key) or other.get(key, "") for key in (*one, *other)}


class _Walk(typing.NamedTuple):
    """The way of a message through a configuration (:class:`Known`)."""

    told: Known
    message: filters.Message
    does: Does
    #: The rulesets that have been called on the way.
    within: tuple[str, ...] = ()

    def of(self, steps: Iterable[Statement], before: Ends) -> tuple[Ends, Ends]:
        """Return what has become (two dict) of messages that are through, and of such as have been thrown away."""
        through, thrown = before, typing.cast(Ends, {})
        for one in steps:
            if not through:
                break
            through, more = self.step(one, through)
            thrown = _either(thrown, more)
        return through, thrown

    def step(self, one: Statement, before: Ends) -> tuple[Ends, Ends]:
        if one.kind == "stop":
            return {}, before
        if one.kind == "action":
            return self.done(one, before), {}
        if one.kind == "call" and one.parameters["name"] not in self.within:
            return self.called(one, before)
        if one.kind in ("unweighed", "call"):
            told = {True: "", False: shown(one)}
            return told, told
        fits = one.fits(self.message) if one.fits else None
        if fits is None:
            return self.perhaps(one, before)
        return self.of(one.then if fits else one.otherwise, before)

    def done(self, one: Statement, before: Ends) -> Ends:
        where = "" if _seldom(one) else self.does(one)
        if where is None:
            return _either({True: shown(one), False: shown(one)}, before)
        # Named is where it is done for those that it was not done for yet.
        return {True: where if False in before else before[True]} if where else before

    def called(self, one: Statement, before: Ends) -> tuple[Ends, Ends]:
        name = one.parameters["name"]
        inner = self._replace(within=(*self.within, name))
        through, thrown = inner.of(self.told.rulesets.get(name, ()), before)
        queues = [each.parameters.get("queue.type", "direct").lower() for each in self.told.objects
                  if each.kind == "ruleset" and each.parameters.get("name", "").lower() == name]  # fmt: skip
        # One with a queue of its own gets another copy.
        return (_either(through, thrown), {}) if set(queues) - {"direct"} else (through, thrown)

    def perhaps(self, one: Statement, before: Ends) -> tuple[Ends, Ends]:
        # What has been said of it before is no reason for what becomes of it in here.
        fresh = {done: where if done else "" for done, where in before.items()}
        met, passed = self.of(one.then, fresh), self.of(one.otherwise, fresh)
        through, thrown = (self.merged(one, *pair, before) for pair in zip(met, passed, strict=True))
        return through, thrown

    def merged(self, one: Statement, met: Ends, passed: Ends, before: Ends) -> Ends:
        found = _either(met, passed)
        if False in found:
            # Where the two do not end alike it depends on this one.
            found[False] = found[False] or (shown(one) if set(met) != set(passed) else before.get(False, ""))
        return found


def shown(one: Statement) -> str:
    """Return the line of a statement (Statement), and where it is (str)."""
    return f"{text.line(one.said)} ({one.place})"


def _seldom(one: Statement) -> bool:
    """Tell whether an action does not take each message that comes to it."""
    said = [one.parameters.get(f"action.{name}", "").lower() for name in SELDOM]
    said += [one.before.get(f"action{name}", ("", ""))[0].lower() for name in SELDOM] if one.old else []
    return any(value not in ("", "off", "0", "1", "no") if at % len(SELDOM) else value in ("on", "yes", "1")
               for at, value in enumerate(said))  # fmt: skip


def weighed(
    told: Known, entries: Sequence[str], facilities: Iterable[int], does: Does
) -> tuple[dict[int, str], dict[int, list[int]], dict[int, str]]:
    """
    Return for each of the ``facilities`` (iterable of int) where what is asked for is done with all its messages (dict
    to str), with which of its priorities not (dict to list of int), and on which line it depends (dict to str).
    """
    good: dict[int, str] = {}
    wrong: dict[int, list[int]] = {}
    unsure: dict[int, str] = {}
    for facility in facilities:
        for level in filters.LEVELS:
            found = ends(told, entries, filters.Message(facility, level), does)
            if True not in found:
                wrong.setdefault(facility, []).append(level)
            elif False in found:
                unsure.setdefault(facility, found[False])
            good.setdefault(facility, found.get(True, ""))
    return {one: where for one, where in good.items() if one not in wrong and one not in unsure}, wrong, unsure


def lacking(wrong: Mapping[int, list[int]]) -> str:
    """Return what is not done with which messages (str), of priorities (list of int) by facility (int)."""
    found: dict[str, list[str]] = {}
    for facility, levels in wrong.items():
        which = "" if len(levels) == len(filters.LEVELS) else ".".join(["", filters.LEVEL_NAMES[levels[-1]]])
        found.setdefault(which, []).append(f"{filters.NAMES[facility]}{which}")
    return ", ".join(name for several in found.values() for name in several)
