"""
What people do, one thing after another, each under a name of its own in the audit log; run by test_rule_groups.

Reads JSON from its standard input: a list of ``[name, act, path]``. Standard library only.
"""

import contextlib
import ctypes
import json
import os
import subprocess
import sys

CLONE_NEWNS, CLONE_NEWUTS, MS_PRIVATE_ALL = 0x00020000, 0x04000000, 0x44000
LIBC = ctypes.CDLL(None, use_errno=True)
PERSON = 4242
# The same on every machine.
MOVE_MOUNT, FSOPEN, FSCONFIG, FSMOUNT, OPENAT2 = 429, 430, 431, 432, 437
FCHMODAT2, SETXATTRAT, REMOVEXATTRAT = 452, 463, 466
FSCONFIG_CMD_CREATE, MOVE_MOUNT_F_EMPTY_PATH, AT_FDCWD = 6, 4, -100


def opened(path, flags):
    os.close(os.open(path, flags, 0o644))


def as_person(*command):
    """Run a program as somebody who is not root."""
    subprocess.run(command, check=False, user=PERSON, group=PERSON, extra_groups=[])


def alone(path):
    """Mount and unmount where nobody else sees it."""
    assert LIBC.mount(b"none", path.encode(), b"tmpfs", 0, None) == 0, os.strerror(ctypes.get_errno())
    assert LIBC.umount2(path.encode(), 0) == 0


def by_descriptor(path):
    """Run a program as somebody who is not root, as fexecve(3) does."""
    child = os.fork()
    if not child:
        os.setgroups([])
        os.setgid(PERSON)
        os.setuid(PERSON)
        os.execve(os.open(path, os.O_RDONLY), [path], {})
    os.waitpid(child, 0)


def alone_by_newer_calls(path):
    """Mount as util-linux does since 2.39."""
    kind = LIBC.syscall(FSOPEN, b"tmpfs", 0)
    assert LIBC.syscall(FSCONFIG, kind, FSCONFIG_CMD_CREATE, None, None, 0) == 0, os.strerror(ctypes.get_errno())
    made = LIBC.syscall(FSMOUNT, kind, 0, 0)
    assert LIBC.syscall(MOVE_MOUNT, made, b"", AT_FDCWD, path.encode(), MOVE_MOUNT_F_EMPTY_PATH) == 0
    os.close(made)
    os.close(kind)
    assert LIBC.umount2(path.encode(), 0) == 0


def refused_by_openat2(path):
    """Ask for a file by a newer call."""
    how = (ctypes.c_uint64 * 3)(os.O_RDONLY, 0, 0)
    os.seteuid(PERSON)
    assert LIBC.syscall(OPENAT2, AT_FDCWD, path.encode(), ctypes.byref(how), ctypes.sizeof(how)) == -1
    os.seteuid(0)


def refused(path):
    """Ask for a file as somebody who may not have it."""
    os.seteuid(PERSON)
    with contextlib.suppress(PermissionError):
        opened(path, os.O_RDONLY)
    os.seteuid(0)


def labelled(path):
    """Give it an attribute; a file system that has none refuses, and the attempt counts."""
    with contextlib.suppress(OSError):
        os.setxattr(path, "user.test", b"x")


ACTS = {
    "create": lambda path: opened(path, os.O_WRONLY | os.O_CREAT),
    "write": lambda path: opened(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
    "append": lambda path: opened(path, os.O_WRONLY | os.O_APPEND),
    "truncate": lambda path: os.truncate(path, 0),
    "chmod": lambda path: os.chmod(path, 0o600),
    "chown": lambda path: os.chown(path, 0, 0),
    "setxattr": labelled,
    "rename": lambda path: os.rename(path, f"{path}.moved"),
    "replace": lambda path: os.rename(f"{path}.moved", path),
    "link": lambda path: os.link(path, f"{path}.link"),
    "delete": lambda path: os.unlink(path),
    "mkdir": lambda path: os.mkdir(path),
    "rmdir": lambda path: os.rmdir(path),
    "read": lambda path: opened(path, os.O_RDONLY),
    "run": lambda path: as_person(path),
    "execveat": by_descriptor,
    "refused": refused,
    "openat2": refused_by_openat2,
    "mount": alone,
    "fsmount": alone_by_newer_calls,
    # An older kernel has none of these, and the attempt counts.
    "fchmodat2": lambda path: LIBC.syscall(FCHMODAT2, AT_FDCWD, path.encode(), 0o600, 0),
    "setxattrat": lambda path: LIBC.syscall(SETXATTRAT, AT_FDCWD, path.encode(), 0, b"user.test", None, 0),
    "removexattrat": lambda path: LIBC.syscall(REMOVEXATTRAT, AT_FDCWD, path.encode(), 0, b"user.test"),
    "hostname": lambda path: LIBC.sethostname(os.uname().nodename.encode(), len(os.uname().nodename)),
    # A time before all others, and no module: the kernel refuses, and the attempt counts.
    "clock": lambda path: LIBC.clock_settime(0, ctypes.byref((ctypes.c_long * 2)(-1, 0))),
    "adjust": lambda path: LIBC.adjtimex(ctypes.byref((ctypes.c_char * 512)())),
    "module": lambda path: LIBC.delete_module(b"no-such-module", os.O_NONBLOCK),
}


def main():
    with open("/proc/self/loginuid", "w") as handle:
        handle.write(str(PERSON))
    # Mounts and the host's name are this process's own.
    assert LIBC.unshare(CLONE_NEWNS | CLONE_NEWUTS) == 0
    assert LIBC.mount(None, b"/", None, MS_PRIVATE_ALL, None) == 0
    for name, act, path in json.load(sys.stdin):
        with open("/proc/self/comm", "w") as handle:
            handle.write(name)
        ACTS[act](path)


if __name__ == "__main__":
    main()
