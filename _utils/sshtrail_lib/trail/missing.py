"""
Which events of a log are missing: the kernel numbers them one after the other in each boot.
"""

from __future__ import annotations

import itertools

from sshtrail_lib.trail.audit_log import HEAD

#: Bytes at the edges of a block of which the events are known, and how many may be elsewhere or nowhere in between.
EDGE, SPARE = 2**11, 50
#: Lines that are looked at for one of an event with a number of the kernel's.
NEXT = 8


def ends(block: bytes) -> tuple[int | None, int | None]:
    """Return the first event and the last of a block of one host's log (two of int, None where that is not told)."""
    return min(_events(block[:EDGE]), default=None), max(_events(block[-EDGE:]), default=None)


def holes(block: bytes, begin: int, end: int, goes_on: bool) -> list[tuple[int, int]]:
    """
    Return which events are missing in a part of one host's log (list of the first and the last, int), and before the
    line behind it, where that ``goes_on``.

    Few lines are looked at: only between two that have more numbers between them than are spare.
    """
    found: set[tuple[int, int]] = set()
    before = max(begin, block.rfind(b"\n", begin, end - 1) + 1)
    waiting = [(begin, before), *([(before, end)] if goes_on else [])]
    while waiting:
        low, high = waiting.pop()
        first, last = _number(block, low), _number(block, high)
        # Where a boot ends, smaller numbers follow.
        if first is None or last is None or first <= last <= first + SPARE:
            continue
        at = (low + high) // 2
        middle = block.find(b"\n", at, high - 1) + 1 or block.rfind(b"\n", low, at) + 1
        if high - low > EDGE and low < middle < high:
            waiting += [(low, middle), (middle, high)]
        elif first < last:
            near = {first, last, *_events(block[max(0, low - EDGE) : high + EDGE])}
            events = sorted(number for number in near if first <= number <= last)
            found.update((one + 1, two - 1) for one, two in itertools.pairwise(events) if two - one > SPARE)
    return sorted(found)


def _number(block, at):
    """Return the number of the first of the next few events of one host in its log (int), or None."""
    for _ in range(NEXT):
        head = HEAD.match(block, at)
        if head and head[1] is None and not head[2].startswith(b"DAEMON_"):
            return int(head[5])
        at = block.find(b"\n", at) + 1
        if not at:
            return None
    return None


def _events(edge):
    """Return the numbers of the events (list of int) at an edge of a block of one host's log."""
    heads = [head for line in edge.split(b"\n") if (head := HEAD.match(line))]
    # auditd's own records have numbers of its own.
    return [int(head[5]) for head in heads if head[1] is None and not head[2].startswith(b"DAEMON_")]
