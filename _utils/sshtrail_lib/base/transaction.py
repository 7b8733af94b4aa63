"""
One change of files at a time, and whole or not at all: a lock, a journal for whoever comes after a crash, backups.

sshd_config, auditd.conf and the audit rules are changed by this alone.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import os
import typing
from collections.abc import Iterable, Iterator, Mapping

import salt.utils.files
from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, store
from sshtrail_lib.base.locks import DEADLINE, Busy, lock
from sshtrail_lib.base.minion import Minion

__all__ = ["DEADLINE", "Busy", "Transaction", "lock", "put"]


class Transaction:
    """
    A change of one configuration.

    with transaction.locked():       nobody else changes it meanwhile, and what a crash left is put back
        transaction.write(old, new)  the journal, the backups, then the files
        …                            have the daemon take them up
        transaction.close()          or transaction.undo()
    """

    def __init__(self, minion: Minion, kind: str, main: str) -> None:
        """
        minion
            Where locks, journals and backups lie (:class:`sshtrail_lib.base.minion.Minion`).
        kind
            What is changed, ``sshd_config`` for example (str): one change of a kind at a time.
        main
            The main file (str): each has a journal of its own. Raises :class:`~salt.exceptions.SaltInvocationError` for
            what cannot be the name of one.
        """
        self._lock = os.path.join(minion.run_dir, f"{kind}.lock")
        digest = hashlib.sha256(os.path.realpath(files.named(main)).encode()).hexdigest()[:16]
        #: What a file of ours about this configuration is called (str).
        self.name = f"{kind}-{digest}.json"
        self._journal = os.path.join(minion.cachedir, "sshtrail", self.name)
        self._backups = os.path.join(minion.cachedir, "file_backup")
        self._old: dict[str, bytes | None] = {}

    @contextlib.contextmanager
    def locked(self, deadline: float = DEADLINE) -> Iterator[None]:
        """
        Be the only one that changes it, with what an interrupted change left behind put back.

        Raises :class:`Busy` when somebody else is at it for longer than ``deadline`` (float, seconds).
        """
        with lock(self._lock, deadline):
            for path, data in self.interrupted().items():
                put(path, data, *self._worn(path))
            self.close()
            yield

    def interrupted(self) -> dict[str, bytes | None]:
        """
        Return what an interrupted change replaced: ``{path: bytes}``, None for a file that was not there.

        A file that somebody has changed since is not among them. Whoever only reads takes these for the files.
        """
        return {
            path: _unpacked(entry["old"])
            for path, entry in self._entries().items()
            if files.read(path) == _unpacked(entry["new"])
        }

    def _entries(self) -> dict[str, typing.Any]:
        # The journal is replaced atomically: a broken one was never a journal.
        found: dict[str, typing.Any] = {}
        with contextlib.suppress(ValueError):
            found = json.loads(store.load_bytes(self._journal) or b"{}")
        return found

    def write(
        self,
        old: Mapping[str, bytes | None],
        new: Mapping[str, bytes | None],
        mode: int = 0o644,
        private: str | None = None,
    ) -> None:
        """
        Replace files, each one atomically.

        old
            What they hold now: ``{path: bytes}``, None for no file.
        new
            What they are to hold, in the order in which they are written: ``{path: bytes}``, None for no file.
        mode
            The permission bits of a file that is new (int).
        private
            One of them that is for this user alone, and of which nobody needs a backup (str, or None).
        """
        if not new:
            return
        self._old = {path: old.get(path) for path in new}
        try:
            os.makedirs(os.path.dirname(self._journal), mode=0o700, exist_ok=True)
            entries = {path: {**self._entry(path), "new": _packed(data)} for path, data in new.items()}
            files.replace(self._journal, json.dumps(entries).encode(), mode=0o600)
            self._back_up(path for path in new if path != private)
        except OSError as exc:
            raise CommandExecutionError(f"Cannot keep what was there before: {exc}; nothing was changed.") from exc
        for path, data in new.items():
            fresh = (0o600 if path == private else mode, None)
            put(path, data, *(fresh if self._old[path] is None else self._worn(path)))

    def _back_up(self, paths: Iterable[str]) -> None:
        # Salt gives a copy its mode once it is there.
        with salt.utils.files.set_umask(0o077):
            for path in filter(os.path.exists, paths):
                salt.utils.files.backup_minion(path, self._backups)

    def _entry(self, path: str) -> dict[str, typing.Any]:
        # What has vanished since it was read was no secret at best: it is not to come back as one that all may read.
        worn = files.dress(path) or files.Dress(0o600, os.geteuid(), os.getegid())
        return {"old": _packed(self._old[path]), "dress": list(worn)}

    def _worn(self, path: str) -> tuple[int, tuple[int, int] | None]:
        """Return the mode and the owner that a file had before the change that the journal tells of."""
        dress = self._entries().get(path, {}).get("dress")
        return (dress[0], (dress[1], dress[2])) if dress else (0o600, None)

    def undo(self) -> None:
        """Put back what :meth:`write` replaced."""
        for path, data in self._old.items():
            put(path, data, *self._worn(path))
        self.close()

    def close(self) -> None:
        """Note that the change has ended, in one way or the other; nothing happens when none is open."""
        files.remove(self._journal)


def put(path: str, data: bytes | None, mode: int = 0o644, owner: tuple[int, int] | None = None) -> None:
    """
    Make ``data`` (bytes, None for no file) the content of ``path``.

    A file that is new gets ``mode`` (int, permission bits) and, where that is known, ``owner`` (uid and gid, int).
    """
    if data is None:
        files.remove(path)
    elif files.read(path) != data:
        files.replace(path, data, mode, owner)


def _packed(data: bytes | None) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _unpacked(text: str | None) -> bytes | None:
    return None if text is None else base64.b64decode(text)
