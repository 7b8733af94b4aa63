"""
What a host says of itself never gets it a laxer policy: the master decides by the minion id that it has authenticated.
"""

import json
import pathlib
import shutil

import pytest
from saltfactories.utils import random_string
from support import require_root

QUICK = {"enable_fqdns_grains": False, "enable_gpu_grains": False}
GRAINS = {"id": "dev-1", "environment": "dev", "env": "dev", "role": "dev", "sshtrail": {"environment": "dev"}}

# What the host writes into its own configuration, and what it hopes to get from prod's policy to dev's by that.
TRICKS = {
    "grains": {"grains": GRAINS},
    "pillarenv": {"pillarenv": "dev"},
    "saltenv": {"saltenv": "dev"},
    "pillar": {"pillar": {"sshtrail": {"environment": "dev"}}},
    "ext_pillar": {"ext_pillar": [{"cmd_json": 'echo \'{"sshtrail": {"environment": "dev"}}\''}]},
    "pillar_roots": {"pillar_roots": {"base": ["/nowhere"]}, "pillar_source_merging_strategy": "overwrite"},
}


@pytest.fixture(scope="module")
def master(salt_factories, root, tmp_path_factory):
    """A master with the configuration that the documentation gives, on this tree's own pillar/top.sls."""
    require_root()
    pillar = tmp_path_factory.mktemp("environments") / "pillar"
    shutil.copytree(root / "pillar", pillar)
    master = salt_factories.salt_master_daemon(
        random_string("environments-"),
        defaults={"file_roots": {"base": [str(root / "salt")]}, "pillar_roots": {"base": [str(pillar)]}},
    )
    with master.started():
        yield master


@pytest.fixture(scope="module")
def call(master):
    """Run salt-call with a configuration of the host's own making: ``call(CONFIG, FUNCTION, …)``."""
    minion = master.salt_minion_daemon(random_string("db-"), defaults=QUICK)
    with minion.started():
        client = minion.salt_call_cli()
        client.run("saltutil.sync_all")

        def run(config, *args):
            extra = pathlib.Path(minion.config_dir, "minion.d", "trick.conf")
            extra.parent.mkdir(exist_ok=True)
            extra.write_text(json.dumps(config))
            try:
                return client.run(*args)
            finally:
                extra.unlink()

        yield run


@pytest.mark.parametrize("trick", TRICKS)
def test_a_host_does_not_get_itself_a_laxer_policy(call, trick):
    honest = call({}, "sshtrail.policy").data
    assert honest["environment"] == "prod"
    done = call(TRICKS[trick], "sshtrail.policy")
    if done.returncode:
        # An environment that the master does not have: no policy at all, so that nothing is changed.
        assert "has no key 'sshtrail'" in done.stderr + done.stdout
    else:
        assert done.data == honest


def test_where_each_value_came_from_is_known_on_the_host(call):
    origins = call({}, "sshtrail.policy", "provenance=True").data
    assert origins["auditd:config:space_left"] == {"value": "40%", "from": "prod", "overrides": {"common": "25%"}}
    assert origins["sshd:config:LogLevel"]["from"] == "common"
    assert origins["environment"]["from"] == "prod"
