"""
What else of a host keeps its trail: packages and services, the clock, the journal and syslog, sudo, accounts.
"""

from __future__ import annotations

import collections
import re
from collections.abc import Callable, Iterable, Mapping

from sshtrail_lib.base import text
from sshtrail_lib.compliance import aide, syslog
from sshtrail_lib.compliance.facts import Facts
from sshtrail_lib.compliance.finding import MANUAL, NOT_APPLICABLE, UNKNOWN, Finding, judged

Lines = tuple[tuple[str, str], ...]
#: The package of each thing, by the family of the distribution; the first is everybody else's.
PACKAGES = {
    "audit": {"": "auditd", "RedHat": "audit", "Suse": "audit"},
    "audit-libs": {"": "libaudit1", "RedHat": "audit-libs", "Suse": "libaudit1"},
    "audispd-plugins": {"": "audispd-plugins", "Suse": "audit-audispd-plugins"},
    "rsyslog": {"": "rsyslog"},
    "rsyslog-gnutls": {"": "rsyslog-gnutls", "Suse": "rsyslog-module-gtls"},
    "chrony": {"": "chrony"},
    "journal-remote": {"": "systemd-journal-remote"},
}
JOURNAL, SYSLOG, UPLOAD, REMOTE = (
    *("systemd-journald", "rsyslog", "systemd-journal-upload", "systemd-journal-remote.socket"),
)
#: The services that synchronize a clock.
CHRONY, TIMESYNCD = ("chrony", "chronyd"), ("systemd-timesyncd",)
#: The accounts that distributions have for it.
CHRONY_USERS = ("_chrony", "chrony")


def package(facts: Facts, name: str) -> Finding:
    """Return whether the package of a thing (str, of :data:`PACKAGES`) is installed."""
    called = package_name(name, facts.family)
    version = facts.packages.get(called)
    if version is None:
        return Finding(UNKNOWN, f"whether {called} is installed cannot be told", "package")
    return judged(
        bool(version), f"{called} {version or 'is not installed'}", "package", f"pkg.installed {called}", called
    )


def package_name(name: str, family: str) -> str:
    """Return how a distribution's ``family`` (str) calls the package of a thing (str)."""
    names = PACKAGES[name]
    return names.get(family, names[""])


def service(facts: Facts, name: str, wanted: bool = True) -> Finding:
    """Return whether a service (str) runs and starts at boot, or does neither."""
    state = facts.services.get(name)
    if state is None:
        return Finding(UNKNOWN, f"whether {name} runs cannot be told", "service")
    told = f"{name} {'runs' if state[0] else 'does not run'} and {'starts' if state[1] else 'does not start'} at boot"
    remedy = f"service.{'running' if wanted else 'dead'} {name}: enable {wanted}"
    return judged(all(state) if wanted else not any(state), told, "service", remedy, f"{name} running")


def journal_runs(facts: Facts) -> Finding:
    """Return whether journald runs; its unit cannot be enabled, for it is static."""
    state = facts.services.get(JOURNAL)
    if state is None:
        return Finding(UNKNOWN, f"whether {JOURNAL} runs cannot be told", "service")
    return judged(
        state[0], f"{JOURNAL} {'runs' if state[0] else 'does not run'}", "service", f"service.running {JOURNAL}"
    )


# --- Logging systems ----------------------------------------------------------------------------------------------


def _runs(facts: Facts, name: str) -> bool:
    state = facts.services.get(name)
    return bool(state and state[0])


def syslog_package(facts: Facts, framework: str) -> Finding:
    """Return whether rsyslog is installed; CIS asks only those who log by it."""
    return _unless_journal(facts, framework) or package(facts, "rsyslog")


def syslog_service(facts: Facts, framework: str) -> Finding:
    """Return whether rsyslog runs and starts at boot; CIS asks only those who log by it."""
    return _unless_journal(facts, framework) or service(facts, SYSLOG)


