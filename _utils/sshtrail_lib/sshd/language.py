"""
The language of sshd_config(5): bytes to lines of words, as sshd's tokenizers split them, and words to lines.

Both of its tokenizers are here, that of releases before 8.7 and that of those since. What a tree of files is, and what
sshd makes of it, is in :mod:`sshtrail_lib.sshd.include` and :mod:`sshtrail_lib.sshd.effective`.
"""

from __future__ import annotations

import difflib
import functools
import re
import typing

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import text as base_text
from sshtrail_lib.sshd import keywords, match
from sshtrail_lib.sshd.daemon import ARGV_SINCE, Arguments, BadValue, Daemon, Release
from sshtrail_lib.sshd.keywords import Keyword

SPACE = " \t\r\n"
#: Kinds of keywords that take the rest of their line as it is.
RAW = ("raw", "addendum", "command")


class ConfigError(CommandExecutionError):
    """sshd would refuse this configuration; the message names file, line and column in ``tree`` (Tree), if known."""

    tree: typing.Any = None
    problem: Problem | None = None


class Problem(typing.NamedTuple):
    """What sshd would refuse: where (file, line, column from 1), the line's text, and why."""

    file: str
    line: int
    column: int
    text: str
    reason: str

    def __str__(self) -> str:
        # What no single line is to blame for names none.
        where = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return f"{where}: {self.reason}"


class Line(typing.NamedTuple):
    """
    One line of a file.

    number
        From 1 (int).
    raw
        Its bytes, line ending included.
    word
        The keyword as written (str), empty for a blank line or a comment.
    keyword
        The Keyword that it names, or None.
    arguments
        What follows it (Arguments).
    problem
        What is wrong with the line by itself (str), or None.
    column
        Where ``problem`` is, from 1 (int).
    """

    number: int
    raw: bytes
    word: str = ""
    keyword: Keyword | None = None
    arguments: Arguments = Arguments(())
    problem: str | None = None
    column: int = 1

    @property
    def name(self) -> str:
        """The canonical keyword (str), empty where there is none."""
        return self.keyword.name if self.keyword else ""


