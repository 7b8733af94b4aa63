"""
What a minion has told its master of drift, and what is still to be told.
"""

import typing

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.drift import event

#: The longest silence, in minutes: a maintenance window, not a policy.
LONGEST_SILENCE = 1440


class SilenceError(SaltInvocationError):
    """A silence was asked for that is none; the message says what is allowed."""


class Told(typing.NamedTuple):
    """
    What the master knows.

    claim
        The :class:`sshtrail_lib.drift.event.Claim` that stands, None for no drift.
    rounds
        How many times this host has begun to drift (int).
    until
        When a silence ends (float, seconds since the epoch; 0 for none).
    reason
        Why it is silent (str).
    """

    claim: event.Claim | None = None
    rounds: int = 0
    until: float = 0.0
    reason: str = ""


def told(value):
    """Return the :class:`Told` in what was stored (dict, or None for nothing yet); what is broken counts as nothing."""
    if not isinstance(value, dict):
        return Told()
    rounds, until, reason = (value.get(key) for key in ("rounds", "until", "reason"))
    claim = event.claim(value.get("claim"))
    good = type(rounds) is int and type(until) in (int, float) and isinstance(reason, str)
    return Told(claim, rounds, until, reason) if good else Told()


def stored(told):
    """Return what stands for a :class:`Told` in a file (dict)."""
    claim = told.claim and event.claimed(told.claim)
    return {**told._asdict(), "claim": claim}


def next_claim(told, differences, clean, now):
    """
    Return the :class:`drift.event.Claim` that should stand: the one that does, a new one, or None for no drift.

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
    digest = event.digest(differences)
    begun = told.claim is None or clean > told.claim.time
    if not begun and digest == told.claim.digest:
        return told.claim
    return event.Claim(digest, told.rounds + 1 if begun else told.claim.round, now)


def silent(told, now):
    """Return whether nothing is to be told (bool)."""
    return now < told.until


def over(told, now):
    """Return whether a silence has ended by itself, and nobody was told (bool)."""
    return 0 < told.until <= now


def silence(told, minutes, reason, now):
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
