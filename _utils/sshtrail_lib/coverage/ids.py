"""
Login ids as ``/proc`` tells them: which one a process has, all its threads, and whether PAM can set one for it.
"""

from __future__ import annotations

import ctypes
import os
import re

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files
from sshtrail_lib.coverage.marks import UNSET

#: By which file pam_loginuid(8) sets one; where it is not there, that module says nothing and lets everybody in.
SETS = "/proc/self/loginuid"
#: What statfs(2) calls a proc file system, and bytes that its answer has at most.
PROC, ANSWER = 0x9FA0, 512


def login(pid: int) -> int:
    """
    Return the login id of a process (int), :data:`UNSET` for none.

    Each thread has one of its own, and hands that on to what it starts: where one has another than the first, that one
    is told, and first the one that has none.
    """
    first = _of(f"/proc/{pid}")
    if first is None or first == UNSET:
        return UNSET
    try:
        threads = os.listdir(f"/proc/{pid}/task")
    except OSError:
        return first
    every = (_of(f"/proc/{pid}/task/{one}") for one in threads) if len(threads) > 1 else ()
    # One that has ended meanwhile has none any more.
    return max((one for one in every if one is not None and one != first), default=first)


def _of(top: str) -> int | None:
    try:
        told = files.read(f"{top}/loginuid")
        return int(told) if told else None
    except (OSError, ValueError, CommandExecutionError):
        return None


def settable(pid: int) -> bool:
    """
    Tell whether a process finds the file by which PAM sets its login id (bool).

    Whatever else lies there, such as a file in memory that anybody may write, sets none.
    """
    try:
        status = (files.read(f"/proc/{pid}/status") or b"").decode("ascii", "replace")
    except CommandExecutionError:
        return False
    told = re.search(r"^NSpid:\s+(.*)$", status, re.MULTILINE)
    # It has a number in each of the namespaces in which it is, and its proc knows one of them.
    return any(_is_itself(pid, f"/proc/{pid}/root/proc/{number}") for number in (told[1].split() if told else [pid]))


def _is_itself(pid: int, top: str) -> bool:
    try:
        there = os.path.samefile(f"{top}/ns/pid", f"/proc/{pid}/ns/pid")
        read_only = os.statvfs(f"{top}/loginuid").f_flag & os.ST_RDONLY
    except OSError:
        return False
    return there and not read_only and _kind(f"{top}/loginuid") == PROC


def _kind(path: str) -> int:
    """Return of which kind the file system is in which a file (str) lies (int), 0 where that cannot be told."""
    answer = ctypes.create_string_buffer(ANSWER)
    if ctypes.CDLL(None).statfs(os.fsencode(path), answer):
        return 0
    return ctypes.c_long.from_buffer(answer).value
