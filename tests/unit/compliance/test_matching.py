"""compliance.matching: whether the kernel's rules record what is demanded; the rules are those of the real libaudit."""

import pytest
from sshtrail_lib.compliance import matching
from sshtrail_lib.compliance.matching import Need
from sshtrail_lib.rules import accounts, compile

PEOPLE = "-F auid>=1000 -F auid!=unset"
SUDOERS = "-a always,exit -F arch=b64 -F path=/etc/sudoers -F perm=wa"
BELOW = "-a always,exit -F arch=b64 -F dir=/etc/ssh -F perm=wa"
RUN = f"-a always,exit -F arch=b64 -S execve,execveat -F path=/usr/bin/chage -F perm=x {PEOPLE}"
UNLINK = f"-a always,exit -F arch=b64 -S unlink {PEOPLE}"
EMULATION = "-a always,exit -F arch=b64 -S execve -C euid!=uid -F auid!=unset"
LINKS = {"/etc": "/etc", "/etc/ssh": "/etc/ssh", "/sbin": "/usr/sbin", "/bin": "/usr/bin", "/usr/bin": "/usr/bin"}


def compiled(line):
    return compile.compile(accounts.parse_rule(line))


def found(demand, *lines):
    rules = [compiled(line) for line in lines]
    return matching.recorded(Need("it", compiled(demand)), rules, LINKS, compile.exec_calls), rules


MET = [
    (SUDOERS, "-w /etc/sudoers -p wa -k scope"),
    (SUDOERS, "-w /etc/sudoers -p rwxa"),
    (SUDOERS, "-a always,exit -F arch=b64 -F path=/etc/sudoers -F perm=wa -F key=x"),
    (SUDOERS, "-a always,exit -F dir=/etc -F perm=wa"),
    (SUDOERS, "-a always,exit -F path=/etc/sudoers"),
    (BELOW, "-a always,exit -F dir=/etc/ssh -F perm=wa -F key=x"),
    (BELOW, "-w /etc/ssh -p wa"),
    (RUN, f"-a always,exit -F path=/usr/bin/chage -F perm=x {PEOPLE} -F key=priv"),
    (RUN, f"-a always,exit -F path=/bin/chage -F perm=x {PEOPLE}"),
    (RUN, "-a always,exit -F path=/usr/bin/chage -F perm=x"),
    (RUN, f"-a always,exit -S all -F path=/usr/bin/chage -F perm=x {PEOPLE}"),
    (RUN, "-a always,exit -F path=/usr/bin/chage -F perm=x -F auid>=500 -F auid!=unset"),
    (UNLINK, f"-a always,exit -F arch=b64 -S rename,unlink,unlinkat {PEOPLE} -k delete"),
    (UNLINK, "-a always,exit -F arch=b64 -S unlink"),
    (EMULATION, "-a always,exit -F arch=b64 -S execve,execveat -C uid!=euid -F auid!=unset"),
]
OPEN_REFUSED = f"-a always,exit -F arch=b64 -S open -F exit=-EACCES -F success=0 {PEOPLE}"
MET += [
    (OPEN_REFUSED, f"-a always,exit -F arch=b64 -S open -F exit=-13 {PEOPLE}"),
    (OPEN_REFUSED, f"-a always,exit -F arch=b64 -S open -F success=0 {PEOPLE}"),
    (OPEN_REFUSED, f"-a always,exit -F arch=b64 -S openat,open -F success!=1 {PEOPLE}"),
    (OPEN_REFUSED, "-a always,exit -F arch=b64 -S open -F exit=-EACCES -F auid>=1000 -F auid!=-1 -k one -k two"),
    (UNLINK, "-a always,exit -F arch=b64 -S unlink -F auid>=1000 -F auid!=4294967295"),
    (UNLINK, "-a exit,always -F arch=b64 -S unlink -F auid>999 -F auid!=unset"),
    (SUDOERS, "-w /etc/sudoers -p aw -k a -k b"),
    (SUDOERS, "-a always,exit -F dir=/etc/ -F perm=aw"),
]
UNMET = [
    (OPEN_REFUSED, f"-a always,exit -F arch=b64 -S open -F exit=-EPERM {PEOPLE}"),
    (OPEN_REFUSED, f"-a always,exit -F arch=b64 -S open -F exit=-EACCES -F success=1 {PEOPLE}"),
    (UNLINK, "-a always,exit -F arch=b64 -S unlink -F auid>=1000 -F auid!=unset -F euid=root"),
    (UNLINK, "-a always,exit -F arch=b64 -S unlink -F auid=root"),
    (UNLINK, "-a always,exit -F arch=b32 -S unlink"),
    (SUDOERS, "-w /etc/sudoers -p w"),
    (SUDOERS, "-w /etc/sudoers.d -p wa"),
    (SUDOERS, "-a always,exit -F arch=b32 -F path=/etc/sudoers -F perm=wa"),
    (SUDOERS, "-w /etc/sudoers -p wa -F auid>=1000"),
    (SUDOERS, "-a always,exit -F path=/etc/sudoers -F perm=wa -F success=1"),
    # A watch on the directory itself does not see that a file in it is written.
    (BELOW, "-a always,exit -F path=/etc/ssh -F perm=wa"),
    (BELOW, "-w /etc/ssh/sshd_config -p wa"),
    # It records every program, but it is no rule about this one.
    (RUN, "-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset"),
    (RUN, "-a always,exit -F path=/usr/bin/chage -F perm=x -F auid>=2000 -F auid!=unset"),
    (RUN, "-a always,exit -F path=/usr/bin/chage -F perm=wa"),
    (UNLINK, f"-a always,exit -F arch=b64 -S unlinkat {PEOPLE}"),
    (UNLINK, f"-a always,exit -F arch=b64 -S unlink -F success=0 {PEOPLE}"),
    (UNLINK, f"-a always,exit -F arch=b64 -S unlink -F dir=/home {PEOPLE}"),
    (EMULATION, "-a always,exit -F arch=b64 -S execve,execveat -F auid!=unset"),
    (EMULATION, "-a always,exit -F arch=b64 -S execve -C euid!=uid -F auid>=1000 -F auid!=unset"),
]


