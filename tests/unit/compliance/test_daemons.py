"""compliance.daemons: effective values of sshd and auditd, and who chose them."""

import pytest
from sshtrail_lib.compliance import checks, daemons

from unit.compliance.known import AUDITD, CONF, KEYWORDS, POLICY, SSHD, audit, facts, values

HELD = audit(())
WRONG = {
    "auditd_data_retention_max_log_file_action": ("max_log_file_action", "rotate"),
    "auditd_data_retention_max_log_file_action_stig": ("max_log_file_action", "keep_logs"),
    "auditd_data_disk_error_action": ("disk_error_action", "ignore"),
    "auditd_data_disk_error_action_stig": ("disk_error_action", "suspend"),
    "auditd_data_disk_full_action": ("disk_full_action", "suspend"),
    "auditd_data_disk_full_action_stig": ("disk_full_action", "single"),
    "auditd_data_retention_admin_space_left_action": ("admin_space_left_action", "suspend"),
    "auditd_data_retention_space_left_action": ("space_left_action", "syslog"),
    "auditd_name_format": ("name_format", "none"),
    "auditd_overflow_action": ("overflow_action", "ignore"),
    "auditd_local_events": ("local_events", "no"),
    "auditd_log_format": ("log_format", "raw"),
    "auditd_write_logs": ("write_logs", "no"),
    "auditd_freq": ("freq", "1000"),
    "auditd_data_retention_space_left_percentage": ("space_left", "24%"),
    "auditd_data_retention_admin_space_left_percentage": ("admin_space_left", "1"),
}


def auditd(**settings):
    known = facts(audit=HELD)
    return known._replace(auditd=known.auditd._replace(settings=values({**AUDITD, **settings}, CONF)))


@pytest.mark.parametrize("name", WRONG)
def test_a_keyword_passes_and_fails(name):
    keyword, wrong = WRONG[name]
    right = {"auditd_data_retention_max_log_file_action_stig": {"max_log_file_action": "rotate"}}.get(name, {})
    assert checks.look(auditd(**right), name, "CIS").status == "pass"
    found = checks.look(auditd(**{keyword: wrong}), name, "CIS")
    assert found.status == "fail" and found.about[0] == keyword
    assert f"{keyword} = {wrong} ({CONF} line 7)" in found.evidence
    assert f"sshtrail:auditd:config:{keyword}: " in found.remedy


def test_every_keyword_of_the_table_is_tried():
    assert set(daemons.SETTINGS) <= set(WRONG)


EDGES = [
    ("auditd_data_retention_space_left_action", "space_left_action", "exec /usr/local/bin/tell", "pass"),
    ("auditd_data_retention_space_left_action", "space_left_action", "EXEC /usr/local/bin/tell -x", "pass"),
    ("auditd_data_retention_space_left_action", "space_left_action", "execute", "fail"),
    ("auditd_data_retention_admin_space_left_action", "admin_space_left_action", "exec /x", "fail"),
    ("auditd_data_retention_admin_space_left_action", "admin_space_left_action", "HALT", "pass"),
    ("auditd_data_retention_space_left_percentage", "space_left", "25%", "pass"),
    ("auditd_data_retention_space_left_percentage", "space_left", "256", "pass"),
    ("auditd_data_retention_space_left_percentage", "space_left", "255", "fail"),
    ("auditd_data_retention_admin_space_left_percentage", "admin_space_left", "4%", "fail"),
    ("auditd_freq", "freq", "100", "pass"),
    ("auditd_freq", "freq", "101", "fail"),
    ("auditd_freq", "freq", "0", "fail"),
    ("auditd_freq", "flush", "INCREMENTAL_ASYNC", "pass"),
    ("auditd_log_format", "log_format", "enriched", "pass"),
    ("auditd_name_format", "name_format", "FQD", "pass"),
    ("auditd_name_format", "name_format", "user", "fail"),
]


@pytest.mark.parametrize(("name", "keyword", "value", "status"), EDGES)
def test_values_at_the_edge(name, keyword, value, status):
    assert checks.look(auditd(**{keyword: value}), name, "CIS").status == status


def test_disa_wants_halt_where_cis_lets_a_host_go_to_single():
    known = auditd(disk_full_action="single")
    assert checks.look(known, "auditd_data_disk_full_action", "CIS").status == "pass"
    assert checks.look(known, "auditd_data_disk_full_action", "STIG").status == "fail"


def test_what_the_policy_itself_chooses_is_shown_as_that():
    policy = {**POLICY, "auditd": {**POLICY["auditd"], "config": {"disk_full_action": "suspend"}}}
    found = checks.look(
        auditd(disk_full_action="suspend")._replace(policy=policy), "auditd_data_disk_full_action", "CIS"
    )
    assert (found.status, found.layer) == ("fail", "policy")
    assert "the policy itself asks for suspend" in found.evidence


def test_where_the_policy_asks_for_what_would_do_it_is_to_be_applied():
    policy = {**POLICY, "auditd": {**POLICY["auditd"], "config": {"disk_full_action": "halt"}}}
    found = checks.look(
        auditd(disk_full_action="suspend")._replace(policy=policy), "auditd_data_disk_full_action", "CIS"
    )
    assert (found.layer, found.remedy) == ("file", "state.apply sshtrail")


def test_a_daemon_that_has_not_read_its_file_fails():
    known = auditd()
    known = known._replace(auditd=known.auditd._replace(unread="auditd works with another file"))
    found = checks.look(known, "auditd_write_logs", "CIS")
    assert (found.status, found.layer) == ("fail", "daemon")


