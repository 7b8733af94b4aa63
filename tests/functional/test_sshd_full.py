"""
A real sshd that is full, and one that was stopped: the first lives, the second does not answer.
"""

import contextlib
import os
import pathlib
import signal
import socket

import pytest
from _waiting import DEADLINE, wait_for
from sshtrail_lib.sshd import endpoints, listener

CROWD = 100


@pytest.fixture
def narrow(server):
    """A sshd that takes two who have not logged in."""
    server.write("MaxStartups 2")
    server.start()
    yield server
    if server.pid:
        os.kill(server.pid, signal.SIGCONT)


@contextlib.contextmanager
def crowd(server):
    """Hold connections of people who never log in."""
    # Who was greeted a moment ago still has his place.
    assert wait_for(lambda: b" 0 of 2-2 startups" in pathlib.Path(f"/proc/{server.pid}/cmdline").read_bytes(), "sshd")
    with contextlib.ExitStack() as held:
        for _ in range(CROWD):
            held.enter_context(socket.create_connection(("127.0.0.1", server.port), timeout=10))
        yield


def endpoint(server):
    return f"127.0.0.1:{server.port}"


def test_full_is_told_from_dead(narrow):
    assert listener.hear([endpoint(narrow)]) == ("", "")
    with crowd(narrow):
        assert wait_for(lambda: listener._refusing(str(narrow.pid)), "sshd")
        # It says so at once: nobody waits for the time that a silent one would have.
        heard = listener.hear([endpoint(narrow)], timeout=2 * DEADLINE)
        assert heard.silent == "" and heard.full.startswith(f"sshd is full at {endpoint(narrow)}")
        assert listener._crowded(endpoint(narrow)), "its title tells it too"
    assert wait_for(lambda: listener.hear([endpoint(narrow)]) == ("", ""), "sshd")


def test_one_that_was_stopped_is_dead_even_when_it_was_full(narrow):
    with crowd(narrow):
        os.kill(narrow.pid, signal.SIGSTOP)
        assert listener.ask(endpoint(narrow), timeout=1) == listener.SILENT
        assert endpoints.unheard([endpoint(narrow)]) == [], "the kernel listens for it"
    os.kill(narrow.pid, signal.SIGCONT)
    assert wait_for(lambda: listener.hear([endpoint(narrow)]) == ("", ""), "sshd")


def test_one_that_has_ended_is_dead(narrow):
    narrow.stop()
    assert listener.hear([endpoint(narrow)]) == (f"no SSH-2.0 greeting from {endpoint(narrow)}", "")
