"""
What changes as soon as a way is open by which records get lost: few system calls, no process, nothing parsed.

Between two looks as a whole it is enough that none of it has changed. What costs much is left to the whole look, which
this brings about: whose a socket is, what a rule hides, whether a message arrives.
"""

from __future__ import annotations

import os
import resource
import stat
import time
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.base import opening, processes, sockets
from sshtrail_lib.coverage import tapped
from sshtrail_lib.coverage.marks import FREEZERS, NEARLY, SSHD, STOPPED, UNSET, cut, interrupted, user_of

#: Processes of sessions that are looked at: more would take longer than a tick may.
MOST = 400
#: Blocks that auditd leaves alone (auditd-event.c: check_space_left).
LAST_BLOCKS = 5
MIB = 2**20
#: Seconds by which a record may come later than what it is about.
SLACK = 2.0
#: What the log may grow by until it is looked at as a whole, in bytes.
LONGEST = 4 * 2**20
#: What changes by itself, and is compared otherwise; and what of a log is known that is not there.
BY_THEMSELVES, NO_LOG = ("newest", "spoken", "extent", "others", "at"), [0, 0, ""]
#: Bytes below which what a limit leaves of a log is little.
LITTLE = 2**16
#: Bytes at the beginning of a log, with a record's time and number, by which one is known from another.
BEGINNING = 128
#: Seconds between two looks that a line of syslog's brings about, or a port that somebody without rights has opened:
#: whoever may log in can do either as often as he likes.
APART = 60.0
NAMES = tuple(name.encode() for name in SSHD)

Pulse = dict[str, typing.Any]


class Watched(typing.NamedTuple):
    """
    What is watched: the ``log`` (str), the room that it needs (``least``, str), sshd's ``pidfile`` (str), and the files
    in which syslog may write what sshd says (``spoken``, sequence of str).
    """

    log: str
    least: str
    pidfile: str
    spoken: Sequence[str] = ()


def take(watched: Watched, status: Mapping[str, int] | None) -> Pulse:
    """
    Return how the trail stands (dict that JSON can hold): the same as long as nothing has changed.

    watched
        :class:`Watched`.
    status
        The kernel's audit status (dict), None for a host without an audit of its own.
    """
    listening = sockets.listening()
    doors = sorted([*([one.port, one.inode] for one in listening if not one.uid), *_of_systemd()])
    ways = {"doors": doors, "others": sorted({one.port for one in listening if one.uid}), "at": time.time()}
    if status is None:
        return ways
    lost, begun = _sessions(watched.pidfile)
    place = os.path.dirname(watched.log)
    return {
        **ways,
        "auditd": _auditd(status["pid"]),
        "log": [
            _stat(watched.log),
            _stat(place),
            room(place, watched.least),
            *map(opening.fixed, (watched.log, place)),
        ],
        "lost": status["lost"],
        "full": bool(status["backlog_limit"]) and status["backlog"] > NEARLY * status["backlog_limit"],
        "sessions": lost,
        "newest": _unwritten(begun, watched.log),
        "spoken": _unheard(watched),
        "terminals": _terminals(),
        "extent": extent(watched.log),
        "cornered": cornered(status["pid"], watched.log),
    }


def same(before: Pulse, now: Pulse, looked: float) -> bool:
    """
    Tell whether nothing has changed that matters.

    before, now
        Two results of :func:`take`.
    looked
        When the host was looked at as a whole (float, seconds since the epoch).

    It matters when a process of a session was started, and the log was not written since: its records are not there.
    So it does when syslog wrote of logins, but not at every line: some have no record beside them; and when somebody
    else than root has opened a port, but not at once each time. A log grows; one that is smaller was cut. One that may
    hardly grow is looked at each time.
    """
    changes = {key for key in {*before, *now} if key not in BY_THEMSELVES and before.get(key) != now.get(key)}
    unwritten = now.get("newest", 0) > looked or now.get("spoken", 0) > looked + APART
    opened = set(now.get("others", ())) - set(before.get("others", ())) and now["at"] > looked + APART
    changed = changes or unwritten or opened or now.get("cornered")
    return not changed and not cut(before.get("extent", NO_LOG), now.get("extent", NO_LOG))


