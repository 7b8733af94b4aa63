"""
Read, check and change ``sshd_config`` and everything it includes, as sshd itself understands it.

A change is one transaction: the whole tree as it will be passes sshd's own test before anything is written,
and afterwards the listener answers, or the old files are back.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.sshd import asked as sshd_asked
from sshtrail_lib.sshd import host as sshd_host
from sshtrail_lib.sshd.running import DEFAULT

__func_alias__ = {"set_": "set", "apply_": "apply"}


def __virtual__():
    return "sshd_config"


def get(keyword, match=None, path=DEFAULT):
    """
    Return a keyword as it is written, and where.

    keyword
        The keyword, in any case (str).
    match
        The criteria of a Match block (str), for what is written there; without it the global part.
    path
        The main configuration file (str).

    Returns a dict with ``value`` (str as written, a list of them where every line adds), ``file`` and ``line`` of
    the line that decides, or None when no line sets it. See sshd_config(5).

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.get LogLevel
        salt '*' sshd_config.get X11Forwarding match='User bob'
    """
    return sshd_host.get(_minion(), keyword, match, path)


def effective(user=None, host=None, addr=None, laddr=None, lport=None, path=DEFAULT):
    """
    Return what sshd will do: each keyword, its value, and the line that decides it.

    user, host, addr, laddr
        A connection to answer for: account, client's name and address, this end's address (str).
    lport
        This end's port (int).
    path
        The main configuration file (str).

    A Match criterion on what is not given is not met, as for ``sshd -T -C``; with none of the first five the answer is
    that of plain ``sshd -T``.

    Returns ``{keyword: {"value", "file", "line", "default", "shadowed"}}``: the value is spelled as ``sshd -T``
    spells it, and a list where that prints one line for each item; ``file`` and ``line`` are None and ``default``
    is True where sshd's own default is in force; ``shadowed`` lists ``{"file", "line"}`` of lines without effect.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.effective
        salt '*' sshd_config.effective user=bob addr=192.0.2.1
    """
    return sshd_host.effective(_minion(), path, user=user, host=host, addr=addr, laddr=laddr, lport=lport)


def check(path=DEFAULT):
    """
    Return every problem for which sshd would refuse a configuration, includes and all (list of dict); where there is
    none, the lines without effect because the command line of the running sshd decides their keyword.

    path
        The main configuration file (str).

    Each has ``file``, ``line``, ``column``, ``text`` and ``reason``; an empty list means that sshd accepts it. The
    installed sshd has the last word (``sshd -t``); what this module finds by itself says where.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.check
    """
    return sshd_host.check(_minion(), path)


def set_(keyword, value, match=None, path=DEFAULT, shadowed="fix", exact=True, admins=None, force=False):
    """
    Make a value of a keyword effective, in one transaction, and return the changes.

    keyword
        The keyword, in any case (str).
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

    Returns ``{keyword: {"old": …, "new": …}}``, empty when it was so already. Raises SaltInvocationError for an
    impossible keyword or value, CommandExecutionError when sshd refuses; nothing is changed then.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.set LogLevel VERBOSE
        salt '*' sshd_config.set X11Forwarding no match='User bob'
    """
    options = {"path": path, "shadowed": shadowed, "exact": exact, "admins": admins, "force": force}
    return sshd_host.apply(_minion(), sshd_asked.one_value(keyword, value, match, **options))


def unset(keyword, match=None, path=DEFAULT, shadowed="fix", admins=None, force=False):
    """
    Return a keyword to sshd's default by removing every line that sets it, and return the changes.

    keyword, match, path, shadowed, admins, force
        As for :func:`set <sshd_config.set_>`. With ``match`` only that Match block is changed; it goes when empty.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.unset MaxAuthTries
    """
    options = {"path": path, "shadowed": shadowed, "admins": admins, "force": force}
    return sshd_host.apply(_minion(), sshd_asked.one_keyword(keyword, None, match, **options))


def diff(
    config=None,
    matches=None,
    path=DEFAULT,
    shadowed="fix",
    exact=True,
    admins=None,
    force=False,
    lowered="remove",
    remember=False,
    beside=None,
):
    """
    Return what :func:`apply <sshd_config.apply_>` would change, and touch nothing.

    config
        ``{keyword: value}`` of the global part; None as a value is sshd's default (dict).
    matches
        A list of ``{criteria: {keyword: value}}``, one for each Match block.
    path, shadowed, exact, admins, force
        As for :func:`set <sshd_config.set_>`.
    lowered
        What to do where ``config`` has a LogLevel and a Match block that is not in ``matches`` lowers it for some:
        ``remove`` that line, or ``keep`` it.
    remember
        Remember what stood there before, for :func:`forget`, and give back what an earlier call with this changed and
        this one does not ask for (bool).
    beside
        What other states of the same run ask of this file, as they give it (dict, or None).

    Returns ``{keyword: {"old": …, "new": …}}`` with effective values, ``keyword (Match criteria)`` for those of a
    Match block, and one key ``sshd`` when the running daemon has not read the present files. Raises
    :class:`sshtrail_lib.base.state.NotInstalled` when there is no sshd or no configuration file.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.diff '{LogLevel: VERBOSE, SyslogFacility: AUTHPRIV}'
    """
    asked = sshd_asked.Asked(path, config, matches, shadowed, exact, admins, force, lowered, remember, beside)
    return sshd_host.diff(_minion(), asked)


def apply_(
    config=None,
    matches=None,
    path=DEFAULT,
    shadowed="fix",
    exact=True,
    admins=None,
    force=False,
    lowered="remove",
    remember=False,
    beside=None,
):
    """
    Bring sshd to a mapping of keywords in one transaction, and return the changes.

    config, matches, path, shadowed, exact, admins, force, lowered, remember, beside
        As for :func:`diff`.

    The whole tree as it will be must pass ``sshd -t`` and ``sshd -T``; then the files are replaced (with backups, see
    ``file.list_backups``), the running listener reloads, and must greet on every ListenAddress and Port. If it does
    not, the old files are put back, sshd is started again, and ListenerError tells why. Where no sshd runs with this
    file only the files are changed.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.apply '{LogLevel: VERBOSE, X11Forwarding: no}'
    """
    asked = sshd_asked.Asked(path, config, matches, shadowed, exact, admins, force, lowered, remember, beside)
    return sshd_host.apply(_minion(), asked)


def forget(path=DEFAULT, test=False):
    """
    Leave nothing of what :func:`apply <sshd_config.apply_>` with ``remember`` changed, and return the changes.

    path
        The main configuration file (str).
    test
        Only tell what would change (bool).

    Each file is again what it was before, and sshd works with that; what others have changed since stays. Returns
    ``{file or keyword: {"old": …, "new": …}}``, empty when nothing is remembered. Errors are those of ``apply``;
    nothing is changed then.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.forget test=True
    """
    return sshd_host.forget(_minion(), path, test)


def reload(path=DEFAULT):
    """
    Have the running sshd read its configuration again, and return where it answers then (list of str).

    path
        The main configuration file (str).

    Sessions go on. Raises an error, before sshd is told, where it would refuse the files; and where it does not answer
    afterwards. Empty where no sshd runs with this file.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.reload
    """
    return sshd_host.reload(_minion(), path)


def listening(path=DEFAULT):
    """
    Return the pid (int) of the running sshd that listens with the configuration file ``path`` (str), or None.

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.listening
    """
    return sshd_host.listening(_minion(), path)


def sources(path=DEFAULT):
    """
    Return what an answer about sshd depends on (dict), so that a caller can tell whether anything changed.

    path
        The main configuration file (str).

    Keys: ``paths`` (list of str: every file of the tree, each directory in which a new one would be included, sshd
    itself), ``binary`` (str, None without sshd), ``pidfile`` (str, ``none`` for none) and ``endpoints`` (list of str,
    ``ADDRESS:PORT``: where it listens).

    CLI Example:

    .. code-block:: bash

        salt '*' sshd_config.sources
    """
    return sshd_host.sources(_minion(), path)


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)
