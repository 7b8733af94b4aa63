"""
The language of rsyslog.conf, old and new: text to statements, as rsyslog's own lexer and grammar take it apart.

Where rsyslog would refuse a line, or where this is not sure what it would do, the rest of the text is one statement
that nobody can weigh. Sources: grammar/lexer.l and grammar/grammar.y.
"""

from __future__ import annotations

import bisect
import re
import typing
from collections.abc import Iterable, Iterator, Mapping

from sshtrail_lib.compliance import filters
from sshtrail_lib.compliance.filters import Filter

Lines = tuple[tuple[str, str], ...]


class Statement(typing.NamedTuple):
    """
    One statement of rsyslog's.

    kind
        ``if``, ``action``, ``stop``, ``call``, ``perhaps`` (what comes in it may be done or not), ``ruleset``,
        ``template``, ``unweighed``, or the name of another object, such as ``module`` (str).
    place
        Where it begins (str): file and line; ``said`` that line (str).
    parameters
        Those of an object or an action, names in lower case (dict of str); those of an action of the old language are
        named as the same ones of the new. ``call`` has the ``name`` of the ruleset.
    before
        What the directives before an action say (dict of their names in lower case to value and place), and ``old``
        whether it is of the old language, for which most of them are (bool).
    fits
        The filter of an ``if``, None for others; ``then`` and ``otherwise`` are what is done (tuple of Statement).
    """

    kind: str
    place: str
    said: str = ""
    parameters: Mapping[str, str] = {}
    before: Mapping[str, tuple[str, str]] = {}
    old: bool = False
    fits: Filter | None = None
    then: tuple[Statement, ...] = ()
    otherwise: tuple[Statement, ...] = ()


class Known(typing.NamedTuple):
    """
    A configuration: its ``rulesets`` (dict of name in lower case to a tuple of :class:`Statement`), its other
    ``objects`` (tuple of the same), its ``directives`` (tuple of name in lower case, value and place), and where it
    cannot be weighed (str: place and line), empty where it can.
    """

    rulesets: Mapping[str, tuple[Statement, ...]]
    objects: tuple[Statement, ...]
    directives: tuple[tuple[str, str, str], ...]
    broken: str


DEFAULT = "rsyslog_defaultruleset"
#: What the module that writes files has been told of their mode, as if it were a directive.
OF_THE_MODULE = "omfile filecreatemode"
#: The statements that a script may have within each other.
DEEPEST = 60
OBJECTS = (
    "main_queue|timezone|parser|global|template|ruleset|property|constant|input|module|lookup_table|dyn_stats"
    "|perc(?:en)?tile_stats|ratelimit|include|action"
)
#: What rsyslog's lexer looks for outside of objects and expressions: the longest is taken, the first of several.
WORDS = [
    (kind, re.compile(said, re.IGNORECASE | re.MULTILINE | re.DOTALL))
    for kind, said in (
        *(("word", word) for word in ("if", "foreach", "stop", "else", "call", "call_indirect", "continue")),
        *(("word", word) for word in ("set", "reset", "unset", "&", r"\{", r"\}", "reload_lookup_table")),
        ("object", rf"({OBJECTS})[ \n\t]*\("),
        ("property", r'^[ \t]*:\$?[a-z-]+[ ]*,[ ]*!?[a-z]+[ ]*,[ ]*"(?:\\"|[^"])*"'),
        ("priority", r"^[ \t]*[*a-z][*a-z]*[0-7]*[.,][,!=;.*a-z0-7]+"),
        *(("old", one) for one in (r"[~*]", r"-/[^*\n][^\n]*", r"/[^*\n][^\n]*", r":[a-z0-9]+:[^\n]*")),
        *(("old", one) for one in (r"[|.@^?~>-][^\n]+", r"[a-z0-9_][a-z0-9_\-+,;]*")),
        ("space", r"/\*.*?(?:\*/|\Z)"),
        ("space", r"#[^\n]*"),
        ("space", r"[ \t\n]+"),
        ("directive", r"\$[a-z]+[^\n]*"),
        # Blocks of BSD's syslogd: rsyslog says that it has them no more, and passes over the line.
        ("space", r"![^ \t\n]+[ \t]*$|[+-]\*[ \t]*(?:#[^\n]*)?$|^[ \t]*[+-][a-z0-9.:-]+[ \t]*$"),
    )
]
NAME = re.compile(r"[a-z][a-z0-9_.]*", re.IGNORECASE)
VALUE = re.compile(r'"(?:[^"\\]|\\.)*"|`(?:[^`\\]|\\.)*`', re.DOTALL)
FILLING = re.compile(r"(?:[ \n\t]|#[^\n]*|/\*.*?(?:\*/|\Z))*", re.DOTALL)
#: Some releases take no name of one letter.
CALLED = re.compile(r"[ \t\n]*([a-z][a-z0-9_.-]+)", re.IGNORECASE)
DIRECTIVE = re.compile(r"\$(\w+)\s*(.*)", re.DOTALL)
#: The actions of the old language: the module that takes each, and its parameters.
#: Where anything else follows rsyslog refuses the action.
TEMPLATE = r"[ \t]*(?:;[ \t]*(?P<template>[^\s#]*).*|#.*)?\Z"
TARGET = r"(?P<target>\[[^\]]*\]|[^:;\s#]+)(?::[^;\s]*)?"
OLD = [
    (module, re.compile(said, re.DOTALL))
    for module, said in (
        *(("omdiscard", "~"), ("omfile", rf"-?(?P<file>/[^; ]*){TEMPLATE}")),
        ("omfile", rf":omfile:(?P<file>\$[^; \t]+){TEMPLATE}"),
        ("omfile", rf"-?\?(?P<dynafile>[^; \t]+){TEMPLATE}"),
        ("omrelp", rf":omrelp:{TARGET}{TEMPLATE}"),
        ("omfwd", rf"(?P<sign>@@?)(?:\([^)]*\))?{TARGET}{TEMPLATE}"),
        *(("ompipe", r"\|"), ("omprog", r"\^"), ("omusrmsg", r":omusrmsg:|\*|[a-z0-9_]")),
    )
]


