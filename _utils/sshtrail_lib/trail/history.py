"""
The history of a host, or of many: its logs are read, and out come the sessions.
"""

from __future__ import annotations

import datetime
import typing
from collections.abc import Iterator, Sequence

from sshtrail_lib.trail import sshd_log
from sshtrail_lib.trail.session import Session


class Sources(typing.NamedTuple):
    """
    Where the logs are.

    audit
        Files of the audit log, or directories of them (sequence of str): rotated and compressed ones too, in any
        order, of one host or of many (``node=``).
    sshd
        Files of syslog's with sshd's lines, likewise (sequence of str).
    journal
        Files with what ``journalctl -o json`` wrote (sequence of str), or None to ask the host's own journal.
    host
        The name of the host (str) where the audit log has no ``node=``.
    zone
        The time zone of syslog's old time stamps (datetime.tzinfo), None for this host's.
    alive
        Which processes still live (collection of int, pids), where that can be asked; None where the logs are copies.
    """

    audit: Sequence[str]
    sshd: Sequence[str] = ()
    journal: Sequence[str] | None = ()
    host: str = ""
    zone: datetime.tzinfo | None = None
    alive: frozenset[int] | None = None


class Wanted(typing.NamedTuple):
    """
    What is asked.

    since, until
        Seconds since the epoch (float): sessions that had not ended before the one and had begun before the other.
    commands
        Whether the commands are wanted (bool), and not just their number; with them come ``became`` by other means
        than su and sudo, ``files`` and ``survived``.
    id
        Only the session of this id (str).
    """

    since: float | None = None
    until: float | None = None
    commands: bool = False
    id: str | None = None


def sessions(sources: Sources, wanted: Wanted = Wanted()) -> Iterator[Session]:
    """
    Yield the sessions (:class:`~sshtrail_lib.trail.session.Session`) of the logs, in the order of their beginning.

    sources
        :class:`Sources`.
    wanted
        :class:`Wanted`.
    """
    yield from ()


def lines(sources: Sources, wanted: Wanted = Wanted()) -> Iterator[sshd_log.Line]:
    """
    Yield sshd's lines (:class:`~sshtrail_lib.trail.sshd_log.Line`) in the order of the logs, failures among them.

    The journal's trusted fields decide whether a line is sshd's; in syslog's files anybody can have written it.
    """
    yield from ()
