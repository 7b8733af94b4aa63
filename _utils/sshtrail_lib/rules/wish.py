"""
What is asked for of a host's rules: the groups of the managed file, one rule, or what the files say already.

Each wish makes a :class:`sshtrail_lib.rules.target.Target` of a host; nothing is changed here.
"""

from __future__ import annotations

import collections
import os
import re
import typing
from collections.abc import Callable, Iterable, Mapping, Sequence

from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import files as base_files
from sshtrail_lib.base import kernel, state
from sshtrail_lib.rules import accounts, compile, language, layout, load, privileged, target
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules import hiding as rules_hiding
from sshtrail_lib.rules.fields import RuleError, near
from sshtrail_lib.rules.files import Origin
from sshtrail_lib.rules.language import Rule
from sshtrail_lib.rules.target import Host, Target

UNKNOWN = ("keep", "report", "remove")
# A line that is to set something, however wrong.
SETTING = re.compile(r"\s*-(-|[Dbferictq])")
#: Where a link of a ready group is not followed to.
MADE_BY_OTHERS = ("/usr/", "/run/")
#: What holds where no file sets it: the kernel's own, once auditd has started.
AT_BOOT = {"enabled": 1, "failure": 1, "backlog_limit": 64, "backlog_wait_time": 60000}
GROUP_KEYS = ("name", "title", "controls", "rules", "optional", "privileged")


class Wish(typing.Protocol):
    """What is asked for."""

    unknown: str
    """What becomes of rules that no file holds: one of :data:`UNKNOWN`."""

    @property
    def directory(self) -> str:
        """The rules directory, where no other one is named."""

    def target(self, host: Host) -> Target:
        """Return what the host should be."""


class Whole:
    """That the kernel holds what the files say."""

    def __init__(self, unknown: str = "report") -> None:
        self.unknown = unknown

    @property
    def directory(self) -> str:
        """The rules directory (str)."""
        return rules_files.RULES_DIR

    def target(self, host: Host) -> Target:
        """Return what the host should be."""
        return target.aim(host, unknown=self.unknown)


class OneRule:
    """
    That one rule is in the files and in the kernel, or in neither.

    rule
        Its line (str).
    present
        Whether it should be there (bool).
    path
        The file that gets it when none holds it yet (str).
    """

    unknown = "keep"

    def __init__(self, rule: str, present: bool, path: str) -> None:
        if not isinstance(rule, str):
            raise SaltInvocationError(f"rule: a line as in a rules file is needed, not {rule!r}.")
        self.rule, self.present, self.path = rule, present, base_files.named(path)

    @property
    def directory(self) -> str:
        """The rules directory (str)."""
        return os.path.dirname(self.path)

    def target(self, host: Host) -> Target:
        """Return what the host should be, or raise :class:`RuleError` for a bad line."""
        rule = accounts.parse_rule(self.rule)
        data = compile.compile(rule)
        places = _places(host, data)
        if self.present:
            wanted = target.aim(host, {} if places else self._added(host, rule))
            _check_loads(wanted, {self.path: (), **places})
            if data not in wanted.rules:
                raise RuleError(f"Another line, which is read later, deletes {rule}.")
            return _installed(host, wanted)
        edits = {path: rules_files.without(host.files[path], lines) for path, lines in places.items()}
        return _installed(host, target.aim(host, edits, drop={data}))

    def _added(self, host, rule):
        data = rules_files.ended({self.path: host.files.get(self.path) or b"", "": b""})[self.path]
        return {self.path: data + f"{rule}\n".encode("utf-8", "surrogateescape")}


def _places(host, rule):
    """Return where the files hold ``rule`` (bytes): ``{path: {line number}}``."""
    places = collections.defaultdict(set)
    for entry in rules_files.parse_all(host.heard(host.files)):
        # What is read once more stands there once.
        if entry.file in host.files and isinstance(entry.value, Rule) and _compiled(entry.value) == rule:
            places[entry.file].add(entry.line)
    return places


def _compiled(rule):
    try:
        return compile.compile(rule)
    except RuleError:
        return None


def _installed(host, wanted):
    """Return ``wanted`` (Target), or raise :class:`sshtrail_lib.base.state.NotInstalled` with what would change."""
    if not os.path.isdir(host.rules_dir):
        changes = target.differences(host, wanted)
        raise state.NotInstalled(f"There is no {host.rules_dir}: auditd is not installed.", changes)
    _check_handmade(host, wanted)
    return wanted


