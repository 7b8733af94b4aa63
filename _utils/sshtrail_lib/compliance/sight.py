"""
What could not be looked at: a file that cannot be read and one that is not there are two things.

Whatever reads files for a control notes here what it was refused; a control that is about it is unknown then.
"""

from __future__ import annotations

import contextlib
import contextvars
import glob
import os
import re
import typing
from collections.abc import Callable, Iterator

Found = typing.TypeVar("Found")

#: What has been refused so far (list of str), None where nobody wants to know.
_REFUSED: contextvars.ContextVar[list[str] | None] = contextvars.ContextVar("refused", default=None)


@contextlib.contextmanager
def watched() -> Iterator[list[str]]:
    """Give the list (of str) that holds, at the end, what could not be looked at in the meantime, and why."""
    found: list[str] = []
    token = _REFUSED.set(found)
    try:
        yield found
    finally:
        _REFUSED.reset(token)


def noted(name: str, look: Callable[[], Found], unread: dict[str, str] | None) -> Found:
    """
    Return what ``look()`` returns, and put into ``unread`` (dict of str, None for nowhere), under a ``name`` (str), why
    something could not be looked at, where that was so.
    """
    with watched() as refused:
        found = look()
    if refused and unread is not None:
        unread[name] = refused[0]
    return found


def note(told: str) -> None:
    """Note that something could not be looked at (str: what, and why)."""
    found = _REFUSED.get()
    if found is not None:
        found.append(told)


def missing(path: str) -> None:
    """Note it where a ``path`` (str), that seems not to be there, can be in a directory that nobody lets us into."""
    directory = os.path.dirname(path)
    while directory not in ("", "/") and not os.path.isdir(directory):
        directory = os.path.dirname(directory)
    if os.path.isdir(directory) and not os.access(directory, os.X_OK):
        note(f"{directory} cannot be entered")


def matching(pattern: str) -> list[str]:
    """Return the paths (list of str, in order) that a ``pattern`` (str) of Python's ``glob`` has."""
    parts = pattern.split("/")
    at = next((at for at, part in enumerate(parts) if glob.has_magic(part)), None)
    if at is None:
        missing(pattern)
    else:
        _listed("/".join(parts[:at]) or "/", parts[at:])
    return sorted(glob.glob(pattern))


def _listed(top: str, parts: list[str]) -> None:
    """Note each directory that a pattern (list of str, its ``parts``) leads through and that cannot be listed."""
    tops = [re.sub(r"\[(.)\]", r"\1", top)]
    for at in range(len(parts)):
        for one in tops:
            if os.path.isdir(one) and not os.access(one, os.R_OK | os.X_OK):
                note(f"{one} cannot be listed")
        if not any(map(os.path.isdir, tops)):
            missing(f"{tops[0]}/x" if tops else "/")
        if at + 1 < len(parts):
            tops = [
                found for one in tops for found in glob.glob(f"{glob.escape(one)}/{parts[at]}") if os.path.isdir(found)
            ]
