"""What is remembered of changes, and how a crash leaves it."""

import os
import stat

import pytest
from sshtrail_lib.base import files, memory, store
from sshtrail_lib.base.memory import Memory
from sshtrail_lib.base.minion import Minion
from sshtrail_lib.base.transaction import Transaction


@pytest.fixture
def host(tmp_path):
    opts = {"cachedir": str(tmp_path / "cache"), "sshtrail.run_dir": str(tmp_path / "run")}
    return Minion({}, opts, {}, {})


@pytest.fixture
def path(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"A 1\n")
    return str(file)


def known(host, path):
    return Memory(host, Transaction(host, "kind", path), path)


def change(host, path, new, asked=("A",), **options):
    one = known(host, path)
    old = files.read(path)
    one.write({path: old}, {path: one.without(path, old)}, {path: new}, list(asked), **options)
    one.transaction.close()


def test_a_change_is_remembered_and_given_back(host, path):
    change(host, path, b"A 2\n")
    change(host, path, b"A 3\nB 1\n")
    assert known(host, path).without(path, b"A 3\nB 1\nC 1\n") == b"A 1\nC 1\n"
    assert (known(host, path).paths, known(host, path).asked) == ([path], ["A"])
    assert memory.mains(host, "kind") == [path]
    assert memory.mains(host, "other") == []


def test_nothing_that_differs_and_nothing_asked_is_nothing_to_remember(host, path):
    change(host, path, b"A 2\n")
    change(host, path, b"A 1\n", asked=())
    assert not os.path.exists(known(host, path).path)


def test_it_is_this_users_alone(host, path):
    change(host, path, b"A 2\n")
    assert stat.S_IMODE(os.stat(known(host, path).path).st_mode) == 0o600
    os.chmod(known(host, path).path, 0o666)
    with pytest.raises(store.StoreError, match="nothing in it is believed"):
        known(host, path)


def test_what_an_interrupted_change_remembered_counts_as_not_made(host, path):
    change(host, path, b"A 2\n")
    one = known(host, path)
    one.write({path: b"A 2\n"}, {path: b"A 1\n"}, {path: b"A 3\n"}, ["B"], facts={"x": 1})
    # Killed here: nobody closed it.
    assert (known(host, path).asked, known(host, path).facts) == (["A"], {})
    with one.transaction.locked():
        pass
    assert (known(host, path).asked, files.read(path)) == (["A"], b"A 2\n")


def test_a_change_that_is_undone_is_forgotten(host, path):
    one = known(host, path)
    one.write({path: b"A 1\n"}, {path: b"A 1\n"}, {path: b"A 3\n"}, ["B"])
    one.transaction.undo()
    assert (known(host, path).asked, files.read(path)) == (None, b"A 1\n")
    assert not os.path.exists(one.path)
