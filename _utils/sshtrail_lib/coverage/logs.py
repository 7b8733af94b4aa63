"""
The ends of the two logs that tell of logins: sshd's, in a file of syslog's or the journal, and the audit log.
"""

from __future__ import annotations

import collections
import datetime
import json
import os
import re
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import salt.utils.path

from sshtrail_lib.base import opening, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage import continuity, facts, gaps, logins
from sshtrail_lib.coverage.byhand import Ran
from sshtrail_lib.coverage.logins import APART, KINDS, Accepted, Known, Logs
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.trail import audit_log, reader, sshd_log
from sshtrail_lib.trail.audit_log import Record
from sshtrail_lib.trail.sshd_log import Line

#: Bytes of a log's end that are read as a whole, bytes of it that are searched for who came, and lines of the journal.
MOST, LARGEST, LINES = 2**20, 2**28, 5000
#: What sshd says of whom it let in, and lines of a piece of a log that tell from when it is.
CAME, DATING = b"Accepted ", 50
#: Events that are searched for one by one.
FEW = 16
TAGS = tuple(word for tag in sshd_log.TAGS for word in ("-t", tag))
#: What a sshd says that reads its files: it was told to, or ends, and listens then.
BEGINS = re.compile(r"Received SIGHUP; restarting\.|Received signal \d+; terminating\.|Server listening on .*")
SUPPRESSED = re.compile(r"Suppressed [0-9]+ messages from (?:/system\.slice/)?(?:sshd?(?:@[^ ]*)?\.service|sshd\b)")


def read(minion: Minion, policy: Policy, facility: str, log: str, since: float, now: float) -> Logs:
    """
    Return what the logs say of the logins since ``since`` (float, seconds since the epoch).

    facility
        sshd's SyslogFacility (str), by which the ``policy`` (dict) names the file.
    log
        The audit log (str).
    now
        The present (float, seconds since the epoch).
    """
    until = now - APART
    path = policy["sshd"]["logs"].get(facility, "")
    lines, whole = _file(path, since - APART)
    by_file = _written_since(path, until)
    if not by_file:
        # Nobody may write that file any more.
        more, whole = _journal(minion, since)
        lines = [*lines, *more]
    spoken = of_host(sshd_log.lines(lines), os.uname().nodename)
    times = [one.when.timestamp() for one in spoken]
    known, oldest = _known(log, since)
    found = Logs(since, until, _accepted(spoken), times, known, oldest, _suppressed(minion, since), whole)
    found = found._replace(elsewhere=facts.sshd_elsewhere())
    if logins.missing(found):
        found = found._replace(accepted=_accepted(genuine(spoken, _entries(minion, since, *TAGS))))
    if by_file and logins.over(found):
        # While syslog was away, as for its own restart, the journal alone got what sshd said.
        more, all_of_it = _journal(minion, since)
        accepted = [*found.accepted, *_accepted(sshd_log.lines(more))]
        found = found._replace(accepted=accepted, whole=whole and all_of_it)
    return found


def _accepted(spoken: Iterable[Line]) -> list[Accepted]:
    said = (one for one in spoken if one.event == "accepted")
    return [Accepted(one.when.timestamp(), one.pid, one.fields["user"]) for one in said]


def began(minion: Minion, policy: Policy, since: float) -> list[float]:
    """Return when sshd has read its files by its own log (list of float) ``since`` a time (float)."""
    lines: list[bytes] = []
    for path in sorted(set(policy["sshd"]["logs"].values())):
        lines += _file(path, since)[0] if _written_since(path, since) else []
    said = sshd_log.spoken(lines or _journal(minion, since)[0])
    begun = (
        Line(when, one["host"], one["tag"], int(one["pid"]), "began", {})
        for when, one in said
        if BEGINS.fullmatch(one["text"]) and when.timestamp() > since
    )
    return [one.when.timestamp() for one in of_host(begun, os.uname().nodename)]


def of_host(spoken: Iterable[Line], name: str) -> list[Line]:
    """
    Return what the host with a ``name`` (str) has logged itself of what was ``spoken`` (iterable of
    :class:`~sshtrail_lib.trail.sshd_log.Line`): others may send their lines to it.

    What only one host has logged is this one's, by whatever name: that may have changed since. So is a line that is
    the only one of its name.
    """
    every = list(spoken)
    count, own = collections.Counter(_short(one.host) for one in every), _short(name)
    return [one for one in every if _short(one.host) == own or count[_short(one.host)] in (1, len(every))]


def _short(name: str) -> str:
    """Return a host's name as it is in a log (str): whether with its domain is for syslog to say."""
    return name.partition(".")[0].lower()


def genuine(spoken: Iterable[Line], entries: Iterable[Mapping[str, typing.Any]]) -> list[Line]:
    """
    Return the lines (iterable of :class:`~sshtrail_lib.trail.sshd_log.Line`) without what somebody else than root has
    logged in sshd's name, as far as ``entries`` (iterable of mappings) of the journal tell.
    """
    by: dict[tuple[str, str], set[bool]] = {}
    for one in entries:
        by.setdefault((str(one.get("SYSLOG_PID")), str(one.get("MESSAGE"))), set()).add(_by_root(one))
    return [one for one in spoken if by.get((str(one.pid), one.message)) != {False}]


