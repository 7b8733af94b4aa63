"""
``bin/highstate`` on a machine within the machine: real sshd, real auditd, the real kernel.

The tests build on each other, in the order in which they stand: preview, apply, apply again, log in.
"""

import json
import random
import re

import pytest
from _waiting import wait_for
from sandbox import Host, changed_tree
from sshtrail_lib.trail import audit_log
from support import audit_status, audit_subsystem, auditctl

USER = "sshtrailer"
COMMAND = ["/bin/echo", "sshtrail-was-here"]


@pytest.fixture(scope="module")
def host(root, tmp_path_factory):
    """A sandbox with a user who can log in by key, and ``host.highstate(…)``."""
    with audit_subsystem():
        # The session has set the host's own aside (support.host_aside): starting another auditd deletes every rule.
        assert audit_status()["pid"] == "0" and "No rules" in auditctl("-l")
        sandbox = Host(tmp_path_factory.mktemp("host"), root)
        try:
            add_user(sandbox)
            yield sandbox
        finally:
            sandbox.close()
            # The kernel held none when this began.
            auditctl("-D")


def add_user(sandbox):
    """Give the sandbox a user with a key of his own, and sshd the privilege of using it."""
    sandbox.run("useradd", "--create-home", "--shell", "/bin/sh", USER)
    sandbox.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", "/run/sshtrail_key")
    sandbox.run("install", "-d", "-o", USER, "-m", "700", f"/home/{USER}/.ssh")
    sandbox.run("install", "-o", USER, "-m", "600", "/run/sshtrail_key.pub", f"/home/{USER}/.ssh/authorized_keys")


def pids(host):
    """The daemons that run (dict of name to pid)."""
    return {name: host.pid(name) for name in ("auditd.pid", "sshd.pid")}


def changed(done):
    """What a run says it changed or would change, without its times."""
    return done.stdout.partition("hange")[2].partition(":")[2].partition("\n    Asked")[0]


@pytest.fixture(scope="module")
def preview(host):
    """What ``--test`` printed before anything was done, and that it touched nothing."""
    before, kernel = host.tree("/etc"), (auditctl("-l"), auditctl("-s"))
    done = host.highstate("--test")
    assert done.returncode == 0, done.stdout + done.stderr
    assert (auditctl("-l"), auditctl("-s")) == kernel
    assert host.tree("/etc") == before
    return changed(done)


@pytest.fixture(scope="module")
def applied(host, preview):
    """What the first real run printed."""
    done = host.highstate("--env", "prod")
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_run_brings_the_host_to_its_policy(host, applied):
    effective = host.run("sshd", "-T").stdout.lower()
    assert "loglevel verbose" in effective
    assert "syslogfacility authpriv" in effective
    assert host.pid("auditd.pid") == int(audit_status()["pid"])
    loaded = auditctl("-l")
    for key in ("sshd", "session", "ssh_commands"):
        assert re.search(rf"(-k |key=){key}$", loaded, re.MULTILINE), loaded
    assert "No change" in host.run("augenrules", "--check").stdout
    assert "\nNO " not in applied


def test_the_preview_named_what_the_run_changes(host, preview, applied):
    assert "LogLevel: INFO -> VERBOSE" in preview
    assert preview == applied.partition("hange")[2].partition(":")[2].partition("\n    Asked")[0]


def test_the_second_run_changes_nothing(host, applied):
    before, kernel, daemons = host.tree("/etc"), auditctl("-l"), pids(host)
    for args in ([], ["--test"]):
        done = host.highstate("--env", "prod", *args)
        assert done.returncode == 0
        assert changed(done) == "\n  nothing\n"
    assert host.tree("/etc") == before
    assert auditctl("-l") == kernel
    assert pids(host) == daemons


