"""
Prove at the end of a highstate that the host is in its policy.

.. code-block:: yaml

    sshtrail policy:
      sshtrail.verified:
        - order: last
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.drift import difference


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
    told = "; ".join(difference.sentence(entry) for entry in differences)
    good = __opts__["test"] or not any(difference.fails(entry) for entry in differences)
    comment = told or "The host is in its policy: nothing differs."
    return {"name": name, "changes": {}, "result": good, "comment": comment}
