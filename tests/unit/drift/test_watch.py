"""
drift.watch: what a tick does, and that a host remembers having told only what the master has.
"""

import threading
import time
import types

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import claim, event, heartbeat, watch
from sshtrail_lib.drift.difference import entry

LOOSE = [entry("effective", "LogLevel", "VERBOSE", "ERROR")]
AGREED = {"interval": 10, "splay": 2, "action": "repair", "heartbeat": 300}
LOOK = {"environment": "prod", "digest": "0123456789ab", "drift": AGREED}
VALUES = {claim.MINE_KEY: "sshtrail_watch.claim", heartbeat.MINE_KEY: "sshtrail_watch.heartbeat"}


class Master:
    """What a minion reaches of its master: the mine and the events; ``away`` is a master that takes neither."""

    def __init__(self, cachedir):
        self.mine, self.events, self.records, self.away = {}, [], [], False
        self.differences, self.beats, self.whole, self.fails, self.refreshed = [], {}, [], "", []
        functions = (
            "sshtrail.look",
            "sshtrail_trail.sentence",
            "mine.send",
            "mine.delete",
            "mine.get",
            "event.send",
            "saltutil.refresh_pillar",
        )
        calls = {name: getattr(self, name.replace(".", "_")) for name in functions}
        # Nobody wants to hear of logins.
        quiet = {"audit": True, "sessions": {"tell": {"root": False}}, "proof": {"account": None}}
        calls["sshtrail.policy"] = lambda: quiet
        self.minion = Minion(calls, {"id": "web1", "cachedir": str(cachedir)}, {}, {}, self.run)

    def sshtrail_look(self, fresh):
        self.whole.append(fresh)
        if self.fails:
            raise CommandExecutionError(self.fails)
        return {**LOOK, "differences": self.differences}

    def sshtrail_trail_sentence(self, by):
        assert by is None
        return "by whom is unknown"

    def mine_send(self, name, mine_function, allow_tgt, allow_tgt_type):
        assert (mine_function, allow_tgt, allow_tgt_type) == (VALUES[name], "web1", "list")
        value = watch.claimed(self.minion) if name == claim.MINE_KEY else watch.beaten(self.minion)
        if not self.away:
            (self.mine if name == claim.MINE_KEY else self.beats)[name] = value
        return True

    def mine_delete(self, name):
        if not self.away:
            (self.mine if name == claim.MINE_KEY else self.beats).pop(name, None)

    def mine_get(self, minion, name, tgt_type):
        assert (minion, tgt_type) == ("web1", "list")
        return {"web1": self.mine[name]} if name in self.mine else {}

    def event_send(self, tag, body):
        self.events += [] if self.away else [(tag, body)]
        return not self.away

    def run(self, argv, *_how):
        self.records.append(argv)
        return {"retcode": 0, "stdout": "", "stderr": ""}

    def saltutil_refresh_pillar(self, wait):
        self.refreshed.append(wait)

    def tags(self):
        return [tag for tag, _ in self.events]

    def tick(self):
        return watch.tick(self.minion, {})


@pytest.fixture
def master(tmp_path, monkeypatch):
    monkeypatch.setattr(watch.salt.utils.minion, "running", lambda opts: [])
    monkeypatch.setattr(watch.syslog, "syslog", lambda *args: None)
    return Master(tmp_path)


def test_drift_is_told_once_and_its_end_once(master):
    assert master.tick() == "nothing new"
    master.differences = LOOSE
    assert [master.tick(), master.tick()] == ["drift told", "nothing new"]
    assert claim.parse(master.mine["sshtrail_drift"]).name == claim.name_of(LOOSE)
    [(tag, body)] = master.events
    assert (
        tag == event.FOUND
        and body["policy"] == "0123456789ab"
        and body["differences"][0]["said"] == "by whom is unknown"
    )
    master.differences = []
    assert [master.tick(), master.tick()] == ["end of drift told", "nothing new"]
    assert master.mine == {} and master.tags() == [event.FOUND, event.GONE]
    assert master.events[1][1]["digest"] == claim.name_of(LOOSE)


def test_a_clock_that_was_ahead_makes_no_new_drift_of_the_same(master, monkeypatch):
    monkeypatch.setattr(watch.fingerprint, "last_clean", lambda cachedir: time.time() + 86400)
    master.differences = LOOSE
    assert [master.tick() for _ in range(3)] == ["drift told", "nothing new", "nothing new"]


