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
import functools
import itertools
import posixpath
import typing
from collections.abc import Callable

from sshtrail_lib.rules import layout
from sshtrail_lib.rules.layout import ARCH, DIR, FSTYPE, KEY, PERM, SUCCESS, WATCH

# linux/audit.h: fields that have one value for an event, so that two rules can exclude each other.
SINGLE = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, ARCH, 12, 18, 25, FSTYPE, 103, SUCCESS, 113, 200, 201, 202, 203}
BITS = ("&", "&=")
# The lists whose rules name system calls or io_uring operations.
MASKED = (4, 7)
EXEC_BIT = 1
TOP = 0xFFFFFFFF
# Conditions that no event fails: a process has a number, of at most 22 bits, and a file system none of the last ones.
# The filesystem list takes no pid.
PID = 0
ALWAYS_TRUE = (PID, layout.OPERATOR_NUMBERS[">="], 0)
NO_FSTYPE = (FSTYPE, layout.OPERATOR_NUMBERS["!="], 0)
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


def plan(loaded: list[bytes], desired: list[bytes], execs: Callable[[int], int]) -> list[Step]:
    """
    Return the steps (list of :class:`Step`) that make the kernel decide every event as ``desired`` does.

    loaded
        The kernel's rules in its order (list of bytes).
    desired
        The rules wanted (list of bytes without repetition); their order counts within each list.
    execs
        As for :func:`collide`.

    Additions come first. A rule in both lists is touched only when its place decides something: then its
    twin is loaded before it goes and until it is back. No steps are returned when nothing differs.
    """
    if loaded == desired:
        return []
    phases: list[list[Step]] = [[] for _ in range(4)]
    for number in sorted({_view(rule).filter for rule in (*loaded, *desired)}):
        of_list = [[rule for rule in rules if _view(rule).filter == number] for rules in (loaded, desired)]
        for phase, steps in zip(phases, _List(of_list[0], of_list[1], execs).phases()):  # noqa: B905  (Python 3.9 of old releases)
            phase.extend(steps)
    return [step for phase in phases for step in phase]


