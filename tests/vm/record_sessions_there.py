# ruff: noqa: E501
"""
Record real logins of every kind in a machine with systemd and its journal, from within it, as root.

    record_sessions_there.py DIRECTORY before|after

``before`` and ``after`` a reboot. Beside what ``tests/integration/record_sessions.py`` does: a clock that is set back
and forth, process numbers that come again, sshd restarted, sessions open when the host goes down.
"""

import datetime
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "integration"))

import record_sessions  # noqa: E402
from _waiting import wait_for  # noqa: E402
from record_sessions import PASSWORD, Recorder  # noqa: E402

SSHD = record_sessions.SSHD + "Include /etc/ssh/also/*.conf\n"
JOURNAL_FORGERY = r"""
import socket, os
log = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
log.connect('/run/systemd/journal/socket')
for pid in (1, os.getppid()):
    log.send(('SYSLOG_IDENTIFIER=sshd-session\nSYSLOG_PID=%d\n_PID=%d\n_UID=0\n_COMM=sshd-session\nPRIORITY=6\n'
              'MESSAGE=Accepted publickey for root from 10.9.9.9 port 666 ssh2: ED25519 SHA256:%s\n' % (pid, pid, 'A' * 43)).encode())
"""


class Here:
    """This machine, in the place of a sandbox."""

    messages = ()

    def run(self, *command, check=True, **options):
        options = {"capture_output": True, "text": True, "cwd": "/", "stdin": subprocess.DEVNULL, **options}
        if options.get("input") is not None:
            options.pop("stdin")
        done = subprocess.run(list(map(str, command)), check=False, **options)
        if check and done.returncode:
            raise SystemExit(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
        return done

    def enter(self, command):
        return [str(one) for one in command]

    def inside(self, path):
        return pathlib.Path(path)


class There(Recorder):
    def set_up(self):
        box = self.box
        for name, uid in (("ana", 1001), ("bob", 1002), ("deploy", 1003), ("kurt", 1004)):
            box.run("useradd", "-m", "-s", "/bin/bash", "-u", str(uid), name)
        box.run("chpasswd", input=f"bob:{PASSWORD}\nana:{PASSWORD}\nroot:{PASSWORD}\nkurt:{PASSWORD}\n")
        self.write("/etc/sudoers.d/ana", "ana ALL=(ALL) NOPASSWD: ALL\nbob ALL=(ALL) ALL\n", 0o440)
        box.run("mkdir", "-p", "/etc/watched", "/run/sshd", "/run/keys", "/etc/ssh/also", "/srv/jail")
        box.run("chmod", "0777", "/etc/watched")
        for name in ("ana", "one", "two", "three", "cert", "ca", "other", "root", "forced"):
            box.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"/run/keys/{name}")
            self.prints[name] = box.run("ssh-keygen", "-lf", f"/run/keys/{name}.pub").stdout.split()[1]
        box.run("ssh-keygen", "-q", "-t", "rsa", "-N", "", "-C", "r", "-f", "/run/keys/rsa")
        box.run("ssh-keygen", "-q", "-t", "ecdsa", "-N", "", "-C", "r", "-f", "/run/keys/ecdsa")
        for name in ("rsa", "ecdsa"):
            self.prints[name] = box.run("ssh-keygen", "-lf", f"/run/keys/{name}.pub").stdout.split()[1]
        shutil.copy("/run/keys/ca.pub", "/etc/ssh/ca.pub")
        sign = ["ssh-keygen", "-q", "-s", "/run/keys/ca", "-n", "deploy"]
        box.run(*sign, "-I", "max@ops (team) from x port 1", "-z", "17", "/run/keys/cert.pub")
        self.authorize("ana", "ana", "rsa", "ecdsa")
        self.authorize("deploy", "one", "two", "three")
        with open("/home/deploy/.ssh/authorized_keys", "a", encoding="utf-8") as handle:
            handle.write('command="/bin/echo forced here",restrict ' + pathlib.Path("/run/keys/forced.pub").read_text())
        self.authorize_root()
        for name, conf in self.servers().items():
            self.write(f"/etc/ssh/{name}", conf)
        for path in pathlib.Path("/etc/audit/rules.d").glob("*"):
            path.unlink()
        self.write("/etc/audit/rules.d/test.rules", record_sessions.RULES.replace("-e 1\n", ""))
        conf = record_sessions.AUDITD.replace("space_left = 2", "space_left = 75")
        conf = conf.replace("admin_space_left = 1", "admin_space_left = 50")
        self.write(
            "/etc/audit/auditd.conf", conf + "space_left_action = SYSLOG\nadmin_space_left_action = SYSLOG\n", 0o640
        )

    def servers(self):
        sftp = "/usr/lib/openssh/sftp-server"
        plain, internal = SSHD.format(sftp=sftp), SSHD.format(sftp="internal-sftp")
        kinds = {"nopam": (2222, "no", plain), "internal": (2223, "yes", internal), "nested": (2224, "yes", plain)}
        kinds["quiet"] = (2225, "yes", plain.replace("VERBOSE", "INFO"))
        kinds["keyboard"] = (
            2226,
            "yes",
            plain.replace("KbdInteractiveAuthentication no", "KbdInteractiveAuthentication yes").replace(
                "PasswordAuthentication yes", "PasswordAuthentication no"
            ),
        )
        found = {
            name: f"Port {port}\nUsePAM {pam}\nPidFile /run/{name}.pid\n{conf}"
            for name, (port, pam, conf) in kinds.items()
        }
        every = plain.replace("ListenAddress 127.0.0.1\n", "")
        return found | {"sshd_config": f"Port 22\nUsePAM yes\nPidFile /run/sshd.pid\n{every}"}

    def authorize_root(self):
        with open("/root/.ssh/authorized_keys", "a", encoding="utf-8") as handle:
            handle.write(pathlib.Path("/run/keys/root.pub").read_text())

    def start(self):
        run = self.box.run
        run("systemctl", "restart", "auditd", check=False)
        time.sleep(2)
        run("auditctl", "-R", "/etc/audit/rules.d/test.rules")
        run("systemctl", "restart", "ssh")
        self.servers_start()

    def servers_start(self):
        for conf in ("nopam", "internal", "quiet", "keyboard"):
            self.box.run(
                "systemd-run", "--quiet", f"--unit=ssh-{conf}", "/usr/sbin/sshd", "-D", "-f", f"/etc/ssh/{conf}"
            )
        time.sleep(3)

    # --- More kinds ---------------------------------------------------------------------------------------------

    def more(self):
        ssh = self.login
        for number, key in enumerate(("rsa", "ecdsa")):
            ssh(f"key {key}", "ana", key, f"/bin/echo by-{key}", commands=[["/bin/echo", f"by-{key}"]], line=3 + number)
        ssh(
            "forced command",
            "deploy",
            "forced",
            "/bin/echo asked-for",
            kinds=["command"],
            commands=[["/bin/echo", "forced", "here"]],
            line=5,
        )
        ssh("quiet sshd", "ana", "ana", "/bin/echo quiet", port=2225, commands=[["/bin/echo", "quiet"]])
        words = ["-o", "PreferredAuthentications=keyboard-interactive", "-o", "NumberOfPasswordPrompts=1"]
        ssh(
            "keyboard-interactive",
            "bob",
            None,
            "/bin/echo by-kbd",
            options=words,
            port=2226,
            method="keyboard-interactive/pam",
            commands=[["/bin/echo", "by-kbd"]],
        )
        ssh(
            "unknown account",
            "nosuch from 6.6.6.6 port 1 ssh2",
            "ana",
            "/bin/true",
            refused=True,
            failed={"user": "nosuch from 6.6.6.6 port 1 ssh2", "known": False},
        )
        ssh("locked out", "kurt", "ana", "/bin/true", refused=True)
        bad = ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=3"]
        self.write("/run/askpass", "#!/bin/sh\necho wrong\n", 0o755)
        ssh(
            "wrong passwords",
            "bob",
            None,
            "/bin/true",
            options=bad,
            refused=True,
            failed={"user": "bob", "method": "password", "count": 3, "known": True},
        )
        ssh(
            "sudo -i",
            "ana",
            "ana",
            "sudo -i /bin/echo as-login-shell; sudo -s /bin/echo as-shell; sudo -l >/dev/null; sudo -k; sudo -v",
            commands=[["/bin/echo", "as-login-shell"], ["/bin/echo", "as-shell"]],
            became=[["sudo", "ana", "root", "success"], ["sudo", "ana", "root", "success"]],
        )
        ssh(
            "su and back",
            "root",
            "root",
            "su - bob -c '/bin/echo is-bob'; su -s /bin/sh nobody -c '/bin/echo is-nobody'; /bin/echo root-still; runuser -u ana -- /bin/echo by-runuser; setpriv --reuid 1003 --clear-groups /bin/echo by-setpriv",
            commands=[
                ["/bin/echo", "is-bob"],
                ["/bin/echo", "is-nobody"],
                ["/bin/echo", "root-still"],
                ["/bin/echo", "by-runuser"],
                ["/bin/echo", "by-setpriv"],
            ],
            became=[
                ["su", "root", "bob", "success"],
                ["su", "root", "nobody", "success"],
                ["other", "root", "ana", "success"],
                ["other", "root", "deploy", "success"],
            ],
        )
        ssh(
            "su in a shell on a terminal",
            "ana",
            "ana",
            "sudo su - root -c 'su bob -c \"/bin/echo deeper; sudo -n -u deploy /bin/echo no\"'; true",
            options=["-tt"],
            terminal=True,
            commands=[["/bin/echo", "deeper"]],
            became=[
                ["sudo", "ana", "root", "success"],
                ["su", "root", "root", "success"],
                ["su", "root", "bob", "success"],
                ["sudo", "bob", None, "failed"],
            ],
        )
        ssh(
            "setsid and at once",
            "ana",
            "ana",
            "setsid sh -c 'sleep 3; /bin/echo survived-setsid' >/dev/null 2>&1 </dev/null & /bin/echo off",
            survived=[["/bin/echo", "survived-setsid"]],
        )
        ssh(
            "systemd-run",
            "root",
            "root",
            "systemd-run --quiet /bin/echo by-systemd; /bin/echo done",
            commands=[["/bin/echo", "done"]],
        )
        ssh(
            "forged journal",
            "ana",
            "ana",
            "cp /usr/bin/logger /tmp/sshd-session; /tmp/sshd-session -t sshd-session 'Failed password for forged from 10.9.9.9 port 667 ssh2'; /tmp/sshd-session -i -t sshd-session 'Accepted password for root from 10.9.9.9 port 667 ssh2'; /usr/bin/python3 -c "
            + record_sessions.shlex.quote(JOURNAL_FORGERY)
            + "; sleep 0.5; /bin/echo forged",
            commands=[["/bin/echo", "forged"]],
        )
        ssh("empty shell", "ana", "ana", options=["-T"], kinds=["shell"])

    def gone(self, pid):
        wait_for(lambda: not os.path.exists(f"/proc/{pid}"), "the end of a process")

    def said(self, process, word):
        wait_for(lambda: word in process.stdout.readline(), "the command")

    def pids(self):
        """One process number for three logins, and one that fails."""
        used = {}
        for number, (user, key) in enumerate((("deploy", "one"), ("deploy", "two"), ("ana", "other"), ("ana", "ana"))):
            if used:
                self.gone(used["pid"])
                # The next process gets the next number: the client's, or sshd's when that has been forked first.
                pathlib.Path("/proc/sys/kernel/ns_last_pid").write_text(str(used["pid"] - 3))
            refused = {"refused": True} if key == "other" else {"commands": [["/bin/echo", f"pid-{number}"]]}
            self.login(f"pid again {number}", user, key, f"/bin/echo pid-{number}", **refused)
            if not used:
                said = self.box.run(
                    "journalctl", "-q", "-o", "json", "-n", "400", "-t", "sshd-session"
                ).stdout.splitlines()
                [last] = [json.loads(one) for one in said if "Accepted publickey for deploy" in one][-1:]
                used["pid"] = int(last["_PID"])

    def clock(self):
        """The clock is set an hour back in the middle of a session, and back again in another."""
        for name, seconds in (("back", -3600), ("forth", 3600)):
            process = self.login(
                f"clock {name}",
                "ana",
                "ana",
                "/bin/echo before; sleep 6; /bin/echo after",
                wait=False,
                commands=[["/bin/echo", "before"], ["/bin/echo", "after"]],
                clock=seconds,
            )
            self.said(process, b"before")
            time.clock_settime(time.CLOCK_REALTIME, time.time() + seconds)
            process.wait(60)
            if seconds < 0:
                self.login(
                    "an hour ago", "deploy", "two", "/bin/echo an-hour-ago", commands=[["/bin/echo", "an-hour-ago"]]
                )

    def rotate(self):
        os.kill(int(record_sessions.audit_status()["pid"]), signal.SIGUSR1)
        time.sleep(1)

    def held(self, name, **truth):
        process = self.login(
            name,
            "ana",
            "ana",
            "/bin/echo waiting; sleep 1000; /bin/echo over",
            wait=False,
            commands=[["/bin/echo", "waiting"]],
            **truth,
        )
        self.said(process, b"waiting")
        return process

    def killed(self):
        client = self.held("client killed", state="closed")
        client.kill()
        client.wait()
        for name, title, state in (
            ("monitor killed", r"^sshd-session: ana \[priv\]", "killed"),
            ("child killed", r"^sshd-session: ana@", "closed"),
        ):
            one = self.login(
                name,
                "ana",
                "ana",
                "/bin/echo before; sleep 4; /bin/echo after",
                wait=False,
                commands=[["/bin/echo", "before"]],
                state=state,
            )
            self.said(one, b"before")
            os.kill(int(self.box.run("pgrep", "-n", "-f", title).stdout.split()[-1]), signal.SIGKILL)
            one.wait(60)
            time.sleep(5)
        over = self.held("sshd restarted", state="closed")
        self.box.run("systemctl", "restart", "ssh")
        time.sleep(2)
        assert over.poll() is None
        over.terminate()
        over.wait(30)
        self.rotate_in_the_middle()

    def rotate_in_the_middle(self):
        process = self.login(
            "rotated",
            "ana",
            "ana",
            "/bin/echo first-file; sleep 6; /bin/echo second-file",
            wait=False,
            commands=[["/bin/echo", "first-file"], ["/bin/echo", "second-file"]],
        )
        self.said(process, b"first-file")
        self.rotate()
        process.wait(60)

    def open(self):
        pass

    def everything_before(self):
        self.everything()
        self.more()
        self.pids()
        self.clock()
        self.held("open at the reboot", state="rebooted")

    def everything_after(self):
        self.number = 120
        self.servers_start()
        self.login(
            "after the reboot", "deploy", "three", "/bin/echo new-boot", commands=[["/bin/echo", "new-boot"]], line=4
        )
        self.login(
            "after the reboot, root",
            "root",
            "root",
            "/bin/echo new-boot-root",
            commands=[["/bin/echo", "new-boot-root"]],
        )
        self.held("open", state="open")


