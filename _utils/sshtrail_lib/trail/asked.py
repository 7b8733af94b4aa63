"""
The questions about a host's trail, from what somebody wrote to the answer as plain data.
"""

from __future__ import annotations

import collections
import datetime
import os
import re
import typing
import zoneinfo
from collections.abc import Iterable, Mapping

from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.trail import blocks, export, history, moments, notable, people, questions, shown
from sshtrail_lib.trail.history import Sources, Wanted
from sshtrail_lib.trail.people import People
from sshtrail_lib.trail.session import Session, told
from sshtrail_lib.trail.told import SSHD, UNSET

Told = dict[str, typing.Any]
FORMATS = ("data", "table", *export.FORMATS)
LOGS = ("audit", "sshd", "journal", "zone", "host")
ZONE = re.compile(r"([+-])([01][0-9]|2[0-3]):?([0-5][0-9])")


class Trail(typing.NamedTuple):
    """Where the logs are (:class:`~sshtrail_lib.trail.history.Sources`), and who is who (mapping)."""

    sources: Sources
    people: People


def of_this_host(log: str, sshd_logs: Iterable[str], host: str) -> Sources:
    """
    Return the :class:`~sshtrail_lib.trail.history.Sources` of the host that this runs on.

    log
        auditd's log file (str).
    sshd_logs
        The files to which syslog writes sshd's messages (iterable of str); the journal is asked too.
    host
        Its name (str).
    """
    audit = blocks.rotated(log)
    alive = frozenset(int(name) for name in os.listdir("/proc") if name.isdigit())
    sshd = [one for path in sshd_logs for one in blocks.rotated(path)]
    here = frozenset(ses for pid in alive if (ses := _served_by(pid)) is not None)
    return Sources(audit, sshd, None, host, None, alive, here)


def _served_by(pid: int) -> int | None:
    """Return the kernel's session (int) that a process of sshd's serves as root, None for another process."""
    try:
        with open(f"/proc/{pid}/comm") as comm, open(f"/proc/{pid}/sessionid") as number:
            ours = comm.read().rstrip("\n") in SSHD and os.fstat(number.fileno()).st_uid == 0
            session = int(number.read())
            return session if ours and session != UNSET else None
    except (OSError, ValueError):
        return None


def of_copies(logs: object) -> Sources:
    """
    Return the :class:`~sshtrail_lib.trail.history.Sources` of logs that were copied (mapping): ``audit``, ``sshd`` and
    ``journal`` (path or list of paths; files or directories), ``zone`` (``UTC``, ``+02:00`` or ``Europe/Berlin``:
    that of syslog's old time stamps) and ``host`` (str).

    Raises SaltInvocationError for anything else, and for a path that is not there.
    """
    if not isinstance(logs, Mapping):
        raise SaltInvocationError(f"logs must be a mapping with some of {', '.join(LOGS)}, not {logs!r}.")
    unknown = [str(name) for name in logs if name not in LOGS]
    if unknown:
        raise SaltInvocationError(f"logs:{unknown[0]} is unknown; allowed are {', '.join(LOGS)}.")
    audit, sshd, journal = (_paths(name, logs.get(name)) for name in LOGS[:3])
    return Sources(audit, sshd, journal, str(logs.get("host") or ""), _zone(logs.get("zone")))


def _paths(name: str, value: object) -> list[str]:
    found = [value] if isinstance(value, str) else value or []
    if not isinstance(found, list) or not all(isinstance(path, str) for path in found):
        raise SaltInvocationError(f"logs:{name} must be a path or a list of paths, not {value!r}.")
    for path in found:
        if not os.path.exists(path):
            raise SaltInvocationError(f"logs:{name}: there is no {path}.")
    return found


def _zone(value: object) -> datetime.tzinfo | None:
    if value in (None, ""):
        return None
    sign = ZONE.fullmatch(str(value))
    if sign:
        minutes = int(sign[2]) * 60 + int(sign[3])
        return datetime.timezone(datetime.timedelta(minutes=-minutes if sign[1] == "-" else minutes))
    try:
        return datetime.timezone.utc if value == "UTC" else zoneinfo.ZoneInfo(str(value))
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError) as exc:
        known = "write UTC, an offset such as +02:00, or a zone such as Europe/Berlin"
        raise SaltInvocationError(f"logs:zone is {value!r}; {known}.") from exc


def between(since: object, until: object) -> Wanted:
    """Return what lies between two times as people write them (:class:`~sshtrail_lib.trail.history.Wanted`)."""
    # Without a zone: that of this host has summer time.
    now = datetime.datetime.now()
    wanted = Wanted(moments.parse(since, "since", now), moments.parse(until, "until", now))
    if wanted.since is not None and wanted.until is not None and wanted.since > wanted.until:
        raise SaltInvocationError(f"since ({since}) is later than until ({until}).")
    return wanted


