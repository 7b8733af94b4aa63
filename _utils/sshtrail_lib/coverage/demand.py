"""
What is started when somebody comes: by a socket of systemd's, by inetd or xinetd, by a server that has it on its
command line. Until then no process shows it.

Source: systemctl(1), systemd.socket(5), systemd-ssh-generator(8), inetd(8), xinetd(8), xinetd.conf(5).
"""

from __future__ import annotations

import base64
import json
import posixpath
import re
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.coverage.marks import SSHD, called
from sshtrail_lib.sshd import commandline

#: What systemd tells of its sockets, and of the services that these start.
OF_SOCKETS = ("Id", "Accept", "Triggers", "Listen", "ActiveState")
OF_SERVICES = ("Id", "Names", "ExecStart", "Environment", "EnvironmentFiles")
#: What takes connections: at an address of the network or of VSOCK (``vsock:CID:PORT``), or a path of this host's; and
#: what takes messages of the network.
_STREAM = re.compile(r"(?P<place>.+) \((?:Stream|SequentialPacket)\)")
_MESSAGES = re.compile(r"(?P<place>[^/@].*) \(Datagram\)")
_COMMAND = re.compile(r"path=(?P<path>\S+) ; argv\[\]=(?P<argv>.*?) ; ignore_errors=")
#: Variables for which the loader puts a library into a program, as a line of its environment: ld.so(8).
_LOADS = re.compile(r"LD_(?:PRELOAD|AUDIT)=.")
#: The one that names directories in which the loader looks first; and where a distribution has its libraries.
_LOOKS = "LD_LIBRARY_PATH="
_USUAL = re.compile(r"(?:/usr)?/lib(?:64|32|x32)?(?:/[^/]+-linux-[^/]+)?(?:/gconv|/glibc-hwcaps/[^/]+)?/[^/]+")
_FILE = re.compile(r" \(ignore_errors=(?:yes|no)\)\Z")
#: Programs that begin others by a table, and where the table is: files, and directories with more of them.
TABLES = {
    **dict.fromkeys(("inetd", "openbsd-inetd", "inetutils-inetd"), ("/etc/inetd.conf", "/etc/inetd.d")),
    "xinetd": ("/etc/xinetd.conf", "/etc/xinetd.d"),
}
#: Kinds of sockets of inetd's that a shell can read from.
KINDS = ("stream", "dgram", "seqpacket")
#: Options of an inetd that take an argument.
_INETD = ("-a", "-q", "-R", "-N", "-p")
#: Programs that give shells, or a desktop with one: whether their sessions go by PAM, and so have a login id. Those of
#: SSH and of what came before it, of terminals in a browser, of desktops, of shells by other protocols.
DOORS = {
    **dict.fromkeys(("dropbear", "dropbearmulti", "tinysshd", "tinysshnoneauthd", "wolfsshd", "mosh-server"), False),
    **dict.fromkeys(("telnetd", "in.telnetd", "rlogind", "in.rlogind", "rshd", "in.rshd", "rexecd", "in.rexecd"), True),
    **dict.fromkeys(("lshd", "uucpd", "in.uucpd"), True),
    **dict.fromkeys(("etserver", "ssh3-server", "ssh3", "gs-netcat"), False),
    **dict.fromkeys(("ttyd", "gotty", "tty2web", "miniserv.pl", "butterfly.server.py", "code-server"), False),
    **dict.fromkeys(("openvscode-server", "jupyter-lab", "jupyter-notebook", "jupyter-server", "ajenti-panel"), False),
    **dict.fromkeys(("shellinaboxd", "wetty", "cockpit-ws", "cockpit-tls", "jupyterhub", "rserver"), True),
    **dict.fromkeys(("Xvnc", "Xtigervnc", "Xtightvnc", "Xrealvnc", "x11vnc", "x0vncserver", "x0tigervncserver"), False),
    **dict.fromkeys(("vncserver-x11-core", "wayvnc", "krfb", "vino-server", "weston-vnc", "xpra"), False),
    **dict.fromkeys(("xrdp", "xrdp-sesman", "nxserver.bin", "nxd", "gnome-remote-desktop-daemon"), True),
}
#: Those that let people in by a connection of their own making to somebody's host, so that they need not listen.
AGENTS = (
    *("teleport", "amazon-ssm-agent", "ssm-agent-worker", "tmate", "upterm", "sshx", "meshagent", "code-tunnel"),
    *("teamviewerd", "anydesk", "rustdesk"),
)
DOORS |= dict.fromkeys(AGENTS, False)
#: The one that does so where its settings say so, and where these are; and who begins programs for the network if told.
TAILSCALE, ENGINES = "tailscaled", {"dockerd": ("2375", "2376")}
TAILSCALE_STATE = "/var/lib/tailscale/tailscaled.state"
#: Programs that run what stands on their command line, and which of :data:`DOORS` are such: a script, or its directory.
INTERPRETERS = re.compile(r"(?:perl|python|node|nodejs|ruby|php)[0-9.]*")
SCRIPTS = (
    *("miniserv.pl", "butterfly.server.py", "code-server", "openvscode-server", "jupyter-lab", "jupyter-notebook"),
    *("jupyter-server", "jupyterhub", "ajenti-panel", "wetty"),
)
#: Programs that have people log in at what they are given: likewise, and only where they are started for it.
LOGINS = {**dict.fromkeys(("login", "agetty", "getty", "mgetty"), True), "su": False, "sulogin": False}
#: Programs at which people type commands.
SHELLS = ("sh", "bash", "dash", "zsh", "zsh5", "ksh", "ksh93", "mksh", "yash", "fish", "tcsh", "csh", "ash", "hush")
#: Programs that give a shell when they are told so.
TOLD = {"socat1": re.compile(r"(?i)\b(EXEC|SYSTEM|SHELL):"), "ncat": re.compile(r"^(-\w*[ec]\w*|--(sh-|lua-)?exec.*)$")}
TOLD["socat"] = TOLD["socat1"]
TOLD["dockerd"] = re.compile(r"\btcp://")
TOLD["nc"] = TOLD["nc.traditional"] = TOLD["netcat"] = TOLD["ncat"]
#: Programs that take connections, and begin what stands on their command line for each.
SERVERS = ("tcpserver", "sslserver", "tcpsvd", "s6-tcpserver", "systemd-socket-activate", "websocketd", "faucet")
#: Programs that become another one, or begin it as it is.
WRAPPERS = (
    *("env", "nice", "ionice", "nohup", "setsid", "stdbuf", "timeout", "chrt", "taskset"),
    *("unshare", "nsenter", "chroot"),
    *("setpriv", "prlimit", "runuser", "sudo", "doas", "capsh", "script", "flock", "tini", "dumb-init", "systemd-run"),
    *("ip", "tcpd", "strace", "ltrace", "daemon", "start-stop-daemon", "softlimit", "setuidgid", "envdir", "chpst"),
)
_LOADER = re.compile(r"ld(?:-linux.*|64)?\.so(?:\.\d+)?|ld-\d.*\.so")
_KNOWN = {*DOORS, *LOGINS, *SHELLS, *TOLD, SSHD[0]}


