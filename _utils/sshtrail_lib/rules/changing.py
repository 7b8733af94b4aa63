"""
Which processes of Salt's have changed the kernel's rules, and when: whoever reads the audit log later tells what they
did by that from what anybody else has done.
"""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Iterator

from salt.exceptions import SaltException

from sshtrail_lib.base import processes, store
from sshtrail_lib.base.minion import Minion

#: Changes that are remembered, and the seconds that one may take which was killed meanwhile.
MOST, LONGEST = 100, 60.0

#: A process (int), and from when to when it changed them (two float, seconds since the epoch).
Change = tuple[int, float, float]


@contextlib.contextmanager
def noted(minion: Minion) -> Iterator[None]:
    """Have it known that this process changes the rules as long as this context lasts."""
    pid, begun, before = os.getpid(), time.time(), known(minion)
    _keep(minion, [*before, (pid, begun, begun + LONGEST)])
    try:
        yield
    finally:
        _keep(minion, [*before, (pid, begun, time.time())])


def known(minion: Minion) -> list[Change]:
    """Return the changes in this boot (list of :data:`Change`), the oldest first."""
    with contextlib.suppress(SaltException, TypeError, ValueError, KeyError):
        kept = store.load(_path(minion))
        if kept and kept["boot"] == processes.boot():
            return [(int(pid), float(begun), float(ended)) for pid, begun, ended in kept["changes"]]
    return []


def _keep(minion: Minion, changes: list[Change]) -> None:
    # Whoever cannot write that is told of as if he were anybody.
    with contextlib.suppress(SaltException, OSError):
        store.keep(_path(minion), json.dumps({"boot": processes.boot(), "changes": changes[-MOST:]}).encode())


def _path(minion: Minion) -> str:
    return os.path.join(minion.run_dir, "audit_rules-changing.json")
