"""
Tell the master of drift: once when it comes, once when it has gone, and never while a state run is going on.

The minion's schedule runs :py:func:`tick`, so that this module imports little: where nothing has changed since the last
look there is no process started and nothing parsed.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.drift import watch

__virtualname__ = "sshtrail_watch"


def __virtual__():
    return __virtualname__


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)


def tick():
    """
    Look for drift, and tell the master what is new (str: what was done).

    First a claim is put into the mine, which the master keeps under the name of the minion that it has
    authenticated, and is read back; then the event ``sshtrail/drift/found`` is sent, and ``…/gone`` when nothing
    differs any more. What could not be told is told at the next tick. Nothing is told while a state run of this
    minion is going on, nor while it is silent (:py:func:`silence`).

    Every few minutes (``sshtrail:drift:heartbeat``) it looks at everything, sshd's greeting included, and puts a
    heartbeat into the mine. A look that fails raises nothing: the heartbeat tells why, at once.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_watch.tick
    """
    return watch.tick(_minion(), __pillar__)


def again(about, changes):
    """
    Remember that something was changed, and return a sentence (list of str) for each change that something else undoes.

    about
        What was changed (str): a file, say.
    changes
        ``{what: {"old": …, "new": …}}`` (dict), as states tell them.

    The third time within a day that the same change is made is told: two writers undo each other.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_watch.again /etc/motd '{"line": {"old": "a", "new": "b"}}'
    """
    return watch.again(_minion(), about, changes)


def claim():
    """
    Return what this minion claims of itself in the mine (dict), None while it does not drift.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_watch.claim
    """
    return watch.claimed(_minion())


def heartbeat():
    """
    Return what this minion last told the master of its watch (dict): see
    :class:`sshtrail_lib.drift.heartbeat.Beat`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_watch.heartbeat
    """
    return watch.beaten(_minion())


def agree():
    """
    Have the schedule look with the pillar that this is called with (bool: whether it had another).

    The state :py:func:`sshtrail_watch.scheduled` calls it: in a state run the pillar is that of the master, and what
    the schedule runs has the one that the minion holds in memory, which is then refreshed.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_watch.agree
    """
    return watch.agree(_minion(), __pillar__)


def silence(minutes, reason):
    """
    Tell nothing of drift for a while, so that nothing is repaired: a maintenance window.

    minutes
        How long (int, 1 to 1,440). It ends by itself, also when the host was rebooted.
    reason
        Why (str, one line of at most 200 characters).

    Leaves a record of its own: in syslog, in the audit trail (a user message), and as the event
    ``sshtrail/drift/silenced``. Returns when it ends (str, ISO 8601 in UTC).

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_watch.silence 60 'change 4711: new bastion'
    """
    return watch.silence(_minion(), minutes, reason)


def resume():
    """
    End a silence before its time (bool: whether there was one). It leaves a record as :py:func:`silence` does.

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_watch.resume
    """
    return watch.resume(_minion())
