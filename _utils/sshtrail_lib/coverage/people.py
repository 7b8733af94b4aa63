"""
How people come in: the sshd that listens, its options, other ways in, and the sessions that are open.
"""

from __future__ import annotations

import itertools
import posixpath
import re
import typing
from collections.abc import Iterator, Mapping, Sequence

from sshtrail_lib.coverage import demand
from sshtrail_lib.coverage.checks import Cause, Verdict, unknown, verdict
from sshtrail_lib.coverage.marks import SSHD, UNSET, called, user_of
from sshtrail_lib.sshd import commandline

#: Keywords that bear on the trail, beside those that the policy has.
TELLING = (
    *("usepam", "loglevel", "logverbose", "syslogfacility", "pamservicename", "authorizedkeyscommand", "include"),
    *("sshdsessionpath", "sshdauthpath"),
)
#: Those that name a program of sshd's own, which serves a connection.
PROGRAMS = ("SshdSessionPath", "SshdAuthPath")
#: Levels at which sshd does not log that it accepted somebody.
QUIET = ("QUIET", "FATAL", "ERROR")
#: What serves files, as a command.
SFTP = re.compile(r"\b(?:internal-sftp|sftp-server)\b")
#: Options of a shell that take the next word, and names of what somebody types at.
TAKES = re.compile(r"--(?:rcfile|init-file)|[-+]\w*[oO]")
TYPED_AT = ("/dev/stdin", "/dev/tty", "/dev/fd/0", "/proc/self/fd/0")
#: The words of a shell's command, what stands between commands, and what runs a file in the shell itself; and
#: characters of a command that are gone through.
BREAKS, WORD, READS = ("|", "<", ";", "&"), re.compile(r"[^\s|<;&(){}`\"'>]+|[|<;&]"), (".", "source")
LONGEST = 4096


