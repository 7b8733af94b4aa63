"""
What files of rules say, kept for the next process: to read and compile a thousand lines costs ten times what the kernel
takes to list them.

It holds for the same files, the same libaudit and library, the same boot, and for as long as the directories and the
accounts that the rules name are what they were.
"""

from __future__ import annotations

import functools
import hashlib
import json
import struct
import typing
from collections.abc import Iterable, Mapping, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.rules import language
from sshtrail_lib.rules.files import Broken, Origin, Place
from sshtrail_lib.rules.language import Control, Rule

#: Of the form of what is kept: another one is nothing.
FORMAT = 2
SIZE = struct.Struct("=I")


class Said(typing.NamedTuple):
    """
    What files say: the ``controls`` (list of Origin), the ``rules`` that a load leaves (``{bytes: Place}``, in order),
    the ``broken`` lines (list of Broken), the rules that are ``repeated`` (set of bytes); which paths and which
    accounts that depends on, and what those were (``watched``, ``named``, lists with an answer each: 2 for a directory,
    1 for something else, 0 for nothing; the number or None). Rules whose directory is gone are among ``rules`` and
    their lines among the ``broken``.
    """

    controls: Sequence[Origin]
    rules: Mapping[bytes, Place]
    broken: Sequence[Broken]
    repeated: frozenset[bytes]
    watched: Sequence[tuple[str, int]]
    named: Sequence[tuple[str, str, int | None]]


class Late:
    """An :class:`sshtrail_lib.rules.files.Origin` whose line is read when somebody asks for its value."""

    def __init__(self, lines: Sequence[bytes], file: str, line: int) -> None:
        self._lines, self.file, self.line = lines, file, line

    @functools.cached_property
    def value(self) -> typing.Any:
        """The rule that the line says."""
        line = self._lines[self.line - 1].rstrip(b"\n")
        found = language.taken(line.decode("utf-8", "surrogateescape"))
        return next(one for one in found if isinstance(one, Rule))


def digest(files: Iterable[tuple[str, bytes]], basis: str) -> str:
    """Return a name (str) for ``files`` (path and content each), read on a host with the ``basis`` (str)."""
    found = hashlib.sha256(f"{FORMAT} {basis}".encode())
    for path, content in files:
        found.update(f"\0{path}\0{len(content)}\0".encode("utf-8", "surrogateescape") + content)
    return found.hexdigest()


def pack(name: str, said: Said) -> bytes:
    """Return what :func:`unpack` reads again (bytes): what files with a ``name`` (str, of :func:`digest`) ``said``."""
    order = {rule: at for at, rule in enumerate(said.rules)}
    head = {
        "name": name,
        "controls": [[one.file, one.line, *one.value] for one in said.controls],
        "rules": [[len(rule), one.file, one.line] for rule, one in said.rules.items()],
        "broken": said.broken,
        "repeated": [order[rule] for rule in said.repeated if rule in order],
        "watched": said.watched,
        "named": said.named,
    }
    data = json.dumps(head).encode()
    return b"".join((SIZE.pack(len(data)), data, *said.rules))


def unpack(kept: bytes, name: str, files: Mapping[str, bytes]) -> Said | None:
    """Return what was ``kept`` (bytes) of ``files`` with a ``name`` (str), None for what is of others or broken."""
    try:
        (size,) = SIZE.unpack_from(kept)
        head = json.loads(kept[SIZE.size : SIZE.size + size])
        return _said(head, kept, SIZE.size + size, files) if head["name"] == name else None
    except (ValueError, KeyError, TypeError, IndexError, struct.error):
        return None


def _said(head, kept, at, files):
    lines = {path: text.lines(content) for path, content in files.items()}
    rules: dict[bytes, Place] = {}
    for length, path, number in head["rules"]:
        rules[kept[at : at + length]] = Late(lines[path], path, number)
        at += length
    if at != len(kept):
        raise ValueError("not whole")
    order = [*rules]
    return Said(
        [Origin(Control(option, value), path, number) for path, number, option, value in head["controls"]],
        rules,
        [Broken(*one) for one in head["broken"]],
        frozenset(order[number] for number in head["repeated"]),
        [tuple(one) for one in head["watched"]],
        [tuple(one) for one in head["named"]],
    )
