"""
sshd_config on this host: read it, check it, and change it in one transaction, with the running sshd.

A change is proven before anything is written: the whole tree as it will be passes sshd's own test. Afterwards what
listens answers, or the old files are back.
"""

from __future__ import annotations

import contextlib
import difflib
import glob
import os
import pathlib
import typing
from collections.abc import Callable, Collection, Sequence

from salt.exceptions import CommandExecutionError, SaltInvocationError

from sshtrail_lib.base import files, programs, state
from sshtrail_lib.base import memory as base_memory
from sshtrail_lib.base.memory import Memory
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.base.transaction import Transaction
from sshtrail_lib.sshd import (
    accounts,
    cover,
    guard,
    include,
    keywords,
    language,
    match,
    members,
    oracle,
    recall,
    values,
)
from sshtrail_lib.sshd import asked as sshd_asked
from sshtrail_lib.sshd import beside as sshd_beside
from sshtrail_lib.sshd import effective as sshd_effective
from sshtrail_lib.sshd import plan as sshd_plan
from sshtrail_lib.sshd import remembered as sshd_remembered
from sshtrail_lib.sshd import running as sshd_running
from sshtrail_lib.sshd import wish as sshd_wish
from sshtrail_lib.sshd.asked import Asked
from sshtrail_lib.sshd.daemon import Daemon
from sshtrail_lib.sshd.effective import Effective
from sshtrail_lib.sshd.include import Disk, Tree
from sshtrail_lib.sshd.listener import Listener
from sshtrail_lib.sshd.match import Connection
from sshtrail_lib.sshd.plan import Plan
from sshtrail_lib.sshd.running import ListenerError, Running

#: ``{keyword: {"old": value, "new": value}}``.
Changes = dict[str, dict[str, typing.Any]]
_KIND = "sshd_config"
#: Of a file that is new: sshd alone reads it, and the benchmarks ask for no more.
MODE = 0o600
_UNREAD = {"sshd": {"old": "runs with other files", "new": "runs with the present files"}}


def _read(path: str) -> bytes | None:
    if pathlib.Path(path).is_fifo():
        raise CommandExecutionError(
            f"{path} is a pipe, at which sshd would wait for ever for somebody who writes to it"
        )
    # sshd opens a directory without complaint, and reads nothing from it.
    return b"" if os.path.isdir(path) else files.read(path)


#: This host's disk.
DISK = Disk(_read, glob.glob, os.path.realpath, os.path.isdir)


def get(minion: Minion, keyword: str, match: str | None, path: str) -> dict[str, typing.Any] | None:
    """Return a keyword as it is written, and where; arguments and what is returned as for ``sshd_config.get``."""
    wanted = sshd_wish.wish(keyword, None, oracle.daemon(minion), match)
    settings = sshd_wish.lines_of(wanted, _load(minion, path))
    if not settings:
        return None
    counting = values.counting(wanted.keyword, settings)
    written = [language.written(setting.line) for setting in counting]
    value = written if keywords.is_list(wanted.keyword) else written[0]
    return {"value": value, "file": counting[0].file, "line": counting[0].line.number}


def effective(minion: Minion, path: str, **connection: typing.Any) -> dict[str, dict[str, typing.Any]]:
    """
    Return what sshd will do, as ``sshd_config.effective`` returns it.

    path
        The main configuration file (str).
    connection
        What is known of a connection: user, host, addr, laddr, lport (None for unknown).
    """
    port = connection.get("lport")
    if port is not None and not str(port).isdecimal():
        raise SaltInvocationError(f"lport takes the number of a port, not {port!r}")
    given = Connection(**{**sshd_asked.words(connection), "lport": None if port is None else int(port)})
    found = sshd_effective.effective(_load(minion, path), given)
    return {name: _described(one) for name, one in sorted(found.items())}


def _described(found: Effective) -> dict[str, typing.Any]:
    first = found.deciding[0] if found.deciding else None
    return {
        "value": found.value,
        "file": first.file if first else None,
        "line": first.line.number if first else None,
        "default": found.default,
        "shadowed": [{"file": one.file, "line": one.line.number} for one in found.shadowed],
    }


