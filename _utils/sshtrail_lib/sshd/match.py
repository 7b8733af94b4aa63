"""
Match blocks of sshd_config(5): the criteria of a Match line, and whether a connection meets them.

The rules of a pattern list and of an address list are ssh_config(5), "PATTERNS", and ``addrmatch.c``. What only the
host knows of accounts, services and addresses is in the Daemon (:class:`sshtrail_lib.sshd.daemon.Names`).
"""

from __future__ import annotations

import functools
import ipaddress
import re
import typing
from collections.abc import Sequence

from sshtrail_lib.sshd.daemon import Daemon, IPAddress, Names, Release

#: (name of a criterion in lower case, pattern or None), for each criterion of a Match line.
Criteria = tuple[tuple[str, str | None], ...]

CRITERIA = ("user", "group", "host", "address", "localaddress", "localport", "rdomain")
#: Match reads its line like every other keyword, and knows two criteria more, since this release.
ARGV_SINCE = (9, 9)
_SPELLING = {
    "all": "all",
    "invalid-user": "Invalid-User",
    "user": "User",
    "group": "Group",
    "host": "Host",
    "address": "Address",
    "localaddress": "LocalAddress",
    "localport": "LocalPort",
    "rdomain": "RDomain",
    "version": "Version",
}


class BadCriteria(ValueError):
    """sshd would refuse this Match line."""


class Connection(typing.NamedTuple):
    """
    What sshd knows of a connection when it evaluates Match; a criterion about an unknown (None) is not met.

    user, host, addr, laddr, rdomain
        Name of the account, name and address of the client, address and routing domain of this end (str).
    lport
        Port of this end (int).
    criteria
        Criteria (see :func:`parse`) that this connection meets by definition.
    anybody
        Whether this is no certain connection but any: then it meets what everybody meets (bool).
    """

    user: str | None = None
    host: str | None = None
    addr: str | None = None
    laddr: str | None = None
    lport: int | None = None
    rdomain: str | None = None
    criteria: Criteria = ()
    anybody: bool = False


def parse(words: Sequence[str], daemon: Daemon) -> Criteria:
    """
    Return the criteria of a Match line as a tuple of (name in lower case, pattern or None).

    words
        The arguments of the line (list of str).
    daemon
        The sshd that reads it (Daemon).

    Raises BadCriteria where sshd refuses the line.
    """
    criteria, left = [], list(words)
    while left and not left[0].startswith("#"):
        criteria.append(_criterion(left, daemon.release))
    if not criteria:
        raise BadCriteria("Match needs one or more criteria")
    if len(criteria) > 1 and ("all", None) in criteria:
        raise BadCriteria("'all' cannot be combined with other criteria")
    for name, pattern in criteria:
        _check(name, pattern or "", daemon.names)
    return tuple(criteria)


def _criterion(left: list[str], release: Release) -> tuple[str, str | None]:
    word = left.pop(0)
    name, equals, pattern = word.partition("=")
    lone = word.lower()
    if lone == "all" or (lone == "invalid-user" and release >= ARGV_SINCE):
        return lone, None
    known = CRITERIA + (("version",) if release >= ARGV_SINCE else ())
    if not equals or release < ARGV_SINCE or name.lower() not in known:
        name, pattern = word, left.pop(0) if left else ""
    if not pattern or pattern.startswith("#"):
        raise BadCriteria(f"Match {name} needs an argument")
    if name.lower() not in known:
        raise BadCriteria(f"unknown Match criterion {name!r}; known are: {', '.join(map(spelling, known))}, all")
    return name.lower(), pattern


def spelling(name: str) -> str:
    """Return the usual spelling of a criterion's name (str)."""
    return _SPELLING[name]


def text(criteria: Criteria) -> str:
    """Return ``criteria`` as one would write them after Match: ``User bob Address 10.0.0.0/8``."""
    return " ".join(spelling(name) if pattern is None else f"{spelling(name)} {pattern}" for name, pattern in criteria)


