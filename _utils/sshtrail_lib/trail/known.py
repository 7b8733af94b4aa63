"""
The logins that the kernel or PAM knows: which process it was, and what tells of its beginning and its end.
"""

from __future__ import annotations

import dataclasses
import posixpath
from collections.abc import Collection, Mapping, Sequence

from sshtrail_lib.trail.gather import Entry, Gathered, Place
from sshtrail_lib.trail.kept import Kept, segment
from sshtrail_lib.trail.scan import Call
from sshtrail_lib.trail.told import DAEMONS, SSHD, Told

#: Where people put programs of their own.
ANYBODYS = ("/tmp/", "/var/tmp/", "/dev/", "/run/", "/home/", "/root/")  # noqa: S108


@dataclasses.dataclass
class Login:
    """
    A login that the kernel or PAM knows.

    ``entry`` (:class:`~sshtrail_lib.trail.gather.Entry`), ``pid`` (int: sshd's process, the monitor), ``login``,
    ``start`` and ``end`` (Told or None), ``inner`` (bool: it shares the kernel's session with who started its sshd)
    and ``doubt`` (str: why it may be no session).
    """

    entry: Entry
    pid: int
    login: Told | None
    start: Told | None
    end: Told | None
    inner: bool = False
    refused: bool = False
    doubt: str = ""

    @property
    def first(self) -> Told:
        """The first record of it (Told)."""
        found = self.login or self.start or self.end
        assert found
        return found

    @property
    def serial(self) -> int:
        """Where what the person does begins (int): PAM's own programs run before."""
        return self.start.serial if self.start else self.first.serial - 1


def logins(gathered: Gathered, kept: Mapping[Place, Kept]) -> list[Login]:
    """
    Return every login by SSH (list of :class:`Login`), in the order of their events.

    gathered
        The records of logins (:class:`~sshtrail_lib.trail.gather.Gathered`).
    kept
        The commands (mapping of node, boot and session to :class:`~sshtrail_lib.trail.kept.Kept`).
    """
    found = [
        login for place, entry in gathered.entries.items() for login in _of_entry(entry, kept.get(place), gathered)
    ]
    return sorted(found, key=lambda one: (one.entry.node, one.entry.boot, one.first.serial))


def moves(gathered: Gathered, entry: Entry, served: Collection[Place]) -> list[Told]:
    """
    Return the kernel's records (list of Told) of processes of a session that went over to another session, or to none.

    Who sets the login id of a process, as ``login -f`` does, begins a session of the kernel's for it and for what it
    starts; nobody has logged in by SSH then, and the kernel says which session it was before. A daemon that somebody
    has started by hand does so too, for others: who it was for is not told.

    gathered, entry
        The records of logins, and the session (:class:`~sshtrail_lib.trail.gather.Entry`).
    served
        The sessions of sshd's (collection of node, boot and number): who came there has logged in.
    """
    found: dict[Place | int, Told] = {}
    waiting = [entry]
    while waiting:
        for record in waiting.pop().left:
            place = (entry.node, entry.boot, record.ses or 0)
            name = record.serial if record.ses is None else place
            by = posixpath.basename(record.ran)
            if place not in served and name not in found and (by or record.ses is None) and by not in DAEMONS:
                found[name] = record
                waiting += [gathered.entries[place]] if record.ses and place in gathered.entries else []
    return sorted(found.values(), key=lambda one: one.serial)


def inner(gathered: Gathered) -> set[Place]:
    """Return the sessions (set of node, boot and number) in which more than one process says that it is sshd."""
    return {place for place, entry in gathered.entries.items() if len(_pids(entry)) > 1}


def _pids(entry: Entry) -> list[int]:
    """Return the processes (list of int) by which the kernel or PAM knows a login in a session, the oldest first."""
    records = [*([entry.login] if entry.login else []), *entry.starts, *entry.ends, *entry.gone]
    if len({record.pid for record in records}) > 1:
        records.sort(key=lambda one: one.serial)
    return list(dict.fromkeys(record.pid for record in records if record.pid is not None))


def _of_entry(entry, kept, gathered):
    """Yield the logins of one session of the kernel's: mostly one, none where it is not sshd's."""
    pids = _pids(entry)
    for pid in pids:
        login = entry.login if entry.login and entry.login.pid == pid else None
        starts = [record for record in entry.starts if record.pid == pid]
        ends = [record for record in (*entry.ends, *entry.gone) if record.pid == pid]
        opened = next((record for record in starts if record.worked), None)
        first = pid == pids[0]
        one = Login(entry, pid, login, opened, ends[0] if ends else None, not first)
        one.refused = bool(starts) and not opened
        if not starts and not ends:
            # PAM's record may be missing; that the process is sshd's it said before.
            if not login or not gathered.before(entry, login):
                continue
            one.doubt = "PAM's record of its beginning is missing"
        program = None if login else _program(pid, one.first, kept)
        if not (login or _is_sshd(program) or (first and program is None)):
            continue
        yield one


def _program(pid, record, kept):
    """Return what the kernel saw a process start before it sent a record (str), None where it saw nothing."""
    calls = kept.calls() if kept else ()
    ran = [call for call in calls if call.pid == pid and call.serial < record.serial and call.success]
    return ran[-1].exe or "" if ran else record.ran or None


def _is_sshd(program):
    """Tell whether a program is sshd (bool), and not one that somebody gave its name."""
    return bool(program) and posixpath.basename(program) in SSHD and not program.startswith(ANYBODYS)


def share(kept: Kept, login: Login, child: int | None, sharing: Sequence[Login]) -> Kept:
    """
    Return the part of what a session of the kernel's did (Kept) that descends from one login's sshd.

    child
        The process that serves the login (int, None where sshd does not tell).
    sharing
        The logins (sequence of :class:`Login`) to which the kernel gave the same number.
    """
    roots = {one.pid for one in sharing if one.inner}
    owner = {pid: pid for pid in roots}
    if login.inner and child is not None:
        owner[child] = login.pid
    mine: list[Call] = []
    for call in kept.calls():
        root = owner.get(call.pid) or owner.get(call.parent) or 0
        owner[call.pid] = root
        if (root == login.pid) if login.inner else not root:
            mine.append(call)
    part = Kept(lambda calls: calls)
    events = {call.serial for call in mine}
    part.odd, part.names = [call for call in kept.odd if call.serial in events], kept.names
    part.changed = [[one for one in kept.files() if owner.get(one.pid, 0) == (login.pid if login.inner else 0)]]
    part.segments = [segment(mine)._replace(where=mine)] if mine else []
    return part
