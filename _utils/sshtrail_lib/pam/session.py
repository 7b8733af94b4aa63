"""
A PAM session that is opened and closed, as a program of its own: in a process that can be killed and whose loginuid
nobody else has. It imports nothing of the library, so that the file alone can be run; nothing is noted in wtmp or told
to logind.
"""

from __future__ import annotations

import contextlib
import ctypes
import functools
import json
import os
import pwd
import signal
import sys
import typing
from collections.abc import Callable

LOGINUID = "/proc/self/loginuid"
UNSET = "4294967295"
DIRECTORY = "/etc/pam.d"
CLONE_NEWNS = 0x00020000
MS_BIND, MS_REC, MS_PRIVATE = 4096, 16384, 1 << 18
PR_SET_PDEATHSIG = 1
PAM_RHOST, PAM_TTY = 4, 3
# Where modules note who was here.
NOTED = ("/var/log/wtmp", "/var/log/btmp", "/var/log/lastlog", "/run/utmp")


class _Message(ctypes.Structure):
    _fields_ = [("style", ctypes.c_int), ("text", ctypes.c_char_p)]


_Talk = ctypes.CFUNCTYPE(
    ctypes.c_int,
    ctypes.c_int,
    ctypes.POINTER(ctypes.POINTER(_Message)),
    ctypes.POINTER(ctypes.c_void_p),
    ctypes.c_void_p,
)


class _Conversation(ctypes.Structure):
    _fields_ = [("talk", _Talk), ("data", ctypes.c_void_p)]


class Session(typing.NamedTuple):
    """
    A session that was tried.

    started, opened
        What ``pam_start`` and ``pam_open_session`` returned (int, 0 is success); -1 where it was not called.
    error
        What the last one of them means (str).
    said
        What modules had to say (list of str).
    looked
        What the given function returned while the session was open.
    """

    started: int
    opened: int
    error: str
    said: list[str]
    looked: typing.Any


class Pam:
    """The installed Linux-PAM."""

    def __init__(self, library: str = "libpam.so.0") -> None:
        """
        library
            Its name or path (str).
        """
        self._pam = ctypes.CDLL(library)
        pointer = ctypes.POINTER(ctypes.c_void_p)
        self._pam.pam_start.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.POINTER(_Conversation), pointer]
        for name in ("pam_open_session", "pam_close_session", "pam_end"):
            getattr(self._pam, name).argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._pam.pam_set_item.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_char_p]
        self._pam.pam_strerror.argtypes = [ctypes.c_void_p, ctypes.c_int]
        self._pam.pam_strerror.restype = ctypes.c_char_p

    def session(
        self, service: str, user: str, look: Callable[[], typing.Any], inside: Callable[[], object] | None = None
    ) -> Session:
        """
        Open a session and close it.

        service, user
            The service and the account (str).
        look
            Called without arguments when it has been tried to open it.
        inside
            Called without arguments while it is open, None for nothing.
        """
        said: list[str] = []

        def talk(count: int, messages: typing.Any, answers: typing.Any, data: typing.Any) -> int:
            said.extend(messages[one].contents.text.decode("utf-8", "replace") for one in range(count))
            answers[0] = None
            return 0

        # They must live as long as the handle.
        conversation, handle = _Conversation(_Talk(talk), None), ctypes.c_void_p()
        names = service.encode(), user.encode()
        started = self._pam.pam_start(*names, ctypes.byref(conversation), ctypes.byref(handle))
        if started:
            return Session(started, -1, self._error(None, started), said, look())
        opened, looked = self._open(handle, look, inside)
        error = self._error(handle, opened)
        self._pam.pam_end(handle, opened)
        return Session(0, opened, error, said, looked)

    def _open(
        self, handle: ctypes.c_void_p, look: Callable[[], typing.Any], inside: Callable[[], object] | None
    ) -> tuple[int, typing.Any]:
        # As sshd has them.
        self._pam.pam_set_item(handle, PAM_RHOST, b"localhost")
        self._pam.pam_set_item(handle, PAM_TTY, b"ssh")
        opened = self._pam.pam_open_session(handle, 0)
        looked = look()
        if not opened and inside:
            inside()
        if not opened:
            self._pam.pam_close_session(handle, 0)
        return opened, looked

    def _error(self, handle: ctypes.c_void_p | None, code: int) -> str:
        return (self._pam.pam_strerror(handle, code) or b"").decode("utf-8", "replace")


