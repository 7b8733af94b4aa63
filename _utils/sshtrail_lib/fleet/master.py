"""
What is done on the master: minions are asked and told, pillars compiled, a rollout brought through its steps.
"""

from __future__ import annotations

import contextlib
import functools
import logging
import os
import sys
import time
import typing
from collections.abc import Callable, Iterable, Iterator, Mapping

import salt.client
import salt.pillar
import salt.utils.event
import salt.utils.minions
from salt.exceptions import SaltInvocationError

from sshtrail_lib.base import text
from sshtrail_lib.drift import answer as drift_answer
from sshtrail_lib.fleet import pillars, question, remedy, rollout, standing
from sshtrail_lib.fleet.mine import Mine
from sshtrail_lib.fleet.question import Publish, Question
from sshtrail_lib.fleet.standing import Row
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy import pillar as policy_pillar

log = logging.getLogger(__name__)

#: Seconds before each question to a host whose sshd was full.
PAUSES = (2, 5, 10)
#: The store of keys that Salt has had always: a file for each.
KEY_FILES = "localfs_key"
#: The event that tells how far a rollout is.
ROLLOUT = "sshtrail/rollout"
#: The kinds of targets, as ``salt`` has them: CkMinions has a method for each, and matches nobody for any other.
TARGETS = ["glob", "pcre", "list", "grain", "grain_pcre", "pillar", "pillar_pcre", "pillar_exact"]
TARGETS += ["ipcidr", "nodegroup", "range", "compound"]
#: What is said of a pillar that Salt cannot compile: the log has more.
UNCOMPILED = "its pillar cannot be compiled"
#: Seconds after which a host that has not answered is asked whether it is at work, and for which one is asked then
#: whether it is there at all.
PATIENCE, THERE = 15, 10

Answers = dict[str, typing.Any]
#: Sends an event: its tag (str) and its body (dict).
Send = Callable[[str, dict[str, typing.Any]], object]


class Master(typing.NamedTuple):
    """
    Salt as a runner has it.

    opts
        The configuration (``__opts__``).
    call
        Functions of the master by name, such as ``event.send`` (a runner's ``__salt__``).
    asked
        Gets each question that is put (list of :class:`sshtrail_lib.fleet.question.Question`), for whoever wants to
        see who is waited for; None where nobody does.
    """

    opts: Mapping[str, typing.Any]
    call: Mapping[str, Callable[..., typing.Any]]
    asked: list[Question] | None = None

    def waits(self) -> list[str]:
        """Return who has not answered the present question (list of str)."""
        return sorted(self.asked[-1].left) if self.asked else []

    def minions(self, tgt: str | list[str], tgt_type: str) -> list[str]:
        """
        Return the ids of a target (list of str), arguments as for ``salt`` itself.

        Raises :class:`sshtrail_lib.fleet.rollout.ArgumentError` for a kind of target that there is not.
        """
        rollout.known("tgt_type", tgt_type, TARGETS)
        return sorted(salt.utils.minions.CkMinions(self.opts).check_minions(tgt, tgt_type)["minions"])

    def accepted(self, minion: str) -> bool:
        """Return whether the master has accepted the key of a minion (its id, str)."""
        keys = self._keys()
        # Mostly a key is a file: to ask for all of them takes a hundred times as long.
        found = bool(keys) and os.path.isfile(os.path.join(keys, minion))
        return found or minion in self.minions([minion], "list")

    def everybody(self) -> list[str]:
        """Return the ids of all whose key the master has accepted (list of str)."""
        try:
            names = os.listdir(self._keys() or os.devnull)
        except OSError:
            return self.minions("*", "glob")
        # Salt would read each of these files to say the same, once a minute.
        return sorted(name for name in names if not name.startswith("."))

    def _keys(self) -> str:
        """Return the directory (str) that has a file for each accepted key, "" where they are kept otherwise."""
        if self.opts.get("keys.cache_driver", KEY_FILES) != KEY_FILES:
            return ""
        return os.path.join(self.opts["cluster_pki_dir" if self.opts.get("cluster_id") else "pki_dir"], "minions")

    def mine(self) -> Mine:
        """Return what hosts have put into the mine (:class:`sshtrail_lib.fleet.mine.Mine`)."""
        return Mine(self.opts)

    @contextlib.contextmanager
    def publisher(self) -> Iterator[Publish]:
        """Give what publishes questions, as :class:`sshtrail_lib.fleet.question.Question` needs it."""
        with salt.client.get_local_client(mopts=self.opts) as client:

            def publish(minions: list[str], function: str, *args: object, **kwargs: object) -> str:
                own = {"metadata": kwargs.pop("metadata")} if "metadata" in kwargs else {}
                options = {"tgt_type": "list", "kwarg": kwargs, "ret": drift_answer.RETURNER, **own}
                return str(client.run_job(minions, function, args, **options).get("jid") or "")

            yield publish

    @contextlib.contextmanager
    def events(self) -> Iterator[Send]:
        """Give what sends events: by one connection, where ``event.send`` takes longer to make another for each."""
        with salt.utils.event.get_master_event(self.opts, self.opts["sock_dir"], listen=False) as bus:
            yield lambda tag, body: bus.fire_event(body, tag)

    def pillar(self, minion: str) -> tuple[dict[str, typing.Any], str]:
        """Return a minion's pillar as the master compiles it (dict), and the family of its distribution (str)."""
        # In an orchestration the options hold the master's own pillar, and Salt 3008 lets that into everybody's: not
        # pillar.show_pillar, therefore. It keeps what it makes of each other dict of options until the process ends.
        has = bool(self.opts.get("pillar"))
        opts = {key: value for key, value in self.opts.items() if key != "pillar"} if has else self.opts
        name, grains, _ = salt.utils.minions.get_minion_data(minion, opts)
        grains = grains or {"fqdn": minion}
        pillar = salt.pillar.Pillar(opts, grains, name or minion, "base").compile_pillar()
        # Not known before the minion's first run: then its own validation has to do.
        return pillar, grains.get("os_family", "Debian")

    def say(self, said: str) -> None:
        """Tell how far a rollout is: on stderr, in the log, and as an event."""
        said = text.plain(said)
        log.info(said)
        if not self.opts.get("quiet"):
            print(said, file=sys.stderr, flush=True)
        self.call["event.send"](ROLLOUT, {"message": said})


