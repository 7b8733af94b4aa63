"""
A log volume that is full, with a real auditd on a tmpfs: seen, resumed when there is room, and what is lost counted.
"""

import contextlib
import os
import signal
import subprocess
import time

import pytest
from _waiting import DEADLINE, wait_for
from sshtrail_lib.auditd import daemon as auditd_daemon
from sshtrail_lib.auditd import host as auditd_host
from sshtrail_lib.base import files, kernel
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import event
from sshtrail_lib.drift import suspension as drift_suspension
from sshtrail_lib.rules import accounts
from sshtrail_lib.rules import compile as rules_compile
from support import require_root

NOBODY = 65534
RULE = f"-a always,exit -F arch=b64 -S execve -F uid={NOBODY} -F key=sshtrail-test"
# With the levels of this project's pillar.
CONF = """\
log_file = {log}
log_group = root
write_logs = yes
log_format = ENRICHED
flush = INCREMENTAL_ASYNC
freq = 50
max_log_file = 50
max_log_file_action = keep_logs
num_logs = 5
space_left = 25%
space_left_action = syslog
admin_space_left = 10%
admin_space_left_action = suspend
disk_full_action = suspend
disk_error_action = syslog
plugin_dir = {plugins}
"""


class Volume:
    """A small file system with auditd's log on it, and an account without any rights that can fill it."""

    def __init__(self, base):
        self.base, self.conf, self.mounted = base, str(base / "auditd.conf"), base / "log"
        self.log = self.mounted / "audit.log"
        self.mounted.mkdir()
        (base / "plugins.d").mkdir(mode=0o700)
        with open(self.conf, "w", encoding="ascii", opener=lambda *args: os.open(*args, 0o640)) as handle:
            handle.write(CONF.format(log=self.log, plugins=base / "plugins.d"))
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m,mode=700", "tmpfs", self.mounted], check=True)

    def fill(self):
        """Fill it as an unprivileged user does: by long command lines."""
        argument = "x" * 100_000
        for _ in range(45):
            drop = {"user": NOBODY, "group": NOBODY, "extra_groups": []}
            subprocess.run(["/bin/true", argument], check=True, **drop)

    def grow(self):
        subprocess.run(["mount", "-o", "remount,size=32m", self.mounted], check=True)

    def start(self):
        self.process = subprocess.Popen(["auditd", "-n", "-c", str(self.base)])
        wait_for(lambda: auditd_daemon.find(self.conf).reads and self.log.exists(), "auditd")

    def end(self):
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.process.pid, signal.SIGTERM)
        self.process.wait(30)
        wait_for(lambda: not kernel.status()["pid"], "the end of auditd")

    def records(self, word):
        """Tell whether a message gets into the log now."""
        subprocess.run(["auditctl", "-m", word], check=True)
        time.sleep(0.5)
        return word.encode() in self.log.read_bytes()


@pytest.fixture
def volume(tmp_path, audit):
    """A :class:`Volume` with a running auditd."""
    require_root()
    one = Volume(tmp_path)
    rule = rules_compile.compile(accounts.parse_rule(RULE))
    kernel.add(rule)
    try:
        one.start()
        try:
            yield one
        finally:
            one.end()
    finally:
        kernel.delete(rule)
        subprocess.run(["umount", one.mounted], check=True)


def test_a_log_that_is_written_is_not_suspended(modules, states, volume):
    assert modules.auditd_conf.suspended(volume.conf) is None
    assert modules.auditd_conf.resume(volume.conf) == {}
    for test in (True, False):
        ret = states.auditd_conf.writing(volume.conf, test=test)
        assert (ret.result, ret.changes) == (True, {})


def test_a_full_volume_is_seen_resumed_and_counted(modules, states, volume):
    volume.fill()
    found = wait_for(lambda: modules.auditd_conf.suspended(volume.conf), "the suspension")
    assert found["room"] is False and found["log"] == str(volume.log) and found["since"] and found["serial"]
    assert not volume.records("sshtrail-lost")

    for full, test in (("resume", True), ("resume", False), ("leave", False)):
        ret = states.auditd_conf.writing(volume.conf, full=full, test=test)
        assert ret.result is False and "has suspended" in ret.comment, ret.comment

    # Room alone does not bring it back.
    volume.grow()
    assert not volume.records("sshtrail-lost-too")
    assert states.auditd_conf.writing(volume.conf, full="leave").result is False
    preview, made = states.auditd_conf.writing(volume.conf, test=True), states.auditd_conf.writing(volume.conf)
    assert preview.result is None and made.result is True, made.comment
    assert made.changes == preview.changes == {"auditd": {"old": "suspended", "new": "writes its log"}}
    assert f"since {found['since']}, and " in made.comment and "unknown" not in made.comment
    assert volume.records("sshtrail-recorded")
    again = states.auditd_conf.writing(volume.conf)
    assert (again.result, again.changes) == (True, {})
    lost = modules.auditd_conf.resumed(found["since"], found["serial"], volume.conf)["events"]
    assert 2 <= lost < 100


def test_the_tick_tells_once_and_has_it_resumed(modules, volume, minion_opts, tmp_path):
    told = []
    calls = {name: getattr(modules.auditd_conf, name) for name in ("suspended", "resume", "resumed")}
    calls = {f"auditd_conf.{name}": function for name, function in calls.items()}
    calls |= {"event.send": lambda tag, body: told.append((tag, body)) or True}
    minion = Minion(calls, {**minion_opts, "cachedir": str(tmp_path / "cache")}, {}, {})
    full = {"path": volume.conf, "action": "resume", "log": str(volume.log)}

    assert drift_suspension.attend(minion, full) == ""
    volume.fill()
    wait_for(lambda: drift_suspension.attend(minion, full) == "suspended", "the suspension")
    assert drift_suspension.attend(minion, full) == "suspended"
    volume.grow()
    assert [drift_suspension.attend(minion, full) for _ in range(2)] == ["resumed", ""]
    assert [tag for tag, _ in told] == [event.LOG_SUSPENDED, event.LOG_RESUMED]
    assert told[1][1]["since"] == told[0][1]["since"] and told[1][1]["events"] >= 0
    assert volume.records("sshtrail-recorded")


def test_a_stopped_auditd_is_not_woken_by_the_question(modules, volume):
    daemon = auditd_daemon.find(volume.conf)
    os.kill(daemon.pid, signal.SIGSTOP)
    try:
        assert modules.auditd_conf.suspended(volume.conf) is None
        with open(f"/proc/{daemon.pid}/stat", encoding="ascii") as handle:
            assert handle.read().rpartition(")")[2].split()[0] == "T"
    finally:
        os.kill(daemon.pid, signal.SIGCONT)


def test_a_suspended_auditd_is_not_told_to_read_its_file(modules, states, volume, monkeypatch):
    volume.fill()
    wait_for(lambda: modules.auditd_conf.suspended(volume.conf), "the suspension")
    before = files.read(volume.conf)
    # The time that an auditd has which does not suspend its log.
    monkeypatch.setattr(auditd_host, "PATIENCE", 2 * DEADLINE)
    refused = states.auditd_conf.managed(volume.conf, config={"freq": 60})
    assert refused.result is False and "has suspended its log, and cannot confirm" in refused.comment
    assert files.read(volume.conf) == before
    volume.grow()
    assert states.auditd_conf.writing(volume.conf).result is True
    assert states.auditd_conf.managed(volume.conf, config={"freq": 60}).result is True
