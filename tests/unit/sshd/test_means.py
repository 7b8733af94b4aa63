"""What methods of logging in find on this host, and which programs an account can run."""

import pytest
from sshtrail_lib.sshd import means

UNIX = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n"
STACKS = [
    ({"sshd": "@include common-auth\naccount required pam_google_authenticator.so\n"}, False),
    ({"sshd": "auth required pam_google_authenticator.so\n@include common-auth\n"}, False),
    ({"sshd": "auth required pam_google_authenticator.so nullok\n#@include common-auth\n"}, True),
    ({"sshd": "auth sufficient pam_duo.so\n@include common-auth\n"}, True),
    ({"sshd": "auth [success=done new_authtok_reqd=done default=die] pam_oath.so\n@include common-auth\n"}, True),
    (
        {
            "sshd": "auth substack password-auth\n",
            "password-auth": "auth required pam_env.so\n-auth sufficient pam_sss.so\n",
        },
        False,
    ),
    ({"sshd": "auth include other\n", "other": "auth required /usr/lib/security/pam_radius_auth.so\n"}, True),
    ({"sshd": "@include sshd\nauth required pam_unix.so\n"}, False),
    ({"sshd": "auth required \\\n  pam_u2f.so\n"}, True),
    ({"sshd": "auth required pam_permit.so\n"}, True),
    ({"login": "auth required pam_unix.so\n"}, True),
    ({"sshd": ""}, True),
]


@pytest.mark.parametrize(("stacks", "more"), STACKS)
def test_whether_pam_asks_for_more_than_a_password(tmp_path, monkeypatch, stacks, more):
    """A second factor that is asked for beside the password does not stand for it."""
    monkeypatch.setattr(means, "PAM", (str(tmp_path / "none"), str(tmp_path)))
    (tmp_path / "common-auth").write_text(UNIX)
    for name, text in stacks.items():
        (tmp_path / name).write_text(text)
    assert means.asks_more("sshd") is more


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
