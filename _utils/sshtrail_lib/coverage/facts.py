"""
What a host tells of its audit and its log: the kernel, the process that it speaks to, and files; nothing is changed.
"""

from __future__ import annotations

import bz2
import contextlib
import functools
import gzip
import lzma
import math
import os
import stat
import time
import typing
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

import salt.utils.path
from salt.exceptions import CommandExecutionError

from sshtrail_lib.auditd import daemon as auditd_daemon
from sshtrail_lib.auditd import language
from sshtrail_lib.base import files, kernel, opening, processes
from sshtrail_lib.coverage import demand, pulse, tapped
from sshtrail_lib.coverage.daemon import Auditd, File, Log
from sshtrail_lib.coverage.marks import DELETED, FREEZERS, SSHD
from sshtrail_lib.trail import audit_log

PLACES = ("/usr/sbin", "/sbin", "/usr/bin", "/usr/local/sbin")
#: What turns the kernel's audit off and on at boot, in any case (kernel/audit.c, audit_enable).
OFF, ON = ("audit=0", "audit=off"), ("audit=1", "audit=on")
#: Names libraries that the loader puts into each program: ld.so(8).
PRELOAD = "/etc/ld.so.preload"
#: Bytes of a log's beginning that are read.
HEAD = 2**20
AUDIT_PROTOCOL = "9"
#: Bytes of a program that are read at a time: its table of names is in one part.
LARGEST = 2**26
#: Where programs are installed, and stay.
INSTALLED = ("/usr/", "/bin/", "/sbin/", "/lib/", "/lib64/", "/opt/")
#: What the names of compressed files end in: those that can be read here, and others.
OPENS: dict[str, Callable[[str, str], typing.Any]] = {
    ".gz": gzip.open,
    ".bz2": bz2.open,
    ".xz": lzma.open,
    ".lzma": lzma.open,
}
COMPRESSED = (".zst", ".lz4", ".Z")


def boot() -> str:
    """Return the word of the kernel's command line that turns audit off (str), empty for none: the last counts."""
    told = _at_boot()
    return told if told.lower() in OFF else ""


def _at_boot() -> str:
    words = (files.read("/proc/cmdline") or b"").decode("utf-8", "replace").split()
    return next((word for word in reversed(words) if word.startswith("audit=")), "")


def since(log: str) -> float | None:
    """
    Return when the kernel was first told to audit in this boot (float, seconds since the epoch).

    log
        The audit log (str), in which that stands when the kernel was not told on its command line: then it is 0. None
        when the log does not tell.
    """
    if _at_boot().lower() in ON:
        return 0.0
    # An auditd with a name_format has the host's name before each type.
    for record in _of_this_boot(line for line in _heads(log) if b"type=CONFIG_CHANGE " in line):
        if (record.type, record.text("audit_enabled")) == ("CONFIG_CHANGE", "1"):
            # One that was on already tells of a time before.
            return float(record.seconds) if record.text("old") == "0" else None
    return None


def audits(log: str) -> float:
    """
    Return from when on the kernel certainly audits in this boot (float, seconds since the epoch): one whose audit is
    off makes no record. Infinite where the log (str) has none.
    """
    # Those of auditd are not the kernel's.
    told = (record for record in _of_this_boot(_heads(log)) if not record.type.startswith("DAEMON_"))
    return next((float(record.seconds) for record in told), math.inf)


def unmatched() -> str:
    """
    Return which system calls the kernel takes that no rule can match (str), empty for none: those of x32, a way for
    programs of 64 bits to call it with 32. Their numbers are beyond those that a rule has bits for (kernel/auditsc.c,
    audit_in_mask).
    """
    built = files.read(f"/boot/config-{os.uname().release}") or _config()
    with_x32 = any(f"\nCONFIG_{name}=y\n".encode() in built for name in ("X86_X32_ABI", "X86_X32"))
    words = (files.read("/proc/cmdline") or b"").decode("utf-8", "replace").split()
    told = next((word for word in reversed(words) if word.startswith("syscall.x32=")), "")
    # Debian's own: built, and off until it is asked for.
    asked = told.partition("=")[2].lower()[:1] in ("y", "1") or told.lower().endswith("=on")
    off = not asked if told or b"\nCONFIG_X86_X32_DISABLED=y\n" in built else False
    return "x32" if with_x32 and not off else ""


