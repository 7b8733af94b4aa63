"""
Programs that are run on a host, and how long each may take: what hangs is killed with all that it has started.

What Salt's own functions run (services, packages, accounts) has no end of its own: :func:`watched` puts one to it.
"""

from __future__ import annotations

import contextlib
import io
import math
import os
import selectors
import signal
import subprocess
import threading
import time
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import processes, text

#: Seconds that a program may take, by its name; what starts or stops a service may wait for it as long as systemd does,
#: twice a minute and a half.
USUAL, SERVICE, READING, INSTALLING = 60.0, 200.0, 120.0, 1800.0
BOUNDS: dict[str, float] = {
    **dict.fromkeys(("systemctl", "service", "chkconfig", "update-rc.d"), SERVICE),
    **dict.fromkeys(("journalctl", "dpkg-query", "rpm"), READING),
    **dict.fromkeys(("chronyc", "timedatectl"), 10.0),
    **dict.fromkeys(("busctl", "auditctl"), 30.0),
}
#: The same for the scripts in a directory; for what a function of Salt's starts; and for what it starts and nothing
#: above names.
DIRECTORIES = {"/etc/init.d": SERVICE}
FUNCTIONS: dict[str, float] = dict.fromkeys(("service.available", "service.status", "service.enabled"), USUAL)
OTHERS: dict[str, float] = {"pkg.installed": INSTALLING}
#: Bytes that a program may print, seconds in which one that was killed is gone, and seconds between two looks.
LARGEST, GONE, TICK = 256 << 20, 5.0, 0.05
#: Seconds between two looks at what a function of Salt's has started.
LOOKS = 0.2
#: What a pipe holds at most, in pieces of so many bytes.
PIECE, PIECES = 65536, 16


class LateError(CommandExecutionError):
    """A program did not end in its time and was killed, or could not be started; the message names it."""


def bound(program: str) -> float:
    """Return how many seconds (float) a program (str, its name or path) may take."""
    return DIRECTORIES.get(os.path.dirname(program)) or BOUNDS.get(os.path.basename(program), USUAL)


def run(
    argv: Sequence[str], seconds: float | None = None, env: Mapping[str, str] | None = None, clean: bool = False
) -> dict[str, typing.Any]:
    """
    Run a program and return its ``pid`` and ``retcode`` (int), ``stdout`` and ``stderr`` (str).

    argv
        Its name or path and its arguments (sequence of str): no shell reads them.
    seconds
        How long it may take (float), None for its :func:`bound`.
    env, clean
        Variables beside those of this process (mapping), or, where ``clean`` (bool), in their place.

    It has a session of its own and nothing to read. What it leaves behind, such as a daemon that holds its output open,
    is not waited for. Raises :class:`LateError`, and CommandExecutionError where there is no such program.
    """
    seconds = bound(argv[0]) if seconds is None else seconds
    with _started(argv, env, clean, subprocess.PIPE) as process:
        output = _collected(process, time.monotonic() + seconds)
        if output is None:
            raise _late(argv[0], seconds, _end(process))
    said = [b"".join(pieces).decode("utf-8", "replace") for pieces in output]
    return {"pid": process.pid, "retcode": process.returncode, "stdout": said[0], "stderr": said[1]}


@contextlib.contextmanager
def reading(argv: Sequence[str], seconds: float | None = None) -> Iterator[tuple[typing.IO[bytes], subprocess.Popen]]:
    """
    Give what a program prints (a handle to read bytes from), and its process, which has come to an end afterwards.

    Each piece may be as long on its way as a program may take (``seconds``, as for :func:`run`): who reads a large log
    takes long. Raises :class:`LateError` in whoever reads, and CommandExecutionError where there is no such program.
    """
    seconds = bound(argv[0]) if seconds is None else seconds
    with _started(argv, {"LC_ALL": "C"}, False, subprocess.DEVNULL) as process:
        yield io.BufferedReader(_Patient(argv[0], process, seconds), PIECE), process


@contextlib.contextmanager
def watched(function: str) -> Iterator[None]:
    """
    Have an end put to the programs that a function of Salt's (str, its name) starts in this thread meanwhile.

    Raises :class:`LateError` then, whatever it has made of that.
    """
    watch = _Watch(function)
    try:
        yield
    except Exception:
        if not watch.end():
            raise
    finally:
        watch.end()
    if watch.killed:
        raise _late(*watch.killed[0])


class _Watch:
    """A thread that kills what another has started, once that takes too long."""

    def __init__(self, function: str) -> None:
        #: The name of each program that was killed (str), and how long it might have taken (float, seconds).
        self.killed: list[tuple[str, float]] = []
        self._function, self._over = function, threading.Event()
        self._task = f"/proc/{os.getpid()}/task/{threading.get_native_id()}"
        self._since = dict.fromkeys(self._children(), math.inf)
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def _children(self) -> list[int]:
        try:
            with open(f"{self._task}/children", encoding="ascii") as handle:
                return [int(pid) for pid in handle.read().split()]
        except OSError:
            # A kernel that does not tell whose children they are: CONFIG_PROC_CHILDREN.
            return [pid for pid, parent in _parents().items() if parent == os.getpid()]

    def _wait(self) -> None:
        while not self._over.wait(TICK if self.killed else LOOKS):
            now = time.monotonic()
            # A number that another process gets is seen anew once it was not there.
            self._since = {pid: self._since.get(pid, now) for pid in self._children()}
            for pid, since in self._since.items():
                name = text.printable(processes.comm(pid))
                seconds = self._bound(name)
                if now - since > seconds and processes.lives(pid):
                    self.killed.append((name, seconds))
                    kill(pid)

    def _bound(self, name: str) -> float:
        if self.killed:
            # What is begun now rests on what was not told: packages that seem not to be there would be installed.
            return 0.0
        found = FUNCTIONS.get(self._function) or BOUNDS.get(name)
        return OTHERS.get(self._function, USUAL) if found is None else found

    def end(self) -> bool:
        self._over.set()
        self._thread.join(GONE)
        return bool(self.killed)


