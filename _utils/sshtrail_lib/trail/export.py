"""
Sessions for other programs: CSV, JSON lines, and the events of ECS and OCSF.

Sources: Elastic Common Schema 8.11 (field reference), Open Cybersecurity Schema Framework 1.3.0 (class 3002,
Authentication).
"""

from __future__ import annotations

import csv
import io
import json
import re
import typing
from collections.abc import Callable, Iterable, Mapping

from sshtrail_lib.base import text
from sshtrail_lib.trail.session import addresses

Told = Mapping[str, typing.Any]
#: Characters of a cell.
LONGEST = 2000
ECS, OCSF = "8.11.0", "1.3.0"
COLUMNS = (
    *("host", "id", "person", "user", "auid", "address", "port", "method", "key", "certificate", "started", "ended"),
    *("seconds", "state", "tty", "commands", "unknown"),
)
#: What is the same of each successful login, as OCSF has it.
LOGON = {
    **{"category_uid": 3, "category_name": "Identity & Access Management", "class_uid": 3002},
    **{"class_name": "Authentication", "activity_id": 1, "activity_name": "Logon", "type_uid": 300201},
    **{"type_name": "Authentication: Logon", "severity_id": 1, "severity": "Informational"},
    **{"status_id": 1, "status": "Success", "auth_protocol_id": 99, "auth_protocol": "SSH"},
    **{"logon_type_id": 99, "is_remote": True},
}
METADATA = {"version": OCSF, "product": {"name": "saltext-sshtrail", "vendor_name": "saltext-sshtrail"}}
#: The time in a session's id.
STAMP = re.compile(r"@([0-9]{4})([0-9]{2})([0-9]{2})T([0-9]{2})([0-9]{2})([0-9]{2})Z")


def as_csv(sessions: Iterable[Told]) -> str:
    """Return sessions (iterable of dict, as ``sshtrail_trail.sessions`` has them) as CSV with a header (str)."""
    written = io.StringIO()
    writer = csv.writer(written, lineterminator="\n")
    writer.writerow(COLUMNS)
    for one in sessions:
        writer.writerow([text.cell(value, LONGEST) if isinstance(value, str) else value for value in _row(one)])
    return written.getvalue()


def _row(one: Told) -> Iterable[typing.Any]:
    key, certificate, commands = one["key"] or {}, one["certificate"] or {}, one["commands"]
    # Of where somebody came from nothing else, which could stand for another column.
    source = {name: one["from"][name] for name in ("address", "port")}
    plain = {**one, **source, "key": key.get("fingerprint"), "certificate": certificate.get("id")}
    plain["commands"] = len(commands) if isinstance(commands, list) else commands
    plain["unknown"] = "; ".join(f"{name}: {why}" for name, why in one["unknown"].items())
    return (plain[name] for name in COLUMNS)


def jsonl(sessions: Iterable[Told]) -> str:
    """Return sessions (iterable of dict) as JSON, one object a line (str)."""
    return "".join(json.dumps(one) + "\n" for one in sessions)


def ecs(sessions: Iterable[Told]) -> str:
    """Return the logins of sessions (iterable of dict) as events of the Elastic Common Schema, one a line (str)."""
    return _lines(sessions, _ecs)


def ocsf(sessions: Iterable[Told]) -> str:
    """Return the logins of sessions (iterable of dict) as OCSF Authentication (3002) events, one a line (str)."""
    return _lines(sessions, _ocsf)


def _lines(sessions: Iterable[Told], made: Callable[[Told], Mapping]) -> str:
    return "".join(json.dumps(_present(made(one)), ensure_ascii=True) + "\n" for one in sessions)


def _present(value: typing.Any) -> typing.Any:
    """Leave out of an event what is not known: neither schema has an empty value."""
    if isinstance(value, dict):
        known = {name: _present(one) for name, one in value.items()}
        return {name: one for name, one in known.items() if one is not None and one != {} and one != []}
    return value


def _ecs(one: Told) -> dict[str, typing.Any]:
    key = one["key"] or {}
    return {
        "@timestamp": _when(one),
        "ecs": {"version": ECS},
        "event": {
            **{"kind": "event", "category": ["authentication", "session"], "type": ["start"]},
            **{"action": "ssh_login", "outcome": "success", "module": "sshtrail", "dataset": "sshtrail.session"},
            **{"id": f"{one['host']}/{one['id']}", "start": one["started"], "end": one["ended"]},
            "duration": None if one["seconds"] is None else int(one["seconds"] * 1_000_000_000),
        },
        "host": {"hostname": one["host"] or None},
        "user": {"name": one["user"], "id": _text(one["auid"]), "full_name": one["person"]},
        "source": {"address": one["from"]["address"], "ip": _ip(one), "port": one["from"]["port"]},
        "network": {"protocol": "ssh", "transport": "tcp", "application": "ssh"},
        "related": {
            **{"user": [name for name in (one["user"],) if name], "ip": [own for own in (_ip(one),) if own]},
            "hosts": [one["host"]] if one["host"] else None,
        },
        "labels": {
            **{"session_id": one["id"], "session_state": one["state"], "ssh_method": one["method"]},
            **{"ssh_key_fingerprint": key.get("fingerprint"), "ssh_key_type": key.get("type")},
            "ssh_certificate_id": (one["certificate"] or {}).get("id"),
        },
    }


def _ocsf(one: Told) -> dict[str, typing.Any]:
    started = text.seconds(one["started"]) if one["started"] else None
    ended = text.seconds(one["ended"]) if one["ended"] else None
    return {
        **LOGON,
        **{
            "time": _milliseconds(text.seconds(_when(one) or "")) or 0,
            "start_time": _milliseconds(started),
            "end_time": _milliseconds(ended),
        },
        "duration": None if one["seconds"] is None else int(one["seconds"] * 1000),
        "metadata": {**METADATA, "uid": f"{one['host']}/{one['id']}"},
        "logon_type": one["method"] or "unknown",
        "user": {"name": one["user"] or "unknown", "uid": _text(one["auid"]), "full_name": one["person"]},
        "src_endpoint": _source(one),
        "dst_endpoint": {"hostname": one["host"] or None, "svc_name": "sshd"},
        "session": {"uid": one["id"], "created_time": _milliseconds(started)},
        "unmapped": {"state": one["state"], "key": (one["key"] or {}).get("fingerprint")},
    }


def _when(one: Told) -> str | None:
    """Return when a session was (str), also where its beginning is not in the logs: then it is named for what is."""
    named = STAMP.search(one["id"])
    return one["started"] or one["ended"] or (named and "{}-{}-{}T{}:{}:{}.000Z".format(*named.groups()))


def _source(one: Told) -> dict[str, typing.Any]:
    address, own = one["from"]["address"], _ip(one)
    return {"ip": own, "name": None if own else address, "port": one["from"]["port"] if address else None}


def _ip(one: Told) -> str | None:
    """Return the address of a session (str) where it is one: sshd says UNKNOWN of others, and names an interface."""
    own = addresses(one["from"]["address"])
    return str(own[0]) if own else None


def _text(value: typing.Any) -> str | None:
    return None if value is None else str(value)


def _milliseconds(seconds: float | None) -> int | None:
    return None if seconds is None else int(seconds * 1000)


FORMATS: Mapping[str, Callable[[Iterable[Told]], str]] = {"csv": as_csv, "jsonl": jsonl, "ecs": ecs, "ocsf": ocsf}
