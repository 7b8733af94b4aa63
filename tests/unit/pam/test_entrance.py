"""
pam.entrance: whether PAM lets in who has no password. A second factor beside the password does not stand for it.
"""

import itertools
import random

import pytest
from sshtrail_lib.pam import dispatch, entrance
from sshtrail_lib.pam.keywords import IGNORED, NEW_AUTHTOK, RETURNS, SUCCESS

from unit.pam import stacks
from unit.pam.stacks import DEBIAN, DEBIAN_12, DEBIAN_13, UPSTREAM

UNIX = "auth [success=1 default=ignore] pam_unix.so nullok\nauth requisite pam_deny.so\nauth required pam_permit.so\n"
#: What Debian's pam-auth-update and RHEL's authselect write.
SSSD = (
    "auth [success=2 default=ignore] pam_unix.so nullok\nauth [success=1 default=ignore] pam_sss.so use_first_pass\n"
    "auth requisite pam_deny.so\nauth required pam_permit.so\nauth optional pam_cap.so\n"
)
PASSWORD_AUTH = """\
auth        required                                     pam_env.so
auth        required                                     pam_faildelay.so delay=2000000
auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular
auth        [default=1 ignore=ignore success=ok]         pam_localuser.so
auth        sufficient                                   pam_unix.so nullok
auth        [default=1 ignore=ignore success=ok]         pam_usertype.so isregular
auth        sufficient                                   pam_sss.so forward_pass
auth        required                                     pam_deny.so
"""
RHEL = {
    "sshd": "auth substack password-auth\nauth include postlogin\n",
    "password-auth": PASSWORD_AUTH,
    "postlogin": "",
}
FAILLOCK = (
    "auth required pam_faillock.so preauth\nauth [success=1 default=bad] pam_unix.so\n"
    "auth [default=die] pam_faillock.so authfail\nauth sufficient pam_faillock.so authsucc\nauth required pam_deny.so\n"
)
CASES = [
    # --- The account's password is asked for, whatever else is.
    ({"sshd": "@include common-auth\naccount required pam_google_authenticator.so\n"}, False),
    ({"sshd": "@include common-auth\n", "common-auth": SSSD}, False),
    (RHEL, False),
    ({"sshd": FAILLOCK}, False),
    ({"sshd": "auth required pam_google_authenticator.so\n@include common-auth\n"}, False),
    ({"sshd": "@include common-auth\nauth required pam_google_authenticator.so\n"}, False),
    ({"sshd": "auth requisite pam_unix.so\nauth sufficient pam_duo.so\nauth required pam_deny.so\n"}, False),
    (
        {
            "sshd": "auth substack password-auth\n",
            "password-auth": "auth required pam_env.so\n-auth sufficient pam_sss.so\n",
        },
        False,
    ),
    ({"sshd": "@include sshd\nauth required pam_unix.so\n"}, False),
    ({"sshd": "auth sufficient /opt/security/pam_unix.so\nauth required /opt/security/pam_deny.so\n"}, False),
    # --- Something else is enough.
    ({"sshd": "auth required pam_google_authenticator.so nullok\n#@include common-auth\n"}, True),
    ({"sshd": "auth sufficient pam_duo.so\n@include common-auth\n"}, True),
    ({"sshd": "auth [success=done new_authtok_reqd=done default=die] pam_oath.so\n@include common-auth\n"}, True),
    ({"sshd": "auth include other\n", "other": "auth required /usr/lib/security/pam_radius_auth.so\n"}, True),
    ({"sshd": "auth required \\\n  pam_u2f.so\n"}, True),
    ({"sshd": "auth required pam_otp.so\nauth sufficient pam_unix.so\n"}, True),
    (
        {"sshd": "auth [success=ignore default=1] pam_otp.so\nauth required pam_unix.so\nauth required pam_env.so\n"},
        True,
    ),
    (
        {
            **RHEL,
            "password-auth": "auth sufficient pam_sss.so\nauth sufficient pam_u2f.so\nauth required pam_deny.so\n",
        },
        True,
    ),
    # --- Nothing is asked for.
    ({"sshd": "auth required pam_permit.so\n"}, True),
    ({"sshd": "auth required pam_deny.so\n"}, False),
    # --- Linux-PAM refuses everybody.
    ({"sshd": "@include none\nauth required pam_permit.so\n"}, False),
    # --- It cannot be told.
    ({"login": "auth required pam_unix.so\n"}, True),
    ({"sshd": ""}, True),
    # --- Of a service without a file of its own.
    ({"other": "auth required pam_deny.so\n"}, False),
]


@pytest.mark.parametrize("library", [DEBIAN_12, DEBIAN_13])
@pytest.mark.parametrize(("files", "lets_in"), CASES)
def test_without_password(files, lets_in, library):
    assert entrance.without_password(stacks.reading({"common-auth": UNIX, **files}, library)) is lets_in


def test_stock():
    assert not entrance.without_password(stacks.reading({**DEBIAN, "common-auth": UNIX}, DEBIAN_12))
    assert not entrance.without_password(stacks.reading(RHEL, UPSTREAM))


def test_a_module_that_is_not_installed_lets_nobody_in():
    files = {"sshd": f"auth sufficient pam_duo.so\n{UNIX}"}
    assert entrance.without_password(stacks.reading(files))
    assert not entrance.without_password(stacks.reading(files, missing=["pam_duo.so"]))


def test_an_include_of_nothing_may_do_anything():
    """It fails with what is left over from a line before it, and so it can jump over what refuses."""
    files = {"sshd": "auth include more\n" + UNIX, "more": "@include none\n"}
    assert entrance.without_password(stacks.reading(files, DEBIAN_12))


CODES = [SUCCESS, NEW_AUTHTOK, IGNORED, RETURNS.index("auth_err"), RETURNS.index("user_unknown")]
CONTROLS = [
    *("required", "requisite", "optional", "sufficient", "[success=1 default=ignore]"),
    *("[success=ok user_unknown=1 default=die]", "[default=1 ignore=ignore success=ok]"),
]
ANSWERS = {"pam_unix.so": CODES[3:], "pam_permit.so": [SUCCESS], "pam_deny.so": CODES[3:4]}


def lets_in(stack):
    """Return whether a stack lets in who has no password, by trying everything."""
    asks = "pam_unix.so" in [one.module for one in stack]
    for codes in itertools.product(*(ANSWERS.get(one.module, CODES) for one in stack)):
        result, called = dispatch.run(stack, dict(zip(stack, codes, strict=True)).__getitem__)
        if result == SUCCESS and (not asks or "pam_duo.so" in [stack[at].module for at in called]):
            return True
    return False


def test_what_is_found_is_what_trying_finds():
    chance, told = random.Random(1), []
    for _ in range(300):
        names = [chance.choice(["unix", "duo", "shells", "permit", "deny"]) for _at in range(chance.randint(1, 4))]
        reading = stacks.session(*(f"auth {chance.choice(CONTROLS)} pam_{name}.so" for name in names))
        told.append(entrance.without_password(reading))
        assert told[-1] == lets_in(reading.stack("auth")), reading.stack("auth")
    assert 50 < sum(told) < 250
