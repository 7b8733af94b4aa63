"""compliance.checks: each look passes where its thing is right, and fails, or is unknown, where it is not."""

import pytest
from sshtrail_lib.compliance import checks
from sshtrail_lib.compliance.facts import File, Grant
from sshtrail_lib.policy.controls import CHECKS, CONTROLS

from unit.compliance.known import PERIOD, PLACE, POLICY, PROOF, audit, facts, lines

HELD = audit(())
NO_SYSLOG = {"services": {"systemd-journald": (True, True), "rsyslog": (False, False)}}
TLS = 'StreamDriver="gtls" StreamDriverMode="1" StreamDriverAuthMode="x509/name"'
SENDS = f'action(type="omfwd" target="h" protocol="tcp" {TLS})'
LEGACY = (
    "$DefaultNetstreamDriver gtls",
    "$ActionSendStreamDriverMode 1",
    "$ActionSendStreamDriverAuthMode x509/name",
    "*.* @@log.example.net:6514",
)
UPLOAD = ("URL=https://log.example.net", "ServerKeyFile=/k", "ServerCertificateFile=/c", "TrustedCertificateFile=/t")
LARGE = "auditd_audispd_configure_sufficiently_large_partition"
AIDE = ("/sbin/auditctl p+i+sha512",)
TOOLS = {"audit programs": {"/usr/sbin/auditctl": File(0o755, "root", "root")}}


#: How messages come to rsyslog.
SOURCE = 'module(load="imuxsock")'


def configured(**several):
    if several.get("rsyslog"):
        several["rsyslog"] = (SOURCE, *several["rsyslog"])
    return {"configs": {name.replace("_", "-"): value and lines(*value) for name, value in several.items()}}


def clock(**changes):
    return {"clock": facts(audit=HELD).clock._replace(**changes)}


def journald(*said, **more):
    return {**configured(journald=said), **more}


