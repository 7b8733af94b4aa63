"""
What takes a policy off a host again: the states that leave nothing of it, made of what the host remembers.

The pillar is not asked: a host whose policy has gone from there can be undone too.
"""

from __future__ import annotations

from collections.abc import Iterator

from sshtrail_lib.auditd import host as auditd_host
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.pam import host as pam_host
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy.arguments import Arguments
from sshtrail_lib.rules import host as rules_host
from sshtrail_lib.sshd import host as sshd_host

#: The SLS that undoes what :data:`sshtrail_lib.policy.arguments.SLS` did.
SLS = "sshtrail.remove"
#: What stays on a host, for a person.
LEFT = (
    "What stays: the packages of sshd and auditd, whose daemons run and start at boot as they do now; the records in "
    "auditd's log; and whether the kernel records at all (auditctl -s: enabled)."
)
# What is watched goes last: who takes it off stays on record until then.
_WINGS = (
    ("sshd pam", "sshtrail_pam.forgotten", pam_host.remembered),
    ("sshd config", "sshd_config.forgotten", sshd_host.remembered),
    ("auditd config", "auditd_conf.forgotten", auditd_host.remembered),
    ("rules", "audit_rules.forgotten", rules_host.remembered),
)


def states(minion: Minion) -> list[tuple[str, str, Arguments]]:
    """
    Return the states (list of ``(id, state function, arguments)``) that undo a policy, in their order.

    minion
        The host (Minion).
    """
    return [*_jobs(minion), *_files(minion), ("sshtrail removed", "sshtrail.removed", {})]


def _jobs(minion: Minion) -> Iterator[tuple[str, str, Arguments]]:
    # A minion without a master has no schedule of ours.
    if minion.opts.get("file_client") != "local":
        yield arguments.JOB, "sshtrail_watch.unscheduled", {}
        yield "sshtrail proof schedule", "schedule.absent", {}
    yield "sshtrail proof account", "sshtrail_proof.account", {"account": None}


def _files(minion: Minion) -> Iterator[tuple[str, str, Arguments]]:
    for about, function, remembered in _WINGS:
        for path in remembered(minion):
            yield f"sshtrail {about} {path}", function, {"name": path}
