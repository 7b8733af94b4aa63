"""
A Debian with systemd: highstate, a login, a reboot; and a kernel that is locked until the next one.

The tests build on each other, in the order in which they stand, for a guest costs half a minute to boot.
"""

import os
import pathlib
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import _prepare
from machine import Image, Machine
from support import require_root

TREE = "/srv/saltext-sshtrail"
PILLAR = f"{TREE}/pillar/sshtrail/common.sls"


@pytest.fixture(scope="module")
def guest(root, tmp_path_factory):
    """A guest with this tree; SUITE names the Debian release."""
    require_root()
    image = Image(_prepare.cache(), os.environ.get("SUITE", "bookworm"), root)
    image.build()
    machine = Machine(image, tmp_path_factory.mktemp("guest"))
    try:
        machine.push(root, TREE)
        yield machine
    finally:
        machine.down()


def highstate(guest, *args):
    """Run the command under test in the guest."""
    return guest.run(f"{TREE}/bin/highstate", *args, check=False)


def assert_nothing_changes(guest):
    done = highstate(guest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "Changed:\n  nothing" in done.stdout, done.stdout


def test_the_highstate_works_and_works_again(guest):
    done = highstate(guest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "auditd: works with other settings -> reloaded" in done.stdout
    assert_nothing_changes(guest)


def test_a_login_is_recorded(guest):
    guest.run("/bin/echo", "sshtrail-was-here")
    guest.run("auditctl", "-m", "sshtrail-flush")
    log = guest.run("cat", "/var/log/audit/audit.log").stdout
    assert 'a1="sshtrail-was-here"' in log
    assert "Accepted publickey for root" in guest.run("cat", "/var/log/auth.log").stdout


def test_the_policy_survives_a_reboot(guest):
    guest.reboot()
    assert guest.salt(TREE, "sshtrail.drift") == []
    assert_nothing_changes(guest)


def test_a_locked_kernel_takes_changes_up_at_the_next_reboot(guest):
    # The lock comes only after the kernel holds the policy.
    guest.run("sed", "-i", "s/^  rules:$/  rules:\\n    immutable: true/", PILLAR)
    done = highstate(guest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert guest.salt(TREE, "audit_rules.status")["immutable"] is True
    assert_nothing_changes(guest)
    guest.run("sed", "-i", "s/^      session: true$/      session: false/", PILLAR)
    done = highstate(guest)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "key=session" in done.stdout.partition("Changed:")[2]
    assert "session" in guest.run("auditctl", "-l").stdout
    assert_nothing_changes(guest)
    guest.reboot()
    assert "session" not in guest.run("auditctl", "-l").stdout
    assert_nothing_changes(guest)
