"""
What is missing in the audit log since the last look: what was off meanwhile, taken out of it, or never written.
"""

from __future__ import annotations

import collections
import math
import time
import typing
from collections.abc import Iterable, Mapping, Sequence

from sshtrail_lib.base import kernel
from sshtrail_lib.coverage import continuity, facts, gaps, ids, logs, marks, memory, opened, serials, ways
from sshtrail_lib.coverage.byhand import Ran
from sshtrail_lib.coverage.gaps import Gap
from sshtrail_lib.coverage.marks import UNSET
from sshtrail_lib.coverage.memory import Memory
from sshtrail_lib.pam import session as pam_session
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.rules import accounts, compile, fields, layout, watches
from sshtrail_lib.rules.changing import Change
from sshtrail_lib.trail.audit_log import Record

#: Seconds before the last look in which what is told of since may have begun.
EARLIER = 10.0
#: Ways by which records do not get into the log: as long as one is open, events are missing.
UNWRITTEN = {
    *("auditd-absent", "auditd-impostor", "auditd-stopped", "auditd-traced", "auditd-elsewhere", "auditd-suspended"),
    *("log-off", "log-replaced", "log-unwritten", "rate-limited"),
}
#: What the record of an auditctl that runs has, and seconds by which the clock that records have is behind.
RUNS, AROUND = b'/auditctl" ', 1.0
#: Seconds after which it is asked again for an event that has a number and is not written: on a busy machine whoever is
#: about to write it waits for his turn.
PAUSES = (0.1, 0.4, 2.0)


class Seen(typing.NamedTuple):
    """
    What a look has seen: the audit ``log`` (str) and its ``extent``, how many rules each list ``held`` (dict of str to
    int), how many records had been ``lost`` at the look before (int), since when this ``auditd`` runs, ``now`` (float,
    seconds since the epoch), whether that auditd is one which the policy itself has started (``ours``, bool), and when
    which process of Salt's has ``changed`` the rules (sequence of :data:`~sshtrail_lib.rules.changing.Change`). The
    kernel may be ``locked`` (bool): nobody changes them until the next boot.
    """

    log: str
    extent: Sequence[typing.Any]
    held: Mapping[str, int]
    lost: int
    auditd: float
    now: float
    ours: bool = False
    changed: Sequence[Change] = ()
    locked: bool = False


def held(rules: Iterable[bytes]) -> dict[str, int]:
    """Return how many rules each of the kernel's lists has (dict of str to int)."""
    return dict(collections.Counter(str(layout.unpack(rule)[0].filter) for rule in rules))


def compiled(line: str) -> bytes | None:
    """Return a rule's line (str) as the kernel has it (bytes), None for what is no rule here."""
    try:
        return compile.compile(accounts.parse_rule(line))
    except fields.RuleError:
        return None


def missing(policy: Policy, seen: Seen, before: Memory) -> Memory:
    """Return the memory with what is missing in the log since the last look."""
    changed = before.log and (before.log[0] != seen.extent[0] or marks.cut(before.log, seen.extent))
    kept = bool(changed) and facts.kept(seen.log, before.log, before.looked)
    after = memory.log(before, seen.log, seen.extent, seen.now, kept)
    parts = continuity.parts(seen.log, before.log) if before.log else []
    rotated = continuity.rotated(seen.log)
    digest, *told = _rewritten(seen, before, parts, rotated)
    told += _gone(seen, before, rotated)
    after = after._replace(digest=digest, rotated=rotated)
    if not before.looked:
        # Nobody promised anything.
        return after._replace(serial=continuity.newest(seen.log))
    found = _gaps(policy, seen, before, parts)
    # Whoever copies a log, and cuts it then, has to open it.
    if not kept:
        told += opened.by_others(policy, _written(seen, before, parts), {seen.extent[0], *before.log[:1]})
    given = [*after.given, *((gap.pid, gap.when, gap.told) for gap in found if gap.pid)]
    # In an open session it is told as long as it lasts; a thread that gave it up may have ended.
    told += [gap.told for gap in found if not (gap.pid and ids.login(gap.pid) == UNSET and ways.in_session(gap.pid))]
    # What was copied before it was cut (copytruncate) is in the copy.
    if kept and before.log and marks.cut(before.log, seen.extent):
        parts = continuity.copied(seen.log, before.log)
    after, numbers = _numbered(policy, seen, before, after, parts)
    return memory.missing(after._replace(given=given), "; ".join([*told, *numbers]), seen.now)


