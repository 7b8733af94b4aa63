"""
What a host tells for the page: one answer with everything, each part by itself, so that one that fails hides no other.
"""

from __future__ import annotations

import json
import logging
import re
import time
import typing
from collections.abc import Callable

from salt.exceptions import SaltException, SaltInvocationError

from sshtrail_lib.base import sockets, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.compliance import places
from sshtrail_lib.drift import history
from sshtrail_lib.fleet import shapes
from sshtrail_lib.trail import proof, reader

log = logging.getLogger(__name__)

#: The days that a page may go back.
MOST = 92
#: Sessions and failures that a host hands over at most, commands of each session, differences and changes.
SESSIONS, FAILURES, DIFFERENCES, SPANS = (shapes.PARTS[name] for name in ("sessions", "failures", "drift", "history"))
COMMANDS = 100
#: And how many parts each list in them has.
PARTS = 20
#: Bytes of all of it: sessions with their commands are what there can be millions of. A master takes no more.
LARGEST = 280_000
#: What of a command is told.
COMMAND = ("time", "argv", "exe", "uid", "euid", "success")
Told = dict[str, typing.Any]


def overview(minion: Minion, days: int) -> Told:
    """
    Return what a host tells for the page (dict), as ``sshtrail.overview`` has it.

    days
        How far back sessions, failures and changes go (int). Raises SaltInvocationError for what cannot be.
    """
    if isinstance(days, bool) or not isinstance(days, int) or not 1 <= days <= MOST:
        raise SaltInvocationError(f"days must be a whole number from 1 to {MOST}, not {text.line(repr(days))}.")
    call, since = minion.call, text.iso(time.time() - days * 86400)
    policy = _part(lambda: call["sshtrail.policy"]())
    drift = _part(lambda: call["sshtrail.drift"]())
    if isinstance(drift, list):
        drift = [
            text.bounded({**one, "said": call["sshtrail_trail.sentence"](one["by"])}, PARTS)
            for one in drift[:DIFFERENCES]
        ]
    return _bounded(
        {
            **{"time": text.iso(time.time()), "since": since, "system": _system(minion)},
            "drift": drift,
            "coverage": _part(lambda: call["sshtrail.coverage"]()),
            "compliance": _part(lambda: call["sshtrail.compliance"](search=False)),
            "history": _part(lambda: _latest(history.over(minion.cachedir, days))),
            "sessions": _part(lambda: sessions(minion, since)),
            "failures": _part(lambda: failures(minion, since)),
            "log": _part(lambda: _log(minion, policy)),
        }
    )


def sessions(minion: Minion, since: str) -> list[Told]:
    """
    Return the sessions of a host with their commands (list of dict), as ``sshtrail_trail.sessions`` has them, without
    the proofs that logins are recorded.

    since
        From when on (str, ISO 8601).

    Raises CommandExecutionError where they cannot be told.
    """
    found = _asked(minion, "sshtrail_trail.sessions", since=since, limit=SESSIONS, commands=True)
    return [_session(one) for one in found if not _is_proof(one)][-SESSIONS:]


def _is_proof(session: Told) -> bool:
    """Tell whether a session was a proof and nothing else (bool): a host makes those from itself."""
    peer = (session.get("from") or {}).get("address") or ""
    own = re.fullmatch(r"[0-9a-fA-F.:]+", peer) is not None and sockets.is_here(peer)
    return own and proof.is_nothing_else(session.get("commands"))


def failures(minion: Minion, since: str) -> list[Told]:
    """Return the failed logins of a host (list of dict), as ``sshtrail_trail.failures`` has them, from ``since`` on."""
    return [text.bounded(one, PARTS) for one in _asked(minion, "sshtrail_trail.failures", since=since)][:FAILURES]


def _asked(minion: Minion, function: str, **given: object) -> list[Told]:
    ask = minion.call.get(function)
    if ask is None:
        raise SaltException(f"{function} is not on this host")
    return ask(**given)


def _session(session: Told) -> Told:
    told = text.bounded(
        {name: value for name, value in session.items() if name not in ("commands", "proof", "files")}, PARTS
    )
    commands = session.get("commands")
    if not isinstance(commands, list):
        return {**told, "commands": commands}
    kept = [text.bounded({name: one.get(name) for name in COMMAND}, PARTS) for one in commands[:COMMANDS]]
    return {**told, "commands": kept, "more_commands": len(commands) - len(kept)}


def _latest(told: Told) -> Told:
    return {**told, **{name: told[name][-SPANS:] for name in ("spans", "gaps", "proofs")}}


def _bounded(told: Told) -> Told:
    """Return what is told with as many commands, and then as many sessions, as there is room for."""
    most = COMMANDS
    while len(json.dumps(told, default=str)) > LARGEST and isinstance(told["sessions"], list) and told["sessions"]:
        if most:
            most //= 2
            told = {**told, "sessions": [_fewer(one, most) for one in told["sessions"]]}
        else:
            kept = told["sessions"][(len(told["sessions"]) + 1) // 2 :]
            left = told.get("more_sessions", 0) + len(told["sessions"]) - len(kept)
            told = {**told, "sessions": kept, "more_sessions": left}
    return told


def _fewer(session: Told, most: int) -> Told:
    commands = session["commands"]
    if not isinstance(commands, list) or len(commands) <= most:
        return session
    return {**session, "commands": commands[:most], "more_commands": session["more_commands"] + len(commands) - most}


def _part(ask: Callable[[], typing.Any]) -> typing.Any:
    """Return what ``ask()`` returns, or why it does not (dict with ``error``, str)."""
    try:
        return ask()
    except SaltException as exc:
        return {"error": text.line(exc.message or str(exc))}
    except Exception as exc:  # noqa: BLE001 - one part that fails must not hide the others
        log.exception("A part of the overview failed")
        return {"error": text.line(f"{type(exc).__name__}: {exc}")}


def _system(minion: Minion) -> str:
    named = [str(minion.grains.get(name, "")) for name in ("os", "osrelease")]
    return text.line(" ".join(filter(None, named)))


def _log(minion: Minion, policy: Told) -> Told:
    """Return since when there are records (dict): an empty log is not a host to which nobody came."""
    if not policy.get("audit", True):
        return {"oldest": None, "audit": False}
    path = policy["auditd"]["path"] if "auditd" in policy else None
    written = minion.call["auditd_conf.get"]("log_file", path=path) if path else None
    found = places.storage(written["value"] if written else reader.LOG)
    known = found is not None and found.oldest is not None
    return {"oldest": text.iso(time.time() - found.oldest) if known and found and found.oldest else None, "audit": True}
