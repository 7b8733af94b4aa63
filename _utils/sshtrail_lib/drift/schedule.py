"""
A job of the minion's schedule, as a policy asks for it: there, enabled, with nothing that holds it up.

What counts is the schedule of the running minion, which only itself can tell, and the file from which its next start
takes it. Salt's own state ``schedule.present`` leaves a schedule alone that was disabled as a whole.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Mapping

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift.difference import Changes

Job = dict[str, typing.Any]
#: What Salt adds to each job by itself.
OWN = {"name", "enabled"}
LISTED = {"show_all": True, "return_yaml": False}


def compare(minion: Minion, name: str, wanted: Mapping | None) -> Changes:
    """
    Return how the schedule differs from what is asked for (dict), empty where it does not.

    name
        The job's name (str).
    wanted
        Its function, times and options as ``schedule.add`` takes them (mapping), None for no such job.
    """
    now, new = _actual(minion, name, wanted), _told(wanted)
    return {} if now == new else {f"schedule {name}": {"old": now, "new": new}}


def files(minion: Minion) -> list[str]:
    """Return the file in which the minion keeps its schedule (list of str), empty where it is not known."""
    conf = minion.opts.get("conf_dir") or os.path.dirname(minion.opts.get("conf_file") or "")
    include = os.path.dirname(minion.opts.get("default_include") or "minion.d/*.conf")
    return [os.path.join(conf, include, "_schedule.conf")] if conf else []


def bring(minion: Minion, name: str, wanted: Mapping | None) -> None:
    """Have the job as it is asked for; arguments as for :func:`compare`. Raises CommandExecutionError."""
    live = _live(minion)
    offline = {} if live else {"offline": True}
    there = name in (live or _saved(minion))
    if wanted is None:
        _done(minion.call["schedule.delete"], name, **offline)
        return
    if live.get("enabled") is False:
        _done(minion.call["schedule.enable"])
    _done(minion.call["schedule.modify" if there else "schedule.add"], name, **wanted, **offline)
    if live and _wrong(_saved(minion).get(name), wanted):
        _done(minion.call["schedule.save"])


def _done(function: Callable[..., typing.Any], /, *args: object, **kwargs: object) -> None:
    told = function(*args, **kwargs)
    if not told["result"]:
        raise CommandExecutionError(str(told["comment"]))


def _live(minion: Minion) -> Job:
    """Return the schedule of the running minion (dict by the job's name), empty where none runs or answers."""
    found = minion.call["schedule.list"](**LISTED)
    # A minion that runs has jobs of Salt's own. Without the events of one there is a sentence instead.
    return {} if "comment" in found else found


def _saved(minion: Minion) -> Job:
    return minion.call["schedule.list"](offline=True, **LISTED) or {}


def _actual(minion: Minion, name: str, wanted: Mapping | None) -> str | None:
    """Return the job as it is, for a person: the same words as :func:`_told` where nothing differs."""
    live, saved = _live(minion), _saved(minion)
    job = (live or saved).get(name)
    if wanted is None or job is None:
        return _told(job)
    wrong = _wrong(job, wanted)
    if (live or saved).get("enabled") is False:
        return "the whole schedule is disabled"
    if not job.get("enabled", True):
        return "disabled"
    if wrong:
        return ", ".join(f"{key} {job.get(key)!r}" for key in wrong)
    return "not saved: gone when the minion starts again" if _wrong(saved.get(name), wanted) else _told(wanted)


def _wrong(job: Mapping | None, wanted: Mapping) -> list[str]:
    """Return the options (list of str) in which a job differs from what is asked for."""
    if job is None:
        return ["function"]
    return sorted(key for key in (set(job) | set(wanted)) - OWN if job.get(key) != wanted.get(key))


def _told(job: Mapping | None) -> str | None:
    return None if job is None else f"{job.get('function')} every {job.get('seconds')} s"
