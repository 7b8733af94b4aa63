"""compliance.host: what is asked of a host, where the rooms that judge it cannot see."""

import os
import time

import pytest
from sshtrail_lib.base import processes
from sshtrail_lib.compliance import host

from unit.compliance import known

NAMES = [
    (("chrony", "chronyd"), ("chronyd",)),
    (("chronyd",), ("chronyd",)),
    # ntpsec's unit has the names of the others as aliases.
    (("ntp", "ntpd", "ntpsec"), ("ntpd",)),
    (("ntpsec", "chrony"), ("chrony", "ntpsec")),
    (("systemd-timesyncd", "openntpd"), ("systemd-timesyncd", "openntpd")),
    ((), ()),
]
LEAPS = [
    ("Normal", True),
    ("Insert second", True),
    ("Delete second", True),
    ("Not synchronised", False),
]


class Asked:
    """A host whose services run, and whose chronyc says something."""

    def __init__(self, running, said=""):
        self.call = {"sshtrail_service.status": lambda name: name in running}
        self.said = said

    def run(self, *command, **_more):
        return {"retcode": 0, "stdout": self.said, "stderr": ""}


@pytest.mark.parametrize(("running", "told"), NAMES)
def test_a_service_with_several_names_is_one(running, told):
    assert host._clock(Asked(running), {"clock": None}).running == told


@pytest.mark.parametrize(("leap", "holds"), LEAPS)
def test_a_clock_is_synchronized_before_a_leap_second_too(leap, holds):
    found = host._clock(Asked(("chrony",), f"Stratum         : 3\nLeap status     : {leap}\n"), {"clock": None})
    assert found.synchronized is holds and leap in found.said


def test_a_clock_that_follows_itself_is_not_synchronized():
    said = "Reference ID    : {} ()\nStratum         : 10\nLeap status     : Normal\n"
    told = [host._clock(Asked(("chrony",), said.format(one)), {"clock": None}) for one in ("7F7F0101", "C0000201")]
    assert [one.synchronized for one in told] == [False, True] and "own clock" in told[0].said


def test_a_journald_that_is_masked_does_not_run_though_its_socket_waits():
    assert host._service(Asked(("systemd-journald",)), "systemd-journald") is None
    answers = {"sshtrail_service.status": lambda name: name == "systemd-journald", "sshtrail_service.enabled": bool}
    asked = Asked(())
    asked.call = answers
    assert host._service(asked, "systemd-journald") == (False, True)
    asked.call = {**answers, "sshtrail_service.status": lambda name: name == "systemd-journald.service"}
    assert host._service(asked, "systemd-journald") == (True, True)


PASSWD = """\
root:x:0:0:root:/root:/bin/bash
#toor:x:0:0::/root:/bin/sh
  # bin:x:0:0::/:/bin/sh
 alice:x:1001:1001::/home/alice:/bin/sh
root:x:7:7:twice:/:/bin/sh
broken:x
+::::::
"""


def test_accounts_are_those_that_the_c_library_reads(tmp_path, monkeypatch):
    (tmp_path / "passwd").write_text(PASSWD)
    monkeypatch.setattr(host, "_text", lambda path: (tmp_path / "passwd").read_text())
    monkeypatch.setattr(host.directory.pwd, "getpwall", lambda: [])
    assert host._accounts() == (("root", 0), ("alice", 1001), ("root", 7))


#: When a file was written (seconds after the daemon began), what runs, and whether the daemon has not read it.
STALE = [
    (-5, "rsyslogd", False),
    (5, "rsyslogd", True),
    (5, "chronyd", False),
    (5, None, False),
]


@pytest.mark.parametrize(("written", "program", "told"), STALE)
def test_a_daemon_that_began_before_its_file_was_written_has_not_read_it(tmp_path, monkeypatch, written, program, told):
    path = tmp_path / "rsyslog.conf"
    path.write_text("")
    began = processes._started(os.getpid())
    os.utime(path, (began + written, began + written))
    monkeypatch.setattr(host.places, "running", lambda name: [os.getpid()] if name == program else [])
    monkeypatch.setattr(host, "_is_ours", lambda pid, named: named == program)
    read = {"rsyslog": ((f"{path} line 1", "x"),), "journald": None}
    found = host._stale(read)
    assert bool(found) is told and (not told or str(path) in found["rsyslog"])


def test_sources_that_chronyd_reads_again_are_not_late(tmp_path, monkeypatch):
    (tmp_path / "a.sources").write_text("server x")
    (tmp_path / "chrony.conf").write_text("")
    os.utime(tmp_path / "chrony.conf", (1, 1))
    monkeypatch.setattr(host, "_running", lambda name: [os.getpid()])
    assert (
        host._stale({"clock": tuple((f"{tmp_path}/{name} line 1", "x") for name in ("a.sources", "chrony.conf"))}) == {}
    )


@pytest.mark.parametrize(("name", "told"), [("chrony.conf", {"clock"}), ("timesyncd.conf", set())])
def test_the_file_of_one_daemon_is_nothing_to_another(tmp_path, monkeypatch, name, told):
    (tmp_path / name).write_text("")
    os.utime(tmp_path / name, (2**33, 2**33))
    monkeypatch.setattr(host, "_running", lambda program: [os.getpid()] if program == "chronyd" else [])
    assert set(host._stale({"clock": ((f"{tmp_path}/{name} line 1", "x"),)})) == told


def test_a_process_is_known_by_its_file():
    name = os.path.basename(os.readlink("/proc/self/exe"))
    assert host._is_ours(os.getpid(), name) and not host._is_ours(os.getpid(), "rsyslogd")


A_DAY = 86400.0
LOOKED = [
    ("local", 300, None, None),
    ("remote", 300, {"looked": 0.0}, None),
    ("remote", 300, None, 0.0),
    ("remote", 0, {"looked": 0.0}, 0.0),
]


@pytest.mark.parametrize(("client", "beat", "told", "ago"), LOOKED)
def test_when_the_host_has_looked_by_itself(client, beat, told, ago):
    asked = Asked(())
    asked.opts, asked.call = {"file_client": client}, {"sshtrail_watch.heartbeat": lambda: told}
    assert host._looked(asked, {"drift": {"heartbeat": beat}}) == ago
    asked.call = {"sshtrail_watch.heartbeat": lambda: {"looked": time.time() - A_DAY}}
    if client == "remote" and beat:
        assert A_DAY <= host._looked(asked, {"drift": {"heartbeat": beat}}) < A_DAY + 60


SHADOW = "-w /etc/shadow -p wa -k identity"


@pytest.mark.parametrize(
    ("compiled", "filed", "asked"),
    [
        (SHADOW, [SHADOW], 1),
        (SHADOW, ["-a always,exit -F path=/etc/shadow -F perm=wa -F key=identity"], 1),
        ("", [SHADOW], 1),
        (SHADOW, ["-w /etc/group -p wa -k identity"], 2),
        ("-b 8192\n-w /nonsense -p q", [], 1),
    ],
)
def test_a_rule_that_nobody_has_compiled_is_one_of_the_files(compiled, filed, asked):
    seen = Asked(())
    seen.call = {"audit_rules.diff": lambda lines: {"add": lines, "remove": []}}
    rules = [known.compiled(line) for line in filed]
    assert len(host._differs(seen, compiled, rules)) == asked
