"""What a command line says, and what answers at an endpoint: plain sockets on loopback."""

import contextlib
import os
import socket
import threading

import pytest
from sshtrail_lib.sshd import listener


def test_a_process_that_is_no_listener():
    assert listener.find("/nonexistent/sshd.pid", "/a", "/a") is None


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


FULL_SSHD = [b"Exceeded MaxStartups\r\n", b"Not allowed at this time\r\n"]


@pytest.mark.parametrize(
    ("said", "answer"),
    [(b"SSH-2.0-x\r\n", listener.GREETS), *((line, listener.FULL) for line in FULL_SSHD), (b"", listener.SILENT)],
)
def test_a_full_sshd_is_told_from_a_dead_one(said, answer):
    with saying(said) as endpoint:
        assert listener.ask(endpoint) == answer


def test_who_says_nothing_is_silent():
    with socket.create_server(("127.0.0.1", 0)) as server:
        # The kernel accepts for a process that never will.
        assert listener.ask(f"127.0.0.1:{server.getsockname()[1]}", timeout=0.1) == listener.SILENT


def test_who_closes_without_a_word_is_full_only_when_its_title_says_so(monkeypatch):
    monkeypatch.setattr(listener, "_refusing", lambda pid: pid == str(os.getpid()))
    with saying(b"") as endpoint:
        assert listener.ask(endpoint) == listener.FULL


@pytest.mark.parametrize(
    ("title", "refuses"),
    [
        (b"sshd: /usr/sbin/sshd -D [listener] 2 of 2-2 startups", True),
        (b"sshd: /usr/sbin/sshd -D [listener] 10 of 10-100 startups\0", True),
        (b"sshd: /usr/sbin/sshd -D [listener] 9 of 10-100 startups", False),
        (b"/usr/sbin/sshd\0-D", False),
        (b"python\0sshd: x [listener] 2 of 2-2 startups", False),
    ],
)
def test_a_title_tells_how_many_wait(title, refuses, monkeypatch):
    monkeypatch.setattr(listener.files, "read", lambda path: title)
    assert listener._refusing("7") is refuses


def test_who_is_full_is_asked_again(monkeypatch):
    answers = iter([listener.FULL, listener.FULL, listener.GREETS])
    monkeypatch.setattr(listener, "ask", lambda endpoint, timeout: next(answers))
    monkeypatch.setattr(listener.time, "sleep", lambda seconds: None)
    assert listener.hear(["a"]) == ("", "")
    assert next(answers, None) is None


def test_what_is_full_and_what_is_silent_are_two_sentences(monkeypatch):
    known = {"a:1": listener.FULL, "b:2": listener.SILENT, "c:3": listener.GREETS}
    monkeypatch.setattr(listener, "ask", lambda endpoint, timeout: known[endpoint])
    monkeypatch.setattr(listener.time, "sleep", lambda seconds: None)
    heard = listener.hear(list(known))
    assert heard.silent == "no SSH-2.0 greeting from b:2"
    assert heard.full == "sshd is full at a:1: it lives, and takes no connection now (MaxStartups)"
    assert listener.silence(["a:1"]) == ""


def test_the_title_of_somebody_else_says_nothing(monkeypatch):
    monkeypatch.setattr(listener, "_refusing", lambda pid: pid == str(os.getpid()))
    monkeypatch.setattr(listener.processes, "owner", lambda pid: 65534)
    with saying(b"") as endpoint:
        assert listener.ask(endpoint) == listener.SILENT
