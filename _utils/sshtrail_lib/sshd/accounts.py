"""
What the host's account database says, for Match, for paths below a home and for the guard against lock-outs.
"""

from __future__ import annotations

import contextlib
import grp
import os
import pwd

from sshtrail_lib.sshd import guard

_NO_SHELL = ("nologin", "false", "sync", "halt", "shutdown")


def groups(account: str) -> list[str]:
    """Return the names of the groups of ``account`` (str); none when there is no such account."""
    try:
        found = pwd.getpwnam(account)
    except (KeyError, UnicodeError):
        return []
    names = []
    for gid in os.getgrouplist(found.pw_name, found.pw_gid):
        with contextlib.suppress(KeyError):
            names.append(grp.getgrgid(gid).gr_name)
    return names


def home(word: str) -> str:
    """Return ``word`` (str) with the home directory in place of a leading ``~`` or ``~ACCOUNT``, where there is one."""
    return os.path.expanduser(word)


def with_shell() -> list[str]:
    """Return the names of the accounts that have a shell, root first (list of str)."""
    shells = [one for one in pwd.getpwall() if os.path.basename(one.pw_shell) not in _NO_SHELL]
    return [one.pw_name for one in sorted(shells, key=lambda one: one.pw_uid) if one.pw_uid == 0 or one.pw_uid >= 1000]


def has_key(account: str, words: list[str]) -> bool:
    """
    Return whether ``account`` (str) has any key in a file.

    words
        The words of AuthorizedKeysFile (list of str), with sshd's ``%h``, ``%u``, ``%U`` and ``%%``.
    """
    try:
        found = pwd.getpwnam(account)
    except KeyError:
        return False
    return any(_filled(word, found) for word in words)


def _filled(word: str, account: pwd.struct_passwd) -> bool:
    path = word.replace("%%", "\0").replace("%h", account.pw_dir).replace("%u", account.pw_name)
    path = os.path.join(account.pw_dir, path.replace("%U", str(account.pw_uid)).replace("\0", "%"))
    return word != "none" and os.path.isfile(path) and os.path.getsize(path) > 0


def is_root(account: str) -> bool:
    """Return whether ``account`` (str) has root's number; where there is no such account, whether it is called so."""
    try:
        return pwd.getpwnam(account).pw_uid == 0
    except (KeyError, UnicodeError):
        return account == "root"


def known() -> guard.Accounts:
    """Return what the guard must know of this host's accounts."""
    return guard.Accounts(with_shell(), has_key, is_root)
