"""
A host's SSH audit policy as a whole: what it asks, what differs, what is true now.
"""

import salt.pillar
import sshtrail_lib
from salt.exceptions import SaltInvocationError

sshtrail_lib.refresh()

from sshtrail_lib.base import minion
from sshtrail_lib.coverage import host as coverage_host
from sshtrail_lib.coverage import prove as coverage_prove
from sshtrail_lib.drift import fingerprint
from sshtrail_lib.drift import history as drift_history
from sshtrail_lib.drift import look as drift_look
from sshtrail_lib.drift import report as drift_report
from sshtrail_lib.policy import arguments as policy_arguments
from sshtrail_lib.policy import claims
from sshtrail_lib.policy import host as policy_host
from sshtrail_lib.policy import pillar as policy_pillar
from sshtrail_lib.policy import removal as policy_removal

__virtualname__ = "sshtrail"


def __virtual__():
    return __virtualname__


def policy(provenance=False, refresh=False):
    """
    Return the validated policy of this host (dict): the pillar's ``sshtrail`` and what its distribution adds.

    provenance
        Return instead where each value came from (bool): the path of each value with its ``value``, the layer that it
        is ``from`` (``default``, ``distribution``, ``common``, the environment's name or ``host``) and what it
        ``overrides`` (dict of layer to value).
    refresh
        Ask the master for the pillar as it is now, instead of the one this minion holds (bool).

    Raises an error that names every path in the pillar that is unknown, of the wrong type or impossible; also for
    ``space_left`` and ``admin_space_left`` in MiB and per cent that do not fit together on this host's disk.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.policy
        salt '*' sshtrail.policy provenance=True
    """
    given, family = _pillar(refresh), __grains__["os_family"]
    if provenance:
        return policy_pillar.provenance(given, family)
    return policy_host.demand(policy_pillar.build(given, family, claims.distribution(__grains__)))


def arguments():
    """
    Return every state that this host's policy asks for, with its arguments: ``{about: {state function: arguments}}``.

    What it is about (str) is ``sshd package``, ``sshd config``, ``sshd pam``, ``sshd service``, ``auditd package``,
    ``auditd writing``, ``auditd config``, ``auditd service``, ``rules``, ``drift``, ``proof account``, ``proof`` or
    ``proof schedule``; a host without an audit of its own has none for auditd and the rules, and one whose policy
    leaves a part to another tool has none for that. By these :py:func:`drift` and :py:func:`report` compare, and
    :py:func:`wanted` hands them to the SLS files. Errors are those of :py:func:`policy`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.arguments
    """
    return policy_arguments.states(policy())


def wanted():
    """
    Return what the SLS files of this project render (dict): what :py:func:`arguments` does, or the one key ``problem``.

    ``problem`` is why this host has no policy (str): one state says so, where an error would end the rendering of each
    of the files with a dump of the template.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.wanted
    """
    try:
        return arguments()
    except SaltInvocationError as exc:
        return {"problem": exc.message}


def drift(fresh=False):
    """
    Return every difference between this host and its policy (list of dict); empty when there is none.

    fresh
        Look at everything, also where nothing has changed since the last look (bool).

    Each one has the ``layer`` (package, service, file, compiled, kernel, effective or daemon), ``what`` it is about,
    the ``expected`` and the ``actual`` value; ``since`` (str, ISO 8601 in UTC, or None) and ``by`` (dict as
    :py:func:`sshtrail_trail.attribute` describes it, or None) where the audit log or the files tell. Nothing is
    touched. The comparisons are those that the states make; where nothing that was looked at has changed, no process
    is started and the answer of the last look stands, for 15 minutes at most.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.drift
        salt '*' sshtrail.drift fresh=True
    """
    return look(fresh)["differences"]


def look(fresh=False):
    """
    Return what :py:func:`drift` tells as ``differences`` (list of dict), and whose they are (dict).

    fresh
        As for :py:func:`drift` (bool).

    The other keys: the policy's ``environment`` (str), its ``digest`` (str), and its ``drift`` (dict: how drift is
    looked for). Errors are those of :py:func:`policy`.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.look
    """
    known = None if fresh else fingerprint.steady(__opts__["cachedir"], __pillar__)
    return known or drift_look.whole(_minion(), __pillar__)


