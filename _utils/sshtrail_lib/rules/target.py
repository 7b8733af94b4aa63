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
from collections.abc import Collection, Mapping, Sequence
from types import MappingProxyType

from sshtrail_lib.base import kernel, text
from sshtrail_lib.rules import accounts, byhand, compile, fields, load, plan, remarks
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules import hiding as rules_hiding
from sshtrail_lib.rules.fields import RuleError
from sshtrail_lib.rules.files import Broken, Origin
from sshtrail_lib.rules.hiding import Hiding
from sshtrail_lib.rules.kept import Said
from sshtrail_lib.rules.language import Control, Line, Rule

REBOOT = "takes effect at the next reboot"
#: Among the settings of the kernel's status: 1 when everybody keeps his login until the next reboot, root too.
FIXED_LOGINS = "loginuid_immutable"


class Host(typing.NamedTuple):
    """
    What there is: ``files`` of rules.d in order and the ``compiled`` file (bytes, or None), the kernel's ``rules``
    (list of bytes) and ``status`` (dict). ``space`` is how the host's awk reads ``\\s*``; ``unread`` what in rules.d
    is no file that can be read, and why (dict of str); ``stale`` the kernel's rules that watch another directory than
    the one that stands there now (set of bytes); ``strips`` whether the host's augenrules takes carriage returns from
    the ends of lines (bool); ``edited`` whether the compiled file was written after all of rules.d (bool);
    ``again`` what augenrules reads for files that do not stand for themselves: the paths by theirs, with the content of
    each that is not among the files.
    """

    rules_dir: str
    compiled_path: str
    files: dict[str, bytes]
    compiled: bytes | None
    rules: list[bytes]
    status: dict[str, typing.Any]
    space: bytes = rules_files.MAWK
    unread: Mapping[str, str] = MappingProxyType({})
    stale: Collection[bytes] = frozenset()
    strips: bool = False
    edited: bool = False
    again: Mapping[str, Mapping[str, bytes | None]] = MappingProxyType({})

    def merged(self, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Return ``files`` (``{path: bytes}``) as augenrules merges them on this host, also what it reads once more."""
        files = self._with_again(files)
        if not self.strips:
            return files
        return {path: rules_files.without_returns(data) for path, data in files.items()}

    def _with_again(self, files):
        if not self.again:
            return files
        read = {path: [files.get(one, data) for one, data in pieces.items()] for path, pieces in self.again.items()}
        again = {path: b"".join(filter(None, pieces)) for path, pieces in read.items()}
        return arranged({**files, **{path: data for path, data in again.items() if data}})

    def heard(self, files: Mapping[str, bytes]) -> Mapping[str, bytes]:
        """Return ``files`` (``{path: bytes}``) as auditctl gets to know their lines on this host."""
        return {path: rules_files.as_moved(data, self.space) for path, data in self.merged(files).items()}


class Target(typing.NamedTuple):
    """
    What there should be, in the same form.

    ``unknown`` are the kernel's rules that no file holds (list of bytes), ``origins`` where each of the others stands.
    ``broken`` are the lines that do not load (list of Broken), ``repeated`` the rules that may be there several times
    (set of bytes), ``hiding`` those that keep records out of the log, stay, and are not the policy's (list of Hiding),
    ``stricter`` the settings of other files that are stricter than what is asked for (dict of Origin), ``lacking``
    sentences (list of str) on what is asked for and this host does not have.
    """

    files: dict[str, bytes]
    compiled: bytes
    rules: list[bytes]
    status: dict[str, int]
    unknown: list[bytes]
    origins: list[Origin]
    broken: list[Broken]
    repeated: Collection[bytes] = frozenset()
    hiding: Sequence[Hiding] = ()
    lacking: Sequence[str] = ()
    stricter: Mapping[str, Origin] = MappingProxyType({})


def aim(
    host: Host,
    edits: Mapping[str, bytes | None] | None = None,
    unknown: str = "report",
    lock: bool = False,
    drop: Collection[bytes] = (),
    keep: Collection[bytes] = (),
) -> Target:
    """
    Return the :class:`Target` for ``host`` (:class:`Host`) once ``edits`` are made.

    edits
        ``{path: bytes}``: the rules.d files that get another content, None for one that goes; None for none.
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
    files = rules_files.ended(arranged({**host.files, **edits}))
    heard = host.heard(files)
    compiled = _text(host.rules_dir, tuple(host.merged(files).values()), host.space)
    found = desired(heard)
    wanted, refused = _loadable(host, found.rules, found.controls)
    unread = [Broken(path, 0, "", reason) for path, reason in host.unread.items()]
    wrong = [one for one in found.broken if not rules_files.is_left_out(one.text, host.space)]
    # Where a load stops without our help.
    alone = {path: content for path, content in heard.items() if not rules_files.is_passing(path)}
    broken = rules_files.judged(alone, [*unread, *wrong, *refused])
    strangers = [rule for rule in dict.fromkeys(host.rules) if rule not in found.rules]
    taken_out = said(host.heard(arranged({path: host.files.get(path) for path in edits})))
    strangers = [rule for rule in strangers if rule not in taken_out and not plan.is_twin(rule)]
    kept = [rule for rule in strangers if _stays(rule, host, unknown, drop, keep)]
    status = _status(host, found.controls, lock)
    return Target(files, compiled, [*wanted, *kept], status, strangers, [*wanted.values()], broken, found.repeated)


def said(files: Mapping[str, bytes]) -> set[bytes]:
    """Return the rules (set of bytes) that ``files`` (``{path: bytes}``, in order) say, also what others delete."""
    apart = any(map(rules_files.DELETES.search, files.values()))
    parts = [{path: data} for path, data in files.items()] if apart else [files]
    return {rule for part in parts for rule in desired(part).rules}


def _loadable(host, rules, controls):
    """Return those of ``rules`` that can be loaded, and those of ``controls`` that cannot as lines that do not load."""
    held = set(host.rules)
    # What the kernel holds it has from when the directory was there, and still has under another name of that.
    kept = {data: entry for data, entry in rules.items() if data in held or not absent_directory(entry)}
    refused = [
        load.broken_line(entry, f"{needed} does not exist, so the kernel refuses {entry.value}")
        for entry in controls
        if (needed := absent_directory(entry))
    ]
    return kept, refused


def _stays(rule, host, unknown, drop, keep):
    # A locked kernel is loaded anew from the files at the next reboot, whatever else it holds now.
    return not host.status["immutable"] and (rule in keep or (unknown != "remove" and rule not in drop))


def _status(host, controls, lock):
    status = {name: int(entry.value.value) for name, entry in rules_files.effective_status(controls).items()}
    if status.get("enabled") == kernel.IMMUTABLE and not lock:
        # The files lock at the next boot; what is on then is on now.
        status["enabled"] = max(1, host.status["enabled"])
    return status


def absent_directory(entry: Origin) -> str | None:
    """Return the directory (str) that the line of ``entry`` needs and that is not there, or None."""
    return compile.absent_directory(entry.value)


def arranged(files: Mapping[str, bytes | None]) -> dict[str, bytes]:
    """Return ``files`` (``{path: bytes}``) in the order in which augenrules reads them."""
    paths = {os.path.basename(path): path for path in files}
    ordered = ((paths[name], files[paths[name]]) for name in rules_files.order(paths))
    return {path: data for path, data in ordered if data is not None}


def desired(files: Mapping[str, bytes]) -> Said:
    """
    Return what ``files`` (``{path: bytes}``, in order) say (:class:`sshtrail_lib.rules.kept.Said`).

    Reading and compiling again what is known costs more than asking the kernel, so it is remembered for as long as
    the files, the directories that watches look at, and the numbers of users and groups are the same.
    """
    items = tuple(files.items())
    said = _known.get(items)
    if said is None or not _holds(said):
        said = _read(items)
        while len(_known) >= MOST:
            del _known[next(iter(_known))]
        _known[items] = said
    return said


#: What is remembered of so many sets of files.
MOST = 8
_known: dict[tuple[tuple[str, bytes], ...], Said] = {}


def remember(files: Mapping[str, bytes], said: Said) -> None:
    """Take for known what another process has kept of ``files`` (``{path: bytes}``, in order)."""
    _known.setdefault(tuple(files.items()), said)


def known(files: Mapping[str, bytes]) -> Said | None:
    """Return what is remembered of ``files`` (``{path: bytes}``, in order), None for nothing."""
    return _known.get(tuple(files.items()))


def forget() -> None:
    """Forget everything that is remembered."""
    _known.clear()
    _text.cache_clear()
    _way.cache_clear()


def _holds(said):
    return all(_kind(path) == was for path, was in said.watched) and all(
        _number(field, name) == was for field, name, was in said.named
    )


def _kind(path):
    """Return what is at ``path``: 2 for a directory, 1 for anything else, 0 for nothing."""
    return 2 if os.path.isdir(path) else int(os.path.exists(path))


def _number(field, name):
    try:
        return accounts.number(field, name)
    except RuleError:
        return None


_text = functools.lru_cache(maxsize=8)(rules_files.compile_text)


def _read(items):
    files = dict(items)
    entries = rules_files.parse_all(files)
    parts = [part for entry in entries if isinstance(entry.value, Rule) for part in entry.value.parts]
    watched = dict.fromkeys(part.value for part in parts if part.option == "-w")
    watched.update(dict.fromkeys(compile.needed(part) for part in parts if compile.is_place(part)))
    named = dict.fromkeys((part.name, part.value) for part in parts if fields.is_account(part))
    left = load.Load()
    for entry in entries:
        left.take(entry)
    return Said(
        [entry for entry in entries if isinstance(entry.value, Control)],
        left.rules,
        [*rules_files.broken(files), *left.broken],
        frozenset(left.repeated),
        [(path, _kind(path)) for path in watched],
        [(field, name, _number(field, name)) for field, name in named],
    )


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
    if new is not None and old is not None and new == old + b"\n":
        return {"old": ["(the last line has no end)"], "new": []}
    before, after = (None if data is None else data.decode("utf-8", "replace").splitlines() for data in (old, new))
    if before is None or after is None:
        return {"old": before, "new": after}
    marked = list(difflib.unified_diff(before, after, n=0, lineterm=""))[2:]
    return {age: [line[1:] for line in marked if line[0] == sign] for age, sign in (("old", "-"), ("new", "+"))}


def kernel_changes(host: Host, target: Target) -> dict[str, typing.Any]:
    """Return how the kernel differs: ``rules`` that go and come (a moved one does both), and ``status``."""
    changes = {}
    steps = steps_of(host, target)
    if steps:
        changes["kernel"] = {"old": _shown(steps, "delete"), "new": _shown(steps, "append", "prepend")}
    status = {name: value for name, value in target.status.items() if host.status.get(name) != value}
    if status:
        changes["status"] = {"old": {name: host.status.get(name) for name in status}, "new": status}
    return changes


def _shown(steps, *kinds):
    """Return the rules of ``steps`` as lines, without the twins that only stand in, or once did."""
    shown = [step.rule for step in steps if step.do in kinds and not step.stands_in]
    suspects = any(map(plan.is_twin, shown))
    twins = {plan.twin(step.rule) for step in steps} if suspects else set()
    return [describe(rule) for rule in shown if rule not in twins]


def steps_of(host: Host, target: Target) -> list[plan.Step]:
    """Return the steps from what the kernel of ``host`` holds to ``target`` (list of :class:`plan.Step`)."""
    if not target.repeated:
        return way(host.rules, target.rules, host.stale)
    seen: set[bytes] = set()
    held = []
    for rule in host.rules:
        # Copies that a load makes are as good as one.
        if rule not in seen or rule not in target.repeated:
            held.append(rule)
        seen.add(rule)
    return way(held, target.rules, host.stale)


def way(loaded: list[bytes], wanted: list[bytes], stale: Collection[bytes] = ()) -> list[plan.Step]:
    """Return the steps from the rules that are ``loaded`` to those that are ``wanted``, as :func:`plan.plan`."""
    return [*_way(tuple(loaded), tuple(wanted), frozenset(stale))]


@functools.lru_cache(maxsize=4)
def _way(loaded, wanted, stale):
    # A change is first told and then made.
    return plan.plan([*loaded], [*wanted], compile.exec_calls, stale)


def preview(held: list[bytes], wanted: list[bytes]) -> dict[str, typing.Any]:
    """
    Return how the rules that the kernel has ``held`` differ from those ``wanted``, as lines.

    ``add``, ``remove``, ``move`` (lists of str: in both, but where their place decides) and ``operations`` (int).
    """
    steps = way(held, wanted)
    touched, there, asked = {step.rule for step in steps}, set(held), set(wanted)
    return {
        "add": [describe(rule) for rule in wanted if rule not in there],
        "remove": [describe(rule) for rule in held if rule not in asked],
        "move": [describe(rule) for rule in wanted if rule in there and rule in touched],
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
    told += _waiting_for(host, target)
    told += map(broken_sentence, target.broken)
    told += target.lacking
    told += remarks.hidden(desired(host.heard(target.files)).rules)
    told += remarks.unseen(zip(target.rules, target.origins))  # noqa: B905  (unknown rules follow)
    if unknown == "report" and target.unknown and not host.status["immutable"]:
        lines = ", ".join(map(describe, target.unknown))
        told.append(f"In the kernel, but in no file: {lines}.")
    return " ".join(filter(None, [*told, rules_hiding.sentence(target.hiding)]))


def _waiting_for(host, target):
    """Return what a person should know of what is there and of what is done about it (list of str)."""
    told = []
    if waiting(host, target):
        told.append(f"The kernel is locked, so what differs there {REBOOT}: {_waiting_lines(host, target)}.")
    for name, entry in target.stricter.items():
        told.append(f"{entry.file} line {entry.line} ({entry.value}) is stricter than the {name} asked for, and stays.")
    moved = [describe(rule) for rule in target.rules if rule in host.stale]
    if moved:
        told.append(f"Another directory stands where these watch, or is mounted below: {', '.join(moved)}.")
    lost = len(handmade(host, target))
    if lost:
        told.append(f"{host.compiled_path} was written by hand: {lost} lines of it stand in no file of rules.d.")
    return told


def handmade(host: Host, target: Target) -> list[Line]:
    """Return the lines of the compiled file (list of Line) that nobody made of ``rules.d``, and that go."""
    # Where a policy is taken back, that file may go with it.
    if not host.compiled or target.compiled is None:
        return []
    files = host.merged(arranged(host.files))
    made = _text(host.rules_dir, tuple(files.values()), host.space)
    return byhand.lines(host.compiled_path, host.compiled, target.compiled, made, host.edited)


def broken_sentence(found: Broken) -> str:
    """Return a sentence (str, for a person) on a line that does not load."""
    place = f"{found.file} line {found.line}" if found.line else found.file
    stops = "augenrules alone would stop there" if found.stops else "a load goes on behind it" if found.line else ""
    return f"Not loaded{f' ({stops})' if stops else ''}: {place}: {text.line(found.reason.rstrip('.'))}."


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
