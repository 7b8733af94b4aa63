"""
What a host room needs of Salt: handed in by the execution module, so that the library never asks Salt's loader.
"""

from __future__ import annotations

import contextlib
import gc
import os
import typing
from collections.abc import Callable, Iterator, Mapping, MutableMapping

from salt.exceptions import CommandExecutionError

from sshtrail_lib.base import files, programs, store

#: Where a host keeps what must not outlive a boot; the option ``sshtrail.run_dir`` changes it, for tests.
RUN_DIR = "/run/sshtrail"
#: Where it remembers what it changed; the option ``sshtrail.state_dir`` changes it.
STATE_DIR = "/var/lib/sshtrail"
# No variables of the caller's beyond a plain path: a daemon keeps what it is started with.
PLAIN = {"LC_ALL": "C", "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}


@contextlib.contextmanager
def uncollected() -> Iterator[None]:
    """
    Keep Python from looking for garbage for as long as this context lasts.

    A process that was forked from a minion has all that the minion holds. To go through that takes longer than to look
    at a host, copies its memory, and finds nothing in a process that soon ends.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class Minion(typing.NamedTuple):
    """
    Salt as an execution module has it.

    call
        Functions by name, such as ``cmd.run_all`` (Salt's ``__salt__``).
    opts
        The configuration (``__opts__``).
    context
        What lasts as long as this run (``__context__``).
    grains
        What Salt knows of the host (``__grains__``).
    program
        Runs a program, as :func:`sshtrail_lib.base.programs.run` does.
    """

    call: Mapping[str, Callable[..., typing.Any]]
    opts: Mapping[str, typing.Any]
    context: MutableMapping[str, typing.Any]
    grains: Mapping[str, typing.Any]
    program: Callable[..., dict[str, typing.Any]] = programs.run

    @property
    def run_dir(self) -> str:
        """Where marks, locks and answers of binaries lie until the next boot (str)."""
        return self.opts.get("sshtrail.run_dir", RUN_DIR)

    @property
    def state_dir(self) -> str:
        """Where it is remembered what was changed, and what stood there before (str)."""
        # Whoever has a run directory of his own is not to touch the host's memory.
        own = os.path.join(self.run_dir, "memory") if self.run_dir != RUN_DIR else STATE_DIR
        return self.opts.get("sshtrail.state_dir", own)

    @property
    def cachedir(self) -> str:
        """Where backups and journals lie (str)."""
        return self.opts["cachedir"]

    @property
    def test(self) -> bool:
        """Whether nothing may be changed (bool)."""
        return bool(self.opts.get("test"))

    def run(self, *argv: str, seconds: float | None = None, plain: bool = False) -> dict[str, typing.Any]:
        """
        Run a program with fixed arguments, without a shell; return ``retcode``, ``stdout`` and ``stderr`` (dict).

        argv
            Its name or path, and its arguments (str).
        seconds
            How long it may take (float), None for what :mod:`sshtrail_lib.base.programs` has for it.
        plain
            Whether it gets none of this process's variables (bool): for what lives on.

        Raises :class:`~sshtrail_lib.base.programs.LateError` where it has not ended then.
        """
        return self.program(list(argv), seconds, PLAIN if plain else {"LC_ALL": "C"}, plain)

    def salts(self, function: str, *args: object, **kwargs: object) -> typing.Any:
        """
        Return what a function of Salt's (str, its name) returns that may run programs; other arguments are its own.

        Raises :class:`~sshtrail_lib.base.programs.LateError` where one of these does not end.
        """
        with programs.watched(function):
            return self.call[function](*args, **kwargs)

    def remembered(
        self,
        name: str,
        binary: str,
        ask: Callable[[], typing.Any],
        keep: Callable[[typing.Any], object] = lambda answer: True,
    ) -> typing.Any:
        """
        Return what only a program can tell of itself (what JSON can hold): it changes with the program alone.

        name
            Of the file that keeps the answer until the next boot (str).
        binary
            The program's path (str).
        ask
            Called without arguments for the answer, when it is not known.
        keep
            Called with an answer; False when it is not to be kept, nor believed where it was.
        """
        identity = files.identity(binary)
        key = f"sshtrail.{name}.{identity}"
        if key not in self.context:
            self.context[key] = self._kept(name, identity, ask, keep)
        return self.context[key]

    def _kept(
        self, name: str, identity: str, ask: Callable[[], typing.Any], keep: Callable[[typing.Any], object]
    ) -> typing.Any:
        path = os.path.join(self.run_dir, f"{name}.json")
        with contextlib.suppress(CommandExecutionError, TypeError, KeyError):
            known = store.load(path)
            if known["identity"] == identity and keep(known["answer"]):
                return known["answer"]
        answer = ask()
        if keep(answer) and not self.test:
            with contextlib.suppress(OSError, CommandExecutionError):
                store.save(path, {"identity": identity, "answer": answer})
        return answer
