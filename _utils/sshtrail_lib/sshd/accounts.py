"""
What the host's account database says, for Match, for paths below a home and for the guard against lock-outs.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import pathlib
import pwd
import stat
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from salt.exceptions import CommandExecutionError, SaltException

from sshtrail_lib.base import directory, files
from sshtrail_lib.sshd import commands, means, pubkeys
from sshtrail_lib.sshd.known import Accounts

#: shadow(5).
SHADOW = "/etc/shadow"

#: Bytes of a file of keys, which is mostly of its account: 20,000 keys.
LARGEST = 16 << 20
#: Files of keys that a pattern may find: they lie in a directory of the account's own.
MOST = 100
#: Commands before keys that are looked at in one file.
COMMANDS = 200
_NO_SHELL = ("nologin", "false", "sync", "halt", "shutdown")


def unknown(names: Iterable[str]) -> list[str]:
    """Return those of the ``names`` (iterable of str) that are no account of this host (list of str)."""
    return [one for one in names if not _is_known(one)]


def _is_known(name: str) -> bool:
    try:
        return bool(directory.user(name))
    except (KeyError, ValueError):
        return False
    except CommandExecutionError:
        # A directory that does not answer says nothing of anybody.
        return True


def groups(account: str) -> list[str]:
    """Return the names of the groups of ``account`` (str); none when there is no such account."""
    try:
        found = directory.user(account)
    except (KeyError, UnicodeError):
        return []
    names = []
    for gid in directory.asked("getgrouplist", lambda: os.getgrouplist(found.pw_name, found.pw_gid)):
        with contextlib.suppress(KeyError):
            names.append(directory.group_of(gid).gr_name)
    return names


def home(word: str) -> str:
    """Return ``word`` (str) with the home directory in place of a leading ``~`` or ``~ACCOUNT``, where there is one."""
    return os.path.expanduser(word)


def with_shell() -> list[str]:
    """Return the names of the accounts that have a shell, root first (list of str)."""
    shells = [one for one in directory.users() if os.path.basename(one.pw_shell) not in _NO_SHELL]
    return [one.pw_name for one in sorted(shells, key=lambda one: one.pw_uid) if one.pw_uid == 0 or one.pw_uid >= 1000]


def has_key(account: str, words: Sequence[str]) -> bool:
    """
    Return whether ``account`` (str) has any key in a file.

    words
        The words of AuthorizedKeysFile (list of str), with sshd's ``%h``, ``%u``, ``%U`` and ``%%``.
    """
    try:
        found = directory.user(account)
    except (KeyError, UnicodeError):
        return False
    return any(_filled(path) for path in _paths(words, found))


def _expanded(word: str, account: pwd.struct_passwd) -> str:
    path = word.replace("%%", "\0").replace("%h", account.pw_dir).replace("%u", account.pw_name)
    return os.path.join(account.pw_dir, path.replace("%U", str(account.pw_uid)).replace("\0", "%"))


def _paths(words: Sequence[str], account: pwd.struct_passwd) -> Iterator[str]:
    """Yield the files that ``words`` mean for an account; OpenSSH 10.0 and later take patterns of files (bz2755)."""
    for word in words if list(words) != ["none"] else ():
        path = _expanded(word, account)
        yield from (one for one in sorted({path, *glob.glob(path)})[:MOST] if means.may(account.pw_name, one, os.R_OK))


def _filled(path: str) -> bool:
    try:
        lines = (files.beginning(path, LARGEST) or b"").splitlines()
    except CommandExecutionError:
        # On a file system where root may not, sshd reads it as the account.
        return True
    return any(line.strip() and not line.lstrip().startswith(b"#") for line in lines)


def keys(account: str, words: Sequence[str]) -> list[pubkeys.Key]:
    """
    Return the keys (list of Key) of ``account`` (str), of no kind for a file that cannot be read; ``words`` as for
    :func:`has_key`. Those whose time is over are none.
    """
    found: list[pubkeys.Key] = []
    with contextlib.suppress(KeyError, UnicodeError):
        who = directory.user(account)
        for path in _paths(words, who):
            safe = _is_safe(path, who)
            try:
                lines = pubkeys.authorized(files.beginning(path, LARGEST) or b"")
                found += [one._replace(safe=safe) for one in _opening(lines, account)]
            except CommandExecutionError:
                found.append(pubkeys.Key(safe=safe))
    return found


def _opening(found: Iterable[pubkeys.Key], account: str) -> Iterator[pubkeys.Key]:
    """Yield the keys that sshd takes today, and whether a shell comes of the command that stands before one."""
    now, looked = time.time(), 0
    for key in found:
        if key.until is not None and key.until < now:
            continue
        looked += bool(key.command)
        asked = key.command and looked <= COMMANDS
        yield key._replace(shell=not asked or commands.leads_on(key.command, functools.partial(means.runs, account)))


def _is_safe(path: str, account: pwd.struct_passwd) -> bool:
    """Whether nobody else may write to ``path`` or above it, up to the home; what cannot be looked at is."""
    return means.is_safe(path, {0, account.pw_uid}, os.path.realpath(account.pw_dir)) is not False


def cage(account: str, word: str) -> str | None:
    """
    Return why ``account`` (str) gets no shell in the ChrootDirectory ``word`` (str), None where it gets one: session.c,
    safely_chroot.
    """
    try:
        found = directory.user(account)
    except (KeyError, UnicodeError):
        return None
    path = _expanded(word, found)
    for part in reversed([path, *map(str, pathlib.PurePath(path).parents)]):
        told = _unfit(part)
        if told:
            return f"{part} {told}"
    shell = os.path.join(path, (found.pw_shell or "/bin/sh").lstrip("/"))
    # A link is followed by who is in there, and leads elsewhere for who is not.
    return None if os.path.lexists(shell) else f"there is no {shell}"


def _unfit(path: str) -> str | None:
    try:
        told = os.stat(path)
    except OSError:
        return "is not there"
    if not stat.S_ISDIR(told.st_mode):
        return "is no directory"
    return "is not root's alone" if told.st_uid or told.st_mode & 0o022 else None


def host_key(path: str) -> pubkeys.Key | None:
    """Return the Key of the host's key at ``path`` (str), one of no kind where it cannot be told, None without any."""
    for one in (f"{path}.pub", path):
        with contextlib.suppress(CommandExecutionError):
            found = pubkeys.of_host(files.read(one) or b"")
            if found:
                return found
    return pubkeys.Key() if os.path.isfile(path) else None


