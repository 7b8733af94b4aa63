"""Our reading and our edits against the sshd of this host, on a few of the trees of tests/matrix/sshd_config.py."""

import functools
import itertools
import pathlib

import pytest
from matrix import sshd_trees
from sshd_server import SSHD
from sshtrail_lib.sshd import effective as sshd_effective
from sshtrail_lib.sshd import language as sshd_language
from sshtrail_lib.sshd import plan as sshd_plan
from sshtrail_lib.sshd import wish as sshd_wish
from support import require_root


@functools.cache
def oracle():
    return sshd_trees.Oracle([SSHD])


def differing(check, trees, count):
    return [found for tree in itertools.islice(iter(trees.tree, None), count) if (found := check(oracle(), tree)[0])]


@pytest.mark.parametrize("noise", [0.01, 0.15])
def test_reading(separation, noise):
    require_root()
    assert differing(sshd_trees.compare, sshd_trees.Trees(1, noise=noise), 60) == []


def test_edits(separation):
    assert differing(sshd_trees.Wishes(1).check, sshd_trees.Trees(1, wrong=0, noise=0), 120) == []


def public():
    return [
        path for path in map(pathlib.Path, ["/usr/share/openssh/sshd_config", "/etc/ssh/sshd_config"]) if path.exists()
    ]


@pytest.mark.parametrize("path", public(), ids=str)
def test_the_distributions_own_file(separation, path):
    tree = {sshd_trees.MAIN: path.read_bytes()}
    assert sshd_trees.compare(oracle(), tree) == ([], True)


# What rivals get wrong, each on a file on which they do, as written down in their issues and measured for the facts.
MATCH_LAST = "Port 22\nMatch User bob\n\tX11Forwarding no\n"
RIVALS = [
    ("keyvalue-appends-inside-the-last-match", MATCH_LAST, "LogLevel", "VERBOSE", ["Port 22", "LogLevel VERBOSE"]),
    ("keyvalue-rewrites-a-match-scoped-key", MATCH_LAST, "X11Forwarding", "yes", ["Port 22", "X11Forwarding yes"]),
    ("keyvalue-duplicates-tab-separated-keys", "LogLevel\tINFO\n", "LogLevel", "VERBOSE", ["LogLevel\tVERBOSE"]),
    (
        "cloud-init-reads-the-last-line",
        "MaxSessions 3\nMaxSessions 9\n",
        "MaxSessions",
        "3",
        ["MaxSessions 3", "MaxSessions 9"],
    ),
    ("cloud-init-appends-after-match", "Match all\n", "MaxSessions", "3", ["MaxSessions 3", "Match all"]),
    (
        "augeas-cannot-parse-match-all",
        "Match all\nX11Forwarding no\n",
        "X11Forwarding",
        "yes",
        ["Match all", "X11Forwarding yes"],
    ),
    ("augeas-cannot-parse-an-indented-global", "  MaxSessions 3\n", "MaxSessions", "4", ["  MaxSessions 4"]),
    (
        "augeas-cannot-parse-a-comment-on-match",
        "Match User x # why\nPermitTTY no\n",
        "MaxSessions",
        "4",
        ["MaxSessions 4", "Match User x # why"],
    ),
    (
        "template-wipes-the-rest",
        "# mine\nMaxSessions 3 # few\nBanner none\n",
        "MaxSessions",
        "4",
        ["# mine", "MaxSessions 4 # few", "Banner none"],
    ),
    (
        "lineinfile-uncomments-in-a-match",
        "Match all\n#MaxSessions 3\n",
        "MaxSessions",
        "4",
        ["MaxSessions 4", "Match all", "#MaxSessions 3"],
    ),
    (
        "puppet-inserts-after-a-commented-default",
        "#MaxSessions 10\nPort 22\n",
        "MaxSessions",
        "4",
        ["#MaxSessions 10", "MaxSessions 4"],
    ),
    ("crlf-is-kept", "Port 22\r\nMaxSessions 3\r\n", "MaxSessions", "4", ["Port 22\r", "MaxSessions 4\r"]),
    ("no-final-newline", "Port 22", "MaxSessions", "4", ["Port 22", "MaxSessions 4"]),
    ("an-alias-is-the-same-keyword", "KeepAlive no\n", "TCPKeepAlive", "yes", ["KeepAlive yes"]),
    ("equals-is-kept", "MaxSessions=3\n", "MaxSessions", "4", ["MaxSessions=4"]),
]


