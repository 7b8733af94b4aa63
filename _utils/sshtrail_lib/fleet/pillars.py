"""
What the master's own pillar asks of many hosts, compiled by as many processes as there are processors.

Salt compiles a pillar in a twentieth of a second of a processor, and that is most of what a repair costs a master.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import ctypes
import importlib
import logging
import multiprocessing
import multiprocessing.pool
import os
import signal
import threading
import time
import typing
from collections.abc import Callable, Iterable, Iterator

from salt.loader.lazy import LazyLoader

from sshtrail_lib.base import text

log = logging.getLogger(__name__)

#: From so many pillars on that wait, it is worth while to start other processes; and how many there are at most.
WORTHWHILE, MOST = 8, 4
#: Seconds between two looks for what was compiled.
PAUSE = 0.02
#: Seconds after which a process that compiles a pillar is not waited for any more.
DEADLINE = 60
#: Seconds that a pillar may take: what it is made from can be what its minion says of itself.
LONGEST, AGAIN = 30, 1.0
#: So often a pillar is tried that takes longer: the process may hang, which is none of the pillar's doing.
TRIES = 2
#: linux/prctl.h: which signal a process gets when the one that has started it ends.
PR_SET_PDEATHSIG = 1
#: What Salt's loader finds by listing directories.
LISTED = ("file_mapping", "suffix_map", "suffix_order")

#: What a process tells instead of what is asked, where that takes too long.
LATE = ("late",)
#: Tells what is asked of a host (anything), None for nothing: what it raises is logged, and counts as that.
Asked = Callable[[str], typing.Any]


class Pillars:
    """
    Whoever asks (:meth:`ask`) goes on with other things, and is told later (:meth:`told`).

    As a context manager it ends the processes that it has started.
    """

    def __init__(self, compile_: Asked) -> None:
        """
        compile_
            Called with a host's id: see :data:`Asked`.
        """
        self._compile = compile_
        self._names: collections.deque[str] = collections.deque()
        self._pool: multiprocessing.pool.Pool | None = None
        self._out: dict[str, tuple[multiprocessing.pool.AsyncResult, float]] = {}
        self._late: collections.Counter[str] = collections.Counter()

    def __enter__(self) -> Pillars:
        return self

    def __exit__(self, *exc: object) -> None:
        self._close()

    def ask(self, names: list[str]) -> None:
        """Ask for the pillars of hosts (ids)."""
        self._names.extend(names)

    def asked(self) -> int:
        """Return of how many hosts nothing was told yet (int)."""
        return len(self._names) + len(self._out)

    def busy(self) -> bool:
        """Tell whether this process itself has pillars to compile (bool)."""
        return bool(self._names)

    def told(self) -> Iterator[tuple[str, typing.Any]]:
        """Yield the id of each host of which it is known now what is asked, and that."""
        if not self._pool and self._worthwhile() and not multiprocessing.current_process().daemon:
            self._start()
        if self._pool:
            self._hand_out(self._pool)
            yield from self._handed_in()
        elif self._names:
            name = self._names.popleft()
            yield name, _or_none(self._compile, name)

    def _worthwhile(self) -> bool:
        # What may have no end is for a process that can be ended.
        return len(self._names) >= WORTHWHILE or any(self._late[name] for name in self._names)

    def _start(self) -> None:
        # A child of this process knows all that it needs.
        processes = min(MOST, len(os.sched_getaffinity(0)))
        self._pool = multiprocessing.get_context("fork").Pool(processes, _begin, [self._compile, os.getpid()])

    def _hand_out(self, pool: multiprocessing.pool.Pool) -> None:
        while self._names:
            name = self._names.popleft()
            self._out[name] = pool.apply_async(_of, [name]), time.monotonic()

    def _handed_in(self) -> Iterator[tuple[str, typing.Any]]:
        ready = {name: result.get() for name, (result, _) in self._out.items() if result.ready()}
        late = [name for name, found in ready.items() if found == LATE and self._is_tried_again(name)]
        for name, found in ready.items():
            del self._out[name]
            if name not in late:
                yield name, None if found == LATE else found
        if late:
            # A fork of a process with threads can hang for ever, whatever it is asked: others are begun.
            self._names.extend([*self._out, *late])
            self._close()
        if self._out and time.monotonic() - max(since for _, since in self._out.values()) > DEADLINE:
            # Whatever hangs there: this process compiles what is left itself.
            log.error("The processes that compile pillars do not come to an end")
            self._names.extend(self._out)
            self._close()

    def _is_tried_again(self, name: str) -> bool:
        self._late[name] += 1
        return self._late[name] < TRIES

    def _close(self) -> None:
        self._out = {}
        if self._pool:
            self._pool.terminate()
            self._pool = None


def asked(compile_: Asked, names: Iterable[str]) -> Iterator[tuple[str, typing.Any]]:
    """Yield each host's id with what is asked of it, and wait for that; arguments as for :class:`Pillars`."""
    with Pillars(compile_) as wanted:
        wanted.ask(list(names))
        while wanted.asked():
            yield from wanted.told()
            if not wanted.busy():
                time.sleep(PAUSE)


