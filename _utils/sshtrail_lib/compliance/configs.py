"""
Lines of the configuration of others, each with its place: read as they are read by those that they are for.
"""

from __future__ import annotations

import contextlib
import os
import re
import stat
from collections.abc import Callable, Iterable, Iterator

from salt.exceptions import SaltException

from sshtrail_lib.base import files
from sshtrail_lib.compliance import rsyslog, sight

Lines = tuple[tuple[str, str], ...]
#: Files of one configuration that are read at most, and the bytes of each.
MOST, LARGEST = 200, 2**20
INCLUDES = re.compile(r'^\s*(?:\$IncludeConfig\s+(\S+)|include\s*\(.*\bfile\s*=\s*"([^"]+)")', re.IGNORECASE)
#: One that goes on on the next line.
OPEN_INCLUDE = re.compile(r"^\s*include\s*\([^)]*$", re.IGNORECASE)
SUDO_INCLUDES = re.compile(r'^\s*[@#]include(dir)?\s+(?:"([^"]+)"|((?:\\.|\S)+))')
#: What comes before a comment in sudoers(5): a # before a digit begins a number, and a comment is never continued.
SUDO_COMMENT = re.compile(r'(?:"(?:\\.|[^"\\])*"|\\.|[^"\\#]|#\d)*#(?!\d)')
#: Where systemd's configurations are, the later wins.
SYSTEMD = ("/usr/lib/systemd", "/usr/local/lib/systemd", "/run/systemd", "/etc/systemd")
UNITS = "/etc/systemd/system"
#: A line of a crontab that runs something, and not one that sets a variable.
JOB = re.compile(r"(?:@\w+|(?:[\w*/,-]+\s+){4}[\w*/,-]+)\s+\S")
#: The names that run-parts(8) takes: Debian's, and other distributions'.
RUN_PARTS = (re.compile(r"[\w-]+"), re.compile(r"(?!.*(~|,v|\.rpm\w+|\.cfsaved)$).*"))
BOOT = (
    *("/boot/grub/grub.cfg", "/boot/grub2/grub.cfg", "/boot/efi/EFI/*/grub.cfg"),
    *("/boot/loader/entries/*.conf", "/boot/efi/loader/entries/*.conf", "/efi/loader/entries/*.conf"),
)
#: chrony.conf(5): what of the directories behind a directive is read, and what of a file of sources counts.
CHRONY = {"confdir": "/*.conf", "sourcedir": "/*.sources", "include": ""}
CHRONY_SOURCE = re.compile(r"(server|pool|peer)\s", re.IGNORECASE)
FAILLOCK = re.compile(r"-?auth\s[^#]*\bpam_faillock\.so\b", re.IGNORECASE)
KERNEL_LINE = re.compile(r"^\s*(?:linux(?:16|efi)?|options)\s+(.*)")
#: Boot entries of what is no Linux, and the words of those that are for repairs.
OTHERS = re.compile(r"\S*(memtest|memdisk|\.lkrn\b)")
REPAIRS = {"recovery", "single"}


def gather(family: str = "", unread: dict[str, str] | None = None) -> dict[str, Lines | None]:
    """
    Return the lines of each configuration that a control is about (dict by name), None for one that is not there.

    family
        Salt's grain ``os_family`` (str): which scripts of a directory cron runs.
    unread
        Where to put why one could not be read, or not all of it (dict of its name to str), None for nowhere.
    """
    readers = _readers(RUN_PARTS[family != "Debian"])
    return {name: sight.noted(name, reads, unread) for name, reads in readers.items()}


def _readers(run_parts: re.Pattern[str]) -> dict[str, Callable[[], Lines | None]]:
    """Return what reads each configuration (dict of its name to a callable)."""
    return {
        "journald": lambda: _systemd("journald.conf", "Journal"),
        "journal-upload": lambda: _systemd("journal-upload.conf", "Upload"),
        "clock": lambda: (
            (
                *(*_chrony("/etc/chrony/chrony.conf"), *_chrony("/etc/chrony.conf")),
                *(_systemd("timesyncd.conf", "Time") or ()),
            )
            or None
        ),
        "rsyslog": lambda: _rsyslog("/etc/rsyslog.conf"),
        "sudo": lambda: _sudo("/etc/sudoers"),
        "faillock": lambda: _lines("/etc/security/faillock.conf"),
        "pam-faillock": lambda: tuple(one for one in _pam("/etc/pam.d/*") if FAILLOCK.match(one[1])),
        "aliases": lambda: _aliases("/etc/aliases"),
        **_of_jobs(run_parts),
        "plugins": lambda: _all("/etc/audit/plugins.d/*.conf", "/etc/audisp/plugins.d/*.conf"),
        "audisp-remote": lambda: _all("/etc/audit/audisp-remote.conf", "/etc/audisp/audisp-remote.conf"),
        "logrotate": lambda: _all("/etc/logrotate.conf", "/etc/logrotate.d/*"),
    }


