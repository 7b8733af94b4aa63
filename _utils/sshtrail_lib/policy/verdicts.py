"""
What people say of controls in the pillar: which deviation is accepted, and what no program can judge.
"""

from __future__ import annotations

import datetime
import difflib
import typing
from collections.abc import Sequence

from sshtrail_lib.policy.controls import CONTROLS
from sshtrail_lib.policy.kinds import shown

#: How a person may judge a control.
VERDICTS = ("pass", "fail", "not applicable")
#: Every control with its framework: the number alone is another one in another edition.
NAMES = tuple(f"{framework} {one.id}" for framework, controls in CONTROLS.items() for one in controls)
EXCEPTION = ("reason", "by", "until")

Entries = dict[str, dict[str, typing.Any]]


def exceptions(value: typing.Any, path: str, problems: list[str]) -> Entries:
    """Return a copy of the accepted deviations (dict); arguments as :func:`sshtrail_lib.policy.schema.checked`."""
    return _by_control(value, path, problems, EXCEPTION)


def verdicts(value: typing.Any, path: str, problems: list[str]) -> Entries:
    """Return a copy of the verdicts of people (dict); arguments as :func:`sshtrail_lib.policy.schema.checked`."""
    found = _by_control(value, path, problems, ("status", *EXCEPTION))
    for name, entry in found.items():
        if "status" in entry and entry["status"] not in VERDICTS:
            problems.append(f"{path}:{name}:status is {shown(entry['status'])}; allowed are {', '.join(VERDICTS)}.")
    return found


def _by_control(value: typing.Any, path: str, problems: list[str], names: Sequence[str]) -> Entries:
    if not isinstance(value, dict):
        problems.append(f"{path} must be a mapping of controls, not {shown(value)}.")
        return {}
    for name in value:
        if name not in NAMES:
            near = difflib.get_close_matches(str(name), NAMES, 1)
            hint = f"; did you mean {near[0]}?" if near else ", such as CIS Debian 12 6.2.2.3."
            problems.append(f"{path}:{name} is no control: name its framework with the edition, and its number{hint}")
    return {str(name): _entry(entry, f"{path}:{name}", problems, names) for name, entry in value.items()}


def _entry(entry: typing.Any, path: str, problems: list[str], names: Sequence[str]) -> dict[str, typing.Any]:
    if not isinstance(entry, dict):
        problems.append(f"{path} must be a mapping with {', '.join(names)}, not {shown(entry)}.")
        return {}
    problems += [f"{path}:{name} is unknown; allowed are {', '.join(names)}." for name in entry if name not in names]
    problems += [f"{path}:{name} is missing." for name in names if name not in entry]
    for name in ("reason", "by"):
        if name in entry and not (isinstance(entry[name], str) and entry[name].strip()):
            problems.append(f"{path}:{name} must be text, not {shown(entry[name])}.")
    told = {name: entry[name] for name in names if name in entry}
    return {**told, "until": _day(told["until"], f"{path}:until", problems)} if "until" in told else told


def _day(value: typing.Any, path: str, problems: list[str]) -> str:
    # YAML makes a date of what looks like one.
    said = value.isoformat()[:10] if isinstance(value, datetime.date) else value
    try:
        return datetime.date.fromisoformat(said).isoformat()
    except (TypeError, ValueError):
        problems.append(f"{path} must be a day such as 2027-03-31, not {shown(value)}.")
        return str(said)
