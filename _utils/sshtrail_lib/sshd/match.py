"""
Match blocks of sshd_config(5): the criteria of a Match line, and whether a connection meets them.

The rules of a pattern list and of an address list are ssh_config(5), "PATTERNS", and ``addrmatch.c``.
"""

import contextlib
import functools
import grp
import ipaddress
import os
import pwd
import re
import socket
import typing

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
    """

    user: str | None = None
    host: str | None = None
    addr: str | None = None
    laddr: str | None = None
    lport: int | None = None
    rdomain: str | None = None
    criteria: tuple = ()


def parse(words, release):
    """
    Return the criteria of a Match line as a tuple of (name in lower case, pattern or None).

    words
        The arguments of the line (list of str).
    release
        OpenSSH release ((major, minor)).

    Raises BadCriteria where sshd refuses the line.
    """
    criteria, left = [], list(words)
    while left and not left[0].startswith("#"):
        criteria.append(_criterion(left, release))
    if not criteria:
        raise BadCriteria("Match needs one or more criteria")
    if len(criteria) > 1 and ("all", None) in criteria:
        raise BadCriteria("'all' cannot be combined with other criteria")
    for name, pattern in criteria:
        _check(name, pattern)
    return tuple(criteria)


def _criterion(left, release):
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


def spelling(name):
    """Return the usual spelling of a criterion's name (str)."""
    return _SPELLING[name]


def text(criteria):
    """Return ``criteria`` as one would write them after Match: ``User bob Address 10.0.0.0/8``."""
    return " ".join(spelling(name) if pattern is None else f"{spelling(name)} {pattern}" for name, pattern in criteria)


def canonical(criteria):
    """Return what two Match lines with the same meaning share: the order of criteria and of list items is no matter."""
    return frozenset((name, pattern and frozenset(pattern.split(","))) for name, pattern in criteria)


def _check(name, pattern):
    if name in ("address", "localaddress"):
        in_addresses(None, pattern)
    if name == "localport":
        port(pattern)


def port(word):
    """Return the number of a port given as digits or as a service's name; raises BadCriteria."""
    if re.fullmatch(r"[ \t\v\f]*[+-]?[0-9]+", word) and 0 <= int(word) <= 65535:
        return int(word)
    with contextlib.suppress(OSError, UnicodeError):
        return socket.getservbyname(word, "tcp")
    raise BadCriteria(f"{word!r} is not a port")


def meets(criteria, connection, banner):
    """
    Return whether ``connection`` (Connection, or None while sshd reads the global part) meets all ``criteria``.

    banner
        What sshd calls itself, such as ``OpenSSH_9.2p1`` (str); Match version compares with it.
    """
    if connection and connection.criteria and canonical(criteria) == canonical(connection.criteria):
        return True
    return all(_meets(name, pattern, connection, banner) for name, pattern in criteria)


def _meets(name, pattern, connection, banner):
    if name == "all":
        return True
    if name == "version":
        return in_patterns(banner, pattern) == 1
    if connection is None or name == "invalid-user":
        return False
    return _TESTS[name](connection, pattern)


def _user(connection, pattern):
    return connection.user is not None and in_patterns(connection.user, pattern) == 1


def _group(connection, pattern):
    results = [in_patterns(group, pattern) for group in groups_of(connection.user)]
    return 1 in results and -1 not in results


def _host(connection, pattern):
    return connection.host is not None and in_patterns(connection.host.lower(), pattern.lower()) == 1


def _address(connection, pattern):
    return connection.addr is not None and in_addresses(connection.addr, pattern) == 1


def _localaddress(connection, pattern):
    return connection.laddr is not None and in_addresses(connection.laddr, pattern) == 1


def _localport(connection, pattern):
    return connection.lport is not None and connection.lport == port(pattern)


def _rdomain(connection, pattern):
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


def groups_of(user):
    """Return the names of the groups of the account ``user`` (str or None); none when there is no such account."""
    try:
        account = pwd.getpwnam(user or "")
    except (KeyError, UnicodeError):
        return []
    names = []
    for gid in os.getgrouplist(account.pw_name, account.pw_gid):
        with contextlib.suppress(KeyError):
            names.append(grp.getgrgid(gid).gr_name)
    return names


def in_patterns(string, patterns):
    """Return 1 when the comma-separated ``patterns`` hold ``string``, -1 when they negate it, else 0."""
    found = 0
    for item in patterns.split(","):
        negated = item.startswith("!")
        if _pattern(item[negated:]).fullmatch(string):
            if negated:
                return -1
            found = 1
    return found


@functools.lru_cache(maxsize=512)
def _pattern(pattern):
    """Compile a pattern in which ``*`` is any string and ``?`` any character; runs of ``*`` are one."""
    pieces = re.sub(r"\*+", "*", pattern)
    return re.compile("".join({"*": ".*", "?": "."}.get(char, re.escape(char)) for char in pieces), re.DOTALL)


def in_addresses(address, patterns):
    """
    Return 1 when the list of addresses, CIDR blocks and wildcards ``patterns`` holds ``address``, -1 when it
    negates it, else 0. With None for ``address`` only check; raises BadCriteria for what sshd refuses.
    """
    found, ours = 0, address and _ip(address)
    for item in patterns.split(","):
        negated = item.startswith("!")
        result = _holds(item[negated:], ours, address)
        if result and negated:
            return -1
        found = found or int(result)
    return found


def _holds(item, ours, address):
    if not item:
        raise BadCriteria("empty item in a list of addresses")
    network = _network(item)
    if network is None:
        return address is not None and bool(_pattern(item).fullmatch(address))
    return bool(ours) and ours.version == network.version and ours in network


def _network(item):
    base, slash, length = item.partition("/")
    ip = _ip(base)
    if ip is None or (slash and not re.fullmatch(r"[ \t\v\f]*\+?[0-9]+", length)) or (slash and int(length) > 128):
        return None
    try:
        return ipaddress.ip_network((ip, int(length) if slash else ip.max_prefixlen))
    except ValueError as exc:
        raise BadCriteria(f"{item}: the length of the mask does not fit the address") from exc


def _ip(word):
    try:
        # As bytes: Python's own encoding of host names would drop some characters.
        host = word.encode("utf-8", "surrogateescape")
        found = socket.getaddrinfo(host, None, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)
        return ipaddress.ip_address(found[0][4][0].partition("%")[0])
    except (OSError, UnicodeError, ValueError):
        return None


def sample(criteria):
    """Return a Connection that meets ``criteria`` by definition, with an example for each pattern."""
    return Connection(
        criteria=tuple(criteria), **{_ATTRIBUTE[n]: _example(n, p) for n, p in criteria if n in _ATTRIBUTE}
    )


_ATTRIBUTE = {"user": "user", "host": "host", "address": "addr", "localaddress": "laddr", "localport": "lport"}


def _example(name, pattern):
    first = next((item for item in pattern.split(",") if not item.startswith("!")), None)
    if first is None:
        return None
    if name == "localport":
        return port(first)
    network = _network(first) if name in ("address", "localaddress") else None
    return str(network[0]) if network else first.replace("*", "x").replace("?", "x")
