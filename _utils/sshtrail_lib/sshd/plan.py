"""
From wishes to the files that make them come true and change nothing else.

Nothing is written here: a plan is the new bytes of the files that have to differ, and what that changes.
"""

from __future__ import annotations

import contextlib
import difflib
import itertools
import posixpath
import re
import types
import typing
from collections.abc import Iterable, Mapping, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.sshd import apart, blocks, edit, effective, keywords, language, match, members, sections, values
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.effective import Effective
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.language import ConfigError, Line, Problem
from sshtrail_lib.sshd.match import Connection, Criteria
from sshtrail_lib.sshd.wish import BadWish, Wish, holds, lines_of

SHADOWED = ("fix", "drop_in", "fail", "own")


class NoEffectError(CommandExecutionError):
    """The edit would not make the wish come true, or would change more than was asked."""


class Plan(typing.NamedTuple):
    """
    What has to be done.

    tree
        The Tree as it is.
    after
        The Tree as it will be.
    files
        ``{path: new bytes}`` of the files that differ, None for one that goes.
    changes
        ``{keyword: {"old": value, "new": value}}``.
    wishes
        What was asked (tuple of Wish).
    base
        The Tree without what an earlier plan changed, None for ``tree``.
    given_back
        What was asked earlier and is no more (tuple of Wish).
    beyond
        What those of ``files`` hold now that ``tree`` does not read (``{path: bytes}``, None for no file).
    """

    tree: Tree
    after: Tree
    files: dict[str, bytes | None]
    changes: dict[str, dict[str, typing.Any]]
    wishes: tuple[Wish, ...]
    base: Tree | None = None
    given_back: tuple[Wish, ...] = ()
    beyond: Mapping[str, bytes | None] = types.MappingProxyType({})


def plan(
    tree: Tree, wishes: Sequence[Wish], shadowed: str = "fix", base: Tree | None = None, earlier: Sequence[Wish] = ()
) -> Plan:
    """
    Return the Plan that makes all ``wishes`` (list of Wish) true in ``tree`` (Tree), and nothing else different.

    shadowed
        What to do where a line outside the main file decides: ``fix`` changes that line, ``drop_in`` writes
        our own drop-in in front of it, ``fail`` refuses; ``own`` puts everything there from the start where sshd
        reads it first, and changes other files only where it must.
    base
        The Tree without what earlier wishes changed, for a plan that takes their place (Tree, None for ``tree``).
    earlier
        Those wishes (list of Wish).

    Raises ShadowedError, NoEffectError, and ConfigError when sshd would refuse the present configuration.
    """
    if shadowed not in SHADOWED:
        raise BadWish(f"shadowed takes {', '.join(SHADOWED)}, not {shadowed!r}")
    effective.effective(tree)
    base = tree if base is None or effective.problems(base) else base
    after = _edited(tree, base, wishes, shadowed)
    given_back = _given_back(earlier, wishes)
    _verify(tree, after, wishes, given_back)
    changes = _changes(tree, after, [*wishes, *given_back])
    if not changes:
        # What others moved about and means the same is left as it is.
        after = tree
    return Plan(tree, after, _files(tree, after), changes, tuple(wishes), base, given_back)


def _edited(tree: Tree, base: Tree, wishes: Sequence[Wish], shadowed: str) -> Tree:
    """Return ``base`` with all edits; errors are told for ``tree``."""
    after = base
    try:
        for _round in wishes:
            # A block that goes before another tool's can come before one of ours as well.
            for wanted in _in_steps(failed := [one for one in wishes if not holds(one, after)], after):
                after = edit.edited(after, wanted, shadowed)
            if not failed:
                break
        effective.effective(after)
    except ConfigError as exc:
        raise ConfigError(f"sshd would refuse the edit: {relocated(tree, exc.tree or tree, exc.message)}") from exc
    return after


def _in_steps(failed: list[Wish], tree: Tree) -> list[Wish]:
    """
    Return ``failed`` (list of Wish) in an order in which sshd takes ``tree`` (Tree) after each: addresses change while
    those of both families are taken.
    """
    family = next((one for one in failed if one.keyword.name == "AddressFamily"), None)
    if family is None or all(one.keyword.name != "ListenAddress" for one in failed):
        return failed
    others = [one for one in failed if one is not family]
    both = sshd_wish.wish("AddressFamily", "any", tree.daemon)
    if family.occurrences is None or family.occurrences == both.occurrences:
        return [family, *others]
    return [*([] if holds(both, tree) else [both]), *others, family]


