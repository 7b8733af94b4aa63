"""
Who became whom in a session, and which files were changed: from the messages of su and sudo, which the kernel's own
records must not contradict, and from these records.
"""

from __future__ import annotations

import collections
import posixpath
import shlex
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.trail.kept import Kept
from sshtrail_lib.trail.scan import Call
from sshtrail_lib.trail.session import OTHER, SU, SUDO, Became, File
from sshtrail_lib.trail.told import SWITCHES, Told

VIA = {"su": SU, "sudo": SUDO, "sudo-rs": SUDO, "sudo.ws": SUDO}
# What su and sudo start as root to look at a password is not what somebody became root for.
HELPERS = frozenset(("unix_chkpwd", "unix_update", "utempter", "xauth"))
KINDS = {"CREATE": "created", "DELETE": "removed"}


class Story(typing.NamedTuple):
    """``became`` (list of Became, in order) and ``doubts`` (list of str: what was not believed, and why)."""

    became: list[Became]
    doubts: list[str]


def story(
    switches: Sequence[Told],
    calls: Iterable[Call],
    odd: Sequence[Call],
    names: Mapping[int, str],
    auid: int | None,
    moved: Iterable[tuple[Told, Kept]] = (),
) -> Story:
    """
    Return who became whom in a session (:class:`Story`).

    switches
        What su, sudo and their like sent (sequence of Told).
    calls
        All that was executed (iterable of Call), as far as it is known.
    odd
        The calls that may tell of a change of user (sequence of Call), empty where they were not asked for.
    names
        The accounts (mapping of int to str).
    auid
        The login id (int).
    moved
        What the kernel said of processes that began a session of their own (iterable of Told), with what was done there
        (:class:`~sshtrail_lib.trail.kept.Kept`).
    """
    turns, earlier, doubts = _believed(switches, calls, odd)
    # Of accounts that share a number this session's own counts, and whom it became.
    names = {**names, **{uid: name for uid, name in _learned(turns, odd).items() if uid != auid}}
    found = []
    # From which event on a process is one that has told.
    told: dict[int, int] = {}
    for pid, records in turns:
        one = _turn(pid, records, odd, names)
        if one:
            found.append(one)
            told.setdefault(pid, records[0].serial)
        if one and one.to_user is None:
            wanted = "wanted to become" if one.result == "failed" else "became"
            doubts.append(f"no record tells whom process {pid} {wanted} (event {one.serial})")
    for record, kept in moved:
        one = _began(record, kept, names, told)
        if one:
            found.append(one)
            told[record.pid or 0] = record.serial
    found += _others(odd, told, found, names, auid, earlier)
    return Story(sorted(found, key=lambda one: (one.time, one.serial)), doubts)


def _believed(switches, calls, odd):
    """
    Return each run of su or sudo that was what it says (list of process and records), as whom those processes had run
    that made the ``odd`` calls (dict of event to int), and what is not believed (list of str).
    """
    programs, earlier = _ran(switches, calls, odd)
    turns, doubts = [], []
    for pid, records in _turns(switches):
        true = _ran_as(programs[pid], records[0].serial) or posixpath.basename(records[0].ran)
        if true and true != records[0].exe:
            doubts.append(f"process {pid} said that it was {records[0].exe}, and was {true}")
        else:
            turns.append((pid, records))
    return _whole(turns), earlier, doubts


def _ran(switches, calls, odd):
    """
    Return what the processes that sent ``switches`` ran (dict of pid to list of event and program), and as whom the
    process of each of the ``odd`` calls, or its parent, had run before (dict of event to int).
    """
    programs: dict[int, list[tuple[int, str]]] = {one.pid or 0: [] for one in switches}
    near: dict[int, int | None] = {pid: None for call in odd for pid in (call.pid, call.parent)}
    events, earlier = {call.serial for call in odd}, {}
    for call in calls if programs or near else ():
        if call.serial in events:
            own = near[call.pid]
            earlier[call.serial] = near[call.parent] if own is None else own
        if call.success and call.pid in near:
            near[call.pid] = call.uid
        if call.success and call.pid in programs:
            programs[call.pid].append((call.serial, posixpath.basename(call.exe or "")))
    return programs, earlier


