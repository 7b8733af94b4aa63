"""
The claim of a host that it drifts, and what it remembers of having told so.

A minion can write what it likes into an event, the sender's name included. So that an event is only a wake-up: what
the master acts on is the claim, which it keeps in the mine under the name of the minion that it has authenticated.
"""

from __future__ import annotations

import hashlib
import json
import re
import typing

from salt.exceptions import SaltInvocationError

from sshtrail_lib import RELEASE
from sshtrail_lib.base import text

if typing.TYPE_CHECKING:
    # Each tick of the schedule imports this in a process of its own.
    from sshtrail_lib.drift.difference import Difference

VERSION = 1
#: The name of the claim in Salt's mine.
MINE_KEY = "sshtrail_drift"
NAME = re.compile(r"[0-9a-f]{12}")
#: What a host may call the version of this project with which it looks.
RELEASES = re.compile(r"[0-9A-Za-z.+-]{1,60}")
#: The longest silence, in minutes: a maintenance window, not a policy.
LONGEST_SILENCE = 1440


class SilenceError(SaltInvocationError):
    """A silence was asked for that is none; the message says what is allowed."""


class Claim(typing.NamedTuple):
    """
    What a minion says of itself in the mine: it drifts.

    name
        Which drift it is (str, 12 hexadecimal digits, see :func:`name_of`).
    round
        How many times it has begun to drift (int): the same drift, come back, is another claim.
    time
        Since when the claim stands (float, seconds since the epoch).
    release
        With which version of this project the host has looked (str, :data:`sshtrail_lib.RELEASE`), "" for one that did
        not say.
    """

    name: str
    round: int
    time: float
    release: str = RELEASE


class Told(typing.NamedTuple):
    """
    What the master knows.

    claim
        The :class:`Claim` that stands, None for no drift.
    rounds
        How many times this host has begun to drift (int).
    until
        When a silence ends (float, seconds since the epoch; 0 for none).
    reason
        Why it is silent (str).
    """

    claim: Claim | None = None
    rounds: int = 0
    until: float = 0.0
    reason: str = ""


def name_of(differences: list[Difference]) -> str:
    """Return a short name (12 hexadecimal digits) for what differs: layer, what, expected and actual of each."""
    told = sorted(json.dumps([entry[key] for key in ("layer", "what", "expected", "actual")]) for entry in differences)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


# --- What is written down: in the mine, and in the minion's own file --------------------------------------------


def claimed(claim: Claim) -> dict[str, typing.Any]:
    """Return the value (dict) that stands for a :class:`Claim` in the mine."""
    # Version 1 has called the drift's name a digest; masters and minions are not brought up to date at once.
    told = {"version": VERSION, "digest": claim.name, "round": claim.round, "time": claim.time}
    return {**told, "release": claim.release}


def parse(value: typing.Any) -> Claim | None:
    """
    Return the :class:`Claim` in ``value``, which a minion has put into the mine; None for anything else.

    Only numbers and a name of a fixed form are taken, so that nothing of it can be code for anybody.
    """
    if not isinstance(value, dict) or value.get("version") != VERSION:
        return None
    parts: list[typing.Any] = [value.get(key) for key in ("digest", "round", "time")]
    name, number, time = parts
    if not isinstance(name, str) or not NAME.fullmatch(name):
        return None
    if not _is_number(number, int) or not _is_number(time, int, float):
        return None
    release = value.get("release")
    good = isinstance(release, str) and RELEASES.fullmatch(release)
    return Claim(name, number, float(time), str(release) if good else "")


def _is_number(value: typing.Any, *kinds: type) -> bool:
    # True is no number; and neither NaN nor an infinity lies between two numbers.
    return type(value) in kinds and 0 <= value < 2**53


def told(value: typing.Any) -> Told:
    """Return the :class:`Told` in what was stored (dict, or None for nothing yet); what is broken counts as nothing."""
    known = value if isinstance(value, dict) else {}
    parts: list[typing.Any] = [known.get(key) for key in ("rounds", "until", "reason")]
    found = Told(parse(known.get("claim")), *parts)
    good = type(found.rounds) is int and type(found.until) in (int, float) and isinstance(found.reason, str)
    return found if good else Told()


def stored(told: Told) -> dict[str, typing.Any]:
    """Return what stands for a :class:`Told` in a file (dict)."""
    return {**told._asdict(), "claim": claimed(told.claim) if told.claim else None}


# --- What comes next --------------------------------------------------------------------------------------------


def next_claim(told: Told, differences: list[Difference], clean: float, now: float) -> Claim | None:
    """
    Return the :class:`Claim` that should stand: the one that does, a new one, or None for no drift.

    told
        What the master knows (:class:`Told`).
    differences
        What differs now (list of dict).
    clean
        When nothing differed for the last time (float, seconds since the epoch).
    now
        The present (float).

    The same drift that was gone in between, be it for a moment, is another one: somebody did it again.
    """
    if not differences:
        return None
    name, known = name_of(differences), told.claim
    begun = known is None or clean > known.time
    if known and not begun and name == known.name:
        # After an update it is told once more: the master believes those who have what it has.
        return known._replace(release=RELEASE)
    return Claim(name, told.rounds + 1 if known is None or begun else known.round, now)


def silent(told: Told, now: float) -> bool:
    """Return whether nothing is to be told (bool)."""
    # One that lasts longer than any may was asked for while the clock was ahead.
    return now < told.until <= now + 60 * LONGEST_SILENCE


def over(told: Told, now: float) -> bool:
    """Return whether a silence has ended by itself, and nobody was told (bool)."""
    return told.until > 0 and not silent(told, now)


def silence(told: Told, minutes: int, reason: str, now: float) -> Told:
    """
    Return the :class:`Told` of a host that is to be silent.

    minutes
        How long (int, 1 to 1,440).
    reason
        Why (str, one line of at most 200 characters).
    now
        The present (float).

    Raises :class:`SilenceError`, which names the argument and what is allowed.
    """
    if type(minutes) is not int or not 1 <= minutes <= LONGEST_SILENCE:
        raise SilenceError(f"minutes is {minutes!r}; allowed is a number from 1 to {LONGEST_SILENCE}.")
    if not isinstance(reason, str) or not reason.strip() or text.line(reason) != reason:
        raise SilenceError(f"reason is {reason!r}; it must be one line of text, of at most 200 characters.")
    return told._replace(claim=None, until=now + 60 * minutes, reason=reason)


def spoken(told: Told) -> Told:
    """Return the :class:`Told` of a host whose silence has ended."""
    return told._replace(until=0.0, reason="")