def _written(seen: Seen, before: Memory, parts: Sequence[continuity.Part]) -> logs.End:
    """Return what was written since the last look, by the log's bytes where that is later than now: a clock was set."""
    later = before.looked > seen.now and not marks.cut(before.log, seen.extent)
    return logs.End(seen.log, 0.0, parts) if later else logs.End(seen.log, before.looked)


# --- What was written stands ----------------------------------------------------------------------------------------


def _rewritten(
    seen: Seen, before: Memory, parts: Sequence[continuity.Part], rotated: Mapping[str, Sequence[typing.Any]]
) -> list[str]:
    """Return a digest of the log (str), and what is told of logs that are not as they were (more str)."""
    known = bool(before.digest) and not marks.cut(before.log, seen.extent)
    path = parts[:1] if known else []
    if path and path[0][0] == seen.log:
        was, now = continuity.digests(seen.log, before.log[1], seen.extent[1])
    else:
        [now] = continuity.digests(seen.log, seen.extent[1])
        was = continuity.digests(path[0][0], before.log[1])[0] if path else before.digest
    told = [f"{path[0][0]} was changed where records had been written before"] if path and was != before.digest else []
    changed = continuity.changed(before.rotated, rotated)
    return [now, *told, *([f"a rotated log beside {seen.log} was changed"] if changed else [])]


def _gone(seen: Seen, before: Memory, rotated: Mapping[str, Sequence[typing.Any]]) -> list[str]:
    """Return what is told of rotated logs that somebody took out of their row (list of str): older ones are there."""
    gone = continuity.taken_out(before.rotated, rotated) if before.place == seen.log else []
    # It may have been compressed, or moved below; and in the middle of a rotation a name is another file's.
    gone = [one for one in gone if not facts.kept(seen.log, one, before.looked)]
    again = continuity.taken_out(before.rotated, continuity.rotated(seen.log)) if gone else []
    gone = [one for one in gone if one in again]
    if not gone:
        return []
    return [f"a rotated log beside {seen.log}, of {gone[0][1]} bytes, is gone, and older ones are there"]


# --- The numbers of events ------------------------------------------------------------------------------------------


def _numbered(
    policy: Policy, seen: Seen, before: Memory, after: Memory, parts: Sequence[continuity.Part]
) -> tuple[Memory, list[str]]:
    """Return the memory of the last event in the log, and what is told of events that are in no log (list of str)."""
    # What the last look has found open is told as that, until it is closed. Other hosts have numbers of their own.
    open_ways = {name.partition(" ")[0] for name in before.since}
    if (
        open_ways & UNWRITTEN
        or not before.serial
        or not parts
        or continuity.too_long(parts)
        or facts.gathers(policy["auditd"]["path"])
    ):
        return after._replace(serial=continuity.newest(seen.log)), []
    known, forged, lacks = _numbers(parts, before.serial)
    for pause in PAUSES:
        if lacks:
            time.sleep(pause)
            known, forged, lacks = _numbers(parts, before.serial)
    after = after._replace(serial=max(known, default=before.serial))
    told = [_forged(seen.log, forged)] if forged else []
    return after, [*told, *(_lacking(seen, before, after, lacks, parts) if lacks else [])]


def _forged(log: str, numbers: Sequence[int]) -> str:
    many = f"{len(numbers)} events in {log} have numbers that this kernel has not come to"
    return f"{many}, from {numbers[0]} on: no auditd wrote them"


def _numbers(parts: Sequence[continuity.Part], last: int) -> tuple[set[int], list[int], list[serials.Span]]:
    """Return which events are in the log, those that are nobody's, and which are missing after the ``last`` (int)."""
    found = continuity.numbers(parts)
    forged = serials.beyond(found, last)
    known = found.difference(forged)
    return known, forged, serials.spans(known, last)


def _lacking(
    seen: Seen, before: Memory, after: Memory, lacks: Sequence[serials.Span], parts: Sequence[continuity.Part]
) -> list[str]:
    printed = continuity.printed(before.looked)
    left = serials.left(lacks, {serials.number(one) for one in printed})
    counted = after.loss.records if after.loss and after.loss.seen == seen.now else 0
    restarted = seen.auditd > before.looked
    # What the kernel counts is told as that; and where nobody has logged in, the policy's own restart has lost nothing.
    if serials.count(left) <= counted or (restarted and seen.ours and not continuity.by_somebody(parts)):
        return []
    why = "no auditd took them" if restarted else "they were cut out of it, or never written"
    return [f"{serials.count(left)} events of the kernel are not in {seen.log}, from number {left[0][0]} on: {why}"]


