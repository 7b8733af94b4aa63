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
from collections.abc import Mapping

from sshtrail_lib.base import processes, store, text, transaction
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import event
from sshtrail_lib.trail import notable, proof

log = logging.getLogger(__name__)

FORMAT = 1
#: What PAM and sshd leave in the audit log when somebody comes or goes.
ABOUT_LOGINS = re.compile(rb"type=USER_(?:START|END|LOGIN|LOGOUT) [^\n]*sshd")
#: Bytes by which the log may have grown to be searched for these; after more, it is just read.
MOST_BYTES = 64 * 2**20
#: Seconds by which a record may be written later than it says.
LATE = 60.0
#: Seconds in which sshd's own line, or the record of an end, may still come.
PATIENCE = 15.0
#: Sessions that are told at one tick; the others follow at the next. And how many are followed to their end.
MOST, MOST_OPEN = 20, 1000
LOOPBACK = ("127.", "::1", "::ffff:127.")

Known = dict[str, typing.Any]
Told = Mapping[str, typing.Any]


def attend(minion: Minion, asked: str) -> None:
    """
    Tell the master which notable logins there are since the last time, and which of those that it knows of have ended.

    asked
        A digest of all that the pillar asks (str, :func:`sshtrail_lib.drift.fingerprint.asked`).

    Raises nothing: why it failed is what :func:`failed` returns until the next time. What the master could not be told
    is told at the next tick.
    """
    known = _known(minion)
    if known.get("asked") == asked and not known["log"]:
        return
    try:
        # A log can be large: the look for drift does not wait for it, and neither does another of these.
        with transaction.lock(os.path.join(minion.cachedir, "sshtrail", "logins.lock"), 0):
            _attend(minion, asked)
    except transaction.Busy:
        return
    except Exception as exc:  # noqa: BLE001 - whatever it is, the heartbeat has to tell it
        log.exception("Logins cannot be told")
        why = text.line(f"{getattr(exc, 'message', exc)}" or type(exc).__name__)
        _keep(minion, {"format": FORMAT, **_known(minion), "again": True, "failed": f"logins cannot be told: {why}"})


def failed(minion: Minion) -> str:
    """Return why logins could not be told at the last tick (str), "" where nothing failed."""
    return str(_known(minion).get("failed") or "")


def _attend(minion: Minion, asked: str) -> None:
    known = _known(minion)
    if known.get("asked") != asked:
        known = _agreed(minion, asked, known)
        _keep(minion, known)
    if not known["log"]:
        return
    at, grown = _grown(known["log"], known["at"])
    known["at"] = at
    if grown or known["again"] or not all(map(_lives, known["open"].values())):
        _Round(minion, known).go()
        _keep(minion, {**known, "failed": ""})
    elif at != _known(minion)["at"]:
        # Lost at a crash, it is read once more.
        store.keep(_path(minion), json.dumps(known).encode())


def _agreed(minion: Minion, asked: str, before: Known) -> Known:
    """Return what is known (dict) under another pillar: what was open stays so, and older logins are nobody's news."""
    policy = minion.call["sshtrail.policy"]()
    tell, now = policy["sessions"]["tell"], time.time()
    known = {"format": FORMAT, "asked": asked, "tell": tell, "log": "", "failed": "", "again": False}
    known |= {"mark": now, "at": None, "open": {}, "done": {}, "accounts": {}, "proofs": policy["proof"]["account"]}
    if not (policy["audit"] and notable.wanted(tell)):
        return known
    known["log"] = minion.call["sshtrail_trail.log"]()
    if before.get("log") == known["log"]:
        known |= {name: before[name] for name in ("mark", "at", "open", "done", "accounts")}
    else:
        known["at"] = _grown(known["log"], None)[0]
    if tell["new_account"] and not known["accounts"]:
        known["accounts"] = minion.call["sshtrail_trail.first_logins"]()
    return known


def _grown(path: str, before: list[int] | None) -> tuple[list[int] | None, bool]:
    """Return how far the log has been read (list of its inode and an offset), and whether it tells of a login since."""
    try:
        with open(path, "rb") as handle:
            found = os.fstat(handle.fileno())
            if before is None or found.st_ino != before[0] or not 0 <= found.st_size - before[1] <= MOST_BYTES:
                return [found.st_ino, found.st_size], True
            handle.seek(before[1])
            grown = handle.read(found.st_size - before[1])
    except FileNotFoundError:
        return None, before is not None
    whole = grown.rfind(b"\n") + 1
    return [found.st_ino, before[1] + whole], ABOUT_LOGINS.search(grown, 0, whole) is not None


