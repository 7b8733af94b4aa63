"""Whom a Match block is about; golden defaults instead of an sshd."""

import pytest
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import match, members

DAEMON = golden("9.2")


@pytest.mark.parametrize(
    ("criteria", "field"),
    [
        ("Address *", "addr"),
        ("Address 192.168.*", "addr"),
        ("Address 10.1.2.??", "addr"),
        ("Address *,!10.0.0.0/8", "addr"),
        ("Address 10.0.0.0/8,!10.0.0.0/16", "addr"),
        ("Address 192.168.*,!192.168.5.*", "addr"),
        ("Address 2001:db8:*", "addr"),
        ("LocalAddress *,!127.0.0.1", "laddr"),
        ("User *,!root Address *,!10.*", "addr"),
    ],
)
def test_one_of_whom_sshd_finds_it_too(criteria, field):
    """sshd takes for no address what a wildcard of a pattern is an example of, and heeds what the list excludes."""
    words = match.parse(criteria.split(), DAEMON)
    sample = match.sample(words, DAEMON.names)
    found = members.real(words, sample, DAEMON)
    assert found.criteria == sample.criteria
    assert match.network(getattr(found, field), DAEMON.names), found
    assert match.meets(words, found._replace(criteria=()), DAEMON)


@pytest.mark.parametrize("criteria", ["User g*,!gx", "User *,!x", "User ?,!x", "Host *.example.com,!x.example.com"])
def test_one_whom_the_list_does_not_exclude_by_name(criteria):
    words = match.parse(criteria.split(), DAEMON)
    found = members.real(words, match.sample(words, DAEMON.names), DAEMON)
    assert match.meets(words, found._replace(criteria=()), DAEMON), found


@pytest.mark.parametrize(
    "criteria", ["User bo?", "Group staff", "Address 10.0.0.0/8", "LocalPort 22 Host *.example.com"]
)
def test_an_example_that_sshd_takes_stays(criteria):
    words = match.parse(criteria.split(), DAEMON)
    sample = match.sample(words, DAEMON.names)
    assert members.real(words, sample, DAEMON) is sample
