"""
The history of a host, kept in its cache for root alone: what :mod:`sshtrail_lib.drift.chronicle` makes of each look.
"""

from __future__ import annotations

import json
import logging
import os
import time
import typing
from collections.abc import Callable, Iterable, Mapping

from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.base import files, store, text, transaction
from sshtrail_lib.coverage import leftovers
from sshtrail_lib.drift import chronicle
from sshtrail_lib.drift.chronicle import Chronicle

log = logging.getLogger(__name__)

#: Seconds that somebody else may take to write his part.
PATIENCE = 5
#: Days that nobody asks for: there is no time so long ago.
MOST = 1e6


def looked(cachedir: str, differences: Iterable[Mapping[str, typing.Any]]) -> None:
    """Take in what a whole look found (iterable of dict); the history lies in ``cachedir`` (str)."""
    _change(cachedir, lambda known: chronicle.looked(known, differences, time.time()))


def proven(cachedir: str, proof: Mapping[str, typing.Any]) -> None:
    """Take in a proof that was just made (dict)."""
    _change(cachedir, lambda known: chronicle.proven(known, proof, time.time()))


def over(cachedir: str, days: float) -> dict[str, typing.Any]:
    """
    Return what was in the last ``days`` (float), as :func:`sshtrail_lib.drift.chronicle.over` tells it (dict).

    Raises SaltInvocationError for ``days`` that cannot be.
    """
    if isinstance(days, bool) or not isinstance(days, (int, float)) or not 0 <= days < MOST:
        raise SaltInvocationError(f"days must be a number from 0, not {text.line(repr(days))}.")
    return chronicle.over(_read(cachedir), days, time.time())


def _change(cachedir: str, change: Callable[[Chronicle], Chronicle]) -> None:
    # What is looked at does not depend on its history.
    path = _path(cachedir)
    try:
        with transaction.lock(f"{path}.lock", PATIENCE):
            # Under a name that is known: what a kill leaves is found, and does not gather.
            files.remove(f"{path}.new")
            leftovers.write(f"{path}.new", json.dumps(change(_read(cachedir))).encode(), 0o600)
            os.replace(f"{path}.new", path)
    except (OSError, CommandExecutionError) as exc:
        log.warning("The history of this host cannot be kept: %s", exc)


def _read(cachedir: str) -> Chronicle:
    try:
        return chronicle.parse(store.load(_path(cachedir)))
    except store.StoreError as exc:
        log.warning("The history of this host begins anew: %s", exc.message)
        return chronicle.empty()


def _path(cachedir: str) -> str:
    return leftovers.history(cachedir)
