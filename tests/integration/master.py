"""
A real master and three minions, each with private trees, run by Salt's own commands.

A minion lives in a mount namespace (:class:`sandbox.Sandbox`), where its daemons have their own ``/etc``. All share the
network, so each sshd has a port of its own, and the kernel's one audit subsystem, which :data:`AUDITED` alone uses.
"""

import contextlib
import json
import os
import pathlib
import shutil
import socket
import subprocess
import sys

import pytest
from _sandbox import Sandbox, wait_for
from saltfactories.daemons.minion import SaltMinion
from support import audit_status, audit_subsystem, auditctl, require_root

HOSTS = {"dev-1": "dev", "staging-1": "staging", "prod-1": "prod"}
AUDITED = "prod-1"
QUICK = {"enable_fqdns_grains": False, "enable_gpu_grains": False}
FLEET = []


class House(Sandbox):
    """A sandbox in the network of all: what runs in it can reach the master."""

    def __init__(self, base):
        super().__init__(base, network=os.getpid())
        self.port = free_port()
        lines = f"Port {self.port}\nListenAddress 127.0.0.1\n".encode()
        config = self.inside("/etc/ssh/sshd_config")
        config.write_bytes(lines + config.read_bytes())


class Tenant(SaltMinion):
    """A minion that runs in a house; ``house`` is set once it has been made."""

    def cmdline(self, *args):
        return self.house.enter(super().cmdline(*args))


class Fleet:
    """A master that serves a checkout, and minions; ``salt(TARGET, FUNCTION, …)`` and ``run(RUNNER, …)``."""

    def __init__(self, factories, root, base):
        self.pillar = base / "pillar"
        self.minions, self.houses, self.assigned = {}, {}, dict(HOSTS)
        self.values = {name: {"sshtrail": {"audit": False}} for name in HOSTS}
        shutil.copytree(root / "pillar", self.pillar)
        self.write_pillar()
        config = {
            "file_roots": {"base": [str(root / "salt")]},
            "pillar_roots": {"base": [str(self.pillar)]},
            "module_dirs": [str(root)],
            "timeout": 10,
        }
        self.master = factories.salt_master_daemon("sshtrail-master", defaults=config)
        self.stack = contextlib.ExitStack()
        self.stack.enter_context(self.master.started())
        for name in HOSTS:
            self.add(name, base / name)

    def add(self, name, base, **config):
        """Start a minion in a house of its own at ``base`` and sync it."""
        base.mkdir()
        self.houses[name] = house = House(base)
        self.stack.callback(house.close)
        self.minions[name] = minion = self.master.salt_minion_daemon(
            name, factory_class=Tenant, defaults={**QUICK, **config}
        )
        minion.house = house
        self.stack.enter_context(minion.started())

    def close(self):
        """End everything."""
        self.stack.close()

    def write_pillar(self):
        """Write the pillar: who belongs to which environment, and the values of single hosts."""
        top = {
            name: ["sshtrail.common", f"sshtrail.{environment}", f"hosts.{name}"]
            for name, environment in self.assigned.items()
        }
        (self.pillar / "hosts").mkdir(exist_ok=True)
        (self.pillar / "top.sls").write_text(json.dumps({"base": top}))
        for name, values in self.values.items():
            (self.pillar / "hosts" / f"{name}.sls").write_text(json.dumps(values))

    @contextlib.contextmanager
    def given(self, name, environment=None, **values):
        """Have another environment or other values for the host ``name``, for a while."""
        before = self.assigned[name], self.values[name]
        self.assigned[name] = environment or self.assigned[name]
        self.values[name] = {"sshtrail": {**self.values[name]["sshtrail"], **values}}
        self.write_pillar()
        try:
            yield
        finally:
            self.assigned[name], self.values[name] = before
            self.write_pillar()

    @contextlib.contextmanager
    def known(self, name):
        """Have a minion ``name`` whose key the master has accepted, and that never answers, for a while."""
        accepted = next(pathlib.Path(self.master.config_dir).parent.rglob(f"minions/{next(iter(HOSTS))}"))
        shutil.copy(accepted, accepted.with_name(name))
        try:
            yield name
        finally:
            accepted.with_name(name).unlink()

    def salt(self, target, *args):
        """Run ``salt`` and return what each minion answered (dict by id)."""
        command = [program("salt"), "-c", self.master.config_dir, "--out=json", "--static", "-t", "120", "-L", target]
        done = subprocess.run([*command, *args], capture_output=True, text=True, check=False)
        assert done.stdout.startswith("{"), done.stdout + done.stderr
        return json.loads(done.stdout)

    def run(self, *args):
        """Run ``salt-run`` and return the finished process."""
        command = [program("salt-run"), "-c", self.master.config_dir, *args]
        return subprocess.run(command, capture_output=True, text=True, check=False)

    def highstate(self, *names, test=False):
        """Run a highstate; return the states (list of dict) of each minion, or the errors (list of str)."""
        answers = self.salt(",".join(names), "state.highstate", f"test={test}")
        return {name: list(got.values()) if isinstance(got, dict) else got for name, got in answers.items()}

    def etc(self, name):
        """Return every file below the host's /etc/ssh and /etc/audit."""
        return self.houses[name].tree("/etc/ssh") | self.houses[name].tree("/etc/audit")


@pytest.fixture(scope="session")
def fleet(salt_factories, root, tmp_path_factory):
    """The one fleet of this run (:class:`Fleet`), started by whichever file imports this and asks for it first."""
    require_root()
    if not FLEET:
        FLEET.append(Fleet(salt_factories, root, tmp_path_factory.mktemp("fleet")))
    yield FLEET[0]
    while FLEET:
        FLEET.pop().close()


@contextlib.contextmanager
def audited(fleet):
    """Let the host :data:`AUDITED` have the kernel's audit subsystem for a while."""
    with audit_subsystem():
        assert audit_status()["pid"] == "0", "another auditd runs on this machine"
        with fleet.given(AUDITED, audit=True):
            try:
                yield
            finally:
                fleet.houses[AUDITED].run("service", "auditd", "stop", check=False)
                wait_for(lambda: audit_status()["pid"] == "0", "the end of auditd")
                auditctl("-D")


def program(name):
    """Return one of Salt's commands, of the Salt that runs the tests."""
    return str(pathlib.Path(sys.executable).parent / name)


def free_port():
    """Return a port on which nobody listens."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]
