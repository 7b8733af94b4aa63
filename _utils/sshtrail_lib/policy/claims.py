"""
Which controls a ready group answers, by the edition of each benchmark that a host's distribution has.

Nothing is listed here that :mod:`sshtrail_lib.policy.controls` says already: a group answers checks, and so the
controls behind them. Only PCI DSS has requirements without checks, so its identifiers are named.

A distribution without an edition of its own has that of the nearest one that is older or related. The name of the
edition is a part of each identifier, so nothing else is claimed by it.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping

from sshtrail_lib.policy import groups
from sshtrail_lib.policy.controls import CONTROLS, EDITIONS, Control

#: The editions (tuple of str) of a distribution, by its name and the first release (tuple of int) that has them.
DISTRIBUTIONS: dict[str, tuple[tuple[tuple[int, ...], tuple[str, ...]], ...]] = {
    # DISA has no STIG for Debian; that of the Ubuntu that is nearest is often asked for there.
    "Debian": (
        ((0,), ("CIS Debian 12", "STIG Ubuntu 22.04")),
        ((13,), ("CIS Debian 12", "STIG Ubuntu 24.04")),
    ),
    "Ubuntu": (
        ((0,), ("CIS Ubuntu 22.04", "STIG Ubuntu 22.04")),
        ((24,), ("CIS Ubuntu 24.04", "STIG Ubuntu 24.04")),
    ),
    "RedHat": (((0,), ("CIS RHEL 9", "STIG RHEL 9")),),
}
#: What every host has, whichever its distribution.
EVERYWHERE = ("PCI DSS",)

#: The checks (tuple of str) whose whole question a group answers.
CHECKS: dict[str, tuple[str, ...]] = {
    "session": ("rule-sessions",),
    "identity": ("rule-identity",),
    "scope": ("rule-sudoers",),
    "user_emulation": ("rule-user-emulation",),
    "sudo_log": ("rule-sudo-log",),
    "time_change": ("rule-time",),
    "system_locale": ("rule-network",),
    "access": ("rule-access",),
    "perm_mod": ("rule-permissions",),
    "mounts": ("rule-mounts",),
    "delete": ("rule-deletes",),
    "logins": ("rule-logins",),
    "mac_policy": ("rule-mac",),
    "modules": ("rule-modules",),
    "cron": ("rule-cron",),
    "journal": ("rule-journal",),
    "root_commands": ("rule-privileged-exec",),
    "privileged": ("rule-privileged-all",),
}
_OF_CHECK = {
    check: [group for group, checks in CHECKS.items() if check in checks] for check in sum(CHECKS.values(), ())
}
#: Checks about one program or system call each, which the source's rule names.
ONE_EACH = frozenset(("rule-acl-tools", "rule-account-tools", "rule-system-tools", "rule-ssh-tools", "rule-su-sudo"))
PROGRAM = re.compile(r"audit_(?:rules_)?(?:privileged_commands|execution)_(\w+)")
CALL = re.compile(r"audit_rules_dac_modification_(umount2?)")
#: Programs that are setuid or setgid in the packages of every distribution that has them.
SETUID = {
    *("su", "sudo", "sudoedit", "mount", "umount", "passwd", "gpasswd", "newgrp", "chsh", "chfn", "chage", "crontab"),
    *("ssh_keysign", "unix_chkpwd"),
}
#: The requirements of PCI DSS (tuple of str) that a group answers.
PCI_DSS: dict[str, tuple[str, ...]] = {
    "ssh_commands": ("10.2.1.1", "10.2.1.2"),
    "identity": ("10.2.1.5",),
    "scope": ("10.2.1.5",),
    "user_emulation": ("10.2.1.2",),
    "time_change": ("10.6.3",),
    "access": ("10.2.1.4",),
    "mounts": ("10.2.1.7",),
    "delete": ("10.2.1.7",),
    "logins": ("10.2.1.4",),
    "modules": ("10.2.1.7",),
    "audit_config": ("10.2.1.3", "10.2.1.6"),
    "root_commands": ("10.2.1.2",),
    "privileged": ("10.2.1.2",),
}

#: The sets of the pillar, and how the frameworks that they stand for begin.
PREFIXES = {"cis": "CIS", "stig": "STIG", "pci_dss": "PCI DSS"}


def distribution(grains: Mapping[str, object]) -> str:
    """
    Return a host's distribution and release (str, such as ``Debian 12`` or ``RedHat 9``).

    grains
        Salt's grains (mapping): ``os``, ``os_family`` and ``osrelease``.
    """
    name = str(grains.get("os", ""))
    return f"{name if name in DISTRIBUTIONS else grains.get('os_family', '')} {grains.get('osrelease', '')}".strip()


def frameworks(distribution: str | None) -> tuple[str, ...]:
    """
    Return the frameworks (tuple of str, keys of :data:`sshtrail_lib.policy.controls.CONTROLS`) of a host.

    distribution
        What :func:`distribution` returned (str), None where no host is meant: then only what every host has.
    """
    name, _, release = (distribution or "").partition(" ")
    numbers = tuple(map(int, re.findall(r"\d+", release)))
    chosen = [editions for first, editions in DISTRIBUTIONS.get(name, ()) if numbers >= first]
    return (*(chosen[-1] if chosen else ()), *EVERYWHERE)


def answered(group: str, framework: str) -> list[Control]:
    """Return the controls of a ``framework`` (str) that a ready ``group`` (str) answers, in the table's order."""
    return _by_group(framework).get(group, [])


