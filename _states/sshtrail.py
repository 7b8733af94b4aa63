"""
Prove at the end of a highstate that the host is in its policy.

.. code-block:: yaml

    sshtrail policy:
      sshtrail.verified:
        - order: last
"""

import sshtrail_lib
from salt.exceptions import SaltException

sshtrail_lib.refresh()

from sshtrail_lib.drift import difference
from sshtrail_lib.policy import removal


def verified(name):
    """
    Compare the whole policy with files, kernel, daemons, packages and services, and fail when anything differs, or
    what people do is not recorded. What only endangers the trail (:py:func:`sshtrail.coverage`) is told.

    name
        Only a name (str).

    ``changes`` are always empty. In test mode it says what differs before the run, and succeeds: the states before
    it have told what they would change.

    .. code-block:: yaml

        sshtrail policy:
          sshtrail.verified:
            - order: last
    """
    differences = __salt__["sshtrail.drift"](fresh=True)
    good = __opts__["test"] or not any(difference.fails(entry) for entry in differences)
    comment = difference.sentences(differences) or "The host is in its policy: nothing differs."
    return {"name": name, "changes": {}, "result": good, "comment": comment}


def proven(name, age=0):
    """
    Have a proof that a login is recorded (:py:func:`sshtrail.prove`), and fail where a station loses it.

    name
        Only a name (str).
    age
        The age in seconds that the last proof may have (int); 0 for any.

    Nothing is done while the last one is good and young enough. ``changes`` are always empty.

    .. code-block:: yaml

        sshtrail proof:
          sshtrail.proven:
            - age: 172800
    """
    ret = {"name": name, "changes": {}, "result": True, "comment": "The last proof is good and young enough."}
    due = __salt__["sshtrail.proof"](age=age)
    if due and __opts__["test"]:
        return {**ret, "result": None, "comment": f"{due} A login would be made and followed."}
    if due:
        try:
            found = __salt__["sshtrail.prove"]()
        except SaltException as exc:
            return {**ret, "result": False, "comment": exc.message}
        ret.update(result=found["holds"], comment=" ".join([found["said"], *found["open"]]))
    return ret


def mod_watch(name, sfun=None, **kwargs):
    """
    Prove anew that a login is recorded, or compare anew, for something that the state watches has changed.

    name
        Only a name (str).
    sfun, kwargs
        The state's function and its other arguments, as Salt gives them. For :func:`proven` no proof is young enough.
    """
    if sfun == "proven":
        return proven(name, age=-1)
    return verified(name)


def removed(name):
    """
    Say what stays on a host that a policy was taken off.

    name
        Only a name (str).

    ``changes`` are always empty.

    .. code-block:: yaml

        sshtrail removed:
          sshtrail.removed
    """
    return {"name": name, "changes": {}, "result": True, "comment": removal.LEFT}
