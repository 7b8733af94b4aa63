"""
The documentation's commands, word for word, as one follows them who has a master and has never seen this project.

A case is a fenced block of a page. The tests build on each other, in the order in which they stand.
"""

import contextlib
import gzip
import json
import lzma
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

import pytest
from _sandbox import Sandbox
from _site import AUDITED, HOSTS, PATIENT, QUICK, Site
from _waiting import wait_for
from pytestshellutils.utils.processes import terminate_process
from salt_call import SaltCall
from support import audit_subsystem, auditctl, auditd_ended, of_the_pillar, require_root
from test_packaging import commit_all, fresh_environment

DOCS = pathlib.Path(__file__).parents[2] / "docs"
# Each page with as many blocks as it has, so that none is lost by a change of its form.
PAGES = {"existing-salt-tree.md": 9, "environments.md": 1, "fleet.md": 2, "rollout.md": 2, "testing.md": 4}
PAGES |= {"drift.md": 6, "scaling.md": 1}
PAGES |= {"sessions.md": 5, "prove.md": 1, "coverage.md": 1, "compliance.md": 4, "page.md": 4}
# What is not run as it stands, and why.
INSTEAD = {
    "systemctl restart salt-master": "a sandbox has no systemd: the test restarts its master itself",
}
LEFT_OUT = {
    "./bin/test-salts tests/unit -k policy": "sets up a Salt from the package index, and these tests in it",
    "bin/_own_kernel.py 0": "starts a kernel, where there may be no other beside it: test_bin_own_kernel.py does so",
    "ls -d test-*/": "runs a benchmark for minutes, and with a name that only bin/test's own run gives",
    "benchmarks/storm.py --hosts 200": "the same",
    "salt-run state.event 'sshtrail/session/*'": "goes on until somebody ends it; the one of drift.md is run",
    "./bin/page --pictures /tmp/pictures": "needs a browser, which test_page_browser.py has",
    "salt-run sshtrail.roots --out=yaml": "serves what a wheel holds: test_packaging.py runs it where one is installed",
}
PRIVATE = ["/srv", "/var/cache/salt"]
CHECKOUT = "/srv/saltext-sshtrail"
EMPTY = "/srv/empty"
REPOSITORY = "https://git.example.org/saltext-sshtrail.git"
HOOK = "http://127.0.0.1:8097/"
#: Characters that are shown of what a block printed that failed.
LAST = 3000
# What a webhook gets, a line for each: written to the file that it is given.
RECEIVER = """
import http.server, sys
class Receiver(http.server.BaseHTTPRequestHandler):
    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        assert self.headers["Content-Type"] == "application/json"
        with open(sys.argv[1], "ab") as out:
            out.write(body + b"\\n")
        self.send_response(204)
        self.end_headers()
http.server.HTTPServer(("127.0.0.1", 8097), Receiver).serve_forever()
"""


def fences(page, language):
    """Return the fenced blocks of a language (``""`` for none) in a page (list of str)."""
    found = re.findall(r"^```(\w*)\n(.*?)^```$", (DOCS / page).read_text(), re.M | re.S)
    return [block for name, block in found if name == language]


def commands(page):
    """Return the blocks of commands in a page (list of str) that are run."""
    return [block for block in fences(page, "bash") if not any(text in block for text in LEFT_OUT)]


class Newcomer(Site):
    """A site with a default configuration and nothing of this project."""

    def house(self, name, network):
        """Make a host, with directories of its own for what Salt keeps."""
        house = super().house(name, network)
        for path in PRIVATE:
            private = self.base / name / path.rpartition("/")[2]
            private.mkdir()
            house.run("mkdir", "-p", path)
            house.run("mount", "--bind", private, path)
        house.run("mkdir", "-p", EMPTY, "/etc/salt")
        return house

    def config(self, name):
        return pathlib.Path("/etc/salt")

    @property
    def bus(self):
        return self.network.inside("/run/salt/master/master_event_pub.ipc")

    def configure_master(self):
        self.write("/etc/salt/master", {"interface": "127.0.0.1", "auto_accept": True, **PATIENT})

    def configure_minion(self, name):
        self.write("/etc/salt/minion", {"id": name, "master": "127.0.0.1", **QUICK}, self.houses[name])

    def write(self, path, content, house=None):
        """Write ``content`` as JSON, which is YAML too, or as the text that it is; without a host, on the master's."""
        text = content if isinstance(content, str) else json.dumps(content)
        (house or self.network).inside(path).write_text(text)

    @contextlib.contextmanager
    def running(self, *command):
        """Have a command run on the master's host, with Salt's commands on the PATH, for a while."""
        process = subprocess.Popen(self.network.enter(command), env=environ_of_reader(), cwd="/")
        try:
            yield
        finally:
            terminate_process(process.pid, kill_children=True)

    def fires(self, kind):
        """Fire a drift event on the master's bus; return whether that went well (bool)."""
        return self.command("salt-run", "event.send", f"sshtrail/drift/{kind}", "{}").returncode == 0

    def logged(self, text):
        """Tell whether the syslog of the master's host has got a message with ``text`` (bytes) in it."""
        return any(text in message for message in self.network.messages)

    def follow(self, page):
        """Run the commands of a page as they stand; return what each block printed (list of str)."""
        return [self.type(block) for block in commands(page)]

    def type(self, block):
        """Run a block of commands in an empty directory; return what it printed (str)."""
        if block.strip() in INSTEAD:
            self.restart_master()
            return ""
        done = typed(block, self.network)
        said = done.stdout + done.stderr
        # Most blocks stop at the command that fails: what it said stands at the end.
        assert done.returncode == 0, f"{block}\nends with {done.returncode}\n{said[-LAST:]}"
        return said


