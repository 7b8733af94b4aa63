"""
What is made of histories that nobody can have on demand: numbers that come again, reboots, forged records.
"""

import base64
import datetime

import pytest
from sshtrail_lib.trail import blocks, history
from sshtrail_lib.trail.history import Sources, Wanted
from sshtrail_lib.trail.session import told

from unit.trail.made import SSHD, SU, SUDO, UNSET, Made, coded, fingerprint

FULL, COUNTED = Wanted(commands=True), Wanted()


def read(tmp_path, *logs, wanted=FULL, audit=None, auth=None):
    """Return the sessions (list of dict) of logs that follow one another."""
    lines = audit if audit is not None else [line for log in logs for line in log.audit]
    said = auth if auth is not None else [line for log in logs for line in log.auth]
    (tmp_path / "audit.log").write_text("\n".join(lines) + "\n")
    (tmp_path / "auth.log").write_text("\n".join(said) + "\n")
    sources = Sources([str(tmp_path / "audit.log")], [str(tmp_path / "auth.log")], zone=datetime.timezone.utc)
    return [told(one) for one in history.sessions(sources, wanted)]


def prints(found):
    return [one["key"] and one["key"]["fingerprint"] for one in found]


def words(one):
    return [command["argv"] for command in one["commands"]]


def became(one):
    return [(each["via"], each["from"], each["to"], each["result"]) for each in one["became"]]


# --- Numbers that come again ------------------------------------------------------------------------------------


@pytest.mark.parametrize("pause", [0.2, 3, 5000])
def test_one_process_number_for_several_logins(tmp_path, pause):
    log = Made()
    for number, key in enumerate("abc"):
        log.login(5 + number, 50, 1001, "ana", key, 1000 + number)
        log.run(5 + number, 60, 1001, "/bin/echo", key)
        log.logout(5 + number, 50, 1001, "ana")
        log.time += pause
    found = read(tmp_path, log)
    assert prints(found) == [fingerprint(key) for key in "abc"]
    assert [words(one) for one in found] == [[["/bin/echo", key]] for key in "abc"]
    # Where a line is missing, no key is that of another login.
    log.auth = [line for line in log.auth if fingerprint("b") not in line]
    assert all(key in (None, own) for key, own in zip(prints(read(tmp_path, log)), prints(found), strict=True))


BOOTS = {
    "the numbers of events begin again": (5000, 3, 7, 1),
    "a boot of few events, the same session": (10, 200, 1, 1),
    "a boot of few events, another session": (10, 200, 3, 1),
}


@pytest.mark.parametrize("first,second,ses,again", BOOTS.values(), ids=BOOTS)
def test_a_reboot_ends_what_was_open(tmp_path, first, second, ses, again):
    before = Made(serial=first)
    before.login(ses, 50, 1001, "ana")
    before.run(ses, 60, 1001, "/bin/echo", "one")
    after = Made(before.time + 90, second)
    after.login(again, 50, 1002, "bob", "b", 2)
    after.run(again, 60, 1002, "/bin/echo", "two")
    after.logout(again, 50, 1002, "bob")
    for wanted in (FULL, COUNTED):
        found = read(tmp_path, before, after, wanted=wanted)
        assert prints(found) == [fingerprint("a"), fingerprint("b")]
        assert [one["state"] for one in found] == ["lost", "closed"]
        if wanted.commands:
            assert [words(one) for one in found] == [[["/bin/echo", "one"]], [["/bin/echo", "two"]]]
        else:
            assert [one["commands"] for one in found] == [1, 1]


@pytest.mark.parametrize("seconds", [4, 40, 4000])
def test_records_that_come_much_too_late_begin_no_boot(tmp_path, seconds):
    log = Made()
    for number in range(4):
        log.login(5 + number, 50 + number, 1001, "ana", "abcd"[number], 1000 + number)
        log.run(5 + number, 60, 1001, "/bin/echo", str(number))
        log.logout(5 + number, 50 + number, 1001, "ana")
        log.time += seconds
    whole = read(tmp_path, log)
    per = len(log.audit) // 4
    parts = [log.audit[at : at + per] for at in range(0, 4 * per, per)]
    for order in ((0, 2, 1, 3), (0, 3, 1, 2, 3), (0, 2, 3, 1)):
        found = read(tmp_path, log, audit=[line for at in order for line in parts[at]])
        assert sorted(found, key=lambda one: one["id"]) == whole