def tells(log: str, before: Pulse, now: Pulse) -> bool:
    """
    Tell whether what the ``log`` (str) grew by calls for a look: it tells that the trail was interrupted, or it is too
    much to be gone through at every tick.

    before, now
        As for :func:`same`.
    """
    (at, size, _), (is_at, is_now, _) = before.get("extent", NO_LOG), now.get("extent", NO_LOG)
    if at != is_at or is_now <= size:
        return False
    return is_now - size > LONGEST or interrupted(_read(log, size, is_now - size))


def extent(path: str) -> list[typing.Any]:
    """Return which file the log at ``path`` (str) is: its inode, its bytes (int each), and how it begins (str)."""
    try:
        found = os.stat(path)
    except OSError:
        return NO_LOG
    return [found.st_ino, found.st_size, _read(path, most=BEGINNING).decode("latin-1")]


def _terminals() -> list[str]:
    """Return the terminals that belong to root: who sits at one may have come another way than by sshd."""
    top = "/dev/pts"
    return sorted(name for name in _names(top) if name.isdigit() and _stat(f"{top}/{name}")[3:4] == [0])


def _of_systemd(pid: int = 1) -> list[list[int]]:
    """
    Return where systemd (a process, int) waits for whom no network brings, and anybody for who comes by VSOCK: in the
    place of a port, and inode.
    """
    local = sockets.local()
    held = {f"socket:[{one.inode}]": one.inode for one in local}
    found = {held[link] for link in (processes.links(pid) if held else ()) if link in held}
    return [[0, inode] for inode in sorted(found | {one.inode for one in local if one.place.startswith("vsock:")})]


def _auditd(pid: int) -> list[typing.Any]:
    """Return what of the audit daemon changes when it does not do its part."""
    if not pid:
        return []
    top, fields = f"/proc/{pid}", _read(f"/proc/{pid}/stat").rpartition(b")")[2].split()
    still = fields[0].decode() if fields and fields[0].decode() in STOPPED else ""
    frozen = _read(f"{top}/wchan").decode("ascii", "replace") in FREEZERS
    born = int(fields[19]) if len(fields) > 19 else 0
    place = [processes.link(f"{top}/exe"), processes.link(f"{top}/ns/mnt"), _open_files(f"{top}/fd")]
    return [pid, born, still, frozen, tracer(pid), tapped.filtered(pid), *place]


def cornered(pid: int, log: str) -> bool:
    """Tell whether a limit on the files of the audit daemon (its pid, int) leaves its log (str) little room (bool)."""
    try:
        limit = resource.prlimit(pid, resource.RLIMIT_FSIZE)[0] if pid else resource.RLIM_INFINITY
        return limit != resource.RLIM_INFINITY and os.stat(log).st_size + LITTLE > limit
    except OSError:
        return False


def tracer(pid: int) -> int:
    """Return which process traces another one (int, its pid), 0 for none."""
    found = _read(f"/proc/{pid}/status").partition(b"\nTracerPid:\t")[2].partition(b"\n")[0]
    return int(found) if found.isdigit() else 0


def _open_files(top: str) -> list[list[int]]:
    found = []
    for name in _names(top):
        try:
            one = os.stat(f"{top}/{name}")
        except OSError:
            continue
        if stat.S_ISREG(one.st_mode):
            found.append([one.st_dev, one.st_ino, one.st_nlink])
    return sorted(found)


def _stat(path: str) -> list[int]:
    """Return which file stands at ``path`` (str) and who may change it, but not what is in it."""
    try:
        found = os.stat(path)
    except OSError as exc:
        return [exc.errno or -1]
    return [found.st_dev, found.st_ino, found.st_mode, found.st_uid, found.st_gid]


def room(directory: str, least: str) -> str:
    """
    Return how much room a volume has (str): empty for enough, ``low`` for less than ``least``, ``full``.

    directory
        A directory on it (str).
    least
        MiB, or per cent with its sign (str).
    """
    try:
        found = os.statvfs(directory)
    except OSError:
        return ""
    if found.f_bavail < LAST_BLOCKS:
        return "full"
    try:
        wanted = int(least.rstrip("%"))
    except ValueError:
        return ""
    bound = found.f_blocks * wanted / 100 if least.endswith("%") else wanted * MIB / found.f_frsize
    return "low" if found.f_bavail < bound else ""