#: The look, what is otherwise there, what is found.
CASES = [
    # --- the clock
    ("ntp_single_service_active", {}, "pass"),
    ("ntp_single_service_active", clock(running=("chrony", "systemd-timesyncd")), "fail"),
    ("ntp_single_service_active", clock(running=()), "fail"),
    ("clock_synchronized", {}, "pass"),
    ("clock_synchronized", clock(synchronized=False), "fail"),
    ("clock_synchronized", clock(synchronized=None), "unknown"),
    ("package_chrony_installed", {}, "pass"),
    ("package_chrony_installed", {"packages": {"chrony": ""}}, "fail"),
    ("package_chrony_installed", {"packages": {}}, "unknown"),
    ("package_chrony_installed", clock(running=("systemd-timesyncd",)), "not applicable"),
    ("service_chronyd_enabled", {}, "pass"),
    ("service_chronyd_enabled", {"services": {"chrony": (True, False), "chronyd": (False, False)}}, "fail"),
    ("service_chronyd_enabled", {"services": {}}, "unknown"),
    ("service_timesyncd_configured", {}, "not applicable"),
    ("service_timesyncd_configured", clock(running=(), config=lines("NTP=ntp")), "fail"),
    ("service_timesyncd_configured", clock(running=("systemd-timesyncd",), config=lines("NTP=ntp")), "pass"),
    *(("service_timesyncd_configured", clock(running=("systemd-timesyncd",), config=lines(*said)), status)
      for said, status in (
        (("#NTP=",), "fail"), ((), "fail"), (("NTP=a", "NTP="), "fail"), (("NTP=", "NTP = b"), "pass"),
        (("ntp=a",), "fail"), (("FallbackNTP=a",), "fail"),
    )),
    ("chronyd_configure_pool_and_server", {}, "pass"),
    ("chronyd_configure_pool_and_server", clock(config=lines("#pool x")), "fail"),
    ("chronyd_server_directive", {}, "fail"),
    ("chronyd_server_directive", clock(config=lines("server x")), "pass"),
    ("chronyd_or_ntpd_set_maxpoll", {}, "pass"),
    ("chronyd_or_ntpd_set_maxpoll", clock(config=lines("pool x maxpoll 10", "server y maxpoll 17")), "fail"),
    ("chronyd_or_ntpd_set_maxpoll", clock(config=lines("pool x maxpoll 10", "server y")), "fail"),
    ("chronyd_sync_clock", {}, "pass"),
    ("chronyd_sync_clock", clock(config=lines("makestep 1 3")), "fail"),
    ("chronyd_client_only", {}, "fail"),
    ("chronyd_or_ntpd_set_maxpoll", clock(config=lines("pool x maxpoll 16", "peer z maxpoll -2")), "pass"),
    ("chronyd_or_ntpd_set_maxpoll", clock(config=lines("pool x maxpoll 160")), "fail"),
    # Of several lines the last counts.
    ("chronyd_sync_clock", clock(config=lines("MakeStep 1.0 -1")), "pass"),
    ("chronyd_sync_clock", clock(config=lines("makestep 1 -1", "makestep 1 3")), "fail"),
    ("chronyd_client_only", clock(config=lines("port 0")), "pass"),
    ("chronyd_client_only", clock(config=lines("port 0", "port 123")), "fail"),
    ("chronyd_client_only", clock(config=lines("port 123", "port 0")), "pass"),
    ("chronyd_client_only", clock(config=lines("# port 0", "acquisitionport 0")), "fail"),
    ("chronyd_no_chronyc_network", clock(config=lines("cmdport 0", "cmdport 323")), "fail"),
    ("chronyd_no_chronyc_network", clock(config=lines("cmdport 0")), "pass"),
    # What stands in its file does nothing where chronyd does not run.
    ("chronyd_configure_pool_and_server", clock(running=()), "fail"),
    ("chronyd_sync_clock", clock(running=()), "fail"),
    ("chronyd_run_as_chrony_user", {}, "pass"),
    ("chronyd_run_as_chrony_user", clock(user="root"), "fail"),
    ("chronyd_run_as_chrony_user", clock(user=""), "fail"),
    ("ensure_rtc_utc_configuration", {}, "pass"),
    ("ensure_rtc_utc_configuration", clock(local=True), "fail"),
    # --- the journal
    ("service_systemd-journald_enabled", {}, "pass"),
    ("service_systemd-journald_enabled", {"services": {"systemd-journald": (False, False)}}, "fail"),
    ("logging_services_active", NO_SYSLOG, "pass"),
    ("logging_services_active", journald("ForwardToSyslog=yes"), "pass"),
    ("logging_services_active", journald("ForwardToSyslog=no"), "fail"),
    ("logging_services_active", {"services": {"systemd-journald": (False, False)}}, "fail"),
    ("logging_services_active", {"services": {}}, "unknown"),
    ("journald_disable_forward_to_syslog", {}, "not applicable"),
    ("journald_disable_forward_to_syslog", journald("#ForwardToSyslog=no", **NO_SYSLOG), "pass"),
    ("journald_disable_forward_to_syslog", journald("#ForwardToSyslog=yes", **NO_SYSLOG), "fail"),
    ("journald_disable_forward_to_syslog", journald("#ForwardToSyslog=yes", "ForwardToSyslog=no", **NO_SYSLOG), "pass"),
    ("journald_forward_to_syslog", NO_SYSLOG, "not applicable"),
    ("journald_storage", journald("Storage=persistent"), "pass"),
    ("journald_storage", journald("Storage=persistent", "Storage=volatile"), "fail"),
    ("journald_storage", journald("#Storage=auto"), "fail"),
    ("journald_compress", journald("#Compress=yes"), "pass"),
    ("journald_compress", journald("Compress=no"), "fail"),
    ("journal_rotation", journald("SystemMaxUse=1G"), "manual"),
    ("journal_access", {}, "not applicable"),
    ("journal_access", {"files": {"journal": {"/x": File(0o640, "root", "systemd-journal")}}}, "pass"),
    ("journal_access", {"files": {"journal": {"/x": File(0o644, "root", "systemd-journal")}}}, "fail"),
    ("systemd_journal_upload_url", {}, "not applicable"),
    ("systemd_journal_upload_url", {**configured(journal_upload=UPLOAD), **NO_SYSLOG}, "pass"),
    ("systemd_journal_upload_url", {**configured(journal_upload=("#URL=",)), **NO_SYSLOG}, "fail"),
    ("systemd_journal_upload_url", {**configured(journal_upload=("URL=",)), **NO_SYSLOG}, "fail"),
    *(("systemd_journal_upload_url", {**configured(journal_upload=(said,)), **NO_SYSLOG}, status) for said, status in (
        ("URL=http://log.example.net", "fail"), ("URL=HTTP://log.example.net:80", "fail"),
        ("URL=log.example.net", "pass"), ("URL = https://log.example.net", "pass"),
    )),
    ("systemd_journal_upload_server_tls", {**configured(journal_upload=UPLOAD), **NO_SYSLOG}, "pass"),
    ("systemd_journal_upload_server_tls", {**configured(journal_upload=UPLOAD[:3]), **NO_SYSLOG}, "fail"),
    *(("systemd_journal_upload_server_tls", {**configured(journal_upload=(*UPLOAD, said)), **NO_SYSLOG}, "fail")
      for said in ("TrustedCertificateFile=all", "TrustedCertificateFile = -", "ServerKeyFile=-", "ServerKeyFile=")),
    ("socket_systemd-journal-remote_disabled", {"services": {"systemd-journal-remote.socket": (False, False)}}, "pass"),
    ("socket_systemd-journal-remote_disabled", {"services": {"systemd-journal-remote.socket": (True, False)}}, "fail"),
    # --- rsyslog
    ("package_rsyslog_installed", {}, "pass"),
    ("package_rsyslog_installed", NO_SYSLOG, "not applicable"),
    ("service_rsyslog_enabled", {}, "pass"),
    ("service_rsyslog_enabled", {"services": {"rsyslog": (True, False)}}, "fail"),
    ("rsyslog_filecreatemode", configured(rsyslog=("$FileCreateMode 0640",)), "pass"),
    ("rsyslog_filecreatemode", configured(rsyslog=('module(load="builtin:omfile" fileCreateMode="0600")',)), "pass"),
    ("rsyslog_filecreatemode", configured(rsyslog=("$FileCreateMode 0644",)), "fail"),
    ("rsyslog_filecreatemode", configured(rsyslog=()), "fail"),
    ("rsyslog_forwards", configured(rsyslog=(SENDS,)), "pass"),
    ("rsyslog_forwards", configured(rsyslog=LEGACY), "pass"),
    ("rsyslog_forwards", configured(rsyslog=("*.* /var/log/x",)), "fail"),
    ("rsyslog_forwards", configured(rsyslog=None), "fail"),
    ("rsyslog_nolisten", configured(rsyslog=(SENDS,)), "pass"),
    ("rsyslog_nolisten", configured(rsyslog=('input(type="imtcp" port="514")',)), "fail"),
    ("rsyslog_nolisten", configured(rsyslog=("$ModLoad imudp",)), "fail"),
    ("rsyslog_nolisten", configured(rsyslog=None), "not applicable"),
    *((name, configured(rsyslog=said), "pass") for said in ((SENDS,), LEGACY) for name in (
        "rsyslog_encrypt_offload_actionsendstreamdriverauthmode",
        "rsyslog_encrypt_offload_actionsendstreamdrivermode",
        "rsyslog_encrypt_offload_defaultnetstreamdriver",
    )),
    ("rsyslog_encrypt_offload_actionsendstreamdrivermode", configured(rsyslog=("*.* @@x",)), "fail"),
    ("rsyslog_remote_access_monitoring", configured(rsyslog=("auth,authpriv.*  /var/log/a", "daemon.* -/x")), "pass"),
    ("rsyslog_remote_access_monitoring", configured(rsyslog=("*.*;auth.none /var/log/s", "auth.* /x")), "pass"),
    ("rsyslog_remote_access_monitoring", configured(rsyslog=("*.*;auth,authpriv.none /var/log/syslog",)), "fail"),
    ("rsyslog_remote_access_monitoring", configured(rsyslog=("auth,authpriv.err /x", "daemon.* /x")), "fail"),
    ("rsyslog_cron_logging", configured(rsyslog=("cron.* /var/log/cron",)), "pass"),
    ("rsyslog_cron_logging", configured(rsyslog=()), "fail"),
    ("rsyslog_rules", configured(rsyslog=("cron.* /var/log/cron",)), "manual"),
    ("logrotate_rules", configured(logrotate=("/var/log/x {", "rotate 4")), "manual"),
    # --- sudo, accounts, PAM, AIDE, mail
    ("sudo_custom_logfile", configured(sudo=('Defaults logfile="/var/log/sudo.log"',)), "pass"),
    ("sudo_custom_logfile", configured(sudo=("Defaults use_pty, logfile=/var/log/sudo.log",)), "pass"),
    ("sudo_custom_logfile", configured(sudo=("Defaults logfile=/x", "Defaults !logfile")), "fail"),
    ("sudo_custom_logfile", configured(sudo=("# Defaults logfile=/x", "Defaults:bob logfile=/x")), "fail"),
    *(("sudo_custom_logfile", configured(sudo=(said,)), "pass") for said in (
        'Defaults secure_path="/usr/sbin:/usr/bin", logfile=/x', "Defaults  logfile = /x",
        "Defaults !syslog,logfile=/x",
        'Defaults badpass_message="a, b", logfile="/var/log/my sudo.log"',
    )),
    *(("sudo_custom_logfile", configured(sudo=(said,)), "fail") for said in (
        'Defaults logfile="/x", !logfile', 'Defaults badpass_message="logfile=/x"', "Defaults", "Defaults nologfile=/x",
        "Defaults use_pty # x, logfile=/x", "Defaults>root logfile=/x", "Defaults@web1 logfile=/x",
    )),
    ("sudo_custom_logfile", configured(sudo=None), "not applicable"),
    ("account_unique_id", {}, "pass"),
    ("account_unique_id", {"accounts": (("root", 0), ("toor", 0))}, "fail"),
    ("account_unique_name", {}, "pass"),
    ("account_unique_name", {"accounts": (("bob", 1), ("bob", 2))}, "fail"),
    ("accounts_passwords_pam_faillock_audit", configured(faillock=("audit  # names",)), "pass"),
    ("accounts_passwords_pam_faillock_audit", configured(faillock=("audit = no",)), "pass"),
    ("accounts_passwords_pam_faillock_audit", configured(faillock=("Audit", "no_audit", "auditd")), "fail"),
    ("accounts_passwords_pam_faillock_audit", configured(faillock=("# audit",)), "fail"),
    ("accounts_passwords_pam_faillock_audit", configured(faillock=None), "fail"),
    *(("accounts_passwords_pam_faillock_audit", configured(faillock=said, pam_faillock=asked), status)
      for said, asked, status in (
        (("audit yes",), ("auth required pam_faillock.so preauth",), "pass"),
        (("audit\t= 1 # names",), ("auth [default=die] pam_faillock.so authfail",), "pass"),
        (("audit",), (), "fail"),
        ((), ("auth required pam_faillock.so preauth audit silent",), "pass"),
        ((), ("auth required pam_faillock.so preauth # audit",), "fail"),
        (None, ("auth required pam_faillock.so preauth noaudit",), "fail"),
    )),
    ("aide_check_audit_tools", {**configured(aide=AIDE, aide_check=("x",)), "files": TOOLS}, "pass"),
    ("aide_check_audit_tools", {**configured(aide=AIDE, aide_check=()), "files": TOOLS}, "fail"),
    ("aide_check_audit_tools", {**configured(aide=("/sbin/auditctl p",), aide_check=("x",)), "files": TOOLS}, "fail"),
    *(("aide_check_audit_tools", {**configured(aide=said, aide_check=("x",)), "files": TOOLS}, status)
      for said, status in (
        (("OURS = p+i+n+sha512", "/usr/sbin/auditctl OURS"), "pass"),
        (("A = p+i", "B=A+sha512", "/usr/sbin/auditctl$ B"), "pass"),
        (("A = sha512+p", "B = A-sha512", "/usr/sbin/auditctl B"), "fail"),
        (("A = p+i", "/usr/sbin/auditctl A"), "fail"),
        (("!/usr/sbin/auditctl", "/usr/sbin/auditd sha512"), "fail"),
        (("/usr/sbin/auditctl p # sha512",), "fail"),
        # As aide --path-check of 0.18.3 tells of each.
        (("/usr/sbin/auditctl\tp+i+sha512",), "pass"),
        (("/usr/sbin H",), "pass"),
        (("Checksums = H", "Full = p+i+Checksums", "/usr/sbin Full"), "pass"),
        (("/usr/sbin/auditctl H", "!/usr/sbin/auditctl$"), "fail"),
        (("!/usr", "/usr/sbin/auditctl H"), "fail"),
        (("!/usr/sbin f", "/usr/sbin/auditctl H"), "fail"),
        (("!/usr/sbin d", "/usr/sbin/auditctl H"), "pass"),
        (("/usr/sbin/auditctl p", "/usr/sbin sha512"), "fail"),
        (("/usr/sbin p", "/usr/sbin/auditctl sha512"), "pass"),
        (("/usr/sbin/audit p", "/usr/sbin/auditctl sha512"), "fail"),
        (("/usr/sbin/auditctl p", "=/usr/sbin/auditctl sha512"), "pass"),
        (("=/usr/sbin sha512",), "fail"),
        (("/usr/(s)?bin p", "/usr/sbin sha512"), "fail"),
        (("/usr p+i", "/usr/sbin/[a-z]* sha512"), "pass"),
        (("/usr/sbin/auditctl d sha512",), "fail"),
        (("/usr/sbin f,l sha512",), "pass"),
        (("/usr/sbin/auditctl p + sha512",), "pass"),
        (("/usr/sbin/auditctl R",), "fail"),
        (("H = p", "/usr/sbin/auditctl H"), "fail"),
        (("/usr/sbin/au(ditctl sha512",), "fail"),
        (("@@define TOOLS /usr/sbin", "@@{TOOLS}/auditctl sha512"), "pass"),
        (("/usr/sbin/[[:lower:]]+ sha512",), "pass"), (("/usr/sbin/[[:digit:]]+ sha512",), "fail"),
        (("/usr/sbin sha512", "!/usr/sbin/a[[:alpha:]]+$"), "fail"),
        (("/usr/sbin sha512", "@@define TOOLS /usr/sbin", "!@@{TOOLS}/auditctl"), "fail"),
        (("@@ifdef X", "/usr/sbin sha512", "@@endif"), "fail"),
        (("@@ifdef X", "@@else", "/usr/sbin sha512", "@@endif"), "fail"),
        (("@@if not defined X", "!/usr/sbin/auditctl", "@@endif", "/usr/sbin sha512"), "fail"),
        (("@@ifdef X", "@@endif", "/usr/sbin sha512"), "pass"),
    )),
    ("aide_check_audit_tools", configured(aide=None), "fail"),
    ("postfix_client_configure_mail_alias", configured(aliases=("root: alice",)), "pass"),
    ("postfix_client_configure_mail_alias", configured(aliases=("root:",)), "fail"),
    ("postfix_client_configure_mail_alias", configured(aliases=("root: /dev/null", 'root: "/dev/null"')), "fail"),
    ("postfix_client_configure_mail_alias", configured(aliases=("root: /dev/null, alice",)), "pass"),
    ("postfix_client_configure_mail_alias", configured(aliases=('"Root"\t:alice',)), "pass"),
    ("postfix_client_configure_mail_alias", configured(aliases=("root: # nobody", "#root: x", "roots: x")), "fail"),
    ("postfix_client_configure_mail_alias_postmaster", configured(aliases=("postmaster: root",)), "pass"),
    # --- records to another host
    ("auditd_audispd_configure_remote_server", {"configs": {
        "plugins": (("/etc/audit/plugins.d/au-remote.conf line 3", "active = yes"),),
        "audisp-remote": lines("remote_server = log.example.net"),
    }}, "pass"),
    ("auditd_audispd_configure_remote_server", {"configs": {
        "plugins": (("/etc/audit/plugins.d/au-remote.conf line 3", "active = no"),),
        "audisp-remote": lines("remote_server = log.example.net"),
    }}, "fail"),
    ("auditd_audispd_configure_remote_server", {"configs": {
        "plugins": (("/etc/audit/plugins.d/au-remote.conf line 3", "active = yes"),),
        "audisp-remote": lines("remote_server ="),
    }}, "fail"),
    *(("auditd_audispd_configure_remote_server", {"configs": {
        "plugins": tuple(("/etc/audit/plugins.d/au-remote.conf line 1", line) for line in said),
        "audisp-remote": lines("remote_server = h"),
    }}, status) for said, status in (
        (("Active = YES",), "pass"), (("active = yes", "active = no"), "fail"), (("# active = yes",), "fail"),
        # auditd wants blanks around the sign, and nothing behind the value.
        (("active=yes",), "fail"), (("active = yes # now",), "fail"), (("inactive = yes",), "fail"),
    )),
    ("auditd_offload_logs", {"configs": {"offload": (("/etc/cron.weekly/audit-offload", ""),)}}, "pass"),
    ("auditd_offload_logs", {"configs": {"offload": (("/etc/cron.weekly/audit-report", ""),)}}, "manual"),
    ("auditd_offload_logs", {}, "fail"),
    *(("auditd_audispd_configure_remote_server", {"configs": {
        "plugins": (("/etc/audit/plugins.d/au-remote.conf line 3", "active = yes"),),
        "audisp-remote": lines(f"remote_server = {host}"),
    }}, "fail") for host in ("127.0.0.1", "localhost", "::1")),
    *(("auditd_offload_logs", {"configs": {
        "plugins": tuple(("/etc/audit/plugins.d/syslog.conf line 1", line) for line in ("active = yes", *args)),
        "rsyslog": lines(SOURCE, *said),
    }}, status) for args, said, status in (
        ((), ("*.* @@h",), "pass"), ((), ("auth.* @@h",), "fail"), ((), ("user.* @@h",), "pass"),
        (("args = LOG_INFO LOG_LOCAL6",), ("local6.info @@h",), "pass"),
        (("args = LOG_INFO LOG_LOCAL6",), ("user.* @@h",), "fail"),
        (("args = LOG_DEBUG",), ("*.info @@h",), "fail"), ((), ("*.info @@h",), "pass"),
        ((), ('if $programname == "audisp-syslog" then @@h',), "unknown"), ((), ("*.* @@localhost",), "fail"),
    )),
    # --- the volume
    ("partition_for_var_log_audit", {}, "pass"),
    ("partition_for_var_log_audit", {"storage": PLACE._replace(own=False, mount="/")}, "fail"),
    ("partition_for_var_log_audit", {"storage": None}, "unknown"),
    ("mount_option_var_log_audit_nodev", {}, "pass"),
    ("mount_option_var_log_audit_nodev", {"storage": PLACE._replace(options=("nosuid",))}, "fail"),
    ("mount_option_var_log_audit_nodev", {"storage": PLACE._replace(own=False)}, "not applicable"),
    (LARGE, {}, "pass"),
    (LARGE, {"storage": PLACE._replace(logs=2**29, oldest=86400.0)}, "fail"),
    (LARGE, {"storage": PLACE._replace(oldest=60.0)}, "unknown"),
    (LARGE, {"storage": PLACE._replace(oldest=None)}, "unknown"),
    ("records_90_days", {}, "pass"),
    ("records_90_days", {"storage": PLACE._replace(oldest=86400.0)}, "manual"),
    ("permissions_local_var_log", {"files": {"var log": {"/var/log/x.log": File(0o640, "root", "adm")}}}, "pass"),
    ("permissions_local_var_log", {"files": {"var log": {"/var/log/wtmp": File(0o664, "root", "utmp")}}}, "pass"),
    *(("permissions_local_var_log", {"files": {"var log": {path: one}}}, status) for path, one, status in (
        ("/var/log/x.log", File(0o644, "root", "adm"), "fail"),
        ("/var/log/x.log", File(0o4640, "root", "adm"), "fail"),
        ("/var/log/x.log", File(0o600, "alice", "adm"), "fail"),
        ("/var/log/x.log", File(0o600, "postgres", "postgres"), "pass"),
        ("/var/log/x.log", File(0o640, "root", "adm", (Grant("user", "bob", 4),)), "fail"),
        ("/var/log/journal/x/system.journal", File(0o640, "root", "adm", (Grant("group", "wheel", 4),)), "pass"),
        ("/var/log/lastlog", File(0o664, "root", "utmp", (Grant("user", "bob", 4),)), "pass"),
    )),
    # --- what this project knows
    ("login_proven", {}, "pass"),
    ("login_proven", {"proof": None}, "unknown"),
    ("login_proven", {"proof": {**PROOF, "holds": False}}, "fail"),
    ("login_proven", {"proof_age": 90 * 86400.0}, "unknown"),
    ("login_proven", {"proof_age": -90 * 86400.0}, "unknown"),
    ("login_proven", {"proof_age": -60.0}, "pass"),
    ("people_recorded", {}, "pass"),
    ("people_recorded", {"coverage": ()}, "unknown"),
    ("people_recorded", {"coverage": ({"check": "auditd-stopped", "holds": False, "evidence": "pid 7"},)}, "fail"),
    ("people_recorded", {"coverage": ({"check": "auditd-stopped", "holds": None},)}, "unknown"),
    ("in_policy", {}, "pass"),
    ("in_policy", {"drift": None}, "unknown"),
    ("in_policy", {"drift": ({"layer": "file", "what": "x", "actual": 1, "expected": 2, "since": None},)}, "fail"),
    ("watched", {}, "pass"),
    ("watched", {"policy": {**POLICY, "drift": {"interval": 0}}}, "fail"),
    ("watched", {"looked": None}, "fail"),
    ("watched", {"looked": 900.0}, "pass"),
    ("watched", {"looked": 1000.0}, "fail"),
    ("watched", {"drift": ({"layer": "service", "what": "schedule sshtrail drift", "actual": "disabled",
                            "expected": "sshtrail_watch.tick every 10 s", "since": None},)}, "fail"),
    ("answered", {"policy": {**POLICY, "drift": {"action": "report"}}}, "fail"),
    ("uninterrupted", {}, "pass"),
    ("uninterrupted", {"period": {**PERIOD, "to": "2026-10-01T00:00:05.000Z"}}, "unknown"),
    ("uninterrupted", {"period": {**PERIOD, "to": "2026-10-02T00:00:00.000Z"}}, "pass"),
    ("uninterrupted", {"period": {**PERIOD, "spans": [{"what": "x", "seconds": 9}]}}, "manual"),
    ("uninterrupted", {"period": {**PERIOD, "gaps": [{}]}}, "manual"),
    ("uninterrupted", {"period": None}, "unknown"),
]  # fmt: skip


