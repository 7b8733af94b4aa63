"""
The listening sshd: which process it is, whether it works with a given configuration, and whether it answers.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import time
import typing
from collections.abc import Callable, Sequence

from sshtrail_lib.base import files, processes, sockets

#: What every SSH server says first (RFC 4253, 4.2).
GREETING = b"SSH-2.0"
_TITLE = ("sshd: ", " [listener]")
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


#: What tells a PidFile from one that is written anew: inode, time of the last change (int, ns), size.
Stamp = tuple[int, int, int]


class Listener(typing.NamedTuple):
    """
    A running sshd that accepts connections.

    pid
        Its process (int).
    argv
        The command line that started it (list of str).
    pidfile
        The path of its PidFile (str).
    stamp
        What tells this PidFile from one that is written anew.
    """

    pid: int
    argv: list[str]
    pidfile: str
    stamp: Stamp


def find(pidfile: str, config: str, default: str) -> Listener | None:
    """
    Return the Listener that ``pidfile`` (str) names, or None when none runs with the file ``config`` (str).

    default
        The main file that sshd reads without ``-f`` (str).
    """
    written = stamp(pidfile)
    pid = processes.process(pidfile, ["sshd"]) if written else None
    argv = command(pid) if pid else None
    if not written or not pid or not argv or os.path.realpath(config_of(argv, default)) != os.path.realpath(config):
        return None
    return Listener(pid, argv, pidfile, written)


def command(pid: int) -> list[str] | None:
    """Return the command line (list of str) that started the listener ``pid`` (int), or None if it is none."""
    raw = (files.read(f"/proc/{pid}/cmdline") or b"").decode("utf-8", "surrogateescape")
    words = raw.rstrip("\0").split("\0")
    if not words[0].startswith(_TITLE[0]):
        return words if words[0] else None
    # A listener shows its command line inside of its title, joined by spaces; a session shows no such thing.
    title, mark, _rest = words[0][len(_TITLE[0]) :].partition(_TITLE[1])
    return title.split(" ") if mark else None


def config_of(argv: Sequence[str], default: str) -> str:
    """Return the main file (str) that the command line ``argv`` (list of str) names."""
    for index, word in enumerate(argv[1:], 1):
        if word == "-f":
            return argv[index + 1] if index + 1 < len(argv) else default
        if word.startswith("-f"):
            return word[2:]
    return default


def options_of(argv: Sequence[str]) -> list[str]:
    """Return the options of ``argv`` (list of str) that bear on the configuration, for a ``sshd -T``."""
    return [word for word in argv[1:] if word not in ("-D", "-d", "-e", "-i", "-q", "-4D", "-De")]


def reload(listener: Listener) -> None:
    """Tell ``listener`` (Listener) to start itself anew with the present files (``SIGHUP``)."""
    os.kill(listener.pid, signal.SIGHUP)


def alive(listener: Listener) -> bool:
    """Return whether ``listener`` (Listener) still runs."""
    return bool(command(listener.pid))


def wait(
    pidfile: str,
    before: Stamp | None,
    endpoints: Sequence[str],
    deadline: float,
    running: Callable[[], bool] = lambda: True,
) -> str:
    """
    Wait until a new listener has written ``pidfile`` and answers on all ``endpoints``.

    pidfile, before
        Its PidFile (str) and the stamp of the one before (tuple or None).
    endpoints
        As ``sshd -T`` prints them: ``ADDRESS:PORT`` (list of str).
    deadline
        How long to wait, in seconds (float).
    running
        Called without arguments; False ends the wait early.

    Returns what is missing, in words (str); empty when everything answers.
    """

    def missing() -> str:
        return silence(endpoints) if stamp(pidfile) not in (None, before) else "sshd has not started anew"

    def hopeful() -> bool:
        # sshd writes its PidFile when it listens: what refuses a connection then is not going to take one.
        return running() and (stamp(pidfile) in (None, before) or not any(map(_refuses, endpoints)))

    return _poll(missing, deadline, hopeful)


def wait_for(endpoints: Sequence[str], deadline: float) -> str:
    """Wait until all ``endpoints`` answer; arguments and what is returned as for :func:`wait`."""
    return _poll(lambda: silence(endpoints), deadline, lambda: True)


def _poll(missing: Callable[[], str], deadline: float, hopeful: Callable[[], bool]) -> str:
    end = time.monotonic() + deadline
    while missing() and time.monotonic() < end and hopeful():
        time.sleep(0.05)
    return missing()


def silence(endpoints: Sequence[str]) -> str:
    """Return which of ``endpoints`` (list of str, ``ADDRESS:PORT``) do not answer, in words (str), empty for none."""
    silent = [endpoint for endpoint in endpoints if not answers(endpoint)]
    return f"no SSH-2.0 greeting from {', '.join(silent)}" if silent else ""


def unheard(endpoints: Sequence[str]) -> list[str]:
    """
    Return those of ``endpoints`` (list of str, ``ADDRESS:PORT``) at which nothing listens (list of str).

    The kernel tells: nobody is connected to, so that no log fills with questions.
    """
    held = {(one.address, one.port) for one in sockets.listening()}
    return [endpoint for endpoint in endpoints if not _held(endpoint, held) and not _impossible(endpoint)]


def _held(endpoint: str, held: set[tuple[str, int]]) -> bool:
    host, port = _place(endpoint)
    # A socket of systemd's at [::] takes connections of the other family too.
    anywhere = ("::",) if ":" in host else ("0.0.0.0", "::")
    return any((address, port) in held for address in (host, *anywhere))


def _place(endpoint: str) -> tuple[str, int]:
    host, _colon, port = endpoint.partition(" ")[0].rpartition(":")
    return host.strip("[]").partition("%")[0], int(port)


def answers(endpoint: str, timeout: float = 2.0) -> bool:
    """
    Return whether an SSH server greets at ``endpoint`` (str, ``ADDRESS:PORT``) within ``timeout`` seconds (float).

    A wildcard address of a family that this host does not have, such as ``[::]`` without IPv6, needs no answer: sshd
    lists it and goes without.
    """
    try:
        with socket.create_connection(_target(endpoint), timeout=timeout) as connection:
            connection.settimeout(timeout)
            return _greets(connection)
    except OSError:
        return _impossible(endpoint)


def _target(endpoint: str) -> tuple[str, int]:
    host, _colon, port = endpoint.partition(" ")[0].rpartition(":")
    host = host.strip("[]")
    return _WILDCARDS.get(host, host), int(port)


def _impossible(endpoint: str) -> bool:
    host = endpoint.rpartition(":")[0].strip("[]")
    if host not in _WILDCARDS:
        return False
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.bind((_WILDCARDS[host], 0))
    except OSError:
        return True
    return False


def _refuses(endpoint: str) -> bool:
    try:
        with socket.create_connection(_target(endpoint), timeout=2.0):
            return False
    except ConnectionRefusedError:
        return not _impossible(endpoint)
    except OSError:
        return False


def _greets(connection: socket.socket) -> bool:
    # RFC 4253 lets a server send other lines first; OpenSSH never does.
    received = b""
    while len(received) < len(GREETING):
        part = connection.recv(64)
        if not part:
            return False
        received += part
    return received.startswith(GREETING)


def stamp(pidfile: str) -> Stamp | None:
    """Return what tells this PidFile from one written anew (tuple), or None when there is none."""
    with contextlib.suppress(OSError):
        found = os.stat(pidfile)
        return (found.st_ino, found.st_mtime_ns, found.st_size) if found.st_size else None
    return None
