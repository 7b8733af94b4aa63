"""Wishes that cannot be, and edits whose bytes matter; golden defaults instead of an sshd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import language
from sshtrail_lib.sshd import plan as sshd_plan

MAIN = "/t/sshd_config"
DAEMON = golden("9.2")


def plan(files, config, match=None, daemon=DAEMON, **options):
    tree = language.load(MAIN, daemon, {path: text.encode() for path, text in files.items()})
    wishes = [sshd_plan.wish(name, value, daemon, match) for name, value in config.items()]
    return sshd_plan.plan(tree, wishes, **options)


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
        ("LogLevel", "", None, "on one line"),
        ("LogLevel", "INFO\n", None, "on one line"),
        ("AllowUsers", [], None, "at least one"),
        ("AcceptEnv", '"A', None, "unbalanced quote"),
        ("ForceCommand", 'echo "', None, "cannot be written"),
    ],
)
def test_what_cannot_be(name, value, match, words):
    with pytest.raises(sshd_plan.BadWish, match=words):
        sshd_plan.wish(name, value, DAEMON, match)


def test_the_same_keyword_twice():
    names = ("KeepAlive", "TCPKeepAlive")
    with pytest.raises(sshd_plan.BadWish, match="asked for twice"):
        sshd_plan.distinct([sshd_plan.wish(name, "yes", DAEMON) for name in names])


EMPTY, ODD = "", "\ufeff"
FULL = "Port 22\n#MaxSessions 10\n\n# about bob\nMatch User bob\n\tPermitTTY no\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (EMPTY, "MaxSessions 4\n"),
        (FULL, FULL.replace("10\n", "10\nMaxSessions 4\n")),
        (
            FULL.replace("#MaxSessions 10\n", ""),
            "Port 22\n\nMaxSessions 4\n# about bob\nMatch User bob\n\tPermitTTY no\n",
        ),
        ("MaxSessions\t=\t3   # few\r\n", "MaxSessions\t=\t4   # few\r\n"),
        ("Port 22\r\n", "Port 22\r\nMaxSessions 4\r\n"),
    ],
)
def test_the_place_of_a_line(text, expected):
    assert plan({MAIN: text}, {"MaxSessions": 4}).after.data[MAIN].decode() == expected


def test_a_broken_file_is_not_edited():
    with pytest.raises(language.ConfigError, match="sshd_config:2:1"):
        plan({MAIN: "Port 22\nNoSuch x\n"}, {"MaxSessions": 4})


def test_no_wish_no_edit():
    done = plan({MAIN: FULL}, {"MaxSessions": 10, "Port": [22]})
    assert (done.files, done.changes) == ({}, {})


def test_an_order_that_sshd_accepts_at_each_step():
    """Before 9.5 a Subsystem that is there twice is fatal: it has to go here before it comes there."""
    files = {MAIN: "Include /t/a\nInclude /t/b\n", "/t/a": "", "/t/b": "Subsystem sftp x\n"}
    tree = language.load(MAIN, DAEMON, {path: text.encode() for path, text in files.items()})
    new = {"/t/a": b"Subsystem sftp y\n", "/t/b": b""}
    done = sshd_plan.Plan(tree, tree, new, {}, ())
    assert sshd_plan.order(done) == ["/t/b", "/t/a"]


@given(
    st.text(st.sampled_from(list(" \t\"'\\#=abé!,")), min_size=1, max_size=12).filter(lambda word: word.strip(" \t"))
)
def test_a_quoted_word_is_read_as_it_was(word):
    for daemon in (DAEMON, golden("10.0")):
        line = f"Banner {sshd_plan.quoted(word, daemon.release)}".encode()
        parsed = language.parse_line(line, 1, daemon.release, frozenset(daemon.defaults))
        assert parsed.arguments.words == (word,)