def test_a_reboot_that_only_systemd_tells_of(tmp_path):
    before, rest = Made(serial=10), 'comm="systemd-update-utmp" exe="/usr/lib/systemd/systemd-update-utmp" hostname=?'
    before.login(3, 50, 1001, "ana")
    after = Made(before.time + 60, 20)
    after.message("SYSTEM_BOOT", 400, UNSET, UNSET, f" {rest} addr=? terminal=? res=success")
    after.login(4, 51, 1002, "bob", "b", 2)
    assert [one["state"] for one in read(tmp_path, before, after)] == ["lost", "open"]
    # In a session nobody says that the host has booted.
    after.audit[0] = after.audit[0].replace(f"ses={UNSET}", "ses=3")
    assert [one["state"] for one in read(tmp_path, before, after)] == ["open", "open"]


def test_su_that_was_killed_and_its_process_number(tmp_path):
    log = Made()
    log.login(5, 50, 0, "root")
    for account in ("bob", "ana"):
        log.run(5, 65, 0, SU, "-", account)
        log.pam("USER_START", 65, 0, 5, account, SU)
    [one] = read(tmp_path, log)
    assert became(one) == [("su", "root", "bob", "success"), ("su", "root", "ana", "success")]


PARTIAL = "{} {} for ana from 10.0.0.9 port 1000 ssh2"
CERTIFIED = f"ED25519-CERT {fingerprint('a')} ID max (ops) (serial 7) CA RSA {fingerprint('c')}"
KEY_ONE, KEY_TWO = f"ED25519 {fingerprint('a')}", f"RSA {fingerprint('b')}"
CHAINS = {
    "a key, then a password": ([("publickey", KEY_ONE), ("password", "")], "a", None),
    "a key, then PAM": ([("publickey", KEY_ONE), ("keyboard-interactive/pam", "")], "a", None),
    "a password, then a key": ([("password", ""), ("publickey", KEY_ONE)], "a", None),
    "two keys": ([("publickey", KEY_TWO), ("publickey", KEY_ONE)], "a", None),
    "a certificate, then a password": ([("publickey", CERTIFIED), ("password", "")], "a", "max (ops)"),
    "two keys, then a password": ([("publickey", KEY_ONE), ("publickey", KEY_TWO), ("password", "")], None, None),
}


@pytest.mark.parametrize("steps,key,certificate", CHAINS.values(), ids=CHAINS)
def test_several_ways_to_log_in_of_which_each_is_asked_for(tmp_path, steps, key, certificate):
    log = Made()
    log.say(50, "Connection from 10.0.0.9 port 1000 on 10.0.0.1 port 22")
    # Who had the process before had another key.
    log.say(50, PARTIAL.format("Partial", "publickey").replace("port 1000", "port 999") + f": RSA {fingerprint('z')}")
    for number, (method, shown) in enumerate(steps, 1):
        said = PARTIAL.format("Accepted" if number == len(steps) else "Partial", method)
        log.say(50, f"{said}: {shown}" if shown else said)
    log.kernel(5, 50, 1001, "ana")
    log.logout(5, 50, 1001, "ana")
    [one] = read(tmp_path, log)
    assert (one["method"], prints([one])) == (steps[-1][0], [key and fingerprint(key)])
    assert (one["certificate"] or {}).get("id") == certificate
    assert len(one["proof"]["method"]) == len(steps) and (key or "several were accepted" in one["unknown"]["key"])


