"""
What a person gets who has run ``salt-run``: the answer as asked for, the exit status, and a word while it takes long.

``salt-run`` itself knows no status but 0 where a runner returns anything but a mapping with a key ``retcode`` in it
(``salt/cli/run.py``), and such a key would stand among the minions. So the answer is shown here, and not by Salt.
"""

from __future__ import annotations

import contextlib
import functools
import inspect
import os
import sys
import threading
import typing
from collections.abc import Callable, Iterator, Mapping

import salt.output
from salt.exceptions import CommandExecutionError, SaltException, SaltInvocationError

from sshtrail_lib.base import files, text
from sshtrail_lib.fleet.standing import Row

#: Statuses of ``salt-run``: something is not as it should be, and Ctrl-C, as shells have it (128 + SIGINT).
FAILED, INTERRUPTED = 1, 130
#: What Ctrl-C comes as: salt-run has a handler of its own for it, which exits.
INTERRUPTS = (KeyboardInterrupt, SystemExit)
#: Hosts that are named of those that are waited for.
NAMED = 5
#: Seconds between two lines that tell that somebody is still waited for.
EVERY = 5.0


def by_hand(opts: Mapping[str, typing.Any], function: str) -> bool:
    """
    Return whether somebody has run just this on a command line (bool): no reactor, and no orchestration around it.

    opts
        The master's configuration (mapping, ``__opts__``).
    function
        The runner's function (str).
    """
    return opts.get("__cli") == "salt-run" and opts.get("fun") == function and not opts.get("async")


def answer(
    opts: Mapping[str, typing.Any],
    event: typing.Any,
    data: typing.Any,
    status: int,
    text: str | None = None,
    states: Mapping[str, typing.Any] | None = None,
) -> typing.Any:
    """
    Show an answer and return what has ``salt-run`` end with a status.

    opts
        The master's configuration (mapping): ``--out``, ``--out-file`` and ``--quiet`` are in it.
    event
        What Salt tells of this run with (``__jid_event__``), None where it has none: it is to show nothing more.
    data
        The answer (what JSON can hold).
    status
        The exit status (int).
    text
        The same for a person (str), where no ``--out`` was given.
    states
        The same in the form of a highstate (mapping), for ``--out=highstate``.
    """
    out = opts.get("output")
    if not opts.get("quiet"):
        if out == "highstate" and states is not None:
            salt.output.display_output(dict(states), out, opts)
        elif out or text is None:
            salt.output.display_output(data, out or "nested", opts)
        else:
            salt.output.display_output(text, "txt", opts)
    if event is not None:
        event.print_func = None
    return {"retcode": status, "answer": data}


def warning(opts: Mapping[str, typing.Any], said: str) -> bool:
    """
    Tell on stderr what is wrong with the master itself; return whether there is anything (bool).

    opts
        The master's configuration (mapping).
    said
        A sentence (str), "" for nothing.
    """
    if said and not opts.get("quiet"):
        print(said, file=sys.stderr, flush=True)
    return bool(said)


def demand(names: list[str], tgt: object, tgt_type: str) -> None:
    """
    Raise SaltInvocationError where a target (as for ``salt`` itself) has none of ``names`` (list of str).

    All minions of a master that has none yet are none.
    """
    if not names and tgt != "*":
        raise SaltInvocationError(f"The target {tgt!r} ({tgt_type}) has no minion whose key is accepted.")


def refusing(runner: Callable) -> Callable:
    """
    Have a function of the runner end with a sentence and status 1 where somebody on a command line gave it what cannot
    be, or where it fails: Salt shows the whole help or a traceback for that, and can end with 0, as if all were well.
    After Ctrl-C it ends with 130.

    runner
        The function, whose module has Salt's dunders and which has the name of the module before its own.
    """

    @functools.wraps(runner)
    def run(*args, **kwargs):
        # Salt gives what a run is told by to the module of the function that it calls, which is this one.
        salts, event = runner.__globals__, globals().get("__jid_event__")
        salts["__jid_event__"], name = event, f"sshtrail.{runner.__name__}"
        try:
            _bound(runner, args, kwargs)
            return runner(*args, **kwargs)
        except (SaltException, *INTERRUPTS) as exc:
            if not by_hand(salts["__opts__"], name):
                raise
            refused = isinstance(exc, SaltException)
            said, status = (text.line(f"{exc}", 5 * text.LONGEST), FAILED) if refused else ("Interrupted.", INTERRUPTED)
        salts["__context__"]["retcode"] = status
        return answer(salts["__opts__"], event, {"Error": said}, status, f"{name}: {said}")

    return run


