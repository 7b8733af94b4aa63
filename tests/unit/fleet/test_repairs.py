"""
fleet.repairs: who waits, who works, what is remembered and what is told, with nobody there to be repaired.
"""

import fcntl
import os
import stat

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.drift import claim, event
from sshtrail_lib.fleet import remedy, repairs
from sshtrail_lib.policy import pillar as policy_pillar

from unit.fleet.masters import POLICY, Site

REPORTED = {"sshtrail": {**POLICY, "drift": {"interval": 10, "splay": 2, "action": "report"}}}
PILLAR = {"sshtrail": POLICY}
DIGEST = policy_pillar.digest(PILLAR)
WELL = {"environment": "prod", "digest": DIGEST, "drift": [], "silent": "", "reboot": {}, "error": None}
DONE = {"a": {"result": True, "comment": "", "name": "a"}}
FAILED = {"a": {"result": False, "comment": "no", "name": "a"}}


def claimed(number=1):
    return {"sshtrail_drift": claim.claimed(claim.Claim("ab12cd34ef56", number, 100.0))}


@pytest.fixture
def site(tmp_path):
    """Hosts that claim: web1, web2 and gone (is away) to be repaired, dev1 not; odd has a pillar that fails."""
    names = ("web1", "web2", "dev1", "gone", "odd")
    pillars = {**dict.fromkeys(names, PILLAR), "dev1": REPORTED, "odd": KeyError("grain")}
    answers = {"state.apply": {"web1": DONE, "web2": FAILED}, "sshtrail.condition": {"web1": WELL, "web2": WELL}}
    return Site.at(tmp_path, pillars=pillars, answers=answers, claims={name: claimed() for name in names})


def told(site):
    return [(tag.rpartition("/")[2], body["id"]) for tag, body in site.opts["events"]]


def test_who_claims_and_should_is_repaired(site):
    assert repairs.remediate(site) == {"web1": "repaired", "web2": "failed: a: no"}
    assert told(site) == [("repaired", "web1"), ("failed", "web2")]
    assert ("state.apply", ["gone", "web1", "web2"]) in site.opts["published"]
    shown = repairs.shown(site)
    assert {name: (one["repaired"], one["failed"]) for name, one in shown.items()} == {"web1": (1, 0), "web2": (0, 1)}


def test_a_claim_is_acted_on_once_and_a_failure_again(site):
    repairs.remediate(site)
    assert repairs.remediate(site) == {"web2": "failed: a: no"}
    site.opts["claims"]["web1"] = claimed(2)
    assert set(repairs.remediate(site, "web1")) == {"web1"}


def test_a_host_that_cannot_be_repaired_is_left_to_a_person(site):
    for _ in range(4):
        repairs.remediate(site, "web2")
    assert told(site) == [("failed", "web2")] * 3 + [("stopped", "web2")]
    assert site.opts["events"][-1][1]["reason"] == "3 repairs failed within an hour. a: no"
    assert [repairs.clear(site, "web2"), repairs.clear(site, "web2")] == [True, False]
    assert repairs.remediate(site, "web2") == {"web2": "failed: a: no"}


def test_an_event_moves_its_minion_alone(site):
    assert repairs.remediate(site, "web1") == {"web1": "repaired"}
    assert ("state.apply", ["web1"]) in site.opts["published"]
    assert os.listdir(os.path.join(site.opts["cachedir"], "sshtrail", "queue")) == []


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "web1\0", 7, None.__class__, ["web1"]])
def test_what_is_no_id_is_refused_and_no_file(site, name):
    with pytest.raises(SaltInvocationError, match="which is no minion's id"):
        repairs.remediate(site, name)
    assert site.opts["published"] == []


def test_who_comes_while_somebody_works_leaves_its_name_and_returns(site):
    with repairs.alone(site) as alone:
        assert alone
        assert repairs.remediate(site, "web1") == {} and site.opts["published"] == []
        with repairs.alone(site) as second:
            assert not second
    assert repairs.remediate(site, "web2") == {"web1": "repaired", "web2": "failed: a: no"}


def lock_of(site):
    return os.path.join(site.opts["cachedir"], "sshtrail", "repairs.lock")


def test_the_lock_is_this_users_alone(site):
    with repairs.alone(site):
        found = os.stat(lock_of(site))
        assert stat.S_IMODE(found.st_mode) == 0o600
        assert stat.S_IMODE(os.stat(os.path.dirname(lock_of(site))).st_mode) == 0o700
        with open(lock_of(site), "rb") as handle, pytest.raises(BlockingIOError):
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


def test_a_lock_that_is_a_link_is_not_followed(site, tmp_path):
    (tmp_path / "sshtrail").mkdir()
    os.symlink(tmp_path / "elsewhere", lock_of(site))
    with pytest.raises(CommandExecutionError), repairs.alone(site):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_records_that_somebody_else_could_have_written_count_for_nothing(site, tmp_path):
    repairs.remediate(site)
    (tmp_path / "sshtrail" / "repairs.json").chmod(0o666)
    assert repairs.records(site) == {}


@pytest.mark.parametrize("minion", [None, "web1"])
@pytest.mark.parametrize("way", ["leaving", "taking"])
def test_a_disk_that_takes_nothing_ends_in_a_sentence(site, tmp_path, minion, way):
    """What stands there is a directory, which root cannot overwrite or remove as a file either."""
    place = {None: "everybody", "web1": "queue/web1"}[minion] if way == "leaving" else "queue/web2"
    (tmp_path / "sshtrail" / place).mkdir(parents=True)
    with pytest.raises(CommandExecutionError, match=f"^Repairs cannot be noted in .*/{place}: Is a directory$"):
        repairs.remediate(site, minion)
    with repairs.alone(site) as is_alone:
        assert is_alone


def test_a_wrong_option_is_named(site):
    site.opts["sshtrail_remediate"] = {"attempts": 0}
    with pytest.raises(remedy.OptionError, match="sshtrail_remediate:attempts is 0"):
        repairs.remediate(site)


def test_the_tags_are_those_of_the_loop(site):
    repairs.remediate(site)
    assert [tag for tag, _ in site.opts["events"]] == [event.REPAIRED, event.FAILED]
