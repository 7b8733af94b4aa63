"""
What the keys of a pillar take: each kind for a person, and its check.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Callable, Iterable, Iterator

from salt.exceptions import SaltException

from sshtrail_lib.base import text

#: Plain containers, as YAML makes them.
Tree = dict[str, typing.Any]
#: Takes a value, its path in the pillar and the problems so far; returns a plain copy and adds to the problems.
Check = Callable[[typing.Any, str, list[str]], typing.Any]

A_DAY = 86400
#: Of a package or a service: it goes into command lines and paths.
A_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@+-]{0,254}")
#: What no SLS file hands on as it is: control characters, what YAML takes for the end of a line, halves of characters.
NO_TEXT = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff\ufeff\ufffe\uffff]")


class Kind(typing.NamedTuple):
    """What a key takes, for a person (str), and the check of that."""

    takes: str
    check: Check


class Key(typing.NamedTuple):
    """One key of the pillar: what it takes (:class:`Kind`), and what it means (str, sentences)."""

    kind: Kind
    means: str


def allowed(key: object, names: Iterable[str]) -> str:
    """Return what may stand where somebody wrote ``key``, with the name that is most like it (str)."""
    near = difflib.get_close_matches(str(key), list(names), 1)
    hint = f"did you mean {near[0]}? " if near else ""
    return f"{hint}allowed are {', '.join(sorted(names))}"


def is_mapping(value: object, path: str, problems: list[str]) -> bool:
    """Tell whether a value is a mapping (bool); another one is a problem."""
    if not isinstance(value, dict):
        problems.append(f"{path} must be a mapping, not {named(value)}.")
    return isinstance(value, dict)


def named(value: object) -> str:
    """Return what kind of value YAML made (str), for a person."""
    kinds = {bool: "yes/no", str: "text", type(None): "empty", int: "a number", float: "a number"}
    if value == "":
        return "an empty text"
    name = next((name for kind, name in kinds.items() if isinstance(value, kind)), None)
    return name or ("a mapping" if isinstance(value, dict) else "a list")


def shown(value: typing.Any) -> str:
    """Return a value as one line for a person (str): as YAML has it, whoever wrote it, and however long it is."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return text.line(repr(value))


def plain(value: typing.Any) -> typing.Any:
    """Copy what may be one of Salt's masked containers into plain ones."""
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list) else value


def no_text(value: typing.Any, path: str) -> Iterator[str]:
    """Yield a problem (str) for each text below ``path`` (str), keys included, with a character of :data:`NO_TEXT`."""
    if isinstance(value, str) and NO_TEXT.search(value):
        yield f"{text.line(path)} has a character that is no text: {shown(value)}."
    elif isinstance(value, dict):
        for name, one in value.items():
            yield from no_text(name, path)
            yield from no_text(one, f"{path}:{name}")
    elif isinstance(value, list):
        for number, one in enumerate(value):
            yield from no_text(one, f"{path}:{number}")


def told_by(validate: Callable, arguments: tuple, path: str, problems: list[str]) -> None:
    """Let the language that owns a value judge it (``validate``), and say where in the pillar it stands."""
    try:
        validate(*arguments)
    except SaltException as exc:
        # Some end as a sentence does, and another problem may follow.
        end = "" if exc.message.endswith((".", "?")) else "."
        problems.append(f"{path}: {exc.message}{end}")


def one_of(*names: str) -> Kind:
    """Return the :class:`Kind` of a key that takes one of some words (str)."""

    def check(value, path, problems):
        if value not in names:
            problems.append(f"{path} is {shown(value)}; {allowed(value, names)}.")
        return value

    return Kind(f"one of {', '.join(names)}", check)


def list_of(check: Check) -> Check:
    """Return the check of a list, each of whose items is checked by ``check``."""

    def checked(value, path, problems):
        if not isinstance(value, list):
            problems.append(f"{path} must be a list, not {named(value)}.")
            return []
        return [check(item, f"{path}:{number}", problems) for number, item in enumerate(value)]

    return checked


def judged(validate: Callable) -> Check:
    """Return the check of a text that the language which owns it judges (``validate``)."""

    def check(value, path, problems):
        before = len(problems)
        _text(value, path, problems)
        if len(problems) == before:
            told_by(validate, (value,), path, problems)
        return value

    return check


def absolute(value: typing.Any, path: str, problems: list[str]) -> typing.Any:
    """Check an absolute path of a file (see :data:`Check`)."""
    if not isinstance(value, str) or not value.startswith("/"):
        problems.append(f"{path} must be an absolute path, not {shown(value)}.")
    elif value.endswith("/") or not value.isprintable():
        problems.append(f"{path} must be the path of a file, on one line, not {shown(value)}.")
    return value


def _rules_file(value, path, problems):
    before = len(problems)
    absolute(value, path, problems)
    if len(problems) == before and not value.endswith(".rules"):
        problems.append(f"{path} must end in .rules, or augenrules passes over it, not {shown(value)}.")
    return value


def _text(value, path, problems):
    if not isinstance(value, str) or not value:
        problems.append(f"{path} must be text, not {named(value)}.")
    elif not value.isprintable():
        problems.append(f"{path} must be text on one line, not {shown(value)}.")
    return value


def _name(value, path, problems):
    if not isinstance(value, str) or not A_NAME.fullmatch(value):
        problems.append(f"{path} must be a name of letters, digits and the signs _ . : @ + -, not {shown(value)}.")
    return value


def _flag(value, path, problems):
    if not isinstance(value, bool):
        problems.append(f"{path} must be true or false, not {shown(value)}.")
    return value


def _seconds(value, path, problems):
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= A_DAY:
        problems.append(f"{path} must be a number of seconds from 0 to {A_DAY}, not {shown(value)}.")
    return value


def _account(value, path, problems):
    if not isinstance(value, str) or not value or any(letter.isspace() for letter in value):
        problems.append(f"{path} must be the name of an account, without white space, not {shown(value)}.")
    return value


TEXT = Kind("text", _text)
NAME = Kind("name of letters, digits and the signs _ . : @ + -", _name)
TEXTS = Kind("list of texts", list_of(_text))
ACCOUNTS = Kind("list of names of accounts", list_of(_account))
PATH = Kind("absolute path", absolute)
RULES_FILE = Kind("absolute path that ends in .rules", _rules_file)
FLAG = Kind("true or false", _flag)
SECONDS = Kind(f"seconds, a whole number from 0 to {A_DAY}", _seconds)
