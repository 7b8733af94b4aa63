"""
fleet.shown: the answer as a person has asked for it, and the status with which salt-run ends.
"""

import io
import json
import time
import weakref

import pytest
import salt.config
import salt.runner
import salt.utils.event
from sshtrail_lib.fleet import shown, standing

ROWS = {
    "web1": {"environment": "prod", "digest": "a" * 12, "proof": None, "standing": "in policy", "differences": []},
    "web2": {
        "environment": "prod",
        "digest": "a" * 12,
        "proof": None,
        "standing": "differs",
        "differences": ["x", "y"],
    },
}
SUMMARIES = {
    "dev": {
        "environment": "dev",
        "result": False,
        "why": "Stopped at canary: web2: x",
        "minions": {
            "web2": {"step": "canary", "policy": "not on dev 1: differs"},
            "web1": {"step": "-", "policy": "dev 1"},
        },
    }
}


@pytest.fixture
def opts(tmp_path):
    given = salt.config.master_config(None)
    return {**given, "cachedir": str(tmp_path), "color": False, "__cli": "salt-run", "fun": "sshtrail.fleet"}


@pytest.mark.parametrize(
    ("changes", "asked"),
    [
        ({}, True),
        ({"fun": "state.orchestrate"}, False),
        ({"__cli": "salt-master"}, False),
        ({"async": True}, False),
        ({"fun": "sshtrail.rollout"}, False),
    ],
)
def test_who_runs_it_by_hand(opts, changes, asked):
    assert shown.by_hand({**opts, **changes}, "sshtrail.fleet") is asked


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ({}, "two hosts"),
        ({"output": "json"}, '"standing": "differs"'),
        ({"output": "yaml"}, "standing: differs"),
        ({"output": "highstate"}, "Comment: x; y"),
        ({"quiet": True}, ""),
    ],
)
def test_the_answer_is_shown_as_asked_for(opts, capsys, given, wanted):
    given = {"output": None, **given}
    told = shown.answer({**opts, **given}, None, ROWS, 1, "two hosts", shown.states(ROWS, standing.good))
    said = capsys.readouterr().out
    assert wanted in said and bool(said) is bool(wanted)
    if given["output"] == "json":
        assert json.loads(said) == ROWS
    # What salt/cli/run.py ends with.
    assert told["retcode"] == 1 and "data" not in told


def test_salt_shows_nothing_more(opts, capsys):
    class Bus:
        def fire_event(self, data, tag):
            return True

    client = salt.runner.RunnerClient({**opts, "output": "json"})
    event = salt.utils.event.NamespacedEvent(Bus(), "salt/run/1", print_func=client.print_async_event)
    told = shown.answer({**opts, "quiet": True}, weakref.proxy(event), ROWS, 0)
    event.fire_event({"return": told}, "ret")
    assert capsys.readouterr().out == ""


def test_a_rollout_as_states(opts, capsys):
    shown.answer({**opts, "output": "highstate"}, None, SUMMARIES, 1, states=shown.steps(SUMMARIES))
    said = capsys.readouterr().out
    assert "Succeeded: 1" in said and "Failed:    2" in said and "Stopped at canary: web2: x" in said


def test_who_waits_is_told_so(monkeypatch):
    told = io.StringIO()
    monkeypatch.setattr(shown, "EVERY", 0.01)
    monkeypatch.setattr("sys.stderr", told)
    with shown.waiting(False, "nobody"):
        time.sleep(0.05)
    assert told.getvalue() == ""
    names = [f"web{number}" for number in range(8)]
    with shown.waiting(True, "the answers of 2 minions", lambda: names):
        deadline = time.monotonic() + 5
        while told.getvalue().count("waiting for the answers of 2 minions") < 2:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert "; still silent: web0, web1, web2, web3, web4 and 3 more\n" in told.getvalue()
