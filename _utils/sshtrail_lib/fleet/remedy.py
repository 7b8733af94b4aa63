"""
Which claims of drift the master acts on, and when it stops: one repair for each claim, few tries, then a person.
"""

from __future__ import annotations

import logging
import typing
from collections.abc import Mapping

from salt.exceptions import SaltInvocationError

from sshtrail_lib import RELEASE
from sshtrail_lib.base import text
from sshtrail_lib.drift import claim as drift_claim
from sshtrail_lib.drift import event
from sshtrail_lib.drift.claim import Claim
from sshtrail_lib.fleet import rollout, standing
from sshtrail_lib.fleet.standing import Row

log = logging.getLogger(__name__)

HOUR = 3600
#: What stands for a try in a file.
TRY = ([float, bool], [int, bool])
#: Characters of what is said of a repair.
LONGEST_REASON = 5 * event.LONGEST_VALUE
#: Bytes in the name of a file.
LONGEST_NAME = 255


class Limits(typing.NamedTuple):
    """
    The master's option ``sshtrail_remediate``.

    attempts
        Failed repairs of a host within an hour, after which it is left to a person (int).
    repairs
        Repairs of a host within an hour, good or bad, after which it is left to a person (int): somebody or something
        undoes them.
    batch
        How many hosts begin their repair at once (int); one that takes longer than ``timeout`` does not count.
    timeout
        How long to wait for hosts that do not say that they are at work (int, seconds).
    longest
        How long each of the two parts of a repair may take at all (int, seconds); then it has failed.
    """

    attempts: int = 3
    repairs: int = 20
    batch: int = 50
    timeout: int = 15
    longest: int = 600


class Record(typing.NamedTuple):
    """
    What the master has done for one host.

    tries
        Within the last hour: ``[seconds since the epoch, whether it worked]`` each (list).
    done
        Name and round of the last claim that was repaired (list), None for none.
    stopped
        Why nothing more is done (str), "" while it goes on.
    """

    tries: list[list] = []
    done: list | None = None
    stopped: str = ""


class OptionError(SaltInvocationError):
    """The master's configuration holds something else than :class:`Limits` allows; the message names it."""


def limits(options: typing.Any) -> Limits:
    """Return the :class:`Limits` in the master's option ``sshtrail_remediate`` (dict, None for what is left out)."""
    options = {} if options is None else options
    unknown = sorted(set(options) - set(Limits._fields)) if isinstance(options, dict) else [options]
    if unknown:
        allowed = ", ".join(Limits._fields)
        raise OptionError(f"sshtrail_remediate: {unknown[0]!r} is unknown; allowed are {allowed}.")
    for name, value in options.items():
        if type(value) is not int or value < 1:
            raise OptionError(f"sshtrail_remediate:{name} is {value!r}; allowed is a number from 1.")
    return Limits(**options)


def records(stored: typing.Any) -> dict[str, Record]:
    """Return each host's :class:`Record` (dict by id) from what was stored; what is broken is left out."""
    found = stored if isinstance(stored, dict) else {}
    return {name: Record(*value) for name, value in found.items() if _is_record(value)}


def _is_record(value: typing.Any) -> bool:
    if not isinstance(value, list) or len(value) != 3 or not isinstance(value[0], list):
        return False
    tries, done, stopped = value
    good = all(isinstance(one, list) and [type(part) for part in one] in TRY for one in tries)
    return good and (done is None or isinstance(done, list)) and isinstance(stopped, str)


def due(claims: Mapping[str, Claim], known: Mapping[str, Record]) -> list[str]:
    """
    Return the hosts (list of str, sorted) that are to be repaired.

    claims
        The :class:`sshtrail_lib.drift.claim.Claim` of each (dict by id).
    known
        The :class:`Record` of each (dict by id).
    """
    return [name for name, claim in sorted(claims.items()) if _is_due(claim, known.get(name, Record()))]


def _is_due(claim: Claim, record: Record) -> bool:
    return not record.stopped and record.done != _name(claim)


def _name(claim: Claim) -> list:
    return [claim.name, claim.round]


