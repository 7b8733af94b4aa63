"""
kill -9 of minion or master in the middle of a repair: after a restart the host is in its policy, and whole. One who was
stopped there is told of, and another goes on in his place.
"""

import contextlib
import os
import signal
import time

import pytest
from _waiting import wait_for
from loop import kept
from sshtrail_lib.base import locks

HOST = "staging-1"
CONFIG = "/etc/ssh/sshd_config"


@pytest.fixture(scope="module")
def fleet(site):
    return site


def repairing(fleet):
    """Tell whether the minion is in the middle of the state run that repairs it."""
    for job in (fleet.base / HOST / "var/cache/salt/minion/proc").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if b"state.apply" in job.read_bytes():
                return True
    return False


def settled(fleet):
    """Wait until the host is in its policy and no claim of its is open."""
    well = ({HOST: []}, {HOST: None})
    asked = (["sshtrail.drift", "fresh=True"], ["sshtrail_watch.claim"])
    wait_for(lambda: tuple(fleet.answers(*one, target=HOST) for one in asked) == well, "the end of the drift", pause=1)


@pytest.mark.parametrize("victim", [HOST, "master"])
def test_the_host_converges_and_is_whole(fleet, victim):
    house = fleet.houses[HOST]
    before = house.tree("/etc/ssh")
    house.run("sed", "-i", "s/VERBOSE/ERROR/", CONFIG)
    wait_for(lambda: repairing(fleet), "the repair")
    started = fleet.started[HOST]
    fleet.kill(victim)
    fleet.daemon(victim)
    if victim == "master":
        fleet.listen()
        fleet.everybody()
    else:
        wait_for(lambda: fleet.started[HOST] > started, "the minion's start")
    settled(fleet)
    assert house.tree("/etc/ssh") == before


@contextlib.contextmanager
def stopped(fleet):
    """Stop whoever repairs, where he does nothing that no two may do at once; give his number (int)."""
    who = locks.holder(str(kept(fleet, "repairs.lock"))).pid
    try:
        os.kill(who, signal.SIGSTOP)
        while locks.holder(str(kept(fleet, "records.lock"))):
            os.kill(who, signal.SIGCONT)
            time.sleep(0.05)
            os.kill(who, signal.SIGSTOP)
        yield who
    finally:
        os.kill(who, signal.SIGCONT)


def applied(fleet, since):
    return [job["fun"] for job in fleet.jobs[since:] if HOST in job["minions"] and job["fun"] == "state.apply"]


def test_another_goes_on_in_the_place_of_one_who_was_stopped(fleet):
    house, since = fleet.houses[HOST], len(fleet.jobs)
    house.run("sed", "-i", "s/VERBOSE/ERROR/", CONFIG)
    wait_for(lambda: repairing(fleet), "the repair")
    with stopped(fleet) as who:
        told = {"taken": False}
        # Whoever only watches tells of him too.
        while not told["taken"]:
            _, _, told = fleet.event("", "stuck")
        assert told["pid"] == who and "have waited for" in told["reason"]
        # What he has begun is brought to its end, and not done again.
        _, kind, _ = fleet.event(HOST, "repaired", "failed", "stopped")
        assert kind == "repaired" and applied(fleet, since) == ["state.apply"]
    settled(fleet)
    # He has woken up, and finds that it is no longer his.
    assert fleet.run("sshtrail.remediate") == {}
    assert applied(fleet, since) == ["state.apply"] and fleet.run("sshtrail.repairs")[HOST]["failed"] == 0