def told(group: str, distribution: str | None) -> list[str]:
    """
    Return the controls that a ready group answers on a host (list of str), each with framework and edition.

    group, distribution
        The group's name (str), and as for :func:`frameworks`.
    """
    return [
        named(framework, control.id) for framework in frameworks(distribution) for control in answered(group, framework)
    ]


def named(framework: str, number: str) -> str:
    """Return the whole name (str) of a control: its framework, the edition of that, and its number."""
    edition = EDITIONS[framework]
    return f"{framework} {'v' if edition[0].isdigit() else ''}{edition} {number}"


@functools.cache
def _by_group(framework: str) -> dict[str, list[Control]]:
    """Return which controls of a framework each group answers (dict): the table is gone through once."""
    found: dict[str, list[Control]] = {}
    for control in CONTROLS[framework]:
        for group in _pci_dss(control) if framework == "PCI DSS" else _answering(control):
            found.setdefault(group, []).append(control)
    return found


def _pci_dss(control: Control) -> list[str]:
    return [group for group, numbers in PCI_DSS.items() if control.id in numbers]


def _answering(control: Control) -> dict[str, None]:
    """Return the groups that answer a control (dict, for its order)."""
    found = {group: None for check in control.checks for group in _OF_CHECK.get(check, ())}
    if not ONE_EACH.isdisjoint(control.checks):
        programs, calls = (_found(one, control) for one in (PROGRAM, CALL))
        every = len(programs) == len(control.rules)
        found |= {group: None for group in groups.GROUPS if programs and every and programs <= _programs(group)}
        found |= {"mounts": None} if calls else {}
    return found


def _found(pattern: re.Pattern[str], control: Control) -> set[str]:
    return {found[1] for rule in control.rules if (found := pattern.fullmatch(rule))}


@functools.cache
def _programs(group: str) -> set[str]:
    """Return the programs (set of str, as the source's rules name them) whose use a group records."""
    if group == "privileged":
        return SETUID
    paths = re.findall(r"-F path=(\S+) -F perm=x", "\n".join(groups.GROUPS[group]["rules"]))
    return {path.rpartition("/")[2].replace("-", "_") for path in paths}


#: Which groups answer a standard's demands on audit rules; the files' and the daemon's settings are elsewhere.
SETS: dict[str, list[str]] = {
    name: [
        group
        for group in groups.GROUPS
        if any(answered(group, framework) for framework in CONTROLS if framework.startswith(prefix))
    ]
    for name, prefix in PREFIXES.items()
}
