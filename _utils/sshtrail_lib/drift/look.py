"""
A whole look at a host: each part of its policy compared as the state that manages it does, with nothing done.

The comparisons themselves are those of the execution modules, which the states use too.
"""

from __future__ import annotations

import os
import typing
from collections.abc import Callable, Iterator, Mapping

from salt.exceptions import SaltException, SaltInvocationError

from sshtrail_lib.base import processes
from sshtrail_lib.base.minion import Minion, uncollected
from sshtrail_lib.base.service import PROCESSES
from sshtrail_lib.coverage import facts as coverage_facts
from sshtrail_lib.coverage import leftovers
from sshtrail_lib.coverage import prove as coverage_prove
from sshtrail_lib.drift import difference, fingerprint, history
from sshtrail_lib.drift import schedule as drift_schedule
from sshtrail_lib.drift.difference import Changes, Difference
from sshtrail_lib.policy import arguments, claims
from sshtrail_lib.policy import pillar as policy_pillar
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.sshd import endpoints as sshd_endpoints
from sshtrail_lib.sshd import listener as sshd_listener
from sshtrail_lib.trail import reader

Answer = typing.TypeVar("Answer")
#: The condition of a host that has no policy.
UNKNOWN: dict[str, typing.Any] = {
    **{"environment": None, "digest": None, "drift": [], "reboot": {}},
    **{"silent": "", "full": "", "watch": {}, "proof": None},
}
NOTHING: dict[str, typing.Any] = {}
#: The file by which an init script knows its daemon.
PIDFILE = "pid file"
#: How a daemon is asked whether it runs now, and after a boot.
ASKED = {"running": "sshtrail_service.status", "enabled": "sshtrail_service.enabled"}


#: Seconds that a sshd has for its greeting before it counts as dead.
PATIENCE = 10.0


class Part(typing.NamedTuple):
    """
    One thing that a policy manages.

    name
        What it is, for a person (str).
    layer
        The layer of a difference where it cannot be compared at all (str).
    compare
        Called without arguments; returns how it differs (list of dict).
    """

    name: str
    layer: str
    compare: Callable[[], list[Difference]]

    def differences(self) -> list[Difference]:
        """Return how it differs from its policy (list of dict), also where it cannot be compared."""
        try:
            return self.compare()
        except SaltException as exc:
            return [difference.entry(self.layer, "condition", "can be compared", exc.message)]


def parts(minion: Minion, policy: Policy) -> Iterator[Part]:
    """Yield each :class:`Part` of a policy (dict), in the order in which a highstate has them."""
    yield Part("packages", "package", lambda: difference.of("package", _packages(minion, policy)))
    if arguments.manages(policy, "sshd"):
        yield Part("sshd configuration", "effective", lambda: _sshd(minion, policy))
    if arguments.manages(policy, "auditd"):
        yield Part("auditd configuration", "file", lambda: _auditd(minion, policy))
    if arguments.manages(policy, "rules"):
        yield Part("audit rules", "kernel", lambda: _rules(minion, policy))
    yield Part("services", "service", lambda: difference.of("service", _services(minion, policy)))
    yield Part("daemons", "daemon", lambda: difference.of("daemon", _deaf(minion, policy)))
    yield Part("trail", "trail", lambda: difference.of_findings(minion.call["sshtrail_coverage.findings"](policy)))
    yield Part("proof", "trail", lambda: difference.of("trail", _proof(minion)))
    yield Part("schedule", "service", lambda: difference.of("service", _schedule(minion, policy)))


def differences(minion: Minion, policy: Policy) -> list[Difference]:
    """Return every difference between a host and its policy (list of dict), without who made it."""
    return [found for part in parts(minion, policy) for found in part.differences()]


def whole(minion: Minion, pillar: Mapping) -> dict[str, typing.Any]:
    """
    Look at everything, keep what was found and how the host was before (:mod:`sshtrail_lib.drift.fingerprint`).

    pillar
        The host's pillar (mapping); errors are those of :func:`sshtrail_lib.policy.pillar.build`.

    Returns what ``sshtrail.look`` tells (dict).
    """
    with uncollected():
        return _whole(minion, pillar)


