"""What can be asked, and what cannot be meant."""

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.sshd import asked


def test_one_keyword():
    one = asked.one_keyword("LogLevel", "INFO", None, path="/a", force=True)
    assert (one.config, one.matches, one.lowered, one.force) == ({"LogLevel": "INFO"}, None, "keep", True)
    one = asked.one_keyword("LogLevel", "INFO", "User bob", path="/a")
    assert (one.config, one.matches) == (None, [{"User bob": {"LogLevel": "INFO"}}])


def test_one_value_is_one():
    assert asked.one_value("LogLevel", "INFO", None, path="/a").config == {"LogLevel": "INFO"}
    with pytest.raises(SaltInvocationError, match="set needs a value; unset returns"):
        asked.one_value("LogLevel", None, None, path="/a")


@pytest.mark.parametrize(
    ("keyword", "match", "words"),
    [
        *((one, None, "keyword takes text, not") for one in (None, 5, ["LogLevel"], {"LogLevel": "INFO"})),
        *(("LogLevel", one, "match takes text, not") for one in (5, ["User bob"], {"User": "bob"}, False)),
    ],
)
def test_what_can_be_no_key(keyword, match, words):
    with pytest.raises(SaltInvocationError, match=words):
        asked.parts(keyword, "INFO", match)


@pytest.mark.parametrize("config", [{"UsePAM": False}, {"usepam": "NO", "LogLevel": "INFO"}, {"UsePAM": None}])
def test_what_takes_people_off_the_record(config):
    assert asked.unrecorded(config) == [
        "UsePAM is off: no session has a login id, so that its commands are not recorded."
    ]


@pytest.mark.parametrize("config", [None, {}, {"UsePAM": True}, {"UsePAM": "yes"}, {"PrintMotd": False}, ["UsePAM"]])
def test_what_does_not(config):
    assert asked.unrecorded(config) == []


def test_an_admin_who_is_nobody_here_is_told():
    def unknown(names):
        return [one for one in names if one != "root"]

    assert asked.unguarded(None, unknown) == [] == asked.unguarded(["root"], unknown)
    assert asked.unguarded("root,rooot", unknown) == [
        "rooot of admins is no account of this host: no way in is kept for a name alone."
    ]
    [told] = asked.unguarded(["bob", "root", "eve"], unknown)
    assert told.startswith("bob, eve of admins are no accounts of this host")


@pytest.mark.parametrize(
    ("admins", "expected"),
    [
        (None, ()),
        ("root", ("root",)),
        ("root,bob", ("root", "bob")),
        (" root bob, eve", ("root", "bob", "eve")),
        (["root", 1000], ("root", "1000")),
        (("CORP\\the admin",), ("CORP\\the admin",)),
        ([], ()),
    ],
)
def test_the_admins(admins, expected):
    assert asked.checked(asked.Asked("/a", admins=admins)).admins == expected


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"force": "no"}, "force takes True or False, not 'no'"),
        ({"exact": None}, "exact takes True or False"),
        ({"remember": 1}, "remember takes True or False"),
        ({"lowered": "drop"}, "lowered takes remove or keep, not 'drop'"),
        *(
            ({"admins": one}, "admins takes a list of accounts")
            for one in (5, True, {"root": 1}, [""], [None], "", "root,")
        ),
    ],
)
def test_what_cannot_be_meant(options, words):
    with pytest.raises(SaltInvocationError, match=words):
        asked.checked(asked.Asked(**{"path": "/a", **options}))
