"""
What a host's audit rules should be, layer by layer, and how that differs from what they are.

The layers are the files of ``rules.d``, the file compiled from them, the kernel's rules and its status.
"""

import collections
import difflib
import errno
import functools
import os
import typing
from collections.abc import Mapping

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import kernel as base_kernel
from sshtrail_lib.rules import compile, language, plan
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules.language import Rule, RuleError, near

UNKNOWN = ("keep", "report", "remove")
REBOOT = "takes effect at the next reboot"


class Host(typing.NamedTuple):
    """
    What there is: ``files`` of rules.d in order and the ``compiled`` file (bytes, or None), the kernel's ``rules``
    (list of bytes) and ``status`` (dict). ``space`` is how the host's awk reads ``\\s*``.
    """

    rules_dir: str
    compiled_path: str
    files: dict
    compiled: object
    rules: list
    status: dict
    space: bytes = rules_files.MAWK


class Target(typing.NamedTuple):
    """
    What there should be, in the same form.

    ``unknown`` are the kernel's rules that no file holds (list of bytes), ``origins`` where each of the others stands.
    ``skipped`` are rules that cannot be loaded in files that tell auditctl to go on (list of Origin).
    """

    files: dict
    compiled: bytes
    rules: list
    status: dict
    unknown: list
    origins: list
    skipped: list


def aim(host, edits=(), unknown="report", lock=False, drop=()):
    """
    Return the :class:`Target` for ``host`` (:class:`Host`) once ``edits`` are made.

    edits
        ``{path: bytes}``: the rules.d files that get another content.
    unknown
        What happens to rules of the kernel that no file holds: ``remove`` them, or let them be.
    lock
        Whether the kernel is locked (``enabled`` 2) once it holds the rules, if the files say so (bool).
    drop
        Rules (collection of bytes) that the kernel must not keep, even if unknown ones stay.

    Raises :class:`sshtrail_lib.rules.language.RuleError` for a line that would stop the load, naming file and line.
    """
    files = arranged({**host.files, **dict(edits)})
    compiled = _text(host.rules_dir, tuple(files.values()), host.space)
    entries, wanted, skipped = desired(files)
    if rules_files.goes_on(files):
        absent = {data for data, entry in wanted.items() if data not in host.rules and _absent(entry)}
        skipped = [*skipped, *(wanted[data] for data in absent)]
        wanted = {data: entry for data, entry in wanted.items() if data not in absent}
    strangers = [rule for rule in dict.fromkeys(host.rules) if rule not in wanted]
    taken_out = _held({path: host.files.get(path) for path in dict(edits)})
    strangers = [rule for rule in strangers if rule not in taken_out and not plan.is_twin(rule)]
    status = {name: int(entry.value.value) for name, entry in rules_files.effective_status(entries).items()}
    if status.get("enabled") == base_kernel.IMMUTABLE and not lock:
        del status["enabled"]
    # A locked kernel is loaded anew from the files at the next reboot, whatever else it holds now.
    lets_go = unknown == "remove" or host.status["immutable"]
    kept = [] if lets_go else [rule for rule in strangers if rule not in drop]
    return Target(files, compiled, [*wanted, *kept], status, strangers, list(wanted.values()), skipped)


def _held(files):
    """Return the rules (set of bytes) of files that are edited: what leaves them is known, and leaves the kernel."""
    try:
        return set(desired(arranged(files))[1])
    except RuleError:
        # A broken file never was what the kernel holds.
        return set()


def _absent(entry):
    return compile.absent_directory(entry.value)


def arranged(files):
    """Return ``files`` (``{path: bytes}``) in the order in which augenrules reads them."""
    paths = {os.path.basename(path): path for path in files}
    return {paths[name]: files[paths[name]] for name in rules_files.order(paths) if files[paths[name]] is not None}


def desired(files):
    """
    Return what ``files`` (``{path: bytes}``, in order) say: every entry, and what :func:`compile_all` makes of them.

    Reading and compiling again what is known costs more than asking the kernel, so it is remembered for as long as
    the files, the directories that watches look at, and the numbers of users and groups are the same.
    """
    items = tuple(files.items())
    entries, rules, watched, named = _read(items)
    numbers = tuple(language.identity_number(*pair) for pair in named)
    lenient = rules_files.goes_on(files)
    return entries, *_compiled_rules(rules, tuple(map(os.path.isdir, watched)), numbers, lenient)


