"""
What a tree would be without what a policy has changed in it, as far as that is remembered.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

from sshtrail_lib.base import files, merge, text
from sshtrail_lib.base.memory import Data, Memory
from sshtrail_lib.sshd import lines, scopes, wish
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.wish import Wish


def without(tree: Tree, memory: Memory) -> Tree:
    """Return the Tree without what ``memory`` (Memory) knows as changed in its files."""
    known = {path: tree.data.get(path) for path in memory.paths}
    ours = {path: base for path, now in known.items() if (base := taken_out(memory, path, now, tree.daemon)) != now}
    return tree.edited(ours) if ours else tree


def left_out(tree: Tree, memory: Memory) -> dict[str, Data]:
    """
    Return what the files hold (``{path: bytes}``, None for no file) that were changed and that ``tree`` (Tree) does not
    read any more: somebody has taken the line away that included them, or the file.
    """
    paths = [path for path in memory.paths if path not in tree.data and not os.path.isdir(path)]
    return {path: tree.overlay[path] if path in tree.overlay else files.read(path) for path in paths}


def taken_out(memory: Memory, path: str, data: Data, daemon: Daemon) -> Data:
    """
    Return what a file would hold without us (bytes, None for no file).

    memory
        What is remembered (Memory).
    path, data
        The file (str), and what it holds now (bytes, None for no file).
    daemon
        The sshd that reads it (Daemon).
    """
    before, after, found = memory.found(path), memory.made(path), memory.without(path, data)
    if found == before:
        return found
    if found != data and data is not None and after is not None:
        parts = merge.parts(*(text.lines(one or b"") for one in (before, after, data)))
        found = scopes.settled(parts, data, daemon) or found
    # Of a file of our own, of which another main file found a part, nothing is left.
    return lines.left(path, found)


def earlier(memory: Memory, tree: Tree) -> list[Wish]:
    """Return what ``memory`` (Memory) knows as asked for, each as the wish for nothing (list of Wish)."""
    found = []
    for name, criteria in memory.asked or ():
        # Another release of sshd may not have it any more.
        with contextlib.suppress(wish.BadWish):
            found.append(wish.wish(name, None, tree.daemon, criteria))
    return found


def carried(memory: Memory, known: Mapping[str, Data]) -> dict[str, Data]:
    """Return what is still remembered as made of the files (``{path: bytes}``) that are not among ``known`` (dict)."""
    return {path: memory.made(path) for path in memory.paths if path not in known}
