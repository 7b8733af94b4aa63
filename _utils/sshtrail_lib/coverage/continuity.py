"""
Whether the audit log goes on from where the last look left it: nothing in it was changed, and no event is missing.
"""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import io
import math
import os
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.base import files, opening
from sshtrail_lib.coverage import pulse, serials

#: Bytes of a log that are compared, and that are gone through; and bytes at a time.
LARGEST, PIECE = 2**28, 2**20
#: Bytes of a log's end that tell the last number, and how an auditd begins there: with the numbers of its boot.
TAIL, BEGINS = 2**16, b"type=DAEMON_START "
#: Rotated logs that auditd keeps at most (auditd.conf(5), num_logs).
ROTATED = 999
#: How a log begins, and what the names of compressed ones end in.
RECORD = re.compile(r"(?:node=[^ \n]+ )?type=[^ \n]+ msg=audit\(")
COMPRESSED = (".gz", ".bz2", ".xz", ".lzma", ".zst", ".lz4", ".Z")
#: A record of the kernel's about somebody who has logged in: auditd's own have a number for nobody, too.
OF_SOMEBODY = re.compile(
    rb"^(?:node=[^ \n]+ )?type=(?!DAEMON_)[^ \n]+ [^\n]*? auid=(?!4294967295\b)[0-9]", re.MULTILINE
)
#: A record as the kernel prints it (kernel/audit.c, kauditd_printk_skb), be it read message by message or as a whole; a
#: login (LOGIN, USER_START) or what somebody does in it (SYSCALL) is one of a session. And the bytes of a message.
PRINTED = re.compile(
    rb"^(?:[0-9,-]+[^;\n]*;|<\d+>(?:\[[^]\n]*\] )?)audit: type=(?P<kind>\d+) "
    rb"(?P<event>audit\((?P<when>\d+\.\d+):\d+\)): (?P<login>[^\n]* auid=(?!4294967295 ))?",
    re.MULTILINE,
)
OF_SESSIONS, LONGEST_MESSAGE = (b"1006", b"1105", b"1300"), 8192
#: syslog(2): give what the buffer has, and how large it is.
READ_ALL, SIZE_BUFFER = 3, 10
NOT_WHOLE = re.compile(rb"\A[^\n]*\n")

#: A file and from which byte on.
Part = tuple[str, int]


def digests(path: str, *sizes: int) -> list[str]:
    """
    Return a digest (str) of the first bytes of a file, for each of the ``sizes`` (int, rising); empty where it is
    shorter, or cannot be read.

    path
        The file (str). Beyond :data:`LARGEST` bytes nothing is compared.
    """
    found, digest, done = [], hashlib.sha256(), 0
    with contextlib.suppress(OSError), open(path, "rb", opener=opening.regular) as handle:
        for size in sizes:
            wanted = min(size, LARGEST)
            while done < wanted and (piece := handle.read(min(PIECE, wanted - done))):
                digest.update(piece)
                done += len(piece)
            found.append(digest.hexdigest() if done == wanted else "")
    return found + [""] * (len(sizes) - len(found))


def rotated(log: str) -> dict[str, list[typing.Any]]:
    """Return what each rotated ``log`` (str) is by its inode: its bytes, when it was written last, how it begins."""
    found: dict[str, list[typing.Any]] = {}
    for one in _beside(log):
        with contextlib.suppress(OSError):
            seen, begins = one.stat(follow_symlinks=False), pulse.extent(one.path)[2]
            # An administrator's own file, such as one of digests, is no log.
            if RECORD.match(begins) or one.name.endswith(COMPRESSED):
                found[str(seen.st_ino)] = [seen.st_size, seen.st_mtime_ns, begins]
    return found


def changed(before: Mapping[str, Sequence[typing.Any]], now: Mapping[str, Sequence[typing.Any]]) -> int:
    """Return how many rotated logs (int) are not as they were; arguments as :func:`rotated` has them."""
    # One that begins otherwise is another file, which has got the number of one that was deleted.
    same = ((was, now[inode]) for inode, was in before.items() if inode in now and now[inode][2] == was[2])
    return sum(1 for was, is_now in same if [*was] != [*is_now])


def taken_out(
    before: Mapping[str, Sequence[typing.Any]], now: Mapping[str, Sequence[typing.Any]]
) -> list[tuple[int, int, str]]:
    """
    Return which rotated logs are gone though an older one is there (list of inode, bytes and how it began): whoever
    rotates logs, or takes the old ones away, begins with the oldest. Arguments as for :func:`changed`.
    """
    left = [was for inode, was in before.items() if inode in now and now[inode][2] == was[2]]
    oldest = min((was[1] for was in left), default=math.inf)
    gone = [(int(inode), was) for inode, was in before.items() if was not in left and was[1] > oldest]
    # A number that another file has got since tells nothing.
    return [(-1 if str(inode) in now else inode, was[0], was[2]) for inode, was in gone]


