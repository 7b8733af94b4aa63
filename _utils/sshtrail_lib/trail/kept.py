"""
The commands of a session, which may be more than memory holds: known by their number, and read when they are looked at.
"""

from __future__ import annotations

import heapq
import posixpath
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence

from sshtrail_lib.trail.scan import Call
from sshtrail_lib.trail.session import Command

#: What lets a process outlive its session; the kernel records no end of a process.
OUTLIVES = frozenset(
    ("nohup", "setsid", "tmux", "screen", "at", "batch", "systemd-run", "daemonize", "disown", "dtach")
)
#: Of what is told by its events, how many are told.
MOST = 3


class Segment(typing.NamedTuple):
    """
    The commands of one session from one piece of the log.

    ``number`` (int: how many), the events of the ``first`` and the ``last`` (int, serial numbers), ``early`` (tuple of
    int: the first events); ``where`` they are (what the shelf that keeps them says), None where only their number is
    known.
    ``tty`` (str or None) is their first terminal, ``outlives`` (tuple of name and event) what can outlive a session,
    and ``cut`` (tuple of int) the events that lack arguments.
    """

    number: int
    first: int
    last: int
    early: tuple[int, ...] = ()
    where: typing.Any = None
    tty: str | None = None
    outlives: tuple[tuple[str, int], ...] = ()
    cut: tuple[int, ...] = ()


def segment(calls: Sequence[Call]) -> Segment:
    """Return what is known of commands (sequence of Call) as a :class:`Segment`, without where they are."""
    if not calls:
        return Segment(0, 0, 0)
    events = [call.serial for call in calls]
    names = ((posixpath.basename(call.argv[0]), call.serial) for call in calls if call.argv)
    return Segment(
        len(events),
        min(events),
        max(events),
        (),
        None,
        next((call.tty for call in calls if call.tty), None),
        tuple((name, serial) for name, serial in names if name in OUTLIVES)[:MOST],
        tuple(call.serial for call in calls if not call.whole)[:MOST],
    )


class Kept:
    """
    What a session did, as far as it was asked for.

    ``segments`` (list of :class:`Segment`; ``last`` is the last event of them, int), ``odd`` (list of Call: what may
    tell of a change of user), ``changed`` (list of where the calls are that changed files) and ``names`` (dict of int
    to str: accounts, as auditd looked them up).
    """

    def __init__(self, load: Callable[[typing.Any], Sequence[Call]]) -> None:
        self._load = load
        self.segments: list[Segment] = []
        self.last = -1
        self.odd: list[Call] = []
        self.changed: list[typing.Any] = []
        self.names: dict[int, str] = {}

    def add(self, part: Segment) -> None:
        """Add a :class:`Segment`."""
        self.segments.append(part)
        self.last = max(self.last, part.last)

    def calls(self, after: int = -1) -> Iterator[Call]:
        """Yield the commands (Call) that came after an event (int, its serial number), in the order of the events."""
        for segment in self.segments:
            if segment.where is not None and segment.last > after:
                yield from (call for call in self._load(segment.where) if call.serial > after)

    def files(self, after: int = -1) -> Iterator[Call]:
        """Yield the calls (Call) that changed files after an event (int), as rules that watch these tell."""
        for where in self.changed:
            yield from (call for call in self._load(where) if call.serial > after)

    def count(self, after: int = -1) -> int:
        """Return how many commands came after an event (int)."""
        return sum(self._count(segment, after) for segment in self.segments)

    def _count(self, segment, after):
        if segment.first > after:
            return segment.number
        if segment.where is None:
            return segment.number - sum(serial <= after for serial in segment.early)
        return sum(call.serial > after for call in self._load(segment.where))


class Joined(Kept):
    """What several sessions of the kernel's did (iterable of :class:`Kept`), in the order of time: as if one."""

    def __init__(self, parts: Iterable[Kept]) -> None:
        super().__init__(lambda _: ())
        self.parts = list(parts)
        self.segments = sorted((one for part in self.parts for one in part.segments), key=lambda one: one.first)
        self.odd = sorted((call for part in self.parts for call in part.odd), key=_serial)
        self.names = {uid: name for part in self.parts for uid, name in part.names.items()}

    def calls(self, after: int = -1) -> Iterator[Call]:
        """Yield the commands (Call) that came after an event (int), in the order of the events."""
        return heapq.merge(*(part.calls(after) for part in self.parts), key=_serial)

    def files(self, after: int = -1) -> Iterator[Call]:
        """Yield the calls (Call) that changed files after an event (int)."""
        return heapq.merge(*(part.files(after) for part in self.parts), key=_serial)

    def count(self, after: int = -1) -> int:
        """Return how many commands came after an event (int)."""
        return sum(part.count(after) for part in self.parts)


def _serial(call):
    return call.serial


class Commands(Sequence):
    """Commands as a sequence: ``len`` is known, and each walk through them reads them anew."""

    def __init__(self, kept: Kept, after: int) -> None:
        self._kept, self._after = kept, after
        self._count = kept.count(after)

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Command]:
        return map(command, self._kept.calls(self._after))

    def __getitem__(self, index):
        if isinstance(index, slice):
            return list(self)[index]
        at = range(self._count)[index]
        return next(one for number, one in enumerate(self) if number == at)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, (Commands, list)) and list(self) == list(other)


def command(call: Call) -> Command:
    """Return what was executed (:class:`~sshtrail_lib.trail.session.Command`) by a call."""
    # Where no record names what was tried, the program is still the one that tried it.
    tried = next((name for name, kind in call.paths if kind != "PARENT"), None)
    return Command(
        call.time,
        call.argv or (),
        call.cwd,
        call.exe if call.success else tried,
        call.uid,
        call.euid,
        call.tty,
        call.success,
        call.serial,
        call.pid,
        call.parent,
    )
