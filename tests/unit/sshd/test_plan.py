"""What a plan changes, and in which order; golden defaults instead of an sshd."""

import pytest
from matrix.sshd_trees import golden, loaded
from sshtrail_lib.sshd import language, wish
from sshtrail_lib.sshd import plan as sshd_plan

MAIN = "/t/sshd_config"
DAEMON = golden("9.2")
FULL = "Port 22\n#MaxSessions 10\n\n# about bob\nMatch User bob\n\tPermitTTY no\n"


def plan(files, config, match=None, daemon=DAEMON, **options):
    tree = loaded(daemon, {path: text.encode() for path, text in files.items()}, MAIN)
    wishes = [wish.wish(name, value, daemon, match) for name, value in config.items()]
    return sshd_plan.plan(tree, wishes, **options)


def test_a_broken_file_is_not_edited():
    with pytest.raises(language.ConfigError, match="sshd_config:2:1"):
        plan({MAIN: "Port 22\nNoSuch x\n"}, {"MaxSessions": 4})


def test_no_wish_no_edit():
    done = plan({MAIN: FULL}, {"MaxSessions": 10, "Port": [22]})
    assert (done.files, done.changes) == ({}, {})


def test_an_order_that_sshd_accepts_at_each_step():
    """Before 9.5 a Subsystem that is there twice is fatal: it has to go here before it comes there."""
    files = {MAIN: "Include /t/a\nInclude /t/b\n", "/t/a": "", "/t/b": "Subsystem sftp x\n"}
    tree = loaded(DAEMON, {path: text.encode() for path, text in files.items()}, MAIN)
    new = {"/t/a": b"Subsystem sftp y\n", "/t/b": b""}
    done = sshd_plan.Plan(tree, tree, new, {}, ())
    assert sshd_plan.order(done) == ["/t/b", "/t/a"]


@pytest.mark.parametrize(("common", "keys"), [(False, ["User bob"]), (True, ["User *", "User bob"])])
def test_who_logs_less(common, keys):
    text = "Match User *\nLogLevel QUIET\nMatch User bob\nLogLevel ERROR\nMatch all\nMatch User eve\nLogLevel INFO\n"
    tree = loaded(DAEMON, {MAIN: text.encode()}, MAIN)
    found = sshd_plan.lowering(tree, [wish.wish("LogLevel", "INFO", DAEMON)], common)
    assert [one.key for one in found] == [f"LogLevel (Match {one})" for one in keys]


def test_two_keywords_for_one_thing():
    """Before 8.7 ChallengeResponseAuthentication turns on the other one too."""
    old = golden("8.4")
    done = plan({MAIN: "UsePAM yes\n"}, {"ChallengeResponseAuthentication": "no"}, daemon=old)
    assert done.files == {MAIN: b"UsePAM yes\nChallengeResponseAuthentication no\n"}
    both = {"KbdInteractiveAuthentication": "no", "ChallengeResponseAuthentication": "no"}
    assert len(plan({MAIN: "UsePAM yes\n"}, both, daemon=old).changes) == 2
    with pytest.raises(sshd_plan.NoEffectError, match="ChallengeResponseAuthentication, which is on, turns it on"):
        plan({MAIN: "UsePAM yes\n"}, {"KbdInteractiveAuthentication": "no"}, daemon=old)


@pytest.mark.parametrize(
    ("before", "config", "match", "words"),
    [
        (
            "# x\nAuthenticationMethods publickey\n",
            {"AuthenticationMethods": "any"},
            "User carol",
            "refuse the edit: /t/sshd_config, new line 'AuthenticationMethods any': .* cannot follow",
        ),
        (
            "ListenAddress ::1\n",
            {"AddressFamily": "inet"},
            None,
            "refuse the edit: /t/sshd_config:1: ListenAddress .* not of",
        ),
        (
            "Port 22\n",
            {"ListenAddress": "no.such.host.invalid"},
            None,
            "refuse the edit: /t/sshd_config, new line .*: ListenAddress .* resolved",
        ),
        (
            "AuthenticationMethods password\n",
            {"PasswordAuthentication": "no"},
            None,
            "refuse the edit: /t/sshd_config:1: ",
        ),
    ],
)
def test_an_error_names_lines_as_they_are(before, config, match, words):
    with pytest.raises(language.ConfigError, match=words):
        plan({MAIN: before}, config, match)


@pytest.mark.parametrize("listen_first", [True, False])
@pytest.mark.parametrize(
    ("before", "family", "listen", "after"),
    [
        (
            "AddressFamily inet\nListenAddress 127.0.0.1\n",
            "inet6",
            "::1",
            "AddressFamily inet6\nListenAddress ::1\n",
        ),
        (
            "ListenAddress ::1\nAddressFamily inet6 # x\n",
            "inet",
            "127.0.0.1",
            "ListenAddress 127.0.0.1\nAddressFamily inet # x\n",
        ),
        (
            "AddressFamily inet\nListenAddress 127.0.0.1\n",
            "any",
            ["127.0.0.1", "[::1]:22"],
            "AddressFamily any\nListenAddress 127.0.0.1\nListenAddress [::1]:22\n",
        ),
        ("ListenAddress ::1\nListenAddress 127.0.0.1\n", "inet", "127.0.0.1", None),
        ("AddressFamily inet\nListenAddress 127.0.0.1\n", None, "::1", "ListenAddress ::1\n"),
        ("AddressFamily inet\nListenAddress 127.0.0.1\n", "inet6", None, "AddressFamily inet6\n"),
    ],
)
def test_addresses_of_another_family_together_with_it(before, family, listen, after, listen_first):
    """sshd takes either keyword alone with neither the old nor the new value of the other, and both together."""
    config = {"AddressFamily": family, "ListenAddress": listen}
    done = plan({MAIN: before}, dict(reversed(config.items())) if listen_first else config)
    assert set(done.changes) == set(config)
    assert sorted(done.files[MAIN].decode().splitlines()) == sorted(
        (after or "ListenAddress 127.0.0.1\nAddressFamily inet\n").splitlines()
    )
