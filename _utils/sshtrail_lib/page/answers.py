"""
What people ask a page first, answered where nothing has to be unfolded: who used which account, what fails and why.
"""

from __future__ import annotations

import typing
from collections.abc import Iterable, Iterator, Mapping

from sshtrail_lib.compliance.finding import ACCEPTED, FAIL

#: Hosts and addresses that are named in one row.
NAMED = 4
Told = dict[str, typing.Any]


class Login(typing.NamedTuple):
    """A session as far as it matters here: its ``host``, ``account``, ``person``, ``day`` and ``address`` (str)."""

    host: str
    account: str
    person: str
    day: str
    address: str


def accounts(logins: Iterable[Login]) -> list[Told]:
    """Return a row (dict) for each day, account and person of ``logins`` (iterable of :class:`Login`), newest first."""
    found: dict[tuple[str, str, str], list[Login]] = {}
    for one in logins:
        found.setdefault((one.day, one.account, one.person), []).append(one)
    rows = [
        {
            **{"day": day, "account": account, "person": person, "count": len(several)},
            **dict(zip(("hosts", "hosts_left"), _named(one.host for one in several), strict=True)),
            **dict(zip(("addresses", "addresses_left"), _named(one.address for one in several), strict=True)),
        }
        for (day, account, person), several in sorted(found.items())
    ]
    return sorted(rows, key=lambda row: row["day"], reverse=True)


def _named(several: Iterable[str]) -> tuple[list[str], int]:
    names = list(dict.fromkeys(several))
    return names[:NAMED], max(0, len(names) - NAMED)


def failing(frameworks: Iterable[Mapping]) -> Iterator[Told]:
    """Yield a row (dict) for each control that fails somewhere, of what the page has of ``frameworks`` (dicts)."""
    for framework in frameworks:
        for control in framework["controls"]:
            reasons = [one for one in control["evidences"] if one["status"] == FAIL]
            if control["status"] == FAIL and reasons:
                hosts, accepted = (_on(control, status) for status in (FAIL, ACCEPTED))
                first = reasons[0]
                yield {
                    **{"control": control["name"], "title": control["title"], "count": hosts, "why": first["said"]},
                    **{"remedy": first["remedy"], "since": first["since"], "by": first["by"]},
                    **{"hosts": first["hosts"][:NAMED], "left": max(0, hosts - len(first["hosts"][:NAMED]))},
                    "accepted": accepted,
                    "reasons": len(reasons) - 1 + control["left"],
                }


def _on(control: Mapping, wanted: str) -> int:
    """Return on how many hosts (int) a control has a status."""
    return sum(count for status, count, _colour in control["counts"] if status == wanted)
