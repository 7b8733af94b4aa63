"""
Have a service run, now and after a boot, whichever init this host has.

.. code-block:: yaml

    auditd:
      sshtrail_service.running
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import state


def running(name, enable=True):
    """
    Have a service run, and start at boot.

    name
        The service's name (str).
    enable
        Also have it start at boot (bool).

    ``changes`` are keyed ``running`` and ``enabled``. Other than ``service.running`` it does its work where systemd
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
    lacks = " and not ".join(changes)
    return (
        changes,
        f"The service {name} is not {lacks}." if changes else f"The service {name} is {' and '.join(wanted)}.",
    )


def _actual(name):
    return {
        "running": bool(__salt__["sshtrail_service.status"](name)),
        "enabled": bool(__salt__["sshtrail_service.enabled"](name)),
    }


def _act(name, wanted):
    changes, _ = _plan(name, wanted)
    if "enabled" in changes:
        __salt__["sshtrail_service.enable"](name)
    if "running" in changes:
        __salt__["sshtrail_service.start"](name)
