"""
Lines that others have added to a file of ours stay with whom they are about when ours are taken out.

A line at the end of a file is in its last Match block, also where that is one of ours: the block goes, and the line
would be for everybody. What comes back can take a line in likewise.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from sshtrail_lib.base import merge
from sshtrail_lib.base.merge import Part
from sshtrail_lib.sshd import language
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.language import Line


def settled(found: Sequence[Part], current: bytes, daemon: Daemon) -> bytes:
    """
    Return what a file is to hold (bytes) that would hold ``found`` (sequence of Part): what others have added is in a
    Match block with the same criteria as it is now, if there is a place where it can be.

    current
        What the file holds now (bytes).
    daemon
        The sshd that reads it (Daemon).
    """
    parts, now = list(found), language.parse(current, daemon)
    for head, run in _runs(parts, now, daemon):
        parts = _moved(parts, now[head] if head is not None else None, run, daemon)
    return b"".join(part.line for part in merge.ended(parts))


def _lines(parts: Sequence[Part], daemon: Daemon) -> list[Line]:
    return language.parse(b"".join(part.line for part in merge.ended(parts)), daemon)


def _runs(parts: Sequence[Part], now: Sequence[Line], daemon: Daemon) -> list[tuple[int | None, list[int]]]:
    """
    Return what others have added and no other line divides: the number of the Match line above it in the present file
    (int, from 0; None for none), and the numbers of its lines there.
    """
    told = [part for part, line in zip(parts, _lines(parts, daemon), strict=True) if line.keyword or line.problem]
    added = [part.at if part.theirs and part.at is not None and now[part.at].name != "Match" else None for part in told]
    groups = itertools.groupby(added, key=lambda at: (at is not None, None if at is None else _head(now, at)))
    return [(head, [at for at in run if at is not None]) for (theirs, head), run in groups if theirs]


def _head(lines: Sequence[Line], number: int) -> int | None:
    """Return the number of the Match line (int, from 0) above the line ``number``, None for none."""
    return next((at for at in range(number - 1, -1, -1) if lines[at].name == "Match"), None)


def _moved(parts: list[Part], head: Line | None, run: Sequence[int], daemon: Daemon) -> list[Part]:
    """Return ``parts`` with the lines ``run`` below a Match line that says what the present one, ``head``, does."""
    lines = _lines(parts, daemon)
    places = [at for at, part in enumerate(parts) if part.at in run]
    start, end = _with_comments(parts, lines, places[0]), places[-1] + 1
    ours, above = parts[start:end], _head(lines, start)
    if _says(head) == _says(above if above is None else lines[above]):
        return parts
    while above is not None and parts[above].at is None:
        further = _head(lines, above)
        if _says(head) == _says(further if further is None else lines[further]):
            # What comes back took them in: they go before it.
            above = _with_comments(parts, lines, above)
            return [*parts[:above], *ours, *parts[above:start], *parts[end:]]
        above = further
    if head is None:
        return parts
    # Their block went. Whatever follows and is in no block of its own is not to be in this one either.
    rest = range(end, len(lines))
    behind = next((at for at in rest if lines[at].name == "Match"), len(lines))
    behind = behind if any(lines[at].keyword and not parts[at].theirs for at in range(end, behind)) else end
    return [*parts[:start], *parts[end:behind], Part(head.raw), *ours, *parts[behind:]]


def _says(head: Line | None) -> tuple[str, ...] | None:
    return head.arguments.words if head else None


def _with_comments(parts: Sequence[Part], lines: Sequence[Line], start: int) -> int:
    """Return where the comments above the line ``start`` begin (int) that came, or come back, with it."""
    while start and parts[start - 1].theirs == parts[start].theirs and lines[start - 1].raw.lstrip().startswith(b"#"):
        start -= 1
    return start
