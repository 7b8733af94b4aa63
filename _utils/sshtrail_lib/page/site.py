"""
Where the page comes from and where it goes: a fleet is asked in two publishes, a host asks itself.
"""

from __future__ import annotations

import datetime
import glob
import os
import re
import time
import typing
from collections.abc import Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import files, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import answer as drift_answer
from sshtrail_lib.fleet import heartbeats, shapes, shown, standing
from sshtrail_lib.fleet import master as fleet_master
from sshtrail_lib.fleet.master import Master
from sshtrail_lib.page import overview, render
from sshtrail_lib.page.view import Fleet

#: The day in the name of a copy that is kept.
DATED = re.compile(r"-(\d{4}-\d{2}-\d{2})(\.[^./]*)?$")


def of_a_fleet(
    master: Master, names: Sequence[str], file: str, days: int, keep: int, batch: int | str | None, timeout: int
) -> dict[str, typing.Any]:
    """
    Make the page of several hosts (dict: where it is, how large it is, who told nothing).

    names
        The ids of the hosts (sequence of str).
    file
        Where it goes (str, absolute).
    days
        How far back sessions, failures and changes go (int).
    keep
        For how many days a copy of each day is kept beside it (int), 0 for none.
    batch, timeout
        As for :func:`sshtrail_lib.fleet.master.answers`.

    Raises SaltInvocationError for a file or a number that cannot be, before anybody is asked.
    """
    check(file, days, keep)
    standings = heartbeats.fleet(master, list(names), batch, timeout)
    answers = fleet_master.answers(master, list(names), drift_answer.OVERVIEW, batch, timeout, days=days)
    told = {name: _answer(answers.get(name)) for name in names}
    title = f"the fleet of {master.opts.get('id', 'this master').removesuffix('_master')}"
    made = _written(file, Fleet(text.line(title), *_times(days), standings, told), keep)
    return {**made, "silent": sorted(name for name, answer in told.items() if isinstance(answer, str))}


def of_a_host(minion: Minion, condition: typing.Any, file: str, days: int, keep: int) -> dict[str, typing.Any]:
    """
    Make the page of one host (dict), as :func:`of_a_fleet`.

    condition
        How it stands to its policy, as ``sshtrail.condition`` tells it.
    """
    check(file, days, keep)
    name = str(minion.opts["id"])
    standings = {name: standing.row(condition)}
    return _written(file, Fleet(name, *_times(days), standings, {name: overview.overview(minion, days)}), keep)


def check(file: typing.Any, days: typing.Any, keep: typing.Any) -> None:
    """Raise SaltInvocationError for a ``file``, ``days`` or ``keep`` that cannot be."""
    there = isinstance(file, str) and os.path.exists(file)
    if not isinstance(file, str) or not os.path.isabs(file) or (there and not os.path.isfile(file)):
        raise SaltInvocationError(f"file must be the absolute path of a file, not {file!r}.")
    if not os.path.isdir(os.path.dirname(file)):
        raise SaltInvocationError(f"There is no directory {os.path.dirname(file)} for the page.")
    for name, value, least, most in (("days", days, 1, overview.MOST), ("keep", keep, 0, 3660)):
        if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
            raise SaltInvocationError(f"{name} must be a whole number from {least} to {most}, not {value!r}.")


def _answer(answer: typing.Any) -> typing.Any:
    if answer is None:
        return standing.SILENT
    if isinstance(answer, (list, dict)):
        return shapes.overview(answer) or standing.NONSENSE
    said = str(answer).strip().splitlines()
    return text.line(f"{standing.NO_MODULES}: {said[-1] if said else 'no data'}")


def _times(days: int) -> tuple[str, str]:
    now = time.time()
    return text.iso(now), text.iso(now - days * 86400)


def _written(file: str, fleet: Fleet, keep: int) -> dict[str, typing.Any]:
    content = render.page(fleet)
    # It has everybody's commands: it is for root, and for whom root gives it to.
    shown.put(file, content)
    if keep:
        start, end = os.path.splitext(file)
        shown.put(f"{start}-{fleet.now[:10]}{end}", content)
        _forget(start, end, keep)
    # Not asked of the file: in a directory of somebody else's it may be gone again.
    return {"file": file, "bytes": len(content.encode("utf-8", "backslashreplace")), "hosts": len(fleet.standings)}


def _forget(start: str, end: str, keep: int) -> None:
    """Remove the copies of days that are over: those whose names this project gives."""
    oldest = (datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=keep)).date().isoformat()
    for path in glob.glob(f"{glob.escape(start)}-*{glob.escape(end)}"):
        match = DATED.search(path)
        if match and path == f"{start}-{match[1]}{end}" and match[1] < oldest:
            files.remove(path)
