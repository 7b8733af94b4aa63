"""
What a policy has changed on this host, and what stood there before: so that it can ask for less, and be undone.

One file for each thing that is managed, of this user alone. It is replaced in the same transaction as the files that it
tells of, so that a crash leaves both as they were or both as they are to be.
"""

from __future__ import annotations

import base64
import json
import os
import typing
from collections.abc import Iterable, Mapping

from sshtrail_lib.base import files, merge, store
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.base.transaction import Transaction

#: A file's content, None for no file.
Data = bytes | None


class Memory:
    """
    What was changed for one thing that is managed.

    memory = Memory(minion, transaction, path)
    base = memory.without(path, data)    what the file would hold without us: plan on that
    memory.write(old, base, new)         the files, and what is to be remembered of them
    """

    def __init__(self, minion: Minion, transaction: Transaction, main: str) -> None:
        """
        minion
            Where it lies (:class:`sshtrail_lib.base.minion.Minion`).
        transaction
            The change that it belongs to (Transaction).
        main
            The main file (str), as for that.
        """
        self.transaction, self.main = transaction, main
        self.path = os.path.join(minion.state_dir, transaction.name)
        self._known = self._read()

    def _read(self) -> dict[str, typing.Any]:
        # What an interrupted change left behind is read as it was before, like the files themselves.
        left = self.transaction.interrupted()
        found = json.loads(left[self.path] or b"{}") if self.path in left else store.load(self.path)
        return found or {}

    @property
    def paths(self) -> list[str]:
        """The files (list of str) that were changed."""
        return list(self._known.get("files", {}))

    @property
    def asked(self) -> typing.Any:
        """What was asked for (what JSON can hold), None for nothing."""
        return self._known.get("asked")

    @property
    def facts(self) -> dict[str, typing.Any]:
        """What else was found before the first change (dict), such as the kernel's settings."""
        return dict(self._known.get("facts", {}))

    def without(self, path: str, data: Data) -> Data:
        """Return what the file at ``path`` (str), which holds ``data`` (bytes or None), would hold without us."""
        known = self._known.get("files", {}).get(path)
        return merge.taken_back(_unpacked(known["before"]), _unpacked(known["after"]), data) if known else data

    def found(self, path: str) -> Data:
        """Return what the file at ``path`` (str) held before (bytes), None for no file or one left as it is."""
        known = self._known.get("files", {}).get(path)
        return _unpacked(known["before"]) if known else None

    def made(self, path: str) -> Data:
        """Return what the file at ``path`` (str) was made to hold (bytes), None for no file or one left as it is."""
        known = self._known.get("files", {}).get(path)
        return _unpacked(known["after"]) if known else None

    def drop(self) -> dict[str, typing.Any]:
        """Remember nothing any more, and return no change (dict): what it tells of is not there."""
        files.remove(self.path)
        return {}

    def write(
        self,
        old: Mapping[str, Data],
        base: Mapping[str, Data],
        new: Mapping[str, Data],
        asked: object = None,
        facts: Mapping[str, typing.Any] | None = None,
        mode: int = 0o644,
    ) -> None:
        """
        Replace files and remember it, in the transaction, which the caller holds and closes.

        old
            What the files hold now: ``{path: bytes}``, None for no file.
        base
            What they would hold without us.
        new
            What they are to hold: those that differ are replaced, in this order.
        asked, facts
            What is asked for, and what was found before (what JSON can hold).
        mode
            The permission bits of a file that is new (int).
        """
        changed = {path: data for path, data in new.items() if old.get(path) != data}
        told = self._told(base, new, asked, facts)
        os.makedirs(os.path.dirname(self.path), mode=0o700, exist_ok=True)
        before = {**old, self.path: files.read(self.path)}
        if before[self.path] != told:
            changed[self.path] = told
        self.transaction.write(before, changed, mode, private=self.path)

    def _told(
        self, base: Mapping[str, Data], new: Mapping[str, Data], asked: object, facts: Mapping[str, typing.Any] | None
    ) -> Data:
        kept = {
            path: {"before": _packed(base.get(path)), "after": _packed(data)}
            for path, data in new.items()
            if base.get(path) != data
        }
        if not kept and not asked and not facts:
            return None
        told = {"main": self.main, "files": kept, "asked": asked, "facts": dict(facts or {})}
        return json.dumps(told, sort_keys=True).encode()


def mains(minion: Minion, kind: str) -> list[str]:
    """Return the main files (list of str) of whose ``kind`` (str) something is remembered on this host."""
    names = [name for name in _names(minion) if name.startswith(f"{kind}-") and name.endswith(".json")]
    found = [store.load(os.path.join(minion.state_dir, name)) for name in names]
    return sorted(one["main"] for one in found if one)


def _names(minion: Minion) -> Iterable[str]:
    try:
        return os.listdir(minion.state_dir)
    except FileNotFoundError:
        return []


def _packed(data: Data) -> str | None:
    return None if data is None else base64.b64encode(data).decode()


def _unpacked(packed: str | None) -> Data:
    return None if packed is None else base64.b64decode(packed)
