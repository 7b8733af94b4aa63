"""
What a look leaves for the next one: in the minion's cache, and beside it until the next boot.

Whoever takes it away has nobody know what was between two looks, so that this is told; a cache that was cleared
(saltutil.clear_cache) is none of that, for the other copy is there.
"""

from __future__ import annotations

import json
import os
import re
import time
import typing
from collections.abc import Iterable, Iterator

from sshtrail_lib.base import store, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage import memory
from sshtrail_lib.coverage.memory import Memory
from sshtrail_lib.trail import audit_log, reader

#: What the message says that each look sends through the kernel, before a word that is there once.
MESSAGE = "sshtrail-coverage"
#: How a record of it begins and what it has: somebody's arguments may hold the word too.
BEGINS, SAYS = re.compile(rb"(?:node=[^ \n]+ )?type=USER "), re.compile(rb"msg='text=" + MESSAGE.encode())
#: Messages from which on somebody has looked for certain: the first look may have been killed before it left anything.
SURE = 2


def path(cachedir: str) -> str:
    """Return where the last look lies (str) in the minion's cache (str)."""
    return os.path.join(cachedir, "sshtrail", "coverage.json")


def beside(minion: Minion) -> str:
    """Return where what it remembers lies a second time (str), until the next boot."""
    return os.path.join(minion.run_dir, "coverage.json")


def there(cachedir: str) -> bool:
    """Tell whether a look has left something in the minion's cache (str; bool)."""
    return os.path.exists(path(cachedir))


def rows(minion: Minion) -> list[dict[str, typing.Any]]:
    """Return what the last look found (list of dict), empty when there was none."""
    found = store.remembered(path(minion.cachedir)).get("rows")
    return found if isinstance(found, list) else []


def read(minion: Minion) -> Memory:
    """
    Return what the last look remembered (:class:`~sshtrail_lib.coverage.memory.Memory`), an empty one for none.

    Where both places have something, the older one counts: to go through what was gone through hides nothing.
    """
    found = (memory.read(store.remembered(one).get("memory")) for one in _places(minion))
    return min((one for one in found if one.looked), key=lambda one: one.looked, default=Memory())


def keep(minion: Minion, after: Memory, found: list[dict[str, typing.Any]]) -> None:
    """Keep what a look remembers (Memory) and what it ``found`` (list of dict)."""
    kept = {"memory": memory.kept(after)}
    first, second = _places(minion)
    store.remember(first, {**kept, "rows": found})
    try:
        store.keep(second, json.dumps(kept).encode())
    except OSError:
        # There is one place then: an old look would have the same told again and again.
        store.forget(second)


def _places(minion: Minion) -> tuple[str, str]:
    return path(minion.cachedir), beside(minion)


def taken(minion: Minion, before: Memory, log: str, now: float) -> Memory:
    """
    Return the memory with a loss where what the last look left is gone, else as it was ``before`` (Memory).

    log
        The audit log (str), which has the messages of the looks of this boot: from the first of them on everything is
        gone through again, for whoever takes a memory away can send messages too.
    now
        The present (float, seconds since the epoch).
    """
    booted = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    times = [] if before.looked else sorted(_sent(reader.pieces(log, booted), booted))
    if len(times) < SURE:
        return before
    told = f"what the last look left ({' and '.join(_places(minion))}) is gone or cannot be read: whether the log was "
    told += f"changed since {text.iso(times[-1])} is not known, and all since {text.iso(times[0])} was gone through"
    found = before._replace(looked=times[0], began=times[0], judged=now)
    return memory.missing(found, told, now)


def _sent(pieces: Iterable[bytes], since: float) -> Iterator[float]:
    """Yield when each message of a look was sent ``since`` a time (float), in ``pieces`` of a log (bytes)."""
    for piece in pieces:
        for _start, line in audit_log.marked(piece, MESSAGE.encode()):
            one = audit_log.record(line) if BEGINS.match(line) and SAYS.search(line) else None
            if one and one.seconds >= since:
                yield one.time