def _whole(minion: Minion, pillar: Mapping) -> dict[str, typing.Any]:
    policy, digest = policy_pillar.named(pillar, minion.grains["os_family"], claims.distribution(minion.grains))
    seen = _or(None, lambda: fingerprint.take(**sources(minion, policy)))
    found = {
        "environment": policy["environment"],
        "digest": digest,
        "drift": policy["drift"],
        "full": _full(minion, policy),
        "differences": _attributed(minion, policy),
    }
    if seen:
        fingerprint.keep(minion.cachedir, seen, pillar, found)
    history.looked(minion.cachedir, found["differences"])
    return found


def _full(minion: Minion, policy: Policy) -> dict[str, str] | None:
    """Return where auditd's log is and what is done when it suspends that (dict), None for a host without an audit."""
    if not policy["audit"]:
        return None
    given = arguments.writing(policy)
    written = _or(None, lambda: minion.call["auditd_conf.get"]("log_file", path=given["name"]))
    log = written["value"] if written else reader.LOG
    return {"path": given["name"], "action": given["full"], "log": log}


def condition(minion: Minion, pillar: Mapping) -> dict[str, typing.Any]:
    """Return which policy a host has and how it stands to it (dict), as ``sshtrail.condition`` tells it."""
    try:
        policy = policy_pillar.build(pillar, minion.grains["os_family"], claims.distribution(minion.grains))
    except SaltInvocationError as exc:
        return {**UNKNOWN, "error": exc.message}
    heard = _or(sshd_listener.Heard("", ""), lambda: sshd_listener.hear(_ours(minion, policy)))
    return {
        "environment": policy["environment"],
        "digest": policy_pillar.digest(pillar),
        "drift": _attributed(minion, policy),
        "reboot": _or(NOTHING, lambda: reboot(minion, policy)),
        "silent": heard.silent,
        "full": heard.full,
        "watch": {name: policy["drift"][name] for name in ("interval", "heartbeat")},
        "proof": _or(None, lambda: coverage_prove.told(minion.call["sshtrail.proof"]())),
        "error": None,
    }


def reboot(minion: Minion, policy: Policy) -> dict[str, typing.Any]:
    """Return what a locked kernel takes up at the next reboot (dict), as ``audit_rules.plan`` tells it."""
    if not arguments.manages(policy, "rules"):
        return {}
    return minion.call["audit_rules.plan"](**arguments.rules(policy)).get("reboot", {})


def endpoints(minion: Minion, policy: Policy) -> list[str]:
    """Return where sshd should listen, ``ADDRESS:PORT`` (list of str)."""
    listens = minion.call["sshd_config.effective"](path=policy["sshd"]["path"]).get("ListenAddress") or {}
    return listens.get("value") or []


def _ours(minion: Minion, policy: Policy) -> list[str]:
    return endpoints(minion, policy) if arguments.manages(policy, "sshd") else []


def sources(minion: Minion, policy: Policy) -> dict[str, typing.Any]:
    """Return what the comparisons depend on, as the arguments of :func:`sshtrail_lib.drift.fingerprint.take` (dict)."""
    sshd = minion.call["sshd_config.sources"](policy["sshd"]["path"])
    pidfiles = {} if sshd["pidfile"] == "none" else {sshd["pidfile"]: "sshd"}
    paths = [*sshd["paths"], *drift_schedule.files(minion), *minion.call["sshtrail_service.sources"]()]
    spoken = sorted(set(policy["sshd"]["logs"].values()))
    trail: list[typing.Any] = ["", "", "" if sshd["pidfile"] == "none" else sshd["pidfile"], spoken]
    if policy["audit"]:
        pidfiles[PROCESSES["auditd"].pidfile] = "auditd"
        trail[:2] = coverage_facts.place(policy["auditd"]["path"])
        paths += [policy["auditd"]["path"], *minion.call["audit_rules.sources"](policy["rules"]["file"])]
    pids = filter(None, (processes.process(path, [name]) for path, name in pidfiles.items()))
    paths.append(leftovers.places(minion).last)
    watched = [*paths, *pidfiles, *(processes.mark_path(pid, minion.run_dir) for pid in pids)]
    watched += minion.call["sshtrail_coverage.sources"](policy)
    return {
        **{"paths": watched, "pidfiles": pidfiles, "endpoints": sshd["endpoints"]},
        **{"audit": policy["audit"], "trail": trail},
    }


def _or(otherwise: Answer, ask: Callable[[], Answer]) -> Answer:
    """Return what ``ask()`` returns; what cannot be told is among the differences already."""
    try:
        return ask()
    except SaltException:
        return otherwise


