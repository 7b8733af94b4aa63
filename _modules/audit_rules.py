"""
The kernel's audit rules and the files they come from.

Rules are compiled by the installed libaudit and compared as the kernel holds them, so that "nothing to do"
means the kernel itself. Source: auditctl(8), augenrules(8), audit.rules(7).
"""

import contextlib
import os

import salt.utils.path
from salt.exceptions import CommandExecutionError, SaltException
from sshtrail_lib.base import files as base_files
from sshtrail_lib.base import kernel, state
from sshtrail_lib.rules import check as rules_check
from sshtrail_lib.rules import compile as rules_compile
from sshtrail_lib.rules import files as rules_files
from sshtrail_lib.rules import language as rules_language
from sshtrail_lib.rules import plan as rules_plan
from sshtrail_lib.rules import target as rules_target

__virtualname__ = "audit_rules"

RULES_DIR = "/etc/audit/rules.d"
MANAGED = "/etc/audit/rules.d/zz-sshtrail.rules"
LOCAL = "/etc/audit/rules.d/zz-local.rules"


def __virtual__():
    return __virtualname__


def status():
    """
    Return the kernel's audit status.

    Returns a dict: ``enabled`` (0, 1, or 2 for locked), ``failure``, ``pid`` (of auditd, 0 for none), ``rate_limit``
    and ``backlog_limit`` (messages), ``lost``, ``backlog``, ``backlog_wait_time`` (kernel ticks), ``immutable`` (bool).
    Raises one clear error where the kernel cannot audit or does not answer this process. Source: auditctl(8), ``-s``.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.status
    """
    return kernel.status()


def loaded():
    """
    Return the rules that the kernel holds, in its order, one canonical line each (list of str).

    Source: auditctl(8), ``-l``; other than there each line is unambiguous.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.loaded
    """
    return [rules_target.describe(rule) for rule in kernel.rules()]


def check(rules):
    """
    Return every problem of a list of rule lines; nothing is touched.

    rules
        Lines as in a rules file (list of str).

    Returns a list of dicts with ``line`` (int, from 1), ``column`` (int or None), ``rule`` (str), ``level``
    (``error``: it would not load; ``warning``: it would, and not do what it seems to) and ``reason`` (str).
    Source: auditctl(8).

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.check '["-w /etc/passwd -p wa -k identity"]'
    """
    return [
        {"line": found.number, "column": found.column, "rule": found.rule, "level": found.level, "reason": found.reason}
        for found in rules_check.problems(rules)
    ]


def diff(rules):
    """
    Return how the kernel's rules differ from ``rules`` (list of str).

    Returns a dict of lists of canonical lines: ``add`` (not in the kernel), ``remove`` (in the kernel, not among
    ``rules``), ``move`` (in both, but where their place decides what is recorded) and ``operations`` (int).
    Raises an error for a bad line. Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.diff '["-w /etc/passwd -p wa -k identity"]'
    """
    wanted = list(dict.fromkeys(_compile_line(number, line) for number, line in enumerate(rules, start=1)))
    held = kernel.rules()
    steps = rules_plan.plan(held, wanted)
    moved = [rule for rule in wanted if rule in held and any(step.rule == rule for step in steps)]
    return {
        "add": [rules_target.describe(rule) for rule in wanted if rule not in held],
        "remove": [rules_target.describe(rule) for rule in held if rule not in wanted],
        "move": [rules_target.describe(rule) for rule in moved],
        "operations": len(steps),
    }


def _compile_line(number, line):
    try:
        return rules_compile.compile(rules_language.parse_rule(line))
    except rules_language.RuleError as exc:
        raise exc.at(number) from exc


def compare(name=MANAGED, groups=(), unknown="report", status=None, immutable=False, rules_dir=None, compiled=None):
    """
    Return the ``changes`` that the state ``audit_rules.managed`` would report for the same arguments.

    Keys are the files that differ (``old`` and ``new`` are lists of lines, ``old`` is None for a new file),
    ``kernel`` (rules that go and come) and ``status``. Empty when nothing differs. Raises
    :class:`sshtrail_lib.base.state.NotInstalled` on a host without a rules directory.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.compare groups='[{"name": "a", "rules": ["-w /etc/passwd -p wa -k a"]}]'
    """
    return plan(name, groups, unknown, status, immutable, rules_dir, compiled)["changes"]


