"""Which programs count as privileged, on trees and mounts of the tests' own."""

import os
import struct

import pytest
from sshtrail_lib.rules import privileged

# linux/capability.h: revision 2, effective; cap_net_raw permitted.
CAP_NET_RAW = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
ROOT = "27 1 254:0 / / rw,relatime shared:1 - ext4 /dev/vda rw"
# What mountinfo has besides the root, and which places are looked at.
MOUNTS = [
    (["28 27 0:5 / /proc rw,nosuid - proc proc rw"], ["/"]),
    (["28 27 254:1 / /home rw - ext4 /dev/vdb rw"], ["/", "/home"]),
    (["28 27 254:1 / /home rw,nosuid,nodev - ext4 /dev/vdb rw"], ["/"]),
    (["28 27 254:1 / /home rw,noexec - ext4 /dev/vdb rw"], ["/"]),
    (["28 27 0:40 / /mnt rw - nfs4 server:/ rw"], ["/"]),
    (["28 27 0:41 / /tank rw - zfs tank rw"], ["/", "/tank"]),
    # The same directory at another place.
    (["28 27 254:0 /srv /mnt/srv rw - ext4 /dev/vda rw"], ["/"]),
    (["28 27 254:1 /@sub /mnt rw - ext4 /dev/vdb rw", "29 27 254:1 / /data rw - ext4 /dev/vdb rw"], ["/", "/data"]),
    (["28 27 254:1 / /my\\040disk rw - ext4 /dev/vdb rw"], ["/", "/my disk"]),
]


@pytest.mark.parametrize(("lines", "places"), MOUNTS)
def test_the_mounts_that_honour_it(tmp_path, monkeypatch, lines, places):
    (tmp_path / "mountinfo").write_text("\n".join([ROOT, *lines, ""]))
    (tmp_path / "filesystems").write_text("nodev\tproc\nnodev\tnfs4\nnodev\toverlay\n\text4\n")
    monkeypatch.setattr(privileged, "MOUNTS", str(tmp_path / "mountinfo"))
    monkeypatch.setattr(privileged, "TYPES", str(tmp_path / "filesystems"))
    assert sorted(mount.place for mount in privileged.mounts()) == places


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A tree that is all there is."""
    monkeypatch.setattr(privileged, "mounts", lambda: [privileged.Mount("0:1", "/", str(tmp_path))])
    return tmp_path


def program(path, mode, owner=0):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"")
    os.chown(path, owner, owner)
    path.chmod(mode)
    return str(path)


def test_what_is_privileged(tree):
    expected = [program(tree / "a" / "b" / "setgid", 0o2755), program(tree / "a" / "setuid", 0o4711)]
    capable = program(tree / "capable", 0o755)
    os.setxattr(capable, "security.capability", CAP_NET_RAW)
    program(tree / "plain", 0o755)
    program(tree / "not executable", 0o4644)
    (tree / "link").symlink_to("a/setuid")
    (tree / "directory").mkdir(mode=0o755)
    (tree / "directory").chmod(0o2775)
    assert privileged.programs() == [*expected, capable]


def test_each_has_a_line_that_names_it(tree):
    path = program(tree / "my program", 0o4755)
    assert privileged.lines("-F perm=x -F key=k") == (
        [f"-a always,exit -F path={path.replace(' ', chr(92) + ' ')} -F perm=x -F key=k"],
        0,
    )


def test_nobody_can_crowd_out_those_of_root(tree, monkeypatch):
    """Anybody can make setuid files of his own, with any name."""
    monkeypatch.setattr(privileged, "MOST", 3)
    for number in range(5):
        program(tree / "a" / str(number), 0o4755, owner=1000)
    program(tree / "a" / "a\n-D", 0o4755, owner=1000)
    last = program(tree / "z", 0o4755)
    lines, unnamed = privileged.lines("-F perm=x")
    assert len(lines) == 3 and unnamed == 4 and f"path={last} " in lines[0]
    assert not [line for line in lines if "\n" in line]
