# ruff: noqa: E501
"""
Record real logins in which people become others, in ways beside those of ``record_sessions.py``, and of more methods.

    record_switches.py DIRECTORY [PACKAGES]

Writes what ``record_sessions.py`` does, likewise. ``PACKAGES`` is a directory of Debian packages (sudo, opendoas, screen)
for a host that lacks them: they are unpacked in the sandbox alone. Needs root, the kernel's audit, and a minute.
"""

import os
import pathlib
import pty
import select
import subprocess
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))

import record_sessions  # noqa: E402
from _waiting import wait_for  # noqa: E402
from record_sessions import CLIENT, PASSWORD, SSHD, Recorder  # noqa: E402

SERVERS = {
    "team": (2230, "AuthorizedPrincipalsFile /etc/ssh/principals/%u"),
    "alive": (2231, "ClientAliveInterval 1\nClientAliveCountMax 2\nX11Forwarding yes"),
    "forced": (2232, "ForceCommand /bin/echo forced config"),
    "two": (2233, "AuthenticationMethods publickey,password"),
    "command": (
        2234,
        "AuthorizedKeysFile none\nAuthorizedKeysCommand /bin/cat /run/keys/%u.pub\nAuthorizedKeysCommandUser nobody",
    ),
    "md5": (2235, "FingerprintHash md5"),
    "dns": (2236, "UseDNS yes"),
}
SETUID = "import os; os.setgid(1002); os.setuid(1002); os.execv('/bin/echo', ['/bin/echo', 'as-bob'])"
UNKNOWN = ("no such", "rooét", "x from 1.2.3.4 port 5 ssh2", "a" * 300, "", "invalid user root")


def echo(word):
    return ["/bin/echo", word]


