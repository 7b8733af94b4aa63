"""
bin/highstate: how it tells what Salt did, and its exit status; bin/_prepare.py: what it sets up.
"""

import argparse
import fcntl
import functools
import importlib.machinery
import importlib.util
import os
import signal
import stat
import subprocess
import sys

import _masterless
import pytest
from support import require_root

STATE = {"id": "x", "result": True, "changes": {}, "comment": ""}
ROW = {"asked": "sshd running", "now": "listens, pid 1", "holds": True}


def load(path):
    """Import a program that has no suffix, or lies outside the modules' path."""
    loader = importlib.machinery.SourceFileLoader(path.stem, str(path))
    module = importlib.util.module_from_spec(importlib.util.spec_from_loader(path.stem, loader))
    loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def highstate(root):
    return load(root / "bin" / "highstate")


@pytest.fixture(scope="module")
def prepare(root):
    return load(root / "bin" / "_prepare.py")


@pytest.mark.parametrize(
    "change,lines",
    [
        ({"LogLevel": {"old": "INFO", "new": "VERBOSE"}}, ["    LogLevel: INFO -> VERBOSE"]),
        ({"auditd": {"old": "", "new": "1:3.0"}}, ["    auditd: (none) -> 1:3.0"]),
        ({"running": {"old": False, "new": True}}, ["    running: no -> yes"]),
        ({"status": {"old": {"enabled": 0}, "new": {"enabled": 1}}}, ["    enabled: 0 -> 1"]),
        ({"f": {"old": None, "new": ["# why", "", "-w /a"]}}, ["    f", "      + -w /a"]),
        ({"f": {"old": ["-w /a", "-w /b"], "new": ["-w /b"]}}, ["    f", "      - -w /a"]),
        (
            {"f": {"old": [], "new": ["-w /a"]}, "kernel": {"old": [], "new": ["-w /a", "-w /b"]}},
            ["    f", "      + -w /a", "    kernel", "      + -w /b", "      + 1 of the lines above"],
        ),
        ({"pid": "restarted"}, ["    pid: restarted"]),
        ("restarted", ["    restarted"]),
    ],
)
def test_a_change_is_told(highstate, change, lines):
    assert highstate.changes([{"id": "x", "changes": change}]) == ["  x", *lines]


def test_a_state_without_changes_is_not_told(highstate):
    assert highstate.changes([STATE]) == []


@pytest.mark.parametrize(
    "answer,status,said",
    [
        ({"result": True, "errors": [], "states": [STATE], "report": [ROW]}, 0, "1 of 1 states succeeded"),
        ({"result": True, "errors": [], "states": [STATE], "report": [ROW]}, 0, "ok  sshd running"),
        ({"result": True, "errors": [], "states": [], "report": [{**ROW, "holds": False}]}, 0, "NO  sshd running"),
        ({"result": True, "errors": [], "states": [], "report": [{**ROW, "holds": None}]}, 0, "--  sshd running"),
        (
            {"result": False, "errors": [], "states": [{**STATE, "result": False, "comment": "why"}], "report": []},
            1,
            "Failed: x\n  why",
        ),
        (
            {"result": False, "errors": ["sshtrail:x is unknown"], "states": [], "report": []},
            1,
            "sshtrail:x is unknown",
        ),
        ("Function not found", 1, "Function not found"),
        (None, 1, "Salt gave no answer"),
    ],
)
def test_the_summary_and_the_exit_status(highstate, capsys, answer, status, said):
    assert highstate.summary(answer, argparse.Namespace(env="dev", test=False), 1) == status
    assert said in capsys.readouterr().out


def test_the_environments_are_those_of_the_pillar(highstate, tmp_path, monkeypatch):
    assert _masterless.environments() == ["dev", "prod", "staging"]
    (tmp_path / "sshtrail" / "edge").mkdir(parents=True)
    for name in ("common.sls", "dmz.sls", "edge/init.sls"):
        (tmp_path / "sshtrail" / name).touch()
    monkeypatch.setattr(_masterless, "PILLAR", str(tmp_path))
    assert _masterless.environments() == ["dmz", "edge"]
    monkeypatch.setattr(sys, "argv", ["highstate", "--env", "dmz", "--test"])
    assert highstate.arguments() == argparse.Namespace(env="dmz", test=True)
    monkeypatch.setattr(sys, "argv", ["highstate"])
    with pytest.raises(highstate._prepare.Failed, match="no environment 'prod'; .* has dmz, edge"):
        highstate.arguments()