_text = functools.lru_cache(maxsize=8)(rules_files.compile_text)


@functools.lru_cache(maxsize=8)
def _read(items):
    entries = rules_files.parse_all(dict(items))
    rules = _Rules(rules_files.rules(entries))
    parts = [part for entry in rules for part in entry.value.parts]
    named = dict.fromkeys((part.name, part.value) for part in parts if _is_named(part))
    return entries, rules, [part.value for part in parts if part.option == "-w"], list(named)


def _is_named(part):
    return compile.is_identity(part) and language.integer(part.value) is None


class _Rules(list):
    """A list that is remembered by what it is, not by what it holds: hashing thousands of rules costs too much."""

    __hash__ = object.__hash__
    __eq__ = object.__eq__


@functools.lru_cache(maxsize=8)
def _compiled_rules(rules, _directories, _numbers, lenient):
    return compile_all(rules, lenient)


def compile_all(entries, lenient=False):
    """
    Return ``({bytes: Origin}, skipped)`` for the rules of ``entries`` (list of Origin), in order.

    Raises :class:`sshtrail_lib.rules.language.RuleError` for one that libaudit refuses and for a second copy of one, at
    which a load would stop; with ``lenient`` (bool) it is ``skipped`` (list of Origin) instead.
    """
    compiled, skipped = {}, []
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


def differences(host, target):
    """
    Return what differs between ``host`` and ``target`` as a state's ``changes``; empty when nothing does.

    A locked kernel cannot change, so what differs there is left out: :func:`waiting` tells it.
    """
    differs = file_changes(host, target)
    if not host.status["immutable"]:
        differs.update(kernel_changes(host, target))
    return differs


def file_changes(host, target):
    """Return how the files differ: ``{path: {"old": lines that go or None, "new": lines that come}}``."""
    paths = dict.fromkeys([*host.files, *target.files])
    pairs = {path: (host.files.get(path), target.files.get(path)) for path in paths}
    pairs[host.compiled_path] = (host.compiled, target.compiled)
    return {path: _lines_changed(old, new) for path, (old, new) in pairs.items() if old != new}


def _lines_changed(old, new):
    before, after = (None if data is None else data.decode("utf-8", "replace").splitlines() for data in (old, new))
    if before is None or after is None:
        return {"old": before, "new": after}
    marked = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    return {age: [line[1:] for line in marked if line[0] == sign] for age, sign in (("old", "-"), ("new", "+"))}


def kernel_changes(host, target):
    """Return how the kernel differs: ``rules`` that go and come (a moved one does both), and ``status``."""
    changes = {}
    steps = plan.plan(host.rules, target.rules)
    if steps:
        changes["kernel"] = {"old": _shown(steps, "delete"), "new": _shown(steps, "append", "prepend")}
    status = {name: value for name, value in target.status.items() if host.status.get(name) != value}
    if status:
        changes["status"] = {"old": {name: host.status.get(name) for name in status}, "new": status}
    return changes


def _shown(steps, *kinds):
    """Return the rules of ``steps`` as lines, without the twins that only stand in."""
    twins = {plan.twin(step.rule) for step in steps}
    return [describe(step.rule) for step in steps if step.do in kinds and step.rule not in twins]


def describe(rule):
    """Return the canonical line (str) of a rule of the kernel (bytes)."""
    return str(compile.decompile(rule))


def waiting(host, target):
    """Return what a locked kernel will take up at the next reboot, in the form of :func:`kernel_changes`."""
    return kernel_changes(host, target) if host.status["immutable"] else {}


# ---- one rule ---------------------------------------------------------------------------------------------------


def with_rule(host, line, path):
    """Return the edits (``{path: bytes}``) after which a file, ``path`` (str) if none yet, holds the rule ``line``."""
    rule = language.parse_rule(line)
    if _places(host, compile.compile(rule)):
        return {}
    data = host.files.get(path) or b""
    return {path: data + f"{rule}\n".encode("utf-8", "surrogateescape")}


def without_rule(host, line):
    """Return the edits (``{path: bytes}``) after which no file holds the rule ``line`` (str)."""
    places = _places(host, compile.compile(language.parse_rule(line)))
    return {path: rules_files.without(host.files[path], lines) for path, lines in places.items()}


