"""
The session: what one login by SSH was, and what is behind each word that is said about it.
"""

from __future__ import annotations

import dataclasses
import ipaddress
import typing
from collections.abc import Sequence

from sshtrail_lib.base import text

#: What can be said about the end: nothing tells of one; sshd and PAM ended it; its sshd was killed; the logs lost it.
OPEN, CLOSED, KILLED, LOST = STATES = ("open", "closed", "killed", "lost")
#: How somebody became another user.
SU, SUDO, OTHER = VIAS = ("su", "sudo", "other")


Address = ipaddress.IPv4Address | ipaddress.IPv6Address


class Key(typing.NamedTuple):
    """
    The public key of a login.

    ``type`` (str, as sshd writes it: ``ED25519``, ``RSA-CERT``), ``fingerprint`` (str, ``SHA256:…`` as ``ssh-keygen
    -l`` prints it), and where sshd found it: ``file`` (str) and ``line`` (int), None where sshd did not say.
    """

    type: str
    fingerprint: str
    file: str | None = None
    line: int | None = None


class Certificate(typing.NamedTuple):
    """The certificate of a login: its ``id`` and ``serial`` (str) and the fingerprint of its ``ca`` (str)."""

    id: str
    serial: str
    ca: str


class Channel(typing.NamedTuple):
    """
    One of the sessions that a connection carries (RFC 4254); a multiplexed connection has several.

    ``id`` (int), ``kind`` (str: shell, command, subsystem, forwarding) and ``what`` (str: the subsystem's name, or the
    command that the server forced; sshd does not log what a client asked for).
    """

    id: int | None
    kind: str
    what: str | None = None


class Command(typing.NamedTuple):
    """
    A program that was started.

    ``time`` (float, seconds since the epoch), ``argv`` (tuple of str), ``cwd``, ``exe`` (str), ``uid``, ``euid``
    (int), ``tty`` (str), ``success`` (bool) and ``serial`` (int: the audit event). ``pid`` and ``parent`` (int) are
    those of the process. What did not start has no arguments in the log: then ``argv`` is empty and ``exe`` what was
    to be started.
    """

    time: float
    argv: tuple[str, ...]
    cwd: str | None
    exe: str | None
    uid: int
    euid: int
    tty: str | None
    success: bool
    serial: int
    pid: int
    parent: int


class Became(typing.NamedTuple):
    """
    A change of user.

    ``time`` (float, seconds since the epoch), ``via`` (str: su, sudo or other), ``from_user`` and ``to_user`` (str: a
    name, or a number where the logs have no name), ``command`` (str, None where it is not known), ``result`` (str:
    success, failed or unknown) and ``serial`` (int: the audit event).
    """

    time: float
    via: str
    from_user: str | None
    to_user: str | None
    command: str | None
    result: str
    serial: int


class File(typing.NamedTuple):
    """
    A file that was changed, as a rule that watches it tells.

    ``time`` (float), ``path`` (str), ``what`` (str: created, written, removed, attributes), ``keys`` (tuple of str:
    those of the rules), ``exe`` (str), ``uid`` (int) and ``serial`` (int: the audit event).
    """

    time: float
    path: str
    what: str
    keys: tuple[str, ...]
    exe: str | None
    uid: int
    serial: int


