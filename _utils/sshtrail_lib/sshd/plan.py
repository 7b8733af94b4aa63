"""
From wishes to the smallest edit of a sshd_config tree that makes them come true.

Nothing is written here: a plan is the new bytes of the files that have to differ, and what that changes.
"""

import difflib
import itertools
import os
import re
import typing

from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.sshd import keywords, language
from sshtrail_lib.sshd import match as sshd_match
from sshtrail_lib.sshd import values as sshd_values
from sshtrail_lib.sshd.values import ARGV_SINCE, Arguments, BadValue

#: The name of our own drop-in; it sorts before those that packages bring.
DROP_IN = "00-sshtrail.conf"
SHADOWED = ("fix", "drop_in", "fail")


class BadWish(SaltInvocationError):
    """What was asked for cannot be: an unknown keyword, an impossible value, a global keyword in a Match block."""


class ShadowedError(CommandExecutionError):
    """Another line decides, and the caller forbade to touch it."""


class NoEffectError(CommandExecutionError):
    """The edit would not make the wish come true, or would change more than was asked."""


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
    """

    keyword: keywords.Keyword
    occurrences: tuple | None
    criteria: tuple | None = None
    exact: bool = True

    @property
    def key(self):
        """What names this wish in ``changes`` (str)."""
        if self.criteria is None:
            return self.keyword.name
        return f"{self.keyword.name} (Match {sshd_match.text(self.criteria)})"

    @property
    def connection(self):
        """A connection for which the wish should hold."""
        return sshd_match.sample(self.criteria or ())


class Plan(typing.NamedTuple):
    """
    What has to be done.

    tree
        The Tree as it is.
    after
        The Tree as it will be.
    files
        ``{path: new bytes}`` of the files that differ.
    changes
        ``{keyword: {"old": value, "new": value}}``.
    wishes
        What was asked (tuple of Wish).
    """

    tree: language.Tree
    after: language.Tree
    files: dict
    changes: dict
    wishes: tuple


def wish(name, value, daemon, match=None, exact=True):
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
    if value is None:
        return Wish(keyword, None, criteria, exact)
    occurrences = _occurrences(keyword, value, daemon)
    if keyword.kind == "rekey" and criteria is not None and len(occurrences[0].words) == 1:
        # In a Match block what is left out is not sshd's default but the global value.
        occurrences = (Arguments((*occurrences[0].words, "0")),)
    found = Wish(keyword, occurrences, criteria, exact)
    try:
        sshd_values.spell(keyword, list(found.occurrences), daemon)
        for arguments in found.occurrences:
            sshd_values.check(keyword, arguments, daemon)
            render(keyword.name, keyword, arguments, daemon)
    except BadValue as exc:
        raise BadWish(f"{keyword.name} {exc}") from exc
    except LookupError:
        return found
    return found


def _keyword(name, daemon):
    if not isinstance(name, str) or not name:
        raise BadWish(f"A keyword of sshd_config is a word, not {name!r}")
    keyword = keywords.find(name, daemon.release, daemon.defaults)
    if keyword is None or keyword.kind in ("match", "include", "ignored", "refused"):
        near = difflib.get_close_matches(name, keywords.names(daemon.release, daemon.defaults), n=1)
        hint = f"; did you mean {near[0]}?" if near and near[0] != name else ""
        release = ".".join(map(str, daemon.release))
        raise BadWish(f"OpenSSH {release} does not have the keyword {name!r} as a setting{hint}")
    if language.unsupported(keyword, daemon):
        raise BadWish(f"This build of sshd ignores {keyword.name}: it was built without support for it")
    return keyword


def _criteria(match, daemon):
    if not isinstance(match, str) or re.search(r"[\n\r\0]", match):
        raise BadWish(f"match takes the criteria of one Match line, such as 'User bob', not {match!r}")
    line = language.parse_line(f"Match {match}".encode(), 1, daemon.release, frozenset(daemon.defaults))
    try:
        if line.problem:
            raise BadWish(f"match: {line.problem}")
        return sshd_match.parse(line.arguments.words, daemon.release)
    except sshd_match.BadCriteria as exc:
        raise BadWish(f"match: {exc}") from exc


_RAW = ("raw", "addendum", "command")
_WORDS = ("setenv", "keyfiles", "methods", "opens", "listens", "timeouts", "words_none", "qos", "rekey")
_LISTS_ON_A_LINE = ("setenv", "keyfiles", "opens", "listens", "timeouts", "words_none")
_MANY_WORDS = (*_WORDS, "pubkeyoptions", "revoked", "opaque", "subsystem")


def _occurrences(keyword, value, daemon):
    if keyword.kind == "subsystem" and hasattr(value, "items"):
        value = [f"{name} {command}" for name, command in value.items()]
    items = [_text(keyword, item) for item in (value if isinstance(value, (list, tuple)) else [value])]
    if not items:
        raise BadWish(f"{keyword.name} takes at least one value; use absent for none")
    if keywords.is_list(keyword) and keyword.kind != "setenv":
        split = items if isinstance(value, (list, tuple)) else _split(keyword, items[0], daemon)
        return tuple(_arguments(keyword, item, daemon) for item in split)
    if isinstance(value, (list, tuple)):
        if keyword.kind not in _MANY_WORDS and len(items) > 1:
            raise BadWish(f"{keyword.name} takes one value, not the list {list(value)!r}")
        words = tuple(items) if keyword.kind in _MANY_WORDS else (items[0],)
        return (Arguments(words, items[0]),)
    return (_arguments(keyword, items[0], daemon),)


def _split(keyword, text, daemon):
    """A plain string for a list keyword is a line as one would write it."""
    if keyword.kind not in ("users", "words", "accept"):
        return [text]
    return list(_words(keyword, text, daemon))


def _arguments(keyword, text, daemon):
    if keyword.kind in _RAW:
        return Arguments((text,), text)
    return Arguments(_words(keyword, text, daemon) if keyword.kind in _MANY_WORDS else (text,), text)


def _words(keyword, text, daemon):
    try:
        if daemon.release >= ARGV_SINCE:
            return language.words_quoted(text)[0]
        return language.words_delimited(text, equals=keyword.name != "SetEnv")
    except BadValue as exc:
        raise BadWish(f"{keyword.name}: {exc} in {text!r}") from exc


def _text(keyword, item):
    if isinstance(item, bool):
        return "yes" if item else "no"
    if not isinstance(item, (str, int)):
        raise BadWish(f"{keyword.name} takes text, numbers or lists of them, not {item!r}")
    text = str(item).strip(" \t")
    if not text or re.search(r"[\n\r\0]", text):
        raise BadWish(f"{keyword.name} takes a value on one line, not {item!r}")
    return text


def value_of(wanted, daemon):
    """Return the value that ``wanted`` (Wish) promises, as ``sshd -T`` spells it (str, list, or None)."""
    keyword, name = wanted.keyword, wanted.keyword.name
    listed = keywords.is_list(keyword)
    if wanted.occurrences is None:
        lines = [] if wanted.criteria is not None else daemon.defaults.get(name, [])
    else:
        try:
            lines = language.spelled(keyword, list(wanted.occurrences), daemon, wanted.criteria is not None)
        except LookupError:
            lines = [" ".join(arguments.words) for arguments in wanted.occurrences]
    return (list(lines) or None) if listed else lines[0] if lines else None


def current(wanted, tree):
    """Return the value that ``tree`` gives to the keyword of ``wanted`` (Wish) now, None where no line does."""
    found = language.effective(tree, wanted.connection).get(wanted.keyword.name)
    if found is None or (wanted.criteria is not None and not _ours(_leading(found, wanted), wanted)):
        return None
    return _as_written(found, wanted) if wanted.keyword.kind == "listen" else found.value


def _leading(found, wanted):
    """Of a value that is decided in parts, the line that says the first part stands for the rest."""
    return found.deciding[:1] if wanted.keyword.repeat == keywords.MERGE else found.deciding


def _ours(deciding, wanted):
    ours = sshd_match.canonical(wanted.criteria)
    return bool(deciding) and all(
        setting.criteria is not None and sshd_match.canonical(setting.criteria) == ours for setting in deciding
    )


def _as_written(found, wanted):
    """ListenAddress without a port depends on Port; what is asked for and what is there are compared as written."""
    if wanted.occurrences is None or not found.deciding:
        return found.value
    arguments = [setting.line.arguments for setting in found.deciding]
    return sshd_values.spell(wanted.keyword, arguments, sshd_values.Daemon())


def holds(wanted, tree):
    """Return whether ``wanted`` (Wish) is true in ``tree``."""
    if wanted.occurrences is None:
        return not lines_of(wanted, tree)
    now, want = current(wanted, tree), value_of(wanted, tree.daemon)
    if wanted.keyword.kind in _LISTS_ON_A_LINE and not wanted.exact:
        return set(_items(want)) <= set(_items(now))
    if not isinstance(want, list):
        return now == want
    if wanted.exact:
        return sorted(now or []) == sorted(want)
    return set(want) <= set(now or [])


def _items(value):
    return value if isinstance(value, list) else (value or "").split(" ")


def lines_of(wanted, tree):
    """Return the settings of the wish's keyword in the wish's part of the configuration, in sshd's order."""
    if wanted.criteria is None:
        found = [setting for setting in language.settings(tree)[0] if setting.line.name == wanted.keyword.name]
        second = language.settings(tree, wanted.connection)[0]
        extra = [setting for setting in second if setting.line.name == wanted.keyword.name]
        return list({setting.where: setting for setting in [*found, *extra]}.values())
    second = language.settings(tree, wanted.connection)[0]
    return [setting for setting in second if setting.line.name == wanted.keyword.name and _ours([setting], wanted)]


