"""What a host should be, beside the files of others: broken, stricter, glued, made by hand. No kernel is asked."""

import os

import pytest
from salt.exceptions import SaltInvocationError
from sshtrail_lib.rules import accounts, compile, places, remarks, target, wish
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules.fields import RuleError
from sshtrail_lib.rules.files import PASSING
from sshtrail_lib.rules.target import Host
from support import spent

STATUS = {"enabled": 0, "failure": 1, "backlog_limit": 64, "rate_limit": 0, "backlog_wait_time": 60000}
OURS = "-a always,exit -F arch=b64 -S execve -F auid!=unset -F key=ours"
GROUPS = [{"name": "ours", "rules": [OURS]}]
STOCK = b"-D\n-b 8192\n--backlog_wait_time 60000\n-f 1\n"
POLICY = {"backlog_limit": 8192, "failure": 1, "enabled": 1}
BROKEN = {
    "a directory that is gone": b"-a always,exit -F dir=/no/such -F perm=wa -F key=app\n",
    "a watch below one": b"-w /no/such/file -p wa -k app\n",
    "an unknown user": b"-a always,exit -F arch=b64 -S open -F uid=no-such-user -k x\n",
    "a carriage return": b"-w /etc/hosts -p wa\r\n",
    "an empty line of CRLF": b"\r\n",
    "quotes around a path": b'-w "/etc/hosts" -p wa\n',
    "a quoted user": b'-a always,exit -F arch=b64 -S open -F uid="root" -k x\n',
    "a comment behind a rule": b"-w /etc/hosts -p wa -k x # why\n",
    "a tab": b"-w\t/etc/hosts -p wa\n",
    "an unknown call": b"-a always,exit -F arch=b64 -S session -k x\n",
    "a second copy": b"-w /etc/hosts -p wa -k x\n-w /etc/hosts -p wa -k x\n",
    "what the kernel refuses": b"-a always,exit -F arch=b64 -S open -F auid>unset -k x\n",
    "no such rule to delete": b"-W /etc/hosts -p wa -k never-loaded\n",
}


def data(line):
    return compile.compile(accounts.parse_rule(line))


@pytest.fixture
def host(tmp_path):
    rules_dir = tmp_path / "rules.d"
    rules_dir.mkdir()

    def make(files, rules=(), **given):
        named = {str(rules_dir / name): content for name, content in files.items()}
        status = {**STATUS, "immutable": False, "loginuid_immutable": 0}
        one = Host(str(rules_dir), str(tmp_path / "audit.rules"), target.arranged(named), None, [*rules], status)
        return one._replace(**given)

    return make


def managed(host, **given):
    given = {"groups": GROUPS, "status": POLICY, **given}
    return wish.Managed(os.path.join(host.rules_dir, "zz-ours.rules"), **given)


def text(host, wanted, name="zz-ours.rules"):
    return wanted.files[os.path.join(host.rules_dir, name)].decode()


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_broken_line_of_another_file_takes_no_rule_of_ours_away(host, content):
    there = host({"50-app.rules": content})
    wanted = managed(there).target(there)
    assert data(OURS) in wanted.rules
    [found] = wanted.broken
    assert found.file.endswith("50-app.rules") and found.line == len(content.splitlines()) and found.stops
    told = target.comment(there, wanted, "report")
    assert f"50-app.rules line {found.line}: " in told and "augenrules alone would stop there" in told
    assert told.isprintable()


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_a_load_at_boot_gets_past_it(host, content):
    there = host({"50-app.rules": content, "00-first.rules": b"-w /etc/group -p wa -k g\n"})
    wanted = managed(there).target(there)
    assert next(iter(wanted.files)).endswith(PASSING)
    lines = wanted.compiled.split(b"\n")
    assert lines.index(b"-i") < lines.index(content.split(b"\n")[-2])
    assert lines.index(b"-i") < lines.index(OURS.encode())
    again = host({os.path.basename(path): content for path, content in wanted.files.items()})
    assert managed(again).target(again).files == wanted.files


GONE = {
    "by its key": b"-w /no/such/x -p wa -k gone\n-D -k gone\n",
    "with all": b"-w /no/such/x -p wa -k gone\n -D\n",
    "by itself": b"-w /no/such/x -p wa -k gone\n-W /no/such/x -p wa -k gone\n",
    "a directory": b"-a always,exit -F dir=/no/such -F perm=wa -k gone\n-D -k gone\n",
    "a program": b"-a always,exit -S open -F exe=/no/such/x -k gone\n-D -k gone\n",
    "in front": b"-A always,exit -F dir=/no/such -F perm=wa -k gone\n-D -k gone\n",
    "twice": b"-w /no/such/x -p wa -k gone\n-w /no/such/x -p wa -k gone\n-D -k gone\n",
}


