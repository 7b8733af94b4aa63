"""
What sshd and auditd do: each value as it is effective, and whether the one that runs knows it.
"""

from __future__ import annotations

import typing
from collections.abc import Callable

from sshtrail_lib.compliance.facts import Facts, Value
from sshtrail_lib.compliance.finding import FAIL, UNKNOWN, Finding, combined, judged

#: Where the policy asks for it already.
APPLY = "state.apply sshtrail"
#: Percent of the log's volume.
WARNING, LAST = 25, 5


class Setting(typing.NamedTuple):
    """
    What a keyword of auditd.conf must be.

    keyword
        Its name (str).
    allowed
        The values (tuple of str), the first of which is proposed; ``stig`` those of DISA where they are others.
    """

    keyword: str
    allowed: tuple[str, ...]
    stig: tuple[str, ...] = ()


STOPS = ("halt", "single")
TELLS = ("syslog", "single", "halt")
#: By the names that ComplianceAsCode gives to these demands.
SETTINGS = {
    "auditd_data_retention_max_log_file_action": Setting("max_log_file_action", ("keep_logs",)),
    "auditd_data_retention_max_log_file_action_stig": Setting("max_log_file_action", ("rotate", "single")),
    "auditd_data_disk_error_action": Setting("disk_error_action", TELLS),
    "auditd_data_disk_error_action_stig": Setting("disk_error_action", TELLS),
    "auditd_data_disk_full_action": Setting("disk_full_action", STOPS, ("halt",)),
    "auditd_data_disk_full_action_stig": Setting("disk_full_action", ("halt",)),
    "auditd_data_retention_admin_space_left_action": Setting("admin_space_left_action", ("single", "halt")),
    "auditd_data_retention_space_left_action": Setting("space_left_action", ("email", "exec", "single", "halt")),
    "auditd_name_format": Setting("name_format", ("hostname", "fqd", "numeric")),
    "auditd_overflow_action": Setting("overflow_action", TELLS),
    "auditd_local_events": Setting("local_events", ("yes",)),
    "auditd_log_format": Setting("log_format", ("enriched",)),
    "auditd_write_logs": Setting("write_logs", ("yes",)),
}


def setting(facts: Facts, name: str, framework: str) -> Finding:
    """Return whether a keyword of auditd.conf is what a demand (str, of :data:`SETTINGS`) of a framework (str) asks."""
    asked = SETTINGS[name]
    allowed = asked.stig if asked.stig and "STIG" in framework else asked.allowed
    # An action may have the path of its program behind it.
    return _value(facts, asked.keyword, allowed[0], lambda value: value.lower().partition(" ")[0] in allowed)


def max_log_file(facts: Facts) -> Finding:
    """Return whether the size at which a log is full is set: which one is the site's to say."""
    wanted = facts.policy.get("auditd", {}).get("config", {}).get("max_log_file")
    good = (
        (lambda value: value == str(wanted))
        if wanted is not None
        else (lambda value: value.isdecimal() and int(value) > 0)
    )
    found = _value(facts, "max_log_file", str(wanted or 6), good)
    if found.holds and facts.auditd.settings["max_log_file"].where == "default":
        return found._replace(status=FAIL, remedy="sshtrail:auditd:config:max_log_file: 6")
    return found


def mail(facts: Facts) -> Finding:
    """Return whether somebody gets the mail of auditd."""
    return _value(facts, "action_mail_acct", "root", bool)


def flush(facts: Facts) -> Finding:
    """Return whether records reach the disk after at most a hundred."""
    regular = _value(facts, "flush", "incremental_async", lambda value: value.lower() == "incremental_async")
    often = _value(facts, "freq", "100", lambda value: value.isdecimal() and 0 < int(value) <= 100)
    return combined([regular, often])


def space_left(facts: Facts) -> Finding:
    """Return whether the warning comes while a quarter of the volume is left."""
    return _share(facts, "space_left", WARNING)


def admin_space_left(facts: Facts) -> Finding:
    """Return whether the last warning comes while a twentieth of the volume is left."""
    return _share(facts, "admin_space_left", LAST)


def _share(facts: Facts, keyword: str, percent: int) -> Finding:
    size = facts.storage.size if facts.storage else 0

    def enough(value: str) -> bool:
        if value.endswith("%"):
            return value[:-1].isdecimal() and int(value[:-1]) >= percent
        # In MiB.
        return bool(size) and value.isdecimal() and int(value) * 2**20 * 100 >= size * percent

    return _value(facts, keyword, f"{percent}%", enough)


def _value(facts: Facts, keyword: str, proposed: str, good: Callable[[str], object]) -> Finding:
    auditd = facts.auditd
    if auditd.error:
        return Finding(UNKNOWN, auditd.error, "file")
    now = auditd.settings.get(keyword)
    if now is None:
        return judged(False, f"{auditd.path}: the installed auditd knows no {keyword}", "file")
    told = f"{keyword} = {now.value} ({_at(auditd.path, now)})"
    if not good(now.value):
        return _differs(facts, "auditd", keyword, told, f"sshtrail:auditd:config:{keyword}: {proposed}", good)
    if auditd.unread:
        return judged(
            False, f"{told}, but {auditd.unread}", "daemon", "salt-call auditd_conf.reload", keyword, "auditd"
        )
    return judged(True, told, "file")


