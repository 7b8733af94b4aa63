"""
Prove that a login is recorded: make one, and follow it from sshd to auditd's file.
"""

from __future__ import annotations

import contextlib
import json
import os
import pwd
import secrets
import time
import typing
from collections.abc import Callable, Iterator, Mapping

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import directory, files, store, text, transaction
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage import key as proof_key
from sshtrail_lib.coverage import leftovers, login, witness
from sshtrail_lib.coverage.login import Came, Door
from sshtrail_lib.coverage.witness import Witnesses
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.rules import watches
from sshtrail_lib.sshd import oracle
from sshtrail_lib.trail import proof
from sshtrail_lib.trail.proof import Evidence, Verdict

#: Seconds after the login in which its traces may still come: on a busy host and from a kernel that holds records back;
#: and elsewhere, for the command has ended when the client has.
LATEST, QUIET = 9.0, 3.0
#: Seconds for the reason, in sshd's log, for which it let nobody in.
REASON = 2.0
#: Seconds for which an entry counts that lets the key in: the client's and some for a slow host.
COUNTS = 40
#: Seconds between two looks.
PAUSE = 0.05
#: Seconds to wait for another proof of this host.
OTHER = 40

Effective = Mapping[str, typing.Any]
Gather = Callable[[], Evidence]


def prove(minion: Minion, policy: Policy) -> Verdict:
    """
    Make a login and follow it; return what :func:`sshtrail_lib.trail.proof.judge` does, with ``time`` and ``seconds``.

    policy
        The host's (dict).

    Raises CommandExecutionError where no login can be tried at all; nothing is left behind then either.
    """
    if os.geteuid() != 0:
        raise CommandExecutionError("A proof makes a login and reads the audit log: only root can.")
    where, begun = leftovers.places(minion), time.monotonic()
    with transaction.lock(where.lock, OTHER):
        leftovers.remove(where)
        verdict = _followed(minion, policy)
        verdict |= {"seconds": round(time.monotonic() - begun, 1), "time": text.iso(time.time())}
        _keep(where, verdict)
    return verdict


def last(minion: Minion) -> dict[str, typing.Any] | None:
    """Return the last proof (dict with ``time``, ``holds``, ``lost_at``, ``said`` and ``seconds``), None for none."""
    with contextlib.suppress(store.StoreError):
        found = store.load(leftovers.places(minion).last)
        return found if isinstance(found, dict) else None
    return None


def told(found: Mapping[str, typing.Any] | None) -> dict[str, typing.Any] | None:
    """Return what the fleet shows (dict of ``time``, ``holds``, ``lost_at``) of a proof that :func:`last` returned."""
    return {name: found[name] for name in ("time", "holds", "lost_at")} if found else None


def due(found: Mapping[str, typing.Any] | None, age: float) -> str:
    """
    Return why a new proof is due (str), "" for none.

    found
        The last one, as :func:`last` returns it.
    age
        The age in seconds that one may have (float), 0 for any.
    """
    if found is None:
        return "No login has been proven to be recorded here."
    if not found["holds"]:
        return f"The last login that was tried was not recorded: {found['said']}"
    now = time.time()
    # One of a time to come was made while the clock was ahead.
    if age and not text.iso(now - age) <= found["time"] <= text.iso(now):
        return f"The last login was proven to be recorded at {found['time']}."
    return ""


def _keep(where: leftovers.Places, verdict: Verdict) -> None:
    kept = {name: verdict[name] for name in ("time", "holds", "lost_at", "said", "seconds")}
    os.makedirs(os.path.dirname(where.new), mode=0o700, exist_ok=True)
    leftovers.write(where.new, json.dumps(kept).encode(), 0o600)
    os.replace(where.new, where.last)
    files.sync_directory(os.path.dirname(where.last))


def _followed(minion: Minion, policy: Policy) -> Verdict:
    account, mark = _account(policy), proof.MARK + secrets.token_hex(16)
    general = _effective(minion, policy)
    at = login.door(general.get("ListenAddress") or [])
    with _watched(minion, policy, general, mark) as witnesses:
        keys = frozenset(name for line in _command_rules(policy) for name in watches.keys(line) or ())
        shared = Evidence("", 0, mark, keys=keys, remote=witness.remote(), audit=policy["audit"])
        with login.known_hosts(minion, general.get("HostKey") or []) as hosts:
            if account:
                tried = _by_key(minion, policy, _Try(account, at, hosts, mark))
            else:
                service = str(general.get("PAMServiceName") or "sshd") if policy["audit"] else ""
                tried = _by_stranger(minion, at, hosts, mark, service)
                tried = tried._replace(use_pam=general.get("UsePAM") == "yes")
        return _waited(lambda: _gathered(witnesses, shared, tried))


class _Try(typing.NamedTuple):
    """A login that is going to be made."""

    account: pwd.struct_passwd
    at: Door
    hosts: str
    mark: str


def _account(policy: Policy) -> pwd.struct_passwd | None:
    name = policy["proof"]["account"]
    if name is None:
        return None
    try:
        found = directory.user(name)
    except KeyError:
        raise CommandExecutionError(f"There is no account {name}: the state sshtrail_proof.account makes it.") from None
    if found.pw_dir != leftovers.HOME or found.pw_uid == 0:
        raise CommandExecutionError(
            f"The account {name} is somebody's, for its home is {found.pw_dir}: name one that is not there yet."
        )
    return found


