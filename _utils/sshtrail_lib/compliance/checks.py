"""
Which looks answer which check, and which checks answer a requirement that standards put into words alone.

The looks have the names that ComplianceAsCode gives to its rules, as the table of the controls has them; those that no
standard names have names of this project's own.
"""

from __future__ import annotations

import typing
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from sshtrail_lib.compliance import daemons, modes, offload, rules, syslog, system, trail
from sshtrail_lib.compliance.facts import Facts
from sshtrail_lib.compliance.finding import FAIL, MANUAL, NOT_APPLICABLE, UNKNOWN, Finding, judged
from sshtrail_lib.policy.controls import CONTROLS, Control

#: Looks at a host for a framework (str).
Look = Callable[[Facts, str], Finding]


def _plain(look: Callable[..., Finding], *given: object) -> Look:
    return lambda facts, _framework: look(facts, *given)


def _framed(look: Callable[..., Finding], *given: object) -> Look:
    return lambda facts, framework: look(facts, *given, framework)


def _chrony(look: Callable[[Facts], Finding]) -> Look:
    return lambda facts, framework: system.by_chrony(facts, look, framework)


def _clock(pattern: str, what: str, every: str = "") -> Look:
    return _running(lambda facts: system.clock_line(facts, pattern, what, every))


def _clock_says(keyword: str, value: str) -> Look:
    return _running(lambda facts: system.clock_says(facts, keyword, value))


def _running(look: Callable[[Facts], Finding]) -> Look:
    return lambda facts, framework: system.by_running_chrony(facts, look, framework)


def _uploads(look: Callable[..., Finding], *given: object) -> Look:
    return lambda facts, _framework: system.upload_part(facts, lambda known: look(known, *given))


def _syslog(look: Callable[..., Finding], *given: object) -> Look:
    return lambda facts, framework: system.by_rsyslog(facts, lambda known: look(known, *given), framework)


def _logged(look: Callable[..., Finding], *given: object) -> Look:
    return lambda facts, framework: system.done_by_rsyslog(facts, lambda known: look(known, *given), framework)


def _absent(told: str) -> Look:
    return lambda _facts, _framework: Finding(NOT_APPLICABLE, told)


