"""
A host's SSH audit policy as a whole: what it asks, what differs, what is true now.
"""

import os

import salt.pillar
from salt.exceptions import SaltException, SaltInvocationError
from sshtrail_lib.auditd import host as auditd_host
from sshtrail_lib.base import minion, processes
from sshtrail_lib.drift import difference, fingerprint
from sshtrail_lib.policy import pillar as policy_pillar
from sshtrail_lib.sshd import listener as sshd_listener

__virtualname__ = "sshtrail"


def __virtual__():
    return __virtualname__


def policy(provenance=False, refresh=False):
    """
    Return the validated policy of this host (dict): the pillar's ``sshtrail`` and what its distribution adds.

    provenance
        Return instead where each value came from (bool): the path of each value with its ``value``, the layer that it
        is ``from`` (``default``, ``distribution``, ``common``, the environment's name or ``host``) and what it
        ``overrides`` (dict of layer to value).
    refresh
        Ask the master for the pillar as it is now, instead of the one this minion holds (bool).

    Raises an error that names every path in the pillar that is unknown, of the wrong type or impossible.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.policy
        salt '*' sshtrail.policy provenance=True
    """
    make = policy_pillar.provenance if provenance else policy_pillar.build
    return make(_pillar(refresh), __grains__["os_family"])


def drift(fresh=False):
    """
    Return every difference between this host and its policy (list of dict); empty when there is none.

    fresh
        Look at everything, also where nothing has changed since the last look (bool).

    Each one has the ``layer`` (package, service, file, compiled, kernel, effective or daemon), ``what`` it is about,
    the ``expected`` and the ``actual`` value; ``since`` (str, ISO 8601 in UTC, or None) and ``by`` (dict as
    :py:func:`sshtrail_trail.attribute` describes it, or None) where the audit log or the files tell. Nothing is
    touched. The comparisons are those that the states make; where nothing that was looked at has changed, no process
    is started and the answer of the last look stands, for 15 minutes at most.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.drift
        salt '*' sshtrail.drift fresh=True
    """
    return look(fresh)["differences"]


def look(fresh=False):
    """
    Return what :py:func:`drift` tells as ``differences`` (list of dict), and whose they are (dict).

    fresh
        As for :py:func:`drift` (bool).

    The other keys: the policy's ``environment`` (str), its digest as ``policy`` (str), and its ``drift`` (dict: how
    drift is looked for). Errors are those of :py:func:`policy`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.look
    """
    known = None if fresh else fingerprint.steady(__opts__["cachedir"], __pillar__)
    return known or _looked(policy())


def condition(refresh=True):
    """
    Return in one answer which policy this host has and how it stands to it (dict); what the fleet's table is made of.

    refresh
        Ask the master for the pillar as it is now (bool).

    Keys: ``environment`` and ``digest`` of the policy, ``drift`` (as :py:func:`drift`), ``reboot`` (dict: what a locked
    kernel takes up at the next one), ``silent`` (str: the addresses at which sshd should answer and does not),
    ``error`` (str: why there is no policy; then the others are empty). Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.condition
    """
    pillar = _pillar(refresh)
    try:
        wanted = policy_pillar.build(pillar, __grains__["os_family"])
    except SaltInvocationError as exc:
        return {"environment": None, "digest": None, "drift": [], "reboot": {}, "silent": "", "error": exc.message}
    return {
        "environment": wanted["environment"],
        "digest": policy_pillar.digest(pillar),
        "drift": _attributed(_drift(wanted), wanted),
        "reboot": _told(lambda: _reboot(wanted), {}),
        "silent": _told(lambda: _silent(wanted), ""),
        "error": None,
    }


def report():
    """
    Return what this host's policy asks and what is true now (list of dict), for a person to read.

    Each row has ``asked`` (str), ``now`` (str) and whether that ``holds`` (bool). Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.report
    """
    wanted = policy()
    rows = []
    for layer, describe in _descriptions(wanted):
        try:
            rows += describe(wanted)
        except SaltException as exc:
            rows.append(_row(layer, exc.message, False))
    return rows


def converge(test=False):
    """
    Check the policy, run the highstate and tell what is true afterwards, in one go.

    test
        Only predict what would change (bool).

    Returns a dict: ``result`` (bool, True when every state succeeded), ``errors`` (list of str, what kept the
    highstate from running), ``states`` (list of dict, in the order of execution) and ``report``
    (:py:func:`report`). With a wrong policy nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt-call sshtrail.converge test=True
    """
    try:
        policy()
    except SaltInvocationError as exc:
        return _outcome([exc.message], [])
    ran = __salt__["state.highstate"](test=test)
    if not isinstance(ran, dict):
        return _outcome([str(error) for error in ran], [])
    states = sorted(ran.values(), key=lambda state: state.get("__run_num__", 0))
    return _outcome([], [_state(state) for state in states], report())