def _check_handmade(host, wanted):
    """Make sure that a compiled file which somebody wrote by hand sets nothing more strictly than the new one."""
    lines = target.handmade(host, wanted)
    if not lines:
        return
    decided = rules_files.effective_status(target.desired(host.heard(wanted.files)).controls)
    settings = {**AT_BOOT, **{name: int(entry.value.value) for name, entry in decided.items()}}
    theirs = [Origin(line.value, host.compiled_path, line.number) for line in lines]
    fixed = [(target.FIXED_LOGINS, entry) for entry in theirs if str(entry.value) == "--loginuid-immutable"]
    for name, entry in (*rules_files.stricter(theirs, settings).items(), *fixed):
        there = f"was written by hand, stands in no file of {host.rules_dir}, and is stricter than the {name} to be"
        reason = f"{entry.value} {there}: move it to a file there, or ask for it"
        raise RuleError(reason, None, entry.line, entry.file)


class Managed:
    """
    That one file and the kernel hold the rules of some groups: the state ``audit_rules.managed``, whose arguments
    these are.

    Raises :class:`salt.exceptions.SaltInvocationError` for the first bad argument, naming it.
    """

    def __init__(
        self,
        name: str,
        groups: Sequence[Mapping[str, typing.Any]],
        unknown: str = "report",
        status: Mapping[str, int] | None = None,
        immutable: bool = False,
        allowed: Sequence[str] = (),
        hiding: str = "report",
        loginuid_immutable: bool = False,
    ) -> None:
        check_arguments(name, groups, unknown, status, immutable)
        _check_hiding(allowed, hiding, loginuid_immutable)
        self.name, self.groups, self.unknown = name, groups, unknown
        self.status, self.immutable = status or {}, immutable
        self.allowed, self.hiding, self.loginuid_immutable = allowed, hiding, loginuid_immutable

    @property
    def directory(self) -> str:
        """The rules directory (str)."""
        return os.path.dirname(self.name)

    def target(self, host: Host) -> Target:
        """Return what the host should be, or raise :class:`RuleError` for a bad rule, naming its group."""
        groups, keep = read_groups(self.groups), rules_hiding.allowed(self.allowed)
        own = [compile.compile(rule) for group in groups for rule in group["rules"] if rules_hiding.looks(rule)]
        named = rules_hiding.Named([*own, *keep])
        drop = rules_hiding.unnamed(host.rules, named) if self.hiding == "remove" else []
        stricter = rules_files.stricter(rules_files.controls(host.heard(self._others(host, {}))), self._settings())
        wanted = target.aim(host, self._edits(host, groups, named, stricter), self.unknown, self.immutable, drop, keep)
        wanted = _not_loaded_now(host, wanted, named)
        left = self._left(host, wanted, named)
        told = [*_lacking(groups), *self._undone(host, wanted.files)]
        wanted = wanted._replace(hiding=left, stricter=stricter, lacking=told)
        if self.loginuid_immutable:
            wanted.status[target.FIXED_LOGINS] = 1
        _check_loads(wanted, {self.name: ()}, [path for path, read in host.again.items() if self.name in read])
        self._check_locked(host.heard(wanted.files))
        self._check_overridden(host.heard(wanted.files), wanted.stricter)
        return _installed(host, wanted)

    def _settings(self):
        return {**self.status, **({"enabled": kernel.IMMUTABLE} if self.immutable else {})}

    def _others(self, host, edits):
        """Return the other files as they will be, in order, without the one that passes over wrong lines."""
        ours = (self.name, *filter(rules_files.is_passing, host.files), *_behind(host.files))
        files = target.arranged({name: data for name, data in {**host.files, **edits}.items() if name not in ours})
        return rules_files.ended(files)

    def _left(self, host, wanted, named):
        """Return what hides records, is not the policy's, and stays (list of Hiding)."""
        held = target.desired(host.heard(wanted.files)).rules
        entries = [entry for rule, entry in held.items() if layout.hides(rule)]
        files = rules_hiding.in_files(entries, named, self.name)
        # What is locked hides until the next reboot, whatever the files say.
        rules = host.rules if host.status["immutable"] else wanted.rules
        return [*files, *rules_hiding.in_kernel(rules, named)]

    def _edits(self, host, groups, named, stricter):
        edits: dict[str, bytes | None] = _without(host, self.name, self._unwanted(named), self.unknown == "remove")
        others, merged = (kind(self._others(host, edits)) for kind in (host.heard, host.merged))
        held = self._held(others)
        elsewhere = {rule for group in groups for rule in group["rules"] if compile.compile(rule) in held}
        own = (groups, self.status, self.immutable, elsewhere, self.loginuid_immutable, stricter)
        mending = [*rules_files.deletions(merged), *rules_files.mending(others, self._settings())]
        edits[self.name] = rules_files.render(*own, mending)
        edits |= self._behind(host, edits, groups, stricter)
        edits |= dict.fromkeys(filter(rules_files.is_passing, host.files))
        if any(one.stops for one in target.aim(host, edits).broken):
            name = rules_files.passing({**host.files, **host.again, **edits})
            edits[os.path.join(host.rules_dir, name)] = rules_files.PASSING_TEXT
        return edits

    def _held(self, others):
        """Return the rules (set of bytes) of ``others`` that are there when ours is read, and those that they leave."""
        later = self._later(target.arranged({**others, self.name: b""}))
        earlier = {path: data for path, data in others.items() if path not in later}
        return {*target.desired(earlier).rules, *target.desired(others).rules}

    def _behind(self, host, edits, groups, stricter):
        """Return the file that is read last (dict), with what lines of others would undo; None for one that goes."""
        gone: dict[str, bytes | None] = dict.fromkeys(_behind(host.files))
        files = rules_files.ended(target.arranged({**host.files, **edits, **gone}))
        held = target.desired(host.heard(files)).rules
        wanted = {compile.compile(rule): rule for group in groups for rule in group["rules"]}
        lost = [rule for data, rule in wanted.items() if data not in held and not compile.absent_directory(rule)]
        mended = rules_files.deletions(host.merged(self._later(files)))
        mended += rules_files.behind(host.heard(files), self.name)
        mended += self._set_again(host.heard(files), stricter)
        if not mended and not lost:
            return gone
        last = os.path.basename([*host.merged(files)][-1]).removesuffix(rules_files.SUFFIX)
        path = os.path.join(host.rules_dir, rules_files.MISREAD.sub("_", last))
        text = rules_files.BEHIND_TEXT + "".join(f"{line}\n" for line in [*mended, *lost])
        return {**gone, path + rules_files.BEHIND: text.encode("utf-8", "surrogateescape")}

    def _later(self, files):
        """Return those of ``files`` that are read after the managed one, without the one that is for that."""
        paths = [*files][[*files].index(self.name) + 1 :]
        return {path: files[path] for path in paths if not path.endswith(rules_files.BEHIND)}

    def _undone(self, host, files):
        """Return a sentence (list of str) on what deletes rules of the managed file, if one brings them back."""
        if not _behind(files):
            return []
        later = rules_files.parse_all(host.heard(self._later(files)))
        found = [entry for entry in later if getattr(entry.value, "verb", "") == "-d" or str(entry.value)[:2] == "-D"]
        places = ", ".join(f"{entry.file} line {entry.line} ({entry.value})" for entry in found)
        return [f"What these delete of {self.name} is loaded again behind them: {places}."] if places else []

    def _unwanted(self, named):
        """Return a function that tells which rules go out of the other files, None for none."""
        if self.unknown == "remove":
            return lambda rule: not rules_hiding.is_named(rule, named)
        return (lambda rule: rules_hiding.is_unnamed(rule, named)) if self.hiding == "remove" else None

    def _check_locked(self, files):
        """Make sure that nothing locks the kernel before it has the rules of the managed file."""
        entries = (
            rules_files.parse_all(files) if load.LOCK in [one.value for one in rules_files.controls(files)] else []
        )
        ours = (self.name, *_behind(files))
        rules = [at for at, entry in enumerate(entries) if entry.file in ours and isinstance(entry.value, Rule)]
        for entry in entries[: rules[-1]] if rules else ():
            if entry.value == load.LOCK:
                reason = (
                    f"{entry.value} locks the kernel there before the rules of {self.name}, so no boot would load "
                    f"those: it must stand at the beginning of a line of its own, which augenrules puts last"
                )
                raise RuleError(reason, None, entry.line, entry.file)

    def _check_overridden(self, files, stricter):
        """Make sure that no later file sets what this one does, if it is not more strictly."""
        for setting, (entry, _ours) in self._overridden(target.desired(files).controls, stricter).items():
            why = f"{self.name}, which is read earlier"
            if language.SETTINGS[setting] in rules_files.HOISTED and not rules_files.is_moved(files, entry):
                why = f"{self.name}, which augenrules puts first: this one does not begin its line, and stays behind"
            reason = f"{entry.value} overrides {setting} of {why}"
            raise RuleError(reason, None, entry.line, entry.file)

    def _overridden(self, controls, stricter):
        """Return what is set otherwise in the end: for each setting what does so (Origin), and what it is to be."""
        decided = rules_files.effective_status(controls)
        settings = {**self._settings(), **{name: entry.value.value for name, entry in stricter.items()}}
        return {
            name: (entry, str(value))
            for name, value in settings.items()
            if (entry := decided.get(name)) and entry.file != self.name and entry.value.value != str(value)
        }

    def _set_again(self, files, stricter):
        """Return what sets once more what an earlier file decides, as augenrules moved ours before it (list of str)."""
        controls, earlier = target.desired(files).controls, [*files][: [*files].index(self.name)]
        lost = self._overridden(controls, stricter)
        values = {name: ours for name, (entry, ours) in lost.items() if entry.file in earlier}
        return rules_files.unmoved(values, rules_files.effective_status(controls)) if values else []


