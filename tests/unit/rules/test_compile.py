"""Compiling: any text gives a rule or a RuleError, and what compiled reads back; bytes that are no rule do no harm."""

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from sshtrail_lib.rules import accounts, compile, fields, language
from sshtrail_lib.rules.language import Control, Rule, RuleError

VALUES = st.one_of(
    st.sampled_from(
        ["0", "-1", "unset", "root", "4294967295", "4294967296", "010", "0x", "1e9", "b64", "b32", "wa", ""]
    ),
    st.sampled_from(
        ["/etc/passwd", "/etc/", "/no/such", "/a\\ b", "open,openat", "all", "2047", "-EACCES", "CWD", "file"]
    ),
    st.text(max_size=12),
    st.integers().map(str),
)
NAMES = st.one_of(st.sampled_from([*fields.FIELDS, "loginuid", "field_compare"]), st.text(max_size=5))
CONDITIONS = st.builds("".join, st.tuples(NAMES, st.sampled_from([*fields.OPERATORS, "", "=="]), VALUES))
LISTS = st.builds(
    ",".join,
    st.permutations(["always", "exit"]) | st.tuples(st.sampled_from(["never", "x"]), st.sampled_from(["user", "task"])),
)
OPTIONS = st.one_of(
    st.builds("{} {}".format, st.sampled_from(["-F", "-C"]), CONDITIONS),
    st.builds("{} {}".format, st.sampled_from(["-S", "-k", "-p", "-w", "-b", "-e", "-D", "--", "-q"]), VALUES),
)
RULES = st.builds(lambda head, rest: " ".join([f"-a {head}", *rest]), LISTS, st.lists(OPTIONS, max_size=5))


@settings(max_examples=1000, deadline=None)
@given(st.one_of(RULES, st.text(max_size=60), st.lists(OPTIONS, max_size=4).map(" ".join)))
@example("-a always,exit -S open -F subj_type=" + "x" * 5000)
@example("-a always,exit -S open -k " + "x" * 256)
@example("-a always,exit -S open " + "-F auid!=1 " * 70)
@example("-a always,exit -S " + "open," * 1000)
@example("-w /" + "x/" * 2045)
def test_any_text_is_a_rule_or_a_clear_error(text):
    try:
        value = accounts.parse(text)
        data = compile.compile(value) if isinstance(value, Rule) else None
    except RuleError as exc:
        assert exc.reason
        return
    if data:
        assert language.parse(str(value)) == value
        assert compile.compile(compile.decompile(data)) == data
    else:
        assert value is None or isinstance(value, (Control, Rule))


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40), st.text(max_size=20), st.text(max_size=20))
def test_text_comes_through_as_it_is(path, key, label):
    line = f"-a always,exit -F path=/{fields.escape(path)} -F obj_type={fields.escape(label)} -k {key}"
    try:
        rule = language.parse_rule(line)
        data = compile.compile(rule)
    except RuleError:
        return
    assert compile.decompile(data).field("path").value == rule.field("path").value
    assert compile.decompile(data).keys == rule.keys


@pytest.mark.parametrize(
    "line, reason",
    [
        ("-a always,exit -F arch=b64 -S session", r"Unknown system call 'session' \(did you mean"),
        ("-a always,exit -F arch=b65 -S open", "no such arch"),
        ("-a always,exit -S open -F arch=b64", "arch must stand before -S"),
        ("-a never,exclude -F msgtype=NOSUCH", "unknown message type"),
        ("-a always,exit -F exit=-ENOSUCH -S open", "unknown error name"),
        ("-a never,filesystem -F fstype=ext4", "unknown file system"),
        ("-a always,exit -S open " + "-F auid!=1 " * 64, "at most 63 fields"),
        ("-a always,exit -F saddr_fam=9999 -S connect", "too large"),
    ],
)
def test_what_only_the_library_knows_is_refused_in_a_sentence(line, reason):
    with pytest.raises(RuleError, match=reason):
        compile.compile(language.parse_rule(line))


def test_one_rule_leaves_nothing_behind_for_the_next():
    plain = language.parse_rule("-a always,exit -F auid=0 -F perm=wa -k x")
    before = compile.compile(plain)
    for line in (
        "-a always,exit -F arch=b32 -S open -k x",
        "-w /etc/passwd -p wa",
        "-a never,exit -F exe=/bin/sh -k x",
    ):
        compile.compile(language.parse_rule(line))
        assert compile.compile(plain) == before


def test_fields_are_compared_by_their_names_and_not_as_users():
    rule = language.parse_rule("-a always,exit -S execve -C euid!=uid -F uid=root -k x")
    assert str(compile.decompile(compile.compile(rule))) == ("-a always,exit -C uid!=euid -F uid=0 -S execve -F key=x")
