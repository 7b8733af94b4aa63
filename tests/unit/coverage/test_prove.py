"""
coverage.prove: when a login has to be proven to be recorded anew.
"""

import time

import pytest
from sshtrail_lib.base import text
from sshtrail_lib.coverage import prove

HOUR = 3600.0


@pytest.mark.parametrize(
    ("ago", "age", "due"),
    [(60.0, HOUR, False), (2 * HOUR, HOUR, True), (2 * HOUR, 0.0, False), (-HOUR, HOUR, True), (-HOUR, 0.0, False)],
)
def test_a_proof_counts_for_as_long_as_it_may_whatever_the_clock_was(ago, age, due):
    found = {"time": text.iso(time.time() - ago), "holds": True, "lost_at": None, "said": ""}
    assert bool(prove.due(found, age)) is due
    assert prove.due({**found, "holds": False, "said": "lost"}, age).endswith("lost")
    assert prove.due(None, age)


@pytest.mark.parametrize(
    ("lost", "load", "held", "seconds"),
    [
        ("accept", 9.0, 1, prove.REASON),
        ("log", 0.5, 0, prove.QUIET),
        ("file", 0.5, 0, prove.QUIET),
        ("log", 2.5, 0, prove.LATEST),
        ("file", 0.5, 7, prove.LATEST),
        ("log", OSError(), 0, prove.LATEST),
    ],
)
def test_who_is_late_is_waited_for_where_it_may_be(monkeypatch, lost, load, held, seconds):
    def average():
        if isinstance(load, OSError):
            raise load
        return load, 0.0, 0.0

    monkeypatch.setattr(prove.os, "getloadavg", average)
    monkeypatch.setattr(prove.os, "cpu_count", lambda: 2)
    monkeypatch.setattr(prove.witness, "backlog", lambda: held)
    assert prove._patience(lost) == seconds
