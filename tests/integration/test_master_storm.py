"""
Two hundred hosts that drift at once: each is repaired once, none is forgotten, and the master answers meanwhile.

The simulated minions of :mod:`crowd` are real for the master: keys, channels, claims, events and returns. Two cores do
not carry two hundred whole minions, nor is anything of theirs beyond the channel in question here.
"""

import collections
import contextlib
import statistics

import pytest
from storm import Storm

COUNT = 200
LIAR = "crowd-liar"
REAL = "staging-1"
#: An event on the bus takes about a millisecond; a master that stands still for a storm would take minutes, in seconds.
BEARABLE = 20


@pytest.fixture(scope="module")
def storm(site):
    with contextlib.ExitStack() as stack:
        yield Storm(stack, site, COUNT, [LIAR])


def test_each_is_repaired_once_and_none_is_lost(storm):
    with storm.probe("dev-1") as latency:
        storm.site.houses[REAL].run("sed", "-i", "s/VERBOSE/ERROR/", "/etc/ssh/sshd_config")
        storm.blow()
        told, _ = storm.repaired(others=[REAL, LIAR])
    assert told.pop(LIAR)[0] == "failed"
    assert told == {name: ["repaired"] for name in (*storm.names, REAL)}
    applied = collections.Counter(n for one in storm.published if one["fun"] == "state.apply" for n in one["ids"])
    del applied[LIAR]
    assert applied == dict.fromkeys(storm.names, 1)
    assert statistics.quantiles(latency["events"], n=20)[-1] < BEARABLE
    # Batches, however slow the machine: one by one each host would need two jobs.
    assert len(storm.published) < COUNT
