"""
What every test may ask for: the checkout, Salt's own loaders on it, and the machine's one audit subsystem.
"""

import contextlib
import fcntl
import os
import pathlib
import subprocess
import sys

import pytest
import salt.config
from saltfactories.utils.functional import Loaders

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "_utils"))

# One kernel, one audit subsystem: whoever touches it holds this lock, whichever checkout the tests run from.
AUDIT_LOCK = "/tmp/sshtrail-audit-subsystem.lock"


@pytest.fixture(scope="session")
def root():
    """The checkout (pathlib.Path)."""
    return ROOT


@pytest.fixture(scope="session")
def minion_opts(tmp_path_factory):
    """Options of a masterless minion that serves this checkout and keeps everything else to itself."""
    base = tmp_path_factory.mktemp("minion")
    opts = salt.config.minion_config(None)
    opts.update(
        root_dir=str(base),
        cachedir=str(base / "cache"),
        file_client="local",
        file_roots={"base": [str(base / "states")]},
        pillar_roots={"base": [str(base / "pillar")]},
        module_dirs=[str(ROOT)],
        id="test-minion",
        **{"sshtrail.run_dir": str(base / "run")},
    )
    return opts


@pytest.fixture(scope="session")
def loaders(minion_opts):
    """Salt's own loaders: ``loaders.modules.NAME.FUNCTION(...)``, ``loaders.states.NAME.FUNCTION(...)``."""
    return Loaders(minion_opts)


@pytest.fixture
def modules(loaders):
    """The execution modules, as ``__salt__`` has them."""
    return loaders.modules


@pytest.fixture
def states(loaders):
    """The states; call one with ``test=True`` for test mode."""
    return loaders.states


def require_root():
    """Skip unless this is root: real daemons and the kernel's audit subsystem need it."""
    if os.geteuid() != 0:
        pytest.skip("needs root: it starts real daemons or changes the kernel's audit rules")


@contextlib.contextmanager
def holding(path):
    """Hold an exclusive lock on the file at ``path``."""
    with open(path, "a+", encoding="ascii") as handle:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield


@pytest.fixture
def audit():
    """
    The machine's audit subsystem, for this test alone; as it was when the test ends.

    The test must delete its own rules; this fixture fails when one is left, and restores the status.
    """
    require_root()
    with holding(AUDIT_LOCK):
        before, status = _auditctl("-l"), _status()
        yield
        now = _status()
        for key, option in (("backlog_limit", "-b"), ("failure", "-f"), ("rate_limit", "-r"), ("enabled", "-e")):
            if now[key] != status[key]:
                _auditctl(option, status[key])
        if now["backlog_wait_time"] != status["backlog_wait_time"]:
            _auditctl("--backlog_wait_time", status["backlog_wait_time"])
        assert _auditctl("-l") == before, "the test left audit rules in the kernel"


def _auditctl(*args):
    return subprocess.run(["auditctl", *args], capture_output=True, text=True, check=True).stdout


def _status():
    return dict(line.split(maxsplit=1) for line in _auditctl("-s").splitlines() if " " in line)