def _unless_journal(facts: Facts, framework: str) -> Finding | None:
    if not framework.startswith("CIS") or _runs(facts, SYSLOG) or not _runs(facts, JOURNAL):
        return None
    return Finding(NOT_APPLICABLE, "the journal is the logging system here, rsyslog does not run", "service")


def by_rsyslog(facts: Facts, part: Callable[[Facts], Finding], framework: str) -> Finding:
    """Return what another look says of rsyslog's configuration; CIS asks only those who log by it."""
    state = facts.services.get(SYSLOG)
    return (_unless_journal(facts, framework) if state and not state[0] else None) or part(facts)


def done_by_rsyslog(facts: Facts, part: Callable[[Facts], Finding], framework: str) -> Finding:
    """Return what another look says that rsyslog does, which it does only where it runs."""
    found, state = by_rsyslog(facts, part, framework), facts.services.get(SYSLOG)
    if state is None or state[0] or found.status == NOT_APPLICABLE:
        return found
    return judged(False, "rsyslog does not run", "service", "service.running rsyslog: enable True")


def one_system(facts: Facts) -> Finding:
    """Return whether one logging system is responsible, and gets the messages."""
    if facts.services.get(JOURNAL) is None:
        return Finding(UNKNOWN, "whether journald runs cannot be told", "service")
    if not _runs(facts, JOURNAL) and not _runs(facts, SYSLOG):
        return judged(False, "neither journald nor rsyslog runs", "service", f"service.running {JOURNAL}")
    return forwards(facts) if _runs(facts, SYSLOG) else judged(True, "journald runs, rsyslog does not", "service")


def forwards(facts: Facts) -> Finding:
    """Return whether journald gives its messages to the rsyslog that runs."""
    if not _runs(facts, SYSLOG):
        return Finding(NOT_APPLICABLE, "rsyslog does not run", "service")
    # rsyslog can also read the journal itself.
    reads = syslog.reads(facts)
    value, where = _forwards(facts)
    told = f"ForwardToSyslog={value} ({where})" + (f"; rsyslog reads by itself ({reads[0]})" if reads else "")
    return judged(value == "yes" if value else None, told, "file", "journald.conf: ForwardToSyslog=yes")


def keeps_to_itself(facts: Facts) -> Finding:
    """Return whether journald forwards nothing where the journal is the logging system."""
    if _runs(facts, SYSLOG):
        return Finding(NOT_APPLICABLE, "rsyslog is the logging system here", "service")
    value, where = _forwards(facts)
    told = f"ForwardToSyslog={value} ({where})"
    return judged(value == "no" if value else None, told, "file", "journald.conf: ForwardToSyslog=no")


def _forwards(facts: Facts) -> tuple[str, str]:
    # Debian 12 has built in yes, and others no: which of them is told by the line that it ships commented out.
    return _journald(facts, "ForwardToSyslog", "" if facts.family == "Debian" else "no")


def journal_storage(facts: Facts) -> Finding:
    """Return whether the journal is kept on disk."""
    value, where = _journald(facts, "Storage", "auto")
    there = "is there" if facts.journal_log else "is not there"
    told = f"Storage={value} ({where}); /var/log/journal {there}"
    if value == "persistent" and not facts.journal_log:
        return judged(False, f"{told}: journald has not made it", "daemon", "restart systemd-journald")
    return judged(value == "persistent", told, "file", "journald.conf: Storage=persistent")


#: The words of journald.conf(5); what is none of them is passed over.
STORAGES = ("volatile", "persistent", "auto", "none")


def journal_compress(facts: Facts) -> Finding:
    """Return whether the journal is compressed."""
    value, where = _journald(facts, "Compress", "yes")
    return judged(value not in ("no", "false", "0", "off"), f"Compress={value} ({where})", "file", "Compress=yes")


