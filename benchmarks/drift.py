#!/usr/bin/env python3
"""
What it costs to look for drift with 100 rules and 30 keywords: a tick, the whole look, and the usual tools.

usage: sudo benchmarks/drift.py [ROUNDS]

On a host in its policy (a sandbox), in turns. Each is measured in a process forked from one with Salt's loader,
and none of this project's modules, so that imports count. A minion's schedule asks first whether there is such a
function, which imports them, and forks a process for each tick then, with a loader of its own (salt/utils/schedule.py):
that is a row of its own. The processor's time includes that of processes that were started; Python's audit hook counts
these.
"""

import gc
import json
import os
import pathlib
import resource
import statistics
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("tests", "tests/integration", "_utils", "bin")]

import salt.config  # noqa: E402
import salt.loader  # noqa: E402
import salt.pillar  # noqa: E402
from _kernel import auditctl, auditd_ended  # noqa: E402
from sandbox import Host  # noqa: E402
from support import audit_subsystem  # noqa: E402

ROUNDS = 30
# Beside the policy's own: rules that watch files which nobody touches, and keywords at sshd's own defaults.
RULES = [f"-a always,exit -F path=/nonexistent-{number} -F perm=wa -F key=bench" for number in range(100)]
KEYWORDS = [
    *("AllowAgentForwarding", "AllowTcpForwarding", "ClientAliveCountMax", "ClientAliveInterval", "Compression"),
    *("GatewayPorts", "HostbasedAuthentication", "IgnoreRhosts", "LoginGraceTime", "MaxAuthTries", "MaxSessions"),
    *("MaxStartups", "PermitEmptyPasswords", "PermitTTY", "PermitTunnel", "PermitUserEnvironment", "PermitUserRC"),
    *("PrintLastLog", "PubkeyAuthentication", "StreamLocalBindMask", "StreamLocalBindUnlink", "StrictModes"),
    *("TCPKeepAlive", "UseDNS", "VersionAddendum", "X11DisplayOffset", "X11UseLocalhost", "IgnoreUserKnownHosts"),
]
STARTS = ("subprocess.Popen", "os.posix_spawn", "os.exec", "os.system")
TICK, AGAIN, LOOK, DUMP = "a tick, nothing changed", "the same check again", "the whole look", "auditctl -l, sshd -T"
SCHEDULED = "a tick, by the schedule"
PULSE, COVERAGE = "of a check, the trail", "of a look, the trail"


def main():
    rounds = sys.argv[1] if len(sys.argv) > 1 else str(ROUNDS)
    with audit_subsystem(), tempfile.TemporaryDirectory() as base:
        host = Host(base, ROOT)
        try:
            command = [sys.executable, __file__, "--inside", base, rounds]
            # A minion's modules are compiled once and kept, as Python does by itself.
            environ = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
            environ |= {"LC_ALL": "C", "PYTHONPYCACHEPREFIX": f"{base}/pycache"}
            print(host.run(*command, env=environ).stdout, end="")
        finally:
            host.stop_auditd()
            auditd_ended()
            auditctl("-D")
            host.close()


def inside(base, rounds):
    """Measure; this process already lives in the sandbox."""
    opts = options(base)
    salt = salt_loader(opts)
    forked(lambda: apply(salt))
    # What changed just before a look is looked at once more.
    time.sleep(3)
    forked(lambda: salt["sshtrail.look"](fresh=True))
    contenders = {TICK: [lambda: salt["sshtrail_watch.tick"]()], LOOK: [lambda: salt["sshtrail.look"](fresh=True)]}
    contenders[SCHEDULED] = scheduled(salt, opts)
    contenders[AGAIN] = contenders[TICK] * 2
    contenders[PULSE] = [pulse()] * 2
    # Whatever this process itself asked would be imported for all.
    contenders[COVERAGE] = [lambda: salt["sshtrail_coverage.findings"](salt["sshtrail.policy"]())] * 2
    contenders[DUMP] = [
        lambda: [subprocess.run(argv, capture_output=True) for argv in (["auditctl", "-l"], ["/usr/sbin/sshd", "-T"])]
    ]
    taken = {name: [] for name in contenders}
    for _ in range(rounds):
        for name, calls in contenders.items():
            taken[name].append(forked(*calls))
    table(taken, len(auditctl("-l").splitlines()))


