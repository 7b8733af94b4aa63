"""
Whether a change of sshd's configuration would lock the administrator out, and which line would do it.

What counts is a way in that is there before the change and is not there after it; an account that could not log
in before is no reason to refuse. A way in may be there for some addresses only: the last one counts. What must be known
of accounts is handed in (:class:`~sshtrail_lib.sshd.known.Accounts`).
"""

from __future__ import annotations

import itertools
import re
import typing
from collections.abc import Iterator, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.sshd import commands, effective, language, match, methods, places, spoken
from sshtrail_lib.sshd.daemon import Names
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.known import Accounts, Obstacle, Values
from sshtrail_lib.sshd.match import Connection
from sshtrail_lib.sshd.plan import Plan, place
from sshtrail_lib.sshd.pubkeys import Key, signs

#: What bears on who can log in; a change of anything else takes nobody's way.
_BEARING = frozenset(
    ["DenyUsers", "AllowUsers", "DenyGroups", "AllowGroups", "PermitRootLogin", "RefuseConnection", "UsePAM", "UseDNS"]
    + ["AuthenticationMethods", "PubkeyAuthentication", "PasswordAuthentication", "KbdInteractiveAuthentication"]
    + ["ChallengeResponseAuthentication", "HostbasedAuthentication", "GSSAPIAuthentication", "AuthorizedKeysFile"]
    + ["AuthorizedKeysCommand", "TrustedUserCAKeys", "Port", "ListenAddress", "AddressFamily"]
    + ["MaxSessions", "MaxAuthTries", "PerSourceMaxStartups", "RevokedKeys", "ForceCommand", "ChrootDirectory"]
    + ["PubkeyAcceptedAlgorithms", "PubkeyAcceptedKeyTypes", "CASignatureAlgorithms", "RequiredRSASize", "StrictModes"]
    + ["AuthorizedPrincipalsFile", "AuthorizedPrincipalsCommand", "HostKeyAlgorithms", "HostKey"]
    + ["IgnoreRhosts", "IgnoreUserKnownHosts", "PAMServiceName"]
    + ["AuthorizedKeysCommandUser", "AuthorizedPrincipalsCommandUser"]
)


class LockOutError(CommandExecutionError):
    """The change would lock the administrator out; nothing was written."""


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
    if _BEARING & _concerned(done):
        named = places.named((done.tree, done.after))
        release = done.tree.daemon.release
        accounts = accounts if release >= _PATTERNS_SINCE else _literal(accounts)
        accounts = accounts if release >= _ENDPOINTS_SINCE else _without_endpoints(accounts)
        # Another source than the host's own can have a password for who has none here: then it may be the last way.
        for account, who in itertools.product(admins, (accounts.with_passwords(), accounts)):
            if (obstacle := _Ways(done, who, named).lost(account)) and obstacle is not _NEVER:
                raise LockOutError(f"This would lock out {account}: {_told(done, obstacle)}")
        _judge_everybody(done, accounts.with_passwords(), named)
    _judge_endpoints(done)
    _judge_host_keys(done, accounts)
    _judge_algorithms(done)


#: Since this release AuthorizedKeysFile and AuthorizedPrincipalsFile may be patterns of files.
_PATTERNS_SINCE = (10, 0)


def _literal(accounts: Accounts) -> Accounts:
    """Return ``accounts`` for an sshd to which a star in the name of a file is a star."""

    def plain(word: str) -> str:
        return re.sub(r"([*?[])", r"[\1]", word)

    return accounts._replace(
        has_key=lambda account, words: accounts.has_key(account, list(map(plain, words))),
        keys=lambda account, words: accounts.keys(account, list(map(plain, words))),
        principals=lambda account, word, strict: accounts.principals(account, plain(word), strict),
    )


#: Since this release a command may be told from where somebody comes: at these tokens 9.2 ends.
_ENDPOINTS_SINCE = (9, 3)


