"""
Keep the kernel's audit rules, and the files that they are loaded from at boot, as asked.

.. code-block:: yaml

    /etc/audit/rules.d/zz-sshtrail.rules:
      audit_rules.managed:
        - groups:
            - name: ssh_commands
              title: The commands of login sessions
              rules:
                - -a always,exit -F arch=b64 -S execve,execveat -F auid!=unset -F key=ssh_commands
        - status:
            backlog_limit: 8192
"""

import os

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import state
from sshtrail_lib.rules.files import LOCAL, MANAGED


def present(name, path=LOCAL, rules_dir=None, compiled=None):
    """
    Have one rule in a file of the rules directory and in the kernel.

    name
        The rule (str), as in a rules file.
    path
        The file that gets it when none holds it yet (str).
    rules_dir, compiled
        As for :func:`managed`.

    The compiled file and the kernel are brought to what the whole directory says. ``changes`` as for
    :func:`managed`. Source: auditctl(8).

    .. code-block:: yaml

        -w /etc/crontab -p wa -k cron:
          audit_rules.present
    """
    return _bring_rule(name, True, path, rules_dir, compiled)


def absent(name, path=LOCAL, rules_dir=None, compiled=None):
    """
    Have one rule neither in a file of the rules directory nor in the kernel.

    name
        The rule (str); lines that compile to the same rule are taken out of every file.
    path, rules_dir, compiled
        As for :func:`present`.

    .. code-block:: yaml

        -w /etc/crontab -p wa -k cron:
          audit_rules.absent
    """
    return _bring_rule(name, False, path, rules_dir, compiled)


def _bring_rule(name, wanted, path, rules_dir, compiled):
    arguments = (name, wanted, path, rules_dir, compiled)
    return state.bring(
        name,
        __opts__["test"],
        lambda: _told(__salt__["audit_rules.plan_rule"](*arguments)),
        lambda: __salt__["audit_rules.apply_rule"](*arguments),
    )


def managed(
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
    Have the rules of some named groups, and only those, in one file and in the kernel.

    name
        The managed file (str). It should sort last in its directory (``ls -v``), so that its settings win:
        ``audit.rules``, which distributions ship, sorts after every name that begins with a digit.
    groups
        List of ``{"name": str, "title": str, "controls": [str], "rules": [str]}``; a rule that occurs twice
        is kept where it comes first. With ``"optional": True`` a rule is left out, and told, that needs a directory
        which this host does not have; otherwise it is an error. With ``"privileged": str``, the fields of a rule, the
        group has a rule also for each setuid or setgid program of the host and each with file capabilities.
    unknown
        Rules that other files or only the kernel hold: ``keep`` them, ``report`` them in the comment, or
        ``remove`` them (rule lines are taken out of the other files; their settings and comments stay).
    status
        Kernel settings (dict of int): ``backlog_limit``, ``backlog_wait_time``, ``failure``, ``rate_limit``,
        ``enabled``.
    immutable
        True to lock the kernel's audit configuration until the next reboot, once it holds exactly these rules.
    rules_dir
        The directory that augenrules reads (str); the managed file's own by default.
    compiled
        The file that augenrules writes (str); ``audit.rules`` beside the directory by default.
    allowed
        Rules of others that may hide records (list of str, lines as in a rules file). Also ``unknown: remove`` leaves
        them; the order of their fields does not matter.
    hiding
        Rules that can hide records (with ``never``, or on the list exclude) which are neither in ``groups`` nor in
        ``allowed``: ``report`` them in the comment, or ``remove`` them from the kernel and from the other files (rule
        lines only).
    loginuid_immutable
        True to have everybody keep the login id that he has, root too: it is locked until the next reboot, and the
        managed file does it again at boot. False leaves it as it is.
    remember
        Remember what was there before, for :func:`forgotten`, and give back what this state changed earlier and does
        not ask for any more (bool).

    ``changes`` names each file that differs, ``kernel`` and ``status``. A locked kernel is no failure: the files
    are brought up to date, and the comment tells what takes effect at the next reboot. Fails with nothing changed
    when a line would not load. Source: auditctl(8), augenrules(8).
    """
    given = (name, groups, unknown, status, immutable, rules_dir, compiled, allowed, hiding, loginuid_immutable)
    done = state.bring(
        name,
        __opts__["test"],
        lambda: _told(__salt__["audit_rules.plan"](*given, remember)),
        lambda: __salt__["audit_rules.apply"](*given, remember),
    )
    return state.twice(done, __opts__["test"], __salt__["sshtrail_watch.again"])


def forgotten(name):
    """
    Leave nothing of what :func:`managed` with ``remember`` changed: in the files, the kernel's rules and its settings.

    name
        The rules directory (str).

    Each file is again what it was before. Rules that others have loaded since stay, and so does whether the kernel
    records at all. A locked kernel is left as it is until the next reboot.
    """

    def plan():
        return __salt__["audit_rules.forget"](name, test=True), f"Nothing is remembered of {name}."

    return state.bring(name, __opts__["test"], plan, lambda: __salt__["audit_rules.forget"](name))


def _told(planned):
    return planned["changes"], planned["comment"]


def mod_watch(name, sfun=None, rules_dir=None, compiled=None, **kwargs):
    """
    Bring kernel and compiled file to the rules files once more, for something that the state watches has changed.

    name
        As for :func:`managed` and :func:`present`.
    sfun, kwargs
        The state's function and its other arguments, as Salt gives them.
    rules_dir, compiled
        As for :func:`managed`.

    Rules that stay are not touched, and the kernel's that no file holds let be.
    """
    place = rules_dir or os.path.dirname(name if sfun == "managed" else kwargs.get("path", LOCAL))
    load = __salt__["audit_rules.load"]
    return state.watched(name, __opts__["test"], "audit rules", "loaded", lambda: load(place, compiled))
