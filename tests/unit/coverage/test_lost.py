"""
coverage.lost: what is missing in a log since the last look.
"""

import gzip
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
from sshtrail_lib.coverage import lost, pulse
from sshtrail_lib.coverage.daemon import Loss
from sshtrail_lib.coverage.memory import Memory
from sshtrail_lib.policy import pillar as policy_pillar


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "audit.log"
    went = "type=CONFIG_CHANGE msg=audit(20.000:8): op=remove_rule key=x list=5 res=1"
    path.write_text(f"type=SYSCALL msg=audit(9.000:7): auid=1001\n{went}\n")
    return str(path)


def test_what_the_kernel_printed_and_nobody_took(log, monkeypatch):
    printed = {b"audit(9.000:7)": True, b"audit(9.000:9)": True, b"audit(9.000:10)": False}
    monkeypatch.setattr(lost.continuity, "printed", lambda since: printed)
    seen, end = lost.Seen(log, (), {}, 0, 50.0, 60.0), lost.logs.End(log, 5.0)
    [gap] = lost._printed(seen, Memory(looked=40.0), end)
    assert gap.told.startswith("at least 1 events of sessions") and gap.when == 50.0
    # This auditd was there before.
    assert lost._printed(seen, Memory(looked=50.0), end) == []
    monkeypatch.setattr(lost.continuity, "printed", lambda since: {b"audit(9.000:7)": True})
    assert lost._printed(seen, Memory(looked=40.0), end) == []


def test_what_went_from_a_list_and_never_came(log, monkeypatch):
    end = lost.logs.End(log, 5.0)
    records = end.records(("CONFIG_CHANGE",))
    seen, before = lost.Seen(log, (), {"4": 3}, 0, 0.0, 60.0), Memory(looked=10.0, counted=10.0, held={"4": 3})
    monkeypatch.setattr(lost, "held", lambda rules: {"4": 3})
    monkeypatch.setattr(lost.kernel, "rules", list)
    assert [gap.when for gap in lost._unseen(seen, before, end, records)] == [20.0]
    # Nobody has counted, the log does not reach back so far, it was there, somebody changes them at this moment.
    for other in (before._replace(counted=0.0), before._replace(counted=8.0), before._replace(held={"5": 1})):
        assert lost._unseen(seen, other, end, records) == []
    monkeypatch.setattr(lost, "held", lambda rules: {"4": 2})
    assert lost._unseen(seen, before, end, records) == []


def test_what_was_open_before_a_burst_of_records(tmp_path):
    """Who does a thousand things after it pushes it far away from the log's end."""
    log = tmp_path / "audit.log"
    off = "type=CONFIG_CHANGE msg=audit(120.000:8): op=set audit_enabled=0 old=1 auid=1001 ses=3 res=1\n"
    call = "type=SYSCALL msg=audit(130.000:{}): arch=c000003e syscall=59 success=yes exit=0 auid=1001\n"
    burst = "".join(map(call.format, range(9, 90_000)))
    policy = policy_pillar.build({"sshtrail": {"environment": "x", "rules": {"groups": {"session": True}}}}, "Debian")
    seen, before = lost.Seen(str(log), (), {}, 0, 0.0, 160.0), Memory(looked=110.0)
    log.write_text("type=SYSCALL msg=audit(90.000:7): auid=1001\n" + off + burst)
    assert len(burst) > 6 * 2**20 and ["switched off" in one.told for one in lost._gaps(policy, seen, before, [])] == [
        True
    ]
    # The log was rotated meanwhile.
    log.rename(f"{log}.2")
    (tmp_path / "audit.log.1").write_text(burst)
    log.write_text(burst)
    assert ["switched off" in one.told for one in lost._gaps(policy, seen, before, [])] == [True]
    assert lost._gaps(policy, seen, Memory(looked=125.0), []) == []


# --- From look to look ----------------------------------------------------------------------------------------------

CALL = "type=SYSCALL msg=audit(100.000:{}): arch=c000003e syscall=59 success=yes exit=0 auid={}\n"


def calls(*numbers, auid=1001):
    return "".join(CALL.format(number, auid) for number in numbers)


