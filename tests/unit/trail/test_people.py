"""
trail.people: whom the policy names for a key, a certificate, an account.
"""

import pytest
from sshtrail_lib.trail import people
from sshtrail_lib.trail.session import Certificate, Key, Session

ONE, TWO = "SHA256:" + "a" * 43, "SHA256:" + "b" * 43
PEOPLE = {
    "Ana": {"keys": [ONE], "accounts": ["ana"]},
    "Bob": {"certificates": ["bob@*", "all@*"], "accounts": ["bob", "shared"]},
    "Eve": {"certificates": ["all@*"], "accounts": ["shared"]},
}


def key(print_):
    return {"key": Key("ED25519", print_), "method": "publickey"}


def certificate(id_, print_=TWO):
    return {**key(print_), "certificate": Certificate(id_, "7", TWO)}


@pytest.mark.parametrize(
    ("known", "person", "why"),
    [
        ({"user": "deploy", **key(ONE)}, "Ana", None),
        ({"user": "bob", **key(ONE)}, "Ana", None),
        ({"user": "deploy", **key(TWO)}, None, f"nobody is named for the key {TWO}"),
        (
            {"user": "ana", **key(TWO)},
            "Ana",
            f"nobody is named for the key {TWO}; this is whom the account is named for",
        ),
        ({"user": "deploy", **certificate("bob@ops")}, "Bob", None),
        (
            {"user": "deploy", **certificate("all@ops")},
            None,
            "several persons are named for the certificate all@ops: Bob, Eve",
        ),
        ({"user": "deploy", **certificate("x", ONE)}, "Ana", None),
        ({"user": "ana", "method": "password"}, "Ana", None),
        ({"user": "shared", "method": "password"}, None, "several persons are named for the account shared: Bob, Eve"),
        ({"user": "root", "method": "password"}, None, "nobody is named for the account root"),
    ],
)
def test_who_it_was(known, person, why):
    found = people.named(Session("1@x", "web1", **known), PEOPLE)
    assert (found.person, found.unknown.get("person")) == (person, why)
