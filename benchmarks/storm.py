#!/usr/bin/env python3
"""
What a storm of drift costs a master: many hosts that tell of drift in the same moment, until the last is repaired.

    benchmarks/storm.py [--hosts N]

Takes root and some minutes. A real master and three real minions in namespaces, as in the integration tests, and
simulated minions beside them: each with an accepted key, its own encrypted channel, its own claim in the mine and its
own answers; only the work on the host itself is left out. They run on the same machine as the master, so that the
times on the clock are too long: what they take of a processor, all in one process, is told too.
"""

import argparse
import contextlib
import pathlib
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("tests", "tests/integration", "_utils", "bin")]

from loop import unaudited_site  # noqa: E402
from storm import Storm  # noqa: E402

PROBED = "dev-1"
#: How long the master is measured while nothing happens, in seconds.
IDLE = 20


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--hosts", type=int, default=200, help="how many simulated minions drift (default: 200)")
    count = arguments.parse_args().hosts
    with unaudited_site() as found, contextlib.ExitStack() as stack:
        storm = Storm(stack, found, count)
        with storm.probe(PROBED) as idle:
            before = storm.processor()
            time.sleep(IDLE)
            resting = (storm.processor() - before) / IDLE
        with storm.probe(PROBED) as busy:
            before, crowded = storm.processor(), storm.crowded()
            started = storm.blow()
            told, last = storm.repaired()
            used, crowded = storm.processor() - before, storm.crowded() - crowded
        show(storm, told, last - started, used, resting)
        print(f"the simulated hosts' processor: {crowded:.1f} s, {1000 * crowded / count:.0f} ms a host")
        for what, name in (("events", "an event over the bus"), ("pings", "a ping of a real minion")):
            compare(name, idle[what], busy[what])


def show(storm, told, seconds, used, resting):
    """Print what became of the storm."""
    count = len(storm.names)
    once = sum(outcome == ["repaired"] for outcome in told.values())
    print(f"{count} hosts drift at once; repaired exactly once: {once}")
    print(f"from the first event to the last repair: {seconds:.1f} s, {1000 * seconds / count:.0f} ms a host")
    print(f"jobs published: {len(storm.published)}")
    print(f"the master's processor: {used:.1f} s, {1000 * used / count:.0f} ms a host (at rest: {100 * resting:.0f} %)")


def compare(name, idle, busy):
    """Print a latency at rest and under the storm: the median, and the value that 95 of 100 do not exceed."""
    for what, pick in (("median", statistics.median), ("95 %", lambda all_: statistics.quantiles(all_, n=20)[-1])):
        rest, load = 1000 * pick(idle), 1000 * pick(busy)
        print(f"{name}, {what}: {rest:.1f} ms at rest, {load:.1f} ms in the storm, {load / rest:.1f} times as long")


if __name__ == "__main__":
    main()
