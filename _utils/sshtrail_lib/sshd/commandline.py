"""
The command line of a sshd that runs: what it means, and what is known of it.

sshd(8) writes its title over it. What the kernel still knows is how long it was; so a command line that some settings
give is the right one when it is as long, and looks as the title shows it.
"""

from __future__ import annotations

import re
import shlex
import typing
from collections.abc import Iterator, Mapping, Sequence

#: The options of sshd(8), 8.4 to 10.6: those that take an argument, and the others.
_WITH, _WITHOUT = "CEbcfghkopu", "46DGQRTVdeiqrt"
#: Those that bear on the configuration, for a ``sshd -T``. None of the others is ever given to a sshd of ours.
_BEARING = "46cghopq"
_TITLE, _MARK = "sshd: ", " [listener]"
#: The same of a sshd that was started by another name.
_NAMED = re.compile(r"[^\s:/]+: (?=/)")


class CommandLine(typing.NamedTuple):
    """
    The command line of a sshd.

    words
        It (tuple of str), the program first.
    sure
        Whether it certainly is (bool); if not, it is how the title of the process can be read.
    whole
        Whether all of it is known (bool): of a process without environment variables the title loses its end.
    """

    words: tuple[str, ...]
    sure: bool = True
    whole: bool = True

    @property
    def options(self) -> list[str]:
        """The options that bear on the configuration, as words of a ``sshd -T`` (list of str), as far as known."""
        pairs = parsed(self.words[1:]) or []
        pairs = pairs if self.whole else pairs[:-1]
        return [word for name, value in pairs if name in _BEARING for word in (f"-{name}", value) if word is not None]

    @property
    def foreground(self) -> bool:
        """Whether it stays in the foreground (bool)."""
        return any(name in "Dd" for name, _value in parsed(self.words[1:]) or ())

    def config(self, default: str) -> str:
        """Return the main file (str) that it names; ``default`` (str) is what sshd reads otherwise."""
        found = [value for name, value in parsed(self.words[1:]) or loose(self.words[1:]) if name == "f" and value]
        return found[-1] if found else default

    def keyword(self, name: str) -> str:
        """Return what its first option ``-o`` for a keyword (str) says, empty for none: sshd takes the first."""
        said = map(_halves, self._set())
        return next((words[1] for words in said if len(words) == 2 and words[0].lower() == name.lower()), "")

    def _set(self):
        pairs = parsed(self.words[1:]) or []
        return [value for letter, value in (pairs if self.whole else pairs[:-1]) if letter == "o" and value]

    @property
    def cut(self) -> str:
        """The keyword, or the beginning of one, at which the known part ends (str); empty where all is known."""
        last = next(iter((parsed(self.words[1:]) or [])[-1:]), ("", None))
        keyword = re.split(r"[ \t=]", last[1] or "")[0] if last[0] == "o" else ""
        return "" if self.whole else keyword


#: An option: its letter, and its argument or None.
Option = tuple[str, str | None]


def parsed(words: Sequence[str]) -> list[Option] | None:
    """Return the options that ``words`` (sequence of str) are for getopt(3): letters and arguments; None for none."""
    found: list[Option] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            return None
        found += _of_word(word, left)
    return found if all(letter in (*_WITH, *_WITHOUT) for letter, _value in found) else None


def _of_word(word: str, left: list[str]) -> list[Option]:
    """Return the options that ``word`` is; an argument that is not in it is taken out of what is ``left``."""
    found: list[Option] = []
    letters = word[1:]
    while letters:
        letter, letters = letters[0], letters[1:]
        if letter in _WITH:
            return [*found, (letter, letters or (left.pop(0) if left else None))]
        found.append((letter, None))
    return found


def loose(words: Sequence[str]) -> list[Option]:
    """
    Return the options (list of :data:`Option`) of ``words`` (sequence of str) whose quotes are lost: sshd takes nothing
    but options, so that what begins none belongs to the argument before it.
    """
    found: list[Option] = []
    left = list(words)
    while left:
        word = left.pop(0)
        if not word.startswith("-") or word == "-":
            found = [*found[:-1], (found[-1][0], f"{found[-1][1] or ''} {word}".lstrip())] if found else []
        else:
            found += _of_word(word, left)
    return found


def keyword(option: str) -> tuple[str, str]:
    """Return the keyword that an argument of ``-o`` (str) sets (str in lower case), and its value (str), unquoted."""
    name, *value = _halves(option)
    return name.lower(), value[0].strip('"') if value else ""


def _halves(option: str) -> list[str]:
    return re.split(r"[ \t]*=[ \t]*|[ \t]+", option.strip(), maxsplit=1)


class Shown(typing.NamedTuple):
    """
    What a title shows of a command line: its words with spaces between (``text``, str), whether that is ``whole``
    (bool), and how many bytes all had, with one behind each word (``length``, int).
    """

    text: str
    whole: bool
    length: int


