"""
Where a line goes in a file that has Match blocks, and sections that other tools keep.
"""

from __future__ import annotations

from collections.abc import Sequence

from sshtrail_lib.sshd import language, sections
from sshtrail_lib.sshd.language import Line


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


def before_block(lines: Sequence[Line], head: Line) -> int:
    """Return the number of the line after which a block stands before the one that ``head`` begins."""
    section = sections.around(lines, head.number)
    first = next((line for line in lines[section.first :] if line.keyword), head) if section else head
    # A section that begins with settings would have these in our block.
    return section.first - 1 if section and first.name == "Match" else head.number - 1
