#!/usr/bin/env python3
"""
Hold our reading and our edits of sshd_config against real sshds, on generated trees.

    python tests/matrix/sshd_config.py [--trees N] [--edits N] [--seed S] [ROOT …]

Each ROOT is a directory with another release's sshd in it, started with chroot (so this needs root); without any, the
sshd of this host judges. For 1,000 trees and 300 edits a release takes about two minutes on one core. Exit status
1 when anything differs, with the tree that shows it.
"""

import argparse
import itertools
import os
import pathlib
import shutil
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path[:0] = [str(ROOT / "_utils"), str(ROOT / "tests")]

from matrix import sshd_trees  # noqa: E402


def oracle(root):
    if root == "/":
        places = os.environ["PATH"] + ":/usr/sbin"
        return sshd_trees.Oracle([shutil.which("sshd", path=places)])
    return sshd_trees.Oracle(["chroot", root, "/usr/sbin/sshd"], root)


def shown(tree):
    return "\n".join(f"--- {path}\n{data.decode('latin-1')}" for path, data in tree.items())


def run(judge, trees, check, count):
    """Check ``count`` trees; return how many sshd accepts, and those that differ."""
    accepted, wrong = 0, []
    for tree in itertools.islice(iter(trees.tree, None), count):
        differences, valid = check(judge, tree)
        accepted += valid
        if differences:
            wrong.append("\n".join([*differences, shown(tree)]))
    return accepted, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("roots", nargs="*", default=["/"])
    parser.add_argument("--trees", type=int, default=1000)
    parser.add_argument("--edits", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    failed = 0
    for root in options.roots:
        started, judge = time.monotonic(), oracle(root)
        random_wishes = sshd_trees.Wishes(options.seed)
        for what, noise, check, count in (
            ("trees", 0.01, sshd_trees.compare, options.trees),
            ("noisy trees", 0.15, sshd_trees.compare, options.trees // 2),
            ("edits", 0, random_wishes.check, options.edits),
        ):
            trees = sshd_trees.Trees(options.seed, wrong=0 if what == "edits" else 0.006, noise=noise)
            accepted, wrong = run(judge, trees, check, count)
            failed += len(wrong)
            print(f"{judge.daemon.banner}: {count} {what}, {accepted} accepted, {len(wrong)} differ")
            print("\n\n".join(wrong[:3]), flush=True)
        print(f"{judge.daemon.banner}: {time.monotonic() - started:.0f} s", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
