"""Policies in a row on one tree: each leaves nothing of the one before, and in the end every byte is as it was."""

import pathlib
import random

import pytest
from sshd_server import greets
from test_sshd_config_edits import CASES, placed

POLICIES = [
    {"config": {"LogLevel": "VERBOSE", "X11Forwarding": False}},
    {"config": {"LogLevel": "VERBOSE"}, "matches": [{"User backup": {"PermitTTY": False}}]},
    {"config": {"MaxAuthTries": 3, "AcceptEnv": ["LANG", "TZ"], "Banner": "none"}},
    {"config": {"LogLevel": "INFO", "Subsystem": "sftp internal-sftp"}, "matches": [{"User x": {"LogLevel": "DEBUG"}}]},
    {"config": {"AllowUsers": ["root", "alice"], "UsePAM": True}},
    {"config": {"SetEnv": ["A=1"], "RekeyLimit": "1G 1h", "FingerprintHash": "md5"}},
    {"config": {"X11Forwarding": None, "MaxSessions": 7}},
    {"config": {"LogLevel": "VERBOSE", "SyslogFacility": "AUTHPRIV"}, "matches": [{"Group wheel": {"MaxSessions": 3}}]},
    {"config": {"PrintMotd": False, "DenyUsers": ["eve"]}},
    {"config": {"LogLevel": "DEBUG", "MaxStartups": "10:30:60"}},
]


def content(server):
    files = [server.path, *sorted(server.drop_ins.iterdir())]
    return {path.name: path.read_bytes() for path in files}


def policy(states, server, **asked):
    """Apply a policy as the highstate does: what test mode predicts is done, and nothing is to do a second time."""
    given = {"name": str(server.path), "force": True, "remember": True, "shadowed": "own", **asked}
    predicted = states.sshd_config.managed(test=True, **given)
    done = states.sshd_config.managed(**given)
    assert done.result is True, done.comment
    assert predicted.changes == done.changes
    again = states.sshd_config.managed(**given)
    assert (again.result, again.changes) == (True, {}), again.comment
    return done.changes


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize(
    ("shadowed", "seed", "runs"), [("own", 1, True), ("own", 2, False), ("fix", 3, False), ("fix", 4, False)]
)
def test_ten_policies_in_a_row_leave_nothing(server, states, shadowed, seed, runs):
    server.write(
        "#LogLevel INFO",
        "X11Forwarding yes # why",
        "AcceptEnv LANG",
        "Subsystem sftp /bin/a",
        "Match User backup",
        "LogLevel QUIET",
    )
    (server.drop_ins / "50-cloud.conf").write_text("MaxAuthTries 5\nBanner none\nMatch User x\n\tPermitTTY yes\n")
    if runs:
        server.start()
    before, dice = content(server), random.Random(seed)
    for asked in dice.sample(POLICIES, len(POLICIES)):
        policy(states, server, shadowed=shadowed, **asked)
        if dice.random() < 0.3:
            policy(states, server, shadowed=shadowed, **asked)
    predicted = states.sshd_config.forgotten(name=str(server.path), test=True)
    done = states.sshd_config.forgotten(name=str(server.path))
    assert (predicted.result, done.result) == (None, True), done.comment
    assert predicted.changes == done.changes != {}
    assert content(server) == before
    assert greets(server.port) is runs
    again = states.sshd_config.forgotten(name=str(server.path))
    assert (again.result, again.changes) == (True, {})


def test_a_policy_that_asks_for_less(server, states):
    server.write("X11Forwarding yes")
    policy(states, server, config={"LogLevel": "VERBOSE", "X11Forwarding": False, "Banner": "/etc/issue"})
    changes = policy(states, server, config={"LogLevel": "VERBOSE"})
    assert changes["X11Forwarding"] == {"old": "no", "new": "yes"}
    assert set(changes) == {"X11Forwarding", "Banner"}
    assert b"Banner" not in (server.drop_ins / "00-sshtrail.conf").read_bytes()


def test_the_own_file_holds_all_and_others_stay(server, states):
    (server.drop_ins / "50-cloud.conf").write_text("MaxAuthTries 5\nMatch User backup\n\tLogLevel QUIET\n")
    main = server.path.read_bytes()
    policy(
        states, server, config={"LogLevel": "VERBOSE", "MaxAuthTries": 3}, matches=[{"User bob": {"PermitTTY": False}}]
    )
    own = (server.drop_ins / "00-sshtrail.conf").read_text().splitlines()
    assert own[0].startswith("# ")
    assert own[1:] == ["LogLevel VERBOSE", "MaxAuthTries 3", "Match User bob", "\tPermitTTY no"]
    assert server.path.read_bytes() == main
    # A Match block that lowers what is logged has to go.
    assert (server.drop_ins / "50-cloud.conf").read_text() == "MaxAuthTries 5\n"