def typed(block, house, **environment):
    """Run a block of commands in a host, by a shell as its reader does, with Salt's commands on the PATH."""
    # Who is root needs no sudo, and may have none.
    block = block.replace("sudo ", "")
    environ = environ_of_reader(**environment)
    return house.run("bash", "-euo", "pipefail", "-c", f"cd {EMPTY}\n{block}", check=False, env=environ)


def environ_of_reader(**more):
    """Return the variables (dict) of somebody who has Salt's commands on the PATH."""
    return {**os.environ, "PATH": f"{pathlib.Path(sys.executable).parent}:{os.environ['PATH']}", **more}


@pytest.fixture(scope="module")
def newcomer(root, tmp_path_factory):
    """The master and its minions, of which none has the kernel's audit subsystem."""
    require_root()
    with contextlib.ExitStack() as stack:
        base = tmp_path_factory.mktemp("newcomer")
        site = Newcomer(stack, base, pathlib.Path(sys.executable).parent, audited=False)
        site.start()
        copy_checkout(root, site.network.inside(CHECKOUT))
        yield site


@pytest.fixture
def audited(newcomer):
    """The host :data:`AUDITED` has the kernel's audit subsystem until the test ends, for others want it too."""
    with audit_subsystem():
        yield AUDITED
        containers(newcomer, [AUDITED])
        newcomer.answers("saltutil.refresh_pillar", target=AUDITED)
        newcomer.houses[AUDITED].stop_auditd()
        auditd_ended()
        auditctl("-D")


def copy_checkout(root, target):
    shutil.copytree(root, target, symlinks=True, ignore=shutil.ignore_patterns(".git", "__pycache__", "build"))


def containers(newcomer, names):
    """Say of hosts what the page on environments says of containers: a kernel has one audit subsystem."""
    [single] = [text for text in fences("environments.md", "yaml") if "audit: false" in text]
    newcomer.write("/srv/pillar/container.sls", single)
    top = newcomer.network.inside("/srv/pillar/top.sls")
    top.write_text(top.read_text() + "".join(f"  {name}:\n    - container\n" for name in names))


@pytest.mark.parametrize("page", PAGES)
def test_every_block_is_known(page):
    assert len(fences(page, "bash")) == PAGES[page]


def test_what_is_not_run_still_stands_somewhere():
    every = "".join(block for page in PAGES for block in fences(page, "bash"))
    assert [text for text in [*INSTEAD, *LEFT_OUT] if text not in every] == []


@pytest.fixture
def desk(root, tmp_path):
    """A host with a checkout where the pages have it, and without a master."""
    require_root()
    sandbox = Sandbox(tmp_path)
    (tmp_path / "srv").mkdir()
    sandbox.run("mount", "--bind", tmp_path / "srv", "/srv")
    sandbox.run("mkdir", EMPTY)
    copy_checkout(root, sandbox.inside(CHECKOUT))
    yield sandbox
    sandbox.close()


def test_a_wheel(desk, tmp_path):
    """salt-pip is the pip of the Python that runs Salt: here of an environment that sees Salt."""
    [block] = [text for text in commands("existing-salt-tree.md") if "salt-pip" in text]
    python = fresh_environment(tmp_path / "venv")
    (tmp_path / "bin").mkdir()
    salt_pip = tmp_path / "bin" / "salt-pip"
    salt_pip.write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, "-m", "pip", "--python", str(python)])} "$@"\n')
    salt_pip.chmod(0o755)
    # No network: what is built with and what Salt needs is there already.
    offline = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_INDEX": "1"}
    done = typed(f"PATH={tmp_path}/bin:$PATH\n{block}", desk, **offline)
    assert done.returncode == 0, done.stdout + done.stderr
    SaltCall(tmp_path / "minion", python=python).offers_everything()


