"""
kill -9 of minion or master in the middle of a repair: after a restart the host is in its policy, and whole.
"""

import contextlib
import os
import signal
import time

import pytest
from _sandbox import wait_for
from loop import anew, shared_site  # noqa: F401 - one is a fixture
from storm import below

HOST = "prod-2"
CONFIG = "/etc/ssh/sshd_config"
PATIENCE = 300


@pytest.fixture(scope="module")
def fleet(shared_site):  # noqa: F811
    yield anew(shared_site)
    # Whether its listener has outlived the master or not.
    shared_site.listen()


def kill(fleet, name):
    """End a daemon and all of its processes as a power cut would, and start it again."""
    process = fleet.processes[name]
    # Who kills the children first gives the parent the time to start others.
    family = below(process.pid)
    for pid in family:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    process.wait()
    # Salt takes one that nobody has waited for yet for a daemon that still runs, and does not start.
    wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family), "the end of its processes")
    fleet.daemon(name)


def repairing(fleet):
    """Tell whether the minion is in the middle of the state run that repairs it."""
    for job in (fleet.base / HOST / "var/cache/salt/minion/proc").glob("*"):
        with contextlib.suppress(FileNotFoundError):
            if b"state.apply" in job.read_bytes():
                return True
    return False


def settled(fleet):
    """Wait until the host is in its policy and no claim of its is open."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        found = (
            fleet.answers("sshtrail.drift", "fresh=True", target=HOST),
            fleet.answers("sshtrail_watch.claim", target=HOST),
        )
        if found == ({HOST: []}, {HOST: None}):
            return
        time.sleep(1)
    raise AssertionError(found)


@pytest.mark.parametrize("victim", [HOST, "master"])
def test_the_host_converges_and_is_whole(fleet, victim):
    house = fleet.houses[HOST]
    before = house.tree("/etc/ssh")
    house.run("sed", "-i", "s/VERBOSE/ERROR/", CONFIG)
    wait_for(lambda: repairing(fleet), "the repair")
    kill(fleet, victim)
    settled(fleet)
    assert house.tree("/etc/ssh") == before
