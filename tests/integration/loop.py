"""
The loop of drift and repair on a real master and three minions, as ``bin/demo`` has them, with a quick pulse.
"""

import contextlib
import pathlib
import queue
import sys
import tempfile

import pytest
from _sandbox import wait_for
from _site import AUDITED, HOSTS, UID, Site
from sshtrail_lib.drift.claim import MINE_KEY
from support import audit_status, audit_subsystem, auditctl, require_root

#: Seconds between two looks: a minion's schedule counts in whole ones.
INTERVAL = 2
SHARED = []


@pytest.fixture(scope="session")
def shared_site():
    """A :func:`site` without audit for all that import this: it costs a minute to start. See :func:`anew`."""
    require_root()
    if not SHARED:
        stack = contextlib.ExitStack()
        SHARED.append((stack.enter_context(site(audited=False)), stack))
    yield SHARED[0][0]
    while SHARED:
        SHARED.pop()[1].close()


def anew(found):
    """Bring a site back to where it was: every host in its policy, no claim, nothing repaired, no event to come."""
    for name, states in found.answers("state.apply", "sshtrail").items():
        assert isinstance(states, dict) and all(state["result"] for state in states.values()), (name, states)
    nobody = dict.fromkeys(HOSTS)
    wait_for(lambda: found.answers("sshtrail_watch.claim") == nobody, "the end of all claims")
    # A test may have put one there itself.
    found.answers("mine.delete", MINE_KEY)
    kept(found, "repairs.json").unlink(missing_ok=True)
    found.kept.clear()
    with contextlib.suppress(queue.Empty):
        while True:
            found.events.get_nowait()
    return found


def kept(found, name):
    """Return where the master of a site keeps what its runner remembers (pathlib.Path)."""
    return found.base / "master/var/cache/salt/master/sshtrail" / name


@contextlib.contextmanager
def audited_site(interval=INTERVAL):
    """Give a :func:`site` of which one host has the kernel's audit subsystem, which is as before in the end."""
    with audit_subsystem():
        try:
            with site(audited=True, interval=interval) as found:
                yield found
        finally:
            # Only now: as long as the loop lives, it brings them back.
            wait_for(lambda: audit_status()["pid"] == "0", "the end of auditd")
            auditctl("-D")


def by_hand(found, command):
    """Run a shell's command on the audited host as somebody who has logged in and become root."""
    login = 'echo "$1" >/proc/self/loginuid; exec sh -c "$2"'
    found.houses[AUDITED].run("sh", "-c", login, "sh", str(UID), command)


@contextlib.contextmanager
def site(audited, interval=INTERVAL):
    """
    Give a :class:`_site.Site` whose hosts have had their highstate.

    audited
        Whether one of them has the kernel's audit subsystem (bool): whoever asks for it holds its lock.
    interval
        Seconds between two looks of a host (int).
    """
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(tempfile.TemporaryDirectory(prefix="sshtrail-", ignore_cleanup_errors=True))
        commands = pathlib.Path(sys.executable).parent
        found = Site(stack, pathlib.Path(base), commands, audited, drift={"interval": interval, "splay": 0})
        found.start()
        for name, states in found.answers("state.highstate").items():
            assert isinstance(states, dict), (name, states)
            assert all(state["result"] for state in states.values()), (name, states)
        yield found
