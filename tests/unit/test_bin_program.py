"""
bin/_program.py: the help, the quiet and the JSON of every program, and what their statuses say.
"""

import functools
import json
import os
import pathlib
import signal
import subprocess
import sys

import pytest
from _waiting import DEADLINE

# No line of the library is in it; and what measures would fail with the program where that has no space.
pytestmark = pytest.mark.usefixtures("unmeasured")

BIN = pathlib.Path(__file__).parents[2] / "bin"
PROGRAMS = [path.name for path in sorted(BIN.iterdir()) if path.is_file() and not path.suffix and path.name[0] != "_"]
EXAMPLE = f"""
import os, subprocess, sys
sys.path.insert(0, {str(BIN)!r})
import _prepare, _program
def main():
    print("from Python", sys.argv[1:], flush=True)
    subprocess.run(["echo", "from a child"])
    if "fail" in sys.argv:
        raise _prepare.Failed("why")
    if "wait" in sys.argv:
        subprocess.run(["sleep", "60"])
    return (3, {{"told": 1}}) if "tell" in sys.argv else 4 if "four" in sys.argv else 0
sys.exit(_program.run(main, "What it is for.", passes_on="pass" in sys.argv))
"""


@pytest.fixture
def run(tmp_path):
    path = tmp_path / "example"
    path.write_text(EXAMPLE)
    return lambda *args: subprocess.run([sys.executable, path, *args], capture_output=True, text=True, check=False)


@pytest.mark.parametrize("name", PROGRAMS)
@pytest.mark.parametrize("option", ["--help", "-h"])
def test_each_program_has_a_help_and_does_nothing_then(name, option, tmp_path):
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, BIN / name, option]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=DEADLINE)
    assert done.returncode == 0 and "usage:" in done.stdout and f"bin/{name}" in done.stdout
    assert "--json" in done.stdout and not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", sorted({*PROGRAMS} - {"test", "test-salts", "test-vm"}))
@pytest.mark.parametrize(
    "given", [["--no-such-option"], ["--quiet", "--no-such-option"], ["--no-such-option", "--json"]]
)
def test_an_argument_that_there_is_not_is_refused_before_anything_is_done(name, given, tmp_path):
    """Those of the tests are pytest's."""
    if os.geteuid() and name in ("demo", "highstate", "page", "sessions"):
        pytest.skip("asks for root first")
    environ = {**os.environ, "HOME": str(tmp_path), "XDG_CACHE_HOME": str(tmp_path)}
    command = [sys.executable, BIN / name, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environ, timeout=DEADLINE)
    assert done.returncode == 2 and f"{name}: error: " in done.stderr and "Traceback" not in done.stderr
    told = json.loads(done.stdout) if "--json" in given else {"errors": ["--help"]}
    assert "--help" in told["errors"][0] and not list(tmp_path.iterdir())


def test_every_program_is_run_by_it():
    assert len(PROGRAMS) >= 7
    for name in PROGRAMS:
        assert "sys.exit(_program.run(main, __doc__" in (BIN / name).read_text()


def test_what_it_says_and_its_status(run):
    done = run("a")
    assert (done.returncode, done.stdout) == (0, "from Python ['a']\nfrom a child\n")
    assert run("four").returncode == 4 and run("tell").returncode == 3
    done = run("fail")
    assert done.returncode == 1 and done.stderr == "example: why\n"


def test_it_is_quiet_unless_it_fails(run):
    done = run("--quiet")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    done = run("four", "--quiet")
    assert (done.returncode, done.stdout) == (4, "") and "from a child" in done.stderr


def test_json_is_all_that_it_prints(run):
    told = json.loads(run("--json", "four").stdout)
    assert told.pop("seconds") >= 0
    assert told == {"program": "example", "status": 4, "output": ["from Python ['four']", "from a child"]}
    # Who reads the JSON reads why, too.
    done = run("fail", "--json")
    assert json.loads(done.stdout)["errors"] == ["why"] and done.stderr == "example: why\n" and done.returncode == 1
    told = json.loads(run("tell", "--json").stdout)
    assert told["told"] == 1 and told["status"] == 3 and "output" not in told