def restoring(
    tree: Tree,
    base: Tree,
    earlier: Sequence[Wish],
    beyond: Mapping[str, bytes | None] | None = None,
    found: Mapping[str, bytes | None] | None = None,
) -> Plan:
    """
    Return the Plan that leaves nothing of ``earlier`` (list of Wish): ``tree`` (Tree) becomes ``base`` (Tree).

    beyond, found
        What files hold and are to hold that ``tree`` does not read (``{path: bytes}``, None for no file).

    Raises ConfigError when sshd would refuse that.
    """
    refused = effective.problems(base)
    if refused:
        raise ConfigError("sshd would refuse what was there before: " + "\n".join(map(str, refused)))
    others = {path: data for path, data in (found or {}).items() if data != (beyond or {}).get(path)}
    changed = {**_files(tree, base), **others}
    changes = {**restored(changed), **_changes(tree, base, earlier)}
    return Plan(tree, base, changed, changes, (), base, tuple(earlier), beyond or {})


def restored(files: Mapping[str, bytes | None]) -> dict[str, dict[str, typing.Any]]:
    """Return the changes that tell of ``files`` (``{path: bytes}``, None for no file) that are as before again."""
    return {path: {"old": "changed", "new": None if data is None else "as before"} for path, data in files.items()}


def _files(tree: Tree, after: Tree) -> dict[str, bytes | None]:
    paths = {**after.data, **tree.data}
    return {path: after.data.get(path) for path in paths if tree.data.get(path) != after.data.get(path)}


def _given_back(earlier: Sequence[Wish], wishes: Sequence[Wish]) -> tuple[Wish, ...]:
    asked = {wanted.key for wanted in wishes}
    return tuple(wanted for wanted in earlier if wanted.key not in asked)


def _changes(tree: Tree, after: Tree, wishes: Sequence[Wish]) -> dict[str, dict[str, typing.Any]]:
    found = {wanted.key: _change(wanted, tree, after) for wanted in wishes}
    return {key: change for key, change in found.items() if change["old"] != change["new"]}


def _change(wanted: Wish, tree: Tree, after: Tree) -> dict[str, typing.Any]:
    old = sshd_wish.current(wanted, tree)
    new = sshd_wish.current(wanted, after, sshd_wish.failing(wanted, tree) if sshd_wish.at_least(wanted) else None)
    lines, left = ([one.line.raw for one in lines_of(wanted, each)] for each in (tree, after))
    if old != new or lines == left or (wanted.occurrences is not None and holds(wanted, tree)):
        return {"old": old, "new": new}
    # What these lines say holds without them too; that they go is a change all the same.
    places = lines_of(wanted, tree)
    said = ", ".join(f"{one.file}:{one.line.number}: {language.decode(one.line.raw).strip()}" for one in places)
    return {"old": said, "new": new}


def _verify(tree: Tree, after: Tree, wishes: Sequence[Wish], given_back: Sequence[Wish] = ()) -> None:
    failed = [wanted for wanted in wishes if not holds(wanted, after)]
    if failed:
        told = ", ".join(f"{wanted.key}{_decided(tree, after, wanted, wishes)}" for wanted in failed)
        raise NoEffectError(f"No edit of this configuration makes sshd do as asked for {told}")
    if tree is after:
        return
    refused = effective.problems(after)
    if refused:
        raise ConfigError("sshd would refuse the edit: " + "\n".join(_located(tree, after, one) for one in refused))
    concerned = [*wishes, *given_back]
    allowed = _allowed(concerned)
    for connection in (None, Connection(), *(w.connection for w in concerned if w.criteria)):
        before, now = (effective.effective(one, connection) for one in (tree, after))
        strangers = [name for name in {**before, **now} if _value(before, name) != _value(now, name)]
        if set(strangers) - allowed:
            told = _strangers(set(strangers) - allowed, before)
            raise NoEffectError(f"The edit would also change {told}")
    _leave_others(tree, after, concerned)


def _strangers(names: Iterable[str], before: Mapping[str, Effective]) -> str:
    """Return ``names`` (keywords, iterable of str) with the lines that decide them now (str)."""
    places = {
        name: [f"{one.file}:{one.line.number}" for one in before[name].deciding] for name in names if name in before
    }
    return ", ".join(f"{name} ({', '.join(places[name])})" if places.get(name) else name for name in sorted(names))


def _leave_others(tree: Tree, after: Tree, concerned: Sequence[Wish]) -> None:
    """Raise NoEffectError where an edit changes a keyword for a Match block that none of the wishes is about."""
    for name in sorted({wanted.keyword.name for wanted in concerned}):
        told = [wanted.criteria for wanted in concerned if wanted.keyword.name == name]
        if None in told:
            continue
        lines = ((each, *line) for each in (tree, after) for line in effective.match_lines(each, name))
        for where, criteria, path, line in lines:
            outside = _outside(criteria, [each for each in told if each], tree)
            if any(
                len({_meaning(effective.effective(each, one), name) for each in (tree, after)}) > 1 for one in outside
            ):
                told_of = place(tree, where, path, line.number)
                raise NoEffectError(f"The edit would also change {name} for Match {match.text(criteria)} ({told_of})")


