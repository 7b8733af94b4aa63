"""
The account that proofs log in to: nobody else can, and nothing is its own.
"""

from __future__ import annotations

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, state
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage.leftovers import HOME

SHELL = "/bin/sh"
#: No password has this hash. Unlike one that begins with "!", sshd does not take it for an account that is locked for
#: keys too, as it would without PAM.
NO_PASSWORD = "*"
PASSWD, SHADOW = "/etc/passwd", "/etc/shadow"
MADE = {"home": HOME, "shell": SHELL, "password": "none"}


def diff(account: str | None) -> state.Changes:
    """
    Return what :func:`make` would change (dict of account to what is and what should be).

    account
        The name of the account (str), None for no such account.

    Raises CommandExecutionError for an account that is somebody's.
    """
    there = _accounts()
    if account in there and there[account]["home"] != HOME:
        raise CommandExecutionError(
            f"The account {account} is somebody's, for its home is {there[account]['home']}: name one that is not "
            "there yet."
        )
    ours = {name: found for name, found in there.items() if found["home"] == HOME}
    wanted = {account: MADE} if account else {}
    return state.changes(ours, {**dict.fromkeys(ours), **wanted})


def make(minion: Minion, account: str | None) -> state.Changes:
    """Make the account, and remove each other one that was made for proofs; all else as for :func:`diff`."""
    changes = diff(account)
    for name, change in changes.items():
        if change["new"] is None:
            _done(minion.salts("user.delete", name, remove=False, force=True), f"remove the account {name}")
        elif change["old"] is None:
            _add(minion, name)
        else:
            _correct(minion, name, change["old"])
    return changes


def _add(minion: Minion, name: str) -> None:
    system = {"system": True, "createhome": False, "usergroup": True}
    told = minion.salts("user.add", name, home=HOME, shell=SHELL, fullname="proofs that logins are recorded", **system)
    _done(told, f"make the account {name}")
    _no_password(minion, name)


def _correct(minion: Minion, name: str, found: dict[str, str]) -> None:
    if found["shell"] != SHELL:
        _done(minion.salts("user.chshell", name, SHELL), f"give the account {name} its shell")
    if found["password"] != MADE["password"]:
        _no_password(minion, name)


def _no_password(minion: Minion, name: str) -> None:
    _done(minion.salts("shadow.set_password", name, NO_PASSWORD), f"keep passwords from the account {name}")


def _done(result: object, what: str) -> None:
    if result is not True:
        raise CommandExecutionError(f"Cannot {what}: {result if isinstance(result, str) else 'its log says why'}.")


def _accounts() -> dict[str, dict[str, str]]:
    """Return the host's own accounts, as :data:`MADE` has them: a directory's are not ours."""
    hashes = {fields[0]: fields[1] for fields in _fields(SHADOW) if len(fields) > 1}
    return {
        fields[0]: {
            "home": fields[5],
            "shell": fields[6],
            "password": "none" if hashes.get(fields[0]) == NO_PASSWORD else "some",
        }
        for fields in _fields(PASSWD)
        if len(fields) == 7
    }


def _fields(path: str) -> list[list[str]]:
    text = (files.read(path) or b"").decode("utf-8", "surrogateescape")
    return [line.split(":") for line in text.splitlines()]
