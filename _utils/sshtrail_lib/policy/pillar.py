"""
From pillar to one validated policy: what this host must end up with.

A policy is a plain dictionary, laid in layers: this module's defaults, what follows from the distribution, what all
environments share (``sshtrail:layers:common``), what the host's environment asks for (``sshtrail:layers:prod``), and
what stands directly under ``sshtrail``, which is for single hosts. The later layer wins, value by value. The master
merges the pillar's files, but each layer keeps its own place in it, so a minion can tell where a value came from.

Whatever is not understood is refused with its path in the pillar, so that a typing error never becomes a host that
silently records nothing.
"""

from __future__ import annotations

import hashlib
import json
import typing
from collections.abc import Iterator, Mapping

from salt.exceptions import SaltInvocationError

from sshtrail_lib.auditd import keywords as auditd_keywords
from sshtrail_lib.auditd import plan as auditd_plan
from sshtrail_lib.base import text
from sshtrail_lib.policy import arguments, claims, groups, needs, platforms
from sshtrail_lib.policy.kinds import Tree, allowed, no_text
from sshtrail_lib.policy.schema import ANY_SSHD, DEFAULTS, KEY, POLICY, checked
from sshtrail_lib.rules import accounts as rules_accounts
from sshtrail_lib.sshd import keywords as sshd_keywords
from sshtrail_lib.sshd import wish as sshd_wish

COMMON = "common"
HOST = "host"
RESERVED = ("default", "distribution", COMMON, HOST)
# What a layer cannot hold: it is the host that belongs to an environment.
HOST_ONLY = ("environment", "layers")
# Characters of one problem: it names what is allowed, and whatever stands in the pillar.
LONGEST = 1000


class PolicyError(SaltInvocationError):
    """The pillar holds something that cannot be a policy; the message names every path that is wrong."""


def build(pillar: Mapping, os_family: str, distribution: str | None = None) -> Tree:
    """
    Return the validated policy of a host (dict).

    pillar
        The host's whole pillar (mapping).
    os_family
        Salt's grain of that name (str), which decides package and service names that the pillar leaves open.
    distribution
        What :func:`sshtrail_lib.policy.claims.distribution` returned (str): whose editions the controls of the ready
        groups are. None names only those that every host has.

    Raises :class:`PolicyError` that names each wrong path in the pillar and what is allowed there.
    """
    return _built(_checked(pillar), os_family, distribution)


def named(pillar: Mapping, os_family: str, distribution: str | None = None) -> tuple[Tree, str]:
    """Return what :func:`build` returns (dict), and :func:`digest` (str): the pillar is checked only once for both."""
    given = _checked(pillar)
    return _built(given, os_family, distribution), _digest(given)


def _built(given: Tree, os_family: str, distribution: str | None) -> Tree:
    layers = _layers(given, os_family)
    policy = _merged(layers)
    problems = [*_relations(policy, os_family, layers), *_together(policy, layers), *_hiding(policy, layers)]
    if problems:
        raise _wrong(problems)
    policy["rules"]["groups"] = _groups(policy["rules"]["groups"], distribution)
    return policy


def demand(policy: Mapping, environment: str | None) -> None:
    """Raise :class:`PolicyError` where a policy is that of another ``environment`` (str, None for any)."""
    if environment is not None and policy["environment"] != str(environment):
        raise PolicyError(
            f"The policy of {environment} was asked for, and {KEY}:environment is {policy['environment']}: "
            "write the same name there, and give its layer that name."
        )


def provenance(pillar: Mapping, os_family: str) -> Tree:
    """
    Return where each value of the policy came from (dict of the path in the policy to dict).

    Arguments and errors are those of :func:`build`. Each entry has the ``value``, the layer it is ``from``
    (``default``, ``distribution``, ``common``, the environment's name or ``host``), and as ``overrides`` what lower
    layers said (dict of layer to value, the lowest first).
    """
    build(pillar, os_family)
    layers = _layers(_checked(pillar), os_family)
    return {":".join(path): _origin(path, value, layers) for path, value in _leaves(_merged(layers))}


def digest(pillar: Mapping) -> str:
    """
    Return a short name (12 hexadecimal digits) for what a pillar asks.

    pillar
        The host's whole pillar (mapping). Errors are those of :func:`build`.

    What the distribution decides does not count: hosts with the same environment and no values of their own have the
    same digest, whichever distribution they run.
    """
    return _digest(_checked(pillar))


def _digest(given: Tree) -> str:
    asked = _merged([(name, layer) for name, layer in _layers(given, None) if name != "distribution"])
    asked["rules"]["groups"] = _groups(asked["rules"]["groups"])
    # What people accept changes nothing on a host.
    del asked["compliance"]
    return hashlib.sha256(json.dumps(asked, sort_keys=True).encode()).hexdigest()[:12]


