"""
A sshd of the tests' own: started on a loopback port from a temporary tree.
"""

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import time

import psutil
from _waiting import wait_for, wait_until_gone

SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def greets(port):
    with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=2) as connection:
        return connection.recv(7) == b"SSH-2.0"
    return False


def greeting(port):
    """Wait until a sshd greets who connects to the port; return True."""
    return wait_for(lambda: greets(port), f"the greeting of a sshd on port {port}")


class Server:
    """A sshd of our own: ``path`` (its main file), ``drop_ins`` (an included directory), ``port``, ``pid``."""

    def __init__(self, base):
        self.base, self.path = base, base / "sshd_config"
        self.drop_ins, self.port = base / "sshd_config.d", free_port()
        self.pidfile = base / "sshd.pid"
        self.drop_ins.mkdir()
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", base / "key"], check=True)

    def write(self, *lines, first=()):
        own = [
            f"Include {self.drop_ins}/*.conf",
            f"Port {self.port}",
            "ListenAddress 127.0.0.1",
            f"HostKey {self.base}/key",
            f"PidFile {self.pidfile}",
        ]
        self.path.write_text("\n".join([*first, *own, *lines]) + "\n")

    def start(self, *options):
        # The start of a process is known to 10 ms: a file written right before might have been written after it.
        time.sleep(0.05)
        subprocess.run([SSHD, "-f", self.path, *options], check=True, stdin=subprocess.DEVNULL, timeout=30)
        greeting(self.port)

    @property
    def pid(self):
        with contextlib.suppress(OSError, ValueError):
            return int(self.pidfile.read_text())
        return None

    def stop(self):
        pid = self.pid
        if pid and psutil.pid_exists(pid) and psutil.Process(pid).name() == "sshd":
            os.kill(pid, signal.SIGTERM)
            wait_until_gone(pid, "sshd")

    def dump(self, spec=None):
        options = ["-C", spec] if spec else []
        command = [SSHD, "-T", "-f", self.path, *options]
        result = subprocess.run(command, capture_output=True, text=True, check=True)
        printed = {}
        for line in result.stdout.splitlines():
            word, _space, value = line.partition(" ")
            printed.setdefault(word.lower(), []).append(value)
        return printed
