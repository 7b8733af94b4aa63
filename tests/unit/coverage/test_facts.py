"""
coverage.facts: what processes, files and the kernel's command line tell.
"""

import os
import sys
import time

import pytest
from sshtrail_lib.coverage import facts

BOOT = {
    b"quiet": "",
    b"audit=1 quiet": "",
    b"quiet audit=0": "audit=0",
    b"audit=off": "audit=off",
    b"audit=0 audit=1": "",
    b"audit=1 audit=0\n": "audit=0",
    b"noaudit=0 audit_backlog_limit=8192": "",
}


@pytest.mark.parametrize("line,told", BOOT.items())
def test_the_command_line_of_the_kernel(monkeypatch, line, told):
    monkeypatch.setattr(facts.files, "read", lambda path: line)
    assert facts.boot() == told


def test_what_a_process_has_open_for_writing(tmp_path):
    path = tmp_path / "log"
    with open(path, "a"), open(__file__):
        found = {one.path: one for one in facts.writing(os.getpid())}
        assert str(path) in found and __file__ not in found
        os.unlink(path)
        found = {one.path: one for one in facts.writing(os.getpid())}
        assert found[f"{path} (deleted)"].links == 0


def test_python_is_not_auditd():
    found = facts.auditd(os.getpid(), "/etc/audit/auditd.conf")
    assert not found.genuine and os.path.realpath(sys.executable) == found.program
    assert facts.auditd(0, "/etc/audit/auditd.conf") is None


@pytest.mark.parametrize("line", [b"write_logs = no\n", b"log_format = NOLOG\n"])
def test_a_configuration_that_writes_no_log(tmp_path, line):
    conf = tmp_path / "auditd.conf"
    conf.write_bytes(b"log_file = %s/audit.log\n%s" % (os.fsencode(tmp_path), line))
    log = facts.log(str(conf))
    assert log.off == f"{conf} line 2: {line.decode().strip()}" and log.path == f"{tmp_path}/audit.log"
    conf.write_bytes(b"log_file = %s/audit.log\n" % os.fsencode(tmp_path))
    assert facts.log(str(conf)).off == ""


def test_since_when_the_kernel_audits(monkeypatch, tmp_path):
    log, now = tmp_path / "audit.log", int(time.time())
    line = (
        "type=CONFIG_CHANGE msg=audit(%d.000:2): op=set audit_enabled=1 old=%d auid=4294967295 ses=4294967295 res=1\n"
    )
    assert facts.since(str(log)) is None
    log.write_text(line % (5, 0) + line % (now, 0) + line % (now + 5, 1))
    assert facts.since(str(log)) == now
    log.write_text(line % (now, 1))
    assert facts.since(str(log)) is None
    monkeypatch.setattr(facts.files, "read", lambda path: b"quiet audit=1")
    assert facts.since(str(log)) == 0