def branches(
    minion: Minion, path: str, user: str | None = None, names: Collection[str] = ()
) -> dict[str, dict[str, dict[str, typing.Any]]]:
    """
    Return what sshd does for everybody (under ""), and for whom each Match block is (dict of criteria to dict).

    path
        The main configuration file (str).
    user
        An account (str): then only for it, and without the blocks that it can never meet. None for all accounts.
    names
        Keywords (collection of str) of which also those are told for whom a block decides and not for its example.

    Each is as :func:`effective` has it, for an example of a connection that the block is for. Of these keywords what
    stands before all blocks is left out where the blocks leave nobody to it.
    """
    tree = _load(minion, path)
    samples, criteria = {"": members.anybody(tree)._replace(user=user)}, {}
    for one in sshd_plan.criteria(tree):
        sample = match.sample(one, tree.daemon.names)._replace(anybody=True)
        if user is not None:
            others = tuple(given for given in one if given[0] not in ("user", "group", "invalid-user"))
            sample = sample._replace(user=user, criteria=others)
        if match.meets(one, sample, tree.daemon):
            samples[match.text(one)], criteria[match.text(one)] = sample, one
    samples |= members.others(tree, names, user)
    found = {name: dict(sshd_effective.effective(tree, one)) for name, one in samples.items()}
    for name in names:
        _left(tree, name, found, {"": (), **criteria}, user)
    return {name: {key: _described(one) for key, one in sorted(values.items())} for name, values in found.items()}


def _left(
    tree: Tree, name: str, found: dict[str, dict[str, Effective]], criteria: dict[str, match.Criteria], user: str | None
) -> None:
    """Leave out what nobody gets, and add what somebody gets who meets no block with the keyword ``name`` (str)."""
    for of, own in criteria.items():
        one = found[of].get(name)
        blocks = [each.criteria for each in one.deciding if each.criteria] if one else []
        if not one or (blocks and of):
            continue
        somebody = cover.left(tree, name, own, user)
        if not blocks and somebody is None:
            del found[of][name]
        elif blocks and somebody:
            before = sshd_effective.effective(tree, Connection()).get(name)
            told = [each[name] for key, each in found.items() if key.startswith(f"{match.text(blocks[0])} (")]
            if before and before not in told:
                found[f"{match.text(blocks[0])} (not {members.shown(somebody)})"] = {name: before}


def lowered(minion: Minion, path: str) -> list[str]:
    """Return the Match blocks of ``path`` (str) with a LogLevel at which sshd does not tell whom it accepted."""
    wanted = sshd_wish.wishes({"LogLevel": "INFO"}, None, oracle.daemon(minion), True)
    return [one.key for one in sshd_plan.lowering(_load(minion, path), wanted, common=True)]


def written(minion: Minion, path: str, keyword: str) -> list[str]:
    """Return what each line for a ``keyword`` (str) says (list of str) in the files of ``path`` (str), for whomever."""
    lines = [line for lines in _load(minion, path).files.values() for line in lines]
    return [" ".join(line.arguments.words) for line in lines if line.name == keyword and not line.problem]


def check(minion: Minion, path: str) -> list[dict[str, typing.Any]]:
    """
    Return every problem for which sshd would refuse the main file ``path`` (str), includes and all; where it would not,
    each line that the command line of the running sshd overrules.
    """
    tree = _load(minion, path)
    found = sshd_effective.problems(tree)
    if oracle.binary():
        try:
            with oracle.candidate(minion, tree) as sshd:
                sshd.test()
        except oracle.RefusedError as exc:
            found = found or [language.Problem(path, 0, 0, "", exc.message)]
        else:
            # Whatever was found: sshd has the last word.
            found = _beside_the_point(minion, tree)
    return [problem._asdict() for problem in found]


def _beside_the_point(minion: Minion, tree: Tree) -> list[language.Problem]:
    """Return the lines of a configuration that sshd accepts which the command line of the running one overrules."""
    listener = sshd_running.listening(minion, tree)
    decided = {name: one.deciding[0] for name, one in sshd_effective.effective(tree).items() if one.deciding}
    found = sshd_running.overruled(minion, listener, tree, decided) if listener else {}
    return [
        language.problem(decided[name].file, decided[name].line, _instead(listener, name, told))
        for name, (told, _plain) in sorted(found.items())
    ]


def _instead(listener: Listener | None, name: str, told: list[str]) -> str:
    pid = listener.pid if listener else 0
    return f"the command line of the running sshd ({pid}) decides {name} instead: {', '.join(told)}"


