"""
The host's audit rules: read from files and kernel, brought to what a wish says, and put back when that fails.

This room asks the kernel, runs awk, and writes; what it is to do, the other rooms decide.
"""

from __future__ import annotations

import contextlib
import functools
import json
import os
import stat
import typing
from collections.abc import Iterable, Iterator, Mapping

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltException

from sshtrail_lib.base import files as base_files
from sshtrail_lib.base import kernel, processes, store
from sshtrail_lib.base import memory as base_memory
from sshtrail_lib.base.memory import Memory
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.base.transaction import Transaction
from sshtrail_lib.rules import accounts, changing, compile, kept, language, layout, places, plan, reading, target
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules.fields import RuleError
from sshtrail_lib.rules.target import Host
from sshtrail_lib.rules.wish import Wish

#: The permission bits of a file that is new; what auditd's package installs has them too.
MODE = 0o640
_KIND = "audit_rules"
#: What an augenrules has in it that takes carriage returns from lines (3.1.2).
_STRIPS = rb"\r$/"
#: What an auditctl has in it that loads nothing of a file which others may write, or which is not root's (until 4.0).
_ASKS_WHOSE = b"is world writable"
#: Settings of the kernel that are given back; that it records at all is left to whoever starts auditd.
_GIVEN_BACK = tuple(name for name in kernel.SETTINGS if name != "enabled")


# ---- asking -----------------------------------------------------------------------------------------------------


def loaded() -> list[str]:
    """Return the rules that the kernel holds, in its order, one canonical line (str) each."""
    return [target.describe(rule) for rule in kernel.rules()]


@accounts.asked_once()
def diff(lines: Iterable[str]) -> dict[str, typing.Any]:
    """Return how the kernel's rules differ from ``lines`` (iterable of str): :func:`target.preview`."""
    wanted = [_compiled(number, line) for number, line in enumerate(lines, start=1)]
    return target.preview(kernel.rules(), list(dict.fromkeys(wanted)))


def _compiled(number, line):
    try:
        return compile.compile(accounts.parse_rule(line))
    except RuleError as exc:
        raise exc.at(number) from exc


def sources(name: str, rules_dir: str | None = None, compiled: str | None = None) -> list[str]:
    """
    Return the files and directories (list of str) that an answer about rules depends on.

    name
        The managed file (str).
    rules_dir
        The directory of ``*.rules`` files (str); that of ``name`` by default.
    compiled
        The file that augenrules makes of them (str); ``audit.rules`` beside the directory by default.
    """
    directory = base_files.named(rules_dir or os.path.dirname(base_files.named(name)))
    return [name, directory, *reading.paths(directory), base_files.named(compiled or _compiled_of(directory))]


@accounts.asked_once()
def preview(
    minion: Minion, wish: Wish, rules_dir: str | None = None, compiled: str | None = None, remember: bool = False
) -> dict[str, typing.Any]:
    """
    Return what :func:`bring` would change, and touch nothing.

    Arguments are those of :func:`bring`. Returns ``changes`` (dict), a ``comment`` for a person (str), ``reboot``
    (dict: what a locked kernel takes up at the next one) and ``hiding`` (list of dict, see
    :class:`sshtrail_lib.rules.hiding.Hiding`: what hides records, stays, and is not the policy's) and ``broken`` (list
    of dict, see :class:`sshtrail_lib.rules.files.Broken`: lines of others that do not load). Raises
    :class:`RuleError` for a rule of the policy that would not load.
    """
    directory = rules_dir or wish.directory
    change = _transaction(minion, directory)
    host = _read(minion, directory, compiled, change.interrupted())
    with _known_files(minion, host):
        wanted = _wanted(wish, host, Memory(minion, change, directory) if remember else None)
    return {
        "changes": target.differences(host, wanted),
        "comment": target.comment(host, wanted, wish.unknown),
        "reboot": target.waiting(host, wanted),
        "hiding": [found._asdict() for found in wanted.hiding],
        "broken": [found._asdict() for found in wanted.broken],
    }


def _transaction(minion, rules_dir):
    # One journal for the whole directory: whoever changes another file of it comes after a crash, too.
    return Transaction(minion, _KIND, rules_dir)