class Process(typing.NamedTuple):
    """
    A process, as ``/proc`` tells it.

    ``pid``, ``parent`` (int), ``comm`` (str), ``uid`` and ``login`` (int: its login id), ``program`` (str: its
    executable, empty when it cannot be told), ``argv`` (tuple of str), ``started`` (float, seconds since the epoch),
    ``terminal`` (bool: whether it has one of a person's, or reads from somebody), ``group`` (str: its control group)
    and whether that is of a unit that somebody made for the moment (``transient``, bool), ``foreign`` (bool: whether
    its program is a file of somebody else than root), and ``fed`` (bool: a shell that runs what comes by a named pipe).
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
    transient: bool = False
    foreign: bool = False
    fed: bool = False


class Door(typing.NamedTuple):
    """
    A process that listens: the :class:`Process`, and at which ``ADDRESS:PORT`` (tuple of str).

    Or one that will be started ``by`` another (str, empty otherwise) when somebody comes, and gets the connection; and
    what it ``loads`` then (str), as of a :class:`Server`.
    """

    process: Process
    places: tuple[str, ...]
    by: str = ""
    loads: str = ""


class Server(typing.NamedTuple):
    """
    A sshd that listens.

    ``process`` (:class:`Process`), ``argv`` (tuple of str: the command line that started it), ``places`` (tuple of
    str), the main file that it reads (``config``, str), whether that is the policy's (``ours``, bool), the
    ``keywords`` that this file comes to (dict of str in lower case to str; empty when that cannot be told), and what it
    was ``called`` (str): until 9.7 that is the service that it asks of PAM. One that is not there yet will be started
    ``by`` another (str) when somebody comes. Its program may be another than the ``installed`` (bool) one, and be given
    variables for which its loader ``loads`` a library into it (str, empty for none). What begins the keyword at which
    its command line is ``cut`` off (str, empty for one that is all there) is all that is known of what follows. By
    mounts of its own it ``sees`` another file than this host does (str, empty for none).
    """

    process: Process
    argv: tuple[str, ...]
    places: tuple[str, ...]
    config: str
    ours: bool
    keywords: Mapping[str, str]
    called: str = "sshd"
    by: str = ""
    installed: bool = True
    loads: str = ""
    cut: str = ""
    sees: str = ""


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
    audits
        From when on it certainly did (float, likewise).
    forced, services
        What ForceCommand and PAMServiceName have for some or for all (tuples of str).
    untold, owned
        Where somebody can come, and nothing tells what is started then (tuples of str); what is started at the second
        has the login id of whoever wants it there.
    replaced
        Which keywords have sshd serve connections by another program than its own (tuple of str).
    bare
        What starts a shell at the next boot that asks nobody who he is (tuple of str).
    contained
        Who sits at a terminal in a container (tuple of :class:`Process`).
    given
        Processes that gave up their login ids: ``(pid, when, what is told of it)`` (sequence of (int, float, str)).
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
    audits: float = 0.0
    forced: tuple[str, ...] = ()
    services: tuple[str, ...] = ()
    untold: tuple[str, ...] = ()
    replaced: tuple[str, ...] = ()
    given: Sequence[tuple[int, float, str]] = ()
    owned: tuple[str, ...] = ()
    bare: tuple[str, ...] = ()
    contained: tuple[Process, ...] = ()


def judge(people: People) -> Iterator[Verdict]:
    """Yield the verdicts on the ways in, and on the sessions that are open."""
    if people.audited:
        # The login ids of a container are the business of the host whose kernel it runs on.
        yield _pam(str(people.keywords.get("usepam") or ""))
        yield _inherited(people)
        yield from _sessions(people)
        yield _older(people)
        yield _unknown_shells(people)
    yield _level(people)
    yield from _options(people)
    yield from _strangers(people)
    yield _sftp(people)


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
    # In the title of a listener the words of one argument stand apart.
    return [commandline.keyword(value) for letter, value in commandline.loose(argv[1:]) if letter == "o" and value]


def services(people: People) -> list[str]:
    """Return the services of PAM's that options of the policy's sshd name (list of str): the first of each counts."""
    named = (dict(reversed(options(one.argv))).get("pamservicename") for one in people.servers if one.ours)
    return [name for name in named if name]


def _overrides(server: Server, asked: Mapping[str, str]) -> list[str]:
    found = [
        f"-o {keyword}={value}"
        for keyword, value in options(server.argv)
        if (keyword in TELLING or keyword in asked) and value.lower() != asked.get(keyword, "").lower()
    ]
    # -q is LogLevel QUIET; -E, -e and -d send the log elsewhere than to syslog.
    letters = [one for one in commandline.loose(server.argv[1:]) if one[0] in "qEed"]
    return [*found, *(f"-{letter}{f' {value}' if value else ''}" for letter, value in letters)]


def _goes_without_pam(server: Server) -> bool:
    told = [value.lower() for keyword, value in options(server.argv) if keyword == "usepam"]
    return (told[0] if told else server.keywords.get("usepam", "yes")) != "yes"


def _options(people: People) -> Iterator[Verdict]:
    bad = False
    for server in filter(lambda one: one.ours, people.servers):
        over = [*_overrides(server, people.asked), *([server.loads] if server.loads else [])]
        if over:
            bad = True
            where = f"; {'; '.join(people.defaults)}" if people.defaults else ""
            told = f"{_who(server)} at {', '.join(server.places)} has {' '.join(over)}{where}"
            hides = people.audited and _runs_otherwise(server)
            yield Verdict("sshd-options", False, told, since=server.process.started, hides=hides)
    cut = [one for one in people.servers if one.ours and _is_cut(one, people.asked)]
    if cut and not bad:
        told = "; ".join(f"what follows -o {one.cut}… in the command line of {_who(one)}" for one in cut)
        yield unknown("sshd-options", f"{told} cannot be read any more: its title lies over it", hides=people.audited)
    elif not bad:
        yield Verdict("sshd-options", True)


def _is_cut(server: Server, asked: Mapping[str, str]) -> bool:
    """Tell whether what cannot be read of a command line may be a keyword that bears on the trail (bool)."""
    return bool(server.cut) and any(name.startswith(server.cut.lower()) for name in (*TELLING, *asked))


def _runs_otherwise(server: Server) -> bool:
    """Tell whether what serves a connection may go without PAM: it was told to, or is not what is installed."""
    named = {keyword for keyword, _value in options(server.argv)}
    return _goes_without_pam(server) or bool(server.loads) or any(name.lower() in named for name in PROGRAMS)


def _shown(process: Process) -> str:
    return f"pid {process.pid}, {process.program or process.comm}"


def _who(one: Server | Door) -> str:
    if one.by:
        return f"{one.process.program}, which {one.by} starts when somebody comes,"
    return _shown(one.process)


def _inherited(people: People) -> Verdict:
    # Somebody else's gives nobody a login id, and what comes by it has his own.
    heirs = [one.process for one in people.servers if one.process.login != UNSET and not one.process.uid]
    told = "; ".join(f"{_shown(one)} has the login id {one.login}" for one in heirs)
    return verdict("sshd-inherited-login", told, since=heirs[0].started if heirs else None)


# --- Other ways in ------------------------------------------------------------------------------------------------


def _strangers(people: People) -> Iterator[Verdict]:
    found = [*_replaced(people), *_other_servers(people), *_other_doors(people)]
    if people.untold and not found:
        told = "what is started when somebody comes cannot be told"
        yield unknown("other-way-in", f"{told}: {', '.join(people.untold)}", hides=people.audited)
        return
    if people.owned and not found:
        told = "what is started when somebody comes has the login id of who wants it there, and cannot be told"
        yield unknown("other-way-in", f"{told}: {', '.join(people.owned)}")
        return
    yield from found or [Verdict("other-way-in", True)]


def _replaced(people: People) -> Iterator[Verdict]:
    for line in people.replaced:
        told = f"{line}: connections are served by another program than sshd's own"
        yield Verdict("other-way-in", False, told, cause=Cause("effective", line.split()[0]), hides=people.audited)


def _other_servers(people: People) -> Iterator[Verdict]:
    for server in people.servers:
        keywords = people.keywords if server.ours else server.keywords
        service = str(keywords.get("pamservicename") or server.called)
        if not server.ours or server.called != SSHD[0] or not server.installed or server.sees:
            reads = f"reads {server.config}" if server.config else "reads files that cannot be told"
            other = "" if server.installed else ", is not the installed sshd"
            without = people.audited and _goes_without_pam(server)
            pam = " and goes without PAM" if without else f" and asks PAM for {service}" if service != SSHD[0] else ""
            mounts = f", and sees another {server.sees} than this host does" if server.sees else ""
            told = f"{_who(server)} listens at {', '.join(server.places)}{other}, {reads}{pam}{mounts}"
            # What another program makes of UsePAM nobody knows, nor what stands in files of its own.
            otherwise = without or service != SSHD[0] or not server.installed or bool(server.sees)
            hides = people.audited and otherwise and _without_login(server.process)
            yield Verdict("other-way-in", False, told, since=server.process.started, hides=hides)


def _without_login(process: Process) -> bool:
    """Tell whether what comes by a process has no login id without PAM (bool): somebody else's gives his own."""
    return not process.uid or process.login == UNSET


