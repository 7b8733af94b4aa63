"""
fleet.rollout: in which steps a rollout goes, when it stops, and what it comes to.
"""

import pytest
from sshtrail_lib.fleet import rollout, standing

GOOD = {"environment": "prod", "digest": "abc", "drift": [], "reboot": {}, "silent": "", "error": None}
DRIFT = {"layer": "effective", "what": "LogLevel", "expected": "VERBOSE", "actual": "INFO"}

# How many minions, canary, batch, the sizes of the steps.
STAGES = [
    (0, 1, "25%", []),
    (1, 1, "25%", [1]),
    (9, 1, "25%", [1, 3, 3, 2]),
    (9, "10%", 4, [1, 4, 4]),
    (3, 5, 1, [3]),
    (4, ["m3", "m9"], 2, [1, 2, 1]),
    (4, ["m9"], 2, [2, 2]),
]


@pytest.mark.parametrize("count,canary,batch,sizes", STAGES)
def test_the_steps(count, canary, batch, sizes):
    minions = [f"m{number}" for number in range(count)]
    steps = rollout.stages(minions, canary, batch)
    assert [len(names) for _, names in steps] == sizes
    assert sorted(name for _, names in steps for name in names) == minions
    if isinstance(canary, list) and set(canary) & set(minions):
        assert steps[0] == ("canary", ["m3"])


@pytest.mark.parametrize("canary,batch", [(0, 1), (1, 0), (1, "some"), (True, 1), (1, "-5%"), ("m1", 1)])
def test_what_is_no_size_is_refused(canary, batch):
    with pytest.raises(rollout.ArgumentError, match="allowed are a number from 1 and a share such as '25%'"):
        rollout.stages(["m1"], canary, batch)


STATE = {"name": "x", "__id__": "rules", "result": True, "comment": "fine"}

# What state.apply returned, how the minion stands then, why the step failed ("" when not).
AFTER = [
    ({"a": STATE}, GOOD, ""),
    ({"a": {**STATE, "result": False, "comment": "no"}}, GOOD, "rules: no"),
    (["Rendering failed", "in line 3"], GOOD, "Rendering failed in line 3"),
    ("The function is running", GOOD, "The function is running"),
    (None, GOOD, "it gave no answer to state.apply"),
    ({"a": STATE}, {**GOOD, "drift": [DRIFT]}, "differs: effective: LogLevel is 'INFO', expected 'VERBOSE'"),
    ({"a": STATE}, {**GOOD, "full": "sshd is full at [::]:22"}, ""),
    ({"a": STATE}, None, "no answer"),
    ({"a": STATE}, {**GOOD, "digest": "old"}, "it has the policy old, and the master's pillar says abc"),
]


@pytest.mark.parametrize("states,answer,why", AFTER)
def test_why_a_step_failed(states, answer, why):
    rows = {"m": standing.row(answer)}
    found = rollout.failures(["m"], {"m": "abc"}, rows, {"m": states} if states is not None else {})
    assert found == ({"m": why} if why else {})


# --- Who is on which policy, while it goes on -------------------------------------------------------------------

DIGESTS = {"m1": "abc", "m2": "abc", "m3": "abc", "m4": "abc"}


@pytest.fixture
def progress():
    """A rollout that has begun: m1 is in its policy, m2 has another one, m3 is silent, m4 differs."""
    begun = rollout.Progress("prod", DIGESTS)
    answers = {"m1": GOOD, "m2": {**GOOD, "digest": "old"}, "m3": None, "m4": {**GOOD, "drift": [DRIFT]}}
    begun.todo = begun.begin({name: standing.row(answer) for name, answer in answers.items()})
    return begun


def test_who_is_there_or_silent_is_left_out(progress):
    assert progress.todo == ["m2", "m4"]


def test_a_rollout_that_stopped_tells_where_each_is(progress):
    progress.stepped("canary", {"m2": standing.row(GOOD)})
    summary = progress.failed("canary", {"m2": "sshd config: no", "m4": "no answer"})
    assert (summary["environment"], summary["result"]) == ("prod", False)
    assert summary["why"] == "Stopped at canary: m2: sshd config: no; m4: no answer"
    assert summary["minions"] == {
        "m1": {"step": "was there", "policy": "prod abc, in policy"},
        "m2": {"step": "canary", "policy": "prod abc, in policy"},
        "m3": {"step": "not touched", "policy": "not on prod abc: no answer"},
        "m4": {"step": "not touched", "policy": "not on prod abc: differs"},
    }


def test_a_wrong_pillar_touches_nothing():
    summary = rollout.Progress("prod", {"m1": "abc"}).refused({"m2": "sshtrail:x is unknown.", "m3": "no"})
    assert summary["why"] == "Nothing was touched: m2: sshtrail:x is unknown. m3: no"
    assert summary["minions"] == {"m1": {"step": "not touched", "policy": "not on prod abc: not asked"}}


def test_who_is_silent_in_the_end_is_named(progress):
    assert progress.finished()["why"] == "No answer from m3: run it again." and not progress.finished()["result"]
    progress.stepped("batch 1 of 1", {"m3": standing.row(GOOD)})
    assert progress.finished()["result"] is True and progress.finished()["why"] == ""


def test_a_summary_for_a_person(progress):
    assert rollout.told(progress.stopped("Why.")).splitlines() == [
        "Rollout of prod: stopped. Why.",
        "  m1  was there       prod abc, in policy",
        "  m2  not touched     prod old, in policy",
        "  m3  not touched     not on prod abc: no answer",
        "  m4  not touched     not on prod abc: differs",
    ]
    assert rollout.told({"environment": "dev", "result": True, "why": "", "minions": {}}) == "Rollout of dev: complete."


def test_the_answer_of_one_and_of_several():
    well, bad = ({"environment": name, "result": name == "dev", "why": f"why {name}"} for name in ("dev", "prod"))
    assert rollout.answer({"dev": well}, several=False) == well
    assert rollout.answer({"dev": well, "prod": bad}, several=True) == {"dev": well, "prod": bad, "Error": "why prod"}
    assert rollout.answer({"prod": bad}, several=False) == {**bad, "Error": "why prod"}
    assert rollout.complete({"dev": well}) and not rollout.complete({"dev": well, "prod": bad})
