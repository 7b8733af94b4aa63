"""The ways in which a kind takes its arguments."""

import pytest
from sshtrail_lib.sshd import keywords, kinds
from sshtrail_lib.sshd.daemon import Arguments, BadValue, Daemon

KEYWORD = keywords.find("Banner", (9, 2))


def take(kind, *words, release=(9, 2)):
    return kind(KEYWORD, [Arguments(words, " ".join(words))], Daemon(release))


@pytest.mark.parametrize(
    ("kind", "words", "printed"),
    [
        (kinds.single(kinds.as_written), ["a"], ["a"]),
        (kinds.choice("a", "b", same={"c": "a"}), ["C"], ["a"]),
        (kinds.upper(["A"], {"b": "A"}), ["B"], ["A"]),
        (kinds.each(), ["a", "b"], ["a", "b"]),
        (kinds.line(kinds.as_written), ["a", "b"], ["a b"]),
        (kinds.each(lenient_before=(9, 7)), [], []),
    ],
)
def test_taken(kind, words, printed):
    assert take(kind, *words) == printed


@pytest.mark.parametrize(
    ("kind", "words", "position"),
    [
        (kinds.single(kinds.as_written), [], 0),
        (kinds.single(kinds.as_written), ["a", "b"], 1),
        (kinds.choice("a", fold=False), ["A"], 0),
        (kinds.each(), ["a", ""], 1),
        (kinds.line(kinds.as_written, alone=("none",)), ["none", "b"], 0),
    ],
)
def test_refused(kind, words, position):
    with pytest.raises(BadValue) as refused:
        take(kind, *words)
    assert refused.value.position == position
