"""
Services, also on a host that did not boot with systemd.

Where systemd's tools are installed but systemd does not run, Salt's own ``service`` module speaks to it all the same,
and its states report success without having done anything; elsewhere it wants ``runlevel``, which small systems lack.
So without systemd the init scripts are asked themselves, and with it Salt's ``service`` module.
"""

from __future__ import annotations

import os
import re
import time
import typing
from collections.abc import Callable

import salt.utils.path
import salt.utils.systemd
from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, kernel, processes, text
from sshtrail_lib.base.minion import Minion

SCRIPTED = ("Debian", "RedHat", "Suse")
INIT_DIR = "/etc/init.d"
# One link for each runlevel in which the service starts; Debian's and Red Hat's place for them.
RUNLEVELS = "/etc/rc{}.d"
# Where systemd's links tell what starts at boot, and what was changed by hand.
UNITS = [
    *(f"/etc/systemd/system{wanted}" for wanted in ("", "/multi-user.target.wants", "/sockets.target.wants")),
    "/run/systemd/system",
]
#: systemctl(1), is-enabled: these have no link of their own that lasts; they start where a target wants them.
WANTED = ("static", "indirect", "generated")
#: What wants a unit; a target that the host does not boot to is none.
WANTS = ("WantedBy", "RequiredBy", "UpheldBy")
ELSEWHERE = ("rescue.target", "emergency.target", "shutdown.target", "reboot.target", "poweroff.target", "halt.target")
#: Of a unit, or of a script below /etc/init.d: no path, and no option (systemd.unit(5)).
NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@-]{0,254}")
START_LINK = r"S\d+{}"
#: How long after the end of its script a daemon may leave its pid file (seconds): it has two processes until then.
LEFT_WITHIN = 10.0


#: Seconds in which systemd tells what it has: it waits for no service then.
ASKING = 30.0


class Process(typing.NamedTuple):
    """The file that a daemon leaves for its init script, which judges by it (str), and the daemon's name (str)."""

    pidfile: str
    name: str


PROCESSES = {
    "ssh": Process("/run/sshd.pid", "sshd"),
    "sshd": Process("/run/sshd.pid", "sshd"),
    "auditd": Process("/run/auditd.pid", "auditd"),
}


class ServiceError(CommandExecutionError):
    """A service could not be started or enabled; the message holds what its script said."""


def check(name: str) -> str:
    """
    Return a service's ``name`` (str) if it can be one.

    Raises :class:`ServiceError`: a name becomes part of a path that is run, and an argument of programs.
    """
    if not isinstance(name, str) or not NAME.fullmatch(name):
        raise ServiceError(f"{text.line(repr(name))} cannot be the name of a service.")
    return name


def available(minion: Minion, name: str) -> bool:
    """Tell whether this host has the service ``name`` (str)."""
    check(name)
    return _has_script(name) if _scripts(minion) else minion.salts("service.available", name)


def status(minion: Minion, name: str) -> bool:
    """Tell whether the service ``name`` (str) runs, or systemd waits at its socket to start it."""
    check(name)
    return _runs(minion, name) if _scripts(minion) else _itself_or_socket(minion, name, "status")


def lost(minion: Minion, name: str) -> int | None:
    """
    Return the pid (int) of a daemon that lives and that its pid file does not name, None where all is well.

    Its init script takes it for dead then, starts a second one, and can neither stop nor reload it. Only of the
    kernel's audit daemon something else tells the pid: the kernel. With systemd the unit's control group does.
    """
    known = PROCESSES.get(name)
    if name != "auditd" or known is None or not _scripts(minion):
        return None
    try:
        pid = kernel.status()["pid"]
    except (kernel.KernelError, kernel.LibraryError):
        return None
    ours = pid and processes.comm(pid) == os.fsencode(known.name) and processes.shares_mounts(pid)
    return pid if ours and processes.process(known.pidfile, [known.name]) != pid else None


def found(minion: Minion, name: str) -> int | None:
    """Have the pid file of a service name its daemon again; return the pid (int) where it did not, as :func:`lost`."""
    pid = lost(minion, name)
    if pid:
        files.replace(PROCESSES[name].pidfile, b"%d\n" % pid)
    return pid


def enabled(minion: Minion, name: str) -> bool:
    """Tell whether the service ``name`` (str) starts at boot, or its socket does."""
    check(name)
    if not _scripts(minion):
        return _itself_or_socket(minion, name, "enabled")
    link = re.compile(START_LINK.format(re.escape(name)))
    levels = [RUNLEVELS.format(level) for level in "2345"]
    return any(link.fullmatch(entry) for level in levels if os.path.isdir(level) for entry in os.listdir(level))


def sources() -> list[str]:
    """Return what the answer on what starts at boot depends on (list of str): directories, there or not."""
    return [INIT_DIR, *(RUNLEVELS.format(level) for level in "2345"), *UNITS]


def start(minion: Minion, name: str) -> bool:
    """Start the service ``name`` (str); returns True, or raises :class:`ServiceError` with what its script said."""
    return _do(minion, name, "start", lambda: _run(minion, _script(name), "start")) and _settled(minion, name)


