"""
Where connections come from and arrive, as far as a configuration tells one place from another.

One address stands for each range between the borders that the configuration names, so that what holds for all of these
holds for everybody.
"""

from __future__ import annotations

import ipaddress
import itertools
import re
import typing
from collections.abc import Iterable, Iterator, Sequence

from sshtrail_lib.sshd import effective, match
from sshtrail_lib.sshd.daemon import IPAddress, Names
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.match import Connection

#: Addresses of clients that nobody has any reason to name: documentation, RFC 5737 and RFC 3849; and this host itself.
_ORDINARY = ("198.51.100.77", "2001:db8::77", "127.0.0.1", "::1", "1.0.0.1", "2001::1")
#: Where they arrive.
_HERE = ("192.0.2.10", "2001:db8:1::10")
_WILDCARDS = {4: "0.0.0.0", 6: "::"}
#: What a star in a pattern for addresses can stand for.
_FILLERS = ("1", "1.1", "1.1.1", ":1", "1::1")
#: So many places are looked at.
LIMIT = 400
#: Kinds of places, in the order in which they matter: by IPv4, by IPv6, from the host itself.
KINDS = ("v4", "v6", "loopback")


class Named(typing.NamedTuple):
    """The patterns (set of str, each one item of a list) that a configuration names: of clients and of this end."""

    addresses: set[str]
    hosts: set[str]
    ends: set[str]


def named(trees: Iterable[Tree]) -> Named:
    """Return what ``trees`` (Trees) name (Named), in Match blocks and behind the @ of accounts."""
    found = Named(set(), set(), set())
    for line in (line for tree in trees for lines in tree.files.values() for line in lines):
        if line.name == "Match":
            for name, pattern in itertools.pairwise(line.arguments.words):
                _note(found, name.lower(), pattern)
            for word in line.arguments.words:
                name, _equals, pattern = word.partition("=")
                _note(found, name.lower(), pattern)
        elif line.name in ("AllowUsers", "DenyUsers"):
            for word in line.arguments.words:
                _note(found, "address", word.partition("@")[2])
                _note(found, "host", word.partition("@")[2])
    return found


def also(told: Named, lists: Iterable[str]) -> Named:
    """Return what is named (Named) and the addresses and hosts of ``lists`` (iterable of str, each with commas)."""
    found = Named(set(told.addresses), set(told.hosts), told.ends)
    for pattern in lists:
        _note(found, "address", pattern)
        _note(found, "host", pattern)
    return found


def _note(found: Named, name: str, pattern: str) -> None:
    where = {"address": found.addresses, "host": found.hosts, "localaddress": found.ends}.get(name)
    if where is not None:
        where.update(item.removeprefix("!") for item in pattern.split(",") if item)


def kind(connection: Connection) -> str:
    """Return which of :data:`KINDS` a Connection with an address is (str)."""
    ip = ipaddress.ip_address(connection.addr or "")
    return "loopback" if ip.is_loopback else "v4" if ip.version == 4 else "v6"


def connections(tree: Tree, user: str, told: Named, wanted: str) -> Iterator[Connection]:
    """
    Yield a Connection for each place that ``tree`` (Tree), or any other, can tell from the others.

    user
        Who connects (str).
    told
        What is named (Named).
    wanted
        Which kind of place (str, one of :data:`KINDS`).
    """
    names, found = tree.daemon.names, effective.effective(tree)
    by_name = "UseDNS" in found and found["UseDNS"].value == "yes"
    ends = list(_ends(found, told, names))
    for address in addresses(told.addresses | told.hosts, names):
        # Without UseDNS the name of a client is its address.
        hosts = [address, *sorted(match.example(one) for one in told.hosts)] if by_name else [address]
        for (end, port), host in itertools.product(ends, hosts):
            one = Connection(user, host, address, end, port)
            if kind(one) == wanted and _reaches(ipaddress.ip_address(address), ipaddress.ip_address(end)):
                yield one


def _reaches(client: IPAddress, end: IPAddress) -> bool:
    return client.version == end.version and client.is_loopback == end.is_loopback


def _ends(found: dict[str, effective.Effective], told: Named, names: Names) -> Iterator[tuple[str, int]]:
    """Yield the addresses of this end with their ports: where sshd listens."""
    listens = found.get("ListenAddress", effective.Effective(None)).value
    for endpoint in listens or [f"{host}:22" for host in ("0.0.0.0", "[::]")]:
        host, port = split(endpoint)
        if host not in _WILDCARDS.values():
            yield host, port
            continue
        version = ipaddress.ip_address(host).version
        for end in (*_HERE, *addresses(told.ends, names)):
            if ipaddress.ip_address(end).version == version:
                yield end, port


def split(endpoint: str) -> tuple[str, int]:
    """Return address (str, without a scope) and port (int) of an ``endpoint`` as ``sshd -T`` prints it (str)."""
    host, _colon, port = endpoint.partition(" ")[0].rpartition(":")
    return host.strip("[]").partition("%")[0], int(port)


def addresses(patterns: Iterable[str], names: Names) -> list[str]:
    """
    Return an address for each range that ``patterns`` (iterable of str: CIDR blocks, addresses, wildcards) tell apart.

    names
        What the host makes of names (Names).
    """
    found: dict[str, None] = dict.fromkeys(_ORDINARY)
    for item in sorted(patterns):
        for ip in _borders(item, names):
            if not _odd(ip):
                found[str(ip)] = None
    return list(itertools.islice(found, LIMIT))


def _borders(item: str, names: Names) -> list[IPAddress]:
    try:
        network = match.network(item, names)
    except match.BadCriteria:
        return []
    if network is None:
        return _examples(item)
    after = int(network.broadcast_address) + 1
    last = [type(network.network_address)(after)] if after >> network.max_prefixlen == 0 else []
    return [network.network_address, *last]


def _examples(item: str) -> list[IPAddress]:
    found = []
    for filler in _FILLERS if re.fullmatch(r"[0-9a-fA-F.:*?]+", item) else ():
        try:
            found.append(ipaddress.ip_address(re.sub(r"\*+", filler, item).replace("?", "1")))
        except ValueError:
            continue
    return found


def _odd(ip: IPAddress) -> bool:
    """Whether nobody connects from there."""
    return ip.is_multicast or ip.is_unspecified or ip.is_reserved or ip.packed[0] == 0


def covered(endpoint: str, others: Sequence[str]) -> bool:
    """Return whether who connects to ``endpoint`` (str) arrives where sshd listens at ``others`` (sequence of str)."""
    host, port = split(endpoint)
    same = {split(one) for one in others}
    return (host, port) in same or (_WILDCARDS[ipaddress.ip_address(host).version], port) in same
