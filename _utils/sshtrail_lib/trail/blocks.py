"""
Logs of any size, in pieces: the files in the order of their records, where a moment is in them, and what several
processes make of the pieces, in order.

A worker is a child that reads, answers through a pipe and ends: nothing is shared but the file.
"""

from __future__ import annotations

import bz2
import collections
import contextlib
import ctypes
import glob
import gzip
import itertools
import lzma
import marshal
import mmap
import os
import re
import shutil
import signal
import typing
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence

from sshtrail_lib.base import opening

#: Bytes that are taken apart at once: what a processor's own memory holds, for they are gone through repeatedly. Half
#: of it takes a sixth more time (each block has a start and an end), and twice of it no less.
BLOCK = 2**21
#: Bytes from which on it pays to have several processes, and how many these are at most.
LARGE, WORKERS = 48 * 2**20, 4
#: Bytes by which a moment is approached in a file before the rest is read line by line.
NEAR = 2**16
COMPRESSED = (".gz", ".xz", ".bz2", ".zst")
#: What a program turns into plain text, by the ending of the name: the journal's own files are read as JSON.
PROGRAMS = {
    ".zst": ("zstd", "-dc", "--"),
    **dict.fromkeys((".journal", ".journal~"), ("journalctl", "--no-pager", "-q", "-o", "json", "--file")),
}
ROTATED = re.compile(
    r"(?P<name>.*?)(?:[.-](?P<date>20[0-9]{6}(?:[-_.]?[0-9]{2,6})?|[0-9]{10})|\.(?P<number>[0-9]{1,4}))?"
)
# What reading a file can end with that is broken, whatever it is compressed by.
BROKEN = (OSError, EOFError, lzma.LZMAError, zlib.error)
ENDED, FAILED = 0, 0xFFFFFFFF
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
LIBC = ctypes.CDLL(None)
LIBC.memmem.restype = ctypes.c_void_p
LIBC.memmem.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_char_p, ctypes.c_size_t)

Moment = Callable[[bytes], "float | None"]


def _never(_line: bytes) -> None:
    """Tell nothing of a line."""


class Piece(typing.NamedTuple):
    """
    A part of the log: the file's place in the list (``number``, int), and the bytes from ``start`` to ``end`` (int;
    None for all that a compressed one has). ``until`` (bytes) is the line before which a compressed one ends, for the
    next file begins with it.
    """

    number: int
    start: int
    end: int | None
    until: bytes = b""


def _failed(why: str) -> Exception:
    # Salt takes as long to import as a log of 100 MB to be read: who needs it has done so.
    from salt.exceptions import CommandExecutionError

    return CommandExecutionError(why)


def find(block: bytes, mark: bytes, at: int) -> int:
    """
    Return where ``mark`` (bytes) is in ``block`` (bytes) from ``at`` (int) on, or -1: as :meth:`bytes.find` does.

    Python's own search reads marks of several bytes at a third of the speed of the C library's (memmem(3)).
    """
    start = ctypes.cast(ctypes.c_char_p(block), ctypes.c_void_p).value or 0
    found = LIBC.memmem(start + at, max(0, len(block) - at), mark, len(mark))
    return -1 if found is None else found - start


def ordered(paths: Sequence[str], moment: Moment = _never) -> list[str]:
    """
    Return the files (list of str) of a log in the order in which they were written.

    paths
        Files and directories (sequence of str). What is rotated is known by its number (``audit.log.2.gz``, the higher
        the older) or by its date (``auth.log-20261123.xz``). Of a directory, hidden files are left out; where it has
        directories alone, as the journal's has one for each machine, their files are meant. Of files that begin with
        the same line only the longest counts, for the others are copies of it.
    moment
        Tells of a line when it was written (callable: bytes to float or None): files with other names are in the order
        of their first records.
    """
    found = [one for path in paths for one in _within(path)]
    files = _distinct(sorted(dict.fromkeys(one for one in found if os.path.isfile(one)), key=_age))
    groups = [list(group) for _, group in itertools.groupby(files, log_of)]
    groups.sort(key=lambda group: first(group[0], moment) or 0.0)
    return [path for group in groups for path in group]


