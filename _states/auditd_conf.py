"""
Keep ``auditd.conf`` as asked, and the running audit daemon working with it.

.. code-block:: yaml

    /etc/audit/auditd.conf:
      auditd_conf.managed:
        - config:
            max_log_file: 50
            max_log_file_action: keep_logs
            space_left_action: email
"""

import sshtrail_lib
from salt.exceptions import CommandExecutionError

sshtrail_lib.refresh()

from sshtrail_lib.auditd import language as auditd_language
from sshtrail_lib.base import state


def present(name, value, path=auditd_language.PATH):
    """
    Have one keyword set.

    name
        The keyword (str); case does not matter.
    value
        int, str, or bool for yes and no.
    path
        The configuration file (str).

    See :func:`managed` for the changes and the errors. Source: auditd.conf(5).

    .. code-block:: yaml

        max_log_file:
          auditd_conf.present:
            - value: 50
    """
    return _bring(name, {name: value}, path)


def managed(name, config, remember=False):
    """
    Have several keywords set, in one step.

    name
        The configuration file (str).
    config
        Keywords and values (dict): int, str, bool for yes and no, None for no such line.
    remember
        Remember what stood there before, for :func:`forgotten`, and give back what this state changed earlier and does
        not ask for any more (bool).

    ``changes`` names each keyword with its old and new value as written, and under ``auditd`` whether the running
    daemon has to be reloaded or restarted for it. Fails, with nothing changed, where auditd would refuse the result;
    fails with the old file in force where the daemon did not take it up. Source: auditd.conf(5).
    """
    return _bring(name, config, name, remember)


def forgotten(name):
    """
    Leave nothing of what :func:`managed` with ``remember`` changed.

    name
        The configuration file (str).

    The file is again what it was before, and the running daemon works with it; what others have changed since stays.
    """

    def plan():
        return __salt__["auditd_conf.forget"](name, test=True), f"Nothing is remembered of {name}."

    return state.bring(name, __opts__["test"], plan, lambda: __salt__["auditd_conf.forget"](name))


def writing(name=auditd_language.PATH, full="resume"):
    """
    Have auditd write its log, where it has suspended that: because the volume was full, or for another action.

    name
        The configuration file that it works with (str).
    full
        ``resume``: have it go on when there is room. ``leave``: fail, and leave it to a person.

    ``changes`` has ``auditd``; the comment tells since when nothing was recorded, and how many events were lost. Fails
    while there is no room. Where no auditd runs there is nothing to do. Source: auditd(8), SIGUSR2.

    .. code-block:: yaml

        /etc/audit/auditd.conf:
          auditd_conf.writing:
            - full: resume
    """
    done = []
    ret = state.bring(
        name,
        __opts__["test"],
        lambda: _plan_writing(name, full),
        lambda: done.append(__salt__["auditd_conf.resume"](name)),
    )
    for lost in filter(None, done if ret["result"] else []):
        ret["comment"] = lost["said"]
    return ret


def _plan_writing(path, full):
    found = __salt__["auditd_conf.suspended"](path)
    if not found:
        return {}, "No auditd that works with this file has suspended its log."
    if full != "resume" or not found["room"]:
        raise CommandExecutionError(found["said"])
    return {"auditd": {"old": "suspended", "new": "writes its log"}}, found["said"]


def _bring(name, config, path, remember=False):
    done = state.bring(
        name,
        __opts__["test"],
        lambda: _plan(config, path, remember),
        lambda: __salt__["auditd_conf.set"](config=config, path=path, remember=remember),
    )
    return state.twice(done, __opts__["test"], __salt__["sshtrail_watch.again"], path)


def _plan(config, path, remember):
    changes = __salt__["auditd_conf.diff"](config, path, remember)
    return changes, f"To be changed: {', '.join(changes)}." if changes else _comment(path)


def _comment(path):
    daemon = __salt__["auditd_conf.status"](path)
    if not daemon["reads"]:
        return f"Only the file {path} counts here. {daemon['note']}"
    return f"auditd (pid {daemon['pid']}) works with {path}."


def mod_watch(name, sfun=None, path=auditd_language.PATH, **kwargs):
    """
    Have auditd read its configuration again, for something that the state watches has changed.

    name
        The configuration file (str), or the keyword of :func:`present`.
    sfun, kwargs
        The state's function and its other arguments, as Salt gives them.
    path
        As for :func:`present`.

    It does so also where it has read this file as it is: what is watched lies beside it, such as a plugin's file. Fails
    where auditd does not confirm it.
    """
    file = path if sfun == "present" else name
    reload, status = __salt__["auditd_conf.reload"], __salt__["auditd_conf.status"]
    return state.watched(
        name, __opts__["test"], "auditd", "reloaded", lambda: reload(file, always=True), lambda: status(file)["reads"]
    )
