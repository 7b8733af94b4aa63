"""
A machine within the machine: its own /etc, /run, /var/log, /home, /dev/log and network, the real kernel.

The audit subsystem is the real one, since the kernel has only one; whoever lets a sandbox use it holds
its lock (:data:`_kernel.AUDIT_LOCK`). Standard library only.
"""

import contextlib
import os
import pathlib
import signal
import socket
import subprocess
import threading
import time

from _prepare import Failed

NODES = ["full", "null", "ptmx", "random", "tty", "urandom", "zero"]
PRIVATE = ["/etc", "/home", "/var/log", "/var/lib/dpkg", "/var/spool"]
PIDFILES = {"auditd.pid": "auditd", "sshd.pid": "sshd"}
DEADLINE = 60


class Sandbox:
    """Namespaces that last until :meth:`close`; ``run(COMMAND, …)`` runs a command in them."""

    def __init__(self, base, network=None):
        """
        base
            A directory for what is private (path-like).
        network
            A process whose network this shares (int, its pid); without one the network is its own.
        """
        self.base = pathlib.Path(base)
        self.messages = []
        join = ["nsenter", "-t", str(network), "--net"] if network else []
        own = ["unshare", "--mount", "--uts", "--propagation", "private", *(["--net"] if not network else [])]
        # The holder says that the namespaces are there by closing its output.
        self.holder = subprocess.Popen([*join, *own, "sh", "-c", "echo; exec sleep infinity"], stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self._private_directories()
        self._private_dev()
        self.run("ip", "link", "set", "lo", "up")

    def run(self, *command, check=True, **options):
        """Run a command (fixed arguments) in the sandbox and return the finished process."""
        options = {"capture_output": True, "text": True, "cwd": "/", "stdin": subprocess.DEVNULL, **options}
        done = subprocess.run(self.enter(command), check=False, **options)
        if check and done.returncode:
            raise Failed(f"{command}: {done.returncode}\n{done.stdout}{done.stderr}")
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

    def enter(self, command):
        """Return the command line (list of str) that runs a command line in the sandbox."""
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
    raise Failed(f"in vain waited for {what}")


def _facts(file, top):
    state = file.lstat()
    content = os.readlink(file) if file.is_symlink() else file.read_bytes() if file.is_file() else None
    return str(file.relative_to(top)), (state.st_mode, state.st_uid, state.st_gid, content)
