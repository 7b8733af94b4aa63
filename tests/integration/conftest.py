"""
The sites that tests share: to start a master and three minions costs half a minute of a processor.
"""

import contextlib

import loop
import pytest
from support import require_root

RUNNING = {}


def running(name, started, **options):
    """Return the site ``name``; if it does not run, the context manager ``started`` starts it with ``options``."""
    require_root()
    if name not in RUNNING:
        stack = contextlib.ExitStack()
        RUNNING[name] = (stack.enter_context(started(**options)), stack)
    return RUNNING[name][0]


@pytest.fixture(scope="module", autouse=True)
def quick(unmeasured):
    """Measure nothing that these tests start: it makes each of Salt's commands half as slow again."""


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(nextitem):
    """End a site as soon as the next test does not ask for it: it computes, and may hold the audit subsystem."""
    wanted = nextitem.fixturenames if nextitem else ()
    for name in [name for name in RUNNING if name not in wanted]:
        RUNNING.pop(name)[1].close()


@pytest.fixture(scope="module")
def audited_site():
    """A site of which one host has the kernel's audit subsystem, as it was started; it has no loop."""
    return running("audited_site", loop.started, audited=True, interval=0)


@pytest.fixture(scope="module")
def shared_site():
    """A site without audit, which each file leaves as it likes: ask for :func:`site` or :func:`quiet_site`."""
    return running("shared_site", loop.unaudited_site)


@pytest.fixture(scope="module")
def site(shared_site):
    """The shared site with its loop, every host in its policy, no claim, nothing repaired, and no event to come."""
    return loop.anew(shared_site)


@pytest.fixture(scope="module")
def quiet_site(shared_site):
    """The shared site without its loop and every host in its policy: nobody looks for drift, and nobody repairs it."""
    with loop.pulse(shared_site, 0) as found:
        yield found
