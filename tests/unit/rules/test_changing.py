"""
rules.changing: which processes of Salt's have changed the rules.
"""

import json
import os
import pathlib
import types

import pytest
from sshtrail_lib.rules import changing


@pytest.fixture
def minion(tmp_path):
    return types.SimpleNamespace(run_dir=str(tmp_path / "run"))


def test_who_changes_rules_is_known_while_he_does_and_after(minion):
    assert changing.known(minion) == []
    with changing.noted(minion):
        [(pid, begun, until)] = changing.known(minion)
        assert pid == os.getpid() and until == begun + changing.LONGEST
    [(pid, begun, ended)] = changing.known(minion)
    assert pid == os.getpid() and begun <= ended < until


def test_who_fails_is_known_too(minion):
    with pytest.raises(ValueError), changing.noted(minion):
        raise ValueError
    assert len(changing.known(minion)) == 1


def test_only_the_last_ones_of_this_boot_are_known(minion, monkeypatch):
    monkeypatch.setattr(changing, "MOST", 2)
    for _ in range(3):
        with changing.noted(minion):
            pass
    assert len(changing.known(minion)) == 2
    path = pathlib.Path(changing._path(minion))
    for boot, changes in (("another", [[1, 2.0, 3.0]]), (json.loads(path.read_text())["boot"], [[1]])):
        path.write_text(json.dumps({"boot": boot, "changes": changes}))
        assert changing.known(minion) == []
    # What others could have written is nothing that anybody knows.
    path.write_text(json.dumps({"boot": json.loads(path.read_text())["boot"], "changes": [[1, 2.0, 3.0]]}))
    assert changing.known(minion) == [(1, 2.0, 3.0)]
    path.chmod(0o666)
    assert changing.known(minion) == []