def _behind(files):
    return [path for path in files if path.endswith(rules_files.BEHIND)]


def _check_loads(wanted, places, copies=()):
    """
    Raise :class:`RuleError` for a line of ``places`` (``{file: lines}``, none for all) that does not load, if that is
    not as its file was read before, for one of the ``copies`` (paths).
    """
    for found in wanted.broken:
        if any(found.reason.startswith(f"The same rule as {path}, line ") for path in copies):
            continue
        if found.file in places and (not places[found.file] or found.line in places[found.file]):
            raise RuleError(found.reason, None, found.line, found.file)


def _not_loaded_now(host, wanted, named):
    """Return ``wanted`` (Target) without the rules that hide, are not named, and that the kernel does not hold yet."""
    new = set(rules_hiding.unnamed(wanted.rules, named)) - set(host.rules)
    kept = [entry for data, entry in zip(wanted.rules, wanted.origins) if data not in new]  # noqa: B905
    return wanted._replace(rules=[data for data in wanted.rules if data not in new], origins=kept)


def _without(host: Host, path: str, unwanted: Callable[[Rule], bool] | None, wrong: bool) -> dict[str, bytes | None]:
    """
    Return the files (dict) other than ``path`` (str) that lose a line, without the rules that are unwanted and, if they
    are ``wrong`` too (bool), without the lines that should be rules.
    """
    edits: dict[str, bytes | None] = {}
    if unwanted is None:
        return edits
    for name, data in host.heard(host.files).items():
        # Where only what hides goes, most files have nothing of that.
        wanted = name != path and name in host.files and (wrong or rules_hiding.MAY_HIDE.search(data))
        read = rules_files.read(name, data) if wanted else []
        lines = {line.number for line in read if isinstance(line.value, Rule) and unwanted(line.value)}
        lines |= {line.number for line in read if wrong and line.reason and not SETTING.match(line.text)}
        if lines:
            edits[name] = rules_files.without(host.files[name], lines)
    return edits


