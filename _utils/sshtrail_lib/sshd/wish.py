"""
What one keyword should be, and whether a tree makes it so.
"""

from __future__ import annotations

import difflib
import re
import typing
from collections.abc import Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base.text import HALF
from sshtrail_lib.sshd import effective as sshd_effective
from sshtrail_lib.sshd import keywords, language, values
from sshtrail_lib.sshd import match as sshd_match
from sshtrail_lib.sshd import members as sshd_members
from sshtrail_lib.sshd.daemon import ARGV_SINCE, Arguments, BadValue, Daemon, Names, OnlySshdKnows
from sshtrail_lib.sshd.effective import Effective, Setting
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.keywords import Keyword
from sshtrail_lib.sshd.match import Connection, Criteria


class BadWish(SaltInvocationError):
    """What was asked for cannot be: an unknown keyword, an impossible value, a global keyword in a Match block."""


class Wish(typing.NamedTuple):
    """
    What one keyword should be.

    keyword
        The Keyword.
    occurrences
        The Arguments of each line that says so (tuple); None for sshd's default.
    criteria
        The criteria of the Match block that it belongs to (see :func:`sshtrail_lib.sshd.match.parse`), None for global.
    exact
        For a list: True for exactly these items, False for at least these.
    connection
        A connection for which the wish should hold.
    others
        The criteria of Match blocks for which another wish with the same keyword comes first.
    """

    keyword: Keyword
    occurrences: tuple[Arguments, ...] | None
    criteria: Criteria | None = None
    exact: bool = True
    connection: Connection = Connection()
    others: tuple[Criteria, ...] = ()

    @property
    def key(self) -> str:
        """What names this wish in ``changes`` (str)."""
        if self.criteria is None:
            return self.keyword.name
        return f"{self.keyword.name} (Match {sshd_match.text(self.criteria)})"

    @property
    def place(self) -> tuple[str, frozenset | None]:
        """What two wishes share that are about the same keyword of the same part (tuple)."""
        return self.keyword.name, None if self.criteria is None else sshd_match.canonical(self.criteria)


def wish(name: str, value: typing.Any, daemon: Daemon, match: str | None = None, exact: bool = True) -> Wish:
    """
    Return the Wish that ``name`` (keyword, str) has ``value``; raises BadWish when that cannot be.

    value
        A str, an int, a bool (yes or no), a list of those, or None for sshd's default; for Subsystem also a mapping.
    daemon
        The sshd that is to read it (Daemon).
    match
        The criteria of a Match block as written after Match (str), or None for the global part.
    exact
        See Wish.
    """
    keyword = _keyword(name, daemon)
    criteria = None if match is None else _criteria(match, daemon)
    if criteria is not None and not keyword.in_match:
        raise BadWish(f"{keyword.name} is not allowed in a Match block: it is for the whole daemon")
    connection = sshd_match.sample(criteria or (), daemon.names)
    if value is None:
        return Wish(keyword, None, criteria, exact, connection)
    _check_held(criteria or ())
    occurrences = _occurrences(keyword, value, daemon)
    if keyword.kind == "rekey" and criteria is not None and occurrences[0].words[1:] in ((), ("none",)):
        # In a Match block what is left out, or none, is not sshd's default but the global value.
        occurrences = (Arguments((*occurrences[0].words[:1], "0")),)
    _check(keyword, occurrences, daemon)
    return Wish(keyword, occurrences, criteria, exact, connection)


def _check(keyword: Keyword, occurrences: tuple[Arguments, ...], daemon: Daemon) -> None:
    try:
        values.spell(keyword, occurrences, daemon)
        for arguments in occurrences:
            values.check(keyword, arguments, daemon)
            language.render(keyword.name, keyword, arguments, daemon)
    except BadValue as exc:
        raise BadWish(f"{keyword.name} {exc}") from exc
    except OnlySshdKnows:
        # There is no sshd yet; the one that comes will judge.
        return


def _keyword(name: typing.Any, daemon: Daemon) -> Keyword:
    if not isinstance(name, str) or not name:
        raise BadWish(f"A keyword of sshd_config is a word, not {name!r}")
    keyword = keywords.find(name, daemon.release, daemon.defaults)
    if keyword is None or keyword.kind in ("match", "include", "ignored", "refused"):
        near = difflib.get_close_matches(name, keywords.names(daemon.release, daemon.defaults), n=1)
        hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
        raise BadWish(f"{keywords.called(daemon.release)} does not have the keyword {name!r} as a setting{hint}")
    if values.unsupported(keyword, daemon):
        raise BadWish(f"This build of sshd ignores {keyword.name}: it was built without support for it")
    return keyword