@pytest.mark.parametrize(
    ("text", "name", "value", "head"), [case[1:] for case in RIVALS], ids=[case[0] for case in RIVALS]
)
def test_where_rivals_fail(separation, text, name, value, head):
    after = edited(text, {name: value})
    assert after.decode().split("\n")[: len(head)] == head
    kept = [line for line in text.encode().split(b"\n") if name.encode() not in line and b"KeepAlive" not in line]
    assert [line for line in after.split(b"\n") if line in kept and line] == [line for line in kept if line]
    assert oracle().dump({sshd_trees.MAIN: after})[name] in ([value], ["true"])


def test_ini_deletes_repeated_keywords(separation):
    text = "HostKey /etc/ssh/a\nHostKey /etc/ssh/b\nMaxSessions 3\n"
    assert edited(text, {"MaxSessions": 4}) == text.replace("3", "4").encode()


def edited(text, config):
    daemon = oracle().daemon
    tree = sshd_trees.loaded(daemon, {sshd_trees.MAIN: text.encode()})
    wishes = [sshd_wish.wish(name, value, daemon) for name, value in config.items()]
    return sshd_plan.plan(tree, wishes).after.data[sshd_trees.MAIN]


@pytest.mark.parametrize(
    ("text", "name", "value", "exact", "expected"),
    [
        ("AcceptEnv A\nAcceptEnv B C\n", "AcceptEnv", ["A", "C"], True, "AcceptEnv A\nAcceptEnv C\n"),
        ("AcceptEnv A\nAcceptEnv B C\n", "AcceptEnv", ["D"], False, "AcceptEnv A\nAcceptEnv B C\nAcceptEnv D\n"),
        ("AllowUsers a b # us\n", "AllowUsers", ["b", "c"], True, "AllowUsers b # us\nAllowUsers c\n"),
        ("Port 22\nPort 23\n", "Port", [23, 24], True, "Port 23\nPort 24\n"),
        ("Port 22\n", "Port", [24], False, "Port 22\nPort 24\n"),
        ("SetEnv A=1\n", "SetEnv", ["B=2"], False, "SetEnv A=1 B=2\n"),
        ("SetEnv A=1\nSetEnv B=2\n", "SetEnv", ["C=a b"], True, 'SetEnv "C=a b"\nSetEnv B=2\n'),
        ("MaxSessions 3\nMaxSessions 4\n", "MaxSessions", None, True, ""),
        (
            "ListenAddress 127.0.0.1\n",
            "ListenAddress",
            ["127.0.0.1", "::1"],
            True,
            "ListenAddress 127.0.0.1\nListenAddress ::1\n",
        ),
        (
            "FingerprintHash md5\nFingerprintHash sha1\n",
            "FingerprintHash",
            "sha256",
            True,
            "FingerprintHash md5\nFingerprintHash sha256\n",
        ),
        ("Banner none\n", "Banner", "/etc/my banner", True, 'Banner "/etc/my banner"\n'),
        ("", "ForceCommand", "echo # all of it", True, "ForceCommand echo # all of it\n"),
    ],
)
def test_lists_and_quotes(separation, text, name, value, exact, expected):
    daemon = oracle().daemon
    tree = sshd_trees.loaded(daemon, {sshd_trees.MAIN: text.encode()})
    plan = sshd_plan.plan(tree, [sshd_wish.wish(name, value, daemon, exact=exact)])
    assert plan.after.data[sshd_trees.MAIN].decode() == expected
    assert sshd_plan.plan(plan.after, plan.wishes).changes == {}


