"""
What a login leaves while it happens: listened to at the kernel, and read where it is written.
"""

from __future__ import annotations

import contextlib
import ctypes
import glob
import os
import re
import select
import socket
import threading
import time
import typing
from collections.abc import Iterable, Iterator, Sequence

from salt.exceptions import SaltException

from sshtrail_lib.auditd import daemon as auditd_daemon
from sshtrail_lib.base import files, kernel, opening, processes, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.trail import audit_log
from sshtrail_lib.trail.audit_log import Event, Record

#: linux/netlink.h, linux/audit.h: the protocol, the group that may read along, the size of the header.
NETLINK_AUDIT, READ_LOG, HEADER = 9, 1, 16
SO_RCVBUFFORCE, BUFFER = 33, 32 * 2**20
CLONE_NEWNET = 0x40000000
#: Seconds in which the kernel passes a record on.
HEARS = 0.5
#: linux/audit.h: what the kernel numbers, and the log names.
TYPES = {
    **{1006: "LOGIN", 1100: "USER_AUTH", 1101: "USER_ACCT", 1103: "CRED_ACQ", 1104: "CRED_DISP", 1105: "USER_START"},
    **{1106: "USER_END", 1112: "USER_LOGIN", 1300: "SYSCALL", 1307: "CWD", 1309: "EXECVE", 1327: "PROCTITLE"},
}
#: Where programs are configured that send records or sshd's messages to another host, and how that looks.
REMOTE = {
    "audisp-remote": (
        ("/etc/audit/plugins.d/au-remote.conf", "/etc/audisp/plugins.d/au-remote.conf"),
        r"active\s*=\s*yes",
    ),
    "rsyslog": (("/etc/rsyslog.conf", "/etc/rsyslog.d/*.conf"), r"[^#\n]*(?:\s@@?[\w\[(]|\bomfwd\b|\bomrelp\b).*"),
    "syslog-ng": (
        ("/etc/syslog-ng/syslog-ng.conf", "/etc/syslog-ng/conf.d/*.conf"),
        r"[^#\n]*\b(?:network|syslog|tcp)\s*\(.*",
    ),
}
JOURNAL = "/run/systemd/journal/socket"


# --- The kernel -------------------------------------------------------------------------------------------------