def joined(lines: Iterable[tuple[str, str]]) -> Lines:
    """Return lines (of ``(place, line)``) with each that a backslash at the end of the one before joins to it."""
    found: list[tuple[str, str]] = []
    for place, line in lines:
        if found and found[-1][1].endswith("\\"):
            begun, before = found.pop()
            place, line = begun, before[:-1] + line.lstrip()
        found.append((place, line.rstrip()))
    return tuple(found)


def read(lines: Lines) -> Known:
    """Return what a configuration says (:class:`Known`), whose included files stand in it where they are included."""
    reader = _Reader(joined(lines))
    rulesets: dict[str, list[Statement]] = {DEFAULT: []}
    objects, current, broken = [], DEFAULT, ""
    for one in reader.whole():
        if one.kind == "ruleset":
            name = one.parameters.get("name", "").lower()
            rulesets.setdefault(name, []).extend(one.then)
            objects.append(one)
        elif one.kind == "current":
            current = one.parameters["name"].lower()
            rulesets.setdefault(current, [])
        elif one.kind in STEPS:
            rulesets[current].append(one)
            broken = broken or (f"{one.place}: {one.said}" if one.kind == "unweighed" else "")
        else:
            objects.append(one)
    named = {name: tuple(several) for name, several in rulesets.items()}
    return Known(named, tuple(objects), tuple(reader.directives), broken)


#: What is done with a message, one after the other.
STEPS = ("if", "action", "stop", "call", "perhaps", "unweighed")


def steps(statements: Iterable[Statement]) -> Iterator[Statement]:
    """Yield these statements (iterable of Statement) and all that are in them, in the order of their lines."""
    for one in statements:
        yield one
        yield from steps((*one.then, *one.otherwise))


def actions(known: Known) -> list[Statement]:
    """Return all actions of a configuration (list of Statement), of whichever ruleset."""
    return [one for several in known.rulesets.values() for one in steps(several) if one.kind == "action"]