def _other_doors(people: People) -> Iterator[Verdict]:
    for door in people.doors:
        by_pam = _gives_shells(door)
        if by_pam is None:
            continue
        told = f"{_who(door)} {_where(door)}"
        # A program that somebody started in his session has his login id, and what it starts too.
        hidden = people.audited and not by_pam and door.process.login == UNSET
        yield Verdict("other-way-in", False, told, since=door.process.started, hides=hidden)


def _where(door: Door) -> str:
    return f"listens at {', '.join(door.places)}" if door.places else "gives shells to those who come by its network"


def _gives_shells(door: Door) -> bool | None:
    """Tell whether who comes to a door is known to PAM; None for one that gives no shells."""
    started = demand.begun(demand.Started(door.process.program or door.process.comm, door.process.argv, door.by))
    name, arguments = demand.name_of(started)
    if any(place.rpartition(":")[2] in demand.ENGINES.get(name, ()) for place in door.places):
        return False
    if name == demand.TAILSCALE:
        # It is a door only where its settings say so: ways.
        return None if door.places else False
    if name in demand.TOLD:
        return False if any(map(demand.TOLD[name].search, arguments)) else None
    if door.by and name in demand.SHELLS and _speaks(door, started):
        return False
    return {**demand.DOORS, **(demand.LOGINS if door.by else {})}.get(name)


