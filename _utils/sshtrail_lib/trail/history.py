"""
The history of a host, or of many: its logs are read, and out come the sessions.
"""

from __future__ import annotations

import bisect
import collections
import datetime
import functools
import gc
import marshal
import os
import shutil
import tempfile
import typing
from collections.abc import Iterable, Iterator, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.trail import blocks, changes, kept, missing, scan, sshd_log, told
from sshtrail_lib.trail.audit_log import HEAD
from sshtrail_lib.trail.gather import Gathered, Place
from sshtrail_lib.trail.known import inner
from sshtrail_lib.trail.scan import Call
from sshtrail_lib.trail.session import Session
from sshtrail_lib.trail.sessions import Sessions

#: Bytes of commands that are held in memory; more go to a file that nobody else sees.
MEMORY = 32 * 2**20
#: How far is looked back for the beginning of a session that had begun before.
BACK = 256 * 2**20
#: Seconds by which records and lines may be out of order.
MARGIN = 120.0
#: Events of a session's beginning that are told one by one.
EARLY = 512
# Between a log that was copied and the present many years can lie: which one a line without a year is of, the audit
# log's last record tells.
HALF_A_YEAR = 182 * 86400
# What sshd's lines hold that tell of who came in, and not of who did not.
TELLING = (
    *(
        b"Accepted ",
        b"Partial ",
        b"Connection from ",
        b"User child is on pid ",
        b"Starting session: ",
        b"Close session: ",
    ),
    *(b"Disconnected from user ", b"(sshd:session): session "),
    *(b"Timeout, client not", b"Read error from ", *(ENDED := (b"Connection closed by ", b"Connection reset by "))),
    # What is not plain text the journal gives as numbers.
    *(b'"MESSAGE":[', b'"MESSAGE": ['),
)
JOURNAL = ("journalctl", "--no-pager", "-q", "-o", "json")


class Sources(typing.NamedTuple):
    """
    Where the logs are.

    audit
        Files of the audit log, or directories of them (sequence of str): rotated and compressed ones too, in any
        order, of one host or of many (``node=``).
    sshd
        Files of syslog's with sshd's lines, likewise (sequence of str).
    journal
        Files with what ``journalctl`` wrote, with ``-o json`` or ``-o export`` (sequence of str), or None to ask the
        host's own journal.
    host
        The name of the host (str) where the audit log has no ``node=``.
    zone
        The time zone of syslog's old time stamps (datetime.tzinfo), None for this host's.
    alive
        Which processes still live (collection of int, pids), where that can be asked; None where the logs are copies.
    here
        The kernel's sessions (collection of int) of sshd's processes that still live: nothing else may tell of one that
        is idle.
    """

    audit: Sequence[str]
    sshd: Sequence[str] = ()
    journal: Sequence[str] | None = ()
    host: str = ""
    zone: datetime.tzinfo | None = None
    alive: frozenset[int] | None = None
    here: frozenset[int] = frozenset()


class Wanted(typing.NamedTuple):
    """
    What is asked.

    since, until
        Seconds since the epoch (float): sessions that had not ended before the one and had begun before the other.
    commands
        Whether the commands are wanted (bool), and not just their number; with them come ``became`` by other means
        than su and sudo, ``files`` and ``survived``. With None not even their number is, which is twice as fast.
    id
        Only the session of this id (str).
    """

    since: float | None = None
    until: float | None = None
    commands: bool | None = False
    id: str | None = None


ALL = Wanted()
# What a session did in a piece of the log, as plain data: a segment, its commands (marshal), odd calls, files, names.
Done = tuple[tuple[typing.Any, ...], "bytes | None", "Sequence[tuple]", "bytes | None", dict[int, str]]


def sessions(sources: Sources, wanted: Wanted = ALL) -> Iterator[Session]:
    """
    Yield the sessions (:class:`~sshtrail_lib.trail.session.Session`) of the logs, in the order of their beginning.

    sources
        :class:`Sources`.
    wanted
        :class:`Wanted`.

    Raises ``CommandExecutionError`` for a file that cannot be read. What the commands are kept in ends with the
    iterator: look at them before the next session is asked for, or keep the iterator.
    """
    with Shelf() as shelf:
        for session in _read(sources, wanted, shelf):
            if _is_wanted(session, wanted):
                yield _as_wanted(session, wanted)


def _read(sources, wanted, shelf):
    """Read the logs; return the sessions (iterator of Session)."""
    collects = gc.isenabled()
    # All that is made here stays, and Python would go through it again and again to find what does not.
    gc.disable()
    try:
        history = _History(sources, wanted, shelf)
        history.read(wanted.commands)
        if not history.full and (history.twice or inner(history.gathered)):
            # Who did what, and what of it is there twice, only the commands tell.
            history = _History(sources, wanted, shelf)
            history.read(True)
        return history.sessions()
    finally:
        if collects:
            gc.enable()


