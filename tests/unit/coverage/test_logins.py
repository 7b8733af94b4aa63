"""
coverage.logins: logins that only one of the two logs knows, and none where the logs are only late, or short.
"""

from sshtrail_lib.coverage import logins
from sshtrail_lib.coverage.logins import Accepted, Known, Logs
from sshtrail_lib.coverage.people import Process

CAME = Accepted(5000.0, 70, "alice")
LOGS = Logs(4000.0, 9000.0, [CAME], [3000.0, 5000.0, 9500.0], [Known(5023.0, 70)], 1000.0, "")
SESSION = Process(71, 70, "sshd", 1001, 1001, "/usr/sbin/sshd", ("sshd: alice@pts/0",), 5001.0, True, "")


def found(logs, *processes):
    verdicts = logins.judge(logs, {one.pid: one for one in processes})
    return {one.check: one.evidence for one in verdicts if one.holds is False}


def test_logins_that_both_logs_have():
    assert found(LOGS, SESSION) == {}


def test_a_login_that_the_audit_log_does_not_know():
    assert found(LOGS._replace(known=[])) == {"login-unmatched": "alice (pid 70)"}
    # The number was another process's, an hour ago.
    assert found(LOGS._replace(known=[Known(1400.0, 70)])) == {"login-unmatched": "alice (pid 70)"}


def test_a_login_that_the_audit_log_knows_by_no_login_id():
    """PAM was asked, and sets none: its stack does not ask for it, or sshd has no /proc."""
    without = Known(5023.0, 70, "alice", False)
    assert found(LOGS._replace(known=[without])) == {"login-unmatched": "alice (pid 70)"}
    assert found(LOGS._replace(known=[without, Known(5023.0, 70)])) == {}


def test_what_is_too_young_too_old_or_before_the_log_is_not_judged():
    for logs in (LOGS._replace(until=4999.0), LOGS._replace(since=5000.0), LOGS._replace(reaches=4999.0)):
        assert found(logs._replace(known=[])) == {}
    assert found(LOGS._replace(known=[], reaches=None)) == {}


def test_only_some_are_named():
    many = [Accepted(5000.0, pid, f"user{pid}") for pid in range(9)]
    assert found(LOGS._replace(accepted=many, known=[]))["login-unmatched"].endswith("user2 (pid 2) and 6 more")


def test_a_session_that_sshd_did_not_tell_of():
    assert found(LOGS._replace(accepted=[]), SESSION) == {"accepted-unmatched": "alice (pid 70)"}


OPENED = Known(5000.0, 70, "alice")


def test_a_session_that_is_over_and_that_sshd_did_not_tell_of():
    silent = LOGS._replace(accepted=[], known=[Known(5000.0, 70), OPENED, Known(5000.0, 90, "")])
    assert found(silent) == {"accepted-unmatched": "alice (pid 70)"}
    assert found(silent, SESSION) == {"accepted-unmatched": "alice (pid 70)"}
    # Another's line, or one of an hour ago by the same number, is not about it.
    assert found(silent._replace(accepted=[CAME._replace(pid=71), CAME._replace(when=1400.0)]))
    assert found(silent._replace(accepted=[CAME])) == {}


def test_a_session_that_is_over_is_judged_where_both_logs_reach():
    silent = LOGS._replace(accepted=[], known=[OPENED])
    for logs in (silent._replace(until=4999.0), silent._replace(since=5000.0), silent._replace(spoken=[4900.0])):
        assert found(logs) == {}
    assert found(silent._replace(spoken=[4800.0])) and not found(silent._replace(spoken=[]))


def test_a_container_with_a_sshd_has_a_log_of_its_own():
    silent = LOGS._replace(accepted=[], known=[OPENED])
    assert found(silent._replace(elsewhere=True)) == {}
    # Anybody can call his own program so.
    assert found(silent, SESSION._replace(pid=400, foreign=True))


def test_a_log_of_sshd_that_is_not_written_tells_nothing():
    assert found(LOGS._replace(accepted=[], spoken=[]), SESSION) == {}
    assert found(LOGS._replace(accepted=[], spoken=[5001.0, 6000.0]), SESSION) == {}


def test_a_log_of_sshd_that_is_not_written_any_more():
    assert found(LOGS._replace(accepted=[], spoken=[3000.0]), SESSION) == {"accepted-unmatched": "alice (pid 70)"}
    assert found(LOGS._replace(accepted=[], spoken=[3000.0], until=5000.0), SESSION) == {}


def test_a_login_that_two_logs_of_sshd_have_is_named_once():
    assert found(LOGS._replace(accepted=[CAME, CAME], known=[])) == {"login-unmatched": "alice (pid 70)"}


def test_messages_that_the_journal_left_out():
    assert set(found(LOGS._replace(suppressed="Suppressed 7 messages from ssh.service"))) == {"messages-suppressed"}


def test_a_log_of_sshd_that_is_too_long_to_be_read():
    verdicts = list(logins.judge(LOGS._replace(accepted=[], whole=False), {71: SESSION}))
    told = {one.check: (one.holds, one.evidence) for one in verdicts}
    assert told["login-unmatched"] == told["accepted-unmatched"] == (None, logins.TOO_MUCH)
    # What was read tells all the same.
    assert found(LOGS._replace(known=[], whole=False)) == {"login-unmatched": "alice (pid 70)"}
