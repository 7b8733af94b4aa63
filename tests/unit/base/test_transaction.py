"""
base.transaction: one at a time, whole or not at all, and what a crash left is put back.
"""

import os
import pathlib
import shutil
import stat
import subprocess
import sys
import time

import pytest
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import files, minion, processes, transaction
from support import require_root


@pytest.fixture
def change(tmp_path):
    """A transaction of the files in ``tmp_path``, with its memory there too."""
    opts = {"cachedir": str(tmp_path / "cache"), "sshtrail.run_dir": str(tmp_path / "run")}
    return transaction.Transaction(minion.Minion({}, opts, {}, {}), "some", str(tmp_path / "main"))


def test_what_was_there_before(change, tmp_path):
    changed, new, foreign = (str(tmp_path / name) for name in ("changed", "new", "foreign"))
    old = {changed: b"old\xff", new: None, foreign: b"old"}
    for path in (changed, foreign):
        (tmp_path / path).write_bytes(old[path])
    change.write(old, {changed: b"new", new: b"new", foreign: b"new"})
    (tmp_path / foreign).write_bytes(b"somebody else's")
    assert change.interrupted() == {changed: b"old\xff", new: None}
    change.close()
    change.close()
    assert change.interrupted() == {}


def test_a_file_that_is_no_journal(change):
    os.makedirs(os.path.dirname(change._journal))
    with open(change._journal, "wb") as handle:
        handle.write(b"not json")
    assert change.interrupted() == {}


def test_whoever_comes_after_a_crash_puts_it_back(change, tmp_path):
    path = str(tmp_path / "file")
    (tmp_path / "file").write_bytes(b"old")
    change.write({path: b"old"}, {path: b"new"})
    with change.locked():
        assert (tmp_path / "file").read_bytes() == b"old"
    assert change.interrupted() == {}


def test_undone(change, tmp_path):
    old = {str(tmp_path / "a"): b"old", str(tmp_path / "b"): None, str(tmp_path / "c"): b"gone"}
    for path in ("a", "c"):
        (tmp_path / path).write_bytes(old[str(tmp_path / path)])
    change.write(old, {str(tmp_path / "a"): b"new", str(tmp_path / "b"): b"new", str(tmp_path / "c"): None})
    assert not (tmp_path / "c").exists()
    change.undo()
    assert ((tmp_path / "a").read_bytes(), (tmp_path / "b").exists()) == (b"old", False)
    assert (tmp_path / "c").read_bytes() == b"gone"


def test_where_nothing_can_be_kept_nothing_is_changed(change, tmp_path):
    """A file stands where a directory has to be; a full disk gives an error of the same kind."""
    path = str(tmp_path / "a")
    (tmp_path / "a").write_bytes(b"old")
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache" / "file_backup").touch()
    with pytest.raises(CommandExecutionError, match="^Cannot keep what was there before: .*; nothing was changed.$"):
        change.write({path: b"old"}, {path: b"new"})
    change.undo()
    assert (tmp_path / "a").read_bytes() == b"old" and change.interrupted() == {}


def test_a_backup_is_kept(change, tmp_path):
    (tmp_path / "a").write_bytes(b"old")
    change.write({str(tmp_path / "a"): b"old"}, {str(tmp_path / "a"): b"new"})
    [backup] = [path for path in (tmp_path / "cache" / "file_backup").rglob("a_*") if path.is_file()]
    assert backup.read_bytes() == b"old"


