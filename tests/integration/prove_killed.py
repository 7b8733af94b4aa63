"""
Kill a proof at its steps, in the sandbox where this runs, and look at what it left.

usage: prove_killed.py MINION_CONFIG STRIDE
"""

import pathlib
import re
import subprocess
import sys
import tempfile
import time

TESTS = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS / "functional"), str(TESTS.parent / "_utils")]

import salt.config  # noqa: E402
import salt.loader  # noqa: E402
import salt.pillar  # noqa: E402
from killing import killed_at  # noqa: E402
from sshtrail_lib.coverage import leftovers  # noqa: E402

KEYS = pathlib.Path(leftovers.HOME, ".ssh", "authorized_keys")


def main(config, stride):
    opts = salt.config.minion_config(config)
    opts["grains"] = salt.loader.grains(opts)
    opts["pillar"] = salt.pillar.get_pillar(opts, opts["grains"], opts["id"], "base").compile_pillar()
    functions = salt.loader.minion_mods(opts)
    cache, run = pathlib.Path(opts["cachedir"], "sshtrail"), pathlib.Path("/run/sshtrail")
    scratch = tempfile.mkdtemp(dir="/run")
    assert functions["sshtrail.prove"]()["holds"]
    clean = listed(cache, run)
    step, kills, entries = 1, 0, 0
    while killed_at(step, lambda: functions["sshtrail.prove"](), scratch):
        kills += 1
        entries += worthless(run, step)
        # The next look for drift, and the next proof, remove it; in turn.
        if kills % 2:
            ended()
            functions["sshtrail_proof.clear"]()
        else:
            found = functions["sshtrail.prove"]()
            assert found["holds"], (step, found)
        assert listed(cache, run) == clean, (step, listed(cache, run))
        step += stride
    assert kills > 5 and entries, (kills, entries)
    print(f"{kills} kills, {entries} with an entry left")


def worthless(run, step):
    """Assert that no private key is there together with what lets it in; return whether there was an entry (bool)."""
    private = (run / "proof-key" / "key").exists()
    entry = KEYS.exists() and KEYS.read_text()
    assert not (private and entry), step
    if entry:
        assert re.match('restrict,from="127.0.0.1",command="/bin/true [^"]*",expiry-time="[0-9]+Z?" ', entry), step
    return bool(entry)


def ended():
    """Wait until the client of a killed proof has ended: it does by itself."""
    for _ in range(400):
        if not subprocess.run(["pgrep", "-f", "HostKeyAlias=sshtrail-proof"], capture_output=True).stdout:
            return
        time.sleep(0.05)
    raise AssertionError("a client lives on")


def listed(*directories):
    home = [leftovers.HOME] if pathlib.Path(leftovers.HOME).exists() else []
    return home + sorted(str(path) for directory in directories for path in directory.rglob("*"))


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
