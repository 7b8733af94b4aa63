"""
Whether the rules that the kernel holds record what is demanded.

A demand is a rule, compiled; what counts is that the kernel records all that it would, by whichever rules. A demand on
a file or a program asks for a rule that names its place: one that happens to record it by other means is no rule about
it, and an auditor would not find it. Source: the kernel's auditfilter.c and auditsc.c, auditctl(8).
"""

from __future__ import annotations

import functools
import posixpath
import typing
from collections.abc import Callable, Mapping, Sequence

from sshtrail_lib.coverage import rules as coverage_rules
from sshtrail_lib.rules import layout, overlap
from sshtrail_lib.rules.layout import COMPARE, DIR, PERM, WATCH

EXIT, TASK, EXCLUDE = (layout.FILTER_NUMBERS[name] for name in ("exit", "task", "exclude"))
NEVER = layout.ACTION_NUMBERS["never"]
#: linux/audit.h: the record that every rule about a system call or a file makes.
SYSCALL = 1300


class Need(typing.NamedTuple):
    """
    A demand, as a rule that would do: for a person (``what``, str), and as the kernel would hold it (bytes); ``parts``
    are the rules (tuple of bytes) that would do together.
    """

    what: str
    rule: bytes
    parts: tuple[bytes, ...] = ()


class Recorded(typing.NamedTuple):
    """By which rule something is recorded (bytes, None for none), and which ``never`` before it hides it (bytes)."""

    by: bytes | None
    hidden: bytes | None = None


class _Rule(typing.NamedTuple):
    filter: int
    action: int
    place: str
    tree: bool
    perm: int
    compares: bool
    rest: bytes


def recorded(need: Need, rules: Sequence[bytes], links: Mapping[str, str], execs: Callable[[int], int]) -> Recorded:
    """
    Return by which rule a :class:`Need` is met (:class:`Recorded`).

    rules
        Those of the kernel, in its order (list of bytes): the first that matches decides.
    links
        The real path of each directory that a place leads through (dict of str to str).
    execs
        As for :func:`sshtrail_lib.rules.overlap.collide`.
    """
    whole = _recorded(need.rule, rules, links, execs)
    if whole.by is not None or whole.hidden is not None or not need.parts:
        return whole
    parts = [_recorded(part, rules, links, execs) for part in need.parts]
    return next((part for part in parts if part.by is None), parts[0])


def _recorded(need: bytes, rules: Sequence[bytes], links: Mapping[str, str], execs: Callable[[int], int]) -> Recorded:
    by = hidden = None
    for rule in rules:
        seen = _seen(rule)
        if seen.filter in (TASK, EXCLUDE):
            # These lists are gone through besides the other, wherever in it a rule stands.
            if _silences(rule, seen, need):
                return Recorded(None, rule)
        elif seen.filter == EXIT and by is None and hidden is None:
            if seen.action == NEVER:
                hidden = rule if overlap.collide(rule, need, execs) else None
            elif _meets(seen, _seen(need), links):
                by = rule
    return Recorded(by, hidden)


def _silences(rule: bytes, seen: _Rule, need: bytes) -> bool:
    """Tell whether a rule of another list keeps away what a need is about: the whole process, or its records."""
    if not layout.hides(rule) or overlap.exclusive(rule, need):
        return False
    return seen.filter != EXCLUDE or coverage_rules.drops(layout.unpack(rule)[0].fields, SYSCALL)


def _meets(rule: _Rule, need: _Rule, links: Mapping[str, str]) -> bool:
    if need.place:
        if not rule.place or not _holds(rule, need, links):
            return False
        if rule.perm and need.perm & ~rule.perm:
            return False
    elif rule.place or rule.perm:
        return False
    # One that compares no ids is no rule about a change of them.
    return (rule.compares or not need.compares) and overlap.covers(rule.rest, need.rest)


def _holds(rule: _Rule, need: _Rule, links: Mapping[str, str]) -> bool:
    own, asked = _real(rule, links), _real(need, links)
    if own == asked:
        return rule.tree or not need.tree
    return rule.tree and asked.startswith(own.rstrip("/") + "/")


def _real(rule: _Rule, links: Mapping[str, str]) -> str:
    # The kernel follows links on the way to a file, and that of a tree itself.
    if rule.tree:
        return links.get(rule.place, rule.place)
    directory, name = posixpath.split(rule.place)
    return posixpath.join(links.get(directory, directory), name)


def directories(rules: Sequence[bytes]) -> list[str]:
    """Return the directories (list of str) whose real paths :func:`recorded` has to know for these rules (bytes)."""
    seen = [_seen(rule) for rule in rules]
    return [one.place if one.tree else posixpath.dirname(one.place) for one in seen if one.place]


@functools.lru_cache(maxsize=16384)
def _seen(rule: bytes) -> _Rule:
    packed, strings = layout.unpack(rule)
    named = [number for number, _operator, _value in packed.fields if number in layout.STRINGS]
    texts = dict(zip(named, strings, strict=True))
    place = texts.get(DIR) or texts.get(WATCH) or ""
    perm = next((value for number, _operator, value in packed.fields if number == PERM), 0)
    compares = any(number == COMPARE for number, _operator, _value in packed.fields)
    rest = layout.without(rule, (WATCH, DIR, PERM)) if place else rule
    return _Rule(packed.filter, packed.action, place.rstrip("/") or place, DIR in texts, perm, compares, rest)
