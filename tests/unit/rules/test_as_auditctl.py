"""What auditctl 3.0.9 and Linux 6.18 were seen to do with fields, operators and files: golden data, and ours beside."""

import csv
import json
import pathlib

import pytest
from sshtrail_lib.rules import accounts, compile, hiding, layout, load, target
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules.fields import RuleError
from sshtrail_lib.rules.language import GO_ON, Control

DATA = pathlib.Path(__file__).parents[2] / "data" / "rules"
LOADS = json.loads((DATA / "loads-3.0.9.json").read_text())["loads"]
ACTIONS = json.loads((DATA / "lists-and-actions-3.0.9.json").read_text())
LINES = json.loads((DATA / "lines-3.0-4.1.2.json").read_text())
#: What auditctl 3.0.9 takes and others do not: a key says what a record is called, and is compared with nothing.
REFUSED = {("key", "!=")}


def operators():
    with open(DATA / "operators-3.0.9-linux-6.18.tsv", encoding="ascii") as lines:
        return list(csv.DictReader(lines, delimiter="\t"))


def line_of(row):
    call = ["-F arch=b64 -S openat"] if row["list"] == "exit" and row["field"] not in ("arch", "perm") else []
    call += ["-F path=/etc/passwd"] if row["field"] == "perm" else []
    condition = f"-F {row['field']}{row['operator']}{row['value']}"
    other = ["-F pid=3999999"] if row["list"] != "filesystem" else []
    return " ".join([f"-a always,{row['list']}", *call, condition, *other])


def loads(line):
    try:
        compile.compile(accounts.parse_rule(line))
    except RuleError:
        return False
    return True


def test_each_field_with_each_operator_as_the_kernel_takes_it():
    rows = [row for row in operators() if (row["field"], row["operator"]) not in REFUSED]
    assert not [line_of(row) for row in rows if loads(line_of(row)) != (row["answer"] == "loads")]


@pytest.mark.parametrize("operator", ["<", "<=", ">", ">="])
@pytest.mark.parametrize("value", ["unset", "-1", "4294967295", "0xffffffff"])
@pytest.mark.parametrize("name", ["auid", "loginuid"])
def test_no_login_is_no_number(name, operator, value):
    with pytest.raises(RuleError, match=f"compares auid with unset .* by = and != only, not by {operator}"):
        accounts.parse_rule(f"-a always,exit -F arch=b64 -S execve -F {name}{operator}{value} -k x")


def listed(rule):
    """A rule of the kernel as auditctl lists it, as far as these tests need it."""
    value = compile.decompile(rule)
    place = value.field("path") or value.field("dir")
    perm = value.field("perm")
    if place and perm and len(value.parts) == 2:
        return " ".join([f"-w {place.value} -p {perm.value}", *(f"-k {key}" for key in value.keys)])
    keys = [f"-F key={key}" for key in value.keys]
    parts = [f"{part.option} {part.name}{part.operator}{shown(part)}" for part in value.parts]
    return " ".join([f"-a {value.action},{value.filter}", *parts, *keys])


def shown(part):
    known = {"4294967291": "-5"}
    return known.get(part.value, part.value)


def from_boot(lines):
    """What a load of lines leaves in an empty kernel, with its settings, and the line at which it stops."""
    left, goes_on, settings = load.Load(), False, []
    for line in lines:
        entry = rules_files.Origin(line.value, "a.rules", line.number)
        refused = bool(line.reason) or target.absent_directory(entry) is not None
        if isinstance(line.value, Control) and not refused:
            goes_on = goes_on or line.value.option in GO_ON
            settings += [str(line.value)] if line.value.option in rules_files.SETTING_OF else []
        if not refused:
            known = len(left.broken)
            left.take(entry)
            refused = len(left.broken) > known
        if refused and not goes_on:
            return left, settings, line.number
    return left, settings, None


@pytest.mark.parametrize("case", LOADS, ids=lambda case: repr(case["text"]))
def test_a_file_loads_as_it_does_with_auditctl(case):
    left, _, stop = from_boot(rules_files.read("a.rules", case["text"].encode()))
    rules = [listed(rule) for rule in left.rules for _ in range(2 if rule in left.repeated else 1)]
    assert sorted(rules) == sorted(case["listed"])
    if "-c\n" not in case["text"]:
        assert (stop is not None) == bool(case["exit"])


@pytest.mark.parametrize("case", LINES["lines"], ids=lambda case: repr(case["text"]))
def test_a_line_does_what_it_does_with_auditctl(case):
    """Several settings in one line, what stands behind one, what deletes and then is refused, lines of few letters."""
    text = LINES["before"] + case["text"] + LINES["after"]
    data = rules_files.as_moved(text.encode("utf-8", "surrogateescape"), rules_files.MAWK)
    lines = rules_files.arranged({"a.rules": data})
    left, settings, stop = from_boot(line for _, line in lines)
    assert [str(compile.decompile(rule)) for rule in left.rules] == case["rules"]
    assert dict(one.split(" ") for one in settings) == case["settings"]
    assert (stop is not None) == case["stops"]


@pytest.mark.parametrize("line", ["-a Exit,always -S open -k z", "-A never,TASK", "-a Exclude,always -F msgtype=CWD"])
@pytest.mark.parametrize("known, loaded", [(-1, 0), (7, 1)], ids=["3.0", "3.1"])
def test_lists_in_capitals_are_taken_by_the_releases_that_know_io_uring(monkeypatch, line, known, loaded):
    """Measured with auditctl 3.0, 3.0.9, 4.0.2 and 4.1.2; the first one is 3.1."""
    compile._compile.cache_clear()
    numbers = {**compile.FILTER_NUMBERS, "io_uring": known}
    monkeypatch.setattr(compile, "_flag", numbers.get)
    left, _, stop = from_boot(rules_files.read("a.rules", line.encode()))
    assert (len(left.rules), stop) == (loaded, None if loaded else 1)
    assert [layout.hides(rule) for rule in left.rules] == [line[1] == "A" or "Exclude" in line] * loaded
    with pytest.raises(RuleError, match="is no action,list"):
        accounts.parse_rule(line)


@pytest.mark.parametrize("line, rules, stops", ACTIONS, ids=lambda value: repr(value) if isinstance(value, str) else "")
def test_each_list_with_each_action_in_each_place(line, rules, stops):
    """What auditctl 3.0.9 loaded of each line, and whether it went on to the next one."""
    left, _, stop = from_boot(rules_files.read("a.rules", line.encode()))
    assert ([str(compile.decompile(rule)) for rule in left.rules], stop is not None) == (rules, stops)


@pytest.mark.parametrize(
    "line", ["-a Exit,possible -S nosuch", "-A TASK,possible", "-a io_uring,possible", "-d io_uring,possible"]
)
@pytest.mark.parametrize("known", [-1, 7], ids=["3.0", "3.1"])
def test_a_list_that_only_some_releases_know_is_passed_over_by_those(monkeypatch, line, known):
    """Source: auditctl.c, lookup_filter() in 3.0.9 and in 3.1."""
    compile._compile.cache_clear()
    monkeypatch.setattr(compile, "_flag", {**compile.FILTER_NUMBERS, "io_uring": known}.get)
    (value,) = rules_files.read("a.rules", line.encode())
    assert not hiding.looks(value.value)
    left, _, stop = from_boot([value])
    assert (left.rules, stop) == ({}, 1 if known < 0 else None)
    compile._compile.cache_clear()
