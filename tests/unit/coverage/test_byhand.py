"""
coverage.byhand: what an auditctl does, by its words.
"""

import pytest
from sshtrail_lib.coverage import byhand


@pytest.mark.parametrize(
    "words,known",
    [
        ("auditctl", []),
        ("auditctl -l", [("l", "")]),
        ("auditctl -a always,exit -S all", [("a", "always,exit"), ("S", "all")]),
        ("auditctl -aalways,exit", [("a", "always,exit")]),
        ("auditctl -iA exit,never", [("i", ""), ("A", "exit,never")]),
        ("auditctl -ie0", [("i", ""), ("e", "0")]),
        ("auditctl -R", [("R", "")]),
        ("auditctl --reset-lost word -", [("", "--reset-lost"), ("", "word"), ("", "-")]),
    ],
)
def test_options(words, known):
    assert byhand.options(words.split()) == known


@pytest.mark.parametrize(
    "words,records",
    [
        ("auditctl -a always,exit -F arch=b64 -S execve -k x", True),
        ("auditctl -i -A exit,always -S all", True),
        ("auditctl -w /etc/passwd -p wa -k x", True),
        ("auditctl -A exit,never -S execve", False),
        ("auditctl -iA exit,never -S execve", False),
        ("auditctl -a always,exit -S open -A never,exit", False),
        ("auditctl -a always,exit -S open -R /run/f", False),
        ("auditctl -a always,exit -S open -e 0", False),
        ("auditctl -a always,exit more", False),
        ("auditctl -S execve", False),
        ("auditctl -D", False),
        ("", False),
    ],
)
def test_what_adds_nothing_but_a_rule_that_records(words, records):
    assert byhand.records(words.split()) == records


@pytest.mark.parametrize(
    "words,the_file,a_file",
    [
        ("auditctl -R /etc/audit/audit.rules", True, True),
        ("auditctl -R /etc/audit/audit.rules -e 0", False, True),
        ("auditctl -R /run/x", False, True),
        ("auditctl -iR /run/x", False, True),
        ("auditctl -l", False, False),
    ],
)
def test_what_loads_a_file(words, the_file, a_file):
    assert (byhand.loads_the_file(words.split()), byhand.loads_a_file(words.split())) == (the_file, a_file)


@pytest.mark.parametrize("program,own", [("/usr/sbin/auditctl", True), ("/run/auditctl", False), ("", False)])
def test_whose_auditctl_it_is(program, own):
    assert byhand.is_auditctl(program) == own
