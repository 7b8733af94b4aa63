"""
Modes, owners and groups of files, and the volume of the audit logs.
"""

from __future__ import annotations

import re
import typing
from collections.abc import Mapping

from sshtrail_lib.base import text
from sshtrail_lib.compliance.facts import Facts, File, Grant
from sshtrail_lib.compliance.finding import NOT_APPLICABLE, UNKNOWN, Finding, combined, judged

NAMED = 4


class Files(typing.NamedTuple):
    """
    What files of a kind must be: ``mode`` (int, the bits that may be set), ``owner`` or ``group`` (tuple of str, those
    that are allowed); None for any. ``readers`` (tuple of str) are groups to which an access control list may give
    what the file's own group may have.
    """

    kind: str
    mode: int | None = None
    owner: tuple[str, ...] | None = None
    group: tuple[str, ...] | None = None
    readers: tuple[str, ...] = ("root",)


ROOT, LOGS = ("root",), ("root", "adm")
# tmpfiles.d/systemd.conf gives the journal to them.
JOURNAL = (*LOGS, "systemd-journal", "wheel")
#: By the names that ComplianceAsCode gives to these demands.
MODES = {
    "file_permissions_sshd_config": Files("sshd config", 0o600),
    "file_owner_sshd_config": Files("sshd config", owner=ROOT),
    "file_groupowner_sshd_config": Files("sshd config", group=ROOT),
    "file_permissions_sshd_drop_in_config": Files("sshd drop-ins", 0o600),
    "file_owner_sshd_drop_in_config": Files("sshd drop-ins", owner=ROOT),
    "file_groupowner_sshd_drop_in_config": Files("sshd drop-ins", group=ROOT),
    "directory_permissions_sshd_config_d": Files("sshd directory", 0o700),
    "directory_owner_sshd_config_d": Files("sshd directory", owner=ROOT),
    "directory_groupowner_sshd_config_d": Files("sshd directory", group=ROOT),
    "file_permissions_var_log_audit": Files("audit logs", 0o640, readers=LOGS),
    "file_permissions_var_log_audit_stig": Files("audit logs", 0o600),
    "file_ownership_var_log_audit_stig": Files("audit logs", owner=ROOT),
    "file_group_ownership_var_log_audit": Files("audit logs", group=LOGS),
    "file_group_ownership_var_log_audit_stig": Files("audit logs", group=ROOT),
    "directory_permissions_var_log_audit": Files("audit log directory", 0o750, readers=LOGS),
    "directory_ownership_var_log_audit": Files("audit log directory", owner=ROOT),
    "directory_group_ownership_var_log_audit": Files("audit log directory", group=LOGS),
    "file_permissions_etc_audit_auditd": Files("auditd.conf", 0o640),
    "file_permissions_etc_audit_auditd_stig": Files("auditd.conf", 0o640),
    "file_permissions_etc_audit_rules": Files("audit.rules", 0o640),
    "file_permissions_etc_audit_rulesd": Files("rules.d", 0o640),
    "file_permissions_audit_configuration": Files("audit config", 0o640),
    "file_permissions_audit_configuration_stig": Files("audit config", 0o640),
    "file_ownership_audit_configuration": Files("audit config", owner=ROOT),
    "file_groupownership_audit_configuration": Files("audit config", group=ROOT),
    "file_permissions_audit_binaries": Files("audit programs", 0o755),
    "file_ownership_audit_binaries": Files("audit programs", owner=ROOT),
    "file_groupownership_audit_binaries": Files("audit programs", group=ROOT),
    "file_audit_tools_permissions": Files("audit programs", 0o755),
    "file_audit_tools_ownership": Files("audit programs", owner=ROOT),
    "file_audit_tools_group_ownership": Files("audit programs", group=ROOT),
    "journal_access": Files("journal", 0o2750, readers=JOURNAL),
    "rsyslog_files_permissions": Files("syslog files", 0o640),
    "rsyslog_files_ownership": Files("syslog files", owner=("root", "syslog")),
    "rsyslog_files_groupownership": Files("syslog files", group=("root", "adm")),
}
#: Where there need not be any.
OPTIONAL = ("sshd drop-ins", "sshd directory", "rules.d", "syslog files", "journal")
#: The numbers of people's accounts: below are the daemons', which own what they write, and above systemd's.
PEOPLE = (1000, 60000)
#: What is below /var/log and is no secret: CIS, "ensure access to all logfiles has been configured".
OPEN_LOGS = (
    (re.compile(r"(lastlog|wtmp|btmp)([.\-].*)?|README"), 0o664),
    (re.compile(r"(cloud-init\.log|localmessages|waagent\.log|history\.log|eipp\.log).*"), 0o644),
    (re.compile(r".*"), 0o640),
)


