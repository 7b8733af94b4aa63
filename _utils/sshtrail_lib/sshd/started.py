"""
Which process is a sshd, and how it was started: what the kernel, the service manager and init's settings say.

A process is believed to be sshd when it is root's, and the kernel says that it runs the installed program, or ran it
until an upgrade replaced that. What a process calls itself is nothing; and nothing of it is ever executed.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import typing
from collections.abc import Iterable, Mapping

import salt.utils.path
import salt.utils.systemd

from sshtrail_lib.base import files, processes
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.sshd import commandline, oracle
from sshtrail_lib.sshd.commandline import CommandLine

#: Where distributions keep options of sshd for their init scripts, and the variable that holds them.
SETTINGS = {"/etc/default/ssh": "SSHD_OPTS", "/etc/sysconfig/sshd": "OPTIONS", "/etc/sysconfig/ssh": "SSHD_OPTS"}
_SYSTEMD = "org.freedesktop.systemd1"
_GONE = " (deleted)"
#: Fields of proc(5)'s stat behind the name: where the arguments begin and end.
_ARG_START, _ARG_END = 45, 46


def genuine(pid: int) -> bool:
    """Return whether the process ``pid`` (int) is root's, and runs the installed sshd, or one that was installed."""
    program = oracle.binary()
    try:
        if not program or os.stat(f"/proc/{pid}").st_uid or not processes.of_root_alone(pid):
            return False
        link = os.readlink(f"/proc/{pid}/exe")
        if link.endswith(_GONE):
            return link.removesuffix(_GONE) == os.path.realpath(program)
        return os.path.samefile(f"/proc/{pid}/exe", program)
    except OSError:
        return False


def command(pid: int, config: str, minion: Minion | None = None) -> CommandLine | None:
    """
    Return the CommandLine with which the listener ``pid`` (int) was started, None if it is none.

    config
        The main file (str) that it may have been started with.
    minion
        What asks the service manager (Minion); without it, only the kernel and init's settings are asked.
    """
    raw, numbers = processes.cmdline(pid), processes.fields(pid)
    length = int(numbers[_ARG_END]) - int(numbers[_ARG_START]) if len(numbers) > _ARG_END else 0
    found = commandline.known(raw, length, _by_settings(), config)
    if found and not found.sure and minion:
        found = commandline.known(raw, length, [*_by_settings(), *_by_unit(minion, pid)], config)
    return found


def _by_settings() -> list[list[str]]:
    """Return the command lines that init scripts would make of the host's settings: a shell splits at spaces only."""
    program, found = oracle.binary() or "sshd", []
    for path, variable in SETTINGS.items():
        options = commandline.environment(_text(path)).get(variable, "").split()
        found += [[program, *options], [program, "-D", *options]]
    return found


def _text(path: str) -> str:
    return (files.read(path) or b"").decode("utf-8", "surrogateescape")


def unit_of(pid: int) -> str:
    """Return the service of systemd's that the process ``pid`` (int) belongs to (str), empty for none."""
    found = re.search(r"/([^/\n]+\.service)$", _text(f"/proc/{pid}/cgroup"), re.MULTILINE)
    return found[1] if found else ""


def _by_unit(minion: Minion, pid: int) -> list[list[str]]:
    """Return the command lines of the unit that started ``pid``, with the variables that its settings give."""
    unit = unit_of(pid)
    if not unit or not salt.utils.systemd.booted(minion.context) or not salt.utils.path.which("busctl"):
        return []
    starts, files_of, own = _properties(minion, unit, "ExecStart", "EnvironmentFiles", "Environment")
    variables = settings(dict(one.partition("=")[::2] for one in own), [path for path, _optional in files_of])
    return [commandline.expanded(start[1], variables) for start in starts]


def settings(own: Mapping[str, str], paths: Iterable[str]) -> dict[str, str]:
    """Return the variables of a unit (dict of str): its ``own`` (mapping), and those of the files at ``paths``."""
    variables = dict(own)
    for path in paths:
        variables |= commandline.environment(_text(path))
    return variables


def _properties(minion: Minion, unit: str, *names: str) -> list[list[typing.Any]]:
    """Return what systemd has for properties of a service (list of lists); ``systemctl show`` loses the quotes."""
    escaped = re.sub(r"[^A-Za-z0-9]", lambda found: f"_{ord(found[0]):02x}", unit)
    place = (_SYSTEMD, f"/org/freedesktop/systemd1/unit/{escaped}", f"{_SYSTEMD}.Service", *names)
    answer = minion.run("busctl", "--json=short", "get-property", *place)
    found: list[list[typing.Any]] = []
    with contextlib.suppress(ValueError, KeyError, TypeError):
        found = [json.loads(line)["data"] for line in answer["stdout"].splitlines()]
    return found if len(found) == len(names) else [[] for _name in names]
