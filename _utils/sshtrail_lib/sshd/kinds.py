"""
How a kind of value takes its arguments: one word, one of a few, a list on a line, and what is wrong with them.

A kind is a function of a keyword, of its occurrences (the arguments of each line that counts, in sshd's order) and of
the daemon; it returns the lines that ``sshd -T`` would print after the keyword, or raises BadValue.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from sshtrail_lib.sshd.daemon import ARGV_SINCE, Arguments, BadValue, Daemon, Release
from sshtrail_lib.sshd.keywords import Keyword

Kind = Callable[[Keyword, Sequence[Arguments], Daemon], list[str]]
#: Called with a word and the daemon; returns the word as ``sshd -T`` spells it, or raises BadValue.
Convert = Callable[[str, Daemon], str]


def one(arguments: Arguments) -> str:
    """Return the only word of ``arguments`` (Arguments)."""
    if not arguments.words or not arguments.words[0]:
        raise BadValue("needs a value")
    end(arguments, 1)
    return arguments.words[0]


def end(arguments: Arguments, count: int) -> None:
    """Raise BadValue when ``arguments`` (Arguments) are more than ``count`` (int) words."""
    if len(arguments.words) > count and arguments.words[count]:
        raise BadValue(f"takes no further argument after {arguments.words[count - 1]!r}", count)


def given(arguments: Arguments) -> tuple[str, ...]:
    """Return the words of ``arguments`` (Arguments): one at least, and none of them empty."""
    if not arguments.words:
        raise BadValue("needs a value")
    for position, word in enumerate(arguments.words):
        if not word:
            raise BadValue("has an empty argument", position)
    return arguments.words


def bare(arguments: Arguments, daemon: Daemon) -> None:
    """Before 8.7 a closing quote at the end of a line counts as one more argument, an empty one."""
    if daemon.release < ARGV_SINCE and len(arguments.words) == 1 and arguments.rest.endswith('"'):
        raise BadValue("takes no quotes around a lone value in this release")


def as_written(word: str, _daemon: Daemon) -> str:
    """Return ``word`` (str): sshd takes any."""
    return word


def single(convert: Convert) -> Kind:
    """Return a kind that takes one argument and prints what ``convert`` makes of it."""

    def kind(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
        return [convert(one(arguments), daemon) for arguments in occurrences]

    return kind


def choice(*values: str, same: Mapping[str, str] | None = None, fold: bool = True) -> Kind:
    """
    Return a kind that takes one of ``values`` (str).

    same
        Other values that it takes, and what sshd prints for each (dict).
    fold
        Whether it takes them in any case (bool).
    """

    def convert(word: str, _daemon: Daemon) -> str:
        folded = word.lower() if fold else word
        if folded not in values and folded not in (same or {}):
            raise BadValue(f"takes {', '.join(values)}, not {word!r}")
        return (same or {}).get(folded, folded)

    return single(convert)


def upper(values: Sequence[str], same: Mapping[str, str]) -> Kind:
    """Return a kind that takes one of ``values`` (str) in any case; ``same`` as for :func:`choice`, in lower case."""
    table = {**{value.lower(): value for value in values}, **same}

    def convert(word: str, _daemon: Daemon) -> str:
        if word.lower() not in table:
            raise BadValue(f"takes {', '.join(values)}, not {word!r}")
        return table[word.lower()]

    return single(convert)


def each(convert: Convert = as_written, lenient_before: Release | None = None) -> Kind:
    """
    Return a kind that prints what ``convert`` makes of each argument on a line of its own.

    lenient_before
        Releases before this one let a line without arguments pass.
    """

    def kind(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
        printed = []
        for arguments in occurrences:
            if lenient_before and daemon.release < lenient_before and not arguments.words:
                continue
            printed += [_located(convert, word, position, daemon) for position, word in enumerate(given(arguments))]
        return printed

    return kind


def _located(convert: Convert, word: str, position: int, daemon: Daemon) -> str:
    try:
        return convert(word, daemon)
    except BadValue as exc:
        raise BadValue(str(exc), position) from exc


def line(convert: Convert, alone: Sequence[str] = ()) -> Kind:
    """Return a kind that prints what ``convert`` makes of its arguments on one line; ``alone`` excludes any other."""

    def kind(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
        words = given(occurrences[0])
        for word in words if len(words) > 1 else ():
            if word.lower() in alone and daemon.release >= ARGV_SINCE:
                raise BadValue(f"takes {word!r} only alone")
        return [" ".join(convert(word, daemon) for word in words)]

    return kind
