"""
The listening sshd: which process it is, whether it works with a given configuration, and whether it answers.

One that answers with a refusal is *full*: it lives, and takes no connection now, because of its ``MaxStartups`` or its
penalties for an address. That is neither good nor a failure, and whoever asks asks again.
"""

from __future__ import annotations

import contextlib
import os
import re
import signal
import socket
import time
import typing
from collections.abc import Callable, Iterator, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, processes, sockets
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.sshd import started
from sshtrail_lib.sshd.commandline import CommandLine
from sshtrail_lib.sshd.endpoints import impossible, place, target

#: What every SSH server says first (RFC 4253, 4.2).
GREETING = b"SSH-2.0"
#: What a full sshd says in its place: sshd.c, drop_connection, since 8.5; and since 9.8 to an address with a penalty.
_REFUSALS = (b"Exceeded MaxStartups", b"Not allowed at this time")
#: Bytes that are read of what is said.
_LONGEST = 64
#: Seconds in which a greeting comes.
TIMEOUT = 2.0
#: Seconds before each question to the same sshd: one that is full refuses at random, and not for long.
PAUSES = (0.0, 0.2, 0.4, 0.8)
#: How many that have not logged in yet, and from how many on it refuses: sshd.c, server_accept_loop, since 8.2.
_STARTUPS = re.compile(rb"sshd: .* \[listener\] (\d+) of (\d+)-\d+ startups")
#: What comes from an endpoint: a greeting; a refusal of a sshd that lives; nothing, or what no SSH server says.
GREETS, FULL, SILENT = "greets", "full", "silent"

#: What tells a PidFile from one that is written anew: inode, time of the last change (int, ns), size. Of a sshd without
#: one, the sockets at which it listens tell whether it has begun anew: the lowest inode, 0, and how many there are.
Stamp = tuple[int, int, int]
#: A PidFile that there is not, as sshd_config(5) says it.
NO_FILE = "none"


class Listener(typing.NamedTuple):
    """
    A running sshd that accepts connections.

    pid
        Its process (int).
    command
        The command line that started it (CommandLine).
    pidfile
        The path of its PidFile (str), :data:`NO_FILE` for none.
    stamp
        What tells that it has read its files anew.
    born
        What tells this process from a later one with its number (bytes).
    """

    pid: int
    command: CommandLine
    pidfile: str
    stamp: Stamp
    born: bytes = b""


class Heard(typing.NamedTuple):
    """
    What is wrong with the answers of sshd, each in words (str), empty where nothing is.

    silent
        Where no SSH server greets.
    full
        Where sshd lives, and takes no connection now.
    """

    silent: str
    full: str


def find(pidfile: str, config: str, default: str, minion: Minion | None = None) -> Listener | None:
    """
    Return the Listener that runs with the file ``config`` (str), None when none does.

    pidfile
        The PidFile that its configuration names (str). Where that names none, the sockets at which a sshd listens tell:
        its command line may name another file, and somebody may have removed it.
    default
        The main file that sshd reads without ``-f`` (str).
    minion
        What asks the service manager how it was started (Minion).
    """
    named = processes.process(pidfile, ["sshd"]) if stamp(pidfile) else None
    found = _found(named, pidfile, config, default, minion) if named else None
    return found or next(filter(None, (_found(pid, pidfile, config, default, minion) for pid in _holders())), None)


def _found(pid: int, pidfile: str, config: str, default: str, minion: Minion | None) -> Listener | None:
    if not started.genuine(pid):
        return None
    born, command = processes.birth(pid), started.command(pid, config, minion)
    if not command or os.path.realpath(command.config(default)) != os.path.realpath(config):
        return None
    own = command.keyword("PidFile") or pidfile
    written = stamp(own) if processes.process(own, ["sshd"]) == pid else None
    return Listener(pid, command, own if written else NO_FILE, written or held_since(pid) or (0, 0, 0), born)


