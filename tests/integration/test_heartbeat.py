"""
A watch that is silenced on a real host: the master names it by ``sshtrail.fleet`` and by an event, and it comes back.
"""

import contextlib
import json

import pytest
from _waiting import ended, wait_for
from loop import settled, started

#: Seconds: what is agreed, and so how long a host may be silent (three times that, and ten). The master repairs nothing
#: here, since a test that looks at what differs would race with it.
AGREED = {"interval": 2, "splay": 0, "heartbeat": 2, "action": "report"}
HOST, OTHER, WRONG = "prod-1", "staging-1", "dev-1"
JOB = "sshtrail drift"
#: How a silence is told: the second where the master itself was too slow to make its rounds.
LATE = ("the last heartbeat came ", "no heartbeat has come in ")


@pytest.fixture(scope="module")
def fleet():
    with started(audited=False, drift=AGREED) as found:
        yield settled(found)


def row(fleet, name):
    return fleet.run("sshtrail.fleet", name, "timeout=10")[name]


def told(fleet, name, kind):
    """Let the master make its rounds until it tells of the host."""
    with contextlib.suppress(StopIteration):
        fleet.run("sshtrail.watch")
    _, _, data = fleet.event(name, kind)
    return data


def differences(fleet, name):
    [found] = fleet.answers("sshtrail.drift", "fresh=True", target=name).values()
    return [(one["layer"], one["what"], one["actual"]) for one in found]


def in_policy(fleet, name):
    found = row(fleet, name)
    return found["standing"] == "in policy" and found["looked"] is not None and found["looked"] < 20


def at_work(fleet, name):
    jobs = fleet.answers("saltutil.running", target=name).get(name)
    return jobs is None or any("schedule" in job for job in jobs)


def silence(fleet, name, *reasons):
    """
    Wait until the master holds the host for silent for one of ``reasons`` (how it begins), and return how it told so.

    On a slow machine the host may have been silent before, for a late heartbeat or for a look that did not end: that
    was told then, and the new reason takes its place.
    """
    wait_for(lambda: fleet.run("sshtrail.watch").get(name, "").startswith(reasons), f"the silence of {name}")
    return fleet.event(name, "silent")[2]


def test_who_looks_is_in_its_policy(fleet):
    for name in (HOST, OTHER, WRONG):
        wait_for(lambda name=name: in_policy(fleet, name), f"the heartbeat of {name}")
    lines = fleet.command("salt-run", "sshtrail.fleet").stdout.splitlines()
    assert lines[0].split() == ["minion", "environment", "policy", "standing", "looked", "proven", "differences"]
    assert all(" s ago" in line for line in lines[1:4])


@pytest.mark.parametrize(
    "command,now",
    [
        (["schedule.delete", JOB], None),
        (["schedule.delete", JOB, "persist=False"], None),
        (["schedule.disable_job", JOB], "disabled"),
        (["schedule.disable"], "the whole schedule is disabled"),
        (["schedule.modify", JOB, "function=sshtrail_watch.tick", "seconds=86400"], None),
        (["schedule.modify", JOB, "function=test.ping", "seconds=2"], None),
    ],
)
def test_a_schedule_that_was_silenced_differs_and_is_repaired(fleet, command, now):
    assert fleet.answers(*command, target=HOST)[HOST]["result"]
    [(layer, what, actual)] = differences(fleet, HOST)
    assert (layer, what) == ("service", f"schedule {JOB}")
    assert actual == now or "modify" in command[0], actual
    assert row(fleet, HOST)["standing"] == "differs"
    preview = fleet.answers("state.apply", "sshtrail.drift", "test=True", target=HOST)[HOST]
    assert [one["result"] for one in preview.values()] == [None]
    states = fleet.answers("state.apply", "sshtrail", target=HOST)[HOST]
    assert all(state["result"] for state in states.values()), states
    assert differences(fleet, HOST) == []
    again = fleet.answers("state.apply", "sshtrail.drift", target=HOST)[HOST]
    assert [one["changes"] for one in again.values()] == [{}]


def test_a_schedule_that_is_gone_is_a_silence(fleet):
    fleet.answers("schedule.delete", JOB, target=HOST)
    # On a slow machine one may be at work since before.
    wait_for(lambda: not at_work(fleet, HOST), "the end of its last look")
    data = silence(fleet, HOST, *LATE)
    assert data["version"] == 1 and data["reason"]
    found = row(fleet, HOST)
    assert found["standing"] == "differs" and found["looked"] > 10
    assert any(line.startswith(tuple(f"not watched: {late}" for late in LATE)) for line in found["differences"])
    assert fleet.run("sshtrail.watch")[HOST], "it is told once"
    fleet.answers("state.apply", "sshtrail", target=HOST)
    wait_for(lambda: HOST not in fleet.run("sshtrail.watch"), "its next heartbeat")
    assert fleet.event(HOST, "heard", "silent")[1] == "heard"
    wait_for(lambda: in_policy(fleet, HOST), "the host in its policy")


def test_a_tick_that_cannot_be_imported_is_a_silence_though_nothing_differs(fleet):
    [path] = fleet.base.glob(f"{OTHER}/var/cache/salt/minion/extmods/modules/sshtrail_watch.py")
    content = path.read_text()
    path.write_text("import nothing_of_that_name\n")
    assert silence(fleet, OTHER, *LATE)["reason"]
    path.write_text(content)
    wait_for(lambda: OTHER not in fleet.run("sshtrail.watch"), "its next heartbeat")
    fleet.event(OTHER, "heard")


def test_a_wrong_pillar_is_told_by_the_heartbeat(fleet):
    policy = fleet.base / "pillar" / "hosts" / f"{WRONG}.sls"
    before = policy.read_text()
    policy.write_text(json.dumps({"sshtrail": {**json.loads(before)["sshtrail"], "sshdd": {}}}))
    fleet.answers("saltutil.refresh_pillar", target=WRONG)
    assert silence(fleet, WRONG, "its look at itself has failed for ")["reason"]
    wait_for(lambda: "sshtrail:sshdd is unknown" in fleet.run("sshtrail.watch").get(WRONG, ""), "the failure")
    assert row(fleet, WRONG)["standing"] == "no policy"
    policy.write_text(before)
    fleet.answers("saltutil.refresh_pillar", target=WRONG)
    wait_for(lambda: WRONG not in fleet.run("sshtrail.watch"), "its next heartbeat")
    fleet.event(WRONG, "heard")


def test_a_silence_that_somebody_asked_for_is_shown_and_not_told(fleet):
    fleet.answers("sshtrail_watch.silence", "600", "change 4711", target=HOST)
    wait_for(lambda: row(fleet, HOST)["standing"] == "not watched", "the heartbeat")
    assert row(fleet, HOST)["differences"] == ["not watched: somebody has silenced it"]
    assert HOST not in fleet.run("sshtrail.watch")
    fleet.answers("sshtrail_watch.resume", target=HOST)
    wait_for(lambda: in_policy(fleet, HOST), "the host in its policy")


def test_a_minion_that_is_gone_is_a_silence(fleet):
    ended(fleet.processes[OTHER])
    assert silence(fleet, OTHER, *LATE)["reason"]
    found = row(fleet, OTHER)
    assert found["standing"] == "no answer" and found["looked"] > 10
    fleet.daemon(OTHER)
    fleet.event(OTHER, "heard")
