"""Who is left of a Match block without those of another; golden defaults instead of an sshd."""

import itertools

import pytest
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import apart, match
from sshtrail_lib.sshd.match import Connection

GROUPS = {"alice": ["wheel"], "bob": ["ops"], "carol": ["ops", "wheel"], "dave": ["users"]}
DAEMON = golden("9.2")
DAEMON = DAEMON._replace(names=DAEMON.names._replace(groups=lambda name: GROUPS.get(name, [])))
CRITERIA = [
    *(
        "all",
        "User alice,bob",
        "User bob",
        "User !bob,*",
        "User !alice,a*",
        "Group wheel",
        "Group !wheel,*",
        "Group ops",
    ),
    *("Address 10.0.0.0/8", "Address !10.1.0.0/16,10.0.0.0/8", "Host *.example.com", "User bob Address 10.1.0.0/16"),
    *("LocalAddress 192.0.2.1", "Group ops User carol,dave", "User alice,bob Host h.example.com Address *"),
]
EVERYBODY = [
    Connection(user, host, addr, laddr, 22)
    for user, host, addr, laddr in itertools.product(
        GROUPS, ("h.example.com", "other"), ("10.1.1.1", "10.2.2.2", "203.0.113.1"), ("192.0.2.1", "192.0.2.2")
    )
]


def parsed(text):
    return match.parse(text.split(), DAEMON)


@pytest.mark.parametrize(("one", "other"), list(itertools.product(CRITERIA, CRITERIA)))
def test_each_is_met_once_or_not_at_all(one, other):
    """Whoever meets the one and not the other meets one of the new blocks, and nobody else does."""
    if other == "all":
        return
    found = apart.apart(parsed(one), parsed(other), DAEMON)
    for somebody in EVERYBODY:
        left = match.meets(parsed(one), somebody, DAEMON) and not match.meets(parsed(other), somebody, DAEMON)
        assert [match.meets(each, somebody, DAEMON) for each in found].count(True) == left, (found, somebody)
    # Each is what a line can say.
    assert [match.parse(match.text(each).split(), DAEMON) for each in found] == found


@pytest.mark.parametrize("other", ["LocalPort 22", "RDomain x", "User bob LocalPort 22"])
def test_of_whom_none_can_be_excepted(other):
    with pytest.raises(apart.Inseparable, match="knows no exceptions"):
        apart.apart(parsed("Address 10.0.0.0/8"), parsed(other), DAEMON)


def test_what_both_share_needs_no_exception():
    assert apart.apart(parsed("LocalPort 22"), parsed("LocalPort 22 User bob"), DAEMON) == [
        parsed("LocalPort 22 User !bob,*")
    ]