_COMPILE: list[Asked] = []


def _begin(compile_: Asked, parent: int) -> None:
    # Salt's own way to end is not this process's, and whoever started it may be killed.
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        # It was before this could be asked for.
        os._exit(1)
    list_once()
    count_never()
    _COMPILE[:] = [compile_]


def list_once() -> None:
    """
    Have Salt's loaders list each directory once in this process, for as long as it lives.

    They do so thirty times for a single pillar, which is more than half of what that takes. Where Salt's loader is
    another one than is known here, nothing is changed.
    """
    whole: Callable[[typing.Any], None] | None = getattr(LazyLoader, "_refresh_file_mapping", None)
    if whole is None:
        return
    list_all = whole
    known: dict[str, dict[str, typing.Any]] = {}

    def refresh(loader: typing.Any) -> None:
        asked = repr([loader.module_dirs, loader.static_modules, sorted(loader.disabled)])
        if asked not in known:
            list_all(loader)
            known[asked] = {name: copy.copy(getattr(loader, name)) for name in LISTED}
        for name, value in known[asked].items():
            setattr(loader, name, copy.copy(value))

    LazyLoader._refresh_file_mapping = refresh


def count_never() -> None:
    """
    Have Salt's options say at once that there are some, in this process, for as long as it lives.

    Salt 3008 counts them each time that it asks for that, which is a third of what a pillar takes. Others have none of
    this.
    """
    with contextlib.suppress(ImportError):
        optsdict = importlib.import_module("salt.utils.optsdict")
        optsdict.OptsDict.__bool__ = lambda opts: True


def _of(name: str) -> typing.Any:
    return _or_none(_COMPILE[0], name, LATE)


def _or_none(compile_: Asked, name: str, late: typing.Any = None) -> typing.Any:
    """Return what is asked of a host, None for what cannot be told, and ``late`` where that took too long."""
    over: list[float] = []
    try:
        with _limited(LONGEST, over):
            return compile_(name)
    except Exception as exc:  # noqa: BLE001 - a pillar may use what the minion says of itself: the others go on
        log.error("The pillar of %s cannot be used: %s", text.line(name), text.line(str(exc), 5 * text.LONGEST))
        return late if over else None


@contextlib.contextmanager
def _limited(seconds: float, over: list[float]) -> Iterator[None]:
    """Raise TimeoutError in what takes longer (float), as far as this thread can be told, and note it (``over``)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def raise_(_signal: int, _frame: object) -> None:
        over.append(seconds)
        raise TimeoutError(f"it takes longer than {seconds:g} seconds")

    before = signal.signal(signal.SIGALRM, raise_)
    # Salt makes an error of one file of what is raised there, and goes on with the next.
    signal.setitimer(signal.ITIMER_REAL, seconds, AGAIN)
    try:
        try:
            yield
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
    finally:
        # It may have come while it was turned off.
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before or signal.SIG_DFL)