@pytest.fixture
def looks(tmp_path, monkeypatch):
    """Look at a log (``looks(AUDITD since)``), and return what is told of records that are missing (str)."""
    conf, log = tmp_path / "auditd.conf", tmp_path / "log" / "audit.log"
    log.parent.mkdir()
    log.write_text(calls(*range(1, 50)))
    conf.write_text(f"log_file = {log}\n")
    own = {"environment": "x", "rules": {"groups": {"session": True}}, "auditd": {"path": str(conf)}}
    policy = policy_pillar.build({"sshtrail": own}, "Debian")
    memory, now = [Memory()], [200.0]
    monkeypatch.setattr(lost, "PAUSES", ())
    monkeypatch.setattr(lost.continuity, "printed", lambda since: {})
    monkeypatch.setattr(lost.continuity, "_login", lambda pid: False)

    def look(auditd=0.0, dropped=0, ours=False, found=""):
        now[0] += 1000.0
        seen = lost.Seen(str(log), pulse.extent(str(log)), {}, 0, auditd, now[0], ours)
        before = memory[0]._replace(loss=Loss(dropped, now[0]) if dropped else None)
        memory[0] = lost.missing(policy, seen, before)._replace(
            looked=now[0], since={f"{found} x": now[0]} if found else {}
        )
        return memory[0].loss.told if memory[0].loss else ""

    look.log, look.conf = log, conf
    assert look() == ""
    return look


def grow(log, text):
    with log.open("a") as handle:
        handle.write(text)


def rotate(log):
    for number in range(9, 0, -1):
        old = pathlib.Path(f"{log}.{number}")
        if old.exists():
            old.rename(f"{log}.{number + 1}")
    log.rename(f"{log}.1")


def edit(path, old, new):
    """Write over bytes of a file in their place, and have its times as they were."""
    found = path.stat()
    with path.open("r+b") as handle:
        at = handle.read().index(old)
        handle.seek(at)
        handle.write(new)
    os.utime(path, ns=(found.st_atime_ns, found.st_mtime_ns))


def test_a_log_that_goes_on(looks):
    # Records of several events come in another order, and auditd has numbers of its own.
    grow(
        looks.log, calls(51, 50, 52, 52) + "type=DAEMON_END msg=audit(101.000:8803): op=terminate auid=0 res=success\n"
    )
    assert looks() == ""
    grow(looks.log, calls(*range(53, 60)))
    rotate(looks.log)
    looks.log.write_text(calls(*range(60, 70)))
    assert looks() == ""
    for first in (70, 80):
        rotate(looks.log)
        looks.log.write_text(calls(*range(first, first + 10)))
    assert looks() == "" and looks() == ""


def test_an_event_that_is_not_there(looks):
    grow(looks.log, calls(50, 51, 54))
    why = "they were cut out of it, or never written"
    assert looks() == f"2 events of the kernel are not in {looks.log}, from number 52 on: {why}"
    assert looks() == ""
    grow(looks.log, calls(55, 57))
    assert "from number 56 on: no auditd took them" in looks(auditd=1e9)


def test_a_number_that_no_kernel_has_come_to(looks):
    """Whoever writes one would have all events before it look like another kernel's, and be blind to what follows."""
    grow(looks.log, calls(50, 52, 4_100_000_000))
    told = looks()
    assert "1 events" in told and "from 4100000000 on" in told and "from number 51 on" in told
    grow(looks.log, calls(53, 55))
    assert "from number 54 on" in looks()


@pytest.mark.parametrize("times", [1, 2, 3, 4])
def test_an_event_that_is_about_to_be_written(looks, monkeypatch, times):
    grow(looks.log, calls(50, 52))
    late, waited = {times: calls(51)}, []

    def sleep(seconds):
        waited.append(seconds)
        grow(looks.log, late.get(len(waited), ""))

    monkeypatch.setattr(lost, "PAUSES", (0.1, 0.4, 2.0))
    monkeypatch.setattr(lost.time, "sleep", sleep)
    assert ("1 events" in looks()) == (times == 4) and len(waited) == min(times, 3)


def test_an_event_that_is_not_there_where_a_log_was_rotated(looks):
    grow(looks.log, calls(*range(50, 60)))
    rotate(looks.log)
    looks.log.write_text(calls(*range(61, 70)))
    assert "1 events" in looks() and looks() == ""


