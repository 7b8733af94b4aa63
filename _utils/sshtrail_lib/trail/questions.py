"""
What can be asked of the sessions: which of them, who failed to come in, and how much there was.
"""

from __future__ import annotations

import collections
import fnmatch
import ipaddress
import re
import typing
from collections.abc import Iterable, Iterator

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.trail.session import STATES, Session, addresses
from sshtrail_lib.trail.sshd_log import Line

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
INTERFACE = re.compile("%[^/]*")
#: Lines of sshd that tell of somebody who did not come in.
FAILURES = {"failed", "invalid_user", "left", "late", "dropped"}
#: Sources that are told one by one.
MOST_FAILURES = 10_000


class Query(typing.NamedTuple):
    """
    Which sessions are asked for; None (or empty) for any.

    ``user`` (account, or auid as a number), ``person``, ``key`` (fingerprint or its beginning), ``session`` (id, which
    may stand behind its host and a slash, or the kernel's number), ``state`` (str), ``address`` (network), ``command``
    and ``path`` (patterns as of a shell, or a part of what is looked for).
    """

    user: str | None = None
    person: str | None = None
    key: str | None = None
    address: Network | None = None
    session: str | None = None
    state: str | None = None
    command: str | None = None
    path: str | None = None

    @property
    def reads_commands(self) -> bool:
        """Whether the commands must be read to answer (bool)."""
        return self.command is not None or self.path is not None


def query(**asked: object) -> Query:
    """
    Return a :class:`Query` of what somebody wrote (None for what was not given).

    Raises SaltInvocationError for a state or an address that there cannot be.
    """
    given = {name: str(value) for name, value in asked.items() if value is not None and value != ""}
    state, address = given.get("state"), given.pop("address", None)
    if state is not None and state not in STATES:
        raise SaltInvocationError(f"state is {state!r}; allowed are {', '.join(STATES)}.")
    try:
        # A session's address can name the interface.
        network = ipaddress.ip_network(INTERFACE.sub("", address), strict=False) if address else None
    except ValueError as exc:
        raise SaltInvocationError(f"address is {address!r}, which is no address and no network.") from exc
    if isinstance(network, ipaddress.IPv6Network) and network.prefixlen >= 96 and network.network_address.ipv4_mapped:
        network = ipaddress.ip_network((network.network_address.ipv4_mapped, network.prefixlen - 96))
    return Query(address=network, **given)


def matches(session: Session, asked: Query) -> bool:
    """Tell whether a session is one of those that are asked for (:class:`Query`)."""
    return (
        (asked.user is None or asked.user in (session.user, str(session.auid)))
        and (asked.person is None or asked.person == session.person)
        and (asked.session is None or asked.session in _ids(session))
        and (asked.state is None or asked.state == session.state)
        and (asked.key is None or _has_key(session, asked.key))
        and (asked.address is None or any(one in asked.address for one in addresses(session.address)))
        and (asked.command is None or any(_runs(one, asked.command) for one in _commands(session)))
        and (asked.path is None or any(_alike(one.path, asked.path) for one in session.files))
    )


def _ids(session: Session) -> tuple[str, ...]:
    return session.id, session.id.partition("@")[0], f"{session.host}/{session.id}"


def started(session: Session) -> int:
    """Return how many programs a session started (int)."""
    commands = session.commands
    return commands if isinstance(commands, int) else sum(one.success for one in commands or ())


def _has_key(session: Session, wanted: str) -> bool:
    known = session.key.fingerprint if session.key else ""
    return bool(known) and (known.startswith(wanted) or known.partition(":")[2].startswith(wanted))


def _commands(session: Session) -> Iterable:
    commands = session.commands
    return () if commands is None or isinstance(commands, int) else commands


def _runs(command: typing.Any, wanted: str) -> bool:
    return _alike(" ".join(command.argv), wanted) or _alike(command.exe or "", wanted)


def _alike(known: str, wanted: str) -> bool:
    return wanted in known or fnmatch.fnmatchcase(known, wanted)


