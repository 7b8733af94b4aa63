"""Wishes that cannot be; golden defaults instead of an sshd."""

import pytest
from matrix.sshd_trees import golden
from salt.exceptions import SaltInvocationError
from sshtrail_lib.sshd import wish
from sshtrail_lib.sshd.daemon import Daemon

DAEMON = golden("9.2")


@pytest.mark.parametrize(
    ("name", "value", "match", "words"),
    [
        ("LogLvel", "INFO", None, "did you mean LogLevel"),
        ("LogVerbose2", "x", None, "did you mean LogVerbose"),
        ("RefuseConnection", "yes", None, "OpenSSH 9.2 does not have"),
        ("Match", "User bob", None, "as a setting"),
        ("Protocol", "2", None, "as a setting"),
        (7, "x", None, "is a word, not 7"),
        ("KerberosGetAFSToken", "yes", None, "built without support"),
        ("SyslogFacility", "AUTH", "User bob", "not allowed in a Match block"),
        ("LogLevel", "INFO", "User", "needs an argument"),
        ("LogLevel", "INFO", "User bob\nPermitRootLogin yes", "one Match line"),
        ("LogLevel", ["INFO", "DEBUG"], None, "takes one value"),
        ("LogLevel", {"a": 1}, None, "takes text, numbers or lists"),
        ("ClientAliveCountMax", 3.5, None, "not 3.5; in quotes it is text"),
        # What YAML 1.1 makes of 10:30:50.
        ("MaxStartups", 37850, None, "not 37850, which YAML makes of 10:30:50: quote it"),
        # Of these strtol(3) takes the 0.
        ("StreamLocalBindMask", "0o177", None, "takes an octal mask up to 0777, not '0o177'"),
        ("StreamLocalBindMask", "0999", None, "takes an octal mask up to 0777, not '0999'"),
        ("LogLevel", "", None, "on one line"),
        ("LogLevel", "INFO\n", None, "on one line"),
        ("LogLevel", "\ud800", None, "on one line"),
        ("LogLevel", "INFO", "User \ud800", "one Match line"),
        ("Subsystem", {"sftp": None}, None, "takes text, numbers or lists of them, not None"),
        ("Subsystem", {"sftp": ["/a", "-x"]}, None, "takes text, numbers or lists"),
        ("AllowUsers", [], None, "at least one"),
        ("AcceptEnv", '"A', None, "unbalanced quote"),
        ("ForceCommand", 'echo "', None, "cannot be written"),
    ],
)
def test_what_cannot_be(name, value, match, words):
    with pytest.raises(wish.BadWish, match=words):
        wish.wish(name, value, DAEMON, match)


def test_the_same_keyword_twice():
    with pytest.raises(wish.BadWish, match="asked for twice"):
        wish.wishes({"KeepAlive": "yes", "TCPKeepAlive": "yes"}, None, DAEMON)


@pytest.mark.parametrize(
    ("config", "matches", "words"),
    [
        (None, None, "nothing to do"),
        (["LogLevel"], None, "config takes a mapping"),
        (None, "User bob", "matches takes a list"),
        (None, [{"User bob": "LogLevel"}], "User bob takes a mapping"),
    ],
)
def test_wishes_of_another_shape(config, matches, words):
    with pytest.raises(SaltInvocationError, match=words):
        wish.wishes(config, matches, DAEMON)


def test_a_wish_for_a_host_that_has_no_sshd_yet():
    """Only an sshd knows whether it has this algorithm: the wish stands, and is predicted as it is written."""
    wishes = wish.wishes({"Ciphers": "+aes128-cbc", "LogLevel": "verbose"}, None, Daemon())
    assert wish.predicted(wishes, Daemon()) == {
        "Ciphers": {"old": None, "new": "+aes128-cbc"},
        "LogLevel": {"old": None, "new": "VERBOSE"},
    }


def test_the_connection_of_a_wish():
    found = wish.wish("PermitTTY", "no", DAEMON, "User bo? Address 192.0.2.0/24")
    assert (found.connection.user, found.connection.addr) == ("box", "192.0.2.0")
    assert found.key == "PermitTTY (Match User bo? Address 192.0.2.0/24)"


@pytest.mark.parametrize(
    "match",
    ["User !root", "Group !staff,!wheel", "Host !*.example.com", "Address !10.0.0.0/8", "User bob LocalAddress !::1"],
)
def test_a_block_that_nobody_meets(match):
    """Of a list that only excludes sshd takes nobody: a value there would be nobody's. It may go, though."""
    with pytest.raises(wish.BadWish, match="nobody meets '.* !.*', which only excludes"):
        wish.wish("PermitTTY", "no", DAEMON, match)
    assert wish.wish("PermitTTY", None, DAEMON, match).occurrences is None
    assert wish.wish("PermitTTY", "no", DAEMON, "User *,!root Address !10.0.0.0/8,*").criteria
