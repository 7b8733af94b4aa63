"""
Telling the master of drift: once when it comes, once when it has gone, and never while a state run is going on.

A schedule runs :func:`tick` every few seconds in a process of its own, so that this imports little: what is needed only
where something differs is asked of the execution modules, which Salt loads when they are.
"""

from __future__ import annotations

import contextlib
import logging
import os
import syslog
import time
import typing
from collections.abc import Mapping

import salt.utils.minion
from salt.exceptions import CommandExecutionError, SaltException

from sshtrail_lib import RELEASE, stale
from sshtrail_lib.base import store, text, transaction
from sshtrail_lib.base.minion import Minion, uncollected
from sshtrail_lib.coverage import leftovers
from sshtrail_lib.drift import claim as drift_claim
from sshtrail_lib.drift import event, fingerprint, heartbeat, logins, suspension, turns
from sshtrail_lib.drift.claim import Claim, Told
from sshtrail_lib.drift.heartbeat import Beat

log = logging.getLogger(__name__)

#: How the functions begin that run states.
STATE_RUNS = ("state.", "sshtrail.converge")

Look = Mapping[str, typing.Any]


def tick(minion: Minion, pillar: Mapping) -> str:
    """
    Look for drift on a host with a ``pillar`` (mapping), tell the master what is new, and that somebody looks.

    Returns what was done (str). A look that fails raises nothing: the schedule would tell nobody.
    """
    if stale():
        # This tick still looks with what the minion has loaded; the next one does with what is installed now.
        minion.call["saltutil.refresh_modules"]()
    try:
        with uncollected():
            return _tick(minion, pillar)
    except CommandExecutionError as exc:
        # Not even a lock can be had: the master has to learn it by the silence.
        log.error("Nobody can look for drift: %s", exc.message)
        return f"failed: {text.line(exc.message)}"


def _tick(minion: Minion, pillar: Mapping) -> str:
    try:
        leftovers.clear(minion)
    except (OSError, CommandExecutionError) as exc:
        log.error("What a proof left behind cannot be removed: %s", exc)
    asked = fingerprint.asked(pillar)
    untold = logins.attend(minion, asked)
    # Salt counts no ticks that run at once, and one can last: a sshd that hangs is waited for.
    try:
        with transaction.lock(os.path.join(minion.cachedir, "sshtrail", "tick.lock"), 0):
            return _alone(minion, pillar, asked, untold)
    except transaction.Busy:
        return "another tick is still looking"


def _alone(minion: Minion, pillar: Mapping, asked: str, untold: str) -> str:
    _note_pillar(minion, asked)
    last, now = _last_beat(minion), time.time()
    # What a heartbeat says was looked at as a whole.
    due = bool(last.heartbeat) and heartbeat.due(last, "", now)
    looks: list[Look] = []
    try:
        done, failed = _ticked(minion, pillar, due, looks), untold
    except Exception as exc:  # noqa: BLE001 - whatever it is, the master has to hear that nobody looks
        log.error("The look for drift failed: %s", exc, exc_info=not isinstance(exc, SaltException))
        failed = text.line(f"{getattr(exc, 'message', exc)}" or type(exc).__name__)
        done = f"failed: {failed}"
    _beat(minion, last, looks[0] if looks else None, failed)
    return done


def beaten(minion: Minion) -> dict[str, typing.Any]:
    """Return the value (dict) that stands for this host's last heartbeat in the mine."""
    return heartbeat.stored(_last_beat(minion))


def scheduled(minion: Minion, wanted: bool) -> None:
    """Take in that the schedule was told to look, or not to (bool): the first heartbeat is due, or there is none."""
    last = _last_beat(minion)
    if wanted and not last.time:
        _send_beat(minion, last, last._replace(number=last.number + 1, time=time.time()))
    elif not wanted and last.time:
        _withdraw_beat(minion, last)
    if not wanted:
        _note_pillar(minion, "")


def agree(minion: Minion, pillar: Mapping) -> bool:
    """
    Have the schedule look with the same ``pillar`` (mapping) as a state run; return whether it had another (bool).

    Salt compiles the pillar for each state run, while the schedule is given what the minion holds in memory: once the
    pillar has changed, each would undo for ever what the other has done.
    """
    if _noted_pillar(minion) == fingerprint.asked(pillar):
        return False
    # A tick that comes before the new pillar would tell of drift.
    minion.call["saltutil.refresh_pillar"](wait=True)
    return True


def _note_pillar(minion: Minion, name: str) -> None:
    if _noted_pillar(minion) != name:
        store.remember(_pillar_path(minion), name)


def _noted_pillar(minion: Minion) -> str | None:
    """Return which pillar the schedule's last look was given, None where there was none."""
    try:
        return store.load(_pillar_path(minion))
    except store.StoreError:
        return None


def _pillar_path(minion: Minion) -> str:
    return os.path.join(minion.cachedir, "sshtrail", "pillar.json")


def _ticked(minion: Minion, pillar: Mapping, due: bool, looks: list[Look]) -> str:
    """Look, as a whole where that is ``due``, put what was found into ``looks``, tell what is new."""
    if _state_runs(minion):
        return "a state run is going on"
    told = _told(minion)
    if drift_claim.silent(told, time.time()):
        return f"silent until {text.iso(told.until)}"
    look = (not due and fingerprint.steady(minion.cachedir, pillar)) or minion.call["sshtrail.look"](fresh=due)
    looks.append(look)
    suspension.attend(minion, look.get("full"))
    if look["differences"] and _state_runs(minion):
        # It may have been in the middle of what was looked at.
        return "a state run has begun"
    with _telling(minion):
        return _news(minion, look)