def test_a_log_that_is_never_full_has_no_size():
    assert daemons.max_log_file(auditd(max_log_file="0")).status == "fail"


def test_a_file_that_is_not_there_is_unknown():
    known = auditd()
    known = known._replace(auditd=known.auditd._replace(error="it is not there", settings={}))
    assert checks.look(known, "auditd_write_logs", "CIS").status == "unknown"
    assert daemons.max_log_file(known).status == "unknown"


def test_megabytes_are_held_against_the_volume():
    assert daemons.space_left(auditd(space_left="256")).status == "pass"
    assert daemons.space_left(auditd(space_left="255")).status == "fail"


SERVICES = [({}, "pass"), ({"pid": 0}, "fail"), ({"genuine": False}, "fail")]


@pytest.mark.parametrize(("changes", "status"), SERVICES)
def test_the_kernels_daemon_must_be_auditd(changes, status):
    known = auditd()
    assert daemons.service(known._replace(auditd=known.auditd._replace(**changes))).status == status


def test_a_service_must_start_at_boot():
    assert daemons.service(auditd()._replace(services={"auditd": (True, False)})).status == "fail"
    assert daemons.service(auditd()._replace(services={"auditd": None})).status == "unknown"


# --- sshd ---------------------------------------------------------------------------------------------------------

SSHD_WRONG = {
    "sshd_set_loglevel_info": ("LogLevel", "ERROR"),
    "sshd_set_loglevel_verbose": ("LogLevel", "INFO"),
    "sshd_set_max_sessions": ("MaxSessions", "11"),
    "sshd_disable_root_login": ("PermitRootLogin", "prohibit-password"),
    "sshd_do_not_permit_user_env": ("PermitUserEnvironment", "LANG"),
    "sshd_print_last_log": ("PrintLastLog", "no"),
    "sshd_enable_pam": ("UsePAM", "no"),
}


def sshd(branches=None, **changes):
    known = facts(audit=HELD)
    branches = {"": values(KEYWORDS, SSHD), **(branches or {})}
    return known._replace(sshd=known.sshd._replace(**{"branches": branches, **changes}))


@pytest.mark.parametrize("name", SSHD_WRONG)
def test_a_value_of_sshd_passes_and_fails_in_each_branch(name):
    keyword, wrong = SSHD_WRONG[name]
    assert checks.look(sshd(), name, "CIS").status == "pass"
    bad = values({**KEYWORDS, keyword.lower(): wrong}, SSHD)
    found = checks.look(sshd({"": bad}), name, "CIS")
    assert found.status == "fail" and f"{keyword} {wrong}" in found.evidence
    found = checks.look(sshd({"User bob": bad}), name, "CIS")
    assert found.status == "fail" and "for Match User bob" in found.evidence


def test_how_others_than_root_come_in_says_nothing_of_root():
    good, bad = (values({**KEYWORDS, "permitrootlogin": one, "loglevel": "QUIET"}, SSHD) for one in ("no", "yes"))
    known = sshd({"": bad, "User bob": bad}, root={"": good})
    assert checks.look(known, "sshd_disable_root_login", "CIS").status == "pass"
    found = checks.look(
        sshd({"": good}, root={"": good, "Address 192.0.2.0/24": bad}), "sshd_disable_root_login", "CIS"
    )
    assert found.status == "fail" and "for Match Address 192.0.2.0/24" in found.evidence
    assert checks.look(sshd(root={"": bad}), "sshd_set_loglevel_info", "CIS").status == "pass"


def test_what_nobody_has_is_no_fault():
    values_of_nobody = {key: value for key, value in values(KEYWORDS, SSHD).items() if key != "loglevel"}
    bad, good = (values({**KEYWORDS, "loglevel": one}, SSHD) for one in ("QUIET", "VERBOSE"))
    found = checks.look(
        sshd({"": values_of_nobody, "User a": good, "User *,!a": good}), "sshd_set_loglevel_info", "CIS"
    )
    assert found.status == "pass"
    found = checks.look(sshd({"": values_of_nobody, "User a": good, "User *,!a": bad}), "sshd_set_loglevel_info", "CIS")
    assert found.status == "fail" and "for Match User *,!a" in found.evidence


def test_a_sshd_that_has_not_read_its_files_fails():
    found = checks.look(sshd(unread="the sshd that runs has not read it"), "sshd_disable_root_login", "CIS")
    assert (found.status, found.layer) == ("fail", "daemon")


def test_what_is_decided_on_the_command_line_counts():
    found = checks.look(sshd(overruled={"permitrootlogin": "yes"}), "sshd_disable_root_login", "CIS")
    assert found.status == "fail" and "PermitRootLogin yes (the command line of the sshd that runs)" in found.evidence
    wrong = {"": values({**KEYWORDS, "loglevel": "QUIET"}, SSHD)}
    assert checks.look(sshd(wrong, overruled={"loglevel": "INFO"}), "sshd_set_loglevel_info", "CIS").status == "pass"


def test_a_sshd_that_nobody_can_ask_is_unknown_and_never_a_pass():
    assert checks.look(sshd(unread=None), "sshd_disable_root_login", "CIS").status == "unknown"


def test_a_configuration_that_sshd_refuses_is_unknown():
    assert checks.look(sshd(error="line 3: bad"), "sshd_disable_root_login", "CIS").status == "unknown"


def test_pam_must_set_the_login_id():
    assert checks.look(sshd(pam=("pam_loginuid.so is missing",)), "sshd_enable_pam", "CIS").status == "fail"
    assert checks.look(sshd(pam=None), "sshd_enable_pam", "CIS").status == "unknown"