def _read(minion, rules_dir, compiled, replaced):
    """Return the :class:`Host`, its files as they were before ``replaced`` (dict), what an interrupted change did."""
    path = base_files.named(compiled or _compiled_of(rules_dir))
    files, unread, again = reading.files(rules_dir, replaced)
    unread |= _refused(path)
    text = replaced[path] if path in replaced else _compiled_text(path)
    space = _awk_space(minion) if rules_files.needs_awk(files.values()) else rules_files.MAWK
    held, now = kernel.rules(), {**kernel.status(), target.FIXED_LOGINS: _fixed_logins()}
    found = _stale(minion, held)
    # Also where no file has any now: what is remembered of one may.
    strips = _STRIPS in reading.augenrules()
    edited = not replaced and _is_newer(path, [rules_dir, *files])
    return Host(rules_dir, path, files, text, held, now, space, unread, found, strips, edited, again)


def _is_newer(path, others):
    """Tell whether the file at ``path`` was written after all ``others``, which it is made of."""
    try:
        return os.stat(path).st_mtime_ns >= max(os.stat(other).st_mtime_ns for other in others)
    except OSError:
        return False


def _compiled_text(path):
    """Return what the compiled file holds (bytes, None for no file), or raise for what is no file that can be read."""
    return base_files.read_regular(path) if os.path.exists(path) else None


def _refused(path):
    """Return why the host's auditctl loads nothing of the compiled file (``{path: str}``), empty where it does."""
    worn = base_files.dress(path)
    if not worn or not (worn.uid or worn.mode & stat.S_IWOTH) or _ASKS_WHOSE not in reading.program("auditctl"):
        return {}
    who = "everybody may write to it" if worn.mode & stat.S_IWOTH else "it is not root's"
    return {path: f"{who}, so auditctl loads nothing of it at boot."}


@contextlib.contextmanager
def _known_files(minion, host):
    """Have what another process made of the same files for known, and keep what this one made of them."""
    path, heard = os.path.join(minion.run_dir, "audit_rules-compiled"), host.heard(host.files)
    name = kept.digest(heard.items(), _basis())
    with contextlib.suppress(SaltException, OSError):
        data = store.load_bytes(path) if target.known(heard) is None else None
        said = kept.unpack(data, name, heard) if data else None
        if said:
            target.remember(heard, said)
    before = target.known(heard)
    yield
    now = target.desired(heard)
    # What was read again is what had changed.
    with contextlib.suppress(SaltException, OSError):
        if now is not before:
            store.keep(path, kept.pack(name, now))


@functools.cache
def _basis():
    """Return what the meaning of the files depends on besides (str): this boot, the library, and this code."""
    code = [os.path.join(os.path.dirname(__file__), name) for name in sorted(os.listdir(os.path.dirname(__file__)))]
    known = [base_files.identity(path) for path in code if path.endswith(".py")]
    return " ".join([processes.boot(), kernel.library_identity(), *known])


def _stale(minion, rules):
    """Return which of the kernel's rules watch what is not there any more, and remember what the others watch."""
    known, now = _known_places(minion), places.standing(rules)
    _remember(minion, known, places.remembered(known, now))
    return places.stale(known, now)


def _known_places(minion):
    with contextlib.suppress(SaltException):
        kept = store.load(_places_file(minion))
        if isinstance(kept, dict) and kept.get("boot") == processes.boot():
            return kept["places"]
    return {}


def _remember(minion, known, now):
    # Whoever cannot remember sees less, and still can do all else.
    with contextlib.suppress(SaltException, OSError):
        if now != known:
            store.keep(_places_file(minion), json.dumps({"boot": processes.boot(), "places": now}).encode())


def _places_file(minion):
    return os.path.join(minion.run_dir, "audit_rules-places.json")


def _fixed_logins():
    """Return 1 (int) when everybody keeps his login until the next reboot, else 0: what can be turned off is not it."""
    return int(all(kernel.features()["loginuid_immutable"].values()))


def _compiled_of(rules_dir):
    return os.path.join(os.path.dirname(rules_dir.rstrip("/")), "audit.rules")


def _awk_space(minion):
    """Return how this host's awk, which augenrules runs, reads the white space in its patterns."""
    awk = salt.utils.path.which("awk")
    program = r'BEGIN { exit match(" ", "^\\s$") ? 0 : 1 }'
    known = awk and not minion.run(awk, program)["retcode"]
    return rules_files.GAWK if known else rules_files.MAWK


def _ask_kernel(host, wanted):
    """
    Ask the kernel about every kind of rule that is still to be loaded: a field may be unknown to an older kernel.

    Each question leaves a record in the audit log, so that a preview does not ask.
    """
    kinds = {layout.kind(data): (data, entry) for data, entry in target.still_to_load(host, wanted)}
    for data, entry in () if host.status["immutable"] else kinds.values():
        # The question is about the twin, and not where an interrupted run left that behind: asking would delete it.
        twin = plan.twin(data)
        if twin not in host.rules and not kernel.accepts(twin):
            raise _not_loadable(entry, f"this kernel does not accept {entry.value}")


