"""
rules.hiding: which rules keep records out of the log, and whose they are.
"""

import pytest
from sshtrail_lib.rules import accounts, files, hiding, layout
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
