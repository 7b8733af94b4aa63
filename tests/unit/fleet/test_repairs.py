"""
fleet.repairs: who waits, who works, what is remembered and what is told, with nobody there to be repaired.
"""

import contextlib
import fcntl
import os
import signal
import stat
import time

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.drift import answer, claim, event
from sshtrail_lib.fleet import lease, remedy, repairs
from sshtrail_lib.policy import pillar as policy_pillar

from unit.fleet.masters import POLICY, Site
from unit.fleet.test_lease import Worker

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


def applied(site):
    return [names for function, names in site.opts["published"] if function == answer.APPLY]


def interrupted(site, at):
    """Have a run end as one that is killed does: when it asks for something (str, a function) for the first time."""
    publish = site.publish

    class Killed(BaseException):
        pass

    def dies(names, function, *args, **kwargs):
        if function == at:
            raise Killed
        return publish(names, function, *args, **kwargs)

    site.opts["published_by"] = dies
    with pytest.raises(Killed):
        repairs.remediate(site)
    del site.opts["published_by"]


@pytest.fixture
def killable(site, monkeypatch):
    """The same site, whose ``published_by`` publishes in its place."""

    @contextlib.contextmanager
    def publisher(self):
        yield lambda *args, **kwargs: self.opts.get("published_by", self.publish)(*args, **kwargs)

    monkeypatch.setattr(Site, "publisher", publisher)
    return site


def test_what_a_killed_run_has_begun_is_not_done_again(killable):
    """Both hosts have answered to state.apply, and nobody has looked."""
    interrupted(killable, answer.CONDITION)
    assert applied(killable) == [["gone", "web1", "web2"]] and told(killable) == []
    assert repairs.remediate(killable) == {"web1": "repaired", "web2": "failed: a: no"}
    assert applied(killable) == [["gone", "web1", "web2"]]
    # Who is away says of no job that it is at work on it, and is asked anew, as always.
    assert repairs.remediate(killable) == {"web2": "failed: a: no"}
    assert applied(killable) == [["gone", "web1", "web2"], ["gone", "web2"]]
    assert [name for name, body in told(killable)].count("repaired") == 1


def test_what_a_killed_run_has_published_to_nobody_is_done(killable):
    interrupted(killable, answer.APPLY)
    assert applied(killable) == []
    assert repairs.remediate(killable) == {"web1": "repaired", "web2": "failed: a: no"}


def test_who_is_still_at_work_for_a_killed_run_is_waited_for(killable):
    """It says so, answers a moment later, and has been told once."""
    answers = killable.opts["answers"]
    first, answers[answer.APPLY] = answers[answer.APPLY], {}
    interrupted(killable, answer.JOB)
    [jid] = [str(at) for at, (function, _) in enumerate(killable.opts["published"], 1) if function == answer.APPLY]
    kept = answer.packed(jid, answer.APPLY, first["web1"])
    answers[answer.JOB] = {"web1": {"running": False, "answer": kept}, "gone": {"running": False, "answer": None}}
    answers[answer.APPLY] = {}
    done = repairs.remediate(killable, "web1")
    assert done == {"web1": "repaired"} and [names for names in applied(killable) if "web1" in names] == [
        ["gone", "web1", "web2"]
    ]


@pytest.mark.parametrize(
    "left",
    [
        b"nonsense",
        b"[]",
        b'{"web1": 5}',
        b'{"web1": {"jid": "1"}}',
        b'{"web1": {"jid": "", "claim": {}, "started": 0, "digest": ""}}',
        b'{"web1": {"jid": "1", "claim": {"version": 1, "digest": "x", "round": NaN, "time": 1}, "started": "x"}}',
    ],
)
def test_a_broken_note_of_what_has_begun_counts_for_nothing(site, tmp_path, left):
    (tmp_path / "sshtrail").mkdir()
    (tmp_path / "sshtrail" / "begun.json").write_bytes(left)
    assert repairs.remediate(site) == {"web1": "repaired", "web2": "failed: a: no"}


@pytest.fixture
def stopped(site, monkeypatch):
    """Another process that was stopped while it worked: times that a test can wait for."""
    monkeypatch.setattr(lease, "STOPPED", 0.3)
    monkeypatch.setattr(lease, "WATCHED", 0.2)
    workers = []

    def begin(where):
        workers.append(Worker([lock_of(site), repairs._fence(site)], where))
        workers[-1].signal(signal.SIGSTOP)
        time.sleep(0.4)
        return workers[-1].process.pid

    yield begin
    for one in workers:
        one.end()


def test_a_run_that_was_stopped_keeps_no_host_from_its_repair_and_is_told(site, stopped):
    pid = stopped("work")
    assert f"process {pid} " in repairs.stuck(site)
    assert repairs.remediate(site) == {"web1": "repaired", "web2": "failed: a: no"}
    [(tag, body)] = [one for one in site.opts["events"] if one[0] == event.STUCK]
    assert body["pid"] == pid and body["taken"] and "which is stopped" in body["reason"]
    assert "goes on in its place" in body["reason"] and repairs.stuck(site) == ""
    assert repairs.remediate(site) == {"web2": "failed: a: no"}


def test_a_run_that_was_stopped_where_nobody_may_take_over_is_told_once(site, stopped, caplog):
    pid = stopped("fence")
    for _ in range(3):
        assert repairs.remediate(site) == {} and site.opts["published"] == []
        repairs.watch(site)
    [(tag, body)] = site.opts["events"]
    assert tag == event.STUCK and body["pid"] == pid and not body["taken"] and body["since"].endswith("Z")
    assert caplog.text.count("The repairs of the whole fleet wait for process") == 1


def test_one_that_hangs_between_two_records_is_told(site, stopped, monkeypatch):
    """Somebody who clears a host was stopped: who works waits a moment, and then for nobody."""
    monkeypatch.setattr(lease, "DEADLINE", 0.5)
    with contextlib.ExitStack() as stack:
        worker = Worker([lock_of(site) + ".other", repairs._fence(site)], "fence")
        stack.callback(worker.end)
        worker.signal(signal.SIGSTOP)
        with pytest.raises(CommandExecutionError, match=f"It is process {worker.process.pid} "):
            repairs.remediate(site)
    assert [(tag, body["pid"]) for tag, body in site.opts["events"]] == [(event.STUCK, worker.process.pid)]
    assert repairs.remediate(site)


def test_who_was_replaced_publishes_and_notes_nothing_more(killable, monkeypatch):
    """It is stopped before it publishes; another has done all when it wakes up."""
    done = {}

    def replaced(names, function, *args, **kwargs):
        pytest.fail("it was published by one that was replaced")

    sure = lease.Turn.sure

    def slept(turn):
        if not done:
            monkeypatch.setattr(lease.Turn, "sure", sure)
            os.utime(lock_of(killable), (1, 1))
            monkeypatch.setattr(lease, "WATCHED", 0.1)
            done.update(repairs.remediate(killable))
            killable.opts["published_by"] = replaced
        return sure(turn)

    monkeypatch.setattr(lease.Turn, "sure", slept)
    assert repairs.remediate(killable) == {}
    assert done == {"web1": "repaired", "web2": "failed: a: no"}
    assert [names for names in applied(killable) if "web1" in names] == [["gone", "web1", "web2"]]
    assert repairs.shown(killable)["web1"]["repaired"] == 1