def loginuid() -> str:
    """Return the loginuid (str) of this process."""
    with open(LOGINUID, encoding="ascii") as handle:
        return handle.read().strip()


def unset() -> bool:
    """Take the loginuid from this process, and tell whether it has none now (bool)."""
    if loginuid() != UNSET:
        with contextlib.suppress(OSError), open(LOGINUID, "w", encoding="ascii") as handle:
            handle.write(UNSET)
    return loginuid() == UNSET


def apart(directory: str) -> bool:
    """
    Go into a mount namespace where nothing of a session is noted, and the files of PAM are in ``directory`` (str).

    Returns whether they are (bool).
    """
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(CLONE_NEWNS) or libc.mount(b"none", b"/", None, MS_REC | MS_PRIVATE, None):
        return os.path.realpath(directory) == DIRECTORY
    for path in filter(os.path.exists, NOTED):
        libc.mount(b"/dev/null", path.encode(), None, MS_BIND, None)
    _without_logind(libc)
    if os.path.realpath(directory) == DIRECTORY:
        return True
    return bool(libc.mount(os.fsencode(directory), DIRECTORY.encode(), None, MS_BIND, None) == 0)


def _without_logind(libc: ctypes.CDLL) -> None:
    """Hide that systemd runs: else pam_systemd starts a user manager. The log's socket stays where it is."""
    journal = "/run/systemd/journal"
    if not os.path.isdir(journal):
        return
    handle = os.open(journal, os.O_PATH | os.O_DIRECTORY)
    try:
        if libc.mount(b"tmpfs", os.path.dirname(journal).encode(), b"tmpfs", 0, None) == 0:
            os.mkdir(journal)
            libc.mount(f"/proc/self/fd/{handle}".encode(), journal.encode(), None, MS_BIND, None)
    finally:
        os.close(handle)


def run(user: str, command: list[str]) -> None:
    """Run a command (list of str: a program's path and its arguments) as an account (str), and wait for its end."""
    child = os.fork()
    if child == 0:
        try:
            found = pwd.getpwnam(user)
            os.setgroups([])
            os.setgid(found.pw_gid)
            os.setuid(found.pw_uid)
            # What it prints is nothing that this program tells.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
            os.execve(command[0], command, {"LC_ALL": "C"})
        finally:
            os._exit(127)
    os.waitpid(child, 0)


def main(asked: dict[str, typing.Any], told: int) -> None:
    """
    Try it, and write what came of it as JSON to a file descriptor.

    asked
        ``service``, ``user`` and ``directory`` (dict), and ``command`` where one is to be run in the session.
    told
        The file descriptor (int).
    """
    os.set_inheritable(told, False)
    answer: dict[str, typing.Any]
    if not apart(asked["directory"]):
        answer = {"unprovable": f"{asked['directory']} cannot be put in the place of {DIRECTORY} for one process"}
    elif not unset():
        answer = {"unprovable": f"this process has the loginuid {loginuid()} already, and may not give it up"}
    else:
        command = asked.get("command")
        inside = functools.partial(run, asked["user"], command) if command else None
        answer = Pam().session(asked["service"], asked["user"], loginuid, inside)._asdict()
    answer["pid"] = os.getpid()
    os.write(told, json.dumps(answer).encode())


if __name__ == "__main__":
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    main(json.loads(sys.argv[1]), int(sys.argv[2]))
