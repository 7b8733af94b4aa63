"""
What the trail answers: who logged in, with which key, from where and what they did; and who changed the configuration.
"""

import time

import sshtrail_lib
from salt.exceptions import SaltException, SaltInvocationError

sshtrail_lib.refresh()

from sshtrail_lib.auditd import daemon as auditd_daemon
from sshtrail_lib.base import minion
from sshtrail_lib.drift import sessions as drift_sessions
from sshtrail_lib.rules import watches
from sshtrail_lib.trail import asked, author, blocks, reader, shown
from sshtrail_lib.trail import volume as trail_volume

__virtualname__ = "sshtrail_trail"

AUDITD_CONF = "/etc/audit/auditd.conf"


def __virtual__():
    return __virtualname__


def sessions(
    since=None,
    until=None,
    user=None,
    person=None,
    key=None,
    address=None,
    session=None,
    state=None,
    command=None,
    path=None,
    limit=None,
    commands=False,
    format="data",
    proof=True,
    logs=None,
):
    """
    Return who logged in by SSH (list of dict), in the order of the logins.

    since, until
        Sessions that had not ended before the one and had begun before the other: ``2h``, ``yesterday``, ``14:00``,
        ISO 8601. None for all that the logs hold.
    user
        The account (str), or its login id (auid).
    person
        Whom the policy names (``sshtrail:people``) for the key, the certificate or the account (str).
    key
        The fingerprint of the key, or how it begins (str).
    address
        Where it came from: an address or a network (str, ``192.0.2.0/24``).
    session
        The session's id, or the kernel's number of it (str).
    state
        ``open``, ``closed``, ``killed`` or ``lost`` (str).
    command, path
        A command that was run, a file that was changed and that a rule watches: a part of it, or a pattern (str).
    limit
        No more than the last so many (int).
    commands
        Whether to tell the commands (bool), and not just how many. With them come ``files``, ``survived`` and the
        changes of user that neither su nor sudo told of, which are empty without.
    format
        ``data``, ``table``, ``csv``, ``jsonl``, ``ecs`` (Elastic Common Schema) or ``ocsf`` (class 3002) (str).
    proof
        Whether to tell which records and lines are behind each statement (bool).
    logs
        Copied logs to read, instead of this host's (dict): ``audit``, ``sshd`` and ``journal`` (path or list of paths),
        ``zone`` (that of time stamps without one: ``UTC``, ``+02:00``, ``Europe/Berlin``) and ``host``.

    Each has ``id host user auid person from method key certificate started ended seconds state tty channels commands
    became files survived proof unknown``. What the logs cannot tell is None, and ``unknown`` says why. Raises
    SaltInvocationError for what cannot be asked, CommandExecutionError for a log that cannot be read.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.sessions since=2h
        salt web1 sshtrail_trail.sessions since=yesterday user=deploy command='*rm -rf*' commands=True
    """
    wanted = asked.between(since, until)
    about = {"user": user, "person": person, "key": key, "address": address}
    about |= {"session": session, "state": state, "command": command, "path": path}
    asked.written([], format)
    found = asked.sessions(_trail(logs), wanted, limit, commands, **about)
    return asked.written(found if proof else [{**one, "proof": {}} for one in found], format)


def session(id, format="text", logs=None):
    """
    Return one session from its beginning to its end: when, as whom, what and with which result.

    id
        Its id as :py:func:`sessions` tells it (str), or the kernel's number where only one session has it. Of logs of
        several hosts, two may have the same id: then ``HOST/ID``.
    format
        ``text`` for reading (str), or ``data`` (dict as of :py:func:`sessions`).
    logs
        As for :py:func:`sessions`.

    Raises CommandExecutionError where there is no such session.

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_trail.session 42@20261125T140307Z
    """
    found = asked.session(_trail(logs), id)
    return found if format == "data" else shown.transcript(found)


def failures(since=None, until=None, logs=None):
    """
    Return who did not come in (list of dict), most attempts first: grouped by source, user and method.

    since, until, logs
        As for :py:func:`sessions`.

    Keys: ``address``, ``user`` and ``method`` (str, None where sshd did not get that far), ``known`` (bool: whether
    there is such an account), ``count`` (int), ``first`` and ``last`` (str, ISO 8601 in UTC).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.failures since=yesterday
    """
    return asked.failures(_trail(logs), asked.between(since, until))