#: What can be on no line, or in no file.
_NO_LINE = f"[\n\r\0{HALF}]"


def _criteria(match: typing.Any, daemon: Daemon) -> Criteria:
    if not isinstance(match, str) or re.search(_NO_LINE, match):
        raise BadWish(f"match takes the criteria of one Match line, such as 'User bob', not {match!r}")
    line = language.parse_line(f"Match {match}".encode(), 1, daemon.release, frozenset(daemon.defaults))
    try:
        if line.problem:
            raise BadWish(f"match: {line.problem}")
        return sshd_match.parse(line.arguments.words, daemon)
    except sshd_match.BadCriteria as exc:
        raise BadWish(f"match: {exc}") from exc


def _check_held(criteria: Criteria) -> None:
    """Raise BadWish where nobody meets ``criteria``: of a list that only excludes sshd takes nobody."""
    for name, pattern in criteria:
        if pattern and all(item.startswith("!") for item in pattern.split(",")):
            told = f"{sshd_match.spelling(name)} {pattern}"
            raise BadWish(f"match: nobody meets {told!r}, which only excludes; *,{pattern} is all others")


#: From here on YAML 1.1 makes a number of START:RATE:FULL, as of hours, minutes and seconds.
_AN_HOUR = 3600
_WORDS = ("setenv", "keyfiles", "methods", "opens", "listens", "timeouts", "words_none", "qos", "rekey")
#: Kinds of keywords whose one line is a list.
LISTS_ON_A_LINE = ("setenv", "keyfiles", "opens", "listens", "timeouts", "words_none")
_MANY_WORDS = (*_WORDS, "pubkeyoptions", "revoked", "opaque", "subsystem")


def _occurrences(keyword: Keyword, value: typing.Any, daemon: Daemon) -> tuple[Arguments, ...]:
    if keyword.kind == "subsystem" and hasattr(value, "items"):
        value = [f"{name} {_text(keyword, command)}" for name, command in value.items()]
    items = [_text(keyword, item) for item in (value if isinstance(value, (list, tuple)) else [value])]
    if not items:
        raise BadWish(f"{keyword.name} takes at least one value; for none, null in a policy, or the state absent")
    if keywords.is_list(keyword) and keyword.kind != "setenv":
        split = items if isinstance(value, (list, tuple)) else _split(keyword, items[0], daemon)
        return tuple(_arguments(keyword, item, daemon) for item in split)
    if isinstance(value, (list, tuple)):
        if keyword.kind not in _MANY_WORDS and len(items) > 1:
            raise BadWish(f"{keyword.name} takes one value, not the list {list(value)!r}")
        words = tuple(items) if keyword.kind in _MANY_WORDS else (items[0],)
        return (Arguments(words, items[0]),)
    return (_arguments(keyword, items[0], daemon),)


def _split(keyword: Keyword, text: str, daemon: Daemon) -> list[str]:
    """A plain string for a list keyword is a line as one would write it."""
    if keyword.kind not in ("users", "words", "accept"):
        return [text]
    return list(_words(keyword, text, daemon))


def _arguments(keyword: Keyword, text: str, daemon: Daemon) -> Arguments:
    if keyword.kind in language.RAW:
        return Arguments((text,), text)
    several = keyword.kind in (*_MANY_WORDS, "listen")
    return Arguments(_words(keyword, text, daemon) if several else (text,), text)


def _words(keyword: Keyword, text: str, daemon: Daemon) -> tuple[str, ...]:
    try:
        if daemon.release >= ARGV_SINCE:
            return language.words_quoted(text)[0]
        return language.words_delimited(text, equals=keyword.name != "SetEnv")
    except BadValue as exc:
        raise BadWish(f"{keyword.name}: {exc} in {text!r}") from exc


