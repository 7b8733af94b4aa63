"""
What sshd makes of a tree: its passes over the lines, which of several lines decides, and what it would refuse.

Match is read in two passes: once for the global part when the daemon starts, once for each connection.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping, Sequence

from sshtrail_lib.sshd import keywords, match, network, values
from sshtrail_lib.sshd.daemon import (
    ARGV_SINCE,
    ARRAYS_SINCE,
    LONE_NONE_SINCE,
    Arguments,
    BadValue,
    Daemon,
    OnlySshdKnows,
    Release,
)
from sshtrail_lib.sshd.include import MAX_DEPTH, Tree
from sshtrail_lib.sshd.keywords import Keyword
from sshtrail_lib.sshd.language import ConfigError, Line, Problem, decode, problem
from sshtrail_lib.sshd.match import Connection


class Setting(typing.NamedTuple):
    """
    One line that sets a keyword while sshd reads.

    file, line
        The file (str), and the Line in it.
    criteria
        Those of the Match block that it is in (criteria), None for the global part.
    head
        Where the outermost of these blocks begins: the file (str) and the Line that includes all else, or None.
    """

    file: str
    line: Line
    criteria: match.Criteria | None = None
    head: tuple[str, Line] | None = None

    @property
    def where(self) -> tuple[str, int]:
        """``(file, line number)``."""
        return self.file, self.line.number

    @property
    def keyword(self) -> Keyword:
        """The Keyword that it sets."""
        assert self.line.keyword, "a line without a keyword sets nothing"
        return self.line.keyword


class _Pass:
    """One of sshd's passes over a tree, and where it is in it."""

    def __init__(self, tree: Tree, connection: Connection | None) -> None:
        self.tree, self.connection, self.active = tree, connection, connection is None
        self.settings: list[Setting] = []
        self.problems: list[Problem] = list(tree.problems) if connection is None else []
        self.criteria: match.Criteria | None = None
        #: Those of the Match block that includes the file.
        self.outer: match.Criteria = ()
        self.head: tuple[str, Line] | None = None
        self.blocks: list[Block] = []


#: A Match block that a connection meets: its file, the Line that begins it, its criteria.
Block = tuple[str, Line, match.Criteria]


def blocks(tree: Tree, connection: Connection | None) -> list[Block]:
    """Return the Match blocks that ``connection`` (Connection) meets: a list of ``(file, Line, criteria)``."""
    settings(tree, connection)
    return tree.answers["blocks", connection]


def settings(tree: Tree, connection: Connection | None = None) -> tuple[list[Setting], list[Problem]]:
    """
    Return the settings that count for one pass, in sshd's order (list of Setting), and the problems.

    connection
        None for the pass in which sshd starts, or the Connection whose Match blocks count: then only the lines
        of the Match blocks that it meets are returned.
    """
    key = "settings", connection
    if key not in tree.answers:
        run = _Pass(tree, connection)
        _read(run, tree.path, connection is not None, False, 0)
        tree.answers[key] = run.settings, run.problems
        tree.answers["blocks", connection] = run.blocks
    return tree.answers[key]


def _read(run: _Pass, path: str, match_only: bool, never: bool, depth: int) -> None:
    """``match_only`` and ``never`` are sshd's SSHCFG_MATCH_ONLY and SSHCFG_NEVERMATCH."""
    for line in run.tree.files.get(path, ()):
        if line.problem:
            run.problems.append(problem(path, line, line.problem))
        elif line.name == "Match":
            run.active = _enter(run, path, line) and not never
            match_only = False
            if run.active and run.criteria:
                run.blocks.append((path, line, run.criteria))
        elif line.name == "Include":
            _read_included(run, path, line, match_only, never, depth)
        elif line.keyword:
            _set(run, path, line, line.keyword)


def _enter(run: _Pass, path: str, line: Line) -> bool:
    daemon = run.tree.daemon
    try:
        own = match.parse(line.arguments.words, daemon)
    except match.BadCriteria as exc:
        run.problems.append(problem(path, line, str(exc)))
        return False
    run.criteria = match.both(run.outer, own)
    run.head = run.head if run.outer else (path, line)
    return match.meets(own, run.connection, daemon)


def _read_included(run: _Pass, path: str, line: Line, match_only: bool, never: bool, depth: int) -> None:
    if not line.arguments.words or "" in line.arguments.words[:1]:
        run.problems.append(problem(path, line, "Include needs a file name"))
    if depth >= MAX_DEPTH and any(run.tree.includes.get((path, line.number), ())):
        run.problems.append(problem(path, line, f"Include goes deeper than {MAX_DEPTH} files"))
        return
    active, criteria, outer, head = run.active, run.criteria, run.outer, run.head
    run.outer = criteria or ()
    for included in (name for group in run.tree.includes.get((path, line.number), ()) for name in group):
        _read(run, included, match_only, not match_only and (never or not active), depth + 1)
        run.active, run.criteria, run.head = active, criteria, head
    run.outer = outer


