"""
trail.notable: which logins somebody wants to be told of, and why.
"""

import datetime

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.trail import notable

NOTHING = {"root": False, "password": False, "unknown_key": False, "new_account": False, "networks": [], "hours": []}
KEY = {"type": "ED25519", "fingerprint": "SHA256:x", "file": None, "line": None}
# A Wednesday.
SESSION = {
    **{"id": "7@20261125T211500Z", "user": "alice", "auid": 1001, "method": "publickey", "key": KEY},
    **{"certificate": None, "from": {"address": "192.0.2.9", "port": 4}, "started": "2026-11-25T21:15:00.000Z"},
    "unknown": {},
}
EAST = datetime.timezone(datetime.timedelta(hours=3))
NOBODYS = {"person": "nobody is named for the key SHA256:x"}


@pytest.mark.parametrize(
    ("tell", "session", "said"),
    [
        ({"root": True}, {}, None),
        ({"root": True}, {"user": "root", "auid": 0}, "root logged in directly"),
        ({"root": True}, {"user": "toor", "auid": 0}, "root logged in directly"),
        ({"root": True}, {"user": "root", "auid": None}, "root logged in directly"),
        ({"password": True}, {}, None),
        ({"password": True}, {"method": "password", "key": None}, "somebody logged in by password"),
        ({"password": True}, {"method": "keyboard-interactive/pam", "key": None}, "by keyboard-interactive"),
        ({"password": True}, {"method": None, "key": None}, "with what somebody logged in is not known"),
        ({"unknown_key": True}, {}, None),
        ({"unknown_key": True}, {"unknown": NOBODYS}, "nobody is named for the key SHA256:x"),
        ({"unknown_key": True}, {"unknown": NOBODYS, "key": None, "certificate": {"id": "x"}}, "nobody is named"),
        ({"unknown_key": True}, {"unknown": NOBODYS, "key": None, "method": "password"}, None),
        ({"unknown_key": True}, {"method": None, "key": None}, "with which key somebody logged in is not known"),
        ({"networks": ["192.0.2.0/24"]}, {}, None),
        ({"networks": ["192.0.2.9"]}, {"from": {"address": "::ffff:192.0.2.9"}}, None),
        ({"networks": ["2001:db8::/32"]}, {"from": {"address": "2001:db8::1%eth0"}}, None),
        ({"networks": ["10.0.0.0/8", "2001:db8::/32"]}, {}, "from 192.0.2.9, outside of the given networks"),
        ({"networks": ["10.0.0.0/8"]}, {"from": {"address": None}}, "from where somebody logged in is not known"),
        ({"hours": ["22:00-06:00"]}, {"started": None}, "when somebody logged in is not known"),
    ],
)
def test_a_reason(tell, session, said):
    found = notable.reasons({**SESSION, **session}, {**NOTHING, **tell}, "1@20260101T000000Z", datetime.timezone.utc)
    assert (said in found[0] and len(found) == 1) if said else found == []


def test_the_first_login_of_an_account():
    tell = {**NOTHING, "new_account": True}
    for first, is_new in ((None, True), (SESSION["id"], True), ("1@20260101T000000Z", False)):
        assert bool(notable.reasons(SESSION, tell, first)) is is_new


def test_every_reason_is_told():
    session = {**SESSION, "user": "root", "auid": 0, "unknown": NOBODYS}
    asked = {**NOTHING, "root": True, "unknown_key": True, "networks": ["10.0.0.1"], "hours": ["00:00-24:00"]}
    assert len(notable.reasons(session, asked, None)) == 4


def test_nothing_that_was_not_asked_for_is_told():
    assert notable.reasons({**SESSION, "user": "root", "auid": 0, "method": None}, NOTHING, None) == []


@pytest.mark.parametrize(
    ("written", "zone", "inside"),
    [
        ("21:00-21:16", datetime.timezone.utc, True),
        ("21:15-21:16", datetime.timezone.utc, True),
        ("21:00-21:15", datetime.timezone.utc, False),
        ("22:00-06:00", datetime.timezone.utc, False),
        # It is Thursday, 00:15, there: the night that began on Wednesday.
        ("22:00-06:00", EAST, True),
        ("wed 22:00-06:00", EAST, True),
        ("thu 22:00-06:00", EAST, False),
        ("thu 00:00-24:00", EAST, True),
        ("wed 00:00-24:00", EAST, False),
        ("sat-sun 00:00-24:00", datetime.timezone.utc, False),
        ("sun-wed 00:00-24:00", datetime.timezone.utc, True),
        # From a minute to the same one: a whole day.
        ("09:00-09:00", datetime.timezone.utc, True),
    ],
)
def test_hours(written, zone, inside):
    found = notable.reasons(SESSION, {**NOTHING, "hours": [written]}, None, zone)
    assert bool(found) is inside
    if inside:
        assert f"within {written}" in found[0] and (("00:15" if zone is EAST else "21:15") in found[0])


@pytest.mark.parametrize(
    "written", ["", "22-6", "22:00", "25:00-26:00", "22:00-24:30", "day 22:00-23:00", "22:00-6:00"]
)
def test_what_are_no_hours(written):
    with pytest.raises(SaltInvocationError, match="are no hours"):
        notable.hours(written)


def test_what_is_no_network():
    with pytest.raises(SaltInvocationError, match="is no network"):
        notable.network("10.0.0/8")