def _of_jobs(run_parts: re.Pattern[str]) -> dict[str, Callable[[], Lines | None]]:
    return {
        "aide": lambda: _aide("/etc/aide/aide.conf") or _aide("/etc/aide.conf"),
        "aide-check": lambda: (
            _timers("dailyaidecheck.timer", "aidecheck.timer")
            + _scripts(run_parts, "/etc/cron.daily/*aide*")
            + _jobs(re.compile(r"\baide(?:\.wrapper)?\b"))
        ),
        "offload": lambda: (
            _scripts(run_parts, "/etc/cron.weekly/*audit*", "/etc/cron.daily/*audit-offload*")
            + tuple(one for one in _all("/etc/cron.d/*audit*") or () if JOB.match(one[1]))
        ),
    }


def _lines(path: str, blank: bool = False, strip: bool = True) -> Lines | None:
    try:
        data = files.read(path) if os.path.isfile(path) else None
    except SaltException as exc:
        sight.note(str(exc))
        return None
    if data is None:
        sight.missing(path)
        return None
    if len(data) > LARGEST:
        sight.note(f"{path} is larger than what is read of a file")
    found = data[:LARGEST].decode("utf-8", "replace").splitlines()
    return tuple(
        (f"{path} line {number}", line.strip() if strip else line)
        for number, line in enumerate(found, 1)
        if blank or line.strip()
    )


def _all(*patterns: str) -> Lines | None:
    paths = [path for pattern in patterns for path in sight.matching(pattern) if os.path.isfile(path)]
    return _joined(paths) if paths else None


def _joined(paths: Iterable[str]) -> Lines:
    return tuple(line for path in _most(list(paths)) for line in _lines(path) or ())


def _most(paths: list[str]) -> list[str]:
    if len(paths) > MOST:
        sight.note(f"{paths[MOST]} and others after it: there are more than {MOST} files")
    return paths[:MOST]


def _there(*patterns: str) -> Lines:
    return tuple((path, "") for pattern in patterns for path in sight.matching(pattern))


def _timers(*names: str) -> Lines:
    """Return the links that start timers (str) of systemd, unless they are masked."""
    good = [name for name in names if os.path.realpath(f"{UNITS}/{name}") != os.devnull]
    tops = (UNITS, "/usr/lib/systemd/system")
    return _there(*(f"{top}/*.wants/{name}" for top in tops for name in good))


def _scripts(names: re.Pattern[str], *patterns: str) -> Lines:
    """Return the scripts that run-parts(8) would run, of which it takes such ``names`` (a pattern)."""
    found = [path for path, _line in _there(*patterns) if os.path.isfile(path) and os.stat(path).st_mode & 0o111]
    return tuple((path, "") for path in found if names.fullmatch(os.path.basename(path)))


def _jobs(program: re.Pattern[str]) -> Lines:
    """Return the lines of root's crontabs that run a program (pattern)."""
    tabs = _all("/etc/crontab", "/etc/cron.d/*", "/var/spool/cron/root", "/var/spool/cron/crontabs/root") or ()
    # To make a new database is no check.
    good = [(place, line) for place, line in tabs if JOB.match(line) and not re.search(r"\s(--init|-i)\b", line)]
    return tuple((place, line) for place, line in good if program.search(line))


def _systemd(name: str, section: str) -> Lines | None:
    mains = [path for top in SYSTEMD if os.path.isfile(path := f"{top}/{name}")]
    # Of the main files one counts; of drop-ins one for each name, and they come in the order of their names.
    drop_ins = {os.path.basename(path): path for top in SYSTEMD for path in sight.matching(f"{top}/{name}.d/*.conf")}
    paths = [*mains[-1:], *(drop_ins[one] for one in sorted(drop_ins))]
    return tuple(line for path in _most(paths) for line in _below(section, _lines(path) or ())) if paths else None


