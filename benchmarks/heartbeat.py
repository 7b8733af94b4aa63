#!/usr/bin/env python3
"""
What the heartbeats of a fleet cost its master: to take them, to keep them, and to see who is missing.

    benchmarks/heartbeat.py [--hosts N] [--rounds N]

Takes root and some minutes. A real master and three real minions in namespaces, as in the integration tests, and
simulated minions beside them: each with an accepted key, its own encrypted channel and its own heartbeat in the mine.
They run on the same machine as the master, so that the times on the clock are too long; the processor's time is the
master's own.
"""

import argparse
import contextlib
import pathlib
import resource
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("tests", "tests/integration", "_utils", "bin")]

import salt.config  # noqa: E402
import salt.runner  # noqa: E402
from loop import site  # noqa: E402
from storm import Storm  # noqa: E402

#: Seconds for which the master is measured while nothing happens.
IDLE = 20
#: The fleet that the figures are told for, and seconds between two heartbeats and between two rounds of the master.
MANY, AGREED, ROUND = 10_000, 300, 60


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--hosts", type=int, default=1000, help="how many simulated minions (default: 1000)")
    arguments.add_argument("--rounds", type=int, default=5, help="how many heartbeats of each (default: 5)")
    given = arguments.parse_args()
    # Each simulated minion has a socket of its own.
    resource.setrlimit(resource.RLIMIT_NOFILE, [resource.getrlimit(resource.RLIMIT_NOFILE)[1]] * 2)
    with site(audited=False) as found, contextlib.ExitStack() as stack:
        storm = Storm(stack, found, given.hosts)
        before = storm.processor()
        time.sleep(IDLE)
        resting = (storm.processor() - before) / IDLE
        # The first one makes the files.
        storm.beat()
        before = storm.processor()
        seconds = [storm.beat() for _ in range(given.rounds)]
        used = storm.processor() - before - resting * sum(seconds)
        show_beats(given, seconds, 1000 * used / given.hosts / given.rounds, sizes(found, storm))
        show_rounds(given, found)


def show_beats(given, seconds, each, sizes):
    """Print what it costs to take and to keep them."""
    print(f"{given.hosts} hosts, {given.rounds} heartbeats each; all at once take {max(seconds):.1f} s at most")
    print(f"the master's processor for a heartbeat: {each:.2f} ms")
    print(f"on its disk: {sizes[0]} bytes for a host, {sizes[1]} with blocks")
    share = MANY / AGREED * each / 1000
    print(f"{MANY} hosts, one in {AGREED} s: {MANY / AGREED:.0f} a second, {100 * share:.1f} % of a core")
    print(f"and {MANY * sizes[0] / 1e6:.1f} MB, {MANY * sizes[1] / 1e6:.0f} MB with blocks, written anew in {AGREED} s")


def show_rounds(given, found):
    """Print what it costs to see who is missing, and to read all claims, without the start of the program."""
    client = salt.runner.RunnerClient(salt.config.master_config(str(found.conf / "master")))
    for name, command in (("who is missing", ["sshtrail.watch"]), ("all claims", ["cache.mine", "*"])):
        used = min(processor(client, *command) for _ in range(4))
        print(f"to look for {name}: {1000 * used:.0f} ms of processor for {given.hosts} hosts", end="; ")
        many = used * MANY / given.hosts
        print(f"{many:.1f} s for {MANY}, {100 * many / ROUND:.1f} % of a core when it is done every {ROUND} s")


def processor(client, function, *args):
    """Return the seconds of processor that a runner takes (float) in a process that has loaded it."""
    before = time.process_time()
    client.cmd(function, list(args), print_event=False)
    return time.process_time() - before


def sizes(found, storm):
    """Return how many bytes the master keeps for the mine of a simulated host, and how many on its disk (int)."""
    [path] = [*(found.base / "master").rglob(f"mine/{storm.names[0]}.p"), *legacy(found, storm.names[0])]
    return path.stat().st_size, path.stat().st_blocks * 512


def legacy(found, name):
    """Yield the same file as masters before Salt 3008 have it."""
    yield from (found.base / "master").rglob(f"minions/{name}/mine.p")


if __name__ == "__main__":
    main()
