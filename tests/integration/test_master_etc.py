"""
The example configurations in ``etc/``, each read by the Salt that it is for.
"""

import json
import subprocess

import pytest
import yaml
from salt_call import SaltCall
from support import of_the_pillar, program
from test_packaging import commit_all

CHECKOUT = "/srv/saltext-sshtrail"


@pytest.fixture
def salt_run(tmp_path):
    """A factory: ``salt_run(CONFIG)`` gives a function that runs ``salt-run`` on a master with that configuration."""

    def make(config):
        conf = tmp_path / "conf"
        conf.mkdir()
        # A master makes this when it starts.
        (tmp_path / "var" / "cache" / "salt" / "master" / "proc").mkdir(parents=True)
        own = {"root_dir": str(tmp_path), "user": "root", "id": "etc-master"}
        (conf / "master").write_text(json.dumps({**config, **own}))

        def run(*args):
            command = [program("salt-run"), "-c", conf, *args]
            return subprocess.run(command, capture_output=True, text=True, check=False)

        return run

    return make


def example(root, name, **instead):
    """Return the configuration in ``etc/NAME`` (dict) with its places put elsewhere."""
    text = (root / "etc" / name).read_text().replace(CHECKOUT, str(root))
    for old, new in instead.items():
        text = text.replace(f"/srv/{old}", new)
    return yaml.safe_load(text)


def test_the_master_from_a_checkout(root, salt_run, tmp_path):
    config = example(root, "master.d/sshtrail.conf", salt=f"{tmp_path}/salt", pillar=f"{tmp_path}/pillar")
    run = salt_run(config)
    done = run("sshtrail.fleet")
    assert (done.stdout.splitlines()[-1], done.returncode) == ("0 minions: none", 0)
    # A rollout that stops tells so by its status, and the answer is nothing but the summary.
    done = run("sshtrail.rollout", "dev", "--out=json")
    assert done.returncode == 1 and set(json.loads(done.stdout)) == {"Error", "environment", "minions", "result", "why"}
    served = json.loads(run("fileserver.file_list", "--out=json").stdout)
    assert {"sshtrail/init.sls", "_modules/sshtrail.py", "orch/rollout.sls"} <= set(served)
    assert not of_the_pillar(served)
    pillar = json.loads(run("pillar.show_pillar", "dev-7", "--out=json").stdout)
    assert pillar["sshtrail"]["environment"] == "dev"


def test_the_master_from_git(root, salt_run, tmp_path):
    """With no checkout the runners and what they import are synced to the master."""
    bare = tmp_path / "saltext-sshtrail.git"
    commit_all(root, tmp_path / "tree", bare)
    text = (root / "etc" / "master.d" / "sshtrail-gitfs.conf").read_text()
    run = salt_run(yaml.safe_load(text.replace("https://git.example.org/saltext-sshtrail.git", f"file://{bare}")))
    # A running master fetches by itself, every minute.
    run("fileserver.update")
    run("saltutil.sync_all")
    assert run("sshtrail.fleet").stdout.splitlines()[-1] == "0 minions: none"
    served = json.loads(run("fileserver.file_list", "--out=json").stdout)
    assert {"sshtrail/init.sls", "_modules/sshtrail.py", "_runners/sshtrail.py", "orch/rollout.sls"} <= set(served)
    assert not of_the_pillar(served)


def test_the_minion(root, tmp_path):
    call = SaltCall(tmp_path / "minion", **yaml.safe_load((root / "etc" / "minion.d" / "sshtrail.conf").read_text()))
    assert call("config.get", "startup_states") == "highstate"
