"""
A master and three minions in namespaces of one machine, each minion with an /etc and an sshd of its own.
"""

import collections
import contextlib
import json
import pathlib
import queue
import shutil
import subprocess
import threading
import time

from _prepare import ROOT, Failed
from _sandbox import Sandbox, wait_for

# The demo's loopback belongs to it alone, so that each sshd has the usual port on an address of its own.
HOSTS = {"prod-1": "127.0.1.1", "prod-2": "127.0.1.2", "dev-1": "127.0.1.3"}
# A kernel has one audit subsystem, so that one host can have it.
AUDITED = "prod-1"
PERSON, UID = "alice", 1001
PATIENCE = 180


class Site:
    """A master and its minions in a network of their own; what is started ends with ``stack``."""

    def __init__(self, stack, base, commands, audited, **policy):
        """
        stack
            What ends all that is started (contextlib.ExitStack).
        base
            A directory for all of it (pathlib.Path); its path has to be short, for sockets lie below it.
        commands
            Where Salt's commands are (pathlib.Path).
        audited
            Whether :data:`AUDITED` has the kernel's audit subsystem (bool).
        policy
            What the pillar of every host says beside its environment's.
        """
        self.stack, self.base, self.commands, self.audited, self.policy = stack, base, commands, audited, policy
        self.conf = base / "master" / "conf"
        self.houses, self.processes, self.events = {}, {}, queue.Queue()
        self.kept, self.listener = collections.defaultdict(list), None

    def start(self):
        """Start the master, the minions, and listen to the master's events."""
        self.network = self.house("master", network=None)
        self.configure_master()
        for name, address in HOSTS.items():
            self.houses[name] = self.house(name, network=self.network.holder.pid)
            self.configure_minion(name)
            self.configure_host(self.houses[name], address)
        self.stack.callback(lambda: ended(*self.processes.values()))
        for name in ("master", *HOSTS):
            self.daemon(name)
        self.listen()
        wait_for(lambda: len(self.answers("test.ping")) == len(HOSTS), "the minions' first answer")

    def house(self, name, network):
        """Make a sandbox with a directory of its own."""
        (self.base / name / "private").mkdir(parents=True)
        house = Sandbox(self.base / name / "private", network=network)
        self.stack.callback(house.close)
        return house

    def configure_master(self):
        """Write the configuration of a master that serves this checkout, as ``etc/master.d`` has it, and its pillar."""
        pillar, root = self.base / "pillar", pathlib.Path(ROOT)
        roots = {"file_roots": {"base": [str(root / "salt")]}, "module_dirs": [str(root)]}
        roots["pillar_roots"] = {"base": [str(pillar), str(root / "pillar")]}
        settings = {"interface": "127.0.0.1", "root_dir": str(self.base / "master"), "worker_threads": 3}
        write(self.conf / "master", {**settings, **roots, "log_level": "error"})
        (self.conf / "master.d").mkdir()
        shutil.copy(root / "etc" / "master.d" / "sshtrail-drift.conf", self.conf / "master.d")
        write(pillar / "top.sls", {"base": {name: layers(name) for name in HOSTS}})
        for name in HOSTS:
            own = {**self.policy, "audit": self.audited and name == AUDITED}
            write(pillar / "hosts" / f"{name}.sls", {"sshtrail": own})

    def configure_minion(self, name):
        """Write a minion's configuration, and make its key one that the master has accepted."""
        home = self.base / name
        settings = {"id": name, "master": "127.0.0.1", "root_dir": str(home)}
        settings |= {"enable_fqdns_grains": False, "enable_gpu_grains": False, "log_level": "error"}
        write(home / "conf" / "minion", settings)
        keys, accepted = home / "etc/salt/pki/minion", self.base / "master/etc/salt/pki/master/minions"
        keys.mkdir(parents=True)
        accepted.mkdir(parents=True, exist_ok=True)
        self.network.run(self.commands / "salt-key", "-c", self.conf, "--gen-keys=minion", f"--gen-keys-dir={keys}")
        shutil.copy(keys / "minion.pub", accepted / name)

    def configure_host(self, house, address):
        """Give a host an address for its sshd, and a person who may log in by key."""
        config = house.inside("/etc/ssh/sshd_config")
        config.write_bytes(f"ListenAddress {address}\n".encode() + config.read_bytes())
        house.run("useradd", "-m", "-u", UID, "-s", "/bin/sh", PERSON)
        keys = house.inside(f"/home/{PERSON}/.ssh")
        house.run("install", "-d", "-m", "700", "-o", PERSON, f"/home/{PERSON}/.ssh")
        if not self.key.exists():
            house.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        (keys / "authorized_keys").write_bytes(self.key.with_suffix(".pub").read_bytes())

    @property
    def key(self):
        """The key with which the person logs in (pathlib.Path)."""
        return self.base / "key"

    def daemon(self, name):
        """Start the master, or the minion ``name``."""
        program, house = ("salt-master", self.network) if name == "master" else ("salt-minion", self.houses[name])
        command = house.enter([self.commands / program, "-c", self.base / name / "conf"])
        with (self.base / f"{name}.log").open("ab") as output:
            self.processes[name] = subprocess.Popen(command, stdout=output, stderr=output, cwd="/")

    def listen(self):
        """Collect the drift events of the master's bus, each with the moment of its arrival; begin anew if it does."""
        if self.listener:
            ended(self.listener)
        command = [self.commands / "salt-run", "-c", self.conf, "state.event", "tagmatch=sshtrail/drift/*"]
        command = self.network.enter(command)
        self.listener = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.stack.callback(ended, self.listener)
        threading.Thread(target=self.collect, args=[self.listener.stdout], daemon=True).start()

    def collect(self, lines):
        """Put each event that a line of ``state.event`` tells into the queue."""
        for line in lines:
            tag, _, data = line.decode().partition("\t")
            with contextlib.suppress(ValueError):  # what salt-run says of itself is no event
                self.events.put((time.monotonic(), tag.strip(), json.loads(data)))

    def answers(self, *args, target="*"):
        """Run ``salt TARGET FUNCTION …`` and return what each minion answered (dict by id)."""
        command = [self.commands / "salt", "-c", self.conf, "--out=json", "--static", "-t", "15", target, *args]
        done = self.network.run(*command, check=False)
        with contextlib.suppress(ValueError):
            return json.loads(done.stdout)
        return {}

    def run(self, *args):
        """Run ``salt-run RUNNER …`` and return what it returned."""
        command = [self.commands / "salt-run", "-c", self.conf, "--out=json", *args]
        return json.loads(self.network.run(*command).stdout)

    def login(self, name, command):
        """Run a command in a real login by ssh to the host ``name``, as :data:`PERSON`."""
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        pairs = [word for option in [*options, "LogLevel=ERROR"] for word in ("-o", option)]
        self.network.run("ssh", "-F", "none", "-i", self.key, *pairs, f"{PERSON}@{HOSTS[name]}", command)

    def event(self, name, *kinds):
        """
        Return the next drift event of the host ``name`` that is of one of the ``kinds``: its time, kind and data.

        What a host and the master tell of the same moment comes in any order: other events are kept for later, until
        the next drift begins.
        """
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end:
            for at, (moment, kind, data) in enumerate(self.kept[name]):
                if kind in kinds:
                    self.kept[name] = [] if kind == "found" else self.kept[name][:at] + self.kept[name][at + 1 :]
                    return moment, kind, data
            self.keep_next(end)
        raise Failed(f"no event {' or '.join(kinds)} of {name} came")

    def keep_next(self, end):
        """Wait for the next event of anybody, until ``end``, and keep it."""
        with contextlib.suppress(queue.Empty):
            moment, tag, data = self.events.get(timeout=max(0.1, end - time.monotonic()))
            self.kept[data["id"]].append((moment, tag.rpartition("/")[2], data.get("data", data)))


def layers(name):
    """Return the pillar's SLS files for a host, as ``pillar/top.sls`` chooses them, and the host's own."""
    return ["sshtrail.common", f"sshtrail.{name.partition('-')[0]}", f"hosts.{name}"]


def write(path, content):
    """Write ``content`` as JSON, which is YAML too, to ``path``, in a directory that is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def ended(*processes):
    """End processes that this started, all at once, and wait until they are gone."""
    for process in processes:
        process.terminate()
    for process in processes:
        try:
            process.wait(30)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
