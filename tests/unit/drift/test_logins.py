"""
drift.logins, drift.sessions: a notable login is told once, and its end once, whatever happens between two ticks.
"""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import processes, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import event, logins, sessions

NOW = 1_790_000_000.0
TELL = {"root": True, "password": False, "unknown_key": False, "new_account": False, "networks": [], "hours": []}
POLICY = {"audit": True, "sessions": {"tell": TELL}, "proof": {"account": "sshtrail-proof"}}
LOGIN = (
    b"type=USER_START msg=audit(1790000000.1:7): pid=9 msg='op=PAM:session_open exe=\"/usr/sbin/sshd\" res=success'\n"
)
CRON = (
    b"type=USER_START msg=audit(1790000000.1:8): pid=9 msg='op=PAM:session_open exe=\"/usr/sbin/cron\" res=success'\n"
)
BIRTH = processes.birth
PROOF = {"argv": ["/bin/true", "sshtrail-proof-0123456789abcdef0123456789abcdef"], "exe": "/bin/true"}


def session(number, user="root", **more):
    """Return a session as the trail tells it (dict)."""
    began = more.pop("began", NOW)
    whole = dict.fromkeys(event.SESSION)
    whole |= {"id": f"{number}@{text.iso(began)}", "host": "web1", "user": user, "auid": 0 if user == "root" else 1001}
    whole |= {"from": {"address": "192.0.2.9", "port": 4}, "method": "publickey", "started": text.iso(began)}
    whole |= {"state": "open", "channels": [], "became": [], "unknown": {}, "commands": None, "pid": 4000 + number}
    return {**whole, **more}


class Host:
    """A host with a log and ``sessions`` (list of dict), processes that ``live``, and a master that may be ``away``."""

    def __init__(self, base):
        self.log, self.now, self.policy = base / "audit.log", NOW, POLICY
        self.log.write_bytes(b"")
        self.sessions, self.live, self.boot, self.away, self.broken = [], set(), "a", False, False
        self.events, self.asked, self.pillar = [], [], "one"
        calls = {
            **{"sshtrail.policy": lambda: self.policy, "sshtrail_trail.log": lambda: str(self.log)},
            **{"sshtrail_trail.logins": self.logins, "sshtrail_trail.first_logins": lambda: {"root": "1@then"}},
            **{"sshtrail_trail.tell": lambda known: sessions.tell(self.minion, known), "event.send": self.send},
        }
        self.minion = Minion(calls, {"cachedir": str(base / "cache")}, {}, {})

    def logins(self, since=None, ids=None, commands=False):
        self.asked.append(ids)
        assert since is None or isinstance(since, float)
        if self.broken:
            raise CommandExecutionError("the log is gone")
        found = [one for one in self.sessions if one["ended"] is None or text.seconds(one["ended"]) >= since]
        found = [one for one in found if ids is None or one["id"] in ids]
        ran = (
            [PROOF]
            if self.sessions and self.sessions[0]["user"] == "sshtrail-proof"
            else [{"argv": ["id"], "exe": "/usr/bin/id"}] * 3
        )
        return [{**one, "commands": ran if commands else None} for one in found]

    def send(self, tag, body):
        self.events += [] if self.away else [(tag.rpartition("/")[2], body)]
        return not self.away

    def come(self, *new):
        self.sessions += new
        self.live |= {one["pid"] for one in new if not one["ended"]}
        self.write(LOGIN)

    def write(self, line):
        with self.log.open("ab") as handle:
            handle.write(line)

    def tick(self, seconds=10):
        self.now += seconds
        self.failed = logins.attend(self.minion, self.pillar)
        told, self.events = self.events, []
        return [kind for kind, _ in told] if all(body for _, body in told) else told


@pytest.fixture
def host(tmp_path, monkeypatch):
    one = Host(tmp_path)
    monkeypatch.setattr(logins.time, "time", lambda: one.now)
    monkeypatch.setattr(logins.processes, "birth", lambda pid: b"7" if pid in one.live else b"")
    monkeypatch.setattr(logins.processes, "boot", lambda: one.boot)
    assert one.tick() == []
    one.asked.clear()
    return one


def test_nothing_is_asked_while_nobody_comes(host):
    assert host.tick() == [] and host.asked == []
    host.write(CRON)
    assert host.tick() == [] and host.asked == []


