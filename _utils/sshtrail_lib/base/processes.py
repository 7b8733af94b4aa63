"""
Which processes run, from ``/proc`` alone; and what a running daemon has read: the question that neither its pid nor
its configuration file answers alone.

A daemon that was told to read its files again keeps its start time, so a later run could not tell that
from one that was never told. After a reload the caller leaves a mark: which process, and the digest of
what it read.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import re
import stat
import threading
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, store

# The kernel keeps so many bytes of a process's name (TASK_COMM_LEN without the NUL).
LONGEST_COMM = 15
#: Bytes of a command line of somebody else.
LONGEST_CMDLINE = 16384
#: Open files of a process of somebody else that are looked at.
MOST_FILES = 4096
#: Seconds in which a process of somebody else tells its command line, and for which nobody of his is asked who did not.
PATIENCE, FORGIVEN = 1.0, 600.0
_HUNG: dict[int, float] = {}

Answer = typing.TypeVar("Answer")


def comm(pid: int) -> bytes:
    """Return the name of the process ``pid`` (int), as the kernel has it (bytes); b"" when there is no such process."""
    # Whatever a process calls itself stands there, also line feeds: only the last one is the kernel's.
    return _proc(pid, "comm").removesuffix(b"\n")


def argv(pid: int) -> tuple[str, ...]:
    """Return the command line (tuple of str) of the process ``pid`` (int); empty when it has ended."""
    words = cmdline(pid)
    return tuple(map(os.fsdecode, words.removesuffix(b"\0").split(b"\0"))) if words else ()


def cmdline(pid: int) -> bytes:
    """
    Return the command line (bytes) of the process ``pid`` (int), b"" where its owner has it read for ever.

    It lies in the process's own memory, which can be a file of a file system that never answers; and of somebody else's
    no more than :data:`LONGEST_CMDLINE` bytes are told, for he may have thousands of megabytes.
    """
    uid = owner(pid)
    said = _in_time(uid, lambda: _proc(pid, "cmdline")) or b""
    return said if uid in (0, os.geteuid()) else said[:LONGEST_CMDLINE]


def is_named_pipe(pid: int, path: str) -> bool:
    """
    Tell whether a file of the process ``pid`` (int) is a named pipe (bool): one that it has open (``fd/0``), or one at
    a ``path`` (str) as it sees it. False where its owner has one wait for that for ever.
    """

    def asked() -> bool:
        place = path if path.startswith("fd/") else f"root{path}" if path[:1] == "/" else f"cwd/{path}"
        try:
            return stat.S_ISFIFO(os.stat(f"/proc/{pid}/{place}").st_mode)
        except (OSError, ValueError):
            return False

    return bool(_in_time(owner(pid), asked))


def _in_time(uid: int, ask: Callable[[], Answer]) -> Answer | None:
    """Return what ``ask()`` does, None where that does not end and is for somebody else (``uid``, int) to answer."""
    if uid in (0, os.geteuid()):
        return ask()
    if _HUNG.get(uid, 0.0) > time.monotonic():
        return None
    said: list[Answer] = []
    asking = threading.Thread(target=lambda: said.append(ask()), daemon=True)
    asking.start()
    asking.join(PATIENCE)
    if not said:
        _HUNG[uid] = time.monotonic() + FORGIVEN
    return said[0] if said else None


def owner(pid: int) -> int:
    """Return whose the process ``pid`` (int) is (int, uid), -1 when there is no such process."""
    try:
        return os.stat(f"/proc/{pid}").st_uid
    except OSError:
        return -1


def of_root_alone(pid: int) -> bool:
    """Return whether all user numbers of the process ``pid`` (int) are root's (bool): proc(5), status."""
    found = re.search(rb"^Uid:\s+(.*)$", _proc(pid, "status"), re.MULTILINE)
    return found is not None and set(found[1].split()) == {b"0"}


def link(path: str) -> str:
    """Return where a link below /proc leads (its ``path``, str), "" where there is none or it is not told."""
    try:
        return os.readlink(path)
    except OSError:
        return ""


