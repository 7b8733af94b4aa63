"""
A change of auditd.conf that is killed at any step, or made beside another one, leaves a whole file, and loses nothing.
"""

import functools
import itertools
import os
import pathlib

import pytest
from auditd_server import running
from killing import at_once, killed_at

# SSHTRAIL_KILL_EVERY=1 kills at every step (some minutes); the default is a sample.
STRIDE = int(os.environ.get("SSHTRAIL_KILL_EVERY", "11"))
OLD, NEW = {"max_log_file": 8, "freq": 50}, {"max_log_file": 9, "freq": 60}


def _killed(modules, path, first, scratch, after):
    """Kill a change from OLD to NEW at each STRIDE-th step from ``first`` (int); return how often (int)."""
    file, step, kills = pathlib.Path(path), first, 0

    def change():
        modules.auditd_conf.set(config=NEW, path=path)

    old = file.read_bytes()
    change()
    new = file.read_bytes()
    while True:
        modules.auditd_conf.set(config=OLD, path=path)
        assert file.read_bytes() == old, step
        if not killed_at(step, change, scratch):
            return kills
        kills += 1
        assert file.read_bytes() in (old, new), step
        # Whoever comes next reads either file as a whole, and completes the change.
        values = {name: modules.auditd_conf.get(name, path=path)["value"] for name in NEW}
        assert values in ({"max_log_file": "8", "freq": "50"}, {"max_log_file": "9", "freq": "60"}), step
        assert modules.auditd_conf.check(path=path) == [], step
        change()
        assert file.read_bytes() == new, step
        assert modules.auditd_conf.diff(NEW, path=path) == {}, step
        after(step)
        step += STRIDE


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("first", [1, 5, 9])
def test_a_change_killed_at_any_step(modules, conf, tmp_path, first):
    (tmp_path / "scratch").mkdir()
    kills = _killed(modules, conf, first, tmp_path / "scratch", lambda _step: None)
    assert kills > 3
    print(f"{kills} kills")


def test_a_change_killed_at_any_step_with_a_daemon(modules, auditd, tmp_path):
    (tmp_path / "scratch").mkdir()
    pid = running(auditd).pid
    log = tmp_path / "log" / "audit.log"

    def works(step):
        status = modules.auditd_conf.status(path=auditd)
        assert status == {"pid": pid, "reads": True, "current": True, "note": ""}, step

    kills = _killed(modules, auditd, 5, tmp_path / "scratch", works)
    assert kills > 3
    # Each round told it twice, or three times; one that it need not be told again it was not told.
    assert log.read_text().count("op=reconfigure state=changed") >= 2 * kills
    print(f"{kills} kills")


@pytest.mark.parametrize("wanted", [OLD, NEW])
def test_a_state_repairs_what_a_kill_left(modules, states, conf, tmp_path, wanted):
    """Whichever of the two is wanted: the file that lies there is neither believed nor left."""
    file, left = pathlib.Path(conf), []
    old = file.read_bytes()

    def change():
        modules.auditd_conf.set(config=NEW, path=conf)

    (tmp_path / "scratch").mkdir()
    # Each file that is written, and the journal at the end, has a removal.
    for step in itertools.count(1):
        if not killed_at(step, change, tmp_path / "scratch", ("os.remove",)):
            break
        left.append(file.read_bytes() != old)
        assert states.auditd_conf.managed(name=conf, config=wanted).result is True
        assert states.auditd_conf.managed(name=conf, config=wanted).changes == {}
        assert {name: modules.auditd_conf.get(name, path=conf)["value"] for name in wanted} == {
            name: str(value) for name, value in wanted.items()
        }
        modules.auditd_conf.set(config=OLD, path=conf)
        assert file.read_bytes() == old
    assert set(left) == {False, True}


def test_two_changes_at_once_lose_nothing(modules, conf):
    for number in range(60, 64):
        done = at_once(
            functools.partial(modules.auditd_conf.set, "freq", number, path=conf),
            functools.partial(modules.auditd_conf.set, "num_logs", number, path=conf),
        )
        assert done == [0, 0]
        values = {name: modules.auditd_conf.get(name, path=conf)["value"] for name in ("freq", "num_logs")}
        assert values == {"freq": str(number), "num_logs": str(number)}
