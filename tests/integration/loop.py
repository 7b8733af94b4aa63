"""
The loop of drift and repair on a real master and three minions, as ``bin/demo`` has them, with a quick pulse.
"""

import contextlib
import pathlib
import sys
import tempfile

from _site import Site

#: Seconds between two looks: a minion's schedule counts in whole ones.
INTERVAL = 2


@contextlib.contextmanager
def site(audited):
    """
    Give a :class:`_site.Site` whose hosts have had their highstate.

    audited
        Whether one of them has the kernel's audit subsystem (bool): whoever asks for it holds its lock.
    """
    with contextlib.ExitStack() as stack:
        base = stack.enter_context(tempfile.TemporaryDirectory(prefix="sshtrail-", ignore_cleanup_errors=True))
        commands = pathlib.Path(sys.executable).parent
        found = Site(stack, pathlib.Path(base), commands, audited, drift={"interval": INTERVAL, "splay": 0})
        found.start()
        for name, states in found.answers("state.highstate").items():
            assert isinstance(states, dict), (name, states)
            assert all(state["result"] for state in states.values()), (name, states)
        yield found
