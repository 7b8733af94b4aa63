"""
The kernel's audit subsystem through the installed ``libaudit.so.1``: no subprocess, nothing decided.

The library is there wherever PAM is. Calls block for one answer of the kernel each and need CAP_AUDIT_CONTROL.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import functools
import os
import socket
import struct
import typing
from collections.abc import Iterator, Mapping

from salt.exceptions import CommandExecutionError

LIBRARY = "libaudit.so.1"
# linux/audit.h: struct audit_status, of which older kernels send fewer fields.
STATUS_FIELDS = (
    "mask",
    "enabled",
    "failure",
    "pid",
    "rate_limit",
    "backlog_limit",
    "lost",
    "backlog",
    "feature_bitmap",
    "backlog_wait_time",
    "backlog_wait_time_actual",
)
IMMUTABLE = 2
AUDIT_ADD_RULE, AUDIT_DEL_RULE = 1011, 1012
AUDIT_GET, AUDIT_USER, AUDIT_LIST_RULES, AUDIT_GET_FEATURE = 1000, 1005, 1013, 1019
# linux/audit.h: struct audit_features (version, mask, features, lock), and the bit of each feature in the last two.
FEATURES = ("only_unset_loginuid", "loginuid_immutable")
NLMSG_ERROR, NLMSG_DONE = 2, 3
# linux/netlink.h: the protocol, a message's header (length, kind, flags, number, port), and flags.
NETLINK_AUDIT, NETLINK_HEADER = 9, struct.Struct("=IHHII")
NLM_F_REQUEST, NLM_F_ACK, NLM_F_DUMP_INTR = 0x1, 0x4, 0x10
LARGEST_ANSWER = 1 << 16
#: How often a list is asked for that changes while it is told.
ATTEMPTS = 5
GET_REPLY_BLOCKING = 0
PREPEND = 0x10
SECONDS_TO_ANSWER = 30
# struct audit_rule_data without its buffer: flags and action lead it.
RULE_HEADER = 1040
LARGEST_RULE = 8192
# What libaudit can set, and the function that does it.
SETTINGS = {
    "backlog_limit": "audit_set_backlog_limit",
    "backlog_wait_time": "audit_set_backlog_wait_time",
    "enabled": "audit_set_enabled",
    "failure": "audit_set_failure",
    "rate_limit": "audit_set_rate_limit",
}


class LibraryError(CommandExecutionError):
    """libaudit.so.1 is missing, or lacks a function that is needed."""


class KernelError(CommandExecutionError):
    """The kernel's audit subsystem refused a request; ``errno`` (int) is its reason."""

    def __init__(self, message: str, number: int = 0) -> None:
        super().__init__(message)
        self.errno = number


class Locked(KernelError):
    """The kernel's audit configuration is immutable until the next reboot (``-e 2``)."""


class NoAudit(KernelError):
    """This kernel was built, or started, without audit."""


class NoCapability(KernelError):
    """This process may not control audit: it lacks CAP_AUDIT_CONTROL or lives in its own process namespace."""


class OtherNamespace(KernelError):
    """Audit belongs to the host's first user namespace, and this process lives in another (a container)."""


NO_AUDIT = (NoAudit, "This kernel has no audit subsystem, so no rule can be loaded.")
REFUSALS: dict[int, tuple[type[KernelError], str]] = {
    errno.EPROTONOSUPPORT: NO_AUDIT,
    errno.EAFNOSUPPORT: NO_AUDIT,
    errno.ECONNREFUSED: (
        OtherNamespace,
        "The kernel's audit subsystem answers only the host, and this is a container (another user namespace).",
    ),
    errno.EPERM: (
        NoCapability,
        "The kernel's audit subsystem refuses this process: it needs root with CAP_AUDIT_CONTROL, outside a container.",
    ),
}
REFUSALS[errno.EACCES] = REFUSALS[errno.EPERM]


