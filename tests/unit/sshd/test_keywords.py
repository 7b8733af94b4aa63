"""Which keywords there are for a release and a build."""

import pytest
from sshtrail_lib.sshd import keywords, values


@pytest.mark.parametrize(
    ("word", "release", "printed", "name"),
    [
        ("loglevel", (9, 2), (), "LogLevel"),
        ("KeepAlive", (9, 2), (), "TCPKeepAlive"),
        ("RefuseConnection", (9, 2), (), None),
        ("RefuseConnection", (9, 9), (), "RefuseConnection"),
        ("DebianBanner", (9, 2), (), None),
        ("DebianBanner", (9, 2), ("DebianBanner",), "DebianBanner"),
        ("VendorsOwn", (9, 2), ("vendorsown",), "vendorsown"),
        ("ChallengeResponseAuthentication", (8, 4), (), "ChallengeResponseAuthentication"),
        ("ChallengeResponseAuthentication", (8, 7), (), "KbdInteractiveAuthentication"),
    ],
)
def test_find(word, release, printed, name):
    found = keywords.find(word, release, printed)
    assert (found and found.name) == name


def test_what_a_release_changes():
    assert keywords.find("Subsystem", (9, 4)).in_match is False and keywords.find("Subsystem", (9, 5)).in_match is True
    assert keywords.find("IPQoS", (10, 2)).repeat == keywords.LAST
    assert keywords.find("IPQoS", (10, 3)).repeat == keywords.FIRST


def test_every_keyword_has_a_kind():
    kinds = {keyword.kind for keyword in keywords.KEYWORDS.values()} - {"match", "include"}
    assert kinds == set(values.KINDS)


@pytest.mark.parametrize("release", [(8, 4), (9, 2), (10, 0), (10, 6)])
def test_pam_is_for_the_whole_daemon(release):
    """servconf.c has had it as SSHCFG_GLOBAL ever since: no Match block can turn it off for some."""
    assert keywords.find("usepam", release).in_match is False
