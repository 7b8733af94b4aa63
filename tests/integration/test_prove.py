"""
``sshtrail.prove`` on a machine within the machine: a real login through a real sshd, followed through the real kernel
to a real auditd; and each way in which it can be lost, with the station that is to be named.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import stat
import subprocess
import sys
import time

import pytest
from _waiting import stop, wait_for
from sandbox import IMPOSTOR, Logging
from sshtrail_lib.coverage import leftovers
from sshtrail_lib.trail import audit_log, proof
from support import audit_status, audit_subsystem, auditctl

ACCOUNT = "sshtrail-proof"
LOG, CONF = "/var/log/audit/audit.log", "/etc/audit/auditd.conf"
#: A configuration beside the host's, with a log of its own, and a log in mounts of its own.
ELSEWHERE = "mkdir -pm 750 /etc/audit2 /var/log/audit2; "
ELSEWHERE += f"sed s#/audit/audit.log#/audit2/audit.log# {CONF} >/etc/audit2/auditd.conf"
MOUNTED = "mount -t tmpfs tmpfs /var/log/audit && exec auditd"
KILLER = pathlib.Path(__file__).with_name("prove_killed.py")


class Proving(Logging):
    """A host with a policy that names an account for proofs, at its policy."""

    def __init__(self, base, root):
        # The kernel tells its records only to the network that it booted with.
        super().__init__(base, root, network=os.getpid())
        self.checkout = base / "tree"
        shutil.copytree(root, self.checkout, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__"))
        common = self.checkout / "pillar" / "sshtrail" / "common.sls"
        text = common.read_text()
        assert "account: null" in text
        common.write_text(text.replace("account: null", f"account: {ACCOUNT}"))
        top = base / "pillar" / "top.sls"
        top.parent.mkdir()
        top.write_text(json.dumps({"base": {"*": ["sshtrail.common", "sshtrail.prod"]}}))
        self.minion = base / "conf" / "minion"
        roots = {"base": [str(top.parent), str(self.checkout / "pillar")]}
        self.minion.write_text(json.dumps(json.loads(self.minion.read_text()) | {"pillar_roots": roots}))
        config = self.inside("/etc/ssh/sshd_config")
        config.write_text(f"ListenAddress 127.0.0.1\nPort {free_port()}\n" + config.read_text())

    def sh(self, command):
        return self.run("sh", "-c", command).stdout


@pytest.fixture(scope="module")
def host(root, tmp_path_factory):
    """A host at its policy, whose first highstate has proven a login."""
    with audit_subsystem():
        assert audit_status()["pid"] == "0" and "No rules" in auditctl("-l")
        sandbox = Proving(tmp_path_factory.mktemp("host"), root)
        try:
            done = sandbox.highstate(tree=sandbox.checkout)
            assert done.returncode == 0, done.stdout + done.stderr
            sandbox.printed = done.stdout
            yield sandbox
        finally:
            sandbox.close()
            auditctl("-D")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def stations(found):
    return {one["station"]: one["holds"] for one in found["stations"]}


def left(host):
    """What a proof can leave: files, processes, and lines that let somebody in."""
    where = [leftovers.HOME, "/run/sshtrail/proof-key"]
    cache = host.base / "var/cache/salt/minion/sshtrail"
    files = [path for path in where if host.inside(path).exists()]
    return files + [path.name for path in cache.glob("proof.*") if path.name != "proof.json"]


# --- A healthy host ---------------------------------------------------------------------------------------------


def test_the_first_highstate_proves_a_login(host):
    assert "ok  a login is recorded" in host.printed
    assert "left a record at every station" in host.printed


def test_a_login_is_followed_to_the_log(host):
    before = host.tree("/etc"), auditctl("-l")
    found = host.call("sshtrail.prove")
    assert (found["holds"], found["lost_at"], found["open"]) == (True, None, [])
    assert stations(found) == dict.fromkeys(["accept", "log", "pam", "login", "command", "file"], True)
    assert all(one["evidence"] for one in found["stations"])
    assert (host.tree("/etc"), auditctl("-l")) == before
    assert left(host) == []


def test_its_command_is_known_for_what_it_is(host):
    mark = host.call("sshtrail.prove")["mark"].encode()
    uid = int(host.sh(f"id -u {ACCOUNT}"))
    events = list(audit_log.events(host.read(LOG).splitlines()))
    ours = [event for event in events if any(mark in argument for argument in event.arguments)]
    assert ours and all(proof.is_proof(event, uid) for event in ours)
    others = [event for event in events if event.arguments and proof.MARK.encode() not in b" ".join(event.arguments)]
    assert others and not any(proof.is_proof(event, uid) for event in others)


def test_the_last_proof_is_kept_and_shown(host):
    found = host.call("sshtrail.prove")
    kept = host.call("sshtrail.proof")
    assert {name: found[name] for name in ("time", "holds", "lost_at")} == host.call("sshtrail.condition")["proof"]
    assert kept["time"] == found["time"] and kept["said"] == found["said"]
    assert host.call("sshtrail.proof", "age=60") == ""
    assert host.drift() == []


def test_the_account_leads_nowhere(host):
    line = host.sh(f"grep ^{ACCOUNT}: /etc/passwd /etc/shadow")
    assert f"{leftovers.HOME}:/bin/sh" in line and f"shadow:{ACCOUNT}:*:" in line
    assert not host.inside(leftovers.HOME).exists()


# --- Every way to lose it ---------------------------------------------------------------------------------------


@contextlib.contextmanager
def changed(host, path, command):
    """Have a file changed for a while, and sshd read its own again."""
    file = host.inside(path)
    before = file.read_bytes()
    host.sh(command)
    if path.startswith("/etc/ssh"):
        reloaded(host)
    try:
        yield
    finally:
        file.write_bytes(before)
        if path.startswith("/etc/ssh"):
            reloaded(host)


def reloaded(host):
    pid = host.pid("sshd.pid")
    stamp = host.inside("/run/sshd.pid").stat().st_mtime_ns
    os.kill(pid, signal.SIGHUP)
    wait_for(lambda: _mtime(host) not in (None, stamp), "sshd to read its configuration again")


def _mtime(host):
    with contextlib.suppress(OSError):
        found = host.inside("/run/sshd.pid").stat()
        return found.st_mtime_ns if found.st_size else None
    return None


def sshd(line):
    """A line that comes first in sshd's configuration, and so decides."""
    return lambda host: changed(host, "/etc/ssh/sshd_config", f"sed -i '1i {line}' /etc/ssh/sshd_config")


