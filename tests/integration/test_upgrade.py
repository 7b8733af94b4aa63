"""
A minion that runs on while what is synced to it changes: from the flat files of before the library was a package, and
from one version of the library to the next. Everything is asked by a job and by the minion's own schedule.
"""

import contextlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys

import pytest
from _sandbox import Sandbox
from _site import PATIENT
from _waiting import stop, wait_for
from salt_call import copied
from support import require_root

# The last commit in which _utils held flat files.
FLAT = "f740024"
MINION = "dev-1"
QUICK = {"enable_fqdns_grains": False, "enable_gpu_grains": False}
# Which modules a minion has imported by itself: a job is a copy of its process. And what has been synced to it.
PROBE = """
import os
import sys


def imported():
    return sorted(name for name in sys.modules if name.startswith("sshtrail_"))


def synced():
    top = __opts__["extension_modules"]
    found = [os.path.join(path, name) for path, _, names in os.walk(top) for name in names]
    return sorted(os.path.relpath(path, top) for path in found)
"""
# What the next edition of the tree has: a constant in the library, and a module that knows of it and leaves it behind.
NEXT_ROOM = '\nEDITION = "{}"\n'
NEXT_MODULE = """

_before = tick


def tick():
    with open(os.path.join(__opts__["cachedir"], "edition"), "w", encoding="utf-8") as handle:
        handle.write(watch.EDITION)
    return _before()


def edition():
    return watch.EDITION
"""


class Pair:
    """A master and its minion in a sandbox; ``pair(FUNCTION, …)`` returns what the minion answered."""

    def __init__(self, base):
        self.base, self.daemons = base, []
        (base / "sandbox").mkdir()
        self.house = Sandbox(base / "sandbox")
        self.served = base / "served"
        config = self.house.inside("/etc/ssh/sshd_config")
        config.write_bytes(b"ListenAddress 127.0.0.1\n" + config.read_bytes())

    def serve(self, tree):
        """Have another checkout where the master looks, as ``git pull`` would."""
        shutil.rmtree(self.served, ignore_errors=True)
        copied(tree, self.served)
        (self.served / "_modules" / "probe.py").write_text(PROBE, encoding="utf-8")

    def start(self):
        """Start both, and wait for the minion's first answer."""
        roots = {"file_roots": {"base": [str(self.served / "salt")]}, "fileserver_list_cache_time": 0}
        roots |= {"pillar_roots": {"base": [str(self.base / "pillar"), str(self.served / "pillar")]}}
        master = {"interface": "127.0.0.1", "auto_accept": True, "worker_threads": 3, **PATIENT, **roots}
        write(self.base / "pillar" / "top.sls", {"base": {"*": ["sshtrail.common", "sshtrail.dev", "own"]}})
        quick = {"interval": 1, "splay": 0, "action": "report"}
        write(self.base / "pillar" / "own.sls", {"sshtrail": {"audit": False, "drift": quick}})
        for name, settings in (("master", master), ("minion", {"id": MINION, "master": "127.0.0.1", **QUICK})):
            write(self.base / name / "conf" / name, {**settings, "root_dir": str(self.base / name)})
            command = [program(f"salt-{name}"), "-c", self.base / name / "conf", "-l", "warning"]
            with (self.base / f"{name}.log").open("ab") as output:
                options = {"stdout": output, "stderr": output, "cwd": "/", "start_new_session": True}
                self.daemons.append(subprocess.Popen(self.house.enter(command), **options))
        wait_for(lambda: self("test.ping") is True, "the minion's first answer")

    def __call__(self, *words):
        command = [program("salt"), "-c", self.base / "master" / "conf", "--out=json", "--static", MINION, *words]
        done = self.house.run(*command, check=False)
        with contextlib.suppress(ValueError):
            return json.loads(done.stdout).get(MINION)
        return done.stdout + done.stderr

    def states(self, **options):
        """Apply the policy, and return its states (list of dict)."""
        answer = self("state.apply", "sshtrail", *(f"{name}={value}" for name, value in options.items()))
        assert isinstance(answer, dict), answer
        return list(answer.values())

    def broken(self):
        """Break sshd's configuration, wait until the minion has noticed by itself, and return what it claims."""
        self.house.run("sed", "-i", "s/VERBOSE/ERROR/", "/etc/ssh/sshd_config")
        return wait_for(lambda: self("sshtrail_watch.claim"), "the minion's own look for drift")

    def ticked(self):
        """Look for drift as the schedule does, once none of its own looks is under way; return what was done (str)."""
        others = "another tick is still looking"

        def answer():
            said = self("sshtrail_watch.tick")
            return None if said == others else said

        return wait_for(answer, "a look for drift between those of the schedule")

    def close(self):
        """End everything, at once: what the daemons would tidy up goes with their directories."""
        for daemon in self.daemons:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.wait()
        stop(self.house.pid("sshd.pid"), "sshd")
        self.house.close()


def write(path, content):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content), encoding="utf-8")


