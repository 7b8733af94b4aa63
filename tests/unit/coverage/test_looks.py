"""
coverage.looks: what a look leaves, and that it is told when somebody takes that away.
"""

import json
import os
import time
import types

import pytest
from sshtrail_lib.coverage import looks
from sshtrail_lib.coverage.memory import Memory

ROWS = [{"check": "records-lost", "holds": True}]
SENT = (
    "type=USER msg=audit({}.000:{}): pid=7 uid=0 auid=4294967295 ses=4294967295 msg='text=sshtrail-coverage-1 exe=x'\n"
)
#: What has the word, and is no message of a look's.
SAID = 'type=EXECVE msg=audit({}.000:{}): argc=2 a0="echo" a1="msg=\'text=sshtrail-coverage-1"\n'


@pytest.fixture
def minion(tmp_path):
    return types.SimpleNamespace(cachedir=str(tmp_path / "cache"), run_dir=str(tmp_path / "run"))


def test_it_is_kept_in_two_places(minion):
    assert looks.read(minion) == Memory() and looks.rows(minion) == [] and not looks.there(minion.cachedir)
    looks.keep(minion, Memory(looked=50.0), ROWS)
    assert looks.read(minion).looked == 50.0 and looks.rows(minion) == ROWS and looks.there(minion.cachedir)


def remove(path):
    os.unlink(path)


def spoil(path):
    with open(path, "w") as handle:
        handle.write("{}")


def expose(path):
    os.chmod(path, 0o666)


def later(path):
    with open(path) as handle:
        kept = json.load(handle)
    kept["memory"]["looked"] = 90.0
    with open(path, "w") as handle:
        json.dump(kept, handle)


@pytest.mark.parametrize("place", [lambda one: looks.path(one.cachedir), looks.beside])
@pytest.mark.parametrize("change", [remove, spoil, expose, later])
def test_one_of_them_will_do(minion, place, change):
    looks.keep(minion, Memory(looked=50.0), ROWS)
    change(place(minion))
    assert looks.read(minion).looked == 50.0


def test_one_that_cannot_be_written_is_none(minion, monkeypatch):
    looks.keep(minion, Memory(looked=50.0), ROWS)

    def full(path, data):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(looks.store, "keep", full)
    looks.keep(minion, Memory(looked=60.0), ROWS)
    assert looks.read(minion).looked == 60.0 and not os.path.exists(looks.beside(minion))


def ago(seconds):
    return int(time.time()) - seconds


@pytest.mark.parametrize(
    "lines,since",
    {
        "nobody has looked": ([], 0),
        "a first look that was killed": ([(SENT, 60)], 0),
        "somebody has looked": ([(SENT, 60), (SENT, 30)], 60),
        "a log with the names of hosts": ([("node=web1 " + SENT, 60), ("node=web1 " + SENT, 30)], 60),
        "somebody says so": ([(SAID, 60), (SAID, 30)], 0),
    }.values(),
)
def test_what_was_taken_away(minion, tmp_path, monkeypatch, lines, since):
    monkeypatch.setattr(looks.time, "clock_gettime", lambda clock: 1000.0)
    log = tmp_path / "audit.log"
    # What was before this boot is nothing that this one has looked at.
    log.write_text("".join(text.format(ago(back), n) for n, (text, back) in enumerate([(SENT, 5000), *lines])))
    found = looks.taken(minion, Memory(boot="x"), str(log), time.time())
    assert bool(found.loss) is bool(since)
    if since:
        assert found.looked == found.began == pytest.approx(ago(since), abs=2)
        assert "is gone or cannot be read" in found.loss.told and looks.path(minion.cachedir) in found.loss.told
    # Whoever has looked knows.
    known = Memory(boot="x", looked=5.0)
    assert looks.taken(minion, known, str(log), time.time()) is known