@pytest.mark.parametrize("content", GONE.values(), ids=GONE)
@pytest.mark.parametrize("later", [False, True], ids=["one file", "two files"])
def test_what_does_not_load_is_broken_though_a_later_line_deletes_it(host, content, later):
    lines = content.splitlines(keepends=True)
    files = {"10-a.rules": b"".join(lines[:-1]), "20-b.rules": lines[-1]} if later else {"10-a.rules": content}
    there = host(files)
    wanted = managed(there).target(there)
    told = [(found.line, found.stops) for found in wanted.broken if found.file.endswith("10-a.rules")]
    assert told[0] == (1, True) and all("/no/such" in one.reason for one in wanted.broken[:1])
    assert next(iter(wanted.files)).endswith(PASSING) and data(OURS) in wanted.rules


def test_what_the_kernel_holds_from_when_its_directory_was_there_stays_and_is_told(host, tmp_path):
    watched = tmp_path / "w"
    watched.mkdir()
    line = f"-a always,exit -F dir={watched} -F perm=wa -F key=app"
    held = data(line)
    watched.rename(tmp_path / "old")
    there = host({"10-a.rules": f"{line}\n".encode()}, [held])
    wanted = managed(there, unknown="report").target(there)
    assert held in wanted.rules and held not in wanted.unknown
    assert [(found.line, found.stops) for found in wanted.broken] == [(1, True)]


@pytest.mark.parametrize("space", [rules_files.GAWK, rules_files.MAWK])
def test_what_augenrules_puts_first_is_mended_by_ours(host, space):
    there = host({"audit.rules": STOCK.replace(b"\n", b"\r\n")}, space=space)
    wanted = managed(there, status={}).target(there)
    lines = wanted.compiled.split(b"\n")
    assert lines[1:4] == [b"-D", b"-b 8192\r", b"-f 1"]
    assert b"-f 1\r" not in lines and not (space == rules_files.GAWK and b"-D\r" in lines)


@pytest.mark.parametrize("line", [b"-D\t", b"-D \r", b"\t-D", b"\t-b 5", b"\t-f 0"])
@pytest.mark.parametrize("name", ["10-app.rules", "zz-pl-late.rules"])
def test_what_an_awk_that_knows_white_space_puts_first_ends_no_load(host, line, name):
    """Seen with gawk 5.2.1: auditctl takes a tab for a part of the word, so the load ended at its first line."""
    there = host({name: line + b"\n"}, space=rules_files.GAWK)
    wanted = managed(there).target(there)
    assert not [one for one in wanted.compiled.splitlines() if one[:2] in (b"-D", b"-b", b"-f") and b"\t" in one]
    assert line not in wanted.compiled.splitlines() and data(OURS) in wanted.rules
    assert [(os.path.basename(one.file), one.stops) for one in wanted.broken] == [(name, False)]
    again = host({os.path.basename(path): data for path, data in wanted.files.items()}, space=rules_files.GAWK)
    assert managed(again).target(again).files == wanted.files
    # Where nobody writes ours in its place, it is told where a load ends.
    assert [one.stops for one in wish.Whole().target(there).broken] == [True]


CRLF = b"-D\r\n-b 9000\r\n\r\n-w /etc/hosts -p wa -k x\r\n# why\r\n"


def test_where_augenrules_takes_carriage_returns_away_such_a_file_is_as_good_as_any(host):
    there = host({"50-app.rules": CRLF}, strips=True)
    wanted = managed(there, status={}).target(there)
    assert wanted.broken == [] and data("-w /etc/hosts -p wa -k x") in wanted.rules
    assert wanted.status["backlog_limit"] == 9000 and b"\r" not in wanted.compiled
    assert text(there, wanted, "50-app.rules") == CRLF.decode()
    removed = managed(there, unknown="remove").target(there)
    assert text(there, removed, "50-app.rules") == "-D\r\n-b 9000\r\n\r\n# why\r\n"


def test_what_names_a_place_that_is_gone_stops_a_load_too(host):
    there = host({"50-app.rules": b"-q /no/such,/tmp\n"})
    wanted = managed(there).target(there)
    assert "/no/such does not exist" in wanted.broken[0].reason and next(iter(wanted.files)).endswith(PASSING)


