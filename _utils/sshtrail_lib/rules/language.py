"""
The language of audit rules: text ↔ :class:`Rule`, as ``auditctl -R`` reads it, and stricter where it errs.

A rule keeps the order of its parts, because the kernel tells rules apart by it. Source: auditctl(8),
audit.rules(7).
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Callable

from sshtrail_lib.base.text import HALF
from sshtrail_lib.rules import fields, words
from sshtrail_lib.rules.fields import UNSET, Part, RuleError, escape, integer, near

CONTROLS = ("-D", "-b", "-f", "-e", "-r", "-i", "-c", "-t", "-q", *words.LONG)
#: With these a load goes on after an error.
GO_ON = ("-i", "-c")
COMMANDS = ("-h", "-l", "-s", "-v", "-m", "-R")
#: Behind these auditctl reads no further in a line.
ENDS = ("-D", "-q", "-t", *GO_ON, *COMMANDS, *(name for name, value in words.LONG.items() if not value))

CONTROL_CHARACTER = re.compile(f"[\x00-\x1f\x7f{HALF}]")
LONGEST_LINE = 6142
#: What auditctl reads at once, with the end of the line: a longer one it takes for several.
AT_ONCE = LONGEST_LINE + 1
LONGEST_KEY = 256
COMMENT = re.compile(r"\s*#")
# auditctl skips spaces only; augenrules leaves out what its awk takes for a comment.
AS_READ = re.compile(r" *#")


class Rule(typing.NamedTuple):
    """
    One audit rule. ``verb`` is ``-a`` (append), ``-A`` (prepend) or ``-d`` (delete); a watch is a rule
    whose first part is ``-w``. ``str()`` gives the canonical line, which parses to the same rule.
    """

    action: str
    filter: str
    parts: tuple[Part, ...] = ()
    keys: tuple[str, ...] = ()
    verb: str = "-a"
    #: The list as somebody has written it, where that is not in small letters.
    spelled: str = ""

    def __str__(self) -> str:
        keys = [f"{'-k ' if self.watch else '-F key='}{escape(key)}" for key in self.keys]
        return " ".join([*self._head(), *map(str, self.parts[1:] if self.watch else self.parts), *keys])

    def _head(self):
        if self.watch:
            return [f"{'-W' if self.verb == '-d' else '-w'} {escape(self.watch)}"]
        return [f"{self.verb} {self.action},{self.filter}"]

    @property
    def watch(self) -> str:
        """The watched path (str), or an empty one when this is no ``-w`` rule."""
        return self.parts[0].value if self.parts and self.parts[0].option == "-w" else ""

    @property
    def syscalls(self) -> tuple[str, ...]:
        """The names or numbers of the system calls (tuple of str) as written."""
        return tuple(name for part in self.parts if part.option == "-S" for name in part.value.split(",") if name)

    def field(self, name: str) -> Part | None:
        """Return the first part about the field ``name`` (str), or None."""
        return next((part for part in self.parts if part.option == "-F" and part.name == name), None)


class Control(typing.NamedTuple):
    """A line that sets up auditing itself: ``option`` (``-b``, ``-e``, ``--backlog_wait_time`` …) and ``value``."""

    option: str
    value: str = ""

    def __str__(self) -> str:
        return f"{self.option} {self.value if self.option == '-D' else escape(self.value)}".strip()


class Line(typing.NamedTuple):
    """
    One line of a file: its ``number`` (from 1), ``text`` (of a long one the beginning) and ``value`` (:class:`Rule`,
    :class:`Control`, None); ``reason`` (str) tells why it has no value, where it is wrong.
    """

    number: int
    text: str
    value: Rule | Control | None = None
    reason: str = ""


def read(text: str) -> list[Line]:
    """
    Return the lines of a rules file (list of :class:`Line`), as auditctl takes them; comments and empty lines have no
    value, and wrong ones a reason.

    text
        Content of the file (str).
    """
    return [line for number, one in enumerate(text.split("\n"), start=1) for line in _lines(number, one)]


def _lines(number, text):
    found = taken(text)
    # What is kept of a line of megabytes is kept for each piece in which auditctl reads it.
    text = text[:AT_ONCE]
    if not found:
        return [Line(number, text)]
    return [
        Line(number, text, reason=one.reason) if isinstance(one, RuleError) else Line(number, text, one)
        for one in found
    ]


@functools.lru_cache(maxsize=16384)
def parse(text: str, exists: Callable[[str, str], None] | None = None) -> Rule | Control | None:
    """
    Return what one line (str) says: a :class:`Rule`, a :class:`Control`, or None for a comment or nothing.

    exists
        Called with the field (str) and the name (str) of each user and group that the line names, to raise
        :class:`RuleError` for one that is not there: :func:`sshtrail_lib.rules.accounts.exists` asks the host. Without
        it any name will do.

    Raises :class:`RuleError` with the column and what is allowed, and also for what auditctl takes otherwise than it
    may be meant: :func:`taken` is for somebody else's line.
    """
    if COMMENT.match(text) or not text.strip(" "):
        return None
    _check_characters(text)
    found = words.split(text)
    most = words.most(text)
    if len(found) > most:
        raise RuleError(f"Of so short a line auditctl reads the first {most} words only.", found[most][0])
    options = words.options(found)
    first = next(options)
    if first[0] in GO_ON:
        # With -i auditctl passes over errors from here on, and already over those that follow in the same line.
        return Control(first[0])
    rest = [first, *options]
    control = next((option for option in rest if option[0] in CONTROLS), None)
    return _control(rest) if control else _rule(rest, exists)


def parse_rule(text: str, exists: Callable[[str, str], None] | None = None) -> Rule:
    """Return the :class:`Rule` that the line ``text`` (str) holds, or raise :class:`RuleError`; as :func:`parse`."""
    value = parse(text, exists)
    if not isinstance(value, Rule) or value.verb == "-d":
        raise RuleError(f"{text!r} adds no rule; a rule begins with -a, -A or -w.")
    return value


#: The kernel's settings, and the options that set them.
SETTINGS = {
    "backlog_limit": "-b",
    "backlog_wait_time": "--backlog_wait_time",
    "failure": "-f",
    "rate_limit": "-r",
    "enabled": "-e",
}


def validate_status(name: str, value: object) -> None:
    """
    Make sure that the kernel's audit setting ``name`` (str) can be ``value`` (int).

    Settings are ``backlog_limit`` and ``rate_limit`` (messages), ``backlog_wait_time`` (kernel ticks), ``failure``
    (0 silent, 1 printk, 2 panic) and ``enabled`` (0 or 1). Raises :class:`RuleError`. Source: auditctl(8).
    """
    if name not in SETTINGS:
        raise RuleError(f"Unknown setting {name!r}{near(str(name), SETTINGS)}; there are {', '.join(SETTINGS)}.")
    most = 1 if name == "enabled" else RANGES[SETTINGS[name]]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        locked = " (immutable: true locks)" if name == "enabled" else ""
        raise RuleError(f"{name} takes a number from 0 to {most}{locked}, not {value!r}.")


def _check_characters(text):
    found = CONTROL_CHARACTER.search(text)
    if found:
        name = {"\t": "a tab", "\r": "a carriage return"}.get(found[0], f"the control character {found[0]!r}")
        raise RuleError(f"The line holds {name}; auditctl separates words by spaces only.", found.start() + 1)
    if _is_long(text):
        raise RuleError(f"The line is longer than the {LONGEST_LINE} bytes that auditctl reads at once.")
    if words.ESCAPED.search(text.lstrip(" ").partition(" ")[0] + " "):
        raise RuleError("auditctl undoes no backslash in the first word of a line: leave a space behind the option.", 1)
    if text.endswith("\\") and (len(text) - len(text.rstrip("\\"))) % 2:
        raise RuleError("The line ends in a backslash; auditctl cannot continue a line on the next one.", len(text))


# ---- control lines ----------------------------------------------------------------------------------------------

RANGES = {"-e": 2, "-f": 2, "-b": UNSET, "-r": UNSET, "--backlog_wait_time": UNSET}


def _control(options):
    option, value, column = options[0]
    if option == "-D" and len(options) == 2 and options[1][0] == "-k":
        return Control("-D", f"-k {options[1][1]}")
    if len(options) > 1:
        raise RuleError(f"{option} must stand alone on its line.", options[1][2])
    if option == "-q" and len(value.split(",")) != 2:
        raise RuleError(f"-q takes two paths joined by a comma, not {value!r}.", column)
    if option in RANGES:
        value = str(_checked_range(option, value, column, integer))
    return Control(option, value)


def _checked_range(option, value, column, read_number):
    # Of these auditctl compares the letters.
    letters = option in ("-e", "-f") and value not in ("0", "1", "2")
    number = None if letters else read_number(value)
    if number is None or not 0 <= number <= RANGES[option]:
        raise RuleError(f"{option} takes a number from 0 to {RANGES[option]}, not {value!r}.", column)
    return number


# ---- what auditctl does with somebody's line --------------------------------------------------------------------


@functools.lru_cache(maxsize=16384)
def taken(text: str) -> tuple[Rule | Control | RuleError, ...]:
    """
    Return what auditctl does with one line (str) of a file, though it may not be what was meant: one after the other.

    Those are settings, a deletion and a rule, and a :class:`RuleError` where it refuses the rest. It is nothing for a
    comment. Source: auditctl.c, setopt().
    """
    return tuple(one for part in _got(text) if _says_something(part) for one in _taken(part))


def _got(text):
    """Return what auditctl gets of a line ``text``: a few thousand bytes at once, of which a NUL is the end."""
    if not _is_long(text):
        return [text.partition("\0")[0]]
    data = text.encode("utf-8", "surrogateescape")
    parts = (data[at : at + AT_ONCE] for at in range(0, len(data), AT_ONCE))
    return [part.partition(b"\0")[0].decode("utf-8", "surrogateescape") for part in parts]


def _is_long(text):
    # A character is at most four bytes.
    return 4 * len(text) > LONGEST_LINE and len(text.encode("utf-8", "surrogateescape")) > LONGEST_LINE


def _says_something(text):
    return not AS_READ.match(text) and bool(text.strip(" "))


def _taken(text):
    draft = _Draft(None, False)
    aside: list[RuleError] = []
    try:
        found = words.split(text)[: words.most(text)]
        # Two dashes end the options.
        found = found[:-1] if found[-1][1] == "--" else found
        for option, argument, column in words.options(found, aside):
            if option in RANGES:
                yield Control(option, str(_checked_range(option, argument, column, _as_counted)))
            elif option in ENDS:
                yield from _end(option, argument, column, [word for _, word in found])
                return
            else:
                draft.take(option, argument)
            if draft.action == words.POSSIBLE:
                yield from draft.eaten()
                return
        if aside:
            raise aside[0]
        if draft.verb or draft.parts:
            yield draft.rule()
    except RuleError as exc:
        yield exc


def _as_counted(value):
    """Return the number (int) that auditctl takes for ``value`` (str), None for what it refuses."""
    return fields.read_number(value) if value[:1].isdigit() and not fields.overflows(value) else None


def _end(option, argument, column, line):
    """Yield what an ``option`` does behind which auditctl reads no further: a rule before it in the line is dropped."""
    if option == "-D":
        yield from _deletion(line, column)
    elif option in COMMANDS:
        if not _asks(option, line):
            raise _no_rule(option, column)
    elif option == "-q" and not re.fullmatch("[^,]+,[^,]+", argument):
        raise RuleError(f"-q takes two paths joined by a comma, not {argument!r}.", column)
    else:
        yield Control(option, argument if option == "-q" else "")


def _deletion(line, column):
    if len(line) == 3 and line[:2] == ["-D", "-k"]:
        yield Control("-D", f"-k {line[2]}")
        return
    if len(line) == 1:
        yield Control("-D")
    if line != ["-D"]:
        raise RuleError("-D must stand alone on its line, or with -k and a key.", column)


def _asks(option, line):
    """Tell whether ``line`` are a command that changes nothing."""
    if option == "-m":
        return len(line) <= 2 and line[0].startswith("-m")
    ways = {"-l": ([], ["-i"], ["-k", line[-1]]), "-s": ([], ["-i"]), "-v": ([],)}
    return (line[0] == option and line[1:] in ways.get(option, ())) or line[-1] == option == "-v"


# ---- rules ------------------------------------------------------------------------------------------------------


def _rule(options, exists):
    draft = _Draft(exists, True)
    for option, argument, column in options:
        if option in COMMANDS:
            raise _no_rule(option, column)
        try:
            draft.take(option, argument)
        except RuleError as exc:
            raise exc if exc.column else RuleError(exc.reason, column) from exc
    return draft.rule()


def _no_rule(option, column):
    return RuleError(f"{option} is a command of auditctl, not a rule.", column)


#: What a draft does with each option of a rule.
TAKES = {"-F": "field", "-C": "compare", "-S": "syscalls", "-k": "key", "-p": "perms"}


class _Draft:
    """A rule while its options are taken one after the other, in auditctl's own sequence of checks."""

    def __init__(self, exists: Callable[[str, str], None] | None, strict: bool) -> None:
        self.exists, self.strict = exists, strict
        # Nothing of them has been named yet.
        self.verb = self.action = self.filter = self.spelled = ""
        self.listed = False
        self.parts: list[Part] = []
        self.keys: list[str] = []

    def take(self, option, argument):
        if option in ("-a", "-A", "-d"):
            self.list(option, argument)
        elif option in ("-w", "-W"):
            self.watch(option, argument)
        else:
            getattr(self, TAKES[option])(argument)

    def list(self, verb, argument):
        if self.listed or (self.strict and self.verb):
            raise RuleError("A rule has one -a, -A, -d, -w or -W; there is another before this one.")
        found = words.action_and_list(argument) if self.strict else self.looked_up(verb, argument)
        self.listed, self.action = True, found[0]
        if self.verb == "-a" and verb == "-d":
            # auditctl adds what a line asks to add and to delete.
            return
        self.verb, spelled = verb, found[1]
        self.filter = spelled.lower()
        self.spelled = spelled if spelled != self.filter else ""
        if self.parts and (self.strict or "task" in argument) and self.filter != "exit":
            raise RuleError("-S stands before the list; begin the rule with -a action,list.")

    def looked_up(self, verb, argument):
        # What a watch has set before, for the same end.
        known = self.filter if (self.verb == "-d") == (verb == "-d") else ""
        return words.looked_up(argument, self.action, known)

    def eaten(self):
        """Yield what is left to judge of a line that auditctl passes over: what stands before its list, and that."""
        if self.parts or self.spelled or self.filter == "io_uring":
            yield Rule(words.POSSIBLE, self.filter, _merged(self.parts), verb=self.verb, spelled=self.spelled)

    def watch(self, option, path):
        if self.verb:
            raise RuleError("A watch (-w) stands at the beginning of its rule, without -a.")
        self.verb, self.action, self.filter = "-a" if option == "-w" else "-d", "always", "exit"
        self.parts.append(Part("-w", fields.watched(path)))

    def need_list(self, option):
        if not self.verb:
            raise RuleError(f"{option} stands before the list; begin the rule with -a action,list or -w path.")

    def field(self, argument):
        self.need_list("-F")
        if argument.startswith("key="):
            self.name(argument[4:])
        else:
            self.parts.append(self.known(fields.field(argument, self.filter, self.strict)))

    def known(self, part):
        if self.exists and fields.is_account(part):
            self.exists(part.name, part.value)
        return part

    def compare(self, argument):
        self.need_list("-C")
        if self.filter != "exit":
            raise RuleError(f"-C works on the exit list only, not on {self.filter}.")
        self.parts.append(fields.compare(argument))

    def syscalls(self, argument):
        if self.filter not in ("", "exit", "io_uring"):
            raise RuleError(f"The {self.filter} list takes no system calls (-S); only exit and io_uring do.")
        if not argument.strip(",") and (self.strict or not argument):
            raise RuleError("-S needs the name or the number of a system call, or several joined by commas.")
        self.parts.append(Part("-S", ",".join(filter(None, argument.split(",")))))

    def key(self, argument):
        self.need_list("-k")
        if not self.can_have_key():
            raise RuleError("-k stands after a watch, a system call (-S), or a field path, dir, perm, exe or fstype.")
        self.name(argument)

    def name(self, key):
        named = fields.key(key, self.strict)
        self.keys += [named] if named else []

    def can_have_key(self):
        named = ("path", "dir", "perm", "exe", "fstype")
        return any(part.option in ("-w", "-p", "-S") or part.name in named for part in self.parts)

    def perms(self, argument):
        self.need_list("-p")
        if not self.parts:
            raise RuleError("-p stands after a watch or a field.")
        self.parts.append(Part("-p", fields.permissions(argument)))

    def rule(self):
        if not self.verb:
            raise RuleError("The line names no list; begin the rule with -a action,list or -w path.")
        if self.filter != "exit" and any(part.option == "-w" for part in self.parts):
            raise RuleError(f"A watch works on the exit list only, not on {self.filter}.")
        if self.keys and not self.can_have_key():
            raise RuleError("A key needs a watch, a system call (-S), or a field path, dir, perm, exe or fstype.")
        _check_once(self.parts)
        keys = "\1".join(self.keys)
        if 4 * len(keys) > LONGEST_KEY and len(keys.encode("utf-8", "surrogateescape")) > LONGEST_KEY:
            raise RuleError(f"The keys are longer than {LONGEST_KEY} bytes together.")
        return Rule(self.action, self.filter, _merged(self.parts), tuple(self.keys), self.verb, self.spelled)


