"""
The one path that every state takes: read, compare, stop here in test mode, act, read again.

A state that is written with :func:`bring` cannot predict one thing and do another, because test mode
and the real run share everything up to the act, and cannot claim a change that is not there, because
the comparison is made again afterwards.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Mapping

from salt.exceptions import CommandExecutionError, SaltException

#: What differs: what it is, with what is and what should be.
Changes = dict[str, typing.Any]


class NotInstalled(CommandExecutionError):
    """
    What a state manages is not on this host yet.

    A highstate installs the packages first, so a preview of it must not fail here: in test mode the
    state predicts ``changes``, otherwise it fails with the message.
    """

    def __init__(self, message: str, changes: Changes | None = None) -> None:
        super().__init__(message)
        self.changes = changes or {}


def changes(actual: Mapping[str, object], desired: Mapping[str, object]) -> Changes:
    """
    Tell the difference between two mappings of the same shape; ``None`` is absent.

    actual
        What is (dict).
    desired
        What should be (dict). Keys that it does not name are not compared.

    Returns ``{key: {"old": value, "new": value}}`` for the keys that differ.
    """
    return {key: {"old": actual.get(key), "new": value} for key, value in desired.items() if actual.get(key) != value}


def bring(
    name: str, test: bool, plan: Callable[[], tuple[Changes, str]], act: Callable[[], object]
) -> dict[str, typing.Any]:
    """
    Bring something to its desired condition and return the state dictionary.

    name
        The state's name (str).
    test
        True to stop before acting (bool, ``__opts__["test"]``).
    plan
        Called without arguments; returns ``(changes, comment)``: what differs now as a dict, empty when
        nothing does, and one sentence for a person. Must not touch anything. It may raise
        :class:`NotInstalled` with the changes to predict.
    act
        Called without arguments to make the changes. Must leave everything as it was when it raises.

    Returns ``{"name", "result", "changes", "comment"}``. Every error that Salt raises on purpose
    (:class:`salt.exceptions.SaltException`), and of the system (OSError: a full disk), becomes ``result: False`` with
    its message as the comment.
    """
    ret: dict[str, typing.Any] = {"name": name, "result": True, "changes": {}, "comment": ""}
    try:
        differs, ret["comment"] = plan()
        if differs and not test:
            act()
            ret["comment"] = _look_again(plan)
        ret["changes"] = differs
        ret["result"] = None if differs and test else True
    except NotInstalled as exc:
        ret.update(result=None if test else False, changes=exc.changes if test else {}, comment=exc.message)
    except (SaltException, OSError) as exc:
        ret.update(result=False, comment=_why(exc))
    return ret


def twice(
    ret: dict[str, typing.Any], test: bool, again: Callable[[str, Changes], list[str]], about: str = ""
) -> dict[str, typing.Any]:
    """
    Return a state dictionary with a word on what was changed before, and that something else has undone since.

    ret
        What :func:`bring` returned (dict).
    test
        As there (bool): then nothing was changed.
    again
        Called with what is changed and its changes; returns sentences (list of str): ``sshtrail_watch.again``.
    about
        What is changed (str), a file; the state's name by default.
    """
    if ret["changes"] and ret["result"] and not test:
        ret["comment"] = " ".join([ret["comment"], *again(about or ret["name"], ret["changes"])])
    return ret


def _why(exc: Exception) -> str:
    return str(getattr(exc, "message", exc))


def watched(
    name: str, test: bool, what: str, does: str, act: Callable[[], object], due: Callable[[], object] = lambda: True
) -> dict[str, typing.Any]:
    """
    Do what a state does when something that it watches has changed (``mod_watch``), and return the state dictionary.

    name, test
        As for :func:`bring`.
    what
        The key of the ``changes`` (str).
    does
        What becomes of it, a participle (str): ``reloaded``.
    act
        Called without arguments; returns nothing (an empty answer) where there was nothing to do. What Salt raises on
        purpose fails the state.
    due
        Called without arguments, in both modes and before acting; returns nothing where there is nothing to act on.
    """
    ret: dict[str, typing.Any] = {"name": name, "result": None, "changes": {what: does}, "comment": f"To be {does}."}
    try:
        if not due() or not (test or act()):
            ret.update(result=True, changes={}, comment=f"There was nothing of {what} to be {does}.")
        elif not test:
            ret.update(result=True, comment=f"{does.capitalize()}, for something that this watches has changed.")
    except (SaltException, OSError) as exc:
        ret.update(result=False, changes={}, comment=_why(exc))
    return ret


def _look_again(plan: Callable[[], tuple[Changes, str]]) -> str:
    left, comment = plan()
    if left:
        raise CommandExecutionError(f"The change was made but is not there: {left}. {comment}")
    return comment