def test_a_line_that_another_wrote_for_the_process_hides_none_of_its_own(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.say(50, "User child is on pid 51")
    log.say(51, "Starting session: command for ana from 10.0.0.9 port 1000 id 0")
    log.say(50, f"Accepted publickey for bob from 10.9.9.9 port 666 ssh2: {KEY_TWO}")
    log.say(51, "Starting session: subsystem 'sftp' for ana from 10.0.0.9 port 1000 id 1")
    log.auth = [line.replace(line[:32], "2026-11-25T23:20:00+00:00") for line in log.auth]
    [one] = read(tmp_path, log)
    assert prints([one]) == [fingerprint("a")] and [each["kind"] for each in one["channels"]] == [
        "command",
        "subsystem",
    ]


LONG_AGO = [(True, ()), (False, ()), (True, (5,)), (False, (5,)), (None, (5,))]


@pytest.mark.parametrize("commands,here", LONG_AGO)
@pytest.mark.parametrize("busy", [True, False])
def test_who_has_been_there_for_long(tmp_path, monkeypatch, busy, commands, here):
    monkeypatch.setattr(blocks, "NEAR", 2**12)
    log = Made()
    log.login(5, 50, 1001, "ana")
    for ses, pause in ((9, 9000), (5 if busy else 9, 0)):
        for number in range(300):
            log.run(ses, 60, 1001, "/bin/echo", str(number))
        log.time += pause
    read(tmp_path, log)
    audit, auth = ([str(tmp_path / name)] for name in ("audit.log", "auth.log"))
    sources = Sources(audit, auth, zone=datetime.timezone.utc, alive=frozenset([50]), here=frozenset(here))
    for since in (log.time - 60, log.time + 1000):
        found = [told(one) for one in history.sessions(sources, Wanted(since=since, commands=commands))]
        # Without a word of it, nobody can know that it still is there, unless this is its host.
        if here or (busy and commands is not None and since < log.time):
            assert [(one["user"], one["state"]) for one in found] == [("ana", "open")]
            assert prints(found) == [fingerprint("a")] and "it began before" in found[0]["unknown"]["files"]


# --- What is forged ---------------------------------------------------------------------------------------------

CLAIM = 'op=PAM:session_open acct="bob" exe="{}" hostname=6.6.6.6 addr=6.6.6.6 terminal=/dev/pts/77 res=success'
ADDED = ' exe="/usr/bin/python3.13" hostname=? addr=? terminal=? res=success'


@pytest.mark.parametrize("added", ["", ADDED], ids=["as it is", "by libaudit, which adds the true program"])
@pytest.mark.parametrize("claimed", [SU, SUDO, "/usr/sbin/sshd", SSHD])
@pytest.mark.parametrize("kind", ["USER_START", "USER_END", "USER_LOGIN", "USER_CMD", "USER_AUTH", "CRED_DISP"])
def test_what_roots_program_says_is_not_believed(tmp_path, kind, claimed, added):
    log = Made()
    log.login(5, 50, 0, "root")
    log.run(5, 60, 0, "/usr/bin/python3", "forge.py", exe="/usr/bin/python3.13")
    log.message(kind, 60, 0, 5, CLAIM.format(claimed) + added)
    for wanted in (FULL, COUNTED):
        [one] = read(tmp_path, log, wanted=wanted)
        assert (one["user"], one["became"], one["state"]) == ("root", [], "open")
        assert one["tty"] in (None, "pts/0") and one["from"]["address"] == "10.0.0.9"


def test_a_program_that_somebody_called_sshd(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, "/tmp/sshd", uid=0)
    log.message("USER_START", 60, 1001, 5, CLAIM.format("/usr/sbin/sshd"))
    assert [one["user"] for one in read(tmp_path, log)] == ["ana"]


@pytest.mark.parametrize("wanted", [FULL, COUNTED], ids=["with commands", "counted"])
def test_a_login_of_which_the_beginning_is_gone_is_none_of_another_program(tmp_path, wanted):
    log = Made()
    log.run(5, 60, 1001, "/usr/bin/python3", "forge.py", uid=0)
    log.message("USER_START", 60, 1001, 5, CLAIM.format("/usr/sbin/sshd"))
    assert read(tmp_path, log, wanted=wanted) == []


LOGIN = "type=LOGIN msg=audit(1.1:1): pid=1 uid=0 old-auid=4294967295 auid=0 tty=(none) old-ses=4294967295 ses=99 res=1"


@pytest.mark.parametrize("text", ["msg='{}'", 'msg="{}"', 'data="{}"', "msg='x node=evil {}'\x1dAUID=\"root\""])
def test_text_that_looks_like_a_record_is_none(tmp_path, text):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.event(("USER", "pid=60 uid=0 auid=1001 ses=5 subj=unconfined " + text.format(LOGIN)))
    assert [(one["user"], one["auid"]) for one in read(tmp_path, log)] == [("ana", 1001)]


def test_a_record_behind_one_that_was_cut(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, "/bin/echo", "x")
    log.logout(5, 50, 1001, "ana")
    whole = read(tmp_path, log)
    half = "type=SYSCALL msg=audit(1795648800.001:7): arch=c000003e syscall=59 success=yes ses=5 exi"
    # Where a machine stops, the file ends with zeroes.
    for before in (half, "\0" * 300, half + "\0" * 300, "type=PATH msg=audit(17956"):
        assert read(tmp_path, log, audit=[before + line for line in log.audit]) == whole


CUT = {
    "in a quoted argument": ('a1="one"', 'a1="on'),
    "in half a byte": ("a2=74776F20776F726473", "a2=74776F20776F72647"),
    "before an argument": ('a1="one"', "a1="),
    "in the line that another is joined with": ("a2=74776F20776F726473\n", "a2=7477"),
    "in quotes that those of the next end": ('a1="one" a2=74776F20776F726473\n', 'a1="on'),
}


@pytest.mark.parametrize("whole,cut", CUT.values(), ids=CUT)
def test_arguments_that_were_cut(tmp_path, whole, cut):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, "/bin/echo", "one", "two words")
    log.run(5, 60, 1001, "/bin/true")
    [one] = read(tmp_path, log, audit="\n".join(log.audit).replace(whole, cut).split("\n"))
    assert "arguments are missing" in one["unknown"]["commands"] and words(one)[1:] == [["/bin/true"]]
    assert {"/bin/echo", "one", "two words"} >= set(words(one)[0])
    assert [command["cwd"] for command in one["commands"]] == ["/", "/"]


