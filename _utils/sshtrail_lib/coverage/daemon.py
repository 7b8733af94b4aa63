"""
From the kernel to the log: what the kernel's audit, its daemon and the log on the disk come to.
"""

from __future__ import annotations

import typing
from collections.abc import Iterator, Mapping

from sshtrail_lib.coverage.checks import Cause, Verdict, unknown, verdict
from sshtrail_lib.coverage.marks import NEARLY, STOPPED

#: Messages: a queue that is shorter loses records in a burst; the kernel's own default is 64.
SMALLEST_BACKLOG = 320
#: Bits of a mode that nobody but root may have: others at all, the group for writing.
EXPOSED, WRITABLE = 0o026, 0o022
#: What becomes of a message that is sent through the kernel.
ARRIVED, LOST, SUSPENDED = "arrived", "lost", "suspended"
ROOM = {"low": "less room than admin_space_left", "full": "no room"}
#: How the end of auditd is known to the log.
ENDED = Cause("service", "auditd running", True, False)

Status = Mapping[str, typing.Any]


class File(typing.NamedTuple):
    """A file: its ``path`` (str), ``device``, ``inode``, ``links``, ``mode`` (permission bits), ``uid`` (int each) and
    when it last ``changed`` (float, seconds since the epoch)."""

    path: str
    device: int
    inode: int
    links: int
    mode: int
    uid: int
    changed: float


class Auditd(typing.NamedTuple):
    """
    The process that the kernel's records go to.

    ``pid`` (int), ``program`` (str: its executable), ``genuine`` (bool: that is the installed auditd), ``uid`` (int),
    ``state`` (str: a letter), ``frozen`` (bool: by a control group), ``note`` (str: why it does not work with the
    policy's file; empty when it does), what it has open for ``writing`` (tuple of :class:`File`), the ``tracer`` (str:
    who traces it, empty for nobody), whether it ``shows`` records instead of writing them (bool: its option -f),
    what it ``loads`` (str: the variable for which its loader puts a library into it, empty for none) and how others
    have ``tapped`` the socket by which it gets records (str, empty for not).
    """

    pid: int
    program: str
    genuine: bool
    uid: int
    state: str
    frozen: bool
    note: str
    writing: tuple[File, ...]
    tracer: str = ""
    shows: bool = False
    loads: str = ""
    tapped: str = ""


class Log(typing.NamedTuple):
    """
    The log that the policy's configuration names.

    ``path`` (str), ``off`` (str: the line for which auditd writes none, empty for no such line), the file that is
    ``there`` and its ``directory`` (:class:`File` or None), ``room`` (str: empty, ``low`` or ``full``), and why it is
    gone after a reboot (``volatile``, str: empty where it is not, None where that cannot be told), and the line for
    which it holds the last few records only (``brief``, str: empty for none).
    """

    path: str
    off: str
    there: File | None
    directory: File | None
    room: str
    volatile: str | None = ""
    brief: str = ""


class Loss(typing.NamedTuple):
    """
    How many records the kernel has lost between two looks (int), when that was seen (float, seconds since the epoch),
    and how others were lost (``told``, str, empty for none).
    """

    records: int
    seen: float
    told: str = ""


class Audit(typing.NamedTuple):
    """
    What is known of the way from the kernel to the log.

    boot
        The word of the kernel's command line that turns audit off (str), empty for none.
    status
        The kernel's (dict), None where it does not answer: then ``error`` says why (str).
    asked
        The settings of the kernel that the policy has (dict of str to int).
    auditd, log
        :class:`Auditd` (None for none) and :class:`Log`.
    heard
        What became of a message that was sent through the kernel: :data:`ARRIVED`, :data:`LOST`, :data:`SUSPENDED`,
        or why that cannot be told (str).
    loss
        :class:`Loss`, None for none.
    readers
        Who else reads the kernel's records (tuple of str).
    """

    boot: str
    status: Status | None
    error: str
    asked: Mapping[str, int]
    auditd: Auditd | None
    log: Log
    heard: str
    loss: Loss | None
    readers: tuple[str, ...]


def judge(audit: Audit) -> Iterator[Verdict]:
    """Yield the verdict on each way in which a record would not get from the kernel to the log."""
    yield verdict("audit-off-at-boot", audit.boot and f"the kernel's command line has {audit.boot}")
    if audit.status is None:
        yield unknown("audit-disabled", audit.error)
        return
    status = audit.status
    cause = Cause("kernel", "enabled", 1, status["enabled"])
    yield verdict("audit-disabled", "" if status["enabled"] else "enabled is 0", cause=cause)
    yield from _limits(status, audit.asked)
    yield _lost(audit)
    yield from _daemon(audit)
    yield from _kept(audit.log)
    yield Verdict("other-readers", True, f"multicast: {', '.join(audit.readers)}" if audit.readers else "")


