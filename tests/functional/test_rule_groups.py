"""
Each ready group by what it must record, on the real kernel: its files and directories are in a tree of the test's own.

Everything is done as a person, one act after another, each under a name of its own that is in the record (``comm``).

With the environment variable ``SSHTRAIL_RELEASE`` (a root directory with another release's auditctl and python3) its
auditctl loads the rules and its programs act, on this kernel.
"""

import contextlib
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import time

import group_acts
import pytest
from sshtrail_lib.base import kernel
from sshtrail_lib.policy import groups as policy_groups
from sshtrail_lib.rules import compile as rules_compile
from sshtrail_lib.rules import language, privileged

KEY = "sshtrail-test"
RELEASE = os.environ.get("SSHTRAIL_RELEASE")
# What is done to a file, from its creation to its coming back; and what is done where no directory is yet.
FILE = ("create", "append", "truncate", "chmod", "rename", "replace", "link", "delete", "write")
LATER = {"/run/sshd", "/run/faillock"}
RUNS = ("run", "execveat")
# Which acts the rules of a group about system calls, and not about places, must record.
CALLS = {
    "ssh_commands": RUNS,
    "user_emulation": RUNS,
    "root_commands": RUNS,
    "time_change": ("clock", "adjust"),
    "system_locale": ("hostname",),
    "access": ("refused", "openat2"),
    "perm_mod": ("chmod", "fchmodat2", "chown", "setxattr", "setxattrat", "removexattrat"),
    "mounts": ("mount", "fsmount"),
    "delete": ("rename", "delete", "rmdir"),
    "modules": ("module",),
}


@pytest.fixture
def root():
    """A directory that a person may look into, as he may not into those of pytest."""
    with tempfile.TemporaryDirectory(prefix="sshtrail-test-") as path:
        os.chmod(path, 0o755)
        yield pathlib.Path(path)


@contextlib.contextmanager
def mounted(place, *arguments):
    place.mkdir(parents=True, exist_ok=True)
    subprocess.run(["mount", *arguments, str(place)], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", str(place)], check=True)


@pytest.fixture
def release(root):
    """How a program of the release is run (list of str): it sees the tree under the same path."""
    if not RELEASE:
        yield []
        return
    base = pathlib.Path(RELEASE)
    inside = base / str(root).lstrip("/")
    with (
        mounted(base, "--bind", RELEASE),
        mounted(inside, "--bind", str(root)),
        mounted(base / "proc", "-t", "proc", "x"),
    ):
        yield ["chroot", RELEASE]
    inside.rmdir()


def program(path, mode=0o755):
    path.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(shutil.which("true"), path)
    path.chmod(mode)


def below(place, reading):
    """Have a directory, and return what is done in it and two levels below: ``[(act, path)]``."""
    deep = place / "one" / "two"
    deep.mkdir(parents=True, exist_ok=True)
    if reading:
        (deep / "read").touch()
        return [("read", deep / "read")]
    acts = [(act, where / "file") for where in (place, place / "one", deep) for act in FILE]
    return [*acts, ("mkdir", deep / "directory"), ("rmdir", deep / "directory")]


def about_a_place(line, part, place):
    """Have what a rule needs, and return what is done to its place."""
    perm = language.parse_rule(line).field("perm").value
    if part.name == "dir":
        return below(place, perm == "r")
    place.parent.mkdir(parents=True, exist_ok=True)
    if perm == "x":
        program(place)
        return [("run", place)]
    if part.value in LATER:
        return [("mkdir", place), ("create", place / "entry"), ("delete", place / "entry"), ("rmdir", place)]
    return [(act, place) for act in FILE]


def about_calls(name, root):
    """Have what the acts need that the group's rules about system calls must record, and return these."""
    acts = CALLS[name]
    root.mkdir(exist_ok=True)
    for act in acts:
        if act in RUNS:
            # Whoever runs it is another user and another group.
            program(root / act, 0o6755)
        elif act in ("rmdir", "mount", "fsmount"):
            (root / act).mkdir()
        else:
            (root / act).touch(mode=0o600)
    return [(act, root / act) for act in acts]


def scene(name, lines, root):
    """Return a group's rules as they are loaded here, and what is done under each key: ``{key: [(act, path)]}``."""
    loaded, done = [], {}
    for number, line in enumerate(lines):
        rule = language.parse_rule(line)
        part = rule.field("path") or rule.field("dir")
        key = f"{KEY}-{name}-{number if part else 'calls'}"
        if part:
            place = root / part.value.lstrip("/")
            done[key] = about_a_place(line, part, place)
            line = line.replace(f"{part.name}={part.value} ", f"{part.name}={place} ")
        loaded.append(re.sub(r"key=\S+", f"key={key}", line))
    if any(line.endswith("-calls") for line in loaded):
        done[f"{KEY}-{name}-calls"] = about_calls(name, root)
    return loaded, done


def hold(lines, release, root):
    for rule in kernel.rules():
        kernel.delete(rule)
    if release:
        (root / "rules").write_text("".join(f"{line}\n" for line in lines))
        subprocess.run([*release, "auditctl", "-R", str(root / "rules")], check=True, stdout=subprocess.DEVNULL)
    else:
        for line in lines:
            kernel.add(rules_compile.compile(language.parse_rule(line)))
    assert len(kernel.rules()) == len(lines)


def perform(done, group, release, root):
    """Do everything, and return what must be recorded: ``{(key, name or program): act and path}``."""
    everything = [(key, *one) for key, acts in done.items() for one in acts]
    named = {f"{group}.{number}": (key, act, str(path)) for number, (key, act, path) in enumerate(everything)}
    given = json.dumps([[name, act, path] for name, (_, act, path) in named.items()])
    acts = shutil.copy(group_acts.__file__, root / "acts.py")
    subprocess.run([*release, "python3" if release else sys.executable, acts], input=given, text=True, check=True)
    # A process that executes a program loses the name that it had.
    return {(key, path if act in RUNS else name): f"{act} {path}" for name, (key, act, path) in named.items()}


def recorded(log):
    """Return the keys with the names and with the programs (set of tuple) that the log holds, once it grows no more."""
    size = -1
    while size != log.stat().st_size:
        size = log.stat().st_size
        time.sleep(0.5)
    lines = (line for line in log.read_text(errors="replace").splitlines() if line.startswith("type=SYSCALL"))
    found = [re.search(rf'comm="([^"]*)" exe="([^"]*)".* key="({KEY}[^"]*)"', line) for line in lines]
    return {(one[3], one[which]) for one in found if one for which in (1, 2)}


def test_each_group_records_what_it_must(auditd, tree, root, release, monkeypatch):
    """All of them in one test: each start of an auditd, and each rule that goes, takes its time."""
    monkeypatch.setattr(privileged, "mounts", lambda: [privileged.Mount("", "/", str(root / "privileged"))])
    program(root / "privileged" / "here" / "own-tool", 0o2755)
    expected = {}
    for number, (name, group) in enumerate(policy_groups.GROUPS.items()):
        lines, done = scene(name, group["rules"], root / name)
        if "privileged" in group:
            lines, _ = privileged.lines(group["privileged"].replace("key=", f"key={KEY}-"))
            done = {f"{KEY}-privileged": [("run", root / "privileged" / "here" / "own-tool")]}
        hold(lines, release, root)
        expected |= perform(done, number, release, root)
    hold([], [], root)
    found = recorded(pathlib.Path(auditd).parent / "log" / "audit.log")
    assert len(expected) > 300
    assert {told for what, told in expected.items() if what not in found} == set()
