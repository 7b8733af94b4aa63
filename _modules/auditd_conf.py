"""
Read, check and change ``auditd.conf``, and have the running audit daemon take it up.

:depends: auditd. The keywords of auditd 3.0 to 4.2 are known, see auditd.conf(5).
"""

import sshtrail_lib
from salt.exceptions import SaltInvocationError

sshtrail_lib.refresh()

from sshtrail_lib.auditd import host as auditd_host
from sshtrail_lib.auditd import language as auditd_language
from sshtrail_lib.auditd import suspension
from sshtrail_lib.base import minion

__func_alias__ = {"set_": "set"}


def get(keyword, path=auditd_language.PATH):
    """
    Return the value of a keyword as written, and where.

    keyword
        The keyword (str); case does not matter.
    path
        The configuration file (str).

    Returns ``{"value": str, "file": str, "line": int}``, or None when no line sets it. Raises
    SaltInvocationError for an unknown keyword. Source: auditd.conf(5).

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.get max_log_file_action
    """
    return auditd_host.get(_minion(), keyword, path)


def check(path=auditd_language.PATH):
    """
    Return everything for which the installed auditd would not start with this file, or would not do what it says, and
    each value that it takes otherwise than it is written.

    path
        The configuration file (str).

    Returns a list of ``{"line": int, "keyword": str, "reason": str}``, empty when all is well; line 0 stands for
    the file as a whole. Touches nothing. Source: auditd.conf(5), and the installed auditd's own parser.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.check
    """
    found = auditd_host.check(_minion(), path)
    return [{"line": problem.line, "keyword": problem.keyword, "reason": problem.reason} for problem in found]


def diff(config=None, path=auditd_language.PATH, remember=False):
    """
    Return what :func:`set` would change, in the file and in the daemon; touches nothing.

    config
        Keywords and values (dict): int, str, bool for yes and no, None for no such line. Empty: only the daemon
        is looked at.
    path
        The configuration file (str).
    remember
        Remember what stood there before, for :func:`forget`, and give back what an earlier call with this changed and
        this one does not ask for (bool).

    Returns ``{keyword: {"old": str or None, "new": str or None}}``, and under the key ``auditd`` what becomes of the
    running daemon, when it has to take the file up: ``reloaded`` or ``restarted``. Raises SaltInvocationError for
    bad arguments, CommandExecutionError where auditd would refuse the result, and
    :class:`sshtrail_lib.base.state.NotInstalled` where there is no such file.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.diff '{max_log_file: 50}'
    """
    return auditd_host.diff(_minion(), config or {}, path, remember)


def set_(keyword=None, value=None, config=None, path=auditd_language.PATH, remember=False):
    """
    Set one keyword, or several at once, and have the running daemon take them up.

    keyword, value
        One keyword (str) and its value, as in ``config``.
    config
        Instead: keywords and values (dict), as for :func:`diff`.
    path, remember
        As for :func:`diff`.

    The daemon is reloaded where that serves and restarted where it does not, and has to prove in its log that it
    did so. One change is made at a time, a backup of the old file is kept (``file.list_backups`` has it), and a change
    that was interrupted is undone by the next one. Returns the changes as :func:`diff` predicts them. Raises as
    :func:`diff`, and :class:`sshtrail_lib.auditd.host.DaemonFailed` when auditd did not take the file up: the old file
    is then back, and auditd works with it again.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.set max_log_file 50
        salt '*' auditd_conf.set config='{max_log_file: 50, max_log_file_action: keep_logs}'
    """
    if (keyword is None) == (config is None) or (keyword is None) != (value is None):
        raise SaltInvocationError("auditd_conf.set needs either a keyword with its value, or config.")
    if not (keyword is None or isinstance(keyword, str)):
        raise SaltInvocationError(f"keyword takes text, not {keyword!r}.")
    return auditd_host.change(_minion(), {keyword: value} if config is None else config, path, remember)


def forget(path=auditd_language.PATH, test=False):
    """
    Leave nothing of what :func:`set` with ``remember`` changed, and have the running daemon take that up.

    path
        The configuration file (str).
    test
        Only tell what would change (bool).

    The file is again what it was before; what others have changed since stays. Returns the changes as :func:`diff`,
    empty when nothing is remembered. Raises as :func:`set`.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.forget test=True
    """
    return auditd_host.forget(_minion(), path, test)


def reload(path=auditd_language.PATH, always=False):
    """
    Have the running daemon take up the file as it is, where it has not.

    path
        The configuration file (str).
    always
        Whether also where it has (bool): it reads what lies beside the file then, such as the files of its plugins.

    Returns the changes as :func:`diff`; empty when there was nothing to do. Raises as :func:`set`.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.reload
    """
    return auditd_host.change(_minion(), {}, path, always=always)


def status(path=auditd_language.PATH):
    """
    Return how the kernel's audit daemon stands to this file.

    path
        The configuration file (str).

    Returns ``{"pid": int, "reads": bool, "current": bool, "note": str}``: 0 for no daemon; whether it is an auditd
    that works with this file; whether it has read what the file holds now; why it does not read it.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.status
    """
    return auditd_host.status(_minion(), path)


def suspended(path=auditd_language.PATH):
    """
    Return what is known of an auditd that has suspended its log (dict), None when it has not.

    path
        The configuration file that it works with (str).

    Keys: ``pid`` (int), ``log`` (str), ``since`` (str, ISO 8601 in UTC: the last event in the log; None when that is
    gone), ``serial`` (int, the number of that event), ``free`` and ``needs`` (int, bytes), ``room`` (bool: it would go
    on), ``lost`` (int, the kernel's count, in which what auditd drops is not) and ``said`` (str, a sentence). Touches
    nothing.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.suspended
    """
    return suspension.found(_minion(), path)


def resume(path=auditd_language.PATH):
    """
    Have an auditd that has suspended its log go on (SIGUSR2), and prove it by a message of ours in the log.

    path
        As for :func:`suspended`.

    Returns a dict, empty when it was not suspended: ``since`` when it recorded nothing (str or None), how many
    ``events`` were lost (int, None when nobody can tell) and ``said`` (str, a sentence). Raises
    :class:`sshtrail_lib.auditd.suspension.Suspended` when there is no room, or when it does not go on.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.resume
    """
    return suspension.resume(_minion(), path)


def resumed(since=None, serial=None, path=auditd_language.PATH):
    """
    Return what was lost while auditd was suspended (dict, as :func:`resume`), whoever had it go on.

    since, serial
        What :func:`suspended` told then (str and int, or None).
    path
        As for :func:`suspended`.

    CLI Example:

    .. code-block:: bash

        salt '*' auditd_conf.resumed 2026-11-25T19:31:45.198Z 8460
    """
    return suspension.resumed(path, since, serial)


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)
