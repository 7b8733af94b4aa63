"""
What other states of the same run ask of the same file: each knows of the others, so that they do not undo each other.
"""

from __future__ import annotations

import contextlib
import typing
from collections.abc import Iterator, Mapping, Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.sshd import asked as sshd_asked
from sshtrail_lib.sshd import wish
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.wish import BadWish, Wish

#: A state with one of these may do nothing, so that it contradicts nobody.
_CONDITIONS = ("onlyif", "unless", "creates", "onfail", "onfail_any", "onfail_all")
#: One state of a run: what Salt's compiler made of it.
Chunk = Mapping[str, typing.Any]


def asked(chunks: Sequence[Chunk], low: Chunk, path: str, default: str) -> dict[str, list[dict[str, typing.Any]]]:
    """
    Return what other states ask of a file, for :func:`ranked` (dict of ``earlier`` and ``later``).

    chunks
        The states of a run in its order (sequence of dict, Salt's ``__lowstate__``); empty outside of one.
    low
        The one that asks (dict, ``__low__``).
    path
        The main configuration file (str).
    default
        The one of a state that names none (str).
    """
    found: dict[str, list[dict[str, typing.Any]]] = {"earlier": [], "later": []}
    place = next((number for number, one in enumerate(chunks) if _name(one) == _name(low)), None)
    for number, one in enumerate(chunks if place is not None else ()):
        if one.get("state") == "sshd_config" and number != place and (told := _told(one, path, default)):
            found["earlier" if number < (place or 0) else "later"].append(told)
    return found


def _name(chunk: Chunk) -> tuple[typing.Any, ...]:
    return tuple(chunk.get(key) for key in ("state", "fun", "__id__", "name"))


def _told(chunk: Chunk, path: str, default: str) -> dict[str, typing.Any] | None:
    """Return what a state asks of the file at ``path``, None for nothing."""
    fun, chunk = chunk.get("fun"), plain(chunk)
    told = {"id": chunk.get("__id__"), "exact": chunk.get("exact", True), "sure": not any(map(chunk.get, _CONDITIONS))}
    if fun == "managed" and chunk.get("name") == path:
        return {**told, "config": chunk.get("config"), "matches": chunk.get("matches")}
    if fun in ("present", "absent") and chunk.get("path", default) == path:
        # What is wrong with it, the other state tells.
        with contextlib.suppress(SaltInvocationError):
            config, matches = sshd_asked.parts(chunk.get("name"), chunk.get("value"), chunk.get("match"))
            return {**told, "config": config, "matches": matches}
    return None


def one(criteria: str, keyword: str, value: typing.Any) -> dict[str, typing.Any]:
    """Return what :func:`asked` has for a wish for ``criteria`` (str) of an earlier run: ``keyword`` (str), value."""
    return {"id": None, "exact": True, "sure": False, "config": None, "matches": [{criteria: {keyword: value}}]}


def plain(value: typing.Any) -> typing.Any:
    """Return what Salt has frozen as plain dicts and lists."""
    if hasattr(value, "items"):
        return {key: plain(one) for key, one in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, (str, bytes)):
        return [plain(one) for one in value]
    return value


def ranked(wishes: Sequence[Wish], beside: Mapping[str, typing.Any] | None, daemon: Daemon) -> list[Wish]:
    """
    Return ``wishes`` (sequence of Wish), each with those that come first for those whom both are about.

    beside
        What other states ask (what :func:`asked` returns), None for nothing.
    daemon
        The sshd (Daemon).

    Raises BadWish where another state asks for something else in the same place.
    """
    earlier, later = ([*_theirs(wishes, (beside or {}).get(when, ()), daemon)] for when in ("earlier", "later"))
    return [wish.ranked(one, [*earlier, *wishes, *later], daemon) for one in wishes]


def _theirs(wishes: Sequence[Wish], others: Sequence[dict[str, typing.Any]], daemon: Daemon) -> Iterator[Wish]:
    for told in others:
        for one in _wishes(told, daemon):
            ours = next((each for each in wishes if each.place == one.place), None)
            if ours is None:
                yield one
            elif told["sure"] and not _agree(ours, one, daemon):
                value = wish.value_of(one, daemon)
                raise BadWish(
                    f"{ours.key} is asked for twice: the state {told['id']!r} of the same run asks for {value!r}"
                )


def _wishes(told: Mapping[str, typing.Any], daemon: Daemon) -> Iterator[Wish]:
    # As above.
    with contextlib.suppress(SaltInvocationError):
        yield from wish.wishes(told.get("config"), told.get("matches"), daemon, told["exact"])


def _agree(one: Wish, other: Wish, daemon: Daemon) -> bool:
    """Whether both can be true: of what is wanted at least, the other may ask for more."""
    values = [(wish.at_least(each), wish.value_of(each, daemon)) for each in (one, other)]
    if all(least for least, _value in values):
        return True
    if any(least for least, _value in values):
        inner, outer = (set(wish.items(value)) for _least, value in sorted(values, key=lambda each: not each[0]))
        return inner <= outer
    return values[0][1] == values[1][1]
