"""The module and the states on a real sshd, started on a loopback port from a temporary tree."""

import os
import socket
import time

import pytest
from sshd_server import free_port, greeting, greets


def run_state(states, kind, name, value=None, **kwargs):
    """Run a state in test mode, for real, and again; return the changes, which test mode must have predicted."""
    state = getattr(states.sshd_config, kind)
    kwargs.update({"name": name} if value is None else {"name": name, "value": value})
    predicted = state(test=True, **kwargs)
    real = state(**kwargs)
    assert real.result is True, real.comment
    again = state(**kwargs)
    assert (again.result, again.changes) == (True, {}), again.comment
    assert predicted.changes == real.changes
    assert predicted.result is (None if real.changes else True)
    return real.changes


def test_present_reloads_the_running_sshd(server, states, modules):
    server.start()
    pid = server.pid
    assert run_state(states, "present", "LogLevel", "VERBOSE", path=str(server.path)) == {
        "LogLevel": {"old": "INFO", "new": "VERBOSE"}
    }
    assert server.dump()["loglevel"] == ["VERBOSE"]
    assert server.pid == pid and greets(server.port)
    found = modules.sshd_config.effective(path=str(server.path))["LogLevel"]
    assert (found["value"], found["file"], found["line"], found["default"]) == ("VERBOSE", str(server.path), 6, False)


def test_managed_with_match_blocks_in_one_transaction(server, states):
    server.write("#LogLevel INFO", "", "Match User alice", "\tX11Forwarding no")
    server.start()
    changes = run_state(
        states,
        "managed",
        str(server.path),
        config={"LogLevel": "VERBOSE", "PasswordAuthentication": False, "AllowUsers": ["root", "alice"]},
        matches=[{"User bob": {"X11Forwarding": True, "LogLevel": "DEBUG"}}, {"user alice": {"PermitTTY": "no"}}],
        force=True,
    )
    assert set(changes) == {
        "LogLevel",
        "PasswordAuthentication",
        "AllowUsers",
        "X11Forwarding (Match User bob)",
        "LogLevel (Match User bob)",
        "PermitTTY (Match User alice)",
    }
    assert server.dump("user=bob,host=h,addr=192.0.2.1,laddr=127.0.0.1,lport=22")["x11forwarding"] == ["yes"]
    assert server.path.read_text().splitlines()[5:] == [
        "#LogLevel INFO",
        "LogLevel VERBOSE",
        "",
        "PasswordAuthentication no",
        "AllowUsers root alice",
        "Match User alice",
        "\tX11Forwarding no",
        "\tPermitTTY no",
        "Match User bob",
        "\tX11Forwarding yes",
        "\tLogLevel DEBUG",
    ]


def test_a_drop_in_that_shadows(server, states):
    (server.drop_ins / "50-cloud.conf").write_text("LogLevel QUIET\n")
    changes = run_state(states, "present", "LogLevel", "VERBOSE", path=str(server.path))
    assert changes == {"LogLevel": {"old": "SILENT", "new": "VERBOSE"}}
    assert (server.drop_ins / "50-cloud.conf").read_text() == "LogLevel VERBOSE\n"


def test_shadowed_drop_in_writes_one_of_our_own(server, states):
    (server.drop_ins / "50-cloud.conf").write_text("LogLevel QUIET\n")
    run_state(states, "present", "LogLevel", "VERBOSE", path=str(server.path), shadowed="drop_in")
    assert (server.drop_ins / "50-cloud.conf").read_text() == "LogLevel QUIET\n"
    assert (server.drop_ins / "00-sshtrail.conf").read_text() == "LogLevel VERBOSE\n"


def test_shadowed_fail_names_the_line(server, states):
    (server.drop_ins / "50-cloud.conf").write_text("LogLevel QUIET\n")
    result = states.sshd_config.present(name="LogLevel", value="VERBOSE", path=str(server.path), shadowed="fail")
    assert result.result is False
    assert f"{server.drop_ins}/50-cloud.conf:1" in result.comment


def test_absent(server, states):
    server.write(
        "LogLevel VERBOSE",
        "MaxAuthTries 3 # few",
        "Match User bob",
        "  MaxAuthTries 2",
        "Match User eve",
        "X11Forwarding no",
    )
    server.start()
    assert run_state(states, "absent", "MaxAuthTries", path=str(server.path)) == {
        "MaxAuthTries": {"old": "3", "new": "6"}
    }
    assert run_state(states, "absent", "MaxAuthTries", match="User bob", path=str(server.path)) == {
        "MaxAuthTries (Match User bob)": {"old": "2", "new": None}
    }
    assert server.path.read_text().splitlines()[5:] == ["LogLevel VERBOSE", "Match User eve", "X11Forwarding no"]


def test_a_daemon_with_other_files_is_made_to_read(server, states):
    server.start()
    time.sleep(1.1)
    server.write("LogLevel VERBOSE")
    changes = run_state(states, "present", "LogLevel", "VERBOSE", path=str(server.path))
    assert changes == {"sshd": {"old": "runs with other files", "new": "runs with the present files"}}


