"""
fleet.pillars: what is asked of a host is told later, whoever compiles it, and whatever happens meanwhile.
"""

import multiprocessing
import os
import signal
import subprocess
import sys
import threading
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


@pytest.mark.parametrize("count", [1, 7, 40])
def test_each_is_told_once(count):
    names = NAMES[:count]
    with pillars.Pillars(digest) as asked:
        asked.ask(names)
        assert asked.asked() == count
        found = told(asked)
    expected = {name: f"{name} False" for name in names}
    assert found == {**expected, **{name: None for name in ("web3", "web5") if name in names}}


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSTOP])
@pytest.mark.parametrize("idle", [False, True])
def test_a_process_that_is_killed_or_stopped_is_replaced(monkeypatch, number, idle):
    """At work it has a name, and idle it waits for one: neither keeps the others, or the end, waiting for it."""
    monkeypatch.setattr(pillars, "TRIES", (0.3, 0.3))
    monkeypatch.setattr(pillars, "SLACK", 0.3)
    with pillars.Pillars(digest) as asked:
        asked.ask(NAMES)
        found = told(asked) if idle else dict(asked.told())
        hit = asked._workers[0].pid
        os.kill(hit, number)
        asked.ask(["late1", "late2"])
        started = time.monotonic()
        found.update(told(asked))
        children = [worker.pid for worker in asked._workers]
    assert time.monotonic() - started < 20 and not any(map(alive, [hit, *children]))
    names = {*NAMES, "late1", "late2"}
    assert found == {name: None if name in ("web3", "web5") else f"{name} False" for name in names}


def test_who_kills_its_process_each_time_has_no_pillar():
    with pillars.Pillars(lambda name: os.kill(os.getpid(), 9) if name == "web7" else name) as asked:
        asked.ask(NAMES)
        found = told(asked)
    assert found == {name: None if name == "web7" else name for name in NAMES}


def test_where_no_process_can_be_started_this_one_does_it(monkeypatch):
    def fork():
        raise BlockingIOError(11, "Resource temporarily unavailable")

    monkeypatch.setattr(os, "fork", fork)
    with pillars.Pillars(digest) as asked:
        asked.ask(NAMES)
        found = told(asked)
    assert found == {name: None if name in ("web3", "web5") else f"{name} True" for name in NAMES}


def in_a_thread(compile_):
    """Return what is told of two hosts to one who asks in a thread, which nobody can interrupt, as a reactor does."""
    found = {}
    thread = threading.Thread(target=lambda: found.update(pillars.asked(compile_, ["web1", "web2"])), daemon=True)
    thread.start()
    thread.join(30)
    return found


def in_a_daemon(compile_):
    """Return the same of one whose process is a daemon to multiprocessing, which starts no process for such a one."""
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    process = context.Process(target=lambda: theirs.send(in_a_thread(compile_)), daemon=True)
    process.start()
    try:
        return ours.recv() if ours.poll(40) else {}
    finally:
        process.kill()
        process.join()


@pytest.mark.parametrize("asks", [in_a_thread, in_a_daemon])
def test_a_pillar_without_an_end_ends_whoever_asks(monkeypatch, asks):
    monkeypatch.setattr(pillars, "TRIES", (0.3, 0.3))
    monkeypatch.setattr(pillars, "AGAIN", 0.1)
    assert asks(endless) == {"web1": None, "web2": "web2"}


@pytest.mark.parametrize(("failures", "expected"), [(3, "web"), (10**6, None)])
def test_in_a_thread_nobody_else_compiles_where_no_process_can_be_started(monkeypatch, failures, expected):
    """The moment may be over before it is given up; what a thread has begun itself, nobody could end."""
    monkeypatch.setattr(pillars, "TRIES", (1.0, 1.0))
    fork, failed = os.fork, []

    def refuse():
        if len(failed) < failures:
            failed.append(1)
            raise BlockingIOError(11, "Resource temporarily unavailable")
        return fork()

    monkeypatch.setattr(os, "fork", refuse)
    begun = time.monotonic()
    assert in_a_thread(lambda name: name[:3]) == {"web1": expected, "web2": expected}
    assert time.monotonic() - begun < 10


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
    monkeypatch.setattr(pillars, "TRIES", (0.3, 0.3))
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
    monkeypatch.setattr(pillars, "TRIES", (0.3, 0.3))
    begun, start = [], pillars.Pillars._begun
    monkeypatch.setattr(pillars.Pillars, "_begun", lambda self: [begun.append(self), start(self)][1])
    first = min(pillars.MOST, len(os.sched_getaffinity(0)))

    def hung(name):
        # A child knows what its parent had begun before it.
        if len(begun) <= first or name == "web7":
            time.sleep(600)
        return f"{name} {os.getpid() == PARENT}"

    with pillars.Pillars(hung) as asked:
        asked.ask(NAMES)
        found = told(asked)
    assert found == {name: None if name == "web7" else f"{name} False" for name in NAMES}
    assert first < len(begun) <= 2 * first + 2


KILLED = """
import os, sys, time
from sshtrail_lib.fleet import pillars
asked = pillars.Pillars(lambda name: time.sleep(600))
asked.ask([str(n) for n in range(40)])
list(asked.told())
print(*[worker.pid for worker in asked._workers], flush=True)
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
