"""
Answering the master on the host: what a job has come to is kept for a while, and goes into the mine.
"""

from __future__ import annotations

import logging
import os
import typing
from collections.abc import Mapping

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import store, transaction
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import answer, watch
from sshtrail_lib.drift.answer import Answer

log = logging.getLogger(__name__)

#: Seconds to wait for another job that has just ended.
DEADLINE = 10


def give(minion: Minion, ret: Mapping[str, typing.Any]) -> None:
    """
    Put what a job has come to into the mine, for the master alone.

    ret
        The job (mapping), as Salt hands it to returners: ``jid``, ``fun``, ``return`` and ``metadata``.
    """
    jid, function = str(ret.get("jid")), ret.get("fun")
    if function not in answer.FUNCTIONS:
        return
    condition = _condition(minion) if answer.looks(ret) else None
    # First kept: what is lost on the way to the mine, where each write replaces all, is asked for again.
    path, packed = _path(minion, "answers.json"), answer.packed(jid, function, ret.get("return"), condition)
    try:
        with transaction.lock(_path(minion, "answers.lock"), DEADLINE):
            store.remember(path, answer.keep(_stored(minion), packed))
    except CommandExecutionError as exc:
        # A disk that takes nothing, or somebody who was stopped with the lock in his hand, is no reason to be silent.
        store.hold(path, [packed], exc)
    watch.into_mine(minion, answer.key(function), "sshtrail_answer.answer", jid)


def _condition(minion: Minion) -> Mapping | None:
    """Return how this host stands (mapping), None where that cannot be told: the master asks for it then."""
    try:
        found = minion.call[answer.CONDITION]()
    except Exception:
        # What the states have come to is told, whatever happens to the look.
        log.exception("This host's condition cannot be told after its policy was applied")
        return None
    return found if isinstance(found, Mapping) else None


def kept(minion: Minion, jid: str) -> Answer | None:
    """Return what stands for this host's answer to the job ``jid`` (str) in the mine (dict), None for none."""
    return answer.kept(_stored(minion), jid)


def job(minion: Minion, jid: str) -> dict[str, typing.Any]:
    """Return whether the job ``jid`` (str) is ``running``, or will be (bool), and this host's ``answer`` to it."""
    # In this order: what ends in between has answered.
    running = bool(minion.call["saltutil.find_job"](jid))
    return {"running": running, "answer": kept(minion, jid)}


def _path(minion: Minion, name: str) -> str:
    return os.path.join(minion.cachedir, "sshtrail", name)


def _stored(minion: Minion) -> typing.Any:
    try:
        return store.load(_path(minion, "answers.json"))
    except store.StoreError:
        # What nobody can believe is asked for again.
        return None
