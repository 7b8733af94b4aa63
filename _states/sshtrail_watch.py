"""
Have the minion's schedule look for drift, and notice when somebody has silenced it.

.. code-block:: yaml

    sshtrail drift:
      sshtrail_watch.scheduled:
        - function: sshtrail_watch.tick
        - seconds: 10
        - splay: 2
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import state


def scheduled(name, function, seconds, **options):
    """
    Have a job in the minion's schedule: there, enabled, saved, and with these options alone.

    name
        The job's name (str).
    function
        What it runs (str).
    seconds
        The time between two runs (int, seconds).
    options
        Others of ``schedule.add``, such as ``splay`` (int, seconds) and ``maxrunning`` (int).

    Other than ``schedule.present`` it also enables a schedule that was disabled as a whole, and compares with the file
    that a start of the minion reads. Where the job has looked with another pillar than this run has, the minion
    refreshes the one that it holds in memory.

    .. code-block:: yaml

        sshtrail drift:
          sshtrail_watch.scheduled:
            - function: sshtrail_watch.tick
            - seconds: 10
    """
    given = {key: value for key, value in options.items() if not key.startswith("__")}
    done = _brought(name, {"function": function, "seconds": seconds, **given})
    if done["result"] and not __opts__["test"] and __salt__["sshtrail_watch.agree"]():
        done["comment"] += " The minion has read its pillar anew: it looks for drift from what this policy says."
    return done


def unscheduled(name):
    """
    Have no such job in the minion's schedule.

    name
        The job's name (str).

    .. code-block:: yaml

        sshtrail drift:
          sshtrail_watch.unscheduled
    """
    return _brought(name, None)


def mod_watch(name, sfun=None, **kwargs):
    """
    Compare anew, for something that the state watches has changed.

    name
        As for the state's function (str).
    sfun, kwargs
        The state's function and its other arguments, as Salt gives them.
    """
    return unscheduled(name) if sfun == "unscheduled" else scheduled(name, **kwargs)


def _brought(name, wanted):
    def plan():
        changes = __salt__["sshtrail_schedule.compare"](name, wanted)
        wrong = "; ".join(f"The {what} is {one['old'] or 'absent'}." for what, one in changes.items())
        return changes, wrong or f"The schedule has {'the' if wanted else 'no'} job {name}."

    return state.bring(name, __opts__["test"], plan, lambda: __salt__["sshtrail_schedule.schedule"](name, wanted))
