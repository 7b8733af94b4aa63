"""
Who can come in, and who has: what listens, sshd's files, every process; asked, never changed.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltException

from sshtrail_lib.auditd import daemon as auditd_daemon
from sshtrail_lib.base import files, processes, service, sockets
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage import demand, ids, shells
from sshtrail_lib.coverage.marks import DELETED, LISTENS, SSHD, UNSET, called, user_of
from sshtrail_lib.coverage.people import PROGRAMS, Door, People, Process, Server
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.sshd import commandline
from sshtrail_lib.sshd import host as sshd_host
from sshtrail_lib.sshd import oracle as sshd_oracle
from sshtrail_lib.sshd import running as sshd_running
from sshtrail_lib.sshd import started as sshd_started
from sshtrail_lib.sshd.commandline import CommandLine

#: Where the units are that systemd starts at the next boot, and what starts a shell then that asks nobody who he is:
#: systemd-debug-generator(8).
WANTED = ("/etc/systemd/system/*.wants/", "/run/systemd/generator*/*.wants/")
BARE = "debug-shell.service"
#: What PAM's part in a login is made of.
BEARING = (
    "/etc/pam.d/*",
    "/usr/lib/pam.d/*",
    "/usr/lib*/security/pam_loginuid.so",
    "/usr/lib/*/security/pam_loginuid.so",
)
#: A place that a network reaches has a port.
_PORT = re.compile(r"^(?:vsock|[0-9.]+|\[[^]]*\]):.*[0-9]$")
#: What processes of one host share, of which a container has its own: either will do.
NAMESPACES = ("mnt", "uts")
#: Bytes of a file of settings that are read.
MOST = 2**20


def people(minion: Minion, policy: Policy) -> People:
    """Return what is known of the ways into a host with a ``policy`` (dict)."""
    everybody = alive()
    keywords = _effective(minion, policy["sshd"]["path"])
    asked = {name.lower(): str(value) for name, value in policy["sshd"]["config"].items() if value is not None}
    owners = _owners(everybody)
    servers, doors = _listening(minion, policy["sshd"]["path"], everybody, owners)
    awaited, untold, owned = _awaited(minion, everybody, owners)
    more, others = _as_ways(minion, policy["sshd"]["path"], awaited)
    quiet = _quiet(minion, policy["sshd"]["path"])
    ways = ((*servers, *more), (*doors, *others, *_agents(everybody, {one.process.pid for one in doors})))
    found = People(*ways, keywords, quiet, asked, everybody, _defaults(), policy["audit"], untold=untold, owned=owned)
    forced, services = (_written(minion, policy["sshd"]["path"], name) for name in ("ForceCommand", "PAMServiceName"))
    return found._replace(
        forced=forced,
        services=services,
        replaced=_replaced(minion, keywords),
        bare=_bare(),
        contained=_contained(everybody),
    )


def _replaced(minion: Minion, keywords: Mapping[str, object]) -> tuple[str, ...]:
    """Return which keywords name another program than sshd's own for its connections (tuple of str)."""
    named = {name: str(keywords[name.lower()]) for name in PROGRAMS if keywords.get(name.lower())}
    own = sshd_oracle.daemon(minion).defaults if named else {}
    return tuple(f"{name} {path}" for name, path in named.items() if name in own and not files.same(path, own[name][0]))


def _bare() -> tuple[str, ...]:
    """Return by which links systemd starts a shell at the next boot that asks nobody who he is (tuple of str)."""
    return tuple(path for place in WANTED for path in sorted(glob.glob(f"{place}{BARE}")))


def _agents(everybody: Mapping[int, Process], known: Collection[int]) -> Iterator[Door]:
    """Yield what lets people in without listening on this host, beside the ``known`` (collection of int)."""
    for one in everybody.values():
        name = demand.name_of(demand.Started(one.program, one.argv, ""))[0]
        if (name in demand.AGENTS and one.pid not in known) or (name == demand.TAILSCALE and _by_tailscale(one)):
            yield Door(one, ())


def _by_tailscale(one: Process) -> bool:
    words = [word.partition("=") for word in one.argv]
    pairs = zip(words, [*one.argv[1:], ""], strict=True)
    path = next((value or after for (name, _, value), after in pairs if name.lstrip("-") == "state"), "")
    return _is_believed(one) and demand.tailscale_ssh(_short(path or demand.TAILSCALE_STATE))


def _short(path: str) -> str:
    """Return what is in a small regular file (str), empty where it is none."""
    with contextlib.suppress(CommandExecutionError):
        return (files.beginning(path, MOST) or b"").decode("utf-8", "replace")
    return ""


