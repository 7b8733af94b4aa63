"""
A Linux kernel of its own for one command: for tests, where this machine's kernel has locked its audit subsystem.

    _own_kernel.py PROCESSOR COMMAND [ARGUMENT ...]

``auditctl -e 2`` holds until the next boot, and until then nobody may load a rule or change a setting. The kernel that
is started here is User Mode Linux, a whole one that runs as a process: it has this machine's files, and whatever the
command writes goes to a disk of its own, which ends with it. It has one processor, and no network but the loopback.
Standard library only.
"""

import contextlib
import glob
import os
import pathlib
import platform
import shlex
import shutil
import subprocess
import sys
import tempfile
import time

import _keeper
import _kernel
import _prepare
import _program
from _prepare import Failed
from _waiting import ENDS_WITH_THIS, ended

# Debian's, of the first release whose kernel takes a process's calls by seccomp: twice as fast as by ptrace.
RELEASE, PACKAGES = "sid", ["user-mode-linux", "libc6", "libgcc-s1"]
KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
LIBRARIES = ["lib/x86_64-linux-gnu/libc.so.6", "lib/x86_64-linux-gnu/libgcc_s.so.1"]
LOADER = "lib64/ld-linux-x86-64.so.2"
INIT = os.path.join(_prepare.ROOT, "bin", "_own_kernel_init.sh")
# What it takes of the machine's memory at most, and how large its disk may become.
MEMORY, DISK = "6G", 20 << 30
PAUSE = 0.2
# As the kernel's own command line names them. Without SELinux, which marks every record where it has no policy.
LINE = ["mem=" + MEMORY, "seccomp=auto", "lsm=yama", "root=/dev/root", "rootfstype=hostfs", "rootflags=/machine", "ro"]
LINE += ["con=null", "con0=null,fd:1", "quiet"]
MOUNTS = 'mount --bind / "$1/machine" && mount --rbind /dev "$1/dev" && mount -t proc proc "$1/proc" && shift'
#: Variables of the caller's that say what is here, and not there.
NOT_THERE = ("COVERAGE_", "TMPDIR")
#: The status of pytest where no test was to be run.
NO_TESTS = 5


def wanted():
    """Tell whether tests of the audit subsystem need a kernel of their own (bool): nobody may change this one's."""
    # Where nobody may ask it (a container), tests that need it say so themselves.
    with contextlib.suppress(subprocess.CalledProcessError):
        return os.geteuid() == 0 and _kernel.audit_status()["enabled"] == _kernel.LOCKED
    return False


def around(command, processor):
    """Return the command line (list of str) that runs a command in a kernel of its own, on one of the processors."""
    return [*ENDS_WITH_THIS, sys.executable, os.path.realpath(__file__), str(processor), *command]


def tested(command, here, shares=1):
    """
    Run tests, those that need the audit subsystem in kernels of their own where that is wanted; return a status (int).

    command
        pytest's command line (list of str) for a kernel of its own.
    here
        Called with what pytest is told beside that for those that run here (list of str); returns its status (int).
    shares
        In how many kernels (int); tests/streams.py has what each of several runs.
    """
    if not wanted():
        return here([])
    # One after the other: where three want two processors, masters and minions do little but wait for each other.
    statuses = [here(["--audit=without"])]
    with tempfile.TemporaryDirectory() as directory, contextlib.ExitStack() as ending:
        parts = [part(ending, command, one, shares, pathlib.Path(directory, str(one))) for one in range(shares)]
        statuses += [shown(*each) for each in parts]
    return max([one for one in statuses if one != NO_TESTS], default=NO_TESTS)


def part(ending, command, number, shares, said):
    """Start one part of the tests, on a processor of its own; return the process, and the file that it writes to."""
    with said.open("wb") as file:
        order = around([*command, f"--audit=only:{number + 1}/{shares}"], number)
        process = subprocess.Popen(order, cwd=_prepare.ROOT, stdout=file, stderr=file)
    ending.callback(ended, process)
    return process, said


def shown(process, said):
    """Show what a process has written to a file (path) when it has ended; return its status (int)."""
    process.wait()
    print(said.read_text(encoding="utf-8", errors="replace"), end="", flush=True)
    return abs(process.returncode)


def ready():
    """Return the directory (str) in which the kernel lies; it is fetched from the host's own mirror once."""
    if platform.machine() != "x86_64":
        raise Failed("this kernel's audit subsystem is locked, and one of its own is for x86_64 alone: boot anew")
    place = os.path.join(_prepare.cache(), "own-kernel")
    os.makedirs(_prepare.cache(), mode=0o755, exist_ok=True)
    with _prepare.locked(place + ".lock"):
        if not os.path.exists(os.path.join(place, "complete")):
            _prepare.say(f"Setting up {place} (once, a minute) ...")
            shutil.rmtree(place, ignore_errors=True)
            with tempfile.TemporaryDirectory() as directory:
                source = f"deb [signed-by={KEYS}] {mirror()} {RELEASE} main"
                laid_out(_prepare.debian_unpacked(directory, PACKAGES, source), place)
            pathlib.Path(place, "complete").touch()
    return place


