"""
Sessions of the kernel's that a process of a session begins, as ``login -f`` does: what is done there is of the login.
"""

import pytest
from sshtrail_lib.trail.history import Wanted

from unit.trail.made import CALL, SSHD, SU, SUDO, UNSET, Made, coded
from unit.trail.test_sessions import COUNTED, FULL, became, read, words

LOGIN = "/usr/bin/login"


def moves(log, pid, old, ses, auid, uid=0, old_auid=0, result=1, exe=LOGIN):
    """Write what the kernel does when a process sets its login id."""
    called = {"parent": 60, "pid": pid, "auid": auid, "uid": uid, "euid": uid, "ses": ses, "exe": coded(exe)}
    about = f"pid={pid} uid={uid} subj=unconfined old-auid={old_auid} auid={auid} tty=pts0 old-ses={old} ses={ses}"
    log.event(("LOGIN", f"{about} res={result}"), ("SYSCALL", CALL.format(call=1, **called)))


def sure(one):
    return not {"commands", "became", "files"} & set(one["unknown"])


def begun():
    log = Made()
    log.login(5, 50, 0, "root")
    log.run(5, 60, 0, "/bin/echo", "before")
    return log


def ends(log):
    log.run(5, 70, 0, "/bin/echo", "after")
    log.logout(5, 50, 0, "root")
    return log


def login_as_bob(log, pid=61, old=5, ses=6):
    log.run(old, pid, 0, "login", "-f", "bob", exe=LOGIN, parent=60)
    moves(log, pid, old, ses, 1002)
    log.pam("USER_START", pid, 1002, ses, "bob", LOGIN)
    # What PAM runs it runs as root.
    log.run(ses, 62, 1002, "run-parts", "/etc/update-motd.d", uid=0, parent=pid)
    log.run(ses, 63, 1002, "-bash", exe="/bin/bash", parent=pid)
    log.run(ses, 64, 1002, "/bin/echo", "inner", parent=63)


@pytest.mark.parametrize("wanted", [FULL, COUNTED], ids=["commands", "their number"])
def test_what_is_done_in_it_is_of_the_login(tmp_path, wanted):
    log = begun()
    login_as_bob(log)
    log.pam("USER_END", 61, 1002, 6, "bob", LOGIN, "session_close")
    [one] = read(tmp_path, ends(log), wanted=wanted)
    assert one["user"] == "root" and one["state"] == "closed" and sure(one)
    assert len(one["proof"]["session"]) == 3
    if not wanted.commands:
        assert one["commands"] == 6
        return
    assert became(one) == [("other", "root", "1002", "success")] and one["became"][0]["command"] == "-bash"
    echoed = [argv[1] for argv in words(one) if argv[0] == "/bin/echo"]
    assert echoed == ["before", "inner", "after"]


def test_one_within_another(tmp_path):
    log = begun()
    login_as_bob(log)
    log.run(6, 80, 1002, SUDO, "login", "-f", "ana", euid=0, parent=63)
    log.message("USER_CMD", 80, 1002, 6, f'cwd="/" cmd={b"login -f ana".hex()} exe="{SUDO}" res=success', uid=1002)
    log.pam("USER_START", 80, 1002, 6, "root", SUDO, uid=1002)
    log.run(6, 81, 1002, "login", "-f", "ana", uid=0, exe=LOGIN, parent=80)
    moves(log, 81, 6, 7, 1001, old_auid=1002)
    log.run(7, 82, 1001, "/bin/echo", "deepest", parent=81)
    [one] = read(tmp_path, ends(log))
    assert became(one) == [
        ("other", "root", "1002", "success"),
        ("sudo", "1002", "root", "success"),
        ("other", "root", "1001", "success"),
    ]
    assert ["/bin/echo", "deepest"] in words(one) and sure(one)


def test_a_su_that_begins_one_is_told_once(tmp_path):
    log = begun()
    log.run(5, 61, 0, SU, "bob", parent=60)
    moves(log, 61, 5, 6, 1002)
    log.pam("USER_START", 61, 1002, 6, "bob", SU)
    log.run(6, 62, 1002, "bash", exe="/bin/bash", parent=61)
    [one] = read(tmp_path, ends(log))
    assert became(one) == [("su", "root", "bob", "success")] and ["bash"] in words(one)


def test_another_login_id_makes_nobody_another_user(tmp_path):
    log = begun()
    moves(log, 60, 5, 6, 1002)
    log.run(6, 60, 1002, "/bin/echo", "hidden", uid=0)
    [one] = read(tmp_path, ends(log))
    assert became(one) == [] and ["/bin/echo", "hidden"] in words(one)


