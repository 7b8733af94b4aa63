"""
Each layer of a host broken by hand, one at a time and all at once: seen, named, repaired, and as after a highstate.
"""

import hashlib
import json
import subprocess
import time

import pytest
from _site import AUDITED, PERSON, UID
from _waiting import wait_for
from loop import INTERVAL, by_hand, forgotten, lost_long_ago, pulse
from support import audit_status, auditctl

COMMANDS = "-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands"
STRANGER = "always,exit -F path=/etc/hosts -F perm=wa -F key=sshd"
CONFIG, AUDITD = "/etc/ssh/sshd_config", "/etc/audit/auditd.conf"
MANAGED, COMPILED = "/etc/audit/rules.d/zz-sshtrail.rules", "/etc/audit/audit.rules"
# sshd reads another file, which then is put back: the file is right, and what runs is not.
SANDWICH = f"sed -i s/VERBOSE/ERROR/ {CONFIG}; kill -HUP $(cat /run/sshd.pid); sleep 1"
SANDWICH += f"; sed -i s/ERROR/VERBOSE/ {CONFIG}"
# A package that a test may remove: sshd's own would take the machine's sshd along.
STANDIN = "sshtrail-standin"
SOURCES = "/etc/apt/sources.list"
CONTROL = f"""Package: {STANDIN}
Version: 1
Architecture: all
Maintainer: nobody <nobody@example.org>
Description: stands for the package of sshd
"""

# What somebody does, the layer and the thing that the event names, and whether the log tells who it was.
BROKEN = {
    "an effective value": (f"sed -i s/VERBOSE/ERROR/ {CONFIG}", "effective", "LogLevel", True),
    "a keyword of auditd": (f"sed -i 's/^max_log_file = .*/max_log_file = 9/' {AUDITD}", "file", "max_log_file", True),
    "a rules file": (f"rm {MANAGED}", "file", MANAGED, True),
    "the compiled file": (f": >{COMPILED}", "compiled", COMPILED, True),
    "a rule of the kernel": (f"auditctl -d {COMMANDS[3:]}", "kernel", COMMANDS, True),
    "a setting of the kernel": ("auditctl -b 100", "kernel", "backlog_limit", True),
    # auditd asks the kernel who ended it, and at times ends without the answer (auid=-1 in its DAEMON_END).
    "an audit daemon that ends": ("kill $(cat /run/auditd.pid)", "service", "auditd running", False),
    "a service that ends": ("kill $(cat /run/sshd.pid)", "service", "ssh running", False),
    "a service that does not start at boot": ("rm /etc/rc?.d/S??ssh", "service", "ssh enabled", False),
}


@pytest.fixture(scope="module")
def fleet(audited_site):
    with pulse(audited_site, INTERVAL) as found:
        yield found


def state(fleet):
    """Return all that a highstate is about: files with owner and mode, links that start services, the kernel."""
    house = fleet.houses[AUDITED]
    files = house.tree("/etc/ssh") | house.tree("/etc/audit") | house.tree("/etc/rc2.d")
    status = audit_status()
    assert status["pid"] == str(house.pid("auditd.pid"))
    # An auditd that was ended comes back as another process.
    counters = ("lost", "backlog", "backlog_wait_time_actual", "pid")
    # Of rules that have no bearing on each other the order does not count, and is not restored.
    return (
        files,
        sorted(auditctl("-l").splitlines()),
        {key: value for key, value in status.items() if key not in counters},
    )


def broken(fleet, command, do=by_hand):
    """Have somebody do something, and again where a repair that was still under way undid it before a look saw it."""
    forgotten(fleet)
    do(fleet, command)

    def told():
        fleet.keep_next(time.monotonic() + 5)
        if any(kind == "found" for _, kind, _ in fleet.kept[AUDITED]):
            return True
        if fleet.events.empty() and fleet.answers("sshtrail.drift", target=AUDITED) == {AUDITED: []}:
            do(fleet, command)
        return False

    wait_for(told, f"the drift by {command}")


def repaired(fleet, lost=False):
    """
    Wait for the repair, what the master says of it, and the end of the drift; return every difference told.

    lost
        Whether something was that nobody can bring back, and that is told for a while (bool): no end is waited for.
    """
    told, rounds, repairs, gone = [], set(), set(), lost
    # The host may see that all is well before the master has looked at it once more.
    while not (gone and rounds & repairs):
        _, kind, data = fleet.event(AUDITED, "found", "repaired", "failed", "stopped", "gone")
        before = [(one["layer"], one["what"], one["actual"]) for one in told]
        assert kind not in ("failed", "stopped"), f"{kind}: {data['reason']}; told before: {before}"
        gone = lost or kind == "gone" or (gone and kind == "repaired")
        rounds |= {data["round"]} if kind == "found" else set()
        repairs |= {data["round"]} if kind == "repaired" else set()
        told += data.get("differences", [])
    return told


@pytest.mark.parametrize("command,layer,what,known", BROKEN.values(), ids=BROKEN)
def test_each_layer_is_seen_named_and_repaired(fleet, command, layer, what, known):
    before = state(fleet)
    entry = told_of(fleet, command, layer, what)
    assert by_the_person(entry) or not known, entry
    assert state(fleet) == before


def test_a_daemon_with_another_file_is_seen_named_and_repaired(fleet):
    before = state(fleet)
    assert by_the_person(told_of(fleet, SANDWICH, "daemon", "sshd", at_once, lost=True))
    assert state(fleet) == before
    told_no_more(fleet)


