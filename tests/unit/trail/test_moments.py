"""
trail.moments: times as people write them.
"""

import contextlib
import datetime
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from salt.exceptions import SaltInvocationError
from sshtrail_lib.trail import moments

ZONE = datetime.timezone(datetime.timedelta(hours=2))
NOW = datetime.datetime(2026, 11, 25, 14, 30, tzinfo=ZONE)


def at(*parts, zone=ZONE):
    return datetime.datetime(*parts, tzinfo=zone).timestamp()


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("2h", at(2026, 11, 25, 12, 30)),
        ("2 h ago", at(2026, 11, 25, 12, 30)),
        ("1h30m", at(2026, 11, 25, 13)),
        ("90min", at(2026, 11, 25, 13)),
        ("3d", at(2026, 11, 22, 14, 30)),
        ("1w", at(2026, 11, 18, 14, 30)),
        ("45s", at(2026, 11, 25, 14, 29, 15)),
        ("now", at(2026, 11, 25, 14, 30)),
        ("today", at(2026, 11, 25)),
        ("Yesterday", at(2026, 11, 24)),
        ("14:00", at(2026, 11, 25, 14)),
        ("9:05:07", at(2026, 11, 25, 9, 5, 7)),
        ("2026-11-01", at(2026, 11, 1)),
        ("2026-11-01 08:00", at(2026, 11, 1, 8)),
        ("2026-11-01T08:00:00Z", at(2026, 11, 1, 8, zone=datetime.timezone.utc)),
        ("2026-11-01T08:00:00.250z", at(2026, 11, 1, 8, 0, 0, 250000, zone=datetime.timezone.utc)),
        ("2026-11-01T08:00:00-05:00", at(2026, 11, 1, 13, zone=datetime.timezone.utc)),
        ("-2h", at(2026, 11, 25, 12, 30)),
        ("2 hours ago", at(2026, 11, 25, 12, 30)),
        ("an hour ago", at(2026, 11, 25, 13, 30)),
        ("last 24 hours", at(2026, 11, 24, 14, 30)),
        ("1 day and 2 hrs ago", at(2026, 11, 24, 12, 30)),
        ("1.5h", at(2026, 11, 25, 13)),
        ("10 minutes", at(2026, 11, 25, 14, 20)),
        ("30 sec", at(2026, 11, 25, 14, 29, 30)),
        ("2 weeks", at(2026, 11, 11, 14, 30)),
        ("yesterday 14:00", at(2026, 11, 24, 14)),
        ("yesterday at 2pm", at(2026, 11, 24, 14)),
        ("9:30 yesterday", at(2026, 11, 24, 9, 30)),
        ("today 12:15 am", at(2026, 11, 25, 0, 15)),
        ("noon", at(2026, 11, 25, 12)),
        ("yesterday midnight", at(2026, 11, 24)),
        ("2:30pm", at(2026, 11, 25, 14, 30)),
        ("Wednesday", at(2026, 11, 25)),
        ("last wednesday", at(2026, 11, 18)),
        ("mon 09:00", at(2026, 11, 23, 9)),
        ("Nov 25 14:00:05", at(2026, 11, 25, 14, 0, 5)),
        ("Nov  3", at(2026, 11, 3)),
        ("3 November 2025, 08:00", at(2025, 11, 3, 8)),
        ("Dec 24", at(2025, 12, 24)),
        ("29 Feb 12:00", at(2024, 2, 29, 12)),
        ("@1700000000", 1700000000.0),
        ("20261101T080000Z", at(2026, 11, 1, 8, zone=datetime.timezone.utc)),
        ("20261101", at(2026, 11, 1)),
        ("2026-11-01 08:00:00 UTC", at(2026, 11, 1, 8, zone=datetime.timezone.utc)),
        ("2026-11-01 08:00:00 +0100", at(2026, 11, 1, 7, zone=datetime.timezone.utc)),
        ("2026-11-01T08:00+01", at(2026, 11, 1, 7, zone=datetime.timezone.utc)),
        ("2026-11-01T08:00:00.123456789Z", at(2026, 11, 1, 8, 0, 0, 123456, zone=datetime.timezone.utc)),
        ("14:00Z", at(2026, 11, 25, 14, zone=datetime.timezone.utc)),
        ("2026-11-01T08", at(2026, 11, 1, 8)),
        (
            datetime.datetime(2026, 11, 1, 8, tzinfo=datetime.timezone.utc),
            at(2026, 11, 1, 8, zone=datetime.timezone.utc),
        ),
        (datetime.date(2026, 11, 1), at(2026, 11, 1)),
        (datetime.datetime(2026, 11, 1, 8), at(2026, 11, 1, 8)),
        (1700000000, 1700000000.0),
        # As YAML reads 24:00, 14:00, 1:05, 9:05:07, 23:59:59 and 20261101.
        *(
            (1440, at(2026, 11, 26)),
            (840, at(2026, 11, 25, 14)),
            (65, at(2026, 11, 25, 1, 5)),
            (32707, at(2026, 11, 25, 9, 5, 7)),
        ),
        *((86399, at(2026, 11, 25, 23, 59, 59)), (20261101, at(2026, 11, 1))),
        ("1700000000.5", 1700000000.5),
        # The end of a day, as ISO 8601 has it.
        *(("24:00", at(2026, 11, 26)), ("yesterday 24:00:00", at(2026, 11, 25)), ("2026-12-31T24:00", at(2027, 1, 1))),
        # What date, date -R, aulast and Python write; and as date writes it in American English.
        ("Sun Nov  1 08:00:00 UTC 2026", at(2026, 11, 1, 8, zone=datetime.timezone.utc)),
        ("Sun Nov 1 08:00:00 +0100 2026", at(2026, 11, 1, 7, zone=datetime.timezone.utc)),
        ("Sun, 01 Nov 2026 08:00:00 +0000", at(2026, 11, 1, 8, zone=datetime.timezone.utc)),
        ("Sun Nov  1 08:00:00 2026", at(2026, 11, 1, 8)),
        ("Sun 01 Nov 2026 08:00:05 PM UTC", at(2026, 11, 1, 20, 0, 5, zone=datetime.timezone.utc)),
        ("Sun Nov  1 08:00:05 PM UTC 2026", at(2026, 11, 1, 20, 0, 5, zone=datetime.timezone.utc)),
        ("Sun Nov 1", at(2026, 11, 1)),
        ("Sunday, 1 November 2026 24:00", at(2026, 11, 2)),
        (None, None),
        ("", None),
    ],
)
def test_what_is_meant(written, meant):
    assert moments.parse(written, "since", NOW) == meant