def _as_wanted(session, wanted):
    if wanted.since is not None and session.started is not None and session.started < wanted.since - MARGIN:
        why = f"it began before {text.iso(wanted.since)}: what it did until then was not read"
        for name in ("commands", "became", "files"):
            session.unknown.setdefault(name, why)
    if wanted.commands is None:
        session.commands = None
    elif not wanted.commands and not isinstance(session.commands, int):
        session.commands = sum(one.success for one in session.commands)
    return session


def _is_wanted(session, wanted):
    if wanted.id is not None:
        return session.id == wanted.id
    begun = wanted.until is None or session.started is None or session.started <= wanted.until
    return begun and (wanted.since is None or session.ended is None or session.ended >= wanted.since)


def lines(sources: Sources, wanted: Wanted = ALL) -> Iterator[sshd_log.Line]:
    """
    Yield sshd's lines (:class:`~sshtrail_lib.trail.sshd_log.Line`) in the order of the logs, failures among them.

    The journal's trusted fields decide whether a line is sshd's; in syslog's files anybody can have written it.
    """
    for line in _said(sources, wanted.since, None, None):
        when = line.when.timestamp()
        begun, over = wanted.since is None or when >= wanted.since, wanted.until is not None and when > wanted.until
        if begun and not over and not line.uid:
            yield line


class Shelf:
    """Where the commands are while nobody looks at them: in memory, and what is more in a file without a name."""

    def __init__(self) -> None:
        self.file = tempfile.SpooledTemporaryFile(MEMORY)  # noqa: SIM115

    def __enter__(self) -> Shelf:
        return self

    def __exit__(self, *_exc: object) -> None:
        self.file.close()

    def put(self, data: bytes) -> tuple[int, int]:
        """Keep something (bytes) and return where it is."""
        where = self.file.seek(0, os.SEEK_END)
        self.file.write(data)
        return where, len(data)

    def get(self, where: tuple[int, int]) -> list[Call]:
        """Return the calls (list of Call) that were kept somewhere."""
        self.file.seek(where[0])
        return list(map(Call._make, marshal.loads(self.file.read(where[1]))))


