"""
The lines of a PAM file as Linux-PAM puts them together, and the tokens of a line.

Source: ``pam_handlers.c`` and ``pam_misc.c`` of Linux-PAM 1.5.2, ``pam_line.c`` of 1.7.0.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator

BLANK = b" \n\t"
#: The longest line before 1.6, with its end (bytes).
BUFFER = 1024


class Line(typing.NamedTuple):
    """A line as Linux-PAM puts it together: its text (bytes), and the file's lines (int, from 1) that it came of."""

    text: bytes
    first: int
    last: int


class Broken(Exception):
    """Linux-PAM gives this file up; an ``include`` of it becomes a line that must fail."""


class Refused(Exception):
    """Linux-PAM ends here, or never ends: no login comes further."""


def lines(data: bytes, modern: bool) -> Iterator[Line]:
    """
    Yield the lines (:class:`Line`) of a file.

    data
        Its content (bytes).
    modern
        Whether Linux-PAM is 1.6.0 or later (bool).

    Raises :class:`Broken` or :class:`Refused` where Linux-PAM comes no further.
    """
    return _whole_lines(data) if modern else _short_lines(data)


def _whole_lines(data: bytes) -> Iterator[Line]:
    held, first, continued = None, 0, False
    for number, raw in enumerate(_split(data), 1):
        bare = raw.rstrip(BLANK)
        more = bare.endswith(b"\\")
        content = bare[:-1] + b" " if more else raw
        ends = not more or b"#" in _until_nul(content)
        piece = content.lstrip(b" \t").partition(b"#")[0] if ends else content.lstrip(b" \t")
        if held is not None or (piece and piece[:1] not in (b"\0", b"\n") if ends else piece):
            first = first if held is not None else number
            held = (held or b"") + piece
        continued = not ends
        if ends and held is not None:
            if _until_nul(held):
                yield Line(_until_nul(held), first, number)
            held = None
    if continued:
        raise Broken("its last line is continued and nothing follows")


def _short_lines(data: bytes) -> Iterator[Line]:
    held, first, place, number = b"", 0, 0, 1
    while True:
        room = BUFFER - len(held)
        if room <= 1:
            raise Refused(f"Linux-PAM reads the lines from {first} on for ever")
        chunk = _split(data[place : place + room - 1])[0] if place < len(data) else b""
        if not chunk:
            break
        place += len(chunk)
        piece, more = _short_piece(_until_nul(chunk))
        first = first or (number if piece else 0)
        if piece and not more:
            yield Line(held + piece, first, number)
        held = (held + piece if more else b"") if piece else held
        first = first if held else 0
        number += chunk.endswith(b"\n")
    if held:
        raise Broken("its last line is continued and nothing follows")


def _short_piece(text: bytes) -> tuple[bytes, bool]:
    """Return what counts of a piece (bytes, empty for nothing), and whether another one follows (bool)."""
    begin = text.lstrip(BLANK)
    if not begin or begin.startswith(b"#"):
        return b"", False
    if b"#" in begin:
        return text.partition(b"#")[0], False
    bare = text.rstrip(BLANK)
    return (bare[:-1] + b" ", True) if bare.endswith(b"\\") else (text, False)


def _split(data: bytes) -> list[bytes]:
    parts = data.split(b"\n")
    return [part + b"\n" for part in parts[:-1]] + ([parts[-1]] if parts[-1] else [])


def _until_nul(data: bytes) -> bytes:
    return data.partition(b"\0")[0]


class Tokens:
    """The tokens of one line, taken one by one; ``[…]`` is one of them, without its edges."""

    def __init__(self, text: bytes) -> None:
        """
        text
            The line (bytes).
        """
        self.rest: bytes | None = text

    def take(self) -> bytes | None:
        """Return the next token (bytes), None when there is none left."""
        begin = (self.rest or b"").lstrip(BLANK)
        if not begin:
            self.rest = None
            return None
        if begin.startswith(b"["):
            return self._bracket(begin)
        end = min((at for at in map(begin.find, (b" ", b"\n", b"\t")) if at >= 0), default=len(begin))
        self.rest = begin[end + 1 :] or None
        return begin[:end]

    def _bracket(self, text: bytes) -> bytes:
        token, at = bytearray(), 1
        while at < len(text) and text[at : at + 1] != b"]":
            at += text[at : at + 2] == b"\\]"
            token += text[at : at + 1]
            at += 1
        self.rest = text[at + 1 :] or None
        return bytes(token)

    def all(self) -> tuple[bytes, ...]:
        """Return the tokens that are left (tuple of bytes)."""
        return tuple(iter(self.take, None))
