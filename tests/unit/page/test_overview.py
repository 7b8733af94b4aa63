"""page.overview: everything in one answer, and a part that fails hides no other."""

import json

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import answer
from sshtrail_lib.page import overview

from unit.page import fleets


def raises(exc):
    def call(*_args, **_kwargs):
        raise exc

    return call


@pytest.fixture
def calls(tmp_path):
    policy = {"audit": True, "auditd": {"path": "/etc/audit/auditd.conf"}}
    return {
        "sshtrail.policy": lambda: policy,
        "sshtrail.drift": lambda: [fleets.DIFFERENCE],
        "sshtrail.coverage": lambda: [fleets.WAY],
        "sshtrail.compliance": lambda search: fleets.ROWS,
        "sshtrail_trail.sentence": lambda by: f"by {by['user']}",
        "sshtrail_trail.sessions": lambda **_given: [fleets.session(1, commands=[fleets.command("x")] * 500)] * 500,
        "sshtrail_trail.failures": lambda **_given: [fleets.FAILURE] * 500,
        "auditd_conf.get": lambda _keyword, path: {"value": str(tmp_path / "audit.log")},
    }


@pytest.mark.parametrize("days", ["x", 0, -1, 93, None, True, 1.5, float("nan")])
def test_days_that_cannot_be_are_a_sentence(days, tmp_path):
    with pytest.raises(SaltInvocationError, match="days must be a whole number from 1 to 92, not "):
        overview.overview(Minion({}, {"cachedir": str(tmp_path)}, {}, {}), days)


def told(calls, tmp_path):
    grains = {"os": "Debian", "osrelease": "12.5"}
    return overview.overview(Minion(calls, {"cachedir": str(tmp_path)}, {}, grains), 7)


def test_everything_is_there_and_bounded(calls, tmp_path):
    found = told(calls, tmp_path)
    assert found["system"] == "Debian 12.5" and found["drift"][0]["said"] == "by mallory"
    assert len(found["sessions"]) == overview.SESSIONS and len(found["failures"]) == overview.FAILURES
    first = found["sessions"][0]
    assert first["commands"] and len(first["commands"]) + first["more_commands"] == 500
    assert len(json.dumps(found)) <= overview.LARGEST < answer.LARGEST_WHOLE
    assert found["history"]["looks"] == 0 and found["log"] == {"oldest": None, "audit": True}


def test_a_proof_is_left_out_and_what_only_looks_like_one_is_not(calls, tmp_path):
    mark = {**fleets.command("/bin/true", f"sshtrail-proof-{'0' * 32}"), "exe": "/bin/true"}
    kinds = {1: [mark], 2: [mark, {**fleets.command("id"), "exe": "/bin/id"}], 3: [], 4: None}
    here = {"from": {"address": "127.0.0.1", "port": 40022}}
    calls["sshtrail_trail.sessions"] = lambda **_given: [
        *(fleets.session(one, commands=ran, **here) for one, ran in kinds.items()),
        # Who comes from elsewhere, and forwards a port meanwhile, is none.
        *(
            fleets.session(5 + at, commands=[mark], **{"from": {"address": peer, "port": 1}})
            for at, peer in enumerate(["192.0.2.7", "fe80::1%eth0", "a.example", None])
        ),
    ]
    found = told(calls, tmp_path)["sessions"]
    assert [one["id"] for one in found] == [fleets.session(one)["id"] for one in range(2, 9)]


def test_since_when_there_are_records(calls, tmp_path):
    (tmp_path / "audit.log").write_text("type=USER msg=audit(86400.000:7): pid=1\n")
    assert told(calls, tmp_path)["log"]["oldest"].startswith("1970-01-02T00:00:0")
    calls["sshtrail.policy"] = lambda: {"audit": False}
    assert told(calls, tmp_path)["log"] == {"oldest": None, "audit": False}


@pytest.mark.parametrize("part", ["drift", "coverage", "compliance"])
@pytest.mark.parametrize("exc", [CommandExecutionError("it cannot\nbe told"), ValueError("x")])
def test_a_part_that_fails_hides_no_other(calls, tmp_path, part, exc):
    found = told({**calls, f"sshtrail.{part}": raises(exc)}, tmp_path)
    assert found[part]["error"] in ("it cannot\\nbe told", "ValueError: x")
    assert len([name for name in found if not (isinstance(found[name], dict) and "error" in found[name])]) == 9


@pytest.mark.usefixtures("untraced")
def test_what_is_hostile_fits_too(calls, tmp_path):
    hostile = fleets.session(1, commands=[fleets.command("\x1b" * 10**5)] * 500, unknown={"x" * 10**6: "y" * 10**6})
    calls["sshtrail_trail.sessions"] = lambda **_given: [hostile] * 500
    found = told(calls, tmp_path)
    assert len(json.dumps(found)) <= overview.LARGEST and found["sessions"]
    assert len(found["sessions"]) + found.get("more_sessions", 0) == overview.SESSIONS


def test_a_reader_that_is_not_here_is_told(calls, tmp_path):
    del calls["sshtrail_trail.sessions"]
    assert told(calls, tmp_path)["sessions"]["error"] == "sshtrail_trail.sessions is not on this host"
