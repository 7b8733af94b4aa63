"""
Read, check and change ``sshd_config`` and everything it includes, as sshd itself understands it.

A change is one transaction: the whole tree as it will be passes sshd's own test before anything is written,
and afterwards the listener answers, or the old files are back.
"""

import contextlib
import difflib
import functools
import glob
import hashlib
import json
import os
import re
import shutil
import tempfile

import salt.utils.files
import salt.utils.path
import salt.utils.systemd
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.base import files, journal, processes, state
from sshtrail_lib.sshd import guard as sshd_guard
from sshtrail_lib.sshd import keywords as sshd_keywords
from sshtrail_lib.sshd import language as sshd_language
from sshtrail_lib.sshd import listener as sshd_listener
from sshtrail_lib.sshd import match as sshd_match
from sshtrail_lib.sshd import plan as sshd_plan
from sshtrail_lib.sshd import values as sshd_values

DEFAULT = "/etc/ssh/sshd_config"
# A listener that was told to start anew answers within a second; a loaded host may need much longer.
DEADLINE = 30.0
_CONNECTION = ("user", "host", "addr", "laddr", "lport")
_UNREAD = {"old": "runs with other files", "new": "runs with the present files"}


class ListenerError(CommandExecutionError):
    """sshd did not answer with the new configuration; the old one is back."""


class RefusedError(CommandExecutionError):
    """The installed sshd refuses the configuration as it would be; nothing was written."""


def __virtual__():
    return "sshd_config"


def get(keyword, match=None, path=DEFAULT):
    """
    Return a keyword as it is written, and where.

    keyword
        The keyword, in any case (str).
    match
        The criteria of a Match block (str), for what is written there; without it the global part.
    path
        The main configuration file (str).

    Returns a dict with ``value`` (str as written, a list of them where every line adds), ``file`` and ``line`` of
    the line that decides, or None when no line sets it. See sshd_config(5).

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.get LogLevel
        salt '*' sshd_config.get X11Forwarding match='User bob'
    """
    wanted = sshd_plan.wish(keyword, None, _daemon(), match)
    settings = sshd_plan.lines_of(wanted, _load(path))
    if not settings:
        return None
    counting = sshd_values.counting(wanted.keyword, settings)
    values = [sshd_plan.written(setting.line) for setting in counting]
    listed = sshd_keywords.is_list(wanted.keyword)
    return {
        "value": values if listed else values[0],
        "file": counting[0].file,
        "line": counting[0].line.number,
    }


def effective(user=None, host=None, addr=None, laddr=None, lport=None, path=DEFAULT):
    """
    Return what sshd will do: each keyword, its value, and the line that decides it.

    user, host, addr, laddr
        A connection to answer for: account, client's name and address, this end's address (str).
    lport
        This end's port (int).
    path
        The main configuration file (str).

    A Match criterion on what is not given is not met, as for ``sshd -T -C``; with none of the first five the answer is
    that of plain ``sshd -T``.

    Returns ``{keyword: {"value", "file", "line", "default", "shadowed"}}``: the value is spelled as ``sshd -T``
    spells it, and a list where that prints one line for each item; ``file`` and ``line`` are None and ``default``
    is True where sshd's own default is in force; ``shadowed`` lists ``{"file", "line"}`` of lines without effect.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.effective
        salt '*' sshd_config.effective user=bob addr=192.0.2.1
    """
    if lport is not None and not str(lport).isdecimal():
        raise SaltInvocationError(f"lport takes the number of a port, not {lport!r}")
    given = {"user": user, "host": host, "addr": addr, "laddr": laddr, "lport": lport and int(lport)}
    found = sshd_language.effective(_load(path), sshd_match.Connection(**given))
    return {name: _described(one) for name, one in sorted(found.items())}


def _described(found):
    first = found.deciding[0] if found.deciding else None
    return {
        "value": found.value,
        "file": first.file if first else None,
        "line": first.line.number if first else None,
        "default": found.default,
        "shadowed": [{"file": one.file, "line": one.line.number} for one in found.shadowed],
    }