def _ran_as(programs, serial):
    """Return the program (str) that a process ran before an event, as the kernel knows it; "" where it does not."""
    return next((name for at, name in reversed(programs) if at < serial), "")


def _turns(switches: Iterable[Told]) -> Iterator[tuple[int, list[Told]]]:
    """Yield the messages of each run of su or sudo: its process, and the records (list) until it is done."""
    running: dict[int, list[Told]] = {}
    for record in sorted(switches, key=lambda one: one.serial):
        pid, before = record.pid or 0, running.get(record.pid or 0, ())
        over = record.type in ("USER_END", "CRED_DISP")
        # After it has opened a session, the process that has its number is another one.
        if before and (over or any(one.type == "USER_START" for one in before)):
            yield pid, running.pop(pid)
        if over:
            continue
        running.setdefault(pid, []).append(record)
    yield from running.items()


def _whole(turns):
    """Join what ``sudo -b`` says as two processes: the session of what it was asked for it opens in a child."""
    found: list[tuple[int, list[Told]]] = []
    begun: list[tuple[int, list[Told]]] = []
    for one in sorted(turns, key=lambda turn: turn[1][0].serial):
        records, kinds = one[1], {record.type for record in one[1]}
        mine = [other for other in begun if other[1][0].uid == records[0].uid]
        if kinds == {"USER_START"} and records[0].exe in VIA and len(mine) == 1:
            found.remove(mine[0])
            begun.remove(mine[0])
            one = (one[0], [*mine[0][1], *records])
        elif "USER_CMD" in kinds and "USER_START" not in kinds and records[-1].worked:
            begun.append(one)
        found.append(one)
    return found


def _turn(pid, records, odd, names):
    """Return what one run of su or sudo came to (Became), None for nothing."""
    kinds = {record.type: record for record in records}
    start, asked = kinds.get("USER_START"), kinds.get("USER_CMD")
    failed = [record for record in records if not record.worked]
    via = VIA.get(records[0].exe, OTHER)
    # Who mistypes a password may type it again; sudo need not open a session.
    refused = failed and not (start or asked or failed[0]).worked
    if not (start or asked or refused):
        return None
    target = start or (None if via == SUDO else kinds.get("USER_AUTH") or kinds.get("USER_ACCT"))
    first = start or asked or failed[0]
    uid = records[0].uid
    call = None if refused else _started_by(pid, first.serial, odd, asked)
    return Became(
        first.time,
        via,
        names.get(uid, str(uid)) if uid is not None else None,
        (target.acct or None) if target else _ran_by(call, asked, names),
        (asked.cmd or None) if asked else call and shlex.join(call.argv or ()),
        "failed" if refused else "success" if start or (asked and asked.worked) else "unknown",
        first.serial,
    )


def _began(record, kept, names, told):
    """Return the change of user (Became) with which a process began a session (Told), as login does; None for none."""
    own = (call for call in kept.calls(record.serial) if call.uid == call.euid == record.auid != record.uid)
    call = next((one for one in own if record.pid in (one.pid, one.parent)), None)
    if not call or {record.pid, call.pid, call.parent} & told.keys():
        return None
    who, whom = (names.get(uid, str(uid)) for uid in (record.uid, record.auid))
    return Became(record.time, OTHER, who, whom, shlex.join(call.argv or ()), "success", record.serial)


def _ran_by(call, asked, names):
    """Return as whom the command that sudo was asked for (Told) ran (str), as the kernel saw it; None if it did not."""
    ran = call and call.success and call.uid == call.euid and _is_asked(call, asked)
    return names.get(call.uid, str(call.uid)) if ran else None


def _is_asked(call, asked):
    """Tell whether a command is what sudo was asked for (bool), as it says so (Told or None)."""
    return asked is not None and " ".join(call.argv) == asked.cmd


def _learned(turns, odd):
    """Return the names (dict of int to str) of whom somebody became: PAM tells the name, the kernel the number."""
    found: dict[int, str] = {}
    known = set()
    for pid, records in turns:
        start = next((one for one in records if one.type == "USER_START" and one.worked and one.acct), None)
        asked = next((one for one in records if one.type == "USER_CMD"), None)
        call = _started_by(pid, start.serial, odd, asked) if start else None
        if start and call and call.uid == call.euid and call.uid not in (0, start.uid):
            known.add((call.uid, start.acct))
            found[call.uid] = start.acct
    # Two names for one number are none.
    numbers = [uid for uid, _ in known]
    return {uid: name for uid, name in found.items() if numbers.count(uid) == 1}


