"""
What a minion can ask of a master that serves this tree.
"""

import pytest
from saltfactories.utils import random_string

# Every way to spell the pillar that a minion could try.
PATHS = [
    "salt://pillar/top.sls",
    "salt://../pillar/top.sls",
    "salt://sshtrail/../../pillar/sshtrail/common.sls",
    "salt://_modules/../../pillar/top.sls",
    "salt://_modules/../pillar/top.sls",
]


@pytest.fixture(scope="module")
def minion(salt_factories, root):
    """A minion of a real master that serves ``salt/`` and keeps ``pillar/`` to itself."""
    master = salt_factories.salt_master_daemon(
        random_string("master-"),
        defaults={"file_roots": {"base": [str(root / "salt")]}, "pillar_roots": {"base": [str(root / "pillar")]}},
    )
    with master.started():
        minion = master.salt_minion_daemon(
            random_string("dev-"), defaults={"enable_fqdns_grains": False, "enable_gpu_grains": False}
        )
        with minion.started():
            yield minion


@pytest.fixture(scope="module")
def call(minion):
    """Run a function on the minion, as its own root would, and return the data."""
    client = minion.salt_call_cli()
    return lambda *args: client.run(*args).data


@pytest.mark.parametrize("path", PATHS)
def test_pillar_files_are_out_of_reach(call, path):
    assert not call("cp.get_file_str", path)


def test_pillar_files_are_not_listed(call):
    served = call("cp.list_master")
    assert "sshtrail/init.sls" in served
    assert not [path for path in served if "pillar" in path or "common.sls" in path]


def test_the_master_assigns_the_environment_by_id(call):
    call("saltutil.sync_all")
    assert call("sshtrail.policy")["environment"] == "dev"
