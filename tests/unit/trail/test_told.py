"""
Records taken out of large pieces of a log: the quick way finds what the thorough one does.
"""

import gzip
import pathlib
import re
import time

import pytest
from sshtrail_lib.trail import blocks, history, scan, told
from sshtrail_lib.trail.gather import Gathered
from sshtrail_lib.trail.sessions import Sessions

LOG = pathlib.Path(__file__).resolve().parents[2] / "data" / "sessions" / "audit.log.1.gz"
AUDIT = gzip.decompress(LOG.read_bytes())
NEVER = re.compile(rb"(?!)")
HEAD = b"type=%s msg=audit(1795648800.123:%d): "


def test_what_stands_in_one_piece_is_read_as_line_by_line(monkeypatch):
    quick = scan.calls(AUDIT)
    monkeypatch.setattr(scan, "WHOLE", NEVER)
    slow = scan.calls(AUDIT)
    assert {key: [call._replace(keys=(), what="") for call in calls] for key, calls in quick.items()} == {
        key: [call._replace(keys=(), what="") for call in calls] for key, calls in slow.items()
    }
    assert sum(map(len, quick.values())) > 250


@pytest.mark.parametrize("quickly", ["BY_PAM", "BY_KERNEL"])
def test_what_is_written_as_usual_is_read_as_anything_else(monkeypatch, quickly):
    quick = told.told(AUDIT)
    monkeypatch.setattr(told, quickly, re.compile("(?!)"))
    assert told.told(AUDIT) == quick and len(quick) > 100


