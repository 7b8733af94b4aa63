"""
What the master's own pillar asks of many hosts, compiled by as many processes as there are processors.

Salt compiles a pillar in a twentieth of a second of a processor, and that is most of what a repair costs a master. One
may have no end, and only a process can be ended: a thread, which a reactor has for a runner, cannot.
"""

from __future__ import annotations

import collections
import contextlib
import copy
import ctypes
import importlib
import logging
import multiprocessing
import multiprocessing.connection
import os
import signal
import threading
import time
import typing
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.connection import Connection

from salt.loader.lazy import LazyLoader

from sshtrail_lib.base import text

log = logging.getLogger(__name__)

#: How many processes there are at most.
MOST = 4
#: Seconds that are waited for what is compiled at most, before whoever waits does something else.
PAUSE = 0.1
#: Seconds that a pillar may take when it is tried, and tried again: what it is made from can be what its minion says of
#: itself. What takes longer, or whose process ends, may be none of the pillar's doing, so that others try it then.
TRIES = (10.0, 30.0)
#: Seconds after that in which a process can say so, and seconds until a pillar is told once more to come to its end.
SLACK, AGAIN = 10.0, 1.0
#: Seconds in which a process that was killed is gone.
GONE = 5.0
#: linux/prctl.h: which signal a process gets when the one that has started it ends.
PR_SET_PDEATHSIG = 1
#: What Salt's loader finds by listing directories.
LISTED = ("file_mapping", "suffix_map", "suffix_order")

#: What a process tells instead of what is asked, where that takes too long.
LATE = ("late",)
#: Tells what is asked of a host (anything), None for nothing: what it raises is logged, and counts as that.
Asked = Callable[[str], typing.Any]


class _Worker:
    """
    A process that compiles pillars one by one, for what it is sent by a pipe of its own: nobody else waits for a lock
    that it held when it was killed or stopped.
    """

    def __init__(self, compile_: Asked) -> None:
        self.pipe, theirs = multiprocessing.Pipe()
        self.name, self._until, parent = "", 0.0, os.getpid()
        with theirs:
            try:
                # A child of this process knows all that it needs. A multiprocessing.Process would be refused where this
                # one is itself called a daemon by whoever has started it.
                self.pid = os.fork()
            except OSError:
                self.pipe.close()
                raise
            if not self.pid:
                _serve(theirs, self.pipe, compile_, parent)

    def ask(self, name: str, seconds: float) -> None:
        """Ask for the pillar of the host ``name`` (str), which may take so long (float), and nothing else meanwhile."""
        self.name, self._until = name, time.monotonic() + seconds + SLACK
        # One that has ended says so when it is listened to.
        with contextlib.suppress(OSError):
            self.pipe.send((name, seconds))

    def told(self) -> tuple[typing.Any] | None:
        """Return what is asked, alone in a tuple, None while it is not known: :data:`LATE` of one that has ended."""
        try:
            if self.pipe.poll():
                return (self.pipe.recv(),)
        except (EOFError, OSError):
            return (LATE,)
        return (LATE,) if time.monotonic() > self._until else None

    def end(self) -> None:
        """End the process, whatever it does: one that was stopped hears nothing else."""
        self.pipe.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        end = time.monotonic() + GONE
        # It may wait for a disk that does not answer.
        while not _is_gone(self.pid) and time.monotonic() < end:
            time.sleep(0.01)


