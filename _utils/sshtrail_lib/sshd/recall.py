"""
What states of earlier runs asked of Match blocks of a file, so that states of separate runs do not undo each other.

It counts for as long as the block says so: one for fewer people then comes before one for more, as in one run.
"""

from __future__ import annotations

import contextlib
import os
import typing
from collections.abc import Iterator, Mapping, Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import store
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.base.transaction import Transaction
from sshtrail_lib.sshd import beside, match, wish
from sshtrail_lib.sshd.asked import Asked
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.wish import Wish

#: What is kept of a wish: match, keyword, value, exact.
_Told = dict[str, typing.Any]
#: So many are kept of a file.
_LIMIT = 1000


def _path(minion: Minion, transaction: Transaction) -> str:
    # Not named as what is remembered of a policy, which is looked for by its name.
    return os.path.join(minion.state_dir, transaction.name.replace("sshd_config", "sshd_states", 1))


def _counts(asked: Asked) -> bool:
    """Whether a state asks, or a policy; who calls a function by hand means all whom he names."""
    return asked.remember or asked.beside is not None


def recalled(
    minion: Minion, transaction: Transaction, asked: Asked, tree: Tree, earlier: Sequence[Wish] = ()
) -> Mapping[str, typing.Any] | None:
    """
    Return what is asked beside ``asked`` (Asked), as :func:`sshtrail_lib.sshd.beside.ranked` takes it, with what states
    of earlier runs asked and ``tree`` (Tree) still says.

    minion, transaction
        Where that is kept (Minion), and for which file (Transaction).
    earlier
        What the same policy asked before (sequence of Wish): that is nothing of somebody else's.
    """
    known, own = _load(minion, transaction) if _counts(asked) else [], {one.place for one in earlier}
    found = [told for told, one in _alive(known, tree) if one.place not in own]
    if asked.lowered == "remove":
        # A level that is for all is nothing that somebody of another run may have lowered for some.
        found = [told for told in found if told["keyword"] != "LogLevel"]
    if not found:
        return asked.beside
    before = [{**beside.one(told["match"], told["keyword"], told["value"]), "exact": told["exact"]} for told in found]
    given = asked.beside or {}
    return {"earlier": [*before, *given.get("earlier", ())], "later": list(given.get("later", ()))}


def keep(minion: Minion, transaction: Transaction, asked: Asked, tree: Tree, given_back: Sequence[Wish] = ()) -> None:
    """
    Keep what is ``asked`` (Asked) of Match blocks, and of what was kept what ``tree`` (Tree) still says and is not
    ``given_back`` (sequence of Wish).
    """
    if not _counts(asked):
        return
    known = _load(minion, transaction)
    ours = list(_told(asked))
    names = {one.place for one in (*given_back, *(one for _told_of_it, one in _wishes(ours, tree)))}
    kept = [told for told, one in _alive(known, tree) if one.place not in names]
    new = [*kept, *(told for told, one in _wishes(ours, tree) if one.occurrences is not None)][-_LIMIT:]
    if not new:
        drop(minion, transaction)
    elif new != known:
        store.remember(_path(minion, transaction), new)


def drop(minion: Minion, transaction: Transaction) -> None:
    """Keep nothing any more, not even an empty file."""
    store.forget(_path(minion, transaction))


def _load(minion: Minion, transaction: Transaction) -> list[_Told]:
    with contextlib.suppress(store.StoreError):
        found = store.load(_path(minion, transaction))
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []
    return []


def _told(asked: Asked) -> Iterator[_Told]:
    for criteria, config in wish.blocks(asked.config, asked.matches):
        for name, value in config.items() if criteria is not None else ():
            yield {"match": criteria, "keyword": name, "value": beside.plain(value), "exact": asked.exact}


def _wishes(told: Sequence[_Told], tree: Tree) -> Iterator[tuple[_Told, Wish]]:
    for one in told:
        # Another release of sshd may not have it any more.
        with contextlib.suppress(SaltInvocationError, KeyError):
            found = wish.wish(one["keyword"], one["value"], tree.daemon, one["match"], one["exact"])
            yield {**one, "keyword": found.keyword.name, "match": match.text(found.criteria or ())}, found


def _alive(told: Sequence[_Told], tree: Tree) -> Iterator[tuple[_Told, Wish]]:
    yield from ((known, one) for known, one in _wishes(told, tree) if wish.says_so(one, tree))
