"""
Taking one's own change out of a file that others may have changed since.
"""

from __future__ import annotations

import difflib
import typing
from collections.abc import Iterator, Sequence

from sshtrail_lib.base import text

#: Where a line is in another version of the file: from and to (int); an empty range is where it was.
_Range = tuple[int, int]


def taken_back(before: bytes | None, after: bytes | None, current: bytes | None) -> bytes | None:
    """
    Return what a file would hold if one change of it had never been made.

    before, after
        What that change replaced, and what it made of it (bytes, None for no file).
    current
        What the file holds now (bytes, None for no file).

    Lines that others have added since stay; a line of the change that somebody has altered (its first word is the same)
    is still one of the change. What the change took away comes back where its neighbours are.
    """
    if current in (before, after):
        return before
    if after is None or current is None:
        return current
    merged = _merged(*(text.lines(data or b"") for data in (before, after, current)))
    return merged or (None if before is None else b"")


class Part(typing.NamedTuple):
    """
    A line of what a file would hold.

    line
        Its bytes, line ending included.
    at
        Its number in the present file (int, from 0), None for one that comes back.
    theirs
        Whether others have added it since (bool).
    """

    line: bytes
    at: int | None = None
    theirs: bool = False


class _Piece(typing.NamedTuple):
    """Lines of the present file (from, to) that give way to others."""

    start: int
    end: int
    lines: Sequence[bytes]


def _merged(before: Sequence[bytes], after: Sequence[bytes], current: Sequence[bytes]) -> bytes:
    return b"".join(part.line for part in parts(before, after, current))


def parts(before: Sequence[bytes], after: Sequence[bytes], current: Sequence[bytes]) -> list[Part]:
    """Return the lines (list of Part) of what :func:`taken_back` returns for the lines of three versions of a file."""
    ours = {number for one in _places(after, current) if one for number in range(*one)}
    result = [Part(line, number, number not in ours) for number, line in enumerate(current)]
    # From the end on: then what is still to do stands where it stood, and of two at one place the first comes first.
    for piece in sorted(_pieces(before, after, current), key=lambda piece: piece[:2])[::-1]:
        result[piece.start : piece.end] = map(Part, piece.lines)
    return ended(result)


def ended(found: Sequence[Part]) -> list[Part]:
    """Return the lines ``found`` (sequence of Part) with an end for each (list of Part), but for the last one."""
    return [one if one.line.endswith(b"\n") else one._replace(line=one.line + b"\n") for one in found[:-1]] + [
        *found[-1:]
    ]


def _pieces(before: Sequence[bytes], after: Sequence[bytes], current: Sequence[bytes]) -> Iterator[_Piece]:
    places = list(_places(after, current))
    for tag, i1, i2, j1, j2 in _steps(after, before):
        if tag == "delete":
            yield from (_Piece(*one, ()) for one in places[i1:i2] if one)
        elif tag == "insert":
            yield from _again(places, i1, before[j1:j2], current)
        elif tag == "replace":
            yield from _replaced(places[i1:i2], before[j1:j2], current)


def _replaced(places: Sequence[_Range | None], lines: Sequence[bytes], current: Sequence[bytes]) -> Iterator[_Piece]:
    there = [one for one in places if one]
    # Whoever brought the whole file anew brought these lines too.
    if there and list(current[there[0][0] : there[0][0] + len(lines)]) != list(lines):
        first, *others = there
        yield _Piece(*first, lines)
        yield from (_Piece(*one, ()) for one in others)


def _again(
    places: Sequence[_Range | None], at: int, lines: Sequence[bytes], current: Sequence[bytes]
) -> Iterator[_Piece]:
    """What was taken away comes back between its neighbours, if it has not come back already."""
    above = places[at - 1] if at else (0, 0)
    below = places[at] if at < len(places) else (len(current), len(current))
    start, end = above[1] if above else None, below[0] if below else None
    if start is not None and end is not None and set(lines) <= set(current[start:end]):
        return
    where = start if start is not None else end
    if where is not None:
        yield _Piece(where, where, lines)


def _places(after: Sequence[bytes], current: Sequence[bytes]) -> Iterator[_Range | None]:
    """Yield for each line of ``after`` where it is in ``current``, or was cut out; None where nobody knows."""
    for tag, i1, i2, j1, j2 in _steps(after, current):
        if tag == "equal":
            yield from ((j1 + number, j1 + number + 1) for number in range(i2 - i1))
        elif tag == "delete":
            yield from ((j1, j1) for _line in range(i2 - i1))
        elif tag == "replace":
            yield from _altered(after[i1:i2], current[j1:j2], j1)


def _altered(ours: Sequence[bytes], theirs: Sequence[bytes], offset: int) -> Iterator[_Range | None]:
    """The same for lines in whose place there are others: those with the same first word are these, altered."""
    words = ([line.replace(b"=", b" ").lower().split()[:1] for line in lines] for lines in (ours, theirs))
    for tag, i1, i2, j1, _j2 in _steps(*([b"".join(word) for word in each] for each in words)):
        for number in range(i2 - i1):
            start = offset + j1 + number
            yield (start, start + 1) if tag == "equal" else None


def _steps(old: Sequence[bytes], new: Sequence[bytes]) -> Sequence[tuple[str, int, int, int, int]]:
    return difflib.SequenceMatcher(None, old, new, autojunk=False).get_opcodes()