def coverage(fresh=False):
    """
    Return whether what people do on this host is really recorded (list of dict): every known way in which it would not.

    fresh
        Look at everything, also where nothing has changed since the last look (bool).

    Each row has ``check`` (str, the way's id), ``holds`` (True, False, or None where it cannot be told), ``hides``
    (bool: while it does not hold, what people run is not recorded), ``what`` (str, a sentence), ``since`` (str, ISO
    8601 in UTC, or None), ``by`` (dict as :py:func:`drift` has it, or None), ``evidence`` (str: what was seen, where)
    and ``remedy`` (str). What does not hold is a difference of the layer ``trail`` in :py:func:`drift`. A look sends
    one message through the kernel and waits until it is in the log; nothing else is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.coverage
        salt '*' sshtrail.coverage fresh=True
    """
    look(fresh)
    return coverage_host.last(_minion())


def condition(refresh=True):
    """
    Return in one answer which policy this host has and how it stands to it (dict); what the fleet's table is made of.

    refresh
        Ask the master for the pillar as it is now (bool).

    Keys: ``environment`` and ``digest`` of the policy, ``drift`` (as :py:func:`drift`), ``reboot`` (dict: what a locked
    kernel takes up at the next one), ``silent`` (str: the addresses at which sshd should answer and does not),
    ``proof`` (dict: ``time``, ``holds`` and ``lost_at`` of the last :py:func:`prove`, or None),
    ``error`` (str: why there is no policy; then the others are empty). Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.condition
    """
    return drift_look.condition(_minion(), _pillar(refresh))


def prove():
    """
    Prove that a login on this host is recorded (dict): make one through the real sshd, and follow it to auditd's file.

    With an account for it (``sshtrail:proof:account``) a key is made that lives for this login only, and is let in for
    seconds, from this host's own address, for one command that does nothing. Without one, sshd turns a name away that
    there is not, and a session of PAM's stack for sshd is opened beside it.

    Keys: ``holds`` (bool: no station lost it), ``lost_at`` (str: the first one that did, of ``accept``, ``log``,
    ``pam``, ``login``, ``command``, ``file``, ``remote``; or None), ``said`` (str, for a person), ``stations`` (list of
    dict: ``station``, ``holds``, None for what cannot be told, and ``evidence``), ``open`` (list of str: what this
    leaves unsaid), ``mark`` (str, in the command's arguments), ``time`` (str, ISO 8601 in UTC) and ``seconds`` (float).
    Apart from the records of the login nothing is left.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.prove
    """
    found = coverage_prove.prove(_minion(), policy())
    drift_history.proven(__opts__["cachedir"], found)
    return found


def proof(age=None):
    """
    Return the last proof (dict with ``time``, ``holds``, ``lost_at``, ``said`` and ``seconds``), None for none.

    age
        Return instead why a new one is due (str), empty when it is not: the age in seconds that it may have (number), 0
        for any.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.proof
        salt '*' sshtrail.proof age=86400
    """
    found = coverage_prove.last(_minion())
    return found if age is None else coverage_prove.due(found, age)


def report():
    """
    Return what this host's policy asks and what is true now (list of dict), for a person to read.

    Each row has ``asked`` (str), ``now`` (str) and whether that ``holds``: False (bool) for exactly what
    :py:func:`drift` tells, None for what a locked kernel takes up at the next reboot and for what is left to another
    tool. Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.report
    """
    return drift_report.rows(_minion(), policy())


def compliance(framework=None, edition=None, search=True):
    """
    Return how this host stands to the controls of standards (list of dict), each once, judged by what is true now.

    framework
        ``cis``, ``stig``, ``pci_dss``, ``nist_800_53``, ``iso_27001`` or ``soc_2`` (str); all that fit this host by
        default.
    edition
        Which edition of it (str): a distribution's, such as ``Debian 12``, or a version; this host's own by default.
    search
        Whether setuid programs are searched for on all file systems now (bool); else the last search stands for a day.

    Each row has the ``control`` (str: the ``framework`` with its distribution, and the ``id``), its ``version``,
    ``level`` and ``title`` (str), and the ``checks`` behind it (list of str). Its ``status`` is ``pass``, ``fail``,
    ``accepted`` (it fails, and somebody took that upon him in the pillar, until a day that is not over), ``manual``
    (only a person can tell), ``not applicable`` or ``unknown``, with the ``evidence`` (str: what was seen, where), the
    ``layer`` that it was seen in (str), ``since`` when it is so (str, ISO 8601 in UTC), ``by`` whom (str, or None), the
    ``remedy`` (str: the pillar's line, where one would do it) and the ``exception`` (dict: ``reason``, ``by``,
    ``until`` and ``expired``, or None). Nothing is touched. Raises SaltInvocationError for a framework or an edition
    that is not known. Source: ComplianceAsCode/content, as :mod:`sshtrail_lib.policy.controls` has it.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.compliance
        salt '*' sshtrail.compliance framework=cis edition='Debian 12'
    """
    return __salt__["sshtrail_show.controls"](policy(), framework, edition, search)


