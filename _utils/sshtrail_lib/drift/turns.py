"""
Two writers that undo each other: the same change, made again and again, because something else takes it back.

A highstate with a template for the same file succeeds each time and changes it each time; a repair works and is undone.
Nobody sees that in a single run.
"""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Mapping

from sshtrail_lib.base import text

#: Times that the same change is made within a while (seconds), after which it is told.
OFTEN, WHILE = 3, 86400
#: Changes that are remembered of a host: the oldest goes first.
MOST = 200

#: The times (seconds since the epoch) of each change, by its name.
Memory = dict[str, list[float]]


def parse(value: typing.Any) -> Memory:
    """Return the :data:`Memory` in what was stored (anything); what is broken counts as nothing."""
    if not isinstance(value, dict):
        return {}
    good = {name: times for name, times in value.items() if isinstance(times, list)}
    return {name: times for name, times in good.items() if all(type(one) in (int, float) for one in times)}


def noted(memory: Memory, about: str, changes: Mapping[str, typing.Any], now: float) -> tuple[Memory, list[str]]:
    """
    Return what is to be remembered (:data:`Memory`), and a sentence for each change that was made too often (list).

    about
        What is changed (str): a file, say.
    changes
        ``{what: {"old": …, "new": …}}``; one of another form is compared as it is (mapping).
    now
        The present (float, seconds since the epoch).
    """
    kept, said = dict(memory), []
    for what, change in changes.items():
        name = _name(about, what, change)
        times = [one for one in kept.pop(name, []) if 0 <= now - one < WHILE]
        # The one that was changed last comes last.
        kept[name] = [*times, now][-2 * OFTEN :]
        if len(times) + 1 >= OFTEN:
            said.append(_sentence(what, change, len(times) + 1, now - times[0]))
    return dict(list(kept.items())[-MOST:]), said


def _name(about: str, what: str, change: typing.Any) -> str:
    told = json.dumps([about, what, change], sort_keys=True, default=str)
    return hashlib.sha256(told.encode()).hexdigest()[:16]


def _sentence(what: str, change: typing.Any, count: int, seconds: float) -> str:
    back = "is changed back"
    if isinstance(change, Mapping) and not isinstance(change.get("old"), (list, Mapping)):
        back = f"becomes {text.line(str(change.get('old')))} again"
    return (
        f"{text.line(what)} has been changed {count} times within {text.span(seconds)}, and {back} each time: two "
        "writers undo each other, this policy and something else (another state, a template, a cron job). Leave it to "
        "one of them."
    )
