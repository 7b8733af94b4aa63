#!/usr/bin/env python3
"""
What it costs to read the sessions out of a large audit log, beside aulast, ausearch and aureport.

usage: benchmarks/trail.py [GIGABYTES [GIGABYTES FOR since=1h]]

The log is made of recorded logins, over and over with new times and new numbers, and removed in the end. All read the
same file in the same run, from memory where it fits. Each tool's best of two runs counts; memory is that of all its
processes together, looked at twenty times a second. Where others use the machine, compare the time of the processors.
"""

import gzip
import os
import pathlib
import re
import resource
import subprocess
import sys
import tempfile
import time

import psutil

ROOT = pathlib.Path(__file__).resolve().parents[1]
DATA = ROOT / "tests" / "data" / "sessions"
READ = """
import sys, time
sys.pycache_prefix = {cache!r}
sys.path.insert(0, {library!r})
from sshtrail_lib.trail import history
started = time.perf_counter()
wanted = history.Wanted(commands={commands}, since={since})
found = commands = 0
for one in history.sessions(history.Sources([{path!r}]), wanted):
    found += 1
    commands += one.commands if isinstance(one.commands, int) else sum(1 for _ in one.commands or ())
print(found, "sessions,", commands, "commands", round(time.perf_counter() - started, 3))
"""
NUMBERS = re.compile(rb"audit\((\d+)(\.\d+:)(\d+)\)")
SESSION = re.compile(rb" ses=(\d{1,9}) ")
#: How often each command is there, and how many seconds lie between the parts of the log.
TIMES, SPAN = 20, 600


def events():
    """
    Return recorded events (bytes), each with a number of its own: each login's commands are there twenty times over.

    People do more in a session than those of the tests do; without their longest arguments.
    """
    log = gzip.decompress((DATA / "audit.log.1.gz").read_bytes())
    found = {}
    for line in log.splitlines(True):
        if len(line) < 4000:
            found.setdefault(NUMBERS.search(line)[0], []).append(line)
    out, serial = [], 0
    for lines in found.values():
        for _ in range(TIMES if lines[0].startswith(b"type=SYSCALL") else 1):
            serial += 1
            out += [NUMBERS.sub(lambda m, serial=serial: b"audit(%s%s%d)" % (m[1], m[2], serial), one) for one in lines]
    return b"".join(out), serial


def written(path, size):
    """Write a log of so many bytes, of which each part is later than the one before; return its last second."""
    log, step = events()
    first, at = int(NUMBERS.search(log)[1]), 0
    with open(path, "wb") as out:
        while out.tell() < size:
            later = first - 86400 * 365 + at * SPAN
            out.write(renumbered(log, first, later, at * step, at * 100))
            at += 1
    return later


def renumbered(log, first, later, serials, sessions):
    log = NUMBERS.sub(lambda m: b"audit(%d%s%d)" % (int(m[1]) - first + later, m[2], int(m[3]) + serials), log)
    return SESSION.sub(lambda m: b" ses=%d " % (int(m[1]) + sessions), log)


def compiled_once():
    """Return the environment (dict) of a Python that keeps what it has compiled, as an installed one does."""
    return {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}


def measured(command):
    """Run a command; return its seconds, those of the processors, the most memory of its processes, its last line."""
    started, busy, most = time.perf_counter(), spent(), 0
    silent = {"stdin": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "env": compiled_once()}
    with (
        subprocess.Popen(command, stdout=subprocess.PIPE, **silent) as one,
        subprocess.Popen(["tail", "-n", "1"], stdin=one.stdout, stdout=subprocess.PIPE) as sink,
    ):
        process = psutil.Process(one.pid)
        while one.poll() is None:
            most = max(most, memory(process))
            time.sleep(0.05)
        seconds = time.perf_counter() - started
        last = sink.communicate()[0]
    return seconds, spent() - busy, most, last.decode(errors="replace").strip()[:60]


def spent():
    """Return the seconds of processors that all children that ended have had, tail(1) among them."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime


def memory(process):
    """Return the bytes that a process and its children hold, what they share divided among them."""
    try:
        return sum(one.memory_full_info().pss for one in [process, *process.children(recursive=True)])
    except psutil.Error:
        return 0


def reader(path, commands=False, since=None):
    places = {"library": str(ROOT / "_utils"), "cache": f"{path.parent}/pycache", "path": str(path)}
    code = READ.format(**places, commands=commands, since=since)
    return [sys.executable, "-c", code]


def shown(name, size, command, rounds=2):
    seconds, busy, most, last = min(measured(command) for _ in range(rounds))
    speed = f"{seconds:7.2f} s {size / seconds / 1e9:6.3f} GB/s {busy:7.2f} s of processors {most / 2**20:6.0f} MB"
    print(f"{name:24} {speed}  {last}", flush=True)
    return size / seconds


def main(gigabytes=1.0, long=0.0):
    with tempfile.TemporaryDirectory(prefix="sshtrail-benchmark-") as base:
        path = pathlib.Path(base) / "audit.log"
        written(path, gigabytes * 1e9)
        size = path.stat().st_size
        subprocess.run(["cat", path], stdout=subprocess.DEVNULL, check=True)
        last = shown("aulast", size, ["aulast", "-f", str(path)])
        search = shown("ausearch -k … --raw", size, ["ausearch", "-if", str(path), "-k", "ssh_commands", "--raw"])
        shown("aureport --summary", size, ["aureport", "-if", str(path), "--summary"], 1)
        without = shown("sessions", size, reader(path, None))
        shown("sessions and how many", size, reader(path))
        full = shown("sessions with commands", size, reader(path, True))
        print(f"without commands {without / last:.1f} times aulast, with commands {full / search:.1f} times ausearch")
        path.unlink()
        if long:
            end = written(path, long * 1e9)
            for commands in (False, True):
                shown("since=1h", path.stat().st_size, reader(path, commands, end - 3600))


if __name__ == "__main__":
    main(*map(float, sys.argv[1:]))
