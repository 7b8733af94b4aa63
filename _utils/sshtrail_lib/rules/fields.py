"""
The conditions of audit rules: fields, operators, values and paths, each checked as auditctl checks it, and more.

Source: auditctl(8), audit.rules(7), libaudit's ``audit_rule_fieldpair_data(3)``, the kernel's auditfilter.c.
"""

from __future__ import annotations

import difflib
import functools
import posixpath
import re
import typing
from collections.abc import Iterable

from salt.exceptions import SaltInvocationError

FILTERS = ("task", "exit", "user", "exclude", "filesystem", "io_uring")
OPERATORS = ("!=", ">=", "<=", "&=", "=", ">", "<", "&")

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
COMPARABLE = (UIDS, GIDS)

UNSET = 0xFFFFFFFF
LOWEST, LARGEST = -0x80000000, 0xFFFFFFFFFFFFFFFF
#: Fields of which auditctl reads a value that begins with a digit as a number.
READ_AS_NUMBERS = (*NUMBERS, "msgtype", "fstype", "arch")
NUMBER = re.compile(r"-?(0[xX][0-9a-fA-F]+|0[0-7]*|[1-9][0-9]*)")
OCTAL = re.compile(r"-?0[0-7]+")
PATH_MAX = 4096
NAME_MAX = 255


class RuleError(SaltInvocationError):
    """
    A line that is no audit rule, or one that auditctl would misread.

    ``reason`` (str) says what is wrong and what is allowed, ``file`` (str or None), ``line`` and
    ``column`` (int, from 1, or None) say where.
    """

    def __init__(
        self, reason: str, column: int | None = None, line: int | None = None, file: str | None = None
    ) -> None:
        self.reason, self.column, self.line, self.file = reason, column, line, file
        super().__init__(": ".join(filter(None, [self.place(), reason])))

    def place(self) -> str:
        """Return where it is, as a person reads it (str), such as ``a.rules, line 3, column 7``."""
        named = (("line", self.line), ("column", self.column))
        return ", ".join(filter(None, [self.file, *(f"{name} {at}" for name, at in named if at)]))

    def at(self, line: int | None = None, file: str | None = None) -> RuleError:
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

    def __str__(self) -> str:
        return f"{self.option} {self.name}{self.operator}{escape(self.value)}"


def escape(value: str) -> str:
    """Return ``value`` (str) as it is written in a rules file: spaces and backslashes escaped."""
    return value.replace("\\", "\\\\").replace(" ", "\\ ")


def near(name: str, known: Iterable[str]) -> str:
    """Return a suggestion (str, maybe empty) of which of ``known`` was meant by ``name``."""
    found = difflib.get_close_matches(name.lower(), list(known), n=1, cutoff=0.6)
    return f" (did you mean {found[0]!r}?)" if found else ""


def integer(text: str) -> int | None:
    """Return the number (int) that strtoul(3) reads in all of ``text``, or None."""
    if not NUMBER.fullmatch(text):
        return None
    return int(text, 8 if OCTAL.fullmatch(text) else 0)


def is_identity(part: Part) -> bool:
    """Tell whether ``part`` compares with a user or a group."""
    return part.option == "-F" and part.name in IDENTITIES


def is_account(part: Part) -> bool:
    """Tell whether ``part`` compares with a user or a group by its name: only the host knows whether there is one."""
    return is_identity(part) and part.value != "unset" and integer(part.value) is None


IDENTITIES = frozenset((*UIDS, *GIDS))


# ---- paths, permissions, keys -----------------------------------------------------------------------------------


def watched(path: str) -> str:
    """Return the ``path`` (str) of a watch without trailing slashes, or raise :class:`RuleError`."""
    _check_path("-w", path)
    return path.rstrip("/") or "/" if len(path) > 2 else path


def _check_path(name, path):
    size = len(path.encode("utf-8", "surrogateescape"))
    if not path.startswith("/"):
        raise RuleError(f"{name} needs an absolute path, not {path!r}.")
    last = posixpath.basename(path.rstrip("/")).encode("utf-8", "surrogateescape")
    if size >= PATH_MAX or len(last) > NAME_MAX:
        raise RuleError(f"{name}: the path is too long ({PATH_MAX - 1} bytes, {NAME_MAX} for its last part).")


