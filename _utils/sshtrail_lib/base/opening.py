"""
How files are opened that somebody else may have made something else of: nobody waits for a pipe.
"""

from __future__ import annotations

import errno
import os
import stat


def regular(path: str, flags: int) -> int:
    """
    Open a regular file, as the ``opener`` of :func:`open`; anything else is not there.

    A log that somebody made a pipe of would otherwise have its reader wait for ever.
    """
    handle = at_once(path, flags)
    if not stat.S_ISREG(os.fstat(handle).st_mode):
        os.close(handle)
        raise FileNotFoundError(errno.ENOENT, "no regular file", path)
    return handle


def at_once(path: str, flags: int) -> int:
    """Open whatever there is, as the ``opener`` of :func:`open`, without waiting for who would have to write it."""
    return os.open(path, flags | os.O_NONBLOCK | os.O_CLOEXEC)
