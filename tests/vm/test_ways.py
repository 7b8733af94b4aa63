"""
Ways by which what people do is not recorded that only a guest can show: its kernel locks nothing, its sshd is its own.
"""

from guests import TREE, highstate, ways

#: Root, whose login is over, gives up its id: this kernel locks none.
GIVES_UP = "setsid sh -c 'sleep 3; echo 4294967295 >/proc/self/loginuid; /bin/echo marked-given-up' >/dev/null 2>&1 &"

# For a moment nobody listens.
RELOAD = ["sh", "-c", "systemctl reload ssh; sleep 2"]


def test_a_login_id_that_is_given_up_outside_its_session(guest):
    highstate(guest)
    assert guest.salt(TREE, "sshtrail.drift", "fresh=True") == []
    guest.run("sh", "-c", GIVES_UP)
    guest.run("sleep", "4")
    found = ways(guest)
    assert set(found) == {"records-lost"} and "gave up the login id 0 at " in found["records-lost"], found
    assert "marked-given-up" not in guest.run("cat", "/var/log/audit/audit.log").stdout


def test_a_stack_of_pams_without_login_ids_is_named(guest):
    """From 9.8 on sshd can be told which; before there is no PAMServiceName, and nothing asks for another stack."""
    before = guest.run("cat", "/etc/ssh/sshd_config").stdout
    guest.run("sh", "-c", "grep -v pam_loginuid /etc/pam.d/sshd >/etc/pam.d/other-ssh")
    guest.write("/etc/ssh/sshd_config", f"PAMServiceName other-ssh\n{before}")
    knows = guest.run("/usr/sbin/sshd", "-t", check=False).returncode == 0
    if knows:
        guest.run(*RELOAD)
        found = ways(guest)
    guest.write("/etc/ssh/sshd_config", before)
    if knows:
        guest.run(*RELOAD)
        assert "pam-without-loginuid" in found and "other-ssh" in found["pam-without-loginuid"], found
    guest.run("rm", "/etc/pam.d/other-ssh")
    assert set(ways(guest)) <= {"records-lost"}


#: A unit's environment, as /etc/default/ssh gives it to sshd's.
ENVIRONMENT = "SSHD_OPTS='-o LogLevel=QUIET -o UsePAM=no'\n"


def test_options_of_a_units_environment_are_named_with_their_file(guest):
    before = guest.run("cat", "/etc/default/ssh").stdout
    guest.write("/etc/default/ssh", ENVIRONMENT)
    guest.run("sh", "-c", "systemctl restart ssh; sleep 2")
    found, proof = ways(guest), guest.salt(TREE, "sshtrail.prove")
    guest.write("/etc/default/ssh", before)
    guest.run("sh", "-c", "systemctl restart ssh; sleep 2")
    assert "sshd-options" in found, found
    assert "usepam=no" in found["sshd-options"].lower() and "/etc/default/ssh" in found["sshd-options"], found
    assert (proof["holds"], proof["lost_at"]) == (False, "log"), proof["said"]
    assert guest.salt(TREE, "sshtrail.prove")["holds"] is True
    # On a slow guest the logins without PAM are older than two minutes by now, and judged.
    assert set(ways(guest)) <= {"records-lost", "session-unattributed", "login-unmatched"}


#: Somebody who is given a shell by systemd, and types nothing yet; it goes on when his login is over.
TYPES = (
    "setsid sh -c 'sleep 600 | systemd-run --quiet --pipe --collect --unit=typed sh -s' >/dev/null 2>&1 </dev/null & "
)


def test_a_shell_that_a_unit_of_the_moment_gives_is_named(guest):
    """systemd-run(1): what is typed there has no login id. A job without anybody who types is no way in."""
    guest.run("systemd-run", "--quiet", "--unit=quiet-job", "--collect", "sleep", "600")
    assert "shell-without-login" not in ways(guest)
    guest.run("sh", "-c", f"{TYPES} sleep 5; systemctl is-active typed")
    found = ways(guest)
    guest.run("systemctl", "stop", "quiet-job", "typed", check=False)
    assert "shell-without-login" in found and "typed.service" in found["shell-without-login"], found


#: A limit of the journal's, and what one service writes beyond it: it is told when that one writes again.
LIMIT = "[Journal]\nRateLimitIntervalSec=4s\nRateLimitBurst=2\n"
FLOOD = "for n in $(seq 60); do logger -p authpriv.info -t sshd flood $n; done; sleep 6; logger -t sshd again; sleep 1"


def test_a_limit_of_the_journal_is_named(guest):
    """systemd-journald tells how many messages it has suppressed, and that is asked for."""
    place = "/etc/systemd/journald.conf.d/limit.conf"
    guest.write(place, LIMIT)
    guest.run("systemctl", "restart", "systemd-journald")
    guest.run("systemd-run", "--quiet", "--wait", "--collect", "--unit=sshd-flood", "sh", "-c", FLOOD)
    found = ways(guest)
    guest.run("sh", "-c", f"rm {place}; systemctl restart systemd-journald")
    # sshd's own service has its limit too, and speaks at each login.
    assert found.get("messages-suppressed", "").startswith("Suppressed "), found
    # Debian's journald turns the kernel's audit off when it starts anew (Audit=no), which is seen and taken back.
    # It fails where logins of the tests before are told of still.
    guest.run(f"{TREE}/bin/highstate", check=False)
    assert "audit-disabled" not in ways(guest)