_LEVELS = ("SILENT", "FATAL", "ERROR", "INFO", "VERBOSE", "DEBUG", "DEBUG2", "DEBUG3")


def lowering(tree, wishes):
    """
    Return the wishes (list of Wish) that take back what Match blocks log less than ``wishes`` want for all.

    LogLevel is allowed in Match, so a block can quietly lower it for some. A block whose LogLevel is itself
    among ``wishes`` is left to that.
    """
    wanted = next((one for one in wishes if one.keyword.name == "LogLevel" and one.criteria is None), None)
    if wanted is None or wanted.occurrences is None:
        return []
    floor = _LEVELS.index(value_of(wanted, tree.daemon))
    named = {sshd_match.canonical(one.criteria) for one in wishes if one.criteria and one.keyword.name == "LogLevel"}
    found = {}
    for criteria, line in _match_lines(tree, "LogLevel"):
        level = sshd_values.spell(line.keyword, [line.arguments], tree.daemon)[0]
        if _LEVELS.index(level) < floor and sshd_match.canonical(criteria) not in named:
            found[sshd_match.canonical(criteria)] = Wish(wanted.keyword, None, criteria)
    return list(found.values())


def _match_lines(tree, name):
    """Yield ``(criteria, Line)`` for each line with the keyword ``name`` (str) in a Match block, met or not."""
    for lines in tree.files.values():
        criteria = None
        for line in lines:
            if line.name == "Match":
                criteria = sshd_match.parse(line.arguments.words, tree.daemon.release)
            elif line.name == name and criteria and ("all", None) not in criteria:
                yield criteria, line