def plan(name=MANAGED, groups=(), unknown="report", status=None, immutable=False, rules_dir=None, compiled=None):
    """
    Return what :py:func:`compare` returns as ``changes``, with a sentence for a person as ``comment`` (str) and what a
    locked kernel takes up at the next reboot as ``reboot`` (dict, empty for nothing).

    Arguments are those of the state ``audit_rules.managed``. Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.plan groups='[{"name": "a", "rules": ["-w /etc/passwd -p wa -k a"]}]'
    """
    host, target = _managed(name, groups, unknown, status, immutable, rules_dir, compiled)
    return _planned(host, target, unknown)


def apply(name=MANAGED, groups=(), unknown="report", status=None, immutable=False, rules_dir=None, compiled=None):
    """
    Bring the managed file, the compiled file and the kernel to what the arguments say.

    Arguments are those of the state ``audit_rules.managed``. Returns the changes. When anything fails, files and
    kernel are put back and the error names the rule.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.apply groups='[{"name": "a", "rules": ["-w /etc/passwd -p wa -k a"]}]'
    """
    host, target = _managed(name, groups, unknown, status, immutable, rules_dir, compiled)
    return _bring(host, target)


def plan_rule(rule, present=True, path=LOCAL, rules_dir=None, compiled=None):
    """
    Return the ``changes`` (dict) and a ``comment`` (str) of having one rule present or absent; nothing is touched.

    Arguments are those of the states ``audit_rules.present`` and ``absent``.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.plan_rule '-w /etc/passwd -p wa -k identity'
    """
    host, target = _one(rule, present, path, rules_dir, compiled)
    return _planned(host, target, "keep")


def apply_rule(rule, present=True, path=LOCAL, rules_dir=None, compiled=None):
    """
    Have one rule present or absent in the files and in the kernel; returns the changes (dict).

    Arguments are those of the states ``audit_rules.present`` and ``absent``.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.apply_rule '-w /etc/passwd -p wa -k identity' present=False
    """
    return _bring(*_one(rule, present, path, rules_dir, compiled))


def load(rules_dir=RULES_DIR, compiled=None, unknown="report"):
    """
    Bring the compiled file and the kernel to what ``rules_dir`` says, by the fewest operations.

    rules_dir
        The directory of ``*.rules`` files (str).
    compiled
        The file that augenrules makes of them (str); ``audit.rules`` beside the directory by default.
    unknown
        ``remove`` the kernel's rules that no file holds, or let them be: ``keep``, ``report``.

    Rules that stay are not touched, additions come before deletions, the kernel is never locked. Returns the
    changes (dict), empty when there was nothing to do. Source: augenrules(8).

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.load
    """
    host = _host(rules_dir, compiled)
    return _bring(host, rules_target.aim(host, unknown=unknown))


def sources(name=MANAGED, rules_dir=None, compiled=None):
    """
    Return the files and directories that an answer about rules depends on (list of str), there or not.

    name, rules_dir, compiled
        As for :py:func:`compare`.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.sources
    """
    directory = rules_dir or os.path.dirname(name)
    return [directory, name, *_files(directory), compiled or _compiled_of(directory)]


# ---- reading ----------------------------------------------------------------------------------------------------


def _managed(name, groups, unknown, status, immutable, rules_dir, compiled):
    rules_target.check_arguments(name, groups, unknown, status, immutable)
    directory = rules_dir or os.path.dirname(name)
    host = _host(directory, compiled)
    edits = rules_target.managed(host, name, groups, status, immutable, unknown)
    target = rules_target.aim(host, edits, unknown, lock=immutable)
    rules_target.check_ours(target, name, status, immutable)
    _need_directory(directory, host, target)
    return host, target


def _one(rule, present, path, rules_dir, compiled):
    directory = rules_dir or os.path.dirname(path)
    host = _host(directory, compiled)
    if present:
        edits, drop = rules_target.with_rule(host, rule, path), ()
    else:
        edits, drop = rules_target.without_rule(host, rule), {_compile_line(None, rule)}
    target = rules_target.aim(host, edits, drop=drop)
    _need_directory(directory, host, target)
    return host, target


def _need_directory(directory, host, target):
    if not os.path.isdir(directory):
        changes = rules_target.differences(host, target)
        raise state.NotInstalled(f"There is no {directory}: auditd is not installed.", changes)


def _host(rules_dir, compiled):
    path = compiled or _compiled_of(rules_dir)
    files = _files(rules_dir)
    space = _awk_space() if rules_files.needs_awk(files.values()) else rules_files.MAWK
    held, now = kernel.rules(), kernel.status()
    return rules_target.Host(rules_dir, path, files, base_files.read(path), held, now, space)