def test_states_are_shown_as_they_run(highstate, capsys):
    lines = [
        "[INFO    ] Executing state sshd_config.managed for [/etc/ssh/sshd_config]",
        "[INFO    ] Completed state [/etc/ssh/sshd_config] at time 1 (duration_in_ms=120.0)",
        "[INFO    ] Loading fresh modules for state activity",
    ]
    assert [highstate.progress(line) for line in lines] == [True, True, False]
    assert capsys.readouterr().out == "  sshd_config.managed        /etc/ssh/sshd_config (0.1 s)\n"


def test_the_version_of_the_installed_salt_is_known(prepare, tmp_path):
    program = tmp_path / "salt-call"
    assert prepare.salt_version(sys.executable) == 0
    program.write_text("#!/bin/sh\necho 'salt-call 3006.9 (Sulfur)'\n")
    program.chmod(0o755)
    assert prepare.salt_version(str(program)) == 3006


def test_an_empty_wheel_satisfies_pip_and_holds_nothing(prepare, tmp_path):
    prepare.empty_wheel(str(tmp_path), "timelib")
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--no-index", "--find-links", tmp_path]
    subprocess.run([*pip, "--target", tmp_path / "site", "timelib>=0.3.0"], check=True)
    assert [path.name for path in (tmp_path / "site").iterdir()] == ["timelib-99.dist-info"]


def test_a_command_that_fails_is_quoted(prepare):
    with pytest.raises(prepare.Failed, match="exit status 3"):
        prepare.run([sys.executable, "-c", "import sys; print('said this'); sys.exit(3)"])


def test_a_command_that_does_not_end_is_named(prepare, monkeypatch):
    monkeypatch.setattr(prepare, "INSTALLS", 0.2)
    with pytest.raises(prepare.Failed, match=r"^sleep 60 did not end within 0\.2 seconds; it was killed$"):
        prepare.run(["sleep", "60"])


def test_what_a_command_leaves_behind_is_not_waited_for(prepare, monkeypatch, tmp_path):
    monkeypatch.setattr(prepare, "INSTALLS", 0.5)
    # As dpkg does whose apt-get was killed, it holds the pipe.
    with pytest.raises(prepare.Failed, match="did not end"):
        prepare.run(["sh", "-c", f"sleep 60 & echo $! >{tmp_path}/pid; wait"])
    os.kill(int((tmp_path / "pid").read_text()), signal.SIGKILL)


def test_another_python_is_found_where_it_works(prepare, tmp_path, monkeypatch):
    monkeypatch.setenv("PYENV_ROOT", str(tmp_path))
    monkeypatch.setenv("PATH", str(tmp_path / "shims"))
    shim, real = tmp_path / "shims" / "python3.10", tmp_path / "versions" / "3.10.1" / "bin" / "python3.10"
    # A shim of pyenv fails where its version is not chosen.
    program(shim, "exit 127")
    program(real, f'exec {sys.executable} "$@"')
    assert prepare.places("python3.10") == [str(shim), str(real)]
    assert prepare.other_python(["python3.9", "python3.10"]) == str(real)
    with pytest.raises(prepare.Failed, match="none of python3.8, python3.9 is installed"):
        prepare.other_python(["python3.8", "python3.9"])


