"""
What differed on a host, from when to when: the state over a time, and not only now.

Auditors ask for it (PCI DSS 10.7.2 and 10.7.3, SOC 2 type II). What is kept is bounded, whatever happens on the host.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Mapping

from sshtrail_lib.base import text

VERSION = 1
#: Seconds that the past is kept for, and how many spans, gaps and proofs at most.
KEPT, SPANS, GAPS, PROOFS = 400 * 86400, 2000, 500, 1000
#: Differences that are kept open at once: a host with more has another trouble than its history.
OPEN = 200
#: Seconds without a look after which nobody knows what was in between: a look is due every quarter of an hour.
LONGEST = 3600

Chronicle = dict[str, typing.Any]


def empty() -> Chronicle:
    """Return the history (dict) of a host that nobody has looked at."""
    return {"version": VERSION, "began": 0.0, "last": 0.0, "open": [], "spans": [], "gaps": [], "proofs": []}


def parse(value: typing.Any) -> Chronicle:
    """Return the history (dict) in what was kept (anything); an empty one where that is none."""
    known = empty()
    good = isinstance(value, dict) and value.get("version") == VERSION and set(known) <= set(value)
    return {name: value[name] for name in known} if good else known


def looked(before: Chronicle, differences: Iterable[Mapping[str, typing.Any]], now: float) -> Chronicle:
    """
    Return the history (dict) once a whole look found these ``differences`` (iterable of dict) at ``now`` (float).

    What is new begins now, or since when the trail tells; what is not there any more has ended.
    """
    found = {_name(one): one for one in list(differences)[:OPEN]}
    known = {_name(one): one for one in before["open"]}
    stays = [known[name] for name in found if name in known]
    begins = [_opened(one, before["last"], now) for name, one in found.items() if name not in known]
    # A clock that was set back must not hide what was seen before.
    ended = [{**one, "to": max(now, one["from"])} for name, one in known.items() if name not in found]
    gap = before["last"] and now - before["last"] > LONGEST
    gaps = [*before["gaps"], {"from": before["last"], "to": now}] if gap else before["gaps"]
    return _bounded(
        {
            **before,
            **{"began": min(before["began"] or now, now), "last": now, "open": [*stays, *begins]},
            **{"spans": [*before["spans"], *ended], "gaps": gaps},
        },
        now,
    )


def proven(before: Chronicle, proof: Mapping[str, typing.Any], now: float) -> Chronicle:
    """Return the history (dict) once a ``proof`` (dict) was made at ``now`` (float)."""
    told = {"time": now, "holds": bool(proof["holds"]), "lost_at": proof.get("lost_at")}
    return _bounded({**before, "began": min(before["began"] or now, now), "proofs": [*before["proofs"], told]}, now)


def over(known: Chronicle, days: float, now: float) -> dict[str, typing.Any]:
    """
    Return what was within the last ``days`` (float) before ``now`` (float), for a person or a program (dict).

    Keys: ``from`` and ``to`` (str, ISO 8601 in UTC: the history may begin later than was asked), ``looks`` (int: what
    there is to tell), ``spans`` (list of dict: ``what``, ``layer``, ``expected``, ``actual``, ``by``, ``from``, ``to``,
    None while it lasts, and ``seconds``), ``gaps`` (when nobody looked) and ``proofs`` (list of dict).
    """
    begin = min(max(now - days * 86400, known["began"]), now) if known["began"] else now
    spans = [one for one in (*known["spans"], *known["open"]) if one.get("to", now) >= begin]
    proofs = [one for one in known["proofs"] if one["time"] >= begin]
    gaps = [one for one in known["gaps"] if one["to"] >= begin]
    if known["last"] and now - known["last"] > LONGEST:
        gaps.append({"from": known["last"], "to": now})
    lost = [_lost(one, later) for one, later in _until_next(proofs) if not one["holds"]]
    return {
        **{"from": text.iso(begin), "to": text.iso(now), "looks": int(bool(known["last"])) + len(proofs)},
        "spans": [_told(one, begin, now) for one in sorted([*spans, *lost], key=lambda one: one["from"])],
        "gaps": [{"from": text.iso(max(one["from"], begin)), "to": text.iso(one["to"])} for one in gaps],
        "proofs": [{**one, "time": text.iso(one["time"])} for one in proofs],
    }


def _until_next(proofs):
    return zip(proofs, [*proofs[1:], None])  # noqa: B905  (the last has none)


def _lost(proof, later):
    said = {"layer": "trail", "expected": "a login is recorded", "actual": f"lost at {proof['lost_at']}", "by": None}
    until = {"to": later["time"]} if later else {}
    return {"what": "proof", **said, "from": proof["time"], **until}


def _told(one, begin, now):
    start, end = max(one["from"], begin), one.get("to")
    told = {name: one[name] for name in ("what", "layer", "expected", "actual", "by")}
    times = {"from": text.iso(one["from"]), "to": text.iso(end) if end else None}
    return {**told, **times, "seconds": max(0, round((end or now) - start))}


def _name(one):
    return one["layer"], one["what"]


def _opened(one, last, now):
    # Where nobody can tell since when, it came after the look before.
    since = _seconds(one.get("since"))
    told = {name: text.line(str(one[name])) for name in ("expected", "actual")}
    begun = since if since is not None and last <= since <= now else now
    by = text.line(str(one["by"].get("user") or one["by"].get("auid"))) if one.get("by") else None
    return {"layer": one["layer"], "what": text.line(str(one["what"])), **told, "by": by, "from": begun}


def _seconds(stamp):
    return text.seconds(stamp) if isinstance(stamp, str) else None


def _bounded(known, now):
    oldest = now - KEPT
    spans, gaps = (known[name] for name in ("spans", "gaps"))
    proofs = _telling(known["proofs"])
    # What was cut off is not told of: the history begins after it.
    cut = [*(one["to"] for one in (*spans[:-SPANS], *gaps[:-GAPS])), *(one["time"] for one in proofs[: -2 * PROOFS])]
    return {
        **known,
        "began": max(known["began"], oldest, *cut),
        "spans": [one for one in spans if one["to"] >= oldest][-SPANS:],
        "gaps": [one for one in gaps if one["to"] >= oldest][-GAPS:],
        "proofs": [one for one in proofs if one["time"] >= oldest][-2 * PROOFS :],
    }


def _telling(proofs):
    """Return the last proofs, and of those before them the lost ones with what came next: the others only say when."""
    early = proofs[:-PROOFS]
    before = [None, *early]
    told = [one for one, last in zip(early, before, strict=False) if not one["holds"] or (last and not last["holds"])]
    return [*told, *proofs[-PROOFS:]]
