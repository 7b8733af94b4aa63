"""
Which sockets listen, and whose they are: the kernel's own answer. Those of TCP, and those that no network reaches.
"""

from __future__ import annotations

import contextlib
import errno
import socket
import struct
import typing
from collections.abc import Iterator

#: The kernel's tables of sockets, and its number for the state of one that listens.
TABLES: dict[int, str] = {socket.AF_INET: "/proc/net/tcp", socket.AF_INET6: "/proc/net/tcp6"}
LISTENS = 10
#: Its letters for that of one of UDP which hears everybody.
BOUND = "07"
#: linux/netlink.h, linux/sock_diag.h: the protocol, the kind of message, what asks for all, the end.
SOCK_DIAG, BY_FAMILY, DUMP, DONE = 4, 20, 0x301, 3
#: linux/vm_sockets.h: every number of a machine that a host has.
ANY_CID = 0xFFFFFFFF
#: proc(5), net/unix: the flags of a socket that listens, between the number of the protocol and its type.
ACCEPTS = " 00010000 "
#: The header of a message (length, kind, flags, number, port), and the flag of a list that changed meanwhile.
HEADER, INTERRUPTED = struct.Struct("=IHH8x"), 0x10


class Listening(typing.NamedTuple):
    """A socket that listens: its ``address`` (str), ``port``, its owner's ``uid`` and its ``inode`` (int)."""

    address: str
    port: int
    uid: int
    inode: int


class Local(typing.NamedTuple):
    """
    A socket that listens where no network comes to it: its ``place`` (str: a path, ``@NAME``, or ``vsock:CID:PORT``
    with no CID for any) and its ``inode`` (int).
    """

    place: str
    inode: int


def local() -> list[Local]:
    """Return every Unix and VSOCK socket that listens (list of :class:`Local`), as systemd.socket(5) writes them."""
    return [*_of_unix(), *_of_vsock()]


def _of_unix() -> Iterator[Local]:
    """Read the kernel's table: unlike that of TCP it costs little, and no module has to be loaded for it."""
    with contextlib.suppress(FileNotFoundError), open("/proc/net/unix", encoding="utf-8", errors="replace") as lines:
        for line in lines:
            words = line.rstrip("\n").split(maxsplit=7) if ACCEPTS in line else []
            if len(words) > 6 and words[3] == ACCEPTS.strip():
                yield Local(words[7] if len(words) > 7 else "", int(words[6]))


def _of_vsock() -> list[Local]:
    """Ask the kernel: linux/vm_sockets_diag.h. There is no table, and without VSOCK no answer."""
    asked = struct.pack("=BBHIIIII", socket.AF_VSOCK, 0, 0, 1 << LISTENS, 0, 0, 0, 0)
    try:
        found = [struct.unpack_from("=4xII8xI", message, HEADER.size) for message in _dump(asked)]
    except OSError:
        return []
    return [Local(f"vsock:{'' if cid == ANY_CID else cid}:{port}", inode) for cid, port, inode in found]


def without_connections(pid: int) -> list[Local]:
    """
    Return the sockets in the network of the process ``pid`` (int) to which anybody can send without a connection (UDP),
    or with one of SCTP's (list of :class:`Local`): ``udp:ADDRESS:PORT``, ``sctp:ADDRESS:PORT``.
    """
    found = []
    for name in ("udp", "udp6", "udplite", "udplite6"):
        for words in _rows(f"/proc/{pid}/net/{name}"):
            # One that is connected hears nobody else.
            if len(words) > 9 and words[3] == BOUND and words[1].partition(":")[2] != "0000":
                address, port = words[1].split(":")
                shown = _address(socket.AF_INET6 if name.endswith("6") else socket.AF_INET, address)
                found.append(Local(f"udp:{f'[{shown}]' if ':' in shown else shown}:{int(port, 16)}", int(words[9])))
    for words in _rows(f"/proc/{pid}/net/sctp/eps"):
        if len(words) > 7 and words[3] == str(LISTENS):
            found.append(Local(f"sctp:{words[8] if len(words) > 8 else ''}:{words[5]}", int(words[7])))
    return found