def _effective(minion: Minion, path: str) -> dict[str, object]:
    """Return what the file at ``path`` (str) comes to for everybody (dict), empty when that cannot be told."""
    try:
        return {name.lower(): one["value"] for name, one in sshd_host.effective(minion, path).items()}
    except (SaltException, OSError, ValueError):
        return {}


def _quiet(minion: Minion, path: str) -> tuple[str, ...]:
    try:
        return tuple(sshd_host.lowered(minion, path))
    except (SaltException, OSError, ValueError):
        return ()


def _written(minion: Minion, path: str, keyword: str) -> tuple[str, ...]:
    try:
        return tuple(sshd_host.written(minion, path, keyword))
    except (SaltException, OSError, ValueError):
        return ()


def _defaults() -> tuple[str, ...]:
    found = []
    for path, variable in sshd_started.SETTINGS.items():
        for line in (files.read(path) or b"").decode("utf-8", "replace").splitlines():
            name, _, value = line.strip().partition("=")
            if name == variable and value.strip("\"' "):
                found.append(f"{path}: {line.strip()}")
    return tuple(found)


def _loads(minion: Minion, pid: int) -> str:
    """Return what puts a library into a sshd that runs (str): its title has covered what it was started with."""
    unit = sshd_started.unit_of(pid)
    if not unit or not salt.utils.systemd.booted(minion.context):
        return demand.loads(sshd_started.settings({}, sshd_started.SETTINGS))
    told = next(iter(demand.blocks(_asked(minion, demand.OF_SERVICES, unit))), {})
    return demand.loads(sshd_started.settings(*demand.environment(told)))


# --- Processes ----------------------------------------------------------------------------------------------------


def alive() -> dict[int, Process]:
    """Return the processes of this host (dict of pid to :class:`Process`), without those of its containers."""
    kinds, origin = _kinds(), time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    own, found = _namespaces("self", kinds), {}
    for name in os.listdir("/proc"):
        if name.isdigit() and own & _namespaces(name, kinds):
            one = process(int(name), origin)
            if one:
                found[one.pid] = one
    return found


def _contained(everybody: Mapping[int, Process]) -> tuple[Process, ...]:
    """Return who sits at a terminal in a container (tuple of :class:`Process`): of none of this host's (mapping)."""
    origin = time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)
    found = (process(pid, origin) for pid in shells.in_containers(everybody))
    return tuple(filter(None, found))


def began(pid: int) -> float:
    """Return when a process (int) was started (float, seconds since the epoch), 0 for none."""
    one = process(pid, time.time() - time.clock_gettime(time.CLOCK_BOOTTIME)) if pid else None
    return one.started if one else 0.0


def in_session(pid: int) -> bool:
    """Tell whether a process (int) runs in an open session of sshd's (bool)."""
    while pid > 1:
        shown = processes.comm(pid).decode("utf-8", "replace")
        if user_of(shown, _program(pid), processes.argv(pid)):
            return True
        pid = int(next(iter(processes.fields(pid)[1:2]), b"0"))
    return False


def _kinds() -> tuple[str, ...]:
    """
    Return what tells the processes of this host (tuple of str): where we are with its first process, all whose numbers
    it gives, also those that have left all else (unshare(1)); a container has numbers of its own. Whoever has the
    host's root directory is here, too, be it from within a container (chroot(1)).
    """
    return (
        (*NAMESPACES, "pid", "root") if _namespaces("1", NAMESPACES) == _namespaces("self", NAMESPACES) else NAMESPACES
    )


def _namespaces(pid: str, kinds: Iterable[str]) -> set[tuple[str, int, int]]:
    found = set()
    for kind in kinds:
        try:
            one = os.stat(f"/proc/{pid}/{kind if kind == 'root' else f'ns/{kind}'}")
        except OSError:
            continue
        found.add((kind, one.st_dev, one.st_ino))
    return found


def process(pid: int, origin: float) -> Process | None:
    """
    Return the :class:`Process` with the number ``pid`` (int), None when it has ended.

    origin
        When the host was started (float, seconds since the epoch).
    """
    fields = processes.fields(pid)
    if len(fields) < 20:
        return None
    uid, login = processes.owner(pid), ids.login(pid)
    if uid < 0:
        return None
    started = origin + int(fields[19]) / os.sysconf("SC_CLK_TCK")
    shown, program, argv = processes.comm(pid).decode("utf-8", "replace"), _program(pid), processes.argv(pid)
    terminal, group, transient, fed = int(fields[4]) > 0, "", False, False
    if login == UNSET and (terminal or called(program, argv)[0] in demand.SHELLS):
        group = shells.group(pid)
        transient = shells.is_transient(group)
        terminal = terminal or shells.reads_somebody(pid, transient)
        fed = shells.is_fed(pid, program, argv)
    told = (program, argv, started, terminal, group, transient, _is_foreign(pid, program), fed)
    return Process(pid, int(fields[1]), shown, uid, login, *told)


