"""What is told about a set of rules: each kind of problem once, and nothing about a set that has none."""

import re

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.rules import check, places, remarks
from sshtrail_lib.rules.files import Origin
from support import spent

EXEC = "-S execve -F auid!=unset -F key=a"
B64, B32 = f"-a always,exit -F arch=b64 {EXEC}", f"-a always,exit -F arch=b32 {EXEC}"


LISTED = [
    ("-w /etc/x -p wa", ["-w /etc/x -p wa"]),
    ("# a\n-w /etc/x -p wa\n", ["# a", "-w /etc/x -p wa"]),
    (["-w /etc/x -p wa"], ["-w /etc/x -p wa"]),
    ([], []),
    ("", []),
    ("\n", [""]),
    ("-D\n\n", ["-D", ""]),
    *((f"-w /etc/x -k a{end}b\nfoo\n", [f"-w /etc/x -k a{end}b", "foo"]) for end in "\x0b\x0c\x1c\x85\u2028\u2029\r"),
]


@pytest.mark.parametrize(("given", "lines"), LISTED)
def test_a_text_is_lines_too(given, lines):
    assert check.listed(given) == lines


@pytest.mark.parametrize("given", [5, None, True, {"a": 1}, [None], ["-D", 5], [["-D"]]])
def test_what_is_no_list_of_lines_is_a_sentence(given):
    with pytest.raises(SaltInvocationError, match="rules must be a list of lines, as in a rules file, not "):
        check.listed(given)


def test_a_good_set_has_no_problem():
    lines = ["# a comment", "", "-b 8192", B64, B32, "-a always,exit -F path=/etc/passwd -F perm=wa -F key=b"]
    assert check.problems(lines) == []


@pytest.mark.parametrize(
    "lines, number, level, reason",
    [
        (["-a always,exit -F arch=b64 -S session -k x"], 1, "error", "Unknown system call 'session'"),
        (["-w /etc/passwd -p wa -k a # why"], 1, "error", "no comments behind a rule"),
        (["-w /no/such/file -p wa -k a"], 1, "error", "/no/such does not exist"),
        (["-a always,exit -F dir=/no/such -F perm=wa -k a"], 1, "error", "/no/such does not exist"),
        ([B64, B32, B64], 3, "error", "the same rule as in line 1"),
        (["-b 8192 -f 1"], 1, "warning", "-b must stand alone"),
        (["-b 8192 -w /etc/passwd -p wa -k a"], 1, "warning", "-b must stand alone"),
        (["-b 8192 -f 3"], 1, "error", "-b must stand alone"),
        (["-b 8192 # large"], 1, "error", "no comments behind a rule"),
        (["-D\r"], 1, "error", "a carriage return"),
        (
            [B64, B32, B64.replace("exit -F", "exit -F auid!=unset -F").replace("-F auid!=unset -F key", "-F key")],
            3,
            "warning",
            "it means the same as line 1",
        ),
        (["-a never,exit -S execve", B64, B32], 2, "warning", "line 1 comes first and drops everything"),
        (
            ["-a always,exit -S all -F key=all", "-w /etc/passwd -p wa -k a"],
            2,
            "warning",
            "line 1 comes first and takes",
        ),
        (
            ["-a never,exit -F auid>=1000", "-a always,exit -F path=/etc/passwd -F auid=5000 -F key=a"],
            2,
            "warning",
            "line 1 comes first and drops",
        ),
        ([B64], 1, "warning", "no twin with arch=b32"),
        (["-a always,exit -S execve -F key=a"], 1, "warning", "it has no arch"),
        (["-w /etc/passwd -p wa"], 1, "warning", "no key"),
        (["-w /dev/stdin -p wa -k a"], 1, "warning", "is a symbolic link"),
        (["-a always,exit -F path=/etc -F perm=wa -k a"], 1, "warning", "/etc is a directory: path= does not see"),
        (["-w /etc/no-such-file -p wa -k a"], 1, "warning", "should it become a directory"),
        # What keeps records out of the log.
        (["-a task,never"], 1, "warning", "when they start nothing is recorded"),
        (["-a task,never", B64, B32], 1, "warning", "when they start nothing is recorded"),
        (["-a always,exclude -F msgtype=EXECVE"], 1, "warning", "keeps the records that it matches out of the log"),
        (["-a never,exclude -F auid=1001"], 1, "warning", "keeps the records that it matches out of the log"),
        (["-a never,user -F uid=0"], 1, "warning", "such as logins"),
        (["-w /etc/*.conf -p wa -k g"], 1, "warning", "wildcard notation is not supported, so it is about a file of"),
        (["-w /etc/a?.conf -p wa -k g"], 1, "warning", "wildcard notation is not supported"),
        (["-a always,exit -F path=/etc/[ab].conf -F perm=wa -k g"], 1, "warning", "wildcard notation is not supported"),
        (["-w /etc/../etc/hosts -p wa -k g"], 1, "warning", "auditctl warns of relative path notation"),
        (["-a never,exit -F auid=1001"], 1, "warning", "keeps what it matches first out of the log"),
        (["-a always,task -F uid=0"], 1, "warning", "every system call is recorded, and none under another rule's key"),
        # What auditctl loads, though it means something else, and what it passes over.
        (['-w /etc/hosts -p wa -k "hosts"'], 1, "warning", "auditctl knows no quotes"),
        (
            ["-a always,exclude -F msgtype=CWD", "-A always,exclude -F msgtype=CWD"],
            2,
            "warning",
            "same rule as in line 1",
        ),
        (
            ["-A always,exclude -F msgtype=CWD", "-a always,exclude -F msgtype=CWD"],
            2,
            "error",
            "same rule as in line 1",
        ),
        (["-i 1", "-w /no/such/file -p wa -k a"], 2, "error", "so the kernel refuses the rule"),
        (["-a always,exit -S open -F uid=no-such-user -k z"], 1, "error", "Unknown user"),
    ],
)
def test_each_kind_of_problem(lines, number, level, reason):
    found = [(problem.number, problem.level) for problem in check.problems(lines) if reason in problem.reason]
    assert found == [(number, level)]