def test_a_listener_that_cannot_start_anew_is_brought_back(server, states, modules):
    server.start()
    before = server.path.read_bytes()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        result = states.sshd_config.present(
            name="Port", value=taken.getsockname()[1], path=str(server.path), force=True
        )
    assert result.result is False
    assert "the old one is back" in result.comment and f"-Port {server.port}" in result.comment
    assert server.path.read_bytes() == before
    assert greeting(server.port)


@pytest.mark.parametrize(
    ("name", "value", "options", "words"),
    [
        ("LogLvel", "VERBOSE", {}, ["'LogLvel'", "did you mean LogLevel"]),
        ("LogLevel", "LOUD", {}, ["LogLevel", "VERBOSE", "'LOUD'"]),
        ("SyslogFacility", "AUTH", {"match": "User bob"}, ["SyslogFacility", "not allowed in a Match"]),
        ("LogLevel", "INFO", {"match": "Usr bob"}, ["'Usr'", "User"]),
        ("LogLevel", "INFO\nPermitRootLogin yes", {}, ["one line"]),
        ("LogLevel", None, {}, ["needs a value"]),
        ("LogLevel", "INFO", {"shadowed": "x"}, ["fix, drop_in, fail"]),
    ],
)
def test_what_cannot_be_is_refused_before_anything_is_touched(server, states, name, value, options, words):
    before = server.path.read_bytes()
    for test in (True, False):
        result = states.sshd_config.present(name=name, value=value, path=str(server.path), test=test, **options)
        assert result.result is False
        assert all(word in result.comment for word in words), result.comment
    assert server.path.read_bytes() == before


def test_a_host_without_sshd_config(separation, states, tmp_path):
    path = str(tmp_path / "sshd_config")
    preview = states.sshd_config.present(name="LogLevel", value="VERBOSE", path=path, test=True)
    assert (preview.result, preview.changes) == (None, {"LogLevel": {"old": None, "new": "VERBOSE"}})
    assert states.sshd_config.present(name="LogLevel", value="VERBOSE", path=path).result is False


def test_check(server, modules):
    assert modules.sshd_config.check(str(server.path)) == []
    (server.drop_ins / "1.conf").write_text("LogLevel INFO\n  Permitrootlogn no\n")
    (problem,) = modules.sshd_config.check(str(server.path))
    assert (problem["file"], problem["line"], problem["column"]) == (f"{server.drop_ins}/1.conf", 2, 3)
    assert "PermitRootLogin" in problem["reason"]


def test_a_match_that_lowers_log_level_is_drift(server, states, modules):
    path = str(server.path)
    server.write("LogLevel VERBOSE", "Match User bob", "LogLevel QUIET", "Match User eve", "LogLevel DEBUG")
    server.start()
    drift = {"LogLevel (Match User bob)": {"old": "SILENT", "new": None}}
    assert modules.sshd_config.diff({"LogLevel": "VERBOSE"}, path=path) == drift
    declared = [{"User bob": {"LogLevel": "QUIET"}}]
    assert modules.sshd_config.diff({"LogLevel": "VERBOSE"}, declared, path=path) == {}
    assert run_state(states, "present", "LogLevel", "VERBOSE", path=path) == {}
    assert run_state(states, "managed", path, config={"LogLevel": "VERBOSE"}) == drift
    assert server.path.read_text().splitlines()[5:] == ["LogLevel VERBOSE", "Match User eve", "LogLevel DEBUG"]


@pytest.mark.parametrize(
    ("before", "config", "culprit"),
    [
        ([], {"AllowUsers": ["nobody"]}, "AllowUsers nobody"),
        ([], {"DenyUsers": ["r*"]}, "DenyUsers r*"),
        ([], {"AllowGroups": ["no-such-group"]}, "AllowGroups no-such-group"),
        ([], {"DenyGroups": ["root"]}, "DenyGroups root"),
        ([], {"PermitRootLogin": False}, "PermitRootLogin no"),
        ([], {"PasswordAuthentication": False, "PubkeyAuthentication": False}, "PasswordAuthentication"),
        (["PasswordAuthentication no", "UsePAM no"], {"PubkeyAuthentication": False}, "PubkeyAuthentication no"),
        (["AuthorizedKeysFile /nonexistent"], {"AuthenticationMethods": "publickey"}, "AuthenticationMethods"),
        ([], {"Port": 1}, "Port 1"),
    ],
)
def test_a_change_that_locks_root_out_is_refused(server, states, before, config, culprit):
    server.write("PermitRootLogin yes", *before)
    data = server.path.read_bytes()
    for test in (True, False):
        result = states.sshd_config.managed(name=str(server.path), config=config, admins="root", test=test)
        assert result.result is False
        assert culprit.split(" ")[0] in result.comment and "force" in result.comment, result.comment
    assert server.path.read_bytes() == data


