"""
The language of sshd_config(5): a tree of files to lines, and lines to what sshd will do.

It reads as sshd does: both of its tokenizers, Include in its order, Match in its two passes (once for the
global part when the daemon starts, once for each connection), and which of several lines decides. Which
release it reads for is in :class:`sshtrail_lib.sshd.values.Daemon`.
"""

import difflib
import fnmatch
import functools
import glob
import os
import re
import typing

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, text
from sshtrail_lib.sshd import keywords as sshd_keywords
from sshtrail_lib.sshd import match
from sshtrail_lib.sshd import values as sshd_values
from sshtrail_lib.sshd.values import ARGV_SINCE, ARRAYS_SINCE, LONE_NONE_SINCE, Arguments, BadValue

#: Include with a relative path means this directory, wherever the including file is.
BASE = "/etc/ssh"
#: sshd refuses to follow Include deeper than this.
MAX_DEPTH = 16
SPACE = " \t\r\n"


class ConfigError(CommandExecutionError):
    """sshd would refuse this configuration; the message names file, line and column."""


class Problem(typing.NamedTuple):
    """What sshd would refuse: where (file, line, column from 1), the line's text, and why."""

    file: str
    line: int
    column: int
    text: str
    reason: str

    def __str__(self):
        return f"{self.file}:{self.line}:{self.column}: {self.reason}"


class Line(typing.NamedTuple):
    """
    One line of a file.

    number
        From 1 (int).
    raw
        Its bytes, line ending included.
    word
        The keyword as written (str), empty for a blank line or a comment.
    keyword
        The Keyword that it names, or None.
    arguments
        What follows it (Arguments).
    problem
        What is wrong with the line by itself (str), or None.
    column
        Where ``problem`` is, from 1 (int).
    """

    number: int
    raw: bytes
    word: str = ""
    keyword: sshd_keywords.Keyword | None = None
    arguments: Arguments = Arguments(())
    problem: str | None = None
    column: int = 1

    @property
    def name(self):
        """The canonical keyword (str), empty where there is none."""
        return self.keyword.name if self.keyword else ""


def decode(raw):
    """Return the bytes ``raw`` as str in a way that :func:`encode` reverses whatever they are."""
    return raw.decode("utf-8", "surrogateescape")


def encode(text):
    """Return the bytes that ``text`` (str) stands for; the reverse of :func:`decode`."""
    return text.encode("utf-8", "surrogateescape")


def next_word(text, equals=True):
    """
    Return the next word of ``text`` and what follows it, as ``strdelim()`` of sshd does.

    equals
        Whether one ``=`` separates too (bool).

    Returns ``(word, rest)``; the word is None after an unbalanced quote, the rest None at the end.
    """
    found = re.search(r'[ \t\r\n"=]' if equals else r'[ \t\r\n"]', text)
    if not found:
        return text, None
    start = found.start()
    if text[start] == '"':
        inner, quote, rest = text[start + 1 :].partition('"')
        return (text[:start] + inner, rest.lstrip(SPACE)) if quote else (None, None)
    rest = text[start + 1 :].lstrip(SPACE)
    if equals and text[start] != "=" and rest.startswith("="):
        rest = rest[1:].lstrip(SPACE)
    return text[:start], rest


def words_delimited(text, equals=True):
    """Return the words of ``text`` as releases before 8.7 split them: up to the end, an empty word or a bad quote."""
    words = []
    while text is not None:
        word, text = next_word(text, equals)
        if not word:
            return (*words, "") if word == "" and text else tuple(words)
        words.append(word)
    return tuple(words)


def words_quoted(text):
    """
    Return the words of ``text`` as ``argv_split()`` of releases since 8.7 splits them.

    Returns ``(words, end)``: a tuple of str, and where they end (int): at a comment or at the end of the text.
    Raises BadValue for an unbalanced quote.
    """
    words, position = [], 0
    while position < len(text) and (text[position] in " \t" or text[position] != "#"):
        if text[position] in " \t":
            position += 1
        else:
            word, position = _quoted_word(text, position)
            words.append(word)
    return tuple(words), position