def _compiled_of(rules_dir):
    return os.path.join(os.path.dirname(rules_dir.rstrip("/")), "audit.rules")


def _files(rules_dir):
    names = rules_files.order(os.listdir(rules_dir)) if os.path.isdir(rules_dir) else []
    paths = [os.path.join(rules_dir, name) for name in names]
    return {path: base_files.read(path) for path in paths}


def _awk_space():
    """Return how this host's awk, which augenrules runs, reads the white space in its patterns."""
    awk = salt.utils.path.which("awk")
    program = r'BEGIN { exit match(" ", "^\\s$") ? 0 : 1 }'
    known = awk and not __salt__["cmd.retcode"]([awk, program], python_shell=False, ignore_retcode=True)
    return rules_files.GAWK if known else rules_files.MAWK


def _planned(host, target, unknown):
    _check_loadable(host, target)
    changes = rules_target.differences(host, target)
    return {
        "changes": changes,
        "comment": rules_target.comment(host, target, unknown),
        "reboot": rules_target.waiting(host, target),
    }


def _check_loadable(host, target):
    """Make sure, before anything is touched, that the directories of the rules still to be loaded are there."""
    for _data, entry in rules_target.still_to_load(host, target):
        absent = rules_compile.absent_directory(entry.value)
        if absent:
            raise _not_loadable(entry, f"{absent} does not exist, so the kernel refuses {entry.value}")


def _ask_kernel(host, target):
    """
    Ask the kernel about every rule that is still to be loaded: a newer field may be unknown to an older kernel.

    Each question leaves a record in the audit log, so that a preview does not ask.
    """
    for data, entry in () if host.status["immutable"] else rules_target.still_to_load(host, target):
        # The question is about the twin, and not where an interrupted run left that behind: asking would delete it.
        twin = rules_plan.twin(data)
        if twin not in host.rules and not kernel.accepts(twin):
            raise _not_loadable(entry, f"this kernel does not accept {entry.value}")


def _not_loadable(entry, reason):
    return rules_language.RuleError(reason, None, entry.line, entry.file)


# ---- acting -----------------------------------------------------------------------------------------------------


def _bring(host, target):
    """Act on the difference, the kernel first: a rule that it refuses must leave no file behind."""
    _check_loadable(host, target)
    changes = rules_target.differences(host, target)
    if not changes:
        return changes
    _ask_kernel(host, target)
    with _undone_on_failure(host):
        if not host.status["immutable"]:
            _set(rules_target.settings(host, target))
            _run(rules_plan.plan(host.rules, target.rules))
        _write(host, target)
        _lock(host, target)
    return changes


def _lock(host, target):
    """Lock the kernel, if the policy says so, and only on what it holds now: a wrong rule would stay until a reboot."""
    asked = rules_target.asks_for_lock(host, target)
    if asked and not rules_plan.plan(kernel.rules(), target.rules):
        _set({"enabled": kernel.IMMUTABLE})


def _set(settings):
    if settings:
        kernel.set_status(settings)


def _run(steps):
    for step in steps:
        try:
            _step(step)
        except kernel.KernelError as exc:
            line = rules_target.describe(step.rule)
            raise CommandExecutionError(f"Cannot {step.do} {line}: {rules_target.why(exc)}.") from exc


def _step(step):
    if step.do == "delete":
        kernel.delete(step.rule)
    else:
        kernel.add(step.rule, prepend=step.do == "prepend")


def _write(host, target):
    for path, data in [*target.files.items(), (host.compiled_path, target.compiled)]:
        if data != host.files.get(path, host.compiled if path == host.compiled_path else None):
            base_files.replace(path, data, mode=0o640)


@contextlib.contextmanager
def _undone_on_failure(host):
    try:
        yield
    except SaltException:
        _put_back(host)
        raise


def _put_back(host):
    """Bring files and kernel back to ``host``, as far as that goes: the first failure is the one to report."""
    with contextlib.suppress(SaltException):
        _run(rules_plan.plan(kernel.rules(), list(dict.fromkeys(host.rules))))
    with contextlib.suppress(SaltException):
        now = kernel.status()
        _set({name: host.status[name] for name in kernel.SETTINGS if now[name] != host.status[name]})
    for path in {**_files(host.rules_dir), **host.files, host.compiled_path: None}:
        _put_file_back(path, host.compiled if path == host.compiled_path else host.files.get(path))


def _put_file_back(path, data):
    with contextlib.suppress(SaltException):
        if data is None:
            base_files.remove(path)
        elif base_files.read(path) != data:
            base_files.replace(path, data)
