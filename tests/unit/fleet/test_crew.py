"""
fleet.crew: many repairs at a time, of which none waits for a host that hangs, and none is done twice.
"""

import collections
import time

import pytest
from sshtrail_lib.drift import answer
from sshtrail_lib.drift.claim import Claim
from sshtrail_lib.fleet import crew, standing
from sshtrail_lib.fleet.crew import Crew
from sshtrail_lib.fleet.pillars import Pillars
from sshtrail_lib.fleet.remedy import Limits

from unit.fleet.test_question import Hosts

CLAIM = Claim("ab12cd34ef56", 1, 100.0)
WELL = {"environment": "prod", "digest": "abc", "drift": [], "silent": "", "reboot": {}, "error": None}
LIMITS = Limits(batch=3, timeout=1, longest=4)


class Fleet(Hosts):
    """Hosts that answer at once, but for those that hang, and those that are away."""

    def __init__(self):
        super().__init__()
        self.away, self.conditions, self.counted = set(), {}, collections.Counter()
        # Who tells how it stands together with its states.
        self.telling = set()

    def publish(self, names, function, *args, **kwargs):
        jid = super().publish(names, function, *args, **kwargs)
        self.counted.update((function, name) for name in names)
        for name in set(names) - self.running - self.away if function != answer.JOB else ():
            asked = function == answer.CONDITION or name in self.telling and kwargs["metadata"] == answer.LOOKING
            found = self.condition(name) if asked else None
            self.give(name, jid, function, found if function == answer.CONDITION else {})
            if asked and function == answer.APPLY:
                self.mine[name, answer.key(function)]["condition"] = found
        return jid

    def condition(self, name):
        found = self.conditions.get(name, [WELL])
        return found.pop(0) if len(found) > 1 else found[0]


@pytest.fixture
def fleet():
    return Fleet()


def worked(fleet, names, limits=LIMITS, seconds=30, digest=lambda name: "abc"):
    """Return what became of the repairs of hosts (dict by id), and when each ended (dict, seconds)."""
    outcomes, times, started = {}, {}, time.monotonic()
    with Pillars(digest) as pillars:
        team = Crew(fleet.publish, fleet, pillars, limits)
        team.take(dict.fromkeys(names, CLAIM))
        while team.hosts and time.monotonic() - started < seconds:
            ended = team.step()
            outcomes |= ended
            times |= dict.fromkeys(ended, time.monotonic() - started)
            crew.pause(team)
    assert not team.hosts
    return outcomes, times


def test_each_is_repaired_once(fleet):
    names = [f"web{number:02}" for number in range(40)]
    outcomes, _ = worked(fleet, names)
    assert {name: (one.failed, one.said) for name, one in outcomes.items()} == dict.fromkeys(names, (False, ""))
    assert fleet.counted == dict.fromkeys([(f, n) for n in names for f in (answer.APPLY, answer.CONDITION)], 1)


def test_who_tells_at_once_how_it_stands_is_not_asked_for_it(fleet):
    names = [f"web{number:02}" for number in range(9)]
    fleet.telling.update(names[:6])
    fleet.conditions[names[0]] = [{**WELL, "drift": 5}]
    outcomes, _ = worked(fleet, names)
    assert {name for name, one in outcomes.items() if one.failed} == {names[0]}
    assert {name for function, name in fleet.counted if function == answer.CONDITION} == set(names[6:])
    assert set(fleet.counted.values()) == {1}


def test_hosts_that_hang_delay_nobody(fleet):
    """They come first in the order of names, and are more than a batch; the others wait for a batch of them alone."""
    hung, names = [f"a{number}" for number in range(7)], ["web1", "web2", "web3", "web4"]
    fleet.running.update(hung)
    outcomes, times = worked(fleet, [*hung, *names])
    assert {name: one.failed for name, one in outcomes.items()} == {
        **dict.fromkeys(hung, True),
        **dict.fromkeys(names, False),
    }
    assert {outcomes[name].said for name in hung} == {"it did not come to an end within 4 s"}
    assert max(times[name] for name in names) < min(times[name] for name in hung)


ROOMS = [
    *((0, 30, 10), (4, 30, 6), (5, 30, 5), (10, 30, 0), (12, 30, 0)),
    # All of them have room, or there is room for too few.
    *((6, 4, 4), (7, 4, 0), (6, 30, 0), (9, 1, 1)),
]


