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
from collections.abc import Callable, Iterator, Mapping

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
AUDIT_GET, AUDIT_USER, AUDIT_LIST_RULES, AUDIT_GET_FEATURE = 1000, 1005, 1013, 1019
# linux/audit.h: struct audit_features (version, mask, features, lock), and the bit of each feature in the last two.
FEATURES = ("only_unset_loginuid", "loginuid_immutable")
NLMSG_ERROR, NLMSG_DONE = 2, 3
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
    with connection() as (lib, handle):
        _sent(lib.audit_request_rules_list_data(handle), "list its rules")
        return list(_answers(lib, handle, AUDIT_LIST_RULES))


def add(data: bytes, prepend: bool = False) -> None:
    """
    Add one rule behind the others of its list, or before them with ``prepend`` (bool).

    data
        As :func:`rules` gives it (bytes).

    Raises :class:`KernelError` with ``errno``: ENOENT for a missing directory, EEXIST for a rule that is
    there already (never when prepending), EINVAL for a rule that this kernel does not accept.
    """
    with connection() as (lib, handle):
        _change(lib.audit_add_rule_data, handle, data, PREPEND if prepend else 0)


def delete(data: bytes) -> None:
    """
    Delete the first rule of the kernel that equals ``data`` (bytes); about 13 ms each, in the kernel.

    Raises :class:`KernelError`, with ``errno`` ENOENT when there is no such rule.
    """
    with connection() as (lib, handle):
        _change(lib.audit_delete_rule_data, handle, data, 0)


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


def _change(function: Callable[..., int], handle: int, data: bytes, flags: int) -> None:
    if not RULE_HEADER <= len(data) <= LARGEST_RULE or len(data) - RULE_HEADER != _string_bytes(data):
        raise KernelError("These bytes are no audit rule.", errno.EINVAL)
    filter_, action = struct.unpack_from("=2I", data)
    buffer = ctypes.create_string_buffer(data, len(data))
    code = function(handle, buffer, filter_ | flags, action)
    if code == -errno.EPERM and status()["immutable"]:
        raise Locked("The kernel's audit configuration is locked until the next reboot.", errno.EPERM)
    _sent(code, "change this rule")


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
