"""
drift.heartbeat: what is believed of one, when the next is due, and how long a host may be silent.
"""

import pytest
from sshtrail_lib.drift import heartbeat
from sshtrail_lib.drift.heartbeat import Beat

BEAT = Beat(3, 1000.0, 990.0, "0123456789ab", 2, 12, 300, 0.0, "", 0.0, "ab12cd34ef56")
LOOK = {"digest": "ab", "differences": [1], "drift": {"interval": 10, "splay": 2, "heartbeat": 60}}


def test_what_is_stored_is_read_again():
    assert heartbeat.parse(heartbeat.stored(BEAT)) == BEAT


@pytest.mark.parametrize(
    "value",
    [
        None,
        "{{ 7 }}",
        {},
        {**heartbeat.stored(BEAT), "version": 2},
        {**heartbeat.stored(BEAT), "number": True},
        {**heartbeat.stored(BEAT), "number": 1.5},
        {**heartbeat.stored(BEAT), "time": float("nan")},
        {**heartbeat.stored(BEAT), "looked": -1},
        {**heartbeat.stored(BEAT), "heartbeat": 2**60},
        {**heartbeat.stored(BEAT), "failed": "x" * 300},
        {**heartbeat.stored(BEAT), "policy": 7},
    ],
)
def test_what_is_none_is_none(value):
    assert heartbeat.parse(value) is None


def test_what_failed_is_one_printable_line():
    assert heartbeat.parse({**heartbeat.stored(BEAT), "failed": "a\nb"}).failed == "a\\nb"


@pytest.mark.parametrize(
    "now,failed,due",
    [(1010, "", False), (1299, "", False), (1376, "", True), (1001, "no", True), (999, "", True)],
)
def test_the_next_is_due_in_time_and_at_once_when_looks_begin_to_fail(now, failed, due):
    assert heartbeat.due(BEAT, failed, now) is due


def test_the_first_look_is_told_at_once():
    assert heartbeat.due(BEAT._replace(looked=0.0), "", 1001)
    # One that fails again and again is not.
    assert not heartbeat.due(BEAT._replace(looked=0.0, failed="no"), "no", 1001)


def test_hosts_that_were_started_together_do_not_beat_together():
    times = [BEAT._replace(time=1000.0 + number / 7, number=number) for number in range(50)]
    assert 5 < sum(heartbeat.due(beat, "", beat.time + 335) for beat in times) < 45


def test_a_look_and_a_failure_make_the_next_one():
    good = heartbeat.next_beat(BEAT, LOOK, "", 0.0, 2000.0)
    assert good == BEAT._replace(number=4, time=2000.0, looked=2000.0, policy="ab", differences=1, heartbeat=60)
    bad = heartbeat.next_beat(good, None, "no", 0.0, 2100.0)
    assert bad == good._replace(number=5, time=2100.0, failing=2100.0, failed="no")
    assert heartbeat.next_beat(bad, None, "no", 0.0, 2200.0).failing == 2100.0
    assert heartbeat.next_beat(bad, LOOK, "", 0.0, 2200.0).failing == 0.0


@pytest.mark.parametrize("interval,beats,limit", [(12, 300, 910), (600, 300, 1810)])
def test_three_may_be_missed(interval, beats, limit):
    assert heartbeat.limit(BEAT._replace(interval=interval, heartbeat=beats)) == limit
