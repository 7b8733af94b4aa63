"""
Put what a job has come to into the mine, where the master has authenticated whose it is.

What comes back over the bus can be sent by any minion in the name of another. The master asks with this returner, and
believes what is in the mine.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.drift import answers

__virtualname__ = "sshtrail_mine"


def __virtual__():
    return __virtualname__


def returner(ret):
    """
    Keep what a job has come to, in short, and put that into the mine; of other jobs than the master's runners ask
    for, nothing is kept.

    ret
        The job (dict), as Salt hands it to returners: ``jid``, ``fun``, ``return`` and ``metadata``.

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail.condition --return sshtrail_mine
    """
    answers.give(minion.Minion(__salt__, __opts__, {}, {}), ret)
