"""
Rules that keep records out of the log: what such a rule is, and which of them a policy does not name.

A rule with the action ``never`` drops what it matches, whichever list it is on, and one on the list ``exclude`` with
``always`` too. On ``user``, ``exclude`` and ``filesystem`` a rule without a field matches nothing. Source: auditctl(8),
the kernel's auditfilter.c and auditsc.c; seen on Linux 6.1.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Collection, Iterable, Iterator

from sshtrail_lib.rules import accounts, compile, language, layout
from sshtrail_lib.rules.fields import RuleError
from sshtrail_lib.rules.files import Place
from sshtrail_lib.rules.language import Rule
from sshtrail_lib.rules.layout import ACTION_NUMBERS

#: What becomes of such rules that a policy does not name.
CHOICES = ("report", "remove")
#: What a line holds that hides; an auditctl since 3.1 takes the names of lists in any case.
MAY_HIDE = re.compile(f"never|{layout.EXCLUDE}".encode(), re.IGNORECASE)

#: What is not in the log for a rule of each list, and for one that says ``never`` on another.
NOT_RECORDED = {
    "exclude": "it keeps the records that it matches out of the log",
    "task": "of the processes that it matches when they start nothing is recorded, no command either",
    "user": "it keeps what programs send, such as logins, out of the log",
    "filesystem": "it keeps what happens on such file systems out of the log",
}
NEVER = "it keeps what it matches first out of the log"


class Hiding(typing.NamedTuple):
    """A ``rule`` (str, its line) that hides, in line ``number`` of a ``file``; None and 0 for one in the kernel."""

    rule: str
    file: str | None = None
    number: int = 0


class Named:
    """
    The rules that a policy names: their order of fields does not count, for it does not for what they hide.

    rules
        As the kernel knows them (iterable of bytes).
    """

    def __init__(self, rules: Iterable[bytes]) -> None:
        # Most rules hide nothing, and describing each one costs more than asking the kernel.
        self.rules = frozenset(rules)
        self.meanings = {meaning(rule) for rule in self.rules if layout.hides(rule)}

    def __contains__(self, rule: bytes) -> bool:
        return rule in self.rules or (layout.hides(rule) and meaning(rule) in self.meanings)


def looks(rule: Rule) -> bool:
    """Tell whether a line with ``rule`` (:class:`sshtrail_lib.rules.language.Rule`) adds one that hides (bool)."""
    if rule.verb == "-d" or rule.action not in ACTION_NUMBERS:
        return False
    return layout.leaves_out(rule.action, rule.filter, any(part.option in ("-F", "-C") for part in rule.parts))


def reason(rule: Rule) -> str:
    """Return in words what a ``rule`` (Rule) keeps out of the log (str), "" for nothing."""
    return NOT_RECORDED.get(rule.filter, NEVER) if looks(rule) else ""


def meaning(rule: bytes) -> typing.Hashable:
    """Return what rules (bytes) share that differ in the order of their fields only."""
    value = compile.decompile(rule)
    return value.action, value.filter, frozenset(map(str, value.parts)), frozenset(value.keys)


def allowed(lines: Iterable[str]) -> list[bytes]:
    """
    Return the rules (list of bytes) that a policy lets others have.

    lines
        Lines as in a rules file (iterable of str). One that names an account which this host does not have, or is about
        32-bit programs where there are none, could not be loaded here, and allows nothing.

    Raises :class:`sshtrail_lib.rules.fields.RuleError` for a line that is no rule.
    """
    return [data for line in lines if (data := _allowed(line)) is not None]


def _allowed(line):
    rule = language.parse_rule(line)
    arch = rule.field("arch")
    if arch and arch.value.lower() == "b32" and not compile.has_b32():
        return None
    try:
        accounts.parse_rule(line)
    except RuleError:
        return None
    return compile.compile(rule)


def unnamed(rules: Iterable[bytes], named: Named) -> list[bytes]:
    """Return those of ``rules`` (iterable of bytes) that hide and that are not ``named``, each once (list of bytes)."""
    return list(dict.fromkeys(rule for rule in rules if layout.hides(rule) and rule not in named))


def is_unnamed(rule: Rule, named: Named) -> bool:
    """Tell whether a line's ``rule`` hides and is not ``named`` (bool); one that would not load is named by nobody."""
    return looks(rule) and not is_named(rule, named)


def is_named(rule: Rule, named: Named) -> bool:
    """Tell whether a line's ``rule`` is one of the ``named`` (bool)."""
    try:
        return bool(named.rules) and compile.compile(rule) in named
    except RuleError:
        return False


def in_files(entries: Iterable[Place], named: Named, own: str) -> Iterator[Hiding]:
    """
    Yield what hides in files and is not named.

    entries
        What stands in all files (iterable of :class:`sshtrail_lib.rules.files.Place`).
    named
        The policy's rules.
    own
        The file that is the policy's own (str).
    """
    for entry in entries:
        if entry.file != own and isinstance(entry.value, Rule) and is_unnamed(entry.value, named):
            yield Hiding(str(entry.value), entry.file, entry.line)


def in_kernel(rules: Collection[bytes], named: Named) -> list[Hiding]:
    """Return what hides among the kernel's ``rules`` (collection of bytes) and is not ``named`` (list)."""
    return [Hiding(str(compile.decompile(rule))) for rule in unnamed(rules, named)]


def sentence(found: Collection[Hiding]) -> str:
    """Return where rules hide records (str, for a person), "" for nowhere."""
    places = [f"{one.file} line {one.number}: {one.rule}" if one.file else f"kernel: {one.rule}" for one in found]
    return f"These rules, which the policy does not name, hide records: {'; '.join(places)}." if places else ""
