"""The host's users and groups: rules name only those that are there, and compile to their numbers."""

import pytest
from sshtrail_lib.rules import accounts, language
from sshtrail_lib.rules.language import RuleError


@pytest.mark.parametrize(
    "line, column, reason",
    [
        ("-a always,exit -F uid=no-such-user", 19, "Unknown user 'no-such-user'"),
        ("-a always,exit -F auid=roott", 19, "Unknown user 'roott' (did you mean 'root'?)."),
        ("-a always,exit -F auid=0 -F egid=no-such-group -S open", 29, "Unknown group 'no-such-group'"),
        ("-a always,exit -F uid=no-such-user -p q", 19, "Unknown user"),
    ],
)
def test_who_is_not_there_is_told_with_his_place(line, column, reason):
    for parse in (accounts.parse, accounts.parse_rule):
        with pytest.raises(RuleError) as caught:
            parse(line)
        assert reason in caught.value.reason and caught.value.column == column


def test_a_language_knows_no_host():
    [part] = language.parse_rule("-a always,exit -F uid=no-such-user").parts
    assert part.value == "no-such-user"


def test_whoever_is_there_is_read_as_written():
    line = "-a always,exit -F uid=root -F gid=root -F auid=unset -F euid=0 -S open"
    assert accounts.parse(line) == accounts.parse_rule(line) == language.parse(line)


@pytest.mark.parametrize(
    "field, text, number",
    [("uid", "root", 0), ("gid", "root", 0), ("auid", "unset", 4294967295), ("uid", "0x10", 16), ("obj_gid", "7", 7)],
)
def test_a_number(field, text, number):
    assert accounts.number(field, text) == number


@pytest.mark.parametrize("field, reason", [("uid", "Unknown user 'nobody-there'."), ("gid", "Unknown group")])
def test_who_has_left_since_has_no_number(field, reason):
    with pytest.raises(RuleError) as caught:
        accounts.number(field, "nobody-there")
    assert reason in caught.value.reason
