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