def sessions(
    trail: Trail, wanted: Wanted, limit: object = None, commands: object = False, **asked: object
) -> list[Told]:
    """
    Return sessions (list of dict, see :func:`sshtrail_lib.trail.session.told`) in the order of their beginning.

    trail, wanted
        :class:`Trail`, and what :func:`between` returned.
    limit
        No more than the last so many (int), None for all.
    commands
        Whether their commands are told (bool), and not just how many.
    asked
        As for :func:`sshtrail_lib.trail.questions.query`.

    Raises SaltInvocationError for what cannot be asked, CommandExecutionError for a log that cannot be read.
    """
    if limit is not None and (isinstance(limit, bool) or not isinstance(limit, int) or limit < 1):
        raise SaltInvocationError(f"limit is {limit!r}; it must be a whole number from 1.")
    query = questions.query(**asked)
    whole = bool(commands)
    wanted = wanted._replace(commands=whole or query.reads_commands)
    found: collections.deque[Told] = collections.deque(maxlen=limit)
    for one in _sessions(trail, wanted):
        if questions.matches(one, query):
            found.append(_plain(one, whole))
    return list(found)


def _sessions(trail: Trail, wanted: Wanted) -> Iterable[Session]:
    try:
        for one in history.sessions(trail.sources, wanted):
            yield people.named(one, trail.people)
    except OSError as exc:
        raise CommandExecutionError(f"Cannot read {exc.filename}: {exc.strerror}") from exc


def logins(trail: Trail, since: float | None, ids: Iterable[str] | None = None, commands: bool = False) -> list[Told]:
    """
    Return the sessions (list of dict) since a time, each with the ``pid`` (int) that serves it, for one who watches.

    since
        Seconds since the epoch (float), None for all that the logs hold.
    ids
        Which sessions (iterable of str), None for all.
    commands
        Whether the commands are told (bool); else not even their number is.
    """
    wanted, asked = Wanted(since=since, commands=commands or None), None if ids is None else set(ids)
    # One that is idle is no news, and its beginning may be far back.
    trail = trail._replace(sources=trail.sources._replace(here=frozenset()))
    found = (one for one in _sessions(trail, wanted) if asked is None or one.id in asked)
    return [{**_plain(one, commands), "pid": one.pid} for one in found]


def first_logins(trail: Trail) -> dict[str, str]:
    """Return the first session of each account that the logs hold (dict of account to id)."""
    found: dict[str, str] = {}
    for one in _sessions(trail, Wanted(commands=None)):
        found.setdefault(one.user or "", one.id)
    return found


def told_of(trail: Trail, wanted: Wanted, tell: Mapping[str, typing.Any]) -> list[Told]:
    """
    Return the sessions that are notable (list of dict), each with the ``reasons`` why (list of str).

    trail, wanted
        :class:`Trail`, and what :func:`between` returned.
    tell
        The policy's ``sessions:tell`` (mapping).
    """
    first = first_logins(trail) if tell["new_account"] else {}
    found = []
    for one in _sessions(trail, wanted._replace(commands=None)):
        told_ = _plain(one, False)
        why = notable.reasons(told_, tell, first.get(one.user or ""))
        found += [{**told_, "reasons": why}] if why else []
    return found


def _plain(one: Session, whole: bool) -> Told:
    if not whole and one.commands is not None:
        one.commands = questions.started(one)
    return text.plain(told(one))


def session(trail: Trail, name: object) -> Told:
    """
    Return one session with all that is known of it (dict); ``name`` is its id, or the kernel's number (str), and before
    the id may stand its host and a slash.

    Raises CommandExecutionError where there is none, or several have that number.
    """
    identity = str(name)
    wanted = Wanted(commands=True, id=identity.rpartition("/")[2] if "@" in identity else None)
    query = questions.query(session=identity)
    found = [_plain(one, True) for one in _sessions(trail, wanted) if questions.matches(one, query)]
    if not found:
        raise CommandExecutionError(f"There is no session {identity!r} in the logs at hand.")
    if len(found) > 1:
        ids = [one["id"] for one in found]
        ids = ids if len(set(ids)) == len(ids) else [f"{one['host']}/{one['id']}" for one in found]
        several = ", ".join(ids[:10])
        raise CommandExecutionError(f"Several sessions have the number {identity}: {several}. Name one by its id.")
    return found[0]


def failures(trail: Trail, wanted: Wanted) -> list[Told]:
    """Return who did not come in (list of dict), see :func:`sshtrail_lib.trail.questions.failures`."""
    return questions.failures(history.lines(trail.sources, wanted))


def summary(trail: Trail, wanted: Wanted) -> Told:
    """Return how much there was (dict), see :func:`sshtrail_lib.trail.questions.summary`."""
    return questions.summary(_sessions(trail, wanted))


def written(found: list[Told], form: object) -> typing.Any:
    """Return sessions in a form (str of :data:`FORMATS`). Raises SaltInvocationError for another one."""
    if form not in FORMATS:
        raise SaltInvocationError(f"format is {form!r}; allowed are {', '.join(FORMATS)}.")
    if form == "data":
        return found
    return shown.table(found) if form == "table" else export.FORMATS[str(form)](found)
