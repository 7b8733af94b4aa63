"""
Who has a value of his own while one for all is made: a Match block of ours that everybody meets must not win over his.
"""

from __future__ import annotations

import itertools
import typing

from sshtrail_lib.sshd import effective, match, members
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.match import Connection, Criteria
from sshtrail_lib.sshd.wish import Wish


def left(before: Tree, after: Tree, wanted: Wish) -> bool:
    """
    Return whether an edit leaves those their value for whom a Match block decides that not everybody meets (bool).

    before, after
        The Tree as it was, and as it is to be.
    wanted
        What the edit is for (Wish): one for the global part.
    """
    if wanted.criteria is not None or after is before:
        return True
    name = wanted.keyword.name
    return all(_value(before, one, name) == _value(after, one, name) for one in _examples(before, wanted))


def _examples(tree: Tree, wanted: Wish) -> list[Connection]:
    """Return an example for each such block (list of Connection): somebody for whom it decides."""
    name = wanted.keyword.name
    found = (effective.effective(tree, one).get(name) for one in sshd_wish.members(wanted, tree))
    deciding = [one.deciding[0].criteria for one in found if one and one.deciding]
    common = {match.canonical(one): one for one in deciding if one}
    blocks: list[Criteria] = list(dict.fromkeys(one for one, _path, _line in effective.match_lines(tree, name)))
    others = [one for one in blocks if match.canonical(one) not in common]
    # He meets what everybody meets, and none of those that win over his.
    pairs = itertools.product(enumerate(others), common.values())
    return list(filter(None, (members.example((one, each), tree.daemon, others[:at]) for (at, one), each in pairs)))


def _value(tree: Tree, one: Connection, name: str) -> typing.Any:
    found = effective.effective(tree, one).get(name)
    return found and found.value
