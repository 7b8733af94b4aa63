"""
A host on which the journal alone keeps what sshd says, as a new Debian has it: in its policy, with nothing open.
"""

import pytest
from guests import TREE, highstate, ways

PILLAR = f"{TREE}/pillar/sshtrail/common.sls"
ACCOUNT = "sshtrail-proof"
STATIONS = ["accept", "log", "pam", "login", "command", "file"]


@pytest.fixture(scope="module")
def journal(guest):
    """The guest without a syslog daemon and without the files of one."""
    guest.run("dpkg", "--purge", "--force-depends", "rsyslog")
    guest.run("sh", "-c", "rm -f /var/log/auth.log /var/log/syslog /var/log/messages")
    guest.reboot()
    highstate(guest)
    return guest


def proof(guest):
    found = guest.salt(TREE, "sshtrail.prove")
    return {one["station"]: (one["holds"], one["evidence"]) for one in found["stations"]}, found["said"]


def test_nothing_is_open(journal):
    assert journal.run("test", "-e", "/var/log/auth.log", check=False).returncode
    assert ways(journal) == {}
    assert journal.salt(TREE, "sshtrail.drift", "fresh=True") == []


def test_a_login_is_followed_through_the_journal(journal):
    stations, said = proof(journal)
    assert {name: holds for name, (holds, _) in stations.items()} == dict.fromkeys(STATIONS, True), said
    journal.run("sed", "-i", f"s/account: null/account: {ACCOUNT}/", PILLAR)
    highstate(journal)
    stations, said = proof(journal)
    assert {name: holds for name, (holds, _) in stations.items()} == dict.fromkeys(STATIONS, True), said
    assert "journal" in stations["log"][1]
    assert ways(journal) == {}


def test_a_log_level_that_says_nothing_is_the_station_that_lost_it(journal):
    before = journal.run("cat", "/etc/ssh/sshd_config").stdout
    journal.write("/etc/ssh/sshd_config", f"LogLevel QUIET\n{before}")
    journal.run("sh", "-c", "systemctl reload ssh; sleep 2")
    found = journal.salt(TREE, "sshtrail.prove")
    assert (found["holds"], found["lost_at"]) == (False, "log"), found["said"]
    highstate(journal)
    assert journal.salt(TREE, "sshtrail.prove")["holds"] is True


def test_the_sessions_are_read_from_the_journal(journal):
    """With the keys, which only sshd's lines have; a proof is the login of its own account."""
    rows = journal.salt(TREE, "sshtrail_trail.sessions", "since=1h", "format=data")
    of_root = [row for row in rows if row["user"] == "root"]
    assert of_root and all(row["key"]["fingerprint"].startswith("SHA256:") for row in of_root[-3:]), of_root[-3:]
    assert {row["user"] for row in rows} == {"root", ACCOUNT}
