"""
trail.proof: which station lost a login, from what each of them left.
"""

import pytest
from sshtrail_lib.trail import audit_log, proof
from sshtrail_lib.trail.proof import Evidence

MARK = proof.MARK + "0123456789abcdef" * 2
FINGERPRINT = "SHA256:" + "a" * 43
# As Debian 12 writes them (auditd 3.0.9, Linux 6.18), with the fields that nothing here asks for left out.
PAM = (
    "type=USER_ACCT msg=audit(1.0:1): pid=70 uid=0 auid=4294967295 ses=4294967295 msg='op=PAM:accounting "
    'acct="sshtrail-proof" exe="/usr/sbin/sshd" res=success\'',
    "type=USER_START msg=audit(1.0:3): pid=70 uid=0 auid=999 ses=5 msg='op=PAM:session_open "
    'acct="sshtrail-proof" exe="/usr/sbin/sshd" res=success\'',
)
LOGIN = "type=LOGIN msg=audit(1.0:2): pid=70 uid=0 old-auid=4294967295 auid=999 old-ses=4294967295 ses=5 res=1"
SYSCALL = (
    'type=SYSCALL msg=audit(1.0:4): arch=c000003e syscall=59 success=yes pid=71 auid=999 ses=5 exe="/usr/bin/true" '
    'key="ssh_commands"'
)
EXECVE = f'type=EXECVE msg=audit(1.0:4): argc=2 a0="/bin/true" a1="{MARK}"'
ACCEPTED = "Accepted publickey for sshtrail-proof from 127.0.0.1 port 5 ssh2: ED25519"
SSHD = f"Nov 25 19:35:23 h sshd[70]: {ACCEPTED} {FINGERPRINT}"
ALL = (*PAM, LOGIN, SYSCALL, EXECVE)


def events(*lines):
    return list(audit_log.events(line.encode() for line in lines))


def evidence(lines=ALL, written=None, **changes):
    heard = events(*lines)
    given = {"account": "sshtrail-proof", "uid": 999, "mark": MARK, "fingerprint": FINGERPRINT, "accepted": True}
    given |= {"log": [SSHD.encode()], "log_name": "auth.log", "file": "audit.log", "keys": frozenset(["ssh_commands"])}
    given |= {"heard": heard, "written": heard if written is None else events(*written)}
    return Evidence(**{**given, **changes})


def stations(verdict):
    return {one["station"]: one["holds"] for one in verdict["stations"]}


def without(*dropped):
    return [line for line in ALL if line not in dropped]


def test_a_login_that_came_through():
    found = proof.judge(evidence())
    assert (found["holds"], found["lost_at"], found["open"]) == (True, None, [])
    assert stations(found) == dict.fromkeys(["accept", "log", "pam", "login", "command", "file"], True)
    assert set(stations(found)) <= set(proof.STATIONS)
    assert found["said"] == "The login of sshtrail-proof left a record at every station that could be asked."
    assert "session 5, auid 999, key ssh_commands" in found["stations"][4]["evidence"]


@pytest.mark.parametrize(
    "lines,station",
    [
        (without(*PAM), "pam"),
        (without(LOGIN), "login"),
        (without(EXECVE), "command"),
        (without(SYSCALL, EXECVE), "command"),
        ([*PAM, LOGIN, SYSCALL.replace("auid=999 ses=5", "auid=4294967295 ses=4294967295"), EXECVE], "command"),
        ([*PAM, LOGIN, SYSCALL.replace("ses=5", "ses=6"), EXECVE], "command"),
        ([*PAM, LOGIN, SYSCALL.replace("ssh_commands", "others"), EXECVE], "command"),
        ([PAM[0], PAM[1].replace("success", "failed"), LOGIN, SYSCALL, EXECVE], "pam"),
        ([*PAM, LOGIN.replace("auid=999", "auid=1000"), SYSCALL, EXECVE], "login"),
        ([], "pam"),
    ],
)
def test_the_first_station_that_lacks_it_is_named(lines, station):
    found = proof.judge(evidence(lines))
    assert (found["holds"], found["lost_at"]) == (False, station)
    assert proof.STATIONS[station] in found["said"]


