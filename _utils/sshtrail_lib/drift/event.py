"""
The events of the drift loop, and the claim behind them: their tags, what they hold, and what is believed of them.

A minion can write what it likes into an event, the sender's name included. So that an event is only a wake-up: what
the master acts on is the claim, which it keeps under the name of the minion that it has authenticated.
"""

import hashlib
import json
import re
import typing

from sshtrail_lib.base import text

VERSION = 1
PREFIX = "sshtrail/drift/"
#: What a minion tells.
FOUND, GONE, SILENCED, RESUMED = (PREFIX + kind for kind in ("found", "gone", "silenced", "resumed"))
#: What the master tells.
REPAIRED, FAILED, STOPPED = (PREFIX + kind for kind in ("repaired", "failed", "stopped"))
#: The name of the claim in Salt's mine.
CLAIM = "sshtrail_drift"

MOST_DIFFERENCES = 20
#: Characters of a single value, and bytes of a whole event.
LONGEST_VALUE = text.LONGEST
LARGEST = 8192
DIGEST = re.compile(r"[0-9a-f]{12}")


class Claim(typing.NamedTuple):
    """
    What a minion says of itself in the mine: it drifts.

    digest
        Which drift it is (str, 12 hexadecimal digits).
    round
        How many times it has begun to drift (int): the same drift, come back, is another claim.
    time
        Since when the claim stands (float, seconds since the epoch).
    """

    digest: str
    round: int
    time: float


def digest(differences):
    """Return a short name (12 hexadecimal digits) for what differs: layer, what, expected and actual of each."""
    told = sorted(json.dumps([entry[key] for key in ("layer", "what", "expected", "actual")]) for entry in differences)
    return hashlib.sha256("\n".join(told).encode()).hexdigest()[:12]


def claim(value):
    """
    Return the :class:`Claim` in ``value``, which a minion has put into the mine; None for anything else.

    Only numbers and a digest of a fixed form are taken, so that nothing of it can be code for anybody.
    """
    if not isinstance(value, dict) or value.get("version") != VERSION:
        return None
    name, number, time = value.get("digest"), value.get("round"), value.get("time")
    good = isinstance(name, str) and DIGEST.fullmatch(name) and _is_number(time) and type(number) is int
    return Claim(name, number, float(time)) if good and 0 <= number < 2**53 else None


def _is_number(value):
    # Neither NaN nor an infinity lies between two numbers.
    return type(value) in (int, float) and 0 <= value < 2**53


def claimed(claim):
    """Return the value (dict) that stands for a :class:`Claim` in the mine."""
    return {"version": VERSION, **claim._asdict()}


def found(look, claim):
    """
    Return the body of the event :data:`FOUND` (dict), of at most :data:`LARGEST` bytes.

    look
        What ``sshtrail.look`` returned (dict).
    claim
        The :class:`Claim` that stands for it.

    Keys: ``version``, ``digest``, ``round``, ``environment``, ``policy`` (digest), ``action`` (report or repair),
    ``count`` (int, of all differences), ``since`` (str, ISO 8601, the earliest that is known, or None) and
    ``differences``: the first ones, with values cut to :data:`LONGEST_VALUE` characters, each with ``said``, a
    sentence on who did it.
    """
    differences = [_short(entry) for entry in look["differences"]]
    since = min((entry["since"] for entry in look["differences"] if entry["since"]), default=None)
    body = {**_head(look, claim), "action": look["drift"]["action"], "count": len(differences), "since": since}
    told = differences[:MOST_DIFFERENCES]
    while told and len(json.dumps({**body, "differences": told})) > LARGEST:
        told.pop()
    return {**body, "differences": told}


def gone(look, claim):
    """Return the body of the event :data:`GONE` (dict): which drift it was, and the host's policy."""
    return _head(look, claim)


def _head(look, claim):
    where = {"environment": look["environment"], "policy": look["policy"]}
    return {"version": VERSION, "digest": claim.digest, "round": claim.round, **where}


def _short(entry):
    return {key: _value(value) for key, value in entry.items()}


def _value(value):
    """Return ``value`` for an event: text is cut and printable, a mapping or a list is kept while it is short."""
    if isinstance(value, (dict, list)):
        return value if len(json.dumps(value)) <= LONGEST_VALUE else text.line(json.dumps(value))
    return text.line(value) if isinstance(value, str) else value


def outcome(minion, claim, attempt, seconds, reason=""):
    """
    Return the body of what the master tells of a repair (dict).

    minion
        Its id (str), as the master has authenticated it.
    claim
        The :class:`Claim` that was acted on.
    attempt
        Which one it was (int, from 1).
    seconds
        How long it took (float).
    reason
        Why it failed or was stopped (str).
    """
    told = {"id": minion, "digest": claim.digest, "round": claim.round, "attempt": attempt}
    return {"version": VERSION, **told, "seconds": round(seconds, 3), "reason": text.line(reason, 5 * LONGEST_VALUE)}