@pytest.mark.parametrize(("demand", "line"), MET)
def test_a_rule_that_records_it_is_found(demand, line):
    answer, [rule] = found(demand, line)
    assert answer == matching.Recorded(rule)


@pytest.mark.parametrize(("demand", "line"), UNMET)
def test_a_rule_that_records_less_is_none(demand, line):
    assert found(demand, line)[0] == matching.Recorded(None)


def test_what_a_never_hides_is_not_recorded():
    never = "-a never,exit -F arch=b64 -S unlink -F auid=1234"
    answer, rules = found(UNLINK, never, UNLINK)
    assert answer == matching.Recorded(None, rules[0])
    assert found(UNLINK, UNLINK, never)[0].by


SILENT = [
    "-a never,task",
    "-a never,task -F auid=1234",
    "-a always,exclude -F msgtype=SYSCALL",
    "-a never,exclude -F msgtype>=1300 -F msgtype<=1399",
    "-a never,exclude -F auid>=1000",
]


@pytest.mark.parametrize("line", SILENT)
@pytest.mark.parametrize("last", [True, False])
def test_what_another_list_keeps_away_is_not_recorded_wherever_it_stands(line, last):
    answer, rules = found(UNLINK, *([UNLINK, line] if last else [line, UNLINK]))
    assert answer == matching.Recorded(None, rules[last])


HARMLESS = [
    "-a never,task -F auid=unset",
    "-a always,task",
    "-a always,exclude",
    "-a never,exclude",
    "-a always,exclude -F msgtype=CWD",
    "-a always,exclude -F msgtype!=SYSCALL",
    "-a always,exclude -F msgtype=SYSCALL -F auid<1000",
    "-a never,user -F auid>=1000",
]


@pytest.mark.parametrize("line", HARMLESS)
def test_what_another_list_says_of_others_hides_nothing(line):
    assert found(UNLINK, line, UNLINK)[0].by


def parted(whole, *parts):
    return Need("it", compiled(whole), tuple(map(compiled, parts)))


PARTS = parted(SUDOERS, SUDOERS.replace("perm=wa", "perm=w"), SUDOERS.replace("perm=wa", "perm=a"))
CALLS = parted(RUN, *(RUN.replace("execve,execveat", one) for one in ("execve", "execveat")))
TOGETHER = [
    (PARTS, ["-w /etc/sudoers -p w", "-w /etc/sudoers -p a -k other"], True),
    (PARTS, ["-w /etc/sudoers -p a", "-a always,exit -F dir=/etc -F perm=w"], True),
    (PARTS, ["-w /etc/sudoers -p w", "-w /etc/sudoers -p w -k other"], False),
    (PARTS, ["-w /etc/sudoers -p w", "-a never,exit -F path=/etc/sudoers -F perm=a", "-w /etc/sudoers -p a"], False),
    (CALLS, [RUN.replace("execve,", ""), RUN.replace(",execveat", "")], True),
    (CALLS, [RUN.replace(",execveat", "")], False),
]


@pytest.mark.parametrize(("need", "lines", "holds"), TOGETHER)
def test_several_rules_can_do_together_what_one_would(need, lines, holds):
    answer = matching.recorded(need, [compiled(line) for line in lines], LINKS, compile.exec_calls)
    assert (answer.by is not None) is holds


def test_a_never_about_others_hides_nothing():
    assert found(UNLINK, "-a never,exit -F arch=b64 -S unlink -F auid=unset", UNLINK)[0].by
    assert found(UNLINK, "-a never,exit -F arch=b64 -S execve", UNLINK)[0].by


def test_the_directories_are_those_on_the_way_to_a_place():
    rules = [compiled(line) for line in (RUN, "-a always,exit -F dir=/etc/ssh -F perm=wa", UNLINK)]
    assert matching.directories(rules) == ["/usr/bin", "/etc/ssh"]
