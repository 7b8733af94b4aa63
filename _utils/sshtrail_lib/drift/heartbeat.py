"""
The heartbeat of a host: what it says of its own watch to the master, every few minutes.

It lies in the mine beside the claim (:mod:`sshtrail_lib.drift.claim`), under the name of the minion that the master has
authenticated, so that a minion can lie about itself alone. When it came is told by the master's clock; the host's own
times are only compared with each other.
"""

from __future__ import annotations

import hashlib
import typing
from collections.abc import Mapping

from sshtrail_lib.base import text

VERSION = 1
#: The name of the heartbeat in Salt's mine.
MINE_KEY = "sshtrail_heartbeat"
#: A host is silent after so many heartbeats that did not come, and these seconds for the way.
MISSED, SLACK = 3, 10
#: What is agreed before a host has had a valid policy: seconds between two looks, and between two heartbeats.
INTERVAL, HEARTBEAT = 60, 300
#: Characters of what failed.
LONGEST_REASON = text.LONGEST
LARGEST = 2**53


class Beat(typing.NamedTuple):
    """
    What a host says of its watch.

    number
        How many heartbeats it has sent (int): another number is another heartbeat.
    time
        When it was sent (float, seconds since the epoch, by the host's clock), 0 for never.
    looked
        When it last looked and came to an end with it (float, by the same clock), 0 for never.
    policy
        The digest of the policy that it looked with (str), "" for none.
    differences
        How many it found (int).
    interval
        Seconds between two looks (int, the splay included).
    heartbeat
        Seconds between two heartbeats (int).
    failing
        Since when its looks fail (float, by the same clock), 0 while they do not.
    failed
        Why the last one failed (str, one line), "" when it did not.
    until
        When a silence ends that somebody asked for (float, by the same clock), 0 for none.
    edition
        Which edition of the library looked (str).
    """

    number: int = 0
    time: float = 0.0
    looked: float = 0.0
    policy: str = ""
    differences: int = 0
    interval: int = INTERVAL
    heartbeat: int = HEARTBEAT
    failing: float = 0.0
    failed: str = ""
    until: float = 0.0
    edition: str = ""


def parse(value: typing.Any) -> Beat | None:
    """Return the :class:`Beat` in what a minion has put into the mine (anything), None where there is none."""
    if not isinstance(value, dict) or value.get("version") != VERSION:
        return None
    parts: dict[str, typing.Any] = {name: value.get(name) for name in Beat._fields}
    good = all(_fits(parts[name], kind) for name, kind in typing.get_type_hints(Beat).items())
    return Beat(**parts)._replace(failed=text.line(parts["failed"], LONGEST_REASON)) if good else None


def _fits(value: typing.Any, kind: type) -> bool:
    if kind is str:
        return isinstance(value, str) and len(value) <= LONGEST_REASON
    # True is no number; and neither NaN nor an infinity lies between two numbers.
    return type(value) in (int, kind) and 0 <= value < LARGEST


def stored(beat: Beat) -> dict[str, typing.Any]:
    """Return the value (dict) that stands for a :class:`Beat` in the mine and in the host's own file."""
    return {"version": VERSION, **beat._asdict()}


def due(last: Beat, failed: str, now: float) -> bool:
    """
    Return whether it is time for a heartbeat (bool).

    last
        The last one that was sent (:class:`Beat`).
    failed
        Why the look of now failed (str), "" when it did not: that it begins or ends is told at once, as is the first
        look of all.
    now
        The present (float).

    The time between two is up to a quarter longer than agreed, differently each time, so that hosts which were started
    together do not beat together for long.
    """
    if bool(failed) != bool(last.failed) or now < last.time or not (failed or last.looked):
        return True
    spread = hashlib.sha256(f"{last.time} {last.number}".encode()).digest()[0] / 255
    return now - last.time >= last.heartbeat * (1 + spread / 4)


def next_beat(last: Beat, look: Mapping | None, failed: str, until: float, now: float) -> Beat:
    """
    Return the heartbeat (:class:`Beat`) that follows the ``last`` one.

    look
        What ``sshtrail.look`` returned (mapping), None when nobody looked now.
    failed, until
        Why that failed (str), and when a silence ends (float), as a :class:`Beat` has them.
    now
        The present (float).
    """
    failing = (last.failing or now) if failed else 0.0
    beat = last._replace(number=last.number + 1, time=now, failing=failing, failed=failed, until=until)
    if look is None:
        return beat
    agreed, found = look["drift"], len(look["differences"])
    times = {"interval": agreed["interval"] + agreed["splay"], "heartbeat": agreed["heartbeat"]}
    return beat._replace(looked=now, policy=look["digest"], differences=found, **times)


def limit(beat: Beat) -> int:
    """Return after how many seconds (int) without another heartbeat a host is silent."""
    return longest_silence(beat.interval, beat.heartbeat)


def longest_silence(interval: int, heartbeat: int) -> int:
    """Return the same (int) for the seconds between two looks and between two heartbeats (int) of a policy."""
    return MISSED * max(interval, heartbeat) + SLACK