def test_what_is_told_of_otherwise(looks, monkeypatch):
    grow(looks.log, calls(60))
    assert looks(dropped=10) == ""
    # It was printed, and is no session's.
    monkeypatch.setattr(lost.continuity, "printed", lambda since: {b"audit(100.000:61)": False, b"audit(1.0:62)": True})
    grow(looks.log, calls(63))
    assert looks() == ""
    grow(looks.log, calls(67))
    assert "3 events" in looks()


def test_where_nobody_has_logged_in_the_restart_of_a_policy_has_lost_nothing(looks, monkeypatch):
    grow(looks.log, calls(60, auid=4294967295))
    assert looks(auditd=1e9, ours=True) == ""
    grow(looks.log, calls(70, auid=4294967295))
    # Whoever else has restarted it can have come and gone meanwhile; whoever cuts records can have cut his login.
    assert "9 events" in looks(auditd=1e9)
    grow(looks.log, calls(80, auid=4294967295))
    assert "9 events" in looks(ours=True)
    monkeypatch.setattr(lost.continuity, "_login", lambda pid: True)
    grow(looks.log, calls(90, auid=4294967295))
    assert "9 events" in looks(auditd=1e9, ours=True)


@pytest.mark.parametrize("way", ["auditd-absent", "log-unwritten"])
def test_what_is_missing_because_of_an_open_way_is_told_as_that(looks, way):
    assert looks(found=way) == ""
    grow(looks.log, calls(60))
    assert looks(auditd=1e9) == ""
    grow(looks.log, calls(62))
    assert "from number 61 on" in looks()


def test_a_log_of_several_hosts_has_several_kernels(looks):
    looks.conf.write_text(looks.conf.read_text() + "tcp_listen_port = 60\n")
    grow(looks.log, calls(60, 9000, 70))
    assert looks() == ""
    # Who does so no more begins anew.
    looks.conf.write_text(looks.conf.read_text().replace("tcp_listen_port", "# "))
    assert looks() == ""


@pytest.mark.parametrize("rotates", [False, True])
def test_a_log_that_was_changed_in_its_place(looks, rotates):
    grow(looks.log, calls(50))
    assert looks() == ""
    edit(looks.log, b"audit(100.000:30)", b"audit(100.000:31)")
    if rotates:
        rotate(looks.log)
        looks.log.write_text(calls(51))
    assert "was changed where records had been written before" in looks()
    assert looks() == ""


def test_a_log_that_was_cut_and_filled_again_from_where_it_begins(looks):
    begins = looks.log.read_bytes()[:200]
    looks.log.write_bytes(begins + calls(*range(60, 200)).encode())
    assert "was changed where records had been written before" in looks()


def test_a_log_that_was_copied_and_cut(looks, monkeypatch):
    """logrotate does so (copytruncate): what was written since the last look is in the copy."""
    grow(looks.log, calls(50, 51, 52))
    pathlib.Path(f"{looks.log}.1").write_bytes(looks.log.read_bytes())
    looks.log.write_text(calls(53))
    assert looks() == ""
    grow(looks.log, calls(54))
    assert looks() == ""
    # What was written between both is in neither.
    grow(looks.log, calls(55, 56))
    pathlib.Path(f"{looks.log}.2").write_bytes(looks.log.read_bytes())
    looks.log.write_text(calls(58))
    assert "from number 57 on" in looks()
    # What is in one that was compressed is not looked at.
    (looks.log.parent / "audit.log.3.gz").write_bytes(gzip.compress(looks.log.read_bytes()))
    looks.log.write_text("")
    assert looks() == ""


def test_a_rotated_log_that_was_changed(looks):
    rotate(looks.log)
    looks.log.write_text(calls(50))
    assert looks() == ""
    rotated = pathlib.Path(f"{looks.log}.1")
    rotated.chmod(0o400)
    assert looks() == ""
    rotated.write_bytes(rotated.read_bytes()[:1000])
    assert looks() == f"a rotated log beside {looks.log} was changed"
    assert looks() == ""


def test_a_file_of_an_administrators_beside_the_log(looks):
    digests = pathlib.Path(f"{looks.log}.sha256")
    digests.write_text(f"{64 * 'a'}  {looks.log}\n" * 5)
    assert looks() == ""
    grow(digests, "more\n")
    assert looks() == ""