def plan(tree, wishes, shadowed="fix"):
    """
    Return the Plan that makes all ``wishes`` (list of Wish) true in ``tree`` (Tree), and nothing else different.

    shadowed
        What to do where a line outside the main file decides: ``fix`` changes that line, ``drop_in`` writes
        our own drop-in in front of it, ``fail`` refuses.

    Raises ShadowedError, NoEffectError, and ConfigError when sshd would refuse the present configuration.
    """
    if shadowed not in SHADOWED:
        raise BadWish(f"shadowed takes {', '.join(SHADOWED)}, not {shadowed!r}")
    language.effective(tree)
    after = tree
    for wanted in wishes:
        if not holds(wanted, after):
            after = _Edit(after, wanted, shadowed).result()
    _verify(tree, after, wishes)
    files = {path: data for path, data in after.data.items() if tree.data.get(path) != data}
    return Plan(tree, after, files, _changes(tree, after, wishes), tuple(wishes))


def _changes(tree, after, wishes):
    pairs = {wanted.key: (current(wanted, tree), current(wanted, after)) for wanted in wishes}
    return {key: {"old": old, "new": new} for key, (old, new) in pairs.items() if old != new}


def _verify(tree, after, wishes):
    failed = [wanted.key for wanted in wishes if not holds(wanted, after)]
    if failed:
        raise NoEffectError(f"No edit of this configuration makes sshd do as asked for {', '.join(failed)}")
    if tree is after:
        return
    refused = language.problems(after)
    if refused:
        raise language.ConfigError("sshd would refuse the edit: " + "\n".join(map(str, refused)))
    allowed = _allowed(wishes)
    for connection in (None, sshd_match.Connection(), *(w.connection for w in wishes if w.criteria)):
        before, now = (language.effective(one, connection) for one in (tree, after))
        strangers = [name for name in {**before, **now} if _value(before, name) != _value(now, name)]
        if set(strangers) - allowed:
            raise NoEffectError(f"The edit would also change {', '.join(sorted(set(strangers) - allowed))}")


