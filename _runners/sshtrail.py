"""
The fleet's SSH audit policies, from the master: how each host stands, a rollout that stops in time, repairs of drift.
"""

import contextlib
import fcntl
import logging
import os
import sys
import time

import salt.client
import salt.pillar
import salt.utils.files
import salt.utils.minions
import salt.utils.verify
from salt.exceptions import SaltInvocationError
from sshtrail_lib.base import store
from sshtrail_lib.drift import event
from sshtrail_lib.fleet import remedy
from sshtrail_lib.fleet import standing as fleet_standing
from sshtrail_lib.policy import pillar as policy_pillar

log = logging.getLogger(__name__)

__virtualname__ = "sshtrail"

EVENT = "sshtrail/rollout"


def __virtual__():
    return __virtualname__


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
        True for a table (str), False for data (dict of minion id to ``environment``, ``digest``, ``standing`` and
        ``differences``). Without it, ``salt-run`` without ``--out`` shows the table, and all else gets the data.

    ``standing`` is ``in policy``, ``waits for a reboot``, ``differs``, ``no policy`` (its pillar is wrong),
    ``no modules`` (never synced) or ``no answer``.

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.fleet
        salt-run sshtrail.fleet 'web*' batch=10% --out=json
    """
    rows = _rows(_minions(tgt, tgt_type), batch, timeout)
    if table is None:
        table = __opts__.get("__cli") == "salt-run" and not __opts__.get("output")
    return fleet_standing.table(rows) if table else rows


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
    did not complete, which an orchestration takes for a failure. Progress goes to stderr, the log and events
    (``sshtrail/rollout``).

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.rollout dev
        salt-run sshtrail.rollout prod canary='[web1]' batch=10%
    """
    wanted = environment if isinstance(environment, list) else [environment]
    done = {}
    for name in wanted:
        done[name] = _rollout(name, _minions(tgt, tgt_type), canary, batch, timeout)
        _say(fleet_standing.told(done[name]))
        if not done[name]["result"]:
            __context__["retcode"] = 1
            break
    answer = done if isinstance(environment, list) else done[environment]
    errors = [summary["why"] for summary in done.values() if not summary["result"]]
    return {**answer, "Error": errors[0]} if errors else answer


def remediate(minion=None):
    """
    Repair hosts that drift: apply ``sshtrail`` to them, look again, and tell how it went.

    minion
        The id of one that has just said so (str); without one, all whose claim is open.

    Acts on claims in the mine alone, which the master keeps under the name of the minion that it has authenticated,
    and only where the master's own pillar says ``repair``. One run at a time works, in batches; others leave their
    minion to it and return at once. Each repair is told by an event: ``sshtrail/drift/repaired`` or ``…/failed``, and
    ``…/stopped``, once, when a host is left to a person. The option ``sshtrail_remediate`` of the master's
    configuration sets the limits: :class:`sshtrail_lib.fleet.remedy.Limits`.

    Returns what was done (dict of minion id to str).

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.remediate
        salt-run sshtrail.remediate web1
    """
    limits = remedy.limits(__opts__.get("sshtrail_remediate"))
    if minion is not None:
        _queue(minion)
    done, everybody = {}, minion is None
    # Asked again after the lock is free: what came in a moment before would otherwise lie there.
    while everybody or _queued():
        with _alone() as alone:
            if not alone:
                break
            while everybody or _queued():
                done |= _remedied(None if everybody else _taken(), limits)
                everybody = False
    return done


def repairs():
    """
    Return what was repaired within the last hour, and who is left to a person (dict by minion id).

    Each has ``repaired`` and ``failed`` (int), ``last`` (str, ISO 8601 in UTC, or None) and ``stopped`` (str: why, ""
    while it goes on; :py:func:`clear` lets it go on).

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.repairs
    """
    return {name: remedy.shown(record, time.time()) for name, record in sorted(_records().items())}


def clear(minion):
    """
    Let the repairs of a host go on that was left to a person (bool: whether it was).

    minion
        Its id (str).

    CLI Example:

    .. code-block:: bash

        salt-run sshtrail.clear web1
    """
    with _alone(wait=True):
        known = _records()
        record = known.pop(minion, None)
        _store(known)
    return bool(record and record.stopped)


# --- Asking -----------------------------------------------------------------------------------------------------


def _minions(tgt, tgt_type):
    return sorted(salt.utils.minions.CkMinions(__opts__).check_minions(tgt, tgt_type)["minions"])


def _rows(minions, batch=None, timeout=60):
    answers = _publish(minions, "sshtrail.condition", timeout=timeout, batch=batch)
    return {name: fleet_standing.row(answers.get(name)) for name in minions}


