"""
A change of the rules that is killed at any step, or made beside another one, leaves whole files, and loses nothing.
"""

import itertools
import os
import pathlib

import pytest
from killing import STEPS, at_once, killed_at
from sshtrail_lib.base import kernel

# SSHTRAIL_KILL_EVERY=1 kills at every step (some minutes); the default is a sample.
STRIDE = int(os.environ.get("SSHTRAIL_KILL_EVERY", "7"))
KEY = "sshtrail-test-kill"
# A rule that comes, one that goes, and one that must change its place: a twin stands in for it meanwhile.
NEVER = "-a never,exit -F arch=b64 -S execve -F auid=5"
EXEC = f"-a always,exit -F arch=b64 -S execve -F auid!=unset -F key={KEY}"
BEFORE = [NEVER, EXEC, f"-w /etc/hosts -p wa -k {KEY}"]
AFTER = [EXEC, NEVER, f"-w /etc/group -p wa -k {KEY}"]
LISTED = f"-a always,exit -F path=/etc/%s -F perm=wa -F key={KEY}"


class Tree:
    """A rules directory with a managed file; ``bring`` is what is killed."""

    def __init__(self, modules, rules_dir):
        self.modules, self.rules_dir = modules, rules_dir
        self.name, self.compiled = rules_dir / "zz-test.rules", rules_dir.parent / "audit.rules"

    def arguments(self, rules):
        groups = [{"name": KEY, "rules": rules}]
        limit = 4096 if rules is AFTER else 2048
        return {"name": str(self.name), "groups": groups, "status": {"backlog_limit": limit}, "unknown": "keep"}

    def bring(self, rules):
        return self.modules.audit_rules.apply(**self.arguments(rules))

    def differs(self, rules):
        return self.modules.audit_rules.compare(**self.arguments(rules))

    def files(self):
        return {path: path.read_bytes() if path.exists() else None for path in (self.name, self.compiled)}

    def state(self):
        return self.files(), kernel.rules(), kernel.status()["backlog_limit"]


@pytest.fixture
def killed(modules, tree, tmp_path):
    """A tree with the rules of BEFORE, in files and kernel."""
    (tmp_path / "scratch").mkdir()
    made = Tree(modules, tree)
    made.bring(BEFORE)
    return made


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("first", [1, 3, 5])
def test_a_change_killed_at_any_step(killed, tmp_path, first):
    old = killed.state()
    killed.bring(AFTER)
    new, step, kills = killed.state(), first, 0
    while True:
        killed.bring(BEFORE)
        assert killed.state()[0] == old[0] and set(killed.state()[1]) == set(old[1]), step
        # Each request to the kernel opens a socket.
        if not killed_at(step, lambda: killed.bring(AFTER), tmp_path / "scratch", (*STEPS, "socket.")):
            break
        kills += 1
        now = killed.files()
        assert all(now[path] in (old[0][path], new[0][path]) for path in now), step
        # Whoever only looks takes the files for what they were, or are: of BEFORE or of AFTER nothing is half there.
        seen = [{path for path in map(str, now) if path in killed.differs(rules)} for rules in (BEFORE, AFTER)]
        assert set() in seen, step
        killed.bring(AFTER)
        assert killed.files() == new[0] and kernel.status()["backlog_limit"] == new[2], step
        assert set(kernel.rules()) == set(new[1]) and len(kernel.rules()) == len(new[1]), step
        assert killed.differs(AFTER) == {}, step
        step += STRIDE
    assert kills > 3
    print(f"{kills} kills")


@pytest.mark.parametrize("another", ["load", "one rule", "the same"])
def test_whoever_comes_next_repairs_what_a_kill_left(killed, tmp_path, another):
    """Whatever comes next: files of a change that did not end are neither believed nor left."""
    old, left = killed.files(), []
    call = {
        "load": lambda: killed.modules.audit_rules.load(str(killed.rules_dir), unknown="remove"),
        "one rule": lambda: killed.modules.audit_rules.apply_rule(
            AFTER[2], present=False, path=str(killed.rules_dir / "zz-local.rules")
        ),
        "the same": lambda: killed.bring(BEFORE),
    }[another]
    # Each file that is written, and the journal at the end, has a removal.
    for step in itertools.count(1):
        if not killed_at(step, lambda: killed.bring(AFTER), tmp_path / "scratch", ("os.remove",)):
            break
        left.append(killed.files() != old)
        call()
        assert killed.files() == old, step
        if another == "one rule":
            assert LISTED % "group" not in killed.modules.audit_rules.loaded(), step
        killed.bring(BEFORE)
        assert killed.differs(BEFORE) == {} and killed.files() == old, step
    assert set(left) == {False, True}


def backups(killed, minion_opts):
    folder = pathlib.Path(minion_opts["cachedir"], "file_backup", *killed.name.parts[1:-1])
    return [path.read_text() for path in folder.glob("zz-test.rules_*")]


def test_a_file_that_is_new_is_for_root_alone_and_what_is_replaced_has_a_backup(killed, minion_opts):
    assert [path.stat().st_mode & 0o777 for path in killed.files()] == [0o640, 0o640]
    assert backups(killed, minion_opts) == []
    old = killed.name.read_text()
    killed.bring(AFTER)
    assert backups(killed, minion_opts) == [old]
    assert [path.stat().st_mode & 0o777 for path in killed.files()] == [0o640, 0o640]


def test_two_changes_at_once_lose_nothing(modules, tree):
    """Both read the directory, and both write the same file."""
    local, files = str(tree / "zz-local.rules"), [("hosts", "group"), ("fstab", "passwd"), ("hostname", "shells")]
    for pair in files:
        lines = [f"-w /etc/{name} -p wa -k {KEY}" for name in pair]
        done = at_once(*(lambda line=line: modules.audit_rules.apply_rule(line, path=local) for line in lines))
        assert done == [0, 0]
        held, text = modules.audit_rules.loaded(), (tree / "zz-local.rules").read_text().splitlines()
        assert {LISTED % name for name in pair} <= set(held) and set(lines) <= set(text)
    names = list(itertools.chain(*files))
    assert len(held) == len(text) == len(names)
    assert (tree.parent / "audit.rules").read_text().count(KEY) == len(names)