def _places(host, rule):
    """Return where the files hold ``rule`` (bytes): ``{path: {line number}}``."""
    places = collections.defaultdict(set)
    for entry in rules_files.rules(desired(host.files)[0]):
        if compile.compile(entry.value) == rule:
            places[entry.file].add(entry.line)
    return places


# ---- the managed file -------------------------------------------------------------------------------------------


def managed(host, path, groups, status=None, immutable=False, unknown="report"):
    """
    Return the edits (``{path: bytes}``) that give the managed file at ``path`` (str) the wanted content.

    Arguments are those of the state ``audit_rules.managed``. Raises :class:`rules.language.RuleError` for a bad
    rule, naming its group, and :class:`salt.exceptions.SaltInvocationError` for a bad argument.
    """
    groups = read_groups(groups)
    edits = _without_foreign_rules(host, path) if unknown == "remove" else {}
    others = {name: data for name, data in {**host.files, **edits}.items() if name != path}
    held = desired(arranged(others))[1]
    elsewhere = {rule for group in groups for rule in group["rules"] if compile.compile(rule) in held}
    edits[path] = rules_files.render(groups, status or {}, immutable, elsewhere)
    return edits


def _without_foreign_rules(host, path):
    edits = {}
    for name, data in host.files.items():
        lines = {line.number for line in rules_files.read(name, data) if isinstance(line.value, Rule)}
        if name != path and lines:
            edits[name] = rules_files.without(data, lines)
    return edits


def read_groups(groups):
    """
    Return ``groups`` with their rules parsed, each rule only where it comes first.

    groups
        List of ``{"name": str, "title": str, "controls": [str], "rules": [str]}``.

    Rules about 32-bit programs are ``left_out`` (list of Rule) on a machine that has none, such as most arm ones.
    """
    seen, result = set(), []
    for group in groups:
        lines = enumerate(group["rules"], start=1)
        rules = [_group_rule(group["name"], number, line) for number, line in lines]
        absent = [rule for rule in rules if _needs_b32(rule) and not compile.has_b32()]
        first = {compile.compile(rule): rule for rule in reversed(rules) if rule not in absent}
        kept = {data: rule for data, rule in reversed(first.items()) if data not in seen}
        result.append({**group, "rules": list(kept.values()), "left_out": absent})
        seen.update(kept)
    return result


def _needs_b32(rule):
    arch = rule.field("arch")
    return arch is not None and arch.value.lower() == "b32"


def _group_rule(name, number, line):
    try:
        rule = language.parse_rule(line)
        if not _needs_b32(rule) or compile.has_b32():
            compile.compile(rule)
    except RuleError as exc:
        raise RuleError(f"{exc.reason} (in {line!r})", exc.column, number, f"rule group {name!r}") from exc
    return rule


def still_to_load(host, target):
    """Return the rules of the files that the kernel does not hold: list of (bytes, Origin)."""
    loaded = set(host.rules)
    pairs = zip(target.rules, target.origins)  # noqa: B905  (unknown rules follow)
    return [(data, entry) for data, entry in pairs if data not in loaded]


def settings(host, target):
    """Return the status settings (dict) to make now; locking the kernel comes last, see :func:`asks_for_lock`."""
    wanted = {name: value for name, value in target.status.items() if host.status.get(name) != value}
    if wanted.get("enabled") == base_kernel.IMMUTABLE:
        wanted["enabled"] = 1
    return {name: value for name, value in wanted.items() if host.status.get(name) != value}


def asks_for_lock(host, target):
    """Tell whether the kernel is to be locked and is not yet (bool)."""
    return target.status.get("enabled") == base_kernel.IMMUTABLE and not host.status["immutable"]


def comment(host, target, unknown):
    """Return one or two sentences (str) on what is there, what waits and what no file holds."""
    count = len(target.origins)
    told = [f"The files hold {count} audit rules; the kernel holds {len(host.rules)}."]
    if waiting(host, target):
        told.append(f"The kernel is locked, so what differs there {REBOOT}: {_waiting_lines(host, target)}.")
    if target.skipped:
        places = ", ".join(f"{entry.file} line {entry.line}" for entry in target.skipped)
        told.append(f"Not loaded, and -i lets the load go on: {places}.")
    told += [f"{entry.file} line {entry.line} never decides: {reason}." for entry, reason in hidden(target)]
    if unknown == "report" and target.unknown and not host.status["immutable"]:
        lines = ", ".join(map(describe, target.unknown))
        told.append(f"In the kernel, but in no file: {lines}.")
    return " ".join(told)


