"""
Locks: who holds one, that nobody else can, and that nobody waits for it without end.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import time
import typing
from collections.abc import Iterator

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import processes, text

#: Seconds to wait for another change of the same kind; the longest one waits 30 s for each of two answers of sshd.
DEADLINE = 120
#: Bytes of what a holder leaves in his lock, and seconds between two tries to get one.
LARGEST, PAUSE = 60, 0.05


class Holder(typing.NamedTuple):
    """
    Who holds a lock, as he has said himself.

    pid
        Which process (int).
    since
        When he took it, or gave the last sign of life since (float, seconds since the epoch).
    """

    pid: int
    since: float

    def stopped(self) -> bool:
        """Return whether he was stopped (bool, SIGSTOP or a debugger), and does nothing."""
        return processes.stopped(self.pid)

    def said(self) -> str:
        """Return who he is and what he does (str)."""
        doing = f", which is stopped (kill -CONT {self.pid} has it go on)" if self.stopped() else ""
        return f"process {self.pid} ({text.printable(processes.comm(self.pid))}{doing}), since {text.iso(self.since)}"


class Busy(CommandExecutionError):
    """
    Another run changes the same configuration and did not end in time; nothing was touched.

    ``holder`` is who (:class:`Holder`), None where he has not said.
    """

    holder: Holder | None = None


@contextlib.contextmanager
def lock(path: str, deadline: float = DEADLINE) -> Iterator[int]:
    """
    Hold the lock file at ``path`` (str), which only this user can open, and wait for it no longer than ``deadline``
    (float, seconds). Gives its handle (int).

    Raises :class:`Busy`, and CommandExecutionError where the file cannot be used. The lock goes with the process, also
    when that is killed.
    """
    handle, holder = _held(path, time.monotonic() + deadline, deadline), os.getpid()
    try:
        sign(handle)
        yield handle
    finally:
        if os.getpid() == holder:
            _note(handle, b"")
            # A child that was forked meanwhile, and lives on, has the same open file.
            fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def sign(handle: int) -> None:
    """Say in a lock (int, its handle) who holds it, and that he works; the time of the file is that of the last one."""
    _note(handle, b"%d %s" % (os.getpid(), processes.birth(os.getpid())))


def _note(handle: int, said: bytes) -> None:
    # A disk that takes nothing keeps nobody from holding a lock.
    with contextlib.suppress(OSError):
        os.pwrite(handle, b"%-*s\n" % (LARGEST, said), 0)


def is_there(handle: int, path: str) -> bool:
    """Return whether an open lock (int, its handle) is the one at ``path`` (str) still: it may have been replaced."""
    try:
        return os.path.samestat(os.fstat(handle), os.lstat(path))
    except OSError:
        return False


def holder(path: str) -> Holder | None:
    """Return who holds or has held the lock at ``path`` (str), None where nobody has said so."""
    try:
        handle = _opened(path)
    except CommandExecutionError:
        return None
    try:
        return _holder(handle)
    finally:
        os.close(handle)


def _holder(handle: int) -> Holder | None:
    words = os.pread(handle, LARGEST, 0).split()
    # What another run has left there tells nothing of this one.
    if len(words) != 2 or not words[0].isdigit() or processes.birth(int(words[0])) != words[1]:
        return None
    return Holder(int(words[0]), os.fstat(handle).st_mtime)


def _held(path: str, end: float, deadline: float) -> int:
    while True:
        handle = _opened(path)
        try:
            _wait(handle, path, end, deadline)
        except BaseException:
            os.close(handle)
            raise
        if is_there(handle, path):
            return handle
        # Somebody has put another in its place meanwhile: that one counts.
        os.close(handle)


def _opened(path: str) -> int:
    directory = os.path.dirname(path)
    with contextlib.ExitStack() as stack:
        try:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            # Who owns the directory, or a link to it, could put another file there at any time.
            if {os.lstat(directory).st_uid, os.stat(directory).st_uid} != {os.geteuid()}:
                raise PermissionError(errno.EPERM, "its directory is somebody else's")
            os.chmod(directory, 0o700)
            handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
            stack.callback(os.close, handle)
            found = os.fstat(handle)
            if not stat.S_ISREG(found.st_mode) or found.st_uid != os.geteuid():
                raise PermissionError(errno.EPERM, "it is no file of this user's")
            os.fchmod(handle, 0o600)
        except OSError as exc:
            raise CommandExecutionError(f"Cannot hold the lock {path}: {exc.strerror}; nothing was touched.") from exc
        stack.pop_all()
    return handle


def _wait(handle: int, path: str, end: float, deadline: float) -> None:
    while True:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() >= end:
                raise _busy(handle, path, deadline) from None
            time.sleep(PAUSE)


def _busy(handle: int, path: str, deadline: float) -> Busy:
    by = _holder(handle)
    who = f" It is {by.said()}." if by else ""
    busy = Busy(f"Another run holds {path} for more than {deadline:g} seconds; nothing was touched.{who}")
    busy.holder = by
    return busy