def _allowed(wishes):
    names = {wanted.keyword.name for wanted in wishes}
    # The endpoints follow from these.
    return names | {"ListenAddress"} if names & {"Port", "AddressFamily"} else names


def verify_dump(done, connection, before, after):
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
    strangers = {name for name in {**before, **after} if before.get(name) != after.get(name)} - _allowed(done.wishes)
    if strangers:
        raise NoEffectError(f"By sshd's own test the edit would also change {', '.join(sorted(strangers))}")
    expected = language.effective(done.after, connection)
    for name in {wanted.keyword.name for wanted in done.wishes} & set(after) & set(expected):
        value = expected[name].value
        if (value if isinstance(value, list) else [value]) != after[name] and not _beyond_c(connection):
            raise NoEffectError(f"By sshd's own test {name} would be {after[name]}, not {value!r}")


def _beyond_c(connection):
    """Whether ``sshd -T -C`` cannot be told of such a connection."""
    names = {name for name, _pattern in connection.criteria} if connection else set()
    return bool(names & {"group", "rdomain", "invalid-user", "version"})


def order(done):
    """
    Return the paths of the files of ``done`` (Plan) in an order in which sshd would accept each step on the way.

    A host can lose power between two files; where no order is good at each step, the one of the plan remains.
    """
    for paths in itertools.islice(itertools.permutations(done.files), 120):
        steps = [{path: done.files[path] for path in paths[:count]} for count in range(1, len(paths))]
        if not any(_refused(done.tree, step) for step in steps):
            return list(paths)
    return list(done.files)


def _refused(tree, files):
    return language.problems(language.load(tree.path, tree.daemon, {**tree.data, **files}))


def predicted(wishes, daemon):
    """Return the changes that ``wishes`` (list of Wish) make on a host that has no configuration yet."""
    pairs = {wanted.key: value_of(wanted, daemon) for wanted in wishes}
    return {key: {"old": None, "new": value} for key, value in pairs.items() if value is not None}


def distinct(wishes):
    """Raise BadWish when two of ``wishes`` (list of Wish) are about the same keyword in the same place."""
    seen = set()
    for wanted in wishes:
        if wanted.key in seen:
            raise BadWish(f"{wanted.key} is asked for twice (keywords know no case, and some have two names)")
        seen.add(wanted.key)


def written(line):
    """Return the value of ``line`` (Line) as it is written there (str), without a comment."""
    if line.keyword.kind in _RAW:
        return line.arguments.rest
    text = language.decode(line.raw)
    head = _HEAD.match(text)
    return " ".join(line.arguments.words) if head is None else text[head.end() :].partition(" #")[0].strip()


def _value(values, name):
    return values[name].value if name in values else None


