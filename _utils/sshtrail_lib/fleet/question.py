"""
A question to many hosts, and the answers that count: those in the mine, which the master has authenticated.

What comes over the bus counts for nothing here: any minion can send a return in the name of another. Nor does a host
wait for another: whoever asks looks in from time to time (:meth:`Question.answers`) and does other things meanwhile.
"""

from __future__ import annotations

import time
import typing
from collections.abc import Callable, Iterable, Iterator

from sshtrail_lib.drift import answer

#: Seconds between two looks for answers.
PAUSE = 0.1

#: Publishes a function with its arguments to hosts: returns the job's number (str), "" when that was not possible. Of
#: keywords, ``metadata`` (dict) is the job's own.
Publish = Callable[..., str]
#: The mine, as far as it is needed here.
Answers = dict[str, typing.Any]


class Mine(typing.Protocol):
    """What is needed of :class:`sshtrail_lib.fleet.mine.Mine`."""

    def edition(self, name: str) -> object: ...

    def told(self, name: str, key: str) -> typing.Any: ...


class Question:
    """
    A job, and who has not answered it yet.

    Its number is :attr:`jid`. Who does not answer is asked after ``timeout`` seconds, and again after as many, whether
    it is at work; who does not say so is given up (:attr:`away`). Who says so has ``longest`` seconds in all, and is
    given up too (:attr:`late`). Who has said whether it is at work (:attr:`spoke`) has the modules of this project.
    """

    def __init__(
        self,
        publish: Publish,
        mine: Mine,
        hosts: Iterable[str],
        function: str,
        *args: object,
        timeout: float,
        longest: float | None = None,
        jid: str | None = None,
        **kwargs: object,
    ) -> None:
        """
        publish, mine
            How the question goes out, and where the answers lie.
        hosts
            Who is asked (list of str).
        function, args, kwargs
            What (one of :data:`sshtrail_lib.drift.answer.FUNCTIONS`), with its arguments.
        timeout, longest
            Seconds (float). Without ``longest``, nobody is asked whether it is at work: who has not answered is away.
        jid
            The number of the job that another has published (str): then they are asked whether they are at work on it.
        """
        self._publish, self._mine, self._timeout = publish, mine, timeout
        self.left, self._key = set(hosts), answer.key(function)
        self.away: set[str] = set()
        self.late: set[str] = set()
        self.spoke: set[str] = set()
        self._seen: dict[str, object] = {}
        now = time.monotonic()
        self._next, self._end = now + (0 if jid else timeout), None if longest is None else now + longest
        self._probe: Question | None = None
        self.jid = jid or (publish(sorted(self.left), function, *args, **kwargs) if self.left else "")
        if not self.jid:
            self._give_up(self.left, self.away)

    def answers(self) -> Answers:
        """Return what has been answered since the last look (dict by id)."""
        found = dict(self._read())
        self.left -= set(found)
        if self._probe:
            found |= self._probed(self._probe)
        now = time.monotonic()
        if self._end is not None and now >= self._end:
            self._give_up(self.left, self.late)
        elif self.left and not self._probe and now >= self._next:
            self._silent()
        return found

    def _silent(self) -> None:
        """Ask those that have not answered in time whether they are at work."""
        if self._end is None:
            self._give_up(self.left, self.away)
            return
        self._probe = Question(self._publish, self._mine, self.left, answer.JOB, self.jid, timeout=self._timeout)

    def _probed(self, probe: Question) -> Answers:
        """Take in who is at work, who has answered what was not seen, and who says nothing."""
        found, told = {}, probe.answers()
        self.spoke |= set(told)
        for name, said in told.items():
            job = answer.job(said)
            known = self._answer(job.answer)
            if name in self.left and known:
                found[name] = known[0]
                self.left.discard(name)
            elif not job.running:
                self._give_up({name}, self.away)
        self._give_up(probe.away, self.away)
        if not probe.left:
            self._probe, self._next = None, time.monotonic() + self._timeout
        return found

    def _give_up(self, names: set[str], where: set[str]) -> None:
        given = names & self.left
        where |= given
        self.left -= given

    def _read(self) -> Iterator[tuple[str, typing.Any]]:
        for name in sorted(self.left):
            edition = self._mine.edition(name)
            if edition is not None and self._seen.get(name) == edition:
                continue
            self._seen[name] = edition
            if found := self._answer(self._mine.told(name, self._key)):
                yield name, found[0]

    def _answer(self, value: typing.Any) -> tuple[typing.Any] | None:
        return answer.parse(value, self.jid)


class Presence(Question):
    """The question whether hosts are there, with or without the modules of this project: they repeat a word."""

    def __init__(self, publish: Publish, mine: Mine, hosts: Iterable[str], word: str, timeout: float) -> None:
        """
        word
            What was never said before (str). Other arguments are those of :class:`Question`.
        """
        self._word = word
        repeat = (answer.key(answer.THERE), word)
        super().__init__(publish, mine, hosts, answer.THERE, *repeat, mine_function="test.echo", timeout=timeout)

    def _answer(self, value: typing.Any) -> tuple[typing.Any] | None:
        return (True,) if value == self._word else None


class Repairing(Question):
    """
    The question that applies a host's policy and asks how it stands then: two answers in one, a tuple.

    The second is None where a host has not told it.
    """

    def _answer(self, value: typing.Any) -> tuple[typing.Any] | None:
        states = super()._answer(value)
        return ((states[0], value.get("condition")),) if states else None


def wait(question: Question) -> Answers:
    """Wait until nobody is left to wait for; return what each has answered (dict by id)."""
    found = question.answers()
    while question.left:
        time.sleep(PAUSE)
        found |= question.answers()
    return found
