"""Rules that keep records out of the log: named everywhere, removed where an environment repairs, the policy's stay."""

import pytest
from sshtrail_lib.base import kernel
from sshtrail_lib.rules import accounts
from sshtrail_lib.rules import compile as rules_compile

GROUPS = [{"name": "sshtrail-test", "rules": ["-w /etc/passwd -p wa -k sshtrail-test"]}]
TASK = "-a never,task"
EXECVE = "-a always,exclude -F msgtype=EXECVE"
EXE = "-a never,exit -F exe=/bin/sshtrail-test -S all"
NO_AUDIT = "## This suppresses syscall auditing\n-b 64\n-a task,never\n"


@pytest.fixture
def managed(states, tree):
    """The state on a temporary tree, and what it has done there."""
    name = str(tree / "zz-test.rules")
    return lambda test=False, **arguments: states.audit_rules.managed(
        name, test=test, **{"groups": GROUPS, "status": {}, **arguments}
    )


def add(*lines):
    for line in lines:
        kernel.add(rules_compile.compile(accounts.parse_rule(line)))


@pytest.mark.parametrize("unknown", ["keep", "report"])
def test_what_hides_is_reported_and_left(managed, modules, tree, unknown):
    (tree / "10-no-audit.rules").write_text(NO_AUDIT)
    managed(unknown=unknown)
    # What is in a file only is not loaded by us: that would hide what is recorded now.
    assert TASK not in modules.audit_rules.loaded()
    add(EXECVE)
    for _ in range(2):
        preview, made = managed(test=True, unknown=unknown), managed(unknown=unknown)
        assert (preview.result, made.result, made.changes) == (True, True, {})
        assert f"10-no-audit.rules line 3: {TASK}; kernel: {EXECVE}." in made.comment
    told = modules.audit_rules.plan(str(tree / "zz-test.rules"), GROUPS, unknown, status={})["hiding"]
    assert told == [
        {"rule": TASK, "file": str(tree / "10-no-audit.rules"), "number": 3},
        {"rule": EXECVE, "file": None, "number": 0},
    ]
    assert EXECVE in modules.audit_rules.loaded()


def test_what_hides_is_removed_and_nothing_else(managed, modules, tree):
    (tree / "10-no-audit.rules").write_text(NO_AUDIT)
    (tree / "20-app.rules").write_text(f"# ours\n-w /etc/group -p wa -k app\n{EXE}\n")
    managed()
    add(TASK, EXECVE, EXE)
    preview, made, again = (managed(test=test, hiding="remove", unknown="keep") for test in (True, False, False))
    assert preview.result is None and made.result is True, made.comment
    assert made.changes == preview.changes and sorted(made.changes["kernel"]["old"]) == sorted([TASK, EXECVE, EXE])
    assert (again.result, again.changes) == (True, {}) and "hide records" not in again.comment
    assert (tree / "10-no-audit.rules").read_text() == NO_AUDIT.replace("-a task,never\n", "")
    assert (tree / "20-app.rules").read_text() == "# ours\n-w /etc/group -p wa -k app\n"
    assert len(modules.audit_rules.loaded()) == 2


@pytest.mark.parametrize("unknown", ["keep", "report", "remove"])
def test_what_the_policy_allows_stays(managed, modules, tree, unknown):
    (tree / "20-app.rules").write_text(f"{EXE}\n-w /etc/group -p wa -k app\n")
    add(EXECVE)
    allowed = [EXE, EXECVE]
    made = managed(hiding="remove", unknown=unknown, allowed=allowed)
    again = managed(hiding="remove", unknown=unknown, allowed=allowed)
    assert made.result is True and (again.result, again.changes) == (True, {}), again.comment
    assert {EXE, EXECVE} <= set(modules.audit_rules.loaded()) and "hide records" not in again.comment
    assert (tree / "20-app.rules").read_text().startswith(EXE)
    assert ("/etc/group" in (tree / "20-app.rules").read_text()) is (unknown != "remove")


def test_what_the_policy_has_itself_stays(managed, modules):
    groups = [*GROUPS, {"name": "ours", "rules": [TASK.replace("never,task", "task,never")]}]
    made, again = managed(groups=groups, hiding="remove"), managed(groups=groups, hiding="remove")
    assert made.result is True and again.changes == {} and TASK in modules.audit_rules.loaded()
    assert "hide records" not in again.comment


@pytest.mark.parametrize(
    "arguments,named",
    [
        ({"hiding": "keep"}, "hiding: 'keep' is none of report, remove"),
        ({"allowed": "-a never,task"}, "allowed: a list of rule lines"),
        ({"allowed": ["-a never,tsk"]}, "never,tsk"),
        ({"loginuid_immutable": "yes"}, "loginuid_immutable: True or False"),
    ],
)
def test_what_is_no_argument_is_refused(managed, arguments, named):
    refused = managed(**arguments)
    assert refused.result is False and named in refused.comment


@pytest.fixture
def fixed(monkeypatch):
    """Stands for the kernel's feature, which could not be turned off again; gives what was asked of it."""
    asked = []
    on = {"only_unset_loginuid": {"on": False, "locked": False}}
    monkeypatch.setattr(kernel, "make_loginuid_immutable", lambda: asked.append(True))
    played = lambda: {**on, "loginuid_immutable": dict.fromkeys(("on", "locked"), bool(asked))}  # noqa: E731
    monkeypatch.setattr(kernel, "features", played)
    return asked


def test_login_ids_are_fixed_once_and_again_at_boot(managed, tree, fixed):
    plain = managed()
    assert plain.result is True and fixed == []
    preview, made, again = (managed(test=test, loginuid_immutable=True) for test in (True, False, False))
    assert preview.result is None and made.result is True, made.comment
    assert made.changes == preview.changes
    assert made.changes["status"] == {"old": {"loginuid_immutable": 0}, "new": {"loginuid_immutable": 1}}
    assert fixed == [True] and (again.result, again.changes) == (True, {})
    for path in (tree / "zz-test.rules", tree.parent / "audit.rules"):
        assert "--loginuid-immutable" in path.read_text().splitlines()
    # What is locked cannot be taken back, and is none of the rest's business.
    assert managed().result is True and fixed == [True]


def test_the_kernel_tells_its_features(audit):
    found = kernel.features()
    assert set(found) == set(kernel.FEATURES)
    assert all(type(value) is bool for feature in found.values() for value in feature.values())
