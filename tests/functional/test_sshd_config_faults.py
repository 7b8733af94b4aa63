"""Faults injected for real: each ends with a sshd that answers, the old files, and a message that says why."""

import ctypes
import json
import os
import pathlib
import shutil
import socket
import subprocess
import tempfile

import pytest
from sshd_server import SSHD, greeting
from support import require_root

CLONE_NEWNS = 0x00020000
CLONE_NEWNET = 0x40000000


def apart(call, namespaces=CLONE_NEWNS):
    """Run ``call`` in a child with ``namespaces`` of its own, mounts at least, and return the JSON that it returns."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            ctypes.CDLL(None, use_errno=True).unshare(namespaces)
            subprocess.run(["mount", "--make-rprivate", "/"], check=True)
            os.write(writing, json.dumps(call()).encode())
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        answer = pipe.read()
    os.waitpid(child, 0)
    return json.loads(answer)


def level(states, server, value="VERBOSE"):
    result = states.sshd_config.present(name="LogLevel", value=value, path=str(server.path))
    return {"result": result.result, "comment": result.comment}


def unharmed(server, before):
    return server.path.read_bytes() == before and greeting(server.port)


def test_full_disk(server, states):
    server.start()
    before = server.path.read_bytes()

    def on_a_full_disk():
        data = server.path.read_bytes()
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", server.base], check=True)
        server.path.write_bytes(data)
        (server.base / "key").symlink_to("/etc/ssh/ssh_host_ed25519_key")
        (server.base / "fill").write_bytes(b"x" * 4096)
        outcome = level(states, server)
        return {**outcome, "same": server.path.read_bytes() == data, "names": sorted(os.listdir(server.base))}

    outcome = apart(on_a_full_disk)
    assert outcome["result"] is False and outcome["same"]
    assert "No space left" in outcome["comment"] and str(server.path) in outcome["comment"]
    assert outcome["names"] == ["fill", "key", "sshd_config"]
    assert unharmed(server, before)


def test_read_only_directory(server, states):
    server.start()
    before = server.path.read_bytes()

    def read_only():
        subprocess.run(["mount", "--bind", server.base, server.base], check=True)
        subprocess.run(["mount", "-o", "remount,ro,bind", server.base], check=True)
        return level(states, server)

    outcome = apart(read_only)
    assert outcome["result"] is False and "Read-only file system" in outcome["comment"]
    assert unharmed(server, before)


def test_immutable_file(server, states):
    server.start()
    before = server.path.read_bytes()
    subprocess.run(["chattr", "+i", server.path], check=True)
    try:
        outcome = level(states, server)
    finally:
        subprocess.run(["chattr", "-i", server.path], check=True)
    assert outcome["result"] is False and "not permitted" in outcome["comment"]
    assert unharmed(server, before)


def test_a_file_without_write_permission_is_no_obstacle_to_root(server, states):
    server.path.chmod(0o400)
    assert level(states, server)["result"] is True
    assert server.path.stat().st_mode & 0o777 == 0o400


def test_the_second_file_cannot_be_written(server, states):
    (server.drop_ins / "1.conf").write_text("LogLevel INFO\n")
    (server.drop_ins / "2.conf").write_text("MaxAuthTries 4\n")
    server.start()
    subprocess.run(["chattr", "+i", server.drop_ins / "2.conf"], check=True)
    try:
        result = states.sshd_config.managed(name=str(server.path), config={"LogLevel": "VERBOSE", "MaxAuthTries": 3})
    finally:
        subprocess.run(["chattr", "-i", server.drop_ins / "2.conf"], check=True)
    assert result.result is False and "2.conf" in result.comment
    assert (server.drop_ins / "1.conf").read_text() == "LogLevel INFO\n"
    assert greeting(server.port)


@pytest.mark.parametrize("test", [True, False])
def test_no_host_key_can_be_read(server, states, test):
    server.start()
    before = server.path.read_bytes()
    result = states.sshd_config.present(name="HostKey", value="/nonexistent/key", path=str(server.path), test=test)
    assert result.result is False and "/nonexistent/key" in result.comment
    assert unharmed(server, before)


def test_a_host_without_host_keys(states):
    """They are made when sshd is first started; until then sshd itself tests nothing."""

    def bare():
        subprocess.run(["mount", "-t", "tmpfs", "none", "/etc/ssh"], check=True)
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        path = pathlib.Path("/etc/ssh/sshd_config")
        path.write_text("UsePAM yes\n")
        results = [
            states.sshd_config.present(name="LogLevel", value="VERBOSE", test=test).result
            for test in (True, False, False)
        ]
        return {
            "results": results,
            "text": path.read_text(),
            "names": sorted(os.listdir("/etc/ssh")),
            "run": os.listdir("/run"),
        }

    require_root()
    outcome = apart(bare)
    assert outcome["results"] == [None, True, True]
    assert (outcome["text"], outcome["names"]) == ("UsePAM yes\nLogLevel VERBOSE\n", ["sshd_config"])
    # A sshd that is started meanwhile relies on it.
    assert "sshd" in outcome["run"]


def test_missing_privilege_separation_directory(server, states):
    def without():
        subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
        os.mkdir("/run/sshd", 0o755)
        server.start()
        os.rmdir("/run/sshd")
        preview = states.sshd_config.present(name="LogLevel", value="VERBOSE", path=str(server.path), test=True)
        traces = os.listdir("/run")
        outcome = {**level(states, server), "preview": preview.result, "traces": traces, "left": os.listdir("/run")}
        return {**outcome, "greets": greeting(server.port), "stopped": server.stop()}

    outcome = apart(without)
    assert outcome["preview"] is None
    # What sshd said before is remembered: then a preview need not ask it, and the change does.
    assert outcome["traces"] in ([], ["sshd"]) and "sshd" in outcome["left"]
    assert outcome["result"] is True and outcome["greets"], outcome["comment"]


def test_sshd_that_dies_of_the_reload(server, states):
    """A program in sshd's place that fails once: what an upgrade that went wrong looks like."""
    program, fails = server.base / "sshd", server.base / "fails-once"
    program.write_text(f'#!/bin/bash\n[ -e {fails} ] && rm {fails} && exit 1\nexec -a {program} {SSHD} "$@"\n')
    program.chmod(0o755)
    subprocess.run([program, "-f", server.path], check=True, stdin=subprocess.DEVNULL)
    assert greeting(server.port)
    before = server.path.read_bytes()
    fails.touch()
    outcome = level(states, server)
    assert outcome["result"] is False and "the old one is back" in outcome["comment"]
    assert "+LogLevel VERBOSE" in outcome["comment"]
    assert not fails.exists() and unharmed(server, before)


