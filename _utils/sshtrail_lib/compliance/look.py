"""
A look at a host for an auditor: gathered, judged, and remembered since when each control is as it is.
"""

from __future__ import annotations

import contextlib
import logging
import os
import time
import typing
from collections.abc import Mapping

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import store, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.compliance import checks, frameworks, host, rows
from sshtrail_lib.compliance.rows import Row
from sshtrail_lib.policy.arguments import Policy

log = logging.getLogger(__name__)

A_DAY = 86400.0


def compliance(
    minion: Minion, policy: Policy, framework: str | None = None, edition: str | None = None, search: bool = True
) -> list[Row]:
    """
    Return one row for each control (list of dict), as ``sshtrail.compliance`` tells it.

    policy
        The host's policy (dict).
    framework, edition
        As for :func:`sshtrail_lib.compliance.frameworks.chosen`, which also says what is raised.
    search
        Whether setuid programs are searched for now (bool); else the last search stands for a day.
    """
    wanted = frameworks.chosen(framework, edition, minion.grains)
    path, now = os.path.join(minion.cachedir, "sshtrail", "compliance.json"), text.iso(time.time())
    known = _known(path)
    age = (0.0 if search else A_DAY) if checks.searches(wanted) else None
    facts = host.gather(minion, policy, age)
    found = rows.rows(facts, wanted, minion.call["sshtrail_trail.sentence"], known, now)
    if not minion.test:
        with contextlib.suppress(OSError, CommandExecutionError):
            store.save(path, {**known, **rows.remembered(found)})
    return found


def _known(path: str) -> Mapping[str, typing.Any]:
    try:
        known = store.load(path)
    except store.StoreError as exc:
        log.warning("Since when controls are as they are is not known any more: %s", exc.message)
        return {}
    good = isinstance(known, dict) and all(isinstance(one, list) and len(one) == 2 for one in known.values())
    return known if good else {}