def pam(host):
    return changed(host, "/etc/pam.d/sshd", "sed -i /pam_loginuid/d /etc/pam.d/sshd")


def between(broken, mended):
    """A way that is open between two commands (sequences of str)."""

    @contextlib.contextmanager
    def opened(host):
        host.run(*broken)
        try:
            yield
        finally:
            host.run(*mended)

    return opened


def rule(*words, option="-a"):
    return between(("auditctl", option, *words), ("auditctl", "-d", *words))


no_rules = between(("auditctl", "-D"), ("augenrules", "--load"))
no_audit = between(("auditctl", "-e", "0"), ("auditctl", "-e", "1"))
rate_limit = between(("auditctl", "-r", "1"), ("auditctl", "-r", "0"))


@contextlib.contextmanager
def stopped(host):
    pid = host.pid("auditd.pid")
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


@contextlib.contextmanager
def deleted(host):
    host.inside(LOG).unlink()
    try:
        yield
    finally:
        restart_auditd(host)


@contextlib.contextmanager
def writes_nothing(host):
    with changed(host, "/etc/audit/auditd.conf", "sed -i 's/^write_logs.*/write_logs = no/' /etc/audit/auditd.conf"):
        restart_auditd(host)
        yield
    restart_auditd(host)


@contextlib.contextmanager
def no_auditd(host):
    stop(host.pid("auditd.pid"), "auditd")
    try:
        yield
    finally:
        restart_auditd(host)


