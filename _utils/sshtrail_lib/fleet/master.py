"""
What is done on the master: minions are asked and told, pillars compiled, a rollout brought through its steps.
"""

from __future__ import annotations

import logging
import sys
import time
import typing
from collections.abc import Callable, Iterable, Mapping

import salt.client
import salt.pillar
import salt.utils.mine
import salt.utils.minions
from salt.exceptions import SaltInvocationError

from sshtrail_lib.drift import claim as drift_claim
from sshtrail_lib.fleet import rollout, standing
from sshtrail_lib.fleet.standing import Row
from sshtrail_lib.policy import arguments
from sshtrail_lib.policy import pillar as policy_pillar

log = logging.getLogger(__name__)

#: Seconds before each question to a host whose sshd was full.
PAUSES = (2, 5, 10)
#: The event that tells how far a rollout is.
ROLLOUT = "sshtrail/rollout"

Answers = dict[str, typing.Any]


class Master(typing.NamedTuple):
    """
    Salt as a runner has it.

    opts
        The configuration (``__opts__``).
    call
        Functions of the master by name, such as ``event.send`` (a runner's ``__salt__``).
    """

    opts: Mapping[str, typing.Any]
    call: Mapping[str, Callable[..., typing.Any]]

    def minions(self, tgt: str, tgt_type: str) -> list[str]:
        """Return the ids of a target (list of str), arguments as for ``salt`` itself."""
        return sorted(salt.utils.minions.CkMinions(self.opts).check_minions(tgt, tgt_type)["minions"])

    def publish(
        self,
        minions: list[str],
        function: str,
        *args: object,
        timeout: int,
        batch: int | str | None = None,
        **kwargs: object,
    ) -> Answers:
        """
        Run a function on ``minions`` and return what each answered (dict by id); who did not answer is not in it.

        timeout
            How long to wait for an answer, in seconds (int).
        batch
            How many at a time (int), or which share (str, ``10%``); None for all at once.
        """
        if not minions:
            return {}
        options = {"arg": args, "kwarg": kwargs, "tgt_type": "list", "timeout": timeout}
        with salt.client.get_local_client(mopts=self.opts) as client:
            if batch is not None:
                parts = client.cmd_batch(minions, function, batch=str(batch), **options)
                return {name: answer for part in parts for name, answer in part.items() if answer is not False}
            answers = client.cmd(minions, function, full_return=True, **options)
        # In these two forms Salt tells that a minion did not answer.
        there = {name: got for name, got in answers.items() if got is not False and got.get("out") != "no_return"}
        return {name: got["ret"] for name, got in there.items()}

    def pillar(self, minion: str) -> tuple[dict[str, typing.Any], str]:
        """Return a minion's pillar as the master compiles it (dict), and the family of its distribution (str)."""
        # In an orchestration the options hold the master's own pillar, and Salt 3008 lets that into everybody's: not
        # pillar.show_pillar, therefore.
        opts = {key: value for key, value in self.opts.items() if key != "pillar"}
        name, grains, _ = salt.utils.minions.get_minion_data(minion, opts)
        grains = grains or {"fqdn": minion}
        pillar = salt.pillar.Pillar(opts, grains, name or minion, "base").compile_pillar()
        # Not known before the minion's first run: then its own validation has to do.
        return pillar, grains.get("os_family", "Debian")

    def mine(self, names: list[str] | None) -> Answers:
        """
        Return what minions whose key is accepted have put into the mine as their claim (dict by id): anything.

        names
            Their ids (list of str), None for all.
        """
        # Not mine.get: that asks as if the master were a minion, and no other minion may read a claim.
        asked = ("*", {}) if names is None else (names, {"tgt_type": "list"})
        found = self.call["cache.mine"](asked[0], **asked[1])
        found = found if isinstance(found, dict) else {}
        return {name: claimed(content, drift_claim.MINE_KEY) for name, content in found.items()}

    def say(self, text: str) -> None:
        """Tell how far a rollout is: on stderr, in the log, and as an event."""
        log.info(text)
        print(text, file=sys.stderr, flush=True)
        self.call["event.send"](ROLLOUT, {"message": text})


def claimed(content: typing.Any, key: str) -> typing.Any:
    """Return what a minion has put into its mine (anything) under a ``key`` (str), None for nothing."""
    value = content.get(key) if isinstance(content, dict) else None
    if isinstance(value, dict) and salt.utils.mine.MINE_ITEM_ACL_ID in value:
        # What has a list of readers of its own is wrapped.
        return value.get(salt.utils.mine.MINE_ITEM_ACL_DATA)
    return value


def rows(master: Master, minions: Iterable[str], batch: int | str | None = None, timeout: int = 60) -> dict[str, Row]:
    """Return how each minion stands to its policy (dict by id); ``batch`` and ``timeout`` as for publishing."""
    names = list(minions)
    answers = conditions(master, names, timeout, batch)
    return {name: standing.row(answers.get(name)) for name in names}


def conditions(master: Master, names: list[str], timeout: int, batch: int | str | None = None) -> Answers:
    """Return what each minion answers of its condition (dict by id); one whose sshd is only full is asked again."""
    answers = master.publish(names, "sshtrail.condition", timeout=timeout, batch=batch)
    for pause in PAUSES:
        full = [name for name in answers if isinstance(answers[name], Mapping) and answers[name].get("full")]
        if not full:
            break
        time.sleep(pause)
        answers |= master.publish(full, "sshtrail.condition", timeout=timeout, batch=batch)
    return answers


def applied(master: Master, minions: list[str], timeout: int) -> Answers:
    """Apply their policies to minions; return what each that answered within ``timeout`` (s, int) returned (dict)."""
    return master.publish(minions, "state.apply", arguments.SLS, timeout=timeout, queue=True)


def policies(master: Master, environment: str, minions: Iterable[str]) -> tuple[dict[str, str], dict[str, str]]:
    """Return the digest of each minion's policy in an environment (dict), and what is wrong in pillars (dict)."""
    digests, wrong = {}, {}
    for name in minions:
        pillar, os_family = master.pillar(name)
        if policy_pillar.elsewhere(pillar, environment):
            continue
        try:
            policy_pillar.build(pillar, os_family)
            digests[name] = policy_pillar.digest(pillar)
        except SaltInvocationError as exc:
            wrong[name] = exc.message
    return digests, wrong


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
    todo = progress.begin(rows(master, digests, timeout=timeout))
    for step, names in rollout.stages(todo, canary, batch):
        master.say(f"{environment}: {step}: {', '.join(names)}")
        failed = _step(master, progress, step, names, timeout)
        if failed:
            return progress.failed(step, failed)
    return progress.finished()


def _step(master: Master, progress: rollout.Progress, step: str, names: list[str], timeout: int) -> dict[str, str]:
    """Bring one step's minions to their policy and look at them again; return who failed and why (dict)."""
    master.publish(names, "saltutil.sync_all", timeout=timeout)
    states = applied(master, names, timeout)
    found = rows(master, names, timeout=timeout)
    progress.stepped(step, found)
    return rollout.failures(names, progress.digests, found, states)
