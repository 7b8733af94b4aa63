"""
Which of many rules collide with which: the rules are the bits of numbers, so that all are asked at once.

The processor compares hundreds of rules in one operation so; pair by pair, five thousand rules that all meet are twelve
million questions. What it tells is what :func:`sshtrail_lib.rules.overlap.collide` tells of each pair.
"""

from __future__ import annotations

import bisect
import functools
import itertools
import operator
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence

from sshtrail_lib.rules import overlap
from sshtrail_lib.rules.overlap import MASKED, View


def bits(mask: int) -> Iterator[int]:
    """Yield the numbers (int, ascending) of the bits that are set in ``mask`` (int)."""
    # To look for the next one each time would read all of a long number for each.
    text = f"{mask:b}"[::-1] if mask else ""
    at = text.find("1")
    while at >= 0:
        yield at
        at = text.find("1", at + 1)


def lowest(mask: int) -> int:
    """Return the number (int) of the lowest bit of ``mask`` (int, not 0)."""
    return (mask & -mask).bit_length() - 1


def highest(mask: int) -> int:
    """Return the number (int) of the highest bit of ``mask`` (int, not 0)."""
    return mask.bit_length() - 1


def count(mask: int) -> int:
    """Return how many bits (int) of ``mask`` (int) are set."""
    return f"{mask:b}".count("1")


class Collisions:
    """
    Which of some rules collide with another one: numbers, whose bit 0 is the first rule.

    rules
        The rules (sequence of bytes).
    execs
        As for :func:`sshtrail_lib.rules.overlap.collide`.
    """

    def __init__(self, rules: Sequence[bytes], execs: Callable[[int], int]) -> None:
        views = [overlap.view_of(rule) for rule in rules]
        self.execs = execs
        self.all = (1 << len(views)) - 1
        self.filters = _masks(enumerate(view.filter for view in views))
        self.keys = _masks(enumerate((view.action, view.key) for view in views))
        self.recording = self.all & ~mask(at for at, view in enumerate(views) if not view.action)
        self.calls = _Calls((at, view.calls) for at, view in enumerate(views) if view.filter in MASKED)
        shapes = {view.shape[2:5]: view for view in views}
        self.programs = _masks((at, view.shape[2:5]) for at, view in enumerate(views))
        self.exec_only = self.where(shapes, lambda view: overlap.exec_only(view, execs))
        self.never_exec = self.where(shapes, overlap.never_exec)
        self.limits = _limits(views)
        self.places = _Places(enumerate(view.place for view in views))
        self.known: dict[tuple, int] = {}
        self.rules = rules

    def where(self, shapes, tells):
        """Return the rules of which ``tells`` (callable) says so, as it says of one of each of the ``shapes``."""
        return _joined(self.programs[shape] for shape, view in shapes.items() if tells(view))

    def of(self, rule: bytes) -> int:
        """Return which of them collide with ``rule`` (bytes), which may be one of them (int)."""
        view = overlap.view_of(rule)
        found = self.known.get(view.shape)
        if found is None:
            found = self.known[view.shape] = self.meet(view)
        found &= ~self.keys.get((view.action, view.key), 0)
        if view.action and view.place:
            found &= ~(self.recording & self.places.apart(view.place))
        return found

    def covering(self, rule: bytes, among: int) -> int | None:
        """
        Return the number (int) of the first of them that certainly matches all that ``rule`` (bytes) does, or None.

        among
            Which of them are asked about (int).
        """
        view = overlap.view_of(rule)
        for field, limits in self.limits.items():
            among &= ~limits.all | limits.around(view.limits.get(field))
        return next((at for at in bits(among) if overlap.covers(self.rules[at], rule)), None)

    def meet(self, view: View) -> int:
        """Return which of them an event can match that matches ``view`` too, by all but places and keys (int)."""
        found = self.filters.get(view.filter, 0)
        if not view.action:
            found &= self.recording
        if view.filter in MASKED:
            found &= self.calls.meet(view.calls)
        # Only execve and execveat have the permission x.
        if overlap.never_exec(view):
            found &= ~self.exec_only
        if overlap.exec_only(view, self.execs):
            found &= ~self.never_exec
        for field, limit in view.limits.items():
            if field in self.limits:
                found &= ~self.limits[field].apart(*limit)
        return found