def test_a_log_whose_lines_are_all_one(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    for number in range(500):
        log.run(5, 60, 1001, "/bin/echo", str(number))
    read(tmp_path, log, audit=[" ".join(log.audit)])


def test_a_message_that_was_cut_tells_of_no_failure(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, SU, "bob", euid=0)
    log.pam("USER_START", 60, 1001, 5, "bob", SU, uid=1001)
    log.logout(5, 50, 1001, "ana")
    cut = [line.partition(" res=")[0] if "USER_START" in line else line for line in log.audit]
    [one] = read(tmp_path, log, audit=cut)
    assert (one["user"], one["state"], one["became"]) == ("ana", "closed", [])
    assert prints([one]) == [fingerprint("a")] and "became" in one["unknown"]


@pytest.mark.parametrize("path,tried", [('item=0 name="/nowhere" nametype=UNKNOWN', "/nowhere"), ("item=0", None)])
def test_what_was_tried_in_vain(tmp_path, path, tried):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, "/bin/bash")
    head = log.audit[-1].partition(" cwd=")[0].replace("CWD", "PATH")
    log.audit = [line.replace("success=yes exit=0", "success=no exit=-2") for line in log.audit if "EXECVE" not in line]
    [one] = read(tmp_path, log, audit=[*log.audit, f"{head} {path}"])
    assert [(command["exe"], command["success"]) for command in one["commands"]] == [(tried, False)]


# --- Who became whom --------------------------------------------------------------------------------------------


