"""
Each layer of a host broken by hand, one at a time and all at once: seen, named, repaired, and as after a highstate.
"""

import pytest
from _sandbox import wait_for
from _site import AUDITED, PERSON, UID
from loop import site
from support import audit_status, audit_subsystem, auditctl

COMMANDS = "-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands"
STRANGER = "always,exit -F path=/etc/hosts -F perm=wa -F key=sshd"
CONFIG, AUDITD = "/etc/ssh/sshd_config", "/etc/audit/auditd.conf"
MANAGED, COMPILED = "/etc/audit/rules.d/zz-sshtrail.rules", "/etc/audit/audit.rules"
# sshd reads another file, which then is put back: the file is right, and what runs is not.
SANDWICH = f"sed -i s/VERBOSE/ERROR/ {CONFIG}; kill -HUP $(cat /run/sshd.pid); sleep 1"
SANDWICH += f"; sed -i s/ERROR/VERBOSE/ {CONFIG}"

# What somebody does, the layer and the thing that the event names, and whether the log tells who it was.
BROKEN = {
    "a daemon with another file": (SANDWICH, "daemon", "sshd", True),
    "an effective value": (f"sed -i s/VERBOSE/ERROR/ {CONFIG}", "effective", "LogLevel", True),
    "a keyword of auditd": (f"sed -i 's/^max_log_file = .*/max_log_file = 9/' {AUDITD}", "file", "max_log_file", True),
    "a rules file": (f"rm {MANAGED}", "file", MANAGED, True),
    "the compiled file": (f": >{COMPILED}", "compiled", COMPILED, True),
    "a rule of the kernel": (f"auditctl -d {COMMANDS[3:]}", "kernel", COMMANDS, True),
    "a setting of the kernel": ("auditctl -b 100", "kernel", "backlog_limit", True),
    "a service that ends": ("kill $(cat /run/sshd.pid)", "service", "ssh running", False),
    "a service that does not start at boot": ("rm /etc/rc?.d/S??ssh", "service", "ssh enabled", False),
}


@pytest.fixture(scope="module")
def fleet():
    with audit_subsystem():
        try:
            with site(audited=True) as found:
                yield found
        finally:
            # Only now: as long as the loop lives, it brings them back.
            wait_for(lambda: audit_status()["pid"] == "0", "the end of auditd")
            auditctl("-D")


def by_hand(fleet, command):
    """Run a shell's command on the host as somebody who has logged in and become root."""
    login = 'echo "$1" >/proc/self/loginuid; exec sh -c "$2"'
    fleet.houses[AUDITED].run("sh", "-c", login, "sh", str(UID), command)


def state(fleet):
    """Everything that a highstate is about: files with owner and mode, links that start services, the kernel."""
    house = fleet.houses[AUDITED]
    files = house.tree("/etc/ssh") | house.tree("/etc/audit") | house.tree("/etc/rc2.d")
    counters = ("lost", "backlog", "backlog_wait_time_actual")
    # Of rules that have no bearing on each other the order does not count, and is not restored.
    return (
        files,
        sorted(auditctl("-l").splitlines()),
        {key: value for key, value in audit_status().items() if key not in counters},
    )


def repaired(fleet):
    """Wait for the repair and the end of the drift; return every difference that an event told."""
    told, kind = [], ""
    while kind != "gone":
        _, kind, data = fleet.event(AUDITED, "found", "repaired", "failed", "stopped", "gone")
        assert kind not in ("failed", "stopped"), data
        told += data.get("differences", [])
    return told


@pytest.mark.parametrize("command,layer,what,known", BROKEN.values(), ids=BROKEN)
def test_each_layer_is_seen_named_and_repaired(fleet, command, layer, what, known):
    before = state(fleet)
    by_hand(fleet, command)
    told = repaired(fleet)
    named = [entry for entry in told if (entry["layer"], entry["what"]) == (layer, what)]
    assert named, told
    if known:
        assert named[0]["by"]["auid"] == UID and named[0]["by"]["user"] == PERSON, named
        assert f" by {PERSON} (auid {UID}, session " in named[0]["said"]
    assert state(fleet) == before


def test_all_at_once(fleet):
    before = state(fleet)
    by_hand(fleet, "; ".join(command for command, *_ in BROKEN.values()))
    told = {(entry["layer"], entry["what"]) for entry in repaired(fleet)}
    assert told >= {("effective", "LogLevel"), ("kernel", COMMANDS), ("service", "ssh enabled"), ("file", MANAGED)}
    after = state(fleet)
    assert after[:2] == before[:2]
    assert fleet.answers("sshtrail.drift", "fresh=True", target=AUDITED) == {AUDITED: []}


def test_a_repair_is_remembered(fleet):
    found = fleet.run("sshtrail.repairs")
    assert set(found) == {AUDITED}
    assert found[AUDITED]["repaired"] and not found[AUDITED]["failed"] and not found[AUDITED]["stopped"]


def test_a_highstate_afterwards_changes_nothing(fleet):
    states = fleet.answers("state.highstate", target=AUDITED)[AUDITED]
    assert {name: one["changes"] for name, one in states.items() if one["changes"]} == {}