def _attributed(minion: Minion, policy: Policy) -> list[Difference]:
    found = differences(minion, policy)
    # What is found about the trail is attributed already, each by a cause of its own.
    trail = [one for one in found if one["layer"] == difference.TRAIL]
    others = [one for one in found if one["layer"] != difference.TRAIL]
    # Mostly there are none, and the log need not be read.
    if others:
        clean = fingerprint.last_clean(minion.cachedir)
        others = minion.call["sshtrail_trail.attribute"](others, policy, clean)
    return [*others, *trail]


# --- One comparison for each state ------------------------------------------------------------------------------


def _packages(minion: Minion, policy: Policy) -> Changes:
    names = [package["name"] for package in arguments.packages(policy).values()]
    if not names:
        return {}
    # All at once, for each question copies the list of everything that is installed; the answer for one is no dict.
    found = minion.salts("pkg.version", *names)
    versions = found if isinstance(found, dict) else dict.fromkeys(names, found)
    return {name: {"old": None, "new": "installed"} for name in names if not versions.get(name)}


def _sshd(minion: Minion, policy: Policy) -> list[Difference]:
    return difference.of_daemon("effective", _diff(minion, "sshd_config.diff", arguments.sshd(policy)), "sshd")


def _auditd(minion: Minion, policy: Policy) -> list[Difference]:
    return difference.of_daemon("file", _diff(minion, "auditd_conf.diff", arguments.auditd(policy)), "auditd")


def _diff(minion: Minion, function: str, given: arguments.Arguments) -> Changes:
    """Ask for the preview of a file's state; it is named by the file, which the functions call ``path``."""
    return minion.call[function](path=given["name"], **{key: value for key, value in given.items() if key != "name"})


def _rules(minion: Minion, policy: Policy) -> list[Difference]:
    given = arguments.rules(policy)
    planned = minion.call["audit_rules.plan"](**given)
    others = planned["hiding"], planned.get("broken", ())
    return difference.of_rules(planned["changes"], os.path.dirname(given["name"]), *others)


def _services(minion: Minion, policy: Policy) -> Changes:
    names = [service["name"] for service in arguments.services(policy).values()]
    asked = {(name, what): minion.call[function](name) for name in names for what, function in ASKED.items()}
    found = {f"{name} {what}": {"old": False, "new": True} for (name, what), holds in asked.items() if not holds}
    lost = [name for name in names if minion.call["sshtrail_service.lost"](name)]
    return found | {f"{name} {PIDFILE}": {"old": None, "new": "names the daemon"} for name in lost}


def _deaf(minion: Minion, policy: Policy) -> Changes:
    """Return which daemons run and do not do their part: sshd listens nowhere, auditd is not the kernel's."""
    services = arguments.services(policy)
    runs = {daemon: minion.call[ASKED["running"]](given["name"]) for daemon, given in services.items()}
    changes: dict[str, typing.Any] = {}
    if runs.get("sshd"):
        changes |= _deaf_sshd(endpoints(minion, policy))
    if runs.get("auditd"):
        kernels = minion.call["auditd_conf.status"](path=policy["auditd"]["path"])
        if not kernels["reads"]:
            changes["auditd receives"] = {"old": kernels["note"] if kernels["pid"] else False, "new": True}
    return changes


def _proof(minion: Minion) -> Changes:
    """Return that the last login that was followed to the log was lost, where it was."""
    found = minion.call["sshtrail.proof"]()
    return {} if found is None or found["holds"] else {"proof": {"old": found["said"], "new": "recorded"}}


def _deaf_sshd(where: list[str]) -> Changes:
    """Return that sshd listens nowhere, or that it does not greet, which one does that was stopped or hangs."""
    if unheard := sshd_endpoints.unheard(where):
        return {"sshd listens": {"old": f"not at {', '.join(unheard)}", "new": True}}
    # A host can be slow: one that is late is asked again, and patiently.
    silent = sshd_listener.silence(where) and sshd_listener.hear(where, PATIENCE).silent
    return {"sshd answers": {"old": silent, "new": True}} if silent else {}


def _schedule(minion: Minion, policy: Policy) -> Changes:
    """Return how the job differs that looks for drift; a minion without a master has nobody to tell, and none."""
    if minion.opts.get("file_client") == "local":
        return {}
    wanted = arguments.schedule(policy).get("sshtrail_watch.scheduled")
    return minion.call["sshtrail_schedule.compare"](arguments.JOB, wanted)