def _by_root(entry: Mapping[str, typing.Any]) -> bool:
    return str(entry.get("_UID")) == "0"


def _written_since(path: str, when: float) -> bool:
    try:
        return os.stat(path).st_mtime > when
    except OSError:
        return False


def _file(path: str, since: float) -> tuple[list[bytes], bool]:
    """Return what a log (str) and the one before it have ``since`` (float; list of bytes), and whether that is all."""
    (older, untold), (newer, more) = _end(f"{path}.1", since), _end(path, since)
    return [*older, *newer], not (untold or more)


def _end(path: str, since: float) -> tuple[list[bytes], bool]:
    """
    Return the lines of a log's end ``since`` a time (float; list of bytes), and whether there are more (bool).

    Whoever can have sshd say much, as anybody can who tries to log in, pushes what matters away from the end: farther
    from it only those who came are told, and that something else was said.
    """
    try:
        with open(path, "rb", opener=opening.regular) as handle:
            size = os.fstat(handle.fileno()).st_size
            start = max(0, size - MOST)
            found = _piece(handle, start, size)
            while start and size - start < LARGEST and not _is_older(found, since):
                end, start = start, max(0, start - MOST)
                piece = _piece(handle, start, end)
                found = [*piece[:DATING], *(line for line in piece[DATING:] if CAME in line), *found]
            return found, bool(start) and not _is_older(found, since)
    except OSError:
        return [], False


def _piece(handle: typing.BinaryIO, start: int, end: int) -> list[bytes]:
    """Return the lines (list of bytes) that begin from one byte on up to another (int each)."""
    handle.seek(max(0, start - 1))
    if start:
        handle.readline()
    lines = handle.read(max(0, end - handle.tell())) + handle.readline()
    return lines.splitlines(keepends=True)


def _is_older(lines: Sequence[bytes], since: float) -> bool:
    first = next(sshd_log.lines(lines[:DATING]), None)
    return first is not None and first.when.timestamp() < since


def _journal(minion: Minion, since: float) -> tuple[list[bytes], bool]:
    """Return the messages of sshd in the journal as lines of syslog's (list of bytes), and whether those are all."""
    entries = _entries(minion, since, *TAGS)
    if len(entries) < LINES:
        return list(_as_lines(entries)), True
    came = _entries(minion, since, *TAGS, f"--grep=^{CAME.decode()}")
    return list(_as_lines([*came, *entries])), len(came) < LINES


def _as_lines(entries: Iterable[Mapping[str, typing.Any]]) -> Iterator[bytes]:
    for entry in filter(_by_root, entries):
        pid, message = entry.get("_PID"), entry.get("MESSAGE")
        stamp = entry.get("_SOURCE_REALTIME_TIMESTAMP") or entry.get("__REALTIME_TIMESTAMP") or "0"
        if isinstance(message, str) and str(pid).isdigit() and str(stamp).isdigit():
            when = datetime.datetime.fromtimestamp(int(stamp) / 1e6, datetime.timezone.utc).isoformat(
                "T", "microseconds"
            )
            yield f"{when} {os.uname().nodename} sshd[{pid}]: {message}\n".encode("utf-8", "replace")


def _entries(minion: Minion, since: float, *options: str) -> list[dict[str, typing.Any]]:
    if not salt.utils.path.which("journalctl") or not os.path.isdir("/run/systemd/system"):
        return []
    begin = f"--since=@{int(since - APART)}"
    asked = ("journalctl", "--no-pager", "-q", "-o", "json", "-n", str(LINES), begin, *options)
    return list(_parsed(minion.run(*asked)["stdout"].splitlines()))


def _parsed(lines: Iterable[str]) -> Iterator[dict[str, typing.Any]]:
    for line in lines:
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        if isinstance(entry, dict):
            yield entry


def _suppressed(minion: Minion, since: float) -> str:
    told = [str(one.get("MESSAGE")) for one in _entries(minion, since, "-t", "systemd-journald")]
    return next((text.line(one) for one in reversed(told) if SUPPRESSED.search(one)), "")