class _Reader:
    """Reads statements from lines (tuple of ``(place, line)``)."""

    def __init__(self, lines: Lines) -> None:
        self.lines = lines
        self.text = "\n".join(line for _place, line in lines)
        self.starts = [0]
        for _place, line in lines:
            self.starts.append(self.starts[-1] + len(line) + 1)
        self.at = 0
        self.directives: list[tuple[str, str, str]] = []

    def whole(self) -> Iterator[Statement]:
        """Yield the statements of all, up to one that nobody can weigh."""
        while self.peek()[0] != "end":
            began = self.at
            try:
                found = self.statement(0)
            except (filters.Refused, RecursionError):
                yield Statement("unweighed", *self.placed(max(began, min(self.at, len(self.text) - 1))))
                return
            yield from found

    def placed(self, at: int) -> tuple[str, str]:
        line = max(0, min(bisect.bisect_right(self.starts, at), len(self.lines)) - 1)
        return self.lines[line] if self.lines else ("", "")

    def peek(self) -> tuple[str, str]:
        """Return the next word (str) and its kind (str): space is passed over, and directives are noted."""
        while True:
            found = [(kind, match[0]) for kind, one in WORDS if (match := one.match(self.text, self.at)) and match[0]]
            if not found:
                return ("end", "") if self.at >= len(self.text) else ("wrong", self.text[self.at])
            kind, said = max(found, key=lambda one: len(one[1]))
            if kind == "directive" and (match := DIRECTIVE.match(said)) and match[1].lower() != "ruleset":
                value = (match[2].split() or [""])[0] if match[1].lower() != "template" else match[2]
                self.directives.append((match[1].lower(), value, self.placed(self.at)[0]))
            elif kind != "space":
                return kind, said
            self.at += len(said)

    def take(self, *wanted: str) -> tuple[str, str]:
        kind, said = self.peek()
        if wanted and said.lower() not in wanted:
            raise filters.Refused(f"{said} is not expected")
        self.at += len(said)
        return kind, said

    def statement(self, depth: int) -> list[Statement]:
        """Return the next statement (list of Statement: one of actions has several, one that does nothing none)."""
        kind, said = self.peek()
        place = self.placed(self.at + len(said) - len(said.lstrip()))
        if depth > DEEPEST or kind == "wrong":
            raise filters.Refused("nothing that rsyslog takes")
        if kind in ("property", "priority"):
            self.take()
            fits = (filters.by_property if kind == "property" else filters.by_priority)(said.strip())
            return [Statement("if", *place, fits=fits, then=self.block(depth))]
        if kind == "directive":
            self.take()
            return [Statement("current", *place, parameters={"name": (said.split()[1:] or [""])[0]})]
        if kind == "word" and said.lower() in ("if", "foreach", "set", "reset", "unset", "reload_lookup_table"):
            return self.scripted(depth)
        if kind == "object" and not said.lower().startswith("action"):
            return self.object(depth)
        found = self.action()
        while self.peek()[1] == "&":
            self.take()
            found += self.action()
        return found

    def block(self, depth: int, empty: bool = False) -> tuple[Statement, ...]:
        if self.peek()[1] != "{":
            return tuple(self.statement(depth + 1))
        self.take()
        found: list[Statement] = []
        some = False
        while self.peek()[1] != "}":
            if self.peek()[0] == "end":
                raise filters.Refused("a block that does not end")
            found += self.statement(depth + 1)
            some = True
        self.take()
        if not some and not empty:
            raise filters.Refused("a block without anything")
        return tuple(found)

    def scripted(self, depth: int) -> list[Statement]:
        place = self.placed(self.at)
        word = self.take()[1].lower()
        if word == "foreach":
            self.skip("do")
            return [Statement("perhaps", *place, then=self.block(depth))]
        if word != "if":
            self.skip(")" if word == "reload_lookup_table" else ";")
            return []
        fits, end, self.at = filters.expression(self.text, self.at)
        if end != "then":
            raise filters.Refused("an if without then")
        then = self.block(depth)
        otherwise: tuple[Statement, ...] = ()
        if self.peek()[1].lower() == "else":
            self.take()
            otherwise = self.block(depth)
        return [Statement("if", *place, fits=fits, then=then, otherwise=otherwise)]

    def skip(self, end: str) -> None:
        """Go behind the end (str) of something whose value does not matter here."""
        while match := filters.TOKENS.match(self.text, self.at):
            self.at = match.end()
            if match[0].lower() == end:
                return
        raise filters.Refused(f"{end} is missing")

    def object(self, depth: int) -> list[Statement]:
        place = self.placed(self.at)
        kind = re.split(r"[ \n\t(]", self.take()[1].lower())[0]
        parameters = self.parameters()
        then: tuple[Statement, ...] = ()
        if kind == "template" and self.peek()[1] == "{":
            began = self.at
            self.parts()
            parameters = {**parameters, "list": self.text[began : self.at]}
        if kind == "ruleset":
            if self.peek()[1] != "{":
                raise filters.Refused("a ruleset without a block")
            then = self.block(depth, empty=True)
        if kind == "include" and "file" not in parameters and _on(parameters):
            raise filters.Refused("what is included is no file")
        if kind == "include" or not _on(parameters):
            return []
        if (
            kind == "module"
            and parameters.get("load", "").lower() == "builtin:omfile"
            and "filecreatemode" in parameters
        ):
            # Of several the first counts.
            known = [one for one in self.directives if one[0] == OF_THE_MODULE]
            self.directives += [] if known else [(OF_THE_MODULE, parameters["filecreatemode"], place[0])]
        return [Statement(kind, *place, parameters=parameters, then=then)]

    def parts(self) -> None:
        self.take("{")
        while self.peek()[1] != "}":
            if self.take()[0] != "object":
                raise filters.Refused("no part of a template")
            self.parameters()
        self.take()

    def parameters(self) -> dict[str, str]:
        """Return the parameters of an object (dict of str) whose bracket has been opened; of a list its words."""
        found: dict[str, str] = {}
        while True:
            self.fill()
            if self.text.startswith(")", self.at):
                self.at += 1
                return found
            name = self.matched(NAME)
            self.fill()
            self.sign("=")
            self.fill()
            found[name.lower()] = self.value()

    def value(self) -> str:
        if not self.text.startswith("[", self.at):
            return _unquoted(self.matched(VALUE))
        found = []
        while not self.text.startswith("]", self.at):
            self.at += 1
            self.fill()
            found.append(_unquoted(self.matched(VALUE)))
            self.fill()
            if self.text[self.at : self.at + 1] not in (",", "]"):
                raise filters.Refused("a list that does not end")
        self.at += 1
        return " ".join(found)

    def fill(self) -> None:
        match = FILLING.match(self.text, self.at)
        self.at = match.end() if match else self.at

    def sign(self, sign: str) -> None:
        if not self.text.startswith(sign, self.at):
            raise filters.Refused(f"{sign} is missing")
        self.at += len(sign)

    def matched(self, pattern: re.Pattern[str]) -> str:
        match = pattern.match(self.text, self.at)
        if not match:
            raise filters.Refused("no parameter")
        self.at = match.end()
        return match[0]

    def action(self) -> list[Statement]:
        kind, said = self.take()
        place, word = self.placed(self.at - len(said.lstrip())), said.lower()
        if kind == "object" and word.startswith("action"):
            parameters = self.parameters()
            whole = Statement("action", *place, parameters=parameters, before=self.before())
            return [whole] if _on(parameters) else []
        if kind == "old":
            return self.old(said, place)
        if kind != "word" or word not in ("stop", "call", "call_indirect", "continue"):
            raise filters.Refused(f"{said} is no action")
        if word == "call_indirect":
            self.skip(";")
            return [Statement("unweighed", *place)]
        if word == "call":
            return [Statement("call", *place, parameters={"name": self.matched(CALLED).strip().lower()})]
        return [Statement("stop", *place)] if word == "stop" else []

    def before(self) -> dict[str, tuple[str, str]]:
        return {name: (value, where) for name, value, where in self.directives}

    def old(self, said: str, place: tuple[str, str]) -> list[Statement]:
        before = self.before()
        for module, pattern in OLD:
            match = pattern.match(said)
            if match:
                named = {name: value for name, value in match.groupdict().items() if value is not None}
                if "sign" in named:
                    named["protocol"] = {"@": "udp", "@@": "tcp"}[named.pop("sign")]
                if module == "omdiscard":
                    return [Statement("stop", *place)]
                return [Statement("action", *place, parameters={"type": module, **named}, before=before, old=True)]
        return [Statement("action", *place, parameters={"type": "other"}, before=before, old=True)]


def _on(parameters: Mapping[str, str]) -> bool:
    # Of what is switched off rsyslog takes nothing.
    return parameters.get("config.enabled", "on").lower() == "on"


def _unquoted(said: str) -> str:
    # What a shell would make of it is known to rsyslog alone.
    return re.sub(r"\\(.)", r"\1", said[1:-1]) if said[0] == '"' else said