SERVER, SOURCE = r"\s*(server|pool|peer)\s", "server or pool lines that name a time source"
MAXPOLL = r"\bmaxpoll\s+(1[0-6]|-?[0-9])(\s|$)"
ZIPL = _absent("zipl boots s390x alone")
LOOKS: dict[str, Look] = {
    **{name: _plain(rules.demand, name) for name in sorted(rules.DEMANDED)},
    **{name: _framed(daemons.setting, name) for name in daemons.SETTINGS},
    **{name: _plain(modes.files, name) for name in modes.MODES},
    # --- the kernel
    "audit_rules_immutable": _plain(rules.immutable),
    "audit_rules_system_shutdown": _plain(rules.failure),
    "audit_rules_immutable_login_uids": _plain(rules.fixed_logins),
    "kernel_as_files": _plain(rules.same),
    "grub2_audit_argument": _plain(rules.from_boot),
    "zipl_audit_argument": ZIPL,
    "grub2_audit_backlog_limit_argument": _plain(rules.backlog),
    "zipl_audit_backlog_limit_argument": ZIPL,
    # --- sshd
    **{name: _plain(daemons.effective, name) for name in daemons.KEYWORDS},
    "sshd_enable_pam": _plain(daemons.pam),
    # --- auditd
    "auditd_data_retention_max_log_file": _plain(daemons.max_log_file),
    "auditd_data_retention_action_mail_acct": _plain(daemons.mail),
    "auditd_data_retention_space_left_percentage": _plain(daemons.space_left),
    "auditd_data_retention_admin_space_left_percentage": _plain(daemons.admin_space_left),
    "auditd_freq": _plain(daemons.flush),
    "service_auditd_enabled": _plain(daemons.service),
    "package_audit_installed": _plain(system.package, "audit"),
    "package_audit-libs_installed": _plain(system.package, "audit-libs"),
    "package_audit-audispd-plugins_installed": _plain(system.package, "audispd-plugins"),
    "package_audispd-plugins_installed": _plain(system.package, "audispd-plugins"),
    "auditd_audispd_configure_remote_server": _plain(offload.remote_server),
    "auditd_offload_logs": _plain(offload.offload),
    "auditd_audispd_configure_sufficiently_large_partition": _plain(modes.capacity),
    "postfix_client_configure_mail_alias": _plain(system.alias, "root"),
    "postfix_client_configure_mail_alias_postmaster": _plain(system.alias, "postmaster"),
    # --- the volume, modes
    "partition_for_var_log_audit": _plain(modes.partition),
    **{f"mount_option_var_log_audit_{name}": _framed(modes.option, name) for name in ("nodev", "nosuid", "noexec")},
    "permissions_local_var_log": _plain(modes.var_log),
    # --- the clock
    "ntp_single_service_active": _plain(system.one_clock),
    "clock_synchronized": _plain(system.synchronized),
    "package_chrony_installed": _chrony(system.chrony_installed),
    "service_chronyd_enabled": _chrony(system.chrony_runs),
    # Which of them is off follows from the one that runs.
    "service_chronyd_disabled": _plain(system.one_clock),
    "service_timesyncd_enabled": lambda facts, _framework: system.by_timesyncd(facts, system.one_clock),
    "service_timesyncd_disabled": _plain(system.one_clock),
    "service_timesyncd_configured": lambda facts, _framework: system.by_timesyncd(facts, system.timesyncd_asks),
    "chronyd_configure_pool_and_server": _clock(SERVER, SOURCE),
    "chronyd_specify_remote_server": _clock(SERVER, SOURCE),
    "chronyd_server_directive": _clock(r"\s*server\s", "server lines that name a time source"),
    "chronyd_run_as_chrony_user": _chrony(system.chrony_user),
    "chronyd_or_ntpd_set_maxpoll": _clock(SERVER, "maxpoll 16 or less for every source", MAXPOLL),
    "chronyd_sync_clock": _clock_says("makestep", r"1(\.0*)?\s+-1"),
    "chronyd_client_only": _clock_says("port", "0"),
    "chronyd_no_chronyc_network": _clock_says("cmdport", "0"),
    "chronyd_configure_local_socket": _clock(r"\s*bindcmdaddress\s+/", "bindcmdaddress with a local socket"),
    "ensure_rtc_utc_configuration": _plain(system.utc),
    # --- the journal and syslog
    "service_systemd-journald_enabled": _plain(system.journal_runs),
    "journal_rotation": _plain(system.journal_rotation),
    "logging_services_active": _plain(system.one_system),
    "journald_disable_forward_to_syslog": _plain(system.keeps_to_itself),
    "journald_forward_to_syslog": _plain(system.forwards),
    "journald_compress": _plain(system.journal_compress),
    "journald_storage": _plain(system.journal_storage),
    "package_systemd-journal-remote_installed": _uploads(system.package, "journal-remote"),
    "systemd_journal_upload_url": _plain(system.upload, "URL"),
    "systemd_journal_upload_server_tls": _plain(
        system.upload, "ServerKeyFile", "ServerCertificateFile", "TrustedCertificateFile"
    ),
    "service_systemd-journal-upload_enabled": _uploads(system.service, system.UPLOAD),
    "socket_systemd-journal-remote_disabled": _plain(system.service, system.REMOTE, False),
    "package_rsyslog_installed": _framed(system.syslog_package),
    "service_rsyslog_enabled": _framed(system.syslog_service),
    "rsyslog_filecreatemode": _syslog(syslog.file_mode),
    "rsyslog_rules": _plain(system.shown, "rsyslog", syslog.SELECTOR.pattern, "rsyslog has no rules here"),
    "rsyslog_forwards": _logged(syslog.forwards_away),
    "rsyslog_nolisten": _plain(syslog.listens_to_nobody),
    "package_rsyslog-gnutls_installed": _plain(system.package, "rsyslog-gnutls"),
    "rsyslog_encrypt_offload_actionsendstreamdriverauthmode": _syslog(
        *(syslog.stream, "StreamDriverAuthMode", ("x509/name",))
    ),
    "rsyslog_encrypt_offload_actionsendstreamdrivermode": _syslog(*(syslog.stream, "StreamDriverMode", ("1",))),
    "rsyslog_encrypt_offload_defaultnetstreamdriver": _syslog(*(syslog.stream, "StreamDriver", ("gtls", "ossl"))),
    "rsyslog_remote_loghost": _logged(syslog.forwards_away),
    "rsyslog_remote_access_monitoring": _logged(syslog.writes, *syslog.REMOTE_ACCESS),
    "rsyslog_cron_logging": _logged(syslog.writes, "cron"),
    "logrotate_rules": _plain(system.shown, "logrotate", r"^\s*(/\S.*\{|rotate|daily|weekly)", "logrotate has none"),
    # --- sudo, accounts, PAM, integrity
    "sudo_custom_logfile": _plain(system.sudo_log),
    "account_unique_id": _plain(system.unique, 1),
    "account_unique_name": _plain(system.unique, 0),
    "accounts_passwords_pam_faillock_audit": _plain(system.faillock),
    "aide_check_audit_tools": _plain(system.integrity),
    # --- what this project knows itself
    "login_proven": _plain(trail.proven),
    "people_recorded": _plain(trail.recording),
    "commands_recorded": _plain(trail.recording, "commands-unruled"),
    "in_policy": _plain(trail.in_policy),
    "watched": _plain(trail.watched),
    "answered": _plain(trail.answered),
    "uninterrupted": _plain(trail.uninterrupted),
    "logs_protected": _plain(modes.protected, "audit logs"),
    "audit_protected": _plain(modes.protected, "audit logs", "audit config", "audit programs"),
    "records_90_days": _plain(modes.retained, 90),
    "records_365_days": _plain(modes.retained, 365),
}

