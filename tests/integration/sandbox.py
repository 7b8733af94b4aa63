"""
A machine within the machine: its own /etc, /run, /var/log, /home, /dev/log and network, the real kernel.

The audit subsystem is the real one, since the kernel has only one; whoever makes a sandbox holds its lock.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time

NODES = ["full", "null", "ptmx", "random", "tty", "urandom", "zero"]
PRIVATE = ["/etc", "/home", "/var/log", "/var/lib/dpkg", "/var/spool"]
PIDFILES = {"auditd.pid": "auditd", "sshd.pid": "sshd"}
DEADLINE = 60


class Sandbox:
    """Namespaces that last until :meth:`close`; ``run(COMMAND, …)`` runs a command in them."""

    def __init__(self, base):
        self.base = pathlib.Path(base)
        self.messages = []
        # The holder says that the namespaces are there by closing its output.
        self.holder = subprocess.Popen(
            [
                "unshare",
                "--mount",
                "--uts",
                "--net",
                "--propagation",
                "private",
                "sh",
                "-c",
                "echo; exec sleep infinity",
            ],
            stdout=subprocess.PIPE,
        )
        self.holder.stdout.readline()
        self._private_directories()
        self._private_dev()
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command, check=True, **options):
        """Run a command (fixed arguments) in the sandbox and return the finished process."""
        options = {"capture_output": True, "text": True, "cwd": "/", "stdin": subprocess.DEVNULL, **options}
        done = subprocess.run(self._enter(command), check=False, **options)
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def read(self, path):
        """Return the content of the sandbox's file at ``path`` (bytes)."""
        return self.run("cat", path, text=False).stdout

    def tree(self, path):
        """Return every file below the sandbox's ``path`` with its bytes, owner, mode and link target."""
        return dict(_facts(file, self.inside(path)) for file in sorted(self.inside(path).rglob("*")))

    def inside(self, path):
        """Return where the outside finds the sandbox's ``path`` (pathlib.Path)."""
        return pathlib.Path(f"/proc/{self.holder.pid}/root", path.lstrip("/"))

    def pid(self, pidfile):
        """Return the pid that the sandbox's ``/run/PIDFILE`` names (int), or None."""
        with contextlib.suppress(OSError, ValueError):
            return int((self.inside("/run") / pidfile).read_text())
        return None

    def close(self):
        """End what was started in the sandbox, by pid, and the sandbox."""
        for pidfile, name in PIDFILES.items():
            stop(self.pid(pidfile), name)
        self.receiver.close()
        self.holder.terminate()
        self.holder.wait()

    def _enter(self, command):
        return ["nsenter", "-t", str(self.holder.pid), "--mount", "--uts", "--net", *map(str, command)]

    def _mount(self, *args):
        self.run("mount", *args)

    def _private_directories(self):
        for number, path in enumerate(PRIVATE):
            copy = self.base / f"copy{number}"
            subprocess.run(["cp", "-a", path, copy], check=True)
            self._mount("--bind", copy, path)
        self._mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")

    def _private_dev(self):
        """A /dev with its own log socket: the shared one must not get a socket that others would write to."""
        dev = self.base / "dev"
        dev.mkdir()
        for name in NODES:
            (dev / name).touch()
            self._mount("--bind", f"/dev/{name}", dev / name)
        for name in ("pts", "shm"):
            (dev / name).mkdir()
            self._mount("--bind", f"/dev/{name}", dev / name)
        self.receiver = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.receiver.bind(str(dev / "log"))
        (dev / "log").chmod(0o666)
        threading.Thread(target=self._receive, daemon=True).start()
        self._mount("--rbind", dev, "/dev")

    def _receive(self):
        with contextlib.suppress(OSError):
            while message := self.receiver.recv(65536):
                self.messages.append(message)


class Host(Sandbox):
    """A sandbox that knows the command under test."""

    def __init__(self, base, root):
        super().__init__(base)
        self.root = root
        conf = self.base / "conf"
        conf.mkdir()
        config = {"id": "host", "root_dir": str(self.base), "file_client": "local", "module_dirs": [str(root)]}
        config |= {"pillar_roots": {"base": [str(root / "pillar")]}, "enable_fqdns_grains": False}
        (conf / "minion").write_text(json.dumps(config))

    def highstate(self, *args, tree=None, within=()):
        """Run ``bin/highstate`` with the Salt that runs the tests, by the command ``within`` if there is one."""
        bin_dir = pathlib.Path(sys.executable).parent
        environ = dict(os.environ, PATH=f"{bin_dir}:{os.environ['PATH']}")
        return self.run(*within, (tree or self.root) / "bin" / "highstate", *args, env=environ, check=False)

    def drift(self):
        """Return what ``sshtrail.drift`` finds."""
        salt_call = pathlib.Path(sys.executable).parent / "salt-call"
        done = self.run(salt_call, "--local", "-c", self.base / "conf", "--out", "json", "sshtrail.drift")
        return json.loads(done.stdout)["local"]


def changed_tree(root, base, old, new):
    """Copy the checkout to ``base`` with ``old`` replaced by ``new`` in the pillar that all share; return where."""
    shutil.copytree(root, base / "tree", symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__"))
    pillar = base / "tree" / "pillar" / "sshtrail" / "common.sls"
    text = pillar.read_text()
    assert old in text
    pillar.write_text(text.replace(old, new))
    return base / "tree"


def stop(pid, name):
    """End the process ``pid`` if it is still the daemon ``name``, and wait until it is gone."""
    with contextlib.suppress(OSError):
        while pid and pathlib.Path(f"/proc/{pid}/comm").read_text().strip() == name:
            os.kill(pid, signal.SIGTERM)
            time.sleep(0.1)


def wait_for(condition, what):
    """Wait until ``condition()`` is true and return its value; fail with ``what`` after a generous time."""
    end = time.monotonic() + DEADLINE
    while time.monotonic() < end:
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(f"in vain waited for {what}")


def _facts(file, top):
    state = file.lstat()
    content = os.readlink(file) if file.is_symlink() else file.read_bytes() if file.is_file() else None
    return str(file.relative_to(top)), (state.st_mode, state.st_uid, state.st_gid, content)


def have(*programs):
    """Tell whether all of the programs are installed."""
    return all(shutil.which(program) for program in programs)
