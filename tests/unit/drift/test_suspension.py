"""
drift.suspension: a suspended log is told once, resumed where the policy says so, and told once more with what was lost.
"""

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import event, suspension

FULL = {"path": "/etc/audit/auditd.conf", "action": "resume", "log": "/var/log/audit/audit.log"}
FOUND = {"pid": 7, "log": FULL["log"], "since": "T", "serial": 9, "free": 0, "needs": 9, "room": False}
FOUND |= {"lost": 3, "said": "it is suspended"}


class Host:
    """An auditd that is ``suspended`` or not, and a master that hears of it unless it is ``away``."""

    def __init__(self, cachedir):
        self.suspended, self.room, self.away, self.stuck = False, False, False, False
        self.events, self.asked = [], []
        functions = ("auditd_conf.suspended", "auditd_conf.resume", "auditd_conf.resumed", "event.send")
        calls = {name: getattr(self, name.replace(".", "_")) for name in functions}
        self.minion = Minion(calls, {"cachedir": str(cachedir)}, {}, {}, self.run)

    def auditd_conf_suspended(self, path):
        self.asked.append("suspended")
        return {**FOUND, "room": self.room} if self.suspended else None

    def auditd_conf_resume(self, path):
        self.asked.append("resume")
        if self.stuck:
            raise CommandExecutionError("it does not go on")
        self.suspended = False
        return {"since": "T", "events": 5, "said": "it writes"}

    def auditd_conf_resumed(self, since, serial, path):
        assert (since, serial, path) == ("T", 9, FULL["path"])
        return {"since": since, "events": 5, "said": "it writes"}

    def event_send(self, tag, body):
        self.events += [] if self.away else [(tag, body)]
        return not self.away

    def run(self, argv, *_how):
        return {"retcode": 0, "stdout": "", "stderr": ""}

    def tick(self, **changes):
        return suspension.attend(self.minion, {**FULL, **changes})

    def tags(self):
        return [tag for tag, _ in self.events]


@pytest.fixture
def host(tmp_path, monkeypatch):
    one = Host(tmp_path)
    monkeypatch.setattr(suspension.syslog, "syslog", lambda *args: None)
    monkeypatch.setattr(suspension.kernel, "status", lambda: {"pid": 7, "lost": 4})
    monkeypatch.setattr(suspension.processes, "writes", lambda pid, log: not one.suspended)
    return one


def test_a_log_that_is_written_costs_nothing(host):
    assert [host.tick(), host.tick()] == ["", ""]
    assert host.asked == [] and host.events == []


def test_a_host_without_an_audit_has_no_log(host):
    host.suspended = True
    assert suspension.attend(host.minion, None) == "" and host.asked == []


def test_it_is_told_once_and_resumed_when_there_is_room(host):
    host.suspended = True
    assert [host.tick(), host.tick()] == ["suspended"] * 2
    assert host.tags() == [event.LOG_SUSPENDED]
    assert host.events[0][1]["said"] == "it is suspended" and host.events[0][1]["since"] == "T"
    host.room = True
    assert [host.tick(), host.tick()] == ["resumed", ""]
    assert host.tags() == [event.LOG_SUSPENDED, event.LOG_RESUMED]
    body = host.events[1][1]
    assert (body["since"], body["events"], body["lost"], body["by"]) == ("T", 5, 1, "sshtrail")
    host.suspended, host.room = True, False
    assert host.tick() == "suspended" and host.tags()[2:] == [event.LOG_SUSPENDED]


def test_where_the_policy_leaves_it_it_is_only_told(host):
    host.suspended = host.room = True
    assert [host.tick(action="leave"), host.tick(action="leave")] == ["suspended"] * 2
    assert host.tags() == [event.LOG_SUSPENDED] and "resume" not in host.asked
    # Somebody had it go on.
    host.suspended = False
    assert [host.tick(action="leave"), host.tick(action="leave")] == ["resumed", ""]
    assert host.tags() == [event.LOG_SUSPENDED, event.LOG_RESUMED] and host.events[1][1]["by"] == "somebody"


def test_what_could_not_be_told_is_told_at_the_next_tick(host):
    host.suspended = host.away = True
    host.tick()
    host.room = True
    assert [host.tick(), host.tick()] == ["the master could not be told"] * 2
    host.away = False
    assert [host.tick(), host.tick()] == ["resumed", ""]
    assert host.tags() == [event.LOG_RESUMED] and host.events[0][1]["by"] == "sshtrail"


def test_one_that_does_not_go_on_is_tried_again_and_told_once(host):
    host.suspended = host.room = host.stuck = True
    assert [host.tick(), host.tick()] == ["suspended"] * 2
    assert host.tags() == [event.LOG_SUSPENDED] and host.asked.count("resume") == 2


def test_memory_that_nobody_can_believe_is_none(host, tmp_path):
    host.suspended = True
    host.tick()
    (tmp_path / "sshtrail" / "suspended.json").chmod(0o666)
    assert host.tick() == "suspended" and len(host.events) == 2