def _limits(status: Status, asked: Mapping[str, int]) -> Iterator[Verdict]:
    rate, limit = status["rate_limit"], status["backlog_limit"]
    high = rate and rate != asked.get("rate_limit", 0) and f"rate_limit is {rate} messages a second"
    yield verdict("rate-limited", high or "", cause=Cause("kernel", "rate_limit", 0, rate))
    # 0 is no limit at all.
    small = 0 < limit < min(SMALLEST_BACKLOG, asked.get("backlog_limit") or SMALLEST_BACKLOG)
    cause = Cause("kernel", "backlog_limit", SMALLEST_BACKLOG, limit)
    yield verdict("backlog-small", f"backlog_limit is {limit} messages" if small else "", cause=cause)
    full = limit and status["backlog"] > NEARLY * limit
    yield verdict("backlog-full", f"more than three quarters of {limit} messages wait" if full else "")


def _lost(audit: Audit) -> Verdict:
    if audit.loss is None:
        return Verdict("records-lost", True)
    dropped = f"{audit.loss.records} records were lost between two looks" if audit.loss.records else ""
    told = "; ".join(filter(None, (dropped, audit.loss.told)))
    return Verdict("records-lost", False, told, since=audit.loss.seen)


def _daemon(audit: Audit) -> Iterator[Verdict]:
    auditd = audit.auditd
    if auditd is None:
        pid = (audit.status or {}).get("pid")
        told = f"the kernel's audit daemon (pid {pid}) has ended" if pid else "the kernel has no audit daemon (pid 0)"
        yield Verdict("auditd-absent", False, told, cause=ENDED)
        return
    yield Verdict("auditd-absent", True)
    who = f"pid {auditd.pid}, {auditd.program}"
    if not auditd.genuine or auditd.uid:
        of = f", of uid {auditd.uid}" if auditd.uid else ""
        yield Verdict("auditd-impostor", False, f"the kernel's audit daemon is {who}{of}")
        return
    put = [auditd.loads and f"was started with {auditd.loads}", auditd.tapped]
    yield verdict("auditd-impostor", ", and ".join(filter(None, [who if any(put) else "", *put])))
    still = STOPPED.get(auditd.state) or ("frozen by its control group" if auditd.frozen else "")
    yield verdict("auditd-stopped", f"{who}: {still}" if still else "")
    yield verdict("auditd-traced", auditd.tracer and f"{who}, is traced by {auditd.tracer}")
    yield verdict("auditd-elsewhere", auditd.note)
    yield from _log(audit, auditd, bool(still))


def _log(audit: Audit, auditd: Auditd, still: bool) -> Iterator[Verdict]:
    log = audit.log
    shows = f"auditd (pid {auditd.pid}) was started with -f: it shows records, and writes none to its log"
    yield verdict("log-off", log.off or (shows if auditd.shows else ""))
    if log.off or auditd.shows or auditd.note:
        return
    closed = not auditd.writing or audit.heard == SUSPENDED
    yield verdict(
        "auditd-suspended",
        f"auditd (pid {auditd.pid}) has no open log: it is suspended, or was told to write none" if closed else "",
    )
    if closed:
        return
    bad = _replaced(log, auditd)
    yield verdict("log-replaced", bad, cause=Cause("file", log.path))
    if bad or still:
        return
    if audit.heard not in (ARRIVED, LOST):
        yield unknown("log-unwritten", audit.heard)
        return
    unheard = f"a message that was sent through the kernel did not arrive in {log.path}"
    yield verdict("log-unwritten", unheard if audit.heard == LOST else "")


def _replaced(log: Log, auditd: Auditd) -> str:
    there = log.there and (log.there.device, log.there.inode)
    if any((one.device, one.inode) == there for one in auditd.writing):
        return ""
    held = auditd.writing[0]
    state = "is deleted" if not held.links else f"is not {log.path} on the disk"
    missing = "" if log.there else f", and there is no {log.path}"
    return f"auditd (pid {auditd.pid}) writes to {held.path}, which {state}{missing}"


def _kept(log: Log) -> Iterator[Verdict]:
    held = [(one, bits) for one, bits in ((log.there, EXPOSED), (log.directory, WRITABLE)) if one]
    bad = [one for one, bits in held if one.uid or one.mode & bits]
    told = "; ".join(f"{one.path} has mode {one.mode:04o} and is of uid {one.uid}" for one in bad)
    # The log changes with each record, so that only the times of its directory tell.
    since = bad[0].changed if bad and bad == [log.directory] else None
    yield verdict("log-exposed", told, since=since, cause=Cause("file", bad[0].path) if bad else None)
    yield verdict("log-brief", log.brief)
    yield verdict("log-volume-low", f"the volume of {log.path} has {ROOM[log.room]}" if log.room else "")
    if log.volatile is None:
        yield unknown("log-volatile", f"what {log.path} lies on is not shown here")
    else:
        yield verdict("log-volatile", log.volatile)
