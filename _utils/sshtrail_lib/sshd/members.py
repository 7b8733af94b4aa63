"""
Whom a wish is about: not one connection but everybody who meets its criteria, as far as other Match blocks tell them
apart.
"""

from __future__ import annotations

import itertools
import typing
from collections.abc import Collection, Iterator

from sshtrail_lib.sshd import effective, keywords, match, places
from sshtrail_lib.sshd.daemon import Names
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.keywords import Keyword
from sshtrail_lib.sshd.match import Connection, Criteria

#: So many are looked at.
LIMIT = 64


def anybody(tree: Tree) -> Connection:
    """Return the Connection that meets what everybody meets who comes to the sshd of ``tree`` (Tree), and no more."""
    found = effective.effective(tree).get("ListenAddress")
    ends = {places.split(one) for one in (found.value if found and found.value else ())}
    hosts, ports = {host for host, _port in ends}, {port for _host, port in ends}
    only = hosts.pop() if len(hosts) == 1 else None
    return Connection(
        laddr=None if only in ("0.0.0.0", "::") else only,
        lport=ports.pop() if len(ports) == 1 else None,
        anybody=True,
    )


def of(tree: Tree, keyword: Keyword, criteria: Criteria | None, sample: Connection) -> list[Connection]:
    """
    Return a Connection for each kind of member that ``tree`` (Tree) tells apart, the ``sample`` (Connection) first.

    keyword
        What the wish is about (Keyword): what other Match blocks say of other keywords does not matter.
    criteria
        Whom it is about (criteria of a Match block), None for everybody.
    """
    if criteria is None:
        return [sample, anybody(tree)] if keyword.in_match else [sample]
    own = match.canonical(criteria)
    rivals = {one for one, _path, _line in effective.match_lines(tree, keyword.name) if match.canonical(one) != own}
    if not rivals or keyword.repeat not in (keywords.FIRST, keywords.MERGE):
        return [sample]
    ways = [list(_ways(name, pattern or "", rivals, tree.daemon.names)) for name, pattern in criteria]
    found = [_one(sample, way) for way in itertools.islice(itertools.product(*ways), LIMIT)]
    return list(dict.fromkeys([sample, *found]))


#: What a member has: the name of a field of Connection, or of a criterion that it meets, and the value.
_Trait = tuple[str, typing.Any]


def _one(sample: Connection, traits: Collection[tuple[_Trait, ...]]) -> Connection:
    one = sample
    for name, value in itertools.chain.from_iterable(traits):
        one = (
            one._replace(criteria=(*one.criteria, (name, value))) if name == "group" else one._replace(**{name: value})
        )
    return one


def _ways(name: str, pattern: str, rivals: Collection[Criteria], names: Names) -> Iterator[tuple[_Trait, ...]]:
    """Yield the traits of those who meet one criterion, and whom the same criterion of ``rivals`` tells apart."""
    theirs = sorted({told or "" for one in rivals for other, told in one if other == name})
    items = [item for one in (pattern, *theirs) for item in one.split(",") if item and not item.startswith("!")]
    if name in ("user", "host"):
        fitting = (match.example(item) for item in dict.fromkeys(items))
        yield from (((name, one),) for one in fitting if match.in_patterns(one, pattern) == 1)
    elif name in ("address", "localaddress"):
        field = "addr" if name == "address" else "laddr"
        borders = places.addresses((item.removeprefix("!") for item in [*items, *pattern.split(",")]), names)
        yield from (((field, one),) for one in borders if match.in_addresses(one, pattern, names) == 1)
    elif name == "group":
        fitting = (match.example(item) for item in pattern.split(",") if not item.startswith("!"))
        for one in fitting:
            yield tuple((name, told) for told in theirs if match.in_patterns(one, told) == 1)
    else:
        yield ()