def journal_rotation(facts: Facts) -> Finding:
    """Return what is set about the journal's rotation, which is the site's to judge."""
    keys = ("SystemMaxUse", "SystemKeepFree", "RuntimeMaxUse", "RuntimeKeepFree", "MaxFileSec")
    found = [f"{key}={value} ({where})" for key in keys for value, where in [_journald(facts, key, "")] if value]
    return Finding(MANUAL, ", ".join(found) or "nothing is set: journald's defaults rotate the journal")


#: What Debian and Ubuntu build in otherwise than others.
BUILT_IN = ("ForwardToSyslog",)
TRUTHS = {**dict.fromkeys(("1", "y", "t", "true", "on"), "yes"), **dict.fromkeys(("0", "n", "f", "false", "off"), "no")}


def _journald(facts: Facts, key: str, default: str) -> tuple[str, str]:
    value, where = default, "journald's default"
    for place, line in _lines(facts, "journald"):
        # What a distribution builds in otherwise than journald.conf(5) tells, it ships commented out.
        shipped = line.startswith("#") and key in BUILT_IN and where.startswith("journald's default")
        name, equals, said = (line.lstrip("#") if shipped else line).partition("=")
        wanted = said.strip() if key == "Storage" else said.strip().lower()
        if equals and name.strip() == key and _taken(key, wanted):
            value = TRUTHS.get(wanted, wanted) or default
            where = f"journald's default, {place}" if shipped else place
    for word in facts.boot if key == "ForwardToSyslog" else ():
        # kernel-command-line(7): it decides over the files, and a dash is as good as a line.
        name, equals, said = word.partition("=")
        truth = TRUTHS.get(said.lower(), said.lower()) if equals else "yes"
        if name.replace("-", "_") == "systemd.journald.forward_to_syslog" and truth in ("yes", "no"):
            value, where = truth, "/proc/cmdline"
    return value, where


def _taken(key: str, said: str) -> bool:
    """Tell whether journald takes a value (str) for a key (str): another one changes nothing."""
    if key == "Storage":
        return said in ("", *STORAGES)
    truth = said in ("", "yes", "no", *TRUTHS)
    # A size from which on it is compressed.
    return (
        truth or key not in ("Compress", *BUILT_IN) or (key == "Compress" and bool(re.fullmatch(r"\d+[kmgt]?", said)))
    )


# --- The journal and syslog to another host -----------------------------------------------------------------------


def upload(facts: Facts, *keys: str) -> Finding:
    """Return whether systemd-journal-upload has these settings (str); not asked where rsyslog is what logs."""
    if _runs(facts, SYSLOG):
        return Finding(NOT_APPLICABLE, "rsyslog is the logging system here", "service")
    found: dict[str, str] = {}
    for place, line in _lines(facts, "journal-upload"):
        name, equals, said = line.partition("=")
        if equals and not line.startswith("#"):
            found[name.strip()] = f"{said.strip()} ({place})"
    missing = [key for key in keys if not found.get(key, " ").strip() or NOT_ONE.match(found[key])]
    told = ", ".join(f"{key}={found[key]}" if key in found else f"{key} is not set" for key in missing or keys)
    return judged(not missing, told, "file", "journal-upload.conf: " + " ".join(f"{key}=" for key in missing))


#: Nothing, what turns a check of certificates off, and what has none: systemd-journal-upload(8), --key, --trust, --url.
NOT_ONE = re.compile(r"(-|all)? \(|http:", re.IGNORECASE)


def upload_part(facts: Facts, part: Callable[[Facts], Finding]) -> Finding:
    """Return what another look says, where the journal is what logs."""
    if _runs(facts, SYSLOG):
        return Finding(NOT_APPLICABLE, "rsyslog is the logging system here", "service")
    return part(facts)


