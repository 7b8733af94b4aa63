"""
The smallest change of a service's own file after which every session goes by pam_loginuid.so.

Each place that comes into question is tried on the stack itself, and the first one at which it holds is taken.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Iterator

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import text
from sshtrail_lib.pam import check, dispatch, language
from sshtrail_lib.pam.keywords import LOGINUID
from sshtrail_lib.pam.language import Disk, Handler, Library, Reading

LINE = b"session    required     pam_loginuid.so\n"
COMMENTED = re.compile(
    rb"[ \t]*#[# \t]*(?P<line>-?session[ \t].*pam_loginuid\.so(?:[ \t\n].*)?)", re.DOTALL | re.IGNORECASE
)


class Edit(typing.NamedTuple):
    """
    A change of one file.

    path
        The file (str).
    old, new
        What it holds and is to hold (bytes).
    before, after
        The line (str) that goes, None for none, and the one that comes.
    """

    path: str
    old: bytes
    new: bytes
    before: str | None
    after: str


def edit(disk: Disk, library: Library, service: str, path: str) -> Edit | None:
    """
    Return what to change (:class:`Edit`), None when every session goes by pam_loginuid.so already.

    disk, library, service
        As for :func:`sshtrail_lib.pam.language.read`.
    path
        The file that may be changed (str): the service's own one, among the administrator's.

    Raises :class:`~salt.exceptions.CommandExecutionError` where no line in that file would do.
    """
    reading = language.read(disk, library, service)
    finding = check.loginuid(reading)
    if finding is None and not reading.refused:
        return None
    _possible(disk, library, reading, path)
    old = disk.read(path) or b""
    for candidate in _candidates(path, old, reading):
        if _holds(reading, language.read(_with(disk, candidate), library, service)):
            return candidate
    raise CommandExecutionError(f"No line of {path} can mend this: {finding.reason if finding else reading.refused}.")


def _with(disk: Disk, candidate: Edit) -> Disk:
    return disk._replace(read=lambda path: candidate.new if path == candidate.path else disk.read(path))


def _possible(disk: Disk, library: Library, reading: Reading, path: str) -> None:
    """Raise where the file is not the place to change."""
    if reading.refused:
        raise CommandExecutionError(f"Linux-PAM cannot read the service: {reading.refused}; mend that first.")
    if not reading.path:
        raise CommandExecutionError(f"There is no {path}: what 'other' says counts; make one first.")
    if reading.path != path:
        raise CommandExecutionError(f"{reading.path} is the vendor's; copy it to {path} to change what it says.")
    if not reading.own.get("session"):
        raise CommandExecutionError(
            f"{path} has no session line: those of the service 'other' count, and no longer would."
        )
    found = language.find_module(disk, library, LOGINUID)
    if not found or not disk.sets_loginuid(found):
        raise CommandExecutionError(f"{LOGINUID} is not installed: {', '.join(library.modules)} have none.")


def _candidates(path: str, old: bytes, reading: Reading) -> Iterator[Edit]:
    lines = text.lines(old)
    taken = {number for line in reading.lines for number in range(line.first, line.last + 1)}
    for number, line in enumerate(lines, 1):
        found = COMMENTED.fullmatch(line)
        if found and number not in taken:
            yield _edit(path, lines, (number, number), found["line"])
    for handler in _meant(reading, path):
        whole = next(line for line in reading.lines if line.first == handler.line)
        yield _edit(path, lines, (whole.first, whole.last), LINE)
    for number, line in enumerate(lines, 1):
        if number not in taken and b"loginuid" in line.lower():
            yield _edit(path, lines, (number + 1, number), LINE)
    for number in _places(reading):
        yield _edit(path, lines, (number, number - 1), LINE)


def _meant(reading: Reading, path: str) -> list[Handler]:
    """Return the lines of the file (list of Handler) that were meant to be it, and are no session line."""
    chains = reading.own.values()
    return [
        one
        for chain in chains
        for one in chain
        if one.names_loginuid and one.file == path and one.kind != language.MODULE
    ]


def _places(reading: Reading) -> list[int]:
    """Return the line numbers (list of int) before which the new line may stand, the best one first."""
    first = reading.own["session"][0]
    where = next(at for at, line in enumerate(reading.lines) if line.first == first.root)
    closes = first.module.rpartition("/")[2] == "pam_selinux.so" and "close" in first.arguments
    # SELinux wants to be the first of all, so that nothing runs in what is left of another context.
    return [reading.lines[where].last + 1, first.root] if closes else [first.root]


def _edit(path: str, lines: list[bytes], extent: tuple[int, int], new: bytes) -> Edit:
    """Put a line (bytes) in the place of those from the first to the last number (int); none when that is smaller."""
    first, last = extent
    before, after = lines[: first - 1], lines[last:]
    if before and not before[-1].endswith(b"\n"):
        before = [*before[:-1], before[-1] + b"\n"]
    gone = b"".join(lines[first - 1 : last])
    return Edit(path, b"".join(lines), b"".join([*before, new, *after]), _shown(gone) if gone else None, _shown(new))


def _shown(line: bytes) -> str:
    return text.printable(line.rstrip(b"\n").replace(b"\t", b" "))


def _holds(old: Reading, new: Reading) -> bool:
    """Tell whether every session goes by it now and needs it, and whether nothing else has changed."""
    stack = new.stack("session")
    if new.refused or check.loginuid(new) or check.required(new) or not dispatch.way(stack, dispatch.RAN):
        return False
    # A jump over the new line now ends one line earlier than it was meant to.
    over = [at for at, handler in enumerate(stack) if handler.names_loginuid and dispatch.skipping(stack, at)]
    jumped = [at for at, handler in enumerate(old.stack("session")) if handler.names_loginuid]
    return len(over) <= len(jumped) and _others(old) == _others(new)


def _others(reading: Reading) -> list[tuple[str, list[Handler]]]:
    """Return the handlers beside pam_loginuid.so, wherever they are written."""
    return [
        (kind, [one._replace(line=0, root=0) for one in chain if not one.names_loginuid])
        for side in (reading.own, reading.other)
        for kind, chain in sorted(side.items())
        if any(not one.names_loginuid for one in chain)
    ]
