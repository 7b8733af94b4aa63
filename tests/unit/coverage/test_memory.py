"""
coverage.memory: since when, how many were lost, and which directory was watched, over looks and boots.
"""

import json

import pytest
from sshtrail_lib.coverage import memory
from sshtrail_lib.coverage.checks import Verdict
from sshtrail_lib.coverage.daemon import Loss
from sshtrail_lib.coverage.memory import Memory

SEEN = Memory("boot", 5, None, {"rate-limited rate_limit is 1": 50.0}, {"rule": [1, 2, 50.0]})
LATER = SEEN._replace(
    looked=60.0, log=(2, 900, "type=A"), judged=50.0, began=40.0, given=((7, 9.5, "x"),), place="/var/log/x"
)
LATEST = LATER._replace(serial=70, digest="ab", rotated={"7": [900, 5, "type=A"]}, served={"read": "7 a"})


@pytest.mark.parametrize(
    "one", [Memory(), SEEN, SEEN._replace(loss=Loss(3, 40.0)), LATER._replace(loss=Loss(0, 60.0, "x")), LATEST]
)
def test_it_is_kept(one):
    assert memory.read(json.loads(json.dumps(memory.kept(one)))) == one


@pytest.mark.parametrize("value", [None, 7, [], {}, {"format": 1}, {"format": 2}, {**memory.kept(SEEN), "loss": [1]}])
def test_what_is_none_is_none(value):
    assert memory.read(value) == Memory()


def test_logins_are_judged_again_for_a_while():
    first = memory.judged(Memory(), 1000.0)
    assert memory.judges(Memory(), 1000.0) == 1000.0
    # What was before the first look, nobody promised.
    assert memory.judges(first, 1010.0) == 1000.0
    later = memory.judged(first, 5000.0)
    assert memory.judges(later, 5010.0) == 5010.0 - memory.TOLD
    # A host that slept is judged from its last look on.
    assert memory.judges(later, 9000.0) == 5000.0
    # One that looked with an older edition does not know when it began.
    old = {name: value for name, value in memory.kept(later).items() if name != "began"}
    assert memory.judges(memory.read(old), 5010.0) == 5000.0


def test_what_was_lost_before_anybody_looked_is_not_told():
    found = memory.lost(Memory(), "boot", 70, 100.0)
    assert (found.lost, found.loss) == (70, None)


def test_what_is_lost_between_looks():
    found = memory.lost(SEEN, "boot", 9, 100.0)
    assert (found.lost, found.loss) == (9, Loss(4, 100.0))
    # It is told for a while, also by looks that find no more of it.
    assert memory.lost(found, "boot", 9, 100.0 + memory.TOLD).loss == Loss(4, 100.0)
    assert memory.lost(found, "boot", 9, 101.0 + memory.TOLD).loss is None


def test_a_counter_that_was_set_back():
    assert memory.lost(SEEN, "boot", 0, 100.0).loss is None
    assert memory.lost(SEEN, "boot", 3, 100.0).loss == Loss(3, 100.0)


@pytest.mark.parametrize("extent", [(2, 100, "type=A"), (2, 0, ""), (2, 950, "type=B")], ids=str)
def test_a_log_that_was_cut(extent):
    cut = memory.log(LATER, "/log", extent, 100.0)
    assert "/log" in cut.loss.told and (cut.loss.seen, cut.loss.records, cut.log) == (100.0, 0, extent)
    later = memory.log(cut, "/log", extent, 101.0)
    assert later.loss == cut.loss
    assert memory.lost(later, "boot", 5, 101.0 + memory.TOLD).loss is None


def test_a_log_that_is_gone():
    before = LATER._replace(place="/log")
    gone = memory.log(before, "/log", (3, 5, "type=B"), 100.0)
    assert "/log is another file" in gone.loss.told and (gone.log, gone.place) == ((3, 5, "type=B"), "/log")
    # It was rotated; it is not there at all; the policy has it elsewhere now.
    assert memory.log(before, "/log", (3, 5, "type=B"), 100.0, kept=True).loss is None
    assert memory.log(before, "/log", (0, 0, ""), 100.0).loss is None
    assert memory.log(before, "/other", (3, 5, "type=B"), 100.0).loss is None
    assert memory.log(before._replace(log=(0, 0, "")), "/log", (3, 5, "type=B"), 100.0).loss is None


GROWN = [(0, 0, ""), (2, 900, "type=A"), (2, 901, "type=A"), (3, 5, "type=B")]


@pytest.mark.parametrize("extent", GROWN, ids=str)
@pytest.mark.parametrize("before", [LATER, Memory(), LATER._replace(log=(2, 0, ""))])
def test_a_log_that_grows_or_is_rotated(before, extent):
    assert memory.log(before, "/log", extent, 100.0).loss is None


def test_all_that_is_missing_is_told_together():
    found = memory.missing(memory.lost(SEEN, "boot", 9, 100.0), "it was off", 100.0)
    assert memory.missing(found, "a rule was gone", 100.0).loss == Loss(4, 100.0, "it was off; a rule was gone")
    assert memory.missing(found, "", 100.0) == found
    assert memory.missing(found, "again", 200.0).loss == Loss(0, 200.0, "again")


def test_another_boot_begins_anew():
    found = memory.lost(SEEN, "other", 90, 100.0)
    assert (found.boot, found.lost, found.loss, found.places) == ("other", 90, None, {})
    assert memory.lost(LATEST, "other", 90, 100.0).serial == 0


def test_since_when():
    bad = Verdict("rate-limited", False, "rate_limit is 1")
    other = Verdict("rate-limited", False, "rate_limit is 2")
    known = Verdict("session-unattributed", False, "x", since=7.0)
    found = memory.since(SEEN, [bad, other, known, Verdict("log-off", True), Verdict("log-unwritten", None)], 100.0)
    assert found.since == {memory.name(bad): 50.0, memory.name(other): 100.0, memory.name(known): 7.0}


def test_a_directory_that_was_replaced():
    found, gone = memory.moved(SEEN, {"rule": [1, 3], "new": [1, 8]}, 100.0)
    assert gone == {"rule": 50.0}
    assert found.places == {"rule": [1, 2, 50.0], "new": [1, 8, 100.0]}
    again = memory.loaded_again(found, ["rule"], {"rule": [1, 3]}, 110.0)
    assert memory.moved(again, {"rule": [1, 3]}, 120.0)[1] == {}


def test_a_directory_that_is_the_same():
    found, gone = memory.moved(SEEN, {"rule": [1, 2]}, 100.0)
    assert gone == {} and found.places == {"rule": [1, 2, 100.0]}
    # A rule that was out of the kernel in between is a new one.
    assert memory.moved(SEEN, {}, 100.0)[0].places == {}
