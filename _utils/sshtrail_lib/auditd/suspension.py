"""
An auditd that has suspended its log: seen without a guess, told since when, and resumed when there is room.

A suspended auditd holds no log open, which costs nothing to see; then it is asked itself (SIGCONT), and answers in a
file. It has resumed when a message of ours is in the log.
"""

from __future__ import annotations

import os
import signal
import typing

from salt.exceptions import CommandExecutionError

from sshtrail_lib.auditd import daemon as auditd_daemon
from sshtrail_lib.auditd import host, language, space
from sshtrail_lib.auditd.daemon import Daemon, Tail
from sshtrail_lib.auditd.space import Volume
from sshtrail_lib.base import files, kernel, opening, processes, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.trail import audit_log
from sshtrail_lib.trail.audit_log import Record

#: Bytes of a log's end that are read.
MOST = 4 * space.MIB


class Suspended(CommandExecutionError):
    """auditd has suspended its log, and does not go on; the message says why."""


def found(minion: Minion, path: str) -> dict[str, typing.Any] | None:
    """
    Return what is known of an auditd that has suspended its log (dict), None when it has not.

    path
        The configuration file that it works with (str).

    Keys: ``pid`` (int), ``log`` (str), ``since`` (str, ISO 8601 in UTC, the last event in the log; None when that is
    gone) and ``serial`` (int, its number; or None), ``free`` and ``needs`` (int, bytes), ``room`` (bool: it would go
    on), ``lost`` (int, the kernel's own count) and ``said`` (str, a sentence). Nothing is touched.
    """
    daemon = auditd_daemon.find(path)
    data = files.read(path) or b""
    if not daemon.reads or not auditd_daemon.suspended(daemon, language.effective(data, "log_file")):
        return None
    log = language.effective(data, "log_file")
    place = auditd_daemon.rooted(daemon.pid, log)
    volume, newest = _volume(place), space.last(_tail(place)[0])
    known = {
        "pid": daemon.pid,
        "log": log,
        "since": newest and text.iso(newest.time),
        "serial": newest and newest.serial,
        "free": volume.free,
        "needs": space.needed(data, volume),
        "room": space.room(data, volume, _size(place)),
        "lost": kernel.status()["lost"],
    }
    return {**known, "said": text.line(space.suspended(known), 500)}


def resume(minion: Minion, path: str) -> dict[str, typing.Any]:
    """
    Have a suspended auditd write its log again, and return what was lost (dict); empty when it was not suspended.

    path
        As for :func:`found`.

    Keys: ``since`` (str, ISO 8601 in UTC, or None), ``events`` (int, how many are not in the log; None when nobody can
    tell) and ``said`` (str, a sentence). Raises :class:`Suspended` when there is no room, and when it does not go on.
    """
    known = found(minion, path)
    if known is None:
        return {}
    if not known["room"]:
        raise Suspended(known["said"])
    _go_on(minion, auditd_daemon.find(path), known["log"])
    return resumed(path, known["since"], known["serial"])


def resumed(path: str, since: str | None, serial: int | None) -> dict[str, typing.Any]:
    """
    Return what was lost while auditd was suspended (dict, as :func:`resume`), whoever had it go on.

    path
        As for :func:`found`.
    since, serial
        What :func:`found` told then (str and int, or None).
    """
    events = _missing(path, serial)
    return {"since": since, "events": events, "said": space.resumed(since, events)}


def _missing(path: str, serial: int | None) -> int | None:
    daemon, data = auditd_daemon.find(path), files.read(path) or b""
    if serial is None or not daemon.reads:
        return None
    records, whole = _tail(auditd_daemon.rooted(daemon.pid, language.effective(data, "log_file")))
    return space.missing(records, serial, whole)


def _go_on(minion: Minion, daemon: Daemon, log: str) -> None:
    """Tell auditd to resume, and wait until it holds its log and a message of ours is in it."""
    tail = Tail(auditd_daemon.rooted(daemon.pid, log))
    host.send(daemon, signal.SIGUSR2)
    try:
        host.wait(minion, "it did not open its log", lambda: processes.writes(daemon.pid, log))
        if kernel.status()["enabled"]:
            host.wait(minion, "a message of ours did not arrive in it", host.heard(minion, tail))
    except host.DaemonFailed as exc:
        raise Suspended(f"auditd (pid {daemon.pid}) was told to resume {log}, and {exc.message}") from exc


def _volume(place: str) -> Volume:
    try:
        about = os.statvfs(os.path.dirname(place))
    except OSError:
        # Where there is no directory there is no room.
        return Volume(0, 0, 1)
    return Volume(about.f_blocks * about.f_frsize, about.f_bavail * about.f_frsize, about.f_frsize)


def _size(place: str) -> int:
    try:
        return os.stat(place).st_size
    except FileNotFoundError:
        return 0


def _tail(place: str) -> tuple[list[Record], bool]:
    """Return the records of a log's end (list of Record), and whether that is all of it (bool)."""
    try:
        with open(place, "rb", opener=opening.regular) as handle:
            start = max(0, os.fstat(handle.fileno()).st_size - MOST)
            handle.seek(start)
            lines = handle.read(MOST).split(b"\n")
    except FileNotFoundError:
        return [], False
    return list(audit_log.records(lines[1:] if start else lines)), not start
