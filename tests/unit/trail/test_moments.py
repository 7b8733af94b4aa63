"""
trail.moments: times as people write them.
"""

import datetime

import pytest
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
        (datetime.date(2026, 11, 1), at(2026, 11, 1)),
        (datetime.datetime(2026, 11, 1, 8), at(2026, 11, 1, 8)),
        (1700000000, 1700000000.0),
        ("1700000000.5", 1700000000.5),
        (None, None),
        ("", None),
    ],
)
def test_what_is_meant(written, meant):
    assert moments.parse(written, "since", NOW) == meant


@pytest.mark.parametrize("written", ["soon", "2", 7, True, "25:00", "2026-13-01", "h", "-2h", [], "9" * 400 + "h"])
def test_what_is_no_time_is_named(written):
    with pytest.raises(SaltInvocationError, match="since is .* no time; write it as 2h"):
        moments.parse(written, "since", NOW)
