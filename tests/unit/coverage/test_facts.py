"""
coverage.facts: what processes, files and the kernel's command line tell.
"""

import bz2
import gzip
import lzma
import math
import os
import pathlib
import subprocess
import sys
import time

import pytest
from sshtrail_lib.coverage import facts, pulse
from sshtrail_lib.pam import session

BOOT = {
    b"quiet": "",
    b"audit=1 quiet": "",
    b"quiet audit=0": "audit=0",
    b"audit=off": "audit=off",
    b"audit=OFF": "audit=OFF",
    b"audit=0 audit=1": "",
    b"audit=off audit=On": "",
    b"audit=1 audit=0\n": "audit=0",
    b"noaudit=0 audit_backlog_limit=8192": "",
}


@pytest.mark.parametrize(
    "built,line,takes",
    [
        (b"\nCONFIG_X86_X32_ABI=y\n", b"quiet", "x32"),
        (b"\nCONFIG_X86_X32=y\n# CONFIG_X86_X32_DISABLED is not set\n", b"", "x32"),
        (b"\nCONFIG_X86_X32=y\nCONFIG_X86_X32_DISABLED=y\n", b"quiet", ""),
        (b"\nCONFIG_X86_X32=y\nCONFIG_X86_X32_DISABLED=y\n", b"syscall.x32=y", "x32"),
        (b"\nCONFIG_X86_X32=y\nCONFIG_X86_X32_DISABLED=y\n", b"syscall.x32=y syscall.x32=n", ""),
        (b"\nCONFIG_X86_X32=y\n", b"syscall.x32=off", ""),
        (b"\n# CONFIG_X86_X32_ABI is not set\n", b"syscall.x32=y", ""),
        (b"", b"", ""),
    ],
)
def test_system_calls_that_no_rule_can_match(monkeypatch, built, line, takes):
    known = {"/proc/cmdline": line, f"/boot/config-{os.uname().release}": built}
    monkeypatch.setattr(facts.files, "read", known.get)
    monkeypatch.setattr(facts, "_config", bytes)
    assert facts.unmatched() == takes


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


def test_a_log_that_was_rotated_is_kept(tmp_path):
    log = tmp_path / "audit.log"
    log.write_bytes(b"type=A\n")
    was = pulse.extent(str(log))
    assert not facts.kept(str(log), was, 0.0)
    (tmp_path / "old").mkdir()
    log.rename(tmp_path / "old" / "audit.log-1")
    log.write_bytes(b"type=B\n")
    assert facts.kept(str(log), was, time.time() + 60)
    (tmp_path / "old" / "audit.log-1").unlink()
    assert not facts.kept(str(log), was, 0.0)
    assert not facts.kept(str(log), (), 0.0)


@pytest.mark.parametrize(
    "name,content,kept",
    [
        ("audit.log.1", b"type=A\ntype=A\n", True),
        ("audit.log-20260101", b"type=A\n", True),
        ("audit.log.1.gz", gzip.compress(b"type=A\ntype=A\n", mtime=0), True),
        ("audit.log.1.xz", lzma.compress(b"type=A\n"), True),
        ("audit.log.1.bz2", bz2.compress(b"type=A\n"), True),
        ("audit.log.1.zst", b"x", True),
        # Whoever wants it to look like a copy.
        ("audit.log.1", b"", False),
        ("audit.log.1", b"type=B\ntype=B\n", False),
        ("audit.log.1", b"type=A", False),
        ("audit.log.1.gz", b"", False),
        ("audit.log.1.gz", b"x", False),
        ("audit.log.1.gz", gzip.compress(b"type=B\n", mtime=0), False),
        ("audit.log.1.xz", b"type=A\n", False),
        ("audit.log.1.bz2", bz2.compress(b"type=A\n")[:20], False),
        ("other.log.1", b"type=A\n", False),
    ],
)
def test_a_log_that_logrotate_copied(tmp_path, name, content, kept):
    log = tmp_path / "audit.log"
    log.write_bytes(b"type=A\n")
    was = pulse.extent(str(log))
    log.write_bytes(b"")
    (tmp_path / name).write_bytes(content)
    assert facts.kept(str(log), was, time.time() - 60) == kept
    assert not facts.kept(str(log), was, time.time() + 60)


def test_an_audit_daemon_that_has_ended():
    child = subprocess.Popen([sys.executable, "-c", ""])
    try:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert facts.auditd(child.pid, "/etc/audit/auditd.conf") is None
    finally:
        child.wait()
    assert facts.auditd(child.pid, "/etc/audit/auditd.conf") is None