# journald.conf(5): what is commented out is not said; Debian and Ubuntu ship what they build in otherwise so.
JOURNALD = [
    ("journald_storage", ("#Storage=persistent",), "fail"),
    ("journald_storage", ("Storage = persistent",), "pass"),
    ("journald_storage", ("Storage=persistent", "Storage=volatile"), "fail"),
    ("journald_storage", ("Storage=volatile", "#Storage=persistent"), "fail"),
    ("journald_storage", ("Storage=persistent", "#Storage=auto"), "pass"),
    ("journald_storage", ("Storage=persistent", "Storage="), "fail"),
    ("journald_storage", ("; Storage=persistent",), "fail"),
    ("journald_compress", ("#Compress=no",), "pass"),
    ("journald_compress", ("Compress=FALSE",), "fail"),
    ("journald_compress", ("Compress=4K",), "pass"),
    # What journald does not know changes nothing.
    ("journald_compress", ("Compress=no", "Compress=maybe"), "fail"),
    ("journald_storage", ("Storage=Persistent",), "fail"),
    ("journald_storage", ("Storage=persistent", "Storage=disk"), "pass"),
    ("journald_storage", ("Storage=persistent # on disk",), "fail"),
    ("journald_forward_to_syslog", ("ForwardToSyslog=yes", "ForwardToSyslog=off please"), "pass"),
    ("journald_forward_to_syslog", ("#ForwardToSyslog=yes",), "pass"),
    ("journald_forward_to_syslog", ("#ForwardToSyslog=no",), "fail"),
    ("journald_forward_to_syslog", ("ForwardToSyslog=1", "#ForwardToSyslog=no"), "pass"),
]
CASES += [(name, configured(journald=said), status) for name, said, status in JOURNALD]
# What Debian builds in differs from release to release.
CASES += [
    (name, {**configured(journald=said), **services, "family": family}, status)
    for name, services, wanted in (
        ("journald_forward_to_syslog", {}, "fail"), ("journald_disable_forward_to_syslog", NO_SYSLOG, "pass"),
    )
    for family, said, status in (
        ("Debian", (), "unknown"), ("RedHat", (), wanted), ("Debian", ("ForwardToSyslog=no",), wanted),
        ("Debian", ("#ForwardToSyslog=no",), wanted), ("Debian", ("#Storage=auto",), "unknown"),
    )
]  # fmt: skip
CASES += [("journald_storage", {**configured(journald=("Storage=persistent",)), "journal_log": False}, "fail")]
# systemd.journald.forward_to_syslog on the kernel's command line decides over all files.
BOOTED = [
    ("systemd.journald.forward_to_syslog=1", ("ForwardToSyslog=no",), "fail"),
    ("systemd.journald.forward-to-syslog", ("ForwardToSyslog=no",), "fail"),
    ("systemd.journald.forward_to_syslog=off", ("ForwardToSyslog=yes",), "pass"),
    ("systemd.journald.forward_to_syslog=perhaps", ("ForwardToSyslog=no",), "pass"),
    ("systemd.journald.forward_to_kmsg=1", ("ForwardToSyslog=no",), "pass"),
]
CASES += [
    ("journald_disable_forward_to_syslog", {**journald(*said, **NO_SYSLOG), "boot": ("quiet", word)}, status)
    for word, said, status in BOOTED
]