@pytest.mark.parametrize("name", ["zz ours.rules", ".zz.rules", "zz.conf", "zz\tours.rules", "zz*.rules", "z[z].rules"])
def test_a_file_that_augenrules_does_not_read_is_no_place_for_rules(name):
    with pytest.raises(SaltInvocationError, match="augenrules reads no other"):
        wish.Managed(f"/etc/audit/rules.d/{name}", GROUPS)


@pytest.mark.parametrize(
    ("argument", "given", "words"),
    [
        *(("groups", one, "a list of groups is needed") for one in (None, 5, "x", {"name": "x"})),
        *(("groups", [one], "number 1 needs at least a name and rules") for one in (None, "x", {"name": "x"}, ["x"])),
        *(("groups", [{"name": "x", "rules": one}], "must be a list of lines") for one in (None, 5, OURS, [OURS, 5])),
        *(("groups", [{**GROUPS[0], "controls": one}], "must be text on one line") for one in (5, "x", [None])),
        *(("status", one, "a mapping of settings to numbers is needed") for one in (5, "failure", ["failure"])),
        *(("allowed", one, "a list of rule lines is needed") for one in (None, 5, OURS, {OURS: 1}, [5])),
        *(("name", one, "takes the name of a file") for one in (None, 5, ["/a.rules"], "/\ud800.rules")),
    ],
)
def test_what_cannot_be_meant(argument, given, words):
    with pytest.raises(SaltInvocationError, match=words):
        wish.Managed(**{"name": "/etc/audit/rules.d/zz.rules", "groups": GROUPS, argument: given})


@pytest.mark.parametrize(("rule", "path"), [(5, "/a"), (None, "/a"), ([OURS], "/a"), (OURS, 5), (OURS, ["/a"])])
def test_what_can_be_no_rule_of_a_file(rule, path):
    with pytest.raises(SaltInvocationError, match="is needed|takes the name"):
        wish.OneRule(rule, True, path)


def test_when_nothing_is_broken_any_more_the_file_that_gets_past_goes(host):
    there = host({PASSING: rules_files.PASSING_TEXT, "50-app.rules": b"-w /etc/hosts -p wa -k x\n"})
    wanted = managed(there).target(there)
    assert [os.path.basename(path) for path in wanted.files] == ["50-app.rules", "zz-ours.rules"]
    assert target.differences(there, wanted)[os.path.join(there.rules_dir, PASSING)]["new"] is None


def test_what_goes_on_by_itself_needs_no_help(host):
    there = host({"10-a.rules": b"-i 1\n-w /no/such/x -p wa -k a\n-w /etc/hosts -p wa -k b\n"})
    wanted = managed(there).target(there)
    assert not any(path.endswith(PASSING) for path in wanted.files)
    assert [found.stops for found in wanted.broken] == [False] and len(wanted.rules) == 2


def test_our_own_rule_that_does_not_load_is_an_error(host):
    there = host({"50-app.rules": BROKEN["a tab"]})
    for line in ("-w /no/such/file -p wa -k y", "-a always,exit -F dir=/no/such -F perm=wa -k y"):
        with pytest.raises(RuleError, match="zz-ours.rules, line .*/no/such does not exist"):
            managed(there, groups=[{"name": "bad", "rules": [line]}]).target(there)


@pytest.mark.parametrize("content", [content for name, content in BROKEN.items() if "CRLF" not in name])
def test_removed_is_also_what_does_not_load(host, content):
    there = host({"50-app.rules": b"# theirs\n-b 9000\n" + content + b"-w /etc/issue -p wa -k z"})
    wanted = managed(there, unknown="remove").target(there)
    assert text(there, wanted, "50-app.rules") == "# theirs\n-b 9000\n"
    assert wanted.broken == []


@pytest.mark.parametrize("line", ["-a always,task -F uid=0", "-a never,user -F uid=0", "-a never,user"])
def test_what_the_policy_allows_stays_whether_it_hides_or_not(host, line):
    have = host({"10-app.rules": f"{line}\n-w /etc/hosts -p wa -k app\n".encode()})
    assert text(have, managed(have, unknown="remove", allowed=[line]).target(have), "10-app.rules") == f"{line}\n"
    assert text(have, managed(have, unknown="remove").target(have), "10-app.rules") == ""


@pytest.mark.parametrize("line", ["-a always,task -F uid=0", "-a always,user -F uid=0", "-a never,user"])
def test_what_hides_nothing_is_loaded_and_stays(host, line):
    have = host({"10-app.rules": f"{line}\n".encode()})
    wanted = managed(have, hiding="remove").target(have)
    assert data(line) in wanted.rules and wanted.hiding == []
    assert text(have, wanted, "10-app.rules") == f"{line}\n"