def _effective(minion: Minion, policy: Policy, **connection: typing.Any) -> dict[str, typing.Any]:
    """Return what sshd does (dict of keyword to value)."""
    found = minion.call["sshd_config.effective"](path=policy["sshd"]["path"], **connection)
    return {name: one["value"] for name, one in found.items()}


def _command_rules(policy: Policy) -> list[str]:
    return [line for group in policy["rules"]["groups"] for line in group["rules"] if "execve" in line]


@contextlib.contextmanager
def _watched(minion: Minion, policy: Policy, general: Effective, mark: str) -> Iterator[Witnesses]:
    facility, logs = str(general.get("SyslogFacility") or "AUTH").upper(), policy["sshd"]["logs"]
    sshd = witness.SshdLog(minion, [logs[facility]] if facility in logs else [])
    if not policy["audit"]:
        yield Witnesses(None, None, sshd)
        return
    log, ear = witness.Log(minion, policy["auditd"]["path"]), witness.Ear()
    try:
        _listen(minion, ear, mark)
        yield Witnesses(ear, log, sshd)
    finally:
        ear.close()


def _listen(minion: Minion, ear: witness.Ear, mark: str) -> None:
    """Have the ear closed if it is deaf: what it did not hear would prove nothing."""
    if not ear.hears():
        # Kernels before 5.8 do not tell who listens. Where nobody can, this tells whether the file gets anything.
        minion.run("auditctl", "-m", mark)
        if not ear.hears():
            ear.close()


# --- The login --------------------------------------------------------------------------------------------------


def _by_key(minion: Minion, policy: Policy, tried: _Try) -> Evidence:
    """Log in with a key that is made for it; return what is known of it so far."""
    where, account, at = leftovers.places(minion), tried.account, tried.at
    evidence = Evidence(account.pw_name, account.pw_uid, tried.mark)
    peer = {"user": account.pw_name, "addr": at.address, "laddr": at.address, "lport": at.port}
    effective = _effective(minion, policy, host=at.address, **peer)
    command, forced = f"{proof.COMMAND} {tried.mark}", str(effective.get("ForceCommand") or "none")
    evidence = evidence._replace(forced="" if forced == "none" else forced)
    try:
        path = proof_key.place(effective, account)
    except proof_key.NoPlace as exc:
        return evidence._replace(answer=exc.message)
    with proof_key.made(minion, where, str(effective.get("PubkeyAcceptedAlgorithms") or "")) as key:
        line = proof_key.entry(key, command, at.address, COUNTS, oracle.daemon(minion).release)
        with proof_key.let_in(where, path, account, line):
            came = login.by_key(minion, at, tried.hosts, account.pw_name, key.path, command)
        return evidence._replace(fingerprint=key.fingerprint, accepted=came.accepted, answer=came.answer)


def _by_stranger(minion: Minion, at: Door, hosts: str, mark: str, service: str) -> Evidence:
    """Be turned away as nobody, and open a session of PAM's stack (``service``, str, "" for none) beside sshd."""
    stranger = proof.STRANGER + secrets.token_hex(4)
    away = login.by_stranger(minion, at, hosts, stranger)
    opened = login.by_pam(minion, f"{proof.COMMAND} {mark}", service) if service else Came(True, "")
    uid = directory.user(login.NOBODY).pw_uid
    evidence = Evidence(login.NOBODY, uid, mark, stranger=stranger, pid=opened.pid, session=opened.answer)
    return evidence._replace(accepted=away.accepted, answer=away.answer)


# --- What it left -----------------------------------------------------------------------------------------------


def _gathered(witnesses: Witnesses, shared: Evidence, tried: Evidence) -> Evidence:
    found = tried._replace(keys=shared.keys, remote=shared.remote, audit=shared.audit)
    found = found._replace(log=witnesses.sshd.lines(), log_name=witnesses.sshd.name)
    if witnesses.ear and witnesses.log:
        wanted = proof.marks(found)
        found = found._replace(heard=witnesses.ear.events(wanted), written=witnesses.log.events(wanted))
        found = found._replace(file=witnesses.log.path, trouble=witnesses.log.trouble())
    return found


def _waited(gather: Gather) -> Verdict:
    """Judge until no station lost it, or it is too late for what did not come."""
    begun = time.monotonic()
    while True:
        verdict = proof.judge(gather())
        if verdict["holds"] or time.monotonic() - begun >= _patience(verdict["lost_at"]):
            return verdict
        time.sleep(PAUSE)


def _patience(lost: str) -> float:
    """Return how long (float, seconds) to wait for what has not come to a station (str)."""
    if lost == "accept":
        return REASON
    return LATEST if witness.backlog() or _busy() else QUIET


def _busy() -> bool:
    """Tell whether more want to run here than can: syslog and auditd take their turn then."""
    with contextlib.suppress(OSError):
        return os.getloadavg()[0] > (os.cpu_count() or 1)
    return True