# --- What was open --------------------------------------------------------------------------------------------------


def _gaps(policy: Policy, seen: Seen, before: Memory, parts: Sequence[continuity.Part]) -> list[Gap]:
    """Return what was open after the last look and is closed again."""
    commands = [line for group in policy["rules"]["groups"] for line in group["rules"] if "execve" in line]
    keys = {key for line in commands for key in watches.keys(line) or ()}
    named = [data for line in policy["rules"].get("allowed", ()) if (data := compiled(line))]
    lists = {layout.unpack(rule)[0].filter for rule in named}
    end, since = _since(seen, before, parts)
    records = end.records(gaps.KINDS)

    origin = _origin(seen, end, bool(keys))
    found = [
        *gaps.find(records, since, keys, lists, origin),
        *gaps.set_back(records, since, seen.lost),
        *_unanswered(seen, end, records, since, origin),
    ]
    # That of a container speaks to the same kernel.
    without = list(gaps.without_login(records, since))
    found += without if without and not facts.sshd_elsewhere() else []
    return [*found, *_unseen(seen, before, end, records), *_printed(seen, before, end)]


def _unanswered(seen: Seen, end: logs.End, records: Sequence[Record], since: float, origin: gaps.Origin) -> list[Gap]:
    # Of a locked kernel auditctl asks nothing, unless somebody has locked it since.
    if seen.locked and not any(one.text("audit_enabled") == str(kernel.IMMUTABLE) for one in records):
        return []
    return list(gaps.unanswered(end.executions(RUNS), records, since, origin, lambda line: compiled(line) is not None))


def _origin(seen: Seen, end: logs.End, recorded: bool) -> gaps.Origin:
    """
    Return what the log's ``end`` tells of where a record comes from.

    recorded
        Whether the policy has commands recorded (bool).
    """
    begun: dict[str, list[Ran]] = {}

    def last(record: Record) -> Ran | None:
        pid = end.actor(record)[0]
        if pid not in begun:
            begun[pid] = sorted(one for one in end.executions(f" pid={pid} ".encode()) if one.pid == pid)
        return next((one for one in reversed(begun[pid]) if one.serial < record.serial), None)

    def own(record: Record) -> bool:
        pid, when = (end.actor(record)[0], record.seconds) if seen.changed else ("", 0)
        return any(pid == str(one) and since - AROUND <= when <= until + AROUND for one, since, until in seen.changed)

    def enters(record: Record) -> bool:
        program, ran = end.program(record), last(record)
        ours = facts.is_our_own(program, ran.words, pam_session.__file__) if ran else not recorded
        return ours or facts.lets_in(program)

    return gaps.Origin(end.title, enters, end.actor, lambda record: ran.words if (ran := last(record)) else (), own)


def _since(seen: Seen, before: Memory, parts: Sequence[continuity.Part]) -> tuple[logs.End, float]:
    """Return what may tell of the time since the last look, and since when (float): all, if the clock was set back."""
    new = logs.End(seen.log, 0.0, parts, {})
    back = (one.seconds < before.looked - EARLIER for one in new.records(gaps.KINDS))
    # What was cut is gone through from its beginning, with what was there before.
    if not marks.cut(before.log, seen.extent) and (before.looked > seen.now or any(back)):
        return new, 0.0
    return logs.End(seen.log, before.looked - EARLIER, None, {}), before.looked


def _printed(seen: Seen, before: Memory, end: logs.End) -> list[Gap]:
    """Return what the kernel printed for want of an auditd, before this one began."""
    if seen.auditd <= before.looked:
        return []
    lost = end.without([one for one, of_session in continuity.printed(before.looked).items() if of_session])
    told = f"at least {len(lost)} events of sessions are in the kernel's own log (dmesg) alone: no auditd took them"
    return [Gap(told, seen.auditd)] if lost else []


def _unseen(seen: Seen, before: Memory, end: logs.End, records: Sequence[Record]) -> list[Gap]:
    if not before.counted or (end.reaches() or math.inf) > before.counted:
        return []
    found = list(gaps.unseen(records, before.counted, before.held, seen.held))
    # Whoever changes the rules at this moment is told of by the next look.
    return found if found and held(kernel.rules()) == seen.held else []
