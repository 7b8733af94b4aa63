"""
coverage.tapped: who else has the socket by which a process gets the kernel's records, and what lies on it.
"""

import ctypes
import os
import platform
import socket
import struct
import subprocess
import sys

import pytest
from sshtrail_lib.base import processes
from sshtrail_lib.coverage import tapped

pytestmark = pytest.mark.skipif(
    tuple(map(int, platform.release().split(".")[:2])) < (5, 6), reason="this kernel has no pidfd_getfd(2)"
)
#: Has an audit socket, and another one, until its input ends.
HOLDS = "import socket, sys; one = socket.socket(16, 3, 9); two = socket.socket(16, 3, 0); sys.stdout.write('x')"
HOLDS += "; sys.stdout.flush(); sys.stdin.read()"
SO_ATTACH_FILTER = 26
#: ret #-1: takes all; and one of more instructions than there is room in an int.
FILTERS = {"short": [(6, 0, 0, 0xFFFFFFFF)], "long": [(0x28, 0, 0, 4)] * 40 + [(6, 0, 0, 0xFFFFFFFF)]}


@pytest.fixture
def holder():
    with subprocess.Popen([sys.executable, "-c", HOLDS], stdin=-1, stdout=-1) as process:
        assert process.stdout.read(1) == b"x"
        yield process.pid
        process.stdin.close()


def put(handle, code):
    """Put a filter, as a list of instructions, on a socket."""
    program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
    with socket.socket(fileno=os.dup(handle)) as one:
        one.setsockopt(
            socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program))
        )


@pytest.mark.parametrize("code", FILTERS.values(), ids=FILTERS)
def test_a_filter_on_it(holder, code):
    before = len(os.listdir("/proc/self/fd"))
    assert not tapped.filtered(holder) and tapped.shared(holder) == []
    for handle in tapped._audit_sockets(holder):
        put(handle, code)
    assert tapped.filtered(holder)
    assert len(os.listdir("/proc/self/fd")) == before


def test_one_that_is_not_shown(holder, monkeypatch):
    monkeypatch.setattr(tapped, "SO_GET_FILTER", -1)
    assert not tapped.filtered(holder)
    monkeypatch.setattr(tapped.ctypes, "get_errno", lambda: 13)
    assert tapped.filtered(holder)


def test_another_process_that_has_it(holder):
    [handle] = (os.dup(one) for one in tapped._audit_sockets(holder))
    try:
        assert tapped.shared(holder) == ([] if tapped._is_fork(os.getpid(), holder) else [os.getpid()])
        # Whoever is about to become a plugin still is that program.
        with subprocess.Popen(["sleep", "600"], pass_fds=[handle]) as thief:
            assert thief.pid in tapped.shared(holder)
            thief.kill()
    finally:
        os.close(handle)


def test_what_another_look_has_for_a_moment(holder, monkeypatch):
    handles = [os.dup(one) for one in tapped._audit_sockets(holder)]
    with subprocess.Popen(["sleep", "600"], pass_fds=handles) as other:
        monkeypatch.setattr(tapped.time, "sleep", lambda seconds: (other.kill(), other.wait()))
        found = tapped.shared(holder)
    for one in handles:
        os.close(one)
    assert other.pid not in found


def test_a_kernel_without_these_calls(holder, monkeypatch):
    for name in ("PIDFD_GETFD", "PIDFD_OPEN"):
        monkeypatch.setattr(tapped, name, 9999)
        assert not tapped.filtered(holder) and tapped.shared(holder) == []


def test_who_has_none_and_who_has_ended():
    assert not tapped.filtered(os.getpid()) and tapped.shared(os.getpid()) == []
    with subprocess.Popen(["true"]) as ended:
        pass
    assert not processes.lives(ended.pid)
    assert not tapped.filtered(ended.pid) and tapped.shared(ended.pid) == []
