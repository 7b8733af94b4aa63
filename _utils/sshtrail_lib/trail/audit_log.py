"""
The audit log as text that nobody may trust: records, and the events that they make up.

Sources: the record grammar as auditd 3.0 to 4.1 and Linux 6.18 write it, libaudit's encoding of untrusted strings
(``audit_encode_nv_string(3)``). Every function takes time in proportion to the text, whatever a user managed to get
logged.
"""

from __future__ import annotations

import collections
import re
import typing
from collections.abc import Callable, Collection, Iterable, Iterator

from sshtrail_lib.base import text

# Enriched logs put the interpretations of the numbers after this byte (auditd.conf(5), log_format).
ENRICHED = b"\x1d"
HEAD = re.compile(rb"(?:node=([^ ]*) )?type=([^ ]+) msg=audit\(([0-9]{1,11})\.([0-9]{1,3}):([0-9]{1,20})\): ?")
NAME = re.compile(rb"[^ =]+")
HEX = re.compile(rb"(?:[0-9A-Fa-f]{2})+")
ARGUMENT = re.compile(rb"a([0-9]{1,9})(?:\[([0-9]{1,9})\])?")
# What the kernel and libaudit write quoted, or as hexadecimal digits when it holds a space, a quote or worse.
ENCODED = frozenset(
    b"acct cmd comm cwd data device dir exe file grp key name new-disk new-grp new-net new-vcpu ocomm old-disk path "
    b"proctitle vm watch".split()
)
#: How much of the arguments the kernel writes as the title of a process (kernel/auditsc.c, MAX_PROCTITLE_AUDIT_LEN).
TITLE = 128
KEY_SEPARATOR, NO_KEY = b"\x01", b"(null)"

#: Where a mark is in a text from a place on, -1 for nowhere; :meth:`bytes.find`, or what is faster.
Find = Callable[[bytes, bytes, int], int]


class Record(typing.NamedTuple):
    """
    One line of the audit log.

    ``node`` (str, "" for none), ``type`` (str), ``seconds`` and ``milliseconds`` since the epoch, ``serial`` (int);
    ``fields`` (dict of str to decoded bytes), ``message`` (the same, from inside the ``msg='…'`` that a program
    wrote) and ``names`` (the same, what auditd itself looked up for numbers; keys in capitals).
    """

    node: str
    type: str
    seconds: int
    milliseconds: int
    serial: int
    fields: dict[str, bytes]
    message: dict[str, bytes]
    names: dict[str, bytes]

    @property
    def event(self) -> tuple[str, int, int, int]:
        """What all records of one event share (tuple): node, seconds, milliseconds, serial."""
        return self.node, self.seconds, self.milliseconds, self.serial

    @property
    def time(self) -> float:
        """When it was made (float, seconds since the epoch)."""
        return self.seconds + self.milliseconds / 1000

    @property
    def keys(self) -> list[str]:
        """The keys of the rule that the record is about (list of str), empty for none."""
        value = self.fields.get("key", NO_KEY)
        return [] if value == NO_KEY else [text.printable(key) for key in value.split(KEY_SEPARATOR)]

    def text(self, name: str) -> str | None:
        """Return the field ``name`` (str), the kernel's before a program's, as printable str, or None."""
        value = self.fields.get(name, self.message.get(name))
        return None if value is None else text.printable(value)


class Event(typing.NamedTuple):
    """The records (tuple of :class:`Record`) of one event, in the order in which they came."""

    records: tuple[Record, ...]

    @property
    def id(self) -> tuple[str, int, int, int]:
        """Node, seconds, milliseconds and serial (tuple)."""
        return self.records[0].event

    def first(self, kind: str) -> Record | None:
        """Return the first record of the type ``kind`` (str), or None."""
        return next((record for record in self.records if record.type == kind), None)

    @property
    def arguments(self) -> list[bytes]:
        """What was executed (list of bytes), long arguments and long lists put together; empty without EXECVE."""
        pieces: dict[int, dict[int, bytes]] = collections.defaultdict(dict)
        for record in self.records:
            for name, value in record.fields.items() if record.type == "EXECVE" else ():
                found = ARGUMENT.fullmatch(name.encode())
                if found:
                    pieces[int(found[1])][int(found[2] or 0)] = value
        return [b"".join(parts[number] for number in sorted(parts)) for _, parts in sorted(pieces.items())]

    @property
    def time(self) -> float:
        """When it was made (float, seconds since the epoch)."""
        return self.records[0].time

    @property
    def keys(self) -> list[str]:
        """The keys of the rules that matched (list of str)."""
        record = self.first("SYSCALL")
        return record.keys if record else []