# --- Sessions -----------------------------------------------------------------------------------------------------


def _sessions(pidfile: str) -> tuple[list[list[int]], list[int]]:
    """
    Return the processes of sshd's sessions that have no login id, or another one than what serves the session (list of
    pid and birth), and the births of those that must have left a record, in clock ticks since the boot.
    """
    lost, begun = [], []
    for count, (pid, fields, known, login, served) in enumerate(_walk(pidfile)):
        if count == MOST:
            break
        if login in (b"%d" % UNSET, b"") or login != served:
            lost.append([pid, int(fields[19])])
        if known:
            begun.append(int(fields[19]))
    return sorted(lost), begun


def _unwritten(begun: list[int], log: str) -> float:
    """Return when the newest process began whose record had to be in the log by now, 0 when the log has moved on."""
    ticks, origin = os.sysconf("SC_CLK_TCK"), time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return _later((origin + tick / ticks for tick in begun), log)


def _unheard(watched: Watched) -> float:
    """Return when syslog wrote last of what has a record in the log by now, 0 when the log has moved on."""
    return _later(filter(None, map(_written, watched.spoken)), watched.log)


def _later(moments: Iterable[float], log: str) -> float:
    written = _written(log)
    newest = max((moment for moment in moments if moment < time.time() - SLACK), default=0.0)
    return newest if written and newest > written + SLACK else 0


def _written(path: str) -> float:
    try:
        found = os.stat(path)
    except OSError:
        return 0
    # The one can be set to any time (touch(1)), and the other changes with a mode.
    return min(found.st_mtime, found.st_ctime)


def _walk(pidfile: str) -> Iterator[tuple[int, list[bytes], bool, bytes, bytes]]:
    """
    Yield each process of an open session: pid, fields of ``stat``, whether it has begun something new, its login id and
    that of the process that serves the session.
    """
    waiting = [(pid, b"", b"") for pid in _connections(pidfile)]
    while waiting:
        pid, above, inside = waiting.pop()
        data = _read(f"/proc/{pid}/stat")
        comm, fields = data[data.find(b"(") : data.rfind(b")")], data.rpartition(b")")[2].split()
        if len(fields) < 20:
            continue
        serves = not inside and _serves(pid, comm[1:])
        if inside or serves:
            # A process that only forked has its parent's name, and leaves no record.
            login = _read(f"/proc/{pid}/loginuid").strip()
            inside = inside or login
            yield pid, fields, serves or comm != above, login, inside
        waiting += [(child, comm, inside) for child in _children(pid)]


def _connections(pidfile: str) -> list[int]:
    """Return the processes below which sessions are: the listener's, and those that outlived their listener."""
    words = _read(pidfile).split() if pidfile else []
    below = _children(int(words[0])) if words and words[0].isdigit() else []
    orphans = [pid for pid in _children(1) if _read(f"/proc/{pid}/comm").strip() in NAMES and _ours(pid)]
    return [*below, *(pid for pid in orphans if str(pid).encode() not in words)]


def _ours(pid: int) -> bool:
    return processes.link(f"/proc/{pid}/ns/uts") == processes.link("/proc/self/ns/uts")


def _serves(pid: int, comm: bytes) -> bool:
    # A program that is not root's is no sshd, whatever it calls itself.
    if comm not in NAMES or _stat(f"/proc/{pid}/exe")[3:4] != [0]:
        return False
    return bool(user_of(comm.decode(), processes.link(f"/proc/{pid}/exe"), processes.argv(pid)))


def _children(pid: int) -> list[int]:
    top = f"/proc/{pid}/task"
    return [int(word) for task in _names(top) for word in _read(f"{top}/{task}/children").split()]


# --- Without a file object for each of hundreds of files ------------------------------------------------------------


def _names(path: str) -> list[str]:
    try:
        return os.listdir(path)
    except OSError:
        return []


def _read(path: str, start: int = 0, most: int = 65536) -> bytes:
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    except OSError:
        return b""
    try:
        return os.pread(handle, most, start) if start else os.read(handle, most)
    except OSError:
        return b""
    finally:
        os.close(handle)