RULES_ACCESS = tuple(name for name in LOOKS if name.startswith("audit_rules_unsuccessful_file_modification_"))
RULES_MODES = tuple(name for name in LOOKS if name.startswith("audit_rules_dac_modification_") and "umount" not in name)
RULES_DELETES = tuple(name for name in LOOKS if name.startswith("audit_rules_file_deletion_events_"))
RULES_IDENTITY = tuple(name for name in LOOKS if name.startswith("audit_rules_usergroup_modification_"))
RULES_TIME = tuple(name for name in LOOKS if name.startswith("audit_rules_time_"))
RULES_MODULES = tuple(f"audit_rules_kernel_module_loading_{name}" for name in ("init", "finit", "delete"))
#: What a check looks at where the table's own names do not say it all; each of the others looks at what they name.
CHECKS: dict[str, tuple[str, ...]] = {
    "rule-same": ("kernel_as_files",),
    "rule-access": RULES_ACCESS,
    "rule-permissions": RULES_MODES,
    "rule-identity": RULES_IDENTITY,
    "time-sync": ("clock_synchronized",),
    "journal-access": ("journal_access",),
    "journal-rotation": ("journal_rotation",),
    "rsyslog-rules": ("rsyslog_rules",),
    "rsyslog-forward-m": ("rsyslog_forwards",),
    "logrotate-rules": ("logrotate_rules",),
    "rsyslog-service": ("package_rsyslog_installed", "service_rsyslog_enabled"),
    "rsyslog-forward": ("rsyslog_nolisten",),
    "journal-upload": ("systemd_journal_upload_url", "systemd_journal_upload_server_tls"),
    "journal-syslog": ("logging_services_active",),
}
#: Checks of CIS that have more names than the table.
LONG = ("rule-permissions", "rule-identity")
#: Requirements of which the table knows no rule, though one of the looks is about just them.
OWN: dict[tuple[str, str], tuple[str, ...]] = {
    ("CIS RHEL 9", "6.2.2.2"): ("journald_disable_forward_to_syslog",),
    ("CIS RHEL 9", "6.2.3.3"): ("journald_forward_to_syslog",),
    ("CIS RHEL 9", "6.2.3.1"): ("package_rsyslog_installed",),
    ("CIS RHEL 9", "6.2.3.2"): ("service_rsyslog_enabled",),
    ("CIS RHEL 9", "6.2.2.1.3"): ("service_systemd-journal-upload_enabled",),
}

