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
