"""
Sections of a file that another tool writes anew: what stands between its two comments is that tool's alone.

Ansible's blockinfile, Salt's file.blockreplace, Vagrant and Google's guest agent each have their own words for it; what
they share is a pair of comments that say the same, one of them with a word for the end.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence

from sshtrail_lib.sshd import language
from sshtrail_lib.sshd.language import Line

_BEGIN = frozenset(["begin", "begins", "beginning", "start", "starts", "starting", ">>>", "{{{"])
_END = frozenset(["end", "ends", "ending", "stop", "stops", "finish", "fin", "<<<", "}}}", "</", "[/"])
# What a tool says to people on one of its two comments only.
_ASIDE = frozenset(
    ["a", "any", "be", "by", "changes", "do", "edit", "generated", "in"]
    + ["is", "made", "manually", "modify", "not", "of", "section", "the", "this"]
)
_TOKEN = re.compile(r">>>|<<<|\{\{\{|\}\}\}|</|\[/|[^\W_]+")


class Section(typing.NamedTuple):
    """The lines of one section, by the numbers (int) of the two comments around it."""

    first: int
    last: int

    def __contains__(self, number: object) -> bool:
        return isinstance(number, int) and self.first <= number <= self.last


class _Comment(typing.NamedTuple):
    number: int
    begins: bool
    ends: bool
    label: tuple[str, ...]

    @property
    def core(self) -> frozenset[str]:
        return frozenset(self.label) - _ASIDE


def sections(lines: Sequence[Line]) -> list[Section]:
    """Return the sections (list of Section) of ``lines`` (sequence of Line); one inside another is left out."""
    found: list[Section] = []
    before: list[_Comment] = []
    for comment in filter(None, map(_comment, lines)):
        opened = _opened(before, comment) if comment.ends else None
        if opened is None:
            before.append(comment)
            continue
        before = before[: before.index(opened)]
        found = [one for one in found if one.first < opened.number]
        found.append(Section(opened.number, comment.number))
    return found


def around(lines: Sequence[Line], number: int) -> Section | None:
    """Return the Section of ``lines`` (sequence of Line) that holds line ``number`` (int, from 1), None for none."""
    return next((one for one in sections(lines) if number in one), None)


def _comment(line: Line) -> _Comment | None:
    text = language.decode(line.raw).strip()
    if not text.startswith("#"):
        return None
    tokens = _TOKEN.findall(text.lower())
    label = tuple(token for token in tokens if token not in _BEGIN | _END)
    return _Comment(line.number, bool(_BEGIN & set(tokens)), bool(_END & set(tokens)), label)


def _opened(before: Sequence[_Comment], end: _Comment) -> _Comment | None:
    """Return the comment that opened what ``end`` ends: one that says the same, or else one that means it."""
    same = [one for one in before if one.begins and one.label == end.label]
    meant = [one for one in before if not one.ends and end.core and one.core == end.core]
    found = same or meant
    return found[-1] if found else None