def shown(facts: Facts, name: str, wanted: str, otherwise: str) -> Finding:
    """Return the lines of a configuration (str) that have a word (str, a pattern), for a person to judge."""
    found = [f"{text.line(line)} ({place})" for place, line in _lines(facts, name) if re.search(wanted, line)]
    more = f" and {len(found) - 5} more" if len(found) > 5 else ""
    return Finding(MANUAL, ", ".join(found[:5]) + more or otherwise)


def _lines(facts: Facts, name: str) -> Lines:
    return facts.configs.get(name) or ()


# --- The clock ----------------------------------------------------------------------------------------------------


def one_clock(facts: Facts) -> Finding:
    """Return whether exactly one service synchronizes the clock."""
    running = facts.clock.running
    told = f"{', '.join(running)} runs" if running else "no service that synchronizes the clock runs"
    return judged(len(running) == 1, told, "service", "service.running chrony: enable True")


def synchronized(facts: Facts) -> Finding:
    """Return whether the service that synchronizes the clock says that it does."""
    if not facts.clock.running:
        return judged(False, "no service that synchronizes the clock runs", "service", "service.running chrony")
    return judged(facts.clock.synchronized, facts.clock.said, "service", "a time source that can be reached")


def by_chrony(facts: Facts, part: Callable[[Facts], Finding], framework: str) -> Finding:
    """Return what another look says, where chrony is what synchronizes; CIS asks only those who use it."""
    if framework.startswith("CIS") and facts.clock.running and not set(facts.clock.running) & set(CHRONY):
        return Finding(NOT_APPLICABLE, f"{facts.clock.running[0]} synchronizes here, not chrony", "service")
    return part(facts)


def by_timesyncd(facts: Facts, part: Callable[[Facts], Finding]) -> Finding:
    """Return what another look says, where systemd-timesyncd is what synchronizes."""
    if facts.clock.running and not set(facts.clock.running) & set(TIMESYNCD):
        return Finding(NOT_APPLICABLE, f"{facts.clock.running[0]} synchronizes here, not systemd-timesyncd", "service")
    return part(facts)


def chrony_installed(facts: Facts) -> Finding:
    """Return whether chrony is installed."""
    return package(facts, "chrony")


def chrony_runs(facts: Facts) -> Finding:
    """Return whether chronyd runs and starts at boot, under the name that the distribution gives it."""
    known = [facts.services.get(name) for name in CHRONY]
    if all(state is None for state in known):
        return Finding(UNKNOWN, "whether chronyd runs cannot be told", "service")
    runs = any(state and all(state) for state in known)
    return judged(runs, f"chronyd {'runs and starts' if runs else 'does not run, or not start'} at boot", "service",
                  "service.running chrony: enable True")  # fmt: skip


def chrony_user(facts: Facts) -> Finding:
    """Return whether chronyd runs as an account of its own."""
    if not facts.clock.user:
        return judged(False, "chronyd does not run", "service", "service.running chrony")
    return judged(facts.clock.user in CHRONY_USERS, f"chronyd runs as {facts.clock.user}", "service", "user _chrony")


def by_running_chrony(facts: Facts, part: Callable[[Facts], Finding], framework: str) -> Finding:
    """Return what another look says of chrony's configuration, which counts only where chronyd runs."""
    found = by_chrony(facts, part, framework)
    if found.holds and not set(facts.clock.running) & set(CHRONY):
        return judged(False, f"{found.evidence}, but chronyd does not run", "service", "service.running chrony")
    return found


def clock_says(facts: Facts, keyword: str, value: str) -> Finding:
    """Return whether the last line of the clock's configuration about a keyword (str) has a ``value`` (a pattern)."""
    said = [(place, line) for place, line in facts.clock.config if re.match(rf"{keyword}\s", line, re.IGNORECASE)]
    if not said:
        return judged(False, f"the clock's configuration has no {keyword}", "file", keyword)
    place, line = said[-1]
    holds = bool(re.fullmatch(rf"{keyword}\s+{value}", line, re.IGNORECASE))
    return judged(holds, f"{text.line(line)} ({place})", "file", keyword)


