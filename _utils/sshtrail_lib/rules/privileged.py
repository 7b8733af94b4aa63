"""
The privileged programs that a host really has: those that give who runs them the rights of another.

A file is one when it is setuid, setgid, or has file capabilities, and lies on a file system that honours that: one that
is mounted neither ``nosuid`` nor ``noexec``, as the CIS benchmarks ask. Source: execve(2), capabilities(7), mount(8).
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
import typing
from collections.abc import Iterator

from sshtrail_lib.base import text
from sshtrail_lib.rules.fields import escape

MOUNTS, TYPES = "/proc/self/mountinfo", "/proc/filesystems"
#: Where programs come and go: a change of one of these is a reason to look again.
DIRECTORIES = tuple(f"{top}/{name}" for top in ("", "/usr", "/usr/local") for name in ("bin", "sbin")) + ("/opt",)
#: Anybody can make a setuid file of his own; more of them than this are no programs of a system.
MOST = 1000
#: The file systems of disks that the kernel lists as having none.
OF_DISKS = {"zfs", "bcachefs", "overlay"}
#: What no line of a rules file can hold: control characters, and quotes, which auditctl takes for a part of the name.
UNWRITABLE = re.compile(r"[\x00-\x1f\x7f\"']")


class Mount(typing.NamedTuple):
    """A mount: the ``device`` (str), which directory of it is the ``root`` (str), and the ``place`` (str)."""

    device: str
    root: str
    place: str


def lines(rest: str) -> tuple[list[str], int]:
    """
    Return the line of a rule for each privileged program (list of str), and how many programs have none (int).

    rest
        What follows the path in each of them (str, such as ``-F perm=x -F key=privileged``).

    None has a program whose name no line can hold, nor what is beyond :data:`MOST`; those of root come first.
    """
    found = programs()
    named = [path for path in found if not UNWRITABLE.search(path)][:MOST]
    return [f"-a always,exit -F path={escape(path)} {rest}" for path in named], len(found) - len(named)


def programs() -> list[str]:
    """
    Return the absolute path of each privileged program (list of str), sorted.

    Those of root come first: nobody else can make one. Then those beside the root file system come last: when the rules
    are loaded at boot it may not be mounted yet, and a load stops where a directory is missing.
    """
    found = [(owner != 0, mount.place != "/", path) for mount in mounts() for path, owner in _below(mount.place)]
    return [path for *_, path in sorted(found)]


def mounts() -> list[Mount]:
    """Return the mounts to be looked at (list of :class:`Mount`), each part of a file system once."""
    found = [mount for mount, options, kind in _mounted(_text(MOUNTS)) if _honours(mount, options, kind)]
    # The last mount on a place covers those before it.
    last = {mount.place: mount for mount in found}
    kept: list[Mount] = []
    for mount in sorted(last.values(), key=lambda one: (one.root.count("/") if one.root != "/" else 0, one.place)):
        if not any(mount.device == other.device and _inside(mount.root, other.root) for other in kept):
            kept.append(mount)
    return kept


def _mounted(listed: str) -> Iterator[tuple[Mount, set[str], str]]:
    """Yield each mount that is ``listed`` (str, as proc(5) has it) with its options and the kind of its file system."""
    for line in listed.splitlines():
        words = line.split(" ")
        device, root, place, options = words[2:6]
        mount = Mount(device, text.of_proc(root), text.of_proc(place))
        yield mount, set(options.split(",")), words[words.index("-") + 1]


def _honours(mount: Mount, options: set[str], kind: str) -> bool:
    if options & {"nosuid", "noexec"}:
        return False
    return mount.place == "/" or kind in OF_DISKS or kind in _kinds_of_disks()


def _kinds_of_disks() -> set[str]:
    """Return the kinds of file systems that the kernel mounts from a device (set of str)."""
    return {line.strip() for line in _text(TYPES).splitlines() if not line.startswith("nodev")}


def _inside(root: str, other: str) -> bool:
    return root == other or root.startswith(other.rstrip("/") + "/")


def _text(path: str) -> str:
    with open(path, encoding="utf-8", errors="surrogateescape") as handle:
        return handle.read()


def _below(place: str) -> Iterator[tuple[str, int]]:
    """Yield each privileged program on the file system mounted at ``place`` (str), and on no other, with its owner."""
    with contextlib.suppress(OSError):
        device, waiting = os.stat(place).st_dev, [place]
        while waiting:
            for entry in _entries(waiting.pop()):
                with contextlib.suppress(OSError):
                    if entry.is_dir(follow_symlinks=False):
                        waiting += [entry.path] if entry.stat(follow_symlinks=False).st_dev == device else []
                    elif entry.is_file(follow_symlinks=False) and is_privileged(entry.path):
                        yield entry.path, entry.stat(follow_symlinks=False).st_uid


def _entries(directory: str) -> list[os.DirEntry[str]]:
    # What goes meanwhile, or may not be read, holds nothing that people could run.
    with contextlib.suppress(OSError), os.scandir(directory) as found:
        return list(found)
    return []


def is_privileged(path: str) -> bool:
    """Tell whether the regular file at ``path`` (str) gives rights to whoever runs it (bool)."""
    mode = os.stat(path, follow_symlinks=False).st_mode
    return bool(mode & 0o111) and (bool(mode & (stat.S_ISUID | stat.S_ISGID)) or _has_capabilities(path))


def _has_capabilities(path: str) -> bool:
    try:
        return bool(os.getxattr(path, "security.capability", follow_symlinks=False))
    except OSError:
        return False
