"""
What was open between two looks and is closed again: the kernel's own records of it are in the log.
"""

from __future__ import annotations

import posixpath
import re
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.coverage import byhand
from sshtrail_lib.coverage.byhand import Ran
from sshtrail_lib.coverage.marks import SSHD
from sshtrail_lib.rules.fields import UNSET
from sshtrail_lib.rules.layout import FILTER_NUMBERS
from sshtrail_lib.trail.audit_log import TITLE, Record

#: The records that are gone through: those of the kernel, the end of an auditd, and the beginning of a session.
KINDS = ("CONFIG_CHANGE", "LOGIN", "DAEMON_END", "USER_START")
#: What libaudit writes as the program of a process that has no /proc.
UNTOLD = "?"
#: Lists whose rules leave out records: what is loaded there and taken off again was open meanwhile.
LISTS = {str(FILTER_NUMBERS[name]): name for name in ("user", "task", "exclude")}
#: The one on which rules do both.
EXIT = str(FILTER_NUMBERS["exit"])
NEVER = re.compile(r"\bnever\b")
#: Who changes rules by hand, who loads the file that the policy has (as augenrules does), or another one, and who takes
#: all rules away.
BY_HAND, THE_FILE = re.compile(r"\bauditctl\b"), re.compile(r"\bauditctl\b.* -R /etc/audit/audit\.rules\s*$")
A_FILE, TAKES_ALL = re.compile(r"\bauditctl\b.* -R\b"), re.compile(r"\bauditctl\b.* -D")
#: What is told of a rule that came and went where others record.
HIDES, OF_A_FILE, MAY_HIDE = "a rule that hides", "a rule of a file, which may hide,", "a rule that may hide"
#: Seconds for which the rules may be gone while a service loads all of them anew, and for which a single one may.
ANEW, ALONE = 5.0, 1.0
#: Seconds that an auditctl may take.
WORKS = 60.0


class Gap(typing.NamedTuple):
    """
    What happened (``told``, str), ``when`` (float, seconds since the epoch), and the ``pid`` (int) of who gave up his
    login id, 0 for nobody.
    """

    told: str
    when: float
    pid: int = 0


#: What is known of the system call that a record came of: its command line (str), None where that was not recorded.
Title = Callable[[Record], str | None]
#: Tells whether the program that a LOGIN record came of lets somebody in, as far as that is known (bool).
Enters = Callable[[Record], bool]
#: Which process a record came of: its number and its executable (two str), empty where that was not recorded.
Actor = Callable[[Record], tuple[str, str]]


#: The command line with which that process was begun, as the kernel recorded it (sequence of str), empty likewise.
Words = Callable[[Record], Sequence[str]]
#: Tells whether a record came of Salt itself, which changes the rules by the policy (bool).
Own = Callable[[Record], bool]


class Origin(typing.NamedTuple):
    """What is known of where a record comes from: what :data:`Title` to :data:`Own` return for it, nothing as given."""

    title: Title = lambda record: ""
    enters: Enters = lambda record: True
    actor: Actor = lambda record: ("", "")
    words: Words = lambda record: ()
    own: Own = lambda record: False


UNKNOWN = Origin()


def find(
    records: Sequence[Record],
    since: float,
    keys: Collection[str],
    allowed: Collection[int] = (),
    origin: Origin = UNKNOWN,
) -> Iterator[Gap]:
    """
    Yield each :class:`Gap` that began after ``since`` (float, seconds since the epoch) and has ended.

    records
        Of the log, in its order (sequence of :class:`~sshtrail_lib.trail.audit_log.Record`). The kernel audits now.
    keys
        Of the rules that record commands (collection of str).
    allowed
        The lists (collection of int) on which the policy lets others have rules: they come and go as all are loaded.
    origin
        Where they come from (:class:`Origin`).
    """
    done = [one for one in records if one.text("res") == "1"]
    changes, logins = ([one for one in done if one.type == kind] for kind in KINDS[:2])
    ends = [one.time for one in records if one.type == KINDS[2]]
    gone = list(_gone(_Rules(changes, ends, origin), keys, since))
    found = [*_off(changes), *_listed(changes, allowed, origin), *gone, *_given_up(logins, since, origin.enters)]
    # What stood in the place of a rule that is told to have been gone is told with that.
    recent = [one for one in changes if one.time > since and not (gone and set(one.keys) & set(keys))]
    return (gap for gap in (*found, *_passing(recent, origin)) if gap.when > since)


