"""
``sshtrail_trail`` through Salt's loader: on the logs that are recorded in the tests' data.
"""

import pytest
from salt.exceptions import SaltInvocationError


def test_what_fills_the_log(modules, root):
    logs = str(root / "tests" / "data" / "sessions" / "audit.log.1.gz")
    found = modules.sshtrail_trail.volume(days=None, path=logs)
    assert found["bytes_per_day"] > 0 and found["full_in_days"] > 0
    assert found["by_key"][0]["name"] == "ssh_commands"
    assert modules.sshtrail_trail.volume(path=logs)["oldest"] == found["oldest"]


def test_days_are_a_number(modules):
    with pytest.raises(SaltInvocationError, match="days must be a number, and not 'x'"):
        modules.sshtrail_trail.volume(days="x")
