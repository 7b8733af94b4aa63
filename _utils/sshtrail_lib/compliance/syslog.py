"""
What rsyslog does with the messages of its host, read from its configuration: writes, forwards, receives.

What becomes of a message can depend on what it says, which is not known here. Then what is asked for is only met where
it is met either way.

Sources: rsyslog.conf(5); "Basic structure", "omfwd" and "omfile" in rsyslog's manual.
"""

from __future__ import annotations

import functools
import re
import typing
from collections.abc import Iterable, Iterator, Mapping

from sshtrail_lib.base import text
from sshtrail_lib.compliance import courses, filters, rsyslog
from sshtrail_lib.compliance.courses import Does
from sshtrail_lib.compliance.facts import Facts
from sshtrail_lib.compliance.finding import NOT_APPLICABLE, UNKNOWN, Finding, judged
from sshtrail_lib.compliance.rsyslog import Known, Lines, Statement

#: What facilities the standards want written.
REMOTE_ACCESS = ("auth", "authpriv", "daemon")
#: A selector and its action, in the old language: *.* @@host, mail.err -/var/log/mail.err.
SELECTOR = re.compile(r"^\s*([\w*,]+\.[\w*=!;.,-]+)\s+(\S.*)", re.DOTALL)
OMFILE, DEVICES = "omfile", "/dev/"
#: rsyslog takes a mode that begins with a zero alone, and what is not told otherwise has its own.
MODE, OWN_MODE = re.compile(r"0[0-7]{3,4}"), 0o644
#: Where no other host is.
ITSELF = re.compile(r"\[?(localhost(\.localdomain)?\.?|127(\.\d+){3}|::1)\]?", re.IGNORECASE)
RECEIVERS = re.compile(r"im(p?tcp|udp|dtls|relp|gssapi|3195)(\.so)?")
LEGACY_RECEIVERS = re.compile(r"(Input(TCP|RELP|PTCP|GSS)|UDP)Server(Run)?$|InputPTCPServerRun$", re.IGNORECASE)
#: Where the messages of the host come from: the socket that programs write to, and journald to where it forwards.
SOCKETS = ("/dev/log", "/run/systemd/journal/syslog", "/var/run/systemd/journal/syslog")
#: The names of a stream's settings (in lower case) in statements, and what begins the next messages' in directives.
STREAM = {
    "StreamDriver": (("streamdriver", "streamdriver.name"), "defaultnetstreamdriver"),
    "StreamDriverMode": (("streamdrivermode", "streamdriver.mode"), "actionsendstreamdrivermode"),
    "StreamDriverAuthMode": (("streamdriverauthmode", "streamdriver.authmode"), "actionsendstreamdriverauthmode"),
}
NOBODY = "no action of rsyslog sends to another host"
SENDERS = ("omfwd", "omrelp", "omdtls")
#: Actions that leave a message on its host; what others do with it is not known here.
STAYS = ("omfile", "omusrmsg", "ompipe", "omdiscard", "omjournal", "omstdout", "omtesting", "omruleset", "other")
#: A template that has the message in it, or one that is made otherwise than of a text.
HAS_MESSAGE = re.compile(r"msg|\$!|jsonmesg|\bsubtree\b|\bplugin\b", re.IGNORECASE)


class Forward(typing.NamedTuple):
    """Where messages go: place, line and target (str), and how (dict of :data:`STREAM`'s names to str)."""

    place: str
    line: str
    target: str
    stream: dict[str, str]


def lines(facts: Facts) -> Lines:
    """Return the lines of rsyslog's configuration (tuple of ``(place, line)``)."""
    return rsyslog.joined(facts.configs.get("rsyslog") or ())


@functools.lru_cache(maxsize=8)
def _read(known: Lines) -> Known:
    return rsyslog.read(known)


def known(facts: Facts) -> Known:
    """Return what rsyslog's configuration says (:class:`~sshtrail_lib.compliance.rsyslog.Known`)."""
    return _read(tuple(facts.configs.get("rsyslog") or ()))


def reads(facts: Facts) -> list[str]:
    """Return where rsyslog is told to take the messages of this host (list of str: file and line)."""
    told = known(facts)
    found = [one.place for one in told.objects if _source(one)]
    says = {name: value.lower() for name, value, _place in told.directives}
    for name, value, place in told.directives:
        module = value.lower().removesuffix(".so")
        if name == "modload" and (
            module == "imjournal" or (module == "imuxsock" and says.get("omitlocallogging") != "on")
        ):
            found.append(place)
        found += [place] if name == "addunixlistensocket" and value in SOCKETS else []
    return found