def _below(section: str, lines: Lines) -> Iterator[tuple[str, str]]:
    """Yield the lines of a ``section`` (str): systemd passes over what stands in another one, or before the first."""
    inside = False
    for place, line in _whole(lines):
        if line.startswith("["):
            inside = line == f"[{section}]"
        elif inside:
            yield place, line


def _whole(lines: Lines) -> Iterator[tuple[str, str]]:
    """Yield lines (place and str) of systemd's: a backslash at the end joins, and comments in between are left out."""
    began, said = "", ""
    for place, line in lines:
        if said and line.startswith(("#", ";")):
            continue
        began, said = began or place, f"{said} {line}" if said else line
        if said.endswith("\\") and not said.startswith(("#", ";")):
            said = said[:-1].rstrip()
            continue
        yield began, said
        began, said = "", ""
    if said:
        yield began, said


#: aide.conf(5): another file, or those of a directory whose names fit a pattern; an x means that programs are run.
AIDE_INCLUDES = re.compile(r"@@(x_)?include\s+(\S+)(?:\s+(\S+))?")


def _aide(path: str, depth: int = 0) -> Lines | None:
    """Return AIDE's configuration with what it includes, where it includes it."""
    own = _lines(path)
    found: list[tuple[str, str]] = []
    for place, line in own or ():
        match = AIDE_INCLUDES.match(line)
        for inner in _aide_named(match[2], match[3] or "") if match and depth < 10 else ():
            more = _aide(inner, depth + 1) or ()
            # What a program selects is not known here: what it takes out is believed as it stands in it.
            runs = match and match[1] and os.access(inner, os.X_OK)
            found += [one for one in more if one[1].startswith("!")] if runs else more
        found += [] if match else [(place, line)]
    return own and tuple(found)


def _aide_named(path: str, pattern: str) -> list[str]:
    if not os.path.isdir(path):
        return [path]
    with contextlib.suppress(re.error):
        names = re.compile(pattern)
        return [one for one in sight.matching(f"{path}/*") if names.search(os.path.basename(one))]
    return []


def _pam(pattern: str) -> Lines:
    """Return the lines of PAM's files (a pattern), with those that a backslash joins: pam.conf(5)."""
    # No service is called so: what package managers and editors leave.
    left = re.compile(r".*(\.(dpkg|rpm|bak|old|orig|save|pam)[\w-]*|~)")
    paths = [path for path in sight.matching(pattern) if os.path.isfile(path) and not left.fullmatch(path)]
    return tuple(line for path in _most(paths) for line in rsyslog.joined(_lines(path) or ()))


#: What an alias takes from another file: aliases(5).
LISTED = re.compile(r":include:\s*\"?(/[^\s,\"]+)\"?", re.IGNORECASE)


def _aliases(path: str) -> Lines | None:
    """Return the aliases: a line that begins with white space goes on with the one before; included lists are in it."""
    own = _lines(path, blank=True, strip=False)
    found: list[tuple[str, str]] = []
    for place, line in own or ():
        if found and line[:1].isspace() and line.strip() and not line.lstrip().startswith("#"):
            found[-1] = (found[-1][0], f"{found[-1][1]} {line.strip()}")
        elif line.strip() and not line.startswith("#"):
            found.append((place, line.strip()))
    return own and tuple((place, LISTED.sub(lambda match: _listed(match[1]), line)) for place, line in found)


def _listed(path: str) -> str:
    names = [line.partition("#")[0].strip() for _place, line in _lines(path) or ()]
    return ", ".join(name for name in names if name) or "/dev/null"


def _chrony(path: str, depth: int = 0) -> Iterator[tuple[str, str]]:
    for place, line in _lines(path) or ():
        yield place, line
        match = re.match(r"(confdir|sourcedir|include)\s+(\S.*)", line, re.IGNORECASE)
        word, places = (match[1].lower(), match[2].split()) if match and depth < 10 else ("", [])
        found = [one for named in places for one in sight.matching(named + CHRONY[word])]
        # Of several directories the first that has a file of a name counts, and they come in the order of the names.
        named = {os.path.basename(one): one for one in reversed(found)}
        for inner in found if word == "include" else [named[name] for name in sorted(named)]:
            told = _chrony(inner, depth + 1)
            yield from told if word != "sourcedir" else (one for one in told if CHRONY_SOURCE.match(one[1]))


