"""
policy.platforms: every distribution has the same entries, each from a source that is named.
"""

import pytest
from sshtrail_lib.policy import platforms


@pytest.mark.parametrize("os_family", sorted(platforms.ENTRIES))
def test_every_distribution_has_every_entry_from_a_named_source(os_family):
    places = [place for place, _, _ in platforms.ENTRIES["Debian"]]
    assert [place for place, _, _ in platforms.ENTRIES[os_family]] == places
    assert all(source for _, _, source in platforms.ENTRIES[os_family])


def test_what_a_distribution_adds_is_laid_out_as_a_policy():
    added = platforms.policy("Debian")
    assert added["sshd"]["logs"] == {"AUTH": "/var/log/auth.log", "AUTHPRIV": "/var/log/auth.log"}
    assert added["auditd"] == {"package": "auditd", "service": "auditd", "path": "/etc/audit/auditd.conf"}


@pytest.mark.parametrize("os_family", ["Gentoo", "", None])
def test_of_an_unknown_one_nothing_is_known(os_family):
    assert platforms.policy(os_family) == {}