def program(path, script):
    path.parent.mkdir(parents=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def as_nobody(*command):
    """Run a command as a user without rights; return the finished process."""
    return subprocess.run(
        ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups", *command],
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_lock_is_for_nobody_else(prepare, tmp_path):
    require_root()
    tmp_path.chmod(0o755)
    path = tmp_path / "x.lock"
    path.touch(0o644)
    with prepare.locked(path):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert as_nobody("flock", "--nonblock", path, "true").returncode == 66


def test_whoever_holds_a_lock_is_not_waited_for_without_end(prepare, tmp_path):
    with open(tmp_path / "x.lock", "wb") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        with pytest.raises(prepare.Failed, match="which somebody else holds"), prepare.locked(tmp_path / "x.lock", 0.3):
            pass


TRAPS = {
    "a link": lambda path: path.symlink_to(path.parent / "precious"),
    "a pipe": os.mkfifo,
    "a directory": os.mkdir,
    "somebody else's file": lambda path: (path.touch(0o666), os.chown(path, 65534, 65534)),
}


@pytest.mark.parametrize("trap", TRAPS)
def test_what_lies_where_a_lock_should_be_is_not_touched(prepare, tmp_path, trap):
    require_root()
    precious, path = tmp_path / "precious", tmp_path / "x.lock"
    precious.write_bytes(b"precious")
    TRAPS[trap](path)
    with pytest.raises(prepare.Failed, match="cannot be the lock"), prepare.locked(path, 0.1):
        pass
    assert precious.read_bytes() == b"precious"


def test_root_runs_nothing_that_others_can_change(prepare, tmp_path, monkeypatch):
    require_root()
    good, bad = tmp_path / "good" / "salt-call", tmp_path / "bad" / "salt-call"
    for path in (good, bad):
        program(path, "echo 3008.1")
    assert prepare.trusted(str(good)) and prepare.trusted(str(bad))
    os.chown(bad.parent, 65534, 65534)
    assert not prepare.trusted(str(bad))
    (tmp_path / "link").symlink_to(bad)
    assert not prepare.trusted(str(tmp_path / "link"))
    good.chmod(0o775)
    assert not prepare.trusted(str(good))
    good.chmod(0o755)
    monkeypatch.setattr(prepare, "SALT_CALL", [str(bad), str(good)])
    monkeypatch.setenv("PATH", str(bad.parent))
    assert prepare.salt_call() == str(good)


@pytest.mark.parametrize("module", ["sitecustomize.py", "usercustomize.py", "argparse.py", "venv.py", "x.pth"])
def test_no_module_of_the_callers_is_run(prepare, tmp_path, module):
    """Neither below his HOME, which sudo may keep, nor where he happens to be."""
    home, planted = tmp_path / "home", tmp_path / "planted"
    # That of a virtual environment looks nowhere else.
    python = os.path.realpath(f"{sys.base_prefix}/bin/python3")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "python3").symlink_to(python)
    site = home / ".local" / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    for directory in (site, home):
        (directory / module).write_text(f"import sys; open({str(planted)!r}, 'w')\n")
    environ = {**os.environ, "HOME": str(home), "PATH": f"{tmp_path}/bin:{os.environ['PATH']}"}
    environ.pop("PYTHONNOUSERSITE", None)
    run = functools.partial(subprocess.run, env=environ, cwd=home, capture_output=True, text=True, check=False)
    script = os.path.join(prepare.ROOT, "bin", "highstate")
    assert "usage: sudo bin/highstate" in run([script, "--help"]).stdout and not planted.exists()
    asks = "import sys; sys.path.insert(0, sys.argv[1]); import _prepare; print(_prepare.version_of(sys.argv[2]))"
    done = run([python, "-I", "-c", asks, os.path.dirname(script), python])
    assert done.stdout.strip() and not planted.exists(), done.stderr


@pytest.mark.parametrize("owner", [0, 65534])
def test_pip_reads_no_configuration_of_the_callers(prepare, tmp_path, owner):
    """It can name a file that is written; root's own, wherever his HOME is, stays what pip goes by."""
    require_root()
    log, config = tmp_path / "log", tmp_path / "home" / ".config" / "pip" / "pip.conf"
    config.parent.mkdir(parents=True)
    config.write_text(f"[global]\nlog = {log}\n")
    os.chown(tmp_path / "home", owner, -1)
    environ = {"PATH": os.environ["PATH"], "HOME": str(tmp_path / "home"), "XDG_CONFIG_HOME": str(config.parent.parent)}
    runs = (
        "import sys; sys.path.insert(0, sys.argv[1]); import _prepare as p; p.run([sys.argv[2], '-m', 'pip', 'list'])"
    )
    command = [sys.executable, "-c", runs, os.path.join(prepare.ROOT, "bin"), sys.executable]
    subprocess.run(command, env=environ, check=True)
    assert log.exists() == (owner == 0)


def test_what_a_highstate_keeps_is_for_nobody_else(prepare, tmp_path):
    place = tmp_path / "place"
    place.mkdir(0o755)
    prepare.private_directory(place)
    assert stat.S_IMODE(place.stat().st_mode) == 0o700
    (tmp_path / "link").symlink_to(place)
    with pytest.raises(prepare.Failed, match="is no directory of this user"):
        prepare.private_directory(tmp_path / "link")


def test_the_next_highstate_finds_what_the_last_one_left(highstate, tmp_path):
    """The journal of a change that was killed, and the backups, lie below the minion's root directory."""
    _masterless.configure(str(tmp_path), "prod")
    journal = tmp_path / "var" / "cache" / "salt" / "minion" / "sshtrail" / "x.json"
    journal.parent.mkdir(parents=True)
    journal.write_text("{}")
    _masterless.configure(str(tmp_path), "dev")
    assert journal.read_text() == "{}"
    assert highstate._prepare.PLACE.startswith("/var/lib/")
