"""
drift.turns: a change that is made again and again is told, and what it needs is remembered and no more.
"""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sshtrail_lib.drift import turns

CHANGE = {"LogLevel": {"old": "INFO", "new": "VERBOSE"}}


def told(*moments, changes=CHANGE, about="/etc/ssh/sshd_config"):
    memory, said = {}, []
    for now in moments:
        memory, said = turns.noted(turns.parse(json.loads(json.dumps(memory))), about, changes, now)
    return said


@pytest.mark.parametrize(
    ("moments", "often"),
    [
        ([0], False),
        ([0, 60], False),
        ([0, 60, 120], True),
        ([0, 86400, 86460], False),
        ([0, 3600, 86399], True),
        # A clock that was set back.
        ([9000, 60, 120], False),
    ],
)
def test_the_third_time_within_a_day_is_told(moments, often):
    assert bool(told(*moments)) is often


def test_what_is_told():
    [said] = told(0, 60, 120)
    assert said.startswith(
        "LogLevel has been changed 3 times within 2 min, and becomes INFO again each time: two writers"
    )
    [said] = told(0, 1, 2, changes={"kernel": {"old": ["-w /a"], "new": []}})
    assert "kernel has been changed 3 times within 2 s, and is changed back each time" in said
    [said] = told(0, 1, 2, changes={"x\n\x1b": "restarted"})
    assert "\n" not in said and "\x1b" not in said


def test_another_change_is_another_one():
    memory, _ = turns.noted({}, "a", CHANGE, 0)
    memory, _ = turns.noted(memory, "b", CHANGE, 1)
    memory, said = turns.noted(memory, "a", {"LogLevel": {"old": "QUIET", "new": "VERBOSE"}}, 2)
    assert said == [] and len(memory) == 3


def test_no_more_is_remembered_than_needed():
    memory = {}
    for number in range(300):
        memory, _ = turns.noted(memory, "a", {str(number): {"old": 1, "new": 2}}, number)
    assert len(memory) == turns.MOST
    for number in range(50):
        memory, _ = turns.noted(memory, "a", CHANGE, 300 + number)
    assert max(map(len, memory.values())) == 2 * turns.OFTEN


anything = st.recursive(
    st.none() | st.integers() | st.text(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)
)


@given(anything)
def test_a_broken_memory_is_none(value):
    memory, _ = turns.noted(turns.parse(value), "a", CHANGE, 5)
    assert memory
