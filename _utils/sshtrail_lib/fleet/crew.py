"""
Repairs that go on at the same time: each host moves on when it answers, and waits for no other.

A host is asked to apply its policy and to tell how it stands then; who does not, or whose sshd is full, is asked for
that once more. Those that come to the same point within a moment share a job. Hosts that take long, or hang, are in
nobody's way: only those count as being at work that have begun a moment ago.
"""

from __future__ import annotations

import time
import typing
from collections.abc import Callable, Iterable, Mapping

from sshtrail_lib.drift import answer
from sshtrail_lib.drift.claim import Claim
from sshtrail_lib.fleet import question, remedy, standing
from sshtrail_lib.fleet.pillars import Pillars
from sshtrail_lib.fleet.question import Mine, Publish, Question, Repairing
from sshtrail_lib.fleet.remedy import Limits
from sshtrail_lib.policy import arguments

#: Seconds in which hosts that come to the same point are put together into a job.
TOGETHER = 1.0
#: Seconds in which those who wait are held back until half of a batch can begin: a job costs the master as much as ten
#: hosts do, and in small parts a storm takes twice as long.
HELD = 2.0
#: Seconds before each further question to a host whose sshd was full.
PAUSES = (2, 5, 10)


class Repair(typing.NamedTuple):
    """
    The repair of a host.

    claim
        What is acted on (:class:`sshtrail_lib.drift.claim.Claim`).
    started
        When that was taken up (float, seconds since the epoch).
    digest
        The digest of the policy on the master (str).
    states
        What the host has answered to ``state.apply`` (anything).
    looks
        How often it was asked for its condition (int).
    """

    claim: Claim
    started: float
    digest: str = ""
    states: typing.Any = None
    looks: int = 0


class Outcome(typing.NamedTuple):
    """What became of a repair (:class:`Repair`): whether it ``failed`` (bool), and what is to be ``said`` (str)."""

    repair: Repair
    failed: bool
    said: str


#: What is done with a host's answer (anything) by its id (str): it ends the repair, or does not.
Then = Callable[[str, typing.Any], Outcome | None]


class Pile:
    """Hosts that wait for the next job of a kind, and the moment from which on it is worth while."""

    def __init__(self) -> None:
        self.names: list[str] = []
        self._since = 0.0

    def put(self, name: str) -> None:
        """Put the host ``name`` (str) on the pile."""
        if not self.names:
            self._since = time.monotonic()
        self.names.append(name)

    def taken(self, more: bool, most: int) -> list[str]:
        """
        Return who goes now (list of str, at most ``most`` of them): nobody while ``more`` (bool) may come in a moment.
        """
        if more and len(self.names) < most and time.monotonic() - self._since < TOGETHER:
            return []
        going, self.names = self.names[:most], self.names[most:]
        self._since = time.monotonic()
        return going