def listening(minion: Minion, path: str) -> int | None:
    """Return the pid (int) of the sshd that listens with the main file ``path`` (str), or None."""
    listener = sshd_running.listening(minion, _load(minion, path))
    return listener.pid if listener else None


def sources(minion: Minion, path: str) -> dict[str, typing.Any]:
    """Return what an answer about sshd depends on, as ``sshd_config.sources`` returns it."""
    tree, binary = _load(minion, path), oracle.binary()
    decided = sshd_effective.effective(tree)
    listens = decided["ListenAddress"].value if "ListenAddress" in decided else []
    paths = [path, *sshd_running.watched(tree), *filter(None, [binary])]
    return {"paths": paths, "binary": binary, "pidfile": sshd_running.pidfile(minion, tree), "endpoints": listens}


def running(minion: Minion, path: str, names: Collection[str]) -> tuple[bool, dict[str, typing.Any]]:
    """
    Return how the sshd that listens differs from its files: whether it has read what is written there (bool), and the
    values that its command line decides (dict of keyword to what it decides). Where none listens it has read them.

    names
        The canonical keywords to tell of (collection of str).
    """
    tree = _load(minion, path)
    listener = sshd_running.listening(minion, tree)
    if listener is None:
        return True, {}
    found = sshd_running.overruled(minion, listener, tree, names)
    has_read = sshd_running.has_read(minion, listener, tree) or not sshd_running.rewritten(listener, tree)
    return has_read, {name: _value(name, told) for name, (told, _plain) in found.items()}


def diff(minion: Minion, asked: Asked) -> Changes:
    """Return what :func:`apply` would change (dict), and touch nothing; errors as for it."""
    asked = sshd_asked.checked(asked)
    plan = _judged(minion, asked, Memory(minion, _transaction(minion, asked.path), asked.path))
    listener = sshd_running.listening(minion, plan.tree)
    return {**plan.changes, **_unread(minion, plan.tree, listener), **_overruled(minion, plan, listener)}


def apply(minion: Minion, asked: Asked) -> Changes:
    """
    Bring sshd to what is ``asked`` (Asked) in one transaction, and return the changes.

    Raises :class:`sshtrail_lib.base.state.NotInstalled`, BadWish, LockOutError, RefusedError, ListenerError and what
    planning raises; nothing is changed then.
    """
    asked = sshd_asked.checked(asked)
    transaction = _transaction(minion, asked.path)
    with transaction.locked():
        memory = Memory(minion, transaction, asked.path)
        plan = _judged(minion, asked, memory)
        listener = sshd_running.listening(minion, plan.tree)
        unread = _unread(minion, plan.tree, listener)
        changes = {**plan.changes, **unread, **_overruled(minion, plan, listener)}
        if unread or plan.files:
            remember = memory if asked.remember and plan.files else None
            _carry_out(transaction, plan, sshd_running.running(minion, plan.tree), remember)
        recall.keep(minion, transaction, asked, plan.after, plan.given_back)
    return changes


def remembered(minion: Minion) -> list[str]:
    """Return the main files (list of str) of which it is remembered what stood there before."""
    return base_memory.mains(minion, _KIND)


def forget(minion: Minion, path: str, test: bool = False) -> Changes:
    """
    Leave nothing of what calls of :func:`apply` with ``remember`` changed, and return the changes.

    path
        The main file (str).
    test
        Whether only to tell what would change (bool).

    What others have changed since stays. Raises what :func:`apply` does, but no LockOutError: the host was so before.
    """
    transaction = _transaction(minion, path)
    with contextlib.nullcontext() if test else transaction.locked():
        memory = Memory(minion, transaction, path)
        if not test:
            recall.drop(minion, transaction)
        if memory.asked is None:
            return {}
        if not oracle.binary() or not os.path.exists(path):
            return _left_behind(transaction, memory, path, test)
        tree = _load(minion, path)
        plan = _undoing(tree, memory)
        if plan.files:
            _prove(minion, plan)
        if not test:
            _carry_out(transaction, plan, sshd_running.running(minion, tree), memory)
    return plan.changes or _forgotten(path)


