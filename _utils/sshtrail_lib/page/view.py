"""
From what hosts told to what the page shows: bounded, every text made safe, and each silence a row of its own.
"""

from __future__ import annotations

import collections
import typing
from collections.abc import Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.base import text
from sshtrail_lib.compliance.finding import ACCEPTED, FAIL, MANUAL, NOT_APPLICABLE, PASS, STATUSES, UNKNOWN
from sshtrail_lib.compliance.rows import summary
from sshtrail_lib.fleet import shapes
from sshtrail_lib.page import answers, charts
from sshtrail_lib.policy.controls import CONTROLS

#: Characters of one text, and what it is cut to at most where all of it is too much.
LONGEST, SHORTEST = 300, 24
#: Hosts that are named for an evidence of a control, and different evidences of it that are shown.
HOSTS, EVIDENCES = 12, 6
#: What a reader looks at first.
ORDER = (FAIL, UNKNOWN, MANUAL, ACCEPTED, PASS, NOT_APPLICABLE)
#: The frameworks and controls that there are.
KNOWN = frozenset((name, f"{name} {control.id}") for name, controls in CONTROLS.items() for control in controls)
COLOURS = {
    **{PASS: "good", FAIL: "bad", ACCEPTED: "warn", MANUAL: "info", NOT_APPLICABLE: "dim", UNKNOWN: "odd"},
    **{"in policy": "good", "waits for a reboot": "warn", "at risk": "warn", "differs": "bad", "no policy": "bad"},
    **{"no modules": "bad", "no answer": "odd", "not watched": "odd", "sshd is full": "warn"},
}
#: Who has logged in with a key or an account that the policy names nobody for.
UNNAMED = "no person named"
Told = dict[str, typing.Any]


class Limits(typing.NamedTuple):
    """How much of each list is shown (int each): a fleet of a thousand hosts is a page that opens."""

    sessions: int = 1500
    commands: int = 12000
    differences: int = 1500
    changes: int = 1000
    failures: int = 500
    ways: int = 1000
    controls: int = 2000
    exceptions: int = 500
    accounts: int = 300
    failing: int = 300
    longest: int = LONGEST

    @property
    def least(self) -> bool:
        """Whether nothing more can be left off (bool)."""
        return not self.sessions and self.longest <= SHORTEST

    def shorter(self, share: float) -> Limits:
        """Return such a ``share`` (float, below 1) of it: of lists first, and of each text where they are short."""
        fewer = Limits(*(int(most * share) for most in self))
        return fewer._replace(longest=self.longest if self.sessions > 100 else max(SHORTEST, fewer.longest))


class Fleet(typing.NamedTuple):
    """
    What the page is made from.

    title
        Whose it is (str).
    now, since
        When it was made, and from when on it tells of sessions and changes (str, ISO 8601 in UTC).
    standings
        How each host stands (dict of its id to what :func:`sshtrail_lib.fleet.standing.row` returns).
    overviews
        What each host told (dict of its id to what ``sshtrail.overview`` returns, or to why it told nothing, str).
    """

    title: str
    now: str
    since: str
    standings: Mapping[str, Mapping[str, typing.Any]]
    overviews: Mapping[str, Mapping[str, typing.Any] | str]


def view(fleet: Fleet, limits: Limits = Limits()) -> Told:  # noqa: B008  (it cannot be changed)
    """Return what the template shows (dict) of a :class:`Fleet`, within :class:`Limits`."""
    told = {host: one for host, one in fleet.overviews.items() if isinstance(one, Mapping)}
    hosts = [_host(fleet, host) for host in sorted(fleet.standings)]
    counts = collections.Counter(host["standing"] for host in hosts)
    found = {
        **{"title": text.line(fleet.title), "now": _when(fleet.now), "since": _when(fleet.since), "hosts": hosts},
        "standing_bar": charts.bar(
            "Hosts by standing", [(name, n, f"c-{_colour(name)}") for name, n in counts.items()]
        ),
        "counts": [(name, count, _colour(name)) for name, count in counts.most_common()],
        "environments": sorted({host["environment"] for host in hosts}),
        **{"statuses": ORDER, "unnamed": UNNAMED},
        "silent": [host for host in hosts if host["silent"]],
        "undiffered": list(_undiffered(fleet)),
        "ways": _cut(_ways(told), limits.ways),
        "unseen": [host["name"] for host in hosts if host["recording"] == "not told"],
        "differences": _cut(_differences(told), limits.differences),
        "changes": _cut(_changes(told, _when(fleet.now)), limits.changes),
        **_sessions(told, limits, _when(fleet.now)),
        **_failures(told, limits),
        **_silences(fleet, told),
        **_compliance(told, limits),
        "exceptions": _cut(_exceptions(told, fleet.now), limits.exceptions),
        "proofs": _proofs(told),
    }
    return found if limits.longest >= LONGEST else _shortened(found, limits.longest)