def authorities(path: str) -> list[pubkeys.Key]:
    """Return the keys (list of Key) of the file ``path`` (str) of TrustedUserCAKeys, as far as sshd reads it."""
    with contextlib.suppress(CommandExecutionError):
        found, _whole = pubkeys.listed(files.read(path) or b"") if os.path.isfile(path) else ([], True)
        return [one._replace(authority=True) for one in found]
    return [pubkeys.Key(authority=True)]


def revoked(path: str) -> set[str] | None:
    """
    Return the keys (set of str) that the file ``path`` (str) of RevokedKeys lists in text; a KRL only sshd reads. None
    where it is neither, or cut off: then sshd takes no key.
    """
    with contextlib.suppress(CommandExecutionError):
        data = files.read(path) or b""
        found, whole = pubkeys.listed(data) if (krl := pubkeys.is_krl(data)) is None else ([], krl)
        return {one.blob for one in found} if whole else None
    return set()


def principals(account: str, word: str, strict: bool) -> set[str] | None:
    """
    Return the names (set of str) in the file that ``word`` (str) of AuthorizedPrincipalsFile means for ``account``
    (str), None where it cannot be read. With ``strict`` (bool) one does not count that others may write to.
    """
    found: set[str] = set()
    with contextlib.suppress(KeyError, UnicodeError):
        who = directory.user(account)
        for path in (path for path in _paths([word], who) if not strict or _is_safe(path, who)):
            try:
                lines = (files.beginning(path, LARGEST) or b"").decode("utf-8", "replace").splitlines()
            except CommandExecutionError:
                return None
            # The last word; what stands before it are options.
            found.update(words[-1] for line in lines if (words := line.partition("#")[0].split()))
    return found


def is_root(account: str) -> bool:
    """Return whether ``account`` (str) has root's number; where there is no such account, whether it is called so."""
    try:
        return directory.user(account).pw_uid == 0
    except (KeyError, UnicodeError):
        return account == "root"


def hashes() -> dict[str, str]:
    """Return what stands in the place of each local account's password (dict of str), as far as this user may know."""
    with contextlib.suppress(CommandExecutionError):
        lines = (files.read(SHADOW) or b"").decode("utf-8", "surrogateescape").splitlines()
        return {name: rest.partition(":")[0] for name, _colon, rest in (line.partition(":") for line in lines)}
    return {}


def _asks_more(call: Mapping[str, Callable[..., typing.Any]], service: str) -> bool:
    """Whether PAM may let in who has no password; where nobody here can tell, keyboard-interactive is a way in."""
    ask = call.get("sshtrail_pam.without_password")
    try:
        return ask is None or bool(ask(service, f"/etc/pam.d/{service}"))
    except SaltException:
        return True


def known(call: Mapping[str, Callable[..., typing.Any]] | None = None) -> Accounts:
    """
    Return what the guard must know of this host's accounts (Accounts).

    call
        Functions of Salt's by name, as a :class:`~sshtrail_lib.base.minion.Minion` has them: PAM's stacks are another
        wing's.
    """
    found, read, held = functools.cache(hashes), functools.cache(keys), functools.cache(has_key)

    def begins(account: str, *marks: str) -> bool:
        return found().get(account, "").startswith(marks)

    # platform.c: with PAM alone sshd lets in whose password is locked. No password is a hash of either mark.
    return Accounts(
        with_shell(),
        lambda account, words: held(account, tuple(words)),
        is_root,
        has_password=lambda account: not begins(account, "!", "*"),
        is_locked=lambda account: begins(account, "!"),
        is_file=os.path.isfile,
        keys=lambda account, words: read(account, tuple(words)),
        authorities=authorities,
        revoked=functools.cache(revoked),
        cage=cage,
        host_key=host_key,
        principals=functools.cache(principals),
        runs=functools.cache(means.runs),
        serves=functools.cache(means.serves),
        holds=lambda account, words: held(account, tuple(words)),
        has_keytab=functools.cache(means.has_keytab),
        asks_more=functools.cache(functools.partial(_asks_more, call or {})),
    )