#: What bears on the requirements that standards put into words: the looks, and whether they answer it all. Where they
#: do not, one that fails fails it, and else a person has to say.
WORDS: dict[str, dict[str, tuple[bool, tuple[str, ...]]]] = {
    "PCI DSS": {
        "8.2.1": (False, ("account_unique_id", "account_unique_name")),
        "8.2.2": (False, ("sshd_disable_root_login",)),
        "10.2": (False, ("people_recorded", "in_policy")),
        "10.2.1": (True, ("service_auditd_enabled", "login_proven", "people_recorded")),
        "10.2.1.1": (True, ("commands_of_people", "sshd_enable_pam")),
        "10.2.1.2": (True, ("commands_as_root",)),
        "10.2.1.3": (True, ("audit_log_reads", "audit_log_changes")),
        "10.2.1.4": (False, ("sshd_set_loglevel_info", *RULES_ACCESS)),
        "10.2.1.5": (False, (*RULES_IDENTITY, "audit_rules_sysadmin_actions")),
        "10.2.1.6": (False, ("audit_configuration", "service_auditd_enabled")),
        "10.2.1.7": (True, (*RULES_DELETES, *RULES_MODULES, "audit_rules_media_export")),
        "10.2.2": (False, ("auditd_log_format", "auditd_name_format")),
        "10.3.1": (True, ("logs_protected",)),
        "10.3.2": (True, ("logs_protected", "audit_rules_immutable")),
        "10.3.3": (False, ("auditd_offload_logs",)),
        "10.3.4": (False, ("audit_log_changes",)),
        "10.5.1": (True, ("records_90_days", "records_365_days")),
        "10.6.1": (True, ("ntp_single_service_active", "clock_synchronized")),
        "10.6.3": (True, RULES_TIME),
        "10.7.2": (True, ("watched", "login_proven", "uninterrupted")),
        "10.7.3": (False, ("uninterrupted",)),
    },
    "NIST 800-53": {
        "AU-2": (False, ("in_policy",)),
        "AU-3": (False, ("people_recorded",)),
        "AU-3(1)": (False, ("commands_of_people", "sshd_set_loglevel_verbose")),
        "AU-4": (True, ("auditd_audispd_configure_sufficiently_large_partition",)),
        "AU-4(1)": (False, ("auditd_offload_logs",)),
        "AU-5": (False, ("auditd_data_disk_full_action", "auditd_data_disk_error_action", "auditd_overflow_action")),
        "AU-5(1)": (True, ("auditd_data_retention_space_left_percentage", "auditd_data_retention_space_left_action")),
        "AU-5(2)": (False, ("watched", "login_proven")),
        "AU-5(4)": (True, ("auditd_data_disk_full_action_stig", "audit_rules_system_shutdown")),
        "AU-8": (True, ("clock_synchronized", "ensure_rtc_utc_configuration")),
        "AU-9": (False, ("audit_protected", "audit_rules_immutable")),
        "AU-9(2)": (False, ("auditd_offload_logs",)),
        "AU-9(4)": (True, ("logs_protected",)),
        "AU-10": (False, ("sshd_set_loglevel_info", "login_proven")),
        "AU-11": (False, ("records_90_days",)),
        "AU-12": (True, ("in_policy", "kernel_as_files", "login_proven")),
        "AU-12(1)": (False, ("login_proven", "people_recorded")),
        "AU-12(3)": (False, ("in_policy",)),
        "AU-14": (True, ("commands_of_people", "sshd_enable_pam")),
        "AU-14(1)": (True, ("grub2_audit_argument",)),
        "AC-17(1)": (False, ("sshd_set_loglevel_info", "login_proven")),
        "AC-6(9)": (True, ("commands_as_root",)),
        "AC-2(4)": (True, RULES_IDENTITY),
        "CM-3(5)": (True, ("watched", "answered")),
    },
    "ISO 27001": {
        "A.8.15": (False, ("people_recorded", "login_proven", "logs_protected")),
        "A.8.16": (False, ("watched",)),
        "A.8.17": (True, ("ntp_single_service_active", "clock_synchronized")),
        "A.8.2": (False, ("commands_as_root",)),
        "A.5.33": (False, ("logs_protected", "records_90_days")),
    },
    "SOC 2": {
        "CC6.1": (False, ("sshd_set_loglevel_info",)),
        "CC6.2": (False, ("account_unique_id",)),
        "CC7.1": (True, ("watched", "in_policy", "uninterrupted")),
        "CC7.2": (False, ("watched", "uninterrupted")),
        "CC7.4": (False, ("answered",)),
        "CC4.1": (True, ("watched", "login_proven", "uninterrupted")),
    },
}


