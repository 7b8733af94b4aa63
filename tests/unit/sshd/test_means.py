"""What methods of logging in find on this host, and which programs an account can run."""

import os
import pathlib
import shutil
import tempfile

import pytest
from sshtrail_lib.sshd import means
from support import require_root


def test_a_key_in_kerberos(tmp_path, monkeypatch):
    monkeypatch.setattr(means, "KEYTAB", str(tmp_path / "krb5.keytab"))
    monkeypatch.setattr(means, "KERBEROS", (str(tmp_path / "*.conf"),))
    assert not means.has_keytab()
    (tmp_path / "krb5.keytab").write_text("")
    (tmp_path / "krb5.conf").write_text("[libdefaults]\n# default_keytab_name = /x\n  default_realm = X\n")
    assert not means.has_keytab()
    (tmp_path / "other.conf").write_text("[libdefaults]\n default_keytab_name = FILE:/x\n")
    assert means.has_keytab()
    (tmp_path / "other.conf").unlink()
    (tmp_path / "krb5.keytab").write_text("x")
    assert means.has_keytab()


@pytest.fixture
def base():
    """A directory of root's alone, and all above it."""
    require_root()
    with tempfile.TemporaryDirectory(prefix="sshtrail-means-", dir="/run") as directory:
        path = pathlib.Path(directory)
        path.chmod(0o755)
        (path / "keys").write_text("#!/bin/sh\n")
        (path / "keys").chmod(0o755)
        (path / "open").mkdir()
        (path / "open").chmod(0o777)
        shutil.copy(path / "keys", path / "open" / "keys")
        yield path


SERVES = [
    ("/keys %u", 0o755, 0, "root", True),
    ("/keys", 0o755, 0, "nobody", True),
    ("/keys", 0o700, 0, "root", True),
    ("/keys", 0o700, 0, "nobody", False),
    ("/keys", 0o644, 0, "root", False),
    ("/keys", 0o777, 0, "root", False),
    ("/keys", 0o775, 0, "root", False),
    ("/keys", 0o755, 65534, "root", False),
    ("/keys", 0o755, 0, "no such user", False),
    ("/keys", 0o755, 0, "%u", True),
    ("/keys", 0o755, 0, "%%u", False),
    ("/open/keys", 0o755, 0, "root", False),
    ("/none", 0o755, 0, "root", False),
    ("/", 0o755, 0, "root", False),
    ("/keys 'x", 0o755, 0, "root", False),
]


@pytest.mark.parametrize(("command", "mode", "owner", "user", "does"), SERVES)
def test_which_commands_sshd_runs(base, command, mode, owner, user, does):
    (base / "keys").chmod(mode)
    os.chown(base / "keys", owner, owner)
    assert means.serves("root", f"{base}{command}", user) is does
    assert means.serves("root", f'"{base}/keys" "a b"', "root") is means.serves("root", f"{base}/keys", "root")


def test_a_command_behind_a_link_is_what_it_points_to(base):
    (base / "link").symlink_to(base / "keys")
    (base / "worse").symlink_to(base / "open" / "keys")
    assert means.serves("root", f"{base}/link", "root") and not means.serves("root", f"{base}/worse", "root")
    assert not means.serves("root", "keys", "root") and not means.serves("root", "", "root")


def test_what_an_account_may(base):
    (base / "keys").chmod(0o640)
    told = [means.may(name, str(base / "keys"), os.R_OK) for name in ("root", "nobody", "no such account")]
    assert told == [True, False, True]
    (base / "keys").chmod(0o644)
    assert means.may("nobody", str(base / "keys"), os.R_OK) and not means.runs("root", str(base / "keys"))
    base.chmod(0o700)
    assert not means.may("nobody", str(base / "keys"), os.R_OK) and means.may("root", str(base / "keys"), os.R_OK)
    assert not means.may("root", str(base), os.R_OK) and not means.may("root", str(base / "none"), os.R_OK)


def test_what_root_may_not_look_at_nobody_can_tell(monkeypatch):
    """As a home on a file system that takes root for nobody."""

    def refused(*_told):
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(means, "_permits", refused)
    assert means.may("root", __file__, os.R_OK)
