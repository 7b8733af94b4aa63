"""
Services, also on a host that did not boot with systemd; see :mod:`sshtrail_lib.base.service`.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion, service


def available(name):
    """
    Tell whether this host has the service (bool).

    name
        The service's name (str), such as ``ssh`` or ``auditd``.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.available auditd
    """
    return service.available(_minion(), name)


def status(name):
    """
    Tell whether the service runs (bool), or systemd waits at its socket to start it.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.status auditd
    """
    return service.status(_minion(), name)


def enabled(name):
    """
    Tell whether the service starts at boot (bool), or its socket does.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.enabled auditd
    """
    return service.enabled(_minion(), name)


def lost(name):
    """
    Return the pid (int) of a daemon that lives and that its pid file does not name, None where all is well.

    name
        The service's name (str).

    Its init script takes it for dead then. Known of auditd alone, whose pid the kernel tells.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.lost auditd
    """
    return service.lost(_minion(), name)


def found(name):
    """
    Have the pid file of a service name its daemon again; return the pid (int) where it did not, None where it did.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.found auditd
    """
    return service.found(_minion(), name)


def sources():
    """
    Return what the answer on what starts at boot depends on (list of str): directories, there or not.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.sources
    """
    return service.sources()


def start(name):
    """
    Start the service; returns True, or raises an error that holds what the init script said.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.start auditd
    """
    return service.start(_minion(), name)


def restart(name):
    """
    Restart the service; returns True, or raises an error that holds what the init script said.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.restart ssh
    """
    return service.restart(_minion(), name)


def enable(name):
    """
    Have the service start at boot; returns True, or raises an error that holds the reason.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.enable auditd
    """
    return service.enable(_minion(), name)


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)
