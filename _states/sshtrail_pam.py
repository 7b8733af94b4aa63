"""
Keep the line in sshd's PAM stack without which no process of a session is known as somebody's.

.. code-block:: yaml

    /etc/pam.d/sshd:
      sshtrail_pam.loginuid
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import state


def __virtual__():
    return "sshtrail_pam"


def loginuid(name="/etc/pam.d/sshd", service="sshd"):
    """
    Have every session of a service go by pam_loginuid.so, whatever the modules before it return.

    name
        The file of the service (str).
    service
        The PAM service (str).

    ``changes`` has the line that came, and the one that went for it. Fails, with nothing changed, where no line in
    that file would do; fails with the old file back where a session that was opened for a proof was refused or had no
    loginuid. Source: pam.conf(5), pam_loginuid(8).
    """
    proof = {}

    def plan():
        changes = __salt__["sshtrail_pam.diff"](service, name)
        return changes, f"A line for pam_loginuid.so would be in {name}." if changes else _comment(name, proof)

    return state.bring(
        name, __opts__["test"], plan, lambda: proof.update(__salt__["sshtrail_pam.apply"](service, name))
    )


def forgotten(name="/etc/pam.d/sshd"):
    """
    Leave nothing of what :func:`loginuid` changed.

    name
        The file of the service (str).

    The file is again what it was before; what others have changed since stays.
    """

    def plan():
        return __salt__["sshtrail_pam.forget"](name, test=True), f"Nothing is remembered of {name}."

    return state.bring(name, __opts__["test"], plan, lambda: __salt__["sshtrail_pam.forget"](name))


def mod_watch(name, sfun=None, **kwargs):
    """
    Compare anew, for something that the state watches has changed: PAM itself reads its files at each login.

    name
        As for the state's function (str).
    sfun, kwargs
        The state's function and its other arguments, as Salt gives them.
    """
    return forgotten(name) if sfun == "forgotten" else loginuid(name, kwargs.get("service", "sshd"))


def _comment(name, proof):
    told = {"proven": f" Proven: {proof.get('reason')}.", "": ""}.get(proof.get("outcome", ""))
    return f"Every session of {name} goes by pam_loginuid.so." + (
        f" It cannot be proven here: {proof['reason']}." if told is None else told
    )