def check(path=DEFAULT):
    """
    Return every problem for which sshd would refuse a configuration, includes and all (list of dict).

    path
        The main configuration file (str).

    Each has ``file``, ``line``, ``column``, ``text`` and ``reason``; an empty list means that sshd accepts it. What
    this module finds by itself comes first; otherwise the installed sshd has the last word (``sshd -t``).

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.check
    """
    tree = _load(path)
    found = [problem._asdict() for problem in sshd_language.problems(tree)]
    if found or not _binary():
        return found
    try:
        with _candidate(tree.data, path) as (main, real):
            _sshd_test(main, real)
    except RefusedError as exc:
        return [{"file": path, "line": 0, "column": 0, "text": "", "reason": exc.message}]
    return []


def set_(keyword, value, match=None, path=DEFAULT, shadowed="fix", exact=True, admins=None, force=False):
    """
    Make a value of a keyword effective, in one transaction, and return the changes.

    keyword
        The keyword, in any case (str).
    value
        Text, a number, True or False for yes and no, or a list for a keyword that takes several.
    match
        The criteria of the Match block that it is for (str), such as ``User bob``; without it the global part.
    path
        The main configuration file (str).
    shadowed
        Where a line outside the main file decides: ``fix`` changes it there, ``drop_in`` writes a drop-in of our
        own before it, ``fail`` refuses.
    exact
        For a list: True for exactly these items, False for at least these (bool).
    admins
        Accounts that must still be able to log in (list of str); without any, somebody must.
    force
        Change it even though it may lock the administrator out (bool).

    Returns ``{keyword: {"old": …, "new": …}}``, empty when it was so already. Raises SaltInvocationError for an
    impossible keyword or value, CommandExecutionError when sshd refuses; nothing is changed then.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.set LogLevel VERBOSE
        salt '*' sshd_config.set X11Forwarding no match='User bob'
    """
    if value is None:
        raise SaltInvocationError("set needs a value; unset returns a keyword to sshd's default")
    config, matches = ({keyword: value}, None) if match is None else (None, [{match: {keyword: value}}])
    options = {"path": path, "shadowed": shadowed, "exact": exact, "admins": admins, "force": force}
    return apply_(config, matches, lowered="keep", **options)


def unset(keyword, match=None, path=DEFAULT, shadowed="fix", admins=None, force=False):
    """
    Return a keyword to sshd's default by removing every line that sets it, and return the changes.

    keyword, match, path, shadowed, admins, force
        As for :func:`set <sshd_config.set_>`. With ``match`` only that Match block is changed; it goes when empty.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.unset MaxAuthTries
    """
    config, matches = ({keyword: None}, None) if match is None else (None, [{match: {keyword: None}}])
    return apply_(config, matches, path=path, shadowed=shadowed, admins=admins, force=force, lowered="keep")


def diff(
    config=None, matches=None, path=DEFAULT, shadowed="fix", exact=True, admins=None, force=False, lowered="remove"
):
    """
    Return what :func:`apply <sshd_config.apply_>` would change, and touch nothing.

    config
        ``{keyword: value}`` of the global part; None as a value is sshd's default (dict).
    matches
        A list of ``{criteria: {keyword: value}}``, one for each Match block.
    path, shadowed, exact, admins, force
        As for :func:`set <sshd_config.set_>`.
    lowered
        What to do where ``config`` has a LogLevel and a Match block that is not in ``matches`` lowers it for some:
        ``remove`` that line, or ``keep`` it.

    Returns ``{keyword: {"old": …, "new": …}}`` with effective values, ``keyword (Match criteria)`` for those of a
    Match block, and one key ``sshd`` when the running daemon has not read the present files. Raises
    :class:`sshtrail_lib.base.state.NotInstalled` when there is no sshd or no configuration file.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.diff '{LogLevel: VERBOSE, SyslogFacility: AUTHPRIV}'
    """
    plan = _plan(config, matches, path, shadowed, exact, lowered)
    _guard(plan, admins, force)
    return {**plan.changes, **_unread(plan)}