def _pillar(refresh=False):
    if not refresh:
        return __pillar__
    compiler = salt.pillar.get_pillar(
        __opts__,
        dict(__grains__),
        __opts__["id"],
        __opts__.get("saltenv"),
        pillarenv=__opts__.get("pillarenv"),
    )
    return compiler.compile_pillar()


def _outcome(errors, states, rows=()):
    good = not errors and all(state["result"] is not False for state in states)
    return {"result": good, "errors": errors, "states": states, "report": rows}


def _state(state):
    wanted = ("result", "changes", "comment", "name", "duration")
    return {"id": state.get("__id__", state["name"]), **{key: state.get(key) for key in wanted}}


# --- What differs ---------------------------------------------------------------------------------------------


def _looked(wanted):
    """Look at everything, and keep what was found and how the host was before."""
    seen = _told(lambda: fingerprint.take(**_sources(wanted)), None)
    found = {
        "environment": wanted["environment"],
        "policy": policy_pillar.digest(__pillar__),
        "drift": wanted["drift"],
        "differences": _attributed(_drift(wanted), wanted),
    }
    if seen:
        fingerprint.keep(__opts__["cachedir"], seen, __pillar__, found)
    return found


def _attributed(differences, wanted):
    # Mostly there are none, and the module that reads the log need not be loaded.
    if not differences:
        return differences
    after = fingerprint.last_clean(__opts__["cachedir"])
    return __salt__["sshtrail_trail.attribute"](differences, wanted, after)


def _sources(wanted):
    """Return what the comparisons depend on, as the arguments of :func:`sshtrail_lib.drift.fingerprint.take`."""
    sshd = __salt__["sshd_config.sources"](wanted["sshd"]["path"])
    pidfiles = {} if sshd["pidfile"] == "none" else {sshd["pidfile"]: "sshd"}
    paths = [*sshd["paths"], *__salt__["sshtrail_service.sources"]()]
    if wanted["audit"]:
        pidfiles[auditd_host.PIDFILE] = "auditd"
        paths += [wanted["auditd"]["path"], *__salt__["audit_rules.sources"](wanted["rules"]["file"])]
    marks = [processes.mark_path(pid, _run_dir()) for pid in _pids(pidfiles)]
    watched = [*paths, *pidfiles, *marks]
    return {"paths": watched, "pidfiles": pidfiles, "endpoints": sshd["endpoints"], "audit": wanted["audit"]}


def _pids(pidfiles):
    return filter(None, (processes.process(path, [name]) for path, name in pidfiles.items()))


def _run_dir():
    return __opts__.get("sshtrail.run_dir", minion.RUN_DIR)


def _drift(wanted):
    found = []
    for layer, differences in _comparisons(wanted):
        try:
            found += differences()
        except SaltException as exc:
            found.append(difference.entry(layer, "condition", "can be compared", exc.message))
    return found


def _comparisons(wanted):
    """Yield a layer and a function that compares it as its state does, and returns the differences."""
    rules_dir = os.path.dirname(wanted["rules"]["file"])
    yield "package", lambda: difference.of("package", _packages(wanted))
    yield "effective", lambda: difference.of_daemon("effective", _sshd(wanted["sshd"]), "sshd")
    if wanted["audit"]:
        yield "file", lambda: difference.of_daemon("file", _auditd(wanted["auditd"]), "auditd")
        yield "kernel", lambda: difference.of_rules(__salt__["audit_rules.compare"](**_rules(wanted)), rules_dir)
    yield "service", lambda: difference.of("service", _services(wanted))
    yield "daemon", lambda: difference.of("daemon", _deaf(wanted))


def _sshd(sshd):
    return __salt__["sshd_config.diff"](
        sshd["config"], path=sshd["path"], matches=sshd["matches"], shadowed=sshd["shadowed"]
    )


def _auditd(auditd):
    return __salt__["auditd_conf.diff"](auditd["config"], path=auditd["path"])


def _rules(wanted):
    rules = wanted["rules"]
    return {"name": rules["file"], **{key: rules[key] for key in ("groups", "unknown", "status", "immutable")}}


