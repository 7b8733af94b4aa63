"""
The way from the rules that the kernel holds to those that it should hold, with no blind moment.

The kernel decides by the first rule of a list that matches and can only append, prepend and delete, so a
rule moves by being deleted and added again. Meanwhile its twin, the same rule with one more condition that
is always true, stands in its place. At every step each event that both the old and the new rules record is
recorded.
"""

from __future__ import annotations

import bisect
import collections
import itertools
import math
import struct
import typing
from collections.abc import Callable, Collection

from sshtrail_lib.rules import layout, overlap
from sshtrail_lib.rules.layout import FSTYPE
from sshtrail_lib.rules.overlap import TOP

# Conditions that no event fails: a process has a number, of at most 22 bits, and a file system none of the last ones.
# The filesystem list takes no pid.
PID = 0
ALWAYS_TRUE = (PID, layout.OPERATOR_NUMBERS[">="], 0)
NO_FSTYPE = (FSTYPE, layout.OPERATOR_NUMBERS["!="], 0)
# So many pairs tell which of two rules is the one in the wrong place.
ENOUGH = 8
# One of so many rules at most is in the wrong place: few are.
FEW = 4
# One rule may have that many twins.
TWINS = 64


class Step(typing.NamedTuple):
    """
    One operation on the kernel's lists: ``do`` is ``append``, ``prepend`` or ``delete``; ``rule`` its bytes;
    ``stands_in`` whether it is a twin that comes and goes meanwhile.
    """

    do: str
    rule: bytes
    stands_in: bool = False


def plan(
    loaded: list[bytes], desired: list[bytes], execs: Callable[[int], int], stale: Collection[bytes] = ()
) -> list[Step]:
    """
    Return the steps (list of :class:`Step`) that make the kernel decide every event as ``desired`` does.

    loaded
        The kernel's rules in its order (list of bytes).
    desired
        The rules wanted (list of bytes without repetition); their order counts within each list.
    execs
        As for :func:`sshtrail_lib.rules.overlap.collide`.
    stale
        Rules of the kernel (collection of bytes) that must be loaded anew, though they are there.

    Additions come first. A rule in both lists is touched only when its place decides something: then its
    twin is loaded before it goes and until it is back. No steps are returned when nothing differs.
    """
    if loaded == desired and not stale:
        return []
    phases: list[list[Step]] = [[] for _ in range(4)]
    for number in sorted({rule[:4] for rule in (*loaded, *desired)}):
        of_list = [[rule for rule in rules if rule[:4] == number] for rules in (loaded, desired)]
        for phase, steps in zip(phases, _List(of_list[0], of_list[1], execs, stale).phases()):  # noqa: B905  (Python 3.9 of old releases)
            phase.extend(steps)
    return [step for phase in phases for step in phase]


