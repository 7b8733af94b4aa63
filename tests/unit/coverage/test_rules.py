"""
coverage.rules: which rules hide what people do, compiled by the installed libaudit.
"""

import pytest
from sshtrail_lib.coverage import rules
from sshtrail_lib.rules import accounts, compile, target

PROBES = {
    f"{call} {arch}": f"-a always,exit -F arch={arch} -S {call} -F auid!=unset"
    for arch in ("b64", "b32")
    for call in ("execve", "execveat")
}
OURS = [
    f"-a always,exit -F arch={arch} -S execve,execveat -F auid!=unset -F key=ssh_commands" for arch in ("b64", "b32")
]


def compiled(*lines):
    return [compile.compile(accounts.parse_rule(line)) for line in lines]


def judged(*held, named=(), asked=True):
    probes = dict(zip(PROBES, compiled(*PROBES.values()), strict=True))
    wanted = frozenset(compiled(*OURS, *named))
    known = rules.Rules(compiled(*held), wanted, probes, asked, target.describe, compile.exec_calls)
    return [(one.check, one.evidence) for one in rules.judge(known) if one.holds is False]


HIDING = [
    "-a never,task",
    "-a never,task -F uid=1001",
    "-a always,exclude -F msgtype=EXECVE",
    "-a never,exclude -F msgtype=EXECVE",
    "-a always,exclude -F msgtype>=1300",
    "-a always,exclude -F msgtype!=CWD",
    "-a always,exclude -F auid=1001",
    "-a always,exclude -F msgtype=LOGIN",
    "-a always,exclude -F exe=/usr/bin/vim",
    "-a never,user -F uid=0",
    "-a never,user -F auid!=unset",
    "-a never,exit -F arch=b64 -S execve",
    "-a never,exit -F arch=b64 -S execve -F auid=1001",
    "-a never,exit -F arch=b64 -S all -F auid>=1000",
    "-a never,exit -F arch=b32 -S execveat -F exe=/usr/bin/x",
    "-a never,exit -S all",
]
HARMLESS = [
    "-a always,exclude -F msgtype=CWD",
    "-a always,exclude -F msgtype>=1400 -F msgtype<=1499",
    "-a always,exclude -F auid=unset",
    "-a always,task",
    # Seen on Linux 6.1: without a field they match nothing, and with always the list user leaves out nothing.
    "-a never,user",
    "-a always,user",
    "-a always,user -F uid=0",
    "-a always,exclude",
    "-a never,exclude",
    "-a never,filesystem",
    "-a never,exit -F arch=b64 -S adjtimex",
    "-a never,exit -F arch=b64 -S all -F auid=unset",
    "-a never,exit -F dir=/var/lib/x -F perm=wa",
    "-a always,exit -F arch=b64 -S execve -F key=other",
    "-w /etc/passwd -p wa -k x",
]


@pytest.mark.parametrize("line", HIDING)
def test_a_rule_that_hides(line):
    [(check, evidence)] = judged(line, *OURS)
    assert check == "rules-hide" and evidence.startswith(line.split(" -F")[0])
    assert judged(line, *OURS, named=[line]) == []


@pytest.mark.parametrize("line", HARMLESS)
def test_a_rule_that_hides_nothing(line):
    assert judged(line, *OURS) == []


def test_a_never_that_comes_too_late():
    assert judged(*OURS, "-a never,exit -F arch=b64 -S execve -F auid=1001") == []


def test_two_nevers_in_front_both_hide():
    nevers = ["-a never,exit -F arch=b64 -S execve", "-a never,exit -F arch=b64 -S execve -F auid=1001"]
    assert [check for check, _ in judged(*nevers, *OURS)] == ["rules-hide"] * 2


@pytest.mark.parametrize("left", range(2))
def test_commands_that_no_rule_records(left):
    [(check, evidence)] = judged(OURS[left])
    assert check == "commands-unruled" and ("b32" if left == 0 else "b64") in evidence


def test_a_rule_for_some_does_not_do():
    assert [check for check, _ in judged(OURS[0], OURS[1].replace("auid!=unset", "auid>=1000"))] == ["commands-unruled"]
    # A stricter one does: it records more.
    assert judged(*(line.replace(" -F auid!=unset", "") for line in OURS)) == []


def test_a_policy_that_asks_for_no_commands():
    assert judged(asked=False) == []


def test_system_calls_that_no_rule_can_match():
    probes = dict(zip(PROBES, compiled(*PROBES.values()), strict=True))
    known = rules.Rules(compiled(*OURS), frozenset(), probes, True, target.describe, compile.exec_calls, "x32")
    [one] = [one for one in rules.judge(known) if one.check == "commands-unruled"]
    assert one.holds is None and "x32" in one.evidence
    # What is not recorded at all is another thing.
    assert [one.holds for one in rules.judge(known._replace(held=[])) if one.check == "commands-unruled"] == [False]


def test_who_took_the_rule_of_the_commands_away_is_asked_by_that_rule():
    probes = dict(zip(PROBES, compiled(*PROBES.values()), strict=True))
    wanted = frozenset(compiled(*OURS, "-w /etc/passwd -p wa -k x"))
    known = rules.Rules(compiled(OURS[0]), wanted, probes, True, target.describe, compile.exec_calls)
    [found] = [one for one in rules.judge(known) if one.check == "commands-unruled"]
    assert found.cause == ("kernel", OURS[1], "loaded", None)
    nobody = known._replace(named=frozenset(), held=())
    [found] = [one for one in rules.judge(nobody) if one.check == "commands-unruled"]
    assert found.holds is False and found.cause is None