def test_what_a_line_sets_besides_a_rule_stays_where_the_rule_is_removed(host):
    there = host({"50-app.rules": b"-b 65536 -w /etc/hosts -p wa\n-w /etc/issue -p wa -f 2\n-w /etc/fstab -p wa\n"})
    wanted = managed(there, unknown="remove").target(there)
    assert text(there, wanted, "50-app.rules") == "-b 65536\n-f 2\n"
    again = host({os.path.basename(path): content for path, content in wanted.files.items()})
    wanted = managed(again, unknown="remove").target(again)
    assert wanted.files == again.files and wanted.status["backlog_limit"] == 65536


@pytest.mark.parametrize(
    "name, line, setting, kept",
    [
        ("99-finalize.rules", b"-e 2", "enabled", 1),
        ("50-a.rules", b"-b 65536", "backlog_limit", 65536),
        ("50-a.rules", b"-b 0", "backlog_limit", 0),
        ("50-a.rules", b"-f 2", "failure", 2),
        ("audit.rules", b"-f 2", "failure", 2),
        ("zzz-late.rules", b"-b 65536", "backlog_limit", 65536),
    ],
)
def test_what_another_file_sets_more_strictly_stays_and_is_told(host, name, line, setting, kept):
    there = host({"audit.rules": STOCK, name: line + b"\n"})
    wanted = managed(there).target(there)
    assert wanted.status[setting] == kept
    assert line in wanted.compiled.splitlines()
    told = target.comment(there, wanted, "report")
    assert f"{name} line 1 ({line.decode()}) is stricter than the {setting} asked for, and stays." in told


@pytest.mark.parametrize(
    "line, asked", [(b"-b 100", {}), (b"-f 0", {}), (b"-e 0", {}), (b"-b 8192", {"backlog_limit": 0})]
)
def test_what_is_less_strict_loses(host, line, asked):
    there = host({"50-a.rules": line + b"\n"})
    wanted = managed(there, status={**POLICY, **asked}).target(there)
    assert wanted.stricter == {} and {**POLICY, **asked}.items() <= wanted.status.items()


def test_what_the_package_ships_is_nobodys_wish(host):
    there = host({"audit.rules": STOCK})
    wanted = managed(there, status={"backlog_limit": 4096, "backlog_wait_time": 0}).target(there)
    assert wanted.stricter == {} and wanted.status["backlog_limit"] == 4096


LATER = {
    "a limit that is none": (b"-b x\n", [b"-b 8192"]),
    "a limit without its number": (b"-b\n", [b"-b 8192"]),
    "a limit and a comment": (b"-b 65536 # big\n", [b"-b 65536"]),
    "a failure that there is not": (b"-f 3\r\n", [b"-f 1"]),
    "a lock and a carriage return": (b"-e 2\r\n", [b"-e 1"]),
    "a deletion and a carriage return": (b"-D\r\n", [b"-D", OURS.encode()]),
    "a deletion that stays where it is": (b" -D\n", [OURS.encode()]),
    "a deletion with a space behind": (b"-D \n", [OURS.encode()]),
    "a deletion by the key": (b"-w /etc/hosts -p wa -k our\n-D -k our\n", [OURS.encode()]),
    "a deletion by the rule": (OURS.replace("-a", "-d", 1).encode() + b"\n", [OURS.encode()]),
    "a deletion of nothing": (b"-D ours\n", []),
}


@pytest.mark.parametrize("content, again", LATER.values(), ids=LATER)
def test_what_is_read_after_ours_undoes_nothing_of_it(host, content, again):
    there = host({"zz-pl-later.rules": content})
    wanted = managed(there).target(there)
    assert data(OURS) in wanted.rules and wanted.status["failure"] == 1 and wanted.status["backlog_limit"] >= 8192
    paths = [path for path in wanted.files if path.endswith("zz-pl-later-behind-sshtrail.rules")]
    assert [line for path in paths for line in wanted.files[path].splitlines() if line[:1] != b"#"] == again
    lines = wanted.compiled.splitlines()
    assert all(line in lines for line in again) and OURS.encode() in lines
    loaded = target.desired(there.heard(wanted.files))
    assert data(OURS) in loaded.rules
    told = target.comment(there, wanted, "report")
    assert "zz-pl-later.rules line" in told
    again = host({os.path.basename(path): content for path, content in wanted.files.items()})
    assert managed(again).target(again).files == wanted.files
    gone = again._replace(files={path: data for path, data in again.files.items() if "zz-pl-later.rules" not in path})
    assert not any("behind" in path for path in managed(gone).target(gone).files)