def _meaning(found: Mapping[str, Effective], name: str) -> typing.Any:
    """Return the value of a keyword, with the items of a list in no order where theirs is no matter."""
    value = _value(found, name)
    sets = isinstance(value, list) and keywords.KEYWORDS[name.lower()].kind in sshd_wish.SETS
    return frozenset(value) if sets else str(value)


def _outside(criteria: Criteria, told: Sequence[Criteria], tree: Tree) -> list[Connection]:
    """Return examples (list of Connection) of those who meet ``criteria`` and none of ``told``."""
    parts = [criteria]
    for one in told:
        with contextlib.suppress(apart.Inseparable):
            parts = [part for each in parts for part in apart.apart(each, one, tree.daemon)]
    return [found for part in parts if (found := members.example((part,), tree.daemon, told))]


def _decided(tree: Tree, after: Tree, wanted: Wish, wishes: Sequence[Wish]) -> str:
    """Return which lines decide otherwise, in words (str)."""
    member = sshd_wish.failing(wanted, after)
    found = effective.effective(after, member).get(wanted.keyword.name)
    lines = found.deciding if found else ()
    why = _added_up(wanted, wishes, after.daemon) or edit.inseparable(after, wanted._replace(connection=member))
    if not lines and wanted.keyword.name in _FOLLOWS["ChallengeResponseAuthentication"]:
        return " (ChallengeResponseAuthentication, which is on, turns it on)"
    places = ", ".join(dict.fromkeys(place(tree, after, one.file, one.line.number) for one in lines))
    told = ": ".join(filter(None, [places and f"decided by {places}", why]))
    return told and f" ({told})"


def _added_up(wanted: Wish, wishes: Sequence[Wish], daemon: Daemon) -> str:
    """Return which other block of a list is asked for as well, for some of the same people (str); empty for none."""
    if wanted.keyword.repeat != keywords.ACCUMULATE or wanted.criteria is None:
        return ""
    same = [one.criteria for one in wishes if one.keyword.name == wanted.keyword.name]
    others = [
        one for one in (*same, *wanted.others) if one and match.canonical(one) != match.canonical(wanted.criteria)
    ]
    found = next((match.text(one) for one in others if members.example((wanted.criteria, one), daemon)), "")
    return found and f"Match {found} is asked for as well, and for who meets both the items of both add up"


def place(tree: Tree, after: Tree, path: str, number: int) -> str:
    """
    Return where a line of an edited tree is, for somebody who has the files as they are now (str).

    tree, after
        The Tree as it is, and as it would be.
    path, number
        The file (str) and the line in it (int, from 1) as it would be: a line that is not there yet is shown.
    """
    old, new = ([line.raw for line in one.files.get(path, ())] for one in (tree, after))
    for block in difflib.SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks():
        if block.b < number <= block.b + block.size:
            return f"{path}:{block.a + number - block.b}"
    return f"{path}, new line {language.decode(new[number - 1]).strip()!r}" if number <= len(new) else path


def _located(tree: Tree, after: Tree, found: Problem) -> str:
    return f"{place(tree, after, found.file, found.line)}: {found.reason}" if found.line else str(found)


def relocated(tree: Tree, after: Tree, text: str) -> str:
    """Return what is said of an edited tree (``text``, str) with each line that it names as :func:`place` does."""
    paths = "|".join(map(re.escape, sorted(after.files, key=len, reverse=True)))
    lines = rf"({paths})(?::? line |:)(\d+)(?::\d+(?=:))?"
    return re.sub(lines, lambda found: place(tree, after, found[1], int(found[2])), text)


#: What follows from a keyword: the endpoints, and before 8.7 the other one of two keywords for one thing.
_FOLLOWS = {
    **dict.fromkeys(("Port", "AddressFamily"), ("ListenAddress",)),
    "ChallengeResponseAuthentication": ("KbdInteractiveAuthentication",),
}


def _allowed(wishes: Sequence[Wish]) -> set[str]:
    names = {wanted.keyword.name for wanted in wishes}
    return names.union(*(_FOLLOWS.get(name, ()) for name in names))


def _value(found: Mapping[str, Effective], name: str) -> typing.Any:
    return found[name].value if name in found else None


