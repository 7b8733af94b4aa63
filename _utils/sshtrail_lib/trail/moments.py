"""
Times as people write them: ``2h``, ``yesterday 14:00``, ``2026-11-25 14:00``.
"""

from __future__ import annotations

import contextlib
import datetime
import re

from salt.exceptions import SaltInvocationError

UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
UNIT = r"(s|m|h|d|w)(?:(?<=s)ec(?:ond)?s?|(?<=m)in(?:ute)?s?|(?<=h)(?:ou)?rs?|(?<=d)ays?|(?<=w)eeks?)?"
SPAN = re.compile(rf"([0-9]{{1,9}}(?:\.[0-9]{{1,3}})?|an?\b)\s*{UNIT}(?![a-z])")
SPANS = re.compile(rf"(?:-|last |past )?\s*(?:{SPAN.pattern}(?:\s+and)?\s*)+(?:ago)?")
DAYS = {"today": 0, "yesterday": -1, "tomorrow": 1}
WEEK = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
MONTHS = (
    *("january", "february", "march", "april", "may", "june", "july", "august", "september", "october", "november"),
    "december",
)
NUMBERS = r"(?P<year>[0-9]{4})(?P<dash>-?)(?P<month>[0-9]{2})(?P=dash)(?P<day>[0-9]{2})"
MONTH = "|".join(f"{month[:3]}(?:{month[3:]})?" for month in MONTHS)
NAMED = (
    rf"(?P<name>{MONTH})\.? (?P<day>[0-9]{{1,2}})(?:,? (?P<year>[0-9]{{4}}))?",
    rf"(?P<day>[0-9]{{1,2}})\.? (?P<name>{MONTH})(?: (?P<year>[0-9]{{4}}))?",
)
DATES = tuple(re.compile(one) for one in (NUMBERS, *NAMED))
DAY_NAME = "|".join(f"{day[:3]}(?:{day[3:]})?" for day in WEEK)
WEEKDAY = re.compile(rf"(?P<last>last )?(?P<name>{DAY_NAME})")
#: What stands before a date and says the same: ``Fri, 27 Nov 2026``.
BEFORE = re.compile(rf"(?P<name>{DAY_NAME})(?:, ?| )(?P<rest>[^ ].*)")
CLOCK = re.compile(
    r"(?P<hour>[0-9]{1,2})(?::?(?P<minute>[0-9]{2})(?::?(?P<second>[0-9]{2})(?:[.,](?P<part>[0-9]{1,9}))?)?)?"
    r"(?: ?(?P<half>am|pm))?"
)
NAMES = {"midnight": datetime.timedelta(0), "noon": datetime.timedelta(hours=12)}
ZONE = re.compile(
    r"(?P<rest>.*?(?:[0-9]|[ap]m)) ?(?:(?P<utc>z|utc|gmt)|(?P<sign>[+-])(?P<hours>[0-9]{2}):?(?P<minutes>[0-9]{2})?)"
)
#: A zone by a name that it has on this host; such a name alone tells nobody which zone is meant.
ZONE_NAME = re.compile(r"(?P<rest>.*(?:[0-9]|[ap]m)) (?P<name>[a-z]{2,6})")
#: As date(1), ctime(3) and aulast(8) write a time, with the year behind it.
YEAR_LAST = re.compile(
    rf"(?P<day>(?:(?:{DAY_NAME}) )?(?:{MONTH}) [0-9]{{1,2}}) (?P<clock>[0-9:.,]+(?: [ap]m)?)(?P<zone> [a-z0-9:+-]+)? "
    r"(?P<year>[0-9]{4})"
)
#: What lies between a day and a time of it.
BETWEEN = re.compile(r"t(?=[0-9])|,? +at +|, *| +")
#: Numbers from here on are seconds since the epoch (2001); smaller ones would be anything.
EPOCH, LATEST = 10**9, 10**11
ALLOWED = "2h, 3d, yesterday, 14:00, 2026-11-25, 2026-11-25 14:00 or 2026-11-25T14:00:00Z"


def parse(value: object, name: str, now: datetime.datetime) -> float | None:
    """
    Return a time (float, seconds since the epoch), None for none.

    value
        A span before now (``2h``, ``1h30m``, ``3 days ago``), a day (``today``, ``yesterday``, ``monday``, ``25 Nov``),
        a time of today (``14:00``, ``2pm``, ``24:00`` for its end), both (``yesterday 14:00``), ISO 8601 with or
        without a zone (text, or the date that YAML made of it), what ``date`` writes (``Wed Nov 25 14:00:00 UTC
        2026``; of zones with a name only those that this host has then), or seconds since the epoch (``@1795648800``
        too).
    name
        What it is (str), for the error.
    now
        The present (datetime with the zone that times without one are of, or without: this host's).

    Raises SaltInvocationError for anything else.
    """
    if value is None or value == "":
        return None
    try:
        found = _number(value, now) if isinstance(value, (int, float)) else _text(_plain(value), now)
    except (ValueError, OverflowError, OSError):
        found = None
    if found is None or not 0 <= found < LATEST:
        raise SaltInvocationError(f"{name} is {value!r}, which is no time; write it as {ALLOWED}.")
    return found


def _number(value: float, now: datetime.datetime) -> float | None:
    if isinstance(value, bool) or EPOCH <= value < LATEST:
        return None if isinstance(value, bool) else float(value)
    # YAML makes numbers of 14:00, 24:00 and 14:00:05, counted in sixties, and of 20261125.
    minutes, seconds = divmod(int(value), 60)
    if value != int(value) or value < 60 or 1440 < value < 3600 or 86400 <= value < 10**7:
        return None
    said = f"{minutes}:{seconds:02}" if value <= 1440 else f"{minutes // 60}:{minutes % 60:02}:{seconds:02}"
    return _text(said if value < 86400 else str(value), now)


