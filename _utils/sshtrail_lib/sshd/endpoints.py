"""
The places at which a sshd is to answer, as ``sshd -T`` prints them: ``ADDRESS:PORT``.

This room imports little, for each look for drift has it.
"""

from __future__ import annotations

from collections.abc import Sequence

from sshtrail_lib.base import sockets

#: Where one connects to who is to be heard at every address.
_WILDCARDS = {"0.0.0.0": "127.0.0.1", "::": "::1"}


def unheard(endpoints: Sequence[str]) -> list[str]:
    """
    Return those of ``endpoints`` (list of str, ``ADDRESS:PORT``) at which nothing listens (list of str).

    The kernel tells: nobody is connected to, so that no log fills with questions.
    """
    held = {(one.address, one.port) for one in sockets.listening()}
    return [endpoint for endpoint in endpoints if not _held(endpoint, held) and not impossible(endpoint)]


def elsewhere(endpoints: Sequence[str]) -> list[str]:
    """
    Return the addresses (list of str) among ``endpoints`` (``ADDRESS:PORT`` each) that this host does not have.

    Where it lacks a family (no IPv6), sshd passes over the wildcard of that and goes on with what else there is.
    """
    missing = [address for address, _port in map(place, endpoints) if not sockets.is_here(address)]
    return missing if len(missing) == len(endpoints) else [one for one in missing if one not in _WILDCARDS]


def _held(endpoint: str, held: set[tuple[str, int]]) -> bool:
    host, port = place(endpoint)
    # A socket of systemd's at [::] takes connections of the other family too.
    anywhere = ("::",) if ":" in host else ("0.0.0.0", "::")
    return any((address, port) in held for address in (host, *anywhere))


def place(endpoint: str) -> tuple[str, int]:
    """Return the address (str, without a scope) and the port (int) of an ``endpoint`` (str)."""
    host, port = _parts(endpoint)
    return host.partition("%")[0], port


def target(endpoint: str) -> tuple[str, int]:
    """Return where one connects to for an ``endpoint`` (str): the address (str) and the port (int)."""
    host, port = _parts(endpoint)
    return _WILDCARDS.get(host, host), port


def impossible(endpoint: str) -> bool:
    """Tell whether an ``endpoint`` (str) is a wildcard of a family that this host does not have (bool)."""
    host = _parts(endpoint)[0]
    return host in _WILDCARDS and not sockets.is_here(_WILDCARDS[host])


def _parts(endpoint: str) -> tuple[str, int]:
    host, _colon, port = endpoint.partition(" ")[0].rpartition(":")
    return host.strip("[]"), int(port)
