"""
The words of a line of audit rules, and the options that they are: as auditctl splits them.

Source: auditctl.c, fileopt() and setopt(); getopt_long(3).
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator

from sshtrail_lib.rules.fields import FILTERS, RuleError, near

# Options with an argument, as auditctl hands them to getopt_long(3).
WITH_ARGUMENT = "CefrbaAdSFmRwWkpq"
ALONE = frozenset(f"-{letter}" for letter in WITH_ARGUMENT)
WITHOUT_ARGUMENT = "hicslDvt"
LONG = {
    "--backlog_wait_time": True,
    "--loginuid-immutable": False,
    "--reset-lost": False,
    "--reset_backlog_wait_time_actual": False,
}
ESCAPED_WORD, ESCAPED = re.compile(r"(?:\\[ \\]|[^ ])+"), re.compile(r"\\([ \\])")

ACTIONS = ("always", "never")
#: An action that there was once: auditctl passes over a line from where this stands behind a list.
POSSIBLE = "possible"

FIRST_WORD = {" ": "\7\7", "\\": "\4\4"}


def split(text: str) -> list[tuple[int, str]]:
    r"""Return column (int, from 1) and text of each word of ``text`` (str), with ``\ `` and ``\\`` undone."""
    if "\\" not in text:
        found, column = [], 1
        for word in text.split(" "):
            if word:
                found.append((column, word))
            column += len(word) + 1
        return found
    matches = [*ESCAPED_WORD.finditer(text)]
    # In the first one auditctl leaves what it has put in the place of each.
    first = [ESCAPED.sub(lambda found: FIRST_WORD[found[1]], match[0]) for match in matches[:1]]
    undone = first + [ESCAPED.sub(r"\1", match[0]) for match in matches[1:]]
    return [(match.start() + 1, word) for match, word in zip(matches, undone)]  # noqa: B905


def most(text: str) -> int:
    """Return how many words (int) of a line (str) auditctl reads: it takes them for three bytes long at the least."""
    return len(text.encode("utf-8", "surrogateescape")) // 3 + 1


def options(words: Iterable[tuple[int, str]], aside: list[RuleError] | None = None) -> Iterator[tuple[str, str, int]]:
    """
    Yield each option (str), its argument (str) and the column of that (int), as getopt_long(3) takes ``words``.

    aside
        Where words go that belong to none (list of :class:`RuleError`): getopt_long(3) puts them behind the options,
        and auditctl refuses them when it has done what those say. Without it the first one is raised.

    Raises :class:`RuleError` for an option that auditctl does not know.
    """
    words = iter(words)
    for column, word in words:
        if word in ALONE:
            # As most are: an option, and its value in a word of its own.
            yield (word, *_argument(word, words, column))
        elif word.startswith("--"):
            yield _long(word, column, words)
        elif word.startswith("-") and len(word) > 1:
            yield from _cluster(word, column, words)
        else:
            hint = " (auditctl knows no comments behind a rule)" if word.startswith("#") else ""
            stray = RuleError(f"{word!r} stands alone; every word belongs to an option such as -F{hint}.", column)
            if aside is None:
                raise stray
            aside.append(stray)


def _long(word, column, words):
    name, equals, value = word.partition("=")
    full = [known for known in LONG if known == name] or [known for known in LONG if known.startswith(name)]
    if len(full) != 1 or name == "--":
        raise RuleError(f"Unknown option {name!r}{near(name, LONG)}.", column)
    if not LONG[full[0]]:
        if equals:
            raise RuleError(f"{full[0]} takes no value, and {value!r} follows it.", column)
        return full[0], "", column
    return (full[0], value, column + len(name) + 1) if equals else (full[0], *_argument(full[0], words, column))


def _cluster(word, column, words):
    for at, letter in enumerate(word[1:], start=1):
        option = "-" + letter
        if letter in WITH_ARGUMENT:
            rest = word[at + 1 :]
            yield (option, rest, column + at + 1) if rest else (option, *_argument(option, words, column))
            return
        if letter not in WITHOUT_ARGUMENT:
            raise RuleError(f"Unknown option {option!r}.", column)
        yield option, "", column


def _argument(option, words, column):
    argument_column, argument = next(words, (None, None))
    if argument is None:
        raise RuleError(f"{option} needs a value.", column)
    return argument, argument_column


@functools.lru_cache(maxsize=64)
def action_and_list(argument: str) -> tuple[str, str]:
    """Return the action and the list (str) that ``argument`` (str) of -a names, or raise :class:`RuleError`."""
    words = argument.split(",")
    action = [word for word in words if word in ACTIONS]
    filters = [word for word in words if word in FILTERS]
    if len(words) == 2 and len(action) == len(filters) == 1:
        return action[0], filters[0]
    raise _no_list(argument)


def _no_list(argument):
    wrong = next((word for word in argument.split(",") if word not in (*ACTIONS, *FILTERS)), argument)
    return RuleError(
        f"{argument!r} is no action,list: the action is one of {', '.join(ACTIONS)}, the list one of "
        f"{', '.join(FILTERS)}{near(wrong, (*ACTIONS, *FILTERS))}."
    )


def looked_up(argument: str, action: str, filter_: str) -> tuple[str, str]:
    """
    Return the action, maybe :data:`POSSIBLE`, and the list (str) that auditctl takes ``argument`` (str) for.

    action, filter_
        What a watch before it has set (str), "" for nothing: where a list is known, the second word is an action.

    Raises :class:`RuleError` where it refuses them. Source: auditctl.c, audit_rule_setup().
    """
    first, _, second = argument.partition(",")
    if first in ACTIONS:
        action = first
    elif first.lower() in FILTERS:
        filter_ = first
    elif first != POSSIBLE:
        raise _no_list(argument)
    if filter_ and second in (*ACTIONS, POSSIBLE):
        return second, filter_
    if filter_ or not action or second.lower() not in FILTERS:
        raise _no_list(argument)
    return action, second