class Reply(ctypes.Structure):
    """The leading part of libaudit's ``struct audit_reply``, with room for all that may follow."""

    _fields_ = [
        ("type", ctypes.c_int),
        ("len", ctypes.c_int),
        ("nlh", ctypes.c_void_p),
        ("header", ctypes.c_ubyte * 16),
        ("data", ctypes.c_ubyte * 16384),
    ]

    def payload(self) -> bytes:
        """Return the data (bytes) of the message."""
        return ctypes.string_at(ctypes.addressof(self) + Reply.data.offset, self.len - 16)


def status() -> dict[str, int]:
    """
    Return the kernel's audit status.

    Returns a dict of int: ``enabled`` (0, 1, or 2 for locked), ``failure`` (0 silent, 1 printk, 2 panic),
    ``pid`` (of the audit daemon, 0 for none), ``rate_limit`` (messages a second), ``backlog_limit`` and
    ``backlog`` (messages), ``lost`` (messages), ``backlog_wait_time`` (ticks) …, and ``immutable`` (bool).

    Raises :class:`NoAudit`, :class:`NoCapability`, :class:`OtherNamespace` or :class:`KernelError`.
    Source: auditctl(8), linux/audit.h.
    """
    with connection() as (lib, handle):
        _sent(lib.audit_request_status(handle), "tell its status")
        fields = _status(next(_answers(lib, handle, AUDIT_GET)))
    return {**fields, "immutable": fields["enabled"] == IMMUTABLE}


