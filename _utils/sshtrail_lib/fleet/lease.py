"""
Work that one process of the master does alone: who was stopped in the middle of it is told of, and another goes on.

Whoever works holds a lock and gives signs of life in it. Where there was none for long, somebody else puts a lock of
his own in its place. Who wakes up then has to learn it before he does anything more: what no two may do is done within
:meth:`Turn.sure`, and nobody takes over from one who was stopped in there.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Iterator

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import locks
from sshtrail_lib.base.locks import Holder

log = logging.getLogger(__name__)

#: Seconds without a sign of life after which somebody else takes over: from a process that was stopped, and from one
#: that waits for whatever it is (a disk, a lock).
STOPPED, SILENT = 10.0, 120.0
#: Seconds for which that is looked at: the clock may have jumped.
WATCHED, PAUSE = 2.0, 0.1
#: Seconds to wait for whoever does what no two may do: a moment.
DEADLINE = 30.0


class LostError(CommandExecutionError):
    """Somebody else has taken over meanwhile; nothing more was done."""


class Turn:
    """
    Whether this process works (true), or somebody else does (false).

    stuck
        Who has worked before, or still holds the lock, and gives no sign of life (:class:`Holder`), None for nobody.
    """

    def __init__(self, path: str, fence: str, handle: int | None, stuck: Holder | None) -> None:
        """
        path, fence
            The lock, and that of what no two may do (str).
        handle
            The lock as it was opened (int), None where somebody else has it.
        """
        self._path, self._fence, self._handle, self.stuck = path, fence, handle, stuck

    def __bool__(self) -> bool:
        return self._handle is not None and locks.is_there(self._handle, self._path)

    def sign(self) -> None:
        """Give a sign of life; raises :class:`LostError` where somebody else has taken over."""
        if not self or self._handle is None:
            raise LostError(
                f"Another run has taken over {self._path} from this one, which has not gone on for a while."
            )
        locks.sign(self._handle)

    @contextlib.contextmanager
    def sure(self) -> Iterator[None]:
        """
        Do what no two may do: nobody takes over as long as this context lasts.

        Raises :class:`LostError`, and :class:`~sshtrail_lib.base.locks.Busy` where somebody is at that for long.
        """
        with locks.lock(self._fence, DEADLINE):
            self.sign()
            yield


@contextlib.contextmanager
def held(path: str, fence: str) -> Iterator[Turn]:
    """
    Be the one that works, or learn at once that somebody else does (:class:`Turn`).

    path, fence
        As for :class:`Turn`. Nobody takes over while somebody holds the lock ``fence``.
    """
    with contextlib.ExitStack() as stack:
        yield Turn(path, fence, *_got(stack, path, fence))


def _got(stack: contextlib.ExitStack, path: str, fence: str) -> tuple[int | None, Holder | None]:
    try:
        return stack.enter_context(locks.lock(path, 0)), None
    except locks.Busy:
        who = stuck(path)
    if who is None:
        return None, None
    try:
        with locks.lock(fence, 0):
            if locks.holder(path) != who:
                return None, None
            handle = stack.enter_context(locks.lock(f"{path}.new", 0))
            os.rename(f"{path}.new", path)
            return handle, who
    except (OSError, CommandExecutionError) as exc:
        log.error("Nobody can go on in the place of %s: %s", who.said(), exc)
        return None, who


def stuck(path: str) -> Holder | None:
    """Return who holds the lock at ``path`` (str) and gives no sign of life (:class:`Holder`), None for nobody."""
    who, end = locks.holder(path), time.monotonic() + WATCHED
    while who and _is_late(who) and locks.holder(path) == who:
        if time.monotonic() > end:
            return who
        time.sleep(PAUSE)
    return None


def _is_late(who: Holder) -> bool:
    # A clock that was set back leaves signs that lie ahead.
    return abs(time.time() - who.since) > (STOPPED if who.stopped() else SILENT)