def _not_loadable(entry, reason):
    return RuleError(reason, None, entry.line, entry.file)


# ---- acting -----------------------------------------------------------------------------------------------------


@accounts.asked_once()
def bring(
    minion: Minion, wish: Wish, rules_dir: str | None = None, compiled: str | None = None, remember: bool = False
) -> dict[str, typing.Any]:
    """
    Bring the files and the kernel to what a wish says, and return the changes (dict), empty for none.

    minion
        Where locks, journals and backups lie, and how programs are run.
    wish
        What is asked for (:mod:`sshtrail_lib.rules.wish`).
    rules_dir
        The directory of ``*.rules`` files (str); the wish's own by default.
    compiled
        The file that augenrules makes of them (str); ``audit.rules`` beside the directory by default.
    remember
        Whether to remember what was there before, and to give back what an earlier call with this changed and this one
        does not ask for (bool).

    When anything fails, files and kernel are put back and the error names the rule. What an interrupted run left is
    put back first. Raises :class:`sshtrail_lib.base.transaction.Busy` when another change does not end in time.
    """
    directory = rules_dir or wish.directory
    change = _transaction(minion, directory)
    with change.locked():
        host = _read(minion, directory, compiled, {})
        memory = Memory(minion, change, directory) if remember else None
        with _known_files(minion, host):
            wanted = _wanted(wish, host, memory)
        changes = target.differences(host, wanted)
        if changes:
            with changing.noted(minion):
                _ask_kernel(host, wanted)
                _act(minion, change, host, wanted, memory)
        return changes


def _wanted(wish, host, memory):
    """Return what the host should be: with a memory, as if nothing of an earlier wish had been there."""
    if memory is None:
        return wish.target(host)
    # The wish's own file is its own: what is not asked for any more goes from there, and from the kernel, by itself.
    others = {path: memory.without(path, data) for path, data in host.files.items()}
    base = {path: host.files[path] if data is None else data for path, data in others.items()}
    wanted = wish.target(host._replace(files=base))
    for name, value in memory.facts.get("status", {}).items():
        wanted.status.setdefault(name, value)
    return wanted


def remembered(minion: Minion) -> list[str]:
    """Return the rules directories (list of str) of which it is remembered what was there before."""
    return base_memory.mains(minion, _KIND)


@accounts.asked_once()
def forget(minion: Minion, rules_dir: str, compiled: str | None = None, test: bool = False) -> dict[str, typing.Any]:
    """
    Leave nothing of what calls of :func:`bring` with ``remember`` changed, and return the changes (dict).

    rules_dir, compiled
        As for :func:`bring`.
    test
        Whether only to tell what would change (bool).

    Rules that others have loaded since stay, and so does whether the kernel records at all. Raises as :func:`bring`.
    """
    change = _transaction(minion, rules_dir)
    with contextlib.nullcontext() if test else change.locked():
        memory = Memory(minion, change, rules_dir)
        if memory.asked is None:
            return {}
        host = _read(minion, rules_dir, compiled, change.interrupted())
        wanted = _before(host, memory)
        changes = target.differences(host, wanted)
        if not test:
            with changing.noted(minion):
                _act(minion, change, host, wanted, memory, asked=None)
    return changes or {rules_dir: {"old": "remembered", "new": "forgotten"}}


def _before(host, memory):
    """Return what the host was (Target): its files, the rules that these and others have, the kernel's settings."""
    names = [path for path in memory.paths if os.path.dirname(path) == host.rules_dir.rstrip("/")]
    edits = {path: memory.without(path, host.files.get(path)) for path in names}
    wanted = target.aim(host, edits, unknown="keep", drop=_own(host, memory, names))
    # As auditctl takes them: what others had loaded may be what no policy could ask for.
    lines = [language.taken(line) for line in memory.facts.get("rules", ())]
    rules = [rule for taken in lines for rule in taken if isinstance(rule, language.Rule)]
    # With a directory that is gone its rules would have gone too.
    gone = [compile.compile(rule) for rule in rules if not compile.absent_directory(rule)]
    return wanted._replace(
        files={path: data for path, data in {**host.files, **edits}.items() if data is not None},
        compiled=memory.without(host.compiled_path, host.compiled),
        rules=list(dict.fromkeys([*wanted.rules, *gone])),
        status=memory.facts.get("status", {}),
    )


