"""
fleet.vigil: who is watched, by the master's clock alone, and when a silence counts.
"""

import json

import pytest
from sshtrail_lib.base import text
from sshtrail_lib.drift.heartbeat import Beat
from sshtrail_lib.fleet import standing, vigil
from sshtrail_lib.fleet.vigil import Memory, Mined, Record

# The host's clock is an hour wrong; the master's says 10,000.
BEAT = Beat(3, 6400.0, 6390.0, "abc", 0, 12, 300)
NOW = 10_000.0
RECORD = Record(3, 6400.0, NOW - 20, 910, claimed=910)
AGREED = {"interval": 10, "heartbeat": 300}
GOOD = {"environment": "prod", "digest": "abc", "drift": [], "reboot": {}, "silent": "", "error": None}


def test_a_heartbeat_comes_when_its_file_is_written_and_the_same_one_does_not_come_again():
    first = vigil.heard(None, Mined(BEAT, NOW - 20), NOW)
    assert first == RECORD
    # Somebody else has written to the mine since.
    assert vigil.heard(first, Mined(BEAT, NOW + 50), NOW + 60) == first
    assert vigil.heard(first, Mined(None, NOW + 50), NOW + 60) == first
    again = vigil.heard(first, Mined(BEAT._replace(number=4), NOW + 50), NOW + 60)
    assert (again.number, again.arrived) == (4, NOW + 50)
    assert vigil.heard(first, Mined(BEAT._replace(number=4), NOW + 99), NOW + 60).arrived == NOW + 60


TROUBLES = [
    (RECORD, BEAT, 0, ""),
    (RECORD._replace(arrived=NOW - 911), BEAT, 0, "the last heartbeat came 15 min ago; at most 15 min are allowed"),
    # The master itself was deaf until a moment ago.
    (RECORD._replace(arrived=NOW - 911), BEAT, NOW - 60, ""),
    (RECORD, BEAT._replace(failed="no", failing=6300.0), 0, "its look at itself has failed for 2 min: no"),
    (
        RECORD,
        BEAT._replace(looked=3000.0),
        0,
        "it has not looked for 57 min: a state run is going on, or its looks do not come to an end",
    ),
    (RECORD, BEAT._replace(looked=3000.0, until=9999.0), 0, ""),
    (Record(arrived=NOW - 5000), None, 0, ""),
    (Record(arrived=NOW - 5000, limit=910), None, 0, "no heartbeat has come in 83 min"),
    (Record(arrived=NOW - 900, limit=910), None, 0, ""),
    (RECORD._replace(arrived=NOW - 5000), None, 0, "the last heartbeat came 83 min ago; at most 15 min are allowed"),
    # It says that it may be silent for ten days.
    (
        RECORD._replace(arrived=NOW - 911, claimed=864010, allowed=910),
        BEAT,
        0,
        "the last heartbeat came 15 min ago; at most 15 min are allowed, not 10 days as it says itself",
    ),
    # Its pillar does not ask for it any more.
    (RECORD._replace(arrived=NOW - 5000, limit=0), BEAT, 0, ""),
]


@pytest.mark.parametrize("record,beat,since,why", TROUBLES)
def test_why_a_host_is_not_watched(record, beat, since, why):
    assert vigil.trouble(record, beat, NOW, since) == why


def test_when_it_looked_needs_no_right_clock():
    assert vigil.looked_ago(RECORD, BEAT, NOW) == 30
    assert vigil.looked_ago(RECORD, BEAT._replace(looked=0.0), NOW) is None
    assert vigil.looked_ago(RECORD, None, NOW) is None


def row(agreed=AGREED, record=RECORD, beat=BEAT, **answer):
    return vigil.row(standing.row({**GOOD, "watch": agreed, **answer}), record, beat, NOW)


def test_who_is_not_watched_is_not_in_its_policy():
    assert row() == {**{key: value for key, value in standing.row(GOOD).items() if key != "watch"}, "looked": 30}
    silent = row(record=RECORD._replace(arrived=NOW - 1000))
    assert silent["standing"] == "not watched" and not standing.good(silent)
    assert silent["differences"] == ["not watched: the last heartbeat came 17 min ago; at most 15 min are allowed"]
    never = row(record=Record(arrived=NOW), beat=None)
    assert never["differences"] == ["not watched: the master has never heard that it looks at itself"]
    assert row(beat=BEAT._replace(until=9.0))["differences"] == ["not watched: somebody has silenced it"]
    assert row(record=RECORD._replace(arrived=0.0), silent="no greeting")["standing"] == "differs"


@pytest.mark.parametrize("agreed", [{}, {"interval": 0, "heartbeat": 300}, {"interval": 10, "heartbeat": 0}])
def test_a_policy_that_asks_for_no_watch_misses_none(agreed):
    assert row(agreed, Record(arrived=NOW), None)["standing"] == "in policy"
    # That is for the master's pillar to say.
    assert row(agreed, Record(arrived=NOW, limit=910, allowed=910), None)["standing"] == "not watched"
    silent = RECORD._replace(arrived=NOW - 1000, allowed=910)
    assert row(agreed, silent)["standing"] == "not watched" and row(agreed, RECORD)["standing"] == "in policy"


