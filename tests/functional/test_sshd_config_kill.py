"""A transaction that is killed at any step leaves a whole tree, old or new, and a sshd that answers."""

import os
import signal
import subprocess
import sys
import tempfile

import pytest
from conftest import require_root
from test_sshd_config import SSHD, greets, poll, separation, server  # noqa: F401

# SSHTRAIL_KILL_EVERY=1 kills at every step (some minutes); the default is a sample.
STRIDE = int(os.environ.get("SSHTRAIL_KILL_EVERY", "31"))
# What changes or asks something outside of the process.
STEPS = ("open", "os.", "subprocess.", "socket.connect", "shutil.", "tempfile.", "fcntl.")


def killed_at(step, call, scratch):
    """Run ``call`` in a child that kills itself at its ``step``-th step, its temporary files in ``scratch``."""
    child = os.fork()
    if child == 0:
        _devnull()
        tempfile.tempdir = str(scratch)
        left = [step]

        def hook(event, _arguments):
            if event.startswith(STEPS):
                left[0] -= 1
                if left[0] == 0:
                    os.kill(os.getpid(), signal.SIGKILL)

        sys.addaudithook(hook)
        try:
            call()
        finally:
            os._exit(0)
    return os.WIFSIGNALED(os.waitpid(child, 0)[1])


def _devnull():
    null = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1, 2):
        os.dup2(null, descriptor)


@pytest.mark.parametrize("first", [1, 12, 23])
def test_a_transaction_killed_at_any_step(server, modules, first):  # noqa: F811
    require_root()
    drop_in = server.drop_ins / "50.conf"
    old = {server.path: server.path.read_bytes(), drop_in: b"LogLevel INFO\nMatch User bob\nX11Forwarding no\n"}
    drop_in.write_bytes(old[drop_in])
    server.start()
    config = {"LogLevel": "VERBOSE", "MaxAuthTries": 3}

    def change():
        modules.sshd_config.apply(config, path=str(server.path))

    change()
    new = {path: path.read_bytes() for path in old}
    step, kills, scratch = first, 0, server.base / "scratch"
    scratch.mkdir()
    while True:
        for path, data in old.items():
            path.write_bytes(data)
        if not killed_at(step, change, scratch):
            break
        kills += 1
        now = {path: path.read_bytes() for path in old}
        assert all(now[path] in (old[path], new[path]) for path in old), step
        subprocess.run([SSHD, "-t", "-f", server.path], check=True)
        assert poll(lambda: greets(server.port)), step
        # Whoever comes next reads either tree as a whole, and completes the change.
        level, tries = (
            modules.sshd_config.effective(path=str(server.path))[name]["value"] for name in ("LogLevel", "MaxAuthTries")
        )
        assert (level, tries) in (("INFO", "6"), ("VERBOSE", "3")), step
        change()
        assert {path: path.read_bytes() for path in old} == new, step
        assert modules.sshd_config.diff(config, path=str(server.path)) == {}
        step += STRIDE
    assert kills > 3
    print(f"{kills} kills")