@contextlib.contextmanager
def no_sshd(host):
    stop(host.pid("sshd.pid"), "sshd")
    try:
        yield
    finally:
        host.run("/usr/sbin/sshd")
        wait_for(lambda: host.pid("sshd.pid"), "sshd")


def auditd_by(command, before="true", registers=True):
    """An auditd that somebody has started by another command, once he has done something else (str)."""

    @contextlib.contextmanager
    def started(host):
        conf = host.read(CONF)
        stop(host.pid("auditd.pid"), "auditd")
        host.sh(before)
        try:
            host.sh(command)
            wait_for(lambda: host.pid("auditd.pid") and (int(audit_status()["pid"]) or not registers), "auditd")
            yield
        finally:
            host.inside(CONF).write_bytes(conf)
            restart_auditd(host)

    return started


@contextlib.contextmanager
def impostor(host):
    with no_auditd(host):
        process = subprocess.Popen(host.enter([sys.executable, "-c", IMPOSTOR]), cwd="/")
        try:
            wait_for(lambda: int(audit_status()["pid"]), "the impostor")
            yield
        finally:
            process.kill()
            process.wait()
            wait_for(lambda: not int(audit_status()["pid"]), "the end of the impostor")


@contextlib.contextmanager
def full_volume(host):
    with auditd_by("auditd", "mount -t tmpfs -o size=1m,mode=750 tmpfs /var/log/audit")(host):
        host.sh("head -c 2000000 /dev/zero >/var/log/audit/fill 2>/dev/null; auditctl -m one; auditctl -m two; sleep 1")
        try:
            yield
        finally:
            host.sh("umount -l /var/log/audit")


def restart_auditd(host):
    stop(host.pid("auditd.pid"), "auditd")
    host.run("auditd")
    wait_for(lambda: host.pid("auditd.pid") == int(audit_status()["pid"]) != 0, "auditd")


WAYS = {
    "no sshd": (no_sshd, "accept", "refused"),
    "AllowUsers": (sshd("AllowUsers alice"), "accept", "not listed in AllowUsers"),
    "AuthenticationMethods": (sshd("AuthenticationMethods publickey,password"), "accept", "Partial publickey"),
    "no keys from files": (sshd("AuthorizedKeysFile none"), "accept", "AuthorizedKeysFile"),
    "one file for all": (sshd("AuthorizedKeysFile /etc/ssh/all_keys"), "accept", "AuthorizedKeysFile"),
    "only files are transferred": (sshd("ForceCommand internal-sftp"), "accept", "Match User"),
    "another command for all": (sshd("ForceCommand /bin/echo hi"), "accept", "ForceCommand /bin/echo hi"),
    "a directory that is not there": (sshd("ChrootDirectory /srv/none"), "accept", "chroot"),
    "no sessions": (sshd("MaxSessions 0"), "accept", "no more sessions"),
    "LogLevel QUIET": (sshd("LogLevel QUIET"), "log", "LogLevel"),
    "UsePAM no": (sshd("UsePAM no"), "pam", "no record of PAM"),
    "no pam_loginuid": (pam, "login", "auid"),
    "never,task": (rule("never,task"), "command", "never"),
    "EXECVE excluded": (rule("always,exclude", "-F", "msgtype=EXECVE"), "command", "EXECVE"),
    "LOGIN excluded": (rule("always,exclude", "-F", "msgtype=LOGIN"), "login", "LOGIN"),
    "every record excluded": (rule("always,exclude", "-F", "msgtype>=1100"), "pam", "PAM"),
    "no rules": (no_rules, "command", "EXECVE"),
    "audit is off": (no_audit, "pam", "turned off"),
    "auditd is stopped": (stopped, "file", "is stopped"),
    "no auditd": (no_auditd, "file", "no audit daemon"),
    "the log is deleted": (deleted, "file", "deleted"),
    "write_logs no": (writes_nothing, "file", "write_logs"),
    "NOLOG": (auditd_by("auditd", f"sed -i 's/^log_format.*/log_format = NOLOG/' {CONF}"), "file", "log_format"),
    "local_events no": (auditd_by("auditd", f"echo local_events = no >>{CONF}", False), "file", "no audit daemon"),
    "another configuration": (auditd_by("auditd -c /etc/audit2", ELSEWHERE), "file", "does not have that file open"),
    "mounts of its own": (auditd_by(f"unshare --mount sh -c '{MOUNTED}'"), "file", "has mounts of its own"),
    "an impostor": (impostor, "file", "python"),
    "a full volume": (full_volume, "file", ""),
    # Of which records the kernel still passes on, the moment decides.
    "a rate limit": (rate_limit, None, "no more than 1 records a second"),
    "system calls excluded": (rule("always,exclude", "-F", "msgtype>=1300"), "command", "are such records excluded"),
    "a person excluded": (rule("always,exclude", "-F", f"uid={ACCOUNT}"), "command", "excluded?"),
    "a person's commands come first": (rule("never,exit", "-F", f"auid={ACCOUNT}", option="-A"), "command", "never"),
}


