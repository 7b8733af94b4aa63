"""
How people come in: the sshd that listens, its options, other ways in, and the sessions that are open.
"""

from __future__ import annotations

import posixpath
import re
import typing
from collections.abc import Iterator, Mapping, Sequence

from sshtrail_lib.coverage.checks import Cause, Verdict, unknown, verdict
from sshtrail_lib.coverage.marks import UNSET, user_of

#: Keywords that bear on the trail, beside those that the policy has.
TELLING = ("usepam", "loglevel", "logverbose", "syslogfacility", "pamservicename", "authorizedkeyscommand", "include")
#: Levels at which sshd does not log that it accepted somebody.
QUIET = ("QUIET", "FATAL", "ERROR")
# Programs that let people in and give shells: whether their sessions go by PAM, and so have a login id.
DOORS = {
    **dict.fromkeys(("dropbear", "dropbearmulti", "tinysshd", "teleport", "ttyd", "gotty"), False),
    **dict.fromkeys(
        ("telnetd", "in.telnetd", "rlogind", "in.rlogind", "rshd", "in.rshd", "shellinaboxd", "lshd"), True
    ),
}
#: Programs that give a shell when they are told so.
TOLD = {"socat1": re.compile(r"(?i)\b(EXEC|SYSTEM|SHELL):"), "ncat": re.compile(r"^(-\w*[ec]\w*|--(sh-)?exec.*)$")}
TOLD["socat"] = TOLD["socat1"]
TOLD["nc"] = TOLD["nc.traditional"] = TOLD["netcat"] = TOLD["ncat"]
#: Transient units that systemd-run makes, as a control group's path has them.
TRANSIENT = re.compile(r"/run-(?:u[0-9]+|r[0-9a-f]{32}|p[0-9]+-i[0-9]+)\.service(?:/|$)")


class Process(typing.NamedTuple):
    """
    A process, as ``/proc`` tells it.

    ``pid``, ``parent`` (int), ``comm`` (str), ``uid`` and ``login`` (int: its login id), ``program`` (str: its
    executable, empty when it cannot be told), ``argv`` (tuple of str), ``started`` (float, seconds since the epoch),
    ``terminal`` (bool: whether it has one of a person's) and ``group`` (str: its control group).
    """

    pid: int
    parent: int
    comm: str
    uid: int
    login: int
    program: str
    argv: tuple[str, ...]
    started: float
    terminal: bool
    group: str


class Door(typing.NamedTuple):
    """A process that listens: the :class:`Process`, and at which ``ADDRESS:PORT`` (tuple of str)."""

    process: Process
    places: tuple[str, ...]


class Server(typing.NamedTuple):
    """
    A sshd that listens.

    ``process`` (:class:`Process`), ``argv`` (tuple of str: the command line that started it), ``places`` (tuple of
    str), the main file that it reads (``config``, str), whether that is the policy's (``ours``, bool), and the
    ``keywords`` that this file comes to (dict of str in lower case to str; empty when that cannot be told).
    """

    process: Process
    argv: tuple[str, ...]
    places: tuple[str, ...]
    config: str
    ours: bool
    keywords: Mapping[str, str]


class People(typing.NamedTuple):
    """
    What is known of the ways in.

    servers, doors
        Each :class:`Server`, and each other :class:`Door` (tuples).
    keywords
        What the policy's file comes to, for everybody (dict of str in lower case to str, or list of str).
    quiet
        The Match blocks with a LogLevel that is too low (tuple of str).
    asked
        The keywords that the policy has (dict of str in lower case to str).
    processes
        All that live (dict of pid to :class:`Process`), as far as they share this host's network.
    defaults
        Lines of files that give sshd options (tuple of str).
    audited
        Whether the kernel's audit is this host's (bool).
    since
        When the kernel was first told to audit in this boot (float, seconds since the epoch), 0 for from the start,
        None when that cannot be told.
    """

    servers: tuple[Server, ...]
    doors: tuple[Door, ...]
    keywords: Mapping[str, typing.Any]
    quiet: tuple[str, ...]
    asked: Mapping[str, str]
    processes: Mapping[int, Process]
    defaults: tuple[str, ...]
    audited: bool
    since: float | None = 0.0


