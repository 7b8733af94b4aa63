"""
What every test may ask for: the checkout, Salt's own loaders on it, and the machine's one audit subsystem.
"""

import contextlib
import logging
import os
import pathlib
import shutil
import sys
import tempfile

import pytest
import salt.config
import streams
from hypothesis import settings
from saltfactories.utils.functional import Loaders
from support import audit_subsystem, host_aside, lock_nothing, stand_behind

ROOT = pathlib.Path(__file__).resolve().parent.parent
ENDING = pytest.StashKey()
#: The variable by which ``coverage`` measures what a process starts.
MEASURING = "COVERAGE_PROCESS_CONFIG"

# A run says of the same code what the run before said; for inputs that nobody has seen: --hypothesis-profile=default
settings.register_profile("the same inputs", derandomize=True)
settings.load_profile("the same inputs")


@pytest.hookimpl(tryfirst=True)
def pytest_sessionstart(session):
    """Set the host's own configuration, auditd and rules aside, before workers start: they live in what this makes."""
    lock_nothing()
    if hasattr(session.config, "workerinput"):
        stand_behind()
    ending = session.config.stash[ENDING] = contextlib.ExitStack()
    if needs_the_host(session.config):
        directory = tempfile.TemporaryDirectory(prefix="sshtrail-host-", ignore_cleanup_errors=True)
        audited = session.config.getoption("audit") != "without"
        ending.enter_context(host_aside(pathlib.Path(ending.enter_context(directory)), audited))


def needs_the_host(config):
    """Tell whether this process is the one that sets it aside; without root nobody could touch it (bool)."""
    # What is under test in unit tests is handed all that it works on.
    units = ROOT / "tests" / "unit"
    wanted = [(config.invocation_params.dir / name.partition("::")[0]).resolve() for name in config.args]
    only_units = all(units in (path, *path.parents) for path in wanted)
    mine = not hasattr(config, "workerinput") and not config.getoption("collectonly")
    return mine and os.geteuid() == 0 and shutil.which("auditd") and not only_units


def pytest_unconfigure(config):
    config.stash.get(ENDING, contextlib.ExitStack()).close()
    # Salt's handlers hold back messages and let them go at exit, into a stream that pytest has closed by then.
    logging.raiseExceptions = False


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config, items):
    if part := config.getoption("audit"):
        config.hook.pytest_deselected(items=[item for item in items if not streams.belongs(item, part)])
        items[:] = [item for item in items if streams.belongs(item, part)]
    items.sort(key=streams.place)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config, log):
    return streams.scheduler(config, log)


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
        # A state takes the pillar that is there, as salt-call's do, in place of one that is compiled for each.
        pillar={"tests": True},
        **{"__cli": "salt-call", "sshtrail.run_dir": str(base / "run")},
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


@pytest.fixture(scope="module")
def unmeasured():
    """Have nothing measured (``coverage``) in what the tests of a module start."""
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(MEASURING, raising=False)
        yield


@pytest.fixture
def untraced(monkeypatch):
    """
    Have nothing measured in a test, in no process: one that goes through much, and nowhere where others do not go.

    To follow a program line by line takes up to four times as long as the program.
    """
    monkeypatch.delenv(MEASURING, raising=False)
    follows = sys.gettrace()
    sys.settrace(None)
    yield
    sys.settrace(follows)


def pytest_addoption(parser):
    parser.addoption("--audit", help="without: no test that needs the audit subsystem; only:N/M: the Nth M-th of those")
    parser.addoption("--none-may-skip", action="store_true", help="fail when a test was skipped: here all can run")


def pytest_sessionfinish(session, exitstatus):
    # A worker has none, and tells the one who has.
    reporter = session.config.pluginmanager.get_plugin("terminalreporter")
    strict = session.config.getoption("--none-may-skip") and exitstatus == 0
    if strict and reporter and reporter.stats.get("skipped"):
        session.exitstatus = pytest.ExitCode.TESTS_FAILED