def _holders() -> Iterator[int]:
    """Yield the processes (int) that are called sshd, see the files that this one sees, and hold a socket."""
    inodes: set[bytes] = set()
    for pid in map(int, filter(str.isdigit, os.listdir("/proc"))):
        # That of a container or a chroot has other files of the same names.
        if processes.comm(pid) == b"sshd" and processes.shares_mounts(pid):
            inodes = inodes or {os.fsencode(f"socket:[{one.inode}]") for one in sockets.listening()}
            if inodes & _held_by(str(pid)):
                yield pid


def held_since(pid: int) -> Stamp | None:
    """Return what tells whether the sshd ``pid`` (int) has begun anew: its sockets are new then; None without any."""
    inodes = {one.inode for one in sockets.listening()}
    own = [inode for inode in inodes if os.fsencode(f"socket:[{inode}]") in _held_by(str(pid))]
    return (min(own), 0, len(own)) if own else None


def reload(listener: Listener) -> None:
    """Tell ``listener`` (Listener) to start itself anew with the present files (``SIGHUP``)."""
    os.kill(listener.pid, signal.SIGHUP)


def alive(listener: Listener) -> bool:
    """Return whether ``listener`` (Listener) still runs."""
    return processes.birth(listener.pid) == listener.born and started.genuine(listener.pid)


def held(listener: Listener) -> list[str]:
    """Return where ``listener`` (Listener) listens (list of str, ``ADDRESS:PORT``): the kernel tells."""
    names = _held_by(str(listener.pid))
    own = [one for one in sockets.listening() if os.fsencode(f"socket:[{one.inode}]") in names]
    return [f"[{one.address}]:{one.port}" if ":" in one.address else f"{one.address}:{one.port}" for one in own]


def wait(
    written: Callable[[], Stamp | None],
    before: Stamp | None,
    endpoints: Sequence[str],
    deadline: float,
    running: Callable[[], bool] = lambda: True,
    last: bool = True,
) -> str:
    """
    Wait until a new listener has ``written`` its PidFile and answers on all ``endpoints``.

    written, before
        What returns the stamp of its PidFile, or of its sockets (tuple or None), and what that was before.
    endpoints
        As ``sshd -T`` prints them: ``ADDRESS:PORT`` (list of str).
    deadline
        How long to wait, in seconds (float).
    running
        Called without arguments; False ends the wait early.
    last
        Whether it does that when it listens everywhere (bool): what refuses a connection then is not going to take one.

    Returns what is missing, in words (str); empty when everything answers.
    """

    def missing() -> Heard:
        anew = written() not in (None, before)
        return hear(endpoints) if anew else Heard("sshd has not started anew", "")

    def hopeful() -> bool:
        return running() and (not last or written() in (None, before) or not any(map(_refuses, endpoints)))

    return _poll(missing, deadline, hopeful)


def wait_for(endpoints: Sequence[str], deadline: float) -> str:
    """Wait until all ``endpoints`` answer; arguments and what is returned as for :func:`wait`."""
    return _poll(lambda: hear(endpoints), deadline, lambda: True)


def _poll(missing: Callable[[], Heard], deadline: float, hopeful: Callable[[], bool]) -> str:
    end = time.monotonic() + deadline
    # One that is full has been asked several times already, and what it said came from the new one.
    while (heard := missing()).silent and time.monotonic() < end and hopeful():
        time.sleep(0.05)
    return missing().silent if heard.silent else ""


def hear(endpoints: Sequence[str], timeout: float = TIMEOUT) -> Heard:
    """
    Return what is wrong with the answers at ``endpoints`` (list of str, ``ADDRESS:PORT``), as :class:`Heard`.

    timeout
        How long each has for its greeting, in seconds (float).

    Where sshd is full it is asked again, within two seconds.
    """
    found = dict.fromkeys(endpoints, FULL)
    for pause in PAUSES:
        full = [endpoint for endpoint, answer in found.items() if answer == FULL]
        if full:
            time.sleep(pause)
            found |= {endpoint: ask(endpoint, timeout) for endpoint in full}
    silent, full = ([one for one in endpoints if found[one] == answer] for answer in (SILENT, FULL))
    return Heard(
        f"no SSH-2.0 greeting from {', '.join(silent)}" if silent else "",
        f"sshd is full at {', '.join(full)}: it lives, and takes no connection now (MaxStartups)" if full else "",
    )


