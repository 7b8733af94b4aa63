"""
The heartbeats of the fleet, on the master: what the mine holds, what is remembered, and the events of a silence.

What decides is in :mod:`sshtrail_lib.fleet.vigil`. All of it lies on the master's own disk: nobody is asked.
"""

from __future__ import annotations

import functools
import logging
import os
import time

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import store, text
from sshtrail_lib.drift import event, heartbeat
from sshtrail_lib.fleet import lease, pillars, repairs, vigil
from sshtrail_lib.fleet import master as fleet_master
from sshtrail_lib.fleet.lease import Turn
from sshtrail_lib.fleet.master import Master
from sshtrail_lib.fleet.standing import Row
from sshtrail_lib.fleet.vigil import Memory, Mined, Record
from sshtrail_lib.policy import pillar as policy_pillar
from sshtrail_lib.policy.schema import KEY

log = logging.getLogger(__name__)

#: What is expected of a host whose pillar cannot be compiled: how long it may be silent (seconds), and what is wrong.
UNCOMPILED = heartbeat.longest_silence(heartbeat.INTERVAL, heartbeat.HEARTBEAT), "its pillar cannot be compiled"
#: How many pillars are compiled in a minute at most, and at least in a round: each takes a fifth of a second.
PILLARS, LEAST = 20, 5


def fleet(master: Master, names: list[str], batch: int | str | None = None, timeout: int = 60) -> dict[str, Row]:
    """
    Return how each host stands to its policy and whether it is watched (dict by id).

    names
        Their ids (list of str).
    batch, timeout
        As for :func:`sshtrail_lib.fleet.master.rows`.
    """
    before = _mined(master, names)
    rows = fleet_master.rows(master, names, batch, timeout)
    known, now = _remembered(master), time.time()
    # Where no round is made, nobody knows whether the master has listened all the time.
    since, found = vigil.listens(known, now), {}
    for name, mined in _mined(master, names).items():
        # An answer is written to the mine too: that says nothing of when the heartbeat came.
        mined = before[name] if before[name].beat == mined.beat else mined
        record = vigil.heard(known.records.get(name), mined, now)
        found[name] = vigil.row(rows[name], record, mined.beat, now, since)
    return found


def watch(master: Master) -> dict[str, str]:
    """
    Take in who was heard, and tell whose silence begins or has ended; return who is not watched, and why (dict by id).

    Who finds somebody else at it leaves it to him, and goes on in the place of one that gives no sign of life. One for
    whom the repairs of all hosts wait is told by the event ``sshtrail/drift/stuck``, once.
    """
    repairs.watch(master)
    path = _place(master, "heartbeats.lock")
    with lease.held(path, f"{path}.fence") as turn:
        if turn.stuck:
            log.error("Silent hosts were not told of since %s", turn.stuck.said())
        try:
            return _round(master, turn, time.time()) if turn else {}
        except lease.LostError as exc:
            log.error("%s", exc.message)
            return {}


def _round(master: Master, turn: Turn, now: float) -> dict[str, str]:
    known = _remembered(master)
    since, mined = vigil.listens(known, now), _mined(master, master.everybody())
    records = {name: vigil.heard(known.records.get(name), one, now) for name, one in mined.items()}
    most = min(PILLARS, max(LEAST, int(PILLARS * (now - known.ran) / 60)))
    known = Memory(since, now, records)
    missed = {name: vigil.trouble(record, mined[name].beat, now, since) for name, record in records.items()}
    due = vigil.due(known, missed, now)[:most]
    for name, told in pillars.asked(functools.partial(_expected, master), due):
        turn.sign()
        expected, wrong = told or UNCOMPILED
        # A pillar that is wrong, perhaps for a moment, takes nobody the time that he had.
        allowed = max(expected, records[name].allowed) if wrong else expected
        records[name] = vigil.asked(records[name], allowed, now)
        why = vigil.trouble(records[name], mined[name].beat, now, since)
        missed[name] = _both(why, wrong) if expected else ""
    with turn.sure():
        for name, why in missed.items():
            records[name] = _told(master, name, records[name], why)
        store.save(_place(master, "heartbeats.json"), vigil.stored(known))
    return {name: why for name, why in missed.items() if why}


def _both(why: str, wrong: str) -> str:
    """Return why a host is not watched with what is wrong with its pillar, where it does not say that itself."""
    return why if not why or not wrong or wrong in why else f"{why}. {wrong}"


def _told(master: Master, name: str, record: Record, why: str) -> Record:
    """Tell when a silence begins or ends, and return what is to be remembered of that."""
    if bool(why) != bool(record.told):
        tag = event.SILENT if why else event.HEARD
        master.call["event.send"](tag, event.vigil(name, record.arrived, why))
    return record._replace(told=why)


def _expected(master: Master, name: str) -> tuple[int, str]:
    """Return how long a host may be silent by its pillar (int, seconds; 0: it need not look), and what is wrong."""
    try:
        pillar, os_family = master.pillar(name)
        if KEY not in pillar and not pillar.get("_errors"):
            return 0, ""
        asked = policy_pillar.build(pillar, os_family)["drift"]
    except SaltInvocationError as exc:
        return heartbeat.longest_silence(heartbeat.INTERVAL, heartbeat.HEARTBEAT), exc.message
    except Exception as exc:  # noqa: BLE001 - a pillar may use what the minion says of itself: the others go on
        log.error("The pillar of %s cannot be compiled: %s", text.line(name), text.line(str(exc), 5 * text.LONGEST))
        return UNCOMPILED
    if not asked["interval"] or not asked["heartbeat"]:
        return 0, ""
    return heartbeat.longest_silence(asked["interval"] + asked["splay"], asked["heartbeat"]), ""


# --- What is kept -----------------------------------------------------------------------------------------------


def _mined(master: Master, names: list[str]) -> dict[str, Mined]:
    """Return what the mine holds of each host (dict by id), read from the master's own disk."""
    mine = master.mine()
    return {name: Mined(heartbeat.parse(mine.told(name, heartbeat.MINE_KEY)), mine.written(name)) for name in names}


def _place(master: Master, name: str) -> str:
    return os.path.join(master.opts["cachedir"], "sshtrail", name)


def _remembered(master: Master) -> Memory:
    try:
        return vigil.memory(store.load(_place(master, "heartbeats.json")))
    except store.StoreError as exc:
        log.error("Silences are told anew: %s", exc.message)
        return Memory()