def is_short_of(argv: Collection[bytes], title: bytes) -> bool:
    """
    Tell whether arguments (collection of bytes) were cut (bool), by the title (bytes) that the kernel took from them.

    Of hexadecimal digits nobody sees where they were cut, if not in the middle of a byte. The title can be that of what
    the process was before (measured on Linux 6.18): then it tells nothing.
    """
    if sum(map(len, argv)) >= TITLE:
        return False
    known = b"\0".join(argv)
    return title.startswith(known) and title[len(known) :][:1] not in (b"", b"\0")


def marked(block: bytes, mark: bytes, before: bytes = b"", find: Find = bytes.find) -> Iterator[tuple[int, bytes]]:
    """
    Yield where each line begins that holds ``mark``, and the line; once, however often it holds it.

    before
        What the first mark of a line must be the end of (bytes).
    """
    at = find(block, mark, 0)
    while at >= 0:
        end = block.find(b"\n", at)
        end = len(block) if end < 0 else end
        if not before or block.startswith(before, at + len(mark) - len(before)):
            start = block.rfind(b"\n", 0, at) + 1
            yield start, block[start:end]
        at = find(block, mark, end)


def records(lines: Iterable[bytes]) -> Iterator[Record]:
    """
    Read the audit log.

    lines
        Lines (iterable of bytes), with or without their line feeds. What is no record is passed over.

    Yields :class:`Record`.
    """
    for line in lines:
        found = record(line)
        if found:
            yield found


def record(line: bytes) -> Record | None:
    """
    Return the :class:`Record` in ``line`` (bytes), or None when there is none.

    Of a field that stands twice the first counts: what follows may be somebody's text.
    """
    head = HEAD.match(line)
    if not head:
        return None
    node, kind, seconds, milliseconds, serial = head.groups()
    body, _, looked_up = line[head.end() :].rstrip(b"\r\n").partition(ENRICHED)
    own, message = _split(body)
    execve = kind == b"EXECVE"
    return Record(
        text.printable(node or b""),
        text.printable(kind),
        int(seconds),
        int(milliseconds),
        int(serial),
        _fields(own, execve),
        _fields(message),
        _fields(looked_up),
    )


def _split(body):
    """Split ``body`` into the record's own fields and those inside ``msg='…'``, which a program wrote."""
    own, found, message = body.partition(b" msg='")
    if found:
        return own, message.removesuffix(b"'")
    return (b"", body[5:].removesuffix(b"'")) if body.startswith(b"msg='") else (body, b"")


def _fields(body, execve=False):
    found: dict[str, bytes] = {}
    for name, value in _pairs(body):
        found.setdefault(text.printable(name), _value(name, value, execve))
    return found


def _pairs(body):
    """Yield names and values as written; a word without ``=`` belongs to the bare value before it, or to nothing."""
    name, start, end, position = b"", 0, 0, 0
    while word := NAME.search(body, position):
        position = word.end()
        if body[position : position + 1] == b"=":
            if name:
                yield name, body[start:end]
            name, start = word[0], position + 1
            end = position = _after_value(body, start)
        elif body[start : start + 1] != b'"':
            end = position
    if name:
        yield name, body[start:end]


def _after_value(body, start):
    quoted = body[start : start + 1] == b'"'
    end = body.find(b'"', start + 1) + 1 if quoted else body.find(b" ", start)
    return end if end > 0 else len(body)


def _value(name, value, execve):
    if value.startswith(b'"'):
        return value[1:].removesuffix(b'"')
    if (name in ENCODED or (execve and ARGUMENT.fullmatch(name))) and HEX.fullmatch(value):
        return bytes.fromhex(value.decode())
    return value


def events(lines: Iterable[bytes], window: int = 5, most: int = 10_000) -> Iterator[Event]:
    """
    Put the records of each event together, which auditd writes neither in one piece nor in order.

    lines
        Lines of the audit log (iterable of bytes).
    window
        Seconds (int): an event is whole when the log has moved on, or back, by more than that.
    most
        How many events may be open at once (int), so that nobody can fill the memory.

    Yields :class:`Event`, those of one node in the order of their first records.
    """
    nodes: dict[str, dict[tuple, list[Record]]] = collections.defaultdict(dict)
    held = 0
    for found in records(lines):
        waiting = nodes[found.node]
        held += found.event not in waiting
        waiting.setdefault(found.event, []).append(found)
        # Each node has a clock of its own, so that it can close only its own events.
        while abs(found.seconds - next(iter(waiting))[1]) > window or (held > most and len(waiting) > 1):
            held -= 1
            yield _first(waiting)
    for waiting in nodes.values():
        while waiting:
            yield _first(waiting)


def _first(waiting):
    return Event(tuple(waiting.pop(next(iter(waiting)))))
