"""
Which process is the kernel's audit daemon, which configuration it reads, and what it wrote to its log since.
"""

from __future__ import annotations

import contextlib
import getopt
import os
import signal
import time
import typing
from collections.abc import Iterable, Sequence

import salt.utils.files
import salt.utils.path

from sshtrail_lib.auditd import language, space
from sshtrail_lib.auditd.keywords import Version
from sshtrail_lib.base import files, kernel, opening, processes, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.trail import audit_log
from sshtrail_lib.trail.audit_log import Record


def version(minion: Minion) -> Version | None:
    """Return the installed auditd's version as a tuple of int, or None when it cannot be asked."""
    binary = salt.utils.path.which("auditctl")
    if not binary:
        return None
    found = minion.remembered("auditd", binary, lambda: _asked_version(minion), _is_version)
    return tuple(found) or None


def _asked_version(minion: Minion) -> list[int]:
    words = minion.run("auditctl", "-v")["stdout"].split()
    return [int(part) for part in words[-1].split(".") if part.isdigit()] if words else []


def _is_version(answer: list[int]) -> bool:
    return bool(answer) and all(isinstance(part, int) for part in answer)


#: Whose auditd it is where the kernel's is none of this host's.
ELSEWHERE = (
    "The kernel's audit daemon (pid {pid}) is the auditd of a container or sandbox (another mount namespace): it reads "
    "{theirs} and writes its log there, not here. End it there; a kernel has one audit daemon."
)


class Daemon(typing.NamedTuple):
    """
    The kernel's audit daemon, as seen from one configuration file.

    ``pid`` (int, 0 for none), ``reads`` (bool: it is auditd and works with that file), ``argv`` (tuple of str),
    ``note`` (str: why it is none of ours, or not running).
    """

    pid: int = 0
    reads: bool = False
    argv: tuple[str, ...] = ()
    note: str = ""

    @property
    def follows_links(self) -> bool:
        """Whether it accepts a symbolic link as configuration file (bool)."""
        return any(name in ("-l", "--allow_links") for name, _value in _options(self.argv))

    @property
    def shows(self) -> bool:
        """Whether it shows records on its standard output, and writes none to its log (bool)."""
        return any(name == "-f" for name, _value in _options(self.argv))

    @property
    def own_directory(self) -> bool:
        """Whether it was started with a configuration directory of its own (bool)."""
        return _directory(self.argv) != os.path.dirname(language.PATH)


def find(path: str) -> Daemon:
    """
    Return the kernel's audit :class:`Daemon` as seen from the configuration file ``path`` (str).

    A host that has no audit of its own (a container) has no daemon; ``note`` says so.
    """
    files.named(path)
    try:
        pid = kernel.status()["pid"]
    except (kernel.KernelError, kernel.LibraryError) as exc:
        return Daemon(note=exc.message)
    return seen(pid, path) if pid else Daemon(note="auditd is not running.")


def seen(pid: int, path: str) -> Daemon:
    """Return the audit :class:`Daemon` with the number ``pid`` (int), as seen from the file ``path`` (str)."""
    name, argv = processes.comm(pid), processes.argv(pid)
    if not argv:
        return Daemon(pid, note=f"The kernel's audit daemon (pid {pid}) is not a process of this host or container.")
    if name != b"auditd":
        called = text.printable(name)
        return Daemon(pid, argv=argv, note=f"The kernel's audit daemon is {called} (pid {pid}), not auditd.")
    theirs = os.path.join(_directory(argv), os.path.basename(language.PATH))
    if not files.same(rooted(pid, theirs), path):
        if processes.shares_mounts(pid):
            return Daemon(pid, argv=argv, note=f"The running auditd (pid {pid}) reads {theirs}, not {path}.")
        return Daemon(pid, argv=argv, note=ELSEWHERE.format(pid=pid, theirs=theirs))
    return Daemon(pid, True, argv)


def _options(argv: Sequence[str]) -> list[tuple[str, str]]:
    """Return the options of a command line as auditd.c reads them, from 2.8 on; none where it would not start."""
    try:
        return getopt.gnu_getopt(list(argv[1:]), "flns:c:", ["allow_links", "config_file="])[0]
    except getopt.GetoptError:
        return []


def _directory(argv: Sequence[str]) -> str:
    """Return the directory that the last ``-c DIR`` or ``--config_file=DIR`` names, else the standard one."""
    named = [value for name, value in _options(argv) if name in ("-c", "--config_file")]
    return named[-1] if named else os.path.dirname(language.PATH)


