"""
Keep keywords of ``sshd_config`` at the values they should have.

.. code-block:: yaml

    sshd logs what the audit trail needs:
      sshd_config.managed:
        - name: /etc/ssh/sshd_config
        - config:
            LogLevel: VERBOSE
            SyslogFacility: AUTHPRIV
        - matches:
            - User backup:
                X11Forwarding: no
"""

import sshtrail_lib

sshtrail_lib.refresh()

from salt.exceptions import SaltInvocationError
from sshtrail_lib.base import state
from sshtrail_lib.sshd import accounts, asked, beside
from sshtrail_lib.sshd.running import DEFAULT, OVERRULED

# Salt puts a run of states here, and the one of them that goes on; there is none where a function is called by itself.
__lowstate__ = ()
__low__ = {}


def __virtual__():
    return "sshd_config"


def present(name, value, match=None, path=DEFAULT, shadowed="fix", exact=True, admins=None, force=False):
    """
    Make a value of one keyword effective.

    name
        The keyword (str).
    value
        Text, a number, True or False for yes and no, or a list for a keyword that takes several.
    match
        The criteria of the Match block that it is for (str), such as ``User bob``; without it the global part.
    path
        The main configuration file (str).
    shadowed
        Where a line outside the main file decides: ``fix`` changes it there, ``drop_in`` writes a drop-in of our
        own before it, ``fail`` refuses; ``own`` puts everything into that file where sshd reads it first, and changes
        other files only where it must.
    exact
        For a list: True for exactly these items, False for at least these (bool).
    admins
        Accounts that must still be able to log in (list of str, or one str with commas); without any, somebody must.
    force
        Change it even though it may lock the administrator out (bool).

    See sshd_config(5).
    """
    if value is None:
        return _failed(name, f"{name} needs a value; sshd_config.absent returns it to sshd's default")
    return _bring(name, path, match, value, shadowed=shadowed, exact=exact, admins=admins, force=force)


def absent(name, match=None, path=DEFAULT, shadowed="fix", admins=None, force=False):
    """
    Return one keyword to sshd's default: no line sets it.

    name, match, path, shadowed, admins, force
        As for :func:`present`. With ``match`` only that Match block is changed; it goes when it is empty.
    """
    return _bring(name, path, match, None, shadowed=shadowed, admins=admins, force=force)


def managed(
    name,
    config=None,
    matches=None,
    shadowed="fix",
    exact=True,
    admins=None,
    force=False,
    lowered="remove",
    remember=False,
):
    """
    Bring all the keywords of a mapping to their values, in one transaction.

    name
        The main configuration file (str).
    config
        ``{keyword: value}`` of the global part; None as a value is sshd's default (dict).
    matches
        A list of ``{criteria: {keyword: value}}``, one for each Match block.
    shadowed, exact, admins, force
        As for :func:`present`.
    lowered
        What to do where ``config`` has a LogLevel and a Match block that is not in ``matches`` lowers it for some:
        ``remove`` that line, or ``keep`` it.
    remember
        Remember what stood there before, for :func:`forgotten`, and give back what this state changed earlier and does
        not ask for any more (bool).

    All other keywords that it does not name stay as they are.
    """
    options = {"lowered": lowered, "path": name, "shadowed": shadowed, "exact": exact, "admins": admins, "force": force}
    return _run(name, config, matches, {**options, "remember": remember})


def forgotten(name):
    """
    Leave nothing of what :func:`managed` with ``remember`` changed.

    name
        The main configuration file (str).

    Each file is again what it was before; what others have changed since stays.
    """

    def plan():
        return __salt__["sshd_config.forget"](name, test=True), f"Nothing is remembered of {name}."

    return state.bring(name, __opts__["test"], plan, lambda: __salt__["sshd_config.forget"](name))


def _bring(name, path, match, value, **options):
    try:
        config, matches = asked.parts(name, value, match)
    except SaltInvocationError as exc:
        return _failed(name, exc.message)
    return _run(name, config, matches, {"path": path, "lowered": "keep", **options})


def _run(name, config, matches, options):
    options["beside"] = beside.asked(__lowstate__, __low__, options["path"], DEFAULT)

    def plan():
        changes = __salt__["sshd_config.diff"](config, matches, **options)
        return changes, _comment(changes, options["path"])

    def act():
        __salt__["sshd_config.apply"](config, matches, **options)

    done = state.bring(name, __opts__["test"], plan, act)
    if done["result"] is not False:
        told = [*asked.unrecorded(config), *asked.unguarded(options["admins"], accounts.unknown)]
        done["comment"] = " ".join([f"{done['comment'].rstrip('.')}.", *told]) if told else done["comment"]
    return state.twice(done, __opts__["test"], __salt__["sshtrail_watch.again"], options["path"])


def _comment(changes, path):
    if any(name.endswith(OVERRULED.format("")) for name in changes):
        return (
            "The running sshd was started with options, and its command line decides before any file does: change it "
            "where the service is started, and restart that"
        )
    if changes:
        return f"{', '.join(changes)} of sshd would change"
    pid = __salt__["sshd_config.listening"](path)
    return (
        f"sshd ({pid}) works with {path} as it should be" if pid else f"{path} is as it should be; no sshd runs with it"
    )


def _failed(name, comment):
    return {"name": name, "result": False, "changes": {}, "comment": comment}


def mod_watch(name, sfun=None, path=DEFAULT, **kwargs):
    """
    Have sshd read its configuration again, for something that the state watches has changed.

    name
        The main configuration file (str), or the keyword of :func:`present` and :func:`absent`.
    sfun, kwargs
        The state's function and its other arguments, as Salt gives them.
    path
        As for :func:`present`.

    Sessions go on. Fails where sshd would refuse the files: it is not told then.
    """
    main = name if sfun == "managed" else path
    reload, listening = __salt__["sshd_config.reload"], __salt__["sshd_config.listening"]
    return state.watched(
        name, __opts__["test"], "sshd", "reloaded", lambda: reload(main), lambda: listening(main) is not None
    )
