"""
Events of sessions against the published schemas: OCSF's as JSON Schema, ECS's names and types.
"""

import ipaddress
import json
import pathlib
import re

import pytest
from sshtrail_lib.base import text
from sshtrail_lib.trail import export
from sshtrail_lib.trail.session import Certificate, Key, Session, told

SCHEMA = json.loads(
    (pathlib.Path(__file__).resolve().parents[2] / "data" / "ocsf" / "authentication-1.3.0.json").read_text()
)
TYPES = {"integer": int, "string": str, "boolean": bool, "object": dict, "array": list, "number": (int, float)}
KEY = Key("ED25519-CERT", "SHA256:" + "a" * 43, "/etc/ssh/ca.pub", 1)
SESSIONS = {
    "with all that can be": Session(
        "5@20261125T232000Z",
        "web1",
        "ana",
        1001,
        "Ana",
        "10.0.0.9",
        1000,
        "publickey",
        KEY,
        Certificate("ana@x", "7", "SHA256:" + "c" * 43),
        1795648800.123,
        1795648900.5,
        "closed",
        "pts/0",
    ),
    "of which nothing is known": Session("5@20261125T232000Z", ""),
    "without an end": Session("5@1", "web1", "ana", 1001, address="2001:db8::1", started=1795648800.0),
    "from no address": Session("5@1", "web1", "ana", 1001, address="UNKNOWN", port=65535, started=1795648800.0),
    "from an interface": Session("5@1", "web1", "ana", 1001, address="fe80::1%eth0", started=1795648800.0),
}


def wrong(value, schema, path=""):
    """Yield what a value has that its JSON Schema does not allow, as far as OCSF's schemas go (str)."""
    if "$ref" in schema:
        name = schema["$ref"].rpartition("/")[2]
        assert name in SCHEMA["$defs"], f"{path}: the schema of {name} is not at hand"
        schema = SCHEMA["$defs"][name]
    kind = schema.get("type")
    if kind and (not isinstance(value, TYPES[kind]) or (kind == "integer" and isinstance(value, bool))):
        yield f"{path}: {value!r} is no {kind}"
    elif "enum" in schema and value not in schema["enum"]:
        yield f"{path}: {value!r} is not allowed"
    elif "pattern" in schema and not re.search(schema["pattern"], value):
        yield f"{path}: {value!r} is not like {schema['pattern']}"
    elif isinstance(value, dict):
        yield from _wrong_object(value, schema, path)
    elif isinstance(value, list):
        for one in value:
            yield from wrong(one, schema.get("items", {}), path)


def _wrong_object(value, schema, path):
    yield from (f"{path}: {name} is missing" for name in schema.get("required", ()) if name not in value)
    if "anyOf" in schema and not any(set(one["required"]) <= set(value) for one in schema["anyOf"]):
        yield f"{path}: none of {schema['anyOf']}"
    known = schema.get("properties", {})
    for name, one in value.items():
        if name in known:
            yield from wrong(one, known[name], f"{path}.{name}")
        elif schema.get("additionalProperties") is False:
            yield f"{path}: {name} is unknown"


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_events_of_ocsf_are_valid(session):
    event = json.loads(export.ocsf([told(session)]))
    assert list(wrong(event, SCHEMA)) == []
    assert list(wrong({**event, "time": "now", "odd": 1, "activity_id": 77}, SCHEMA)) != []


# Elastic Common Schema 8.11, its field reference: which fields an event of a login has, and of what type these are.
ECS = {
    **dict.fromkeys(("ecs.version", "event.kind", "event.action", "event.outcome", "event.module"), str),
    **dict.fromkeys(("event.dataset", "event.id", "event.start", "event.end", "@timestamp"), str),
    **dict.fromkeys(("host.hostname", "user.name", "user.id", "user.full_name", "source.address", "source.ip"), str),
    **dict.fromkeys(("network.protocol", "network.transport", "network.application"), str),
    **dict.fromkeys(("event.category", "event.type", "related.user", "related.ip", "related.hosts"), list),
    **dict.fromkeys(("event.duration", "source.port"), int),
}


def fields(event, path=""):
    for name, value in event.items():
        if isinstance(value, dict) and name != "labels":
            assert value, f"{path}{name} is empty"
            yield from fields(value, f"{path}{name}.")
        else:
            yield path + name, value


@pytest.mark.parametrize("session", SESSIONS.values(), ids=SESSIONS)
def test_events_of_ecs_have_its_fields(session):
    found = dict(fields(json.loads(export.ecs([told(session)]))))
    labels = found.pop("labels")
    assert all(isinstance(value, str) for value in labels.values())
    assert {name: ECS[name] for name in found} == {name: type(value) for name, value in found.items()}
    if "source.ip" in found:
        assert str(ipaddress.ip_address(found["source.ip"])) == found["source.ip"]


@pytest.mark.parametrize(
    ("times", "when"),
    [
        ({"started": 1795648800.123, "ended": 1795648900.5}, "2026-11-25T23:20:00.123Z"),
        ({"ended": 1795648900.5}, "2026-11-25T23:21:40.500Z"),
        ({}, "2026-11-25T23:20:00.000Z"),
    ],
)
def test_an_event_has_a_time_whatever_is_known(times, when):
    one = told(Session("5@20261125T232000Z.77", "web1", "ana", **times))
    assert json.loads(export.ecs([one]))["@timestamp"] == when
    assert json.loads(export.ocsf([one]))["time"] == int(text.seconds(when) * 1000)
