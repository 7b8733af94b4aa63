"""How a line, a file and a tree are read; without any sshd but the one that the expected values were measured on."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import language, match
from sshtrail_lib.sshd.values import BadValue

DAEMON, OLD = golden("9.2"), golden("8.4")


def read(files, daemon=DAEMON, main="/t/main"):
    return language.load(main, daemon, {path: text.encode("latin-1") for path, text in files.items()})


def values(text, connection=None, daemon=DAEMON):
    found = language.effective(read({"/t/main": text}, daemon), connection)
    return {name: one.value for name, one in found.items() if one.deciding}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]),
        ("  a\tb  ", ["a", "b"]),
        ('"a b" c', ["a b", "c"]),
        ("'a b'", ["a b"]),
        ('a"b c"d', ["ab cd"]),
        ("a # b", ["a"]),
        ("a#b", ["a#b"]),
        (r"a\ b", ["a b"]),
        (r"\"a\'", ["\"a'"]),
        (r"a\nb", [r"a\nb"]),
        (r'"a\\b"', [r"a\b"]),
        ('""', [""]),
        ("", []),
    ],
)
def test_words_since_8_7(text, words):
    assert list(language.words_quoted(text)[0]) == words


@pytest.mark.parametrize("text", ['"a', "'a", 'a "b', "\"a'"])
def test_an_unbalanced_quote(text):
    with pytest.raises(BadValue):
        language.words_quoted(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]),
        ("a=b", ["a", "b"]),
        ("a = b", ["a", "b"]),
        ('"a b" c', ["a b", "c"]),
        ('a "b', ["a"]),
        ("", []),
    ],
)
def test_words_before_8_7(text, words):
    assert list(language.words_delimited(text)) == words


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
    assert (language.problems(read({"/t/main": line + "\n"})) == []) is accepted


def test_a_comment_inside_of_a_word_before_8_7():
    assert values("LogLevel VERBOSE#why\n", daemon=OLD) == {"LogLevel": "VERBOSE"}


def test_a_problem_says_where():
    (problem,) = language.problems(read({"/t/main": "\n  LogLvel INFO\n"}))
    assert str(problem) == "/t/main:2:3: OpenSSH 9.2 does not know the keyword 'LogLvel'; did you mean LogLevel?"


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
    found = language.effective(read({"/t/main": BLOCKS}), bob)["X11Forwarding"]
    assert [one.line.number for one in found.deciding] == [4]
    assert [one.line.number for one in found.shadowed] == [1, 7]


def test_include_in_the_order_of_bytes_and_without_leaking_match():
    files = {
        "/t/main": "Include /t/d/*.conf\nX11Forwarding yes\nMatch User bob\nInclude /t/bob\n",
        "/t/d/9.conf": "LogLevel ERROR\n",
        "/t/d/50.conf": "LogLevel DEBUG\n",
        "/t/d/10.conf": "Match User eve\nLogLevel QUIET\n",
        "/t/d/.hidden.conf": "LogLevel FATAL\n",
        "/t/bob": "PermitTTY no\n",
    }
    tree = read(files)
    assert list(tree.files) == ["/t/main", "/t/d/10.conf", "/t/d/50.conf", "/t/d/9.conf", "/t/bob"]
    found = language.effective(tree)
    assert (found["LogLevel"].value, found["LogLevel"].deciding[0].where) == ("DEBUG", ("/t/d/50.conf", 1))
    assert (found["X11Forwarding"].value, found["PermitTTY"].value) == ("yes", "yes")
    assert language.effective(tree, match.Connection(user="bob"))["PermitTTY"].value == "no"


def test_include_deeper_than_sshd_goes():
    files = {f"/t/{depth}": f"Include /t/{depth + 1}\n" for depth in range(18)}
    assert "deeper than 16" in str(language.problems(read({**files, "/t/18": ""}, main="/t/0"))[0])
    assert language.problems(read({**files, "/t/17": ""}, main="/t/1")) == []


@given(st.binary())
def test_every_byte_is_kept(data):
    assert b"".join(line.raw for line in language.parse(data, DAEMON)) == data


@given(st.lists(st.sampled_from(list(" \t\"'\\#=aB,\r\x00\xa0é")), max_size=30), st.sampled_from([DAEMON, OLD]))
def test_no_line_is_a_traceback(characters, daemon):
    text = "LogLevel " + "".join(characters)
    tree = language.load("/t/main", daemon, {"/t/main": text.encode()})
    assert isinstance(language.problems(tree), list)


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
    parsed = match.parse(criteria.split(" "), (9, 2))
    assert match.meets(parsed, match.Connection(**connection), "OpenSSH_9.2p1") is met


@pytest.mark.parametrize(
    "criteria", ["", "User", "Usr bob", "all User x", "User x all", "Address 10.0.0.1/8", "Address a,,b", "LocalPort x"]
)
def test_bad_match_criteria(criteria):
    with pytest.raises(match.BadCriteria):
        match.parse(criteria.split(), (9, 2))
