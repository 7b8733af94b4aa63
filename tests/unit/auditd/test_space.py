"""
auditd.space: when auditd would go on writing, what its report says, and how many events are not in the log.
"""

import pytest
from sshtrail_lib.auditd import space
from sshtrail_lib.auditd.space import MIB, Volume
from sshtrail_lib.trail import audit_log

POLICY = (
    b"space_left = 25%\nspace_left_action = syslog\nadmin_space_left = 10%\nadmin_space_left_action = SUSPEND\n"
    b"disk_full_action = suspend\nmax_log_file = 50\nmax_log_file_action = keep_logs\n"
)
GROWN = POLICY.replace(b"keep_logs", b"suspend")
EXEC = b"space_left = 3\nspace_left_action = exec /bin/x\n"
# As auditd 3.0.9 and 4.2.1 write it.
REPORTS = [
    ("writing to logs = yes\nlogging suspended = yes\n", True),
    ("space left on partition = yes\nlogging suspended = no\ndisk error detected = no\n", False),
    ("writing to logs = no\nNumber of active plugins = 0\n", False),
    ("audit version = 3.0.9\nwriting to logs = yes\nlogging susp", None),
    ("", None),
]


@pytest.mark.parametrize("report,expected", REPORTS)
def test_what_auditd_reports(report, expected):
    assert space.reported(report) is expected


@pytest.mark.parametrize(
    "conf,free,size,expected",
    [
        (POLICY, 11 * MIB, 0, True),
        (POLICY, 10 * MIB, 0, False),
        (POLICY, 0, 0, False),
        (b"", 5 * 4096, 0, False),
        (b"", 6 * 4096, 0, True),
        (EXEC, 3 * MIB, 0, False),
        (EXEC, 4 * MIB, 0, True),
        (GROWN, 90 * MIB, 49 * MIB, True),
        (GROWN, 90 * MIB, 50 * MIB, False),
        (POLICY, 90 * MIB, 90 * MIB, True),
    ],
)
def test_there_is_room_above_the_levels_at_which_auditd_stops(conf, free, size, expected):
    assert space.room(conf, Volume(100 * MIB, free, 4096), size) is expected


def records(*lines):
    return list(
        audit_log.records(
            f"type={kind} msg=audit({seconds}.0:{serial}): x=1".encode() for kind, seconds, serial in lines
        )
    )


def test_the_newest_record_is_the_kernels():
    found = records(("USER", 5, 9), ("SYSCALL", 5, 11), ("EXECVE", 5, 10), ("DAEMON_END", 9, 9000))
    assert space.last(found).serial == 11
    assert space.last([]) is None


@pytest.mark.parametrize(
    "lines,whole,expected",
    [
        ([("USER", 5, 9), ("DAEMON_RESUME", 8, 12), ("USER", 9, 20)], False, 10),
        ([("USER", 5, 9), ("USER", 9, 10)], False, 0),
        # The log was moved away: all of the new one is there.
        ([("DAEMON_RESUME", 8, 12), ("USER", 9, 20)], True, 10),
        # Its end does not go back to then.
        ([("USER", 9, 20)], False, None),
        ([("USER", 5, 9)], True, None),
    ],
)
def test_the_events_between_are_counted_by_their_numbers(lines, whole, expected):
    assert space.missing(records(*lines), 9, whole) == expected


def test_the_sentences():
    found = {"pid": 7, "log": "/l", "since": "T", "free": MIB, "needs": 2 * MIB, "room": False}
    assert space.suspended(found) == (
        "auditd (pid 7) has suspended /l since T and records nothing; 1.0 MiB are free, and more than 2.0 MiB are "
        "needed: make room."
    )
    assert space.suspended({**found, "room": True, "since": None}) == (
        "auditd (pid 7) has suspended /l and records nothing; there is room again."
    )
    assert (
        space.resumed("T", 7) == "auditd writes its log again; it had recorded nothing since T, and 7 events were lost."
    )
    assert "an unknown number of events" in space.resumed(None, None)
