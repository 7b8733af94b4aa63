"""
A minion that lies: what it sends under the names of others, or as code, reaches nobody but itself.

The master, the minions and the keys are real; the lies are sent with the liar's own key, through Salt's own channel.
"""

import contextlib
import json
import os
import signal
import sys
import threading

import pytest
from _site import below
from _waiting import wait_for
from loop import kept
from sshtrail_lib import RELEASE
from sshtrail_lib.drift import answer

LIAR, VICTIM = "staging-1", "prod-1"
# Run in the liar's house with his configuration: each load on the standard input goes to the master.
SPEAK = """
import json, sys
import salt.channel.client, salt.config, salt.crypt
opts = salt.config.minion_config(sys.argv[1])
opts["master_ip"] = "127.0.0.1"
opts["master_uri"] = "tcp://127.0.0.1:4506"
opts["id"] = sys.argv[2]
token = salt.crypt.SAuth(opts).gen_token(b"salt")
with salt.channel.client.ReqChannel.factory(opts) as channel:
    for load in json.load(sys.stdin):
        try:
            answer = channel.send({**load, "tok": token}, timeout=20, tries=1)
        except Exception as exc:
            answer = repr(exc)
        print(json.dumps(repr(answer)))
"""
WELL = {"environment": "prod", "digest": "ab12cd34ef56", "drift": [], "reboot": {}, "silent": "", "error": None}
GOOD = {"version": 1, "digest": "ab12cd34ef56", "round": 1, "time": 1790000000.0, "release": RELEASE}
MARKER = "/tmp/sshtrail-owned"
CODE = [
    "{{ salt['cmd.run']('touch " + MARKER + "') }}",
    "$(touch " + MARKER + ")",
    "; touch " + MARKER,
    "prod-1\nevil:\n  runner.salt.cmd:\n    - args: [cmd.run, 'touch " + MARKER + "']",
    "../../../../tmp/sshtrail-owned",
    "*",
    "",
    "prod-1,dev-1",
    "\x00",
]


@pytest.fixture(scope="module")
def fleet(site):
    return site


def speak(fleet, *loads):
    """Have the liar send loads to the master; return what it answered."""
    program = [sys.executable, "-c", SPEAK, fleet.base / LIAR / "conf" / "minion", LIAR]
    done = fleet.houses[LIAR].run(*program, stdin=None, input=json.dumps(loads))
    return [json.loads(line) for line in done.stdout.splitlines()]


def event(data=None, tag="sshtrail/drift/found", **load):
    return {"cmd": "_minion_event", "id": LIAR, "tag": tag, "data": data if data is not None else GOOD, **load}


def settled(fleet):
    """Wait until the master has dealt with all that came before, and return how many jobs there were."""
    fleet.run("sshtrail.remediate")
    # It may have left that to another run.
    wait_for(lambda: not kept(fleet, "repairs.working").stat().st_mtime, "the end of all repairs")
    return len(fleet.jobs)


def reached(fleet, since):
    """Return the minions to which anything was published, once the master has dealt with all that came before."""
    settled(fleet)
    assert fleet.answers("test.echo", "settled", target="dev-1") == {"dev-1": "settled"}
    wait_for(lambda: any(job["fun"] == "test.echo" for job in fleet.jobs[since:]), "the last job")
    # Salt itself asks who is there, and after a job whose answer is late.
    asked = ("test.echo", "test.ping", "saltutil.find_job", answer.JOB)
    return {name for job in fleet.jobs[since:] if job["fun"] not in asked for name in job["minions"]}


def drifts(fleet, name):
    fleet.houses[name].run("sed", "-i", "s/VERBOSE/ERROR/", "/etc/ssh/sshd_config")


def test_an_event_under_anothers_name_wakes_the_master_and_moves_nothing(fleet):
    since = settled(fleet)
    forged = [{"tag": "sshtrail/drift/found", "data": {**GOOD, "id": VICTIM}, "id": VICTIM}]
    speak(fleet, event(events=forged), event({**GOOD, "id": VICTIM}), event(events=[{**forged[0], "pretag": VICTIM}]))
    assert reached(fleet, since) == set()
    assert fleet.run("sshtrail.repairs") == {}


def test_a_claim_under_anothers_name_is_not_kept(fleet):
    since = settled(fleet)
    claim = {"cmd": "_mine", "data": {"sshtrail_drift": GOOD}, "clear": False}
    speak(fleet, {**claim, "id": VICTIM}, event(events=[{"tag": "sshtrail/drift/found", "data": {"id": VICTIM}}]))
    # Salt keeps it under the liar's own name, or not at all.
    assert reached(fleet, since) <= {LIAR}
    assert "sshtrail_drift" not in fleet.run("cache.mine", VICTIM).get(VICTIM, {})


def test_code_in_any_field_is_no_code(fleet):
    since = settled(fleet)
    for code in CODE:
        speak(fleet, *spoken(code))
        fleet.run("sshtrail.remediate", LIAR)
    assert reached(fleet, since) == set()
    for house in (fleet.network, *fleet.houses.values()):
        assert not house.inside(MARKER).exists()
    assert not list((fleet.base / "master").rglob("sshtrail-owned"))


def spoken(code):
    """Return loads that hold ``code`` wherever a minion can put something."""
    keys = ["version", "digest", "round", "environment", "policy", "action", "id", "minion"]
    difference = dict.fromkeys(["layer", "what", "expected", "actual", "said"], code)
    body = {**dict.fromkeys(keys, code), "differences": [difference]}
    claim = {"cmd": "_mine", "id": LIAR, "clear": False}
    return [
        event(body),
        event(events=[{"tag": "sshtrail/drift/found", "data": {"id": code, "data": body}, "id": code}]),
        event(tag=f"sshtrail/drift/found/{code}"),
        {**claim, "data": {"sshtrail_drift": {**GOOD, "digest": code}}},
        event(),
        {**claim, "data": {"sshtrail_drift": code}},
        event(),
    ]