def _quoted_word(text, position):
    out, quote = [], ""
    while position < len(text) and (quote or text[position] not in " \t"):
        char, after = text[position], text[position + 1 : position + 2]
        if char == "\\" and after and (after in "'\"\\" or (not quote and after == " ")):
            out.append(after)
            position += 1
        elif not quote and char in "'\"":
            quote = char
        elif char == quote:
            quote = ""
        else:
            out.append(char)
        position += 1
    if quote:
        raise BadValue("unbalanced quote")
    return "".join(out), position


def parse(data, daemon):
    """Return the lines (list of Line) of the file content ``data`` (bytes) as ``daemon`` (Daemon) reads them."""
    printed = frozenset(daemon.defaults)
    return [parse_line(raw, number, daemon.release, printed) for number, raw in enumerate(text.lines(data), 1)]


@functools.lru_cache(maxsize=4096)
def parse_line(raw, number, release, printed):
    """Return the Line that ``raw`` (bytes) is for ``release``; ``printed`` as for :func:`sshd.keywords.find`."""
    if b"\0" in raw:
        return Line(number, raw, problem="a NUL byte, at which sshd would join this line with the next")
    text = decode(raw).lstrip(" \t\r")
    if release < ARGV_SINCE:
        text = text.partition("#")[0]
    text = text[:1] + text[1:].rstrip(" \t\r\n\f") if text.strip("\n") else ""
    word, rest = next_word(text)
    if word == "" and rest:
        word, rest = next_word(rest)
    if not word or word.startswith("#"):
        return Line(number, raw)
    return _parse_keyword(Line(number, raw, word), rest, release, printed)


def _parse_keyword(line, rest, release, printed):
    column = len(line.raw) - len(line.raw.lstrip(b" \t\r")) + 1
    keyword = sshd_keywords.find(line.word, release, printed)
    if keyword is None:
        return line._replace(problem=_unknown(line.word, release, printed), column=column)
    line = line._replace(keyword=keyword)
    if release >= ARGV_SINCE and not rest:
        return line._replace(problem=f"{keyword.name} needs a value", column=column)
    try:
        return line._replace(arguments=_arguments(keyword, rest or "", release))
    except BadValue as exc:
        return line._replace(problem=f"{keyword.name}: {exc}", column=column)


def _arguments(keyword, rest, release):
    if keyword.kind == "match" and release < match.ARGV_SINCE:
        # Since 8.7 the whole line must split into words as well, or sshd refuses its quotes.
        if release >= ARGV_SINCE:
            words_quoted(rest)
        return Arguments(words_delimited(rest), rest)
    if release < ARGV_SINCE:
        return Arguments(words_delimited(rest, equals=keyword.name != "SetEnv"), rest.lstrip(SPACE))
    words = words_quoted(rest)[0]
    return Arguments(words, rest.lstrip(SPACE))


