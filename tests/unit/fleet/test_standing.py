"""
fleet.standing: how a minion's answer is read, and what a person is shown.
"""

import pytest
from sshtrail_lib.fleet import standing as fleet_standing

GOOD = {"environment": "prod", "digest": "abc", "drift": [], "reboot": {}, "silent": "", "error": None}
DRIFT = {"layer": "effective", "what": "LogLevel", "expected": "VERBOSE", "actual": "INFO"}
LOST = {
    "layer": "trail",
    "what": "records-lost",
    "expected": "safe",
    "actual": "Lost: 7",
    "since": None,
    "hides": False,
}
HIDDEN = {**LOST, "what": "auditd-stopped", "actual": "Stopped: pid 7", "hides": True}

# What came back from a minion, how it stands, what a person is told.
ANSWERS = [
    (GOOD, "in policy", []),
    ({**GOOD, "reboot": {"kernel": {}}}, "waits for a reboot", []),
    ({**GOOD, "drift": [DRIFT]}, "differs", ["effective: LogLevel is 'INFO', expected 'VERBOSE'"]),
    ({**GOOD, "drift": [LOST]}, "at risk", ["trail: Lost: 7 (records-lost)"]),
    ({**GOOD, "drift": [HIDDEN]}, "differs", ["trail: Stopped: pid 7 (auditd-stopped)"]),
    ({**GOOD, "silent": "no SSH-2.0 greeting from [::]:22"}, "differs", ["no SSH-2.0 greeting from [::]:22"]),
    ({**GOOD, "full": "sshd is full at [::]:22"}, "sshd is full", ["sshd is full at [::]:22"]),
    ({**GOOD, "error": "The policy is wrong."}, "no policy", ["The policy is wrong."]),
    ("'sshtrail.condition' is not available.", "no modules", ["'sshtrail.condition' is not available."]),
    ("", "no modules", ["no data"]),
    (None, "no answer", []),
]


@pytest.mark.parametrize("answer,standing,differences", ANSWERS)
def test_every_answer_has_a_standing(answer, standing, differences):
    row = fleet_standing.row(answer)
    assert (row["standing"], row["differences"]) == (standing, differences)
    assert fleet_standing.good(row) is (standing in ("in policy", "waits for a reboot", "at risk"))


def test_the_table():
    rows = {"web1": fleet_standing.row(GOOD), "db1": fleet_standing.row({**GOOD, "drift": [DRIFT, DRIFT]})}
    rows["gone"] = fleet_standing.row(None)
    rows["web2"] = fleet_standing.row(
        {**GOOD, "proof": {"time": "2026-11-25T19:52:13.317Z", "holds": True, "lost_at": None}}
    )
    lost = {"time": "2026-11-25T19:52:13.317Z", "holds": False, "lost_at": "login"}
    rows["web3"] = fleet_standing.row({**GOOD, "proof": lost})
    assert fleet_standing.table(rows).splitlines() == [
        "minion  environment  policy  standing   proven            differences",
        "db1     prod         abc     differs    -                 "
        "effective: LogLevel is 'INFO', expected 'VERBOSE' (and 1 more)",
        "gone    -            -       no answer  -",
        "web1    prod         abc     in policy  -",
        "web2    prod         abc     in policy  2026-11-25 19:52",
        "web3    prod         abc     in policy  lost at login",
        "",
        "5 minions: 3 in policy, 1 differs, 1 no answer",
    ]