class Ear:
    """What the kernel tells from now on, beside auditd and whether there is one or not."""

    def __init__(self) -> None:
        self._socket = _socket()
        self._records: list[Record] = []

    def hears(self) -> bool:
        """
        Tell whether the kernel tells us anything (bool): who may listen hears, at the latest, that he does.

        In another network namespace than the kernel's first one may listen too, and hears nothing. A kernel whose audit
        is off makes no records, so that there is nothing to miss.
        """
        if self._socket is None or not _status().get("enabled"):
            return self._socket is not None
        return bool(select.select([self._socket], [], [], HEARS)[0])

    def events(self, marks: Sequence[bytes]) -> list[Event] | None:
        """
        Return what was heard (list of Event), None where nobody may listen, or where too much was told at once.

        marks
            What a record holds that is wanted, with all others of its event (list of bytes).
        """
        if self._socket is None:
            # A kernel without audit makes no records, so that none was missed.
            return [] if _without_audit() else None
        try:
            self._records += filter(None, map(_record, self._messages(self._socket)))
        except OSError:
            # More than the buffer takes: what is missing proves nothing any more.
            self.close()
            return None
        return together(self._records, marks)

    def _messages(self, ear: socket.socket) -> Iterator[bytes]:
        with contextlib.suppress(BlockingIOError):
            while True:
                yield ear.recv(65536)

    def close(self) -> None:
        """Listen no longer."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None


def _socket() -> socket.socket | None:
    found: list[socket.socket] = []

    def listen() -> None:
        # The kernel tells the network namespace that it booted with, and no other.
        with contextlib.suppress(OSError):
            _enter("/proc/1/ns/net")
        with contextlib.suppress(OSError):
            found.append(_listening())

    # A namespace belongs to a thread, so that this process stays in its own.
    thread = threading.Thread(target=listen)
    thread.start()
    thread.join()
    return found[0] if found else None


def _enter(namespace: str) -> None:
    handle = os.open(namespace, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if ctypes.CDLL(None, use_errno=True).setns(handle, CLONE_NEWNET):
            raise OSError(ctypes.get_errno(), "setns")
    finally:
        os.close(handle)


def _listening() -> socket.socket:
    ear = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_AUDIT)
    try:
        ear.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
        ear.bind((0, READ_LOG))
    except OSError:
        ear.close()
        raise
    ear.setblocking(False)
    return ear


def _record(message: bytes) -> Record | None:
    kind = int.from_bytes(message[4:6], "little" if socket.htons(1) != 1 else "big")
    if kind not in TYPES:
        return None
    return audit_log.record(b"type=%s msg=%s" % (TYPES[kind].encode(), message[HEADER:].rstrip(b"\0\n")))


def together(records: Iterable[Record], marks: Sequence[bytes]) -> list[Event]:
    """
    Put the records of each event together (list of Event) that one of them is wanted of.

    records
        In any order (iterable of Record).
    marks
        As for :meth:`Ear.events`; one that begins with a space is a field of the kernel's.
    """
    events: dict[tuple, list[Record]] = {}
    for record in records:
        events.setdefault(record.event, []).append(record)
    return [Event(tuple(found)) for found in events.values() if any(_wanted(one, marks) for one in found)]


def _wanted(record: Record, marks: Sequence[bytes]) -> bool:
    values = [*record.fields.values(), *record.message.values()]
    fields = [mark.strip() for mark in marks if mark.startswith(b" ")]
    named = any(b"=".join((name.encode(), value)) in fields for name, value in record.fields.items())
    return named or any(mark in value for value in values for mark in marks if not mark.startswith(b" "))


# --- auditd's file ----------------------------------------------------------------------------------------------


class Log:
    """What auditd writes to its file from now on."""

    def __init__(self, minion: Minion, conf: str) -> None:
        """
        conf
            The path of auditd.conf (str).
        """
        self._minion, self._conf = minion, conf
        self.path = self._setting("log_file") or "/var/log/audit/audit.log"
        # As this host has it: what an auditd of another mount namespace writes by that name nobody finds here.
        self._tail = auditd_daemon.Tail(self.path)
        self._records: list[Record] = []

    def events(self, marks: Sequence[bytes]) -> list[Event]:
        """Return what came to the file (list of Event); arguments as for :meth:`Ear.events`."""
        self._records += self._tail.records()
        return together(self._records, marks)

    def trouble(self) -> str:
        """Return what is known to be wrong with auditd or its file (str), "" for nothing."""
        status = _status()
        pid = status.get("pid", 0)
        if status.get("enabled") == 0:
            return "the kernel's audit is turned off"
        if not status and _without_audit():
            return "this kernel has no audit: it was built without, or started with audit=0"
        if not pid:
            return "the kernel has no audit daemon"
        if not processes.lives(pid):
            return f"the kernel's audit daemon (pid {pid}) has ended"
        name = text.printable(files.read(f"/proc/{pid}/comm") or b"").removesuffix("\\n")
        said = f"{name} (pid {pid})"
        if _state(pid) in ("T", "t"):
            return f"{said} is stopped"
        if name != "auditd":
            return f"the kernel's records go to {said}"
        if (self._setting("write_logs") or "yes").lower() == "no" or (
            self._setting("log_format") or ""
        ).upper() == "NOLOG":
            return f"{self._conf} says that {said} writes none (write_logs, log_format)"
        replaced, limit = self._replaced(pid, said), status.get("rate_limit")
        if limit and not replaced:
            return f"the kernel passes on no more than {limit} records a second (rate_limit)"
        return replaced

    def _replaced(self, pid: int, said: str) -> str:
        held = {os.readlink(one): one for one in glob.glob(f"/proc/{pid}/fd/*") if os.path.islink(one)}
        if f"{self.path} (deleted)" in held:
            return f"{said} writes to a file that was deleted under it"
        if self.path not in held:
            return f"{said} does not have that file open"
        with contextlib.suppress(OSError):
            if os.path.samefile(held[self.path], self.path):
                return ""
        return f"{said} has another file of that name open: it has mounts of its own"

    def _setting(self, keyword: str) -> str:
        with contextlib.suppress(SaltException):
            found = self._minion.call["auditd_conf.get"](keyword, path=self._conf)
            return str(found["value"]) if found else ""
        return ""


def backlog() -> int:
    """Return how many records the kernel still holds (int)."""
    return _status().get("backlog", 0)


def _status() -> dict[str, int]:
    with contextlib.suppress(kernel.KernelError, kernel.LibraryError):
        return kernel.status()
    return {}


def _without_audit() -> bool:
    try:
        kernel.status()
    except kernel.NoAudit:
        return True
    except (kernel.KernelError, kernel.LibraryError):
        pass
    return False


def _state(pid: int) -> str:
    found = re.search(rb"^State:\s*(\w)", files.read(f"/proc/{pid}/status") or b"", re.M)
    return found[1].decode() if found else ""


# --- sshd's log -------------------------------------------------------------------------------------------------


class SshdLog:
    """What sshd writes to syslog from now on."""

    def __init__(self, minion: Minion, paths: Iterable[str]) -> None:
        """
        paths
            The files to which syslog writes it (iterable of str); what is not there is not read, and the journal is
            where there is one.
        """
        self._minion, self._since = minion, int(time.time())
        self._at = {path: os.stat(path) for path in dict.fromkeys(paths) if os.path.exists(path)}
        self._journal = os.path.exists(JOURNAL)

    @property
    def name(self) -> str:
        """What is read (str), or why nothing is."""
        return " and ".join([*self._at, *(["the journal"] if self._journal else [])]) or "no file, and no journal"

    def lines(self) -> list[bytes] | None:
        """Return what came since (list of bytes), None where nothing can be read."""
        if not self._at and not self._journal:
            return None
        found = [line for path, begun in self._at.items() for line in _since(path, begun)]
        return found + (self._journalled() if self._journal else [])

    def _journalled(self) -> list[bytes]:
        # Whoever is not root can write there in sshd's name, but not with root's number.
        chosen = ["_UID=0", "SYSLOG_IDENTIFIER=sshd", "+", "_UID=0", "SYSLOG_IDENTIFIER=sshd-session"]
        done = self._minion.run("journalctl", "-q", "--no-pager", "-o", "short-iso", f"--since=@{self._since}", *chosen)
        return [] if done["retcode"] else done["stdout"].encode("utf-8", "surrogateescape").splitlines()


def _since(path: str, begun: os.stat_result) -> list[bytes]:
    """Return the lines that a file got since it was ``begun``, and all of the one that has taken its place."""
    data = b""
    for name in (f"{path}.1", path):
        with contextlib.suppress(OSError), open(name, "rb", opener=opening.regular) as handle:
            same = os.fstat(handle.fileno()).st_ino == begun.st_ino
            if same or name == path:
                handle.seek(begun.st_size if same else 0)
                data += handle.read()
    return data.splitlines()


# --- Elsewhere --------------------------------------------------------------------------------------------------


def remote() -> tuple[str, ...]:
    """Return what is configured to send records, or sshd's messages, to another host (tuple of str)."""
    return tuple(name for name, (paths, pattern) in REMOTE.items() if any(_says(path, pattern) for path in paths))


def _says(paths: str, pattern: str) -> bool:
    for path in glob.glob(paths):
        with contextlib.suppress(SaltException):
            content = text.printable(files.read(path) or b"").replace("\\n", "\n")
            if re.search(rf"^\s*{pattern}", content, re.M):
                return True
    return False


class Witnesses(typing.NamedTuple):
    """All that watches a login: ``ear`` (Ear or None), ``log`` (Log or None), ``sshd`` (SshdLog)."""

    ear: Ear | None
    log: Log | None
    sshd: SshdLog
