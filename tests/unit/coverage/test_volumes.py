"""
coverage.volumes: what is there after a reboot.
"""

import os

import pytest
from sshtrail_lib.coverage import volumes

LINE = "{number} 22 {device} / {place} rw,relatime shared:1 - {kind} {source} {options}"


@pytest.fixture
def host(tmp_path, monkeypatch):
    """``host(KIND, …)`` mounts a directory, as the kernel tells it; ``host.disk`` makes a disk of it."""
    read, mounted, disks = volumes._read, {}, {}

    def told(path):
        if path == "/proc/self/mountinfo":
            return "\n".join(mounted.values())
        if path.startswith("/proc/self/fdinfo/"):
            # The number of its own mount, of the directory that is open.
            place = os.readlink(path.replace("fdinfo", "fd"))
            return f"pos:\t0\nmnt_id:\t{next((one for one in mounted if mounted[one].split()[4] == place), 0)}"
        return read(path.replace("/sys", str(tmp_path / "sys"), 1) if path.startswith("/sys") else path)

    def mount(kind, device="254:0", source="none", options="rw", name="log"):
        place = tmp_path / name
        place.mkdir(exist_ok=True)
        line = {"number": len(mounted) + 30, "device": device, "place": place, "kind": kind}
        mounted[len(mounted) + 30] = LINE.format(**line, source=source, options=options)
        return str(place)

    def disk(device, name, slaves=(), backing=""):
        top = tmp_path / "sys" / "devices" / name
        (top / "slaves").mkdir(parents=True)
        (top / "dev").write_text(f"{device}\n")
        for one in slaves:
            (top / "slaves" / one).symlink_to(tmp_path / "sys" / "devices" / one)
        if backing:
            (top / "loop").mkdir()
            (top / "loop" / "backing_file").write_text(f"{backing}\n")
        disks[device] = str(top)

    monkeypatch.setattr(volumes, "_read", told)
    real = os.path.realpath
    found = lambda path: disks.get(path.removeprefix("/sys/dev/block/"), real(path))  # noqa: E731
    monkeypatch.setattr(volumes.os.path, "realpath", found)
    mount.disk = disk
    return mount


@pytest.mark.parametrize("kind", ["tmpfs", "ramfs", "rootfs"])
def test_what_is_memory(host, kind):
    place = host(kind, "0:40")
    assert volumes.volatile(place) == f"{place} is a {kind}, which is in memory alone"


@pytest.mark.parametrize("kind", ["ext4", "xfs", "nfs4", "zfs", "9p", "btrfs"])
def test_what_is_on_a_disk_or_on_another_host(host, kind):
    host.disk("254:0", "vda")
    assert volumes.volatile(host(kind)) == ""
    assert volumes.volatile(host(kind, "0:41", "pool/log", name="other")) == ""


@pytest.mark.parametrize("name", ["zram0", "ram12"])
def test_a_disk_in_memory(host, name):
    host.disk("252:0", name)
    assert f"is on {name}" in volumes.volatile(host("ext4", "252:0"))
    host.disk("253:1", "dm-1", [name])
    host.disk("253:2", "dm-2", ["dm-1"])
    assert f"is on {name}" in volumes.volatile(host("ext4", "253:2", name="other"))


def test_disks_on_disks(host):
    host.disk("8:1", "sda1")
    host.disk("8:17", "sdb1")
    host.disk("9:0", "md0", ["sda1", "sdb1"])
    assert volumes.volatile(host("ext4", "9:0")) == ""


def test_a_file_system_in_a_file(host):
    memory, other = host("tmpfs", "0:40", name="run"), host("ext4", name="srv")
    host.disk("7:0", "loop0", backing=memory)
    host.disk("7:1", "loop1", backing=other)
    host.disk("7:2", "loop2", backing="/nowhere/image")
    assert "is in a file where" in volumes.volatile(host("ext4", "7:0", name="a"))
    assert volumes.volatile(host("ext4", "7:1", name="b")) == ""
    assert volumes.volatile(host("ext4", "7:2", name="c")) is None


def test_an_overlay(host):
    memory, disk = host("tmpfs", "0:40", name="run"), host("ext4", name="srv")
    told = volumes.volatile(host("overlay", "0:41", "overlay", f"rw,lowerdir=/l,upperdir={memory},workdir=/w", "a"))
    assert "is an overlay" in told and "is a tmpfs" in told
    assert volumes.volatile(host("overlay", "0:42", "overlay", f"rw,lowerdir=/l,upperdir={disk},workdir=/w", "b")) == ""
    # It takes nothing; what it lies on is not seen in here.
    assert volumes.volatile(host("overlay", "0:43", "overlay", "ro,lowerdir=/l:/m", "c")) == ""
    assert volumes.volatile(host("overlay", "0:44", "overlay", "rw,upperdir=/nowhere/upper", "d")) is None


def test_what_is_not_there():
    assert volumes.volatile("/nonexistent") is None


def test_a_real_one(tmp_path):
    assert volumes.volatile("/proc/self/root/dev/shm") or not os.path.ismount("/dev/shm")
    assert volumes.volatile(str(tmp_path)) is None or isinstance(volumes.volatile(str(tmp_path)), str)