def test_what_auditd_did_not_write_is_lost_at_its_file():
    found = proof.judge(evidence(written=[], trouble="auditd (pid 7) is stopped"))
    assert found["lost_at"] == "file" and "auditd (pid 7) is stopped" in found["said"]
    assert proof.judge(evidence(written=without(EXECVE)))["lost_at"] == "file"


def test_a_command_that_is_not_whole_says_why():
    assert "is EXECVE excluded?" in proof.judge(evidence(without(EXECVE)))["said"]
    assert "no SYSCALL record" in proof.judge(evidence(without(SYSCALL, EXECVE)))["said"]


def test_another_command_with_the_mark_is_not_it():
    """The client's own, for example: it has the mark in its arguments, and belongs to whoever runs the proof."""
    client = SYSCALL.replace("1.0:4", "1.0:9").replace("auid=999 ses=5", "auid=0 ses=1")
    arguments = f'type=EXECVE msg=audit(1.0:9): argc=3 a0="ssh" a1="h" a2="/bin/true {MARK}"'
    assert proof.judge(evidence([*ALL, client, arguments]))["holds"] is True
    assert proof.judge(evidence([*without(SYSCALL, EXECVE), client, arguments]))["lost_at"] == "command"


def test_systemds_manager_has_a_session_of_its_own():
    manager = LOGIN.replace("1.0:2", "0.9:1").replace("pid=70", "pid=60").replace(" ses=5", " ses=4")
    found = proof.judge(evidence([manager, *ALL]))
    assert found["holds"] is True and found["stations"][3]["evidence"].startswith("session 5,")


# --- Where nobody could listen to the kernel ---------------------------------------------------------------------

OWN = f"type=USER msg=audit(1.0:9): pid=9 uid=0 auid=4294967295 ses=4294967295 msg='text={MARK} res=success'"


def test_the_file_alone_tells_when_it_gets_anything():
    assert proof.judge(evidence(heard=None, written=[*ALL, OWN]))["holds"] is True
    assert proof.judge(evidence(heard=None, written=[*without(LOGIN), OWN]))["lost_at"] == "login"
    assert proof.judge(evidence(heard=None, written=[OWN]))["lost_at"] == "pam"


def test_a_file_that_gets_nothing_lost_all_of_it():
    found = proof.judge(evidence(heard=None, written=[]))
    assert found["lost_at"] == "file" and stations(found)["pam"] is None


# --- sshd ---------------------------------------------------------------------------------------------------------

REFUSED = b"Nov 25 19:35:23 h sshd[8]: User sshtrail-proof from 127.0.0.1 not allowed because not listed in AllowUsers"
CLOSED = b"Nov 25 19:35:24 h sshd[8]: Connection closed by invalid user sshtrail-proof 127.0.0.1 port 5 [preauth]"


def test_sshds_own_reason_is_told():
    found = proof.judge(evidence([], accepted=False, log=[CLOSED, REFUSED], answer="Permission denied (publickey)."))
    assert found["lost_at"] == "accept" and list(stations(found)) == ["accept"]
    assert "not listed in AllowUsers" in found["said"]


def said(pid, text):
    return f"Nov 25 19:35:23 h sshd[{pid}]: {text}".encode()


