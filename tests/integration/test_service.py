"""
sshtrail_service on a host without systemd: a service of our own in a sandbox.
"""

import pathlib

import pytest
from sandbox import Machine, have
from support import require_root

NAME = "sshtrail-test"
SCRIPT = """#!/bin/sh
### BEGIN INIT INFO
# Provides: sshtrail-test
# Required-Start:
# Required-Stop:
# Default-Start: 2 3 4 5
# Default-Stop: 0 1 6
### END INIT INFO
case $1 in
start) [ ! -e /run/refuses ] || { echo "it refuses" >&2; exit 1; }; touch /run/started ;;
restart) echo again >>/run/started ;;
status) [ -e /run/started ] ;;
esac
"""


@pytest.fixture
def call(root, tmp_path):
    """Run a function of Salt in a sandbox that has the service: ``call(FUNCTION, …)``."""
    require_root()
    if pathlib.Path("/run/systemd/system").exists() or not have("update-rc.d"):
        pytest.skip("needs a Debian that did not boot with systemd: its init scripts are what this tests")
    machine = Machine(tmp_path, root)

    def run(*args):
        return machine.call(*args)

    run.sandbox = machine
    run.state = lambda *args: next(
        iter(run("state.single", "sshtrail_service.running", f"name={NAME}", *args).values())
    )
    yield run
    machine.close()


def test_a_service_is_started_and_enabled(call):
    missing = call.state("test=True")
    assert missing["result"] is None
    assert call.state()["result"] is False
    (call.sandbox.inside("/etc/init.d") / NAME).write_text(SCRIPT)
    (call.sandbox.inside("/etc/init.d") / NAME).chmod(0o755)
    preview, real, again = call.state("test=True"), call.state(), call.state()
    assert (preview["result"], real["result"], again["result"]) == (None, True, True)
    both = {"running": {"old": False, "new": True}, "enabled": {"old": False, "new": True}}
    assert preview["changes"] == real["changes"] == missing["changes"] == both
    assert again["changes"] == {}


def test_a_service_that_does_not_start_says_why(call):
    (call.sandbox.inside("/etc/init.d") / NAME).write_text(SCRIPT)
    (call.sandbox.inside("/etc/init.d") / NAME).chmod(0o755)
    (call.sandbox.inside("/run") / "refuses").touch()
    failed = call.state()
    assert failed["result"] is False
    assert "it refuses" in failed["comment"]


SLS = """
/run/watched:
  file.managed:
    - contents: {contents}
{name}:
  sshtrail_service.running:
    - watch:
      - file: /run/watched
"""


def test_watch_restarts_it(call, tmp_path):
    """By Salt's own requisite."""
    (call.sandbox.inside("/etc/init.d") / NAME).write_text(SCRIPT)
    (call.sandbox.inside("/etc/init.d") / NAME).chmod(0o755)
    assert call.state()["result"] is True
    for contents, again in (("one", 1), ("one", 1), ("two", 2)):
        call.sandbox.inside("/run/watch.sls").write_text(SLS.format(contents=contents, name=NAME))
        states = call("state.template", "/run/watch.sls")
        assert all(one["result"] for one in states.values()), states
        assert (call.sandbox.inside("/run/started")).read_text().count("again") == again
