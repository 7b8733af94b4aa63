"""The kernel's struct: what is packed reads back, and what no rule can hold is not there."""

import pytest
from sshtrail_lib.rules import compile, language, layout

LINE = "-a always,exit -F arch=b64 -S execve -F path=/etc/a\\ b -F auid>=1000 -k x -k y"


@pytest.fixture
def rule():
    return compile.compile(language.parse_rule(LINE))


def test_a_rule_has_its_numbers_and_its_texts(rule):
    packed, strings = layout.unpack(rule)
    assert (layout.FILTER_NAMES[packed.filter], layout.ACTION_NAMES[packed.action]) == ("exit", "always")
    assert strings == ["/etc/a b", layout.KEY_SEPARATOR.join("xy")]
    assert [number for number, _operator, _value in packed.fields] == [layout.ARCH, layout.WATCH, 9, layout.KEY]
    assert packed.fields[2] == (9, layout.OPERATOR_NUMBERS[">="], 1000)
    assert layout.length(rule) == len(rule) - layout.HEADER.size == len("/etc/a bx\1y")


def test_one_more_condition_leaves_the_rest(rule):
    (before, texts), (after, same) = layout.unpack(rule), layout.unpack(layout.with_condition(rule, 0, 1, 7))
    assert same == texts and after == before._replace(fields=(*before.fields, (0, 1, 7)))


def test_it_is_listed_where_it_belongs_and_without_class_bits(rule):
    words = list(layout.HEADER.unpack_from(rule))
    words[layout.FIELDS - 1] |= layout.CLASS_BITS
    handed = layout.HEADER.pack(*words) + rule[layout.HEADER.size :]
    assert layout.listed(handed, "exit", "always") == rule
    assert layout.unpack(layout.listed(handed, "user", "never"))[0][:2] == (layout.FILTER_NUMBERS["user"], 0)


def test_without_leaves_conditions_out_and_keeps_the_others():
    line = "-a always,exit -F arch=b64 -F dir=/etc/ssh -F perm=wa -F auid>=1000 -F key=a"
    data = compile.compile(language.parse_rule(line))
    found = layout.without(data, (layout.DIR, layout.PERM))
    assert [row[0] for row in layout.unpack(found)[0].fields] == [layout.ARCH, 9, layout.KEY]
    assert layout.unpack(found)[1] == ["a"]
    assert found == compile.compile(language.parse_rule("-a always,exit -F arch=b64 -S all -F auid>=1000 -F key=a"))
    assert layout.without(data, ()) == data


@pytest.mark.parametrize("swapped", [False, True])
def test_a_mask_has_a_bit_for_each_call_in_whichever_order_bytes_lie(swapped, monkeypatch):
    data = compile.compile(language.parse_rule("-a always,exit -F arch=b64 -S 0,31,32,59,435 -k x"))
    if swapped:
        # What another machine would hold in these words, for which this one only stands in.
        words = (data[at : at + 4][::-1] for at in range(12, 4 * layout.FIELDS, 4))
        data = data[:12] + b"".join(words) + data[4 * layout.FIELDS :]
    monkeypatch.setattr(layout, "LITTLE_ENDIAN", swapped != layout.LITTLE_ENDIAN)
    mask = layout.unpack(data)[0].mask
    assert [call for call in range(mask.bit_length()) if mask >> call & 1] == [0, 31, 32, 59, 435]
