"""
Files and their modes, and the volume that the audit logs are on: looked at, never changed.
"""

from __future__ import annotations

import functools
import glob
import itertools
import os
import stat
import struct
import time
import typing
from collections.abc import Callable, Iterable, Iterator

from sshtrail_lib.base import directory, opening, processes, text
from sshtrail_lib.base.programs import LateError
from sshtrail_lib.compliance import sight
from sshtrail_lib.compliance.facts import File, Grant, Storage
from sshtrail_lib.trail import audit_log

#: The programs of audit that the benchmarks name, and where they may be.
TOOLS = ("auditctl", "aureport", "ausearch", "autrace", "auditd", "augenrules")
BIN = ("/usr/sbin", "/sbin", "/usr/bin")
SYSLOG_FILES = ("messages", "secure", "maillog", "cron", "spooler", "boot.log")
#: How many files below /var/log are looked at.
MOST = 20_000
#: Bytes of a log's beginning, in which the first record is.
HEAD = 65536


class Mount(typing.NamedTuple):
    """A file system: the ``path`` it is mounted on, its ``kind`` (str) and its ``options`` (tuple of str)."""

    path: str
    kind: str
    options: tuple[str, ...]


def mounts() -> list[Mount]:
    """Return the file systems of this process (list of :class:`Mount`), as /proc/self/mounts has them."""
    found = []
    with open("/proc/self/mounts", encoding="utf-8", errors="surrogateescape") as handle:
        for line in handle:
            _source, path, kind, options = line.split(" ")[:4]
            found.append(Mount(text.of_proc(path), kind, tuple(options.split(","))))
    return found


def file(path: str) -> File | None:
    """Return the :class:`File` at ``path`` (str), None when there is none."""
    try:
        found = os.stat(path)
    except OSError as exc:
        if not isinstance(exc, FileNotFoundError):
            sight.note(f"{path}: {exc.strerror}")
        return None
    real = os.path.realpath(path)
    return File(stat.S_IMODE(found.st_mode), _user(found.st_uid), _group(found.st_gid), _grants(real), _open(real))


def _grants(path: str) -> tuple[Grant, ...]:
    """Return what the access control list of a file (str) gives to people and groups that it names."""
    try:
        data = os.getxattr(path, "system.posix_acl_access")
    except OSError:
        return ()
    entries = [ACL.unpack_from(data, at) for at in range(HEADER, len(data) - ACL.size + 1, ACL.size)]
    mask = next((bits for tag, bits, _number in entries if tag == MASK), 7)
    return tuple(
        Grant(kind, name(number), bits & mask)
        for tag, bits, number in entries
        for kind, name in [NAMED.get(tag, ("", str))]
        if kind and bits & mask
    )


def _open(path: str) -> str:
    """Return the first directory above a real path (str) that others than root can write to (str, empty for none)."""
    directory = os.path.dirname(path)
    try:
        found = os.stat(directory)
    except OSError:
        return ""
    # With the sticky bit nobody can replace what is another's.
    if found.st_uid or (found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX):
        return directory
    return _open(directory) if directory != "/" else ""


def owner(path: str) -> str:
    """Return the name of the account that a path (str) belongs to (str), empty where it is not there."""
    found = file(path)
    return found.owner if found else ""


def running(name: str) -> list[int]:
    """Return the processes (list of int) with a name (str) whose program is root's: anybody may call himself so."""
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdecimal()]
    return [pid for pid in pids if processes.comm(pid) == name.encode() and owner(f"/proc/{pid}/exe") == _user(0)]


def _user(uid: int) -> str:
    # Whatever else has its number: an account of another name may stand before it.
    if not uid:
        return "root"
    try:
        return directory.user_of(uid).pw_name
    except (KeyError, LateError):
        return str(uid)


def _group(gid: int) -> str:
    if not gid:
        return "root"
    try:
        return directory.group_of(gid).gr_name
    except (KeyError, LateError):
        return str(gid)


#: linux/posix_acl_xattr.h: a version, and then each entry's tag, bits and number.
HEADER, ACL, MASK = 4, struct.Struct("<HHI"), 0x10
NAMED = {0x02: ("user", _user), 0x08: ("group", _group)}