def canonical(criteria: Criteria) -> frozenset:
    """
    Return what two Match lines with the same meaning share: the order of criteria and of list items is no matter, and
    neither is the case of names of hosts and of addresses.
    """
    return frozenset((name, pattern and frozenset(_folded(name, pattern).split(","))) for name, pattern in criteria)


def _folded(name: str, pattern: str) -> str:
    # An address that is a pattern is compared as text.
    plain = name in ("address", "localaddress") and not re.search(r"[*?]", pattern)
    return pattern.lower() if name == "host" or plain else pattern


def _check(name: str, pattern: str, names: Names) -> None:
    if name in ("address", "localaddress"):
        in_addresses(None, pattern, names)
    if name == "localport":
        port(pattern, names)


def port(word: str, names: Names) -> int:
    """Return the number of a port given as digits or as a service's name (str); raises BadCriteria."""
    if re.fullmatch(r"[ \t\v\f]*[+-]?[0-9]+", word) and 0 <= int(word) <= 65535:
        return int(word)
    number = names.service(word)
    if number is None:
        raise BadCriteria(f"{word!r} is not a port")
    return number


def meets(criteria: Criteria, connection: Connection | None, daemon: Daemon) -> bool:
    """
    Return whether ``connection`` (Connection, or None while sshd reads the global part) meets all ``criteria``.

    daemon
        The sshd that is connected to (Daemon).
    """
    known = canonical(connection.criteria) if connection else frozenset()
    return all(
        canonical(((name, pattern),)) <= known or _meets(name, pattern or "", connection, daemon)
        for name, pattern in criteria
    )


def _meets(name: str, pattern: str, connection: Connection | None, daemon: Daemon) -> bool:
    if name == "all":
        return True
    if name == "version":
        return in_patterns(daemon.banner, pattern) == 1
    if connection is None or name == "invalid-user":
        return False
    if connection.anybody and everybody(name, pattern, daemon.names):
        return True
    return _TESTS[name](connection, pattern, daemon.names)


#: Addresses in every corner: who holds all of them holds all that there are in use.
_EVERYWHERE = tuple(f"{first}.{first * 7 % 256}.{first * 13 % 256}.{first * 29 % 256}" for first in range(1, 224, 3))


def everybody(name: str, pattern: str, names: Names) -> bool:
    """Return whether everybody meets the criterion ``name`` (str, lower case) with its ``pattern`` (str)."""
    items = pattern.split(",")
    if any(item.startswith("!") for item in items):
        return False
    if name in ("address", "localaddress"):
        return all(in_addresses(one, pattern, names) == 1 for one in _EVERYWHERE)
    named = name in ("user", "group", "host")
    return name == "all" or (named and any("*" in item and not item.strip("*?") and fits("x", item) for item in items))


def both(outer: Criteria, own: Criteria) -> Criteria:
    """Return the criteria of a Match block in a file that is included in another block with the criteria ``outer``."""
    if outer in ((), (("all", None),)) or own == outer:
        return own
    return outer if own == (("all", None),) else (*outer, *(one for one in own if one not in outer))


def _user(connection: Connection, pattern: str, _names: Names) -> bool:
    return connection.user is not None and in_patterns(connection.user, pattern) == 1


def _group(connection: Connection, pattern: str, names: Names) -> bool:
    results = [in_patterns(group, pattern) for group in names.groups(connection.user or "")]
    return 1 in results and -1 not in results


def _host(connection: Connection, pattern: str, _names: Names) -> bool:
    return connection.host is not None and in_patterns(connection.host.lower(), pattern.lower()) == 1


def _address(connection: Connection, pattern: str, names: Names) -> bool:
    return connection.addr is not None and in_addresses(connection.addr, pattern, names) == 1


def _localaddress(connection: Connection, pattern: str, names: Names) -> bool:
    return connection.laddr is not None and in_addresses(connection.laddr, pattern, names) == 1


def _localport(connection: Connection, pattern: str, names: Names) -> bool:
    return connection.lport is not None and connection.lport == port(pattern, names)