def match_lines(tree: Tree, name: str) -> Iterator[tuple[match.Criteria, str, Line]]:
    """
    Yield ``(criteria, file, Line)`` for each line with the keyword ``name`` (str) in a Match block of ``tree`` (Tree),
    met or not. A file that a block includes is in that block. Raises ConfigError when sshd would refuse the tree.
    """
    effective(tree)
    if "match lines" not in tree.answers:
        found: dict[str, list[tuple[match.Criteria, str, Line]]] = {}
        for one in _match_lines(tree, tree.path, (), 0):
            found.setdefault(one[2].name, []).append(one)
        tree.answers["match lines"] = found
    yield from tree.answers["match lines"].get(name, ())


def _match_lines(
    tree: Tree, path: str, outer: match.Criteria, depth: int
) -> Iterator[tuple[match.Criteria, str, Line]]:
    criteria = outer
    for line in tree.files.get(path, ()) if depth <= MAX_DEPTH else ():
        if line.name == "Match":
            criteria = match.both(outer, match.parse(line.arguments.words, tree.daemon))
        elif line.name == "Include":
            for included in (one for group in tree.includes.get((path, line.number), ()) for one in group):
                yield from _match_lines(tree, included, criteria, depth + 1)
        elif line.keyword and criteria:
            yield criteria, path, line


def _set(run: _Pass, path: str, line: Line, keyword: Keyword) -> None:
    if run.connection is None:
        _check(run, path, line, keyword)
    if line.name == "AuthenticationMethods":
        _check_any(run, path, line)
    # Some releases let a list without items pass, and go on as if the line were not there.
    if run.active and (line.arguments.words or keyword.kind not in _MAY_BE_EMPTY):
        run.settings.append(Setting(path, line, run.criteria, run.head))


_MAY_BE_EMPTY = frozenset(["users", "words", "accept", "setenv", "keyfiles"])


def _check_any(run: _Pass, path: str, line: Line) -> None:
    """Some releases look for a lone "any" not on its line but among all lines so far, whatever Match they are in."""
    earlier = any(setting.line.name == line.name for setting in run.settings)
    if earlier and "any" in line.arguments.words and ARGV_SINCE <= run.tree.daemon.release < ARRAYS_SINCE:
        run.problems.append(problem(path, line, "AuthenticationMethods any cannot follow other AuthenticationMethods"))


def _check(run: _Pass, path: str, line: Line, keyword: Keyword) -> None:
    if not run.active and not keyword.in_match:
        run.problems.append(problem(path, line, f"{line.name} is not allowed in a Match block"))
        return
    if not run.active and run.tree.daemon.release < ARGV_SINCE and line.name in _UNCHECKED_IN_MATCH:
        return
    try:
        if not values.unsupported(keyword, run.tree.daemon):
            values.check(keyword, line.arguments, run.tree.daemon)
    except BadValue as exc:
        run.problems.append(problem(path, line, f"{line.name} {exc}", _column(line, exc.position)))
    except OnlySshdKnows:
        # Without an sshd nobody can tell; a preview on a host that has none yet.
        return


# Before 8.7 these were looked at only where they counted.
_UNCHECKED_IN_MATCH = frozenset(
    ["AuthorizedKeysFile", "AuthorizedKeysCommand", "AuthorizedPrincipalsCommand", "VersionAddendum"]
)


def _column(line: Line, position: int) -> int:
    text = decode(line.raw)
    words = line.arguments.words
    after = text.find(line.word) + len(line.word)
    for word in words[: position + 1]:
        found = text.find(word, after)
        if found < 0:
            break
        after, column = found + len(word), found + 1
    return column if words and found >= 0 else line.column


class Effective(typing.NamedTuple):
    """
    What one keyword means in the end.

    value
        As ``sshd -T`` spells it (str, or a list of str where it prints one line for each item), or None.
    deciding
        The settings that decide it (tuple of Setting); empty for sshd's default.
    shadowed
        The settings that have no effect because others decide (tuple of Setting).
    """

    value: typing.Any
    deciding: tuple[Setting, ...] = ()
    shadowed: tuple[Setting, ...] = ()

    @property
    def default(self) -> bool:
        """True when no line decides: the value is sshd's default."""
        return not self.deciding


