"""
What rsyslog does with messages, read from its configuration in both of its languages: writes, forwards, receives.

Sources: rsyslog.conf(5); "Basic structure", "omfwd" and "omfile" in rsyslog's manual; for selectors runtime/conf.c.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator

from sshtrail_lib.base import text
from sshtrail_lib.compliance.facts import Facts
from sshtrail_lib.compliance.finding import NOT_APPLICABLE, Finding, judged

Lines = tuple[tuple[str, str], ...]
#: What facilities the standards want written.
REMOTE_ACCESS = ("auth", "authpriv", "daemon")
#: A statement such as ``action(type="omfwd" …)``, which may have several lines: its kind and its parameters.
STATEMENT = re.compile(
    r"\b(action|module|input|global|ruleset)\s*\(((?:[^()\"]|\"(?:[^\"\\]|\\.)*\")*)\)", re.IGNORECASE | re.DOTALL
)
PARAMETER = re.compile(r"([\w.]+)\s*=\s*\"((?:[^\"\\]|\\.)*)\"")
#: A selector and its action, in the old language: *.* @@host, mail.err -/var/log/mail.err.
SELECTOR = re.compile(r"^\s*([\w*,]+\.[\w*=!;.,-]+)\s+(\S.*)", re.DOTALL)
#: The same as a filter of the new language.
FILTER = re.compile(r"^\s*if\s+prifilt\(\s*[\"']([^\"']+)[\"']\s*\)\s*then\s+(\S.*)", re.DOTALL)
#: One that asks for a facility by its name.
FACILITY = re.compile(r"^\s*if\s*\(?\s*\$syslogfacility-text\s*==\s*[\"'](\w+)[\"']\s*\)?\s*then\s+(\S.*)", re.DOTALL)
#: More that becomes of the messages of the rule before, and what becomes of all messages.
MORE, ALL = re.compile(r"^\s*&\s*(\S.*)", re.DOTALL), re.compile(r"^\s*(action\s*\(.*)", re.DOTALL | re.IGNORECASE)
DIRECTIVE = re.compile(r"^\s*\$(\w+)\s+(\S+)")
#: An action that sends: @host by datagrams, @@host by a stream, behind whatever filter.
REMOTE = re.compile(r"(?:^|[\s{])(@@?|:omrelp:)(?:\([^)]*\))?(\[[^\]]*\]|[\w.-]+)")
#: An action of the old language that writes a file, which nothing below /dev is.
WRITES = re.compile(r"(?:^|[\s{])(?:-?/(?!dev/)|-?\?\w|:omfile:\$)")
OMFILE, DEVICES = ("omfile", "builtin:omfile"), "/dev/"
#: rsyslog takes a mode that begins with a zero alone, and what is not told otherwise has its own.
MODE, OWN_MODE = re.compile(r"0[0-7]{3,4}"), 0o644
#: The ruleset that messages of this host come to.
DEFAULT_RULESET = "rsyslog_defaultruleset"
CALLS = re.compile(r"\bcall\s+(\w+)|^\s*\$DefaultRuleset\s+(\S+)", re.IGNORECASE | re.MULTILINE)
#: Where no other host is.
ITSELF = re.compile(r"\[?(localhost(\.localdomain)?\.?|127(\.\d+){3}|::1)\]?", re.IGNORECASE)
QUOTED = re.compile(r"\"(?:[^\"\\]|\\.)*\"|'[^']*'|(?P<comment>#.*|//.*)")
RECEIVERS = re.compile(r"im(p?tcp|udp|dtls|relp|gssapi|3195)(\.so)?")
LEGACY_RECEIVERS = re.compile(r"(Input(TCP|RELP|PTCP|GSS)|UDP)Server(Run)?$|InputPTCPServerRun$", re.IGNORECASE)
#: The names of a stream's settings (in lower case) in statements, and what begins the next messages' in directives.
STREAM = {
    "StreamDriver": (("streamdriver", "streamdriver.name"), "defaultnetstreamdriver"),
    "StreamDriverMode": (("streamdrivermode", "streamdriver.mode"), "actionsendstreamdrivermode"),
    "StreamDriverAuthMode": (("streamdriverauthmode", "streamdriver.authmode"), "actionsendstreamdriverauthmode"),
}
NOBODY = "no action of rsyslog sends to another host"
SENDERS = ("omfwd", "omrelp")
#: Actions that end what becomes of a message.
THROWN = re.compile(r"[{\s]*(~|stop|discard)[}\s]*", re.IGNORECASE)
ALIASES = {"security": "auth"}
#: Lines of one rule.
LONGEST = 100


class Statement(typing.NamedTuple):
    """A statement: where it begins (str), its ``kind`` and its parameters (dict of str, names in lower case)."""

    place: str
    kind: str
    parameters: dict[str, str]


class Forward(typing.NamedTuple):
    """Where messages go: place, line and target (str), and how (dict of :data:`STREAM`'s names to str)."""

    place: str
    line: str
    target: str
    stream: dict[str, str]


def lines(facts: Facts) -> Lines:
    """Return the lines of rsyslog's configuration without their comments (tuple of ``(place, line)``)."""
    found: list[tuple[str, str]] = []
    inside = False
    for place, line in facts.configs.get("rsyslog") or ():
        said, inside = _uncommented(line, inside)
        if found and found[-1][1].endswith("\\"):
            begun, before = found.pop()
            place, said = begun, before[:-1] + said.lstrip()
        if said.strip():
            found.append((place, said.strip()))
    return tuple(found)


def _local(facts: Facts) -> Lines:
    """Return the lines that messages of this host come to: without the rulesets of what receives those of others."""
    known = lines(facts)
    whole = "\n".join(line for _place, line in known)
    used = {name.lower() for pair in CALLS.findall(whole) for name in pair if name}
    used |= {one.parameters["ruleset"].lower() for one in _statements(known)
             if "ruleset" in one.parameters and not _receiver(one)} | {DEFAULT_RULESET}  # fmt: skip
    for match in STATEMENT.finditer(whole):
        if match[1].lower() == "ruleset" and _parameters(match[2]).get("name", "").lower() not in used:
            end = match.end() + _length(whole[match.end() :])
            whole = whole[: match.end()] + re.sub(r"[^\n]", " ", whole[match.end() : end]) + whole[end:]
    found: list[tuple[str, str]] = []
    ruleset = DEFAULT_RULESET
    # Without a line there is one text.
    for (place, _line), line in zip(known, whole.split("\n"), strict=False):
        directive = DIRECTIVE.match(line)
        if directive and directive[1].lower() == "ruleset":
            ruleset = directive[2].lower()
        # What a directive says is said to all that follows.
        if line.strip() and (directive or ruleset in used):
            found.append((place, line.strip()))
    return tuple(found)


def _length(said: str) -> int:
    """Return how long the block is (int) that a text (str) begins with, 0 for none."""
    depth, bare = 0, QUOTED.sub(lambda match: "x" * len(match[0]), said)
    for match in re.finditer(r"[{}]", bare if bare.lstrip().startswith("{") else ""):
        depth += 1 if match[0] == "{" else -1
        if not depth:
            return match.end()
    return 0


def _uncommented(line: str, inside: bool) -> tuple[str, bool]:
    """Return a line (str) without comments, and whether a comment over several lines goes on after it (bool)."""
    if inside:
        _, end, line = line.partition("*/")
        if not end:
            return "", True
    line = re.sub(r"/\*.*?\*/", "", line)
    before, begun, _ = line.partition("/*")
    # /var/log/*.log is no comment: what begins one stands alone.
    opened = bool(begun) and (not before or before[-1].isspace())
    line = before if opened else line
    comment = next((one for one in QUOTED.finditer(line) if one["comment"] and not line[: one.start()].strip()), None)
    return line[: comment.start()] if comment else _untailed(line), opened


def _untailed(line: str) -> str:
    """Return a line (str) without the comment at its end."""
    comments = (
        one for one in QUOTED.finditer(line) if one["comment"] and line[one.start() - 1 : one.start()].isspace()
    )
    comment = next(comments, None)
    return line[: comment.start()] if comment else line


def statements(facts: Facts) -> Iterator[Statement]:
    """Yield the statements (:class:`Statement`) of rsyslog's configuration, in their order."""
    return _statements(lines(facts))


def _statements(known: Lines) -> Iterator[Statement]:
    whole = "\n".join(line for _place, line in known)
    for match in STATEMENT.finditer(whole):
        parameters = _parameters(match[2])
        # Of what is switched off rsyslog takes nothing.
        if parameters.get("config.enabled", "on") == "on":
            yield Statement(known[whole.count("\n", 0, match.start())][0], match[1].lower(), parameters)


def _parameters(said: str) -> dict[str, str]:
    return {name.lower(): value for name, value in PARAMETER.findall(said)}


def forwards(facts: Facts) -> list[Forward]:
    """Return where rsyslog sends messages to (list of :class:`Forward`): to another host than this one."""
    driver, local = _global(facts), _local(facts)
    found = [_sent(one, driver) for one in _statements(local) if one.kind == "action" and _type(one) in SENDERS]
    return [one for one in (*found, *_legacy(local, driver)) if not ITSELF.fullmatch(one.target)]


def _type(one: Statement) -> str:
    return one.parameters.get("type", "").lower()


def _sent(one: Statement, driver: str) -> Forward:
    """Return what an action of the new language sends (:class:`Forward`)."""
    # omfwd's protocol is udp by default, and a datagram has no stream.
    default = {"protocol": "udp"} if _type(one) == "omfwd" else {}
    said = default | {name: one.parameters[name] for name in ("target", "protocol") if name in one.parameters}
    line = " ".join([f'action(type="{_type(one)}"', *(f'{name}="{value}"' for name, value in said.items())]) + ")"
    stream = dict.fromkeys(STREAM, "")
    if _type(one) == "omfwd" and said["protocol"].lower() == "tcp":
        stream = {key: _first(one.parameters, names) for key, (names, _legacy) in STREAM.items()}
        stream["StreamDriver"] = stream["StreamDriver"] or driver
    if _type(one) == "omrelp" and one.parameters.get("tls", "").lower() == "on":
        named = {"name": "x509/name"}.get(one.parameters.get("tls.authmode", "").lower(), "")
        stream = {"StreamDriver": "gtls", "StreamDriverMode": "1", "StreamDriverAuthMode": named}
    return Forward(one.place, line, said.get("target", ""), stream)


def _legacy(local: Lines, driver: str) -> Iterator[Forward]:
    """Yield the forwards of the old language: each has what the directives before it say."""
    said: dict[str, str] = {}
    for place, line in local:
        directive = DIRECTIVE.match(line)
        if directive:
            said[directive[1].lower()] = directive[2]
        action = REMOTE.search(QUOTED.sub('""', line))
        if action:
            stream = {key: said.get(legacy, "") for key, (_names, legacy) in STREAM.items()}
            stream["StreamDriver"] = stream["StreamDriver"] or driver
            # A datagram has no stream.
            how = stream if action[1] == "@@" else dict.fromkeys(STREAM, "")
            yield Forward(place, line, action[2], how)


def _global(facts: Facts) -> str:
    """Return the stream driver (str) of actions that name none; the last counts."""
    named = [one.parameters.get("defaultnetstreamdriver", "") for one in statements(facts) if one.kind == "global"]
    told = [match[2] for _place, line in lines(facts) if (match := DIRECTIVE.match(line))
            and match[1].lower() == "defaultnetstreamdriver"]  # fmt: skip
    return next((one for one in reversed([*named, *told]) if one), "")


def _first(parameters: dict[str, str], names: tuple[str, ...]) -> str:
    return next((parameters[name] for name in names if name in parameters), "")


# --- The looks ----------------------------------------------------------------------------------------------------


def forwards_away(facts: Facts) -> Finding:
    """Return whether rsyslog sends messages to a log host."""
    if facts.configs.get("rsyslog") is None:
        return judged(False, "rsyslog has no configuration here", "file", 'rsyslog: action(type="omfwd" …)')
    found = forwards(facts)
    told = f"{text.line(found[0].line)} ({found[0].place})" if found else NOBODY
    return judged(bool(found), told, "file", 'rsyslog: action(type="omfwd" target="LOGHOST" protocol="tcp" …)')


def stream(facts: Facts, keyword: str, values: tuple[str, ...]) -> Finding:
    """Return whether rsyslog sends everything as a keyword (str, of :data:`STREAM`) says, with one of these values."""
    found, remedy = forwards(facts), f'rsyslog: {keyword}="{values[0]}"'
    if not found:
        return judged(False, NOBODY, "file", remedy)
    wrong = next((one for one in found if one.stream[keyword].lower() not in values), None)
    one = wrong or found[0]
    told = f"{text.line(one.line)} ({one.place}) has {keyword} {text.line(one.stream[keyword]) or 'unset'}"
    return judged(wrong is None, told, "file", remedy)


def listens_to_nobody(facts: Facts) -> Finding:
    """Return whether rsyslog accepts no messages from others."""
    if facts.configs.get("rsyslog") is None:
        return Finding(NOT_APPLICABLE, "rsyslog is not here")
    found = [f"{one.kind} {said} ({one.place})" for one in statements(facts) for said in [_receiver(one)] if said]
    found += [f"{text.line(line)} ({place})" for place, line in lines(facts) if _receives(line)]
    told = f"rsyslog listens: {found[0]}" if found else "rsyslog listens to nobody"
    return judged(not found, told, "file", "rsyslog: without imtcp, imudp and imrelp")


def _receiver(one: Statement) -> str:
    named = one.parameters.get("load" if one.kind == "module" else "type", "").lower()
    return named if one.kind in ("module", "input") and RECEIVERS.fullmatch(named) else ""


def _receives(line: str) -> bool:
    directive = DIRECTIVE.match(line)
    if not directive:
        return False
    loads = directive[1].lower() == "modload" and RECEIVERS.fullmatch(directive[2].lower().removesuffix(".so"))
    return bool(loads or LEGACY_RECEIVERS.match(directive[1]))


def file_mode(facts: Facts) -> Finding:
    """Return whether rsyslog makes each of its files readable by few."""
    masked, remedy = _masked(facts), "rsyslog: $FileCreateMode 0640"
    told, files = _created(facts)
    # Where nothing is written yet, what is said of files that come counts.
    seen = files or told[1:] or told
    wrong = [(said, mode) for said, mode in seen if mode & ~masked & ~0o640]
    return judged(not wrong, text.line((wrong or seen)[0][0]), "file", remedy)


def _masked(facts: Facts) -> int:
    """Return the bits (int) that no file of rsyslog's gets: the last umask counts."""
    said = [match[2] for _place, line in lines(facts) if (match := DIRECTIVE.match(line))
            and match[1].lower() == "umask"]  # fmt: skip
    said += [one.parameters["umask"] for one in statements(facts) if one.kind == "global" and "umask" in one.parameters]
    return next((int(one, 8) for one in reversed(said) if MODE.fullmatch(one)), 0)


Made = tuple[str, int]


def _created(facts: Facts) -> tuple[list[Made], list[Made]]:
    """
    Return what is said of the modes of files, and what each file gets (two lists of str and int).

    The directive is for actions of the old language that come after it, the module's parameter for those of the new.
    """
    own = ("rsyslog sets no $FileCreateMode: its own is 0644", OWN_MODE)
    old, new, told, files = own, own, [own], []
    for place, line in lines(facts):
        directive = DIRECTIVE.match(line)
        if directive and directive[1].lower() == "filecreatemode" and MODE.match(directive[2]):
            old = (f"$FileCreateMode {directive[2]} ({place})", int(directive[2][:4], 8))
            told = [*told[:1], old]
        elif not directive and WRITES.search(QUOTED.sub('""', line)):
            files.append((f"{line} ({place}): {old[0]}", old[1]))
    for one in statements(facts):
        mode = one.parameters.get("filecreatemode", "")
        said = (f"$FileCreateMode {mode} ({one.place})", int(mode, 8)) if MODE.fullmatch(mode) else None
        if one.kind == "module" and one.parameters.get("load", "").lower() == OMFILE[1] and said and new is own:
            new = said
            told.append(new)
        elif one.kind == "action" and _type(one) in OMFILE and not _device(one.parameters):
            files.append(said or (f"omfile ({one.place}): {new[0]}", new[1]))
    return told, files


def _device(parameters: dict[str, str]) -> bool:
    return parameters.get("file", "").startswith(DEVICES)


def writes(facts: Facts, *facilities: str) -> Finding:
    """Return whether rsyslog writes the messages of these facilities (str) to a file, whatever their priority."""
    if facts.configs.get("rsyslog") is None:
        return judged(False, "rsyslog has no configuration here", "file", "rsyslog: auth,authpriv.* /var/log/auth.log")
    written: dict[str, str] = {}
    for place, selector, action in _rules(facts):
        taken = [name for name in facilities if name not in written and takes(selector, name)]
        path = _file(action)
        # What is thrown away reaches no later line.
        if path or THROWN.fullmatch(action):
            written |= dict.fromkeys(taken, f"{text.line(path)} ({place})" if path else "")
    missing = [name for name in facilities if not written.get(name)]
    told = ", ".join(f"{name} to {where}" for name, where in written.items())
    if missing:
        told = f"rsyslog writes no {', '.join(missing)}"
    return judged(not missing, told, "file", f"rsyslog: {','.join(missing)}.* /var/log/…")


def _rules(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Yield the place, the selector and the action (str each) of each rule, which may have several lines."""
    known, selector, depth = _local(facts), "", 0
    for at, (place, line) in enumerate(known):
        begun, action = _begun(line, selector, depth)
        selector = begun if begun or not depth else selector
        depth += _depth(line)
        for _place, more in known[at + 1 : at + LONGEST] if begun else ():
            if _depth(action) <= 0:
                break
            action += f"\n{more}"
        if begun:
            yield place, begun, action


def _begun(line: str, before: str, depth: int) -> tuple[str, str]:
    """Return the selector and the action (two str) that a line begins, empty for none; ``before`` it that was (str)."""
    match = SELECTOR.match(line) or FILTER.match(line)
    if match:
        return match[1], match[2]
    if match := FACILITY.match(line):
        return f"{match[1]}.*", match[2]
    if match := MORE.match(line):
        return before, match[1]
    match = ALL.match(line)
    return ("*.*", match[1]) if match and not depth else ("", "")


def _depth(said: str) -> int:
    """Return how many brackets and braces a text (str) opens and does not close (int)."""
    said = QUOTED.sub("", said)
    return sum(map(said.count, "({")) - sum(map(said.count, ")}"))


def _file(action: str) -> str:
    """Return the file (str) that an action writes to, or the template of its name; empty for none."""
    said = action.strip("{} \t\n").lstrip("-")
    if said.startswith(("/", "?", ":omfile:$")):
        return "" if said.startswith(DEVICES) else re.split(r"[;\s}]", said)[0]
    for one in _statements(tuple(("", line) for line in said.split("\n"))):
        if one.kind == "action" and _type(one) in OMFILE and not _device(one.parameters):
            return one.parameters.get("file") or one.parameters.get("dynafile", "")
    return ""


def takes(selector: str, facility: str) -> bool:
    """Tell whether a selector (str) takes all messages of a facility (str): the last word on it counts."""
    taken = False
    # A comma ends a priority as a semicolon does: "auth.*,authpriv.*" is two of them.
    for names, priority in re.findall(r"([\w*,]+)\.([=!\w*-]+)[,;]?", selector.lower()):
        if {facility, "*"} & {ALIASES.get(name, name) for name in names.split(",")}:
            taken = priority in ("*", "debug")
    return taken
