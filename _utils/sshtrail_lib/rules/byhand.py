"""
What of the compiled file augenrules has not made of ``rules.d``: somebody wrote it there, and would miss it.
"""

from __future__ import annotations

import typing

from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules import language
from sshtrail_lib.rules.language import Control, Line, Rule

#: The settings that a line may make: those of the kernel's status, and that everybody keeps his login.
SETS = (*rules_files.SETTING_OF, "--loginuid-immutable")


def lines(path: str, held: bytes, new: bytes, made: bytes, edited: bool) -> list[Line]:
    """
    Return the lines of a compiled file (list of :class:`sshtrail_lib.rules.language.Line`) that are nowhere else.

    path, held
        The file (str), and what it holds (bytes).
    new
        What it is to hold (bytes).
    made
        What augenrules would make of the files as they are (bytes).
    edited
        Whether it was written after those files (bool): what differs is otherwise of a file that has changed since.
    """
    if not held.startswith(rules_files.GENERATED):
        return [line for line in _beyond(held, new) if line.value != Control("-D")]
    beyond = [line for line in _beyond(held, new, made) if _counts(line.value)]
    rules = [line for line in beyond if isinstance(line.value, Rule)]
    # Where no file has rules, none has had these.
    return beyond if edited or (rules and not _says_rules(path, made)) else []


def _beyond(held, *others):
    """Return the lines of ``held`` (bytes) that hold something, right or wrong, and stand in none of the ``others``."""
    kept = {line for other in others for line in _split(other)}
    numbered = [(number, text) for number, text in enumerate(_split(held), start=1) if text not in kept]
    return [
        line._replace(number=number)
        for number, text in numbered
        for line in language.read(text)
        if line.value or line.reason
    ]


def _split(data):
    return data.decode("utf-8", "surrogateescape").split("\n")


def _counts(value: typing.Any) -> bool:
    return isinstance(value, Rule) or (isinstance(value, Control) and value.option in SETS)


def _says_rules(path, data):
    return any(isinstance(line.value, Rule) for line in rules_files.read(path, data))