class Crew:
    """Those who work: :meth:`take` gives them hosts, and each :meth:`step` brings all of them on."""

    def __init__(self, publish: Publish, mine: Mine, pillars: Pillars, limits: Limits) -> None:
        """
        publish, mine
            As for :class:`sshtrail_lib.fleet.question.Question`.
        pillars
            Who tells what the master's own pillar asks of a host (:class:`sshtrail_lib.fleet.pillars.Pillars`).
        limits
            How many hosts at once, and how long (:class:`sshtrail_lib.fleet.remedy.Limits`).
        """
        self._publish, self._mine, self._pillars, self._limits = publish, mine, pillars, limits
        self.hosts: dict[str, Repair] = {}
        self._waiting: list[str] = []
        self._short = 0.0
        self._ready, self._applied = Pile(), Pile()
        self._full: dict[str, float] = {}
        self._asked: list[tuple[Question, float, Then]] = []

    def take(self, claims: Mapping[str, Claim]) -> None:
        """Take up hosts with their claims (mapping by id); those that are at work already go on."""
        for name in sorted(set(claims) - set(self.hosts)):
            self.hosts[name] = Repair(claims[name], time.time())
            self._waiting.append(name)

    def resume(self, jid: str, hosts: Mapping[str, Repair]) -> None:
        """
        Go on with repairs that another has begun, and has not brought to an end: nothing is published again.

        jid
            The job that applies the policy (str).
        hosts
            The repairs (mapping by id).
        """
        self.hosts |= hosts
        begun = min(repair.started for repair in hosts.values())
        # What was answered meanwhile is there; whether the others are at work has to be asked first.
        left = max(2 * self._limits.timeout, self._limits.longest - (time.time() - begun))
        times = {"timeout": self._limits.timeout, "longest": min(left, self._limits.longest)}
        asked = Repairing(self._publish, self._mine, hosts, answer.APPLY, jid=jid, **times)
        self._asked.append((asked, float("-inf"), self._has_applied))

    def busy(self) -> bool:
        """Tell whether a step at once would do something, or waits itself (bool), and nobody should sleep before."""
        return self._pillars.asked() > 0

    def step(self) -> dict[str, Outcome]:
        """Do what can be done now, without waiting for anybody; return which repairs have come to an end (dict)."""
        self._compile()
        self._apply()
        self._look()
        return self._collected()

    def _compile(self) -> None:
        # For a batch beyond those at work: that reaches no host, and processors would be idle until the next begins.
        ahead = max(0, self._limits.batch - len(self._ready.names) - self._pillars.asked())
        going, self._waiting = self._waiting[:ahead], self._waiting[ahead:]
        self._pillars.ask(going)
        for name, digest in self._pillars.told():
            if digest is None:
                del self.hosts[name]
            else:
                self.hosts[name] = self.hosts[name]._replace(digest=digest)
                self._ready.put(name)

    def _room(self) -> int:
        """Return how many of those who wait may begin (int): all, or half of a batch; fewer after :data:`HELD`."""
        free = self._limits.batch - self._at_work()
        waiting = len(self._waiting) + len(self._ready.names) + self._pillars.asked()
        if free <= 0 or free >= min(waiting, self._limits.batch // 2):
            self._short = 0.0
            return max(0, free)
        self._short = self._short or time.monotonic()
        return free if time.monotonic() - self._short >= HELD else 0

    def _at_work(self) -> int:
        """Return how many hosts apply their policy since a moment (int): who takes longer keeps nobody waiting."""
        recent, asked = time.monotonic() - self._limits.timeout, self._asked
        return sum(len(one.left) for one, since, then in asked if since > recent and then == self._has_applied)

    def _apply(self) -> None:
        room = self._room()
        names = self._ready.taken(self._pillars.asked() > 0, room) if room else []
        self._ask(Repairing, names, answer.APPLY, self._has_applied, arguments.SLS, metadata=answer.LOOKING, queue=True)

    def _look(self) -> None:
        now = time.monotonic()
        for name in [name for name, when in self._full.items() if when <= now]:
            del self._full[name]
            self._applied.put(name)
        names = self._applied.taken(self._at_work() > 0, self._limits.batch)
        self._ask(Question, names, answer.CONDITION, self._has_looked)

    def _ask(
        self, kind: type[Question], names: list[str], function: str, then: Then, *args: object, **more: typing.Any
    ) -> None:
        if names:
            times: dict[str, typing.Any] = {"timeout": self._limits.timeout, "longest": self._limits.longest}
            asked = kind(self._publish, self._mine, names, function, *args, **times, **more)
            self._asked.append((asked, time.monotonic(), then))

    def _collected(self) -> dict[str, Outcome]:
        ended: dict[str, Outcome] = {}
        for asked, _, then in self._asked:
            for name, value in asked.answers().items():
                self._took(ended, name, then(name, value))
            for name in asked.late:
                self._took(ended, name, self._too_late(name))
            for name in asked.away:
                self._took(ended, name, self._is_away(name, then))
            asked.late, asked.away = set(), set()
        self._asked = [one for one in self._asked if one[0].left]
        return ended

    def _took(self, ended: dict[str, Outcome], name: str, outcome: Outcome | None) -> None:
        if outcome:
            ended[name] = outcome
            del self.hosts[name]

    def _has_applied(self, name: str, told: tuple[typing.Any, typing.Any]) -> Outcome | None:
        states, found = told
        self.hosts[name] = self.hosts[name]._replace(states=states)
        if found is not None:
            return self._has_looked(name, found)
        self._applied.put(name)
        return None

    def _has_looked(self, name: str, found: typing.Any) -> Outcome | None:
        repair = self.hosts[name]
        if repair.looks < len(PAUSES) and standing.row(found)["standing"] == standing.FULL:
            self._full[name] = time.monotonic() + PAUSES[repair.looks]
            self.hosts[name] = repair._replace(looks=repair.looks + 1)
            return None
        return Outcome(repair, *remedy.outcome(name, repair.digest, repair.states, found))

    def _too_late(self, name: str) -> Outcome:
        return Outcome(self.hosts[name], True, f"it did not come to an end within {self._limits.longest} s")

    def _is_away(self, name: str, then: Then) -> Outcome | None:
        if then == self._has_looked:
            return self._has_looked(name, None)
        # Who is away is no failure: its claim stays open.
        del self.hosts[name]
        return None


def pause(crew: Crew) -> None:
    """Sleep a moment, unless there is something to do."""
    if not crew.busy():
        time.sleep(question.PAUSE)


def due(claims: Mapping[str, Claim], known: Mapping[str, remedy.Record], at_work: Iterable[str]) -> dict[str, Claim]:
    """Return the claims (dict by id) of those that have to be repaired and are not ``at_work`` (ids)."""
    return {name: claims[name] for name in remedy.due(claims, known) if name not in set(at_work)}
