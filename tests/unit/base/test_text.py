"""
base.text: lines keep their endings, and whatever somebody wrote is safe to show.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sshtrail_lib.base import text


@given(st.binary())
def test_lines_join_to_what_they_were(data):
    assert b"".join(text.lines(data)) == data


@pytest.mark.parametrize(
    "data, lines",
    [
        (b"", []),
        (b"\n", [b"\n"]),
        (b"a\r\nb\rc\n", [b"a\r\n", b"b\rc\n"]),
        (b"a\x0b\x0c\x85\xe2\x80\xa8b", [b"a\x0b\x0c\x85\xe2\x80\xa8b"]),
        (b"a\n\nb", [b"a\n", b"\n", b"b"]),
    ],
)
def test_only_a_line_feed_ends_a_line(data, lines):
    assert text.lines(data) == lines


@given(st.text())
def test_text_becomes_one_printable_line(given_text):
    line = text.line(given_text)
    assert line.isprintable() and len(line) <= text.LONGEST


@given(st.binary())
def test_bytes_become_printable_text(data):
    assert text.printable(data).isprintable()


@pytest.mark.parametrize(
    ("data", "shown"),
    [
        (b"caf\xc3\xa9 au lait", "café au lait"),
        (b"a\xffb", "a\\xffb"),
        (b"a\nb\x1b[2J", "a\\nb\\x1b[2J"),
        ("\u202ereversed".encode(), "\\u202ereversed"),
    ],
)
def test_what_is_not_printable_is_escaped(data, shown):
    assert text.printable(data) == shown


#: Directions that turn around, and what takes no room.
UNSEEN = "\u202e\u2066\u200b\u200f\u00ad\ufeff\u034f\u115f\u3164\ufe0f\uffa0\u2800\U000e0041\U000e0100"


@pytest.mark.parametrize("sign", UNSEEN)
def test_what_nobody_sees_is_made_visible_in_data(sign):
    assert text.plain({f"a{sign}": [f"b{sign}"]}) == {f"a{ascii(sign)[1:-1]}": [f"b{ascii(sign)[1:-1]}"]}


@pytest.mark.parametrize(
    ("given_text", "longest", "shown"),
    [
        *[("short", 5, "short"), ("longer", 5, "long…"), ("a\nb", 9, "a\\nb"), ("\x1b[2J", 9, "\\x1b[2J")],
        *[(f"ro{sign}ot", 20, f"ro{ascii(sign)[1:-1]}ot") for sign in UNSEEN],
        *[("אבג é 名", 20, "אבג é 名")],
    ],
)
def test_a_line_has_an_end(given_text, longest, shown):
    assert text.line(given_text, longest) == shown


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(0, "1970-01-01T00:00:00.000Z"), (1795417199.525, "2026-11-23T06:59:59.525Z")],
)
def test_a_time_is_in_utc(seconds, shown):
    assert text.iso(seconds) == shown


@pytest.mark.parametrize(
    "stamp, seconds",
    [
        ("1970-01-01T00:01:00Z", 60.0),
        ("1970-01-01T00:01:00.500Z", 60.5),
        ("1970-01-01T01:01:00+01:00", 60.0),
        ("1970-01-01T00:01:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_seconds_of_a_stamp(stamp, seconds):
    assert text.seconds(stamp) == seconds


def test_what_is_told_is_bounded_and_printable():
    hostile = {"a\x1b": ["\x1b[2J" + "x" * 999] * 9, "n": 7, "none": None, **{str(one): one for one in range(99)}}
    found = text.bounded(hostile, 3)
    assert len(found) == 50 and found["n"] == 7 and found["none"] is None and all(name.isprintable() for name in found)
    [cut] = [value for value in found.values() if isinstance(value, list)]
    assert len(cut) == 3 and all(one.isprintable() and len(one) <= text.LONGEST for one in cut)
    assert text.bounded((1, "b"), 3) == [1, "b"]


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("=1+1", "'=1+1"),
        ("\uff1d1", "'\uff1d1"),
        ("-2", "'-2"),
        ("a=1", "a=1"),
        ("\t=1", "\\t=1"),
        ("abcdefg", "abcde…"),
    ],
)
def test_a_cell_is_no_formula(value, shown):
    assert text.cell(value, 6) == shown
