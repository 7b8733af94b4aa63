"""
Who made a difference: which event of the audit log explains it, and nobody where no event does.

The kernel tells who changed its rules and settings (CONFIG_CHANGE), and, by a watch, who changed a file (SYSCALL with
PATH). What programs write into the log (``USER_…`` records) counts for nothing here: anybody's text may stand there.
Sources: the kernel's auditfilter.c and audit.c as Linux 6.18 has them, audit.rules(7), auditd's DAEMON_END record.
"""

from __future__ import annotations

import posixpath
import re
import typing
from collections.abc import Callable, Collection, Iterable, Mapping

from sshtrail_lib.base import text
from sshtrail_lib.trail.audit_log import Event

#: The kernel's word for "no login" (linux/audit.h: AUDIT_UID_UNSET, AUDIT_SID_UNSET).
UNSET = 0xFFFFFFFF
SUCCESS = ("1", "yes", "success")
VERBS = {"add_rule": "added", "remove_rule": "removed", "set": "changed", "terminate": "stopped"}
#: The kernel's numbers for the lists of rules, and how a rule line names its list; a watch is on the list exit.
LISTS = {"user": "0", "task": "1", "exit": "4", "exclude": "5", "filesystem": "6", "io_uring": "7"}
ON_LIST = re.compile(r"-a (?:always|never),([a-z_]+)")
NUMBER = re.compile("[0-9]{1,10}")
PLAIN = re.compile(r"[\w.+-]+")


# One difference, as :mod:`sshtrail_lib.drift.difference` makes it.
Difference = Mapping[str, typing.Any]


class Trail(typing.NamedTuple):
    """
    What an attribution goes by.

    events
        Of the audit log, in its order (list of :class:`sshtrail_lib.trail.audit_log.Event`).
    watches
        What is watched for changes: ``[(path, key), …]``.
    keys
        The keys that a rule line gives to its records (callable: str → tuple of str, or None for a line that nobody
        can read).
    files
        The files, and the directories with all their files, that decide a difference (callable: dict → list of str).
    after
        When nothing differed for the last time (float, seconds since the epoch; 0 when that is not known).
    name_of
        An account's number to its name (callable: int → str or None).
    changed
        When a file last changed (callable: path → seconds since the epoch, or None).
    now
        The present (float, seconds since the epoch): what is said to come later is not believed.
    """

    events: list[Event]
    watches: list[tuple[str, str]]
    keys: Callable[[str], tuple[str, ...] | None]
    files: Callable[[Difference], list[str]]
    after: float
    name_of: Callable[[int], str | None]
    changed: Callable[[str], float | None]
    now: float


def attribute(differences: Iterable[Difference], trail: Trail) -> list[dict[str, typing.Any]]:
    """
    Return the differences (list of dict) with ``since`` and ``by`` filled in where the :class:`Trail` tells.

    ``since`` is a time as ISO 8601 in UTC. ``by`` has ``auid`` (int, None for no login), ``user`` (str or None),
    ``session`` (int or None), ``exe`` and ``comm`` (str or None), ``time`` (as ``since``) and ``op`` (str: what was
    done). Both are None where nobody knows.
    """
    # A record with a time that is yet to come is somebody's text, or of another clock.
    trail = trail._replace(events=[event for event in trail.events if event.time <= trail.now])
    rules = _rule_changes([event for event in trail.events if event.time >= trail.after])
    return [_attributed(found, trail, rules) for found in differences]


def _attributed(found, trail, rules):
    event, verb = _explained(found, trail, rules)
    if event and _names_somebody(event):
        by = _by(event, verb, trail.name_of)
        return {**found, "since": by["time"], "by": by}
    times = [time for path in trail.files(found) if (time := trail.changed(path))]
    return {**found, "since": text.iso(max(times)) if times else None}


def _explained(found, trail, rules):
    """Return the event that explains a difference and what it did, or None and ""."""
    if found["layer"] == "kernel" and isinstance(found["actual"], int):
        return _setting(found, trail.events), "changed"
    if found["layer"] == "kernel":
        undone = "add_rule" if found["expected"] is None else "remove_rule"
        return _of_one_person(rules[undone].get(_keys(found["what"], trail), [])), VERBS[undone]
    if found["layer"] == "service" and found["what"] == "auditd running":
        return _ended(trail.events), VERBS["terminate"]
    return _written(trail, set(trail.files(found)))


def _of_one_person(events):
    """Return the last of ``events``, None when they are of several people: rules share a key, and it tells no more."""
    return events[-1] if len({_person(event) for event in events}) == 1 else None


def _keys(line, trail):
    """Return the list and the keys of a rule line (tuple) as records show them, None for one that nobody can read."""
    keys, on = trail.keys(line), ON_LIST.match(line)
    return None if keys is None else (LISTS.get(on[1] if on else "exit"), *map(_as_recorded, keys))


def _as_recorded(key):
    return text.printable(key.encode("utf-8", "surrogateescape"))


def files_of(found: Difference, auditd_conf: str, sources: Collection[str]) -> list[str]:
    """
    Return the files (list of str) whose change can have made a difference.

    found
        The difference (dict).
    auditd_conf
        The path of auditd.conf (str).
    sources
        The files of sshd's configuration, and the directories in which one more would count (collection of str).
    """
    if found["layer"] in ("file", "compiled"):
        # A rules file is named itself; what else this layer has are keywords of auditd.conf.
        return [found["what"] if posixpath.isabs(found["what"]) else auditd_conf]
    if found["layer"] == "effective" or found["what"] == "sshd":
        return list(sources)
    return [auditd_conf] if found["what"] == "auditd" else []


# --- Rules and settings: what the kernel says of itself -----------------------------------------------------------


