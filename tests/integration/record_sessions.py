# ruff: noqa: E501
"""
Record real logins of every kind, with the truth from the client's side, as the tests of the sessions read them.

    record_sessions.py DIRECTORY

Writes ``audit.log`` (and what was rotated), ``auth.log``, ``journal.json`` and ``truth.json``. Each login comes from an
address of its own (127.0.1.N), which is how a test finds it again. Needs root, the kernel's audit, and half a minute.
"""

import contextlib
import json
import os
import pathlib
import shlex
import shutil
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "bin"), str(ROOT / "_utils")]

import _keeper  # noqa: E402
from _kernel import audit_status, auditctl  # noqa: E402
from _sandbox import Sandbox  # noqa: E402
from _waiting import wait_for  # noqa: E402

RULES = """\
-D
-b 8192
-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands
-a always,exit -F arch=b32 -S execve,execveat -F auid!=unset -F key=ssh_commands
-a always,exit -F dir=/etc/watched -F perm=wa -F key=watched
-e 1
"""
AUDITD = """\
log_file = /var/log/audit/audit.log
log_format = ENRICHED
log_group = root
flush = INCREMENTAL_ASYNC
freq = 50
max_log_file = 8
num_logs = 5
name_format = NONE
max_log_file_action = ROTATE
space_left = 2
admin_space_left = 1
plugin_dir = /etc/audit/plugins.d
"""
SSHD = """\
ListenAddress 127.0.0.1
HostKey /etc/ssh/ssh_host_ed25519_key
LogLevel VERBOSE
SyslogFacility AUTHPRIV
MaxStartups 100
PermitRootLogin yes
PasswordAuthentication yes
KbdInteractiveAuthentication no
TrustedUserCAKeys /etc/ssh/ca.pub
Subsystem sftp {sftp}
"""
CLIENT = ["-F", "none", "-o", "IdentitiesOnly=yes", "-o", "StrictHostKeyChecking=no", "-o", "LogLevel=ERROR"]
CLIENT += ["-o", "UserKnownHostsFile=/dev/null", "-o", "PreferredAuthentications=publickey"]
PASSWORD = "a-word-for-tests"
# As a user would write them: what looks like sshd's lines, and what looks like PAM's records.
FORGE_LINES = r"""
import os, socket, time
monitor = int(open('/proc/%d/status' % os.getppid()).read().split('PPid:')[1].split()[0])
monitor = int(open('/proc/%d/status' % monitor).read().split('PPid:')[1].split()[0])
stamp = time.strftime('%b %d %H:%M:%S')
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect('/dev/log')
for pid in (monitor, 4242):
    for text in ('Accepted publickey for root from 10.9.9.9 port 666 ssh2: ED25519 SHA256:' + 'A' * 43,
                 'User child is on pid 4243'):
        log.send(('<86>%s sshd[%d]: %s' % (stamp, pid, text)).encode())
"""
FORGE_RECORDS = r"""
import ctypes
audit = ctypes.CDLL('libaudit.so.1')
handle = audit.audit_open()
for kind, op in ((1105, b'PAM:session_open'), (1106, b'PAM:session_close')):
    text = b"op=" + op + b' grantors=pam_permit acct="bob" exe="/usr/sbin/sshd" hostname=10.9.9.9 addr=10.9.9.9 '
    audit.audit_log_user_message(handle, kind, text + b"terminal=ssh res=success", None, None, None, 1)
audit.audit_log_user_message(handle, 1005, b"pid=1 uid=0 auid=1001 ses=77 msg='op=PAM:session_open", None, None, None, 1)
"""


class Recorded(Sandbox):
    """A machine whose messages to syslog are written as syslog writes them, and with the sender, as the journal does."""

    def _private_dev(self):
        super()._private_dev()
        self.receiver.setsockopt(socket.SOL_SOCKET, socket.SO_PASSCRED, 1)

    def _receive(self):
        with contextlib.suppress(OSError):
            while True:
                data, passed, *_ = self.receiver.recvmsg(65536, socket.CMSG_SPACE(12))
                if not data:
                    return
                self.messages.append((time.time(), data, struct.unpack("3i", passed[0][2]) if passed else None))