def test_a_rotated_log_that_was_taken_away_for_good(looks):
    rotate(looks.log)
    looks.log.write_text(calls(50))
    assert looks() == ""
    pathlib.Path(f"{looks.log}.1").unlink()
    assert looks() == ""


def compressed(path):
    pathlib.Path(f"{path}.gz").write_bytes(gzip.compress(path.read_bytes()))
    path.unlink()


def below(path):
    (path.parent / "kept").mkdir()
    path.rename(path.parent / "kept" / path.name)


#: What becomes of which of three rotated logs, the first of which is the youngest, and whether that is told.
TAKEN = {
    "the youngest": ([1], pathlib.Path.unlink, True),
    "one in the middle": ([2], pathlib.Path.unlink, True),
    "all but the oldest": ([1, 2], pathlib.Path.unlink, True),
    "the oldest": ([3], pathlib.Path.unlink, False),
    "the older ones": ([2, 3], pathlib.Path.unlink, False),
    "all": ([1, 2, 3], pathlib.Path.unlink, False),
    "compressed": ([1], compressed, False),
    "moved below": ([1], below, False),
}


@pytest.mark.parametrize("rotates", [False, True])
@pytest.mark.parametrize("which,do,told", TAKEN.values(), ids=TAKEN)
def test_a_rotated_log_that_was_taken_out_of_the_row(looks, which, do, told, rotates):
    for number in (50, 60, 70):
        os.utime(looks.log, (number, number))
        rotate(looks.log)
        looks.log.write_text(calls(*range(number, number + 10)))
    assert looks() == ""
    for one in which:
        do(pathlib.Path(f"{looks.log}.{one}"))
    if rotates:
        rotate(looks.log)
        looks.log.write_text(calls(80))
    assert ("is gone, and older ones are there" in looks()) == told
    assert looks() == ""


def test_a_rotated_log_that_was_not_there_for_a_moment(looks, monkeypatch):
    """While all names move on by one, a list of them may lack one."""
    for number in (50, 60, 70):
        os.utime(looks.log, (number, number))
        rotate(looks.log)
        looks.log.write_text(calls(*range(number, number + 10)))
    assert looks() == ""
    youngest, rotated, kept = pathlib.Path(f"{looks.log}.1").stat().st_ino, lost.continuity.rotated, []

    def lacking(log):
        kept.append(log)
        return {one: was for one, was in rotated(log).items() if len(kept) > 1 or one != str(youngest)}

    monkeypatch.setattr(lost.continuity, "rotated", lacking)
    monkeypatch.setattr(lost.facts, "kept", lambda log, was, since: False)
    assert looks() == "" and len(kept) == 2


def test_another_log_has_other_rotated_ones(tmp_path):
    before = Memory(place="/var/log/other.log", looked=5.0, rotated={"7": [1, 10, "type=A"], "8": [1, 20, "type=B"]})
    seen = lost.Seen(str(tmp_path / "audit.log"), (), {}, 0, 0.0, 60.0)
    assert lost._gone(seen, before, {"7": [1, 10, "type=A"]}) == []
    assert lost._gone(seen, before._replace(place=seen.log), {"7": [1, 10, "type=A"]}) == []


OFF = "type=CONFIG_CHANGE msg=audit({}.000:{}): op=set audit_enabled=0 old=1 auid=1001 ses=3 res=1\n"


def test_a_clock_that_was_set_back_hides_nothing(looks):
    grow(looks.log, OFF.format(1100, 50))
    # What was before the last look is not told again.
    assert looks().count("switched off") == 1
    grow(looks.log, OFF.format(90, 51))
    told = looks()
    assert told.count("switched off") == 1 and "1970-01-01T00:01:30" in told
    assert looks() == ""


@pytest.mark.parametrize("looked,after,known", [(150.0, 150.0, [1, 2]), (9000.0, 0.0, [2])])
def test_who_opened_the_log_is_known_though_the_clock_was_set_on_and_back(tmp_path, looked, after, known):
    log = tmp_path / "audit.log"
    log.write_text(calls(1))
    extent = pulse.extent(str(log))
    grow(log, calls(2))
    seen, before = lost.Seen(str(log), pulse.extent(str(log)), {}, 0, 0.0, 160.0), Memory(looked=looked, log=extent)
    parts = lost.continuity.parts(str(log), extent)
    assert lost._written(seen, before, parts).after == after
    assert lost._since(seen, before, parts)[1] == after
    # By the log's bytes, nothing that was there before is told again; by the time, that is for who reads them.
    written = [one.serial for one in lost._written(seen, before, parts).records(["SYSCALL"])]
    assert written == known