def _within(path):
    if not os.path.isdir(path):
        return [path]
    with _named(path):
        inside = [os.path.join(path, name) for name in sorted(os.listdir(path)) if not name.startswith(".")]
    files = [one for one in inside if not os.path.isdir(one)]
    return files or [below for one in inside if not os.path.islink(one) for below in _within(one)]


def log_of(path: str) -> str:
    """Return which log a file (str, its path) is a part of (str: the path of its present file)."""
    return _age(path)[0]


def _distinct(files):
    """Return the files without copies of one another: a backup, or what was compressed and not removed yet."""
    alike: dict[bytes, list[str]] = {}
    for path in files:
        alike.setdefault(first_line(path) or path.encode(errors="surrogateescape"), []).append(path)
    kept = {max(same, key=_length) if len(same) > 1 else same[0] for same in alike.values()}
    return [path for path in files if path in kept]


def _length(path):
    """Return how much there is in a file (int), however it is compressed."""
    if not is_compressed(path):
        return os.path.getsize(path)
    length = 0
    with contextlib.suppress(*BROKEN), opened(path) as handle:
        while data := handle.read(BLOCK):
            length += len(data)
    return length


def first_line(path: str) -> bytes:
    """Return the first line of a file (bytes), b"" where it has none, or one that is not whole."""
    with contextlib.suppress(*BROKEN), opened(path) as handle:
        line = handle.readline(NEAR)
        return line if line.endswith(b"\n") else b""
    return b""


def lines(files: Sequence[str]) -> Iterator[tuple[str, Iterator[bytes]]]:
    """Yield each file (str, its path) with its lines (iterator of bytes), those that the next begins with left out."""
    for path, later in itertools.zip_longest(files, files[1:], fillvalue=""):
        until = first_line(later) if later else b""
        with _named(path), opened(path) as handle:
            yield path, _lines(path, itertools.takewhile(until.__ne__, handle) if until else handle)


def _lines(path: str, handle: Iterable[bytes]) -> Iterator[bytes]:
    with _named(path):
        yield from handle


@contextlib.contextmanager
def _named(path: str) -> Iterator[None]:
    """Have an error name the file that cannot be read (str, its path)."""
    try:
        yield
    except BROKEN as exc:
        raise _failed(f"{path} cannot be read: {exc}") from exc


def rotated(path: str) -> list[str]:
    """
    Return the files (list of str) of the log whose present file is at ``path`` (str): it, and what was rotated.

    A file that is not there is none, and neither is a directory.
    """
    return [one for one in (path, *sorted(glob.glob(glob.escape(path) + "[.-]*"))) if os.path.isfile(one)]


def _age(path):
    for ending in COMPRESSED:
        path = path.removesuffix(ending)
    found = typing.cast("re.Match[str]", ROTATED.fullmatch(path))
    if found["number"]:
        return found["name"], 1, "", -int(found["number"])
    return (found["name"], 0, found["date"], 0) if found["date"] else (found["name"], 2, "", 0)


@contextlib.contextmanager
def opened(path: str) -> Iterator[typing.IO[bytes]]:
    """Give the plain content of a file (a handle to read bytes from), however it is written."""
    command = PROGRAMS.get(os.path.splitext(path)[1])
    if command:
        with _piped(command, path) as handle:
            yield handle
        return
    opener = {".gz": gzip.open, ".xz": lzma.open, ".bz2": bz2.open}.get(os.path.splitext(path)[1])
    with opener(path, "rb") if opener else open(path, "rb", opener=opening.regular) as handle:  # type: ignore[operator]
        yield handle


@contextlib.contextmanager
def _piped(command, path):
    # It loads Salt, which takes as long as a large log, and most logs need no program.
    from sshtrail_lib.base import programs

    if not shutil.which(command[0]):
        raise _failed(f"{path}: nothing here can read it (the program {command[0]})")
    with programs.reading([*command, path]) as (handle, process):
        yield handle
        if not handle.read(1) and programs.status(process):
            raise EOFError(f"{command[0]} ended with {process.returncode}")


def is_compressed(path: str) -> bool:
    """Tell whether a file (str, its path) is compressed (bool), by its name."""
    return path.endswith(COMPRESSED)


