"""
From one validated policy to the arguments of every state: the one place that knows which value goes where.

The SLS files render them, and the search for drift, the report and the proof at the end of a highstate compare by them:
what is looked at is what is managed.
"""

from __future__ import annotations

import typing
from collections.abc import Mapping

Policy = Mapping[str, typing.Any]
Arguments = dict[str, typing.Any]

#: The file of sshd's PAM stack, on every distribution.
PAM = "/etc/pam.d/sshd"
#: The SLS that applies all of it, from the root of ``salt/``.
SLS = "sshtrail"
#: The name of the job in the minion's schedule that looks for drift.
JOB = "sshtrail drift"
#: What a policy does not ask for any more is given back, and all of it can be undone.
REMEMBERED = {"remember": True}


def manages(policy: Policy, part: str) -> bool:
    """
    Return whether a policy manages one of its parts (bool).

    part
        ``sshd``, ``auditd`` or ``rules`` (str). Another tool may have it, and a host without an audit of its own has
        neither of the last two.
    """
    return policy[part]["managed"] and (part == "sshd" or policy["audit"])


def left(policy: Policy) -> list[str]:
    """Return the parts that a policy leaves to another tool (list of str)."""
    parts = ("sshd", "auditd", "rules") if policy["audit"] else ("sshd",)
    return [part for part in parts if not manages(policy, part)]


def daemons(policy: Policy) -> tuple[str, ...]:
    """Return the names of the daemons (tuple of str) that a policy manages, as the policy's keys have them."""
    return tuple(daemon for daemon in ("sshd", "auditd") if manages(policy, daemon))


def packages(policy: Policy) -> dict[str, Arguments]:
    """Return the arguments of ``sshtrail_package.installed`` for each daemon (dict by the daemon's name)."""
    return {daemon: {"name": policy[daemon]["package"]} for daemon in daemons(policy)}


def services(policy: Policy) -> dict[str, Arguments]:
    """Return the arguments of ``sshtrail_service.running`` for each daemon (dict by the daemon's name)."""
    return {daemon: {"name": policy[daemon]["service"]} for daemon in daemons(policy)}


def sshd(policy: Policy) -> Arguments:
    """Return the arguments of ``sshd_config.managed`` (dict)."""
    asked = policy["sshd"]
    keys = ("config", "matches", "shadowed", "exact", "admins", "force", "lowered")
    return {"name": asked["path"], **{key: asked[key] for key in keys}, **REMEMBERED}


def pam(policy: Policy) -> Arguments:
    """Return the arguments of ``sshtrail_pam.loginuid`` (dict), empty where sshd's PAM stack is left alone."""
    return {"name": PAM} if policy["audit"] and policy["sshd"]["pam"] and manages(policy, "sshd") else {}


def auditd(policy: Policy) -> Arguments:
    """Return the arguments of ``auditd_conf.managed`` (dict)."""
    return {"name": policy["auditd"]["path"], "config": policy["auditd"]["config"], **REMEMBERED}


def writing(policy: Policy) -> Arguments:
    """Return the arguments of ``auditd_conf.writing`` (dict)."""
    return {"name": policy["auditd"]["path"], "full": policy["full"] if manages(policy, "auditd") else "leave"}


def rules(policy: Policy) -> Arguments:
    """Return the arguments of ``audit_rules.managed`` (dict)."""
    asked = policy["rules"]
    keys = ("groups", "unknown", "status", "immutable", "allowed", "loginuid_immutable")
    # What hides records is named everywhere, and goes where the policy repairs.
    hiding = "remove" if repairs(policy) else "report"
    return {"name": asked["file"], **{key: asked[key] for key in keys}, "hiding": hiding, **REMEMBERED}


def schedule(policy: Policy) -> dict[str, Arguments]:
    """Return the state of the schedule that looks for drift, and its arguments (dict of one)."""
    asked = policy["drift"]
    if not asked["interval"]:
        return {"sshtrail_watch.unscheduled": {}}
    # The master learns of drift by events, not by the returns of this job. It lasts over a restart of the minion.
    quiet = {"maxrunning": 1, "return_job": False, "jid_include": False, "run_on_start": True}
    times = {"seconds": asked["interval"], "splay": asked["splay"]}
    return {"sshtrail_watch.scheduled": {"function": "sshtrail_watch.tick", **times, **quiet}}


def proof(policy: Policy) -> dict[str, dict[str, Arguments]]:
    """Return the states about the proof that a login is recorded: as :func:`states` does."""
    asked = policy["proof"]
    times = {"seconds": asked["interval"], "splay": asked["interval"] // 24}
    quiet = {"maxrunning": 1, "return_job": False, "jid_include": False}
    scheduled = {"schedule.present": {"function": "sshtrail.prove", **times, **quiet}}
    return {
        "proof account": {"sshtrail_proof.account": {"account": asked["account"]}},
        # One that is missed, because the host was down, is not yet old.
        "proof": {"sshtrail.proven": {"age": 2 * asked["interval"]}},
        "proof schedule": scheduled if asked["interval"] else {"schedule.absent": {}},
    }


def states(policy: Policy) -> dict[str, dict[str, Arguments]]:
    """
    Return every state that a policy asks for: ``{what it is about: {state function: arguments}}``.

    policy
        What :func:`sshtrail_lib.policy.pillar.build` returned (dict).

    A host without an audit of its own has none about ``auditd`` and ``rules``, and a part that is left to another tool
    has none at all.
    """
    found = {f"{daemon} package": {"sshtrail_package.installed": given} for daemon, given in packages(policy).items()}
    found |= {f"{daemon} service": {"sshtrail_service.running": given} for daemon, given in services(policy).items()}
    found |= {"drift": schedule(policy), **proof(policy)}
    if manages(policy, "sshd"):
        found |= {"sshd config": {"sshd_config.managed": sshd(policy)}}
    if pam(policy):
        found |= {"sshd pam": {"sshtrail_pam.loginuid": pam(policy)}}
    if manages(policy, "auditd"):
        found |= {"auditd writing": {"auditd_conf.writing": writing(policy)}}
        found |= {"auditd config": {"auditd_conf.managed": auditd(policy)}}
    if manages(policy, "rules"):
        found |= {"rules": {"audit_rules.managed": rules(policy)}}
    return found


def repairs(policy: Policy) -> bool:
    """Return whether the master repairs what drifts (bool), and does not only hear of it."""
    return policy["drift"]["action"] == "repair"
