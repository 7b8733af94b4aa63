#!/usr/bin/env python3
"""
What it costs to change, check and load audit rules: ours beside the usual ways, in one run on one kernel.

    benchmarks/audit_rules.py [--count 1000] [--large 10000]

Takes root, the machine's audit subsystem for itself, and some minutes: deleting a rule takes the kernel about
13 ms, so that each reload of 1,000 rules that begins with -D takes about 13 s. Times are the best of the runs:
how long it took, and the processor's time of that, the kernel's and that of other programs included; what is waited
for, such as a disk, is in the first alone. Compare the ratios, which hold on any machine, and not the seconds.
"""

import argparse
import contextlib
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / name) for name in ("_utils", "bin")]

from _kernel import audit_lock  # noqa: E402
from sshtrail_lib.base import kernel, minion  # noqa: E402
from sshtrail_lib.rules import compile as compile_  # noqa: E402
from sshtrail_lib.rules import fields, host, language, overlap, plan, target, wish  # noqa: E402

KEY = "sshtrail-benchmark"


class Ours:
    """The host room, with what it needs of Salt in ``folder``."""

    def __init__(self, folder):
        opts = {"cachedir": str(folder / "cache"), "sshtrail.run_dir": str(folder / "run")}
        self.minion = minion.Minion({}, opts, {}, {})

    def load(self, rules_dir):
        """What ``audit_rules.load`` does."""
        return host.bring(self.minion, wish.Whole(), rules_dir)


def line(number, key=KEY):
    return f"-a always,exit -F arch=b64 -S openat -F auid={number + 1} -F key={key}-{number}"


class Tree:
    """An audit directory with ``count`` rules in rules.d; ``run`` runs a command that finds it as /etc/audit."""

    def __init__(self, folder, count):
        self.rules_dir = folder / "rules.d"
        self.rules_dir.mkdir()
        self.lines = [line(number) for number in range(count)]
        self.write()

    def write(self):
        (self.rules_dir / "audit.rules").write_text("".join(f"{one}\n" for one in ["-D", "-b 8192", *self.lines]))

    def change(self, number):
        """Give one rule in the middle another key."""
        middle = len(self.lines) // 2
        self.lines[middle] = line(middle, f"{KEY}-{number}")
        self.write()

    def run(self, *command):
        script = 'mount --bind "$1" /etc/audit && shift && exec "$@"'
        folder = str(self.rules_dir.parent)
        subprocess.run(
            ["unshare", "--mount", "sh", "-c", script, "sh", folder, *command], capture_output=True, check=False
        )