@pytest.mark.parametrize("later", [OURS.replace("-a", "-d", 1), "-D -k our", " -D"])
def test_what_an_earlier_file_has_and_a_later_one_deletes_is_ours_once_more_behind_it(host, later):
    there = host({"50-a.rules": f"{OURS}\n".encode(), "zz-pl.rules": f"{later}\n".encode()})
    wanted = managed(there).target(there)
    assert not wanted.broken and f"# in another file: {OURS}" in text(there, wanted)
    assert OURS in text(there, wanted, "zz-pl-behind-sshtrail.rules").splitlines()
    assert data(OURS) in target.desired(there.heard(wanted.files)).rules
    again = host({os.path.basename(path): content for path, content in wanted.files.items()})
    assert managed(again).target(again).files == wanted.files


#: What is set in the middle of a load, after ours, which augenrules puts first.
MIDDLE = [
    (b"foo -b 70\n", {}, "-r 0 -b 8192"),
    (b"foo -b 70\n", {"backlog_wait_time": 15000}, "--backlog_wait_time 15000 -b 8192"),
    (b"-w /etc/issue -p wa -k i foo -f 0\n", {}, "-r 0 -f 1"),
    (b"-w /etc/issue -p wa -k i -b 70\n", {}, "-r 0 -b 8192"),
    (b"-b 9000\nfoo -b 70 -f 0\n", {}, "-r 0 -b 9000 -f 1"),
    (b" -b 100\n", {}, "-r 0 -b 8192"),
    (b" -f 0\n-r 50\n", {}, "-r 50 -f 1"),
    (b"foo -b 65536\n", {}, ""),
    (b"foo -r 50\n", {}, ""),
]


@pytest.mark.parametrize("content, asked, line", MIDDLE)
def test_what_is_set_in_the_middle_of_a_load_is_set_again_behind_it(host, content, asked, line):
    """auditctl sets what stands behind a word of nonsense, and then fails at that word."""
    there = host({"10-app.rules": content})
    given = {**POLICY, **asked}
    wanted = managed(there, status=given).target(there)
    found = [text.decode() for path, text in wanted.files.items() if path.endswith("zz-ours-behind-sshtrail.rules")]
    assert [one for text in found for one in text.splitlines() if one[0] != "#"] == ([line] if line else [])
    assert [one.stops for one in wanted.broken] == [True] * (b"foo" in content)
    assert wanted.status["backlog_limit"] >= 8192 and wanted.status["failure"] == 1
    assert ("rate_limit" in wanted.status) is (b"-r " in wanted.compiled)
    lines = wanted.compiled.decode().splitlines()
    assert not line or lines[-2:] == [line, "-e 1"]
    again = host({os.path.basename(path): content for path, content in wanted.files.items()})
    assert managed(again, status=given).target(again).files == wanted.files


EARLIER, FIRST = (
    "which is read earlier",
    "which augenrules puts first: this one does not begin its line, and stays behind",
)


@pytest.mark.parametrize(
    "line, space, setting, why",
    [
        (b"-b 100", rules_files.MAWK, "backlog_limit", EARLIER),
        (b"foo -b 70", rules_files.MAWK, "backlog_limit", FIRST),
        (b" -b 100", rules_files.MAWK, "backlog_limit", FIRST),
        (b" -b 100", rules_files.GAWK, "backlog_limit", EARLIER),
        (b" -f 0", rules_files.MAWK, "failure", FIRST),
        (b" --backlog_wait_time 5", rules_files.MAWK, "backlog_wait_time", EARLIER),
        (b"-r 0 --backlog_wait_time 5", rules_files.MAWK, "backlog_wait_time", EARLIER),
    ],
)
def test_what_a_later_file_sets_is_refused_with_its_line(host, line, space, setting, why):
    there = host({"zz-pl-late.rules": b"# late\n" + line + b"\n"}, space=space)
    with pytest.raises(RuleError) as refused:
        managed(there, status={**POLICY, "backlog_wait_time": 60000}).target(there)
    assert refused.value.line == 2 and refused.value.file.endswith("zz-pl-late.rules")
    assert f" overrides {setting} of {there.rules_dir}/zz-ours.rules, {why}" in refused.value.reason


