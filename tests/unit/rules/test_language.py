"""The language: lines that are rules, how they read back, and lines that are refused, with the reason."""

import pytest
from sshtrail_lib.rules.language import Control, RuleError, parse, read


@pytest.mark.parametrize(
    "line, canonical",
    [
        ("-a exit,always -S open", "-a always,exit -S open"),
        ("-w /etc/passwd -p aw", "-w /etc/passwd -p wa"),
        ("-w /etc/passwd -p WA", "-w /etc/passwd -p wa"),
        ("-w /etc/passwd -k id -p wa", "-w /etc/passwd -p wa -k id"),
        ("-w /etc/passwd", "-w /etc/passwd -p rwxa"),
        ("-w /etc/ssh/ -p wa", "-w /etc/ssh -p wa"),
        ("-w/etc/passwd -pwa -kid", "-w /etc/passwd -p wa -k id"),
        ("-a always,exit -S open -S openat,open", "-a always,exit -S open,openat"),
        ("-a always,exit -S open -S all", "-a always,exit -S open,all"),
        ("-a always,exit -F loginuid=-1", "-a always,exit -F auid=unset"),
        ("-a always,exit -F auid!=4294967295", "-a always,exit -F auid!=unset"),
        ("-a always,exit -F auid!=0xffffffff", "-a always,exit -F auid!=unset"),
        ("-a always,exit -S open -k a -k b", "-a always,exit -S open -F key=a -F key=b"),
        ("-a always,exit -F key=a -S open -F auid=0", "-a always,exit -S open -F auid=0 -F key=a"),
        ("-w /tmp/a\\ b -k c\\\\d", "-w /tmp/a\\ b -p rwxa -k c\\\\d"),
        ("-a never,exclude -F msgtype=CWD", "-a never,exclude -F msgtype=CWD"),
        ("-A exit,never -F uid=root", "-A never,exit -F uid=root"),
        ("-W /etc/passwd", "-W /etc/passwd -p rwxa"),
        ("-S open -a always,exit -S close", "-a always,exit -S open,close"),
        ("-a always,exit -F UID=0 -C EUID!=Uid -S open", "-a always,exit -F uid=0 -C euid!=uid -S open"),
        ("-a always,exit -F auid=0 -F auid=0", "-a always,exit -F auid=0 -F auid=0"),
        ("-a always,exit -F exit=-eacces -F filetype=FILE", "-a always,exit -F exit=-EACCES -F filetype=file"),
        ("-b 8192", "-b 8192"),
        ("--backlog_wait_time=60000", "--backlog_wait_time 60000"),
        ("-D", "-D"),
    ],
)
def test_a_line_has_one_canonical_form_that_reads_back(line, canonical):
    assert str(parse(line)) == canonical
    assert parse(canonical) == parse(line)


@pytest.mark.parametrize(
    "line, column, reason",
    [
        ("-a always,exit -F uid=10abc", 19, "only the digits"),
        ("-a always,exit -F uid=010", 19, "octal"),
        ("-a always,exit -F saddr_fam=inet", 19, "takes a number"),
        ("-a always,exit -S open -F key!=x", 27, "takes only ="),
        ("-a always,exit -S open -F key=", 27, "key is empty"),
        ("-a always,exit -S open -k x # why", 29, "no comments behind a rule"),
        ("-w /etc/passwd\t-p wa", 15, "a tab"),
        ("-w /etc/passwd -p wa\r", 21, "carriage return"),
        ("-w /etc/passwd -p wa \\", 22, "backslash"),
        ("-w/tmp/a\\ b -p wa", 1, "no backslash in the first word"),
        ("-b 5 -f 1 -r 9", 14, "first 5 words only"),
        ('-w /etc/passwd -k "id"', 19, "no quotes"),
        ("-w etc/passwd", 4, "absolute path"),
        ("-a always,exit -F path=/etc/", 19, "trailing slash"),
        ("-a always,exit -F audi=0", 19, "did you mean 'auid'"),
        ("-a always,exti -S open", 4, "did you mean 'exit'"),
        ("-a exit,possible -S open", 4, "no action,list"),
        ("-a always,task -S open", 19, "takes no system calls"),
        ("-a always,exit -F msgtype=CWD", 19, "exclude or user only"),
        ("-a always,exit -F auid&5 -S open", 19, "takes only !="),
        ("-a always,exit -F subj_type>crond_t -S open", 19, "takes only = and !="),
        ("-a always,exit -F filetype>file -S open", 19, "takes only = and !="),
        ("-a always,exit -F path=/etc/passwd -F inode=5", None, "only one of -F path=/etc/passwd and -F inode=5"),
        ("-w /etc/passwd -F dir=/etc", None, "only one of -w /etc/passwd and -F dir=/etc"),
        ("-a always,exit -F exe=/bin/a -F exe=/bin/b -S open", None, "only one of"),
        ("-a never,filesystem -F uid=0", 24, "not on filesystem"),
        ("-a always,exit -C uid!=gid", 19, "compares two different fields"),
        ("-S open", None, "begin the rule with"),
        ("-F auid=0 -a always,exit", 4, "begin the rule with"),
        ("-a always,exit -S", 16, "needs a value"),
        ("-w /etc/passwd -k " + "x" * 257, None, "longer than 256 bytes"),
        ("-l", 1, "command of auditctl"),
        ("-e 3", 4, "from 0 to 2"),
        ("--backlog_wait_tame 1", 1, "did you mean '--backlog_wait_time'"),
        ("audit", 1, "stands alone"),
    ],
)
def test_what_auditctl_would_misread_is_refused_with_its_place(line, column, reason):
    with pytest.raises(RuleError) as caught:
        parse(line)
    assert reason in caught.value.reason and caught.value.column == column


def test_a_file_is_read_line_by_line():
    lines = read("# a comment\n\n  # another\n-b 1\n")
    assert [line.value for line in lines] == [None, None, None, Control("-b", "1"), None]
    wrong = read("-D\n-e 9\n")[1]
    assert wrong.value is None and wrong.reason == "-e takes a number from 0 to 2, not '9'."


WATCH = "-w /etc/hosts -p wa -k z"
AT_ONCE = 6143


@pytest.mark.parametrize(
    "text, said",
    [
        (WATCH + " " * 7000, ["-w /etc/hosts -p wa -k z"]),
        (WATCH.ljust(AT_ONCE) + "-w /etc/group", ["-w /etc/hosts -p wa -k z", "-w /etc/group -p rwxa"]),
        (WATCH.ljust(AT_ONCE - 1) + "-b 77", ["'-' stands alone", "'b' stands alone"]),
        (WATCH.ljust(AT_ONCE - 1) + " \0" + "-b 77", ["-w /etc/hosts -p wa -k z"]),
        (" #".ljust(AT_ONCE) + "-b 77", ["-b 77"]),
        (" #".ljust(AT_ONCE - 1) + "ü", ["'\\udcbc' stands alone"]),
    ],
)
def test_a_line_that_is_longer_than_auditctl_reads_at_once_is_several(text, said):
    """Measured with auditctl 3.0, 3.0.9, 4.0.2 and 4.1.2: each part is a line of its own."""
    found = [str(line.value) if line.value else line.reason for line in read(text)]
    assert len(found) == len(said) and all(one.startswith(start) for one, start in zip(found, said, strict=True))


def test_a_policy_has_no_line_that_is_longer_than_auditctl_reads_at_once():
    with pytest.raises(RuleError, match="longer than the 6142 bytes"):
        parse(WATCH.ljust(AT_ONCE))
