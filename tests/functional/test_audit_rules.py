"""The execution module and the states, through Salt's loader, on temporary trees and the real kernel."""

import errno
import itertools
import subprocess

import pytest
from sshtrail_lib.base import files, kernel
from sshtrail_lib.policy import claims as policy_claims
from sshtrail_lib.policy import groups as policy_groups
from sshtrail_lib.policy import pillar as policy_pillar
from sshtrail_lib.rules import compile as rules_compile
from sshtrail_lib.rules import language as rules_language
from sshtrail_lib.rules import plan as rules_plan
from sshtrail_lib.rules import privileged as rules_privileged

GROUPS = [
    {
        "name": "sshtrail-test-commands",
        "title": "Commands",
        "controls": ["X 1.1"],
        "rules": [
            "-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=sshtrail-test-commands",
            "-a always,exit -F arch=b32 -S execve,execveat -F auid!=unset -F key=sshtrail-test-commands",
        ],
    },
    {"name": "sshtrail-test-files", "rules": ["-w /etc/passwd -p wa -k sshtrail-test-files"]},
]


def managed(states, tree, test=False, **arguments):
    arguments = {"groups": GROUPS, "status": {"backlog_limit": 4096}, **arguments}
    return states.audit_rules.managed(str(tree / "zz-test.rules"), test=test, **arguments)


def test_status_is_that_of_the_kernel(modules, audit):
    assert modules.audit_rules.status() == kernel.status()


def test_managed_predicts_makes_and_keeps(states, modules, tree):
    preview = managed(states, tree, test=True)
    assert preview.result is None
    assert kernel.rules() == [] and not (tree / "zz-test.rules").exists()

    made = managed(states, tree)
    assert made.result is True, made.comment
    assert made.changes == preview.changes
    assert made.changes["kernel"]["new"] == modules.audit_rules.loaded()
    assert kernel.status()["backlog_limit"] == 4096

    again = managed(states, tree)
    assert (again.result, again.changes) == (True, {})


@pytest.mark.parametrize("layer", ["file", "compiled", "kernel", "limit", "failure"])
def test_drift_of_one_layer_is_seen_and_mended_alone(states, tree, layer):
    managed(states, tree)
    held = kernel.rules()
    compiled = tree.parent / "audit.rules"
    if layer == "file":
        (tree / "zz-test.rules").write_text("-b 1\n")
    elif layer == "compiled":
        compiled.write_text("-D\n")
    elif layer == "kernel":
        kernel.delete(held[1])
    elif layer == "limit":
        kernel.set_status({"backlog_limit": 100})
    elif layer == "failure":
        kernel.set_status({"failure": 0})
    preview, made = managed(states, tree, test=True), managed(states, tree)
    assert made.result is True and made.changes == preview.changes and len(made.changes) == 1
    assert managed(states, tree).changes == {}


