"""The criteria of a Match line, and who meets them."""

import pytest
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import match
from sshtrail_lib.sshd.daemon import Daemon, Names

DAEMON = golden("9.2")


@pytest.mark.parametrize(
    ("criteria", "connection", "met"),
    [
        ("all", {}, True),
        ("User bob", {"user": "bob"}, True),
        ("User bob", {}, False),
        ("User !bob,*", {"user": "bob"}, False),
        ("User !bob,*", {"user": "eve"}, True),
        ("User !bob", {"user": "eve"}, False),
        ("User b?b", {"user": "bob"}, True),
        ("User BOB", {"user": "bob"}, False),
        ("Host *.Example.COM", {"host": "a.example.com"}, True),
        ("Address 192.0.2.0/24", {"addr": "192.0.2.9"}, True),
        ("Address 192.0.2.*", {"addr": "192.0.2.9"}, True),
        ("Address !192.0.2.9,192.0.2.0/24", {"addr": "192.0.2.9"}, False),
        ("Address 2001:db8::/32", {"addr": "2001:DB8::1"}, True),
        ("Address 10.0.0.0/8", {"addr": "2001:db8::1"}, False),
        ("LocalAddress 127.0.0.1 LocalPort 22", {"laddr": "127.0.0.1", "lport": 22}, True),
        ("LocalAddress 127.0.0.1 LocalPort 22", {"laddr": "127.0.0.1", "lport": 23}, False),
        ("Group root", {"user": "root"}, True),
        ("Group !root,*", {"user": "root"}, False),
        ("Group root", {"user": "no such user"}, False),
    ],
)
def test_match_criteria(criteria, connection, met):
    parsed = match.parse(criteria.split(" "), DAEMON)
    assert match.meets(parsed, match.Connection(**connection), DAEMON) is met


@pytest.mark.parametrize(
    "criteria", ["", "User", "Usr bob", "all User x", "User x all", "Address 10.0.0.1/8", "Address a,,b", "LocalPort x"]
)
def test_bad_match_criteria(criteria):
    with pytest.raises(match.BadCriteria):
        match.parse(criteria.split(), DAEMON)


def test_groups_and_services_come_from_who_calls():
    names = Names(groups=lambda account: [f"{account}s"], service={"ssh": 22}.get)
    daemon = Daemon((9, 2), names=names)
    for criteria, connection in (("Group bobs", {"user": "bob"}), ("LocalPort ssh", {"lport": 22})):
        parsed = match.parse(criteria.split(" "), daemon)
        assert match.meets(parsed, match.Connection(**connection), daemon)
        assert not match.meets(parsed, match.Connection(user="eve", lport=23), daemon)
