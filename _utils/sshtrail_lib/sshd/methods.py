"""
With what somebody is let in: the methods that sshd offers, and the keys and certificates that it takes.
"""

from __future__ import annotations

import functools
import itertools
import math
import re
import typing
from collections.abc import Iterator, Sequence

from sshtrail_lib.sshd import match
from sshtrail_lib.sshd.daemon import Names
from sshtrail_lib.sshd.known import Accounts, Obstacle, Values
from sshtrail_lib.sshd.match import Connection
from sshtrail_lib.sshd.pubkeys import Key, admits

_KEYWORD_OF = {
    "publickey": "PubkeyAuthentication",
    "password": "PasswordAuthentication",
    "keyboard-interactive": "KbdInteractiveAuthentication",
    "hostbased": "HostbasedAuthentication",
    "gssapi-with-mic": "GSSAPIAuthentication",
}


def methods(
    values: Values, connection: Connection, root: bool, accounts: Accounts, before: Values | None = None
) -> Obstacle | None:
    """
    Return what keeps the account of ``connection`` from every method, None where it is let in by one.

    before
        What sshd does before the change (values), for what it does after it: who has which certificate nobody knows
        here, so that those alone count then which count now. None for all.
    """
    account, permitted = connection.user or "", values.get("PermitRootLogin") if root else "yes"
    ways = {method for method, keyword in _KEYWORD_OF.items() if values.get(keyword) == "yes"}
    if permitted in ("prohibit-password", "without-password"):
        ways -= {"password", "keyboard-interactive"}
    ways = {method for method in ways if _works(method, values, account, accounts)}
    # That is a matter of what stands before the key, in the file.
    ways &= {"publickey"} if permitted == "forced-commands-only" else ways
    keys = found_keys(values, connection, accounts, permitted == "forced-commands-only", before)
    ways -= set() if keys else {"publickey"}
    if permitted == "forced-commands-only" and not ways:
        reason = f"PermitRootLogin {permitted} keeps {account} out, which has no key with a command that gives a shell"
        return Obstacle(f"PermitRootLogin {_METHODS}", reason)
    found = _enough(values, account, ways, keys)
    if found and before and not keys and found_keys(values, connection, accounts, permitted == "forced-commands-only"):
        return found._replace(reason=f"{found.reason}, for only those certificates count that sshd takes now")
    return found


def _works(method: str, values: Values, account: str, accounts: Accounts) -> bool:
    """Whether a method can come to anything on this host, for all that sshd offers it."""
    if method == "gssapi-with-mic":
        return accounts.has_keytab()
    if method == "hostbased":
        return all(accounts.holds(account, files) for files in _host_files(values, accounts.is_root(account)))
    asks = accounts.has_password(account)
    if method == "keyboard-interactive":
        # It is PAM's, which asks for the same password in most stacks; without PAM it has nothing to ask.
        more = asks or accounts.asks_more(values.get("PAMServiceName") or "sshd")
        return values.get("UsePAM", "no") == "yes" and more
    return asks or method != "password"


def _host_files(values: Values, root: bool) -> Iterator[list[str]]:
    """Yield two lists of files; to be let in for its host's name, an account needs one of each: auth2-hostbased.c."""
    own = [] if values.get("IgnoreUserKnownHosts") == "yes" else ["%h/.ssh/known_hosts", "%h/.ssh/known_hosts2"]
    yield ["/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2", *own]
    ignored = values.get("IgnoreRhosts", "yes")
    own = [] if ignored == "yes" else ["%h/.shosts"] if ignored == "shosts-only" else ["%h/.shosts", "%h/.rhosts"]
    # Those of the whole host are not looked at for root.
    yield [*([] if root else ["/etc/hosts.equiv", "/etc/ssh/shosts.equiv"]), *own]


def _enough(values: Values, account: str, ways: set[str], keys: float) -> Obstacle | None:
    """Return what is in the way of an account that could be let in by ``ways``, with so many ``keys``."""
    lists = values.get("AuthenticationMethods") or "any"
    if not ways or lists == "any":
        reason = f"neither a password nor a key would let {account} in"
        return None if ways else Obstacle(_METHODS, reason)
    # The one device that there is; sshd takes any name, and waits for it in vain.
    named = {*ways, *(f"{one}:pam" for one in ways & {"keyboard-interactive"})}
    # Each publickey takes another key.
    each = (one.split(",") for one in lists.split(" "))
    enough = any(named.issuperset(one) and one.count("publickey") <= keys for one in each)
    reason = f"no list of AuthenticationMethods lets {account} in"
    return None if enough else Obstacle(f"AuthenticationMethods {_METHODS}", reason)


#: What can take a method.
_METHODS = (
    "PasswordAuthentication PubkeyAuthentication KbdInteractiveAuthentication ChallengeResponseAuthentication "
    "PermitRootLogin UsePAM AuthorizedKeysFile AuthorizedKeysCommand TrustedUserCAKeys RevokedKeys "
    "PubkeyAcceptedAlgorithms PubkeyAcceptedKeyTypes RequiredRSASize CASignatureAlgorithms StrictModes "
    "AuthorizedPrincipalsFile AuthorizedPrincipalsCommand GSSAPIAuthentication HostbasedAuthentication IgnoreRhosts "
    "IgnoreUserKnownHosts PAMServiceName AuthorizedKeysCommandUser AuthorizedPrincipalsCommandUser"
)


