"""
A look at a host's trail as a whole: what it tells is gathered, a message is sent through the kernel, and judged.
"""

from __future__ import annotations

import glob
import os
import signal
import time
import typing
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from salt.exceptions import SaltException

from sshtrail_lib.auditd.daemon import Tail
from sshtrail_lib.base import kernel, processes, text
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.coverage import (
    checks,
    daemon,
    facts,
    logins,
    logs,
    looks,
    lost,
    marks,
    memory,
    people,
    pulse,
    volumes,
    ways,
)
from sshtrail_lib.coverage import reread as coverage_reread
from sshtrail_lib.coverage import rules as coverage_rules
from sshtrail_lib.coverage.checks import Row, Verdict
from sshtrail_lib.coverage.daemon import ARRIVED, LOST, SUSPENDED, Audit
from sshtrail_lib.coverage.memory import Memory
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.rules import accounts, changing, compile, overlap, privileged, target, watches
from sshtrail_lib.sshd import started as sshd_started
from sshtrail_lib.trail import reader

Ask = Callable[[str], list[dict[str, typing.Any]]]
#: Seconds within which a message arrives; and where the log still grows, so that auditd only is behind.
PATIENCE, LONGEST = 3.0, 10.0
#: Where PAM's stacks are, the administrator's first, and which of them are those of jobs that people leave behind:
#: systemd-user is that of what systemd runs for somebody (systemd-run --user, lingering).
PAM, JOBS = ("/etc/pam.d", "/usr/lib/pam.d"), ("cron", "crond", "fcron", "atd", "systemd-user")
#: Kinds of what the PAM wing finds: nobody comes in, and the login id is set unless that fails.
LETS_NOBODY_IN, MAY_FAIL = ("refused",), ("not required",)
PROBES = {
    f"{call} (arch={arch})": f"-a always,exit -F arch={arch} -S {call} -F auid!=unset -F key=ssh_commands"
    for arch in ("b64", "b32")
    for call in ("execve", "execveat")
}


def findings(minion: Minion, policy: Policy, pam: Ask | None = None) -> list[Row]:
    """
    Return whether what people do on this host is recorded (list of dict), as ``sshtrail.coverage`` tells it.

    policy
        The host's policy (dict).
    pam
        Called with a PAM service (str) for what keeps its sessions from having their login id: a list of dict with
        ``kind``, ``file`` and ``reason`` (str each), as ``sshtrail_pam.check`` has them. None: nobody is asked.

    What is told of since when is kept in the minion's cache. Nothing is changed, but a message is logged.
    """
    now, before = time.time(), looks.read(minion)
    verdicts, after = _verdicts(minion, policy, pam, before, now)
    after = memory.since(after, verdicts, now)._replace(looked=now)
    rows = [_row(one, after, policy, minion) for one in verdicts]
    looks.keep(minion, after, rows)
    return rows


def last(minion: Minion) -> list[Row]:
    """Return what the last look found (list of dict), empty when there was none."""
    return looks.rows(minion)


def sources(policy: Policy) -> list[str]:
    """Return the files and directories (list of str) that the findings depend on and no other module names."""
    pam = [path for place in PAM for path in sorted(glob.glob(f"{place}/*"))]
    groups = policy["rules"]["groups"] if policy["audit"] else []
    watched = [path for group in groups for line in group["rules"] if (path := _directory(line))]
    programs = privileged.DIRECTORIES if any("privileged" in group for group in groups) else ()
    return [*PAM, *pam, *sshd_started.SETTINGS, *watched, *(os.path.dirname(path) for path in watched), *programs]


def _row(found: Verdict, after: Memory, policy: Policy, minion: Minion) -> Row:
    if found.holds is not False:
        return checks.row(found, None, None)
    since = text.iso(after.since[memory.name(found)])
    if not found.cause:
        return checks.row(found, since, None)
    by, when = _by(minion, policy, found.cause)
    return checks.row(found, when or since, by)


def _by(minion: Minion, policy: Policy, cause: checks.Cause) -> tuple[Mapping | None, str | None]:
    """Return who opened a way, and when (str), where the audit log tells."""
    asked = {**cause._asdict(), "since": None, "by": None}
    [told] = minion.call["sshtrail_trail.attribute"]([asked], policy, 0.0)
    return told["by"], told["since"] if told["by"] else None