def _shortened(value: typing.Any, longest: int) -> typing.Any:
    """Return what is shown with no text of more than ``longest`` (int) characters, but what the page itself drew."""
    if type(value) is str:
        return value if len(value) <= longest else f"{value[: longest - 1]}…"
    if isinstance(value, Cut):
        return Cut(_shortened(value.rows, longest), value.left)
    if isinstance(value, dict):
        return {name: _shortened(one, longest) for name, one in value.items()}
    return [_shortened(one, longest) for one in value] if isinstance(value, (list, tuple)) else value


def _line(value: typing.Any, longest: int = LONGEST) -> str:
    # A single text can be larger than a page.
    return "" if value is None else text.line(str(value)[: 2 * longest], longest)


def _when(stamp: typing.Any) -> str:
    """Return a time (ISO 8601 in UTC) to the second, as one reads it (str)."""
    said = _line(stamp)
    return said[:19].replace("T", " ") if said[10:11] == "T" else said


def _colour(status: str) -> str:
    return COLOURS.get(status, "odd")


class Cut(typing.NamedTuple):
    """The first of many: the ``rows`` that are shown (list) and how many are ``left`` off (int)."""

    rows: list[typing.Any]
    left: int


def _cut(rows: Iterable[typing.Any], most: int) -> Cut:
    found = list(rows)
    return Cut(found[:most], max(0, len(found) - most))


def _list(part: typing.Any) -> list[typing.Any]:
    return part if isinstance(part, list) else []


def _error(part: typing.Any) -> str:
    if isinstance(part, Mapping) and part.get("error"):
        return _line(part["error"])
    return "" if isinstance(part, (list, Mapping)) else "not told"


# --- Hosts --------------------------------------------------------------------------------------------------------


def _host(fleet: Fleet, name: str) -> Told:
    row, told = fleet.standings[name], fleet.overviews.get(name)
    known = told if isinstance(told, Mapping) else {}
    proof, recording = row.get("proof"), _recording(known.get("coverage"))
    return {
        "name": _line(name),
        "environment": _line(row.get("environment")) or "–",
        "standing": _line(row["standing"]),
        # A host that records nothing is nowhere shown as one that is well.
        "colour": "bad" if recording["recording"] == "no" else _colour(row["standing"]),
        "system": _line(known.get("system")) or "–",
        "silent": _line(told) if isinstance(told, str) else "" if known else "no answer",
        **recording,
        "proof": _line(proof["time"])[:16].replace("T", " ") if proof else "none",
        "proof_colour": ("good" if proof["holds"] else "bad") if proof else "odd",
        "proof_lost": "" if not proof or proof["holds"] else f"lost at {_line(proof['lost_at'])}",
        "looked": text.span(row["looked"]) if isinstance(row.get("looked"), (int, float)) else "–",
        "looked_seconds": row.get("looked") if isinstance(row.get("looked"), (int, float)) else -1,
        "differences": len(row["differences"]),
        # Of a host that says nothing nobody knows that nothing differs.
        "compared": bool(row["differences"]) or isinstance(known.get("drift"), list),
        "said": [_line(one) for one in row["differences"][:3]],
        "percent": _percent(_list(known.get("compliance"))),
    }


def _recording(coverage: typing.Any) -> Told:
    rows = _list(coverage)
    if not rows:
        return {"recording": "not told", "recording_colour": "odd"}
    hides = [row for row in rows if row.get("holds") is False and row.get("hides")]
    unsure = [row for row in rows if row.get("holds") is not True]
    if hides:
        return {"recording": "no", "recording_colour": "bad"}
    return (
        {"recording": "at risk", "recording_colour": "warn"}
        if unsure
        else {"recording": "yes", "recording_colour": "good"}
    )


def _percent(rows: Sequence[Mapping]) -> str:
    applies = [row for row in rows if row["status"] != NOT_APPLICABLE]
    return f"{100 * sum(row['status'] == PASS for row in applies) // len(applies)} %" if applies else "–"