def checkout_part(page):
    """Return the blocks of the way from a checkout, and those of the way from git."""
    blocks = [block for block in commands(page) if "salt-pip" not in block and "--state-output" not in block]
    first_of_git = next(number for number, block in enumerate(blocks) if "git clone" in block)
    return blocks[:first_of_git], blocks[first_of_git:]


def in_policy(newcomer):
    return {name: row["standing"] for name, row in newcomer.run("sshtrail.fleet").items()}


def test_a_master_with_a_checkout(newcomer, audited):
    (first, *blocks), _ = checkout_part("existing-salt-tree.md")
    newcomer.type(first)
    containers(newcomer, [name for name in HOSTS if name != audited])
    said = [newcomer.type(block) for block in blocks]
    assert f"{len(HOSTS)} minions: {len(HOSTS)} in policy" in said[-1]
    assert "ssh_commands" in auditctl("-l")


def test_shorter_answers(newcomer):
    """Ten lines for a host that is in its policy, and not eight for each state."""
    [block] = [block for block in commands("existing-salt-tree.md") if "--state-output" in block]
    said = newcomer.type(block)
    assert said.count("Succeeded:") == 2 * len(HOSTS) and len(said.splitlines()) < 30 * len(HOSTS)


def test_environments(newcomer):
    [said] = newcomer.follow("environments.md")
    [shown] = [text for text in fences("environments.md", "") if "auditd:config:space_left" in text]
    assert shown in said


def test_fleet(newcomer):
    said = newcomer.follow("fleet.md")
    [shown] = [text for text in fences("fleet.md", "") if text.startswith("minion")]
    assert said[0].splitlines()[0].split() == shown.splitlines()[0].split()


@pytest.fixture
def recorded(newcomer, root):
    """Logs with logins in them, where the pages on sessions ask: on the host of the master, and on prod-1."""
    data, houses = root / "tests" / "data" / "sessions", (newcomer.network, newcomer.houses["prod-1"])
    logs = {"audit.log": lzma.decompress((data / "audit.log.xz").read_bytes())}
    logs |= {name: gzip.decompress((data / f"{name}.gz").read_bytes()) for name in ("audit.log.1", "auth.log")}
    places = {name: f"/var/log/{'audit/' if name.startswith('audit') else ''}{name}" for name in logs}
    copy = pathlib.Path(newcomer.network.inside(CHECKOUT), "copy")
    copy.mkdir()
    shutil.copy(data / "audit.log.1.gz", copy)
    for name, content in logs.items():
        (copy / name).write_bytes(content)
        for house in houses:
            house.run("mkdir", "-p", "/var/log/audit")
            house.inside(places[name]).write_bytes(content)
    yield
    for house in houses:
        house.run("rm", "-f", *places.values())


def test_prove_and_coverage(newcomer):
    """Before there are logs that nobody writes to, in which a login would be missed."""
    assert "holds" in newcomer.follow("prove.md")[0] and "check:" in newcomer.follow("coverage.md")[0]


def test_sessions(newcomer, recorded):
    """Line by line, so that the one is named that does not work; web1 is prod-1 here."""
    said = {}
    for line in [line for block in commands("sessions.md") for line in block.splitlines()]:
        done = typed(f"cd {CHECKOUT}\n{line.replace('web', 'prod-')}", newcomer.network)
        said[line] = done.stdout + done.stderr
        assert done.returncode == 0, f"{line}\n{said[line]}"
    told = said["salt web1 sshtrail_trail.session 1376@20261125T232016Z"]
    assert "/bin/echo typed" in told and "/bin/echo typed" in said["sudo ./bin/sessions 1376@20261125T232016Z"]
    assert "1376" in said["./bin/sessions --audit copy/audit.log copy/audit.log.1.gz --sshd copy/auth.log --zone UTC"]


def each(newcomer, page):
    """Run a page's commands one by one, with files in an empty directory; return what each printed (dict of str)."""
    said = {}
    for line in [line for block in commands(page) for line in block.splitlines()]:
        done = typed(f"cd {CHECKOUT}\n{line.replace('/root/', f'{EMPTY}/').replace('web', 'prod-')}", newcomer.network)
        said[line] = done.stdout + done.stderr
        # Of a fleet that does not keep all controls 1 tells.
        assert done.returncode in (0, 1 if line.startswith("salt-run") else 0), f"{line}\n{said[line]}"
    return said


