"""
What there is to tell of notable logins: the sessions since the last time, compared with those that were told.
"""

from __future__ import annotations

import time
import typing
from collections.abc import Mapping

from sshtrail_lib.base import processes, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import event, logins
from sshtrail_lib.trail import notable, proof

#: Seconds by which a record may be written later than it says.
LATE = 60.0
#: Seconds in which sshd's own line, or the record of an end, may still come.
PATIENCE = 15.0
#: Sessions that are told at one tick; the others follow at the next. And how many are followed to their end.
MOST, MOST_OPEN = 20, 1000
LOOPBACK = ("127.", "::1", "::ffff:127.")

Known = dict[str, typing.Any]
Told = Mapping[str, typing.Any]


def tell(minion: Minion, known: Known) -> Known:
    """
    Tell the master what is new of notable logins; return what is known then (dict).

    known
        What :mod:`sshtrail_lib.drift.logins` remembers (dict).
    """
    _Round(minion, known).go()
    return known


class _Round:
    def __init__(self, minion: Minion, known: Known) -> None:
        self.minion, self.known, self.now, self.boot = minion, known, time.time(), processes.boot()
        # The clock may have been set back.
        self.since = min(known["mark"], self.now) - LATE
        known["from"] = known["from"] if known["from"] <= self.now else self.since
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
        if logins.lives(one, self.boot):
            return False
        late = abs(self.now - one.setdefault("gone", self.now)) > PATIENCE
        if not late:
            self.waits.append(self.now)
        return late

    def _begun(self, session: Told) -> bool:
        """Tell of a session that is new and notable, as soon as enough is known; return whether it was told (bool)."""
        name, began = session["id"], text.seconds(session["started"] or "") or 0.0
        if name in self.known["done"] or began < max(self.since, self.known["from"]):
            return False
        proof_ = _may_be_proof(self.known, session)
        early = session["method"] is None or (proof_ and not session["ended"])
        if early and abs(self.now - began) <= PATIENCE:
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
        return bool(found) and proof.is_nothing_else(found[0]["commands"])

    def _tell_begin(self, session: Told, began: float, why: list[str]) -> bool:
        body = event.session(session, why)
        if self.sent >= MOST or not self._send(event.SESSION_OPENED, body):
            self.waits.append(began)
            return False
        self.known["done"][session["id"]] = began
        if len(self.known["open"]) < MOST_OPEN:
            pid = session["pid"]
            # What tells later whether it still lives.
            process = {"pid": pid, "birth": processes.birth(pid).decode() if pid else "", "boot": self.boot}
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


def _may_be_proof(known: Known, session: Told) -> bool:
    peer = session["from"]["address"] or ""
    return bool(known["proofs"]) and session["user"] == known["proofs"] and peer.startswith(LOOPBACK)
