"""
A Debian with systemd: highstate, a login, units, a socket, a reboot; and a kernel that is locked until the next one.

The tests build on each other, in the order in which they stand, for a guest costs half a minute to boot.
"""

import re

import pytest
from guests import TREE, highstate, ways
from sshtrail_lib.trail import audit_log, missing, sshd_log

PILLAR = f"{TREE}/pillar/sshtrail/common.sls"
LOOK = "/var/cache/salt/minion/sshtrail/look.json"
USER = "sshtrailer"
COMMAND = ["/bin/echo", "sshtrail-was-here"]
# What upstream's unit and Red Hat's say, and Debian's does not.
REFUSES = "[Unit]\nRefuseManualStop=yes\n"
# Ubuntu has a generator that gives the socket the ports of sshd_config; this is its gist, for Debian has none.
GENERATOR = """#!/bin/sh
mkdir -p "$1/ssh.socket.d"
{
    echo "[Socket]"
    echo "ListenStream="
    sed -n 's/^Port /ListenStream=/p' /etc/ssh/sshd_config
} >"$1/ssh.socket.d/addresses.conf"
"""
GENERATORS = "/etc/systemd/system-generators"


def single(guest, state, **arguments):
    """Run one state in the guest and return its result (dict)."""
    words = [f"{name}={value}" for name, value in arguments.items()]
    [result] = guest.salt(TREE, "state.single", state, *words).values()
    return result


def test_the_highstate_works_and_works_again(guest):
    assert "auditd: works with other settings -> reloaded" in highstate(guest)
    assert highstate(guest) == "  nothing"


def test_a_login_is_recorded_from_the_key_to_the_command(guest):
    add_user(guest)
    guest.run(*COMMAND, user=USER)
    # auditd writes in order: what came before this message is in the log when the message is.
    guest.run("auditctl", "-m", "sshtrail-flush")
    recorded = list(audit_log.events(lines(guest, "/var/log/audit/audit.log")))
    words = [word.encode() for word in COMMAND]
    event = next(event for event in recorded if event.arguments == words)
    call = event.first("SYSCALL")
    assert (call.text("auid"), event.keys) == (guest.run("id", "-u", USER).stdout.strip(), ["ssh_commands"])
    logins = [event.first("LOGIN") for event in recorded if event.first("LOGIN")]
    login = next(login for login in logins if login.text("ses") == call.text("ses"))
    told = {
        line.event: line.fields
        for line in sshd_log.lines(lines(guest, "/var/log/auth.log"))
        if line.pid == int(login.text("pid"))
    }
    assert (told["accepted"]["user"], told["accepted"]["fingerprint"]) == (USER, fingerprint(guest))
    # Only LogLevel VERBOSE tells these.
    assert {"connection", "key"} <= set(told)


def test_no_number_is_missing_from_a_log_that_is_whole(guest):
    log = b"\n".join(lines(guest, "/var/log/audit/audit.log"))
    boot = log[log.rfind(b"\n", 0, log.rfind(b"type=SYSTEM_BOOT")) + 1 :] if b"type=SYSTEM_BOOT" in log else log
    present = [run for run in missing.runs(boot) if run[2] - run[1] > 0]
    assert len(present) == 1 and present[0][2] - present[0][1] > 100, missing.runs(boot)


def add_user(guest):
    guest.run("useradd", "--create-home", "--shell", "/bin/sh", USER)
    guest.run("install", "-d", "-o", USER, "-m", "700", f"/home/{USER}/.ssh")
    guest.run("install", "-o", USER, "-m", "600", "/root/.ssh/authorized_keys", f"/home/{USER}/.ssh/authorized_keys")


def lines(guest, path):
    """The lines (list of bytes) of the guest's file at ``path``."""
    return guest.run("cat", path).stdout.encode(errors="surrogateescape").splitlines()


def fingerprint(guest):
    return guest.run("ssh-keygen", "-lf", "/root/.ssh/authorized_keys").stdout.split()[1]


def test_the_policy_survives_a_reboot(guest):
    guest.reboot()
    assert guest.salt(TREE, "sshtrail.drift") == []
    assert highstate(guest) == "  nothing"


def test_a_look_is_remembered_until_a_unit_changes(guest):
    kept = []
    for _ in range(2):
        assert guest.salt(TREE, "sshtrail.drift") == []
        kept.append(guest.run("cat", LOOK).stdout)
    # A whole look would have written when it was.
    assert kept[0] == kept[1]
    # Debian 13's systemd loses sight of a running sshd when the unit's other name, sshd.service, goes and comes back.
    guest.run("systemctl", "disable", "auditd.service")
    [found] = guest.salt(TREE, "sshtrail.drift")
    assert (found["layer"], found["what"], found["actual"]) == ("service", "auditd enabled", False)
    guest.run("systemctl", "enable", "auditd.service")
    assert guest.salt(TREE, "sshtrail.drift") == []


