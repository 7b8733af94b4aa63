"""
Whether Match blocks leave anybody to what stands before them: several can be for everybody together, and none alone.

As for places, one example stands for all whom no pattern tells apart: of addresses, names of accounts, groups and
hosts, and of the ports that sshd listens on. Where there would be too many, somebody may be left.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterable, Iterator, Sequence

from sshtrail_lib.sshd import effective, match, places
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.match import Connection, Criteria

#: So many are looked at, and so many examples of one thing.
LIMIT, EACH = 5_000, 300
#: Addresses of a site and of a link (RFC 4193, RFC 4291), behind ranges that nobody has.
LOCAL = ("fd00::77", "fe80::77")
#: What names of accounts, groups and hosts are made of: those that no pattern has tell the rest apart.
LETTERS = "qzjxkvwyfghmbpdulcnriaetos0123456789"


def left(tree: Tree, name: str, own: Criteria = (), user: str | None = None) -> Connection | None:
    """
    Return somebody who meets no Match block with the keyword ``name`` (str), and so gets what stands before them: a
    Connection, an empty one where that cannot be told, None where there is nobody.

    tree
        The configuration (Tree).
    own
        Only those who meet these criteria.
    user
        Only this account (str), None for all.
    """
    blocks = list(dict.fromkeys(criteria for criteria, _path, _line in effective.match_lines(tree, name)))
    key = "left", tuple(blocks), own, user
    if key not in tree.answers:
        tree.answers[key] = _left(tree, blocks, own, user)
    return tree.answers[key]


def together(tree: Tree, name: str) -> list[Criteria]:
    """
    Return the criteria (list) of Match blocks with the keyword ``name`` (str) that are for everybody together, each of
    them for somebody whom the others leave; none where somebody is left to what stands before them, or one is enough.
    """
    blocks = list(dict.fromkeys(criteria for criteria, _path, _line in effective.match_lines(tree, name)))
    # Those of one kind are told apart by few examples; for names and groups at once a directory would be asked of many.
    kinds = dict.fromkeys(one[0][0] for one in blocks if len(one) == 1)
    alike = ([one for one in blocks if [name for name, _pattern in one] == [kind]] for kind in kinds)
    for several in (*alike, [one for one in blocks if not any(name == "group" for name, _pattern in one)]):
        if len(several) > 1 and _left(tree, several, (), None) is None:
            return _necessary(tree, several)
    return []


def _necessary(tree: Tree, blocks: list[Criteria]) -> list[Criteria]:
    for one in tuple(blocks):
        others = [block for block in blocks if block != one]
        if _left(tree, others, (), None) is None:
            blocks = others
    return blocks if len(blocks) > 1 else []


def _left(tree: Tree, blocks: Sequence[Criteria], own: Criteria, user: str | None) -> Connection | None:
    met = not blocks
    for one, groups in itertools.islice(_people(tree, [*blocks, own], user), LIMIT if blocks else 0):
        daemon = _in_groups(tree.daemon, one, groups)
        if match.meets(own, one, daemon):
            met, found = True, [block for block in blocks if match.meets(block, one, daemon)]
            if not found:
                return _told_apart(one, {name for block in (*blocks, own) for name, _pattern in block})
    # Where there is no example of those who are asked for, nobody can say that all of them are met.
    return None if met and blocks and not _too_many(tree, [*blocks, own], user) else Connection()


def _told_apart(one: Connection, names: Collection[str]) -> Connection:
    """Return of a Connection what criteria of these ``names`` (collection of str) are about."""
    fields = {"user": one.user, "host": one.host, "address": one.addr, "localaddress": one.laddr}
    user, host, addr, laddr = (value if name in names else None for name, value in fields.items())
    return Connection(user, host, addr, laddr, one.lport if "localport" in names else None)


def _too_many(tree: Tree, blocks: Sequence[Criteria], user: str | None) -> bool:
    return next(itertools.islice(_people(tree, blocks, user), LIMIT, None), None) is not None


def _people(tree: Tree, blocks: Sequence[Criteria], user: str | None) -> Iterator[tuple[Connection, tuple[str, ...]]]:
    """Yield a Connection, and the groups of its account (tuple of str), for each kind that ``blocks`` tell apart."""
    told: dict[str, list[str]] = {}
    for name, pattern in itertools.chain.from_iterable(blocks):
        told.setdefault(name, []).extend(item.removeprefix("!") for item in (pattern or "").split(",") if item)
    known = effective.effective(tree)
    by_name = "UseDNS" in known and known["UseDNS"].value == "yes"
    users = [user] if user else _words(told.get("user", ()))
    hosts = _words(told.get("host", ())) if by_name and "host" in told else [None]
    ends = list(dict.fromkeys(_ends(tree, told.get("localaddress", ()))))
    for (addr, (laddr, lport)), host, account in itertools.product(_ways(tree, told, ends), hosts, users):
        one = Connection(account, host or addr, addr, laddr, lport)
        for groups in _groups(tree.daemon, account, told.get("group", ())):
            yield one, groups


def _ways(tree: Tree, told: dict[str, list[str]], ends: Sequence[tuple[str, int]]) -> Iterator[tuple]:
    """Yield the address of a client (str), with that of this end and its port (tuple): of one family."""
    named = [*told.get("address", ()), *told.get("host", ())]
    for addr, end in itertools.product([*places.addresses(named, tree.daemon.names), *LOCAL], ends):
        if (":" in addr) == (":" in end[0]):
            yield addr, end


def _ends(tree: Tree, named: Iterable[str]) -> Iterator[tuple[str, int]]:
    """Yield the addresses of this end with their ports, as the configuration has sshd listen."""
    listens = effective.effective(tree).get("ListenAddress", effective.Effective(None)).value
    for host, port in map(places.split, listens or ["0.0.0.0:22", "[::]:22"]):
        if host not in ("0.0.0.0", "::"):
            yield host, port
            continue
        for end in places.addresses(named, tree.daemon.names):
            if (":" in end) == (host == "::"):
                yield end, port


def _words(patterns: Iterable[str]) -> list[str]:
    """Return names (list of str) of each kind that ``patterns`` (iterable of str) tell apart."""
    items = list(dict.fromkeys(patterns))
    other = next((one for one in LETTERS if not any(one in item.lower() for item in items)), LETTERS[0])
    fillers = ("", other, other * 3)
    found = dict.fromkeys(other * length for length in range(1, 2 + max(map(len, items), default=1)))
    for item in items:
        for filler in fillers:
            found[item.replace("*", filler).replace("?", other)] = None
    starred = [item for item in items if "*" in item]
    for one, inner in itertools.permutations(starred, 2):
        found[one.replace("*", match.example(inner))] = None
    return [one for one in found if one][:EACH]


def _groups(daemon: Daemon, account: str, named: Iterable[str]) -> Iterator[tuple[str, ...]]:
    """Yield the groups (tuple of str) that an ``account`` (str) can be in: what it is in, where there is such."""
    named = list(named)
    # Where no block is for a group, nobody's are asked for.
    real = daemon.names.groups(account) if named else ()
    if real or not named:
        yield tuple(real)
        return
    several = _words(named)
    for number in (1, 2):
        yield from itertools.combinations(several, number)


def _in_groups(daemon: Daemon, one: Connection, groups: tuple[str, ...]) -> Daemon:
    def of(account: str) -> list[str]:
        return list(groups) if account == one.user else daemon.names.groups(account)

    return daemon._replace(names=daemon.names._replace(groups=of))