def links(pid: int) -> list[str]:
    """
    Return where the open files of the process ``pid`` (int) lead (list of str), as far as it tells.

    Of somebody else's these are :data:`MOST_FILES` at most: he may have half a million in each of a thousand processes.
    """
    found, most = [], None if owner(pid) in (0, os.geteuid()) else MOST_FILES
    with contextlib.suppress(OSError), os.scandir(f"/proc/{pid}/fd") as entries:
        for entry in itertools.islice(entries, most):
            # One that is closed meanwhile leads nowhere.
            with contextlib.suppress(FileNotFoundError):
                found.append(os.readlink(entry.path))
    return found


def state(pid: int) -> str:
    """Return what the process ``pid`` (int) does, as a letter (str, proc(5)); ``X`` when there is no such process."""
    return next(iter(fields(pid)), b"X").decode("ascii", "replace")


def lives(pid: int) -> bool:
    """Tell whether the process ``pid`` (int) runs (bool); one that only waits for its parent has ended."""
    return fields(pid)[:1] not in ([], [b"Z"], [b"X"])


def stopped(pid: int) -> bool:
    """Tell whether the process ``pid`` (int) was stopped (bool): it is there and does nothing (SIGSTOP, a debugger)."""
    return state(pid) in ("T", "t")


def shares_mounts(pid: int) -> bool:
    """Tell whether the process ``pid`` (int) sees the files that this one sees (bool): a mount namespace and a root."""
    try:
        return all(os.path.samefile(f"/proc/{pid}/{what}", f"/proc/self/{what}") for what in ("ns/mnt", "root"))
    except OSError:
        return False


def writes(pid: int, path: str) -> bool:
    """
    Tell whether the process ``pid`` (int) holds a file open for writing that is called as ``path`` (str) is.

    The name alone counts, and what was rotated under it: a file that was deleted or moved is still held.
    """
    return bool(written(pid, path))


def written(pid: int, path: str) -> list[str]:
    """Return where the files are seen (list of str, below /proc) for which :func:`writes` is so."""
    name = os.path.basename(path)
    held = [number for number, target in _opened(pid) if _is_called(target, name) and _for_writing(pid, number)]
    return [f"/proc/{pid}/fd/{number}" for number in held]


def _is_called(target: str, name: str) -> bool:
    found = os.path.basename(target.removesuffix(" (deleted)"))
    return found == name or found.startswith(f"{name}.")


def _opened(pid: int) -> Iterator[tuple[str, str]]:
    """Yield the number of each file that ``pid`` has opened, and where it leads; not what it was started with (0-2)."""
    directory = f"/proc/{pid}/fd"
    with contextlib.suppress(OSError):
        for number in os.listdir(directory):
            # One that is closed meanwhile leads nowhere.
            with contextlib.suppress(FileNotFoundError):
                if int(number) > 2:
                    yield number, os.readlink(f"{directory}/{number}")


def _for_writing(pid: int, number: str) -> bool:
    flags = re.search(rb"^flags:\s*([0-7]+)$", _proc(pid, f"fdinfo/{number}"), re.MULTILINE)
    return flags is not None and int(flags[1], 8) & os.O_ACCMODE != os.O_RDONLY


def process(pidfile: str, names: Iterable[str]) -> int | None:
    """
    Return the pid (int) of the living daemon that ``pidfile`` names, or None.

    pidfile
        Path of the file that holds the pid (str).
    names
        The process names (comm) that the daemon may have (list of str): a recycled pid is no daemon.
    """
    pid = named(pidfile)
    called = [os.fsencode(name)[:LONGEST_COMM] for name in names]
    return pid if pid is not None and comm(pid) in called else None


def named(pidfile: str) -> int | None:
    """Return the pid (int) that the file ``pidfile`` (str) holds, whosever it is now, None for none."""
    try:
        return int(files.read(pidfile) or b"")
    except ValueError:
        return None


def boot() -> str:
    """Return the kernel's name for this boot (str)."""
    return (files.read("/proc/sys/kernel/random/boot_id") or b"").decode("ascii", "replace").strip()


def has_read(pid: int, paths: Sequence[str], run_dir: str, again: float = 0.0) -> bool:
    """
    Tell whether the daemon ``pid`` (int) certainly works with what ``paths`` (list of str) hold now.

    That is so when it left a mark (:func:`mark`) with their digest, or left none and started after the
    last change of each of them. A path may be a directory: then it is its list of names that counts.

    again
        When it read its files for the last time, if that is known otherwise (float, seconds since the epoch): a mark
        from before that time tells nothing, for somebody else may have had it read other files since.
    """
    left = _left(pid, run_dir)
    if left is not None and _changed(mark_path(pid, run_dir)) >= again:
        return left[0] == _mark(pid, paths)
    return all(_changed(path) < max(_started(pid), again) for path in paths)