def _news(minion: Minion, look: Look) -> str:
    """Tell what is new in a look, unless somebody has silenced this host meanwhile."""
    told, now = _told(minion), time.time()
    if drift_claim.silent(told, now):
        return f"silent until {text.iso(told.until)}"
    if drift_claim.over(told, now):
        told = _speak_again(minion, told, "its time is over")
    clean = fingerprint.last_clean(minion.cachedir) if look["differences"] else now
    # What a clock said that was ahead comes after nothing.
    clean = clean if clean <= now else 0.0
    claim = drift_claim.next_claim(told, look["differences"], clean, now)
    return _tell(minion, told, claim, look) if claim != told.claim else "nothing new"


def claimed(minion: Minion) -> dict[str, typing.Any] | None:
    """Return the value (dict) that stands for this host's claim in the mine, None while it does not drift."""
    claim = _told(minion).claim
    return drift_claim.claimed(claim) if claim else None


def again(minion: Minion, about: str, changes: Mapping[str, typing.Any]) -> list[str]:
    """Remember that something was changed; return a sentence (list of str) for each change that something undoes."""
    path = os.path.join(minion.cachedir, "sshtrail", "turns.json")
    try:
        known = turns.parse(store.load(path))
    except store.StoreError:
        known = {}
    known, said = turns.noted(known, about, changes, time.time())
    # What was changed is changed, whether this can be remembered or not.
    with contextlib.suppress(CommandExecutionError):
        store.save(path, known)
    return said


def silence(minion: Minion, minutes: int, reason: str) -> str:
    """
    Tell nothing for a while; return when that ends (str, ISO 8601 in UTC).

    minutes, reason
        As for :func:`sshtrail_lib.drift.claim.silence`, which also says what is raised.
    """
    # What is told at this moment is not told any more in a moment.
    with _telling(minion):
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
    with _telling(minion):
        told = _told(minion)
        if told.until:
            _speak_again(minion, told, "somebody ended the silence")
    return bool(told.until)


def _beat(minion: Minion, last: Beat, look: Look | None, failed: str) -> None:
    """Tell the master how its watch goes, where that is due and agreed."""
    now, told = time.time(), _told(minion)
    until = told.until if drift_claim.silent(told, now) else 0.0
    beat = heartbeat.next_beat(last, look, failed, until, now)
    if beat.heartbeat and heartbeat.due(last._replace(heartbeat=beat.heartbeat), failed, now):
        _send_beat(minion, last, beat._replace(edition=RELEASE))
    elif last.heartbeat and not beat.heartbeat:
        _withdraw_beat(minion, last._replace(heartbeat=0))


def _send_beat(minion: Minion, last: Beat, beat: Beat) -> None:
    # The mine's function reads what is kept. That it arrived is for the master to see.
    store.remember(_beat_path(minion), heartbeat.stored(beat))
    if not into_mine(minion, heartbeat.MINE_KEY, "sshtrail_watch.heartbeat"):
        store.remember(_beat_path(minion), heartbeat.stored(last))


def _withdraw_beat(minion: Minion, last: Beat) -> None:
    minion.call["mine.delete"](heartbeat.MINE_KEY)
    store.remember(_beat_path(minion), heartbeat.stored(last._replace(time=0.0)))


def into_mine(minion: Minion, key: str, function: str, *args: str) -> bool:
    """Put what a ``function`` (str, its name) returns into the mine under a ``key`` (str), for the master alone."""
    allowed = {"allow_tgt": minion.opts["id"], "allow_tgt_type": "list"}
    return bool(minion.call["mine.send"](key, *args, mine_function=function, **allowed))


def _beat_path(minion: Minion) -> str:
    return os.path.join(minion.cachedir, "sshtrail", "heartbeat.json")


def _last_beat(minion: Minion) -> Beat:
    try:
        return heartbeat.parse(store.load(_beat_path(minion))) or Beat()
    except store.StoreError:
        return Beat()


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
    """Put the claim into the mine, see that it is there, and send the event."""
    into_mine(minion, drift_claim.MINE_KEY, "sshtrail_watch.claim")
    sentence = minion.call["sshtrail_trail.sentence"]
    said = [{**entry, "said": _said(minion, entry, sentence(entry["by"]))} for entry in look["differences"]]
    body = event.found({**look, "differences": said}, claim)
    return _in_mine(minion) == claimed(minion) and _send(minion, event.FOUND, body)


def _said(minion: Minion, entry: Mapping[str, typing.Any], by: str) -> str:
    change = {entry["what"]: {"old": entry["actual"], "new": entry["expected"]}}
    return ". ".join([by, *again(minion, f"drift {entry['layer']}", change)])


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
    with contextlib.suppress(CommandExecutionError):
        minion.run("auditctl", "-m", f"sshtrail: {sentence}")


def _path(minion: Minion) -> str:
    return os.path.join(minion.cachedir, "sshtrail", "told.json")


def _telling(minion: Minion) -> contextlib.AbstractContextManager[int]:
    """Give what holds off everybody else who tells something, or keeps what was told."""
    return transaction.lock(os.path.join(minion.cachedir, "sshtrail", "told.lock"))


def _told(minion: Minion) -> Told:
    try:
        return drift_claim.told(store.load(_path(minion)))
    except store.StoreError:
        # What nobody can believe is told anew.
        return Told()


def _keep(minion: Minion, told: Told) -> None:
    store.save(_path(minion), drift_claim.stored(told))