def mirror():
    """Return from where this host has its Debian packages (str)."""
    form = ["--format", "$(ORIGIN) $(REPO_URI)", "Created-By: Packages"]
    listed = subprocess.run(["apt-get", "indextargets", *form], capture_output=True, text=True, check=False)
    found = [line.partition(" ")[2] for line in listed.stdout.splitlines() if line.startswith("Debian ")]
    if not found:
        raise Failed("this kernel's audit subsystem is locked, and no mirror of Debian has another: boot anew")
    return found[0]


def laid_out(unpacked, place):
    """Put what the kernel needs of unpacked packages (str, directory) into the directory ``place`` (str)."""
    root = os.path.join(place, "root")
    for name in ("machine", "dev", "proc", "tmp", "bin", "lib64", "lib/x86_64-linux-gnu"):
        os.makedirs(os.path.join(root, name))
    shutil.copy(os.path.join(unpacked, "usr/bin/linux.uml"), os.path.join(root, "bin/linux"))
    for name in (*LIBRARIES, LOADER):
        shutil.copy(os.path.join(unpacked, "usr", name), os.path.join(root, name))
    [overlay] = glob.glob(os.path.join(unpacked, "usr/lib/uml/modules/*/kernel/fs/overlayfs/overlay.ko"))
    shutil.copy(overlay, place)


def ran(place, processor, command):
    """Run a command (list of str) in the kernel at ``place`` (str), on one processor (int); return its status (int)."""
    with tempfile.TemporaryDirectory(prefix="sshtrail-kernel-") as said:
        _keeper.keeper().directory(said)
        disk = os.path.join(said, "disk")
        with open(disk, "wb") as file:
            file.truncate(DISK)
        _prepare.run(["mkfs.ext4", "-q", "-F", "-E", "lazy_itable_init=1,lazy_journal_init=1", disk])
        with open(os.path.join(said, "command"), "w", encoding="utf-8") as file:
            file.write(script(command))
        with open(os.path.join(said, "console"), "wb") as console:
            kernel = subprocess.Popen(
                command_line(place, said), stdin=subprocess.DEVNULL, stdout=console, stderr=console
            )
        # A switch between its processes costs a third where all of them are on one processor.
        os.sched_setaffinity(kernel.pid, {processors()[processor % len(processors())]})
        followed(kernel, os.path.join(said, "output"))
        return status(said)


def processors():
    """Return the numbers (list of int) of the processors that this process may have."""
    return sorted(os.sched_getaffinity(0))


def command_line(place, said):
    """Return the command line (list of str) of the kernel, which tells its first process where all is."""
    told = [f"place={place}", f"said={said}", f"name={platform.node()}", f"init={INIT}"]
    disk = f"ubd0=/machine{said}/disk"
    root = os.path.join(place, "root")
    private = [*ENDS_WITH_THIS, "unshare", "--mount", "--propagation", "private"]
    kernel = ["env", "-i", f"PATH={_prepare.WAY}", "HOME=/tmp", "chroot", root, "/bin/linux", *LINE, disk, *told]
    return [*private, "sh", "-c", f'{MOUNTS} && exec "$@"', "sh", root, *kernel]


def script(command):
    """Return a script for sh (str) that runs a command with what this process has of variables, and where it is."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(NOT_THERE)}
    lines = [f"export {name}={shlex.quote(value)}" for name, value in kept.items() if name.isidentifier()]
    return "\n".join([*lines, f"cd {shlex.quote(str(pathlib.Path.cwd()))}", f"exec {shlex.join(command)}", ""])


def followed(kernel, output):
    """Show what is written to the file ``output`` (str) until the kernel (:class:`subprocess.Popen`) has ended."""
    at, goes_on = 0, True
    while goes_on:
        goes_on = kernel.poll() is None
        with contextlib.suppress(FileNotFoundError), open(output, "rb") as file:
            file.seek(at)
            at += sys.stdout.buffer.write(file.read())
            sys.stdout.flush()
        time.sleep(PAUSE if goes_on else 0)


def status(said):
    """Return the status (int) of the command, which its kernel left in the directory ``said`` (str)."""
    try:
        with open(os.path.join(said, "status"), encoding="ascii") as file:
            return int(file.read())
    except (FileNotFoundError, ValueError):
        with open(os.path.join(said, "console"), encoding="utf-8", errors="replace") as file:
            last = "\n".join(file.read().splitlines()[-15:])
        raise Failed(f"the kernel of its own ended before the command did; it said last:\n{last}") from None


def main():
    if os.geteuid():
        raise Failed("only root can mount what a kernel of its own needs")
    processor, *command = sys.argv[1:]
    return ran(ready(), int(processor), command)


if __name__ == "__main__":
    sys.exit(_program.run(main, __doc__, passes_on=True))