def _speaks(door: Door, shell: demand.Started) -> bool:
    """Tell whether a shell that is started with a connection speaks to whoever has come."""
    if not all(place[:1] in ("/", "@") for place in door.places):
        return True
    # Services of this host alone are begun by a shell's command, too.
    words = re.split(r"[\s;|&<>()]+", " ".join(shell.argv[1:]))
    return _types(shell.program, shell.argv) or any(called(word, ())[0] in demand.SHELLS for word in words)


# --- Sessions -----------------------------------------------------------------------------------------------------


def sessions(processes: Mapping[int, Process]) -> dict[int, str]:
    """Return the processes that serve an open session (dict of pid to whose it is)."""
    # Whoever calls his own program sshd serves no session.
    found = {pid: user_of(one.comm, one.program, one.argv) for pid, one in processes.items() if not one.foreign}
    return {pid: user for pid, user in found.items() if user}


def lives_without(people: People, pid: int, since: float) -> bool:
    """Tell whether a process (int) has had no login id ``since`` (float, seconds): no later one with its number."""
    one = people.processes.get(pid)
    return one is not None and one.login == UNSET and one.started <= since + 1


def _sessions(people: People) -> Iterator[Verdict]:
    serving = sessions(people.processes)
    children: dict[int, list[int]] = {}
    for one in people.processes.values():
        children.setdefault(one.parent, []).append(one.pid)
    lost, others = [*_outside(people, serving, children)], []
    for pid, user in serving.items():
        below, login = [people.processes[one] for one in _below(pid, children)], people.processes[pid].login
        without = next((one for one in below if one.login == UNSET), None)
        if without:
            told = f"{user}: {_shown(without)}, has no login id"
            lost.append(Verdict("session-unattributed", False, told, since=without.started))
        other = next((one for one in below if one.login not in (UNSET, login)), None)
        if other and login != UNSET:
            told = f"{user}: {_shown(other)}, has the login id {other.login}, not {login}"
            others.append(Verdict("session-misattributed", False, told, since=other.started))
    yield from lost or [Verdict("session-unattributed", True)]
    yield from others or [Verdict("session-misattributed", True)]


def _outside(people: People, serving: Mapping[int, str], children: Mapping[int, Sequence[int]]) -> Iterator[Verdict]:
    """Yield the verdicts on what gave up its login id and left its session."""
    inside = {one for pid in serving for one in _below(pid, children)}
    for pid, when, told in people.given:
        if pid not in inside:
            yield Verdict("session-unattributed", False, f"{told}, and it lives", since=when)


def _older(people: People) -> Verdict:
    """
    Tell of the sessions that are older than auditing, which is no open way.

    The kernel gives a process what it needs to be audited when it is forked, if auditing was ever on (auditsc.c,
    audit_alloc): what an older shell starts is recorded, as is what an older sshd starts.
    """
    began = people.audits if people.since is None else people.since
    serving = sessions(people.processes)
    old = [f"{user} (pid {pid})" for pid, user in serving.items() if people.processes[pid].started < began]
    if not old:
        return Verdict("session-older", True)
    told = "older than auditing" if people.since is not None else "perhaps older than auditing, which the log is not"
    return unknown("session-older", f"{told}; what they start is recorded: {', '.join(old)}", hides=True)


