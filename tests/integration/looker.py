"""
A host's controls, looked at again and again by a process that has loaded Salt already: each look is a child's of it.

    looker.py MINION_CONFIG CHECKOUT

Takes one JSON object a line: ``script`` (what the child does first, in mounts of its own), ``readings`` (other ways to
see it, after that, by name) and ``looks`` (whether controls are asked for at all). Writes one for each: what the
readings said, and each control's status, layer, evidence and checks.
"""

import ctypes
import json
import os
import subprocess
import sys

import salt.config
import salt.loader

CLONE_NEWNS = 0x00020000
RULES = {"groups": {"scope": True}}


def main(config, checkout):
    opts = salt.config.minion_config(config)
    opts["grains"] = salt.loader.grains(opts)
    opts["pillar"] = {"sshtrail": {"environment": "test", "rules": RULES}}
    call = salt.loader.minion_mods(opts, utils=salt.loader.utils(opts))
    sys.path.insert(0, os.path.join(checkout, "_utils"))
    from sshtrail_lib.base.minion import Minion

    minion, policy = Minion(call, opts, {}, opts["grains"]), call["sshtrail.policy"]()
    print(flush=True)
    for line in sys.stdin:
        asked = json.loads(line)
        read, write = os.pipe()
        child = os.fork()
        if not child:
            os.write(write, json.dumps(look(minion, policy, asked)).encode())
            os._exit(0)
        os.close(write)
        with open(read, "rb") as said:
            told = said.read().decode()
        os.waitpid(child, 0)
        print(told, flush=True)


def look(minion, policy, asked):
    """Return what one child found (dict)."""
    from sshtrail_lib.compliance import host, rows
    from sshtrail_lib.policy.controls import CONTROLS

    if asked.get("script"):
        assert ctypes.CDLL(None).unshare(CLONE_NEWNS) == 0
        sh("mount --make-rprivate /")
        # The host itself remembers nothing of what is there in these mounts alone, such as another log.
        sh(f"rm -rf /run/memory && cp -a {minion.cachedir}/sshtrail /run/memory")
        sh(f"mount --bind /run/memory {minion.cachedir}/sshtrail")
        sh(asked["script"])
    readings = {name: sh(reading, check=False) for name, reading in asked["readings"].items()}
    if not asked["looks"]:
        return {"readings": readings}
    found = rows.rows(host.gather(minion, policy, 86400.0), CONTROLS, str, {}, "2026-11-26T00:00:00.000Z")
    told = {row["control"]: [row["status"], row["layer"], row["evidence"], row["checks"]] for row in found}
    return {"readings": readings, "controls": told}


def sh(script, check=True):
    """Run a script for /bin/sh (str) and return what it said (str)."""
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    if check and done.returncode:
        raise SystemExit(f"{script}: {done.stdout}{done.stderr}")
    return done.stdout + done.stderr


if __name__ == "__main__":
    main(*sys.argv[1:])
