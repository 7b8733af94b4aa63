"""
The demands on audit rules as this host has them: its programs, its directories, its libaudit.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterable, Mapping

from sshtrail_lib.compliance.demands import DEMANDS, PRIVILEGED, SUDO_LOG, Demand
from sshtrail_lib.compliance.facts import Asked
from sshtrail_lib.compliance.matching import Need, directories
from sshtrail_lib.rules import accounts, compile
from sshtrail_lib.rules.fields import RuleError, escape

#: The permission bits that each kind of demand on a place is about.
PERM = {"watch": "wa", "tree": "wa", "reads": "r"}
DEFAULT_SUDO_LOG = "/var/log/sudo.log"


def asked(sudo_log: str, privileged: Iterable[str] | None) -> dict[str, tuple[Asked, ...]]:
    """
    Return the demands by name (dict of str to a tuple of :class:`Asked`).

    sudo_log
        The file that sudo logs to (str), empty for none.
    privileged
        The setuid and setgid programs of the host (iterable of str), None where they could not be found.
    """
    found = {}
    for name, demands in DEMANDS.items():
        if any(PRIVILEGED in demand.what for demand in demands) and privileged is None:
            continue
        found[name] = tuple(one for demand in demands for one in _one(demand, sudo_log, privileged or ()))
    return found


def _one(demand: Demand, sudo_log: str, privileged: Iterable[str]) -> list[Asked]:
    if PRIVILEGED in demand.what:
        return [_placed(demand._replace(what=(path,))) for path in privileged]
    if SUDO_LOG in demand.what:
        return [_placed(demand._replace(what=(sudo_log or DEFAULT_SUDO_LOG,)))]
    return [_calls(demand) if demand.kind == "calls" else _placed(demand)]


def _calls(demand: Demand) -> Asked:
    lines = {
        f"{name} ({arch})": [f"-a always,exit -F arch={arch} -S {name} {demand.rest}"]
        for name in demand.what
        for arch in _widths()
    }
    needs = _needs(lines)
    return Asked(needs, "" if needs else f"this machine has no system call {demand.what[0]}")


def _placed(demand: Demand) -> Asked:
    path = next((path for path in demand.what if os.path.exists(path)), demand.what[0])
    there = os.path.exists(path)
    # The kernel finds a program by the file that is executed, and a link is none; of others the link is what changes.
    path = os.path.realpath(path) if there and demand.kind != "watch" else path
    absent = "" if there else _absent(demand, path)
    if absent and not os.path.isdir(os.path.dirname(path)):
        return Asked((), absent)
    lines = {f"{_said(demand, path)} ({arch})": _lines(demand, path, arch) for arch in _widths()}
    return Asked(_needs(lines), absent)


def _absent(demand: Demand, path: str) -> str:
    # A file that is not there can come, and can be watched before; a program need not, and a tree cannot.
    return "" if demand.kind == "watch" and os.path.isdir(os.path.dirname(path)) else f"{path} is not on this host"


def _lines(demand: Demand, path: str, arch: str) -> list[str]:
    """Return the line that would do (str), and those that would do together."""
    field = "dir" if os.path.isdir(path) else "path"
    place = f"-F {field}={escape(path)}"
    if demand.kind == "run":
        calls = ("execve,execveat", "execve", "execveat")
        return [f"-a always,exit -F arch={arch} -S {one} {place} -F perm=x {demand.rest}" for one in calls]
    perms = (PERM[demand.kind], *PERM[demand.kind])
    return [f"-a always,exit -F arch={arch} {place} -F perm={one} {demand.rest}".rstrip() for one in perms]


def _said(demand: Demand, path: str) -> str:
    said = {"reads": "who reads", "run": "who runs", "tree": "changes below"}
    return f"{said.get(demand.kind, 'changes of')} {path}"


def _widths() -> tuple[str, ...]:
    return ("b64", "b32") if compile.has_b32() else ("b64",)


def _needs(lines: Mapping[str, Iterable[str]]) -> tuple[Need, ...]:
    found = []
    for what, several in lines.items():
        # A call that this machine does not have cannot be made.
        with contextlib.suppress(RuleError):
            whole, *parts = [compile.compile(accounts.parse_rule(line)) for line in several]
            found.append(Need(what, whole, tuple(parts)))
    return tuple(found)


def links(rules: Iterable[bytes], demands: Mapping[str, Iterable[Asked]]) -> dict[str, str]:
    """Return the real path of each directory that a rule (bytes) or a demand leads through (dict of str to str)."""
    needs = [need.rule for several in demands.values() for one in several for need in one.needs]
    return {path: os.path.realpath(path) for path in dict.fromkeys(directories([*rules, *needs]))}