@pytest.mark.parametrize("end", "\x85\u2028")
def test_what_ends_a_line_for_others_only_is_a_letter_of_a_key(end):
    # auditctl 3.0.9 loads the first line and refuses the second.
    found = check.problems(check.listed(f"-w /etc/hosts -p wa -k a{end}b\nfoo\n"))
    assert [(problem.number, problem.level) for problem in found] == [(2, "error")]


def test_a_program_called_as_a_bracket_is_no_wildcard():
    assert check.problems(["-a always,exit -F path=/usr/bin/[ -F perm=x -F key=g"]) == []


@pytest.fixture
def programs(tmp_path):
    """A function: ``{}`` of a line with a program of that letter; ``b`` is a hard link of ``a``, ``z`` is not there."""
    for name in "ac":
        (tmp_path / name).write_text("")
    (tmp_path / "b").hardlink_to(tmp_path / "a")
    return lambda line, name: line.format(tmp_path / name)


@pytest.mark.parametrize(
    "never, other, word",
    [
        ("=a", "=a", "drops everything"),
        # The kernel looks at the file, of which both are names: seen on Linux 6.1.
        ("=a", "=b", "drops a part"),
        ("=a", "=c", ""),
        ("=a", "=z", ""),
        ("!=a", "=c", "drops a part"),
        ("=a", "!=c", "drops a part"),
    ],
)
def test_a_program_is_one_whatever_its_names(programs, never, other, word):
    lines = [
        programs(f"-a {action},exit -F arch=b64 -S mkdir -F exe{condition[:-1]}{{}} -k e", condition[-1])
        for action, condition in (("never", never), ("always", other))
    ]
    told = [problem.reason for problem in check.problems(lines) if problem.number == 2 and "line 1" in problem.reason]
    assert len(told) == bool(word) and all(word in one for one in told)
    rules = {rule: at for at, rule in enumerate(map(check.compile.compile, map(check.accounts.parse_rule, lines)))}
    places = {rule: Origin(None, f"{at}.rules", 1) for rule, at in rules.items()}
    assert len(remarks.hidden(places)) == bool(word)