def test_owner_mode_attributes_and_the_symlink_stay(server, states):
    real = server.base / "elsewhere"
    server.path.rename(real)
    server.path.symlink_to(real)
    os.chown(real, 0, 4)
    real.chmod(0o640)
    os.setxattr(real, "user.note", b"mine")
    run_state(states, "present", "LogLevel", "VERBOSE", path=str(server.path))
    found = real.stat()
    assert server.path.is_symlink() and "LogLevel VERBOSE" in real.read_text()
    assert (found.st_gid, found.st_mode & 0o777, os.getxattr(real, "user.note")) == (4, 0o640, b"mine")


def test_get_says_where_and_what_is_written(server, modules):
    server.write('Banner "/etc/is sue" # hello', "AcceptEnv A B", "AcceptEnv C", "Match User bob", "LogLevel=DEBUG")
    path = str(server.path)
    assert modules.sshd_config.get("banner", path=path) == {"value": '"/etc/is sue"', "file": path, "line": 6}
    assert modules.sshd_config.get("AcceptEnv", path=path) == {"value": ["A B", "C"], "file": path, "line": 7}
    assert modules.sshd_config.get("LogLevel", path=path) is None
    assert modules.sshd_config.get("LogLevel", "User bob", path=path) == {"value": "DEBUG", "file": path, "line": 10}


def test_set_and_unset(server, modules):
    path, before = str(server.path), server.path.read_bytes()
    assert modules.sshd_config.set("maxauthtries", 3, path=path) == {"MaxAuthTries": {"old": "6", "new": "3"}}
    assert modules.sshd_config.set("MaxAuthTries", "3", path=path) == {}
    assert modules.sshd_config.set("Subsystem", {"sftp": "internal-sftp -l INFO"}, path=path) == {
        "Subsystem": {"old": None, "new": ["sftp internal-sftp -l INFO"]}
    }
    modules.sshd_config.unset("Subsystem", path=path)
    assert modules.sshd_config.unset("MaxAuthTries", path=path) == {"MaxAuthTries": {"old": "3", "new": "6"}}
    assert server.path.read_bytes() == before


def test_a_listener_on_several_addresses(server, states):
    """sshd is content with one endpoint of several; whoever asked for all of them is not."""
    server.start()
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        ports = [server.port, taken.getsockname()[1]]
        result = states.sshd_config.present(name="Port", value=ports, path=str(server.path))
    assert result.result is False
    assert (
        f"no SSH-2.0 greeting from 127.0.0.1:{ports[1]}" in result.comment and "the old one is back" in result.comment
    )
    assert greeting(server.port)


def test_another_port_beside_the_present_one(server, states):
    server.start()
    ports = [server.port, free_port()]
    run_state(states, "present", "Port", ports, path=str(server.path))
    assert all(greeting(port) for port in ports)


def test_files_only_where_no_sshd_runs_with_them(server, states):
    result = states.sshd_config.present(name="LogLevel", value="VERBOSE", path=str(server.path))
    assert result.result is True and "no sshd runs with it" in result.comment


def test_watch_reloads_the_running_sshd(server, states, modules):
    server.start()
    path = str(server.path)
    before = modules.sshd_config.listening(path=path)
    told = states.sshd_config.mod_watch(name=path, sfun="managed", config={"LogLevel": "INFO"}, test=True)
    assert (told["result"], told["changes"]) == (None, {"sshd": "reloaded"})
    done = states.sshd_config.mod_watch(name="LogLevel", sfun="present", value="INFO", path=path)
    assert done["result"] is True and done["changes"] == {"sshd": "reloaded"}, done
    assert modules.sshd_config.listening(path=path) == before
    server.path.write_text("NoSuchKeyword yes\n" + server.path.read_text())
    refused = states.sshd_config.mod_watch(name=path, sfun="managed")
    assert refused["result"] is False and "NoSuchKeyword" in refused["comment"]
    os.kill(before, 0)


def test_a_template_that_undoes_it_is_told(server, states):
    """As two states of one highstate do: each succeeds, each time."""
    server.start()
    path, before = str(server.path), server.path.read_text()
    for often in (False, False, True, True):
        server.path.write_text(before)
        done = states.sshd_config.present(name="LogLevel", value="DEBUG", path=path)
        assert done["result"] is True and ("two writers undo each other" in done["comment"]) is often, done["comment"]


def test_that_nobody_would_be_on_record_is_told(server, states):
    server.write("UsePAM yes")
    options = {"name": str(server.path), "config": {"usepam": False}, "force": True}
    for result in (states.sshd_config.managed(**options, test=test) for test in (True, False, True)):
        assert result.result is not False
        assert "UsePAM is off: no session has a login id" in result.comment


def test_an_admin_without_an_account_is_told(server, states):
    options = {"name": str(server.path), "config": {"PrintMotd": "no"}}
    for test in (True, False, True):
        result = states.sshd_config.managed(**options, admins=["root", "nobody-here"], test=test)
        assert result.result is not False
        assert result.comment.endswith(
            ". nobody-here of admins is no account of this host: no way in is kept for a name alone."
        )
        assert "admins" not in states.sshd_config.managed(**options, admins=["root"], test=True).comment
