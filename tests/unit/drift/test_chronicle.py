"""drift.chronicle: what differed from when to when, bounded whatever happens."""

import pytest
from sshtrail_lib.base import text
from sshtrail_lib.drift import chronicle

HOUR = 3600.0
A = {"layer": "kernel", "what": "a", "expected": 1, "actual": 2, "since": None, "by": None}
B = {**A, "what": "b", "since": "1970-01-02T00:10:00Z", "by": {"user": "bob"}}
START = 86400.0


def after(*looks):
    known = chronicle.empty()
    for now, found in looks:
        known = chronicle.looked(known, found, now)
    return known


def test_a_span_begins_and_ends():
    known = after((START, []), (START + 600, [A]), (START + 1200, [A]), (START + 1800, []))
    [span] = chronicle.over(known, 1, START + 1800)["spans"]
    assert (span["from"], span["to"], span["seconds"]) == ("1970-01-02T00:10:00.000Z", "1970-01-02T00:30:00.000Z", 1200)


def test_what_lasts_has_no_end():
    [span] = chronicle.over(after((START, [A])), 1, START + 600)["spans"]
    assert span["to"] is None and span["seconds"] == 600


def test_since_when_and_by_whom_as_the_trail_tells():
    [span] = chronicle.over(after((START, []), (START + 1200, [B])), 1, START + 1200)["spans"]
    assert (span["from"], span["by"]) == ("1970-01-02T00:10:00.000Z", "bob")
    early = {**B, "since": "1970-01-01T00:00:00Z"}
    # Nobody saw it at the look before.
    assert chronicle.over(after((START, []), (START + 1200, [early])), 1, START + 1200)["spans"][0]["seconds"] == 0


def test_a_time_without_looks_is_a_gap():
    known = after((START, []), (START + 2 * HOUR, []))
    assert len(chronicle.over(known, 1, START + 2 * HOUR)["gaps"]) == 1
    assert len(chronicle.over(known, 1, START + 4 * HOUR)["gaps"]) == 2


def test_a_lost_proof_lasts_until_the_next():
    known = after((START, []))
    for at, holds in ((600, True), (1200, False), (1800, True)):
        known = chronicle.proven(known, {"holds": holds, "lost_at": None if holds else "file"}, START + at)
    told = chronicle.over(known, 1, START + 1800)
    assert [one["holds"] for one in told["proofs"]] == [True, False, True]
    assert [(one["what"], one["actual"], one["seconds"]) for one in told["spans"]] == [("proof", "lost at file", 600)]


def test_a_period_shows_its_own():
    known = after((START, [A]), (START + 600, []), (START + 864000, [B]))
    told = chronicle.over(known, 1, START + 864000)
    assert [one["what"] for one in told["spans"]] == ["b"]
    assert told["from"] == "1970-01-11T00:00:00.000Z"


def test_a_host_without_history_says_so():
    told = chronicle.over(chronicle.empty(), 90, START)
    assert told["looks"] == 0 and told["spans"] == []


def test_it_is_bounded():
    known = chronicle.empty()
    for at in range(3 * chronicle.SPANS // chronicle.OPEN):
        many = [{**A, "what": f"{at}-{number}\n" * 500} for number in range(2 * chronicle.OPEN)]
        known = chronicle.looked(known, many, START + at * 60)
    assert len(known["open"]) == chronicle.OPEN and len(known["spans"]) <= chronicle.SPANS
    assert max(len(one["what"]) for one in known["spans"]) <= 200
    for at in range(chronicle.PROOFS + 5):
        known = chronicle.proven(known, {"holds": True}, START + 1e4 + at)
    assert len(known["proofs"]) == chronicle.PROOFS
    assert chronicle.looked(known, [], START + 2 * chronicle.KEPT)["proofs"] == []


def test_a_lost_proof_is_kept_whatever_comes_after_it():
    known = after((START, []))
    found = [True, False, True, *[True] * (chronicle.PROOFS + 500)]
    for at, holds in enumerate(found):
        known = chronicle.proven(known, {"holds": holds, "lost_at": None if holds else "file"}, START + 60 * at)
    told = chronicle.over(known, 90, START + 60 * len(found))
    assert [(one["what"], one["seconds"]) for one in told["spans"]] == [("proof", 60)]
    assert len(told["proofs"]) == chronicle.PROOFS + 2 and told["from"] == "1970-01-02T00:00:00.000Z"


def test_a_history_that_was_cut_begins_later():
    known = chronicle.empty()
    for at in range(2 * chronicle.SPANS + 20):
        known = chronicle.looked(known, [A] if at % 2 else [], START + at * 600)
    told = chronicle.over(known, 400, START + at * 600)
    assert len(told["spans"]) == chronicle.SPANS + 1
    # It begins where the last of those ended that were cut off.
    assert text.seconds(told["from"]) == text.seconds(told["spans"][0]["from"]) - 600 > START


#: When it is looked (hours) and whether something differs, and when each span begins and ends.
BACK = [
    ([(48, 1), (24, 0)], [(48, 48)]),
    ([(48, 0), (24, 1), (25, 0)], [(24, 25)]),
    ([(9000, 0), (24, 1), (25, 0)], [(24, 25)]),
    ([(48, 1), (24, 1)], [(48, None)]),
    ([(24, 0), (25, 1), (26, 0), (9000, 0), (27, 0)], [(25, 26)]),
]


@pytest.mark.parametrize(("looks", "spans"), BACK)
def test_a_clock_that_was_set_back_hides_nothing(looks, spans):
    known = after(*((at * HOUR, [A] if differs else []) for at, differs in looks))
    told = chronicle.over(known, 90, (looks[-1][0] + 1) * HOUR)
    at = [tuple(stamp and text.seconds(stamp) / HOUR for stamp in (one["from"], one["to"])) for one in told["spans"]]
    assert at == spans and all(one["seconds"] >= 0 for one in told["spans"])
    assert told["from"] <= told["to"]


BAD = [None, [], {"version": 0}, {"version": 1, "spans": []}, "x"]


@pytest.mark.parametrize("value", BAD)
def test_what_is_no_history_is_an_empty_one(value):
    assert chronicle.parse(value) == chronicle.empty()


def test_what_was_kept_is_read_again():
    known = after((START, [A]))
    assert chronicle.parse(known) == known


def test_a_clock_that_was_set_back_makes_no_span_less_than_nothing():
    known = after((START + HOUR, [A]), (START, []))
    assert [one["seconds"] for one in chronicle.over(known, 1, START + 60)["spans"]] == [0]
