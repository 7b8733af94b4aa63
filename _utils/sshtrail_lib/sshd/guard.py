"""
Whether a change of sshd's configuration would lock the administrator out, and which line would do it.

What counts is a way in that is there before the change and is not there after it; an account that could not log
in before is no reason to refuse.
"""

import os
import pwd
import typing

from salt.exceptions import CommandExecutionError

from sshtrail_lib.sshd import language, match

_NO_SHELL = ("nologin", "false", "sync", "halt", "shutdown")
_LOOPBACK = ("127.", "[::1]")


class LockOutError(CommandExecutionError):
    """The change would lock the administrator out; nothing was written."""


class Obstacle(typing.NamedTuple):
    """What keeps an account out: the keywords (str, with spaces between) that can do it, and why (str)."""

    keyword: str
    reason: str


def judge(done, admins=()):
    """
    Raise LockOutError when a plan takes the last way in.

    done
        The Plan (:class:`sshtrail_lib.sshd.plan.Plan`).
    admins
        Accounts that must be able to log in (list of str). Without any, somebody must: an account with a shell.
    """
    for account in admins:
        before, after = (_obstacle(tree, account, True) for tree in (done.tree, done.after))
        if after and not before:
            raise LockOutError(f"This would lock out {account}: {_told(done, account, after)}")
    _judge_everybody(done)
    _judge_endpoints(done)


def _judge_everybody(done):
    accounts = _accounts()
    # Most often the first account settles it, and there can be thousands.
    if any(not _obstacle(done.after, name) and not _obstacle(done.tree, name) for name in accounts):
        return
    before = [name for name in accounts if not _obstacle(done.tree, name)]
    found = {name: _obstacle(done.after, name) for name in before}
    if before and all(found.values()):
        name, obstacle = next(iter(found.items()))
        who = f"{name}, the only account that can log in" if len(before) == 1 else "every account with a shell"
        raise LockOutError(f"This would lock out {who}: {_told(done, name, obstacle)}")


def _judge_endpoints(done):
    before, after = (_endpoints(tree) for tree in (done.tree, done.after))
    if set(before) & set(after) or not before:
        return
    changed = [name for name in ("Port", "ListenAddress", "AddressFamily") if name in _changed(done)]
    told = _line(done, None, changed[-1]) if changed else ""
    raise LockOutError(
        f"sshd would no longer listen where it does now ({', '.join(before)}){told}; force: True does it"
    )


def _changed(done):
    return {wanted.keyword.name for wanted in done.wishes if wanted.key in done.changes}


def _endpoints(tree):
    found = language.effective(tree).get("ListenAddress")
    return found.value if found and found.value else []


def _told(done, account, obstacle):
    culprits = obstacle.keyword.split(" ")
    keyword = next((name for name in culprits if name in _changed(done)), culprits[0])
    return f"{obstacle.reason}{_line(done, account, keyword)}; force: True does it all the same"


def _line(done, account, keyword):
    """Return where the line is that would do it (str)."""
    found = language.effective(done.after, match.Connection(user=account)).get(keyword)
    if not found or not found.deciding:
        return f" ({keyword} would be sshd's default)"
    setting = found.deciding[0]
    text = language.decode(setting.line.raw).strip()
    return f" ({setting.file}:{setting.line.number}: {text})"


def _accounts():
    """Return the names of the accounts that have a shell, root first (list of str)."""
    shells = [one for one in pwd.getpwall() if os.path.basename(one.pw_shell) not in _NO_SHELL]
    return [one.pw_name for one in sorted(shells, key=lambda one: one.pw_uid) if one.pw_uid == 0 or one.pw_uid >= 1000]


def _obstacle(tree, account, keys=False):
    """Return the Obstacle that keeps ``account`` (str) out, or None; with ``keys``, a key login needs a key."""
    found = language.effective(tree, match.Connection(user=account))
    values = {name: one.value for name, one in found.items()}
    for test in (_refused, _user_lists, _group_lists, _root):
        obstacle = test(values, account)
        if obstacle:
            return obstacle
    return _methods(values, account, keys)


def _refused(values, _account):
    if values.get("RefuseConnection") == "yes":
        return Obstacle("RefuseConnection", "RefuseConnection refuses every connection")
    return None


def _user_lists(values, account):
    for pattern in values.get("DenyUsers") or ():
        if "@" not in pattern and _in(account, pattern):
            return Obstacle("DenyUsers", f"DenyUsers holds {account}")
    allowed = values.get("AllowUsers") or ()
    if allowed and not any(_in(account, pattern.rpartition("@")[0] or pattern) for pattern in allowed):
        return Obstacle("AllowUsers", f"AllowUsers does not hold {account}")
    return None


def _group_lists(values, account):
    groups = match.groups_of(account)
    denied, allowed = values.get("DenyGroups") or (), values.get("AllowGroups") or ()
    for pattern in denied:
        if any(_in(group, pattern) for group in groups):
            return Obstacle("DenyGroups", f"DenyGroups holds a group of {account}")
    if allowed and not any(_in(group, pattern) for group in groups for pattern in allowed):
        return Obstacle("AllowGroups", f"AllowGroups holds no group of {account}")
    return None


def _in(name, pattern):
    return match.in_patterns(name, pattern) == 1


def _root(values, account):
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


def _methods(values, account, keys):
    ways = {method for method, keyword in _KEYWORD_OF.items() if values.get(keyword) == "yes"}
    if account == "root" and values.get("PermitRootLogin") in ("prohibit-password", "without-password"):
        ways -= {"password", "keyboard-interactive"}
    # Keyboard-interactive is PAM's; without PAM it has nothing to ask.
    ways -= {"keyboard-interactive"} if values.get("UsePAM", "no") != "yes" else set()
    if keys and not _has_key(values, account):
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


def _has_key(values, account):
    """Whether sshd would find any key for ``account``: a file with some content, or a source that it is told to ask."""
    if any(values.get(name, "none") != "none" for name in ("AuthorizedKeysCommand", "TrustedUserCAKeys")):
        return True
    try:
        home, uid = (lambda one: (one.pw_dir, one.pw_uid))(pwd.getpwnam(account))
    except KeyError:
        return False
    return any(_filled(word, account, home, uid) for word in (values.get("AuthorizedKeysFile") or "none").split(" "))


def _filled(word, account, home, uid):
    path = word.replace("%%", "\0").replace("%h", home).replace("%u", account).replace("%U", str(uid))
    path = os.path.join(home, path.replace("\0", "%"))
    return word != "none" and os.path.isfile(path) and os.path.getsize(path) > 0
