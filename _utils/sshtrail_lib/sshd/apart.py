"""
Whom one Match block is about and another is not, as the criteria of Match blocks: for a line that is to stay for these.
"""

from __future__ import annotations

import re

from sshtrail_lib.sshd import match, members
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.match import Criteria

#: Criteria of which "all but these" can be said.
_WITH_EXCEPTIONS = ("user", "group", "host", "address", "localaddress")


class Inseparable(ValueError):
    """No Match line can be about those; the message says why."""


def apart(one: Criteria, other: Criteria, daemon: Daemon) -> list[Criteria]:
    """
    Return criteria (list), each for some of those who meet ``one`` and not ``other`` (criteria), together for all.

    daemon
        The sshd that reads them (Daemon).

    Nobody meets two of them, so that a line in each counts once. Raises Inseparable.
    """
    found: list[Criteria] = []
    # "all" stands alone.
    within = tuple(criterion for criterion in one if criterion != ("all", None))
    for criterion in other:
        if members.within(within, (criterion,), daemon):
            continue
        found += [(*within, *left) for left in _opposite(criterion)]
        within = (*within, criterion)
    return [_folded(each) for each in found if members.example((each,), daemon)]


def _opposite(criterion: tuple[str, str | None]) -> list[Criteria]:
    name, pattern = criterion
    if name not in _WITH_EXCEPTIONS:
        raise Inseparable(f"{match.spelling(name)} knows no exceptions")
    items = (pattern or "").split(",")
    asked = [item for item in items if not item.startswith("!")]
    others = [(name, ",".join([*(f"!{item}" for item in asked), "*"]))]
    negated = [item.removeprefix("!") for item in items if item.startswith("!")]
    return [tuple(others), *([((name, ",".join(asked)), (name, ",".join(negated)))] if negated else [])]


def _folded(criteria: Criteria) -> Criteria:
    """Return ``criteria`` with those of one name in one list, where that says the same."""
    found: list[tuple[str, str | None]] = []
    for name, pattern in criteria:
        at = next((number for number, (there, _pattern) in enumerate(found) if there == name), None)
        told = None if at is None else _both(name, found[at][1] or "", pattern or "")
        if at is None or told is None:
            found.append((name, pattern))
        else:
            found[at] = (name, told)
    return tuple(found)


def _both(name: str, one: str, other: str) -> str | None:
    """Return the list of those who meet both lists, None where none says that: of "all but these" one can."""
    *exceptions, rest = other.split(",")
    # Of an account's groups one may be on one list, and another on the other.
    if name == "group" or rest != "*" or not all(item.startswith("!") for item in exceptions):
        return None
    names, out = one.split(","), [item.removeprefix("!") for item in exceptions]
    if name == "user" and not any(re.search("[*?!]", item) for item in (*names, *out)):
        return ",".join(item for item in names if item not in out)
    return ",".join([*(item for item in exceptions if item not in names), *names])
