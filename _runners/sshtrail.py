"""
The fleet's SSH audit policies, from the master: how each host stands, a rollout that stops in time, repairs of drift.
"""

import sshtrail_lib

sshtrail_lib.refresh()

from sshtrail_lib.fleet import audit as fleet_audit
from sshtrail_lib.fleet import heartbeats as fleet_heartbeats
from sshtrail_lib.fleet import master, served, shown
from sshtrail_lib.fleet import repairs as fleet_repairs
from sshtrail_lib.fleet import rollout as fleet_rollout
from sshtrail_lib.fleet import sessions as fleet_sessions
from sshtrail_lib.fleet import standing as fleet_standing
from sshtrail_lib.page import site as page_site
from sshtrail_lib.trail import shown as trail_shown

__virtualname__ = "sshtrail"


def __virtual__():
    return __virtualname__


def _master():
    return master.Master(__opts__, __salt__, [])


def _names(site, tgt, tgt_type, by_hand):
    names = site.minions(tgt, tgt_type)
    if by_hand:
        # Nobody at all would be in policy, and a typing error a success.
        shown.demand(names, tgt, tgt_type)
    return names


def _waiting(site, by_hand, names, timeout):
    what = f"the answers of {len(names)} minions, {timeout} s each at most"
    return shown.waiting(by_hand and not __opts__.get("quiet"), what, site.waits)


def _answer(data, status, text=None, states=None):
    __context__["retcode"] = status
    return shown.answer(__opts__, globals().get("__jid_event__"), data, status, text, states)


@shown.refusing
def fleet(tgt="*", tgt_type="glob", batch=None, timeout=60, table=None):
    """
    Return how every minion stands to its policy: one publish for all of them, nothing is touched.

    tgt, tgt_type
        Which minions (str), as for ``salt`` itself.
    batch
        Ask so many at a time (int), or such a share (str, ``10%``), instead of all at once.
    timeout
        How long to wait for an answer, in seconds (int).
    table
        True for a table (str), False for data (dict of minion id to ``environment``, ``digest``, ``standing``,
        ``looked`` and ``differences``). Without it, ``salt-run`` without ``--out`` shows the table, and all else gets
        the data.

    ``standing`` is ``in policy``, ``waits for a reboot``, ``sshd is full``, ``not watched`` (nothing differs, and
    nobody would notice if it did), ``differs``, ``no policy`` (its pillar is wrong), ``no modules`` (never synced) or
    ``no answer``. ``looked`` is how many seconds ago it has looked at itself (int), None for never.

    ``salt-run`` ends with 1 where a host needs something more (it differs, is silent, has no policy …), and tells on
    stderr that it waits. ``--out=highstate`` shows one state for each host. Where the repairs of all hosts wait for a
    process of the master that gives no sign of life, stderr tells which, and the status is 1.

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.fleet
        salt-run sshtrail.fleet 'web*' batch=10% --out=json
    """
    site = _master()
    by_hand = shown.by_hand(__opts__, "sshtrail.fleet")
    names = _names(site, tgt, tgt_type, by_hand)
    try:
        with _waiting(site, by_hand, names, timeout):
            rows = fleet_heartbeats.fleet(site, names, batch, timeout)
    except shown.INTERRUPTS:
        return _answer({"Error": "Interrupted; nobody was touched."}, shown.INTERRUPTED)
    if not by_hand:
        return fleet_standing.table(rows) if table else rows
    stuck = shown.warning(__opts__, fleet_repairs.stuck(site))
    status = 0 if all(map(fleet_standing.good, rows.values())) and not stuck else shown.FAILED
    text = None if table is False else fleet_standing.table(rows)
    return _answer(rows, status, text, shown.states(rows, fleet_standing.good))


@shown.refusing
def roots():
    """
    Return this master's ``file_roots`` and ``pillar_roots`` with the SLS files and the pillar of this project (dict).

    They lie in the wheel, or in the checkout. The answer is a configuration: as YAML it goes into a file of
    ``/etc/salt/master.d``. Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.roots --out=yaml > /etc/salt/master.d/sshtrail.conf
    """
    return served.roots(__opts__)


