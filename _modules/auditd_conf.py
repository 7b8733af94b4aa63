"""
Read, check and change ``auditd.conf``, and have the running audit daemon take it up.

:depends: auditd. The keywords of auditd 3.0 to 4.2 are known, see auditd.conf(5).
"""

import collections
import contextlib
import json
import os
import signal
import sys
import tempfile
import time
import uuid

import psutil
import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.auditd import host as auditd_host
from sshtrail_lib.auditd import keywords as auditd_keywords
from sshtrail_lib.auditd import language as auditd_language
from sshtrail_lib.base import files, kernel, processes, state

__func_alias__ = {"set_": "set"}

# The key of ``changes`` under which the daemon stands; no keyword of auditd.conf is called so.
DAEMON = "auditd"
# Seconds, changed by the option sshtrail.daemon_timeout: a loaded host is late, a daemon that is well takes one.
PATIENCE = 30
# Seconds after which a message that has not arrived is sent once more.
RESEND = 2
# Puts one file over another inside a mount namespace of its own and runs a program there.
OVERLAY = (
    "import os, subprocess, sys; subprocess.run(['mount', '--bind', *sys.argv[1:3]], check=True); "
    "os.execvp(sys.argv[3], sys.argv[3:])"
)
# What is there, what is to be there (bytes), what the daemon works with (bytes, None: nobody knows), and for whom.
Plan = collections.namedtuple("Plan", "path before after known daemon version changes")
PROBE = b"type=DAEMON_START msg=audit(1.000:1): op=start\n"


class DaemonFailed(CommandExecutionError):
    """auditd did not take up its configuration, or did not prove it."""


def get(keyword, path=auditd_language.PATH):
    """
    Return the value of a keyword as written, and where.

    keyword
        The keyword (str); case does not matter.
    path
        The configuration file (str).

    Returns ``{"value": str, "file": str, "line": int}``, or None when no line sets it. Raises
    SaltInvocationError for an unknown keyword. Source: auditd.conf(5).

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.get max_log_file_action
    """
    name = auditd_keywords.lookup(keyword).name
    line = auditd_language.deciding(_read(path)).get(name)
    return line and {"value": line.value, "file": path, "line": line.number}


def check(path=auditd_language.PATH):
    """
    Return everything for which the installed auditd would not start with this file, or would not do what it says.

    path
        The configuration file (str).

    Returns a list of ``{"line": int, "keyword": str, "reason": str}``, empty when all is well; line 0 stands for
    the file as a whole. Touches nothing. Source: auditd.conf(5), and the installed auditd's own parser.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.check
    """
    data = _read(path)
    found = _problems(path, data, _version(), auditd_host.find(path)) or _refusals(data)
    return [{"line": one.line, "keyword": one.keyword, "reason": one.reason} for one in found]


def diff(config=None, path=auditd_language.PATH):
    """
    Return what :func:`set` would change, in the file and in the daemon; touches nothing.

    config
        Keywords and values (dict): int, str, bool for yes and no, None for no such line. Empty: only the daemon
        is looked at.
    path
        The configuration file (str).

    Returns ``{keyword: {"old": str or None, "new": str or None}}``, and under the key ``auditd`` what becomes of the
    running daemon, when it has to take the file up: ``reloaded`` or ``restarted``. Raises SaltInvocationError for
    bad arguments, CommandExecutionError where auditd would refuse the result, and
    :class:`sshtrail_lib.base.state.NotInstalled` where there is no such file.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.diff '{max_log_file: 50}'
    """
    return _plan(config or {}, path).changes


def set_(keyword=None, value=None, config=None, path=auditd_language.PATH):
    """
    Set one keyword, or several at once, and have the running daemon take them up.

    keyword, value
        One keyword (str) and its value, as in ``config``.
    config
        Instead: keywords and values (dict), as for :func:`diff`.
    path
        The configuration file (str).

    The daemon is reloaded where that serves and restarted where it does not, and has to prove in its log that it
    did so. Returns the changes as :func:`diff` predicts them. Raises as :func:`diff`, and :class:`DaemonFailed` when
    auditd did not take the file up: the old file is then back, and auditd works with it again.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.set max_log_file 50
        salt '*' auditd_conf.set config='{max_log_file: 50, max_log_file_action: keep_logs}'
    """
    if (keyword is None) == (config is None) or (keyword is None) != (value is None):
        raise SaltInvocationError("auditd_conf.set needs either a keyword with its value, or config.")
    plan = _plan({keyword: value} if config is None else config, path)
    if plan.after != plan.before:
        files.replace(path, plan.after)
    if DAEMON in plan.changes:
        _take_up(plan)
    return plan.changes


def reload(path=auditd_language.PATH):
    """
    Have the running daemon take up the file as it is, where it has not.

    path
        The configuration file (str).

    Returns the changes as :func:`diff`; empty when there was nothing to do. Raises as :func:`set`.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.reload
    """
    return set_(config={}, path=path)


