"""
Whether every SSH session's processes are known to the audit trail as somebody's: pam_loginuid.so in the PAM stack.

:depends: Linux-PAM 1.3 or later.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.pam import host as pam_host


def __virtual__():
    return "sshtrail_pam"


def check(service=pam_host.SERVICE, path=pam_host.PATH):
    """
    Return everything that keeps sessions of a service from having their loginuid set.

    service
        The PAM service (str).
    path
        The file of that service (str). Of one that is not where Linux-PAM looks, only its own directory counts.

    Returns a list of ``{"file": str, "line": int, "kind": str, "reason": str}``, empty when all is well; line 0 is the
    file as a whole. The kinds: ``missing``, ``jumped over``, ``after a line that can end the stack``, ``module file
    missing``, ``must fail line``: a session can begin without it; ``not required``: it may fail; ``refused``: PAM lets
    nobody in. Touches nothing. Source: pam.conf(5), pam_loginuid(8).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_pam.check
    """
    return pam_host.problems(_minion(), service, path)


def without_password(service=pam_host.SERVICE, path=pam_host.PATH):
    """
    Return whether a service can let in who has no password (bool): whether keyboard-interactive is a way in for him.

    service, path
        As for :func:`check`.

    It can where a module that asks for something else, such as a one-time password, is enough by itself, or where no
    line asks for the account's password as pam_unix, pam_sss, pam_ldap, pam_krb5 and pam_winbind do. It cannot where
    such a password is asked for as well, or where PAM refuses everybody. A module that is not known is taken for one
    that asks for something else, and of a service that has no file it cannot be told: then this is True. Touches
    nothing. Source: pam.conf(5).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_pam.without_password
    """
    return pam_host.without_password(_minion(), service, path)


def diff(service=pam_host.SERVICE, path=pam_host.PATH):
    """
    Return what :func:`apply` would change; touches nothing.

    service, path
        As for :func:`check`.

    Returns ``{file: {"old": line or None, "new": line}}``, empty when every session goes by pam_loginuid.so. Raises
    CommandExecutionError where no line in the service's own file would do.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_pam.diff
    """
    return pam_host.preview(_minion(), service, path)


def apply(service=pam_host.SERVICE, path=pam_host.PATH):
    """
    Have every session of a service go by pam_loginuid.so: one line, where it belongs, and a proof that it works.

    service, path
        As for :func:`check`.

    A line that was commented out is restored. The proof is a session that is opened for root in a process of its own,
    and closed; where it fails, the old file is back and this raises. Returns ``{"changes": as diff, "outcome":
    "proven", "cannot be proven here" or "" for nothing to do, "reason": str}``.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_pam.apply
    """
    return pam_host.apply(_minion(), service, path)


def forget(path=pam_host.PATH, test=False):
    """
    Leave nothing of what :func:`apply` changed, and return the changes (dict), empty for nothing.

    path
        The file of the service (str).
    test
        Only tell what would change (bool).

    The file is again what it was before; what others have changed since stays.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_pam.forget test=True
    """
    return pam_host.forget(_minion(), path, test)


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)
