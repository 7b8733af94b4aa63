"""
policy.persons: who is who, and each mistake by its place.
"""

import pytest
from sshtrail_lib.policy import persons

KEY = "SHA256:" + "a" * 43


def test_people_are_copied():
    given = {"Ana": {"keys": [KEY], "certificates": ["ana@*"], "accounts": ["ana"]}}
    problems = []
    assert persons.people(given, "people", problems) == given and problems == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ([], "people must be a mapping"),
        ({"Ana": []}, "people:Ana must be a mapping with some of keys, certificates, accounts"),
        ({"Ana": {"key": []}}, "people:Ana:key is unknown; allowed are keys, certificates, accounts"),
        ({"Ana": {"keys": KEY}}, "people:Ana:keys must be a list"),
        ({"Ana": {"keys": ["AAAA"]}}, "people:Ana:keys:0 is 'AAAA'; write a fingerprint as ssh-keygen -l prints it"),
        ({"Ana": {"accounts": [5]}}, "people:Ana:accounts:0 must be text"),
    ],
)
def test_each_mistake_is_named(given, named):
    problems = []
    persons.people(given, "people", problems)
    assert [one for one in problems if one.startswith(named)], problems
