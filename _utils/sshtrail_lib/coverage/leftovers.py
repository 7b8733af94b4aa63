"""
What a proof that was killed left behind, and its removal: by the next proof, and by the next look for drift.

It is worth nothing meanwhile: a private key is gone from its directory before anything lets it in, and is then in the
memory of the proof alone. This room imports little, for the search for drift has it.
"""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import typing

from sshtrail_lib.base import files, transaction
from sshtrail_lib.base.minion import Minion

#: The home of the account that proofs log in to; it is there while a proof is going on.
HOME = "/run/sshtrail-proof"


class Places(typing.NamedTuple):
    """
    Where a proof keeps what it needs for a moment (all str, paths).

    lock
        Held by the one proof that is going on.
    keys
        The directory in which its key is made.
    note
        Says which file outside of :data:`HOME` lets the key in.
    last
        What came of the last proof.
    new
        The same, while it is being written.
    history
        The history of the host, in which each proof is told.
    """

    lock: str
    keys: str
    note: str
    last: str
    new: str
    history: str


def places(minion: Minion) -> Places:
    """Return the :class:`Places` of a host."""
    kept = os.path.join(minion.cachedir, "sshtrail")
    last = os.path.join(kept, "proof.json")
    return Places(
        os.path.join(minion.run_dir, "proof.lock"),
        os.path.join(minion.run_dir, "proof-key"),
        os.path.join(kept, "proof.left"),
        last,
        f"{last}.new",
        history(minion.cachedir),
    )


def history(cachedir: str) -> str:
    """Return where the history of a host is kept (str); ``.new`` behind it is that which is being written."""
    return os.path.join(cachedir, "sshtrail", "history.json")


def clear(minion: Minion) -> bool:
    """Remove what a killed proof left, unless one is going on; return whether there was anything (bool)."""
    where = places(minion)
    if not any(map(os.path.lexists, (HOME, where.keys, where.note, where.new, f"{where.history}.new"))):
        return False
    with contextlib.suppress(transaction.Busy), transaction.lock(where.lock, 0):
        remove(where)
        return True
    return False


def remove(where: Places) -> None:
    """Remove what is at the :class:`Places` of a proof: first of all what lets a key in. Its lock must be held."""
    noted = _noted(where.note)
    if noted:
        forbid(*noted)
    for directory in (HOME, where.keys):
        if os.path.lexists(directory):
            shutil.rmtree(directory)
    files.remove(where.new)
    # Unless somebody is writing it now.
    with contextlib.suppress(transaction.Busy), transaction.lock(f"{where.history}.lock", 0):
        files.remove(f"{where.history}.new")
    files.remove(where.note)


def note(where: Places, path: str, line: bytes) -> None:
    """
    Note, so that it outlives a power cut, that the file at ``path`` (str) is going to let a key in.

    line
        What will be in it (bytes).
    """
    os.makedirs(os.path.dirname(where.note), mode=0o700, exist_ok=True)
    write(where.note, json.dumps({"path": path, "line": line.decode()}).encode(), 0o600)
    files.sync_directory(os.path.dirname(where.note))


def forbid(path: str, line: bytes) -> None:
    """Remove the file at ``path`` (str) if it holds what was noted (bytes), or its beginning, and nothing else."""
    content = None if os.path.islink(path) else files.read(path)
    if content is not None and line.startswith(content):
        files.remove(path)


def write(path: str, data: bytes, mode: int, group: int = -1) -> None:
    """
    Write a file that is not there yet; without a temporary file beside it, which a kill would leave.

    path, data
        Its path (str) and what it holds (bytes).
    mode, group
        Its permission bits and its group's number (int, -1 for this process's).
    """
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    try:
        os.fchown(handle, -1, group)
        os.fchmod(handle, mode)
        # A disk that is nearly full takes a part.
        while data:
            data = data[os.write(handle, data) :]
        os.fsync(handle)
    finally:
        os.close(handle)


def _noted(path: str) -> tuple[str, bytes] | None:
    # What is not whole was never followed by a file.
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = json.loads(files.read(path) or b"")
        return found["path"], found["line"].encode()
    return None
