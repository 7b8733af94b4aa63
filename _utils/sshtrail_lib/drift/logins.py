"""
Telling the master of notable logins, at the tick: once when somebody has come, and once when he has gone.

While the logs have not grown by a login, this reads what they have grown by, starts nothing and imports nothing more.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
import typing

from salt.exceptions import SaltException

from sshtrail_lib.base import opening, processes, store, text, transaction
from sshtrail_lib.base.minion import Minion

log = logging.getLogger(__name__)

FORMAT = 1
#: What PAM and sshd leave in the audit log when somebody comes or goes.
ABOUT_LOGINS = re.compile(rb"type=USER_(?:START|END|LOGIN|LOGOUT) [^\n]*sshd")
#: Bytes by which the log may have grown to be searched for these; after more, it is just read.
MOST_BYTES = 64 * 2**20
#: Seconds after which somebody who is still at it is told: a log can be large.
LONG = 900.0

Known = dict[str, typing.Any]


def attend(minion: Minion, asked: str) -> str:
    """
    Tell the master which notable logins there are since the last time, and which of those that it knows of have ended.

    asked
        A digest of all that the pillar asks (str, :func:`sshtrail_lib.drift.fingerprint.asked`).

    Raises nothing: it returns why it failed, now or at the last time (str), "" where it did not. What the master could
    not be told is told at the next tick.
    """
    known = _known(minion)
    if known.get("asked") == asked and not known["log"]:
        return ""
    try:
        # A log can be large: the look for drift does not wait for it, and neither does another of these.
        with transaction.lock(os.path.join(minion.cachedir, "sshtrail", "logins.lock"), 0):
            return _attend(minion, asked)
    except transaction.Busy as exc:
        return _waits(exc) or str(known.get("failed") or "")
    except Exception as exc:  # noqa: BLE001 - whatever it is, the heartbeat has to tell it
        log.error("Logins cannot be told: %s", exc, exc_info=not isinstance(exc, SaltException))
        why = text.line(f"{getattr(exc, 'message', exc)}" or type(exc).__name__)
        failed = f"logins cannot be told: {why}"
        store.remember(_path(minion), {"format": FORMAT, **_known(minion), "again": True, "failed": failed})
        return failed


def _waits(busy: transaction.Busy) -> str:
    """Return why logins are told by nobody for now (str), "" where somebody is at it."""
    who = busy.holder
    if who is None or not (who.stopped() or abs(time.time() - who.since) > LONG):
        return ""
    return f"logins are not told: they wait for {who.said()}"


def _attend(minion: Minion, asked: str) -> str:
    known = _known(minion)
    if known.get("asked") != asked:
        known = _agreed(minion, asked, known)
        _keep(minion, known)
    if not known["log"]:
        return ""
    before, boot = known["at"], processes.boot()
    known["at"], grown = _grown(known["log"], before)
    if grown or known["again"] or not all(lives(one, boot) for one in known["open"].values()):
        # What cannot be remembered would be told at each tick.
        _keep(minion, {**known, "at": before})
        _keep(minion, {**minion.call["sshtrail_trail.tell"](known), "failed": ""})
    elif known["at"] != before:
        # Lost at a crash, it is read once more.
        store.keep(_path(minion), json.dumps(known).encode())
    return ""


def _agreed(minion: Minion, asked: str, before: Known) -> Known:
    """Return what is known (dict) under another pillar: what was open stays so, and older logins are nobody's news."""
    policy = minion.call["sshtrail.policy"]()
    tell, now = policy["sessions"]["tell"], time.time()
    known = {"format": FORMAT, "asked": asked, "tell": tell, "log": "", "failed": "", "again": False}
    # From when on logins are news.
    known |= {"from": now, "mark": now, "at": None, "open": {}, "done": {}, "accounts": {}}
    known["proofs"] = policy["proof"]["account"]
    if not (policy["audit"] and any(tell.values())):
        return known
    known["log"] = minion.call["sshtrail_trail.log"]()
    if before.get("log") == known["log"]:
        known |= {name: before[name] for name in ("from", "mark", "at", "open", "done", "accounts")}
    else:
        known["at"] = _grown(known["log"], None)[0]
    if tell["new_account"] and not known["accounts"]:
        known["accounts"] = minion.call["sshtrail_trail.first_logins"]()
    return known


def _grown(path: str, before: list[int] | None) -> tuple[list[int] | None, bool]:
    """Return how far the log has been read (list of its inode and an offset), and whether it tells of a login since."""
    try:
        with open(path, "rb", opener=opening.regular) as handle:
            found = os.fstat(handle.fileno())
            if before is None or found.st_ino != before[0] or not 0 <= found.st_size - before[1] <= MOST_BYTES:
                return [found.st_ino, found.st_size], True
            handle.seek(before[1])
            grown = handle.read(found.st_size - before[1])
    except FileNotFoundError:
        return None, before is not None
    whole = grown.rfind(b"\n") + 1
    return [found.st_ino, before[1] + whole], ABOUT_LOGINS.search(grown, 0, whole) is not None


def lives(one: Known, boot: str) -> bool:
    """Tell whether the process of a session that was told (dict) still lives (bool), in this ``boot`` (str)."""
    if one["boot"] != boot:
        return False
    # The process of a session that ended at once, or in another pid namespace, was never seen.
    return not one["birth"] or processes.birth(one["pid"]).decode() == one["birth"]


def _path(minion: Minion) -> str:
    return os.path.join(minion.cachedir, "sshtrail", "logins.json")


def _known(minion: Minion) -> Known:
    """Return what is remembered (dict), empty for nothing, and for what nobody can believe."""
    known = store.remembered(_path(minion))
    return known if known.get("format") == FORMAT else {}


def _keep(minion: Minion, known: Known) -> None:
    store.save(_path(minion), known)
