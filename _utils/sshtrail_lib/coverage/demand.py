"""
What is started when somebody comes: by a socket of systemd's, by inetd or by xinetd. Until then no process shows it.

Source: systemctl(1), systemd.socket(5), inetd(8), xinetd.conf(5).
"""

from __future__ import annotations

import posixpath
import re
import typing
from collections.abc import Iterator, Mapping

from sshtrail_lib.sshd import commandline

#: What systemd tells of its sockets, and of the services that these start.
OF_SOCKETS = ("Id", "Accept", "Triggers", "Listen", "ActiveState")
OF_SERVICES = ("Id", "ExecStart", "Environment", "EnvironmentFiles")
#: A stream at an address of the network: a path and a VSOCK address are none.
_STREAM = re.compile(r"(?P<place>(?:\[[^]]*\]|[0-9.]+):[0-9]+) \(Stream\)")
_COMMAND = re.compile(r"path=(?P<path>\S+) ; argv\[\]=(?P<argv>.*?) ; ignore_errors=")
_FILE = re.compile(r" \(ignore_errors=(?:yes|no)\)\Z")
#: Programs that begin others by a table, and where the table is: files, and directories with more of them.
TABLES = {
    **dict.fromkeys(("inetd", "openbsd-inetd", "inetutils-inetd"), ("/etc/inetd.conf", "/etc/inetd.d")),
    "xinetd": ("/etc/xinetd.conf", "/etc/xinetd.d"),
}
#: Looks who comes, and becomes the program that it is given.
WRAPPER = "tcpd"


class Started(typing.NamedTuple):
    """What somebody's coming starts: the ``program`` and its ``argv`` (str, tuple of str), and ``by`` what (str)."""

    program: str
    argv: tuple[str, ...]
    by: str


class Unit(typing.NamedTuple):
    """
    A service that a socket of systemd's starts: its name (``service``, str: of a template one that stands for all), at
    which ``places`` somebody comes to it (tuple of str), and the ``socket`` (str).
    """

    service: str
    places: tuple[str, ...]
    socket: str


def blocks(shown: str) -> list[dict[str, list[str]]]:
    """Return what ``systemctl show`` (str) tells of each unit (list of dict of list of str: one for each line)."""
    found: list[dict[str, list[str]]] = []
    for block in shown.split("\n\n"):
        told: dict[str, list[str]] = {}
        for line in block.splitlines():
            name, equals, value = line.partition("=")
            if equals and value:
                told.setdefault(name, []).append(value)
        found += [told] if told else []
    return found


def units(shown: str) -> list[Unit]:
    """Return what the sockets start that listen to the network; ``shown`` (str) has their :data:`OF_SOCKETS`."""
    found = []
    for told in blocks(shown):
        places = tuple(one["place"] for one in map(_STREAM.fullmatch, told.get("Listen", ())) if one)
        name = told.get("Id", [""])[0]
        if not places or told.get("ActiveState") != ["active"] or not name.endswith(".socket"):
            continue
        # A template is told of by any of its instances.
        instance = f"{name.removesuffix('.socket')}@sshtrail.service"
        names = [instance] if told.get("Accept") == ["yes"] else " ".join(told.get("Triggers", ())).split()
        found += [Unit(one, places, name) for one in names]
    return found


def commands(told: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """Return the programs of a service (a block of :data:`OF_SERVICES`) and their command lines (list of str pairs)."""
    found = map(_COMMAND.search, told.get("ExecStart", ()))
    return [(one["path"], one["argv"]) for one in found if one]


def environment(told: Mapping[str, list[str]]) -> tuple[dict[str, str], list[str]]:
    """Return the variables that a service is given by its unit (dict of str), and the files with more (list of str)."""
    own = dict(one.partition("=")[::2] for line in told.get("Environment", ()) for one in commandline.split(line))
    return own, [_FILE.sub("", line) for line in told.get("EnvironmentFiles", ())]


def inetd(text: str) -> Iterator[Started]:
    """Yield what a table of inetd's (str) starts for a stream of the network."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        if len(words) >= 6 and words[1] == "stream" and not words[2].startswith("unix") and words[5] != "internal":
            yield _behind(words[5], words[6:] or [posixpath.basename(words[5])], f"inetd's {words[0]}")


_SERVICE = re.compile(r"^\s*service\s+(\S+)\s*\{([^}]*)\}", re.MULTILINE)
_ATTRIBUTE = re.compile(r"^\s*(\w+)\s*[-+]?=[ \t]*(.*?)\s*$", re.MULTILINE)


def xinetd(text: str) -> Iterator[Started]:
    """Yield what a file of xinetd's (str) starts."""
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    for name, body in _SERVICE.findall(text):
        told = dict(_ATTRIBUTE.findall(body))
        words = told.get("server_args", "").split()
        if told.get("server") and told.get("disable", "no").lower() != "yes":
            named = words if "NAMEINARGS" in told.get("flags", "").upper() else [told["server"], *words]
            yield _behind(told["server"], named or [told["server"]], f"xinetd's {name}")


def _behind(program: str, argv: list[str], by: str) -> Started:
    if posixpath.basename(program) == WRAPPER and argv:
        # It is called by the name of the other, which may have no path.
        return Started(argv[0], tuple(argv), by)
    return Started(program, tuple(argv), by)
