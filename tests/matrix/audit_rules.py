#!/usr/bin/env python3
"""
Hold our compiler against the installed auditctl, rule by rule, with the kernel as the judge.

    tests/matrix/audit_rules.py [--root DIR]... FILE...

Each line of each FILE is loaded by auditctl and by us, alone, and the kernel's bytes must be the same; what
auditctl refuses we must refuse. With --root the same runs in a root directory with another release (its own
python3, auditctl and libaudit) on this kernel; give the option once for each. Takes root, the machine's audit
subsystem for itself, and about 50 ms for each line and root: 1,000 lines on four releases are 4 minutes.
"""

import argparse
import collections
import contextlib
import importlib
import pathlib
import shutil
import subprocess
import sys
import tempfile
import types

HERE = pathlib.Path(__file__).resolve()
ROOMS = ("base.kernel", "rules.language", "rules.accounts", "rules.compile")
FINE = ("same", "both refuse")


def import_ours():
    """Import what is to be tried; a release without Salt gets stand-ins for the two exceptions that are used."""
    sys.path[:0] = [str(HERE.parent), str(HERE.parents[2] / "_utils") if len(HERE.parents) > 2 else "."]
    try:
        import salt.exceptions  # noqa: F401
    except ImportError:
        stand_in = types.ModuleType("salt.exceptions")
        stand_in.CommandExecutionError = type("CommandExecutionError", (Exception,), {})
        stand_in.SaltInvocationError = type("SaltInvocationError", (TypeError,), {})
        sys.modules.update({"salt": types.ModuleType("salt"), "salt.exceptions": stand_in})
    return [importlib.import_module(f"sshtrail_lib.{name}") for name in ROOMS]


class Judge:
    """One release: its libaudit through our binding, and its auditctl."""

    def __init__(self):
        self.kernel, self.rules, self.accounts, self.compile = import_ours()

    def compare(self, line):
        """Return what came of ``line`` (bytes): one of :data:`FINE`, or what is wrong."""
        ours, theirs = self.ours(line.decode("utf-8", "surrogateescape")), self.theirs(line)
        if ours is None or theirs is None:
            return "both refuse" if ours == theirs else "only we refuse" if ours is None else "only auditctl refuses"
        return self.same(line, ours) if ours == theirs else "different bytes"

    def ours(self, line):
        with contextlib.suppress(self.rules.RuleError):
            rule = self.accounts.parse_rule(line)
            data = self.compile.compile(rule)
            if not self.compile.absent_directory(rule):
                return data
        return None

    def theirs(self, line):
        with tempfile.NamedTemporaryFile(suffix=".rules") as file:
            file.write(line + b"\n")
            file.flush()
            subprocess.run(["auditctl", "-R", file.name], capture_output=True, check=False)
        return next(iter(self.taken()), None)

    def taken(self):
        """Return the rules of the kernel (list of bytes) and leave it without any."""
        held = self.kernel.rules()
        for rule in held:
            self.kernel.delete(rule)
        return held

    def same(self, line, data):
        """Return ``same`` if the rule also comes back from the kernel, from its own description and from its text."""
        self.kernel.add(data)
        listed = self.taken()
        again = self.compile.compile(self.accounts.parse_rule(str(self.compile.decompile(data))))
        text = str(self.accounts.parse_rule(line.decode("utf-8", "surrogateescape")))
        if listed != [data]:
            return "the kernel lists it otherwise"
        return "same" if again == data and str(self.accounts.parse_rule(text)) == text else "its text reads otherwise"


def judge(files, quiet=False):
    """Compare every line of ``files`` (list of pathlib.Path); returns ``{outcome: [lines]}``."""
    found, here = collections.defaultdict(list), Judge()
    for file in files:
        for line in file.read_bytes().split(b"\n"):
            if line.strip() and not line.startswith(b"#"):
                found[here.compare(line)].append(line)
    if not quiet:
        report(found)
    return found


def report(found):
    for outcome, lines in sorted(found.items()):
        print(f"{len(lines):5} {outcome}", flush=True)
        for line in lines if outcome not in FINE else ():
            print(f"        {line.decode('utf-8', 'backslashreplace')}")


def judge_in(root, files):
    """Run this program on ``files`` in the directory ``root`` (pathlib.Path); returns its exit status."""
    with tempfile.TemporaryDirectory(dir=root / "tmp") as inside:
        for path in (HERE, *files):
            shutil.copy(path, inside)
        shutil.copytree(HERE.parents[2] / "_utils" / "sshtrail_lib", pathlib.Path(inside) / "sshtrail_lib")
        program = [f"/tmp/{pathlib.Path(inside).name}/{path.name}" for path in (HERE, *files)]
        print(root.name, flush=True)
        return subprocess.run(["chroot", root, "python3", "-B", *program, "--locked"], check=False).returncode


def alone():
    """Hold the lock of the machine's one audit subsystem (a context manager)."""
    sys.path.insert(0, str(HERE.parents[2] / "bin"))
    return importlib.import_module("_kernel").audit_lock()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=pathlib.Path, metavar="FILE")
    parser.add_argument("--root", action="append", type=pathlib.Path, default=[], metavar="DIR")
    parser.add_argument("--locked", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    with contextlib.nullcontext() if options.locked else alone():
        if options.root:
            return max(judge_in(root, options.files) for root in options.root)
        return int(any(outcome not in FINE for outcome in judge(options.files)))


if __name__ == "__main__":
    sys.exit(main())
