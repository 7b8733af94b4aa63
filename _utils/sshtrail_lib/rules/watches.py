"""
What rule lines tell about the records that they make: which paths are watched for changes, and under which keys.
"""

from __future__ import annotations

from collections.abc import Iterable

from sshtrail_lib.rules import language
from sshtrail_lib.rules.fields import RuleError
from sshtrail_lib.rules.language import Rule


def watches(lines: Iterable[str]) -> list[tuple[str, str]]:
    """
    Return what rule lines (iterable of str) watch for changes, and under which keys: ``[(path, key), …]``.

    A rule that also tells who reads or executes would name readers, so it is left out, and so is a line that is none.
    Of several keys of a rule those are left out that a rule of another kind has too, unless it has no others: they do
    not tell that something was changed.
    """
    rules = [rule for rule in map(_rule, lines) if rule]
    found = [(place, rule.keys) for rule in rules if (place := _watched(rule))]
    shared = {key for rule in rules if not _watched(rule) for key in rule.keys}
    return [(place, key) for place, keys in found for key in [key for key in keys if key not in shared] or keys]


def keys(line: str) -> tuple[str, ...] | None:
    """Return the keys (tuple of str) that a rule line (str) gives to its records, None for a line that is no rule."""
    rule = _rule(line)
    return rule.keys if rule else None


def _rule(line):
    """Return the rule that a line adds; None for another line, such as one of a kernel that knows more fields."""
    try:
        rule = language.parse(line)
    except RuleError:
        return None
    return rule if isinstance(rule, Rule) and rule.verb != "-d" else None


def _watched(rule):
    """Return the path that ``rule`` watches for changes alone, or ""."""
    places = [part.value for part in rule.parts if part.option == "-w" or part.name in ("path", "dir")]
    letters = [part.value for part in rule.parts if part.option == "-p" or part.name == "perm"]
    only_changes = bool(letters) and set("".join(letters)) <= {"w", "a"}
    return places[0] if places and only_changes and rule.action == "always" else ""
