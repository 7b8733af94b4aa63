"""
Where a line goes: in which file, and where in one that has Match blocks, and sections that other tools keep.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence

from sshtrail_lib.sshd import include, language, sections
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.language import Line

#: The name of our own drop-in; it sorts before those that packages bring.
DROP_IN = "00-sshtrail.conf"
#: Its first line.
HEADER = "# What this host's SSH audit policy asks of sshd. Written by sshtrail, and removed with it."

#: Below it only packages write, but for what the administrator has there.
_PACKAGES, _ADMINISTRATORS = "/usr/", "/usr/local/"


def is_packages(tree: Tree, path: str) -> bool:
    """
    Return whether what is written to the file ``path`` (str) of ``tree`` (Tree) would go to a file that somebody else
    brings: through a link, or below the directory of packages (bool).
    """
    real = tree.disk.real(path)
    below = real.startswith(_PACKAGES) and not real.startswith(_ADMINISTRATORS)
    return below or posixpath.dirname(real) != tree.disk.real(posixpath.dirname(path))


def end_of_block(lines: Sequence[Line], head: Line) -> tuple[int, str]:
    """Return the number of the last keyword line of the block that ``head`` begins, and its indentation."""
    last = head
    for line in lines[head.number :]:
        if line.name == "Match":
            break
        if line.keyword:
            last = line
    if last is head:
        return head.number, "\t"
    return last.number, indent(last)


def indent(line: Line) -> str:
    """Return the white space (str) that a line begins with."""
    return language.decode(line.raw[: len(line.raw) - len(line.raw.lstrip(b" \t"))])


def outside(lines: Sequence[Line], number: int, above: int = 0) -> int | None:
    """
    Return the number of the line after which a new one stands with the same scope as after line ``number``, and in no
    section of another tool; None where there is no such place below line ``above``.
    """
    section = sections.around(lines, number)
    if section is None or number == section.last:
        return number
    if not any(line.name == "Match" for line in lines[number : section.last]):
        return section.last
    between = lines[section.first : number]
    return section.first - 1 if section.first > above and not any(line.name == "Match" for line in between) else None


def before_matches(lines: Sequence[Line]) -> list[Line]:
    """Return those of ``lines`` (sequence of Line) that stand before the first Match (list of Line)."""
    first = next((line.number for line in lines if line.name == "Match"), len(lines) + 1)
    return list(lines[: first - 1])


def place_of(lines: Sequence[Line], name: str, followed: Sequence[int]) -> int:
    """
    Return the number of the line after which a new global line belongs: in no section of another tool.

    lines
        Those of the file (sequence of Line).
    name
        The keyword of the new line (str), which goes to where it stands already, or a comment on it.
    followed
        The numbers of the lines after which it has to stand (sequence of int).
    """
    head, theirs = before_matches(lines), sections.sections(lines)
    free = [line for line in head if not any(line.number in one for one in theirs)]
    same = [line.number for line in free if line.name == name]
    comment = re.compile(rb"[ \t]*#[ \t]*%s(?:[ \t=]|$)" % name.encode(), re.IGNORECASE)
    commented = [line.number for line in free if comment.match(line.raw)]
    if same or commented:
        return max([(same or commented)[-1], *followed])
    # Comments right above a Match block belong to it.
    while head and len(head) < len(lines) and head[-1] in free and head[-1].raw.lstrip().startswith(b"#"):
        head.pop()
    inside = next((one for one in theirs if one.first <= len(head) < one.last), None)
    return inside.first - 1 if inside else len(head)


def _is_about(line: Line) -> bool:
    """Whether a line is a comment, but that of our own file, which is about all of it."""
    return line.raw.lstrip().startswith(b"#") and line.raw.strip() != HEADER.encode()


def before_block(lines: Sequence[Line], head: Line) -> int:
    """Return the number of the line after which a block stands before the one that ``head`` begins."""
    section = sections.around(lines, head.number)
    first = next((line for line in lines[section.first :] if line.keyword), head) if section else head
    # A section that begins with settings would have these in our block.
    number = section.first - 1 if section and first.name == "Match" else head.number - 1
    # Comments right above a Match block belong to it.
    while number and _is_about(lines[number - 1]) and sections.around(lines, number) is section:
        number -= 1
    return number


def drop_in_of(tree: Tree, line: Line) -> str | None:
    """
    Return the path (str) at which the Include that ``line`` of ``tree`` is would find our drop-in, None where it would
    not, or there is no such directory, or only a package's.
    """
    for word in line.arguments.words:
        directory = posixpath.dirname(include.pattern_of(word))
        path = posixpath.join(directory, DROP_IN)
        there = include.matches(path, include.pattern_of(word)) and include.has_directory(tree, directory)
        if there and not is_packages(tree, path):
            return path
    return None


def own_file(tree: Tree) -> str | None:
    """Return the path (str) of the file of our own that sshd reads before all else, None where there can be none."""
    first = next((line for line in tree.files[tree.path] if line.keyword), None)
    return drop_in_of(tree, first) if first and first.name == "Include" else None


def times_with(tree: Tree, path: str) -> int:
    """Return how often (int) sshd would read the file ``path`` (str), there or not, of ``tree`` (Tree)."""
    return include.times(tree if path in tree.files else tree.edited({path: b""}), path)
