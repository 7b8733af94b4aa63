"""
What others have done to the socket by which auditd gets the kernel's records; asked, never changed.

Whoever may trace a process can have its sockets (pidfd_getfd(2)): he can take records out of one, or leave a filter on
it that drops some kinds of them (socket(7), SO_ATTACH_FILTER), and the kernel counts neither as lost.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import time
from collections.abc import Iterator
from socket import AF_NETLINK, SO_DOMAIN, SO_PROTOCOL, SOL_SOCKET

from sshtrail_lib.base import files, processes

#: pidfd_open(2), which a Python has that was built where it was known, and pidfd_getfd(2), from Linux 5.6 on: before,
#: nobody gets at another's socket.
PIDFD_OPEN, PIDFD_GETFD = 434, 438
#: socket(7): with no room for the answer it tells how many instructions there are. netlink(7): the kernel's audit.
SO_GET_FILTER, NETLINK_AUDIT = 26, 9
#: Seconds after which whoever shares the socket is asked for again: another look has it for a moment.
PAUSE = 0.05


def filtered(pid: int) -> bool:
    """Tell whether a filter lies on the audit socket of a process (int; bool)."""
    with contextlib.suppress(OSError):
        return any(_has_filter(handle) for handle in _audit_sockets(pid))
    return False


def shared(pid: int) -> list[int]:
    """Return which other processes have the audit socket of a process (int, pids)."""
    with contextlib.suppress(OSError):
        wanted = {f"socket:[{os.fstat(handle).st_ino}]" for handle in _audit_sockets(pid)}
        found = _holding(wanted, pid) if wanted else set()
        if found:
            time.sleep(PAUSE)
        return sorted(found & _holding(wanted, pid)) if found else []
    return []


def _holding(wanted: set[str], pid: int) -> set[int]:
    """Return who has one of the ``wanted`` sockets (set of int), but for the process ``pid`` (int) and its forks."""
    others = (int(name) for name in os.listdir("/proc") if name.isdigit() and int(name) != pid)
    return {one for one in others if wanted & {*processes.links(one)} and not _is_fork(one, pid)}


def _is_fork(one: int, pid: int) -> bool:
    # That of a plugin, until it becomes that: its socket is closed then.
    return files.same(f"/proc/{one}/exe", f"/proc/{pid}/exe")


def _audit_sockets(pid: int) -> Iterator[int]:
    """Yield the audit sockets of a process (int) as open files of this one, each until the next is asked for."""
    process = _called(PIDFD_OPEN, pid, 0)
    if process < 0:
        return
    try:
        names = os.listdir(f"/proc/{pid}/fd")
        for name in (one for one in names if processes.link(f"/proc/{pid}/fd/{one}").startswith("socket:")):
            handle = _called(PIDFD_GETFD, process, int(name), 0)
            if handle < 0:
                continue
            with contextlib.closing(os.fdopen(handle, "rb", buffering=0)):
                if (_number(handle, SO_DOMAIN), _number(handle, SO_PROTOCOL)) == (AF_NETLINK, NETLINK_AUDIT):
                    yield handle
    finally:
        os.close(process)


@functools.lru_cache(maxsize=1)
def _library() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _called(*words: int) -> int:
    return int(_library().syscall(*map(ctypes.c_long, words)))


def _number(handle: int, name: int) -> int:
    value, size = ctypes.c_int(-1), ctypes.c_uint(4)
    _library().getsockopt(handle, SOL_SOCKET, name, ctypes.byref(value), ctypes.byref(size))
    return value.value


def _has_filter(handle: int) -> bool:
    size = ctypes.c_uint(0)
    done = _library().getsockopt(handle, SOL_SOCKET, SO_GET_FILTER, None, ctypes.byref(size))
    # One that was loaded as a BPF program is not shown: EACCES.
    return size.value > 0 if done == 0 else ctypes.get_errno() == errno.EACCES