def mask(numbers: Iterable[int]) -> int:
    """Return the number (int) with these bits."""
    found = bytearray()
    for at in numbers:
        if at >> 3 >= len(found):
            found.extend(bytes((at >> 3) + 1 - len(found)))
        found[at >> 3] |= 1 << (at & 7)
    return int.from_bytes(found, "little")


def _masks(pairs: Iterable[tuple[int, typing.Hashable]]) -> dict[typing.Any, int]:
    """Return for each value of ``pairs`` (number and value) the number with the bits that have it."""
    numbers: dict[typing.Hashable, list[int]] = {}
    for at, value in pairs:
        numbers.setdefault(value, []).append(at)
    return {value: mask(those) for value, those in numbers.items()}


def _joined(masks: Iterable[int]) -> int:
    found = 0
    for mask in masks:
        found |= mask
    return found


class _Calls:
    """Rules by the system calls that they name."""

    def __init__(self, calls: Iterable[tuple[int, int]]) -> None:
        self.sets = _masks(calls)
        self.known: dict[int, int] = {}
        self.with_call: dict[int, int] = {}

    def meet(self, calls: int) -> int:
        """Return the rules that have one of the ``calls`` (int, each bit one)."""
        if calls not in self.known:
            one_by_one = count(calls) < len(self.sets)
            self.known[calls] = _joined(map(self.having, bits(calls)) if one_by_one else self.sharing(calls))
        return self.known[calls]

    def sharing(self, calls):
        return (mask for known, mask in self.sets.items() if known & calls)

    def having(self, call):
        if call not in self.with_call:
            self.with_call[call] = _joined(mask for known, mask in self.sets.items() if known >> call & 1)
        return self.with_call[call]


class _Places:
    """Rules by the place that each one watches, which may be none."""

    def __init__(self, places: Iterable[tuple[int, str]]) -> None:
        self.at = _masks(places)
        self.all = _joined(self.at.values())
        self.below: dict[str, int] = {}
        for place, mask in self.at.items():
            for directory in overlap.directories(place):
                self.below[directory] = self.below.get(directory, 0) | mask
        self.known: dict[str, int] = {}

    def apart(self, place: str) -> int:
        """Return the rules that watch a place which has nothing to do with ``place`` (str)."""
        if place not in self.known:
            related = [self.at.get(one, 0) for one in ("", place, *overlap.directories(place))]
            self.known[place] = self.all & ~_joined([*related, self.below.get(place, 0)])
        return self.known[place]


def _limits(views):
    """Return for each field that a rule limits the :class:`_Limits`."""
    of_field: dict[int, list[tuple[int, tuple[int, int, frozenset[int]]]]] = {}
    for at, view in enumerate(views):
        for field, limit in view.limits.items():
            of_field.setdefault(field, []).append((at, limit))
    return {field: _Limits(limits) for field, limits in of_field.items()}


class _Limits:
    """Rules by what they let one field be: its lowest and its highest value, and those between that they do not."""

    def __init__(self, limits: Iterable[tuple[int, tuple[int, int, frozenset[int]]]]) -> None:
        alike = _masks(limits)
        self.all = _joined(alike.values())
        self.lows, self.highs = (_By((limit[end], mask) for limit, mask in alike.items()) for end in (0, 1))
        self.refusing: dict[int, int] = {}
        for (_low, _high, never), mask in alike.items():
            for value in never:
                self.refusing[value] = self.refusing.get(value, 0) | mask
        # These match nothing at all.
        self.empty = _joined(mask for limit, mask in alike.items() if _is_empty(*limit))
        self.known: dict[tuple, int] = {}

    def apart(self, low: int, high: int, never: frozenset[int]) -> int:
        """Return the rules that let the field have none of the values from ``low`` to ``high`` but the ``never``."""
        limit = (low, high, never)
        if limit not in self.known:
            self.known[limit] = self.all & ~self.meet(*limit)
        return self.known[limit]

    def meet(self, low, high, never):
        if low > high:
            return 0
        found = self.lows.up_to(high) & self.highs.upwards(low) & ~self.empty
        for value in never:
            if low <= value <= high:
                found &= ~self.share_only(value, low, high)
        for value in (low, high):
            if value in self.refusing:
                found &= ~(self.share_only(value, low, high) & self.refusing[value])
        return found

    def around(self, limit: tuple[int, int, frozenset[int]] | None) -> int:
        """Return the rules that let the field be all that a ``limit`` (None for none) does, but for single values."""
        return self.lows.up_to(limit[0]) & self.highs.upwards(limit[1]) if limit else 0

    def share_only(self, value, low, high):
        """Return the rules that have nothing in common with the values from ``low`` to ``high`` but one ``value``."""
        lows = self.lows.up_to(value) if value == low else self.lows.at.get(value, 0)
        return lows & (self.highs.upwards(value) if value == high else self.highs.at.get(value, 0))


