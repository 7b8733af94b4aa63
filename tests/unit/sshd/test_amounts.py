"""Times as sshd_config(5) writes them; the other numbers are in the tables of test_values."""

import pytest
from sshtrail_lib.sshd import amounts
from sshtrail_lib.sshd.daemon import BadValue, Daemon


@pytest.mark.parametrize(("word", "seconds"), [("30", 30), ("2m", 120), ("1h30m", 5400), ("1W", 604800), ("+5", 5)])
def test_seconds(word, seconds):
    assert amounts.seconds(word) == seconds


def test_a_time_that_is_too_long_was_once_cut():
    with pytest.raises(BadValue, match="at most"):
        amounts.time("2147483648", Daemon((8, 5)))
    assert amounts.time("2147483648", Daemon((8, 4))) == "-2147483648"