def apply_(
    config=None, matches=None, path=DEFAULT, shadowed="fix", exact=True, admins=None, force=False, lowered="remove"
):
    """
    Bring sshd to a mapping of keywords in one transaction, and return the changes.

    config, matches, path, shadowed, exact, admins, force, lowered
        As for :func:`diff`.

    The whole tree as it will be must pass ``sshd -t`` and ``sshd -T``; then the files are replaced (with backups, see
    ``file.list_backups``), the running listener reloads, and must greet on every ListenAddress and Port. If it does
    not, the old files are put back, sshd is started again, and ListenerError tells why. Where no sshd runs with this
    file only the files are changed.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.apply '{LogLevel: VERBOSE, X11Forwarding: no}'
    """
    with _locked(path):
        _recover(path)
        plan = _plan(config, matches, path, shadowed, exact, lowered)
        _guard(plan, admins, force)
        changes = {**plan.changes, **_unread(plan)}
        if plan.files:
            _prove(plan)
        if changes or plan.files:
            _carry_out(plan)
    return changes


def listening(path=DEFAULT):
    """
    Return the pid (int) of the running sshd that listens with the configuration file ``path`` (str), or None.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.listening
    """
    listener = _listener(_load(path))
    return listener.pid if listener else None


def sources(path=DEFAULT):
    """
    Return what an answer about sshd depends on (dict), so that a caller can tell whether anything changed.

    path
        The main configuration file (str).

    Keys: ``paths`` (list of str: every file of the tree, each directory in which a new one would be included, sshd
    itself), ``binary`` (str, None without sshd), ``pidfile`` (str, ``none`` for none) and ``endpoints`` (list of str,
    ``ADDRESS:PORT``: where it listens).

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.sources
    """
    tree = _load(path)
    decided = sshd_language.effective(tree)
    listens = decided["ListenAddress"].value if "ListenAddress" in decided else []
    paths = [path, *_watched(tree), *filter(None, [_binary()])]
    return {"paths": paths, "binary": _binary(), "pidfile": decided["PidFile"].value, "endpoints": listens}


__func_alias__ = {"set_": "set", "apply_": "apply"}


def _binary():
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    return salt.utils.path.which("sshd") or shutil.which("sshd", path=places)


def _load(path):
    # What an interrupted transaction left behind is read as it was before; the next transaction puts it back.
    return sshd_language.load(path, _daemon(), journal.before(_journal(path)))


def _journal(path):
    name = hashlib.sha256(os.path.realpath(path).encode()).hexdigest()[:16]
    return os.path.join(__opts__["cachedir"], "sshtrail", f"sshd_config-{name}.json")


def _daemon():
    """Return the Daemon that stands for the installed sshd; one that knows nothing when there is none."""
    binary = _binary()
    if not binary:
        return sshd_values.Daemon()
    key = f"sshd_config.{files.identity(binary)}"
    if key not in __context__:
        __context__[key] = _remembered(binary)
    release = __context__[key][0]
    return sshd_values.Daemon(*__context__[key], ask=functools.partial(_ask, release))


def _remembered(binary):
    """What only the binary can tell changes with the binary alone, so one question is enough for its life."""
    store, identity = os.path.join(_run_dir(), "sshd.json"), files.identity(binary)
    with contextlib.suppress(CommandExecutionError, ValueError, TypeError, KeyError):
        known = json.loads(files.read(store) or b"")
        if known["identity"] == identity:
            return tuple(known["release"]), known["banner"], known["defaults"]
    banner = _banner(binary)
    release = tuple(map(int, re.match(r"OpenSSH_(\d+)\.(\d+)", banner).groups()))
    with _private_directory() as scratch:
        empty = os.path.join(scratch, "sshd_config")
        files.replace(empty, b"", mode=0o600)
        defaults = {**_vendor(empty), **_sshd_dump(empty, {})}
    # Without host keys sshd could not be asked for all of it.
    if "HostKey" in defaults and not __opts__.get("test"):
        _remember(store, {"identity": identity, "release": release, "banner": banner, "defaults": defaults})
    return release, banner, defaults