def scheduled(minion, opts):
    """Return what the schedule does (list to be called without arguments): ask, make a loader, and run the tick."""
    own = {}
    return [
        lambda: "sshtrail_watch.tick" in minion,
        lambda: own.update(loader=salt_loader(opts)),
        lambda: own["loader"]["sshtrail_watch.tick"](),
    ]


def pulse():
    """Return what a check does for the trail alone, to be called without arguments."""

    def take():
        from sshtrail_lib.base import kernel
        from sshtrail_lib.coverage import pulse

        return pulse.take(pulse.Watched("/var/log/audit/audit.log", "10%", "/run/sshd.pid"), kernel.status())

    return take


def options(base):
    """Return the options of a masterless minion whose policy has the rules and keywords (dict)."""
    pillar = pathlib.Path(base, "pillar")
    pillar.mkdir()
    own = {"sshd": {"config": dict.fromkeys(KEYWORDS)}, "rules": {"groups": {"bench": {"rules": RULES}}}}
    (pillar / "own.sls").write_text(json.dumps({"sshtrail": own}))
    (pillar / "top.sls").write_text(json.dumps({"base": {"*": ["sshtrail.common", "sshtrail.prod", "own"]}}))
    opts = salt.config.minion_config(None)
    opts.update(root_dir=base, cachedir=f"{base}/cache", file_client="local", id="bench", module_dirs=[str(ROOT)])
    opts["file_roots"] = {"base": [str(ROOT / "salt")]}
    opts["pillar_roots"] = {"base": [str(pillar), str(ROOT / "pillar")]}
    opts["grains"] = salt.loader.grains(opts)
    compiler = salt.pillar.get_pillar(opts, opts["grains"], "bench", "base")
    opts["pillar"] = compiler.compile_pillar()
    return opts


def salt_loader(opts):
    """Return Salt's execution modules with what every minion has used: the first call of any function loads a lot."""
    modules = salt.loader.minion_mods(opts, utils=salt.loader.utils(opts))
    modules["test.ping"]()
    return modules


def apply(modules):
    for state in modules["state.apply"]("sshtrail").values():
        if not state["result"]:
            raise SystemExit(f"{state['__id__']}: {state['comment']}")


def forked(*calls):
    """Call functions in a process of their own; return seconds, processor's seconds and starts of the last (list)."""
    # Otherwise all that Salt has loaded is looked through for garbage in one of the children, in whichever it is due.
    gc.collect()
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writer, json.dumps(measured(calls)).encode())
        except Exception:
            traceback.print_exc()
        finally:
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader, "rb") as answer:
        taken = answer.read()
    os.waitpid(pid, 0)
    return json.loads(taken)


def measured(calls):
    started = []
    sys.addaudithook(lambda event, _: started.append(event) if event in STARTS else None)
    for call in calls:
        started.clear()
        before, since = used(), time.perf_counter()
        call()
        taken = [time.perf_counter() - since, used() - before, len(started)]
    return taken


def used():
    return sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))


def table(taken, rules):
    medians = {name: [statistics.median(column) for column in zip(*rows, strict=True)] for name, rows in taken.items()}
    print(f"{rules} rules in the kernel, {len(KEYWORDS) + 2} keywords of sshd; medians of {len(taken[TICK])} rounds")
    print(f"{'':<26}{'clock':>9}{'processor':>11}{'of the tools':>14}{'processes':>11}")
    for name, (clock, processor, started) in medians.items():
        ratio = processor / medians[DUMP][1]
        print(f"{name:<26}{clock * 1000:>6.1f} ms{processor * 1000:>8.1f} ms{ratio:>13.2f}x{started:>11.0f}")


if __name__ == "__main__":
    if sys.argv[1:2] == ["--inside"]:
        inside(sys.argv[2], int(sys.argv[3]))
    else:
        main()
