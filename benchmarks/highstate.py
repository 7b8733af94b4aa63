#!/usr/bin/env python3
"""
What a highstate costs that changes nothing: the default policy beside an empty run, beside the package and service
checks alone, and beside the same content by file.managed and service.running.

    benchmarks/highstate.py [--repeat N]

Takes root, the machine's audit subsystem for itself, and some minutes. Runs in the sandbox of the integration tests,
with the Salt of the Python that runs this, one contender after the other in each round, all on one configuration.
Prints medians of whole salt-call processes: time on the clock, time on the processor, and what Salt itself reports
for its states. On a busy machine believe the processor's time.
"""

import argparse
import json
import os
import pathlib
import resource
import stat
import statistics
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("tests", "tests/integration", "_utils", "bin")]

from sandbox import Host  # noqa: E402
from support import audit_status, audit_subsystem, auditctl  # noqa: E402

FILES = [
    "/etc/ssh/sshd_config",
    "/etc/audit/auditd.conf",
    "/etc/audit/rules.d/zz-sshtrail.rules",
    "/etc/audit/audit.rules",
]
PACKAGES = ["openssh-server", "auditd"]
SERVICES = ["ssh", "auditd"]
# The name that the table shows, and the SLS that is applied.
CONTENDERS = {
    "empty: one test.nop": "empty",
    (CHECKS := "packages and services alone"): "checks",
    (POLICY := "the default policy"): "sshtrail",
    "file.managed, service.running": "plain",
}


def states(host):
    """Return the SLS files that are compared (dict of name to mapping)."""
    packages = {f"package {name}": {"pkg.installed": [{"name": name}]} for name in PACKAGES}
    services = {name: {"sshtrail_service.running": [{"enable": True}]} for name in SERVICES}
    files = {
        path: {"file.managed": [{"source": f"salt://files{path}"}, {"mode": mode(host, path)}, {"user": "root"}]}
        for path in FILES
    }
    plain = {name: {"service.running": [{"enable": True}]} for name in SERVICES}
    return {
        "empty": {"nothing": {"test.nop": []}},
        "checks": packages | services,
        "plain": packages | files | plain,
    }


def mode(host, path):
    return f"{stat.S_IMODE(host.inside(path).stat().st_mode):o}"


def write(host):
    """Write the SLS files, the files that they manage and a minion's configuration below the sandbox's base."""
    base = host.base / "bench"
    for path in FILES:
        copy = base / "files" / path.lstrip("/")
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(host.read(path))
    for name, content in states(host).items():
        (base / f"{name}.sls").write_text(json.dumps(content))
    config = json.loads((host.base / "conf" / "minion").read_text())
    config |= {"file_roots": {"base": [str(base), str(ROOT / "salt")]}, "autoload_dynamic_modules": False}
    config |= {"enable_gpu_grains": False}
    (host.base / "conf" / "minion").write_text(json.dumps(config))


def measure(host, name):
    """Apply the SLS ``name``; return milliseconds: on the clock, on the processor, and of each state as Salt tells."""
    salt_call = pathlib.Path(sys.executable).parent / "salt-call"
    command = [salt_call, "--local", "-c", host.base / "conf", "--out", "json", "state.apply", name]
    before, started = processor(), time.perf_counter()
    done = host.run(*command, env=environment(host))
    taken, used = (time.perf_counter() - started) * 1000, processor() - before
    results = json.loads(done.stdout)["local"].values()
    unclean = [one for one in results if one["result"] is not True or one["changes"]]
    assert not unclean, unclean
    return taken, used, {one["__id__"]: float(one["duration"]) for one in results}


def environment(host):
    """Compiled modules are kept, as on a minion, whatever the caller's environment says; but not in the checkout."""
    kept = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    return kept | {"PYTHONPYCACHEPREFIX": str(host.base / "compiled")}


def processor():
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (used.ru_utime + used.ru_stime) * 1000


def compare(host, repeat):
    """
    Return what :func:`measure` returns for each contender, as medians, and what :func:`above` makes of the rounds.

    The first round only warms up.
    """
    write(host)
    rounds = [{name: measure(host, sls) for name, sls in CONTENDERS.items()} for _number in range(repeat + 1)][1:]
    return {name: medians([one[name] for one in rounds]) for name in CONTENDERS}, above(rounds)


def above(rounds):
    """
    Return by how much the policy exceeds packages and services: quartiles on the clock, on the processor, of states.

    Of the differences within each round, for a machine that is busy for a while slows all that is measured then.
    """
    pairs = [(totals(one[POLICY]), totals(one[CHECKS])) for one in rounds]
    differences = [[more - less for more, less in zip(*pair, strict=True)] for pair in pairs]
    return [statistics.quantiles(column, n=4) for column in zip(*differences, strict=True)]


def totals(measured):
    clock, used, states = measured
    return clock, used, sum(states.values())


def medians(measured):
    clock, used, states = zip(*measured, strict=True)
    each = {name: statistics.median(one[name] for one in states) for name in states[0]}
    return statistics.median(clock), statistics.median(used), each


def show(results, excess, repeat):
    empty, policy = next(iter(results.values())), results[POLICY]
    print(f"nothing to change; median of {repeat}, milliseconds; in brackets beside the empty run")
    print(f"  {'':<32} {'on the clock':>20} {'on the processor':>20} {'states alone':>13}")
    for name, (clock, used, states) in results.items():
        ratios = [f"{value:9.0f} ({value / base:5.2f} x)" for value, base in zip((clock, used), empty, strict=False)]
        print(f"  {name:<32} {ratios[0]:>20} {ratios[1]:>20} {sum(states.values()):13.1f}")
    print("the policy above packages and services, median and quartiles of the rounds:")
    for name, (low, middle, high) in zip(("on the clock", "on the processor", "states alone"), excess, strict=True):
        print(f"  {name:<32} {middle:13.0f} ({low:.0f} to {high:.0f})")
    print("its states:")
    for name, taken in policy[2].items():
        print(f"  {name:<32} {taken:13.1f}")


def main():
    parser = argparse.ArgumentParser(description=__doc__.strip().split("\n\n")[0])
    parser.add_argument("--repeat", type=int, default=15)
    repeat = parser.parse_args().repeat
    with audit_subsystem(), tempfile.TemporaryDirectory() as base:
        if audit_status()["pid"] != "0" or "No rules" not in auditctl("-l"):
            return "an auditd runs here, or rules are loaded, which starting another one would delete"
        host = Host(base, ROOT)
        try:
            done = host.highstate()
            assert done.returncode == 0, done.stdout + done.stderr
            show(*compare(host, repeat), repeat)
        finally:
            host.close()
            auditctl("-D")
    return 0


if __name__ == "__main__":
    sys.exit(main())
