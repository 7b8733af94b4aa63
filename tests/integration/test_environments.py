"""
What a host says of itself never gets it a laxer policy: the master decides by the minion id that it has authenticated.
"""

import json

import pytest
import yaml
from _site import write

HOST = "db-1"
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
def call(shared_site, root):
    """
    Run salt-call with a configuration of the host's own making: ``call(CONFIG, FUNCTION, …)``.

    The master has this tree's own pillar/top.sls, which names no host.
    """
    own = yaml.safe_load((root / "pillar" / "top.sls").read_text())["base"]
    with shared_site.beside(own):
        shared_site.configure_minion(HOST)
        conf = shared_site.base / HOST / "conf"

        def run(config, *args):
            write(conf / "minion.d" / "trick.conf", config)
            return shared_site.desk.run("salt-call", "-c", conf, "--out=json", *args)

        run({}, "saltutil.sync_all")
        yield run
        shared_site.accepted(HOST).unlink()


def data(done):
    """Return what the function returned."""
    return json.loads(done.stdout)["local"]


@pytest.mark.parametrize("trick", TRICKS)
def test_a_host_does_not_get_itself_a_laxer_policy(call, trick):
    honest = data(call({}, "sshtrail.policy"))
    assert honest["environment"] == "prod"
    done = call(TRICKS[trick], "sshtrail.policy")
    if done.returncode:
        # An environment that the master does not have: no policy at all, so that nothing is changed.
        assert "has no key 'sshtrail'" in done.stderr + done.stdout
    else:
        assert data(done) == honest


def test_where_each_value_came_from_is_known_on_the_host(call):
    origins = data(call({}, "sshtrail.policy", "provenance=True"))
    assert origins["auditd:config:space_left"] == {"value": "40%", "from": "prod", "overrides": {"common": "25%"}}
    assert origins["sshd:config:LogLevel"]["from"] == "common"
    assert origins["environment"]["from"] == "prod"
