"""
A machine within the machine: its own /etc, /run, /var/log, /home, /dev/log and network, nothing remembered of earlier
policies, the real kernel.

The audit subsystem is the real one, since the kernel has only one; whoever lets a sandbox use it holds
its lock (:func:`_keeper.audit_subsystem`). Who lives in a sandbox is killed when whoever made it ends, in whatever way.
Standard library only.
"""

import contextlib
import os
import pathlib
import socket
import subprocess
import tempfile
import threading

from _keeper import identity, keeper, kill_inhabitants
from _prepare import PLACE, Failed, private_directory
from _waiting import stop

NODES = ["full", "null", "ptmx", "random", "tty", "urandom", "zero"]
PRIVATE = ["/etc", "/home", "/var/log", "/var/spool"]
# Ten thousand files, of which few are written: only these are copied, where the file system allows that.
LARGE = "/var/lib/dpkg"
# What a host remembers of its policies. It has to be there to be covered.
MEMORY = "/var/lib/sshtrail"


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
        # The holder says that the namespaces are there, and ends with its input, that is with this process.
        hold = [*join, *own, "sh", "-c", "echo; exec cat >/dev/null"]
        self.holder = subprocess.Popen(hold, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.holder.stdout.readline()
        self.namespace = identity(os.stat(f"/proc/{self.holder.pid}/ns/uts"))
        if self.namespace == identity(os.stat("/proc/self/ns/uts")):
            raise Failed("a sandbox needs namespaces of its own, and unshare made none")
        keeper().sandbox(self.holder.pid)
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

    def stop_auditd(self):
        """
        End the sandbox's audit daemon, and no other one of this machine.

        Debian's script ends whatever runs the program, sandbox or not, where the pid file names nobody.
        """
        stop(self.pid("auditd.pid"), "auditd")
        self.run("rm", "-f", "/run/auditd.pid")

    def close(self):
        """End what was started in the sandbox, and the sandbox."""
        daemon = self.pid("auditd.pid")
        kill_inhabitants({self.namespace}, {daemon})
        # An audit daemon that is killed cannot tell the kernel that it has gone.
        stop(daemon, "auditd")
        kill_inhabitants({self.namespace})
        self.receiver.close()
        self.holder.wait()

    def enter(self, command):
        """Return the command line (list of str) that runs a command line in the sandbox."""
        return ["nsenter", "-t", str(self.holder.pid), "--mount", "--uts", "--net", *map(str, command)]

    def _mount(self, *args):
        self.run("mount", *args)

    def _private_directories(self):
        overlaid = self._overlay(LARGE)
        for number, path in enumerate(PRIVATE if overlaid else [*PRIVATE, LARGE]):
            copy = (self._on_a_disk() if path == "/var/log" else self.base) / f"copy{number}"
            subprocess.run(["cp", "-a", path, copy], check=True)
            self._mount("--bind", copy, path)
        self._mount("-t", "tmpfs", "-o", "mode=755", "tmpfs", "/run")
        for path in (PLACE, MEMORY):
            private_directory(path)
            self._mount("-t", "tmpfs", "-o", "mode=700", "tmpfs", path)

    def _on_a_disk(self):
        """Return a directory (pathlib.Path) that a reboot leaves: a log in memory is a fault of a host's."""
        kind = subprocess.run(["stat", "-f", "-c", "%T", self.base], capture_output=True, text=True, check=True).stdout
        if kind.strip() not in ("tmpfs", "ramfs"):
            return self.base
        private_directory(PLACE)
        found = tempfile.mkdtemp(prefix="logs-", dir=PLACE)
        keeper().directory(found)
        return pathlib.Path(found)

    def _overlay(self, path):
        """Have a directory private without a copy of it; return whether that is possible here (bool)."""
        for name in ("upper", "work"):
            (self.base / name).mkdir()
        layers = f"lowerdir={path},upperdir={self.base / 'upper'},workdir={self.base / 'work'}"
        return self.run("mount", "-t", "overlay", "-o", layers, "overlay", path, check=False).returncode == 0

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


def _facts(file, top):
    state = file.lstat()
    content = os.readlink(file) if file.is_symlink() else file.read_bytes() if file.is_file() else None
    return str(file.relative_to(top)), (state.st_mode, state.st_uid, state.st_gid, content)
