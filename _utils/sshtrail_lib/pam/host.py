"""
The host's PAM: what its library does, its files, a change of them, and the proof of it.
"""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import signal
import subprocess
import sys
import typing
from collections.abc import Callable, Mapping

from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.base import files, memory, minion, state, transaction
from sshtrail_lib.pam import check, entrance, language, plan, session

#: Where the service that sshd asks for is written.
PATH = "/etc/pam.d/sshd"
SERVICE = "sshd"
_KIND = "pam"
#: Seconds that a session may take to open and to close, with what the modules run meanwhile.
DEADLINE = 30
LIBRARIES = tuple(
    f"{top}/libpam.so.0" for top in ("/lib64", "/usr/lib64", "/lib/*-linux-*", "/usr/lib/*-linux-*", "/lib", "/usr/lib")
)
# Class and machine in the head of an ELF file.
KIND = slice(4, 5), slice(18, 20)
PROVEN, FAILED, UNPROVABLE = "proven", "failed", "cannot be proven here"


class ProofFailed(CommandExecutionError):
    """PAM's session stack did not set the loginuid; the old file is back."""


class Proof(typing.NamedTuple):
    """What a proof came to: ``proven``, ``failed`` or ``cannot be proven here`` (str), and one sentence (str)."""

    outcome: str
    reason: str


#: Called with the service (str) and the path of its file (str).
Prove = Callable[[str, str], Proof]


def library(host: minion.Minion) -> language.Library:
    """
    Return what the installed Linux-PAM does (:class:`~sshtrail_lib.pam.language.Library`), by what it has in it.

    Raises :class:`~sshtrail_lib.base.state.NotInstalled` where there is none.
    """
    path = _library_path()
    if path is None:
        raise state.NotInstalled("There is no libpam.so.0 on this host.")
    answer = host.remembered("libpam", path, lambda: _asked(files.read(path) or b""))
    directories, modules = tuple(answer["directories"]), tuple(answer["modules"])
    return language.Library(**{**answer, "directories": directories, "modules": modules})


def _library_path() -> str | None:
    ours = _head("/proc/self/exe")
    found = (path for pattern in LIBRARIES for path in sorted(glob.glob(pattern)))
    return next((path for path in found if _head(path) == ours), None)


def _head(path: str) -> tuple[bytes, ...]:
    try:
        with open(path, "rb") as handle:
            head = handle.read(20)
    except OSError:
        return ()
    return tuple(head[part] for part in KIND) if head.startswith(b"\x7fELF") else ()


def _asked(data: bytes) -> dict[str, typing.Any]:
    """Return the fields of a :class:`~sshtrail_lib.pam.language.Library` by its bytes, as JSON can hold them."""
    words = set(re.findall(rb"(?<=\0)[ -~]{3,200}(?=\0)", data))
    texts = {word.decode() for word in words}
    known = ("/etc/pam.d/%s", "/usr/lib/pam.d/%s")
    vendor = sorted(text for text in texts if text.endswith("/pam.d/%s") and text not in known)
    default = sorted(text for text in texts if text.startswith("/") and text.endswith("/security/"))
    isa = next((text for text in sorted(texts) if text.endswith("/security") and "%" not in text), ".")
    debian = "@include" in texts
    return {
        "directories": [text[: -len("/%s")] for text in (*known, *vendor) if text in texts],
        "modules": [*default, *([f"{isa}/"] if debian else [])],
        "isa": isa,
        "debian": debian,
        "modern": "maximum level of inclusions reached" in texts,
    }


def disk(replaced: Mapping[str, bytes | None] | None = None) -> language.Disk:
    """
    Return the host's files (:class:`~sshtrail_lib.pam.language.Disk`).

    replaced
        What to take for the content of some of them: ``{path: bytes}``, None for no file.
    """
    instead = replaced or {}
    return language.Disk(
        lambda path: instead[path] if path in instead else _read(path),
        os.path.isdir,
        lambda path: _head(path) == _head("/proc/self/exe"),
        lambda path: session.LOGINUID.encode() in (files.read(path) or b""),
    )


