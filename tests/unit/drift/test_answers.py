"""
drift.answers: an answer goes into the mine, whatever keeps this host from remembering it.
"""

import contextlib

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import store, transaction
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import answer, answers


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """What the mine got, and a host that fills it."""
    got = {}
    monkeypatch.setattr(store, "_HELD", {})
    monkeypatch.setattr(answers, "DEADLINE", 0.2)
    minion = Minion({}, {"id": "web1", "cachedir": str(tmp_path)}, {}, {})

    def send(key, jid, mine_function, **allowed):
        got[key] = answers.kept(minion, jid)
        return True

    minion.call["mine.send"] = send
    return minion, got


def refusing(sentence):
    def refuse(*_given, **_more):
        raise CommandExecutionError(sentence)

    return refuse


STATES = {"a": {"result": False, "comment": "no", "name": "a"}}
APPLIED = {"jid": "7", "fun": answer.APPLY, "return": STATES}


@pytest.mark.parametrize("metadata", [None, "sshtrail.condition", {}, {"sshtrail": "test.ping"}, answer.LOOKING])
def test_how_a_host_stands_is_told_with_its_states_where_the_job_asks_for_it(mine, metadata):
    minion, got = mine
    minion.call[answer.CONDITION] = lambda: {"drift": [], "digest": "abc"}
    answers.give(minion, {**APPLIED, "metadata": metadata} if metadata is not None else APPLIED)
    told = got[answer.key(answer.APPLY)]
    assert answer.parse(told, "7") == (STATES,)
    asked = metadata == answer.LOOKING
    assert told.get("condition") == ({"digest": "abc", "drift": [], "more": 0, "reboot": {}} if asked else None)


@pytest.mark.parametrize("trouble", ["a sentence", "nonsense", "no module"])
def test_a_look_that_fails_keeps_no_states_from_being_told(mine, trouble):
    minion, got = mine
    looks = {"a sentence": refusing("sshd does not answer"), "nonsense": lambda: ["no"]}
    minion.call.update({answer.CONDITION: looks[trouble]} if trouble in looks else {})
    answers.give(minion, {**APPLIED, "metadata": answer.LOOKING})
    told = got[answer.key(answer.APPLY)]
    assert answer.parse(told, "7") == (STATES,) and "condition" not in told


@pytest.mark.parametrize("trouble", ["none", "a full disk", "a lock that is held", "a disk that is read only"])
def test_an_answer_is_given_whatever_happens_to_the_disk(mine, trouble, tmp_path, monkeypatch):
    minion, got = mine
    with contextlib.ExitStack() as stack:
        if trouble == "a full disk":
            monkeypatch.setattr(store.files, "replace", refusing("Cannot write it: No space left on device"))
        elif trouble == "a lock that is held":
            stack.enter_context(transaction.lock(str(tmp_path / "sshtrail" / "answers.lock")))
        elif trouble == "a disk that is read only":
            monkeypatch.setattr(transaction, "lock", refusing("Cannot hold the lock it: Read-only file system"))
        answers.give(minion, {"jid": "7", "fun": "sshtrail.condition", "return": {"drift": []}})
    told = got[answer.key("sshtrail.condition")]
    assert answer.parse(told, "7") == ({"reboot": {}, "drift": [], "more": 0},)