@pytest.mark.parametrize(
    "written",
    [
        *(
            "soon",
            "2",
            7,
            True,
            "25:00",
            "2026-13-01",
            "h",
            [],
            "9" * 400 + "h",
            "2x",
            "2 hoursago",
            "13pm",
            "monthday",
        ),
        *("2026-11-31", "Feb 30", "14:00 14:00", "yesterday today", "2026-11-25T14:00:00+99:00", "@12", "ago", "-"),
        *(
            2000,
            86400,
            65.5,
            -840,
            20261331,
            "2026-1101",
            "1 2 3",
            "99999999d",
            "0000-01-01",
            "14:00:00:00",
            "25",
            "202611011",
            "+02:00",
            "now 2h",
        ),
        # It was a Sunday; CET is a name of other hosts' zones.
        *("Mon Nov 1 2026", "Mon Nov  1 08:00:00 UTC 2026", "Sun Nov  1 08:00:00 CET 2026", "08:00 cet", "14:00 pm"),
        *(
            "24:01",
            "24:00:00.1",
            "24pm",
            "sun 2",
            "sun sun sun",
            "Sun Nov 1 08:00:00 UTC 2026 UTC",
            "14:60",
            "12:00:61",
        ),
    ],
)
def test_what_is_no_time_is_named(written):
    with pytest.raises(SaltInvocationError, match="since is .* no time; write it as 2h"):
        moments.parse(written, "since", NOW)


@pytest.mark.parametrize(
    ("now", "written", "meant"),
    [
        # Summer time ended on 25 October, and begins on 29 March.
        ((2026, 11, 25, 14), "2026-07-01 12:00", (2026, 7, 1, 10)),
        ((2026, 10, 25, 14), "yesterday", (2026, 10, 23, 22)),
        ((2026, 10, 25, 14), "24h", (2026, 10, 24, 13)),
        ((2026, 10, 25, 14), "01:00", (2026, 10, 24, 23)),
        ((2026, 3, 29, 14), "yesterday 14:00", (2026, 3, 28, 13)),
        # This hour is there twice.
        ((2026, 11, 25, 14), "Sun Oct 25 02:30:00 CEST 2026", (2026, 10, 25, 0, 30)),
        ((2026, 11, 25, 14), "Sun Oct 25 02:30:00 CET 2026", (2026, 10, 25, 1, 30)),
        ((2026, 11, 25, 14), "2026-07-01 12:00 CEST", (2026, 7, 1, 10)),
        ((2026, 11, 25, 14), "Sat Oct 24 24:00:00 2026", (2026, 10, 24, 22)),
    ],
)
def test_a_zone_with_summer_time(monkeypatch, now, written, meant):
    monkeypatch.setenv("TZ", "Europe/Berlin")
    time.tzset()
    try:
        found = moments.parse(written, "since", datetime.datetime(*now))
    finally:
        monkeypatch.undo()
        time.tzset()
    assert found == at(*meant, zone=datetime.timezone.utc)


@given(st.text(max_size=30) | st.text("0123456789:-+.@ TZhdamp", max_size=20) | st.floats() | st.integers())
def test_any_words_are_a_time_or_named(written):
    with contextlib.suppress(SaltInvocationError):
        found = moments.parse(written, "since", NOW)
        assert found is None or 0 <= found < moments.LATEST
