"""
Which rules can decide the same event, and so must keep their order; and which match all that others match.
"""

from __future__ import annotations

import functools
import posixpath
import typing
from collections.abc import Callable, Iterator

from sshtrail_lib.rules import layout
from sshtrail_lib.rules.layout import ARCH, DIR, FSTYPE, KEY, PERM, SUCCESS, WATCH

# linux/audit.h: fields that have one value for an event, so that two rules can exclude each other. gid and egid (5, 6)
# have several: the kernel also looks at the supplementary groups (auditsc.c, audit_filter_rules).
SINGLE = {0, 1, 2, 3, 4, 7, 8, 9, 10, ARCH, 12, 18, 25, FSTYPE, 103, SUCCESS, 113, 200, 201, 202, 203}
BITS = ("&", "&=")
# The lists whose rules name system calls or io_uring operations.
MASKED = (4, 7)
EXEC_BIT = 1
TOP = 0xFFFFFFFF
#: How a system call can end, for the kernel: with a success, or a failure.
OUTCOMES = 1, 2
EITHER: tuple[int, int, frozenset[int]] = (*OUTCOMES, frozenset())


class View(typing.NamedTuple):
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
    shape: tuple


def collide(one: bytes, other: bytes, execs: Callable[[int], int]) -> bool:
    """
    Tell whether some event can match both rules (bytes) and be decided differently by either.

    execs
        An architecture's number → the bits of the system calls that execute a program (callable: int → int), as
        :func:`sshtrail_lib.rules.compile.exec_calls` asks libaudit for them.

    Two watches of unrelated places collide only when one of them is a ``never``: a system call that names
    both places is recorded either way, and under either key it is found with its two paths.
    """
    a, b = view_of(one), view_of(other)
    if (a.action, a.key) == (b.action, b.key) or not (a.action or b.action):
        return False
    return not (_apart(a, b, execs) or (a.action and b.action and _unrelated(a, b)))


def exclusive(one: bytes, other: bytes) -> bool:
    """Tell whether no event has values that both rules (bytes) are about, whichever lists they are on."""
    return _limits_apart(view_of(one).limits, view_of(other).limits)


def _apart(a, b, execs):
    """Tell, by all but their places and keys, whether no event can match both."""
    return a.filter != b.filter or _calls_apart(a, b, execs) or _limits_apart(a.limits, b.limits)


def directories(place: str) -> Iterator[str]:
    """Yield every directory above ``place`` (str), which may be none."""
    while len(place) > 1:
        place = place.rpartition("/")[0] or "/"
        yield place


def covers(one: bytes, other: bytes) -> bool:
    """Tell whether the rule ``one`` (bytes) certainly matches every event that ``other`` (bytes) matches."""
    a, b = view_of(one), view_of(other)
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
    return any(never_exec(x) and exec_only(y, execs) for x, y in ((a, b), (b, a)))


def never_exec(view: View) -> bool:
    """Tell whether a rule with a ``view`` matches no execution of a program, by its permissions."""
    return bool(view.perms) and not view.perms & EXEC_BIT


def exec_only(view: View, execs: Callable[[int], int]) -> bool:
    """Tell whether a rule with a ``view`` matches only executions of programs; ``execs`` as for :func:`collide`."""
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
def view_of(rule: bytes) -> View:
    """Return what of a ``rule`` (bytes) tells whether its order counts (:class:`View`)."""
    packed, strings = layout.unpack(rule)
    texts = _texts(packed, strings)
    places = [texts[number] for number in (WATCH, DIR) if number in texts and _equals(packed, number)]
    packed = packed._replace(fields=tuple(filter(_asks, map(_counted, packed.fields))))
    limits, arch = _limits(packed.fields), _arch(packed)
    # What no event can be like meets nothing.
    calls = 0 if any(low > high for low, high, _never in limits.values()) else packed.mask
    perms = next((value for number, _operator, value in packed.fields if number == PERM), 0)
    return View(
        packed.filter,
        packed.action,
        texts.get(KEY, ""),
        calls,
        limits,
        perms,
        posixpath.normpath(places[0]) if places else "",
        arch,
        _conditions(packed, texts),
        (packed.filter, packed.action, calls, perms, arch, frozenset(limits.items())),
    )


def texts_of(rule: bytes) -> dict[int, str]:
    """Return the texts of ``rule`` (bytes) by the numbers of their fields (dict of int to str)."""
    return _texts(*layout.unpack(rule))


def _texts(packed, strings):
    numbers = [number for number, _operator, _value in packed.fields if number in layout.STRINGS]
    return {number: strings[at] for at, number in enumerate(numbers)}


def _conditions(packed, texts):
    """Return the conditions that must all hold, with the text of those that have one; a key is none."""
    return frozenset(
        (number, operator, texts.get(number, value)) for number, operator, value in packed.fields if number != KEY
    )


def _counted(field):
    """Return ``field`` as the kernel compares it: a success is 1 for it and a failure 2, whatever number is there."""
    number, operator, value = field
    return (number, operator, 1 if value else 2) if number == SUCCESS else field


def _asks(field):
    """Tell whether a ``field``, as it is compared, is not so whatever happens."""
    return field[0] != SUCCESS or _limits([field]).get(SUCCESS) != EITHER


def _equals(packed, number):
    equal = layout.OPERATOR_NUMBERS["="]
    return any(field == number and operator == equal for field, operator, _value in packed.fields)


def _limits(fields):
    """Return for each single-valued field the lowest and highest value that can match, and the values that cannot."""
    limits: dict[int, tuple[int, int, frozenset[int]]] = {}
    for number, operator, value in fields:
        name = layout.OPERATOR_NAMES.get(operator, "&")
        if number in SINGLE and name not in BITS:
            low, high, never = limits.get(number, (*(OUTCOMES if number == SUCCESS else (0, TOP)), frozenset()))
            bounds = {"=": (value, value), ">": (value + 1, TOP), ">=": (value, TOP), "<": (0, value - 1)}
            least, most = bounds.get(name, (0, value if name == "<=" else TOP))
            never |= {value} if name == "!=" else frozenset()
            limits[number] = (max(low, least), min(high, most), never)
    return limits


def _arch(packed):
    """Return the architecture (int) that a rule is about, None when it may be another one or several."""
    arch = next((value for number, _operator, value in packed.fields if number == ARCH), None)
    return arch if arch is not None and _equals(packed, ARCH) else None
