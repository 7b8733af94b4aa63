"""
Room for the audit log: at which levels auditd stops writing, whether there is more than that, and what was lost.

auditd that suspends closes its log, goes on taking records from the kernel, and drops them, until somebody tells it to
resume (SIGUSR2); room alone does not bring it back. The kernel counts none of that as lost. Sources: auditd-event.c of
audit-userspace 3.0 to 4.2.1, auditd(8); measured with auditd 3.0.9 on a full tmpfs.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterable, Iterator

from sshtrail_lib.auditd import language
from sshtrail_lib.trail.audit_log import Record

MIB = 1024 * 1024
#: auditd does not use the last blocks of a file system.
SPARED_BLOCKS = 5
#: With these auditd closes its log: it stops itself, it lets a program decide, or the machine stops.
STOPS = ("suspend", "exec", "single", "halt")
REPORTED = re.compile(r"^(?:logging suspended = (yes|no)|writing to logs = no)$", re.MULTILINE)


class Volume(typing.NamedTuple):
    """The file system of a log: its ``size``, what is ``free`` of it, and one ``block`` (int, bytes each)."""

    size: int
    free: int
    block: int


def reported(state: str) -> bool | None:
    """
    Return what auditd's own report (str, of SIGCONT) says: whether it is suspended (bool); None when it does not say.

    One that is to write no log at all has not suspended it.
    """
    found = REPORTED.search(state)
    return found[1] == "yes" if found else None


def needed(data: bytes, volume: Volume) -> int:
    """
    Return of how many bytes (int) more must be free, so that auditd goes on writing.

    data
        Its configuration (bytes).
    volume
        Where its log is.
    """
    return max([SPARED_BLOCKS * volume.block, *_levels(data, volume)])


def _levels(data: bytes, volume: Volume) -> Iterator[int]:
    for keyword in ("space_left", "admin_space_left"):
        if language.effective(data, f"{keyword}_action").split(" ")[0] in STOPS:
            level = language.effective(data, keyword)
            percent = level.endswith("%")
            yield volume.size * int(level[:-1]) // 100 if percent else int(level) * MIB


def room(data: bytes, volume: Volume, log_size: int) -> bool:
    """
    Tell whether auditd would go on writing when it is told to resume (bool).

    data, volume
        As for :func:`needed`.
    log_size
        Of the log file (int, bytes).
    """
    grown = language.effective(data, "max_log_file_action") == "suspend"
    too_large = grown and log_size >= int(language.effective(data, "max_log_file")) * MIB
    return volume.free > needed(data, volume) and not too_large


def of_kernel(records: Iterable[Record]) -> list[Record]:
    """Return those of ``records`` (iterable of Record) whose serial number the kernel gave: auditd counts its own."""
    return [record for record in records if not record.type.startswith("DAEMON_")]


def last(records: Iterable[Record]) -> Record | None:
    """Return the newest of the kernel's ``records`` (iterable of Record), None for none; they may be out of order."""
    return max(of_kernel(records), key=lambda record: (record.seconds, record.serial), default=None)


def missing(records: Iterable[Record], serial: int, whole: bool) -> int | None:
    """
    Return how many events are not in the log after the one with the number ``serial``; None when nobody can tell.

    records
        The end of the log (iterable of Record).
    serial
        Of the last event before auditd was suspended (int). The kernel numbers the events of one boot by one.
    whole
        Whether ``records`` go back to the beginning of the log (bool).
    """
    numbers = [record.serial for record in of_kernel(records)]
    later = [number for number in numbers if number > serial]
    reaches_back = whole or any(number <= serial for number in numbers)
    return min(later) - serial - 1 if later and reaches_back else None


def amount(count: int) -> str:
    """Return a number of bytes (int) for a person (str)."""
    return f"{count / MIB:.1f} MiB"


def suspended(found: typing.Mapping[str, typing.Any]) -> str:
    """Return a sentence (str) on an auditd that is suspended, as ``auditd_conf.suspended`` tells it (mapping)."""
    since = f" since {found['since']}" if found["since"] else ""
    free = f"{amount(found['free'])} are free, and more than {amount(found['needs'])} are needed"
    why = "there is room again" if found["room"] else f"{free}: make room"
    return f"auditd (pid {found['pid']}) has suspended {found['log']}{since} and records nothing; {why}."


def resumed(since: str | None, events: int | None) -> str:
    """Return a sentence (str) on an auditd that writes again; ``since`` when it did not (str), what is lost (int)."""
    when = f"had recorded nothing since {since}" if since else "had recorded nothing for a while"
    count = "an unknown number of" if events is None else events
    return f"auditd writes its log again; it {when}, and {count} events were lost."
