"""
Whether anything changed since a host was looked at as a whole: what costs no process, and little time.

A whole look reads and parses everything, and asks init scripts. Between two of them it is enough that nothing which was
looked at has changed: the stat data of every file and directory, the processes and their starts, what listens, and the
kernel's own rules and status, asked through its own interface.

What this cannot see: a daemon that lives, listens, and yet does not answer, which a heartbeat's whole look finds; an
edit within the clock tick of the edit before it, on a file of the same size. Hence :data:`OLDEST`.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import stat
import time
import typing
from collections.abc import Mapping, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib import SYNCED
from sshtrail_lib.base import kernel, processes, store
from sshtrail_lib.coverage import looks, pulse
from sshtrail_lib.sshd import endpoints as sshd_endpoints

#: Of the file that keeps a look: another one is no memory.
FORMAT = 4
#: Seconds after which everything is looked at again: what no stat data tell stays unseen no longer than this.
OLDEST = 900
#: A file that changed less than this before the look (nanoseconds) may have changed again in the same clock tick.
TICK = 2_000_000_000
#: What changes with every package that comes or goes: Debian's list, and the places of rpm's database.
PACKAGES = ("/var/lib/dpkg/status", "/var/lib/rpm", "/var/lib/rpm/rpmdb.sqlite", "/usr/lib/sysimage/rpm/rpmdb.sqlite")
#: What of the kernel's status changes by itself.
COUNTERS = ("lost", "backlog", "backlog_wait_time_actual")

Seen = dict[str, typing.Any]
Look = dict[str, typing.Any]


def take(
    paths: list[str],
    pidfiles: dict[str, str],
    endpoints: list[str],
    audit: bool,
    trail: Sequence[typing.Any] = (),
) -> Seen:
    """
    Return what a host is like now (dict, for :func:`keep`); to be taken *before* it is looked at.

    paths
        The files and directories that are going to be looked at (list of str), there or not.
    pidfiles
        The path of each daemon's pid file (dict of str to the process's name).
    endpoints
        Where sshd should listen, ``ADDRESS:PORT`` (list of str).
    audit
        Whether the kernel's audit subsystem is looked at (bool).
    trail
        What :class:`sshtrail_lib.coverage.pulse.Watched` has (sequence), empty for no look at the trail.
    """
    watched: Seen = {
        "paths": [*PACKAGES, *paths],
        "pidfiles": pidfiles,
        "endpoints": endpoints,
        "audit": audit,
        "trail": list(trail),
    }
    return {"time": time.time_ns(), "watched": watched, "facts": _facts(**watched)}


def keep(cachedir: str, seen: Seen, pillar: Mapping, look: Look) -> None:
    """
    Keep what was found on a host that was as ``seen``.

    cachedir
        The minion's cache (str, path).
    seen
        What :func:`take` returned.
    pillar
        The host's pillar (mapping): another policy makes another look.
    look
        What is to be returned while nothing changes (dict); its ``differences`` (list) may be empty.
    """
    clean = last_clean(cachedir) if look["differences"] else seen["time"] / 1e9
    # What is found of the trail lies in a file of its own; whoever takes that away has it looked for again.
    trail = looks.there(cachedir)
    kept = {"format": FORMAT, "pillar": asked(pillar), "clean": clean, "seen": seen, "look": look, "trail": trail}
    store.remember(_path(cachedir), kept)


def last_clean(cachedir: str) -> float:
    """Return when a whole look found nothing that differs for the last time (float, seconds), 0 when none did."""
    with contextlib.suppress(ValueError, KeyError, TypeError, CommandExecutionError):
        return float(store.load(_path(cachedir))["clean"])
    return 0.0


def steady(cachedir: str, pillar: Mapping) -> Look | None:
    """
    Return what the last whole look found (dict), None when anything may be otherwise now.

    Arguments are those of :func:`keep`. No process is started; nothing is raised.
    """
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError, CommandExecutionError):
        kept = store.load(_path(cachedir))
        same = kept["format"] == FORMAT and kept["pillar"] == asked(pillar)
        if same and kept["trail"] <= looks.there(cachedir) and _holds(kept["seen"]):
            return kept["look"]
    return None


def _path(cachedir: str) -> str:
    return os.path.join(cachedir, "sshtrail", "look.json")


def asked(pillar: Mapping) -> str:
    """Return a digest (str) of all that a host's whole ``pillar`` (mapping) says to us, right or wrong."""
    ours = {key: pillar.get(key) for key in ("sshtrail", "_errors")}
    return hashlib.sha256(json.dumps(ours, sort_keys=True, default=str).encode()).hexdigest()


def _holds(seen: Seen) -> bool:
    age = (time.time_ns() - seen["time"]) / 1e9
    return 0 <= age < OLDEST and not _racy(seen) and _same(seen, _facts(**seen["watched"]))


def _same(seen: Seen, now: Seen) -> bool:
    before, after = ({key: value for key, value in facts.items() if key != "trail"} for facts in (seen["facts"], now))
    trail, log = (seen["facts"]["trail"], now["trail"]), next(iter(seen["watched"]["trail"]), "")
    return before == after and pulse.same(*trail, seen["time"] / 1e9) and not pulse.tells(log, *trail)


def _racy(seen: Seen) -> bool:
    """Tell whether a file changed so shortly before the look that a later change might not show in its times."""
    newest = max((found[-1] for found in seen["facts"]["paths"].values() if found), default=0)
    return newest > seen["time"] - TICK


def _facts(
    paths: list[str], pidfiles: dict[str, str], endpoints: list[str], audit: bool, trail: Sequence[typing.Any]
) -> Seen:
    status = kernel.status() if audit else None
    return {
        # Another library may find something else. One that was synced just now is imported for the next look.
        "library": SYNCED,
        "paths": {path: _stat(path) for path in paths},
        "processes": {path: _process(path, name) for path, name in pidfiles.items()},
        "silent": sshd_endpoints.unheard(endpoints),
        "kernel": _kernel(status) if status else None,
        "trail": pulse.take(pulse.Watched(*trail), status) if trail else {},
    }


def _stat(path: str) -> list[int | None]:
    """Return what changes whenever the file at ``path``, or the link there, does; the change's time comes last."""
    try:
        link = os.lstat(path)
        found = os.stat(path) if stat.S_ISLNK(link.st_mode) else link
    except OSError as exc:
        return [exc.errno, 0]
    numbers = [link.st_ino, link.st_mtime_ns, found.st_dev, found.st_ino, found.st_size, found.st_mode]
    return [*numbers, found.st_uid, found.st_gid, found.st_mtime_ns, found.st_ctime_ns]


def _process(path: str, name: str) -> list | None:
    pid = processes.process(path, [name])
    return [pid, processes.birth(pid).decode(), processes.stopped(pid)] if pid else None


def _kernel(status: Mapping[str, int]) -> str:
    """Return a digest of the kernel's rules, in their order, and of its settings."""
    settings = {key: value for key, value in status.items() if key not in COUNTERS}
    digest = hashlib.sha256(json.dumps(settings, sort_keys=True).encode())
    for rule in kernel.rules():
        digest.update(rule)
    return digest.hexdigest()