def _source(one: Statement) -> bool:
    module = one.parameters.get("load" if one.kind == "module" else "type", "").lower().removesuffix(".so")
    if one.kind == "input" and module == "imuxsock":
        return one.parameters.get("socket") in SOCKETS
    own = module == "imuxsock" and one.parameters.get("syssock.use", "on").lower() in ("on", "yes", "1")
    return one.kind in ("module", "input") and (own or module == "imjournal")


def _judged(told: Known, facilities: Iterable[int], does: Does, what: str, remedy: str) -> Finding:
    good, wrong, unsure = courses.weighed(told, _entries(told), facilities, does)
    if wrong:
        return judged(False, f"rsyslog {what} no {courses.lacking(wrong)}", "file", remedy)
    if unsure:
        why = next(iter(unsure.values()))
        names = ", ".join(filters.NAMES[one] for one in unsure)
        which = f"each message of {names}" if len(unsure) < len(filters.COMMON) else "every message"
        said = f"whether rsyslog {what} {which} depends on what it says: {why}"
        return Finding(UNKNOWN, said, "file", remedy)
    return judged(True, ", ".join(f"{filters.NAMES[one]} to {where}" for one, where in good.items()), "file")


def _refused(facts: Facts) -> Finding | None:
    """Return that nobody can weigh rsyslog's configuration (:class:`Finding`), None where one can."""
    broken = known(facts).broken
    return Finding(UNKNOWN, text.line(f"what rsyslog makes of this is not known here: {broken}")) if broken else None


# --- Actions ------------------------------------------------------------------------------------------------------


def _type(one: Statement) -> str:
    return one.parameters.get("type", "").lower()


def _file(told: Known) -> Does:
    """Return what tells the file that an action writes whole messages to (callable)."""
    templates = _templates(told)

    def does(one: Statement) -> str | None:
        path = one.parameters.get("file") or one.parameters.get("dynafile", "")
        if _type(one) != OMFILE or not path or path.startswith(DEVICES):
            return ""
        made = path if "file" not in one.parameters else ""
        where = f"{text.line(path if not made else f'?{made}' if one.old else made)} ({one.place})"
        return where if not made or made in templates else ""

    return lambda one: _as_template(one, templates, does(one))


def _as_template(one: Statement, templates: Mapping[str, bool], where: str | None) -> str | None:
    """Return where an action does it (str), empty where rsyslog has no such template, None without the message."""
    name = one.parameters.get("template", "")
    if not where or not name or name.startswith(("RSYSLOG_", "StdJSONFmt")):
        return where
    has = templates.get(name)
    return "" if has is None else where if has else None


def _templates(told: Known) -> dict[str, bool]:
    """Return the templates by name (dict of str), and whether a message is in each (bool)."""
    found = {
        one.parameters.get("name", ""): bool(HAS_MESSAGE.search(" ".join(one.parameters.values())))
        for one in told.objects
        if one.kind == "template"
    }
    for name, value, _place in told.directives:
        named, comma, said = value.partition(",")
        if name == "template" and comma:
            # One that begins with an equal sign is made by a module.
            found[named.strip()] = bool(HAS_MESSAGE.search(said)) or said.strip().startswith("=")
    return found


def _away(told: Known) -> Does:
    """Return what tells where an action sends messages to (callable)."""
    templates, driver = _templates(told), _global(told)

    def does(one: Statement) -> str | None:
        if _type(one) in SENDERS:
            sent = _sent(one, driver)
            return f"{text.line(sent.line)} ({one.place})" if _elsewhere(sent) else ""
        known_here = _type(one) in STAYS or _type(one).startswith("mm")
        return "" if known_here else None

    return lambda one: _as_template(one, templates, does(one))


def _elsewhere(one: Forward) -> bool:
    # Of several targets in one action rsyslog takes one after the other.
    return bool(one.target) and not all(ITSELF.fullmatch(each) for each in one.target.split())


def forwards(facts: Facts) -> list[Forward]:
    """Return where rsyslog can send messages of this host to (list of :class:`Forward`): to another one."""
    told = known(facts)
    driver, met = _global(told), _reached(told)
    found = [_sent(one, driver) for one in met if one.kind == "action" and _type(one) in SENDERS]
    return [one for one in found if _elsewhere(one)]


def _entries(told: Known) -> list[str]:
    """Return the rulesets (list of str) that the messages of this host come to first."""
    named = [value.lower() for name, value, _place in told.directives if name == "defaultruleset"]
    # The socket of programs has the default one, always.
    journal = [one.parameters["ruleset"].lower() for one in told.objects if one.parameters.get("type") == "imjournal"
               and "ruleset" in one.parameters]  # fmt: skip
    return list(dict.fromkeys([(named or [rsyslog.DEFAULT])[-1], *journal]))