def unanswered(
    ran: Iterable[Ran], records: Sequence[Record], since: float, origin: Origin, valid: Callable[[str], bool]
) -> Iterator[Gap]:
    """
    Yield each auditctl that somebody ran, and of which no change is recorded: a rule hid that, or auditing was off.

    ran
        Those that were begun (iterable of :class:`~sshtrail_lib.coverage.byhand.Ran`).
    records, since, origin
        As for :func:`find`.
    valid
        Tells whether a line is a rule (bool).
    """
    changes = [one for one in records if one.type == KINDS[0]]
    for one in ran:
        by_root = one.when > since and one.euid == "0" and one.auid != str(UNSET) and byhand.is_auditctl(one.program)
        if not by_root or not byhand.leaves_a_record(one.words, valid):
            continue
        near = [other for other in changes if -ALONE < other.time - one.when < WORKS and other.text("ses") == one.ses]
        # A kernel before 5.2 does not tell which process it was.
        if not any(origin.title(other) is None or origin.actor(other)[0] == one.pid for other in near):
            who = f"login id {one.auid} ran {text.line(' '.join(one.words))} at {text.iso(one.when)}"
            yield Gap(f"{who}, and no record tells what that changed: a rule hid it, or auditing was off", one.when)


def unseen(records: Sequence[Record], since: float, before: Mapping[str, int], now: Mapping[str, int]) -> Iterator[Gap]:
    """
    Yield each list of which more rules went than had been there or had come: one has hidden that it came.

    records, since
        As for :func:`find`; the log reaches back to that time.
    before, now
        How many rules each of :data:`LISTS` had then, and has now (mappings of str to int).
    """
    for number, name in LISTS.items():
        changes = [one for one in records if (one.text("list"), one.text("res")) == (number, "1") and one.time > since]
        gone = [one for one in changes if one.text("op") == "remove_rule"]
        came = [one for one in changes if one.text("op") == "add_rule"]
        if gone and now.get(number, 0) > before.get(number, 0) + len(came) - len(gone):
            told = f"a rule on the list {name}, which hid that it came, was taken off {_by(gone[-1])}"
            yield Gap(told, gone[-1].time)


def set_back(records: Sequence[Record], since: float, lost: int) -> Iterator[Gap]:
    """
    Yield when the kernel's count of lost records was set back (``auditctl --reset-lost``) after it had grown.

    records, since
        As for :func:`find`.
    lost
        How many it had counted then (int).
    """
    for one in records:
        old = one.text("old") or ""
        if (one.type, one.text("lost"), one.text("res")) != ("CONFIG_CHANGE", "0", "1") or one.time <= since:
            continue
        if old.isdigit() and int(old) > lost:
            yield Gap(f"{int(old) - lost} records were lost, and their count was set back {_by(one)}", one.time)
        lost = 0


def opened_by_sshd(one: Record) -> bool:
    """
    Tell whether a record (Record) is that of a session which PAM has opened for sshd (bool).

    A sshd that has no /proc cannot tell its program: it is known by the terminal that it names.
    """
    program = one.text("exe") or ""
    sshd = posixpath.basename(program) in SSHD or (program == UNTOLD and one.text("terminal") == "ssh")
    return one.type == KINDS[3] and sshd and one.text("res") == "success"


def tells_an_id(one: Record) -> bool:
    """
    Tell whether a record (Record) of a login is known under somebody's login id (bool), or is one that was refused.

    PAM sets none where its stack does not ask for it, or sshd has no /proc; all other records are there then, too.
    """
    refused = one.text("res") in ("failed", "0")
    if one.type == KINDS[1]:
        return not refused and one.text("auid") != str(UNSET)
    return refused or (one.type == KINDS[3] and one.text("auid") != str(UNSET))


def without_login(records: Iterable[Record], since: float) -> Iterator[Gap]:
    """Yield each session that PAM has opened for sshd, and that had no login id; arguments as for :func:`find`."""
    for one in records:
        name = one.text("acct") or "somebody"
        if opened_by_sshd(one) and one.text("auid") == str(UNSET) and one.time > since:
            told = f"the session that sshd (pid {one.text('pid')}) opened for {name} at {text.iso(one.time)}"
            yield Gap(f"{told} had no login id: its commands are not recorded", one.time)


