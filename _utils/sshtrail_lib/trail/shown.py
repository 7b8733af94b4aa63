"""
Sessions for people: a table of many, and one from its beginning to its end.
"""

from __future__ import annotations

import shlex
import typing
from collections.abc import Iterator, Mapping, Sequence

from sshtrail_lib.base import text

Told = Mapping[str, typing.Any]
COLUMNS = ("host", "session", "person", "user", "from", "key", "started", "lasted", "state", "commands")
#: Characters of a cell, and of a command of the transcript.
WIDE, LONG = 40, 2000


def table(sessions: Sequence[Told]) -> str:
    """Return sessions (sequence of dict, as ``sshtrail_trail.sessions`` has them) as a table (str)."""
    if not sessions:
        return "No session."
    rows = [list(COLUMNS), *([_cell(value) for value in _row(one)] for one in sessions)]
    widths = [max(len(row[at]) for row in rows) for at in range(len(COLUMNS))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def _row(one: Told) -> Iterator[typing.Any]:
    yield from (one["host"], one["id"].partition("@")[0], one["person"] or "?", one["user"])
    yield one["from"]["address"]
    yield _credential(one)
    yield (one["started"] or "?")[:19].replace("T", " ")
    yield "" if one["seconds"] is None else text.span(one["seconds"])
    yield one["state"]
    commands = one["commands"]
    yield len(commands) if isinstance(commands, list) else commands


def _credential(one: Told) -> str:
    if one["certificate"]:
        return f"certificate {one['certificate']['id']}"
    return one["key"]["fingerprint"][:20] + "…" if one["key"] else (one["method"] or "?")


def _cell(value: typing.Any) -> str:
    return text.line("?" if value is None else str(value), WIDE)


def transcript(one: Told) -> str:
    """
    Return all that is known of a session (dict with its commands) in the order of time (str): when, as whom, what, and
    with which result.
    """
    head = [
        f"Session {text.line(one['id'])} on {text.line(one['host'] or 'this host')}: {_who(one)}",
        f"  from {_cell(one['from']['address'])} port {_cell(one['from']['port'])}, by {_how(one)}",
        f"  {_cell(one['started'])} to {text.line(one['ended'] or '…')}, {_cell(one['state'])}",
    ]
    told = [f"  not known: {text.line(name)}: {text.line(why)}" for name, why in sorted(one["unknown"].items())]
    return "\n".join(
        [*head, *told, "", *(f"{text.line(when)}  {what}" for when, what in sorted(_events(one), key=lambda e: e[0]))]
    )


def _who(one: Told) -> str:
    person = text.line(one["person"]) if one["person"] else "nobody knows who"
    return f"{person}, as {_cell(one['user'])} (auid {_cell(one['auid'])})"


def _how(one: Told) -> str:
    said = [text.line(one["method"] or "a way that is not known")]
    if one["key"]:
        said.append(f"key {text.line(one['key']['type'])} {text.line(one['key']['fingerprint'])}")
    if one["certificate"]:
        said.append(
            f"certificate {text.line(one['certificate']['id'])} (serial {text.line(one['certificate']['serial'])})"
        )
    return ", ".join(said)


def _events(one: Told) -> Iterator[tuple[str, str]]:
    yield one["started"] or "", "logged in"
    for command in one["commands"] if isinstance(one["commands"], Sequence) else ():
        yield command["time"], _command(command)
    for change in one["became"]:
        yield change["time"], _became(change)
    for file in one["files"]:
        yield file["time"], f"{text.line(file['what'])}: {text.line(file['path'], LONG)} [{_keys(file)}]"
    for command in one["survived"]:
        yield command["time"], f"after the end: {_command(command)}"
    if one["ended"]:
        yield one["ended"], f"ended: {_cell(one['state'])}"


def _keys(file: Told) -> str:
    return text.line(", ".join(file["keys"]))


def _command(command: Told) -> str:
    said = shlex.join(command["argv"]) if command["argv"] else command["exe"] or "?"
    uid, euid = command["uid"], command["euid"]
    whom = f"uid {uid}" if uid == euid else f"uid {uid}, euid {euid}"
    place = f" in {text.line(command['cwd'])}" if command["cwd"] else ""
    return f"{whom}{place}: {text.line(said, LONG)}{'' if command['success'] else ' (failed)'}"


def _became(change: Told) -> str:
    command = f": {text.line(change['command'], LONG)}" if change["command"] else ""
    whom = f"from {_cell(change['from'])} to {_cell(change['to'])}"
    return f"{text.line(change['via'])} {whom}, {_cell(change['result'])}{command}"
