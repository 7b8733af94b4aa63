"""
The filters of rsyslog, and of which messages it is certain that they fit, or do not.

Of a message of this host its facility, its priority and where it comes from are known here, and nothing of what it
says. Sources: DecodePRIFilter in runtime/conf.c, grammar/lexer.l, grammar/grammar.y and grammar/rainerscript.c.
"""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Callable, Iterator

FACILITIES = {
    **{"kern": 0, "user": 1, "mail": 2, "daemon": 3, "auth": 4, "security": 4, "syslog": 5, "lpr": 6, "news": 7},
    **{"uucp": 8, "cron": 9, "authpriv": 10, "ftp": 11, "ntp": 12, "bsd_security": 13, "console": 14, "mark": 24},
    **{f"local{number}": 16 + number for number in range(8)},
}
PRIORITIES = {
    **{"emerg": 0, "panic": 0, "alert": 1, "crit": 2, "err": 3, "error": 3, "warning": 4, "warn": 4},
    **{"notice": 5, "info": 6, "debug": 7},
}
#: What log messages of a host may have; the others are rsyslog's own.
COMMON = (*range(12), *range(16, 24))
LEVELS = tuple(range(8))
ALL = 0xFF
#: How rsyslog itself names each.
NAMES = {number: name for name, number in reversed([*FACILITIES.items()])}
LEVEL_NAMES = ("emerg", "alert", "crit", "err", "warning", "notice", "info", "debug")
#: What is known of where a message of this host comes from.
ORIGIN = {"fromhost-ip": ("127.0.0.1",), "inputname": ("imuxsock", "imjournal", "imklog")}


class Refused(ValueError):
    """rsyslog refuses it, or it is nothing that is known here."""


class Message(typing.NamedTuple):
    """What is known of one: its ``facility`` and ``priority`` (int)."""

    facility: int
    priority: int


#: Whether a message fits (bool), None where it depends on what it says.
Filter = Callable[[Message], "bool | None"]


# --- The old language ---------------------------------------------------------------------------------------------


def by_priority(said: str) -> Filter:
    """
    Return the filter that a selector (str) is, such as ``auth,authpriv.*;mail.none``.

    Raises Refused for names that rsyslog does not know.
    """
    # Releases differ in what taking away from nothing comes to.
    several = [selected(said, nothing) for nothing in (0, ALL)]
    return lambda message: _one({bool(masks.get(message.facility, 0) >> message.priority & 1) for masks in several})


def selected(said: str, nothing: int = ALL) -> dict[int, int]:
    """
    Return which priorities (int, a bit for each) of which facility (int) a selector (str) takes; as for that.

    nothing
        From what (int) a ``!`` takes away where nothing has been taken before.
    """
    masks: dict[int, int] = {}
    left = said.strip()
    while left:
        names, _, rest = left.partition(".")
        # A comma ends a priority as a semicolon does: "auth.*,authpriv.*" is two of them.
        priority = re.match(r"[^ \t,;]*", rest)
        level = priority[0] if priority else ""
        left = rest[len(level) :].lstrip(",;")
        for name in re.split(r"[, ]+", names.lower().strip(", ")):
            for facility in range(25) if name.startswith("*") else [_numbered(name, FACILITIES)]:
                masks[facility] = _changed(masks.get(facility, 0), level.lower(), nothing)
    return masks


def _numbered(name: str, names: dict[str, int]) -> int:
    if name.isdecimal():
        return int(name) >> 3 if names is FACILITIES else int(name)
    if name not in names:
        raise Refused(f"{name} is none of rsyslog's names")
    return names[name]


def _changed(mask: int, level: str, nothing: int) -> int:
    """Return what a priority (str: with its signs) makes of the priorities (int) that were taken before."""
    without, level = level.startswith("!"), level.removeprefix("!")
    only, level = level.startswith("="), level.removeprefix("=")
    if level == "none":
        return ALL if without else 0
    if level == "*":
        return 0 if without else ALL
    number = _numbered(level, PRIORITIES)
    bits = 1 << number if only else (2 << number) - 1
    return (mask or nothing) & ~bits if without else mask | bits


PROPERTY = re.compile(r'\s*:(\$?[a-z-]+) *, *(!?)([a-z]+) *, *"((?:\\"|[^"])*)"', re.IGNORECASE | re.DOTALL)


def by_property(said: str) -> Filter:
    """Return the filter that a line such as ``:msg, contains, "x"`` (str) begins with; raises Refused."""
    match = PROPERTY.match(said)
    if not match or match[3].lower() not in PROPERTY_TESTS:
        raise Refused("rsyslog has no such comparison")
    name, negated, test, wanted = match[1].lower(), bool(match[2]), PROPERTY_TESTS[match[3].lower()], match[4]

    def fits(message: Message) -> bool | None:
        values = _known(name, message)
        told = _one({test(str(value), wanted.replace('\\"', '"')) for value in values} if values else {None})
        return told if told is None else told is not negated

    return fits


