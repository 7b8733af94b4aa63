"""
Each way in which a trail breaks, made on a machine within the machine: found by name at the next look.

The host had its highstate, so that it is in its policy; after each way it is as before. Nothing is looked at anew that
has not changed, so that each test also tells that the tick sees the way.
"""

import contextlib
import json
import pathlib
import shutil
import subprocess
import sys
import time

import pytest
from _waiting import stop, wait_for
from loop import lost_long_ago
from sandbox import IMPOSTOR, Host
from support import audit_status, audit_subsystem, auditctl
from test_highstate import USER, add_user

LOG, CONF = "/var/log/audit/audit.log", "/etc/audit/auditd.conf"
CONF2 = "/etc/audit2/auditd.conf"
SSHD, LISTENER = "/etc/ssh/sshd_config", "/run/sshd.pid"
#: An account with a home of its own and root's number.
ROOT = "sshtrailroot"
#: The login id of somebody without an account here.
SOMEBODY = 4711
#: Traces a process, and lets it run.
TRACER = "import ctypes, os, sys, time; lib, pid = ctypes.CDLL(None), int(sys.argv[1])"
TRACER += (
    "; assert not lib.ptrace(16, pid, 0, 0); os.waitpid(pid, 0x40000000); lib.ptrace(7, pid, 0, 0); time.sleep(600)"
)
#: Puts its own process in the place of the kernel's audit daemon, until it is killed.


class Watched(Host):
    """A host whose trail is looked at."""

    def open_ways(self, *args):
        """Return the findings that do not hold (dict by check)."""
        found = {one["check"]: one for one in self.call("sshtrail.coverage", *args) if one["holds"] is False}
        # Faults of before lost records, which is told for a while; tests are about that.
        return {check: one for check, one in found.items() if check != "records-lost"}

    def sh(self, script):
        return self.run("sh", "-c", script)

    def by_hand(self, script):
        """Run a shell's script as root who has logged in as :data:`SOMEBODY`."""
        self.run("sh", "-c", 'echo "$1" >/proc/self/loginuid; exec sh -c "$2"', "sh", str(SOMEBODY), script)

    def auditd(self):
        return int(audit_status()["pid"])

    def session(self, user, command, *more):
        """Start a session by ssh (subprocess.Popen) that runs a command; with more options (str) of ssh."""
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        pairs = [word for option in options for word in ("-o", option)]
        login = ["ssh", "-F", "none", "-i", "/run/sshtrail_key", *pairs, *more, f"{user}@127.0.0.1", command]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL}
        return subprocess.Popen(self.enter(login), cwd="/", **pipes)


@pytest.fixture(scope="module")
def host(root, tmp_path_factory):
    """A host after its highstate, whose trail is whole."""
    with audit_subsystem():
        sandbox = Watched(tmp_path_factory.mktemp("host"), root)
        try:
            add_user(sandbox)
            add_root(sandbox)
            done = sandbox.highstate("--env", "prod")
            assert done.returncode == 0, done.stdout + done.stderr
            time.sleep(2.5)
            assert sandbox.open_ways("fresh=True") == {}
            yield sandbox
        finally:
            sandbox.close()
            auditctl("-D")


def add_root(sandbox):
    """Somebody who is root, with the same key."""
    sandbox.run("useradd", "--create-home", "--non-unique", "--uid", "0", "--shell", "/bin/sh", ROOT)
    sandbox.sh(f"cp -r /home/{USER}/.ssh /home/{ROOT}/ && chown -R 0:0 /home/{ROOT}/.ssh")


def test_a_host_in_its_policy(host):
    found = host.call("sshtrail.coverage")
    assert [one for one in found if one["holds"] is False] == []
    known = {one["check"] for one in found if one["holds"]}
    assert {"auditd-stopped", "log-replaced", "log-unwritten", "commands-unruled", "rules-hide"} <= known
    assert {"sshd-without-pam", "session-unattributed", "other-way-in", "records-lost"} <= known
    assert host.drift() == []


def test_the_steady_state_sends_no_message(host):
    host.open_ways()
    before = host.read(LOG).count(b"sshtrail-coverage")
    assert host.open_ways() == {}
    assert host.read(LOG).count(b"sshtrail-coverage") == before


def test_who_passes_through_to_another_host(host):
    """A bastion: the jump is a session without a command, and its connection leads to a sshd."""
    jump = f"ssh -F none -i /run/sshtrail_key -o BatchMode=yes -o StrictHostKeyChecking=no -W %h:%p {USER}@127.0.0.1"
    with host.session(USER, "echo here; sleep 60", "-o", f"ProxyCommand {jump}") as session:
        try:
            assert session.stdout.readline() == b"here\n"
            assert host.open_ways("fresh=True") == {}
        finally:
            session.kill()
    assert host.open_ways("fresh=True") == {}


def read_again(host):
    """Have sshd read its files, and wait until it has: it writes its pid anew then."""

    def written():
        with contextlib.suppress(FileNotFoundError):
            return host.inside(LISTENER).stat().st_mtime_ns
        return None

    before = written()
    host.sh(f"kill -HUP $(cat {LISTENER})")
    wait_for(lambda: written() not in (None, before), "sshd with the new files")


def test_who_only_transfers_files(host):
    """A host for sftp: a chroot, and no program that is started."""
    block = f"Match User {USER}\n\tChrootDirectory /srv/chroot\n\tForceCommand internal-sftp\n"
    before = host.read(SSHD)
    host.run("mkdir", "-p", "/srv/chroot")
    host.inside(SSHD).write_bytes(before + block.encode())
    read_again(host)
    try:
        with host.session(USER, "sftp", "-s") as session:
            try:
                # SSH_FXP_INIT of version 3, and how the answer to it begins: draft-ietf-secsh-filexfer-02.
                session.stdin.write(b"\0\0\0\5\1\0\0\0\3")
                session.stdin.flush()
                assert session.stdout.read(9)[4:] == b"\2\0\0\0\3"
                assert host.open_ways("fresh=True") == {}
            finally:
                session.kill()
        assert host.open_ways("fresh=True") == {}
    finally:
        host.inside(SSHD).write_bytes(before)
        read_again(host)
    wait_for(lambda: host.drift() == [], "the policy's configuration")