def _undoing(tree: Tree, memory: Memory) -> Plan:
    """Return the plan that takes everything out, also of files that sshd does not read any more."""
    beyond = sshd_remembered.left_out(tree, memory)
    found = {path: sshd_remembered.taken_out(memory, path, data, tree.daemon) for path, data in beyond.items()}
    base = sshd_remembered.without(tree, memory)
    return sshd_plan.restoring(tree, base, sshd_remembered.earlier(memory, tree), beyond, found)


def _left_behind(transaction: Transaction, memory: Memory, path: str, test: bool) -> Changes:
    """sshd was removed, maybe with its files: give back what is left of those that were changed."""
    left = transaction.interrupted()
    now = {one: left[one] if one in left else files.read(one) for one in memory.paths}
    base = {one: sshd_remembered.taken_out(memory, one, data, Daemon()) for one, data in now.items()}
    if not test:
        _change(transaction, lambda: memory.write(now, base, base))
        transaction.close()
    changed = {one: data for one, data in base.items() if now[one] != data}
    return sshd_plan.restored(changed) or _forgotten(path)


def _forgotten(path: str) -> Changes:
    return {path: {"old": "remembered", "new": "forgotten"}}


def _change(transaction: Transaction, write: Callable[[], None]) -> None:
    try:
        write()
    except BaseException:
        transaction.undo()
        raise


def _transaction(minion: Minion, path: str) -> Transaction:
    return Transaction(minion, _KIND, path)


def _load(minion: Minion, path: str) -> Tree:
    # What an interrupted change left behind is read as it was before; the next change puts it back.
    return include.load(path, oracle.daemon(minion), DISK, _transaction(minion, path).interrupted())


def _plan(minion: Minion, asked: Asked, memory: Memory) -> Plan:
    daemon = oracle.daemon(minion)
    told = sshd_wish.wishes(asked.config, asked.matches, daemon, asked.exact)
    wishes = sshd_beside.ranked(told, asked.beside, daemon) if asked.beside else told
    if not oracle.binary() or not os.path.exists(asked.path):
        missing = f"{asked.path} is" if oracle.binary() else "OpenSSH's sshd is"
        raise state.NotInstalled(f"{missing} not on this host yet", sshd_wish.predicted(wishes, daemon))
    if os.path.isdir(asked.path):
        raise CommandExecutionError(f"{asked.path} is a directory")
    tree = _load(minion, asked.path)
    base = sshd_remembered.without(tree, memory) if asked.remember else tree
    base = tree if sshd_effective.problems(base) else base
    earlier = sshd_remembered.earlier(memory, tree) if asked.remember else []
    beside = recall.recalled(minion, memory.transaction, asked, base, earlier)
    wishes = sshd_beside.ranked(told, beside, daemon) if beside else told
    if asked.lowered == "remove":
        wishes += sshd_plan.lowering(base, wishes, shadowed=asked.shadowed)
    return sshd_plan.plan(tree, wishes, asked.shadowed, base, earlier)


def _judged(minion: Minion, asked: Asked, memory: Memory) -> Plan:
    """Return the plan for what is asked, if it locks nobody out and sshd takes it: a preview finds what a run would."""
    plan = _plan(minion, asked, memory)
    if plan.files and not asked.force:
        guard.judge(plan, accounts.known(minion.call), asked.admins)
    if plan.files:
        _prove(minion, plan)
    return plan


def _unread(minion: Minion, tree: Tree, listener: Listener | None) -> Changes:
    return {} if listener is None or sshd_running.has_read(minion, listener, tree) else _UNREAD


def _overruled(minion: Minion, plan: Plan, listener: Listener | None) -> Changes:
    """Return what of the plan comes to nothing, for the command line of the running sshd decides it."""
    names = {wanted.keyword.name for wanted in plan.wishes if wanted.criteria is None}
    found = sshd_running.overruled(minion, listener, plan.after, names) if listener else {}
    return {
        sshd_running.OVERRULED.format(name): {"old": _value(name, told), "new": _value(name, plain)}
        for name, (told, plain) in sorted(found.items())
    }


def _value(name: str, lines: list[str]) -> typing.Any:
    if keywords.is_list(keywords.KEYWORDS.get(name.lower(), keywords.Keyword(name, "opaque"))):
        return lines or None
    return lines[0] if lines else None