def test_who_becomes_that_user_by_sudo_then_did_so_once(tmp_path):
    log = begun()
    moves(log, 60, 5, 6, 1002)
    log.run(6, 61, 1002, SUDO, "-u", "bob", "id", uid=0, parent=60)
    log.message("USER_CMD", 61, 1002, 6, f'cwd="/" cmd="id" exe="{SUDO}" res=success')
    log.pam("USER_START", 61, 1002, 6, "bob", SUDO)
    log.run(6, 62, 1002, "id", parent=61)
    [one] = read(tmp_path, ends(log))
    assert became(one) == [("sudo", "root", "bob", "success")]


@pytest.mark.parametrize("wanted", [FULL, COUNTED], ids=["commands", "their number"])
def test_who_gives_up_the_login_id_is_told(tmp_path, wanted):
    log = begun()
    moves(log, 60, 5, UNSET, UNSET)
    [one] = read(tmp_path, ends(log), wanted=wanted)
    assert all("process 60 gave up its login id" in one["unknown"][name] for name in ("commands", "became", "files"))


def test_what_the_kernel_refused_moved_nobody(tmp_path):
    log = begun()
    moves(log, 60, 5, UNSET, 1002, result=0)
    [one] = read(tmp_path, ends(log))
    assert sure(one)


def test_who_comes_to_a_sshd_of_a_session_has_one_of_his_own(tmp_path):
    log = begun()
    moves(log, 90, 5, 6, 1002)
    log.pam("USER_START", 90, 1002, 6, "bob", SSHD, address="10.0.0.7")
    log.run(6, 91, 1002, "/bin/echo", "his", parent=90)
    found = read(tmp_path, ends(log))
    assert [one["user"] for one in found] == ["root", "bob"]
    assert ["/bin/echo", "his"] in words(found[1]) and ["/bin/echo", "his"] not in words(found[0])


@pytest.mark.parametrize("exe", [SSHD, "/usr/sbin/sshd", "/usr/sbin/cron"])
@pytest.mark.parametrize("known", ["by the call", "by what was started"])
def test_what_a_daemon_does_that_was_started_by_hand_is_of_others(tmp_path, exe, known):
    log = begun()
    log.run(5, 90, 0, exe, exe=exe)
    # What PAM says of it may be missing.
    moves(log, 90, 5, 6, 1002, exe=exe)
    log.audit = [line for line in log.audit if known == "by the call" or "syscall=1 " not in line]
    log.run(6, 91, 1002, "/bin/echo", "his", parent=90)
    [one] = read(tmp_path, ends(log))
    assert ["/bin/echo", "his"] not in words(one) and became(one) == []


def test_nobody_who_did_not_come_by_ssh_is_told(tmp_path):
    log = Made()
    moves(log, 60, UNSET, 4, 0, old_auid=UNSET)
    log.run(4, 60, 0, "/bin/echo", "console")
    moves(log, 60, 4, 6, 1002)
    log.run(6, 60, 1002, "/bin/echo", "console")
    assert read(tmp_path, log) == []


def test_one_that_began_before_another_boot_is_of_another_login(tmp_path):
    log = begun()
    login_as_bob(log)
    again = Made(log.time + 90, 5)
    again.login(5, 50, 1001, "ana", "b", 2)
    again.run(6, 64, 1002, "/bin/echo", "cron")
    found = read(tmp_path, log, again)
    assert [one["user"] for one in found] == ["root", "ana"]
    assert ["/bin/echo", "cron"] not in words(found[1]) and ["/bin/echo", "inner"] in words(found[0])


@pytest.mark.parametrize("ended", [True, False])
def test_of_one_that_began_long_ago_the_login_is_found(tmp_path, ended):
    log = begun()
    log.time += 3600
    login_as_bob(log)
    for _ in range(400):
        log.run(6, 64, 1002, "/bin/echo", "x" * 200, parent=63)
    if ended:
        log.logout(5, 50, 0, "root")
    log.time += 3600
    log.run(6, 64, 1002, "/bin/echo", "now", parent=63)
    wanted = Wanted(since=log.time - 60, commands=True)
    found = read(tmp_path, log, wanted=wanted)
    # What a login left running counts as its own, but a login that is over is none of this time.
    assert [one["user"] for one in found] == ([] if ended else ["root"])
    assert ended or ["/bin/echo", "now"] in words(found[0])