def _vendor(path):
    """Return those keywords of vendors that sshd takes and does not print, as keys of a dict."""
    known = {}
    for name, value in sshd_keywords.VENDOR.items():
        files.replace(path, f"{name} {value}\n".encode())
        with contextlib.suppress(RefusedError):
            _sshd_dump(path, {})
            known[name] = []
    files.replace(path, b"")
    return known


def _remember(store, known):
    with contextlib.suppress(OSError, CommandExecutionError):
        os.makedirs(os.path.dirname(store), mode=0o755, exist_ok=True)
        files.replace(store, json.dumps(known).encode(), mode=0o600)


def _banner(binary):
    # Releases before 9.2 do not know -V, and name themselves while they complain.
    result = _run([binary, "-V"])
    found = re.search(r"OpenSSH_\d+\.\d+\w*", result["stderr"] + result["stdout"])
    if not found:
        raise CommandExecutionError(f"{binary} is not OpenSSH: {result['stderr'].strip()[:200]}")
    return found[0]


def _run_dir():
    return __opts__.get("sshtrail.run_dir", "/run/sshtrail")


def _ask(release, name, occurrences):
    """Let sshd itself say what it makes of a value that depends on how it was built."""
    lines = [
        f"{name} {' '.join(sshd_plan.quoted(word, release) for word in arguments.words)}\n" for arguments in occurrences
    ]
    text = "".join(lines)
    if text not in __context__.setdefault("sshd_config.asked", {}):
        __context__["sshd_config.asked"][text] = _asked(name, text)
    answer = __context__["sshd_config.asked"][text]
    if isinstance(answer, str):
        raise sshd_values.BadValue(answer)
    return answer


def _asked(name, text):
    with _private_directory() as scratch:
        path = os.path.join(scratch, "sshd_config")
        files.replace(path, sshd_language.encode(text), mode=0o600)
        try:
            return _sshd_dump(path, {path: "sshd_config"}).get(name, [])
        except RefusedError as exc:
            return f"is refused by sshd: {exc.message}"


def _run(argv):
    return __salt__["cmd.run_all"](
        argv,
        python_shell=False,
        env={"LC_ALL": "C"},
        ignore_retcode=True,
        output_loglevel="quiet",
        rstrip=False,
    )


@contextlib.contextmanager
def _private_directory():
    path = tempfile.mkdtemp(prefix="sshtrail-sshd-")
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


_HOST_KEYS = "/etc/ssh/ssh_host_*_key"
# Where sshd wants to find an empty directory: Debian, Red Hat 9, Red Hat 8 and upstream.
_PRIVSEP = ("/run/sshd", "/usr/share/empty.sshd", "/var/empty/sshd", "/var/empty")


@contextlib.contextmanager
def _privilege_separation_directory():
    """sshd tests nothing without this directory, which on Debian only exists while the service runs."""
    if any(os.path.isdir(path) for path in _PRIVSEP) or os.geteuid():
        yield
        return
    os.mkdir(_PRIVSEP[0], 0o755)
    try:
        yield
    finally:
        with contextlib.suppress(OSError):
            os.rmdir(_PRIVSEP[0])


def _provide_separation_directory():
    """A listener that starts itself anew without this directory ends instead; a running one needs it to stay."""
    if not any(os.path.isdir(path) for path in _PRIVSEP):
        with contextlib.suppress(OSError):
            os.makedirs(_PRIVSEP[0], mode=0o755)


def _ask_sshd(arguments, names):
    """Run sshd in test mode; return its output, or raise RefusedError with the ``names`` (dict) put in for paths."""
    with _privilege_separation_directory():
        result = _run([_binary(), *arguments])
        if result["retcode"] and not glob.glob(_HOST_KEYS):
            result = _with_a_host_key(arguments)
    if result["retcode"]:
        raise RefusedError(_translated(result["stderr"], names) or f"sshd ended with status {result['retcode']}")
    return result["stdout"]


