"""
Who has opened the audit log to write in it, and is no auditd: what is younger than the last look can be written over
in its place, with the number that it had, and nothing else shows that.

The records are those of the ready group ``audit_config``, or of any rules that watch changes of the log's directory.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator

from sshtrail_lib.base import text
from sshtrail_lib.coverage import gaps, logs
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.rules import compile, watches
from sshtrail_lib.trail.audit_log import Record

#: Which program writes the log, wherever a system has it; and what calls whoever can write in it then, or cuts it.
AUDITD = ("/usr/sbin/auditd", "/sbin/auditd", "/usr/bin/auditd")
WRITES = ("open", "openat", "openat2", "creat", "open_by_handle_at", "truncate", "truncate64")


def keys(policy: Policy, path: str) -> set[str]:
    """Return the keys (set of str) of the ``policy``'s rules that watch what becomes of a file (its ``path``, str)."""
    lines = [line for group in policy["rules"]["groups"] for line in group["rules"]]
    found = watches.watches(lines)
    return {key for place, key in found if path == place or path.startswith(f"{place.rstrip('/')}/")}


def by_others(policy: Policy, end: logs.End, inodes: Collection[int]) -> list[str]:
    """
    Return who has opened the log after the time of ``end`` (:class:`~sshtrail_lib.coverage.logs.End`), a sentence each.

    inodes
        Which file the log is, and was then (collection of int).
    """
    wanted = keys(policy, end.log)
    calls = [one for one in end.calls(wanted) if _writes(one, end.after)] if wanted else []
    events = end.named(inodes) if calls else set()
    return list(dict.fromkeys(_told(end.log, [one for one in calls if one.event in events])))


def _writes(call: Record, after: float) -> bool:
    if call.text("exe") in AUDITD or call.text("success") != "yes" or call.time <= after:
        return False
    arch, number = call.text("arch") or "", call.text("syscall") or ""
    try:
        return compile.syscall_names(int(arch, 16)).get(int(number)) in WRITES
    except ValueError:
        # One of a log in which names stand for numbers.
        return number in WRITES


def _told(log: str, calls: Iterable[Record]) -> Iterator[str]:
    for one in calls:
        who = f"{text.line(one.text('exe') or 'a program')} of {gaps.login(one.text('auid') or '')}"
        yield f"{who} opened {log} at {text.iso(one.time)} to write in it: what it had since may be changed"