def rooted(pid: int, path: str) -> str:
    """Return where the absolute ``path`` (str) of the process ``pid`` (int) is seen, whichever its mounts are."""
    return f"/proc/{pid}/root{path}"


def instead(log: str) -> str:
    """
    Return where the file is seen (str, below /proc) to which the kernel's auditd writes in the place of ``log`` (str):
    that was deleted or moved under it. "" where it does not, or where there is no auditd.
    """
    try:
        pid = kernel.status()["pid"]
    except (kernel.KernelError, kernel.LibraryError):
        return ""
    held = processes.written(pid, log) if pid and processes.comm(pid) == b"auditd" else []
    return "" if any(files.same(one, log) for one in held) else next(iter(held), "")


#: Where auditd writes its own report: before 4.1.1, and since.
REPORTS = ("/run/auditd.state", "/run/audit/auditd.state")
#: Seconds for that.
ANSWERS_WITHIN = 2


def suspended(daemon: Daemon, log: str) -> bool:
    """
    Tell whether a ``daemon`` (:class:`Daemon`) has suspended its ``log`` (str): it says so itself.

    One that holds its log open has not, and is not asked. One that was stopped cannot answer: asking it (SIGCONT)
    would let it go on.
    """
    if not daemon.pid or processes.writes(daemon.pid, log) or processes.stopped(daemon.pid):
        return False
    paths = [rooted(daemon.pid, path) for path in REPORTS]
    before = {path: _stamp(path) for path in paths}
    with contextlib.suppress(ProcessLookupError):
        os.kill(daemon.pid, signal.SIGCONT)
    deadline = time.monotonic() + ANSWERS_WITHIN
    while (answer := _report(before)) is None and time.monotonic() < deadline:
        time.sleep(0.02)
    return bool(answer)


def _stamp(path: str) -> int:
    try:
        return os.stat(path).st_mtime_ns
    except OSError:
        return 0


def _report(before: dict[str, int]) -> bool | None:
    """Return what a report says that is newer than ``before`` (path: time); None while there is none, or not all."""
    fresh = [path for path, stamp in before.items() if _stamp(path) != stamp]
    answers = (space.reported(_from(path, 0).decode(errors="replace")) for path in fresh)
    return next((answer for answer in answers if answer is not None), None)


class Tail:
    """What is written to the log at ``path`` (str), rotated or not, after this object was made."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._inode, self._size = _extent(path)

    def records(self) -> list[Record]:
        """Return the records (list of :class:`trail.audit_log.Record`) that are new since the last call."""
        inode, rotated = _extent(self._path)[0], self._path + ".1"
        if inode == self._inode:
            return self._new(self._path)
        last = self._new(rotated) if _extent(rotated)[0] == self._inode else []
        self._inode, self._size = inode, 0
        return last + self._new(self._path)

    def _new(self, path: str) -> list[Record]:
        # A last line without its line feed is still being written.
        data = _from(path, self._size)
        whole = data[: data.rfind(b"\n") + 1]
        self._size += len(whole)
        return list(audit_log.records(text.lines(whole)))


def _extent(path: str) -> tuple[int, int]:
    try:
        about = os.stat(path)
        return about.st_ino, about.st_size
    except FileNotFoundError:
        return 0, 0


def _from(path: str, offset: int) -> bytes:
    try:
        with salt.utils.files.fopen(path, "rb", opener=opening.regular) as handle:
            handle.seek(offset)
            return handle.read()
    except FileNotFoundError:
        return b""


def answer(records: Iterable[Record]) -> str:
    """
    Return what auditd logged about a reload among ``records`` (list of :class:`sshtrail_lib.trail.audit_log.Record`).

    Returns "success", "failed" (which it logs from 4.1 on) or "" for nothing.
    """
    found = (r for r in records if r.type == "DAEMON_CONFIG" and r.text("op") == "reconfigure")
    return next((record.text("res") or "" for record in found), "")


def logged_start(records: Iterable[Record], pid: int) -> bool:
    """Tell whether auditd logged among ``records`` (as above) that it started as ``pid`` (int)."""
    return any(record.type == "DAEMON_START" and record.text("pid") == str(pid) for record in records)


def logged_message(records: Iterable[Record], word: str) -> bool:
    """Tell whether the message ``word`` (str) of auditctl is among ``records`` (as above)."""
    return any(record.type == "USER" and record.text("text") == word for record in records)