def elsewhere(pillar: Mapping, environment: str) -> bool:
    """Tell whether a host has nothing to do with ``environment`` (str): it is in another, or has no policy at all."""
    given = pillar.get(KEY)
    if given is None:
        # A pillar that could not be compiled may have lost the key by that.
        return not pillar.get("_errors")
    return isinstance(given, dict) and given.get("environment", environment) != environment


@rules_accounts.asked_once()
def _checked(pillar: Mapping) -> Tree:
    """Return the pillar's part as plain containers, every single value checked."""
    if pillar.get("_errors"):
        # What is left of it could be a laxer policy than the one that was meant.
        # They have the lines of a file in them, and marks below these.
        told = " ".join(text.line(" ".join(str(error).split()), LONGEST) for error in pillar["_errors"])
        raise PolicyError(f"The master could not compile the pillar: {told}")
    if KEY not in pillar:
        raise PolicyError(
            f"The pillar has no key '{KEY}', so this host has no policy: assign an environment to it in pillar/top.sls"
        )
    if problems := list(no_text(pillar[KEY], KEY)):
        raise _wrong(problems)
    given = checked(pillar[KEY], POLICY, KEY, problems)
    if not problems:
        problems += _strangers(given)
    if problems:
        raise _wrong(problems)
    return given


def _wrong(problems: list[str]) -> PolicyError:
    told = (text.line(problem, LONGEST) for problem in problems)
    return PolicyError("The policy in the pillar is wrong. " + " ".join(told))


def _layers(given: Tree, os_family: str | None) -> list[tuple[str, Tree]]:
    """Return the policy's layers, the lowest first: ``[(name, mapping), …]``."""
    named, environment = given.get("layers", {}), given.get("environment", "")
    chosen = {"environment": environment} if environment else {}
    return [
        ("default", DEFAULTS),
        ("distribution", platforms.policy(os_family)),
        (COMMON, _spelled(named.get(COMMON, {}))),
        (environment, _spelled({**named.get(environment, {}), **chosen})),
        (HOST, _spelled({key: value for key, value in given.items() if key not in HOST_ONLY})),
    ]


def _spelled(layer: Tree) -> Tree:
    """Return a layer with each keyword in its one spelling: one that is written in another case is the same."""
    spelled = dict(layer)
    for daemon, spell in (("sshd", _sshd_name), ("auditd", _auditd_name)):
        config = layer.get(daemon, {}).get("config")
        if config:
            spelled[daemon] = {**layer[daemon], "config": {spell(name): value for name, value in config.items()}}
    return spelled


def _sshd_name(word: str) -> str:
    found = sshd_keywords.find(word, ANY_SSHD.release, ANY_SSHD.defaults)
    return found.name if found else word


def _auditd_name(word: str) -> str:
    return auditd_keywords.lookup(word).name


def _merged(layers: list[tuple[str, Tree]]) -> Tree:
    policy: Tree = {}
    for _, layer in layers:
        policy = _merge(policy, layer)
    return policy


def _leaves(mapping: Tree, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], typing.Any]]:
    for key, value in mapping.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, str(key)))
        else:
            yield (*path, str(key)), value


def _origin(path: tuple[str, ...], value: typing.Any, layers: list[tuple[str, Tree]]) -> Tree:
    """Return the entry of one value: the highest layer that has its path, and what those below it say."""
    said = _origins(path, layers)
    origin = list(said)[-1]
    return {"value": value, "from": origin, "overrides": {name: said[name] for name in said if name != origin}}


def _origins(path: tuple[str, ...], layers: list[tuple[str, Tree]]) -> Tree:
    """Return what each layer that has a value at ``path`` says (dict by the layer's name, the lowest first)."""
    return {name: found[0] for name, layer in layers if (found := _at(layer, path))}


def _at(layer: typing.Any, path: tuple[str, ...]) -> list[typing.Any]:
    """Return what ``layer`` has at ``path``, as a list of one, or an empty list."""
    for key in path:
        layer = {str(name): value for name, value in layer.items()} if isinstance(layer, dict) else {}
        if key not in layer:
            return []
        layer = layer[key]
    return [layer]


def _merge(base: Tree, over: Tree) -> Tree:
    """Return ``base`` with ``over`` laid on top, mapping by mapping; no mapping of ``over`` is shared."""
    merged = dict(base)
    for key, value in over.items():
        below = merged.get(key)
        merged[key] = _merge(below if isinstance(below, dict) else {}, value) if isinstance(value, dict) else value
    return merged


