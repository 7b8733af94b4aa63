"""
coverage.shells: who gives a shell what it runs.
"""

import os
import pty
import subprocess
import time

import pytest
from sshtrail_lib.base import processes
from sshtrail_lib.coverage import shells

#: What somebody starts as a service, whether it runs what comes by the named pipe, and whether that is seen at rest.
FED = {
    "a shell of its own for each": ("sh", "-c", "while :; do sh <{0}; done"),
    "by way of another program": ("sh", "-c", "cat {0} | /bin/sh -s; true"),
    "as a script": ("sh", "-c", "while :; do bash -e {0}; done"),
    "in the shell itself": ("sh", "-c", "while :; do . {0}; done"),
    "line by line": ("sh", "-c", 'while read line <{0}; do eval "$line"; done'),
    "its own script": ("sh", "{0}"),
    "from where it is": ("sh", "-c", "sh < fifo; true"),
}
#: What services do with named pipes and scripts.
DATA = {
    "lines of data": ("sh", "-c", "while read line <{0}; do echo $line; done"),
    "data for a script": ("sh", "-c", "sh {1} <{0}; true"),
    "a script": ("sh", "{1}"),
    "a settings file": ("sh", "-c", ". {1}; cat <{0}; true"),
    "the shell's own input": ("sh", "-c", "sh </dev/fd/0; sleep 60"),
}


@pytest.fixture
def started(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "script").write_text("read line\n")
    children = []

    def start(words, **more):
        argv = [word.format(tmp_path / "fifo", tmp_path / "script") for word in words]
        more = {"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **more}
        children.append(subprocess.Popen(argv, cwd=tmp_path, start_new_session=True, **more))
        return children[-1].pid, f"/bin/{words[0]}", argv

    yield start
    for child in children:
        os.killpg(child.pid, 9)
        child.wait()


@pytest.mark.parametrize("words", FED.values(), ids=FED)
def test_a_named_pipe_that_a_shell_runs(started, words):
    assert shells.is_fed(*started(words))


@pytest.mark.parametrize("words", DATA.values(), ids=DATA)
def test_a_named_pipe_of_which_nothing_is_run(started, words):
    assert not shells.is_fed(*started(words))


def test_a_shell_that_reads_from_a_named_pipe(started, tmp_path):
    with open(tmp_path / "fifo", "r+b", buffering=0) as both:
        pid, _program, _argv = started(("sh",), stdin=both)
        assert shells.reads_somebody(pid, False) and not shells.reads_somebody(os.getpid(), False)
        # A pipe without a name is a service's own.
        assert not shells.reads_somebody(started(("sh",), stdin=subprocess.PIPE)[0], False)


def test_whose_files_do_not_answer(monkeypatch):
    monkeypatch.setattr(processes, "PATIENCE", 0.05)
    monkeypatch.setattr(processes, "_HUNG", {})
    monkeypatch.setattr(processes, "owner", lambda pid: 4711)
    known = os.stat("/")
    monkeypatch.setattr(processes.os, "stat", lambda path: time.sleep(0.5) or known)
    begun = time.monotonic()
    assert not any(processes.is_named_pipe(os.getpid(), "/run/x") for _ in range(20))
    assert time.monotonic() - begun < 0.4


#: A shell at a terminal of its own, in process numbers of its own, as a container has them.
CONTAINED = ("unshare", "--fork", "--pid", "--mount-proc", "--uts", "--kill-child", "sh", "-i")


def test_a_terminal_in_a_container():
    pid, terminal = pty.fork()
    if not pid:
        os.execvp(CONTAINED[0], CONTAINED)
    try:
        until, found = time.monotonic() + 10, []
        while not found and time.monotonic() < until:
            found = [one for one in shells.in_containers(()) if processes.argv(one) == ("sh", "-i")]
        assert len(found) == 1 and pid not in shells.in_containers(())
        assert not {*found} & {*shells.in_containers(found)}
    finally:
        os.kill(pid, 9)
        os.waitpid(pid, 0)
        os.close(terminal)
