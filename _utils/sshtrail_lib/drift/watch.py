"""
Telling the master of drift: once when it comes, once when it has gone, and never while a state run is going on.

A schedule runs :func:`tick` every few seconds in a process of its own, so that this imports little: what is needed only
where something differs is asked of the execution modules, which Salt loads when they are.
"""

from __future__ import annotations

import os
import syslog
import time
import typing
from collections.abc import Mapping

import salt.utils.minion

from sshtrail_lib.base import store, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage import leftovers
from sshtrail_lib.drift import claim as drift_claim
from sshtrail_lib.drift import event, fingerprint, suspension
from sshtrail_lib.drift.claim import Claim, Told

#: How the functions begin that run states.
STATE_RUNS = ("state.", "sshtrail.converge")

Look = Mapping[str, typing.Any]


def tick(minion: Minion, pillar: Mapping) -> str:
    """Look for drift on a host with a ``pillar`` (mapping), tell the master what is new; return what was done (str)."""
    leftovers.clear(minion)
    if _state_runs(minion):
        return "a state run is going on"
    told, now = _told(minion), time.time()
    if drift_claim.silent(told, now):
        return f"silent until {text.iso(told.until)}"
    if drift_claim.over(told, now):
        told = _speak_again(minion, told, "its time is over")
    look = fingerprint.steady(minion.cachedir, pillar) or minion.call["sshtrail.look"]()
    suspension.attend(minion, look.get("full"))
    clean = fingerprint.last_clean(minion.cachedir) if look["differences"] else now
    claim = drift_claim.next_claim(told, look["differences"], clean, now)
    return _tell(minion, told, claim, look) if claim != told.claim else "nothing new"


def claimed(minion: Minion) -> dict[str, typing.Any] | None:
    """Return the value (dict) that stands for this host's claim in the mine, None while it does not drift."""
    claim = _told(minion).claim
    return drift_claim.claimed(claim) if claim else None


def silence(minion: Minion, minutes: int, reason: str) -> str:
    """
    Tell nothing for a while; return when that ends (str, ISO 8601 in UTC).

    minutes, reason
        As for :func:`sshtrail_lib.drift.claim.silence`, which also says what is raised.
    """
    before = _told(minion)
    told = drift_claim.silence(before, minutes, reason, time.time())
    if before.claim:
        _withdraw(minion)
    _keep(minion, told)
    until = text.iso(told.until)
    _leave_a_record(minion, f"drift is not told until {until}: {reason}")
    _send(minion, event.SILENCED, {"until": until, "reason": reason})
    return until


def resume(minion: Minion) -> bool:
    """End a silence before its time; return whether there was one (bool)."""
    told = _told(minion)
    if told.until:
        _speak_again(minion, told, "somebody ended the silence")
    return bool(told.until)


def _state_runs(minion: Minion) -> bool:
    """Tell whether a state run of this minion is going on: what it changes is no drift."""
    running = salt.utils.minion.running(minion.opts)
    return any(str(job.get("fun", "")).startswith(STATE_RUNS) for job in running if isinstance(job, dict))


def _tell(minion: Minion, told: Told, claim: Claim | None, look: Look) -> str:
    """Tell the master of a new claim, or that there is none any more; remember that only when both have worked."""
    # The mine's function reads what is kept, so it comes first; the old claim stands again when this fails.
    _keep(minion, told._replace(claim=claim, rounds=claim.round if claim else told.rounds))
    if _come(minion, claim, look) if claim else _gone(minion, told.claim, look):
        return f"{'drift' if claim else 'end of drift'} told"
    _keep(minion, told)
    return "the master could not be told"


def _come(minion: Minion, claim: Claim, look: Look) -> bool:
    """Put the claim into the mine, for the master alone, see that it is there, and send the event."""
    allowed = {"allow_tgt": minion.opts["id"], "allow_tgt_type": "list"}
    minion.call["mine.send"](drift_claim.MINE_KEY, mine_function="sshtrail_watch.claim", **allowed)
    sentence = minion.call["sshtrail_trail.sentence"]
    said = [{**entry, "said": sentence(entry["by"])} for entry in look["differences"]]
    body = event.found({**look, "differences": said}, claim)
    return _in_mine(minion) == claimed(minion) and _send(minion, event.FOUND, body)


def _gone(minion: Minion, claim: Claim | None, look: Look) -> bool:
    """Take the claim that stood out of the mine, and send the event."""
    return claim is not None and _withdraw(minion) and _send(minion, event.GONE, event.gone(look, claim))


def _withdraw(minion: Minion) -> bool:
    minion.call["mine.delete"](drift_claim.MINE_KEY)
    return _in_mine(minion) is None


def _in_mine(minion: Minion) -> typing.Any:
    own = minion.opts["id"]
    return (minion.call["mine.get"](own, drift_claim.MINE_KEY, tgt_type="list") or {}).get(own)


def _send(minion: Minion, tag: str, body: event.Body) -> bool:
    return minion.call["event.send"](tag, {"version": event.VERSION, **body})


def _speak_again(minion: Minion, told: Told, why: str) -> Told:
    told = drift_claim.spoken(told)
    _keep(minion, told)
    _leave_a_record(minion, f"drift is told again: {why}")
    _send(minion, event.RESUMED, {"reason": why})
    return told


def _leave_a_record(minion: Minion, sentence: str) -> None:
    """Write a sentence to syslog and, where there is one, to the audit trail."""
    syslog.openlog("sshtrail", facility=syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, sentence)
    minion.run("auditctl", "-m", f"sshtrail: {sentence}")


def _path(minion: Minion) -> str:
    return os.path.join(minion.cachedir, "sshtrail", "told.json")


def _told(minion: Minion) -> Told:
    try:
        return drift_claim.told(store.load(_path(minion)))
    except store.StoreError:
        # What nobody can believe is told anew.
        return Told()


def _keep(minion: Minion, told: Told) -> None:
    store.save(_path(minion), drift_claim.stored(told))
