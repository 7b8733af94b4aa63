"""
The host's users and groups, by which audit rules compare: asked for, never changed.
"""

from __future__ import annotations

import grp
import pwd

from sshtrail_lib.rules import fields, language
from sshtrail_lib.rules.fields import RuleError, near
from sshtrail_lib.rules.language import Control, Rule


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
    try:
        return pwd.getpwnam(name).pw_uid if field in fields.UIDS else grp.getgrnam(name).gr_gid
    except (KeyError, ValueError):
        return None


def _names(field):
    if field in fields.UIDS:
        return [entry.pw_name for entry in pwd.getpwall()]
    return [entry.gr_name for entry in grp.getgrall()]