def test_the_table_says_when_a_host_looked():
    rows = {"web1": row(), "web2": {**row(), "looked": 7300}, "web3": {**standing.row(None), "looked": None}}
    assert standing.table(rows).splitlines()[:4] == [
        "minion  environment  policy  standing   looked    proven  differences",
        "web1    prod         abc     in policy  30 s ago  -",
        "web2    prod         abc     in policy  2 h ago   -",
        "web3    -            -       no answer  -         -",
    ]


@pytest.mark.parametrize(
    "seconds,said", [(0, "0 s"), (-3, "0 s"), (119, "119 s"), (120, "2 min"), (7300, "2 h"), (9e5, "10 days")]
)
def test_a_span(seconds, said):
    assert text.span(seconds) == said


def test_memory_is_kept():
    known = Memory(1.0, 2.0, {"web1": RECORD._replace(told="x")})
    assert vigil.memory(json.loads(json.dumps(vigil.stored(known)))) == known


@pytest.mark.parametrize(
    "value",
    [None, [], {}, {"since": 0, "ran": 0}, {"since": 0, "ran": 0, "records": {"a": 1}}]
    + [{"since": 0, "ran": 0, "records": {"a": ["x", 0, 0, 0, 0, ""]}}],
)
def test_broken_memory_is_none(value):
    assert vigil.memory(value) == Memory()


def test_a_master_that_was_down_listens_anew():
    assert vigil.listens(Memory(5.0, NOW - 60), NOW) == 5.0
    assert vigil.listens(Memory(5.0, NOW - 600), NOW) == NOW
    assert vigil.listens(Memory(), NOW) == NOW


def test_which_pillars_are_read():
    known = RECORD._replace(asked=NOW - 400, allowed=910)
    records = {"old": known, "told": known._replace(told="x"), "late": known, "new": Record(arrived=NOW)}
    records |= {"asked": Record(arrived=0.0, asked=NOW - 10), "free": RECORD._replace(limit=0, asked=1.0)}
    records |= {"more": known._replace(claimed=911), "long": RECORD._replace(claimed=911)}
    records |= {"again": known._replace(claimed=911, asked=NOW - 10), "short": known._replace(claimed=16)}
    records |= {f"unread{number}": RECORD._replace(asked=NOW - 90_000 - number) for number in range(9)}
    missed = {**dict.fromkeys(records, ""), "told": "x", "late": "y"}
    urgent = ["late", "long", "more", "new", "free"]
    assert vigil.due(Memory(0, NOW, records), missed, NOW) == [*urgent, "unread8"]
    many = {**records, **{f"web{number}": known for number in range(3000)}}
    assert vigil.due(Memory(0, NOW, many), {}, NOW)[-3:] == ["unread8", "unread7", "unread6"]


def test_a_host_has_its_time_from_when_its_pillar_asks_for_it():
    new = vigil.asked(Record(arrived=1.0), 910, NOW)
    assert (new.arrived, new.limit, new.asked) == (NOW, 910, NOW)
    assert vigil.asked(RECORD, 1000, NOW) == RECORD._replace(asked=NOW, allowed=1000)
    free = vigil.asked(RECORD, 0, NOW)
    assert free.limit == 0 and vigil.trouble(free, BEAT, NOW + 9999) == ""
    assert vigil.asked(free, 910, NOW + 500).arrived == NOW + 500


def test_a_host_is_not_allowed_more_than_its_pillar_says():
    long = Mined(BEAT._replace(number=4, heartbeat=288_000), NOW)
    # Until that was read, it is believed.
    assert vigil.heard(RECORD, long, NOW).limit == 864_010
    assert vigil.heard(RECORD._replace(allowed=910), long, NOW).limit == 910
    known = vigil.asked(vigil.heard(RECORD, long, NOW), 910, NOW)
    assert (known.limit, known.claimed, known.allowed) == (910, 864_010, 910)
    # One that asks for less of itself is held to that.
    short = vigil.heard(known, Mined(BEAT._replace(number=5, heartbeat=20), NOW), NOW)
    assert short.limit == 70 and vigil.asked(short, 910, NOW).limit == 70


@pytest.mark.parametrize("ahead", [3600, 10 * 365 * 86400])
def test_a_clock_that_was_set_back_hides_no_silence(ahead):
    """A host ended while the master's clock was ahead: nobody waits until it is that late again."""
    known = RECORD._replace(arrived=NOW + ahead, asked=NOW + ahead)
    known = vigil.heard(known, Mined(BEAT, NOW + ahead), NOW)
    assert (known.arrived, known.asked) == (NOW, NOW) and vigil.trouble(known, BEAT, NOW + 900) == ""
    assert vigil.trouble(known, BEAT, NOW + 911).startswith("the last heartbeat came 15 min ago")
    assert vigil.listens(Memory(NOW + ahead, NOW + ahead), NOW) == NOW