def test_an_environment_of_its_own_choice_changes_nothing(fleet):
    """dev-1 belongs to an environment that only reports: the master's pillar says so, whatever dev-1 says."""
    drifts(fleet, "dev-1")
    _, _, told = fleet.event("dev-1", "found")
    assert told["action"] == "report"
    assert fleet.answers("sshtrail_watch.claim", target="dev-1")["dev-1"]["digest"] == told["digest"]
    since = settled(fleet)
    lie = json.dumps({**told, "environment": "prod", "action": "repair"})
    fleet.answers("event.send", "sshtrail/drift/found", lie, target="dev-1")
    fleet.run("sshtrail.remediate", "dev-1")
    assert "state.apply" not in {job["fun"] for job in fleet.jobs[since:]}
    assert "dev-1" not in fleet.run("sshtrail.repairs")
    fleet.answers("state.apply", "sshtrail", target="dev-1")
    fleet.event("dev-1", "gone")


def test_a_claim_that_is_a_lie_costs_its_own_host_a_state_run(fleet):
    """It is repaired, and found to be well, once for each claim; how often in an hour, the unit tests tell."""
    fleet.run("sshtrail.clear", LIAR)
    since = settled(fleet)
    claim = {"cmd": "_mine", "id": LIAR, "data": {"sshtrail_drift": {**GOOD, "round": 100}}, "clear": False}
    for _ in range(3):
        speak(fleet, claim)
        fleet.run("sshtrail.remediate", LIAR)
    assert reached(fleet, since) <= {LIAR}
    record = fleet.run("sshtrail.repairs")[LIAR]
    assert (record["repaired"], record["failed"], record["stopped"]) == (1, 0, "")
    speak(fleet, {"cmd": "_mine_delete", "id": LIAR, "fun": "sshtrail_drift"})


@contextlib.contextmanager
def stopped(fleet, name):
    """Have a minion that is there and does nothing."""
    family = below(fleet.processes[name].pid)
    for pid in family:
        os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        for pid in family:
            os.kill(pid, signal.SIGCONT)


def lie(fleet, since, *minions):
    """Return a thread that answers the next question for minions, on the bus and in the mine, as the liar can."""

    def speaks():
        wait_for(lambda: [job for job in fleet.jobs[since:] if job["fun"] == answer.CONDITION], "the question")
        [jid] = [job["jid"] for job in fleet.jobs[since:] if job["fun"] == answer.CONDITION]
        ret = {"jid": jid, "fun": answer.CONDITION, "fun_args": [], "return": WELL, "retcode": 0, "success": True}
        told = {answer.key(answer.CONDITION): {"version": 1, "jid": jid, "value": WELL}}
        nonsense = {answer.key(answer.CONDITION): {"version": 1, "jid": jid, "value": {"drift": 5}}}
        speak(fleet, {"cmd": "_mine", "id": LIAR, "data": nonsense, "clear": False})
        for name in minions:
            speak(
                fleet,
                event({**ret, "id": name}, tag=f"salt/job/{jid}/ret/{name}"),
                event(events=[{"tag": f"salt/job/{jid}/ret/{name}", "data": {**ret, "id": name}}]),
                {"cmd": "_return", "id": name, **ret},
                {"cmd": "_mine", "id": name, "data": told, "clear": False},
            )

    thread = threading.Thread(target=speaks)
    thread.start()
    return thread


def test_an_answer_under_anothers_name_counts_for_nothing_and_nonsense_for_its_own_host(fleet):
    """It hears the number of the question, and is the first to answer it: for a host that cannot answer itself."""
    with stopped(fleet, VICTIM), stopped(fleet, LIAR):
        liar = lie(fleet, len(fleet.jobs), VICTIM)
        rows = fleet.run("sshtrail.fleet", "timeout=30")
        liar.join()
    assert rows["dev-1"]["standing"] == "in policy"
    assert rows[VICTIM]["standing"] == "no answer", rows[VICTIM]
    assert rows[LIAR]["standing"] == "answers nonsense" and rows[LIAR]["differences"]


def test_a_flood_and_replays_do_not_keep_others_from_being_repaired(fleet):
    since = settled(fleet)
    flood = threading.Thread(target=speak, args=[fleet, *[event()] * 300])
    flood.start()
    drifts(fleet, VICTIM)
    fleet.event(VICTIM, "found")
    _, kind, told = fleet.event(VICTIM, "repaired", "failed", "stopped")
    flood.join()
    assert kind == "repaired", told
    fleet.event(VICTIM, "gone")
    speak(fleet, *[event(events=[{"tag": "sshtrail/drift/found", "data": {**GOOD, "id": VICTIM}}])] * 20)
    assert reached(fleet, since) <= {VICTIM}
    applied = [job for job in fleet.jobs[since:] if job["fun"] == "state.apply"]
    assert len(applied) == 1


def test_no_minion_reads_the_claim_of_another(fleet):
    drifts(fleet, "dev-1")
    wait_for(lambda: fleet.answers("sshtrail_watch.claim", target="dev-1")["dev-1"], "the claim")
    assert fleet.answers("mine.get", "dev-1", "sshtrail_drift", target=LIAR) == {LIAR: {}}
    assert fleet.answers("mine.get", "dev-1", "sshtrail_drift", target="dev-1")["dev-1"]["dev-1"]["version"] == 1