@pytest.mark.parametrize(("name", "changes", "status"), CASES)
def test_a_look(name, changes, status):
    found = checks.look(facts(audit=HELD, **changes), name, "CIS")
    assert found.status == status and found.evidence
    assert bool(found.remedy) <= (status in ("fail", "unknown"))


MODES = {
    "mode": (0o777, "root", "root"),
    "owner": (0o600, "alice", "root"),
    "group": (0o600, "root", "users"),
}


@pytest.mark.parametrize("name", checks.modes.MODES)
def test_modes_owners_and_groups(name):
    asked = checks.modes.MODES[name]
    wrong = "mode" if asked.mode is not None else "owner" if asked.owner else "group"

    def with_files(*several):
        return facts(audit=HELD, files={asked.kind: {f"/x/{at}": File(*one) for at, one in enumerate(several)}})

    assert checks.look(with_files((0o600, "root", "root")), name, "CIS").status == "pass"
    found = checks.look(with_files((0o600, "root", "root"), MODES[wrong]), name, "CIS")
    assert found.status == "fail" and "/x/1 is " in found.evidence
    assert checks.look(facts(audit=HELD, files={}), name, "CIS").status in ("unknown", "not applicable")


GRANTS = [
    ("file_permissions_var_log_audit", (Grant("user", "bob", 4),), "fail"),
    ("file_permissions_var_log_audit", (Grant("group", "adm", 4),), "pass"),
    ("file_permissions_var_log_audit", (Grant("group", "adm", 6),), "fail"),
    ("file_permissions_var_log_audit", (Grant("group", "users", 4),), "fail"),
    ("file_permissions_var_log_audit", (Grant("user", "root", 6),), "pass"),
    ("file_permissions_var_log_audit_stig", (Grant("group", "adm", 4),), "fail"),
    ("file_permissions_audit_binaries", (Grant("user", "bob", 5),), "pass"),
    ("file_permissions_audit_binaries", (Grant("user", "bob", 7),), "fail"),
    ("file_permissions_sshd_config", (Grant("user", "bob", 4),), "fail"),
    ("journal_access", (Grant("group", "wheel", 4), Grant("group", "adm", 4)), "pass"),
    ("file_ownership_audit_configuration", (Grant("user", "bob", 7),), "pass"),
]


