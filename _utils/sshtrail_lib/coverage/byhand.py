"""
What somebody does who runs auditctl by hand, by the words that the kernel recorded: these nobody makes up or cuts off.

Source: auditctl(8), and the options that its getopt(3) takes (auditctl.c).
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Sequence

from sshtrail_lib.rules.words import WITH_ARGUMENT

#: Where the program is.
PLACES = ("/usr/sbin/auditctl", "/sbin/auditctl", "/usr/bin/auditctl")
#: The file that the policy has, as augenrules and services load it.
THE_FILE = "/etc/audit/audit.rules"
#: The options that make up a rule, or are about nothing but errors.
OF_A_RULE = frozenset("aAwSFCkpic")


class Ran(typing.NamedTuple):
    """
    A program that somebody began: the ``serial`` of the event (int), ``when`` (float, seconds since the epoch), the
    ``pid``, the login id (``auid``), its session (``ses``) and the user that counts (``euid``), the ``program`` (str
    each), and its ``words`` (tuple of str).
    """

    serial: int
    when: float
    pid: str
    auid: str
    ses: str
    euid: str
    program: str
    words: tuple[str, ...]


def is_auditctl(program: str) -> bool:
    """Tell whether a program (str) is the system's own auditctl: of a copy nobody knows what it does."""
    return program in PLACES


def options(words: Sequence[str]) -> list[tuple[str, str]]:
    """Return the options of a command line (sequence of str) with their arguments (list of two str), as getopt does."""
    found, left = [], list(words[1:])
    while left:
        word = left.pop(0)
        letters = word[1:] if word[:1] == "-" and word[1:2] != "-" else ""
        found += [] if letters else [("", word)]
        while letters:
            one, letters = letters[0], letters[1:]
            value = (letters or (left.pop(0) if left else "")) if one in WITH_ARGUMENT else ""
            letters = "" if one in WITH_ARGUMENT else letters
            found.append((one, value))
    return found


def records(words: Sequence[str]) -> bool:
    """Tell whether a command line (sequence of str) adds nothing but a rule that records (bool)."""
    given = options(words)
    actions = [value.split(",") for name, value in given if name in ("a", "A")]
    watches = any(name == "w" for name, _ in given)
    only = all(name in OF_A_RULE for name, _ in given)
    return only and bool(actions or watches) and all("always" in one for one in actions)


def loads_the_file(words: Sequence[str]) -> bool:
    """Tell whether a command line (sequence of str) loads the file that the policy has (bool)."""
    return options(words) == [("R", THE_FILE)]


def loads_a_file(words: Sequence[str]) -> bool:
    """Tell whether a command line (sequence of str) loads a file, whichever (bool)."""
    return any(name == "R" for name, _ in options(words))


def leaves_a_record(words: Sequence[str], valid: Callable[[str], bool]) -> bool:
    """
    Tell whether the kernel makes a record (CONFIG_CHANGE) of what a command line (sequence of str) does (bool).

    valid
        Tells whether a line is a rule (bool): of any other nothing comes to the kernel.

    One that is refused there has a record, too. Of all rules of a key there may be none.
    """
    given = options(words)
    if any(name in ("R", "e") for name, _ in given):
        return True
    if any(name in ("a", "A") for name, _ in given):
        return valid(" ".join(f"-{name} {value}".strip() for name, value in given))
    return [name for name, _ in given] == ["D"]