def test_a_file_that_another_one_is_mounted_on_is_told(tmp_path, monkeypatch):
    (tmp_path / "hosts").write_text("")
    told = tmp_path / "mountinfo"
    told.write_text(f"30 1 254:1 / / rw - ext4 a rw\n40 30 254:2 /hosts {tmp_path}/hosts rw - ext4 b rw\n")
    monkeypatch.setattr(places, "MOUNTS", str(told))
    lines = [f"-a always,exit -F path={tmp_path}/{name} -F perm=wa -F key=k" for name in ("hosts", "other")]
    found = [(one.number, one.reason) for one in check.problems(lines)]
    reason = f"another file is mounted on {tmp_path}/hosts, and no rule that names it sees what happens to that"
    assert found == [(1, reason)]


GID = "-a always,exit -F arch=b64 -S execve -F {} -k g"


@pytest.mark.parametrize("name", ["gid", "egid"])
@pytest.mark.parametrize(
    "first, second, word",
    [
        # Whoever has one group as his own may have the other one besides: seen on Linux 6.18.
        ("{}=60001", "{}=60002", "drops a part"),
        ("{}!=60001", "{}=60002", "drops a part"),
        ("{}>=60001", "{}=60002", "drops a part"),
        ("{}=60001", "{}=60001", "drops everything"),
    ],
)
def test_somebody_has_several_groups(name, first, second, word):
    lines = [f"-a never,exit -F arch=b64 -S execve -F {first.format(name)}", GID.format(second.format(name))]
    told = [problem.reason for problem in check.problems(lines) if problem.number == 2 and "line 1" in problem.reason]
    assert len(told) == 1 and word in told[0]


@pytest.mark.parametrize(
    "never, of_success, of_failure, of_both",
    [
        # The kernel compares 1 for a success and 2 for a failure: seen on Linux 6.18.
        ("=1", "everything", "", "a part"),
        ("=0", "", "everything", "a part"),
        ("!=0", "everything", "", "a part"),
        (">=1", "everything", "everything", "everything"),
        ("<=0", "everything", "everything", "everything"),
        (">0", "", "", ""),
        ("<1", "", "", ""),
        ("<=1", "everything", "", "a part"),
        (">=0", "", "everything", "a part"),
        ("<0", "everything", "", "a part"),
        (">1", "", "everything", "a part"),
        (">=5", "everything", "everything", "everything"),
    ],
)
def test_what_a_never_drops_by_success(never, of_success, of_failure, of_both):
    first = f"-a never,exit -F arch=b64 -S mkdir -F success{never}"
    for own, dropped in (("-F success=1 ", of_success), ("-F success=0 ", of_failure), ("", of_both)):
        lines = [first, f"-a always,exit -F arch=b64 -S mkdir {own}-k m"]
        told = [one.reason for one in check.problems(lines) if one.number == 2 and "line 1" in one.reason]
        assert len(told) == bool(dropped) and all(f"drops {dropped}" in one for one in told)


@pytest.mark.parametrize(
    "first",
    ["-a never,exit -F auid=0", "-a never,exit -S open", "-a never,exit -F a2&1", "-a never,user -F auid!=unset"],
)
def test_a_never_that_leaves_something_shadows_nothing(first):
    assert not [problem for problem in check.problems([first, B64, B32]) if "comes first" in problem.reason]


def test_a_name_is_asked_for_once_however_many_rules_have_it(monkeypatch):
    asked = []
    monkeypatch.setattr(check.accounts, "_ask", lambda *name: asked.append(name) or 1004)
    lines = [f"-a always,exit -F path=/etc/of-{number} -F perm=wa -F auid=somebody -F key=a" for number in range(5)]
    assert check.problems(lines) == [] and asked == [("user", "somebody")]