def _is_gone(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        # Somebody else has waited for all children.
        return True


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
        self._workers: list[_Worker] = []
        self._late: collections.Counter[str] = collections.Counter()
        self._failing = 0.0

    def __enter__(self) -> Pillars:
        return self

    def __exit__(self, *exc: object) -> None:
        for worker in self._workers:
            worker.end()

    def ask(self, names: list[str]) -> None:
        """Ask for the pillars of hosts (ids)."""
        self._names.extend(names)

    def asked(self) -> int:
        """Return of how many hosts nothing was told yet (int)."""
        return len(self._names) + len(self._busy())

    def told(self) -> Iterator[tuple[str, typing.Any]]:
        """
        Yield the id of each host of which it is known now what is asked, and that.

        Where others compile it, they are given work for a moment: whoever asks does all else once in that time, and not
        after each pillar.
        """
        end = time.monotonic() + PAUSE
        self._hand_out()
        while busy := self._busy():
            multiprocessing.connection.wait([worker.pipe for worker in busy], max(0.0, end - time.monotonic()))
            yield from self._handed_in(busy)
            if time.monotonic() > end:
                return
            self._hand_out()
        if self._names and threading.current_thread() is threading.main_thread():
            name = self._names.popleft()
            yield name, _or_none(self._compile, name, TRIES[-1])
        elif self._names:
            yield from self._given_up()

    def _busy(self) -> list[_Worker]:
        return [worker for worker in self._workers if worker.name]

    def _hand_out(self) -> None:
        most = min(MOST, len(os.sched_getaffinity(0)))
        while self._names:
            idle = next((worker for worker in self._workers if not worker.name), None)
            if idle is None and len(self._workers) < most:
                idle = self._begun()
            if idle is None:
                return
            name = self._names.popleft()
            idle.ask(name, TRIES[self._late[name]])

    def _given_up(self) -> Iterator[tuple[str, typing.Any]]:
        """
        Tell that nothing is known of those who wait where no process can be started for long.

        A thread cannot compile them itself: nobody could end what has no end.
        """
        time.sleep(PAUSE)
        if time.monotonic() - self._failing > TRIES[0]:
            while self._names:
                yield self._names.popleft(), None

    def _begun(self) -> _Worker | None:
        try:
            worker = _Worker(self._compile)
        except OSError as exc:
            # No memory, or too many processes or open files: others that are there go on, or this one does it.
            if not self._failing:
                self._failing = time.monotonic()
                log.error("No process can be started to compile pillars: %s", exc)
            return None
        self._failing = 0.0
        self._workers.append(worker)
        return worker

    def _handed_in(self, busy: list[_Worker]) -> Iterator[tuple[str, typing.Any]]:
        for worker in busy:
            said = worker.told()
            if said is None:
                continue
            (found,), name, worker.name = said, worker.name, ""
            if found == LATE:
                # A fork of a process with threads can hang for ever, whatever it is asked: another is begun.
                self._workers.remove(worker)
                worker.end()
                self._late[name] += 1
            if found == LATE and self._late[name] < len(TRIES):
                self._names.append(name)
            else:
                yield name, None if found == LATE else found


def asked(compile_: Asked, names: Iterable[str]) -> Iterator[tuple[str, typing.Any]]:
    """Yield each host's id with what is asked of it, and wait for that; arguments as for :class:`Pillars`."""
    with Pillars(compile_) as wanted:
        wanted.ask(list(names))
        while wanted.asked():
            yield from wanted.told()


def _serve(pipe: Connection, theirs: Connection, compile_: Asked, parent: int) -> typing.NoReturn:
    """Tell what is asked by a ``pipe``, until nobody has its other end (``theirs``) any more; the process ends then."""
    try:
        theirs.close()
        # Salt's own way to end is not this process's, and whoever started it may be killed.
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        # Nobody types into it.
        os.dup2(os.open(os.devnull, os.O_RDONLY), 0)
        list_once()
        count_never()
        # It may have ended before its end could be asked for.
        while os.getppid() == parent:
            name, seconds = pipe.recv()
            pipe.send(_or_none(compile_, name, seconds, LATE))
    except (EOFError, OSError):
        pass
    except BaseException:
        log.exception("A process that compiles pillars has ended")
    finally:
        # Nothing of what this process would do at its end is the child's.
        os._exit(0)


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


def _or_none(compile_: Asked, name: str, seconds: float, late: typing.Any = None) -> typing.Any:
    """Return what is asked of a host, None for what cannot be told, and ``late`` where that took too long (float)."""
    over: list[float] = []
    try:
        with _limited(seconds, over):
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