CAME = [
    said(70, f"{ACCEPTED} {FINGERPRINT}"),
    said(70, "pam_limits(sshd:session): Could not set limit for 'core': Operation not permitted"),
    said(70, "pam_unix(sshd:session): session opened for user sshtrail-proof(uid=999) by (uid=0)"),
    said(70, "User child is on pid 71"),
]
#: What sshd says after it has let a login in, and the reason that is told (None: what the client said).
ENDS = {
    "a directory that is not there": (
        'fatal: safely_chroot: stat("/srv/none"): No such file or directory',
        "/srv/none",
    ),
    "a directory of somebody's": ('fatal: bad ownership or modes for chroot directory "/srv"', "chroot directory"),
    "no sessions": ("error: no more sessions", "no more sessions"),
    "another limit": ("Disconnected from user sshtrail-proof 127.0.0.1 port 5", "pam_limits"),
}


@pytest.mark.parametrize("text,reason", ENDS.values(), ids=ENDS)
def test_why_a_login_ended_that_was_let_in(text, reason):
    log = [*CAME, said(71, text), said(90, "fatal: of another login")]
    found = proof.judge(evidence([], accepted=False, log=log, answer="Connection closed"))
    assert reason in found["said"] and "Accepted" not in found["said"] and "another login" not in found["said"]


def test_a_login_that_went_well_is_no_reason():
    log = [CAME[0], *CAME[2:], said(70, "pam_unix(sshd:session): session closed for user sshtrail-proof")]
    found = proof.judge(evidence([], accepted=False, log=log, answer="client_loop: send disconnect: Broken pipe"))
    assert "Broken pipe" in found["said"] and "sshd's log" not in found["said"]


BEGUN = SYSCALL.replace("1.0:4", "1.0:8")
FORCED = 'type=EXECVE msg=audit(1.0:8): argc=3 a0="sh" a1="-c" a2="/usr/local/bin/menu"'


@pytest.mark.parametrize(
    "lines,forced,station",
    [
        (ALL, "", None),
        (without(EXECVE), "", "command"),
        # It runs what was asked for.
        ([*ALL, BEGUN, FORCED], "/usr/local/bin/menu", None),
        ([*without(SYSCALL, EXECVE), BEGUN, FORCED], "/usr/local/bin/menu", "accept"),
        # No command is recorded, so that none is known to be another one.
        ([*without(EXECVE), BEGUN], "/usr/local/bin/menu", "command"),
        (without(SYSCALL, EXECVE), "/usr/local/bin/menu", "command"),
        (without(SYSCALL, EXECVE), "internal-sftp -l INFO", "accept"),
        ([*without(SYSCALL, EXECVE), BEGUN, FORCED], "", "command"),
    ],
)
def test_what_sshd_runs_in_the_place_of_the_command(lines, forced, station):
    found = proof.judge(evidence(lines, forced=forced))
    assert found["lost_at"] == station
    assert station != "accept" or ("ForceCommand" in found["said"] and "Match User sshtrail-proof" in found["said"])


def test_who_was_not_let_in_has_another_reason():
    found = proof.judge(evidence([], accepted=False, log=[REFUSED], forced="internal-sftp"))
    assert "not listed in AllowUsers" in found["said"] and "ForceCommand" not in found["said"]


def test_without_a_reason_the_client_tells():
    found = proof.judge(evidence([], accepted=False, log=None, answer="connect: Connection\nrefused\n"))
    assert "connect: Connection refused." in found["said"]


def test_a_line_about_another_key_is_not_ours():
    other = SSHD.replace("a" * 43, "b" * 43).encode()
    assert proof.judge(evidence(log=[other]))["lost_at"] == "log"


def test_a_log_that_cannot_be_read_is_open():
    found = proof.judge(evidence(log=None, log_name="no file, and no journal"))
    assert found["holds"] is True and "no file, and no journal" in found["open"][0]


def test_what_goes_to_another_host_is_open():
    found = proof.judge(evidence(remote=("audisp-remote",)))
    assert found["holds"] is True and stations(found)["remote"] is None and "audisp-remote" in found["open"][0]


def test_a_host_without_audit_has_sshd_alone():
    assert list(stations(proof.judge(evidence([], audit=False)))) == ["accept", "log"]