@pytest.mark.parametrize(
    "line, status, kept",
    [
        (b"-f 2 -b 65536", {"failure": 1}, {"failure": 2, "backlog_limit": 65536}),
        (b"-b 65536 # big", {}, {"backlog_limit": 65536}),
        (b"-b 5 -r 7", {"backlog_limit": 8192}, {"backlog_limit": 8192, "rate_limit": 7}),
        (b"-b 5 -e 2", POLICY, {"enabled": 1, "backlog_limit": 8192}),
    ],
)
def test_what_else_stands_in_a_line_in_whose_place_ours_comes_stays(host, line, status, kept):
    there = host({"50-a.rules": line + b"\n"})
    wanted = managed(there, status=status).target(there)
    assert kept.items() <= wanted.status.items()
    assert (b"-e 2" in wanted.compiled.splitlines()) == (b"-e 2" in line)


LOCKS = [b" -e 2", b"-w /etc/hosts -p wa -k x -e 2", b"-r 5 -e 2", b"foo -e 2"]


@pytest.mark.parametrize("line", LOCKS)
@pytest.mark.parametrize("hoisted", [b"", b"-e 2\n"])
def test_a_lock_before_our_rules_is_refused(host, line, hoisted):
    there = host({"50-a.rules": line + b"\n" + hoisted})
    for given in ({}, {"immutable": True, "status": {}}):
        with pytest.raises(RuleError, match="50-a.rules, line 1: -e 2 locks the kernel there before the rules of "):
            managed(there, **given).target(there)


@pytest.mark.parametrize("line", LOCKS)
def test_a_lock_before_rules_of_others_is_told(host, line):
    there = host({"zz-pl-a.rules": line + b"\n", "zz-pl-b.rules": b"-w /etc/issue -p wa -k y\n"})
    told = target.comment(there, managed(there).target(there), "report")
    assert "zz-pl-a.rules line 1: It locks the kernel, so nothing behind it loads until a reboot: " in told


def test_a_rule_that_a_later_line_deletes_cannot_be_added(host):
    there = host({"zz-z.rules": b"-D -k one\n"})
    with pytest.raises(RuleError, match="Another line, which is read later, deletes"):
        wish.OneRule("-w /etc/hosts -p wa -k one", True, f"{there.rules_dir}/zz-local.rules").target(there)


def test_a_file_without_an_end_is_not_glued_to_the_next(host):
    there = host({"50-a.rules": b"-w /etc/hosts -p wa -k x", "60-b.rules": b"-w /etc/issue -p wa -k y\n"})
    wanted = managed(there).target(there)
    assert b"-w /etc/hosts -p wa -k x\n-w /etc/issue -p wa -k y\n" in wanted.compiled and len(wanted.rules) == 3
    assert target.differences(there, wanted)[f"{there.rules_dir}/50-a.rules"]["old"] == ["(the last line has no end)"]


def test_one_rule_goes_into_a_file_without_an_end(host):
    there = host({"zz-local.rules": b"-w /etc/hosts -p wa -k x"})
    path = f"{there.rules_dir}/zz-local.rules"
    wanted = wish.OneRule("-w /etc/issue -p wa -k y", True, path).target(there)
    assert wanted.files[path] == b"-w /etc/hosts -p wa -k x\n-w /etc/issue -p wa -k y\n"


@pytest.mark.parametrize("content", BROKEN.values(), ids=BROKEN)
def test_one_rule_comes_and_goes_beside_broken_lines(host, content):
    line = "-w /etc/fstab -p wa -k one"
    there = host({"50-app.rules": content})
    path = f"{there.rules_dir}/zz-local.rules"
    assert data(line) in wish.OneRule(line, True, path).target(there).rules
    there = host({"50-app.rules": content, "zz-local.rules": f"{line}\n".encode()}, [data(line)])
    assert data(line) not in wish.OneRule(line, False, path).target(there).rules
    with pytest.raises(RuleError, match="/no/such does not exist"):
        wish.OneRule("-w /no/such/x -p wa -k y", True, path).target(there)


def test_copies_that_a_load_makes_are_as_good_as_one(host):
    line = "-a always,exclude -F msgtype=DAEMON_END"
    there = host({"50-x.rules": b"-A exclude,always -F msgtype=DAEMON_END\n" * 2}, [data(line)] * 2 + [data(OURS)])
    wanted = managed(there, status={}).target(there)
    assert wanted.broken == [] and target.kernel_changes(there, wanted) == {}


def test_a_later_file_deletes_by_a_part_of_the_key(host):
    there = host({"50-a.rules": b"-w /etc/hosts -p wa -k abc\n", "60-b.rules": b"-D -k b\n-w /etc/issue -p wa -k b\n"})
    assert [entry.line for entry in managed(there, status={}).target(there).origins] == [2, 5]