@pytest.mark.parametrize("line", [b"write_logs = no\n", b"log_format = NOLOG\n"])
def test_a_configuration_that_writes_no_log(tmp_path, line):
    conf = tmp_path / "auditd.conf"
    conf.write_bytes(b"log_file = %s/audit.log\n%s" % (os.fsencode(tmp_path), line))
    log = facts.log(str(conf))
    assert log.off == f"{conf} line 2: {line.decode().strip()}" and log.path == f"{tmp_path}/audit.log"
    conf.write_bytes(b"log_file = %s/audit.log\n" % os.fsencode(tmp_path))
    assert facts.log(str(conf)).off == ""


ROTATED = b"max_log_file_action = ROTATE\nnum_logs = 5\n"


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"max_log_file = 0\n" + ROTATED, " line 1: max_log_file = 0, and auditd rotates among 5 logs"),
        (ROTATED, " has no max_log_file, and auditd rotates among 5 logs"),
        (b"max_log_file = 1\n" + ROTATED, ""),
        (ROTATED + b"num_logs = 1\n", ""),
        (ROTATED + b"max_log_file_action = keep_logs\n", ""),
        (b"num_logs = 5\n", ""),
    ],
)
def test_a_configuration_that_keeps_the_last_few_records_only(tmp_path, data, told):
    conf = tmp_path / "auditd.conf"
    conf.write_bytes(data)
    assert facts.log(str(conf)).brief == (told and f"{conf}{told}")


@pytest.mark.parametrize("node", ["", "node=host.example "])
def test_since_when_the_kernel_audits(monkeypatch, tmp_path, node):
    log, now = tmp_path / "audit.log", int(time.time())
    line = node + (
        "type=CONFIG_CHANGE msg=audit(%d.000:2): op=set audit_enabled=1 old=%d auid=4294967295 ses=4294967295 res=1\n"
    )
    assert facts.since(str(log)) is None
    log.write_text(line % (5, 0) + line % (now, 0) + line % (now + 5, 1))
    assert facts.since(str(log)) == now
    assert facts.audits(str(log)) == now
    log.write_text(line % (now, 1))
    assert facts.since(str(log)) is None
    log.write_text(f"{node}type=DAEMON_START msg=audit({now}.000:1): op=start res=success\n")
    assert facts.audits(str(log)) == math.inf
    monkeypatch.setattr(facts.files, "read", lambda path: b"quiet audit=1")
    assert facts.since(str(log)) == 0


@pytest.mark.parametrize("value,told", [("/tmp/x.so", "LD_AUDIT=/tmp/x.so"), ("", "")])
def test_a_library_that_was_put_into_a_program(value, told):
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.DEVNULL, "bufsize": 0}
    with subprocess.Popen(["cat"], **pipes, env={"PATH": os.environ["PATH"], "LD_AUDIT": value}) as one:
        one.stdin.write(b"x")
        assert one.stdout.read(1) == b"x"
        assert facts._loads(one.pid) == told
        one.stdin.close()
    assert facts._loads(one.pid) == ""


def test_what_may_let_somebody_in(tmp_path, monkeypatch):
    for path in ("/usr/sbin/sshd", "/usr/sbin/sshd (deleted)", "/usr/bin/su", ""):
        assert facts.lets_in(path), path
    # What is gone, Salt's interpreter, and what anybody has laid somewhere.
    for path in ("/bin/sh", "/usr/bin/tee", str(tmp_path / "none"), "/usr/bin/none", sys.executable):
        assert not facts.lets_in(path), path
    other = tmp_path / "other"
    other.write_bytes(b"\0libpam.so.0\0")
    assert not facts.lets_in(str(other))
    monkeypatch.setattr(facts, "INSTALLED", (str(tmp_path),))
    other.chmod(0o755)
    assert facts.lets_in(str(other))
    other.chmod(0o775)
    assert not facts.lets_in(str(other))


@pytest.mark.parametrize(
    "program,words,own",
    [
        ("", "python3 {0} x 1", True),
        ("", "python3 -I {0} x 1", True),
        ("", "python3 -I {1} x 1", True),
        ("", "python3 -c 1", False),
        ("", "python3", False),
        ("", "python3 {2}", False),
        ("/bin/sh", "python3 {0}", False),
    ],
)
def test_a_program_of_our_own(tmp_path, program, words, own):
    copy, other = tmp_path / "session.py", tmp_path / "x" / "session.py"
    other.parent.mkdir()
    copy.write_bytes(pathlib.Path(session.__file__).read_bytes())
    other.write_text("import os")
    given = words.format(session.__file__, copy, other).split()
    assert facts.is_our_own(program or os.path.realpath(sys.executable), given, session.__file__) == own
