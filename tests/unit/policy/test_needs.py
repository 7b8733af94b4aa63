"""
policy.needs: with what every policy asks, auditd writes a log, whatever its file said before.
"""

import pytest
from sshtrail_lib.auditd import language, plan
from sshtrail_lib.policy import needs
from sshtrail_lib.policy import schema as policy_schema

HIDING = [b"write_logs = no\n", b"log_format = NOLOG\n", b"local_events = no\n", b"WRITE_LOGS = NO\n"]


@pytest.mark.parametrize("before", [b"", *HIDING])
def test_the_file_of_a_policy_writes_a_log(before):
    wanted = plan.wanted(policy_schema.DEFAULTS["auditd"]["config"])
    after = plan.edit(before, wanted)
    assert language.writes_log(after) and language.effective(after, "local_events") == "yes"


def test_a_value_that_means_the_same_stays_as_it_is():
    shipped = b"local_events = YES\nwrite_logs = Yes\nlog_format = ENRICHED\n"
    assert plan.edit(shipped, plan.wanted(needs.DEFAULTS["auditd"]["config"])) == shipped


def test_nothing_that_every_policy_asks_hides_anything():
    assert list(needs.hidden(policy_schema.DEFAULTS)) == []


@pytest.mark.parametrize("value,hides", [("raw", False), ("RAW", False), (None, False), ("NoLog", True)])
def test_a_log_format_hides_when_it_is_no_log(value, hides):
    policy = {**policy_schema.DEFAULTS, "auditd": {"config": {"log_format": value}}}
    assert bool(list(needs.hidden(policy))) is hides