def failures(lines: Iterable[Line]) -> list[dict[str, typing.Any]]:
    """
    Return who did not come in (list of dict), most attempts first: grouped by source, user and method.

    lines
        What sshd said (iterable of :class:`~sshtrail_lib.trail.sshd_log.Line`).

    Keys: ``address``, ``user``, ``method`` (str; None where sshd did not get that far), ``known`` (bool: whether there
    is such an account, as sshd saw it), ``count`` (int), ``first`` and ``last`` (str, ISO 8601 in UTC).
    """
    counts: collections.Counter[tuple] = collections.Counter()
    times: dict[tuple, tuple[float, float]] = {}
    for key, when, number in _failed(lines):
        if key in counts or len(counts) < MOST_FAILURES:
            counts[key] += number
            first, last = times.get(key, (when, when))
            times[key] = min(first, when), max(last, when)
    return [
        {
            **dict(zip(("address", "user", "method", "known"), key, strict=True)),
            **{"count": count, "first": text.iso(times[key][0]), "last": text.iso(times[key][1])},
        }
        for key, count in counts.most_common()
    ]


def _failed(lines: Iterable[Line]) -> Iterator[tuple[tuple, float, int]]:
    """
    Yield each attempt once, and how often it came.

    Of an unknown user sshd says that he is none, and then mostly that he has failed; of who leaves before he is let in
    it says the same in the end, and at LogLevel INFO that alone. Whom it turns away because he failed before, and who
    lets the time go by, may have named no user.
    """
    strangers: dict[tuple, tuple[tuple, float, int]] = {}
    told: set[tuple] = set()
    for line in lines:
        if line.event not in FAILURES:
            continue
        fields = line.fields
        place: tuple = (line.host, int(fields.get("child", line.pid)), fields.get("address"), fields.get("port"))
        address, user = fields.get("address"), text.line(fields["user"]) if "user" in fields else None
        when, times = line.when.timestamp(), int(fields.get("times", 1))
        if line.event == "invalid_user":
            strangers[place] = (address, user, None, False), when, times
            # OpenSSH 9.8 tells no port of who let the time go by.
            told.add((*place[:3], None))
        elif line.event == "failed":
            strangers.pop(place, None)
            if len(told) >= 10 * MOST_FAILURES:
                told.clear()
            told.update((place, (*place[:3], None)))
            yield (address, user, fields.get("method"), "invalid" not in fields), when, times
        elif place in strangers:
            yield strangers.pop(place)
        elif place not in told:
            yield (address, user, None, fields.get("how") == "authenticating"), when, times
    yield from strangers.values()


class _Group:
    """Sessions that have something in common."""

    def __init__(self) -> None:
        self.sessions = self.commands = 0
        self.first: float | None = None
        self.last: float | None = None

    def add(self, session: Session) -> None:
        self.sessions += 1
        self.commands += started(session)
        if session.started is not None:
            self.first = session.started if self.first is None else min(self.first, session.started)
            self.last = session.started if self.last is None else max(self.last, session.started)

    def told(self) -> dict[str, typing.Any]:
        times = {"first": self.first, "last": self.last}
        return {
            **{"sessions": self.sessions, "commands": self.commands},
            **{name: None if when is None else text.iso(when) for name, when in times.items()},
        }


def summary(sessions: Iterable[Session]) -> dict[str, dict[str, dict[str, typing.Any]]]:
    """
    Return how much there was (dict): by ``person``, ``user``, ``key``, ``address`` and ``day`` (UTC), each with the
    number of ``sessions`` and ``commands`` (int) and the time of the ``first`` and the ``last`` (str).
    """
    found: dict[str, dict[str, _Group]] = {name: {} for name in ("person", "user", "key", "address", "day")}
    for session in sessions:
        for kind, name in _groups(session):
            found[kind].setdefault(name, _Group()).add(session)
    return {kind: {name: group.told() for name, group in sorted(groups.items())} for kind, groups in found.items()}


def _groups(session: Session) -> Iterator[tuple[str, str]]:
    yield "person", session.person or "unknown"
    yield "user", text.line(session.user or "unknown")
    yield "key", session.key.fingerprint if session.key else f"no key: {text.line(session.method or 'unknown')}"
    yield "address", text.line(session.address or "unknown")
    yield "day", "unknown" if session.started is None else text.iso(session.started)[:10]