def _with_a_host_key(arguments):
    """A host without host keys gets them when sshd is first started; until then sshd tests with one of ours."""
    with _private_directory() as scratch:
        key = os.path.join(scratch, "key")
        made = _run([salt.utils.path.which("ssh-keygen"), "-q", "-t", "ed25519", "-N", "", "-f", key])
        if made["retcode"]:
            raise CommandExecutionError(f"ssh-keygen cannot make a host key: {made['stderr'].strip()}")
        result = _run([_binary(), *arguments, "-h", key])
        lines = result["stdout"].splitlines(keepends=True)
        return {**result, "stdout": "".join(line for line in lines if key not in line)}


def _translated(text, names):
    for temporary, real in names.items():
        text = text.replace(temporary, real)
    return "; ".join(line.strip() for line in text.splitlines() if line.strip())


def _sshd_test(main, names):
    _ask_sshd(["-t", "-f", main], names)


def _sshd_dump(main, names, connection=None, options=()):
    """Return what ``sshd -T`` prints: ``{canonical keyword: [values]}``."""
    spec = ["-C", _spec(connection or sshd_match.Connection())]
    printed = {}
    for line in _ask_sshd(["-T", "-f", main, *spec, *options], names).splitlines():
        word, _space, value = line.partition(" ")
        keyword = sshd_keywords.KEYWORDS.get(word.lower())
        printed.setdefault(keyword.name if keyword else word, []).append(value)
    return printed


def _spec(connection):
    given = {name: getattr(connection, name) for name in _CONNECTION}
    # sshd refuses a LocalPort criterion when it is not told the port.
    given["lport"] = given["lport"] or 65535
    return ",".join(f"{name}={value}" for name, value in given.items() if value is not None)


@contextlib.contextmanager
def _candidate(data, main):
    """
    Write ``data`` ({path: bytes}) to a private directory, with every Include pointing there.

    Yields the path of the copy of ``main`` and ``{copy: original}``.
    """
    tree = sshd_language.load(main, _daemon(), data)
    with _private_directory() as scratch:
        copies = {path: os.path.join(scratch, f"{number}.conf") for number, path in enumerate(tree.files)}
        for path, copy in copies.items():
            files.replace(copy, _redirected(tree, path, copies), mode=0o600)
        yield copies[main], {copy: path for path, copy in copies.items()}


def _redirected(tree, path, copies):
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


def _prove(plan):
    """Let sshd judge the tree as it will be: valid, the promised values, and nobody else's changed."""
    path = plan.tree.path
    connections = [
        sshd_match.Connection(),
        *(wanted.connection for wanted in plan.wishes if wanted.criteria is not None),
    ]
    with _candidate(plan.after.data, path) as (main, names):
        _sshd_test(main, names)
        after = [_sshd_dump(main, names, connection) for connection in connections]
    try:
        with _candidate(plan.tree.data, path) as (main, names):
            before = [_sshd_dump(main, names, connection) for connection in connections]
    except RefusedError:
        # What is there now is broken: there is nothing to compare with.
        before = after
    for connection, old, new in zip(connections, before, after, strict=True):
        sshd_plan.verify_dump(plan, connection, old, new)


def _plan(config, matches, path, shadowed, exact, lowered):
    daemon = _daemon()
    wishes = _wishes(config, matches, daemon, exact)
    if not _binary() or not os.path.exists(path):
        missing = "OpenSSH's sshd is" if not _binary() else f"{path} is"
        predicted = sshd_plan.predicted(wishes, daemon)
        raise state.NotInstalled(f"{missing} not on this host yet", predicted)
    tree = _load(path)
    if lowered == "remove":
        wishes += sshd_plan.lowering(tree, wishes)
    return sshd_plan.plan(tree, wishes, shadowed)


def _wishes(config, matches, daemon, exact):
    wishes = []
    for match, keywords in [(None, config or {}), *_blocks(matches)]:
        if not hasattr(keywords, "items"):
            raise SaltInvocationError(f"{match or 'config'} takes a mapping of keywords to values, not {keywords!r}")
        wishes += [sshd_plan.wish(name, value, daemon, match, exact) for name, value in keywords.items()]
    if not wishes:
        raise SaltInvocationError("There is nothing to do: give config or matches")
    sshd_plan.distinct(wishes)
    return wishes