def effective(tree: Tree, connection: Connection | None = None) -> dict[str, Effective]:
    """
    Return what every keyword means: ``{canonical keyword: Effective}``; sshd's defaults included.

    tree
        The Tree.
    connection
        The Connection to answer for; an empty one is what ``sshd -T`` without ``-C`` answers for. None is for the
        daemon itself, before there is any connection.

    Raises ConfigError with all problems when sshd would refuse the configuration.
    """
    key = "effective", connection
    if key not in tree.answers:
        try:
            tree.answers[key] = _effective(tree, connection)
        except ConfigError as exc:
            exc.tree = tree
            raise
    return tree.answers[key]


def _effective(tree: Tree, connection: Connection | None) -> dict[str, Effective]:
    first, problems = settings(tree)
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    second, problems = settings(tree, connection) if connection else ([], [])
    if problems:
        raise ConfigError("\n".join(map(str, problems)))
    result = {name: Effective(_printed(name, lines)) for name, lines in tree.daemon.defaults.items() if lines}
    named = [_by_name(one, tree.daemon.release) for one in (first, second)]
    for name in dict.fromkeys([*named[0], *named[1]]):
        ours = [one.get(name, []) for one in named]
        if any(ours):
            _decide(result, tree, name, *ours)
    if tree.daemon.release < _ONE_KEYWORD_SINCE:
        _challenge_response(result, second)
    _endpoints(result, tree)
    return result


def _by_name(settings_of_pass: Sequence[Setting], release: Release) -> dict[str, list[Setting]]:
    """Return ``{keyword: the settings of one pass that bear on it}``."""
    found: dict[str, list[Setting]] = {}
    for setting in settings_of_pass:
        found.setdefault(setting.line.name, []).append(setting)
    # These releases look at AuthorizedKeysCommand to see whether this one is set already: until it is, the last wins.
    if "AuthorizedPrincipalsCommand" in found and principals_lead(release):
        names = [setting.line.name for setting in settings_of_pass]
        end = names.index("AuthorizedKeysCommand") if "AuthorizedKeysCommand" in names else len(names)
        early = [one for one in settings_of_pass[:end] if one.line.name == "AuthorizedPrincipalsCommand"]
        found["AuthorizedPrincipalsCommand"] = early[-1:]
    return found


def principals_lead(release: Release) -> bool:
    """Return whether ``release`` takes AuthorizedPrincipalsCommand only before any AuthorizedKeysCommand (bool)."""
    return ARGV_SINCE <= release < (9, 4)


def _decide(result: dict[str, Effective], tree: Tree, name: str, first: list[Setting], second: list[Setting]) -> None:
    keyword = (first or second)[0].keyword
    if keyword.kind == "ignored" or values.unsupported(keyword, tree.daemon):
        return
    deciding = _deciding(keyword, first, second, tree.daemon.release)
    if not deciding:
        return
    try:
        lines = _spell(keyword, deciding, first, second, tree.daemon)
    except BadValue as exc:
        raise _refusal(deciding[-1], f"{name} {exc}") from exc
    except OnlySshdKnows:
        lines = [" ".join(setting.line.arguments.words) for setting in deciding]
    shadowed = tuple(setting for setting in [*first, *second] if setting not in deciding)
    result[name] = Effective(_printed(name, lines), tuple(deciding), shadowed)


# ChallengeResponseAuthentication and KbdInteractiveAuthentication became one keyword.
_ONE_KEYWORD_SINCE = (8, 7)


def _challenge_response(result: dict[str, Effective], second: list[Setting]) -> None:
    """Two keywords for one thing: ``ChallengeResponseAuthentication yes`` turned on the other one."""
    challenge, interactive = (
        result.get(name, Effective("yes"))
        for name in ("ChallengeResponseAuthentication", "KbdInteractiveAuthentication")
    )
    if any(setting in second for setting in interactive.deciding):
        return
    if challenge.value == "yes" or not interactive.deciding:
        result["KbdInteractiveAuthentication"] = Effective(challenge.value, challenge.deciding, interactive.deciding)


def _not_copied(release: Release) -> tuple[str, ...]:
    """Keywords that sshd reads in a Match block, and never uses for the connection."""
    return ("PAMServiceName", "SetEnv") if release < (8, 5) else ("PAMServiceName",)


def _deciding(keyword: Keyword, first: list[Setting], second: list[Setting], release: Release) -> list[Setting]:
    """Return those settings of the two passes that decide ``keyword``, in sshd's order."""
    # An alias can be narrower than its keyword: DSAAuthentication does nothing in a Match block.
    usable = [setting for setting in second if setting.keyword.in_match]
    second = [] if keyword.name in _not_copied(release) else usable
    if keyword.kind == "rekey":
        return [*second, *first]
    return values.counting(keyword, second or first)


def _spell(
    keyword: Keyword, deciding: list[Setting], first: list[Setting], second: list[Setting], daemon: Daemon
) -> list[str]:
    if keyword.kind == "startups" and keyword.repeat == keywords.LAST:
        # A line that gives one number leaves the rate that an earlier line set.
        deciding = first
    arguments = [setting.line.arguments for setting in deciding]
    return spelled(keyword, arguments, daemon, in_match=deciding[0] in second)


