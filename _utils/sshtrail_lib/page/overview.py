"""
What a host tells for the page: one answer with everything, each part by itself, so that one that fails hides no other.
"""

from __future__ import annotations

import logging
import time
import typing
from collections.abc import Callable

from salt.exceptions import SaltException

from sshtrail_lib.base import text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.compliance import places
from sshtrail_lib.drift import history
from sshtrail_lib.trail import reader

log = logging.getLogger(__name__)

#: Sessions and failures that a host hands over at most, and commands of each session.
SESSIONS, COMMANDS, FAILURES = 200, 100, 100
Told = dict[str, typing.Any]


def overview(minion: Minion, days: int) -> Told:
    """
    Return what a host tells for the page (dict), as ``sshtrail.overview`` has it.

    days
        How far back sessions, failures and changes go (int).
    """
    call, since = minion.call, text.iso(time.time() - days * 86400)
    policy = _part(lambda: call["sshtrail.policy"]())
    drift = _part(lambda: call["sshtrail.drift"]())
    if isinstance(drift, list):
        drift = [{**one, "said": call["sshtrail_trail.sentence"](one["by"])} for one in drift]
    return {
        **{"time": text.iso(time.time()), "since": since, "system": _system(minion)},
        "drift": drift,
        "coverage": _part(lambda: call["sshtrail.coverage"]()),
        "compliance": _part(lambda: call["sshtrail.compliance"](search=False)),
        "history": _part(lambda: history.over(minion.cachedir, days)),
        "sessions": _part(lambda: sessions(minion, since)),
        "failures": _part(lambda: failures(minion, since)),
        "log": _part(lambda: _log(minion, policy)),
    }


def sessions(minion: Minion, since: str) -> list[Told]:
    """
    Return the sessions of a host with their commands (list of dict), as ``sshtrail_trail.sessions`` has them.

    since
        From when on (str, ISO 8601).

    Raises CommandExecutionError where they cannot be told.
    """
    found = _asked(minion, "sshtrail_trail.sessions", since=since, limit=SESSIONS, commands=True)
    return [_bounded(one) for one in found][-SESSIONS:]


def failures(minion: Minion, since: str) -> list[Told]:
    """Return the failed logins of a host (list of dict), as ``sshtrail_trail.failures`` has them, from ``since`` on."""
    return list(_asked(minion, "sshtrail_trail.failures", since=since))[:FAILURES]


def _asked(minion: Minion, function: str, **given: object) -> list[Told]:
    ask = minion.call.get(function)
    if ask is None:
        raise SaltException(f"{function} is not on this host")
    return ask(**given)


def _bounded(session: Told) -> Told:
    commands = session.get("commands")
    if not isinstance(commands, list) or len(commands) <= COMMANDS:
        return session
    return {**session, "commands": commands[:COMMANDS], "more_commands": len(commands) - COMMANDS}


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
