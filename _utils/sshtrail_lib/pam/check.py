"""
Whether every session that a PAM stack lets through has gone by pam_loginuid.so, and what is in the way if not.

Only a stack that ends with success counts: sshd runs nothing in a session that PAM refuses, no command, no subsystem
and no forwarding (tried with OpenSSH 9.2; ``is_pam_session_open`` in ``session.c`` and ``auth_restrict_session`` from
7.4 and 8.0 on). pam_loginuid.so in the ``account`` stack does not count: for keyboard-interactive logins sshd runs
that stack in a process that ends before the session begins, whose loginuid stays unset (tried with OpenSSH 9.2; with
keys and passwords it would do).
"""

from __future__ import annotations

import typing

from sshtrail_lib.pam import dispatch, language
from sshtrail_lib.pam.dispatch import Step
from sshtrail_lib.pam.keywords import INVALID, LOGINUID, RETURNS
from sshtrail_lib.pam.language import Handler, Reading

MISSING, JUMPED = "missing", "jumped over"
ENDED = "after a line that can end the stack"
NO_MODULE, MUST_FAIL = "module file missing", "must fail line"
NOT_REQUIRED, REFUSED = "not required", "refused"


class Finding(typing.NamedTuple):
    """What is wrong: its kind (str), the lines that it is about (tuple of ``(file, number)``), and a sentence (str)."""

    kind: str
    lines: tuple[tuple[str, int], ...]
    reason: str


def problems(reading: Reading) -> list[Finding]:
    """Return everything (list of :class:`Finding`) that keeps sessions of a service from having their loginuid set."""
    return [one for one in (refused(reading), loginuid(reading), required(reading)) if one]


def refused(reading: Reading) -> Finding | None:
    """Return why no session of a service is ever let through (:class:`Finding`), or None."""
    if reading.refused:
        return Finding(REFUSED, ((reading.path, 0),), f"Linux-PAM refuses the whole service: {reading.refused}")
    stack = reading.stack("session")
    if any(dispatch.way(stack, outcome) for outcome in (dispatch.RAN, dispatch.FAILED, dispatch.NEVER)):
        return None
    broken = [one for one in stack if one.kind == language.MUST_FAIL or (one.kind == language.MODULE and not one.found)]
    what = "; ".join(f"{_place(one)}: {_shown(one)}" for one in broken) or "no module can let one through"
    return Finding(REFUSED, _lines(broken) or ((reading.path, 0),), f"PAM refuses every session: {what}")


def loginuid(reading: Reading) -> Finding | None:
    """
    Return why a session can be let through without pam_loginuid.so having been called.

    reading
        What Linux-PAM makes of the service (:class:`~sshtrail_lib.pam.language.Reading`).

    Returns a :class:`Finding`, None when each session has gone by it.
    """
    stack = reading.stack("session")
    steps = None if reading.refused else dispatch.way(stack, dispatch.NEVER)
    if steps is None:
        return None
    setters = [index for index, handler in enumerate(stack) if handler.sets]
    return _skipped(stack, setters, steps) if setters else _absent(reading)


def _skipped(stack: tuple[Handler, ...], setters: list[int], steps: list[Step]) -> Finding:
    taken = next(one for one in reversed(steps) if any(one.at < at < one.after for at in setters))
    handler = stack[taken.at]
    over = [stack[at] for at in setters if taken.at < at < taken.after]
    answered = "what is no return value" if taken.answer == INVALID else RETURNS[taken.answer]
    when = "" if handler.kind == language.UNCERTAIN else f", when it returns {answered},"
    does = f"{_place(handler)}: {_shown(handler)}{when}"
    lines = _lines([handler, *over])
    if handler.actions[taken.answer] > 0:
        return Finding(JUMPED, lines, f"{does} jumps over {LOGINUID} ({', '.join(map(_place, over))})")
    return Finding(ENDED, lines, f"{does} ends the stack before {LOGINUID} ({', '.join(map(_place, over))})")


def _absent(reading: Reading) -> Finding:
    named = [one for one in reading.stack("session") if one.names_loginuid]
    everywhere = [one for side in (reading.own, reading.other) for stack in side.values() for one in stack]
    failing = [one for one in everywhere if one.names_loginuid and one.kind == language.MUST_FAIL]
    if named:
        where = ", ".join(map(_place, named))
        return Finding(NO_MODULE, _lines(named), f"{where} names {LOGINUID}, which cannot be loaded")
    if failing:
        where = ", ".join(map(_place, failing))
        return Finding(MUST_FAIL, _lines(failing), f"{where} names {LOGINUID}, but is no line of a session")
    path = reading.path or "other"
    return Finding(MISSING, ((path, 0),), f"the session stack of {path} has no {LOGINUID}")


def required(reading: Reading) -> Finding | None:
    """Return that a session goes on when pam_loginuid.so fails (:class:`Finding`), None when it is refused then."""
    stack = reading.stack("session")
    if reading.refused or dispatch.way(stack, dispatch.FAILED) is None:
        return None
    setters = [handler for handler in stack if handler.sets]
    where = ", ".join(f"{_place(one)}: {one.control}" for one in setters)
    reason = f"a session goes on, unrecorded, when {LOGINUID} fails ({where}); {require_auditd(reading)}"
    return Finding(NOT_REQUIRED, _lines(setters), reason)


def require_auditd(reading: Reading) -> str:
    """Return what the argument ``require_auditd`` of pam_loginuid.so does here, or would do (str, one sentence)."""
    setters = [handler for handler in reading.stack("session") if handler.sets]
    asked = any("require_auditd" in handler.arguments for handler in setters)
    if dispatch.way(reading.stack("session"), dispatch.FAILED):
        return f"require_auditd {'changes' if asked else 'would change'} nothing: its failure is not asked for"
    return f"require_auditd {'refuses' if asked else 'would refuse'} every login while the kernel has no audit daemon"


def _place(handler: Handler) -> str:
    return f"{handler.file}, line {handler.line}"


def _shown(handler: Handler) -> str:
    if handler.kind == language.MODULE and not handler.found:
        return f"{handler.module} cannot be loaded"
    if handler.kind == language.UNCERTAIN:
        return "an @include of nothing, which may do anything,"
    return handler.module if handler.kind == language.MODULE else "a line that always fails"


def _lines(handlers: list[Handler]) -> tuple[tuple[str, int], ...]:
    return tuple((handler.file, handler.line) for handler in handlers)
