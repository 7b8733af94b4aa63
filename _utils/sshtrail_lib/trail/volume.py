"""
How much is logged, by what, and how long the disk will hold it.
"""

from __future__ import annotations

import functools
import math
import os
import typing
from collections.abc import Iterator, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.trail import blocks, weigh
from sshtrail_lib.trail.history import moment

DAY = 86400
#: What each list names at most.
MOST = 20


def volume(
    audit: Sequence[str], since: float | None = None, free: int | None = None, until: float = math.inf
) -> dict[str, typing.Any]:
    """
    Return what fills an audit log, and for how long there is room (dict).

    audit
        Its files, or directories of them (sequence of str), as :class:`sshtrail_lib.trail.history.Sources` has them.
    since
        What was logged before that is left out (float, seconds since the epoch), None for all.
    free
        Bytes that the log may still take (int); None asks the file system of the newest file.
    until
        The present (float), where the log is this host's: what is later was made while its clock was wrong.

    ``oldest`` and ``newest`` (ISO 8601 in UTC) are the first and last record, ``days`` (float) what lies between,
    ``bytes_per_day`` and ``events_per_day`` (int) the rate, ``by_key``, ``by_program`` and ``by_person`` (lists of dict
    with ``name``, ``bytes``, ``events``, both a day, and ``share``, float) what it is made of, the largest first;
    ``bytes`` (int) what the files take, ``free`` (int) what is left, ``full_in_days`` (float, None where that cannot be
    told: keep_logs never deletes), and ``advice`` (list of str).

    Raises ``CommandExecutionError`` for a file that cannot be read.
    """
    files = blocks.ordered(audit, moment)
    parts = blocks.pieces(files, since, moment)
    begin = max(since or 0, weigh.EARLIEST)
    work = functools.partial(_work, begin=begin, end=until)
    whole = weigh.added(weigh.Weight(*one) for one in blocks.made(files, parts, work))
    total = sum(size for _, size in whole.by.values())
    # Less than a minute says nothing about a day.
    days = max(whole.last - whole.first, 60) / DAY if whole.first else None
    rate = _a_day(total, days)
    room = _free(files) if free is None else free
    return {
        "oldest": text.iso(oldest) if (oldest := _oldest(files, until)) else None,
        "newest": text.iso(whole.last) if whole.last else None,
        "days": days and round(days, 3),
        "bytes_per_day": rate,
        "events_per_day": _a_day(sum(events for events, _ in whole.by.values()), days),
        **{f"by_{name}": _listed(whole, part, total, days) for part, name in enumerate(("key", "program", "person"))},
        "bytes": sum(os.path.getsize(path) for path in files),
        "free": room,
        "full_in_days": round(room / rate, 1) if rate and room is not None else None,
        "advice": weigh.advice(whole, total),
    }


def _work(block: bytes, _more: Iterator[bytes], begin: float, end: float) -> tuple:
    return tuple(weigh.weight(blocks.without_holes(block), begin, end))


def _listed(whole, part, total, days):
    found = list(weigh.by(whole, part).items())
    return [
        {
            **{"name": name, "bytes": _a_day(size, days), "events": _a_day(events, days)},
            "share": round(size / total, 4),
        }
        for name, (events, size) in found[:MOST]
    ]


def _a_day(number, days):
    return round(number / days) if days else 0


def _oldest(files, until):
    def possible(line):
        when = moment(line)
        return when if when and weigh.EARLIEST <= when <= until else None

    return min(filter(None, (blocks.first(path, possible) for path in files)), default=None)


def _free(files):
    if not files:
        return None
    found = os.statvfs(files[-1])
    return found.f_bavail * found.f_frsize
