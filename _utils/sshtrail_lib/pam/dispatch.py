"""
The way through a stack: what each module's answer leads to, and whether there is a way on which something never ran.

Source: ``_pam_dispatch_aux`` of Linux-PAM 1.5.2 to 1.7.2 (``pam_dispatch.c``), which did not change in between.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Sequence

from sshtrail_lib.pam import language
from sshtrail_lib.pam.keywords import (
    ANSWERS,
    BAD,
    DENIED,
    DIE,
    DONE,
    IGNORE,
    IGNORED,
    INCOMPLETE,
    INVALID,
    LOGINUID,
    OK,
    RESET,
    RETURNS,
    SESSION_ERROR,
    SUCCESS,
    UNKNOWN,
)
from sshtrail_lib.pam.language import Handler

#: What became of the module that is asked about on the way: it was not called, it failed, or it did its work.
NEVER, FAILED, RAN = range(3)
UNDECIDED, GOOD, POOR = range(3)


class Mind(typing.NamedTuple):
    """What the modules so far come to: an impression (int), and the result (int) that goes with it."""

    impression: int = UNDECIDED
    status: int = DENIED


class Spot(typing.NamedTuple):
    """
    A point on the way.

    at
        The handler that is next (int); the number of handlers at the end.
    previous
        The level (int) of the one before.
    mind
        What the modules so far come to (:class:`Mind`).
    saved
        What they came to at the beginning of each substack that is open, the whole stack first (tuple of Mind).
    """

    at: int = 0
    previous: int = 0
    mind: Mind = Mind()
    saved: tuple[Mind, ...] = (Mind(),)

    @property
    def result(self) -> int:
        """The stack's result (int) when this is its end."""
        status, impression = self.mind.status, self.mind.impression
        return DENIED if status == SUCCESS and impression != GOOD else status


class Step(typing.NamedTuple):
    """One module that was called on a way: the handler's place, what it answered, and the handler that was next."""

    at: int
    answer: int
    after: int


class Question(typing.NamedTuple):
    """
    What is asked of the ways through a stack.

    returns
        Called with a :class:`~sshtrail_lib.pam.language.Handler` of a module that can be loaded; returns what it may
        answer (iterable of int).
    outcome
        Called with a handler and its answer (int); returns :data:`NEVER`, :data:`FAILED` or :data:`RAN` (int). Of those
        on one way the greatest counts.
    """

    returns: Callable[[Handler], Iterable[int]]
    outcome: Callable[[Handler, int], int]


def _in_session(handler: Handler) -> Iterable[int]:
    return ANSWERS[LOGINUID] if handler.sets else ANSWERS.get(handler.module, range(len(RETURNS) + 1))


def _of_loginuid(handler: Handler, answer: int) -> int:
    if not handler.sets:
        return NEVER
    return FAILED if answer == SESSION_ERROR else RAN


#: What becomes of pam_loginuid.so when a session is opened.
SESSION = Question(_in_session, _of_loginuid)

# A spot with the outcome so far; and for each one the spot before it, with the step from there.
_Node = tuple[Spot, int]
_Came = dict[_Node, tuple[_Node, Step] | None]


def step(handlers: Sequence[Handler], spot: Spot, answer: int) -> Spot:
    """
    Return where the way goes on (:class:`Spot`).

    handlers
        The stack (sequence of :class:`~sshtrail_lib.pam.language.Handler`).
    spot
        Where it is; not at the end.
    answer
        What the handler there returns (int); the kind of the handler is not looked at, but for a substack's head.
    """
    handler = handlers[spot.at]
    saved = spot.saved[: handler.level + 1]
    if spot.previous < handler.level:
        saved = (*spot.saved[: handler.level], spot.mind)
    here = Spot(spot.at + 1, handler.level, spot.mind, saved)
    if handler.kind == language.SUBSTACK:
        return here
    if answer == INCOMPLETE:
        return here._replace(at=len(handlers), mind=Mind(POOR, INCOMPLETE))
    action, answer = (BAD, DENIED) if answer == INVALID else (handler.actions[answer], answer)
    if action in (OK, DONE, BAD, DIE, RESET, IGNORE):
        mind = _decided(here, action, answer)
        ends = action == DIE or (action == DONE and mind.impression == GOOD)
        return here._replace(at=_end(handlers, spot.at) if ends else here.at, mind=mind)
    after, left = _jump(handlers, spot.at, action)
    return here._replace(at=after, mind=Mind(POOR, DENIED) if left else here.mind)


