"""
The keywords of auditd.conf, with the installed auditd's own parser (in ausearch) as the judge.
"""

import pytest
from sshtrail_lib.auditd import keywords


@pytest.mark.parametrize(
    "name, value, text",
    [
        ("verify_email", True, "yes"),
        ("verify_email", False, "no"),
        ("freq", 50, "50"),
        ("FREQ", " 50 ", "50"),
        ("space_left", "25%", "25%"),
        ("flush", "INCREMENTAL", "INCREMENTAL"),
        ("disk_full_action", "exec /bin/true", "exec /bin/true"),
        ("tcp_client_ports", "1024-65535", "1024-65535"),
        ("report_interval", "40d", "40d"),
        ("name", None, None),
    ],
)
def test_what_a_pillar_holds_becomes_text(name, value, text):
    assert keywords.written(name, value) == text


@pytest.mark.parametrize(
    "name, value",
    [
        ("freq", True),
        ("freq", -1),
        ("freq", 2**31),
        ("freq", "5\nname = x"),
        ("freq", ""),
        ("freq", "٥"),
        ("num_logs", 1000),
        ("space_left", "0%"),
        ("space_left", "100%"),
        ("space_left", "5%5"),
        ("verify_email", "true"),
        ("flush", ["sync"]),
        ("tcp_listen_port", 0),
        ("tcp_client_ports", "9-8"),
        ("log_file", "audit.log"),
        ("log_file", "/a/b.log"),
        ("disk_error_action", "rotate"),
        ("disk_full_action", "email"),
        ("disk_full_action", "exec"),
        ("disk_full_action", "exec bin/true"),
        ("space_left_action", "halt"),
        ("max_log_file_action", "exec /bin/true"),
        ("report_interval", "41d"),
        ("name", "a b"),
        ("action_mail_acct", "a&b"),
    ],
)
def test_an_impossible_value_names_the_keyword(name, value):
    with pytest.raises(keywords.BadValue, match=name):
        keywords.written(name, value)


@pytest.mark.parametrize(
    "name, version, answer",
    [
        ("max_log_fil", None, "did you mean 'max_log_file'"),
        ("zzz", None, "auditd.conf has no keyword 'zzz'."),
        (5, None, "auditd.conf has no keyword '5'."),
        ("tls_auth", (4, 1, 2), "auditd 4.1.2 does not know the keyword 'tls_auth': it came with 4.2."),
        ("end_of_event_timeout", (3, 0), "it came with 3.0.1"),
    ],
)
def test_an_unknown_keyword_is_named(name, version, answer):
    with pytest.raises(keywords.UnknownKeyword) as raised:
        keywords.lookup(name, version)
    assert answer in raised.value.message


def test_the_installed_parser_knows_the_same_keywords(parser, installed):
    for entry in keywords.KEYWORDS:
        # A value that every parser refuses, so that only the keyword tells.
        refused = parser(f"{entry.name} = a b c\n".encode())
        known = "nknown keyword" not in (refused or "")
        assert known == (entry.name in keywords.known(installed)), entry.name


@pytest.mark.parametrize(
    ("name", "version", "reread"),
    [
        ("freq", (3, 0), True),
        ("use_libwrap", (3, 0, 9), True),
        ("priority_boost", (4, 2), False),
        ("transport", (4, 2), False),
        ("transport", (3, 0), False),
        ("tcp_listen_queue", (4, 0, 5), False),
        ("tcp_listen_queue", (4, 1), True),
        ("krb5_key_file", (4, 1, 2), False),
        ("krb5_key_file", (4, 2), True),
    ],
)
def test_what_a_reload_takes_up(name, version, reread):
    assert keywords.lookup(name, version).reread_by(version) is reread
    assert reread or name in keywords.READ_AT_START
