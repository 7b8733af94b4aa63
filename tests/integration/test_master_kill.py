"""
kill -9 of minion or master in the middle of a repair: after a restart the host is in its policy, and whole.
"""

import contextlib

import pytest
from _waiting import wait_for

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
