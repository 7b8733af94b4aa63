"""
The compliance of the fleet: asked in one publish, and written in the form that an auditor takes.
"""

from __future__ import annotations

import json
import os
import time
import typing
from collections.abc import Mapping, Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.compliance import formats
from sshtrail_lib.compliance.finding import FAIL, MANUAL, UNKNOWN
from sshtrail_lib.compliance.formats import Hosts
from sshtrail_lib.drift import answer
from sshtrail_lib.fleet import master as fleet_master
from sshtrail_lib.fleet import shapes, shown
from sshtrail_lib.fleet.master import Master
from sshtrail_lib.fleet.standing import NO_MODULES, NONSENSE, SILENT
from sshtrail_lib.policy.controls import EDITIONS

#: Of a host whose distribution has none, where all frameworks that fit were asked for.
NO_STIG = (
    "no STIG is for its distribution; name framework=stig and one of "
    + ", ".join(name.removeprefix("STIG ") for name in EDITIONS if name.startswith("STIG "))
    + " as edition"
)
FORMATS = ("table", "data", "csv", "ocsf", "cklb")


def compliance(
    master: Master,
    names: Sequence[str],
    framework: str | None,
    edition: str | None,
    batch: int | str | None,
    timeout: int,
) -> dict[str, typing.Any]:
    """
    Return each host's rows (list of dict), or why there are none (str) (dict by id).

    names
        The ids of the hosts (sequence of str).
    framework, edition
        As for ``sshtrail.compliance``.
    batch, timeout
        As for :func:`sshtrail_lib.fleet.master.answers`.
    """
    asked = {name: value for name, value in (("framework", framework), ("edition", edition)) if value is not None}
    answers = fleet_master.answers(master, list(names), answer.COMPLIANCE, batch, timeout, **asked)
    return {name: rows_of(answers.get(name)) for name in names}


def rows_of(told: typing.Any) -> list[dict[str, typing.Any]] | str:
    """Return a host's rows (list of dict), or why there are none (str), of its answer (anything; None for none)."""
    if told is None:
        return SILENT
    if isinstance(told, (list, dict)):
        rows = shapes.several(told, shapes.ROW)
        return NONSENSE if rows is None else rows
    said = (str(told).strip().splitlines() or ["no data"])[-1]
    # What a host refuses it knows.
    return text.line(said if said.startswith("ERROR") else f"{NO_MODULES}: {said}", 2 * text.LONGEST)


def status(hosts: Hosts) -> int:
    """Return the exit status (int) for what hosts told: 1 where a control fails, or a host told nothing."""
    failing = [rows for rows in hosts.values() if isinstance(rows, str) or any(row["status"] == FAIL for row in rows)]
    return shown.FAILED if failing else 0


def states(hosts: Hosts) -> dict[str, dict[str, typing.Any]]:
    """Return what hosts told in the form of a highstate (dict by id): one state for each control, one for a silence."""
    return {host: _states(rows) for host, rows in hosts.items()}


def _states(rows: Sequence[Mapping] | str) -> dict[str, typing.Any]:
    if isinstance(rows, str):
        return shown.state(False, "answer", text.line(rows))
    found: dict[str, typing.Any] = {}
    for number, row in enumerate(rows):
        good = {FAIL: False, UNKNOWN: None, MANUAL: None}.get(row["status"], True)
        found |= shown.state(good, text.line(row["control"]), text.line(f"{row['status']}: {row['evidence']}"), number)
    return found


def written(hosts: Hosts, form: str, file: str | None) -> typing.Any:
    """
    Return what was found in a form (str of :data:`FORMATS`), or write it to a file and return where it is.

    hosts
        What :func:`compliance` returned (dict).
    file
        The file (str, absolute), None for none. For ``cklb`` it is a directory, which gets a file for each host.
    """
    check(form, file)
    if form == "cklb":
        return _checklists(hosts, file)
    if form == "data":
        content: typing.Any = dict(hosts)
        return content if file is None else shown.put(file, json.dumps(content, indent=1))
    told = {"table": lambda: formats.table(hosts), "csv": lambda: formats.as_csv(hosts)}
    said = told[form]() if form in told else formats.ocsf(hosts, time.time())
    return said if file is None else shown.put(file, said)


def check(form: str, file: str | None, framework: object = None) -> None:
    """
    Raise SaltInvocationError for a form (str) that there is not, or that cannot be one of a ``framework`` (a name, None
    for all), and for a file (str or None) that cannot be one.
    """
    if form not in FORMATS:
        raise SaltInvocationError(f"format is {form!r}; allowed are {', '.join(FORMATS)}.")
    if form == "cklb" and framework is not None and not str(framework).strip().upper().startswith("STIG"):
        raise SaltInvocationError(f"A checklist (format=cklb) is of a STIG: name framework=stig, not {framework!r}.")
    shown.check_file(file, form == "cklb")


def _checklists(hosts: Hosts, directory: str | None) -> typing.Any:
    told = {name: rows for name, rows in hosts.items() if not isinstance(rows, str) and any(map(_of_a_stig, rows))}
    why = {name: rows if isinstance(rows, str) else NO_STIG for name, rows in hosts.items() if name not in told}
    found = {name: formats.checklist(name, rows) for name, rows in told.items()}
    if not found:
        raise SaltInvocationError(f"There is no checklist to write: {_said(why) or 'no minion was asked'}")
    if directory is None:
        return found | why
    try:
        os.makedirs(directory, mode=0o700, exist_ok=True)
    except OSError as exc:
        raise SaltInvocationError(f"Cannot make {directory}: {exc.strerror}.") from exc
    paths = {name: os.path.join(directory, f"{_file_name(name)}.cklb") for name in found}
    return {name: shown.put(paths[name], json.dumps(one, indent=1)) for name, one in found.items()} | why


def _of_a_stig(row: Mapping) -> bool:
    return row["framework"].startswith("STIG ")


def _said(why: Mapping[str, str]) -> str:
    """Return why there is nothing (str), each reason once, with the hosts that it is true for."""
    hosts: dict[str, list[str]] = {}
    for name, reason in why.items():
        hosts.setdefault(reason, []).append(text.line(name))
    return " ".join(
        f"{names[0]}{f' and {len(names) - 1} more' if len(names) > 1 else ''}: {reason.rstrip('.')}."
        for reason, names in hosts.items()
    )


def _file_name(name: str) -> str:
    # A minion's id has no slash, and is checked all the same.
    return "".join(letter if letter.isalnum() or letter in ".-_" else "_" for letter in name).lstrip(".") or "_"