def judge(people: People) -> Iterator[Verdict]:
    """Yield the verdicts on the ways in, and on the sessions that are open."""
    if people.audited:
        # The login ids of a container are the business of the host whose kernel it runs on.
        yield _pam(str(people.keywords.get("usepam") or ""))
        yield _inherited(people)
        yield from _sessions(people)
        yield _older(people)
        yield _transient(people)
    yield _level(people)
    yield from _options(people)
    yield from _strangers(people)
    yield _sftp(people.keywords)


def _pam(value: str) -> Verdict:
    if not value:
        return unknown("sshd-without-pam", "sshd does not tell whether it asks PAM")
    cause = Cause("effective", "UsePAM", "yes", value)
    return verdict("sshd-without-pam", "" if value == "yes" else f"UsePAM is {value}", cause=cause)


def _level(people: People) -> Verdict:
    level = str(people.keywords.get("loglevel") or "")
    low = [*([f"LogLevel is {level}"] if level in QUIET else []), *people.quiet]
    return verdict("sshd-quiet", "; ".join(low), cause=Cause("effective", "LogLevel", "VERBOSE", level))


# --- Options ------------------------------------------------------------------------------------------------------


def options(argv: Sequence[str]) -> list[tuple[str, str]]:
    """Return the keywords that ``-o`` sets on a command line of sshd (list of (str in lower case, str))."""
    found, words = [], list(argv[1:])
    while words:
        word = words.pop(0)
        if word == "-o" and words:
            found.append(_option(words.pop(0), words))
        elif word.startswith("-o") and len(word) > 2:
            found.append(_option(word[2:], words))
    return found


def _option(text: str, words: list[str]) -> tuple[str, str]:
    # In the title of a listener the words of one argument stand apart.
    keyword, _, value = text.strip().partition("=" if "=" in text else " ")
    if not value and words and not words[0].startswith("-"):
        value = words.pop(0)
    return keyword.strip().lower(), value.strip()


def _overrides(server: Server, asked: Mapping[str, str]) -> list[str]:
    found = [
        f"-o {keyword}={value}"
        for keyword, value in options(server.argv)
        if (keyword in TELLING or keyword in asked) and value.lower() != asked.get(keyword, "").lower()
    ]
    # -q is LogLevel QUIET; -E and -e send the log elsewhere than to syslog.
    flags = [word for word in server.argv[1:] if word == "-q" or word.startswith("-E") or word in ("-e", "-De")]
    return [*found, *flags]


def _goes_without_pam(server: Server) -> bool:
    told = [value.lower() for keyword, value in options(server.argv) if keyword == "usepam"]
    return (told[0] if told else server.keywords.get("usepam", "yes")) != "yes"


def _options(people: People) -> Iterator[Verdict]:
    bad = False
    for server in people.servers:
        over = _overrides(server, people.asked) if server.ours else []
        if over:
            bad = True
            where = f"; {'; '.join(people.defaults)}" if people.defaults else ""
            told = f"{_shown(server.process)} at {', '.join(server.places)} has {' '.join(over)}{where}"
            since = server.process.started
            yield Verdict("sshd-options", False, told, since=since, hides=people.audited and _goes_without_pam(server))
    if not bad:
        yield Verdict("sshd-options", True)


def _shown(process: Process) -> str:
    return f"pid {process.pid}, {process.program or process.comm}"


def _inherited(people: People) -> Verdict:
    heirs = [server.process for server in people.servers if server.process.login != UNSET]
    told = "; ".join(f"{_shown(one)} has the login id {one.login}" for one in heirs)
    return verdict("sshd-inherited-login", told, since=heirs[0].started if heirs else None)


