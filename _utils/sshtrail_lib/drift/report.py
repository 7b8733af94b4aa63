"""
What a policy asks and what is true now, row by row, for a person; and what a highstate came to.

A row fails exactly where :mod:`sshtrail_lib.drift.look` finds a difference: each difference makes the row of what it is
about fail, or gets a row of its own.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Mapping

from salt.exceptions import SaltException

from sshtrail_lib.base import text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.drift import look
from sshtrail_lib.drift.difference import Difference
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy import schema as policy_schema
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.sshd import wish as sshd_wish

Row = dict[str, typing.Any]
REBOOT = "locked until the next reboot"


class Line(typing.NamedTuple):
    """
    What is asked of one thing, and how it stands.

    asked, now
        For a person (str).
    about
        The ``what`` of each difference that makes it fail (frozenset of str).
    waits
        Whether it becomes true at the next reboot, which is no drift (bool).
    unsure
        Whether it cannot be told to be so (bool).
    """

    asked: str
    now: str
    about: frozenset[str]
    waits: bool = False
    unsure: bool = False

    @property
    def good(self) -> bool | None:
        """Whether it is well where nothing differs (bool), None where nobody says that."""
        return None if self.waits or self.unsure else True


Lines = Iterator[Line]
Found = dict[str, Difference]


def rows(minion: Minion, policy: Policy) -> list[Row]:
    """
    Return what a policy (dict) asks and what is true now (list of dict).

    Each row has ``asked`` (str), ``now`` (str) and whether that ``holds`` (bool; None for what a locked kernel takes up
    at the next reboot, for what is left to another tool, and for a trail of which something cannot be told that could
    hide commands: nobody says that it is well, and it is no drift either).
    """
    left = [_row(f"{part} left to another tool", "not looked at", None) for part in arguments.left(policy)]
    return [*left, *(row for part in look.parts(minion, policy) for row in rows_of(minion, policy, part))]


def rows_of(minion: Minion, policy: Policy, part: look.Part) -> Iterator[Row]:
    """Yield the rows of one part of a policy."""
    try:
        found = {one["what"]: one for one in part.compare()}
    except SaltException as exc:
        yield _row(part.name, exc.message, False)
        return
    lines = _lines(minion, policy, part.name, found)
    for line in lines:
        yield _row(line.asked, line.now, False if line.about & set(found) else line.good)
    told = {what for line in lines for what in line.about}
    for what, one in found.items():
        if what not in told:
            yield _row(f"{one['layer']} {text.line(what)} {_value(one['expected'])}", _value(one["actual"]), False)


def _lines(minion: Minion, policy: Policy, name: str, found: Found) -> list[Line]:
    try:
        return list(DESCRIPTIONS[name](minion, policy, found))
    except SaltException as exc:
        # It could be compared, so that the differences tell the rest.
        return [Line(name, exc.message, frozenset(found))]


def _row(asked: str, now: str, holds: bool | None) -> Row:
    return {"asked": asked, "now": now, "holds": holds}


def _value(value: typing.Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "absent" if value is None else text.line(str(value))


# --- A description for each part of a policy --------------------------------------------------------------------


def _packages(minion: Minion, policy: Policy, found: Found) -> Lines:
    for package in arguments.packages(policy).values():
        name = package["name"]
        yield Line(f"package {name}", "not installed" if name in found else "installed", frozenset([name]))


def _sshd(minion: Minion, policy: Policy, found: Found) -> Lines:
    given = arguments.sshd(policy)
    effective = minion.call["sshd_config.effective"](path=given["name"])
    for keyword, value in given["config"].items():
        key = _key(keyword, value)
        yield Line(f"sshd {keyword} {value}", _where(effective.get(key), "sshd's default"), frozenset([key]))
    for match, keyword, value in _in_matches(given["matches"]):
        written = minion.call["sshd_config.get"](keyword, match=match, path=given["name"])
        asked = f"sshd {keyword} {value} (Match {match})"
        yield Line(asked, _where(written, "nobody's line"), frozenset([_key(keyword, value, match)]))


def _in_matches(matches: Iterable[Mapping]) -> Iterator[tuple[str, str, typing.Any]]:
    for match in matches:
        for criteria, config in match.items():
            for keyword, value in config.items():
                yield criteria, keyword, value


def _key(keyword: str, value: typing.Any, match: str | None = None) -> str:
    """Return the name that a keyword has among the changes of ``sshd_config.diff`` (str)."""
    return sshd_wish.wish(keyword, value, policy_schema.ANY_SSHD, match).key


def _where(written: Mapping | None, otherwise: str) -> str:
    if not written:
        return "not set"
    place = f"{written['file']} line {written['line']}" if written["line"] else otherwise
    return f"{written['value']} ({place})"


def _auditd(minion: Minion, policy: Policy, found: Found) -> Lines:
    given = arguments.auditd(policy)
    for keyword, value in given["config"].items():
        now = minion.call["auditd_conf.get"](keyword, path=given["name"])
        about = frozenset(what for what in found if what.casefold() == keyword.casefold())
        yield Line(f"auditd {keyword} {value}", now["value"] if now else "not set", about)


def _rules(minion: Minion, policy: Policy, found: Found) -> Lines:
    given = arguments.rules(policy)
    for group in minion.call["audit_rules.groups"](given["groups"]):
        missing = minion.call["audit_rules.diff"](group["rules"])["add"]
        count = len(group["rules"])
        now = f"{count - len(missing)} of {count} in the kernel"
        yield Line(f"audit rules {group['name']}", now, frozenset(missing), waits=bool(missing))
    for name, value in given["status"].items():
        now = str(found[name]["actual"] if name in found else value)
        yield Line(f"audit {name} {value}", now, frozenset([name]))
    waiting = look.reboot(minion, policy).get("kernel")
    if waiting:
        now = f"{REBOOT}: {len(waiting['new'])} rules come then, {len(waiting['old'])} go"
        yield Line("audit rules of the files", now, frozenset(), waits=True)


def _services(minion: Minion, policy: Policy, found: Found) -> Lines:
    for daemon, service in arguments.services(policy).items():
        running, enabled = (f"{service['name']} {what}" for what in look.ASKED)
        now = "not running" if running in found else RUNNING[daemon](minion, policy)
        yield Line(f"{daemon} running", now, frozenset([running]))
        yield Line(f"{daemon} starts at boot", _value(enabled not in found), frozenset([enabled]))


def _sshd_runs(minion: Minion, policy: Policy) -> str:
    pid = minion.call["sshd_config.listening"](path=policy["sshd"]["path"])
    # With socket activation an idle sshd has no process.
    return f"listens, pid {pid}" if pid else "runs, or systemd listens for it"


def _auditd_runs(minion: Minion, policy: Policy) -> str:
    kernels = minion.call["auditd_conf.status"](path=policy["auditd"]["path"])
    return f"receives the kernel's records, pid {kernels['pid']}" if kernels["reads"] else f"runs. {kernels['note']}"


def _daemons(minion: Minion, policy: Policy, found: Found) -> Lines:
    # What is well here is told by the services already.
    return iter(())


def _trail(minion: Minion, policy: Policy, found: Found) -> Lines:
    for what, one in found.items():
        yield Line(f"trail {what}: {one['expected']}", _value(one["actual"]), frozenset([what]))
    if not found:
        yield _no_way(minion, policy)


def _no_way(minion: Minion, policy: Policy) -> Line:
    """Return what is said where no way was found: what cannot be told and could hide commands is not well."""
    findings = minion.call["sshtrail_coverage.findings"](policy)
    untold = [row for row in findings if row["holds"] is None]
    names = ", ".join(row["check"] for row in untold)
    now = f"no way is open by which it would not be{f'; not told here: {names}' if untold else ''}"
    unsure = any(row["hides"] for row in untold)
    return Line("trail: what people do is recorded", now, frozenset(), unsure=unsure)


def _proof(minion: Minion, policy: Policy, found: Found) -> Lines:
    last = minion.call["sshtrail.proof"]()
    if last:
        yield Line("a login is recorded", f"{last['said']} ({last['time']})", frozenset(["proof"]))


def _schedule(minion: Minion, policy: Policy, found: Found) -> Lines:
    about = f"schedule {arguments.JOB}"
    interval = policy["drift"]["interval"]
    if interval and minion.opts.get("file_client") != "local":
        now = _value(found[about]["actual"]) if about in found else "scheduled"
        yield Line(f"drift looked for every {interval} s", now, frozenset([about]))


RUNNING: dict[str, Callable[[Minion, Policy], str]] = {"sshd": _sshd_runs, "auditd": _auditd_runs}
DESCRIPTIONS: dict[str, Callable[[Minion, Policy, Found], Lines]] = {
    "packages": _packages,
    "sshd configuration": _sshd,
    "auditd configuration": _auditd,
    "audit rules": _rules,
    "services": _services,
    "daemons": _daemons,
    "trail": _trail,
    "proof": _proof,
    "schedule": _schedule,
}


# --- What a highstate came to -----------------------------------------------------------------------------------


def outcome(ran: typing.Any, told: Callable[[], list[Row]]) -> dict[str, typing.Any]:
    """
    Return what a highstate came to (dict), as ``sshtrail.converge`` tells it.

    ran
        What ``state.highstate`` returned: a dict of states, or what kept it from running (list of str).
    told
        Called without arguments for the :func:`rows` of afterwards, when it ran.
    """
    if not isinstance(ran, dict):
        return {"result": False, "errors": [str(error) for error in ran], "states": [], "report": []}
    states = [_state(state) for state in sorted(ran.values(), key=lambda state: state.get("__run_num__", 0))]
    good = all(state["result"] is not False for state in states)
    return {"result": good, "errors": [], "states": states, "report": told()}


def _state(state: Mapping) -> dict[str, typing.Any]:
    wanted = ("result", "changes", "comment", "name", "duration")
    return {"id": state.get("__id__", state["name"]), **{key: state.get(key) for key in wanted}}