def test_a_chain_of_su_and_sudo(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, SUDO, "su", "-", "bob", euid=0)
    log.message("USER_CMD", 60, 1001, 5, f'cwd="/" cmd=7375202D20626F62 exe="{SUDO}" terminal=pts/0 res=success', 1001)
    log.pam("USER_START", 60, 1001, 5, "root", SUDO, uid=1001)
    log.run(5, 61, 1001, SU, "-", "bob", uid=0, parent=60)
    log.pam("USER_AUTH", 61, 1001, 5, "bob", SU, "authentication")
    log.pam("USER_START", 61, 1001, 5, "bob", SU)
    log.run(5, 62, 1001, "-bash", uid=1002, exe="/bin/bash", parent=61)
    log.run(5, 64, 1001, SU, "root", uid=1002, euid=0, parent=62)
    log.pam("USER_AUTH", 64, 1001, 5, "root", SU, "authentication", uid=1002, result="failed")
    [one] = read(tmp_path, log)
    assert became(one) == [
        ("sudo", "ana", "root", "success"),
        ("su", "root", "bob", "success"),
        ("su", "bob", "root", "failed"),
    ]
    # Where nobody runs anything as bob, the log has no name for the number.
    log.audit = [line.replace("uid=1002 gid=0 euid=1002", "uid=0 gid=0 euid=0") for line in log.audit]
    assert became(read(tmp_path, log)[0])[-1] == ("su", "1002", "root", "failed")


def test_a_change_of_which_the_record_of_whom_is_missing(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, SUDO, "id", euid=0)
    log.message("USER_CMD", 60, 1001, 5, f'cwd="/" cmd="id" exe="{SUDO}" terminal=pts/0 res=success', 1001)
    [one] = read(tmp_path, log)
    assert became(one) == [("sudo", "ana", None, "success")]
    assert one["unknown"]["became"] == "no record tells whom process 60 became (event 105)"


def sudo(log, pid, *argv, start="root", tries=1):
    """Run a command by sudo, the password of which is typed several times."""
    log.run(5, pid, 1001, SUDO, *argv, euid=0)
    for _ in range(tries - 1):
        log.pam("USER_AUTH", pid, 1001, 5, "ana", SUDO, "authentication", uid=1001, result="failed")
    log.pam("USER_AUTH", pid, 1001, 5, "ana", SUDO, "authentication", uid=1001)
    said = f'cwd="/" cmd={coded(" ".join(argv))} exe="{SUDO}" terminal=pts/0 res=success'
    log.message("USER_CMD", pid, 1001, 5, said, 1001)
    if start:
        log.pam("USER_START", pid, 1001, 5, start, SUDO, uid=1001)


@pytest.mark.parametrize("tries", [1, 3])
@pytest.mark.parametrize("start", ["bob", None], ids=["with a session of PAM's", "without"])
@pytest.mark.parametrize("parent", [60, 61], ids=["as it is", "on a terminal of its own"])
def test_sudo_as_it_can_be_configured(tmp_path, tries, start, parent):
    log = Made()
    log.login(5, 50, 1001, "ana")
    sudo(log, 60, "/bin/id", "-un", start=start, tries=tries)
    log.run(5, 62, 1001, "/bin/id", "-un", uid=1002, parent=parent)
    log.run(5, 64, 1001, SU, "root", uid=1002, euid=0, parent=62)
    log.pam("USER_AUTH", 64, 1001, 5, "root", SU, "authentication", uid=1002, result="failed")
    [one] = read(tmp_path, log)
    # What PAM tells no name for, has a number.
    bob = start or "1002"
    assert became(one) == [("sudo", "ana", bob, "success"), ("su", bob, "root", "failed")]
    assert "became" not in one["unknown"]


def test_sudo_that_goes_on_in_a_child(tmp_path):
    """As sudo 1.9.13 sends it for ``sudo -b``."""
    log = Made()
    log.login(5, 50, 1001, "ana")
    sudo(log, 60, "/bin/id", start=None)
    sudo(log, 70, "/bin/true", start="bob")
    log.pam("USER_START", 61, 1001, 5, "root", SUDO, uid=1001)
    log.run(5, 61, 1001, "/bin/id", uid=0, parent=1)
    [one] = read(tmp_path, log)
    assert became(one) == [("sudo", "ana", "bob", "success"), ("sudo", "ana", "root", "success")]
    assert [each["command"] for each in one["became"]] == ["/bin/true", "/bin/id"] and "became" not in one["unknown"]


SETPRIV, PYTHON = "/usr/bin/setpriv", "/usr/bin/python3"