def verify_dump(
    done: Plan, connection: Connection, before: Mapping[str, list[str]], after: Mapping[str, list[str]]
) -> None:
    """
    Compare what sshd itself prints with what a plan promises.

    done
        The Plan.
    connection
        The Connection that sshd was asked about.
    before, after
        What ``sshd -T`` prints for the tree as it is and as it will be (``{keyword: [lines]}``).

    Raises NoEffectError when a promise is not kept, or a keyword changes that nobody named.
    """
    strangers = {name for name in {**before, **after} if before.get(name) != after.get(name)} - _allowed(
        (*done.wishes, *done.given_back)
    )
    if strangers:
        told = _strangers(strangers, effective.effective(done.tree, connection))
        raise NoEffectError(f"By sshd's own test the edit would also change {told}")
    expected = effective.effective(done.after, connection)
    for name in {wanted.keyword.name for wanted in done.wishes} & set(after) & set(expected):
        value = expected[name].value
        if (value if isinstance(value, list) else [value]) != after[name] and not _beyond_c(connection):
            raise NoEffectError(f"By sshd's own test {name} would be {after[name]}, not {value!r}")


def _beyond_c(connection: Connection) -> bool:
    """Whether ``sshd -T -C`` cannot be told of such a connection."""
    names = {name for name, _pattern in connection.criteria}
    return bool(names & {"group", "rdomain", "invalid-user", "version"})


_LEVELS = ("SILENT", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG2", "DEBUG3")


def lowering(tree: Tree, wishes: Sequence[Wish], common: bool = False, shadowed: str = "fix") -> list[Wish]:
    """
    Return the wishes (list of Wish) that take back what Match blocks log less than ``wishes`` want for all.

    LogLevel is allowed in Match, so a block can quietly lower it for some. A block whose LogLevel is itself
    among ``wishes`` is left to that. With ``common`` (bool) also those blocks count that everybody meets, else
    a matter of the wish for all. ``shadowed`` is as for :func:`plan`.
    """
    wanted = next((one for one in wishes if one.keyword.name == "LogLevel" and one.criteria is None), None)
    if wanted is None or wanted.occurrences is None:
        return []
    floor = _LEVELS.index(sshd_wish.value_of(wanted, tree.daemon))
    # Of several lines of one block the first decides.
    first = {match.canonical(line[0]): line for line in reversed(list(effective.match_lines(tree, "LogLevel")))}
    left = [first[one] for one in reversed(first) if one not in set(map(match.canonical, wanted.others))]
    return [
        _raising(tree, wanted, criteria, path, line, shadowed)
        for criteria, path, line in left
        if _LEVELS.index(values.spell(wanted.keyword, [line.arguments], tree.daemon)[0]) < floor
        and ("all", None) not in criteria
        and (common or not _for_all(tree, criteria, path, line))
    ]


def _raising(tree: Tree, wanted: Wish, criteria: Criteria, path: str, line: Line, shadowed: str) -> Wish:
    """Return the wish that takes back what one line of a Match block logs less; of another tool's, which that would
    write again, or where it is to stay, the one for a block that comes before it."""
    stays = shadowed == "drop_in" and path != tree.path and posixpath.basename(path) != blocks.DROP_IN
    theirs = stays or blocks.is_packages(tree, path) or sections.around(tree.files[path], line.number)
    sample = match.sample(criteria, tree.daemon.names)
    return Wish(wanted.keyword, wanted.occurrences if theirs else None, criteria, connection=sample)


def _for_all(tree: Tree, criteria: Criteria, path: str, line: Line) -> bool:
    """Whether everybody meets ``criteria``, or the line decides for all too, for its file is included elsewhere too."""
    settled = effective.effective(tree).get(line.name, Effective(None)).deciding
    everybody = match.meets(criteria, members.anybody(tree), tree.daemon)
    return everybody or (path, line.number) in {one.where for one in settled}


def criteria(tree: Tree) -> list[Criteria]:
    """Return the criteria of every Match block of a tree (list), each once and in order, but those that are for all."""
    effective.effective(tree)
    lines = [line for lines in tree.files.values() for line in lines if line.name == "Match"]
    found = {match.canonical(one): one for line in lines if (one := match.parse(line.arguments.words, tree.daemon))}
    return [one for one in found.values() if ("all", None) not in one]


def order(done: Plan) -> list[str]:
    """
    Return the paths of the files of ``done`` (Plan) in an order in which sshd would accept each step on the way.

    A host can lose power between two files; where no order is good at each step, the one of the plan remains.
    """
    for paths in itertools.islice(itertools.permutations(done.files), 120):
        steps = [{path: done.files[path] for path in paths[:count]} for count in range(1, len(paths))]
        if not any(_refused(done.tree, step) for step in steps):
            return list(paths)
    return list(done.files)


def _refused(tree: Tree, files: Mapping[str, bytes | None]) -> bool:
    return bool(effective.problems(tree.edited(files)))
