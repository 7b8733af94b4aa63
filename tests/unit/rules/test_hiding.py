"""
rules.hiding: which rules keep records out of the log, and whose they are.
"""

import pytest
from sshtrail_lib.rules import accounts, fields, files, hiding, language, layout
from sshtrail_lib.rules import compile as rules_compile
from sshtrail_lib.rules.fields import RuleError

HIDES = [
    "-a never,task",
    "-a always,exclude -F msgtype=EXECVE",
    "-a always,exclude -F msgtype>=1300",
    "-a always,exclude -F auid=1001",
    "-a never,task -F uid=0",
    "-a never,exclude -F msgtype=USER",
    "-a never,user -F auid=0",
    "-a never,filesystem -F fstype=tracefs",
    "-a never,exit",
    "-a never,exit -F auid>=1000",
    "-a never,exit -F exe=/usr/bin/bash",
    "-a never,exit -F arch=b64 -S execve",
]
# What auditctl takes as a field is a comparison of two: seen with 3.0.9.
COMPARED = [
    ("-a never,exit -F field_compare=1", "-a never,exit -S all -C uid=obj_uid"),
    ("-a never,exit -S mkdir -F field_compare!=25", "-a never,exit -S mkdir -C sgid!=fsgid"),
    ("-a never,exit -S mkdir -F FIELD_COMPARE=10abc", "-a never,exit -S mkdir -C uid=auid"),
]
RECORDS = [
    "-a always,exit -F arch=b64 -S execve -F auid!=unset -F key=ssh_commands",
    "-w /etc/passwd -p wa -k identity",
    # With each of these Linux 6.1 has written down what came: with always only the list exclude leaves out, and a rule
    # without a field matches nothing on these lists.
    "-a always,user",
    "-a always,user -F uid=0",
    "-a always,task",
    "-a always,task -F uid=0",
    "-a always,filesystem",
    "-a always,filesystem -F fstype=tracefs",
    "-a always,filesystem -F fstype=tracefs -F key=x",
    "-a never,user",
    "-a never,filesystem",
    "-a never,exclude",
    "-a always,exclude",
]


def data(line):
    return rules_compile.compile(accounts.parse_rule(line))


@pytest.mark.parametrize("line", HIDES)
def test_what_hides(line):
    assert layout.hides(data(line)) and hiding.looks(accounts.parse_rule(line))
    assert hiding.unnamed([data(line)], hiding.Named([])) == [data(line)]
    assert hiding.unnamed([data(line)], hiding.Named(hiding.allowed([line]))) == []


@pytest.mark.parametrize("line", RECORDS)
def test_what_hides_nothing(line):
    assert not layout.hides(data(line)) and not hiding.looks(accounts.parse_rule(line))


@pytest.mark.parametrize("line, meant", COMPARED)
def test_a_comparison_by_its_number_hides_as_one_by_names(line, meant):
    [rule] = language.taken(line)
    assert rules_compile.compile(rule) == data(meant) and hiding.looks(rule)
    with pytest.raises(RuleError, match="Write field_compare!?=[0-9]+[abc]* as -C "):
        language.parse(line)


@pytest.mark.parametrize("condition", ["=0", "=26", "=uid", ">1", "&1", "="])
def test_what_is_no_comparison_is_refused(condition):
    [found] = language.taken(f"-a never,exit -F field_compare{condition}")
    assert isinstance(found, RuleError)


def test_each_comparison_has_its_number():
    for number, pair in fields.COMPARISONS.items():
        packed, _ = layout.unpack(data(f"-a never,exit -C {pair.replace(',', '=')}"))
        assert packed.fields == ((layout.COMPARE, layout.OPERATOR_NUMBERS["="], number),)


def test_a_line_that_takes_a_rule_away_hides_nothing():
    assert not hiding.looks(accounts.parse("-d never,task"))


def test_the_order_of_fields_does_not_count():
    named = hiding.Named(hiding.allowed(["-a never,exit -F auid=0 -F uid=1"]))
    assert data("-a exit,never -F uid=1 -F auid=0") in named
    assert data("-a never,exit -F uid=1") not in named


def test_a_line_that_names_nobody_here_allows_nothing():
    assert hiding.allowed(["-a never,exit -F uid=sshtrail-no-such-account"]) == []


@pytest.mark.parametrize("line", ["never,task", "-b 8192", "-a never,exit -F arch=b64 -S session"])
def test_what_is_no_rule_is_refused(line):
    with pytest.raises(RuleError):
        hiding.allowed([line])


def test_what_hides_in_files_is_told_with_its_place():
    entries = files.parse_all(
        {"/r/10.rules": b"# no\n-a task,never\n-w /etc -p wa -k x\n", "/r/zz.rules": b"-a never,task\n"}
    )
    found = list(hiding.in_files(entries, hiding.Named([]), "/r/zz.rules"))
    assert found == [("-a never,task", "/r/10.rules", 2)]
    assert hiding.sentence([*found, *hiding.in_kernel([data("-a never,task")], hiding.Named([]))]) == (
        "These rules, which the policy does not name, hide records: /r/10.rules line 2: -a never,task; "
        "kernel: -a never,task."
    )
    assert hiding.sentence([]) == ""