def test_changes_of_user_that_no_message_tells_of(tmp_path):
    log = Made()
    log.login(5, 50, 0, "root")
    # The shell that becomes su in the end.
    for exe, uid in ((SETPRIV, 1002), (PYTHON, 1001), (SETPRIV, 1002)):
        log.run(5, 61 + uid, 0, exe, parent=60)
        log.run(5, 61 + uid, 0, "/bin/id", uid=uid, parent=60)
    log.run(5, 60, 0, SU, "bob")
    log.pam("USER_START", 60, 0, 5, "bob", SU)
    log.run(5, 64, 0, "-bash", uid=1002, exe="/bin/bash", parent=60)
    log.pam("USER_START", 90, 1001, 6, "ana", SSHD)
    [one] = [one for one in read(tmp_path, log) if one["user"] == "root"]
    assert became(one) == [
        ("other", "root", "bob", "success"),
        ("other", "root", "ana", "success"),
        ("other", "root", "bob", "success"),
        ("su", "root", "bob", "success"),
    ]


@pytest.mark.parametrize("others,known", [("", "a"), ("RSA ", "a"), ("ED25519 ", None)])
def test_a_key_that_is_accepted_in_md5(tmp_path, others, known):
    log, found = Made(), "Accepted key {}{} found at /home/ana/.ssh/authorized_keys:{}"
    log.login(5, 50, 1001, "ana")
    accepted = log.auth.pop().replace(fingerprint("a"), "MD5:" + ":".join(["0f"] * 16))
    if others:
        log.say(50, found.format(others, fingerprint("b"), 1))
    log.say(50, found.format("ED25519 ", fingerprint("a"), 2))
    [one] = read(tmp_path, log, auth=[*log.auth, accepted])
    assert one["key"]["line"] == (2 if known else None)
    assert one["key"]["fingerprint"] == (fingerprint(known) if known else "MD5:" + ":".join(["0f"] * 16))