def _rows(path: str) -> Iterator[list[str]]:
    with contextlib.suppress(OSError), open(path, encoding="ascii", errors="replace") as lines:
        next(lines, None)
        for line in lines:
            yield line.split()


def listening() -> list[Listening]:
    """Return every TCP socket that listens in this network (list of :class:`Listening`); nothing is connected to."""
    return [found for family in TABLES for found in _of_family(family)]


def listening_to(pid: int) -> list[Listening]:
    """Return every TCP socket that listens in the network of the process ``pid`` (int), which may be another."""
    return [one for family, path in TABLES.items() for one in _read(family, path.replace("/net/", f"/{pid}/net/"))]


def is_here(address: str) -> bool:
    """Tell whether a program on this host could listen at a numeric ``address`` (str), whoever holds which port."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.bind((address, 0))
    except OSError as exc:
        return exc.errno not in (errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT)
    return True


def _of_family(family: int) -> list[Listening]:
    try:
        return list(_asked(family))
    except OSError:
        # A kernel without tcp_diag; to write its table takes it milliseconds, listening or not.
        return list(_read(family))


def _asked(family: int) -> Iterator[Listening]:
    """Ask the kernel for the sockets that listen, and only for these: linux/inet_diag.h."""
    request = struct.pack("=BBBxI48x", family, socket.IPPROTO_TCP, 0, 1 << LISTENS)
    return (_told(family, message) for message in _dump(request))


def _dump(request: bytes) -> Iterator[bytes]:
    """Yield what the kernel tells of each socket that a request (bytes) is about: sock_diag(7)."""
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, SOCK_DIAG) as diag:
        diag.send(struct.pack("=IHHII", HEADER.size + len(request), BY_FAMILY, DUMP, 0, 0) + request)
        while True:
            for kind, flags, message in _messages(diag.recv(65536)):
                if kind == DONE:
                    return
                if kind != BY_FAMILY or flags & INTERRUPTED:
                    raise OSError("the kernel does not tell which sockets listen")
                yield message


def _messages(received: bytes) -> Iterator[tuple[int, int, bytes]]:
    """Yield ``(kind, flags, message)`` of each netlink message, its header included; OSError for an odd length."""
    while received:
        if len(received) < HEADER.size:
            raise OSError("the kernel's answer has no whole header")
        length, kind, flags = HEADER.unpack_from(received)
        if not HEADER.size <= length <= len(received):
            raise OSError(f"the kernel's answer has an impossible length, {length}")
        yield kind, flags, received[:length]
        received = received[(length + 3) & ~3 :]


def _told(family: int, message: bytes) -> Listening:
    port, address = struct.unpack_from("!4xH2x16s", message, 16)
    uid, inode = struct.unpack_from("=II", message, 16 + 64)
    shown = socket.inet_ntop(family, address[: 4 if family == socket.AF_INET else 16])
    return Listening(shown, port, uid, inode)


def _read(family: int, path: str = "") -> Iterator[Listening]:
    """Read the kernel's table of an address family, which has the sockets that listen first: proc_net_tcp."""
    with contextlib.suppress(OSError), open(path or TABLES[family], encoding="ascii") as lines:
        next(lines)
        for line in lines:
            words = line.split()
            if int(words[3], 16) != LISTENS:
                return
            address, port = words[1].split(":")
            yield Listening(_address(family, address), int(port, 16), int(words[7]), int(words[9]))


def _address(family: int, digits: str) -> str:
    numbers = [int(digits[at : at + 8], 16) for at in range(0, len(digits), 8)]
    return socket.inet_ntop(family, struct.pack(f"={len(numbers)}I", *numbers))