def test_a_login_is_recorded_from_the_key_to_the_command(host, applied):
    """The whole story: who logged in with which key, and what was run in that session."""
    login = ["ssh", "-i", "/run/sshtrail_key", "-o", "BatchMode=yes", "-o", "StrictHostKeyChecking=no"]
    login += ["-o", "UserKnownHostsFile=/dev/null", f"{USER}@127.0.0.1", " ".join(COMMAND)]
    assert "sshtrail-was-here" in host.run(*login).stdout
    event = wait_for(lambda: command(host), "the command in the audit log")
    assert event.first("SYSCALL").text("auid") == host.run("id", "-u", USER).stdout.strip()
    assert event.first("SYSCALL").text("ses").isdigit()
    assert event.keys == ["ssh_commands"]
    fingerprint = host.run("ssh-keygen", "-lf", "/run/sshtrail_key.pub").stdout.split()[1]
    accepted = wait_for(lambda: [line for line in host.messages if b"Accepted publickey" in line], "sshd's line")
    assert fingerprint.encode() in accepted[0]
    # Facility authpriv (10) and severity info (6), as syslog(3) puts them on the wire.
    assert accepted[0].startswith(b"<86>")


def command(host):
    """The event (:class:`sshtrail_lib.trail.audit_log.Event`) of COMMAND in the audit log, or None."""
    log = (host.inside("/var/log/audit/audit.log")).read_bytes().splitlines(keepends=True)
    events = audit_log.events(log)
    wanted = [word.encode() for word in COMMAND]
    return next((event for event in events if event.arguments[-2:] == wanted), None)


# What somebody breaks by hand (a command), and the layer and the thing that sshtrail.drift then names.
COMMANDS = "-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands"
MANAGED = "/etc/audit/rules.d/zz-sshtrail.rules"
OWN = "/etc/ssh/sshd_config.d/00-sshtrail.conf"
DRIFTS = [
    (["sed", "-i", "s/^LogLevel.*/LogLevel INFO/", OWN], "effective", "LogLevel"),
    (["rm", OWN], "effective", "LogLevel"),
    (["sh", "-c", "echo LogLevel QUIET >/etc/ssh/sshd_config.d/00-quiet.conf"], "effective", "LogLevel"),
    (["sh", "-c", "echo '# x' >>/etc/ssh/sshd_config"], "daemon", "sshd"),
    (["sed", "-i", "s/^max_log_file = .*/max_log_file = 9/", "/etc/audit/auditd.conf"], "file", "max_log_file"),
    (["sed", "-i", "s/^freq = .*/freq = 77/", "/etc/audit/auditd.conf"], "daemon", "auditd"),
    (["auditctl", "-d", *COMMANDS.split()[1:]], "kernel", COMMANDS),
    (["auditctl", "-b", "100"], "kernel", "backlog_limit"),
    (["sh", "-c", ": >/etc/audit/audit.rules"], "compiled", "/etc/audit/audit.rules"),
    (["rm", MANAGED], "file", MANAGED),
    (["sh", "-c", "rm /etc/rc?.d/S??ssh"], "service", "ssh enabled"),
    (["service", "ssh", "stop"], "service", "ssh running"),
    # Its script would take it for dead then, and start a second one.
    (["rm", "/run/auditd.pid"], "service", "auditd pid file"),
    (["service", "auditd", "stop"], "service", "auditd running"),
]


@pytest.mark.parametrize("command,layer,what", DRIFTS, ids=[" ".join(drift[0])[:40] for drift in DRIFTS])
def test_drift_is_named_and_repaired(host, applied, command, layer, what):
    assert host.drift() == []
    host.run(*command)
    found = host.drift()
    assert (layer, what) in {(entry["layer"], entry["what"]) for entry in found}
    # Nothing has changed since, so that no file is read again.
    assert host.drift() == found
    done = host.highstate()
    assert done.returncode == 0, done.stdout + done.stderr
    assert host.drift() == []


def test_a_wrong_policy_is_named_and_touches_nothing(host, applied, root, tmp_path):
    tree = changed_tree(root, tmp_path, "max_log_file: 50", "max_log_fil: 50")
    before, kernel = host.tree("/etc"), auditctl("-l")
    done = host.highstate(tree=tree)
    assert done.returncode == 1
    assert "sshtrail:layers:common:auditd:config:max_log_fil" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert host.tree("/etc") == before
    assert auditctl("-l") == kernel


