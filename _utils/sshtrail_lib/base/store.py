"""
Small facts that this project keeps for itself, as JSON, in files that only the user who wrote them is believed for.
"""

from __future__ import annotations

import contextlib
import json
import logging
import os
import stat
import typing

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, opening

log = logging.getLogger(__name__)

#: What a disk did not take, by the path where it would be: this process knows it for as long as it lives.
_HELD: dict[str, typing.Any] = {}


class StoreError(CommandExecutionError):
    """A file of ours holds something else, or somebody else may have written it; the message names it."""


def load(path: str) -> typing.Any:
    """
    Return what the file at ``path`` (str) holds, None when there is none.

    Raises :class:`StoreError` when others could have written it, or when it is no JSON.
    """
    if path in _HELD:
        return _HELD[path]
    data = load_bytes(path)
    try:
        return None if data is None else json.loads(data)
    except (ValueError, RecursionError) as exc:
        raise StoreError(f"Cannot use {path}: {exc}") from exc


def remembered(path: str) -> dict[str, typing.Any]:
    """Return the mapping that the file at ``path`` (str) holds; empty for none, and for what nobody can believe."""
    try:
        found = load(path)
    except StoreError:
        return {}
    return found if isinstance(found, dict) else {}


def load_bytes(path: str) -> bytes | None:
    """Return the bytes that the file at ``path`` (str) holds; else as :func:`load`."""
    try:
        with open(path, "rb", opener=opening.at_once) as handle:
            found = os.fstat(handle.fileno())
            good = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
            if not good or stat.S_IMODE(found.st_mode) & 0o022:
                raise StoreError(f"{path} is not this user's alone, so nothing in it is believed.")
            return handle.read()
    except FileNotFoundError:
        return None
    except OSError as exc:
        raise StoreError(f"Cannot use {path}: {exc}") from exc


def save(path: str, value: object) -> None:
    """Make ``value`` what the file at ``path`` (str) holds, of this user alone; a crash leaves the old or the new."""
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    files.replace(path, json.dumps(value).encode(), mode=0o600)


def remember(path: str, value: object) -> None:
    """Do so; where the disk takes nothing, only this process remembers it, which the log says."""
    try:
        save(path, value)
        _HELD.pop(path, None)
    except (OSError, CommandExecutionError) as exc:
        hold(path, value, exc)


def forget(path: str) -> None:
    """Leave nothing at ``path`` (str); what the disk does not let go of counts for nothing in this process."""
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)
        _HELD.pop(path, None)
    except OSError as exc:
        hold(path, None, exc)


def hold(path: str, value: object, why: Exception) -> None:
    """Remember ``value`` for as long as this process lives, for a reason that the log tells (``why``, Exception)."""
    log.error("Not kept: %s", getattr(why, "message", why))
    _HELD[path] = value


def keep(path: str, data: bytes) -> None:
    """
    Make ``data`` (bytes) what the file at ``path`` (str) holds, of this user alone, without waiting for the disk.

    For what is worth nothing after the next boot, and says to which it belongs. Raises OSError.
    """
    os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
    with files.instead(path) as new:
        new.write(data)
