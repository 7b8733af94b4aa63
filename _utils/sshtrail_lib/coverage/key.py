"""
A key that is made for one login: into this process's memory, and for as long into the one file that lets it in.

No door is opened by it. The private half is out of every directory before anything lets it in, and nobody but this
process can get at it; it ends with this process. The entry names a command, the address it may come from and a time
after which it counts no more, and is in a file of an account to which nobody else can log in.
"""

from __future__ import annotations

import base64
import contextlib
import hashlib
import os
import pwd
import shutil
import stat
import time
import typing
from collections.abc import Iterator, Mapping, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage import leftovers
from sshtrail_lib.coverage.leftovers import HOME, Places

#: How keys are made (arguments of ssh-keygen), by the algorithm that sshd must accept; the quickest first.
KINDS = {
    "ssh-ed25519": ("ed25519",),
    "ecdsa-sha2-nistp256": ("ecdsa", "-b", "256"),
    "ecdsa-sha2-nistp384": ("ecdsa", "-b", "384"),
    "rsa-sha2-512": ("rsa", "-b", "3072"),
    "rsa-sha2-256": ("rsa", "-b", "3072"),
}
#: Since this release of sshd a time may be told in UTC; before, it is the local time.
UTC_SINCE = (9, 1)


class NoPlace(CommandExecutionError):
    """No file that sshd reads can let a key in for this account alone; the message says which it reads."""


class Key(typing.NamedTuple):
    """
    A key whose private half is in no directory.

    handle
        The open file of the private half (int), which nobody else has.
    public
        The public half as authorized_keys has it (str).
    """

    handle: int
    public: str

    @property
    def path(self) -> str:
        """Where a child of this process finds the private half (str)."""
        return own(self.handle)

    @property
    def fingerprint(self) -> str:
        """As sshd logs it (str, ``SHA256:…``)."""
        digest = hashlib.sha256(base64.b64decode(self.public.split()[1])).digest()
        return f"SHA256:{base64.b64encode(digest).decode().rstrip('=')}"


def own(handle: int) -> str:
    """Return the path (str) under which an open file (int) of this process is found, by root and for its lifetime."""
    return f"/proc/{os.getpid()}/fd/{handle}"


@contextlib.contextmanager
def made(minion: Minion, where: Places, accepted: str) -> Iterator[Key]:
    """
    Make a key, and forget it in the end.

    accepted
        The algorithms that sshd accepts (str, as PubkeyAcceptedAlgorithms has them; "" for unknown).
    """
    algorithms = accepted.split(",")
    kind = next((made for name, made in KINDS.items() if name in algorithms), KINDS["ssh-ed25519"])
    os.makedirs(os.path.dirname(where.keys), mode=0o700, exist_ok=True)
    os.mkdir(where.keys, 0o700)
    path = os.path.join(where.keys, "key")
    try:
        done = minion.run("ssh-keygen", "-q", "-t", *kind, "-N", "", "-C", "", "-f", path)
        if done["retcode"]:
            raise CommandExecutionError(f"ssh-keygen made no key: {done['stderr'] or done['stdout']}")
        with open(f"{path}.pub", encoding="ascii") as public:
            key = Key(os.open(path, os.O_RDONLY | os.O_CLOEXEC), " ".join(public.read().split()[:2]))
    finally:
        shutil.rmtree(where.keys)
    try:
        yield key
    finally:
        os.close(key.handle)


@contextlib.contextmanager
def let_in(where: Places, path: str, account: pwd.struct_passwd, line: str) -> Iterator[None]:
    """
    Let a key in for a while.

    path
        The file that sshd reads (str), as :func:`place` tells it.
    account
        Whose login it is.
    line
        What :func:`entry` returned (str).
    """
    data = f"{line}\n".encode()
    leftovers.note(where, path, data)
    try:
        _home(account)
        if path.startswith(f"{HOME}/"):
            _directories(os.path.dirname(path), account.pw_gid)
        leftovers.write(path, data, 0o640, account.pw_gid)
        yield
    finally:
        leftovers.remove(where)


def _home(account: pwd.struct_passwd) -> None:
    """Make the account's home, of which nothing is its own: what logs in can change nothing there."""
    os.mkdir(HOME, 0o700)
    _open_to(HOME, account.pw_gid)


def _directories(path: str, group: int) -> None:
    for directory in reversed([path, *_above(path)]):
        os.mkdir(directory, 0o700)
        _open_to(directory, group)


def _above(path: str) -> list[str]:
    parent = os.path.dirname(path)
    return [parent, *_above(parent)] if parent != HOME and path != HOME else []


def _open_to(directory: str, group: int) -> None:
    os.chown(directory, 0, group)
    os.chmod(directory, 0o750)


def entry(key: Key, command: str, address: str, seconds: float, release: Sequence[int]) -> str:
    """
    Return the line of authorized_keys that lets a key in (str).

    command
        The only command (str, without quotes).
    address
        From where it may come (str).
    seconds
        How long it counts, from now (float).
    release
        sshd's (tuple of int).
    """
    end = time.time() + seconds
    if tuple(release) >= UTC_SINCE:
        until = time.strftime("%Y%m%d%H%M%SZ", time.gmtime(end))
    else:
        until = time.strftime("%Y%m%d%H%M%S", time.localtime(end))
    return f'restrict,from="{address}",command="{command}",expiry-time="{until}" {key.public}'


def place(effective: Mapping[str, typing.Any], account: pwd.struct_passwd) -> str:
    """
    Return the file (str) that can let a key in for this account, and for no other.

    effective
        What sshd does for it (dict of keyword to value).

    Raises :class:`NoPlace`.
    """
    named = str(effective.get("AuthorizedKeysFile") or "none").split()
    for pattern in named:
        path = _expanded(pattern, account)
        if path and _takes(path):
            return path
    raise NoPlace(
        f"sshd's AuthorizedKeysFile for {account.pw_name} is {' '.join(named)}, in which no key can be let in for it "
        "alone: give it one, such as .ssh/authorized_keys, in a Match block for this user"
    )


def _expanded(pattern: str, account: pwd.struct_passwd) -> str | None:
    """Return the file that a pattern means for an account (str), None for one that it shares with others."""
    tokens = {"%%": "%", "%h": account.pw_dir, "%u": account.pw_name, "%U": str(account.pw_uid)}
    path, rest, its_own = "", pattern, False
    while rest:
        token = rest[:2]
        if token.startswith("%") and token not in tokens:
            return None
        its_own = its_own or token in ("%u", "%U")
        path, rest = path + tokens.get(token, rest[0]), rest[len(token) if token in tokens else 1 :]
    found = os.path.normpath(os.path.join(account.pw_dir, path))
    named = its_own and ".." not in path.split("/")
    return found if pattern != "none" and (named or found.startswith(f"{HOME}/")) else None


def _takes(path: str) -> bool:
    if path.startswith(f"{HOME}/"):
        return True
    if os.path.lexists(path):
        return False
    with contextlib.suppress(OSError):
        found = os.lstat(os.path.dirname(path))
        return stat.S_ISDIR(found.st_mode) and found.st_uid == 0 and not found.st_mode & 0o022
    return False