def restart(minion: Minion, name: str) -> bool:
    """Restart the service ``name`` (str); returns True, or raises :class:`ServiceError` with what its script said."""
    return _do(minion, name, "restart", lambda: _run(minion, _script(name), "restart")) and _settled(minion, name)


def enable(minion: Minion, name: str) -> bool:
    """Have the service ``name`` (str) start at boot; returns True, or raises :class:`ServiceError` with the reason."""
    return _do(minion, name, "enable", lambda: _enable(minion, name))


def _do(minion: Minion, name: str, what: str, by_script: Callable[[], dict[str, typing.Any]]) -> bool:
    check(name)
    if not _scripts(minion):
        if not minion.salts(f"service.{what}", name):
            raise ServiceError(f"The service {name} did not {what}; its log says why.")
        return True
    done = by_script()
    if done["retcode"]:
        said = done["stderr"] or done["stdout"] or f"exit status {done['retcode']}"
        raise ServiceError(f"The service {name} did not {what}: {said}")
    return True


def _settled(minion: Minion, name: str) -> bool:
    """Wait until the daemon that a script has started has left its pid file, without which nobody finds it; True."""
    end = time.monotonic() + LEFT_WITHIN
    while _scripts(minion) and name in PROCESSES and not _process(name) and time.monotonic() < end:
        time.sleep(0.02)
    return True


def _itself_or_socket(minion: Minion, name: str, what: str) -> bool:
    systemd = bool(salt.utils.systemd.booted(minion.context))

    def ask(unit: str) -> bool:
        by_systemd = systemd and what == "enabled"
        return _starts(minion, unit) if by_systemd else bool(minion.salts(f"service.{what}", unit))

    # Ubuntu has ssh.socket enabled and ssh.service not; to enable that too would end the activation on demand.
    return ask(name) or (systemd and ask(f"{name}.socket"))


def _starts(minion: Minion, unit: str) -> bool:
    """
    Tell whether systemd starts a ``unit`` (str) at the next boot.

    Its exit status, which Salt goes by, is 0 too for a link below /run, which is gone by then, and for a unit that
    nothing wants.
    """
    state = minion.run("systemctl", "is-enabled", "--", unit, seconds=ASKING)["stdout"].strip()
    if state == "alias":
        # Of an alias only the unit that it leads to is told.
        unit = _shown(minion, unit, "Id")[0]
        state = minion.run("systemctl", "is-enabled", "--", unit, seconds=ASKING)["stdout"].strip()
    if state not in WANTED:
        return state == "enabled"
    return any(one.endswith(".target") and one not in ELSEWHERE for one in _shown(minion, unit, *WANTS))


def _shown(minion: Minion, unit: str, *properties: str) -> list[str]:
    """Return the words (list of str) that properties (str) of a ``unit`` (str) have."""
    asked = [f"--property={one}" for one in properties]
    told = minion.run("systemctl", "show", *asked, "--", unit, seconds=ASKING)["stdout"]
    return [word for line in told.splitlines() for word in line.partition("=")[2].split()] or [""]


def _enable(minion: Minion, name: str) -> dict[str, typing.Any]:
    # Debian has the one, Red Hat and SUSE the other.
    if salt.utils.path.which("update-rc.d"):
        _run(minion, "update-rc.d", name, "defaults")
        return _run(minion, "update-rc.d", name, "enable")
    return _run(minion, "chkconfig", name, "on")


def _scripts(minion: Minion) -> bool:
    """Tell whether this host is run by init scripts; others than these families are left to Salt."""
    return minion.grains["os_family"] in SCRIPTED and not salt.utils.systemd.booted(minion.context)


def _runs(minion: Minion, name: str) -> bool:
    """
    Ask the init script, unless it told before of the very process that still runs.

    A run of Salt asks twice, and the scripts take longer than all the rest that is looked at.
    """
    key, process = f"sshtrail_service.{name}", _process(name)
    if (process and minion.context.get(key) == process) or lost(minion, name):
        return True
    if not _has_script(name) or _is_anothers(name):
        return False
    runs = _run(minion, _script(name), "status")["retcode"] == 0
    minion.context[key] = process if runs else None
    return runs


def _process(name: str) -> tuple[int, bytes] | None:
    """Return the service's living process (pid, and when it started), or None where nothing tells which it is."""
    known = PROCESSES.get(name)
    pid = processes.process(known.pidfile, [known.name]) if known else None
    # Anybody can call himself so, and wait for the pid.
    return (pid, processes.birth(pid)) if pid and processes.owner(pid) in (0, os.geteuid()) else None


def _is_anothers(name: str) -> bool:
    """Tell whether the pid that a daemon left is another's now (bool): scripts ask only whether there is such."""
    known = PROCESSES.get(name)
    pid = processes.named(known.pidfile) if known else None
    return pid is not None and processes.owner(pid) >= 0 and not _process(name)


def _script(name: str) -> str:
    return os.path.join(INIT_DIR, name)


def _has_script(name: str) -> bool:
    return os.access(_script(name), os.X_OK)


def _run(minion: Minion, *argv: str) -> dict[str, typing.Any]:
    # What is started lives on with the variables that it gets here, and what a script says is for people.
    done = minion.run(*argv, plain=True)
    return {**done, **{name: done[name].rstrip() for name in ("stdout", "stderr")}}