def _config() -> bytes:
    try:
        with gzip.open("/proc/config.gz") as handle:
            return handle.read()
    except (OSError, EOFError, zlib.error):
        return b""


def _of_this_boot(lines: Iterable[bytes]) -> Iterator[audit_log.Record]:
    started = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    return (record for record in audit_log.records(lines) if record.seconds >= started)


def _heads(log: str) -> Iterator[bytes]:
    """Yield the lines at the beginnings of the log's files, the oldest first."""
    for path in (f"{log}.1", log):
        with contextlib.suppress(OSError), open(path, "rb", opener=opening.regular) as handle:
            yield from handle.read(HEAD).splitlines()


def status() -> tuple[dict[str, int] | None, str]:
    """Return the kernel's audit status (dict, None where it does not answer) and why it does not (str)."""
    try:
        return kernel.status(), ""
    except (kernel.KernelError, kernel.LibraryError) as exc:
        return None, exc.message


def auditd(pid: int, path: str) -> Auditd | None:
    """
    Return the :class:`Auditd` with the number ``pid`` (int), None for 0, and for one that has ended: the kernel notices
    that only when it has something to tell.

    path
        The configuration file of the policy (str).
    """
    if not processes.lives(pid):
        return None
    daemon = auditd_daemon.seen(pid, path)
    return Auditd(
        pid,
        program(pid) or "a process that this host does not show",
        _is_auditd(pid),
        processes.owner(pid),
        processes.state(pid),
        _frozen(pid),
        daemon.note,
        tuple(writing(pid)),
        _tracer(pid),
        daemon.shows,
        _loads(pid),
        _tapped(pid),
    )


def _loads(pid: int) -> str:
    """Return the variables with which a process was started that put a library into it (str), empty for none."""
    words, mapped = (_text(pid, name) for name in ("environ", "maps"))
    found = [demand.loading(words.split("\0")), demand.replaced(words.split("\0"), mapped.splitlines())]
    everywhere = (files.read(PRELOAD) or b"").decode("utf-8", "replace")
    return " ".join(filter(None, [*found, demand.preloaded(everywhere, mapped.splitlines())]))


def _tapped(pid: int) -> str:
    """Return how others have tapped a process's audit socket (str, for a person), empty for not."""
    others = ", ".join(f"pid {one}, {program(one) or 'of which nothing is known'}" for one in tapped.shared(pid))
    found = ["has a filter on its socket, which drops records"] if tapped.filtered(pid) else []
    return ", and ".join([*found, *([f"shares its socket with {others}"] if others else [])])


def _text(pid: int, name: str) -> str:
    try:
        return (files.read(f"/proc/{pid}/{name}") or b"").decode("utf-8", "replace")
    except CommandExecutionError:
        return ""


def _tracer(pid: int) -> str:
    """Return who traces a process (str, for a person), empty for nobody."""
    by = pulse.tracer(pid)
    return f"pid {by}, {program(by) or 'of which nothing is known'}" if by else ""