def spelled(keyword: Keyword, occurrences: Sequence[Arguments], daemon: Daemon, in_match: bool = False) -> list[str]:
    """
    Return the lines that ``sshd -T`` prints for ``occurrences`` of ``keyword`` in the global part, or in a Match block.

    Arguments and errors as for :func:`sshtrail_lib.sshd.values.spell`.
    """
    lines = values.spell(keyword, occurrences, daemon)
    if not in_match and keyword.name in _cleared(daemon.release) and [line.lower() for line in lines] == ["none"]:
        return _unset(keyword, daemon)
    return lines


def _cleared(release: Release) -> tuple[str, ...]:
    """Keywords whose "none", outside of Match, empties a list; and then sshd prints what it prints for an unset one."""
    return (
        ("ChannelTimeout", "RevokedKeys", "AuthorizedKeysFile") if release >= LONE_NONE_SINCE else ("ChannelTimeout",)
    )


def _unset(keyword: Keyword, daemon: Daemon) -> list[str]:
    return [] if keyword.name == "AuthorizedKeysFile" else list(daemon.defaults.get(keyword.name, []))


def _printed(name: str, lines: Sequence[str]) -> list[str] | str | None:
    keyword = keywords.KEYWORDS.get(name.lower())
    return list(lines) if keyword and keywords.is_list(keyword) else lines[0] if lines else None


def _endpoints(result: dict[str, Effective], tree: Tree) -> None:
    """ListenAddress without a port means every Port; without a ListenAddress sshd listens on the wildcard."""
    if not {"Port", "ListenAddress", "AddressFamily"} & {name for name, found in result.items() if found.deciding}:
        return
    ports = [int(port) for port in result["Port"].value] if "Port" in result else [22]
    family = result["AddressFamily"].value if "AddressFamily" in result else "any"
    listen = result.get("ListenAddress", Effective(None))
    names = tree.daemon.names
    addresses = [network.listen_address(setting.line.arguments, names) for setting in listen.deciding]
    for setting, address in zip(listen.deciding, addresses, strict=True):
        try:
            network.endpoints([address], ports, family, names)
        except BadValue as exc:
            raise _refusal(setting, f"ListenAddress {exc}") from exc
    result["ListenAddress"] = listen._replace(value=network.endpoints(addresses, ports, family, names))


def _refusal(setting: Setting, reason: str) -> ConfigError:
    """Return what to raise for the line of a ``setting`` that sshd refuses together with others."""
    found = problem(setting.file, setting.line, reason)
    exc = ConfigError(str(found))
    exc.problem = found
    return exc


def problems(tree: Tree) -> list[Problem]:
    """
    Return everything for which sshd would refuse ``tree`` (list of Problem), as far as it can be told without sshd.
    """
    found = settings(tree)[1]
    return found or _contradictions(tree)


def _contradictions(tree: Tree) -> list[Problem]:
    try:
        found = effective(tree)
    except ConfigError as exc:
        return [exc.problem or Problem(tree.path, 0, 0, "", exc.message)]
    return [*_without_user(found), *_unsatisfiable(found)]


def _without_user(found: Mapping[str, Effective]) -> list[Problem]:
    problems_found = []
    for name in ("AuthorizedKeysCommand", "AuthorizedPrincipalsCommand"):
        command, user = found.get(name), found.get(f"{name}User")
        if command and command.deciding and command.value != "none" and not (user and user.deciding):
            setting = command.deciding[0]
            problems_found.append(problem(setting.file, setting.line, f"{name} needs {name}User"))
    return problems_found


_ENABLED_BY = {
    "publickey": "PubkeyAuthentication",
    "password": "PasswordAuthentication",
    "keyboard-interactive": "KbdInteractiveAuthentication",
    "hostbased": "HostbasedAuthentication",
    "gssapi-with-mic": "GSSAPIAuthentication",
    "gssapi-keyex": "GSSAPIAuthentication",
}


def _unsatisfiable(found: Mapping[str, Effective]) -> list[Problem]:
    methods = found.get("AuthenticationMethods")
    if not methods or not methods.deciding or methods.value == "any":
        return []
    for methods_in_turn in methods.value.split(" "):
        # "none" is no method that can be turned off.
        needed = [
            _ENABLED_BY[name]
            for method in methods_in_turn.split(",")
            if (name := method.partition(":")[0]) in _ENABLED_BY
        ]
        if all(one in found and found[one].value == "yes" for one in needed):
            return []
    setting = methods.deciding[0]
    return [problem(setting.file, setting.line, "AuthenticationMethods cannot be met by the methods that are enabled")]