@shown.refusing
def compliance(tgt="*", tgt_type="glob", framework=None, edition=None, format=None, file=None, batch=None, timeout=120):
    """
    Return how every minion stands to the controls of standards: one publish for all of them, nothing is touched.

    tgt, tgt_type
        Which minions (str), as for ``salt`` itself.
    framework, edition
        Which framework (str), and which edition of it (str), as for :py:func:`sshtrail.compliance` on a host; each
        host's own by default.
    format
        ``table``, ``data`` (dict of minion id to its rows, or to why there are none), ``csv``, ``ocsf`` (Compliance
        Findings, class 2003, one JSON object a line) or ``cklb`` (checklists of STIG Viewer 3) (str). Without it,
        ``salt-run`` without ``--out`` shows the table, and all else gets the data.
    file
        Where to write it (str, absolute path), for root alone; for ``cklb`` a directory. Then the path is returned.
    batch
        Ask so many at a time (int), or such a share (str, ``10%``), instead of all at once.
    timeout
        How long to wait for an answer, in seconds (int).

    A minion that does not answer has a row that says so. ``salt-run`` ends with 1 where a control fails or a minion
    told nothing, and tells on stderr that it waits. ``--out=highstate`` shows one state for each control. Raises
    SaltInvocationError for a format that there is not.

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.compliance
        salt-run sshtrail.compliance 'web*' framework=pci_dss format=csv file=/root/pci.csv
        salt-run sshtrail.compliance framework=stig format=cklb file=/root/checklists
    """
    by_hand = shown.by_hand(__opts__, "sshtrail.compliance")
    form = format or ("table" if by_hand and not __opts__.get("output") else "data")
    fleet_audit.check(form, file, framework)
    site = _master()
    names = _names(site, tgt, tgt_type, by_hand)
    with _waiting(site, by_hand, names, timeout):
        found = fleet_audit.compliance(site, names, framework, edition, batch, timeout)
    answer = fleet_audit.written(found, form, file)
    if not by_hand:
        return answer
    states = fleet_audit.states(found) if __opts__.get("output") == "highstate" and file is None else None
    return _answer(answer, fleet_audit.status(found), answer if isinstance(answer, str) else None, states)


@shown.refusing
def sessions(
    tgt="*",
    tgt_type="glob",
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
    commands=None,
    format=None,
    file=None,
    batch=None,
    timeout=120,
):
    """
    Return who logged in by SSH to the hosts of the fleet: one publish for all of them, nothing is touched.

    tgt, tgt_type
        Which minions (str), as for ``salt`` itself.
    since, until, user, person, key, address, session, state, command, path, limit, commands
        As for :py:func:`sshtrail_trail.sessions` on a host; ``limit`` is of each host.
    format
        ``table``, ``data`` (dict with ``sessions``, list of dict, and ``untold``, why a minion told none), ``csv``,
        ``jsonl``, ``ecs`` or ``ocsf`` (str). Without it, ``salt-run`` without ``--out`` shows the table, and all else
        gets the data.
    file
        Where to write it (str, absolute path), for root alone. Then the path is returned.
    batch
        Ask so many at a time (int), or such a share (str, ``10%``), instead of all at once.
    timeout
        How long to wait for an answer, in seconds (int).

    ``salt-run`` ends with 1 where a minion has told nothing; table and data name it.

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.sessions since=2h
        salt-run sshtrail.sessions 'web*' since=yesterday user=deploy
        salt-run sshtrail.sessions since=7d format=ocsf file=/root/logins.jsonl
    """
    by_hand = shown.by_hand(__opts__, "sshtrail.sessions")
    form = format or ("table" if by_hand and not __opts__.get("output") else "data")
    fleet_sessions.check(form, file)
    site = _master()
    names = _names(site, tgt, tgt_type, by_hand)
    about = {"since": since, "until": until, "user": user, "person": person, "key": key, "address": address}
    about |= {"session": session, "state": state, "command": command, "path": path, "limit": limit}
    with _waiting(site, by_hand, names, timeout):
        found = fleet_sessions.sessions(site, names, batch, timeout, commands=commands, **about)
    told = fleet_sessions.written(found, form, file)
    if not by_hand:
        return told
    return _answer(told, shown.FAILED if found.untold else 0, told.rstrip("\n") if isinstance(told, str) else None)


@shown.refusing
def session(host, id, timeout=120):
    """
    Return one session of a host from its beginning to its end: when, as whom, what and with which result.

    host
        The minion (str).
    id
        The session's id (str), as :py:func:`sessions` tells it, or the kernel's number of it.
    timeout
        How long to wait for the answer, in seconds (int).

    ``salt-run`` without ``--out`` shows it as text, and all else gets the data (dict).

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.session web1 42@20261125T140307Z
    """
    told = fleet_sessions.session(_master(), str(host), str(id), timeout)
    if not shown.by_hand(__opts__, "sshtrail.session"):
        return told
    return _answer(told, 0, trail_shown.transcript(told))


@shown.refusing
def page(file, tgt="*", tgt_type="glob", days=7, keep=0, batch=None, timeout=120):
    """
    Write the page that people look at: one HTML file of the whole fleet, without anything from a network.

    file
        Where it goes (str, absolute path), for root alone.
    tgt, tgt_type
        Which minions (str), as for ``salt`` itself.
    days
        How far back sessions, failures and changes go (int, from 1 to 92).
    keep
        For how many days a copy of each day is kept beside it (int), 0 for none.
    batch
        Ask so many at a time (int), or such a share (str, ``10%``), instead of all at once.
    timeout
        How long to wait for an answer, in seconds (int).

    Returns a dict: ``file`` (str), ``bytes`` and ``hosts`` (int), and ``silent`` (list of str: who told nothing; each
    has a row that says so). Nothing is touched on the hosts. ``salt-run`` ends with 1 where a minion told nothing, and
    tells on stderr that it waits. Raises SaltInvocationError for a path or a number that cannot be.

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.page file=/root/trail.html
        salt-run sshtrail.page file=/var/lib/sshtrail/trail.html days=1 keep=31
    """
    page_site.check(file, days, keep)
    site, by_hand = _master(), shown.by_hand(__opts__, "sshtrail.page")
    names = _names(site, tgt, tgt_type, by_hand)
    with _waiting(site, by_hand, names, timeout):
        made = page_site.of_a_fleet(site, names, file, days, keep, batch, timeout)
    return _answer(made, shown.FAILED if made["silent"] else 0) if by_hand else made