def timesyncd_asks(facts: Facts) -> Finding:
    """Return whether systemd-timesyncd is told whom to ask: timesyncd.conf(5), an empty line forgets what was said."""
    said = [(place, line) for place, line in facts.clock.config if re.match(r"NTP\s*=", line)]
    told = f"{text.line(said[-1][1])} ({said[-1][0]})" if said else "timesyncd.conf has no NTP="
    runs = bool(set(facts.clock.running) & set(TIMESYNCD))
    told += "" if runs else ", but systemd-timesyncd does not run"
    return judged(bool(runs and said and said[-1][1].partition("=")[2].strip()), told, "file", "timesyncd.conf: NTP=")


def clock_line(facts: Facts, pattern: str, what: str, every: str = "") -> Finding:
    """
    Return whether the clock's configuration has a line like ``pattern`` (str).

    what
        What that is (str), for a person.
    every
        A pattern (str) that each such line must have.
    """
    # chrony.conf(5): the letters of a directive may have either size.
    found = [(place, line) for place, line in facts.clock.config if re.match(pattern, line, re.IGNORECASE)]
    wrong = [(place, line) for place, line in found if every and not re.search(every, line, re.IGNORECASE)]
    if not found:
        return judged(False, f"the clock's configuration has no {what}", "file", what)
    place, line = (wrong or found)[0]
    return judged(not wrong, f"{text.line(line)} ({place})", "file", what)


def utc(facts: Facts) -> Finding:
    """Return whether times can be mapped to UTC: the hardware clock keeps it, and records carry it."""
    if facts.clock.local is None:
        return Finding(UNKNOWN, "/etc/adjtime cannot be read")
    told = "the hardware clock keeps local time (/etc/adjtime)" if facts.clock.local else "the hardware clock keeps UTC"
    return judged(
        not facts.clock.local,
        f"{told}; audit records carry seconds since the epoch",
        "file",
        "timedatectl set-local-rtc 0",
    )


# --- sudo, accounts, PAM, integrity -------------------------------------------------------------------------------

#: sudoers(5): parameters are separated by commas, and a value can be quoted.
SUDO_LOG = re.compile(r"""(!\s*logfile\b|\blogfile\s*=\s*(?:"((?:\\.|[^"\\])*)"|((?:\\.|[^",\s\\])+)))""")
SUDO_SAID = re.compile(r"""(?:"(?:\\.|[^"\\])*"|\\.|[^"\\#])*""")
SUDO_PARAMETER = re.compile(r"""\s*((?:"(?:\\.|[^"\\])*"|\\.|[^",\\])*)(?:,|$)""")


def sudo_logfile(lines: Iterable[tuple[str, str]]) -> tuple[str, str]:
    """Return the file that sudo logs to and the line that says so (two str), empty for none: the last counts."""
    path = where = ""
    for place, line in lines:
        defaults, said = re.match(r"Defaults\s+(?=\S)", line), SUDO_SAID.match(line)
        for parameter in SUDO_PARAMETER.finditer(said[0], defaults.end()) if defaults and said else ():
            match = SUDO_LOG.match(parameter[1].lstrip())
            named = (match[2] or match[3] or "").replace("\\", "") if match else ""
            # sudo takes no other path.
            if match and (not named or named.startswith("/")):
                path, where = named, place
    return path, where


def sudo_log(facts: Facts) -> Finding:
    """Return whether sudo writes a log of its own."""
    if facts.configs.get("sudo") is None:
        return Finding(NOT_APPLICABLE, "sudo is not here")
    path, where = sudo_logfile(_lines(facts, "sudo"))
    told = f'Defaults logfile="{text.line(path)}" ({where})' if path else "no line of sudoers names a logfile"
    return judged(bool(path), told, "file", 'sudoers: Defaults logfile="/var/log/sudo.log"')