def _status(data: bytes) -> dict[str, int]:
    names = STATUS_FIELDS[: len(data) // 4]
    values = struct.unpack_from(f"={len(names)}I", data)
    return {name: values[at] for at, name in enumerate(names) if name not in ("mask", "feature_bitmap")}


def set_status(settings: Mapping[str, int]) -> None:
    """
    Set parts of the kernel's audit status.

    settings
        Dict of ``backlog_limit``, ``backlog_wait_time``, ``enabled``, ``failure``, ``rate_limit`` → int.

    Raises the errors of :func:`status`, and :class:`Locked`. Source: auditctl(8).
    """
    with connection() as (lib, handle):
        for name, value in settings.items():
            _sent(getattr(lib, SETTINGS[name])(handle, ctypes.c_uint(value)), f"set {name} to {value}")


def features() -> dict[str, dict[str, bool]]:
    """
    Return the kernel's audit features (dict): ``{name: {"on": bool, "locked": bool}}``, by :data:`FEATURES`.

    ``loginuid_immutable``: who has a login keeps it, root too. ``only_unset_loginuid``: only who has none gets one.
    A locked feature stays as it is until the next reboot. Raises the errors of :func:`status`. Source: auditctl(8),
    ``-s``.
    """
    with connection() as (lib, handle):
        _sent(lib.audit_request_features(handle), "tell its features")
        _version, _mask, on, locked = struct.unpack_from("=4I", next(_answers(lib, handle, AUDIT_GET_FEATURE)))
    bits = {name: 1 << number for number, name in enumerate(FEATURES)}
    return {name: {"on": bool(on & bit), "locked": bool(locked & bit)} for name, bit in bits.items()}


def make_loginuid_immutable() -> None:
    """
    Have everybody keep the login that he has, root too, and lock that until the next reboot: there is no way back.

    Raises the errors of :func:`status`. Source: auditctl(8), ``--loginuid-immutable``.
    """
    with connection() as (lib, handle):
        _sent(lib.audit_set_loginuid_immutable(handle), "make login ids immutable")


def tell(message: str) -> None:
    """
    Have the kernel pass a message of ours (str) on to the audit log, as ``auditctl -m`` does.

    Raises the errors of :func:`status`.
    """
    with connection() as (lib, handle):
        data = message.encode("utf-8", "surrogateescape")
        _sent(lib.audit_log_user_message(handle, AUDIT_USER, data, None, None, None, 1), "pass a message on")


def rules() -> list[bytes]:
    """
    Return the rules that the kernel holds, in its order (list of bytes, ``struct audit_rule_data``).

    Raises the errors of :func:`status`.
    """
    with conversation() as kernel:
        return kernel.listed(AUDIT_LIST_RULES)


def add(data: bytes, prepend: bool = False, over: Conversation | None = None) -> None:
    """
    Add one rule behind the others of its list, or before them with ``prepend`` (bool).

    data
        As :func:`rules` gives it (bytes).
    over
        The :class:`Conversation` to use; one of its own by default.

    Raises :class:`KernelError` with ``errno``: ENOENT for a missing directory, EEXIST for a rule that is
    there already (never when prepending), EINVAL for a rule that this kernel does not accept.
    """
    _change(AUDIT_ADD_RULE, data, PREPEND if prepend else 0, over)


def delete(data: bytes, over: Conversation | None = None) -> None:
    """
    Delete the first rule of the kernel that equals ``data`` (bytes); about 13 ms each, in the kernel.

    ``over`` is as for :func:`add`. Raises :class:`KernelError`, with ``errno`` ENOENT when there is no such rule.
    """
    _change(AUDIT_DEL_RULE, data, 0, over)


def accepts(data: bytes) -> bool:
    """
    Tell whether this kernel takes the rule ``data`` (bytes), which it must not hold (bool); nothing changes.

    A request to delete it is judged like one to add it, and then finds nothing; it leaves a CONFIG_CHANGE record
    in the audit log. Directories that a rule names are not looked up.
    """
    try:
        delete(data)
    except KernelError as exc:
        if exc.errno in (errno.ENOENT, errno.EINVAL):
            return exc.errno == errno.ENOENT
        raise
    return True


def _change(kind: int, data: bytes, flags: int, over: Conversation | None) -> None:
    if not RULE_HEADER <= len(data) <= LARGEST_RULE or len(data) - RULE_HEADER != _string_bytes(data):
        raise KernelError("These bytes are no audit rule.", errno.EINVAL)
    (filter_,) = struct.unpack_from("=I", data)
    request = struct.pack("=I", filter_ | flags) + data[4:]
    if over is not None:
        code = over.asked(kind, request)
    else:
        with conversation() as kernel:
            code = kernel.asked(kind, request)
    if code == errno.EPERM and status()["immutable"]:
        raise Locked("The kernel's audit configuration is locked until the next reboot.", errno.EPERM)
    _sent(-code, "change this rule")


class Conversation:
    """Requests to the kernel's audit subsystem, and its answers, over one netlink ``socket``: netlink(7)."""

    def __init__(self, channel: socket.socket) -> None:
        self._socket, self._number = channel, 0

    def asked(self, kind: int, payload: bytes) -> int:
        """Return the kernel's answer (int, errno, 0 for none) to a request of a ``kind`` (int)."""
        self._send(kind, payload)
        for found, _flags, data in self._messages():
            if found == NLMSG_ERROR:
                return -struct.unpack_from("=i", data)[0]
        return errno.EIO

    def listed(self, kind: int) -> list[bytes]:
        """Return all that the kernel lists (list of bytes); where that changed meanwhile, it is asked again."""
        for _attempt in range(ATTEMPTS):
            self._send(kind, b"")
            found, whole = self._list(kind)
            if whole:
                return found
        raise KernelError("The kernel's list of audit rules changes all the time.", errno.EINTR)

    def _list(self, kind: int) -> tuple[list[bytes], bool]:
        found: list[bytes] = []
        whole = True
        for got, flags, data in self._messages():
            whole = whole and not flags & NLM_F_DUMP_INTR
            if got == kind:
                found.append(data)
            elif got == NLMSG_DONE:
                break
            elif got == NLMSG_ERROR:
                _sent(struct.unpack_from("=i", data)[0], "answer")
        return found, whole

    def _send(self, kind: int, payload: bytes) -> None:
        self._number += 1
        size = NETLINK_HEADER.size + len(payload)
        head = NETLINK_HEADER.pack(size, kind, NLM_F_REQUEST | NLM_F_ACK, self._number, 0)
        try:
            self._socket.sendto(head + payload + bytes(-size % 4), (0, 0))
        except OSError as exc:
            refuse(exc.errno or errno.EIO, "be asked")

    def _messages(self) -> Iterator[tuple[int, int, bytes]]:
        """Yield ``(kind, flags, data)`` of each message that the kernel sends to the last request."""
        while True:
            try:
                received, (sender, _groups) = self._socket.recvfrom(LARGEST_ANSWER)
            except OSError as exc:
                refuse(exc.errno or errno.EIO, "answer")
            # Nobody but the kernel has the number 0.
            yield from (one[:3] for one in messages(received) if not sender and one[3] == self._number)


def messages(received: bytes) -> Iterator[tuple[int, int, bytes, int]]:
    """
    Yield ``(kind, flags, data, number)`` of each netlink message in what was ``received`` (bytes).

    Raises :class:`KernelError` for a length that cannot be: nothing could be found behind it.
    """
    at = 0
    while at < len(received):
        if len(received) - at < NETLINK_HEADER.size:
            raise KernelError("The kernel's answer has no whole header.", errno.EBADMSG)
        size, kind, flags, number, _port = NETLINK_HEADER.unpack_from(received, at)
        if not NETLINK_HEADER.size <= size <= len(received) - at:
            raise KernelError(f"The kernel's answer has an impossible length, {size}.", errno.EBADMSG)
        yield kind, flags, received[at + NETLINK_HEADER.size : at + size], number
        at += (size + 3) & ~3


@contextlib.contextmanager
def conversation() -> Iterator[Conversation]:
    """Give a :class:`Conversation` with the kernel's audit subsystem."""
    try:
        channel = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_CLOEXEC, NETLINK_AUDIT)
    except OSError as exc:
        refuse(exc.errno or errno.EIO, "open a connection")
    with channel:
        channel.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SECONDS_TO_ANSWER, 0))
        yield Conversation(channel)