def program(name):
    return pathlib.Path(sys.executable).parent / name


@pytest.fixture(scope="module")
def flat(root, tmp_path_factory):
    """The checkout as it was before (pathlib.Path); this needs the repository's history."""
    target = tmp_path_factory.mktemp("flat")
    archive = subprocess.run(["git", "-C", root, "archive", FLAT], capture_output=True, check=False)
    assert archive.returncode == 0, f"no history here; git fetch --unshallow\n{archive.stderr.decode()}"
    subprocess.run(["tar", "-x", "-C", target], input=archive.stdout, check=True)
    return target


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    require_root()
    # Sockets lie below it, so that it must be short.
    found = Pair(tmp_path_factory.mktemp("u"))
    yield found
    found.close()


@pytest.fixture(scope="module")
def upgraded(pair, flat, root):
    """A minion that has worked with the flat files, looked for drift by itself, and has just been synced."""
    pair.serve(flat)
    pair.start()
    pair("saltutil.sync_all")
    assert all(state["result"] for state in pair.states())
    assert pair.broken()
    before = pair("probe.imported")
    assert {"sshtrail_event", "sshtrail_fingerprint", "sshtrail_store"} <= set(before), before
    assert all(state["result"] for state in pair.states())
    wait_for(lambda: pair("sshtrail_watch.claim") is None, "the end of the claim")
    pair.serve(root)
    pair("saltutil.sync_all")
    pair("saltutil.refresh_pillar")
    return pair


def test_the_new_modules_work_in_the_old_process(upgraded):
    assert upgraded("sshtrail.policy")["environment"] == "dev"
    assert "sshd config" in upgraded("sshtrail.arguments")
    assert upgraded("sshd_config.diff", '{"LogLevel": "VERBOSE"}') == {}
    # But for a proof, which was never made there, nothing is left to do.
    assert [state["name"] for state in upgraded.states(test=True) if not state["result"]] == ["sshtrail proof"]
    assert upgraded.ticked() == "nothing new"
    assert upgraded("sshtrail.drift") == []


def test_the_schedule_runs_the_new_modules_too(upgraded):
    assert upgraded.broken()
    assert "sshtrail_lib.drift.watch" in upgraded("probe.imported")
    assert all(state["result"] for state in upgraded.states())
    wait_for(lambda: upgraded("sshtrail_watch.claim") is None, "the end of the claim")


def test_nothing_of_the_old_files_is_left(upgraded, root):
    sources = [name for name in upgraded("probe.synced") if name.endswith(".py")]
    wanted = {f"{kind}/{path.name}" for kind in ("modules", "states") for path in (root / f"_{kind}").glob("*.py")}
    wanted |= {f"utils/{path.relative_to(root / '_utils')}" for path in (root / "_utils").rglob("*.py")}
    assert {name for name in sources if name.startswith(("modules/", "states/", "utils/"))} == wanted | {
        "modules/probe.py"
    }

    def swept():
        # A look that had begun before the first sync may have compiled an old file after it. Nothing imports that
        # without its source, and the next sync takes it: `state.apply` is one.
        upgraded("saltutil.sync_all")
        names = upgraded("probe.synced")
        return {source_of(name) for name in names if name.endswith(".pyc")} <= set(names)

    wait_for(swept, "a sync after which nothing compiled is left without its source")


def source_of(compiled):
    """Return the source (str) that a file of a ``__pycache__`` was made from."""
    path = pathlib.PurePosixPath(compiled)
    return str(path.parent.parent / f"{path.name.split('.')[0]}.py")


@pytest.fixture(scope="module")
def edition(upgraded, root, tmp_path_factory):
    """A function that gives the minion another edition of the tree, by nothing but a sync."""
    base = tmp_path_factory.mktemp("editions")

    def serve(name):
        tree = copied(root, base / name)
        room, module = tree / "_utils/sshtrail_lib/drift/watch.py", tree / "_modules/sshtrail_watch.py"
        room.write_text(room.read_text(encoding="utf-8") + NEXT_ROOM.format(name), encoding="utf-8")
        module.write_text("import os\n" + module.read_text(encoding="utf-8") + NEXT_MODULE, encoding="utf-8")
        upgraded.serve(tree)
        upgraded("saltutil.sync_all")

    return serve


# The first changes the library and a module that needs the new one, the next the library alone.
@pytest.mark.parametrize("name", ["second", "third"])
def test_the_next_library_is_read_without_a_restart(upgraded, edition, name):
    assert "sshtrail_lib.drift.watch" in upgraded("probe.imported")
    edition(name)
    assert upgraded("sshtrail_watch.edition") == name
    assert upgraded.ticked() == "nothing new"
    assert all(state["result"] for state in upgraded.states(test=True))
    ticked = upgraded.base / "minion/var/cache/salt/minion/edition"
    ticked.unlink()
    wait_for(lambda: ticked.exists() and ticked.read_text(encoding="utf-8") == name, "the schedule's own look")
