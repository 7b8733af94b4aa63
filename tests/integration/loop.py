"""
The loop of drift and repair on a real master and three minions, as ``bin/demo`` has them, with a quick pulse.
"""

import contextlib
import json
import os
import pathlib
import queue
import sys
import tempfile

from _keeper import keeper
from _site import AUDITED, HOSTS, ROOT, UID, Site
from _waiting import DEADLINE, wait_for
from sshtrail_lib.drift.claim import MINE_KEY
from support import audit_subsystem, auditctl, auditd_ended

#: Seconds between two looks: a minion's schedule counts in whole ones. On one processor three hosts would do nothing
#: but look.
INTERVAL = 2 if (os.cpu_count() or 1) > 1 else 10


class QuickSite(Site):
    """A site whose master looks at claims and for silent hosts more often than ``etc/master.d`` says, for the tests."""

    def configure_master(self):
        super().configure_master()
        [path] = self.config("master").glob("master.d/*.conf")
        text = path.read_text()
        assert text.count("seconds: 60") == 2
        # A path in place of what the file server has to look up for each event, as docs/drift.md says for many hosts.
        text = text.replace("salt://reactor", str(pathlib.Path(ROOT) / "salt" / "reactor"))
        path.write_text(text.replace("seconds: 60", "seconds: 10"))


@contextlib.contextmanager
def started(audited, interval=INTERVAL, drift=None):
    """
    Give a :class:`_site.Site` whose minions have no modules yet, and nothing of their policy.

    audited
        Whether one of the hosts has the kernel's audit subsystem, which is as before in the end (bool).
    interval
        Seconds between two looks of a host (int), 0 for no loop.
    drift
        What the pillar says of drift in its place (dict), None for the interval alone.
    """
    with contextlib.ExitStack() as stack:
        if audited:
            stack.enter_context(audit_subsystem())
            stack.callback(cleared)
        base = stack.enter_context(tempfile.TemporaryDirectory(prefix="sshtrail-", ignore_cleanup_errors=True))
        keeper().directory(base)
        commands = pathlib.Path(sys.executable).parent
        wanted = drift or {"interval": interval, "splay": 0}
        found = QuickSite(stack, pathlib.Path(base), commands, audited, drift=wanted)
        found.start()
        yield found


def cleared():
    """Take away the rules of the audited host, once nobody is left who brings them back."""
    auditd_ended()
    auditctl("-D")


@contextlib.contextmanager
def pulse(found, interval):
    """Have every host in its policy, and look for drift at another interval (int, seconds; 0: never), for a while."""
    with contextlib.ExitStack() as stack:
        if not interval:
            # A look with the new pillar and the old schedule finds a difference, which is repaired in the first test.
            wait_for(lambda: silenced(found), "the end of each host's last look, and of all that it told")
        for name in HOSTS:
            stack.enter_context(found.given(name, drift={"interval": interval, "splay": 0}))
        # Whoever looks with the pillar from before finds a schedule that is not asked for.
        refresh = ("saltutil.refresh_pillar", "wait=True")
        wait_for(lambda: found.answers(*refresh) == dict.fromkeys(HOSTS, True), "the new pillar")
        if interval:
            settled(found)
        else:
            applied(found)
            assert found.answers("sshtrail_watch.resume") == dict.fromkeys(HOSTS, True)
        yield found


def silenced(found):
    """Silence every host of a site, unless one is at work or has told of a difference; return whether that was so."""
    nobody = dict.fromkeys(HOSTS)
    if found.answers("sshtrail_watch.claim") != nobody:
        return False
    found.answers("sshtrail_watch.silence", "60", "reason=another pulse")
    jobs = found.answers("saltutil.running")
    busy = any("schedule" in job or job["fun"].startswith("state.") for running in jobs.values() for job in running)
    if set(jobs) == set(HOSTS) and not busy and found.answers("sshtrail_watch.claim") == nobody:
        return True
    # What was told a moment ago would stay for as long as nobody looks.
    found.answers("sshtrail_watch.resume")
    return False


@contextlib.contextmanager
def audited_site(interval=INTERVAL):
    """Give a site of which one host has the kernel's audit subsystem, and all have had their highstate."""
    with started(audited=True, interval=interval) as found:
        yield settled(found)


@contextlib.contextmanager
def unaudited_site(interval=INTERVAL):
    """Give a site whose hosts have had their highstate, without audit."""
    with started(audited=False, interval=interval) as found:
        yield settled(found)


def settled(found):
    """Bring every host of a site to its policy; return the site."""
    for name, states in found.highstate().items():
        assert isinstance(states, list) and all(isinstance(state, dict) for state in states), (name, states)
        assert all(state["result"] for state in states), (name, states)
    return found


def applied(found):
    """Bring every host of a site to its policy with the modules that it has: to sync them is most of a highstate."""
    answers = found.answers("state.apply", "sshtrail", timeout=DEADLINE)
    assert set(answers) == set(HOSTS), answers
    for name, states in answers.items():
        assert isinstance(states, dict) and all(state["result"] for state in states.values()), (name, states)


def forgotten(found):
    """Forget every event of a site that nobody has waited for."""
    found.kept.clear()
    with contextlib.suppress(queue.Empty):
        while True:
            found.events.get_nowait()


def lost_long_ago(base):
    """Let what a host's last look tells of lost records, with its minion below ``base`` (pathlib.Path), be long ago."""
    [kept] = base.rglob("cache/**/coverage.json")
    value = json.loads(kept.read_text())
    value["memory"]["loss"] = value["memory"]["loss"] and [value["memory"]["loss"][0], 0]
    kept.write_text(json.dumps(value))


def anew(found):
    """Bring a site back to where it was: every host in its policy, no claim, nothing repaired, no event to come."""
    applied(found)
    nobody = dict.fromkeys(HOSTS)
    wait_for(lambda: found.answers("sshtrail_watch.claim") == nobody, "the end of all claims")
    # A test may have put one there itself.
    found.answers("mine.delete", MINE_KEY)
    kept(found, "repairs.json").unlink(missing_ok=True)
    forgotten(found)
    return found


def kept(found, name):
    """Return where the master of a site keeps what its runner remembers (pathlib.Path)."""
    return found.base / "master/var/cache/salt/master/sshtrail" / name


def by_hand(found, command):
    """Run a shell's command on the audited host as somebody who has logged in and become root."""
    login = 'echo "$1" >/proc/self/loginuid; exec sh -c "$2"'
    found.houses[AUDITED].run("sh", "-c", login, "sh", str(UID), command)
