"""
What the kernel's rules hide, and whether they record the commands of login sessions.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping, Sequence

from sshtrail_lib.coverage.checks import Cause, Verdict, unknown, verdict
from sshtrail_lib.rules import layout, overlap
from sshtrail_lib.rules.fields import UNSET

#: linux/audit.h: the records without which nobody knows who came and what he ran.
ESSENTIAL = {
    **{1006: "LOGIN", 1112: "USER_LOGIN", 1105: "USER_START", 1106: "USER_END", 1101: "USER_ACCT"},
    **{1300: "SYSCALL", 1309: "EXECVE", 1305: "CONFIG_CHANGE"},
}
MSGTYPE, AUID = 12, 9
EXCLUDE, TASK, USER, EXIT = (layout.FILTER_NUMBERS[name] for name in ("exclude", "task", "user", "exit"))
NEVER = layout.ACTION_NUMBERS["never"]
COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": lambda one, other: one == other,
    "!=": lambda one, other: one != other,
    ">": lambda one, other: one > other,
    ">=": lambda one, other: one >= other,
    "<": lambda one, other: one < other,
    "<=": lambda one, other: one <= other,
}


class Rules(typing.NamedTuple):
    """
    The kernel's rules, and what they are held against.

    held
        The rules, in the kernel's order (list of bytes).
    named
        Those that the policy names (collection of bytes).
    probes
        For each way to run a program the rule that records it (dict of str to bytes).
    asked
        Whether the policy asks for the commands of sessions (bool).
    lines
        A rule as a line (callable: bytes → str).
    execs
        As for :func:`sshtrail_lib.rules.overlap.collide`.
    unmatched
        The system calls that the kernel takes, and no rule can match (str), empty for none.
    """

    held: Sequence[bytes]
    named: frozenset[bytes]
    probes: Mapping[str, bytes]
    asked: bool
    lines: Callable[[bytes], str]
    execs: Callable[[int], int]
    unmatched: str = ""


def judge(rules: Rules) -> Iterator[Verdict]:
    """Yield the verdicts on the kernel's rules: one for each rule that hides, and whether commands are recorded."""
    hiding = [rule for rule in dict.fromkeys(rules.held) if rule not in rules.named and hides(rule, rules)]
    if not hiding:
        yield Verdict("rules-hide", True)
    for rule in hiding:
        line = rules.lines(rule)
        cause = Cause("kernel", line, None, "loaded")
        yield Verdict("rules-hide", False, f"{line} ({hides(rule, rules)})", cause=cause)
    yield _commands(rules)


def _commands(rules: Rules) -> Verdict:
    if not rules.asked:
        return unknown("commands-unruled", "the policy asks for no rule about the commands of sessions")
    always = [rule for rule in rules.held if _records(rule)]
    missing = [name for name, probe in rules.probes.items() if not any(overlap.covers(rule, probe) for rule in always)]
    told = f"no rule of the kernel records {', '.join(missing)} of every login session" if missing else ""
    if rules.unmatched and not told:
        why = f"the kernel takes system calls of {rules.unmatched}, which no rule can match"
        return unknown("commands-unruled", f"{why}: a program that is made for them runs others unrecorded")
    return verdict("commands-unruled", told, cause=_gone(rules, missing))


def _gone(rules: Rules, missing: Sequence[str]) -> Cause | None:
    """Return the cause of ways to run a program that are not recorded (sequence of str): a rule that is not held."""
    wanted = [rules.probes[name] for name in missing]
    gone = sorted(set(rules.named) - set(rules.held))
    lost = next((rule for rule in gone if any(overlap.covers(rule, probe) for probe in wanted)), None)
    return Cause("kernel", rules.lines(lost), "loaded") if lost else None


def _records(rule: bytes) -> bool:
    return layout.unpack(rule)[0].action != NEVER


def hides(rule: bytes, rules: Rules) -> str:
    """Return what a rule (bytes) of the kernel hides (str), empty where it hides nothing of sessions."""
    packed = layout.unpack(rule)[0]
    if _only_without_login(packed.fields) or not layout.hides(rule):
        return ""
    if packed.filter == EXCLUDE:
        return _excluded(packed.fields)
    if packed.filter == TASK:
        return "what is started while it stands is not recorded"
    if packed.filter == USER:
        return "what programs tell of logins is not recorded"
    return _before_commands(rule, rules) if packed.filter == EXIT else ""


def _only_without_login(fields: Sequence[tuple[int, int, int]]) -> bool:
    """Tell whether a rule is only about processes without a login."""
    return any(
        number == AUID and value == UNSET and layout.OPERATOR_NAMES.get(op) == "=" for number, op, value in fields
    )


def _excluded(fields: Sequence[tuple[int, int, int]]) -> str:
    hidden = [name for kind, name in ESSENTIAL.items() if drops(fields, kind)]
    return f"records of the type {', '.join(hidden)} are not written" if hidden else ""


def drops(fields: Sequence[tuple[int, int, int]], kind: int) -> bool:
    """Tell whether a rule with these ``fields`` on the exclude list keeps records of a ``kind`` (int) away."""
    return all(_matches(kind, op, value) for number, op, value in fields if number == MSGTYPE)


def _matches(kind: int, operator: int, value: int) -> bool:
    compare = COMPARE.get(layout.OPERATOR_NAMES.get(operator, ""))
    return compare is None or compare(kind, value)


def _before_commands(rule: bytes, rules: Rules) -> str:
    """Return what a ``never`` of the exit list hides: commands, where it stands before the rule that records them."""
    hidden = []
    for name, probe in rules.probes.items():
        first = next(one for one in rules.held if one == rule or (_records(one) and overlap.covers(one, probe)))
        if first == rule and overlap.collide(rule, probe, rules.execs):
            hidden.append(name)
    return f"{', '.join(hidden)} that it matches are not recorded" if hidden else ""