# ---- groups -----------------------------------------------------------------------------------------------------


@accounts.asked_once()
def read_groups(groups: Iterable[Mapping[str, typing.Any]]) -> list[dict[str, typing.Any]]:
    """
    Return ``groups`` with their rules parsed, each rule only where it comes first.

    groups
        List of ``{"name": str, "title": str, "controls": [str], "rules": [str], "optional": bool, "privileged": str}``.

    Rules about 32-bit programs are ``left_out`` (list of Rule) on a machine that has none, such as most arm ones. Where
    a group is ``optional``, those that need a directory which this host does not have are ``lacking`` (list of Rule),
    and a rule about a link is followed by one about what that points to.
    With ``privileged`` it has a rule for each such program of this host (:func:`privileged.lines`); ``unnamed`` (int)
    is how many of them have none.
    """
    _check_groups(groups)
    seen: set[bytes] = set()
    result = []
    for group in groups:
        made, unnamed = privileged.lines(group["privileged"]) if group.get("privileged") else ([], 0)
        lines = enumerate([*group["rules"], *made], start=1)
        rules = [_group_rule(group["name"], number, line) for number, line in lines]
        if group.get("optional"):
            rules = [one for rule in rules for one in (rule, *_behind_link(rule))]
        absent = [rule for rule in rules if _needs_b32(rule) and not compile.has_b32()]
        lacking = [rule for rule in rules if group.get("optional") and compile.absent_directory(rule)]
        first = {compile.compile(rule): rule for rule in reversed(rules) if rule not in (*absent, *lacking)}
        kept = {data: rule for data, rule in reversed(first.items()) if data not in seen}
        told = {"left_out": absent, "lacking": lacking, "unnamed": unnamed}
        result.append({**group, "rules": list(kept.values()), **told})
        seen.update(kept)
    return result


def _lacking(groups):
    """Return a sentence for each thing that ``groups`` (as :func:`read_groups` returns them) name and do not record."""
    lacking = [rule for group in groups for rule in group["lacking"]]
    directories = {directory for rule in lacking if (directory := compile.absent_directory(rule))}
    told = [f"Left out, as this host does not have it: {', '.join(sorted(directories))}."] if directories else []
    unnamed = sum(group["unnamed"] for group in groups)
    return [*told, *([f"{unnamed} privileged programs have no rule of their own."] if unnamed else [])]


