"""
The runner: with which status salt-run ends, and what it gets who is no person at a terminal.
"""

import importlib.util
import json

import pytest
import salt.config
from salt.exceptions import CommandExecutionError, SaltInvocationError

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


# What somebody typed, and what is said of it.
TYPED = [
    ("rollout", [], {}, "missing a required argument: 'environment'."),
    ("rollout", [""], {}, "environment is ''; allowed is a name, or a list of names."),
    ("rollout", [None], {}, "environment is None; "),
    ("rollout", [["dev", 5]], {}, "environment is 5; "),
    ("rollout", ["dev"], {"canary": 0}, "canary is 0; allowed are a number from 1 and a share"),
    ("rollout", ["dev"], {"canary": ["web1", "wbe2"]}, "canary names wbe2, and the target has no such minion."),
    ("rollout", ["dev"], {"batch": "many"}, "batch is 'many'; allowed are"),
    ("rollout", ["dev"], {"timeout": "x"}, "timeout is 'x'; allowed is a number of seconds above 0."),
    ("rollout", ["dev"], {"timeout": -1}, "timeout is -1; "),
    ("fleet", [], {"timeout": True}, "timeout is True; "),
    ("fleet", [], {"batch": "x"}, "batch is 'x'; "),
    ("sessions", [], {"format": "xml"}, "xml"),
    ("compliance", [], {"format": "xml"}, "xml"),
    ("page", ["trail.html"], {}, "must be the absolute path"),
    ("page", [], {}, "missing a required argument: 'file'."),
    ("session", ["web1"], {}, "missing a required argument: 'id'."),
]


@pytest.mark.parametrize(("name", "given", "named", "said"), TYPED)
def test_what_cannot_be_asked_is_one_sentence_and_no_success(runner, capsys, name, given, named, said):
    function = runner(name)
    assert function(*given, **named)["retcode"] == runner.module.__context__["retcode"] == 1
    told = json.loads(capsys.readouterr().out)["Error"]
    assert said in told and "\n" not in told
    # Whoever is no person on a command line gets the error itself.
    runner.module.__opts__["fun"] = "state.orchestrate"
    with pytest.raises(SaltInvocationError):
        function(*given, **named)


@pytest.mark.parametrize(
    ("name", "given"), [("repairs", []), ("remediate", ["web1"]), ("clear", ["web1"]), ("watch", [])]
)
def test_what_fails_is_one_sentence_and_no_traceback(runner, monkeypatch, capsys, name, given):
    def full(*_given):
        raise CommandExecutionError("Cannot hold the lock x: No space left\non \x1b[2Jdevice; nothing was touched.")

    room = runner.module.fleet_heartbeats if name == "watch" else runner.module.fleet_repairs
    monkeypatch.setattr(room, "shown" if name == "repairs" else name, full)
    assert runner(name)(*given)["retcode"] == 1
    assert json.loads(capsys.readouterr().out)["Error"].startswith("Cannot hold the lock x: No space left\\non \\x1b")


@pytest.mark.parametrize("name", ["fleet", "compliance", "sessions", "page"])
def test_a_target_that_is_nobody_is_no_success(runner, monkeypatch, capsys, tmp_path, name):
    monkeypatch.setattr(runner.module.master.Master, "minions", lambda *_: [])
    given = [str(tmp_path / "page.html")] if name == "page" else []
    assert runner(name)(*given, tgt="wbe*")["retcode"] == 1
    assert "The target 'wbe*' (glob) has no minion" in json.loads(capsys.readouterr().out)["Error"]


def test_nobody_waits_aloud_where_quiet_is_asked_for(runner, capsys):
    runner.module.__opts__["quiet"] = True
    site = runner.module.master.Master(runner.module.__opts__, {"event.send": lambda *_: True}, [])
    site.say("dev: validating")
    assert capsys.readouterr() == ("", "")


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
@pytest.mark.parametrize("name", ["fleet", "rollout", "compliance", "sessions", "remediate"])
def test_ctrl_c_ends_with_130(runner, monkeypatch, capsys, name, interrupt):
    def interrupted(*_, **__):
        raise interrupt

    monkeypatch.setattr(runner.module.fleet_heartbeats, "fleet", interrupted)
    monkeypatch.setattr(runner.module.master, "roll_out", interrupted)
    monkeypatch.setattr(runner.module.fleet_audit, "compliance", interrupted)
    monkeypatch.setattr(runner.module.fleet_sessions, "sessions", interrupted)
    monkeypatch.setattr(runner.module.fleet_repairs, "remediate", interrupted)
    assert runner(name)("dev")["retcode"] == runner.module.__context__["retcode"] == 130
    assert "nterrupted" in json.loads(capsys.readouterr().out)["Error"]


def test_an_error_stays_one(runner, monkeypatch):
    def wrong(*_, **__):
        raise CommandExecutionError("why")

    monkeypatch.setattr(runner.module.master, "roll_out", wrong)
    function = runner("rollout")
    assert function("dev")["retcode"] == runner.module.__context__["retcode"] == 1
    # Whoever is no person on a command line gets the error itself.
    runner.module.__opts__["fun"] = "state.orchestrate"
    with pytest.raises(CommandExecutionError, match="why"):
        function("dev")


@pytest.mark.parametrize("name", ["fleet", "repairs"])
@pytest.mark.parametrize(
    "said", ["", "The repairs of the whole fleet wait for process 7 (salt-run, which is stopped)."]
)
def test_a_run_of_repairs_that_hangs_is_told_beside_what_was_asked(runner, monkeypatch, capsys, name, said):
    """For a script the answer stays as it is, and the status tells."""
    monkeypatch.setattr(runner.module.fleet_heartbeats, "fleet", lambda *_: {"web1": {**ROW, "looked": 1}})
    monkeypatch.setattr(runner.module.fleet_repairs, "stuck", lambda _site: said)
    done = runner(name)()
    assert capsys.readouterr().err == (f"{said}\n" if said else "")
    assert runner.module.__context__.get("retcode", 0) == (1 if said else 0)
    assert not said or done["retcode"] == 1
    # Whoever is no person on a command line has the log and the event.
    runner.module.__opts__["fun"] = "state.orchestrate"
    getattr(runner.module, name)()
    assert capsys.readouterr().err == ""
