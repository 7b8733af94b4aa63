"""
sshd's lines joined to the sessions that the kernel and PAM know: by the process, and by order.

The process that accepted somebody is the one whose login id PAM sets. Process numbers come again within seconds on a
busy host, times are late, and in syslog's files anybody can have written a line. So what could be joined in two ways is
not joined.
"""

from __future__ import annotations

import collections
import re
import typing
from collections.abc import Iterable, Sequence

from sshtrail_lib.trail.session import addresses
from sshtrail_lib.trail.sshd_log import Line

#: Seconds by which a line may be stamped before and after the login that it is about (measured: 23 s late at most).
BEFORE, AFTER = 61.0, 60.0
ADDRESS = re.compile(r"[0-9.]+|[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*(?:%.*)?")

TWO = "more than one line of sshd's could be about it"
NONE = "no line of sshd's is about it"
NO_LOG = "there is no log of sshd's"


class Login(typing.NamedTuple):
    """
    A login that the kernel or PAM knows: its ``host`` (str, "" when that is not told), ``pid`` (int), ``time`` (float),
    and, as far as known, ``user`` and ``address`` (str or None) and ``uid`` (int, the login id, or None).
    """

    host: str
    pid: int
    time: float
    user: str | None
    address: str | None
    uid: int | None


class Joined(typing.NamedTuple):
    """
    What sshd said of a login.

    ``accepted`` (:class:`~sshtrail_lib.trail.sshd_log.Line` or None), ``others`` (tuple of Line: what its processes
    said of it besides), ``child`` (int or None: the process that serves it) and ``why`` (str: why there is none).
    """

    accepted: Line | None
    others: tuple[Line, ...] = ()
    child: int | None = None
    why: str = ""