def files(
    sshd: str, included: Iterable[str], auditd: str, rules: str, log: str, unread: dict[str, str] | None = None
) -> dict[str, dict[str, File]]:
    """
    Return the files of each kind that a control is about (dict of kind to a dict of path to :class:`File`).

    sshd, auditd
        The configuration files of the two (str).
    included
        What else sshd reads (iterable of str).
    rules
        The policy's own file in rules.d (str).
    log
        The file that auditd writes (str), empty where nobody knows.
    unread
        Where to put why files of one kind could not be looked at, or not all of them (dict of the kind to str), None
        for nowhere.
    """
    drop_ins, conf, rules_d = f"{sshd}.d", os.path.dirname(auditd), os.path.dirname(rules)
    kinds: dict[str, Callable[[], Iterable[str]]] = {
        "sshd config": lambda: [sshd, *included],
        "sshd drop-ins": lambda: _files(f"{glob.escape(drop_ins)}/*"),
        "sshd directory": lambda: [drop_ins],
        "audit logs": lambda: _logs(log) if log else [],
        "audit log directory": lambda: [os.path.dirname(log)] if log else [],
        "auditd.conf": lambda: [auditd],
        "audit.rules": lambda: [os.path.join(os.path.dirname(rules_d), "audit.rules")],
        "rules.d": lambda: _files(f"{glob.escape(rules_d)}/*"),
        "audit config": lambda: [path for top in {conf, rules_d} for path in _below(top, links=True)],
        "audit programs": lambda: _tools(),
        "journal": lambda: _files("/var/log/journal/*/*.journal*", "/run/log/journal/*/*.journal*"),
        "syslog files": lambda: [f"/var/log/{name}" for name in SYSLOG_FILES],
        "var log": lambda: _below("/var/log"),
    }
    return {kind: sight.noted(kind, functools.partial(_there, paths), unread) for kind, paths in kinds.items()}


def _there(paths: Callable[[], Iterable[str]]) -> dict[str, File]:
    return {path: one for path in paths() if (one := file(path))}


def _files(*patterns: str) -> list[str]:
    return [path for pattern in patterns for path in sight.matching(pattern) if os.path.isfile(path)]


def _tools() -> list[str]:
    found = [os.path.realpath(os.path.join(place, name)) for name in TOOLS for place in BIN]
    return [path for path in dict.fromkeys(found) if os.path.isfile(path)]


def _logs(log: str) -> list[str]:
    """Return the audit logs (list of str): all that is in their directory, unless that is everybody's."""
    directory = os.path.dirname(log)
    return _files(f"{glob.escape(log)}*" if directory == "/var/log" else f"{glob.escape(directory)}/*")


def _below(top: str, links: bool = False) -> list[str]:
    found = list(itertools.islice(_walk(top, links), MOST + 1))
    if len(found) > MOST:
        sight.note(f"{found[MOST]} and others after it: there are more than {MOST} files")
    return found[:MOST]


def _walk(top: str, links: bool) -> Iterator[str]:
    sight.missing(top)
    for place, _names, found in os.walk(top, onerror=lambda exc: sight.note(f"{exc.filename}: {exc.strerror}")):
        for name in sorted(found):
            path = os.path.join(place, name)
            if (links or not os.path.islink(path)) and os.path.isfile(path):
                yield path


def storage(log: str) -> Storage | None:
    """Return the :class:`Storage` of the audit log at ``log`` (str), None where there is no directory for it."""
    directory = os.path.dirname(log)
    if not log or not os.path.isdir(directory):
        return None
    room, real = os.statvfs(directory), os.path.realpath(directory)
    # What is bound to its own place is on the file system that it was on before.
    bound = os.stat(real).st_dev == os.stat(os.path.dirname(real)).st_dev
    mount = _mount(real)
    on = _mount(os.path.dirname(real)) if bound else mount
    logs = _files(f"{glob.escape(log)}*")
    size = sum(os.stat(path).st_size for path in logs)
    first = min((begun for path in logs if (begun := _first(path)) is not None), default=None)
    oldest = max(0.0, time.time() - first) if first is not None else None
    own = mount.path == real and not bound
    total, free = (blocks * room.f_frsize for blocks in (room.f_blocks, room.f_bavail))
    return Storage(directory, on.path, own, mount.options, total, free, size, oldest)


def _mount(path: str) -> Mount:
    # Of several on one place the last covers the others.
    return max(reversed([one for one in mounts() if _within(path, one.path)]), key=lambda one: len(one.path))


def _within(path: str, mount: str) -> bool:
    return path == mount or path.startswith(mount.rstrip("/") + "/")


def _first(path: str) -> float | None:
    """Return the time (float) of the first record of a log (str)."""
    try:
        with open(path, "rb", opener=opening.regular) as handle:
            lines = handle.read(HEAD).splitlines()
    except OSError:
        return None
    return next((one.time for one in audit_log.records(lines)), None)