def decode(raw: bytes) -> str:
    """Return the bytes ``raw`` as str in a way that :func:`encode` reverses whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text: str) -> bytes:
    """Return the bytes that ``text`` (str) stands for; the reverse of :func:`decode`."""
    return text.encode("utf-8", "surrogateescape")


def next_word(text: str, equals: bool = True) -> tuple[str | None, str | None]:
    """
    Return the next word of ``text`` and what follows it, as ``strdelim()`` of sshd does.

    equals
        Whether one ``=`` separates too (bool).

    Returns ``(word, rest)``; the word is None after an unbalanced quote, the rest None at the end.
    """
    found = re.search(r'[ \t\r\n"=]' if equals else r'[ \t\r\n"]', text)
    if not found:
        return text, None
    start = found.start()
    if text[start] == '"':
        inner, quote, rest = text[start + 1 :].partition('"')
        return (text[:start] + inner, rest.lstrip(SPACE)) if quote else (None, None)
    rest = text[start + 1 :].lstrip(SPACE)
    if equals and text[start] != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(SPACE)
    return text[:start], rest


def words_delimited(text: str, equals: bool = True) -> tuple[str, ...]:
    """Return the words of ``text`` as releases before 8.7 split them: up to the end, an empty word or a bad quote."""
    words: list[str] = []
    rest: str | None = text
    while rest is not None:
        word, rest = next_word(rest, equals)
        if not word:
            return (*words, "") if word == "" and rest else tuple(words)
        words.append(word)
    return tuple(words)


def words_quoted(text: str) -> tuple[tuple[str, ...], int]:
    """
    Return the words of ``text`` as ``argv_split()`` of releases since 8.7 splits them.

    Returns ``(words, end)``: a tuple of str, and where they end (int): at a comment or at the end of the text.
    Raises BadValue for an unbalanced quote.
    """
    words: list[str] = []
    position = 0
    while position < len(text) and (text[position] in " \t" or text[position] != "#"):
        if text[position] in " \t":
            position += 1
        else:
            word, position = _quoted_word(text, position)
            words.append(word)
    return tuple(words), position


def _quoted_word(text: str, position: int) -> tuple[str, int]:
    out, quote = [], ""
    while position < len(text) and (quote or text[position] not in " \t"):
        char, after = text[position], text[position + 1 : position + 2]
        if char == "\\" and after and (after in "'\"\\" or (not quote and after == " ")):
            out.append(after)
            position += 1
        elif not quote and char in "'\"":
            quote = char
        elif char == quote:
            quote = ""
        else:
            out.append(char)
        position += 1
    if quote:
        raise BadValue("unbalanced quote")
    return "".join(out), position


def parse(data: bytes, daemon: Daemon) -> list[Line]:
    """Return the lines (list of Line) of the file content ``data`` (bytes) as ``daemon`` (Daemon) reads them."""
    printed = frozenset(daemon.defaults)
    return [parse_line(raw, number, daemon.release, printed) for number, raw in enumerate(base_text.lines(data), 1)]


@functools.lru_cache(maxsize=4096)
def parse_line(raw: bytes, number: int, release: Release, printed: frozenset[str]) -> Line:
    """Return the Line that ``raw`` (bytes) is for ``release``; ``printed`` as for ``keywords.find``."""
    if b"\0" in raw:
        return Line(number, raw, problem="a NUL byte, at which sshd would join this line with the next")
    text = decode(raw).lstrip(" \t\r")
    if release < ARGV_SINCE:
        text = text.partition("#")[0]
    text = text[:1] + text[1:].rstrip(" \t\r\n\f") if text.strip("\n") else ""
    word, rest = next_word(text)
    if word == "" and rest:
        word, rest = next_word(rest)
    if not word or word.startswith("#"):
        return Line(number, raw)
    return _parse_keyword(Line(number, raw, word), rest, release, printed)


def _parse_keyword(line: Line, rest: str | None, release: Release, printed: frozenset[str]) -> Line:
    column = len(line.raw) - len(line.raw.lstrip(b" \t\r")) + 1
    keyword = keywords.find(line.word, release, printed)
    if keyword is None:
        return line._replace(problem=_unknown(line.word, release, printed), column=column)
    line = line._replace(keyword=keyword)
    if release >= ARGV_SINCE and not rest:
        return line._replace(problem=f"{keyword.name} needs a value", column=column)
    try:
        return line._replace(arguments=_arguments(keyword, rest or "", release))
    except BadValue as exc:
        return line._replace(problem=f"{keyword.name}: {exc}", column=column)


def _arguments(keyword: Keyword, rest: str, release: Release) -> Arguments:
    if keyword.kind == "match" and release < match.ARGV_SINCE:
        # Since 8.7 the whole line must split into words as well, or sshd refuses its quotes.
        if release >= ARGV_SINCE:
            words_quoted(rest)
        return Arguments(words_delimited(rest), rest)
    if release < ARGV_SINCE:
        return Arguments(words_delimited(rest, equals=keyword.name != "SetEnv"), rest.lstrip(SPACE))
    words = words_quoted(rest)[0]
    return Arguments(words, rest.lstrip(SPACE))


def _unknown(word: str, release: Release, printed: frozenset[str]) -> str:
    near = difflib.get_close_matches(word, keywords.names(release, printed), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"{keywords.called(release)} does not know the keyword {word!r}{hint}"


def problem(path: str, line: Line, reason: str, column: int | None = None) -> Problem:
    """
    Return the Problem that ``line`` (Line) of the file ``path`` (str) has.

    reason
        What is wrong (str).
    column
        Where, from 1 (int), if not where the line says.
    """
    text = decode(line.raw).rstrip("\r\n")
    return Problem(path, line.number, column or line.column, _shortened(text), _shortened(reason))


def _shortened(text: str) -> str:
    return text if len(text) <= 240 else f"{text[:120]} […] {text[-120:]}"


_HEAD = re.compile(r"[ \t\r]*(?:\"[^\"]*\"|[^ \t\"=]+)(?:[ \t]*=[ \t]*|[ \t]+)")


def written(line: Line) -> str:
    """Return the value of ``line`` (Line) as it is written there (str), without a comment."""
    if line.keyword and line.keyword.kind in RAW:
        return line.arguments.rest
    text = decode(line.raw)
    head = _HEAD.match(text)
    return " ".join(line.arguments.words) if head is None else text[head.end() :].partition(" #")[0].strip()


def quoted(word: str, release: Release) -> str:
    """Return ``word`` (str) as one writes it in sshd_config for ``release``: quoted only where it must be."""
    if release < ARGV_SINCE:
        return _enclosed(word)
    if not re.search(r"[ \t'\"\\#=]", word):
        return word
    if not re.search(r"[ \t'\"\\]", word) and word[0] not in "#=":
        return word
    return '"' + re.sub(r"([\\\"'])", r"\\\1", word) + '"'


def render_criteria(criteria: match.Criteria, daemon: Daemon) -> str:
    """Return ``criteria`` as written after Match (str); raises BadValue when no line of this release can say them."""
    words = [word for name, pattern in criteria for word in (match.spelling(name), pattern) if word is not None]
    # Until Match reads its line like every other keyword, a backslash in it is itself.
    plain = daemon.release < match.ARGV_SINCE
    text = " ".join(_enclosed(word) if plain else quoted(word, daemon.release) for word in words)
    line = parse_line(encode(f"Match {text}"), 1, daemon.release, frozenset(daemon.defaults))
    if line.problem or line.arguments.words != tuple(words):
        raise BadValue(f"{match.text(criteria)!r} cannot be written after Match for this release of sshd")
    return text


def _enclosed(word: str) -> str:
    return f'"{word}"' if re.search(r"[ \t=]", word) else word


def render(name: str, keyword: Keyword, arguments: Arguments, daemon: Daemon) -> str:
    """
    Return the line (str) that says ``name`` (the keyword as it is to be written, str) with ``arguments`` (Arguments).

    Raises BadValue when no line of this release can.
    """
    text = f"{name} {_rendered(keyword, arguments, daemon)}"
    line = parse_line(encode(text), 1, daemon.release, frozenset(daemon.defaults))
    same = line.arguments.rest == arguments.rest if keyword.kind in RAW else line.arguments.words == arguments.words
    if line.problem or not same:
        raise BadValue(f"{' '.join(arguments.words)!r} cannot be written for this release of sshd")
    return text


def _rendered(keyword: Keyword, arguments: Arguments, daemon: Daemon) -> str:
    if keyword.kind in RAW:
        return arguments.rest
    return " ".join(quoted(word, daemon.release) for word in arguments.words)


def rewrite(line: Line, arguments: Arguments, daemon: Daemon) -> bytes:
    """
    Return the bytes of ``line`` (Line) with ``arguments`` (Arguments) in place of its own; all else of it stays.

    Raises BadValue when that cannot be.
    """
    text, keyword = decode(line.raw), line.keyword
    found = _HEAD.match(text)
    if found is None or keyword is None:
        raise BadValue(f"stands on a line that is written too oddly to change it: {_shortened(text.strip())!r}")
    head = found[0]
    body = text[len(head) :].rstrip(" \t\r\n\f")
    ending = text[len(head) + len(body) :]
    comment = "" if keyword.kind in RAW else _comment(body, daemon.release)
    new = render(line.word, keyword, arguments, daemon)[len(line.word) + 1 :]
    return encode(head + new + comment + ending)


def _comment(body: str, release: Release) -> str:
    """Return the comment at the end of ``body`` (str) with the space before it."""
    end = len(body.partition("#")[0]) if release < ARGV_SINCE else words_quoted(body)[1]
    start = len(body[:end].rstrip(" \t"))
    return body[start:] if end < len(body) else ""