def status(path=auditd_language.PATH):
    """
    Return how the kernel's audit daemon stands to this file.

    path
        The configuration file (str).

    Returns ``{"pid": int, "reads": bool, "current": bool, "note": str}``: 0 for no daemon; whether it is an auditd
    that works with this file; whether it has read what the file holds now; why it does not read it.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.status
    """
    daemon = auditd_host.find(path)
    current = daemon.reads and processes.has_read(daemon.pid, [path], _run_dir())
    return {"pid": daemon.pid, "reads": daemon.reads, "current": current, "note": daemon.note}


def _read(path):
    data = files.read(path)
    if data is None:
        raise state.NotInstalled(f"There is no {path}: auditd is not installed.")
    return data


def _version():
    """Return the installed auditd's version as a tuple of int, or None when it cannot be asked."""
    binary = salt.utils.path.which("auditctl")
    if not binary:
        return None
    key = f"auditd_conf.{files.identity(binary)}"
    if key not in __context__:
        __context__[key] = _remembered(files.identity(binary))
    return __context__[key]


def _remembered(identity):
    """What only the binary can tell changes with the binary alone, so one question is enough for its life."""
    store = os.path.join(_run_dir(), "auditd.json")
    with contextlib.suppress(CommandExecutionError, ValueError, TypeError, KeyError):
        known = json.loads(files.read(store) or b"")
        if known["identity"] == identity:
            return tuple(map(int, known["version"]))
    version = _asked_version()
    if version and not __opts__.get("test"):
        _remember(store, {"identity": identity, "version": version})
    return version


def _remember(store, known):
    with contextlib.suppress(OSError, CommandExecutionError):
        os.makedirs(os.path.dirname(store), mode=0o755, exist_ok=True)
        files.replace(store, json.dumps(known).encode(), mode=0o600)


def _asked_version():
    words = _run("auditctl", "-v")["stdout"].split()
    return tuple(int(part) for part in words[-1].split(".") if part.isdigit()) if words else None


def _run(*argv):
    return __salt__["cmd.run_all"](
        list(argv), python_shell=False, env={"LC_ALL": "C"}, ignore_retcode=True, output_loglevel="trace"
    )


def _run_dir():
    return __opts__.get("sshtrail.run_dir", processes.RUN_DIR)


def _plan(config, path):
    version = _version()
    texts = auditd_language.wanted(config, version)
    before = files.read(path)
    if before is None:
        predicted = state.changes({}, texts)
        raise state.NotInstalled(f"There is no {path}: auditd is not installed.", predicted)
    after = auditd_language.edit(before, texts, version)
    daemon = auditd_host.find(path)
    found = _problems(path, after, version, daemon)
    auditd_language.demand(found or (after != before and _refusals(after)), path)
    known = _known(daemon.pid, path, before) if daemon.reads else after
    changes = auditd_language.differences(before, after, version)
    plan = Plan(path, before, after, known, daemon, version, changes)
    return plan if known == after else plan._replace(changes={**changes, DAEMON: _daemon_change(plan)})


def _problems(path, data, version, daemon):
    found = auditd_language.problems(data, version) or auditd_language.host_problems(data)
    return [*auditd_language.file_problems(path, daemon.follows_links), *found]


def _daemon_change(plan):
    return {"old": "works with other settings", "new": "restarted" if _restarts(plan) else "reloaded"}


def _restarts(plan):
    return auditd_language.needs_restart(plan.known, plan.after, plan.version)


def _known(pid, path, data):
    """Return the configuration (bytes) that the daemon works with, None when nobody knows."""
    if processes.has_read(pid, [path], _run_dir()):
        return data
    return processes.marked(pid, _run_dir())


def _refusals(data):
    """
    Return what the installed auditd's parser has against ``data`` (bytes): a list, empty also when it cannot be asked.

    ausearch has the same parser and starts nothing. It sees the candidate in place of the host's file in a mount
    namespace of its own, with one more line at the end, which names a log that holds one record: it finds the record
    only when it took every line before.
    """
    if not _parser_is_here():
        return []
    with tempfile.TemporaryDirectory(prefix="sshtrail-") as directory:
        answer = _ask_parser(directory, data)
        # Where even this is refused (no mount namespaces in this container), the parser was never reached.
        if _took_every_line(answer) or not _took_every_line(_ask_parser(directory, b"space_left = 1\n")):
            return []
    reason = "The installed auditd refuses it: " + "; ".join(answer["stderr"].splitlines())
    return [auditd_language.Problem(0, "", reason)]


def _parser_is_here():
    programs = map(salt.utils.path.which, ("unshare", "mount", "ausearch"))
    return all(programs) and os.path.isfile(auditd_language.PATH)


def _took_every_line(answer):
    # After a line that it refuses ausearch reads the standard log instead, which holds such records too.
    return PROBE.decode().strip() in answer["stdout"]


def _ask_parser(directory, data):
    candidate, log = os.path.join(directory, "auditd.conf"), os.path.join(directory, "audit.log")
    files.replace(log, PROBE, mode=0o600)
    # The line feed ends a last line that has none.
    files.replace(candidate, data + f"\nlog_file = {log}\n".encode(), mode=0o600)
    overlay = ("unshare", "--mount", sys.executable, "-I", "-S", "-c", OVERLAY, candidate, auditd_language.PATH)
    return _run(*overlay, "ausearch", "--input-logs", "-m", "DAEMON_START", "--just-one", "--raw")