def _read(path: str) -> bytes | None:
    # Linux-PAM opens a directory and reads nothing; what it cannot open is not there.
    if os.path.isdir(path):
        return b""
    try:
        return files.read(path) if os.path.isfile(path) else None
    except CommandExecutionError:
        return None


class _Sight(typing.NamedTuple):
    """What there is: the files, the library as it sees this path's directory, and the service."""

    disk: language.Disk
    library: language.Library
    service: str
    path: str

    def reading(self) -> language.Reading:
        return language.read(self.disk, self.library, self.service)

    def edit(self) -> plan.Edit | None:
        return plan.edit(self.disk, self.library, self.service, self.path)


def _sight(host: minion.Minion, service: str, path: str, replaced: Mapping[str, bytes | None]) -> _Sight:
    if os.path.basename(path) != service:
        raise SaltInvocationError(f"{path} is not the file of the service {service}.")
    asked = library(host)
    if os.path.dirname(path) not in asked.directories:
        asked = asked._replace(directories=(os.path.dirname(path),))
    return _Sight(disk(replaced), asked, service, path)


def _transaction(host: minion.Minion, path: str) -> transaction.Transaction:
    return transaction.Transaction(host, _KIND, path)


def _seen(host: minion.Minion, service: str, path: str) -> _Sight:
    return _sight(host, service, path, _transaction(host, path).interrupted())


def problems(host: minion.Minion, service: str = SERVICE, path: str = PATH) -> list[dict[str, typing.Any]]:
    """
    Return what keeps sessions of a service from being recorded as somebody's.

    host
        Salt (:class:`sshtrail_lib.base.minion.Minion`).
    service, path
        The service (str), and its file (str); of a file that is elsewhere only its own directory is looked at.

    Returns a list of ``{"file": str, "line": int, "kind": str, "reason": str}``; line 0 is the file as a whole.
    """
    found = check.problems(_seen(host, service, path).reading())
    return [
        {"file": one.lines[0][0] or path, "line": one.lines[0][1], "kind": one.kind, "reason": one.reason}
        for one in found
    ]


def without_password(host: minion.Minion, service: str = SERVICE, path: str = PATH) -> bool:
    """
    Return whether a service can let in who has no password, also where this cannot be told (bool).

    Arguments as for :func:`problems`.
    """
    return entrance.without_password(_seen(host, service, path).reading())


def preview(host: minion.Minion, service: str = SERVICE, path: str = PATH) -> state.Changes:
    """
    Return what :func:`apply` would change: ``{file: {"old": line or None, "new": line}}``, empty for nothing.

    Arguments as for :func:`problems`. Raises :class:`~salt.exceptions.CommandExecutionError` where no line would do.
    """
    return _changes(_seen(host, service, path).edit())


def _changes(edit: plan.Edit | None) -> state.Changes:
    return {edit.path: {"old": edit.before, "new": edit.after}} if edit else {}


def apply(
    host: minion.Minion, service: str = SERVICE, path: str = PATH, prove: Prove | None = None
) -> dict[str, typing.Any]:
    """
    Have every session of a service go by pam_loginuid.so, and prove it.

    host, service, path
        As for :func:`problems`.
    prove
        Called with the service and the path when the file is written, for a :class:`Proof`; :func:`proof` otherwise.

    Returns ``{"changes": as of preview, "outcome": str, "reason": str}``. Raises :class:`ProofFailed` when the proof
    failed: the old file is back then.
    """
    change = _transaction(host, path)
    with change.locked():
        edit = _sight(host, service, path, {}).edit()
        if edit is None:
            return {"changes": {}, "outcome": "", "reason": ""}
        try:
            known = memory.Memory(host, change, path)
            known.write({path: edit.old}, {path: known.without(path, edit.old)}, {path: edit.new}, [service])
            made = _made(host, service, path, prove or proof)
        except BaseException:
            change.undo()
            raise
        change.close()
    return {"changes": _changes(edit), "outcome": made.outcome, "reason": made.reason}


