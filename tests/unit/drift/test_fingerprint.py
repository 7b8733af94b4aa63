"""
drift.fingerprint: whatever changes on a host ends the steady state, and nothing else does.
"""

import os
import pathlib
import socket
import time

import pytest
from sshtrail_lib.base import store
from sshtrail_lib.drift import fingerprint

PILLAR = {"sshtrail": {"environment": "prod"}}
LOOK = {"differences": [], "environment": "prod"}


@pytest.fixture
def host(tmp_path):
    """A directory of files that were looked at long enough ago; ``host.look()`` keeps a look at them."""

    class Host:
        etc, cache = tmp_path / "etc", str(tmp_path / "cache")
        pidfile = str(tmp_path / "daemon.pid")
        endpoints = []

        def look(self, back=10, **more):
            (tmp_path / "daemon.pid").write_text(str(os.getpid()))
            paths = [str(self.etc), *map(str, sorted(self.etc.iterdir())), str(self.etc / "missing")]
            name = pathlib.Path("/proc/self/comm").read_text().strip()
            seen = fingerprint.take(paths, {self.pidfile: name}, self.endpoints, False)
            # The files are as old as the test; the look came later.
            seen["time"] += back * 10**9 if back else 0
            fingerprint.keep(self.cache, seen, PILLAR, {**LOOK, **more})

        def steady(self, monkeypatch, later=20, pillar=None):
            now = time.time_ns() + later * 10**9
            monkeypatch.setattr(fingerprint.time, "time_ns", lambda: now)
            return fingerprint.steady(self.cache, pillar or PILLAR)

    (tmp_path / "etc").mkdir()
    for name in ("config", "other"):
        (tmp_path / "etc" / name).write_text("LogLevel VERBOSE\n")
    (tmp_path / "etc" / "link").symlink_to("config")
    return Host()


def test_nothing_changed(host, monkeypatch):
    host.look()
    assert host.steady(monkeypatch) == LOOK


def test_what_was_found_of_the_trail_is_gone(host, monkeypatch):
    store.save(fingerprint.looks.path(host.cache), {"rows": []})
    host.look()
    assert host.steady(monkeypatch) == LOOK
    store.forget(fingerprint.looks.path(host.cache))
    assert host.steady(monkeypatch) is None


def in_place(etc):
    with open(etc / "config", "r+") as handle:
        handle.write("LogLevel QUIET  \n")


def in_place_with_the_old_time(etc):
    before = os.stat(etc / "config")
    in_place(etc)
    os.utime(etc / "config", ns=(before.st_atime_ns, before.st_mtime_ns))


def replaced(etc):
    (etc / "new").write_text("LogLevel VERBOSE\n")
    os.replace(etc / "new", etc / "config")


def relinked(etc):
    (etc / "new").symlink_to("other")
    os.replace(etc / "new", etc / "link")


CHANGES = {
    "written in place, same size": in_place,
    "written in place, time set back": in_place_with_the_old_time,
    "replaced by the same": replaced,
    "touched": lambda etc: os.utime(etc / "config"),
    "mode": lambda etc: (etc / "config").chmod(0o600),
    "removed": lambda etc: (etc / "config").unlink(),
    "a new file": lambda etc: (etc / "50-new.conf").touch(),
    "what was missing is there": lambda etc: (etc / "missing").touch(),
    "a link to another file": relinked,
    "a directory in place of a file": lambda etc: [(etc / "other").unlink(), (etc / "other").mkdir()],
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_a_change_ends_it(host, monkeypatch, change):
    host.look()
    change(host.etc)
    assert host.steady(monkeypatch) is None


def test_another_process_ends_it(host, monkeypatch, tmp_path):
    host.look()
    (tmp_path / "daemon.pid").write_text("1")
    assert host.steady(monkeypatch) is None


def test_a_socket_that_closes_ends_it(host, monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as server:
        host.endpoints = [f"127.0.0.1:{server.getsockname()[1]}"]
        host.look()
        assert host.steady(monkeypatch) == LOOK
    assert host.steady(monkeypatch) is None


def test_another_policy_ends_it(host, monkeypatch):
    host.look()
    assert host.steady(monkeypatch, pillar={"sshtrail": {"environment": "dev"}}) is None
    assert host.steady(monkeypatch, pillar={**PILLAR, "_errors": ["x"]}) is None


def test_it_ends_by_itself(host, monkeypatch):
    host.look()
    assert host.steady(monkeypatch, later=fingerprint.OLDEST) == LOOK
    assert host.steady(monkeypatch, later=fingerprint.OLDEST + 20) is None


def test_a_clock_that_goes_back_ends_it(host, monkeypatch):
    host.look()
    assert host.steady(monkeypatch, later=-100) is None


def test_a_file_that_changed_just_before_the_look_is_looked_at_again(host, monkeypatch):
    """It may have changed once more in the same tick of the clock, which its times would not show."""
    (host.etc / "config").write_text("LogLevel INFO\n")
    host.look(back=0)
    assert host.steady(monkeypatch) is None


def test_what_somebody_else_could_have_written_is_not_believed(host, monkeypatch):
    host.look()
    os.chmod(os.path.join(host.cache, "sshtrail", "look.json"), 0o666)
    assert host.steady(monkeypatch) is None


@pytest.mark.parametrize("value", [None, [], {}, {"format": 1}, {"format": 1, "policy": "x", "seen": 1, "look": {}}])
def test_broken_memory_is_none(host, value):
    store.save(os.path.join(host.cache, "sshtrail", "look.json"), value)
    assert fingerprint.steady(host.cache, PILLAR) is None


def test_when_nothing_differed_for_the_last_time(host):
    assert fingerprint.last_clean(host.cache) == 0
    host.look()
    clean = fingerprint.last_clean(host.cache)
    assert clean == pytest.approx(time.time() + 10, abs=600)
    host.look(back=20, differences=["x"])
    assert fingerprint.last_clean(host.cache) == clean