def ask(
    master: Master, names: list[str], function: str, *args: object, timeout: float, longest: float, **kwargs: typing.Any
) -> tuple[Answers, Question]:
    """
    Run a function on hosts; return what each has answered in the mine (dict by id), and the question as it ended.

    names
        Their ids (list of str).
    function, args, kwargs
        One of :data:`sshtrail_lib.drift.answer.FUNCTIONS`, and its arguments.
    timeout, longest
        As for :class:`sshtrail_lib.fleet.question.Question` (seconds).
    """
    with master.publisher() as publish:
        times: dict[str, typing.Any] = {"timeout": timeout, "longest": longest}
        asked = Question(publish, master.mine(), names, function, *args, **times, **kwargs)
        if master.asked is not None:
            master.asked.append(asked)
        return question.wait(asked), asked


def answers(
    master: Master, names: list[str], function: str, batch: int | str | None, timeout: int, **kwargs: typing.Any
) -> Answers:
    """
    Return what each minion answers to a question (dict by id); who says nothing is not in it.

    names
        Their ids (list of str).
    function, kwargs
        As for :func:`ask`.
    batch
        How many are asked at a time (int), or which share (str, ``10%``); None for all at once.
    timeout
        How long to wait for an answer, in seconds (int).

    For one that is there, and does not answer, that is told (str): it lacks the modules of this project.
    """
    rollout.seconds("timeout", timeout)
    size = len(names) if batch is None else rollout.amount("batch", batch, len(names))
    found: Answers = {}
    for part in remedy.batches(names, max(1, size)):
        told, asked = ask(master, part, function, timeout=min(timeout, PATIENCE), longest=timeout, **kwargs)
        found |= told
        found |= dict.fromkeys(_lacking(master, asked, min(timeout, THERE)), standing.LACKING)
    return found


def _lacking(master: Master, asked: Question, timeout: float) -> set[str]:
    """
    Return which hosts (ids) are there, and lack the modules of this project: nothing in the mine answers a question.

    What comes back over the bus tells nothing of that: anybody can have sent it.
    """
    silent = asked.away | asked.late
    if not silent or not asked.jid:
        return set()
    with master.publisher() as publish:
        # Those that are away were asked this already.
        late = asked.late - asked.spoke
        work = Question(publish, master.mine(), late, drift_answer.JOB, asked.jid, timeout=timeout)
        there = question.Presence(publish, master.mine(), silent - asked.spoke, f"sshtrail {asked.jid}", timeout)
        has = set(question.wait(work))
        return set(question.wait(there)) - has


