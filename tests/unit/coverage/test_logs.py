"""
coverage.logs: what the ends of the two logs tell.
"""

import datetime
import gzip
import lzma
import os
import pathlib
import time

import pytest
from sshtrail_lib.coverage import logins, logs
from sshtrail_lib.trail import audit_log, sshd_log

DATA = pathlib.Path(__file__).parents[2] / "data"
CHANGE = "type=CONFIG_CHANGE msg=audit(20.005:7): auid=1001 ses=3 op=add_rule key=(null) list=4 res=1"
CALL = 'type=SYSCALL msg=audit(20.005:7): arch=c000003e syscall=44 success=yes exe="/usr/sbin/auditctl"'
TITLE = "type=PROCTITLE msg=audit(20.005:7): proctitle=617564697463746C002D41006E657665722C65786974"
OTHER = "type=SYSCALL msg=audit(20.005:17): arch=c000003e syscall=44 success=yes"


@pytest.mark.parametrize(
    "lines,title",
    [
        ((CHANGE, CALL, TITLE), "auditctl -A never,exit"),
        ((CHANGE, CALL), ""),
        ((CHANGE, OTHER, TITLE), None),
        ((CHANGE,), None),
        ((), None),
    ],
)
def test_the_command_line_that_a_record_came_of(tmp_path, lines, title):
    log = tmp_path / "audit.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    about = audit_log.record(CHANGE.encode())
    end = logs.End(str(log), 10.0)
    assert end.title(about) == title
    assert end.program(about) == ("/usr/sbin/auditctl" if CALL in lines else "")


def test_what_a_log_lacks(tmp_path):
    log = tmp_path / "audit.log"
    log.write_text(f"{CHANGE}\n")
    end = logs.End(str(log), 10.0)
    assert end.without([b"audit(20.005:7)", b"audit(20.005:8)"]) == {b"audit(20.005:8)"} and end.without([]) == set()
    assert end.reaches() == 20 and logs.End(str(tmp_path / "none"), 10.0).reaches() is None


# --- Whose lines sshd's log has --------------------------------------------------------------------------------------

NOW, HERE = time.time(), os.uname().nodename.partition(".")[0]
CAME = "Accepted publickey for {} from 192.0.2.1 port 50022 ssh2: ED25519 SHA256:" + 43 * "x"
LEFT = "Disconnected from user {} 192.0.2.1 port 50022"


def line(pid, text, host=HERE, ago=500.0):
    when = datetime.datetime.fromtimestamp(NOW - ago, datetime.timezone.utc).isoformat("T", "microseconds")
    return f"{when} {host} sshd[{pid}]: {text}\n"


def entry(pid, text, uid=0, by=None):
    stamp = str(int((NOW - 500) * 1e6))
    return {
        "SYSLOG_PID": str(pid),
        "_PID": str(by or pid),
        "_UID": str(uid),
        "MESSAGE": text,
        sshd_log.STAMPS[0]: stamp,
    }


READ = [
    line(7, "Received SIGHUP; restarting.", ago=300.0),
    line(7, "Server listening on 0.0.0.0 port 22.", ago=299.0),
    line(9, "Received SIGHUP; restarting.", "web2", ago=200.0),
    line(9, "Received SIGHUP; restarting.", "web2", ago=190.0),
    line(8, "Received SIGHUP; restarting. Really", ago=100.0),
]


def test_when_sshd_read_its_files_by_its_own_log(tmp_path):
    log = tmp_path / "auth.log"
    log.write_text("".join([line(7, "Received signal 15; terminating.", ago=800.0), *READ]))
    policy = {"sshd": {"logs": {"AUTH": str(log), "AUTHPRIV": str(tmp_path / "none")}}}
    assert logs.began(None, policy, NOW - 500) == pytest.approx([NOW - 300, NOW - 299], abs=0.01)


@pytest.fixture
def unmatched(tmp_path, monkeypatch):
    """Return whom the audit log does not know: ``unmatched(LINES, ENTRIES of the journal)``, a list of str."""

    def unmatched(lines, entries=(), old=False, burst=""):
        log, audit = tmp_path / "auth.log", tmp_path / "audit.log"
        log.write_text("".join(lines))
        if old:
            os.utime(log, (NOW - 900, NOW - 900))
        known = [(NOW - 3000, 1), (NOW - 500, 70)]
        text = "type=LOGIN msg=audit({:.3f}:{}): pid={} uid=0 old-auid=4294967295 auid=1001 res=1\n"
        audit.write_text("".join(text.format(when, serial, pid) for serial, (when, pid) in enumerate(known, 1)))
        with audit.open("a") as log_:
            log_.write(burst)
        told = {"-t systemd-journald": []}
        monkeypatch.setattr(logs, "_entries", lambda minion, since, *how: told.get(" ".join(how), list(entries)))
        policy = {"sshd": {"logs": {"AUTH": str(log)}}}
        found = logs.read(None, policy, "AUTH", str(audit), NOW - 1000, NOW)
        return [one.user for one in logins.missing(found)]

    return unmatched