def tried(record: Record, claim: Claim, worked: bool, now: float, limits: Limits) -> tuple[Record, bool]:
    """
    Return a host's :class:`Record` after a repair, and whether that one was its last for now (bool).

    claim
        What was acted on (:class:`sshtrail_lib.drift.claim.Claim`).
    worked
        Whether nothing differed afterwards (bool).
    now
        When (float, seconds since the epoch).
    """
    tries = [*_recent(record, now), [now, worked]]
    failed = sum(not good for _, good in tries)
    reason = ""
    if failed >= limits.attempts:
        reason = f"{failed} repairs failed within an hour"
    elif len(tries) > limits.repairs:
        reason = f"{len(tries)} repairs within an hour: something undoes them"
    return Record(tries, _name(claim) if worked else record.done, reason), bool(reason)


def attempt(record: Record, now: float) -> int:
    """Return the number (int, from 1) of the next try within the hour."""
    return 1 + len(_recent(record, now))


def _recent(record: Record, now: float) -> list[list]:
    # A clock that was set back makes what was done lie far ahead: that is no try of this hour either.
    return [one for one in record.tries if abs(now - one[0]) < HOUR]


def can_be_file(minion: typing.Any) -> bool:
    """Return whether a minion's id (anything, it comes from an event) can be the name of a file (bool)."""
    return isinstance(minion, str) and bool(minion.strip(".")) and len(minion.encode(errors="replace")) <= LONGEST_NAME


def outcome(name: str, digest: str, states: typing.Any, answer: typing.Any) -> tuple[bool, str]:
    """
    Return whether a repair failed (bool), and what is to say of it (one line of bounded length, "" for nothing).

    name, digest
        The minion's id, and the digest of its policy on the master (str).
    states, answer
        What it returned for ``state.apply`` and ``sshtrail.condition`` (anything: it may lie).
    """
    try:
        row = standing.row(answer)
        failed = rollout.failures([name], {name: digest}, {name: row}, {name: states}).get(name, "")
        return bool(failed), text.line(failed or _remark(row), LONGEST_REASON)
    except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError):
        # One host that answers nonsense must not keep its batch from being told.
        return True, "its answer makes no sense"


def _remark(row: Row) -> str:
    # A reboot is left to a person.
    said = {standing.REBOOT: "It waits for a reboot.", standing.FULL: f"{'; '.join(row['differences'])}."}
    return said.get(row["standing"], "")


def batches(names: list[str], size: int) -> list[list[str]]:
    """Return ``names`` (list) in lists of at most ``size``."""
    return [names[start : start + size] for start in range(0, len(names), size)]


def claims(values: Mapping[str, typing.Any]) -> dict[str, Claim]:
    """
    Return the claims (dict by id) in what minions have put into the mine; what is none is left out.

    One of another version of this project is told in the log, and left out too: the two may mean different things.

    values
        What each has put there under the claim's name (dict by id): anything.
    """
    found = {name: drift_claim.parse(value) for name, value in values.items()}
    known = {name: claim for name, claim in found.items() if claim}
    for name, claim in known.items():
        if claim.release != RELEASE:
            log.error("%s is not repaired: %s", name, stranger(claim))
    return {name: claim for name, claim in known.items() if claim.release == RELEASE}


def stranger(claim: Claim) -> str:
    """Return why a claim of another version of this project is not acted on (str)."""
    return (
        f"it has looked with version {claim.release or 'before 0.1.0+…'} of this project, and this process of the "
        f"master works with {RELEASE}. Where the minion is behind: saltutil.sync_all there, or the new wheel and a "
        "restart of salt-minion. Where the master is: restart salt-master."
    )


def shown(record: Record, now: float) -> dict[str, typing.Any]:
    """Return a :class:`Record` for a person to read (dict), as ``salt-run sshtrail.repairs`` tells it."""
    recent = _recent(record, now)
    good = sum(worked for _, worked in recent)
    last = text.iso(record.tries[-1][0]) if record.tries else None
    return {"repaired": good, "failed": len(recent) - good, "last": last, "stopped": record.stopped}
