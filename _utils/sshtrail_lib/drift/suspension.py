"""
An audit log that auditd has suspended, at each tick: told once, resumed when there is room, and told once more then.

While auditd holds its log open, and nothing else is remembered, this starts nothing and imports nothing more.
"""

from __future__ import annotations

import contextlib
import os
import syslog
import time
import typing
from collections.abc import Mapping

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import kernel, processes, store, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import event

Known = dict[str, typing.Any]


def attend(minion: Minion, full: Mapping[str, str] | None) -> str:
    """
    Look after the audit log, and return what was done (str, "" for nothing).

    full
        What a whole look found: the ``path`` of auditd's configuration, its ``log``, and the ``action`` (mapping of
        str), None on a host without an audit of its own.

    What the master could not be told is told at the next tick.
    """
    known = _known(minion)
    if not full or (not known and _holds(full["log"])):
        return ""
    found = minion.call["auditd_conf.suspended"](full["path"])
    if found:
        known = _begun(minion, known, found, full["action"])
        return _resumed(minion, known, full["path"]) if full["action"] == "resume" and found["room"] else "suspended"
    # Where no auditd runs, nothing is written either.
    return _ended(minion, known, full["path"], "somebody") if known and _holds(full["log"], False) else ""


def _holds(log: str, otherwise: bool = True) -> bool:
    """Tell whether the kernel's audit daemon holds its log open (bool); ``otherwise`` where there is none to ask."""
    try:
        pid = kernel.status()["pid"]
    except (kernel.KernelError, kernel.LibraryError):
        return otherwise
    return processes.writes(pid, log) if pid else otherwise


def _begun(minion: Minion, known: Known, found: Mapping[str, typing.Any], action: str) -> Known:
    """Remember a suspension (dict), and tell it unless the master knows."""
    if not known:
        since = found["since"] or text.iso(time.time())
        known = {"since": since, "serial": found["serial"], "lost": found["lost"], "told": False}
        _say(syslog.LOG_ALERT, found["said"])
    if not known["told"]:
        body = event.log_suspended(found, known["since"], action)
        known["told"] = bool(minion.call["event.send"](event.LOG_SUSPENDED, body))
    _keep(minion, known)
    return known


def _resumed(minion: Minion, known: Known, path: str) -> str:
    try:
        minion.call["auditd_conf.resume"](path)
    except CommandExecutionError as exc:
        _say(syslog.LOG_ALERT, exc.message)
        return "suspended"
    return _ended(minion, known, path, "sshtrail")


def _ended(minion: Minion, known: Known, path: str, by: str) -> str:
    """Tell that auditd writes again; what was lost is counted once, so that a later try tells the same."""
    if "until" not in known:
        known |= minion.call["auditd_conf.resumed"](known["since"], known["serial"], path)
        lost = max(0, kernel.status()["lost"] - known["lost"])
        known |= {"until": text.iso(time.time()), "by": by, "lost": lost}
        _say(syslog.LOG_NOTICE, known["said"])
        with contextlib.suppress(CommandExecutionError):
            minion.run("auditctl", "-m", f"sshtrail: {known['said']}")
        _keep(minion, known)
    if not minion.call["event.send"](event.LOG_RESUMED, event.log_resumed(known)):
        return "the master could not be told"
    _keep(minion, None)
    return "resumed"


def _say(level: int, sentence: str) -> None:
    syslog.openlog("sshtrail", facility=syslog.LOG_AUTHPRIV)
    syslog.syslog(level, text.line(sentence, 500))


def _path(minion: Minion) -> str:
    return os.path.join(minion.cachedir, "sshtrail", "suspended.json")


def _known(minion: Minion) -> Known:
    """Return what is remembered of a suspension (dict), empty for none, and for what nobody can believe."""
    known = store.remembered(_path(minion))
    return known if {"since", "serial", "lost", "told"} <= set(known) else {}


def _keep(minion: Minion, known: Known | None) -> None:
    store.save(_path(minion), known)