def _below(pid: int, children: Mapping[int, Sequence[int]]) -> list[int]:
    found, waiting = [], [pid]
    while waiting:
        found.append(waiting.pop())
        waiting += children.get(found[-1], ())
    return found


def _types(program: str, argv: Sequence[str]) -> bool:
    """Tell whether a program is a shell at which somebody types: it was given no script and no command."""
    name, words = called(program, argv)
    if name not in demand.SHELLS:
        return False
    options, left = _options_of(words)
    return "i" in options or not (left or "c" in options)


def _options_of(words: Sequence[str]) -> tuple[str, list[str]]:
    """Return the letters of a shell's options (str), and the words (list of str) that follow them."""
    options, left = "", list(words)
    while left and (left[0] in TYPED_AT or left[0][:1] in ("-", "+")):
        word = left.pop(0)
        options += word[1:] if word[:1] in ("-", "+") and word[1:2] != "-" else ""
        if TAKES.fullmatch(word) and left:
            left.pop(0)
    return options, left


def fed_by(program: str, argv: Sequence[str]) -> list[str]:
    """
    Return the files (list of str) by which a shell gets what it runs: the script, or what its command has a shell run.

    Those of them that are named pipes are for whoever may write to them: ``sh -c 'while :; do sh </run/x; done'``.
    """
    name, words = called(program, argv)
    if name not in demand.SHELLS:
        return []
    options, left = _options_of(words)
    return _run_by(left[0][:LONGEST]) if left and "c" in options else left[:1]


def _run_by(text: str) -> list[str]:
    words, found = WORD.findall(text), []
    for at, word in enumerate(words):
        if posixpath.basename(word) in demand.SHELLS or word in READS:
            after = itertools.dropwhile(lambda one: one[:1] in ("-", "+"), words[at + 1 :])
            found += list(itertools.islice(after, 2))
            found += words[:at] if words[at - 1 : at] == ["|"] else []
        elif word == "eval":
            found += words
    return [one for one in dict.fromkeys(found) if one not in BREAKS]


def _unknown_shells(people: People) -> Verdict:
    shells = [one for one in people.processes.values() if one.login == UNSET and (one.fed or _is_somebodys(one))]
    told = [f"{_shown(one)}{f' in {one.group}' if one.group else ''}" for one in shells]
    told += [f"{path} starts one at the next boot, at a terminal of the console" for path in people.bare]
    contained = [_shown(one) for one in people.contained if one.login == UNSET and _types(one.program, one.argv)]
    if contained and not told:
        # Who is in a container is its business; who went into it from this host has no other record.
        why = f"a shell in a container has no login id, and who sits there is not known: {'; '.join(contained)}"
        return unknown("shell-without-login", why, hides=True)
    return verdict("shell-without-login", "; ".join(told), since=shells[0].started if shells else None)


def _is_somebodys(one: Process) -> bool:
    """Tell whether somebody gives a process what it runs (bool), be it a shell or what systemd-run(1) has started."""
    return one.terminal and (one.transient or _types(one.program, one.argv))


def _sftp(people: People) -> Verdict:
    subsystems = people.keywords.get("subsystem") or []
    lines = [f"Subsystem {one}" for one in subsystems if one.split()[:1] == ["sftp"]]
    lines += [f"ForceCommand {one}" for one in people.forced if SFTP.search(one)]
    quiet = [line for line in lines if not _logs_files(line.split())]
    told = "; ".join(f"{line}: it logs no files" for line in dict.fromkeys(quiet))
    return unknown("files-untold", told) if told else Verdict("files-untold", True)


def _logs_files(words: Sequence[str]) -> bool:
    """Tell whether a sftp server (its words) logs what it opens: sftp-server(8), ``-l``; the last one counts."""
    pairs = zip(words, [*words[1:], ""], strict=True)
    levels = [after if word == "-l" else word[2:] for word, after in pairs if word[:2] == "-l"]
    return bool(levels) and levels[-1].upper() not in QUIET