def _daemons(wanted):
    return ("sshd", "auditd") if wanted["audit"] else ("sshd",)


def _told(ask, otherwise):
    """Return what ``ask()`` returns; what cannot be told is among the differences already."""
    try:
        return ask()
    except SaltException:
        return otherwise


def _reboot(wanted):
    return __salt__["audit_rules.plan"](**_rules(wanted)).get("reboot", {}) if wanted["audit"] else {}


def _silent(wanted):
    return sshd_listener.silence(_endpoints(wanted))


def _packages(wanted):
    names = [wanted[daemon]["package"] for daemon in _daemons(wanted)]
    return {name: {"old": None, "new": "installed"} for name in names if not __salt__["pkg.version"](name)}


def _services(wanted):
    changes = {}
    for daemon in _daemons(wanted):
        name = wanted[daemon]["service"]
        for what, function in (("running", "sshtrail_service.status"), ("enabled", "sshtrail_service.enabled")):
            if not __salt__[function](name):
                changes[f"{name} {what}"] = {"old": False, "new": True}
    return changes


def _deaf(wanted):
    """Return which daemons run and do not do their part: sshd listens nowhere, auditd is not the kernel's."""
    changes = {}
    runs = {daemon: __salt__["sshtrail_service.status"](wanted[daemon]["service"]) for daemon in _daemons(wanted)}
    if runs["sshd"] and (unheard := sshd_listener.unheard(_endpoints(wanted))):
        changes["sshd listens"] = {"old": f"not at {', '.join(unheard)}", "new": True}
    if runs.get("auditd") and not __salt__["audit_rules.status"]()["pid"]:
        changes["auditd receives"] = {"old": False, "new": True}
    return changes


def _endpoints(wanted):
    listens = __salt__["sshd_config.effective"](path=wanted["sshd"]["path"]).get("ListenAddress") or {}
    return listens.get("value") or []


# --- What is true ---------------------------------------------------------------------------------------------


def _descriptions(wanted):
    """Yield the name of each layer and the function that describes it."""
    yield "sshd configuration", _sshd_rows
    yield "sshd running", _sshd_service_rows
    if wanted["audit"]:
        yield "auditd configuration", _auditd_rows
        yield "auditd running", _auditd_service_rows
        yield "audit rules in the kernel", _rule_rows


def _row(asked, now, holds):
    return {"asked": asked, "now": now, "holds": bool(holds)}


def _sshd_rows(wanted):
    sshd = wanted["sshd"]
    effective = __salt__["sshd_config.effective"](path=sshd["path"])
    wrong = __salt__["sshd_config.diff"](sshd["config"], path=sshd["path"])
    for keyword, value in sshd["config"].items():
        now = effective[keyword]
        where = f"{now['file']} line {now['line']}" if now["line"] else "sshd's default"
        yield _row(f"sshd {keyword} {value}", f"{now['value']} ({where})", keyword not in wrong)


def _sshd_service_rows(wanted):
    pid = __salt__["sshd_config.listening"](path=wanted["sshd"]["path"])
    # With socket activation an idle sshd has no process: systemd listens for it.
    waits = not pid and _endpoints(wanted) and not sshd_listener.unheard(_endpoints(wanted))
    now = f"listens, pid {pid}" if pid else "systemd listens for it" if waits else "not running"
    return [_row("sshd running", now, pid or waits)]


def _auditd_rows(wanted):
    auditd = wanted["auditd"]
    wrong = __salt__["auditd_conf.diff"](auditd["config"], path=auditd["path"])
    for keyword, value in auditd["config"].items():
        now = __salt__["auditd_conf.get"](keyword, path=auditd["path"])
        yield _row(f"auditd {keyword} {value}", now["value"] if now else "not set", keyword not in wrong)


def _auditd_service_rows(wanted):
    pid = __salt__["audit_rules.status"]()["pid"]
    return [_row("auditd running", f"receives the kernel's records, pid {pid}" if pid else "not running", pid)]


def _rule_rows(wanted):
    for group in wanted["rules"]["groups"]:
        missing = __salt__["audit_rules.diff"](group["rules"])["add"]
        count = len(group["rules"])
        yield _row(f"audit rules {group['name']}", f"{count - len(missing)} of {count} in the kernel", not missing)
    kernel = _reboot(wanted).get("kernel")
    if kernel:
        now = f"locked until the next reboot: {len(kernel['new'])} rules come then, {len(kernel['old'])} go"
        yield _row("audit rules of the files", now, False)
