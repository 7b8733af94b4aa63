"""
What fills the audit log: its bytes and events by the rule that asked for them, the program, and the person.
"""

from __future__ import annotations

import math
import re
import typing
from collections.abc import Iterable

from sshtrail_lib.base import text
from sshtrail_lib.trail.audit_log import HEX, KEY_SEPARATOR

#: Names that are told apart in a piece of the log: whoever can start programs can give them any number of names.
MOST = 2000
OTHERS = "(others)"
RECORD = re.compile(rb"(?:node=[^ ]* )?type=([A-Z_0-9]+) msg=audit\(([0-9]{1,11})\.[0-9]{1,3}:[0-9]{1,20}\)")
KEY = re.compile(rb" key=(\"[^\"]*\"|[0-9A-F]+)")
PROGRAM = re.compile(rb" exe=(\"[^\"]*\"|[^ '\x1d]+)")
PERSON = re.compile(rb" auid=([0-9]{1,10})")
NAME = re.compile(rb"\x1d(?:.* )?AUID=\"([^\"]*)\"")
UNSET = b"4294967295"
#: When Linux began to audit (2004, seconds since the epoch): a clock that shows less had not been set yet.
EARLIEST = 1072915200

#: The rule's key, the program and the person of an event.
Cause = tuple[str, str, str]


class Weight(typing.NamedTuple):
    """
    What a piece of the log holds: for each cause its events and bytes (``by``, dict of :data:`Cause` to two int), and
    when its records were made (``first``, ``last``, int, seconds since the epoch; 0 for none).
    """

    by: dict[Cause, tuple[int, int]]
    first: int
    last: int


def weight(block: bytes, begin: float = EARLIEST, end: float = math.inf) -> Weight:
    """
    Return what a piece of the log (bytes, whole lines) holds (:class:`Weight`).

    begin, end
        Between which times a record can have been made (float): a clock that was wrong tells no span.
    """
    causes: dict[bytes, Cause] = {}
    found: dict[Cause, list[int]] = {}
    first = last = 0
    for line in block.split(b"\n"):
        head = RECORD.match(line)
        if not head:
            continue
        event = line[line.find(b"(") : head.end()]
        new = event not in causes
        if new:
            causes[event] = _bounded(_cause(head[1], line), found)
            when = int(head[2])
            if begin <= when <= end:
                first, last = min(first or when, when), max(last, when)
        size = found.setdefault(causes[event], [0, 0])
        size[0] += new
        size[1] += len(line) + 1
    return Weight({cause: (events, size) for cause, (events, size) in found.items()}, first, last)


def _bounded(cause, found):
    if cause in found or len(found) < MOST:
        return cause
    return cause[0] if len(found) < 2 * MOST else OTHERS, OTHERS, OTHERS


def _cause(kind, line):
    """Return the cause of an event by its first record: a system call's has the rule's key, others have their type."""
    key, program, person = KEY.search(line), PROGRAM.search(line), PERSON.search(line)
    name = NAME.search(line)
    who = name[1] if name else person[1] if person else b"unset"
    return (
        _key(key[1]) if key else kind.decode(),
        _plain(program[1]) if program else "",
        "unset" if who == UNSET else _plain(who),
    )


def _key(word):
    return ", ".join(text.printable(one) for one in _bytes(word).split(KEY_SEPARATOR))


def _plain(word):
    return text.printable(_bytes(word))


def _bytes(word):
    if word.startswith(b'"'):
        return word[1:-1]
    return bytes.fromhex(word.decode()) if HEX.fullmatch(word) and not word.isdigit() else word


def added(weights: Iterable[Weight]) -> Weight:
    """Return the sum (:class:`Weight`) of what the pieces of a log hold (iterable of Weight)."""
    total: dict[Cause, list[int]] = {}
    first = last = 0
    for one in weights:
        for cause, (events, size) in one.by.items():
            sums = total.setdefault(_bounded(cause, total), [0, 0])
            sums[0] += events
            sums[1] += size
        first = min(first or one.first, one.first or first)
        last = max(last, one.last)
    return Weight({cause: (events, size) for cause, (events, size) in total.items()}, first, last)


def by(whole: Weight, part: int) -> dict[str, tuple[int, int]]:
    """
    Return the events and bytes (dict of str to two int) of a log by one part of their causes, the largest first.

    part
        0 for the rule's key, 1 for the program, 2 for the person (int).
    """
    found: dict[str, tuple[int, int]] = {}
    for cause, (events, size) in whole.by.items():
        before = found.get(cause[part], (0, 0))
        found[cause[part]] = before[0] + events, before[1] + size
    return dict(sorted(found.items(), key=lambda item: -item[1][1]))


def advice(whole: Weight, total: int) -> list[str]:
    """
    Return what to do about what floods a log (list of sentences, str), empty where nothing stands out.

    total
        Its bytes (int).
    """
    found = []
    for cause, (events, size) in sorted(whole.by.items(), key=lambda item: -item[1][1])[:3]:
        key, program, person = cause
        share = size / total if total else 0
        if share < 0.2 or events < 1000:
            continue
        hint = "if nobody needs these, narrow the rule of that key, or have the program do less of it"
        if program.startswith("/") and person == "unset":
            hint = f"if nobody needs these, put a rule before that of the key: -a never,exit -F exe={program}"
        found.append(f"{share:.0%} of the log is of key {key}, {program or 'no program'}, by {person}: {hint}.")
    return found