@pytest.mark.parametrize(
    ("name", "content", "words"),
    [
        ("1.conf", b"Include {dir}/1.conf\n", ["1.conf:1", "Include leads back"]),
        ("1.conf", b"LogLevel INFO\0\n", ["1.conf:1", "NUL"]),
        ("1.conf", b"\xef\xbb\xbfLogLevel INFO\n", ["1.conf:1", "does not know"]),
        ("1.conf", b"Banner " + b"a" * 1_000_000 + b" b\n", ["1.conf:1", "no further argument"]),
        ("1.conf", b'Banner "/etc/issue\n', ["1.conf:1", "quote"]),
    ],
    ids=["include-loop", "nul", "bom", "megabyte-line", "quote"],
)
def test_a_tree_that_sshd_refuses_is_left_alone(server, states, name, content, words):
    server.start()
    before = server.path.read_bytes()
    (server.drop_ins / name).write_bytes(content.replace(b"{dir}", bytes(server.drop_ins)))
    outcome = level(states, server)
    assert outcome["result"] is False
    assert all(word in outcome["comment"] for word in words) and len(outcome["comment"]) < 400, outcome["comment"][:500]
    assert unharmed(server, before)


def test_a_megabyte_in_a_comment_is_kept(server, states):
    comment = b"# " + b"x" * 1_000_000 + b"\n"
    server.path.write_bytes(server.path.read_bytes() + comment)
    server.start()
    assert level(states, server)["result"] is True
    assert comment in server.path.read_bytes()


@pytest.mark.skipif(os.path.isdir("/run/systemd/system"), reason="systemd would start sshd in its own namespaces")
def test_the_distributions_own_service_is_brought_back(states, modules):
    """The real file, the real pid file and the init script; port 22 of a network of its own."""

    def service():
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        with tempfile.TemporaryDirectory() as copy:
            shutil.copytree("/etc/ssh", copy, dirs_exist_ok=True)
            subprocess.run(["mount", "--bind", copy, "/etc/ssh"], check=True)
            subprocess.run(["mount", "-t", "tmpfs", "none", "/run"], check=True)
            subprocess.run(["service", "ssh", "start"], check=True, capture_output=True)
            try:
                return managed()
            finally:
                subprocess.run(["service", "ssh", "stop"], check=False, capture_output=True)
                subprocess.run(["umount", "/etc/ssh"], check=True)

    def managed():
        path = pathlib.Path("/etc/ssh/sshd_config")
        good = states.sshd_config.managed(name=str(path), config={"LogLevel": "VERBOSE"})
        before = path.read_bytes()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 2222))
            bad = states.sshd_config.managed(name=str(path), config={"ListenAddress": "127.0.0.1:2222"}, force=True)
        return {
            "good": [good.result, good.changes],
            "bad": [bad.result, bad.comment],
            "greets": greeting(22),
            "same": path.read_bytes() == before,
            "pid": modules.sshd_config.listening() == int(pathlib.Path("/run/sshd.pid").read_text()),
        }

    require_root()
    outcome = apart(service, CLONE_NEWNS | CLONE_NEWNET)
    assert outcome["good"] == [True, {"LogLevel": {"old": "INFO", "new": "VERBOSE"}}]
    assert outcome["bad"][0] is False and "the old one is back" in outcome["bad"][1]
    assert outcome["greets"] and outcome["same"] and outcome["pid"]


def test_an_address_that_ended_sshd_does_not_come_back(server, states):
    """A sshd that was killed between a reload and its end: nobody is there to prove the next change."""
    before = server.path.read_bytes()
    wanted = {"name": "ListenAddress", "value": ["203.0.113.7"], "path": str(server.path), "force": True}
    for _ in range(2):
        outcome = states.sshd_config.present(**wanted)
        assert outcome.result is False
        assert "this host has no address 203.0.113.7 to listen at" in outcome.comment
        assert server.path.read_bytes() == before
