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
    r"\b(action|module|input|global)\s*\(((?:[^()\"]|\"(?:[^\"\\]|\\.)*\")*)\)", re.IGNORECASE | re.DOTALL
)
PARAMETER = re.compile(r"([\w.]+)\s*=\s*\"((?:[^\"\\]|\\.)*)\"")
#: A selector and its action, in the old language: *.* @@host, mail.err -/var/log/mail.err.
SELECTOR = re.compile(r"^\s*([\w*,]+\.[\w*=!;.,-]+)\s+(\S.*)", re.DOTALL)
#: The same as a filter of the new language.
FILTER = re.compile(r"^\s*if\s+prifilt\(\s*[\"']([^\"']+)[\"']\s*\)\s*then\s+(\S.*)", re.DOTALL)
DIRECTIVE = re.compile(r"^\s*\$(\w+)\s+(\S+)")
#: An action that sends: @host by datagrams, @@host by a stream, behind whatever filter.
REMOTE = re.compile(r"(?:^|[\s{])(@@?|:omrelp:)(?:\([^)]*\))?(\[[^\]]*\]|[\w.-]+)")
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
    found = []
    inside = False
    for place, line in facts.configs.get("rsyslog") or ():
        said, inside = _uncommented(line, inside)
        if said.strip():
            found.append((place, said.strip()))
    return tuple(found)


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
    known = lines(facts)
    whole = "\n".join(line for _place, line in known)
    for match in STATEMENT.finditer(whole):
        parameters = {name.lower(): value for name, value in PARAMETER.findall(match[2])}
        yield Statement(known[whole.count("\n", 0, match.start())][0], match[1].lower(), parameters)


def forwards(facts: Facts) -> list[Forward]:
    """Return where rsyslog sends messages to (list of :class:`Forward`): to another host than this one."""
    driver = _global(facts)
    found = [_sent(one, driver) for one in statements(facts) if one.kind == "action" and _type(one) in SENDERS]
    return [one for one in (*found, *_legacy(facts, driver)) if not ITSELF.fullmatch(one.target)]


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


def _legacy(facts: Facts, driver: str) -> Iterator[Forward]:
    """Yield the forwards of the old language: each has what the directives before it say."""
    said: dict[str, str] = {}
    for place, line in lines(facts):
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
    """Return whether rsyslog makes its files readable by few."""
    modes = [(place, match[2]) for place, line in lines(facts) if (match := DIRECTIVE.match(line))
             and match[1].lower() == "filecreatemode"]  # fmt: skip
    modes += [(one.place, one.parameters["filecreatemode"]) for one in statements(facts)
              if "filecreatemode" in one.parameters]  # fmt: skip
    remedy = "rsyslog: $FileCreateMode 0640"
    if not modes:
        return judged(False, "rsyslog sets no $FileCreateMode: its own is 0644", "file", remedy)
    wrong = [one for one in modes if not re.fullmatch("[0-7]+", one[1]) or int(one[1], 8) & ~0o640]
    place, mode = (wrong or modes)[0]
    return judged(not wrong, f"$FileCreateMode {text.line(mode)} ({place})", "file", remedy)


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
    known = lines(facts)
    for at, (place, line) in enumerate(known):
        match = SELECTOR.match(line) or FILTER.match(line)
        action = match[2] if match else ""
        for _place, more in known[at + 1 : at + LONGEST] if match else ():
            if not _open(action):
                break
            action += f"\n{more}"
        if match:
            yield place, match[1], action


def _open(action: str) -> bool:
    said = QUOTED.sub("", action)
    return any(said.count(begun) > said.count(ended) for begun, ended in ("()", "{}"))


def _file(action: str) -> str:
    """Return the file (str) that an action writes to, or the template of its name; empty for none."""
    said = action.strip("{} \t\n").lstrip("-")
    if said.startswith(("/", "?")):
        return re.split(r"[;\s}]", said)[0]
    for match in STATEMENT.finditer(said):
        parameters = {name.lower(): value for name, value in PARAMETER.findall(match[2])}
        if match[1].lower() == "action" and parameters.get("type", "").lower() == "omfile":
            return parameters.get("file") or parameters.get("dynafile", "")
    return ""


def takes(selector: str, facility: str) -> bool:
    """Tell whether a selector (str) takes all messages of a facility (str): the last word on it counts."""
    taken = False
    # A comma ends a priority as a semicolon does: "auth.*,authpriv.*" is two of them.
    for names, priority in re.findall(r"([\w*,]+)\.([=!\w*-]+)[,;]?", selector.lower()):
        if {facility, "*"} & {ALIASES.get(name, name) for name in names.split(",")}:
            taken = priority in ("*", "debug")
    return taken