class _Edit:
    """The edit that one wish needs; every step replaces ``tree`` by the tree after it."""

    def __init__(self, tree, wanted, shadowed):
        self.tree, self.wanted, self.shadowed = tree, wanted, shadowed
        self.keyword = wanted.keyword

    def result(self):
        """Return the Tree in which the wish is true."""
        self._guard()
        if self.wanted.occurrences is None:
            self._remove(lines_of(self.wanted, self.tree))
        elif self.shadowed == "drop_in" and self._foreign():
            self._write_drop_in()
        elif self.keyword.repeat == keywords.ACCUMULATE:
            self._accumulate()
        else:
            self._decide()
        return self.tree

    def _deciding(self):
        found = language.effective(self.tree, self.wanted.connection).get(self.keyword.name)
        return found.deciding if found else ()

    def _foreign(self):
        """Return the lines outside the main file and our own drop-in that decide now."""
        own = (self.tree.path,)
        return [
            setting
            for setting in self._deciding()
            if setting.file not in own and os.path.basename(setting.file) != DROP_IN
        ]

    def _guard(self):
        foreign = self._foreign() if self.shadowed == "fail" else []
        if foreign:
            where = ", ".join(f"{setting.file}:{setting.line.number}" for setting in foreign)
            raise ShadowedError(f"{self.wanted.key} is decided by {where}, which shadowed: fail leaves alone")

    def _decide(self):
        """A keyword for which one line decides."""
        deciding = self._deciding()
        ours = lines_of(self.wanted, self.tree)
        if self.wanted.criteria is None:
            target = next((one for one in deciding if one in ours), None)
        else:
            target = ours[-1 if self.keyword.repeat == keywords.LAST else 0] if ours else None
        if target:
            self._rewrite(target, self._arguments_for(target))
        else:
            self._insert(self._arguments_for(None))
        self._drop_rivals(ours, target)
        if self.wanted.criteria is not None and not holds(self.wanted, self.tree):
            self._move_forward()

    def _drop_rivals(self, ours, target):
        """Lines that still decide in the other of sshd's passes, or parts of a value that is decided in parts."""
        for _rival in ours:
            if holds(self.wanted, self.tree) and self._both_passes_agree():
                return
            left = [one for one in self._deciding() if not target or one.where != target.where]
            left = [one for one in left if one in lines_of(self.wanted, self.tree)]
            if not left:
                return
            self._remove(left[:1])

    def _both_passes_agree(self):
        return self.keyword.repeat != keywords.MERGE or len(self._deciding()) <= 1

    def _arguments_for(self, target):
        wanted = self.wanted.occurrences[0]
        if self.wanted.exact or target is None or self.keyword.kind not in _LISTS_ON_A_LINE:
            return wanted
        there = target.line.arguments.words
        return Arguments((*there, *(word for word in wanted.words if word not in there)), wanted.rest)

    def _accumulate(self):
        """A keyword for which every line adds to a list."""
        ours = lines_of(self.wanted, self.tree)
        missing = list(self.wanted.occurrences)
        for setting in reversed(ours):
            missing = self._keep(setting, missing)
        for arguments in self._gathered(missing):
            self._insert(arguments)
        if self.wanted.criteria is not None and not holds(self.wanted, self.tree):
            self._move_forward()

    def _keep(self, setting, missing):
        """Leave on the line what is wanted, and return what is then still missing."""
        kept, left = [], list(missing)
        for arguments in self._items(setting):
            match = next((one for one in left if self._same(one, arguments)), None)
            if match is not None:
                left.remove(match)
            if match is not None or not self.wanted.exact:
                kept.append(arguments)
        if len(kept) < len(self._items(setting)):
            self._keep_only(setting, kept)
        return left

    def _keep_only(self, setting, kept):
        if kept:
            self._rewrite(setting, Arguments(tuple(word for one in kept for word in one.words), kept[0].rest))
        else:
            self._remove([setting])

    def _items(self, setting):
        if self.keyword.kind in ("users", "words", "accept"):
            return [Arguments((word,), word) for word in setting.line.arguments.words]
        return [setting.line.arguments]

    def _same(self, one, other):
        spelled = [sshd_values.spell(self.keyword, [each], self.tree.daemon) for each in (one, other)]
        return spelled[0] == spelled[1]

    def _gathered(self, missing):
        if missing and self.keyword.kind in ("users", "words", "accept"):
            return [Arguments(tuple(word for one in missing for word in one.words))]
        return missing

    def _write_drop_in(self):
        """Put the wish into our own drop-in, which sshd reads before the line that decides now."""
        if self.wanted.criteria is not None or self.keyword.repeat != keywords.FIRST:
            where = self._foreign()[0]
            raise ShadowedError(f"{self.wanted.key} is decided by {where.file}:{where.line.number}; a drop-in cannot")
        path = self._drop_in_path()
        text = render(self.keyword.name, self.keyword, self._arguments_for(None), self.tree.daemon)
        self._store(path, [*map(_raw_of, self.tree.files.get(path, ())), language.encode(text) + b"\n"])

    def _drop_in_path(self):
        for line in self.tree.files[self.tree.path]:
            for word in line.arguments.words if line.name == "Include" and not line.problem else ():
                path = os.path.join(os.path.dirname(language.include_path(word)), DROP_IN)
                if language.matches(path, language.include_path(word)):
                    return path
        raise ShadowedError(f"{self.tree.path} includes no directory in which a drop-in {DROP_IN} would be read")

    def _store(self, path, raws):
        overlay = {**self.tree.data, path: b"".join(raws)}
        self.tree = language.load(self.tree.path, self.tree.daemon, overlay)

    def _raws(self, path):
        return [line.raw for line in self.tree.files[path]]

    def _rewrite(self, setting, arguments):
        raws = self._raws(setting.file)
        raws[setting.line.number - 1] = rewrite(setting.line, arguments, self.tree.daemon)
        self._store(setting.file, raws)

    def _remove(self, settings):
        for setting in sorted(settings, key=lambda one: -one.line.number):
            raws = self._raws(setting.file)
            del raws[setting.line.number - 1]
            self._store(setting.file, raws)
            if setting.criteria is not None:
                self._remove_empty_block(setting)

    def _remove_empty_block(self, setting):
        """Remove the Match line above where ``setting`` was when no keyword follows it."""
        lines = self.tree.files[setting.file]
        above = [line for line in lines[: setting.line.number - 1] if line.name == "Match"]
        below = [line for line in lines[above[-1].number :] if line.keyword or line.problem] if above else []
        if above and (not below or below[0].name == "Match"):
            raws = self._raws(setting.file)
            del raws[above[-1].number - 1]
            self._store(setting.file, raws)

    def _insert(self, arguments):
        text = render(self.keyword.name, self.keyword, arguments, self.tree.daemon)
        if self.wanted.criteria is None:
            self._add(self.tree.path, self._place(), [text])
            return
        block = self._block()
        if block:
            path, number, indent = block
            self._add(path, number, [indent + text])
        else:
            self._add(self.tree.path, len(self.tree.files[self.tree.path]), self._new_block(text))

    def _new_block(self, text):
        return [f"Match {render_criteria(self.wanted.criteria, self.tree.daemon)}", f"\t{text}"]

    def _add(self, path, number, texts):
        """Add lines after line ``number`` of ``path``, with the line ending of its neighbours."""
        raws = self._raws(path)
        ending = b"\r\n" if raws and raws[max(number - 1, 0)].endswith(b"\r\n") else b"\n"
        if number and not raws[number - 1].endswith(b"\n"):
            raws[number - 1] += ending
        raws[number:number] = [language.encode(text) + ending for text in texts]
        self._store(path, raws)

    def _place(self):
        """Return the line of the main file after which a new global line belongs."""
        lines = self.tree.files[self.tree.path]
        first_match = next((line.number for line in lines if line.name == "Match"), len(lines) + 1)
        head = lines[: first_match - 1]
        same = [line.number for line in head if line.name == self.keyword.name]
        comment = re.compile(rb"[ \t]*#[ \t]*%s(?:[ \t=]|$)" % self.keyword.name.encode(), re.IGNORECASE)
        commented = [line.number for line in head if comment.match(line.raw)]
        if same or commented:
            return (same or commented)[-1]
        # Comments right above a Match block belong to it.
        while head and first_match <= len(lines) and head[-1].raw.lstrip().startswith(b"#"):
            head.pop()
        return len(head)

    def _block(self):
        """Return ``(path, last line, indent)`` of the first Match block with the criteria of the wish, or None."""
        ours = sshd_match.canonical(self.wanted.criteria)
        for path, line, criteria in language.blocks(self.tree, self.wanted.connection):
            if sshd_match.canonical(criteria) == ours:
                return path, *_end_of_block(self.tree.files[path], line)
        return None

    def _rival(self):
        """Return the line of another Match block that decides for the connection of the wish, or None."""
        deciding = [one for one in self._deciding() if one.criteria is not None]
        return next((one for one in deciding if not _ours([one], self.wanted)), None)

    def _move_forward(self):
        """Another Match block that the same connection meets comes first: put a block of our own before it."""
        rival = self._rival()
        if rival is None or self.keyword.repeat not in (keywords.FIRST, keywords.MERGE):
            return
        if self.shadowed != "fix" and rival.file != self.tree.path:
            raise ShadowedError(f"{self.wanted.key} is decided by {rival.file}:{rival.line.number}")
        self._remove(lines_of(self.wanted, self.tree))
        rival = self._rival()
        head = [line for line in self.tree.files[rival.file][: rival.line.number] if line.name == "Match"][-1]
        texts = [render(self.keyword.name, self.keyword, one, self.tree.daemon) for one in self.wanted.occurrences]
        block = self._new_block(texts[0]) + [f"\t{text}" for text in texts[1:]]
        self._add(rival.file, head.number - 1, block)