@pytest.mark.parametrize(("name", "grants", "status"), GRANTS)
def test_an_access_control_list_gives_no_more_than_a_mode_would(name, grants, status):
    one = File(0o600, "root", "root", grants)
    found = checks.look(facts(audit=HELD, files={checks.modes.MODES[name].kind: {"/x": one}}), name, "CIS")
    assert found.status == status
    assert status == "pass" or f"{grants[0].kind}:{grants[0].name}:" in found.evidence


def test_a_directory_above_that_others_write_to_is_no_less_than_a_mode():
    one = File(0o600, "root", "root", above="/srv")
    found = checks.look(
        facts(audit=HELD, files={"sshd config": {"/srv/x": one}}), "file_permissions_sshd_config", "CIS"
    )
    assert found.status == "fail" and "below /srv, to which others than root can write" in found.evidence


def test_a_directory_s_setgid_bit_gives_nobody_anything():
    known = facts(audit=HELD, files={"audit log directory": {"/x": File(0o2750, "root", "adm")}})
    assert checks.look(known, "directory_permissions_var_log_audit", "CIS").status == "pass"
    known = facts(audit=HELD, files={"audit programs": {"/x": File(0o4755, "root", "root")}})
    assert checks.look(known, "file_permissions_audit_binaries", "CIS").status == "fail"