def _without_endpoints(accounts: Accounts) -> Accounts:
    def serves(account: str, command: str, user: str) -> bool:
        return not re.search("%[CD]", command.replace("%%", "")) and accounts.serves(account, command, user)

    return accounts._replace(serves=serves)


#: What keeps out an account that had no way in before.
_NEVER = Obstacle("", "it could not log in before")


#: So many accounts are looked at one by one for the keys that they have in files, and so many sources of one's keys.
_FEW = 40


class _Ways(typing.NamedTuple):
    """The ways in before and after a plan."""

    done: Plan
    accounts: Accounts
    named: places.Named

    def lost(self, account: str) -> Obstacle | None:
        """
        Return what takes the last way in of ``account`` (str): None when one is left, _NEVER when there was none.

        Who comes in by IPv4 may have nothing else, so that a way by IPv6 is none for such an account, and neither is
        one from the host itself.
        """
        named = places.also(self.named, self._sources(account))
        for kind in places.KINDS:
            if self._barred(self.done.tree, account, kind, named) is None:
                return self._barred(self.done.after, account, kind, named)
        return _NEVER

    def _sources(self, account: str) -> list[str]:
        """Return from where alone keys of ``account`` are taken (list of str)."""
        words: dict[tuple[str, ...], None] = {}
        for tree in (self.done.tree, self.done.after):
            found = effective.effective(tree, Connection()).get("AuthorizedKeysFile")
            words[tuple(str(found.value).split(" ")) if found else ()] = None
            words.update(
                (line.arguments.words, None) for _, _, line in effective.match_lines(tree, "AuthorizedKeysFile")
            )
        held = (list(one) for one in words if self.accounts.has_key(account, list(one)))
        keys = (key for one in held for key in self.accounts.keys(account, one) or ())
        return list(dict.fromkeys(key.sources for key in keys if key.sources))[:_FEW]

    def _barred(self, tree: Tree, account: str, kind: str, named: places.Named) -> Obstacle | None:
        """Return what keeps ``account`` out wherever it comes from, None when it comes in from somewhere."""
        ways = itertools.islice(places.connections(tree, account, named, kind), places.LIMIT)
        found = []
        for connection in ways:
            # What was no certificate that anybody has is none then.
            before = None if tree is self.done.tree else _values(self.done.tree, connection)
            obstacle = _obstacle(tree, connection, self.accounts, before)
            if obstacle is None:
                return None
            found.append(obstacle._replace(connection=connection))
        # What was in the way of some before is not what takes the last way.
        changed = _changed(self.done)
        return next((one for one in found if changed & {*one.keyword.split(" ")}), found[0] if found else _NEVER)


def _judge_everybody(done: Plan, accounts: Accounts, named: places.Named) -> None:
    known = any(_keyed(done.tree, accounts)) and len(accounts.with_shell) <= _FEW
    if known and _judge_all(_Ways(done, accounts, named)):
        return
    # Where no file holds a key, they come from elsewhere, or are still to come.
    _judge_all(_Ways(done, accounts.with_keys(), named))


def _judge_all(ways: _Ways) -> bool:
    """Return whether somebody is known who still comes in; nobody is to lose what was the last way of all."""
    lost: list[tuple[str, Obstacle]] = []
    # Most often the first account settles it, and there can be thousands.
    for name in ways.accounts.with_shell:
        obstacle = ways.lost(name)
        if obstacle is None:
            return True
        lost += [(name, obstacle)] if obstacle is not _NEVER else []
    if lost:
        name, obstacle = lost[0]
        who = f"{name}, the only account that can log in" if len(lost) == 1 else "every account with a shell"
        raise LockOutError(f"This would lock out {who}: {_told(ways.done, obstacle)}")
    return False


def _keyed(tree: Tree, accounts: Accounts) -> Iterator[str]:
    """Yield the accounts that have a key in a file, or by what sshd is told to ask."""
    values = _values(tree, Connection())
    yield from (name for name in accounts.with_shell if methods.found_keys(values, Connection(name), accounts))