def _verdicts(
    minion: Minion, policy: Policy, pam: Ask | None, before: Memory, now: float
) -> tuple[list[Verdict], Memory]:
    found: list[Verdict] = []
    if policy["audit"]:
        part, before = _audited(minion, policy, before, now)
        found += part
    known = ways.people(minion, policy)
    if policy["audit"]:
        log = facts.log(policy["auditd"]["path"]).path
        before = before._replace(given=[one for one in before.given if people.lives_without(known, *one[:2])])
        known = known._replace(since=facts.since(log), audits=facts.audits(log), given=before.given)
    found += people.judge(known)
    if policy["audit"]:
        found += _pam(pam, known)
        found += _logins(minion, policy, known, before, now)
        before = memory.judged(before, now - logins.APART)
    return found, before


def _logins(minion: Minion, policy: Policy, known: people.People, before: Memory, now: float) -> Iterator[Verdict]:
    since = memory.judges(before, now - logins.APART)
    facility = str(known.keywords.get("syslogfacility") or "AUTH")
    path = facts.log(policy["auditd"]["path"]).path
    return logins.judge(logs.read(minion, policy, facility, path, since, now), known.processes)


def _pam(ask: Ask | None, known: people.People) -> list[Verdict]:
    """Return what the PAM wing says of the stacks of sshd and of jobs, where it is asked."""
    if not ask:
        return []
    service = str(known.keywords.get("pamservicename") or "sshd")
    jobs = [name for name in JOBS if any(os.path.exists(f"{place}/{name}") for place in PAM)]
    return [
        _stacks(ask, "pam-without-loginuid", dict.fromkeys([service, *known.services, *people.services(known)])),
        _stacks(ask, "jobs-without-login", jobs)._replace(hides=False),
    ]


def _stacks(ask: Ask, check: str, services: Iterable[str]) -> Verdict:
    try:
        found = [one for name in services for one in ask(name) if one["kind"] not in LETS_NOBODY_IN]
    except SaltException as exc:
        return checks.unknown(check, exc.message)
    told = "; ".join(one["reason"] for one in found)
    hides = any(one["kind"] not in MAY_FAIL for one in found)
    cause = checks.Cause("file", found[0]["file"]) if found else None
    return checks.verdict(check, told, cause=cause, hides=hides)


# --- From the kernel to the log -----------------------------------------------------------------------------------


def _audited(minion: Minion, policy: Policy, before: Memory, now: float) -> tuple[list[Verdict], Memory]:
    conf = policy["auditd"]["path"]
    status, error = facts.status()
    if status is None:
        return list(daemon.judge(_audit(policy, None, error, before, None, ""))), before
    path = facts.log(conf).path
    extent, dropped = pulse.extent(path), before.lost if before.boot == processes.boot() else 0
    before = memory.lost(before, processes.boot(), status["lost"], now)
    before = looks.taken(minion, before, path, now) if status["enabled"] else before
    counted, rules = time.time(), _rules(policy)
    hidden = list(coverage_rules.judge(rules))
    auditd = facts.auditd(status["pid"], conf)
    heard = _heard(status, auditd, facts.log(conf), [one.evidence for one in hidden if one.check == "rules-hide"])
    seen = lost.Seen(path, extent, lost.held(rules.held), dropped or 0, ways.began(status["pid"]), now)
    ours = processes.marked(status["pid"], minion.run_dir) is not None
    seen = seen._replace(ours=ours, changed=changing.known(minion), locked=status["enabled"] == kernel.IMMUTABLE)
    before = lost.missing(policy, seen, before) if status["enabled"] else before
    before = coverage_reread.missing(minion, policy, path, before, now)
    judged = list(daemon.judge(_audit(policy, status, error, before, auditd, heard)))
    moved, after = _moved(rules, path, before._replace(held=seen.held, counted=counted), now)
    return [*judged, *hidden, moved], after


def _audit(
    policy: Policy,
    status: dict[str, int] | None,
    error: str,
    before: Memory,
    auditd: daemon.Auditd | None,
    heard: str,
) -> Audit:
    asked, log = policy["rules"]["status"], facts.log(policy["auditd"]["path"])
    readers = facts.readers(auditd.pid if auditd else 0)
    log = log._replace(volatile=volumes.volatile(os.path.dirname(log.path)) if log.directory else "")
    return Audit(facts.boot(), status, error, asked, auditd, log, heard, before.loss, readers)


