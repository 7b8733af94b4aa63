"""
Services, also on a host that did not boot with systemd.

Where systemd's tools are installed but systemd does not run, Salt's own ``service`` module speaks to it all the same,
and its states report success without having done anything; elsewhere it wants ``runlevel``, which small systems lack.
So without systemd the init scripts are asked themselves, and with it Salt's ``service`` module.
"""

import os
import re

import salt.utils.path
import salt.utils.systemd
from salt.exceptions import CommandExecutionError
from sshtrail_lib.auditd import host as auditd_host
from sshtrail_lib.base import processes

SCRIPTED = ("Debian", "RedHat", "Suse")
INIT_DIR = "/etc/init.d"
# One link for each runlevel in which the service starts; Debian's and Red Hat's place for them.
RUNLEVELS = "/etc/rc{}.d"
# Where systemd's links tell what starts at boot, and what was changed by hand.
UNITS = [f"/etc/systemd/system{wanted}" for wanted in ("", "/multi-user.target.wants", "/sockets.target.wants")]
START_LINK = r"S\d+{}"
# The file that the daemon leaves for its script, which judges by it, and the daemon's name.
PROCESSES = {
    "ssh": ("/run/sshd.pid", ["sshd"]),
    "sshd": ("/run/sshd.pid", ["sshd"]),
    "auditd": (auditd_host.PIDFILE, ["auditd"]),
}


class ServiceError(CommandExecutionError):
    """A service could not be started or enabled; the message holds what its script said."""


def available(name):
    """
    Tell whether this host has the service (bool).

    name
        The service's name (str), such as ``ssh`` or ``auditd``.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.available auditd
    """
    return os.access(_script(name), os.X_OK) if _scripts() else __salt__["service.available"](name)


def status(name):
    """
    Tell whether the service runs (bool), or systemd waits at its socket to start it.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.status auditd
    """
    return _runs(name) if _scripts() else _itself_or_socket(name, "status")


def enabled(name):
    """
    Tell whether the service starts at boot (bool), or its socket does.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.enabled auditd
    """
    if not _scripts():
        return _itself_or_socket(name, "enabled")
    link = re.compile(START_LINK.format(re.escape(name)))
    levels = [RUNLEVELS.format(level) for level in "2345"]
    return any(link.fullmatch(entry) for level in levels if os.path.isdir(level) for entry in os.listdir(level))


def sources():
    """
    Return what the answer on what starts at boot depends on (list of str): directories, there or not.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.sources
    """
    return [INIT_DIR, *(RUNLEVELS.format(level) for level in "2345"), *UNITS]


def start(name):
    """
    Start the service; returns True, or raises an error that holds what the init script said.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.start auditd
    """
    return _do(name, "start", lambda: _run(_script(name), "start"))


def enable(name):
    """
    Have the service start at boot; returns True, or raises an error that holds the reason.

    name
        The service's name (str).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_service.enable auditd
    """
    return _do(name, "enable", lambda: _enable(name))


def _do(name, what, by_script):
    if not _scripts():
        if not __salt__[f"service.{what}"](name):
            raise ServiceError(f"The service {name} did not {what}; its log says why.")
        return True
    done = by_script()
    if done["retcode"]:
        said = done["stderr"] or done["stdout"] or f"exit status {done['retcode']}"
        raise ServiceError(f"The service {name} did not {what}: {said}")
    return True


def _itself_or_socket(name, what):
    ask = __salt__[f"service.{what}"]
    # Ubuntu has ssh.socket enabled and ssh.service not; to enable that too would end the activation on demand.
    return ask(name) or (salt.utils.systemd.booted(__context__) and ask(f"{name}.socket"))


def _enable(name):
    # Debian has the one, Red Hat and SUSE the other.
    if salt.utils.path.which("update-rc.d"):
        _run("update-rc.d", name, "defaults")
        return _run("update-rc.d", name, "enable")
    return _run("chkconfig", name, "on")


def _scripts():
    """Tell whether this host is run by init scripts; others than these families are left to Salt."""
    return __grains__["os_family"] in SCRIPTED and not salt.utils.systemd.booted(__context__)


def _runs(name):
    """
    Ask the init script, unless it told before of the very process that still runs.

    A run of Salt asks twice, and the scripts take longer than all the rest that is looked at.
    """
    key, process = f"sshtrail_service.{name}", _process(name)
    if process and __context__.get(key) == process:
        return True
    runs = _run(_script(name), "status")["retcode"] == 0
    __context__[key] = process if runs else None
    return runs


def _process(name):
    """Return the service's living process (pid, and when it started), or None where nothing tells which it is."""
    pid = processes.process(*PROCESSES[name]) if name in PROCESSES else None
    return (pid, processes.birth(pid)) if pid else None


def _script(name):
    return os.path.join(INIT_DIR, name)


def _run(*argv):
    # No variables of the caller's beyond a plain path: a daemon keeps what it is started with.
    return __salt__["cmd.run_all"](
        list(argv),
        python_shell=False,
        clean_env=True,
        env={"LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"},
        ignore_retcode=True,
    )
