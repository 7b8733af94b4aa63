"""
What the functional tests share: temporary trees, the kernel as it was when a test ends, an own sshd and auditd.
"""

import contextlib
import os
import pathlib

import auditd_server
import pytest
from sshd_server import Server
from sshtrail_lib.base import kernel
from support import require_root

RULES = """\
## First rule - delete all
-D

## Increase the buffers to survive stress events.
-b 8192

## This determine how long to wait in burst of events
--backlog_wait_time 60000

## Set failure mode to syslog
-f 1

"""


@pytest.fixture
def tree(tmp_path, audit):
    """An audit directory as the distribution ships it; the kernel's rules are gone when the test ends."""
    rules_dir = tmp_path / "audit" / "rules.d"
    rules_dir.mkdir(parents=True)
    (rules_dir / "audit.rules").write_text(RULES)
    yield rules_dir
    for rule in kernel.rules():
        kernel.delete(rule)


@pytest.fixture
def separation():
    """The directory without which sshd does not start; it only exists while the service runs."""
    require_root()
    # Whoever else makes it for a moment cannot remove it while there is something in it.
    os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    kept = pathlib.Path(f"/run/sshd/sshtrail-test-{os.getpid()}")
    kept.touch()
    yield
    kept.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        os.rmdir("/run/sshd")


@pytest.fixture
def server(separation, tmp_path):
    """A Server that is not started yet."""
    one = Server(tmp_path)
    one.write()
    yield one
    one.stop()


@pytest.fixture
def conf(tmp_path):
    """The path (str) of a configuration file for auditd in a directory of its own, without a daemon."""
    require_root()
    return auditd_server.configured(tmp_path)


@pytest.fixture
def auditd(conf, audit):
    """The same file with a real auditd, which works with it and is the kernel's audit daemon."""
    with auditd_server.started(conf):
        yield conf
