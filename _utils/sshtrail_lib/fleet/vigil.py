"""
Which hosts are watched: what their heartbeats come to by the master's own clock, and what is told of a silence.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping

from sshtrail_lib.base import text
from sshtrail_lib.drift import heartbeat
from sshtrail_lib.drift.heartbeat import Beat
from sshtrail_lib.fleet import standing
from sshtrail_lib.fleet.standing import Row

#: Seconds between two rounds of the master after which it may not have heard what was told: it was down itself.
GAP = 240
#: Seconds until the pillar of a host that was never heard, or that claims more than it allows, is read again.
AGAIN = 300
#: Seconds until what a pillar allows is read again where nothing calls for it, and between two rounds, mostly.
DAY, ROUND = 86400, 60
#: Who says that it may be silent for longer (seconds) has its pillar read for that.
USUAL = heartbeat.longest_silence(heartbeat.INTERVAL, heartbeat.HEARTBEAT)


class Mined(typing.NamedTuple):
    """
    What the mine holds of a host.

    beat
        Its last heartbeat (:class:`sshtrail_lib.drift.heartbeat.Beat`), None for none.
    written
        When the mine of this host was last written, for whatever reason (float, seconds since the epoch), 0 for never.
    """

    beat: Beat | None
    written: float


class Record(typing.NamedTuple):
    """
    What the master remembers of a host between two rounds; times are seconds since the epoch, by its own clock.

    number, time
        Which heartbeat was the last (int, and float by the host's clock), 0 for none.
    arrived
        When that came at the latest (float); of a host that was never heard, since when it is missed.
    limit
        How many seconds it may be silent (int): what the host says, and no more than its pillar; 0 while it does not
        have to look.
    asked
        When its pillar was last read to learn whether it is to look at all (float), 0 for never.
    told
        Why it was told to be silent (str), "" while it is not.
    claimed, allowed
        How many seconds the host says that it may be silent (int), 0 for nothing heard; and its pillar, as the master
        compiles it (int), 0 for not read yet.
    """

    number: int = 0
    time: float = 0.0
    arrived: float = 0.0
    limit: int = 0
    asked: float = 0.0
    told: str = ""
    claimed: int = 0
    allowed: int = 0


class Memory(typing.NamedTuple):
    """
    What the master remembers of all.

    since
        Since when it has listened without a gap (float, seconds since the epoch).
    ran
        When it did so for the last time (float).
    records
        The :class:`Record` of each host (dict by id).
    """

    since: float = 0.0
    ran: float = 0.0
    records: Mapping[str, Record] = {}


def memory(stored: typing.Any) -> Memory:
    """Return the :class:`Memory` in what was stored (anything); of what is broken nothing is believed."""
    try:
        records = {str(name): Record(*value) for name, value in stored["records"].items()}
        found = Memory(float(stored["since"]), float(stored["ran"]), records)
        return found if all(map(_is_record, records.values())) else Memory()
    except (AttributeError, LookupError, TypeError, ValueError):
        return Memory()


def _is_record(value: Record) -> bool:
    kinds = typing.get_type_hints(Record).values()
    return all(isinstance(part, (kind, int)) for part, kind in zip(value, kinds, strict=True))


def stored(known: Memory) -> dict[str, typing.Any]:
    """Return what stands for a :class:`Memory` in a file (dict)."""
    return {**known._asdict(), "records": {name: list(record) for name, record in known.records.items()}}


def listens(known: Memory, now: float) -> float:
    """Return since when the master has listened without a gap (float), when it does ``now`` (float)."""
    return known.since if 0 <= now - known.ran <= GAP else now


def heard(record: Record | None, mined: Mined, now: float) -> Record:
    """
    Return the :class:`Record` of a host after a look at its mine.

    When a heartbeat came is known by two things: nothing is written to a mine later than its file says, and a heartbeat
    that was there the last time came before that.
    """
    beat, known = mined.beat, record or Record(arrived=now)
    # The master's clock may have been set back.
    known = known._replace(arrived=min(known.arrived, now), asked=min(known.asked, now))
    if beat is None or (beat.number, beat.time) == (known.number, known.time):
        return known
    arrived = min(now, mined.written or now)
    claimed = heartbeat.limit(beat)
    # Until its pillar is read, which is soon for a long one, a host is believed.
    limit = min(claimed, known.allowed or claimed)
    return known._replace(number=beat.number, time=beat.time, arrived=arrived, claimed=claimed, limit=limit)


def trouble(record: Record, beat: Beat | None, now: float, since: float = 0.0) -> str:
    """
    Return why a host is not watched, in words (str), "" when it is.

    record, beat
        What is remembered of it (:class:`Record`), and its last heartbeat (:class:`Beat` or None).
    now, since
        The present, and since when the master listens (float, seconds since the epoch): before that it was deaf itself.
    """
    age, silent = now - record.arrived, now - max(record.arrived, since)
    if not record.limit:
        return ""
    if not record.number:
        return f"no heartbeat has come in {text.span(age)}" if silent > record.limit else ""
    if silent > record.limit:
        more = f", not {text.span(record.claimed)} as it says itself" if record.claimed > record.limit else ""
        return f"the last heartbeat came {text.span(age)} ago; at most {text.span(record.limit)} are allowed{more}"
    if beat and beat.failed:
        return f"its look at itself has failed for {text.span(age + beat.time - beat.failing)}: {beat.failed}"
    looked = looked_ago(record, beat, now)
    if beat and not beat.until and looked is not None and looked > record.limit + max(0.0, since - record.arrived):
        return f"it has not looked for {text.span(looked)}: a state run is going on, or its looks do not come to an end"
    return ""


def looked_ago(record: Record, beat: Beat | None, now: float) -> float | None:
    """Return how many seconds ago a host has looked at itself (float), None where it never has."""
    if beat is None or not beat.looked:
        return None
    # Both times are the host's own, so that a clock that is wrong does not count.
    return max(0.0, now - record.arrived) + max(0.0, beat.time - beat.looked)


def row(found: Row, record: Record, beat: Beat | None, now: float, since: float = 0.0) -> Row:
    """
    Return a host's row (dict) with ``looked``: how many seconds ago it has looked at itself (int), None for never.

    found
        How it stands to its policy (dict), with how that has it ``watch``ed, which is taken out.

    Who looks well and is not watched is not in its policy. Other arguments are those of :func:`trouble`.
    """
    looked, agreed = looked_ago(record, beat, now), found["watch"]
    found = {key: value for key, value in found.items() if key != "watch"}
    found = {**found, "looked": None if looked is None else int(looked)}
    if not record.allowed and not (agreed.get("interval") and agreed.get("heartbeat")):
        return found
    why = trouble(record, beat, now, since)
    if not record.number:
        why = "the master has never heard that it looks at itself"
    elif not why and beat and beat.until:
        why = "somebody has silenced it"
    if not why:
        return found
    stands = standing.NOT_WATCHED if standing.good(found) else found["standing"]
    return {**found, "standing": stands, "differences": [*found["differences"], f"not watched: {text.line(why)}"]}


def due(known: Memory, missed: Mapping[str, str], now: float) -> list[str]:
    """
    Return the hosts (list of str) whose pillars are to be read, the most urgent first.

    known
        What is remembered (:class:`Memory`).
    missed
        Who is in trouble, and why (dict by id).

    Those that are about to be told as silent, those that claim to be allowed more than is known, those that did not
    have to look, or were never heard; and a round's share of those whose pillars were not read for a day.
    """
    silent = [name for name, why in missed.items() if why and not known.records[name].told]
    waiting = {name: one for name, one in known.records.items() if now - one.asked > AGAIN}
    claiming = [name for name, one in waiting.items() if one.claimed > (one.allowed or USUAL)]
    never = [name for name, one in waiting.items() if not one.limit]
    old = [name for name, one in waiting.items() if now - one.asked > DAY]
    claiming, never, old = (
        sorted(names, key=lambda name: known.records[name].asked) for names in (claiming, never, old)
    )
    few = 1 + len(known.records) * ROUND // DAY
    return list(dict.fromkeys([*silent, *claiming, *never, *old[:few]]))


def asked(record: Record, expected: int, now: float) -> Record:
    """
    Return a host's :class:`Record` after a look at its pillar.

    expected
        How many seconds it may be silent by that (int), 0 when it does not have to look at all.
    """
    if not expected:
        return record._replace(limit=0, asked=now, allowed=0)
    # Who did not have to look has that long from the moment in which the master's pillar asks for it.
    arrived = record.arrived if record.limit else now
    limit = min(record.claimed or expected, expected)
    return record._replace(asked=now, limit=limit, arrived=arrived, allowed=expected)
