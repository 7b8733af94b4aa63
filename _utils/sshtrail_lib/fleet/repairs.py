"""
Repairs of drift, from the master: who waits for one, who works, what was done, and the doing.

What decides is in :mod:`sshtrail_lib.fleet.remedy`.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import time
import typing
from collections.abc import Iterator, Mapping

import salt.utils.files
import salt.utils.verify
from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.base import locks, store, text
from sshtrail_lib.base.locks import Holder
from sshtrail_lib.drift import answer, event
from sshtrail_lib.drift.claim import MINE_KEY
from sshtrail_lib.fleet import begun, crew, lease, remedy
from sshtrail_lib.fleet.begun import Begun
from sshtrail_lib.fleet.crew import Outcome
from sshtrail_lib.fleet.lease import Turn
from sshtrail_lib.fleet.master import Master, Send
from sshtrail_lib.fleet.pillars import Pillars
from sshtrail_lib.fleet.question import Publish
from sshtrail_lib.fleet.remedy import Limits, Record
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy import pillar as policy_pillar

log = logging.getLogger(__name__)

#: Seconds until the queue is looked at once more while somebody is repaired.
LOOKS = 0.5
#: Seconds to wait for whoever changes a record: a moment.
DEADLINE = 30
#: The name of what says that everybody is to be looked at.
EVERYBODY = "everybody"


def remediate(master: Master, minion: typing.Any = None) -> dict[str, str]:
    """
    Repair those hosts that drift and whose policy says so; return what was done (dict by id).

    minion
        The id of one that has just said so (str, it comes from an event); None for all whose claim is open. One whose
        key the master has not accepted is none.

    Whoever finds somebody else at work leaves that to him, and returns at once; who finds one that gives no sign of
    life tells of him, and goes on in his place.
    """
    limits = remedy.limits(master.opts.get("sshtrail_remediate"))
    if minion is None:
        _leave(_place(master, EVERYBODY))
    elif not _queue(master, minion):
        return {}
    done: dict[str, str] = {}
    # Asked again after the lock is free: what came in a moment before would otherwise lie there.
    while _left(master):
        with alone(master) as turn:
            if turn.stuck:
                _tell(master, turn.stuck, bool(turn))
            if not turn:
                break
            try:
                _work(master, turn, limits, done)
            except lease.LostError as exc:
                log.error("%s", exc.message)
                break
            except locks.Busy as exc:
                _tell(master, exc.holder)
                raise
    return done


def shown(master: Master) -> dict[str, dict[str, typing.Any]]:
    """Return what was repaired within the last hour, and who is left to a person (dict by id)."""
    return {name: remedy.shown(record, time.time()) for name, record in sorted(records(master).items())}


def clear(master: Master, minion: str) -> bool:
    """Let the repairs of a host go on that was left to a person; return whether it was (bool)."""
    with locks.lock(_fence(master), DEADLINE):
        known = records(master)
        record = known.pop(minion, None)
        _store(master, known)
    return bool(record and record.stopped)


# --- The queue, the lock and the records ------------------------------------------------------------------------


def _place(master: Master, *names: str) -> str:
    return os.path.join(master.opts["cachedir"], "sshtrail", *names)


def _lock(master: Master) -> str:
    return _place(master, "repairs.lock")


def _fence(master: Master) -> str:
    """Return the lock of what is done in a moment and by one alone: a job is published, a record changed."""
    return _place(master, "records.lock")


@contextlib.contextmanager
def alone(master: Master) -> Iterator[Turn]:
    """Be the one that works, or learn at once that somebody else is (:class:`~sshtrail_lib.fleet.lease.Turn`)."""
    with lease.held(_lock(master), _fence(master)) as turn:
        try:
            yield turn
        finally:
            if turn:
                _at_work(master, False)


def stuck(master: Master) -> str:
    """Return in words for whom all repairs wait that gives no sign of life (str), "" for nobody."""
    who = lease.stuck(_lock(master)) or lease.stuck(_fence(master))
    return f"The repairs of the whole fleet wait for {who.said()}." if who else ""


def watch(master: Master) -> None:
    """Tell of one for whom all repairs wait: by an event and in the log, once."""
    who = lease.stuck(_lock(master)) or lease.stuck(_fence(master))
    if who:
        _tell(master, who)


def _tell(master: Master, who: Holder | None, taken: bool = False) -> None:
    """Tell that somebody gives no sign of life, and whether this process has ``taken`` over from him (bool): once."""
    about = [who.pid, who.since, taken] if who else None
    if who is None or store.remembered(_place(master, "stuck.json")).get("told") == about:
        return
    waited = "have waited" if taken else "wait"
    said = f"The repairs of the whole fleet {waited} for {who.said()}."
    said += " Another run goes on in its place." if taken else ""
    log.error("%s", said)
    master.call["event.send"](event.STUCK, event.stuck(who.pid, who.since, taken, said))
    store.remember(_place(master, "stuck.json"), {"told": about})


def _at_work(master: Master, works: bool) -> None:
    """
    Have the reactor see whether somebody works: then it leaves a name in the queue and runs nothing.

    Whoever has ended says so before his last look at the queue, so that nobody who was left there stays. One who was
    killed has not said it for a while (``salt/reactor/drift.sls``).
    """
    # Without it, each event runs a job that finds somebody at work.
    with contextlib.suppress(OSError, CommandExecutionError):
        os.makedirs(_place(master, "queue"), mode=0o700, exist_ok=True)
        _leave(_place(master, "repairs.working"))
        os.utime(_place(master, "repairs.working"), None if works else (0, 0))


def _queue(master: Master, minion: typing.Any) -> bool:
    """Leave the name of a minion to whoever works; one that has no accepted key goes nowhere (bool: whether it did)."""
    if not remedy.can_be_file(minion) or not salt.utils.verify.valid_id(master.opts, minion):
        raise SaltInvocationError(f"minion is {text.line(repr(minion))}, which is no minion's id.")
    if not master.accepted(minion):
        log.error("An event names the minion %s, which is none", text.line(minion))
        return False
    _leave(_place(master, "queue", minion))
    return True


@contextlib.contextmanager
def _noting() -> Iterator[None]:
    """Have a disk that takes nothing end in a sentence (CommandExecutionError)."""
    try:
        yield
    except OSError as exc:
        raise CommandExecutionError(f"Repairs cannot be noted in {exc.filename}: {exc.strerror}") from exc


def _leave(path: str) -> None:
    with _noting():
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with salt.utils.files.fopen(path, "wb"):
            pass


def _queued(master: Master) -> list[str]:
    with _noting(), contextlib.suppress(FileNotFoundError):
        return sorted(os.listdir(_place(master, "queue")))
    return []


def _left(master: Master) -> bool:
    return os.path.exists(_place(master, EVERYBODY)) or bool(_queued(master))


def _taken(master: Master) -> set[str]:
    """Return who has to be looked at; the queue then is empty: who comes now is for the next time."""
    _at_work(master, True)
    names = _queued(master)
    with _noting():
        for name in names:
            os.unlink(_place(master, "queue", name))
        if not os.path.exists(_place(master, EVERYBODY)):
            return set(names)
        os.unlink(_place(master, EVERYBODY))
    return {*names, *master.everybody()}


def records(master: Master) -> dict[str, Record]:
    """Return the :class:`Record` of each host (dict by id); of a broken file nothing counts."""
    try:
        return remedy.records(store.load(_place(master, "repairs.json")))
    except store.StoreError as exc:
        # Repairs must not end with a broken file; a host that was stopped is stopped again after a few tries.
        log.error("Repairs are counted anew: %s", exc.message)
        return {}


def _store(master: Master, known: dict[str, Record]) -> None:
    store.save(_place(master, "repairs.json"), known)


# --- The repair -------------------------------------------------------------------------------------------------


def _work(master: Master, turn: Turn, limits: Limits, done: dict[str, str]) -> None:
    """Repair whoever has to be, until nobody is left; what was done goes into ``done`` (dict by id)."""
    mine, notes = master.mine(), begun.Begun(_place(master, "begun.json"))
    compiled = Pillars(functools.partial(_asked_for, master))
    with master.publisher() as publish, compiled as pillars, master.events() as send:
        team = crew.Crew(_fenced(publish, turn, notes), mine, pillars, limits)
        notes.of(team)
        resumed = notes.resume(records(master))
        again, looked = set[str](), 0.0
        while team.hosts or again or _left(master):
            turn.sign()
            due = not team.hosts or time.monotonic() - looked >= LOOKS
            names, looked = (_taken(master) | again, time.monotonic()) if due else (set[str](), looked)
            # Who says something new while it is repaired is looked at once more.
            again = names & set(team.hosts) - resumed if due else again
            claims = remedy.claims({name: mine.told(name, MINE_KEY) for name in names - again})
            team.take(crew.due(claims, records(master) if claims else {}, team.hosts))
            done |= _noted(master, turn, send, team.step(), limits, notes)
            resumed &= set(team.hosts)
            if again or not names:
                crew.pause(team)
        with turn.sure():
            notes.keep()


def _fenced(publish: Publish, turn: Turn, notes: Begun) -> Publish:
    """Return what publishes as ``publish`` does, but for one from whom somebody else has taken over."""

    def surely(names: list[str], function: str, *args: object, **kwargs: object) -> str:
        with turn.sure():
            jid = publish(names, function, *args, **kwargs)
            if function == answer.APPLY:
                notes.add(names, jid)
        return jid

    return surely


def _noted(
    master: Master, turn: Turn, send: Send, ended: Mapping[str, Outcome], limits: Limits, notes: Begun
) -> dict[str, str]:
    """Tell how repairs went, and remember it; return what was done (dict by id)."""
    if not ended:
        return {}
    with turn.sure():
        known = records(master)
        for name, outcome in ended.items():
            known[name] = _told(send, name, outcome, known.get(name, Record()), limits)
        _store(master, known)
        notes.keep()
    said = {name: f"failed: {one.said}" if one.failed else f"repaired. {one.said}" for name, one in ended.items()}
    return {name: one if ended[name].failed else one.rstrip(". ") for name, one in said.items()}


def _asked_for(master: Master, name: str) -> str | None:
    """Return the digest of a minion's policy if its pillar says that it be repaired, else None."""
    pillar, os_family = master.pillar(name)
    policy, digest = policy_pillar.named(pillar, os_family)
    return digest if arguments.repairs(policy) else None


def _told(send: Send, name: str, outcome: Outcome, record: Record, limits: Limits) -> Record:
    """Tell how a repair went, and return what is to be remembered of it."""
    now, (claim, started), failed = time.time(), outcome.repair[:2], outcome.failed
    number = remedy.attempt(record, now)
    record, last = remedy.tried(record, claim, not failed, now, limits)
    told = event.outcome(name, claim, number, now - started, outcome.said)
    send(event.FAILED if failed else event.REPAIRED, told)
    if last:
        why = f"{record.stopped}. {outcome.said}".rstrip()
        send(event.STOPPED, event.outcome(name, claim, number, now - started, why))
    return record