def _is_empty(low, high, never):
    return low > high or (low == high and low in never)


class _By:
    """Rules by a number of each."""

    def __init__(self, pairs: Iterable[tuple[int, int]]) -> None:
        self.at: dict[int, int] = {}
        for value, mask in pairs:
            self.at[value] = self.at.get(value, 0) | mask
        self.values = sorted(self.at)
        masks = [self.at[value] for value in self.values]
        self.sums = [0, *itertools.accumulate(masks, operator.or_)]
        self.rests = [*itertools.accumulate(masks[::-1], operator.or_)][::-1] + [0]

    def up_to(self, value: int) -> int:
        """Return the rules whose number is at most ``value`` (int)."""
        return self.sums[bisect.bisect_right(self.values, value)]

    def upwards(self, value: int) -> int:
        """Return the rules whose number is at least ``value`` (int)."""
        return self.rests[bisect.bisect_left(self.values, value)]


class Meetings:
    """
    Which of some rules collide with each other, also by others between them; each is known by its number.

    Arguments are those of :class:`Collisions`.
    """

    def __init__(self, rules: Sequence[bytes], execs: Callable[[int], int]) -> None:
        self.rules, self.execs = rules, execs
        self.known: list[int | None] = [None] * len(rules)
        self.all = (1 << len(rules)) - 1

    @functools.cached_property
    def collisions(self) -> Collisions:
        """The rules, asked about only where something depends on it."""
        return Collisions(self.rules, self.execs)

    def of(self, at: int) -> int:
        """Return which rules the one ``at`` that number collides with (int)."""
        found = self.known[at]
        if found is None:
            found = self.known[at] = self.collisions.of(self.rules[at])
        return found

    def earlier(self, at: int) -> int:
        """Return those of them that come before it (int)."""
        return self.of(at) & ((1 << at) - 1)

    def later(self, at: int) -> int:
        """Return those of them that come after it (int)."""
        return self.of(at) >> at << at

    @functools.cached_property
    def before(self) -> list[int]:
        """For each rule those that must come before it: those that it collides with, theirs, and itself (int each)."""
        found = _Reach(len(self.rules))
        for at in range(len(self.rules)):
            found.take(at, self.earlier(at), highest)
        return found.of

    @functools.cached_property
    def after(self) -> list[int]:
        """For each rule those that must come after it: those that it collides with, theirs, and itself (int each)."""
        found = _Reach(len(self.rules))
        for at in reversed(range(len(self.rules))):
            found.take(at, self.later(at), lowest)
        return found.of

    @functools.cached_property
    def veiling(self) -> int:
        """The rules that record nothing and hide what an earlier one records (int)."""
        recording = self.collisions.recording
        return mask(at for at in bits(self.collisions.all & ~recording) if self.earlier(at) & recording)


class _Reach:
    """Where each rule leads, from one to those that it meets, and so on."""

    def __init__(self, size: int) -> None:
        self.of = [0] * size
        self.known: dict[int, int] = {}
        # Rules of a kind often lead to the same: then they are looked at together.
        self.alike: dict[int, int] = {}
        self.further = [0] * size

    def take(self, at: int, meets: int, nearest: Callable[[int], int]) -> None:
        """Take in the rule ``at``, which ``meets`` others that were taken before (int); ``nearest`` picks of those."""
        found = self.known.get(meets)
        if found is None:
            found = self.known[meets] = self.lead(meets, nearest)
        self.further[at] = found
        self.alike[found] = self.alike.get(found, 0) | 1 << at
        self.of[at] = found | 1 << at

    def lead(self, meets, nearest):
        found, rest = 0, meets
        while rest:
            further = self.further[nearest(rest)]
            found |= further | (rest & self.alike[further])
            rest &= ~found
        return found
