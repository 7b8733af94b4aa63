"""
A main file with all that it includes: how Include is resolved.

What is on the disk is handed in (:class:`Disk`), so that a tree can also be one that is not there yet.
"""

from __future__ import annotations

import fnmatch
import posixpath
import re
import typing
from collections.abc import Callable, Iterable, Mapping

from sshtrail_lib.sshd import language
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.language import ConfigError, Line, Problem

#: Include with a relative path means this directory, wherever the including file is.
BASE = "/etc/ssh"
#: sshd refuses to follow Include deeper than this.
MAX_DEPTH = 16
#: ``{path: bytes}`` to read instead of what is on the disk; None for a file that is not to be there.
Overlay = Mapping[str, bytes | None]


def _nothing(_path: str) -> bytes | None:
    return None


def _nobody(_pattern: str) -> Iterable[str]:
    return ()


def _itself(path: str) -> str:
    return path


def _there(_path: str) -> bool:
    return True


class Disk(typing.NamedTuple):
    """
    Where files are read; by default an empty one.

    read
        Called with a path (str); returns the file's content (bytes), None when there is none. A directory has no
        content: sshd opens one without complaint, and reads nothing from it.
    glob
        Called with a pattern (str) of Python's ``glob``; returns the paths of what is there (str, in any order).
    real
        Called with a path (str); returns the path without symbolic links (str).
    has_directory
        Called with a path (str); returns whether it is a directory (bool).
    """

    read: Callable[[str], bytes | None] = _nothing
    glob: Callable[[str], Iterable[str]] = _nobody
    real: Callable[[str], str] = _itself
    has_directory: Callable[[str], bool] = _there


class Tree:
    """
    A main file with all that it includes.

    path
        The main file (str).
    daemon
        The sshd that reads it (Daemon).
    disk, overlay
        Where it was read from (Disk, Overlay).
    files
        Path of each file that is read: its lines (list of Line), in the order in which sshd first opens them.
    data
        Path of each file that is read: its bytes.
    includes
        (path, line number): the paths that this Include line names (list of list of str, one for each word).
    problems
        What keeps sshd from reading a file (list of Problem).
    answers
        What was worked out already: a Tree does not change once it is loaded.
    """

    def __init__(self, path: str, daemon: Daemon, disk: Disk, overlay: Overlay) -> None:
        self.path, self.daemon, self.disk, self.overlay = path, daemon, disk, overlay
        self.files: dict[str, list[Line]] = {}
        self.data: dict[str, bytes] = {}
        self.includes: dict[tuple[str, int], list[list[str]]] = {}
        self.problems: list[Problem] = []
        self.answers: dict[typing.Any, typing.Any] = {}

    def edited(self, files: Overlay) -> Tree:
        """Return the Tree that this one becomes with ``files`` (Overlay), whatever happens on the disk."""
        return load(self.path, self.daemon, self.disk, {**self.overlay, **self.data, **files})


def load(path: str, daemon: Daemon, disk: Disk, overlay: Overlay | None = None) -> Tree:
    """
    Return the Tree of the main file ``path`` (str) as ``daemon`` (Daemon) reads it.

    disk
        Where to read (Disk).
    overlay
        What to read instead of what is there (Overlay).

    Raises ConfigError when the main file is not there.
    """
    tree = Tree(path, daemon, disk, overlay or {})
    _load(tree, path, (), None)
    if path not in tree.files:
        raise ConfigError(f"There is no {path}")
    return tree


def _load(tree: Tree, path: str, above: tuple[str, ...], where: tuple[str, Line] | None) -> None:
    if path in tree.files:
        if where and path in above:
            tree.problems.append(language.problem(*where, "Include leads back to a file that is being read"))
        return
    data = tree.overlay[path] if path in tree.overlay else tree.disk.read(path)
    if data is None:
        if where:
            tree.problems.append(language.problem(*where, f"{path} cannot be opened"))
        return
    tree.data[path] = data
    tree.files[path] = language.parse(data, tree.daemon)
    for line in tree.files[path]:
        if line.name == "Include" and not line.problem:
            _load_included(tree, path, line, (*above, path))


def _load_included(tree: Tree, path: str, line: Line, above: tuple[str, ...]) -> None:
    groups = [_matching(word, tree) for word in line.arguments.words if word]
    tree.includes[path, line.number] = groups
    for included in (name for group in groups for name in group):
        _load(tree, included, above, (path, line))


def pattern_of(word: str) -> str:
    """Return the pattern (str) that ``word`` (str) of an Include line means."""
    path = word if word[:1] in ("/", "~") else posixpath.join(BASE, word)
    # glob(3) takes a backslash for a quote, Python's glob does not.
    return re.sub(r"\\(.)", r"[\1]", path)


def _matching(word: str, tree: Tree) -> list[str]:
    pattern = pattern_of(word)
    if pattern.startswith("~"):
        # sshd neither expands this nor makes it absolute.
        return []
    found = set(tree.disk.glob(pattern)) - {path for path, data in tree.overlay.items() if data is None}
    found |= {path for path, data in tree.overlay.items() if data is not None and matches(path, pattern)}
    return sorted(found, key=language.encode)


def matches(path: str, pattern: str) -> bool:
    """Return whether glob(3) would find the file ``path`` (str) for ``pattern`` (str)."""
    ours, theirs = path.split("/"), pattern.split("/")
    return len(ours) == len(theirs) and all(
        fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
        for name, part in zip(ours, theirs, strict=True)
    )


def times(tree: Tree, path: str) -> int:
    """Return how often (int) sshd reads the file ``path`` (str) of ``tree`` (Tree) while it goes through it once."""
    return _times(tree, path, MAX_DEPTH)


def _times(tree: Tree, path: str, depth: int) -> int:
    above = [
        file for (file, _line), groups in tree.includes.items() for group in groups for one in group if one == path
    ]
    return (path == tree.path) + (sum(_times(tree, one, depth - 1) for one in above) if depth else 0)


def has_directory(tree: Tree, path: str) -> bool:
    """Return whether there is, or will be, the directory ``path`` (str) in which a file of ``tree`` (Tree) can be."""
    return path in map(posixpath.dirname, (*tree.data, *tree.overlay)) or tree.disk.has_directory(path)


def directories(tree: Tree) -> set[str]:
    """Return the directories (set of str, there or not) in which a new file could be included."""
    lines = [line for lines in tree.files.values() for line in lines if line.name == "Include" and not line.problem]
    return {posixpath.dirname(pattern_of(word)) for line in lines for word in line.arguments.words}
