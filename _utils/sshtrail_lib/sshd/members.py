"""
Whom a wish is about: not one connection but everybody who meets its criteria, as far as other Match blocks tell them
apart.
"""

from __future__ import annotations

import itertools
import string
import typing
from collections.abc import Iterable, Iterator, Sequence

from sshtrail_lib.sshd import cover, effective, match, places
from sshtrail_lib.sshd.daemon import Daemon, Names
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.keywords import LAST, Keyword
from sshtrail_lib.sshd.match import Connection, Criteria

#: So many are looked at.
LIMIT = 256
#: An address of documentation (RFC 3849).
IPV6 = "2001:db8::1"


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


def of(
    tree: Tree, keyword: Keyword, criteria: Criteria | None, sample: Connection, others: Sequence[Criteria] = ()
) -> list[Connection]:
    """
    Return a Connection for each kind of member that ``tree`` (Tree) tells apart, the ``sample`` (Connection) first: one
    for each Match block with the same keyword that a member can meet as well.

    keyword
        What the wish is about (Keyword): what other Match blocks say of other keywords does not matter.
    criteria
        Whom it is about (criteria of a Match block), None for everybody.
    others
        Who meets any of these (sequence of criteria) is none of its members.
    """
    if criteria is None:
        left = [one for one in [anybody(tree)] if not any(match.meets(other, one, tree.daemon) for other in others)]
        return [sample, *([*left, *_the_other_half(tree, keyword, others)] if keyword.in_match else ())]
    key = "members", keyword.name, criteria, sample, tuple(others)
    if key not in tree.answers:
        tree.answers[key] = _of_block(tree, keyword, criteria, sample, others)
    return list(tree.answers[key])


def _the_other_half(tree: Tree, keyword: Keyword, others: Sequence[Criteria]) -> list[Connection]:
    """Return who comes by IPv6, where one block with the keyword is for all of IPv4 and one for all of IPv6."""
    blocks, names = [one for one, _path, _line in effective.match_lines(tree, keyword.name)], tree.daemon.names
    if not any(_of_ipv4(*criterion, names) for one in blocks for criterion in one):
        return []
    six = [one for one in blocks if len(one) == 1 and one[0][0] == "address" and _holds_ipv6(one[0][1] or "", names)]
    return [found for one in six[:1] if (found := example((one,), tree.daemon, others))]


def _holds_ipv6(pattern: str, names: Names) -> bool:
    return all(match.in_addresses(one, pattern, names) == 1 for one in (IPV6, *cover.LOCAL))


def together(tree: Tree, keyword: Keyword, others: Sequence[Criteria] = ()) -> list[Connection]:
    """
    Return a Connection for each of the Match blocks that are everybody's together though none is alone (list), so that
    what stands before them is nobody's. Arguments as for :func:`of`.
    """
    key = "together", keyword.name, tuple(others)
    if key not in tree.answers:
        blocks = cover.together(tree, keyword.name) if keyword.in_match else []
        pairs = [(one, [other for other in blocks if other != one]) for one in blocks]
        found = [example((one,), tree.daemon, (*others, *rest)) for one, rest in pairs]
        tree.answers[key] = [one for one in found if one]
    return list(tree.answers[key])


def _of_block(
    tree: Tree, keyword: Keyword, criteria: Criteria, sample: Connection, others: Sequence[Criteria]
) -> list[Connection]:
    own = match.canonical(criteria)
    lines = effective.match_lines(tree, keyword.name)
    rivals = dict.fromkeys(one for one, _path, _line in lines if match.canonical(one) != own)
    found = [example((criteria, rival), tree.daemon, others) for rival in rivals]
    # For whom each of them decides: who meets none of those that win over it.
    winners = [list(rivals)[at + 1 :] if keyword.repeat == LAST else list(rivals)[:at] for at in range(len(rivals))]
    pairs = zip(rivals, winners, strict=True)
    found += [example((criteria, rival), tree.daemon, (*others, *first)) for rival, first in pairs if first]
    # Who meets no other block of these: the sample may be somebody whom one is about.
    found += [example((criteria,), tree.daemon, [*others, *rivals])] if rivals else []
    return list(dict.fromkeys([sample, *(one for one in found if one)]))