def rows(master: Master, names: list[str], batch: int | str | None = None, timeout: int = 60) -> dict[str, Row]:
    """Return how each minion stands to its policy (dict by id); other arguments are those of :func:`answers`."""
    found = answers(master, names, drift_answer.CONDITION, batch, timeout)
    return {name: standing.row(found.get(name)) for name in names}


def patient_rows(master: Master, names: list[str], timeout: int) -> dict[str, Row]:
    """Return the same as :func:`rows`; a minion whose sshd is only full is asked again."""
    found = rows(master, names, timeout=timeout)
    for pause in PAUSES:
        full = [name for name in found if found[name]["standing"] == standing.FULL]
        if not full:
            break
        time.sleep(pause)
        found |= rows(master, full, timeout=timeout)
    return found


def applied(master: Master, minions: list[str], timeout: int) -> Answers:
    """Apply their policies to minions; return what each that answered within ``timeout`` (s, int) returned (dict)."""
    times = {"timeout": min(timeout, PATIENCE), "longest": timeout}
    return ask(master, minions, drift_answer.APPLY, arguments.SLS, queue=True, **times)[0]


def policies(master: Master, environment: str, minions: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digest of each minion's policy in an environment (dict), and what is wrong in pillars (dict)."""
    found = dict(pillars.asked(functools.partial(_policy, master, environment), minions))
    told = {name: found[name] or ("", UNCOMPILED) for name in sorted(found)}
    digests = {name: digest for name, (digest, _) in told.items() if digest}
    return digests, {name: why for name, (_, why) in told.items() if why}


def _policy(master: Master, environment: str, name: str) -> tuple[str, str]:
    """Return the digest of a minion's policy in an environment (str, "" for none), and what is wrong (str)."""
    pillar, os_family = master.pillar(name)
    if policy_pillar.elsewhere(pillar, environment):
        return "", ""
    try:
        return policy_pillar.named(pillar, os_family)[1], ""
    except SaltInvocationError as exc:
        return "", text.line(exc.message, 5 * text.LONGEST)


def roll_out(
    master: Master, environments: Iterable[str], tgt: str, tgt_type: str, **steps: typing.Any
) -> dict[str, rollout.Summary]:
    """
    Bring the hosts of one environment after the other to their policies; return each one's summary (dict by its name).

    environments
        Their names (list of str); one that does not complete is the last.
    tgt, tgt_type
        Only these minions (str), as for ``salt`` itself.
    steps
        ``canary`` and ``batch`` as for :func:`sshtrail_lib.fleet.rollout.stages`, and the ``timeout`` of a step (int,
        seconds).
    """
    done: dict[str, rollout.Summary] = {}
    environments = list(environments)
    rollout.check(environments, master.minions(tgt, tgt_type), **steps)
    for environment in environments:
        done[environment] = _rolled_out(master, environment, master.minions(tgt, tgt_type), **steps)
        master.say(rollout.told(done[environment]))
        if not done[environment]["result"]:
            break
    return done


def _rolled_out(
    master: Master,
    environment: str,
    minions: list[str],
    canary: int | str | list[str],
    batch: int | str,
    timeout: int,
) -> rollout.Summary:
    """Bring the ``minions`` (list of str) of an environment to their policy, step by step; return the summary."""
    master.say(f"{environment}: validating the pillars of {len(minions)} minions")
    digests, wrong = policies(master, environment, minions)
    progress = rollout.Progress(environment, digests)
    if wrong:
        return progress.refused(wrong)
    if not digests:
        return progress.stopped(f"No minion of the target belongs to the environment {environment}.")
    if isinstance(canary, list) and not set(canary) & set(digests):
        return progress.stopped(f"Nobody would go first: {', '.join(canary)} is no minion of {environment}.")
    todo = progress.begin(patient_rows(master, list(digests), timeout))
    for step, names in rollout.stages(todo, canary, batch):
        master.say(f"{environment}: {step}: {', '.join(names)}")
        failed = _step(master, progress, step, names, timeout)
        if failed:
            return progress.failed(step, failed)
    return progress.finished()


def _step(master: Master, progress: rollout.Progress, step: str, names: list[str], timeout: int) -> dict[str, str]:
    """Bring one step's minions to their policy and look at them again; return who failed and why (dict)."""
    ask(master, names, drift_answer.SYNC, timeout=min(timeout, PATIENCE), longest=timeout)
    states = applied(master, names, timeout)
    found = patient_rows(master, names, timeout)
    progress.stepped(step, found)
    return rollout.failures(names, progress.digests, found, states)