def known(raw: bytes, length: int, candidates: Sequence[Sequence[str]], config: str) -> CommandLine | None:
    """
    Return the CommandLine of a sshd that listens, None for any other process.

    raw
        Its ``/proc/PID/cmdline`` (bytes).
    length
        How many bytes its arguments had when it was started (int, proc(5): stat, arg_end less arg_start).
    candidates
        Command lines that the settings of services give (sequence of sequences of str).
    config
        A main file that it may have been started with (str).
    """
    text = raw.decode("utf-8", "surrogateescape")
    named = _NAMED.match(text)
    if named and (_MARK in text or _fills(raw, length)):
        text = _TITLE + text[named.end() :]
    if not text.startswith(_TITLE):
        words = text.removesuffix("\0").split("\0")
        return CommandLine(tuple(words)) if words[0] else None
    shown = _shown(text, length)
    if not shown.text.startswith("/"):
        # A session shows who is in it; a listener its command line, which begins with a path.
        return None
    certain = next((words for words in candidates if fits(words, shown)), None)
    return CommandLine(tuple(certain)) if certain else _read(shown, config)


def _fills(raw: bytes, length: int) -> bool:
    """Tell whether a title takes all the room that the words had: it may have been cut off."""
    return length - 2 <= len(raw.partition(b"\0")[0]) < length


def _shown(title: str, length: int) -> Shown:
    line = title[len(_TITLE) :].partition("\0")[0]
    text, mark, _rest = line.rpartition(_MARK)
    if mark:
        return Shown(text, True, len(text.encode("utf-8", "surrogateescape")) + 1)
    # Cut off somewhere, perhaps within the mark: it has no more than all the words had.
    known_bytes = line.encode("utf-8", "surrogateescape")[: max(length - 1, 0)]
    text = known_bytes.decode("utf-8", "surrogateescape")
    return Shown(text, len(known_bytes) == length - 1, length)


def fits(words: Sequence[str], shown: Shown) -> bool:
    """Return whether ``words`` (sequence of str) are as long as what is ``shown`` (Shown), and look so."""
    joined = " ".join(words)
    same = joined == shown.text if shown.whole else joined.startswith(shown.text)
    return same and len(joined.encode("utf-8", "surrogateescape")) + 1 == shown.length


#: Where an option can begin.
_OPTION = re.compile(rf" (?=-[{_WITH}{_WITHOUT}])")


def _read(shown: Shown, config: str) -> CommandLine:
    """
    Return what the title can mean. Without arguments it can mean one thing only; otherwise an argument is taken to end
    where an option can begin.
    """
    # Cut off where an option begins, what stands before it is whole.
    program, *rest = _OPTION.split(shown.text if shown.whole else re.sub(r" -?$", "", shown.text))
    words = [program, *(word for one in rest for word in _words(one))]
    sure = shown.whole and all(letter in _WITHOUT for letter, _value in parsed(words[1:]) or [("f", None)])
    if not rest and shown.whole:
        sure = " " not in program
    if shown.whole or not words[1:]:
        return CommandLine(tuple(words), sure, shown.whole)
    letters = re.match(rf"-[{_WITHOUT}]*f", words[-1])
    for candidate in ([*words[:-1], config], [*words[:-1], (letters[0] if letters else "") + config]):
        if fits(candidate, shown):
            return CommandLine(tuple(candidate), sure=False)
    return CommandLine(tuple(words), sure=False, whole=False)


def _words(option: str) -> Iterator[str]:
    """Yield the words that ``option`` (str) is: its letters, and its argument if that stands behind a space."""
    letters, space, argument = option.partition(" ")
    yield letters
    if space:
        yield argument


def environment(text: str) -> dict[str, str]:
    """
    Return the variables that a file such as ``/etc/default/ssh`` sets (dict of str): systemd.exec(5), EnvironmentFile;
    for a shell script it means the same.
    """
    found = {}
    for line in text.replace("\\\n", " ").splitlines():
        name, equals, value = line.strip().removeprefix("export ").partition("=")
        if not equals or not re.fullmatch(r"\w+", name.strip(), re.ASCII):
            continue
        value = value.strip()
        try:
            found[name.strip()] = " ".join(shlex.split(value)) if value[:1] in ("'", '"') else value
        except ValueError:
            continue
    return found


_VARIABLE = re.compile(r"\$(?:\$|\{(\w+)\})")


def expanded(words: Sequence[str], variables: Mapping[str, str]) -> list[str]:
    """
    Return the words of an ExecStart (sequence of str) with the values of its ``variables`` (dict of str), as systemd
    has it: ``$NAME`` alone becomes the words of the value, ``${NAME}`` the value as it is (systemd.service(5)).
    """
    found: list[str] = []
    for word in words:
        if re.fullmatch(r"\$\w+", word, re.ASCII):
            found += split(variables.get(word[1:], ""))
        else:
            found.append(_VARIABLE.sub(lambda name: variables.get(name[1], "") if name[1] else "$", word))
    return found


def split(value: str) -> list[str]:
    """Return the words of a value (str): quoted ones are one, unless the quotes do not fit."""
    try:
        return shlex.split(value)
    except ValueError:
        return value.split()
