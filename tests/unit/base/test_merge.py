"""What a file would hold if one change of it had never been made."""

import itertools
import random

import pytest
from sshtrail_lib.base import merge

ORIGINAL = b"# top\nPort 22\n#LogLevel INFO\nX11Forwarding yes\nBanner none\n# end\n"
OURS = b"# top\nPort 22\n#LogLevel INFO\nLogLevel VERBOSE\nX11Forwarding no\n# end\n"


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (OURS, ORIGINAL),
        (ORIGINAL, ORIGINAL),
        (None, None),
        (OURS + b"UsePAM yes\n", ORIGINAL + b"UsePAM yes\n"),
        (b"# mine\n" + OURS, b"# mine\n" + ORIGINAL),
        # Altered since, or cut out: it is still what was changed.
        (OURS.replace(b"VERBOSE", b"QUIET"), ORIGINAL),
        (OURS.replace(b"LogLevel VERBOSE\n", b""), ORIGINAL),
        (OURS.replace(b"X11Forwarding no", b"x11forwarding = yes"), ORIGINAL),
        (OURS.replace(b"X11Forwarding no\n", b""), ORIGINAL),
        (OURS.replace(b"# end", b"# the end"), ORIGINAL.replace(b"# end", b"# the end")),
        # A package brought the whole file anew.
        (ORIGINAL + b"# new\n", ORIGINAL + b"# new\n"),
        (b"Include /etc/x\n", b"Include /etc/x\n"),
    ],
)
def test_a_change_is_taken_back(current, expected):
    assert merge.taken_back(ORIGINAL, OURS, current) == expected


@pytest.mark.parametrize(
    ("before", "after", "current", "expected"),
    [
        (None, b"A 1\nB 2\n", b"A 1\nB 2\n", None),
        (None, b"A 1\nB 2\n", b"A 1\nB 3\n", None),
        (None, b"A 1\nB 2\n", b"A 1\nC 3\nB 2\n", b"C 3\n"),
        (b"A 1\n", None, None, b"A 1\n"),
        (b"A 1\n", None, b"B 2\n", b"B 2\n"),
        (b"A 1", b"A 1\nB 2\n", b"A 1\nB 2\nC 3\n", b"A 1\nC 3\n"),
        (b"", b"B 2\n", b"B 2\nB 3\n", b"B 3\n"),
    ],
)
def test_files_that_come_and_go(before, after, current, expected):
    assert merge.taken_back(before, after, current) == expected


def test_what_others_add_stays_wherever_they_add_it():
    dice = random.Random(7)
    lines = [f"K{number} {number}\n".encode() for number in range(12)]
    for _round in range(300):
        before = [line for line in lines if dice.random() < 0.7]
        after = [line if dice.random() < 0.8 else line.split()[0] + b" x\n" for line in before if dice.random() < 0.9]
        at = dice.randrange(len(after) + 1)
        current = [*after[:at], b"# theirs\n", *after[at:]]
        result = merge.taken_back(*(b"".join(one) for one in (before, after, current)))
        assert result.replace(b"# theirs\n", b"") == b"".join(before)
        assert b"# theirs\n" in result


def test_changes_in_a_row_leave_nothing():
    dice = random.Random(8)
    original = [f"K{number} {number}\n".encode() for number in range(9)]
    for _round, _policy in itertools.product(range(20), range(10)):
        after = [line for line in original if dice.random() < 0.8] + [b"Z 1\n"] * dice.randrange(3)
        assert merge.taken_back(b"".join(original), b"".join(after), b"".join(after)) == b"".join(original)


def test_several_lines_that_come_back_at_one_place():
    """As of a file that somebody has emptied: all that was taken away had its place where now nothing is."""
    before, after = b"a\nb\nc\nd\ne\nf\n", b"b\nx\nd\ny\nf\n"
    found = merge.taken_back(before, after, b"z\n")
    assert found is not None and b"z\n" in found
    assert merge.taken_back(b"# one\n", b"# two\n-a 1\n-a 2\n", b"") is not None
