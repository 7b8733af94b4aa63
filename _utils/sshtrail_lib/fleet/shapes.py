"""
What hosts may answer: the parts that a session, the row of a control and an overview must have, and of which kind.

Whoever reads an answer on the master asks here first, and takes what comes out: nothing of it is missing, of another
kind, or more than text to a terminal, and all of it is what JSON can hold.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping

from sshtrail_lib.base import text
from sshtrail_lib.compliance.finding import STATUSES

#: A kind (type), one of several (tuple), one of these texts (frozenset), a list (of one shape), or a mapping with these
#: keys, and perhaps more; under the key ``str`` stands the shape of every other value.
Shape = typing.Any
NONE = type(None)
TEXT: Shape = (str, NONE)
NUMBER: Shape = (int, float, NONE)

_COMMAND = {
    **{"time": str, "argv": [str], "cwd": TEXT, "exe": TEXT, "uid": (int, NONE), "euid": (int, NONE)},
    "success": (bool, NONE),
}
_BECAME = {"time": str, "via": str, "from": TEXT, "to": TEXT, "command": TEXT, "result": TEXT}
_CERTIFICATE = {"id": str, "serial": str, "ca": TEXT}
SESSION: Shape = {
    **{"id": str, "state": str, "proof": dict, "channels": list, "became": [_BECAME], "survived": [_COMMAND]},
    **dict.fromkeys(("host", "user", "person", "method", "started", "ended", "tty"), TEXT),
    **{"from": {"address": TEXT, "port": (int, NONE)}, "key": (NONE, {"type": str, "fingerprint": str})},
    **{"certificate": (NONE, _CERTIFICATE), "auid": (int, NONE), "seconds": NUMBER, "unknown": {str: str}},
    **{"commands": (int, NONE, [_COMMAND]), "files": [{"time": str, "what": str, "path": str, "keys": [str]}]},
}
_EXCEPTION = {"reason": TEXT, "by": TEXT, "until": TEXT, "expired": bool}
ROW: Shape = {
    **dict.fromkeys(("control", "framework", "version", "id", "level", "title", "evidence", "layer", "remedy"), str),
    **{"checks": [str], "status": frozenset(STATUSES), "since": TEXT, "by": TEXT, "exception": (NONE, _EXCEPTION)},
}
#: A part of an overview that its host could not tell.
_UNTOLD = {"error": TEXT}
_HISTORY = {
    **{"from": TEXT, "looks": (int, NONE), "gaps": list, "proofs": [{"holds": (bool, NONE)}]},
    "spans": [{"seconds": NUMBER}],
}
#: What an overview shows of a session: its own, shorter form.
_SHOWN = {
    **{"started": TEXT, "from": (NONE, dict), "key": (NONE, dict), "certificate": (NONE, dict), "unknown": {str: str}},
    "became": [dict],
}
OVERVIEW: Mapping[str, Shape] = {
    **{"drift": [dict], "coverage": [dict], "compliance": [ROW], "history": _HISTORY, "sessions": [_SHOWN]},
    **{"failures": [dict], "log": {"oldest": TEXT}},
}
#: Rows that a host tells at most: of a question of their own, and of each part of an overview. Who tells more would
#: leave no place for others.
MOST = 5000
PARTS: Mapping[str, int] = {
    **{"drift": 200, "coverage": 200, "compliance": MOST, "history": 200, "sessions": 200, "failures": 100, "log": 0}
}
#: Numbers beside the parts of an overview, and of its sessions.
COUNTS = ("more_sessions", "more_commands")


def fits(value: typing.Any, shape: Shape) -> bool:
    """Return whether ``value`` (anything) is of a :data:`Shape` (bool); True is no number."""
    if isinstance(shape, tuple):
        return any(fits(value, one) for one in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(one, shape[0]) for one in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and _holds(value, shape)
    if isinstance(shape, frozenset):
        return isinstance(value, str) and value in shape
    return type(value) is shape


def _holds(value: dict[str, typing.Any], shape: Shape) -> bool:
    named = all(name in value and fits(value[name], one) for name, one in shape.items() if name is not str)
    others = [one for name, one in value.items() if name not in shape] if str in shape else []
    return named and all(fits(one, shape[str]) for one in others)


def several(value: typing.Any, shape: Shape) -> list[dict[str, typing.Any]] | None:
    """Return an answer that is a list of things of a :data:`Shape`, made harmless; None where it is none."""
    value = text.plain(value)
    return value if fits(value, [shape]) and len(value) <= MOST else None


def overview(value: typing.Any) -> dict[str, typing.Any] | None:
    """
    Return a host's overview (dict), made harmless; None where the answer (anything) is none.

    A part that makes no sense says so, in the place of what it would tell: the others are shown.
    """
    told = text.plain(value)
    if not isinstance(told, dict) or "coverage" not in told:
        return None
    parts = {name: _part(told[name], shape, PARTS[name]) for name, shape in OVERVIEW.items() if name in told}
    return {**_counted(told), **parts}


def _part(value: typing.Any, shape: Shape, most: int) -> typing.Any:
    if fits(value, _UNTOLD) and value["error"]:
        return {"error": value["error"]}
    if not fits(value, shape) or _rows(value) > most:
        return {"error": "its answer makes no sense"}
    return [_counted(one) for one in value] if isinstance(value, list) else value


def _rows(part: typing.Any) -> int:
    lists = [part] if isinstance(part, list) else [one for one in part.values() if isinstance(one, list)]
    return max(map(len, lists), default=0)


def _counted(told: dict[str, typing.Any]) -> dict[str, typing.Any]:
    return {name: one for name, one in told.items() if name not in COUNTS or is_count(one)}


def is_count(value: typing.Any) -> bool:
    """Return whether ``value`` (anything) is a number of things (bool)."""
    return type(value) is int and 0 <= value < 2**31