def test_without_such_a_directory_the_main_file_is_edited(server, states):
    server.path.write_text("Port 2222\n" + server.path.read_text())
    policy(states, server, config={"LogLevel": "VERBOSE"})
    assert not list(server.drop_ins.iterdir())
    assert "LogLevel VERBOSE" in server.path.read_text()


def test_what_a_person_changes_meanwhile(server, states):
    """What is added stays; what is altered or cut out of ours is drift, and goes with ours."""
    before = server.path.read_text()
    policy(states, server, shadowed="fix", config={"LogLevel": "VERBOSE", "MaxAuthTries": 3})
    server.path.write_text(server.path.read_text().replace("VERBOSE", "QUIET") + "PrintMotd no\n")
    assert set(policy(states, server, shadowed="fix", config={"LogLevel": "VERBOSE"})) == {"LogLevel", "MaxAuthTries"}
    assert states.sshd_config.forgotten(name=str(server.path)).result is True
    assert server.path.read_text() == before + "PrintMotd no\n"


def test_a_file_that_sorts_before_ours_is_changed_where_it_must(server, states):
    (server.drop_ins / "00-aaa.conf").write_text("LogLevel QUIET\n")
    before = content(server)
    policy(states, server, config={"LogLevel": "VERBOSE", "MaxAuthTries": 3})
    assert (server.drop_ins / "00-aaa.conf").read_text() == "LogLevel VERBOSE\n"
    assert states.sshd_config.forgotten(name=str(server.path)).result is True
    assert content(server) == before


def test_the_memory_is_roots_alone(server, states, minion_opts):
    policy(states, server, config={"LogLevel": "VERBOSE"})
    place = pathlib.Path(minion_opts["sshtrail.run_dir"]) / "memory"
    assert place.stat().st_mode & 0o777 == 0o700
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in place.iterdir())


ASKING = [name for name, case in CASES.items() if case["state"] == "managed" and "after" in case]


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("shadowed", ["own", "fix"])
@pytest.mark.parametrize("name", ASKING)
def test_peoples_files_come_back(separation, states, tmp_path, name, shadowed):
    case = CASES[name]
    for path, text in case["files"].items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(placed(text, tmp_path))
    for path, target in case.get("links", {}).items():
        (tmp_path / path).symlink_to(target)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    given = {**case["with"], "name": f"{tmp_path}/sshd_config", "shadowed": shadowed, "remember": True}
    done = states.sshd_config.managed(**given)
    assert done.result is True, done.comment
    assert states.sshd_config.managed(**given).changes == {}
    assert states.sshd_config.forgotten(name=given["name"]).result is True
    assert {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()} == before


def test_two_main_files_with_one_directory_leave_nothing(server, states, tmp_path):
    """Whoever is undone first takes its own lines along, and the last one the file."""
    server.write()
    second = tmp_path / "sshd_config_2"
    second.write_bytes(server.path.read_bytes())
    before = content(server)
    for turn in ([server.path, second], [second, server.path]):
        policy(states, server, config={"LogLevel": "VERBOSE"})
        policy(states, server, name=str(second), config={"MaxAuthTries": 3})
        policy(states, server, config={"LogLevel": "DEBUG", "MaxSessions": 7})
        for path in turn:
            assert states.sshd_config.forgotten(name=str(path)).result is True
        assert content(server) == before


@pytest.mark.parametrize("found", [b"", b"# mine\n", b"MaxSessions 7\n"])
def test_a_file_of_our_name_that_was_there_before(server, states, found):
    (server.drop_ins / "00-sshtrail.conf").write_bytes(found)
    policy(states, server, config={"LogLevel": "VERBOSE"})
    assert states.sshd_config.forgotten(name=str(server.path)).result is True
    assert (server.drop_ins / "00-sshtrail.conf").read_bytes() == found