def found_keys(
    values: Values, connection: Connection, accounts: Accounts, forced: bool = False, before: Values | None = None
) -> float:
    """
    Return how many keys sshd would take of the account of ``connection`` (Connection): any number by certificates or a
    source that it asks. With ``forced`` (bool) only those count that have a command; ``before`` is as for
    :func:`methods`.
    """
    account = connection.user or ""
    told = values.get("RevokedKeys") or "none"
    lists = [] if told.lower() == "none" else [told] if accounts.is_file(told) else told.split(" ")
    read = [accounts.revoked(path) if accounts.is_file(path) else None for path in lists]
    if None in read:  # without a list of those that are revoked it takes none
        return 0
    revoked = {blob for one in read for blob in one or ()}
    own = [one for one in _own_keys(values, account, accounts) if _opens(one, values, connection, forced)]
    # They are asked for after the files, if sshd comes as far as that.
    others = not forced and len(_files(values)) == len(_words(values))
    if others and _serves("AuthorizedKeysCommand", values, account, accounts):
        return math.inf
    given = _certificates(values, account, accounts, before) if others else ()
    left, signed = (
        {one.blob for one in found if one.blob not in revoked and _admitted(one, values)} for found in (own, given)
    )
    return math.inf if signed or not all(left) else len(left)


#: What sshd puts in the place of ``%`` and a letter. At any other the process ends that serves the connection.
_TOKENS = {
    "AuthorizedKeysFile": "hUu",
    "AuthorizedPrincipalsFile": "hUu",
    "ChrootDirectory": "hUu",
    "AuthorizedKeysCommand": "CDUfhktu",
    "AuthorizedPrincipalsCommand": "CDFKTUfhikstu",
    "AuthorizedKeysCommandUser": "u",
    "AuthorizedPrincipalsCommandUser": "u",
}


def knows_tokens(keyword: str, value: str) -> bool:
    """Return whether sshd knows all of a value (str) of ``keyword`` (str) that begins with ``%`` (bool)."""
    return not re.search(rf"%(?![%{_TOKENS[keyword]}])", value.replace("%%", ""))


def _words(values: Values) -> list[str]:
    return (values.get("AuthorizedKeysFile") or "none").split(" ")


def _files(values: Values) -> list[str]:
    """Return the words of AuthorizedKeysFile (list of str) that sshd comes to."""
    return list(itertools.takewhile(functools.partial(knows_tokens, "AuthorizedKeysFile"), _words(values)))


def _serves(keyword: str, values: Values, account: str, accounts: Accounts) -> bool:
    """Whether sshd runs a command that it is told to ask; what it answers cannot be told."""
    command, user = (values.get(name) or "none" for name in (keyword, f"{keyword}User"))
    # The program's own name is taken as it is.
    known = knows_tokens(keyword, command.partition(" ")[2]) and knows_tokens(f"{keyword}User", user)
    return command.lower() != "none" and known and accounts.serves(account, command, user)


def _opens(key: Key, values: Values, connection: Connection, forced: bool) -> bool:
    """Whether a key opens anything from there; ForceCommand comes before the command of a key."""
    other = any((values.get(name) or "none").lower() != "none" for name in ("ForceCommand", "ChrootDirectory"))
    return (not forced or bool(key.command)) and (key.shell or other) and _from_there(key, connection)


def _from_there(key: Key, connection: Connection) -> bool:
    """Whether a key is taken of who comes from there: auth.c, auth_authorise_keyopts."""
    if not key.sources or not connection.addr:
        return True
    try:
        by_address = match.in_addresses(connection.addr, key.sources, Names())
    except match.BadCriteria:
        return False
    by_name = match.in_patterns((connection.host or "").lower(), key.sources.lower())
    return min(by_address, by_name) >= 0 and max(by_address, by_name) == 1


def _own_keys(values: Values, account: str, accounts: Accounts) -> Sequence[Key]:
    words = _files(values)
    if not words or not accounts.has_key(account, words):
        return ()
    found = accounts.keys(account, words)
    found = [Key()] if found is None else found
    return [one for one in found if one.safe or values.get("StrictModes", "yes") == "no"]


def _certificates(values: Values, account: str, accounts: Accounts, before: Values | None) -> Sequence[Key]:
    """Return the keys of authorities by whose certificates ``account`` is let in, as far as somebody can have one."""
    found, names = _authorities(values, account, accounts)
    if before is None or not found:
        return found
    earlier, known = _authorities(before, account, accounts)
    blobs = {one.blob for one in earlier}
    same = names is None or known is None or not names.isdisjoint(known)
    return [one for one in found if same and blobs and (one.blob in blobs or not one.blob or "" in blobs)]


def _authorities(values: Values, account: str, accounts: Accounts) -> tuple[Sequence[Key], set[str] | None]:
    """
    Return the keys of authorities, and for whom they have to vouch (set of str, None for unknown): without a file or a
    command that says so, for the account's name.
    """
    path, file, command = (
        values.get(name) or "none"
        for name in ("TrustedUserCAKeys", "AuthorizedPrincipalsFile", "AuthorizedPrincipalsCommand")
    )
    names: set[str] | None = {account} if file.lower() == command.lower() == "none" else set()
    if file.lower() != "none":
        known = knows_tokens("AuthorizedPrincipalsFile", file)
        strict = values.get("StrictModes", "yes") == "yes"
        found = accounts.principals(account, file, strict) if known else ()
        names = None if found is None else {*found}
        if not known:
            return (), names
    if command.lower() != "none" and _serves("AuthorizedPrincipalsCommand", values, account, accounts):
        names = None
    return (accounts.authorities(path) if path.lower() != "none" and names != set() else ()), names


def _admitted(key: Key, values: Values) -> bool:
    accepted = values.get("PubkeyAcceptedAlgorithms") or values.get("PubkeyAcceptedKeyTypes") or ""
    return admits(key, accepted, values.get("CASignatureAlgorithms") or "", number(values.get("RequiredRSASize")))


def number(value: typing.Any) -> int:
    return int(value) if str(value).isdecimal() else 0