class Started(typing.NamedTuple):
    """
    What somebody's coming starts: the ``program`` and its ``argv`` (str, tuple of str), ``by`` what (str), and the
    variables for which its loader ``loads`` a library into it (str, empty for none).
    """

    program: str
    argv: tuple[str, ...]
    by: str
    loads: str = ""


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
    """Return what the sockets start that take connections; ``shown`` (str) has their :data:`OF_SOCKETS`."""
    found = []
    for told in blocks(shown):
        lines = told.get("Listen", ())
        places = tuple(one["place"] for one in map(_STREAM.fullmatch, lines) if one)
        places += tuple(f"udp:{one['place']}" for one in map(_MESSAGES.fullmatch, lines) if one)
        name = told.get("Id", [""])[0]
        if not places or told.get("ActiveState") != ["active"] or not name.endswith(".socket"):
            continue
        # A template is told of by any of its instances; the socket's own instance is not in its name.
        instance = f"{name.removesuffix('.socket').partition('@')[0]}@sshtrail.service"
        names = [instance] if told.get("Accept") == ["yes"] else " ".join(told.get("Triggers", ())).split()
        found += [Unit(one, places, name) for one in names]
    return found


def services(shown: str) -> dict[str, dict[str, list[str]]]:
    """Return what is ``shown`` (str) of services by each of their names (dict of a block of :data:`OF_SERVICES`)."""
    return {name: told for told in blocks(shown) for line in told.get("Names", ()) for name in line.split()}


def commands(told: Mapping[str, list[str]]) -> list[tuple[str, str]]:
    """Return the programs of a service (a block of :data:`OF_SERVICES`) and their command lines (list of str pairs)."""
    found = map(_COMMAND.search, told.get("ExecStart", ()))
    return [(one["path"], one["argv"]) for one in found if one]


def loads(variables: Mapping[str, str]) -> str:
    """Return those of a program's ``variables`` (dict of str) that put a library into it (str), empty for none."""
    return loading(f"{name}={value}" for name, value in variables.items())


def loading(variables: Iterable[str]) -> str:
    """Return what :func:`loads` does of ``variables`` as an environment has them (iterable of str: ``NAME=value``)."""
    return " ".join(text.line(one) for one in variables if _LOADS.match(one))