class End(typing.NamedTuple):
    """
    The end of an audit ``log`` (str): all that was recorded ``after`` a time (float, seconds since the epoch).

    Or what is in its ``parts`` (sequence of :data:`~sshtrail_lib.coverage.continuity.Part`; None for all): a clock that
    was set back has new records look old. Events are looked up once, where ``known`` is a place for them (dict).
    """

    log: str
    after: float
    parts: Sequence[continuity.Part] | None = None
    known: dict[tuple[str, int, int, int], list[Record]] | None = None

    def records(self, kinds: Iterable[str]) -> list[Record]:
        """Return the records of some ``kinds`` (iterable of str), in their order."""
        return list(audit_log.records(self._marked([f"type={kind} ".encode() for kind in kinds])))

    def reaches(self) -> float | None:
        """Return when the oldest record was made (float), None where there is none."""
        lines = (line for piece in self._pieces() for line in piece.splitlines())
        return next((float(one.seconds) for line in lines if (one := audit_log.record(line))), None)

    def title(self, about: Record) -> str | None:
        """
        Return the command line (str) of what a record (:class:`~sshtrail_lib.trail.audit_log.Record`) came of, None
        where its system call was not recorded.
        """
        found = self._event(about)
        if all(one.type != "SYSCALL" for one in found):
            return None
        titles = (one.fields.get("proctitle", b"") for one in found if one.type == "PROCTITLE")
        return text.printable(next(titles, b"").replace(b"\0", b" "))

    def program(self, about: Record) -> str:
        """Return the executable (str) of what a record came of, as :meth:`title`; empty where that was not recorded."""
        return next((one.text("exe") or "" for one in self._event(about) if one.type == "SYSCALL"), "")

    def actor(self, about: Record) -> tuple[str, str]:
        """Return which process a record came of (two str: its number and executable), empty ones as :meth:`program`."""
        calls = [one for one in self._event(about) if one.type == "SYSCALL"]
        return next(((one.text("pid") or "", one.text("exe") or "") for one in calls), ("", ""))

    def executions(self, mark: bytes) -> list[Ran]:
        """Return which programs were begun (list of :class:`Ran`) by calls whose records have a ``mark`` (bytes)."""
        calls = {one.event: one for one in audit_log.records(self._marked([mark])) if one.type == "SYSCALL"}
        if not calls:
            return []
        names = {b"%d.%03d:%d" % event[1:] for event in calls}
        # To search for each of a few is faster than to look at every program that anybody began.
        marks = [b"type=EXECVE msg=audit(%s)" % name for name in names] if len(names) <= FEW else [b"type=EXECVE "]
        lines = (line for line in self._marked(marks) if line[line.find(b"(") + 1 : line.find(b")")] in names)
        found = collections.defaultdict(list)
        for one in audit_log.records(lines):
            found[one.event].append(one)
        return [_ran(calls[event], audit_log.Event(tuple(parts))) for event, parts in found.items() if event in calls]

    def calls(self, keys: Collection[str]) -> list[Record]:
        """Return the records of system calls that rules with one of the ``keys`` (collection of str) have recorded."""
        found = self._marked([mark for key in keys for mark in (key.encode(), key.encode().hex().upper().encode())])
        calls = (one for one in audit_log.records(found) if one.type == "SYSCALL" and set(one.keys) & set(keys))
        return [one for one in calls if one.time > self.after]

    def named(self, inodes: Collection[int]) -> set[typing.Any]:
        """Return which events (set, as a Record names them) have one of the files ``inodes`` (collection of int)."""
        found = audit_log.records(self._marked([b" inode=%d " % one for one in inodes if one]))
        numbers = {str(one) for one in inodes if one}
        return {one.event for one in found if one.type == "PATH" and one.text("inode") in numbers}

    def without(self, events: Collection[bytes]) -> set[bytes]:
        """Return those of the ``events`` (bytes, as records name them) that are not there (set of bytes)."""
        known = {one for piece in self._pieces() for one in events if one in piece} if events else set()
        return {*events} - known

    def _pieces(self) -> Iterator[bytes]:
        return reader.pieces(self.log, self.after) if self.parts is None else continuity.pieces(self.parts)

    def _event(self, about: Record) -> list[Record]:
        if self.known is not None and about.event in self.known:
            return self.known[about.event]
        lines = self._marked([b"%d.%03d:%d):" % (about.seconds, about.milliseconds, about.serial)])
        found = [one for one in audit_log.records(lines) if one.event == about.event]
        if self.known is not None:
            self.known[about.event] = found
        return found

    def _marked(self, marks: Sequence[bytes]) -> Iterator[bytes]:
        """Yield the lines that hold one of the ``marks``: to search is a tenth of the cost of taking lines apart."""
        for piece in self._pieces():
            found = {start: line for mark in marks for start, line in audit_log.marked(piece, mark)}
            yield from (found[start] for start in sorted(found))


def _ran(call: Record, event: audit_log.Event) -> Ran:
    pid, auid, ses, euid, program = (call.text(name) or "" for name in ("pid", "auid", "ses", "euid", "exe"))
    return Ran(call.serial, call.time, pid, auid, ses, euid, program, tuple(map(text.printable, event.arguments)))


def _known(log: str, since: float) -> tuple[list[Known], float | None]:
    end = End(log, since - APART)
    numbered = ((one, one.text("pid") or "") for one in end.records(KINDS))
    known = (Known(one.seconds, int(pid), _user(one), gaps.tells_an_id(one)) for one, pid in numbered if pid.isdigit())
    return list(known), end.reaches()


def _user(one: Record) -> str:
    """Return for whom sshd has opened a session (str) by a record, "" where it tells of something else."""
    return one.text("acct") or "" if gaps.opened_by_sshd(one) else ""
