"""
A virtual machine that runs Debian with systemd: for what a namespace cannot show (units, a reboot, a locked kernel).

The image is built once, below the cache directory; what a guest writes lasts over its reboots and is gone when it
goes down. Everything goes through ssh on a loopback port. There is no KVM here to rely on: the processor is
emulated, so a guest takes half a minute to boot and Salt runs ten times slower than on the host.
"""

import hashlib
import json
import os
import pathlib
import shlex
import shutil
import socket
import subprocess
import time

import _prepare

PACKAGES = [
    *("systemd-sysv", "dbus", "udev", "kmod", "libpam-systemd", "openssh-server", "auditd", "rsyslog"),
    *("python3", "iproute2", "procps", "ca-certificates"),
]
KERNEL = "linux-image-cloud-amd64"
COMMAND_LINE = (
    "root=/dev/nvme0n1 rw rootfstype=ext4 console=ttyS0 mitigations=off random.trust_cpu=on tsc=reliable"
    " net.ifnames=0 panic=-1 loglevel=4 rcupdate.rcu_cpu_stall_suppress=1"
)
# One thread and a small translation buffer: more of either makes the guest slower on a small host.
QEMU = ["qemu-system-x86_64", "-nodefaults", "-no-user-config", "-machine", "q35,usb=off,smm=off,vmport=off"]
QEMU += ["-cpu", "Nehalem,+rdrand", "-accel", "tcg,thread=single,tb-size=64", "-smp", "1", "-m", "1024"]
QEMU += ["-display", "none", "-vga", "none", "-device", "virtio-rng-pci"]
NETWORK = """[Match]
Name=en* eth*
[Network]
Address=10.0.2.15/24
LinkLocalAddressing=no
IPv6AcceptRA=no
"""
# No time of the machine is too slow for an emulated processor on a shared host.
PATIENCE = 600


class Image:
    """The disk image, the kernel and the key of one Debian release."""

    def __init__(self, cache, suite, root):
        self.directory = pathlib.Path(cache) / f"vm-{suite}"
        self.suite, self.root = suite, root
        self.disk, self.kernel, self.key = (self.directory / name for name in ("disk.ext4", "vmlinuz", "key"))

    def build(self):
        """Build what is not there yet; takes two minutes."""
        self.directory.parent.mkdir(parents=True, exist_ok=True)
        mark = self.directory / "complete"
        with _prepare.locked(f"{self.directory}.lock"):
            if not mark.exists() or mark.read_text() != _recipe():
                self._build()
                mark.write_text(_recipe())

    def _build(self):
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        tree = self.directory / "tree"
        _run("ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", self.key)
        options = ["--quiet", "--mode=root", "--variant=minbase", "--dpkgopt=force-unsafe-io"]
        options += ["--aptopt=APT::Install-Recommends false", "--include=" + ",".join(PACKAGES)]
        _run("mmdebstrap", *options, self.suite, tree, self._sources())
        self._add_kernel(tree)
        self._add_salt(tree)
        self._configure(tree)
        self.disk.touch()
        os.truncate(self.disk, 3 << 30)
        _run("mke2fs", "-q", "-t", "ext4", "-m", "0", "-E", "lazy_itable_init=1", "-d", tree, self.disk)
        shutil.rmtree(tree)

    def _sources(self):
        """The host's own package sources, for another release of the same distribution."""
        names = ["/etc/apt/sources.list.d/debian.sources", "/etc/apt/sources.list"]
        source = next(pathlib.Path(name) for name in names if pathlib.Path(name).exists())
        copy = self.directory / source.name
        copy.write_text(source.read_text().replace(_codename(), self.suite))
        return copy

    def _add_kernel(self, tree):
        """Unpack a kernel and its modules; installing it would take longer than all the rest."""
        depends = _run("apt-cache", "depends", KERNEL).splitlines()
        package = next(line.split()[-1] for line in depends if "Depends: linux-image-" in line)
        _run("apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download", package, cwd=self.directory)
        unpacked = self.directory / "kernel"
        _run("dpkg-deb", "-x", next(self.directory.glob(f"{package}_*.deb")), unpacked)
        [modules] = (unpacked / "lib" / "modules").iterdir()
        shutil.copytree(modules, tree / "usr" / "lib" / "modules" / modules.name, symlinks=True)
        shutil.copy(next((unpacked / "boot").glob("vmlinuz-*")), self.kernel)
        _run("depmod", "-b", tree, modules.name)
        shutil.rmtree(unpacked)

    def _add_salt(self, tree):
        """Have the project's own command set Salt up, as on any fresh host: the guest reaches no network later."""
        for name in ("bin", "requirements"):
            shutil.copytree(self.root / name, tree / "root" / name)
        for name in ("/etc/resolv.conf", "/etc/hosts", "/etc/ssl/certs/ca-certificates.crt"):
            shutil.copy(name, tree / name.lstrip("/"))
        prepare = "import sys; sys.path.insert(0, '/root/bin'); import _prepare; print(_prepare.salt_call())"
        _run("chroot", tree, "/usr/bin/python3", "-c", prepare)
        for name in ("bin", "requirements"):
            shutil.rmtree(tree / "root" / name)

    def _configure(self, tree):
        (tree / "etc" / "hostname").write_text("guest\n")
        (tree / "etc" / "hosts").write_text("127.0.0.1 localhost\n127.0.1.1 guest\n")
        (tree / "etc" / "fstab").write_text("/dev/nvme0n1 / ext4 rw,relatime 0 0\n")
        (tree / "etc" / "resolv.conf").write_text("")
        (tree / "etc" / "systemd" / "network" / "10-guest.network").write_text(NETWORK)
        keys = tree / "root" / ".ssh"
        keys.mkdir(mode=0o700, exist_ok=True)
        shutil.copy(f"{self.key}.pub", keys / "authorized_keys")
        _run("chroot", tree, "systemctl", "-q", "enable", "systemd-networkd.service", "ssh.service", "auditd.service")
        _run("chroot", tree, "systemctl", "-q", "mask", "systemd-networkd-wait-online.service", "apt-daily.timer",
             "apt-daily-upgrade.timer", "systemd-firstboot.service")  # fmt: skip


