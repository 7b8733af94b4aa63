"""
The language of audit rules: text ↔ :class:`Rule`, as ``auditctl -R`` reads it, and stricter where it errs.

A rule keeps the order of its parts, because the kernel tells rules apart by it. Source: auditctl(8),
audit.rules(7).
"""

import difflib
import functools
import grp
import os
import pwd
import re
import typing

from salt.exceptions import SaltInvocationError

ACTIONS = ("always", "never")
FILTERS = ("task", "exit", "user", "exclude", "filesystem", "io_uring")
OPERATORS = ("!=", ">=", "<=", "&=", "=", ">", "<", "&")
# Options with an argument, as auditctl hands them to getopt_long(3).
WITH_ARGUMENT = "CefrbaAdSFmRwWkpq"
WITHOUT_ARGUMENT = "hicslDvt"
LONG = {
    "--backlog_wait_time": True,
    "--loginuid-immutable": False,
    "--reset-lost": False,
    "--reset_backlog_wait_time_actual": False,
}
CONTROLS = ("-D", "-b", "-f", "-e", "-r", "-i", "-c", "-t", "-q", *LONG)
COMMANDS = ("-h", "-l", "-s", "-v", "-m", "-R")

UIDS = ("uid", "euid", "suid", "fsuid", "auid", "obj_uid")
GIDS = ("gid", "egid", "sgid", "fsgid", "obj_gid")
ARGUMENTS = ("a0", "a1", "a2", "a3")
NUMBERS = ("pid", "ppid", "pers", "devmajor", "devminor", "inode", "success", "saddr_fam")
LABELS = (
    "subj_user",
    "subj_role",
    "subj_type",
    "subj_sen",
    "subj_clr",
    "obj_user",
    "obj_role",
    "obj_type",
    "obj_lev_low",
    "obj_lev_high",
)
PATHS = ("path", "dir", "exe")
NAMED = ("arch", "exit", "msgtype", "filetype", "fstype", "perm", "sessionid", "key")
FIELDS = (*UIDS, *GIDS, *ARGUMENTS, *NUMBERS, *LABELS, *PATHS, *NAMED)
ALIASES = {"loginuid": "auid"}
FILETYPES = ("socket", "link", "file", "block", "dir", "character", "fifo")
ONLY_EQUAL = ("path", "dir", "perm", "key")
TYPES = ("subj_user", "subj_role", "subj_type", "obj_user", "obj_role", "obj_type")
EQUAL_OR_NOT = ("arch", "exe", "inode", "fstype", "filetype", *TYPES)
# The kernel (auditfilter.c) tests bits of these only; every other field it compares as a whole.
WITH_BITS = (*ARGUMENTS, "pers", "devminor")
# The two halves of -C; only fields of one half compare (auditctl(8), -C).
COMPARABLE = (("uid", "euid", "suid", "fsuid", "auid", "obj_uid"), ("gid", "egid", "sgid", "fsgid", "obj_gid"))

UNSET = 0xFFFFFFFF
NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
OCTAL = re.compile(r"-?0[0-7]+")
CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f]")
LONGEST_LINE = 6142
LONGEST_KEY = 256
PATH_MAX = 4096
NAME_MAX = 255
COMMENT = re.compile(r"\s*#")


class RuleError(SaltInvocationError):
    """
    A line that is no audit rule, or one that auditctl would misread.

    ``reason`` (str) says what is wrong and what is allowed, ``file`` (str or None), ``line`` and
    ``column`` (int, from 1, or None) say where.
    """

    def __init__(self, reason, column=None, line=None, file=None):
        self.reason, self.column, self.line, self.file = reason, column, line, file
        super().__init__(": ".join(filter(None, [self.place(), reason])))

    def place(self):
        """Return where it is, as a person reads it (str), such as ``a.rules, line 3, column 7``."""
        named = (("line", self.line), ("column", self.column))
        return ", ".join(filter(None, [self.file, *(f"{name} {at}" for name, at in named if at)]))

    def at(self, line=None, file=None):
        """Return the same error with its place named."""
        return RuleError(self.reason, self.column, line, file)