def _prove(minion: Minion, plan: Plan) -> None:
    """Let sshd judge the tree as it will be: valid, the promised values, and nobody else's changed."""
    concerned = [*plan.wishes, *plan.given_back]
    blocks = [(wanted.criteria, wanted.connection) for wanted in concerned if wanted.criteria is not None]
    connections = [Connection(), *(members.real(*block, plan.tree.daemon) for block in blocks)]
    with oracle.candidate(minion, plan.after) as sshd:
        try:
            sshd.test()
        except oracle.RefusedError as exc:
            # Whoever reads this has the files as they are now.
            raise oracle.RefusedError(sshd_plan.relocated(plan.tree, plan.after, exc.message)) from exc
        after = [sshd.dump(connection) for connection in connections]
    before = _dumps(minion, plan.tree, connections) or after
    for connection, old, new in zip(connections, before, after, strict=True):
        sshd_plan.verify_dump(plan, connection, old, new)


def _dumps(minion: Minion, tree: Tree, connections: Sequence[Connection]) -> list[oracle.Dump]:
    """What sshd says of what is there now; nothing when it is broken, and there is nothing to compare with."""
    try:
        with oracle.candidate(minion, tree) as sshd:
            return [sshd.dump(connection) for connection in connections]
    except oracle.RefusedError:
        return []


def _write(transaction: Transaction, plan: Plan, memory: Memory | None) -> None:
    files_in_turn = {path: plan.files[path] for path in sshd_plan.order(plan)}
    if memory is None:
        transaction.write(plan.tree.data, files_in_turn, mode=MODE)
        return
    asked = [[wanted.keyword.name, wanted.criteria and match.text(wanted.criteria)] for wanted in plan.wishes]
    base = plan.base.data if plan.base else plan.tree.data
    paths = {**plan.tree.data, **base, **plan.after.data}
    new = {**files_in_turn, **{path: plan.after.data.get(path) for path in paths}}
    # A file that sshd does not read any more is restored with an undo; until then it stays remembered.
    kept = sshd_remembered.carried(memory, new) if asked else {}
    old, found = {**plan.tree.data, **plan.beyond}, {path: memory.found(path) for path in kept}
    back = {path: plan.files[path] for path in plan.beyond if path in plan.files}
    memory.write({**old, **kept}, {**base, **found, **back}, {**new, **kept}, asked or None, mode=MODE)


def _carry_out(transaction: Transaction, plan: Plan, running: Running, memory: Memory | None = None) -> None:
    """Replace the files, have sshd take them up, and undo all of it when it does not answer."""
    running.check(plan.after)
    endpoints = running.endpoints_with(plan.after)
    _change(transaction, lambda: _write(transaction, plan, memory))
    try:
        running.take_up(plan.after, endpoints)
    except BaseException as exc:
        transaction.undo()
        _bring_back(plan, running, exc)
        raise
    transaction.close()


def _bring_back(plan: Plan, running: Running, cause: BaseException) -> None:
    """With the old bytes back, what listened has to answer as before."""
    try:
        missing = running.bring_back(plan.tree)
    except CommandExecutionError as exc:
        # A program that hangs (the service's own, sshd itself) is no reason to forget what has gone wrong first.
        missing = exc.message
    if isinstance(cause, (ListenerError, programs.LateError)):
        outcome = f"and does not answer with the old one either: {missing}" if missing else "the old one is back"
        raise ListenerError(f"{cause.message}; {outcome}\n{_difference(plan)}") from cause


def _difference(plan: Plan) -> str:
    """Return the unified diff of what was tried."""
    text: list[str] = []
    for path, new in plan.files.items():
        old = language.decode(plan.tree.data.get(path) or b"").splitlines(keepends=True)
        text += difflib.unified_diff(old, language.decode(new or b"").splitlines(keepends=True), path, path)
    return "".join(text)


def reload(minion: Minion, path: str) -> list[str]:
    """
    Have the sshd of the main file at ``path`` (str) read its files again, and return where it answers (list of str).

    Empty where none runs with it. Raises :class:`~sshtrail_lib.sshd.oracle.RefusedError` where sshd would refuse them,
    before it is told, and :class:`~sshtrail_lib.sshd.running.ListenerError` where it does not answer.
    """
    with _transaction(minion, path).locked():
        tree = _load(minion, path)
        found = sshd_running.running(minion, tree)
        endpoints = found.endpoints_with(tree)
        found.take_up(tree, endpoints)
    return endpoints