def test_a_unit_that_refuses_to_stop_takes_up_what_needs_a_restart(guest):
    guest.write("/etc/systemd/system/auditd.service.d/refuses.conf", REFUSES)
    guest.run("systemctl", "daemon-reload")
    assert "refused" in guest.run("systemctl", "restart", "auditd", check=False).stderr
    before = pid(guest)
    done = single(guest, "auditd_conf.present", name="end_of_event_timeout", value=3)
    assert (done["result"], done["changes"]["auditd"]["new"]) == (True, "restarted"), done
    assert pid(guest) != before
    assert guest.run("systemctl", "show", "-P", "MainPID", "auditd").stdout.strip() == pid(guest)
    assert drift_beside_a_restart(guest) == []


def drift_beside_a_restart(guest):
    """
    What differs (list), but for the commands of these sessions that were lost while auditd was away.

    A kernel that was booted without audit=1 keeps no record for an auditd to come: that is told for a while.
    """
    found = guest.salt(TREE, "sshtrail.drift")
    return [one for one in found if not (one["what"] == "records-lost" and "no auditd took them" in one["actual"])]


def pid(guest):
    """The kernel's audit daemon (str)."""
    return dict(line.split(maxsplit=1) for line in guest.run("auditctl", "-s").stdout.splitlines())["pid"]


#: What systemd or the kernel keeps, by a control of DISA's for RHEL 9, which asks for all of it.
CONTROLS = {
    **{"auditd": "RHEL-09-653015", "rsyslog": "RHEL-09-652020", "journald": "RHEL-09-211040"},
    **{"failure": "RHEL-09-654265", "login ids": "RHEL-09-654270", "lock": "RHEL-09-654275"},
}


def controls(guest):
    """What is said of these controls: their status (dict of str to str)."""
    rows = guest.salt(TREE, "sshtrail.compliance", "framework=stig", "edition=RHEL 9")
    found = {row["id"]: row["status"] for row in rows}
    return {name: found[control] for name, control in CONTROLS.items()}


def test_controls_are_judged_by_what_systemd_and_the_kernel_say(guest):
    right = {"auditd": "pass", "rsyslog": "pass", "journald": "pass"}
    assert controls(guest) == {**right, "failure": "fail", "login ids": "fail", "lock": "fail"}
    # Enabled and not running, and running and not enabled.
    guest.run("sh", "-c", "auditctl -f 2; systemctl -q disable auditd; systemctl -q stop rsyslog.service syslog.socket")
    assert guest.run("systemctl", "is-enabled", "auditd", check=False).stdout == "disabled\n"
    assert guest.run("systemctl", "is-active", "rsyslog", check=False).stdout == "inactive\n"
    broken = controls(guest)
    guest.run("sh", "-c", "auditctl -f 1; systemctl -q enable auditd; systemctl -q start rsyslog.service")
    assert broken == {
        **right,
        "auditd": "fail",
        "rsyslog": "fail",
        "failure": "pass",
        "login ids": "fail",
        "lock": "fail",
    }


def test_the_sets_of_all_standards_together_load_on_this_release(guest):
    before = guest.run("cat", PILLAR).stdout
    guest.run("sed", "-i", r"s/^\( *\)session: true$/&\n\1cis: true\n\1stig: true\n\1pci_dss: true/", PILLAR)
    # What this release does not have is left out.
    assert "key=identity" in highstate(guest)
    assert highstate(guest) == "  nothing"
    guest.write(PILLAR, before)
    highstate(guest)
    assert drift_beside_a_restart(guest) == []


def test_login_ids_are_fixed_until_the_next_reboot_and_again_after_it(guest):
    guest.run("sed", "-i", r"s/^\( *\)rules:$/&\n\1  loginuid_immutable: true/", PILLAR)
    highstate(guest)
    for _boot in range(2):
        assert "loginuid_immutable 1 locked" in guest.run("auditctl", "-s").stdout
        refused = guest.run("sh", "-c", "echo 4294967295 | tee /proc/self/loginuid", check=False)
        assert refused.returncode and "not permitted" in refused.stderr
        assert _boot or controls(guest)["login ids"] == "pass"
        assert highstate(guest) == "  nothing"
        guest.reboot()
    # And people still log in: sshd was started by the system.
    assert guest.run("cat", "/proc/self/loginuid").stdout.strip() != "4294967295"


def test_a_locked_kernel_takes_changes_up_at_the_next_reboot(guest):
    # The lock comes only after the kernel holds the policy.
    guest.run("sed", "-i", r"s/^\( *\)rules:$/&\n\1  immutable: true/", PILLAR)
    highstate(guest)
    assert guest.salt(TREE, "audit_rules.status")["immutable"] is True
    assert controls(guest)["lock"] == "pass"
    assert highstate(guest) == "  nothing"
    before = kernel_keys(guest)
    guest.run("sed", "-i", r"s/^\( *\)session: true$/\1session: false\n\1identity: true/", PILLAR)
    changed = highstate(guest)
    assert "key=session" in changed and "key=identity" in changed
    assert kernel_keys(guest) == before
    assert highstate(guest) == "  nothing"
    assert "takes effect at the next reboot" in rules_comment(guest)
    guest.reboot()
    assert kernel_keys(guest) == before - {"session"} | {"identity"}
    assert highstate(guest) == "  nothing"
    assert "reboot" not in rules_comment(guest)


