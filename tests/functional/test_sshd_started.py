"""How the running sshd was started: options, titles that tell little, and processes that only pretend."""

import contextlib
import os
import pathlib
import signal
import subprocess
import sys

import psutil
import pytest
from _waiting import wait_for, wait_until_gone
from sshd_server import SSHD, free_port, greeting
from sshtrail_lib.sshd import listener, started

EIC = [
    *("-o", "AuthorizedKeysCommand /opt/aws/bin/eic_run_authorized_keys %u %f"),
    *("-o", "AuthorizedKeysCommandUser nobody"),
]
BARE = {"env": {}}


def launched(server, *words, **options):
    """Start the server by this very command line, with ``@`` for the path of its file."""
    argv = [SSHD, *(word.replace("@", str(server.path)) for word in words)]
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL, timeout=30, **options)
    greeting(server.port)


WAYS = [
    (["-f", "@"], {}),
    (["-f@"], {}),
    (["-f@"], BARE),
    (["-f", "@"], BARE),
    (["-4f@"], BARE),
    (["-f", "@", *EIC], {}),
    (["-f@", *EIC], BARE),
    ([*EIC, "-f", "@"], BARE),
    (["-f", "@", "-o", "Banner none", "-oMaxAuthTries=3", "-E", "/dev/null"], {}),
]


@pytest.mark.parametrize(("words", "options"), WAYS)
def test_a_change_whatever_it_was_started_with(server, states, modules, words, options):
    launched(server, *words, **options)
    pid, path = server.pid, str(server.path)
    assert modules.sshd_config.listening(path) == pid
    port = free_port()
    result = states.sshd_config.managed(name=path, config={"Port": port, "X11Forwarding": False}, force=True)
    assert result.result is True, result.comment
    assert greeting(port) and server.pid == pid
    assert states.sshd_config.managed(name=path, config={"Port": port, "X11Forwarding": False}).changes == {}


def test_a_port_of_the_command_line(server, states):
    server.write()
    text = server.path.read_text()
    server.path.write_text(text.replace(f"Port {server.port}", "Port 1"))
    launched(server, "-f", "@", "-p", str(server.port), **BARE)
    result = states.sshd_config.present(name="LogLevel", value="VERBOSE", path=str(server.path))
    assert result.result is True, result.comment
    assert greeting(server.port)


def test_one_that_cannot_start_anew_comes_back_with_its_options(server, states):
    launched(server, "-f", "@", "-o", "MaxAuthTries=3")
    before = server.path.read_bytes()
    result = states.sshd_config.present(name="HostKey", value="/nonexistent", path=str(server.path), force=True)
    assert result.result is False
    assert server.path.read_bytes() == before and greeting(server.port)


DECIDES = [
    (["-f", "@", "-o", "LogLevel=ERROR"], {}, "LogLevel", "ERROR"),
    (["-oLogLevel=QUIET", "-f", "@"], {}, "LogLevel", "SILENT"),
    (["-f@", "-o", "loglevel ERROR"], {}, "LogLevel", "ERROR"),
    (["-q", "-f", "@"], {}, "LogLevel", "SILENT"),
    (["-o", "LogLevel=ERROR", "-f", "@"], BARE, "LogLevel", "ERROR"),
    (["-f", "@", "-oLogLevel=ERROR"], BARE, "LogLevel", "…"),
]


@pytest.mark.parametrize(("words", "options", "keyword", "value"), DECIDES)
def test_the_command_line_decides(server, states, modules, words, options, keyword, value):
    launched(server, *words, **options)
    path, key = str(server.path), f"{keyword} (command line of sshd)"
    preview = states.sshd_config.present(name=keyword, value="VERBOSE", path=path, test=True)
    assert preview.result is None and preview.changes[key] == {"old": value, "new": "VERBOSE"}
    for _time in range(2):
        result = states.sshd_config.managed(name=path, config={keyword: "VERBOSE"})
        assert result.result is False and "command line" in result.comment, result.comment
    assert f"{keyword} VERBOSE" in server.path.read_text()
    assert modules.sshd_config.diff({keyword: "VERBOSE"}, path=path) == {key: {"old": value, "new": "VERBOSE"}}
    (problem,) = modules.sshd_config.check(path)
    assert "command line" in problem["reason"] and problem["file"] == path


def test_a_command_line_that_says_the_same_decides_nothing(server, states, modules):
    launched(server, "-f", "@", "-o", "LogLevel=VERBOSE", "-oMaxSessions=5")
    result = states.sshd_config.managed(name=str(server.path), config={"LogLevel": "VERBOSE"})
    assert result.result is True, result.comment
    assert modules.sshd_config.check(str(server.path)) == []


def elsewhere(server):
    """The PidFile of the command line is another one."""
    launched(server, "-f", "@", "-o", f"PidFile={server.base}/other.pid")


def nowhere(server):
    """The configuration names no PidFile."""
    server.path.write_text(server.path.read_text().replace(f"PidFile {server.pidfile}", "PidFile none"))
    launched(server, "-f", "@")


