"""
The host's users and groups, by which audit rules compare: asked for, never changed.

Who answers may be a directory on the network: each name is asked for once in one piece of work, and never are all.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from sshtrail_lib.base import directory, files
from sshtrail_lib.rules import fields, language
from sshtrail_lib.rules.fields import RuleError, near
from sshtrail_lib.rules.language import Control, Rule

#: Where names are that are there without a directory: only of these one is suggested for another.
LOCAL = {"user": "/etc/passwd", "group": "/etc/group"}
_answers: list[dict[tuple[str, str], int | None]] = []


@contextlib.contextmanager
def asked_once() -> Iterator[None]:
    """Have each name asked for once, however many rules name it, and whatever the answer is, until this ends."""
    _answers.append(_answers[-1] if _answers else {})
    try:
        yield
    finally:
        _answers.pop()


def parse(line: str) -> Rule | Control | None:
    """Return what :func:`language.parse` says of ``line`` (str) on this host: users and groups must be there."""
    return language.parse(line, exists)


def parse_rule(line: str) -> Rule:
    """Return what :func:`language.parse_rule` says of ``line`` (str) on this host: users and groups must be there."""
    return language.parse_rule(line, exists)


def exists(field: str, name: str) -> None:
    """Raise :class:`RuleError` when this host has no user or group ``name`` (str), whichever ``field`` (str) takes."""
    if _number(field, name) is None:
        raise RuleError(f"Unknown {_kind(field)} {name!r}{near(name, _names(field))}.")


def number(field: str, text: str) -> int:
    """
    Return the number (int) of a user or group that :func:`language.parse` accepted for the field ``field`` (str).

    text
        A number, ``unset`` or a name (str).

    Raises :class:`RuleError` when there is none of that name.
    """
    if text == "unset":
        return fields.UNSET
    found = fields.integer(text)
    if found is None:
        found = _number(field, text)
    if found is None:
        raise RuleError(f"Unknown {_kind(field)} {text!r}.")
    return found


def _kind(field):
    return "user" if field in fields.UIDS else "group"


def _number(field, name):
    known = _answers[-1] if _answers else {}
    asked = (_kind(field), name)
    if asked not in known:
        known[asked] = _ask(*asked)
    return known[asked]


def _ask(kind, name):
    try:
        return directory.user(name).pw_uid if kind == "user" else directory.group(name).gr_gid
    except (KeyError, ValueError):
        return None


def _names(field):
    lines = (files.read(LOCAL[_kind(field)]) or b"").decode("utf-8", "replace").splitlines()
    return [line.partition(":")[0] for line in lines]