@pytest.mark.parametrize(
    ("text", "match", "config", "expected"),
    [
        ("Match user bob\n\tPermitTTY no\n", "User bob", {"PermitTTY": "yes"}, "Match user bob\n\tPermitTTY yes\n"),
        (
            "Match User bob\n  PermitTTY no\n",
            "User bob",
            {"X11Forwarding": "no"},
            "Match User bob\n  PermitTTY no\n  X11Forwarding no\n",
        ),
        ("Match Address 10.0.0.1 User bob\nPermitTTY no\n", "User bob Address 10.0.0.1", {"PermitTTY": None}, ""),
        (
            "Match User b*\nPermitTTY no\n",
            "User bob",
            {"PermitTTY": "yes"},
            "Match User bob\n\tPermitTTY yes\nMatch User b*\nPermitTTY no\n",
        ),
        ("Port 22", "User bob", {"PermitTTY": "yes"}, "Port 22\nMatch User bob\n\tPermitTTY yes\n"),
    ],
)
def test_match_blocks(separation, text, match, config, expected):
    daemon = oracle().daemon
    tree = sshd_trees.loaded(daemon, {sshd_trees.MAIN: text.encode()})
    wishes = [sshd_wish.wish(name, value, daemon, match) for name, value in config.items()]
    plan = sshd_plan.plan(tree, wishes)
    assert plan.after.data[sshd_trees.MAIN].decode() == expected
    assert sshd_plan.plan(plan.after, wishes).changes == {}


FIXTURES = sorted(sshd_trees.DATA.glob("*.conf"))


@pytest.mark.parametrize("path", FIXTURES, ids=lambda path: path.stem)
def test_the_fixtures(separation, path):
    data = path.read_bytes()
    differences, accepted = sshd_trees.compare(oracle(), {sshd_trees.MAIN: data})
    assert (differences, accepted) == ([], path.stem != "broken")
    assert b"".join(line.raw for line in sshd_language.parse(data, oracle().daemon)) == data


def test_every_problem_of_a_broken_file_is_named(separation):
    data = (sshd_trees.DATA / "broken.conf").read_bytes()
    problems = sshd_effective.problems(sshd_trees.loaded(oracle().daemon, {sshd_trees.MAIN: data}))
    assert [(problem.line, problem.column) for problem in problems] == [
        (2, 1),
        (3, 15),
        (4, 1),
        (5, 1),
        (6, 1),
        (8, 1),
        (9, 1),
    ]


ODD_LINES = [
    "Match User !alice\n X11Forwarding yes\nMatch user *,!bob\nBanner /x",
    "Match Address 10.1\nPermitTTY no",
    "Match Address 192.0.2.0/24x\nPermitTTY no",
    "Match User bob User alice\nPermitTTY no",
    "Match = User bob\nPermitTTY no",
    'Match "User bob"\nPermitTTY no',
    "Match all # x\nPermitTTY no",
    "Match all#\nPermitTTY no",
    "Match User nobody\nInclude /nonexistent/*\nMatch all\nLogLevel QUIET",
    "Port 22\n\f\nPort 23",
    "\vPort 22",
    "X11Forwarding = = yes",
    "=X11Forwarding yes",
    '"X11Forwarding yes"',
    "X11Forwarding 'yes'",
    "AllowUsers 'a b' \"c\\\"d\" e\\'f",
    "SetEnv A=\"x y\" B='z #' # c",
    "ForceCommand  a  b  ",
    "ForceCommand = x y",
    "Subsystem sftp '/a b' 'c d' \\\\ \"\"",
    "Subsystem sftp a\nSubsystem sftp b",
    "ListenAddress :22",
    "ListenAddress [127.0.0.1]:22",
    "ListenAddress ::\nPort 1\nPort 2\nAddressFamily inet6",
    "AddressFamily inet\nListenAddress ::1",
    "HostKey none\nHostKey /etc/ssh/ssh_host_rsa_key",
    "RekeyLimit .5G",
    "RekeyLimit 9E",
    "RekeyLimit 1g none\nRekeyLimit 2g 5",
    "LoginGraceTime 2147483648",
    "MaxStartups 1x",
    "MaxSessions -0",
    "StreamLocalBindMask 17x",
    "PermitListen h:0",
    "PermitOpen none x:1",
    "IPQoS reliability",
    "IPQoS 010",
    "AuthenticationMethods none",
    "AuthenticationMethods publickey,",
    "AuthorizedKeysCommand none\nAuthorizedPrincipalsCommandUser x\nAuthorizedPrincipalsCommand /x",
    "Ciphers *",
    "HostKeyAlgorithms ssh-*",
    "AllowUsers a@10.0.0.0/8,!10.0.0.1",
    "PerSourceNetBlockSize 24",
    "Match User bob\nRekeyLimit 2G\nMatch all\nRekeyLimit 1G 5m",
]


@pytest.mark.parametrize("text", ODD_LINES)
def test_odd_lines(separation, text):
    assert sshd_trees.compare(oracle(), {sshd_trees.MAIN: text.encode() + b"\n"})[0] == []