def files(facts: Facts, name: str) -> Finding:
    """Return whether files are what a demand (str, of :data:`MODES`) asks."""
    asked = MODES[name]
    found = facts.files.get(asked.kind, {})
    if not found:
        status = NOT_APPLICABLE if asked.kind in OPTIONAL else UNKNOWN
        return Finding(status, f"there are no files of this kind: {asked.kind}")
    return _judged(found, asked)


def _judged(found: Mapping[str, File], asked: Files) -> Finding:
    wrong = [f"{text.line(path)} is {_shown(file)}" for path, file in found.items() if not _fits(file, asked)]
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    if wrong:
        path = next(path for path, file in found.items() if not _fits(file, asked))
        return judged(False, ", ".join(wrong[:NAMED]) + more, "file", _remedy(asked, path))
    path, file = next(iter(found.items()))
    return judged(True, f"{len(found)} looked at: {text.line(path)} is {_shown(file)}" if len(found) > 1
                  else f"{text.line(path)} is {_shown(file)}")  # fmt: skip


def _fits(file: File, asked: Files) -> bool:
    if asked.mode is not None and (_beyond(file, asked, asked.mode) or file.above):
        return False
    return (asked.owner is None or file.owner in asked.owner) and (asked.group is None or file.group in asked.group)


def _beyond(file: File, asked: Files, mode: int) -> bool:
    """Tell whether a file gives more than a ``mode`` (int), to whomever."""
    # A directory's setgid bit gives nobody anything.
    bits = file.mode & 0o777 if asked.kind.endswith("directory") else file.mode
    if bits & ~mode:
        return True
    return any(one.bits & ~_allowed_to(one, asked, mode) for one in file.grants)


def _allowed_to(one: Grant, asked: Files, mode: int) -> int:
    if one.kind == "user":
        return mode >> 6 & 7 if one.name in ROOT else mode & 7
    return mode >> 3 & 7 if one.name in asked.readers else mode & 7


def _shown(file: File) -> str:
    said = [f"{file.mode:04o} {text.line(file.owner)}:{text.line(file.group)}"]
    said += [f"{one.kind}:{text.line(one.name)}:{_bits(one.bits)} by its ACL" for one in file.grants]
    if file.above:
        said.append(f"below {text.line(file.above)}, to which others than root can write")
    return " and ".join(said)


def _bits(bits: int) -> str:
    return "".join(letter if bits & bit else "-" for letter, bit in (("r", 4), ("w", 2), ("x", 1)))


def _remedy(asked: Files, path: str) -> str:
    if asked.mode is not None:
        return f"file.managed {text.line(path)}: mode {asked.mode:04o} or less"
    owner, group = (names[0] if names else "any" for names in (asked.owner, asked.group))
    return f"file.managed {text.line(path)}: " + (f"user {owner}" if asked.owner else f"group {group}")


