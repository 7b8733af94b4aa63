"""
Who gives a shell what it runs: a terminal, a socket, what ``systemd-run`` hands on, or a named pipe; asked, never
changed.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, processes
from sshtrail_lib.coverage import people

#: Where systemd keeps the units that somebody made for the moment.
TRANSIENT = "/run/systemd/transient"
#: What is another file for each process that names it.
ITS_OWN = ("/dev/", "/proc/")


def group(pid: int) -> str:
    """Return the control group of a process (int; str), empty for none."""
    try:
        lines = (files.read(f"/proc/{pid}/cgroup") or b"").decode("utf-8", "replace").splitlines()
    except CommandExecutionError:
        return ""
    return next((line.rpartition(":")[2] for line in lines if line.startswith(("0::", "1:name=systemd:"))), "")


def is_transient(group: str) -> bool:
    """Tell whether a control group (str) is that of a service which somebody made for the moment: systemd-run(1)."""
    unit = next((name for name in reversed(group.split("/")) if name.endswith(".service")), "")
    return bool(unit) and os.path.exists(f"{TRANSIENT}/{unit}")


def reads_somebody(pid: int, transient: bool) -> bool:
    """
    Tell whether a process reads from somebody: a terminal or a socket, or what ``systemd-run --pipe`` hands on.

    transient
        Whether somebody made its unit for the moment (bool).

    A socket of this host's own is none: an agent talks by those. A named pipe is for whoever may write to it.
    """
    link = processes.link(f"/proc/{pid}/fd/0")
    if link.startswith(("/dev/pts/", "pipe:")):
        return link.startswith("/dev") or transient
    if link.startswith("/"):
        return processes.is_named_pipe(pid, "fd/0")
    reads = link.removeprefix("socket:[").removesuffix("]").encode()
    if not reads.isdigit():
        return False
    table = _table(pid, "unix")
    # One that has ended has no table.
    return bool(table) and not any(line.split()[6:7] == [reads] for line in table.splitlines())


def is_fed(pid: int, program: str, argv: Sequence[str]) -> bool:
    """
    Tell whether what a shell (its pid, int) runs comes by a named pipe that its command line names (bool).

    program, argv
        Its executable (str) and its command line (sequence of str). Nobody may be there yet, and nothing open.
    """
    named = people.fed_by(program, argv)
    return any(processes.is_named_pipe(pid, one) for one in named if not one.startswith(ITS_OWN))


def in_containers(known: Collection[int]) -> Iterator[int]:
    """Yield who has a terminal (int, pids) in process numbers of his own, and is not ``known`` (collection of int)."""
    own = processes.link("/proc/self/ns/pid")
    for name in os.listdir("/proc"):
        if name.isdigit() and int(name) not in known and processes.link(f"/proc/{name}/ns/pid") not in ("", own):
            fields = processes.fields(int(name))
            if len(fields) > 4 and int(fields[4]) > 0:
                yield int(name)


def _table(pid: int, name: str) -> bytes:
    try:
        return files.read(f"/proc/{pid}/net/{name}") or b""
    except CommandExecutionError:
        return b""
