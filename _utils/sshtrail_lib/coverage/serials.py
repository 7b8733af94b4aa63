"""
The numbers that the kernel gives to its events, one after the other: a number that is in no log was an event.

An event has its number as soon as a record of it is made (kernel/audit.c: audit_log_start, auditsc_get_stamp). What a
rule leaves out has none, nor has what finds no room in the queue. What a rate limit drops had one, and is counted as
lost. They begin anew with each boot.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable

#: How a record names its event, before the number; and how the records begin that are auditd's own.
NAMES, OWN = b" msg=audit(", (b"type=DAEMON_", b" type=DAEMON_")
#: Bytes in which a record names its event: what follows may be somebody's text.
LONGEST_HEAD = 400
#: Events that a kernel can make between two of which the log has the numbers: none makes as many.
MOST = 50_000_000

Span = tuple[int, int]


def numbers(piece: bytes) -> set[int]:
    """Return the numbers (set of int) of the kernel's events in a piece of a log (bytes, whole lines)."""
    found = set()
    for line in piece.split(b"\n"):
        at = line.find(NAMES, 0, LONGEST_HEAD)
        if at < 0 or line.startswith(OWN[0]) or OWN[1] in line[:at]:
            continue
        number = line[line.find(b":", at) + 1 : line.find(b")", at)]
        if number.isdigit():
            found.add(int(number))
    return found


def spans(known: Iterable[int], after: int) -> list[Span]:
    """
    Return which numbers are missing (list of first and last, int each).

    known
        Those that are there (iterable of int).
    after
        The last one before them (int).
    """
    found, last = [], after
    for number in sorted(one for one in known if one > after):
        if number - last > 1:
            found.append((last + 1, number - 1))
        last = number
    return found


def beyond(known: Iterable[int], after: int) -> list[int]:
    """
    Return which numbers (list of int, sorted) this kernel has not come to: somebody has written them there, for whom
    the events before them, or after the next look, were to seem to be those of another one. Arguments as :func:`spans`.
    """
    every, last = sorted(one for one in known if one > after), after
    for at, number in enumerate(every):
        if number - last > MOST:
            return every[at:]
        last = number
    return []


def count(missing: Iterable[Span]) -> int:
    """Return how many numbers are ``missing`` (iterable of first and last)."""
    return sum(last - first + 1 for first, last in missing)


def left(missing: Iterable[Span], told: Collection[int]) -> list[Span]:
    """Return what of the ``missing`` (iterable of first and last) is not ``told`` (collection of int) elsewhere."""
    found = []
    for first, last in missing:
        begins = first
        for number in sorted(one for one in told if first <= one <= last):
            found += [(begins, number - 1)] if number > begins else []
            begins = number + 1
        found += [(begins, last)] if begins <= last else []
    return found


def number(name: bytes) -> int:
    """Return the number (int) in the ``name`` of an event (bytes: ``audit(SECONDS:NUMBER)``)."""
    return int(name.rpartition(b":")[2].rstrip(b")"))
