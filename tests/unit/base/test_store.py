"""
base.store: what is kept comes back, and only from a file that nobody else could have written.
"""

import errno
import os

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import files, store
from support import require_root


def test_what_is_saved_comes_back(tmp_path):
    path = str(tmp_path / "below" / "facts.json")
    assert store.load(path) is None
    for value in ({"a": [1, None, "ü"]}, [], 7.5):
        store.save(path, value)
        assert store.load(path) == value
    assert os.stat(path).st_mode & 0o777 == 0o600
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    assert os.listdir(os.path.dirname(path)) == ["facts.json"]


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_what_others_can_write_is_not_believed(tmp_path, mode):
    path = tmp_path / "facts.json"
    store.save(str(path), {"a": 1})
    path.chmod(mode)
    with pytest.raises(store.StoreError, match="not this user's alone"):
        store.load(str(path))


def test_another_users_file_is_not_believed(tmp_path):
    require_root()
    path = tmp_path / "facts.json"
    store.save(str(path), {"a": 1})
    os.chown(path, 1001, 0)
    with pytest.raises(store.StoreError, match="not this user's alone"):
        store.load(str(path))


def test_a_pipe_in_the_place_of_a_file_keeps_nobody_waiting(tmp_path):
    os.mkfifo(tmp_path / "facts.json", 0o600)
    with pytest.raises(store.StoreError, match="not this user's alone"):
        store.load(str(tmp_path / "facts.json"))


@pytest.mark.parametrize("data", [b"", b"{", b"\xff\xfe", b"{}x", b"[" * 100000])
def test_a_broken_file_is_named(tmp_path, data):
    path = tmp_path / "facts.json"
    path.write_bytes(data)
    path.chmod(0o600)
    with pytest.raises(store.StoreError, match="Cannot use .*facts.json"):
        store.load(str(path))


def test_what_is_kept_for_this_boot_is_of_this_user_alone(tmp_path):
    path = tmp_path / "run" / "kept"
    store.keep(str(path), b"one")
    store.keep(str(path), b"two")
    assert store.load_bytes(str(path)) == b"two" and path.stat().st_mode & 0o777 == 0o600
    assert [found.name for found in path.parent.iterdir()] == ["kept"]
    path.chmod(0o666)
    with pytest.raises(store.StoreError, match="this user's alone"):
        store.load_bytes(str(path))


@pytest.mark.parametrize(
    "content,known", [(None, {}), (b"{", {}), (b"[1]", {}), (b"null", {}), (b'{"a": 1}', {"a": 1})]
)
def test_what_is_remembered_is_a_mapping_or_nothing(tmp_path, content, known):
    path = tmp_path / "known.json"
    if content is not None:
        path.write_bytes(content)
        path.chmod(0o600)
    assert store.remembered(str(path)) == known
    if content:
        path.chmod(0o666)
        assert store.remembered(str(path)) == {}


def test_what_a_full_disk_does_not_take_is_remembered_by_this_process(tmp_path, monkeypatch):
    path, room = str(tmp_path / "facts.json"), {"free": False}
    store.save(path, "old")

    def full(path, data, mode):
        if not room["free"]:
            raise CommandExecutionError(f"Cannot write {path}: No space left on device")
        files.replace(path, data, mode)

    monkeypatch.setattr(store.files, "replace", full, raising=True)
    store.remember(path, "new")
    assert store.load(path) == "new"
    with open(path, encoding="ascii") as kept:
        assert kept.read() == '"old"'
    room["free"] = True
    monkeypatch.undo()
    store.remember(path, "newer")
    assert store.load(path) == "newer" and path not in store._HELD


def test_what_is_forgotten_is_gone(tmp_path, monkeypatch):
    path = str(tmp_path / "kept.json")
    store.remember(path, [1])
    store.forget(path)
    assert store.load(path) is None and not os.path.exists(path)
    store.forget(path)
    store.remember(path, [1])

    def refuse(_path):
        raise OSError(errno.EROFS, "Read-only file system", path)

    with monkeypatch.context() as patch:
        patch.setattr(os, "unlink", refuse)
        store.forget(path)
    assert os.path.exists(path) and store.load(path) is None
    store.forget(path)
    assert not os.path.exists(path) and store.load(path) is None
