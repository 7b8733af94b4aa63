"""
Who ends what a run has started when the run itself is killed, and gives the kernel back what it had.

    _keeper.py PID

A run starts one keeper and hands it what it uses: each sandbox, and the machine's audit subsystem with its lock. When
the process PID has ended, in whatever way, the keeper kills all that lives in the run's sandboxes, has the kernel's
audit subsystem as it was, and ends too. It finds nothing to do after a run that ended by itself. Standard library only.

A process namespace would end with its first process too, but from within one nobody may be the kernel's audit daemon.
"""

import contextlib
import functools
import json
import os
import pathlib
import select
import shutil
import signal
import socket
import subprocess
import sys

import _kernel
from _prepare import Failed
from _waiting import DEADLINE, wait_for, watched

MOST = 1 << 20
END = b'{"do": "end"}'
# In a namespace of its own, for it outlives whoever shares the run's; and in a session of its own, so that no signal
# for the run's terminal or process group reaches it.
COMMAND = ["unshare", "--uts", sys.executable, "-S", "-E", os.path.realpath(__file__)]


class Keeper:
    """The run's side: what it hands over is kept as long as this process lives, or until it is taken back."""

    def __init__(self):
        self.control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        command = [*COMMAND, str(os.getpid())]
        with theirs:
            self.process = subprocess.Popen(
                command, stdin=theirs, stdout=subprocess.DEVNULL, cwd="/", start_new_session=True
            )

    def sandbox(self, pid):
        """Have all killed that lives in the UTS namespace of the process ``pid`` (int), and nobody else."""
        namespace = os.open(f"/proc/{pid}/ns/uts", os.O_RDONLY)
        self._tell("sandbox", namespace)
        os.close(namespace)

    def directory(self, path):
        """Have a directory (path-like) deleted."""
        self._tell("directory", path=str(path))

    @contextlib.contextmanager
    def audit(self, lock, status, rules):
        """Have the audit subsystem brought back (:func:`_kernel.bring_back`), and the lock held until it is."""
        self._tell("audit", lock, status=status, rules=rules)
        yield
        self._tell("release")

    def audit_aside(self):
        """Set the audit daemon that runs and the kernel's rules aside; they are back in the end."""
        with _kernel.audit_lock():
            status, rules = _kernel.audit_status(), _kernel.audit_rules()
            self._tell("host", status=status, rules=rules)
            _kernel.bring_back({**status, "pid": "0"}, [])

    def close(self):
        """Have everything brought back now, and wait for that."""
        self._tell("end")
        self.control.close()
        if self.process.wait(2 * DEADLINE + _kernel.LOCK_DEADLINE):
            raise Failed("what this run used is not as it was; the keeper said above why")

    def _tell(self, what, *descriptors, **more):
        socket.send_fds(self.control, [json.dumps({"do": what, **more}).encode()], descriptors)


@functools.cache
def keeper():
    """Return the one keeper (:class:`Keeper`) of this process."""
    return Keeper()


@contextlib.contextmanager
def audit_subsystem():
    """
    Have the machine's audit subsystem alone; gives its status and its rules, which are as before in the end.

    So they are when this process is killed, and nobody else gets the subsystem before.
    """
    with _kernel.audit_lock() as lock:
        before = {"status": _kernel.audit_status(), "rules": _kernel.audit_rules()}
        with keeper().audit(lock, **before):
            try:
                yield before["status"], before["rules"]
            finally:
                _kernel.bring_back(**before)


class Kept:
    """The keeper's side."""

    def __init__(self, owner):
        self.owner, self.namespaces, self.directories = owner, [], []
        self.lock, self.before, self.aside = None, None, None

    def sandbox(self, namespace):
        # As long as it is open, no other namespace gets its number.
        self.namespaces.append(namespace)

    def directory(self, path):
        self.directories.append(path)

    def audit(self, lock, **before):
        self.lock, self.before = lock, before

    def release(self):
        os.close(self.lock)
        self.lock, self.before = None, None

    def host(self, **before):
        self.aside = before

    def bring_back(self):
        """Kill who is left, the kernel's audit daemon last, and give the kernel back what it had."""
        daemon = int(_kernel.audit_status()["pid"]) if self.before or self.aside else 0
        self.kill(self.owner, daemon)
        for path in self.directories:
            shutil.rmtree(path, ignore_errors=True)
        if self.before:
            _kernel.bring_back(**self.before)
            os.close(self.lock)
        if self.aside:
            with _kernel.audit_lock():
                self.kill(self.owner)
                _kernel.bring_host_back(**self.aside)
        self.kill(self.owner)

    def kill(self, *spared):
        """Kill everybody in the sandboxes but the processes ``spared`` (int)."""
        kill_inhabitants({identity(os.fstat(namespace)) for namespace in self.namespaces}, spared)


def kill_inhabitants(namespaces, spared=()):
    """Kill the processes in UTS namespaces (set of :func:`identity`), and wait until nobody is left there."""
    wait_for(
        lambda: not [_kill(pid) for pid in inhabitants(namespaces) if pid not in spared], "the end of the processes"
    )


def inhabitants(namespaces):
    """Return the processes (list of int) that live in one of the UTS namespaces (set of :func:`identity`)."""
    found = []
    for entry in pathlib.Path("/proc").glob("[0-9]*"):
        # One that has ended, and for which nobody has waited yet, lives nowhere.
        with contextlib.suppress(OSError):
            if identity(os.stat(entry / "ns" / "uts")) in namespaces:
                found.append(int(entry.name))
    return found


def identity(facts):
    """Return what tells one namespace from another (tuple) in what :func:`os.stat` says of it."""
    return facts.st_dev, facts.st_ino


def _kill(pid):
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, signal.SIGKILL)
    return pid


def listen(kept, control, owner):
    """Take what the run hands over until ``owner`` (a file descriptor of its process) says that it has ended."""
    while control in select.select([control, owner], [], [])[0]:
        message, descriptors, _, _ = socket.recv_fds(control, MOST, 1)
        wanted = json.loads(message or END)
        if (what := wanted.pop("do")) == "end":
            return
        getattr(kept, what)(*descriptors, **wanted)


def main(owner):
    kept = Kept(owner)
    with socket.socket(fileno=0) as control:
        try:
            with watched(owner) as process:
                listen(kept, control, process)
        except ProcessLookupError:
            # It ended at once; what it has said is here, and then the end.
            listen(kept, control, control)
    kept.bring_back()


if __name__ == "__main__":
    try:
        main(int(sys.argv[1]))
    except Failed as exc:
        sys.exit(f"keeper: {exc}")
