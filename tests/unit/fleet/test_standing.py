"""
fleet.standing: how a minion's answer is read, what a person is shown, and in which steps a rollout goes.
"""

import pytest
from sshtrail_lib.fleet import standing as fleet_standing

GOOD = {"environment": "prod", "digest": "abc", "drift": [], "reboot": {}, "silent": "", "error": None}
DRIFT = {"layer": "effective", "what": "LogLevel", "expected": "VERBOSE", "actual": "INFO"}

# What came back from a minion, how it stands, what a person is told.
ANSWERS = [
    (GOOD, "in policy", []),
    ({**GOOD, "reboot": {"kernel": {}}}, "waits for a reboot", []),
    ({**GOOD, "drift": [DRIFT]}, "differs", ["effective: LogLevel is 'INFO', expected 'VERBOSE'"]),
    ({**GOOD, "silent": "no SSH-2.0 greeting from [::]:22"}, "differs", ["no SSH-2.0 greeting from [::]:22"]),
    ({**GOOD, "error": "The policy is wrong."}, "no policy", ["The policy is wrong."]),
    ("'sshtrail.condition' is not available.", "no modules", ["'sshtrail.condition' is not available."]),
    ("", "no modules", ["no data"]),
    (None, "no answer", []),
]


@pytest.mark.parametrize("answer,standing,differences", ANSWERS)
def test_every_answer_has_a_standing(answer, standing, differences):
    row = fleet_standing.row(answer)
    assert (row["standing"], row["differences"]) == (standing, differences)
    assert fleet_standing.good(row) is (standing in ("in policy", "waits for a reboot"))


def test_the_table():
    rows = {"web1": fleet_standing.row(GOOD), "db1": fleet_standing.row({**GOOD, "drift": [DRIFT, DRIFT]})}
    rows["gone"] = fleet_standing.row(None)
    assert fleet_standing.table(rows).splitlines() == [
        "minion  environment  policy  standing   differences",
        "db1     prod         abc     differs    effective: LogLevel is 'INFO', expected 'VERBOSE' (and 1 more)",
        "gone    -            -       no answer",
        "web1    prod         abc     in policy",
        "",
        "3 minions: 1 in policy, 1 differs, 1 no answer",
    ]


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
    steps = fleet_standing.stages(minions, canary, batch)
    assert [len(names) for _, names in steps] == sizes
    assert sorted(name for _, names in steps for name in names) == minions
    if isinstance(canary, list) and set(canary) & set(minions):
        assert steps[0] == ("canary", ["m3"])


@pytest.mark.parametrize("canary,batch", [(0, 1), (1, 0), (1, "some"), (True, 1), (1, "-5%"), ("m1", 1)])
def test_what_is_no_size_is_refused(canary, batch):
    with pytest.raises(fleet_standing.ArgumentError, match="allowed are a number from 1 and a share such as '25%'"):
        fleet_standing.stages(["m1"], canary, batch)


STATE = {"name": "x", "__id__": "rules", "result": True, "comment": "fine"}

# What state.apply returned, how the minion stands then, why the step failed ("" when not).
AFTER = [
    ({"a": STATE}, GOOD, ""),
    ({"a": {**STATE, "result": False, "comment": "no"}}, GOOD, "rules: no"),
    (["Rendering failed", "in line 3"], GOOD, "Rendering failed in line 3"),
    ("The function is running", GOOD, "The function is running"),
    (None, GOOD, "it gave no answer to state.apply"),
    ({"a": STATE}, {**GOOD, "drift": [DRIFT]}, "differs: effective: LogLevel is 'INFO', expected 'VERBOSE'"),
    ({"a": STATE}, None, "no answer"),
    ({"a": STATE}, {**GOOD, "digest": "old"}, "it has the policy old, and the master's pillar says abc"),
]


@pytest.mark.parametrize("states,answer,why", AFTER)
def test_why_a_step_failed(states, answer, why):
    rows = {"m": fleet_standing.row(answer)}
    found = fleet_standing.failures(["m"], {"m": "abc"}, rows, {"m": states} if states is not None else {})
    assert found == ({"m": why} if why else {})