@pytest.mark.parametrize("files", [{}, {"audit.rules": STOCK}, {"10-app.rules": b"-w /etc/issue -p wa -k app\n"}])
def test_what_was_written_by_hand_into_the_compiled_file_is_told(host, files):
    there = host(files, compiled=b"# mine\n-D\n-w /etc/hosts -p wa -k mine\n-w /etc/group -p wa -k mine\n")
    told = target.comment(there, managed(there).target(there), "report")
    assert "audit.rules was written by hand: 2 lines of it stand in no file of rules.d" in told


MADE = b"## This file is automatically generated from /etc/audit/rules.d\n"
RULED = b"-w /etc/hosts -p wa -k mine\n"


@pytest.mark.parametrize("line", [b"-e 2", b"-f 2", b"-b 65536", b"--loginuid-immutable"])
@pytest.mark.parametrize("head", [b"", MADE])
@pytest.mark.parametrize("files", [{}, {"audit.rules": STOCK}, {"10-app.rules": b"-w /etc/issue -p wa -k app\n"}])
def test_what_was_set_by_hand_in_the_compiled_file_is_not_loosened(host, line, head, files):
    there = host(files, compiled=head + b"-D\n" + RULED + line + b"\n", edited="10-app.rules" in files)
    for wanted in (managed(there, status=POLICY), wish.OneRule(OURS, True, f"{there.rules_dir}/zz-local.rules")):
        with pytest.raises(RuleError, match=f"line {3 + bool(head)}: {line.decode()} was written by hand, ") as caught:
            wanted.target(there)
        assert caught.value.file == there.compiled_path
    # Moved to a file of rules.d it stays, and is told there.
    moved = host({**files, "50-mine.rules": RULED + line + b"\n"}, compiled=head + b"-D\n" + RULED + line + b"\n")
    assert line in managed(moved, status=POLICY).target(moved).compiled.splitlines()


@pytest.mark.parametrize("files", [{"audit.rules": STOCK}, {"50-a.rules": RULED}])
@pytest.mark.parametrize("line", [b"-e 2", b"-f 2", b"-b 65536", b"--loginuid-immutable", RULED[:-1] + b"2"])
def test_a_generated_file_that_was_edited_since_is_told_by_what_only_it_says(host, files, line):
    """With settings alone too; what differs where a file of rules.d is newer was made of what that was before."""
    compiled = MADE + b"-D\n" + b"".join(files.values()).replace(b"-D\n", b"") + line + b"\n"
    there = host(files, compiled=compiled, edited=True)
    if line.startswith(b"-w"):
        assert [one.text.encode() for one in target.handmade(there, managed(there).target(there))] == [line]
    else:
        with pytest.raises(RuleError, match=f": {line.decode()} was written by hand"):
            managed(there).target(there)
    before = there._replace(edited=False)
    assert not target.handmade(before, managed(before).target(before)) or b"50-a" not in files
    # What a file says is not by hand, though ours takes it away.
    path = f"{there.rules_dir}/zz-ours.rules"
    ours = there._replace(files={**there.files, path: line + b"\n"})
    assert not target.handmade(ours, managed(ours).target(ours))


@pytest.mark.parametrize("line", [b"-e 1", b"-f 1", b"-f 0", b"-b 8192", b"-b 100", b"--backlog_wait_time 60000"])
def test_what_was_set_by_hand_less_strictly_is_no_trouble(host, line):
    there = host({"audit.rules": STOCK}, compiled=b"-D\n" + RULED + line + b"\n")
    assert managed(there, status=POLICY).target(there).status["backlog_limit"] == 8192


def test_what_a_file_set_that_is_gone_is_nobodys_wish(host):
    """Somebody has taken it away, and the compiled file is of before."""
    there = host({"50-a.rules": RULED}, compiled=MADE + b"-D\n" + RULED + b"-e 2\n")
    assert managed(there, status=POLICY).target(there).status["enabled"] == 1


@pytest.mark.parametrize(
    "files, compiled, lost",
    [
        ({"50-a.rules": b"-w /etc/hosts -p wa -k mine\n"}, b"-D\n", 0),
        ({}, b"## This file is automatically generated from /x\n-D\n-b 8192\n", 0),
        ({"audit.rules": STOCK}, b"## This file is automatically generated from /x\n-D\n-w /etc/hosts -k mine\n", 1),
        ({}, f"## This file is automatically generated from /x\n-D\n{OURS}\n".encode(), 0),
        ({}, None, 0),
    ],
)
def test_what_was_put_into_the_file_that_augenrules_makes_is_told(host, files, compiled, lost):
    there = host(files, compiled=compiled)
    wanted = managed(there).target(there)
    assert len(target.handmade(there, wanted)) == lost
    assert ("written by hand: 1 lines" in target.comment(there, wanted, "report")) == bool(lost)