def _text(keyword: Keyword, item: typing.Any) -> str:
    if isinstance(item, bool):
        return "yes" if item else "no"
    if not isinstance(item, (str, int)):
        hint = "; in quotes it is text" if isinstance(item, float) else ""
        raise BadWish(f"{keyword.name} takes text, numbers or lists of them, not {item!r}{hint}")
    if keyword.kind == "startups" and isinstance(item, int) and item >= _AN_HOUR:
        minutes, seconds = divmod(item, 60)
        meant = ":".join(map(str, (*divmod(minutes, 60), seconds)))
        raise BadWish(
            f"{keyword.name} takes START or START:RATE:FULL, not {item}, which YAML makes of {meant}: quote it"
        )
    text = str(item).strip(" \t")
    if not text or re.search(_NO_LINE, text):
        raise BadWish(f"{keyword.name} takes a value on one line, not {item!r}")
    if keyword.kind == "mask" and not re.fullmatch("[0-7]+", text):
        # sshd takes what stands before the first other character: of 0o177 the 0, with which a socket is open to all.
        raise BadWish(f"{keyword.name} takes an octal mask up to 0777, not {text!r}")
    return text


def wishes(config: typing.Any, matches: typing.Any, daemon: Daemon, exact: bool = True) -> list[Wish]:
    """
    Return the wishes (list of Wish) that a mapping of keywords and one of Match blocks make.

    config
        ``{keyword: value}`` of the global part; None as a value is sshd's default (dict or None).
    matches
        A list of ``{criteria: {keyword: value}}``, one for each Match block (or None).
    daemon, exact
        As for :func:`wish`.

    Raises SaltInvocationError when they cannot be, or are none.
    """
    found: list[Wish] = []
    for match, config_of_match in blocks(config, matches):
        if not hasattr(config_of_match, "items"):
            raise SaltInvocationError(
                f"{match or 'config'} takes a mapping of keywords to values, not {config_of_match!r}"
            )
        found += [wish(name, value, daemon, match, exact) for name, value in config_of_match.items()]
    if not found:
        raise SaltInvocationError("There is nothing to do: give config or matches")
    _distinct(found)
    return [ranked(one, found, daemon) for one in found]


def ranked(wanted: Wish, wishes: Sequence[Wish], daemon: Daemon) -> Wish:
    """
    Return ``wanted`` (Wish) with the others that come first for those whom both are about: one for fewer people comes
    before one for more, and otherwise the order of ``wishes`` is that of their blocks.
    """
    same = [one for one in wishes if one.keyword.name == wanted.keyword.name and one.criteria is not None]
    if wanted.criteria is None:
        return wanted._replace(others=tuple(one.criteria for one in same if one.criteria is not None))
    place = same.index(wanted)
    # What asks for nothing takes nobody away.
    rest = [(number, one) for number, one in enumerate(same) if number != place and one.occurrences is not None]
    first = (one for number, one in rest if _precedes(one, wanted, number < place, daemon))
    others = tuple(one.criteria for one in first if one.criteria is not None)
    left = sshd_members.example((wanted.criteria,), daemon, others) if others else None
    connection = left._replace(criteria=wanted.criteria) if left else wanted.connection
    return wanted._replace(others=others, connection=connection)


def _precedes(one: Wish, other: Wish, earlier: bool, daemon: Daemon) -> bool:
    pairs = ((one.criteria or (), other.criteria or ()), (other.criteria or (), one.criteria or ()))
    inner, outer = (sshd_members.within(*pair, daemon) for pair in pairs)
    return earlier if inner == outer else inner


def blocks(config: typing.Any, matches: typing.Any) -> list[tuple[str | None, typing.Any]]:
    """
    Return what is asked for of each part: pairs of the criteria of a Match block (str, None for the global part) and
    what ``config`` and ``matches`` (as for :func:`wishes`) have for it.
    """
    told = [] if matches is None else [matches] if hasattr(matches, "items") else matches
    if not isinstance(told, (list, tuple)) or not all(hasattr(block, "items") for block in told):
        raise SaltInvocationError(f"matches takes a list of {{criteria: {{keyword: value}}}}, not {matches!r}")
    if any(match is None for block in told for match in block):
        raise SaltInvocationError("matches takes the criteria of Match blocks; what is for all belongs into config")
    return [(None, config or {}), *(pair for block in told for pair in block.items())]


def _distinct(wishes: Sequence[Wish]) -> None:
    """Raise BadWish when two of ``wishes`` (list of Wish) are about the same keyword in the same place."""
    seen = set()
    for wanted in wishes:
        if wanted.place in seen:
            raise BadWish(f"{wanted.key} is asked for twice (keywords know no case, and some have two names)")
        seen.add(wanted.place)