def test_a_login_is_told_once_and_its_end_once(host):
    host.come(session(7, began=NOW + 11))
    host.now += 10
    logins.attend(host.minion, host.pillar)
    [(kind, body)] = host.events
    assert kind == "opened" and body["reasons"] == ["root logged in directly"] and body["commands"] is None
    assert body["from"] == {"address": "192.0.2.9", "port": 4} and "pid" not in body and "proof" not in body
    host.events.clear()
    host.write(LOGIN)
    assert [host.tick(), host.tick()] == [[], []]
    host.sessions[0] |= {"ended": text.iso(host.now), "state": "closed", "seconds": 40.0}
    host.write(LOGIN.replace(b"START", b"END"))
    host.now += 10
    logins.attend(host.minion, host.pillar)
    [(kind, body)] = host.events
    assert kind == "closed" and (body["state"], body["commands"], body["seconds"]) == ("closed", 3, 40.0)
    assert body["reasons"] == ["root logged in directly"]
    host.events.clear()
    host.write(LOGIN)
    assert [host.tick(), host.tick(600)] == [[], []]


def test_a_session_that_came_and_went_between_two_ticks(host):
    host.come(session(7, began=NOW + 11, ended=text.iso(NOW + 12), state="closed"))
    assert [host.tick(), host.tick()] == [["opened", "closed"], []]


def test_who_is_not_notable_is_not_told(host):
    host.come(session(7, user="alice", began=NOW + 11))
    host.sessions[0] |= {"ended": text.iso(NOW + 15)}
    assert [host.tick(), host.tick()] == [[], []]


def test_logins_before_the_policy_are_no_news(host):
    host.come(session(7, began=NOW - 1000), session(8, began=NOW - 1))
    assert host.tick() == []


def test_a_clock_that_was_set_back_hides_no_login(host):
    host.now -= 86400
    assert host.tick() == []
    host.come(session(7, began=host.now + 5))
    assert host.tick() == ["opened"]


def test_it_waits_for_what_sshd_says(host):
    host.come(session(7, began=NOW + 11, method=None))
    assert host.tick() == []
    # It is looked at again, although the log has not grown.
    host.sessions[0]["method"] = "publickey"
    assert [host.tick(1), host.tick(1)] == [["opened"], []]


def test_it_does_not_wait_for_ever(host):
    host.come(session(7, began=NOW + 11, method=None))
    assert [host.tick(5), host.tick(10), host.tick(10), host.tick(10)] == [[], [], ["opened"], []]


def test_what_the_master_did_not_hear_is_told_again(host):
    host.away = True
    host.come(session(7, began=NOW + 11))
    assert [host.tick(), host.tick(300)] == [[], []]
    host.away = False
    assert [host.tick(), host.tick()] == [["opened"], []]
    host.away = True
    host.sessions[0] |= {"ended": text.iso(host.now), "state": "closed"}
    host.write(LOGIN)
    assert [host.tick(), host.tick(300)] == [[], []]
    host.away = False
    assert [host.tick(), host.tick()] == [["closed"], []]


def test_a_full_disk_tells_no_login_again_and_again(host, monkeypatch):
    host.come(session(7, began=NOW + 11))

    def full(path, value):
        raise CommandExecutionError(f"Cannot write {path}: No space left on device")

    with monkeypatch.context() as inside:
        inside.setattr(logins.store, "save", full)
        assert [host.tick(), host.tick()] == [[], []] and "No space left" in host.failed
    monkeypatch.setattr(logins.store, "_HELD", {})
    assert [host.tick(), host.tick()] == [["opened"], []]


def test_a_storm_of_logins_is_told_in_parts(host):
    host.come(*[session(number, began=NOW + 11) for number in range(50)])
    told = [len(host.tick()) for _ in range(4)]
    assert told == [sessions.MOST, sessions.MOST, 10, 0]


def test_a_killed_session_is_told_without_a_record_of_its_end(host):
    host.come(session(7, began=NOW + 11))
    assert host.tick() == ["opened"]
    host.live.clear()
    # A record of its end may still come.
    assert host.tick(5) == []
    host.now += 20
    logins.attend(host.minion, host.pillar)
    [(kind, body)] = host.events
    assert kind == "closed" and body["state"] == "killed" and body["ended"] is None
    host.events.clear()
    assert host.tick() == []


def test_a_session_is_over_after_a_reboot(host):
    host.come(session(7, began=NOW + 11))
    assert host.tick() == ["opened"]
    host.boot, host.sessions = "b", []
    host.tick(5)
    host.now += 20
    logins.attend(host.minion, host.pillar)
    [(kind, body)] = host.events
    assert kind == "closed" and body["state"] == "lost" and body["commands"] is None


def test_a_log_that_was_rotated_is_read(host):
    host.come(session(7, began=NOW + 11))
    host.log.rename(host.log.with_suffix(".1"))
    host.write(CRON)
    assert host.tick() == ["opened"]