def _reached(told: Known) -> list[Statement]:
    """Return the statements that messages of this host can come to (list of Statement), also by calls."""
    waiting, found, seen = [*_entries(told), *_bound(told)], [], set()
    while waiting:
        name = waiting.pop(0)
        if name not in seen:
            seen.add(name)
            several = list(rsyslog.steps(told.rulesets.get(name, ())))
            found += several
            waiting += [one.parameters["name"] for one in several if one.kind == "call"]
    return found


def _bound(told: Known) -> list[str]:
    """Return the rulesets (list of str) of inputs that are no receivers of others' messages."""
    inputs = [one for one in told.objects if one.kind in ("input", "module") and not _receiver(one)]
    return [one.parameters["ruleset"].lower() for one in inputs if "ruleset" in one.parameters]


def _sent(one: Statement, driver: str) -> Forward:
    """Return what an action sends (:class:`Forward`)."""
    parameters = one.parameters
    if one.old:
        stream = {key: one.before.get(legacy, ("", ""))[0] for key, (_names, legacy) in STREAM.items()}
        stream["StreamDriver"] = stream["StreamDriver"] or driver
        # A datagram has no stream.
        how = stream if parameters.get("protocol") == "tcp" else dict.fromkeys(STREAM, "")
        return Forward(one.place, one.said, parameters.get("target", ""), how)
    # omfwd's protocol is udp by default, and a datagram has no stream.
    default = {"protocol": "udp"} if _type(one) == "omfwd" else {}
    said = default | {name: parameters[name] for name in ("target", "protocol") if name in parameters}
    line = " ".join([f'action(type="{_type(one)}"', *(f'{name}="{value}"' for name, value in said.items())]) + ")"
    stream = dict.fromkeys(STREAM, "")
    if _type(one) == "omfwd" and said["protocol"].lower() == "tcp":
        stream = {key: _first(parameters, names) for key, (names, _legacy) in STREAM.items()}
        stream["StreamDriver"] = stream["StreamDriver"] or driver
    if _type(one) == "omrelp" and parameters.get("tls", "").lower() == "on":
        named = {"name": "x509/name"}.get(parameters.get("tls.authmode", "").lower(), "")
        stream = {"StreamDriver": "gtls", "StreamDriverMode": "1", "StreamDriverAuthMode": named}
    return Forward(one.place, line, said.get("target", "") or parameters.get("targetsrv", ""), stream)


def _global(told: Known) -> str:
    """Return the stream driver (str) of actions that name none; the last counts."""
    named = [one.parameters.get("defaultnetstreamdriver", "") for one in told.objects if one.kind == "global"]
    said = [value for name, value, _place in told.directives if name == "defaultnetstreamdriver"]
    return next((one for one in reversed([*named, *said]) if one), "")


def _first(parameters: Mapping[str, str], names: tuple[str, ...]) -> str:
    return next((parameters[name] for name in names if name in parameters), "")


# --- The looks ----------------------------------------------------------------------------------------------------


def forwards_away(facts: Facts) -> Finding:
    """Return whether rsyslog sends all messages of this host to a log host."""
    remedy = 'rsyslog: *.* action(type="omfwd" target="LOGHOST" protocol="tcp" …)'
    if facts.configs.get("rsyslog") is None:
        return judged(False, "rsyslog has no configuration here", "file", remedy)
    found = _refused(facts) or _taken(facts)
    if found:
        return found
    told = known(facts)
    found = _judged(told, filters.COMMON, _away(told), "sends away", remedy)
    sent = forwards(facts)
    if not sent and found.status != UNKNOWN:
        return judged(False, NOBODY, "file", remedy)
    line = f"{text.line(sent[0].line)} ({sent[0].place})" if sent else ""
    # Of a list of all facilities nobody would see the line.
    return found._replace(evidence=line if found.holds else f"{found.evidence}; {line}" if line else found.evidence)


def sends(facts: Facts, facility: str, priority: str) -> Finding:
    """Return whether rsyslog sends messages of a ``facility`` and ``priority`` (str each) to a log host."""
    found = _refused(facts) or _taken(facts)
    if found:
        return found
    told = known(facts)
    message = filters.Message(filters.FACILITIES[facility], filters.PRIORITIES[priority])
    ends = courses.ends(told, _entries(told), message, _away(told))
    if len(ends) > 1:
        return Finding(UNKNOWN, f"whether rsyslog sends it away depends on what it says: {ends[False]}")
    return judged(True in ends, f"rsyslog sends to {ends[True]}" if True in ends else "rsyslog does not send it away",
                  "file", 'rsyslog: *.* action(type="omfwd" target="LOGHOST" protocol="tcp" …)')  # fmt: skip


def _taken(facts: Facts) -> Finding | None:
    """Return that rsyslog takes no messages of its own host (:class:`Finding`), None where it does."""
    told = "rsyslog takes no messages of this host: neither imuxsock nor imjournal is loaded"
    return None if reads(facts) else judged(False, told, "file", 'rsyslog: module(load="imuxsock")')