def told_no_more(fleet):
    """Wait until nothing is told of a host that sshd had other files for a moment, which was long ago then."""

    def nothing():
        lost_long_ago(fleet.base / AUDITED)
        return fleet.answers("sshtrail.drift", target=AUDITED) == {AUDITED: []}

    wait_for(nothing, "the end of what was lost")


def told_of(fleet, command, layer, what, do=by_hand, lost=False):
    """
    Have somebody do something, wait for its repair, and return the first difference about ``what`` that was told.

    A look that was in the middle of its work has seen a part of it: then it is done once more.
    """
    for _ in range(3):
        broken(fleet, command, do)
        if found := named(told := repaired(fleet, lost), layer, what):
            return found[0]
    raise AssertionError(told)


def named(told, layer, what):
    """Return the differences about ``what`` that were told (list)."""
    return [entry for entry in told if (entry["layer"], entry["what"]) == (layer, what)]


def by_the_person(entry):
    known = entry["by"] or {}
    sentence = f" by {PERSON} (auid {UID}, session "
    return (known.get("auid"), known.get("user")) == (UID, PERSON) and sentence in entry["said"]


def at_once(fleet, command):
    """Have somebody do what takes several steps, with no look in the middle of it."""
    fleet.answers("sshtrail_watch.silence", "60", "several steps", target=AUDITED)
    by_hand(fleet, command)
    fleet.answers("sshtrail_watch.resume", target=AUDITED)


def test_all_at_once(fleet):
    before = state(fleet)
    broken(fleet, "; ".join([SANDWICH, *(command for command, *_ in BROKEN.values())]), at_once)
    told = {(entry["layer"], entry["what"]) for entry in repaired(fleet, lost=True)}
    assert told >= {(layer, what) for _, layer, what, _ in BROKEN.values()}
    told_no_more(fleet)
    assert state(fleet) == before
    assert fleet.answers("sshtrail.drift", "fresh=True", target=AUDITED) == {AUDITED: []}


@pytest.fixture
def standin(fleet, tmp_path):
    """A package in the place of sshd's, from a repository on the host itself."""
    house, policy = fleet.houses[AUDITED], fleet.base / "pillar" / "hosts" / f"{AUDITED}.sls"
    repository(tmp_path)
    house.run("sh", "-c", "rm -rf /etc/apt/sources.list*")
    house.inside(SOURCES).write_text(f"deb [trusted=yes] file:{tmp_path} ./\n")
    # The repository is root's alone.
    house.inside("/etc/apt/apt.conf.d/sandbox").write_text('APT::Sandbox::User "root";\n')
    for path in ("/var/lib/apt", "/var/cache/apt"):
        house.run("mount", "-t", "tmpfs", "tmpfs", path)
    before = policy.read_text()
    policy.write_text(json.dumps({"sshtrail": {**json.loads(before)["sshtrail"], "sshd": {"package": STANDIN}}}))
    fleet.answers("saltutil.refresh_pillar", target=AUDITED)
    yield STANDIN
    policy.write_text(before)
    fleet.answers("saltutil.refresh_pillar", target=AUDITED)


def repository(directory):
    """Make a repository of Debian packages that has :data:`STANDIN` alone."""
    control = directory / "tree" / "DEBIAN" / "control"
    control.parent.mkdir(parents=True)
    control.write_text(CONTROL)
    package = directory / f"{STANDIN}.deb"
    subprocess.run(["dpkg-deb", "--root-owner-group", "--build", control.parents[1], package], check=True)
    content = package.read_bytes()
    digest = hashlib.sha256(content).hexdigest()
    entry = f"{CONTROL}Filename: ./{package.name}\nSize: {len(content)}\nSHA256: {digest}\n"
    (directory / "Packages").write_text(entry)


def test_a_package_is_seen_and_repaired(fleet, standin):
    # Nobody has installed it yet.
    told = named(repaired(fleet), "package", standin)
    # Another look before the repair is over says the same once more, and nothing else.
    [missing] = {(one["expected"], one["actual"]) for one in told}
    assert missing == ("installed", None)
    before = state(fleet)
    assert told_of(fleet, f"dpkg --remove {standin}", "package", standin)["actual"] is None
    assert fleet.houses[AUDITED].run("dpkg-query", "-W", "-f", "${db:Status-Status}", standin).stdout == "installed"
    assert state(fleet) == before


def test_a_repair_is_remembered(fleet):
    found = fleet.run("sshtrail.repairs")
    assert set(found) == {AUDITED}
    assert found[AUDITED]["repaired"] and not found[AUDITED]["failed"] and not found[AUDITED]["stopped"]


def test_what_was_so_over_the_period_is_told(fleet):
    history = fleet.answers("sshtrail.history", "days=1", target=AUDITED)[AUDITED]
    for _, layer, what, known in BROKEN.values():
        spans = [one for one in history["spans"] if (one["layer"], one["what"]) == (layer, what)]
        # What was there at the first look may be older than the history; who did it has its own tests.
        assert history["from"] <= spans[-1]["from"] < spans[-1]["to"] <= history["to"], (spans, history["to"])
        assert not known or any(one["by"] == PERSON for one in spans), spans
    asked = ("sshtrail.compliance", "framework=pci_dss", "search=False")
    rows = {row["id"]: row for row in fleet.answers(*asked, timeout=120, target=AUDITED)[AUDITED]}
    # Each was repaired, and nobody has judged whether in time.
    assert rows["10.7.3"]["status"] == "manual"
    assert f"{len(history['spans'])} times something differed, longest for " in rows["10.7.3"]["evidence"]


def test_a_highstate_afterwards_changes_nothing(fleet):
    states = fleet.answers("state.highstate", target=AUDITED)[AUDITED]
    assert {name: one["changes"] for name, one in states.items() if one["changes"]} == {}