class _List:
    """The plan for one of the kernel's lists: what goes in front, what goes behind, what stays."""

    def __init__(self, loaded: list[bytes], desired: list[bytes], execs: Callable[[int], int]) -> None:
        self.desired, self.execs = desired, execs
        self.rank = {rule: at for at, rule in enumerate(desired)}
        # The first of several equal rules decides, and it is the first that a deletion takes: so rules that
        # somebody prepended once more move like those that stand in the wrong place.
        self.copies = collections.Counter(loaded)
        self.loaded = list(self.copies)
        self.common = [rule for rule in self.loaded if rule in self.rank and self.copies[rule] == 1]
        self.front: set[bytes] = set()
        self.back: set[bytes] = set()
        self.place_new(set(self.common))
        self.mend_order()

    # -- which rules go where

    def place_new(self, common):
        drags = self.dragging(common)
        for rule in self.desired:
            if rule not in common and rule not in self.front and rule not in self.back:
                self.place(rule, common, rule in drags)

    def dragging(self, common):
        """Return the new rules that, appended, must take some loaded rule along: it, or one between, collides (set)."""
        loaded: list[bytes] = []
        found: list[bytes] = []
        for rule in reversed(self.desired):
            if rule in common:
                loaded.append(rule)
            elif any(self.collide(rule, later) for later in itertools.chain(found, loaded)):
                found.append(rule)
        return set(found)

    def place(self, rule, common, drags):
        behind = self.behind(rule) if drags else {rule}
        before = self.before(rule) if drags else behind
        if len(before & common) < len(behind & common) and self.safe(self.front | before):
            self.front |= before
        else:
            self.back |= behind

    def behind(self, rule):
        """Return what must come behind ``rule`` if it is appended, itself included: a closure (set)."""
        return self.closure(self.desired[self.rank[rule] :])

    def before(self, rule):
        """Return what must come before ``rule`` if it is prepended, itself included: a closure (set)."""
        return self.closure(self.desired[self.rank[rule] :: -1])

    def collide(self, one, other):
        return collide(one, other, self.execs)

    def closure(self, rules):
        members = [rules[0]]
        for rule in rules[1:]:
            if any(self.collide(member, rule) for member in members):
                members.append(rule)
        return set(members)

    def safe(self, rules):
        """Tell whether prepending ``rules`` one by one never lets a ``never`` hide what an earlier one records."""
        ordered = sorted(rules, key=self.rank.__getitem__)
        nevers = [rule for rule in ordered if not _view(rule).action]
        return not any(
            self.collide(rule, never)
            for never in nevers
            for rule in ordered[: ordered.index(never)]
            if _view(rule).action
        )

    def mend_order(self):
        """Move what stands in the wrong order, by whichever end drags fewer rules along."""
        for first, second in self.inverted():
            if second in self.back or first in self.front:
                continue
            behind, before = self.behind(second), self.before(first)
            if len(before) < len(behind) and not before & self.back and self.safe(self.front | before):
                self.front |= before
            else:
                self.back |= behind
        # What must be behind wins: a rule cannot be at both ends.
        self.front -= self.back

    def inverted(self):
        """Yield each pair that collides and stands the other way round in the kernel than desired."""
        ranks = [self.rank[rule] for rule in self.common]
        for at in _out_of_order(ranks):
            for other, rank in enumerate(ranks):
                if (
                    (other < at) != (rank < ranks[at])
                    and other != at
                    and self.collide(self.common[at], self.common[other])
                ):
                    yield tuple(sorted((self.common[at], self.common[other]), key=self.rank.__getitem__))

    # -- the steps

    def phases(self):
        front = sorted(self.front, key=self.rank.__getitem__)
        back = sorted(self.back, key=self.rank.__getitem__)
        moved = (self.front | self.back) & set(self.loaded)
        front_twins, back_twins = self.twinned(front[::-1], moved), self.twinned(back, moved)
        gone = [rule for rule in reversed(self.loaded) if rule in moved or rule not in self.rank]
        yield [
            *(self.step("prepend", rule, rule in front_twins) for rule in reversed(front)),
            *(self.step("append", rule, rule in back_twins) for rule in back),
        ]
        yield [Step("delete", rule) for rule in gone for _ in range(self.copies[rule])]
        yield [
            *(Step("prepend", rule) for rule in reversed(front) if rule in front_twins),
            *(Step("append", rule) for rule in back if rule in back_twins),
        ]
        twins = [rule for rule in (*front, *reversed(back)) if rule in front_twins | back_twins]
        yield [self.step("delete", rule, True) for rule in twins]

    def step(self, do, rule, stands_in):
        return Step(do, self.twin(rule) if stands_in else rule, stands_in)

    def twin(self, rule):
        """Return a twin of ``rule`` that is not there yet: an interrupted run may have left one."""
        twins = (twin(rule, number) for number in range(TWINS))
        return next(one for one in twins if one not in self.copies and one not in self.rank)

    def twinned(self, rules, moved):
        """Return those of ``rules`` (in the order in which they are added) that need a twin meanwhile (set)."""
        twins: list[bytes] = []
        for rule in rules:
            if rule in moved or any(self.collide(rule, other) for other in twins):
                twins.append(rule)
        return set(twins)


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
    packed = layout.unpack(rule)[0]
    conditions = (_always_true(packed.filter, number) for number in range(TWINS))
    return bool(packed.fields) and packed.fields[-1] in conditions


# ---- which rules can decide the same event ----------------------------------------------------------------------


class _View(typing.NamedTuple):
    """What of a rule tells whether its order relative to another one matters."""

    filter: int
    action: int
    key: str
    calls: int
    limits: dict[int, tuple[int, int, frozenset[int]]]
    perms: int
    place: str
    arch: int | None
    conditions: frozenset


def collide(one: bytes, other: bytes, execs: Callable[[int], int]) -> bool:
    """
    Tell whether some event can match both rules (bytes) and be decided differently by either.

    execs
        An architecture's number → the bits of the system calls that execute a program (callable: int → int), as
        :func:`sshtrail_lib.rules.compile.exec_calls` asks libaudit for them.

    Two watches of unrelated places collide only when one of them is a ``never``: a system call that names
    both places is recorded either way, and under either key it is found with its two paths.
    """
    a, b = _view(one), _view(other)
    if (a.filter, a.action, a.key) == (b.filter, b.action, b.key) or a.filter != b.filter:
        return False
    if not a.action and not b.action:
        return False
    return not (
        _calls_apart(a, b, execs) or _limits_apart(a.limits, b.limits) or (a.action and b.action and _unrelated(a, b))
    )


