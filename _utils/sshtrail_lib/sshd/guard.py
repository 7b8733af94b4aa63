"""
Whether a change of sshd's configuration would lock the administrator out, and which line would do it.

What counts is a way in that is there before the change and is not there after it; an account that could not log
in before is no reason to refuse. What must be known of accounts is handed in (:class:`Accounts`).
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.sshd import effective, language, match
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.plan import Plan

#: What sshd does for an account: ``{keyword: value}``.
_Values = Mapping[str, typing.Any]
_HasKey = Callable[[str, list[str]], bool]


class LockOutError(CommandExecutionError):
    """The change would lock the administrator out; nothing was written."""


class Obstacle(typing.NamedTuple):
    """What keeps an account out: the keywords (str, with spaces between) that can do it, and why (str)."""

    keyword: str
    reason: str


class Accounts(typing.NamedTuple):
    """
    What the guard must know of the host's accounts.

    with_shell
        The names of those with a shell, root first (sequence of str).
    has_key
        Called with an account's name (str) and the words of AuthorizedKeysFile (list of str); returns whether one of
        these files holds something for it (bool).
    """

    with_shell: Sequence[str]
    has_key: Callable[[str, list[str]], bool]


def judge(done: Plan, accounts: Accounts, admins: Sequence[str] = ()) -> None:
    """
    Raise LockOutError when a plan takes the last way in.

    done
        The Plan.
    accounts
        Who there is (Accounts).
    admins
        Accounts that must be able to log in (list of str). Without any, somebody must: an account with a shell.
    """
    for account in admins:
        before, after = (_obstacle(tree, account, accounts.has_key) for tree in (done.tree, done.after))
        if after and not before:
            raise LockOutError(f"This would lock out {account}: {_told(done, account, after)}")
    _judge_everybody(done, accounts.with_shell)
    _judge_endpoints(done)


def _judge_everybody(done: Plan, accounts: Sequence[str]) -> None:
    # Most often the first account settles it, and there can be thousands.
    if any(not _obstacle(done.after, name) and not _obstacle(done.tree, name) for name in accounts):
        return
    before = [name for name in accounts if not _obstacle(done.tree, name)]
    found = [(name, obstacle) for name in before if (obstacle := _obstacle(done.after, name))]
    if before and len(found) == len(before):
        name, obstacle = found[0]
        who = f"{name}, the only account that can log in" if len(before) == 1 else "every account with a shell"
        raise LockOutError(f"This would lock out {who}: {_told(done, name, obstacle)}")


def _judge_endpoints(done: Plan) -> None:
    before, after = (_endpoints(tree) for tree in (done.tree, done.after))
    if set(before) & set(after) or not before:
        return
    changed = [name for name in ("Port", "ListenAddress", "AddressFamily") if name in _changed(done)]
    told = _line(done, None, changed[-1]) if changed else ""
    raise LockOutError(
        f"sshd would no longer listen where it does now ({', '.join(before)}){told}; force: True does it"
    )


def _changed(done: Plan) -> set[str]:
    return {wanted.keyword.name for wanted in done.wishes if wanted.key in done.changes}


def _endpoints(tree: Tree) -> list[str]:
    found = effective.effective(tree).get("ListenAddress")
    return found.value if found and found.value else []


def _told(done: Plan, account: str, obstacle: Obstacle) -> str:
    culprits = obstacle.keyword.split(" ")
    keyword = next((name for name in culprits if name in _changed(done)), culprits[0])
    return f"{obstacle.reason}{_line(done, account, keyword)}; force: True does it all the same"


def _line(done: Plan, account: str | None, keyword: str) -> str:
    """Return where the line is that would do it (str)."""
    found = effective.effective(done.after, match.Connection(user=account)).get(keyword)
    if not found or not found.deciding:
        return f" ({keyword} would be sshd's default)"
    setting = found.deciding[0]
    text = language.decode(setting.line.raw).strip()
    return f" ({setting.file}:{setting.line.number}: {text})"


def _obstacle(tree: Tree, account: str, has_key: _HasKey | None = None) -> Obstacle | None:
    """Return what keeps ``account`` (str) out, or None; with ``has_key`` (as in Accounts), a key login needs a key."""
    found = effective.effective(tree, match.Connection(user=account))
    values = {name: one.value for name, one in found.items()}
    return (
        _refused(values)
        or _user_lists(values, account)
        or _group_lists(values, account, tree.daemon.names.groups(account))
        or _root(values, account)
        or _methods(values, account, has_key)
    )


def _refused(values: _Values) -> Obstacle | None:
    if values.get("RefuseConnection") == "yes":
        return Obstacle("RefuseConnection", "RefuseConnection refuses every connection")
    return None


def _user_lists(values: _Values, account: str) -> Obstacle | None:
    for pattern in values.get("DenyUsers") or ():
        if "@" not in pattern and _in(account, pattern):
            return Obstacle("DenyUsers", f"DenyUsers holds {account}")
    allowed = values.get("AllowUsers") or ()
    if allowed and not any(_in(account, pattern.rpartition("@")[0] or pattern) for pattern in allowed):
        return Obstacle("AllowUsers", f"AllowUsers does not hold {account}")
    return None


def _group_lists(values: _Values, account: str, groups: Sequence[str]) -> Obstacle | None:
    denied, allowed = values.get("DenyGroups") or (), values.get("AllowGroups") or ()
    for pattern in denied:
        if any(_in(group, pattern) for group in groups):
            return Obstacle("DenyGroups", f"DenyGroups holds a group of {account}")
    if allowed and not any(_in(group, pattern) for group in groups for pattern in allowed):
        return Obstacle("AllowGroups", f"AllowGroups holds no group of {account}")
    return None


def _in(name: str, pattern: str) -> bool:
    return match.in_patterns(name, pattern) == 1


def _root(values: _Values, account: str) -> Obstacle | None:
    if account == "root" and values.get("PermitRootLogin") in ("no", "forced-commands-only"):
        return Obstacle("PermitRootLogin", f"PermitRootLogin {values['PermitRootLogin']} keeps root out")
    return None


_KEYWORD_OF = {
    "publickey": "PubkeyAuthentication",
    "password": "PasswordAuthentication",
    "keyboard-interactive": "KbdInteractiveAuthentication",
    "hostbased": "HostbasedAuthentication",
    "gssapi-with-mic": "GSSAPIAuthentication",
}


def _methods(values: _Values, account: str, has_key: _HasKey | None) -> Obstacle | None:
    ways = {method for method, keyword in _KEYWORD_OF.items() if values.get(keyword) == "yes"}
    if account == "root" and values.get("PermitRootLogin") in ("prohibit-password", "without-password"):
        ways -= {"password", "keyboard-interactive"}
    # Keyboard-interactive is PAM's; without PAM it has nothing to ask.
    ways -= {"keyboard-interactive"} if values.get("UsePAM", "no") != "yes" else set()
    if has_key and not _finds_key(values, account, has_key):
        ways -= {"publickey"}
    lists = values.get("AuthenticationMethods") or "any"
    if lists != "any":
        enough = any({one.partition(":")[0] for one in each.split(",")} <= ways for each in lists.split(" "))
        return (
            None if enough else Obstacle("AuthenticationMethods", f"no list of AuthenticationMethods lets {account} in")
        )
    if ways:
        return None
    culprits = "PasswordAuthentication PubkeyAuthentication KbdInteractiveAuthentication PermitRootLogin UsePAM"
    return Obstacle(culprits, f"neither a password nor a key would let {account} in")


def _finds_key(values: _Values, account: str, has_key: _HasKey) -> bool:
    """Whether sshd would find any key for ``account``: a file with some content, or a source that it is told to ask."""
    if any(values.get(name, "none") != "none" for name in ("AuthorizedKeysCommand", "TrustedUserCAKeys")):
        return True
    return has_key(account, (values.get("AuthorizedKeysFile") or "none").split(" "))
