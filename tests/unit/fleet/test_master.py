"""
fleet.master: what of the mine is believed, which pillars are an environment's, and how a rollout is brought along.
"""

import pytest
from sshtrail_lib.fleet import master
from sshtrail_lib.policy import pillar as policy_pillar

from unit.fleet.masters import POLICY, Site

PILLAR = {"sshtrail": POLICY}
DIGEST = policy_pillar.digest(PILLAR)
WELL = {"environment": "prod", "digest": DIGEST, "drift": [], "silent": "", "reboot": {}, "error": None}
OLD = {**WELL, "digest": "000000000000"}
DONE = {"a": {"result": True, "comment": "", "name": "a"}}
FAILED = {"a": {"result": False, "comment": "no", "name": "a"}}


@pytest.fixture
def site(tmp_path):
    """Three hosts of prod with another policy, of which b fails; one that is there; one of dev."""
    condition = {"a": OLD, "b": OLD, "c": OLD, "there": WELL}
    answers = {
        "saltutil.sync_all": dict.fromkeys(condition, {}),
        "sshtrail.condition": condition,
        "state.apply": {"a": DONE, "b": FAILED, "c": DONE},
    }
    pillars = {**dict.fromkeys(condition, PILLAR), "other": {"sshtrail": {**POLICY, "environment": "dev"}}}
    found = Site.at(tmp_path, pillars=pillars, answers=answers)

    def publish(self, minions, function, *args, **kwargs):
        if function == "state.apply":
            condition.update({name: WELL for name in minions if answers[function].get(name) == DONE})
        return Site.publish(self, minions, function, *args, **kwargs)

    return type("Told", (Site,), {"publish": publish})(*found)


def roll_out(site, *environments, canary=1, batch=1):
    return master.roll_out(site, environments, "*", "glob", canary=canary, batch=batch, timeout=5)


def test_a_rollout_stops_at_the_first_step_that_fails(site, capsys):
    summary = roll_out(site, "prod")["prod"]
    assert summary["result"] is False and summary["why"] == "Stopped at batch 1 of 2: b: a: no"
    assert {name: entry["step"] for name, entry in summary["minions"].items()} == {
        "a": "canary",
        "b": "batch 1 of 2",
        "c": "not touched",
        "there": "was there",
    }
    assert ("saltutil.sync_all", ["a"]) in site.opts["published"]
    assert [function for function, _ in site.opts["published"] if function == "state.apply"] == ["state.apply"] * 2
    told = [body["message"] for tag, body in site.opts["events"] if tag == "sshtrail/rollout"]
    assert told[1:3] == ["prod: canary: a", "prod: batch 1 of 2: b"]
    assert "prod: canary: a\n" in capsys.readouterr().err


def test_a_rollout_that_stops_begins_no_other_environment(site):
    assert set(roll_out(site, "prod", "dev")) == {"prod"}


def test_a_rollout_goes_on_where_it_stopped(site):
    roll_out(site, "prod")
    site.opts["answers"]["state.apply"]["b"] = DONE
    summary = roll_out(site, "prod", batch="100%")["prod"]
    assert summary["result"] is True
    assert {name: entry["step"] for name, entry in summary["minions"].items()} == {
        "a": "was there",
        "b": "canary",
        "c": "batch 1 of 1",
        "there": "was there",
    }


def test_a_wrong_pillar_touches_nothing(site):
    site.opts["pillars"]["c"] = {"sshtrail": {**POLICY, "confg": 1}}
    summary = roll_out(site, "prod")["prod"]
    assert summary["why"].startswith("Nothing was touched: c: The policy in the pillar is wrong. sshtrail:confg")
    assert site.opts["published"] == []


def test_an_environment_of_nobody(site):
    summary = roll_out(site, "prood")["prood"]
    assert summary["why"] == "No minion of the target belongs to the environment prood."
    assert summary["result"] is False


def test_a_pillar_that_cannot_be_compiled_is_named_and_nobody_is_touched(site):
    site.opts["pillars"]["b"] = KeyError("grain")
    digests, wrong = master.policies(site, "prod", ["a", "b", "other"])
    assert digests == {"a": DIGEST} and wrong == {"b": master.UNCOMPILED}
    summary = master.roll_out(site, ["prod"], "*", "glob", canary=1, batch="25%", timeout=1)["prod"]
    assert not summary["result"] and "b: its pillar cannot be compiled" in summary["why"]
    assert site.opts["published"] == []


KEYS = [{}, {"keys.cache_driver": "localfs_key"}, {"cluster_id": "c", "cluster_pki_dir": "pki", "pki_dir": "other"}]


@pytest.mark.parametrize("opts", KEYS)
def test_everybody_is_whoever_has_a_file_of_an_accepted_key(tmp_path, opts):
    for name in ("pki/minions/web2", "pki/minions/web1", "pki/minions/.key_cache", "pki/minions_pre/new"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    opts = {"pki_dir": "pki"} | opts
    opts |= {name: str(tmp_path / opts[name]) for name in ("pki_dir", "cluster_pki_dir") if name in opts}
    assert master.Master(opts, {}).everybody() == ["web1", "web2"]


@pytest.mark.parametrize("opts", [{"pki_dir": "/nonexistent"}, {"pki_dir": "/tmp", "keys.cache_driver": "mmap_key"}])
def test_where_keys_are_no_files_salt_is_asked_for_everybody(tmp_path, monkeypatch, opts):
    monkeypatch.setattr(master.Master, "minions", lambda self, tgt, tgt_type: [tgt, tgt_type])
    assert master.Master(opts, {}).everybody() == ["*", "glob"]
