"""
Hosts without a minion, by salt-ssh and the installed wheel, over the very sshd that the policy is about.

The host is a sandbox, and salt-ssh shares its network, so that all traffic stays on its loopback; what runs on the host
runs with a Python that sees neither Salt nor this project.
"""

import json
import pathlib
import re
import shlex
import subprocess
import sys

import pytest
import salt.version
from _sandbox import Sandbox
from _waiting import wait_for
from salt_call import built, fresh_environment, install
from support import require_root

NEWEST = salt.version.__saltstack_version__.major >= 3008
pytestmark = pytest.mark.skipif(not NEWEST, reason="salt-ssh takes extensions along from Salt 3008 on")

PORT = 2222
# The one has the kernel's audit subsystem by its policy, which only test mode may touch here; the other has not.
AUDITED, PLAIN = "prod-1", "prod-2"
ON_THE_HOST = f"{pathlib.Path(sys.base_prefix) / 'bin'}:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"


class Desk:
    """A master with the wheel and no minions, and the one host that it reaches; ``desk(HOST, FUNCTION, …)``."""

    def __init__(self, root, base, house):
        self.root, self.base, self.house = root, base, house
        self.python = fresh_environment(base / "venv", "salt-ssh")
        install(self.python, built(root, base))
        self.sshd()
        self.master()

    def sshd(self):
        """Start sshd on the host with the configuration that the policy changes, for a key of ours."""
        self.house.run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.base / "key")
        self.house.run("ssh-keygen", "-A")
        self.house.run("install", "-m", "600", self.base / "key.pub", "/etc/ssh/keys_of_root")
        config = self.house.inside("/etc/ssh/sshd_config")
        lines = [f"Port {PORT}", "ListenAddress 127.0.0.1", "AuthorizedKeysFile /etc/ssh/keys_of_root"]
        config.write_bytes("".join(f"{line}\n" for line in lines).encode() + config.read_bytes())
        self.house.run("mkdir", "-p", "-m", "755", "/run/sshd")
        self.house.run("/usr/sbin/sshd")
        wait_for(lambda: self.house.pid("sshd.pid"), "sshd")

    def master(self):
        """Write the master's configuration, as ``etc/master.d/sshtrail.conf`` has it, and the roster."""
        pillar, known = self.base / "pillar", self.base / "known_hosts"
        settings = {"root_dir": str(self.base), "known_hosts_file": str(known)}
        settings |= {"file_roots": {"base": [str(self.root / "salt")]}}
        settings |= {"pillar_roots": {"base": [str(pillar), str(self.root / "pillar")]}}
        settings |= {"ssh_minion_opts": {"enable_fqdns_grains": False, "enable_gpu_grains": False}}
        settings |= {"log_file": str(self.base / "master.log"), "ssh_log_file": str(self.base / "ssh.log")}
        host = {"host": "127.0.0.1", "port": PORT, "user": "root", "priv": str(self.base / "key")}
        host |= {"thin_dir": str(self.base / "thin"), "set_path": ON_THE_HOST}
        layers = {name: ["sshtrail.common", "sshtrail.prod"] for name in (AUDITED, PLAIN)}
        layers[PLAIN].append("unaudited")
        write(self.base / "etc" / "master", settings)
        write(self.base / "etc" / "roster", dict.fromkeys((AUDITED, PLAIN), host))
        write(pillar / "top.sls", {"base": layers})
        write(pillar / "unaudited.sls", {"sshtrail": {"audit": False}})
        [key] = self.house.inside("/etc/ssh/ssh_host_ed25519_key.pub").read_text().splitlines()
        known.write_text(f"[127.0.0.1]:{PORT} {key}\n")

    def run(self, *words):
        """Run ``salt-ssh`` in the sandbox's network, and return the finished process."""
        # The rest of the sandbox is the host's; its /dev has no terminals, and salt-ssh needs one.
        network = ["nsenter", "-t", str(self.house.holder.pid), "--net"]
        command = [*network, self.python.parent / "salt-ssh", "-c", self.base / "etc", "--out=json", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, cwd=self.base)

    def __call__(self, host, *words):
        done = self.run(host, *words)
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)[host]


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


