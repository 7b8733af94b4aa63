"""
pam.lines: what Linux-PAM takes for a line, and for a token of it.
"""

import pytest
from sshtrail_lib.pam import lines

LONG = b"session required pam_x.so " + b"x" * 2000 + b"\n"


def texts(data, modern):
    return [(b" ".join(line.text.split()), line.first, line.last) for line in lines.lines(data, modern)]


@pytest.mark.parametrize("modern", [True, False])
@pytest.mark.parametrize(
    ("data", "found"),
    [
        (b"", []),
        (b"\n  \n\t\n# a b\n", []),
        (b"a b\n", [(b"a b", 1, 1)]),
        (b"\n  a b", [(b"a b", 2, 2)]),
        (b"a # b\n#c\nd\n", [(b"a", 1, 1), (b"d", 3, 3)]),
        (b"a \\\n b\\ \t\nc\nd\n", [(b"a b c", 1, 3), (b"d", 4, 4)]),
        (b"a # b \\\nc\n", [(b"a", 1, 1), (b"c", 2, 2)]),
        (b"# a \\\nb\n", [(b"b", 2, 2)]),
        (b"a\0b\nc\n", [(b"a", 1, 1), (b"c", 2, 2)]),
        (b"a b\r\n", [(b"a b", 1, 1)]),
    ],
)
def test_lines(data, modern, found):
    assert texts(data, modern) == found


@pytest.mark.parametrize(
    ("data", "old", "new"),
    [
        # A comment, and an empty line, in a line that goes on.
        (b"a \\\n# b\nc\n", [(b"a c", 1, 3)], [(b"a", 1, 2), (b"c", 3, 3)]),
        (b"a \\\n\nc\n", [(b"a c", 1, 3)], [(b"a", 1, 2), (b"c", 3, 3)]),
        (b"\\\na\n", [(b"a", 1, 2)], [(b"a", 2, 2)]),
    ],
)
def test_the_versions_differ(data, old, new):
    assert texts(data, False) == old
    assert texts(data, True) == new


def test_a_long_line_was_two_lines():
    (first, *rest) = lines.lines(LONG, False)
    assert len(first.text) == lines.BUFFER - 1 and rest and first.first == rest[0].first == 1
    assert [line.text for line in lines.lines(LONG, True)] == [LONG]


@pytest.mark.parametrize("modern", [True, False])
def test_nothing_follows_a_line_that_goes_on(modern):
    with pytest.raises(lines.Broken):
        list(lines.lines(b"a\nb \\\n", modern))


def test_a_line_that_never_ends():
    with pytest.raises(lines.Refused):
        list(lines.lines(b"a" * (lines.BUFFER - 2) + b"\\\nb\n", False))


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (b"a\tb  c\n", (b"a", b"b", b"c")),
        (b"[a b] c", (b"a b", b"c")),
        (b"[a [b\\] c]d", (b"a [b] c", b"d")),
        (b"a [b c\n", (b"a", b"b c\n")),
        (b"a[b c]", (b"a[b", b"c]")),
        (b"[] a\r", (b"", b"a\r")),
        (b" \n", ()),
    ],
)
def test_tokens(text, found):
    assert lines.Tokens(text).all() == found
