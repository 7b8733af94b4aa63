"""
fleet.pillars: what is asked of a host is told later, whoever compiles it, and whatever happens meanwhile.
"""

import os
import signal
import subprocess
import sys
import time

import pytest
from sshtrail_lib.fleet import pillars

NAMES = [f"web{number}" for number in range(40)]


def digest(name):
    if name == "web3":
        raise KeyError("grain")
    if name == "web5":
        return None
    return f"{name} {os.getpid() == PARENT}"


PARENT = os.getpid()


def told(asked, seconds=60):
    found, end = {}, time.monotonic() + seconds
    while asked.asked() and time.monotonic() < end:
        found.update(asked.told())
        time.sleep(0.01)
    return found


@pytest.mark.parametrize("count", [1, pillars.WORTHWHILE - 1, 40])
def test_each_is_told_once(count):
    names = NAMES[:count]
    with pillars.Pillars(digest) as asked:
        asked.ask(names)
        assert asked.asked() == count
        found = told(asked)
    here = count < pillars.WORTHWHILE
    expected = {name: f"{name} {here}" for name in names}
    assert found == {**expected, **{name: None for name in ("web3", "web5") if name in names}}


def test_a_process_that_hangs_is_not_waited_for(monkeypatch):
    monkeypatch.setattr(pillars, "DEADLINE", 0.5)
    hung = lambda name: "here" if os.getpid() == PARENT else time.sleep(600)  # noqa: E731
    with pillars.Pillars(hung) as asked:
        asked.ask(NAMES)
        started = time.monotonic()
        monkeypatch.setattr(pillars, "WORTHWHILE", 100)
        found = {}
        # The ones before have begun already.
        asked._start()
        found = told(asked)
    assert found == dict.fromkeys(NAMES, "here") and time.monotonic() - started < 60


def endless(name):
    """What Salt does: an error of one file is kept, and the next file is read."""
    files = 0
    while name == "web1" and files < 3:
        try:
            while True:
                pass
        except TimeoutError:
            files += 1
    if files:
        raise KeyError("three files that have no end")
    return name


@pytest.mark.parametrize("count", [2, 12])
def test_a_pillar_without_an_end_holds_up_nobody_else(monkeypatch, count):
    monkeypatch.setattr(pillars, "LONGEST", 0.3)
    monkeypatch.setattr(pillars, "AGAIN", 0.1)
    before, started = signal.getsignal(signal.SIGALRM), time.monotonic()
    with pillars.Pillars(endless) as asked:
        asked.ask(NAMES[:count])
        found = told(asked)
    assert found == {name: None if name == "web1" else name for name in NAMES[:count]}
    assert time.monotonic() - started < 30
    assert signal.getsignal(signal.SIGALRM) == before and signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def test_processes_that_hang_are_begun_anew(monkeypatch):
    """What a fork of a process with threads can do: wait for a lock that nobody has any more, whatever it is asked."""
    monkeypatch.setattr(pillars, "LONGEST", 0.3)
    begun, start = [], pillars.Pillars._start
    monkeypatch.setattr(pillars.Pillars, "_start", lambda self: [begun.append(self), start(self)])

    def hung(name):
        # A child knows what its parent had begun before it.
        if len(begun) == 1 or name == "web7":
            time.sleep(600)
        return f"{name} {os.getpid() == PARENT}"

    with pillars.Pillars(hung) as asked:
        asked.ask(NAMES)
        found = told(asked)
    assert found == {name: None if name == "web7" else f"{name} False" for name in NAMES}
    assert 2 <= len(begun) <= 4


KILLED = """
import os, sys, time
from sshtrail_lib.fleet import pillars
asked = pillars.Pillars(lambda name: time.sleep(600))
asked.ask([str(n) for n in range(40)])
list(asked.told())
print(*[process.pid for process in asked._pool._pool], flush=True)
time.sleep(600)
"""


def test_who_is_killed_leaves_nobody_behind():
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    parent = subprocess.Popen([sys.executable, "-c", KILLED], stdout=subprocess.PIPE, text=True, env=environ)
    children = [int(pid) for pid in parent.stdout.readline().split()]
    assert children and all(os.path.exists(f"/proc/{pid}") for pid in children)
    parent.send_signal(signal.SIGKILL)
    parent.wait()
    end = time.monotonic() + 30
    while time.monotonic() < end and any(alive(pid) for pid in children):
        time.sleep(0.05)
    assert not [pid for pid in children if alive(pid)]


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as handle:
            return handle.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


SAME = """
import json, sys
import salt.config
from sshtrail_lib.fleet import master, pillars
opts = salt.config.master_config(None)
root, base = sys.argv[1:]
opts.update(cachedir=base, pki_dir=base, extension_modules=base, sock_dir=base)
opts.update(pillar_roots={"base": [f"{root}/pillar"]}, file_roots={"base": [f"{root}/salt"]}, module_dirs=[root])
site = master.Master(opts, {})
before = site.pillar("prod-1")
pillars.list_once()
assert before == site.pillar("prod-1") == site.pillar("prod-1") and before[0]["sshtrail"]["environment"] == "prod"
assert site.pillar("dev-1")[0]["sshtrail"]["environment"] == "dev"
"""


def test_a_pillar_is_the_same_where_directories_are_listed_once(root, tmp_path):
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    subprocess.run([sys.executable, "-c", SAME, root, tmp_path], check=True, env=environ)


@pytest.mark.parametrize("count", [0, 3, 40])
def test_all_are_told_to_who_waits(count):
    found = dict(pillars.asked(digest, NAMES[:count]))
    assert sorted(found) == sorted(NAMES[:count]) and all(
        (found[name] is None) == (name in ("web3", "web5")) for name in found
    )


def test_options_are_not_counted():
    code = (
        "import importlib\nfrom sshtrail_lib.fleet import pillars\npillars.count_never()\n"
        "try:\n    made = importlib.import_module('salt.utils.optsdict').OptsDict.from_dict({})\n"
        "except ImportError:\n    made = True\nassert made"
    )
    subprocess.run(
        [sys.executable, "-c", code], check=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    )
