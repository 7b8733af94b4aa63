"""
Which directories the kernel's rules watch: a rule is bound to a directory when it is loaded, and not to its name.

Where another directory is put in the place of that one (renamed, mounted over it), the rule stays, and watches what is
not there any more. Source: the kernel's audit_tree.c and audit_watch.c.
"""

from __future__ import annotations

import hashlib
import os
import re
import struct
from collections.abc import Iterable, Mapping

from sshtrail_lib.rules import layout, overlap

#: The fields that name one.
PLACES = re.compile(
    b"|".join(re.escape(struct.pack("=I", number)) for number in (layout.WATCH, layout.DIR, layout.EXE))
)
#: Where in a rule the numbers of its fields stand.
NUMBERS = 4 * layout.FIELDS, 4 * layout.VALUES
#: For each rule, by a short name of its bytes: the device and the inode of the directory that it watches.
Places = Mapping[str, list[int]]


def standing(rules: Iterable[bytes]) -> dict[bytes, list[int]]:
    """Return which directory (device and inode) stands now where each of ``rules`` (iterable of bytes) looks."""
    bound = (rule for rule in rules if PLACES.search(rule, *NUMBERS))
    named = {rule: path for rule in bound if (path := _directory(rule))}
    found = {path: _identity(path) for path in dict.fromkeys(named.values())}
    return {rule: identity for rule, path in named.items() if (identity := found[path])}


def _directory(rule: bytes) -> str:
    """Return the directory (str) that the kernel looks up when it takes ``rule``, "" for none."""
    found = overlap.texts_of(rule)
    files = [os.path.dirname(found[number]) for number in (layout.WATCH, layout.EXE) if number in found]
    return next(iter([*([found[layout.DIR]] if layout.DIR in found else []), *files]), "")


def _identity(path: str) -> list[int]:
    try:
        found = os.stat(path)
    except OSError:
        return []
    return [found.st_dev, found.st_ino]


def name(rule: bytes) -> str:
    """Return the short name (str) of ``rule`` (bytes)."""
    return hashlib.sha256(rule).hexdigest()[:32]


def stale(known: Places, now: Mapping[bytes, list[int]]) -> frozenset[bytes]:
    """Return the rules that watch another directory than ``now`` stands there, as far as it is ``known``."""
    return frozenset(rule for rule, place in now.items() if known.get(name(rule), place) != place)


def remembered(known: Places, now: Mapping[bytes, list[int]], anew: Iterable[bytes] = ()) -> dict[str, list[int]]:
    """
    Return what is known from ``now`` on (dict): a rule that nobody has looked at yet is taken to watch what is there.

    anew
        Rules that were just loaded (iterable of bytes).
    """
    fresh = {name(rule) for rule in anew}
    return {
        short: place if short in fresh else known.get(short, place)
        for short, place in ((name(rule), place) for rule, place in now.items())
    }