class Book:
    """
    sshd's lines (iterable of Line, those of each process in order), to look up by process; ``nodes`` (iterable of str)
    are the hosts of which the audit log tells.
    """

    def __init__(self, lines: Iterable[Line], nodes: Iterable[str] = ()) -> None:
        self.by_pid: dict[tuple[str, int], list[Line]] = collections.defaultdict(list)
        said, nodes = list(lines), frozenset(nodes)
        self.names = _names({*nodes, *(line.host for line in said)})
        self.hosts = dict.fromkeys(self.names[line.host] for line in said)
        #: Whether both logs call the hosts by the same names, so that a line of one is of no other.
        self.tells = len(self.hosts) > 1 or any(self.names[node] in self.hosts for node in nodes)
        for line in said:
            self.by_pid[self.names[line.host], line.pid].append(line)
        for own in self.by_pid.values():
            # Older ones can be in a file, and newer ones in the journal.
            if len({line.uid is None for line in own}) > 1:
                own.sort(key=lambda line: line.when)
        self.joined: set[int] = set()

    def join(self, logins: Sequence[Login]) -> list[Joined]:
        """Return for each login what sshd said of it (list of :class:`Joined`, in the same order)."""
        by_pid: dict[int, list[int]] = collections.defaultdict(list)
        for number, login in enumerate(logins):
            by_pid[login.pid].append(number)
        found: dict[int, Line | str] = {}
        for pid, numbers in by_pid.items():
            found.update(self._of_pid(logins, numbers, self._accepted(pid)))
        return [self._whole(login, found[number]) for number, login in enumerate(logins)]

    def unjoined(self) -> list[Line]:
        """Return the lines (list of Line) by which sshd says that it accepted somebody, and that joined nothing."""
        every = (line for lines in self.by_pid.values() for line in lines if line.event == "accepted")
        return [line for line in every if id(line) not in self.joined]

    def _accepted(self, pid):
        """Return what says that a process accepted somebody; what only root can have written, where that is known."""
        lines = (line for host in self.hosts for line in self.by_pid.get((host, pid), ()))
        return [one for one in lines if one.event == "accepted" and not one.uid]

    def _of_pid(self, logins, numbers, accepted):
        """Yield the number of each login of one process, and the line that is about it or why there is none."""
        if not accepted:
            yield from ((number, NONE if self.by_pid else NO_LOG) for number in numbers)
            return
        near: dict[int, list[int]] = collections.defaultdict(list)
        for at, line in enumerate(accepted):
            for when in _times(line):
                near[int(when // BEFORE)].append(at)
        fits = {}
        for number in numbers:
            begin = int(logins[number].time // BEFORE)
            close = (at for when in (begin - 1, begin, begin + 1) for at in near.get(when, ()))
            fits[number] = sorted({at for at in close if self._fits(logins[number], accepted[at])})
        for group, lines in _groups(fits):
            pairs = _paired(group, lines, fits, accepted)
            for at in lines:
                # What could be about a login is about that or about none: nobody else's.
                self.joined.add(id(accepted[at]))
            for number in group:
                yield number, pairs.get(number) or (TWO if lines else NONE if self.by_pid else NO_LOG)

    def _fits(self, login, line):
        return (
            any(-BEFORE <= when - login.time <= AFTER for when in _times(line))
            and login.user in (None, line.fields["user"])
            and (login.address is None or _same(login.address, line.fields["address"]))
            and (not login.host or not self.tells or self.names.get(login.host) == self.names[line.host])
        )

    def whole(self, accepted: Line) -> Joined:
        """Return what sshd said of a login that only it knows of, by the ``accepted`` line (:class:`Joined`)."""
        fields = accepted.fields
        return self._whole(
            Login("", accepted.pid, accepted.when.timestamp(), fields["user"], fields["address"], None), accepted
        )

    def _whole(self, login, found):
        if isinstance(found, str):
            return Joined(None, why=found)
        host = self.names[found.host]
        own = _until_next(self.by_pid[host, login.pid], found)
        children = {line.fields["child"] for line in own if line.event == "child"}
        child = int(children.pop()) if len(children) == 1 else 0
        mine = {id(line) for line in own}
        pids = dict.fromkeys((login.pid, child or login.pid))
        serves = [line for pid in pids for line in self.by_pid.get((host, pid), ())]
        at = next(number for number, line in enumerate(own) if line is found)
        found = min(_moments(found), key=lambda line: abs(line.when.timestamp() - login.time))
        own = [_meant(line, found, number < at) for number, line in enumerate(own)]
        own[at] = found
        lines = [line for line in serves if id(line) not in mine and _served(line, login, found)]
        lines = [_meant(line, found, False) for line in lines]
        again = min((line.when for line in lines if line.event == "accepted" and line.when > found.when), default=None)
        served = [line for line in lines if found.when <= line.when and not (again and line.when >= again)]
        return Joined(found, (*[one for one in own if _peer(one, found)], *served), child or None)


def _moments(line):
    """Return a line for each time that it may be of (list of Line): of an hour that the clock shows twice, for both."""
    return [line] if line.other is None else [line, line._replace(when=line.other, other=line.when)]


def _times(line):
    return [one.when.timestamp() for one in _moments(line)]


def _meant(line, accepted, before):
    """Return a line of a login with the time that it can be of, beside sshd's line that accepted it, or ``before``."""
    if line.other is None:
        return line
    if before:
        return min(_moments(line), key=lambda one: abs(one.when - accepted.when))
    return line if line.when >= accepted.when else max(_moments(line), key=lambda one: one.when)


def _same(one, other):
    """Tell whether two addresses are the same (bool): one may name the interface, or stand for one of IPv4."""
    return one == other or not set(addresses(one)).isdisjoint(addresses(other))


def _names(hosts):
    """Return a name for each host (dict): an address is one, and so is the short name where no two hosts have it."""
    short = {host: host if ADDRESS.fullmatch(host) else host.partition(".")[0].lower() for host in hosts}
    whole: dict[str, set[str]] = collections.defaultdict(set)
    for host in hosts:
        whole[short[host]].update([host.lower()] if "." in host else ())
    return {host: short[host] if len(whole[short[host]]) < 2 else host.lower() for host in hosts}


def _facts(line):
    return tuple(sorted(line.fields.items()))


def _groups(fits):
    """Yield the logins and the lines that could belong together, and to nobody else (lists of numbers, in order)."""
    of_line: dict[int, list[int]] = collections.defaultdict(list)
    for number, lines in fits.items():
        for at in lines:
            of_line[at].append(number)
    done: set[int] = set()
    for number in fits:
        group: set[int] = set()
        found: set[int] = set()
        waiting = [] if number in done else [number]
        while waiting:
            one = waiting.pop()
            if one not in group:
                group.add(one)
                fresh = set(fits[one]) - found
                found |= fresh
                waiting += [other for at in fresh for other in of_line[at]]
        done |= group
        if group:
            yield sorted(group), sorted(found)


def _paired(group, lines, fits, accepted):
    """Return which line is about which login (dict): only where there is one way to see it."""
    if len(group) == 1 and lines and len({_facts(accepted[at]) for at in lines}) == 1:
        return {group[0]: accepted[lines[0]]}
    # One process writes the line, and then lets somebody in; both logs have that order.
    if len(group) == len(lines) and all(at in fits[number] for number, at in zip(group, lines, strict=True)):
        return {number: accepted[at] for number, at in zip(group, lines, strict=True)}
    return {}


def _until_next(lines, accepted):
    """Return the lines of a process about one login (list): from its connection to the next that it has."""
    at = next(number for number, line in enumerate(lines) if line is accepted)
    begin, end = at, at + 1
    while begin > 0 and lines[begin - 1].event != "accepted" and lines[begin].event != "connection":
        begin -= 1
    while end < len(lines) and lines[end].event not in ("accepted", "connection"):
        end += 1
    return lines[begin:end]


def _peer(line, accepted):
    """Tell whether a line is about the same connection, and nobody else's (bool)."""
    same = all(line.fields.get(name, accepted.fields[name]) == accepted.fields[name] for name in ("address", "port"))
    return same and not line.uid


def _served(line, login, accepted):
    """Tell whether the process that serves a login said a line about it (bool): it has the user's own uid."""
    names = ("address", "port")
    same = all(line.fields.get(name) == accepted.fields[name] for name in names)
    return same and (line.uid in (None, 0) or login.uid is None or line.uid == login.uid)
