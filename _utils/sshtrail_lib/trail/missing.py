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


def ends(block: bytes) -> tuple[dict[str, int], dict[str, int]]:
    """Return the first events and the last at the edges of a block (two dicts of node to int)."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for node, number in _events(block[:EDGE]):
        first[node] = min(number, first.get(node, number))
    for node, number in _events(block[-EDGE:]):
        last[node] = max(number, last.get(node, number))
    return first, last


def holes(block: bytes, begin: int, end: int, goes_on: bool) -> list[tuple[str, int, int]]:
    """
    Return which events are missing in a part of a log (list of the node, and the first and the last, int), and before
    the line behind it, where that ``goes_on``.

    Few lines are looked at: only between two of one host that have more numbers between them than are spare. Where
    several hosts have written by turns, not all is found.
    """
    found: set[tuple[str, int, int]] = set()
    before = max(begin, block.rfind(b"\n", begin, end - 1) + 1)
    waiting = [(begin, before), *([(before, end)] if goes_on else [])]
    while waiting:
        low, high = waiting.pop()
        one, other = _event(block, low), _event(block, high)
        # Where a boot ends, smaller numbers follow.
        if not one or not other or (one[0] == other[0] and one[1] <= other[1] <= one[1] + SPARE):
            continue
        at = (low + high) // 2
        middle = block.find(b"\n", at, high - 1) + 1 or block.rfind(b"\n", low, at) + 1
        if high - low > EDGE and low < middle < high:
            waiting += [(low, middle), (middle, high)]
        elif one[0] == other[0] and one[1] < other[1]:
            near = {one, other, *_events(block[max(0, low - EDGE) : high + EDGE])}
            events = sorted(number for node, number in near if node == one[0] and one[1] <= number <= other[1])
            gaps = ((first + 1, last - 1) for first, last in itertools.pairwise(events) if last - first > SPARE)
            found.update((one[0], *gap) for gap in gaps)
    return sorted(found)


def _event(block, at):
    """Return the node and the number of the first of the next few events in a log (str and int), or None."""
    for _ in range(NEXT):
        found = _of_kernel(HEAD.match(block, at))
        if found:
            return found
        at = block.find(b"\n", at) + 1
        if not at:
            return None
    return None


def _of_kernel(head):
    """Return the node and the number of an event (str and int), None for one of auditd's own: it has its own."""
    if not head or head[2].startswith(b"DAEMON_"):
        return None
    return (head[1] or b"").decode(errors="backslashreplace"), int(head[5])


def _events(edge):
    """Return the nodes and numbers of the events at an edge of a block (list of str and int)."""
    return [found for line in edge.split(b"\n") if (found := _of_kernel(HEAD.match(line)))]