def test_a_session_of_sshd_without_a_login_id(looks, monkeypatch):
    start = "type=USER_START msg=audit(1300.000:{}): pid=7 uid=0 auid=4294967295 ses=4294967295 "
    start += 'msg=\'op=PAM:session_open acct="alice" exe="/usr/sbin/sshd" terminal=ssh res=success\'\n'
    monkeypatch.setattr(lost.facts, "sshd_elsewhere", lambda: True)
    grow(looks.log, start.format(50))
    # It may be that of a container.
    assert looks() == ""
    monkeypatch.setattr(lost.facts, "sshd_elsewhere", lambda: False)
    grow(looks.log, start.format(51).replace("1300", "2500"))
    assert "opened for alice" in looks()


@pytest.mark.parametrize(
    "login,inside,told",
    [(4294967295, True, False), (0, True, True), (4294967295, False, True), (0, False, True)],
)
def test_a_login_id_that_a_thread_gave_up(looks, monkeypatch, login, inside, told):
    """What is told as long as it lasts is not told beside; a thread may have ended, or its process live on with one."""
    monkeypatch.setattr(lost.ids, "login", lambda pid: login)
    monkeypatch.setattr(lost.ways, "in_session", lambda pid: inside)
    gave = (
        "type=LOGIN msg=audit(1300.000:50): pid=77 uid=0 old-auid=0 auid=4294967295 tty=(none) old-ses=3 ses=4294967295"
    )
    grow(looks.log, f"{gave} res=1\n")
    assert ("process 77 gave up the login id 0" in looks()) == told


EXEC = (
    "type=SYSCALL msg=audit(1300.{0}00:{1}): arch=c000003e syscall=59 success=yes exit=0 ppid=7 pid={2} auid=0 uid=0 "
    'euid=0 tty=pts0 ses=3 comm="x" exe="{3}" key="ssh_commands"\n'
    "type=EXECVE msg=audit(1300.{0}00:{1}): {4}\n"
)
CHANGED = (
    "type=CONFIG_CHANGE msg=audit(1300.{0}00:{1}): auid=0 ses=3 op={2} key=(null) list={5} res=1\n"
    "type=SYSCALL msg=audit(1300.{0}00:{1}): arch=c000003e syscall=44 success=yes exit=9 ppid=7 pid={3} auid=0 uid=0 "
    'euid=0 tty=pts0 ses=3 comm="x" exe="{4}" key=(null)\n'
    "type=PROCTITLE msg=audit(1300.{0}00:{1}): proctitle=617564697463746C\n"
)
AUDITCTL = "/usr/sbin/auditctl"


def execve(*words):
    return f"argc={len(words)} " + " ".join(f'a{at}="{word}"' for at, word in enumerate(words))


def came_and_went(program, *words, changes=4):
    begun = EXEC.format(1, 50, 77, program, execve(*words))
    came = CHANGED.format(2, 51, "add_rule", 77, program, changes)
    return begun + came + CHANGED.format(5, 52, "remove_rule", 99, program, changes)


@pytest.mark.parametrize(
    "text,told",
    [
        (
            came_and_went(AUDITCTL, "auditctl", "-A", "exit,never", "-S", "execve"),
            "a rule that hides stood on the list",
        ),
        (came_and_went(AUDITCTL, "auditctl", "-a", "always,exit", "-S", "execve"), ""),
        (
            came_and_went("/run/loader", "auditctl", "-a", "always,exit", "-S", "execve"),
            "a rule that may hide stood on",
        ),
        (came_and_went(AUDITCTL, "auditctl", "-R", "/run/f1"), "a rule of a file, which may hide, stood on the list"),
        (
            EXEC.format(1, 50, 77, AUDITCTL, execve("auditctl", "-R", "/run/f1")),
            "login id 0 ran auditctl -R /run/f1 at",
        ),
        (EXEC.format(1, 50, 77, AUDITCTL, execve("auditctl", "-s")), ""),
    ],
)
def test_what_somebody_did_by_hand_by_the_words_that_were_recorded(looks, text, told):
    grow(looks.log, text)
    said = looks()
    assert told in said and bool(told) == bool(said)