@pytest.mark.parametrize("way", WAYS)
def test_the_station_that_lost_it_is_named(host, way):
    broken, station, word = WAYS[way]
    with broken(host):
        found = host.call("sshtrail.prove")
    assert (found["holds"], station or found["lost_at"]) == (False, found["lost_at"]), found
    assert word in found["said"], found["said"]
    assert left(host) == []


def test_a_lost_login_is_a_difference_until_the_next_proof(host):
    with pam(host):
        assert host.call("sshtrail.prove")["lost_at"] == "login"
    # Whatever else differs, this is among it, and fails the highstate's last state.
    assert ("trail", "proof") in {(entry["layer"], entry["what"]) for entry in host.drift()}
    assert host.call("sshtrail.proof", "age=0").startswith("The last login that was tried was not recorded")
    assert host.call("sshtrail.prove")["holds"] is True
    assert ("trail", "proof") not in {(entry["layer"], entry["what"]) for entry in host.drift()}


def test_a_file_for_each_account_takes_the_key(host):
    host.sh("mkdir -m 755 /etc/ssh/keys")
    with sshd("AuthorizedKeysFile /etc/ssh/keys/%u")(host):
        assert host.call("sshtrail.prove")["holds"] is True
    assert host.sh("ls /etc/ssh/keys") == ""
    host.sh("rmdir /etc/ssh/keys")
    assert left(host) == []


def test_a_forced_command_that_runs_what_it_is_asked_for(host):
    host.inside("/run/wrap").write_text('#!/bin/sh\nexec ${SHELL:-/bin/sh} -c "$SSH_ORIGINAL_COMMAND"\n')
    host.inside("/run/wrap").chmod(0o755)
    with sshd("ForceCommand /run/wrap")(host):
        found = host.call("sshtrail.prove")
    assert found["holds"] is True, found


def test_another_key_is_made_where_sshd_takes_no_ed25519(host):
    with sshd("PubkeyAcceptedAlgorithms rsa-sha2-512")(host):
        found = host.call("sshtrail.prove")
    assert found["holds"] is True, found


# --- Without an account -----------------------------------------------------------------------------------------


@pytest.fixture
def nameless(host):
    common = host.checkout / "pillar" / "sshtrail" / "common.sls"
    before = common.read_text()
    common.write_text(before.replace(f"account: {ACCOUNT}", "account: null"))
    yield
    common.write_text(before)


