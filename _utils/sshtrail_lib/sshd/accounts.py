"""
What the host's account database says, for Match, for paths below a home and for the guard against lock-outs.
"""

from __future__ import annotations

import contextlib
import functools
import grp
import os
import pwd

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files
from sshtrail_lib.sshd import guard

#: shadow(5).
SHADOW = "/etc/shadow"

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
    except (KeyError, UnicodeError):
        return False
    return any(_filled(word, found) for word in words)


def _filled(word: str, account: pwd.struct_passwd) -> bool:
    path = word.replace("%%", "\0").replace("%h", account.pw_dir).replace("%u", account.pw_name)
    path = os.path.join(account.pw_dir, path.replace("%U", str(account.pw_uid)).replace("\0", "%"))
    if word == "none" or not os.path.isfile(path):
        return False
    try:
        lines = (files.read(path) or b"").splitlines()
    except CommandExecutionError:
        # On a file system where root may not, sshd reads it as the account.
        return True
    return any(line.strip() and not line.lstrip().startswith(b"#") for line in lines)


def is_root(account: str) -> bool:
    """Return whether ``account`` (str) has root's number; where there is no such account, whether it is called so."""
    try:
        return pwd.getpwnam(account).pw_uid == 0
    except (KeyError, UnicodeError):
        return account == "root"


def hashes() -> dict[str, str]:
    """Return what stands in the place of each local account's password (dict of str), as far as this user may know."""
    with contextlib.suppress(CommandExecutionError):
        lines = (files.read(SHADOW) or b"").decode("utf-8", "surrogateescape").splitlines()
        return {name: rest.partition(":")[0] for name, _colon, rest in (line.partition(":") for line in lines)}
    return {}


def known() -> guard.Accounts:
    """Return what the guard must know of this host's accounts."""
    found = functools.cache(hashes)

    def begins(account: str, *marks: str) -> bool:
        return found().get(account, "").startswith(marks)

    # platform.c: with PAM alone sshd lets in whose password is locked. No password is a hash of either mark.
    return guard.Accounts(
        with_shell(),
        has_key,
        is_root,
        has_password=lambda account: not begins(account, "!", "*"),
        is_locked=lambda account: begins(account, "!"),
        is_file=os.path.isfile,
    )
