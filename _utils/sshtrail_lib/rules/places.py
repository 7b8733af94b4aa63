"""
Which directories the kernel's rules watch: a rule is bound to a directory when it is loaded, and not to its name.

Where another directory is put in the place of that one (renamed, mounted over it), the rule stays, and watches what is
not there any more. With a directory it is bound to the file systems that are mounted below it at that time: what is
mounted there later is not watched. Source: the kernel's audit_tree.c and audit_watch.c.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterable, Mapping

from sshtrail_lib.base import text
from sshtrail_lib.rules import layout, overlap

#: The fields that name one.
PLACES = re.compile(
    b"|".join(re.escape(struct.pack("=I", number)) for number in (layout.WATCH, layout.DIR, layout.EXE))
)
#: Where in a rule the numbers of its fields stand.
NUMBERS = 4 * layout.FIELDS, 4 * layout.VALUES
#: For each rule, by a short name of its bytes: the device and the inode of the directory that it watches, and a number
#: for each mount below that.
Places = Mapping[str, list[int]]
IDENTITY = 2
MOUNTS = "/proc/self/mountinfo"
#: File systems that hold nobody's files, and those of containers, which come and go by the minute.
NO_FILES = {
    *("proc", "sysfs", "cgroup", "cgroup2", "nsfs", "autofs", "devpts", "securityfs", "debugfs", "tracefs", "bpf"),
    *("pstore", "configfs", "mqueue", "hugetlbfs", "fusectl", "binfmt_misc", "efivarfs", "selinuxfs", "overlay"),
}


def standing(rules: Iterable[bytes]) -> dict[bytes, list[int]]:
    """
    Return what stands now where each of ``rules`` (iterable of bytes) looks: the device and the inode of a directory,
    and the mounts below it, of which the kernel knows those that are there when it takes the rule.
    """
    bound = (rule for rule in rules if PLACES.search(rule, *NUMBERS))
    named = {rule: place for rule in bound if (place := _place(rule))[0]}
    mounts = _mounts() if any(is_tree for _, is_tree in named.values()) else {}
    found = {place: _identity(*place, mounts) for place in dict.fromkeys(named.values())}
    return {rule: identity for rule, place in named.items() if (identity := found[place])}


def named(rule: bytes) -> list[str]:
    """Return the files and directories (list of str) that ``rule`` (bytes) names."""
    found = overlap.texts_of(rule) if PLACES.search(rule, *NUMBERS) else {}
    return [found[number] for number in (layout.WATCH, layout.DIR, layout.EXE) if number in found]


def _place(rule: bytes) -> tuple[str, bool]:
    """Return the directory (str) that the kernel looks up for ``rule``, "" for none, and whether what is below too."""
    found = overlap.texts_of(rule)
    if layout.DIR in found:
        return found[layout.DIR], True
    files = (os.path.dirname(found[number]) for number in (layout.WATCH, layout.EXE) if number in found)
    return next(files, ""), False


def _identity(path: str, is_tree: bool, mounts: Mapping[str, int]) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return []
    top = os.path.realpath(path).rstrip("/") + "/" if is_tree else ""
    below = sorted(number for place, number in mounts.items() if is_tree and place.startswith(top) and place != top)
    return [found.st_dev, found.st_ino, *below]


def _mounts() -> dict[str, int]:
    """Return a number for each mount that has files, by its place (dict); the last one on a place covers the others."""
    return {text.of_proc(one[4]): _number(*one[:3]) for one in _mounted() if one[one.index("-") + 1] not in NO_FILES}


def _mounted() -> list[list[str]]:
    """Return the words of each line of the list of mounts (list)."""
    try:
        with open(MOUNTS, encoding="utf-8", errors="surrogateescape") as lines:
            return [line.rstrip("\n").split(" ") for line in lines]
    except OSError:
        return []


def covered(paths: Iterable[str]) -> set[str]:
    """
    Return those of ``paths`` (iterable of str) that another file is mounted on, as those of containers (set of str).

    The kernel looks a file up in its directory, so a rule is about the one below, also if it is loaded anew.
    """
    mounts = {
        text.of_proc(point): (device, text.of_proc(root)) for _id, _parent, device, root, point, *_rest in _mounted()
    }
    real: dict[str, str] = {}
    found = set()
    for path in paths:
        above, name = os.path.split(path)
        real[above] = real.get(above) or os.path.realpath(above)
        place = os.path.join(real[above], name)
        # With a directory the kernel looks at what is mounted there.
        if place in mounts and not os.path.isdir(place) and mounts[place] != _below(place, mounts):
            found.add(path)
    return found


def _below(place, mounts):
    """Return the device and the path in it of what is at ``place`` without the mount there: it may be itself."""
    above = next((one for one in overlap.directories(place) if one in mounts), "/")
    device, root = mounts.get(above, ("", "/"))
    return device, os.path.join(root, os.path.relpath(place, above))


def _number(mount, _parent, device):
    major, minor = map(int, device.split(":"))
    return (int(mount) << 32) + os.makedev(major, minor)


def name(rule: bytes) -> str:
    """Return the short name (str) of ``rule`` (bytes)."""
    return hashlib.sha256(rule).hexdigest()[:32]


def stale(known: Places, now: Mapping[bytes, list[int]]) -> frozenset[bytes]:
    """Return the rules that do not watch all of what ``now`` stands there, as far as it is ``known``."""
    return frozenset(rule for rule, place in now.items() if not _watches(known.get(name(rule), place), place))


def _watches(bound, place):
    return bound[:IDENTITY] == place[:IDENTITY] and set(place[IDENTITY:]) <= set(bound[IDENTITY:])


def remembered(known: Places, now: Mapping[bytes, list[int]], anew: Iterable[bytes] = ()) -> dict[str, list[int]]:
    """
    Return what is known from ``now`` on (dict): a rule that nobody has looked at yet is taken to watch what is there.

    anew
        Rules that were just loaded (iterable of bytes).
    """
    fresh = {name(rule) for rule in anew}
    return {
        short: place if short in fresh else _left(known.get(short, place), place)
        for short, place in ((name(rule), place) for rule, place in now.items())
    }


def _left(bound, place):
    """Return what a rule is still ``bound`` to: a mount that is gone does not come back, though its number may."""
    return [*bound[:IDENTITY], *(number for number in bound[IDENTITY:] if number in place[IDENTITY:])]