def _judge_endpoints(done: Plan) -> None:
    if not {"Port", "ListenAddress", "AddressFamily"} & _concerned(done):
        return
    before, after = (_endpoints(tree) for tree in (done.tree, done.after))
    if any(places.covered(one, after) for one in _important(before)) or not before:
        return
    changed = [name for name in ("Port", "ListenAddress", "AddressFamily") if name in _changed(done)]
    told = _line(done, Connection(), changed[-1]) if changed else ""
    raise LockOutError(
        f"sshd would no longer listen where it does now ({', '.join(before)}){told}; force: True does it"
    )


def _judge_host_keys(done: Plan, accounts: Accounts) -> None:
    before, after = (_presented(tree, accounts) for tree in (done.tree, done.after))
    if not before or after or not {"HostKeyAlgorithms", "HostKey", "RequiredRSASize"} & _concerned(done):
        return
    names = [name for name in ("HostKeyAlgorithms", "HostKey", "RequiredRSASize") if name in _changed(done)]
    told = _line(done, Connection(), names[0]) if names else ""
    raise LockOutError(f"No key of this host would be left with which sshd could answer{told}; force: True does it")


def _judge_algorithms(done: Plan) -> None:
    before, after = (_values(tree, None) for tree in (done.tree, done.after))
    for name in spoken.OFFERED if {*spoken.OFFERED} & _concerned(done) else ():
        if spoken.is_spoken(name, before) and not spoken.is_spoken(name, after):
            told = _line(done, Connection(), name)
            raise LockOutError(f"No client of today speaks any of what {name} would leave{told}; force: True does it")


def _presented(tree: Tree, accounts: Accounts) -> list[Key]:
    """Return the host's keys that sshd presents."""
    values = _values(tree, None)
    found = [accounts.host_key(path) for path in values.get("HostKey") or ()]
    size = methods.number(values.get("RequiredRSASize"))
    return [one for one in found if one and signs(one, values.get("HostKeyAlgorithms") or "", size)]


def _important(endpoints: Sequence[str]) -> list[str]:
    """Return those of ``endpoints`` through which people come: by IPv4, else by IPv6, else from the host itself."""
    found: dict[str, list[str]] = {}
    for endpoint in endpoints:
        found.setdefault(places.kind(Connection(addr=places.split(endpoint)[0])), []).append(endpoint)
    return next((found[one] for one in places.KINDS if one in found), [])


def _changed(done: Plan) -> set[str]:
    return {wanted.keyword.name for wanted in (*done.wishes, *done.given_back) if wanted.key in done.changes}


def _concerned(done: Plan) -> set[str]:
    """Return the keywords (set of str) that a plan is about, also those whose former values it gives back."""
    return {wanted.keyword.name for wanted in (*done.wishes, *done.given_back)}


def _endpoints(tree: Tree) -> list[str]:
    found = effective.effective(tree).get("ListenAddress")
    return found.value if found and found.value else []


def _told(done: Plan, obstacle: Obstacle) -> str:
    culprits = obstacle.keyword.split(" ")
    keyword = next((name for name in culprits if name in _changed(done)), culprits[0])
    return f"{obstacle.reason}{_line(done, obstacle.connection, keyword)}; force: True does it all the same"


def _line(done: Plan, connection: Connection, keyword: str) -> str:
    """Return where the line is that would do it (str)."""
    found = effective.effective(done.after, connection).get(keyword)
    if not found or not found.deciding:
        return f" ({keyword} would be sshd's default)"
    setting = found.deciding[0]
    where = place(done.tree, done.after, setting.file, setting.line.number)
    # A line that is there already has a number, one that is not is shown.
    text = "" if ", new line " in where else f": {language.decode(setting.line.raw).strip()}"
    return f" ({where}{text})"


