"""
``auditd.conf`` on this host: read it, change it, have the audit daemon take it up and prove that, or go back.

A change is made in this order: the journal, the file, the daemon. Whoever is killed in between leaves the old file or
the new one; the next change puts the old one back first, and those who only read take it as it was.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
import typing
import uuid
from collections.abc import Callable

from salt.exceptions import CommandExecutionError

from sshtrail_lib.auditd import check as auditd_check
from sshtrail_lib.auditd import daemon as auditd_daemon
from sshtrail_lib.auditd import keywords, language, plan
from sshtrail_lib.auditd.daemon import Daemon, Tail
from sshtrail_lib.base import files, kernel, processes, service, state
from sshtrail_lib.base import memory as base_memory
from sshtrail_lib.base import minion as base_minion
from sshtrail_lib.base.memory import Memory
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.base.state import Changes
from sshtrail_lib.base.transaction import Transaction

_KIND = "auditd_conf"
# The key of the changes under which the daemon stands; no keyword of auditd.conf is called so.
DAEMON = "auditd"
# Seconds, changed by the option sshtrail.daemon_timeout: a loaded host is late, a daemon that is well takes one.
PATIENCE = 30
# Seconds after which a message that has not arrived is sent once more.
RESEND = 2
# A change waits for the daemon four times, and as often again when it goes back.
DEADLINE = 10 * PATIENCE
Answer = typing.TypeVar("Answer")


class DaemonFailed(CommandExecutionError):
    """auditd did not take up its configuration, or did not prove it."""


class Step(typing.NamedTuple):
    """
    One change: what the file at ``path`` (str) holds and is to hold (``before``, ``after``, bytes), what the ``daemon``
    works with (``known``, bytes, None: nobody knows), the installed ``version``, the ``changes`` to tell, and what the
    file would hold without us (``base``, bytes).
    """

    path: str
    before: bytes
    after: bytes
    known: bytes | None
    daemon: Daemon
    version: keywords.Version | None
    changes: Changes
    base: bytes = b""

    @property
    def restarts(self) -> bool:
        """Whether the daemon has to be started anew for it (bool)."""
        return plan.needs_restart(self.known, self.after, self.version)


def get(minion: Minion, keyword: str, path: str) -> dict[str, typing.Any] | None:
    """
    Return where ``keyword`` (str, any case) is set in the file at ``path`` (str), and to what, as it is written.

    Returns ``{"value": str, "file": str, "line": int}``, or None when no line sets it. Raises
    :class:`~sshtrail_lib.auditd.keywords.UnknownKeyword` or :class:`~sshtrail_lib.base.state.NotInstalled`.
    """
    name = keywords.lookup(keyword).name
    line = language.deciding(_there(minion, path)).get(name)
    return line and {"value": line.value, "file": path, "line": line.number}


def check(minion: Minion, path: str) -> list[plan.Problem]:
    """
    Return everything for which the installed auditd would not start with the file at ``path`` (str), or not do what it
    says: a list of :class:`sshtrail_lib.auditd.plan.Problem`. Touches nothing.
    """
    data = _there(minion, path)
    found = _problems(path, data, auditd_daemon.version(minion), auditd_daemon.find(path))
    return found if plan.blocking(found) else [*found, *auditd_check.refusals(minion, data)]


def status(minion: Minion, path: str) -> dict[str, typing.Any]:
    """
    Return how the kernel's audit daemon stands to the file at ``path`` (str).

    Returns ``{"pid": int, "reads": bool, "current": bool, "note": str}``, see ``auditd_conf.status``.
    """
    daemon = auditd_daemon.find(path)
    current = daemon.reads and _known(minion, daemon.pid, path) == _file(minion, path)
    return {"pid": daemon.pid, "reads": daemon.reads, "current": current, "note": daemon.note}


def diff(minion: Minion, config: object, path: str, remember: bool = False) -> Changes:
    """
    Return what :func:`change` would change, in the file and in the daemon; touches nothing.

    config
        Keywords and values (mapping): int, str, bool for yes and no, None for no such line.
    path
        The configuration file (str).
    remember
        Whether to remember what stood there before, and to give back what an earlier call with this changed and this
        one does not ask for (bool).

    Returns ``{keyword: {"old": …, "new": …}}``, and what becomes of the daemon under :data:`DAEMON`. Raises
    :class:`~salt.exceptions.SaltInvocationError`, :class:`~sshtrail_lib.auditd.plan.Refused` or
    :class:`~sshtrail_lib.base.state.NotInstalled`.
    """
    return _step(minion, config, path, remember).changes


def change(minion: Minion, config: object, path: str, remember: bool = False, always: bool = False) -> Changes:
    """
    Change the file as :func:`diff` tells it, and have the daemon take it up.

    config, path, remember
        As for :func:`diff`.
    always
        Whether the daemon reads it again also where nothing has changed (bool): what lies beside it may have.

    Returns and raises as :func:`diff`. Raises :class:`DaemonFailed` when auditd did not take it up: the old file is
    back then, and auditd works with it; and :class:`~sshtrail_lib.base.transaction.Busy`.
    """
    transaction = _transaction(minion, path)
    with transaction.locked(DEADLINE):
        step = _step(minion, config, path, remember)
        if always and step.daemon.reads:
            step = step._replace(changes={DAEMON: {"old": "works with this file", "new": "reloaded"}, **step.changes})
        _make(minion, step, transaction, sorted(plan.wanted(config, step.version)) if remember else None)
    return step.changes


def remembered(minion: Minion) -> list[str]:
    """Return the files (list of str) of which it is remembered what stood there before."""
    return base_memory.mains(minion, _KIND)


def forget(minion: Minion, path: str, test: bool = False) -> Changes:
    """
    Leave nothing of what calls of :func:`change` with ``remember`` changed; returns and raises as that.

    path
        The configuration file (str).
    test
        Whether only to tell what would change (bool).
    """
    transaction = _transaction(minion, path)
    with contextlib.nullcontext() if test else transaction.locked(DEADLINE):
        memory = Memory(minion, transaction, path)
        before = _file(minion, path)
        if memory.asked is None:
            return {}
        if before is None:
            # The package went, and took the file along.
            return {} if test else memory.drop()
        step = _aimed(minion, path, before, memory.without(path, before) or b"", judged=False)
        if not test:
            _make(minion, step, transaction, [])
    return step.changes or {path: {"old": "remembered", "new": "forgotten"}}


def _make(minion: Minion, step: Step, transaction: Transaction, asked: list[str] | None) -> None:
    """Make one change; what was ``asked`` for is remembered (list of str), None for nothing to remember."""
    _demand_log(step)
    old, new = {step.path: step.before}, {step.path: step.after}
    if asked is not None and (step.changes or not asked):
        Memory(minion, transaction, step.path).write(old, {step.path: step.base}, new, asked or None)
    elif step.after != step.before:
        transaction.write(old, new)
    if DAEMON in step.changes:
        _take_up(minion, step, transaction)
    transaction.close()


def _transaction(minion: Minion, path: str) -> Transaction:
    return Transaction(minion, _KIND, path)


def _file(minion: Minion, path: str) -> bytes | None:
    """Return what the file holds, None for no file; what an interrupted change left there counts as not made."""
    # However its path was written then: the journal of this file holds no other, beside what is remembered.
    transaction = _transaction(minion, path)
    left = [data for name, data in transaction.interrupted().items() if os.path.basename(name) != transaction.name]
    return left[0] if left else files.read(path)


def _there(minion: Minion, path: str) -> bytes:
    data = _file(minion, path)
    if data is None:
        raise state.NotInstalled(f"There is no {path}: auditd is not installed.")
    return data


def _step(minion: Minion, config: object, path: str, remember: bool = False) -> Step:
    version = auditd_daemon.version(minion)
    texts = plan.wanted(config, version)
    before = _file(minion, path)
    if before is None:
        predicted = state.changes({}, texts)
        raise state.NotInstalled(f"There is no {path}: auditd is not installed.", predicted)
    base = before
    if remember:
        base = Memory(minion, _transaction(minion, path), path).without(path, before) or b""
    after = plan.edit(base, texts, version)
    # What others moved about and means the same is left as it is.
    after = after if plan.differences(before, after, version) else before
    return _aimed(minion, path, before, after)._replace(base=base)


def _aimed(minion: Minion, path: str, before: bytes, after: bytes, judged: bool = True) -> Step:
    version, daemon = auditd_daemon.version(minion), auditd_daemon.find(path)
    found = plan.blocking(_problems(path, after, version, daemon)) if judged else []
    # What stood there before is left to auditd, where one reads it.
    asked = after != before and (judged or daemon.reads)
    plan.demand(found or (auditd_check.refusals(minion, after) if asked else []), path)
    known = _known(minion, daemon.pid, path) if daemon.reads else after
    step = Step(path, before, after, known, daemon, version, _differences(path, before, after, version), after)
    return step if known == after else step._replace(changes={**step.changes, DAEMON: _daemon_change(step)})


def _problems(path: str, data: bytes, version: keywords.Version | None, daemon: Daemon) -> list[plan.Problem]:
    found = plan.problems(data, version)
    found += [] if plan.blocking(found) else auditd_check.host_problems(data)
    return [*auditd_check.file_problems(path, daemon.follows_links), *found]


def _differences(path: str, before: bytes, after: bytes, version: keywords.Version | None) -> Changes:
    # Where a change was interrupted and the old values are the wanted ones, the file still has to be put back.
    return plan.differences(before, after, version) or plan.differences(files.read(path) or b"", after, version)


def _daemon_change(step: Step) -> dict[str, str]:
    return {"old": "works with other settings", "new": "restarted" if step.restarts else "reloaded"}


def _known(minion: Minion, pid: int, path: str) -> bytes | None:
    """Return the configuration (bytes) that the daemon works with, None when nobody knows."""
    if processes.has_read(pid, [path], minion.run_dir):
        return files.read(path)
    return processes.marked(pid, minion.run_dir)


def _demand_log(step: Step) -> None:
    """Raise, before anything is changed, where auditd could not confirm in its log that it took the change up."""
    log = language.effective(step.before, "log_file")
    if DAEMON in step.changes and auditd_daemon.suspended(step.daemon, log):
        pid = step.daemon.pid
        raise DaemonFailed(f"auditd (pid {pid}) has suspended its log, and cannot confirm there what it reads.")


def _take_up(minion: Minion, step: Step, transaction: Transaction) -> None:
    try:
        pid = _bring(minion, step)
    except CommandExecutionError as exc:
        transaction.undo()
        raise DaemonFailed(f"{exc.message} {_go_back(minion, step)}") from exc
    processes.mark(pid, [step.path], minion.run_dir, step.after)


def _bring(minion: Minion, step: Step) -> int:
    if step.restarts:
        return _restart(minion, step.daemon, step.path, step.after)
    return _reload(minion, step.daemon, step.after)


def _go_back(minion: Minion, step: Step) -> str:
    """Have auditd work with the old file, which is back, and return a sentence on how that went."""
    try:
        pid = _restore(minion, step)
    except CommandExecutionError as exc:
        return f"The old file is back, but auditd is not: {exc.message}"
    processes.mark(pid, [step.path], minion.run_dir, step.before)
    return f"The old file is back, and auditd (pid {pid}) works with it."


def _restore(minion: Minion, step: Step) -> int:
    found = auditd_daemon.find(step.path)
    # An auditd with a directory of its own that once refused a file reads the standard one from then on, or aborts
    # (3.0 to 4.1.2 do, each).
    if found.reads and not found.own_directory:
        with contextlib.suppress(DaemonFailed):
            return _reload(minion, found, step.before)
    return _restart(minion, found if found.reads else step.daemon, step.path, step.before)


def _reload(minion: Minion, daemon: Daemon, data: bytes) -> int:
    """Have the daemon read its file again, and return its pid (int) when its log says that it did."""
    log = language.effective(data, "log_file")
    tail = Tail(auditd_daemon.rooted(daemon.pid, log))
    processes.forget(daemon.pid, minion.run_dir)
    send(daemon, signal.SIGHUP)
    wait(
        minion,
        f"auditd (pid {daemon.pid}) did not confirm in {log} that it took up its configuration",
        _reloaded(daemon, data, tail),
    )
    return daemon.pid


def _reloaded(daemon: Daemon, data: bytes, tail: Tail) -> Callable[[], bool]:
    def ready() -> bool:
        if not processes.lives(daemon.pid):
            raise DaemonFailed(f"auditd (pid {daemon.pid}) ended when it was told to read its configuration.")
        answer = auditd_daemon.answer(tail.records())
        if answer == "failed":
            raise DaemonFailed(f"auditd (pid {daemon.pid}) refused its configuration; syslog has its reason.")
        return answer == "success" or not language.writes_log(data)

    return ready


def _restart(minion: Minion, daemon: Daemon, path: str, data: bytes) -> int:
    """Stop the daemon, start it, and return its new pid (int) when it is the kernel's and writes its log."""
    tail = Tail(language.effective(data, "log_file"))
    _stop(minion, daemon)
    _start(minion, daemon)
    new = wait(minion, "auditd did not become the kernel's audit daemon", lambda: _successor(daemon, path))
    if language.writes_log(data):
        _prove(minion, new, tail)
    return new.pid


