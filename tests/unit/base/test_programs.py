"""
base.programs: each has an end, whatever it does, and so has what Salt's functions run.
"""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time

import pytest
from _waiting import DEADLINE, wait_for
from salt.exceptions import CommandExecutionError
from sshtrail_lib.base import processes, programs

SHELL = ("sh", "-c")
#: Ways to take for ever, each with what it leaves behind: its pid goes into the file $1.
HANGS = {
    "sleeps": 'echo $$ > "$1"; exec sleep 3600',
    "is stopped": 'echo $$ > "$1"; kill -STOP $$',
    "hears no signal": "trap '' TERM INT HUP; echo $$ > \"$1\"; while :; do sleep 3600; done",
    "has a child that holds its output": 'sleep 3600 & echo $! > "$1"; wait',
    "has a child in a session of its own": 'setsid sh -c "echo \\$\\$ >$1; exec sleep 3600" & wait',
    "reads for ever": 'echo $$ > "$1"; exec cat "$2"',
    "prints for ever": 'echo $$ > "$1"; exec yes',
    "waits for an answer": 'echo $$ > "$1"; read answer < /dev/tty || exec sleep 3600',
}


@pytest.fixture
def pipe(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    return str(tmp_path / "pipe")


def is_gone(pid):
    return wait_for(lambda: not processes.lives(pid), "its end")


@pytest.mark.parametrize("hang", HANGS.values(), ids=HANGS)
def test_what_hangs_is_killed_with_all_that_it_has_started_and_named(tmp_path, pipe, hang):
    begun, left = time.monotonic(), tmp_path / "pid"
    with pytest.raises(programs.LateError, match=r"^sh did not end within 1\.6 seconds; it was killed\.$"):
        programs.run([*SHELL, hang, "sh", left, pipe], 1.6)
    assert time.monotonic() - begun < DEADLINE
    assert is_gone(int(left.read_text()))


def test_one_that_prints_more_than_anybody_wants_is_killed(monkeypatch):
    monkeypatch.setattr(programs, "LARGEST", 1 << 20)
    with pytest.raises(programs.LateError, match="^yes did not end"):
        programs.run(["yes"], 60)


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("echo out; echo err >&2; exit 3", (3, "out\n", "err\n")),
        ("printf '\\377\\n'", (0, "\ufffd\n", "")),
        ("kill -9 $$", (-9, "", "")),
        ("exec >&- 2>&-; sleep 0.2; exit 4", (4, "", "")),
        ("head -c 300000 /dev/zero | tr '\\0' x; echo end >&2", (0, "x" * 300000, "end\n")),
        ("cat; echo read", (0, "read\n", "")),
        ("pwd; umask", (0, "/\n0022\n", "")),
    ],
)
def test_what_a_program_says_is_told(code, expected):
    before = os.umask(0)
    try:
        done = programs.run([*SHELL, code], 30)
    finally:
        os.umask(before)
    assert (done["retcode"], done["stdout"], done["stderr"]) == expected


def test_a_daemon_that_holds_the_output_open_is_not_waited_for(tmp_path):
    """As a script leaves one behind: it lives on, and what was said before is there."""
    done = programs.run([*SHELL, 'sleep 3600 & echo "$!" > "$1"; echo started', "sh", tmp_path / "pid"], 600)
    pid = int((tmp_path / "pid").read_text())
    try:
        assert (done["retcode"], done["stdout"]) == (0, "started\n")
        assert processes.lives(pid)
    finally:
        os.kill(pid, signal.SIGKILL)


@pytest.mark.parametrize("clean", [True, False])
def test_variables_are_those_of_this_process_or_none(monkeypatch, clean):
    monkeypatch.setenv("OF_THE_CALLER", "1")
    monkeypatch.setenv("NOTIFY_SOCKET", "/run/salt")
    told = programs.run(["env"], 30, {"LC_ALL": "C", "PATH": os.environ["PATH"]}, clean)["stdout"].split()
    assert "LC_ALL=C" in told and ("OF_THE_CALLER=1" in told) is not clean and "NOTIFY_SOCKET=/run/salt" not in told


@pytest.mark.parametrize("argv", [["/nonexistent/program"], ["/etc/passwd"], ["a\0b"], [""]])
def test_what_cannot_be_run_ends_in_a_sentence(argv):
    with pytest.raises(CommandExecutionError, match="cannot be run: "):
        programs.run(argv)


def test_closed_descriptors_are_nobodys_output(tmp_path):
    """Whoever starts Salt without 0, 1 and 2 gives these numbers to the next files that it opens."""
    code = (
        "import os, sys\nfrom sshtrail_lib.base import programs\nfor number in (0, 1, 2):\n    os.close(number)\n"
        "precious = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)\n"
        "done = programs.run(['sh', '-c', 'echo out; echo err >&2'], 30)\n"
        "os.write(precious, repr((precious, done['stdout'], done['stderr'])).encode())\n"
    )
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    pid = os.posix_spawn(sys.executable, [sys.executable, "-c", code, str(tmp_path / "precious")], environ)
    assert os.waitpid(pid, 0)[1] == 0
    assert (tmp_path / "precious").read_text() == repr((0, "out\n", "err\n"))