def _groups(chosen: Tree, distribution: str | None = None) -> list[Tree]:
    """
    Return the rule groups that are switched on, in the order in which the pillar has them (list of dict).

    A set stands for its groups; what the pillar says of one of them by its own name wins. What the host itself decides
    comes last: where a load at boot stops at a program on a file system that is not there yet, nothing else is lost.
    """
    named: Tree = {}
    for name, group in chosen.items():
        members = claims.SETS.get(name, [name]) if isinstance(group, bool) else [name]
        named |= {member: chosen.get(member, group) for member in members}
    ready = [
        {"name": name, "controls": claims.told(name, distribution), **groups.GROUPS[name]}
        if group is True
        else {"title": name, "controls": [], **group, "name": name}
        for name, group in named.items()
        if group
    ]
    return sorted(ready, key=lambda group: "privileged" in group)


# --- What no single value can tell --------------------------------------------------------------------------


def _strangers(given):
    """Name the layers of other environments: a host that two were assigned to has no policy."""
    environment = given.get("environment")
    others = [name for name in given.get("layers", {}) if name not in (COMMON, environment)]
    if environment is None and others:
        yield f"{KEY}:environment is missing: name the environment this host belongs to, such as {others[0]}."
        return
    for name in others:
        alike = str(name).lower() == str(environment).lower()
        advice = "write both in the same letters" if alike else "assign one environment to a host"
        yield f"{KEY}:layers:{name} is a layer of another environment than this host's, {environment}: {advice}."


def _relations(policy, os_family, layers):
    if "environment" not in policy:
        yield f"{KEY}:environment is missing: name the environment this host belongs to."
    if policy.get("environment") in RESERVED:
        yield f"{KEY}:environment is {policy['environment']!r}, the name of another layer; choose another."
    for daemon, key in (("sshd", "package"), ("sshd", "service"), ("auditd", "package")):
        if arguments.manages(policy, daemon) and key not in policy[daemon]:
            yield f"{KEY}:{daemon}:{key} is missing, and nothing is known of the os_family {os_family}."
    yield from _rules(policy, layers)
    interval, splay = policy["drift"]["interval"], policy["drift"]["splay"]
    if 0 < interval <= splay:
        place, other = (_place(("drift", name), layers) for name in ("splay", "interval"))
        yield f"{place} is {splay}; it must be less than {other}, which is {interval}."


def _rules(policy: Tree, layers: list[tuple[str, Tree]]) -> Iterator[str]:
    """Name what asks for no rule: a group without any, one that there is not and that is off, and no group at all."""
    chosen, ready = policy["rules"]["groups"], [*groups.GROUPS, *claims.SETS]
    for name, group in chosen.items():
        path = ("rules", "groups", str(name))
        if isinstance(group, dict) and not group.get("rules"):
            yield f"{_place(path, layers)} has no rules: give it a list of them, or say false."
        own = any(isinstance(said, dict) for said in _origins(path, layers).values())
        if not group and not own and name not in ready:
            yield f"{_place(path, layers)} is no ready group, and no layer gives it rules; {allowed(name, ready)}."
    if arguments.manages(policy, "rules") and not any(chosen.values()):
        yield f"{KEY}:rules:groups asks for no rule; a host without an audit of its own says {KEY}:audit: false."


def _together(policy: Tree, layers: list[tuple[str, Tree]]) -> Iterator[str]:
    """Name what each value for itself may be, and all of a daemon's together may not."""
    sshd, config = policy["sshd"], policy["auditd"]["config"]
    try:
        if sshd["config"] or sshd["matches"]:
            sshd_wish.wishes(sshd["config"], sshd["matches"], ANY_SSHD)
    except SaltInvocationError as exc:
        yield f"{_place(('sshd', 'matches'), layers)}: {exc.message}."
    for about, reason in auditd_plan.unfit(config):
        places = {name: _place(("auditd", "config", name), layers) for name in about if name in config}
        first, *others = [f"{place} is {_written(config[name])}" for name, place in places.items()]
        yield f"{first}; {'; '.join([reason.removesuffix('.'), *others])}."


def _hiding(policy: Tree, layers: list[tuple[str, Tree]]) -> Iterator[str]:
    """Name what hides records on a host that has an audit of its own, with its place in the pillar."""
    for path, value, consequence in needs.hidden(policy) if policy["audit"] else ():
        if not arguments.manages(policy, path[0]):
            continue
        yield (
            f"{_place(path, layers)} is {_written(value)}, with which {consequence}: "
            f"only a host without an audit of its own ({KEY}:audit: false) may ask for that."
        )


def _place(path: tuple[str, ...], layers: list[tuple[str, Tree]]) -> str:
    """Return where in the pillar the value stands that counts (str): with its layer, unless that is the code's."""
    layer = list(_origins(path, layers))[-1]
    named = [] if layer in (HOST, "default", "distribution") else ["layers", layer]
    return ":".join((KEY, *named, *map(str, path)))


def _written(value: typing.Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "null" if value is None else str(value)
