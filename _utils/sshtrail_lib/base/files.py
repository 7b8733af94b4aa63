"""
Files as bytes, replaced without losing anything.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat

import salt.utils.atomicfile
import salt.utils.files
from salt.exceptions import CommandExecutionError


def read(path: str) -> bytes | None:
    """
    Return the content of the file at ``path`` as bytes, or None when there is no such file.

    Raises :class:`~salt.exceptions.CommandExecutionError` when it exists and cannot be read.
    """
    try:
        with salt.utils.files.fopen(path, "rb") as handle:
            return handle.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CommandExecutionError(f"Cannot read {path}: {exc.strerror}") from exc


def read_regular(path: str) -> bytes:
    """
    Return the content of the file at ``path`` (str) as bytes, without waiting for anybody who would have to write it.

    Raises :class:`~salt.exceptions.CommandExecutionError` for what is no regular file, is not there, or cannot be read.
    """
    try:
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as handle:
            if not stat.S_ISREG(os.fstat(handle.fileno()).st_mode):
                raise CommandExecutionError(f"{path} is no regular file.")
            return handle.read()
    except OSError as exc:
        raise CommandExecutionError(f"Cannot read {path}: {exc.strerror}.") from exc


def identity(path: str) -> str:
    """
    Return what changes whenever the file at ``path`` does (str), without reading it.

    Raises FileNotFoundError when there is no such file.
    """
    found = os.stat(path)
    return f"{path}:{found.st_dev}:{found.st_ino}:{found.st_size}:{found.st_mtime_ns}:{found.st_ctime_ns}"


def replace(path: str, data: bytes, mode: int = 0o644) -> None:
    """
    Make ``data`` (bytes) the content of ``path``, so that a crash leaves the old file or the new one.

    A symbolic link is followed: its target is replaced and the link stays. An existing file keeps its
    owner, mode, ACL and security context; a new one gets ``mode`` (int, permission bits). Raises
    :class:`~salt.exceptions.CommandExecutionError` when the file cannot be written; it is then unchanged.
    """
    target = os.path.realpath(path)
    try:
        # atomic_open gives a file that is new the mode that the umask leaves.
        with salt.utils.files.set_umask(0o777 & ~mode):
            _replace(target, data)
        sync_directory(os.path.dirname(target))
    except OSError as exc:
        raise CommandExecutionError(f"Cannot write {path}: {exc.strerror}") from exc


def _replace(target: str, data: bytes) -> None:
    handle = salt.utils.atomicfile.atomic_open(target, "wb")
    try:
        with handle:
            handle.write(data)
            handle.flush()
            if os.path.exists(target):
                _dress(handle.name, target)
            # Salt before 3008 renames without this, and 3008 ignores its failure (a full disk).
            os.fsync(handle.fileno())
    finally:
        # Still there when the rename was refused (an immutable file).
        with contextlib.suppress(FileNotFoundError):
            os.unlink(handle.name)


def remove(path: str) -> None:
    """
    Remove the file at ``path`` and make that durable; nothing happens when there is none.

    Raises :class:`~salt.exceptions.CommandExecutionError` when it cannot be removed.
    """
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
            sync_directory(os.path.dirname(os.path.abspath(path)))
    except OSError as exc:
        raise CommandExecutionError(f"Cannot remove {path}: {exc.strerror}") from exc


def sync_directory(path: str) -> None:
    """Make a rename or a removal in the directory ``path`` durable (``fsync(2)``)."""
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _dress(path: str, like: str) -> None:
    """Give the file at ``path`` the owner, the mode and the extended attributes of ``like``."""
    owner = os.stat(like)
    os.chown(path, owner.st_uid, owner.st_gid)
    # copystat copies every extended attribute too, which is where ACLs and SELinux contexts live.
    shutil.copystat(like, path)
    os.utime(path)
