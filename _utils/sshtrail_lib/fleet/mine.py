"""
Salt's mine as it lies on the master's own disk: what each host has put there, under the name that was authenticated.

Not ``mine.get``: that asks as if the master were a minion, and no other minion may read a claim. Nor ``cache.mine``:
that reads whatever is there, of any size.
"""

from __future__ import annotations

import logging
import os
import typing
from collections.abc import Mapping

import salt.cache
import salt.utils.mine
from salt.exceptions import SaltException

log = logging.getLogger(__name__)

#: Bytes that the mine of a host may have, whatever else it puts there; what is larger is not read. All the answers that
#: it may have put there for this project come to three quarters of that.
LARGEST = 2 << 20

Content = Mapping[str, typing.Any]


class Mine:
    """The mines of all hosts."""

    def __init__(self, opts: Mapping[str, typing.Any]) -> None:
        """
        opts
            The master's configuration.
        """
        self._cache = salt.cache.factory(opts)
        # Another store than files tells no size, and whether anything is new is learned by reading it.
        self._root = opts["cachedir"] if opts.get("cache", "localfs") == "localfs" else None

    def of(self, name: str) -> Content:
        """Return what the host ``name`` (str) has put into its mine (mapping), an empty one for nothing or too much."""
        for bank, key in _places(name):
            found = self._fetched(name, bank, key)
            if found:
                return found
        return {}

    def edition(self, name: str) -> object:
        """Return what is another whenever the mine of a host was written, None where nobody can tell."""
        found = [self._file(bank, key) for bank, key in _places(name)] if self._root else []
        return [(one.st_mtime_ns, one.st_ino, one.st_size) for one in found if one] or None

    def written(self, name: str) -> float:
        """Return when the mine of the host ``name`` (str) was last written (seconds since the epoch), 0 for never."""
        for bank, key in _places(name):
            if (not self._root or self._file(bank, key)) and (when := self._cache.updated(bank, key)):
                return float(when)
        return 0.0

    def told(self, name: str, key: str) -> typing.Any:
        """Return what a host has put into its mine under a ``key`` (str): anything, None for nothing."""
        return claimed(self.of(name), key)

    def _fetched(self, name: str, bank: str, key: str) -> Content:
        if self._root:
            found = self._file(bank, key)
            if found is None:
                return {}
            if found.st_size > LARGEST:
                log.error("The mine of %s has %d bytes: more than %d, and is not read", name, found.st_size, LARGEST)
                return {}
        try:
            content = self._cache.fetch(bank, key)
        except (SaltException, ValueError, RecursionError) as exc:
            log.error("The mine of %s cannot be read: %s", name, exc)
            return {}
        return content if isinstance(content, dict) else {}

    def _file(self, bank: str, key: str) -> os.stat_result | None:
        try:
            return os.stat(os.path.join(str(self._root), bank, f"{key}.p"))
        except OSError:
            return None


def _places(name: str) -> list[tuple[str, str]]:
    # From Salt 3008 on all mines lie in one bank; before, each host has a bank.
    return [("mine", name), (f"minions/{name}", "mine")]


def claimed(content: Content, key: str) -> typing.Any:
    """Return what a host has put into its mine (mapping) under a ``key`` (str), None for nothing."""
    value = content.get(key)
    if isinstance(value, dict) and salt.utils.mine.MINE_ITEM_ACL_ID in value:
        # What has a list of readers of its own is wrapped.
        return value.get(salt.utils.mine.MINE_ITEM_ACL_DATA)
    return value
