"""
coverage.opened: who has opened the audit log to write in it, and is no auditd.
"""

import platform

import pytest
from sshtrail_lib.coverage import logs, opened
from sshtrail_lib.policy import pillar as policy_pillar

CALL = "type=SYSCALL msg=audit({}.000:7): arch={} syscall={} success={} exit=3 pid=9 auid=0 "
CALL += 'exe="{}" key="{}"\ntype=PATH msg=audit({}.000:7): item=0 name="{}" inode={} dev=fe:00\n'
ARCH, OPENAT, CHMOD = {"x86_64": ("c000003e", 257, 268), "aarch64": ("c00000b7", 56, 53)}.get(
    platform.machine(), ("0", "openat", "fchmodat")
)
#: When, which system call, whether it went well, the program, the rule's key, and which file.
GOOD = (120, OPENAT, "yes", "/usr/bin/python3.11", "audit_logs", "/var/log/audit/audit.log", 42)
EVENTS = {
    "written over": (GOOD, True),
    "by way of auditd's own handle": ((*GOOD[:5], "/proc/700/fd/5", 42), True),
    "the one of before, which was rotated": ((*GOOD[:6], 41), True),
    "a program that is called so": ((*GOOD[:3], "/tmp/auditd", *GOOD[4:]), True),
    "auditd": ((*GOOD[:3], "/usr/sbin/auditd", *GOOD[4:]), False),
    "before the last look": ((90, *GOOD[1:]), False),
    "in vain": ((120, OPENAT, "no", *GOOD[3:]), False),
    "a mode": ((120, CHMOD, *GOOD[2:]), False),
    "another file beside it": ((*GOOD[:5], "/var/log/audit/audit.log.7.gz", 77), False),
    "a reader": ((*GOOD[:4], "audit_access", *GOOD[5:]), False),
}


@pytest.mark.parametrize("event,known", EVENTS.values(), ids=EVENTS)
def test_who_opened_it(tmp_path, event, known):
    when, call, success, exe, key, name, inode = event
    log = tmp_path / "audit.log"
    rule = f"-a always,exit -F dir={tmp_path} -F perm=wa -F key=audit_logs"
    reads = f"-a always,exit -F dir={tmp_path} -F perm=r -F key=audit_access"
    own = {"environment": "x", "rules": {"groups": {"mine": {"title": "x", "rules": [rule, reads]}}}}
    log.write_text(CALL.format(when, ARCH, call, success, exe, key, when, name, inode))
    policy = policy_pillar.build({"sshtrail": own}, "Debian")
    told = opened.by_others(policy, logs.End(str(log), 100.0), {42, 41})
    expected = f"{exe} of login id 0 opened {log} at 1970-01-01T00:02:00"
    assert [one.startswith(expected) for one in told] == [True] * known
    # Nobody watches it.
    none = policy_pillar.build({"sshtrail": {"environment": "x", "rules": {"groups": {"session": True}}}}, "Debian")
    assert opened.by_others(none, logs.End(str(log), 100.0), {42, 41}) == []