class _Patient(io.RawIOBase):
    """The output of a process, which is waited for no longer than it may take."""

    def __init__(self, name: str, process: subprocess.Popen[bytes], seconds: float) -> None:
        self._name, self._process, self._seconds = name, process, seconds

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: typing.Any) -> int:
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            if not selector.select(self._seconds):
                raise _late(self._name, self._seconds, _end(self._process))
        return os.readv(self._process.stdout.fileno(), [buffer])


@contextlib.contextmanager
def _started(
    argv: Sequence[str], env: Mapping[str, str] | None, clean: bool, stderr: int
) -> Iterator[subprocess.Popen[bytes]]:
    """Start a program, which has ended when this context has, whatever happens in it."""
    told = {**({} if clean else os.environ), **(env or {})}
    # What Salt's own service has of systemd is not this program's.
    told.pop("NOTIFY_SOCKET", None)
    pipes: dict[str, typing.Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": stderr}
    try:
        process = subprocess.Popen(list(argv), env=told, cwd="/", start_new_session=True, umask=0o022, **pipes)
    except (OSError, ValueError) as exc:
        why = exc.strerror if isinstance(exc, OSError) else str(exc)
        raise CommandExecutionError(f"{text.line(argv[0])} cannot be run: {why}.") from exc
    try:
        yield process
    finally:
        _end(process)
        for pipe in (process.stdout, process.stderr):
            if pipe:
                pipe.close()


def _collected(process: subprocess.Popen[bytes], end: float) -> tuple[list[bytes], list[bytes]] | None:
    """Return what a process has printed when it has ended, None when it is late or prints without end."""
    output: tuple[list[bytes], list[bytes]] = ([], [])
    with selectors.DefaultSelector() as selector:
        for pipe, pieces in zip((process.stdout, process.stderr), output, strict=True):
            assert pipe is not None
            os.set_blocking(pipe.fileno(), False)
            selector.register(pipe, selectors.EVENT_READ, pieces)
        size = 0
        while process.poll() is None:
            if time.monotonic() > end or size > LARGEST:
                return None
            # The ends of the pipes tell of the program's own end at once, where nobody else has them.
            ready = selector.select(TICK) if selector.get_map() else []
            size += sum(_read(selector, key) for key, _ in ready)
            if not selector.get_map():
                _wait(process, min(TICK, max(0.0, end - time.monotonic())))
        for _ in range(PIECES):
            for key in list(selector.get_map().values()):
                _read(selector, key)
    return output


def status(process: subprocess.Popen[bytes]) -> int:
    """Return the status (int) of a process that prints nothing more, which is killed where it lives on."""
    _wait(process, GONE)
    _end(process)
    return -signal.SIGKILL if process.returncode is None else process.returncode


def _wait(process: subprocess.Popen[bytes], seconds: float) -> None:
    with contextlib.suppress(subprocess.TimeoutExpired):
        process.wait(seconds)


def _read(selector: selectors.BaseSelector, key: selectors.SelectorKey) -> int:
    """Take in what a pipe holds, and return how many bytes that was (int)."""
    with contextlib.suppress(BlockingIOError):
        piece = os.read(key.fd, PIECE)
        if not piece:
            selector.unregister(key.fileobj)
        key.data.append(piece)
        return len(piece)
    return 0


def _end(process: subprocess.Popen[bytes]) -> bool:
    """Kill a process that runs still, with all that it has started; return whether it is gone (bool)."""
    if process.poll() is None:
        kill(process.pid)
        _wait(process, GONE)
    return process.poll() is not None


def kill(pid: int) -> None:
    """Kill the process ``pid`` (int), all that it has started, and all of its group where it leads one."""
    below = list(_below(pid))
    with contextlib.suppress(OSError):
        if os.getpgid(pid) == pid:
            os.killpg(pid, signal.SIGKILL)
    for one in (pid, *below):
        with contextlib.suppress(OSError):
            os.kill(one, signal.SIGKILL)


def _below(pid: int) -> Iterator[int]:
    parents = _parents()
    found: Iterable[int] = [pid]
    while found := [one for one, parent in parents.items() if parent in found]:
        yield from found


def _parents() -> dict[int, int]:
    """Return the parent of each process (dict of int)."""
    told = {int(name): processes.fields(int(name)) for name in os.listdir("/proc") if name.isdigit()}
    return {pid: int(fields[1]) for pid, fields in told.items() if len(fields) > 1}


def _late(name: str, seconds: float, gone: bool = True) -> LateError:
    ended = "it was killed" if gone else "it cannot be killed, for it waits for a disk or another device"
    return LateError(f"{text.line(os.path.basename(name))} did not end within {seconds:g} seconds; {ended}.")