@pytest.mark.parametrize(("busy", "waiting", "room"), ROOMS)
def test_who_waits_begins_with_half_a_batch_or_all(fleet, monkeypatch, busy, waiting, room):
    with Pillars(lambda name: "abc") as pillars:
        team = Crew(fleet.publish, fleet, pillars, Limits(batch=10))
        team.take(dict.fromkeys([f"web{number:02}" for number in range(waiting)], CLAIM))
        monkeypatch.setattr(team, "_at_work", lambda: busy)
        assert min(team._room(), waiting) == room
        later = time.monotonic() + crew.HELD + 1
        monkeypatch.setattr(crew.time, "monotonic", lambda: later)
        assert min(team._room(), waiting) == min(max(0, 10 - busy), waiting)


def test_most_of_a_batch_that_hangs_delays_nobody_for_long(fleet, monkeypatch):
    hung, names = [f"a{number}" for number in range(6)], [f"web{number:02}" for number in range(30)]
    fleet.running.update(hung)
    monkeypatch.setattr(crew, "HELD", 0.2)
    # It counts as being at work for longer than the test.
    outcomes, _ = worked(fleet, [*hung, *names], Limits(batch=10, timeout=300, longest=8))
    assert {name for name, one in outcomes.items() if not one.failed} == set(names)
    assert fleet.counted == {**dict.fromkeys([(answer.APPLY, name) for name in (*hung, *names)], 1),
                             **dict.fromkeys([(answer.CONDITION, name) for name in names], 1)}  # fmt: skip


def test_who_is_away_is_no_failure(fleet):
    fleet.away.add("gone")
    outcomes, _ = worked(fleet, ["gone", "web1"])
    assert set(outcomes) == {"web1"}


def test_who_goes_away_before_the_look_has_failed(fleet):
    publish = fleet.publish

    def leaves(names, function, *args, **kwargs):
        fleet.away.update(["gone"] if function == answer.CONDITION else [])
        return publish(names, function, *args, **kwargs)

    fleet.publish = leaves
    outcomes, _ = worked(fleet, ["gone"])
    assert (outcomes["gone"].failed, outcomes["gone"].said) == (True, standing.SILENT)


def test_pillars_are_compiled_for_those_who_cannot_begin_yet(fleet):
    """For a batch of them: what is known of more would be old when they begin."""
    names, told = [f"web{number:02}" for number in range(9)], []
    fleet.running.update(names)
    with Pillars(lambda name: "abc") as pillars:
        ask = pillars.ask
        pillars.ask = lambda going: (told.extend(going), ask(going))
        team = Crew(fleet.publish, fleet, pillars, Limits(batch=3, timeout=300))
        team.take(dict.fromkeys(names, CLAIM))
        end = time.monotonic() + 30
        while len(told) < 6 and time.monotonic() < end:
            team.step()
        for _ in range(10):
            team.step()
    assert told == names[:6]
    assert [name for function, name in fleet.counted] == names[:3]


@pytest.mark.parametrize("at_once", [False, True])
def test_a_sshd_that_is_full_is_asked_again(fleet, monkeypatch, at_once):
    fleet.telling.update(["busy", "always"] if at_once else [])
    monkeypatch.setattr(crew, "PAUSES", (0.1, 0.1, 0.1))
    full = {**WELL, "full": "sshd is full at [::]:22"}
    fleet.conditions = {"busy": [full, full, WELL], "always": [full]}
    outcomes, _ = worked(fleet, ["busy", "always"])
    assert (outcomes["busy"].failed, outcomes["busy"].said) == (False, "")
    assert (outcomes["always"].failed, outcomes["always"].said) == (False, "sshd is full at [::]:22.")
    assert fleet.counted[answer.CONDITION, "busy"] == 3 - at_once
    assert fleet.counted[answer.CONDITION, "always"] == 4 - at_once
    assert fleet.counted[answer.APPLY, "busy"] == 1


def test_who_is_not_to_be_repaired_is_left_alone(fleet):
    outcomes, _ = worked(fleet, ["dev1", "web1"], digest=lambda name: "abc" if name == "web1" else None)
    assert set(outcomes) == {"web1"} and (answer.APPLY, "dev1") not in fleet.counted


def test_who_is_at_work_is_not_taken_up_again(fleet):
    with Pillars(lambda name: "abc") as pillars:
        team = Crew(fleet.publish, fleet, pillars, LIMITS)
        team.take({"web1": CLAIM})
        team.take({"web1": CLAIM._replace(round=2)})
        assert team.hosts["web1"].claim == CLAIM and team._waiting == ["web1"]