def test_who_is_not_root_is_told_in_one_line(host, root):
    """From a copy, and with the system's Python: neither the checkout nor the tests' Python need be his to read."""
    host.run("cp", "-r", root / "bin", "/run/sshtrail-bin")
    nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
    done = host.run(*nobody, "/usr/bin/python3", "/run/sshtrail-bin/highstate", check=False)
    assert done.returncode == 1
    assert "must run as root" in done.stderr
    assert len((done.stdout + done.stderr).splitlines()) == 1


SITE = "MaxAuthTries 5\nMatch User x\n\tLogLevel ERROR\n"
ASKED = [
    {"sshd": {"config": {"X11Forwarding": False, "MaxAuthTries": 3, "AcceptEnv": ["LANG", "TZ"]}}},
    {"sshd": {"matches": [{"User backup": {"PermitTTY": False}}], "config": {"Subsystem": "sftp internal-sftp"}}},
    {"sshd": {"config": {"SyslogFacility": None, "X11Forwarding": None}, "shadowed": "fix"}},
    {"sshd": {"pam": False}, "auditd": {"config": {"freq": 9, "num_logs": 7, "max_log_file_action": "rotate"}}},
    {"auditd": {"config": {"flush": "incremental", "name_format": "hostname"}}},
    {"rules": {"groups": {"identity": True}, "status": {"failure": 2}, "unknown": "remove"}},
    {"rules": {"groups": {"session": False}, "status": {"backlog_limit": 1000}}},
    {"sshd": False},
    {"auditd": False, "rules": {"groups": {"session": True}}},
]
#: What names the files of a part that can be left to another tool.
PARTS = {"sshd": "ssh/", "auditd": "auditd.conf"}


def test_undo_brings_everything_back(host, applied, root, tmp_path):
    """
    Twelve policies in a row on a host that was undone, and what was there before them is there again, byte for byte.

    They are of an environment that this tree has not: a person adds a file.
    """
    assert host.highstate("--undo").returncode == 0
    host.inside("/etc/ssh/sshd_config.d/50-site.conf").write_text(SITE)
    tree = changed_tree(root, tmp_path, "max_log_file: 50", "max_log_file: 40")
    before, kernel, dice = host.tree("/etc"), (auditctl("-l"), settings()), random.Random(11)
    for asked in [*ASKED, *dice.sample(ASKED, 3)]:
        layer = {"sshtrail": {"environment": "dmz", "layers": {"dmz": asked}}}
        (tree / "pillar" / "sshtrail" / "dmz.sls").write_text(json.dumps(layer))
        held = left(host, asked)
        done = host.highstate("--env", "dmz", tree=tree)
        assert done.returncode == 0, done.stdout + done.stderr
        assert left(host, asked) == held
    assert host.tree("/etc") != before
    predicted = host.highstate("--undo", "--test")
    done = host.highstate("--undo")
    assert (predicted.returncode, done.returncode) == (0, 0), done.stdout + done.stderr
    assert undone(predicted) == undone(done) != "\n  nothing\n"
    assert "What stays: the packages" in done.stdout
    after = host.tree("/etc")
    assert {path: after.get(path) for path in {**before, **after} if after.get(path) != before.get(path)} == {}
    assert (auditctl("-l"), settings()) == kernel
    assert not list(host.inside("/var/lib/sshtrail").iterdir())
    assert undone(host.highstate("--undo")) == "\n  nothing\n"


def left(host, asked):
    """The files that a policy leaves to another tool, as they are."""
    names = [name for part, name in PARTS.items() if asked.get(part) is False]
    found = {path: facts for path, facts in host.tree("/etc").items() if any(name in path for name in names)}
    assert bool(found) is bool(names)
    return found


def undone(done):
    """What an undo says it changed or would change."""
    return changed(done).partition("\nWhat stays")[0]


def settings():
    """The kernel's settings that a policy can ask for, but for the switch, which stays as it is."""
    return {name: audit_status()[name] for name in ("failure", "backlog_limit", "backlog_wait_time", "rate_limit")}
