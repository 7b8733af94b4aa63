"""
fleet.heartbeats: the rounds of the master, with Salt's own cache for a mine.
"""

import os
import time

import pytest
import salt.cache
import salt.utils.mine
from sshtrail_lib.drift import heartbeat
from sshtrail_lib.drift.heartbeat import Beat
from sshtrail_lib.fleet import heartbeats
from sshtrail_lib.policy import pillar as policy_pillar

from unit.fleet.masters import POLICY, Site

PILLAR = {"sshtrail": POLICY}
WELL = {"environment": "prod", "digest": policy_pillar.digest(PILLAR), "drift": [], "silent": "", "reboot": {}}
WELL |= {"error": None, "watch": {"interval": 10, "heartbeat": 300}}
BANKS = {"3006": lambda name: (f"minions/{name}", "mine"), "3008": lambda name: ("mine", name)}


class Fleet:
    def __init__(self, cachedir, monkeypatch, bank):
        self.now, self.bank = 100_000.0, bank
        monkeypatch.setattr(time, "time", lambda: self.now)
        answers = {"sshtrail.condition": {}}
        pillars = {"web1": PILLAR, "other": {}}
        self.site = Site.at(cachedir, cache="localfs", pillars=pillars, answers=answers)
        self.cache = salt.cache.factory(self.site.opts)

    def beats(self, name, number, **fields):
        beat = heartbeat.stored(Beat(number, self.now - 3600, self.now - 3600, "abc", 0, 12, 300)._replace(**fields))
        wrapped = salt.utils.mine.wrap_acl_structure(beat, allow_tgt=name, allow_tgt_type="list")
        bank, key = self.bank(name)
        self.cache.store(bank, key, {heartbeat.MINE_KEY: wrapped, "test.ping": True})
        self.written(name)

    def written(self, name):
        """Have the mine of a host written now."""
        bank, key = self.bank(name)
        os.utime(os.path.join(self.site.opts["cachedir"], bank, f"{key}.p"), (self.now, self.now))

    def rounds(self, seconds):
        """Let the master make its rounds for a while; return what it told (list of kind, id, reason)."""
        for _ in range(0, seconds, 60):
            self.now += 60
            heartbeats.watch(self.site)
        told = [(tag.rpartition("/")[2], body["id"], body["reason"]) for tag, body in self.site.opts["events"]]
        self.site.opts["events"].clear()
        return told

    def row(self, name):
        self.site.opts["answers"]["sshtrail.condition"] = {name: WELL}
        return heartbeats.fleet(self.site, [name])[name]


@pytest.fixture(params=BANKS)
def fleet(tmp_path, monkeypatch, request):
    return Fleet(tmp_path, monkeypatch, BANKS[request.param])


def test_a_silence_is_told_once_and_its_end_once(fleet):
    fleet.beats("web1", 1)
    assert fleet.rounds(840) == []
    assert fleet.row("web1")["standing"] == "in policy" and fleet.row("web1")["looked"] == 840
    assert fleet.rounds(600) == [("silent", "web1", "the last heartbeat came 17 min ago; at most 15 min are allowed")]
    assert fleet.row("web1")["standing"] == "not watched"
    fleet.beats("web1", 2)
    assert fleet.rounds(120) == [("heard", "web1", "")]


def test_a_mine_that_others_write_to_is_no_heartbeat(fleet):
    fleet.beats("web1", 1)
    fleet.rounds(60)
    for _ in range(30):
        fleet.beats("web1", 1, time=96400.0, looked=96400.0)
        told = fleet.rounds(60)
        if told:
            break
    assert [one[:2] for one in told] == [("silent", "web1")]


def test_an_answer_in_the_mine_is_no_heartbeat(fleet, monkeypatch):
    """Where nobody makes rounds, only the question itself knows when the mine was written before."""
    fleet.beats("web1", 1)
    fleet.now += 2000
    asks = heartbeats.fleet_master.rows
    monkeypatch.setattr(heartbeats.fleet_master, "rows", lambda *given: fleet.written("web1") or asks(*given))
    row = fleet.row("web1")
    assert (row["looked"], row["standing"]) == (2000, "in policy")