def program(pid: int) -> str:
    """Return the executable of a process (str), empty where it cannot be told."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return ""


def _is_auditd(pid: int) -> bool:
    """Tell whether a process runs the installed auditd, be it the one that an upgrade has replaced."""
    found, installed = program(pid), _installed()
    if not installed:
        return os.path.basename(found.removesuffix(DELETED)) == "auditd"
    if found.endswith(DELETED):
        return os.path.realpath(found.removesuffix(DELETED)) == os.path.realpath(installed)
    return files.same(f"/proc/{pid}/exe", installed)


def lets_in(path: str) -> bool:
    """
    Tell whether a program may let somebody in: it is the system's, and uses PAM, or anybody may start it as root.

    path
        Its executable (str), empty where that was not recorded: then it may. What is gone since lets nobody in, nor
        does what lies where anybody puts something for a moment.
    """
    path = path.removesuffix(DELETED)
    if not path:
        return True
    try:
        found = os.stat(path)
        if not path.startswith(INSTALLED) or found.st_uid or found.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            return False
        if found.st_mode & stat.S_ISUID:
            return True
        with open(path, "rb", opener=opening.regular) as handle:
            return any(b"libpam.so" in part for part in iter(functools.partial(handle.read, LARGEST), b""))
    except OSError:
        return False


def is_our_own(program: str, words: Sequence[str], script: str) -> bool:
    """
    Tell whether a process that was begun is one of ours: this interpreter (``program``, str), with a script (bool).

    words
        How it was begun (sequence of str): options, and which script.
    script
        The one that it must be (str): the same, or a copy.
    """
    given = next((word for word in words[1:] if word[:1] != "-"), "")
    if not files.same(program, "/proc/self/exe") or os.path.basename(given) != os.path.basename(script):
        return False
    try:
        return files.read(given) == files.read(script)
    except CommandExecutionError:
        return False


def _installed() -> str | None:
    places = [os.path.join(place, "auditd") for place in PLACES]
    return salt.utils.path.which("auditd") or next((path for path in places if os.path.exists(path)), None)


def _frozen(pid: int) -> bool:
    try:
        return (files.read(f"/proc/{pid}/wchan") or b"").decode("ascii", "replace") in FREEZERS
    except CommandExecutionError:
        return False


def writing(pid: int) -> list[File]:
    """Return the regular files that a process has open for writing (list of :class:`File`)."""
    found, top = [], f"/proc/{pid}/fd"
    try:
        names = os.listdir(top)
    except OSError:
        return []
    for name in names:
        one = file(f"{top}/{name}")
        if one and _writes(pid, name):
            found.append(one._replace(path=_link(f"{top}/{name}")))
    return found


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return path


def _writes(pid: int, name: str) -> bool:
    flags = [line for line in (files.read(f"/proc/{pid}/fdinfo/{name}") or b"").splitlines() if b"flags:" in line]
    return bool(flags) and bool(int(flags[0].split()[1], 8) & (os.O_WRONLY | os.O_RDWR))


def kept(path: str, was: Sequence[typing.Any], since: float) -> bool:
    """
    Tell whether what the log at ``path`` (str) was lies beside it: it was rotated, or logrotate has copied it.

    was, since
        As :func:`sshtrail_lib.coverage.pulse.extent` had it (sequence), and when (float, seconds since the epoch).
    """
    place, name = os.path.split(path)
    beside = (os.path.join(top, one) for top, _, names in os.walk(place) for one in names)
    return bool(was) and any(_is_kept(one, name, was, since) for one in beside if one != path)


def _is_kept(path: str, name: str, was: Sequence[typing.Any], since: float) -> bool:
    inode, size, begins = was
    try:
        found = os.lstat(path)
        if not stat.S_ISREG(found.st_mode) or found.st_ino == inode:
            return found.st_ino == inode
        if found.st_ctime <= since or not found.st_size or not os.path.basename(path).startswith(name):
            return False
        reads = OPENS.get(os.path.splitext(path)[1])
        if reads:
            with reads(path, "rb") as handle:
                return handle.read(pulse.BEGINNING).startswith(begins.encode("latin-1"))
        # What is in one that cannot be read here is not looked at.
        return path.endswith(COMPRESSED) or (found.st_size >= size and pulse.extent(path)[2].startswith(begins))
    except (OSError, EOFError, lzma.LZMAError, zlib.error):
        return False


def file(path: str, directory: bool = False) -> File | None:
    """Return the regular :class:`File` at ``path`` (str), or the ``directory`` (bool); None when there is no such."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    if not (stat.S_ISDIR if directory else stat.S_ISREG)(found.st_mode):
        return None
    mode = stat.S_IMODE(found.st_mode)
    return File(path, found.st_dev, found.st_ino, found.st_nlink, mode, found.st_uid, found.st_ctime)


def log(path: str) -> Log:
    """Return the :class:`Log` that the configuration file at ``path`` (str) asks for."""
    data = files.read(path) or b""
    name = language.effective(data, "log_file")
    place = os.path.dirname(name)
    room = pulse.room(place, admin_space(data))
    return Log(name, _off(data, path), file(name), file(place, directory=True), room, brief=_brief(data, path))