class Part(typing.NamedTuple):
    """
    One condition of a rule: a field (``-F``), a comparison of two fields (``-C``), a list of system calls
    (``-S``, in ``value``), a watch (``-w``, path in ``value``) or its permissions (``-p``, in ``value``).
    """

    option: str
    value: str
    name: str = ""
    operator: str = ""

    def __str__(self):
        return f"{self.option} {self.name}{self.operator}{escape(self.value)}"


class Rule(typing.NamedTuple):
    """
    One audit rule. ``verb`` is ``-a`` (append), ``-A`` (prepend) or ``-d`` (delete); a watch is a rule
    whose first part is ``-w``. ``str()`` gives the canonical line, which parses to the same rule.
    """

    action: str
    filter: str
    parts: tuple = ()
    keys: tuple = ()
    verb: str = "-a"

    def __str__(self):
        keys = [f"{'-k ' if self.watch else '-F key='}{escape(key)}" for key in self.keys]
        return " ".join([*self._head(), *map(str, self.parts[1:] if self.watch else self.parts), *keys])

    def _head(self):
        if self.watch:
            return [f"{'-W' if self.verb == '-d' else '-w'} {escape(self.watch)}"]
        return [f"{self.verb} {self.action},{self.filter}"]

    @property
    def watch(self):
        """The watched path (str), or an empty one when this is no ``-w`` rule."""
        return self.parts[0].value if self.parts and self.parts[0].option == "-w" else ""

    @property
    def syscalls(self):
        """The names or numbers of the system calls (tuple of str) as written."""
        return tuple(name for part in self.parts if part.option == "-S" for name in part.value.split(",") if name)

    def field(self, name):
        """Return the first part about the field ``name`` (str), or None."""
        return next((part for part in self.parts if part.option == "-F" and part.name == name), None)


class Control(typing.NamedTuple):
    """A line that sets up auditing itself: ``option`` (``-b``, ``-e``, ``--backlog_wait_time`` …) and ``value``."""

    option: str
    value: str = ""

    def __str__(self):
        return f"{self.option} {escape(self.value)}".strip()


class Line(typing.NamedTuple):
    """One line of a file: its ``number`` (from 1), ``text`` and ``value`` (:class:`Rule`, :class:`Control`, None)."""

    number: int
    text: str
    value: object = None


def read(text, file=None, lenient=False):
    """
    Return the lines of a rules file (list of :class:`Line`); comments and empty lines have no value.

    text
        Content of the file (str).
    file
        Its name for errors (str).
    lenient
        True to give a wrong line no value either (bool).

    Raises :class:`RuleError` at the first line that is wrong.
    """
    return [_line(number, line, file, lenient) for number, line in enumerate(text.split("\n"), start=1)]


def _line(number, text, file, lenient):
    try:
        return Line(number, text, parse(text))
    except RuleError as exc:
        if lenient:
            return Line(number, text)
        raise exc.at(number, file) from exc


@functools.lru_cache(maxsize=16384)
def parse(text):
    """
    Return what one line (str) says: a :class:`Rule`, a :class:`Control`, or None for a comment or nothing.

    Raises :class:`RuleError` with the column and what is allowed.
    """
    if COMMENT.match(text) or not text.strip(" "):
        return None
    _check_characters(text)
    options = list(_options(_words(text)))
    control = next((option for option in options if option[0] in CONTROLS), None)
    return _control(options) if control else _rule(options)


def parse_rule(text):
    """Return the :class:`Rule` that the line ``text`` (str) holds, or raise :class:`RuleError`."""
    value = parse(text)
    if not isinstance(value, Rule) or value.verb == "-d":
        raise RuleError(f"{text!r} adds no rule; a rule begins with -a, -A or -w.")
    return value


STATUS = {"backlog_limit": "-b", "backlog_wait_time": "--backlog_wait_time", "failure": "-f", "rate_limit": "-r"}


