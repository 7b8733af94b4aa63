"""
Files as bytes: nothing is lost, whatever happens while one is replaced.
"""

import contextlib
import os
import pathlib
import signal
import stat
import subprocess
import sys

import pytest
from salt.exceptions import CommandExecutionError, SaltInvocationError
from sshtrail_lib.base import files
from support import require_root

OLD, NEW = b"old\n" * 1000, b"new\n" * 2000


def test_reading(tmp_path):
    (tmp_path / "file").write_bytes(OLD)
    assert files.read(tmp_path / "file") == OLD
    assert files.read(tmp_path / "none") is None
    with pytest.raises(CommandExecutionError, match="Cannot read"):
        files.read(tmp_path)


@pytest.mark.parametrize(
    "path", [None, 5, True, b"/a", ["/a"], "", "/a\0", "/\ud800", "x" * 256, "/x" * 2048, pathlib.Path("/a")]
)
def test_what_is_no_name_of_a_file(path):
    with pytest.raises(SaltInvocationError, match="path takes the name of a file, not"):
        files.named(path)


@pytest.mark.parametrize("path", ["a", "/a b\n", "/caf\udce9", "/" + "x" * 255])
def test_what_is_the_name_of_a_file(path):
    assert files.named(path) == path


@pytest.fixture
def file(tmp_path):
    """A file with old content, alone in its directory."""
    path = tmp_path / "directory" / "file"
    path.parent.mkdir()
    path.write_bytes(OLD)
    return path


def _names(path):
    return sorted(entry.name for entry in path.parent.iterdir())


@pytest.mark.parametrize("mode", [0o600, 0o640, 0o644, 0o400])
@pytest.mark.parametrize("umask", [0o000, 0o077])
def test_a_new_file_gets_the_mode_that_was_asked(tmp_path, mode, umask):
    path = tmp_path / "new"
    before = os.umask(umask)
    try:
        files.replace(path, NEW, mode)
    finally:
        os.umask(before)
    assert (path.read_bytes(), stat.S_IMODE(path.stat().st_mode)) == (NEW, mode)


def test_an_existing_file_keeps_owner_mode_and_attributes(file):
    require_root()
    os.chown(file, 1, 2)
    file.chmod(0o2640)
    os.setxattr(file, "user.note", b"kept")
    os.setxattr(file, "trusted.note", b"kept too")
    files.replace(file, NEW)
    about = file.stat()
    assert (about.st_uid, about.st_gid, stat.S_IMODE(about.st_mode)) == (1, 2, 0o2640)
    assert (os.getxattr(file, "user.note"), os.getxattr(file, "trusted.note")) == (b"kept", b"kept too")
    assert (file.read_bytes(), _names(file)) == (NEW, ["file"])


def test_an_existing_file_keeps_its_acl(file):
    require_root()
    # setfacl may not be installed: this is "user::rw- user:1:r-- group::r-- mask::r-- other::---" as the kernel has it.
    entries = [(1, 6, -1), (2, 4, 1), (4, 4, -1), (0x10, 4, -1), (0x20, 0, -1)]
    acl = (2).to_bytes(4, "little")
    for tag, perm, identity in entries:
        acl += tag.to_bytes(2, "little") + perm.to_bytes(2, "little") + (identity & 0xFFFFFFFF).to_bytes(4, "little")
    os.setxattr(file, "system.posix_acl_access", acl)
    files.replace(file, NEW)
    assert os.getxattr(file, "system.posix_acl_access") == acl


def test_the_target_of_a_symbolic_link_is_replaced_and_the_link_stays(file, tmp_path):
    link = tmp_path / "link"
    link.symlink_to(os.path.relpath(file, tmp_path))
    files.replace(link, NEW)
    assert link.is_symlink()
    assert file.read_bytes() == NEW
    assert sorted(entry.name for entry in tmp_path.iterdir()) == ["directory", "link"]


def test_a_reader_keeps_the_file_that_it_opened(file):
    with open(file, "rb") as reader:
        files.replace(file, NEW)
        assert reader.read() == OLD


def test_a_full_disk_leaves_the_old_file_and_nothing_else(tmp_path):
    require_root()
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], check=True)
    try:
        path = disk / "file"
        path.write_bytes(OLD)
        with pytest.raises(CommandExecutionError, match="No space left on device"):
            files.replace(path, b"x" * 100_000)
        assert (path.read_bytes(), _names(path)) == (OLD, ["file"])
    finally:
        subprocess.run(["umount", disk], check=True)


def test_an_immutable_file_is_left_alone_and_named(file):
    require_root()
    subprocess.run(["chattr", "+i", file], check=True)
    try:
        with pytest.raises(CommandExecutionError, match=f"Cannot write {file}"):
            files.replace(file, NEW)
        with pytest.raises(CommandExecutionError, match=f"Cannot remove {file}"):
            files.remove(file)
    finally:
        subprocess.run(["chattr", "-i", file], check=True)
    assert (file.read_bytes(), _names(file)) == (OLD, ["file"])


