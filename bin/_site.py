"""
A master and three minions in namespaces of one machine, each minion with an /etc and an sshd of its own.

The demo shows one, and the tests have one in common. Standard library only.
"""

import collections
import contextlib
import json
import os
import pathlib
import queue
import shutil
import signal
import subprocess
import threading
import time

from _commands import Commands
from _prepare import ROOT, Failed
from _sandbox import Sandbox
from _waiting import DEADLINE, ended, wait_for

# The site's loopback belongs to it alone, so that each sshd has the usual port on an address of its own.
HOSTS = {"prod-1": "127.0.1.1", "staging-1": "127.0.1.2", "dev-1": "127.0.1.3"}
# A kernel has one audit subsystem, so that one host can have it.
AUDITED = "prod-1"
PERSON, UID = "alice", 1001
# What is collected of the master's events: drift, notable logins, who has started, what was published and who answered.
EVENTS = "(sshtrail/(drift|session|probe)/.*|salt/minion/.*/start|salt/job/.*/(new|ret/.*))"
# Without grains that ask the network or the graphics, a minion starts in half the time; and it soon finds a master that
# was started anew.
QUICK = {"enable_fqdns_grains": False, "enable_gpu_grains": False, "log_level": "error"}
QUICK |= {"recon_default": 100, "recon_max": 1000, "recon_randomize": False}
#: Seconds after which a minion that has not answered is asked whether it still works on it.
ANSWER = 60
#: Settings of a master all of whose minions live: on a slow machine one that syncs a whole tree needs a while to say
#: that it still works on it.
PATIENT = {"timeout": ANSWER, "gather_job_timeout": ANSWER}


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
        self.stack, self.base, self.commands = stack, base, commands
        self.pillar = base / "pillar"
        self.environments = {name: name.partition("-")[0] for name in HOSTS}
        self.values = {name: {**policy, "audit": audited and name == AUDITED} for name in HOSTS}
        # What else the pillar's top file says, of hosts that are not here.
        self.others = {}
        self.houses, self.processes, self.listener = {}, {}, None
        self.events, self.kept, self.jobs = queue.Queue(), collections.defaultdict(list), []
        self.probes, self.started, self.answered = set(), collections.Counter(), set()

    @property
    def audited(self):
        """Whether :data:`AUDITED` has the kernel's audit subsystem (bool)."""
        return self.values[AUDITED]["audit"]

    # --- Its start ------------------------------------------------------------------------------------------------

    def start(self):
        """Start the master, the minions, and listen to the master's events."""
        self.network = self.house("master", network=None)
        self.configure_master()
        self.houses = {name: self.house(name, network=self.network.holder.pid) for name in HOSTS}
        self.desk = Commands(self.commands / "python", self.network.enter)
        self.stack.callback(self.end)
        for name in HOSTS:
            self.configure_minion(name)
            self.configure_host(name)
        self.daemon("master")
        self.listen()
        for name in HOSTS:
            self.daemon(name)
        self.everybody()

    def end(self):
        """End what was started, all at once; what nobody needs any more need not end well."""
        self.desk.close()
        for process in (*self.processes.values(), self.listener):
            process.kill()
            process.wait()

    def house(self, name, network):
        """Make a sandbox with a directory of its own."""
        (self.base / name / "private").mkdir(parents=True)
        house = Sandbox(self.base / name / "private", network=network)
        self.stack.callback(house.close)
        return house

    def configure_master(self):
        """Write the configuration of a master that serves this checkout, as ``etc/master.d`` has it, and its pillar."""
        root = pathlib.Path(ROOT)
        roots = {"file_roots": {"base": [str(root / "salt")]}, "module_dirs": [str(root)]}
        roots["pillar_roots"] = {"base": [str(self.pillar), str(root / "pillar")]}
        settings = {"interface": "127.0.0.1", "root_dir": str(self.base / "master"), "worker_threads": 3}
        write(self.config("master") / "master", {**settings, **roots, "log_level": "error"})
        (self.config("master") / "master.d").mkdir()
        shutil.copy(root / "etc" / "master.d" / "sshtrail-drift.conf", self.config("master") / "master.d")
        self.write_pillar()

    def configure_minion(self, name):
        """Write a minion's configuration, and make its key one that the master has accepted."""
        home = self.base / name
        write(self.config(name) / "minion", {"id": name, "master": "127.0.0.1", "root_dir": str(home), **QUICK})
        keys, accepted = home / "etc/salt/pki/minion", self.accepted(name)
        keys.mkdir(parents=True)
        accepted.parent.mkdir(parents=True, exist_ok=True)
        self.command("salt-key", "--gen-keys=minion", f"--gen-keys-dir={keys}")
        shutil.copy(keys / "minion.pub", accepted)

    def config(self, name):
        """Return the directory of the configuration of the master, or of a minion, as they see it (pathlib.Path)."""
        return self.base / name / "conf"

    def accepted(self, name):
        """Return where the master has the key of a minion that it has accepted (pathlib.Path)."""
        return self.base / "master/etc/salt/pki/master/minions" / name

    def configure_host(self, name):
        """Give a host an address for its sshd, and a person who may log in by key."""
        house = self.houses[name]
        config = house.inside("/etc/ssh/sshd_config")
        config.write_bytes(f"ListenAddress {HOSTS[name]}\n".encode() + config.read_bytes())
        house.run("useradd", "-m", "-u", UID, "-s", "/bin/sh", PERSON)
        keys = house.inside(f"/home/{PERSON}/.ssh")
        house.run("install", "-d", "-m", "700", "-o", PERSON, f"/home/{PERSON}/.ssh")
        if not self.key.exists():
            house.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        (keys / "authorized_keys").write_bytes(self.key.with_suffix(".pub").read_bytes())

    @property
    def bus(self):
        """The socket of the master's event bus (pathlib.Path)."""
        return self.base / "master/var/run/salt/master/master_event_pub.ipc"

    @property
    def key(self):
        """The key with which the person logs in (pathlib.Path)."""
        return self.base / "key"

    def daemon(self, name):
        """Start the master, or the minion ``name``."""
        program, house = ("salt-master", self.network) if name == "master" else ("salt-minion", self.houses[name])
        command = house.enter([self.commands / program, "-c", self.config(name)])
        with (self.base / f"{name}.log").open("ab") as output:
            self.processes[name] = subprocess.Popen(command, stdout=output, stderr=output, cwd="/")

    def kill(self, name):
        """End a daemon and all of its processes as a power cut would."""
        # Who kills the children first gives the parent the time to start others.
        family = below(self.processes[name].pid)
        for pid in family:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        self.processes[name].wait()
        # Salt takes one that nobody has waited for yet for a daemon that still runs, and does not start.
        wait_for(lambda: not any(os.path.exists(f"/proc/{pid}") for pid in family), f"the end of {name}'s processes")

    def restart_master(self):
        """Start the master anew, and wait until all minions have come back."""
        self.kill("master")
        self.daemon("master")
        self.listen()
        self.everybody()

    def everybody(self):
        """Wait until all minions have started, and answer."""
        wait_for(lambda: set(self.started) >= set(HOSTS), "the start of the minions")
        self.answered.clear()
        # Whoever does not hear the first question hears the next, and nobody waits until it is in vain.
        ask = ["salt", "--async", "*", "test.ping"]
        wait_for(lambda: self.command(*ask) and self.answered >= set(HOSTS), "an answer of each minion", pause=0.3)

    # --- Its pillar -----------------------------------------------------------------------------------------------

    def write_pillar(self):
        """Write the pillar: who belongs to which environment, and the values of single hosts."""
        top = {name: layers(name, environment) for name, environment in self.environments.items()}
        write(self.pillar / "top.sls", {"base": {**top, **self.others}})
        for name, values in self.values.items():
            write(self.pillar / "hosts" / f"{name}.sls", {"sshtrail": values})

    @contextlib.contextmanager
    def given(self, name, environment=None, **values):
        """Have another environment or other values for the host ``name``, for a while."""
        before = self.environments[name], self.values[name]
        self.environments[name] = environment or self.environments[name]
        self.values[name] = {**self.values[name], **values}
        self.write_pillar()
        try:
            yield
        finally:
            self.environments[name], self.values[name] = before
            self.write_pillar()

    @contextlib.contextmanager
    def beside(self, others):
        """Have more in the pillar's top file (dict), for hosts that it does not name, for a while."""
        self.others = others
        self.write_pillar()
        try:
            yield
        finally:
            self.others = {}
            self.write_pillar()

    @contextlib.contextmanager
    def known(self, name):
        """Have a minion ``name`` whose key the master has accepted, and that never answers, for a while."""
        shutil.copy(self.accepted(AUDITED), self.accepted(name))
        try:
            yield name
        finally:
            self.accepted(name).unlink()

    # --- Its commands ---------------------------------------------------------------------------------------------

    def command(self, name, *args):
        """Run one of Salt's commands on the master's host and return the finished process."""
        return self.desk.run(name, "-c", self.config("master"), *args)

    def answers(self, *args, target="*", timeout=ANSWER):
        """Run ``salt TARGET FUNCTION …`` and return what each minion answered (dict by id)."""
        done = self.command("salt", "--out=json", "--static", "-t", timeout, *chosen(target), *args)
        with contextlib.suppress(ValueError):
            return json.loads(done.stdout)
        return {}

    def run(self, *args):
        """Run ``salt-run RUNNER …`` and return what it returned."""
        done = self.command("salt-run", "--out=json", *args)
        # A fleet in which a host needs something more is told with 1.
        if done.returncode > (args[0] in ("sshtrail.fleet", "sshtrail.compliance", "sshtrail.page")):
            raise Failed(f"salt-run {args}: {done.returncode}\n{done.stdout}{done.stderr}")
        return json.loads(done.stdout)

    def highstate(self, *names, test=False):
        """Run a highstate; return the states (list of dict) of each minion, or the errors (list of str)."""
        answers = self.answers("state.highstate", f"test={test}", target=list(names or HOSTS), timeout=DEADLINE)
        return {name: list(got.values()) if isinstance(got, dict) else got for name, got in answers.items()}

    def etc(self, name):
        """Return every file below the host's /etc/ssh and /etc/audit."""
        return self.houses[name].tree("/etc/ssh") | self.houses[name].tree("/etc/audit")

    def login(self, name, command):
        """Run a command in a real login by ssh to the host ``name``, as :data:`PERSON`."""
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        pairs = [word for option in [*options, "LogLevel=ERROR"] for word in ("-o", option)]
        self.network.run("ssh", "-F", "none", "-i", self.key, *pairs, f"{PERSON}@{HOSTS[name]}", command)

    # --- Its events -----------------------------------------------------------------------------------------------

    def listen(self):
        """Collect the events of the master's bus, as soon as there is one; begin anew if that is done already."""
        if self.listener:
            ended(self.listener)
        wait_for(self.bus.exists, "the master's event bus")
        command = self.network.enter(
            [self.commands / "salt-run", "-c", self.config("master"), "state.event", f"tagmatch={EVENTS}"]
        )
        self.listener = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        threading.Thread(target=self.collect, args=[self.listener.stdout], daemon=True).start()
        # Until it listens, nobody hears of anything.
        probe = f"sshtrail/probe/{self.listener.pid}"
        wait_for(lambda: self.command("salt-run", "event.send", probe) and probe in self.probes, "the first event")

    def collect(self, lines):
        """Keep what each line of ``state.event`` tells."""
        for line in lines:
            tag, _, data = line.decode().partition("\t")
            with contextlib.suppress(ValueError):  # what salt-run says of itself is no event
                self.heard(tag.strip(), json.loads(data))

    def heard(self, tag, data):
        """Keep an event: its tag (str) and its data (dict)."""
        # What a minion sends can be anything, also under a tag of Salt's own.
        if tag.startswith(("sshtrail/drift/", "sshtrail/session/")):
            self.events.put((time.monotonic(), tag, data))
        elif tag.startswith("sshtrail/probe/"):
            self.probes.add(tag)
        elif tag.startswith("salt/minion/"):
            self.started[data["id"]] += 1
        elif tag.endswith("/new"):
            self.jobs.append(data)
        elif data.get("fun") == "test.ping":
            self.answered.add(data["id"])

    def event(self, name, *kinds):
        """
        Return the next drift event of the host ``name`` that is of one of the ``kinds``: its time, kind and data.

        What a host and the master tell of the same moment comes in any order: other events are kept for later, until
        the next drift begins.
        """
        end = time.monotonic() + DEADLINE
        while time.monotonic() < end:
            for at, (moment, kind, data) in enumerate(self.kept[name]):
                if kind in kinds:
                    self.kept[name] = [] if kind == "found" else self.kept[name][:at] + self.kept[name][at + 1 :]
                    return moment, kind, data
            self.keep_next(end)
        raise Failed(f"no event {' or '.join(kinds)} of {name} came within {DEADLINE} s")

    def keep_next(self, end):
        """Wait for the next event of anybody, until ``end``, and keep it."""
        with contextlib.suppress(queue.Empty):
            moment, tag, data = self.events.get(timeout=max(0.1, end - time.monotonic()))
            # What is told of the master itself names no host.
            self.kept[data.get("id", "")].append((moment, tag.rpartition("/")[2], data.get("data", data)))


def below(pid):
    """Return a process and its descendants (list of int), without those that have ended."""
    try:
        # A child is told of by the thread that has started it.
        told = [path.read_text().split() for path in pathlib.Path(f"/proc/{pid}/task").glob("*/children")]
    except OSError:
        return []
    return [pid, *(one for children in told for child in children for one in below(int(child)))]


def layers(name, environment):
    """Return the pillar's SLS files for a host of an environment, as ``pillar/top.sls`` chooses them, and its own."""
    return ["sshtrail.common", f"sshtrail.{environment}", f"hosts.{name}"]


def chosen(target):
    """Return the arguments of ``salt`` that choose minions: a glob (str), or a list of names."""
    return [target] if isinstance(target, str) else ["-L", ",".join(target)]


def write(path, content):
    """Write ``content`` as JSON, which is YAML too, to ``path``, in a directory that is made if it is missing."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")