def test_augenrules_agrees_with_the_compiled_file(states, tree):
    managed(states, tree)
    script = """
        mount --bind "$1" /etc/audit
        sed -i '1s,from .*,from /etc/audit/rules.d,' /etc/audit/audit.rules
        augenrules --check
    """
    command = ["unshare", "--mount", "sh", "-c", script, "sh", str(tree.parent)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "No change" in done.stdout, done.stdout


def test_a_clean_load_at_boot_leaves_nothing_to_do(states, tree):
    managed(states, tree)
    subprocess.run(["auditctl", "-R", str(tree.parent / "audit.rules")], capture_output=True, check=True)
    assert managed(states, tree, test=True).changes == {}


def test_a_bad_rule_is_refused_before_anything_is_touched(states, tree):
    groups = [*GROUPS, {"name": "bad", "rules": ["-a always,exit -F arch=b64 -S session -k x"]}]
    refused = managed(states, tree, groups=groups)
    assert refused.result is False
    assert "rule group 'bad'" in refused.comment and "Unknown system call 'session'" in refused.comment
    assert kernel.rules() == [] and sorted(path.name for path in tree.iterdir()) == ["audit.rules"]


@pytest.mark.parametrize(
    "rule, reason",
    [
        ("-w /no/such/file -p wa -k x", "/no/such does not exist"),
        ("-a always,exit -F dir=/no/such -F perm=wa -k x", "/no/such does not exist"),
        ("-a always,exit -F exe=/no/such/file -S execve -k x", "/no/such does not exist"),
    ],
)
def test_a_missing_directory_is_told_before_anything_is_touched(states, tree, rule, reason):
    groups = [*GROUPS, {"name": "bad", "rules": [rule]}]
    for test in (True, False):
        refused = managed(states, tree, test=test, groups=groups)
        assert refused.result is False and reason in refused.comment and "zz-test.rules, line " in refused.comment
    assert kernel.rules() == [] and sorted(path.name for path in tree.iterdir()) == ["audit.rules"]


def test_a_rule_that_this_kernel_does_not_know_is_refused_before_anything_is_touched(states, tree, monkeypatch):
    """Played, as this kernel knows every field that the library does."""
    monkeypatch.setattr(kernel, "accepts", lambda data: False)
    refused = managed(states, tree)
    assert refused.result is False and "this kernel does not accept" in refused.comment
    assert kernel.rules() == [] and sorted(path.name for path in tree.iterdir()) == ["audit.rules"]


def test_a_fresh_host_previews_and_says_that_auditd_is_missing(states, tree):
    for path in (tree / "audit.rules", tree):
        path.unlink() if path.is_file() else path.rmdir()
    preview, real = managed(states, tree, test=True), managed(states, tree)
    assert preview.result is None and preview.changes["kernel"]["new"]
    assert real.result is False and "auditd is not installed" in real.comment


RULE = "-w /etc/group -p wa -k sshtrail-test-one"
# As the module shows them: -w would mean another rule once the path is a directory.
LISTED = "-a always,exit -F path=/etc/group -F perm=wa -F key=sshtrail-test-one"
OTHER = "-a always,exit -F path=/etc/hosts -F perm=w -F key=sshtrail-test-other"


def test_present_and_absent_predict_make_and_keep(states, modules, tree):
    arguments = {"path": str(tree / "50-local.rules")}
    for state, held in ((states.audit_rules.present, [LISTED]), (states.audit_rules.absent, [])):
        preview = state(RULE, test=True, **arguments)
        made = state(RULE, **arguments)
        again = state(RULE, **arguments)
        assert preview.result is None and made.result is True and made.changes == preview.changes
        assert (again.result, again.changes) == (True, {})
        assert modules.audit_rules.loaded() == held


def test_absent_takes_a_rule_out_of_another_file_and_leaves_its_comments(states, tree):
    other = tree / "10-other.rules"
    other.write_text(
        "# why\n-a exit,always -F path=/etc/group -F perm=aw -F key=sshtrail-test-one\n-w /etc/hosts -p w\n"
    )
    assert states.audit_rules.absent(RULE, path=str(tree / "50-local.rules")).result is True
    assert other.read_text() == "# why\n-w /etc/hosts -p w\n"


def test_a_line_that_lets_the_load_go_on_is_heeded(states, modules, tree):
    (tree / "10-other.rules").write_text(
        "-i\n-w /no/such/file -p wa -k x\n-w /etc/hosts -S bad\n-w /etc/hosts -p w\n-w /etc/hosts -p w\n"
    )
    made = managed(states, tree)
    assert made.result is True and f"{tree}/10-other.rules line 2" in made.comment
    assert len(modules.audit_rules.loaded()) == 4
    assert managed(states, tree).changes == {}
    refused = managed(states, tree, groups=[{"name": "ours", "rules": ["-w /no/such/file -p wa -k y"]}])
    assert refused.result is False and "/no/such does not exist" in refused.comment


def test_a_rule_that_an_earlier_never_hides_is_told(states, tree):
    (tree / "10-other.rules").write_text("-a never,exit -S execve,execveat\n")
    made = managed(states, tree)
    assert made.result is True and "zz-test.rules line" in made.comment and "never decides" in made.comment
    assert made.comment.count("never decides") == 1, "execve has another number for 32-bit programs"


@pytest.mark.parametrize("unknown", ["keep", "report", "remove"])
def test_rules_that_the_policy_does_not_know(states, modules, tree, unknown):
    (tree / "10-other.rules").write_text("# theirs\n-w /etc/hosts -p w -k sshtrail-test-other\n")
    subprocess.run(["auditctl", *RULE.split()], check=True)
    made = managed(states, tree, unknown=unknown)
    assert made.result is True, made.comment
    assert managed(states, tree, unknown=unknown).changes == {}
    kept = {LISTED, OTHER} & set(modules.audit_rules.loaded())
    assert len(kept) == (0 if unknown == "remove" else 2)
    assert (tree / "10-other.rules").read_text().startswith("# theirs\n")
    assert (LISTED in made.comment) == (unknown == "report")


def test_load_follows_the_directory(modules, tree):
    (tree / "10-other.rules").write_text(f"{RULE}\n")
    assert modules.audit_rules.load(str(tree))["kernel"] == {"old": [], "new": [LISTED]}
    assert modules.audit_rules.load(str(tree)) == {}
    assert kernel.status()["backlog_limit"] == 8192


@pytest.fixture
def own_programs(monkeypatch):
    """The privileged programs are those of one directory: to look at the whole host takes seconds."""
    monkeypatch.setattr(rules_privileged, "mounts", lambda: [rules_privileged.Mount("", "/", "/usr/bin")])


@pytest.mark.parametrize("name", policy_groups.GROUPS)
def test_each_ready_group_loads_and_stays(states, modules, tree, own_programs, name):
    groups = [{"name": name, **policy_groups.GROUPS[name]}]
    made = managed(states, tree, groups=groups)
    assert made.result is True, made.comment
    asked = modules.audit_rules.groups(groups)[0]
    assert len(kernel.rules()) == len(asked["rules"])
    assert bool(asked["lacking"]) == ("Left out, as this host does not have it: /" in made.comment)
    assert managed(states, tree, groups=groups).changes == {}


def test_every_set_together_loads_on_this_host_whatever_it_lacks(states, tree, own_programs):
    sets = dict.fromkeys(policy_claims.SETS, True)
    policy = policy_pillar.build({"sshtrail": {"environment": "x", "rules": {"groups": sets}}}, "Debian", "Debian 12")
    groups = policy["rules"]["groups"]
    preview = managed(states, tree, test=True, groups=groups)
    made = managed(states, tree, groups=groups)
    assert (preview.result, made.result) == (None, True), made.comment
    assert made.changes == preview.changes
    assert managed(states, tree, groups=groups).changes == {}


def test_what_comes_later_gets_its_rule_and_what_goes_loses_it(states, tree, tmp_path, monkeypatch):
    """A directory that an optional rule needs, and a program that becomes privileged."""
    directory, program = tmp_path / "later", tmp_path / "programs" / "tool"
    program.parent.mkdir()
    program.touch(mode=0o755)
    place = rules_privileged.Mount("", "/", str(program.parent))
    monkeypatch.setattr(rules_privileged, "mounts", lambda: [place])
    watch = f"-a always,exit -F dir={directory} -F perm=wa -F key=sshtrail-test"
    groups = [{"name": "a", "rules": [watch], "optional": True, "privileged": "-F perm=x -F key=sshtrail-test"}]
    first = managed(states, tree, groups=groups)
    assert first.result is True and kernel.rules() == [] and str(directory) in first.comment
    directory.mkdir()
    program.chmod(0o4755)
    assert len(managed(states, tree, groups=groups, test=True).changes["kernel"]["new"]) == 2
    assert managed(states, tree, groups=groups).result is True and len(kernel.rules()) == 2
    program.chmod(0o755)
    assert len(managed(states, tree, groups=groups).changes["kernel"]["old"]) == 1


def test_rules_about_32_bit_programs_are_left_out_where_there_are_none(states, tree, monkeypatch):
    """Played, as this needs another machine: libaudit knows no b32 on an arm without it."""
    monkeypatch.setattr(rules_compile, "has_b32", lambda: False)
    assert managed(states, tree).result is True
    assert len(kernel.rules()) == 2
    assert "# no 32-bit programs on this machine: -a always,exit -F arch=b32" in (tree / "zz-test.rules").read_text()


@pytest.mark.parametrize(
    "arguments, reason",
    [
        ({"unknown": "delete"}, "unknown: 'delete'"),
        ({"immutable": "yes"}, "immutable: True or False"),
        ({"status": {"backlog_limt": 1}}, "did you mean 'backlog_limit'"),
        ({"status": {"failure": 3}}, "failure takes a number from 0 to 2"),
        ({"groups": [{"rules": []}]}, "number 1 needs at least a name and rules"),
        ({"groups": [{"name": "a", "rules": "-w /etc/passwd"}]}, "must be a list of lines"),
        ({"groups": [{"name": "a", "titel": "b", "rules": []}]}, "did you mean 'title'"),
        ({"groups": [{"name": "a", "title": "b\n-D", "rules": []}]}, "text on one line"),
        ({"groups": [{"name": "a", "rules": ["-D"]}]}, "adds no rule"),
        ({"groups": [{"name": "a", "rules": ["-w /etc/passwd\n-D"]}]}, "control character"),
    ],
)
def test_a_bad_argument_is_named_before_anything_is_touched(states, tree, arguments, reason):
    for test in (True, False):
        refused = managed(states, tree, test=test, **arguments)
        assert refused.result is False and reason in refused.comment
    assert kernel.rules() == [] and [path.name for path in tree.iterdir()] == ["audit.rules"]


@pytest.mark.parametrize("module, function, calls", [(kernel, "add", 2), (files, "replace", 1), (files, "replace", 2)])
def test_what_fails_halfway_is_put_back(states, tree, monkeypatch, module, function, calls):
    """The fault is played after the given number of calls; a kernel out of memory or a full disk cannot be had."""
    (tree / "10-other.rules").write_text(f"{RULE}\n")
    assert managed(states, tree).result is True
    before = sorted(kernel.rules()), kernel.status(), contents(tree.parent)
    real, count = getattr(module, function), itertools.count()

    def failing(*args, **kwargs):
        if next(count) == calls:
            raise kernel.KernelError("played", errno.ENOMEM)
        return real(*args, **kwargs)

    monkeypatch.setattr(module, function, failing)
    more = [
        {"name": "more", "rules": [f"-w /etc/{name} -p wa -k sshtrail-test" for name in ("fstab", "hosts", "group")]}
    ]
    refused = managed(states, tree, groups=[*more, GROUPS[1]], status={"backlog_limit": 5000})
    assert refused.result is False
    # A rule that was taken out comes back at the end: where no never rule is about, the order means nothing.
    assert (sorted(kernel.rules()), kernel.status(), contents(tree.parent)) == before


def test_a_rule_that_leaves_the_managed_file_leaves_the_kernel(states, tree):
    """Whatever is to happen to unknown rules: this one is known."""
    gone = [{"name": "gone", "rules": ["-w /etc/fstab -p wa -k sshtrail-test"]}]
    for unknown in ("keep", "report", "remove"):
        assert managed(states, tree, groups=[*GROUPS, *gone], unknown=unknown).result is True
        with_it = kernel.rules()
        foreseen = managed(states, tree, test=True, groups=GROUPS, unknown=unknown).changes
        assert managed(states, tree, groups=GROUPS, unknown=unknown).changes == foreseen
        assert len(kernel.rules()) == len(with_it) - 1
        assert managed(states, tree, groups=GROUPS, unknown=unknown).changes == {}


def contents(folder):
    return {path: path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_what_an_interrupted_run_left_behind_is_taken_up(states, modules, tree):
    rule = rules_compile.compile(rules_language.parse_rule(GROUPS[1]["rules"][0]))
    kernel.add(rules_plan.twin(rule))
    made = managed(states, tree)
    assert made.result is True, made.comment
    assert len(modules.audit_rules.loaded()) == 3 and not any("pid>=0" in line for line in modules.audit_rules.loaded())
    assert managed(states, tree).changes == {}
