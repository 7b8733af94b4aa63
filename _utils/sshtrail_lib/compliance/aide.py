"""
Which files AIDE looks at, and whether at their sha512: its configuration, as aide.conf(5) has it.
"""

from __future__ import annotations

import contextlib
import re
import typing
from collections.abc import Collection, Iterable, Sequence

Lines = tuple[tuple[str, str], ...]


class _Selection(typing.NamedTuple):
    """A line of aide.conf that selects files: its sign (str), pattern, literal directory and attributes (str)."""

    sign: str
    pattern: re.Pattern[str]
    directory: str
    attributes: str


#: A line that selects: sign, pattern, the types of files that it is for, attributes.
SELECTION = re.compile(r"([!=]?)(/\S*)(?:\s+([a-zA-Z](?:,[a-zA-Z])*)(?=\s+[^\s+-]|$))?(?:\s+(.*))?")


def hashed(paths: Iterable[str], lines: Lines) -> dict[str, bool]:
    """
    Return of each regular file whether AIDE looks at its sha512 (dict of str to bool).

    paths
        The files (iterable of str).
    lines
        The lines of AIDE's configuration (tuple of ``(place, line)``).
    """
    lines = _prepared(lines)
    groups, selections = _groups(lines), _selections(lines)
    return {path: _watched(path, selections, groups) for path in paths}


#: What begins and ends lines that count under a condition, and what names a text.
CONDITION = re.compile(r"@@(if\w*|else|endif)\b")
DEFINE = re.compile(r"@@define\s+(\w+)\s*(.*)")


def _prepared(lines: Lines) -> Lines:
    """
    Return the lines with the texts of their variables, and without what selects files under a condition alone.

    What takes files out of the selection stays, whatever the condition.
    """
    found: list[tuple[str, str]] = []
    named: dict[str, str] = {}
    depth = 0
    for place, line in lines:
        defined, condition = DEFINE.match(line), CONDITION.match(line)
        if defined:
            named[defined[1]] = defined[2].strip()
        elif condition:
            depth += condition[1].startswith("if")
            depth -= condition[1] == "endif"
        else:
            said = re.sub(r"@@\{(\w+)\}", lambda match: named.get(match[1], match[0]), line)
            found += [(place, said)] if depth <= 0 or said.startswith("!") else []
    return tuple(found)


def _groups(lines: Lines) -> frozenset[str]:
    """Return the names of AIDE's groups of attributes (frozenset of str) that sha512 is in: aide.conf(5)."""
    # All compiled in hashsums.
    found: set[str] = {"H"}
    for _place, line in lines:
        name, equals, said = line.partition("=")
        if equals and re.fullmatch(r"\w+\s*", name):
            (found.add if _hashed(said, found) else found.discard)(name.strip())
    return frozenset(found)


def _hashed(said: str, groups: Collection[str]) -> bool:
    """Tell whether an expression of attributes (str) comes to have sha512: each part adds to it, or takes away."""
    has = False
    for sign, name in re.findall(r"([+-]?)\s*(\w+)", said.partition("#")[0]):
        if name == "sha512" or name in groups:
            has = sign != "-"
    return has


def _selections(lines: Lines) -> list[_Selection]:
    """Return the lines that select regular files (list of :class:`_Selection`)."""
    found = []
    for _place, line in lines:
        match = SELECTION.fullmatch(line.partition(" #")[0].rstrip())
        if not match:
            continue
        sign, path, types, attributes = match.groups("")
        # With one word after the path that is what is looked at, but after a ! it can be the types alone.
        types, attributes = (types, attributes) if attributes or sign == "!" else ("", types)
        if not types or "f" in types.split(","):
            with contextlib.suppress(re.error):
                literal = re.split(r"[][^$.*+?(){}|\\]", path)[0].rpartition("/")[0]
                found.append(_Selection(sign, re.compile(_plain(path)), literal, attributes))
    return found


#: The classes of characters of POSIX, which AIDE's expressions have and Python's do not.
CLASSES = {
    **{"digit": "0-9", "alpha": "a-zA-Z", "alnum": "a-zA-Z0-9", "lower": "a-z", "upper": "A-Z", "xdigit": "0-9A-Fa-f"},
    **{"space": r"\s", "blank": r" \t", "word": r"\w", "punct": r"!-/:-@\[-`{-~"},
}


def _plain(pattern: str) -> str:
    return re.sub(r"\[:(\w+):\]", lambda match: CLASSES.get(match[1], match[0]), pattern)


def _watched(tool: str, selections: Sequence[_Selection], groups: Collection[str]) -> bool:
    """
    Tell whether AIDE looks at the sha512 of a program (str): aide.conf(5).

    A line with ! takes away whatever others select. One with = is for just its path; the others are for all that
    begins so. Of several the deepest directory decides, and there the first line.
    """
    # Where /sbin is /usr/sbin either will do.
    names = (tool, tool.removeprefix("/usr")) if tool.startswith("/usr/") else (tool, f"/usr{tool}")
    if any(one.sign == "!" and one.pattern.match(name) for one in selections for name in names):
        return False
    return any(_hashed(_deciding(name, selections), groups) for name in names)


def _deciding(name: str, selections: Sequence[_Selection]) -> str:
    """Return the attributes (str) of the line that decides about a path (str), empty for none."""
    exact = [one for one in selections if one.sign == "=" and one.pattern.fullmatch(name)]
    begun = [one for one in selections if not one.sign and one.pattern.match(name)]
    found = exact or sorted(begun, key=lambda one: -len(one.directory))
    return found[0].attributes if found else ""