def covers(one: bytes, other: bytes) -> bool:
    """Tell whether the rule ``one`` (bytes) certainly matches every event that ``other`` (bytes) matches."""
    a, b = _view(one), _view(other)
    if a.filter != b.filter or (a.filter in MASKED and b.calls & ~a.calls):
        return False
    return a.conditions <= b.conditions or _numbers_cover(a, b)


def _numbers_cover(a, b):
    """Tell whether each condition of ``a`` is one of ``b``'s, or a limit within which ``b``'s own limits lie."""
    return all(condition in b.conditions or _limit_covers(condition, a.limits, b.limits) for condition in a.conditions)


def _limit_covers(condition, outer, inner):
    field, operator, _value = condition
    in_limits = layout.OPERATOR_NAMES.get(operator, "&") not in BITS and field in outer
    return in_limits and _within(inner.get(field), outer[field])


def _within(inner, outer):
    if inner is None:
        return False
    return inner[0] >= outer[0] and inner[1] <= outer[1] and all(_refused(value, inner) for value in outer[2])


def _refused(value, limits):
    return not limits[0] <= value <= limits[1] or value in limits[2]


def _calls_apart(a, b, execs):
    if a.filter in MASKED and not a.calls & b.calls:
        return True
    # Only execve and execveat have the permission x (linux kernel/auditsc.c: audit_match_perm).
    return any(x.perms and _never_exec(x) and _exec_only(y, execs) for x, y in ((a, b), (b, a)))


def _never_exec(view):
    return not view.perms & EXEC_BIT


def _exec_only(view, execs):
    if view.perms == EXEC_BIT:
        return True
    return view.arch is not None and bool(view.calls) and not view.calls & ~execs(view.arch)


def _limits_apart(a, b):
    for field in a.keys() & b.keys():
        low, high = max(a[field][0], b[field][0]), min(a[field][1], b[field][1])
        if low > high or (low == high and low in a[field][2] | b[field][2]):
            return True
    return False


def _unrelated(a, b):
    if not a.place or not b.place or a.place == b.place:
        return False
    return not (_holds(a.place, b.place) or _holds(b.place, a.place))


def _holds(directory, path):
    return path.startswith(directory.rstrip("/") + "/")


@functools.lru_cache(maxsize=65536)
def _view(rule):
    packed, strings = layout.unpack(rule)
    numbers = [number for number, _operator, _value in packed.fields if number in layout.STRINGS]
    texts = {number: strings[at] for at, number in enumerate(numbers)}
    places = [texts[number] for number in (WATCH, DIR) if number in texts and _equals(packed, number)]
    calls = int.from_bytes(b"".join(word.to_bytes(4, "little") for word in packed.mask), "little")
    return _View(
        packed.filter,
        packed.action,
        texts.get(KEY, ""),
        calls,
        _limits(packed.fields),
        next((value for number, _operator, value in packed.fields if number == PERM), 0),
        posixpath.normpath(places[0]) if places else "",
        _arch(packed),
        _conditions(packed, texts),
    )


def _conditions(packed, texts):
    """Return the conditions that must all hold, with the text of those that have one; a key is none."""
    return frozenset(
        (number, operator, texts.get(number, value)) for number, operator, value in packed.fields if number != KEY
    )


def _equals(packed, number):
    equal = layout.OPERATOR_NUMBERS["="]
    return any(field == number and operator == equal for field, operator, _value in packed.fields)


def _limits(fields):
    """Return for each single-valued field the lowest and highest value that can match, and the values that cannot."""
    limits: dict[int, tuple[int, int, frozenset[int]]] = {}
    for number, operator, value in fields:
        name = layout.OPERATOR_NAMES.get(operator, "&")
        if number in SINGLE and name not in BITS:
            value = int(bool(value)) if number == SUCCESS else value
            low, high, never = limits.get(number, (0, TOP, frozenset()))
            bounds = {"=": (value, value), ">": (value + 1, TOP), ">=": (value, TOP), "<": (0, value - 1)}
            least, most = bounds.get(name, (0, value if name == "<=" else TOP))
            never |= {value} if name == "!=" else frozenset()
            limits[number] = (max(low, least), min(high, most), never)
    return limits


def _arch(packed):
    """Return the architecture (int) that a rule is about, None when it may be another one or several."""
    arch = next((value for number, _operator, value in packed.fields if number == ARCH), None)
    return arch if arch is not None and _equals(packed, ARCH) else None