def _own(host, memory, names):
    """Return the rules (set of bytes) that are in files by us alone, also where somebody has removed those since."""
    made = {path: data for path in names if (data := memory.made(path)) is not None}
    before = {path: memory.without(path, data) for path, data in made.items()}
    with_us, without_us = (target.said(host.heard(target.arranged(files))) for files in (made, before))
    return with_us - without_us


def _act(minion, change, host, wanted, memory, asked=True):
    """Act on the difference, the kernel first: a rule that it refuses must leave no file behind."""
    with _undone_on_failure(change, host):
        if not host.status["immutable"]:
            _set(target.settings(host, wanted))
            _load(minion, host, wanted)
        _write(change, host, wanted, memory, asked)
        _lock(host, wanted)
    change.close()


def _write(change, host, wanted, memory, asked):
    old, new = _replaced(host, wanted)
    if memory is None:
        change.write(old, new, mode=MODE)
        return
    old = {**{path: base_files.read(path) for path in (*memory.paths, *new) if path not in old}, **old}
    base = {path: memory.without(path, data) for path, data in old.items()}
    if asked:
        memory.write(old, base, {**old, **new}, asked, _facts(host, wanted, memory), mode=MODE)
    else:
        memory.write(old, base, base, mode=MODE)


def _facts(host, wanted, memory):
    """Return what is not in files and was so before the first change (dict): settings, and rules that no file held."""
    known = memory.facts
    held = set(target.desired(host.heard(host.files)).rules if memory.asked is None else host.rules)
    status = {name: host.status[name] for name in _GIVEN_BACK if name in wanted.status and name in host.status}
    taken = set(wanted.unknown) - set(wanted.rules)
    gone = [target.describe(rule) for rule in host.rules if rule in taken or rule not in held]
    return {
        "status": {**status, **known.get("status", {})},
        "rules": list(dict.fromkeys([*known.get("rules", ()), *gone])),
    }


def _replaced(host, wanted):
    """Return what the files that change hold now, and what they are to hold: two of ``{path: bytes}``."""
    old = {**host.files, host.compiled_path: host.compiled}
    gone = {path: None for path in host.files if path not in wanted.files}
    new = {**gone, **wanted.files, host.compiled_path: wanted.compiled}
    if target.handmade(host, wanted):
        # As augenrules keeps it.
        new = {f"{host.compiled_path}.prev": host.compiled, **new}
    return old, {path: data for path, data in new.items() if data != old.get(path)}


def _lock(host, wanted):
    """Lock what the policy says, and the rules only on what the kernel holds now: a wrong one stays until a boot."""
    # Both last until the next reboot, and nothing that fails later can take them back: so they come last.
    if target.asks_for_fixed_logins(host, wanted):
        kernel.make_loginuid_immutable()
    asked = target.asks_for_lock(host, wanted)
    if asked and not target.way(kernel.rules(), wanted.rules):
        _set({"enabled": kernel.IMMUTABLE})


def _load(minion, host, wanted):
    """Bring the kernel's list to what is wanted, and remember which directories the new rules are bound to."""
    steps = target.steps_of(host, wanted)
    if steps:
        now = places.standing(wanted.rules)
        _run(steps)
        loaded = [step.rule for step in steps if step.do != "delete" and not step.stands_in]
        known = _known_places(minion)
        _remember(minion, known, places.remembered(known, now, loaded))


def _set(settings: Mapping[str, int]) -> None:
    if settings:
        kernel.set_status(settings)


def _run(steps):
    with kernel.conversation() as over:
        for step in steps:
            try:
                _step(step, over)
            except kernel.KernelError as exc:
                line = target.describe(step.rule)
                raise CommandExecutionError(f"Cannot {step.do} {line}: {target.why(exc)}.") from exc


def _step(step, over):
    if step.do == "delete":
        kernel.delete(step.rule, over=over)
    else:
        kernel.add(step.rule, prepend=step.do == "prepend", over=over)


@contextlib.contextmanager
def _undone_on_failure(change: Transaction, host: Host) -> Iterator[None]:
    try:
        yield
    except BaseException:
        _put_back(change, host)
        raise


def _put_back(change, host):
    """Bring files and kernel back to ``host``, as far as that goes: the first failure is the one to report."""
    with contextlib.suppress(SaltException):
        _run(target.way(kernel.rules(), list(dict.fromkeys(host.rules))))
    with contextlib.suppress(SaltException):
        now = kernel.status()
        _set({name: host.status[name] for name in kernel.SETTINGS if now[name] != host.status[name]})
    with contextlib.suppress(SaltException):
        change.undo()
