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
UNMET = [
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


def test_a_never_about_others_hides_nothing():
    assert found(UNLINK, "-a never,exit -F arch=b64 -S unlink -F auid=unset", UNLINK)[0].by
    assert found(UNLINK, "-a never,exit -F arch=b64 -S execve", UNLINK)[0].by


def test_the_directories_are_those_on_the_way_to_a_place():
    rules = [compiled(line) for line in (RUN, "-a always,exit -F dir=/etc/ssh -F perm=wa", UNLINK)]
    assert matching.directories(rules) == ["/usr/bin", "/etc/ssh"]