def _string_bytes(data: bytes) -> int:
    return struct.unpack_from("=I", data, RULE_HEADER - 4)[0]


@contextlib.contextmanager
def connection() -> Iterator[tuple[ctypes.CDLL, int]]:
    """Give ``(library, netlink handle)`` for one conversation with the kernel."""
    lib = library()
    handle = lib.audit_open()
    if handle < 0:
        refuse(ctypes.get_errno(), "open a connection")
    # The socket object knows how to set the time limit and how to close.
    with socket.socket(fileno=handle) as limited:
        limited.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, struct.pack("ll", SECONDS_TO_ANSWER, 0))
        yield lib, handle


@functools.cache
def library() -> ctypes.CDLL:
    """Return the installed libaudit (:class:`ctypes.CDLL`) or raise :class:`LibraryError`."""
    try:
        return ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError as exc:
        raise LibraryError(f"Cannot load {LIBRARY}, through which audit rules are compiled: {exc}") from exc


def library_identity() -> str:
    """Return what changes when another libaudit is installed (str): the file that this process has loaded."""
    library()
    with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
        lines = [line.split(maxsplit=5) for line in maps if "libaudit.so" in line]
    # The device and the inode of the file, and its name.
    return " ".join(dict.fromkeys(" ".join([line[3], line[4], line[5].strip()]) for line in lines))


def refuse(number: int, what: str) -> typing.NoReturn:
    """Raise the error for the kernel's answer ``number`` (int, errno) to the request to ``what`` (str)."""
    cause, sentence = REFUSALS.get(
        number, (KernelError, f"The kernel's audit subsystem refused to {what}: {os.strerror(number)}.")
    )
    raise cause(sentence, number)


def _sent(code: int, what: str) -> None:
    if code < 0:
        refuse(-code, what)


def _answers(lib: ctypes.CDLL, handle: int, kind: int) -> Iterator[bytes]:
    """Yield the data (bytes) of each message of type ``kind`` (int) until the kernel says that it is done."""
    reply = Reply()
    while True:
        code = lib.audit_get_reply(handle, ctypes.byref(reply), GET_REPLY_BLOCKING, 0)
        if code <= 0:
            refuse(-code or errno.EIO, "answer")
        if reply.type == kind:
            yield reply.payload()
        elif reply.type == NLMSG_DONE:
            return
        elif reply.type == NLMSG_ERROR:
            _sent(struct.unpack("=i", reply.payload()[:4])[0], "answer")
