"""
What the guard against lock-outs must know of the host, and what it finds in somebody's way.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Collection, Mapping, Sequence

from sshtrail_lib.sshd.match import Connection
from sshtrail_lib.sshd.pubkeys import Key

#: What sshd does for an account: ``{keyword: value}``.
Values = Mapping[str, typing.Any]


class Obstacle(typing.NamedTuple):
    """
    What keeps an account out: the keywords (str, with spaces between) that can do it, why (str), and on which way in
    (Connection).
    """

    keyword: str
    reason: str
    connection: Connection = Connection()


def _is_root(account: str) -> bool:
    return account == "root"


def _so(_told: str) -> bool:
    return True


def _not_so(_told: str) -> bool:
    return False


def _so_of_it(_account: str, _told: typing.Any) -> bool:
    return True


def _serves(_account: str, _command: str, _user: str) -> bool:
    return True


def _not_so_of_it(_account: str, _told: typing.Any) -> bool:
    return False


def _none() -> bool:
    return False


def _unknown_keys(_account: str, _words: list[str]) -> Sequence[Key] | None:
    return None


def _any_authority(_path: str) -> Sequence[Key]:
    return [Key(authority=True)]


def _none_revoked(_path: str) -> Collection[str] | None:
    return ()


def _no_cage(_account: str, _path: str) -> str | None:
    return None


def _some_key(_path: str) -> Key | None:
    return Key()


def _unknown_principals(_account: str, _path: str, _strict: bool) -> Collection[str] | None:
    return None


def _has_file(_account: str, words: list[str]) -> bool:
    """Whether there can be keys at all, where it is no matter who has any."""
    return words != ["none"]


class Accounts(typing.NamedTuple):
    """
    What the guard must know of the host's accounts.

    with_shell
        The names of those with a shell, root first (sequence of str).
    has_key
        Called with an account's name (str) and the words of AuthorizedKeysFile (list of str); returns whether one of
        these files holds something for it (bool).
    is_root
        Called with an account's name (str); returns whether it is root, under whatever name (bool).
    has_password
        The same; returns whether it has a password, as far as the host knows (bool).
    is_locked
        The same; returns whether sshd lets it in with PAM only, if at all (bool).
    is_file
        Called with a path (str); returns whether there is such a file (bool).
    keys
        Called as ``has_key``; returns the keys in these files (sequence of Key), None where they are not known.
    authorities
        Called with a path (str); returns the keys (sequence of Key) of a file of TrustedUserCAKeys.
    revoked
        Called with a path (str); returns what is known of the keys in a file of RevokedKeys (collection of str: blobs),
        None for one for which sshd takes no key.
    cage
        Called with an account's name and the word of ChrootDirectory (str); returns why it gets no shell there (str),
        None where it gets one.
    host_key
        Called with a path (str); returns the host's Key there, None without any.
    principals
        Called with an account's name and the word of AuthorizedPrincipalsFile (str), and whether StrictModes is on
        (bool); returns the names (collection of str) in this file, None where they are not known.
    runs
        Called with an account's name and the path of a program (str); returns whether it can run it (bool).
    serves
        Called with an account's name, a command that sshd is to ask about it, and as whom (str); returns whether sshd
        runs it (bool).
    holds
        Called as ``has_key``, with words of any files; returns whether one of these holds something today (bool).
    has_keytab
        Returns whether this host has a key in Kerberos, or may have one (bool).
    asks_more
        Called with the name of a service of PAM (str); returns whether it may let in who has no password (bool).
    """

    with_shell: Sequence[str]
    has_key: Callable[[str, list[str]], bool]
    is_root: Callable[[str], bool] = _is_root
    has_password: Callable[[str], bool] = _so
    is_locked: Callable[[str], bool] = _not_so
    is_file: Callable[[str], bool] = _so
    keys: Callable[[str, list[str]], Sequence[Key] | None] = _unknown_keys
    authorities: Callable[[str], Sequence[Key]] = _any_authority
    revoked: Callable[[str], Collection[str] | None] = _none_revoked
    cage: Callable[[str, str], str | None] = _no_cage
    host_key: Callable[[str], Key | None] = _some_key
    principals: Callable[[str, str, bool], Collection[str] | None] = _unknown_principals
    runs: Callable[[str, str], bool] = _so_of_it
    serves: Callable[[str, str, str], bool] = _serves
    holds: Callable[[str, list[str]], bool] = _not_so_of_it
    has_keytab: Callable[[], bool] = _none
    asks_more: Callable[[str], bool] = _not_so

    def with_passwords(self) -> Accounts:
        """Return the same (Accounts) for a source other than the host's own, which can have anybody's password."""
        return self._replace(has_password=_so)

    def with_keys(self) -> Accounts:
        """Return the same (Accounts) for keys that come from elsewhere, or are still to come."""
        return self._replace(has_key=_has_file, keys=_unknown_keys)
