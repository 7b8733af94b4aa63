"""
What is remembered from look to look: since when each way is open, how many records were lost, what was watched.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping, Sequence

from sshtrail_lib.coverage.checks import Verdict
from sshtrail_lib.coverage.daemon import Loss
from sshtrail_lib.coverage.marks import cut

#: Of what is kept: another form is no memory.
FORMAT = 1
#: Numbers that tell of a place.
PLACE = 3
#: Seconds for which what is over is told after it was seen: records that were lost, logins that one log does not have.
TOLD = 900


#: A process (int) that gave up its login id: when (float, seconds since the epoch), and what is told of it (str).
Given = tuple[int, float, str]


class Memory(typing.NamedTuple):
    """
    What the last look left.

    boot
        What tells that boot from another (str).
    lost
        How many records the kernel had lost (int), None when nobody has looked yet.
    loss
        The last :class:`Loss` that is still told, None for none.
    since
        Since when each open way is known (dict of str to float, seconds since the epoch).
    places
        Which directory each rule watched: ``{rule line: [device, inode, when that was certain]}``.
    judged
        Until when logins were held against the audit log (float, seconds since the epoch), 0 for never.
    began
        From when on they are (float, likewise): what was before the first look, nobody promised.
    given
        Who gave up his login id and may still live: ``(process, when, what is told of it)`` (int, float and str each).
    looked
        When was looked for the last time (float, likewise), 0 for never.
    log
        Which file the log was: its inode, its bytes, and how it began; empty when nobody has looked.
    place
        Where it was (str), empty when nobody has looked.
    held, counted
        How many rules some of the kernel's lists had (dict of str to int), and when (float, seconds since the epoch), 0
        for never.
    serial
        The highest number that the log had of an event in this boot (int), 0 when nobody has looked.
    digest
        Of what the log was (str), empty likewise.
    rotated
        What the rotated logs were: their bytes, when they were written last, and how they begin, by their inodes.
    served
        How sshd stood to its files (dict of str, as :class:`sshtrail_lib.coverage.reread.Served` keeps it), or empty.
    """

    boot: str = ""
    lost: int | None = None
    loss: Loss | None = None
    since: Mapping[str, float] = {}
    places: Mapping[str, Sequence[float]] = {}
    judged: float = 0.0
    looked: float = 0.0
    log: Sequence[typing.Any] = ()
    began: float = 0.0
    given: Sequence[Given] = ()
    place: str = ""
    held: Mapping[str, int] = {}
    counted: float = 0.0
    serial: int = 0
    digest: str = ""
    rotated: Mapping[str, Sequence[typing.Any]] = {}
    served: Mapping[str, str] = {}


def read(value: typing.Any) -> Memory:
    """Return the :class:`Memory` in ``value``, which may be anything; an empty one when it is none."""
    try:
        if value["format"] != FORMAT:
            return Memory()
        loss = value["loss"] and Loss(int(value["loss"][0]), float(value["loss"][1]), "".join(value["loss"][2:]))
        lost = None if value["lost"] is None else int(value["lost"])
        since = {str(name): float(when) for name, when in value["since"].items()}
        places = {str(line): [float(number) for number in place] for line, place in value["places"].items()}
        whole = {line: place for line, place in places.items() if len(place) == PLACE}
        inode, size, begins = value.get("log") or (0, 0, "")
        log = (int(inode), int(size), str(begins)) if value.get("log") else ()
        times = float(value["judged"]), float(value.get("looked", 0))
        began = float(value.get("began", value["judged"]))
        given = tuple((int(pid), float(when), str(told)) for pid, when, told in value.get("given", ()))
        found = Memory(str(value["boot"]), lost, loss or None, since, whole, *times, log, began)
        held = {str(name): int(count) for name, count in value.get("held", {}).items()}
        found = found._replace(held=held, counted=float(value.get("counted", 0)))
        found = found._replace(given=given, place=str(value.get("place", "")))
        rotated = {str(one): [int(was[0]), int(was[1]), str(was[2])] for one, was in value.get("rotated", {}).items()}
        serial, digest = int(value.get("serial", 0)), str(value.get("digest", ""))
        served = {str(name): str(one) for name, one in value.get("served", {}).items()}
        return found._replace(serial=serial, digest=digest, rotated=rotated, served=served)
    except (TypeError, KeyError, ValueError, AttributeError, IndexError):
        return Memory()


def kept(memory: Memory) -> dict[str, typing.Any]:
    """Return what :func:`read` reads again (dict)."""
    return {"format": FORMAT, **memory._asdict()}


def lost(memory: Memory, boot: str, count: int, now: float) -> Memory:
    """
    Return the memory with what the kernel has lost since.

    boot
        Which boot this is (str).
    count
        How many records the kernel has lost since the boot, or since somebody set the counter back (int).
    now
        The present (float, seconds since the epoch).

    What was lost before anybody looked is not known by its time, and not told.
    """
    if memory.boot != boot or memory.lost is None:
        anew = memory._replace(boot=boot, lost=count, loss=None, places={}, given=(), counted=0.0, serial=0)
        # What a boot changes in files is there before sshd reads them.
        return anew._replace(served={})
    # A counter that is lower was set back (auditctl --reset-lost), and counts anew.
    fresh = count - memory.lost if count >= memory.lost else count
    if fresh:
        return memory._replace(lost=count, loss=Loss(fresh, now))
    old = memory.loss and abs(now - memory.loss.seen) > TOLD
    return memory._replace(lost=count, loss=None if old else memory.loss)


def judged(memory: Memory, until: float) -> Memory:
    """Return the memory after logins were held against the audit log ``until`` a time (float, seconds)."""
    return memory._replace(judged=until, began=memory.began or until)


def judges(memory: Memory, until: float) -> float:
    """Return from when on logins are to be held against the audit log (float), ``until`` a time: once is not enough."""
    return max(memory.began, min(memory.judged, until - TOLD)) or until


def log(memory: Memory, path: str, extent: Sequence[typing.Any], now: float, kept: bool = False) -> Memory:
    """
    Return the memory with the log at ``path`` (str) as it is now; that it was cut or is gone is a loss.

    extent
        As :func:`sshtrail_lib.coverage.pulse.extent` has it.
    kept
        Whether what it was lies beside it (bool): it was rotated, or copied.
    """
    told = "" if kept else _taken(memory, path, extent)
    return missing(memory, told, now)._replace(log=extent, place=path)


def _taken(memory: Memory, path: str, extent: Sequence[typing.Any]) -> str:
    if cut(memory.log, extent):
        return f"{path} began with other records, and had {memory.log[1]} bytes"
    # A log that is not there is another finding.
    if memory.place == path and memory.log[0] and extent[0] and memory.log[0] != extent[0]:
        return f"{path} is another file than before, and the one of before, of {memory.log[1]} bytes, is not beside it"
    return ""


def missing(memory: Memory, told: str, now: float) -> Memory:
    """Return the memory with the loss of records that are missing (``told``, str; empty for none), seen now."""
    before = memory.loss if memory.loss and memory.loss.seen == now else Loss(0, now)
    both = "; ".join(filter(None, (before.told, told)))
    return memory._replace(loss=before._replace(told=both)) if told else memory


def since(memory: Memory, verdicts: Sequence[Verdict], now: float) -> Memory:
    """Return the memory of which ways are open (sequence of :class:`Verdict`): those of before keep their time."""
    open_ways = {name(one): one.since or memory.since.get(name(one), now) for one in verdicts if one.holds is False}
    return memory._replace(since=open_ways)


def name(found: Verdict) -> str:
    """Return what tells one open way from another (str): several rules can hide, each since its own time."""
    return f"{found.check} {found.evidence}"


def moved(memory: Memory, places: Mapping[str, Sequence[int]], now: float) -> tuple[Memory, dict[str, float]]:
    """
    Return the memory of the watched directories, and which rules watch another one than the one that is there.

    places
        For each rule that the kernel holds, which directory is there now: ``{rule line: [device, inode]}``.

    The second is ``{rule line: when it was the same for the last time}``, seconds since the epoch.
    """
    before = memory.places
    gone = {
        line: before[line][2] for line, place in places.items() if line in before and [*place] != [*before[line][:2]]
    }
    known = {line: before[line] if line in gone else [*place, now] for line, place in places.items()}
    return memory._replace(places=known), gone


def loaded_again(memory: Memory, lines: Sequence[str], places: Mapping[str, Sequence[int]], now: float) -> Memory:
    """Return the memory in which the rules ``lines`` (sequence of str) watch what is there: they were loaded anew."""
    return memory._replace(places={**memory.places, **{line: [*places[line], now] for line in lines}})
