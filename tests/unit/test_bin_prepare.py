"""
bin/_prepare.py: what it runs ends, or is named.
"""

import os
import signal

import _prepare
import pytest


def test_what_does_not_end_is_named(monkeypatch):
    monkeypatch.setattr(_prepare, "INSTALLS", 0.2)
    with pytest.raises(_prepare.Failed, match=r"^sleep 60 did not end within 0\.2 seconds; it was killed$"):
        _prepare.run(["sleep", "60"])


def test_what_it_leaves_behind_is_not_waited_for(monkeypatch, tmp_path):
    monkeypatch.setattr(_prepare, "INSTALLS", 0.5)
    # As dpkg does whose apt-get was killed, it holds the pipe.
    with pytest.raises(_prepare.Failed, match="did not end"):
        _prepare.run(["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/pid; wait"])
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_what_fails_is_named_with_its_last_lines():
    with pytest.raises(_prepare.Failed, match=r"^sh -c .* failed \(exit status 3\):\nwhy$"):
        _prepare.run(["sh", "-c", "echo why; exit 3"])