def _ways(told: Mapping[str, Mapping]) -> list[Told]:
    """Return the ways in which something is not recorded: first those that hide what people do."""
    rows = [
        {
            **{"host": _line(host), "check": _line(row.get("check")), "hides": bool(row.get("hides"))},
            "holds": "open" if row.get("holds") is False else "cannot be told",
            "colour": ("bad" if row.get("hides") else "warn") if row.get("holds") is False else "odd",
            **{name: _line(row.get(name)) for name in ("what", "evidence", "remedy")},
            "since": _when(row.get("since")),
        }
        for host, one in sorted(told.items())
        for row in _list(one.get("coverage"))
        if row.get("holds") is not True
    ]
    return sorted(rows, key=lambda row: (row["holds"] != "open", not row["hides"]))


def _differences(told: Mapping[str, Mapping]) -> list[Told]:
    return [
        {
            **{"host": _line(host), "who": _line(row.get("said")) or "nobody knows"},
            **{name: _line(row.get(name)) for name in ("layer", "what", "expected", "actual")},
            "since": _when(row.get("since")) or "not known",
        }
        for host, one in sorted(told.items())
        for row in _list(one.get("drift"))
    ]


def _undiffered(fleet: Fleet) -> Iterator[Told]:
    """Yield the hosts that do not tell what differs, and why."""
    for host, known in _answers(fleet):
        error = _line(known) if isinstance(known, str) else _error(known.get("drift"))
        if error:
            yield _odd(host, error)


def _answers(fleet: Fleet) -> Iterator[tuple[str, Mapping[str, typing.Any] | str]]:
    """Yield each host that was asked, with what it told, or why it told nothing (str)."""
    for host in sorted(fleet.standings):
        yield host, fleet.overviews.get(host) or "no answer"


def _odd(host: str, why: str) -> Told:
    return {"host": _line(host), "why": why, "colour": "odd"}


def _changes(told: Mapping[str, Mapping], now: str) -> list[Told]:
    """Return what changed lately, the newest first: what began to differ, and what was put right."""
    rows = [
        {
            **{"host": _line(host), "from": _when(one.get("from")), "to": _when(one.get("to")) or "still"},
            **{name: _line(one.get(name)) for name in ("what", "layer", "expected", "actual")},
            "by": _line(one.get("by")) or "nobody knows",
            "seconds": int(float(one.get("seconds") or 0)),
            "lasted": text.span(float(one.get("seconds") or 0)),
        }
        for host, known in told.items()
        if isinstance(known.get("history"), Mapping)
        for one in _list(known["history"].get("spans"))
    ]
    return sorted(rows, key=lambda row: min(row["from"], now), reverse=True)


def _proofs(told: Mapping[str, Mapping]) -> list[Told]:
    """Return for each host what its history has: since when, the times that nobody looked, the proofs."""
    found = []
    for host, known in sorted(told.items()):
        history = known.get("history")
        if isinstance(history, Mapping) and "spans" in history:
            lost = [one for one in history["proofs"] if not one["holds"]]
            found.append(
                {
                    **{"host": _line(host), "from": _when(history["from"]), "gaps": len(history["gaps"])},
                    **{"proofs": len(history["proofs"]), "lost": len(lost), "spans": len(history["spans"])},
                    "looks": history["looks"],
                }
            )
    return found


# --- Sessions -----------------------------------------------------------------------------------------------------


def _sessions(told: Mapping[str, Mapping], limits: Limits, now: str) -> Told:
    raw = [(host, one) for host, known in told.items() for one in _list(known.get("sessions"))]
    # What has yet to begin, by a host's wrong clock, is not newer than what has just begun.
    raw.sort(key=lambda pair: min(_when(pair[1].get("started")), now), reverse=True)
    people = collections.Counter(_person(one) for _host, one in raw)
    days = collections.Counter(_when(one.get("started"))[5:10] for _host, one in raw)
    accounts = answers.accounts(_login(host, one) for host, one in raw)
    # Only what is shown is made ready: a fleet can have told of millions of commands.
    shown, left = [], limits.commands
    for host, one in raw[: limits.sessions]:
        shown.append(_session(host, one, left))
        left -= len(shown[-1]["list"])
    more = sum(int(known.get("more_sessions") or 0) for known in told.values())
    return {
        **{
            "sessions": Cut(shown, len(raw) - len(shown) + more),
            "people": people.most_common(50),
            "all_sessions": len(raw) + more,
        },
        "accounts": _cut(accounts, limits.accounts),
        "days_chart": charts.columns("Sessions by day", sorted(days.items())[-31:]),
    }


def _login(host: str, one: Mapping) -> answers.Login:
    came = one.get("from")
    address = _line(came.get("address") if isinstance(came, Mapping) else came) or "not known"
    account = _line(one.get("user")) or "not known"
    return answers.Login(_line(host), account, _person(one), _when(one.get("started"))[:10] or "not known", address)


