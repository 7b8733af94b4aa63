"""
Values that name places in the network: ports, addresses, and where sshd listens.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Sequence

from sshtrail_lib.sshd import match
from sshtrail_lib.sshd.daemon import ARRAYS_SINCE, Arguments, BadValue, Daemon, Names
from sshtrail_lib.sshd.keywords import Keyword
from sshtrail_lib.sshd.kinds import Kind, bare, end, given


def _port_number(word: str, names: Names) -> int:
    try:
        number = match.port(word, names)
    except match.BadCriteria as exc:
        raise BadValue(f"takes a port from 1 to 65535, not {word!r}") from exc
    if not number:
        raise BadValue("takes a port from 1 to 65535, not 0")
    return number


def port(word: str, daemon: Daemon) -> str:
    """Return the number that ``word`` (str) means as a port."""
    return str(_port_number(word, daemon.names))


def user_pattern(word: str, daemon: Daemon) -> str:
    """Return ``word`` (str), a pattern for accounts such as ``bob@192.0.2.*``."""
    _name, at, host = word.partition("@")
    if at:
        try:
            match.in_addresses(None, host, daemon.names)
        except match.BadCriteria as exc:
            raise BadValue(f"{word!r}: {exc}") from exc
    return word


def addresses(word: str, daemon: Daemon) -> str:
    """Return ``word`` (str), a list of addresses and CIDR blocks."""
    try:
        match.in_addresses(None, word, daemon.names)
    except match.BadCriteria as exc:
        raise BadValue(str(exc)) from exc
    return word


def netblock(word: str, daemon: Daemon) -> str:
    """Return how many bits of an address make a network (str, ``IPV4BITS:IPV6BITS``)."""
    found = re.match(r"[ \t\v\f]*([+-]?\d+)(?::[ \t\v\f]*([+-]?\d+))?", word, re.ASCII)
    four, six = found.groups() if found else ("-1", None)
    if not 0 <= int(four) <= 32 or not 0 <= int(six or 0) <= 128:
        raise BadValue(f"takes IPV4BITS or IPV4BITS:IPV6BITS, up to 32 and 128, not {word!r}")
    # Giving one number used to mean no IPv6 bits at all, contrary to the man page.
    return f"{int(four)}:{int(six) if six else 128 if daemon.release >= (10, 1) else 0}"


def forward(bare_port: bool) -> Kind:
    """Return the kind of a list of ``HOST:PORT``; ``bare_port`` (bool) tells whether a port alone will do."""

    def convert(word: str, names: Names) -> str:
        host, number = _split_host(f"*:{word}" if bare_port and ":" not in word else word)
        if not host or number is None:
            raise BadValue(f"takes HOST:PORT, not {word!r}")
        if number != "*":
            _forwarded_port(number, names)
        return f"{host}:{number}"

    def kind(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
        words = given(occurrences[0])
        if words[0] in ("any", "none") and daemon.release < ARRAYS_SINCE:
            end(occurrences[0], 1)
            return [words[0]]
        if {"any", "none"} & set(words[1:]):
            raise BadValue("takes any and none only as the first argument")
        return [" ".join(word if word in ("any", "none") else convert(word, daemon.names) for word in words)]

    return kind


def _forwarded_port(word: str, names: Names) -> None:
    try:
        _port_number(word, names)
    except BadValue as exc:
        raise BadValue(f"takes a port from 1 to 65535 or *, not {word!r}") from exc


def _split_host(word: str) -> tuple[str | None, str | None]:
    """Split ``host:port``, ``[host]:port`` or ``host``; the port is None where there is none."""
    found = re.fullmatch(r"(\[[^\]]*\]|[^:/]*)(?::(.*))?", word, re.DOTALL)
    return (found[1], found[2]) if found else (None, None)


class Address(typing.NamedTuple):
    """One ListenAddress as written: host (str), port (int or None), and routing domain (str, empty for none)."""

    host: str
    port: int | None
    domain: str = ""


def listen_address(arguments: Arguments, names: Names) -> Address:
    """
    Return the Address that the arguments of one ListenAddress line (Arguments) mean.

    names
        What the host makes of names (Names).

    Raises BadValue.
    """
    words = arguments.words
    if not words or not words[0]:
        raise BadValue("needs an address")
    word, domain = words[0], _domain(words, names)
    if "[" not in word and word.count(":") > 1:
        return Address(word, None, domain)
    host, number = _split_host(word)
    if not host:
        raise BadValue(f"takes ADDRESS or ADDRESS:PORT, not {word!r}")
    host = host[1:-1] if host.startswith("[") else host
    return Address(host, None if number is None else _port_number(number, names), domain)


def _domain(words: Sequence[str], names: Names) -> str:
    if len(words) == 1:
        return ""
    if len(words) != 3 or words[1] != "rdomain":
        raise BadValue("takes ADDRESS or ADDRESS:PORT, and rdomain with the name of a routing domain", 1)
    if not names.interface(words[2]):
        raise BadValue(f"names the routing domain {words[2]!r}, which this host does not have", 2)
    return words[2]


def listen(_keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon) -> list[str]:
    """Return the addresses of ListenAddress as written, each with the port that its line gives."""
    for arguments in occurrences:
        bare(arguments, daemon)
    found = [listen_address(arguments, daemon.names) for arguments in occurrences]
    return [f"{one.host if one.port is None else _with_port(one.host, one.port)}{_suffix(one.domain)}" for one in found]


def _suffix(domain: str) -> str:
    return f" rdomain {domain}" if domain else ""


def endpoints(listens: Sequence[Address], ports: Sequence[int], family: str, names: Names) -> list[str]:
    """
    Return the ``ListenAddress`` lines that ``sshd -T`` prints (list of str).

    listens
        The Address of each line; none means the wildcard addresses.
    ports
        The effective ports (list of int).
    family
        The effective AddressFamily (str).
    names
        What the host makes of names (Names).

    Raises BadValue for a host name that cannot be resolved, or is of the other family.
    """
    printed: dict[str, list[str]] = {}
    for address in listens or [Address("", None)]:
        # What is of one routing domain is printed together.
        lines = printed.setdefault(address.domain, [])
        for number in [address.port] if address.port else ports:
            found = reversed(_resolved(address.host, number, family, names))
            lines += [f"{one}{_suffix(address.domain)}" for one in found]
    return [line for lines in printed.values() for line in lines]


def _resolved(host: str, number: int, family: str, names: Names) -> list[str]:
    found = names.addresses(host, family)
    if not found:
        other = names.addresses(host, "any") if family != "any" else []
        if other:
            raise BadValue(f"names an address that is not of AddressFamily {family}: {host!r}")
        raise BadValue(f"names a host that cannot be resolved: {host!r}")
    return [_with_port(address, number) for address in found]


def _with_port(host: str, number: int) -> str:
    return f"[{host}]:{number}" if ":" in host else f"{host}:{number}"