HOLDER = """
import sys, time
from sshtrail_lib.base import transaction
with transaction.lock(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


def test_one_at_a_time_and_not_for_ever(tmp_path):
    path = str(tmp_path / "run" / "some.lock")
    library = os.path.dirname(os.path.dirname(os.path.dirname(transaction.__file__)))
    command = [sys.executable, "-c", HOLDER, path]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": library}) as holder:
        holder.stdout.readline()
        begun = time.monotonic()
        with pytest.raises(transaction.Busy, match="some.lock for more than 0.2 seconds"), transaction.lock(path, 0.2):
            pytest.fail("two hold one lock")
        assert time.monotonic() - begun >= 0.2
        holder.kill()
    # A lock goes with its process.
    with transaction.lock(path, 30):
        assert oct(os.stat(path).st_mode & 0o777) == "0o600"
        assert oct(os.stat(tmp_path / "run").st_mode & 0o777) == "0o700"


def held(path):
    """Have somebody without rights hold the file at ``path``, as he can hold what is his."""
    path.touch()
    os.chown(path, 65534, 65534)
    held.by = subprocess.Popen(
        ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "flock", str(path), "sleep", "30"]
    )


TRAPS = {
    "a pipe": os.mkfifo,
    "a directory": os.mkdir,
    "somebody else's": lambda path: (path.touch(0o666), os.chown(path, 65534, 65534)),
    "in a directory of somebody else's": lambda path: os.chown(path.parent, 65534, 65534),
    "in a directory to which somebody else's link leads": lambda path: (
        path.parent.rename(f"{path.parent}.real"),
        path.parent.symlink_to(f"{path.parent}.real"),
        os.chown(path.parent, 65534, 65534, follow_symlinks=False),
    ),
    "held by somebody else": held,
}


@pytest.mark.parametrize("trap", TRAPS.values(), ids=TRAPS)
def test_a_lock_is_this_users_own_file_in_his_own_directory(tmp_path, trap):
    require_root()
    tmp_path.chmod(0o755)
    path = tmp_path / "run" / "some.lock"
    path.parent.mkdir(0o777)
    trap(path)
    begun = time.monotonic()
    with pytest.raises(CommandExecutionError, match="Cannot hold the lock .*some.lock"), transaction.lock(str(path)):
        pytest.fail("somebody else's lock was taken")
    assert time.monotonic() - begun < 5
    if trap is held:
        held.by.kill()
        held.by.wait()


@pytest.mark.parametrize("kind", ["journal", "mark"])
def test_what_somebody_else_wrote_is_no_journal_and_no_mark(change, tmp_path, kind):
    require_root()
    victim = tmp_path / "main"
    victim.write_text("new")
    change.write({str(victim): b"old"}, {str(victim): b"new"})
    processes.mark(os.getpid(), [str(victim)], str(tmp_path / "run"))
    path = pathlib.Path(change._journal if kind == "journal" else processes.mark_path(os.getpid(), tmp_path / "run"))
    for somebody in (lambda: path.chmod(0o666), lambda: os.chown(path, 65534, 65534), lambda: fifo(path)):
        somebody()
        if kind == "journal":
            with pytest.raises(CommandExecutionError, match="not this user's alone"), change.locked():
                pytest.fail("it was believed")
        else:
            assert processes.marked(os.getpid(), str(tmp_path / "run")) is None
    assert victim.read_text() == "new"


def fifo(path):
    path.unlink()
    os.mkfifo(path)


def test_a_child_that_lives_on_holds_no_lock(tmp_path):
    path = str(tmp_path / "own" / "lock")
    with transaction.lock(path):
        child = os.fork()
        if not child:
            time.sleep(60)
            os._exit(0)
    try:
        with transaction.lock(path, 0):
            pass
    finally:
        os.kill(child, 9)
        os.waitpid(child, 0)


def test_a_lock_is_no_link(tmp_path):
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "some.lock").symlink_to(victim)
    with (
        pytest.raises(CommandExecutionError, match="Cannot hold the lock .*some.lock"),
        transaction.lock(str(tmp_path / "some.lock")),
    ):
        pytest.fail("a link was followed")
    assert victim.read_text() == "precious"


def test_what_vanished_comes_back_as_it_was(change, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o600)
    if not os.geteuid():
        os.chown(path, 65534, 65534)
    worn = files.dress(str(path))
    change.write({str(path): b"old"}, {str(path): b"new"})
    path.unlink()
    change.undo()
    assert path.read_bytes() == b"old" and files.dress(str(path)) == worn


def test_what_vanished_since_it_was_read_is_for_nobody_else(change, tmp_path):
    path = tmp_path / "file"
    change.write({str(path): b"old"}, {str(path): b"new"}, mode=0o644)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.unlink()
    change.undo()
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_a_crash_left_without_its_file_is_put_back_as_it_was(change, tmp_path):
    path = tmp_path / "file"
    path.write_bytes(b"old")
    path.chmod(0o640)
    change.write({str(path): b"old"}, {str(path): None})
    with change.locked():
        assert path.read_bytes() == b"old" and stat.S_IMODE(path.stat().st_mode) == 0o640


def test_a_backup_is_never_readable_by_others(change, tmp_path, monkeypatch):
    path, seen = tmp_path / "file", []
    path.write_bytes(b"old")
    path.chmod(0o600)
    copy = shutil.copyfile

    def copied(source, target, **options):
        copy(source, target, **options)
        seen.append(stat.S_IMODE(os.stat(target).st_mode))

    monkeypatch.setattr(shutil, "copyfile", copied)
    change.write({str(path): b"old"}, {str(path): b"new"})
    assert seen == [0o600]
