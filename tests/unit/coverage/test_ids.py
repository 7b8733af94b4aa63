"""
coverage.ids: the login id of a process and of its threads, and whether PAM can set one.
"""

import os
import pathlib
import subprocess
import sys

import pytest
from sshtrail_lib.coverage import ids
from sshtrail_lib.coverage.marks import UNSET


@pytest.mark.parametrize(
    "threads,told",
    [
        ([1001], 1001),
        ([1001, 1001], 1001),
        ([UNSET, 1001], UNSET),
        # Each thread hands on its own to what it starts.
        ([1001, 1001, UNSET], UNSET),
        ([1001, 1002, UNSET], UNSET),
        ([1001, 1002], 1002),
        ([0, 0, 5], 5),
        ([1001, None], 1001),
        ([None], UNSET),
    ],
)
def test_the_login_id_of_a_process_is_that_of_all_its_threads(monkeypatch, threads, told):
    known = {"/proc/70": threads[0]} | {f"/proc/70/task/{70 + at}": one for at, one in enumerate(threads)}
    monkeypatch.setattr(ids, "_of", known.get)
    monkeypatch.setattr(ids.os, "listdir", lambda path: [str(70 + at) for at, _ in enumerate(threads)])
    assert ids.login(70) == told


def test_a_process_that_has_ended():
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        pass
    assert ids.login(child.pid) == UNSET and not ids.settable(child.pid)


def test_a_process_that_lives():
    assert ids.login(os.getpid()) == int(pathlib.Path("/proc/self/loginuid").read_text())
    assert ids.settable(os.getpid())