def _blocks(matches):
    if matches is None:
        return []
    blocks = [matches] if hasattr(matches, "items") else matches
    if not isinstance(blocks, (list, tuple)) or not all(hasattr(block, "items") for block in blocks):
        raise SaltInvocationError(f"matches takes a list of {{criteria: {{keyword: value}}}}, not {matches!r}")
    return [pair for block in blocks for pair in block.items()]


def _guard(plan, admins, force):
    if plan.files and not force:
        sshd_guard.judge(plan, [admins] if isinstance(admins, str) else admins or ())


@contextlib.contextmanager
def _locked(path):
    os.makedirs(_run_dir(), mode=0o755, exist_ok=True)
    with salt.utils.files.flopen(os.path.join(_run_dir(), "sshd_config.lock"), "a+"):
        yield


def _listener(tree):
    pidfile = sshd_language.effective(tree)["PidFile"].value
    return sshd_listener.find(pidfile, tree.path, DEFAULT) if pidfile != "none" else None


def _unread(plan):
    listener = _listener(plan.tree)
    if listener is None or _has_read(listener, plan.tree):
        return {}
    return {"sshd": _UNREAD}


def _has_read(listener, tree):
    # Each time it reads its files, it writes its pid anew.
    return processes.has_read(listener.pid, _watched(tree), _run_dir(), again=listener.stamp[1] / 1e9)


def _watched(tree):
    """The files of the tree, and the directories in which a new file would be included."""
    words = [word for lines in tree.files.values() for line in lines if line.name == "Include" for word in _words(line)]
    directories = {os.path.dirname(sshd_language.include_path(word)) for word in words}
    return [*tree.files, *(path for path in directories if os.path.isdir(path))]


def _words(line):
    return line.arguments.words if not line.problem else ()


def _recover(path):
    """Put back what an interrupted transaction left behind, and let the listener have it."""
    for name, data in journal.before(_journal(path)).items():
        _put(name, data)
    journal.close(_journal(path))


def _put(path, data):
    """Make ``data`` (bytes, None for no file) the content of ``path``."""
    if data is None:
        files.remove(path)
    elif files.read(path) != data:
        files.replace(path, data)


def _carry_out(plan):
    """Replace the files, have the listener read them, and undo all of it when the listener does not answer."""
    listener, socket = _listener(plan.tree), _socket(plan.tree.path)
    before = after = []
    if listener or socket:
        before, after = _answering(listener, plan.tree), _endpoints(listener, plan.after)
    try:
        _write(plan)
    except BaseException:
        _restore(plan)
        raise
    try:
        _take_up(listener, socket, plan.after, before, after)
    except BaseException as exc:
        _restore(plan)
        _undo(plan, listener, socket, before, exc)
        raise
    journal.close(_journal(plan.tree.path))


def _restore(plan):
    for path in plan.files:
        _put(path, plan.tree.data.get(path))
    journal.close(_journal(plan.tree.path))


def _take_up(listener, socket, tree, before, after):
    if socket:
        _restart_socket(socket, after, moved=before != after)
    elif listener:
        _reload(listener, tree, after)


def _write(plan):
    old = {path: plan.tree.data.get(path) for path in plan.files}
    if not old:
        return
    journal.open_(_journal(plan.tree.path), old, plan.files)
    for path in old:
        if os.path.exists(path):
            salt.utils.files.backup_minion(path, os.path.join(__opts__["cachedir"], "file_backup"))
    for path in sshd_plan.order(plan):
        files.replace(path, plan.files[path])


def _answering(listener, tree):
    """Where the listener answers now; sshd may well refuse the present files, and then nobody can tell."""
    with contextlib.suppress(RefusedError):
        return _endpoints(listener, tree)
    return []


def _endpoints(listener, tree):
    """Where the listener will listen with ``tree``: its command line may override the files."""
    options = sshd_listener.options_of(listener.argv) if listener else []
    with contextlib.suppress(ValueError):
        position = options.index("-f")
        del options[position : position + 2]
    with _candidate(tree.data, tree.path) as (main, names):
        return _sshd_dump(main, names, options=options).get("ListenAddress", [])


