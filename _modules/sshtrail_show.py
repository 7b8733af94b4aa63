"""
What people are shown of a host: the controls of standards, and the page. Each look for drift goes without this.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.compliance import look as compliance_look
from sshtrail_lib.page import overview as page_overview
from sshtrail_lib.page import site as page_site

__virtualname__ = "sshtrail_show"


def __virtual__():
    return __virtualname__


def controls(policy, framework=None, edition=None, search=True):
    """
    Return what :py:func:`sshtrail.compliance` tells (list of dict), by a policy that is given.

    policy
        The host's policy (dict), as ``sshtrail.policy`` returns it.
    framework, edition, search
        As for :py:func:`sshtrail.compliance`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.compliance
    """
    return compliance_look.compliance(_minion(), policy, framework, edition, search)


def overview(days=7):
    """
    Return what :py:func:`sshtrail.overview` tells (dict).

    days
        As for :py:func:`sshtrail.overview`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_show.overview
    """
    return page_overview.overview(_minion(), days)


def page(file, days=7, keep=0):
    """
    Write the page of this host, and return what was written (dict): :py:func:`sshtrail.page`.

    file, days, keep
        As for :py:func:`sshtrail.page`.

    CLI Example:

    .. code-block:: bash

        salt-call sshtrail_show.page /root/trail.html
    """
    page_site.check(file, days, keep)
    return page_site.of_a_host(_minion(), __salt__["sshtrail.condition"](refresh=False), file, days, keep)


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)