def _check_once(parts):
    """The kernel finds a rule by at most one file, and by at most one program."""
    places = [part for part in parts if part.option == "-w" or part.name in ("path", "dir")]
    places += [part for part in parts if part.name == "inode" and part.operator == "="]
    programs = [part for part in parts if part.name == "exe"]
    if len(places) > 1 or len(programs) > 1:
        first, second = (places if len(places) > 1 else programs)[:2]
        raise RuleError(f"The kernel takes only one of {first} and {second} in a rule.")


def _merged(parts):
    """Return ``parts`` (tuple) in canonical form: one ``-S``, and one ``-p`` where libaudit puts it."""
    listed = [part for part in parts if part.option != "-F"]
    if not listed or (len(listed) == 1 and listed[0].option == "-S" and "," not in listed[0].value):
        # As most are: there is nothing to join.
        return tuple(parts)
    calls = ",".join(dict.fromkeys(name for part in parts if part.option == "-S" for name in part.value.split(",")))
    merged = {"-S": Part("-S", calls)}
    merged.update((part.option, part) for part in parts if part.option == "-p")
    if parts and parts[0].option == "-w":
        perms = merged.get("-p", Part("-p", "rwxa"))
        parts = [parts[0], perms, *(part for part in parts[1:] if part.option != "-p")]
    first = {part.option: at for at, part in reversed(list(enumerate(parts)))}
    once = [part for at, part in enumerate(parts) if part.option not in merged or first[part.option] == at]
    return tuple(merged.get(part.option, part) for part in once)
