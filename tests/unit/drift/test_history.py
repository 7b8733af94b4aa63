"""drift.history: kept for root alone, and never in the way of a look."""

import os
import stat

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.drift import history

A = {"layer": "kernel", "what": "a", "expected": 1, "actual": 2, "since": None, "by": None}


def test_looks_and_proofs_are_kept_for_this_user_alone(tmp_path):
    history.looked(str(tmp_path), [A])
    history.proven(str(tmp_path), {"holds": True, "lost_at": None})
    told = history.over(str(tmp_path), 1)
    assert [one["what"] for one in told["spans"]] == ["a"] and len(told["proofs"]) == 1
    path = tmp_path / "sshtrail" / "history.json"
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@pytest.mark.parametrize("days", ["x", -1, None, True, float("nan"), float("inf"), [1], 1e18])
def test_days_that_cannot_be_are_a_sentence(tmp_path, days):
    with pytest.raises(SaltInvocationError, match="days must be a number from 0, not "):
        history.over(str(tmp_path), days)


def test_what_others_could_have_written_is_not_believed(tmp_path, caplog):
    history.looked(str(tmp_path), [A])
    os.chmod(tmp_path / "sshtrail" / "history.json", 0o666)
    assert history.over(str(tmp_path), 1)["looks"] == 0
    assert "begins anew" in caplog.text


def test_a_history_that_cannot_be_kept_hinders_no_look(tmp_path, caplog):
    (tmp_path / "sshtrail").write_text("in the way")
    history.looked(str(tmp_path), [A])
    assert "cannot be kept" in caplog.text