@pytest.fixture
def untold(tmp_path, monkeypatch):
    """Return whom sshd's own logs do not know: ``untold(LINES, ENTRIES of the journal)``, a list of str."""

    def untold(lines, entries=()):
        log, audit = tmp_path / "auth.log", tmp_path / "audit.log"
        log.write_text("".join(lines))
        fields = 'pid=82 uid=0 auid=1001 ses=4 msg=\'op=PAM:session_open acct="eve" '
        fields += 'exe="/usr/sbin/sshd" terminal=ssh res=success\''
        audit.write_text(f"type=USER_START msg=audit({NOW - 500:.3f}:2): {fields}\n")
        monkeypatch.setattr(logs, "_entries", lambda minion, since, *how: [] if "systemd-journald" in how else entries)
        found = logs.read(None, {"sshd": {"logs": {"AUTH": str(log)}}}, "AUTH", str(audit), NOW - 1000, NOW)
        return logins.over(found)

    return untold


def test_what_sshd_said_while_syslog_was_away(untold):
    """The journal has it, and the file was written since."""
    around = [line(60, LEFT.format("carol"), ago=900), line(61, LEFT.format("carol"), ago=10)]
    assert untold([*around, line(82, CAME.format("eve"))]) == []
    assert untold(around) == ["eve (pid 82)"]
    assert untold(around, [entry(82, CAME.format("eve"))]) == []
    assert untold(around, [entry(83, CAME.format("eve"))]) == ["eve (pid 82)"]
    # Anybody can log in the name of sshd.
    assert untold(around, [entry(82, CAME.format("eve"), 1001)]) == ["eve (pid 82)"]


OWN = [line(70, CAME.format("alice")), line(70, LEFT.format("alice"))]
OTHERS = [line(81, CAME.format("bob"), "web7"), line(81, LEFT.format("bob"), "web7")]


def test_what_other_hosts_send_is_their_own(unmatched):
    assert unmatched(OWN) == unmatched([*OWN, *OTHERS]) == []
    assert unmatched([*OWN, line(82, CAME.format("eve"))]) == ["eve"]
    assert unmatched([*OWN, *OTHERS, line(82, CAME.format("eve"))]) == ["eve"]
    assert unmatched([*OWN, *OTHERS, line(82, CAME.format("eve"), f"{HERE.upper()}.example.org")]) == ["eve"]
    # Two hosts send, and here nobody has come.
    assert unmatched([*OTHERS, *(one.replace("web7", "web8") for one in OTHERS)]) == []


def test_what_has_another_name_may_be_this_host(unmatched):
    assert unmatched([one.replace(HERE, "old") for one in [*OWN, line(82, CAME.format("eve"))]]) == ["eve"]
    assert unmatched([*OWN, line(82, CAME.format("eve"), "other")]) == ["eve"]


def test_what_somebody_logs_in_the_name_of_sshd_is_nothing(unmatched):
    text = CAME.format("eve")
    forged = [*OWN, line(82, text)]
    assert unmatched(forged, [entry(82, text, 1001, 5000)]) == []
    # He cannot take back what sshd has said.
    assert unmatched(forged, [entry(82, text, 1001, 5000), entry(82, text)]) == ["eve"]
    assert unmatched(forged, [entry(83, text, 1001, 5000)]) == unmatched(forged, []) == ["eve"]
    # In the journal alone.
    assert unmatched(OWN, [entry(82, text, 1001)], old=True) == []
    assert unmatched(OWN, [entry(82, text)], old=True) == ["eve"]


def test_what_was_recorded_before_a_burst_of_records(unmatched):
    """A busy host writes megabytes in the minutes in which a login is too young to be judged."""
    call = f"type=SYSCALL msg=audit({NOW - 400:.3f}:{{}}): arch=c000003e syscall=59 success=yes exit=0 auid=1001\n"
    burst = "".join(map(call.format, range(9, 40_000)))
    assert unmatched(OWN, burst=burst) == []
    assert unmatched([*OWN, line(82, CAME.format("eve"))], burst=burst) == ["eve"]


def test_what_was_said_before_a_flood_of_refusals(unmatched):
    """Anybody can have sshd say megabytes: who came before that is found all the same, and who is known is known."""
    flood = [line(9, f"Invalid user x{number} from 192.0.2.9 port 50022", ago=450) for number in range(40_000)]
    assert sum(map(len, flood)) > 3 * logs.MOST
    before = [line(60, LEFT.format("carol"), ago=1500)]
    assert unmatched([*before, *OWN, *flood]) == []
    assert unmatched([*before, *OWN, line(82, CAME.format("eve")), *flood, line(70, LEFT.format("alice"))]) == ["eve"]