def silence(endpoints: Sequence[str]) -> str:
    """Return which of ``endpoints`` (list of str, ``ADDRESS:PORT``) do not answer, in words (str), empty for none."""
    return hear(endpoints).silent


def answers(endpoint: str, timeout: float = TIMEOUT) -> bool:
    """
    Return whether an SSH server greets at ``endpoint`` (str, ``ADDRESS:PORT``) within ``timeout`` seconds (float).

    A wildcard address of a family that this host does not have, such as ``[::]`` without IPv6, needs no answer: sshd
    lists it and goes without.
    """
    return ask(endpoint, timeout) == GREETS


def ask(endpoint: str, timeout: float = TIMEOUT) -> str:
    """Return :data:`GREETS`, :data:`FULL` or :data:`SILENT`; arguments as for :func:`answers`."""
    try:
        with socket.create_connection(target(endpoint), timeout=timeout) as connection:
            said = _said(connection, time.monotonic() + timeout)
    except OSError:
        # Also who accepts and says nothing in time: a process that was stopped still has its socket.
        return GREETS if impossible(endpoint) else SILENT
    if said.startswith(GREETING):
        return GREETS
    return FULL if said.startswith(_REFUSALS) or (not said and _crowded(endpoint)) else SILENT


def _refuses(endpoint: str) -> bool:
    try:
        with socket.create_connection(target(endpoint), timeout=2.0):
            return False
    except ConnectionRefusedError:
        return not impossible(endpoint)
    except OSError:
        return False


def _said(connection: socket.socket, end: float) -> bytes:
    """Return the first line that is said (bytes), b"" when the connection was closed; too late is an OSError."""
    # RFC 4253 lets a server send other lines first; OpenSSH never does.
    received = b""
    while b"\n" not in received and not received.startswith(GREETING) and len(received) < _LONGEST:
        connection.settimeout(max(0.001, end - time.monotonic()))
        try:
            part = connection.recv(_LONGEST)
        except ConnectionResetError:
            part = b""
        if not part:
            break
        received += part
    return received


def _crowded(endpoint: str) -> bool:
    """
    Tell whether the sshd that listens at ``endpoint`` says in its title that it refuses connections.

    For those that close without a word (before 8.5): one whose processes die at once closes like that too, and is dead.
    """
    port = place(endpoint)[1]
    listening = {os.fsencode(f"socket:[{one.inode}]") for one in sockets.listening() if one.port == port}
    # The title of somebody else's process says what he likes, and may never come to an end.
    pids, trusted = filter(str.isdigit, os.listdir("/proc")), (0, os.geteuid())
    owned = [pid for pid in pids if processes.owner(int(pid)) in trusted]
    return any(listening & _held_by(pid) for pid in owned if _refusing(pid))


def _refusing(pid: str) -> bool:
    with contextlib.suppress(CommandExecutionError):
        title = _STARTUPS.match(files.read(f"/proc/{pid}/cmdline") or b"")
        return title is not None and int(title[1]) >= int(title[2])
    return False


def _held_by(pid: str) -> set[bytes]:
    """Return what the open files of a process are (set of bytes), as far as it tells."""
    return set(map(os.fsencode, processes.links(int(pid))))


def stamp(pidfile: str) -> Stamp | None:
    """Return what tells this PidFile from one written anew (tuple), or None when there is none."""
    with contextlib.suppress(OSError):
        found = os.stat(pidfile)
        return (found.st_ino, found.st_mtime_ns, found.st_size) if found.st_size else None
    return None