def _raw_of(line):
    return line.raw if line.raw.endswith(b"\n") else line.raw + b"\n"


def _end_of_block(lines, match):
    """Return the number of the last keyword line of the block of ``match``, and its indentation."""
    last = match
    for line in lines[match.number :]:
        if line.name == "Match":
            break
        if line.keyword:
            last = line
    if last is match:
        return match.number, "\t"
    return last.number, language.decode(re.match(rb"[ \t]*", last.raw)[0])


def render(name, keyword, arguments, daemon):
    """Return the line (str) that says ``name`` with ``arguments`` (Arguments); raises BadWish when none can."""
    text = f"{name} {_rendered(keyword, arguments, daemon)}"
    line = language.parse_line(language.encode(text), 1, daemon.release, frozenset(daemon.defaults))
    same = line.arguments.rest == arguments.rest if keyword.kind in _RAW else line.arguments.words == arguments.words
    if line.problem or not same:
        raise BadWish(f"{keyword.name} {' '.join(arguments.words)!r} cannot be written for this release of sshd")
    return text


def _rendered(keyword, arguments, daemon):
    if keyword.kind in _RAW:
        return arguments.rest
    return " ".join(quoted(word, daemon.release) for word in arguments.words)


def quoted(word, release):
    """Return ``word`` (str) as one writes it in sshd_config for ``release``: quoted only where it must be."""
    if release < ARGV_SINCE:
        return f'"{word}"' if re.search(r"[ \t=]", word) else word
    if not re.search(r"[ \t'\"\\#=]", word):
        return word
    if not re.search(r"[ \t'\"\\]", word) and word[0] not in "#=":
        return word
    return '"' + re.sub(r"([\\\"'])", r"\\\1", word) + '"'


