"""
The one path that every state takes.
"""

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.base import state


class Thing:
    """Something to bring to a value, which counts how often it was looked at and acted upon."""

    def __init__(self, value, stubborn=False):
        self.value, self.stubborn, self.looks, self.acts = value, stubborn, 0, 0

    def plan(self):
        self.looks += 1
        return state.changes({"value": self.value}, {"value": "new"}), f"It is {self.value}."

    def act(self):
        self.acts += 1
        self.value = self.value if self.stubborn else "new"


CHANGE = {"value": {"old": "old", "new": "new"}}


@pytest.mark.parametrize(
    "value, test, result, changes, comment, looks, acts",
    [
        ("old", True, None, CHANGE, "It is old.", 1, 0),
        ("old", False, True, CHANGE, "It is new.", 2, 1),
        ("new", True, True, {}, "It is new.", 1, 0),
        ("new", False, True, {}, "It is new.", 1, 0),
    ],
)
def test_test_mode_and_the_real_run_are_one_path(value, test, result, changes, comment, looks, acts):
    thing = Thing(value)
    ret = state.bring("thing", test, thing.plan, thing.act)
    assert ret == {"name": "thing", "result": result, "changes": changes, "comment": comment}
    assert (thing.looks, thing.acts) == (looks, acts)


def test_a_change_that_is_not_there_afterwards_is_a_failure():
    thing = Thing("old", stubborn=True)
    ret = state.bring("thing", False, thing.plan, thing.act)
    assert (ret["result"], ret["changes"]) == (False, {})
    assert ret["comment"].startswith("The change was made but is not there")


@pytest.mark.parametrize("error", [CommandExecutionError("why"), SaltInvocationError("why"), OSError("why")])
@pytest.mark.parametrize("where", ["plan", "act"])
def test_an_error_on_purpose_is_one_sentence(error, where):
    def fail():
        raise error

    thing = Thing("old")
    plan, act = (fail, thing.act) if where == "plan" else (thing.plan, fail)
    assert state.bring("thing", False, plan, act) == {
        "name": "thing",
        "result": False,
        "changes": {},
        "comment": "why",
    }


def test_an_error_in_our_own_code_is_not_hidden():
    def bug():
        raise KeyError("bug")

    with pytest.raises(KeyError):
        state.bring("thing", True, bug, bug)


@pytest.mark.parametrize("test, result, changes", [(True, None, CHANGE), (False, False, {})])
def test_what_is_not_installed_yet_is_predicted_and_never_claimed(test, result, changes):
    def plan():
        raise state.NotInstalled("There is no such package.", CHANGE)

    ret = state.bring("thing", test, plan, lambda: None)
    assert ret == {"name": "thing", "result": result, "changes": changes, "comment": "There is no such package."}


@pytest.mark.parametrize(
    "actual, desired, expected",
    [
        ({}, {}, {}),
        ({"a": 1, "b": 2}, {"a": 1}, {}),
        ({"a": 1}, {"a": None}, {"a": {"old": 1, "new": None}}),
        ({}, {"a": None}, {}),
        ({}, {"a": 0}, {"a": {"old": None, "new": 0}}),
    ],
)
def test_the_difference_between_two_mappings(actual, desired, expected):
    assert state.changes(actual, desired) == expected


@pytest.mark.parametrize(
    "test, answer, result, changes, said",
    [
        (True, None, None, {"sshd": "reloaded"}, "To be reloaded."),
        (False, ["127.0.0.1:22"], True, {"sshd": "reloaded"}, "Reloaded, for something that this watches has changed."),
        (False, [], True, {}, "There was nothing of sshd to be reloaded."),
        (False, CommandExecutionError("why"), False, {}, "why"),
    ],
)
def test_what_a_watched_change_comes_to(test, answer, result, changes, said):
    def act():
        assert not test
        if isinstance(answer, Exception):
            raise answer
        return answer

    ret = state.watched("thing", test, "sshd", "reloaded", act)
    assert ret == {"name": "thing", "result": result, "changes": changes, "comment": said}


@pytest.mark.parametrize(
    ("ret", "test", "comment"),
    [
        ({"result": True, "changes": CHANGE}, False, "Done. thing 1 is undone."),
        ({"result": None, "changes": CHANGE}, True, "Done."),
        ({"result": True, "changes": {}}, False, "Done."),
        ({"result": False, "changes": CHANGE}, False, "Done."),
    ],
)
def test_what_something_undoes_is_told_with_what_was_changed(ret, test, comment):
    told = state.twice(
        {"name": "thing", "comment": "Done.", **ret}, test, lambda name, found: [f"{name} {len(found)} is undone."]
    )
    assert told["comment"] == comment