class _History:
    """One reading of the logs."""

    def __init__(self, sources, wanted, shelf):
        self.sources, self.wanted, self.shelf = sources, wanted, shelf
        self.gathered = Gathered()
        self.kept: dict[Place, kept.Kept] = collections.defaultdict(lambda: kept.Kept(shelf.get))
        self.full = False
        #: Whether commands that were counted are there twice.
        self.twice = False
        #: Which events are missing.
        self.missing = missing.Missing()

    def read(self, full):
        """Read the audit log, with the commands (``full``, bool), just their number, or not even that (None)."""
        self.full = full
        files = blocks.ordered(self.sources.audit, moment)
        since = None if self.wanted.since is None else self.wanted.since - MARGIN
        parts = blocks.pieces(files, since, moment)
        self.missing = missing.Missing(missing.SPARE if full is None else 0)
        for found in blocks.made(files, parts, functools.partial(work, full=full)):
            for records, done, runs in found:
                self._take(records, done)
                for node, first, last in runs:
                    self.missing.saw((node, self.gathered.current[node]), first, last)
        if since is not None:
            if files and not parts and self.sources.here:
                parts = [blocks.Piece(len(files) - 1, os.path.getsize(files[-1]), None)]
            # The last that is put in of each log is the first that was read of it.
            for part in {blocks.log_of(files[part.number]): part for part in parts[::-1]}.values():
                self._look_back(files, part)

    def _take(self, records, done):
        for record in records:
            self.gathered.feed(told.Told._make(record))
        for (name, ses), one in done.items():
            node = name.decode(errors="backslashreplace")
            shelf, (segment, blob, odd, files, names) = self.kept[node, self.gathered.current[node], int(ses)], one
            self._keep(shelf, kept.Segment(*segment), blob, odd)
            if files:
                shelf.changed.append(self.shelf.put(files))
            shelf.names |= names

    def _keep(self, shelf, part, blob, odd):
        """Keep commands, but those that are known from a copy of this piece of the log."""
        again = part.number and part.first <= shelf.last
        known = {call.serial for call in shelf.calls(part.first - 1)} if again and blob else ()
        if known:
            calls = [Call._make(call) for call in marshal.loads(blob) if call[1] not in known]
            part, blob = kept.segment(calls), marshal.dumps([tuple(call) for call in calls])
        elif again:
            self.twice = self.twice or part.first < shelf.last - missing.SPARE
        if part.number:
            shelf.add(part._replace(where=blob and self.shelf.put(blob)))
        shelf.odd += [Call._make(call) for call in odd if call[1] not in known]

    def _look_back(self, files, first):
        """Look for the beginnings of the sessions that had begun before what was read."""
        left, whole = self._begun_before(), False
        while left:
            left, whole = self._look_for(files, first, left, whole), True

    def _look_for(self, files, first, left, whole):
        """
        Look for the beginnings of sessions (set of node, boot and number), or for their ``whole`` records, and return
        those of which processes began some of them: nothing else may tell of these.
        """
        above, later = set(), b""
        last: dict[str, int] = {}
        for block in blocks.backwards(files, first, BACK):
            begun = {(node, 0, ses) for node, ses in told.logins(block, blocks.find)} & left
            records = list(_told(block)) if whole or begun else []
            records += told.told(later, blocks.find) if begun and not whole else []
            for _, record in reversed(records):
                # Of the boot before, the numbers mean others.
                of_boot = record.serial <= last.setdefault(record.node, record.serial) + told.Clock.EVENTS
                if of_boot and (record.node, 0, record.ses) in (left if whole else begun):
                    self.gathered.feed(record, late=True)
                    above |= set() if record.old is None else {(record.node, 0, record.old)}
            left, later = left - begun, block
            if not left:
                break
        return above & self._begun_before()

    def _begun_before(self):
        """Return the sessions (set of node, boot and number) that are known, but not how they began."""
        nodes = [node for node, _ in self.missing.most if self.gathered.current[node] == 0] or [""]
        known = {*self.gathered.entries, *self.kept, *((node, 0, ses) for node in nodes for ses in self.sources.here)}
        return {
            place
            for place in known
            if place[1] == 0 and not ((entry := self.gathered.entries.get(place)) and entry.login and entry.starts)
        }

    def sessions(self):
        """Return the sessions (iterator), with sshd's lines."""
        ends = [boot.time for boot in self.gathered.boots.values()]
        begins = [entry.login.time for entry in self.gathered.entries.values() if entry.login]
        since = None if self.wanted.since is None else min([self.wanted.since, *begins]) - MARGIN
        said = _said(self.sources, since, max(ends, default=None), TELLING)
        made = Sessions(self.gathered, self.kept, said, self.sources.host, self.full)
        made.alive, made.gaps = self.sources.alive, self.missing.gaps
        return made.made()


# --- The audit log ----------------------------------------------------------------------------------------------


def moment(line: bytes) -> float | None:
    """Return when a line of the audit log (bytes) was written (float), None for what is no record."""
    head = HEAD.match(line)
    return int(head[3]) + int(head[4]) / 1000 if head else None


def work(
    block: bytes, more: Iterator[bytes], full: bool | None
) -> list[tuple[list[tuple], dict[tuple[bytes, bytes], Done], list[missing.Run]]]:
    """
    Return what a piece of the log (bytes) tells, as plain data: a list of records, of what sessions did, and of which
    events there are.

    It is cut where the numbers of the events begin again, so that what sessions did is of the boot that the records
    beside are of.
    """
    messages: list[int] = []
    parts = _parts(_told(block, messages))
    ends = [at for at, _ in parts[1:]] + [len(block)]
    if full is None:
        # Nobody looks at what sessions did: to copy a part would take as long as to read it.
        return [(records, {}, missing.edges(block, at, end)) for (at, records), end in zip(parts, ends, strict=True)]
    found, later = [], _Later(more)
    for (at, records), end in zip(parts, ends, strict=True):
        part = blocks.without_holes(block[at:end])
        done = _done(part, later.behind(block, end)) if full else _numbers(part)
        said = bisect.bisect_left(messages, end) - bisect.bisect_left(messages, at)
        found.append((records, done, missing.runs(part, said)))
    return found


class _Later:
    """What follows a block (iterator of bytes), for each part of it anew."""

    def __init__(self, more):
        self._more, self._read = more, []

    def behind(self, block, end):
        """Yield what follows the place ``end`` (int) of a block."""
        if end < len(block):
            yield block[end:]
        yield from self._read
        for piece in self._more:
            self._read.append(piece)
            yield piece