class _List:
    """The plan for one of the kernel's lists: what goes in front, what goes behind, what stays."""

    def __init__(
        self,
        loaded: list[bytes],
        desired: list[bytes],
        execs: Callable[[int], int],
        stale: Collection[bytes] = (),
    ) -> None:
        self.desired, self.execs = desired, execs
        self.rank = {rule: at for at, rule in enumerate(desired)}
        # The first of several equal rules decides, and it is the first that a deletion takes: so rules that
        # somebody prepended once more move like those that stand in the wrong place.
        self.copies = collections.Counter(loaded)
        self.loaded = list(self.copies)
        # The kernel has one tree for all rules of one directory, and keeps it for as long as it has one of them.
        trees = {tree for rule in stale if (tree := overlap.texts_of(rule).get(layout.DIR))}
        self.anew = {rule for rule in desired if trees and overlap.texts_of(rule).get(layout.DIR) in trees}
        again = self.anew | {*stale}
        kept = (rule for rule in self.loaded if self.copies[rule] == 1 and rule not in again)
        self.common = [rule for rule in kept if rule in self.rank]
        self.place_of = {rule: at for at, rule in enumerate(self.common)}
        self.known = overlap.Index(execs)
        # What is in front: the rules that record, and the others.
        self.recording, self.hiding = overlap.Index(execs), overlap.Index(execs)
        self.hides = not all(map(layout.records, desired))
        self.front: set[bytes] = set()
        self.back: set[bytes] = set()
        self.loose: dict[int, tuple[int, set[bytes]]] = {}
        self.place_new(set(self.common))
        self.mend_order()

    # -- which rules go where: what is in front has all before it that it collides with, what is behind all after it

    def place_new(self, common):
        drags, pulls = self.ties(common)
        moved = 0
        for rule in self.desired:
            if rule in common or rule in self.front or rule in self.back:
                continue
            if rule not in drags:
                self.back.add(rule)
            elif rule not in pulls and (overlap.view_of(rule).action or not self.recording.meets(rule)):
                # All that is in front so far comes before it.
                self.prepend({rule})
            else:
                self.place(rule, common)
                gone = len(common & self.front) + len(common & self.back)
                if gone > 2 * moved:
                    # What has gone to one end ties nobody there any more; to look at all again each time is too much.
                    drags, pulls = self.ties(common)
                    moved = gone

    def ties(self, common):
        """Return the new rules (two sets) that cannot just be appended, and those that cannot just be prepended."""
        stays = common - self.front - self.back
        return (
            self.tied(stays | self.front, self.desired[::-1]),
            self.tied(stays | self.back, self.desired),
        )

    def tied(self, there, rules):
        """Return those of ``rules`` that collide with one before them that is ``there``, also by others (set)."""
        seen = overlap.Index(self.execs)
        found: set[bytes] = set()
        for rule in rules:
            if rule in there:
                seen.add(rule)
            elif rule not in self.front and rule not in self.back and seen.meets(rule):
                seen.add(rule)
                found.add(rule)
        return found

    def place(self, rule, common):
        behind, before = self.cheaper(rule, rule, common)
        if behind is None or (before is not None and len(before & common) < len(behind & common)):
            if self.safe(before):
                self.prepend(before)
                return
            behind = self.behind(rule)
        self.back |= behind

    def cheaper(self, later, earlier, counted):
        """
        Return what :meth:`behind` tells of ``later`` and :meth:`before` of ``earlier``; None for one that has by far
        more of the rules that are ``counted`` (set) than the other: it is not looked for to its end.
        """
        most = 1
        while True:
            found = self.behind(later, counted, most), self.before(earlier, counted, most)
            if found != (None, None):
                return found
            most *= 4

    def behind(self, rule, counted=frozenset(), most=math.inf):
        """Return what must come behind too if ``rule`` is appended, itself included: a closure (set)."""
        return self.closure(rule, 1, self.back, counted, most)

    def before(self, rule, counted=frozenset(), most=math.inf):
        """Return what must come before too if ``rule`` is prepended, itself included: a closure (set)."""
        return self.closure(rule, -1, self.front, counted, most)

    def is_loose(self, rule, way, there):
        """
        Tell whether nothing goes with ``rule``: it collides with none further on (a ``way`` of 1: behind it, -1: before
        it) that is not ``there``. What was loose once stays so.
        """
        known, loose = self.loose.get(way, (-1, set()))
        if known < 0 or len(there) > ENOUGH * (known + 1):
            seen, loose = overlap.Index(self.execs), set()
            for one in self.desired[::-way]:
                if one not in there:
                    if not seen.meets(one):
                        loose.add(one)
                    seen.add(one)
            self.loose[way] = len(there), loose
        return rule in loose

    def closure(self, rule, way, there, counted, most):
        if self.is_loose(rule, way, there):
            return {rule}
        rules = self.desired[self.rank[rule] :: way]
        members, count = overlap.Index(self.execs), 0
        found: set[bytes] = set()
        for rule in rules:
            if rule in there or (found and not members.meets(rule)):
                continue
            members.add(rule)
            found.add(rule)
            count += rule in counted
            if count > most:
                return None
        return found

    def prepend(self, rules):
        self.front |= rules
        for rule in rules:
            (self.recording if overlap.view_of(rule).action else self.hiding).add(rule)

    def safe(self, rules):
        """Tell whether prepending ``rules`` too never lets a ``never`` hide what an earlier one records."""
        if not self.hides:
            return True
        new = overlap.Index(self.execs)
        new.take(rule for rule in rules if overlap.view_of(rule).action)
        return not any(self.unsafe(rule, new) for rule in rules)

    def unsafe(self, rule, new):
        if overlap.view_of(rule).action:
            return any(self.rank[never] > self.rank[rule] for never in self.hiding.colliding(rule))
        earlier = itertools.chain(self.recording.colliding(rule), new.colliding(rule))
        return any(self.rank[other] < self.rank[rule] for other in earlier)

    def mend_order(self):
        """Move what stands in the wrong order, by whichever end drags fewer rules along."""
        everything = set(self.desired)
        self.known.take(self.common)
        gone: set[bytes] = set()
        amiss = {self.common[at] for at in _out_of_order([self.rank[rule] for rule in self.common])}
        # Where few are amiss, the others stay.
        stays = set(self.common) - amiss if FEW * len(amiss) < len(self.common) else set()
        for first, second in self.inverted(amiss, gone):
            behind, before = self.cheaper(second, first, everything)
            shorter = behind is None or (
                before is not None and self.weight(before, first, stays) < self.weight(behind, second, stays)
            )
            if shorter and not before & self.back and self.safe(before):
                gone |= before
                self.prepend(before)
            else:
                behind = self.behind(second) if behind is None else behind
                gone |= behind
                self.back |= behind
        # What must be behind wins: a rule cannot be at both ends.
        self.front -= self.back

    def weight(self, moved, rule, stays):
        """Return what tells which of two ways is shorter: the rules that move, and what is right then."""
        return len(moved), -sum(1 for _ in itertools.islice(self.wrong(rule), ENOUGH)), rule in stays

    def inverted(self, amiss, gone):
        """
        Yield each pair that collides and stands the other way round in the kernel than desired, and yet stays.

        One of it is ``amiss`` (set). What has ``gone`` (set) meanwhile collides with nothing any more that stays, for
        that goes with it.
        """
        for rule in filter(amiss.__contains__, self.common):
            for pair in self.wrong(rule):
                yield pair
                if rule in self.back or rule in self.front:
                    break
            while gone:
                self.known.discard(gone.pop())

    def wrong(self, rule):
        """Yield those of the pairs that ``rule`` is one of, in the order that is desired (tuple of bytes)."""
        for other in self.known.colliding(rule):
            pair = (rule, other) if self.rank[rule] < self.rank[other] else (other, rule)
            if (
                self.place_of[pair[0]] > self.place_of[pair[1]]
                and pair[1] not in self.back
                and pair[0] not in self.front
            ):
                yield pair

    # -- the steps

    def phases(self):
        front = sorted(self.front, key=self.rank.__getitem__)
        back = sorted(self.back, key=self.rank.__getitem__)
        moved = (self.front | self.back) & set(self.loaded) | self.anew
        front_twins, back_twins = self.twinned(front[::-1], moved), self.twinned(back, moved)
        gone = [rule for rule in reversed(self.loaded) if rule in moved or rule not in self.rank]
        yield [
            *(self.step("prepend", rule, rule in front_twins) for rule in reversed(front) if rule not in self.anew),
            *(self.step("append", rule, rule in back_twins) for rule in back if rule not in self.anew),
        ]
        yield [Step("delete", rule) for rule in gone for _ in range(self.copies[rule])]
        yield [
            *(Step("prepend", rule) for rule in reversed(front) if rule in front_twins),
            *(Step("append", rule) for rule in back if rule in back_twins),
        ]
        stood_in = (front_twins | back_twins) - self.anew
        twins = [rule for rule in (*front, *reversed(back)) if rule in stood_in]
        yield [self.step("delete", rule, True) for rule in twins]

    def step(self, do, rule, stands_in):
        return Step(do, self.twin(rule) if stands_in else rule, stands_in)

    def twin(self, rule):
        """Return a twin of ``rule`` that is not there yet: an interrupted run may have left one."""
        twins = (twin(rule, number) for number in range(TWINS))
        return next(one for one in twins if one not in self.copies and one not in self.rank)

    def twinned(self, rules, moved):
        """Return those of ``rules`` (in the order in which they are added) that need a twin meanwhile (set)."""
        twins = overlap.Index(self.execs)
        found: set[bytes] = set()
        for rule in rules:
            if rule in moved or twins.meets(rule):
                twins.add(rule)
                found.add(rule)
        return found


