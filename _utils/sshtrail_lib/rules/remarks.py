"""
What a person should know of rules that load: what they do not see, and which earlier ones decide in their place.
"""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.rules import compile, layout, overlap, places
from sshtrail_lib.rules.collisions import Meetings, bits, mask
from sshtrail_lib.rules.fields import Part
from sshtrail_lib.rules.files import Place
from sshtrail_lib.rules.language import Rule

#: What a shell takes for several names, and no rule does; a program is called [ alone.
WILDCARD = re.compile(r"[*?]|\[[^]/]+\]")
EQUAL = layout.OPERATOR_NUMBERS["="]
#: So many lines are named one by one.
NAMED = 20


def named(rule: Rule) -> Iterator[Part]:
    """Yield the parts of ``rule`` that name a file or a directory."""
    yield from (part for part in rule.parts if compile.is_place(part))


def wildcard(path: str) -> str:
    """Return what is to be told of a ``path`` (str) that is meant for several, "" for nothing."""
    if not WILDCARD.search(path) or os.path.lexists(path):
        return ""
    # auditctl.c, check_path: it says so of watches, and loads what it says it of.
    return f"{path}: wildcard notation is not supported, so it is about a file of that very name"


def covered(paths: Iterable[str]) -> dict[str, str]:
    """Return for each of ``paths`` (iterable of str) that another file is mounted on what to tell of it (dict)."""
    return {
        path: f"another file is mounted on {path}, and no rule that names it sees what happens to that"
        for path in places.covered(paths)
    }


def unseen(loaded: Iterable[tuple[bytes, Place]]) -> list[str]:
    """
    Return a sentence (list of str) for each rule that names something it does not see as it may.

    loaded
        Each rule (bytes), and where it stands (:class:`sshtrail_lib.rules.files.Place`).
    """
    found = [(entry, path) for rule, entry in loaded for path in places.named(rule)]
    mounted = covered({path for _entry, path in found})
    return [
        f"{_line(entry)}: {told}."
        for entry, path in found
        for told in filter(None, (wildcard(path), mounted.get(path)))
    ]


# ---- which rule decides -----------------------------------------------------------------------------------------


def about_others(rules: Sequence[bytes]) -> list[int]:
    """
    Return for each of ``rules`` (sequence of bytes) those that are about another program, by their numbers (list of
    int, a bit for each).

    Two names can be one program (a hard link), and the kernel looks at that: it is asked for what stands there now.
    """
    programs = [_program(rule) for rule in rules]
    by: dict[typing.Hashable, int] = {}
    for at, program in enumerate(programs):
        by[program] = by.get(program, 0) | 1 << at
    known = ((1 << len(rules)) - 1) & ~by.get(None, 0)
    return [0 if program is None else known & ~by[program] for program in programs]


def _program(rule):
    """Return what tells one program from another, None for a rule that is about none."""
    found = (text for number, operator, text in overlap.view_of(rule).conditions if (number, operator) == _EXE)
    path = next(found, None)
    try:
        about = os.lstat(path) if path else None
    except OSError:
        return path
    return about and (about.st_dev, about.st_ino)


_EXE = layout.EXE, EQUAL


def hidden(known: Mapping[bytes, Place]) -> list[str]:
    """
    Return sentences (list of str) on rules that an earlier ``never`` keeps from deciding, wholly or in part.

    known
        The rules in order, and where each stands (``{bytes: Place}``).
    """
    nevers = mask(at for at, rule in enumerate(known) if not layout.records(rule))
    if not nevers:
        return []
    met, entries, others = Meetings([*known], compile.exec_calls), [*known.values()], about_others([*known])
    whole = {at: first for at in bits(met.all & ~nevers) if (first := _dropping(met, at, nevers)) is not None}
    found = [
        f"{_line(entries[at])} never decides: {_line(entries[first])} drops everything that it matches."
        for at, first in whole.items()
    ]
    left = met.all & ~nevers & ~mask(whole)
    for at in bits(nevers):
        dropped = met.later(at) & left & ~others[at]
        later = [entries[one] for one in bits(dropped) if entries[one].file != entries[at].file]
        found += [f"{_line(entries[at])} drops a part of what others match: {_few(later)}."] if later else []
    return found


def _dropping(met, at, nevers):
    """Return the number of the first of the ``nevers`` before the rule ``at`` that drops all of it, None for none."""
    before = met.earlier(at) & nevers
    return met.collisions.covering(met.rules[at], before) if before else None


def _few(entries: Collection[Place]) -> str:
    more = len(entries) - NAMED
    return ", ".join(map(_line, [*entries][:NAMED])) + (f" and {more} more" if more > 0 else "")


def _line(entry: Place) -> str:
    return f"{entry.file} line {entry.line}"
