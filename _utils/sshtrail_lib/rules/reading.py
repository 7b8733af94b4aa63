"""
The files of ``rules.d`` as the host's augenrules reads them: which, in which order, and what of them cannot be read.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping

import salt.utils.path
from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files as base_files
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules import splitting

#: What an augenrules has in it that lets the shell split names (until 4.2).
_SPLITS = b"ls -1v"


def files(
    rules_dir: str, replaced: Mapping[str, bytes | None]
) -> tuple[dict[str, bytes], dict[str, str], dict[str, dict[str, bytes | None]]]:
    """
    Return what the files hold (``{path: bytes}``), why others cannot be read (``{path: str}``), and what is read for
    those (``{path: {path: bytes or None}}``).
    """
    held: dict[str, bytes] = {}
    unread: dict[str, str] = {}
    others: dict[str, list[str]] = {}
    for path, read in _read_for(rules_dir).items():
        if read != [path]:
            others[path] = read
            unread[path] = splitting.sentence([os.path.basename(one) for one in read])
            continue
        try:
            data = _content(path, replaced)
            held |= {path: data} if data is not None else {}
        except CommandExecutionError as exc:
            unread[path] = exc.message
    return held, unread, {path: _beside(read, held, replaced) for path, read in others.items()}


def _content(path, replaced):
    return replaced[path] if path in replaced else base_files.read_regular(path)


def _read_for(rules_dir):
    """Return the paths (list of str) that augenrules reads for each file, in its order: most stand for themselves."""
    found = paths(rules_dir)
    if _SPLITS not in (augenrules() or _SPLITS):
        return {path: [path] for path in found}
    names = os.listdir(rules_dir) if found else []
    read = {path: splitting.read_for(os.path.basename(path), names) for path in found}
    return {path: [os.path.join(rules_dir, name) for name in words] for path, words in read.items()}


def _beside(read, held, replaced):
    """Return the content of each path ``read`` that is not ``held`` already (bytes), None where it is, or is none."""
    found: dict[str, bytes | None] = {}
    for path in read:
        with contextlib.suppress(CommandExecutionError):
            found[path] = None if path in held else _content(path, replaced)
    return found


def paths(rules_dir: str) -> list[str]:
    """Return the files (list of str) that augenrules reads, in its order."""
    names = rules_files.order(os.listdir(rules_dir)) if os.path.isdir(rules_dir) else []
    return [os.path.join(rules_dir, name) for name in names]


def augenrules() -> bytes:
    """Return the script that merges the files on this host (bytes, empty for none)."""
    return program("augenrules")


def program(name: str) -> bytes:
    """Return what the program called ``name`` (str) has in it (bytes, empty where there is none)."""
    path = salt.utils.path.which(name)
    return (base_files.read(path) if path else None) or b""
