"""
How it is with a question that the master has put to this minion, and what it has answered.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.drift import answers

__virtualname__ = "sshtrail_answer"


def __virtual__():
    return __virtualname__


def job(jid):
    """
    Return how it is with a job that the master has published (dict): whether it is ``running`` (bool), and the
    ``answer`` that this minion has given to it (dict), None for none.

    jid
        The job's number (str).

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_answer.job 20261125224146000000
    """
    return answers.job(_minion(), str(jid))


def answer(jid):
    """
    Return what this minion has put into the mine as its answer to a job (dict), None for nothing.

    jid
        The job's number (str).

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_answer.answer 20261125224146000000
    """
    return answers.kept(_minion(), str(jid))


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)