def test_a_full_disk_is_told_and_not_by_a_crash(master, monkeypatch):
    monkeypatch.setattr(watch.store, "_HELD", {})
    master.tick()
    master.differences = LOOSE

    def full(path, data, mode):
        raise CommandExecutionError(f"Cannot write {path}: No space left on device")

    monkeypatch.setattr(watch.store.files, "replace", full)
    assert master.tick().endswith("told.json: No space left on device") and master.mine == {}
    assert heartbeat.parse(master.beats["sshtrail_heartbeat"]).failed.endswith("No space left on device")


def test_a_disk_that_cannot_be_written_ends_a_tick_with_a_sentence(master, monkeypatch):
    def locked(path, deadline=0.0):
        raise CommandExecutionError(f"Cannot hold the lock {path}: Read-only file system; nothing was touched.")

    monkeypatch.setattr(watch.transaction, "lock", locked)
    assert master.tick().startswith("failed: Cannot hold the lock ")


def test_what_could_not_be_told_is_told_at_the_next_tick(master):
    master.differences, master.away = LOOSE, True
    assert [master.tick(), master.tick()] == ["the master could not be told"] * 2
    assert watch.claimed(master.minion) is None
    master.away = False
    assert master.tick() == "drift told"
    master.differences, master.away = [], True
    assert master.tick() == "the master could not be told"
    assert watch.claimed(master.minion) == master.mine["sshtrail_drift"]


@pytest.mark.parametrize("function", ["state.apply", "state.highstate", "sshtrail.converge"])
def test_nothing_is_told_while_a_state_run_is_going_on(master, monkeypatch, function):
    master.differences = LOOSE
    monkeypatch.setattr(watch.salt.utils.minion, "running", lambda opts: ["broken", {"fun": function}])
    assert master.tick() == "a state run is going on"
    assert master.events == [] and master.mine == {}


def test_a_silence_takes_the_claim_back_and_leaves_a_record(master, monkeypatch):
    master.differences = LOOSE
    master.tick()
    until = watch.silence(master.minion, 60, "change 4711")
    assert master.mine == {} and master.tags() == [event.FOUND, event.SILENCED]
    assert master.records == [["auditctl", "-m", f"sshtrail: drift is not told until {until}: change 4711"]]
    assert master.tick() == f"silent until {until}"
    now = time.time() + 3601
    monkeypatch.setattr(watch.time, "time", lambda: now)
    assert master.tick() == "drift told"
    assert master.tags()[2:] == [event.RESUMED, event.FOUND]


def test_a_silence_during_a_look_stays(master):
    """Whoever silences a host for a change begins with it at once, and a look may be in the middle of its work."""
    look, told = master.sshtrail_look, []

    def silenced(fresh):
        told.append(watch.silence(master.minion, 60, "change 4711"))
        return look(fresh)

    master.differences = LOOSE
    master.minion.call["sshtrail.look"] = silenced
    assert master.tick() == f"silent until {told[0]}" == master.tick() and len(told) == 1
    assert master.tags() == [event.SILENCED] and master.mine == {}


def test_what_is_silenced_while_it_is_told_is_taken_back(master, tmp_path):
    master.differences = LOOSE
    master.tick()
    done = []
    with watch.transaction.lock(str(tmp_path / "sshtrail" / "told.lock")):
        waits = threading.Thread(target=lambda: done.append(watch.silence(master.minion, 60, "change 4711")))
        waits.start()
        waits.join(0.5)
        assert not done and claim.MINE_KEY in master.mine
    waits.join()
    assert done and master.mine == {}


def test_what_a_state_run_that_began_during_the_look_has_half_done_is_no_drift(master, monkeypatch):
    running = []
    monkeypatch.setattr(watch.salt.utils.minion, "running", lambda opts: [*running])
    look = master.sshtrail_look
    master.minion.call["sshtrail.look"] = lambda fresh: running.append({"fun": "state.apply"}) or look(fresh)
    master.differences = LOOSE
    assert master.tick() == "a state run has begun" and master.events == []
    assert master.tick() == "a state run is going on"
    running.clear()
    master.minion.call["sshtrail.look"] = look
    assert master.tick() == "drift told"


def test_a_silence_can_be_ended(master):
    watch.silence(master.minion, 60, "change 4711")
    assert [watch.resume(master.minion), watch.resume(master.minion)] == [True, False]
    assert master.tags() == [event.SILENCED, event.RESUMED]


def test_what_is_no_silence_changes_nothing(master):
    with pytest.raises(claim.SilenceError):
        watch.silence(master.minion, 0, "x")
    assert master.events == [] and master.tick() == "nothing new"


def test_memory_that_somebody_else_could_have_written_is_none(master, tmp_path):
    master.differences = LOOSE
    master.tick()
    (tmp_path / "sshtrail" / "told.json").chmod(0o666)
    assert watch.claimed(master.minion) is None
    assert master.tick() == "drift told"


