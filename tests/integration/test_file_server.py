"""
What a minion can ask of a master that serves this tree.
"""

import json

import pytest
from support import of_the_pillar

# Every way to spell the pillar that a minion could try.
PATHS = [
    "salt://pillar/top.sls",
    "salt://../pillar/top.sls",
    "salt://sshtrail/../../pillar/sshtrail/common.sls",
    "salt://_modules/../../pillar/top.sls",
    "salt://_modules/../pillar/top.sls",
]


@pytest.fixture(scope="module")
def call(shared_site):
    """Run a function on a minion in dev, as its own root would, and return what it returned."""

    def run(*args):
        done = shared_site.desk.run("salt-call", "-c", shared_site.base / "dev-1" / "conf", "--out=json", *args)
        return json.loads(done.stdout)["local"]

    return run


@pytest.mark.parametrize("path", PATHS)
def test_pillar_files_are_out_of_reach(call, path):
    assert not call("cp.get_file_str", path)


def test_pillar_files_are_not_listed(call):
    served = call("cp.list_master")
    assert "sshtrail/init.sls" in served
    assert not of_the_pillar(served)


def test_the_master_assigns_the_environment_by_id(call):
    call("saltutil.sync_all")
    assert call("sshtrail.policy")["environment"] == "dev"
