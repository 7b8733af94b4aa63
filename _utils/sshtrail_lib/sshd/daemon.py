"""
What must be known of the installed sshd, and of the host's names, to read a configuration as that sshd does.

Values only: :mod:`sshtrail_lib.sshd.oracle` asks the sshd, :mod:`sshtrail_lib.sshd.accounts` and
:mod:`sshtrail_lib.sshd.resolver` ask for the names.
"""

from __future__ import annotations

import ipaddress
import types
import typing
from collections.abc import Callable, Mapping, Sequence

from sshtrail_lib.sshd.keywords import UNKNOWN, Release

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address

#: Since this release sshd splits arguments like a shell, before like strsep(3).
ARGV_SINCE = (8, 7)
#: Since this release it reads all arguments of a line before it looks at what is set already.
ARRAYS_SINCE = (9, 7)
#: Since this release "none" among several arguments of AuthorizedKeysFile is an error.
LONE_NONE_SINCE = (10, 3)


class BadValue(ValueError):
    """sshd would refuse this value; ``position`` (int) is the index of the argument at fault."""

    def __init__(self, reason: str, position: int = 0) -> None:
        super().__init__(reason)
        self.position = position


class OnlySshdKnows(Exception):
    """What a value means depends on how sshd was built, and there is no sshd to ask."""


class Arguments(typing.NamedTuple):
    """The arguments of one line: split into words (tuple of str), and as the rest of the line (str)."""

    words: tuple[str, ...]
    rest: str = ""


def _no_groups(_account: str) -> list[str]:
    return []


def _no_home(word: str) -> str:
    return word


def _no_service(_name: str) -> int | None:
    return None


def _no_number(_word: str) -> IPAddress | None:
    return None


def _no_addresses(_host: str, _family: str) -> list[str]:
    return []


def _no_interface(_name: str) -> bool:
    return False


class Names(typing.NamedTuple):
    """
    What the host makes of names; by default one that has no account, no service and no address.

    groups
        Called with an account's name (str); returns the names of its groups (list of str), none without the account.
    home
        Called with a path (str) such as ``~bob/x``; returns it with the home directory in place of ``~bob``, or as it
        is when there is no such account.
    service
        Called with the name of a TCP service (str); returns its port (int) or None.
    number
        Called with a word (str) that is no address in its usual form; returns the address that it means all the same,
        such as ``10.1`` or ``fe80::1%eth0`` (an object of ``ipaddress``), or None.
    addresses
        Called with a host (str, empty for the wildcard) and an AddressFamily (str: any, inet, inet6); returns what it
        resolves to, in the order of getaddrinfo(3) (list of str), empty when it does not.
    interface
        Called with the name of a network interface (str); returns whether there is one (bool).
    """

    groups: Callable[[str], list[str]] = _no_groups
    home: Callable[[str], str] = _no_home
    service: Callable[[str], int | None] = _no_service
    number: Callable[[str], IPAddress | None] = _no_number
    addresses: Callable[[str, str], list[str]] = _no_addresses
    interface: Callable[[str], bool] = _no_interface


def _no_sshd(keyword: str, _occurrences: Sequence[Arguments]) -> list[str]:
    raise OnlySshdKnows(f"only sshd itself knows the values of {keyword}, and there is none")


class Daemon(typing.NamedTuple):
    """
    What must be known of the installed sshd; by default the newest, of which nothing else is known.

    release
        ``(major, minor)`` (tuple of int).
    banner
        What it calls itself, ``OpenSSH_9.2p1`` (str).
    defaults
        Canonical keyword: the lines that ``sshd -T`` prints for an empty configuration (list of str).
    ask
        Called with a keyword and its occurrences; returns what sshd itself prints for them (list of str) or
        raises BadValue. For the values that depend on how this sshd was built.
    names
        What its host makes of names (Names).
    """

    release: Release = UNKNOWN
    banner: str = "OpenSSH"
    defaults: Mapping[str, list[str]] = types.MappingProxyType({})
    ask: Callable[[str, Sequence[Arguments]], list[str]] = _no_sshd
    names: Names = Names()
