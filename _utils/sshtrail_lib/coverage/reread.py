"""
Whether sshd has worked with other files between two looks: it read them again, and they had been changed and changed
back. Without PAM and quiet it leaves no record of who came meanwhile, neither in the audit log nor in its own.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import typing
from collections.abc import Iterable, Mapping, Sequence

from salt.exceptions import SaltException

from sshtrail_lib.base import files, processes, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage import gaps, logs, memory, opened
from sshtrail_lib.coverage.memory import Memory
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.sshd import host as sshd_host
from sshtrail_lib.sshd import listener as sshd_listener
from sshtrail_lib.sshd import running as sshd_running
from sshtrail_lib.trail.audit_log import Record

#: Seconds by which a line of syslog's can be older than it says: it has no fractions.
UNSURE = 1.0
#: Of those who wrote sshd's files so many are named.
MOST = 3


class Served(typing.NamedTuple):
    """
    How sshd stands to its files.

    kept
        What the next look compares (dict of str): which ``read`` of its files this is, what the files ``hold``, how
        they ``stand`` (which change of each this is), and what its ``program`` is.
    read, changed, path
        When it read them and when the last of them was changed (float, seconds since the epoch), and which (str).
    ours
        Whether this project had it read them (bool).
    """

    kept: dict[str, str]
    read: float = 0.0
    changed: float = 0.0
    path: str = ""
    ours: bool = False


def missing(minion: Minion, policy: Policy, log: str, before: Memory, now: float) -> Memory:
    """
    Return the memory of how sshd stands to its files, with a loss where nobody has looked at what it worked with.

    log
        The audit log (str), which may tell who changed them.
    """
    served = take(minion, policy["sshd"]["path"])
    after = before._replace(served=served.kept or before.served)
    if not changed(before.served, served.kept):
        return after
    earlier = _earlier(logs.began(minion, policy, before.looked), before.looked, served)
    told = judge(before.served, served, earlier)
    keys = opened.keys(policy, policy["sshd"]["path"])
    by = _by(logs.End(log, before.looked).calls(keys)) if told else ""
    return memory.missing(after, told + by, now)


def take(minion: Minion, path: str) -> Served:
    """Return how sshd stands to its files (:class:`Served`), of which ``path`` (str) is the main one."""
    try:
        found = sshd_host.sources(minion, path)
        one = sshd_listener.find(found["pidfile"], path, sshd_running.DEFAULT, minion)
        program = hashlib.sha256(files.read(found["binary"]) or b"").hexdigest() if found["binary"] else ""
        paths = sorted({name for name in found["paths"] if name != found["binary"] and os.path.exists(name)})
        held = _holds(paths)
    except (SaltException, OSError, ValueError):
        return Served({})
    if one is None:
        # The next one that runs has read them as they are then, which the next look compares.
        return Served({})
    kept = {"read": f"{one.pid} {one.stamp}", "program": program, "hold": held, "stand": _stands(paths)}
    last, read = max(paths, key=_changed, default=""), one.stamp[1] / 1e9
    return Served(kept, read, _changed(last), last, _by_us(minion, one.pid, max(read, _changed(last))))


def changed(before: Mapping[str, str], now: Mapping[str, str]) -> bool:
    """Tell whether sshd read its files again, some of which were changed (bool), and is no other program since."""
    told = before and now and all(before.get(name) != now[name] for name in ("read", "stand"))
    return bool(told) and before.get("program") == now["program"]


def judge(before: Mapping[str, str], served: Served, earlier: float) -> str:
    """
    Return what is told (str, empty for nothing) of a sshd of which :func:`changed` holds.

    before
        What the last look kept (mapping of str).
    earlier
        When it had read them before the last change of theirs, and after the last look (float), 0 for never.

    One sign of three alone is what happens: files that hold what they held were written anew, who is asked for
    another policy writes them and has sshd read them, and whoever tries something does that twice.
    """
    same = before.get("hold") == served.kept["hold"]
    if (same, not served.ours, bool(earlier)).count(True) < 2:
        return ""
    again = f"sshd read its files again at {text.iso(served.read)}" if served.read else "sshd read its files again"
    back = ", and they hold what they held" if same else ""
    first = f", after it had read them at {text.iso(earlier)}" if earlier else ""
    told = f"{again}{first}: {served.path} was changed at {text.iso(served.changed)}{back}. Who came by what it worked"
    return f"{told} with meanwhile may be in no log"


def _earlier(began: Iterable[float], looked: float, served: Served) -> float:
    """Return when sshd read its files before their last change, if it has read that, too (float), 0 for never."""
    known = not served.read or served.read >= served.changed
    return next((when for when in sorted(began) if known and looked < when < served.changed - UNSURE), 0.0)


def _by(calls: Sequence[Record]) -> str:
    """Return who wrote in the directory of sshd's files (str), by system ``calls`` of the audit log."""
    since = [one for one in calls if one.text("success") == "yes"]
    names = dict.fromkeys((one.text("exe") or "a program", one.text("auid") or "") for one in since)
    told = [text.line(f"{exe} of {gaps.login(auid)}") for exe, auid in names]
    return f"; {', '.join(told[-MOST:])} wrote there" if told else ""


def _by_us(minion: Minion, pid: int, since: float) -> bool:
    """Tell whether this project had a sshd (its pid, int) read its files ``since`` their last change (float; bool)."""
    left = processes.marked(pid, minion.run_dir) is not None
    return left and _changed(processes.mark_path(pid, minion.run_dir)) >= since


def _holds(paths: Iterable[str]) -> str:
    digest = hashlib.sha256()
    for path in paths:
        names = b"\0".join(sorted(os.listdir(os.fsencode(path)))) if os.path.isdir(path) else None
        digest.update(hashlib.sha256((files.read(path) or b"") if names is None else names).digest())
    return digest.hexdigest()


def _stands(paths: Iterable[str]) -> str:
    found = []
    for path in paths:
        with contextlib.suppress(OSError):
            one = os.stat(path)
            found.append(f"{path} {one.st_dev} {one.st_ino} {one.st_ctime_ns}")
    return hashlib.sha256("\n".join(found).encode("utf-8", "surrogateescape")).hexdigest()


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_ctime
    except OSError:
        return 0.0
