"""
Whether audit records leave the host: by auditd's own plugins, by rsyslog, or by a job.

Sources: audisp-remote.conf(5), auditd-plugins(5), audisp-syslog(8).
"""

from __future__ import annotations

import re

from sshtrail_lib.base import text
from sshtrail_lib.compliance import filters, syslog
from sshtrail_lib.compliance.facts import Facts
from sshtrail_lib.compliance.finding import MANUAL, Finding, judged
from sshtrail_lib.compliance.system import SYSLOG


def remote_server(facts: Facts) -> Finding:
    """Return whether auditd's own plugin sends the records to a server."""
    active = _active(facts, "au-remote.conf")
    said = [(place, line) for place, line in _lines(facts, "audisp-remote") if _words(line)[:1] == ["remote_server"]]
    named = _said(said[-1][1]) if said else ""
    server = said[-1:] if named and not syslog.ITSELF.fullmatch(named) else []
    told = f"{text.line(server[-1][1])} ({server[-1][0]})" if server else "audisp-remote.conf names no remote_server"
    told += "; au-remote.conf is active" if active else "; au-remote.conf is not active"
    return judged(
        bool(active and server),
        told,
        "file",
        "audisp-remote.conf: remote_server; plugins.d/au-remote.conf: active = yes",
    )


def offload(facts: Facts) -> Finding:
    """Return whether records leave the host: by a plugin of auditd, or by a job."""
    remote = remote_server(facts)
    if remote.holds:
        return remote
    by_syslog = _by_syslog(facts) if _active(facts, "syslog.conf") and _runs(facts) else None
    if by_syslog and by_syslog.holds:
        return by_syslog
    jobs = [place for place, line in _lines(facts, "offload")]
    known = [place for place in jobs if place.endswith("/audit-offload")]
    if jobs and not known:
        # What is called after audit can also be a report on it.
        return Finding(MANUAL, f"whether this job takes the records away is for a person to say: {jobs[0]}")
    told = f"a job takes them away ({known[0]}); whether they arrive is not seen here" if known else remote.evidence
    return judged(True, told) if known else by_syslog or judged(False, told, "file", remote.remedy)


#: syslog.conf of auditd's plugins: what its arguments say of the messages' facility and priority, and what else.
PLUGIN, OF_USERS, INFO = re.compile(r"LOG_(\w+)"), "user", "info"


def _by_syslog(facts: Facts) -> Finding:
    """Return whether rsyslog sends away what auditd's syslog plugin gives to it."""
    lines = _of_plugin(facts, "syslog.conf")
    said = [name.lower() for line in lines if _words(line)[:1] == ["args"] for name in PLUGIN.findall(line)]
    facility = next((one for one in said if one in filters.FACILITIES), OF_USERS)
    priority = next((one for one in said if one in filters.PRIORITIES), INFO)
    found = syslog.sends(facts, facility, priority)
    return found._replace(evidence=f"auditd's syslog plugin is active ({facility}.{priority}); {found.evidence}")


def _of_plugin(facts: Facts, plugin: str) -> list[str]:
    return [line for place, line in _lines(facts, "plugins") if f"/{plugin} " in f"{place} ".replace(" line", " ")]


def _active(facts: Facts, plugin: str) -> bool:
    lines = _of_plugin(facts, plugin)
    # Of two lines the later counts, and letters of either size are taken.
    said = [_said(line).lower() for line in lines if _words(line)[:1] == ["active"]]
    return said[-1:] == ["yes"]


def _words(line: str) -> list[str]:
    """Return the words (list of str) of a line of auditd's plugins, the first in small letters."""
    first, *rest = line.split()
    return [first.lower(), *rest]


def _said(line: str) -> str:
    """Return the value (str) of such a line, empty for one that auditd refuses: it wants blanks around the sign."""
    words = _words(line)
    return words[2] if len(words) == 3 and words[1] == "=" else ""


def _runs(facts: Facts) -> bool:
    state = facts.services.get(SYSLOG)
    return bool(state and state[0])


def _lines(facts: Facts, name: str) -> tuple[tuple[str, str], ...]:
    return facts.configs.get(name) or ()