def removed(server):
    """Somebody has removed the PidFile of a sshd that lives."""
    launched(server, "-f", "@")
    server.pidfile.unlink()


def stale(server):
    """The PidFile names a process that is none of sshd's."""
    launched(server, "-f", "@")
    server.pidfile.write_text("1\n")


@pytest.fixture
def listening(server):
    """A function that tells which process holds the server's port; it is ended."""

    def holder():
        for process in psutil.process_iter(["name"]):
            if process.info["name"] == "sshd" and any(
                one.laddr.port in ports and one.status == "LISTEN" for one in process.net_connections("tcp")
            ):
                return process.pid
        return None

    ports = {server.port}
    holder.ports = ports
    yield holder
    pid = holder()
    if pid:
        os.kill(pid, signal.SIGTERM)
        wait_until_gone(pid, "sshd")


@pytest.mark.parametrize("way", [elsewhere, nowhere, removed, stale])
def test_a_sshd_that_its_pidfile_does_not_name_is_found(server, states, modules, listening, way):
    way(server)
    path, pid, port = str(server.path), listening(), free_port()
    listening.ports.add(port)
    assert modules.sshd_config.listening(path) == pid is not None
    # It takes up what changes, and the change is proven.
    asked = {"Port": port, "X11Forwarding": False}
    result = states.sshd_config.managed(name=path, config=asked, force=True)
    assert result.result is True and "no sshd runs" not in result.comment, result.comment
    assert greeting(port) and listening() == pid
    assert states.sshd_config.managed(name=path, config=asked).changes == {}
    # And what it cannot take up is taken back.
    before = server.path.read_bytes()
    result = states.sshd_config.present(name="HostKey", value="/nonexistent", path=path, force=True)
    assert result.result is False and server.path.read_bytes() == before and greeting(port)
    assert modules.sshd_config.listening(path) == listening()


def test_a_sshd_that_sees_other_files_is_not_taken_for_ours(server, modules, listening):
    """As in a container with the same programs: its name and its file's are the same, and it is another."""
    apart = ["unshare", "--mount", SSHD, "-f", str(server.path), "-o", f"PidFile={server.base}/other.pid"]
    subprocess.run(apart, check=True, stdin=subprocess.DEVNULL, timeout=30)
    greeting(server.port)
    assert listening() and modules.sshd_config.listening(str(server.path)) is None


PRETENDER = """
import ctypes, sys, time
ctypes.CDLL(None).prctl(15, b"sshd", 0, 0, 0)
print("ready", flush=True)
time.sleep(60)
"""


@contextlib.contextmanager
def pretender(server, tmp_path):
    """A process of nobody's that is called sshd, has a listener's title, and the pid of a stale PidFile."""
    title = f"sshd: {tmp_path}/sshd -f {server.path} -E {tmp_path}/planted [listener] 0 of 10-100 startups"
    argv = [title, "-c", PRETENDER]
    with subprocess.Popen(
        argv, executable="/usr/bin/python3", stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, user=65534, group=65534
    ) as process:
        process.stdout.readline()
        server.pidfile.write_text(f"{process.pid}\n")
        yield process
        process.kill()


def test_a_process_of_nobodys_is_no_sshd(server, states, modules, tmp_path):
    tmp_path.chmod(0o755)
    program = tmp_path / "sshd"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/executed\n")
    program.chmod(0o755)
    with pretender(server, tmp_path) as process:
        assert not started.genuine(process.pid)
        assert listener.find(str(server.pidfile), str(server.path), "/x") is None
        assert modules.sshd_config.listening(str(server.path)) is None
        result = states.sshd_config.present(name="LogLevel", value="VERBOSE", path=str(server.path))
        assert result.result is True and "no sshd runs with it" in result.comment
        assert process.poll() is None
    assert not (tmp_path / "planted").exists() and not (tmp_path / "executed").exists()


def test_a_sshd_that_was_upgraded_is_one(server, tmp_path, monkeypatch):
    """The kernel says that the file of a running program is deleted when a package replaced it."""
    program = tmp_path / "sbin" / "sshd"
    program.parent.mkdir()
    program.write_bytes(pathlib.Path(SSHD).read_bytes())
    program.chmod(0o755)
    monkeypatch.setattr(started.oracle, "binary", lambda: str(program))
    subprocess.run([program, "-f", server.path], check=True, stdin=subprocess.DEVNULL)
    greeting(server.port)
    assert started.genuine(server.pid)
    program.unlink()
    program.write_bytes(pathlib.Path(SSHD).read_bytes())
    program.chmod(0o755)
    assert started.genuine(server.pid)
    assert listener.find(str(server.pidfile), str(server.path), "/x").pid == server.pid
    monkeypatch.setattr(started.oracle, "binary", lambda: "/usr/bin/true")
    assert not started.genuine(server.pid)


def test_a_root_process_of_another_program_is_no_sshd(server):
    # A container's root is 0 too, and calls its processes as it likes.
    with subprocess.Popen([sys.executable, "-c", PRETENDER], stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert wait_for(lambda: started.processes.comm(process.pid) == b"sshd", "its name")
        assert not started.genuine(process.pid)
        process.kill()
