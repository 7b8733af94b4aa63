"""
What is wrong with a set of audit rules that loads, and what would keep it from loading: told, never changed.
"""

from __future__ import annotations

import os
import re
import typing
from collections.abc import Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.rules import accounts, compile, hiding, language, load, remarks
from sshtrail_lib.rules.collisions import Meetings, lowest, mask
from sshtrail_lib.rules.fields import Part, RuleError
from sshtrail_lib.rules.files import Origin
from sshtrail_lib.rules.language import Control, Rule

ERROR, WARNING = "error", "warning"
#: What is said of a line that does not load, unless a line before it has auditctl go on.
STOPS = ", and a load stops there"


class Problem(typing.NamedTuple):
    """One problem of the line ``number`` (int, from 1): ``level`` is ``error`` when the line would not load."""

    number: int
    rule: str
    reason: str
    level: str = WARNING
    column: int | None = None


class _Known(typing.NamedTuple):
    """A rule that compiled: its line's ``number``, its ``value`` and its ``data`` for the kernel."""

    number: int
    value: Rule
    data: bytes


def listed(lines: object) -> list[str]:
    """
    Return lines (list of str) as somebody gave them: a list of texts, or a text of one or several lines.

    Raises SaltInvocationError for what is neither.
    """
    # A line ends where auditctl ends it: a form feed, for one, stands in a line.
    given = lines.removesuffix("\n").split("\n") if isinstance(lines, str) else lines
    given = [] if lines == "" else given
    if not isinstance(given, (list, tuple)) or not all(map(_is_line, given)):
        raise SaltInvocationError(f"rules must be a list of lines, as in a rules file, not {text.line(repr(lines))}.")
    return list(given)


def _is_line(given):
    return isinstance(given, str) and not re.search(f"[{text.HALF}]", given)


@accounts.asked_once()
def problems(lines: Sequence[str]) -> list[Problem]:
    """
    Return every problem of a list of rule lines (list of :class:`Problem`), in the order of the lines.

    lines
        Lines as in a rules file (list of str). The files and directories that they name are looked at.

    Source: auditctl(8), audit.rules(7), and what was measured on Linux 6.18 (docs/audit-rules.md).
    """
    found: list[Problem] = []
    known: list[_Known] = []
    for number, line in enumerate(lines, start=1):
        try:
            known += _compiled(number, line)
        except RuleError as exc:
            found.append(Problem(number, line, exc.reason, WARNING if _loads(line) else ERROR, exc.column))
    refused = {problem.number for problem in found if problem.level == ERROR}
    left = load.Load()
    found += [*_alone(known), *_loading(lines, left, refused)]
    found += _among([_Known(entry.line, entry.value, data) for data, entry in left.rules.items()])
    on = next((number for number, line in enumerate(lines, start=1) if _goes_on(line)), len(lines))
    told = (one._replace(reason=one.reason.removesuffix(STOPS)) if one.number > on else one for one in found)
    return sorted(told, key=lambda problem: problem.number)


def _loads(line):
    """Tell whether auditctl takes ``line``, though it should not be written so: it may mean something else then."""
    taken = language.taken(line)
    try:
        for one in taken:
            if isinstance(one, Rule):
                compile.compile(one)
    except RuleError:
        return False
    return bool(taken) and not any(isinstance(one, RuleError) for one in taken)


def _goes_on(line):
    return any(isinstance(one, Control) and one.option in language.GO_ON for one in language.taken(line))


def _compiled(number, line):
    value = accounts.parse(line)
    if not isinstance(value, Rule):
        return []
    data = compile.compile(value)
    return [_Known(number, value, data)] if value.verb != "-d" else []


def _alone(known):
    twins = {_apart_from_arch(rule.value) for rule in known if _arch(rule.value) == "b32"}
    mounted = remarks.covered({part.value for rule in known for part in remarks.named(rule.value)})
    for rule in known:
        for level, reason in _reasons(rule.value, twins, mounted):
            yield Problem(rule.number, str(rule.value), reason, level)


def _reasons(rule, twins, mounted):
    absent = compile.absent_directory(rule)
    if absent:
        yield ERROR, f"{absent} does not exist, so the kernel refuses the rule{STOPS}"
    if hides := hiding.reason(rule):
        yield WARNING, hides
    if (rule.action, rule.filter) == ("always", "task") and rule.verb != "-d":
        # auditsc.c, audit_filter_task: what is decided there no other list decides again. Seen on Linux 6.1.
        yield (
            WARNING,
            "of the processes that it matches every system call is recorded, and none under another rule's key",
        )
    if not rule.keys and rule.action == "always" and rule.filter in ("exit", "io_uring"):
        yield WARNING, "it has no key (-k), by which its records could be found"
    yield from ((WARNING, reason) for reason in (*_places(rule, mounted), *_arches(rule, twins)))