def test_who_was_never_heard_is_told_in_time(fleet):
    assert fleet.rounds(900) == []
    assert fleet.rounds(300) == [("silent", "web1", "no heartbeat has come in 16 min")]


def test_a_wrong_pillar_is_told_with_it(fleet):
    fleet.site.opts["pillars"]["web1"] = {"sshtrail": {**POLICY, "confg": 1}}
    [(kind, name, reason)] = fleet.rounds(1200)
    assert (kind, name) == ("silent", "web1") and "sshtrail:confg is unknown" in reason


def test_who_claims_to_be_allowed_a_long_silence_is_told_in_time(fleet):
    fleet.beats("web1", 1, heartbeat=10**9)
    assert fleet.rounds(900) == []
    [(kind, name, reason)] = fleet.rounds(120)
    assert (kind, name) == ("silent", "web1")
    assert reason.endswith("17 min ago; at most 15 min are allowed, not 34722 days as it says itself")
    # Whose pillar says so has that time.
    drift = {"interval": 10, "heartbeat": 1200}
    fleet.site.opts["pillars"]["web1"] = {"sshtrail": {**POLICY, "drift": drift}}
    fleet.beats("web1", 2, heartbeat=1200)
    assert fleet.rounds(3600) == [("heard", "web1", "")]
    assert [one[:2] for one in fleet.rounds(120)] == [("silent", "web1")]


def test_a_pillar_that_is_wrong_for_a_moment_takes_nobody_his_time(fleet):
    right = {"sshtrail": {**POLICY, "drift": {"interval": 10, "heartbeat": 1200}}}
    fleet.site.opts["pillars"]["web1"] = right
    fleet.beats("web1", 1, heartbeat=1200)
    fleet.rounds(60)
    fleet.site.opts["pillars"]["web1"] = {"sshtrail": {**POLICY, "confg": 1}}
    fleet.beats("web1", 2, heartbeat=1300)
    assert fleet.rounds(3540) == []


def test_a_pillar_without_an_end_hides_no_silence(fleet, monkeypatch):
    monkeypatch.setattr(
        heartbeats, "_expected", lambda _master, name: os.kill(os.getpid(), 9) if name == "web1" else (0, "")
    )
    [(kind, name, reason)] = fleet.rounds(1200)
    assert (kind, name) == ("silent", "web1") and reason.endswith("its pillar cannot be compiled")


def test_who_does_not_have_to_look_any_more_is_not_missed(fleet):
    fleet.beats("web1", 1)
    fleet.rounds(60)
    fleet.site.opts["pillars"]["web1"] = {"sshtrail": {**POLICY, "drift": {"interval": 0, "splay": 0}}}
    assert fleet.rounds(3000) == []


def test_a_master_that_was_down_does_not_take_itself_for_silence(fleet):
    fleet.beats("web1", 1)
    fleet.rounds(60)
    fleet.now += 7200
    assert fleet.rounds(600) == []
    assert [one[:2] for one in fleet.rounds(600)] == [("silent", "web1")]


def test_who_is_not_accepted_any_more_is_forgotten(fleet):
    fleet.beats("web1", 1)
    fleet.rounds(60)
    del fleet.site.opts["pillars"]["web1"]
    assert fleet.rounds(3000) == []


def test_in_a_storm_of_silence_few_pillars_are_read(fleet, monkeypatch):
    names = [f"web{number}" for number in range(2, 60)]
    fleet.site.opts["pillars"].update(dict.fromkeys(names, PILLAR))
    for name in names:
        fleet.beats(name, 1)
    fleet.rounds(840)
    asked = []
    monkeypatch.setattr(type(fleet.site), "pillar", lambda self, name: asked.append(name) or (PILLAR, "Debian"))
    assert {one[1] for one in fleet.rounds(240) if one[0] == "silent"} >= set(names)
    assert len(asked) <= 4 * heartbeats.PILLARS


def test_a_lock_that_somebody_holds_is_left_to_him(fleet):
    fleet.beats("web1", 1)
    with heartbeats.lease.locks.lock(heartbeats._place(fleet.site, "heartbeats.lock"), 0):
        assert heartbeats.watch(fleet.site) == {}