@dataclasses.dataclass
class Session:
    """
    A login by SSH and what came of it. None is "not known", and then ``unknown`` says why.

    id
        ``SES@TIME`` (str): the kernel's session number, which is unique in one boot, and when it began in UTC.
    host
        The audit log's node, else the host that was told (str).
    user, auid
        The account (str) and its login id (int).
    person
        Who it was (str), which only the one who asks can know.
    address, port
        Where it came from (str, int).
    method
        As sshd names it (str: publickey, password, keyboard-interactive/pam, …).
    key, certificate
        With what (:class:`Key`, :class:`Certificate`), None for another method.
    started, ended
        Seconds since the epoch (float).
    state
        One of :data:`STATES`.
    tty
        Its first terminal (str), None without one.
    channels
        What the connection carried (list of :class:`Channel`), as far as sshd told.
    commands
        How many programs were started (int), or these (sequence of :class:`Command`), which may be read from disk; None
        when neither was asked for.
    became, files, survived
        Lists of :class:`Became`, :class:`File`, and of the :class:`Command` that came after the end.
    proof
        What is behind each statement (dict of str to list of str): audit events as ``audit(TIME:SERIAL)``, and lines
        of sshd's.
    unknown
        What the logs cannot tell (dict of str, the field's name, to str, the reason).
    pid
        The process of sshd's that serves it (int), for whoever asks on the same host whether it still lives.
    """

    id: str
    host: str
    user: str | None = None
    auid: int | None = None
    person: str | None = None
    address: str | None = None
    port: int | None = None
    method: str | None = None
    key: Key | None = None
    certificate: Certificate | None = None
    started: float | None = None
    ended: float | None = None
    state: str = OPEN
    tty: str | None = None
    channels: list[Channel] = dataclasses.field(default_factory=list)
    commands: int | Sequence[Command] | None = 0
    became: list[Became] = dataclasses.field(default_factory=list)
    files: list[File] = dataclasses.field(default_factory=list)
    survived: list[Command] = dataclasses.field(default_factory=list)
    proof: dict[str, list[str]] = dataclasses.field(default_factory=dict)
    unknown: dict[str, str] = dataclasses.field(default_factory=dict)
    pid: int | None = None

    @property
    def seconds(self) -> float | None:
        """How long it lasted (float), None while it lasts and where the clock cannot be trusted."""
        if self.started is None or self.ended is None or "seconds" in self.unknown:
            return None
        return round(self.ended - self.started, 3)


def addresses(written: str | None) -> list[Address]:
    """
    Return what an address of a session is (list of addresses): itself, and the one of IPv4 that it may stand for.

    Empty for what is no address.
    """
    try:
        own = ipaddress.ip_address((written or "").partition("%")[0])
    except ValueError:
        return []
    mapped = getattr(own, "ipv4_mapped", None)
    return [own, mapped] if mapped else [own]


def told(session: Session) -> dict[str, typing.Any]:
    """
    Return a :class:`Session` as plain data (dict), as it is given out: times are ISO 8601 in UTC.

    The keys are ``id host user auid person from method key certificate started ended seconds state tty channels
    commands became files survived proof unknown``.
    """
    commands = session.commands
    return {
        **{name: getattr(session, name) for name in ("id", "host", "user", "auid", "person")},
        "from": {"address": session.address, "port": session.port},
        "method": session.method,
        "key": session.key and session.key._asdict(),
        "certificate": session.certificate and session.certificate._asdict(),
        "started": _iso(session.started),
        "ended": _iso(session.ended),
        **{name: getattr(session, name) for name in ("seconds", "state", "tty")},
        "channels": [channel._asdict() for channel in session.channels],
        "commands": commands if commands is None or isinstance(commands, int) else [command(one) for one in commands],
        "became": [became(one) for one in session.became],
        "files": [file(one) for one in session.files],
        "survived": [command(one) for one in session.survived],
        "proof": session.proof,
        "unknown": session.unknown,
    }


def command(one: Command) -> dict[str, typing.Any]:
    """Return a :class:`Command` as plain data (dict), as it is given out."""
    names = ("cwd", "exe", "uid", "euid", "tty", "success", "serial")
    return {"time": _iso(one.time), "argv": list(one.argv), **{name: getattr(one, name) for name in names}}


def became(one: Became) -> dict[str, typing.Any]:
    """Return a :class:`Became` as plain data (dict), as it is given out."""
    who = {"from": one.from_user, "to": one.to_user}
    return {"time": _iso(one.time), "via": one.via, **who, "command": one.command, "result": one.result}


def file(one: File) -> dict[str, typing.Any]:
    """Return a :class:`File` as plain data (dict), as it is given out."""
    return {**one._asdict(), "time": _iso(one.time), "keys": list(one.keys)}


def _iso(seconds):
    return None if seconds is None else text.iso(seconds)