def _publish(minions, function, *args, timeout, batch=None, **kwargs):
    """Run a function on ``minions`` and return what each answered (dict); who did not answer is not in it."""
    if not minions:
        return {}
    options = {"arg": args, "kwarg": kwargs, "tgt_type": "list", "timeout": timeout}
    with salt.client.get_local_client(mopts=__opts__) as client:
        if batch is not None:
            parts = client.cmd_batch(minions, function, batch=str(batch), **options)
            return {name: answer for part in parts for name, answer in part.items() if answer is not False}
        answers = client.cmd(minions, function, full_return=True, **options)
    # In these two forms Salt tells that a minion did not answer.
    return {name: got["ret"] for name, got in answers.items() if got is not False and got.get("out") != "no_return"}


def _pillar(minion):
    """Return a minion's pillar as the master compiles it (dict), and the family of its distribution (str)."""
    # In an orchestration the options hold the master's own pillar, and Salt 3008 lets that into everybody's: not
    # pillar.show_pillar, therefore.
    opts = {key: value for key, value in __opts__.items() if key != "pillar"}
    name, grains, _ = salt.utils.minions.get_minion_data(minion, opts)
    grains = grains or {"fqdn": minion}
    pillar = salt.pillar.Pillar(opts, grains, name or minion, "base").compile_pillar()
    # Not known before the minion's first run: then its own validation has to do.
    return pillar, grains.get("os_family", "Debian")


# --- A rollout --------------------------------------------------------------------------------------------------


def _rollout(environment, minions, canary, batch, timeout):
    _say(f"{environment}: validating the pillars of {len(minions)} minions")
    digests, wrong = _validate(environment, minions)
    progress = _Progress(environment, digests)
    if wrong:
        return progress.stopped("Nothing was touched: " + " ".join(f"{name}: {why}" for name, why in wrong.items()))
    if not digests:
        return progress.stopped(f"No minion of the target belongs to the environment {environment}.")
    todo = progress.begin(_rows(list(digests), timeout=timeout))
    for step, names in fleet_standing.stages(todo, canary, batch):
        _say(f"{environment}: {step}: {', '.join(names)}")
        failed = _step(progress, step, names, timeout)
        if failed:
            reasons = "; ".join(f"{name}: {why}" for name, why in failed.items())
            return progress.stopped(f"Stopped at {step}: {reasons}")
    return progress.finished()


def _validate(environment, minions):
    """Return the digest of each minion's policy in the environment (dict), and what is wrong in pillars (dict)."""
    digests, wrong = {}, {}
    for name in minions:
        pillar, os_family = _pillar(name)
        if _elsewhere(pillar, environment):
            continue
        try:
            policy_pillar.build(pillar, os_family)
            digests[name] = policy_pillar.digest(pillar)
        except SaltInvocationError as exc:
            wrong[name] = exc.message
    return digests, wrong


def _elsewhere(pillar, environment):
    """Tell whether a host has nothing to do with the environment: it is in another one, or has no policy at all."""
    given = pillar.get(policy_pillar.KEY)
    if given is None:
        # A pillar that could not be compiled may have lost the key by that.
        return not pillar.get("_errors")
    return isinstance(given, dict) and given.get("environment", environment) != environment


def _step(progress, step, names, timeout):
    """Bring one step's minions to their policy and look at them again; return who failed and why (dict)."""
    _publish(names, "saltutil.sync_all", timeout=timeout)
    states = _publish(names, "state.apply", "sshtrail", timeout=timeout, queue=True)
    rows = _rows(names, timeout=timeout)
    progress.stepped(step, rows)
    return fleet_standing.failures(names, progress.digests, rows, states)


class _Progress:
    """Who is on which policy, while a rollout goes on."""

    def __init__(self, environment, digests):
        self.environment, self.digests = environment, digests
        self.steps = dict.fromkeys(digests, ("not touched", None))

    def begin(self, rows):
        """Take in how the minions stand before; return which have to be brought to their policy (list of str)."""
        done = [name for name, row in rows.items() if fleet_standing.good(row) and row["digest"] == self.digests[name]]
        for name, row in rows.items():
            self.steps[name] = ("was there" if name in done else "not touched", row)
        return [name for name, row in rows.items() if name not in done and row["standing"] != fleet_standing.SILENT]

    def stepped(self, step, rows):
        """Take in how the minions stand after a step."""
        self.steps |= {name: (step, row) for name, row in rows.items()}

    def stopped(self, why):
        """Return the summary of a rollout that did not complete."""
        return self._summary(False, why)

    def finished(self):
        """Return the summary of a rollout that went through all of its steps."""
        silent = sorted(name for name, (_, row) in self.steps.items() if row["standing"] == fleet_standing.SILENT)
        return self._summary(not silent, f"No answer from {', '.join(silent)}: run it again." if silent else "")

    def _summary(self, result, why):
        minions = {name: {"step": step, "policy": self._policy(name, row)} for name, (step, row) in self.steps.items()}
        return {"environment": self.environment, "result": result, "why": why, "minions": minions}

    def _policy(self, name, row):
        if row and fleet_standing.good(row):
            return f"{row['environment']} {row['digest']}, {row['standing']}"
        standing = row["standing"] if row else "not asked"
        return f"not on {self.environment} {self.digests[name]}: {standing}"