def _off(changes: Sequence[Record]) -> Iterator[Gap]:
    for one in changes:
        if one.text("audit_enabled") == "0":
            yield Gap(f"auditing was switched off {_by(one)}, and on again", one.time)


def _listed(changes: Sequence[Record], allowed: Collection[int], origin: Origin) -> Iterator[Gap]:
    for number, one in enumerate(changes):
        name = LISTS.get(one.text("list") or "")
        lasted = _lasted(one, changes[number:], "remove_rule") if name and one.text("op") == "add_rule" else None
        named = name and FILTER_NUMBERS[name] in allowed
        if lasted is not None and not (named and _is_loaded(one, origin)):
            yield Gap(f"a rule stood on the list {name} for {lasted:.0f} s {_by(one)}", one.time)


def _is_loaded(one: Record, origin: Origin) -> bool:
    """Tell whether a rule came as all of them are loaded (bool): by Salt, or by auditctl out of the policy's file."""
    if origin.own(one):
        return True
    program, said = origin.actor(one)[1], origin.title(one)
    if _somebody(one):
        return byhand.is_auditctl(program) and byhand.loads_the_file(origin.words(one))
    if not program or not said:
        return True
    return byhand.is_auditctl(program) and not _is_cut(said) and bool(THE_FILE.search(said))


def _is_cut(said: str) -> bool:
    """Tell whether a command line that the kernel took from a process (str) can go on (bool)."""
    return len(said) >= TITLE - 1


def _passing(changes: Sequence[Record], origin: Origin) -> Iterator[Gap]:
    """
    Yield what may have hidden on the list on which others record, and is not there any more.

    Where the system call itself was not recorded, of somebody with a login, a rule has hidden it: that one.
    """
    for number, one in enumerate(changes):
        if (one.text("op"), one.text("list")) != ("add_rule", EXIT):
            continue
        after = changes[number + 1 :]
        gone = next((at for at, other in enumerate(after) if _is(other, one, "remove_rule")), None)
        if gone is None or origin.own(one):
            continue
        # Who loads all rules anew has them come again, and stay.
        last = [other.text("op") for other in after if other.text("list") == EXIT and other.keys == one.keys][-1]
        told = (_of_somebody if _somebody(one) else _of_nobody)(one, origin, last == "add_rule")
        if told:
            lasted, said = after[gone].time - one.time, origin.title(one)
            ran = f", who ran {text.line(said)}" if said and told != HIDES else ""
            yield Gap(f"{told} stood on the list exit for {lasted:.0f} s {_by(one)}{ran}", one.time)


def _of_somebody(one: Record, origin: Origin, again: bool) -> str:
    """
    Return what is told of a rule that somebody added who has logged in (str), empty for one that certainly records.

    again
        Whether one with its key came after it had gone, and stays (bool).
    """
    if origin.title(one) is None:
        return "" if again else HIDES
    words = origin.words(one)
    if not byhand.is_auditctl(origin.actor(one)[1]):
        return MAY_HIDE
    if byhand.records(words) or (again and byhand.loads_the_file(words)):
        return ""
    if byhand.loads_a_file(words):
        return OF_A_FILE
    return HIDES if any(map(NEVER.search, words)) else MAY_HIDE


def _of_nobody(one: Record, origin: Origin, again: bool) -> str:
    """Return what is told of a rule that nobody with a login added (str), as :func:`_of_somebody`; by the title."""
    said, program = origin.title(one), origin.actor(one)[1]
    if again or said is None:
        return ""
    if program and (_is_cut(said) or not byhand.is_auditctl(program)):
        return MAY_HIDE
    if NEVER.search(said):
        return HIDES
    return OF_A_FILE if A_FILE.search(said) and not THE_FILE.search(said) else ""


class _Rules(typing.NamedTuple):
    """The ``changes`` of rules, when an auditd ended (``ends``), and the ``origin`` as for :func:`find`."""

    changes: Sequence[Record]
    ends: Sequence[float]
    origin: Origin