def validate_status(name, value):
    """
    Make sure that the kernel's audit setting ``name`` (str) can be ``value`` (int).

    Settings are ``backlog_limit`` and ``rate_limit`` (messages), ``backlog_wait_time`` (kernel ticks), ``failure``
    (0 silent, 1 printk, 2 panic) and ``enabled`` (0 or 1). Raises :class:`RuleError`. Source: auditctl(8).
    """
    known = (*STATUS, "enabled")
    if name not in known:
        raise RuleError(f"Unknown setting {name!r}{near(str(name), known)}; there are {', '.join(known)}.")
    most = 1 if name == "enabled" else RANGES[STATUS[name]]
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= most:
        locked = " (immutable: true locks)" if name == "enabled" else ""
        raise RuleError(f"{name} takes a number from 0 to {most}{locked}, not {value!r}.")


def escape(value):
    """Return ``value`` (str) as it is written in a rules file: spaces and backslashes escaped."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


# ---- words and options ------------------------------------------------------------------------------------------


def _check_characters(text):
    if len(text.encode("utf-8", "surrogateescape")) > LONGEST_LINE:
        raise RuleError(f"The line is longer than the {LONGEST_LINE} bytes that auditctl reads at once.")
    found = CONTROL_CHARACTER.search(text)
    if found:
        name = {"\t": "a tab", "\r": "a carriage return"}.get(found[0], f"the control character {found[0]!r}")
        raise RuleError(f"The line holds {name}; auditctl separates words by spaces only.", found.start() + 1)
    if re.search(r"(?<!\\)(\\\\)*\\$", text):
        raise RuleError("The line ends in a backslash; auditctl cannot continue a line on the next one.", len(text))


def _words(text):
    r"""Yield ``(column, word)``, with ``\ `` and ``\\`` undone as auditctl does."""
    for found in re.finditer(r"(?:\\[ \\]|[^ ])+", text):
        yield found.start() + 1, re.sub(r"\\([ \\])", r"\1", found[0])


def _options(words):
    """Yield ``(option, argument, column of the argument)``, split as getopt_long(3) does."""
    words = iter(words)
    for column, word in words:
        if word.startswith("--"):
            yield _long(word, column, words)
        elif word.startswith("-") and len(word) > 1:
            yield from _cluster(word, column, words)
        else:
            hint = " (auditctl knows no comments behind a rule)" if word.startswith("#") else ""
            raise RuleError(f"{word!r} stands alone; every word belongs to an option such as -F{hint}.", column)


def _long(word, column, words):
    name, equals, value = word.partition("=")
    full = [known for known in LONG if known == name] or [known for known in LONG if known.startswith(name)]
    if len(full) != 1 or name == "--":
        raise RuleError(f"Unknown option {name!r}{near(name, LONG)}.", column)
    if not LONG[full[0]]:
        return full[0], value, column
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


def near(name, known, quote=repr):
    """Return a suggestion (str, maybe empty) of which of ``known`` was meant by ``name``."""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f" (did you mean {quote(found[0])}?)" if found else ""


# ---- control lines ----------------------------------------------------------------------------------------------

RANGES = {"-e": 2, "-f": 2, "-b": UNSET, "-r": UNSET, "--backlog_wait_time": UNSET}


def _control(options):
    option, value, column = options[0]
    if option == "-D" and len(options) == 2 and options[1][0] == "-k":
        return Control("-D", f"-k {options[1][1]}")
    if len(options) > 1:
        raise RuleError(f"{option} must stand alone on its line.", options[1][2])
    if option in RANGES:
        value = str(_checked_range(option, value, column))
    return Control(option, value)


def _checked_range(option, value, column):
    number = integer(value)
    if number is None or not 0 <= number <= RANGES[option]:
        raise RuleError(f"{option} takes a number from 0 to {RANGES[option]}, not {value!r}.", column)
    return number


def integer(text):
    """Return the number (int) that strtoul(3) reads in all of ``text``, or None."""
    if not NUMBER.fullmatch(text):
        return None
    return int(text, 8 if OCTAL.fullmatch(text) else 0)


# ---- rules ------------------------------------------------------------------------------------------------------


def _rule(options):
    draft = _Draft()
    for option, argument, column in options:
        if option in COMMANDS:
            raise RuleError(f"{option} is a command of auditctl, not a rule.", column)
        try:
            draft.take(option, argument)
        except RuleError as exc:
            raise exc if exc.column else RuleError(exc.reason, column) from exc
    return draft.rule()


class _Draft:
    """A rule while its options are taken one after the other, in auditctl's own sequence of checks."""

    def __init__(self):
        self.verb = self.action = self.filter = None
        self.parts, self.keys = [], []

    def take(self, option, argument):
        if option in ("-a", "-A", "-d"):
            self.list(option, argument)
        elif option in ("-w", "-W"):
            self.watch(option, argument)
        else:
            {"-F": self.field, "-C": self.compare, "-S": self.syscalls, "-k": self.key, "-p": self.perms}[option](
                argument
            )

    def list(self, verb, argument):
        if self.verb:
            raise RuleError("A rule has one -a, -A, -d, -w or -W; there is another before this one.")
        self.verb = verb
        self.action, self.filter = _action_and_filter(argument)
        if self.parts and self.filter != "exit":
            raise RuleError("-S stands before the list; begin the rule with -a action,list.")

    def watch(self, option, path):
        if self.verb:
            raise RuleError("A watch (-w) stands at the beginning of its rule, without -a.")
        self.verb, self.action, self.filter = "-a" if option == "-w" else "-d", "always", "exit"
        self.parts.append(Part("-w", _watched(path)))

    def need_list(self, option):
        if not self.verb:
            raise RuleError(f"{option} stands before the list; begin the rule with -a action,list or -w path.")

    def field(self, argument):
        self.need_list("-F")
        if argument.startswith("key="):
            self.keys.extend(_keys(argument[4:]))
        else:
            self.parts.append(_field(argument, self.filter))

    def compare(self, argument):
        self.need_list("-C")
        if self.filter != "exit":
            raise RuleError(f"-C works on the exit list only, not on {self.filter}.")
        self.parts.append(_compare(argument))

    def syscalls(self, argument):
        if self.filter not in (None, "exit", "io_uring"):
            raise RuleError(f"The {self.filter} list takes no system calls (-S); only exit and io_uring do.")
        if not argument.strip(","):
            raise RuleError("-S needs the name or the number of a system call, or several joined by commas.")
        self.parts.append(Part("-S", ",".join(filter(None, argument.split(",")))))

    def key(self, argument):
        self.need_list("-k")
        if not self.can_have_key():
            raise RuleError("-k stands after a watch, a system call (-S), or a field path, dir, perm, exe or fstype.")
        self.keys.extend(_keys(argument))

    def can_have_key(self):
        named = ("path", "dir", "perm", "exe", "fstype")
        return any(part.option in ("-w", "-p", "-S") or part.name in named for part in self.parts)

    def perms(self, argument):
        self.need_list("-p")
        if not self.parts:
            raise RuleError("-p stands after a watch or a field.")
        self.parts.append(Part("-p", _permissions(argument)))

    def rule(self):
        if not self.verb:
            raise RuleError("The line names no list; begin the rule with -a action,list or -w path.")
        if self.keys and not self.can_have_key():
            raise RuleError("A key needs a watch, a system call (-S), or a field path, dir, perm, exe or fstype.")
        _check_once(self.parts)
        if len("\1".join(self.keys).encode("utf-8", "surrogateescape")) > LONGEST_KEY:
            raise RuleError(f"The keys are longer than {LONGEST_KEY} bytes together.")
        return Rule(self.action, self.filter, _merged(self.parts), tuple(self.keys), self.verb)


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
    calls = ",".join(dict.fromkeys(name for part in parts if part.option == "-S" for name in part.value.split(",")))
    merged = {"-S": Part("-S", "all" if "all" in calls.split(",") else calls)}
    merged.update((part.option, part) for part in parts if part.option == "-p")
    if parts and parts[0].option == "-w":
        perms = merged.get("-p", Part("-p", "rwxa"))
        parts = [parts[0], perms, *(part for part in parts[1:] if part.option != "-p")]
    first = {part.option: at for at, part in reversed(list(enumerate(parts)))}
    once = [part for at, part in enumerate(parts) if part.option not in merged or first[part.option] == at]
    return tuple(merged.get(part.option, part) for part in once)


