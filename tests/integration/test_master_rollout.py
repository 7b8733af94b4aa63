"""
A rollout on a real master: it stops at the first step that fails, says why, and goes on when it is run again.

The tests build on each other, in the order in which they stand.
"""

import contextlib
import json

import pytest
from _site import HOSTS

ARGUMENTS = {"environment": "dev", "canary": ["dev-1"], "batch": 1, "timeout": 60}


@pytest.fixture(scope="module")
def waiting(quiet_site):
    """The site, all of it in dev with a policy that no host has yet."""
    with contextlib.ExitStack() as stack:
        for name in HOSTS:
            values = {"sshd": {"config": {"LogLevel": "DEBUG"}}}
            stack.enter_context(quiet_site.given(name, environment="dev", **values))
        yield quiet_site
    quiet_site.highstate()


def orchestrate(site, **arguments):
    """Run the orchestration; return the finished process and the rollout's summary."""
    pillar = json.dumps({"sshtrail_rollout": {**ARGUMENTS, **arguments}})
    done = site.command("salt-run", "state.orchestrate", "orch.rollout", f"pillar={pillar}", "--out=json")
    [states] = json.loads(done.stdout)["data"].values()
    [state] = states.values()
    return done, state


def everything(site):
    return {name: site.etc(name) for name in HOSTS}


def test_a_wrong_pillar_stops_it_before_anything_is_touched(waiting):
    before = everything(waiting)
    with waiting.given("prod-1", sshd={"config": {"LogLevell": "DEBUG"}}):
        done, state = orchestrate(waiting)
    assert done.returncode == 1
    assert state["result"] is False
    summary = state["changes"]["return"]
    assert summary["why"].startswith("Nothing was touched: prod-1: ")
    assert "sshtrail:sshd:config:LogLevell" in summary["why"]
    assert everything(waiting) == before


def test_when_the_canary_fails_nobody_else_is_touched(waiting):
    waiting.houses["dev-1"].run("sh", "-c", "echo 'NoSuchKeyword yes' >/etc/ssh/sshd_config.d/broken.conf")
    before = everything(waiting)
    done, state = orchestrate(waiting)
    assert state["result"] is False
    summary = state["changes"]["return"]
    assert summary["why"].startswith("Stopped at canary: dev-1: sshtrail sshd config: ")
    assert "NoSuchKeyword" in summary["why"]
    assert {name: entry["step"] for name, entry in summary["minions"].items()} == {
        "dev-1": "canary",
        "prod-1": "not touched",
        "staging-1": "not touched",
    }
    assert everything(waiting) == before
    assert "dev: canary: dev-1" in done.stderr
    assert "Stopped at canary" in done.stderr


@pytest.fixture
def stranger(waiting):
    """A minion that the master knows and that has no policy."""
    with waiting.known("stranger-1") as name:
        yield name


def test_it_goes_on_where_it_stopped(waiting, stranger):
    waiting.houses["dev-1"].run("rm", "/etc/ssh/sshd_config.d/broken.conf")
    waiting.highstate("prod-1")
    done, state = orchestrate(waiting)
    assert state["result"] is True, state
    assert done.returncode == 0
    steps = {name: entry["step"] for name, entry in state["changes"]["return"]["minions"].items()}
    assert steps == {"dev-1": "canary", "staging-1": "batch 1 of 1", "prod-1": "was there"}
    policies = {entry["policy"] for entry in state["changes"]["return"]["minions"].values()}
    assert len(policies) == 1
    assert policies.pop().endswith(", in policy")
    found = waiting.answers("sshtrail.condition", target=list(HOSTS))
    assert {name: answer["drift"] for name, answer in found.items()} == dict.fromkeys(HOSTS, [])


def test_an_environment_without_hosts_is_an_error(waiting):
    done, state = orchestrate(waiting, environment="prood")
    assert state["result"] is False
    assert "No minion of the target belongs to the environment prood" in state["changes"]["return"]["why"]