WATCH = "-w /etc/hosts -p wa -k a"
MKDIR, NEVER = "-a always,exit -F arch=b64 -S mkdir -k x", "-a never,exit -F arch=b64 -S mkdir"
#: What auditctl 3.0.9 and Linux 6.18 said of each: the lines that do not load, and the one behind another.
LOADED = [
    ([WATCH, "-D", WATCH], []),
    ([WATCH, "-D -k a", WATCH], []),
    ([WATCH, "-W /etc/hosts -p wa -k a", WATCH], []),
    ([WATCH, WATCH], [(2, "the same rule as in line 1, and a load stops there")]),
    ([WATCH, "-D -k b", WATCH], [(3, "the same rule as in line 1, and a load stops there")]),
    (["-W /etc/hosts -p wa -k nothere"], [(1, "there is no such rule to delete, and a load stops there")]),
    (["-d never,task"], [(1, "there is no such rule to delete, and a load stops there")]),
    ([WATCH, "-D", "-W /etc/hosts -p wa -k a"], [(3, "there is no such rule to delete, and a load stops there")]),
    (["-i", "-W /etc/hosts -p wa -k nothere"], [(2, "there is no such rule to delete")]),
    (["-b 64 -w /etc/hosts -p wa -k a", WATCH], [(2, "the same rule as in line 1, and a load stops there")]),
    ([WATCH, "-w /no/such/x -p wa -k b", "-D -k b"], [(2, "/no/such does not exist, so the kernel refuses the rule")]),
]


@pytest.mark.parametrize("lines, errors", LOADED)
def test_what_a_load_takes_is_no_error(lines, errors):
    found = [(one.number, one.reason) for one in check.problems(lines) if one.level == "error"]
    assert [number for number, _ in found] == [number for number, _ in errors]
    assert all(told.startswith(reason) for (_, told), (_, reason) in zip(found, errors))  # noqa: B905


@pytest.mark.parametrize(
    "lines, number, word",
    [
        ([MKDIR, NEVER.replace("-a", "-A")], 1, "line 2 comes first and drops everything"),
        ([MKDIR, NEVER], 2, "line 1 comes first and takes everything"),
        ([MKDIR, f"{NEVER.replace('-a', '-A')} -F auid=5"], 1, "line 2, which is before it, drops a part"),
        ([f"{NEVER} -F auid=5", MKDIR], 2, "line 1, which is before it, drops a part"),
        ([NEVER, "-D", MKDIR], None, ""),
        ([NEVER, NEVER.replace("-a", "-d"), MKDIR], None, ""),
    ],
)
def test_which_rule_comes_first_is_as_in_the_kernel(lines, number, word):
    told = [(one.number, one.reason) for one in check.problems(lines) if re.search("comes|is before", one.reason)]
    assert [one for one, _ in told] == ([number] if number else []) and all(word in reason for _, reason in told)


COLLIDING = {
    "limits": [f"-a always,exit -S openat -F auid>={number} -k a{number}" for number in range(5000)],
    "two families": [
        f"-a always,exit -S openat -F {name}={number} -k {name}{number}"
        for name in ("auid", "uid")
        for number in range(2500)
    ],
    "nevers": [
        *(f"-a never,exit -S openat -F uid={number}" for number in range(2500)),
        *(f"-a always,exit -S openat -F auid={number} -k a{number}" for number in range(2500)),
    ],
}


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("name", COLLIDING)
def test_thousands_that_collide_are_checked_soon(name):
    found, time = spent(check.problems, COLLIDING[name])
    assert time < 80
    assert len([problem for problem in found if "has no arch" in problem.reason]) == 5000
    shadowed = {"limits": 4999, "two families": 0, "nevers": 2500}[name]
    assert len([problem for problem in found if problem.reason.startswith("line 1")]) == shadowed


GOING_ON = [([], True), (["-i"], False), (["-c"], False), (["-i 1"], False), (["# -i"], True), (["-b 64"], True)]


@pytest.mark.parametrize("before, stops", GOING_ON)
def test_a_load_goes_on_behind_a_line_that_says_so(before, stops):
    given = [*before, "-w /no/such/file -p wa -k a", B64, B64]
    errors = [problem.reason for problem in check.problems(given) if problem.level == "error"]
    assert len(errors) == 2 and {reason.endswith("and a load stops there") for reason in errors} == {stops}


@pytest.mark.parametrize("line", ["-a task,always", "-a always,user -F uid=0", "-d task,never", "-a always,filesystem"])
def test_what_hides_nothing_is_not_said_to_hide(line):
    assert not [problem for problem in check.problems([line]) if "out of the log" in problem.reason]
