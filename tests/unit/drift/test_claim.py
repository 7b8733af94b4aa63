"""
drift.claim: when a claim is a new one, what a silence is, that broken memory is no memory, and that of what arrives
only a claim of the right form is believed.
"""

import json

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sshtrail_lib.drift import claim
from sshtrail_lib.drift.difference import entry

LOOSE = [entry("effective", "LogLevel", "VERBOSE", "ERROR")]
OTHER = [entry("effective", "LogLevel", "VERBOSE", "QUIET")]
NAME, OTHER_NAME = (claim.name_of(differences) for differences in (LOOSE, OTHER))
CLAIM = claim.Claim(NAME, 4, 100.0)
NONE = claim.Told(None, 4)
TOLD = claim.Told(CLAIM, 4)

# What was told, what differs, when nothing did for the last time; the claim that should stand at 200.
STEPS = {
    "nothing differs, nothing was told": (NONE, [], 200, None),
    "drift begins": (NONE, LOOSE, 50, claim.Claim(NAME, 5, 200)),
    "drift begins on a host never looked at": (claim.Told(), LOOSE, 0, claim.Claim(NAME, 1, 200)),
    "it goes on": (TOLD, LOOSE, 50, CLAIM),
    "it changes": (TOLD, OTHER, 50, claim.Claim(OTHER_NAME, 4, 200)),
    "it ends": (TOLD, [], 200, None),
    "it was repaired and came back between two looks": (TOLD, LOOSE, 150, claim.Claim(NAME, 5, 200)),
}


@pytest.mark.parametrize("told,differences,clean,expected", STEPS.values(), ids=STEPS)
def test_the_claim_that_should_stand(told, differences, clean, expected):
    assert claim.next_claim(told, differences, clean, 200) == expected


@pytest.mark.parametrize("told", [claim.Told(), NONE, TOLD, TOLD._replace(until=7.5, reason="change 4711")])
def test_what_was_told_is_kept(told):
    assert claim.told(json.loads(json.dumps(claim.stored(told)))) == told


@pytest.mark.parametrize("value", [None, [], {}, {"rounds": "1", "until": 0, "reason": ""}, {"rounds": 1, "until": 0}])
def test_broken_memory_is_none(value):
    assert claim.told(value) == claim.Told()


def test_a_silence_ends_by_itself():
    told = claim.silence(TOLD, 60, "change 4711", 1000)
    assert (told.claim, told.until, told.rounds) == (None, 4600, 4)
    assert claim.silent(told, 4599) and not claim.over(told, 4599)
    assert claim.over(told, 4600) and not claim.silent(told, 4600)
    assert not claim.over(NONE, 4600) and not claim.silent(NONE, 4600)


@pytest.mark.parametrize("ahead", [86400, 10 * 365 * 86400])
def test_a_silence_that_a_wrong_clock_made_too_long_is_over(ahead):
    told = claim.silence(TOLD, 60, "change 4711", 1000 + ahead)
    assert claim.over(told, 1000) and not claim.silent(told, 1000)


WRONG = [
    (0, "x", "minutes is 0; allowed is a number from 1 to 1440."),
    (1441, "x", "minutes is 1441; "),
    ("60", "x", "minutes is '60'; "),
    (True, "x", "minutes is True; "),
    (60, "", "reason is ''; it must be one line of text"),
    (60, "  ", "reason is '  '; "),
    (60, "a\nb", "reason is 'a\\nb'; "),
    (60, "x" * 201, "it must be one line of text, of at most 200 characters."),
    (60, None, "reason is None; "),
]


@pytest.mark.parametrize("minutes,reason,expected", WRONG)
def test_what_is_no_silence_is_named(minutes, reason, expected):
    with pytest.raises(claim.SilenceError, match=".") as caught:
        claim.silence(NONE, minutes, reason, 0)
    assert expected in str(caught.value)


# --- What arrives from a minion ----------------------------------------------------------------------------------

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


def test_a_claim_goes_to_the_mine_and_comes_back():
    assert claim.parse(json.loads(json.dumps(claim.claimed(CLAIM)))) == CLAIM


@pytest.mark.parametrize("value", NO_CLAIM.values(), ids=NO_CLAIM)
def test_what_is_no_claim_is_none(value):
    assert claim.parse(value) is None


@pytest.mark.parametrize(
    ("told", "known"),
    [("0.1.0+ab12cd34ef56", "0.1.0+ab12cd34ef56"), (None, ""), (7, ""), ("{{ 7 }}", ""), ("1\n", ""), ("1" * 61, "")],
)
def test_the_version_that_a_host_tells(told, known):
    assert claim.parse({**claim.claimed(CLAIM), "release": told}) == CLAIM._replace(release=known)
    old = {key: value for key, value in claim.claimed(CLAIM).items() if key != "release"}
    assert claim.parse(old).release == ""


def test_after_an_update_a_claim_is_told_once_more():
    told = TOLD._replace(claim=CLAIM._replace(release="0.0.9+000000000000"))
    assert claim.next_claim(told, LOOSE, 50, 200) == CLAIM


# To generate is slow on a crowded machine.
@settings(suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(anything)
def test_no_value_of_a_minion_raises(value):
    assert claim.parse(value) is None


@given(st.dictionaries(st.sampled_from(["version", "digest", "round", "time"]), anything | st.just(1)))
def test_no_mapping_with_the_right_keys_raises(value):
    assert claim.parse(value) is None


def test_a_name_tells_what_differs_and_nothing_else():
    other = {**LOOSE[0], "what": "SyslogFacility"}
    assert claim.name_of([LOOSE[0], other]) == claim.name_of([other, {**LOOSE[0], "since": "now", "by": {}}])
    for key, value in (("layer", "file"), ("what", "X"), ("expected", "INFO"), ("actual", None)):
        assert claim.name_of([{**LOOSE[0], key: value}]) != claim.name_of([LOOSE[0]])