def _action_and_filter(argument):
    words = argument.split(",")
    action = [word for word in words if word in ACTIONS]
    filters = [word for word in words if word in FILTERS]
    if len(words) == 2 and len(action) == len(filters) == 1:
        return action[0], filters[0]
    wrong = next((word for word in words if word not in (*ACTIONS, *FILTERS)), argument)
    raise RuleError(
        f"{argument!r} is no action,list: the action is one of {', '.join(ACTIONS)}, the list one of "
        f"{', '.join(FILTERS)}{near(wrong, (*ACTIONS, *FILTERS))}."
    )


def _watched(path):
    _check_path("-w", path)
    return path.rstrip("/") or "/" if len(path) > 2 else path


def _check_path(name, path):
    size = len(path.encode("utf-8", "surrogateescape"))
    if not path.startswith("/"):
        raise RuleError(f"{name} needs an absolute path, not {path!r}.")
    if size >= PATH_MAX or len(os.path.basename(path.rstrip("/")).encode("utf-8", "surrogateescape")) > NAME_MAX:
        raise RuleError(f"{name}: the path is too long ({PATH_MAX - 1} bytes, {NAME_MAX} for its last part).")


def _keys(text):
    if not text:
        raise RuleError("The key is empty; auditctl drops it and the rule has none.")
    _refuse_quotes(text)
    return [text]


