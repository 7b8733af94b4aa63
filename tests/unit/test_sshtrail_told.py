"""
sshtrail_told: when a claim is a new one, what a silence is, and that broken memory is no memory.
"""

import json

import pytest
import sshtrail_event
import sshtrail_told
from sshtrail_drift import entry

LOOSE = [entry("effective", "LogLevel", "VERBOSE", "ERROR")]
OTHER = [entry("effective", "LogLevel", "VERBOSE", "QUIET")]
NAME, OTHER_NAME = (sshtrail_event.digest(differences) for differences in (LOOSE, OTHER))
CLAIM = sshtrail_event.Claim(NAME, 4, 100.0)
NONE = sshtrail_told.Told(None, 4)
TOLD = sshtrail_told.Told(CLAIM, 4)

# What was told, what differs, when nothing did for the last time; the claim that should stand at 200.
STEPS = {
    "nothing differs, nothing was told": (NONE, [], 200, None),
    "drift begins": (NONE, LOOSE, 50, sshtrail_event.Claim(NAME, 5, 200)),
    "drift begins on a host never looked at": (sshtrail_told.Told(), LOOSE, 0, sshtrail_event.Claim(NAME, 1, 200)),
    "it goes on": (TOLD, LOOSE, 50, CLAIM),
    "it changes": (TOLD, OTHER, 50, sshtrail_event.Claim(OTHER_NAME, 4, 200)),
    "it ends": (TOLD, [], 200, None),
    "it was repaired and came back between two looks": (TOLD, LOOSE, 150, sshtrail_event.Claim(NAME, 5, 200)),
}


@pytest.mark.parametrize("told,differences,clean,expected", STEPS.values(), ids=STEPS)
def test_the_claim_that_should_stand(told, differences, clean, expected):
    assert sshtrail_told.next_claim(told, differences, clean, 200) == expected


@pytest.mark.parametrize("told", [sshtrail_told.Told(), NONE, TOLD, TOLD._replace(until=7.5, reason="change 4711")])
def test_what_was_told_is_kept(told):
    assert sshtrail_told.told(json.loads(json.dumps(sshtrail_told.stored(told)))) == told


@pytest.mark.parametrize("value", [None, [], {}, {"rounds": "1", "until": 0, "reason": ""}, {"rounds": 1, "until": 0}])
def test_broken_memory_is_none(value):
    assert sshtrail_told.told(value) == sshtrail_told.Told()


def test_a_silence_ends_by_itself():
    told = sshtrail_told.silence(TOLD, 60, "change 4711", 1000)
    assert (told.claim, told.until, told.rounds) == (None, 4600, 4)
    assert sshtrail_told.silent(told, 4599) and not sshtrail_told.over(told, 4599)
    assert sshtrail_told.over(told, 4600) and not sshtrail_told.silent(told, 4600)
    assert not sshtrail_told.over(NONE, 4600) and not sshtrail_told.silent(NONE, 4600)


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
    with pytest.raises(sshtrail_told.SilenceError, match=".") as caught:
        sshtrail_told.silence(NONE, minutes, reason, 0)
    assert expected in str(caught.value)
