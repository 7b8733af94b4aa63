"""
What the trail needs on every host that has an audit of its own, and what a policy may not ask for there.

With any of these a host can be in its policy in every line and record nothing of what people do.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterator, Mapping

from sshtrail_lib.auditd import keywords as auditd_keywords
from sshtrail_lib.sshd import asked as sshd_asked

#: The lowest layer of every policy: what a pillar does not name is so.
DEFAULTS: dict[str, typing.Any] = {
    # Without PAM nobody's session gets a login id, and the rules about people match nothing. sshd's default is no.
    "sshd": {"config": {"UsePAM": "yes"}},
    "auditd": {"config": {"write_logs": "yes", "local_events": "yes", "log_format": "enriched"}},
    # Above 0 the kernel drops what comes faster.
    "rules": {"status": {"rate_limit": 0}},
}


def _means(keyword: str, word: str) -> Callable[[typing.Any], bool]:
    return lambda value: auditd_keywords.same(keyword, auditd_keywords.written(keyword, value), word)


Path = tuple[str, str, str]
#: Where in a policy, which values of it, and what comes of them.
HIDES: tuple[tuple[Path, Callable[[typing.Any], bool], str], ...] = (
    (("sshd", "config", "UsePAM"), sshd_asked.is_off, sshd_asked.WITHOUT_PAM),
    (("auditd", "config", "write_logs"), _means("write_logs", "no"), "auditd writes no log"),
    (("auditd", "config", "local_events"), _means("local_events", "no"), "auditd takes no record of this host"),
    (("auditd", "config", "log_format"), _means("log_format", "nolog"), "auditd writes no log"),
    (("rules", "status", "rate_limit"), lambda value: value > 0, "the kernel drops records that come faster"),
    (("rules", "status", "enabled"), lambda value: value == 0, "the kernel records nothing"),
)


def hidden(policy: Mapping[str, typing.Any]) -> Iterator[tuple[Path, typing.Any, str]]:
    """
    Yield each value of a policy (dict) that hides records: its path (tuple of str), the value, and what comes of it.
    """
    for path, hides, consequence in HIDES:
        wing, key, name = path
        asked = policy[wing][key]
        if name in asked and hides(asked[name]):
            yield path, asked[name], consequence
