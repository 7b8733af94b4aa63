"""
The runner: with which status salt-run ends, and what it gets who is no person at a terminal.
"""

import importlib.util
import json

import pytest
import salt.config
from salt.exceptions import CommandExecutionError

ROW = {"environment": "prod", "digest": "a" * 12, "proof": None, "standing": "in policy", "differences": []}
SUMMARY = {"environment": "dev", "result": True, "why": "", "minions": {}}
STOPPED = {**SUMMARY, "result": False, "why": "Stopped at canary: web1: x"}


@pytest.fixture
def runner(root, tmp_path, monkeypatch):
    """The runner as Salt loads it for ``salt-run --out=json``: ``runner(FUNCTION)`` gives that function."""
    spec = importlib.util.spec_from_file_location("sshtrail_runner", root / "_runners" / "sshtrail.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    module.__opts__ = {
        **salt.config.master_config(None),
        "cachedir": str(tmp_path),
        "__cli": "salt-run",
        "output": "json",
    }
    module.__salt__, module.__context__ = {}, {}
    monkeypatch.setattr(module.master.Master, "minions", lambda *_: ["web1"])

    def chosen(name):
        module.__opts__["fun"] = f"sshtrail.{name}"
        return getattr(module, name)

    chosen.module = module
    return chosen


@pytest.mark.parametrize(
    ("standing", "status"),
    [
        ("in policy", 0),
        ("waits for a reboot", 0),
        ("differs", 1),
        ("no answer", 1),
        ("no policy", 1),
        ("not watched", 1),
    ],
)
def test_the_status_of_a_fleet(runner, monkeypatch, capsys, standing, status):
    rows = {"web1": {**ROW, "standing": standing}}
    monkeypatch.setattr(runner.module.fleet_heartbeats, "fleet", lambda *_: rows)
    assert runner("fleet")()["retcode"] == runner.module.__context__["retcode"] == status
    assert json.loads(capsys.readouterr().out) == rows
    # An orchestration, and whoever asks in Python, get the data alone.
    runner.module.__opts__["fun"] = "state.orchestrate"
    assert runner.module.fleet() == rows
    assert runner.module.fleet(table=True).startswith("minion")


@pytest.mark.parametrize(("summary", "status"), [(SUMMARY, 0), (STOPPED, 1)])
def test_the_status_of_a_rollout(runner, monkeypatch, capsys, summary, status):
    monkeypatch.setattr(runner.module.master, "roll_out", lambda *_, **__: {"dev": summary})
    assert runner("rollout")("dev")["retcode"] == runner.module.__context__["retcode"] == status
    assert json.loads(capsys.readouterr().out)["result"] is summary["result"]
    runner.module.__opts__["fun"] = "state.orchestrate"
    assert ("Error" in runner.module.rollout("dev")) is bool(status)


@pytest.mark.parametrize("interrupt", [KeyboardInterrupt, SystemExit])
@pytest.mark.parametrize("name", ["fleet", "rollout"])
def test_ctrl_c_ends_with_130(runner, monkeypatch, capsys, name, interrupt):
    def interrupted(*_, **__):
        raise interrupt

    monkeypatch.setattr(runner.module.fleet_heartbeats, "fleet", interrupted)
    monkeypatch.setattr(runner.module.master, "roll_out", interrupted)
    assert runner(name)("dev")["retcode"] == runner.module.__context__["retcode"] == 130
    assert "nterrupted" in json.loads(capsys.readouterr().out)["Error"]


def test_an_error_stays_one(runner, monkeypatch):
    def wrong(*_, **__):
        raise CommandExecutionError("why")

    monkeypatch.setattr(runner.module.master, "roll_out", wrong)
    with pytest.raises(CommandExecutionError, match="why"):
        runner("rollout")("dev")