NEVER = "-a never,task"
WAYS = {
    "auditing is switched off": ("auditctl -e 0", "auditctl -e 1", "audit-disabled"),
    "auditd is stopped": ("kill -STOP $(cat /run/auditd.pid)", "kill -CONT $(cat /run/auditd.pid)", "auditd-stopped"),
    "the log is deleted": (f"rm {LOG}", "kill -USR1 $(cat /run/auditd.pid)", "log-replaced"),
    "the log is moved": (f"mv {LOG} {LOG}.old", "kill -USR1 $(cat /run/auditd.pid)", "log-replaced"),
    "the log is everybody's": (f"chmod 0666 {LOG}", f"chmod 0640 {LOG}", "log-exposed"),
    "the directory is everybody's": ("chmod 0777 /var/log/audit", "chmod 0750 /var/log/audit", "log-exposed"),
    "no task is audited": (f"auditctl {NEVER}", "auditctl -d never,task", "rules-hide"),
    "commands are excluded": (
        "auditctl -a always,exclude -F msgtype=EXECVE",
        "auditctl -d always,exclude -F msgtype=EXECVE",
        "rules-hide",
    ),
    "all system calls are excluded": (
        "auditctl -a always,exclude -F 'msgtype>=1300'",
        "auditctl -d always,exclude -F 'msgtype>=1300'",
        "rules-hide",
    ),
    "a person is excluded": (
        "auditctl -a always,exclude -F auid=1001",
        "auditctl -d always,exclude -F auid=1001",
        "rules-hide",
    ),
    "a person's commands come first": (
        "auditctl -A never,exit -F arch=b64 -S execve -F auid=1001",
        "auditctl -d never,exit -F arch=b64 -S execve -F auid=1001",
        "rules-hide",
    ),
    "logins are not told": (
        "auditctl -a never,user -F uid=0",
        "auditctl -d never,user -F uid=0",
        "rules-hide",
    ),
    "a rate limit": ("auditctl -r 1", "auditctl -r 0", "rate-limited"),
    "a short queue": ("auditctl -b 64", "auditctl -b 8192", "backlog-small"),
    "the rule of the commands is gone": (
        "auditctl -d always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands",
        "auditctl -a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands",
        "commands-unruled",
    ),
}


#: A signal is in no record, and the record of this rule is of a type that it excludes.
UNSIGNED = {"auditd is stopped", "all system calls are excluded"}


@pytest.mark.parametrize("way", WAYS)
def test_each_way_is_found_by_its_name_and_with_who_opened_it(host, way):
    command, back, check = WAYS[way]
    assert host.open_ways() == {}
    host.by_hand(command)
    try:
        found = host.open_ways()
        assert set(found) == {check}, found
        assert found[check]["since"] and found[check]["evidence"] and found[check]["remedy"]
        [told] = [one for one in host.drift() if (one["layer"], one["what"]) == ("trail", check)]
        who = [one["by"] and one["by"]["auid"] for one in (found[check], told)]
        assert who == [None if way in UNSIGNED else SOMEBODY] * 2, (found[check], told)
    finally:
        host.sh(back)
    time.sleep(0.5)
    assert host.open_ways() == {}


def test_since_when_is_remembered_over_looks(host):
    host.sh("auditctl -r 1")
    first = host.open_ways()["rate-limited"]["since"]
    assert host.open_ways("fresh=True")["rate-limited"]["since"] == first
    host.sh("auditctl -r 0")
    assert host.open_ways() == {}


def test_a_highstate_fails_while_something_hides_and_removes_it_where_it_may(host):
    host.sh("auditctl -a always,exclude -F msgtype=EXECVE")
    done = host.highstate("--env", "dev")
    assert done.returncode == 1 and "rules-hide" in done.stdout, done.stdout
    done = host.highstate("--env", "prod")
    assert done.returncode == 0 and "msgtype=EXECVE" in done.stdout, done.stdout
    assert "exclude" not in auditctl("-l")


@contextlib.contextmanager
def restarted(host, *options):
    """Have auditd run with other options, and as before in the end."""
    end_auditd(host)
    host.run("auditd", *options)
    try:
        wait_for(host.auditd, "auditd")
        yield
    finally:
        end_auditd(host)
        host.run("auditd")
        wait_for(host.auditd, "auditd")


def end_auditd(host):
    stop(host.auditd(), "auditd")


def test_another_configuration(host):
    host.sh(f"mkdir -m 750 /etc/audit2 /var/log/audit2; sed s#/audit/audit.log#/audit2/audit.log# {CONF} >{CONF2}")
    with restarted(host, "-c", "/etc/audit2"):
        assert set(host.open_ways()) == {"auditd-elsewhere"}
    assert host.open_ways() == {}


@pytest.mark.parametrize("line", ["write_logs = no", "log_format = NOLOG"])
def test_no_log_is_written(host, line):
    before = host.read(CONF)
    end_auditd(host)
    host.sh(f"sed -i '/^{line.split()[0]} /d' {CONF}; echo '{line}' >>{CONF}; auditd")
    try:
        wait_for(host.auditd, "auditd")
        found = host.open_ways()
        assert set(found) == {"log-off"} and line in found["log-off"]["evidence"]
    finally:
        end_auditd(host)
        host.inside(CONF).write_bytes(before)
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    assert host.open_ways() == {}


def test_another_program_as_the_audit_daemon(host):
    end_auditd(host)
    impostor = subprocess.Popen(host.enter([sys.executable, "-c", IMPOSTOR]), cwd="/")
    try:
        wait_for(host.auditd, "the impostor")
        found = host.open_ways()
        assert set(found) == {"auditd-impostor"} and "python" in found["auditd-impostor"]["evidence"]
    finally:
        impostor.kill()
        impostor.wait()
    wait_for(lambda: not host.auditd(), "the end of the impostor")
    assert "auditd-absent" in host.open_ways()
    host.run("auditd")
    wait_for(host.auditd, "auditd")
    assert host.open_ways() == {}