#: rsyslog's comparisons of the old language; what a regular expression fits is not for here to say.
PROPERTY_TESTS: dict[str, Callable[[str, str], bool | None]] = {
    "contains": lambda value, wanted: wanted in value,
    "isequal": lambda value, wanted: value == wanted,
    "startswith": lambda value, wanted: value.startswith(wanted),
    "endswith": lambda value, wanted: value.endswith(wanted),
    "isempty": lambda value, _wanted: not value,
    **dict.fromkeys(("regex", "ereregex"), lambda _value, _wanted: None),
}


def _known(name: str, message: Message) -> tuple[typing.Any, ...]:
    """Return the values that a property (str) of a message can have (tuple), empty where that is not known here."""
    facility, level = message.facility, LEVEL_NAMES[message.priority]
    known = {
        **{"syslogfacility": (facility,), "syslogfacility-text": (NAMES.get(facility, str(facility)),)},
        **dict.fromkeys(("syslogseverity", "syslogpriority"), (message.priority,)),
        **dict.fromkeys(("syslogseverity-text", "syslogpriority-text"), (level,)),
        "pri": (facility * 8 + message.priority,),
    }
    return known.get(name, ORIGIN.get(name, ()))


def _one(told: set[bool | None]) -> bool | None:
    """Return what all of them say (bool), None where they do not agree or one does not know."""
    return next(iter(told)) if len(told) == 1 else None


# --- The new language ---------------------------------------------------------------------------------------------

