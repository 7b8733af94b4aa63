"""Whom a configuration reaches (tests/data/sshd/people.yaml), for OpenSSH 9.2; golden defaults instead of an sshd."""

import pytest
from matrix.sshd_people import CASES, after, placed, planned
from matrix.sshd_trees import golden
from salt.exceptions import SaltException

DAEMON = golden("9.2")


@pytest.mark.parametrize("name", CASES)
def test_a_case(name):
    case = CASES[name]
    if "fails" in case:
        with pytest.raises(SaltException) as caught:
            planned(case, DAEMON)
        assert [words for words in case["fails"] if words not in str(caught.value)] == [], caught.value
        return
    done = planned(case, DAEMON)
    assert after(done) == placed(case["after"])
    assert done.changes == case.get("changes", done.changes)
    assert bool(done.changes) == bool(case["after"])
    again = planned(case, DAEMON, case["after"])
    assert (again.changes, again.files) == ({}, {})
