"""
What this host has of that which methods of logging in need, and what of its programs an account can run.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shlex
import stat
from collections.abc import Collection

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import directory, files

#: The keys of this host in Kerberos, and files that can name another place for them.
KEYTAB = "/etc/krb5.keytab"
KERBEROS = ("/etc/krb5.conf", "/etc/krb5.conf.d/*", "/etc/default/ssh", "/etc/sysconfig/sshd")
_ELSEWHERE = re.compile(
    rb"^\s*[^#\s].*(?:default_keytab_name|KRB5_KTNAME)|^\s*(?:default_keytab_name|KRB5_KTNAME)", re.M
)


def has_keytab() -> bool:
    """Return whether this host has a key in Kerberos, without which nobody comes in by GSSAPI, or may have (bool)."""
    with contextlib.suppress(OSError):
        if os.path.getsize(KEYTAB):
            return True
    for path in (path for pattern in KERBEROS for path in glob.glob(pattern)):
        with contextlib.suppress(CommandExecutionError):
            if _ELSEWHERE.search(files.read(path) or b""):
                return True
    return False


def may(account: str, path: str, right: int) -> bool:
    """
    Return whether an account may do something with a regular file, also where this cannot be told (bool).

    account, path
        Their name and path (str).
    right
        What: os.R_OK or os.X_OK (int).
    """
    try:
        who = directory.user(account)
        groups = directory.asked("getgrouplist", lambda: os.getgrouplist(who.pw_name, who.pw_gid))
    except (KeyError, UnicodeError):
        return os.path.isfile(path)
    here = os.path.realpath(path)
    try:
        if not stat.S_ISREG(os.stat(here).st_mode) or not _permits(here, right, who.pw_uid, groups):
            return False
        while (above := os.path.dirname(here)) != here:
            if not _permits(above, os.X_OK, who.pw_uid, groups):
                return False
            here = above
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        pass
    return True


def _permits(path: str, right: int, uid: int, groups: Collection[int]) -> bool:
    told = os.stat(path)
    if uid == 0:
        return right != os.X_OK or stat.S_ISDIR(told.st_mode) or bool(told.st_mode & 0o111)
    shift = 6 if told.st_uid == uid else 3 if told.st_gid in groups else 0
    if told.st_mode >> shift & right:
        return True
    # A list of access can give more than the mode tells.
    return "system.posix_acl_access" in os.listxattr(path)


def runs(account: str, path: str) -> bool:
    """Return whether ``account`` (str) can run the program at ``path`` (str)."""
    return may(account, path, os.X_OK)


def serves(account: str, command: str, user: str) -> bool:
    """
    Return whether sshd runs a command that it asks about an account (bool): misc.c, subprocess.

    account
        About whom it asks (str).
    command
        AuthorizedKeysCommand or AuthorizedPrincipalsCommand (str).
    user
        As whom it runs it (str), with sshd's ``%u`` and ``%%``.
    """
    try:
        program = shlex.split(command)[0]
    except (ValueError, IndexError):
        return False
    runner = user.replace("%%", "\0").replace("%u", account).replace("\0", "%")
    try:
        directory.user(runner)
    except (KeyError, UnicodeError):
        return False
    return program.startswith("/") and bool(is_safe(program, {0})) and runs(runner, program)


def is_safe(path: str, owners: Collection[int], top: str = "/") -> bool | None:
    """
    Return whether a file and all above it belong to nobody else, who may not write there either: misc.c, safe_path.

    path, owners
        The file (str), and whose it may be (collection of int, uids).
    top
        The directory (str, without a link in it) that is the last one to be looked at.

    None where one of them cannot be looked at.
    """
    here = os.path.realpath(path)
    while True:
        try:
            told = os.stat(here)
        except OSError:
            return None
        if told.st_uid not in owners or told.st_mode & 0o022:
            return False
        if here in (top, "/"):
            return True
        here = os.path.dirname(here)
