"""
What the audit log says of the host's own SSH audit configuration: who changed it.
"""

import sshtrail_lib
from salt.exceptions import SaltException

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.coverage import host as coverage_host
from sshtrail_lib.rules import watches
from sshtrail_lib.trail import author, reader

__virtualname__ = "sshtrail_trail"


def __virtual__():
    return __virtualname__


def attribute(differences, policy, after=0.0):
    """
    Return the ``differences`` with who made them, as far as the audit log tells.

    differences
        What ``sshtrail.drift`` found (list of dict).
    policy
        The host's policy (dict), as ``sshtrail.policy`` returns it.
    after
        When nothing differed for the last time (float, seconds since the epoch; 0 when that is not known).

    Each gets ``since`` (str, ISO 8601 in UTC, or None) and ``by``: None where nobody knows, else ``auid``, ``user``,
    ``session``, ``exe``, ``comm``, ``time`` and ``op``. No error is raised for a log that is missing or unreadable.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.attribute '[]' '{audit: false}'
    """
    if not differences:
        return differences
    conf = policy["auditd"]["path"]
    places = reader.Places(_sources(policy), conf, _log(conf) if policy["audit"] else None)
    rules = [rule for group in policy["rules"]["groups"] for rule in group["rules"]]
    return reader.attribute(differences, places, watches.watches(rules), watches.keys, after)


def sentence(by):
    """
    Return who did it (str), for a person: ``removed by alice (auid 1001, session 7, auditctl) at …``.

    by
        As :py:func:`attribute` has it: a dict, or None for nobody knows.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.sentence None
    """
    return author.sentence(by)


def findings(policy):
    """
    Return what :py:func:`sshtrail.coverage` tells, of a policy that is given.

    policy
        The host's policy (dict), as ``sshtrail.policy`` returns it.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.findings '{audit: false, sshd: {path: /etc/ssh/sshd_config, config: {}}}'
    """
    return coverage_host.findings(_minion(), policy, lambda: __salt__["sshtrail_pam.check"]())


def sources(policy):
    """
    Return the files and directories (list of str) that :py:func:`findings` depends on, beside those of other modules.

    policy
        The host's policy (dict), as ``sshtrail.policy`` returns it.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.sources '{audit: false, rules: {groups: []}}'
    """
    return coverage_host.sources(policy)


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)


def _sources(policy):
    """Return the files of sshd's configuration, and the directories in which one more would count or did."""
    try:
        found = __salt__["sshd_config.sources"](policy["sshd"]["path"])
    except SaltException:
        return [policy["sshd"]["path"]]
    return [path for path in found["paths"] if path != found["binary"]]


def _log(conf):
    try:
        found = __salt__["auditd_conf.get"]("log_file", path=conf)
    except SaltException:
        found = None
    return found["value"] if found else reader.LOG
