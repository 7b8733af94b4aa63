"""
With what somebody is let in: the methods that sshd offers, and the keys and certificates that it takes.
"""

from __future__ import annotations

import math
import typing
from collections.abc import Sequence

from sshtrail_lib.sshd.known import Accounts, Obstacle, Values
from sshtrail_lib.sshd.pubkeys import Key, admits

_KEYWORD_OF = {
    "publickey": "PubkeyAuthentication",
    "password": "PasswordAuthentication",
    "keyboard-interactive": "KbdInteractiveAuthentication",
    "hostbased": "HostbasedAuthentication",
    "gssapi-with-mic": "GSSAPIAuthentication",
}


def methods(values: Values, account: str, root: bool, accounts: Accounts) -> Obstacle | None:
    ways = {method for method, keyword in _KEYWORD_OF.items() if values.get(keyword) == "yes"}
    if root and values.get("PermitRootLogin") in ("prohibit-password", "without-password"):
        ways -= {"password", "keyboard-interactive"}
    # Keyboard-interactive is PAM's; without PAM it has nothing to ask.
    ways -= {"keyboard-interactive"} if values.get("UsePAM", "no") != "yes" else set()
    ways -= set() if accounts.has_password(account) else {"password"}
    ways -= set() if (keys := found_keys(values, account, accounts)) else {"publickey"}
    lists = values.get("AuthenticationMethods") or "any"
    if lists != "any":
        # The one device that there is; sshd takes any name, and waits for it in vain.
        named = {*ways, *(f"{one}:pam" for one in ways & {"keyboard-interactive"})}
        # Each publickey takes another key.
        each = (one.split(",") for one in lists.split(" "))
        enough = any(named.issuperset(one) and one.count("publickey") <= keys for one in each)
        reason = f"no list of AuthenticationMethods lets {account} in"
        return None if enough else Obstacle(f"AuthenticationMethods {_METHODS}", reason)
    return None if ways else Obstacle(_METHODS, f"neither a password nor a key would let {account} in")


#: What can take a method.
_METHODS = (
    "PasswordAuthentication PubkeyAuthentication KbdInteractiveAuthentication ChallengeResponseAuthentication "
    "PermitRootLogin UsePAM AuthorizedKeysFile AuthorizedKeysCommand TrustedUserCAKeys RevokedKeys "
    "PubkeyAcceptedAlgorithms PubkeyAcceptedKeyTypes RequiredRSASize CASignatureAlgorithms StrictModes "
    "AuthorizedPrincipalsFile AuthorizedPrincipalsCommand"
)


def found_keys(values: Values, account: str, accounts: Accounts) -> float:
    """Return how many keys sshd would take of ``account``: any number by certificates or a source that it asks."""
    told = values.get("RevokedKeys") or "none"
    lists = [] if told.lower() == "none" else [told] if accounts.is_file(told) else told.split(" ")
    if not all(map(accounts.is_file, lists)):  # without a list of those that are revoked it takes none
        return 0
    revoked = {blob for path in lists for blob in accounts.revoked(path)}
    command = (values.get("AuthorizedKeysCommand") or "none").split(" ")[0]
    if command != "none" and accounts.is_file(command):
        return math.inf
    own, signed = (
        {one.blob for one in found(values, account, accounts) if one.blob not in revoked and _admitted(one, values)}
        for found in (_own_keys, _authorities)
    )
    return math.inf if signed or not all(own) else len(own)


def _own_keys(values: Values, account: str, accounts: Accounts) -> Sequence[Key]:
    words = (values.get("AuthorizedKeysFile") or "none").split(" ")
    if not accounts.has_key(account, words):
        return ()
    found = accounts.keys(account, words) or [Key()]
    return [one for one in found if one.safe or values.get("StrictModes", "yes") == "no"]


def _authorities(values: Values, account: str, accounts: Accounts) -> Sequence[Key]:
    path, principals = (values.get(name) or "none" for name in ("TrustedUserCAKeys", "AuthorizedPrincipalsFile"))
    told = principals == "none" or (values.get("AuthorizedPrincipalsCommand") or "none") != "none"
    # Without the file that says whose certificates an account takes, it takes nobody's.
    return (
        accounts.authorities(path) if path != "none" and (told or accounts.has_principals(account, principals)) else ()
    )


def _admitted(key: Key, values: Values) -> bool:
    accepted = values.get("PubkeyAcceptedAlgorithms") or values.get("PubkeyAcceptedKeyTypes") or ""
    return admits(key, accepted, values.get("CASignatureAlgorithms") or "", number(values.get("RequiredRSASize")))


def number(value: typing.Any) -> int:
    return int(value) if str(value).isdecimal() else 0
