"""
Have a service run, now and after a boot, whichever init this host has.

.. code-block:: yaml

    auditd:
      sshtrail_service.running
"""

import sshtrail_lib
from salt.exceptions import CommandExecutionError

sshtrail_lib.refresh()

from sshtrail_lib.base import state


def running(name, enable=True):
    """
    Have a service run, and start at boot.

    name
        The service's name (str).
    enable
        Also have it start at boot (bool).

    ``changes`` are keyed ``running`` and ``enabled``, and ``pid file`` where that did not name the auditd that lives:
    its init script would start a second one. Other than ``service.running`` it does its work where systemd
    is installed but not running, and it asks the service again before it claims success.

    .. code-block:: yaml

        ssh:
          sshtrail_service.running
    """
    wanted = {"running": True, "enabled": True} if enable else {"running": True}
    return state.bring(name, __opts__["test"], lambda: _plan(name, wanted), lambda: _act(name, wanted))


def _plan(name, wanted):
    if not __salt__["sshtrail_service.available"](name):
        missing = dict.fromkeys(wanted, False)
        raise state.NotInstalled(f"There is no service {name} here yet.", state.changes(missing, wanted))
    changes = state.changes(_actual(name), wanted)
    pid = __salt__["sshtrail_service.lost"](name)
    if not changes and not pid:
        return {}, f"The service {name} is {' and '.join(wanted)}."
    said = [f"is not {' and not '.join(changes)}"] if changes else []
    if pid:
        changes["pid file"] = {"old": None, "new": pid}
        said.append(f"lives as pid {pid}, which its pid file does not name")
    return changes, f"The service {name} {' and '.join(said)}."


def _actual(name):
    return {
        "running": bool(__salt__["sshtrail_service.status"](name)),
        "enabled": bool(__salt__["sshtrail_service.enabled"](name)),
    }


def _act(name, wanted):
    changes, _ = _plan(name, wanted)
    if "pid file" in changes:
        __salt__["sshtrail_service.found"](name)
    if "enabled" in changes:
        __salt__["sshtrail_service.enable"](name)
    if "running" in changes:
        __salt__["sshtrail_service.start"](name)


def mod_watch(name, sfun=None, **kwargs):
    """
    Restart the service, for something that the state watches has changed; auditd reads its configuration again instead.

    name
        The service's name (str).
    sfun, kwargs
        The state's function and its other arguments, as Salt gives them.

    A restart of auditd would leave a moment in which nothing is recorded. The states of this project have their daemons
    take up what they change: nothing need watch those.
    """
    if name == "auditd":
        return __states__["auditd_conf.mod_watch"](name, sfun="present")
    return state.watched(name, __opts__["test"], name, "restarted", lambda: _restart(name))


def _restart(name):
    done = __salt__["sshtrail_service.restart"](name)
    if not __salt__["sshtrail_service.status"](name):
        raise CommandExecutionError(f"The service {name} was restarted and does not run.")
    return done
