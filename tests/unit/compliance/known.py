"""
What is known of a host that is as it should be: a test says what is otherwise there.
"""

from sshtrail_lib.compliance import demanded
from sshtrail_lib.compliance.facts import Audit, Auditd, Clock, Facts, File, Sshd, Storage, Value
from sshtrail_lib.rules import accounts, compile, target

CONF, SSHD = "/etc/audit/auditd.conf", "/etc/ssh/sshd_config"
STATUS = {"enabled": 2, "failure": 2, "pid": 9, "lost": 0, "backlog_limit": 8192}
FEATURES = {"loginuid_immutable": {"on": True, "locked": True}}
AUDITD = {
    **{"max_log_file": "6", "max_log_file_action": "keep_logs", "disk_full_action": "halt"},
    **{"disk_error_action": "syslog", "space_left": "25%", "admin_space_left": "5%", "space_left_action": "email"},
    **{"admin_space_left_action": "halt", "action_mail_acct": "root", "name_format": "hostname"},
    **{"overflow_action": "syslog", "local_events": "yes", "freq": "50", "flush": "incremental_async"},
    **{"log_format": "ENRICHED", "write_logs": "yes"},
}
KEYWORDS = {
    **{"loglevel": "VERBOSE", "maxsessions": "10", "permitrootlogin": "no", "permituserenvironment": "no"},
    **{"usepam": "yes", "printlastlog": "yes"},
}
POLICY = {
    **{"auditd": {"service": "auditd", "path": CONF, "config": {}}, "sshd": {"path": SSHD, "config": {}}},
    **{"rules": {"groups": []}, "proof": {"interval": 86400}, "audit": True, "compliance": {}},
    "drift": {"interval": 10, "heartbeat": 300, "action": "repair"},
}
PROOF = {"time": "2026-11-25T03:00:00.000Z", "holds": True, "lost_at": None, "said": "It left a record."}
PERIOD = {"from": "2026-10-01T00:00:00.000Z", "to": "x", "looks": 1, "spans": [], "gaps": [], "proofs": []}


def compiled(line):
    return compile.compile(accounts.parse_rule(line))


def values(settings, path):
    return {name: Value(value, f"{path} line 7") for name, value in settings.items()}


def audit(rules=None, **changes):
    """Return an Audit whose kernel holds what is demanded, or the ``rules`` (iterable of bytes) that are given."""
    asked = demanded.asked("/var/log/sudo.log", ["/usr/bin/passwd"])
    wanted = [need.rule for several in asked.values() for one in several for need in one.needs]
    held = tuple(dict.fromkeys(wanted if rules is None else rules))
    found = Audit(
        *("", STATUS, FEATURES, held, {}, "", (), asked),
        *(demanded.links((*held, *wanted), asked), compile.exec_calls, target.describe, "-e 2", {}, ()),
    )
    return found._replace(**changes)


def lines(*several):
    return tuple((f"/etc/x line {number}", line) for number, line in enumerate(several, 1))


PLACE = Storage("/var/log/audit", "/var/log/audit", True, ("nodev", "nosuid", "noexec"), 2**30, 2**29, 2**20, 3.5e7)
PACKAGES = ("auditd", "libaudit1", "audispd-plugins", "rsyslog", "rsyslog-gnutls", "chrony", "systemd-journal-remote")


def facts(**changes):
    """Return the Facts of a host that is as the standards ask, with ``changes`` (fields of Facts)."""
    root = File(0o600, "root", "root")
    known = Facts(
        family="Debian",
        audit=changes.pop("audit", None) or audit(),
        sshd=Sshd("", {"": values(KEYWORDS, SSHD)}, "", ()),
        auditd=Auditd("", CONF, values(AUDITD, CONF), "", 9, True, "/var/log/audit/audit.log"),
        storage=PLACE,
        clock=Clock(("chrony",), True, "Normal", lines("pool x iburst maxpoll 10", "makestep 1 -1"), "_chrony", False),
        boot=("quiet", "audit=1", "audit_backlog_limit=8192"),
        entries={"/boot/grub/grub.cfg line 9": ("root=x", "audit=1", "audit_backlog_limit=8192")},
        packages=dict.fromkeys(PACKAGES, "1.0"),
        services=dict.fromkeys(("auditd", "rsyslog", "systemd-journald", "chrony"), (True, True)),
        files={kind: {f"/x/{kind}": root} for kind in ("audit logs", "audit config", "audit programs", "var log")},
        configs={},
        journal_log=True,
        accounts=(("root", 0), ("alice", 1001)),
        coverage=({"check": "auditd-stopped", "holds": True},),
        proof=PROOF,
        proof_age=3600.0,
        drift=(),
        policy=POLICY,
        period=PERIOD,
    )
    return known._replace(**changes)