def _refuse_quotes(text):
    if text[0] in "\"'":
        raise RuleError(f"auditctl knows no quotes and would take them as part of {text}.")


def _permissions(text):
    letters = text.lower()
    if not letters or len(letters) > 4 or set(letters) - set("rwxa"):
        raise RuleError(f"Permissions are one to four of the letters r, w, x and a, not {text!r}.")
    return "".join(letter for letter in "rwxa" if letter in letters)


# ---- fields -----------------------------------------------------------------------------------------------------


def _split(argument, operators):
    """Split at the operator that libaudit finds: the first of ``operators`` that occurs anywhere."""
    for operator in operators:
        name, found, value = argument.partition(operator)
        if found:
            return name, operator, value
    raise RuleError(f"{argument!r} has no operator; write field, one of {' '.join(operators)}, value.")


def _field(argument, filter_):
    name, operator, value = _split(argument, OPERATORS)
    name = ALIASES.get(name.lower(), name.lower())
    if name not in FIELDS:
        raise RuleError(f"Unknown field {name!r}{near(name, FIELDS)}.")
    _check_operator(name, operator)
    if not value or name == "key":
        raise RuleError(f"The field {name} has no value." if not value else f"Write {argument} as -k {value}.")
    _check_filter(name, filter_)
    return Part("-F", _value(name, value), name, operator)


def _check_operator(name, operator):
    allowed = _operators(name)
    if operator not in allowed:
        raise RuleError(f"The field {name} takes only {' and '.join(allowed)}, not {operator}.")


def _operators(name):
    if name in ONLY_EQUAL:
        return ("=",)
    if name in EQUAL_OR_NOT:
        return ("=", "!=")
    return OPERATORS if name in WITH_BITS else tuple(operator for operator in OPERATORS if "&" not in operator)


NOT_FILESYSTEM = tuple(name for name in FILTERS if name != "filesystem")
EXIT_ONLY = ("exit", "success", "ppid", "devmajor", "devminor", "inode", "filetype", "path", "dir")
EXIT_ONLY += tuple(label for label in LABELS if label.startswith("obj_"))
FILTERS_OF = {
    **dict.fromkeys(EXIT_ONLY, ("exit",)),
    "msgtype": ("exclude", "user"),
    "fstype": ("filesystem",),
    "key": FILTERS,
    "perm": ("exit", "exclude"),
    "sessionid": ("exclude", "user", "exit"),
}


def _check_filter(name, filter_):
    allowed = FILTERS_OF.get(name, NOT_FILESYSTEM)
    if filter_ not in allowed:
        raise RuleError(f"The field {name} works on the list {' or '.join(allowed)} only, not on {filter_}.")


