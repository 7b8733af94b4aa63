"""
The language of auditd.conf: every byte survives, and the line counts that auditd takes.
"""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sshtrail_lib.auditd import language


def test_reading_gives_the_same_bytes(sample):
    data = sample.read_bytes()
    assert b"".join(line.raw for line in language.parse(data)) == data


@given(st.binary(max_size=400))
def test_any_bytes_survive_and_never_raise(data):
    assert b"".join(line.raw for line in language.parse(data)) == data
    language.settings(data)


@pytest.mark.parametrize(
    ("line", "keyword", "sets"),
    [
        (b"freq = 5\n", "freq", True),
        (b" FREQ  =  5 \n", "freq", True),
        (b"freq = 5", "freq", False),
        (b"freq=5\n", "freq", False),
        (b"\tfreq = 5\n", "freq", False),
        (b"# freq = 5\n", "", False),
        (b"\n", "", False),
        (b"freq = ".ljust(511, b"5") + b"\n", "freq", False),
    ],
)
def test_which_line_sets_what(line, keyword, sets):
    [found] = language.parse(line)
    assert (found.keyword, found.sets) == (keyword, sets)


def test_the_last_line_of_a_keyword_counts():
    data = b"freq = 3\nfreq = 4\n"
    assert language.settings(data) == {"freq": "4"}
    assert language.deciding(data)["freq"].number == 2
    assert language.effective(data, "freq") == "4"
    assert language.effective(data, "flush") == "none"


@pytest.mark.parametrize(
    ("data", "writes"),
    [(b"", True), (b"write_logs = no\n", False), (b"log_format = NOLOG\n", False), (b"write_logs = YES\n", True)],
)
def test_a_daemon_may_write_no_log(data, writes):
    assert language.writes_log(data) is writes