def _differs(facts: Facts, daemon: str, keyword: str, told: str, remedy: str, good: Callable[[str], object]) -> Finding:
    """Return that a value is wrong, and whether the policy has chosen that, or has another one that would do."""
    layer = "file" if daemon == "auditd" else "effective"
    config = facts.policy.get(daemon, {}).get("config", {})
    chosen = {name.lower(): value for name, value in config.items()}.get(keyword.lower())
    if chosen is None:
        return judged(False, told, layer, remedy, keyword)
    if good(_written(chosen).lower()):
        return judged(False, f"{told}; the policy asks for {_written(chosen)}", layer, APPLY, keyword)
    return judged(False, f"{told}; the policy itself asks for {_written(chosen)}", "policy", remedy, keyword)


def _written(value: object) -> str:
    return ("yes" if value else "no") if isinstance(value, bool) else str(value)


def _at(path: str, value: Value) -> str:
    return f"auditd's default, for {path} does not set it" if value.where == "default" else value.where


def service(facts: Facts) -> Finding:
    """Return whether auditd runs, is the kernel's audit daemon, and starts at boot."""
    name = facts.policy.get("auditd", {}).get("service", "auditd")
    state, pid = facts.services.get(name), facts.auditd.pid
    if facts.audit.error or state is None:
        return Finding(UNKNOWN, facts.audit.error or f"whether {name} starts at boot cannot be told", "service")
    runs = bool(pid) and facts.auditd.genuine
    by = f"pid {pid}, auditd" if runs else f"pid {pid}, which is not auditd" if pid else "nobody: its pid is 0"
    told = f"the kernel's records go to {by}; {name} {'starts' if state[1] else 'does not start'} at boot"
    return judged(runs and state[1], told, "service", APPLY, f"{name} running", f"{name} enabled", "auditd receives")


# --- sshd ---------------------------------------------------------------------------------------------------------


class Keyword(typing.NamedTuple):
    """A keyword of sshd (str, as in sshd_config(5)), what is ``proposed`` (str), and what is ``good`` (callable)."""

    keyword: str
    proposed: str
    good: Callable[[str], object]


def _is(*values: str) -> Callable[[str], bool]:
    return lambda value: value in values


#: By the names that ComplianceAsCode gives to these demands.
KEYWORDS = {
    "sshd_set_loglevel_info": Keyword("LogLevel", "VERBOSE", _is("info", "verbose")),
    "sshd_set_loglevel_verbose": Keyword("LogLevel", "VERBOSE", _is("verbose")),
    "sshd_set_max_sessions": Keyword("MaxSessions", "10", lambda value: value.isdecimal() and int(value) <= 10),
    "sshd_disable_root_login": Keyword("PermitRootLogin", "'no'", _is("no")),
    "sshd_do_not_permit_user_env": Keyword("PermitUserEnvironment", "'no'", _is("no")),
    "sshd_print_last_log": Keyword("PrintLastLog", "'yes'", _is("yes")),
    "sshd_enable_pam": Keyword("UsePAM", "'yes'", _is("yes")),
}


def effective(facts: Facts, name: str) -> Finding:
    """Return whether a keyword of sshd (``name``, str, of :data:`KEYWORDS`) is right for everybody, in each Match."""
    (keyword, proposed, good), sshd = KEYWORDS[name], facts.sshd
    if sshd.error:
        return Finding(UNKNOWN, sshd.error, "effective")
    remedy, seen, wrong = f"sshtrail:sshd:config:{keyword}: {proposed}", [], []
    # How others than root come in says nothing of root.
    asked = sshd.root if keyword == "PermitRootLogin" and sshd.root else sshd.branches
    # Where several blocks are for everybody together, nobody has what stands before them.
    told = {criteria: values[keyword.lower()] for criteria, values in asked.items() if keyword.lower() in values}
    for criteria, now in (told or {"": Value("unset", "default")}).items():
        if not criteria and keyword.lower() in sshd.overruled:
            now = Value(sshd.overruled[keyword.lower()], "the command line of the sshd that runs")
        place = f"({'sshd' if now.where == 'default' else ''}{_default(now)})"
        seen.append(f"{keyword} {now.value} {place}{f' for Match {criteria}' if criteria else ''}")
        if not good(now.value.lower()):
            wrong.append(seen[-1])
    if wrong:
        return _differs(facts, "sshd", keyword, "; ".join(wrong), remedy, good)
    if sshd.unread is None:
        return Finding(UNKNOWN, f"{seen[0]}; whether the sshd that runs has read it cannot be told", "daemon")
    if sshd.unread:
        return judged(False, f"{seen[0]}, but {sshd.unread}", "daemon", "salt '*' sshd_config.diff", keyword, "sshd")
    # Of one block there can be several kinds of members.
    blocks = {criteria.partition(" (")[0] for criteria in asked if criteria}
    said = f"{seen[0]}, and as good in each of {len(blocks)} Match blocks" if blocks else seen[0]
    return judged(True, said, "effective")


def _default(now: Value) -> str:
    return "'s default" if now.where == "default" else now.where


def pam(facts: Facts) -> Finding:
    """Return whether sshd opens PAM's sessions, and each gets its login id there."""
    asked = effective(facts, "sshd_enable_pam")
    if facts.sshd.pam is None:
        return combined([asked, Finding(UNKNOWN, "PAM's stack for sshd cannot be read", "file")])
    told = "; ".join(facts.sshd.pam) or "pam_loginuid.so is required in sshd's PAM stack"
    return combined([asked, judged(not facts.sshd.pam, told, "file", "sshtrail:sshd:pam: true")])