class Switches(Recorder):
    def __init__(self, box, packages=None):
        super().__init__(box)
        self.packages = packages

    def set_up(self):
        if self.packages:
            self.unpack()
        super().set_up()
        box = self.box
        self.write(
            "/etc/sudoers.d/ana", "ana ALL=(ALL) NOPASSWD: ALL\nDefaults !lecture\ndeploy ALL=(ALL) ALL\n", 0o440
        )
        self.write("/etc/doas.conf", "permit nopass ana\n", 0o600)
        box.run("chpasswd", input=f"deploy:{PASSWORD}\n", stdin=None)
        box.run("groupadd", "crew")
        box.run("usermod", "-aG", "crew", "ana")
        box.run("mkdir", "-p", "/etc/ssh/principals")
        self.write("/etc/ssh/principals/deploy", "team-x\nops\n")
        for name, known, principals in (("eva", "eva@corp", "ops"), ("kim", "kim@corp serial", "team-x,foo")):
            box.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", f"/run/keys/{name}")
            self.prints[name] = box.run("ssh-keygen", "-lf", f"/run/keys/{name}.pub").stdout.split()[1]
            box.run(
                "ssh-keygen",
                "-q",
                "-s",
                "/run/keys/ca",
                "-I",
                known,
                "-z",
                "5",
                "-n",
                principals,
                f"/run/keys/{name}.pub",
            )
        plain = SSHD.format(sftp="/usr/lib/openssh/sftp-server")
        for name, (port, more) in SERVERS.items():
            self.write(f"/etc/ssh/{name}", f"Port {port}\nUsePAM yes\nPidFile /run/{name}.pid\n{plain}{more}\n")

    def unpack(self):
        layers = [self.box.base / name for name in ("usr-upper", "usr-work")]
        for layer in layers:
            layer.mkdir()
        self.box.run(
            "mount", "-t", "overlay", "-o", f"lowerdir=/usr,upperdir={layers[0]},workdir={layers[1]}", "overlay", "/usr"
        )
        for path in sorted(pathlib.Path(self.packages).glob("*.deb")):
            self.box.run("sh", "-c", f"dpkg-deb --fsys-tarfile {path} | tar -x -C / --keep-directory-symlink")

    def start(self):
        super().start()
        for name in SERVERS:
            self.box.run("/usr/sbin/sshd", "-f", f"/etc/ssh/{name}")
        time.sleep(0.5)

    def typed(self, name, key, user, script, **truth):
        """Log in with a terminal, and type each line when the text before it has come; an empty one stands for any."""
        self.number += 1
        address = f"127.0.1.{self.number}"
        about = {
            "name": name,
            "user": user,
            "key": self.prints[key],
            "address": address,
            "terminal": True,
            "kinds": ["shell"],
        }
        self.truth.append({**about, **truth})
        words = ["ssh", "-tt", *CLIENT, "-o", f"BindAddress={address}", "-i", f"/run/keys/{key}", f"{user}@127.0.0.1"]
        own, theirs = pty.openpty()
        process = subprocess.Popen(
            self.box.enter(words), stdin=theirs, stdout=theirs, stderr=theirs, cwd="/", start_new_session=True
        )
        os.close(theirs)
        seen = b""
        for text, line in (*script, (None, None)):
            end = time.time() + 12
            while (text is None or text.encode() not in seen) and time.time() < end and process.poll() is None:
                if select.select([own], [], [], 0.2)[0]:
                    try:
                        seen += os.read(own, 4096)
                    except OSError:
                        break
            if line is not None:
                seen = seen.partition(text.encode())[2]
                time.sleep(0.2)
                os.write(own, line.encode() + b"\n")
        process.kill()
        print(name, process.wait(), seen[-60:], flush=True)
        os.close(own)

    def everything(self):
        self.methods()
        self.others()
        self.inside()
        self.on_terminals()
        self.surviving()
        self.connections()
        self.refused()
        self.rotate()
        self.login("after a rotation", "ana", "ana", "/bin/echo rotated", commands=[echo("rotated")])

    def methods(self):
        ssh = self.login
        for name, known in (("eva", "eva@corp"), ("kim", "kim@corp serial")):
            certificate = {"id": known, "serial": "5", "ca": self.prints["ca"]}
            ssh(
                f"principals of {name}",
                "deploy",
                name,
                f"/bin/echo {name}",
                port=2230,
                commands=[echo(name)],
                certificate=certificate,
            )
        ssh(
            "forced by the configuration",
            "ana",
            "ana",
            "/bin/echo x",
            port=2232,
            kinds=["command"],
            commands=[["/bin/echo", "forced", "config"]],
        )
        ssh("a key from a command", "ana", "ana", "/bin/echo asked", port=2234, commands=[echo("asked")])
        ssh("fingerprints in MD5", "ana", "ana", "/bin/echo md5", port=2235, commands=[echo("md5")])
        ssh("names looked up", "ana", "ana", "/bin/echo dns", port=2236, commands=[echo("dns")])
        self.askpass(PASSWORD)
        words = ["-o", "PreferredAuthentications=publickey,password", "-o", "NumberOfPasswordPrompts=1"]
        ssh(
            "a key and a password",
            "ana",
            "ana",
            "/bin/echo both",
            port=2233,
            options=words,
            method="password",
            commands=[echo("both")],
        )

    def askpass(self, word):
        self.write("/run/askpass", f"#!/bin/sh\necho {word}\n", 0o755)
        os.environ.update(SSH_ASKPASS="/run/askpass", SSH_ASKPASS_REQUIRE="force", DISPLAY="none")

    def others(self):
        def became(name, user, key, command, words, *changes):
            self.login(
                name, user, key, command, commands=[echo(word) for word in words], became=[list(one) for one in changes]
            )

        root, bob = ("ana", "root", "success"), ("ana", "bob", "success")
        became(
            "doas",
            "ana",
            "ana",
            "doas /bin/echo by-doas; doas -u bob /bin/echo for-bob",
            ["by-doas", "for-bob"],
            ("other", *root),
            ("other", *bob),
        )
        became("doas that says no", "deploy", "one", "doas -n /bin/echo no; /bin/echo after", ["after"])
        became(
            "runuser",
            "root",
            "root",
            "runuser -u bob -- /bin/echo one; runuser - ana -c '/bin/echo two'",
            ["one", "two"],
            ("other", "root", "bob", "success"),
            ("other", "root", "ana", "success"),
        )
        became(
            "sudo with a shell",
            "ana",
            "ana",
            "sudo -i /bin/echo i; sudo -u bob -i /bin/echo bob-i; sudo -s /bin/echo s",
            ["i", "bob-i", "s"],
            ("sudo", *root),
            ("sudo", *bob),
            ("sudo", *root),
        )
        became("sudo that only tells", "ana", "ana", "sudo -l >/dev/null; sudo -v; sudo -k; /bin/echo told", ["told"])
        became(
            "sudo that needs a password",
            "deploy",
            "one",
            "sudo -n /bin/echo no; /bin/echo after",
            ["after"],
            ("sudo", "deploy", None, "failed"),
        )
        became(
            "sudo of what fails",
            "ana",
            "ana",
            "sudo /nonexistent/x; sudo false; /bin/echo f",
            ["f"],
            ("sudo", "ana", None, "failed"),
            ("sudo", *root),
        )
        became("a group", "ana", "ana", "sg crew -c '/bin/echo in-crew'", ["in-crew"])
        became(
            "a program of one's own",
            "root",
            "root",
            f'/usr/bin/python3 -c "{SETUID}"',
            ["as-bob"],
            ("other", "root", "bob", "success"),
        )
        became(
            "setpriv",
            "root",
            "root",
            "setpriv --reuid 1002 --clear-groups /bin/echo set",
            ["set"],
            ("other", "root", "bob", "success"),
        )
        became(
            "a chain",
            "ana",
            "ana",
            "sudo -u deploy sh -c 'sudo -n true; /bin/echo middle'; sudo su bob -c '/bin/echo end'",
            ["middle", "end"],
            ("sudo", "ana", "deploy", "success"),
            ("sudo", "deploy", None, "failed"),
            ("sudo", *root),
            ("su", "root", "bob", "success"),
        )

    def inside(self):
        """The kernel begins another session with what ``login`` does, and with each login id that is written."""
        script = [
            ("# ", "login -f bob"),
            ("$ ", "/bin/echo inner"),
            ("inner", "exit"),
            ("# ", "/bin/echo outer"),
            ("outer", "exit"),
        ]
        self.typed(
            "login -f",
            "root",
            "root",
            script,
            commands=[echo("inner"), echo("outer")],
            became=[["other", "root", "bob", "success"]],
            motd=True,
        )
        write = "sh -c 'echo 1002 > /proc/self/loginuid; /bin/echo written; sudo -u bob /bin/echo then-bob'"
        self.login(
            "a login id",
            "root",
            "root",
            write,
            commands=[echo("written"), echo("then-bob")],
            became=[["sudo", "root", "bob", "success"]],
        )
        script = [
            ("$ ", "sudo login -f bob"),
            ("$ ", "su ana"),
            ("assword: ", PASSWORD),
            ("$ ", "/bin/echo three-deep"),
            ("three-deep", "exit"),
            ("$ ", "exit"),
            ("$ ", "exit"),
        ]
        changes = [
            ["sudo", "ana", "root", "success"],
            ["other", "root", "bob", "success"],
            ["su", "bob", "ana", "success"],
        ]
        self.typed("sudo, login and su", "ana", "ana", script, commands=[echo("three-deep")], became=changes, motd=True)
        # Neither is a login by SSH.
        self.box.run(
            "sh", "-c", "echo 1002 > /proc/self/loginuid; exec setpriv --reuid 1002 --clear-groups /bin/echo cron"
        )

    def on_terminals(self):
        word, wrong = ("assword: ", PASSWORD), ("assword: ", "wrong")
        asked, mistyped = ("deploy: ", PASSWORD), ("deploy: ", "wrong")
        self.typed(
            "su and sudo",
            "one",
            "deploy",
            [
                ("$ ", "su - ana"),
                word,
                ("$ ", "sudo -i"),
                ("# ", "/bin/echo deep"),
                ("deep", "exit"),
                ("$ ", "exit"),
                ("$ ", "exit"),
            ],
            commands=[echo("deep")],
            became=[["su", "deploy", "ana", "success"], ["sudo", "ana", "root", "success"]],
        )
        self.typed(
            "su, first mistyped",
            "one",
            "deploy",
            [
                ("$ ", "su root"),
                wrong,
                ("$ ", "su root"),
                word,
                ("# ", "/bin/echo well"),
                ("well", "exit"),
                ("$ ", "exit"),
            ],
            commands=[echo("well")],
            became=[["su", "deploy", "root", "failed"], ["su", "deploy", "root", "success"]],
        )
        self.typed(
            "sudo, first mistyped",
            "one",
            "deploy",
            [("$ ", "sudo -k /bin/echo well"), mistyped, asked, ("well", "exit")],
            commands=[echo("well")],
            became=[["sudo", "deploy", "root", "success"]],
        )
        self.typed(
            "sudo, always mistyped",
            "one",
            "deploy",
            [("$ ", "sudo -k /bin/echo never"), mistyped, mistyped, mistyped, ("$ ", "exit")],
            commands=[],
            became=[["sudo", "deploy", None, "failed"]],
        )
        self.typed(
            "su in the place of the shell",
            "one",
            "deploy",
            [("$ ", "exec su ana"), word, ("$ ", "/bin/echo instead"), ("instead", "exit")],
            commands=[echo("instead")],
            became=[["su", "deploy", "ana", "success"]],
        )

    def surviving(self):
        for name, command in (
            (
                "screen",
                "export SCREENDIR=$HOME/.sc; mkdir -m 700 $SCREENDIR; TERM=xterm screen -d -m sh -c '{}'; sleep 0.3",
            ),
            ("setsid", "setsid sh -c '{}' >/dev/null 2>&1 </dev/null & sleep 0.2"),
            ("background", "({}) >/dev/null 2>&1 </dev/null & /bin/echo started"),
        ):
            later = f"sleep 1.5; /bin/echo survived-{name}"
            self.login(name, "ana", "ana", command.format(later), survived=[echo(f"survived-{name}")])

    def connections(self):
        for name, words in (
            ("remote forwarding", ["-R", "127.0.0.1:9923:127.0.0.1:22"]),
            ("a proxy", ["-D", "127.0.0.1:9924"]),
        ):
            process = self.login(
                name, "ana", "ana", options=["-N", *words], wait=False, kinds=["forwarding"], commands=[]
            )
            time.sleep(1)
            process.terminate()
            process.wait(20)
        self.agent()
        os.environ["DISPLAY"] = ":99"
        self.login("a display", "ana", "ana", "/bin/echo shown", options=["-Y"], port=2231, commands=[echo("shown")])
        process = self.login(
            "a client that is stopped",
            "ana",
            "ana",
            "/bin/echo up; sleep 30",
            port=2231,
            wait=False,
            commands=[echo("up")],
        )
        wait_for(lambda: b"up" in process.stdout.readline(), "the command")
        os.kill(process.pid, 19)
        time.sleep(4.5)
        process.kill()
        process.wait()

    def agent(self):
        told = self.box.run("ssh-agent", "-s").stdout
        known = dict(part.split("=") for line in told.splitlines() if "=" in (part := line.partition(";")[0]))
        os.environ["SSH_AUTH_SOCK"] = known["SSH_AUTH_SOCK"]
        self.box.run("ssh-add", "/run/keys/ana", "/run/keys/one")
        self.box.run("ip", "addr", "add", "127.0.9.9/8", "dev", "lo", check=False)
        quiet = "-F none -o StrictHostKeyChecking=no -o UserKnownHostsFile=/dev/null -o LogLevel=ERROR"
        self.login(
            "an agent",
            "ana",
            "ana",
            f"ssh {quiet} -b 127.0.9.9 deploy@127.0.0.1 /bin/echo further",
            options=["-A"],
            commands=[],
        )
        about = {"name": "behind the agent", "user": "deploy", "key": self.prints["one"], "address": "127.0.9.9"}
        self.truth.append({**about, "commands": [echo("further")]})
        del os.environ["SSH_AUTH_SOCK"]
        os.kill(int(known["SSH_AGENT_PID"]), 15)

    def refused(self):
        for user in UNKNOWN:
            self.number += 1
            address = f"127.0.1.{self.number}"
            failed = {"user": user[:100], "known": False, "count": 1}
            self.truth.append(
                {"name": "nobody's account", "user": user, "address": address, "refused": True, "failed": failed}
            )
            words = [
                "ssh",
                *CLIENT,
                "-o",
                f"BindAddress={address}",
                "-i",
                "/run/keys/other",
                "-l",
                user,
                "127.0.0.1",
                "true",
            ]
            self.box.run(*words, check=False, timeout=20)
        self.askpass("wrong")
        words = ["-o", "PreferredAuthentications=password", "-o", "NumberOfPasswordPrompts=6"]
        self.login(
            "a wrong password",
            "bob",
            None,
            "/bin/true",
            options=words,
            refused=True,
            failed={"user": "bob", "method": "password", "known": True, "count": 6},
        )


if __name__ == "__main__":
    record_sessions.main(sys.argv[1], lambda box: Switches(box, *sys.argv[2:]))