def kernel_keys(guest):
    """The keys (set of str) of the rules in the kernel."""
    return set(re.findall(r"(?:-k |key=)(\S+)", guest.run("auditctl", "-l").stdout))


def rules_comment(guest):
    """What the state of the rules says (str) when it has nothing to do."""
    states = guest.salt(TREE, "--file-root", f"{TREE}/salt", "state.apply", "sshtrail.rules", "test=True").values()
    [rules] = [one for one in states if one["__id__"] == "sshtrail rules"]
    assert (rules["result"], rules["changes"]) == (True, {})
    return rules["comment"]


@pytest.fixture(scope="module")
def socket(guest):
    """A guest whose systemd holds the port of sshd from here on: these tests are the last."""
    # In one login: after the first half nobody could log in for the second.
    guest.run("sh", "-c", "systemctl -q disable --now ssh.service && systemctl -q enable --now ssh.socket")
    return guest


def test_a_sshd_started_by_its_socket_is_in_the_policy(socket):
    socket.run("systemctl", "stop", "ssh.service")
    assert highstate(socket) == "  nothing"
    assert socket.salt(TREE, "sshtrail.prove")["holds"] is True
    assert socket.run("systemctl", "is-enabled", "ssh.service", check=False).stdout.strip() == "disabled"


def test_a_sshd_started_by_its_socket_takes_up_a_log_level(socket):
    done = single(socket, "sshd_config.present", name="LogLevel", value="DEBUG")
    assert (done["result"], done["changes"]["LogLevel"]["new"]) == (True, "DEBUG"), done
    socket.run("true")
    assert "debug1: " in socket.run("tail", "-n", "50", "/var/log/auth.log").stdout
    assert "LogLevel: DEBUG -> VERBOSE" in highstate(socket)


#: Units of a way in that nobody has used yet: ``Accept=yes`` starts an instance of a template. No port tells of it.
WAY = {
    "way.socket": "[Socket]\nListenStream=/run/way\nAccept=yes\n",
    "way@.service": "[Service]\nExecStart=-/bin/sh -i\nStandardInput=socket\n",
}


def test_what_systemd_would_start_is_judged_before_anybody_comes(socket):
    assert ways(socket) == {}
    for name, text in WAY.items():
        socket.write(f"/etc/systemd/system/{name}", text)
    # What sshd's unit says comes into force when the next one is started.
    [unit] = socket.run("systemctl", "show", "-P", "Triggers", "ssh.socket").stdout.split() or ["ssh@.service"]
    drop_in = f"/etc/systemd/system/{unit}.d"
    socket.write("/root/own.conf", "[Service]\nExecStart=\nExecStart=-/usr/sbin/sshd -D -o UsePAM=no\n")
    socket.run("sh", "-c", f"mkdir {drop_in} && mv /root/own.conf {drop_in} && systemctl daemon-reload")
    socket.run("systemctl", "start", "way.socket")
    found = ways(socket)
    socket.run(
        "sh", "-c", f"systemctl stop way.socket; rm -r {drop_in} /etc/systemd/system/way*; systemctl daemon-reload"
    )
    assert "which ssh.socket starts when somebody comes, " in found["sshd-options"], found
    assert "usepam=no" in found["sshd-options"]
    assert "/bin/sh, which way.socket starts when somebody comes, listens at /run/way" in found["other-way-in"], found
    assert ways(socket) == {}


def test_a_port_that_the_socket_does_not_follow_is_taken_back(socket):
    before = socket.run("cat", "/etc/ssh/sshd_config").stdout
    done = single(socket, "sshd_config.managed", name="/etc/ssh/sshd_config", config="{Port: [22, 2222]}")
    assert done["result"] is False
    assert "ssh.socket does not answer" in done["comment"]
    assert socket.run("cat", "/etc/ssh/sshd_config").stdout == before


def test_a_port_that_the_socket_follows_is_taken_up(socket):
    socket.write(f"{GENERATORS}/sshd-socket-generator", GENERATOR)
    socket.run("chmod", "755", f"{GENERATORS}/sshd-socket-generator")
    done = single(socket, "sshd_config.managed", name="/etc/ssh/sshd_config", config="{Port: [22, 2222]}")
    assert done["result"] is True, done
    assert {"22", "2222"} <= listening(socket)
    back = single(socket, "sshd_config.managed", name="/etc/ssh/sshd_config", config="{Port: [22]}")
    assert back["result"] is True, back
    assert "2222" not in listening(socket)
    socket.run("rm", "-r", GENERATORS)


def listening(guest):
    """The TCP ports (set of str) on which somebody listens."""
    rows = guest.run("ss", "-Hltn").stdout.splitlines()
    return {row.split()[3].rpartition(":")[2] for row in rows}
