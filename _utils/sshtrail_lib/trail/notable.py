"""
Which logins somebody wants to be told of, and why.
"""

from __future__ import annotations

import datetime
import ipaddress
import re
import typing
from collections.abc import Iterable, Mapping

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.trail.questions import Network
from sshtrail_lib.trail.session import addresses

#: What :func:`sshtrail_lib.trail.session.told` makes of a session.
Told = Mapping[str, typing.Any]

DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DAY = "|".join(DAYS)
_CLOCK = r"(?:([01][0-9]|2[0-3]):([0-5][0-9])|(24):(00))"
HOURS = re.compile(rf"(?:(?P<first>{_DAY})(?:-(?P<last>{_DAY}))? )?{_CLOCK}-{_CLOCK}")
A_DAY = 24 * 60


class Hours(typing.NamedTuple):
    """
    Times of a week: from ``begin`` to ``end`` (int, minutes of the day, the end not included) on ``days`` (frozenset of
    int, Monday is 0). Where the end is not after the beginning, it is that of the next day.
    """

    days: frozenset[int]
    begin: int
    end: int


def hours(written: str) -> Hours:
    """
    Return the times (:class:`Hours`) that somebody wrote: ``22:00-06:00``, ``sat-sun 00:00-24:00``.

    Raises SaltInvocationError for anything else.
    """
    found = HOURS.fullmatch(written)
    if not found:
        raise SaltInvocationError(
            f"{text.line(repr(written))} are no hours; write them as 22:00-06:00, or sat-sun 00:00-24:00."
        )
    first, last, *clock = found.groups()
    numbers = [int(part) for part in clock if part is not None]
    begin, end = numbers[0] * 60 + numbers[1], numbers[2] * 60 + numbers[3]
    return Hours(_days(first, last or first), begin, end)


def _days(first: str | None, last: str | None) -> frozenset[int]:
    if first is None or last is None:
        return frozenset(range(7))
    begin, end = DAYS.index(first), DAYS.index(last)
    return frozenset((begin + number) % 7 for number in range((end - begin) % 7 + 1))


def network(written: str) -> Network:
    """Return a network that somebody wrote, or one address. Raises SaltInvocationError for anything else."""
    try:
        return ipaddress.ip_network(written, strict=False)
    except ValueError as exc:
        raise SaltInvocationError(f"{text.line(repr(written))} is no network and no address.") from exc


def reasons(
    session: Told, tell: Mapping[str, typing.Any], first: str | None, zone: datetime.tzinfo | None = None
) -> list[str]:
    """
    Return why a session is notable (list of str, sentences for a person), empty where it is not.

    session
        As :func:`sshtrail_lib.trail.session.told` returns it (mapping).
    tell
        The policy's ``sessions:tell`` (mapping).
    first
        The first session of this account that is known (str, its id), None where none is.
    zone
        The time zone of the host (datetime.tzinfo), None for that of this one.

    What cannot be known is told: nobody can say that it is not what was asked for.
    """
    found = {
        "root": "root logged in directly" if session["user"] == "root" or session["auid"] == 0 else "",
        "password": _password(session["method"]),
        "unknown_key": _key(session),
        "new_account": "the account had never logged in before" if first in (None, session["id"]) else "",
        "networks": _from(session["from"]["address"], tell["networks"]),
        "hours": _when(session["started"], tell["hours"], zone),
    }
    return [said for name, said in found.items() if tell[name] and said]


def _password(method: str | None) -> str:
    if method is None:
        return "with what somebody logged in is not known"
    by = method.partition("/")[0]
    return f"somebody logged in by {text.line(by)}" if by in ("password", "keyboard-interactive") else ""


def _key(session: Told) -> str:
    whose = str(session["unknown"].get("person") or "")
    if session["method"] is None:
        return "with which key somebody logged in is not known"
    return text.line(whose) if whose and (session["key"] or session["certificate"]) else ""


def _from(address: str | None, networks: Iterable[str]) -> str:
    own = addresses(address)
    if not own:
        return "from where somebody logged in is not known"
    inside = any(one in known for known in map(network, networks) for one in own)
    return "" if inside else f"somebody logged in from {own[0]}, outside of the given networks"


def _when(started: str | None, times: Iterable[str], zone: datetime.tzinfo | None) -> str:
    seconds = text.seconds(started) if started else None
    if seconds is None:
        return "when somebody logged in is not known"
    when = datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).astimezone(zone)
    within = next((written for written in times if _within(when, hours(written))), None)
    return f"somebody logged in at {when:%H:%M} ({when:%Z}), within {within}" if within else ""


def _within(when: datetime.datetime, times: Hours) -> bool:
    minute, day = when.hour * 60 + when.minute, when.weekday()
    if times.begin < times.end:
        return day in times.days and times.begin <= minute < times.end
    yesterday = (day - 1) % 7
    return (day in times.days and minute >= times.begin) or (yesterday in times.days and minute < times.end)
