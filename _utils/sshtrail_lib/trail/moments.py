"""
Times as people write them: ``2h``, ``yesterday``, ``2026-11-25 14:00``.
"""

from __future__ import annotations

import datetime
import re

from salt.exceptions import SaltInvocationError

UNITS = {"s": 1, "m": 60, "min": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
SPAN = re.compile(r"([0-9]{1,9})\s*(s|min|m|h|d|w)")
SPANS = re.compile(rf"(?:{SPAN.pattern}\s*)+(?:ago)?", re.IGNORECASE)
CLOCK = re.compile(r"([01]?[0-9]|2[0-3]):([0-5][0-9])(?::([0-5][0-9]))?")
DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
#: Numbers from here on are seconds since the epoch (2001); smaller ones would be anything.
EPOCH = 10**9
ALLOWED = "2h, 3d, yesterday, 14:00, 2026-11-25, 2026-11-25 14:00 or 2026-11-25T14:00:00Z"


def parse(value: object, name: str, now: datetime.datetime) -> float | None:
    """
    Return a time (float, seconds since the epoch), None for none.

    value
        A span before now (``2h``, ``1h30m``, ``3d ago``), a day (``today``, ``yesterday``), a time of today
        (``14:00``), ISO 8601 with or without a zone (text, or the date that YAML made of it), or seconds since the
        epoch.
    name
        What it is (str), for the error.
    now
        The present (datetime with the zone that times without one are of).

    Raises SaltInvocationError for anything else.
    """
    if value is None or value == "":
        return None
    found = _number(value) if isinstance(value, (int, float)) else _text(_plain(value), now)
    if found is None:
        raise SaltInvocationError(f"{name} is {value!r}, which is no time; write it as {ALLOWED}.")
    return found


def _number(value: float) -> float | None:
    return float(value) if not isinstance(value, bool) and EPOCH <= value < 10**11 else None


def _plain(value: object) -> str:
    iso = isinstance(value, (datetime.datetime, datetime.date))
    return (value.isoformat() if iso else str(value)).strip()  # type: ignore[attr-defined]


def _text(said: str, now: datetime.datetime) -> float | None:
    if SPANS.fullmatch(said):
        total = sum(int(number) * UNITS[unit.lower()] for number, unit in SPAN.findall(said.lower()))
        return now.timestamp() - total
    if said.lower() in DAYS or said.lower() == "now":
        return now.timestamp() if said.lower() == "now" else _midnight(now, DAYS[said.lower()]).timestamp()
    clock = CLOCK.fullmatch(said)
    if clock:
        hour, minute, second = (int(part or 0) for part in clock.groups())
        return _midnight(now, 0).replace(hour=hour, minute=minute, second=second).timestamp()
    return _epoch(said) or _iso(said, now)


def _midnight(now: datetime.datetime, days: int) -> datetime.datetime:
    return (now + datetime.timedelta(days=days)).replace(hour=0, minute=0, second=0, microsecond=0)


def _epoch(said: str) -> float | None:
    return _number(float(said)) if re.fullmatch(r"[0-9]{10,11}(\.[0-9]{1,6})?", said) else None


def _iso(said: str, now: datetime.datetime) -> float | None:
    try:
        when = datetime.datetime.fromisoformat(re.sub(r"[Zz]$", "+00:00", said))
        return (when if when.tzinfo else when.replace(tzinfo=now.tzinfo)).timestamp()
    except (ValueError, OverflowError):
        return None
