"""
The end of the audit log, as far as it can explain anything, and what the host knows beside it: asked, never changed.
"""

from __future__ import annotations

import os
import pwd
import re
import time
import typing
from collections.abc import Callable, Collection, Sequence

from sshtrail_lib.trail import audit_log, author

#: Where auditd logs unless it is told otherwise.
LOG = "/var/log/audit/audit.log"
#: Bytes of the log's end that are read: some ten thousand records, a tenth of a second.
MOST = 4 * 2**20
#: Rotated logs that are looked at when the current one is young; auditd keeps 999 at most.
ROTATED = 9
# The kernel writes a name with one of these in it as hexadecimal digits (audit_string_contains_control).
ENCODED = re.compile(rb"[^!#-~]")


class Places(typing.NamedTuple):
    """
    Where a host keeps what can differ, and its log.

    sources
        The files of sshd's configuration, and the directories in which one more would count (list of str).
    auditd_conf
        The path of auditd.conf (str).
    log
        The path of the audit log (str), None where nothing is audited.
    """

    sources: Sequence[str]
    auditd_conf: str
    log: str | None


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
    known = events(places.log, wanted) if places.log else []
    return author.attribute(
        differences, author.Trail(known, watched, keys, files, after, name_of, changed, time.time())
    )


def events(log: str, paths: Collection[str]) -> list[audit_log.Event]:
    """
    Return the events of a log's end that can explain anything: of the kernel's configuration, or about a path.

    log
        The path of the audit log (str); what is missing or cannot be read holds nothing.
    paths
        The files and directories in question (collection of str).
    """
    lines = _tail(log)
    marks = [b"type=CONFIG_CHANGE ", b"type=DAEMON_", *(mark for path in paths for mark in _marks(path))]
    wanted = {_id(line) for line in lines if any(mark in line for mark in marks)}
    return list(audit_log.events(line for line in lines if _id(line) in wanted))


def _marks(path):
    """Return what a line holds that names ``path`` (str): its last part, for a program may begin where it likes."""
    whole = os.fsencode(path)
    name = os.path.basename(whole)
    return [name, name.hex().upper().encode()] if ENCODED.search(whole) else [name]


def _id(line):
    return line.partition(b"msg=audit(")[2].partition(b")")[0]


def _tail(path):
    """Return the last lines (list of bytes) of a log and of those that were rotated away, the oldest first."""
    pieces: list[bytes] = []
    left = MOST
    for name in [path, *(f"{path}.{number}" for number in range(1, ROTATED + 1))]:
        piece = _end_of(name, left) if left > 0 else b""
        left -= len(piece)
        pieces.insert(0, piece)
    return b"".join(pieces).splitlines()


def _end_of(path, most):
    """Return the last bytes of a file from the beginning of a line, nothing of one that cannot be read."""
    try:
        with open(path, "rb") as handle:
            start = max(0, os.fstat(handle.fileno()).st_size - most)
            handle.seek(start)
            data = handle.read(most)
    except OSError:
        return b""
    return data.partition(b"\n")[2] if start else data


def name_of(auid: int) -> str | None:
    """Return the name (str) of the account with a number (int), None for none."""
    try:
        return pwd.getpwuid(auid).pw_name
    except (KeyError, OverflowError):
        return None


def changed(path: str) -> float | None:
    """Return when the file at ``path`` (str) last changed (float, seconds since the epoch), None for no such file."""
    try:
        return os.stat(path).st_ctime
    except OSError:
        return None
