"""
The kernel's audit rules and the files they come from.

Rules are compiled by the installed libaudit and compared as the kernel holds them, so that "nothing to do"
means the kernel itself. Source: auditctl(8), augenrules(8), audit.rules(7).
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import kernel, minion
from sshtrail_lib.rules import check as rules_check
from sshtrail_lib.rules import host, wish
from sshtrail_lib.rules.files import LOCAL, MANAGED, RULES_DIR

__virtualname__ = "audit_rules"


def __virtual__():
    return __virtualname__


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)


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
    return host.loaded()


def check(rules):
    """
    Return every problem of a list of rule lines; nothing is touched.

    rules
        Lines as in a rules file (list of str, or a str with one or several). Raises SaltInvocationError for another
        type.

    Returns a list of dicts with ``line`` (int, from 1), ``column`` (int or None), ``rule`` (str), ``level``
    (``error``: it would not load; ``warning``: it would, and not do what it seems to) and ``reason`` (str).
    Source: auditctl(8).

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.check '["-w /etc/passwd -p wa -k identity"]'
    """
    return [
        {"line": found.number, "column": found.column, "rule": found.rule, "level": found.level, "reason": found.reason}
        for found in rules_check.problems(rules_check.listed(rules))
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
    return host.diff(rules_check.listed(rules))


def groups(groups):
    """
    Return what groups of rules come to on this host (list of dict); nothing is touched.

    groups
        As for the state ``audit_rules.managed`` (list of dict).

    Each has its ``name`` (str), its ``rules`` (list of str: without a rule that an earlier group has, and with those
    for each privileged program), those that are ``lacking`` because this host does not have what they name or no
    32-bit programs (list of str), and how many privileged programs are ``unnamed`` (int), because no rule can name
    them.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.groups '[{"name": "a", "optional": true, "rules": ["-a always,exit -F dir=/etc/netplan"]}]'
    """
    return [
        {
            "name": group["name"],
            "rules": list(map(str, group["rules"])),
            "lacking": [*map(str, group["lacking"]), *map(str, group["left_out"])],
            "unnamed": group["unnamed"],
        }
        for group in wish.read_groups(groups)
    ]


def compare(
    name=MANAGED,
    groups=(),
    unknown="report",
    status=None,
    immutable=False,
    rules_dir=None,
    compiled=None,
    allowed=(),
    hiding="report",
    loginuid_immutable=False,
    remember=False,
):
    """
    Return the ``changes`` that the state ``audit_rules.managed`` would report for the same arguments.

    Keys are the files that differ (``old`` and ``new`` are lists of lines, ``old`` is None for a new file),
    ``kernel`` (rules that go and come) and ``status``. Empty when nothing differs. Raises
    :class:`sshtrail_lib.base.state.NotInstalled` on a host without a rules directory.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.compare groups='[{"name": "a", "rules": ["-w /etc/passwd -p wa -k a"]}]'
    """

    arguments = (name, groups, unknown, status, immutable, rules_dir, compiled, allowed, hiding, loginuid_immutable)
    return plan(*arguments, remember)["changes"]


def plan(
    name=MANAGED,
    groups=(),
    unknown="report",
    status=None,
    immutable=False,
    rules_dir=None,
    compiled=None,
    allowed=(),
    hiding="report",
    loginuid_immutable=False,
    remember=False,
):
    """
    Return what :py:func:`compare` returns as ``changes``, with a sentence for a person as ``comment`` (str), what a
    locked kernel takes up at the next reboot as ``reboot`` (dict, empty for nothing), and as ``hiding`` the rules that
    keep records out of the log, stay, and are none of these (list of dict: ``rule``, ``file`` and ``number`` of the
    line; None and 0 for one in the kernel), and as ``broken`` the lines of other files that do not load (list of dict:
    ``file``, ``line``, 0 for the whole file, ``text``, ``reason``, and ``stops``: augenrules alone would stop there).

    Arguments are those of the state ``audit_rules.managed``. Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.plan groups='[{"name": "a", "rules": ["-w /etc/passwd -p wa -k a"]}]'
    """
    asked = wish.Managed(name, groups, unknown, status, immutable, allowed, hiding, loginuid_immutable)
    return host.preview(_minion(), asked, rules_dir, compiled, remember)


def apply(
    name=MANAGED,
    groups=(),
    unknown="report",
    status=None,
    immutable=False,
    rules_dir=None,
    compiled=None,
    allowed=(),
    hiding="report",
    loginuid_immutable=False,
    remember=False,
):
    """
    Bring the managed file, the compiled file and the kernel to what the arguments say.

    Arguments are those of the state ``audit_rules.managed``. Returns the changes. When anything fails, files and
    kernel are put back and the error names the rule.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.apply groups='[{"name": "a", "rules": ["-w /etc/passwd -p wa -k a"]}]'
    """
    asked = wish.Managed(name, groups, unknown, status, immutable, allowed, hiding, loginuid_immutable)
    return host.bring(_minion(), asked, rules_dir, compiled, remember)


def forget(rules_dir=RULES_DIR, compiled=None, test=False):
    """
    Leave nothing of what :func:`apply` with ``remember`` changed: the files, the kernel's rules and its settings.

    rules_dir, compiled
        As for :py:func:`load`.
    test
        Only tell what would change (bool).

    Every file is again what it was before. Rules that others have loaded since stay, and so does whether the kernel
    records at all (``enabled``). A locked kernel is left as it is until the next reboot. Returns the changes (dict),
    empty when nothing is remembered.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.forget test=True
    """
    return host.forget(_minion(), rules_dir, compiled, test)


def plan_rule(rule, present=True, path=LOCAL, rules_dir=None, compiled=None):
    """
    Return the ``changes`` (dict) and a ``comment`` (str) of having one rule present or absent; nothing is touched.

    Arguments are those of the states ``audit_rules.present`` and ``absent``.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.plan_rule '-w /etc/passwd -p wa -k identity'
    """
    return host.preview(_minion(), wish.OneRule(rule, present, path), rules_dir, compiled)


def apply_rule(rule, present=True, path=LOCAL, rules_dir=None, compiled=None):
    """
    Have one rule present or absent in the files and in the kernel; returns the changes (dict).

    Arguments are those of the states ``audit_rules.present`` and ``absent``.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.apply_rule '-w /etc/passwd -p wa -k identity' present=False
    """
    return host.bring(_minion(), wish.OneRule(rule, present, path), rules_dir, compiled)


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
    return host.bring(_minion(), wish.Whole(unknown), rules_dir, compiled)


def sources(name=MANAGED, rules_dir=None, compiled=None):
    """
    Return the files and directories that an answer about rules depends on (list of str), there or not.

    name, rules_dir, compiled
        As for :py:func:`compare`.

    CLI Example:

    .. code-block:: bash

        salt '*' audit_rules.sources
    """
    return host.sources(name, rules_dir, compiled)