def test_what_another_program_is_to_get_is_left_alone(run):
    assert "from Python ['pass', '--quiet', '-h']" in run("pass", "--quiet", "-h").stdout
    assert run("--quiet", "pass", "--json").stdout == ""


def test_ctrl_c_ends_with_130(tmp_path):
    path = tmp_path / "example"
    path.write_text(EXAMPLE)
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    # A shell has what it starts in the background ignore Ctrl-C, and these tests may be that.
    heard = functools.partial(signal.signal, signal.SIGINT, signal.SIG_DFL)
    # A terminal sends it to all that it shows.
    started = {"preexec_fn": heard, "start_new_session": True}
    with subprocess.Popen([sys.executable, path, "wait"], **started, **pipes) as process:
        process.stdout.readline(), process.stdout.readline()
        os.killpg(process.pid, signal.SIGINT)
        assert process.wait(DEADLINE) == 130
        assert process.stderr.read() == b"example: interrupted; run it again to finish\n"


#: What is done to a program before it starts: by a shell, which then runs ``"$@"``.
HARDSHIPS = {
    "no stdin": 'exec "$@" <&-',
    "no stdout": 'exec "$@" >&-',
    "no stderr": 'exec "$@" 2>&-',
    "nothing at all": 'exec "$@" <&- >&- 2>&-',
    "a full disk": 'exec "$@" >/dev/full',
    "a full disk for all": 'exec "$@" >/dev/full 2>&1',
    "nobody who reads": '"$@" | true',
    "few open files": 'ulimit -n 6; exec "$@"',
    "no space for files": 'ulimit -f 0; exec "$@"',
    "no variables": 'exec env -i "$@"',
    "an odd language": 'LC_ALL=xx_YY.bad LANG=tr_TR PYTHONIOENCODING=ascii exec "$@"',
    "a place for temporary files that is not there": 'TMPDIR=/nonexistent exec "$@"',
    "a mask that hides nothing": 'umask 000; exec "$@"',
}


@pytest.mark.parametrize("hardship", HARDSHIPS.values(), ids=HARDSHIPS)
@pytest.mark.parametrize("given", [[], ["--json"], ["--quiet"], ["four"], ["fail", "--json"]], ids=" ".join)
def test_no_hardship_ends_in_a_traceback_or_never(tmp_path, hardship, given):
    path = tmp_path / "example"
    path.write_text(EXAMPLE)
    command = ["sh", "-c", hardship, "sh", sys.executable, path, *given]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE, cwd=tmp_path)
    assert "Traceback" not in done.stderr and "Exception" not in done.stderr, done.stderr
    assert done.returncode in (0, 1, 4, 141), done.stderr
    assert not done.returncode or done.stderr or done.stdout or given == ["four"] or "2>&" in hardship


@pytest.mark.parametrize("closed", ["0", "1", "2", "0 1", "1 2", "0 1 2"])
def test_what_is_opened_takes_no_place_of_a_standard_file(tmp_path, closed):
    """Else what is printed would be written to the next file that is opened, be it the audit log."""
    (tmp_path / "example").write_text(
        EXAMPLE.replace("    print(", f"    precious = open({str(tmp_path / 'precious')!r}, 'w')\n    print(", 1)
    )
    ends = " ".join(f"{number}{'<' if number == '0' else '>'}&-" for number in closed.split())
    command = ["sh", "-c", f'exec "$@" {ends}', "sh", sys.executable, tmp_path / "example", "--json", "tell"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=DEADLINE)
    assert done.returncode == 3 and (tmp_path / "precious").read_text() == ""
    if "1" not in closed:
        assert json.loads(done.stdout)["told"] == 1
