"""
pam.dispatch: the way through a stack. What Linux-PAM itself does is asked in functional/test_sshtrail_pam_oracle.py.
"""

import itertools
import random

import pytest
from sshtrail_lib.pam import dispatch
from sshtrail_lib.pam.keywords import DENIED, RETURNS, SESSION_ERROR, SUCCESS

from unit.pam import stacks

MORE = {"more": "session [success=done default=die] pam_in.so\nsession required pam_after.so\n"}


def run(lines, **returned):
    """Return the result (str) and the modules that were called (str) where each returns what is given."""
    files = {"sshd": "".join(f"session {line}\n" for line in lines), **MORE}
    stack = stacks.reading(files).stack("session")
    result, called = dispatch.run(stack, lambda one: RETURNS.index(returned.get(one.module[4:-3], "success")))
    return RETURNS[result], " ".join(stack[at].module[4:-3] for at in called)


@pytest.mark.parametrize(
    ("lines", "returned", "result"),
    [
        ([], {}, ("perm_denied", "")),
        (["required pam_a.so", "required pam_b.so"], {}, ("success", "a b")),
        (["required pam_a.so", "required pam_b.so"], {"a": "auth_err"}, ("auth_err", "a b")),
        (["requisite pam_a.so", "required pam_b.so"], {"a": "auth_err"}, ("auth_err", "a")),
        (["required pam_a.so"], {"a": "ignore"}, ("perm_denied", "a")),
        (["optional pam_a.so", "optional pam_b.so"], {"a": "auth_err"}, ("success", "a b")),
        (["sufficient pam_a.so", "required pam_b.so"], {}, ("success", "a")),
        (["required pam_a.so", "sufficient pam_b.so", "required pam_c.so"], {"a": "auth_err"}, ("auth_err", "a b c")),
        (["[success=1] pam_a.so", "required pam_b.so", "required pam_c.so"], {}, ("success", "a c")),
        # A jump decides nothing; one beyond the end fails.
        (["[success=1] pam_a.so", "required pam_b.so"], {}, ("perm_denied", "a")),
        (["required pam_a.so", "[success=2] pam_b.so", "required pam_c.so"], {}, ("perm_denied", "a b")),
        # A substack counts as one, and what is decided in it ends it alone.
        (["required pam_a.so", "[success=1] pam_b.so", "substack more", "required pam_c.so"], {}, ("success", "a b c")),
        (["substack more", "required pam_c.so"], {}, ("success", "in c")),
        (["substack more", "required pam_c.so"], {"in": "auth_err"}, ("auth_err", "in c")),
        (["include more", "required pam_c.so"], {}, ("success", "in")),
        (["required pam_a.so", "[success=reset] pam_b.so"], {"a": "auth_err"}, ("perm_denied", "a b")),
        (
            ["required pam_a.so", "incomplete=ok pam_b.so", "required pam_c.so"],
            {"b": "incomplete"},
            ("incomplete", "a b"),
        ),
        (["[ignore=bad] pam_a.so"], {"a": "ignore"}, ("perm_denied", "a")),
        (["", "required pam_a.so"], {}, ("perm_denied", "a")),
    ],
)
def test_run(lines, returned, result):
    assert run(lines, **returned) == result


def test_a_module_that_is_not_there():
    stack = stacks.session("session [module_unknown=ok] pam_a.so", missing=["pam_a.so"]).stack("session")
    assert dispatch.run(stack, lambda one: SUCCESS) == (RETURNS.index("module_unknown"), [])


def test_a_number_that_is_no_return_value_is_bad():
    stack = stacks.session("session [default=ignore] pam_a.so", "session required pam_b.so").stack("session")
    assert dispatch.run(stack, lambda one: len(RETURNS))[0] == DENIED


def test_a_way_is_one_that_run_goes():
    stack = stacks.session(
        "session [success=2 default=ignore] pam_a.so",
        "session required pam_loginuid.so",
        "session [session_err=reset] pam_deny.so",
        "session required pam_permit.so",
    ).stack("session")
    for outcome in (dispatch.NEVER, dispatch.RAN):
        steps = dispatch.way(stack, outcome)
        answers = {stack[step.at].module: step.answer for step in steps}
        assert dispatch.run(stack, lambda one, answers=answers: answers[one.module])[0] == SUCCESS
    assert [stack[step.at].module for step in dispatch.way(stack, dispatch.NEVER)] == ["pam_a.so", "pam_permit.so"]


def test_modules_whose_answers_are_known():
    stack = stacks.session("session required pam_permit.so", "session required pam_deny.so").stack("session")
    assert [dispatch.answers(one) for one in stack] == [[SUCCESS], [SESSION_ERROR]]
    # The same name elsewhere is anything.
    (other,) = stacks.session("session required /opt/security/pam_permit.so").stack("session")
    assert len(dispatch.answers(other)) == 4


CODES = [RETURNS.index(name) for name in ("success", "ignore", "session_err", "auth_err")] + [len(RETURNS)]
CONTROLS = ["required", "optional", "sufficient", "[success=1 default=ignore]", "[auth_err=1 ignore=reset default=ok]"]
LINES = [f"session {control} pam_{{}}.so\n" for control in CONTROLS] + ["session substack more\n"]


def outcomes(stack):
    """Return what can become of pam_loginuid.so in a session that is let through (set of int), by trying everything."""
    called = [at for at, one in enumerate(stack) if one.kind == "module"]
    known = {"pam_loginuid.so": CODES[:3], "pam_permit.so": [SUCCESS]}
    found = set()
    for codes in itertools.product(*(known.get(stack[at].module, CODES) for at in called)):
        returned = {stack[at]: code for at, code in zip(called, codes, strict=True)}
        result, ran = dispatch.run(stack, returned.__getitem__)
        if result == SUCCESS:
            mine = [returned[stack[at]] for at in ran if stack[at].sets]
            done = any(code != SESSION_ERROR for code in mine)
            found.add(dispatch.RAN if done else dispatch.FAILED if mine else dispatch.NEVER)
    return found


def test_a_way_is_found_wherever_there_is_one():
    chance = random.Random(1)
    for _ in range(150):
        written = [chance.choice(LINES).format(at) for at in range(chance.randint(0, 3))]
        written.insert(chance.randint(0, len(written)), chance.choice(LINES[:5]).format("loginuid"))
        written.append(chance.choice(["session required pam_permit.so\n", ""]))
        stack = stacks.reading({"sshd": "".join(written), "more": chance.choice(LINES[:5]).format("in")}).stack(
            "session"
        )
        possible = {outcome for outcome in range(3) if dispatch.way(stack, outcome) is not None}
        assert possible == outcomes(stack), written