def test_a_never_that_covers_a_part_of_ours_is_told(host):
    there = host({"10-a.rules": b"-a never,exit -F arch=b64 -S execve -F auid>=1000\n"})
    told = target.comment(there, managed(there).target(there), "report")
    assert "10-a.rules line 1 drops a part of what others match: " in told and "zz-ours.rules line" in told
    assert "never decides" not in told


@pytest.mark.parametrize(
    "line, told",
    [
        ("-w /etc/*.conf -p wa -k g", "/etc/*.conf: wildcard notation is not supported"),
        ("-a always,exit -F dir=/etc -F exe=/opt/[ab] -k g", "/opt/[ab]: wildcard notation is not supported"),
        ("-w /etc/../etc/hosts -p wa -k g", ""),
        ("-w /etc/hosts -p wa -k g", ""),
    ],
)
def test_what_a_rule_of_another_file_does_not_see_is_told(host, line, told):
    there = host({"10-a.rules": f"# app\n{line}\n".encode()})
    comment = target.comment(there, managed(there).target(there), "report")
    place = f"{there.rules_dir}/10-a.rules line 2: {told}"
    assert (place in comment) if told else ("10-a" not in comment)


def test_a_file_of_ours_that_another_one_is_mounted_on_is_told(host, tmp_path, monkeypatch):
    (tmp_path / "hosts").write_text("")
    listed = tmp_path / "mountinfo"
    listed.write_text(f"30 1 254:1 / / rw - ext4 a rw\n40 30 254:2 /hosts {tmp_path}/hosts rw - ext4 b rw\n")
    monkeypatch.setattr(places, "MOUNTS", str(listed))
    there = host({})
    groups = [{"name": "one", "rules": [f"-w {tmp_path}/hosts -p wa -k k"]}]
    comment = target.comment(there, managed(there, groups=groups).target(there), "report")
    assert f"another file is mounted on {tmp_path}/hosts, and no rule that names it sees" in comment


@pytest.mark.usefixtures("untraced")
def test_many_nevers_and_many_that_they_cover_are_told_in_short_and_soon(host):
    nevers = [f"-a never,exit -F arch=b64 -S execve -F auid={number}\n" for number in range(1000)]
    nevers += [f"-a always,exit -F arch=b64 -S execve -F uid={number} -k u\n" for number in range(1000)]
    there = host({"10-a.rules": "".join(nevers[:1000]).encode(), "20-b.rules": "".join(nevers[1000:]).encode()})
    told, time = spent(remarks.hidden, target.desired(there.files).rules)
    assert time < 60 and len(told) == 1000
    assert all("10-a.rules line" in one and one.endswith("20-b.rules line 20 and 980 more.") for one in told)


def test_lines_that_do_not_load_are_told_in_the_order_of_the_files(host):
    there = host({"10-a.rules": b"-w /no/such/a -p wa -k a\n-k x\n-w /no/such/b -p wa -k a\n", "20-b.rules": b"foo\n"})
    places = [(os.path.basename(found.file), found.line) for found in managed(there).target(there).broken]
    assert places == [("10-a.rules", 1), ("10-a.rules", 2), ("10-a.rules", 3), ("20-b.rules", 1)]


def test_what_cannot_be_read_is_told(host):
    there = host({}, unread={"/x/dangling.rules": "/x/dangling.rules is no regular file."})
    told = target.comment(there, managed(there).target(there), "report")
    assert "Not loaded: /x/dangling.rules: /x/dangling.rules is no regular file." in told


def test_each_account_is_asked_for_once(host, monkeypatch):
    asked = []

    def slow(name):
        asked.append(name)
        return original(name)

    original = accounts.directory.pwd.getpwnam
    monkeypatch.setattr(accounts.directory.pwd, "getpwnam", slow)
    monkeypatch.setattr(accounts.directory.pwd, "getpwall", None)
    rules = [f"-a always,exit -F arch=b64 -S {call} -F auid=root -k x" for call in ("open", "execve", "unlink")]
    there = host({"50-a.rules": b"".join(f"{rule} -k y\n".encode() for rule in rules)})
    with accounts.asked_once():
        managed(there, groups=[{"name": "x", "rules": rules}]).target(there)
        with pytest.raises(RuleError, match="Unknown user 'no-such'"):
            accounts.parse_rule("-a always,exit -F uid=no-such -S open")
    assert asked == ["root", "no-such"]