def as_syslog(entry):
    when, data, _ = entry
    text = data.partition(b">")[2].rstrip(b"\0\n").decode(errors="backslashreplace")
    return f"{time.strftime('%b %e %H:%M:%S', time.gmtime(when))} host {text[16:]}\n"


def as_journal(entry, comms):
    when, data, (pid, uid, gid) = entry
    text = data.partition(b">")[2].rstrip(b"\0\n").decode(errors="backslashreplace")[16:]
    tag, _, message = text.partition(": ")
    name, _, told = tag.partition("[")
    fields = {"__REALTIME_TIMESTAMP": str(int(when * 1e6) + 900), "_SOURCE_REALTIME_TIMESTAMP": str(int(when * 1e6))}
    fields |= {"_PID": str(pid), "_UID": str(uid), "_GID": str(gid), "_HOSTNAME": "host", "_TRANSPORT": "syslog"}
    fields |= {"SYSLOG_IDENTIFIER": name, "SYSLOG_PID": told.rstrip("]"), "MESSAGE": message}
    return json.dumps(fields | ({"_COMM": comms[pid]} if pid in comms else {})) + "\n"


class Recorder:
    def __init__(self, box):
        self.box, self.truth, self.number = box, [], 0
        self.prints = {}

    # --- The host -----------------------------------------------------------------------------------------------

    def set_up(self):
        box = self.box
        box.run("mount", "-t", "tmpfs", "-o", "mode=700", "tmpfs", "/root")
        box.run("mount", "-t", "devpts", "-o", "newinstance,ptmxmode=0666,mode=0620,gid=5", "devpts", "/dev/pts")
        box.run("mount", "--bind", "/dev/pts/ptmx", "/dev/ptmx")
        for name, uid in (("ana", 1001), ("bob", 1002), ("deploy", 1003)):
            box.run("useradd", "-m", "-s", "/bin/bash", "-u", str(uid), name)
        box.run("chpasswd", input=f"bob:{PASSWORD}\nana:{PASSWORD}\nroot:{PASSWORD}\n", stdin=None)
        self.write("/etc/sudoers.d/ana", "ana ALL=(ALL) NOPASSWD: ALL\n", 0o440)
        box.run("mkdir", "-p", "/etc/watched", "/run/sshd", "/run/keys", "/etc/audit/plugins.d")
        box.run("chmod", "0777", "/etc/watched")
        for name in ("ana", "one", "two", "three", "cert", "ca", "other", "root"):
            box.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"/run/keys/{name}")
            self.prints[name] = box.run("ssh-keygen", "-lf", f"/run/keys/{name}.pub").stdout.split()[1]
        box.run("cp", "/run/keys/ca.pub", "/etc/ssh/ca.pub")
        box.run(
            "ssh-keygen",
            "-q",
            "-s",
            "/run/keys/ca",
            "-I",
            "max@ops (team) from x port 1",
            "-z",
            "17",
            "-n",
            "deploy",
            "/run/keys/cert.pub",
        )
        self.authorize("ana", "ana")
        self.authorize("deploy", "one", "two", "three")
        self.authorize("root", "root")
        self.write("/etc/audit/auditd.conf", AUDITD)
        self.write("/etc/audit/rules.d/test.rules", RULES)
        sftp = "/usr/lib/openssh/sftp-server"
        self.write("/etc/ssh/sshd_config", f"Port 22\nUsePAM yes\nPidFile /run/sshd.pid\n{SSHD.format(sftp=sftp)}")
        self.write("/etc/ssh/nopam", f"Port 2222\nUsePAM no\nPidFile /run/nopam.pid\n{SSHD.format(sftp=sftp)}")
        internal = SSHD.format(sftp="internal-sftp")
        self.write("/etc/ssh/internal", f"Port 2223\nUsePAM yes\nPidFile /run/internal.pid\n{internal}")
        self.write("/etc/ssh/nested", f"Port 2224\nUsePAM yes\nPidFile /run/nested.pid\n{SSHD.format(sftp=sftp)}")
        box.run("ssh-keygen", "-A")

    def write(self, path, content, mode=0o644):
        target = self.box.inside(path)
        target.write_text(content)
        target.chmod(mode)

    def authorize(self, user, *keys):
        home = "/root" if user == "root" else f"/home/{user}"
        lines = "# first line\n" + "".join((self.box.inside(f"/run/keys/{key}.pub")).read_text() for key in keys)
        self.box.run("mkdir", "-p", f"{home}/.ssh")
        self.write(f"{home}/.ssh/authorized_keys", lines, 0o600)
        self.box.run("chown", "-R", f"{user}:", f"{home}/.ssh")
        self.box.run("chmod", "700", f"{home}/.ssh")

    def start(self):
        self.box.run("auditd", "-c", "/etc/audit")
        wait_for(lambda: audit_status()["pid"] != "0", "auditd")
        self.box.run("auditctl", "-R", "/etc/audit/rules.d/test.rules")
        for conf in ("sshd_config", "nopam", "internal"):
            self.box.run("/usr/sbin/sshd", "-f", f"/etc/ssh/{conf}")
        time.sleep(0.5)

    # --- The clients --------------------------------------------------------------------------------------------

    def login(self, name, user, key, *command, options=(), port=22, program="ssh", wait=True, tty=None, **truth):
        """Log in from an address of its own, and note what a session must tell."""
        self.number += 1
        address = f"127.0.1.{self.number}"
        number = len(self.truth)
        self.truth.append(
            {"name": name, "user": user, "key": key and self.prints.get(key), "address": address, **truth}
        )
        identity = ["-i", f"/run/keys/{key}"] if key else []
        words = [program, *options, *CLIENT, "-o", f"BindAddress={address}", "-o", f"Port={port}", *identity]
        words += [f"{user}@127.0.0.1"] if program == "ssh" else []
        self.truth[number]["began"] = time.time()
        process = subprocess.Popen(
            self.box.enter([*words, *command]),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd="/",
            start_new_session=True,
        )
        if not wait:
            return process
        out, err = process.communicate(b"", timeout=60)
        self.truth[number] |= {"ended": time.time(), "status": process.returncode}
        print(name, process.returncode, out[-200:], err[-300:], flush=True)
        return out

    def everything(self):
        ssh = self.login
        ssh(
            "one command",
            "ana",
            "ana",
            "/bin/echo plain 'two words' é; exec /bin/true",
            commands=[["/bin/echo", "plain", "two words", "é"], ["/bin/true"]],
        )
        ssh("key one", "deploy", "one", "/bin/echo by-one", commands=[["/bin/echo", "by-one"]], line=2)
        ssh("key two", "deploy", "two", "/bin/echo by-two", commands=[["/bin/echo", "by-two"]], line=3)
        ssh("key three", "deploy", "three", "/bin/echo by-three", commands=[["/bin/echo", "by-three"]], line=4)
        ssh(
            "certificate",
            "deploy",
            "cert",
            "/bin/echo by-cert",
            commands=[["/bin/echo", "by-cert"]],
            certificate={"id": "max@ops (team) from x port 1", "serial": "17", "ca": self.prints["ca"]},
        )
        ssh("root", "root", "root", "/bin/echo as-root", commands=[["/bin/echo", "as-root"]])
        ssh("wrong key", "ana", "other", "/bin/true", refused=True)
        ssh(
            "terminal",
            "ana",
            "ana",
            "/bin/echo on-a-terminal",
            options=["-tt"],
            tty=True,
            terminal=True,
            commands=[["/bin/echo", "on-a-terminal"]],
        )
        self.shell()
        self.password()
        ssh("sftp", "ana", "ana", "ana@127.0.0.1", program="sftp", options=["-b", "/dev/null"], kinds=["subsystem"])
        ssh(
            "internal sftp",
            "ana",
            "ana",
            "ana@127.0.0.1",
            program="sftp",
            port=2223,
            options=["-b", "/dev/null"],
            kinds=["subsystem"],
        )
        ssh("scp", "ana", "ana", "/etc/hostname", "ana@127.0.0.1:copied", program="scp", kinds=["subsystem"])
        ssh(
            "old scp",
            "ana",
            "ana",
            "-O",
            "/etc/hostname",
            "ana@127.0.0.1:copied",
            program="scp",
            kinds=["command"],
        )
        self.multiplexed()
        self.jump()
        self.forwarding()
        ssh(
            "nohup",
            "ana",
            "ana",
            "nohup sh -c 'sleep 1.5; /bin/echo survived-nohup' >/dev/null 2>&1 & /bin/echo started",
            survived=[["/bin/echo", "survived-nohup"]],
        )
        ssh(
            "tmux",
            "ana",
            "ana",
            "TMUX_TMPDIR=~ tmux new-session -d 'sleep 1.5; /bin/echo survived-tmux'",
            survived=[["/bin/echo", "survived-tmux"]],
        )
        ssh(
            "sudo",
            "ana",
            "ana",
            "sudo /bin/echo 'by sudo'; sudo -u bob /bin/echo for-bob",
            commands=[["/bin/echo", "by sudo"], ["/bin/echo", "for-bob"]],
            became=[["sudo", "ana", "root", "success"], ["sudo", "ana", "bob", "success"]],
        )
        ssh(
            "sudo on a terminal",
            "ana",
            "ana",
            "sudo -u bob /bin/sh -c '(/bin/echo on-a-pty; /bin/true)'",
            options=["-tt"],
            terminal=True,
            commands=[["/bin/echo", "on-a-pty"]],
            became=[["sudo", "ana", "bob", "success"]],
        )
        ssh(
            "su chain",
            "root",
            "root",
            "su bob -c 'su -c /usr/bin/id root </dev/null; /bin/echo still-bob'; su - ana -c 'sudo /bin/echo root-again'",
            commands=[["/bin/echo", "still-bob"], ["/bin/echo", "root-again"]],
            became=[
                ["su", "root", "bob", "success"],
                ["su", "bob", "root", "failed"],
                ["su", "root", "ana", "success"],
                ["sudo", "ana", "root", "success"],
            ],
        )
        ssh(
            "sudo su",
            "ana",
            "ana",
            "sudo su - bob -c '/bin/echo deep'",
            commands=[["/bin/echo", "deep"]],
            became=[["sudo", "ana", "root", "success"], ["su", "root", "bob", "success"]],
        )
        ssh(
            "files",
            "ana",
            "ana",
            "cd /etc/watched; /bin/echo x; echo x > new; echo y >> new; mv new newer; rm newer; mkdir d; ln -s a l; chmod 600 l 2>/dev/null; cat * >/dev/null 2>&1",
            files=[["created", "/etc/watched/new"], ["removed", "/etc/watched/newer"], ["created", "/etc/watched/d"]],
        )
        ssh(
            "failing commands",
            "ana",
            "ana",
            "/etc/passwd; /nonexistent; /bin/false; /bin/true",
            commands=[["/bin/false"], ["/bin/true"]],
        )
        ssh(
            "argv of 300 kB",
            "ana",
            "ana",
            "for i in 1 2 3; do /bin/true $(head -c 100000 /dev/zero | tr '\\0' \"$i\"); done",
            lengths=[100000, 100000, 100000],
        )
        ssh("many arguments", "ana", "ana", "/bin/true $(seq 1 5000) 'end of it'", arguments=5002)
        ssh(
            "escapes",
            "ana",
            "ana",
            "/bin/echo $'\\e[2J' $'line\\nfeed' 'type=LOGIN msg=audit(1.2:3): ses=9' \"it's\" '' $'\\xff'",
            commands=[
                ["/bin/echo", "\x1b[2J", "line\nfeed", "type=LOGIN msg=audit(1.2:3): ses=9", "it's", "", "\\xff"]
            ],
        )
        ssh(
            "forged lines",
            "ana",
            "ana",
            "/usr/bin/python3 -c "
            + shlex.quote(FORGE_LINES)
            + "; logger -p authpriv.info -t 'sshd[4244]' 'Accepted password for root from 10.9.9.9 port 667 ssh2'; sleep 0.2; /bin/echo forged",
            commands=[["/bin/echo", "forged"]],
            forged=True,
        )
        ssh(
            "forged records",
            "root",
            "root",
            "auditctl -m 'op=PAM:session_open acct=bob exe=/usr/sbin/sshd ses=88 res=success'; /usr/bin/python3 -c "
            + shlex.quote(FORGE_RECORDS)
            + "; /bin/echo records",
            commands=[["/bin/echo", "records"]],
        )
        self.rotate()
        ssh("without PAM", "ana", "ana", "/bin/echo no-pam", port=2222, pam=False)
        self.killed()
        self.nested()
        ssh("reverse order", "bob", None, "/bin/true", options=["-o", "BatchMode=yes"], refused=True)
        self.open()

    def shell(self):
        process = self.login(
            "shell", "ana", "ana", options=["-T"], wait=False, kinds=["shell"], commands=[["/bin/echo", "typed"]]
        )
        process.communicate(b"/bin/echo typed\nexit 3\n", timeout=30)

    def password(self):
        self.write("/run/askpass", f"#!/bin/sh\necho {PASSWORD}\n", 0o755)
        words = ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=1"]
        os.environ.update(SSH_ASKPASS="/run/askpass", SSH_ASKPASS_REQUIRE="force", DISPLAY="none")
        self.login(
            "password",
            "bob",
            None,
            "/bin/echo by-password",
            options=words,
            method="password",
            commands=[["/bin/echo", "by-password"]],
        )

    def multiplexed(self):
        master = ["-o", "ControlMaster=yes", "-o", "ControlPath=/run/mux", "-N"]
        process = self.login(
            "multiplexed",
            "ana",
            "ana",
            options=master,
            wait=False,
            kinds=["command", "command", "subsystem"],
            commands=[["/bin/echo", "first"], ["/bin/echo", "second"]],
        )
        wait_for(lambda: self.box.inside("/run/mux").exists(), "the master")
        for word in ("first", "second"):
            self.box.run("ssh", "-F", "none", "-S", "/run/mux", "ana@127.0.0.1", f"/bin/echo {word}")
        self.box.run("sftp", "-F", "none", "-o", "ControlPath=/run/mux", "-b", "/dev/null", "ana@127.0.0.1")
        self.box.run("ssh", "-F", "none", "-S", "/run/mux", "-O", "exit", "ana@127.0.0.1", check=False)
        process.communicate(timeout=30)

    def jump(self):
        self.number += 1
        first = f"127.0.1.{self.number}"
        self.truth.append(
            {
                "name": "jump",
                "user": "deploy",
                "key": self.prints["one"],
                "address": first,
                "kinds": ["forwarding"],
                "commands": [],
            }
        )
        hop = " ".join(["ssh", *CLIENT, "-b", first, "-i", "/run/keys/one", "-W", "%h:%p", "deploy@127.0.0.1"])
        # Behind the first host the address is the first host's.
        self.truth.append(
            {
                "name": "behind the jump",
                "user": "ana",
                "key": self.prints["ana"],
                "address": "127.0.0.1",
                "commands": [["/bin/echo", "behind"]],
            }
        )
        done = self.box.run(
            "ssh", *CLIENT, "-i", "/run/keys/ana", "-o", f"ProxyCommand={hop}", "ana@127.0.0.1", "/bin/echo behind"
        )
        print("jump", done.stdout, done.stderr, flush=True)

    def forwarding(self):
        process = self.login(
            "forwarding only",
            "ana",
            "ana",
            options=["-N", "-L", "127.0.0.1:9922:127.0.0.1:22"],
            wait=False,
            kinds=["forwarding"],
            commands=[],
        )
        wait_for(
            lambda: (
                self.box.run("sh", "-c", "exec 3<>/dev/tcp/127.0.0.1/9922", check=False).returncode == 0
                or self.box.run("bash", "-c", "exec 3<>/dev/tcp/127.0.0.1/9922", check=False).returncode == 0
            ),
            "the forwarding",
        )
        process.send_signal(signal.SIGTERM)
        process.wait(30)

    def rotate(self):
        os.kill(int(audit_status()["pid"]), signal.SIGUSR1)
        time.sleep(0.5)

    def killed(self):
        client = self.login(
            "client killed",
            "ana",
            "ana",
            "/bin/sleep 5.25",
            wait=False,
            commands=[["/bin/sleep", "5.25"]],
            state="closed",
        )
        time.sleep(1)
        client.kill()
        client.wait()
        server = self.login(
            "monitor killed",
            "ana",
            "ana",
            "/bin/echo before; sleep 2; /bin/echo after",
            wait=False,
            commands=[["/bin/echo", "before"], ["/bin/echo", "after"]],
            state="killed",
        )
        wait_for(lambda: b"before" in server.stdout.readline(), "the command")
        # Its monitor is the last sshd that the listener has forked and that is root's.
        found = self.box.run("pgrep", "-f", r"^sshd: ana \[priv\]").stdout.split()
        os.kill(int(found[-1]), signal.SIGKILL)
        server.wait(30)
        child = self.login(
            "child killed",
            "ana",
            "ana",
            "/bin/echo before; sleep 2",
            wait=False,
            commands=[["/bin/echo", "before"]],
            state="closed",
        )
        wait_for(lambda: b"before" in child.stdout.readline(), "the command")
        found = self.box.run("pgrep", "-f", r"^sshd: ana@").stdout.split()
        os.kill(int(found[-1]), signal.SIGKILL)
        child.wait(30)

    def nested(self):
        self.login(
            "starts a sshd",
            "root",
            "root",
            "/usr/sbin/sshd -f /etc/ssh/nested; /bin/echo nested",
            wait=True,
            commands=[["/bin/echo", "nested"]],
        )
        self.login(
            "nested, same user",
            "root",
            "root",
            "/bin/echo inner-root",
            port=2224,
            commands=[["/bin/echo", "inner-root"]],
            nested=True,
        )
        self.login(
            "nested, other user", "ana", "ana", "/bin/echo inner-ana", port=2224, commands=[["/bin/echo", "inner-ana"]]
        )

    def open(self):
        self.waiting = self.login(
            "open",
            "ana",
            "ana",
            "/bin/echo waiting; sleep 50",
            wait=False,
            state="open",
            commands=[["/bin/echo", "waiting"]],
        )
        wait_for(lambda: b"waiting" in self.waiting.stdout.readline(), "the command")


def main(directory, made=Recorder):
    out = pathlib.Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as base, _keeper.audit_subsystem():
        box = Recorded(base)
        try:
            recorder = made(box)
            recorder.set_up()
            recorder.start()
            recorder.everything()
            time.sleep(1)
            for path in box.inside("/var/log/audit").glob("audit.log*"):
                shutil.copy(path, out)
            comms = dict(recorder_comms(box))
            (out / "auth.log").write_text("".join(as_syslog(one) for one in box.messages))
            (out / "journal.json").write_text("".join(as_journal(one, comms) for one in box.messages if one[2]))
            (out / "truth.json").write_text(json.dumps(recorder.truth, indent=1))
        finally:
            box.close()
            auditctl("-D")


def recorder_comms(box):
    for _when, data, creds in box.messages:
        tag = data.partition(b">")[2][16:].partition(b"[")[0].decode()
        if creds and tag == "sshd" and creds[1] == 0:
            yield creds[0], "sshd"


if __name__ == "__main__":
    main(sys.argv[1])