def value_of(wanted: Wish, daemon: Daemon) -> typing.Any:
    """Return the value that ``wanted`` (Wish) promises, as ``sshd -T`` spells it (str, list, or None)."""
    keyword, name = wanted.keyword, wanted.keyword.name
    listed = keywords.is_list(keyword)
    if wanted.occurrences is None:
        lines = [] if wanted.criteria is not None else list(daemon.defaults.get(name, []))
    else:
        try:
            lines = sshd_effective.spelled(keyword, list(wanted.occurrences), daemon, wanted.criteria is not None)
        except OnlySshdKnows:
            lines = [" ".join(arguments.words) for arguments in wanted.occurrences]
    return (list(lines) or None) if listed else lines[0] if lines else None


def members(wanted: Wish, tree: Tree) -> list[Connection]:
    """Return those for whom ``wanted`` (Wish) is to hold in ``tree`` (list of Connection), its own connection first."""
    found = sshd_members.of(tree, wanted.keyword, wanted.criteria, wanted.connection, wanted.others)
    if wanted.criteria is not None or wanted.occurrences is None:
        return found
    rest = sshd_members.together(tree, wanted.keyword, wanted.others)
    # What is true for some of them only, the others are exceptions from.
    return [*found, *(() if any(holds_for(wanted, tree, one) for one in rest) else rest)]


def current(wanted: Wish, tree: Tree, member: Connection | None = None) -> typing.Any:
    """
    Return the value that ``tree`` gives to the keyword of ``wanted`` (Wish) now, None where no line does. Where its
    members have different values, it is one that differs from what is wanted, or that of ``member`` (Connection).
    """
    return _current(wanted._replace(criteria=_block(wanted)), tree, member or failing(wanted, tree))


def failing(wanted: Wish, tree: Tree) -> Connection:
    """Return the first member of ``wanted`` (Wish) for whom it is not true in ``tree``, else its own (Connection)."""
    found = members(wanted, tree) if wanted.occurrences is not None else []
    return next((one for one in found if not holds_for(wanted, tree, one)), wanted.connection)


def at_least(wanted: Wish) -> bool:
    """Return whether ``wanted`` (Wish) asks for some items of a list, whatever else is on it."""
    listed = wanted.keyword.repeat == keywords.ACCUMULATE or wanted.keyword.kind in LISTS_ON_A_LINE
    return listed and not wanted.exact and wanted.occurrences is not None


def _block(wanted: Wish) -> Criteria | None:
    """Return the criteria of the block that has to say it; of what is wanted at least, any may."""
    return None if at_least(wanted) else wanted.criteria


def _current(wanted: Wish, tree: Tree, connection: Connection) -> typing.Any:
    found = sshd_effective.effective(tree, connection).get(wanted.keyword.name)
    if found is None or (wanted.criteria is not None and not _said(found, wanted, tree.daemon)):
        return None
    if wanted.criteria is not None and wanted.keyword.kind in SETS:
        # What two blocks say for the same people is no other list.
        return list(dict.fromkeys(found.value or [])) or None
    return _as_written(found, wanted, tree.daemon.names) if wanted.keyword.kind == "listen" else found.value


#: Kinds of lists in which an item that is there twice means nothing.
SETS = ("users", "words", "accept")


def _said(found: Effective, wanted: Wish, daemon: Daemon) -> bool:
    """
    Whether the block of ``wanted`` says the value: it decides; or it has a line, and another block decides that it is
    as wanted. The blocks that a connection meets add to one list.
    """
    if wanted.keyword.kind in SETS:
        return any(ours([one], wanted) for one in found.deciding)
    if ours(_leading(found, wanted), wanted):
        return True
    return any(ours([one], wanted) for one in found.shadowed) and found.value == value_of(wanted, daemon)


def _leading(found: Effective, wanted: Wish) -> tuple[Setting, ...]:
    """Of a value that is decided in parts, the line that says the first part stands for the rest."""
    return found.deciding[:1] if wanted.keyword.repeat == keywords.MERGE else found.deciding


def says_so(wanted: Wish, tree: Tree) -> bool:
    """
    Return whether the Match block of ``wanted`` (Wish) in ``tree`` (Tree) says what is wanted. Who has the value from a
    line of another block has it all the same: two states whose lines say the same would else go before each other for
    ever.
    """
    lines = [one.line.arguments for one in lines_of(wanted, tree)]
    if not lines or keywords.is_list(wanted.keyword):
        return bool(lines)
    there = wanted._replace(occurrences=tuple(values.counting(wanted.keyword, lines)))
    return value_of(there, tree.daemon) == value_of(wanted, tree.daemon)