def _rdomain(connection: Connection, pattern: str, _names: Names) -> bool:
    return connection.rdomain is not None and in_patterns(connection.rdomain, pattern) == 1


_TESTS = {
    "user": _user,
    "group": _group,
    "host": _host,
    "address": _address,
    "localaddress": _localaddress,
    "localport": _localport,
    "rdomain": _rdomain,
}


def in_patterns(string: str, patterns: str) -> int:
    """Return 1 when the comma-separated ``patterns`` hold ``string``, -1 when they negate it, else 0."""
    found = 0
    for item in patterns.split(","):
        negated = item.startswith("!")
        if fits(string, item[negated:]):
            if negated:
                return -1
            found = 1
    return found


def fits(string: str, pattern: str) -> bool:
    """Return whether ``string`` (str) fits one ``pattern`` (str): no list, so that commas and ! are themselves."""
    return _pattern(pattern).fullmatch(string) is not None


@functools.lru_cache(maxsize=512)
def _pattern(pattern: str) -> re.Pattern:
    """Compile a pattern in which ``*`` is any string and ``?`` any character; runs of ``*`` are one."""
    pieces = re.sub(r"\*+", "*", pattern)
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pieces), re.DOTALL)


def in_addresses(address: str | None, patterns: str, names: Names) -> int:
    """
    Return 1 when the list of addresses, CIDR blocks and wildcards ``patterns`` (str) holds ``address`` (str), -1 when
    it negates it, else 0. With None for ``address`` only check; raises BadCriteria for what sshd refuses.

    names
        What the host makes of names (Names).
    """
    found, ours = 0, _ip(address, names) if address else None
    for item in patterns.split(","):
        negated = item.startswith("!")
        result = _holds(item[negated:], ours, address, names)
        if result and negated:
            return -1
        found = found or int(result)
    return found


def _holds(item: str, ours: IPAddress | None, address: str | None, names: Names) -> bool:
    if not item:
        raise BadCriteria("empty item in a list of addresses")
    block = network(item, names)
    if block is None:
        return address is not None and fits(address, item)
    return ours is not None and ours.version == block.version and ours in block


def network(item: str, names: Names) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    """Return the network that ``item`` (str) of a list of addresses is, None for a wildcard; raises BadCriteria."""
    base, slash, length = item.partition("/")
    ip = _ip(base, names)
    if ip is None or (slash and not re.fullmatch(r"[ \t\v\f]*\+?[0-9]+", length)) or (slash and int(length) > 128):
        return None
    try:
        return ipaddress.ip_network((ip, int(length) if slash else ip.max_prefixlen))
    except ValueError as exc:
        raise BadCriteria(f"{item}: the length of the mask does not fit the address") from exc


def _ip(word: str, names: Names) -> IPAddress | None:
    """Return the address that ``word`` is for getaddrinfo(3), which takes more than the usual form: 10.1, scopes."""
    try:
        return names.number(word) if "%" in word else ipaddress.ip_address(word)
    except ValueError:
        return names.number(word)


def sample(criteria: Criteria, names: Names) -> Connection:
    """Return a Connection that meets ``criteria`` by definition, with an example for each pattern."""
    examples = {
        _ATTRIBUTE[name]: _example(name, pattern or "", names) for name, pattern in criteria if name in _ATTRIBUTE
    }
    return Connection(criteria=tuple(criteria), **examples)


_ATTRIBUTE = {"user": "user", "host": "host", "address": "addr", "localaddress": "laddr", "localport": "lport"}


def _example(name: str, pattern: str, names: Names) -> typing.Any:
    first = next((item for item in pattern.split(",") if not item.startswith("!")), None)
    if first is None:
        return None
    if name == "localport":
        return port(first, names)
    block = network(first, names) if name in ("address", "localaddress") else None
    return str(block[0]) if block else example(first)


def example(pattern: str, letter: str = "x") -> str:
    """Return a string that ``pattern`` (str) holds, with a ``letter`` (str) where it holds any."""
    return pattern.replace("*", letter).replace("?", letter)
