"""What the host's sshd says of the edits of tests/data/sshd/people.yaml: that it does what they promise."""

import pytest
from matrix.sshd_people import CASES, planned
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.sshd import host, oracle

MINION = Minion({}, {"test": True, "sshtrail.run_dir": "/nonexistent"}, {}, {})


@pytest.mark.parametrize("name", [name for name, case in CASES.items() if case.get("after")])
def test_sshd_takes_it(separation, name):
    host._prove(MINION, planned(CASES[name], oracle.daemon(MINION)))