def _out_of_order(ranks):
    """Return the indexes of ``ranks`` outside of one longest increasing subsequence."""
    ends: list[int] = []
    tails: list[int] = []
    previous: list[int | None] = []
    for at, rank in enumerate(ranks):
        place = bisect.bisect_left(ends, rank)
        previous.append(tails[place - 1] if place else None)
        ends[place : place + 1], tails[place : place + 1] = [rank], [at]
    keep = set()
    last = tails[-1] if tails else None
    while last is not None:
        keep.add(last)
        last = previous[last]
    return [at for at in range(len(ranks)) if at not in keep]


def twin(rule: bytes, number: int = 0) -> bytes:
    """
    Return the bytes of another rule that matches exactly the events that ``rule`` (bytes) matches.

    number
        Which of its twins (int, from 0, less than :data:`TWINS`).
    """
    return layout.with_condition(rule, *_always_true(layout.unpack(rule)[0].filter, number))


def _always_true(filter_, number):
    first = NO_FSTYPE if filter_ == layout.FILTER_NUMBERS["filesystem"] else ALWAYS_TRUE
    return first if number == 0 else (first[0], layout.OPERATOR_NUMBERS["!="], TOP - number)


def is_twin(rule: bytes) -> bool:
    """Tell whether ``rule`` (bytes) is a twin that an interrupted run left behind."""
    last = layout.last_of(rule)
    # Few rules end in one of these fields, and many are asked about.
    if last is None or last[0] not in (PID, FSTYPE):
        return False
    (filter_,) = struct.unpack_from("=I", rule)
    return any(last == _always_true(filter_, number) for number in range(TWINS))
