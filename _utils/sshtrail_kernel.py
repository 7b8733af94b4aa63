"""
The kernel's audit subsystem through the installed ``libaudit.so.1``: no subprocess, nothing decided.

The library is there wherever PAM is. Calls block for one answer of the kernel each and need CAP_AUDIT_CONTROL.
"""

import contextlib
import ctypes
import errno
import functools
import os
import struct

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
AUDIT_GET = 1000
NLMSG_ERROR = 2
GET_REPLY_BLOCKING = 0


class LibraryError(CommandExecutionError):
    """libaudit.so.1 is missing, or lacks a function that is needed."""


class KernelError(CommandExecutionError):
    """The kernel's audit subsystem refused a request; ``errno`` (int) is its reason."""

    def __init__(self, message, number=0):
        super().__init__(message)
        self.errno = number


class NoAudit(KernelError):
    """This kernel was built, or started, without audit."""


class NoCapability(KernelError):
    """This process may not control audit: it lacks CAP_AUDIT_CONTROL or lives in its own process namespace."""


class OtherNamespace(KernelError):
    """Audit belongs to the host's first user namespace, and this process lives in another (a container)."""


NO_AUDIT = (NoAudit, "This kernel has no audit subsystem, so no rule can be loaded.")
REFUSALS = {
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


def status():
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
        fields = _status(_answer(lib, handle, AUDIT_GET))
    return {**fields, "immutable": fields["enabled"] == IMMUTABLE}


def _status(data):
    names = STATUS_FIELDS[: len(data) // 4]
    values = struct.unpack_from(f"={len(names)}I", data)
    return {name: values[at] for at, name in enumerate(names) if name not in ("mask", "feature_bitmap")}


@contextlib.contextmanager
def connection():
    """Give ``(library, netlink handle)`` for one conversation with the kernel."""
    lib = library()
    handle = lib.audit_open()
    if handle < 0:
        refuse(ctypes.get_errno(), "open a connection")
    try:
        yield lib, handle
    finally:
        os.close(handle)


@functools.cache
def library():
    """Return the installed libaudit (:class:`ctypes.CDLL`) or raise :class:`LibraryError`."""
    try:
        return ctypes.CDLL(LIBRARY, use_errno=True)
    except OSError as exc:
        raise LibraryError(f"Cannot load {LIBRARY}, through which audit rules are compiled: {exc}") from exc


def refuse(number, what):
    """Raise the error for the kernel's answer ``number`` (int, errno) to the request to ``what`` (str)."""
    cause, sentence = REFUSALS.get(
        number, (KernelError, f"The kernel's audit subsystem refused to {what}: {os.strerror(number)}.")
    )
    raise cause(sentence, number)


def _sent(code, what):
    if code < 0:
        refuse(-code, what)
    return code


def _answer(lib, handle, kind):
    """Return the data (bytes) of the next message of type ``kind`` (int)."""
    while True:
        reply = _reply(lib, handle)
        if reply.type == kind:
            return bytes(reply.data[: reply.len - 16])
        if reply.type == NLMSG_ERROR:
            number = -struct.unpack_from("=i", reply.data)[0]
            if number:
                refuse(number, "answer")


def _reply(lib, handle):
    reply = Reply()
    code = lib.audit_get_reply(handle, ctypes.byref(reply), GET_REPLY_BLOCKING, 0)
    if code <= 0:
        refuse(-code or errno.EIO, "answer")
    return reply
