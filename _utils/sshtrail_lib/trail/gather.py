"""
The records of logins, sorted by the session that they are about: what the kernel and PAM say, and who said it.

A process writes what it likes into a message, so that only what the kernel put before it counts: which process sent it,
of which session, and of which type it is. Sessions are numbered from one in each boot.
"""

from __future__ import annotations

import collections
import dataclasses
import posixpath
import typing

from sshtrail_lib.trail import audit_log
from sshtrail_lib.trail.audit_log import Record
from sshtrail_lib.trail.scan import SWITCHES, UNSET, Clock

#: sshd's programs, as OpenSSH 8.4 to 10.6 name them.
SSHD = frozenset(("sshd", "sshd-session", "sshd-auth"))
#: Seconds by which a clock may go back between two events before that is told.
BACK = 5.0
#: Records of a process that are kept from before its session.
EARLIER = 8

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

    ``node`` (str), ``boot`` (int, counted in this log) and ``ses`` (int); the kernel's LOGIN record (``login``), PAM's
    records from processes that say they are sshd (``starts``, ``ends``, ``gone``: USER_START, USER_END and CRED_DISP),
    sshd's own (``terminals``: USER_LOGIN), those from su, sudo and their like (``switches``), and whether records claim
    to be sshd's that are somebody else's (``forged``, list).
    """

    node: str
    boot: int
    ses: int
    login: Record | None = None
    starts: list[Record] = dataclasses.field(default_factory=list)
    ends: list[Record] = dataclasses.field(default_factory=list)
    gone: list[Record] = dataclasses.field(default_factory=list)
    terminals: list[Record] = dataclasses.field(default_factory=list)
    switches: list[Record] = dataclasses.field(default_factory=list)
    forged: list[Record] = dataclasses.field(default_factory=list)


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
        #: What sshd's processes said before their session began, by node, boot and process.
        self.earlier: dict[Place, collections.deque[Record]] = {}
        self._clocks: dict[str, Clock] = collections.defaultdict(Clock)

    def feed(self, line: bytes, late: bool = False) -> None:
        """
        Take a line of the log (bytes) in.

        late
            Whether it precedes what was taken in already (bool).
        """
        record = audit_log.record(line)
        if not record:
            return
        time = when(record)
        if not late:
            self._boot(record, time)
        self._sort(record, line, 0 if late else self.current[record.node])

    def _boot(self, record, time):
        again = record.type == "LOGIN" and self._taken(record)
        if self._clocks[record.node].restarted(record.serial, time) or again:
            self.current[record.node] += 1
        self._of(record.node, self.current[record.node]).saw(record.serial, time)

    def _taken(self, record):
        """Tell whether the number of a session that begins was given already in this boot: then it is another one."""
        entry = self.entries.get((record.node, self.current[record.node], number(record, "ses") or 0))
        return entry and entry.login and entry.login.event != record.event

    def _of(self, node, boot):
        return self.boots.setdefault((node, boot), Boot())

    def entry(self, node: str, boot: int, ses: int) -> Entry:
        """Return what is known of a session (:class:`Entry`), which is nothing when it is new."""
        return self.entries.setdefault((node, boot, ses), Entry(node, boot, ses))

    def _sort(self, record, line, boot):
        ses = number(record, "ses")
        if record.type == "TIME_INJOFFSET":
            seconds = number(record, "sec", signed=True) or 0
            self._of(record.node, boot).jumps.append(Jump(record.serial, when(record), float(seconds)))
        elif ses is None or record.fields.get("ses") == UNSET:
            self._early(record, line, boot)
        elif record.type == "LOGIN":
            entry = self.entry(record.node, boot, ses)
            entry.login = entry.login or (record if record.fields.get("res", b"1") == b"1" else None)
        else:
            self._message(self.entry(record.node, boot, ses), record, line)

    def _early(self, record, line, boot):
        if program(record) in SSHD and not doubled(line):
            key = (record.node, boot, number(record, "pid") or 0)
            self.earlier.setdefault(key, collections.deque(maxlen=EARLIER)).append(record)

    def _message(self, entry, record, line):
        name = program(record)
        if name in SWITCHES:
            entry.switches.append(record)
        elif name in SSHD and doubled(line):
            entry.forged.append(record)
        elif name in SSHD:
            kinds = {
                "USER_START": entry.starts,
                "USER_END": entry.ends,
                "CRED_DISP": entry.gone,
                "USER_LOGIN": entry.terminals,
            }
            if record.type in kinds and record not in kinds[record.type]:
                kinds[record.type].append(record)


def when(record: Record) -> float:
    """Return the time of a record (float, seconds since the epoch)."""
    return record.seconds + record.milliseconds / 1000


def number(record: Record, name: str, signed: bool = False) -> int | None:
    """Return a number that the kernel wrote (int), None where there is none."""
    value = record.fields.get(name, b"")
    digits = value.removeprefix(b"-") if signed else value
    return int(value) if digits.isdigit() and len(value) < 12 else None


def program(record: Record) -> str:
    """Return the name of the program (str) that a message says it is from."""
    return posixpath.basename(record.message.get("exe", b"").decode(errors="replace"))


def doubled(line: bytes) -> bool:
    """Tell whether a message names two programs (bool): libaudit adds the true one to whatever it was given."""
    return line.partition(b"\x1d")[0].count(b" exe=") > 1


def worked(record: Record) -> bool:
    """Tell whether a message says that it came off (bool)."""
    return record.message.get("res") in (b"success", b"1")
