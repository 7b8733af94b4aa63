"""
What a host's audit rules should be, layer by layer, and how that differs from what they are.

The layers are the files of ``rules.d``, the file compiled from them, the kernel's rules and its status.
"""

from __future__ import annotations

import collections
import difflib
import errno
import functools
import os
import typing
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.base import kernel
from sshtrail_lib.rules import accounts, compile, fields, plan
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules import hiding as rules_hiding
from sshtrail_lib.rules.fields import RuleError
from sshtrail_lib.rules.files import Origin
from sshtrail_lib.rules.hiding import Hiding

REBOOT = "takes effect at the next reboot"
#: Among the settings of the kernel's status: 1 when everybody keeps his login until the next reboot, root too.
FIXED_LOGINS = "loginuid_immutable"


class Host(typing.NamedTuple):
    """
    What there is: ``files`` of rules.d in order and the ``compiled`` file (bytes, or None), the kernel's ``rules``
    (list of bytes) and ``status`` (dict). ``space`` is how the host's awk reads ``\\s*``.
    """

    rules_dir: str
    compiled_path: str
    files: dict[str, bytes]
    compiled: bytes | None
    rules: list[bytes]
    status: dict[str, typing.Any]
    space: bytes = rules_files.MAWK


class Target(typing.NamedTuple):
    """
    What there should be, in the same form.

    ``unknown`` are the kernel's rules that no file holds (list of bytes), ``origins`` where each of the others stands.
    ``skipped`` are rules that cannot be loaded in files that tell auditctl to go on (list of Origin), ``hiding`` those
    that keep records out of the log, stay, and are not the policy's (list of Hiding), ``lacking`` sentences (list of
    str) on what is asked for and this host does not have.
    """

    files: dict[str, bytes]
    compiled: bytes
    rules: list[bytes]
    status: dict[str, int]
    unknown: list[bytes]
    origins: list[Origin]
    skipped: list[Origin]
    hiding: Sequence[Hiding] = ()
    lacking: Sequence[str] = ()


def aim(
    host: Host,
    edits: Mapping[str, bytes] | None = None,
    unknown: str = "report",
    lock: bool = False,
    drop: Collection[bytes] = (),
    keep: Collection[bytes] = (),
) -> Target:
    """
    Return the :class:`Target` for ``host`` (:class:`Host`) once ``edits`` are made.

    edits
        ``{path: bytes}``: the rules.d files that get another content; None for none.
    unknown
        What happens to rules of the kernel that no file holds: ``remove`` them, or let them be.
    lock
        Whether the kernel is locked (``enabled`` 2) once it holds the rules, if the files say so (bool).
    drop
        Rules (collection of bytes) that the kernel must not keep, even if unknown ones stay.
    keep
        Rules (collection of bytes) that the kernel may keep, even if unknown ones go.

    Raises :class:`sshtrail_lib.rules.language.RuleError` for a line that would stop the load, naming file and line.
    """
    edits = edits or {}
    files = arranged({**host.files, **edits})
    compiled = _text(host.rules_dir, tuple(files.values()), host.space)
    entries, wanted, skipped = desired(files)
    if rules_files.goes_on(files):
        absent = {data for data, entry in wanted.items() if data not in host.rules and absent_directory(entry)}
        skipped = [*skipped, *(wanted[data] for data in absent)]
        wanted = {data: entry for data, entry in wanted.items() if data not in absent}
    strangers = [rule for rule in dict.fromkeys(host.rules) if rule not in wanted]
    taken_out = _held({path: host.files.get(path) for path in edits})
    strangers = [rule for rule in strangers if rule not in taken_out and not plan.is_twin(rule)]
    status = _status(entries)
    if status.get("enabled") == kernel.IMMUTABLE and not lock:
        del status["enabled"]
    kept = [rule for rule in strangers if _stays(rule, host, unknown, drop, keep)]
    return Target(files, compiled, [*wanted, *kept], status, strangers, list(wanted.values()), skipped)


def _stays(rule, host, unknown, drop, keep):
    # A locked kernel is loaded anew from the files at the next reboot, whatever else it holds now.
    return not host.status["immutable"] and (rule in keep or (unknown != "remove" and rule not in drop))


def _held(files):
    """Return the rules (set of bytes) of files that are edited: what leaves them is known, and leaves the kernel."""
    try:
        return set(desired(arranged(files))[1])
    except RuleError:
        # A broken file never was what the kernel holds.
        return set()


def _status(entries):
    return {name: int(entry.value.value) for name, entry in rules_files.effective_status(entries).items()}


def absent_directory(entry: Origin) -> str | None:
    """Return the directory (str) that the rule of ``entry`` needs and that is not there, or None."""
    return compile.absent_directory(entry.value)


