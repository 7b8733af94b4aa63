"""
The account that proofs log in to (:py:func:`sshtrail.prove`), and what a proof that was killed left behind.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.coverage import account as coverage_account
from sshtrail_lib.coverage import leftovers

__virtualname__ = "sshtrail_proof"


def __virtual__():
    return __virtualname__


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)


def diff(account):
    """
    Return what :py:func:`make` would change (dict of account to ``{"old": …, "new": …}``), and touch nothing.

    account
        The name of the account that proofs log in to (str), None for no such account.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_proof.diff sshtrail-proof
    """
    return coverage_account.diff(account)


def make(account):
    """
    Make the account that proofs log in to, and remove each other one that was made for it; return what changed (dict).

    account
        As for :py:func:`diff`.

    It is a system account to which no password leads, with ``/bin/sh`` for its shell and a home that is not its own and
    that is there only while a proof goes on. An account that somebody else made is refused.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_proof.make sshtrail-proof
    """
    return coverage_account.make(_minion(), account)


def clear():
    """
    Remove what a proof that was killed left behind (bool: whether there was anything), unless one is going on.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_proof.clear
    """
    return leftovers.clear(_minion())
