"""
What the installed sshd itself says: of its own build, of a value, and of a tree that is not there yet.

A tree is written to a private directory, with every Include pointing there, and sshd is run on it in test mode.
"""

from __future__ import annotations

import contextlib
import functools
import glob
import os
import re
import shutil
import tempfile
import typing
from collections.abc import Iterator, Mapping, Sequence

import salt.utils.path
from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.sshd import keywords, language
from sshtrail_lib.sshd.daemon import Arguments, BadValue, Daemon, Release
from sshtrail_lib.sshd.include import Tree
from sshtrail_lib.sshd.match import Connection
from sshtrail_lib.sshd.resolver import NAMES

#: What ``sshd -T`` prints: ``{canonical keyword: [values]}``.
Dump = dict[str, list[str]]
_CONNECTION = ("user", "host", "addr", "laddr", "lport")
_HOST_KEYS = "/etc/ssh/ssh_host_*_key"
# Where sshd wants to find an empty directory: Debian, Red Hat 9, Red Hat 8 and upstream.
_PRIVSEP = ("/run/sshd", "/usr/share/empty.sshd", "/var/empty/sshd", "/var/empty")


class RefusedError(CommandExecutionError):
    """The installed sshd refuses the configuration as it would be; nothing was written."""


def binary() -> str | None:
    """Return the path of the installed sshd (str), None when there is none."""
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return salt.utils.path.which("sshd") or shutil.which("sshd", path=places)


def daemon(minion: Minion) -> Daemon:
    """Return the Daemon that stands for the installed sshd; one that knows nothing of it when there is none."""
    program = binary()
    if not program:
        return Daemon(names=NAMES)
    # Without host keys sshd could not be asked for all of it.
    known = minion.remembered("sshd", program, functools.partial(_asked_itself, minion, program), _complete)
    release = known["release"][0], known["release"][1]
    return Daemon(release, known["banner"], known["defaults"], functools.partial(_ask, minion, release), NAMES)


def _complete(known: Mapping[str, typing.Any]) -> bool:
    return "HostKey" in known["defaults"]


def _asked_itself(minion: Minion, program: str) -> dict[str, typing.Any]:
    banner = _banner(minion, program)
    with _private_directory() as scratch:
        empty = os.path.join(scratch, "sshd_config")
        files.replace(empty, b"", mode=0o600)
        defaults = {**_vendor(minion, empty), **Candidate(minion, empty, {}).dump()}
    release = list(map(int, re.findall(r"\d+", banner)[:2]))
    return {"release": release, "banner": banner, "defaults": defaults}


def _vendor(minion: Minion, path: str) -> Dump:
    """Return those keywords of vendors that sshd takes and does not print, as keys of a dict."""
    known: Dump = {}
    for name, value in keywords.VENDOR.items():
        files.replace(path, f"{name} {value}\n".encode())
        with contextlib.suppress(RefusedError):
            Candidate(minion, path, {}).dump()
            known[name] = []
    files.replace(path, b"")
    return known


def _banner(minion: Minion, program: str) -> str:
    # Releases before 9.2 do not know -V, and name themselves while they complain.
    result = minion.run(program, "-V")
    found = re.search(r"OpenSSH_\d+\.\d+\w*", result["stderr"] + result["stdout"])
    if not found:
        raise CommandExecutionError(f"{program} is not OpenSSH: {result['stderr'].strip()[:200]}")
    return found[0]


def _ask(minion: Minion, release: Release, name: str, occurrences: Sequence[Arguments]) -> list[str]:
    """Let sshd itself say what it makes of a value that depends on how it was built."""
    words = [[language.quoted(word, release) for word in arguments.words] for arguments in occurrences]
    text = "".join(f"{name} {' '.join(line)}\n" for line in words)
    known = minion.context.setdefault("sshd_config.asked", {})
    if text not in known:
        known[text] = _asked(minion, name, text)
    if isinstance(known[text], str):
        raise BadValue(known[text])
    return known[text]


def _asked(minion: Minion, name: str, text: str) -> list[str] | str:
    with _private_directory() as scratch:
        path = os.path.join(scratch, "sshd_config")
        files.replace(path, language.encode(text), mode=0o600)
        try:
            return Candidate(minion, path, {path: "sshd_config"}).dump().get(name, [])
        except RefusedError as exc:
            return f"is refused by sshd: {exc.message}"


