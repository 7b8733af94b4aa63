"""The files: the order of ``ls -v`` and the text of ``augenrules``, with the real tools as the judges."""

import shutil
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sshtrail_lib.rules import files as rules_files
from support import require_root

NAMES = st.lists(
    st.text("aAzZ019._~+-", min_size=1, max_size=8).map(lambda stem: stem + ".rules"), max_size=8, unique=True
)


@settings(max_examples=150, deadline=None)
@given(names=NAMES)
def test_the_order_is_that_of_ls(names, tmp_path_factory):
    folder = tmp_path_factory.mktemp("names")
    for name in names:
        (folder / name).touch()
    listed = subprocess.run(["ls", "-1v", folder], capture_output=True, text=True, check=True).stdout.split("\n")[:-1]
    assert rules_files.order(names) == listed


def test_the_managed_file_is_read_after_the_distributions_own():
    names = ["zz-sshtrail.rules", "90-site.rules", "audit.rules", "stig.rules", "notes.txt", ".hidden.rules"]
    assert rules_files.order(names) == ["90-site.rules", "audit.rules", "stig.rules", "zz-sshtrail.rules"]


@settings(max_examples=60, deadline=None)
@given(names=NAMES)
def test_what_gets_past_wrong_lines_is_read_first(names):
    name = rules_files.passing([f"/etc/audit/rules.d/{name}" for name in names])
    assert rules_files.order([*names, name])[0] == name and rules_files.is_passing(f"/etc/audit/rules.d/{name}")
    assert rules_files.is_read(name)


@pytest.mark.parametrize(
    "others, name",
    [
        (["00-a.rules", "audit.rules", "-x.rules"], "0-0-sshtrail.rules"),
        ([], "0-0-sshtrail.rules"),
        (["0.rules"], "~0-0-sshtrail.rules"),
        (["00.rules", "~0-0-sshtrail.rules"], "~0-0-sshtrail.rules"),
        (["~backup.rules"], "~~0-0-sshtrail.rules"),
    ],
)
def test_the_name_of_what_is_read_first(others, name):
    assert rules_files.passing(others) == name


LINES = st.lists(
    st.sampled_from(
        [
            "",
            "# c",
            "  # c",
            "\t# c",
            "-D",
            " -D",
            "-D -k x",
            "-D ",
            "-D\r",
            "-b 1",
            "-b 3 -f 2",
            "-b 2",
            "-f 1",
            "-e 1",
            "-e 2",
            " -e 0",
        ]
        + ["-w /a -p wa -k a", "-w /b", " -w /c", "--backlog_wait_time 5", "s# odd", "s-e 1", "-i", "-r 5", "-b"]
    ),
    max_size=8,
).map(lambda lines: "".join(f"{line}\n" for line in lines))


@pytest.fixture(scope="module")
def augenrules(tmp_path_factory):
    """A function: the contents of two files → what the real augenrules makes of them (bytes)."""
    require_root()
    base = tmp_path_factory.mktemp("etc")
    (base / "rules.d").mkdir()

    def run(contents):
        shutil.rmtree(base / "rules.d")
        (base / "rules.d").mkdir()
        (base / "audit.rules").write_bytes(b"")
        for number, content in enumerate(contents):
            (base / "rules.d" / f"{number}.rules").write_bytes(content)
        script = 'mount --bind "$1" /etc/audit && augenrules'
        subprocess.run(["unshare", "--mount", "sh", "-c", script, "sh", str(base)], capture_output=True, check=True)
        return (base / "audit.rules").read_bytes()

    return run


def awk_space():
    done = subprocess.run(["awk", r'BEGIN { exit match(" ", "^\\s$") ? 0 : 1 }'], check=False)
    return rules_files.MAWK if done.returncode else rules_files.GAWK


@settings(max_examples=60, deadline=None)
@given(first=LINES, second=LINES)
def test_the_compiled_text_is_that_of_augenrules(augenrules, first, second):
    contents = [first.encode(), second.encode()]
    ours = rules_files.compile_text("/etc/audit/rules.d", contents, awk_space())
    assert ours == augenrules(contents)


@pytest.mark.parametrize("line", ["  # c", "\t-e 1", "s-e 2", " -b 5", "-D ", "-D\r", "-D\t", "\f-D", "\v-b 5"])
def test_lines_that_awk_programs_read_differently_are_known(line):
    assert rules_files.needs_awk([f"-D\n{line}\n".encode()])
    texts = [rules_files.compile_text("/r", [f"{line}\n-w /a\n".encode()], space) for space in (rb"\s*", rb"s*")]
    assert texts[0] != texts[1]


@pytest.mark.parametrize(
    "line, gawk, mawk",
    [
        (b"-D", b"-D", b"-D"),
        (b" -D ", b"-D", b" -D "),
        (b"-D ", b"-D", b" -D "),
        (b"-D\t", b"-D\t", b" -D\t"),
        (b"-D \r", b"-D\r", b" -D \r"),
        (b"\t-D", b"-D\t", b"\t-D"),
        (b"-Ds", b" -Ds", b"-Ds"),
        (b"s-D", b"s-D", b"-Ds"),
        (b" -b 5", b"-b 5", b" -b 5"),
        (b"\t-e 2", b"-e\t 2", b"\t-e 2"),
        (b"s-f 0", b"s-f 0", b"-fs 0"),
        (b"-b 5\r", b"-b 5\r", b"-b 5\r"),
        *((line, line, line) for line in (b" -D -k x", b"-D -k x", b" -w /a", b"# -b", b"\t-r 5", b"")),
    ],
)
def test_what_augenrules_moves_begins_with_its_option(line, gawk, mawk):
    for space, told in ((rules_files.GAWK, gawk), (rules_files.MAWK, mawk)):
        assert rules_files.as_moved(b"# c\n -b 1\n" + line + b"\n", space).split(b"\n")[2] == told
        made = rules_files.compile_text("/r", [b"-w /a\n" + line + b"\n-w /b\n"], space)
        moved = line and line in made and b"-w /a\n" + line not in made
        assert bool(rules_files.FIRST.fullmatch(told.decode())) is bool(moved)
        if line in (b"-D", b" -D ", b"-D ", b" -b 5"):
            assert not rules_files.broken({"a": rules_files.as_moved(line, space)})
        elif b"\t" in line or b"s-" in line or line == b"-Ds":
            assert rules_files.broken({"a": rules_files.as_moved(line, space)})


def test_a_file_without_a_final_newline_gets_one_where_another_follows():
    """What ``cat`` would glue together."""
    files = {"a.rules": b"-w /a", "b.rules": b"", "c.rules": b"-w /c\n", "d.rules": b"-w /d"}
    assert rules_files.ended(files) == {**files, "a.rules": b"-w /a\n"}
    assert rules_files.ended({}) == {}


def test_later_settings_win():
    files = {"a.rules": b"-b 1\n-f 0\n--backlog_wait_time 5\n", "b.rules": b"-b 2\n-r 3\n"}
    decided = rules_files.effective_status(rules_files.parse_all(files))
    told = {name: (entry.value.value, entry.file) for name, entry in decided.items()}
    assert told == {
        "backlog_limit": ("2", "b.rules"),
        "failure": ("0", "a.rules"),
        "backlog_wait_time": ("5", "a.rules"),
        "rate_limit": ("3", "b.rules"),
    }


def test_lines_are_taken_out_and_the_rest_keeps_its_bytes():
    data = b"# \xe9\n-w /a\r\n\n  # x\n-w /b\n"
    assert rules_files.without(data, {5}) == b"# \xe9\n-w /a\r\n\n  # x\n"
    assert rules_files.without(data, set()) == data