def test_a_drop_in_goes_with_its_last_line(server, states):
    (server.drop_ins / "50-cloud.conf").write_text("X11Forwarding yes\n")
    before, given = content(server), {"path": str(server.path), "shadowed": "drop_in", "match": "User bob"}
    assert states.sshd_config.present("X11Forwarding", value="no", **given).result is True
    assert (server.drop_ins / "00-sshtrail.conf").exists()
    assert states.sshd_config.absent("X11Forwarding", **given).result is True
    assert content(server) == before


BLOCK = {"config": {"LogLevel": "VERBOSE"}, "matches": [{"User backup": {"X11Forwarding": False}}]}


@pytest.mark.parametrize(("shadowed", "name"), [("fix", "sshd_config"), ("own", "00-sshtrail.conf")])
def test_a_line_that_somebody_adds_to_a_block_of_ours_stays_in_it(server, states, shadowed, name):
    """A line at the end of a file is in the last block; it is nobody else's when that one is ours and goes."""
    server.write()
    before = content(server)
    policy(states, server, shadowed=shadowed, **BLOCK)
    path = server.path if name == "sshd_config" else server.drop_ins / name
    path.write_bytes(path.read_bytes() + b"# why\nMaxAuthTries 3\n")
    policy(states, server, shadowed=shadowed, **BLOCK)
    assert "X11Forwarding (Match User backup)" in policy(states, server, shadowed=shadowed, config=BLOCK["config"])
    assert states.sshd_config.forgotten(name=str(server.path)).result is True
    left = before.get(name, b"") + b"Match User backup\n# why\nMaxAuthTries 3\n"
    assert content(server) == {**before, name: left}


def test_a_line_that_a_block_would_take_in_that_comes_back(server, states):
    server.write("# about x", "Match User x", "LogLevel QUIET")
    text = server.path.read_text()
    policy(states, server, shadowed="fix", config=BLOCK["config"])
    server.path.write_text(server.path.read_text() + "# why\nMaxAuthTries 3\n")
    assert states.sshd_config.forgotten(name=str(server.path)).result is True
    assert server.path.read_text() == text.replace("# about x", "# why\nMaxAuthTries 3\n# about x")


@pytest.mark.parametrize("shadowed", ["fix", "own"])
def test_files_that_are_not_included_any_more_come_back_too(server, states, shadowed):
    (server.drop_ins / "50-cloud.conf").write_text("PasswordAuthentication yes\n")
    main, drop_ins = server.path.read_text(), content(server)
    policy(states, server, shadowed=shadowed, config={"PasswordAuthentication": False, "MaxSessions": 3})
    include = next(line for line in server.path.read_text().splitlines(True) if line.startswith("Include"))
    server.path.write_text(server.path.read_text().replace(include, ""))
    # A policy that is asked for meanwhile forgets none of them.
    policy(states, server, shadowed=shadowed, config={"PasswordAuthentication": False, "MaxSessions": 4})
    predicted = states.sshd_config.forgotten(name=str(server.path), test=True)
    done = states.sshd_config.forgotten(name=str(server.path))
    assert (done.result, done.changes) == (True, predicted.changes), done.comment
    assert content(server) == {**drop_ins, server.path.name: main.replace(include, "").encode()}
    assert states.sshd_config.forgotten(name=str(server.path)).changes == {}


@pytest.mark.usefixtures("untraced")
def test_a_block_that_everybody_meets_stays_as_it_is(server, states):
    """Ours comes before it: in a file of our own, and before the section of another tool."""
    server.write("# BEGIN ANSIBLE MANAGED BLOCK", "Match User *", "X11Forwarding yes", "# END ANSIBLE MANAGED BLOCK")
    (server.drop_ins / "50-cloud.conf").write_text("Match Address *\n\tMaxSessions 5\n\tBanner none\n")
    before = content(server)
    policy(states, server, config={"MaxSessions": 3, "X11Forwarding": False})
    assert content(server).items() >= before.items()
    own = (server.drop_ins / "00-sshtrail.conf").read_text()
    assert own.endswith("Match Address *\n\tMaxSessions 3\nMatch User *\n\tX11Forwarding no\n")
    policy(states, server, config={"MaxSessions": 4, "Banner": "/etc/issue"})
    assert states.sshd_config.forgotten(name=str(server.path)).result is True
    assert content(server) == before
    policy(states, server, shadowed="fix", config={"X11Forwarding": False})
    assert b"Match User *\n\tX11Forwarding no\n# BEGIN" in server.path.read_bytes()
    assert states.sshd_config.forgotten(name=str(server.path)).result is True
    assert content(server) == before