def _say(text):
    log.info(text)
    print(text, file=sys.stderr, flush=True)
    __salt__["event.send"](EVENT, {"message": text})


# --- Repairs ----------------------------------------------------------------------------------------------------


def _place(*names):
    return os.path.join(__opts__["cachedir"], "sshtrail", *names)


def _queue(minion):
    """Leave the name of a minion to whoever works; a name that is none goes nowhere."""
    if not remedy.can_be_file(minion) or not salt.utils.verify.valid_id(__opts__, minion):
        raise SaltInvocationError(f"minion is {minion!r}, which is no minion's id.")
    os.makedirs(_place("queue"), mode=0o700, exist_ok=True)
    with salt.utils.files.fopen(_place("queue", minion), "wb"):
        pass


def _queued():
    try:
        return sorted(os.listdir(_place("queue")))
    except FileNotFoundError:
        return []


def _taken():
    """Return the minions in the queue, which then is empty: who comes now is for the next round."""
    names = _queued()
    for name in names:
        os.unlink(_place("queue", name))
    return names


@contextlib.contextmanager
def _alone(wait=False):
    """Be the one that works, or learn that somebody else is (yields bool)."""
    os.makedirs(_place(), mode=0o700, exist_ok=True)
    with salt.utils.files.fopen(_place("repairs.lock"), "ab") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        # Closed with the file, also when this process is killed.
        yield True


def _records():
    try:
        return remedy.records(store.load(_place("repairs.json")))
    except store.StoreError as exc:
        # Repairs must not end with a broken file; a host that was stopped is stopped again after a few tries.
        log.error("Repairs are counted anew: %s", exc.message)
        return {}


def _store(known):
    store.save(_place("repairs.json"), known)


def _remedied(names, limits):
    """Repair those of ``names`` (list of str, None for all) that have to be, batch by batch; return what was done."""
    known, claims, done = _records(), remedy.claims(_mine(names)), {}
    for batch in remedy.batches(remedy.due(claims, known), limits.batch):
        # A pillar takes its time to compile, so the first hosts do not wait for those of all.
        started, digests = time.time(), _wanted(batch)
        for name, (failed, said) in _repaired(list(digests), digests, limits).items():
            known[name] = _told(name, claims[name], known.get(name), failed, said, started, limits)
            done[name] = f"failed: {said}" if failed else f"repaired. {said}".rstrip(". ")
        _store(known)
    return done


def _mine(names):
    """Return what the mine holds (dict by id) of those whose key is accepted."""
    # Not mine.get: that asks as if the master were a minion, and no other minion may read a claim.
    found = __salt__["cache.mine"]("*") if names is None else __salt__["cache.mine"](names, tgt_type="list")
    return found if isinstance(found, dict) else {}


def _wanted(names):
    """Return the digest of the policy (dict by id) of those whose pillar on the master says that they be repaired."""
    found = {name: _asked_for(name) for name in names}
    return {name: digest for name, digest in found.items() if digest}


def _asked_for(name):
    """Return the digest of a minion's policy if its pillar says that it be repaired, else None."""
    try:
        pillar, os_family = _pillar(name)
        policy = policy_pillar.build(pillar, os_family)
        return policy_pillar.digest(pillar) if policy["drift"]["action"] == "repair" else None
    except Exception as exc:  # noqa: BLE001 - a pillar may use what the minion says of itself: the others go on
        log.error("%s is not repaired: %s", name, exc)
        return None


def _repaired(names, digests, limits):
    """Apply the policy to a batch and look again; return of each that answered whether it failed and why (dict)."""
    states = _publish(names, "state.apply", "sshtrail", timeout=limits.timeout, queue=True)
    # Who is away is no failure: its claim stays open.
    there = [name for name in names if name in states]
    answers = _publish(there, "sshtrail.condition", timeout=limits.timeout)
    return {name: remedy.outcome(name, digests[name], states[name], answers.get(name)) for name in there}


def _told(name, claim, record, failed, said, started, limits):
    """Tell how a repair went, and return what is to be remembered of it."""
    record, now = record or remedy.Record(), time.time()
    number = remedy.attempt(record, now)
    record, last = remedy.tried(record, claim, not failed, now, limits)
    _fire(event.FAILED if failed else event.REPAIRED, name, claim, number, now - started, said)
    if last:
        _fire(event.STOPPED, name, claim, number, now - started, f"{record.stopped}. {said}".rstrip())
    return record


def _fire(tag, name, claim, number, seconds, reason):
    __salt__["event.send"](tag, event.outcome(name, claim, number, seconds, reason))
