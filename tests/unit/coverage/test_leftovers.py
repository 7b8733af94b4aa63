"""
coverage.leftovers: what a killed proof left goes, and nothing that is somebody's.
"""

import errno
import os

import pytest
from sshtrail_lib.base import minion, transaction
from sshtrail_lib.coverage import leftovers

LINE = b'restrict,from="127.0.0.1" ssh-ed25519 AAAA\n'


@pytest.fixture
def host(tmp_path, monkeypatch):
    monkeypatch.setattr(leftovers, "HOME", str(tmp_path / "home"))
    return minion.Minion({}, {"cachedir": str(tmp_path / "cache"), "sshtrail.run_dir": str(tmp_path / "run")}, {}, {})


def test_nothing_is_there_and_nothing_is_done(host, tmp_path):
    assert leftovers.clear(host) is False
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [LINE, LINE[:9], b""])
def test_a_file_that_lets_a_key_in_goes(host, tmp_path, content):
    file = tmp_path / "keys"
    leftovers.note(leftovers.places(host), str(file), LINE)
    file.write_bytes(content)
    (tmp_path / "home" / ".ssh").mkdir(parents=True)
    assert leftovers.clear(host) is True
    assert not file.exists() and not (tmp_path / "home").exists()
    assert leftovers.clear(host) is False


def test_a_file_that_somebody_has_written_since_stays(host, tmp_path):
    file = tmp_path / "keys"
    leftovers.note(leftovers.places(host), str(file), LINE)
    file.write_bytes(b"somebody's\n")
    assert leftovers.clear(host) is True
    assert file.read_bytes() == b"somebody's\n"


def test_a_note_that_was_being_written_names_nothing(host, tmp_path):
    where = leftovers.places(host)
    leftovers.note(where, str(tmp_path / "keys"), LINE)
    note = tmp_path / "cache" / "sshtrail" / "proof.left"
    note.write_bytes(note.read_bytes()[:20])
    assert leftovers.clear(host) is True and not note.exists()


def test_what_is_going_on_is_left_alone(host, tmp_path):
    (tmp_path / "home").mkdir()
    with transaction.lock(leftovers.places(host).lock):
        assert leftovers.clear(host) is False
    assert (tmp_path / "home").exists()
    assert leftovers.clear(host) is True


@pytest.mark.parametrize("takes", [1, 7, 10**6])
def test_a_disk_that_takes_a_part_gets_the_rest_or_says_so(tmp_path, monkeypatch, takes):
    """A file of which only the beginning is there would take the place of what was kept for a year."""
    real, room = os.write, {"left": 100}

    def write(handle, data):
        if not room["left"]:
            raise OSError(errno.ENOSPC, "No space left on device")
        part = data[: min(takes, room["left"])]
        room["left"] -= len(part)
        return real(handle, part)

    monkeypatch.setattr(leftovers.os, "write", write)
    leftovers.write(str(tmp_path / "whole"), b"x" * 60, 0o600)
    assert (tmp_path / "whole").read_bytes() == b"x" * 60
    with pytest.raises(OSError, match="No space left"):
        leftovers.write(str(tmp_path / "part"), b"x" * 60, 0o600)
