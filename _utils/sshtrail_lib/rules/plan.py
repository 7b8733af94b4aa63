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
import operator
import struct
import typing
from collections.abc import Callable, Collection

from sshtrail_lib.rules import layout, overlap
from sshtrail_lib.rules.collisions import Meetings, bits, count, highest, lowest, mask
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
    """
    The plan for one of the kernel's lists: what goes in front, what goes behind, what stays.

    A set of rules is a number here: each bit is a rule, by its rank, which is its place among those that are desired.
    So five thousand rules that all meet are planned in half a second.
    """

    def __init__(
        self,
        loaded: list[bytes],
        desired: list[bytes],
        execs: Callable[[int], int],
        stale: Collection[bytes] = (),
    ) -> None:
        self.desired = desired
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
        # The ranks of what may stay, in the kernel's order.
        self.held = [self.rank[rule] for rule in kept if rule in self.rank]
        self.common = mask(self.held)
        self.meetings = Meetings(desired, execs)
        # What is in front has all before it that it collides with, what is behind all after it.
        self.front = self.back = 0
        self.place_new()
        self.mend_order()

    # -- which rules go where

    def place_new(self):
        """Place what the kernel does not hold yet."""
        drags, pulls = self.ties()
        moved = 0
        for at in bits(self.meetings.all & ~self.common):
            bit = 1 << at
            if bit & (self.front | self.back):
                continue
            if not bit & drags:
                self.back |= bit
            elif not bit & pulls and self.is_safe(bit):
                # All that is in front so far comes before it.
                self.front |= bit
            else:
                self.place(at)
                gone = count(self.common & (self.front | self.back))
                if gone > 2 * moved:
                    # What has gone to one end ties nobody there any more; to look at all again each time is too much.
                    drags, pulls = self.ties()
                    moved = gone

    def ties(self):
        """Return the new rules (two sets) that cannot just be appended, and those that cannot just be prepended."""
        stays = self.common & ~self.front & ~self.back
        free = [*bits(self.meetings.all & ~(self.common | self.front | self.back))]
        drags, pulls = stays | self.front, stays | self.back
        # Where nothing is there yet, as at a first load, there is nothing to ask.
        for at in free[::-1] if drags else ():
            drags |= (1 << at) if self.meetings.later(at) & drags else 0
        for at in free if pulls else ():
            pulls |= (1 << at) if self.meetings.earlier(at) & pulls else 0
        return drags, pulls

    def place(self, at):
        behind, before = self.behind(at), self.before(at)
        fewer = count(before & self.common) < count(behind & self.common)
        if fewer and self.is_safe(before):
            self.front |= before
        else:
            self.back |= behind

    def behind(self, at):
        """Return what must come behind too if the rule of this rank is appended, itself included (set)."""
        return self.meetings.after[at] & ~self.back

    def before(self, at):
        """Return what must come before too if the rule of this rank is prepended, itself included (set)."""
        return self.meetings.before[at] & ~self.front

    def is_safe(self, rules):
        """Tell whether prepending ``rules`` too never lets a ``never`` hide what an earlier one records."""
        # What such a one hides must be in front too, and is put there after it.
        return not rules & self.meetings.veiling

    def mend_order(self):
        """Move what stands in the wrong order, by whichever end drags fewer rules along."""
        amiss = _out_of_order(self.held)
        if not amiss:
            return
        sums = itertools.accumulate((1 << at for at in self.held), operator.or_, initial=0)
        # For each rule those that stand ahead of it in the kernel.
        self.ahead = dict(zip(self.held, sums))  # noqa: B905  (one sum more)
        self.stand = self.common
        # Where few are amiss, the others stay.
        few = FEW * len(amiss) < len(self.held)
        stays = self.common & ~mask(self.held[place] for place in amiss) if few else 0
        for at in (self.held[place] for place in amiss):
            moved = 0
            while not moved >> at & 1 and (found := self.wrong(at)):
                # The next one behind it, or else the last before it, drags the fewest along.
                other = at + lowest(found >> at) if found >> at else highest(found)
                moved |= self.mend(min(at, other), max(at, other), stays)
            # What has moved collides with nothing any more that stays, for that has moved with it.
            self.stand &= ~moved
        # What must be behind wins: a rule cannot be at both ends.
        self.front &= ~self.back

    def mend(self, first, second, stays):
        """Move one of two rules that stand the wrong way round, with what must go with it; return what moved (set)."""
        behind, before = self.behind(second), self.before(first)
        shorter = self.weight(before, first, stays) < self.weight(behind, second, stays)
        if shorter and not before & self.back and self.is_safe(before):
            self.front |= before
            return before
        self.back |= behind
        return behind

    def weight(self, moved, at, stays):
        """Return what tells which of two ways is shorter: the rules that move, and what is right then."""
        return count(moved), -min(count(self.wrong(at)), ENOUGH), stays >> at & 1

    def wrong(self, at):
        """Return what stands on the other side of the rule of this rank than desired, collides with it, and stays."""
        ahead = self.ahead[at]
        met = self.meetings.of(at) & self.stand
        later = met & ahead & ~self.back if not self.front >> at & 1 else 0
        earlier = met & ~ahead & ~self.front if not self.back >> at & 1 else 0
        return later >> at << at | earlier & ((1 << at) - 1)

    # -- the steps

    def phases(self):
        front, back = ([self.desired[at] for at in bits(end)] for end in (self.front, self.back))
        moved = {*front, *back} & set(self.loaded) | self.anew
        front_twins, back_twins = self.twinned(self.front, moved, -1), self.twinned(self.back, moved, 1)
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

    def twinned(self, end, moved, way):
        """Return those of the rules at an ``end`` (set, added in a ``way``) that need a twin meanwhile (set)."""
        twins = 0
        for at in [*bits(end)][::way]:
            if self.desired[at] in moved or (twins and self.meetings.of(at) & twins):
                twins |= 1 << at
        return {self.desired[at] for at in bits(twins)}


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
