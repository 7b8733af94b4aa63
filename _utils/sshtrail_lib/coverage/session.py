"""
A session of PAM's stack for sshd in which one command is run: a program of its own, whose loginuid nobody else has.

It imports nothing of the library, so that the file alone can be run; nothing is noted in wtmp or told to logind.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import pwd
import sys
import typing

LOGINUID, UNSET = "/proc/self/loginuid", "4294967295"
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
PR_SET_PDEATHSIG, SIGKILL = 1, 9
PAM_RHOST, PAM_TTY = 4, 3
NOTED = ("/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/run/utmp")


class _Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


_TALK = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = [("talk", _TALK), ("data", ctypes.c_void_p)]


def _silent(count: int, messages: typing.Any, answers: typing.Any, data: typing.Any) -> int:
    answers[0] = None
    return 0


def apart() -> None:
    """Go into a mount namespace in which nothing of a session is noted, and systemd does not seem to run."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.prctl(PR_SET_PDEATHSIG, SIGKILL)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return
    for path in filter(os.path.exists, NOTED):
        libc.mount(b"/dev/null", path.encode(), None, MS_BIND, None)
    journal = "/run/systemd/journal"
    if os.path.isdir(journal):
        handle = os.open(journal, os.O_PATH | os.O_DIRECTORY)
        if libc.mount(b"tmpfs", os.path.dirname(journal).encode(), b"tmpfs", 0, None) == 0:
            os.mkdir(journal)
            libc.mount(f"/proc/self/fd/{handle}".encode(), journal.encode(), None, MS_BIND, None)
        os.close(handle)


def unset() -> bool:
    """Take the loginuid from this process, and tell whether it has none now (bool)."""
    with contextlib.suppress(OSError), open(LOGINUID, "r+", encoding="ascii") as handle:
        if handle.read().strip() != UNSET:
            handle.seek(0)
            handle.write(UNSET)
    with open(LOGINUID, encoding="ascii") as handle:
        return handle.read().strip() == UNSET


def session(user: str, command: list[str]) -> str:
    """Run a command (list of str) in a session of an account (str); return what went wrong (str), "" for nothing."""
    pam = ctypes.CDLL("libpam.so.0")
    pam.pam_strerror.restype, pam.pam_strerror.argtypes = ctypes.c_char_p, [ctypes.c_void_p, ctypes.c_int]
    pam.pam_set_item.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
    for name in ("pam_open_session", "pam_close_session", "pam_end"):
        getattr(pam, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
    conversation, handle = _Conversation(_TALK(_silent), None), ctypes.c_void_p()
    failed = pam.pam_start(b"sshd", user.encode(), ctypes.byref(conversation), ctypes.byref(handle))
    if failed:
        return "PAM has no service sshd"
    # As sshd has them.
    pam.pam_set_item(handle, PAM_RHOST, b"localhost")
    pam.pam_set_item(handle, PAM_TTY, b"ssh")
    failed = pam.pam_open_session(handle, 0)
    error = (pam.pam_strerror(handle, failed) or b"").decode("utf-8", "replace") if failed else ""
    if not failed:
        os.waitpid(_run(user, command), 0)
        pam.pam_close_session(handle, 0)
    pam.pam_end(handle, failed)
    return error


def _run(user: str, command: list[str]) -> int:
    child = os.fork()
    if child == 0:
        try:
            found = pwd.getpwnam(user)
            os.setgroups([])
            os.setgid(found.pw_gid)
            os.setuid(found.pw_uid)
            os.execve(command[0], command, {"LC_ALL": "C"})
        finally:
            os._exit(127)
    return child


def main() -> None:
    """Do it for the account and the command on the command line, and print ``pid`` and ``error`` as JSON."""
    apart()
    error = session(sys.argv[1], sys.argv[2:]) if unset() else "the caller's loginuid may not be given up here"
    print(json.dumps({"pid": os.getpid(), "error": error}))


if __name__ == "__main__":
    main()