def permissions(text: str) -> str:
    """Return permissions in the order ``rwxa`` (str) from ``text`` (str), or raise :class:`RuleError`."""
    letters = text.lower()
    if not letters or len(letters) > 4 or set(letters) - set("rwxa"):
        raise RuleError(f"Permissions are one to four of the letters r, w, x and a, not {text!r}.")
    return "".join(letter for letter in "rwxa" if letter in letters)


def key(text: str, strict: bool = True) -> str:
    """Return ``text`` (str) when it can be a key, or raise :class:`RuleError`; ``strict`` is as for :func:`field`."""
    if strict and not text:
        raise RuleError("The key is empty; auditctl drops it and the rule has none.")
    if strict:
        _refuse_quotes(text)
    return text


def _refuse_quotes(text):
    if text[0] in "\"'":
        raise RuleError(f"auditctl knows no quotes and would take them as part of {text}.")


# ---- fields -----------------------------------------------------------------------------------------------------


@functools.lru_cache(maxsize=1024)
def field(argument: str, filter_: str, strict: bool = True) -> Part:
    """
    Return the condition that the argument of ``-F`` says, or raise :class:`RuleError`.

    argument
        A field, an operator, a value (str), ``auid>=1000`` for example; whether there is a user or a group of a name
        only the host can tell.
    filter_
        The list of the rule (str): one of :data:`FILTERS`.
    strict
        False to take what auditctl takes, and as it takes it: a number that it reads otherwise than it is meant (bool).
    """
    name, operator, value = _split(argument, OPERATORS)
    name = ALIASES.get(name.lower(), name.lower())
    if name == "field_compare":
        return _compared(operator, value, strict)
    if name not in _KNOWN:
        raise RuleError(f"Unknown field {name!r}{near(name, FIELDS)}.")
    _check_operator(name, operator)
    if not value or (name == "key" and strict):
        raise RuleError(f"The field {name} has no value." if not value else f"Write {argument} as -k {value}.")
    _check_filter(name, filter_)
    value = _value(name, value) if strict else _value(name, _as_read(name, value), False)
    _check_unset(name, operator, value)
    return Part("-F", value, name, operator)


def read_number(text: str) -> int | None:
    """
    Return the number (int, of 32 bits) that auditctl takes from the beginning of ``text`` (str), None for none there.

    strtoul(3), which reads it first, stops at the largest that it knows.
    """
    number = _leading(text)
    if number is None or LOWEST <= number <= UNSET:
        return number
    return UNSET if abs(number) > LARGEST else number & UNSET


def overflows(text: str) -> bool:
    """Tell whether ``text`` (str) begins with a number that is too large for strtoul(3)."""
    return abs(_leading(text) or 0) > LARGEST


def _leading(text):
    found = NUMBER.match(text)
    return int(found[0], 8 if OCTAL.fullmatch(found[0]) else 0) if found else None


def _as_read(name, text):
    """Return ``text`` with the number in its place that auditctl reads at its beginning, where it looks for one."""
    signed = name in (*UIDS, *ARGUMENTS, "sessionid", "exit")
    number = read_number(text) if signed or (name in (*GIDS, *READ_AS_NUMBERS) and text[0] != "-") else None
    if number is None:
        return "0" if (name == "saddr_fam" and text[0] != "-") or (name == "sessionid" and text != "unset") else text
    return (
        text
        if integer(text) == number and name == "exit"
        else str(number if name in ("exit", *ARGUMENTS) else number & UNSET)
    )


def _check_unset(name, operator, value):
    # The kernel takes it for the question whether there is a login at all (auditfilter.c: AUDIT_LOGINUID_SET).
    if name == "auid" and value == "unset" and operator not in ("=", "!="):
        raise RuleError(f"The kernel compares auid with unset (-1, 4294967295) by = and != only, not by {operator}.")


# A text with = alone, as most have.
SIMPLE = re.compile(r"([a-z0-9_]+)=(?=[^!<>&=]*$)")


def _split(argument, operators):
    """Split at the operator that libaudit finds: the first of ``operators`` that occurs anywhere."""
    plain = SIMPLE.match(argument)
    if plain:
        return plain[1], "=", argument[plain.end() :]
    for operator in operators:
        name, found, value = argument.partition(operator)
        if found:
            return name, operator, value
    raise RuleError(f"{argument!r} has no operator; write field, one of {' '.join(operators)}, value.")