@contextlib.contextmanager
def beside(host, *command):
    """Have a program run in the sandbox for a while."""
    process = subprocess.Popen(host.enter(command), cwd="/", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        yield
    finally:
        process.kill()
        process.wait()


def test_an_auditd_whose_files_may_not_grow(host):
    limit = "prlimit --fsize=$(($(stat -c %s /var/log/audit/audit.log) + 200)) --pid $(cat /run/auditd.pid)"
    host.sh(limit)
    try:
        for _ in range(2):
            # The first one that does not fit is cut, and tells nothing.
            host.session(USER, "/bin/echo marked-unwritten").wait()
        assert set(host.open_ways()) == {"log-unwritten"}
        assert b"marked-unwritten" not in host.read(LOG)
    finally:
        end_auditd(host)
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    wait_for(lambda: set(host.open_ways()) <= {"records-lost"}, "a log that is written again")


def test_an_auditd_that_was_killed(host):
    """The kernel notices that only when it has something to tell."""
    host.sh("kill -9 $(cat /run/auditd.pid)")
    try:
        assert set(host.open_ways()) == {"auditd-absent"}
    finally:
        host.sh("rm -f /run/auditd.pid; auditd")
        wait_for(host.auditd, "auditd")
    assert host.open_ways() == {}


def test_an_auditd_that_shows_its_records(host):
    end_auditd(host)
    try:
        with beside(host, "auditd", "-f"):
            wait_for(host.auditd, "auditd")
            assert set(host.open_ways()) == {"log-off"}
            end_auditd(host)
    finally:
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    assert host.open_ways() == {}


def test_an_auditd_with_a_library_of_another_place(host):
    end_auditd(host)
    host.sh(
        "mkdir /run/libs && cp -L $(ldd /usr/sbin/auditd | sed -n 's/.* => \\(.*libaudit[^ ]*\\) .*/\\1/p') /run/libs/"
    )
    host.sh("LD_LIBRARY_PATH=/run/libs auditd")
    try:
        wait_for(host.auditd, "auditd")
        found = host.open_ways()
        assert set(found) == {"auditd-impostor"} and "/run/libs/libaudit" in found["auditd-impostor"]["evidence"]
    finally:
        end_auditd(host)
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    assert host.open_ways() == {}


def test_an_auditd_that_is_traced(host):
    pid = host.auditd()
    with beside(host, sys.executable, "-c", TRACER, pid):
        wait_for(lambda: not status(pid).endswith("TracerPid:\t0"), "the tracer")
        found = host.open_ways()
        assert set(found) == {"auditd-traced"} and "python" in found["auditd-traced"]["evidence"]
    assert host.open_ways() == {}


def status(pid):
    return pathlib.Path(f"/proc/{pid}/status").read_text().partition("\nUid:")[0]


#: Has auditd's socket: holds it, puts a filter on it that drops EXECVE and PROCTITLE, or takes that off.
TAP = """
import ctypes, os, socket, struct, sys, time
pid, lib = int(open("/run/auditd.pid").read()), ctypes.CDLL(None)
of, code = os.pidfd_open(pid), [(0x28, 0, 0, 4), (0x15, 1, 0, 0x1D05), (0x15, 0, 1, 0x2F05)]
code += [(6, 0, 0, 0), (6, 0, 0, 1 << 31)]
program = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *one) for one in code))
names = [one for one in os.listdir(f"/proc/{pid}/fd") if os.readlink(f"/proc/{pid}/fd/{one}").startswith("socket:")]
held = [socket.socket(fileno=lib.syscall(438, of, int(one), 0)) for one in names]
[audit] = [one for one in held if (one.family, one.proto) == (socket.AF_NETLINK, 9)]
if sys.argv[1] == "on":
    audit.setsockopt(1, 26, struct.pack("HxxxxxxQ", len(code), ctypes.addressof(program)))
elif sys.argv[1] == "off":
    audit.setsockopt(1, 27, 0)
else:
    time.sleep(600)
"""


def test_a_filter_on_auditds_socket(host):
    """The kernel takes what it drops for sent, all events keep their numbers, and a message arrives."""
    host.inside("/run/tap.py").write_text(TAP)
    whole(host)
    host.session(ROOT, "/usr/bin/python3 /run/tap.py on; sleep 0.3; /bin/echo marked-filter").wait()
    time.sleep(0.5)
    try:
        assert b'a1="marked-filter"' not in host.read(LOG)
        found = host.open_ways()
        assert (
            set(found) == {"auditd-impostor"} and "has a filter on its socket" in found["auditd-impostor"]["evidence"]
        )
        assert "auditd-impostor" in str(host.drift())
    finally:
        host.run("python3", "/run/tap.py", "off")
    assert host.open_ways() == {}


def test_another_process_that_has_auditds_socket(host):
    host.inside("/run/tap.py").write_text(TAP)
    thief = host.session(ROOT, "echo $$ >/run/tap.pid; exec /usr/bin/python3 /run/tap.py hold")
    try:
        time.sleep(1.5)
        found = host.open_ways("fresh=True")
        assert "shares its socket with pid" in found["auditd-impostor"]["evidence"]
    finally:
        host.sh("kill $(cat /run/tap.pid)")
        thief.wait()
    assert host.open_ways("fresh=True") == {}


def test_a_log_that_is_a_pipe(host):
    host.sh(f"mv {LOG} {LOG}.old && mkfifo -m 600 {LOG}")
    try:
        assert set(host.open_ways()) == {"log-replaced"}
    finally:
        host.sh(f"rm {LOG}; kill -USR1 $(cat /run/auditd.pid)")
    time.sleep(0.5)
    assert host.open_ways() == {}


def lost(host):
    """Return what is told of records that were lost (str)."""
    rows = host.call("sshtrail.coverage")
    return next(one["evidence"] for one in rows if one["check"] == "records-lost")


def test_records_that_were_lost_and_counted_no_more(host):
    host.call("sshtrail.coverage", "fresh=True")
    host.sh("auditctl -r 1; for i in 1 2 3 4 5 6 7 8; do auditctl -m $i; done; auditctl -r 0; auditctl --reset-lost")
    assert "their count was set back" in lost(host)


def test_what_was_off_between_two_looks(host):
    host.call("sshtrail.coverage", "fresh=True")
    host.sh("auditctl -e 0; auditctl -e 1")
    assert "switched off" in lost(host)
    host.sh("auditctl -a always,exclude -F msgtype=EXECVE; auditctl -d always,exclude -F msgtype=EXECVE")
    assert "exclude" in lost(host) and "switched off" not in lost(host)
    hides_itself = "always,exclude -F 'msgtype>=1300'"
    host.sh(f"auditctl -a {hides_itself}; auditctl -d {hides_itself}")
    assert "which hid that it came" in lost(host)
    never = "never,exit -F arch=b64 -S execve"
    host.sh(f"auditctl -A {never}; auditctl -d {never}")
    assert "on the list exit" in lost(host)
    commands = "always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands"
    host.sh(f"auditctl -d {commands}; auditctl -a {commands}")
    assert "a rule with the key ssh_commands was gone for " in lost(host)
    assert "records-lost" in {one["what"] for one in host.drift()}


def whole(host):
    """Look at everything, with nothing to tell that was lost before."""
    host.call("sshtrail.coverage", "fresh=True")
    forget(host)
    assert host.call("sshtrail.coverage", "fresh=True") and lost(host) == ""


def test_what_a_look_left_that_was_taken_away(host):
    """Nobody knows then what was between two looks; a cache that was cleared has not lost it."""
    whole(host)
    [cache], other = host.base.rglob("cache/**/coverage.json"), host.inside("/run/sshtrail/coverage.json")
    shutil.rmtree(cache.parent)
    assert lost(host) == "" and host.open_ways() == {}
    host.sh("auditctl -e 0; auditctl -e 1")
    cache.unlink()
    assert "switched off" in lost(host)
    whole(host)
    host.sh("auditctl -e 0; auditctl -e 1")
    for path in (cache, other):
        path.unlink()
    told = lost(host)
    assert "is gone or cannot be read" in told and "switched off" in told
    whole(host)


def test_a_log_that_was_cut(host):
    host.call("sshtrail.coverage", "fresh=True")
    host.sh(f": >{LOG}")
    assert LOG in lost(host)


def test_a_log_that_was_taken_away(host):
    """auditd writes to a new one, and what was recorded is nowhere."""
    host.call("sshtrail.coverage", "fresh=True")
    host.sh(f"rm {LOG}; kill -USR1 $(cat /run/auditd.pid); sleep 0.5")
    assert LOG in lost(host)


def test_an_auditd_of_another_mount_namespace(host):
    end_auditd(host)
    other = "mount -t tmpfs tmpfs /var/log/audit && exec auditd"
    host.run("unshare", "--mount", "sh", "-c", other)
    try:
        wait_for(host.auditd, "auditd")
        assert set(host.open_ways()) == {"log-replaced"}
    finally:
        end_auditd(host)
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    assert host.open_ways() == {}


def test_a_full_volume_and_room_again(host):
    """auditd suspends its log when a small volume is full, and stays so: found while it is full, and after."""
    end_auditd(host)
    host.sh("mount -t tmpfs -o size=1m,mode=750 tmpfs /var/log/audit")
    host.run("auditd")
    wait_for(host.auditd, "auditd")
    try:
        host.open_ways()
        host.sh("head -c 2000000 /dev/zero >/var/log/audit/fill 2>/dev/null; auditctl -m one; auditctl -m two; sleep 1")
        found = host.open_ways()
        # The volume covers a directory that is watched.
        assert set(found) == {"auditd-suspended", "log-volume-low", "log-volatile", "watch-moved"}, found
        host.sh("rm /var/log/audit/fill")
        assert "auditd-suspended" in host.open_ways()
    finally:
        end_auditd(host)
        host.sh("umount /var/log/audit")
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    assert host.open_ways() == {}


def test_lost_records_are_counted(host):
    def lost(*args):
        return [one for one in host.call("sshtrail.coverage", *args) if one["check"] == "records-lost"][0]

    forget(host)
    assert lost("fresh=True")["holds"]
    # The kernel counts what it drops for its rate limit too.
    host.sh("auditctl -r 1; for i in 1 2 3 4 5 6 7 8; do auditctl -m $i; done; auditctl -r 0")
    found = lost()
    assert found["holds"] is False and "records were lost" in found["evidence"] and not found["hides"]
    assert lost("fresh=True")["evidence"] == found["evidence"]
    forget(host)
    assert lost("fresh=True")["holds"]


def forget(host):
    """Let the loss be an hour ago."""
    lost_long_ago(host.base)


# --- Who comes in -------------------------------------------------------------------------------------------------


def listener(host):
    return host.pid("sshd.pid")


@contextlib.contextmanager
def sshd_with(host, *options):
    """Have another sshd in the place of the host's, started with options."""
    stop(listener(host), "sshd")
    host.run("/usr/sbin/sshd", *options)
    wait_for(lambda: host.inside(LISTENER).exists(), "sshd")
    try:
        yield
    finally:
        stop(listener(host), "sshd")
        host.run("/usr/sbin/sshd")
        wait_for(lambda: host.inside(LISTENER).exists(), "sshd")


def test_options_that_override_the_files(host):
    with sshd_with(host, "-o", "LogLevel=QUIET"):
        found = host.open_ways()
        assert set(found) == {"sshd-options"} and "loglevel=QUIET" in found["sshd-options"]["evidence"]
        assert not found["sshd-options"]["hides"]
    with sshd_with(host, "-oUsePAM=no"):
        assert host.open_ways()["sshd-options"]["hides"]
    with sshd_with(host, "-oCiphers=aes256-ctr", "-4"):
        assert host.open_ways() == {}
    assert host.open_ways() == {}


def test_no_pam(host):
    before = host.read(SSHD)
    # Without PAM sshd itself refuses an account whose password is locked.
    host.run("usermod", "--password", "*", USER)
    host.sh(f"sed -i 's/^UsePAM .*/UsePAM no/' {SSHD}; kill -HUP $(cat {LISTENER}); sleep 1")
    session = host.session(USER, "echo here; sleep 60")
    try:
        assert session.stdout.readline() == b"here\n"
        found = host.open_ways()
        assert {"sshd-without-pam", "session-unattributed"} == set(found)
        assert USER in found["session-unattributed"]["evidence"]
    finally:
        session.kill()
        session.wait()
        host.inside(SSHD).write_bytes(before)
        host.sh(f"kill -HUP $(cat {LISTENER}); sleep 1")
    wait_for(lambda: "session-unattributed" not in host.open_ways(), "the end of the session")
    assert host.open_ways() == {}


def test_other_files_of_sshds_for_a_moment(host):
    """Without PAM and quiet, what somebody does is in no log at all."""
    whole(host)
    host.run("usermod", "--password", "*", USER)
    host.sh(f"cp -a {SSHD} /run/kept; sed -i '1i UsePAM no\\nLogLevel QUIET' {SSHD}")
    read_again(host)
    host.session(USER, "/bin/echo marked-quiet").wait()
    host.sh(f"cp -a /run/kept {SSHD}")
    read_again(host)
    time.sleep(0.5)
    told = lost(host)
    assert "sshd read its files again" in told and "/usr/bin/sed of nobody with a login" in told, told
    assert b"marked-quiet" not in host.read(LOG) and "records-lost" in {one["what"] for one in host.drift()}
    # It may be told to at any time.
    whole(host)
    read_again(host)
    assert lost(host) == "" and host.open_ways("fresh=True") == {}


def test_a_stack_without_login_ids_for_a_moment(host):
    # Whatever anybody calls sshd, in numbers of its own, is no container.
    host.sh("mkdir -p -m 755 /run/d && cp $(readlink -f /bin/sleep) /run/d/sshd")
    decoy = ["setpriv", "--reuid", "1001", "--regid", "1001", "--clear-groups", "unshare", "-Urp", "--kill-child"]
    with beside(host, *decoy, "-f", "/run/d/sshd", "600"):
        host.call("sshtrail.coverage", "fresh=True")
        forget(host)
        host.sh("cp /etc/pam.d/sshd /run/stack; sed -i /pam_loginuid/d /etc/pam.d/sshd")
        host.session(USER, "/bin/echo marked-without").wait()
        host.sh("cp /run/stack /etc/pam.d/sshd")
        time.sleep(0.5)
        assert f"opened for {USER}" in lost(host) and b"marked-without" not in host.read(LOG)
    assert host.open_ways("fresh=True") == {}


def test_a_sshd_without_proc(host):
    """PAM finds no login id to set there, and has everybody come in all the same."""
    host.call("sshtrail.coverage", "fresh=True")
    forget(host)
    stop(listener(host), "sshd")
    host.sh("rm -f /run/sshd.pid; unshare -m sh -c 'mount -t tmpfs tmpfs /proc; exec /usr/sbin/sshd'")
    try:
        wait_for(lambda: host.inside(LISTENER).exists(), "sshd")
        found = host.open_ways()
        assert set(found) == {"other-way-in"} and found["other-way-in"]["hides"]
        assert "/proc/self/loginuid" in found["other-way-in"]["evidence"]
        host.session(USER, "/bin/echo marked-proc").wait()
        time.sleep(0.5)
        assert f"opened for {USER}" in lost(host) and b"marked-proc" not in host.read(LOG)
    finally:
        stop(listener(host), "sshd")
        host.sh("rm -f /run/sshd.pid; /usr/sbin/sshd")
        wait_for(lambda: host.inside(LISTENER).exists(), "sshd")
    wait_for(lambda: host.open_ways("fresh=True") == {}, "the sshd of the policy")


STACKS = {
    "the line is gone": "sed -i /pam_loginuid/d /etc/pam.d/sshd",
    "it is jumped over": "sed -i '/pam_loginuid/i session [success=1 default=ignore] pam_permit.so' /etc/pam.d/sshd",
    "it is a comment": "sed -i 's/^.*pam_loginuid/#&/' /etc/pam.d/sshd",
}


@pytest.mark.parametrize("command", STACKS.values(), ids=STACKS)
def test_a_stack_without_login_ids_is_found_and_mended(host, command):
    before = host.read("/etc/pam.d/sshd")
    host.sh(command)
    try:
        found = host.open_ways()
        assert set(found) == {"pam-without-loginuid"} and found["pam-without-loginuid"]["hides"], found
        assert "pam_loginuid" in found["pam-without-loginuid"]["remedy"]
        done = host.highstate("--env", "prod")
        assert done.returncode == 0, done.stdout + done.stderr
        assert host.open_ways() == {}
        forget(host)
        host.session(USER, "/bin/echo marked-mended").wait()
        wait_for(lambda: b"marked-mended" in host.read(LOG), "the command's record")
    finally:
        host.inside("/etc/pam.d/sshd").write_bytes(before)


def test_a_login_id_that_is_taken_away(host):
    """Nobody takes it away from himself on a kernel that locks login ids, which only a boot ends."""
    locked = audit_status()["loginuid_immutable"].startswith("1")
    with contextlib.ExitStack() as stack:
        for command in ("echo here; sleep 60", "echo 4294967295 >/proc/self/loginuid; echo here; sleep 60"):
            assert host.open_ways() == {}
            session = host.session(ROOT, command)
            stack.callback(session.wait)
            stack.callback(session.kill)
            assert session.stdout.readline() == b"here\n"
        found = host.open_ways()
        assert set(found) == (set() if locked else {"session-unattributed"})
        assert all(one["hides"] for one in found.values())
    # What left its session is looked at when all is.
    wait_for(lambda: host.open_ways("fresh=True") == {}, "the end of the session")


def in_a_session(host, command, user=ROOT):
    """Run a command in a session of root's, after a look; return what is told of records that were lost."""
    host.call("sshtrail.coverage", "fresh=True")
    forget(host)
    host.session(user, command).wait()
    time.sleep(0.5)
    return lost(host)


#: Give up the login id, take it again, take another one; at once, by way of none, and in a process of its own.
ID, IDS = "/proc/self/loginuid", {
    "and again": ("echo 4294967295 >{0}; /bin/echo marked-id; echo 0 >{0}", "and took one again"),
    "another by way of none": ("echo 4294967295 >{0}; echo 1001 >{0}; /bin/echo marked-id", "and took one again"),
    "another": ("echo 1001 >{0}; /bin/echo marked-id", "took the login id 1001 in the place of 0"),
    "for a process that ends": ("sh -c 'echo 4294967295 >{0}; /bin/echo marked-id'; true", "gave up the login id 0"),
}  # fmt: skip


@pytest.mark.parametrize("command,told", IDS.values(), ids=IDS)
def test_a_login_id_that_is_exchanged(host, command, told):
    """Nobody exchanges it on a kernel that locks login ids, which only a boot ends: there the command is recorded."""
    locked, before = audit_status()["loginuid_immutable"].startswith("1"), host.read(LOG).count(b'"marked-id"')
    assert (told in in_a_session(host, command.format(ID))) is not locked
    assert not locked or host.read(LOG).count(b'"marked-id"') > before
    wait_for(lambda: host.open_ways("fresh=True") == {}, "the end of the session")


OF_COMMANDS = "always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands"
DECOY = "always,exit -F arch=b64 -S execve -F auid=4242 -F key=ssh_commands"
LOAD = "auditctl -R /etc/audit/audit.rules"
NOTHING, CHANGES = "exit,never -S execve", "always,exclude -F msgtype=CONFIG_CHANGE"
HARMLESS = "exit,always -F arch=b64 -S execve -F auid=4242 -k k"
#: What root does in a session, for less than a second, so that a command is in no log.
MOMENTS = {
    "all rules": (f"auditctl -D; /bin/echo marked-moment; {LOAD}", "a rule with the key ssh_commands was gone for "),
    "behind a decoy": (
        f"auditctl -a {DECOY}; auditctl -d {OF_COMMANDS}; /bin/echo marked-moment; "
        f"auditctl -a {OF_COMMANDS}; auditctl -d {DECOY}",
        "a rule with the key ssh_commands was gone for ",
    ),
    "by a file": (
        "echo -A exit,never -S execve >/run/f1; echo -d exit,never -S execve >/run/f2; "
        "auditctl -R /run/f1; /bin/echo marked-moment; auditctl -R /run/f2",
        "a rule of a file, which may hide, stood on the list exit for ",
    ),
    "by another program": (
        f"cp /sbin/auditctl /run/loader; echo -A {NOTHING} >/run/f1; echo -d {NOTHING} >/run/f2; "
        "/run/loader -R /run/f1; /bin/echo marked-moment; /run/loader -R /run/f2",
        "a rule that may hide stood on the list exit for",
    ),
    "with a key that comes again": (
        f"auditctl -A {NOTHING} -k k; /bin/echo marked-moment; auditctl -d {NOTHING} -k k; "
        f"auditctl -a {HARMLESS}; auditctl -d {HARMLESS}",
        "a rule that hides stood on the list exit for",
    ),
    "by a title that is cut off": (
        f"{'/.' * 70}/usr/sbin/auditctl -A {NOTHING}; /bin/echo marked-moment; auditctl -d {NOTHING}",
        "a rule that hides stood on the list exit for",
    ),
    "behind a rule that hides all changes": (
        f"printf '%s\\n' '-a {CHANGES}' '-e 0' '-d {CHANGES}' >/run/f1; "
        "auditctl -R /run/f1; /bin/echo marked-moment; auditctl -e 1",
        "ran auditctl -R /run/f1",
    ),
}


@pytest.mark.parametrize("command,told", MOMENTS.values(), ids=MOMENTS)
def test_rules_that_are_gone_for_a_moment(host, command, told):
    before = host.read(LOG).count(b'"marked-moment"')
    assert told in in_a_session(host, command)
    assert host.read(LOG).count(b'"marked-moment"') == before
    assert host.open_ways("fresh=True") == {}


def test_rules_that_are_gone_for_a_moment_by_a_program_without_a_login(host):
    host.call("sshtrail.coverage", "fresh=True")
    forget(host)
    host.sh("cp /sbin/auditctl /run/loader; /run/loader -D; sleep 1; /run/loader -R /etc/audit/audit.rules")
    assert "a rule with the key ssh_commands was gone for" in lost(host)
    assert host.open_ways("fresh=True") == {}


def test_a_list_on_which_the_policy_allows_a_rule(host):
    """It allows that one, and no other."""
    asked = json.dumps(host.call("sshtrail.policy") | {"rules": {
        **host.call("sshtrail.policy")["rules"], "allowed": ["-a always,exclude -F msgtype=CWD"],
    }})  # fmt: skip

    def found():
        rows = host.call("sshtrail_coverage.findings", asked)
        return next(one["evidence"] for one in rows if one["check"] == "records-lost")

    found()
    forget(host)
    rules = ["always,exclude -F msgtype=SYSCALL", "always,exclude -F 'msgtype>=1306' -F 'msgtype<=1399'"]
    hide, show = ("; ".join(f"auditctl {option} {rule}" for rule in rules) for option in ("-a", "-d"))
    host.session(ROOT, f"{hide}; /bin/echo marked-allowed; {show}").wait()
    time.sleep(0.5)
    assert "a rule stood on the list exclude" in found() and b"marked-allowed" not in host.read(LOG)
    host.call("sshtrail.coverage", "fresh=True")


def test_what_was_off_where_each_record_has_the_hosts_name(host):
    before = host.read(CONF)
    end_auditd(host)
    host.sh(f"sed -i '/^name_format/d' {CONF}; echo 'name_format = hostname' >>{CONF}; auditd")
    try:
        wait_for(host.auditd, "auditd")
        host.call("sshtrail.coverage", "fresh=True")
        forget(host)
        host.session(ROOT, "auditctl -e 0; auditctl -e 1").wait()
        time.sleep(0.5)
        assert "switched off" in lost(host)
    finally:
        end_auditd(host)
        host.inside(CONF).write_bytes(before)
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    host.call("sshtrail.coverage", "fresh=True")


#: Changes the log in its place, as long as it was or longer: by an old word and a new one, or without an event.
OVER = "import sys; path, old, new = sys.argv[1:]; log = open(path, 'r+b'); data = log.read(); log.seek(0)"
OVER += "; log.write(data.replace(old.encode(), new.encode()))"
CUT = "import re, sys; path, mark = sys.argv[1:]; log = open(path, 'r+b'); data = log.read(); log.seek(0)"
CUT += "; event = re.search(rb'(audit.[0-9.:]+.): argc=2 a0=./bin/echo. a1=.%s' % mark.encode(), data)[1]"
CUT += "; left = b''.join(line for line in data.splitlines(True) if event not in line)"
CUT += "; log.write(left + data[len(left):])"


def test_a_log_that_is_written_over_or_has_an_event_less(host):
    for name, text in (("over", OVER), ("cut", CUT)):
        host.inside(f"/run/{name}.py").write_text(text)
    host.session(USER, "/bin/echo marked-before").wait()
    told = in_a_session(host, f"/usr/bin/python3 /run/over.py {LOG} marked-before harmless-now")
    assert "was changed where records had been written before" in told
    # Nobody has looked since.
    young = f"/bin/echo marked-young; sleep 0.3; /usr/bin/python3 /run/cut.py {LOG} marked-young"
    told = in_a_session(host, young)
    assert "1 events of the kernel are not in" in told
    assert b'a0="/bin/echo" a1="marked-young"' not in host.read(LOG)
    # With the number that it had.
    young = f"/bin/echo marked-new; sleep 0.3; /usr/bin/python3 /run/over.py {LOG} marked-new harmless-x"
    told = in_a_session(host, young)
    assert "of login id 0 opened" in told and "to write in it" in told
    assert host.open_ways("fresh=True") == {}


#: The machine's own clock is everybody's, and a minion that has seen it two hours on waits for that long.
LATER = "import time; now = time.time; time.time = lambda: now() + 7200; import salt.scripts; salt.scripts.salt_call()"


def test_who_writes_in_the_log_after_a_clock_was_set_on_and_back(host):
    host.inside("/run/over.py").write_text(OVER)
    whole(host)
    host.run(sys.executable, "-c", LATER, "--local", "-c", host.base / "conf", "sshtrail.coverage", "fresh=True")
    forget(host)
    young = f"/bin/echo marked-back; sleep 0.3; /usr/bin/python3 /run/over.py {LOG} marked-back harmless-xx"
    host.session(ROOT, young).wait()
    time.sleep(0.5)
    assert "of login id 0 opened" in lost(host)
    assert b'a1="marked-back"' not in host.read(LOG)
    whole(host)


def test_a_rotated_log_that_somebody_took_away(host):
    host.session(USER, "/bin/echo marked-rotated").wait()
    time.sleep(0.5)
    # The first is older than what is marked, the last is younger.
    for number in range(3):
        host.sh(f"kill -USR1 $(cat /run/auditd.pid); sleep 0.7; auditctl -m after-{number}; sleep 0.3")
        if not number:
            host.session(USER, "/bin/echo marked-rotated").wait()
            time.sleep(0.5)
    whole(host)
    held = host.sh(f"grep -l 'a1=.marked-rotated' {LOG}.*").stdout.split()
    assert len(held) == 2
    host.session(ROOT, f"rm {held[0]}").wait()
    time.sleep(0.5)
    assert "is gone, and older ones are there" in lost(host)
    whole(host)


def test_what_nobody_took_while_auditd_was_started_anew(host):
    host.call("sshtrail.coverage", "fresh=True")
    forget(host)
    end_auditd(host)
    host.session(USER, "/bin/echo marked-between").wait()
    host.run("auditd")
    wait_for(host.auditd, "auditd")
    time.sleep(0.5)
    told = lost(host)
    assert "no auditd took them" in told and b"marked-between" not in host.read(LOG)
    assert host.open_ways("fresh=True") == {}


def test_a_log_in_memory(host):
    """Whoever covers the log's directory has auditd write where the next reboot takes it."""
    end_auditd(host)
    host.sh("mount -t tmpfs -o mode=750 tmpfs /var/log/audit; auditd")
    try:
        wait_for(host.auditd, "auditd")
        found = host.open_ways()
        assert set(found) == {"log-volatile", "watch-moved"} and "tmpfs" in found["log-volatile"]["evidence"]
    finally:
        end_auditd(host)
        host.sh("umount /var/log/audit; auditd")
        wait_for(host.auditd, "auditd")
    wait_for(lambda: host.open_ways("fresh=True") == {}, "the log on the disk")


def test_a_log_that_nobody_may_write_any_more(host):
    told = in_a_session(host, f"chattr +i {LOG}; sleep 1; /bin/echo marked-fixed; /bin/echo marked-fixed")
    try:
        assert b'a1="marked-fixed"' not in host.read(LOG)
        assert set(host.open_ways()) == {"log-unwritten"}, told
    finally:
        host.sh(f"chattr -i {LOG}")
        end_auditd(host)
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    wait_for(lambda: host.open_ways("fresh=True") == {}, "a log that is written again")


#: Hears by UDP, as mosh-server does.
HEARS = "use IO::Socket::INET; $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:60001', Proto => 'udp') or die; "
HEARS += "sleep 600"


def test_a_door_at_which_no_connection_is_made(host):
    for name, known in (("mosh-server", {"other-way-in"}), ("resolver", set())):
        host.sh(f"cp $(readlink -f /usr/bin/perl) /run/{name}")
        with beside(host, f"/run/{name}", f"-e{HEARS}"):
            wait_for(lambda: host.sh("ss -Hlun sport = :60001").stdout, "the door")
            assert set(host.open_ways("fresh=True")) == known
    assert host.open_ways("fresh=True") == {}


def test_another_sshd(host):
    host.sh(
        f"sed 's/^UsePAM .*/UsePAM no/; s/^Include.*//' {SSHD} >/run/other_config; echo Port 2222 >>/run/other_config"
    )
    host.sh("echo PidFile /run/other.pid >>/run/other_config")
    host.run("/usr/sbin/sshd", "-f", "/run/other_config")
    wait_for(lambda: host.inside("/run/other.pid").exists(), "the other sshd")
    try:
        found = host.open_ways()
        assert set(found) == {"other-way-in"} and found["other-way-in"]["hides"]
        assert "/run/other_config" in found["other-way-in"]["evidence"] and ":2222" in found["other-way-in"]["evidence"]
    finally:
        host.sh("kill $(cat /run/other.pid)")
    wait_for(lambda: host.open_ways() == {}, "the end of the other sshd")


def test_a_sshd_by_another_name(host):
    """Before 9.8 its name is the service that it asks of PAM, so that its sessions have no login id."""
    host.sh(f"cp {SSHD} /run/webd_config; ln -s /usr/sbin/sshd /run/webd")
    host.sh("/run/webd -f /run/webd_config -p 2222 -o PidFile=/run/webd.pid")
    wait_for(lambda: host.inside("/run/webd.pid").exists(), "the other sshd")
    try:
        found = host.open_ways()
        assert set(found) == {"other-way-in"} and "/run/webd" in found["other-way-in"]["evidence"]
    finally:
        host.sh("kill $(cat /run/webd.pid)")
    wait_for(lambda: host.open_ways() == {}, "the end of the other sshd")


#: Stands for inetd, which is in no package of every release: what it would start stands in its table.
INETD = "use IO::Socket::INET; $s = IO::Socket::INET->new(LocalAddr => '127.0.0.1:2323', Listen => 1) or die; sleep 600"


def test_what_inetd_would_start(host):
    """Nobody has come yet, so that no process shows it."""
    host.sh("cp $(readlink -f /usr/bin/perl) /run/inetd")
    found = {}
    for starts in ("/usr/sbin/sshd sshd -i", "/usr/sbin/sshd sshd -i -o UsePAM=no", "/bin/sh sh -i"):
        host.inside("/etc/inetd.conf").write_text(f"ssh stream tcp nowait root {starts}\n")
        # A word of its own would be a table.
        with beside(host, "/run/inetd", f"-e{INETD}"):
            wait_for(lambda: host.sh("ss -Hltn sport = :2323").stdout, "inetd")
            found[starts] = host.open_ways("fresh=True")
    assert [set(one) for one in found.values()] == [set(), {"sshd-options"}, {"other-way-in"}]
    assert all(one["hides"] and "inetd's ssh" in one["evidence"] for ways in found.values() for one in ways.values())
    host.inside("/etc/inetd.conf").unlink()
    wait_for(lambda: host.open_ways("fresh=True") == {}, "the end of inetd")


def test_jobs_that_have_no_login(host):
    stack = host.inside("/etc/pam.d/cron")
    try:
        for line, known in (
            ("session required pam_loginuid.so", set()),
            ("session required pam_env.so", {"jobs-without-login"}),
        ):
            stack.write_text(
                f"@include common-auth\n{line}\n@include common-account\n@include common-session-noninteractive\n"
            )
            assert set(host.open_ways("fresh=True")) == known
    finally:
        stack.unlink()
    assert host.open_ways("fresh=True") == {}


#: What an agent or a service does that gives somebody a shell: at a terminal of its own, of nobody who has logged in.
AGENT = "import pty, sys; pty.spawn(sys.argv[1:])"


def test_a_shell_of_an_agent(host):
    """What is typed there has no login id, so that no rule records it."""
    # A sandbox has no terminals to give.
    agent = [sys.executable, "-c", AGENT, *host.enter(["/bin/sh", "-i"])]
    with subprocess.Popen(agent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:
            found = {}
            wait_for(lambda: found.update(host.open_ways("fresh=True")) or found, "the shell")
            assert set(found) == {"shell-without-login"} and found["shell-without-login"]["hides"]
        finally:
            process.kill()
    wait_for(lambda: host.open_ways("fresh=True") == {}, "the end of the shell")


def test_a_shell_that_runs_what_comes_by_a_named_pipe(host):
    """Whoever may write to it has it run what he likes; it is told before anybody does."""
    host.sh("mkfifo -m 666 /run/fifo")
    with beside(host, "sh", "-c", "exec sh </run/fifo"):
        wait_for(lambda: set(host.open_ways("fresh=True")) == {"shell-without-login"}, "the shell at rest")
        host.sh("exec 3<>/run/fifo; sleep 60 >&3 2>/dev/null & echo $! >/run/writer.pid")
        wait_for(lambda: set(host.open_ways("fresh=True")) == {"shell-without-login"}, "the shell that reads")
        host.sh("kill $(cat /run/writer.pid)")
    host.sh("rm /run/fifo")
    wait_for(lambda: host.open_ways("fresh=True") == {}, "the end of the shell")


def test_a_shell_in_a_container(host):
    """Nothing of it is recorded; but no host with containers is to fail for that."""
    agent = [sys.executable, "-c", AGENT, *host.enter(["unshare", "-muipf", "--mount-proc", "/bin/sh", "-i"])]
    with subprocess.Popen(agent, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL) as process:
        try:

            def shell():
                rows = host.call("sshtrail.coverage", "fresh=True")
                return next(one for one in rows if one["check"] == "shell-without-login")

            wait_for(lambda: shell()["holds"] is None, "the shell")
            assert shell()["hides"] and "in a container" in shell()["evidence"]
            # Faults of before lost records, which drift tells for a while.
            assert host.open_ways() == {} and "shell-without-login" not in {one["what"] for one in host.drift()}
        finally:
            process.kill()
    wait_for(lambda: shell()["holds"], "the end of the shell")


def test_a_sshd_that_inherited_a_login(host):
    stop(listener(host), "sshd")
    host.sh("echo 1234 >/proc/self/loginuid; /usr/sbin/sshd")
    try:
        wait_for(lambda: host.inside(LISTENER).exists(), "sshd")
        assert set(host.open_ways()) == {"sshd-inherited-login"}
    finally:
        stop(listener(host), "sshd")
        host.run("/usr/sbin/sshd")
        wait_for(lambda: host.inside(LISTENER).exists(), "sshd")
    assert host.open_ways() == {}


def test_a_watched_directory_that_was_replaced(host):
    assert host.open_ways() == {}
    host.sh("cp -a /etc/ssh /etc/ssh.new && mv /etc/ssh /etc/ssh.old && mv /etc/ssh.new /etc/ssh")
    found = host.open_ways()
    assert set(found) == {"watch-moved"} and "/etc/ssh" in found["watch-moved"]["evidence"]
    # The rule loaded again looks at what is there.
    rule = ["always,exit", "-F", "dir=/etc/ssh", "-F", "perm=wa", "-F", "key=ssh_config"]
    time.sleep(1)
    host.run("auditctl", "-d", *rule)
    host.run("auditctl", "-a", *rule)
    assert host.open_ways() == {}


def test_a_session_that_writes_no_record_is_looked_at(host):
    """A log that does not move while people work: the tick looks at everything, which finds that it does not."""
    assert host.open_ways() == {}
    before = host.read(LOG)
    with contextlib.closing(host.session(USER, "echo here; sleep 60").stdout) as out:
        assert out.readline() == b"here\n"
    assert host.read(LOG) != before
    assert host.open_ways() == {}


def test_a_log_that_keeps_the_last_few_records_only(host):
    """The last of this module: what is rotated away here stays away."""
    before = host.read(CONF)
    wanted = "max_log_file = 0\nmax_log_file_action = ROTATE\nnum_logs = 5\n"
    end_auditd(host)
    host.inside(CONF).write_bytes(before + wanted.encode())
    host.run("auditd")
    try:
        wait_for(host.auditd, "auditd")
        found = host.open_ways()
        assert "max_log_file = 0, and auditd rotates among 5 logs" in found["log-brief"]["evidence"], found
    finally:
        end_auditd(host)
        host.inside(CONF).write_bytes(before)
        host.run("auditd")
        wait_for(host.auditd, "auditd")
    assert "log-brief" not in host.open_ways()