def _take_up(plan):
    try:
        pid = _restart(plan.daemon, plan.path, plan.after) if _restarts(plan) else _reload(plan.daemon, plan.after)
    except CommandExecutionError as exc:
        raise DaemonFailed(f"{exc.message} {_go_back(plan)}") from exc
    processes.mark(pid, [plan.path], _run_dir(), plan.after)


def _go_back(plan):
    """Put the old file back, have auditd work with it, and return a sentence on how that went."""
    files.replace(plan.path, plan.before)
    try:
        pid = _restore(plan)
    except CommandExecutionError as exc:
        return f"The old file is back, but auditd is not: {exc.message}"
    processes.mark(pid, [plan.path], _run_dir(), plan.before)
    return f"The old file is back, and auditd (pid {pid}) works with it."


def _restore(plan):
    found = auditd_host.find(plan.path)
    # An auditd with a directory of its own that once refused a file reads the standard one from then on, or aborts
    # (3.0 to 4.1.2 do, each).
    if found.reads and not found.own_directory:
        with contextlib.suppress(DaemonFailed):
            return _reload(found, plan.before)
    return _restart(found if found.reads else plan.daemon, plan.path, plan.before)


def _reload(daemon, data):
    """Have the daemon read its file again, and return its pid (int) when its log says that it did."""
    log = auditd_language.effective(data, "log_file")
    tail = auditd_host.Tail(auditd_host.rooted(daemon.pid, log))
    _signal(daemon, signal.SIGHUP)
    _wait(
        f"auditd (pid {daemon.pid}) did not confirm in {log} that it took up its configuration",
        _reloaded(daemon, data, tail),
    )
    return daemon.pid


def _reloaded(daemon, data, tail):
    def ready():
        if not _lives(daemon.pid):
            raise DaemonFailed(f"auditd (pid {daemon.pid}) ended when it was told to read its configuration.")
        answer = auditd_host.answer(tail.records())
        if answer == "failed":
            raise DaemonFailed(f"auditd (pid {daemon.pid}) refused its configuration; syslog has its reason.")
        return answer == "success" or not auditd_language.writes_log(data)

    return ready


def _restart(daemon, path, data):
    """Stop the daemon, start it, and return its new pid (int) when it is the kernel's and writes its log."""
    tail = auditd_host.Tail(auditd_language.effective(data, "log_file"))
    _stop(daemon)
    _start(daemon)
    new = _wait("auditd did not become the kernel's audit daemon", lambda: _successor(daemon, path))
    if auditd_language.writes_log(data):
        _prove(new, tail)
    return new.pid


def _signal(daemon, number):
    try:
        os.kill(daemon.pid, number)
    except OSError as exc:
        raise DaemonFailed(f"auditd (pid {daemon.pid}) cannot be signalled: {exc.strerror}.") from exc


def _stop(daemon):
    # By signal, for a unit may refuse to be stopped (RefuseManualStop).
    if _lives(daemon.pid):
        _signal(daemon, signal.SIGTERM)
    _wait(f"auditd (pid {daemon.pid}) did not stop", lambda: not _lives(daemon.pid))


def _start(daemon):
    if not daemon.own_directory and __salt__["sshtrail_service.available"]("auditd"):
        __salt__["sshtrail_service.start"]("auditd")
    else:
        # As for a service: a daemon keeps the variables that it is started with.
        plain = {"LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
        __salt__["cmd.run_bg"](list(daemon.argv), python_shell=False, clean_env=True, env=plain)


def _successor(daemon, path):
    new = auditd_host.find(path)
    return new if new.reads and new.pid != daemon.pid else None


def _prove(daemon, tail):
    """Wait until the log holds the daemon's start, and a message of ours where the kernel passes any on."""
    _wait(
        f"auditd (pid {daemon.pid}) did not log its start",
        lambda: auditd_host.logged_start(tail.records(), daemon.pid),
    )
    if kernel.status()["enabled"]:
        _wait(f"a message did not arrive in the log of auditd (pid {daemon.pid})", _heard(tail))


def _heard(tail):
    """Return a function that tells whether a message has arrived; a kernel between two daemons may drop one."""
    word, due = f"sshtrail-{uuid.uuid4()}", [0.0]

    def ready():
        if time.monotonic() >= due[0]:
            _run("auditctl", "-m", word)
            due[0] = time.monotonic() + RESEND
        return auditd_host.logged_message(tail.records(), word)

    return ready


def _lives(pid):
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.Error:
        return False


def _wait(failure, ready):
    """Return what ``ready()`` returns as soon as it is true; raise with the sentence ``failure`` when time is up."""
    patience = __opts__.get("sshtrail.daemon_timeout", PATIENCE)
    deadline = time.monotonic() + patience
    while not (result := ready()):
        if time.monotonic() > deadline:
            raise DaemonFailed(f"{failure} within {patience} seconds.")
        time.sleep(0.02)
    return result
