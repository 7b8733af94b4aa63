"""
drift.event: what is told of a drift stays small, and of what arrives only a claim of the right form is believed.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sshtrail_lib.drift import event

LOOK = {"environment": "prod", "policy": "0123456789ab", "drift": {"interval": 10, "splay": 2, "action": "repair"}}
CLAIM = event.Claim("ab12cd34ef56", 3, 1790000000.5)
ENTRY = {"layer": "effective", "what": "LogLevel", "expected": "VERBOSE", "actual": "ERROR", "since": None, "by": None}
NO_CLAIM = {
    "nothing": None,
    "text": "{{ salt['cmd.run']('id') }}",
    "a list": [1, "ab12cd34ef56"],
    "another version": {"version": 2, "digest": "ab12cd34ef56", "round": 1, "time": 1},
    "a version that only equals": {"version": "1", "digest": "ab12cd34ef56", "round": 1, "time": 1},
    "a digest that is a template": {"version": 1, "digest": "{{ 7 * 7 }}", "round": 1, "time": 1},
    "a digest and a line feed": {"version": 1, "digest": "ab12cd34ef56\n", "round": 1, "time": 1},
    "a long digest": {"version": 1, "digest": "a" * 13, "round": 1, "time": 1},
    "a round that is text": {"version": 1, "digest": "ab12cd34ef56", "round": "1", "time": 1},
    "a round that is true": {"version": 1, "digest": "ab12cd34ef56", "round": True, "time": 1},
    "a negative round": {"version": 1, "digest": "ab12cd34ef56", "round": -1, "time": 1},
    "a round without end": {"version": 1, "digest": "ab12cd34ef56", "round": 10**40, "time": 1},
    "no time": {"version": 1, "digest": "ab12cd34ef56", "round": 1},
    "a time that is no number": {"version": 1, "digest": "ab12cd34ef56", "round": 1, "time": float("nan")},
    "a time without end": {"version": 1, "digest": "ab12cd34ef56", "round": 1, "time": float("inf")},
}
anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
)


def found(*entries):
    return event.found({**LOOK, "differences": list(entries)}, CLAIM)


def test_a_claim_goes_to_the_mine_and_comes_back():
    assert event.claim(json.loads(json.dumps(event.claimed(CLAIM)))) == CLAIM


@pytest.mark.parametrize("value", NO_CLAIM.values(), ids=NO_CLAIM)
def test_what_is_no_claim_is_none(value):
    assert event.claim(value) is None


@given(anything)
def test_no_value_of_a_minion_raises(value):
    assert event.claim(value) is None


@given(st.dictionaries(st.sampled_from(["version", "digest", "round", "time"]), anything | st.just(1)))
def test_no_mapping_with_the_right_keys_raises(value):
    assert event.claim(value) is None


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


def test_a_digest_names_what_differs_and_nothing_else():
    other = {**ENTRY, "what": "SyslogFacility"}
    assert event.digest([ENTRY, other]) == event.digest([other, {**ENTRY, "since": "now", "by": {}}])
    for key, value in (("layer", "file"), ("what", "X"), ("expected", "INFO"), ("actual", None)):
        assert event.digest([{**ENTRY, key: value}]) != event.digest([ENTRY])


def test_what_the_master_tells_is_one_line_and_bounded():
    body = event.outcome("prod-1", CLAIM, 2, 1.23456, "no\nspace" + "x" * 5000)
    assert (body["id"], body["attempt"], body["seconds"]) == ("prod-1", 2, 1.235)
    assert body["reason"].startswith("no\\nspace") and len(body["reason"]) <= 1000