def render_criteria(criteria, daemon):
    """Return ``criteria`` as written after Match (str)."""
    words = ((sshd_match.spelling(name), pattern) for name, pattern in criteria)
    return " ".join(quoted(word, daemon.release) for pair in words for word in pair if word is not None)


_HEAD = re.compile(r"[ \t\r]*(?:\"[^\"]*\"|[^ \t\"=]+)(?:[ \t]*=[ \t]*|[ \t]+)")


def rewrite(line, arguments, daemon):
    """Return the bytes of ``line`` (Line) with ``arguments`` in place of its own; all else of it stays."""
    text = language.decode(line.raw)
    head = _HEAD.match(text)[0]
    body = text[len(head) :].rstrip(" \t\r\n\f")
    ending = text[len(head) + len(body) :]
    comment = "" if line.keyword.kind in _RAW else _comment(body, daemon.release)
    new = render(line.word, line.keyword, arguments, daemon)[len(line.word) + 1 :]
    return language.encode(head + new + comment + ending)


def _comment(body, release):
    """Return the comment at the end of ``body`` (str) with the space before it."""
    end = len(body.partition("#")[0]) if release < ARGV_SINCE else language.words_quoted(body)[1]
    start = len(body[:end].rstrip(" \t"))
    return body[start:] if end < len(body) else ""