def remembered(host: minion.Minion) -> list[str]:
    """Return the files (list of str) of which it is remembered what stood there before."""
    return memory.mains(host, _KIND)


def forget(host: minion.Minion, path: str = PATH, test: bool = False) -> state.Changes:
    """
    Leave nothing of what :func:`apply` changed, and return the changes (dict), empty for nothing.

    path
        The service's file (str).
    test
        Whether only to tell what would change (bool).
    """
    change = _transaction(host, path)
    with contextlib.nullcontext() if test else change.locked():
        known = memory.Memory(host, change, path)
        if known.asked is None:
            return {}
        now = change.interrupted().get(path, files.read(path))
        base = known.without(path, now)
        if not test:
            known.write({path: now}, {path: base}, {path: base})
            change.close()
    return {path: {"old": "changed" if now != base else "remembered", "new": "as before"}}


def _made(host: minion.Minion, service: str, path: str, prove: Prove) -> Proof:
    if _sight(host, service, path, {}).edit():
        raise ProofFailed(f"{path} was written and does not hold what was written; the old file is back.")
    made = prove(service, path)
    if made.outcome == FAILED:
        raise ProofFailed(f"{made.reason}; the old {path} is back.")
    return made


def proof(service: str, path: str, deadline: float = DEADLINE) -> Proof:
    """
    Open a session of a service for root in a process of its own, and look at the loginuid that it has then.

    It leaves audit records (LOGIN, USER_START, USER_END) and what else the modules of every login do, but no entry in
    wtmp or lastlog, and no user manager. This process keeps its loginuid.

    service, path
        The service (str), and its file (str).
    deadline
        Seconds after which it is killed (float).
    """
    if os.geteuid() != 0:
        return Proof(UNPROVABLE, "only root can open a session")
    if not os.path.exists(session.LOGINUID):
        return Proof(UNPROVABLE, f"the kernel has no {session.LOGINUID}: it does no auditing")
    if (files.read("/proc/self/uid_map") or b"").split() != [b"0", b"0", b"4294967295"]:
        return Proof(UNPROVABLE, "in a user namespace the kernel keeps loginuid as it is")
    return _judged(_tried({"service": service, "user": "root", "directory": os.path.dirname(path)}, deadline))


def _tried(asked: dict[str, str], deadline: float) -> dict[str, typing.Any]:
    hear, tell = os.pipe()
    os.set_blocking(hear, False)
    try:
        process = subprocess.Popen(
            [sys.executable, session.__file__, json.dumps(asked), str(tell)],
            pass_fds=[tell],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=minion.PLAIN,
            cwd="/",
            start_new_session=True,
        )
        if not _ended(process, deadline):
            return {"failed": f"the session was neither open nor refused after {deadline:g} seconds"}
        with contextlib.suppress(OSError, ValueError):
            told: dict[str, typing.Any] = json.loads(os.read(hear, 65536))
            return told
        return {"failed": f"the process that opened the session ended with {process.returncode}"}
    finally:
        os.close(hear)
        os.close(tell)


def _ended(process: subprocess.Popen[bytes], deadline: float) -> bool:
    """Wait for a process; kill it, with what it started, when it is late or when this is interrupted."""
    try:
        process.wait(deadline)
        return True
    except subprocess.TimeoutExpired:
        return False
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _judged(answer: dict[str, typing.Any]) -> Proof:
    if "unprovable" in answer:
        return Proof(UNPROVABLE, answer["unprovable"])
    if "failed" in answer:
        return Proof(FAILED, answer["failed"])
    if answer["opened"]:
        return Proof(FAILED, f"PAM refused a session for root: {answer['error']}")
    if answer["looked"] != "0":
        return Proof(FAILED, f"PAM opened a session for root, and its loginuid was {answer['looked']}")
    return Proof(PROVEN, "PAM opened a session for root, and its loginuid was 0")