def test_half_a_record_is_read_when_it_is_whole(host):
    host.sessions = [session(7, began=NOW + 11)]
    host.write(LOGIN[:20])
    assert host.tick(2) == []
    host.write(LOGIN[20:])
    assert host.tick(2) == ["opened"]


def test_a_proof_is_left_out(host):
    ours = {"from": {"address": "127.0.0.1", "port": 4}, "began": NOW + 11}
    host.policy = {**POLICY, "sessions": {"tell": {**TELL, "hours": ["00:00-24:00"]}}}
    host.pillar = "two"
    assert host.tick(1) == []
    host.come(session(7, "sshtrail-proof", **ours))
    # It is one only when it is over and was nothing else.
    assert host.tick(5) == []
    host.sessions[0] |= {"ended": text.iso(NOW + 12), "state": "closed"}
    assert [host.tick(1), host.tick(60)] == [[], []]
    # Whoever else comes by this account is told.
    host.sessions.insert(0, session(8, "alice", began=host.now, ended=text.iso(host.now)))
    host.come(session(9, "sshtrail-proof", **{**ours, "began": host.now}, ended=text.iso(host.now + 1)))
    assert host.tick(20) == ["opened", "opened", "closed", "closed"]


def test_a_first_login_stays_the_first_when_it_is_looked_at_again(host):
    host.policy = {**POLICY, "sessions": {"tell": {**TELL, "root": False, "new_account": True}}}
    host.pillar, host.away = "two", True
    host.tick(1)
    host.come(session(7, "new", began=NOW + 12), session(8, "new", began=NOW + 13), session(9, began=NOW + 13))
    assert host.tick() == []
    host.away = False
    logins.attend(host.minion, host.pillar)
    assert [(kind, body["id"].partition("@")[0]) for kind, body in host.events] == [("opened", "7")]


def test_a_policy_without_it_costs_nothing(host):
    host.policy = {**POLICY, "sessions": {"tell": dict.fromkeys(TELL, False)}}
    host.pillar = "two"
    assert host.tick() == []
    host.come(session(7, began=NOW + 30))
    assert host.tick() == [] and host.asked == []


def test_another_policy_forgets_nothing_that_was_told(host):
    host.come(session(7, began=NOW + 11))
    assert host.tick() == ["opened"]
    host.pillar, host.policy = "two", {**POLICY, "sessions": {"tell": {**TELL, "password": True}}}
    host.write(LOGIN)
    assert host.tick() == []
    host.sessions[0] |= {"ended": text.iso(host.now), "state": "closed"}
    host.write(LOGIN)
    assert host.tick() == ["closed"]


def test_a_failure_is_told_by_the_heartbeat_until_it_works(host):
    host.broken = True
    host.come(session(7, began=NOW + 11))
    assert host.tick() == []
    assert host.failed == "logins cannot be told: the log is gone"
    host.broken = False
    assert host.tick() == ["opened"] and host.failed == ""


def test_what_nobody_can_believe_is_begun_anew(host, tmp_path):
    path = tmp_path / "cache/sshtrail/logins.json"
    for content in ("[", "[]", json.dumps({"format": 0})):
        path.write_text(content)
        assert host.tick() == []
    host.come(session(7, began=host.now + 5))
    assert host.tick() == ["opened"]


@pytest.mark.parametrize(("stopped", "age", "told"), [(True, 0, True), (False, 0, False), (False, 1000, True)])
def test_one_that_was_stopped_with_the_lock_in_his_hand_is_told(host, tmp_path, monkeypatch, stopped, age, told):
    """Whoever is at a large log is not; the heartbeat has the sentence."""
    monkeypatch.setattr(logins.processes, "birth", BIRTH)
    assert logins.attend(host.minion, "one") == ""
    path = tmp_path / "cache" / "sshtrail" / "logins.lock"
    with held(path) as process:
        if stopped:
            process.send_signal(signal.SIGSTOP)
            while not processes.stopped(process.pid):
                time.sleep(0.01)
        then = time.time() - age
        os.utime(path, (then, then))
        said = logins.attend(host.minion, "two")
    assert bool(said) is told
    assert not told or said.startswith(f"logins are not told: they wait for process {process.pid} (")
    assert logins.attend(host.minion, "two") == ""


@contextlib.contextmanager
def held(path):
    """Have another process hold a lock."""
    code = (
        "import sys\nfrom sshtrail_lib.base import locks\n"
        "with locks.lock(sys.argv[1]):\n    print('held', flush=True)\n    sys.stdin.read()"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", code, path], env=environ, **pipes) as process:
        try:
            assert process.stdout.readline() == b"held\n"
            yield process
        finally:
            process.kill()
