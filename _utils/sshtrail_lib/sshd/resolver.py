"""
What the host's resolver says: ports of services, addresses of hosts, and which words are addresses for it.
"""

from __future__ import annotations

import contextlib
import ipaddress
import os
from socket import (
    AF_INET,
    AF_INET6,
    AF_UNSPEC,
    AI_NUMERICHOST,
    AI_PASSIVE,
    NI_NUMERICHOST,
    NI_NUMERICSERV,
    SOCK_DGRAM,
    SOCK_STREAM,
    getaddrinfo,
    getnameinfo,
    getservbyname,
)

from sshtrail_lib.sshd import accounts
from sshtrail_lib.sshd.daemon import IPAddress, Names

_FAMILIES = {"any": AF_UNSPEC, "inet": AF_INET, "inet6": AF_INET6}


def service(name: str) -> int | None:
    """Return the port (int) of the TCP service ``name`` (str), None when there is no such service."""
    with contextlib.suppress(OSError, UnicodeError):
        return getservbyname(name, "tcp")
    return None


def number(word: str) -> IPAddress | None:
    """Return the address that ``word`` (str) is in any form that the resolver takes without looking it up, or None."""
    try:
        found = getaddrinfo(_encoded(word), None, type=SOCK_DGRAM, flags=AI_NUMERICHOST)
        return ipaddress.ip_address(str(found[0][4][0]).partition("%")[0])
    except (OSError, UnicodeError, ValueError):
        return None


def addresses(host: str, family: str) -> list[str]:
    """
    Return the addresses of ``host`` (list of str), in the resolver's order; none when it cannot be resolved.

    host
        A name or an address (str); empty for the addresses that stand for all of this host's.
    family
        Which ones: any, inet or inet6 (str, as for AddressFamily).
    """
    flags = 0 if host else AI_PASSIVE
    try:
        found = getaddrinfo(_encoded(host) or None, 0, family=_FAMILIES[family], type=SOCK_STREAM, flags=flags)
        # With the interface of an address that is only known on one.
        return [getnameinfo(to, NI_NUMERICHOST | NI_NUMERICSERV)[0] for _family, _type, _protocol, _name, to in found]
    except (OSError, UnicodeError):
        return []


def interface(name: str) -> bool:
    """Return whether there is the network interface ``name`` (str): on Linux each can be a routing domain."""
    return name not in ("", ".", "..") and "/" not in name and os.path.isdir(os.path.join("/sys/class/net", name))


def _encoded(word: str) -> bytes:
    # As bytes: Python's own encoding of host names would drop some characters.
    return word.encode("utf-8", "surrogateescape")


#: What this host makes of names.
NAMES = Names(accounts.groups, accounts.home, service, number, addresses, interface)