def ours(deciding: Sequence[Setting], wanted: Wish) -> bool:
    """Return whether all of ``deciding`` (any sequence of Setting) stand in a Match block as ``wanted`` asks for."""
    criteria = sshd_match.canonical(wanted.criteria or ())
    return bool(deciding) and all(
        setting.criteria is not None and sshd_match.canonical(setting.criteria) == criteria for setting in deciding
    )


def _as_written(found: Effective, wanted: Wish, names: Names) -> typing.Any:
    """ListenAddress without a port depends on Port; what is asked for and what is there are compared as written."""
    if wanted.occurrences is None or not found.deciding:
        return found.value
    arguments = [setting.line.arguments for setting in found.deciding]
    return values.spell(wanted.keyword, arguments, Daemon(names=names))


def holds(wanted: Wish, tree: Tree) -> bool:
    """Return whether ``wanted`` (Wish) is true in ``tree``, for all whom it is about."""
    return all(holds_for(wanted, tree, one) for one in members(wanted, tree))


def holds_for(wanted: Wish, tree: Tree, connection: Connection) -> bool:
    """Return whether ``wanted`` (Wish) is true in ``tree`` for one whom it is about (Connection)."""
    if wanted.occurrences is None:
        return not lines_of(wanted._replace(connection=connection), tree)
    if connection == wanted.connection and _block(wanted) is not None and not says_so(wanted, tree):
        return False
    # For nobody does it matter which block decides.
    now = _current(wanted._replace(criteria=None), tree, connection)
    want = value_of(wanted, tree.daemon)
    if wanted.keyword.kind in LISTS_ON_A_LINE and not wanted.exact:
        return set(items(want)) <= set(items(now)) or (wanted.keyword.kind in _FORWARDS and now == "any")
    if not isinstance(want, list):
        return now == want
    if wanted.exact:
        plain: type = set if wanted.keyword.kind in SETS else list
        return sorted(plain(now or [])) == sorted(plain(want))
    return set(want) <= set(now or [])


def items(value: typing.Any) -> list[str]:
    """Return the items (list of str) of a ``value`` as ``sshd -T`` prints that of a list; none for None."""
    return value if isinstance(value, list) else (value or "").split()


#: Kinds of which "any" holds all there is.
_FORWARDS = ("opens", "listens")
#: Words that stand alone on the line of a list.
_ALONE = {
    **dict.fromkeys(_FORWARDS, ("any", "none")),
    **dict.fromkeys(("keyfiles", "timeouts", "words_none"), ("none",)),
}
#: Kinds whose items are NAME=VALUE, one for each name.
_NAMED = ("setenv", "timeouts")


def joined(keyword: Keyword, there: Sequence[str], wanted: Sequence[str]) -> tuple[str, ...]:
    """
    Return the words of one line that says all of ``wanted`` (sequence of str), and what of ``there`` goes with it.

    keyword
        The Keyword, one whose line is a list.
    """
    alone = _ALONE.get(keyword.kind, ())
    if any(word.lower() in alone for word in wanted):
        return tuple(wanted)
    names = {_name(keyword, word) for word in wanted}
    kept = [word for word in there if word.lower() not in alone and _name(keyword, word) not in names]
    return (*kept, *wanted)


def _name(keyword: Keyword, word: str) -> str:
    return word.partition("=")[0] if keyword.kind in _NAMED else word


def lines_of(wanted: Wish, tree: Tree) -> list[Setting]:
    """Return the settings of the wish's keyword in the wish's part of the configuration, in sshd's order."""
    if wanted.criteria is None:
        found = [setting for setting in sshd_effective.settings(tree)[0] if setting.line.name == wanted.keyword.name]
        second = sshd_effective.settings(tree, wanted.connection)[0]
        extra = [setting for setting in second if setting.line.name == wanted.keyword.name]
        return list({setting.where: setting for setting in [*found, *extra]}.values())
    second = sshd_effective.settings(tree, wanted.connection)[0]
    there = [setting for setting in second if setting.line.name == wanted.keyword.name and ours([setting], wanted)]
    # A line of a file that is included twice is one line.
    return list({setting.where: setting for setting in there}.values())


def predicted(wishes: Sequence[Wish], daemon: Daemon) -> dict[str, dict[str, typing.Any]]:
    """Return the changes that ``wishes`` (list of Wish) make on a host that has no configuration yet."""
    pairs = {wanted.key: value_of(wanted, daemon) for wanted in wishes}
    return {key: {"old": None, "new": value} for key, value in pairs.items() if value is not None}