def _rsyslog(path: str, depth: int = 0) -> Lines | None:
    own = _lines(path)
    if own is None or depth > 4:
        return own
    found: list[tuple[str, str]] = []
    begun = ""
    # What a backslash joins to a comment is one as well.
    for place, line in rsyslog.joined(own):
        if line.startswith("#"):
            continue
        found.append((place, line))
        said = f"{begun} {line}"
        begun = said if OPEN_INCLUDE.match(said) else ""
        match = INCLUDES.match("" if begun else said)
        for inner in _matching(match[1] or match[2]) if match else ():
            found += _rsyslog(inner, depth + 1) or ()
    return tuple(found)


def _matching(pattern: str) -> list[str]:
    # Of a directory rsyslog takes all that is in it.
    found = [one for path in sight.matching(pattern) for one in ([path, *sight.matching(f"{path}/*")])]
    return _most([path for path in found if os.path.isfile(path)])


def _sudo(path: str, depth: int = 0) -> Lines | None:
    own = _lines(path, blank=True)
    if own is None or depth > 8 or not _safe(path):
        return own and ()
    found: list[tuple[str, str]] = []
    for place, line in _continued(own):
        found.append((place, line))
        match = SUDO_INCLUDES.match(line)
        for inner in _included(_sudo_path(path, match[2] or match[3]), bool(match[1])) if match else ():
            found += _sudo(inner, depth + 1) or ()
    return tuple(found)


def _sudo_path(path: str, said: str) -> str:
    """Return what a line of the file at ``path`` (str) includes: sudoers(5), %h is this host's short name."""
    named = re.sub(r"\\(.)", r"\1", said).replace("%h", os.uname().nodename.partition(".")[0])
    return os.path.join(os.path.dirname(path), named)


def _safe(path: str) -> bool:
    """Tell whether sudo would read a file (str): not one that others than root can write to."""
    try:
        found = os.stat(path)
    except OSError:
        return False
    group = found.st_mode & stat.S_IWGRP and found.st_gid
    return found.st_uid in (0, os.geteuid()) and not group and not found.st_mode & stat.S_IWOTH


def _continued(lines: Lines) -> Iterator[tuple[str, str]]:
    """Yield each line (place and str) that says something, with those that a backslash at its end joins to it."""
    began, said = "", ""
    for place, line in lines:
        goes_on = line.endswith("\\") and not SUDO_COMMENT.match(said + line)
        began, said = began or place, said + (line.removesuffix("\\") if goes_on else line)
        if not goes_on:
            yield from [(began, said)] if said else ()
            began, said = "", ""
    if said:
        yield began, said


def _included(path: str, directory: bool) -> list[str]:
    if not directory:
        return [path]
    # sudoers(5): names with a dot and those that end in ~ are left out.
    names = sorted(os.listdir(path)) if os.path.isdir(path) else []
    return [os.path.join(path, name) for name in names if "." not in name and not name.endswith("~")]


def boot_entries(unread: dict[str, str] | None = None) -> dict[str, tuple[str, ...]]:
    """
    Return the words of the kernel's command line in each boot entry (dict of its place to a tuple of str).

    unread
        As for :func:`gather`, under :data:`ENTRIES`.
    """
    return sight.noted(ENTRIES, _entries, unread)


#: What boot entries are called among what could not be read.
ENTRIES = "boot entries"


def _entries() -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for path in [path for pattern in BOOT for path in sight.matching(pattern)]:
        entry = ""
        for place, line in _lines(path) or ():
            match = KERNEL_LINE.match(line)
            if match and not OTHERS.match(match[1]) and not REPAIRS & set(match[1].split()):
                # The Boot Loader Specification: of several lines with options in one entry each adds to the others.
                entry = entry if entry and path.endswith(".conf") else place
                found[entry] = (*found.get(entry, ()), *_expanded(match[1]).split())
    return found


def _expanded(line: str) -> str:
    if "$kernelopts" not in line:
        return line
    kept = [said for _place, said in _lines("/boot/grub2/grubenv") or () if said.startswith("kernelopts=")]
    return line.replace("$kernelopts", kept[0].partition("=")[2] if kept else "")
