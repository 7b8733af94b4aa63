"""No event of a rule that stays is lost while others change: counted in the log of a real auditd."""

import contextlib
import shutil
import subprocess
import sys
import time

import pytest
from _waiting import wait_for
from sshtrail_lib.base import kernel

KEY = "sshtrail-test-stays"
#: How often something is tried that happens by chance.
TIMES = 50
# auditd.conf(5); everything else has a default.
CONFIG = """\
log_file = {folder}/audit.log
log_group = root
log_format = RAW
flush = NONE
max_log_file = 200
max_log_file_action = IGNORE
space_left = 2
admin_space_left = 1
space_left_action = IGNORE
admin_space_left_action = IGNORE
disk_full_action = IGNORE
disk_error_action = IGNORE
plugin_dir = {folder}/plugins.d
q_depth = 20000
"""
# Executes one program again and again until it is told to stop, and says how often.
SPAWNER = """
import os, sys
program, stop, count = *sys.argv[1:], 0
while not os.path.exists(stop):
    os.waitpid(os.posix_spawn(program, [program], {}), 0)
    count += 1
print(count)
"""


@contextlib.contextmanager
def auditd(folder):
    """Run an auditd that logs into ``folder`` (pathlib.Path) until the block ends."""
    (folder / "plugins.d").mkdir(parents=True)
    (folder / "auditd.conf").write_text(CONFIG.format(folder=folder))
    (folder / "auditd.conf").chmod(0o640)
    daemon = subprocess.Popen(["auditd", "-n", "-c", str(folder)])
    try:
        wait_for(lambda: kernel.status()["pid"] == daemon.pid, "the start of auditd")
        yield
    finally:
        daemon.terminate()
        daemon.wait()


@contextlib.contextmanager
def executing(program, folder):
    """Execute ``program`` continuously; yields a list that holds the count when the block has ended."""
    counted = []
    command = [sys.executable, "-c", SPAWNER, str(program), str(folder / "stop")]
    spawner = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    try:
        yield counted
    finally:
        (folder / "stop").touch()
        counted.append(int(spawner.communicate()[0]))


def logged(folder):
    """How often the log in ``folder`` holds a record with the key, once it grows no more."""
    log, size = folder / "audit.log", -1
    while size != log.stat().st_size:
        size = log.stat().st_size
        time.sleep(0.5)
    return written(folder)


def written(folder):
    """How often the log in ``folder`` holds a record with the key now."""
    lines = (folder / "audit.log").read_text(errors="replace").splitlines()
    return sum(line.startswith("type=SYSCALL") and f'key="{KEY}"' in line for line in lines)


@pytest.fixture
def scene(tmp_path, audit):
    """A rules directory with a rule that stays, a program of its own to be executed, and an auditd that logs."""
    rules_dir, program = tmp_path / "audit" / "rules.d", tmp_path / "true"
    rules_dir.mkdir(parents=True)
    shutil.copy(shutil.which("true"), program)
    stays = f"-a always,exit -F arch=b64 -S execve -F exe={program} -F key={KEY}"
    (rules_dir / "10-stays.rules").write_text(f"-D\n-b 60000\n{stays}\n")
    with auditd(tmp_path / "log"):
        yield rules_dir, program, tmp_path / "log"
        for rule in kernel.rules():
            kernel.delete(rule)


def others(turn):
    """Rules that change with ``turn`` (int), a ``never`` that changes its place among them."""
    lines = [
        f"-a always,exit -F arch=b64 -S openat -F a2={turn % 3 + 1}{number} -F key=sshtrail-test"
        for number in range(20)
    ]
    never = "-a never,exit -F arch=b64 -S openat,execve -F auid=5"
    return "".join(f"{line}\n" for line in ([never, *lines] if turn % 2 else [*lines, never]))


def test_no_event_is_lost_while_other_rules_change(modules, scene):
    rules_dir, program, log = scene
    (rules_dir / "20-others.rules").write_text(others(0))
    modules.audit_rules.load(str(rules_dir))
    lost = kernel.status()["lost"]
    with executing(program, rules_dir) as counted:
        for turn in range(1, 5):
            (rules_dir / "20-others.rules").write_text(others(turn))
            assert modules.audit_rules.load(str(rules_dir))["kernel"]
            # Also where a slow machine gets to none while rules are loaded.
            wait_for(lambda many=25 * turn: written(log) > many, "more records")
    assert counted[0] > 100 and logged(log) == counted[0]
    assert kernel.status()["lost"] == lost


def test_augenrules_loses_events_meanwhile(modules, scene):
    """For comparison: what the distribution's own way costs, which begins with -D."""
    rules_dir, program, log = scene
    (rules_dir / "20-others.rules").write_text(others(0))
    modules.audit_rules.load(str(rules_dir))
    script = 'mount --bind "$1" /etc/audit && augenrules --load'
    executed = 0
    # Where there is one processor, nothing else may have had it in between; then another time.
    for turn in range(1, TIMES):
        with executing(program, rules_dir) as counted:
            many = written(log)
            wait_for(lambda many=many: written(log) > many, "more records")
            (rules_dir / "20-others.rules").write_text(others(turn))
            subprocess.run(
                ["unshare", "--mount", "sh", "-c", script, "sh", str(rules_dir.parent)], capture_output=True, check=True
            )
        (rules_dir / "stop").unlink()
        executed += counted[0]
        if logged(log) < executed:
            return
    pytest.fail(f"all {executed} were recorded")