@pytest.mark.parametrize("mark", [told.LOGIN, b"'", b"\n", b"\x00", b"no such mark", b""])
@pytest.mark.parametrize("text", [AUDIT[:200_000], b"", b"\x00'\x00\n\x00"], ids=["a log", "nothing", "zeros"])
def test_the_c_library_finds_what_python_does(text, mark):
    for at in (0, 1, 2, len(text) // 2, max(0, len(text) - 1), len(text)):
        if at <= len(text):
            assert blocks.find(text, mark, at) == text.find(mark, at)
    assert told.told(text, blocks.find) == told.told(text)
    assert told.logins(text, blocks.find) == told.logins(text)


def test_zeroes_where_a_machine_stopped_hide_nothing():
    lines = AUDIT.splitlines(True)
    expected = [record for _, record in told.told(AUDIT)]
    for hole in (b"\0" * 4096, lines[7][:40] + b"\0" * 300):
        assert [record for _, record in told.told(b"".join(hole + line for line in lines))] == expected


def test_the_numbers_of_commands_are_those_of_the_commands():
    started = {key: [c.serial for c in calls if c.argv and c.success] for key, calls in scan.calls(AUDIT).items()}
    counted = {key: sorted(serials) for key, serials in scan.numbers(AUDIT).items()}
    assert counted == {key: serials for key, serials in started.items() if serials}


def test_a_message_that_looks_like_a_call_does_not_shift_the_numbers():
    forged = (
        HEAD % (b"USER", 7) + b"pid=1 uid=0 auid=0 ses=3 msg='x ses=9 comm= type=SYSCALL exe=\"/bin/x\" res=success'\n"
    )
    expected = {key: sorted(serials) for key, serials in scan.numbers(AUDIT).items()}
    assert {key: sorted(serials) for key, serials in scan.numbers(forged + AUDIT).items()} == expected


RED_HAT = b"""\
type=CRYPTO_KEY_USER msg=audit(1795648800.100:1): pid=99 uid=0 auid=4294967295 ses=4294967295 subj=system_u:system_r:sshd_t:s0-s0:c0.c1023 msg='op=negotiate kind=auth-key fp=SHA256:71:b3:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd exe="/usr/sbin/sshd" hostname=? addr=10.0.0.9 terminal=? res=success'
type=CRYPTO_KEY_USER msg=audit(1795648800.100:2): pid=99 uid=0 auid=4294967295 ses=4294967295 subj=system_u:system_r:sshd_t:s0-s0:c0.c1023 msg='op=destroy kind=server fp=SHA256:00:b3:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd:ee:ff:00:11:22:33:44:55:66:77:88:99:aa:bb:cc:dd direction=? spid=99 suid=0 exe="/usr/sbin/sshd" hostname=? addr=? terminal=? res=success'
type=LOGIN msg=audit(1795648800.200:3): pid=99 uid=0 subj=system_u:system_r:sshd_t:s0-s0:c0.c1023 old-auid=4294967295 auid=1000 tty=(none) old-ses=4294967295 ses=5 res=1
type=USER_START msg=audit(1795648800.300:4): pid=99 uid=0 auid=1000 ses=5 subj=system_u:system_r:sshd_t:s0-s0:c0.c1023 msg='op=PAM:session_open grantors=pam_selinux,pam_loginuid acct="eva" exe="/usr/sbin/sshd" hostname=10.0.0.9 addr=10.0.0.9 terminal=ssh res=success'
type=USER_LOGIN msg=audit(1795648800.400:5): pid=99 uid=0 auid=1000 ses=5 subj=system_u:system_r:sshd_t:s0-s0:c0.c1023 msg='op=login id=1000 exe="/usr/sbin/sshd" hostname=10.0.0.9 addr=10.0.0.9 terminal=/dev/pts/3 res=success'
"""  # noqa: E501


def test_red_hats_records_tell_the_key_without_a_line_of_sshd(tmp_path):
    (tmp_path / "audit.log").write_bytes(RED_HAT)
    [one] = history.sessions(history.Sources([str(tmp_path)]))
    assert (one.user, one.auid, one.address, one.tty, one.method) == ("eva", 1000, "10.0.0.9", "pts/3", "publickey")
    assert one.key.fingerprint == "SHA256:cbMAESIzRFVmd4iZqrvM3e7/ABEiM0RVZneImaq7zN0"
    assert "key" not in one.unknown and one.proof["key"] == ["audit(1795648800.100:1)"]


REFUSED = (
    HEAD % (b"LOGIN", 3)
    + (b"pid=99 uid=0 old-auid=4294967295 auid=1000 tty=(none) old-ses=4294967295 ses=5 res=1\n")
    + HEAD % (b"USER_START", 4)
    + (
        b'pid=99 uid=0 auid=1000 ses=5 msg=\'op=PAM:session_open grantors=? acct="eva" exe="/usr/sbin/sshd" '
        b"hostname=10.0.0.9 addr=10.0.0.9 terminal=ssh res=failed'\n"
    )
)
CRON = REFUSED.replace(b"res=failed", b"res=success").replace(b"/usr/sbin/sshd", b"/usr/sbin/cron")


@pytest.mark.parametrize("log", [REFUSED, CRON], ids=["that PAM refused", "of cron"])
def test_there_is_no_session(log):
    gathered = Gathered()
    for _, record in told.told(log):
        gathered.feed(record)
    assert gathered.entries and list(Sessions(gathered, {}, [], "", False).made()) == []


def test_a_moment_is_found_in_a_large_file(tmp_path, monkeypatch):
    monkeypatch.setattr(blocks, "NEAR", 512)
    log = tmp_path / "log"
    log.write_bytes(b"".join(b'type=CWD msg=audit(%d.000:%d): cwd="/"\n' % (1000 + at, at) for at in range(5000)))
    for when in (0, 1000, 1001, 3777, 5999, 9999):
        at = blocks.place(str(log), when, history.moment)
        before, after = log.read_bytes()[:at], log.read_bytes()[at:]
        assert all(history.moment(line) < when for line in before.split(b"\n")[:-1])
        # What is read besides is little.
        assert not after or history.moment(after) >= min(when, 5999) - 30


def test_who_writes_megabytes_of_arguments_slows_nothing_more_than_in_proportion():
    start = b"arch=c000003e syscall=59 success=yes exit=0 a0=1 a1=2 a2=3 a3=4 items=2 ppid=1 pid=2 auid=1000 uid=1000 "
    start += b'gid=1 euid=1000 suid=1 fsuid=1 egid=1 sgid=1 fsgid=1 tty=pts0 ses=5 comm="x" exe="/bin/x" key=(null)\n'

    def seconds(words):
        log = HEAD % (b"SYSCALL", 1) + start + HEAD % (b"EXECVE", 1) + b"argc=%d " % len(words)
        log += b" ".join(b"a%d=%s" % pair for pair in enumerate(words)) + b"\n"
        began = time.process_time()
        for _ in range(3):
            scan.calls(log), scan.numbers(log), told.told(log)
        return (time.process_time() - began) / len(log)

    usual = seconds([b'"word"'] * 20000)
    for words in ([b"41" * 100000], [b'"\'"'] * 20000, [b'"=="'] * 20000, [b'"ses=1"'] * 20000, [b'""'] * 20000):
        assert seconds(words) < 10 * usual + 1e-6
