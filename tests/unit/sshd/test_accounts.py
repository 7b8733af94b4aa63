"""The accounts of this host; root is always there."""

import os
import pwd

import pytest
from sshtrail_lib.sshd import accounts


def test_groups():
    assert accounts.groups("root")[0] == "root"
    assert accounts.groups("no such account") == accounts.groups("") == accounts.groups("\udc80") == []


def test_home():
    assert accounts.home("~root/x") == f"{pwd.getpwnam('root').pw_dir}/x"
    assert accounts.home("~no such account/x") == "~no such account/x"


def test_who_has_a_shell():
    found = accounts.with_shell()
    assert found[0] == "root" and "nobody" not in found


@pytest.mark.parametrize(
    ("words", "content", "has"),
    [
        (["none"], "key", False),
        (["{dir}/%u"], "key", True),
        (["{dir}/%u"], "", False),
        (["{dir}/%u"], "# none yet\n\n  # here\n", False),
        (["{dir}/%u"], "# mine\nkey", True),
        (["{dir}/other", "{dir}/%u"], "key", True),
    ],
)
def test_has_key(tmp_path, words, content, has):
    name = pwd.getpwuid(os.getuid()).pw_name
    (tmp_path / name).write_text(content)
    assert accounts.has_key(name, [word.replace("{dir}", str(tmp_path)) for word in words]) is has
    assert accounts.has_key("no such account", words) is False


def test_what_stands_for_a_password(tmp_path, monkeypatch):
    told = {"root": "*", "alice": "$6$x", "bob": "!", "eve": "!$6$x", "cloud": "!!", "none": "", "caf\udce9": "!"}
    text = "".join(f"{name}:{one}:19000:0:99999:7:::\n" for name, one in told.items())
    (tmp_path / "shadow").write_bytes(text.encode("utf-8", "surrogateescape"))
    monkeypatch.setattr(accounts, "SHADOW", str(tmp_path / "shadow"))
    assert accounts.hashes() == told
    who = accounts.known()
    assert [name for name in (*told, "of a directory service") if who.has_password(name)] == [
        *("alice", "none", "of a directory service")
    ]
    assert [name for name in told if who.is_locked(name)] == ["bob", "eve", "cloud", "caf\udce9"]
    monkeypatch.setattr(accounts, "SHADOW", str(tmp_path / "none"))
    assert accounts.hashes() == {} and accounts.known().has_password("bob")