def test_compliance(newcomer):
    said = each(newcomer, "compliance.md")
    assert (
        "control:" in said["salt prod-1 sshtrail.compliance"]
        and "spans:" in said["salt prod-1 sshtrail.history days=90"]
    )
    made = newcomer.network.inside(EMPTY)
    rows = (made / "pci.csv").read_text().splitlines()
    assert len(rows) > 10 and all(row.startswith("prod-1,") for row in rows[1:])
    assert {path.stem for path in (made / "checklists").iterdir()} >= set(HOSTS), said
    found = [json.loads(line) for line in (made / "findings.jsonl").read_text().splitlines()]
    assert {one["class_uid"] for one in found} == {2003}


def test_page(newcomer):
    each(newcomer, "page.md")
    page = newcomer.network.inside(EMPTY) / "trail.html"
    assert page.read_text().startswith("<!DOCTYPE html>")


def test_rollout(newcomer):
    drifts(newcomer, "dev-1")
    first, _ = newcomer.follow("rollout.md")
    assert "dev: canary: dev-1" in first
    assert set(in_policy(newcomer).values()) == {"in policy"}


def drifts(newcomer, name):
    newcomer.houses[name].run("sed", "-i", "s/^LogLevel.*/LogLevel INFO/", "/etc/ssh/sshd_config")


def test_drift(newcomer):
    forward = sent_on()
    for block in commands("drift.md"):
        if block != forward:
            newcomer.type(block)
    with newcomer.running("bash", "-c", forward):
        # Until it listens, nobody hears of it.
        wait_for(lambda: newcomer.fires("probe") and newcomer.logged(b"sshtrail/drift/probe"), "the first event")
        drifts(newcomer, "prod-1")
        for kind in (b"found", b"repaired", b"gone"):
            wait_for(lambda kind=kind: newcomer.logged(b"sshtrail/drift/" + kind), f"the event {kind}")
    assert set(in_policy(newcomer).values()) == {"in policy"}


def sent_on():
    """Return the block that sends events on to syslog, until somebody ends it."""
    [forward] = [block for block in commands("drift.md") if "| logger" in block]
    return forward


def test_drift_is_sent_on_by_salt_itself(newcomer):
    """To a webhook and to a file, by what stands on the page; only where the webhook is differs."""
    _, reactor, reaction, returner = fences("drift.md", "yaml")
    newcomer.write("/etc/salt/master.d/webhook.conf", reactor)
    newcomer.write("/etc/salt/master.d/returner.conf", returner)
    newcomer.network.run("mkdir", "-p", "/srv/reactor", "/var/log/salt")
    newcomer.write("/srv/reactor/webhook.sls", reaction.replace("https://alerts.example.org/", HOOK))
    newcomer.restart_master()
    log = newcomer.network.inside("/var/log/salt/sshtrail-drift.json")
    with newcomer.running(sys.executable, "-c", RECEIVER, "/srv/posted"):
        drifts(newcomer, "staging-1")
        wait_for(lambda: "gone" in kinds(newcomer.network.inside("/srv/posted")), "the webhook")
        assert {"found", "repaired", "gone"} <= kinds(newcomer.network.inside("/srv/posted"))
    wait_for(lambda: "gone" in kinds(log), "the file")
    assert all(json.loads(line)["tag"].startswith("sshtrail/drift/") for line in log.read_text().splitlines())


def kinds(path):
    """Return which kinds of drift events the lines of a file tell (set of str)."""
    told = [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []
    return {one.get("tag", "").rpartition("/")[2] for one in told}


def test_a_master_without_a_checkout(newcomer, root, tmp_path):
    """Everything of the other way is taken away first, but for what the minions have."""
    _, (clone, *blocks) = checkout_part("existing-salt-tree.md")
    newcomer.network.run("rm", "-rf", CHECKOUT, "/srv/pillar", "/etc/salt/master.d", "/var/cache/salt/master/extmods")
    commit_all(root, tmp_path / "tree", tmp_path / "bare.git")
    newcomer.write("/etc/gitconfig", f'[url "file://{tmp_path}/bare.git"]\n\tinsteadOf = {REPOSITORY}\n')
    newcomer.type(clone)
    containers(newcomer, HOSTS)
    said = [newcomer.type(block) for block in blocks]
    assert f"{len(HOSTS)} minions: {len(HOSTS)} in policy" in said[-1]
    assert not of_the_pillar(newcomer.run("fileserver.file_list"))


def test_testing(desk):
    for block in commands("testing.md"):
        assert typed(block, desk).returncode == 0, block