def _check_operator(name, operator):
    allowed = ALLOWED[name]
    if operator not in allowed:
        raise RuleError(f"The field {name} takes only {' and '.join(allowed)}, not {operator}.")


def _operators(name):
    if name in ONLY_EQUAL:
        return ("=",)
    if name in EQUAL_OR_NOT:
        return ("=", "!=")
    return OPERATORS if name in WITH_BITS else tuple(operator for operator in OPERATORS if "&" not in operator)


#: The operators of each field.
ALLOWED = {name: _operators(name) for name in FIELDS}
_NUMBERS = frozenset((*ARGUMENTS, *NUMBERS))
_KNOWN = frozenset(FIELDS)
NOT_FILESYSTEM = tuple(name for name in FILTERS if name != "filesystem")
EXIT_ONLY = ("exit", "success", "ppid", "devmajor", "devminor", "inode", "filetype", "path", "dir")
OBJECTS = tuple(label for label in LABELS if label.startswith("obj_"))
FILTERS_OF: dict[str, tuple[str, ...]] = {
    **dict.fromkeys((*EXIT_ONLY, *OBJECTS), ("exit",)),
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


def _value(name, text, strict=True):
    if strict:
        _refuse_quotes(text)
    if name in PATHS:
        return _path_value(name, text)
    if name in IDENTITIES:
        return _identity(name, text)
    if name == "perm":
        return permissions(text)
    if name in _NUMBERS:
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
    """Return a user or group as written, or ``unset``, after making sure that it can be one."""
    number = integer(text)
    if OCTAL.fullmatch(text):
        raise RuleError(f"{name}={text}: auditctl would read an octal number, {number}; leave the leading zero out.")
    if number in (-1, UNSET) or text == "unset":
        return _unset(name, text)
    if number is not None:
        return _bounded(name, text, number, lowest=0)
    if text[0] in "-0123456789":
        raise RuleError(f"{name}={text}: auditctl would read only the digits at its beginning.")
    return text


def _unset(name, text):
    if name != "auid":
        raise RuleError(f"{name}={text}: the kernel accepts only auid as unset (-1, 4294967295).")
    return "unset"


def _bounded(name, text, number, lowest=LOWEST):
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


# ---- comparisons ------------------------------------------------------------------------------------------------


# linux/audit.h: AUDIT_COMPARE_*, the fields as auditctl lists them.
COMPARED = """
uid,obj_uid gid,obj_gid euid,obj_uid egid,obj_gid auid,obj_uid suid,obj_uid sgid,obj_gid fsuid,obj_uid
fsgid,obj_gid uid,auid uid,euid uid,fsuid uid,suid auid,fsuid auid,suid auid,euid euid,suid euid,fsuid
suid,fsuid gid,egid gid,fsgid gid,sgid egid,fsgid egid,sgid sgid,fsgid
"""
COMPARISONS = dict(enumerate(COMPARED.split(), start=1))


def _compared(operator, value, strict):
    """Return the comparison that its number says (linux/audit.h, AUDIT_COMPARE_…): auditctl takes that as a field."""
    found = COMPARISONS.get(read_number(value) or 0) if value[:1].isdigit() and operator in ("=", "!=") else None
    if found is None:
        raise RuleError(f"field_compare takes = or !=, and a number from 1 to {len(COMPARISONS)}.")
    left, right = found.split(",")
    if strict:
        raise RuleError(f"Write field_compare{operator}{value} as -C {left}{operator}{right}.")
    return Part("-C", right, left, operator)


def compare(argument: str) -> Part:
    """Return the condition that the argument of ``-C`` (str, ``uid!=euid`` for example) says; :class:`RuleError`."""
    name, operator, value = _split(argument, ("!=", "="))
    name, value = (ALIASES.get(word.lower(), word.lower()) for word in (name, value))
    for half in COMPARABLE:
        if name in half and value in half and name != value and f"{name[:3]}{value[:3]}" != "objobj":
            return Part("-C", value, name, operator)
    raise RuleError(
        f"-C compares two different fields of {', '.join(COMPARABLE[0])} or two of {', '.join(COMPARABLE[1])}, "
        f"not {argument!r}."
    )