def _bound(runner: Callable, args: tuple, kwargs: Mapping[str, typing.Any]) -> None:
    """Raise SaltInvocationError where a function cannot be called with these arguments."""
    try:
        inspect.signature(runner).bind(*args, **kwargs)
    except TypeError as exc:
        raise SaltInvocationError(f"{exc}.") from None


def states(rows: Mapping[str, Row], good: Callable[[Row], bool]) -> dict[str, dict[str, typing.Any]]:
    """
    Return how minions stand in the form in which Salt shows a highstate (dict by id): one state for each.

    rows
        As :func:`sshtrail_lib.fleet.standing.row` has them (mapping of id to dict).
    good
        Called with a row; returns whether it needs nothing more (bool).
    """
    return {name: state(good(row), row["standing"], "; ".join(row["differences"])) for name, row in rows.items()}


def steps(summaries: Mapping[str, Mapping[str, typing.Any]]) -> dict[str, dict[str, typing.Any]]:
    """Return rollouts (mapping of environment to summary) in the same form (dict by the environment's name)."""
    return {
        name: {
            **state(one["result"], f"rollout of {name}", one["why"]),
            **{
                key: step
                for number, (minion, entry) in enumerate(sorted(one["minions"].items()), 1)
                for key, step in state(
                    not entry["policy"].startswith("not on "), minion, f"{entry['step']}: {entry['policy']}", number
                ).items()
            },
        }
        for name, one in summaries.items()
    }


def state(good: bool | None, what: str, comment: str, number: int = 0) -> dict[str, typing.Any]:
    """Return one state (dict) of a highstate: whether it succeeded (bool, None for neither), its name, what it says."""
    result = None if good is None else bool(good)
    told: dict[str, typing.Any] = {"name": what, "__id__": what, "result": result, "changes": {}, "comment": comment}
    return {f"sshtrail_|-{what}_|-{what}_|-stands": {**told, "__run_num__": number, "duration": 0.0, "start_time": ""}}


def check_file(file: str | None, directory: bool = False) -> None:
    """
    Raise SaltInvocationError for what cannot be the path of a file to write (str; None is no file).

    directory
        Whether it is that of a directory (bool), which is made with those above it.
    """
    if file is None:
        return
    if not os.path.isabs(str(file)):
        raise SaltInvocationError(f"file must be an absolute path, not {file!r}.")
    if not directory and not os.path.isdir(os.path.dirname(file)):
        raise SaltInvocationError(f"There is no directory {os.path.dirname(file)} for the file.")
    if os.path.exists(file) and not (os.path.isdir if directory else os.path.isfile)(file):
        raise SaltInvocationError(f"{file} is there, and is no {'directory' if directory else 'regular file'}.")


def put(path: str, content: str) -> str:
    """
    Write what was found (``content``, str) to a file, for root alone; return its ``path`` (str).

    Raises SaltInvocationError where that cannot be written.
    """
    try:
        # What it tells of a fleet and of people is not for everybody.
        files.deliver(path, content.encode("utf-8", "backslashreplace"))
    except CommandExecutionError as exc:
        raise SaltInvocationError(f"{exc.message}.") from None
    return path


@contextlib.contextmanager
def waiting(wanted: bool, what: str, waits: Callable[[], list[str]] = list) -> Iterator[None]:
    """
    Tell on stderr every few seconds that an answer is still waited for, for as long as this context lasts.

    wanted
        Whether to (bool).
    what
        What is waited for (str).
    waits
        Called without arguments, returns who has not answered yet (list of str).
    """
    over = threading.Event()
    ticker = threading.Thread(target=_tick, args=(over, what, waits), daemon=True)
    if wanted:
        ticker.start()
    try:
        yield
    finally:
        over.set()


def _tick(over: threading.Event, what: str, waits: Callable[[], list[str]]) -> None:
    seconds = 0.0
    while not over.wait(EVERY):
        seconds += EVERY
        names = waits()
        more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
        who = f"; still silent: {text.line(', '.join(names[:NAMED]))}{more}" if names else ""
        print(f"{seconds:.0f} s: waiting for {what}{who}", file=sys.stderr, flush=True)
