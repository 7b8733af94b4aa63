#!/usr/bin/env python3
"""
How long it takes from a change by hand until the host is repaired, beside the same repair by somebody at the master.

usage: sudo benchmarks/loop.py [ROUNDS]

A real master and three minions in namespaces, one with the kernel's audit subsystem, at the default interval of ten
seconds. In each round somebody loosens LogLevel and deletes a rule at any moment between two looks; then the same is
done while the host is silent, and `salt HOST state.apply sshtrail` repairs it. The clock runs on the master, from the
end of the change to the event, or to the answer.
"""

import pathlib
import random
import statistics
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("tests", "tests/integration", "_utils", "bin")]

from _site import AUDITED  # noqa: E402
from loop import audited_site, by_hand  # noqa: E402

ROUNDS, INTERVAL = 10, 10
#: What a repair may take after the look that finds the drift, in seconds.
EXPECTED = 3
BREAK = "sed -i s/VERBOSE/ERROR/ /etc/ssh/sshd_config"
BREAK += "; auditctl -d always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands"


def main():
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else ROUNDS
    with audited_site(INTERVAL) as site:
        taken = [(*looped(site), commanded(site)) for _ in range(rounds)]
    found, repaired, command = zip(*taken, strict=True)
    after = [whole - part for whole, part in zip(repaired, found, strict=True)]
    print(f"a keyword and a rule, changed by hand at any moment; {rounds} rounds, seconds: minimum, median, maximum")
    for name, column in (("until it is told", found), ("from there until it is repaired", after)):
        print(line(name, column))
    print(line(f"together (expected: at most {INTERVAL + EXPECTED})", repaired))
    print(line("salt HOST state.apply sshtrail", command))
    print(f"from told to repaired takes {statistics.median(after) / statistics.median(command):.2f} times the command")


def looped(site):
    """Change the host and let the loop work; return the seconds until it was told, and until it was repaired."""
    time.sleep(random.uniform(0, INTERVAL))
    by_hand(site, BREAK)
    began = time.monotonic()
    found, _, _ = site.event(AUDITED, "found")
    repaired, kind, data = site.event(AUDITED, "repaired", "failed", "stopped")
    if kind != "repaired":
        raise SystemExit(f"{kind}: {data['reason']}")
    site.event(AUDITED, "gone")
    return found - began, repaired - began


def commanded(site):
    """Change the host while it is silent, and repair it from the master; return the seconds which that took."""
    site.answers("sshtrail_watch.silence", "60", "benchmark", target=AUDITED)
    by_hand(site, BREAK)
    began = time.monotonic()
    states = site.answers("state.apply", "sshtrail", target=AUDITED)[AUDITED]
    taken = time.monotonic() - began
    if not all(state["result"] for state in states.values()):
        raise SystemExit(f"the command failed: {states}")
    site.answers("sshtrail_watch.resume", target=AUDITED)
    return taken


def line(name, seconds):
    return f"  {name:<36}" + "".join(f"{pick(seconds):8.1f}" for pick in (min, statistics.median, max))


if __name__ == "__main__":
    main()