def stream(facts: Facts, keyword: str, values: tuple[str, ...]) -> Finding:
    """Return whether rsyslog sends everything as a keyword (str, of :data:`STREAM`) says, with one of these values."""
    found, remedy = forwards(facts), f'rsyslog: {keyword}="{values[0]}"'
    if known(facts).broken:
        return typing.cast(Finding, _refused(facts))
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
    told = known(facts)
    found = [f"{one.kind} {said} ({one.place})" for one in told.objects for said in [_receiver(one)] if said]
    found += [
        f"${name} {text.line(value)} ({place})" for name, value, place in told.directives if _receives(name, value)
    ]
    if not found and told.broken:
        return typing.cast(Finding, _refused(facts))
    said = f"rsyslog listens: {found[0]}" if found else "rsyslog listens to nobody"
    return judged(not found, said, "file", "rsyslog: without imtcp, imudp and imrelp")


def _receiver(one: Statement) -> str:
    named = one.parameters.get("load" if one.kind == "module" else "type", "").lower()
    return named if one.kind in ("module", "input") and RECEIVERS.fullmatch(named) else ""


def _receives(name: str, value: str) -> bool:
    loads = name == "modload" and RECEIVERS.fullmatch(value.lower().removesuffix(".so"))
    return bool(loads or LEGACY_RECEIVERS.match(name))


def file_mode(facts: Facts) -> Finding:
    """Return whether rsyslog makes each of its files readable by few."""
    told = known(facts)
    masked, remedy = _masked(told), "rsyslog: $FileCreateMode 0640"
    said, files = _created(told)
    # Where nothing is written yet, what is said of files that come counts.
    seen = files or said[1:] or said
    wrong = [one for one in seen if one[1] & ~masked & ~0o640]
    if not wrong and told.broken:
        return typing.cast(Finding, _refused(facts))
    return judged(not wrong, text.line((wrong or seen)[0][0]), "file", remedy)


def _masked(told: Known) -> int:
    """Return the bits (int) that no file of rsyslog's gets: the last umask counts."""
    said = [value for name, value, _place in told.directives if name == "umask"]
    said += [one.parameters["umask"] for one in told.objects if one.kind == "global" and "umask" in one.parameters]
    return next((int(one, 8) for one in reversed(said) if MODE.fullmatch(one)), 0)


Made = tuple[str, int]


def _created(told: Known) -> tuple[list[Made], list[Made]]:
    """
    Return what is said of the modes of files, and what each file gets (two lists of str and int).

    The directive is for actions of the old language that come after it, the module's parameter for those of the new.
    """
    own = ("rsyslog sets no $FileCreateMode: its own is 0644", OWN_MODE)
    said = [_mode(value, place) for name, value, place in told.directives if name == "filecreatemode"]
    modules = [_mode(value, place) for name, value, place in told.directives if name == rsyslog.OF_THE_MODULE]
    files = [_made(one, own) for one in _writers(told)]
    return [own, *(one for one in (*said, *modules) if one)], files


def _writers(told: Known) -> Iterator[Statement]:
    for one in rsyslog.actions(told):
        path = one.parameters.get("file") or one.parameters.get("dynafile", "")
        if _type(one) == OMFILE and path and not path.startswith(DEVICES):
            yield one


def _made(one: Statement, own: Made) -> Made:
    """Return what is said of the mode of an action's file (str), and that mode (int)."""
    if not one.old:
        new = _mode(*one.before.get(rsyslog.OF_THE_MODULE, ("", ""))) or own
        mode = _mode(one.parameters.get("filecreatemode", ""), one.place)
        return mode or (f"omfile ({one.place}): {new[0]}", new[1])
    said = _mode(*one.before.get("filecreatemode", ("", ""))) or own
    return (f"{one.said} ({one.place}): {said[0]}", said[1])


def _mode(value: str, place: str) -> Made | None:
    return (f"$FileCreateMode {value} ({place})", int(value[:5], 8)) if MODE.fullmatch(value) else None


def writes(facts: Facts, *facilities: str) -> Finding:
    """Return whether rsyslog writes the messages of these facilities (str) to a file, whatever their priority."""
    remedy = f"rsyslog: {','.join(facilities)}.* /var/log/…"
    if facts.configs.get("rsyslog") is None:
        return judged(False, "rsyslog has no configuration here", "file", remedy)
    told = known(facts)
    numbers = [filters.FACILITIES[name] for name in facilities]
    return _refused(facts) or _taken(facts) or _judged(told, numbers, _file(told), "writes", remedy)


def takes(selector: str, facility: str) -> bool:
    """Tell whether a selector (str) takes all messages of a facility (str)."""
    try:
        return filters.selected(selector).get(filters.FACILITIES[facility], 0) == filters.ALL
    except filters.Refused:
        return False