def test_a_program_that_is_interrupted_leaves_nothing_behind(monkeypatch, tmp_path):
    def interrupt(_process, _end):
        wait_for((tmp_path / "pid").exists, "its pid")
        raise KeyboardInterrupt

    monkeypatch.setattr(programs, "_collected", interrupt)
    with pytest.raises(KeyboardInterrupt):
        programs.run([*SHELL, 'echo $$ > "$1.new"; mv "$1.new" "$1"; exec sleep 3600', "sh", tmp_path / "pid"])
    assert is_gone(int((tmp_path / "pid").read_text()))


@pytest.mark.parametrize(
    ("program", "seconds"),
    [
        ("systemctl", programs.SERVICE),
        ("/usr/bin/systemctl", programs.SERVICE),
        ("/etc/init.d/ssh", programs.SERVICE),
        ("/usr/sbin/sshd", programs.USUAL),
        ("ssh-keygen", programs.USUAL),
    ],
)
def test_each_program_has_a_bound(program, seconds):
    assert programs.bound(program) == seconds


def test_what_reads_a_log_may_take_long_as_long_as_something_comes():
    begun = time.monotonic()
    with programs.reading([*SHELL, "for one in 1 2 3 4; do echo $one; sleep 0.9; done"], 3) as (lines, process):
        assert list(lines) == [b"1\n", b"2\n", b"3\n", b"4\n"] and programs.status(process) == 0
    assert time.monotonic() - begun > 3


@pytest.mark.parametrize("hang", ["sleep 3600", "echo 1; exec sleep 3600", "kill -STOP $$", "sleep 3600 & wait"])
def test_one_that_stops_telling_is_named(hang):
    late = pytest.raises(programs.LateError, match=r"^sh did not end within 0\.4 seconds")
    with late, programs.reading([*SHELL, hang], 0.4) as (lines, process):
        list(lines)
    assert process.poll() is not None


def test_who_wants_no_more_of_a_log_waits_for_nothing():
    with programs.reading(["yes"]) as (lines, process):
        assert next(lines) == b"y\n"
    assert process.poll() is not None


def salts(argv):
    """What Salt's own functions do: they wait for a program without end, and make of its status what they like."""
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    process.communicate()
    return process.returncode == 0


@pytest.mark.parametrize(
    ("hang", "names"),
    [
        (["sleep", "3600"], "sleep"),
        (["sh", "-c", "kill -STOP $$"], "sh"),
        (["sh", "-c", "sleep 3600; true"], "sh"),
    ],
)
def test_what_salts_functions_run_has_an_end(monkeypatch, hang, names):
    monkeypatch.setitem(programs.FUNCTIONS, "pkg.version", 0.5)
    begun = time.monotonic()
    late = pytest.raises(programs.LateError, match=rf"^{names} did not end within 0\.5 seconds; it was killed\.$")
    with late, programs.watched("pkg.version"):
        salts(hang)
    assert time.monotonic() - begun < DEADLINE


def test_one_that_begins_anew_is_killed_each_time(monkeypatch):
    monkeypatch.setitem(programs.FUNCTIONS, "pkg.version", 0.3)
    with pytest.raises(programs.LateError, match="^sleep did not end"), programs.watched("pkg.version"):
        assert [salts(["sleep", "3600"]) for _ in range(3)] == [False] * 3


def test_what_salts_function_raises_over_its_killed_program_is_told_as_that(monkeypatch):
    monkeypatch.setitem(programs.FUNCTIONS, "pkg.version", 0.3)
    with pytest.raises(programs.LateError, match="^sleep did not end"), programs.watched("pkg.version"):
        salts(["sleep", "3600"])
        raise CommandExecutionError("dpkg-query has status -9")


def test_who_ends_in_time_is_left_alone():
    with programs.watched("pkg.version"):
        assert salts(["true"])
    with pytest.raises(CommandExecutionError, match="^odd$"), programs.watched("pkg.version"):
        raise CommandExecutionError("odd")


@pytest.mark.parametrize("children", [True, False])
def test_nobody_else_is_killed(monkeypatch, children):
    """What ran before, and what another thread runs and waits for, where the kernel tells whose it is."""
    monkeypatch.setitem(programs.FUNCTIONS, "pkg.version", 0.5)
    if not children:
        monkeypatch.setattr(programs.threading, "get_native_id", lambda: 0)
    others = [subprocess.Popen(["sleep", "3600"])]

    def runs():
        others.append(subprocess.Popen(["sleep", "601"]))
        others[-1].wait()

    another = threading.Timer(0.1, runs)
    with contextlib.ExitStack() as stack:
        stack.callback(lambda: [(one.kill(), one.wait()) for one in others])
        with pytest.raises(programs.LateError), programs.watched("pkg.version"):
            if children:
                another.start()
            salts(["sleep", "3600"])
        assert all(one.poll() is None for one in others) and len(others) == 1 + children


@pytest.mark.parametrize(
    ("function", "name", "seconds"),
    [
        ("pkg.installed", "dpkg-query", programs.READING),
        ("pkg.installed", "apt-get", programs.INSTALLING),
        ("pkg.version", "dpkg-query", programs.READING),
        ("service.status", "systemctl", programs.USUAL),
        ("service.start", "systemctl", programs.SERVICE),
        ("user.add", "useradd", programs.USUAL),
    ],
)
def test_what_a_function_of_salts_starts_has_the_bound_of_its_kind(function, name, seconds):
    watch = programs._Watch(function)
    assert watch._bound(name) == seconds and not watch.end()
