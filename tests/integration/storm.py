"""
A storm of drift on a real master: many hosts claim at once, three of them real, and every event is a real minion's.
"""

import contextlib
import json
import os
import pathlib
import queue
import shutil
import subprocess
import sys
import threading
import time

from _site import below, write
from _waiting import ended
from sshtrail_lib.policy import pillar

HERE = pathlib.Path(__file__).resolve().parent
UTILS = HERE.parents[1] / "_utils"
PATIENCE = 600
TICKS = os.sysconf("SC_CLK_TCK")


class Storm:
    """Simulated minions beside those of a :class:`_site.Site`, and what is measured of the master meanwhile."""

    def __init__(self, stack, site, count, others=()):
        self.stack, self.site, self.others = stack, site, others
        self.names = [f"crowd-{number:04}" for number in range(count)]
        self.published, self.lines = [], queue.Queue()
        self.introduce()
        command = [sys.executable, HERE / "crowd.py", self.config(), self.digest(), *self.names, *others]
        self.crowd = self.program(command, stdout=subprocess.PIPE)
        threading.Thread(target=self.collect, daemon=True).start()
        assert self.lines.get(timeout=PATIENCE) == "ready"

    def program(self, command, **pipes):
        """Start a program in the master's network, and end it with the stack."""
        with (self.site.base / "storm.log").open("ab") as log:
            environ = {**os.environ, "PYTHONPATH": str(UTILS)}
            command, pipes = self.site.network.enter(command), {"stdin": subprocess.PIPE, "text": True, **pipes}
            process = subprocess.Popen(command, stderr=log, env=environ, **pipes)
        self.stack.callback(ended, process)
        return process

    def introduce(self):
        """Give each simulated minion a key that the master has accepted, and an environment."""
        home = self.site.base / "crowd"
        keys, accepted = home / "etc/salt/pki/minion", self.site.base / "master/etc/salt/pki/master/minions"
        shutil.copytree(self.site.base / "dev-1/etc/salt/pki/minion", keys)
        for name in (*self.names, *self.others):
            # One key pair for all: each name is authenticated by it, and by no other.
            shutil.copy(keys / "minion.pub", accepted / name)
            self.stack.callback((accepted / name).unlink)
        self.stack.enter_context(self.site.beside({"crowd-*": ["sshtrail.common", "sshtrail.prod"]}))
        self.stack.callback(shutil.rmtree, home)

    def config(self):
        path = self.site.base / "crowd" / "conf" / "minion"
        write(path, {"root_dir": str(self.site.base / "crowd"), "master": "127.0.0.1", "log_level": "error"})
        return path

    def digest(self):
        return pillar.digest(self.site.run("pillar.show_pillar", self.names[0]))

    def collect(self):
        for line in self.crowd.stdout:
            if line.startswith("{") and "fun" in (told := json.loads(line)):
                self.published.append(told)
            else:
                self.lines.put(line.strip())

    def blow(self):
        """Let all tell of their drift at once; return when that began (float, time.monotonic)."""
        started = time.monotonic()
        self.crowd.stdin.write("\n")
        self.crowd.stdin.flush()
        return started

    def beat(self):
        """Let all send a heartbeat at once, and wait until the master has taken them; return the seconds (float)."""
        started = time.monotonic()
        self.crowd.stdin.write("beat\n")
        self.crowd.stdin.flush()
        while "sent" not in self.lines.get(timeout=PATIENCE):
            pass
        return time.monotonic() - started

    def repaired(self, others=()):
        """Wait until each was repaired; return how often (dict by id) and the moment of the last (float)."""
        times, last, left = {}, 0, {*self.names, *others}
        end = time.monotonic() + PATIENCE
        while left and time.monotonic() < end:
            with contextlib.suppress(queue.Empty):
                moment, tag, data = self.site.events.get(timeout=5)
                if tag.rpartition("/")[2] in ("repaired", "failed", "stopped"):
                    times.setdefault(data["id"], []).append(tag.rpartition("/")[2])
                    left, last = left - {data["id"]}, moment
        return times, last

    @contextlib.contextmanager
    def probe(self, minion):
        """Measure the master's latency meanwhile; yields what is filled in the end (dict)."""
        command = [sys.executable, HERE / "probe.py", self.site.config("master") / "master", minion]
        process, found = self.program(command, stdout=subprocess.PIPE), {}
        yield found
        found.update(json.loads(process.communicate(timeout=PATIENCE)[0]))

    def processor(self):
        """Return the seconds that the master's processes have taken (float), those that have ended included."""
        return sum(times(pid) for pid in below(self.site.processes["master"].pid))

    def crowded(self):
        """Return the seconds that the simulated minions have taken of a processor (float), all in one process."""
        return sum(times(pid) for pid in below(self.crowd.pid))


def times(pid):
    """Return a process's seconds on the processor (float), with those of its children that have ended."""
    with contextlib.suppress(OSError):
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        return sum(map(int, fields[11:15])) / TICKS
    return 0.0
