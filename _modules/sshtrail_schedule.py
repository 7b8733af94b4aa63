"""
The jobs of the minion's schedule: as they are asked for, and as they are.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.drift import schedule as drift_schedule
from sshtrail_lib.drift import watch

__virtualname__ = "sshtrail_schedule"


def __virtual__():
    return __virtualname__


def compare(name, wanted):
    """
    Return how a job of the minion's schedule differs from what is asked for (dict), empty where it does not.

    name
        The job's name (str).
    wanted
        Its ``function``, ``seconds`` and other options, as ``schedule.add`` takes them (dict), None for no such job.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_schedule.compare 'sshtrail drift' '{function: sshtrail_watch.tick, seconds: 10}'
    """
    return drift_schedule.compare(_minion(), name, wanted)


def schedule(name, wanted):
    """
    Have a job in the minion's schedule as it is asked for; the whole schedule is enabled. Arguments are those of
    :py:func:`compare`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_schedule.schedule 'sshtrail drift' '{function: sshtrail_watch.tick, seconds: 10}'
    """
    drift_schedule.bring(_minion(), name, wanted)
    watch.scheduled(_minion(), bool(wanted))


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)
