"""
coverage.daemon: from the kernel to the log, each way by its name, and none on a host that is well.
"""

import pytest
from sshtrail_lib.coverage import checks, daemon
from sshtrail_lib.coverage.daemon import Auditd, File, Log

STATUS = {"enabled": 1, "rate_limit": 0, "backlog_limit": 8192, "backlog": 3, "lost": 0, "pid": 7}
FILE = File("/var/log/audit/audit.log", 1, 2, 1, 0o640, 0, 100.0)
DIRECTORY = File("/var/log/audit", 1, 9, 2, 0o750, 0, 90.0)
AUDITD = Auditd(7, "/usr/sbin/auditd", True, 0, "S", False, "", (FILE,))
LOG = Log(FILE.path, "", FILE, DIRECTORY, "")
WELL = daemon.Audit("", STATUS, "", {}, AUDITD, LOG, daemon.ARRIVED, None, ())


def found(audit):
    return {one.check for one in daemon.judge(audit) if one.holds is False}


def status(**more):
    return WELL._replace(status={**STATUS, **more})


def auditd(**more):
    return WELL._replace(auditd=AUDITD._replace(**more))


def log(**more):
    return WELL._replace(log=LOG._replace(**more))


def test_a_host_that_is_well():
    verdicts = list(daemon.judge(WELL))
    assert {one.holds for one in verdicts} == {True}
    assert {one.check for one in verdicts} <= set(checks.CHECKS)


GOOD = {
    "an upgrade has replaced auditd": auditd(program="/usr/sbin/auditd (deleted)"),
    "a queue without a limit": status(backlog_limit=0, backlog=9999),
    "a rate that the policy asks for": status(rate_limit=500)._replace(asked={"rate_limit": 500}),
    "a short queue that the policy asks for": status(backlog_limit=128)._replace(asked={"backlog_limit": 128}),
    "a disk that waits": auditd(state="D"),
    "journald reads along": WELL._replace(readers=("systemd-journal",)),
}
WAYS = {
    "audit=0": (WELL._replace(boot="audit=0"), "audit-off-at-boot"),
    "switched off": (status(enabled=0), "audit-disabled"),
    "a rate limit": (status(rate_limit=1), "rate-limited"),
    "a short queue": (status(backlog_limit=64), "backlog-small"),
    "a full queue": (status(backlog=8000), "backlog-full"),
    "lost": (WELL._replace(loss=daemon.Loss(5, 50.0)), "records-lost"),
    "off for a while": (WELL._replace(loss=daemon.Loss(0, 50.0, "it was off")), "records-lost"),
    "no auditd": (WELL._replace(auditd=None), "auditd-absent"),
    "python": (auditd(program="/usr/bin/python3", genuine=False), "auditd-impostor"),
    "auditd of a user": (auditd(uid=1001), "auditd-impostor"),
    "a library in auditd": (auditd(loads="LD_PRELOAD=/tmp/x.so"), "auditd-impostor"),
    "a filter on its socket": (auditd(tapped="has a filter on its socket"), "auditd-impostor"),
    "a signal": (auditd(state="T"), "auditd-stopped"),
    "a debugger": (auditd(state="t"), "auditd-stopped"),
    "a frozen control group": (auditd(frozen=True), "auditd-stopped"),
    "somebody traces it": (auditd(tracer="pid 9, /usr/bin/strace"), "auditd-traced"),
    "it shows its records": (auditd(shows=True, writing=()), "log-off"),
    "another configuration": (auditd(note="reads /etc/audit2/auditd.conf"), "auditd-elsewhere"),
    "write_logs": (log(off="/etc/audit/auditd.conf line 3: write_logs = no"), "log-off"),
    "no open log": (auditd(writing=()), "auditd-suspended"),
    "it says that it is suspended": (WELL._replace(heard=daemon.SUSPENDED), "auditd-suspended"),
    "a deleted log": (auditd(writing=(FILE._replace(links=0, inode=5),)), "log-replaced"),
    "no log": (log(there=None), "log-replaced"),
    "a log of other mounts": (auditd(writing=(FILE._replace(device=3),)), "log-replaced"),
    "a message that does not arrive": (WELL._replace(heard=daemon.LOST), "log-unwritten"),
    "everybody writes": (log(there=FILE._replace(mode=0o666)), "log-exposed"),
    "everybody reads": (log(there=FILE._replace(mode=0o644)), "log-exposed"),
    "a user's log": (log(there=FILE._replace(uid=1001)), "log-exposed"),
    "everybody's directory": (log(directory=DIRECTORY._replace(mode=0o777)), "log-exposed"),
    "a group's directory": (log(directory=DIRECTORY._replace(mode=0o775)), "log-exposed"),
    "no room": (log(room="full"), "log-volume-low"),
    "a log of one record": (log(brief="/etc/audit/auditd.conf line 9: max_log_file = 0"), "log-brief"),
    "memory": (log(volatile="/var/log/audit is a tmpfs, which is in memory alone"), "log-volatile"),
    "little room": (log(room="low"), "log-volume-low"),
}


@pytest.mark.parametrize("audit", GOOD.values(), ids=GOOD)
def test_what_is_well_all_the_same(audit):
    assert found(audit) == set()


@pytest.mark.parametrize("audit,check", WAYS.values(), ids=WAYS)
def test_each_way_by_its_name(audit, check):
    assert found(audit) == {check}
    [bad] = [one for one in daemon.judge(audit) if one.holds is False]
    row = checks.row(bad, None, None)
    assert row["what"] and row["evidence"] and row["remedy"]


def test_what_has_ended_and_what_is_stopped_is_told_so():
    told = {one.check: one.evidence for one in daemon.judge(WELL._replace(auditd=None)) if one.holds is False}
    assert told == {"auditd-absent": "the kernel's audit daemon (pid 7) has ended"}
    # Both wait in the same place in some kernels.
    stopped = {one.check: one.evidence for one in daemon.judge(auditd(state="T", frozen=True))}
    assert stopped["auditd-stopped"] == "pid 7, /usr/sbin/auditd: stopped by a signal"


def test_a_kernel_that_does_not_answer_is_no_finding():
    verdicts = list(daemon.judge(WELL._replace(status=None, error="no audit here")))
    assert [(one.check, one.holds) for one in verdicts] == [("audit-off-at-boot", True), ("audit-disabled", None)]


def test_a_volume_that_is_not_shown_cannot_be_told():
    [one] = [one for one in daemon.judge(log(volatile=None)) if one.check == "log-volatile"]
    assert one.holds is None and one.evidence


def test_a_log_that_is_behind_cannot_be_told():
    verdicts = {one.check: one for one in daemon.judge(WELL._replace(heard="auditd is 10 seconds behind"))}
    assert verdicts["log-unwritten"].holds is None and "behind" in verdicts["log-unwritten"].evidence


def test_where_the_log_may_tell_who_did_it():
    causes = {one.check: one.cause for one in daemon.judge(status(enabled=0)) if one.holds is False}
    assert causes["audit-disabled"] == checks.Cause("kernel", "enabled", 1, 0)