def _started_by(pid, serial, odd, asked):
    """
    Return the first command (Call) that a process or its child started, as soon as it had become somebody.

    On a terminal of its own sudo has a process between itself and what it was ``asked`` for (Told or None).
    """
    after = (call for call in odd if call.serial > serial and call.argv)
    mine = (call for call in after if pid in (call.pid, call.parent) or _is_asked(call, asked))
    return next((one for one in mine if posixpath.basename(one.exe or "") not in HELPERS), None)


def _others(odd, told, became, names, auid, earlier):
    """Return the changes that su and sudo sent no message about: programs with another's rights, users never seen."""
    known: dict[int, tuple[int, str]] = {}
    seen, nameless, found = {auid}, False, []
    explained = collections.deque(sorted((one for one in became if one.result != "failed"), key=lambda one: one.serial))
    for call in odd:
        while explained and explained[0].serial < call.serial:
            whom = explained.popleft().to_user
            seen.update(uid for uid, name in names.items() if name == whom)
            # Somebody became a user whose number is not known: then a new number tells of nobody else.
            nameless = nameless or whom not in (None, *names.values())
        name = posixpath.basename(call.exe or "")
        if call.success and name not in HELPERS:
            before = known.get(call.pid) or known.get(call.parent)
            old = before[0] if before else earlier.get(call.serial)
            fresh = call.uid not in seen
            seen.add(call.uid)
            known[call.pid] = call.uid, name
            if not any(told.get(pid, call.serial) < call.serial for pid in (call.pid, call.parent)):
                fresh = fresh and bool(before or not nameless)
                found += _unsaid(call, old, before[1] if before else "", fresh, names)
    return found


def _unsaid(call, old, switch, fresh, names):
    """Yield the change of user, if any, that nobody but the kernel says came with a command (Call)."""
    if call.euid != call.uid and posixpath.basename(call.exe or "") not in SWITCHES:
        yield _change(call, OTHER, call.uid, call.euid, names)
    elif fresh or (switch in SWITCHES and old != call.uid):
        yield _change(call, VIA.get(switch, OTHER), None if old == call.uid else old, call.uid, names)


def _change(call, via, old, new, names):
    command = shlex.join(call.argv or ())
    who = None if old is None else names.get(old, str(old))
    return Became(call.time, via, who, names.get(new, str(new)), command, "success", call.serial)


def files(calls: Iterable[Call]) -> tuple[list[File], list[str]]:
    """
    Return the files that were changed (list of File), and what of that is not known (list of str).

    calls
        The calls that rules of watched files matched (iterable of Call).
    """
    found, doubts = [], []
    for call in calls:
        for name, kind in call.paths if call.success else ():
            what = KINDS.get(kind) or (call.what if kind == "NORMAL" else "read")
            if what == "read":
                continue
            if call.below and not name.startswith("/"):
                doubts.append(f"in which directory {name} was (event {call.serial})")
            path = name if call.below else posixpath.normpath(posixpath.join(call.cwd or "", name))
            found.append(File(call.time, path, what, call.keys, call.exe, call.uid, call.serial))
    # What is twice in a log was done once.
    return list(dict.fromkeys(found)), doubts


def odd(calls: Iterable[Call]) -> list[Call]:
    """
    Return those of a session's calls that tell of a change of user: who changes it, and what comes right after.

    Of the many commands that root runs then only the first ones are there.
    """
    found: list[Call] = []
    switches: set[int] = set()
    seen: set[int] = set()
    for call in calls:
        if _is_odd(call):
            changes = call.euid != call.uid or posixpath.basename(call.exe or "") in SWITCHES
            if changes or call.uid not in seen or switches & {call.pid, call.parent}:
                found.append(call)
            if changes:
                switches.add(call.pid)
            else:
                seen.add(call.uid)
                switches -= {call.pid, call.parent}
    return found


def _is_odd(call):
    return call.uid != call.auid or call.euid != call.uid or posixpath.basename(call.exe or "") in SWITCHES