def _places(rule, mounted):
    for part in remarks.named(rule):
        yield from filter(None, (remarks.wildcard(part.value), mounted.get(part.value)))
        if ".." in part.value:
            # Seen on Linux 6.1: the kernel finds the file all the same, and watches that.
            yield f"{part.value}: auditctl warns of relative path notation"
        if (part.option == "-w" or part.name in ("path", "dir")) and os.path.islink(part.value):
            target = os.path.realpath(part.value)
            yield f"{part.value} is a symbolic link: the link itself is watched and not {target}"
        # What is below /run is not there yet at boot, and a load stops at a dir= that is missing.
        if part.name == "path" and os.path.isdir(part.value) and not part.value.startswith("/run/"):
            yield f"{part.value} is a directory: path= does not see what happens to the files in it, and dir= does"
        if part.option == "-w" and not os.path.lexists(part.value):
            yield (
                f"{part.value} does not exist: should it become a directory, the same line is another rule; "
                f"-F path= always is the same"
            )


def _arches(rule, twins):
    if rule.filter != "exit" or not _names_calls(rule):
        return
    if not _arch(rule):
        yield "it has no arch, so its system calls are numbers of this machine's own table for 32-bit programs too"
    elif _arch(rule) == "b64" and compile.has_b32() and _apart_from_arch(rule) not in twins:
        yield "it has no twin with arch=b32, so 32-bit programs are not seen"


def _names_calls(rule):
    return any(name != "all" for name in rule.syscalls)


def _arch(rule):
    part = rule.field("arch")
    return part.value if part and part.operator == "=" else ""


def _apart_from_arch(rule):
    """
    Return what two rules share that differ in their arch only.

    The system calls count as present or not, for the two tables do not have the same names.
    """
    parts = [Part("-S", "") if part.option == "-S" else part for part in rule.parts if part.name != "arch"]
    return rule.action, rule.filter, frozenset(parts), rule.keys


def _loading(lines, left, refused):
    """Yield what an empty kernel does not take of ``lines``, one after the other, and have what it takes ``left``."""
    for number, line in enumerate(lines, start=1):
        entries = (Origin(value, "", number) for value in language.taken(line) if _is_about_rules(value))
        for entry in entries if number not in refused else ():
            copy, known = _copied(entry, left), len(left.broken)
            left.take(entry)
            if copy:
                yield Problem(number, str(entry.value), copy)
            # Of a directory that is not there it is told as of each line alone.
            if left.broken[known:] and (entry.value.verb == "-d" or not compile.absent_directory(entry.value)):
                reason = left.broken[-1].reason.replace("; a load stops here", STOPS)
                yield Problem(number, str(entry.value), f"{reason[:1].lower()}{reason[1:]}", ERROR)


def _is_about_rules(value):
    return isinstance(value, Rule) or (isinstance(value, Control) and value.option == "-D")


def _copied(entry, left):
    """Return that the kernel holds what ``entry`` puts in front (str), "" for no: it takes any number of copies."""
    if getattr(entry.value, "verb", "") != "-A":
        return ""
    held = left.holding(compile.compile(entry.value))
    return f"the same rule as in line {held.line}" if held else ""


def _among(known):
    """Yield what is to be told of ``known``, the rules that a load leaves, in the kernel's order."""
    alike: dict[tuple, int] = {}
    for rule in sorted(known, key=lambda one: one.number):
        first = alike.setdefault(_meaning(rule), rule.number)
        if first != rule.number:
            yield Problem(rule.number, str(rule.value), f"it means the same as line {first}, written in another order")
    yield from _shadowed(known)


def _meaning(rule):
    """Return what does not depend on the order of fields: two rules with one meaning differ in their bytes only."""
    value = compile.decompile(rule.data)
    return value.action, value.filter, frozenset(map(str, value.parts)), frozenset(value.keys)


def _shadowed(known):
    # One that is put in front comes before those of earlier lines.
    met = Meetings([rule.data for rule in known], compile.exec_calls)
    nevers = mask(at for at, rule in enumerate(known) if rule.value.action == "never")
    others = remarks.about_others(met.rules)
    for at, rule in enumerate(known):
        before = met.earlier(at) & ~others[at]
        whole = met.collisions.covering(rule.data, before) if before else None
        if whole is not None:
            verb = "drops" if nevers >> whole & 1 else "takes"
            reason = f"line {known[whole].number} comes first and {verb} everything that it matches"
            yield Problem(rule.number, str(rule.value), reason)
        elif before & nevers:
            first = known[lowest(before & nevers)].number
            reason = f"line {first}, which is before it, drops a part of what it matches"
            yield Problem(rule.number, str(rule.value), reason)