@pytest.mark.parametrize("kind", ["pipe", "device", "directory", "link"])
def test_what_is_no_file_is_never_replaced_by_one(tmp_path, kind):
    path = tmp_path / "x"
    if kind == "device":
        try:
            os.mknod(path, 0o666 | stat.S_IFCHR, os.makedev(1, 3))
        except PermissionError:
            pytest.skip("needs root: to make a device")
    else:
        os.mkfifo(tmp_path / "pipe")
        {"pipe": lambda: os.mkfifo(path), "directory": path.mkdir, "link": lambda: path.symlink_to("pipe")}[kind]()
    before = path.stat()
    with pytest.raises(CommandExecutionError, match="Cannot write .*: it is no regular file"):
        files.replace(str(path), NEW)
    assert (path.stat().st_mode, path.stat().st_ino) == (before.st_mode, before.st_ino)


def test_a_missing_directory_is_one_clear_error(tmp_path):
    with pytest.raises(CommandExecutionError, match="Cannot write .*: No such file or directory"):
        files.replace(tmp_path / "none" / "file", NEW)


def test_removing(file):
    files.remove(file)
    files.remove(file)
    assert _names(file) == []


# Calls of the process while it replaces the file, each of which is to be the last one in its turn.
KILLED = """
import os, signal, sys
import salt.utils.files, salt.utils.atomicfile
from sshtrail_lib.base import files, text
from sshtrail_lib.base import text
calls = int(sys.argv[2])
def count(event, args):
    global calls
    if event in ("open", "os.rename", "os.chown", "os.chmod", "os.setxattr", "os.utime", "os.fchmod"):
        calls -= 1
        if calls < 0:
            os.kill(os.getpid(), signal.SIGKILL)
sys.addaudithook(count)
files.replace(sys.argv[1], b"new\\n" * 2000)
"""


def _killed_after(calls, file):
    done = subprocess.run(
        [sys.executable, "-c", KILLED, file, str(calls)], env={**os.environ, "PYTHONPATH": _utils()}, check=False
    )
    assert done.returncode in (0, -signal.SIGKILL)
    return done.returncode != 0


def _utils():
    return str(pathlib.Path(files.__file__).parents[2])


@pytest.mark.usefixtures("untraced")
def test_killed_at_any_step_leaves_the_old_file_or_the_new_one(file):
    file.chmod(0o640)
    with contextlib.suppress(OSError):
        os.setxattr(file, "user.note", b"kept")
    seen, calls = set(), 0
    while _killed_after(calls, file):
        seen.add(file.read_bytes())
        assert seen <= {OLD, NEW}
        assert stat.S_IMODE(file.stat().st_mode) == 0o640
        file.write_bytes(OLD)
        calls += 1
    assert calls > 3
    assert file.read_bytes() == NEW


def test_another_file_in_its_place_has_another_identity(tmp_path):
    path, other = tmp_path / "program", tmp_path / "other"
    path.write_bytes(OLD)
    other.write_bytes(OLD)
    before = files.identity(path)
    assert files.identity(path) == before
    other.rename(path)
    assert files.identity(path) != before


def test_a_file_with_several_names_is_not_parted_silently(file, caplog):
    other = file.parent / "other"
    other.hardlink_to(file)
    files.replace(file, NEW)
    assert (file.read_bytes(), other.read_bytes()) == (NEW, OLD)
    assert f"{file} had 2 names (hard links); the others keep the old content" in caplog.text
    caplog.clear()
    files.replace(file, OLD)
    assert "hard links" not in caplog.text


def test_a_pipe_keeps_no_reader_waiting(tmp_path):
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    assert files.read(str(pipe)) == b""


PLANTED = {
    "nothing": lambda path: None,
    "a link to a file of root's": lambda path: path.symlink_to(path.parent / "precious"),
    "a link to nothing": lambda path: path.symlink_to(path.parent / "nothing"),
    "a file of somebody's": lambda path: (path.touch(), path.chmod(0o666), os.chown(path, 65534, 65534)),
    "another name of a file that all may read": lambda path: os.link(path.parent / "precious", path),
}


@pytest.mark.parametrize("plant", PLANTED.values(), ids=PLANTED)
def test_what_is_delivered_is_for_this_user_alone_whatever_lies_there(tmp_path, plant):
    require_root()
    precious, path = tmp_path / "precious", tmp_path / "page.html"
    precious.write_text("precious")
    precious.chmod(0o644)
    plant(path)
    files.deliver(str(path), b"secret")
    found = path.lstat()
    assert (oct(found.st_mode), found.st_uid, path.read_bytes()) == (oct(0o100600), 0, b"secret")
    assert precious.read_text() == "precious" and sorted(os.listdir(tmp_path)) == ["page.html", "precious"]


def test_whom_this_user_has_given_his_file_to_may_read_the_next_one(tmp_path):
    require_root()
    path = tmp_path / "page.html"
    files.deliver(str(path), b"old")
    os.chown(path, 0, 33)
    path.chmod(0o640)
    files.deliver(str(path), b"new")
    assert (path.read_bytes(), path.stat().st_gid, oct(path.stat().st_mode)) == (b"new", 33, oct(0o100640))


@pytest.mark.parametrize("there", [os.mkdir, os.mkfifo, lambda path: path.symlink_to("/dev/null")])
def test_what_cannot_be_delivered_leaves_nothing(tmp_path, there):
    there(tmp_path / "page.html")
    before = (tmp_path / "page.html").lstat()
    with pytest.raises(CommandExecutionError, match="Cannot write .*page.html: it is no regular file"):
        files.deliver(str(tmp_path / "page.html"), b"x")
    assert os.listdir(tmp_path) == ["page.html"] and (tmp_path / "page.html").lstat() == before
