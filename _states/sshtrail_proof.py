"""
Have an account to which nobody can log in but a proof that logins are recorded.

.. code-block:: yaml

    sshtrail proof account:
      sshtrail_proof.account:
        - account: sshtrail-proof
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import state


def account(name, account=None):
    """
    Have the account that :py:func:`sshtrail.prove` logs in to, and no other one that was made for that.

    name
        Only a name (str).
    account
        The name of the account (str), or None for no such account.

    ``changes`` are keyed by the names of accounts. An account that somebody else made is refused.

    .. code-block:: yaml

        sshtrail proof account:
          sshtrail_proof.account:
            - account: sshtrail-proof
    """
    return state.bring(name, __opts__["test"], lambda: _plan(account), lambda: __salt__["sshtrail_proof.make"](account))


def mod_watch(name, sfun=None, **kwargs):
    """
    Compare anew, for something that the state watches has changed.

    name
        As for the state's function (str).
    sfun, kwargs
        The state's function and its other arguments, as Salt gives them.
    """
    return account(name, kwargs.get("account"))


def _plan(account):
    changes = __salt__["sshtrail_proof.diff"](account)
    wanted = f"the account {account} for proofs" if account else "no account for proofs"
    return changes, f"There is {wanted}." if not changes else f"There is to be {wanted}."