def test_what_salt_changed_itself(looks, monkeypatch):
    grow(looks.log, came_and_went("/usr/bin/python3.11", "salt-call"))
    seen = lost.Seen
    monkeypatch.setattr(lost, "Seen", lambda *known: seen(*known, ((77, 1300.1, 1300.3),)))
    assert looks() == ""


def test_a_locked_kernel_answers_nobody(looks, monkeypatch):
    seen = lost.Seen
    monkeypatch.setattr(lost, "Seen", lambda *known: seen(*known, (), True))
    grow(looks.log, EXEC.format(1, 50, 77, AUDITCTL, execve("auditctl", "-R", "/etc/audit/audit.rules")))
    assert looks() == ""


GAVE = "type=LOGIN msg=audit(1300.{0}00:{1}): pid=77 uid=0 old-auid={2} auid={3} tty=(none) old-ses=3 ses=9 res=1\n"
GAVE += (
    "type=SYSCALL msg=audit(1300.{0}00:{1}): arch=c000003e syscall=1 success=yes exit=10 ppid=7 pid=77 auid={3} uid=0 "
    'euid=0 tty=pts0 ses=9 comm="x" exe="{4}" key=(null)\n'
)


@pytest.mark.parametrize(
    "program,words,told",
    [
        # A program that is gone, Salt's interpreter with another script, and the one that opens sessions of PAM's.
        ("/run/x", ["/run/x", "-c", "x"], True),
        (os.path.realpath(sys.executable), ["python3", "-c", "x"], True),
        (os.path.realpath(sys.executable), ["python3", "-I", lost.pam_session.__file__, "x", "1"], False),
        ("/usr/sbin/sshd", ["sshd"], False),
    ],
)
def test_a_login_id_that_was_given_up_and_taken_again(looks, program, words, told):
    begun = EXEC.format(1, 50, 77, program, execve(*words))
    gave = GAVE.format(2, 51, 0, 4294967295, program) + GAVE.format(4, 52, 4294967295, 0, program)
    grow(looks.log, begun + gave)
    assert ("gave up the login id 0" in looks()) == told


def test_whether_a_sshd_runs_in_a_container():
    assert lost.facts.sshd_elsewhere() in (True, False)
    assert not lost.facts._is_elsewhere("self")


#: Goes where neither numbers nor files are the host's, as a container's first process does.
CONTAINED = "import ctypes, os, time; lib = ctypes.CDLL(None); assert not lib.unshare(0x20020000)"
CONTAINED += "; pid = os.fork(); pid or (os.chroot('/run'), {}); os.write(1, b'%d\\n' % pid); time.sleep(60)"


@pytest.mark.parametrize(
    "name,first,then,elsewhere",
    [
        ("sshd", "0", "0", True),
        ("sshd-session", "0", "0", True),
        ("sleeper", "0", "0", False),
        # Anybody can do so as himself, and none of his processes can have the kernel record anything.
        ("sshd", "lib.unshare(0x10000000)", "0", False),
        ("sshd", "0", "os.setresuid(65534, 65534, 65534)", False),
    ],
)
def test_a_process_that_is_called_sshd_and_has_left_the_host(name, first, then, elsewhere):
    place = pathlib.Path(f"/run/sshtrail-test-lost-{os.getpid()}")
    place.mkdir(mode=0o755)
    try:
        shutil.copy(os.path.realpath("/usr/bin/python3"), place / name)
        code = CONTAINED.replace("assert", f"{first}; assert", 1).format(then)
        pipes = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE}
        with subprocess.Popen([place / name, "-c", code], **pipes) as child:
            # Its number, and zero as soon as it has left.
            pid = max(int(child.stdout.readline()) for _ in range(2))
            try:
                assert lost.facts._is_elsewhere(str(pid)) == elsewhere
            finally:
                child.kill()
                os.kill(pid, signal.SIGKILL)
    finally:
        shutil.rmtree(place)
