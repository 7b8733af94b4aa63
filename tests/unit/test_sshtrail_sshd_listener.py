"""What a command line says, and what answers at an endpoint: plain sockets on loopback."""

import contextlib
import os
import socket
import threading

import pytest
import sshtrail_sshd_listener


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
    assert sshtrail_sshd_listener.config_of(argv, "/default") == config


def test_options_that_bear_on_the_configuration():
    assert sshtrail_sshd_listener.options_of(["sshd", "-D", "-p", "22", "-o", "LogLevel=INFO"]) == [
        "-p",
        "22",
        "-o",
        "LogLevel=INFO",
    ]


def test_a_process_that_is_no_listener():
    assert sshtrail_sshd_listener.find("/nonexistent/sshd.pid", "/a", "/a") is None
    assert "python" in sshtrail_sshd_listener.command(os.getpid())[0]


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
        assert sshtrail_sshd_listener.answers(endpoint) is answer


def test_a_wildcard_is_asked_on_loopback():
    with saying(b"SSH-2.0-x\r\n") as endpoint:
        assert sshtrail_sshd_listener.answers(endpoint.replace("127.0.0.1", "0.0.0.0"))


def test_silence_names_who_is_silent():
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        endpoint = f"127.0.0.1:{closed.getsockname()[1]}"
        assert sshtrail_sshd_listener.silence([endpoint]) == f"no SSH-2.0 greeting from {endpoint}"
        assert sshtrail_sshd_listener.silence([]) == ""