def history(days=90):
    """
    Return what differed on this host, from when to when, and which proofs were made (dict).

    days
        How far back (number), 400 at most. Raises SaltInvocationError for what is none.

    Keys: ``from`` and ``to`` (str, ISO 8601 in UTC; the history may begin later than was asked), ``looks`` (int, 0 for
    no history), ``spans`` (list of dict: ``what``, ``layer``, ``expected``, ``actual``, ``by``, ``from``, ``to``, None
    while it lasts, and ``seconds``), ``gaps`` (list of dict with ``from`` and ``to``: when nobody looked) and
    ``proofs`` (list of dict: ``time``, ``holds``, ``lost_at``). It is kept for root alone in the minion's cache.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.history
        salt '*' sshtrail.history days=365
    """
    return drift_history.over(__opts__["cachedir"], days)


def overview(days=7):
    """
    Return everything that the page shows of this host (dict), each part by itself.

    days
        How far back sessions, failures and changes go (int).

    Keys: ``time`` and ``since`` (str, ISO 8601 in UTC), ``system`` (str), ``drift``, ``coverage``, ``compliance`` and
    ``history`` (as the functions of these names have them), ``sessions`` and ``failures`` (lists of dict, as
    ``sshtrail_trail`` tells them) and ``log`` (dict: ``oldest``, the time of the oldest record, or None). A part that
    cannot be told is a dict with ``error`` (str). Nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.overview
    """
    return __salt__["sshtrail_show.overview"](days)


def page(file, days=7, keep=0):
    """
    Write the page that people look at for this host: one HTML file without anything from a network.

    file
        Where it goes (str, absolute path), for root alone.
    days
        How far back sessions, failures and changes go (int, from 1 to 92).
    keep
        For how many days a copy of each day is kept beside it (int), 0 for none.

    Returns a dict: ``file`` (str), ``bytes`` and ``hosts`` (int). Raises SaltInvocationError for a path or a number
    that cannot be. :py:func:`salt-run sshtrail.page <sshtrail.page>` makes the page of a fleet.

    CLI Example:

    .. code-block:: bash

        salt-call sshtrail.page file=/root/trail.html
    """
    return __salt__["sshtrail_show.page"](file, days, keep)


def converge(test=False, environment=None):
    """
    Check the policy, run the highstate and tell what is true afterwards, in one go.

    test
        Only predict what would change (bool).
    environment
        Whose policy is meant (str): that of another one is an error then. None for whichever the pillar has.

    Returns a dict: ``result`` (bool, True when every state succeeded), ``errors`` (list of str, what kept the
    highstate from running), ``states`` (list of dict, in the order of execution) and ``report``
    (:py:func:`report`). With a wrong policy nothing is touched.

    CLI Example:

    .. code-block:: bash

        salt-call sshtrail.converge test=True
    """
    try:
        policy_pillar.demand(policy(), environment)
    except SaltInvocationError as exc:
        return drift_report.outcome([exc.message], report)
    return drift_report.outcome(__salt__["state.highstate"](test=test), report)


def removal():
    """
    Return the states that take the policy off this host again (list of ``[id, state function, arguments]``).

    They are made of what the host remembers of its changes, not of the pillar. ``salt/sshtrail/remove.sls`` renders
    them.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail.removal
    """
    return policy_removal.states(_minion())


def undo(test=False):
    """
    Bring this host back to what it was before the first highstate (:py:func:`removal`), and tell what came of it.

    test
        Only predict what would change (bool).

    Returns a dict as :py:func:`converge` does, with an empty ``report``.

    CLI Example:

    .. code-block:: bash

        salt-call sshtrail.undo test=True
    """
    return drift_report.outcome(__salt__["state.apply"](policy_removal.SLS, test=test), list)


def _minion():
    return minion.Minion(__salt__, __opts__, __context__, __grains__)


def _pillar(refresh=False):
    if not refresh:
        return __pillar__
    compiler = salt.pillar.get_pillar(
        __opts__,
        dict(__grains__),
        __opts__["id"],
        __opts__.get("saltenv"),
        pillarenv=__opts__.get("pillarenv"),
    )
    return compiler.compile_pillar()
