"""A transaction that is killed at any step leaves a whole tree, old or new, and a sshd that answers."""

import os
import subprocess

import pytest
from killing import killed_at
from sshd_server import SSHD, greeting
from support import require_root

# SSHTRAIL_KILL_EVERY=1 kills at every step (some minutes); the default is a sample.
STRIDE = int(os.environ.get("SSHTRAIL_KILL_EVERY", "31"))


@pytest.mark.usefixtures("untraced")
@pytest.mark.parametrize("first", [1, 12, 23])
def test_a_transaction_killed_at_any_step(server, modules, first):
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
        assert greeting(server.port), step
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
