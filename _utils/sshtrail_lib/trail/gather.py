"""
The records of logins, sorted by the session that they are about: what the kernel and PAM say, and who said it.

A process writes what it likes into a message, so that only what the kernel put before it counts: which process sent it,
of which session, and of which type it is. Sessions are numbered from one in each boot.
"""

from __future__ import annotations

import collections
import dataclasses
import typing

from sshtrail_lib.trail.told import EARLY as BEFORE
from sshtrail_lib.trail.told import SWITCHES, Clock, Told

#: Seconds by which a clock may go back between two events before that is told.
BACK = 5.0
#: Tolds of a process that are kept from before its session, and the seconds in which that begins then.
EARLIER, SOON = 8, 120.0

Place = tuple[str, int, int]


class Jump(typing.NamedTuple):
    """A clock that was set: at which event (``serial``, int), when (``time``, float), and by how many ``seconds``."""

    serial: int
    time: float
    seconds: float


@dataclasses.dataclass
class Entry:
    """
    What is known of one session of the kernel's.

    ``node`` (str), ``boot`` (int, counted in this log) and ``ses`` (int); the kernel's LOGIN record (``login``), what
    its process had said before that (``early``), PAM's records from processes that say they are sshd (``starts``,
    ``ends``, ``gone``: USER_START, USER_END and CRED_DISP), sshd's own (``terminals``: USER_LOGIN), those from su, sudo
    and their like (``switches``), whether records claim to be sshd's that are somebody else's (``forged``), and the
    LOGIN records of processes that went from it over to a session of their own, or to none (``left``). All are Told, or
    lists of it.
    """

    node: str
    boot: int
    ses: int
    login: Told | None = None
    early: list[Told] = dataclasses.field(default_factory=list)
    starts: list[Told] = dataclasses.field(default_factory=list)
    ends: list[Told] = dataclasses.field(default_factory=list)
    gone: list[Told] = dataclasses.field(default_factory=list)
    terminals: list[Told] = dataclasses.field(default_factory=list)
    switches: list[Told] = dataclasses.field(default_factory=list)
    forged: list[Told] = dataclasses.field(default_factory=list)
    left: list[Told] = dataclasses.field(default_factory=list)


class Boot:
    """One boot of a node: the ``time`` of its last record (float) and the ``jumps`` of its clock (list of Jump)."""

    def __init__(self) -> None:
        self.serial, self.first, self.time = -1, 0.0, 0.0
        self.jumps: list[Jump] = []

    def saw(self, serial: int, time: float) -> None:
        """Take note of a record: its serial number (int) and its time (float)."""
        self.first = self.first or time
        if serial > self.serial:
            if self.serial >= 0 and time < self.time - BACK:
                self.jumps.append(Jump(serial, time, time - self.time))
            self.serial, self.time = serial, time


class Gathered:
    """All sessions of the log: ``entries`` (dict of node, boot and session to :class:`Entry`) and ``boots``."""

    def __init__(self) -> None:
        self.entries: dict[Place, Entry] = {}
        self.boots: dict[tuple[str, int], Boot] = {}
        self.current: dict[str, int] = collections.defaultdict(int)
        #: What sshd's processes said before a session of theirs began, by node, boot and process; then it is its own.
        self.earlier: dict[Place, collections.deque[Told]] = {}
        self._clocks: dict[str, Clock] = collections.defaultdict(Clock)
        #: Of which boot each record is, to know it again in a copy of the log.
        self._known: dict[int, int] = {}

    def feed(self, record: Told, late: bool = False) -> None:
        """
        Take a record (Told) in, once.

        late
            Whether it precedes what was taken in already (bool).
        """
        if late:
            # Of what was read since there may be no record of a login.
            self._of(record.node, 0).saw(record.serial, record.time)
            self._sort(record, 0)
            return
        # All but the program, which is looked up.
        boot = self._known.get(mark := hash(record[:-1]))
        if boot is None:
            self._boot(record)
            self._known[mark] = self.current[record.node]
            self._sort(record, self.current[record.node])
        else:
            # What follows it may be new.
            self.current[record.node] = boot
            self._clocks[record.node].stands(record)

    def _boot(self, record):
        if self._clocks[record.node].restarted(record) or self._taken(record):
            self.current[record.node] = 1 + max((boot for node, boot in self.boots if node == record.node), default=0)
        self._of(record.node, self.current[record.node]).saw(record.serial, record.time)

    def _taken(self, record):
        """Tell whether the number of a session that begins was given already in this boot: then it is another one."""
        entry = record.type == "LOGIN" and self.entries.get((record.node, self.current[record.node], record.ses or 0))
        return entry and entry.login and (entry.login.serial, entry.login.time) != (record.serial, record.time)

    def _of(self, node, boot):
        return self.boots.get((node, boot)) or self.boots.setdefault((node, boot), Boot())

    def _sort(self, record, boot):
        if record.type == "TIME_INJOFFSET":
            self._of(record.node, boot).jumps.append(Jump(record.serial, record.time, float(record.seconds)))
            return
        if record.old is not None and record.type == "LOGIN" and record.worked:
            self._entry((record.node, boot, record.old)).left.append(record)
        if record.ses is None:
            if record.type in BEFORE and not record.doubled:
                key = (record.node, boot, record.pid or 0)
                self.earlier.setdefault(key, collections.deque(maxlen=EARLIER)).append(record)
        else:
            entry = self._entry((record.node, boot, record.ses))
            _enter(entry, record)
            begun = entry.login is record
            if begun:
                entry.early = list(self.earlier.pop((record.node, boot, record.pid or 0), ()))

    def _entry(self, place):
        return self.entries.get(place) or self.entries.setdefault(place, Entry(*place))

    def before(self, entry: Entry, first: Told) -> list[Told]:
        """Return what a process said shortly before its ``first`` record (Told) in the session of an :class:`Entry`."""
        own = entry.early if entry.login and entry.login.pid == first.pid else []
        late = self.earlier.get((entry.node, entry.boot, first.pid or 0), ())
        return [one for one in (*own, *late) if one.serial <= first.serial and first.time - one.time < SOON]


def _enter(entry, record):
    """Enter a record where it belongs."""
    if record.type == "LOGIN":
        entry.login = entry.login or (record if record.worked else None)
    elif record.doubled:
        entry.forged.append(record)
    elif record.exe in SWITCHES:
        entry.switches.append(record)
    else:
        kinds = {
            "USER_START": entry.starts,
            "USER_END": entry.ends,
            "CRED_DISP": entry.gone,
            "USER_LOGIN": entry.terminals,
        }
        if record not in kinds[record.type]:
            kinds[record.type].append(record)