def arranged(files: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Return ``files`` (``{path: bytes}``) in the order in which augenrules reads them."""
    paths = {os.path.basename(path): path for path in files}
    ordered = ((paths[name], files[paths[name]]) for name in rules_files.order(paths))
    return {path: data for path, data in ordered if data is not None}


def desired(files: Mapping[str, bytes]) -> tuple[list[Origin], dict[bytes, Origin], list[Origin]]:
    """
    Return what ``files`` (``{path: bytes}``, in order) say: every entry, and what :func:`compile_all` makes of them.

    Reading and compiling again what is known costs more than asking the kernel, so it is remembered for as long as
    the files, the directories that watches look at, and the numbers of users and groups are the same.
    """
    items = tuple(files.items())
    entries, rules, watched, named = _read(items)
    numbers = tuple(accounts.number(*pair) for pair in named)
    lenient = rules_files.goes_on(files)
    return entries, *_compiled_rules(rules, tuple(map(os.path.isdir, watched)), numbers, lenient)


_text = functools.lru_cache(maxsize=8)(rules_files.compile_text)


@functools.lru_cache(maxsize=8)
def _read(items):
    entries = rules_files.parse_all(dict(items), accounts.exists)
    rules = _Rules(rules_files.rules(entries))
    parts = [part for entry in rules.entries for part in entry.value.parts]
    named = dict.fromkeys((part.name, part.value) for part in parts if fields.is_account(part))
    return entries, rules, [part.value for part in parts if part.option == "-w"], list(named)


class _Rules:
    """Rules that are remembered by what they are, not by what they hold: hashing thousands of them costs too much."""

    def __init__(self, entries):
        self.entries = entries


@functools.lru_cache(maxsize=8)
def _compiled_rules(rules, _directories, _numbers, lenient):
    return compile_all(rules.entries, lenient)


def compile_all(entries: Iterable[Origin], lenient: bool = False) -> tuple[dict[bytes, Origin], list[Origin]]:
    """
    Return ``({bytes: Origin}, skipped)`` for the rules of ``entries`` (list of Origin), in order.

    Raises :class:`sshtrail_lib.rules.language.RuleError` for one that libaudit refuses and for a second copy of one, at
    which a load would stop; with ``lenient`` (bool) it is ``skipped`` (list of Origin) instead.
    """
    compiled: dict[bytes, Origin] = {}
    skipped: list[Origin] = []
    for entry in entries:
        try:
            _take(entry, compiled)
        except RuleError as exc:
            if not lenient:
                raise exc.at(entry.line, entry.file) from exc
            skipped.append(entry)
    return compiled, skipped


def _take(entry, compiled):
    data = compile.compile(entry.value)
    if entry.value.verb == "-d":
        compiled.pop(data, None)
    elif data in compiled:
        first = compiled[data]
        raise RuleError(f"The same rule as {first.file}, line {first.line}; a load stops here")
    else:
        compiled[data] = entry


def differences(host: Host, target: Target) -> dict[str, typing.Any]:
    """
    Return what differs between ``host`` and ``target`` as a state's ``changes``; empty when nothing does.

    A locked kernel cannot change, so what differs there is left out: :func:`waiting` tells it.
    """
    differs = file_changes(host, target)
    if not host.status["immutable"]:
        differs.update(kernel_changes(host, target))
    return differs


def file_changes(host: Host, target: Target) -> dict[str, typing.Any]:
    """Return how the files differ: ``{path: {"old": lines that go or None, "new": lines that come}}``."""
    paths = dict.fromkeys([*host.files, *target.files])
    pairs: dict[str, tuple[bytes | None, bytes | None]]
    pairs = {path: (host.files.get(path), target.files.get(path)) for path in paths}
    pairs[host.compiled_path] = (host.compiled, target.compiled)
    return {path: _lines_changed(old, new) for path, (old, new) in pairs.items() if old != new}


def _lines_changed(old, new):
    before, after = (None if data is None else data.decode("utf-8", "replace").splitlines() for data in (old, new))
    if before is None or after is None:
        return {"old": before, "new": after}
    marked = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    return {age: [line[1:] for line in marked if line[0] == sign] for age, sign in (("old", "-"), ("new", "+"))}


def kernel_changes(host: Host, target: Target) -> dict[str, typing.Any]:
    """Return how the kernel differs: ``rules`` that go and come (a moved one does both), and ``status``."""
    changes = {}
    steps = way(host.rules, target.rules)
    if steps:
        changes["kernel"] = {"old": _shown(steps, "delete"), "new": _shown(steps, "append", "prepend")}
    status = {name: value for name, value in target.status.items() if host.status.get(name) != value}
    if status:
        changes["status"] = {"old": {name: host.status.get(name) for name in status}, "new": status}
    return changes


def _shown(steps, *kinds):
    """Return the rules of ``steps`` as lines, without the twins that only stand in, or once did."""
    twins = {plan.twin(step.rule) for step in steps}
    shown = [step.rule for step in steps if step.do in kinds and not step.stands_in]
    return [describe(rule) for rule in shown if rule not in twins]


def way(loaded: list[bytes], wanted: list[bytes]) -> list[plan.Step]:
    """Return the steps from the rules that are ``loaded`` to those that are ``wanted``, as :func:`plan.plan`."""
    return plan.plan(loaded, wanted, compile.exec_calls)


def preview(held: list[bytes], wanted: list[bytes]) -> dict[str, typing.Any]:
    """
    Return how the rules that the kernel has ``held`` differ from those ``wanted``, as lines.

    ``add``, ``remove``, ``move`` (lists of str: in both, but where their place decides) and ``operations`` (int).
    """
    steps = way(held, wanted)
    touched = {step.rule for step in steps}
    return {
        "add": [describe(rule) for rule in wanted if rule not in held],
        "remove": [describe(rule) for rule in held if rule not in wanted],
        "move": [describe(rule) for rule in wanted if rule in held and rule in touched],
        "operations": len(steps),
    }


def describe(rule: bytes) -> str:
    """Return the canonical line (str) of a rule of the kernel (bytes)."""
    return str(compile.decompile(rule))


def waiting(host: Host, target: Target) -> dict[str, typing.Any]:
    """Return what a locked kernel will take up at the next reboot, in the form of :func:`kernel_changes`."""
    return kernel_changes(host, target) if host.status["immutable"] else {}


def still_to_load(host: Host, target: Target) -> list[tuple[bytes, Origin]]:
    """Return the rules of the files that the kernel does not hold: list of (bytes, Origin)."""
    loaded = set(host.rules)
    pairs = zip(target.rules, target.origins)  # noqa: B905  (unknown rules follow)
    return [(data, entry) for data, entry in pairs if data not in loaded]


def settings(host: Host, target: Target) -> dict[str, int]:
    """Return the status settings (dict) to make now; locking the kernel comes last, see :func:`asks_for_lock`."""
    wanted = {name: value for name, value in target.status.items() if host.status.get(name) != value}
    if wanted.get("enabled") == kernel.IMMUTABLE:
        wanted["enabled"] = 1
    return {name: value for name, value in wanted.items() if host.status.get(name) != value and name in kernel.SETTINGS}


def asks_for_lock(host: Host, target: Target) -> bool:
    """Tell whether the kernel is to be locked and is not yet (bool)."""
    return target.status.get("enabled") == kernel.IMMUTABLE and not host.status["immutable"]


def asks_for_fixed_logins(host: Host, target: Target) -> bool:
    """Tell whether login ids are to be made immutable and are not yet (bool)."""
    return bool(target.status.get(FIXED_LOGINS)) and not host.status.get(FIXED_LOGINS) and not host.status["immutable"]


def comment(host: Host, target: Target, unknown: str) -> str:
    """Return one or two sentences (str) on what is there, what waits and what no file holds."""
    count = len(target.origins)
    told = [f"The files hold {count} audit rules; the kernel holds {len(host.rules)}."]
    if waiting(host, target):
        told.append(f"The kernel is locked, so what differs there {REBOOT}: {_waiting_lines(host, target)}.")
    if target.skipped:
        places = ", ".join(f"{entry.file} line {entry.line}" for entry in target.skipped)
        told.append(f"Not loaded, and -i lets the load go on: {places}.")
    told += target.lacking
    told += [f"{entry.file} line {entry.line} never decides: {reason}." for entry, reason in hidden(target)]
    if unknown == "report" and target.unknown and not host.status["immutable"]:
        lines = ", ".join(map(describe, target.unknown))
        told.append(f"In the kernel, but in no file: {lines}.")
    return " ".join(filter(None, [*told, rules_hiding.sentence(target.hiding)]))


def hidden(target: Target) -> Iterator[tuple[Origin, str]]:
    """Yield ``(Origin, reason)`` for each rule of which an earlier ``never`` matches everything."""
    ordered = list(desired(target.files)[1].items())
    for at, (data, never) in enumerate(ordered):
        for later, entry in ordered[at + 1 :] if _is_never(never) else ():
            if plan.collide(data, later, compile.exec_calls) and plan.covers(data, later):
                yield entry, f"{never.file} line {never.line} drops everything that it matches"


def _is_never(entry):
    return entry.value.action == "never"


def _waiting_lines(host, target):
    changes = waiting(host, target)
    rules, status = changes.get("kernel", {"old": [], "new": []}), changes.get("status", {"new": {}})
    goes, comes = ([f"{sign} {line}" for line in rules[age]] for sign, age in (("without", "old"), ("with", "new")))
    return ", ".join([*goes, *comes, *(f"{name} {value}" for name, value in status["new"].items())])


def why(exc: kernel.KernelError) -> str:
    """Return one sentence (str) for the kernel's refusal of a rule (:class:`sshtrail_lib.base.kernel.KernelError`)."""
    reasons: dict[int, str] = collections.defaultdict(lambda: os.strerror(exc.errno))
    reasons[errno.EINVAL] = "this kernel does not accept it"
    reasons[errno.ENOENT] = "a directory that it names does not exist"
    reasons[errno.EEXIST] = "the kernel holds it already"
    return reasons[exc.errno]