TOKENS = re.compile(
    r"""(?P<space>[ \t\n]+|/\*.*?\*/)|(?P<number>0x[0-9a-f]+|0[0-7]+|[1-9]\d*|0)
    |(?P<name>\$[$!./]?[@a-z_]*[!@a-z0-9_.\[\]-]*)|(?P<string>'(?:[^'\\]|\\.)*'|"(?:[^"\\$]|\\.)*")
    |(?P<shell>`(?:[^`\\]|\\.)*`)|(?P<word>[a-z][a-z0-9_]*)|(?P<sign>==|<=|>=|!=|<>|[=,*/%+&\[\]()<>;-])""",
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
ENDS = ("then", "do", ";")
COMPARES = ("==", "<=", ">=", "!=", "<>", "<", ">", "contains", "contains_i", "startswith", "startswith_i", "endswith")
#: How strongly each binds: and is no stronger than or.
BINDS = {**dict.fromkeys(("and", "or"), 1), **dict.fromkeys(COMPARES, 2), **dict.fromkeys("+-&", 3)}
BINDS |= dict.fromkeys("*/%", 4)
STRONGEST, DEEPEST = 5, 50
Token = tuple[str, str]
#: Tells the values that a part of an expression can have (frozenset), None where that depends on the message.
Part = Callable[[Message], "frozenset | None"]


def expression(said: str, at: int) -> tuple[Filter, str, int]:
    """
    Return the filter that the text (str) has from a place (int) on, the word that ends it, and where that ends (int).

    Raises Refused where there is no such filter.
    """
    tokens: list[Token] = []
    while match := TOKENS.match(said, at):
        at, kind = match.end(), str(match.lastgroup)
        word = match[0].lower() if kind in ("word", "sign", "name") else match[0]
        if kind in ("word", "sign") and word in ENDS:
            return _filter(_Reader(tokens).whole()), word, at
        if kind != "space":
            tokens.append((kind, word))
    raise Refused("an expression that does not end")


def _filter(part: Part) -> Filter:
    return lambda message: _truth(part(message))


class _Reader:
    """Reads an expression from its tokens (list), by how strongly its operators bind."""

    def __init__(self, tokens: list[Token]) -> None:
        self.left: Iterator[Token] = iter(tokens)
        self.now: Token = next(self.left, ("end", ""))

    def whole(self) -> Part:
        found = self.part(1)
        if self.now[0] != "end":
            raise Refused(f"{self.now[1]} in an expression")
        return found

    def take(self, *wanted: str) -> Token:
        found = self.now
        if wanted and found[1] not in wanted:
            raise Refused(f"{found[1]} in an expression")
        self.now = next(self.left, ("end", ""))
        return found

    def part(self, strength: int, depth: int = 0) -> Part:
        if depth > DEEPEST:
            raise Refused("an expression that is too deep")
        found = self.single(depth)
        while self.now[0] != "string" and BINDS.get(self.now[1], 0) >= strength:
            sign = self.take()[1]
            found = _joined(sign, found, self.part(BINDS[sign] + 1, depth + 1))
        return found

    def single(self, depth: int) -> Part:
        kind, word = self.take()
        if kind == "number":
            return _constant(int(word, 16 if word[:2].lower() == "0x" else 8 if word[0] == "0" else 10))
        if kind == "string":
            return _constant(re.sub(r"\\(.)", r"\1", word[1:-1]))
        if kind == "name":
            return lambda message: frozenset(_known(word[1:], message)) or None
        if kind == "word" and word == "not":
            inner = self.part(STRONGEST, depth + 1)
            return lambda message: _values(_not(_truth(inner(message))))
        if word == "(":
            inner = self.part(1, depth + 1)
            self.take(")")
            return inner
        return self.other(kind, word, depth)

    def other(self, kind: str, word: str, depth: int) -> Part:
        if word == "[":
            return self.several()
        if word == "-" and kind == "sign":
            self.part(STRONGEST, depth + 1)
            return _unknown
        if kind == "shell":
            return _unknown
        if kind != "word":
            raise Refused(f"{word or 'nothing'} in an expression")
        return self.call(word, depth)

    def several(self) -> Part:
        found = []
        while self.now[1] != "]" or self.now[0] == "string":
            kind, word = self.take()
            found += [re.sub(r"\\(.)", r"\1", word[1:-1])] if kind == "string" else []
            if kind == "end":
                raise Refused("a list that does not end")
        self.take("]")
        return _Several(found)

    def call(self, name: str, depth: int) -> Part:
        self.take("(")
        given: list[Token] = []
        while self.now[1] != ")":
            given.append(self.now)
            self.part(1, depth + 1)
            if self.now[1] == ",":
                self.take()
        self.take(")")
        if name == "prifilt" and len(given) == 1 and given[0][0] == "string":
            chosen = by_priority(given[0][1][1:-1])
            return lambda message: _values(chosen(message))
        return _unknown


class _Several:
    """A list of strings: one that equals any of them equals it."""

    def __init__(self, items: list[str]) -> None:
        self.items = items

    def __call__(self, _message: Message) -> frozenset | None:
        return None


def _unknown(_message: Message) -> frozenset | None:
    return None


def _constant(value: typing.Any) -> Part:
    return lambda _message: frozenset([value])


def _values(told: bool | None) -> frozenset | None:
    return None if told is None else frozenset([int(told)])


def _truth(values: frozenset | None) -> bool | None:
    return None if values is None else _one({bool(one) if isinstance(one, int) else None for one in values})


def _not(told: bool | None) -> bool | None:
    return None if told is None else not told


def _joined(sign: str, left: Part, right: Part) -> Part:
    if sign in ("and", "or"):
        return lambda message: _values(_both(sign == "and", _truth(left(message)), _truth(right(message))))
    if sign not in COMPARES:
        return _unknown
    if isinstance(right, _Several):
        every, items = sign in ("!=", "<>"), right.items
        # None of them is meant where it is said that it differs.
        return lambda message: _values(_any(every, [_compared(sign, left(message), frozenset([one])) for one in items]))
    return lambda message: _values(_compared(sign, left(message), right(message)))


def _both(every: bool, one: bool | None, other: bool | None) -> bool | None:
    decides = not every
    return decides if decides in (one, other) else None if None in (one, other) else every


def _any(every: bool, told: list[bool | None]) -> bool | None:
    found: bool | None = every
    for one in told:
        found = _both(every, found, one)
    return found


def _compared(sign: str, left: frozenset | None, right: frozenset | None) -> bool | None:
    if left is None or right is None:
        return None
    return _one({_compare(sign, *pair) for pair in itertools.product(left, right)})


def _compare(sign: str, one: typing.Any, other: typing.Any) -> bool | None:
    if sign in TEXTS:
        return TEXTS[sign](str(one), str(other))
    if isinstance(one, str) and isinstance(other, str):
        return SIGNS[sign]((one > other) - (one < other))
    try:
        one, other = int(one), int(other)
    except ValueError:
        # A word is no number: what rsyslog makes of it then differs from release to release.
        return None
    return SIGNS[sign]((one > other) - (one < other))


SIGNS: dict[str, Callable[[int], bool]] = {
    **{"==": lambda order: order == 0, "<=": lambda order: order <= 0, ">=": lambda order: order >= 0},
    **{"<": lambda order: order < 0, ">": lambda order: order > 0},
    **dict.fromkeys(("!=", "<>"), lambda order: order != 0),
}
TEXTS: dict[str, Callable[[str, str], bool]] = {
    "contains": lambda one, other: other in one,
    "contains_i": lambda one, other: other.lower() in one.lower(),
    "startswith": lambda one, other: one.startswith(other),
    "startswith_i": lambda one, other: one.lower().startswith(other.lower()),
    "endswith": lambda one, other: one.endswith(other),
}
