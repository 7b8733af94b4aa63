"""
Whether what is written to a directory is there after a reboot: on which file system it lies, and on what that does.

Source: proc(5), ``mountinfo`` and ``fdinfo``; the kernel's filesystems/overlayfs, blockdev/zram and blockdev/ramdisk.
"""

from __future__ import annotations

import contextlib
import os
import re
import typing

from sshtrail_lib.base import text

#: File systems that are memory alone.
VOLATILE = ("tmpfs", "ramfs", "rootfs", "devtmpfs", "hugetlbfs")
#: Disks that are: compressed memory, and a part of memory.
DISKS = re.compile(r"(?:zram|ram)\d+")
#: File systems that lie on others, one on the other.
DEEPEST = 8


class Mount(typing.NamedTuple):
    """A mount: the number of its ``device`` (str), its ``place``, ``kind`` and ``source`` and ``options`` (str)."""

    device: str
    place: str
    kind: str
    source: str
    options: str


def volatile(path: str, deep: int = 0) -> str | None:
    """
    Return why what is written to a file or directory (``path``, str) is gone after a reboot (str), empty where it is
    not, None where that cannot be told.
    """
    mount = _mount_of(path)
    if not mount or deep > DEEPEST:
        return None
    if mount.kind in VOLATILE:
        return text.line(f"{mount.place} is a {mount.kind}, which is in memory alone")
    if mount.kind == "overlay":
        return _on(f"{mount.place} is an overlay, whose upper part lies where", _upper(mount.options), deep)
    device = _device(mount)
    return _of_disk(mount.place, device, deep) if device else ""


def _on(said: str, path: str, deep: int) -> str | None:
    # One without an upper part takes nothing; that of a container, or of what was there at boot, is not seen here.
    if not path:
        return ""
    why = volatile(path, deep + 1) if os.path.exists(path) else None
    return text.line(f"{said} {why}") if why else why


def _upper(options: str) -> str:
    found = re.search(r"(?:^|,)upperdir=((?:[^,\\]|\\.)*)", options)
    return re.sub(r"\\(.)", r"\1", text.of_proc(found[1])) if found else ""


def _of_disk(place: str, device: str, deep: int) -> str | None:
    top = os.path.realpath(f"/sys/dev/block/{device}")
    name = os.path.basename(top)
    if DISKS.fullmatch(name):
        return f"{text.line(place)} is on {name}, which is in memory alone"
    backing = _read(f"{top}/loop/backing_file")
    if backing:
        return _on(f"{place} is in a file where", backing, deep)
    below = sorted(os.listdir(f"{top}/slaves")) if deep < DEEPEST and os.path.isdir(f"{top}/slaves") else []
    found = [_of_disk(place, _read(f"{top}/slaves/{one}/dev"), deep + 1) for one in below]
    return next(filter(None, found), None if None in found else "")


def _device(mount: Mount) -> str:
    """Return the number of the disk on which a file system lies (str), empty for none."""
    if not mount.device.startswith("0:"):
        return mount.device
    # That of btrfs, whose parts have numbers of their own.
    with contextlib.suppress(OSError):
        found = os.stat(mount.source)
        if found.st_rdev:
            return f"{os.major(found.st_rdev)}:{os.minor(found.st_rdev)}"
    return ""


def _mount_of(path: str) -> Mount | None:
    try:
        handle = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        told = re.search(r"^mnt_id:\s+(\d+)$", _read(f"/proc/self/fdinfo/{handle}"), re.MULTILINE)
    finally:
        os.close(handle)
    lines = _read("/proc/self/mountinfo").splitlines()
    return next((_parsed(line) for line in lines if told and line.startswith(f"{told[1]} ")), None)


def _parsed(line: str) -> Mount:
    words = line.split(" ")
    kind, source, options = words[words.index("-") + 1 :][:3]
    return Mount(words[2], text.of_proc(words[4]), kind, text.of_proc(source), options)


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as handle:
            return handle.read().rstrip("\n")
    except OSError:
        return ""