@pytest.fixture(scope="module")
def desk(root, tmp_path_factory):
    """The one desk of this file."""
    require_root()
    base = tmp_path_factory.mktemp("ssh")
    (base / "sandbox").mkdir()
    house = Sandbox(base / "sandbox")
    yield Desk(root, base, house)
    house.close()


def states(answer):
    """Return the states that came back (list of dict), in the order in which they ran."""
    assert isinstance(answer, dict), answer
    return sorted(answer.values(), key=lambda state: state["__run_num__"])


def test_every_host_answers(desk):
    """An extension that salt-ssh cannot pack breaks it for each host and each function."""
    assert desk(PLAIN, "test.ping") is True


def test_a_host_has_its_policy(desk):
    policies = {name: desk(name, "sshtrail.policy") for name in (AUDITED, PLAIN)}
    assert {name: policy["audit"] for name, policy in policies.items()} == {AUDITED: True, PLAIN: False}
    assert all(policy["environment"] == "prod" for policy in policies.values())
    assert desk(PLAIN, "sshtrail.policy", "provenance=True")["audit"] == {
        "value": False,
        "from": "host",
        "overrides": {"default": True},
    }


def test_a_host_shows_what_would_change_and_nothing_does(desk):
    before = desk.house.tree("/etc/ssh") | desk.house.tree("/etc/audit")
    ran = states(desk(AUDITED, "state.apply", "sshtrail", "test=True"))
    assert [state["__id__"] for state in ran][-1] == "sshtrail policy"
    assert all(state["result"] is not False for state in ran), ran
    found = {state["__id__"]: state for state in ran}
    assert found["sshtrail sshd config"]["result"] is None
    assert found["sshtrail sshd config"]["changes"]["LogLevel"]["new"] == "VERBOSE"
    assert {"sshtrail rules", "sshtrail auditd config", "sshtrail auditd service"} <= set(found)
    # A host without a minion has no schedule.
    assert "sshtrail drift" not in found
    assert desk.house.tree("/etc/ssh") | desk.house.tree("/etc/audit") == before


def test_a_host_is_brought_to_its_policy(desk):
    assert "LogLevel" in {entry["what"].split()[-1] for entry in desk(PLAIN, "sshtrail.drift")}
    pid = desk.house.pid("sshd.pid")
    ran = states(desk(PLAIN, "state.apply", "sshtrail"))
    assert (
        {state["__id__"]: state["result"] for state in ran if not state["result"]}
        == {
            # No init script has started it, so there is no link that starts it at boot.
        }
    ), ran
    assert "loglevel verbose" in desk.house.run("sshd", "-T").stdout.lower()
    assert desk.house.pid("sshd.pid") == pid
    assert desk(PLAIN, "sshtrail.drift") == []
    assert all(row["holds"] for row in desk(PLAIN, "sshtrail.report"))


def test_what_is_wrong_in_the_pillar_is_told(desk):
    write(desk.base / "pillar" / "unaudited.sls", {"sshtrail": {"audit": "perhaps"}})
    try:
        done = desk.run(PLAIN, "state.apply", "sshtrail", "test=True")
    finally:
        write(desk.base / "pillar" / "unaudited.sls", {"sshtrail": {"audit": False}})
    assert done.returncode and "sshtrail:audit" in done.stdout, done.stdout


def test_the_commands_of_the_documentation(desk):
    page = (desk.root / "docs" / "existing-salt-tree.md").read_text(encoding="utf-8")
    blocks = re.findall(r"^```sh\n(.*?)^```", page, re.MULTILINE | re.DOTALL)
    assert blocks
    for line in "".join(blocks).splitlines():
        # Both names are of one host, which would be given the same files twice at once.
        program, *words = [PLAIN if word == "*" else word for word in shlex.split(line)]
        done = desk.run(*words)
        assert program == "salt-ssh" and done.returncode == 0, f"{line}: {done.stdout}{done.stderr}"