def test_a_log_that_is_read_to_where_the_last_look_was(tmp_path, monkeypatch):
    monkeypatch.setattr(logs, "MOST", 10_000)
    log = tmp_path / "auth.log"
    old = [line(60, LEFT.format("carol"), ago=ago) for ago in range(9000, 5000, -4)]
    new = [line(9, f"Invalid user x{number} from 192.0.2.9 port 50022") for number in range(1000)]
    log.write_text("".join([*old, line(82, CAME.format("eve")), *new]))
    found, more = logs._end(str(log), NOW - 1000)
    # Nothing of what was said long before, but for a piece of it.
    assert sum(b"carol" in one for one in found) < 200 and not more
    assert [one for one in found if b"Accepted" in one] == [line(82, CAME.format("eve")).encode()]
    assert logs._file(str(log), NOW - 1000)[1]
    monkeypatch.setattr(logs, "LARGEST", 50_000)
    assert logs._end(str(log), NOW - 1000)[1] and not logs._file(str(log), NOW - 1000)[1]
    # A log that is all younger was begun since; what was before it is in the one before.
    log.write_text("".join(new[:10]))
    assert logs._end(str(log), NOW - 1000) == ([one.encode() for one in new[:10]], False)
    (tmp_path / "auth.log.1").write_text("".join([line(82, CAME.format("eve")), *new]))
    assert not logs._file(str(log), NOW - 1000)[1]
    assert logs._end(str(tmp_path / "none"), NOW) == ([], False)


def test_a_journal_that_is_too_long_is_asked_for_those_who_came(monkeypatch):
    flood = [entry(9, f"Invalid user x{number} from 192.0.2.9 port 50022") for number in range(logs.LINES)]
    came, asked = [entry(82, CAME.format("eve"))], []

    def entries(minion, since, *how):
        asked.append(how[-1])
        return flood if how[-1] == logs.TAGS[-1] else came

    monkeypatch.setattr(logs, "_entries", entries)
    lines, whole = logs._journal(None, 1.0)
    assert whole and asked[-1] == "--grep=^Accepted " and sum(b"Accepted" in one for one in lines) == 1
    came *= logs.LINES
    assert not logs._journal(None, 1.0)[1]
    flood.pop()
    assert logs._journal(None, 1.0)[1]


def recorded(name, tmp_path):
    """The ends of two logs as a Debian wrote them: what sshd said (list of Line), and the audit log (its path)."""
    place = DATA / name
    opened = {".xz": lzma.open, ".gz": gzip.open}
    texts = {}
    for kind in ("auth.log", "audit.log"):
        [path] = place.glob(f"{kind}.[xg]z")
        with opened[path.suffix](path) as handle:
            texts[kind] = handle.read()
    (tmp_path / "audit.log").write_bytes(texts["audit.log"])
    return list(sshd_log.lines(texts["auth.log"].splitlines(keepends=True))), str(tmp_path / "audit.log")


@pytest.mark.parametrize("name", ["sessions", "sessions-trixie", "sessions-switches"])
def test_the_two_logs_of_a_debian_know_of_the_same_logins(name, tmp_path):
    spoken, audit = recorded(name, tmp_path)
    known, reaches = logs._known(audit, 0.0)
    # It has spoken long before: what is told of a moment later is not judged.
    times, came = [0.0, *(one.when.timestamp() for one in spoken)], [one for one in known if one.user]
    both = logins.Logs(0.0, max(times) + 1, logs._accepted(spoken), times, known, reaches, "")
    assert came and [one for one in logins.judge(both, {}) if one.holds is False] == []
    # Of one of them sshd has said nothing.
    last = came[-1]
    silent = both._replace(accepted=[one for one in both.accepted if one.pid != last.pid])
    [found] = [one for one in logins.judge(silent, {}) if one.holds is False]
    assert (found.check, found.evidence) == ("accepted-unmatched", f"{last.user} (pid {last.pid})")


BEGAN = (
    "node=h type=SYSCALL msg=audit(1300.{0}00:{0}): syscall=59 pid={1} auid=0 euid=0 ses=3 "
    'exe="/usr/sbin/auditctl" key="k"\n'
)
EXECVE = "node=h type=EXECVE msg=audit(1300.{0}00:{0}): argc=2 a0={1} a1={2}\n"


@pytest.mark.parametrize("few", [0, 16])
def test_which_programs_were_begun(tmp_path, monkeypatch, few):
    monkeypatch.setattr(logs, "FEW", few)
    log = tmp_path / "audit.log"
    with_a_space = BEGAN.format(1, 77) + EXECVE.format(1, '"auditctl"', "2D5220782079")
    others = BEGAN.format(2, 77) + EXECVE.format(4, '"sh"', '"/auditctl"')
    log.write_text(with_a_space + others + BEGAN.format(3, 7) + EXECVE.format(3, '"auditctl"', '"-s"'))
    end = logs.End(str(log), 0.0)
    first, last = end.executions(b'/auditctl" ')
    assert first == logs.Ran(1, 1300.1, "77", "0", "3", "0", "/usr/sbin/auditctl", ("auditctl", "-R x y"))
    assert last.words == ("auditctl", "-s") and end.executions(b" pid=7 ") == [last]
    assert end.executions(b" pid=8 ") == []
