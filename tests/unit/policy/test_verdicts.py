"""policy.verdicts: what people may say of controls, and what they forgot."""

import datetime

import pytest
from sshtrail_lib.policy import pillar, verdicts

NAME = "CIS Debian 12 6.2.2.3"
GOOD = {"reason": "one disk only", "by": "alice", "until": "2027-03-31"}
PILLAR = {
    "sshtrail": {
        "environment": "prod",
        "layers": {"common": {"rules": {"groups": {"scope": True}}}, "prod": {}},
    }
}


def build(**compliance):
    asked = {**PILLAR["sshtrail"], "layers": {**PILLAR["sshtrail"]["layers"], "prod": {"compliance": compliance}}}
    return pillar.build({"sshtrail": asked}, "Debian")["compliance"]


def test_an_exception_is_in_the_policy():
    assert build(accepted={NAME: GOOD})["accepted"] == {NAME: GOOD}


@pytest.mark.parametrize("day", [datetime.date(2027, 3, 31), datetime.datetime(2027, 3, 31, 12, 0)])
def test_a_day_may_be_what_yaml_makes_of_it(day):
    assert build(accepted={NAME: {**GOOD, "until": day}})["accepted"][NAME]["until"] == "2027-03-31"


def test_what_people_say_does_not_change_the_digest():
    said = {"sshtrail": {**PILLAR["sshtrail"], "compliance": {"accepted": {NAME: GOOD}}}}
    assert pillar.digest(said) == pillar.digest(PILLAR)


WRONG = [
    ({"accepted": {"6.2.2.3": GOOD}}, "accepted:6.2.2.3 is no control: name its framework with the edition"),
    ({"accepted": {"CIS Debian 12 6.2.2.33": GOOD}}, "did you mean CIS Debian 12 6.2.2.3?"),
    ({"accepted": {NAME: {"reason": "x", "by": "alice"}}}, f"accepted:{NAME}:until is missing."),
    ({"accepted": {NAME: {**GOOD, "reason": ""}}}, f"accepted:{NAME}:reason must be text, not ''."),
    ({"accepted": {NAME: {**GOOD, "by": 5}}}, f"accepted:{NAME}:by must be text, not 5."),
    ({"accepted": {NAME: {**GOOD, "until": "soon"}}}, f"accepted:{NAME}:until must be a day such as 2027-03-31"),
    ({"accepted": {NAME: {**GOOD, "until": 2027}}}, "not 2027."),
    ({"accepted": {NAME: {**GOOD, "status": "pass"}}}, f"accepted:{NAME}:status is unknown"),
    ({"accepted": {NAME: "yes"}}, f"accepted:{NAME} must be a mapping with reason, by, until, not 'yes'."),
    ({"accepted": []}, "accepted must be a mapping of controls, not []."),
    ({"verdicts": {NAME: GOOD}}, f"verdicts:{NAME}:status is missing."),
    ({"verdicts": {NAME: {**GOOD, "status": "ok"}}}, "status is 'ok'; allowed are pass, fail, not applicable."),
    ({"exceptions": {}}, "compliance:exceptions is unknown"),
]


@pytest.mark.parametrize(("compliance", "said"), WRONG)
def test_each_mistake_is_named(compliance, said):
    with pytest.raises(pillar.PolicyError) as error:
        build(**compliance)
    assert said in error.value.message and "sshtrail:layers:prod:compliance" in error.value.message


def test_every_control_of_the_table_can_be_named():
    assert len(set(verdicts.NAMES)) == len(verdicts.NAMES) and NAME in verdicts.NAMES
