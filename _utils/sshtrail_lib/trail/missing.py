"""
Which events of a log are missing: the kernel numbers them one after the other in each boot.

It gives a number only to what it then writes (``audit_log_start`` of kernel/audit.c: what is filtered or finds no room
has none), so that in a log that is whole no number is missing (measured on Linux 6.1 and 6.18).
"""

from __future__ import annotations

import bisect
import re
from collections.abc import Iterable

from sshtrail_lib.trail.audit_log import HEAD

#: Bytes at the edges of a block of which each line is looked at.
EDGE = 2**11
#: So many numbers that are missing tell nothing where only the edges were looked at: records come out of order.
SPARE = 50
#: Gaps that are told one by one.
TOLD = 2
#: Gaps that are remembered of each boot: of a log of which somebody took lines out everywhere not all.
MOST = 50_000
# What begins an event, as far as most logs have it: both are found faster than all lines.
SYSCALL, MESSAGE = b"type=SYSCALL ", b" msg='"
# auditd's own events have numbers of their own.
EVENT = re.compile(
    rb"\n(?:node=([^ \n]*) )?type=(?!DAEMON_)[^ \n]+ msg=audit\([0-9]{1,11}\.[0-9]{1,3}:([0-9]{1,20})\): ?"
)

#: Events of a node (str) that follow one another: the first and the last (int).
Run = tuple[str, int, int]
#: A node (str) and one of its boots (int).
Boot = tuple[str, int]


def edges(block: bytes, start: int = 0, end: int | None = None) -> list[Run]:
    """
    Return what lies between the first and the last events at the edges of a block (list of :data:`Run`).

    start, end
        Where the part of the block begins and ends that is meant (int).
    """
    end = len(block) if end is None else end
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    for node, number in _numbers(block, start, min(end, start + EDGE)):
        first[node] = min(number, first.get(node, number))
    for node, number in _numbers(block, max(start, end - EDGE), end):
        last[node] = max(number, last.get(node, number))
    return sorted((node, min(number, last.get(node, number)), last.get(node, number)) for node, number in first.items())


def _numbers(block, start, end):
    """Return the node and the number of each record between two places of a block (list of str and int)."""
    found = EVENT.findall(b"\n" + block[start:end])
    return [(node.decode(errors="backslashreplace") if node else "", int(number)) for node, number in found]


def runs(block: bytes, messages: int | None = None) -> list[Run]:
    """
    Return which events there are in a block (list of :data:`Run`), in order.

    messages
        How many lines of it have a message (int), None where nobody has counted them yet.
    """
    whole = _unbroken(block, block.count(MESSAGE) if messages is None else messages)
    return _each(block) if whole is None else whole


def _unbroken(block, messages):
    """Return the events (list of Run) of a block whose edges and number of records tell that it has all; None else."""
    first: dict[str, int] = {}
    last: dict[str, int] = {}
    begun = set()
    for node, number, begins in _events(block[:EDGE]):
        if begins:
            first[node] = min(number, first.get(node, number))
        else:
            # What the block before has the beginning of.
            begun.add((node, number, number))
    for node, number, _ in _events(block[-EDGE:]):
        last[node] = max(number, last.get(node, number))
    wanted = sum(last[node] - first[node] + 1 for node in last) if first and first.keys() == last.keys() else -1
    if block.count(SYSCALL) + messages != wanted:
        return None
    before = (run for run in begun if run[1] < first[run[0]])
    return sorted([*((node, first[node], last[node]) for node in first), *before])


def _events(edge):
    """Yield the node, the number and whether the event begins with it, of each line at an edge of a block."""
    for line in edge.split(b"\n"):
        head = HEAD.match(line)
        if head and not head[2].startswith(b"DAEMON_"):
            begins = head[2] == b"SYSCALL" or MESSAGE in line
            yield (head[1] or b"").decode(errors="backslashreplace"), int(head[5]), begins


def _each(block):
    """Return which events there are in a block (list of Run), by looking at each line."""
    found: dict[bytes, set[int]] = {}
    for node, number in {*EVENT.findall(block), *EVENT.findall(b"\n" + block[:EDGE])}:
        found.setdefault(node, set()).add(int(number))
    return [
        (node.decode(errors="backslashreplace"), *run)
        for node, numbers in sorted(found.items())
        for run in _runs(numbers)
    ]


def _runs(numbers: Iterable[int]) -> list[tuple[int, int]]:
    out: list[tuple[int, int]] = []
    for number in sorted(numbers):
        if out and number == out[-1][1] + 1:
            out[-1] = out[-1][0], number
        else:
            out.append((number, number))
    return out


class Missing:
    """
    Which events are missing, as the runs of those that are there come in.

    ``spare`` (int): so many missing ones are none.
    """

    def __init__(self, spare: int = 0) -> None:
        self.spare = spare
        #: The highest event of each boot, and where some are missing (lists of first and last, in order).
        self.most: dict[Boot, int] = {}
        self.gaps: dict[Boot, list[tuple[int, int]]] = {}

    def saw(self, boot: Boot, first: int, last: int) -> None:
        """Take note of the events from ``first`` to ``last`` (int)."""
        most, gaps = self.most.get(boot, first - 1), self.gaps.setdefault(boot, [])
        if first - most - 1 > self.spare:
            gaps.append((most + 1, first - 1))
            if len(gaps) > MOST:
                del gaps[: MOST // 2 : 2]
        elif first <= most:
            _filled(gaps, first, last)
        self.most[boot] = max(most, last)


def _filled(gaps, first, last):
    """Take events out of the gaps: they came late, or in a copy."""
    begin = bisect.bisect_left(gaps, first, key=lambda gap: gap[1])
    end = bisect.bisect_right(gaps, last, key=lambda gap: gap[0])
    if begin < end:
        rest = ((gaps[begin][0], first - 1), (last + 1, gaps[end - 1][1]))
        gaps[begin:end] = [one for one in rest if one[0] <= one[1]]


def between(gaps: list[tuple[int, int]], after: int, until: int, spare: int = 0) -> list[str]:
    """
    Return what is missing between two events (int), in words (list of str).

    gaps
        As :class:`Missing` has them.
    spare
        So many in one place (int) are none.
    """
    begin, end = bisect.bisect_left(gaps, (after + 1,)), bisect.bisect_left(gaps, (until + 1,))
    found = [gap for gap in gaps[begin:end] if gap[1] - gap[0] >= spare]
    rest = sum(last - first + 1 for first, last in found[TOLD:])
    more = f"{rest} more are missing in {len(found) - TOLD} other places" if rest else ""
    return [*(_said(*gap) for gap in found[:TOLD]), *([more] if more else [])]


def _said(first, last):
    if first == last:
        return f"the event {first} is missing from the log"
    return f"the events {first} to {last} are missing from the log"