def parts(log: str, was: Sequence[typing.Any]) -> list[Part]:
    """
    Return what was written since (list of :data:`Part`, the oldest first), empty where that cannot be told.

    log, was
        The log (str), and which one it was, as :func:`sshtrail_lib.coverage.pulse.extent` has it.
    """
    inode, size = was[0], was[1]
    for number in range(ROTATED + 1):
        path = f"{log}.{number}" if number else log
        try:
            found = os.stat(path)
        except OSError:
            break
        if found.st_ino == inode:
            later = [f"{log}.{one}" if one else log for one in range(number - 1, -1, -1)]
            return [(path, size if found.st_size >= size else 0), *((one, 0) for one in later)]
    # Others than auditd give it names of their own.
    moved = [one for one in _beside(log) if one.inode() == inode]
    return [(moved[0].path, size), (log, 0)] if moved else []


def copied(log: str, was: Sequence[typing.Any]) -> list[Part]:
    """Return what was written since where the ``log`` was copied, and cut then; all else as for :func:`parts`."""
    for one in _beside(log):
        _inode, size, begins = pulse.extent(one.path)
        if was[2] and size >= was[1] and begins.startswith(was[2]):
            return [(one.path, was[1]), (log, 0)]
    return []


def _beside(log: str) -> list[os.DirEntry[str]]:
    """Return the files that a rotated ``log`` (str) can be, in its directory."""
    place, name = os.path.split(log)
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        beside = [one for one in entries if one.name.startswith(name) and one.name != name]
        return [one for one in beside if one.is_file(follow_symlinks=False)]
    return []


def pieces(wanted: Iterable[Part]) -> Iterator[bytes]:
    """Yield what is in the parts (iterable of :data:`Part`) in pieces of whole lines (bytes)."""
    for path, start in wanted:
        with contextlib.suppress(OSError), open(path, "rb", opener=opening.regular) as handle:
            handle.seek(start)
            while piece := handle.read(PIECE) + handle.readline():
                yield piece


def too_long(wanted: Iterable[Part]) -> bool:
    """Tell whether the parts (iterable of :data:`Part`) are more than can be gone through (bool)."""
    whole = 0
    for path, start in wanted:
        with contextlib.suppress(OSError):
            whole += os.stat(path).st_size - start
    return whole > LARGEST


def numbers(wanted: Iterable[Part]) -> set[int]:
    """Return the numbers of the kernel's events (set of int) in the parts (iterable of :data:`Part`)."""
    found: set[int] = set()
    for piece in pieces(wanted):
        found |= serials.numbers(piece)
    return found


def newest(log: str) -> int:
    """Return the highest number that the end of a log (str) has of this boot (int), 0 for none."""
    try:
        size = os.stat(log).st_size
    except OSError:
        return 0
    tail = b"".join(pieces([(log, max(0, size - TAIL))]))
    tail = NOT_WHOLE.sub(b"", tail) if size > TAIL else tail
    found = serials.numbers(tail[max(0, tail.rfind(BEGINS)) :])
    return max(found.difference(serials.beyond(found, min(found))), default=0) if found else 0


def by_somebody(wanted: Iterable[Part]) -> bool:
    """Tell whether somebody has logged in who did anything (bool): in the parts (iterable of :data:`Part`), or now."""
    return any(OF_SOMEBODY.search(piece) for piece in pieces(wanted)) or any(map(_login, os.listdir("/proc")))


def _login(pid: str) -> bool:
    if not pid.isdigit():
        return False
    with contextlib.suppress(Exception):
        return (files.read(f"/proc/{pid}/loginuid") or b"4294967295").strip() != b"4294967295"
    return False


# --- What the kernel prints where nobody takes its records ----------------------------------------------------------


def printed(since: float, path: str = "/dev/kmsg") -> dict[bytes, bool]:
    """
    Return which events the kernel has printed to its own log, having nobody who takes its records: how a record names
    the event (bytes), and whether it is one of a session (bool). It prints a few at a time, and leaves out the others.

    since
        From when on (float, seconds since the epoch).
    path
        Of that log (str): dev-kmsg, a message with each read. Where it is not there, syslog(2) is asked.
    """
    found: dict[bytes, bool] = {}
    for message in _messages(path):
        for told in PRINTED.finditer(message):
            if float(told["when"]) > since:
                of_session = told["kind"] in OF_SESSIONS and told["login"] is not None
                found[told["event"]] = found.get(told["event"], False) or of_session
    return found


def _messages(path: str) -> Iterator[bytes]:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        yield _buffer()
        return
    with contextlib.closing(os.fdopen(handle, "rb", buffering=0)) as messages:
        yield from _each(messages)


def _each(messages: io.RawIOBase) -> Iterator[bytes]:
    while True:
        try:
            one = messages.read(LONGEST_MESSAGE)
        except BrokenPipeError:
            # What was next has been overwritten.
            continue
        except OSError:
            return
        if not one:
            return
        yield one


def _buffer() -> bytes:
    library = ctypes.CDLL(None)
    size = library.klogctl(SIZE_BUFFER, None, 0)
    if size <= 0:
        return b""
    told = ctypes.create_string_buffer(size)
    return told.raw[: max(0, library.klogctl(READ_ALL, told, size))]