def _program(pid: int) -> str:
    return processes.link(f"/proc/{pid}/exe")


def _is_foreign(pid: int, program: str) -> bool:
    """Tell whether what is called sshd is a file of somebody else than root (bool)."""
    found = _file_of(pid) if os.path.basename(program).startswith(SSHD[0]) else None
    return found is not None and found.st_uid != 0


def _file_of(pid: int) -> os.stat_result | None:
    try:
        return os.stat(f"/proc/{pid}/exe")
    except OSError:
        return None


# --- What listens -------------------------------------------------------------------------------------------------


def _listening(
    minion: Minion, path: str, everybody: Mapping[int, Process], owners: Mapping[int, tuple[str, ...]]
) -> tuple[tuple[Server, ...], tuple[Door, ...]]:
    servers, doors = [], []
    for pid, places in owners.items():
        one = everybody[pid]
        name = _called(one)
        command = _command(minion, pid) if name else None
        if command:
            found = _server(minion, path, one, command, places)
            sees = _sees(minion, path, pid) if found.config else ""
            servers.append(found._replace(called=name, loads=_loads(minion, pid), sees=sees))
        elif not name:
            doors.append(Door(one, places))
    return tuple(servers), tuple(doors)


def _called(process: Process) -> str:
    """
    Return what a sshd is called (str), empty for any other process.

    What root started says so by its title, whatever its program; what somebody else calls himself is nothing.
    """
    name = os.path.basename(process.program).removesuffix(DELETED)
    title = LISTENS.match(process.argv[0]) if process.argv and _is_believed(process) else None
    # One that is cut off, for want of variables whose place it could take, tells its program, or how that begins.
    if title and (title["listens"] or name == SSHD[0] or process.program.startswith(title["program"])):
        return title["name"]
    # What serves a connection listens for what somebody in it forwards.
    return SSHD[0] if name.startswith(SSHD[0]) and name not in SSHD[1:] else ""


def _is_believed(process: Process) -> bool:
    """Tell whether nobody but root has started a process, and given it its words (bool)."""
    if process.uid or not processes.of_root_alone(process.pid):
        return False
    found = _file_of(process.pid)
    # One that anybody may start as root, such as sudo, has the words and the sockets that he gave it.
    return found is None or not found.st_mode & stat.S_ISUID


def _command(minion: Minion, pid: int) -> CommandLine | None:
    try:
        return sshd_started.command(pid, sshd_running.DEFAULT, minion)
    except CommandExecutionError:
        return None


def _owners(pids: Iterable[int]) -> dict[int, tuple[str, ...]]:
    """Return which of the processes listen, and where: ``{pid: (place, …)}``."""
    held: dict[str, str] = {f"socket:[{one.inode}]": one.place for one in sockets.local()}
    networks: set[int] = set()
    for pid in sorted(pids):
        # Who is in a network of his own listens there.
        network = _network(pid)
        if network not in networks:
            networks.add(network)
            held |= {f"socket:[{one.inode}]": f"{_shown(one.address)}:{one.port}" for one in _heard(pid, network)}
            held |= {f"socket:[{one.inode}]": one.place for one in sockets.without_connections(pid)}
    found = {pid: tuple(held[link] for link in processes.links(pid) if link in held) for pid in sorted(pids)}
    return {pid: places for pid, places in found.items() if places}


def _heard(pid: int, network: int) -> Iterable[sockets.Listening]:
    return sockets.listening() if network == _network(os.getpid()) else sockets.listening_to(pid)


def _network(pid: int) -> int:
    try:
        return os.stat(f"/proc/{pid}/ns/net").st_ino
    except OSError:
        return 0