def test_without_an_account_it_says_what_that_leaves_open(host, nameless):
    found = host.call("sshtrail.prove")
    assert found["holds"] is True, found
    assert any("sshtrail:proof:account" in line for line in found["open"])
    assert stations(found) == dict.fromkeys(["accept", "log", "pam", "login", "command", "file"], True)


@pytest.mark.parametrize("way", ["no sshd", "UsePAM no", "no pam_loginuid", "never,task", "auditd is stopped"])
def test_without_an_account_the_station_is_named_too(host, nameless, way):
    broken, station, _ = WAYS[way]
    with broken(host):
        found = host.call("sshtrail.prove")
    assert (found["holds"], found["lost_at"]) == (False, station), found


def test_an_account_that_the_policy_no_longer_names_goes(host):
    assert host.call("sshtrail_proof.diff", "null") == {ACCOUNT: {"new": None, "old": _made()}}
    host.call("sshtrail_proof.make", "null")
    assert ACCOUNT not in host.sh("cat /etc/passwd /etc/group /etc/shadow")
    host.call("sshtrail_proof.make", ACCOUNT)
    assert host.call("sshtrail_proof.diff", ACCOUNT) == {}


def _made():
    return {"home": leftovers.HOME, "shell": "/bin/sh", "password": "none"}


# --- No door is opened ------------------------------------------------------------------------------------------


def test_nobody_else_gets_in_meanwhile(host):
    """While the entry is there: another user neither reads it nor finds a key, and a key of his own is no key."""
    os.kill(host.pid("sshd.pid"), signal.SIGSTOP)
    salt_call = pathlib.Path(sys.executable).parent / "salt-call"
    command = [salt_call, "--local", "-c", host.minion.parent, "--out", "json", "sshtrail.prove"]
    going = None
    try:
        going = subprocess.Popen(host.enter(command), stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd="/")
        entry = host.inside(f"{leftovers.HOME}/.ssh/authorized_keys")
        wait_for(lambda: entry.exists() and entry.stat().st_size, "the entry")
        text = entry.read_text()
        assert text.startswith('restrict,from="127.0.0.1",command="/bin/true sshtrail-proof-')
        assert "expiry-time=" in text and text.count("\n") == 1
        assert stat.S_IMODE(entry.stat().st_mode) == 0o640 and entry.stat().st_uid == 0
        assert not host.inside("/run/sshtrail/proof-key").exists()
        held = [path for path in pathlib.Path("/proc").glob("[0-9]*/fd/*") if "proof-key" in _target(path)]
        # The private half: in the proof alone, and in no directory.
        assert held and all(" (deleted)" in _target(path) for path in held)
        other = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
        for path in (entry_path := f"{leftovers.HOME}/.ssh/authorized_keys", *map(str, held)):
            assert host.run(*other, "cat", path, check=False).returncode == 1, entry_path
        assert host.run(*other, "su", "-c", "id", ACCOUNT, check=False).returncode != 0
    finally:
        os.kill(host.pid("sshd.pid"), signal.SIGCONT)
        said, _ = going.communicate()
    assert json.loads(said)["local"]["holds"] is True
    assert left(host) == []


def _target(path):
    with contextlib.suppress(OSError):
        return os.readlink(path)
    return ""


# --- Killed -----------------------------------------------------------------------------------------------------


def test_a_proof_killed_at_any_step_leaves_nothing_that_counts(host):
    """See prove_killed.py, which runs in the sandbox: SSHTRAIL_KILL_EVERY=1 kills at every step."""
    began = time.monotonic()
    done = host.run(sys.executable, KILLER, host.minion, os.environ.get("SSHTRAIL_KILL_EVERY", "3"), check=False)
    print(done.stdout, f"{time.monotonic() - began:.0f} s")
    assert done.returncode == 0, done.stdout + done.stderr
    assert left(host) == []
    assert host.call("sshtrail.prove")["holds"] is True
