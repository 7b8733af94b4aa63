"""
What tells at a glance how a process stands: small enough for every tick to read.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

#: The kernel's word for "no login".
UNSET = 0xFFFFFFFF
#: Letters of proc(5)'s ``stat`` for a process that does nothing: stopped, traced, ended.
STOPPED = {"T": "stopped by a signal", "t": "stopped by a debugger", "Z": "has ended", "X": "has ended"}
#: What a frozen process waits in: control groups of the second and the first kind.
FREEZERS = ("do_freezer_trap", "__refrigerator")
#: Part of the kernel's queue that may be in use.
NEARLY = 0.75
#: What the processes of sshd are called; from 9.8 and 10.0 on a connection has programs of its own.
SSHD = ("sshd", "sshd-session", "sshd-auth")
#: The title of a process that serves an open session; its monitor's ends in "[priv]", and before the login in "[net]".
SESSION = re.compile(r"sshd(?:-session)?: (?P<user>.+)@(?:notty|(?:pts/|tty)[0-9A-Za-z/,]+|internal-sftp)")
DELETED = " (deleted)"


def user_of(comm: str, program: str, argv: Sequence[str]) -> str:
    """
    Return whose open session a process of sshd serves (str), empty for none: a monitor, or before the login.

    comm, program, argv
        The process's name and executable (str), and its command line (sequence of str): a process can call itself
        what it likes, but not change its program.
    """
    if comm not in SSHD or posixpath.basename(program).removesuffix(DELETED) not in SSHD:
        return ""
    found = SESSION.fullmatch(argv[0].rstrip()) if argv else None
    return found["user"] if found else ""
