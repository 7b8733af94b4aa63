"""What a command line says, and what answers at an endpoint: plain sockets on loopback."""

import contextlib
import socket
import subprocess
import sys
import threading

import pytest
from sshtrail_lib.sshd import listener


@pytest.mark.parametrize(
    ("argv", "config"),
    [
        (["/usr/sbin/sshd"], "/default"),
        (["/usr/sbin/sshd", "-D"], "/default"),
        (["/usr/sbin/sshd", "-D", "-f", "/a"], "/a"),
        (["/usr/sbin/sshd", "-f/a"], "/a"),
        (["/usr/sbin/sshd", "-f"], "/default"),
    ],
)
def test_config_of(argv, config):
    assert listener.config_of(argv, "/default") == config


def test_options_that_bear_on_the_configuration():
    assert listener.options_of(["sshd", "-D", "-p", "22", "-o", "LogLevel=INFO"]) == [
        "-p",
        "22",
        "-o",
        "LogLevel=INFO",
    ]


def test_a_process_that_is_no_listener():
    assert listener.find("/nonexistent/sshd.pid", "/a", "/a") is None
    # Not this one, whose name pytest may have changed.
    command = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        process.stdout.readline()
        assert "python" in listener.command(process.pid)[0]
        process.communicate(b"\n")


@contextlib.contextmanager
def saying(greeting):
    """A server on loopback that greets once with ``greeting`` (bytes)."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def greet():
            with contextlib.suppress(OSError):
                connection, _peer = server.accept()
                with connection:
                    connection.sendall(greeting)

        thread = threading.Thread(target=greet, daemon=True)
        thread.start()
        yield f"127.0.0.1:{server.getsockname()[1]}"
    thread.join(1)


@pytest.mark.parametrize(("greeting", "answer"), [(b"SSH-2.0-x\r\n", True), (b"HTTP/1.1 400\r\n", False), (b"", False)])
def test_answers(greeting, answer):
    with saying(greeting) as endpoint:
        assert listener.answers(endpoint) is answer


def test_a_wildcard_is_asked_on_loopback():
    with saying(b"SSH-2.0-x\r\n") as endpoint:
        assert listener.answers(endpoint.replace("127.0.0.1", "0.0.0.0"))


def test_silence_names_who_is_silent():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{closed.getsockname()[1]}"
        assert listener.silence([endpoint]) == f"no SSH-2.0 greeting from {endpoint}"
        assert listener.silence([]) == ""


def test_unheard_names_where_nothing_listens():
    with socket.create_server(("127.0.0.1", 0)) as server, socket.socket() as idle:
        idle.bind(("127.0.0.1", 0))
        heard, silent = (f"127.0.0.1:{one.getsockname()[1]}" for one in (server, idle))
        assert listener.unheard([heard, silent]) == [silent]
        assert listener.unheard([heard.replace("127.0.0.1", "0.0.0.0")]) != []


def test_a_socket_for_every_address_answers_for_each():
    with socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True) as server:
        port = server.getsockname()[1]
        assert listener.unheard([f"0.0.0.0:{port}", f"[::]:{port}", f"[::1]:{port}"]) == []