def looks(framework: str, control: Control) -> tuple[bool, tuple[str, ...]]:
    """
    Return what a control looks at: whether that answers all of it (bool), and the names of the looks (tuple of str).

    framework
        Which (str), as the table of the controls has it.
    control
        One of that table (Control).
    """
    if not control.checks:
        return WORDS.get(framework, {}).get(control.id, (False, ()))
    if (framework, control.id) in OWN:
        return True, OWN[framework, control.id]
    whole = [name for check in control.checks for name in _whole(framework, check)]
    named = [name for name in control.rules if name in LOOKS]
    if not named:
        named = [name for check in control.checks for name in CHECKS.get(check, ())]
    return True, tuple(dict.fromkeys([*named, *whole]))


def _whole(framework: str, check: str) -> tuple[str, ...]:
    # Some lists of names are longer than the table has room for: these checks are known as a whole.
    return CHECKS[check] if check == "rule-access" or (check in LONG and framework.startswith("CIS")) else ()


def searches(frameworks: Iterable[str]) -> bool:
    """Tell whether a control of these ``frameworks`` (iterable of str) is about every setuid program of the host."""
    return any("rule-privileged-all" in one.checks for framework in frameworks for one in CONTROLS[framework])


def look(facts: Facts, name: str, framework: str) -> Finding:
    """Return what one look (str, its name) finds on a host, for a framework (str)."""
    one = LOOKS.get(name)
    if one is None:
        return Finding(MANUAL, f"nothing here looks at {name}", "")
    if not facts.unread and not facts.stale:
        return one(facts, framework)
    configs, files = _Asked(facts.configs), _Asked(facts.files)
    clock = facts.clock._replace(config=_Clock(facts.clock.config, configs))
    found = one(facts._replace(configs=configs, files=files, clock=clock), framework)
    unread = [facts.unread[each] for each in (*configs.names, *files.names) if each in facts.unread]
    # A file that was seen to be wrong stays so; of what is not seen nothing can be said.
    if not unread or (found.status == FAIL and not set(configs.names) & set(facts.unread)):
        return _as_it_runs(facts, found, configs.names)
    return Finding(UNKNOWN, f"it cannot be looked at: {'; '.join(dict.fromkeys(unread))}", found.layer)


def _as_it_runs(facts: Facts, found: Finding, names: Sequence[str]) -> Finding:
    """Return what is found where a daemon may not have read the configurations of these ``names`` (list of str)."""
    stale = [facts.stale[name] for name in dict.fromkeys(names) if name in facts.stale]
    if not stale or not found.holds:
        return found
    return judged(False, f"{found.evidence}, but {stale[0]}", "daemon", "restart it: service.restart")


class _Asked(dict):
    """What is known by names (dict), and the ``names`` (list of str) that somebody has asked for."""

    def __init__(self, known: Mapping) -> None:
        super().__init__(known)
        self.names: list[str] = []

    def get(self, name: str, default: object = None) -> typing.Any:
        self.names.append(name)
        return super().get(name, default)

    def __getitem__(self, name: str) -> typing.Any:
        self.names.append(name)
        return super().__getitem__(name)


class _Clock(tuple):
    """The lines of the clock's configuration, which are noted as asked for in ``asked`` (:class:`_Asked`)."""

    asked: _Asked

    def __new__(cls, lines: Iterable, asked: _Asked) -> _Clock:
        found = super().__new__(cls, lines)
        found.asked = asked
        return found

    def __iter__(self) -> Iterator:
        self.asked.names.append("clock")
        return super().__iter__()