def _unknown(word, release, printed):
    near = difflib.get_close_matches(word, sshd_keywords.names(release, printed), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    return f"OpenSSH {release[0]}.{release[1]} does not know the keyword {word!r}{hint}"


class Tree:
    """
    A main file with all that it includes.

    path
        The main file (str).
    daemon
        The sshd that reads it (Daemon).
    files
        Path of each file that is read: its lines (list of Line), in the order in which sshd first opens them.
    data
        Path of each file that is read: its bytes.
    includes
        (path, line number): the paths that this Include line names (list of list of str, one for each word).
    problems
        What keeps sshd from reading a file (list of Problem).
    answers
        What was worked out already: a Tree does not change once it is loaded.
    """

    def __init__(self, path, daemon):
        self.path, self.daemon = path, daemon
        self.files, self.data, self.includes, self.answers = {}, {}, {}, {}
        self.problems = []


def load(path, daemon, overlay=None):
    """
    Return the Tree of the main file ``path`` (str) as ``daemon`` (Daemon) reads it.

    overlay
        ``{path: bytes}``: read these instead of what is on disk (None: the file is not there).

    Raises ConfigError when the main file is not there.
    """
    tree = Tree(path, daemon)
    overlay = overlay or {}
    _load(tree, path, overlay, (), None)
    if path not in tree.files:
        raise ConfigError(f"There is no {path}")
    return tree


def _load(tree, path, overlay, above, where):
    if path in tree.files:
        if path in above:
            tree.problems.append(_problem(*where, "Include leads back to a file that is being read"))
        return
    data = overlay[path] if path in overlay else _content(path)
    if data is None:
        if where:
            tree.problems.append(_problem(*where, f"{path} cannot be opened"))
        return
    tree.data[path] = data
    tree.files[path] = parse(data, tree.daemon)
    for line in tree.files[path]:
        if line.name == "Include" and not line.problem:
            _load_included(tree, path, line, overlay, (*above, path))


def _load_included(tree, path, line, overlay, above):
    groups = [_matching(word, overlay) for word in line.arguments.words if word]
    tree.includes[path, line.number] = groups
    for included in (name for group in groups for name in group):
        _load(tree, included, overlay, above, (path, line))


def _content(path):
    # sshd opens a directory without complaint, and reads nothing from it.
    return b"" if os.path.isdir(path) else files.read(path)


def include_path(word):
    """Return the pattern (str) that the word of an Include line means."""
    path = word if word[:1] in ("/", "~") else os.path.join(BASE, word)
    # glob(3) takes a backslash for a quote, Python's glob does not.
    return re.sub(r"\\(.)", r"[\1]", path)


def _matching(word, overlay):
    pattern = include_path(word)
    if pattern.startswith("~"):
        # sshd neither expands this nor makes it absolute.
        return []
    found = set(glob.glob(pattern)) - {path for path, data in overlay.items() if data is None}
    found |= {path for path, data in overlay.items() if data is not None and matches(path, pattern)}
    return sorted(found, key=os.fsencode)


def matches(path, pattern):
    """Return whether glob(3) would find the file ``path`` (str) for ``pattern`` (str)."""
    ours, theirs = path.split("/"), pattern.split("/")
    return len(ours) == len(theirs) and all(
        fnmatch.fnmatchcase(name, part) and (part.startswith(".") or not name.startswith("."))
        for name, part in zip(ours, theirs, strict=True)
    )


def _problem(path, line, reason, column=None):
    text = decode(line.raw).rstrip("\r\n")
    return Problem(path, line.number, column or line.column, _shortened(text), _shortened(reason))


def _shortened(text):
    return text if len(text) <= 240 else f"{text[:120]} […] {text[-120:]}"


class Setting(typing.NamedTuple):
    """One line that sets a keyword while sshd reads: the file (str), the Line, the criteria of its Match or None."""

    file: str
    line: Line
    criteria: tuple | None = None

    @property
    def where(self):
        """``(file, line number)``."""
        return self.file, self.line.number


class _Pass:
    def __init__(self, tree, connection, active, settings, problems):
        self.tree, self.connection, self.active = tree, connection, active
        self.settings, self.problems = settings, problems
        self.criteria, self.blocks = None, []


def blocks(tree, connection):
    """Return the Match blocks that ``connection`` (Connection) meets: a list of ``(file, Line, criteria)``."""
    settings(tree, connection)
    return tree.answers["blocks", connection]


def settings(tree, connection=None):
    """
    Return the settings that count for one pass, in sshd's order (list of Setting), and the problems.

    connection
        None for the pass in which sshd starts, or the Connection whose Match blocks count: then only the lines
        of the Match blocks that it meets are returned.
    """
    key = "settings", connection
    if key not in tree.answers:
        run = _Pass(tree, connection, connection is None, [], list(tree.problems) if connection is None else [])
        _read(run, tree.path, connection is not None, False, 0)
        tree.answers[key] = run.settings, run.problems
        tree.answers["blocks", connection] = run.blocks
    return tree.answers[key]


def _read(run, path, match_only, never, depth):
    """``match_only`` and ``never`` are sshd's SSHCFG_MATCH_ONLY and SSHCFG_NEVERMATCH."""
    for line in run.tree.files.get(path, ()):
        if line.problem:
            run.problems.append(_problem(path, line, line.problem))
        elif line.name == "Match":
            run.active = _enter(run, path, line) and not never
            match_only = False
            if run.active:
                run.blocks.append((path, line, run.criteria))
        elif line.name == "Include":
            _read_included(run, path, line, match_only, never, depth)
        elif line.keyword:
            _set(run, path, line)


def _enter(run, path, line):
    daemon = run.tree.daemon
    try:
        run.criteria = match.parse(line.arguments.words, daemon.release)
    except match.BadCriteria as exc:
        run.problems.append(_problem(path, line, str(exc)))
        return False
    return match.meets(run.criteria, run.connection, daemon.banner)


def _read_included(run, path, line, match_only, never, depth):
    if not line.arguments.words or "" in line.arguments.words[:1]:
        run.problems.append(_problem(path, line, "Include needs a file name"))
    if depth >= MAX_DEPTH and any(run.tree.includes.get((path, line.number), ())):
        run.problems.append(_problem(path, line, f"Include goes deeper than {MAX_DEPTH} files"))
        return
    active, criteria = run.active, run.criteria
    for included in (name for group in run.tree.includes.get((path, line.number), ()) for name in group):
        _read(run, included, match_only, not match_only and (never or not active), depth + 1)
        run.active, run.criteria = active, criteria


def _set(run, path, line):
    if run.connection is None:
        _check(run, path, line)
    if line.name == "AuthenticationMethods":
        _check_any(run, path, line)
    # Some releases let a list without items pass, and go on as if the line were not there.
    if run.active and (
        line.arguments.words or line.keyword.kind not in ("users", "words", "accept", "setenv", "keyfiles")
    ):
        run.settings.append(Setting(path, line, run.criteria))


def _check_any(run, path, line):
    """Some releases look for a lone "any" not on its line but among all lines so far, whatever Match they are in."""
    earlier = any(setting.line.name == line.name for setting in run.settings)
    if earlier and "any" in line.arguments.words and ARGV_SINCE <= run.tree.daemon.release < ARRAYS_SINCE:
        run.problems.append(_problem(path, line, "AuthenticationMethods any cannot follow other AuthenticationMethods"))


def _check(run, path, line):
    if not run.active and not line.keyword.in_match:
        run.problems.append(_problem(path, line, f"{line.name} is not allowed in a Match block"))
        return
    if not run.active and run.tree.daemon.release < ARGV_SINCE and line.name in _UNCHECKED_IN_MATCH:
        return
    try:
        if not unsupported(line.keyword, run.tree.daemon):
            sshd_values.check(line.keyword, line.arguments, run.tree.daemon)
    except BadValue as exc:
        run.problems.append(_problem(path, line, f"{line.name} {exc}", _column(line, exc.position)))
    except LookupError:
        # Without an sshd nobody can tell; a preview on a host that has none yet.
        return


# Before 8.7 these were looked at only where they counted.
_UNCHECKED_IN_MATCH = frozenset(
    ["AuthorizedKeysFile", "AuthorizedKeysCommand", "AuthorizedPrincipalsCommand", "VersionAddendum"]
)


def _column(line, position):
    text = decode(line.raw)
    words = line.arguments.words
    after = text.find(line.word) + len(line.word)
    for word in words[: position + 1]:
        found = text.find(word, after)
        if found < 0:
            break
        after, column = found + len(word), found + 1
    return column if words and found >= 0 else line.column


def unsupported(keyword, daemon):
    """Return whether this build takes ``keyword`` (Keyword) without doing anything with it."""
    known = bool(daemon.defaults) and keyword.kind not in ("ignored", "refused")
    return known and keyword.name not in daemon.defaults and keyword.name not in sshd_keywords.SILENT


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

    value: object
    deciding: tuple = ()
    shadowed: tuple = ()

    @property
    def default(self):
        """True when no line decides: the value is sshd's default."""
        return not self.deciding


def effective(tree, connection=None):
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
        tree.answers[key] = _effective(tree, connection)
    return tree.answers[key]


def _effective(tree, connection):
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


def _by_name(settings_of_pass, release):
    """Return ``{keyword: the settings of one pass that bear on it}``."""
    found = {}
    for setting in settings_of_pass:
        found.setdefault(setting.line.name, []).append(setting)
    # These releases look at AuthorizedKeysCommand to see whether this one is set already: until it is, the last wins.
    if "AuthorizedPrincipalsCommand" in found and ARGV_SINCE <= release < _OWN_PRINCIPALS_SINCE:
        names = [setting.line.name for setting in settings_of_pass]
        end = names.index("AuthorizedKeysCommand") if "AuthorizedKeysCommand" in names else len(names)
        early = [one for one in settings_of_pass[:end] if one.line.name == "AuthorizedPrincipalsCommand"]
        found["AuthorizedPrincipalsCommand"] = early[-1:]
    return found


_OWN_PRINCIPALS_SINCE = (9, 4)


def _decide(result, tree, name, first, second):
    keyword = (first or second)[0].line.keyword
    if keyword.kind == "ignored" or unsupported(keyword, tree.daemon):
        return
    deciding = deciding_settings(keyword, first, second, tree.daemon.release)
    if not deciding:
        return
    try:
        lines = _spell(keyword, deciding, first, second, tree.daemon)
    except BadValue as exc:
        raise ConfigError(str(_problem(deciding[-1].file, deciding[-1].line, f"{name} {exc}"))) from exc
    except LookupError:
        lines = [" ".join(setting.line.arguments.words) for setting in deciding]
    shadowed = tuple(setting for setting in [*first, *second] if setting not in deciding)
    result[name] = Effective(_printed(name, lines), tuple(deciding), shadowed)


# ChallengeResponseAuthentication and KbdInteractiveAuthentication became one keyword.
_ONE_KEYWORD_SINCE = (8, 7)


def _challenge_response(result, second):
    """Two keywords for one thing: ``ChallengeResponseAuthentication yes`` turned on the other one."""
    challenge, interactive = (
        result.get(name, Effective("yes"))
        for name in ("ChallengeResponseAuthentication", "KbdInteractiveAuthentication")
    )
    if any(setting in second for setting in interactive.deciding):
        return
    if challenge.value == "yes" or not interactive.deciding:
        result["KbdInteractiveAuthentication"] = Effective(challenge.value, challenge.deciding, interactive.deciding)


def _not_copied(release):
    """Keywords that sshd reads in a Match block, and never uses for the connection."""
    return ("PAMServiceName", "SetEnv") if release < (8, 5) else ("PAMServiceName",)


def deciding_settings(keyword, first, second, release):
    """Return those settings of the two passes that decide ``keyword`` (Keyword), in sshd's order (list of Setting)."""
    # An alias can be narrower than its keyword: DSAAuthentication does nothing in a Match block.
    usable = [setting for setting in second if setting.line.keyword.in_match]
    second = [] if keyword.name in _not_copied(release) else usable
    if keyword.kind == "rekey":
        return [*second, *first]
    return sshd_values.counting(keyword, second or first)


def _spell(keyword, deciding, first, second, daemon):
    if keyword.kind == "startups" and keyword.repeat == sshd_keywords.LAST:
        # A line that gives one number leaves the rate that an earlier line set.
        deciding = first
    arguments = [setting.line.arguments for setting in deciding]
    return spelled(keyword, arguments, daemon, in_match=deciding[0] in second)


def spelled(keyword, occurrences, daemon, in_match=False):
    """
    Return the lines that ``sshd -T`` prints for ``occurrences`` of ``keyword`` in the global part, or in a Match block.

    Arguments and errors as for :func:`sshtrail_lib.sshd.values.spell`.
    """
    lines = sshd_values.spell(keyword, occurrences, daemon)
    if not in_match and keyword.name in _cleared(daemon.release) and [line.lower() for line in lines] == ["none"]:
        return _unset(keyword, daemon)
    return lines


def _cleared(release):
    """Keywords whose "none", outside of Match, empties a list; and then sshd prints what it prints for an unset one."""
    return (
        ("ChannelTimeout", "RevokedKeys", "AuthorizedKeysFile") if release >= LONE_NONE_SINCE else ("ChannelTimeout",)
    )


def _unset(keyword, daemon):
    return [] if keyword.name == "AuthorizedKeysFile" else list(daemon.defaults.get(keyword.name, []))


def _printed(name, lines):
    keyword = sshd_keywords.KEYWORDS.get(name.lower())
    return list(lines) if keyword and sshd_keywords.is_list(keyword) else lines[0] if lines else None


def _endpoints(result, tree):
    """ListenAddress without a port means every Port; without a ListenAddress sshd listens on the wildcard."""
    if not {"Port", "ListenAddress", "AddressFamily"} & {name for name, found in result.items() if found.deciding}:
        return
    ports = [int(port) for port in result["Port"].value] if "Port" in result else [22]
    family = result["AddressFamily"].value if "AddressFamily" in result else "any"
    listen = result.get("ListenAddress", Effective(None))
    try:
        addresses = [sshd_values.listen_address(setting.line.arguments) for setting in listen.deciding]
        value = sshd_values.endpoints(addresses, ports, family)
    except BadValue as exc:
        raise ConfigError(f"{tree.path}: ListenAddress {exc}") from exc
    result["ListenAddress"] = listen._replace(value=value)


def problems(tree):
    """
    Return everything for which sshd would refuse ``tree`` (list of Problem), as far as it can be told without sshd.
    """
    found = settings(tree)[1]
    return found or _contradictions(tree)


def _contradictions(tree):
    try:
        values = effective(tree, match.Connection())
    except ConfigError as exc:
        return [Problem(tree.path, 0, 0, "", exc.message)]
    found = []
    for name in ("AuthorizedKeysCommand", "AuthorizedPrincipalsCommand"):
        command, user = values.get(name), values.get(f"{name}User")
        if command and command.value != "none" and not (user and user.deciding):
            setting = command.deciding[0]
            found.append(_problem(setting.file, setting.line, f"{name} needs {name}User"))
    return found + _unsatisfiable(values)


_ENABLED_BY = {
    "publickey": "PubkeyAuthentication",
    "password": "PasswordAuthentication",
    "keyboard-interactive": "KbdInteractiveAuthentication",
    "hostbased": "HostbasedAuthentication",
    "gssapi-with-mic": "GSSAPIAuthentication",
    "gssapi-keyex": "GSSAPIAuthentication",
}


def _unsatisfiable(values):
    methods = values.get("AuthenticationMethods")
    if not methods or not methods.deciding or methods.value == "any":
        return []
    for one in methods.value.split(" "):
        # "none" is no method that can be turned off.
        keywords = [_ENABLED_BY[name] for method in one.split(",") if (name := method.partition(":")[0]) in _ENABLED_BY]
        if all(values.get(keyword) and values[keyword].value == "yes" for keyword in keywords):
            return []
    setting = methods.deciding[0]
    return [_problem(setting.file, setting.line, "AuthenticationMethods cannot be met by the methods that are enabled")]
