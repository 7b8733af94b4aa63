"""
A login through the real sshd, on an address of this host, with the system's own client and nothing of its settings.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import typing
from collections.abc import Iterator, Mapping, Sequence

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage.key import own
from sshtrail_lib.pam import session as pam_session
from sshtrail_lib.sshd import endpoints as sshd_endpoints

#: Seconds that a client may take, and that are left to it to end by itself.
DEADLINE, GRACE = 18, 1
#: The client's exit status for what went wrong before the command, and that of timeout(1) for a late one.
FAILED, LATE = 255, (124, 137)
#: The name by which the client knows the host's keys.
ALIAS = "sshtrail-proof"
ANYWHERE = {"0.0.0.0": "127.0.0.1", "::": "::1"}
#: The account for which PAM's stack is run where none is named: it is on every host, and has nothing.
NOBODY = "nobody"

OPTIONS = {
    "BatchMode": "yes",
    "IdentitiesOnly": "yes",
    "IdentityAgent": "none",
    "CertificateFile": "none",
    "HostKeyAlias": ALIAS,
    "StrictHostKeyChecking": "yes",
    "GlobalKnownHostsFile": "/dev/null",
    "UpdateHostKeys": "no",
    "CheckHostIP": "no",
    "VerifyHostKeyDNS": "no",
    "CanonicalizeHostname": "no",
    "ConnectTimeout": "10",
    "ConnectionAttempts": "1",
    "ServerAliveInterval": "5",
    "ServerAliveCountMax": "2",
    "ControlMaster": "no",
    "ControlPath": "none",
    "ProxyCommand": "none",
    "ClearAllForwardings": "yes",
    "ForwardAgent": "no",
    "ForwardX11": "no",
    "PermitLocalCommand": "no",
    "RequestTTY": "no",
    "GSSAPIAuthentication": "no",
    "HostbasedAuthentication": "no",
    "PasswordAuthentication": "no",
    "KbdInteractiveAuthentication": "no",
}


class Door(typing.NamedTuple):
    """Where sshd listens on this host: ``address`` (str) and ``port`` (int)."""

    address: str
    port: int


class Came(typing.NamedTuple):
    """
    What came of a login: ``accepted`` (bool: it came to its command), ``answer`` (str: what the client or PAM said)
    and ``pid`` (int: the process that PAM's session was in, None for sshd's).
    """

    accepted: bool
    answer: str
    pid: int | None = None


def door(endpoints: Sequence[str]) -> Door:
    """
    Return where to log in: the loopback address if sshd listens there, else an address that this host has.

    endpoints
        ``ADDRESS:PORT`` (list of str), as sshd lists them.
    """
    there = [one for one in endpoints if not sshd_endpoints.impossible(one)]
    unheard = sshd_endpoints.unheard(there)
    doors = [_door(one) for one in there if one not in unheard] or [_door(one) for one in there or endpoints]
    if not doors:
        raise CommandExecutionError("sshd's configuration names no address to listen at")
    return sorted(doors, key=lambda found: (not found.address.startswith("127."), found.address != "::1"))[0]


def _door(endpoint: str) -> Door:
    host, _colon, port = endpoint.partition(" ")[0].rpartition(":")
    host = host.strip("[]")
    return Door(ANYWHERE.get(host, host), int(port))


@contextlib.contextmanager
def known_hosts(minion: Minion, host_keys: Sequence[str]) -> Iterator[str]:
    """
    Give the path of a file in memory (str) that names sshd's own keys: nobody else who answers is spoken to.

    host_keys
        The paths of its private keys (list of str).
    """
    handle = os.memfd_create("known_hosts", os.MFD_CLOEXEC)
    try:
        os.fchmod(handle, 0o600)
        for public in filter(None, (_public(minion, path) for path in host_keys)):
            os.write(handle, f"{ALIAS} {public}\n".encode())
        yield own(handle)
    finally:
        os.close(handle)


def _public(minion: Minion, path: str) -> str:
    content = files.read(f"{path}.pub")
    if content is None and os.path.exists(path):
        content = minion.run("ssh-keygen", "-y", "-P", "", "-f", path)["stdout"].encode()
    return " ".join((content or b"").decode("utf-8", "replace").split()[:2])


def by_key(minion: Minion, at: Door, hosts: str, account: str, identity: str, command: str) -> Came:
    """
    Log in.

    at
        Where (:class:`Door`).
    hosts, identity
        The paths of :func:`known_hosts` and of the private key (str).
    account, command
        Who, and what is run (str).
    """
    done = _client(minion, at, {"UserKnownHostsFile": hosts, "PreferredAuthentications": "publickey"}, account, [
        *("-i", identity), command,
    ])  # fmt: skip
    answer = f"the client had no answer within {DEADLINE} s" if done["retcode"] in LATE else done["stderr"]
    return Came(done["retcode"] not in (FAILED, *LATE), answer)


def by_stranger(minion: Minion, at: Door, hosts: str, stranger: str) -> Came:
    """Try to log in as nobody that there is; ``accepted`` is whether sshd turned him away. Arguments as above."""
    done = _client(minion, at, {"UserKnownHostsFile": hosts, "PubkeyAuthentication": "no"}, stranger, ["true"])
    return Came(done["retcode"] == FAILED and "ermission denied" in done["stderr"], done["stderr"])


def by_pam(minion: Minion, command: str, service: str = "sshd") -> Came:
    """Run a command (str) in a session of PAM's stack for sshd (its ``service``, str), which no sshd has opened."""
    asked = {"service": service, "user": NOBODY, "directory": pam_session.DIRECTORY, "command": command.split()}
    program = [sys.executable, "-I", pam_session.__file__, json.dumps(asked), "1"]
    done = minion.run("timeout", "-k", str(GRACE), str(DEADLINE // 2), *program, seconds=2 * DEADLINE)
    try:
        answer = json.loads(done["stdout"])
        error = _refused(answer)
        return Came(not error, error, answer["pid"])
    except (ValueError, KeyError, TypeError):
        return Came(False, done["stderr"] or f"exit status {done['retcode']}", 0)


def _refused(answer: Mapping[str, typing.Any]) -> str:
    """Return why PAM opened no session (str), "" where it did; ``answer`` is what the program told (mapping)."""
    if "unprovable" in answer:
        return "the caller's loginuid may not be given up here"
    if answer["started"]:
        return "PAM has no service sshd"
    return answer["error"] if answer["opened"] else ""


def _client(
    minion: Minion, at: Door, options: Mapping[str, str], user: str, rest: Sequence[str]
) -> dict[str, typing.Any]:
    asked = [
        word
        for name, value in {**OPTIONS, **options, "BindAddress": at.address}.items()
        for word in ("-o", f"{name}={value}")
    ]
    *more, command = rest
    client = ["ssh", "-n", "-T", "-F", "none", *asked, *more, "-p", str(at.port), "-l", user, "--", at.address, command]
    # It ends in time also when nobody waits for it any more.
    return minion.run("timeout", "-k", str(GRACE), str(DEADLINE), *client, seconds=2 * DEADLINE)