def _told(block, messages=None):
    """Yield what a block tells of logins, and what those are that say they are su or sudo, or whose LOGIN is odd."""
    records = told.told(block, blocks.find, messages)
    begun = {(record.node, record.ses) for _, record in records if record.type == "LOGIN"}
    for at, record in records:
        unsure = record.exe in told.SWITCHES or (record.ses is not None and (record.node, record.ses) not in begun)
        if record.old is not None:
            record = record._replace(ran=scan.doing(block, at) or scan.ran(block, at, record.node, record.pid))
        elif unsure and not record.doubled:
            record = record._replace(ran=scan.ran(block, at, record.node, record.pid))
        yield at, record


def _parts(records):
    """
    Return the parts of a block, from its first record, and each boot's (list of where it begins, and its records).
    """
    clocks: dict[str, told.Clock] = {}
    parts: list[tuple[int, list[tuple]]] = [(0, [])]
    for at, record in records:
        new = record.node not in clocks
        clock = clocks[record.node] = told.Clock() if new else clocks[record.node]
        if clock.restarted(record) or new:
            parts.append((at, []))
        parts[-1][1].append(tuple(record))
    return parts


def _numbers(part: bytes) -> dict[tuple[bytes, bytes], Done]:
    """Return how many programs each session started (dict)."""
    found: dict[tuple[bytes, bytes], Done] = {}
    for key, serials in scan.numbers(part).items():
        if serials:
            early = sorted(set(serials))
            found[key] = ((len(early), early[0], early[-1], tuple(early[:EARLY])), None, (), None, {})
    return found


def _done(part: bytes, more: Iterable[bytes]) -> dict[tuple[bytes, bytes], Done]:
    """Return what each session did (dict), as plain data."""
    found: dict[tuple[bytes, bytes], Done] = {}
    for key, calls in scan.calls(part, more).items():
        commands = [call for call in calls if call.argv is not None]
        odd = changes.odd(commands)
        changed = [tuple(call) for call in calls if call.argv is None and call.keys and call.what != "read"]
        files = marshal.dumps(changed) if changed else None
        segment = tuple(kept.segment(commands))
        blob = marshal.dumps([tuple(call) for call in commands])
        names = {call.uid: call.name for call in odd if call.name}
        found[key] = segment, blob, [tuple(call) for call in odd], files, names
    return found


# --- What sshd said ---------------------------------------------------------------------------------------------


def _said(sources, since, last, telling):
    """Yield sshd's lines from all sources, once; what the journal has is not taken from syslog's files once more."""
    yield from sshd_log.once(_every(sources, since, last, telling))


def _every(sources, since, last, telling):
    vouched = _Vouched()
    if sources.journal is None:
        yield from sshd_log.journal(_journal(since), vouched.add)
    for _, logged in blocks.lines(blocks.ordered(sources.journal or ())):
        yield from sshd_log.journal(_telling(sshd_log.entries(logged), telling), vouched.add)
    for path, logged in blocks.lines(blocks.ordered(sources.sshd)):
        for line in sshd_log.lines(_telling(logged, telling), _latest(path, last), sources.zone):
            if not vouched.has((line.when, line.host, line.pid, line.message)):
                yield line


class _Vouched:
    """What the journal has: who said it, it knows better than a file, even where that was not sshd."""

    def __init__(self):
        self.known: set[int] = set()

    def add(self, said):
        self.known.add(self._of(said, 0))

    def has(self, said):
        return bool(self.known) and any(self._of(said, later) in self.known for later in (0, -1, 1))

    def _of(self, said, later):
        when, host, pid, message = said
        # A file has the second in which syslog got it.
        return hash((host.partition(".")[0].lower(), pid, message.strip(), when.timestamp() // MARGIN + later))


def _telling(handle, telling):
    if telling is None:
        return handle
    return (
        line
        for line in handle
        if b"sshd" in line and any(word in line for word in telling)
        # Most of those who leave were never let in.
        if not (b" [preauth]" in line and any(word in line for word in ENDED))
    )


def _latest(path, last):
    """Return a time (datetime) that no line of a file is after: each is of the last year that lets that be."""
    latest = os.path.getmtime(path)
    if last is not None:
        latest = min(latest, last + HALF_A_YEAR)
    return datetime.datetime.fromtimestamp(latest, datetime.timezone.utc)


def _journal(since):
    """Yield the entries of the host's journal (bytes) that say they are sshd's, nothing where there is no journal."""
    # As in blocks: it loads Salt.
    from sshtrail_lib.base import programs

    program = shutil.which("journalctl")
    if not program or not os.path.isdir("/run/systemd/system"):
        return
    tags = [word for tag in sshd_log.TAGS for word in ("-t", tag)]
    begin = [] if since is None else [f"--since=@{max(0, int(since))}"]
    with programs.reading([program, *JOURNAL[1:], *begin, *tags]) as (lines, _process):
        yield from lines
