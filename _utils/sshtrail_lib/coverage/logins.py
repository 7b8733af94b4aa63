"""
The two logs held against each other: what sshd says that it accepted, and what the audit log knows of it.

The process that accepted somebody is the one that PAM sets the login id of, so that its number joins them. The times
are seconds apart on a busy host, and up to a minute late, so that a login is judged only when it is older than that.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.coverage.checks import Verdict, unknown, verdict
from sshtrail_lib.coverage.people import Process, sessions

#: Seconds by which what the two logs say of one login may be apart.
APART = 120.0
#: What the audit log has of a login that went by PAM.
KINDS = ("LOGIN", "USER_START", "CRED_ACQ")
TOO_MUCH = "sshd's log has more since the last look than can be read"
#: Logins that are named.
MOST = 3


class Accepted(typing.NamedTuple):
    """A line of sshd's: ``when`` (float, seconds since the epoch), the ``pid`` (int), for which ``user`` (str)."""

    when: float
    pid: int
    user: str


class Known(typing.NamedTuple):
    """
    A record of a login: ``when`` (float, seconds since the epoch), the ``pid`` (int), and for which ``user`` sshd
    opened the session (str), "" where it is about something else; and whether it is known under a ``login`` id (bool),
    without which nothing is recorded of what he does.
    """

    when: float
    pid: int
    user: str = ""
    login: bool = True


class Logs(typing.NamedTuple):
    """
    What the two logs say.

    since, until
        Which logins are judged (float, seconds since the epoch).
    accepted
        sshd's lines on whom it accepted (sequence of :class:`Accepted`).
    spoken
        When sshd said anything (sequence of float): a log that holds nothing of it tells nothing either.
    known
        The audit log's records (sequence of :class:`Known`).
    reaches
        When the oldest record was made that was read (float), None for an empty log.
    suppressed
        What the journal says that it left out of sshd's messages (str).
    whole
        Whether all was read that sshd said of those who came (bool): there can be too much of it.
    elsewhere
        Whether a sshd runs in a container (bool).
    """

    since: float
    until: float
    accepted: Sequence[Accepted]
    spoken: Sequence[float]
    known: Sequence[Known]
    reaches: float | None
    suppressed: str
    whole: bool = True
    elsewhere: bool = False


def judge(logs: Logs, processes: Mapping[int, Process]) -> Iterator[Verdict]:
    """Yield the verdicts on the logins between two looks, and on the sessions that are open (dict of processes)."""
    yield _unknown_to_audit(logs)
    yield _unknown_to_sshd(logs, processes)
    yield verdict("messages-suppressed", logs.suppressed)


def _unknown_to_audit(logs: Logs) -> Verdict:
    if logs.reaches is None:
        return unknown("login-unmatched", "the audit log is empty")
    told = _told(f"{one.user} (pid {one.pid})" for one in missing(logs))
    return verdict("login-unmatched", told) if told or logs.whole else unknown("login-unmatched", TOO_MUCH)


def missing(logs: Logs) -> list[Accepted]:
    """Return whom sshd accepted, and the audit log does not know by a login id (list of :class:`Accepted`)."""
    known = [one for one in logs.known if one.login]
    first = max(logs.since, logs.reaches + APART) if logs.reaches is not None else logs.until
    return [one for one in logs.accepted if first < one.when <= logs.until and not _near(one, known)]


def _near(one: Accepted | Known, known: Iterable[Accepted | Known]) -> bool:
    return any(other.pid == one.pid and abs(other.when - one.when) <= APART for other in known)


def _unknown_to_sshd(logs: Logs, processes: Mapping[int, Process]) -> Verdict:
    if not logs.spoken:
        return unknown("accepted-unmatched", "sshd's log has no line of sshd")
    if not logs.whole:
        return unknown("accepted-unmatched", TOO_MUCH)
    first, accepted = min(logs.spoken), {one.pid for one in logs.accepted}
    untold = []
    for pid, user in sessions(processes).items():
        one = processes[pid]
        # Only what its log certainly was written for: sshd said something before.
        within = max(logs.since, first) + APART < one.started < logs.until
        if within and not {pid, one.parent} & accepted:
            untold.append(f"{user} (pid {one.parent})")
    return verdict("accepted-unmatched", _told([*untold, *over(logs)]))


def over(logs: Logs) -> list[str]:
    """Return who came, and may have gone, without a line of sshd's (list of str)."""
    # What a container's sshd accepts the kernel records for this host, and a log of its own has it.
    if logs.elsewhere or not logs.spoken:
        return []
    begin = max(logs.since, min(logs.spoken) + APART)
    came = [one for one in logs.known if one.user and begin < one.when <= logs.until]
    return [f"{one.user} (pid {one.pid})" for one in came if not _near(one, logs.accepted)]


def _told(names: Iterable[str]) -> str:
    every = list(dict.fromkeys(names))
    more = f" and {len(every) - MOST} more" if len(every) > MOST else ""
    return ", ".join(every[:MOST]) + more
