"""
What every test may ask for: the checkout, Salt's own loaders on it, and the machine's one audit subsystem.
"""

import logging
import os
import pathlib
import shutil

import pytest
import salt.config
from saltfactories.utils.functional import Loaders
from support import audit_subsystem, host_aside, require_root  # noqa: F401 - tests import require_root from here too

ROOT = pathlib.Path(__file__).resolve().parent.parent


@pytest.fixture(scope="session", autouse=True)
def host_set_aside(request, tmp_path_factory):
    """Set the host's own configuration, auditd and rules aside; without root nothing could touch them."""
    # What is under test in unit tests is handed all that it works on.
    only_units = all(ROOT / "tests" / "unit" in item.path.parents for item in request.session.items)
    if os.geteuid() != 0 or not shutil.which("auditd") or only_units:
        yield
        return
    with host_aside(tmp_path_factory.mktemp("host")):
        yield


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


@pytest.fixture
def audit():
    """The machine's audit subsystem, for this test alone; see :func:`support.audit_subsystem`."""
    with audit_subsystem():
        yield


def pytest_addoption(parser):
    parser.addoption("--none-may-skip", action="store_true", help="fail when a test was skipped: here all can run")


def pytest_unconfigure():
    # Salt's handlers hold back messages and let them go at exit, into a stream that pytest has closed by then.
    logging.raiseExceptions = False


def pytest_sessionfinish(session, exitstatus):
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    if session.config.getoption("--none-may-skip") and exitstatus == 0 and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
