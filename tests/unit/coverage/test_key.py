"""
coverage.key: the one line that lets a key in, and the file that it may be in.
"""

import pwd
import time

import pytest
from sshtrail_lib.coverage import key, leftovers

ACCOUNT = pwd.struct_passwd(("sshtrail-proof", "x", 999, 995, "", leftovers.HOME, "/bin/sh"))
PUBLIC = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIDwWtHTI9yf0xykPNuQg/+CUM0/Dn/7UA7TT9WN4dbZ7"


def test_an_entry_is_for_a_command_an_address_and_a_time(monkeypatch):
    monkeypatch.setattr(time, "time", lambda: 1_800_000_000.0)
    line = key.entry(key.Key(0, PUBLIC), "/bin/true MARK", "127.0.0.1", 40, (9, 2))
    options = 'restrict,from="127.0.0.1",command="/bin/true MARK",expiry-time="20270115080040Z" '
    assert line == options + PUBLIC
    # Before 9.1 sshd knows local times only.
    assert 'Z"' not in key.entry(key.Key(0, PUBLIC), "x", "127.0.0.1", 40, (8, 4))


def test_a_fingerprint_is_as_sshd_logs_it():
    # From ssh-keygen -l of OpenSSH 9.2.
    assert key.Key(0, PUBLIC).fingerprint.startswith("SHA256:") and len(key.Key(0, PUBLIC).fingerprint) == 50


@pytest.mark.parametrize(
    "patterns,place",
    [
        (".ssh/authorized_keys .ssh/authorized_keys2", f"{leftovers.HOME}/.ssh/authorized_keys"),
        ("%h/.ssh/authorized_keys", f"{leftovers.HOME}/.ssh/authorized_keys"),
        ("/etc/ssh/all .ssh/keys", f"{leftovers.HOME}/.ssh/keys"),
        ("none", None),
        ("/etc/ssh/all", None),
        ("/etc/ssh/%%u", None),
        ("/etc/ssh/%k", None),
        ("../../etc/cron.d/x", None),
        ("/nowhere/%u", None),
    ],
)
def test_a_file_must_be_the_accounts_alone(patterns, place):
    if place:
        assert key.place({"AuthorizedKeysFile": patterns}, ACCOUNT) == place
    else:
        with pytest.raises(key.NoPlace, match="AuthorizedKeysFile"):
            key.place({"AuthorizedKeysFile": patterns}, ACCOUNT)


def test_a_directory_that_others_write_is_none(tmp_path):
    tmp_path.chmod(0o777)
    with pytest.raises(key.NoPlace):
        key.place({"AuthorizedKeysFile": f"{tmp_path}/%u"}, ACCOUNT)