def _shown(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _server(minion: Minion, path: str, one: Process, command: CommandLine, places: tuple[str, ...]) -> Server:
    if not _is_believed(one):
        # What somebody else names can be a file without an end, and is not read.
        return Server(one, (one.program,), places, "", False, {}, installed=_installed(one.program))
    config = command.config(sshd_running.DEFAULT)
    theirs = auditd_daemon.rooted(one.pid, config)
    ours = files.same(theirs, path)
    # Its includes are files of its own mounts, which are ours only where the file is the same here.
    read = {} if ours or not files.same(theirs, config) else _effective(minion, config)
    keywords = {name: str(value) for name, value in read.items()}
    found = Server(one, command.words, places, config, ours, keywords, installed=_installed(one.program))
    return found._replace(cut=command.cut)


def _sees(minion: Minion, path: str, pid: int) -> str:
    """Return what bears on logins and is another file for a process (int) by mounts of its own (str), else nothing."""
    if processes.shares_mounts(pid):
        return ""
    try:
        read = sshd_host.sources(minion, path)["paths"]
    except (SaltException, OSError, ValueError):
        read = [path]
    paths = [*read, *(found for pattern in BEARING for found in sorted(glob.glob(pattern)))]
    other = (one for one in paths if os.path.exists(one) and not files.same(auditd_daemon.rooted(pid, one), one))
    found = next(other, "") or ("" if ids.settable(pid) else ids.SETS)
    # One that has ended sees nothing.
    return found if processes.lives(pid) else ""


def _installed(program: str) -> bool:
    """Tell whether a program (str) is the installed sshd, or the one that an upgrade has replaced."""
    known = sshd_oracle.binary()
    # What has no path is looked for where programs are.
    return not known or not os.path.isabs(program) or files.same(program.removesuffix(DELETED), known)


# --- What is started when somebody comes --------------------------------------------------------------------------


def _awaited(
    minion: Minion, everybody: Mapping[int, Process], owners: Mapping[int, tuple[str, ...]]
) -> tuple[list[Door], tuple[str, ...], tuple[str, ...]]:
    """
    Return what will be started when somebody comes (list), and where nothing tells what (two tuples of str): in the
    second it has the login id of who has logged in and wants it there.
    """
    found: list[Door] = []
    untold: list[str] = []
    owned: list[str] = []
    for pid, places in owners.items():
        one = everybody[pid]
        name, arguments = called(one.program, one.argv)
        if name in demand.TABLES:
            # A file that somebody else's command line names can be one without an end.
            found += [_door(one, told, places) for told in _tabled(name, arguments)] if _is_believed(one) else []
        elif name in demand.SERVERS:
            found.append(_door(one, demand.Started(one.program, one.argv, name), places))
        elif pid == 1 and salt.utils.systemd.booted(minion.context):
            known = [_door(one, told, at) for at, told in _by_systemd(minion)]
            found += known
            # An address may be written in two ways, its port in one; what is only this host's, systemd has for itself.
            ports = {place.rpartition(":")[2] for door in known for place in door.places if place[:4] != "udp:"}
            untold += [place for place in _reached(places) if place.rpartition(":")[2] not in ports]
        elif name == "systemd":
            # That of somebody who has logged in, which his own bus alone could ask.
            (untold if one.login == UNSET else owned).extend(_reached(places))
    return found, tuple(untold), tuple(owned)


def _reached(places: Iterable[str]) -> list[str]:
    """Return those of the places (iterable of str) to which somebody comes from elsewhere."""
    return [place for place in places if _PORT.search(place)]


def _door(one: Process, told: demand.Started, places: tuple[str, ...]) -> Door:
    last = demand.begun(told)
    return Door(one._replace(program=last.program, argv=last.argv), places, last.by, last.loads)


def _tabled(name: str, arguments: Sequence[str]) -> Iterator[demand.Started]:
    read = demand.xinetd if name == "xinetd" else demand.inetd
    waiting, done = demand.tables(name, arguments), set()
    while waiting:
        path = waiting.pop(0)
        if os.path.isdir(path):
            waiting += sorted(glob.glob(f"{glob.escape(path)}/*"))
        elif path not in done:
            done.add(path)
            text = (files.read(path) or b"").decode("utf-8", "replace")
            waiting += demand.included(text) if name == "xinetd" else []
            yield from read(text)


def _by_systemd(minion: Minion) -> Iterator[tuple[tuple[str, ...], demand.Started]]:
    units = demand.units(_asked(minion, demand.OF_SOCKETS, "*.socket"))
    names = list(dict.fromkeys(unit.service for unit in units))
    services = demand.services(_asked(minion, demand.OF_SERVICES, *names)) if names else {}
    for unit in units:
        told = services.get(unit.service, {})
        variables = sshd_started.settings(*demand.environment(told))
        for program, words in demand.commands(told):
            # Of variables that are empty nothing is left.
            argv = commandline.expanded(words.split(), variables) or [program]
            yield unit.places, demand.Started(program, tuple(argv), unit.socket, demand.loads(variables))


def _asked(minion: Minion, properties: Iterable[str], *names: str) -> str:
    # By the manager's own socket: busctl, which keeps the quotes, needs a bus.
    options = [f"--property={name}" for name in properties]
    return str(minion.run("systemctl", "show", *options, "--", *names, seconds=service.ASKING)["stdout"])


def _as_ways(minion: Minion, path: str, awaited: Iterable[Door]) -> tuple[list[Server], list[Door]]:
    servers, doors = [], []
    for door in awaited:
        if os.path.basename(door.process.program) == SSHD[0]:
            name = os.path.basename(door.process.argv[0])
            found = _server(minion, path, door.process, CommandLine(door.process.argv), door.places)
            servers.append(found._replace(called=name, by=door.by, loads=door.loads))
        else:
            doors.append(door)
    return servers, doors