def _behind_link(rule):
    """
    Yield the same about what the place of ``rule`` points to, where it is a link: its own rule sees nothing of that.

    What packages bring is changed by another link, and what is made anew at each boot is not there at the next load.
    """
    part = rule.field("path") or rule.field("dir")
    if part is None or not os.path.islink(part.value) or (perm := rule.field("perm")) is None or perm.value == "x":
        return
    real = os.path.realpath(part.value)
    kept = not real.startswith(MADE_BY_OTHERS) and not privileged.UNWRITABLE.search(real)
    if kept and os.path.isdir(real) == (part.name == "dir"):
        yield rule._replace(parts=tuple(one._replace(value=real) if one == part else one for one in rule.parts))


def _needs_b32(rule):
    arch = rule.field("arch")
    return arch is not None and arch.value.lower() == "b32"


def _group_rule(name, number, line):
    try:
        rule = accounts.parse_rule(line)
        if not _needs_b32(rule) or compile.has_b32():
            compile.compile(rule)
    except RuleError as exc:
        raise RuleError(f"{exc.reason} (in {line!r})", exc.column, number, f"rule group {name!r}") from exc
    return rule


def check_arguments(
    name: str,
    groups: Iterable[Mapping[str, typing.Any]],
    unknown: str,
    status: Mapping[str, int] | None,
    immutable: bool,
) -> None:
    """Raise :class:`salt.exceptions.SaltInvocationError` for the first bad argument of :class:`Managed`, naming it."""
    if unknown not in UNKNOWN:
        raise SaltInvocationError(f"unknown: {unknown!r} is none of {', '.join(UNKNOWN)}.")
    if not isinstance(immutable, bool):
        raise SaltInvocationError(f"immutable: True or False, not {immutable!r}.")
    if not os.path.isabs(base_files.named(name)) or not rules_files.is_read(os.path.basename(name)):
        raise SaltInvocationError(
            f"name: {name!r} is no absolute path that ends in .rules, without white space, *, ? or [ in the name; "
            f"augenrules reads no other."
        )
    if not isinstance(status or {}, Mapping):
        raise SaltInvocationError(f"status: a mapping of settings to numbers is needed, not {status!r}.")
    for setting, value in (status or {}).items():
        language.validate_status(setting, value)
    _check_groups(groups)


def _check_hiding(allowed, hiding, loginuid_immutable):
    if hiding not in rules_hiding.CHOICES:
        raise SaltInvocationError(f"hiding: {hiding!r} is none of {', '.join(rules_hiding.CHOICES)}.")
    if not isinstance(loginuid_immutable, bool):
        raise SaltInvocationError(f"loginuid_immutable: True or False, not {loginuid_immutable!r}.")
    if not isinstance(allowed, (list, tuple)) or not all(isinstance(line, str) for line in allowed):
        raise SaltInvocationError("allowed: a list of rule lines is needed.")


def _check_groups(groups):
    if not isinstance(groups, (list, tuple)):
        raise SaltInvocationError(f"groups: a list of groups is needed, not {groups!r}.")
    for number, group in enumerate(groups, start=1):
        _check_group(number, group)


def _check_group(number, group):
    if not isinstance(group, Mapping) or not {"name", "rules"} <= set(group):
        raise SaltInvocationError(f"groups: number {number} needs at least a name and rules.")
    odd = next((key for key in group if key not in GROUP_KEYS), None)
    if odd is not None:
        raise SaltInvocationError(f"groups: {group['name']} has an unknown key {odd!r}{near(str(odd), GROUP_KEYS)}.")
    controls = group.get("controls") or []
    told = [group["name"], group.get("title") or "", *(controls if isinstance(controls, (list, tuple)) else [None])]
    if any(not isinstance(text, str) or not text.isprintable() for text in told):
        raise SaltInvocationError(f"groups: name, title and controls of {group['name']!r} must be text on one line.")
    if not isinstance(group["rules"], (list, tuple)) or not all(isinstance(line, str) for line in group["rules"]):
        raise SaltInvocationError(f"groups: the rules of {group['name']} must be a list of lines.")
    if not isinstance(group.get("optional", False), bool):
        raise SaltInvocationError(f"groups: optional of {group['name']} must be True or False.")
    if not isinstance(group.get("privileged", ""), str):
        raise SaltInvocationError(f"groups: privileged of {group['name']} must be the fields of a rule, as text.")