def unique(facts: Facts, at: int) -> Finding:
    """Return whether no account's name (``at`` 0) or number (1) is there twice (:class:`Finding`)."""
    named = dict.fromkeys(facts.accounts)
    counts = (
        collections.Counter(one[at] for one in named) if at else collections.Counter(one[0] for one in facts.accounts)
    )
    twice = [key for key, count in counts.items() if count > 1]
    told = [f"{key}: {', '.join(text.line(one[0]) for one in named if one[at] == key)}" for key in twice]
    what = "number" if at else "name"
    good = f"{len(named)} accounts, each with a {what} of its own"
    return judged(not twice, f"the same {what} twice: {'; '.join(told[:4])}" if twice else good, "file", "usermod")


def faillock(facts: Facts) -> Finding:
    """Return whether locked accounts are recorded with their names."""
    asked = facts.configs.get("pam-faillock")
    if asked == ():
        return judged(False, "no service of PAM's asks pam_faillock.so", "file", "/etc/pam.d: auth … pam_faillock.so")
    # pam_faillock(8): its arguments say what the file can say.
    found = [place for place, line in asked or () if "audit" in line.partition("#")[0].split()]
    # faillock.conf(5): an option is there or not, whatever value it is given.
    found += [place for place, line in _lines(facts, "faillock") if re.split(r"[#=\s]", line)[0] == "audit"]
    there = facts.configs.get("faillock") is not None
    told = f"/etc/security/faillock.conf {'does not say audit' if there else 'is not there'}"
    return judged(bool(found), f"audit ({found[0]})" if found else told, "file", "faillock.conf: audit")


def integrity(facts: Facts) -> Finding:
    """Return whether audit's programs are watched by AIDE, and a check runs."""
    if facts.configs.get("aide") is None:
        return judged(False, "AIDE has no configuration here", "package", "pkg.installed aide")
    tools = list(facts.files.get("audit programs", {}))
    lines = _lines(facts, "aide")
    missing = [tool for tool, watched in aide.hashed(tools, lines).items() if not watched]
    runs = [place for place, line in _lines(facts, "aide-check")]
    told = (
        f"AIDE does not watch {', '.join(missing[:4])} with sha512"
        if missing
        else f"AIDE watches {len(tools)} programs"
    )
    told += f"; a check runs ({runs[0]})" if runs else "; nothing runs a check"
    return judged(
        bool(tools) and not missing and bool(runs), told, "file", "aide.conf: PROGRAM p+i+n+u+g+s+b+acl+xattrs+sha512"
    )


ALIAS = re.compile(r'"?([^":\s]+)"?\s*:\s*(.*)', re.DOTALL)


def alias(facts: Facts, name: str) -> Finding:
    """Return whether mail to a name (str) goes to somebody."""
    if facts.configs.get("aliases") is None:
        return judged(False, "/etc/aliases is not there", "file", f"/etc/aliases: {name}: …")
    known: dict[str, tuple[str, str]] = {}
    for place, line in _lines(facts, "aliases"):
        match = ALIAS.match(line)
        # Of two lines for one name the first counts.
        if match and match[1].lower() not in known and not line.startswith("#"):
            known[match[1].lower()] = (match[2].partition("#")[0].strip(), f"{text.line(line)} ({place})")
    told = known[name][1] if name in known else f"/etc/aliases names nobody for {name}"
    return judged(name in known and _somebody(name, known), told, "file", f"/etc/aliases: {name}: …")


def _somebody(name: str, known: Mapping[str, tuple[str, str]], within: tuple[str, ...] = ()) -> bool:
    """Tell whether mail to a name (str) goes to anybody: also by the aliases (dict of str) that it is given to."""
    if name not in known or name in within:
        return name not in within[:-1]
    targets = [one.strip().strip('"').lower() for one in known[name][0].split(",")]
    good = [one for one in targets if one and one != "/dev/null"]
    return any(_somebody(one.lstrip("\\"), known, (*within, name)) for one in good)