def summary(since=None, until=None, logs=None):
    """
    Return how much there was (dict): sessions and commands by ``person``, ``user``, ``key``, ``address`` and ``day``.

    since, until, logs
        As for :py:func:`sessions`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.summary since=7d
    """
    return asked.summary(_trail(logs), asked.between(since, until))


def notable(since=None, until=None, logs=None):
    """
    Return the sessions (list of dict, as of :py:func:`sessions`) that ``sshtrail:sessions:tell`` of the policy asks to
    be told of, each with the ``reasons`` why (list of str).

    since, until, logs
        As for :py:func:`sessions`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.notable since=7d
    """
    tell = __salt__["sshtrail.policy"]()["sessions"]["tell"]
    return asked.told_of(_trail(logs), asked.between(since, until), tell)


def logins(since=None, ids=None, commands=False):
    """
    Return the sessions of this host (list of dict, as of :py:func:`sessions`), each with the ``pid`` (int) that serves
    it: what :py:func:`sshtrail_watch.tick` compares with what it has told.

    since
        As for :py:func:`sessions`.
    ids
        Which sessions (list of str), all when None.
    commands
        Whether to tell the commands (bool); else ``commands`` is None.

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_trail.logins since=10m
    """
    return asked.logins(_trail(None), asked.between(since, None).since, ids, commands)


def first_logins():
    """
    Return the first session of each account that the logs of this host hold (dict of the account to the session's id).

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_trail.first_logins
    """
    return asked.first_logins(_trail(None))


def tell(known):
    """
    Tell the master what is new of notable logins, and return what is known of them then (dict).

    known
        What :py:func:`sshtrail_watch.tick`, which alone calls this, remembers (dict).

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_watch.tick
    """
    return drift_sessions.tell(_minion(), known)


def log():
    """
    Return the file (str) that auditd writes the audit log to.

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_trail.log
    """
    return _log(__salt__["sshtrail.policy"]()["auditd"]["path"])


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
    places = reader.Places(_sources(policy), conf, _logs(conf) if policy["audit"] else ())
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


def volume(days=7, path=None):
    """
    Return what fills the audit log, and for how long there is room (dict).

    days
        How many days are looked at, back from now (float); None for all that there is.
    path
        The audit log, or a directory of copies (str); the one that auditd writes when None.

    ``oldest`` and ``newest`` (ISO 8601 in UTC) are the first and the last record at hand; ``bytes_per_day`` and
    ``events_per_day`` (int) the rate; ``by_key``, ``by_program`` and ``by_person`` (lists of dict with ``name``,
    ``bytes`` and ``events`` a day, and ``share``) what it is made of: the key of the rule that asked for a record (or
    its type, where no rule did), the program, and who had logged in. ``full_in_days`` (float) is when the log's file
    system is full at this rate: with ``max_log_file_action = keep_logs`` nothing is ever deleted. ``advice`` (list of
    str) says what to do about what floods.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_trail.volume
        salt '*' sshtrail_trail.volume days=1
    """
    now = time.time()
    since = None if days is None else now - _days(days) * 86400
    if path:
        return trail_volume.volume([path], since)
    return trail_volume.volume(blocks.rotated(_log(AUDITD_CONF)), since, until=now)


def _days(value):
    try:
        return float(value)
    except (TypeError, ValueError):
        raise SaltInvocationError(f"days must be a number, and not {value!r}") from None


def _trail(logs):
    """Return the trail that is asked: of copied logs, or of this host as its policy has them."""
    policy = __salt__["sshtrail.policy"]() if logs is None or __pillar__.get("sshtrail") else {"people": {}}
    if logs is not None:
        return asked.Trail(asked.of_copies(logs), policy["people"])
    files = policy["sshd"]["logs"].values()
    return asked.Trail(asked.of_this_host(_log(policy["auditd"]["path"]), files, __opts__["id"]), policy["people"])


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


def _logs(conf):
    """Return the log, and where auditd writes in its place: who took it away is told there (list of str)."""
    log = _log(conf)
    return list(filter(None, (log, auditd_daemon.instead(log))))