def _plain(value: object) -> str:
    iso = isinstance(value, (datetime.datetime, datetime.date))
    return " ".join((value.isoformat() if iso else str(value)).lower().split())  # type: ignore[attr-defined]


def _text(said: str, now: datetime.datetime) -> float | None:
    if said == "now":
        return now.timestamp()
    if SPANS.fullmatch(said):
        spans = SPAN.findall(said)
        return now.timestamp() - sum((1.0 if one[0] == "a" else float(one)) * UNITS[unit] for one, unit in spans)
    epoch = re.fullmatch(r"@?([0-9]{10,11}(?:\.[0-9]{1,6})?)", said)
    if epoch:
        return _number(float(epoch[1]), now)
    year = YEAR_LAST.fullmatch(said)
    if year:
        said = f"{year['day']} {year['year']} {year['clock']}{year['zone'] or ''}"
    # 2026-11-25 has no offset of -25.
    if (when := _moment(said, now)) is not None:
        return when.replace(tzinfo=now.tzinfo).timestamp()
    offset, named = ZONE.fullmatch(said), ZONE_NAME.fullmatch(said)
    return _elsewhere(offset, now) if offset else _named(named, now) if named else None


def _elsewhere(found: re.Match, now: datetime.datetime) -> float | None:
    """Return a time that was written with its distance from UTC (float)."""
    zone = _zone(found)
    when = _moment(found["rest"], now.astimezone(zone))
    return None if when is None else when.replace(tzinfo=zone).timestamp()


def _named(found: re.Match, now: datetime.datetime) -> float | None:
    """Return a time that was written with the name of its zone (float), None where the present zone has another."""
    when = _moment(found["rest"], now)
    if when is None:
        return None
    # Where clocks are set back an hour comes twice, each time under a name of its own.
    for fold in (0, 1):
        here = when.replace(tzinfo=now.tzinfo, fold=fold)
        here = here if now.tzinfo else here.astimezone()
        if (here.tzname() or "").lower() == found["name"]:
            return here.timestamp()
    return None


def _zone(found: re.Match) -> datetime.timezone:
    size = datetime.timedelta(hours=int(found["hours"] or 0), minutes=int(found["minutes"] or 0))
    return datetime.timezone(-size if found["sign"] == "-" else size)


def _moment(said: str, now: datetime.datetime) -> datetime.datetime | None:
    """Return the day and the time that somebody wrote, in either order (datetime without a zone), None for neither."""
    found = _parts(said, now)
    before = BEFORE.fullmatch(said) if found is None else None
    if before:
        found = _parts(before["rest"], now)
        # A day of the week that is not the date's: one of the two is wrong.
        if found and found[0].weekday() != _weekday(before["name"]):
            return None
    return datetime.datetime.combine(found[0], datetime.time(0)) + found[1] if found else None


def _parts(said: str, now: datetime.datetime) -> tuple[datetime.date, datetime.timedelta] | None:
    """Return the day (date), and the time of it since midnight (timedelta), None for neither."""
    day, clock = _day(said, now), _clock(said) if ":" in said or not said.isdigit() else None
    if day or clock is not None:
        return day or now.date(), clock or datetime.timedelta(0)
    for between in BETWEEN.finditer(said):
        parts = said[: between.start()], said[between.end() :]
        for first, second in (parts, parts[::-1]):
            day, clock = _day(first.removeprefix("on "), now), _clock(second)
            if day and clock is not None:
                return day, clock
    return None


def _weekday(name: str) -> int:
    return [day[:3] for day in WEEK].index(name[:3])


def _day(said: str, now: datetime.datetime) -> datetime.date | None:
    if said in DAYS:
        return now.date() + datetime.timedelta(days=DAYS[said])
    week = WEEKDAY.fullmatch(said)
    if week:
        back = (now.weekday() - _weekday(week["name"])) % 7
        return now.date() - datetime.timedelta(days=back or (7 if week["last"] else 0))
    for pattern in DATES:
        found = pattern.fullmatch(said)
        if found:
            return _date(found.groupdict(), now)
    return None


def _date(parts: dict[str, str], now: datetime.datetime) -> datetime.date | None:
    month = int(parts["month"]) if "month" in parts else [name[:3] for name in MONTHS].index(parts["name"][:3]) + 1
    if parts["year"]:
        return datetime.date(int(parts["year"]), month, int(parts["day"]))
    # Without a year it is the last one; 29 February is not in every one.
    for year in range(now.year, now.year - 9, -1):
        with contextlib.suppress(ValueError):
            found = datetime.date(year, month, int(parts["day"]))
            if found <= now.date():
                return found
    return None


def _clock(said: str) -> datetime.timedelta | None:
    """Return a time of a day (timedelta since midnight; ``24:00`` is the day's end), None for anything else."""
    found = CLOCK.fullmatch(said)
    if not found or not (found["minute"] or found["half"] or len(said) == 2):
        return NAMES.get(said)
    hour = int(found["hour"])
    if found["half"]:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if found["half"] == "pm" else 0)
    minute, second = int(found["minute"] or 0), int(found["second"] or 0)
    part = int((found["part"] or "")[:6].ljust(6, "0"))
    good = (hour < 24 and minute < 60 and second < 60) or (hour == 24 and not (minute or second or part))
    return datetime.timedelta(hours=hour, minutes=minute, seconds=second, microseconds=part) if good else None
