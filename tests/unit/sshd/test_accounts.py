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
        (["{dir}/other", "{dir}/%u"], "key", True),
    ],
)
def test_has_key(tmp_path, words, content, has):
    name = pwd.getpwuid(os.getuid()).pw_name
    (tmp_path / name).write_text(content)
    assert accounts.has_key(name, [word.replace("{dir}", str(tmp_path)) for word in words]) is has
    assert accounts.has_key("no such account", words) is False
