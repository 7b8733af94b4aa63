"""
Whether what people do here is recorded, of a policy that is given: what each look for drift asks.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.coverage import host as coverage_host

__virtualname__ = "sshtrail_coverage"


def __virtual__():
    return __virtualname__


def findings(policy):
    """
    Return what :py:func:`sshtrail.coverage` tells, of a policy that is given.

    policy
        The host's policy (dict), as ``sshtrail.policy`` returns it.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_coverage.findings '{audit: false, sshd: {path: /etc/ssh/sshd_config, config: {}}}'
    """
    return coverage_host.findings(_minion(), policy, _pam)


def sources(policy):
    """
    Return the files and directories (list of str) that :py:func:`findings` depends on, beside those of other modules.

    policy
        The host's policy (dict), as ``sshtrail.policy`` returns it.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_coverage.sources '{audit: false, rules: {groups: []}}'
    """
    return coverage_host.sources(policy)


def _pam(service):
    return __salt__["sshtrail_pam.check"](service, f"/etc/pam.d/{service}")


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)