class Machine:
    """A running guest; ``run(COMMAND, …)`` runs a command in it, as root, through a login by ssh."""

    def __init__(self, image, directory, options=""):
        """
        image, directory
            The :class:`Image`, and where what the machine needs beside it lies (path-like).
        options
            What stands on the kernel's command line beside what is always there (str).
        """
        self.image, self.directory = image, pathlib.Path(directory)
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        drive = f"file={image.disk},format=raw,if=none,id=d0,cache=unsafe,snapshot=on"
        forward = f"user,id=n0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{self.port}-:22"
        devices = ["-drive", drive, "-device", "nvme,drive=d0,serial=guest"]
        devices += ["-netdev", forward, "-device", "virtio-net-pci,netdev=n0,romfile="]
        devices += ["-chardev", f"file,id=con,path={self.directory / 'console'}", "-serial", "chardev:con"]
        boot = ["-kernel", str(image.kernel), "-append", f"{COMMAND_LINE} {options}"]
        self.process = subprocess.Popen([*QEMU, *devices, *boot], stdin=subprocess.DEVNULL)
        self.boot_id = self._wait_for_another_boot(None)

    def run(self, *command, check=True, stdin=None, user="root"):
        """Run a command (fixed arguments) in a login of ``user`` and return the finished process."""
        done = subprocess.run([*self._ssh(user), shlex.join(map(str, command))], input=stdin, capture_output=True,
                              check=False, timeout=PATIENCE)  # fmt: skip
        done.stdout, done.stderr = done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")
        assert not check or done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
        return done

    def write(self, path, text):
        """Write ``text`` to the guest's file at ``path``, in a directory that is made if it is missing."""
        self.run("mkdir", "-p", os.path.dirname(path))
        self.run("dd", "status=none", f"of={path}", stdin=text.encode())

    def push(self, directory, target):
        """Copy a directory to the guest's ``target``, which is replaced."""
        archive = subprocess.run(
            ["tar", "-cf", "-", "-C", directory, "--exclude=.git", "."], capture_output=True, check=True
        )
        self.run("rm", "-rf", target)
        self.run("mkdir", "-p", target)
        self.run("tar", "-xf", "-", "-C", target, stdin=archive.stdout)

    def salt(self, tree, *args):
        """Run salt-call with the tree in the guest and return what it returned."""
        [salt_call] = self.run("sh", "-c", "ls /var/cache/saltext-sshtrail/salt-*/bin/salt-call").stdout.split()
        command = [salt_call, "--local", "-m", tree, "--pillar-root", f"{tree}/pillar", "--out", "json", *args]
        return json.loads(self.run(*command, check=False).stdout)["local"]

    def reboot(self):
        """Boot the guest anew; what it wrote stays."""
        self.run("systemctl", "reboot", "--no-block", check=False)
        self.boot_id = self._wait_for_another_boot(self.boot_id)

    def down(self):
        """End the guest, and with it all that it wrote."""
        self.process.kill()
        self.process.wait()

    def _ssh(self, user):
        options = ["BatchMode=yes", "IdentitiesOnly=yes", "StrictHostKeyChecking=no", "UserKnownHostsFile=/dev/null"]
        options += ["LogLevel=ERROR", "ConnectTimeout=30"]
        pairs = [word for option in options for word in ("-o", option)]
        return ["ssh", "-F", "none", "-i", str(self.image.key), "-p", str(self.port), *pairs, f"{user}@127.0.0.1"]

    def _wait_for_another_boot(self, last):
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.process.poll() is None:
            done = self.run("cat", "/proc/sys/kernel/random/boot_id", check=False)
            if done.returncode == 0 and done.stdout.strip() != last:
                self.run("systemctl", "is-system-running", "--wait", check=False)
                return done.stdout.strip()
            time.sleep(1)
        raise AssertionError(f"the guest did not come up:\n{(self.directory / 'console').read_text()[-4000:]}")


def _run(*command, **options):
    done = subprocess.run(list(map(str, command)), capture_output=True, text=True, check=False, **options)
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout}{done.stderr}"
    return done.stdout


def _recipe():
    """What an image is made by (str): another recipe makes another image."""
    content = b"".join(pathlib.Path(module).read_bytes() for module in (__file__, _prepare.__file__))
    return hashlib.sha256(content).hexdigest()


def _codename():
    text = pathlib.Path("/etc/os-release").read_text()
    return next(line.partition("=")[2].strip('"') for line in text.splitlines() if line.startswith("VERSION_CODENAME="))