def hidden(target):
    """Yield ``(Origin, reason)`` for each rule of which an earlier ``never`` matches everything."""
    ordered = list(zip(target.rules, target.origins))  # noqa: B905  (unknown rules follow)
    for at, (data, never) in enumerate(ordered):
        for later, entry in ordered[at + 1 :] if never.value.action == "never" else ():
            if plan.collide(data, later) and plan.covers(data, later):
                yield entry, f"{never.file} line {never.line} drops everything that it matches"


def _waiting_lines(host, target):
    changes = waiting(host, target)
    kernel, status = changes.get("kernel", {"old": [], "new": []}), changes.get("status", {"new": {}})
    goes, comes = ([f"{sign} {line}" for line in kernel[age]] for sign, age in (("without", "old"), ("with", "new")))
    return ", ".join([*goes, *comes, *(f"{name} {value}" for name, value in status["new"].items())])


# ---- arguments --------------------------------------------------------------------------------------------------

GROUP_KEYS = ("name", "title", "controls", "rules")


def check_arguments(name, groups, unknown, status, immutable):
    """Raise :class:`salt.exceptions.SaltInvocationError` for the first bad argument of ``managed``, naming it."""
    if unknown not in UNKNOWN:
        raise SaltInvocationError(f"unknown: {unknown!r} is none of {', '.join(UNKNOWN)}.")
    if not isinstance(immutable, bool):
        raise SaltInvocationError(f"immutable: True or False, not {immutable!r}.")
    if not os.path.isabs(name) or not name.endswith(rules_files.SUFFIX):
        raise SaltInvocationError(f"name: {name!r} is no absolute path that ends in .rules; augenrules reads no other.")
    for setting, value in (status or {}).items():
        language.validate_status(setting, value)
    for number, group in enumerate(groups, start=1):
        _check_group(number, group)


def _check_group(number, group):
    if not isinstance(group, Mapping) or not {"name", "rules"} <= set(group):
        raise SaltInvocationError(f"groups: number {number} needs at least a name and rules.")
    odd = next((key for key in group if key not in GROUP_KEYS), None)
    if odd is not None:
        raise SaltInvocationError(f"groups: {group['name']} has an unknown key {odd!r}{near(str(odd), GROUP_KEYS)}.")
    told = [group["name"], group.get("title") or "", *(group.get("controls") or [])]
    if any(not isinstance(text, str) or not text.isprintable() for text in told):
        raise SaltInvocationError(f"groups: name, title and controls of {group['name']!r} must be text on one line.")
    if isinstance(group["rules"], str) or not all(isinstance(line, str) for line in group["rules"]):
        raise SaltInvocationError(f"groups: the rules of {group['name']} must be a list of lines.")


def check_ours(target, path, status, immutable):
    """
    Raise :class:`rules.language.RuleError` when a rule of ``path`` is skipped, or a later file overrides a setting.

    ``status`` (dict or None) and ``immutable`` (bool) are what the file at ``path`` (str) sets.
    """
    skipped = next((entry for entry in target.skipped if entry.file == path), None)
    if skipped:
        raise RuleError(
            f"{_absent(skipped)} does not exist, so the kernel refuses {skipped.value}", None, skipped.line, path
        )
    wanted = {**(status or {}), **({"enabled": base_kernel.IMMUTABLE} if immutable else {})}
    decided = rules_files.effective_status(desired(target.files)[0])
    for setting in wanted:
        entry = decided[setting]
        if entry.file != path:
            raise RuleError(
                f"{entry.value} overrides {setting} of {path}, which is read earlier", None, entry.line, entry.file
            )


def why(exc):
    """Return one sentence (str) for the kernel's refusal of a rule (:class:`sshtrail_lib.base.kernel.KernelError`)."""
    reasons = collections.defaultdict(lambda: os.strerror(exc.errno))
    reasons[errno.EINVAL] = "this kernel does not accept it"
    reasons[errno.ENOENT] = "a directory that it names does not exist"
    reasons[errno.EEXIST] = "the kernel holds it already"
    return reasons[exc.errno]
