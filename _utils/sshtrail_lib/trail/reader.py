"""
The end of the audit log, as far as it can explain anything, and what the host knows beside it: asked, never changed.
"""

from __future__ import annotations

import contextlib
import os
import re
import time
import typing
from collections.abc import Callable, Collection, Iterator, Sequence

from sshtrail_lib.base import directory, opening
from sshtrail_lib.base.programs import LateError
from sshtrail_lib.trail import audit_log, author

#: Where auditd logs unless it is told otherwise.
LOG = "/var/log/audit/audit.log"
#: Bytes of the log's end that are read in any case: some ten thousand records, a tenth of a second.
MOST = 4 * 2**20
#: Bytes that are read at most, from the last moment on in which nothing differed: one command can fill megabytes.
LARGEST = 64 * MOST
#: Bytes that are searched at a time.
PIECE = 2**20
#: Rotated logs that are looked at when the current one is young; auditd keeps 999 at most.
ROTATED = 9
#: How a line begins, whoever logs in which format, and bytes in which that is.
WRITTEN, LONGEST_HEAD = re.compile(rb"(?:node=\S+ )?type=\S+ msg=audit\((\d+\.\d+):"), 1024
# The kernel writes a name with one of these in it as hexadecimal digits (audit_string_contains_control).
ENCODED = re.compile(rb"[^!#-~]")


class Places(typing.NamedTuple):
    """
    Where a host keeps what can differ, and its log.

    sources
        The files of sshd's configuration, and the directories in which one more would count (list of str).
    auditd_conf
        The path of auditd.conf (str).
    logs
        The paths of the audit log (sequence of str), the older first; none where nothing is audited.
    """

    sources: Sequence[str]
    auditd_conf: str
    logs: Sequence[str]


def attribute(
    differences: Sequence[author.Difference],
    places: Places,
    watched: list[tuple[str, str]],
    keys: Callable[[str], tuple[str, ...] | None],
    after: float,
) -> list[dict[str, typing.Any]]:
    """
    Return the differences (list of dict) with who made them: :func:`author.attribute`, asked of this host's log.

    watched, keys, after
        As :class:`author.Trail` has them (``watches``, ``keys``, ``after``).
    """

    def files(found):
        return author.files_of(found, places.auditd_conf, places.sources)

    wanted = {path for found in differences for path in files(found)}
    known = [event for log in places.logs for event in events(log, wanted, after)]
    return author.attribute(
        differences, author.Trail(known, watched, keys, files, after, name_of, changed, time.time())
    )


def events(log: str, paths: Collection[str], after: float = 0.0) -> list[audit_log.Event]:
    """
    Return the events of a log's end that can explain anything: of the kernel's configuration, or about a path.

    log
        The path of the audit log (str); what is missing or cannot be read holds nothing.
    paths
        The files and directories in question (collection of str).
    after
        From when on all is wanted (float, seconds since the epoch), 0 when the end of the log has to do.
    """
    marks = [b"type=CONFIG_CHANGE ", b"type=DAEMON_", *(mark for path in paths for mark in _marks(path))]
    places = _pieces(log, after)
    wanted = {_id(line) for line in _lines(places) if any(mark in line for mark in marks)}
    return list(audit_log.events(line.rstrip(b"\n") for line in _lines(places) if _id(line) in wanted))


def pieces(log: str, after: float) -> Iterator[bytes]:
    """Yield a log's end in pieces of whole lines (bytes), the oldest first; arguments as for :func:`events`."""
    return _read(_pieces(log, after), lambda handle: handle.read(PIECE) + handle.readline())


def _marks(path):
    """Return what a line holds that names ``path`` (str): its last part, for a program may begin where it likes."""
    whole = os.fsencode(path)
    name = os.path.basename(whole)
    return [name, name.hex().upper().encode()] if ENCODED.search(whole) else [name]


def _id(line):
    return line.partition(b"msg=audit(")[2].partition(b")")[0]


def _pieces(path: str, after: float) -> list[tuple[str, int, int]]:
    """Return where to read: files with their first and their last byte, the oldest first; rotated ones are read too."""
    found: list[tuple[str, int, int]] = []
    read = 0
    for name in [path, *(f"{path}.{number}" for number in range(1, ROTATED + 1))]:
        with contextlib.suppress(OSError), open(name, "rb", opener=opening.regular) as handle:
            size = os.fstat(handle.fileno()).st_size
            start = _start(handle, size, read, after)
            found.insert(0, (name, start, size))
            read += size - start
            if start or (read >= MOST and _is_before(handle, 0, after)):
                break
    return found


def _start(handle: typing.BinaryIO, size: int, read: int, after: float) -> int:
    """Return from where on a file is wanted (int), when so much was read already of younger ones."""
    start = max(0, size - max(0, MOST - read))
    while start and read + size - start < LARGEST and not _is_before(handle, start, after):
        start = max(0, start - MOST)
    return start


def _is_before(handle: typing.BinaryIO, start: int, after: float) -> bool:
    """Tell whether the first whole line of a file from ``start`` on is older than ``after``, which may be unknown."""
    handle.seek(start)
    if start:
        handle.readline()
    written = WRITTEN.match(handle.readline(LONGEST_HEAD))
    return not after or (written is not None and float(written[1]) < after)


def _lines(places: list[tuple[str, int, int]]) -> Iterator[bytes]:
    return _read(places, lambda handle: handle.readline())


def _read(places: list[tuple[str, int, int]], take: Callable[[typing.BinaryIO], bytes]) -> Iterator[bytes]:
    """Yield what ``take`` makes of each file from its first whole line to its end, bit by bit (bytes)."""
    for name, start, end in places:
        with contextlib.suppress(OSError), open(name, "rb", opener=opening.regular) as handle:
            handle.seek(start)
            if start:
                handle.readline()
            while handle.tell() < end and (part := take(handle)):
                yield part


def name_of(auid: int) -> str | None:
    """Return the name (str) of the account with a number (int), None for none."""
    try:
        return directory.user_of(auid).pw_name
    except (KeyError, OverflowError, LateError):
        return None


def changed(path: str) -> float | None:
    """Return when the file at ``path`` (str) last changed (float, seconds since the epoch), None for no such file."""
    try:
        return os.stat(path).st_ctime
    except OSError:
        return None
