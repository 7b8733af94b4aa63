"""
The library: one package, one room for each thing.

Imports go downwards: ``fleet`` and ``drift`` → ``policy`` → the wings ``sshd``, ``auditd``, ``rules`` and ``pam``,
which do not know each other → ``trail`` → ``base``. docs/architecture.md has the picture; tests/unit/test_laws.py holds
the laws.
"""

from __future__ import annotations

import hashlib
import importlib
import os
import sys
from collections.abc import Iterator

#: The version of this project. Hosts and masters tell it to each other.
VERSION = "0.1.0"
#: A file's time of change in nanoseconds and its size in bytes, or None where there is no such file.
Stamp = tuple[int, int] | None


def refresh() -> None:
    """
    Forget what was imported of this library if a file of that has changed since, so that the next import reads it.

    Whatever Salt loads calls this before it imports from here. After a sync Salt executes the modules and states anew,
    in a minion that has run for months too, and would give them the library that it imported then. It is the first
    thing in such a file because it must be there in each version: an old library is asked whether it is old.
    """
    if not stale():
        return
    for name, _, _ in _FILES:
        sys.modules.pop(name, None)
    importlib.invalidate_caches()


def stale() -> bool:
    """Return whether a file of what was imported of this library has changed since (bool): an update came meanwhile."""
    return not all(_stamp(path) == stamp for name, path, stamp in _FILES if name in sys.modules)


def _stamp(path: str) -> Stamp:
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size


def _files(top: str) -> Iterator[tuple[str, str, Stamp]]:
    """Yield the name of each module below the directory ``top``, its file and that one's stamp."""
    above, left = len(os.path.dirname(top)) + 1, [top]
    # Each look for drift does this, and os.walk takes half as long again.
    while left:
        with os.scandir(left.pop()) as entries:
            for entry in entries:
                if entry.name.endswith(".py"):
                    module = entry.path[above:].removesuffix(".py").removesuffix("/__init__")
                    yield module.replace("/", "."), entry.path, _stamp(entry.path)
                elif entry.is_dir():
                    left.append(entry.path)


# As they are before anything but this file has been imported: what changes later is seen, at worst once too often.
_FILES = list(_files(os.path.dirname(__file__)))
#: What tells these files from those of another sync.
SYNCED = hashlib.sha256(repr(_FILES).encode()).hexdigest()
_SIZES = sorted((name, stamp[1]) for name, _, stamp in _FILES if stamp)
#: The version and, in 12 hexadecimal digits, the names and sizes of the files: what this process works with.
RELEASE = f"{VERSION}+{hashlib.sha256(repr(_SIZES).encode()).hexdigest()[:12]}"
