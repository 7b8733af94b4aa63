"""
Repairs of drift, from the master: who waits for one, who works, what was done, and the doing.

What decides is in :mod:`sshtrail_lib.fleet.remedy`.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import typing
from collections.abc import Iterator

import salt.utils.files
import salt.utils.verify
from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import store, transaction
from sshtrail_lib.drift import event
from sshtrail_lib.drift.claim import Claim
from sshtrail_lib.fleet import master as fleet_master
from sshtrail_lib.fleet import remedy
from sshtrail_lib.fleet.master import Master
from sshtrail_lib.fleet.remedy import Limits, Record
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy import pillar as policy_pillar

log = logging.getLogger(__name__)

#: Seconds to wait for whoever repairs, where only a record is to be changed: a storm of many hosts takes minutes.
DEADLINE = 3600


def remediate(master: Master, minion: typing.Any = None) -> dict[str, str]:
    """
    Repair those hosts that drift and whose policy says so; return what was done (dict by id).

    minion
        The id of one that has just said so (str, it comes from an event); None for all whose claim is open.

    Whoever finds somebody else at work leaves its minion to him, and returns at once.
    """
    limits = remedy.limits(master.opts.get("sshtrail_remediate"))
    if minion is not None:
        _queue(master, minion)
    done: dict[str, str] = {}
    everybody = minion is None
    # Asked again after the lock is free: what came in a moment before would otherwise lie there.
    while everybody or _queued(master):
        with alone(master) as is_alone:
            if not is_alone:
                break
            while everybody or _queued(master):
                done |= _remedied(master, None if everybody else _taken(master), limits)
                everybody = False
    return done


def shown(master: Master) -> dict[str, dict[str, typing.Any]]:
    """Return what was repaired within the last hour, and who is left to a person (dict by id)."""
    return {name: remedy.shown(record, time.time()) for name, record in sorted(records(master).items())}


def clear(master: Master, minion: str) -> bool:
    """Let the repairs of a host go on that was left to a person; return whether it was (bool)."""
    with transaction.lock(_lock(master), DEADLINE):
        known = records(master)
        record = known.pop(minion, None)
        _store(master, known)
    return bool(record and record.stopped)


# --- The queue, the lock and the records ------------------------------------------------------------------------


def _place(master: Master, *names: str) -> str:
    return os.path.join(master.opts["cachedir"], "sshtrail", *names)


def _lock(master: Master) -> str:
    return _place(master, "repairs.lock")


@contextlib.contextmanager
def alone(master: Master) -> Iterator[bool]:
    """Be the one that works, or learn at once that somebody else is (yields bool)."""
    with contextlib.ExitStack() as stack:
        try:
            stack.enter_context(transaction.lock(_lock(master), 0))
        except transaction.Busy:
            yield False
            return
        yield True


def _queue(master: Master, minion: typing.Any) -> None:
    """Leave the name of a minion to whoever works; a name that is none goes nowhere."""
    if not remedy.can_be_file(minion) or not salt.utils.verify.valid_id(master.opts, minion):
        raise SaltInvocationError(f"minion is {minion!r}, which is no minion's id.")
    os.makedirs(_place(master, "queue"), mode=0o700, exist_ok=True)
    with salt.utils.files.fopen(_place(master, "queue", minion), "wb"):
        pass


def _queued(master: Master) -> list[str]:
    try:
        return sorted(os.listdir(_place(master, "queue")))
    except FileNotFoundError:
        return []


def _taken(master: Master) -> list[str]:
    """Return the minions in the queue, which then is empty: who comes now is for the next round."""
    names = _queued(master)
    for name in names:
        os.unlink(_place(master, "queue", name))
    return names


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


def _remedied(master: Master, names: list[str] | None, limits: Limits) -> dict[str, str]:
    """Repair those of ``names`` (list of str, None for all) that have to be, batch by batch; return what was done."""
    known, claims, done = records(master), remedy.claims(master.mine(names)), {}
    for batch in remedy.batches(remedy.due(claims, known), limits.batch):
        # A pillar takes its time to compile, so the first hosts do not wait for those of all.
        started, digests = time.time(), _wanted(master, batch)
        for name, (failed, said) in _repaired(master, digests, limits).items():
            record = known.get(name, Record())
            known[name] = _told(master, name, claims[name], record, (failed, said), started, limits)
            done[name] = f"failed: {said}" if failed else f"repaired. {said}".rstrip(". ")
        _store(master, known)
    return done


def _wanted(master: Master, names: list[str]) -> dict[str, str]:
    """Return the digest of the policy (dict by id) of those whose pillar on the master says that they be repaired."""
    found = {name: _asked_for(master, name) for name in names}
    return {name: digest for name, digest in found.items() if digest}


def _asked_for(master: Master, name: str) -> str | None:
    """Return the digest of a minion's policy if its pillar says that it be repaired, else None."""
    try:
        pillar, os_family = master.pillar(name)
        policy = policy_pillar.build(pillar, os_family)
        return policy_pillar.digest(pillar) if arguments.repairs(policy) else None
    except Exception as exc:  # noqa: BLE001 - a pillar may use what the minion says of itself: the others go on
        log.error("%s is not repaired: %s", name, exc)
        return None


def _repaired(master: Master, digests: dict[str, str], limits: Limits) -> dict[str, tuple[bool, str]]:
    """Apply the policy to a batch and look again; return of each that answered whether it failed and why (dict)."""
    states = fleet_master.applied(master, list(digests), limits.timeout)
    # Who is away is no failure: its claim stays open.
    there = [name for name in digests if name in states]
    answers = fleet_master.conditions(master, there, limits.timeout)
    return {name: remedy.outcome(name, digests[name], states[name], answers.get(name)) for name in there}


def _told(
    master: Master,
    name: str,
    claim: Claim,
    record: Record,
    outcome: tuple[bool, str],
    started: float,
    limits: Limits,
) -> Record:
    """Tell how a repair went, and return what is to be remembered of it."""
    (failed, said), now = outcome, time.time()
    number = remedy.attempt(record, now)
    record, last = remedy.tried(record, claim, not failed, now, limits)
    told = event.outcome(name, claim, number, now - started, said)
    master.call["event.send"](event.FAILED if failed else event.REPAIRED, told)
    if last:
        why = f"{record.stopped}. {said}".rstrip()
        master.call["event.send"](event.STOPPED, event.outcome(name, claim, number, now - started, why))
    return record