def pieces(files: Sequence[str], since: float | None, moment: Moment) -> list[Piece]:
    """
    Return the parts (list of :class:`Piece`) of the files that may hold what was written after a moment.

    since
        Seconds since the epoch (float), None for all.
    moment
        Tells of a line when it was written (callable: bytes to float or None).
    """
    found = []
    until, over = b"", set()
    for number, path in list(enumerate(files))[::-1]:
        if log_of(path) in over:
            continue
        start = 0 if since is None or is_compressed(path) else place(path, since, moment)
        found += _cut(number, path, start, until, moment)[::-1]
        until = first_line(path) or until
        # What is older than the first line of this file cannot be newer in the one before.
        begin = first(path, moment) if since is not None else None
        if begin is not None and since is not None and begin < since:
            over.add(log_of(path))
    return found[::-1]


def _cut(number, path, start, until, moment):
    if is_compressed(path):
        return [Piece(number, 0, None, until)]
    size = _end(path, until, moment)
    return [Piece(number, at, min(at + BLOCK, size)) for at in range(start, size, BLOCK)]


def _end(path, until, moment):
    """Return where a file ends (int), or where the next begins (bytes) that has the same records once more."""
    size, when = os.path.getsize(path), moment(until)
    if size and when is not None:
        at = place(path, when, moment)
        with open(path, "rb") as handle, mmap.mmap(handle.fileno(), 0, access=mmap.ACCESS_READ) as data:
            found = data.find(until, at)
            size = found if found == 0 or (found > 0 and data[found - 1 : found] == b"\n") else size
    return size


def first(path: str, moment: Moment) -> float | None:
    """Return when the first line of a file (str, its path) was written (float), None where that cannot be told."""
    with contextlib.suppress(*BROKEN), opened(path) as handle:
        return next(filter(None, map(moment, handle.read(NEAR).split(b"\n"))), None)
    return None


def place(path: str, since: float, moment: Moment) -> int:
    """Return where the first line of a file begins (int) that was written at ``since`` (float) or later: see pieces."""
    with open(path, "rb", opener=opening.regular) as handle:
        low, high = 0, os.fstat(handle.fileno()).st_size
        while high - low > NEAR:
            middle = (low + high) // 2
            handle.seek(middle)
            handle.readline(NEAR)
            when = next(filter(None, map(moment, handle.read(NEAR).split(b"\n")[:-1])), None)
            low, high = (middle, high) if when is not None and when < since else (low, middle)
        handle.seek(low)
        if low:
            handle.readline()
        return handle.tell()


def blocks(files: Sequence[str], piece: Piece) -> Iterator[tuple[bytes, Iterator[bytes]]]:
    """
    Yield a piece of the log as whole lines (bytes), each time with what follows (iterator of bytes).

    A line belongs to the piece in which it begins.
    """
    path = files[piece.number]
    if piece.end is None:
        with opened(path) as handle:
            yield from _streamed(files, piece, handle)
        return
    plain = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        start, end = (_line_at(plain, at) for at in (piece.start, piece.end))
        data = os.pread(plain, max(0, end - start), start)
    finally:
        os.close(plain)
    yield data, following(files, piece.number, end)


def without_holes(data: bytes) -> bytes:
    """Return a block without what a file system has where a machine stopped before it had written all (zeroes)."""
    return data.replace(b"\0", b"") if b"\0" in data else data


def _line_at(handle, at):
    """Return where the first line begins (int) that does not begin before a place in a file (int)."""
    if at <= 0:
        return 0
    at, size = at - 1, 2**10
    while part := os.pread(handle, size, at):
        found = part.find(b"\n") + 1
        if found:
            return at + found
        at, size = at + len(part), min(2 * size, BLOCK)
    return at


def _streamed(files, piece, handle):
    """Yield the blocks of what can be read only once: what was looked at as what follows comes again as the next."""
    ahead: collections.deque[bytes] = collections.deque()

    def following_blocks():
        yield from tuple(ahead)
        while later := handle.read(BLOCK) + handle.readline():
            ahead.append(later)
            yield later
        yield from following(files, piece.number + 1, 0)

    while data := ahead.popleft() if ahead else handle.read(BLOCK) + handle.readline():
        end = (b"\n" + data).find(b"\n" + piece.until) if piece.until else -1
        yield (data if end < 0 else data[:end]), following_blocks()
        if end >= 0:
            return