# --- Without an account -------------------------------------------------------------------------------------------

STRANGER = proof.STRANGER + "01234567"
AWAY = f"Nov 25 19:35:23 h sshd[8]: Invalid user {STRANGER} from 127.0.0.1 port 5".encode()


def stranger(**changes):
    return evidence(**{"fingerprint": "", "stranger": STRANGER, "pid": 70, "log": [AWAY], **changes})


def test_a_stranger_says_what_is_left_open():
    found = proof.judge(stranger())
    assert found["holds"] is True and "sshtrail:proof:account" in found["open"][0]


def test_a_session_counts_only_of_the_process_that_opened_it():
    assert proof.judge(stranger(pid=71))["lost_at"] == "pam"


def test_a_stranger_believes_the_configuration_about_pam():
    assert proof.judge(stranger(use_pam=False))["lost_at"] == "pam"


def test_a_session_that_could_not_be_tried_is_open():
    found = proof.judge(stranger(session="the caller's loginuid may not be given up here"))
    assert found["holds"] is True and any("loginuid" in line for line in found["open"])


# --- Left out of reports ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments,is_one",
    [
        (["/bin/true", MARK], True),
        (["/bin/true", MARK, "x"], False),
        (["/bin/rm", MARK], False),
        (["/bin/true", MARK + "0"], False),
        (["sh", "-c", f"/bin/true {MARK}"], False),
        (["sh", "-c", f"rm x; /bin/true {MARK}"], False),
        ([], False),
    ],
)
def test_a_proof_is_known_by_its_whole_command(arguments, is_one):
    assert proof.is_proof([argument.encode() for argument in arguments]) is is_one


SHELL = {"argv": ["sh", "-c", f"/bin/true {MARK}"], "exe": "/usr/bin/dash"}
TRUE = {"argv": ["/bin/true", MARK], "exe": "/usr/bin/true"}


@pytest.mark.parametrize(
    "commands,is_one",
    [
        ([SHELL, TRUE], True),
        ([TRUE], True),
        ([SHELL, TRUE, {"argv": ["id"], "exe": "/usr/bin/id"}], False),
        ([{**SHELL, "exe": "/home/eve/dash"}], False),
        ([{**SHELL, "argv": ["sh", "-c", f"/bin/true {MARK}; id"]}], False),
        ([{"argv": [], "exe": None}], False),
        ([], False),
        (2, False),
        (None, False),
    ],
)
def test_a_session_that_was_nothing_but_a_proof(commands, is_one):
    assert proof.is_nothing_else(commands) is is_one


@pytest.mark.parametrize(
    "auid,exe,line,is_one",
    [
        (999, "/usr/bin/dash", f"/bin/true {MARK}", True),
        (1000, "/usr/bin/dash", f"/bin/true {MARK}", False),
        (999, "/home/eve/dash", f"/bin/true {MARK}", False),
        (999, "/usr/bin/dash", f"/bin/true {MARK}; id", False),
    ],
)
def test_nobody_hides_behind_the_mark(auid, exe, line, is_one):
    (event,) = events(
        f'type=SYSCALL msg=audit(1.0:4): syscall=59 pid=71 auid={auid} ses=5 exe="{exe}" key="ssh_commands"',
        f'type=EXECVE msg=audit(1.0:4): argc=3 a0="sh" a1="-c" a2={line.encode().hex().upper()}',
    )
    assert proof.is_proof(event, 999) is is_one


def test_a_stranger_is_known_by_name_and_address():
    assert proof.is_stranger(STRANGER, "127.0.0.1")
    assert not proof.is_stranger(STRANGER, "192.0.2.1") and not proof.is_stranger(STRANGER + "0", "127.0.0.1")


def test_a_line_is_wanted_for_any_of_its_names():
    wanted = proof.marks(evidence())
    assert MARK.encode() in wanted and b" auid=999 " in wanted and b"sshtrail-proof" in wanted
