"""
Tell the master of drift: once when it comes, once when it has gone, and never while a state run is going on.

The minion's schedule runs :py:func:`tick`, so that this module imports little: where nothing has changed since the last
look there is no process started and nothing parsed.
"""

import os
import syslog
import time

import salt.utils.minion
from sshtrail_lib.base import store, text
from sshtrail_lib.drift import claim as drift_claim
from sshtrail_lib.drift import event, fingerprint
from sshtrail_lib.trail import author

__virtualname__ = "sshtrail_watch"

#: How the functions begin that run states.
STATE_RUNS = ("state.", "sshtrail.converge")


def __virtual__():
    return __virtualname__


def tick():
    """
    Look for drift, and tell the master what is new (str: what was done).

    First a claim is put into the mine, which the master keeps under the name of the minion that it has
    authenticated, and is read back; then the event ``sshtrail/drift/found`` is sent, and ``…/gone`` when nothing
    differs any more. What could not be told is told at the next tick. Nothing is told while a state run of this
    minion is going on, nor while it is silent (:py:func:`silence`).

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_watch.tick
    """
    if _state_runs():
        return "a state run is going on"
    told, now = _told(), time.time()
    if drift_claim.silent(told, now):
        return f"silent until {text.iso(told.until)}"
    if drift_claim.over(told, now):
        told = _speak_again(told, "its time is over")
    look = fingerprint.steady(__opts__["cachedir"], __pillar__) or __salt__["sshtrail.look"]()
    clean = fingerprint.last_clean(__opts__["cachedir"]) if look["differences"] else now
    claim = drift_claim.next_claim(told, look["differences"], clean, now)
    return _tell(told, claim, look) if claim != told.claim else "nothing new"


def claim():
    """
    Return what this minion claims of itself in the mine (dict), None while it does not drift.

    CLI Example:

    .. code-block:: bash

        salt '*' sshtrail_watch.claim
    """
    claim = _told().claim
    return claim and event.claimed(claim)


def silence(minutes, reason):
    """
    Tell nothing of drift for a while, so that nothing is repaired: a maintenance window.

    minutes
        How long (int, 1 to 1,440). It ends by itself, also when the host was rebooted.
    reason
        Why (str, one line of at most 200 characters).

    Leaves a record of its own: in syslog, in the audit trail (a user message), and as the event
    ``sshtrail/drift/silenced``. Returns when it ends (str, ISO 8601 in UTC).

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_watch.silence 60 'change 4711: new bastion'
    """
    told = drift_claim.silence(_told(), minutes, reason, time.time())
    if _told().claim:
        _withdraw()
    _keep(told)
    until = text.iso(told.until)
    _leave_a_record(f"drift is not told until {until}: {reason}")
    _send(event.SILENCED, {"until": until, "reason": reason})
    return until


def resume():
    """
    End a silence before its time (bool: whether there was one). It leaves a record as :py:func:`silence` does.

    CLI Example:

    .. code-block:: bash

        salt web1 sshtrail_watch.resume
    """
    told = _told()
    if told.until:
        _speak_again(told, "somebody ended the silence")
    return bool(told.until)


def _state_runs():
    """Tell whether a state run of this minion is going on: what it changes is no drift."""
    running = salt.utils.minion.running(__opts__)
    return any(str(job.get("fun", "")).startswith(STATE_RUNS) for job in running if isinstance(job, dict))


def _tell(told, claim, look):
    """Tell the master of a new claim, or that there is none any more; remember that only when both have worked."""
    body = event.found(_said(look), claim) if claim else event.gone(look, told.claim)
    tag = event.FOUND if claim else event.GONE
    # The mine's function reads what is kept, so it comes first; the old claim stands again when this fails.
    _keep(told._replace(claim=claim, rounds=claim.round if claim else told.rounds))
    if (_put() if claim else _withdraw()) and _send(tag, body):
        return f"{'drift' if claim else 'end of drift'} told"
    _keep(told)
    return "the master could not be told"


def _said(look):
    entries = [{**entry, "said": author.sentence(entry["by"])} for entry in look["differences"]]
    return {**look, "differences": entries}


def _put():
    """Put the claim into the mine, for the master alone, and see that it is there."""
    own = __opts__["id"]
    __salt__["mine.send"](event.CLAIM, mine_function="sshtrail_watch.claim", allow_tgt=own, allow_tgt_type="list")
    return _in_mine() == claim()


def _withdraw():
    __salt__["mine.delete"](event.CLAIM)
    return _in_mine() is None


def _in_mine():
    own = __opts__["id"]
    return (__salt__["mine.get"](own, event.CLAIM, tgt_type="list") or {}).get(own)


def _send(tag, body):
    return __salt__["event.send"](tag, {"version": event.VERSION, **body})


def _speak_again(told, why):
    told = told._replace(until=0.0, reason="")
    _keep(told)
    _leave_a_record(f"drift is told again: {why}")
    _send(event.RESUMED, {"reason": why})
    return told


def _leave_a_record(text):
    """Write a sentence to syslog and, where there is one, to the audit trail."""
    syslog.openlog("sshtrail", facility=syslog.LOG_AUTHPRIV)
    syslog.syslog(syslog.LOG_NOTICE, text)
    __salt__["cmd.run_all"](
        ["auditctl", "-m", f"sshtrail: {text}"], python_shell=False, env={"LC_ALL": "C"}, ignore_retcode=True
    )


def _path():
    return os.path.join(__opts__["cachedir"], "sshtrail", "told.json")


def _told():
    try:
        return drift_claim.told(store.load(_path()))
    except store.StoreError:
        # What nobody can believe is told anew.
        return drift_claim.Told()


def _keep(told):
    store.save(_path(), drift_claim.stored(told))