def send(daemon: Daemon, number: int) -> None:
    """Send the daemon a signal (int)."""
    try:
        os.kill(daemon.pid, number)
    except OSError as exc:
        raise DaemonFailed(f"auditd (pid {daemon.pid}) cannot be signalled: {exc.strerror}.") from exc


def _stop(minion: Minion, daemon: Daemon) -> None:
    # By signal, for a unit may refuse to be stopped (RefuseManualStop).
    if processes.lives(daemon.pid):
        send(daemon, signal.SIGTERM)
    wait(minion, f"auditd (pid {daemon.pid}) did not stop", lambda: not processes.lives(daemon.pid))


def _start(minion: Minion, daemon: Daemon) -> None:
    if not daemon.own_directory and service.available(minion, "auditd"):
        service.start(minion, "auditd")
    else:
        # As for a service: a daemon keeps the variables that it is started with.
        minion.call["cmd.run_bg"](list(daemon.argv), python_shell=False, clean_env=True, env=base_minion.PLAIN)


def _successor(daemon: Daemon, path: str) -> Daemon | None:
    new = auditd_daemon.find(path)
    return new if new.reads and new.pid != daemon.pid else None


def _prove(minion: Minion, daemon: Daemon, tail: Tail) -> None:
    """Wait until the log holds the daemon's start, and a message of ours where the kernel passes any on."""
    wait(
        minion,
        f"auditd (pid {daemon.pid}) did not log its start",
        lambda: auditd_daemon.logged_start(tail.records(), daemon.pid),
    )
    if kernel.status()["enabled"]:
        wait(minion, f"a message did not arrive in the log of auditd (pid {daemon.pid})", heard(minion, tail))


def heard(minion: Minion, tail: Tail) -> Callable[[], bool]:
    """Return a function that tells whether a message has arrived; a kernel between two daemons may drop one."""
    word, due = f"sshtrail-{uuid.uuid4()}", [0.0]

    def ready() -> bool:
        if time.monotonic() >= due[0]:
            minion.run("auditctl", "-m", word)
            due[0] = time.monotonic() + RESEND
        return auditd_daemon.logged_message(tail.records(), word)

    return ready


def wait(minion: Minion, failure: str, ready: Callable[[], Answer | None]) -> Answer:
    """Return what ``ready()`` returns as soon as it is true; raise with the sentence ``failure`` when time is up."""
    patience = minion.opts.get("sshtrail.daemon_timeout", PATIENCE)
    deadline = time.monotonic() + patience
    while not (result := ready()):
        if time.monotonic() > deadline:
            raise DaemonFailed(f"{failure} within {patience} seconds.")
        time.sleep(0.02)
    return result