def _value(name, text):
    _refuse_quotes(text)
    if name in PATHS:
        return _path_value(name, text)
    if name in UIDS + GIDS:
        return _identity(name, text)
    if name == "perm":
        return _permissions(text)
    if name in ARGUMENTS + NUMBERS:
        return _number(name, text)
    return OTHERS.get(name, _as_written)(name, text)


def _as_written(_name, text):
    return text


def _path_value(name, text):
    _check_path(name, text)
    if name != "dir" and text.endswith("/"):
        raise RuleError(f"The kernel refuses {name}={text}: leave the trailing slash out.")
    return text


def _identity(name, text):
    """Return a user or group as written, or ``unset``, after making sure that it is one."""
    number = integer(text)
    if OCTAL.fullmatch(text):
        raise RuleError(f"{name}={text}: auditctl would read an octal number, {number}; leave the leading zero out.")
    if number in (-1, UNSET) or text == "unset":
        return _unset(name, text)
    if number is not None:
        return _bounded(name, text, number, lowest=0)
    if text[0] in "-0123456789":
        raise RuleError(f"{name}={text}: auditctl would read only the digits at its beginning.")
    lookup, known = (_user, _users) if name in UIDS else (_group, _groups)
    if lookup(text) is None:
        raise RuleError(f"Unknown {'user' if name in UIDS else 'group'} {text!r}{near(text, known())}.")
    return text


def _unset(name, text):
    if name != "auid":
        raise RuleError(f"{name}={text}: the kernel accepts only auid as unset (-1, 4294967295).")
    return "unset"


def _bounded(name, text, number, lowest=-0x80000000):
    if not lowest <= number <= UNSET:
        raise RuleError(f"{name}={text}: the number must be from {lowest} to {UNSET}.")
    return text


def _number(name, text):
    number = integer(text)
    if number is None or (text.startswith("-") and name not in ARGUMENTS):
        raise RuleError(f"The field {name} takes a number, not {text!r}.")
    return _bounded(name, text, number)


def _session(name, text):
    if text == "unset" or integer(text) in (-1, UNSET):
        return "unset"
    return _number(name, text)


def _exit(name, text):
    number = integer(text)
    if number is not None:
        return _bounded(name, text, number)
    if not re.fullmatch(r"-?E[0-9A-Z]+", text.upper()):
        raise RuleError(f"exit takes a number or the name of an error such as -EACCES, not {text!r}.")
    return text.upper()


def _filetype(_name, text):
    if text.lower() not in FILETYPES:
        raise RuleError(f"Unknown file type {text!r}{near(text, FILETYPES)}; there are {', '.join(FILETYPES)}.")
    return text.lower()


def _word_or_number(name, text):
    if text[0] in "0123456789":
        return _number(name, text)
    return text


OTHERS = {
    "sessionid": _session,
    "exit": _exit,
    "filetype": _filetype,
    "msgtype": _word_or_number,
    "fstype": _word_or_number,
    "arch": _word_or_number,
}


def _compare(argument):
    name, operator, value = _split(argument, ("!=", "="))
    name, value = (ALIASES.get(word.lower(), word.lower()) for word in (name, value))
    for half in COMPARABLE:
        if name in half and value in half and name != value and f"{name[:3]}{value[:3]}" != "objobj":
            return Part("-C", value, name, operator)
    raise RuleError(
        f"-C compares two different fields of {', '.join(COMPARABLE[0])} or two of {', '.join(COMPARABLE[1])}, "
        f"not {argument!r}."
    )


def identity_number(name, text):
    """Return the number (int) of a user or group that :func:`parse` accepted for the field ``name`` (str)."""
    if text == "unset":
        return UNSET
    number = integer(text)
    if number is not None:
        return number
    number = _user(text) if name in UIDS else _group(text)
    if number is None:
        raise RuleError(f"Unknown {'user' if name in UIDS else 'group'} {text!r}.")
    return number


def _user(name):
    try:
        return pwd.getpwnam(name).pw_uid
    except (KeyError, ValueError):
        return None


def _group(name):
    try:
        return grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return None


def _users():
    return [entry.pw_name for entry in pwd.getpwall()]


def _groups():
    return [entry.gr_name for entry in grp.getgrall()]
