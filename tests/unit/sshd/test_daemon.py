"""A sshd and a host of which nothing is known."""

import pytest
from sshtrail_lib.sshd.daemon import Daemon, Names, OnlySshdKnows


def test_nothing_is_known():
    names = Names()
    assert (names.groups("root"), names.home("~/x"), names.service("ssh")) == ([], "~/x", None)
    assert (names.number("10.1"), names.addresses("", "any")) == (None, [])


def test_there_is_no_sshd_to_ask():
    with pytest.raises(OnlySshdKnows, match="the values of Ciphers"):
        Daemon().ask("Ciphers", [])
