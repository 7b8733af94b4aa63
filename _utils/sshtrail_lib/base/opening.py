"""
How files are opened that somebody else may have made something else of: nobody waits for a pipe.
"""

from __future__ import annotations

import errno
import fcntl
import os
import stat
import struct

#: linux/fs.h: FS_IOC_GETFLAGS, and FS_IMMUTABLE_FL and FS_APPEND_FL.
GET_FLAGS, FIXED = 0x80086601, 0x10 | 0x20


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


def fixed(path: str) -> int:
    """Return whether nobody may change a file, or only append to it (int: bits, chattr(1)), 0 where nothing tells."""
    try:
        handle = at_once(path, os.O_RDONLY)
    except OSError:
        return 0
    try:
        return struct.unpack("=I", fcntl.ioctl(handle, GET_FLAGS, bytes(8))[:4])[0] & FIXED
    except OSError:
        return 0
    finally:
        os.close(handle)
