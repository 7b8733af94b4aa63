"""
Files as bytes, replaced without losing anything.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import shutil
import stat
import tempfile
import typing
from collections.abc import Iterator

import salt.utils.atomicfile
import salt.utils.files
from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.base import opening, text

log = logging.getLogger(__name__)


def named(path: typing.Any) -> str:
    """
    Return ``path`` if it can be the name of a file (str); raises :class:`~salt.exceptions.SaltInvocationError` for
    another. Python takes a number for a file that the process has open.
    """
    if not isinstance(path, str) or not path or re.search(f"[\0{text.HALF}]", path) or not _fits(path):
        raise SaltInvocationError(f"path takes the name of a file, not {text.line(repr(path))}")
    return path


def _fits(path: str) -> bool:
    """Whether it is not too long for Linux (``PATH_MAX`` and ``NAME_MAX``)."""
    data = os.fsencode(path)
    return len(data) < 4096 and all(len(part) <= 255 for part in data.split(b"/"))


def read(path: str) -> bytes | None:
    """
    Return the content of the file at ``path`` as bytes, or None when there is no such file.

    Raises :class:`~salt.exceptions.CommandExecutionError` when it exists and cannot be read.
    """
    try:
        with salt.utils.files.fopen(path, "rb", opener=opening.at_once) as handle:
            return handle.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CommandExecutionError(f"Cannot read {path}: {exc.strerror}") from exc


def beginning(path: str, most: int) -> bytes | None:
    """
    Return the first bytes (``most`` of them, int) of a regular file at ``path`` (str), None where there is none.

    For files of people without rights: theirs can be a link to the kernel's memory, or have terabytes on no disk at
    all. Raises :class:`~salt.exceptions.CommandExecutionError` when it cannot be read.
    """
    try:
        with open(path, "rb", opener=opening.regular) as handle:
            return handle.read(most)
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise CommandExecutionError(f"Cannot read {path}: {exc.strerror}.") from exc


def read_regular(path: str) -> bytes:
    """
    Return the content of the file at ``path`` (str) as bytes, without waiting for anybody who would have to write it.

    Raises :class:`~salt.exceptions.CommandExecutionError` for what is no regular file, is not there, or cannot be read.
    """
    try:
        with open(opening.at_once(path, os.O_RDONLY), "rb") as handle:
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


class Dress(typing.NamedTuple):
    """What a file has on beside its content: its ``mode`` (int, permission bits), ``uid`` and ``gid`` (int)."""

    mode: int
    uid: int
    gid: int


def same(one: str, other: str) -> bool:
    """Tell whether two paths (str) lead to one file (bool); not so where one of them leads nowhere."""
    try:
        return os.path.samefile(one, other)
    except OSError:
        return False


def dress(path: str) -> Dress | None:
    """Return the :class:`Dress` of the file at ``path`` (str), None when there is no such file."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return Dress(stat.S_IMODE(found.st_mode), found.st_uid, found.st_gid)


def replace(path: str, data: bytes, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """
    Make ``data`` (bytes) the content of ``path``, so that a crash leaves the old file or the new one.

    A symbolic link is followed: its target is replaced and the link stays. An existing file keeps its
    owner, mode, ACL and security context; a new one gets ``mode`` (int, permission bits), and an ``owner`` (uid and
    gid, int) where one is given. A file with several names (hard links) gets its new content under this name alone,
    which the log says: to write into it would let a crash leave half of each. Raises
    :class:`~salt.exceptions.CommandExecutionError` when the file cannot be written, or is a device, a pipe or the like,
    which a file in its place would break for everybody; it is then unchanged.
    """
    target = os.path.realpath(path)
    if os.path.exists(target) and not os.path.isfile(target):
        raise CommandExecutionError(f"Cannot write {path}: it is no regular file")
    try:
        # atomic_open gives a file that is new the mode that the umask leaves.
        with salt.utils.files.set_umask(0o777 & ~mode):
            names = _replace(target, data, owner)
        sync_directory(os.path.dirname(target))
        if names > 1:
            log.warning("%s had %d names (hard links); the others keep the old content", path, names)
    except OSError as exc:
        raise CommandExecutionError(f"Cannot write {path}: {exc.strerror}") from exc


def _replace(target: str, data: bytes, owner: tuple[int, int] | None) -> int:
    """Do so, and return how many names the file had (int)."""
    handle = salt.utils.atomicfile.atomic_open(target, "wb")
    try:
        with handle:
            handle.write(data)
            handle.flush()
            names = _dress(handle.name, target, owner)
            # Salt before 3008 renames without this, and 3008 ignores its failure (a full disk).
            os.fsync(handle.fileno())
    finally:
        # Still there when the rename was refused (an immutable file).
        with contextlib.suppress(FileNotFoundError):
            os.unlink(handle.name)
    return names


def deliver(path: str, data: bytes) -> None:
    """
    Make ``data`` (bytes) what stands at ``path`` (str), a place that somebody has named and that others may write to.

    It is for this user alone, unless he has given a file of his own that was there to others. No link is followed, and
    nothing that somebody else has put there is written to: it is replaced. Raises
    :class:`~salt.exceptions.CommandExecutionError` when the file cannot be written, or is a device or the like.
    """
    if os.path.exists(path) and not os.path.isfile(path):
        raise CommandExecutionError(f"Cannot write {path}: it is no regular file")
    try:
        with instead(path) as new:
            new.write(data)
            new.flush()
            _dress_as_own(new.fileno(), path)
            os.fsync(new.fileno())
        sync_directory(os.path.dirname(os.path.abspath(path)))
    except OSError as exc:
        raise CommandExecutionError(f"Cannot write {path}: {exc.strerror}") from exc


@contextlib.contextmanager
def instead(path: str) -> Iterator[typing.IO[bytes]]:
    """
    Give a new file of this user alone (a handle to write bytes to) that takes the place of whatever is at ``path``
    (str) when all has gone well, and is gone otherwise. Nothing waits for the disk. Raises OSError.
    """
    directory = os.path.dirname(os.path.abspath(path))
    with tempfile.NamedTemporaryFile(prefix=".sshtrail-", dir=directory, delete=False) as new:
        try:
            yield new
            new.flush()
            os.replace(new.name, path)
        except BaseException:
            os.unlink(new.name)
            raise


def _dress_as_own(handle: int, path: str) -> None:
    """Give an open file what the file at ``path`` has on, where that is this user's own and has no other name."""
    try:
        old = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return
    try:
        found = os.fstat(old)
        if stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid() and found.st_nlink == 1:
            os.fchown(handle, -1, found.st_gid)
            shutil.copystat(f"/proc/self/fd/{old}", f"/proc/self/fd/{handle}")
            os.utime(handle)
    finally:
        os.close(old)


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


def _dress(path: str, like: str, owner: tuple[int, int] | None) -> int:
    """
    Give the file at ``path`` the owner, the mode and the extended attributes of ``like``, or else its ``owner``; return
    how many names ``like`` has (int), 0 for no such file.
    """
    try:
        found = os.stat(like)
    except FileNotFoundError:
        if owner:
            os.chown(path, *owner)
        return 0
    os.chown(path, found.st_uid, found.st_gid)
    # copystat copies every extended attribute too, which is where ACLs and SELinux contexts live.
    shutil.copystat(like, path)
    os.utime(path)
    return found.st_nlink
