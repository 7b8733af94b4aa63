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