def used():
    """Return how long the processor has worked for this process and for those that it has waited for (seconds)."""
    whom = (resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return sum(one.ru_utime + one.ru_stime for one in whom)


def best(function, runs, before=lambda: None):
    """Return the shortest time and the least work (seconds each) of ``runs`` calls, each behind one of ``before``."""
    times, works = [], []
    for number in range(runs):
        before()
        start, begun = time.perf_counter(), used()
        function(number)
        times.append(time.perf_counter() - start)
        works.append(used() - begun)
    return min(times), min(works)


def rows(title, measured):
    """Print what was measured (``{name: ((seconds, seconds of work), operations)}``), beside the first of it."""
    print(f"\n{title:46} {'time':>10} {'':12} {'work':>13}")
    (_, reference), _ = next(iter(measured.values()))
    for name, ((seconds, work), operations) in measured.items():
        print(
            f"  {name:44} {seconds * 1000:10.1f} ms {work * 1000:10.1f} ms {work / reference:9.1f} x   {operations}",
            flush=True,
        )


#: How many times the first row's work a look in a new process, and a first load that of augenrules, may take.
LOOK, FIRST = 4, 2


def judge(title, measured, name, most):
    """Say whether the row called ``name`` takes at most ``most`` times the work of the first one."""
    ratio = measured[name][0][1] / next(iter(measured.values()))[0][1]
    print(f"  {title}: {ratio:.1f} times, at most {most}: {'kept' if ratio <= most else 'NOT KEPT'}")


def forget():
    """Forget what this process remembers of files that it has read and compiled."""
    target.forget()
    for module in (fields, language, compile_, plan, overlap):
        for remembered in vars(module).values():
            if hasattr(remembered, "cache_clear"):
                remembered.cache_clear()


def cold(function):
    def run(number):
        forget()
        function(number)

    return run


def clear():
    for rule in kernel.rules():
        kernel.delete(rule)


def one_changed(ours, tree, runs):
    def apply(number):
        tree.change(number)
        ours.load(str(tree.rules_dir))

    def reload(number, *command):
        tree.change(f"r{number}")
        tree.run(*command)

    ours.load(str(tree.rules_dir))
    count = len(tree.lines)
    measured = {"ours": (best(apply, runs), "1 addition, 1 deletion")}
    measured["augenrules --load"] = (best(lambda n: reload(n, "augenrules", "--load"), 1), f"{count} of each")
    text = "/etc/audit/audit.rules"
    measured["auditctl -R"] = (best(lambda n: reload(n, "auditctl", "-R", text), 1), f"{count} of each")
    rows(f"one rule changed among {count}", measured)


def nothing_changed(ours, tree, runs):
    ours.load(str(tree.rules_dir))
    held = [target.describe(rule) for rule in kernel.rules()]

    def listed(_number):
        done = subprocess.run(["auditctl", "-l"], capture_output=True, text=True, check=True)
        return done.stdout.splitlines() == held

    directory = str(tree.rules_dir)
    measured = {
        "the kernel's list, read and not compared": (best(lambda n: kernel.rules(), runs), "one request"),
        "ours, files known to the process": (best(lambda n: ours.load(directory), runs), "one request"),
        "ours, in a new process": (best(cold(lambda n: ours.load(directory)), runs), "one request"),
        "auditctl -l, compared as text": (best(listed, runs), "one request, one process"),
    }
    rows(f"nothing changed among {len(tree.lines)}", measured)
    judge("a look in a new process", measured, "ours, in a new process", LOOK)


def first_load(ours, tree, runs):
    directory, text = str(tree.rules_dir), "/etc/audit/audit.rules"
    count = f"{len(tree.lines)} additions"

    def without():
        clear()
        (tree.rules_dir.parent / "audit.rules").unlink(missing_ok=True)
        shutil.rmtree(ours.minion.run_dir, ignore_errors=True)

    measured = {"ours": (best(cold(lambda n: ours.load(directory)), runs, without), count)}
    measured["augenrules --load"] = (best(lambda n: tree.run("augenrules", "--load"), runs, without), count)
    measured["auditctl -R"] = (best(lambda n: tree.run("auditctl", "-R", text), runs, clear), count)
    clear()
    rows(f"first load of {len(tree.lines)}", measured)
    ours_first = {"augenrules --load": measured["augenrules --load"], "ours": measured["ours"]}
    judge("the first load", ours_first, "ours", FIRST)


@contextlib.contextmanager
def alone():
    """Have the audit subsystem alone; leave it without rules and with the status that it had."""
    with audit_lock():
        status = kernel.status()
        if kernel.rules() or status["immutable"]:
            sys.exit("This kernel holds audit rules, or is locked: run this on a machine without.")
        try:
            yield
        finally:
            clear()
            kernel.set_status({name: status[name] for name in kernel.SETTINGS})


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument(
        "--large", type=int, default=0, help="also check this many rules (deleting 10,000 takes minutes)"
    )
    options = parser.parse_args()
    with alone(), tempfile.TemporaryDirectory() as folder:
        ours = Ours(pathlib.Path(folder))
        small = pathlib.Path(folder) / "small"
        small.mkdir()
        tree = Tree(small, options.count)
        first_load(ours, tree, 3)
        nothing_changed(ours, tree, 5)
        one_changed(ours, tree, 5)
        if options.large:
            large = pathlib.Path(folder) / "large"
            large.mkdir()
            nothing_changed(ours, Tree(large, options.large), 3)


if __name__ == "__main__":
    main()