@shown.refusing
def watch():
    """
    Take in the heartbeats of all hosts, and tell of those that have fallen silent (dict of minion id to why, str).

    A host that has to look for drift and does not (no heartbeat, looks that fail or do not come to an end, a wrong
    pillar) is told by the event ``sshtrail/drift/silent``, once, and by ``…/heard`` when it is back. For the master's
    schedule, every minute; nobody is asked, all of it lies on the master's disk.

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.watch
    """
    return fleet_heartbeats.watch(_master())


@shown.refusing
def rollout(environment, tgt="*", tgt_type="glob", canary=1, batch="25%", timeout=600):
    """
    Bring the hosts of an environment to their policy in steps: all pillars first, canaries, then batches.

    environment
        Its name (str), or several in order (list of str): the next begins when the one before is complete.
    tgt, tgt_type
        Only these minions (str), as for ``salt`` itself.
    canary
        How many hosts go first (int), or which (list of str).
    batch
        How many of the rest go at a time (int), or which share of all (str, ``25%``).
    timeout
        How long a step may take, in seconds (int).

    Nothing is touched when a host's pillar is wrong. Each step syncs the modules, runs ``state.apply sshtrail`` and
    looks at the hosts again: files, kernel, daemons and sshd's banner. The first step with a host that is not in its
    policy then is the last. Hosts that are in their policy already are left out, so the same command goes on after a
    stop.

    Returns a summary (dict): ``result`` (bool), ``why`` it stopped (str) and for each host under ``minions`` its
    ``step`` and the ``policy`` that it is on; for several environments, a dict of these. With ``Error`` (str) when it
    did not complete, which an orchestration takes for a failure; ``salt-run`` ends with 1 then, and with 130 where
    somebody has pressed Ctrl-C. Progress goes to stderr, the log and events
    (``sshtrail/rollout``).

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.rollout dev
        salt-run sshtrail.rollout prod canary='[web1]' batch=10%
    """
    names = environment if isinstance(environment, list) else [environment]
    try:
        done = master.roll_out(_master(), names, tgt, tgt_type, canary=canary, batch=batch, timeout=timeout)
    except shown.INTERRUPTS:
        told = {"Error": "Interrupted; what has begun goes on. Run it again to go on from there."}
        return _answer(told, shown.INTERRUPTED)
    found = fleet_rollout.answer(done, several=isinstance(environment, list))
    status = 0 if fleet_rollout.complete(done) else shown.FAILED
    if not shown.by_hand(__opts__, "sshtrail.rollout"):
        __context__["retcode"] = status
        return found
    return _answer(found, status, states=shown.steps(done))


@shown.refusing
def remediate(minion=None):
    """
    Repair hosts that drift: apply ``sshtrail`` to them, look again, and tell how it went.

    minion
        The id of one that has just said so (str); without one, all whose claim is open.

    Acts on claims in the mine alone, which the master keeps under the name of the minion that it has authenticated,
    and only where the master's own pillar says ``repair``. One run at a time works, in batches; others leave their
    minion to it and return at once. Each repair is told by an event: ``sshtrail/drift/repaired`` or ``…/failed``, and
    ``…/stopped``, once, when a host is left to a person. The option ``sshtrail_remediate`` of the master's
    configuration sets the limits: :class:`sshtrail_lib.fleet.remedy.Limits`. A run that was stopped, and gives no sign
    of life for a while, is told by ``sshtrail/drift/stuck``; another goes on in its place.

    Returns what was done (dict of minion id to str).

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.remediate
        salt-run sshtrail.remediate web1
    """
    return fleet_repairs.remediate(_master(), minion)


@shown.refusing
def repairs():
    """
    Return what was repaired within the last hour, and who is left to a person (dict by minion id).

    Each has ``repaired`` and ``failed`` (int), ``last`` (str, ISO 8601 in UTC, or None) and ``stopped`` (str: why, ""
    while it goes on; :py:func:`clear` lets it go on). Where the repairs of all hosts wait for a process of the master
    that gives no sign of life, ``salt-run`` tells on stderr which, and ends with 1.

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.repairs
    """
    site = _master()
    told = fleet_repairs.shown(site)
    if shown.by_hand(__opts__, "sshtrail.repairs") and shown.warning(__opts__, fleet_repairs.stuck(site)):
        return _answer(told, shown.FAILED)
    return told


@shown.refusing
def clear(minion):
    """
    Let the repairs of a host go on that was left to a person (bool: whether it was).

    minion
        Its id (str).

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.clear web1
    """
    return fleet_repairs.clear(_master(), minion)
