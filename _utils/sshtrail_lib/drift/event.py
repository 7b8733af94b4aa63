"""
The events of the drift loop: their tags, and what they hold.

The names in a body are those of version 1, so that a master or a webhook of an older day understands them: there
``digest`` names the drift and ``policy`` is the digest of the policy.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Mapping

from sshtrail_lib.base import text
from sshtrail_lib.drift.claim import Claim

VERSION = 1
PREFIX = "sshtrail/drift/"
#: What a minion tells.
FOUND, GONE, SILENCED, RESUMED = (PREFIX + kind for kind in ("found", "gone", "silenced", "resumed"))
#: What the master tells.
REPAIRED, FAILED, STOPPED = (PREFIX + kind for kind in ("repaired", "failed", "stopped"))
SILENT, HEARD = (PREFIX + kind for kind in ("silent", "heard"))
#: What the master tells of one of its own processes, for which the repairs of all hosts wait.
STUCK = PREFIX + "stuck"

#: What a minion tells of its audit log, which auditd has suspended, or writes again.
LOG_SUSPENDED, LOG_RESUMED = "sshtrail/trail/suspended", "sshtrail/trail/resumed"

#: What a minion tells of a notable login, and of its end.
SESSION_OPENED, SESSION_CLOSED = "sshtrail/session/opened", "sshtrail/session/closed"
#: What the event has of a session, and how much of what there can be more of.
SESSION = (
    *("id", "host", "user", "auid", "person", "from", "method", "key", "certificate", "started", "ended"),
    *("seconds", "state", "tty", "channels", "became", "unknown"),
)
MOST_PARTS = 10

MOST_DIFFERENCES = 20
#: Characters of a single value, and bytes of a whole event.
LONGEST_VALUE = text.LONGEST
LARGEST = 8192

Body = dict[str, typing.Any]


def found(look: Mapping, claim: Claim) -> Body:
    """
    Return the body of the event :data:`FOUND` (dict), of at most :data:`LARGEST` bytes.

    look
        What ``sshtrail.look`` returned (dict).
    claim
        The :class:`Claim` that stands for it.

    Keys: ``version``, ``digest`` (the drift's name), ``round``, ``environment``, ``policy`` (its digest), ``action``
    (report or repair), ``count`` (int, of all differences), ``since`` (str, ISO 8601, the earliest that is known, or
    None) and ``differences``: the first ones, with values cut to :data:`LONGEST_VALUE` characters, each with ``said``,
    a sentence on who did it.
    """
    differences = [short_all(entry) for entry in look["differences"]]
    since = min((entry["since"] for entry in look["differences"] if entry["since"]), default=None)
    body = {**_head(look, claim), "action": look["drift"]["action"], "count": len(differences), "since": since}
    told = differences[:MOST_DIFFERENCES]
    while told and len(json.dumps({**body, "differences": told})) > LARGEST:
        told.pop()
    return {**body, "differences": told}


def gone(look: Mapping, claim: Claim) -> Body:
    """Return the body of the event :data:`GONE` (dict): which drift it was, and the host's policy."""
    return _head(look, claim)


def log_suspended(found: Mapping[str, typing.Any], since: str, action: str) -> Body:
    """
    Return the body of the event :data:`LOG_SUSPENDED` (dict).

    found
        What ``auditd_conf.suspended`` told (mapping).
    since
        When the last event was recorded, or, where that is unknown, when this was seen (str, ISO 8601).
    action
        What the host does about it: ``resume`` or ``leave`` (str).

    Keys: ``version``, ``since``, ``action``, and of ``found`` the ``log``, what is ``free`` and ``needs`` to be
    (bytes), ``room`` and ``said``.
    """
    told = {key: found[key] for key in ("free", "needs", "room", "said")}
    return {"version": VERSION, "since": since, "action": action, "log": text.line(found["log"]), **told}


def log_resumed(known: Mapping[str, typing.Any]) -> Body:
    """
    Return the body of the event :data:`LOG_RESUMED` (dict).

    known
        What is known of the time without records (mapping), with the keys that go into the body: ``since`` and
        ``until`` (str, ISO 8601), ``events`` (int, not in the log; None for unknown), ``lost`` (int, records, by the
        kernel's count), ``by`` (``sshtrail`` or ``somebody``) and ``said`` (str, a sentence).
    """
    told = {key: known[key] for key in ("since", "until", "events", "lost", "by", "said")}
    return {"version": VERSION, **told}


def session(told: Mapping[str, typing.Any], reasons: list[str], over: bool = False) -> Body:
    """
    Return the body of the events :data:`SESSION_OPENED` and :data:`SESSION_CLOSED` (dict), of at most :data:`LARGEST`
    bytes.

    told
        The session (mapping), as :func:`sshtrail_lib.trail.session.told` returns it.
    reasons
        Why it is told (list of str).
    over
        Whether it has ended (bool): then ``commands`` is how many it ran (int), else None.

    Keys: ``version``, ``reasons``, :data:`SESSION` and ``commands``. Of ``channels`` and ``became`` there are the first
    :data:`MOST_PARTS`; what would make it too large is left out, and ``unknown`` says so.
    """
    commands = told["commands"] if over else None
    body = {
        "version": VERSION,
        "reasons": [text.line(one) for one in reasons],
        **text.bounded({k: told[k] for k in SESSION}, MOST_PARTS),
    }
    body["commands"] = commands if commands is None or isinstance(commands, int) else len(commands)
    for name in ("became", "channels", "unknown"):
        if len(json.dumps(body)) > LARGEST:
            body[name] = {} if name == "unknown" else []
            body["unknown"] = {**body["unknown"], name: "it is too much for an event"}
    return body


def _head(look: Mapping, claim: Claim) -> Body:
    where = {"environment": look["environment"], "policy": look["digest"]}
    return {"version": VERSION, "digest": claim.name, "round": claim.round, **where}


def short_all(entry: Mapping[str, typing.Any]) -> dict[str, typing.Any]:
    """Return ``entry`` (mapping) with each value cut by :func:`short`."""
    return {key: short(value) for key, value in entry.items()}


def short(value: typing.Any) -> typing.Any:
    """Return a value that others are told: text is cut and printable, a mapping or a list is kept while it is short."""
    if isinstance(value, (dict, list)):
        return value if len(json.dumps(value)) <= LONGEST_VALUE else text.line(json.dumps(value))
    return text.line(value) if isinstance(value, str) else value


def outcome(minion: str, claim: Claim, attempt: int, seconds: float, reason: str = "") -> Body:
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
    told = {"id": minion, "digest": claim.name, "round": claim.round, "attempt": attempt}
    return {"version": VERSION, **told, "seconds": round(seconds, 3), "reason": text.line(reason, 5 * LONGEST_VALUE)}


def vigil(minion: str, since: float, reason: str = "") -> Body:
    """
    Return the body of what the master tells of a host's heartbeat (dict): ``version``, ``id``, ``since``, ``reason``.

    minion
        Its id (str), as the master knows it.
    since
        When it was last heard of, or when it was first missed (float, seconds since the epoch).
    reason
        Why it counts as silent (str), "" when it was heard again.
    """
    return {"version": VERSION, "id": minion, "since": text.iso(since), "reason": text.line(reason, 5 * LONGEST_VALUE)}


def stuck(pid: int, since: float, taken: bool, reason: str) -> Body:
    """
    Return the body of the event :data:`STUCK` (dict): ``version``, ``pid``, ``since``, ``taken`` and ``reason``.

    pid
        The process that holds the lock of all repairs, and gives no sign of life (int).
    since
        When it gave the last one (float, seconds since the epoch).
    taken
        Whether another run goes on in its place (bool).
    reason
        The same as a sentence (str).
    """
    told = {"pid": pid, "since": text.iso(since), "taken": taken}
    return {"version": VERSION, **told, "reason": text.line(reason, 5 * LONGEST_VALUE)}