def _decided(spot: Spot, action: int, answer: int) -> Mind:
    mind = spot.mind
    if action == RESET:
        return spot.saved[spot.previous]
    if action in (OK, DONE) and (mind.impression == UNDECIDED or mind == Mind(GOOD, SUCCESS)):
        return Mind(GOOD, answer)
    if action in (BAD, DIE) and mind.impression != POOR:
        return Mind(POOR, DENIED if answer == IGNORED else answer)
    return mind


def _end(handlers: Sequence[Handler], index: int) -> int:
    """Return the first handler (int) after ``index`` that is outside the substack which a decision there ends."""
    level = handlers[index].level
    after = range(index + 1, len(handlers))
    return next((number for number in after if handlers[number].level < level), len(handlers))


def _jump(handlers: Sequence[Handler], index: int, jumps: int) -> tuple[int, int]:
    """Return where a jump lands (int), a substack counting as one, and how many jumps are left over (int)."""
    level, after = handlers[index].level, index + 1
    while jumps > 0 and after < len(handlers) and handlers[after].level >= level:
        after += 1
        while after < len(handlers) and handlers[after].level > level:
            after += 1
        jumps -= 1
    return after, jumps


def run(handlers: Sequence[Handler], answer: Callable[[Handler], int]) -> tuple[int, list[int]]:
    """
    Walk a stack.

    handlers
        The stack.
    answer
        Called with a :class:`~sshtrail_lib.pam.language.Handler` of a module that can be loaded, for what it returns
        (int).

    Returns the stack's result (int) and the indices (list of int) of the modules that were called.
    """
    spot, called = Spot(), []
    while spot.at < len(handlers):
        handler = handlers[spot.at]
        loaded = handler.kind == language.MODULE and bool(handler.found)
        if loaded:
            called.append(spot.at)
        spot = step(handlers, spot, answer(handler) if loaded else _forced(handler))
    return spot.result, called


def _forced(handler: Handler) -> int:
    return UNKNOWN if handler.kind == language.MODULE else DENIED


def answers(handler: Handler, question: Question = SESSION) -> list[int]:
    """
    Return what a handler can return (list of int): one value for all those that lead to the same.

    handler
        The :class:`~sshtrail_lib.pam.language.Handler`.
    question
        The :class:`Question` for which it matters.
    """
    if handler.kind == language.UNCERTAIN:
        return list(range(len(RETURNS)))
    if handler.kind != language.MODULE or not handler.found:
        return [_forced(handler)]
    same: dict[tuple[int, bool, int], int] = {}
    for value in question.returns(handler):
        action = BAD if value == INVALID else handler.actions[value]
        same.setdefault((action, value == SUCCESS, question.outcome(handler, value)), value)
    return list(same.values())


def way(handlers: Sequence[Handler], outcome: int, question: Question = SESSION) -> list[Step] | None:
    """
    Return a way through a stack that ends well, and on which what is asked about had one outcome.

    handlers
        The stack.
    outcome
        :data:`NEVER` called, :data:`FAILED`, or :data:`RAN` (int).
    question
        What is asked (:class:`Question`): what becomes of pam_loginuid.so, if nothing else is given.

    Returns one of the shortest (list of :class:`Step`), or None when there is no such way.
    """
    start = (Spot(), NEVER)
    came: _Came = {start: None}
    queue = [start]
    for node in queue:
        spot, sofar = node
        if spot.at == len(handlers):
            if spot.result == SUCCESS and sofar == outcome:
                return _steps(came, node)
            continue
        for taken, following in _following(handlers, node, question):
            if following not in came:
                came[following] = (node, taken)
                queue.append(following)
    return None


def _following(handlers: Sequence[Handler], node: _Node, question: Question) -> Iterator[tuple[Step, _Node]]:
    spot, sofar = node
    handler = handlers[spot.at]
    for value in answers(handler, question):
        after = step(handlers, spot, value)
        # Which failure it was makes no difference on the rest of the way.
        plain = Mind(after.mind.impression, DENIED if after.mind.status else SUCCESS)
        outcome = max(sofar, question.outcome(handler, value))
        yield Step(spot.at, value, after.at), (after._replace(mind=plain), outcome)


def _steps(came: _Came, node: _Node) -> list[Step]:
    steps = []
    while before := came[node]:
        node, taken = before
        steps.append(taken)
    return steps[::-1]


def skipping(handlers: Sequence[Handler], index: int) -> list[int]:
    """Return the handlers (list of int) before the one at ``index`` (int) that have a jump over it."""
    return [
        number
        for number in range(index)
        if any(action > 0 and _jump(handlers, number, action)[0] > index for action in handlers[number].actions)
    ]