def following(files: Sequence[str], number: int, start: int) -> Iterator[bytes]:
    """Yield the log (bytes, whole lines) from a place in one of its files (its number and the byte, int) on."""
    for at in range(number, len(files)):
        with contextlib.suppress(*BROKEN), opened(files[at]) as handle:
            if at == number and start:
                handle.seek(start)
            # Mostly the next lines are all that is wanted.
            size = 2**13
            while data := handle.read(size) + handle.readline():
                yield data
                size = min(2 * size, BLOCK)


def backwards(files: Sequence[str], first: Piece, most: int) -> Iterator[bytes]:
    """Yield what precedes a piece in its file and the plain ones before (bytes, whole lines), the newest first."""
    number, end, own = first.number, first.start, log_of(files[first.number])
    while number >= 0 and most > 0:
        if end <= 0:
            number -= 1
            gone = number < 0 or is_compressed(files[number]) or log_of(files[number]) != own
            end = 0 if gone else os.path.getsize(files[number])
            if end <= 0:
                return
        start = max(0, end - 4 * BLOCK)
        for data, _ in blocks(files, Piece(number, start, end)):
            most -= len(data)
            yield data
        end = start


def made(
    files: Sequence[str], parts: Sequence[Piece], work: Callable[[bytes, Iterator[bytes]], typing.Any]
) -> Iterator[typing.Any]:
    """
    Yield what ``work`` makes of each block of the log, in order; by several processes where there is much.

    work
        Called with the block (bytes, whole lines) and what follows it (iterator of bytes); returns plain data.
    """
    size = sum((part.end or os.path.getsize(files[part.number]) * 10) - part.start for part in parts)
    workers = min(WORKERS, len(parts), os.cpu_count() or 1) if size > LARGE else 1
    if workers < 2:
        for part in parts:
            yield from _results(files, part, work)
        return
    crew = [_Worker(files, parts[number::workers], work) for number in range(workers)]
    try:
        for number in range(len(parts)):
            yield from crew[number % workers].results()
    finally:
        for one in crew:
            one.end()


def _results(files, part, work):
    with _named(files[part.number]):
        for block, more in blocks(files, part):
            yield work(block, more)


def _keep_memory():
    """Have the memory of one block taken for the next: what the system gives anew costs as much as to read."""
    with contextlib.suppress(OSError, AttributeError):
        # malloc.h of glibc, whose own limit is less than a block.
        for limit in (M_TRIM_THRESHOLD, M_MMAP_THRESHOLD):
            LIBC.mallopt(limit, 64 * BLOCK)


class _Worker:
    """A child that works on its parts of the log, one after the other."""

    def __init__(self, files, parts, work):
        reads, writes = os.pipe()
        self.pid = os.fork()
        if not self.pid:
            os.close(reads)
            _child(files, parts, work, writes)
        os.close(writes)
        self.pipe = os.fdopen(reads, "rb", buffering=2**16)

    def results(self):
        """Yield what it made of the next of its parts."""
        while (size := int.from_bytes(self.pipe.read(4) or b"\xff" * 4, "big")) != ENDED:
            if size == FAILED:
                raise _failed(self.pipe.read().decode(errors="replace") or "a process that read the log was killed")
            yield marshal.loads(self.pipe.read(size))

    def end(self):
        self.pipe.close()
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            os.waitpid(self.pid, 0)


def _child(files, parts, work, pipe):
    """Never return: what the parent would do at its end is the parent's to do."""
    _keep_memory()
    try:
        with os.fdopen(pipe, "wb") as out:
            try:
                for part in parts:
                    for result in _results(files, part, work):
                        data = marshal.dumps(result)
                        out.write(len(data).to_bytes(4, "big") + data)
                    out.write(ENDED.to_bytes(4, "big"))
                    out.flush()
            except Exception as exc:  # noqa: BLE001 - whatever it is, the parent tells it
                out.write(FAILED.to_bytes(4, "big") + str(exc).encode())
    finally:
        os._exit(0)
