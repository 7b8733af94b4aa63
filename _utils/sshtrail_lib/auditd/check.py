"""
What only this host can tell against an ``auditd.conf``: its disks, groups and programs, the file itself, and the parser
of the installed auditd.
"""

from __future__ import annotations

import os
import pathlib
import stat
import sys
import tempfile
from collections.abc import Callable, Mapping

import salt.utils.path

from sshtrail_lib.auditd import language, plan
from sshtrail_lib.auditd.plan import Problem
from sshtrail_lib.base import directory, files
from sshtrail_lib.base.minion import Minion

PROGRAM_MODES = (0o750, 0o755, 0o555, 0o550)
# Puts one file over another inside a mount namespace of its own and runs a program there.
OVERLAY = (
    "import os, subprocess, sys; subprocess.run(['mount', '--bind', *sys.argv[1:3]], check=True); "
    "os.execvp(sys.argv[3], sys.argv[3:])"
)
PROBE = b"type=DAEMON_START msg=audit(1.000:1): op=start\n"


def host_problems(data: bytes) -> list[Problem]:
    """
    Return what ``data`` (bytes) names and this host does not have: a list of :class:`Problem`.

    Looks at the log's directory and file and at its disk, the group, and the programs of ``exec`` actions, also in
    lines that later ones override: auditd looks at each.
    """
    lines = [line for line in language.parse(data) if line.sets]
    about = ((line, HOST.get(line.keyword, _program)(line.value)) for line in lines)
    found = [Problem(line.number, line.keyword, reason) for line, reason in about if reason]
    if not any(one.keyword == "log_file" for one in found):
        reason = _space_of(data, os.path.dirname(language.effective(data, "log_file")))
        line = language.deciding(data).get("space_left")
        found += [Problem(line.number if line else 0, "space_left", reason)] if reason else []
    return found


def space(config: Mapping[str, object]) -> str:
    """
    Return why ``space_left`` and ``admin_space_left`` of ``config`` (as for :func:`plan.wanted`) do not fit together on
    the disk of this host's log (str), "" where they do or where it does not name both.

    Where the directory of the log is not there yet, it is the disk on which it will be made.
    """
    named = {name: config[name] for name in (*SPACES, "log_file") if config.get(name) is not None}
    data = plan.edit(b"", plan.wanted(named))
    above = (str(path) for path in pathlib.PurePath(language.effective(data, "log_file")).parents)
    return _space_of(data, next(filter(os.path.isdir, above), "/")) if named.keys() >= {*SPACES} else ""


#: What is compared, in MiB or as a share of the disk.
SPACES = ("space_left", "admin_space_left")


def _space_of(data: bytes, directory: str) -> str:
    """Compare MiB with a percentage, as auditd does when it starts (it only complains in syslog then)."""
    left, admin = (language.effective(data, name) for name in SPACES)
    if left.endswith("%") == admin.endswith("%") or not os.path.isdir(directory):
        return ""
    disk = os.statvfs(directory)
    total = disk.f_blocks * disk.f_frsize // 2**20
    left_mib, admin_mib = (_mib(value, total) for value in (left, admin))
    if left_mib > admin_mib:
        return ""
    return f"space_left must be larger than admin_space_left: here they are {left_mib} and {admin_mib} MiB."


def _mib(value: str, total: int) -> int:
    return total * int(value[:-1]) // 100 if value.endswith("%") else int(value)


def _log_file(path: str) -> str:
    if not os.path.isdir(os.path.dirname(path)):
        return f"the directory of log_file, {os.path.dirname(path)}, does not exist."
    if os.path.exists(path) and not (os.path.isfile(path) and os.stat(path).st_uid == 0):
        return f"log_file {path} is not a regular file that root owns."
    return ""


def _log_group(name: str) -> str:
    # By its name: who answers may be a directory on the network, whose groups are without number.
    try:
        if not name[0].isdigit():
            directory.group(name)
        return ""
    except KeyError:
        return f"log_group {name} does not exist on this host."


def _program(value: str) -> str:
    if not value.lower().startswith("exec /"):
        return ""
    path = value.split(" ")[1]
    try:
        about = os.stat(path)
    except OSError as exc:
        return f"the program {path} cannot be used: {exc.strerror}."
    fit = stat.S_ISREG(about.st_mode) and about.st_uid == 0 and stat.S_IMODE(about.st_mode) in PROGRAM_MODES
    return "" if fit else f"the program {path} must be root's own file with mode 0750, 0755, 0555 or 0550."


HOST: dict[str, Callable[[str], str]] = {"log_file": _log_file, "log_group": _log_group}


def file_problems(path: str, links: bool = False) -> list[Problem]:
    """
    Return for what reason, other than its content, auditd would not read the file at ``path`` (str).

    links
        Whether auditd may follow a symbolic link (bool, its option ``-l``).

    Returns a list of :class:`Problem`.
    """
    about = os.stat(path)
    reasons = [
        (os.path.islink(path) and not links, f"{path} is a symbolic link, which auditd without -l refuses."),
        (about.st_uid != 0, f"{path} is not owned by root."),
        (about.st_mode & stat.S_IWOTH, f"{path} is writable by everyone."),
        (not stat.S_ISREG(about.st_mode), f"{path} is not a regular file."),
    ]
    return [Problem(0, "", reason) for applies, reason in reasons if applies]


def refusals(minion: Minion, data: bytes) -> list[Problem]:
    """
    Return what the installed auditd's parser has against ``data`` (bytes): a list, empty also when it cannot be asked.

    ausearch has the same parser and starts nothing. It sees the candidate in place of the host's file in a mount
    namespace of its own, with one more line at the end, which names a log that holds one record: it finds the record
    only when it took every line before.
    """
    if not _parser_is_here():
        return []
    with tempfile.TemporaryDirectory(prefix="sshtrail-") as directory:
        answer = _ask_parser(minion, directory, data)
        # Where even this is refused (no mount namespaces in this container), the parser was never reached.
        if _took_every_line(answer) or not _took_every_line(_ask_parser(minion, directory, b"space_left = 1\n")):
            return []
    reason = "The installed auditd refuses it: " + "; ".join(answer["stderr"].splitlines())
    return [Problem(0, "", reason)]


def _parser_is_here() -> bool:
    programs = map(salt.utils.path.which, ("unshare", "mount", "ausearch"))
    return all(programs) and os.path.isfile(language.PATH)


def _took_every_line(answer: Mapping[str, str]) -> bool:
    # After a line that it refuses ausearch reads the standard log instead, which holds such records too.
    return PROBE.decode().strip() in answer["stdout"]


def _ask_parser(minion: Minion, directory: str, data: bytes) -> Mapping[str, str]:
    candidate, log = os.path.join(directory, "auditd.conf"), os.path.join(directory, "audit.log")
    files.replace(log, PROBE, mode=0o600)
    # The line feed ends a last line that has none.
    files.replace(candidate, data + f"\nlog_file = {log}\n".encode(), mode=0o600)
    overlay = ("unshare", "--mount", sys.executable, "-I", "-S", "-c", OVERLAY, candidate, language.PATH)
    return minion.run(*overlay, "ausearch", "--input-logs", "-m", "DAEMON_START", "--just-one", "--raw")
