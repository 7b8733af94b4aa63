"""
drift.event: what is told of a drift stays small.
"""

import json

from hypothesis import given
from hypothesis import strategies as st
from sshtrail_lib.drift import event
from sshtrail_lib.drift.claim import Claim

LOOK = {"environment": "prod", "digest": "0123456789ab", "drift": {"interval": 10, "splay": 2, "action": "repair"}}
CLAIM = Claim("ab12cd34ef56", 3, 1790000000.5)
ENTRY = {"layer": "effective", "what": "LogLevel", "expected": "VERBOSE", "actual": "ERROR", "since": None, "by": None}


def found(*entries):
    return event.found({**LOOK, "differences": list(entries)}, CLAIM)


def test_a_drift_is_told():
    body = found({**ENTRY, "since": "2026-01-02T00:00:00Z"}, {**ENTRY, "since": "2026-01-01T00:00:00Z"})
    assert body["version"] == 1 and body["digest"] == "ab12cd34ef56" and body["round"] == 3
    assert (body["environment"], body["policy"], body["action"]) == ("prod", "0123456789ab", "repair")
    assert body["count"] == 2 and body["since"] == "2026-01-01T00:00:00Z"
    assert body["differences"][0]["actual"] == "ERROR"


def test_an_event_says_how_many_differences_it_leaves_out():
    body = found(*[ENTRY] * 300)
    assert body["count"] == 300 and len(body["differences"]) == event.MOST_DIFFERENCES


@given(st.lists(st.text(max_size=3000), max_size=40))
def test_no_event_is_larger_than_the_bound(values):
    body = found(*({**ENTRY, "what": value, "actual": [value] * 9, "expected": {value: value}} for value in values))
    assert len(json.dumps(body)) <= event.LARGEST
    assert body["count"] == len(values)


def test_what_the_master_tells_is_one_line_and_bounded():
    body = event.outcome("prod-1", CLAIM, 2, 1.23456, "no\nspace" + "x" * 5000)
    assert (body["id"], body["attempt"], body["seconds"]) == ("prod-1", 2, 1.235)
    assert body["reason"].startswith("no\\nspace") and len(body["reason"]) <= 1000


SESSION = {
    **{"id": "7@20261125T211500Z", "host": "web1", "user": "root", "auid": 0, "person": None, "method": "publickey"},
    **{"from": {"address": "192.0.2.9", "port": 4}, "key": {"type": "RSA", "fingerprint": "x"}, "certificate": None},
    **{"started": "T", "ended": None, "seconds": None, "state": "open", "tty": "pts/0", "commands": 7},
    **{"channels": [{"id": 0, "kind": "shell", "what": None}], "became": [], "unknown": {"ended": "it lasts"}},
    **{"files": [{"path": "/etc/shadow"}], "survived": [], "proof": {"session": ["audit(1.0:7)"]}, "pid": 9},
}


def test_a_session_is_told():
    body = event.session(SESSION, ["root logged in directly"])
    assert set(body) == {"version", "reasons", "commands", *event.SESSION}
    assert body["commands"] is None and body["reasons"] == ["root logged in directly"]
    assert event.session(SESSION, [], over=True)["commands"] == 7
    assert event.session({**SESSION, "commands": [{"argv": ["id"]}] * 3}, [], over=True)["commands"] == 3
    assert {name: body[name] for name in event.SESSION} == {name: SESSION[name] for name in event.SESSION}


WORDS = st.text(max_size=400)


@given(st.lists(st.fixed_dictionaries({"what": WORDS}), max_size=40), st.dictionaries(WORDS, WORDS, max_size=40), WORDS)
def test_what_a_session_tells_stays_small_and_printable(parts, unknown, word):
    body = event.session({**SESSION, "channels": parts, "became": parts, "unknown": unknown, "user": word}, [word] * 6)
    assert len(json.dumps(body)) <= event.LARGEST
    assert len(body["channels"]) <= event.MOST_PARTS
    assert body["user"].isprintable() and all(one["what"].isprintable() for one in body["channels"])