class _Round:
    """One look at the sessions since the last time."""

    def __init__(self, minion: Minion, known: Known) -> None:
        self.minion, self.known, self.now = minion, known, time.time()
        # The clock may have been set back.
        self.since = min(known["mark"], self.now) - LATE
        self.sent = 0
        #: The times of what cannot be told yet, and is looked at again.
        self.waits: list[float] = []

    def go(self) -> None:
        """Tell what is new, and remember it."""
        over = {name for name, one in self.known["open"].items() if one.get("over") or self._gone(one)}
        for session in self._logins(self.since):
            if session["id"] in self.known["open"]:
                over |= {session["id"]} if session["ended"] else set()
            elif self._begun(session) and session["ended"] and session["id"] in self.known["open"]:
                over.add(session["id"])
        self._tell_ends(over)
        self.known["mark"], self.known["again"] = min([self.now, *self.waits]), bool(self.waits)
        since, done = min(self.known["mark"], self.now) - LATE, self.known["done"]
        self.known["done"] = {name: began for name, began in done.items() if began >= since}

    def _logins(self, since: float, **more: typing.Any) -> list[Told]:
        return self.minion.call["sshtrail_trail.logins"](since=since, **more)

    def _gone(self, one: Known) -> bool:
        """Tell whether the process of an open session has gone, and no record of its end can come any more (bool)."""
        if _lives(one):
            return False
        late = self.now - one.setdefault("gone", self.now) > PATIENCE
        if not late:
            self.waits.append(self.now)
        return late

    def _begun(self, session: Told) -> bool:
        """Tell of a session that is new and notable, as soon as enough is known; return whether it was told (bool)."""
        name, began = session["id"], text.seconds(session["started"] or "") or 0.0
        if name in self.known["done"] or began < self.since:
            return False
        proof_ = _may_be_proof(self.known, session)
        early = session["method"] is None or (proof_ and not session["ended"])
        if early and self.now - began <= PATIENCE:
            self.waits.append(began)
            return False
        if proof_ and self._is_proof(name, began):
            self.known["done"][name] = began
            return False
        first = self.known["accounts"].setdefault(session["user"] or "", name)
        why = notable.reasons(session, self.known["tell"], first)
        return bool(why) and self._tell_begin(session, began, why)

    def _is_proof(self, name: str, began: float) -> bool:
        """Tell whether a session was nothing but a proof that logins are recorded (bool)."""
        found = self._logins(began - LATE, ids=[name], commands=True)
        ran = [one["argv"] for whole in found for one in whole["commands"]]
        return bool(ran) and all(proof.is_proof([word.encode() for word in argv]) for argv in ran)

    def _tell_begin(self, session: Told, began: float, why: list[str]) -> bool:
        body = event.session(session, why)
        if self.sent >= MOST or not self._send(event.SESSION_OPENED, body):
            self.waits.append(began)
            return False
        self.known["done"][session["id"]] = began
        if len(self.known["open"]) < MOST_OPEN:
            process = _process(session["pid"])
            self.known["open"][session["id"]] = {**process, "began": began, "why": why, "body": body}
        return True

    def _tell_ends(self, names: set[str]) -> None:
        """Tell that sessions have ended, with all that they did."""
        known, end = self.known["open"], self.now
        since = min((known[name]["began"] for name in names), default=end) - LATE
        whole = self._logins(since, ids=sorted(names), commands=True) if names else []
        found = {session["id"]: event.session(session, known[session["id"]]["why"], over=True) for session in whole}
        for name in sorted(names, key=lambda one: known[one]["began"]):
            # The log of its beginning may have gone meanwhile.
            body = found.get(name) or {**known[name]["body"], "state": "lost"}
            if body["state"] == "open":
                # Its process has gone, and the number is another's now.
                body["state"] = "killed"
            if self._send(event.SESSION_CLOSED, body):
                del known[name]
            else:
                known[name]["over"] = True
                self.waits.append(end)

    def _send(self, tag: str, body: event.Body) -> bool:
        self.sent += 1
        return bool(self.minion.call["event.send"](tag, body))


def _process(pid: int | None) -> dict[str, typing.Any]:
    """Return what tells later whether a process still lives (dict)."""
    return {"pid": pid, "birth": processes.birth(pid).decode() if pid else "", "boot": processes.boot()}


def _lives(one: Known) -> bool:
    if one["boot"] != processes.boot():
        return False
    # The process of a session that ended at once, or in another pid namespace, was never seen.
    return not one["birth"] or processes.birth(one["pid"]).decode() == one["birth"]


def _may_be_proof(known: Known, session: Told) -> bool:
    peer = session["from"]["address"] or ""
    return bool(known["proofs"]) and session["user"] == known["proofs"] and peer.startswith(LOOPBACK)


def _path(minion: Minion) -> str:
    return os.path.join(minion.cachedir, "sshtrail", "logins.json")


def _known(minion: Minion) -> Known:
    """Return what is remembered (dict), empty for nothing, and for what nobody can believe."""
    try:
        known = store.load(_path(minion))
    except store.StoreError:
        return {}
    return known if isinstance(known, dict) and known.get("format") == FORMAT else {}


def _keep(minion: Minion, known: Known) -> None:
    store.save(_path(minion), known)