def _person(one: Mapping) -> str:
    return _line(one.get("person")) or UNNAMED


def _silences(fleet: Fleet, told: Mapping[str, Mapping]) -> Told:
    """Return who does not tell of sessions, and of failed logins, and why."""
    unknown = "who logged in there is not known"
    mute = [_odd(host, f"{_line(why)}: {unknown}") for host, why in _answers(fleet) if isinstance(why, str)]
    errors = ((host, _error(known.get("failures"))) for host, known in sorted(told.items()))
    failures = [_odd(host, error) for host, error in errors if error]
    return {"untold": [*mute, *_untold(told)], "failures_untold": [*mute, *failures]}


def _untold(told: Mapping[str, Mapping]) -> Iterator[Told]:
    """Yield the hosts of which no session is shown, and what that means."""
    for host, known in sorted(told.items()):
        part, log = known.get("sessions"), known.get("log")
        if error := _error(part):
            yield _odd(host, f"its sessions cannot be told: {error}")
        elif not part:
            oldest = log.get("oldest") if isinstance(log, Mapping) else None
            if oldest is None:
                yield _odd(host, "its log holds no record: nobody can say whether somebody logged in")
            else:
                yield {"host": _line(host), "why": f"no login, in records since {_when(oldest)}", "colour": "good"}


def _session(host: str, one: Mapping, most: int) -> Told:
    came, key = one.get("from") or {}, one.get("key") or {}
    certificate, commands = one.get("certificate") or {}, one.get("commands")
    began = _when(one.get("started"))[:10]
    shown = [_command(command, began) for command in commands[:most]] if isinstance(commands, list) else []
    whole = len(commands) + int(one.get("more_commands") or 0) if isinstance(commands, list) else None
    count = commands if whole is None else whole
    return {
        **{"host": _line(host), "id": _line(one.get("id")), "account": _line(one.get("user")) or "not known"},
        "person": _person(one),
        "address": _line(came.get("address") if isinstance(came, Mapping) else came) or "not known",
        "method": _line(one.get("method")) or "not known",
        "key": _line(certificate.get("id") or key.get("fingerprint")) or "–",
        **{"started": _when(one.get("started")) or "not known", "ended": _when(one.get("ended")) or "–"},
        **{"state": _line(one.get("state")) or "not known", "count": count if isinstance(count, int) else "not known"},
        **{"list": shown, "more": 0 if whole is None else whole - len(shown)},
        "became": [_line(_became(change)) for change in _list(one.get("became"))[:20]],
        "unknown": [_line(f"{name}: {why}") for name, why in (one.get("unknown") or {}).items()][:20],
    }


def _command(one: typing.Any, began: str) -> Told:
    """Return what is shown of a command; its day too where that is not the one on which the session ``began`` (str)."""
    if not isinstance(one, Mapping):
        return {"time": "", "as": "", "what": _line(one), "result": ""}
    argv = one.get("argv")
    said = " ".join(str(word)[:LONGEST] for word in argv[:200]) if isinstance(argv, (list, tuple)) else argv
    euid, uid = one.get("euid"), one.get("uid")
    when = _when(one.get("time"))
    return {
        "time": when[11:] if when[:10] == began else when,
        "as": _line(euid if euid is not None else uid),
        "what": _line(said or one.get("exe")),
        "result": "" if one.get("success") in (True, None) else "failed",
    }


def _became(change: Mapping) -> str:
    who = f"{change.get('from') or change.get('from_user')} became {change.get('to') or change.get('to_user')}"
    command = f" for {change['command']}" if change.get("command") else ""
    return f"{_when(change.get('time'))}: {who} by {change.get('via')}{command}: {change.get('result')}"


def _failures(told: Mapping[str, Mapping], limits: Limits) -> Told:
    rows = [_failure(host, one) for host, known in told.items() for one in _list(known.get("failures"))]
    rows.sort(key=lambda row: row["count"], reverse=True)
    sources: collections.Counter[str] = collections.Counter()
    for row in rows:
        sources[row["source"]] += row["count"]
    parts = [(source, count, f"c-s{at}") for at, (source, count) in enumerate(sources.most_common(6))]
    return {
        "failures": _cut(rows, limits.failures),
        "failures_sources": sources.most_common(6),
        "failures_bar": charts.bar("Failed logins by source", parts),
    }


