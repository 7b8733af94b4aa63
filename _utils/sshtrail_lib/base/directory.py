"""
The accounts and groups of a host, which may lie in a directory on a network that does not answer.

The C library waits for it as long as its own configuration has it (nsswitch.conf(5)), which can be for ever. Nobody can
end such a question: it is left to a thread of its own, and whoever asked goes on with a sentence.
"""

from __future__ import annotations

import grp
import pwd
import threading
import time
import typing
from collections.abc import Callable

from sshtrail_lib.base.programs import LateError

#: Seconds in which an answer comes, and for which nobody asks again after one that has not.
PATIENCE, FORGIVEN = 30.0, 300.0
_HUNG: dict[str, float] = {}

Answer = typing.TypeVar("Answer")


def user(name: str) -> pwd.struct_passwd:
    """Return the account ``name`` (str); raises KeyError where there is none, and :class:`LateError`."""
    return asked("getpwnam", lambda: pwd.getpwnam(name))


def user_of(uid: int) -> pwd.struct_passwd:
    """Return the account with a number (int); raises as :func:`user`."""
    return asked("getpwuid", lambda: pwd.getpwuid(uid))


def users() -> list[pwd.struct_passwd]:
    """Return all accounts (list); raises :class:`LateError`."""
    return asked("getpwent", pwd.getpwall)


def group(name: str) -> grp.struct_group:
    """Return the group ``name`` (str); raises as :func:`user`."""
    return asked("getgrnam", lambda: grp.getgrnam(name))


def group_of(gid: int) -> grp.struct_group:
    """Return the group with a number (int); raises as :func:`user`."""
    return asked("getgrgid", lambda: grp.getgrgid(gid))


def groups() -> list[grp.struct_group]:
    """Return all groups (list); raises :class:`LateError`."""
    return asked("getgrent", grp.getgrall)


def asked(what: str, ask: Callable[[], Answer]) -> Answer:
    """
    Return what ``ask()`` returns, and raise what it raises.

    what
        What the C library calls the question (str).

    Raises :class:`~sshtrail_lib.base.programs.LateError` where it has not answered in its time, and at once for a while
    after that.
    """
    told: list[Answer] = []
    failed: list[BaseException] = []

    def answer() -> None:
        try:
            told.append(ask())
        except BaseException as exc:  # noqa: BLE001 - it is raised where it was asked
            failed.append(exc)

    if _HUNG.get(what, 0.0) <= time.monotonic():
        # A process that ends waits for no such thread.
        thread = threading.Thread(target=answer, daemon=True)
        thread.start()
        thread.join(PATIENCE)
        if not told and not failed:
            _HUNG[what] = time.monotonic() + FORGIVEN
    if not told and not failed:
        raise LateError(
            f"The directory of accounts ({what}, nsswitch.conf) has not answered within {PATIENCE:g} seconds."
        )
    _HUNG.pop(what, None)
    if failed:
        raise failed[0]
    return told[0]
