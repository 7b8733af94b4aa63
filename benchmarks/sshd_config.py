#!/usr/bin/env python3
"""
What a run costs that changes nothing: ``sshd_config.managed`` beside the other ways to the same end.

    python benchmarks/sshd_config.py [--repeat N]

Needs root and Salt; python-augeas and libaugeas if they are to take part. Prints the median of each in
milliseconds, and its ratio to ``sshd -T`` alone, all measured in one run.
"""

import argparse
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

import salt.config
import salt.loader
import salt.state

ROOT = pathlib.Path(__file__).resolve().parent.parent
SSHD = shutil.which("sshd", path=os.environ["PATH"] + ":/usr/sbin")
# Printed by sshd -T, and not to be set twice or in a row with others.
NOT_SET = {"listenaddress", "hostkey", "port", "pidfile", "kerberosgetafstoken", "persourcepenalties", "rdomain"}
IN_MATCH = ("X11Forwarding", "PermitTTY", "MaxSessions", "LogLevel", "Banner", "GatewayPorts", "PermitTunnel")


def dump(path):
    result = subprocess.run([SSHD, "-T", "-f", path], capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in result.stdout.splitlines() if " " in line)


def keywords(count, path):
    """Return ``count`` settings that are sshd's own: a global mapping, and Match blocks for the rest."""
    known = {name: value for name, value in dump(path).items() if name.lower() not in NOT_SET}
    config = dict(list(known.items())[:count])
    values = {name: known[next(key for key in known if key.lower() == name.lower())] for name in IN_MATCH}
    matches, left = [], count - len(config)
    while left > 0:
        block = dict(list(values.items())[:left])
        matches.append({f"User user{len(matches)}": block})
        left -= len(block)
    return config, matches


def text(config, matches):
    lines = [f"{name} {value}" for name, value in config.items()]
    for block in matches:
        for criteria, values in block.items():
            lines += [f"Match {criteria}", *(f"\t{name} {value}" for name, value in values.items())]
    return "\n".join(lines) + "\n"


def runner_of(base):
    opts = salt.config.minion_config(None)
    own = {"root_dir": base, "cachedir": f"{base}/cache", "file_client": "local", "module_dirs": [str(ROOT)]}
    opts.update(own, id="benchmark", file_roots={"base": [base]}, **{"sshtrail.run_dir": f"{base}/run"})
    opts["grains"] = salt.loader.grains(opts)
    return salt.state.State(opts)


def run_state(runner, state, **arguments):
    name, _dot, function = state.partition(".")
    low = {"state": name, "fun": function, "__id__": state, "order": 1, "__env__": "base", "__sls__": "", **arguments}
    result = runner.call(low)
    assert (result["result"], result["changes"]) == (True, {}), result


def augeas(path, config):
    """Return a function that sets ``config`` with python-augeas, or None without it; Match blocks are left out."""
    try:
        import augeas as library
    except ImportError:
        return None

    def run():
        tool = library.Augeas(flags=library.Augeas.NO_MODL_AUTOLOAD)
        tool.set("/augeas/load/Sshd/lens", "Sshd.lns")
        tool.set("/augeas/load/Sshd/incl", path)
        tool.load()
        for name, value in config.items():
            tool.set(f"/files{path}/{name}", value)
        tool.save()
        tool.close()

    return run


def median(call, repeat):
    times = []
    for _number in range(repeat):
        started = time.perf_counter()
        call()
        times.append((time.perf_counter() - started) * 1000)
    return statistics.median(times)


def contenders(base, count):
    path = f"{base}/sshd_config"
    pathlib.Path(path).write_text("")
    config, matches = keywords(count, path)
    pathlib.Path(path).write_text(text(config, matches))
    runner = runner_of(base)

    def managed():
        run_state(runner, "sshd_config.managed", name=path, config=config, matches=matches, lowered="keep")

    def file_managed():
        run_state(runner, "file.managed", name=path, contents=text(config, matches), check_cmd=f"{SSHD} -t -f")

    yield "sshd -T alone", lambda: dump(path)
    yield "sshd_config.managed", managed
    yield "file.managed with check_cmd", file_managed
    single = {name: value for name, value in config.items() if " " not in value and "," not in value}
    if augeas(path, single):
        yield f"python-augeas ({len(single)} of them)", augeas(path, single)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--repeat", type=int, default=15)
    repeat = parser.parse_args().repeat
    for count in (10, 100):
        with tempfile.TemporaryDirectory() as base:
            print(f"{count} keywords, nothing to change; median of {repeat}:")
            reference = None
            for name, call in contenders(base, count):
                taken = median(call, repeat)
                reference = reference or taken
                print(f"  {name:<34} {taken:8.2f} ms   {taken / reference:5.2f} x")
    return 0


if __name__ == "__main__":
    sys.exit(main())