def _socket(path):
    """Return the unit (str) through which systemd itself listens for sshd, or None."""
    if not salt.utils.systemd.booted(__context__) or os.path.realpath(path) != os.path.realpath(DEFAULT):
        return None
    return next((unit for unit in ("ssh.socket", "sshd.socket") if __salt__["service.status"](unit)), None)


def _restart_socket(unit, endpoints, moved=True):
    """
    End the sshd that systemd started for its socket: the next connection starts one with the present files, and
    sessions survive. Where the endpoints have ``moved``, systemd has to read Port and ListenAddress again, and takes a
    new socket only while the service is down.
    """
    stop = ["stop", unit.replace(".socket", ".service")]
    for command in (["daemon-reload"], stop, ["restart", unit]) if moved else (stop,):
        result = _run(["systemctl", *command])
        if result["retcode"]:
            raise ListenerError(f"systemctl {' '.join(command)} fails: {result['stderr'].strip()}")
    missing = sshd_listener.wait_for(endpoints, DEADLINE)
    if missing:
        raise ListenerError(f"{unit} does not answer with the new configuration: {missing}")


def _reload(listener, tree, endpoints):
    _provide_separation_directory()
    sshd_listener.reload(listener)
    pidfile = sshd_language.effective(tree)["PidFile"].value
    before = sshd_listener.stamp(pidfile) if pidfile != listener.pidfile else listener.stamp
    alive = _patient(lambda: sshd_listener.alive(listener))
    missing = sshd_listener.wait(pidfile, before, endpoints, DEADLINE, alive)
    if missing:
        raise ListenerError(f"sshd does not answer with the new configuration: {missing}")
    processes.mark(listener.pid, _watched(tree), _run_dir())


def _patient(running):
    """The process is for a moment not recognisable while it starts itself anew: believe only repeated absence."""
    absences = []

    def still():
        absences.append(0 if running() else 1)
        return sum(absences[-10:]) < 10

    return still


def _undo(plan, listener, socket, endpoints, cause):
    """With the old bytes back the listener has to answer as before."""
    if not listener and not socket:
        return
    missing = _revive_socket(socket, endpoints) if socket else _revive(plan, listener, endpoints)
    if isinstance(cause, ListenerError):
        outcome = f"and does not answer with the old one either: {missing}" if missing else "the old one is back"
        raise ListenerError(f"{cause.message}; {outcome}\n{_difference(plan)}") from cause


def _revive_socket(unit, endpoints):
    try:
        _restart_socket(unit, endpoints)
    except ListenerError as exc:
        return exc.message
    return ""


def _revive(plan, listener, endpoints):
    """Return what is missing (str) after the listener was brought back with the old files."""
    before = sshd_listener.stamp(listener.pidfile)
    _provide_separation_directory()
    if sshd_listener.alive(listener):
        sshd_listener.reload(listener)
    else:
        _start(plan.tree.path, listener)
    missing = sshd_listener.wait(listener.pidfile, before, endpoints, DEADLINE)
    pid = processes.process(listener.pidfile, ["sshd"])
    if pid and not missing:
        processes.mark(pid, _watched(plan.tree), _run_dir())
    return missing


def _start(path, listener):
    """Start sshd again: the service where it is the service's, else by the command line that it had."""
    name = _service() if os.path.realpath(path) == os.path.realpath(DEFAULT) else None
    if name and _started(name):
        return
    if "-D" in listener.argv:
        __salt__["cmd.run_bg"](listener.argv, python_shell=False, output_loglevel="quiet")
    else:
        _run(listener.argv)


def _service():
    return next((name for name in ("ssh", "sshd") if __salt__["sshtrail_service.available"](name)), None)


def _started(name):
    with contextlib.suppress(CommandExecutionError):
        return __salt__["sshtrail_service.start"](name)
    return False


def _difference(plan):
    """Return the unified diff (str) of what was tried."""
    text = []
    for path, new in plan.files.items():
        old = sshd_language.decode(plan.tree.data.get(path) or b"").splitlines(keepends=True)
        text += difflib.unified_diff(old, sshd_language.decode(new).splitlines(keepends=True), path, path)
    return "".join(text)
