"""
The sshd that runs with a configuration: whether it has read the files, and how it takes up others or comes back.

It listens itself, or systemd listens for it on a socket and starts one sshd for all connections.
"""

from __future__ import annotations

import contextlib
import os
import typing
from collections.abc import Callable, Collection, Sequence

import salt.utils.systemd
from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import processes, programs, service
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.sshd import effective, include, oracle
from sshtrail_lib.sshd import endpoints as sshd_endpoints
from sshtrail_lib.sshd import listener as sshd_listener
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.listener import Listener

#: The main file that sshd reads when it is not told another one.
DEFAULT = "/etc/ssh/sshd_config"
# A listener that was told to start anew answers within a second; a loaded host may need much longer.
DEADLINE = 30.0
#: How a difference is called that the command line makes.
OVERRULED = "{} (command line of sshd)"
#: What stands for a value of the command line that nobody can read any more.
UNREADABLE = "…"
_SOCKETS = ("ssh.socket", "sshd.socket")
_SERVICES = ("ssh", "sshd")


class ListenerError(CommandExecutionError):
    """sshd did not answer with the new configuration; the old one is back."""


def pidfile_of(tree: Tree) -> str:
    """Return the path (str) of the PidFile that ``tree`` (Tree) tells, ``none`` for none, or for sshd's own default
    where there is no sshd."""
    found = effective.effective(tree).get("PidFile")
    return found.value if found else "none"


def pidfile(minion: Minion, tree: Tree) -> str:
    """Return the path (str) of the PidFile of the sshd that runs with ``tree`` (Tree): mostly that which this names."""
    named = pidfile_of(tree)
    # Who is asked how it was started may start a program for that.
    found = None if processes.process(named, ["sshd"]) else listening(minion, tree)
    return found.pidfile if found else named


def listening(minion: Minion, tree: Tree) -> Listener | None:
    """Return the Listener that runs with the main file of ``tree`` (Tree), None when there is none."""
    return sshd_listener.find(pidfile_of(tree), tree.path, DEFAULT, minion)


def watched(tree: Tree) -> list[str]:
    """Return the files of ``tree`` (Tree), and the directories in which a new file would be included (list of str)."""
    return [*tree.files, *(path for path in include.directories(tree) if os.path.isdir(path))]


def has_read(minion: Minion, listener: Listener, tree: Tree) -> bool:
    """Return whether ``listener`` (Listener) certainly works with ``tree`` (Tree) as it is on the disk."""
    # Each time it reads its files, it writes its pid anew. Without a PidFile only what we had it read is known.
    return processes.has_read(listener.pid, watched(tree), minion.run_dir, again=listener.stamp[1] / 1e9)


def rewritten(listener: Listener, tree: Tree) -> bool:
    """Return whether a file of ``tree`` (Tree) was written after ``listener`` (Listener) has read it (bool)."""
    return processes.rewritten(listener.pid, watched(tree), again=listener.stamp[1] / 1e9)


def overruled(
    minion: Minion, listener: Listener, tree: Tree, names: Collection[str]
) -> dict[str, tuple[list[str], list[str]]]:
    """
    Return what the command line of ``listener`` (Listener) decides, and not ``tree`` (Tree).

    names
        The canonical keywords to tell of (collection of str).

    Returns ``{keyword: (what it decides, what the files say)}``, each as the lines that ``sshd -T`` prints (list of
    str), the first UNREADABLE where only the keyword can still be read.
    """
    command = listener.command
    if not command.options and command.whole:
        return {}
    with oracle.candidate(minion, tree) as sshd:
        plain = sshd.dump()
        try:
            told = sshd.dump(options=command.options)
        except oracle.RefusedError:
            # What was read in a title can be something else.
            told = plain
    found = {name: (told.get(name, []), plain.get(name, [])) for name in names if told.get(name) != plain.get(name)}
    cut = [name for name in names if command.cut and name.lower().startswith(command.cut.lower())]
    return {**found, **{name: ([UNREADABLE], plain.get(name, [])) for name in cut}}