def test_sudo_that_opens_no_session_and_is_refused_in_the_end(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    sudo(log, 60, "/bin/id", start=None, tries=2)
    log.pam("USER_START", 60, 1001, 5, "root", SUDO, uid=1001, result="failed")
    assert became(read(tmp_path, log)[0]) == [("sudo", "ana", "root", "failed")]


@pytest.mark.parametrize("uid,names", [(1001, ("ana", "deploy")), (0, ("root", "toor"))])
@pytest.mark.parametrize("order", [1, -1])
def test_two_accounts_with_one_number(tmp_path, uid, names, order):
    log, names = Made(), names[::order]
    for ses, (name, key) in enumerate(zip(names, "ab", strict=True), 5):
        log.login(ses, 50 + ses, uid, name, key, 1000 + ses)
        log.run(ses, 60 + ses, uid, SU, "bob", euid=0)
        log.pam("USER_START", 60 + ses, uid, ses, "bob", SU, uid=uid)
        log.logout(ses, 50 + ses, uid, name)
    log.audit = [line + f'\x1dUID="root" AUID="{names[0]}"' if "type=LOGIN" in line else line for line in log.audit]
    found = read(tmp_path, log)
    assert [(one["user"], became(one)[0][:3]) for one in found] == [(name, ("su", name, "bob")) for name in names]
    # Which of them it was, the number does not tell.
    log.audit = [line for line in log.audit if not ("USER_START" in line and f"pid={50 + 6} " in line)]
    log.audit = [line for line in log.audit if not ("USER_END" in line and f"pid={50 + 6} " in line)]
    found = read(tmp_path, log)
    assert (found[1]["user"], prints(found)[1]) == (names[1], fingerprint("b"))


def test_an_account_is_not_named_for_who_logs_in_to_a_sshd_of_its_own(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.audit = [line for line in log.audit if "USER_START" not in line]
    log.run(5, 70, 1001, SSHD, "-R", parent=60)
    log.pam("USER_START", 70, 1001, 5, "bob", SSHD, address="10.0.0.8")
    log.pam("USER_AUTH", 80, 1001, 5, "root", SU, "authentication", uid=1001, result="failed")
    assert ("su", "ana", "root", "failed") in became(read(tmp_path, log)[0])


# --- What is missing, and what is written in other letters ------------------------------------------------------


def test_a_file_that_is_missing_in_the_middle(tmp_path):
    log, parts = Made(), []
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, "/bin/echo", "first")
    for number in range(100):
        parts += [len(log.audit)] if number in (0, 99) else []
        log.run(5, 61, 1001, "/bin/echo", str(number))
    log.login(6, 80, 1002, "bob", "b")
    log.logout(6, 80, 1002, "bob")
    files = dict(
        zip("321", (log.audit[: parts[0]], log.audit[parts[0] : parts[1]], log.audit[parts[1] :]), strict=True)
    )
    for number, lines in files.items():
        (tmp_path / f"audit.log.{number}").write_text("\n".join(lines) + "\n")
    every = Sources([str(tmp_path)])
    [ana, _] = history.sessions(every, FULL)
    assert "commands" not in ana.unknown and ana.state == "open"
    (tmp_path / "audit.log.2").unlink()
    for wanted in (FULL, COUNTED):
        ana, bob = history.sessions(every, wanted)
        why = "the events 105 to 203 are missing from the log"
        assert {ana.unknown[name] for name in ("commands", "became", "files", "ended")} == {why} and ana.state == "lost"
        assert "commands" not in bob.unknown and bob.state == "closed"


@pytest.mark.parametrize(
    "account,said", [("DOM\\ana", r"DOM\\ana"), ("jörg", r"j\303\266rg"), ("ana@x.org", "ana@x.org")]
)
def test_an_account_as_sshd_writes_it(tmp_path, account, said):
    log = Made()
    log.login(5, 50, 1001, account)
    log.auth = [line.replace(account, said) for line in log.auth]
    log.audit = [line.replace('acct="jörg"', "acct=6AC3B67267") for line in log.audit]
    [one] = read(tmp_path, log)
    assert (one["user"], prints([one])) == (account, [fingerprint("a")])


@pytest.mark.parametrize(
    "recorded,said",
    [("::ffff:10.0.0.9", "10.0.0.9"), ("2001:db8::1", "2001:DB8:0::1"), ("fe80::1", "fe80::1%eth0")],
)
def test_an_address_in_other_words(tmp_path, recorded, said):
    log = Made()
    log.login(5, 50, 1001, "ana", address=recorded)
    log.auth = [line.replace(f"{recorded} port", f"{said} port") for line in log.auth]
    assert prints(read(tmp_path, log)) == [fingerprint("a")]
    log.auth = [line.replace(said, "10.0.0.8") for line in log.auth]
    assert prints(read(tmp_path, log)) == [None]


RED_HAT = 'op=negotiate kind=auth-key fp=SHA256:{} exe="/usr/sbin/sshd" hostname=? addr={} terminal=? res=success'


@pytest.mark.parametrize("address,known", [("10.0.0.9", True), ("10.0.0.7", False)])
def test_a_key_of_the_login_before_with_the_same_process_number(tmp_path, address, known):
    log = Made()
    log.message("CRYPTO_KEY_USER", 50, UNSET, UNSET, RED_HAT.format("11:" * 31 + "11", address))
    log.login(5, 50, 1001, "ana")
    log.auth = []
    [one] = read(tmp_path, log)
    assert (one["key"] is not None) == known and (known or one["method"] is None)


@pytest.mark.parametrize("pause", [1, 100])
def test_what_was_said_before_another_login_is_not_about_this_one(tmp_path, pause):
    log = Made()
    for number in range(9):
        log.message("CRYPTO_KEY_USER", 50, UNSET, UNSET, RED_HAT.format(f"{number:02}:" * 31 + "11", "10.0.0.9"))
        log.login(5 + 2 * number, 50, 1001, "ana")
        log.logout(5 + 2 * number, 50, 1001, "ana")
        log.time += pause
        # A job of cron's that gets the number next, of which nothing but its LOGIN is of concern.
        old = f"old-auid={UNSET} auid=1001 tty=(none) old-ses={UNSET} ses={6 + 2 * number} res=1"
        log.event(("LOGIN", f"pid=50 uid=0 {old}"))
        log.pam("USER_START", 50, 1001, 6 + 2 * number, "ana", "/usr/sbin/cron")
    log.auth = []
    found = read(tmp_path, log)
    digests = [base64.b64encode(bytes([*[int(f"{number:02}", 16)] * 31, 0x11])).decode() for number in range(9)]
    assert prints(found) == [f"SHA256:{digest.rstrip('=')}" for digest in digests]


@pytest.mark.parametrize("said,known", [("11:" * 31 + "11", False), ("00:" * 31 + "00", True)])
def test_a_line_with_another_key_than_the_audit_log_has(tmp_path, said, known):
    log, key = Made(), "SHA256:" + "A" * 43
    log.message("CRYPTO_KEY_USER", 50, UNSET, UNSET, RED_HAT.format(said, "10.0.0.9"))
    log.login(5, 50, 1001, "ana", "A")
    [one] = read(tmp_path, log)
    assert prints([one]) == ([key] if known else [None]) and ("another key" in one["unknown"].get("key", "")) != known


def test_a_title_is_what_is_known_of_arguments_without_their_record(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, "/bin/echo", "two words", "é")
    log.audit = [line for line in log.audit if "type=EXECVE" not in line]
    head = log.audit[-1].partition(" cwd=")[0].replace("CWD", "PROCTITLE")
    log.audit.append(f"{head} proctitle={'/bin/echo_two words_é'.replace('_', chr(0)).encode().hex().upper()}")
    [one] = read(tmp_path, log)
    assert words(one) == [["/bin/echo", "two words", "é"]] and "arguments are missing" in one["unknown"]["commands"]


def test_a_time_that_no_clock_has_is_none(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.run(5, 60, 1001, "/bin/true")
    log.logout(5, 50, 1001, "ana")
    for at in range(len(log.audit)):
        odd = log.audit[at].replace("audit(1795", "audit(17951795")
        for wanted in (FULL, COUNTED):
            read(tmp_path, log, audit=[*log.audit[:at], odd, *log.audit[at + 1 :]], wanted=wanted)


def test_the_account_that_only_sshds_line_names(tmp_path):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.audit = [line for line in log.audit if "USER_START" not in line]
    [one] = read(tmp_path, log)
    assert one["user"] == "ana" and "user" not in one["unknown"]


@pytest.mark.parametrize("name,looked_up", [("pc.example.org", "192.0.2.7"), ("fe80::1%eth0", "fe80::1"), ("pc", "?")])
def test_an_address_that_was_looked_up_is_not_where_somebody_was(tmp_path, name, looked_up):
    log, own = Made(), name if "%" in name else "10.0.0.9"
    log.login(5, 50, 1001, "ana", address=own)
    log.audit = [line.replace(f"hostname={own} addr={own}", f"hostname={name} addr={looked_up}") for line in log.audit]
    [one] = read(tmp_path, log)
    assert (one["from"]["address"], prints([one])) == (own, [fingerprint("a")])
    log.auth = []
    [one] = read(tmp_path, log)
    assert one["from"]["address"] is None and one["unknown"]["address"] == "there is no log of sshd's"


GONE = {
    "Disconnected from user ana 10.0.0.9 port 1000": True,
    "Connection closed by 10.0.0.9 port 1000": True,
    "Connection reset by user ana 10.0.0.9 port 1000": True,
    "Timeout, client not responding from user ana 10.0.0.9 port 1000": True,
    "Read error from remote host 10.0.0.9 port 1000: Connection reset by peer": True,
    "Connection closed by 10.0.0.9 port 1001": False,
    "Connection closed by authenticating user ana 10.0.0.9 port 1000 [preauth]": False,
}


@pytest.mark.parametrize("text", GONE)
def test_an_end_that_only_sshd_tells_of(tmp_path, text):
    log = Made()
    log.login(5, 50, 1001, "ana")
    log.say(50, "User child is on pid 51")
    log.say(50, "pam_unix(sshd:session): session opened for user ana(uid=1001) by (uid=0)")
    log.run(5, 60, 1001, "/bin/true")
    log.say(51, text)
    log.login(6, 70, 1002, "bob", "b", 2)
    [one, _] = read(tmp_path, log)
    assert one["state"] == ("killed" if GONE[text] else "open")
    assert ("that it was over" in one["unknown"]["ended"]) == GONE[text]