def _off(data: bytes, path: str) -> str:
    if language.writes_log(data):
        return ""
    lines = language.deciding(data)
    keyword = "write_logs" if language.effective(data, "write_logs") != "yes" else "log_format"
    line = lines.get(keyword)
    return f"{path} line {line.number}: {keyword} = {line.value}" if line else f"{path}: {keyword}"


def _brief(data: bytes, path: str) -> str:
    """Return for which line auditd keeps a record for as long as it takes for a few others (str), empty for none."""
    asked = {name: language.effective(data, name) for name in ("max_log_file", "max_log_file_action", "num_logs")}
    # Of fewer than two logs none is rotated.
    if asked["max_log_file"] != "0" or asked["max_log_file_action"] != "rotate" or int(asked["num_logs"]) < 2:
        return ""
    line = language.deciding(data).get("max_log_file")
    told = f"{path} line {line.number}: max_log_file = {line.value}" if line else f"{path} has no max_log_file"
    return f"{told}, and auditd rotates among {asked['num_logs']} logs"


def place(path: str) -> tuple[str, str]:
    """Return where the log is that the file at ``path`` (str) asks for, and the room that it needs (two str)."""
    data = files.read(path) or b""
    return language.effective(data, "log_file"), admin_space(data)


def gathers(path: str) -> bool:
    """Tell whether auditd takes other hosts' records into its log, with the file at ``path`` (str; bool)."""
    return bool(language.settings(files.read(path) or b"").get("tcp_listen_port"))


def admin_space(data: bytes) -> str:
    """Return the ``admin_space_left`` of a configuration file (bytes) as auditd takes it (str): MiB, or per cent."""
    return language.effective(data, "admin_space_left")


def readers(own: int) -> tuple[str, ...]:
    """Return which programs get the kernel's records by its multicast group (tuple of str), but for the pid ``own``."""
    found = []
    for line in (files.read("/proc/net/netlink") or b"").decode("ascii", "replace").splitlines()[1:]:
        _sk, protocol, pid, groups = line.split()[:4]
        if protocol == AUDIT_PROTOCOL and int(groups, 16) and int(pid) not in (0, own):
            found.append(processes.comm(int(pid)).decode("utf-8", "replace") or f"pid {pid}")
    return tuple(sorted(set(found)))


def directories(lines: Mapping[str, str]) -> dict[str, list[int]]:
    """Return which directory stands at each path (dict of rule line to device and inode), of ``{rule line: path}``."""
    found = {line: file(path, directory=True) for line, path in lines.items()}
    return {line: [one.device, one.inode] for line, one in found.items() if one}


def sshd_elsewhere() -> bool:
    """
    Tell whether a sshd runs in a container (bool), whose logins the kernel records for this host, too.

    Anybody can call his program so, in process numbers and mounts of his own: root's is a file of root's, and the
    kernel takes records from its first user namespace alone (kernel/audit.c, audit_netlink_ok).
    """
    return any(name.isdigit() and _is_elsewhere(name) for name in os.listdir("/proc"))


def _is_elsewhere(pid: str) -> bool:
    try:
        # Who shares one of these with this host is the host's: ways.alive.
        if any(os.path.samefile(f"/proc/{pid}/{one}", f"/proc/self/{one}") for one in ("ns/pid", "ns/mnt", "root")):
            return False
        called = {
            processes.comm(int(pid)).decode("utf-8", "replace"),
            os.path.basename(program(int(pid)).removesuffix(DELETED)),
        }
        roots = os.stat(f"/proc/{pid}/exe").st_uid == 0 and processes.of_root_alone(int(pid))
        return called <= {*SSHD} and roots and os.path.samefile(f"/proc/{pid}/ns/user", "/proc/self/ns/user")
    except OSError:
        return False


def dumped(pid: int) -> dict[str, str]:
    """Return what auditd told of itself when it was asked (SIGCONT), as its file has it (dict of str)."""
    told: dict[str, str] = {}
    try:
        data = files.read(auditd_daemon.rooted(pid, "/run/auditd.state")) or b""
    except CommandExecutionError:
        return told
    for line in data.decode("utf-8", "replace").splitlines():
        name, _, value = line.partition(" = ")
        told[name.strip().lower()] = value.strip()
    return told
