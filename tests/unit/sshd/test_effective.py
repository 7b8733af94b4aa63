"""What sshd makes of a tree; without any sshd but the one that the expected values were measured on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.sshd import effective, match

DAEMON, OLD = golden("9.2"), golden("8.4")


def read(files, daemon=DAEMON, main="/t/main"):
    return loaded(daemon, {path: text.encode("latin-1") for path, text in files.items()}, main)


def values(text, connection=None, daemon=DAEMON):
    found = effective.effective(read({"/t/main": text}, daemon), connection)
    return {name: one.value for name, one in found.items() if one.deciding}


@pytest.mark.parametrize(
    ("line", "accepted"),
    [
        ("LogLevel VERBOSE", True),
        ("loglevel=verbose", True),
        ('"LogLevel" "VERBOSE"', True),
        ("\tLogLevel\t=\tVERBOSE  # why", True),
        ("LogLevel VERBOSE\r", True),
        ("", True),
        ("   ", True),
        ("#LogLevel", True),
        ("LogLevel==VERBOSE", False),
        ('LogLevel"VERBOSE"', False),
        ("LogLevel", False),
        ("LogLevel VERBOSE INFO", False),
        ("LogLevel VERBOSE#why", False),
        ('LogLevel ""', False),
        ('LogLevel "VERBOSE', False),
        ("; LogLevel INFO", False),
        ("\xef\xbb\xbfLogLevel INFO", False),
        ("LogLevel\xa0INFO", False),
        ("X11Forwarding true", False),
        ("Ciphers a, b", False),
        ("Port 22 2222", False),
        ("Match User bob\nNoSuch x", False),
        ("Match User bob\nSyslogFacility AUTH", False),
        ("Match User bob\nLogLevel DEBUG", True),
        ("Match User=bob", True),
        ("Match all User bob", False),
        ("Match", False),
        ("Include", False),
        ("AuthorizedKeysCommand /bin/x", False),
        ("LogLevel INFO\0", False),
    ],
)
def test_what_sshd_accepts_and_refuses(line, accepted):
    assert (effective.problems(read({"/t/main": line + "\n"})) == []) is accepted


def test_a_comment_inside_of_a_word_before_8_7():
    assert values("LogLevel VERBOSE#why\n", daemon=OLD) == {"LogLevel": "VERBOSE"}


def test_a_problem_says_where():
    (problem,) = effective.problems(read({"/t/main": "\n  LogLvel INFO\n"}))
    assert str(problem) == "/t/main:2:3: OpenSSH 9.2 does not know the keyword 'LogLvel'; did you mean LogLevel?"


def test_an_address_of_the_other_family_is_told_with_its_line():
    text = b"Port 22\nListenAddress 127.0.0.1\nListenAddress ::1\nAddressFamily inet\n"
    (problem,) = effective.problems(loaded(golden("9.2"), {"/t/main": text}, "/t/main"))
    assert (problem.line, problem.text) == (3, "ListenAddress ::1")
    assert "ListenAddress names an address that is not of AddressFamily inet: '::1'" in problem.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("LogLevel VERBOSE\nLogLevel INFO\n", {"LogLevel": "VERBOSE"}),
        ("FingerprintHash md5\nFingerprintHash sha256\n", {"FingerprintHash": "SHA256"}),
        ("AcceptEnv A\nAcceptEnv B C\nAcceptEnv A\n", {"AcceptEnv": ["A", "B", "C", "A"]}),
        ("SetEnv A=1 B=2\nSetEnv C=3\n", {"SetEnv": ["A=1", "B=2"]}),
        ("SkeyAuthentication no\nKbdInteractiveAuthentication yes\n", {"KbdInteractiveAuthentication": "no"}),
        ("LoginGraceTime 1h30m\n", {"LoginGraceTime": "5400"}),
        ("RekeyLimit 1G\nRekeyLimit 2G 1h\n", {"RekeyLimit": "1073741824 3600"}),
        ("UnusedConnectionTimeout 5m\nUnusedConnectionTimeout none\n", {"UnusedConnectionTimeout": "none"}),
        ("Match all\nLogLevel DEBUG\n", {"LogLevel": "DEBUG"}),
        ("ForceCommand echo # not a comment\n", {"ForceCommand": "echo # not a comment"}),
    ],
)
def test_which_line_decides(text, expected):
    assert values(text) == expected


BLOCKS = """X11Forwarding no
AllowUsers alice
Match User bob
X11Forwarding yes
AllowUsers bob
Match User b*
X11Forwarding no
AllowUsers carol
"""


def test_match_replaces_and_blocks_accumulate():
    bob = match.Connection(user="bob")
    assert values(BLOCKS, bob) == {"X11Forwarding": "yes", "AllowUsers": ["bob", "carol"]}
    found = effective.effective(read({"/t/main": BLOCKS}), bob)["X11Forwarding"]
    assert [one.line.number for one in found.deciding] == [4]
    assert [one.line.number for one in found.shadowed] == [1, 7]


@given(st.lists(st.sampled_from(list(" \t\"'\\#=aB,\r\x00\xa0é")), max_size=30), st.sampled_from([DAEMON, OLD]))
def test_no_line_is_a_traceback(characters, daemon):
    text = "LogLevel " + "".join(characters)
    tree = loaded(daemon, {"/t/main": text.encode()}, "/t/main")
    assert isinstance(effective.problems(tree), list)
