"""
A host's SSH audit policy as a whole: what it asks, what differs, what is true now.
"""

import salt.pillar
import sshtrail_policy
import sshtrail_sshd_listener
from salt.exceptions import SaltException, SaltInvocationError

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
    make = sshtrail_policy.provenance if provenance else sshtrail_policy.build
    return make(_pillar(refresh), __grains__["os_family"])


def drift():
    """
    Return every difference between this host and its policy (list of dict); empty when there is none.

    Each one has ``layer`` (package, sshd, auditd, rules, service), ``what`` it is about, the ``expected`` and
    the ``actual`` value. Nothing is touched. The comparisons are those that the states make.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.drift
    """
    return _drift(policy())


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
        wanted = sshtrail_policy.build(pillar, __grains__["os_family"])
    except SaltInvocationError as exc:
        return {"environment": None, "digest": None, "drift": [], "reboot": {}, "silent": "", "error": exc.message}
    return {
        "environment": wanted["environment"],
        "digest": sshtrail_policy.digest(pillar),
        "drift": _drift(wanted),
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


def _drift(wanted):
    found = []
    for layer, differences in _comparisons(wanted):
        try:
            changes = differences()
        except SaltException as exc:
            changes = {"condition": {"old": exc.message, "new": "can be compared"}}
        found += [_entry(layer, what, change) for what, change in changes.items()]
    return found


def _comparisons(wanted):
    """Yield the name of each layer and a function that compares it as its state does."""
    sshd, auditd = wanted["sshd"], wanted["auditd"]
    yield "package", lambda: _packages(wanted)
    yield "sshd", lambda: __salt__["sshd_config.diff"](sshd["config"], path=sshd["path"], matches=sshd["matches"])
    if wanted["audit"]:
        yield "auditd", lambda: __salt__["auditd_conf.diff"](auditd["config"], path=auditd["path"])
        yield "rules", lambda: __salt__["audit_rules.compare"](**_rules(wanted))
    yield "service", lambda: _services(wanted)


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
    listens = __salt__["sshd_config.effective"](path=wanted["sshd"]["path"]).get("ListenAddress") or {}
    return sshtrail_sshd_listener.silence(listens.get("value") or [])


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


def _entry(layer, what, change):
    return {"layer": layer, "what": what, "expected": change["new"], "actual": change["old"]}


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
    return [_row("sshd running", f"listens, pid {pid}" if pid else "not running", pid)]


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