class Candidate(typing.NamedTuple):
    """
    A configuration that sshd is asked about.

    minion
        What runs sshd (Minion).
    main
        The main file (str).
    names
        What its files are called for a person: ``{path: name}``.
    """

    minion: Minion
    main: str
    names: Mapping[str, str]

    def test(self) -> None:
        """Raise RefusedError when sshd refuses it (``sshd -t``)."""
        self._ask("-t")

    def dump(self, connection: Connection | None = None, options: Sequence[str] = ()) -> Dump:
        """
        Return what ``sshd -T`` prints.

        connection
            The Connection to answer for; without any, one of which nothing is known.
        options
            Further options of sshd (sequence of str).

        Raises RefusedError.
        """
        printed: Dump = {}
        for line in self._ask("-T", "-C", _spec(connection or Connection()), *options).splitlines():
            word, _space, value = line.partition(" ")
            keyword = keywords.KEYWORDS.get(word.lower())
            printed.setdefault(keyword.name if keyword else word, []).append(value)
        return printed

    def _ask(self, mode: str, *options: str) -> str:
        arguments = [binary() or "sshd", mode, "-f", self.main, *options]
        provide_separation_directory()
        result = self.minion.run(*arguments)
        if result["retcode"] and not glob.glob(_HOST_KEYS):
            result = _with_a_host_key(self.minion, arguments)
        if result["retcode"]:
            raise RefusedError(self._told(result["stderr"]) or f"sshd ended with status {result['retcode']}")
        return result["stdout"]

    def _told(self, text: str) -> str:
        for path, name in self.names.items():
            text = text.replace(path, name)
        return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _spec(connection: Connection) -> str:
    given = {name: getattr(connection, name) for name in _CONNECTION}
    # sshd refuses a LocalPort criterion when it is not told the port.
    given["lport"] = given["lport"] or 65535
    return ",".join(f"{name}={value}" for name, value in given.items() if value is not None)


@contextlib.contextmanager
def candidate(minion: Minion, tree: Tree) -> Iterator[Candidate]:
    """Yield the Candidate that ``tree`` (Tree) is, written to a private directory."""
    with _private_directory() as scratch:
        copies = {path: os.path.join(scratch, f"{number}.conf") for number, path in enumerate(tree.files)}
        for path, copy in copies.items():
            files.replace(copy, _redirected(tree, path, copies), mode=0o600)
        yield Candidate(minion, copies[tree.path], {copy: path for path, copy in copies.items()})


def _redirected(tree: Tree, path: str, copies: Mapping[str, str]) -> bytes:
    raws = []
    for line in tree.files[path]:
        groups = tree.includes.get((path, line.number))
        if groups is None:
            raws.append(line.raw)
            continue
        targets = [copies[name] for group in groups for name in group if name in copies]
        # A pattern that finds nothing is no error for sshd.
        raws.append(f"Include {' '.join(targets) or '/nonexistent/*'}\n".encode())
    return b"".join(raws)


@contextlib.contextmanager
def _private_directory() -> Iterator[str]:
    path = tempfile.mkdtemp(prefix="sshtrail-sshd-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def provide_separation_directory() -> None:
    """
    Make the directory without which sshd tests nothing, does not start, and ends when it starts itself anew.

    On Debian it is only there while the service runs. It stays: a sshd that was started meanwhile relies on it.
    """
    if os.geteuid() or any(os.path.isdir(path) for path in _PRIVSEP):
        return
    with contextlib.suppress(OSError):
        os.mkdir(_PRIVSEP[0], 0o755)
        os.chmod(_PRIVSEP[0], 0o755)


def _with_a_host_key(minion: Minion, arguments: Sequence[str]) -> dict[str, typing.Any]:
    """A host without host keys gets them when sshd is first started; until then sshd tests with one of ours."""
    with _private_directory() as scratch:
        key = os.path.join(scratch, "key")
        made = minion.run(salt.utils.path.which("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key)
        if made["retcode"]:
            raise CommandExecutionError(f"ssh-keygen cannot make a host key: {made['stderr'].strip()}")
        result = minion.run(*arguments, "-h", key)
        lines = result["stdout"].splitlines(keepends=True)
        return {**result, "stdout": "".join(line for line in lines if key not in line)}
