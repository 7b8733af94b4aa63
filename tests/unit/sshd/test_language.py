"""How a line is split into words, and how a word is written; without any sshd."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from matrix.sshd_trees import golden
from sshtrail_lib.sshd import language
from sshtrail_lib.sshd.daemon import BadValue

DAEMON = golden("9.2")


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]),
        ("  a\tb  ", ["a", "b"]),
        ('"a b" c', ["a b", "c"]),
        ("'a b'", ["a b"]),
        ('a"b c"d', ["ab cd"]),
        ("a # b", ["a"]),
        ("a#b", ["a#b"]),
        (r"a\ b", ["a b"]),
        (r"\"a\'", ["\"a'"]),
        (r"a\nb", [r"a\nb"]),
        (r'"a\\b"', [r"a\b"]),
        ('""', [""]),
        ("", []),
    ],
)
def test_words_since_8_7(text, words):
    assert list(language.words_quoted(text)[0]) == words


@pytest.mark.parametrize("text", ['"a', "'a", 'a "b', "\"a'"])
def test_an_unbalanced_quote(text):
    with pytest.raises(BadValue):
        language.words_quoted(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("a b", ["a", "b"]),
        ("a=b", ["a", "b"]),
        ("a = b", ["a", "b"]),
        ('"a b" c', ["a b", "c"]),
        ('a "b', ["a"]),
        ("", []),
    ],
)
def test_words_before_8_7(text, words):
    assert list(language.words_delimited(text)) == words


@given(st.binary())
def test_every_byte_is_kept(data):
    assert b"".join(line.raw for line in language.parse(data, DAEMON)) == data


@given(
    st.text(st.sampled_from(list(" \t\"'\\#=abé!,")), min_size=1, max_size=12).filter(lambda word: word.strip(" \t"))
)
def test_a_quoted_word_is_read_as_it_was(word):
    for daemon in (DAEMON, golden("10.0")):
        line = f"Banner {language.quoted(word, daemon.release)}".encode()
        parsed = language.parse_line(line, 1, daemon.release, frozenset(daemon.defaults))
        assert parsed.arguments.words == (word,)


@pytest.mark.parametrize("raw", [b"=X11Forwarding yes\n", b"# X11Forwarding yes\n"])
def test_a_line_that_cannot_be_rewritten(raw):
    line = language.parse_line(raw, 1, (8, 4), frozenset())
    with pytest.raises(BadValue, match="too oddly"):
        language.rewrite(line, line.arguments, golden("8.4"))
