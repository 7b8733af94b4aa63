"""
Repairs from a real master: what is told of one, who is never touched, and when a host is left to a person.
"""

import json

import pytest
from _waiting import wait_for
from loop import kept

HOST, REPORTED = "staging-1", "dev-1"
CONFIG = "/etc/ssh/sshd_config"
OUTCOMES = ("repaired", "failed", "stopped")


@pytest.fixture(scope="module")
def fleet(site):
    return site


def drifts(fleet, name):
    fleet.houses[name].run("sed", "-i", "s/VERBOSE/ERROR/", CONFIG)


def test_a_repair_is_told(fleet):
    before, since = fleet.houses[HOST].tree("/etc/ssh"), len(fleet.jobs)
    drifts(fleet, HOST)
    _, _, found = fleet.event(HOST, "found")
    _, kind, told = fleet.event(HOST, *OUTCOMES)
    assert kind == "repaired"
    assert {key: told[key] for key in ("version", "id", "digest", "round", "attempt", "reason")} == {
        "version": 1,
        "id": HOST,
        "digest": found["digest"],
        "round": found["round"],
        "attempt": 1,
        "reason": "",
    }
    assert told["seconds"] > 0
    # How the host stands afterwards it tells with its states.
    assert [job["fun"] for job in fleet.jobs[since:] if HOST in job["minions"]] == ["state.apply"]
    fleet.event(HOST, "gone")
    assert fleet.houses[HOST].tree("/etc/ssh") == before


def test_what_is_kept_is_the_masters_alone(fleet):
    wait_for(lambda: kept(fleet, "repairs.json").exists(), "the record")
    assert kept(fleet, "repairs.json").stat().st_mode & 0o777 == 0o600
    assert kept(fleet, "queue").stat().st_mode & 0o777 == 0o700
    assert list(kept(fleet, "queue").iterdir()) == []


def test_an_environment_that_only_reports_is_never_touched(fleet):
    drifts(fleet, REPORTED)
    _, _, found = fleet.event(REPORTED, "found")
    assert found["action"] == "report"
    assert fleet.run("sshtrail.remediate", REPORTED) == {}
    assert fleet.run("sshtrail.remediate") == {}
    assert "LogLevel ERROR" in fleet.houses[REPORTED].read(CONFIG).decode()
    assert REPORTED not in fleet.run("sshtrail.repairs")


def test_after_three_failures_a_host_is_left_to_a_person(fleet):
    house = fleet.houses[HOST]
    drifts(fleet, HOST)
    # What is a mount point cannot be replaced.
    house.run("mount", "--bind", CONFIG, CONFIG)
    numbers = []
    for _ in range(3):
        _, kind, told = fleet.event(HOST, *OUTCOMES)
        assert kind == "failed"
        assert told["reason"].startswith("sshtrail sshd config: ") and CONFIG in told["reason"]
        numbers.append(told["attempt"])
        fleet.run("sshtrail.remediate")
    _, kind, told = fleet.event(HOST, *OUTCOMES)
    assert kind == "stopped" and told["reason"].startswith("3 repairs failed within an hour. sshtrail sshd config: ")
    # The first is the repair of the test before.
    assert numbers == [2, 3, 4]
    assert fleet.run("sshtrail.repairs")[HOST]["stopped"] == "3 repairs failed within an hour"


def test_a_host_that_was_left_is_not_touched_and_not_told_again(fleet):
    fleet.houses[HOST].run("umount", CONFIG)
    assert fleet.run("sshtrail.remediate") == {}
    assert fleet.run("sshtrail.remediate", HOST) == {}
    assert "LogLevel ERROR" in fleet.houses[HOST].read(CONFIG).decode()


def test_a_person_lets_it_go_on(fleet):
    assert fleet.run("sshtrail.clear", HOST) is True
    assert fleet.run("sshtrail.clear", HOST) is False
    # No event comes for a claim that stands already: the master's schedule finds it.
    _, kind, _ = fleet.event(HOST, *OUTCOMES)
    assert kind == "repaired"
    fleet.event(HOST, "gone")
    assert "LogLevel VERBOSE" in fleet.houses[HOST].read(CONFIG).decode()


def test_the_orchestration_does_the_same(fleet):
    kept(fleet, "repairs.json").unlink()
    pillar = json.dumps({"sshtrail_remediate": {"minion": REPORTED}})
    for given in ([], [f"pillar={pillar}"]):
        [states] = fleet.run("state.orchestrate", "orch.remediate", *given)["data"].values()
        [state] = states.values()
        assert state["result"] is True, state
        assert state["changes"]["return"] == {}


@pytest.mark.parametrize("content", [b"{", b"[7]", b"\xff", json.dumps({HOST: [[["x"]], 1, 2]}).encode()])
def test_a_broken_record_ends_no_repairs(fleet, content):
    kept(fleet, "repairs.json").write_bytes(content)
    drifts(fleet, HOST)
    _, kind, _ = fleet.event(HOST, *OUTCOMES)
    assert kind == "repaired"
    fleet.event(HOST, "gone")
    assert fleet.run("sshtrail.repairs")[HOST]["repaired"] == 1


@pytest.mark.parametrize("name", ["../x", "a/b", ".", "a" * 256])
def test_what_is_no_id_is_one_clear_error(fleet, name):
    said = fleet.command("salt-run", "sshtrail.remediate", name)
    assert "which is no minion's id." in said.stdout + said.stderr
    assert "Traceback" not in said.stdout + said.stderr
    assert list(kept(fleet, "queue").iterdir()) == []