def beat(master):
    return heartbeat.parse(master.beats.get(heartbeat.MINE_KEY))


def later(monkeypatch, seconds):
    now = time.time() + seconds
    monkeypatch.setattr(watch.time, "time", lambda: now)


def test_a_heartbeat_comes_once_in_its_time_with_a_whole_look(master, monkeypatch):
    assert [master.tick(), master.tick()] == ["nothing new", "nothing new"]
    assert master.whole == [True, False] and beat(master).number == 1
    assert (beat(master).policy, beat(master).interval, beat(master).heartbeat) == ("0123456789ab", 12, 300)
    assert beat(master).looked == pytest.approx(time.time(), abs=30)
    later(monkeypatch, 400)
    master.tick()
    assert master.whole[2:] == [True] and beat(master).number == 2


def test_a_look_that_fails_is_told_at_once_and_its_end_too(master):
    master.tick()
    looked = beat(master).looked
    master.fails = "the pillar\nis wrong"
    assert [master.tick(), master.tick()] == ["failed: the pillar\\nis wrong"] * 2
    assert (beat(master).number, beat(master).failed, beat(master).looked) == (2, "the pillar\\nis wrong", looked)
    assert beat(master).failing
    master.fails = ""
    master.tick()
    assert (beat(master).number, beat(master).failed, beat(master).failing) == (3, "", 0.0)


def test_a_state_run_and_a_silence_are_no_look(master, monkeypatch):
    master.tick()
    looked = beat(master).looked
    until = watch.silence(master.minion, 60, "change 4711")
    later(monkeypatch, 400)
    assert master.tick() == f"silent until {until}"
    assert beat(master).number == 2 and beat(master).looked == looked and beat(master).until
    monkeypatch.setattr(watch.salt.utils.minion, "running", lambda opts: [{"fun": "state.apply"}])
    later(monkeypatch, 1000)
    master.tick()
    assert beat(master).number == 3 and beat(master).looked == looked


def test_a_policy_can_do_without_heartbeats(master, monkeypatch):
    master.tick()
    monkeypatch.setitem(AGREED, "heartbeat", 0)
    later(monkeypatch, 400)
    master.tick()
    assert beat(master) is None
    assert watch.beaten(master.minion)["heartbeat"] == 0
    monkeypatch.setitem(AGREED, "heartbeat", 300)
    master.tick()
    assert beat(master).heartbeat == 300


def test_a_schedule_begins_with_a_heartbeat_and_ends_without(master):
    watch.scheduled(master.minion, True)
    assert beat(master).number == 1 and not beat(master).looked
    watch.scheduled(master.minion, True)
    assert beat(master).number == 1
    watch.scheduled(master.minion, False)
    assert beat(master) is None


def test_a_state_run_with_another_pillar_than_the_last_look_has_it_refreshed(master):
    old, new = {"sshtrail": {"drift": {"interval": 60}}}, {"sshtrail": {"drift": {"interval": 10}}}
    assert watch.agree(master.minion, old), "nobody has looked yet"
    watch.tick(master.minion, old)
    assert not watch.agree(master.minion, {**old, "others": 1})
    assert watch.agree(master.minion, new)
    assert master.refreshed == [True, True]
    watch.tick(master.minion, new)
    assert not watch.agree(master.minion, new)
    # Where nobody looks any more, nobody knows what the minion holds in memory.
    watch.scheduled(master.minion, False)
    assert watch.agree(master.minion, new)


def test_two_ticks_do_not_look_at_once(master, tmp_path):
    with watch.transaction.lock(str(tmp_path / "sshtrail" / "tick.lock"), 0):
        assert master.tick() == "another tick is still looking"
    assert master.whole == []


def test_a_tick_of_an_old_library_has_the_minion_load_the_new_one(master, monkeypatch):
    asked = []
    master.minion.call["saltutil.refresh_modules"] = lambda: asked.append(1)
    master.tick()
    assert asked == []
    monkeypatch.setattr(watch, "stale", lambda: True)
    # It looks all the same.
    assert master.tick() == "nothing new" and asked == [1]


def test_the_event_names_two_writers_the_third_time(tmp_path):
    minion = types.SimpleNamespace(cachedir=str(tmp_path))
    said = [
        watch._said(minion, entry("effective", "LogLevel", "VERBOSE", "INFO"), "changed by alice") for _ in range(3)
    ]
    assert said[:2] == ["changed by alice"] * 2
    assert said[2].startswith("changed by alice. LogLevel has been changed 3 times") and "two writers" in said[2]
    other = watch._said(minion, entry("kernel", "LogLevel", "VERBOSE", "INFO"), "changed by alice")
    assert other == "changed by alice"