def _rule_changes(events):
    """
    Return, for each operation, the events that nothing has undone since: ``{op: {(list, key, …): [event, …]}}``.

    The kernel names the list and the keys of the rule, not the rule: one that is added again answers for one that was
    removed. What was added at first and removed later is gone all the same, so that each operation is counted for
    itself.
    """
    held: dict[str, dict[tuple[str | None, ...], list[Event]]] = {"add_rule": {}, "remove_rule": {}}
    for event, record in _config_changes(events):
        keys, done = (record.text("list"), *record.keys), record.text("op")
        if done in held:
            [undone] = set(held) - {done}
            held[done].setdefault(keys, []).append(event)
            del held[undone].get(keys, [])[-1:]
    return held


def _setting(found, events):
    """Return the last event that gave a setting of the kernel the value which it has now, or None."""
    name, last = f"audit_{found['what']}", None
    for event, record in _config_changes(events):
        if record.text(name) is not None:
            last = event if record.text(name) == str(found["actual"]) else None
    return last


def _config_changes(events):
    """Yield the events in which the kernel's audit configuration changed, and the record that says so."""
    for event in events:
        for record in event.records:
            if record.type == "CONFIG_CHANGE" and record.fields.get("res") == b"1":
                yield event, record


def _ended(events):
    """Return the event in which auditd was told to end, unless it started again after that."""
    last = None
    for event in events:
        if event.first("DAEMON_START"):
            last = None
        last = event if event.first("DAEMON_END") else last
    return last


# --- Files: what the watches say --------------------------------------------------------------------------------


def _written(trail, paths):
    """
    Return the last event that changed one of ``paths`` (set of str), and what it did to it; None and "" for none.

    When it is known since when nothing differed, all that changed them since then must have been the same person:
    which of two made the difference is not in the log.
    """
    keys = {_as_recorded(key) for watched, key in trail.watches if any(_below(path, watched) for path in paths)}
    found = [(event, verb) for event in trail.events if (verb := _change(event, keys, paths))]
    late = [pair for pair in found if pair[0].time >= trail.after]
    if trail.after:
        return (_of_one_person([event for event, _ in late]), late[-1][1]) if late else (None, "")
    return late[-1] if late else (None, "")


def _below(path, watched):
    return path == watched or path.startswith(watched.rstrip("/") + "/")


def _change(event, keys, paths):
    """Return what an event did to one of the ``paths``: a verb, or "" when it did nothing to them."""
    call = event.first("SYSCALL")
    if not call or call.text("success") != "yes" or not keys & set(event.keys):
        return ""
    named = ((_path(event, record), record.text("nametype")) for record in event.records)
    # A directory stands for the files in it: one that is gone is in no list.
    kinds = {kind for path, kind in named if path and (path in paths or posixpath.dirname(path) in paths)}
    kinds -= {"PARENT", None}
    if not kinds:
        return ""
    return "removed" if kinds == {"DELETE"} else "created" if kinds == {"CREATE"} else "changed"


def _path(event, record):
    """Return the absolute path (str) that a PATH record names, None for another record."""
    name = record.fields.get("name") if record.type == "PATH" else None
    if name is None or name == b"(null)":
        return None
    directory = event.first("CWD")
    start = directory.fields.get("cwd", b"/") if directory else b"/"
    return posixpath.normpath(posixpath.join(start, name)).decode("utf-8", "surrogateescape")


# --- Who ----------------------------------------------------------------------------------------------------------


def _person(event):
    who = _who(event)
    return who.text("auid"), who.text("ses")


def _names_somebody(event):
    """Tell whether an event says who it was, be it "no login": the kernel drops a rule by itself with its directory."""
    return bool(NUMBER.fullmatch(_who(event).text("auid") or ""))


def _who(event):
    """Return the record that tells who did it: the system call's, which names the program too, or the kernel's own."""
    return event.first("SYSCALL") or event.first("CONFIG_CHANGE") or event.records[0]


def _by(event, verb, name_of):
    record = _who(event)
    auid = _number(record.text("auid"))
    return {
        "auid": auid,
        "user": None if auid is None else _looked_up(record) or name_of(auid),
        "session": _number(record.text("ses")),
        "exe": record.text("exe"),
        "comm": record.text("comm"),
        "time": text.iso(event.time),
        "op": verb,
    }


def _looked_up(record):
    """Return the name that auditd itself wrote beside the number (str or None): the account may be gone since."""
    name = record.names.get("AUID", b"").decode("utf-8", "replace")
    return name if name.isprintable() and not name.startswith(("unknown(", "unset")) else None


def _number(text):
    """Return a number that the kernel wrote (int), None for its word for "unset" and for what is no number."""
    number = int(text) if NUMBER.fullmatch(text or "") else UNSET
    return None if number == UNSET else number


def sentence(by: Mapping[str, typing.Any] | None) -> str:
    """
    Return who did it (str), for a person: ``removed by alice (auid 1001, session 7, auditctl) at …``.

    by
        As :func:`attribute` has it: a dict, or None for nobody knows.
    """
    if by is None:
        return "by whom is unknown"
    login = "no login" if by["auid"] is None else f"auid {by['auid']}"
    session = [] if by["session"] is None else [f"session {by['session']}"]
    program = posixpath.basename(by["exe"] or "") or by["comm"]
    told = ", ".join([login, *session, *([_plain(program)] if program else [])])
    who = f"{_plain(by['user'])} ({told})" if by["user"] else f"an account without a name ({told})"
    return f"{by['op']} by {who if by['auid'] is not None else f'a process ({told})'} at {by['time']}"


def _plain(text):
    # A file name can hold a whole sentence.
    return text if PLAIN.fullmatch(text) else repr(text)
