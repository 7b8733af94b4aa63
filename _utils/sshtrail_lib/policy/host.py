"""
What only the host can tell against its policy, before any of its states is begun.
"""

from __future__ import annotations

from sshtrail_lib.auditd import check
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy.arguments import Policy
from sshtrail_lib.policy.pillar import PolicyError
from sshtrail_lib.policy.schema import KEY


def demand(policy: Policy) -> Policy:
    """Return ``policy``, or raise :class:`PolicyError` for values that do not fit together on this host."""
    config = policy["auditd"]["config"]
    reason = check.space(config) if arguments.manages(policy, "auditd") else ""
    if reason:
        given = ", ".join(f"{KEY}:auditd:config:{name} is {config[name]}" for name in check.SPACES)
        raise PolicyError(f"{given}: {reason}")
    return policy