# --- The table of controls ----------------------------------------------------------------------------------------

EVERY = [(framework, control) for framework, controls in CONTROLS.items() for control in controls]


def test_every_check_of_the_table_is_looked_at_for_every_control():
    """A requirement that standards put into words may have none: it is shown, for a person."""
    blind = [f"{framework} {one.id}" for framework, one in EVERY if one.checks and not checks.looks(framework, one)[1]]
    assert blind == []
    assert {check for _framework, one in EVERY for check in one.checks} == set(CHECKS)


def test_every_name_of_a_look_is_one():
    named = {name for framework, one in EVERY for name in checks.looks(framework, one)[1]}
    assert named <= set(checks.LOOKS)


def test_every_rule_of_the_source_is_known():
    named = {name for _framework, one in EVERY for name in one.rules}
    assert named <= set(checks.LOOKS)


def test_every_requirement_in_words_is_one_of_the_table():
    for framework, words in checks.WORDS.items():
        assert set(words) <= {one.id for one in CONTROLS[framework]}
    assert set(checks.OWN) <= {(framework, one.id) for framework, one in EVERY}


def test_only_what_cis_itself_leaves_to_people_is_manual():
    known = facts(audit=HELD)
    manual = {name for name in checks.LOOKS if checks.look(known, name, "CIS").status == "manual"}
    assert manual == {"journal_rotation", "rsyslog_rules", "logrotate_rules"}