class Running(typing.NamedTuple):
    """
    What answers connections for a configuration now.

    minion
        What runs programs (Minion).
    listener
        The sshd that listens itself (Listener), None when none does.
    socket
        The unit (str) through which systemd listens for sshd, or None.
    endpoints
        Where it answers: ``ADDRESS:PORT`` (list of str).
    options
        Those of its command line that bear on the configuration (tuple of str), None where they decide where it
        listens, and nobody can tell how.
    """

    minion: Minion
    listener: Listener | None
    socket: str | None
    endpoints: list[str]
    options: tuple[str, ...] | None = ()

    def __bool__(self) -> bool:
        return bool(self.listener or self.socket)

    def endpoints_with(self, tree: Tree) -> list[str]:
        """Return where it will listen with ``tree`` (Tree); its command line may override the files."""
        if not self:
            return []
        if self.options is None and self.listener:
            return sshd_listener.held(self.listener)
        return _endpoints(self.minion, tree, self.options or ())

    def take_up(self, tree: Tree, endpoints: Sequence[str]) -> None:
        """
        Have it work with the files as they are now, and wait until it does.

        tree
            What they are (Tree).
        endpoints
            Where it has to answer then (:meth:`endpoints_with`).

        Raises ListenerError when it does not.
        """
        if self.socket:
            restart_socket(self.minion, self.socket, endpoints, moved=self.endpoints != endpoints)
        elif self.listener:
            _reload(self.minion, self.listener, tree, endpoints)

    def check(self, tree: Tree) -> None:
        """
        Raise ListenerError where nothing runs that could prove ``tree`` (Tree), and a sshd could not start with it.

        So that an address which ended a sshd does not come back with the next change.
        """
        if self:
            return
        missing = sshd_endpoints.elsewhere(_endpoints(self.minion, tree, ()))
        if missing:
            raise ListenerError(f"sshd could not start: this host has no address {', '.join(missing)} to listen at")

    def bring_back(self, tree: Tree) -> str:
        """
        Have it answer as before, with the files as they were before.

        tree
            What they are again (Tree).

        Returns what is missing, in words (str); empty when it answers.
        """
        if self.socket:
            return _revive_socket(self.minion, self.socket, self.endpoints)
        return _revive(self.minion, self.listener, tree, self.endpoints) if self.listener else ""


def running(minion: Minion, tree: Tree) -> Running:
    """Return what answers connections for the main file of ``tree`` (Tree) now (Running, false when nothing does)."""
    found = Running(minion, listening(minion, tree), _socket(minion, tree.path), [])
    # sshd may well refuse the present files, and then nobody can tell where it answers.
    with contextlib.suppress(oracle.RefusedError):
        found = found._replace(options=_options(minion, found.listener, tree))
        return found._replace(endpoints=found.endpoints_with(tree))
    return found


def _options(minion: Minion, listener: Listener | None, tree: Tree) -> tuple[str, ...] | None:
    """
    Return the options of ``listener`` as for Running. Where its command line is not certain, those count with which a
    sshd would listen where this one does.
    """
    if listener is None:
        return ()
    options = tuple(listener.command.options)
    if listener.command.sure:
        return options
    places = set(sshd_listener.held(listener))
    for tried in ((), options) if options else ((),):
        with contextlib.suppress(oracle.RefusedError):
            found = _endpoints(minion, tree, tried)
            if places <= set(found) and not sshd_endpoints.unheard(found):
                return tried
    return None


def _endpoints(minion: Minion, tree: Tree, options: Sequence[str]) -> list[str]:
    with oracle.candidate(minion, tree) as sshd:
        return sshd.dump(options=options).get("ListenAddress", [])


def _socket(minion: Minion, path: str) -> str | None:
    if not salt.utils.systemd.booted(minion.context) or os.path.realpath(path) != os.path.realpath(DEFAULT):
        return None
    return next((unit for unit in _SOCKETS if minion.salts("service.status", unit)), None)