def _heard(status: Mapping[str, int], auditd: daemon.Auditd | None, log: daemon.Log, hiding: Sequence[str]) -> str:
    """Send a message through the kernel, and return what became of it, or why none was sent (str)."""
    if not status["enabled"] or not auditd or not auditd.genuine or auditd.frozen or auditd.state in marks.STOPPED:
        return "no message was sent: nobody would write it"
    if any(hiding) or status["rate_limit"]:
        return "no message was sent: a rule or a rate limit may drop it"
    if not log.there or log.off or not auditd.writing:
        return "no message was sent: there is no log that it could be in"
    word, tail = f"{looks.MESSAGE}-{uuid.uuid4()}", Tail(log.path)
    try:
        kernel.tell(f"text={word}")
    except (kernel.KernelError, kernel.LibraryError) as exc:
        return f"no message could be sent: {exc.message}"
    return _arrived(auditd.pid, log.path, tail, word)


def _arrived(pid: int, path: str, tail: Tail, word: str) -> str:
    began, grown = time.monotonic(), False
    while (waited := time.monotonic() - began) < (LONGEST if grown else PATIENCE):
        records = tail.records()
        if any(word in (record.text("text") or "") for record in records):
            return ARRIVED
        grown = grown or bool(records)
        time.sleep(0.005 if waited < 0.1 else 0.1)
    if _suspended(pid):
        return SUSPENDED
    # What others wrote came: auditd works, and is behind, or somebody has it leave out ours.
    return f"auditd is more than {LONGEST:.0f} seconds behind" if grown and _waits() else LOST


def _waits() -> bool:
    return kernel.status()["backlog"] > 0


def _suspended(pid: int) -> bool:
    """Ask auditd for a report of itself (from 3.0 on), and tell whether it says that it is suspended."""
    try:
        os.kill(pid, signal.SIGCONT)
    except OSError:
        return False
    time.sleep(0.2)
    return facts.dumped(pid).get("logging suspended") == "yes"


# --- Rules --------------------------------------------------------------------------------------------------------


def _rules(policy: Policy) -> coverage_rules.Rules:
    groups = [line for group in policy["rules"]["groups"] for line in group["rules"]]
    wanted = [data for line in groups if (data := lost.compiled(line))]
    named = [data for line in policy["rules"].get("allowed", ()) if (data := lost.compiled(line))]
    probes = {
        name: data
        for name, line in PROBES.items()
        if ("b32" not in name or compile.has_b32()) and (data := lost.compiled(line))
    }
    asked = any(overlap.covers(rule, probe) for rule in wanted for probe in probes.values())
    return coverage_rules.Rules(
        kernel.rules(),
        frozenset([*wanted, *named]),
        probes,
        asked,
        target.describe,
        compile.exec_calls,
        facts.unmatched(),
    )


def _moved(rules: coverage_rules.Rules, log: str, before: Memory, now: float) -> tuple[Verdict, Memory]:
    held = {rules.lines(rule): rule for rule in rules.held if rule in rules.named}
    lines = {line: path for line in held if (path := _directory(line))}
    places = facts.directories(lines)
    after, gone = memory.moved(before, places, now)
    again = _loaded_again(log, gone) if gone else []
    after = memory.loaded_again(after, again, places, now)
    told = "; ".join(f"{lines[line]}, of {line}" for line in gone if line not in again)
    cause = checks.Cause("file", lines[next(iter(gone))]) if told else None
    return checks.verdict("watch-moved", told and f"another directory stands at {told}", cause=cause), after


def _directory(line: str) -> str:
    rule = accounts.parse_rule(line)
    part = rule.field("dir")
    return part.value if part else rule.watch


def _loaded_again(log: str, gone: Mapping[str, float]) -> list[str]:
    """Return the rules (list of str) that were added to the kernel after the time at which they were right."""
    added: dict[tuple[str, ...], float] = {}
    for event in reader.events(log, ()):
        for record in event.records:
            if record.type == "CONFIG_CHANGE" and record.text("op") == "add_rule" and record.text("res") == "1":
                added[tuple(record.keys)] = max(added.get(tuple(record.keys), 0), record.seconds)
    return [line for line, when in gone.items() if added.get(watches.keys(line) or (), 0) > when]