def main(directory, when):
    out = pathlib.Path(directory)
    out.mkdir(parents=True, exist_ok=True)
    recorder = There(Here())
    os.environ.update(SSH_ASKPASS="/run/askpass", SSH_ASKPASS_REQUIRE="force", DISPLAY="none")
    if when == "before":
        (out / "since").write_text(datetime.datetime.now(datetime.timezone.utc).isoformat())
        recorder.set_up()
        recorder.start()
        recorder.everything_before()
        (out / "prints.json").write_text(json.dumps(recorder.prints))
        pathlib.Path("/root/keys").mkdir()
        for path in pathlib.Path("/run/keys").iterdir():
            shutil.copy(path, "/root/keys")
    else:
        pathlib.Path("/run/keys").mkdir(exist_ok=True)
        for path in pathlib.Path("/root/keys").iterdir():
            shutil.copy(path, "/run/keys")
            os.chmod(f"/run/keys/{path.name}", 0o600)
        recorder.prints = json.loads((out / "prints.json").read_text())
        recorder.everything_after()
    (out / f"truth-{when}.json").write_text(json.dumps(recorder.truth, indent=1))
    if when == "after":
        time.sleep(3)
        for path in pathlib.Path("/var/log/audit").glob("audit.log*"):
            shutil.copy(path, out)
        for path in pathlib.Path("/var/log").glob("auth.log*"):
            shutil.copy(path, out)
        with open(out / "journal.json", "wb") as handle:
            subprocess.run(["journalctl", "-q", "-o", "json"], stdout=handle, check=True)
    (out / f"done-{when}").touch()
    if when == "before":
        # What is open has to stay open until the machine goes down.
        time.sleep(600)
    else:
        time.sleep(60)


if __name__ == "__main__":
    main(*sys.argv[1:])
