"""
The sessions of the fleet: asked in one publish, each host's answer checked, and written in the form that is wanted.
"""

from __future__ import annotations

import json
import typing
from collections.abc import Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.drift import answer
from sshtrail_lib.fleet import master as fleet_master
from sshtrail_lib.fleet import shapes
from sshtrail_lib.fleet import shown as fleet_shown
from sshtrail_lib.fleet.master import Master
from sshtrail_lib.fleet.standing import NO_MODULES, SILENT
from sshtrail_lib.trail import asked, shown

Told = dict[str, typing.Any]
NONSENSE = "answers nonsense"


class Found(typing.NamedTuple):
    """The sessions of all hosts (list of dict), and why a host has told none (dict of id to str)."""

    sessions: list[Told]
    untold: dict[str, str]


def sessions(master: Master, names: Sequence[str], batch: int | str | None, timeout: int, **about: object) -> Found:
    """
    Ask hosts for their sessions (:class:`Found`), in the order of their beginning.

    names, batch, timeout
        As for :func:`sshtrail_lib.fleet.master.answers`.
    about
        As for ``sshtrail_trail.sessions``; None for what is not asked.

    What is behind each statement (``proof``) stays on the hosts: :func:`session` brings it.
    """
    wanted = {name: value for name, value in about.items() if value is not None}
    answers = fleet_master.answers(master, list(names), answer.SESSIONS, batch, timeout, proof=False, **wanted)
    found: list[Told] = []
    untold: dict[str, str] = {}
    for name in names:
        told = read(name, answers.get(name))
        if isinstance(told, str):
            untold[name] = told
        else:
            found += told
    return Found(sorted(found, key=lambda one: one["started"] or ""), untold)


def session(master: Master, name: str, identity: str, timeout: int) -> Told:
    """Return one session (dict) of the host ``name`` (str). Raises SaltInvocationError where it tells none."""
    given = {"id": identity, "format": "data"}
    said = fleet_master.answers(master, [name], answer.SESSION, None, timeout, **given).get(name)
    told = read(name, said if said is None or isinstance(said, str) else [said])
    if isinstance(told, str):
        raise SaltInvocationError(f"{text.line(name)}: {told}")
    return told[0]


def read(name: str, said: typing.Any) -> list[Told] | str:
    """Return the sessions (list of dict) of a host's answer (anything; None for none), or why there are none (str)."""
    if said is None:
        return SILENT
    if isinstance(said, str):
        return text.line((said.strip().splitlines() or [NO_MODULES])[-1])
    found = shapes.several(said, shapes.SESSION)
    # A host speaks of itself alone, whatever its log says.
    return NONSENSE if found is None else [{**one, "host": name} for one in found]


def written(found: Found, form: str, file: str | None) -> typing.Any:
    """
    Return what was found in a form (str of :data:`sshtrail_lib.trail.asked.FORMATS`), or write it to a file and return
    where it is.

    file
        The file (str, absolute), None for none. Hosts that told nothing are named in ``data`` and ``table``; the other
        forms have no place for them.
    """
    check(form, file)
    if form == "data":
        told: typing.Any = {"sessions": found.sessions, "untold": found.untold}
        said = json.dumps(told, indent=1)
    elif form == "table":
        told = said = "\n".join(
            [shown.table(found.sessions), *(f"{text.line(name)}: {why}" for name, why in sorted(found.untold.items()))]
        )
    else:
        told = said = asked.written(found.sessions, form)
    return told if file is None else fleet_shown.put(file, said)


def check(form: str, file: str | None) -> None:
    """Raise SaltInvocationError for a form (str) that there is not, or a file (str or None) that cannot be one."""
    asked.written([], form)
    fleet_shown.check_file(file)
