"""
How a host differs from its policy: each difference with the layer that it belongs to.

Layers: ``package`` (installed), ``service`` (running, enabled), ``file`` (keywords of auditd.conf, rules files),
``compiled`` (the file that auditd's scripts load), ``kernel`` (rules and status), ``effective`` (keywords as sshd
decides them), ``daemon`` (what runs works with other files than those that are there, or does not listen) and ``trail``
(a way in which records are not written, read or kept: :mod:`sshtrail_lib.coverage`).
"""

from __future__ import annotations

import posixpath
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.base import text

#: ``layer``, ``what``, ``expected``, ``actual``, ``since`` and ``by``, as it goes to whoever asks.
Difference = dict[str, typing.Any]
#: What a comparison of the states returns: ``{what: {"old": what is, "new": what should be}}``.
Changes = Mapping[str, Mapping[str, typing.Any]]
#: A rule that hides records, as ``audit_rules.plan`` tells it: ``rule``, ``file`` (None for the kernel) and ``number``.
Hiding = Mapping[str, typing.Any]


#: A line of a rules file that does not load, likewise: ``file``, ``line`` (0 for the whole), ``text`` and ``reason``.
Broken = Mapping[str, typing.Any]
#: The layer of what is wrong with the trail itself.
TRAIL = "trail"
#: How many differences a comment has, and characters of one: a rules file as a whole is a difference too.
MOST, LONGEST = 20, 2 * text.LONGEST


def entry(layer: str, what: str, expected: typing.Any, actual: typing.Any) -> Difference:
    """Return one difference (dict); ``since`` and ``by`` are not known yet."""
    return {"layer": layer, "what": what, "expected": expected, "actual": actual, "since": None, "by": None}


def of(layer: str, changes: Changes) -> list[Difference]:
    """
    Return the differences (list of dict) in what a comparison of the states returned.

    layer
        The layer of what is compared (str).
    changes
        ``{what: {"old": what is, "new": what should be}}``.
    """
    return [entry(layer, what, change["new"], change["old"]) for what, change in changes.items()]


def of_daemon(layer: str, changes: Changes, daemon: str) -> list[Difference]:
    """Return the differences in ``changes``, where the key ``daemon`` (str) tells of the running one."""
    return [found if found["what"] != daemon else {**found, "layer": "daemon"} for found in of(layer, changes)]


def of_rules(
    changes: Changes, rules_dir: str, hiding: Iterable[Hiding] = (), broken: Iterable[Broken] = ()
) -> list[Difference]:
    """
    Return the differences in what ``audit_rules.plan`` returned (list of dict), one for each rule and setting.

    rules_dir
        The directory of the rules files (str); the file beside it is the compiled one.
    hiding
        Rules of others that hide records and stay (iterable of dict): differences too, one for each file.
    broken
        Lines of others that do not load (iterable of dict): what they should record is not, and ours is all the same.
    """
    files = {what: change for what, change in changes.items() if what not in ("kernel", "status")}
    found = [{**one, "layer": _layer_of(one["what"], rules_dir)} for one in of("file", files)]
    kernel, status = (changes.get(name, {"old": {}, "new": {}}) for name in ("kernel", "status"))
    settings = {name: {"old": status["old"][name], "new": value} for name, value in status["new"].items()}
    return [
        *found,
        *_of_kernel(kernel["old"], kernel["new"]),
        *of("kernel", settings),
        *_hiding(hiding),
        *_broken(broken),
    ]


def _layer_of(path: str, rules_dir: str) -> str:
    return "file" if posixpath.dirname(path) == rules_dir else "compiled"


def _of_kernel(gone: list[str], come: list[str]) -> Iterator[Difference]:
    for rule in come:
        yield entry("kernel", rule, "loaded", "in another place" if rule in gone else None)
    for rule in gone:
        if rule not in come:
            yield entry("kernel", rule, None, "loaded")


def _hiding(rules: Iterable[Hiding]) -> Iterator[Difference]:
    places: dict[str | None, list[Hiding]] = {}
    for one in rules:
        places.setdefault(one["file"], []).append(one)
    for one in places.pop(None, []):
        yield entry("kernel", one["rule"], None, "loaded")
    for path, there in places.items():
        lines = "; ".join(f"line {one['number']}: {one['rule']}" for one in there)
        yield entry("file", str(path), "no rule that hides records", lines)


def _broken(lines: Iterable[Broken]) -> Iterator[Difference]:
    for one in lines:
        place = f"{one['file']} line {one['line']}" if one["line"] else one["file"]
        told = entry(TRAIL, "rules-broken", "loaded", f"not loaded: {place}: {one['reason']}")
        yield {**told, "hides": False, "remedy": f"Mend or remove the line in {one['file']}, or have its owner do so."}


def of_findings(rows: Iterable[Mapping[str, typing.Any]]) -> list[Difference]:
    """Return the differences (list of dict) in what ``sshtrail.coverage`` tells: one for each that does not hold."""
    return [
        {
            **entry(TRAIL, one["check"], "recorded" if one["hides"] else "safe", f"{one['what']}: {one['evidence']}"),
            **{"since": one["since"], "by": one["by"], "hides": one["hides"], "remedy": one["remedy"]},
        }
        for one in rows
        if one["holds"] is False
    ]


def fails(found: Difference) -> bool:
    """Tell whether a highstate fails for a difference (dict): all do, but what only endangers the trail."""
    return found["layer"] != TRAIL or found.get("hides", True)


def sentences(found: Sequence[Difference], most: int = MOST) -> str:
    """
    Return differences (sequence of dict) as a person reads them (str), "" for none: what is wrong with the trail first.

    most
        How many are told (int); how many more there are is said.
    """
    ordered = sorted(found, key=lambda one: one["layer"] != TRAIL)
    told = [text.line(sentence(one), LONGEST) for one in ordered[:most]]
    more = [f"and {len(found) - most} more: sshtrail.drift has all"] if len(found) > most else []
    return "; ".join([*told, *more])


def sentence(found: Difference) -> str:
    """Return a difference (dict) as a person reads it (str)."""
    if found["layer"] == TRAIL:
        since = f", since {found['since']}" if found["since"] else ""
        return f"trail: {found['actual']} ({found['what']}{since})"
    return f"{found['layer']}: {found['what']} is {found['actual']!r}, expected {found['expected']!r}"
