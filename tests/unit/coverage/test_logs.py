"""
coverage.logs: what the ends of the two logs tell.
"""

import pytest
from sshtrail_lib.coverage import logs
from sshtrail_lib.trail import audit_log

CHANGE = "type=CONFIG_CHANGE msg=audit(20.005:7): auid=1001 ses=3 op=add_rule key=(null) list=4 res=1"
CALL = 'type=SYSCALL msg=audit(20.005:7): arch=c000003e syscall=44 success=yes exe="/usr/sbin/auditctl"'
TITLE = "type=PROCTITLE msg=audit(20.005:7): proctitle=617564697463746C002D41006E657665722C65786974"
OTHER = "type=SYSCALL msg=audit(20.005:17): arch=c000003e syscall=44 success=yes"


@pytest.mark.parametrize(
    "lines,title",
    [
        ((CHANGE, CALL, TITLE), "auditctl -A never,exit"),
        ((CHANGE, CALL), ""),
        ((CHANGE, OTHER, TITLE), None),
        ((CHANGE,), None),
        ((), None),
    ],
)
def test_the_command_line_that_a_record_came_of(tmp_path, lines, title):
    log = tmp_path / "audit.log"
    log.write_text("".join(f"{line}\n" for line in lines))
    assert logs.title(logs.end(str(log)), audit_log.record(CHANGE.encode())) == title


def test_what_a_log_lacks(tmp_path):
    log = tmp_path / "audit.log"
    log.write_text(f"{CHANGE}\n")
    assert logs.without(logs.end(str(log)), [b"audit(20.005:7)", b"audit(20.005:8)"]) == [b"audit(20.005:8)"]