def others(tree: Tree, names: Iterable[str], user: str | None = None) -> dict[str, Connection]:
    """
    Return those for whom a line of a Match block decides though the sample of the block meets an earlier one with the
    same keyword, and who comes by IPv6 where a block is for all of IPv4 (dict of whom it is about to Connection).

    names
        The keywords (iterable of str) that this is about.
    user
        Only this account (str), None for all.
    """
    found, own = _by_ipv6(tree, user), ((("user", user),),) if user else ()
    for name in names:
        lines = [one for one, _path, _line in effective.match_lines(tree, name)]
        for at, criteria in enumerate(lines):
            rivals = [one for one in lines[:at] if match.canonical(one) != match.canonical(criteria)]
            sample = match.sample(criteria, tree.daemon.names)
            met = any(match.meets(one, sample, tree.daemon) for one in rivals)
            one = example((criteria, *own), tree.daemon, rivals) if met else None
            if one:
                found[f"{match.text(criteria)} ({shown(one)})"] = one
    return found


def shown(one: Connection) -> str:
    """Return how a Connection is told from others (str), for a person."""
    told = [f"{match.spelling(name)} {getattr(one, field)}" for name, field in _FIELDS.items() if getattr(one, field)]
    return " ".join(told) or "in another group"


def _by_ipv6(tree: Tree, user: str | None) -> dict[str, Connection]:
    listens = effective.effective(tree).get("ListenAddress")
    # Where nothing is said, sshd listens on both.
    if listens and listens.value and not any(one.startswith("[") for one in listens.value):
        return {}
    lines = [line for lines in tree.files.values() for line in lines if line.name == "Match"]
    blocks = [match.parse(line.arguments.words, tree.daemon) for line in lines]
    found = [criteria for criteria in blocks if any(_of_ipv4(*one, tree.daemon.names) for one in criteria)]
    one = anybody(tree)._replace(user=user or "x", host="x", addr=IPV6, anybody=False)
    return {f"{match.text(criteria)} (those of IPv6 do not meet it)": one for criteria in found}


def _of_ipv4(name: str, pattern: str | None, names: Names) -> bool:
    """Tell whether a criterion is everybody's who comes by IPv4 (:func:`match.everybody`), and nobody else's."""
    everybody = name == "address" and match.everybody(name, pattern or "", names)
    return everybody and match.in_addresses(IPV6, pattern or "", names) != 1


def example(blocks: Sequence[Criteria], daemon: Daemon, others: Iterable[Criteria] = ()) -> Connection | None:
    """
    Return a Connection that meets each of ``blocks`` (sequence of criteria) and none of ``others`` (iterable of
    criteria), None where nobody can.

    daemon
        The sshd that is connected to (Daemon).
    """
    told, others = _told(blocks), list(others)
    named = [
        [(name, one) for one in _values(name, told[name], _told(others).get(name, ()), daemon)]
        for name in told
        if name != "group"
    ]
    for traits in itertools.islice(itertools.product(*named), LIMIT):
        found = _in_groups(_one(traits), told.get("group", []), told.get("user", []), daemon.names)
        if found and not any(match.meets(other, found, daemon) for other in others):
            return found
    return None


def real(criteria: Criteria, sample: Connection, daemon: Daemon) -> Connection:
    """
    Return ``sample`` (Connection, which meets ``criteria`` by definition) as one of whom sshd finds that too: what is
    an example of a wildcard need be no address, and an exclusion can hold it. ``daemon`` is the sshd (Daemon).
    """
    told = tuple(one for one in criteria if one[0] in _FIELDS)
    met = match.meets(told, sample._replace(criteria=()), daemon)
    # In the example of a wildcard an x stands for it.
    met = met and not any("x" in (address or "") for address in (sample.addr, sample.laddr))
    found = None if met else example((criteria,), daemon)
    return sample._replace(**{name: getattr(found, name) for name in _FIELDS.values()}) if found else sample


def within(one: Criteria, other: Criteria, daemon: Daemon) -> bool:
    """Return whether who meets ``one`` meets ``other`` too (criteria), as far as examples tell; ``daemon`` (Daemon)."""
    return example((one,), daemon, (other,)) is None


