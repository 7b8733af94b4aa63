"""
States ``sshtrail_package.*``: a package manager that hangs ends in a sentence, and keeps no run of states for ever.

``dpkg-query`` and ``apt-get`` are scripts here that come first in ``PATH``; all else is Salt's own.
"""

import os
import shutil
import time

import pytest
from _waiting import DEADLINE
from sshtrail_lib.base import programs

pytestmark = pytest.mark.skipif(not shutil.which("dpkg-query"), reason="the tools of Debian are what hangs here")

ABSENT = "sshtrail-no-such-package"


@pytest.fixture
def instead(tmp_path, monkeypatch):
    """Have a script run in place of a program."""
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")

    def put(name, code):
        path = tmp_path / "bin" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{code}\n")
        path.chmod(0o755)

    return put


def there():
    with open("/var/lib/dpkg/status", encoding="utf-8") as handle:
        return next(line.split()[1] for line in handle if line.startswith("Package: "))


def test_what_is_installed_is_told_as_by_salts_own_state(states):
    mine, salts = (getattr(states, name).installed(name=there()) for name in ("sshtrail_package", "pkg"))
    assert mine.result is salts.result is True and mine.comment == salts.comment and mine.changes == {}


@pytest.mark.parametrize("hang", ["exec sleep 3600", "kill -STOP $$", "sleep 3600 & wait"])
def test_a_dpkg_that_hangs_is_named(states, instead, monkeypatch, hang):
    monkeypatch.setitem(programs.BOUNDS, "dpkg-query", 0.5)
    instead("dpkg-query", hang)
    name, begun = there(), time.monotonic()
    monkeypatch.setattr(programs, "USUAL", 0.5)
    monkeypatch.setitem(programs.OTHERS, "pkg.installed", 0.5)
    done = states.sshtrail_package.installed(name=name)
    assert done.result is False and done.changes == {} and time.monotonic() - begun < DEADLINE
    assert done.comment.endswith(" did not end within 0.5 seconds; it was killed."), done.comment


def test_an_apt_get_that_hangs_is_named(states, instead, monkeypatch):
    monkeypatch.setitem(programs.OTHERS, "pkg.installed", 0.5)
    for name in ("apt-get", "apt-cache"):
        instead(name, "exec sleep 600")
    done = states.sshtrail_package.installed(name=ABSENT)
    assert done.result is False and "did not end within 0.5 seconds; it was killed." in done.comment, done.comment


def test_a_look_with_a_dpkg_that_hangs_ends(modules, instead, monkeypatch):
    from sshtrail_lib.base.minion import Minion

    monkeypatch.setitem(programs.BOUNDS, "dpkg-query", 0.5)
    instead("dpkg-query", "kill -STOP $$")
    # What Salt was told before, it asks for once more.
    asks = {"pkg.list_pkgs": lambda: modules.pkg.list_pkgs(use_context=False)}
    with pytest.raises(programs.LateError, match=r"^dpkg-query did not end within 0\.5 seconds; it was killed\.$"):
        Minion(asks, {}, {}, {}).salts("pkg.list_pkgs")