def _gone(rules: _Rules, keys: Collection[str], since: float) -> Iterator[Gap]:
    removed = [one for one in rules.changes if one.text("op") == "remove_rule"]
    for number, one in enumerate(rules.changes):
        if one.text("op") != "remove_rule" or not set(one.keys) & set(keys) or one.time <= since:
            continue
        lasted = _lasted(one, rules.changes[number:], "add_rule")
        if lasted is None or _moves(rules, number):
            continue
        alone = all(other.keys == one.keys or abs(other.time - one.time) > ANEW for other in removed)
        if _somebody(one) or _by_nobody(rules, one, lasted, alone):
            key = text.line(one.keys[0])
            yield Gap(f"a rule with the key {key} was gone for {lasted:.0f} s {_by(one)}", one.time)


def _by_nobody(rules: _Rules, one: Record, lasted: float, alone: bool) -> bool:
    """
    Tell whether a rule that went without anybody's login, for some seconds (``lasted``, float), was taken away (bool).

    alone
        Whether no other rule went then (bool).

    A service loads the policy's file anew, and may take all rules away when it ends; so does who takes a policy off.
    """
    said, program = rules.origin.title(one) or "", rules.origin.actor(one)[1]
    by_hand = byhand.is_auditctl(program) and said or not program and BY_HAND.search(said)
    if program and not rules.origin.own(one) and (_is_cut(said) or not byhand.is_auditctl(program)):
        return True
    if not by_hand:
        return alone and lasted >= ALONE
    ended = TAKES_ALL.search(said) and any(0 <= one.time - when < ANEW for when in rules.ends)
    return lasted >= ANEW or not (THE_FILE.search(said) or ended)


def _moves(rules: _Rules, number: int) -> bool:
    """
    Tell whether a rule that goes is another one with its key that comes at the same time, in another place or form.

    Of one process, and Salt's: whoever else adds one before he takes the other away may have added anything.
    """
    one = rules.changes[number]
    near = [other for other in rules.changes if _is(other, one, "add_rule")]
    pid = rules.origin.actor(one)[0]
    if not pid or not rules.origin.own(one):
        return False
    before = [other for other in near if 0 <= one.time - other.time < ANEW]
    after = [other for other in near if 0 <= other.time - one.time < ALONE]
    return any(rules.origin.actor(other)[0] == pid for other in (*before, *after))


def _somebody(one: Record) -> bool:
    return one.text("auid") != str(UNSET)


def _lasted(one: Record, after: Iterable[Record], op: str) -> float | None:
    """Return the seconds (float) until a rule with the same key went or came (``op``, str), None for never."""
    return next((other.time - one.time for other in after if _is(other, one, op)), None)


def _is(other: Record, one: Record, op: str) -> bool:
    return (other.text("op"), other.text("list"), other.keys) == (op, one.text("list"), one.keys)


def _by(one: Record) -> str:
    auid = one.text("auid") or ""
    return f"at {text.iso(one.time)} by {login(auid)}"


def login(auid: str) -> str:
    """Return who did something by his login id (str), for a person."""
    return "nobody with a login" if auid == str(UNSET) else f"login id {auid}"


def _given_up(logins: Sequence[Record], since: float, enters: Enters) -> Iterator[Gap]:
    for number, one in enumerate(logins):
        old, new, pid = (one.text(name) or "" for name in ("old-auid", "auid", "pid"))
        if old == str(UNSET) or not pid.isdigit() or one.time <= since:
            continue
        was, when = f"{text.line(old)} at {text.iso(one.time)}", one.time
        again = next((other for other in logins[number + 1 :] if other.text("pid") == pid), None)
        if new != str(UNSET):
            if not enters(one):
                took = f"process {pid} took the login id {text.line(new)} in the place of {was}"
                yield Gap(f"{took}: what it did since is recorded under that, in another session", when)
        elif again is None:
            gave = f"process {pid} gave up the login id {was}"
            yield Gap(f"{gave}: what it started since is not recorded", when, int(pid))
        elif not enters(again):
            # Who lets somebody in has none only for a moment, and does nothing in that.
            gave = f"process {pid} gave up the login id {was}, and took one again"
            yield Gap(f"{gave}: what it started meanwhile is not recorded", when)