def replaced(variables: Iterable[str], mapped: Iterable[str]) -> str:
    """
    Return the variable for which a process that runs may have another library than the distribution's (str), empty for
    none.

    variables
        Its environment (iterable of str: ``NAME=value``).
    mapped
        The lines of its ``/proc/PID/maps`` (iterable of str).
    """
    looks = next((one for one in variables if one.startswith(_LOOKS) and one != _LOOKS), "")
    files = [words[5] for words in (line.split(maxsplit=5) for line in mapped) if len(words) > 5]
    found = next((one for one in files if ".so" in posixpath.basename(one) and not _USUAL.fullmatch(one)), "")
    return text.line(f"{looks}, and has {found}") if looks and found else ""


def preloaded(everywhere: str, mapped: Iterable[str]) -> str:
    """
    Return which library a process that runs has because every program gets it (str), empty for none.

    everywhere
        What is in ``/etc/ld.so.preload`` (str).
    mapped
        As for :func:`replaced`.
    """
    named = {posixpath.basename(word) for word in re.split(r"[\s:]+", re.sub(r"#.*", "", everywhere)) if word}
    files = [words[5].removesuffix(" (deleted)") for words in (line.split(maxsplit=5) for line in mapped) if words[5:]]
    found = next((one for one in files if posixpath.basename(one) in named), "")
    return text.line(f"/etc/ld.so.preload, and has {found}") if found else ""


def environment(told: Mapping[str, list[str]]) -> tuple[dict[str, str], list[str]]:
    """Return the variables that a service is given by its unit (dict of str), and the files with more (list of str)."""
    own = dict(one.partition("=")[::2] for line in told.get("Environment", ()) for one in commandline.split(line))
    return own, [_FILE.sub("", line) for line in told.get("EnvironmentFiles", ())]


def tables(name: str, arguments: Sequence[str]) -> list[str]:
    """Return where a program of :data:`TABLES` (``name``, str) with ``arguments`` (str) has them (list of str)."""
    pairs = list(zip(["", *arguments], arguments, strict=False))
    if name == "xinetd":
        return [word for before, word in pairs if before == "-f"] or list(TABLES[name])
    return [word for before, word in pairs if word[:1] != "-" and before not in _INETD] or list(TABLES[name])


def included(text: str) -> list[str]:
    """Return which files and directories (list of str) a file of xinetd's (str) includes."""
    return re.findall(r"^\s*include(?:dir)?\s+(\S+)\s*$", text, re.MULTILINE)


def inetd(text: str) -> Iterator[Started]:
    """Yield what a table of inetd's (str) starts for who comes by the network."""
    for line in text.splitlines():
        words = line.partition("#")[0].split()
        by_network = len(words) >= 6 and words[1] in KINDS and not words[2].startswith("unix")
        if by_network and words[5] != "internal":
            yield Started(words[5], tuple(words[6:] or [posixpath.basename(words[5])]), f"inetd's {words[0]}")


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
            yield Started(told["server"], tuple(named or [told["server"]]), f"xinetd's {name}")


def begun(started: Started) -> Started:
    """
    Return what a program comes to that begins another (:class:`Started`): the first known one on its command line.

    Itself where it begins none, or none that is known.
    """
    name, arguments = called(started.program, started.argv)
    if name not in (*WRAPPERS, *SERVERS) and not _LOADER.fullmatch(name):
        return started
    # tcpd is called by the name of the other.
    own = posixpath.basename(next(iter(started.argv), name)) == name
    words = started.argv if name == "tcpd" and not own else arguments
    for at, word in enumerate(words):
        program = (word.split() or [""])[0]
        if name_of(Started(program, tuple(words[at:]), ""))[0] in _KNOWN:
            return started._replace(program=program, argv=(*word.split(), *words[at + 1 :]))
    return started


def name_of(started: Started) -> tuple[str, Sequence[str]]:
    """Return what a program is (:class:`Started`), or the script that it runs (str), and its arguments."""
    name, words = called(started.program, started.argv)
    script = next((word for word in words if word[:1] != "-"), "") if INTERPRETERS.fullmatch(name) else ""
    return next((part for part in script.split("/") if part in SCRIPTS), name), words


def tailscale_ssh(state: str) -> bool:
    """
    Tell whether Tailscale lets people in itself (bool): ``tailscale set --ssh``.

    state
        Its file (str, JSON): each profile's settings are JSON in base64.
    """
    try:
        told = json.loads(state)
        current = base64.b64decode(str(told["_current-profile"])).decode()
        return bool(json.loads(base64.b64decode(str(told[current])))["RunSSH"])
    except (ValueError, KeyError, TypeError):
        return False
