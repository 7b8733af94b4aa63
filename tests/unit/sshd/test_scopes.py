"""Lines that others have added, when ours are taken out; golden defaults instead of an sshd."""

import pytest
from matrix.sshd_trees import golden
from sshtrail_lib.base import merge
from sshtrail_lib.sshd import scopes

DAEMON = golden("9.2")
OURS = "UsePAM yes\nMatch User a\n\tPermitTTY no\nMatch User b\n\tPermitTTY no\n"


def settled(before, after, current):
    lines = [text.encode().splitlines(True) for text in (before, after, current)]
    return scopes.settled(merge.parts(*lines), current.encode(), DAEMON).decode()


@pytest.mark.parametrize(
    ("current", "expected"),
    [
        (OURS + "# why\nBanner x\nMaxSessions 3", "UsePAM yes\nMatch User b\n# why\nBanner x\nMaxSessions 3"),
        (OURS.replace("no\nMatch", "no\nBanner x\nMatch"), "UsePAM yes\nMatch User a\nBanner x\n"),
        (
            OURS.replace("no\n", "no\nBanner x\n"),
            "UsePAM yes\nMatch User a\nBanner x\nMatch User b\nBanner x\n",
        ),
        (OURS + "Match User c\nBanner x\n", "UsePAM yes\nMatch User c\nBanner x\n"),
        ("Banner x\n" + OURS, "Banner x\nUsePAM yes\n"),
        (OURS + "# only a comment\n", "UsePAM yes\n# only a comment\n"),
        (OURS + "NoSuchKeyword\nBanner x\n", "UsePAM yes\nMatch User b\nNoSuchKeyword\nBanner x\n"),
    ],
)
def test_a_line_in_a_block_of_ours(current, expected):
    assert settled("UsePAM yes\n", OURS, current) == expected


THEIRS = "UsePAM yes\n# x\nMatch User x\nLogLevel QUIET\n# y\nMatch User y\nLogLevel QUIET\n"


@pytest.mark.parametrize(
    ("after", "added", "expected"),
    [
        ("UsePAM yes\n", "Banner x\n", THEIRS.replace("# x", "Banner x\n# x")),
        (
            "UsePAM yes\n",
            "# why\nBanner x\nMaxSessions 3\n",
            THEIRS.replace("# x", "# why\nBanner x\nMaxSessions 3\n# x"),
        ),
        ("UsePAM yes\n# x\nMatch User x\nLogLevel QUIET\n", "Banner x\n", THEIRS.replace("# y", "Banner x\n# y")),
    ],
)
def test_a_block_that_comes_back(after, added, expected):
    assert settled(THEIRS, after, after + added) == expected