def var_log(facts: Facts) -> Finding:
    """Return whether the files below /var/log can be read and written by few."""
    found = facts.files.get("var log", {})
    if not found:
        return Finding(UNKNOWN, "there are no files below /var/log")
    people = {name for name, number in facts.accounts if PEOPLE[0] <= number < PEOPLE[1]}
    wrong = {path: file for path, file in found.items() if file.owner in people or _open_to_many(path, file)}
    if not wrong:
        return judged(True, f"{len(found)} files below /var/log looked at")
    told = [f"{text.line(path)} is {_shown(file)}" for path, file in list(wrong.items())[:NAMED]]
    more = f" and {len(wrong) - NAMED} more" if len(wrong) > NAMED else ""
    return judged(False, ", ".join(told) + more, "file", "file.managed: user root, mode 0640 or less")


def _open_to_many(path: str, file: File) -> bool:
    mode = _allowed(path)
    return _beyond(file, Files("var log", mode, readers=JOURNAL), mode)


def _allowed(path: str) -> int:
    name = path.rpartition("/")[2]
    return next(mode for pattern, mode in OPEN_LOGS if pattern.fullmatch(name))


# --- The volume ---------------------------------------------------------------------------------------------------


def partition(facts: Facts) -> Finding:
    """Return whether the audit logs have a file system of their own."""
    if facts.storage is None:
        return Finding(UNKNOWN, "there is no directory for the audit logs", "mount")
    told = f"{facts.storage.directory} is on the file system of {facts.storage.mount}"
    return judged(facts.storage.own, told, "mount", "mount a file system of its own at /var/log/audit")


def option(facts: Facts, name: str, framework: str) -> Finding:
    """Return whether that file system is mounted with an option (str); for CIS only where there is one."""
    if facts.storage is None:
        return Finding(UNKNOWN, "there is no directory for the audit logs", "mount")
    if not facts.storage.own and framework.startswith("CIS"):
        return Finding(NOT_APPLICABLE, f"{facts.storage.directory} has no file system of its own", "mount")
    told = f"{facts.storage.mount} is mounted with {','.join(facts.storage.options)}"
    holds = facts.storage.own and name in facts.storage.options
    return judged(holds, told, "mount", f"mount.mounted /var/log/audit: opts {name}")


def capacity(facts: Facts) -> Finding:
    """Return whether a week of records fits on the disk, at the rate that was measured."""
    place = facts.storage
    if place is None or not place.oldest:
        return Finding(UNKNOWN, "no records are at hand from which a rate could be measured", "mount")
    if place.oldest < 3600:
        return Finding(UNKNOWN, "the oldest record is not an hour old: too little to measure a rate", "mount")
    daily = place.logs / place.oldest * 86400
    room = place.free + place.logs
    told = f"{daily / 2**20:.1f} MiB a day measured over {text.span(place.oldest)}, {room / 2**20:.0f} MiB of room"
    return judged(daily * 7 <= room, told, "mount", "a larger volume for /var/log/audit")


def retained(facts: Facts, days: int) -> Finding:
    """Return whether the records at hand go back so many ``days`` (int)."""
    place = facts.storage
    if place is None or place.oldest is None:
        return Finding(UNKNOWN, "no records are at hand", "mount")
    told = f"the oldest record at hand is {text.span(place.oldest)} old"
    if place.oldest < days * 86400:
        return Finding("manual", f"{told}; whether older ones are in an archive is for a person to say", "mount")
    return judged(True, told, "mount")


def protected(facts: Facts, *kinds: str) -> Finding:
    """Return whether files of several kinds (str) are root's and can be changed by nobody else."""
    own = {
        "audit logs": Files("audit logs", 0o640, ROOT, LOGS, LOGS),
        "audit config": Files("audit config", 0o640, ROOT, ROOT),
    }
    own["audit programs"] = Files("audit programs", 0o755, ROOT, ROOT)
    return combined([
        _judged(facts.files[kind], own[kind]) if facts.files.get(kind) else Finding(UNKNOWN, f"no {kind} found")
        for kind in kinds
    ])  # fmt: skip