# --- Other ways in ------------------------------------------------------------------------------------------------


def _strangers(people: People) -> Iterator[Verdict]:
    found = [*_other_servers(people), *_other_doors(people)]
    yield from found or [Verdict("other-way-in", True)]


def _other_servers(people: People) -> Iterator[Verdict]:
    for server in people.servers:
        if not server.ours:
            reads = f"reads {server.config}" if server.config else "reads files that cannot be told"
            without = people.audited and _goes_without_pam(server)
            pam = " and goes without PAM" if without else ""
            told = f"{_shown(server.process)} listens at {', '.join(server.places)}, {reads}{pam}"
            yield Verdict("other-way-in", False, told, since=server.process.started, hides=without)


def _other_doors(people: People) -> Iterator[Verdict]:
    for door in people.doors:
        name = posixpath.basename(door.process.program) or door.process.comm
        pattern = TOLD.get(name)
        by_pam = DOORS.get(name, None if pattern is None else False)
        if by_pam is None or (pattern and not any(map(pattern.search, door.process.argv[1:]))):
            continue
        told = f"{_shown(door.process)} listens at {', '.join(door.places)}"
        # A program that somebody started in his session has his login id, and what it starts too.
        hidden = people.audited and not by_pam and door.process.login == UNSET
        yield Verdict("other-way-in", False, told, since=door.process.started, hides=hidden)


# --- Sessions -----------------------------------------------------------------------------------------------------


def sessions(processes: Mapping[int, Process]) -> dict[int, str]:
    """Return the processes that serve an open session (dict of pid to whose it is)."""
    found = {pid: user_of(one.comm, one.program, one.argv) for pid, one in processes.items()}
    return {pid: user for pid, user in found.items() if user}


def _sessions(people: People) -> Iterator[Verdict]:
    serving = sessions(people.processes)
    children: dict[int, list[int]] = {}
    for one in people.processes.values():
        children.setdefault(one.parent, []).append(one.pid)
    found = []
    for pid, user in serving.items():
        lost = [one for one in _below(pid, children) if people.processes[one].login == UNSET]
        if lost:
            first = people.processes[lost[0]]
            told = f"{user}: {_shown(first)}, has no login id"
            found.append(Verdict("session-unattributed", False, told, since=first.started))
    yield from found or [Verdict("session-unattributed", True)]


def _older(people: People) -> Verdict:
    """
    Tell of the sessions that are older than auditing, which is no open way.

    The kernel gives a process what it needs to be audited when it is forked, if auditing was ever on (auditsc.c,
    audit_alloc): what an older shell starts is recorded, as is what an older sshd starts.
    """
    if people.since is None:
        return unknown("session-older", "the log does not reach back to when the kernel was told to audit")
    serving = sessions(people.processes)
    old = [f"{user} (pid {pid})" for pid, user in serving.items() if people.processes[pid].started < people.since]
    if not old:
        return Verdict("session-older", True)
    return unknown("session-older", f"older than auditing, what they start is recorded: {', '.join(old)}")


def _below(pid: int, children: Mapping[int, Sequence[int]]) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], ())
    return found


def _transient(people: People) -> Verdict:
    shells = [
        one for one in people.processes.values() if one.login == UNSET and one.terminal and TRANSIENT.search(one.group)
    ]
    told = "; ".join(f"{_shown(one)} in {one.group}" for one in shells)
    return verdict("shell-without-login", told, since=shells[0].started if shells else None)


def _sftp(keywords: Mapping[str, typing.Any]) -> Verdict:
    subsystems = keywords.get("subsystem") or []
    sftp = next((one for one in subsystems if one.split()[:1] == ["sftp"]), "")
    logs = "-l" in sftp.split() or not sftp
    return Verdict("files-untold", True) if logs else unknown("files-untold", f"Subsystem {sftp}: it logs no files")
