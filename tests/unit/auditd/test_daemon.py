"""
Which daemon it is, and what it wrote to its log since; real daemons are in tests/functional/test_auditd_conf.py.
"""

import pytest
from sshtrail_lib.auditd import daemon
from sshtrail_lib.trail import audit_log

# As auditd 3.0.9, 4.0.2 and 4.1.2 write them.
CONFIRMED = (
    b"type=DAEMON_CONFIG msg=audit(1795417199.525:179): op=reconfigure state=changed auid=0 pid=26105 subj=?"
    b' res=success\x1dAUID="root"\n'
)
WITH_NODE = b"node=bob " + CONFIRMED
# As auditd 4.1.2 writes it; earlier ones write nothing.
REFUSED = (
    b"type=DAEMON_CONFIG msg=audit(1795417209.940:7492): op=reconfigure state=no-change auid=0 uid=0 ses=4294967295"
    b' pid=27656 res=failed\x1dAUID="root" UID="root"\n'
)
STARTED = (
    b"type=DAEMON_START msg=audit(1795414966.240:706): op=start ver=3.0.9 format=enriched kernel=6.18.44"
    b' auid=4294967295 pid=17524 uid=0 ses=4294967295 res=success\x1dAUID="unset" UID="root"\n'
)
MESSAGE = (
    b"type=USER msg=audit(1795414969.383:10): pid=17560 uid=0 auid=4294967295 ses=4294967295 msg='text=sshtrail-1"
    b' exe="/usr/sbin/auditctl" hostname=? addr=? terminal=? res=success\'\x1dUID="root" AUID="unset"\n'
)
FORGED = MESSAGE.replace(b"text=sshtrail-1", b"text=x op=reconfigure pid=17524 res=success")


def _records(*lines):
    return list(audit_log.records(lines))


@pytest.mark.parametrize(
    "lines, answer",
    [
        ([], ""),
        ([STARTED, MESSAGE, FORGED], ""),
        ([STARTED, CONFIRMED], "success"),
        ([WITH_NODE], "success"),
        ([REFUSED], "failed"),
        ([REFUSED, CONFIRMED], "failed"),
    ],
)
def test_what_auditd_answers_to_a_reload(lines, answer):
    assert daemon.answer(_records(*lines)) == answer


def test_a_start_and_a_message_are_told_from_forged_ones():
    records = _records(CONFIRMED, STARTED, MESSAGE, FORGED)
    assert daemon.logged_start(records, 17524)
    assert not daemon.logged_start(records, 1752)
    assert not daemon.logged_start(_records(FORGED), 17524)
    assert daemon.logged_message(records, "sshtrail-1")
    assert not daemon.logged_message(records, "sshtrail")


@pytest.mark.parametrize(
    "argv, own_directory, follows_links",
    [
        (("/sbin/auditd",), False, False),
        (("auditd", "-n", "-c", "/srv/audit"), True, False),
        (("auditd", "-c/srv/audit", "-l"), True, True),
        (("auditd", "--config_file", "/srv/audit", "--allow_links"), True, True),
        (("auditd", "--config_file=/srv/audit"), True, False),
        (("auditd", "-c", "/etc/audit"), False, False),
        (("auditd", "-nc/srv/audit"), True, False),
        (("auditd", "-lnc", "/srv/audit"), True, True),
        (("auditd", "--conf", "/srv/audit", "--allow"), True, True),
        (("auditd", "-c", "/etc/audit", "-s", "nochange", "-c", "/srv/audit"), True, False),
        (("auditd", "-c", "/srv/audit", "-c/etc/audit"), False, False),
        (("auditd", "-s", "-c", "/etc/audit"), False, False),
        (("auditd", "-x"), False, False),
        ((), False, False),
    ],
)
def test_the_command_line_tells_the_directory(argv, own_directory, follows_links):
    found = daemon.Daemon(1, True, argv)
    assert (found.own_directory, found.follows_links) == (own_directory, follows_links)


@pytest.mark.parametrize(
    "options, shows",
    [
        ((), False),
        (("-n",), False),
        (("-f",), True),
        (("-lf",), True),
        (("-l", "-f"), True),
        (("-c", "-f"), False),
        (("-c/srv/f",), False),
        (("-s", "nochange", "-f"), True),
        (("-nc", "-f"), False),
        (("-nsnochange", "-lnf"), True),
        (("--config_file", "-f"), False),
    ],
)
def test_one_that_shows_its_records(options, shows):
    assert daemon.Daemon(1, True, ("auditd", *options)).shows is shows


def _write(path, *lines):
    with open(path, "ab") as handle:
        handle.writelines(lines)


def _types(tail):
    return [record.type for record in tail.records()]


def test_a_tail_shows_what_is_new_once_and_whole(tmp_path):
    log = tmp_path / "audit.log"
    _write(log, STARTED)
    tail = daemon.Tail(str(log))
    assert _types(tail) == []
    _write(log, CONFIRMED, MESSAGE[:30])
    assert _types(tail) == ["DAEMON_CONFIG"]
    assert _types(tail) == []
    _write(log, MESSAGE[30:])
    assert _types(tail) == ["USER"]


def test_a_tail_follows_a_rotation(tmp_path):
    log = tmp_path / "audit.log"
    _write(log, STARTED)
    tail = daemon.Tail(str(log))
    _write(log, MESSAGE)
    log.rename(tmp_path / "audit.log.1")
    _write(log, CONFIRMED)
    assert _types(tail) == ["USER", "DAEMON_CONFIG"]
    _write(log, MESSAGE)
    assert _types(tail) == ["USER"]


def test_a_tail_bears_a_log_that_is_away_for_a_moment(tmp_path):
    log = tmp_path / "audit.log"
    _write(log, STARTED)
    tail = daemon.Tail(str(log))
    _write(log, MESSAGE)
    log.rename(tmp_path / "audit.log.1")
    assert _types(tail) == ["USER"]
    _write(log, CONFIRMED)
    assert _types(tail) == ["DAEMON_CONFIG"]


def test_a_tail_waits_for_a_log_that_is_not_there_yet(tmp_path):
    log = tmp_path / "audit.log"
    tail = daemon.Tail(str(log))
    assert _types(tail) == []
    _write(log, STARTED)
    assert _types(tail) == ["DAEMON_START"]
