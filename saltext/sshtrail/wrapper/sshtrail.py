"""
What salt-ssh runs on the master in the place of the host's ``sshtrail`` functions: it gives them the pillar.

A function that salt-ssh runs on a host sees no pillar there. The host's whole policy is in it, and the SLS files, which
salt-ssh renders on the master, ask for the policy: each of these functions is the host's own of the same name, run
there with the part of the pillar that is ours.
"""

from salt.client.ssh.wrapper import FunctionWrapper

__virtualname__ = "sshtrail"

KEY = "sshtrail"


def __virtual__():
    return __virtualname__


def policy(*args, **kwargs):
    """
    See :py:func:`sshtrail.policy`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.policy
    """
    return _on_the_host("policy", args, kwargs)


def arguments(*args, **kwargs):
    """
    See :py:func:`sshtrail.arguments`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.arguments
    """
    return _on_the_host("arguments", args, kwargs)


def wanted(*args, **kwargs):
    """
    See :py:func:`sshtrail.wanted`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.wanted
    """
    return _on_the_host("wanted", args, kwargs)


def drift(*args, **kwargs):
    """
    See :py:func:`sshtrail.drift`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.drift
    """
    return _on_the_host("drift", args, kwargs)


def coverage(*args, **kwargs):
    """
    See :py:func:`sshtrail.coverage`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.coverage
    """
    return _on_the_host("coverage", args, kwargs)


def proof(*args, **kwargs):
    """
    See :py:func:`sshtrail.proof`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.proof
    """
    return _on_the_host("proof", args, kwargs)


def prove(*args, **kwargs):
    """
    See :py:func:`sshtrail.prove`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.prove
    """
    return _on_the_host("prove", args, kwargs)


def report(*args, **kwargs):
    """
    See :py:func:`sshtrail.report`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.report
    """
    return _on_the_host("report", args, kwargs)


def compliance(*args, **kwargs):
    """
    See :py:func:`sshtrail.compliance`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.compliance
    """
    return _on_the_host("compliance", args, kwargs)


def history(*args, **kwargs):
    """
    See :py:func:`sshtrail.history`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.history
    """
    return _on_the_host("history", args, kwargs)


def overview(*args, **kwargs):
    """
    See :py:func:`sshtrail.overview`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.overview
    """
    return _on_the_host("overview", args, kwargs)


def page(*args, **kwargs):
    """
    See :py:func:`sshtrail.page`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.page file=/root/trail.html
    """
    return _on_the_host("page", args, kwargs)


def removal(*args, **kwargs):
    """
    See :py:func:`sshtrail.removal`.

    CLI Example:

    .. code-block:: bash

        salt-ssh '*' sshtrail.removal
    """
    return _on_the_host("removal", args, kwargs)


def _on_the_host(name, args, kwargs):
    """Run the host's ``sshtrail`` function ``name`` there, with our pillar in the configuration of its Salt."""
    ours = {"pillar": {KEY: __pillar__.get(KEY, {})}, "ssh_merge_pillar": True}
    # Without the master's functions (wfuncs) among them, or this would call itself.
    host = FunctionWrapper(
        __salt__.opts,
        fsclient=__salt__.fsclient,
        mods=__salt__.mods,
        minion_opts={**(__salt__.minion_opts or {}), **ours},
        **__salt__.kwargs,
    )
    return host[f"sshtrail.{name}"](*args, **kwargs)