def _values(tree: Tree, connection: Connection | None) -> Values:
    return {name: one.value for name, one in effective.effective(tree, connection).items()}


def _obstacle(tree: Tree, connection: Connection, accounts: Accounts, before: Values | None) -> Obstacle | None:
    """Return what keeps out the account of ``connection``, None when it comes in; ``before`` as for methods."""
    account, values = connection.user or "", _values(tree, connection)
    root = accounts.is_root(account)
    return (
        _refused(values)
        or _locked(values, account, accounts)
        or _user_lists(values, connection, tree.daemon.names)
        or _group_lists(values, account, tree.daemon.names.groups(account))
        or (_root(values, account) if root else None)
        or methods.methods(values, connection, root, accounts, before)
        or commands.session(values, account, accounts)
    )


def _refused(values: Values) -> Obstacle | None:
    if values.get("RefuseConnection") == "yes":
        return Obstacle("RefuseConnection", "RefuseConnection refuses every connection")
    # The first question of most clients is which methods there are, and that is a try.
    none = next((name for name in _NOBODY_AT_0 if values.get(name) == "0"), None)
    return Obstacle(none, f"{none} 0 lets nobody in") if none else None


_NOBODY_AT_0 = ("MaxSessions", "MaxAuthTries", "PerSourceMaxStartups")


def _locked(values: Values, account: str, accounts: Accounts) -> Obstacle | None:
    if values.get("UsePAM", "no") == "yes" or not accounts.is_locked(account):
        return None
    return Obstacle("UsePAM", f"the password of {account} is locked, and without PAM sshd lets no such account in")


def _user_lists(values: Values, connection: Connection, names: Names) -> Obstacle | None:
    account, allowed = connection.user, values.get("AllowUsers") or ()
    for pattern in values.get("DenyUsers") or ():
        if _is_user(connection, pattern, names):
            return Obstacle("DenyUsers", f"DenyUsers holds {account}")
    if allowed and not any(_is_user(connection, pattern, names) for pattern in allowed):
        return Obstacle("AllowUsers", f"AllowUsers does not hold {account}{_commas(allowed, str(account))}")
    return None


def _is_user(connection: Connection, pattern: str, names: Names) -> bool:
    """Tell whether USER or USER@HOST is who connects: match.c, match_user; only the hosts are a list with commas."""
    user, at, hosts = pattern.partition("@")
    if not match.fits(connection.user or "", user):
        return False
    by_address = match.in_addresses(connection.addr, hosts, names) if at else 1
    by_name = match.in_patterns((connection.host or "").lower(), hosts.lower()) if at else 1
    return min(by_address, by_name) >= 0 and max(by_address, by_name) == 1


def _commas(patterns: Sequence[str], name: str) -> str:
    """Return a hint (str) where ``name`` stands in a list with commas, which sshd takes for one name."""
    listed = next((one for one in patterns if any(match.fits(name, item) for item in one.split(",")[:-1])), None)
    listed = listed or next((one for one in patterns if "," in one and match.fits(name, one.split(",")[-1])), None)
    return f": sshd takes {listed!r} for one name, for only spaces separate names here" if listed else ""


def _group_lists(values: Values, account: str, groups: Sequence[str]) -> Obstacle | None:
    denied, allowed = values.get("DenyGroups") or (), values.get("AllowGroups") or ()
    for pattern in denied:
        if any(match.fits(group, pattern) for group in groups):
            return Obstacle("DenyGroups", f"DenyGroups holds a group of {account}")
    if allowed and not any(match.fits(group, pattern) for group in groups for pattern in allowed):
        hint = next(filter(None, (_commas(allowed, group) for group in groups)), "")
        return Obstacle("AllowGroups", f"AllowGroups holds no group of {account}{hint}")
    return None


def _root(values: Values, account: str) -> Obstacle | None:
    if values.get("PermitRootLogin") == "no":
        return Obstacle("PermitRootLogin", f"PermitRootLogin no keeps {account} out")
    return None