def rewritten(pid: int, paths: Iterable[str], again: float = 0.0) -> bool:
    """
    Tell whether one of ``paths`` (iterable of str) was written after the daemon ``pid`` (int) has read it.

    Another mode or owner is nothing that it would have read. ``again`` is as for :func:`has_read`.
    """
    read = max(_started(pid), again)
    return any(os.stat(path).st_mtime > read for path in paths if os.path.exists(path))


def mark(pid: int, paths: Iterable[str], run_dir: str, content: bytes = b"") -> None:
    """
    Note that the daemon ``pid`` (int) has just read ``paths`` (list of str) as they are now.

    ``content`` (bytes) is kept for :func:`marked`: for a daemon that does not take up every setting when it
    reads again, so that somebody must know which ones changed.
    """
    os.makedirs(run_dir, mode=0o700, exist_ok=True)
    files.replace(mark_path(pid, run_dir), _mark(pid, paths) + b"\n" + content, mode=0o600)


def marked(pid: int, run_dir: str) -> bytes | None:
    """Return the ``content`` (bytes) of the last :func:`mark` of the daemon ``pid`` (int), None without one."""
    left = _left(pid, run_dir)
    return left[1] if left else None


def forget(pid: int, run_dir: str) -> None:
    """
    Forget what the daemon ``pid`` (int) has read: it is about to be told to read again.

    Whoever is killed before the next :func:`mark` leaves nothing behind that would be untrue.
    """
    files.remove(mark_path(pid, run_dir))


def _left(pid: int, run_dir: str) -> tuple[bytes, bytes] | None:
    """Return the mark and the content that this very process left behind, or None."""
    data = None
    # What somebody else could have written is no mark.
    with contextlib.suppress(store.StoreError):
        data = store.load_bytes(mark_path(pid, run_dir))
    head, _, content = (data or b"").partition(b"\n")
    return (head, content) if head.split(b" ")[0] == birth(pid) else None


def mark_path(pid: int, run_dir: str) -> str:
    """Return the path (str) of the mark of the daemon ``pid`` (int), there or not."""
    return os.path.join(run_dir, f"read-{pid}")


def _mark(pid: int, paths: Iterable[str]) -> bytes:
    digest = hashlib.sha256()
    for path in sorted(paths):
        names = b"\0".join(sorted(os.listdir(os.fsencode(path)))) if os.path.isdir(path) else None
        content = files.read(path) if names is None else names
        digest.update(os.fsencode(path) + b"\0" + hashlib.sha256(content or b"").digest())
    return birth(pid) + b" " + digest.hexdigest().encode()


def birth(pid: int) -> bytes:
    """Return what no later process with the same ``pid`` (int) shares (bytes): its start, in clock ticks since boot."""
    # starttime is the 20th field after the name (proc(5), field 22).
    found = fields(pid)
    return found[19] if len(found) > 19 else b"gone"


def fields(pid: int) -> list[bytes]:
    """Return the fields of proc(5)'s ``stat`` that follow the name, its state first; empty without such a process."""
    # The name in parentheses can hold spaces and parentheses.
    return _proc(pid, "stat").rpartition(b")")[2].split()


def _proc(pid: int, name: str) -> bytes:
    # A process that ends while it is read gives an error of its own.
    with contextlib.suppress(CommandExecutionError):
        return files.read(f"/proc/{pid}/{name}") or b""
    return b""


def _started(pid: int) -> float:
    """Return when ``pid`` started, in seconds since the epoch, to a tick of the kernel's clock."""
    with contextlib.suppress(ValueError):
        since_boot = int(birth(pid)) / os.sysconf("SC_CLK_TCK")
        return time.time() - time.clock_gettime(time.CLOCK_BOOTTIME) + since_boot
    return 0.0


def _changed(path: str) -> float:
    try:
        return os.stat(path).st_ctime
    except FileNotFoundError:
        return 0.0