def _told(blocks: Iterable[Criteria]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name, pattern in itertools.chain.from_iterable(blocks):
        found.setdefault(name, []).append(pattern or "")
    return found


#: What is true of a connection: the name of a criterion, and the value.
_Trait = tuple[str, typing.Any]
#: Criteria that are no matter of a field of Connection.
_GIVEN = ("all", "version", "invalid-user")
_FIELDS = {"user": "user", "host": "host", "address": "addr", "localaddress": "laddr", "localport": "lport"}


def _one(traits: Iterable[_Trait]) -> Connection:
    fields = {_FIELDS.get(name, name): value for name, value in traits if name not in _GIVEN}
    return Connection(**fields, criteria=tuple((name, None) for name, _value in traits if name == "invalid-user"))


def _values(name: str, patterns: Sequence[str], others: Iterable[str], daemon: Daemon) -> Iterator[typing.Any]:
    """
    Yield values that meet all ``patterns`` (sequence of str) of the criterion ``name`` (str), also such as those of
    ``others`` (iterable of str) tell apart.
    """
    items = [item for one in (*patterns, *others) for item in one.split(",")]
    plain = list(dict.fromkeys(item.removeprefix("!") for item in items if item))
    if name in ("address", "localaddress"):
        found: Iterable[typing.Any] = places.addresses(plain, daemon.names)
        yield from (one for one in found if all(match.in_addresses(one, each, daemon.names) == 1 for each in patterns))
    elif name == "localport":
        ports = {match.port(one, daemon.names) for one in patterns}
        yield from ports if len(ports) == 1 else ()
    elif name in _GIVEN:
        met = name != "version" or all(match.in_patterns(daemon.banner, one) == 1 for one in patterns)
        yield from [None] if met else ()
    else:
        fold = str.lower if name == "host" else str
        tried = dict.fromkeys(fold(one) for one in _strings(plain))
        yield from (one for one in tried if all(match.in_patterns(one, fold(each)) == 1 for each in patterns))


def _strings(items: Sequence[str]) -> Iterator[str]:
    """Yield strings that ``items`` (sequence of str: patterns) hold: some for each, and one for each two together."""
    yield from map(match.example, items)
    # What one holds in full can be what another excludes; with a letter that none names it is not.
    unnamed = next((one for one in string.ascii_lowercase if one not in "".join(items).lower()), "x")
    yield from (match.example(item, unnamed) for item in items if "*" in item or "?" in item)
    for one, other in itertools.permutations([item for item in items if "*" in item], 2):
        yield match.example(one.replace("*", match.example(other)))


def _in_groups(one: Connection, patterns: Sequence[str], users: Sequence[str], names: Names) -> Connection | None:
    """
    Return ``one`` (Connection) as somebody in groups that meet all ``patterns`` (sequence of str), None where nobody
    can be. An account that is named (not meant by a pattern of ``users``, sequence of str) has the groups that it has.
    """
    if not patterns:
        return one
    real = names.groups(one.user or "")
    if real or (one.user and any(one.user in pattern.split(",") for pattern in users)):
        return one if _suits(real, patterns) else None
    found = any(_suits(groups, patterns) for groups in _groups(patterns))
    return one._replace(criteria=(*one.criteria, *(("group", pattern) for pattern in patterns))) if found else None


def _suits(groups: Sequence[str], patterns: Sequence[str]) -> bool:
    """Whether who is in all ``groups`` meets all ``patterns`` of Group."""
    results = [[match.in_patterns(group, pattern) for group in groups] for pattern in patterns]
    return all(1 in each and -1 not in each for each in results)


def _groups(patterns: Sequence[str]) -> Iterator[Sequence[str]]:
    """Yield groups (sequence of str) of who may meet all ``patterns``: one that is on all lists, or several."""
    items = [[item.removeprefix("!") for item in pattern.split(",") if item] for pattern in patterns]
    yield from ((group,) for group in _strings([item for one in items for item in one]))
    yield from itertools.islice(itertools.product(*(list(_strings(one)) for one in items)), LIMIT)
