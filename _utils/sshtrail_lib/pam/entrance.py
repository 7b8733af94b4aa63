"""
Whether PAM can let in somebody who has no password: by what it asks for instead, or since it asks for none.

Only the ``auth`` stack is looked at, which sshd has PAM go through for keyboard-interactive. A second factor that is
asked for beside the password does not stand for it; one that is enough by itself does.
"""

from __future__ import annotations

from collections.abc import Iterable

from sshtrail_lib.pam import dispatch, language
from sshtrail_lib.pam.keywords import IGNORED, NEW_AUTHTOK, RETURNS, SUCCESS
from sshtrail_lib.pam.language import Handler, Reading

_BESIDE = """
    env deny permit cap nologin faillock faildelay tally2 tally sepermit selinux group succeed_if localuser usertype
    securetty shells access listfile time warn echo mount gnome_keyring kwallet5 kwallet ecryptfs gdm debug keyinit motd
    issue abl systemd
"""
#: Modules that ask for the account's password, and those that let nobody in by themselves.
PASSWORDS = frozenset(["unix", "unix2", "sss", "ldap", "krb5", "winbind", "systemd_home", "pwdfile"])
BESIDE = frozenset(_BESIDE.split())
_KNOWN = PASSWORDS | BESIDE
_ANYTHING = range(len(RETURNS) + 1)
# None ignores whom it has asked for a password.
_NO = tuple(value for value in _ANYTHING if value not in (SUCCESS, NEW_AUTHTOK, IGNORED))
_ANSWERS = {**dict.fromkeys(PASSWORDS, _NO), "permit": (SUCCESS,), "deny": (RETURNS.index("auth_err"),)}


def without_password(reading: Reading) -> bool:
    """
    Return whether a service can let in who has no password, also where this cannot be told (bool).

    reading
        What Linux-PAM makes of the service (:class:`~sshtrail_lib.pam.language.Reading`).

    Each module that asks for a password says no. Somebody comes in nevertheless where the stack can end well with one
    that is neither such nor known to let nobody in by itself, or, where no line asks for a password, with any.
    """
    stack = reading.stack("auth")
    if reading.refused or not stack:
        # A service without any file that can be read is not known; one whose files Linux-PAM refuses lets nobody in.
        return not (reading.refused and reading.path)
    asks = any(_name(handler) in PASSWORDS for handler in stack)
    outcomes = [dispatch.RAN] if asks else [dispatch.RAN, dispatch.NEVER]
    return any(dispatch.way(stack, outcome, _STRANGERS) is not None for outcome in outcomes)


def _name(handler: Handler) -> str:
    return handler.module.rpartition("/")[2].removeprefix("pam_").removesuffix(".so")


def _returns(handler: Handler) -> Iterable[int]:
    return _ANSWERS.get(_name(handler), _ANYTHING)


def _of_stranger(handler: Handler, _answer: int) -> int:
    strange = handler.kind == language.MODULE and bool(handler.found) and _name(handler) not in _KNOWN
    return dispatch.RAN if strange or handler.kind == language.UNCERTAIN else dispatch.NEVER


_STRANGERS = dispatch.Question(_returns, _of_stranger)
