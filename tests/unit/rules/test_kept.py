"""What files say, kept for the next process: the same, or nothing."""

import pytest
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules import kept, target

FILES = {
    "/r/10.rules": b"-D\n-b 8192\n# c\n-A exclude,always -F msgtype=CWD\n-A exclude,always -F msgtype=CWD\n",
    "/r/50.rules": b'-w /etc/hosts -p wa -k x\r\n-w /etc/\xe9 -p wa\n-w "/x" -p wa\n-a never,exit -F auid=root\n',
}


def told(said):
    rules = [(rule, place.value, place.file, place.line) for rule, place in said.rules.items()]
    return rules, *(list(getattr(said, name)) for name in ("controls", "broken", "repeated", "watched", "named"))


def test_what_is_kept_is_what_was_said():
    said = target.desired(FILES)
    name = kept.digest(FILES.items(), "basis")
    again = kept.unpack(kept.pack(name, said), name, FILES)
    assert told(again) == told(said)
    assert len(said.rules) == 4 and len(said.broken) == 1 and said.repeated and said.named == [("auid", "root", 0)]


@pytest.mark.parametrize(
    "basis, files", [("other", FILES), ("basis", {**FILES, "/r/50.rules": b"-D\n"}), ("basis", {})]
)
def test_what_was_said_of_others_is_nothing(basis, files):
    data = kept.pack(kept.digest(FILES.items(), "basis"), target.desired(FILES))
    assert kept.unpack(data, kept.digest(files.items(), basis), files) is None


@pytest.mark.parametrize("data", [b"", b"\0", b"\xff\xff\xff\xff{}", b"\2\0\0\0{}", b"\4\0\0\0null", b"\2\0\0\0[]"])
def test_what_is_broken_is_nothing(data):
    assert kept.unpack(data, "x", FILES) is None


def test_what_the_rules_depend_on_is_looked_at_again(tmp_path):
    place = tmp_path / "place"
    files = {"/r/a.rules": f"-w {place} -p wa -k x\n".encode()}
    [before] = target.desired(files).rules
    target.remember(files, target.desired(files))
    place.mkdir()
    [after] = target.desired(files).rules
    assert before != after
    assert rules_files.parse_all(files)[0].value.watch == str(place)


@pytest.mark.parametrize("form", ["-w {}/f -p wa", "-a always,exit -F dir={} -F perm=wa", "-a always,exit -F exe={}/f"])
def test_a_directory_that_a_rule_needs_is_looked_at_again(tmp_path, form):
    place = tmp_path / "place"
    files = {"/r/a.rules": f"{form.format(place)} -k x\n-D -k x\n".encode()}
    assert [found.line for found in target.desired(files).broken] == [1]
    place.mkdir()
    assert target.desired(files).broken == []
    place.rmdir()
    assert [found.line for found in target.desired(files).broken] == [1]


def test_what_is_kept_of_a_long_line_is_no_more_than_the_line():
    """auditctl reads it in hundreds of pieces: with the whole line for each, five megabytes made four gigabytes."""
    files = {"/r/a.rules": b"# " + b"y" * 1_000_000 + b"\n-w /etc/hosts -p wa -k x\n"}
    said = target.desired(files)
    assert len(said.broken) > 100 and {one.line for one in said.broken} == {1} and len(said.rules) == 1
    assert all(rules_files.is_left_out(one.text, rules_files.MAWK) for one in said.broken)
    assert len(kept.pack("x", said)) < 3 * len(files["/r/a.rules"])
