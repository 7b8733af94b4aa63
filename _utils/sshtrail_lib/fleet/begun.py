"""
Which hosts a repair was published to: whoever goes on after one that was killed or stopped asks them how it went.

To publish it again would repair them twice.
"""

from __future__ import annotations

import contextlib
import itertools
import json
import logging
import typing
from collections.abc import Iterable, Mapping

from sshtrail_lib.base import store
from sshtrail_lib.drift import claim
from sshtrail_lib.fleet import remedy
from sshtrail_lib.fleet.crew import Crew, Repair
from sshtrail_lib.fleet.remedy import Record

log = logging.getLogger(__name__)


class Begun:
    """The job of each host that is at work for a :class:`~sshtrail_lib.fleet.crew.Crew`, kept on the disk."""

    def __init__(self, path: str) -> None:
        """
        path
            Where it is kept (str).
        """
        self._path, self._jobs = path, dict[str, str]()
        self._team: Crew | None = None

    def of(self, team: Crew) -> None:
        """Keep it for a ``team`` (Crew)."""
        self._team = team

    def add(self, names: Iterable[str], jid: str) -> None:
        """Note that the job ``jid`` (str) was published to hosts (ids)."""
        self._jobs |= dict.fromkeys(names, jid)
        self.keep()

    def keep(self) -> None:
        """Keep what is true now: a host whose repair has ended is none of them."""
        hosts = self._team.hosts if self._team else {}
        told = {name: _stored(jid, hosts[name]) for name, jid in self._jobs.items() if name in hosts}
        self._jobs = {name: jid for name, jid in self._jobs.items() if name in hosts}
        try:
            store.keep(self._path, json.dumps(told).encode())
        except OSError as exc:
            # Who is killed now has a repair done once more.
            log.error("Which repairs have begun cannot be kept: %s", exc)

    def resume(self, known: Mapping[str, Record]) -> set[str]:
        """
        Have the team go on with what another has begun, unless its end is in the records (mapping by id); return which
        hosts these are (ids).
        """
        found = {name: one for name, one in map(_parsed, store.remembered(self._path).items()) if one}
        due = remedy.due({name: repair.claim for name, (_, repair) in found.items()}, known)
        for jid, names in itertools.groupby(sorted(due, key=lambda name: found[name][0]), lambda name: found[name][0]):
            hosts = {name: found[name][1] for name in names}
            self._jobs |= dict.fromkeys(hosts, jid)
            if self._team:
                self._team.resume(jid, hosts)
        return set(due)


def _stored(jid: str, repair: Repair) -> dict[str, typing.Any]:
    return {"jid": jid, "claim": claim.claimed(repair.claim), "started": repair.started, "digest": repair.digest}


def _parsed(entry: tuple[str, typing.Any]) -> tuple[str, tuple[str, Repair] | None]:
    name, value = entry
    with contextlib.suppress(KeyError, TypeError, ValueError):
        found = claim.parse(value["claim"])
        if found and value["jid"]:
            return name, (str(value["jid"]), Repair(found, float(value["started"]), str(value["digest"])))
    return name, None