def restart_socket(minion: Minion, unit: str, endpoints: Sequence[str], moved: bool = True) -> None:
    """
    End the sshd that systemd started for its socket: the next connection starts one with the present files, and
    sessions survive. Where the endpoints have ``moved``, systemd has to read Port and ListenAddress again, and takes a
    new socket only while the service is down.

    minion
        What runs systemctl (Minion).
    unit
        The socket's unit (str).
    endpoints
        Where it has to answer then: ``ADDRESS:PORT`` (list of str).

    Raises ListenerError.
    """
    stop = ["stop", unit.replace(".socket", ".service")]
    for command in (["daemon-reload"], stop, ["restart", unit]) if moved else (stop,):
        try:
            result = minion.run("systemctl", *command)
        except programs.LateError as exc:
            raise ListenerError(f"systemctl {' '.join(command)} fails: {exc.message}") from exc
        if result["retcode"]:
            raise ListenerError(f"systemctl {' '.join(command)} fails: {result['stderr'].strip()}")
    missing = sshd_listener.wait_for(endpoints, DEADLINE)
    if missing:
        raise ListenerError(f"{unit} does not answer with the new configuration: {missing}")


def _reload(minion: Minion, listener: Listener, tree: Tree, endpoints: Sequence[str]) -> None:
    oracle.provide_separation_directory()
    pidfile = listener.command.keyword("PidFile") or pidfile_of(tree)
    written = _written(listener, pidfile)
    before = written()
    sshd_listener.reload(listener)
    alive = _patient(lambda: sshd_listener.alive(listener))
    last = pidfile != sshd_listener.NO_FILE
    missing = sshd_listener.wait(written, before, endpoints, DEADLINE, alive, last)
    if missing:
        raise ListenerError(f"sshd does not answer with the new configuration: {missing}")
    processes.mark(listener.pid, watched(tree), minion.run_dir)


def _written(listener: Listener, pidfile: str) -> Callable[[], sshd_listener.Stamp | None]:
    """Return what tells whether a listener has begun anew: its PidFile (str), or the sockets that it holds."""
    if pidfile == sshd_listener.NO_FILE:
        return lambda: sshd_listener.held_since(listener.pid)
    return lambda: sshd_listener.stamp(pidfile)


def _patient(running: Callable[[], bool]) -> Callable[[], bool]:
    """The process is for a moment not recognisable while it starts itself anew: believe only repeated absence."""
    absences: list[int] = []

    def still() -> bool:
        absences.append(0 if running() else 1)
        return sum(absences[-10:]) < 10

    return still


def _revive_socket(minion: Minion, unit: str, endpoints: Sequence[str]) -> str:
    try:
        restart_socket(minion, unit, endpoints)
    except ListenerError as exc:
        return exc.message
    return ""


def _revive(minion: Minion, listener: Listener, tree: Tree, endpoints: Sequence[str]) -> str:
    written, alive = _written(listener, listener.pidfile), sshd_listener.alive(listener)
    before = written()
    oracle.provide_separation_directory()
    if alive:
        sshd_listener.reload(listener)
    else:
        _start(minion, tree.path, listener)
    last = listener.pidfile != sshd_listener.NO_FILE
    if alive or last:
        missing = sshd_listener.wait(written, before, endpoints, DEADLINE, last=last)
    else:
        # Another process, which writes no pid, holds other sockets.
        missing = sshd_listener.wait_for(endpoints, DEADLINE)
    again = None if missing else listening(minion, tree)
    if again:
        processes.mark(again.pid, watched(tree), minion.run_dir)
    return missing


def _start(minion: Minion, path: str, listener: Listener) -> None:
    """Start sshd again: the service where it is the service's, else with the options that it had."""
    if os.path.realpath(path) == os.path.realpath(DEFAULT) and _started_service(minion):
        return
    # The installed sshd and no other, with options that sshd has: nothing of /proc is executed.
    argv = [oracle.binary() or "sshd", "-f", path, *listener.command.options]
    if listener.command.foreground:
        minion.call["cmd.run_bg"]([*argv, "-D"], python_shell=False, output_loglevel="quiet")
    else:
        minion.run(*argv)


def _started_service(minion: Minion) -> bool:
    name = next((name for name in _SERVICES if service.available(minion, name)), None)
    with contextlib.suppress(CommandExecutionError):
        return bool(name and service.start(minion, name))
    return False
