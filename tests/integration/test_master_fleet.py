"""
``salt-run sshtrail.fleet`` on a real master: every minion in one table, those that do not answer included.
"""

import json

import master
import pytest
from master import fleet  # noqa: F401 - a fixture


@pytest.fixture(scope="module")
def settled(fleet):  # noqa: F811
    """The fleet with every host in its policy."""
    for name, states in fleet.highstate(*master.HOSTS).items():
        assert {state["result"] for state in states} == {True}, name
    return fleet


@pytest.fixture
def ghost(settled):
    """A minion that the master knows and that does not answer."""
    with settled.known("ghost-1") as name:
        yield name


def rows(fleet, *args):  # noqa: F811
    done = fleet.run("sshtrail.fleet", "--out=json", "timeout=10", *args)
    return json.loads(done.stdout)


def publishes(fleet):  # noqa: F811
    done = fleet.run("jobs.list_jobs", "search_function=sshtrail.condition", "--out=json")
    return len(json.loads(done.stdout))


def test_every_minion_has_its_row(settled, ghost):
    settled.houses["staging-1"].run("sed", "-i", "s/^LogLevel.*/LogLevel INFO/", "/etc/ssh/sshd_config")
    before = publishes(settled)
    with settled.given("dev-1", sshd={"config": {"LogLevell": "INFO"}}):
        found = rows(settled)
    assert publishes(settled) == before + 1
    assert {name: row["standing"] for name, row in found.items()} == {
        "prod-1": "in policy",
        "staging-1": "differs",
        "dev-1": "no policy",
        ghost: "no answer",
    }
    assert found["prod-1"]["environment"] == "prod"
    assert found["staging-1"]["differences"][0].startswith("effective: LogLevel is 'INFO'")
    assert "sshtrail:sshd:config:LogLevell" in found["dev-1"]["differences"][0]


def test_the_table_is_for_people(settled):
    settled.highstate("staging-1")
    done = settled.run("sshtrail.fleet")
    header, *lines, _, counts = done.stdout.strip().splitlines()
    assert header.split() == ["minion", "environment", "policy", "standing", "differences"]
    assert [line.split()[:2] for line in lines] == [["dev-1", "dev"], ["prod-1", "prod"], ["staging-1", "staging"]]
    assert counts == "3 minions: 3 in policy"


def test_it_can_ask_in_batches(settled, ghost):
    found = rows(settled, "batch=1")
    assert {name: row["standing"] for name, row in found.items()} == {
        **dict.fromkeys(master.HOSTS, "in policy"),
        ghost: "no answer",
    }