def _failure(host: str, one: Mapping) -> Told:
    source = one.get("source") or one.get("address") or one.get("from") or {}
    address = source.get("address") if isinstance(source, Mapping) else source
    count = one.get("count", one.get("attempts", 1))
    return {
        **{"host": _line(host), "source": _line(address) or "not known", "user": _line(one.get("user")) or "not known"},
        # Below nothing, and without an end, is no number of failures.
        **{"method": _line(one.get("method")) or "not known", "count": count if shapes.is_count(count) else 1},
        **{"first": _when(one.get("first")), "last": _when(one.get("last"))},
    }


# --- Compliance ---------------------------------------------------------------------------------------------------


def _compliance(told: Mapping[str, Mapping], limits: Limits) -> Told:
    """Return the ``frameworks``, and how many controls are ``unshown``: first those that this project knows."""
    found: dict[tuple[str, str], list[tuple[str, Mapping]]] = {}
    for host, known in sorted(told.items()):
        for row in _list(known.get("compliance")):
            found.setdefault((row["framework"], row["control"]), []).append((host, row))
    # What a host makes up takes the place of nothing.
    ordered = _cut(sorted(found.items(), key=lambda item: item[0] not in KNOWN), limits.controls)
    frameworks: dict[str, dict[str, list[tuple[str, Mapping]]]] = {}
    for (framework, control), several in ordered.rows:
        frameworks.setdefault(framework, {})[control] = several
    shown = [_framework(*one) for one in frameworks.items()]
    return {
        **{"frameworks": shown, "unshown": ordered.left},
        "failing": _cut(answers.failing(shown), limits.failing),
    }


def _framework(name: str, controls: Mapping[str, Sequence[tuple[str, Mapping]]]) -> Told:
    rows = [row for several in controls.values() for _host, row in several]
    counts = summary(rows)[name]
    parts = [(status, counts[status], f"c-{_colour(status)}") for status in STATUSES]
    return {
        **{"name": _line(name), "version": _line(counts["version"]), "counts": [(n, c, k[2:]) for n, c, k in parts]},
        "percent": "no control applies" if counts["percent"] is None else f"{counts['percent']} % of what applies pass",
        "bar": charts.bar(f"{_line(name)}: controls by status", parts),
        "controls": [_control(several) for several in controls.values()],
    }


def _control(several: Sequence[tuple[str, Mapping]]) -> Told:
    row = several[0][1]
    counts = collections.Counter(one["status"] for _host, one in several)
    worst = next(status for status in ORDER if counts[status])
    seen: dict[tuple[str, str], list[tuple[str, Mapping]]] = {}
    for host, one in several:
        seen.setdefault((one["status"], _line(one.get("evidence"))), []).append((host, one))
    order = sorted(seen.items(), key=lambda item: (ORDER.index(item[0][0]), -len(item[1])))
    return {
        **{"id": _line(row["id"]), "name": _line(row["control"]), "title": _line(row["title"])},
        **{"level": _line(row.get("level")), "status": worst, "colour": _colour(worst)},
        "counts": [(status, counts[status], _colour(status)) for status in STATUSES if counts[status]],
        "evidences": [_evidence(status, said, hosts) for (status, said), hosts in order[:EVIDENCES]],
        "left": max(0, len(order) - EVIDENCES),
    }


def _evidence(status: str, said: str, hosts: Sequence[tuple[str, Mapping]]) -> Told:
    first = hosts[0][1]
    return {
        **{"status": status, "colour": _colour(status), "said": said, "layer": _line(first.get("layer"))},
        **{"since": _when(first.get("since")) if len(hosts) == 1 else "", "by": _line(first.get("by"))},
        "remedy": _line(first.get("remedy")),
        "hosts": [_line(host) for host, _row in hosts[:HOSTS]],
        "left": max(0, len(hosts) - HOSTS),
    }


def _exceptions(told: Mapping[str, Mapping], now: str) -> list[Told]:
    """Return what people took upon themselves or judged: what ended, and then what ends first."""
    found: dict[tuple[str, ...], list[str]] = {}
    for host, known in sorted(told.items()):
        for row in _list(known.get("compliance")):
            given = row.get("exception")
            if given:
                said = ("until", "reason", "by")
                key = (_line(row["control"]), *(_line(given.get(name)) for name in said), row["status"])
                found.setdefault(key, []).append(_line(host))
    rows = [
        {
            **{"control": control, "until": until, "reason": reason, "by": by, "status": status},
            **{"hosts": hosts[:HOSTS], "left": max(0, len(hosts) - HOSTS), "expired": until < now[:10]},
            "colour": "bad" if until < now[:10] else _colour(status),
        }
        for (control, until, reason, by, status), hosts in found.items()
    ]
    return sorted(rows, key=lambda row: row["until"])
